"""The journal against a model: answers, ends, bookings, a disk that is full and recovers, stops and kills."""

import os
import tempfile
from pathlib import Path

from doubles.data.records import answered_call, call_id, refused_call
from doubles.exploring import examples
from doubles.journals import begun, crash_and_read, new_journal, open_call, write_ended
from doubles.small_disk import PLENTY, Disk
from hypothesis import example, given, settings, strategies as st

from vosd.base.clock import Instant
from vosd.callcontrol.bookkeeping import lost
from vosd.engine.journal import Journal, JournalUnusableError, KeepSettings

TERMS = {"segment_bytes": 6_000, "reserve_bytes": 40_000, "keep": KeepSettings(keep_files=2)}

KINDS = (
    "answer", "answer", "answer", "end", "end", "refuse", "book", "book", "mark", "full", "back", "tick", "kill",
    "stop", "finish", "damage",
)  # fmt: skip
ACTIONS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 500)), max_size=60)


class Model:
    """A switch that books nothing by itself, and what must be true of its journal."""

    def __init__(self, directory: Path, disk: Disk) -> None:
        self._directory = directory
        self._disk = disk
        self._number = 0
        self._now = 10_000
        self.open: dict[str, int] = {}
        """Calls that are charged, with the instants of their answers."""
        self.unbooked: set[str] = set()
        self._unwritten: set[str] = set()
        """Unanswered calls that a full disk did not store."""
        self._begin()

    def do(self, action: str, which: int) -> None:
        """Do one thing; ``which`` chooses among the calls that fit."""
        self._now += 100
        self._number += 1
        chosen = sorted(self.unbooked if action == "book" else self.open)
        match action:
            case "answer":
                if self.journal.answered(open_call(self._number, self._now)):
                    self.open[call_id(self._number)] = self._now
            case "end" if chosen:
                ended = chosen[which % len(chosen)]
                write_ended(self.journal, answered_call(int(ended[-12:], 16)))
                del self.open[ended]
                self.unbooked.add(ended)
            case "refuse":
                write_ended(self.journal, refused_call(self._number))
                self.unbooked.add(call_id(self._number))
                if self.journal._output.backlog:
                    self._unwritten.add(call_id(self._number))
            case "book" if chosen:
                booked = chosen[: which % 20 + 1]
                self.journal.booked(booked)
                self.unbooked.difference_update(booked)
            case "mark" | "tick":
                self.journal.tick(Instant(self._now, self._now), has_calls=action == "mark")
            case "full":
                self._disk.room = which % 20 * 200
            case "back":
                self._disk.room = PLENTY
                self.journal.tick(Instant(self._now, self._now), has_calls=True)
                assert not self.journal.is_overfull
            case "finish":
                while self.open:
                    self.do("end", 0)
                self.journal.booked(sorted(self.unbooked))
                self.unbooked = set()
                self._restart(is_clean=True)
            case "damage":
                self._damage(which)
            case "kill" | "stop":
                self._restart(is_clean=action == "stop")

    def kill(self) -> None:
        """Do what the kernel does for a process that was killed."""
        output = self.journal._output
        os.close(output.descriptor)
        output._close_reserve()
        output._spare.release()

    def check(self) -> None:
        """Compare what a start would find with what there is."""
        remains = crash_and_read(self._directory)
        assert not remains.damaged
        found = remains.open_calls.keys() | remains.cut.keys() | remains.unbooked.keys()
        assert self.open.keys() <= remains.open_calls.keys()
        assert {each: call.answered_mono for each, call in remains.open_calls.items()}.items() >= self.open.items()
        assert remains.shifts == {}
        assert self.unbooked - self._unwritten <= found, "a call is lost"
        if self.journal._output.backlog:
            return  # what the disk never took is not known after a kill, but by the answer
        self._unwritten.clear()
        assert remains.open_calls.keys() == self.open.keys(), "a call that has ended runs again"
        assert remains.unbooked.keys() == self.unbooked
        assert self.journal.unbooked == len(self.unbooked)

    def _begin(self) -> None:
        self.journal: Journal = new_journal(self._directory, **TERMS)
        remains = self.journal.open()
        begun(remains, self.journal, Instant(self._now, self._now))
        for record in remains.unbooked.values():
            self.journal.ended(record)
        for cut in remains.cut.values():
            self.journal.ended(lost(cut.call, cut.ended_mono))
        for call in remains.open_calls.values():
            self.journal.ended(lost(call, remains.last_mono))
        try:
            self.journal.settle()
        except JournalUnusableError:
            self._disk.room = PLENTY  # the operator makes room and starts again
            self.kill()
            self._begin()
            return
        self.open = {}
        self.unbooked = set(remains.unbooked) | set(remains.open_calls) | set(remains.cut)

    def _damage(self, which: int) -> None:
        """Kill the switch and turn one bit of what it has written: one record may be lost, no ended call may run."""
        if self.journal._output.backlog:
            return
        path = [*self._directory.glob("journal-*.log")][which % 2 - 1]
        data = bytearray(path.read_bytes())
        length = len(data.rstrip(b"\0"))
        if length:
            data[which * 7919 % length] ^= 1 << which % 8
        with path.open("r+b") as file:
            file.write(data)
        remains = crash_and_read(self._directory)
        found = remains.open_calls.keys() | remains.cut.keys() | remains.unbooked.keys()
        assert remains.open_calls.keys() <= self.open.keys(), "a call that has ended runs again"
        assert len((self.open.keys() | self.unbooked) - found) <= 1
        self._unwritten = set()
        self.kill()
        self._begin()

    def _restart(self, *, is_clean: bool) -> None:
        had = (self.open.keys() | self.unbooked) - self._unwritten
        self._unwritten = set()
        is_written = not self.journal._output.backlog
        if is_clean:
            self.journal.close()
        else:
            self.kill()
        self._begin()
        assert had == self.unbooked if is_written else had <= self.unbooked


@given(ACTIONS)
@example([*[("answer", 0)] * 4, ("full", 10), ("mark", 0), ("finish", 0)])  # full in the middle of a new file's begin
@example([*[("answer", 0)] * 20, ("mark", 0), ("answer", 0)])  # between two files, of which the second lacks calls
@settings(max_examples=examples(60, 1_000))
def test_no_call_is_lost_and_none_that_ended_runs_again(actions):
    disk = Disk()
    with tempfile.TemporaryDirectory() as directory, disk.in_place():
        model = Model(Path(directory) / "journal", disk)
        for action, which in actions:
            model.do(action, which)
            model.check()
        model.kill()
