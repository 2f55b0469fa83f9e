"""``problems()``: what a strict peer would refuse although it can be read, in sentences."""

import pytest
from doubles.virtual.probe import CUSTOMER, SDP, VENDOR, request, straight

from vosd.sip import parse_message
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.strictness.header_rules import header_fault
from vosd.sip.wire.compose import ack_of_failure, cancel, invite, response, response_stem
from vosd.sip.wire.message import Request
from vosd.sip.wire.outgoing import InviteParts

OK = (
    "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK-1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\n"
    "Call-ID: x\r\nCSeq: 1 INVITE\r\nContact: <sip:c@d>\r\n\r\n"
)


def of_request(data: bytes) -> list[str]:
    return parse_message(data).problems()


def of_response(text: str) -> list[str]:
    return parse_message(text.encode("utf-8", "surrogateescape")).problems()


def test_a_plain_call_has_no_problems():
    assert of_request(request(body=SDP)) == []
    assert of_response(OK) == []


FINE = {
    "accept": ["", "application/sdp", "*/*", "application/*;q=0.5, text/plain;charset=utf-8"],
    "accept-encoding": ["", "gzip, identity;q=0.5", "*"],
    "accept-language": ["en", "da, en-gb;q=0.8, *;q=0"],
    "alert-info": ["<http://www.example.com/ring.wav>", "<urn:alert:service:normal>;x=1, <sip:a@b>"],
    "allow": ["", "INVITE", "INVITE,ACK , BYE", "X-!%*_+`'~"],
    "authorization": ['Digest username="a", realm="b", nonce="c,d", uri="sip:e", response="f", nc=00000001', "X a=b"],
    "call-id": ["a", "a@b", "f81d4fae@[::1]", r"()<>:\"/[]?{}"],
    "call-info": ["<http://h/p.jpg>;purpose=icon, <sip:a@b>"],
    "contact": [
        "*", "<sip:a@b>", "sip:a@b;expires=60", '"A, B" <sip:a,b@c?d=e>;q=0.7;expires="60"', "<sip:a@b>, <sip:c@d>;q=1",
        "<tel:+44>", "<mailto:a@b>", "A <sips:[2001:db8::1]:5061;transport=tls;lr>",
    ],
    "content-disposition": ["session", "session;handling=optional"],
    "content-encoding": ["gzip", "gzip, tar"],
    "content-length": ["0", "007"],
    "content-type": ["application/sdp", "multipart/mixed;boundary=a", 'message/sip ; charset="x"'],
    "cseq": ["0 INVITE", "2147483647 X"],
    "date": ["Sat, 13 Nov 2010 23:29:00 GMT", "Thu, 29 Feb 2024 00:00:00 GMT"],
    "diversion": ["<sip:a@b>;reason=user-busy;counter=1, <tel:+44>"],
    "event": ["refer", "presence;id=1"],
    "expires": ["0", "4294967295"],
    "from": ["<sip:a@b>;tag=1", "sip:a@b;tag=1", "Anonymous <sip:a@b>", 'caller<sip:a@b>;x="y;z"', '"\\"" <sip:b>'],
    "history-info": ["<sip:a@b?Reason=SIP%3Bcause%3D302>;index=1, <sip:c@d>;index=1.1"],
    "in-reply-to": ["a@b, c"],
    "max-forwards": ["0", "70", "0255"],
    "mime-version": ["1.0"],
    "min-se": ["90", "90;x=1"],
    "p-asserted-identity": ['"A" <sip:a@b>, <tel:+44>', "tel:+44"],
    "privacy": ["id", "header;session;critical"],
    "proxy-require": ["a, b"],
    "rack": ["1 2 INVITE"],
    "reason": ['Q.850;cause=16;text="a, b", SIP;cause=200'],
    "record-route": ["<sip:a;lr>", "<sip:a@b:5060;lr;x=y>, <sip:c>;x"],
    "refer-to": ["<sip:a@b?Replaces=c%3Bto-tag%3Dd>", "sip:a@b"],
    "replaces": ["a@b;to-tag=1;from-tag=2;early-only"],
    "require": ["100rel", "a,b"],
    "retry-after": ["5", "18000;duration=3600", "120 (I'm in a (nested) meeting)"],
    "rseq": ["1"],
    "server": ["vosd/0.1.0", "A/1 (x \\) y) B"],
    "session-expires": ["1800;refresher=uac"],
    "subject": ["", "anything: at, all; \"", "\u5927\u505c\u96fb"],
    "subscription-state": ["active;expires=60"],
    "supported": ["", "timer"],
    "timestamp": ["54", "54.3 0.1", "1."],
    "user-agent": ["Asterisk PBX 16.2", "FreeSWITCH-mod_sofia/1.10.9"],
    "via": [
        "SIP/2.0/UDP h;branch=z9hG4bK1", "SIP / 2.0 / TCP [::1]:5060;rport;ttl=16, SIP/2.0/UDP 192.0.2.1",
        "SIP/2.0/UDP h;received=::1;maddr=192.0.2.9;rport=5060", 'SIP/2.0/X h;x="a;;b,c"',
    ],
    "warning": ['399 h:5060 "text"', '370 h "a, b", 301 h.example "c"'],
    "x-anything": ["", ";;,,;;,;", "\u00fc"],
}  # fmt: skip

