"""The tone that warns of the end of a call: what is heard of it, and what stays of the packets that have it."""

import math

import pytest
from doubles.sockets.rtp import rtp

from vosd.media.g711 import PAYLOADS, RATE, linear
from vosd.media.rtp import HEADER, HEADER_BYTES
from vosd.media.sounds import READY_MADE
from vosd.media.warning_tone import TONE_MS, WarningSound, WarningTone

MS = 1_000_000
HERTZ = 1_000


def strength(octets: bytes, codec: str, hertz: int) -> float:
    """Return the amplitude of a frequency, by Goertzel's algorithm."""
    samples = linear(octets, codec)
    factor = 2 * math.cos(2 * math.pi * hertz / RATE)
    before = last = 0.0
    for sample in samples:
        before, last = last, sample + factor * last - before
    return 2 * math.sqrt(before * before + last * last - factor * before * last) / len(samples)


def beeps_of(audio: bytes, codec: str) -> list[bool]:
    """Return for each 20 ms whether the tone is in it."""
    blocks = [audio[at : at + 160] for at in range(0, len(audio), 160)]
    return [strength(each, codec, HERTZ) > 4_000 for each in blocks]


ALL = ([True] * 10 + [False] * 5) * 3
"""Three beeps of 200 ms, each with a pause of 100 ms."""


