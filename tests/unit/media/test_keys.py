"""Keys in media: telephone events and tones."""

import math

import pytest
from doubles.sockets.rtp import rtp

from vosd.media.g711 import encoded
from vosd.media.keys import FLASH, KEYS, KEYS_WAITING, KeyReader, KeySender, PressedKey, tone
from vosd.media.rtp import HEADER

MS = 1_000_000
EVENTS = ((0, 101), (8_000, 8_000), ("PCMU", "telephone-event"))


def event(number: int, duration: int, *, stamp: int = 800, is_end: bool = False, sequence: int = 1) -> bytes:
    body = bytes((number, 0x8A if is_end else 0x0A)) + duration.to_bytes(2, "big")
    return rtp(sequence, stamp, payload=101, body=body)


def read(*packets: bytes) -> list[PressedKey]:
    reader = KeyReader()
    return [key for packet in packets for key in reader.read(packet, 125_000, 0)]


def test_a_key_is_read_once_at_its_end():
    packets = [event(5, 160), event(5, 320), *[event(5, 480, is_end=True)] * 3]
    assert read(*packets) == [PressedKey("5", 60)]


def test_all_keys_and_the_flash_are_read_and_other_events_are_not():
    packets = [event(number, 800, stamp=number, is_end=True) for number in range(20)]
    assert "".join(key for key, _ in read(*packets)) == KEYS + FLASH


def test_a_flash_is_sent_as_an_event_and_is_no_tone():
    sender = KeySender(7)
    sender.describe(*EVENTS)
    assert sender.press(FLASH, 100, 0, as_tone=False)
    assert {body[0] for *_, body in sent(sender)} == {16}
    assert not sender.press(FLASH, 100, 0, as_tone=True)


def test_of_a_flood_of_keys_a_burst_is_read_and_then_those_that_a_hand_could_press():
    reader = KeyReader()
    flood = [reader.read(event(1, 800, stamp=number, is_end=True), 125_000, number * 2 * MS) for number in range(1_000)]
    assert KEYS_WAITING <= sum(map(len, flood)) <= KEYS_WAITING + 26
    assert reader.read(event(7, 800, stamp=9_000, is_end=True), 125_000, 3_000 * MS) == [PressedKey("7", 100)]


def test_a_key_whose_end_is_lost_ends_with_the_next_one_or_with_time():
    assert read(event(1, 160), event(2, 800, stamp=2_000, is_end=True)) == [PressedKey("1", 20), PressedKey("2", 100)]
    reader = KeyReader()
    reader.read(event(1, 160), 125_000, 5)
    assert reader.ended_before(5) == []
    assert reader.ended_before(6) == [PressedKey("1", 20)]
    assert reader.ended_before(7) == []


def test_a_long_key_that_goes_on_under_another_time_stamp_is_one():
    """RFC 4733 section 2.5.1.3: a duration has 16 bits, 8192 ms at 8 kHz and 1365 ms at 48 kHz."""
    first = [event(5, 60_000), event(5, 0xFFFF)]
    last = [event(5, 160, stamp=800 + 0xFFFF), event(5, 6_465, stamp=800 + 0xFFFF, is_end=True)]
    assert read(*first, *last, last[-1]) == [PressedKey("5", 9_000)]
    assert read(first[0], *last) == [PressedKey("5", 9_000)], "the packet with the whole duration was lost"
    assert read(event(5, 160, stamp=2**32 - 1), event(5, 800, stamp=0xFFFE, is_end=True)) == [PressedKey("5", 8_292)]
    reader = KeyReader()
    for packet in (*first, last[0]):
        assert reader.read(packet, 125_000, 0) == []
    assert reader.ended_before(1) == [PressedKey("5", 8_212)]


@pytest.mark.parametrize(
    ("before", "after", "keys"),
    [
        (event(5, 0xFFFF, is_end=True), event(5, 800, stamp=800 + 0xFFFF, is_end=True), "55"),
        (event(5, 0xFFFF), event(6, 800, stamp=800 + 0xFFFF, is_end=True), "56"),
        (event(5, 800), event(5, 800, stamp=2_400, is_end=True), "55"),
    ],
)
def test_a_key_that_has_ended_or_is_another_one_does_not_go_on(before, after, keys):
    assert "".join(key for key, _ in read(before, after)) == keys


def pressed(number: int, *, stamp: int, sequence: int) -> list[bytes]:
    """Return the packets of a key of 100 ms."""
    units = (160, 320, 480, 640, 800, 800, 800)
    return [
        event(number, each, stamp=stamp, is_end=each == 800, sequence=sequence + at) for at, each in enumerate(units)
    ]


