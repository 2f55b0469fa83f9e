"""From bytes to a message, or to the status that the bytes deserve (RFC 3261 section 7, RFC 4475)."""

import pytest
from doubles.virtual.probe import SDP, request

from vosd.sip import ParseError, Request, Response, parse_message
from vosd.sip.settings import Limits

OK = (
    b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK-1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\n"
    b"Call-ID: x\r\nCSeq: 1 INVITE\r\n\r\n"
)


def refusal(data: bytes, limits: Limits | None = None) -> ParseError:
    with pytest.raises(ParseError) as caught:
        parse_message(data, limits or Limits())
    return caught.value


def test_a_request_gives_its_parts():
    message = parse_message(request(body=SDP))
    assert isinstance(message, Request)
    assert (message.method, message.uri) == ("INVITE", "sip:4420@192.0.2.1")
    assert (message.cseq.number, message.cseq.method) == (1, "INVITE")
    assert (message.via.host, message.via.port, message.via.branch) == ("192.0.2.10", 5060, "z9hG4bK-1")
    assert (message.from_tag, message.to_tag, message.call_id) == ("theirs", "", "in@192.0.2.10")
    assert message.from_.uri == "sip:4930@192.0.2.10"
    assert message.contact is not None
    assert message.contact.uri == "sip:4930@192.0.2.10:5060"
    assert message.body == SDP


@pytest.mark.parametrize(
    ("line", "status", "reason"),
    [
        (b"SIP/2.0 200 OK", 200, "OK"),
        (b"SIP/2.0 100 ", 100, ""),
        (b"SIP/2.0 404", 404, ""),
        (b"sip/2.0 183 Session Progress", 183, "Session Progress"),
        ("SIP/2.0 486 besetzt \u00fc".encode(), 486, "besetzt \u00fc"),
    ],
)
def test_a_response_gives_status_and_reason(line, status, reason):
    message = parse_message(OK.replace(b"SIP/2.0 200 OK", line))
    assert isinstance(message, Response)
    assert (message.status, message.reason) == (status, reason)


@pytest.mark.parametrize(
    "line",
    [
        b"SIP/2.0 99 Too Low", b"SIP/2.0 700 Too High", b"SIP/2.0 2xx No", b"SIP/2.0 2000 No", b"SIP/2.0  200 OK",
        b"SIP/3.0 200 OK", "SIP/2.0 \u0662\u0660\u0660 OK".encode(),
    ],
)  # fmt: skip
def test_a_bad_status_line_is_never_answered(line):
    assert refusal(OK.replace(b"SIP/2.0 200 OK", line)).status == 0


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\r\n", b"\r\n\r\n", b"\0", b"\0\0\0\0", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"INVITE\r\n\r\n",
        b"INVITE sip:a@b\r\n\r\n", b"INVITE SIP/2.0\r\n\r\n", b"IN(VITE sip:a@b SIP/2.0\r\n\r\n",
        b" sip:a@b SIP/2.0\r\n\r\n", b"INVITE sip:a@b SIP/two\r\n\r\n", b"\xff\xfe\xfd INVITE\r\n\r\n",
        b"INVITE sip:a@b SIP/2.0\r\n continued\r\n\r\n", b"INVITE\tsip:a@b\tSIP/2.0\r\n\r\n",
    ],
)  # fmt: skip
def test_what_is_not_sip_is_never_answered(data):
    error = refusal(data)
    assert (error.status, error.request) == (0, None)


@pytest.mark.parametrize("lead", [b"\r\n", b"\r\n\r\n", b"\n\n\n", b"\r\n" * 500])
def test_empty_lines_before_the_start_line_are_no_fault(lead):
    message = parse_message(lead + request(body=SDP))
    assert isinstance(message, Request)
    assert message.body == SDP


LONG_TO_COMPACT = {
    "Via": "v", "From": "f", "To": "t", "Call-ID": "i", "Contact": "m", "Content-Type": "c", "Content-Length": "l",
}  # fmt: skip


