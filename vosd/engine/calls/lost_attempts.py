"""Calls that a kill has cut off before their answer: the record of each, once it is known what became of its INVITEs.

The vendor may have answered around the kill, and bills that. The attempts in the record say so: ``Late Answer`` with
200 where the answer came, ``Lost`` with 0 where no final response came. A call that was charged while it rang has its
record already: there each late answer leaves one of its own, with what it costs above that (ADR 213).
"""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from msgspec.structs import replace

from vosd.b2bua.attempt import GatewayAttempt
from vosd.b2bua.stamps import ATTEMPTS_MAX, Ending
from vosd.base.cause import EndReason, HangupSource
from vosd.base.clock import Instant
from vosd.billing.rates import AppliedRate
from vosd.callcontrol.bookkeeping import LOST_STATUS, answered_late, attempted
from vosd.cdr.record import LATE_ANSWER, Attempt, CallRecord
from vosd.engine.calls.services import CallServices
from vosd.engine.journal.entries import LeftOver
from vosd.obs.events import log as _log
from vosd.obs.log import call_line
from vosd.sip.dialog.snapshot import InviteSnapshot
from vosd.sip.transaction.client import InviteClient
from vosd.sip.transaction.states import TransactionState

_LOST: Final = EndReason.LOST


def record_of(attempt: GatewayAttempt, sip_call_id: str, services: CallServices) -> CallRecord | None:
    """Return the record that the call of a leg leaves if it is cut off during the attempt that begins now."""
    live_call = services.running.get(attempt.call.arrival.call_id)
    if live_call is None:  # a test call
        return None
    return attempted(
        services.node,
        attempt.call.arrival,
        live_call.call_request,
        attempt.call.journey,
        attempt.choice,
        sip_call_id,
        str(attempt.peer),
        attempt.progress.started_at,
    )


class _Lost(msgspec.Struct):
    """One of these calls, or one late answer of a call that has its record."""

    call_id: str
    record: CallRecord
    open: dict[bytes, LeftOver] = {}
    """INVITEs whose end is awaited, by their keys."""
    ends: list[Attempt] = []
    answer: tuple[Instant, AppliedRate] | None = None
    """Time at which the vendor of the record has answered, and its price, where it has one."""
    vendor_earns: bool = False

    @property
    def is_part(self) -> bool:
        """Whether it is an attempt of a call that has its record."""
        return self.record.call_id != self.call_id

    def is_latest(self, left: LeftOver) -> bool:
        """Return whether an INVITE is of the attempt of the record."""
        return left.invites[0].call_id == (self.record.sip_call_id_out or "").encode("utf-8", "surrogateescape")

    def was_in_progress(self, *, is_latest: bool) -> bool:
        """Return whether an attempt may have been in progress at the kill; those before it have ended by the record."""
        if self.is_part:
            return self.record.vendor_paid_ms is not None
        return is_latest or not self.record.attempts