@pytest.mark.parametrize("first", [1, 65_536 - 7])
@pytest.mark.parametrize("late", [1, 2, 3])
def test_last_packets_of_a_key_that_come_behind_the_first_one_of_the_next_are_no_further_keys(first, late):
    packets = pressed(1, stamp=800, sequence=first) + pressed(2, stamp=2_400, sequence=first + 7)
    packets[7 - late : 8] = [packets[7], *packets[7 - late : 7]]
    assert [key for key, _ in read(*packets)] == ["1", "2"]


def test_the_end_of_a_long_key_that_comes_behind_its_next_segment_is_no_further_key():
    segments = [event(5, 60_000), event(5, 160, stamp=800 + 0xFFFF, sequence=3), event(5, 0xFFFF, sequence=2)]
    assert read(*segments, event(5, 6_465, stamp=800 + 0xFFFF, is_end=True, sequence=4)) == [PressedKey("5", 9_000)]


@pytest.mark.parametrize(("sequence", "ssrc", "after_ms"), [(1_800, 1, 20), (1_999, 2, 20), (1_999, 1, 2_021)])
def test_a_key_of_a_stream_that_begins_anew_counts(sequence, ssrc, after_ms):
    reader = KeyReader()
    for number, at in enumerate((2_000, sequence)):
        body = bytes((number, 0x8A)) + (800).to_bytes(2, "big")
        packet = rtp(at, 800 + number, payload=101, ssrc=ssrc if number else 1, body=body)
        assert reader.read(packet, 125_000, number * after_ms * MS) == [PressedKey(str(number), 100)]


@pytest.mark.parametrize("data", [rtp(1, body=b""), rtp(1, body=b"\x05\x0a\x00")])
def test_a_packet_that_is_cut_is_no_key(data):
    assert read(data) == []


def test_a_key_stands_behind_sources_and_an_extension():
    csrc = b"\x81" + rtp(1, 800, payload=101, body=bytes(4) + b"\x05\x8a\x03\x20")[1:]
    extended = b"\x90" + rtp(1, 800, payload=101, body=b"\xbe\xde\x00\x01abcd" + b"\x05\x8a\x03\x20")[1:]
    assert read(csrc) == read(extended) == [PressedKey("5", 100)]
    assert read(b"\x81" + rtp(1, 800, payload=101, body=bytes(4))[1:]) == []


def test_a_tone_has_the_rate_of_its_codec_whatever_the_first_one_is():
    sender = KeySender(0x1234)
    sender.describe((111, 8), (48_000, 8_000), ("opus", "PCMA"))
    assert sender.press("5", 100, MS, as_tone=True)
    assert [len(packet) for _, _, packet in sent(sender)] == [160] * 5


def sent(sender: KeySender, until_ns: int = 10_000 * MS) -> list[tuple[int, tuple[int, ...], bytes]]:
    """Return time, header and body of packets that are due."""
    packets = []
    while sender.due_ns is not None and sender.due_ns <= until_ns:
        at_ns = sender.due_ns
        packets += [(at_ns, HEADER.unpack_from(each), each[12:]) for each in sender.due(at_ns)]
    return packets


def talking(sequence: int = 100, stamp: int = 16_000) -> KeySender:
    sender = KeySender(7)
    sender.describe(*EVENTS)
    assert sender.forwarded(rtp(sequence, stamp, ssrc=9), 1_000 * MS) == rtp(sequence, stamp, ssrc=9)
    return sender


def test_a_key_is_sent_in_the_stream_with_three_last_packets():
    sender = talking()
    assert sender.press("#", 100, 1_020 * MS, as_tone=False)
    packets = sent(sender)
    assert [header[2] for _, header, _ in packets] == [101, 102, 103, 104, 105, 106, 107]
    assert {header[3] for _, header, _ in packets} == {16_160}
    assert {header[4] for _, header, _ in packets} == {9}
    assert [header[1] for _, header, _ in packets] == [101 | 0x80, 101, 101, 101, 101, 101, 101]
    assert [int.from_bytes(body[2:], "big") for *_, body in packets] == [160, 320, 480, 640, 800, 800, 800]
    assert [body[1] >> 7 for *_, body in packets] == [0, 0, 0, 0, 1, 1, 1]
    assert {body[0] for *_, body in packets} == {11}
    assert read(*[HEADER.pack(*header) + body for _, header, body in packets]) == [PressedKey("#", 100)]


