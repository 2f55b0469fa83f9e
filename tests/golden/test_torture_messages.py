"""The test messages of RFC 4475 and RFC 5118, read: what parses, what is refused, and what is said of the rest."""

from typing import Final

import pytest
from doubles.virtual.probe import CUSTOMER

from vosd.sip import ParseError, Request, Response, parse_message
from vosd.sip.headers.via import Via
from vosd.sip.wire.compose import response, response_stem
from vosd.sip.wire.message import Message

from .torture import MESSAGES

REFUSED: Final = {
    # -- RFC 4475 section 3.1.2, invalid messages
    "rfc4475_3.1.2.2_clerr": (400, "Content-Length Larger Than the Message"),
    "rfc4475_3.1.2.3_ncl": (400, "Bad Content-Length"),
    "rfc4475_3.1.2.10_trws": (400, "Blanks at the End of the Request Line"),
    "rfc4475_3.1.2.16_badvers": (505, "Version Not Supported"),
    "rfc4475_3.1.2.19_bigcode": (0, "Bad Status Line"),
    # -- section 3.3, what the application layer refuses
    "rfc4475_3.3.1_insuf": (400, "Missing From"),
    "rfc4475_3.3.8_multi01": (400, "More Than One Call-Id"),
    "rfc4475_3.3.9_mcl01": (400, "More Than One Content-Length"),
}
"""Not read: the status that a request deserves, 0 for none."""

FAULTY: Final = {
    "rfc4475_3.1.2.1_badinv01": ("Via must be a list of hops", "Contact must be a list of addresses"),
    "rfc4475_3.1.2.4_scalar02": (
        "CSeq must be a number below 2^31",
        "Max-Forwards must be a number up to 255",
        "Expires must be a number of seconds",
        "The parameter expires of Contact must be a number of seconds",
    ),
    "rfc4475_3.1.2.5_scalarlg": (
        "CSeq must be a number below 2^31",
        "Retry-After must be a number of seconds",
        "Warning must be a list",
        "To must have a tag",
    ),
    "rfc4475_3.1.2.6_quotbal": ("To must be one address",),
    "rfc4475_3.1.2.7_ltgtruri": ("The Request-URI must be a URI",),
    "rfc4475_3.1.2.8_lwsruri": ("The Request-URI must be a URI",),
    "rfc4475_3.1.2.9_lwsstart": ("The Request-URI must be a URI",),
    "rfc4475_3.1.2.11_escruri": ("The Request-URI must be a URI without headers",),
    "rfc4475_3.1.2.12_baddate": ("Date must be a date",),
    "rfc4475_3.1.2.13_regbadct": ("Contact must be a list of addresses",),
    "rfc4475_3.1.2.14_badaspec": ("To must be one address",),
    "rfc4475_3.1.2.15_baddn": ("From must be one address", "To must be one address"),
    "rfc4475_3.1.2.17_mismatch01": ("CSeq counts 'INVITE' in a request that is 'OPTIONS'",),
    "rfc4475_3.1.2.18_mismatch02": ("CSeq counts 'INVITE' in a request that is 'NEWMETHOD'",),
    "rfc4475_3.2.1_badbranch": ("The topmost Via has a branch that is the cookie",),
    "rfc4475_3.3.2_unkscm": ("The Request-URI has a scheme that is neither sip, sips nor tel",),
    "rfc4475_3.3.3_novelsc": ("The Request-URI has a scheme that is neither sip, sips nor tel",),
    "rfc4475_3.4.1_inv2543": ("Max-Forwards must be there", "Contact must be there", "From must have a tag"),
    "rfc5118_4.2_ipv6-bad": ("The Request-URI must be a URI",),
    # RFC 5118 wants the third colon read over; it is named all the same, for others refuse it
    "rfc5118_4.10.1_ipv6-bug-abnf-3-colons": ("The Request-URI must be a URI", "To must be one address"),
}
"""Read, with what ``problems()`` says of them."""

FLAWLESS: Final = sorted(MESSAGES.keys() - REFUSED.keys() - FAULTY.keys())


def read(name: str) -> Request | Response:
    return parse_message(MESSAGES[name])


def asked_everything(message: Message) -> None:
    """Touch every typed property and every header; a value that cannot be read raises."""
    for value in message.headers("via"):
        Via.parse(value)
    assert message.via.branch or message.call_id
    assert message.cseq.number >= 0
    assert (message.from_.tag, message.to.tag) == (message.from_tag, message.to_tag)
    assert message.contact is None or message.contact.uri
    assert sum(len(message.values(name)) for name in {name for name, _ in message.fields}) == len(message.fields)


