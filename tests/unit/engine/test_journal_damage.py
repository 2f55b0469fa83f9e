"""Damaged journal files: whatever is damaged, the rest is read, and no call that has ended comes back as running."""

import io
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import structlog
from doubles.data.records import answered_call, call_id
from doubles.journals import crash_and_read, files_of, new_journal, open_call, opened, write_ended
from hypothesis import given, settings, strategies as st

from vosd.base.clock import Instant
from vosd.callcontrol.bookkeeping import lost
from vosd.callcontrol.open_call import UNDESCRIBED
from vosd.engine.journal import Remains
from vosd.engine.journal.earlier import read_segment
from vosd.engine.journal.entries import answered_frame, ended_frame
from vosd.engine.journal.frames import Damage, Frame, FrameReader, framed, frames_in

PAGE = 4_096


def written(directory: Path, calls: int, *, marked: bool = True) -> Path:
    """Write answered and ended calls, and one that runs; return the only file."""
    journal = opened(directory)
    for index in range(calls):
        journal.answered(open_call(index, answered_mono=5_000 + index))
    journal.answered(open_call(calls, answered_mono=5_000 + calls))
    for index in range(calls):
        journal.ended(answered_call(index))
    if marked:
        journal.mark(Instant(3_600_000, 1_790_003_600_000))
    journal.flush()
    [name] = files_of(directory)
    return directory / name


def three_records(directory: Path) -> tuple[Path, bytes, list[int]]:
    """Write three ended calls; return the file, its bytes, and where each record begins, and the end."""
    journal = opened(directory)
    [name] = files_of(directory)
    ends = [(directory / name).stat().st_size]
    for index in range(3):
        journal.ended(answered_call(index))
    journal.flush()
    for index in range(3):
        ends.append(ends[-1] + len(ended_frame(answered_call(index), 0)))
    data = (directory / name).read_bytes()
    assert len(data) == ends[-1]
    return directory / name, data, ends


def read(path: Path, data: bytes) -> Remains:
    remains = Remains()
    with structlog.testing.capture_logs():
        read_segment(io.BytesIO(data), path, remains)
    return remains