def test_audio_gives_way_to_a_key_and_goes_on_without_a_gap_in_its_numbers():
    sender = talking()
    sender.press("1", 40, 1_020 * MS, as_tone=False)
    assert sender.due(1_020 * MS) == []
    assert sender.forwarded(rtp(101, 16_160, ssrc=9), 1_020 * MS) is None
    last = sent(sender, 1_060 * MS)
    numbers = [header[2] for _, header, _ in last]
    after = sender.forwarded(rtp(103, 16_480, ssrc=9), 1_060 * MS)
    assert after == rtp(numbers[-1] + 1, 16_480, ssrc=9)
    assert sender.forwarded(rtp(105, 16_800, ssrc=9), 1_100 * MS) == rtp(numbers[-1] + 3, 16_800, ssrc=9)
    assert sender.forwarded(rtp(7, 3, ssrc=10), 1_120 * MS) == rtp(7, 3, ssrc=10)


@pytest.mark.parametrize("after_key", [False, True])
@pytest.mark.parametrize("late", [99, 100, 101])
def test_a_late_copy_of_a_packet_before_a_gap_is_not_forwarded_under_a_new_number(after_key, late):
    """The packets behind it got numbers with a gap, and it was played again."""
    sender, last = talking(), 100
    if after_key:
        sender.press("1", 40, 1_020 * MS, as_tone=False)
        sender.due(1_020 * MS)
        assert sender.forwarded(rtp(101, 16_160, ssrc=9), 1_020 * MS) is None
        last = sent(sender, 1_060 * MS)[-1][1][2]
    else:
        sender.leave_out(101)
    for comes_ms, number in ((1_060, 102), (1_080, 103)):
        assert sender.forwarded(rtp(late, 15_840, ssrc=9), comes_ms * MS) is None
        last += 1
        assert sender.forwarded(rtp(number, 16_320, ssrc=9), comes_ms * MS) == rtp(last, 16_320, ssrc=9)


def test_a_late_copy_is_not_forwarded_behind_a_key_during_which_no_packet_came():
    sender = talking()
    sender.press("1", 40, 1_020 * MS, as_tone=False)
    last = sent(sender, 1_060 * MS)[-1][1][2]
    assert [sender.forwarded(rtp(late, 15_840, ssrc=9), 1_060 * MS) for late in (99, 100)] == [None, None]
    assert sender.forwarded(rtp(101, 16_480, ssrc=9), 1_060 * MS) == rtp(last + 1, 16_480, ssrc=9)


def test_events_are_held_back_from_a_second_before_the_last_key_to_its_time_stamp():
    """A receiver would take an older one for a later key, and one with the same time stamp for the same key."""
    sender = talking()
    assert not sender.holds(2**32 - 1)
    sender.press("1", 40, 1_020 * MS, as_tone=False)
    sent(sender)
    stamps = (16_160 - 8_001, 16_160 - 8_000, 16_160, 16_161, 40_000)
    assert [sender.holds(stamp) for stamp in stamps] == [False, True, True, False, False]


def test_a_late_packet_takes_no_number_from_those_behind_it():
    sender = talking()
    sender.forwarded(rtp(102, 16_320, ssrc=9), 1_040 * MS)
    assert sender.forwarded(rtp(101, 16_160, ssrc=9), 1_041 * MS) == rtp(101, 16_160, ssrc=9)
    sender.leave_out(103)
    assert sender.forwarded(rtp(104, 16_640, ssrc=9), 1_080 * MS) == rtp(103, 16_640, ssrc=9)


def test_numbers_that_begin_anew_or_around_behind_a_gap_are_not_late():
    sender = talking()
    sender.leave_out(101)
    assert sender.forwarded(rtp(40_000, 16_320, ssrc=9), 1_040 * MS) == rtp(101, 16_320, ssrc=9)
    for number in range(40_001, 40_100 + 65_536):
        assert sender.forwarded(rtp(number % 65_536, 16_320, ssrc=9), 1_060 * MS) is not None