def test_the_whole_corpus_is_here():
    """RFC 4475 has 49 messages, RFC 5118 has 12."""
    assert sum(name.startswith("rfc4475") for name in MESSAGES) == 49
    assert sum(name.startswith("rfc5118") for name in MESSAGES) == 12
    assert REFUSED.keys() | FAULTY.keys() <= MESSAGES.keys()
    assert not REFUSED.keys() & FAULTY.keys()


def test_what_the_rfcs_call_valid_is_flawless():
    """RFC 4475 section 3.1.1 and RFC 5118 but for its sections 4.2 and 4.10."""
    valid = {name for name in MESSAGES if name.startswith(("rfc4475_3.1.1.", "rfc5118_"))}
    assert valid - set(FLAWLESS) == {"rfc5118_4.2_ipv6-bad", "rfc5118_4.10.1_ipv6-bug-abnf-3-colons"}


def test_what_rfc4475_calls_invalid_is_refused_or_named():
    """Section 3.1.2."""
    assert [name for name in FLAWLESS if name.startswith("rfc4475_3.1.2.")] == []


@pytest.mark.parametrize("name", REFUSED)
def test_a_message_that_cannot_be_read_says_why_and_what_it_deserves(name):
    status, reason = REFUSED[name]
    with pytest.raises(ParseError) as caught:
        read(name)
    assert (caught.value.status, caught.value.reason) == (status, reason)
    assert (caught.value.request is None) == (status == 0)


@pytest.mark.parametrize("name", FAULTY)
def test_what_a_strict_peer_would_refuse_is_named(name):
    message = read(name)
    assert bytes(message) == MESSAGES[name]
    problems = message.problems()
    assert len(problems) == len(FAULTY[name]), problems
    for said, expected in zip(problems, FAULTY[name], strict=True):
        assert said.startswith(expected)


@pytest.mark.parametrize("name", FLAWLESS)
def test_a_flawless_message_survives_a_round_trip_and_can_be_asked_everything(name):
    message = read(name)
    assert bytes(message) == MESSAGES[name]
    assert message.problems() == []
    asked_everything(message)


@pytest.mark.parametrize("name", [name for name in FLAWLESS if isinstance(read(name), Request)])
def test_a_flawless_request_can_be_answered_flawlessly(name):
    request = read(name)
    assert isinstance(request, Request)
    answer = parse_message(response(response_stem(request, CUSTOMER), 200, "ours", "Contact: <sip:192.0.2.1>\r\n"))
    assert isinstance(answer, Response)
    assert answer.problems() == []
    for header in ("from", "call-id", "cseq"):
        assert answer.header(header) == request.header(header)
    assert answer.to_tag == (request.to_tag or "ours")
    assert [Via.parse(value).host for value in answer.headers("via")] == [
        Via.parse(value).host for value in request.headers("via")
    ]


# -- what the messages are about -------------------------------------------------------------------------------------


def test_wsinv_folds_and_pads_and_is_read_all_the_same():
    message = read("rfc4475_3.1.1.1_wsinv")
    assert isinstance(message, Request)
    assert (message.to.uri, message.to_tag) == ("sip:vivekg@chair-dnrc.example.com", "1918181833n")
    assert (message.from_.display, message.from_tag) == (r'"J Rosenberg \\\""', "98asjd8")
    assert message.cseq == (9, "INVITE")
    assert message.header("subject") == ""
    assert message.header("newfangledheader") == "newfangled value continued newfangled value"
    assert message.header("unknownheaderwithunusualvalue") == ";;,,;;,;"
    assert [Via.parse(via).branch for via in message.headers("via")] == ["390skdjuw", "z9hG4bK9ikj8", "z9hG4bK30239"]
    assert [Via.parse(via).transport for via in message.headers("via")] == ["UDP", "TCP", "UDP"]
    contact = message.contact
    assert contact is not None
    assert (contact.display, contact.param("q"), contact.param("newparam")) == (
        r'"Quoted string \"\""', "0.33", "newvalue",
    )  # fmt: skip
    assert len(message.body) == 150


