"""Whatever comes over the wire: it is read, refused or dropped, but it never breaks anything (RFC 4475's spirit)."""

from contextlib import suppress

from doubles.exercise import exercise
from doubles.virtual.probe import CUSTOMER, SDP, UNKNOWN_SOURCE, VENDOR, Keeper, Probe, reply, request, straight
from golden.torture import MESSAGES
from hypothesis import example, given, strategies as st

from vosd.sip import ParseError, Request, Response, parse_message
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.headers.name_addr import NameAddr, tag_of
from vosd.sip.headers.via import Via, branch_of
from vosd.sip.settings import Limits, SipSettings
from vosd.sip.wire.compose import escape_user, response, response_stem
from vosd.sip.wire.uri import Uri, user_part

ANSWER = (
    b"SIP/2.0 200 OK\r\nv: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKtoken1\r\nf: <sip:a@b>;tag=ours\r\n"
    b"t: <sip:c@d>;tag=2\r\ni: x\r\nCSeq: 1 INVITE\r\nm: <sip:v@198.51.100.7>\r\nl: 0\r\n\r\n"
)
WHOLE = (
    request(body=SDP, headers='P-Asserted-Identity: "A, B" <sip:+44@h>, <tel:+44>\r\nRequire: x, y\r\n'),
    request("OPTIONS", via="SIP/2.0/UDP [2001:db8::1]:5070;rport;branch=z9hG4bK-2, SIP/2.0/TCP h;branch=3"),
    request("BYE", to="<sip:4420@192.0.2.1>;tag=ours", cseq="2 BYE", headers="Subject: a\r\n b\r\n"),
    request("CANCEL"), request("ACK", cseq="1 ACK"),
    ANSWER,
    *MESSAGES.values(),
)  # fmt: skip
SPLINTERS = st.binary(max_size=8) | st.sampled_from(
    [
        b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\r\n ", b" ", b"\t", b",", b";", b'"', b"<", b">", b"\\", b":", b"@",
        b"%0d", b"\0", b"\xff", b";tag=", b";rport", b"Via: ", b"To: ", b"l: 9", b"SIP/2.0", b"99999999999",
        b"z9hG4bK", b"INVITE",
    ]
)  # fmt: skip


@st.composite
def battered(draw) -> bytes:
    """A message with some of its bytes cut out, replaced or put in."""
    data = draw(st.sampled_from(WHOLE))
    for _ in range(draw(st.integers(0, 6))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 20)) | st.just(start))
        data = data[:start] + draw(SPLINTERS) + data[end:]
    return data[: draw(st.integers(0, len(data)) | st.just(len(data)))]


datagrams = st.one_of(st.binary(max_size=200), battered())
odd_text = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('";<>,\\@:=[] \udcff\udc80'), max_size=40)
small_limits = Limits(max_message_bytes=600, max_headers=12, max_line_chars=80)


def read(data: bytes, limits: Limits) -> tuple[Request | Response | None, ParseError | None]:
    """Return the message, or the error and nothing else."""
    try:
        return parse_message(data, limits), None
    except ParseError as error:
        return None, error


@given(datagrams, st.sampled_from([Limits(), small_limits]))
@example(b"", Limits())
@example(b"INVITE sip:a@b SIP/2.0\r\n\r\n", Limits())
def test_bytes_are_a_message_or_a_parse_error_and_nothing_else(data, limits):
    message, error = read(data, limits)
    if error is not None:
        assert error.status in {0, 400, 505, 513}
        assert (error.request is None) == (error.status == 0)
        return
    assert message is not None
    assert bytes(message) == data
    assert all("\n" not in value and "\r" not in value for _, value in message.fields)
    assert {name for name, _ in message.fields} >= {"via", "from", "to", "call-id", "cseq"}


@given(datagrams, st.sampled_from([Limits(), small_limits]))
def test_whatever_was_read_can_be_asked_everything(data, limits):
    """All typed access gives a value or raises ParseError, and ``problems()`` always says something printable."""
    message = exercise(data, limits)
    assert message is None or len(message.fields) <= limits.max_headers


@given(datagrams)
def test_whatever_can_be_answered_gets_an_answer_that_can_be_read(data):
    message, error = read(data, Limits())
    message = message or (error and error.request)
    if not isinstance(message, Request):
        return
    with suppress(ParseError):  # without a Via there is no answer
        written = response(response_stem(message, CUSTOMER), 400, "ours", "")
        with suppress(ParseError):  # where the request lacked what every response must repeat
            assert parse_message(written).header("cseq") == message.header("cseq")