FAULTY = {
    "accept": ["sdp", "a/b,,c/d", "a/b;"],
    "alert-info": ["http://h/", "<no uri>"],
    "allow": ["INVITE;x", "INVITE BYE", "INVITE,,BYE", "\u00fc"],
    "authorization": ["Digest", 'Digest username="open', "Digest a=b;c=d"],
    "call-id": ["", "a b", "a@b@c", "\x00", "\u00fc"],
    "contact": [
        "", "sip:a@b?c=d", "sip:a,b@c", "<sip:a@b", "sip:a@b>", "<sip:a b@c>", '"open <sip:a@b>', "A, B <sip:a@b>",
        "<sip:a@b>;;", "<sip:a@b>;q=2", "<sip:a@b>;q=0.1234", "<sip:a@b>;expires=-1", "<sip:a@b>;expires=4294967296",
        "<sip:a@b>;x=1;X=2", "<sip:a@b:0>", "<sip:a@b:65536>", "<sip:a@[::1>", "<sip:a@[1:::2]>", "<sip:a@1.2.3.256>",
        "<sip:%4@b>", "<sip:a#b@c>", "<>", "< sip:a@b >", "<sip:a@b>,", "<sip:-a->", "<sip:a_b>",
    ],
    "content-length": ["", "-1", "1 2"],
    "content-type": ["sdp", "application/sdp;", "a/b;c=d=e"],
    "cseq": ["1", "INVITE 1", "2147483648 INVITE", "1 IN(VITE", "9" * 5_000 + " X"],
    "date": [
        "Fri, 01 Jan 2010 16:00:00 EST", "Fri, 13 Nov 2010 23:29:00 GMT", "Sun, 30 Feb 2025 00:00:00 GMT",
        "Sat, 13 Nov 2010 24:00:00 GMT", "13 Nov 2010", "Sat, 00 Nov 2010 23:29:00 GMT",
    ],
    "expires": ["", "-1", "4294967296", "9" * 5_000, "Thu, 01 Dec 1994 16:00:00 GMT", "60;x"],
    "from": [
        "", "sip:", "a@b", "<sip:a@b", '"A" sip:a@b', "<sip:a@b> junk", "<sip:a@b>;tag=1;tag=2", "Bell, A <sip:a@b>",
        "<sip:a@b>;tag=", "sip:a@b, sip:c@d", '"\x01" <sip:a@b>', "\udcff <sip:a@b>", "J\u00fcrgen <sip:a@b>",
    ],
    "max-forwards": ["", "256", "-1", "x", "7 0"],
    "p-asserted-identity": ["<sip:a@b>;x", "a"],
    "privacy": ["id, critical", ""],
    "rack": ["1 INVITE", "1 2147483648 INVITE"],
    "reason": ["Q.850;cause=16;text=\"open", ";cause=1"],
    "record-route": ["sip:a;lr", "", "<sip:a;lr>;;x"],
    "require": ["", "a;b"],
    "retry-after": ["soon", "5 (open", "99999999999"],
    "server": ["", "@", "(open"],
    "subject": ["a\x00b", "\x7f", "\udcff"],
    "timestamp": ["", "x", "1.2.3"],
    "via": [
        "", "SIP/2.0/UDP", "SIP/3.0/UDP h", "SIP/2.0/UDP h;;", "SIP/2.0/UDP h;branch=1;branch=2", "SIP/2.0/UDP h,",
        "SIP/2.0/UDP h;ttl=256", "SIP/2.0/UDP h;rport=0", "SIP/2.0/UDP ::1", "SIP/2.0/UDP h;maddr=a_b",
    ],
    "warning": ['1812 h "text"', "399 h text", '399 "text"'],
    "x-anything": ["\x00", "\x1b", "\udcff"],
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in FINE.items() for value in values])
def test_a_value_of_the_grammar_is_fine(name, value):
    assert header_fault(name, value) is None


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in FAULTY.items() for value in values])
def test_a_value_outside_the_grammar_is_named_in_a_sentence(name, value):
    fault = header_fault(name, value)
    assert fault is not None
    assert fault.isascii()
    assert fault.isprintable()
    assert fault.endswith(".")
    assert name in fault.lower()
    assert len(fault) < 250


