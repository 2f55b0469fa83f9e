"""Header fields and URIs as values: what is read, and what is refused (RFC 3261 sections 19.1 and 20)."""

import pytest

from vosd.sip.headers.cseq import CSeq
from vosd.sip.headers.name_addr import NameAddr, tag_of
from vosd.sip.headers.names import SPELLINGS, MalformedNameError, canonical
from vosd.sip.headers.via import Via, branch_of
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.grammar import first_of, parameters, split_list
from vosd.sip.wire.uri import Uri


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("sip:4420@192.0.2.1", Uri("sip", "4420", "192.0.2.1", None, "")),
        ("SIPS:a.b@Example.COM:5061;transport=TLS;lr", Uri("sips", "a.b", "Example.COM", 5061, ";transport=TLS;lr")),
        ("sip:192.0.2.1", Uri("sip", "", "192.0.2.1", None, "")),
        ("sip:+44%2020;phone-context=x:secret@[2001:db8::1]:5062", Uri("sip", "+44 20", "[2001:db8::1]", 5062, "")),
        ("sip:a@h?Subject=x&To=y", Uri("sip", "a", "h", None, "", "?Subject=x&To=y")),
        ("sip:a?b@h;c?d=e", Uri("sip", "a?b", "h", None, ";c", "?d=e")),
        ("sip:%ff%zz%e2%82%ac@h", Uri("sip", "\ufffd%zz\u20ac", "h", None, "")),
        ("sip:J%C3%BCrgen@h", Uri("sip", "Jürgen", "h", None, "")),
        ("sip:4420%0d%0aEvil%3a1@h", Uri("sip", "4420\r\nEvil:1", "h", None, "")),
        ("tel:+44-20;phone-context=uk", Uri("tel", "+44-20", "", None, ";phone-context=uk")),
        ("tel:%2a21", Uri("tel", "*21", "", None, "")),
    ],
)
def test_a_uri_gives_its_parts(text, uri):
    assert Uri.parse(text) == uri


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("http://x/", 416), ("mailto:a@b", 416), ("urn:service:fax", 416), ("", 400), ("sip:", 400), ("4420", 400),
        (" sip:a@b", 400), ("sip:a b@c", 400), ("sip:a@b@c", 400), ("sip:a@b:0", 400), ("sip:a@b:65536", 400),
        ("sip:a@b:123456", 400), ("sip:a@[::1", 400), ("sip:a@b c", 400), ("<sip:a@b>", 400), ("tel:", 400),
        ("sip:a@ex\u00e4mple", 400), ("sip:\udcff@h", 400), ("tel:\udcff", 400), ("sip:a@b\n", 400), ("tel:1\n", 400),
    ],
)  # fmt: skip
def test_an_unsupported_uri_is_an_error(text, status):
    with pytest.raises(ParseError) as caught:
        Uri.parse(text)
    assert caught.value.status == status


def test_uri_parameters_are_compared_without_case():
    uri = Uri.parse("sip:a@b;Transport=UDP;lr")
    assert (uri.param("transport"), uri.param("lr"), uri.param("maddr")) == ("udp", None, None)


@pytest.mark.parametrize(
    ("text", "display", "uri", "params", "tag"),
    [
        ("<sip:a@b>;tag=1", "", "sip:a@b", ";tag=1", "1"),
        ("Alice Smith <sip:a@b> ; tag = x ;y", "Alice Smith", "sip:a@b", "; tag = x ;y", "x"),
        ('"Smith, \\"A\\" <x>;tag=no" <sip:a@b>;TAG=1', '"Smith, \\"A\\" <x>;tag=no"', "sip:a@b", ";TAG=1", "1"),
        ("sip:a@b;tag=1", "", "sip:a@b", ";tag=1", "1"),
        ("<sip:a;tag=uri@b;tag=uri>", "", "sip:a;tag=uri@b;tag=uri", "", ""),
        ('<sip:a@b>;x=">;tag=no";tag=1', "", "sip:a@b", ';x=">;tag=no";tag=1', "1"),
        ('sip:a@b;x="<y>";tag=1', "", "sip:a@b", ';x="<y>";tag=1', "1"),
        ("<sip:a@b>", "", "sip:a@b", "", ""),
        ("<sip:a@b>;tag=", "", "sip:a@b", ";tag=", ""),
        ("<sip:a@b>;xtag=1", "", "sip:a@b", ";xtag=1", ""),
        ("*", "", "*", "", ""),
        ("<>;tag=1", "", "", ";tag=1", "1"),
    ],
)
def test_an_address_gives_its_parts_and_its_tag_either_way(text, display, uri, params, tag):
    address = NameAddr.parse(text)
    assert address == NameAddr(display, uri, params)
    assert address.tag == tag
    assert tag_of(text) == tag


def test_a_parameter_of_an_address_is_found_without_case():
    address = NameAddr.parse('<sip:a@b>;Expires=60;q="0.5"')
    assert (address.param("expires"), address.param("q"), address.param("none")) == ("60", '"0.5"', None)