@given(battered())
def test_what_has_no_problems_is_answered_without_problems(data):
    message, _ = read(data, Limits())
    if isinstance(message, Request) and not message.problems():
        answer = parse_message(response(response_stem(message, CUSTOMER), 486, "ours", ""))
        assert answer.problems() == []


@given(
    st.lists(
        st.tuples(datagrams, st.sampled_from([CUSTOMER, VENDOR, UNKNOWN_SOURCE]), st.integers(0, 40_000)), max_size=8
    )
)
def test_the_endpoint_survives_any_traffic_and_has_forgotten_it_in_the_end(traffic):
    probe = Probe(SipSettings(answers_unknown_sources=True))
    event = probe.receive(request(body=SDP))
    owner = Keeper()
    owner.dialog = Dialog.of_caller(event.request, "ours", event.source, straight)
    probe.endpoint.dialogs.adopt("ours", owner)
    acceptance = probe.accept(event.transaction, owner.dialog, owner)
    probe.call_vendor(owner)
    for data, source, wait_ms in traffic:
        heard = probe.receive(data, source)
        transaction = getattr(heard, "transaction", None)
        if hasattr(transaction, "respond"):
            transaction.respond(486, "another", "", probe.now)
        probe.advance(wait_ms)
    for sent in probe.log:
        assert 0 < sent.peer.port < 65_536
        assert sent.data.count(b"\r\n\r\n") >= 1
    acceptance.acknowledged()
    probe.endpoint.dialogs.forget("ours", probe.now)
    invite = next(sent for sent in probe.log if sent.title == "INVITE")
    probe.receive(reply(invite, 486), VENDOR)
    probe.advance(70_000)
    assert not any(probe.endpoint.census().values())


@given(odd_text)
def test_a_tag_is_the_same_whichever_way_it_is_read(text):
    text = text.replace("\r", "").replace("\n", "")
    with suppress(ParseError):
        assert tag_of(text) == NameAddr.parse(text).tag


@given(st.text('<>";=tag \\,x@:', max_size=30))
def test_a_tag_is_the_same_whichever_way_it_is_read_of_hostile_text(text):
    with suppress(ParseError):
        assert tag_of(text) == NameAddr.parse(text).tag


@given(st.text('SIP/2.0UDPh:5;branch=z,"', max_size=20).map("SIP/2.0/UDP h".__add__))
def test_a_branch_without_quotes_is_the_same_whichever_way_it_is_read(text):
    with suppress(ParseError):
        via = Via.parse(text)
        if '"' not in text and "[" not in text:
            assert branch_of(text) == via.branch


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_any_text_can_be_a_user_part_and_is_read_back_as_it_was(user):
    written = escape_user(user)
    assert written.isascii()
    assert Uri.parse(f"sip:{written}@192.0.2.1").user == user


@given(odd_text | st.text("sip:@[]0123456789.abcdef;?<>", max_size=30))
def test_a_next_hop_is_always_an_address_with_a_port(text):
    hop = straight(f"sip:{text}", VENDOR)
    assert hop.host.replace(".", "").isdigit()
    assert hop.host.count(".") == 3
    assert 0 < hop.port < 65_536


@given(odd_text)
def test_a_uri_is_read_or_refused(text):
    for candidate in (text, f"sip:{text}@h", f"sip:h;{text}", f"tel:{text}"):
        with suppress(ParseError):
            uri = Uri.parse(candidate)
            uri.user.encode()  # what is no text is no user part, so numbers can be journalled and logged
            assert uri.param("transport") is None or uri.params


def user_or_fault(read, text):
    try:
        return read(text)
    except ParseError as error:
        return error.status, error.reason


@given(odd_text | st.text("+1a.-_%;:@0\u0661", max_size=12), st.sampled_from(["h", "192.0.2.1", "a_b", "[::1]"]))
def test_the_user_part_alone_is_that_of_the_whole_uri(user, host):
    for text in (f"sip:{user}@{host}", f"sip:1@{host}:{user}", f"sip:{user}@{host}:5060", f"SIP:{user}@h;x", user):
        assert user_or_fault(user_part, text) == user_or_fault(lambda text: Uri.parse(text).user, text)


@given(st.lists(st.tuples(st.sampled_from(["X-A", "Subject", "s"]), odd_text), max_size=6))
def test_headers_are_kept_as_they_came(headers):
    clean = [(name, " ".join(value.replace("\0", "").split())) for name, value in headers]
    block = "".join(f"{name}: {value}\r\n" for name, value in clean)
    message = parse_message(request("OPTIONS", headers=block))
    assert isinstance(message, Request)
    kept = [(name, value) for name, value in message.fields if name in {"x-a", "subject"}]
    assert kept == [({"s": "subject"}.get(name, name.lower()), value) for name, value in clean]
