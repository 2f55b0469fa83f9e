"""Bodies: a session description alone or among others, and what its sender insists on (RFC 5621, RFC 2046)."""

from base64 import encodebytes

import pytest
from doubles.virtual.probe import SDP, Keeper, Probe, reply, request

from vosd.sip.wire.body import NESTED_MAX, PARTS_MAX, hides_session, media_type, session_of, unknown_types
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.message import Request
from vosd.sip.wire.parse import parse_message

SESSION = b"Content-Type: application/sdp\r\n\r\n" + SDP
ISUP = b"Content-Type: application/isup;version=itu-t92+\r\nContent-Disposition: signal;handling=optional\r\n\r\n\1\2\3"
REQUIRED_ISUP = ISUP.replace(b"optional", b"required")
TEXT = b"Content-Type: text/plain\r\n\r\nhello"
ACCEPTED = ["application/sdp", "multipart/mixed", "multipart/alternative", "multipart/related"]
LOCATION = b"Content-Type: application/pidf+xml\r\nContent-ID: <a@b>\r\n\r\n<presence/>"
REFERENCED = LOCATION.replace(b"\r\n\r\n", b"\r\nContent-Disposition: by-reference;handling=required\r\n\r\n")


def objects_to(message) -> bool:
    """Return whether a body must be refused where nothing but the session description is known."""
    return bool(unknown_types(message))


def carrying(body: bytes, kind: str | None = 'multipart/mixed;boundary="x"', *, headers: str = "") -> Request:
    """Read an INVITE with that body."""
    data = request(body=body, headers=headers + (f"Content-Type: {kind}\r\n" if kind is not None else ""))
    if kind is None:
        data = data.replace(b"Content-Type: application/sdp\r\n", b"")
    message = parse_message(data)
    assert isinstance(message, Request)
    return message


def of_parts(*parts: bytes, boundary: bytes = b"x", before: bytes = b"", behind: bytes = b"") -> bytes:
    """Write a multipart body (RFC 2046 section 5.1.1)."""
    delimiter = b"--" + boundary
    return before + b"".join(delimiter + b"\r\n" + part + b"\r\n" for part in parts) + delimiter + b"--" + behind


# -- one body -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["application/sdp", "Application/SDP ; charset=utf-8", "application / sdp"])
def test_a_session_description_is_the_session_as_it_came(kind):
    message = carrying(SDP, kind)
    assert media_type(message) == "application/sdp"
    assert session_of(message) == SDP
    assert not objects_to(message)


def test_without_a_body_there_is_no_session_and_nothing_to_object_to():
    message = carrying(b"", "text/plain")
    assert session_of(message) == b""
    assert not objects_to(message)


@pytest.mark.parametrize("kind", ["text/plain", "application/isup"])
def test_a_body_of_another_type_is_no_session_and_is_refused(kind):
    """RFC 3261 section 8.2.3."""
    message = carrying(SDP, kind)
    assert session_of(message) == b""
    assert objects_to(message)


@pytest.mark.parametrize("kind", [None, "", "sdp", "application/", ";charset=utf-8", "@/x"])
@pytest.mark.parametrize("body", [SDP, SDP.replace(b"\r\n", b"\n")])
def test_a_body_without_type_that_begins_as_a_session_description_is_one(kind, body):
    """RFC 3261 section 7.4.1 requires the type; some vendors leave it out of their 200."""
    message = carrying(body, kind)
    assert media_type(message) == "application/sdp"
    assert session_of(message) == body
    assert not objects_to(message)


@pytest.mark.parametrize("body", [b"hello", b"v=1\r\n", b"v=0", b"x\r\nv=0\r\n"])
def test_any_other_body_without_type_is_refused(body):
    message = carrying(body, None)
    assert session_of(message) == b""
    assert objects_to(message)


def test_a_part_without_type_that_begins_as_a_session_description_is_one():
    message = carrying(of_parts(b"\r\n" + SDP, ISUP))
    assert session_of(message) == SDP
    assert not objects_to(message)


@pytest.mark.parametrize(
    ("disposition", "refused"),
    [
        ("render;handling=optional", False), ('render;handling="optional"', False), ("x ; HANDLING = Optional", False),
        ("render;handling=required", True), ("render", True), ("render;handling=optionally", True),
    ],
)  # fmt: skip
def test_a_body_that_its_sender_does_not_insist_on_is_left_aside(disposition, refused):
    """RFC 3261 section 20.11: handling is required where nothing else is said."""
    message = carrying(b"hello", "text/plain", headers=f"Content-Disposition: {disposition}\r\n")
    assert objects_to(message) is refused
    assert session_of(message) == b""


