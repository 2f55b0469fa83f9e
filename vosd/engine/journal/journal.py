"""Journal of a running switch (ADR 4).

Files of framed records are appended: an answered call with all that is needed to bill it, an ended call ready to be
booked, a time mark every second while calls run, and which calls are booked. Records are written before the datagrams
of their calls are sent, so they survive kill -9; they are synced at most ``output.SYNC_S`` later.
"""

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from vosd.base.clock import Instant
from vosd.callcontrol.open_call import UNDESCRIBED, Description, OpenCall, end_of
from vosd.cdr.ports import RejectedRecord
from vosd.cdr.record import CallRecord
from vosd.cdr.retention import KeepSettings
from vosd.engine.counting import Counting
from vosd.engine.journal.earlier import Earlier, read_earlier, usable
from vosd.engine.journal.entries import (
    BEHIND_KEPT,
    Began,
    BookedCalls,
    EndOf,
    Kept,
    KeptCall,
    PlacedCall,
    Quarantined,
    TimeMark,
    add_placed,
    answered_frame,
    ended_frame,
    frame_of,
    refused_among,
)
from vosd.engine.journal.files import REMOVED_AT_ONCE, Files, WrittenUpTo, numbered
from vosd.engine.journal.frames import framed
from vosd.engine.journal.kept import BEGINNING, JournalPlace, KeptJournal
from vosd.engine.journal.left_over import LeftOverLegs
from vosd.engine.journal.output import AGENT_BYTES, END_BYTES, MAKE_ROOM, RESERVE_BYTES, JournalOutput
from vosd.engine.journal.quarantine import DIRECTORY, Quarantine
from vosd.engine.journal.replay import JournalUnusableError, Remains
from vosd.engine.journal.sealing import Sealing
from vosd.engine.journal.unbooked import UnbookedCalls
from vosd.obs.events import Event, log as _log
from vosd.obs.figures import Figure
from vosd.processes.spare_descriptors import advice
from vosd.sip.dialog.snapshot import InviteSnapshot

SEGMENT_BYTES: Final = 64 * 1024 * 1024
REFUSED_MAX: Final = 10_000
"""Limit of calls in quarantine; above it no new calls are taken, because the cause is likely to refuse them, too."""
SPARED_MARKS: Final = 30
"""One mark in so many seconds is written where the ends of running calls need the room."""
AT_ONCE: Final = 8
"""Open calls that are written to a new file in one turn: less than a millisecond."""
AT_ONCE_MAX: Final = 8
"""Number of times that one call is written between two marks of time by changes that do not wait for the next."""
CHANGED_AT_ONCE: Final = 100
"""Changed calls that are written in one turn: one REGISTER moves all calls of a PBX, each of which takes 0.1 ms."""
LOOK_TICKS: Final = 60
"""Interval in seconds at which it is looked whether older files were removed."""
AT_TICK: Final = 100
"""Open calls that are written to a new file once a second, where no other turn writes anything."""
STAY_TICKS: Final = 5
"""For how many seconds the older files stay at least when a call has ended before its turn.

Its legs are in them alone, and a start that follows soon has to release them once more (``released.RECENT_MS``).
"""


class TimeMarks:
    """Time marks: content of the next one, and the latest one."""

    def __init__(self) -> None:
        self.latest: TimeMark | None = None
        """Without calls."""
        self.ends: list[EndOf] = []
        """Answered calls that ended since."""
        self.acknowledged: list[tuple[str, int]] = []
        """Calls that were acknowledged since."""

    def take(self, now: Instant) -> TimeMark:
        """Return the mark of this second."""
        mark = TimeMark(now.mono, now.wall, tuple(self.ends), tuple(self.acknowledged))
        self.latest = TimeMark(now.mono, now.wall)
        self.ends.clear()
        self.acknowledged.clear()
        return mark


