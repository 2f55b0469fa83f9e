"""Encryption and ICE of session descriptions, and descriptions of an end point that terminates both."""

import pytest

from vosd.sdp.media import BadSession
from vosd.sdp.security import (
    LASTING,
    Protection,
    expect_keys,
    is_unprotectable,
    is_unprotected,
    mids_of,
    protection_of,
    reachable_by_ice,
    terminated,
    transport_of,
    with_bounded_mki,
    with_chosen_keys,
    with_read_keys,
    with_usable_keys,
    without_alternatives,
    without_plain_twins,
)

HEAD = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
SECRET = b"0123456789" * 4
KEY = b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:%b\r\n" % SECRET
OPEN_KEY = KEY.replace(b"\r\n", b" UNENCRYPTED_SRTP\r\n")
NULL_KEY = b"a=crypto:3 NULL_HMAC_SHA1_80 inline:%b\r\n" % SECRET
PRINT = b"a=fingerprint:sha-256 %b\r\n" % b":".join([b"AA"] * 32)


def audio(transport: bytes = b"RTP/AVP", *lines: bytes, port: int = 4_000) -> bytes:
    return b"m=audio %d %b 0\r\n" % (port, transport) + b"".join(lines)


@pytest.mark.parametrize(
    ("session", "protection"),
    [
        (audio(), Protection.NONE),
        (audio(b"RTP/SAVP", KEY), Protection.SDES),
        (audio(b"RTP/AVP", KEY), Protection.SDES),
        (audio(b"RTP/SAVP", OPEN_KEY, KEY), Protection.SDES),
        (audio(b"RTP/SAVP", OPEN_KEY), Protection.NONE),
        (audio(b"RTP/SAVP", NULL_KEY), Protection.NONE),
        (audio(b"RTP/SAVP"), Protection.NONE),
        (audio(b"UDP/TLS/RTP/SAVPF", PRINT), Protection.DTLS),
        (PRINT + audio(b"RTP/SAVPF"), Protection.DTLS),
        (PRINT + audio(b"RTP/SAVP", b"a=setup:actpass\r\n"), Protection.DTLS),
        (audio(b"UDP/TLS/RTP/SAVP", PRINT, b"a=setup:active\r\n"), Protection.DTLS),
        (audio(b"RTP/SAVP", PRINT, b"a=setup:passive\r\n"), Protection.DTLS),  # answers an offer of that form
        (audio(b"UDP/TLS/RTP/SAVP", KEY, PRINT), Protection.DTLS),
        (audio(b"UDP/TLS/RTP/SAVP", KEY), Protection.NONE),
        (audio(b"RTP/AVP", PRINT), Protection.NONE),
        (audio(b"RTP/SAVP", KEY) + audio(), Protection.NONE),
        (audio(b"RTP/SAVP", KEY) + audio(port=0), Protection.SDES),
        (audio(b"RTP/SAVP", KEY, port=0), Protection.NONE),
        (b"m=audio x", Protection.NONE),
    ],
)
def test_kinds_of_encryption(session, protection):
    assert protection_of(HEAD + session) is protection


@pytest.mark.parametrize(
    ("role", "offered", "expected"),
    [
        (b"active", KEY, True),
        (b"active", PRINT, False),
        (b"active", KEY + PRINT, False),
        (b"active", b"", False),
        (b"actpass", KEY, False),
    ],
    ids=["keys of SDES", "DTLS", "both", "nothing", "it offers itself"],
)
def test_an_answer_by_dtls_agrees_on_no_keys_of_sdes(role, offered, expected):
    answer = HEAD + audio(b"RTP/SAVP", PRINT, b"a=setup:%b\r\n" % role)
    assert is_unprotected(answer, HEAD + audio(b"RTP/SAVP", offered)) is expected
    by_keys_as_well = HEAD + audio(b"RTP/SAVP", KEY, PRINT, b"a=setup:%b\r\n" % role)
    assert not is_unprotected(by_keys_as_well, HEAD + audio(b"RTP/SAVP", offered))


