"""Find the unfinished work of an earlier run of the switch, by the records of the journal in their order.

The end of a call is written several times: in its record, in the head and tail of that record, in the next time mark
and in the record of its booking. One of them is enough to know that the call has ended.
"""

from collections import deque
from collections.abc import Container, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import chain, groupby, repeat
from operator import itemgetter
from pathlib import Path
from typing import Final

import msgspec

from vosd.base.cause import EndReason
from vosd.base.errors import VosError
from vosd.callcontrol.bookkeeping import late_part
from vosd.callcontrol.open_call import OpenCall
from vosd.cdr.record import CallRecord
from vosd.engine.journal.ends import Ends, EndsBeingRead, split
from vosd.engine.journal.entries import (
    KIND_ANSWERED,
    KIND_ENDED,
    Began,
    BookedCalls,
    Ended,
    Entry,
    HungUp,
    Kept,
    KeptCall,
    LeftOver,
    PlacedCall,
    Quarantined,
    Releases,
    TimeMark,
    add_placed,
    id_bytes,
    id_text,
    refused_among,
)
from vosd.engine.journal.files import numbered
from vosd.engine.journal.frames import NO_CALL, Damage, Frame
from vosd.engine.journal.left_over import apply, legs_of
from vosd.engine.journal.released import LATE_MS, ReleasedLegs
from vosd.sip.dialog.snapshot import CallerSnapshot, text_of
from vosd.sip.headers.via import branch_of


class RefusedCallers(msgspec.Struct):
    """Callers in the order of their refusals, each with its time and status: their INVITEs may come again.

    A copy that was on its way, or whose refusal was lost, would be a call of the next process, and its caller has given
    up. Callers that were refused before a gateway was sent an INVITE are not in the journal.
    """

    _refused: deque[tuple[int, CallerSnapshot, int]] = msgspec.field(default_factory=deque)

    def refused(self, caller: CallerSnapshot, status: int, at: int) -> None:
        """Note that a caller was refused at this time, UTC milliseconds."""
        self._refused.append((at, caller, status))
        while self._refused[0][0] < at - LATE_MS:
            self._refused.popleft()

    def lately(self, now_wall: int) -> Iterator[tuple[CallerSnapshot, int]]:
        """Yield those whose INVITE may still come again, with the status that each was refused with."""
        return ((caller, status) for at, caller, status in self._refused if at >= now_wall - LATE_MS)


class EndedAttempts(msgspec.Struct):
    """The attempts of calls that ended, or were answered by another vendor, lately, in the order of these events.

    The 200 of a vendor meets our CANCEL, and the next process releases it. The call has ended, or another vendor has
    answered it: it has a record of its own, and this answer leaves a second one.
    """

    attempts: deque[tuple[PlacedCall, CallRecord, bool]] = msgspec.field(default_factory=deque)
    """Each with the record of its call, and whether that is charged from its INVITE."""
    booked: set[str] = set()
    """Call-IDs of attempts whose late answer has its record."""

    def ended(self, record: CallRecord, placed: Sequence[PlacedCall], *, from_invite: bool) -> None:
        """Note the end of a call, or its answer, or the record of a late answer."""
        if record.is_cost_of_another and record.sip_call_id_out is not None:
            self.booked.add(record.sip_call_id_out)
        self.attempts.extend((each, record, from_invite) for each in placed if each.vendor_rate is not None)
        while self.attempts and self.attempts[0][1].ended_at < record.ended_at - LATE_MS:
            self.attempts.popleft()

    def without(self, call_ids: Container[str]) -> "EndedAttempts":
        """Return those of all other calls: the next process goes on with the INVITEs of these, too."""
        return EndedAttempts(deque(each for each in self.attempts if each[1].call_id not in call_ids), self.booked)

    def awaited(self, now_wall: int) -> dict[str, LeftOver]:
        """Return the INVITEs that may still be answered, by their branch, each with the record of its late answer.

        It is ``LeftOver.part`` where calls are charged from their answer.
        """
        found = {}
        for placed, call, from_invite in self.attempts:
            attempt = placed.record
            if attempt is None or not attempt.recorded or call.ended_at < now_wall - LATE_MS:
                continue
            is_paid = attempt.sip_call_id_out == call.sip_call_id_out
            if attempt.sip_call_id_out in self.booked or (is_paid and call.vendor_answered_at is not None):
                continue
            late = late_part(attempt, call.vendor_billing_base_ms if is_paid else None)
            found[branch_of(text_of(placed.invite.via))] = LeftOver(
                placed.call_id, invites=(placed.invite,), record=late if from_invite else None,
                vendor_rate=placed.vendor_rate, vendor_earns=placed.vendor_earns, part=None if from_invite else late,
            )  # fmt: skip
        return found