def test_intmeth_uses_every_character_that_is_allowed():
    message = read("rfc4475_3.1.1.2_intmeth")
    assert isinstance(message, Request)
    assert message.method == "!interesting-Method0123456789_*+`.%indeed'~"
    assert message.target.user == "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/"
    assert message.to.display == '"BEL:\\\x07 NUL:\\\x00 DEL:\\\x7f"'
    assert message.from_tag == "_token~1'+`*%!-."
    assert (
        message.from_.param("fromparam''~+*_!.-%") == '"\u0440\u0430\u0431\u043e\u0442\u0430\u044e\u0449\u0438\u0439"'
    )
    assert message.header("extensionheader-!.%*+_`'~") == "\ufeff\u5927\u505c\u96fb"


@pytest.mark.parametrize(
    ("name", "user"),
    [
        ("rfc4475_3.1.1.3_esc01", "sips:user@example.com"),
        ("rfc4475_3.1.1.9_semiuri", "user"),
        ("rfc5118_4.6_ipv6-in-sdp", "user"),
    ],
)
def test_the_user_part_is_read_without_escapes_and_parameters(name, user):
    message = read(name)
    assert isinstance(message, Request)
    assert message.target.user == user


def test_an_escaped_null_character_is_a_character():
    message = read("rfc4475_3.1.1.4_escnull")
    assert message.headers("contact") == ["<sip:%00@host5.example.com>", "<sip:%00%00@host5.example.com>"]


def test_percent_signs_escape_nothing_in_methods_and_header_names():
    message = read("rfc4475_3.1.1.5_esc02")
    assert isinstance(message, Request)
    assert message.method == "RE%47IST%45R"
    assert len(message.headers("contact")) == 2
    assert message.header("c%6fntact") == "<sip:alias2@host2.example.com>"


def test_longreq_is_not_too_long():
    message = read("rfc4475_3.1.1.7_longreq")
    assert len(message.headers("via")) == 34
    assert message.from_.uri == f"sip:{'amazinglylongcallername' * 5}@example.net"


def test_a_second_message_in_the_datagram_is_left_alone():
    message = read("rfc4475_3.1.1.8_dblreq")
    assert message.body == b""
    assert len(message.raw) > message.raw.index(b"\r\n\r\n") + 4


def test_a_binary_body_is_kept_to_the_last_byte():
    message = read("rfc4475_3.1.1.11_mpart01")
    assert len(message.body) == 553
    assert b"\0" in message.body


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("rfc4475_3.1.1.12_unreason", 200, "= 2**3 * 5**2 \u043d\u043e \u0441\u0442\u043e"),
        ("rfc4475_3.1.1.13_noreason", 100, ""),
    ],
)
def test_a_reason_phrase_may_be_any_text_or_none(name, status, reason):
    message = read(name)
    assert isinstance(message, Response)
    assert (message.status, message.reason[: len(reason)]) == (status, reason)


@pytest.mark.parametrize(
    ("name", "host", "port"),
    [
        ("rfc5118_4.1_ipv6-good", "[2001:db8::10]", None),
        ("rfc5118_4.3_port-ambiguous", "[2001:db8::10:5070]", None),
        ("rfc5118_4.4_port-unambiguous", "[2001:db8::10]", 5070),
        ("rfc5118_4.10.1_ipv6-bug-abnf-3-colons", "[2001:db8:::192.0.2.1]", None),
        ("rfc5118_4.10.2_ipv6-correct-abnf-2-colons", "[2001:db8::192.0.2.1]", None),
    ],
)
def test_brackets_tell_an_ipv6_address_from_its_port(name, host, port):
    message = read(name)
    assert isinstance(message, Request)
    assert (message.target.host, message.target.port) == (host, port)


@pytest.mark.parametrize(
    ("name", "received"),
    [
        ("rfc5118_4.5.1_via-received-param-with-delim", "[2001:db8::9:255]"),
        ("rfc5118_4.5.2_via-received-param-no-delim", "2001:db8::9:255"),
    ],
)
def test_an_ipv6_received_is_read_with_brackets_and_without(name, received):
    via = read(name).via
    assert via.params["received"] == received
    assert via.branch.startswith("z9hG4bKas3")


def test_addresses_of_both_families_stand_beside_each_other():
    hops = [Via.parse(value) for value in read("rfc5118_4.7_mult-ip-in-header").headers("via")]
    assert [(hop.host, hop.port) for hop in hops] == [
        ("[2001:db8::9:1]", 6050), ("192.0.2.1", None), ("[2001:db8::9:255]", None),
    ]  # fmt: skip
    assert read("rfc5118_4.9_ipv4-mapped-ipv6").via.host == "[::ffff:192.0.2.10]"