class CallChanges:
    """Open calls that have changed since they were written, and when each is written again.

    Requests within calls are unlimited, and must not fill disks.
    """

    def __init__(self) -> None:
        self.now: dict[str, None] = {}
        """Calls that are written before the datagrams of this turn are sent, the latest change last."""
        self._later: dict[str, None] = {}
        """Calls that were written since the last mark of time, and wait for the next."""
        self._lately = Counter[str]()
        """Number of times that calls were written since the last mark of time."""

    def note(self, call_id: str, *, at_once: bool) -> None:
        """Note that a call has changed: it is written in this turn, if it was not yet since the last mark.

        With ``at_once`` it is written in this turn up to ``AT_ONCE_MAX`` times between marks.
        """
        if self._lately[call_id] < (AT_ONCE_MAX if at_once else 1):
            self.now.pop(call_id, None)
            self.now[call_id] = None
        else:
            self._later[call_id] = None

    def forget(self, call_id: str) -> None:
        """Forget a call that has ended."""
        self.now.pop(call_id, None)
        self._later.pop(call_id, None)

    def clear(self) -> None:
        """Forget all: every open call has been written."""
        self.now.clear()
        self._later.clear()

    def due(self) -> Iterator[str]:
        """Yield the calls to be written in this turn: those that changed last, the others follow in later turns."""
        for _ in range(min(len(self.now), CHANGED_AT_ONCE)):
            call_id, _none = self.now.popitem()
            self._lately[call_id] += 1
            yield call_id

    def due_at_mark(self) -> Iterator[str]:
        """Yield the calls to be written with a mark of time, as many as in one turn."""
        self.now, self._later = {**self._later, **self.now}, {}
        yield from self.due()
        self._lately.clear()


class Carrying:
    """Open calls that are still to be written to the file that was begun last, some in each turn of the event loop.

    To describe thousands of them at once would take tenths of a second, in which no packet is read. Until the last of
    them is written the older files stay in use, so a start finds every call in one file or another.
    """

    def __init__(self) -> None:
        self.file = 0
        """Number of that file; 0 = it has all of them."""
        self.left: deque[str] = deque()
        self.stays_until = 0
        """The older files stay until then, counted in seconds as ``ticks`` below."""

    def begin(self, file: int, call_ids: Collection[str]) -> None:
        """Begin with a new file."""
        self.file, self.left = file, deque(call_ids)

    def stop(self) -> None:
        """Write no more of them to this file."""
        self.file, self.left = 0, deque()

    def take(self, open_calls: Collection[str], most: int, ticks: int) -> Iterator[str]:
        """Yield the next calls, at most so many, which are written now; ``ticks`` counts the seconds."""
        for _ in range(min(most, len(self.left))):
            call_id = self.left.popleft()
            if call_id in open_calls:
                yield call_id
            else:
                self.stays_until = ticks + STAY_TICKS