@pytest.mark.parametrize("spell", [str.lower, str.upper], ids=["lower", "upper"])
@pytest.mark.parametrize("blank", ["", " ", "\t"])
def test_compact_names_mean_the_long_ones(spell, blank):
    data = request(body=SDP)
    short = data.decode()
    for name, letter in LONG_TO_COMPACT.items():
        short = short.replace(f"\r\n{name}:", f"\r\n{spell(letter)}{blank}:")
    assert short != data.decode()
    assert parse_message(short.encode()).fields == parse_message(data).fields


def test_header_names_are_found_in_any_spelling():
    message = parse_message(request(headers="x-VENDOR-thing :  spaced \r\nSUPPORTED:timer\r\n"))
    assert message.header("x-vendor-thing") == "spaced"
    assert message.header("supported") == "timer"


def test_unknown_headers_are_kept_in_order():
    message = parse_message(request(headers="X-One: 1\r\nX-Two: 2\r\nX-One: 3\r\n"))
    kept = [(name, value) for name, value in message.fields if name.startswith("x-")]
    assert kept == [("x-one", "1"), ("x-two", "2"), ("x-one", "3")]
    assert message.header("x-one") == "1"
    assert message.headers("x-one") == ["1", "3"]
    assert message.header("x-three") is None
    assert message.headers("x-three") == []


@pytest.mark.parametrize("fold", ["\r\n ", "\r\n\t", " \r\n   \t ", "\n "])
def test_a_folded_header_reads_as_one_line(fold):
    message = parse_message(request(from_=f'"A{fold}B"{fold}<sip:4930@192.0.2.10>{fold};tag{fold}={fold}folded'))
    assert message.from_tag == "folded"
    assert message.from_.uri == "sip:4930@192.0.2.10"
    assert message.from_.display.split() == ['"A', 'B"']


def test_a_folded_header_does_not_change_an_equal_one_before_it():
    message = parse_message(request(headers="Subject: same\r\nSubject: same\r\n more\r\n"))
    assert message.header("subject") == "same"
    assert message.headers("subject") == ["same", "same more"]


def test_a_line_of_blanks_continues_a_header_and_does_not_end_them():
    message = parse_message(request(headers="Subject: a\r\n \r\nX-After: b\r\n"))
    assert message.header("subject") == "a"
    assert message.header("x-after") == "b"


@pytest.mark.parametrize(
    ("value", "items"),
    [
        ("a, b,c", ["a", "b", "c"]),
        ("a,,b,", ["a", "b"]),
        ('"x, y" <sip:a@b>, <sip:c;d,e@f>', ['"x, y" <sip:a@b>', "<sip:c;d,e@f>"]),
        (r'"x\", y" <sip:a@b>,c', [r'"x\", y" <sip:a@b>', "c"]),
        ('"never closed, a', ['"never closed, a']),
        ("<never closed, a", ["<never closed, a"]),
    ],
)
def test_comma_lists_are_taken_apart_outside_quotes_and_brackets(value, items):
    message = parse_message(request(headers=f"X-List: {value}\r\nX-List: last\r\n"))
    assert message.headers("x-list") == [*items, "last"]


def test_bare_line_feeds_are_read_as_line_ends():
    head = request(body=SDP).removesuffix(SDP)
    message = parse_message(head.replace(b"\r\n", b"\n") + SDP)
    assert message.fields == parse_message(head + SDP).fields
    assert message.body == SDP


def test_bytes_that_are_not_utf8_survive():
    data = request(headers="X-Raw: \udcff\udc80 \u00e9\r\n", body=SDP)
    message = parse_message(data)
    assert bytes(message) == data
    assert (message.header("x-raw") or "").encode("utf-8", "surrogateescape") == b"\xff\x80 \xc3\xa9"


def test_a_response_may_have_several_vias_in_one_line_or_in_several():
    via = b"Via: SIP/2.0/UDP h;branch=z9hG4bK-1"
    message = parse_message(OK.replace(via, via + b", SIP/2.0/TCP i\r\nv: SIP/2.0/TLS j"))
    assert message.headers("via") == ["SIP/2.0/UDP h;branch=z9hG4bK-1", "SIP/2.0/TCP i", "SIP/2.0/TLS j"]
    assert message.comes_twice("via")
    assert message.via.host == "h"