REFUSED_WITH: Final = 503
"""Status for callers whose call a kill has cut off before it was answered."""
UNBOOKED_IN_MEMORY: Final = 5_000
"""Most records of unbooked calls that a start keeps in memory; those behind them stay on disk."""

_TIME_BYTES: Final = 6
"""A call's id begins with the moment of its INVITE (RFC 9562, version 7)."""
_LONG_CALL_MS: Final = 3_600_000
"""Duration of nearly all calls: when those of a segment have ended is not in its copy, only when they began."""
_CALL: Final = itemgetter(0)
_SEGMENT: Final = itemgetter(1)
"""Segment of an item of ``Remains.on_disk``."""


class JournalUnusableError(VosError):
    """The state directory cannot hold the journal, or it cannot be read."""


class Cut(msgspec.Struct, frozen=True):
    """An answered call whose end is known and whose record is damaged."""

    call: OpenCall
    ended_mono: int


class Remains(msgspec.Struct):
    """Unfinished work of an earlier run of the switch."""

    open_calls: dict[str, OpenCall] = {}
    unbooked: dict[str, CallRecord] = {}
    """Ended calls that are not booked: the oldest, at most ``UNBOOKED_IN_MEMORY``."""
    segment_of: dict[str, int] = {}
    """Number of the segment of each of them."""
    on_disk: dict[bytes, int] = {}
    """The others by call id, 16 bytes, with the number of the segment that has the record."""
    left_in: dict[int, bytes] = {}
    """The ids by that number, when all is read."""
    owed_on_disk: list[tuple[int, Mapping[str, Decimal]]] = []
    """Amounts that those of each segment will take from accounts, when all is read, with the moment (UTC milliseconds)
    by which these calls have ended."""
    _ends: dict[int, Ends] = {}
    _being_read: dict[int, EndsBeingRead] = {}
    cut: dict[str, Cut] = {}
    """Ended calls whose record is damaged."""
    placed: dict[str, list[PlacedCall]] = {}
    """INVITEs of calls that no gateway had answered, by call id."""
    callers: dict[str, CallerSnapshot] = {}
    """Callers that wait for a final response, by call id."""
    left_over: dict[bytes, LeftOver] = {}
    """By key, legs left by a run before the earlier one, which the earlier one has not released."""
    began: Began | None = None
    """The start of the earlier run; None = a version that wrote none, or nothing was written."""
    acknowledged: dict[str, int] = {}
    """When the callers of open calls acknowledged our 200, as far as it was written."""
    answered_callers: dict[str, CallerSnapshot] = {}
    """The INVITEs of open calls that have our 200, which may have to be sent again."""
    ran_since: int = 0
    """When the earlier run began, on the clock of ``last_mono``; 0 = it is not known."""
    last_mono: int = 0
    """The latest instant of any record, on the monotonic clock of the run that wrote it, or as ``begin`` says."""
    latest_wall: int = 0
    """The latest time of any record, UTC milliseconds: in the future where the clock was set back."""
    kept: Kept | None = None
    """The earlier run has stopped and kept its calls: all of them are known exactly."""
    kept_calls: dict[str, bytes] = {}
    """Kept calls that no gateway has answered (``KeptCall``)."""
    shifts: dict[str, int] = {}
    """Milliseconds by which instants in the descriptions of open calls are to be moved: the machine was booted."""
    _epoch: int | None = None
    """The wall clock when the monotonic one was zero, by the latest record that has both."""
    unknown: list[Frame] = []
    """Records of another version of vosd, which are kept for it."""
    _released: ReleasedLegs = msgspec.field(default_factory=ReleasedLegs)
    """Released legs of calls that ended lately, or go on without them."""
    ended_attempts: EndedAttempts = msgspec.field(default_factory=EndedAttempts)
    """INVITEs that were given up lately."""
    refused_callers: RefusedCallers = msgspec.field(default_factory=RefusedCallers)
    """Callers that were refused lately."""
    damaged: set[Path] = set()
    """Segments with damaged parts."""

    def take(self, entry: Entry, segment: Path | None = None) -> None:
        """Apply one record; one that is not of a segment is kept in memory."""
        if self.kept is not None and not isinstance(entry, BookedCalls | Quarantined):
            self.kept = None
            self.kept_calls.clear()
        match entry:
            case KeptCall():
                self.kept_calls[entry.call_id] = entry.saved
            case Kept():
                self._take_kept(entry)
            case Began():
                self.begin(entry)
            case LeftOver():
                self.left_over.update(legs_of(entry))
            case Releases():
                self._note_refused(entry)
                apply(entry, self.left_over)
            case HungUp():
                self.left_over.clear()
            case _:
                self._take_of_calls(entry, segment)

    def _take_of_calls(
        self, entry: OpenCall | Ended | TimeMark | BookedCalls | Quarantined | PlacedCall, segment: Path | None
    ) -> None:
        match entry:
            case OpenCall():
                self._take_open(entry)
            case Ended():
                self.latest_wall = max(self.latest_wall, entry.record.ended_at or 0)
                self._note_end(entry.record)
                self._note_attempts(entry.record)
                self._note_refusal(entry.record)
                self.forget(entry.record.call_id)
                self._keep(entry.record, segment)
            case TimeMark():
                self.last_mono = max(self.last_mono, entry.mono)
                self.latest_wall = max(self.latest_wall, entry.wall)
                self._epoch = entry.wall - entry.mono
                self.acknowledged.update(entry.acknowledged)
                for call_id, _mono in entry.acknowledged:
                    self._released.acknowledged(call_id)
                for end in entry.ended:
                    self.ended(end.call_id, end.mono)
            case BookedCalls() | Quarantined():
                for call_id in entry.call_ids:
                    self.forget(call_id)
                    self.unbooked.pop(call_id, None)
                    self.segment_of.pop(call_id, None)
                    self.on_disk.pop(id_bytes(call_id), None)
            case PlacedCall():
                add_placed(entry, self.placed.setdefault(entry.call_id, []))
                if entry.caller is not None:
                    self.callers[entry.call_id] = entry.caller

    def _take_kept(self, kept: Kept) -> None:
        self.kept = kept
        self.last_mono = max(self.last_mono, kept.mono)
        self.latest_wall = max(self.latest_wall, kept.wall)
        self._epoch = kept.wall - kept.mono

    def _take_open(self, call: OpenCall) -> None:
        """Note a call that is charged; the legs of one that only rings are not answered yet."""
        call_id = call.record.call_id
        if call.is_answered:
            placed = self.placed.pop(call_id, ())
            self.ended_attempts.ended(call.record, placed, from_invite=call.charged_mono is not None)
        if call.record.answered_at is not None and call_id in self.callers:
            self.answered_callers[call_id] = self.callers.pop(call_id)
        before = self.open_calls.get(call_id)
        if before is not None:
            self._released.left(before, call, self.last_mono)
        self.open_calls[call_id] = call
        self.shifts.pop(call_id, None)
        self.last_mono = max(self.last_mono, call.answered_mono)

    def begin(self, began: Began) -> None:
        """Go on in another process: after a boot of the machine, all instants are moved to its monotonic clock.

        The wall clock says how much time has passed; if it was set back, none has.
        """
        if began == self.began:
            return  # the same process has begun another file: its clock goes on, and is ahead of its start
        before, self.began = self.began, began
        self.latest_wall = max(self.latest_wall, began.wall)
        self.ran_since = 0 if before is None else before.mono
        if before is None and self.last_mono == 0 and began.proven is not None:
            self.last_mono = began.proven
        epoch, self._epoch = self._epoch, began.wall - began.mono
        if epoch is None or before is None or (began.mono >= self.last_mono and is_same_boot(before, began)):
            return
        self.kept = None
        ms = min(epoch - self._epoch, began.mono - self.last_mono)
        self.last_mono += ms
        self.ran_since += ms
        self.open_calls = {call_id: moved_by(ms, call) for call_id, call in self.open_calls.items()}
        self.cut = {call_id: Cut(moved_by(ms, cut.call), cut.ended_mono + ms) for call_id, cut in self.cut.items()}
        self.acknowledged = {call_id: mono + ms for call_id, mono in self.acknowledged.items()}
        self.shifts = {call_id: self.shifts.get(call_id, 0) + ms for call_id in self.open_calls}
        self._released.moved_by(ms)

    def take_damage(self, damage: Damage) -> None:
        """Apply what is known of a damaged record."""
        if damage.kind == KIND_ENDED and damage.call != NO_CALL:
            self.ended(id_text(damage.call), damage.at)
        elif damage.kind == KIND_ANSWERED:
            self.last_mono = max(self.last_mono, damage.at)

    def take_cut(self, cut: Mapping[str, Cut]) -> None:
        """Note answered calls that ended without a readable record in a file of which only ends count."""
        for call_id, each in cut.items():
            if call_id not in self.unbooked and id_bytes(call_id) not in self.on_disk:
                self.cut[call_id] = each

    def _keep(self, record: CallRecord, segment: Path | None) -> None:
        is_first = not self.on_disk and len(self.unbooked) < UNBOOKED_IN_MEMORY
        if is_first or segment is None or record.call_id in self.unbooked:
            self.unbooked[record.call_id] = record
            if segment is not None and record.call_id not in self.segment_of:
                self.segment_of[record.call_id] = numbered(segment)
        else:
            number, call = numbered(segment), id_bytes(record.call_id)
            self.on_disk[call] = number
            self._being_read.setdefault(number, EndsBeingRead()).ended(call, record.postings)

    def take_ends(self, number: int, ends: Ends) -> None:
        """Apply what a segment says of ended calls, without reading it; nothing else of it counts."""
        self._ends[number] = ends
        for call in split(ends.settled):
            self.on_disk.pop(call, None)
            if self.unbooked:
                self.unbooked.pop(id_text(call), None)
        for call in chain(split(ends.ids), split(ends.settled)) if self.cut else ():
            self.cut.pop(id_text(call), None)
        known = {id_bytes(call_id) for call_id in self.unbooked}
        calls = (call for call in split(ends.ids) if call not in known) if known else split(ends.ids)
        self.on_disk.update(zip(calls, repeat(number)))

    def add_up(self) -> None:
        """Add up what the calls on disk owe, when all segments are read."""
        for number, being_read in self._being_read.items():
            self._ends[number] = being_read.whole(0)
        self._being_read.clear()
        left: dict[int, list[bytes]] = {}
        for number, calls_there in groupby(self.on_disk.items(), _SEGMENT):
            left.setdefault(number, []).extend(map(_CALL, calls_there))
        for number in sorted(left):
            calls = left[number]
            self.left_in[number] = b"".join(calls)
            ended_by = int.from_bytes(max(calls)[:_TIME_BYTES]) + _LONG_CALL_MS
            self.owed_on_disk.append((ended_by, self._ends[number].taken_by(calls)))
        self._ends.clear()

    def _note_end(self, record: CallRecord) -> None:
        """Remember the legs of a call that we released just now."""
        call = self.open_calls.get(record.call_id)
        if call is not None:
            self._released.ended(call, record, is_acknowledged=record.call_id in self.acknowledged)

    def _note_attempts(self, record: CallRecord) -> None:
        """Remember the INVITEs of a call without answer; those of one that a kill has cut off are legs to release."""
        placed = () if record.end_reason == EndReason.LOST.text else self.placed.get(record.call_id, ())
        self.ended_attempts.ended(record, placed, from_invite=record.billing_base_ms is not None)

    def _note_refusal(self, record: CallRecord) -> None:
        """Remember the caller of a call without answer."""
        caller = self.callers.get(record.call_id)
        if caller is not None and record.sip_code is not None and record.sip_code >= 300:
            self.refused_callers.refused(caller, record.sip_code, record.ended_at)

    def _note_refused(self, releases: Releases) -> None:
        """Remember the callers that the earlier run has refused for the run before it."""
        for key in releases.done:
            left = self.left_over.get(key)
            for caller in left.callers if left is not None and left.asked else ():
                self.refused_callers.refused(caller, REFUSED_WITH, releases.at)

    def ended(self, call_id: str, mono: int) -> None:
        """Note that a call has ended, without its record."""
        self.placed.pop(call_id, None)
        self.callers.pop(call_id, None)
        call = self._pop(call_id)
        if call is not None:
            self.cut[call_id] = Cut(call, mono)

    def forget(self, call_id: str) -> None:
        """Remove a call that was running, or whose end record is damaged."""
        self.placed.pop(call_id, None)
        self.callers.pop(call_id, None)
        self._pop(call_id)
        self.cut.pop(call_id, None)

    def is_booked(self, call_id: str) -> None:
        """Note that the database has the CDR of an open call: both sides may still have to be released."""
        self.left_over.update(legs_of(LeftOver(call_id, dialogs=self.open_calls[call_id].legs)))
        self.forget(call_id)

    def _pop(self, call_id: str) -> OpenCall | None:
        self.acknowledged.pop(call_id, None)
        self.answered_callers.pop(call_id, None)
        self.shifts.pop(call_id, None)
        return self.open_calls.pop(call_id, None)

    def has_ended(self, call_id: str) -> bool:
        """Return whether the record of a call waits for its booking."""
        return call_id in self.unbooked or id_bytes(call_id) in self.on_disk

    def endpoint_goes_on(self) -> None:
        """Note that the requests in progress of the earlier run go on, the BYEs of calls that are over among them."""
        self._released.repeated()
        self.ended_attempts = self.ended_attempts.without(self.open_calls)

    def legs(self) -> list[LeftOver]:
        """Return the legs that are still to be released, call by call."""
        answered = [LeftOver(call_id, dialogs=call.legs) for call_id, call in self.open_calls.items() if call.legs]
        waiting = [LeftOver(call_id, callers=(caller,)) for call_id, caller in self.callers.items()]
        asked = self._invited(refused=False)
        return [*self.left_over.values(), *answered, *asked, *waiting, *self._released.legs(self.last_mono)]

    def answers_in_vain(self, now_wall: int) -> dict[str, LeftOver]:
        """Return the INVITEs that may be answered though nothing is sent to them, by their branch.

        They were given up, or refused by one fork: each late answer leaves a record of its own.
        """
        found = self.ended_attempts.awaited(now_wall)
        found.update((branch_of(text_of(left.invites[0].via)), left) for left in self._invited(refused=True))
        return found

    def _invited(self, *, refused: bool) -> Iterator[LeftOver]:
        """Yield the INVITEs of calls that no gateway had answered: those that were refused, or all others."""
        for call_id, placed in self.placed.items():
            named = refused_among(placed)
            chosen = [each for each in placed if (each.invite.via in named) == refused]
            yield from self._left_of(call_id, chosen, placed[-1], are_refused=refused)

    def _left_of(
        self, call_id: str, placed: Sequence[PlacedCall], latest: PlacedCall, *, are_refused: bool
    ) -> Iterator[LeftOver]:
        """Yield INVITEs of one call with the record that they may leave.

        That of a call which is charged while it rings is written at once: each late answer leaves one of its own. Else
        that of the latest attempt has its cost, and an INVITE that was refused leaves one of its own.
        """
        call, booked = self.open_calls.get(call_id), self.ended_attempts.booked
        if call is None or call.charged_mono is None:
            record = None if are_refused or call_id in self.cut else latest.record
            for each in placed:
                part, rate = None, None if _is_booked(each, booked) else each.vendor_rate
                is_earlier = are_refused or each.invite.call_id != latest.invite.call_id
                if is_earlier and rate is not None and each.record is not None and each.record.recorded:
                    part = late_part(each.record, None)
                yield LeftOver(
                    call_id, invites=(each.invite,), record=record, vendor_rate=rate,
                    vendor_earns=each.vendor_earns, part=part,
                )  # fmt: skip
            return
        charged_ms = call.vendor_ms(call.charged_until(self.last_mono))
        for each in placed:
            record = None
            if each.record is not None and not _is_booked(each, booked):
                is_paid = each.record.sip_call_id_out == call.record.sip_call_id_out
                record = late_part(each.record, charged_ms if is_paid else None)
            yield LeftOver(
                call_id, invites=(each.invite,), record=record, vendor_rate=each.vendor_rate,
                vendor_earns=each.vendor_earns,
            )  # fmt: skip