@pytest.mark.parametrize(
    ("session", "expected"),
    [
        (audio(), True),
        (audio(b"RTP/SAVP", KEY), False),
        (audio(b"RTP/SAVP", KEY) + b"m=image 4002 udptl t38\r\n", True),
        (audio(port=0), False),
        (audio(b"RTP/SAVP", KEY, b"c=IN IP4 voice.example.org\r\n"), True),
    ],
)
def test_media_that_are_not_encrypted_are_found_and_fax_is_one_of_them(session, expected):
    assert is_unprotected(HEAD + session) is expected


def test_media_that_are_rejected_say_nothing_of_the_others():
    fax = b"m=image %d udptl t38\r\n"
    assert is_unprotectable(HEAD + audio() + fax % 4_002)
    assert not is_unprotectable(HEAD + audio() + fax % 0)
    assert transport_of(HEAD + audio(port=0) + audio(b"RTP/SAVP", KEY)) == "RTP/SAVP"
    expect_keys(HEAD + audio(b"RTP/SAVP", port=0))


def test_an_offer_needs_a_medium_that_can_be_answered():
    expect_keys(HEAD + audio(b"RTP/SAVP") + audio(b"RTP/SAVP", KEY))
    expect_keys(HEAD + audio(b"RTP/SAVP") + audio())
    with pytest.raises(BadSession):
        expect_keys(HEAD + audio(b"RTP/SAVP", NULL_KEY) + audio(port=0))


def test_keys_that_an_rtpengine_does_not_know_are_left_out_where_others_may_be_chosen():
    unread = b"a=crypto:2 AEAD_AES_256_GCM_8 inline:%b\r\n" % SECRET
    read = HEAD + audio(b"RTP/SAVP", KEY)
    alone, beside_dtls = HEAD + audio(b"RTP/SAVP", unread), HEAD + audio(b"RTP/SAVP", unread, KEY, PRINT)
    for are_in_use in (False, True):
        assert with_read_keys(HEAD + audio(b"RTP/SAVP", unread, KEY), are_in_use=are_in_use) == read
        assert with_read_keys(alone, are_in_use=are_in_use) == alone
        assert with_read_keys(beside_dtls, are_in_use=are_in_use) == (read if are_in_use else beside_dtls)


@pytest.mark.parametrize(
    ("session", "expected"),
    [
        (audio(b"RTP/SAVP", KEY) + audio(), audio(b"RTP/SAVP", KEY) + audio(port=0)),
        (audio() + audio(b"RTP/SAVP", KEY), audio(port=0) + audio(b"RTP/SAVP", KEY)),
        (audio() + audio(b"RTP/SAVPF", PRINT), audio(port=0) + audio(b"RTP/SAVPF", PRINT)),
        (audio(b"RTP/SAVP", KEY) + audio(port=4_002), None),
        (audio(b"RTP/SAVP", KEY) + audio(b"RTP/AVP", b"c=IN IP4 192.0.2.2\r\n"), None),
        (audio(b"RTP/SAVP", KEY) + audio().replace(b"audio", b"video"), None),
        (audio(b"RTP/SAVP", KEY) + audio(b"RTP/SAVP", KEY), None),
        (audio(b"RTP/SAVP", KEY, port=0) + audio(), None),
        (audio(b"RTP/SAVP", NULL_KEY) + audio(), None),
        (audio() + audio(), None),
        (audio(b"RTP/SAVP", KEY) + b"m=audio x", None),
    ],
)
def test_media_that_are_offered_plain_beside_encrypted_ones_at_their_port_are_rejected(session, expected):
    assert without_plain_twins(HEAD + session) == HEAD + (expected or session)


def test_keys_that_do_not_encrypt_are_taken_out():
    session = HEAD + audio(b"RTP/SAVP", OPEN_KEY, KEY, NULL_KEY)
    assert with_usable_keys(session) == HEAD + audio(b"RTP/SAVP", KEY)