def flips(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Turn a bit of each byte of heads and tails, and of every third of a payload: one checksum covers all of it."""
    left_out: set[int] = set()
    for frame in frames_in(io.BytesIO(data)):
        assert isinstance(frame, Frame)
        begin = data.index(frame.payload)
        left_out.update(place for place in range(begin, begin + len(frame.payload)) if place % 3)
    for place in sorted({*range(len(data))} - left_out):
        bit = 1 << place % 8
        yield place, data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :]


def test_one_bit_costs_at_most_the_record_it_is_in(directory):
    path = written(directory, 2)
    data = path.read_bytes()
    whole = read(path, data)
    assert (len(whole.unbooked), len(whole.open_calls)) == (2, 1)
    for place, damaged in flips(data):
        remains = read(path, damaged)
        known = remains.unbooked.keys() | remains.cut.keys() | remains.open_calls.keys()
        assert len(whole.unbooked.keys() - remains.unbooked.keys()) <= 1, place
        assert not remains.open_calls.keys() - whole.open_calls.keys(), f"{place}: an ended call runs again"
        for lost_id in whole.unbooked.keys() - remains.unbooked.keys():
            assert remains.cut[lost_id].ended_mono == 5_000 + int(lost_id[-12:], 16) + 60_000, place
        assert len(whole.open_calls.keys() | whole.unbooked.keys() - known) <= 1, place


def test_a_record_whose_head_is_damaged_is_read_by_its_tail(directory):
    _, data, ends = three_records(directory)
    whole = list(frames_in(io.BytesIO(data)))
    head_bytes = len(framed(0, bytes(16), 0, b"")) // 2
    for place in range(ends[1], ends[1] + head_bytes):
        damaged = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        found = [each for each in frames_in(io.BytesIO(damaged)) if isinstance(each, Frame)]
        assert found == whole, place - ends[1]


def test_an_ended_call_whose_record_is_damaged_is_charged_up_to_its_end(directory):
    path = written(directory, 1, marked=False)
    data = path.read_bytes()
    middle = data.rindex(b"fee_breakdown")
    remains = read(path, data[:middle] + b"F" + data[middle + 1 :])
    cut = remains.cut[call_id(0)]
    record = lost(cut.call, cut.ended_mono)
    assert (record.end_reason, record.hold_time_ms) == ("Lost", 60_000)
    assert record.fee == answered_call(0).hold_time_s * cut.call.customer_rate.rate.billing_rate / 60


def test_a_call_whose_record_is_damaged_shows_until_when_the_others_have_talked(directory):
    """Nothing was written behind it: the others are charged up to the latest instant that is known."""
    path = written(directory, 0, marked=False)
    journal_data = path.read_bytes()
    read_before = read(path, journal_data)
    later = answered_frame(open_call(1, answered_mono=65_000), UNDESCRIBED)
    damaged = later.replace(b"fee_breakdown", b"Fee_breakdown", 1)
    remains = read(path, journal_data + damaged)
    assert (read_before.last_mono, remains.last_mono) == (5_000, 65_000)
    assert remains.open_calls.keys() == {call_id(0)}


@pytest.mark.parametrize("fill", [b"\0", b"\xff"])
def test_a_lost_page_brings_no_ended_call_back_and_what_follows_it_is_read(directory, fill):
    path = written(directory, 30)
    data = path.read_bytes()
    first_end = data.index(b"ended", len(data) // 3)
    for begin in range(first_end - first_end % PAGE, len(data) - 2 * PAGE, PAGE):
        remains = read(path, data[:begin] + fill * PAGE + data[begin + PAGE :])
        assert len(remains.unbooked) >= 30 - PAGE // 1_000 - 2
        assert remains.open_calls.keys() <= {call_id(30)}
        assert len(remains.unbooked) + len(remains.cut) >= 30 - PAGE // 1_000 - 2


def test_a_booked_call_is_over_even_without_an_end_record(directory):
    journal = opened(directory)
    journal.answered(open_call(0))
    write_ended(journal, answered_call(0))
    [name] = files_of(directory)
    cut_from = len((directory / name).read_bytes()) - len(ended_frame(answered_call(0), 65_000))
    cut_to = (directory / name).stat().st_size
    journal.booked([call_id(0)])
    data = (directory / name).read_bytes()
    remains = read(directory / name, data[:cut_from] + b"x" * (cut_to - cut_from) + data[cut_to:])
    assert (remains.open_calls, remains.unbooked, remains.cut) == ({}, {}, {})


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_whatever_is_written_over_a_file_reading_it_ends_and_finds_what_was_not_touched(data):
    payloads = [bytes([number]) * (number * 37 % 200) for number in range(40)]
    frames = [framed(1 + number % 5, bytes([number]) * 16, number, each) for number, each in enumerate(payloads)]
    content = bytearray(b"".join(frames))
    begin = data.draw(st.integers(0, len(content)))
    junk = data.draw(st.binary(max_size=300))
    content[begin : begin + len(junk)] = junk
    window = data.draw(st.sampled_from([64, 500, 1 << 20]))
    found = [part for part in frames_in(io.BytesIO(bytes(content)), window) if isinstance(part, Frame)]
    end, position = begin + len(junk), 0
    for number, frame in enumerate(frames):
        if position + len(frame) <= begin or position >= end:
            assert Frame(1 + number % 5, bytes([number]) * 16, number, payloads[number]) in found
        position += len(frame)


def test_a_torn_last_record_is_left_out_wherever_it_is_torn(directory):
    path, data, begins = three_records(directory)
    for end in (begins[2] + 4, begins[2] + 7, begins[2] + 8, begins[2] + 30, begins[3] - 60):
        remains = read(path, data[:end])
        assert remains.unbooked.keys() == {call_id(0), call_id(1)}
        assert remains.damaged == {path}
    assert read(path, data[: begins[3] - 1]).unbooked.keys() == {call_id(0), call_id(1), call_id(2)}


def test_a_torn_end_ends_its_call(directory):
    path = written(directory, 1, marked=False)
    remains = read(path, path.read_bytes()[:-200])
    assert remains.open_calls.keys() == {call_id(1)}
    assert remains.cut[call_id(0)].ended_mono == 65_000


def test_zeros_that_a_power_loss_leaves_at_the_end_are_no_record(directory, logged):
    path, data, _ = three_records(directory)
    path.write_bytes(data + bytes(4_096))
    remains = crash_and_read(directory)
    assert len(remains.unbooked) == 3
    assert remains.damaged == set()
    assert logged == []


def test_only_the_damaged_record_is_left_out_and_its_file_is_set_aside(directory, logged):
    path, data, begins = three_records(directory)
    middle = (begins[1] + begins[2]) // 2
    path.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
    journal = new_journal(directory)
    remains = journal.open()
    assert remains.unbooked.keys() == {call_id(0), call_id(2)}
    assert [(line["log_level"], line["call_id"]) for line in logged] == [("error", call_id(1))]
    journal.settle()
    assert path.with_suffix(".damaged").exists()
    assert not path.exists()
    assert crash_and_read(directory).unbooked == {}


def test_a_file_that_was_set_aside_keeps_its_name_to_itself(directory):
    path, data, _ = three_records(directory)
    path.write_bytes(data[:-100])
    opened(directory).close()
    assert files_of(directory) == ["journal-00000001.damaged", "journal-00000002.kept"]
    opened(directory)
    assert "journal-00000003.log" in files_of(directory)


# -- other versions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [2, 99])
def test_an_unknown_kind_of_record_is_kept_and_ignored(directory, kind):
    payload = msgspec.msgpack.encode({"type": "transferred", "call": 1})
    directory.mkdir(parents=True)
    foreign = Frame(kind, bytes(range(16)), 7, payload)
    (directory / "journal-00000001.log").write_bytes(framed(*foreign) + ended_frame(answered_call(1), 0))
    journal = new_journal(directory, segment_bytes=3_000)
    remains = journal.open()
    assert remains.unknown == [foreign]
    assert remains.unbooked.keys() == {call_id(1)}
    journal.ended(answered_call(1))
    journal.settle()
    for index in range(10, 20):
        journal.ended(answered_call(index))
        journal.booked([call_id(index), call_id(1)])
    journal.close()
    assert crash_and_read(directory).unknown[0] == foreign


def test_a_file_of_zeros_or_of_nothing_has_no_records():
    for content in (b"", bytes(100), bytes(20_000)):
        assert list(frames_in(io.BytesIO(content), 4_096)) == []
    assert [type(part) for part in frames_in(io.BytesIO(b"?" * 100))] == [Damage]


def test_records_behind_more_damage_than_is_read_at_once_are_read():
    record = ended_frame(answered_call(1), 0)
    parts = list(frames_in(io.BytesIO(b"?" * (3 * PAGE) + record), PAGE))
    assert [type(part) for part in parts] == [Damage, Frame]


def test_no_more_of_a_file_is_read_than_was_whole_and_the_rest_later():
    first, last = (ended_frame(answered_call(index), 0) for index in (1, 2))
    damage = b"?" * 40
    file = io.BytesIO(first + damage + last)
    reader = FrameReader(file)
    parts = reader.read()
    whole = len(first) + len(damage)
    reader.read_until(whole)
    assert [type(next(parts)) for _ in range(2)] == [Frame, Damage]
    assert file.tell() == whole
    reader.read_until(None)
    assert isinstance(next(parts), Frame)
    assert reader.end == whole + len(last)
