"""Money of a call that is charged before its answer (SS_STARTBILLINGTIME 1): for how long it may ring (ADR 66)."""

from vosd.b2bua.supervision import Limit
from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.billing.call_hold import CallHold


class RingingMoney:
    """Money that a call holds from its first INVITE to a gateway until it is answered."""

    __slots__ = ("_hold", "_limit", "_since", "wanted_ms")

    def __init__(self, hold: CallHold, since: Instant, wanted_ms: int = 0) -> None:
        """``since`` is when the first INVITE went out; the seconds of ``hold`` count from there."""
        self._hold = hold
        self._since = since
        self.wanted_ms = wanted_ms
        """The deadline that the call itself has set, on the monotonic clock."""
        self._limit: Limit | None = None
        """That of the latest attempt, whose money is released by now."""

    @property
    def _until(self) -> Instant:
        """The end of the time paid for so far."""
        return self._since.plus(1_000 * min(self._hold.granted_s, self._hold.ceiling_s))

    def deadline(self, wanted_ms: int) -> int:
        """Return the deadline of the call: its own, or the end of the money if that comes first."""
        self.wanted_ms = wanted_ms
        return min(wanted_ms, self._until.mono)

    def unpaid(self, at: Instant) -> Limit | None:
        """Hold more seconds until ``at`` is paid for; return the limit of the call where that cannot be."""
        if self._limit is not None:
            return self._limit if at.mono >= self._limit.due_ms else None
        while at.mono >= (until := self._until).mono:
            if not self._hold.extend():
                is_longest = self._hold.granted_s >= self._hold.ceiling_s
                reason = EndReason.MAXIMUM_DURATION if is_longest else EndReason.BALANCE_EXHAUSTED
                return Limit(until, reason, until.mono)
        return None

    def attempt_over(self, now: Instant) -> None:
        """Note whether an attempt was paid for to its end: what its vendor has paid in advance is released next."""
        self._limit = self.unpaid(now.came)

    def attempt_begins(self) -> None:
        """Let another vendor pay: the limit of the one before does not matter any more."""
        self._limit = None

    def elapsed_s(self, now: Instant) -> int:
        """Return the whole seconds for which the call has been charged."""
        return max(0, now.mono - self._since.mono) // 1_000