@pytest.mark.parametrize(
    ("suite", "text"),
    [
        (b"AES_CM_128_HMAC_SHA1_80", b"|2^48|1:128 KDR=1 WSH=60"),
        (b"aes_cm_128_hmac_sha1_32", b"|1048576"),
        (b"AES_CM_128_HMAC_SHA1_80", b"|1:4"),
        (b"AES_CM_128_HMAC_SHA1_80", b"|2^31|1:1 UNENCRYPTED_SRTCP"),
        (b"AES_256_CM_HMAC_SHA1_80", b"0123456789012345678901=="),
        (b"AES_256_CM_HMAC_SHA1_32", b"0123456789012345678901"),
        (b"AEAD_AES_256_GCM", b"0123456789012345678="),
    ],
)
def test_a_key_of_the_length_of_its_suite_encrypts(suite, text):
    line = b"a=crypto:1 %b inline:%b%b\r\n" % (suite, SECRET, text)
    assert protection_of(HEAD + audio(b"RTP/SAVP", line)) is Protection.SDES


@pytest.mark.parametrize(
    "line",
    [
        KEY.replace(b"inline:0123", b"inline:"),
        KEY.replace(b"\r\n", b"0123\r\n"),
        KEY.replace(b"\r\n", b"==\r\n"),
        KEY.replace(b"0123", b"!!!!"),
        KEY.replace(b"80 inline", b"80  inline"),
        KEY.replace(b"80 inline", b"80\tinline"),
        KEY.replace(b"\r\n", b";inline:" + SECRET + b"\r\n"),
        KEY.replace(b"\r\n", b"|2^49\r\n"),
        KEY.replace(b"\r\n", b"|day\r\n"),
        KEY.replace(b"\r\n", b"|2^0\r\n"),
        KEY.replace(b"\r\n", b"|0\r\n"),
        KEY.replace(b"\r\n", b"|1:0\r\n"),
        KEY.replace(b"\r\n", b"|1:256\r\n"),
        KEY.replace(b"\r\n", b" UNENCRYPTED_SRTCP UNENCRYPTED_SRTP\r\n"),
        KEY.replace(b"\r\n", b" UNENCRYPTED_SRTCP UNAUTHENTICATED_SRTP\r\n"),
    ],
)
def test_a_key_that_an_rtpengine_does_not_read_is_none(line):
    """It would send without encryption, and in version 10.5 it does not survive the last of these lines."""
    session = HEAD + audio(b"RTP/SAVP", line)
    assert protection_of(session) is Protection.NONE
    assert with_usable_keys(session) == HEAD + audio(b"RTP/SAVP")


@pytest.mark.parametrize(
    ("name", "digest_bytes"), [(b"SHA-1", 20), (b"sha-224", 28), (b"sha-256", 32), (b"sha-384", 48), (b"sha-512", 64)]
)
@pytest.mark.parametrize("end", [b"\r\n", b" \r\n", b"\n"])
def test_a_fingerprint_of_the_length_of_its_digest_encrypts(name, digest_bytes, end):
    line = b"a=fingerprint:%b %b%b" % (name, b":".join([b"0f"] * digest_bytes), end)
    assert protection_of(HEAD + audio(b"UDP/TLS/RTP/SAVP", line)) is Protection.DTLS
    assert protection_of(HEAD + line + audio(b"UDP/TLS/RTP/SAVP")) is Protection.DTLS


@pytest.mark.parametrize(
    "line",
    [
        PRINT.replace(b"sha-256", b"sha-1"),
        PRINT.replace(b"sha-256", b"md5"),
        PRINT.replace(b"sha-256", b"sha3-256"),
        PRINT.replace(b"sha-256 ", b"sha-256  "),
        PRINT.replace(b"AA:", b"", 1),
        PRINT.replace(b":AA", b"AA"),
        PRINT.replace(b"\r\n", b":AA\r\n"),
        b"a=fingerprint:sha-256 x\r\n",
    ],
)
def test_a_fingerprint_that_an_rtpengine_does_not_read_is_none(line):
    """It would agree with its author on no keys: a call that is answered and silent."""
    session = HEAD + audio(b"UDP/TLS/RTP/SAVP", line)
    assert protection_of(session) is Protection.NONE
    assert is_unprotected(session)


def test_an_rtpengine_is_given_no_key_with_a_longer_mki_than_there_is():
    long = KEY.replace(b"\r\n", b"|1:256\r\n")
    session = HEAD + audio(b"RTP/SAVP", NULL_KEY, long, KEY.replace(b"\r\n", b"|2^20|1:128\r\n"))
    assert with_bounded_mki(session) == session.replace(long, b"")