@pytest.mark.parametrize(
    ("kind", "headers"),
    [("application/pidf+xml", ""), ("text/plain", "Content-Disposition: By-Reference;handling=required\r\n")],
)
def test_a_location_alone_and_a_body_that_a_header_refers_to_are_left_aside(kind, headers):
    """RFC 6442 section 4.1, RFC 5621 section 5: the session is offered by the other side then."""
    message = carrying(b"<presence/>", kind, headers=headers)
    assert session_of(message) == b""
    assert not objects_to(message)


# -- encodings ----------------------------------------------------------------------------------------------------


def encoded(line: str, content: bytes) -> bytes:
    """Write a part with a session description in an encoding."""
    return SESSION.partition(b"\r\n\r\n")[0] + b"\r\n" + line.encode() + b"\r\n\r\n" + content


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        ("7bit", SDP), ("8BIT", SDP), ("binary", SDP), ("Base64", encodebytes(SDP)),
        ("quoted-printable", SDP.replace(b"=", b"=3D")),
    ],
)  # fmt: skip
def test_a_transfer_encoding_of_a_part_is_taken_off(encoding, content):
    """RFC 2045 section 6."""
    message = carrying(of_parts(encoded(f"Content-Transfer-Encoding: {encoding}", content)))
    assert session_of(message) == SDP
    assert not objects_to(message)


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "7-bit", "8bit;", "none", "utf-8"])
def test_a_session_description_in_plain_text_is_taken_whatever_encoding_it_says(encoding):
    """Gateways write such lines, because SIP programs do not know transfer encodings; none of them leaves ``v=0``."""
    session = SDP + b"a=candidate:1 1 UDP 1 192.0.2.1 9 typ host\r\n"
    message = carrying(of_parts(encoded(f"Content-Transfer-Encoding: {encoding}", session)))
    assert session_of(message) == session
    assert not objects_to(message)


COMPRESSED = encoded("Content-Encoding: gzip", b"\x1f\x8b\x08")


@pytest.mark.parametrize(
    "part",
    [
        COMPRESSED,
        encoded("Content-Transfer-Encoding: x-uuencode", b"begin 644"),
        encoded("Content-Transfer-Encoding: base64", b"A"),
    ],
)
def test_a_session_description_in_another_encoding_is_none_and_is_refused(part):
    """RFC 3261 sections 8.2.3 and 20.12."""
    message = carrying(of_parts(part))
    assert session_of(message) == b""
    assert objects_to(message)
    assert hides_session(message)


def test_a_compressed_body_is_read_neither_whole_nor_in_parts():
    kinds = {"application/sdp": True, 'multipart/mixed;boundary="x"': False}
    for kind, is_session in kinds.items():
        message = carrying(b"\x1f\x8b\x08", kind, headers="Content-Encoding: gzip\r\n")
        assert session_of(message) == b""
        assert hides_session(message) is is_session


@pytest.mark.parametrize("disposition", ["session;handling=optional", "early-session"])
def test_a_compressed_description_that_may_be_left_out_is(disposition):
    part = COMPRESSED.replace(b"\r\n\r\n", b"\r\nContent-Disposition: %b\r\n\r\n" % disposition.encode())
    message = carrying(of_parts(part, SESSION))
    assert session_of(message) == SDP
    assert not objects_to(message)


def test_of_alternatives_that_without_an_encoding_is_taken():
    message = carrying(of_parts(SESSION, COMPRESSED), 'multipart/alternative;boundary="x"')
    assert session_of(message) == SDP
    assert not objects_to(message)


# -- several ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parts", [(SESSION,), (SESSION, ISUP), (ISUP, SESSION), (ISUP, ISUP, SESSION)])
def test_of_several_parts_the_session_is_taken_byte_for_byte(parts):
    message = carrying(of_parts(*parts))
    assert session_of(message) == SDP
    assert not objects_to(message)


def test_an_unknown_part_is_refused_where_its_sender_says_that_it_is_required():
    """RFC 3204 section 6."""
    assert objects_to(carrying(of_parts(SESSION, REQUIRED_ISUP)))