@pytest.mark.parametrize("after_ms", [1, 10, 19])
@pytest.mark.parametrize("as_tone", [False, True])
def test_time_stamps_of_keys_go_with_those_of_the_stream_around_them(after_ms, as_tone):
    """A packet has what was before it: keys, also several in a row, cover no time of the audio that follows."""
    sender, end = talking(), 0
    for key in "123":
        assert sender.press(key, 100, (1_000 + after_ms) * MS, as_tone=as_tone)
    until = 1_000 * MS
    for number in range(1, 60):
        arrives = (1_000 + 20 * number) * MS
        for at_ns, header, body in sent(sender, arrives - 1):
            length = len(body) if as_tone else int.from_bytes(body[2:], "big")
            assert header[3] >= end or not as_tone
            assert header[3] + length <= 16_160 + (at_ns - 1_000 * MS) * 8 // MS, "time that is not over"
            until, end = at_ns, header[3] + length
        if (audio := sender.forwarded(rtp(100 + number, 16_000 + 160 * number, ssrc=9), arrives)) is not None:
            assert HEADER.unpack_from(audio)[3] >= end
    assert until > 1_000 * MS


@pytest.mark.parametrize(("wanted", "units"), [(1, 320), (40, 320), (100, 800), (8_000, 64_000), (60_000, 64_000)])
def test_a_key_lasts_40_to_8000_ms(wanted, units):
    sender = talking()
    sender.press("1", wanted, 0, as_tone=False)
    assert int.from_bytes(sent(sender, 20_000 * MS)[-1][2][2:], "big") == units


@pytest.mark.parametrize(("used", "events"), [(111, 110), (0, 126), (None, 110), (55, 110)])
@pytest.mark.parametrize("is_followed", [False, True])
def test_events_have_the_clock_of_the_codec_that_is_used(used, events, is_followed):
    """Opus is named first; the call may use G.711 all the same. Packets of a number not named tell nothing."""
    formats = (
        (111, 48_000, "opus"),
        (0, 8_000, "PCMU"),
        (110, 48_000, "telephone-event"),
        (126, 8_000, "telephone-event"),
    )
    sender = KeySender(7)
    sender.describe(*zip(*formats, strict=True))
    if used is not None and is_followed:
        sender.follow(9, 99, 0, 1_000 * MS, used)
    elif used is not None:
        sender.forwarded(rtp(99, payload=used | 0x80, ssrc=9), 1_000 * MS)
    sender.press("5", 100, 1_020 * MS, as_tone=False)
    packets = sent(sender)
    assert {header[1] & 0x7F for _, header, _ in packets} == {events}
    assert int.from_bytes(packets[-1][2][2:], "big") == (4_800 if events == 110 else 800)


def test_tones_have_the_codec_that_is_used():
    for used, expected in ((8, 8), (0, 0), (18, 0)):
        sender = KeySender(7)
        sender.describe((0, 8, 18), (8_000,) * 3, ("PCMU", "PCMA", "G729"))
        sender.forwarded(rtp(99, payload=used, ssrc=9), 1_000 * MS)
        sender.press("5", 100, 1_020 * MS, as_tone=True)
        assert {header[1] & 0x7F for _, header, _ in sent(sender)} == {expected}


def test_a_long_key_is_sent_in_segments():
    sender = KeySender(7)
    sender.describe((111, 110), (48_000, 48_000), ("opus", "telephone-event"))
    sender.press("5", 3_000, MS, as_tone=False)
    packets = sent(sender)
    stamps = [header[3] for _, header, _ in packets]
    segments = list(dict.fromkeys(stamps))
    assert segments == [segments[0], segments[0] + 0xFFFF, segments[0] + 2 * 0xFFFF]
    durations = {stamp: int.from_bytes(body[2:], "big") for (_, (_, _, _, stamp, _), body) in packets}
    assert list(durations.values()) == [0xFFFF, 0xFFFF, 144_000 - 2 * 0xFFFF]
    assert [body[1] >> 7 for *_, body in packets] == [0] * (len(packets) - 3) + [1] * 3
    assert [header[1] >> 7 for _, header, _ in packets] == [1] + [0] * (len(packets) - 1)
    assert [header[2] for _, header, _ in packets] == [7 + number for number in range(1, len(packets) + 1)]
    reader = KeyReader()
    read_again = [HEADER.pack(*header) + body for _, header, body in packets]
    assert [key for each in read_again for key in reader.read(each, 1e9 / 48_000, 0)] == [PressedKey("5", 3_000)]


def test_keys_are_sent_one_after_the_other_and_only_so_many_wait():
    sender = talking()
    results = [sender.press(KEYS[number % 16], 40, 0, as_tone=False) for number in range(KEYS_WAITING + 2)]
    assert results == [True] * KEYS_WAITING + [False] * 2
    keys = read(*[HEADER.pack(*header) + body for _, header, body in sent(sender)])
    assert [key for key, _ in keys] == [KEYS[number % 16] for number in range(KEYS_WAITING)]


