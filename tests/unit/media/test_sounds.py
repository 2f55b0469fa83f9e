"""Sounds of files: WAV in its usual forms and in broken ones, G.711 of them, and raw frames of other codecs."""

import re
from array import array
from struct import pack

import pytest
from doubles.data.wavs import A_LAW, MU_LAW, tone, wav
from hypothesis import given, strategies as some

from vosd.media.g711 import encoded, linear
from vosd.media.sounds import READY_MADE, SOUND_MS_MAX, Sound, encoded_frames, encoded_wav
from vosd.media.wav import BadSoundError, samples_of_wav

EXTENSIBLE = pack("<IHHIIHHHHIH", 40, 0xFFFE, 1, 8_000, 16_000, 2, 16, 22, 16, 4, 1) + bytes(14)


def test_linear_samples_become_both_codecs_of_g711():
    samples = tone(190)
    mu_law, a_law = encoded_wav(wav(samples.tobytes()))
    assert (mu_law.codec.name, a_law.codec.name, mu_law.duration_ms) == ("PCMU", "PCMA", 200)
    assert mu_law.content == encoded(samples, "PCMU") + b"\xff" * 80
    assert a_law.content == encoded(samples, "PCMA") + b"\xd5" * 80


@pytest.mark.parametrize(("number", "codec", "index"), [(MU_LAW, "PCMU", 0), (A_LAW, "PCMA", 1)])
def test_g711_in_a_file_is_played_as_it_is_and_becomes_the_other_codec(number, codec, index):
    octets = encoded(tone(), codec)
    both = encoded_wav(wav(octets, format_number=number, bits=8))
    assert both[index].content == octets
    other = both[1 - index]
    assert other.content == encoded(linear(octets, codec), other.codec.name)


def test_every_octet_of_g711_survives_its_sample():
    octets = bytes(range(256))
    assert encoded(linear(octets, "PCMA"), "PCMA") == octets
    assert encoded(linear(octets, "PCMU"), "PCMU") == octets.replace(b"\x7f", b"\xff")  # there are two zeros
    assert max(linear(octets, "PCMU")) == 32_124
    assert linear(b"\xd5\x55", "PCMA") == array("h", [8, -8])


def test_samples_of_8_bits_are_unsigned():
    samples = samples_of_wav(wav(b"\x00\x80\xff", bits=8))
    assert [*next(samples.linear())] == [-32_768, 0, 32_512]


@pytest.mark.parametrize(
    "content",
    [
        wav(before=b"LIST" + pack("<I", 5) + b"hello\0"),
        wav(size=0xFFFF_FFFF),
        wav() + b"trailing",
        wav().replace(b"fmt " + wav()[16:36], b"fmt " + EXTENSIBLE),
    ],
    ids=["an odd chunk before", "samples that were never completed", "more behind", "extensible"],
)
def test_usual_oddities_are_read(content):
    assert samples_of_wav(content).content[:3200] == tone().tobytes()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "a WAV file"),
        (b"RIFF\0\0\0\0AVI ", "a WAV file"),
        (wav()[:20], "samples"),
        (wav(b""), "samples"),
        (wav(channels=2), "one channel"),
        (wav(channels=0), "one channel"),
        (wav(rate=44_100), "8000 samples a second, not 44100"),
        (wav(bits=24), "not format 1 with 24 bits"),
        (wav(format_number=85), "not format 85"),
        (wav(format_number=MU_LAW), "not format 7 with 16 bits"),
        (b"RIFF\0\0\0\0WAVEdata\4\0\0\0abcd", "format"),
        (b"RIFF\0\0\0\0WAVEfmt \2\0\0\0\1\0data\4\0\0\0abcd", "16 bytes or more"),
        (b"RIFF\0\0\0\0WAVE" + b"junk\0\0\0\0" * 2_000, "samples"),
        (wav(bytes(8 * SOUND_MS_MAX + 1), format_number=A_LAW, bits=8), "at most 600 seconds"),
    ],
)
def test_what_cannot_be_played_says_what_was_expected(content, expected):
    with pytest.raises(BadSoundError, match=re.escape(expected)):
        encoded_wav(content)


@given(some.binary(max_size=200), some.integers(0, 60))
def test_no_bytes_are_anything_but_a_sound_or_an_error(noise, at):
    whole = wav(bytes(64))
    for content in (noise, b"RIFF\0\0\0\0WAVE" + noise, whole[:at] + noise + whole[at:]):
        try:
            found = encoded_wav(content)
        except BadSoundError:
            continue
        assert all(each.content and len(each.content) % 160 == 0 for each in found)


def test_raw_frames_are_whole_packets():
    frames = encoded_frames(bytes(range(50)), READY_MADE["g729"])
    assert (frames.codec.name, frames.content, frames.duration_ms) == ("G729", bytes(range(40)), 40)
    assert encoded_frames(bytes(48), READY_MADE["g723"]).duration_ms == 60


@pytest.mark.parametrize(
    ("content", "ending"),
    [(b"", "g729"), (bytes(19), "g729"), (wav(), "g722"), (b"\1" * 24, "g723"), (bytes(33), "gsm")],
)
def test_frames_of_another_kind_are_refused(content, ending):
    with pytest.raises(BadSoundError):
        encoded_frames(content, READY_MADE[ending])


def test_a_sound_is_found_by_the_codecs_of_a_peer_in_their_order():
    encodings = [*encoded_wav(wav()), encoded_frames(bytes(40), READY_MADE["g729"])]
    sound = Sound("busy", {each.codec.name.lower(): each for each in encodings})
    assert sound.in_one_of(["opus", "g729", "PCMA"]) is encodings[2]
    assert sound.in_one_of(["opus"]) is None
    assert sound.duration_ms == 200
    assert len({each.digest for each in encodings}) == 3