@pytest.mark.parametrize("part", [LOCATION, REFERENCED, TEXT, b"\r\nno headers at all", b"X: y\r\n\r\nno type"])
@pytest.mark.parametrize("subtype", ["mixed", "related", "signed", "of-tomorrow"])
def test_a_part_that_says_nothing_of_its_handling_is_left_out_and_the_session_taken(part, subtype):
    """RFC 6442 shows locations without any handling; an emergency call must not fail for them."""
    for body in (of_parts(SESSION, part), of_parts(part, SESSION)):
        message = carrying(body, f"multipart/{subtype};boundary=x")
        assert session_of(message) == SDP
        assert not objects_to(message)


def test_of_alternatives_the_last_session_counts():
    """RFC 2046 section 5.1.4: the richest comes last."""
    other = SESSION.replace(b"4000", b"5000")
    message = carrying(of_parts(TEXT, other, SESSION, LOCATION), "multipart/alternative;boundary=x")
    assert session_of(message) == SDP
    assert not objects_to(message)


@pytest.mark.parametrize(
    ("parts", "refused"), [((REQUIRED_ISUP, SESSION), False), ((REQUIRED_ISUP, TEXT), False), ((REQUIRED_ISUP,), True)]
)
def test_one_alternative_that_can_be_taken_is_enough(parts, refused):
    assert objects_to(carrying(of_parts(*parts), "multipart/alternative;boundary=x")) is refused


def nested(kind: bytes, *parts: bytes, handling: bytes = b"") -> bytes:
    """Write a part that consists of parts."""
    disposition = b"Content-Disposition: render;handling=" + handling + b"\r\n" if handling else b""
    head = b"Content-Type: multipart/" + kind + b";boundary=inner\r\n" + disposition + b"\r\n"
    return head + of_parts(*parts, boundary=b"inner")


def test_a_session_is_found_among_the_parts_of_a_part():
    for part in (nested(b"alternative", TEXT, SESSION), nested(b"related", SESSION, LOCATION)):
        message = carrying(of_parts(LOCATION, part))
        assert session_of(message) == SDP
        assert not objects_to(message)


@pytest.mark.parametrize(
    ("part", "refused"),
    [
        (nested(b"alternative", TEXT, LOCATION), False),
        (nested(b"alternative", TEXT, LOCATION, handling=b"required"), True),
        (nested(b"alternative", TEXT, SESSION, handling=b"required"), False),
        (nested(b"mixed", TEXT, LOCATION, handling=b"required"), False),
        (nested(b"mixed", SESSION, REQUIRED_ISUP), True),
    ],
)
def test_a_required_part_of_parts_is_understood_as_far_as_they_are(part, refused):
    assert objects_to(carrying(of_parts(SESSION, part))) is refused


def deep(levels: int, part: bytes, handling: bytes = b"") -> bytes:
    """Wrap a part so many times; each level needs a boundary of its own."""
    for level in range(levels):
        boundary = b"level-%d" % level
        required = b"\r\nContent-Disposition: render;handling=" + handling if handling else b""
        head = b"Content-Type: multipart/mixed;boundary=" + boundary + required + b"\r\n\r\n"
        part = head + of_parts(part, boundary=boundary)
    return part


def test_parts_are_opened_to_a_limited_depth():
    assert session_of(carrying(of_parts(deep(NESTED_MAX, SESSION)))) == SDP
    message = carrying(of_parts(deep(NESTED_MAX + 1, SESSION)))
    assert session_of(message) == b""
    assert not objects_to(message)
    assert objects_to(carrying(of_parts(deep(NESTED_MAX + 1, SESSION, b"required"))))


@pytest.mark.parametrize("disposition", [b"early-session", b"Early-Session;handling=optional", b"by-reference"])
def test_a_description_that_is_not_the_session_is_not_taken_for_it(disposition):
    """RFC 3959 section 4, RFC 5621 section 5."""
    other = SESSION.replace(b"4000", b"5000")
    other = b"Content-Disposition: " + disposition + b"\r\n" + other
    message = carrying(of_parts(other, SESSION))
    assert session_of(message) == SDP
    assert not objects_to(message)


def test_parts_without_a_session_are_no_session():
    message = carrying(of_parts(ISUP))
    assert session_of(message) == b""
    assert not objects_to(message)


def test_of_two_sessions_the_first_counts():
    other = SESSION.replace(b"4000", b"5000")
    assert session_of(carrying(of_parts(SESSION, other))) == SDP


def test_what_stands_before_the_first_and_behind_the_last_boundary_is_nobodys():
    body = of_parts(
        SESSION, before=b"This is a message of several parts.\r\n", behind=b"\r\nThe end.\r\n--x\r\n" + TEXT
    )
    message = carrying(body)
    assert session_of(message) == SDP
    assert not objects_to(message)