def test_an_address_that_ice_finds_later_is_no_hold():
    session = HEAD.replace(b"192.0.2.1\r\nt", b"0.0.0.0\r\nt") + audio(b"RTP/SAVPF", b"a=ice-ufrag:x\r\n")
    assert b"c=IN IP4 198.51.100.7\r\n" in reachable_by_ice(session, "198.51.100.7")
    held = HEAD.replace(b"192.0.2.1\r\nt", b"0.0.0.0\r\nt") + audio()
    assert reachable_by_ice(held, "198.51.100.7") == held


@pytest.mark.parametrize("line", ["pcfg:1 t=1 a=1", "acfg:1 t=1 a=1", "lcfg:1 mt=video"])
def test_configurations_that_a_reader_may_choose_are_taken_out(line):
    capabilities = b"a=tcap:1 RTP/SAVP\r\na=acap:1 crypto:1 AES_CM_128_HMAC_SHA1_80 inline:%b\r\n" % SECRET
    offer = HEAD + audio(b"RTP/AVP", b"a=ptime:20\r\n")
    assert without_alternatives(offer + capabilities + b"a=%b\r\n" % line.encode()) == offer
    assert without_alternatives(offer + capabilities + b"a=%b" % line.encode()) == offer
    assert without_alternatives(offer + KEY) == offer + KEY


GIVEN_KEY = b"a=crypto:7 AEAD_AES_256_GCM inline:own\r\n"
WEB_LINES = b"a=mid:x\r\na=msid:a b\r\na=ssrc:1 cname:c\r\na=extmap:1 urn:x\r\na=rtcp-fb:0 nack\r\n"


def test_keys_of_the_author_give_way_to_those_of_the_end_point_and_all_else_stays():
    author = HEAD + audio(b"RTP/AVP", b"a=x-own:1\r\n", b"a=sendonly\r\n")
    given = HEAD + audio(b"RTP/SAVP", b"a=sendrecv\r\n", GIVEN_KEY, port=9_000)
    assert terminated(author, given, []) == HEAD + audio(b"RTP/SAVP", b"a=x-own:1\r\n", b"a=sendonly\r\n", GIVEN_KEY)
    assert terminated(author + KEY + PRINT, HEAD + audio(), []) == author


def test_a_last_line_that_is_cut_within_its_end_is_mended_where_a_key_is_added():
    given = HEAD + audio(b"RTP/SAVP", GIVEN_KEY)
    for author in (HEAD + audio(), HEAD + audio(b"RTP/AVP", b"a=ptime:20\r\n")):
        assert terminated(author[:-1], given, []) == terminated(author, given, [])


def test_blanks_behind_a_media_line_are_none_of_the_lines_that_are_written_for_it():
    author, given = HEAD + audio(b"RTP/AVP", b"a=ptime:20\r\n"), HEAD + audio(b"UDP/TLS/RTP/SAVPF", PRINT)
    assert terminated(author.replace(b"0\r\na=p", b"0 \r\na=p"), given, [b"v"]) == terminated(author, given, [b"v"])


def test_lines_of_browsers_reach_browsers_alone():
    author = HEAD + audio(b"UDP/TLS/RTP/SAVPF", PRINT, WEB_LINES, b"a=setup:actpass\r\n", b"a=ptime:20\r\n")
    assert terminated(author, HEAD + audio(), [b"0"]) == HEAD + audio(b"RTP/AVP", b"a=ptime:20\r\n")
    given = HEAD + b"a=ice-lite\r\n" + audio(b"UDP/TLS/RTP/SAVPF", b"a=setup:passive\r\n", PRINT, b"a=mid:1\r\n")
    written = terminated(author, given, [b"0"])
    assert written.startswith(HEAD + b"a=ice-lite\r\n")
    assert written.endswith(b"a=ptime:20\r\na=mid:0\r\na=setup:passive\r\n" + PRINT)
    assert mids_of(written) == [b"0"]


def test_a_rejected_medium_without_a_transport_gets_that_of_its_offer():
    written = terminated(HEAD + audio() + b"m=video 0\r\n", HEAD + audio() + b"m=video 0 RTP/AVP 0\r\n", [])
    assert written == HEAD + audio() + b"m=video 0 RTP/AVP\r\n"


