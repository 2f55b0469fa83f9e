"""A peer that is warned of the end of its call: what a port forwards to it meanwhile, and beside what else."""

import mmap
from pathlib import Path
from types import SimpleNamespace

import pytest
from doubles.connected_ports import ONE, OTHER
from doubles.pressed_ports import PressedPorts
from doubles.sockets.relay import source
from doubles.sockets.rtp import rtp

from vosd.media.g711 import linear
from vosd.media.rtp import HEADER
from vosd.media.warning_tone import TONE_MS
from vosd.relay.protocol import PlaySound

SPOKEN = bytes(160)


class Warned(PressedPorts):
    """A telephone that talks to a gateway whose side is warned, on a clock of the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **more) -> None:
        super().__init__(monkeypatch, **more)
        self.sender = self.ports.ports[1].sender
        self.speaks(100)
        self.arrived.clear()

    def warn(self, payload: int = 0) -> None:
        self.sender.warn(payload)

    @property
    def audio(self) -> list[bytes]:
        return [each[12:] for each in self.arrived if each[1] & 0x7F in {0, 8}]

    @property
    def beeps(self) -> int:
        """Packets that the tone has filled; those of its pauses are not among them."""
        return sum(max(linear(each, "PCMU")) in range(7_000, 9_000) for each in self.audio)

    @property
    def numbers(self) -> list[int]:
        return [HEADER.unpack_from(each)[2] for each in self.arrived]


@pytest.fixture
def warned(monkeypatch) -> Warned:
    return Warned(monkeypatch)


def expect_all_in_a_row(numbers: list[int]) -> None:
    """A stream begins at any number, so 0 may follow 65535 (RFC 3550 section 5.1)."""
    assert numbers == [(numbers[0] + place) % 65_536 for place in range(len(numbers))]


def test_the_tone_takes_the_place_of_the_audio_of_as_many_packets_and_no_number_is_missing(warned):
    assert warned.sender.is_plain
    warned.warn()
    assert not warned.sender.is_plain, "the kernel would forward the stream without it"
    warned.speaks(TONE_MS + 100)
    assert (warned.beeps, warned.audio[-5:]) == (30, [SPOKEN] * 5)
    assert warned.sender.is_plain
    expect_all_in_a_row(warned.numbers)
    assert len({HEADER.unpack_from(each)[4] for each in warned.arrived}) == 1
    stamps = [HEADER.unpack_from(each)[3] for each in warned.arrived]
    assert [each - stamps[0] for each in stamps] == [160 * number for number in range(len(stamps))]
    assert warned.sender.packets_out == len(warned.arrived) + 5


def test_what_is_ordered_twice_is_heard_once(warned):
    warned.warn()
    warned.speaks(500)
    warned.warn()
    warned.speaks(2_000)
    assert warned.beeps == 30


def test_what_the_warned_side_says_passes_as_it_is(warned):
    warned.warn()
    packets = [rtp(number, 160 * number, ssrc=9) for number in range(10)]
    sent = [data for packet in packets for data, _ in warned.ports.give(1, packet, OTHER)]
    assert sent == packets


def test_a_key_of_the_other_side_passes_meanwhile(warned):
    warned.warn()
    warned.speaks(100)
    warned.presses(5, 100)
    warned.speaks(2_000)
    assert warned.keys == [5]
    assert warned.beeps == 30
    expect_all_in_a_row(warned.numbers)


def test_a_key_that_is_sent_meanwhile_goes_before_and_the_tone_goes_on(warned):
    """The key takes the place of the packets of its time, those of the tone as well."""
    warned.warn()
    warned.speaks(100)
    warned.info("7", 100)
    warned.speaks(2_000)
    assert warned.keys == [7]
    assert warned.beeps == 26
    expect_all_in_a_row(warned.numbers)


def test_tones_of_the_other_side_are_read_and_not_those_of_the_warning(monkeypatch):
    warned = Warned(monkeypatch)
    warned.ports.ports[0].report_keys(are_reported=True, are_taken=True, in_tones=True)
    warned.warn()
    warned.speaks(TONE_MS + 100)
    assert warned.reported == []
    assert warned.beeps == 30


def test_a_recording_has_what_the_other_side_has_said(warned):
    said: list[bytes] = []
    warned.sender.record(SimpleNamespace(add=lambda data, *_: said.append(data), path=Path("x")))
    warned.warn()
    warned.speaks(TONE_MS + 100)
    assert warned.beeps == 30
    assert {each[12:] for each in said} == {SPOKEN}
    assert len(said) == len(warned.arrived)


def test_a_side_that_is_held_hears_it_in_its_music(warned):
    with mmap.mmap(-1, 8_000) as music:
        warned.sender.play(PlaySound(1, "x", 0, 160, 20, 0), music)
        warned.warn(-1)
        warned.speaks(TONE_MS + 200)
        assert warned.beeps == 30
        assert warned.audio[-5:] == [SPOKEN] * 5
        expect_all_in_a_row(warned.numbers)
        warned.sender.stop_playing()


def test_music_in_another_codec_has_no_tone_and_nothing_is_sent_beside_it(warned):
    with mmap.mmap(-1, 800) as music:
        warned.sender.play(PlaySound(1, "x", 18, 20, 20, 0), music)
        warned.warn(0)
        warned.speaks(6_000)
        assert {HEADER.unpack_from(each)[1] & 0x7F for each in warned.arrived} == {18}
        warned.sender.stop_playing()
        warned.arrived.clear()
        warned.speaks(200)
        assert warned.beeps == 0, "it is over"


def test_a_silent_side_leaves_the_tone_to_a_stream_of_its_own(warned):
    warned.warn()
    warned.passes(TONE_MS + 300)
    assert warned.beeps == 30
    expect_all_in_a_row(warned.numbers)
    assert warned.sender.is_plain
    warned.arrived.clear()
    warned.speaks(100)
    assert warned.audio == [SPOKEN] * 5


@pytest.mark.parametrize("payload", [0, -1])
def test_a_side_that_takes_nothing_is_sent_nothing(warned, payload):
    if not payload:
        warned.sender.target = None
    warned.warn(payload)
    warned.passes(6_000)
    assert warned.arrived == []
    assert warned.sender.is_plain


def test_a_fax_that_is_agreed_on_meanwhile_ends_it(warned):
    warned.warn()
    warned.speaks(100)
    for number, (host, port) in enumerate((ONE, OTHER)):
        warned.ports.ports[number].expect(source(host, port, payloads=()), (host, port))
    warned.arrived.clear()
    fax = bytes((0x80, 0)) + bytes(170)  # its number is as the first octet of RTP
    warned.give(fax)
    warned.passes(6_000)
    assert warned.arrived == [fax]


def test_a_fax_that_one_side_alone_has_described_passes_as_it_is(warned):
    warned.warn()
    warned.ports.ports[0].expect(source(*ONE, payloads=()), ONE)
    fax = bytes((0x80, 0)) + bytes(170)
    warned.give(fax)
    assert fax in warned.arrived


def test_a_port_that_is_closed_meanwhile_sends_nothing_more(warned):
    warned.warn()
    warned.sender.close()
    assert warned.sender.send_due(warned.now_ns + 20_000_000) is None