class Journal(Counting):
    """One directory of segments; the newest is written, older ones are kept for a while after they are booked."""

    def __init__(
        self,
        directory: Path,
        keep: KeepSettings | None = None,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        reserve_bytes: int = RESERVE_BYTES,
    ) -> None:
        self._directory = directory
        self._segment_bytes = segment_bytes
        self._files = Files(directory, keep or KeepSettings(), segment_bytes)
        self._output = JournalOutput(self._files, reserve_bytes)
        self.quarantine = Quarantine(directory.parent / DIRECTORY)
        """Records that the database refused."""
        self._size = 0
        """Bytes written to the newest segment, without the open calls at its beginning."""
        self._first = 0
        """The newest segment that begins with the open calls: only older ones may be retired."""
        self.describe: Callable[[str], Description] = lambda _call_id: UNDESCRIBED
        """Describes an open call as it is now; it is kept nowhere, since files are begun rarely."""
        self.in_memory: Callable[[], Iterable[CallRecord]] = tuple
        """Returns the ended calls that wait in memory for the database, the oldest first."""
        self._open_calls: dict[str, OpenCall] = {}
        self._ends = 0
        """Room for the ends of these calls, in bytes."""
        self._changes = CallChanges()
        self._carrying = Carrying()
        self._placed: dict[str, list[PlacedCall]] = {}
        self.left_over: Final = LeftOverLegs(self._output.append)
        """Legs that earlier runs have not released."""
        self._marks = TimeMarks()
        self._began: Began | None = None
        self._unknown: list[bytes] = []
        """Records of another version, which are copied with the open calls."""
        self.waiting: Final = UnbookedCalls(self._files, self._all_written)
        """Ended calls that are neither booked nor in quarantine."""
        self.sealing: Final = Sealing(self._files, self.waiting)
        self._removed: list[int] = []
        """Older files that were found to be removed, though they have calls that are not booked."""
        self._left_behind: list[Path] = []
        """Segments of the earlier run."""
        self._ticks = 0
        self._ended_since_flush = False

    # -- life ---------------------------------------------------------------------------------------------------

    def adjust(self, settings: KeepSettings) -> None:
        """Keep booked files by other settings from now on."""
        self._files.keep = settings

    def read_earlier(self) -> Earlier:
        """Read what an earlier run left, in a thread if that may take long; raises ``JournalUnusableError``."""
        return read_earlier(self._directory)

    def open(self, earlier: Earlier | None = None) -> Remains:
        """Take over what an earlier run left, which is read now if it was not before, and begin a new segment.

        The old segments stay until ``settle`` confirms that everything in them is in the new one.

        Raises:
            JournalUnusableError: the directory cannot be made, read or written.
        """
        self._left_behind, remains = earlier or self.read_earlier()
        with usable(self._directory):
            self._files.damaged.update(map(numbered, remains.damaged))
            self._files.remove_drafts()
            self._files.prune()
            ends = sum(END_BYTES + AGENT_BYTES * len(each.agents) for each in remains.open_calls.values())
            self._output.open(self._files.next_number(), ends, len(remains.open_calls))
            self._first = self._output.number
            self.quarantine.count()
        self._unknown = [framed(*frame) for frame in remains.unknown]
        for frame in self._unknown:
            self._output.append(frame)
        self.waiting.found_on_disk(remains.left_in)
        return remains

    def settle(self) -> None:
        """Take the segments of the earlier run out of use, when everything in them has been written again.

        From the oldest on that holds calls which were left on disk, they stay for these calls alone.

        Raises:
            JournalUnusableError: the disk is full or fails; the old segments stay.
        """
        is_written = self._write() or (self._output.recover() and self._write())
        if not is_written or not self._output.sync():
            message = f"the journal in {self._directory} cannot be written; make room on that disk and start again"
            raise JournalUnusableError(message)
        held = self.waiting.oldest_file
        for segment in self._left_behind:
            if held is None or numbered(segment) < held:
                self._files.put_away(segment)
            else:
                self._files.leave_unbooked(segment)
                self.waiting.add_files(numbered(segment), numbered(segment) + 1)
        self._left_behind = []
        self._files.prune()
        self.sealing.begun(self._first)

    def close(self) -> None:
        """Write and sync what is left."""
        if not self._write():
            _log.error("journal_end_not_written", lost_bytes=self._output.backlog)
        number, is_sealed = self._output.number, self._output.is_sealed
        self._output.close()
        if is_sealed:
            return
        self.waiting.close()
        if not (self.waiting or self._open_calls or self.left_over or self._unknown):
            self._files.put_all_away({*self.waiting.files(), *range(self._first, number + 1)})

    # -- records ------------------------------------------------------------------------------------------------

    @property
    def unbooked(self) -> int:
        """Number of ended calls that are not in the database, including those in quarantine."""
        return len(self.waiting) + len(self.quarantine)

    @property
    def is_short(self) -> bool:
        """Whether the disk is full or fails: what may still be written is for running calls."""
        return self._output.is_short or self._output.is_crowded

    @property
    def is_overfull(self) -> bool:
        """Whether the disk has failed, or the quarantine is full, so that no new call may be taken."""
        return self.is_short or len(self.quarantine) > REFUSED_MAX

    def answered(self, call: OpenCall, description: Description = UNDESCRIBED) -> bool:
        """Write a call that is charged at once; return False if that failed: then it must not be answered, or ring."""
        output, of_agents = self._output, AGENT_BYTES * len(call.agents)
        if not output.has_room_for_answer(self._ends + of_agents):
            return False
        output.append(answered_frame(call, description))
        if not self._write():
            output.withdraw()
            return False
        self._ends += END_BYTES + of_agents if call.record.call_id not in self._open_calls else 0
        self._open_calls[call.record.call_id] = call
        if call.is_answered:
            self._placed.pop(call.record.call_id, None)
        return True

    def began(self, began: Began) -> None:
        """Write what the messages of this process have in common."""
        self._began = began
        self._output.append(frame_of(began))

    def resumed(self, call: OpenCall, *, has_changed: bool = False) -> None:
        """Write a call of an earlier run that this one goes on with, as it was described there, or as it is now.

        One that ``has_changed`` does not wait for a later turn: its instants may be those of another boot.
        """
        call_id = call.record.call_id
        self._output.append(answered_frame(call, self.describe(call_id)) if has_changed else frame_of(call))
        self._ends += END_BYTES + AGENT_BYTES * len(call.agents)
        self._open_calls[call_id] = call.alone

    def keep(self, now: Instant, answered: Mapping[str, Description], others: Mapping[str, bytes], rest: bytes) -> bool:
        """Write all calls exactly when the process stops, and sync; return False if the disk takes it not.

        ``others`` are the calls that no gateway has answered, ``rest`` is what the endpoint has beside all of them.
        """
        frames = [answered_frame(self._open_calls[call_id], each) for call_id, each in answered.items()]
        frames += [frame_of(KeptCall(call_id, saved)) for call_id, saved in others.items()]
        for frame in (*frames, frame_of(Kept(now.mono, now.wall, (*answered, *others), rest))):
            self._output.append(frame)
        self._changes.clear()
        self._carrying.stop()
        self._output.seal(BEHIND_KEPT)
        return self._write() and self._output.sync()

    def acknowledged(self, call_id: str, mono: int) -> None:
        """Note that a caller has acknowledged our 200; it is written with the next mark."""
        self._marks.acknowledged.append((call_id, mono))

    def moved(self, call_id: str, *, at_once: bool = False) -> None:
        """Note that an answered call has changed; ``at_once`` or not is as ``CallChanges.note`` says."""
        if call_id in self._open_calls:
            self._changes.note(call_id, at_once=at_once)

    def placed(self, placed: PlacedCall) -> None:
        """Keep what is needed to cancel an INVITE to a gateway, until the call is answered or has ended."""
        if add_placed(placed, self._placed.setdefault(placed.call_id, [])):
            self._output.append_spare(frame_of(placed), self._ends)

    def invites_of(self, call_id: str) -> Iterator[InviteSnapshot]:
        """Yield the INVITEs to gateways that are kept of a call and that no later one names as refused."""
        placed = self._placed.get(call_id, ())
        refused = refused_among(placed)
        return (each.invite for each in placed if each.invite.via not in refused)

    def answered_in_vain(self, call_id: str, sip_call_id: str) -> None:
        """Keep an INVITE to a gateway without the price of its late answer, which is booked.

        A call that is not charged while it rings keeps the record that it leaves if it is cut off.
        """
        for each in tuple(self._placed.get(call_id, ())):
            if each.record is not None and each.record.sip_call_id_out == sip_call_id:
                record = None if call_id in self._open_calls else each.record
                self.placed(replace(each, record=record, vendor_rate=None))

    def has_ended(self, call_id: str) -> bool:
        """Return whether a record of this id waits for its booking, in memory or on disk."""
        return call_id in self.waiting

    def ended(self, record: CallRecord) -> None:
        """Keep an ended call until it is booked; no other record of its id may wait."""
        call_id, number, mono = record.call_id, self._output.number, 0
        self._placed.pop(call_id, None)
        call = self._open_calls.pop(call_id, None)
        self._changes.forget(call_id)
        if call is not None:
            self._ends -= END_BYTES + AGENT_BYTES * len(call.agents)
            mono = end_of(call, record)
            self._marks.ends.append(EndOf(call_id, mono))
        self.waiting.add(call_id, number)
        self._output.append(ended_frame(record, mono))
        self._ended_since_flush = True

    def census(self) -> Mapping[Figure, int]:
        """Count what waits, for ``vosd status``."""
        return {
            Figure.SPOOL_ROWS: self.unbooked,
            Figure.SPOOL_MB: self.waiting.megabytes(),
            Figure.JOURNAL_SHORT: int(self.is_short),
            Figure.JOURNAL_BACKLOG: self._output.backlog,
        }

    async def refused(self, rejected: Sequence[RejectedRecord]) -> set[str]:
        """Move calls that the database refuses into quarantine; their cost must be counted as owed before.

        They are on disk there before they are marked in the journal. Return those of which that holds; the others stay
        in the journal, and must be booked again.
        """
        kept = await self.quarantine.take(rejected)
        if not kept:
            return kept
        done = self.waiting.settle(kept)
        self._output.append(frame_of(Quarantined(done)))
        self.flush()
        self._retire_segments()
        return kept

    def kept(self, since_s: float = 0.0, place: JournalPlace = BEGINNING) -> KeptJournal:
        """Return a reading of all ended calls in the files, booked or not; ``KeptJournal`` says what the terms mean."""
        return KeptJournal(self._directory, since_s, place)

    def mark(self, now: Instant) -> None:
        """Write a time mark with the calls that ended, or were acknowledged, since the last one."""
        self._describe_changed(self._changes.due_at_mark())
        self._output.append(frame_of(self._marks.take(now)))

    def tick(self, now: Instant, *, has_calls: bool) -> None:
        """Do the work of each second: a time mark while calls run, and another attempt on a disk that failed."""
        if self._output.is_sealed:
            return
        self._output.look_for_file()
        has_any = has_calls or self._open_calls or self._marks.ends  # a test call is open and no running call
        if has_any and not (self._ticks % SPARED_MARKS and self._output.is_tight(self._ends)):
            self.mark(now)
        self._output.keep_room(self._ends)
        if self._output.is_short and self._output.recover(self._ends, len(self._open_calls)):
            self._begin_with_open_calls()
            self._look_for_older_files()
        elif not (self._ticks % LOOK_TICKS or self._output.is_short):
            self._look_for_older_files()
        if self._carrying.file:
            self._carry(AT_TICK)
        self.flush()
        if not self._output.is_short:
            self._files.prune_sometimes(self._ticks, now.mono)
        self._ticks += 1

    def booked(self, call_ids: Iterable[str]) -> None:
        """Note that calls are in the database, and retire segments whose calls are all booked."""
        self._output.append_spare(frame_of(BookedCalls(self.waiting.settle(call_ids))), self._ends)
        self.flush()
        self._retire_segments()

    def flush(self) -> bool:
        """Write everything that waits; called before datagrams are sent.

        A failing disk is logged once and tried again every second; no record is dropped. Return False if a record of
        a call that has ended since the last time waits in memory: only the database can keep it over a kill.
        """
        if self._changes.now:
            self._describe_changed(self._changes.due())
        output = self._output
        if output.backlog:
            if self._carrying.left:
                self._carry(AT_ONCE)
            elif self._write() and self._size >= self._segment_bytes and not (output.is_short or output.is_sealed):
                self._begin_segment()
            has_ended, self._ended_since_flush = self._ended_since_flush, False
            return not (has_ended and output.backlog)
        return True

    async def keep_synced(self) -> None:
        """Sync in a thread what was written; runs until cancelled."""
        await self._output.keep_synced()

    def take_slowest_sync(self) -> float:
        """Return how many seconds the slowest sync took since this was asked last; one that goes on, up to now."""
        return self._output.take_slowest_sync()

    # -- inside -------------------------------------------------------------------------------------------------

    def _all_written(self) -> WrittenUpTo:
        self.flush()
        return self._output.written

    def _write(self) -> bool:
        waiting = self._output.backlog
        is_done = self._output.write()
        self._size += waiting - self._output.backlog
        return is_done

    def _describe_changed(self, call_ids: Iterable[str]) -> None:
        for call_id in call_ids:
            frame = answered_frame(self._open_calls[call_id], self.describe(call_id))
            self._output.append_spare(frame, self._ends)

    def _begin_segment(self) -> None:
        """Begin a new file."""
        self._size = 0
        try:
            has_begun = self._output.begin_next(len(self._open_calls))
        except OSError as error:
            means = "the old one is continued"
            _log.error("journal_file_not_created", means=means, error=str(error), do=advice(error, MAKE_ROOM))
            return
        if has_begun:
            self._begin_with_open_calls()

    def _begin_with_open_calls(self) -> None:
        """Begin a file with all that only older files hold: with the first of the open calls, the others follow."""
        output = self._output
        begun = output.number
        self.waiting.add_files(self._first, begun)
        if self._began is not None:
            output.append(frame_of(self._began))
        if self._marks.latest is not None:
            output.append(frame_of(self._marks.latest))
        for placed in chain.from_iterable(self._placed.values()):
            output.append(frame_of(placed))
        self.left_over.write()
        for frame in self._unknown:
            output.append(frame)
        self._write()
        self._size = 0
        self._carrying.begin(begun, self._open_calls)
        self._carry(AT_ONCE)

    def _look_for_older_files(self) -> None:
        """Write the ended calls of files that were removed to the present file, as far as memory has their records.

        That takes some 60 ms for as many as wait in memory at most, once: a kill would lose them.
        """
        try:
            removed = self.waiting.removed_files()
        except OSError:  # of a disk that fails: writing will say so
            return
        if not removed:
            self._removed = removed
            return
        records = {record.call_id: record for record in self.in_memory()}
        moved = self.waiting.move(records, removed, self._output.number)
        for call_id in moved:
            self._output.append(ended_frame(records[call_id], 0))
        if removed != self._removed:
            self._removed = removed
            _log.error(
                Event.JOURNAL_REMOVED,
                file=self._files.path(removed[0]).name,
                files=len(removed),
                written_again=len(moved),
                not_in_memory=self.waiting.count_in(removed),
                means="ended calls that are in memory are written again; only a file had the records of the others",
            )

    def _carry(self, most: int) -> None:
        """Write some of the open calls to the file that was begun last; when it has all, older ones can be retired."""
        carrying, output = self._carrying, self._output
        if not output.is_short:
            before = output.backlog
            for call_id in carrying.take(self._open_calls, most, self._ticks):
                output.append(answered_frame(self._open_calls[call_id], self.describe(call_id)))
            self._size -= output.backlog - before
        if not self._write() or output.is_short:
            carrying.stop()  # the file that is begun when there is room again begins with all of them
        elif not carrying.left:
            self._first = carrying.file
            self.sealing.begun(self._first)
            carrying.stop()
            self._retire_segments()

    def _retire_segments(self) -> None:
        """Retire older segments whose calls are all booked, once the open calls are in a newer one."""
        done = self.waiting.retirable(self._first)
        is_late = self._ticks >= self._carrying.stays_until
        if not (done and is_late) or self._output.backlog or not self._output.sync():
            return
        for number in done:
            self.waiting.forget_file(number)
            self._files.put_away(self._files.in_use(number))
        self._files.prune(REMOVED_AT_ONCE)