def test_a_receiver_without_events_gets_none():
    sender = KeySender(7)
    sender.describe((18,), (8_000,), ("G729",))
    assert not sender.press("1", 100, 0, as_tone=False)
    assert not sender.press("1", 100, 0, as_tone=True)


@pytest.mark.parametrize("as_tone", [False, True])
def test_keys_that_a_new_description_does_not_take_are_not_sent(as_tone):
    """Two keys wait, and one is being sent: none goes out in a codec that was not agreed."""
    sender = talking()
    for key in "123":
        sender.press(key, 100, 1_020 * MS, as_tone=as_tone)
    sender.due(1_020 * MS)
    assert len(sender.due(1_040 * MS)) == 1
    sender.describe((18,), (8_000,), ("G729",))
    assert sent(sender) == []
    assert sender.forwarded(rtp(101, 16_320, ssrc=9), 1_040 * MS) == rtp(102, 16_320, ssrc=9)


def test_a_key_goes_on_where_a_new_description_takes_it():
    sender = talking()
    sender.press("1", 100, 1_020 * MS, as_tone=False)
    sender.due(1_020 * MS)
    assert len(sender.due(1_040 * MS)) == 1
    sender.describe(*EVENTS)
    assert {header[1] & 0x7F for _, header, _ in sent(sender)} == {EVENTS[0][-1]}


def test_a_key_follows_a_stream_that_was_forwarded_before():
    sender = KeySender(7)
    sender.describe(*EVENTS)
    sender.follow(9, 65_535, 2**32 - 100, 1_000 * MS, 0)
    sender.press("1", 40, 1_040 * MS, as_tone=False)
    assert {(header[3], header[4]) for _, header, _ in sent(sender)} == {(220, 9)}
    assert sender.forwarded(rtp(0, 60, ssrc=9), 2_000 * MS) == rtp(4, 60, ssrc=9)


def test_a_stream_may_begin_with_a_key():
    sender = KeySender(0xFFFF_0000)
    sender.describe(*EVENTS)
    sender.press("1", 40, 5, as_tone=False)
    assert {header[4] for _, header, _ in sent(sender)} == {0xFFFF_0000}


def test_tones_are_sent_as_audio():
    sender = talking()
    assert sender.press("5", 50, 1_020 * MS, as_tone=True)
    packets = sent(sender)
    assert [header[1] & 0x7F for _, header, _ in packets] == [0, 0, 0]
    assert [header[2] for _, header, _ in packets] == [101, 102, 103]
    assert [header[3] for _, header, _ in packets] == [16_160, 16_320, 16_480]
    assert b"".join(body for *_, body in packets) == tone("5", 0, 400, "PCMU")


@pytest.mark.parametrize(
    ("key", "frequencies"), [("1", (697, 1209)), ("0", (941, 1336)), ("#", (941, 1477)), ("D", (941, 1633))]
)
def test_a_tone_has_the_two_frequencies_of_its_key(key, frequencies):
    octets = tone(key, 0, 800, "PCMA")
    table = {octet: sample for sample in range(-32_768, 32_768, 16) for octet in encoded([sample], "PCMA")}
    samples = [table[octet] for octet in octets]

    def level(frequency: int) -> float:
        angle = 2 * math.pi * frequency / 8_000
        return abs(
            sum(sample * complex(math.cos(angle * at), math.sin(angle * at)) for at, sample in enumerate(samples))
        )

    levels = {each: level(each) for each in (697, 770, 852, 941, 1209, 1336, 1477, 1633)}
    assert set(sorted(levels, key=levels.__getitem__)[-2:]) == set(frequencies)
    assert min(levels[each] for each in frequencies) > 5 * max(
        value for each, value in levels.items() if each not in frequencies
    )


@pytest.mark.parametrize(
    ("codec", "sample", "octet"),
    [("PCMU", 0, 0xFF), ("PCMU", 32_767, 0x80), ("PCMU", -32_768, 0x00), ("PCMA", 0, 0xD5), ("PCMA", 32_767, 0xAA),
     ("PCMA", -32_768, 0x2A), ("PCMU", 99_999, 0x80), ("PCMU", 1_000, 0xCE), ("PCMA", -1_000, 0x7A)],
)  # fmt: skip
def test_samples_are_encoded_as_g711(codec, sample, octet):
    assert encoded([sample], codec) == bytes((octet,))
