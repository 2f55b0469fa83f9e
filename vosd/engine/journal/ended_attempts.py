"""INVITEs that were given up, or refused, shortly before the process was killed: their answers, or they, may come.

The 200 of a vendor meets our CANCEL, and the next process releases it. The call has ended, or another vendor has
answered it: it has a record of its own, and this answer leaves a second one.
"""

from collections import deque
from collections.abc import Container, Iterator, Sequence

import msgspec

from vosd.callcontrol.bookkeeping import late_part
from vosd.cdr.record import CallRecord
from vosd.engine.journal.entries import LeftOver, PlacedCall
from vosd.engine.journal.released import LATE_MS
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
    """The attempts of calls that ended, or were answered by another vendor, lately, in the order of these events."""

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