def _is_booked(placed: PlacedCall, booked: Container[str]) -> bool:
    """Return whether the late answer of an INVITE is booked: the frame that says so is left out on a full disk."""
    return placed.record is not None and placed.record.sip_call_id_out in booked


CLOCK_STEP_MS: Final = 5_000
"""Difference of the two clocks that means another boot, where boots have no identity."""


def is_same_boot(one: Began, other: Began) -> bool:
    """Return whether two processes ran under one boot of the machine, and so on one monotonic clock."""
    if one.boot and other.boot:
        return one.boot == other.boot
    return abs((one.wall - one.mono) - (other.wall - other.mono)) <= CLOCK_STEP_MS


def moved_by(ms: int, call: OpenCall) -> OpenCall:
    """Return a call with its instants moved; those in its description are moved when it is read."""
    vendor, charged, ended = call.vendor_answered_mono, call.charged_mono, call.ended_mono
    left = call.vendor_left_mono
    return msgspec.structs.replace(
        call,
        answered_mono=call.answered_mono + ms,
        vendor_answered_mono=None if vendor is None else vendor + ms,
        charged_mono=None if charged is None else (charged[0] + ms, charged[1] + ms),
        seen_mono=call.seen_mono + ms if call.seen_mono else 0,
        ended_mono=None if ended is None else ended + ms,
        vendor_left_mono=None if left is None else left + ms,
    )
