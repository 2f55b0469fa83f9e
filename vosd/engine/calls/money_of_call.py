"""The money of one live call while it lasts, and what the journal has of that before its answer."""

from copy import copy
from typing import TYPE_CHECKING

import msgspec

from vosd.b2bua.call import Call
from vosd.b2bua.stamps import Journey
from vosd.b2bua.supervision import Limit
from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.billing.call_hold import CallHold
from vosd.callcontrol.bookkeeping import opened
from vosd.callcontrol.open_call import UNDESCRIBED, OpenCall
from vosd.engine.calls.ringing_money import RingingMoney

if TYPE_CHECKING:
    from vosd.engine.calls.live_call import LiveCall


class MoneyOfCall(msgspec.Struct, eq=False):
    """The ``MoneyBoard`` of one call, until the call is over."""

    _live_call: "LiveCall"
    ringing: RingingMoney | None = None
    """Money of the call until it is answered, if it is charged before."""

    @property
    def _hold(self) -> CallHold:
        """Money that the call holds; raises RuntimeError where it holds nothing."""
        hold = self._live_call.call_request.hold
        if hold is None:
            raise RuntimeError(f"{self._live_call.call!r} goes on without a hold")
        return hold

    @property
    def vendor_s(self) -> int | None:
        """Number of seconds after its own 200 that the vendor is paid for; None = as many as the call takes."""
        hold = self._live_call.call_request.hold
        return None if hold is None or self.ringing is not None else hold.vendor_s

    def extend(self, ahead_ms: int) -> int | EndReason:
        """Hold money for more seconds, ``ahead_ms`` before it is used; return the new total, or why the call ends."""
        hold = self._hold
        if hold.extend(-(-ahead_ms // 1_000)):
            return min(hold.granted_s, hold.ceiling_s)
        return EndReason.MAXIMUM_DURATION if hold.granted_s >= hold.ceiling_s else EndReason.BALANCE_EXHAUSTED

    def rings(self, now: Instant) -> bool:
        """Journal, before the INVITE of an attempt is sent, that the call is charged from now on; False if that fails.

        A vendor that is tried later may have less money than the one before: the deadline follows.
        """
        if self.ringing is None:
            self.ringing = RingingMoney(self._hold, now)
        self.ringing.attempt_begins()
        kept = opened_now(self._live_call, self._live_call.call)
        return kept is None or self._live_call.services.sink.answered(kept, UNDESCRIBED)

    def vendor_left(self) -> None:
        """Journal what a call pays until its next INVITE leaves: the attempt before, or none if that is paid apart.

        A kill would pay that attempt until then, or its late answer again.
        """
        call = self._live_call.call
        search, journey = call.search, copy(call.journey)
        if search is not None and search.has_unsent:
            journey.note_not_sent(search.latest_sent)
        elif journey.vendor_left_at is None:
            return
        kept = opened_now(self._live_call, call, journey)
        if kept is not None:
            self._live_call.services.sink.answered(kept, UNDESCRIBED)

    def announced(self) -> None:
        """Journal that a call which is charged before its answer is charged no further: its end is announced."""
        kept = None if self.ringing is None else opened_now(self._live_call, self._live_call.call)
        if kept is not None:
            ended = msgspec.structs.replace(kept, ended_mono=self.paid_until_ms())
            self._live_call.services.sink.answered(ended, UNDESCRIBED)

    def paid_until_ms(self) -> int | None:
        """Return when the record of the call stops to pay its latest attempt, on the monotonic clock.

        None = the call goes on, and has another attempt in progress, which it pays. One whose end is announced has
        none, and that end in its record.
        """
        announced = self._live_call.call.journey.announced
        if announced is None:
            return None
        limit = self.unpaid(announced.at)
        return announced.at.mono if limit is None else limit.at.mono

    def unpaid(self, at: Instant) -> Limit | None:
        """Hold more money for a call without answer; return its limit where there is none for ``at``."""
        return None if self.ringing is None else self.ringing.unpaid(at)

    def is_early(self, now: Instant) -> bool:
        """Return whether the deadline was that of the money alone; the call's own is set again."""
        if self.ringing is None or now.mono >= self.ringing.wanted_ms:
            return False
        self._live_call.set_deadline(self.ringing.wanted_ms)
        return True


def opened_now(live_call: "LiveCall", call: Call, journey: Journey | None = None) -> OpenCall | None:
    """Return a call as it is to be journalled; None if no one is charged.

    ``journey`` is another one than that of the call.
    """
    if call.journey.vendor_answered_at is None and call.journey.invited_at is None:
        return None
    services = live_call.services
    return opened(
        services.node, call.arrival, live_call.call_request, journey or call.journey,
        recorded=services.records_own_ends, currencies=live_call.gateways.vendors.currencies,
    )  # fmt: skip