@pytest.mark.parametrize(
    "text", ["", "<sip:a@b", '"never closed <sip:a@b>', "sip:a b", "<sip:a@b> junk", '"A" sip:a@b']
)
def test_a_malformed_address_is_an_error(text):
    with pytest.raises(ParseError) as caught:
        NameAddr.parse(text)
    assert caught.value.status == 400


def test_an_address_that_cannot_be_read_has_no_tag():
    assert tag_of('<sip:a@b> junk;x="y";tag=1') == ""


@pytest.mark.parametrize(
    ("text", "transport", "host", "port", "branch"),
    [
        ("SIP/2.0/UDP h;branch=z9hG4bK1", "UDP", "h", None, "z9hG4bK1"),
        ("sip / 2.0 / udp  192.0.2.1 : 5070 ;rport; branch = z9hG4bK2 ;x", "UDP", "192.0.2.1", 5070, "z9hG4bK2"),
        ("SIP/2.0/TLS [2001:db8::1]:5061;branch=b;maddr=[::1]", "TLS", "[2001:db8::1]", 5061, "b"),
        ("SIP/2.0/UDP h", "UDP", "h", None, ""),
        ("SIP/7.0/UDP h;branch=b", "UDP", "h", None, "b"),
        ("SIP/2.0/TLS-SCTP h;branch=b", "TLS-SCTP", "h", None, "b"),
        ("SIP/2.0/UDP h;branch=first;branch=second", "UDP", "h", None, "first"),
    ],
)
def test_a_via_gives_its_parts(text, transport, host, port, branch):
    via = Via.parse(text)
    assert (via.transport, via.host, via.port, via.branch) == (transport, host, port, branch)
    assert branch_of(text) == branch


def test_the_first_of_several_vias_ends_at_its_comma():
    text = 'SIP/2.0/UDP one;x=",";branch=z9hG4bK1, SIP/2.0/UDP two;branch=z9hG4bK2'
    via = Via.parse(text)
    assert (via.host, via.branch) == ("one", "z9hG4bK1")
    assert text[via.length :].startswith(", SIP/2.0/UDP two")


@pytest.mark.parametrize(
    "text",
    [
        "", "SIP/2.0/UDP", "SIP/2.0 h", "SIP/x/UDP h", "HTTP/1.1/TCP h", "SIP/2.0/UDP h:x", "SIP/2.0/UDP h:0",
        "SIP/2.0/UDP h:65536", "SIP/2.0/UDP h:99999", "SIP/2.0/UDP 2001:db8::1", 'SIP/2.0/UDP h;x="open', "h;branch=x",
    ],
)  # fmt: skip
def test_a_malformed_via_is_an_error(text):
    with pytest.raises(ParseError) as caught:
        Via.parse(text)
    assert caught.value.status == 400


@pytest.mark.parametrize(("text", "cseq"), [("1 INVITE", (1, "INVITE")), ("2147483647  x-Y", (2_147_483_647, "x-Y"))])
def test_a_cseq_gives_number_and_method(text, cseq):
    assert CSeq.parse(text) == cseq


@pytest.mark.parametrize(
    "text",
    ["", "1", "INVITE", "-1 INVITE", "1INVITE", "1 INVITE x", "2147483648 INVITE", "9" * 500 + " INVITE", "\u0661 BYE"],
)
def test_a_malformed_cseq_is_an_error(text):
    with pytest.raises(ParseError) as caught:
        CSeq.parse(text)
    assert caught.value.status == 400


def test_parameters_are_read_by_lower_case_name_and_the_first_wins():
    text = ';A=1;b;c="x;d=2";a=3;e=[::1] ; f = 4;=;g='
    assert parameters(text) == {"a": "1", "b": None, "c": '"x;d=2"', "e": "[::1]", "f": "4", "g": None}


@pytest.mark.parametrize("written", ["Via", "VIA", "v", "V", " via\t", "vIA "])
def test_a_name_is_the_same_however_it_is_written(written):
    assert canonical(written) == "via"


@pytest.mark.parametrize("written", ["", " ", "two words"])
def test_a_malformed_header_name_is_an_error(written):
    with pytest.raises(MalformedNameError):
        canonical(written)


def test_invented_header_names_are_cached_within_bounds_and_keep_the_common_ones():
    for number in range(5_000):
        assert canonical(f"X-Made-Up-{number}") == f"x-made-up-{number}"
        assert len(SPELLINGS) <= 1_024
    assert {"Via", "Call-ID", "f"} <= SPELLINGS.keys()
    long = "X" * 5_000
    assert canonical(long) == long.lower()
    assert long not in SPELLINGS


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a, b",
        " a ,b",
        '"x, y" <sip:a>, b',
        "<sip:a,b>, c",
        "<sip:a",
        '"open, b',
        ",a",
        '"\\", x" <s>;p="a,b", c',
    ],
)
def test_the_first_of_a_list_is_what_the_whole_list_begins_with(text):
    assert first_of(text) == split_list(text)[0]