@pytest.mark.parametrize(
    ("theirs", "tag", "suite"),
    [
        (((1, "AES_CM_128_HMAC_SHA1_80"),), 1, "AES_CM_128_HMAC_SHA1_80"),
        (((2, "AES_CM_128_HMAC_SHA1_80"),), 2, "AES_CM_128_HMAC_SHA1_80"),
        (((4, "AES_CM_128_HMAC_SHA1_32"), (2, "AES_CM_128_HMAC_SHA1_80")), 2, "AES_CM_128_HMAC_SHA1_80"),
        (((3, "F8_128_HMAC_SHA1_80"), (4, "AES_CM_128_HMAC_SHA1_80")), 4, "AES_CM_128_HMAC_SHA1_80"),
        (((3, "F8_128_HMAC_SHA1_80"),), 1, "AEAD_AES_256_GCM"),
        (((2, "AES_CM_128_HMAC_SHA1_8"),), 1, "AEAD_AES_256_GCM"),
        ((), 1, "AEAD_AES_256_GCM"),
    ],
)
def test_an_offer_becomes_an_answer_by_the_key_of_a_suite_that_both_have(
    theirs: tuple[tuple[int, str], ...], tag: int, suite: str
) -> None:
    ours = (b"AEAD_AES_256_GCM", b"AES_CM_128_HMAC_SHA1_80", b"AES_CM_128_HMAC_SHA1_32")
    keys = [b"a=crypto:%d %b inline:of-%b\r\n" % (number, name, name) for number, name in enumerate(ours, 1)]
    offered = HEAD + audio(b"RTP/SAVP", *(f"a=crypto:{each} {name} inline:no\r\n".encode() for each, name in theirs))
    chosen = f"a=crypto:{tag} {suite} inline:of-{suite}\r\n".encode()
    assert with_chosen_keys(HEAD + audio(b"RTP/SAVP", *keys), offered) == HEAD + audio(b"RTP/SAVP", chosen)


@pytest.mark.parametrize(("theirs", "ours"), [("actpass", "passive"), ("active", "passive"), ("passive", "active")])
def test_an_offer_becomes_an_answer_with_a_role_in_the_handshake(theirs: str, ours: str) -> None:
    open_one, offered, chosen = (
        HEAD + audio(b"UDP/TLS/RTP/SAVP", f"a=setup:{role}\r\n".encode()) for role in ("actpass", theirs, ours)
    )
    assert with_chosen_keys(open_one, offered) == chosen


def test_a_rejected_medium_has_the_transport_of_its_offer_and_no_keys():
    author = HEAD + audio() + audio(port=0)
    given = HEAD + audio(b"RTP/SAVP", GIVEN_KEY) + audio(b"RTP/SAVP", GIVEN_KEY, port=0)
    assert terminated(author, given, []) == HEAD + audio(b"RTP/SAVP", GIVEN_KEY) + audio(b"RTP/SAVP", port=0)


def test_a_candidate_of_the_end_point_without_a_port_is_left_out():
    used = b"a=candidate:x0 1 UDP 2130706431 192.0.2.1 30000 typ host\r\n"
    unused = b"a=candidate:x0 2 UDP 2130706430 192.0.2.1 0 typ host\r\n"
    given = HEAD + audio(b"UDP/TLS/RTP/SAVP", PRINT, used, unused)
    assert terminated(HEAD + audio(), given, []) == HEAD + audio(b"UDP/TLS/RTP/SAVP", PRINT, used)


def test_what_the_end_point_is_told_of_an_authors_dtls_does_not_reach_the_reader():
    """One that does not know the line, as rtpengine 10.5, leaves it where it is."""
    its_own = b"a=tls-id:of-the-end-point-itself\r\n"
    given = HEAD + LASTING.encode() + b"\r\n" + audio(b"UDP/TLS/RTP/SAVP", PRINT, its_own)
    assert terminated(HEAD + audio(), given, []) == HEAD + audio(b"UDP/TLS/RTP/SAVP", PRINT, its_own)