def test_the_request_uri_is_read_on_demand():
    message = parse_message(request(uri="sip:+44%2020@192.0.2.1:5070;user=phone"))
    assert isinstance(message, Request)
    assert (message.target.user, message.target.port, message.target.param("user")) == ("+44 20", 5070, "phone")


@pytest.mark.parametrize(("uri", "status"), [("mailto:a@b", 416), ("<sip:a@b>", 400), ("sip:a@b; lr", 400)])
def test_an_unreadable_request_uri_is_an_error_when_accessed(uri, status):
    message = parse_message(request(uri=uri))
    assert isinstance(message, Request)
    with pytest.raises(ParseError) as caught:
        message.target.param("lr")
    assert caught.value.status == status


def test_what_was_asked_once_is_not_read_again():
    message = parse_message(request(headers="X-A: a, b\r\nX-A: c\r\n"))
    assert message.headers("x-a") == ["a", "b", "c"]
    assert message.headers("x-a") is message.headers("x-a")
    assert message.fields is message.fields


def test_an_ipv6_via_is_read():
    message = parse_message(request(via="SIP/2.0/UDP [2001:db8::9]:5070;branch=z9hG4bK-6;received=[2001:db8::1]"))
    assert (message.via.host, message.via.port, message.via.branch) == ("[2001:db8::9]", 5070, "z9hG4bK-6")
    assert message.via.params["received"] == "[2001:db8::1]"


# -- what deserves an answer, and which ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Via", "From", "To", "Call-ID", "CSeq"])
def test_a_request_without_a_mandatory_header_deserves_400(name):
    lines = [line for line in request().split(b"\r\n") if not line.startswith(name.encode() + b":")]
    error = refusal(b"\r\n".join(lines))
    assert (error.status, error.reason.lower()) == (400, f"missing {name.lower()}")
    assert error.request is not None


@pytest.mark.parametrize("name", ["From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Length"])
def test_a_singleton_given_twice_deserves_400(name):
    data = request()
    line = next(line for line in data.split(b"\r\n") if line.startswith(name.encode() + b":"))
    error = refusal(data.replace(line, line + b"\r\n" + line))
    assert (error.status, error.reason.lower()) == (400, f"more than one {name.lower()}")


@pytest.mark.parametrize("length", ["-1", "x", "", "1.0", "1 2", "+3", "\u0663", "9" * 10, "9" * 5_000, "100000"])
def test_a_content_length_that_cannot_be_deserves_400(length):
    error = refusal(request(body=SDP).replace(f"Content-Length: {len(SDP)}".encode(), f"l: {length}".encode()))
    assert error.status == 400
    assert "Content-Length" in error.reason


def test_a_body_longer_than_its_content_length_is_cut():
    assert parse_message(request(body=SDP) + b"and more").body == SDP


def test_without_content_length_the_body_is_the_rest_of_the_datagram():
    data = request(body=SDP).replace(f"Content-Length: {len(SDP)}\r\n".encode(), b"")
    assert parse_message(data).body == SDP


@pytest.mark.parametrize(
    "line", ["no colon", ": no name", "two words: x", "caf\u00e9", "\u2028"], ids=lambda line: line.encode().hex()
)
def test_a_line_that_is_no_header_deserves_400(line):
    error = refusal(request(headers=f"{line}\r\n"))
    assert (error.status, error.reason) == (400, "Malformed Header")


def test_a_bare_carriage_return_deserves_400_and_is_not_kept():
    error = refusal(request(from_="<sip:a@b>;tag=1\rEvil: 1"))
    assert (error.status, error.reason) == (400, "Bare Carriage Return")
    assert error.request is not None
    assert not any("\r" in value for _, value in error.request.fields)


def test_a_request_torn_inside_its_headers_deserves_400():
    data = request()
    error = refusal(data[: data.index(b"Content-Length")])
    assert (error.status, error.reason) == (400, "Message Ends Inside the Headers")


@pytest.mark.parametrize("version", [b"SIP/7.0", b"SIP/2.1", b"sip/3.0 "])
def test_another_version_deserves_505(version):
    error = refusal(request().replace(b" SIP/2.0\r\n", b" " + version + b"\r\n", 1))
    assert error.status == 505
    assert error.request is not None