# -- whole messages --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("uri", ["<sip:a@b>", "sip:a@b; lr", " sip:a@b ", "sip:a@b?c=d", "sip:2001:db8::10", "sip:@b"])
def test_a_request_uri_outside_the_grammar_is_named(uri):
    [problem] = of_request(request(uri=uri))
    assert problem.startswith("The Request-URI must be a URI without headers")


@pytest.mark.parametrize("uri", ["mailto:a@b", "soap.beep://192.0.2.103:3002", "urn:service:sos"])
def test_an_unknown_scheme_of_the_request_uri_is_named(uri):
    assert of_request(request(uri=uri)) == [f"The Request-URI has a scheme that is neither sip, sips nor tel: {uri!r}."]


@pytest.mark.parametrize(
    "uri",
    [
        "sip:b", "SIPS:a@b:5061;transport=tcp", "tel:+44-20;phone-context=x", "sip:a@b.", "sip:a@gw-1.carrier.example.",
        "sip:a@gw.example.:5061;transport=tls",
    ],
)  # fmt: skip
def test_schemes_that_are_ours_are_fine(uri):
    assert of_request(request(uri=uri)) == []


@pytest.mark.parametrize("line", ["Date: Sat, 13 Nov 2010 23:29:00 GMT", "Expires: 60", "Subject: x", "User-Agent: x"])
def test_a_header_that_may_come_once_and_comes_twice_is_named(line):
    name = line.partition(":")[0]
    assert of_request(request(headers=f"{line}\r\n" * 3)) == [f"{name} may come once and comes 3 times."]


@pytest.mark.parametrize("line", ["Require: x", "Allow: BYE", "Via: SIP/2.0/UDP h", "X-Any: x", 'Warning: 399 h "x"'])
def test_a_header_that_may_come_often_is_fine(line):
    assert of_request(request(headers=f"{line}\r\n" * 3)) == []


def test_a_header_name_that_is_no_word_is_named():
    assert of_request(request(headers="X(y): z\r\n")) == ["A header's name must be a word, not 'x(y)'."]


@pytest.mark.parametrize(
    ("method", "missing"),
    [
        ("SUBSCRIBE", {"Contact", "Event"}), ("NOTIFY", {"Contact", "Event", "Subscription-State"}),
        ("REFER", {"Contact", "Refer-To"}), ("PRACK", {"RAck"}), ("UPDATE", {"Contact"}), ("BYE", set()),
    ],
)  # fmt: skip
def test_what_a_method_must_have_is_missed(method, missing):
    assert {problem.partition(" ")[0] for problem in of_request(request(method))} == missing


def test_a_request_without_max_forwards_contact_and_tag_is_named_for_each():
    data = request(from_="<sip:a@b>").replace(b"Max-Forwards: 70\r\n", b"").replace(b"Contact:", b"X-Contact:")
    assert of_request(data) == [
        "Max-Forwards must be there in INVITE requests.", "Contact must be there in INVITE requests.",
        "From must have a tag.",
    ]  # fmt: skip


def test_a_body_of_no_type_is_named():
    data = request(body=b"x", headers="Content-Type: text/plain\r\n").replace(b"Content-Type: text/plain\r\n", b"")
    assert of_request(data) == ["Content-Type must be there in messages with a body."]


