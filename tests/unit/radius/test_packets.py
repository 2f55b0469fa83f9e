"""Packets of RADIUS: what is sent is what was meant, and what is not proven is not believed."""

import hashlib
import hmac
import struct
from pathlib import Path

import pytest
from doubles.exploring import examples
from doubles.radius_server import _attributes as read_attributes
from hypothesis import given, settings, strategies as st

from vosd.radius import dictionary
from vosd.radius.dictionary import DICTIONARY
from vosd.radius.packets import BadReplyError, RadiusCode, RadiusRequest

SECRET = b"between us"
RANDOM = bytes(range(16))
NUMBERS = {"Acct-Session-Time": 46, "Acct-Delay-Time": 41, "Session-Timeout": 27}
TEXTS = {"User-Name": 1, "Calling-Station-Id": 31, "Acct-Session-Id": 44, "Digest-URI": 109}
VENDORS = {"h323-conf-id": 24, "Cisco-AVPair": 1}

LONG = st.integers(0, 300).map(lambda size: "aé1"[size % 3] * size)

numbers = st.tuples(st.sampled_from(sorted(NUMBERS)), st.integers(0, 2**32 - 1))
texts = st.tuples(st.sampled_from(sorted(TEXTS)), LONG)
vendors = st.tuples(st.sampled_from(sorted(VENDORS)), LONG)


def request(code=RadiusCode.ACCESS_REQUEST, attributes=(("User-Name", "2001"),), *, wants_proof=True):
    return RadiusRequest(code, 7, SECRET, attributes, RANDOM, wants_proof=wants_proof)


def reply(sent, code=2, attributes=b"", *, secret=SECRET, identifier=7, signs=True, padding=b""):
    body = (b"\x50\x12" + bytes(16) if signs else b"") + attributes
    head = struct.pack("!BBH", code, identifier, 20 + len(body))
    authenticator = sent.data[4:20]
    if signs:
        body = body[:2] + hmac.new(secret, head + authenticator + body, hashlib.md5).digest() + body[18:]
    return head + hashlib.md5(head + authenticator + body + secret).digest() + body + padding


@settings(max_examples=examples(60, 2_000), deadline=None)
@given(st.lists(numbers | texts | vendors, max_size=5), st.sampled_from([1, 4]))
def test_any_attributes_arrive_as_they_were_meant(attributes, code):
    sent = RadiusRequest(RadiusCode(code), 9, SECRET, attributes, RANDOM, wants_proof=True)
    assert sent.data[:4] == struct.pack("!BBH", code, 9, len(sent.data))
    found = [each for each in read_attributes(sent.data[20:]) if each[0] != 80]
    assert sum(2 + len(value) for _, value in found) == len(sent.data) - 20 - (18 if code == 1 else 0)
    wanted = []
    for name, value in attributes:
        if isinstance(value, int):
            wanted.append((NUMBERS[name], value.to_bytes(4, "big")))
        elif name in TEXTS:
            wanted.append((TEXTS[name], value.encode()[:253].decode(errors="ignore").encode()))
        else:
            text = value.encode()[:247].decode(errors="ignore").encode()
            wanted.append((26, b"\0\0\0\x09" + bytes([VENDORS[name], 2 + len(text)]) + text))
    # attributes of one name stay in their order; packets group them by name
    for number in {each for each, _ in wanted}:
        assert sorted(v for n, v in found if n == number) == sorted(v for n, v in wanted if n == number)
    assert len(found) == len(wanted)


def test_text_of_a_peer_that_is_not_utf8_is_sent_all_the_same():
    sent = request(attributes=[("User-Name", "a\udcffb")])
    assert dict(read_attributes(sent.data[20:]))[1] == b"a?b"


def test_an_access_request_is_proven_in_front_and_an_accounting_request_by_its_authenticator():
    sent = request()
    assert sent.data[4:20] == RANDOM
    assert sent.data[20] == 80
    blank = sent.data[:22] + bytes(16) + sent.data[38:]
    assert sent.data[22:38] == hmac.new(SECRET, blank, hashlib.md5).digest()
    sent = request(RadiusCode.ACCOUNTING_REQUEST)
    assert sent.data[4:20] == hashlib.md5(sent.data[:4] + bytes(16) + sent.data[20:] + SECRET).digest()


def test_a_proven_reply_is_read_and_padding_behind_it_is_ignored():
    sent = request()
    found = sent.reply(reply(sent, attributes=b"\x1b\x06\0\0\0\x1e\x12\x07hello\xfd\x03x", padding=b"\0\0"))
    assert found.code is RadiusCode.ACCESS_ACCEPT
    assert found.number("Session-Timeout") == 30
    assert found.text("Reply-Message") == "hello"
    assert (found.number("Acct-Interim-Interval"), found.text("Class")) == (None, "")


def test_a_number_of_another_size_is_left_out():
    sent = request()
    found = sent.reply(reply(sent, attributes=b"\x1b\x04\0\x1e"))
    assert found.number("Session-Timeout") is None


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"secret": b"another"}, "authenticator"),
        ({"identifier": 8}, "another identifier"),
        ({"code": 5}, "code 5"),
        ({"code": 1}, "code 1"),
        ({"code": 77}, "code 77"),
        ({"signs": False}, "no Message-Authenticator"),
        ({"attributes": b"\x1b\x06\0\0"}, "does not end where it says"),
        ({"attributes": b"\x1b\x01"}, "does not end where it says"),
        ({"attributes": b"\x1b"}, "does not end where it says"),
        ({"attributes": b"\x50\x04ab"}, "another length"),
        ({"attributes": b"\x21\x04ab"}, "authenticator"),
    ],
)
def test_a_reply_that_is_not_proven_is_refused(change, why):
    sent = request()
    with pytest.raises(BadReplyError, match=why):
        sent.reply(reply(sent, **change))


def test_one_bit_anywhere_spoils_a_reply():
    sent = request()
    good = reply(sent, attributes=b"\x1b\x06\0\0\0\x1e")
    for at in range(len(good)):
        for bit in range(8):
            bad = bytearray(good)
            bad[at] ^= 1 << bit
            with pytest.raises(BadReplyError):
                sent.reply(bytes(bad))


def test_a_reply_without_proof_is_taken_where_the_operator_says_so_and_a_wrong_one_never():
    sent = request(wants_proof=False)
    assert sent.reply(reply(sent, signs=False)).code is RadiusCode.ACCESS_ACCEPT
    wrong = b"\x50\x12" + bytes(16)
    with pytest.raises(BadReplyError):
        sent.reply(reply(sent, attributes=wrong, signs=False))


@given(st.binary(max_size=80))
def test_no_bytes_are_a_reply_by_chance(data):
    with pytest.raises(BadReplyError):
        request().reply(data)


def test_every_attribute_is_sent_or_read():
    """One that a server sends and nothing reads would have no effect, without a word in docs/radius.md."""
    root = Path(dictionary.__file__).parents[1]
    source = "".join(each.read_text() for each in root.rglob("*.py") if each.name != "dictionary.py")
    by_pyrad = {"Vendor-Specific", "Message-Authenticator"}
    assert {each for each in DICTIONARY.attributes if f'"{each}"' not in source} == by_pyrad


def test_every_attribute_has_a_number_of_its_own():
    codes = [(each.vendor, each.code) for each in DICTIONARY.attributes.values()]
    assert len(set(codes)) == len(codes)