@pytest.mark.parametrize(("payload", "codec"), PAYLOADS.items())
@pytest.mark.parametrize("octets", [40, 160, 240])
def test_packets_keep_their_headers_and_have_the_tone_in_place_of_their_audio(payload, codec, octets):
    tone, audio = WarningTone(payload, 7, 0), b""
    for number in range(3 * TONE_MS):
        sent = rtp(65_500 + number, number * octets, payload=payload, body=bytes(octets))
        got = tone.laid_over(sent, number * octets * MS // 8)
        assert got[:HEADER_BYTES] == sent[:HEADER_BYTES]
        assert len(got) == len(sent)
        audio += got[HEADER_BYTES:]
        if tone.is_over:
            break
    assert TONE_MS == 900
    assert beeps_of(audio[: 8 * TONE_MS], codec) == ALL
    assert set(audio[8 * TONE_MS :]) <= {0}, "the party is heard again at once"
    for other in (697, 770, 852, 941, 1_209, 1_336, 1_477, 1_633):
        assert strength(audio[:1_600], codec, other) < 800, "no key is read from it"


def test_what_is_before_the_audio_of_a_packet_stays():
    head = bytes((0x92, 0)) + bytes(10) + b"csrc" * 2 + b"\xbe\xde\x00\x01extn"
    got = WarningTone(0, 7, 0).laid_over(head + bytes(160), 0)
    assert got[: len(head)] == head
    assert beeps_of(got[len(head) :], "PCMU") == [True]


@pytest.mark.parametrize(
    "packet",
    [
        rtp(1, payload=18, body=bytes(20)),
        rtp(1, payload=101, body=b"\x01\x0a\x00\xa0"),
        rtp(1, payload=13, body=b"\x40"),
        bytes((0xA0,)) + rtp(1)[1:-1] + b"\x04",
        b"\x00\x01\x02",
    ],
)
def test_packets_that_are_no_g711_pass_as_they_are(packet):
    tone = WarningTone(0, 7, 0)
    assert tone.laid_over(packet, 0) == packet
    assert not tone.is_over


def test_a_party_that_is_sent_nothing_gets_the_tone_in_packets_of_its_own():
    tone, packets = WarningTone(8, 7, 0), []
    at = 0
    while not tone.is_over:
        packets += tone.due(at, is_alone=True)
        at = tone.due_ns
    assert beeps_of(b"".join(each[HEADER_BYTES:] for each in packets), "PCMA") == ALL
    headers = [HEADER.unpack_from(each) for each in packets]
    assert [each[2] for each in headers] == list(range(7, 52))
    assert [each[3] for each in headers] == list(range(7, 7 + 45 * 160, 160))
    assert {each[4] for each in headers} == {7}


def test_a_party_that_speaks_again_is_what_the_rest_of_the_tone_is_laid_over():
    """A stream of which one packet goes out, comfort noise, and the stream once more."""
    tone, own, at = WarningTone(0, 7, 0), [], 0
    while len(own) < 5:
        tone.laid_over(rtp(1, payload=13, body=b"\x40"), at)
        own += tone.due(at, is_alone=True)
        at = tone.due_ns
    over = [tone.laid_over(rtp(number, body=bytes(160)), at + number * 20 * MS) for number in range(10)]
    assert [each for number in range(10) for each in tone.due(at + number * 20 * MS, is_alone=True)] == []
    at += 400 * MS
    later = []
    while not tone.is_over:
        later += tone.due(at, is_alone=True)
        at = tone.due_ns
    audio = b"".join(each[HEADER_BYTES:] for each in (*own, *over, *later))
    assert beeps_of(audio, "PCMU") == ALL
    assert [len({HEADER.unpack_from(each)[4] for each in packets}) for packets in (own, later)] == [1, 1]
    assert HEADER.unpack_from(own[0])[4] != HEADER.unpack_from(later[0])[4], "its numbers begin anew"


@pytest.mark.parametrize("payload", [0, -1])
def test_a_tone_that_cannot_be_sent_is_over_four_seconds_behind_its_time(payload):
    """The receiver is played music in another codec, or is not to be sent packets of its own."""
    tone = WarningTone(payload, 7, 0)
    for ms in range(0, 4_900, 20):
        assert tone.due(ms * MS, is_alone=payload < 0) == []
        assert not tone.is_over
    assert tone.due(4_900 * MS, is_alone=True) == []
    assert tone.is_over


SOUND = bytes(range(1, 241))
"""Frames of which each is another: 24 of G.729, 10 of G.723.1."""


@pytest.mark.parametrize(("ending", "octets"), [("g729", 20), ("g729", 10), ("g729", 60), ("g723", 24), ("g722", 160)])
def test_a_sound_is_laid_over_the_frames_of_its_codec(ending, octets):
    codec = READY_MADE[ending]
    tone, got = WarningTone(96, 7, 0, {96: WarningSound(codec, SOUND)}), b""
    ns_of_packet = octets * codec.packet_ms * MS // codec.packet_bytes
    for number in range(2_000 * MS // ns_of_packet):
        packet = tone.laid_over(rtp(number, payload=96, body=bytes(octets)), number * ns_of_packet)
        assert len(packet) == HEADER_BYTES + octets
        got += packet[HEADER_BYTES:]
        if tone.is_over:
            break
    assert tone.is_over
    assert got[:240] == SOUND
    assert set(got[240:]) <= {0}, "the party is heard again"


def test_a_packet_that_ends_in_a_frame_of_silence_passes_as_it_is():
    tone = WarningTone(18, 7, 0, {18: WarningSound(READY_MADE["g729"], SOUND)})
    packet = rtp(1, payload=18, body=bytes(22))
    assert tone.laid_over(packet, 0) == packet
    assert tone.laid_over(rtp(2, payload=18, body=bytes(20)), 0)[HEADER_BYTES:] == SOUND[:20]


@pytest.mark.parametrize(("ending", "octets", "step"), [("g729", 20, 160), ("g723", 24, 240)])
def test_a_party_that_is_sent_nothing_gets_the_sound_in_packets_of_its_own(ending, octets, step):
    tone = WarningTone(18, 7, 0, {18: WarningSound(READY_MADE[ending], SOUND)})
    packets, at = [], 0
    while not tone.is_over:
        packets += tone.due(at, is_alone=True)
        at = tone.due_ns
    assert [each[HEADER_BYTES:] for each in packets] == [SOUND[at : at + octets] for at in range(0, 240, octets)]
    headers = [HEADER.unpack_from(each) for each in packets]
    assert [each[3] for each in headers] == [7 + step * number for number in range(len(packets))]


def test_another_codec_in_the_middle_goes_on_where_the_one_before_was():
    tone = WarningTone(18, 7, 0, {18: WarningSound(READY_MADE["g729"], SOUND)})
    for number in range(5):
        tone.laid_over(rtp(number, payload=18, body=bytes(20)), 0)
    rest = [tone.laid_over(rtp(number, payload=0, body=bytes(160)), 0)[HEADER_BYTES:] for number in range(5, 45)]
    assert beeps_of(b"".join(rest), "PCMU") == ALL[5:]
    assert tone.is_over
