"""Lines of descriptions in any order: what is put in order for an rtpengine has the same media."""

from doubles.exploring import examples
from hypothesis import given, settings, strategies as st

from vosd.sdp.media import BadSession, media_of
from vosd.sdp.ordered import IN_ORDER, ordered

LINES = (
    "v=0", "v=1", "o=- 1 1 IN IP4 192.0.2.1", "o=x", "s=-", "s=", "t=0 0", "c=IN IP4 192.0.2.1", "c=IN IP4 0.0.0.0",
    "c=in ip4 192.0.2.2/127 ", "c=IN IP6 2001:db8::1", "b=AS:64", "a=sendonly", "a=inactive ", "a=rtpmap:96 opus/48000",
    "a=rtcp:7001", "a=rtcp-mux", "a=ptime:20", "m=audio 7000 RTP/AVP 0 96", "m=audio 0 RTP/AVP 8",
    "m=image 7002 udptl t38", "m=video 7004 RTP/SAVP 31", "x=1", "", " ", "hello", "A=inactive", "k=clear:x", "i=x",
)  # fmt: skip
sessions = st.tuples(st.lists(st.sampled_from(LINES), max_size=14), st.sampled_from(["\r\n", "\n"]), st.booleans())


@settings(max_examples=examples(100, 3_000))
@given(sessions)
def test_a_description_in_order_has_the_same_media(drawn):
    lines, end, is_ended = drawn
    session = (end.join(lines) + end * is_ended).encode()
    try:
        before = media_of(session)
    except BadSession:
        return
    after = media_of(ordered(session))
    assert [each for each in after if each.port] == [each for each in before if each.port]
    assert [(each.kind, each.port, each.transport, each.payloads) for each in after] == [
        (each.kind, each.port, each.transport, each.payloads) for each in before
    ]
    assert IN_ORDER.match(ordered(session))
