"""A damaged journal file of a killed switch: the next start reads everything else, and bills no call that has ended."""

import io
import sqlite3
from contextlib import closing
from pathlib import Path

import structlog
from e2e.conditions import eventually

from vosd.engine.journal import Remains
from vosd.engine.journal.earlier import read_segment
from vosd.engine.journal.entries import KIND_ENDED
from vosd.engine.journal.frames import Frame, frames_in


def damaged(data: bytes, place: int) -> bytes:
    """Return the data with one bit of a byte turned."""
    return data[:place] + bytes([data[place] ^ (1 << place % 8)]) + data[place + 1 :]


def read(data: bytes) -> Remains:
    """Return what a start would find."""
    remains = Remains()
    with structlog.testing.capture_logs():
        read_segment(io.BytesIO(data), Path("journal-00000001.log"), remains)
    return remains


def test_a_flipped_bit_costs_at_most_its_record_and_no_ended_call_runs_again(stage):
    scene = stage()
    scene.answered(3)
    with closing(sqlite3.connect(scene.daemon.directory / "vosd.db")) as database:
        database.execute("BEGIN EXCLUSIVE")  # nothing can be booked: the journal has the only copy
        for call in scene.customer.answered[:2]:
            scene.customer.hang_up(call)
        eventually(lambda: sum(call.bye_status == 200 for call in scene.customer.answered) == 2, "two calls ended")
        scene.daemon.kill()
    [file] = (scene.daemon.directory / "var" / "journal").glob("journal-*.log")
    data = file.read_bytes()
    whole = read(data)
    assert (len(whole.unbooked), len(whole.open_calls), whole.damaged) == (2, 1, set())
    for place in range(0, len(data), 3):  # every field is longer; each bit of a byte has its turn
        remains = read(damaged(data, place))
        assert len(remains.unbooked) + len(remains.cut) == 2, place
        assert len(remains.cut) <= 1, place
        assert remains.open_calls.keys() <= whole.open_calls.keys(), place

    [frame, *_] = [each for each in frames_in(io.BytesIO(data)) if isinstance(each, Frame) and each.kind == KIND_ENDED]
    file.write_bytes(damaged(data, data.index(frame.payload) + len(frame.payload) // 2))
    scene.daemon.start()
    scene.customer.hang_up(scene.customer.answered[2])
    records = eventually(lambda: len(found := scene.records()) == 3 and found, "a record of every call")
    assert sorted(record["end_reason"] for record in records) == ["Lost"] + ["Normal"] * 2
    assert scene.daemon.verb("spool", "check", str(file.with_suffix(".damaged"))).code == 1