class LostAttempts:
    """The calls without a record so far."""

    def __init__(self, write: Callable[[CallRecord], None], services: CallServices) -> None:
        """``write`` journals and books a record."""
        self._write = write
        self._services = services
        self._calls: dict[str, _Lost] = {}
        self.unknown = 0
        """Attempts that the vendor may have answered."""
        self.answered = 0
        """Attempts that it has answered."""

    def add(self, key: bytes, left: LeftOver) -> None:
        """Await the end of an INVITE; without a record its answer costs nothing, or an earlier version wrote it."""
        if left.record is None:
            return
        lost = self._calls.get(left.record.call_id)
        if lost is None:
            lost = _Lost(left.call_id, left.record)
            self._calls[left.record.call_id] = lost
        lost.open[key] = left

    def over(
        self, key: bytes, left: LeftOver, transaction: InviteClient | None, now: Instant
    ) -> Mapping[bytes, LeftOver]:
        """Note the end of an INVITE; write the record when all of the call are over, or the latest one is answered.

        A kill would lose that answer while another INVITE is awaited. ``transaction`` is None where its end is not
        waited for. Return the INVITEs that are awaited beyond the record, as they are to be journalled: each late
        answer leaves a record of its own.
        """
        is_answered = transaction is not None and transaction.state is TransactionState.ACCEPTED
        lost = None if left.record is None else self._calls.get(left.record.call_id)
        if lost is None or key not in lost.open:
            if left.record is None and is_answered:
                self.answered_after_end(left, now)
            return {}
        del lost.open[key]
        [invite] = left.invites
        ms = max(0, now.wall - lost.record.ended_at)
        is_latest = lost.is_latest(left)
        if is_answered:
            self.answered += 1
            row, rate = Attempt(invite.gateway, 200, ms, None, LATE_ANSWER), left.vendor_rate
            lost.ends.append(row)
            if is_latest and rate is not None:
                lost.answer, lost.vendor_earns = lost.answer or (now, rate), left.vendor_earns
            elif left.part is not None and rate is not None:
                part = replace(left.part, attempts=(row,))
                self._add_late_answer(part, rate, now, invited_mono=None, earns=left.vendor_earns)
            _log.warning("answer_released", gateway=invite.gateway, call_id=left.call_id, why=LATE_ANSWER)
        elif lost.was_in_progress(is_latest=is_latest):
            self._note_refusal(lost, invite, 0 if transaction is None else transaction.refused_with, ms)
        if lost.open and not (is_answered and is_latest):
            return {}
        return self._end(lost, ms, now)

    def _end(self, lost: _Lost, ms: int, now: Instant) -> Mapping[bytes, LeftOver]:
        """Write the record of a call, or a late answer of one; return as ``over``."""
        del self._calls[lost.record.call_id]
        others = [each for each in lost.open.values() if not lost.is_latest(each)]
        for each in others if lost.was_in_progress(is_latest=False) else ():
            self._note_refusal(lost, each.invites[0], 0, ms)
        if not lost.is_part:
            self._finish(lost, now)
        elif lost.answer is not None:
            at, rate = lost.answer
            record = replace(lost.record, attempts=tuple(lost.ends))
            invited_mono = _invited_mono(record, at)
            self._add_late_answer(record, rate, at, invited_mono=invited_mono, earns=lost.vendor_earns)
        return {key: replace(each, record=None) for key, each in lost.open.items()}

    def answered_after_end(self, left: LeftOver, now: Instant) -> None:
        """Write what the answer to an INVITE costs that was given up before the kill: its call has its own record."""
        late, rate = left.record or left.part, left.vendor_rate
        if late is None or rate is None:
            return
        self.answered += 1
        [invite] = left.invites
        _log.warning("answer_released", gateway=invite.gateway, call_id=left.call_id, why=LATE_ANSWER)
        row = Attempt(invite.gateway, 200, max(0, now.wall - late.started_at), None, LATE_ANSWER)
        invited_mono = None if left.record is None else _invited_mono(late, now)
        record = replace(late, attempts=(row,))
        self._add_late_answer(record, rate, now, invited_mono=invited_mono, earns=left.vendor_earns)

    def _note_refusal(self, lost: _Lost, invite: InviteSnapshot, code: int, ms: int) -> None:
        """Add the row of an attempt without answer; 0 = without final response."""
        self.unknown += code == 0
        lost.ends.append(Attempt(invite.gateway, code, ms, None, EndReason.LOST.text))

    def _finish(self, lost: _Lost, now: Instant) -> None:
        may_be_billed = any(end.code in {0, 200} for end in lost.ends)
        ended_at = max(now.wall, lost.record.started_at)
        attempts = (*lost.record.attempts, *lost.ends)[:ATTEMPTS_MAX]
        record = replace(lost.record, ended_at=ended_at, attempts=attempts)
        if lost.answer is not None:
            at, rate = lost.answer
            ending = Ending(_LOST, HangupSource.SWITCH, at, LOST_STATUS, _LOST.q850_cause)
            record = answered_late(record, rate, ending, invited_mono=None, earns=lost.vendor_earns) or record
        if record.recorded and (may_be_billed or self._services.records_zero):
            self._write(record)
            call_line(record)
        else:
            self._services.notices.without_cdr.note(record)

    def _add_late_answer(
        self, record: CallRecord, rate: AppliedRate, at: Instant, *, invited_mono: int | None, earns: bool
    ) -> None:
        """Write what a late answer costs above what the record of its call has charged for the same attempt.

        One that an earlier start has written may come again, where that did not note the end of its INVITE.
        """
        ending = Ending(EndReason.CANCELLED, HangupSource.SWITCH, at, None, EndReason.CANCELLED.q850_cause)
        ending = replace(ending, text=record.reason_text)
        charged = answered_late(
            record, rate, ending, invited_mono=invited_mono, earns=earns, paid_ms=record.vendor_paid_ms
        )
        if charged is not None and not self._services.sink.has_ended(charged.call_id):
            self._write(charged)
            call_line(charged)


def _invited_mono(record: CallRecord, at: Instant) -> int:
    """Return when the INVITE of a late answer left, on the clock of ``at``; the wall clock may have been set back."""
    return at.mono - max(at.wall - record.started_at, record.vendor_paid_ms or 0)
