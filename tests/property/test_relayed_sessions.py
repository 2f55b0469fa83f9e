"""Descriptions rewritten for a relay: the same without a place, readable with one, no address of the author left."""

import re

from hypothesis import given, strategies as st

from vosd.sdp.media import BadSession, Place, media_of, relayed, with_codecs

AUTHOR, OTHER = "192.0.2.7", "2001:db8::7"
CONNECTIONS = (f"c=IN IP4 {AUTHOR}", f"c=IN IP6 {OTHER}", "c=IN IP4 0.0.0.0", f"c=IN  IP4 {AUTHOR}/127")
ATTRIBUTES = (
    "a=sendonly", "a=inactive", "a=rtcp-mux", f"a=rtcp:4009 IN IP4 {AUTHOR}", "a=rtcp:4011", "a=ice-ufrag:x",
    f"a=candidate:1 1 UDP 1 {AUTHOR} 4000 typ host", "a=rtpmap:0 PCMU/8000", "a=x-unknown", "b=AS:64", "a=ptime:20",
)  # fmt: skip
JUNK = ("", "junk", "m=", "m=audio", "c=", "c=IN", "a=", "m=audio x RTP/AVP 0", "a=rtcp:", "\0", "m=audio 0 RTP/AVP")

connections = st.sampled_from(CONNECTIONS)
attributes = st.lists(st.sampled_from(ATTRIBUTES), max_size=6)
hosts = st.sampled_from(["203.0.113.5", "203.0.113.6", "2001:db8:ff::5"])
ports = st.integers(1, 65_535)
places = st.builds(Place, hosts, ports, st.none() | ports)


@st.composite
def media(draw: st.DrawFn) -> list[str]:
    line = draw(st.sampled_from(["m=audio {} RTP/AVP 0 8", "m=image {} udptl t38", "m=video {}/2 RTP/SAVPF 96"]))
    own = draw(st.lists(connections, max_size=2))
    return [line.format(draw(ports)), *own, *draw(attributes)]


@st.composite
def sessions(draw: st.DrawFn) -> bytes:
    end = draw(st.sampled_from(["\r\n", "\n"]))
    above = ["v=0", f"o=- 1 1 IN IP4 {AUTHOR}", "s=-", draw(connections), "t=0 0", *draw(attributes)]
    lines = [*above, *(line for each in draw(st.lists(media(), max_size=4)) for line in each)]
    return end.join(lines).encode() + draw(st.sampled_from([end.encode(), b""]))


@given(sessions())
def test_without_places_it_is_the_same_byte_for_byte(session):
    assert relayed(session, [None] * len(media_of(session))) == session


@given(sessions(), st.data())
def test_what_is_written_is_read_as_the_places(session, data):
    before = media_of(session)
    wanted = data.draw(st.lists(places | st.none(), min_size=len(before), max_size=len(before)))
    written = relayed(session, wanted)
    after = media_of(written)
    assert len(after) == len(before)
    for was, place, now in zip(before, wanted, after, strict=True):
        if place is None:
            assert now == was
            continue
        assert (now.kind, now.transport, now.payloads, now.direction) == (
            was.kind, was.transport, was.payloads, was.direction,
        )  # fmt: skip
        assert now.is_held == was.is_held
        assert now.port == place.rtp
        assert now.host in {place.host, "0.0.0.0", "::"}
        if "RTP/" in now.transport:
            assert now.is_multiplexed is (place.rtcp is None)
            assert place.rtcp is None or now.rtcp_port == place.rtcp
    if wanted and None not in wanted:
        assert AUTHOR.encode() not in written
        assert OTHER.encode() not in written
    assert relayed(written, wanted) == written


@given(sessions(), st.lists(st.sampled_from(["PCMU", "PCMA", "G729"]), max_size=3))
def test_a_description_with_fewer_codecs_can_be_read_and_is_the_same_when_limited_again(session, wanted):
    limited = with_codecs(session, wanted)
    if limited is None:
        assert any(each.kind == "audio" for each in media_of(session))
        return
    named = {name for each in media_of(limited) if each.kind == "audio" for name in each.codecs}
    assert named <= set(wanted)
    assert with_codecs(limited, wanted) == limited


@given(sessions(), hosts, st.integers(1, 32_000), st.none() | hosts)
def test_the_usual_form_is_read_and_written_as_any_other(session, host, first, origin):
    named = re.sub(rb"(?m)^(m=\w+) \d+", rb"\1 4008", session)  # next to a port that lines of RTCP name
    for usual in (session, named):
        other = re.sub(rb"(?m)^(m=\w+) ", rb"\1\t", usual)
        described = media_of(usual)
        assert described == media_of(other)
        places = [Place(host, 2 * (first + at), 2 * (first + at) + 1) for at in range(len(described))]
        assert relayed(usual, places, origin) == re.sub(rb"(?m)^(m=\w+)\t", rb"\1 ", relayed(other, places, origin))


@given(st.lists(st.sampled_from([*JUNK, *CONNECTIONS, *ATTRIBUTES, "m=audio 4000 RTP/AVP 0"])), st.binary(max_size=30))
def test_any_text_is_read_or_has_a_fault(lines, tail):
    session = "\r\n".join(lines).encode() + tail
    try:
        media = media_of(session)
    except BadSession:
        return
    places = [Place("203.0.113.5", 10_000, 10_001) if each.port else None for each in media]
    assert [each.port for each in media_of(relayed(session, places))] == [10_000 if each else 0 for each in places]