@pytest.mark.parametrize("contact", ["<sip:a@b>, <sip:c@d>", "*"])
def test_a_dialog_needs_one_address(contact):
    [*_, last] = of_request(request(headers=f"Contact: {contact}\r\n"))
    assert last.startswith("Contact ")


def test_a_contact_that_cannot_be_called_is_named():
    assert of_request(request(headers="Contact: <mailto:a@b>\r\n")) == [
        "Contact must be a SIP address in INVITE requests, not '<mailto:a@b>'."
    ]


@pytest.mark.parametrize(("expires", "count"), [("0", 0), ("60", 1)])
def test_a_star_takes_all_bindings_back_and_nothing_else(expires, count):
    data = request("REGISTER", headers=f"Contact: *\r\nExpires: {expires}\r\n")
    assert len(of_request(data)) == count


def test_a_cseq_of_another_method_and_a_bare_cookie_are_named():
    problems = of_request(request(cseq="1 BYE", branch="z9hG4bK"))
    assert problems == [
        "CSeq counts 'BYE' in a request that is 'INVITE'.",
        "The topmost Via has a branch that is the cookie of RFC 3261 and nothing else.",
    ]


def test_bare_line_feeds_are_reported_in_the_head_only():
    data = request(body=SDP.replace(b"\r\n", b"\n"))
    assert of_request(data) == []
    head, _, body = data.partition(b"\r\n\r\n")
    problem = "Lines must end in carriage return and line feed."
    assert of_request(head.replace(b"\r\n", b"\n") + b"\n\n" + body) == [problem]
    assert of_request(head.replace(b"\r\n", b"\n", 1) + b"\r\n\r\n" + body) == [problem]


@pytest.mark.parametrize(
    ("status", "needed"),
    [
        (401, "WWW-Authenticate"), (405, "Allow"), (407, "Proxy-Authenticate"), (420, "Unsupported"), (422, "Min-SE"),
        (423, "Min-Expires"), (489, "Allow-Events"),
    ],
)  # fmt: skip
def test_what_a_status_must_explain_is_missed(status, needed):
    assert of_response(OK.replace("200 OK", f"{status} No")) == [f"{needed} must be there in {status} responses."]


def test_a_response_without_tags_is_named_for_each():
    assert of_response(OK.replace(";tag=1", "").replace(";tag=2", "")) == [
        "From must have a tag.", "To must have a tag.",
    ]  # fmt: skip
    assert of_response(OK.replace("200 OK", "100 Trying").replace(";tag=2", "")) == []


def test_an_answer_without_contact_and_a_reason_with_control_characters_are_named():
    assert of_response(OK.replace("Contact: <sip:c@d>\r\n", "").replace("200 OK", "200 O\x07K")) == [
        "The reason phrase must be text without control characters, not 'O\\x07K'.",
        "Contact must be there in 200 responses.",
    ]


# -- what we write ----------------------------------------------------------------------------------------------------


def test_what_we_compose_has_no_problems():
    parts = InviteParts(
        uri="sip:%2344@198.51.100.7:5060", via="SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bKours",
        from_='"A \\"B\\"" <sip:4930@192.0.2.1>;tag=ours', to="<sip:%2344@198.51.100.7>", call_id="out@192.0.2.1",
        sequence=1, peer=VENDOR,
    )  # fmt: skip
    contact = "Contact: <sip:192.0.2.1:5060>\r\n"
    asked = parse_message(request(headers="Record-Route: <sip:p;lr>\r\n"))
    assert isinstance(asked, Request)
    dialog = Dialog.of_caller(asked, "ours", CUSTOMER, straight)
    for data in (
        invite(parts, 69, f"{contact}Content-Type: application/sdp\r\n", SDP),
        cancel(parts, ""), ack_of_failure(parts, "<sip:c@d>;tag=2"), dialog.request("BYE", parts.via, 1, ""),
        response(response_stem(asked, CUSTOMER), 200, "ours", contact),
        response(response_stem(asked, CUSTOMER), 486, "ours", 'Reason: Q.850;cause=17;text="Busy"\r\n'),
    ):  # fmt: skip
        assert parse_message(data).problems() == [], data