@pytest.mark.parametrize("blanks", [b" ", b"  ", b"\t"])
def test_blanks_behind_the_version_deserve_400(blanks):
    """RFC 4475 section 3.1.2.10."""
    error = refusal(request().replace(b" SIP/2.0\r\n", b" SIP/2.0" + blanks + b"\r\n", 1))
    assert (error.status, error.reason) == (400, "Blanks at the End of the Request Line")
    assert error.request is not None
    assert error.request.uri == "sip:4420@192.0.2.1"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data.replace(b"Call-ID: x\r\n", b""),
        lambda data: data.replace(b"Call-ID: x\r\n", b"Call-ID: x\r\nCall-ID: x\r\n"),
        lambda data: data[:-20],
        lambda data: data.replace(b"\r\n\r\n", b"\r\nContent-Length: 9\r\n\r\n"),
    ],
    ids=["missing", "twice", "torn", "length"],
)
def test_a_broken_response_is_never_answered(spoil):
    error = refusal(spoil(OK))
    assert (error.status, error.request) == (0, None)


LIMITS = Limits(max_message_bytes=2_000, max_headers=20, max_line_chars=200)


def test_an_oversized_request_deserves_513_and_is_known_well_enough_to_be_answered():
    error = refusal(request(body=b"x" * 2_000), LIMITS)
    assert error.status == 513
    assert error.request is not None
    assert error.request.via.branch == "z9hG4bK-1"


@pytest.mark.parametrize("data", [b"x" * 3_000, OK.replace(b"\r\n\r\n", b"\r\n\r\n" + b"x" * 2_000)])
def test_what_is_oversized_and_no_request_is_never_answered(data):
    error = refusal(data, LIMITS)
    assert (error.status, error.request) == (0, None)


def test_a_header_bomb_deserves_400_and_is_read_no_further():
    error = refusal(request(headers="X: y\r\n" * 100), LIMITS)
    assert (error.status, error.reason) == (400, "Too Many Headers")
    assert error.request is not None
    assert len(error.request.fields) == LIMITS.max_headers


@pytest.mark.parametrize("header", ["Subject: " + "x" * 300, "Subject: x" + "\r\n xxxxxxxxxxxxxxxxxxx" * 15])
def test_a_header_too_long_deserves_400_however_it_is_folded(header):
    error = refusal(request(headers=f"{header}\r\n"), LIMITS)
    assert (error.status, error.reason) == (400, "Header Too Long")


@pytest.mark.parametrize(
    ("total", "longest", "is_taken"), [(16_000, 8_192, True), (17_000, 8_192, False), (17_000, 20_000, True)]
)
def test_headers_that_are_too_long_together_deserve_400(total, longest, is_taken):
    """Each answer repeats all Vias, and is kept."""
    vias = ["Via: SIP/2.0/UDP proxy.example;branch=z9hG4bK" + "x" * 1_000 + "\r\n"] * (total // 1_050 - 1)
    data = request("OPTIONS", headers="".join(vias) + "Subject: " + "x" * (total % 1_050 + 500) + "\r\n")
    limits = Limits(max_line_chars=longest)
    if is_taken:
        assert len(parse_message(data, limits).headers("via")) == len(vias) + 1
    else:
        error = refusal(data, limits)
        assert (error.status, error.reason) == (400, "Headers Too Long")


def test_at_the_limits_a_message_is_taken():
    headers = "Subject: " + "x" * (LIMITS.max_line_chars - len("Subject: ")) + "\r\n"
    headers += "X: y\r\n" * (LIMITS.max_headers - 10)
    data = request(headers=headers)
    assert data[: data.index(b"\r\n\r\n")].count(b"\r\n") + 1 == LIMITS.max_headers
    data = data.replace(
        b"Content-Length: 0\r\n", b"Content-Length: %4d\r\n" % (LIMITS.max_message_bytes - len(data) - 3)
    )
    body = b"x" * (LIMITS.max_message_bytes - len(data))
    assert parse_message(data + body, LIMITS).body == body
    assert refusal(data + body + b"x", LIMITS).status == 513