def test_blanks_behind_a_boundary_are_no_part_of_it():
    """RFC 2046 section 5.1.1: transport padding."""
    body = of_parts(SESSION, ISUP).replace(b"--x\r\n", b"--x \t\r\n")
    message = carrying(body)
    assert session_of(message) == SDP
    assert not objects_to(message)


def test_a_part_may_hold_the_boundary_where_no_line_begins_with_it():
    session = SESSION.replace(b"s=-", b"s=-- --x --x--")
    assert session_of(carrying(of_parts(session))) == session.partition(b"\r\n\r\n")[2]


def test_the_headers_of_a_part_are_read_in_any_spelling_and_folded():
    part = ISUP.replace(b"Content-Disposition: signal;", b"CONTENT-DISPOSITION : signal;\r\n\t")
    session = SESSION.replace(b"Content-Type: application/sdp", b"content-type:APPLICATION/SDP;a=b")
    message = carrying(of_parts(part, session))
    assert session_of(message) == SDP
    assert not objects_to(message)


def test_a_part_without_headers_begins_with_its_text():
    """What looks like a header behind the empty line is none."""
    message = carrying(of_parts(b"\r\n" + SESSION))
    assert session_of(message) == b""
    assert not objects_to(message)


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/mixed;boundary=x", 'Multipart/Mixed; charset=a ; BOUNDARY="x"',
        'multipart/mixed;type="a;boundary=y";boundary=x',
    ],
)  # fmt: skip
def test_the_boundary_is_found_among_the_parameters(kind):
    message = carrying(of_parts(SESSION), kind)
    assert media_type(message) == "multipart/mixed"
    assert session_of(message) == SDP


BROKEN = {
    "no boundary said": (of_parts(SESSION), "multipart/mixed"),
    "an empty boundary": (of_parts(SESSION, boundary=b""), 'multipart/mixed;boundary=""'),
    "another boundary": (of_parts(SESSION, boundary=b"y"), "multipart/mixed;boundary=x"),
    "no boundary at all": (SDP, "multipart/mixed;boundary=x"),
    "never closed": (b"--x\r\n" + SESSION, "multipart/mixed;boundary=x"),
    "too many parts": (of_parts(*[SESSION] * (PARTS_MAX + 1)), "multipart/mixed;boundary=x"),
}


@pytest.mark.parametrize(("body", "kind"), BROKEN.values(), ids=BROKEN.keys())
def test_a_multipart_body_that_cannot_be_taken_apart_deserves_400(body, kind):
    message = carrying(body, kind)
    with pytest.raises(ParseError, match="400 Bad Multipart Body"):
        objects_to(message)


@pytest.mark.parametrize(("body", "kind"), BROKEN.values(), ids=BROKEN.keys())
def test_in_a_response_it_is_no_session(body, kind):
    """A response cannot be refused."""
    probe = Probe()
    probe.call_vendor(Keeper())
    assert session_of(parse_message(reply(probe.log[0], 200, headers=f"Content-Type: {kind}\r\n", body=body))) == b""


def test_as_many_parts_as_are_allowed_are_read():
    assert session_of(carrying(of_parts(*[ISUP] * (PARTS_MAX - 1), SESSION))) == SDP


# -- what the caller hears ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status"), [(of_parts(REQUIRED_ISUP), 415), (b"--x\r\n" + SESSION, 400)], ids=["required", "never closed"]
)
@pytest.mark.parametrize("method", ["INVITE", "UPDATE", "PRACK"])
def test_a_request_with_a_body_that_we_cannot_take_is_refused(method, body, status):
    """RFC 5621 section 5.1: 415 with Accept. Of an UPDATE the rule of the other side decides: this one has none."""
    probe = Probe()
    status = 481 if method == "UPDATE" and status == 415 else status
    to = "<sip:4420@192.0.2.1>" if method == "INVITE" else "<sip:4420@192.0.2.1>;tag=ours"
    probe.receive(request(method, to=to, headers="Content-Type: multipart/mixed;boundary=x\r\n", body=body))
    [refusal] = probe.sent()
    assert refusal.response.status == status
    if status == 415:
        assert refusal.response.headers("accept") == ACCEPTED


@pytest.mark.parametrize("method", ["BYE", "INFO", "OPTIONS"])
def test_the_body_of_a_request_that_makes_no_session_is_no_obstacle(method):
    probe = Probe()
    probe.receive(request(method, to="<sip:4420@192.0.2.1>;tag=x", headers="Content-Type: text/plain\r\n", body=b"?"))
    assert probe.titles() == ["481"]
