"""Descriptions whose lines end twice: they are read as those whose lines end once, and all that stays is kept whole."""

import pytest

from vosd.sdp.anonymous import anonymous
from vosd.sdp.direction import active, inactive, receiving, sending
from vosd.sdp.media import Place, media_of, names_flash, relayed
from vosd.sdp.ordered import IN_ORDER, ordered
from vosd.sdp.origin import continued
from vosd.sdp.pairing import answer_of
from vosd.sdp.security import Protection, mids_of, protection_of, reachable_by_ice
from vosd.sdp.summary import summary

KEY = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{40 * 'A'}"
FINGERPRINT = f"a=fingerprint:sha-256 {':'.join(['4A'] * 32)}"
LINES = (
    "v=0", "o=me 1 1 IN IP4 192.0.2.7", "s=mine", "i=mine", "c=IN IP4 192.0.2.7", "t=0 0",
    "m=audio 4000 RTP/AVP 0 101", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-16", "a=mid:one",
)  # fmt: skip
ENDS = ["\r\r\n", "\r\r\r\n", "\r\n\r\n", "\n\n"]


def written(*more: str, end: str = "\r\n") -> bytes:
    return "".join(f"{line}{end}" for line in (*LINES, *more)).encode()


def once(session: bytes) -> bytes:
    """Return a description with ends of lines as they shall be."""
    return b"".join(line.rstrip() + b"\r\n" for line in session.splitlines() if line.strip())


@pytest.mark.parametrize("end", ENDS)
def test_a_hold_is_one_and_is_changed_in_the_other_lines_as_they_are(end):
    for way in ("sendonly", "recvonly", "inactive"):
        held = written(f"a={way}", end=end)
        assert media_of(held) == media_of(written(f"a={way}"))
        assert active(held) in {written(end=end), written(end=end) + end.lstrip("\r").removeprefix("\n").encode()}
        assert inactive(held).startswith(written(end=end))
        assert once(inactive(held)) == written("a=inactive")
        assert answer_of(held, written(end=end)) == b""
    assert sending(written("a=inactive", end=end)) == written("a=sendonly", end=end)
    assert receiving(written("a=sendrecv", end=end)) == written("a=inactive", end=end)


@pytest.mark.parametrize("end", ENDS)
def test_lines_that_are_looked_for_are_found(end):
    said = written(end=end)
    assert continued(written("a=sendonly", end=end), said) == written("a=sendonly", end=end).replace(b"1 1", b"1 2")
    assert names_flash(said)
    assert mids_of(said) == [b"one"]
    assert summary(said) == summary(written())
    assert once(anonymous(said)) == anonymous(written())
    assert answer_of(written(), said) == written()
    assert protection_of(written(KEY, end=end).replace(b"AVP", b"SAVP")) is Protection.SDES
    assert protection_of(written(FINGERPRINT, end=end).replace(b"AVP", b"SAVP")) is Protection.DTLS
    with_ice = written("a=ice-ufrag:x", end=end).replace(b"c=IN IP4 192.0.2.7", b"c=IN IP4 0.0.0.0")
    assert media_of(reachable_by_ice(with_ice, "192.0.2.9"))[0].host == "192.0.2.9"


@pytest.mark.parametrize("end", ENDS)
def test_an_rtpengine_gets_lines_that_end_once(end):
    """10.5.3 takes all before the last carriage return for the attribute: it did not know "sendonly" with one."""
    for more in ("a=sendonly", KEY):
        assert IN_ORDER.match(written(more, end=end)) is None
        assert ordered(written(more, end=end)) == ordered(written(more))
    cut = written() + b"a=sendonly\r\r\n"
    assert IN_ORDER.match(cut) is None


@pytest.mark.parametrize("end", ENDS)
def test_a_relay_keeps_the_lines_that_it_does_not_write(end):
    place = Place("198.51.100.1", 30_000, 30_001)
    assert once(relayed(written(end=end), [place])) == relayed(written(), [place])
    assert f"a=mid:one{end}".encode() in relayed(written(end=end), [place])
