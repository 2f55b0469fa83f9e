"""Keys that are read from tones in G.711."""

import math
import random
from array import array

import pytest

from vosd.media.g711 import encoded, linear
from vosd.media.keys import COLUMNS, KEY_OF_PLACE, KEYS, ROWS, PressedKey, tone
from vosd.media.tones import BLOCK, ToneReader, key_in

SILENCE = {"PCMU": b"\xff", "PCMA": b"\xd5"}


def sines(*waves: tuple[float, float], samples: int = 800) -> list[int]:
    """Return a sum of sines, each with its frequency and amplitude."""
    return [
        int(sum(level * math.sin(2 * math.pi * frequency * at / 8_000) for frequency, level in waves))
        for at in range(samples)
    ]


def read(octets: bytes, codec: str = "PCMU", packet: int = 160) -> list[PressedKey]:
    reader = ToneReader()
    keys = [key for at in range(0, len(octets), packet) for key in reader.read(octets[at : at + packet], codec, 0)]
    return keys + reader.end()


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
@pytest.mark.parametrize("packet", [80, 160, 240])
def test_every_key_is_read_with_its_duration(codec, packet):
    pause = SILENCE[codec] * 560
    dialled = b"".join(pause + tone(key, 0, 800, codec) for key in KEYS)
    keys = read(dialled + pause, codec, packet)
    assert "".join(each.key for each in keys) == KEYS
    assert all(80 <= each.duration_ms <= 120 for each in keys)


@pytest.mark.parametrize("shift", range(0, 160, 20))
def test_a_key_of_60_ms_is_read_wherever_it_begins_and_one_of_20_ms_is_none(shift):
    before = SILENCE["PCMU"] * shift
    assert [key for key, _ in read(before + tone("5", 0, 480, "PCMU") + SILENCE["PCMU"] * 480)] == ["5"]
    assert read(before + tone("5", 0, 160, "PCMU") + SILENCE["PCMU"] * 480) == []


def test_the_same_key_twice_is_two_keys_and_a_short_break_is_none():
    pause = SILENCE["PCMU"]
    assert [key for key, _ in read((tone("5", 0, 800, "PCMU") + pause * 640) * 2)] == ["5", "5"]
    assert [key for key, _ in read(tone("5", 0, 800, "PCMU") + pause * 80 + tone("5", 0, 800, "PCMU"))] == ["5"]


def test_a_key_after_which_nothing_comes_ends_with_time():
    reader = ToneReader()
    assert reader.read(tone("7", 0, 800, "PCMU"), "PCMU", 5) == []
    assert reader.is_tone
    assert reader.ended_before(5) == []
    assert reader.ended_before(6) == [PressedKey("7", 100)]
    assert reader.ended_before(7) == []


@pytest.mark.parametrize("detuned", [0.985, 1.015])
@pytest.mark.parametrize("levels", [(8_000, 8_000), (4_000, 10_000), (10_000, 4_000), (900, 900)])
def test_tones_may_be_detuned_quiet_and_of_different_levels(detuned, levels):
    for (row, column), key in KEY_OF_PLACE.items():
        waves = (ROWS[row] * detuned, levels[0]), (COLUMNS[column] * detuned, levels[1])
        assert {each.key for each in read(encoded(sines(*waves), "PCMA"), "PCMA")} == {key}


@pytest.mark.parametrize(
    "waves",
    [
        [(425, 8_000)], [(350, 6_000), (440, 6_000)], [(697, 8_000)], [(1_336, 8_000)], [(2_100, 9_000)],
        [(697, 8_000), (770, 8_000)], [(1_209, 8_000), (1_336, 8_000)], [(697, 8_000), (1_209, 300)],
        [(697, 200), (1_209, 200)], [(697, 5_000), (1_209, 5_000), (1_000, 9_000)],
    ],
)  # fmt: skip
def test_other_tones_are_no_keys(waves):
    assert read(encoded(sines(*waves), "PCMU")) == []


def test_noise_and_voices_are_no_keys():
    """Voices: harmonics of a pitch that glides, under formants that move."""
    noise = random.Random(7)
    assert read(encoded([noise.randint(-9_000, 9_000) for _ in range(16_000)], "PCMU")) == []
    spoken: list[int] = []
    phases = [0.0] * 24
    for at in range(8_000 * 10):
        second = at / 8_000
        pitch = 140 + 60 * math.sin(1.3 * second) + 25 * math.sin(7.1 * second)
        first, second_formant = 500 + 250 * math.sin(2.9 * second), 1_500 + 600 * math.sin(2.1 * second + 1)
        value = 0.0
        for number in range(24):
            frequency = pitch * (number + 1)
            phases[number] += 2 * math.pi * frequency / 8_000
            level = math.exp(-(((frequency - first) / 120) ** 2)) + math.exp(
                -(((frequency - second_formant) / 160) ** 2)
            )
            value += 7_000 * level * math.sin(phases[number])
        spoken.append(int(value * (0.5 + 0.5 * math.sin(18 * second))))
    assert read(encoded(spoken, "PCMU")) == []


def test_a_block_of_silence_or_of_another_length_of_speech_has_no_key():
    assert key_in(array("h", bytes(2 * BLOCK))) is None
    assert key_in(linear(tone("9", 0, BLOCK, "PCMU"), "PCMU")) == "9"


def test_of_a_flood_no_more_is_read_than_two_streams_would_have():
    reader = ToneReader()
    assert reader.read(SILENCE["PCMU"] * 160 * 300, "PCMU", 0) == []
    assert reader.read(tone("7", 0, 800, "PCMU"), "PCMU", 0) + reader.end() == []
    later_ns = 5_000_000_000
    keys = reader.read(tone("7", 0, 800, "PCMU"), "PCMU", later_ns) + reader.end()
    assert [key for key, _ in keys] == ["7"]
