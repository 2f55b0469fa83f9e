"""The daemon's view of one account's money while calls run (DESIGN D13, REQ_BILLING section 6).

Owns holds: what running calls may still cost is set aside before they may cost it, so that calls alone never
carry a balance below its limit. Synchronous, without clock or database: the engine brings what they know.
"""

from decimal import Decimal

from vosd.base.cause import EndReason
from vosd.base.errors import Refusal, VosError
from vosd.base.money import ZERO, format_amount
from vosd.billing.rater import total_at
from vosd.billing.rates import AppliedRate


class HoldEnded(VosError):  # noqa: N818 - it names the state
    """A hold was released already: its call has ended twice."""


class Hold:
    """Money set aside for one call, enough for every instant up to ``granted_s`` after its answer."""

    __slots__ = ("amount", "applied", "ceiling_s", "granted_s", "is_open")

    def __init__(self, applied: AppliedRate, amount: Decimal, granted_s: int, ceiling_s: int) -> None:
        self.applied = applied
        self.amount = amount
        self.granted_s = granted_s
        self.ceiling_s = ceiling_s
        """The call ends here whatever money there is; a hold that reached it is not exhausted."""
        self.is_open = True


class Purse:
    """One account: its last committed balance, what ended calls owe, what running calls hold.

    Changed only by its methods, except ``limit``, which a reload sets: how far below zero calls may take the
    balance, None = unlimited. A lower limit cuts no hold; it only lets no call have more.
    """

    __slots__ = ("_balance", "_reserved", "_seq", "_unbooked", "account", "limit")

    def __init__(self, account: str, limit: Decimal | None, balance: Decimal = ZERO, seq: int = 0) -> None:
        self.account = account
        self.limit = limit
        self._balance = balance
        self._seq = seq
        self._reserved = ZERO
        self._unbooked = ZERO

    @property
    def balance(self) -> Decimal:
        """The last committed balance."""
        return self._balance

    @property
    def seq(self) -> int:
        """The ledger's sequence number at which ``balance`` held."""
        return self._seq

    @property
    def reserved(self) -> Decimal:
        """The sum of all open holds."""
        return self._reserved

    @property
    def unbooked(self) -> Decimal:
        """The signed sum of what calls posted and the database has not committed yet."""
        return self._unbooked

    @property
    def available(self) -> Decimal | None:
        """What new holds may take (RES-09), negative after a reversal; None = unlimited."""
        if self.limit is None:
            return None
        return self._balance + self.limit + self._unbooked - self._reserved

    def hold(self, applied: AppliedRate, want_s: int, ceiling_s: int) -> Hold | Refusal:
        """Set aside the price of ``want_s`` seconds, at most of ``ceiling_s``, or refuse (RES-03)."""
        granted_s = min(want_s, ceiling_s)
        amount = total_at(applied, granted_s)
        available = self.available
        if available is not None and amount > available:
            detail = (
                f"account {self.account} has {format_amount(available)} {applied.currency} available, "
                f"{granted_s} s to prefix {applied.rate.prefix} hold {format_amount(amount)}"
            )
            return Refusal(EndReason.INSUFFICIENT_BALANCE, 402, detail)
        self._reserved += amount
        return Hold(applied, amount, granted_s, ceiling_s)

    def extend(self, hold: Hold, want_s: int) -> bool:
        """Grant up to ``want_s`` more seconds, never past the ceiling (RES-11).

        Where the money does not reach that far, grant what it pays for: whole cycles. False = not one second
        more, the call ends at ``hold.granted_s``.
        """
        self._must_be_open(hold)
        target_s = min(hold.granted_s + want_s, hold.ceiling_s)
        available = self.available
        if available is not None:
            # What is held already is paid for, even if the account went below its limit since.
            budget = hold.amount + max(available, ZERO)
            target_s = _longest_within(budget, hold.applied, hold.granted_s, target_s)
        if target_s <= hold.granted_s:
            return False
        amount = total_at(hold.applied, target_s)
        self._reserved += amount - hold.amount
        hold.amount, hold.granted_s = amount, target_s
        return True

    def release(self, hold: Hold) -> None:
        """End a hold with its call; all of it is free at once, what the call cost is posted beside (RES-08)."""
        self._must_be_open(hold)
        hold.is_open = False
        self._reserved -= hold.amount

    def post(self, amount: Decimal) -> None:
        """Take in a signed amount that a call will book: a charge or a vendor's cost, both negative."""
        self._unbooked += amount

    def committed(self, balance: Decimal, seq: int) -> None:
        """Take in a committed balance; one that is not newer than the present changes nothing."""
        if seq > self._seq:
            self._balance, self._seq = balance, seq

    def booked(self, amount: Decimal) -> None:
        """Forget a posted amount that a balance contains by now; call ``committed`` with that balance first.

        In this order the amount counts twice for a moment, never not at all.
        """
        self._unbooked -= amount

    @staticmethod
    def _must_be_open(hold: Hold) -> None:
        if not hold.is_open:
            raise HoldEnded("this hold has ended: release a hold once, when its call ends")


def _longest_within(budget: Decimal, applied: AppliedRate, granted_s: int, target_s: int) -> int:
    """Return the longest duration from ``granted_s`` to ``target_s`` that ``budget`` pays for.

    The price never falls as the duration grows, so halving the interval finds it.
    """
    if total_at(applied, target_s) <= budget:
        return target_s
    paid_s, unpaid_s = granted_s, target_s
    while unpaid_s - paid_s > 1:
        middle_s = (paid_s + unpaid_s) // 2
        if total_at(applied, middle_s) <= budget:
            paid_s = middle_s
        else:
            unpaid_s = middle_s
    return paid_s
