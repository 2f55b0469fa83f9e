"""One account's money while calls run: committed balance, unbooked charges and holds (ADR 3, ADR 30).

What a running call may still cost is set aside before the call may cost it, so calls alone never carry a balance below
its limit.
"""

from collections.abc import Collection
from copy import copy
from decimal import Decimal
from functools import lru_cache
from typing import Final, Protocol

import msgspec

from vosd.base.cause import EndReason
from vosd.base.errors import Refusal, VosError
from vosd.base.money import EXACT, ZERO, Rounding, format_amount, round_to_unit
from vosd.billing.destinations import DestinationUse
from vosd.billing.rater import longest_within, total_at
from vosd.billing.rates import AppliedRate
from vosd.billing.spending import Spending, SpendLimit, SpendPeriod

SHORTEST_STEP_S: Final = 5
"""Running calls are granted at least so much more at a time, while there is money for it."""

_first_total: Final = lru_cache(maxsize=4_096)(total_at)
"""The price of the first seconds, kept: many calls begin with the same rate and the same number of seconds."""

_ENDED: Final = "this hold has ended: release a hold once, when its call ends"

_CAPPED: Final = ", as its database_away_cap allows no more until the database is back"

FROZEN: Final = "is granted nothing more, as another switch may have the database"
"""End of the objection of an account whose running calls end with what they hold (``AccountCredit.is_frozen``)."""

_CENT: Final = Decimal("0.01")

_UNREAD: Final = -1
"""Below every sequence number of a ledger, so that the first committed balance counts."""


class HoldEnded(VosError):  # noqa: N818 - it names the state
    """A hold was released already: its call has ended twice."""


class Pool(Protocol):
    """Authority over something that running calls use up by the second, such as the money of an account (ADR 118).

    It grants each call at most so much, up to a second of it; what it has may be a share, such as ``bound`` makes one.
    """

    @property
    def account(self) -> str:
        """The account that it belongs to."""

    @property
    def own_limit(self) -> Decimal | None:
        """Amount below zero to which calls may take it, apart from an outage; None = it has no limit."""

    def reach(self, hold: "AccountHold", target_s: int) -> int:
        """Return up to when a hold may be extended, at most to ``target_s``; nothing is changed."""

    def objection(self, hold: "AccountHold", target_s: int) -> str:
        """Say why a hold may not be extended to a second, in words; empty = ``reach`` allows it."""

    def covers(self, more: Decimal) -> bool:
        """Return whether that much more may be taken."""

    def grant(self, hold: "AccountHold", until_s: int, over_s: int) -> None:
        """Extend a hold to a second that ``reach`` has allowed; the first ``over_s`` are over."""

    def release(self, hold: "AccountHold") -> None:
        """Take back what a call holds, because it has ended."""


class AccountHold(msgspec.Struct, eq=False, gc=False):
    """Money of one account set aside for one call (``CallHold`` has all of a call)."""

    credit: Pool
    applied: AppliedRate
    amount: Decimal
    """Enough for every instant up to ``granted_s``."""
    granted_s: int
    """Seconds after the answer from which the account is charged."""
    advance_s: int
    """Seconds that are reserved at a time."""
    lead_s: int = 0
    """Number of seconds that the account is charged for before the seconds of the call count: a vendor's own 200 comes
    before ours. Below zero where it is charged from a later time on: a vendor that is tried after others have rung."""
    is_open: bool = True
    is_further: bool = False
    """The call that ends has ended another hold on the account just now."""
    use: DestinationUse | None = None
    """Use of a class of destinations in which the amount counts while the call runs; None = no class has limits."""

    over_s: int = 0
    """Number of seconds that were over when more were granted last."""
    over: Decimal = ZERO
    """Price of these seconds."""
    left_out: dict[SpendPeriod, tuple[int, Decimal]] | None = None
    """Cost when an hour and a day began, which spend limits leave out, and when that was; kept by ``Spending``."""

    def cost_before(self, ago_ms: int) -> Decimal:
        """Return at most what the call had cost so many milliseconds ago, as far as it is known to have lasted."""
        over_s = self.over_s - max(0, -(-ago_ms // 1_000))
        return min(self.amount, total_at(self.applied, over_s)) if over_s > 0 else ZERO


class AccountCredit:
    """One account: its last committed balance, what ended calls owe, what running calls hold (implements ``Pool``).

    Changed only by its methods. ``limit`` is how far below zero calls may take the balance, None = unlimited.
    """

    __slots__ = (
        "_balance", "_bound", "_holds", "_is_trial", "_low_at", "_low_terms", "_over", "_reserved", "_seq", "_unbooked",
        "_use", "account", "awaits_use", "expires_at", "is_capped", "is_frozen", "limit", "low_below", "lows",
        "own_limit", "spending", "withheld",
    )  # fmt: skip

    def __init__(
        self, account: str, limit: Decimal | None, balance: Decimal = ZERO, seq: int = 0, *,
        lows: "list[AccountCredit] | None" = None,
    ) -> None:  # fmt: skip
        self.account = account
        self.limit = limit
        self.own_limit = limit
        """The limit without what an outage of the database makes of it."""
        self._bound: Decimal | None = None
        self.is_capped = False
        """Whether a call was refused because of ``bound``."""
        self.is_frozen = False
        """Whether holds are not extended: another switch may spend the same money."""
        self._balance = balance
        self._seq = seq
        self._reserved = ZERO
        self._over = ZERO
        self._unbooked = ZERO
        self.withheld = ZERO
        """The sum of what operators take from the account, as long as it is being booked."""
        self._holds: set[AccountHold] = set()
        """The open holds; a copy has none, for it would form a cycle with its holds, which no collector would free."""
        self._is_trial = False
        """Whether it is a copy to try a hold on."""
        self.expires_at: int | None = None
        """When it expires by the ledger, UTC milliseconds; None = as configured."""
        self.low_below: Decimal | None = None
        """The account is added to ``lows`` when less than this is left for calls; None = never."""
        self._low_terms: tuple[Decimal | None, int | None] = (None, None)
        """Amount and hours of average use, the higher of which is ``low_below``."""
        self._use: Decimal | None = None
        """Cost of its calls in an hour on average; None = not known yet."""
        self.awaits_use = False
        """Whether it may be low by its average use, which is not known yet."""
        self.lows = lows
        self.spending: Spending | None = None
        """Spend limits of the account; None = it has none."""
        self._low_at: Decimal | None = None
        """Balance, holds included, when it was last added to ``lows``, less what was charged since: with more than that
        a payment was made. None = there was enough since."""

    @classmethod
    def unread(cls, account: str) -> "AccountCredit":
        """Return the credit of an account whose balance has not been read yet: no call is granted anything."""
        return cls(account, ZERO, ZERO, _UNREAD)

    def copied(self) -> "AccountCredit":
        """Return a copy to try a hold on; it never reports a low balance, and nothing is extended on it."""
        twin = copy(self)
        twin._holds, twin._is_trial = set(), True
        twin.lows = None
        twin.spending = None if self.spending is None else self.spending.copied()
        return twin

    @property
    def is_read(self) -> bool:
        """Whether a committed balance is known."""
        return self._seq != _UNREAD

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
    def holds(self) -> Collection[AccountHold]:
        """The open holds."""
        return self._holds

    @property
    def over(self) -> Decimal:
        """The part of ``reserved`` that is the price of seconds that are over."""
        return self._over

    @property
    def unbooked(self) -> Decimal:
        """The signed sum of what calls posted and the database has not committed yet."""
        return self._unbooked

    @property
    def available(self) -> Decimal | None:
        """Amount that new holds may take; negative after a reversal; None = unlimited."""
        if self.limit is None:
            return None
        return self._balance + self.limit + self._unbooked - self._reserved - self.withheld

    @property
    def left_in_bound(self) -> Decimal | None:
        """Amount that new holds may take before ``bound`` refuses them, whatever the limit allows; None = no bound."""
        if self._bound is None:
            return None
        return self._balance + self._bound + self._unbooked - self._reserved

    @property
    def left(self) -> Decimal:
        """Amount that is left for calls; where the limit is unlimited the balance, less what calls hold and owe.

        ``bound`` takes nothing of it: who pays can do nothing about an outage of the database.
        """
        return self._owned - self._reserved - self.withheld

    @property
    def is_low(self) -> bool:
        """Whether less than ``low_below`` was left, and no money was added since that is enough."""
        return self._low_at is not None

    def hold(self, applied: AppliedRate, advance_s: int, ceiling_s: int) -> AccountHold | Refusal:
        """Set aside the price of ``advance_s`` seconds, at most of ``ceiling_s``; refuse where there is less."""
        granted_s = min(advance_s, ceiling_s)
        amount = _first_total(applied, granted_s)
        # ``available``, written out: every call takes a hold.
        if self.limit is not None and amount > (
            available := self._balance + self.limit + self._unbooked - self._reserved - self.withheld
        ):
            currency = applied.paid_in or applied.currency
            detail = (
                f"account {self.account} has {format_amount(available)} {currency} available, "
                f"{granted_s} s to prefix {applied.rate.prefix} hold {format_amount(amount)}"
            )
            if self._bound is not None and self.limit == self._bound:
                self.is_capped = True
                detail += _CAPPED
            return Refusal(EndReason.INSUFFICIENT_BALANCE, 402, detail)
        if self.spending is not None and (limit := self.spending.objection(amount, self._reserved)) is not None:
            self.spending.refused(limit)
            detail = self._over_limit(limit, applied, granted_s, amount)
            return Refusal(EndReason.INSUFFICIENT_BALANCE, 402, detail)
        self._reserved += amount
        hold = AccountHold(self, applied, amount, granted_s, advance_s)
        if not self._is_trial:
            self._holds.add(hold)
        if self.low_below is not None:
            self._check_low()
        return hold

    def resume(
        self, applied: AppliedRate, amount: Decimal, granted_s: int, advance_s: int = 0, lead_s: int = 0,
        ahead_s: int = 0,
    ) -> AccountHold:  # fmt: skip
        """Set aside what a restored call holds, whatever is left: its seconds are granted already.

        Its money is asked for ``ahead_s`` before that of earlier seconds is used up. It takes nothing of what calls may
        cost from now on (``bound``), as no hold does that is open then.
        """
        self._reserved += amount
        if self._bound is not None:
            self._bound += amount
            self._settle_limit()
        hold = AccountHold(self, applied, amount, granted_s, advance_s, lead_s)
        hold.over_s = max(0, granted_s - advance_s - ahead_s)  # at least: no more than that is granted at a time
        hold.over = hold.cost_before(0)
        self._over += hold.over
        if not self._is_trial:
            self._holds.add(hold)
            if self.spending is not None:
                self.spending.resumed(hold)
        return hold

    def reach(self, hold: AccountHold, target_s: int) -> int:
        """Return up to when the account grants a hold, at most to ``target_s``; nothing is changed.

        A call takes no more at a time than its share of what is left, divided by the number of calls: so as the account
        empties, money stays available to every call instead of in long holds. Where the share pays for less than
        ``SHORTEST_STEP_S``, or less than the next cycle, the call gets that much while there is money for it. At least
        ``hold.granted_s``, which is paid for.
        """
        if not hold.is_open:
            raise HoldEnded(_ENDED)
        if target_s <= hold.granted_s:
            return hold.granted_s
        available = self.available
        if self.spending is not None:
            available = self.spending.within(available, self._reserved)
        if available is None:
            return target_s
        more = total_at(hold.applied, target_s) - hold.amount
        if self.is_frozen:
            return target_s if more <= 0 else hold.granted_s
        if more * len(self._holds) <= available:
            return target_s
        # What is held already is paid for, even if the account went below its limit since.
        available = max(available, ZERO)
        paid_s = longest_within(hold.amount + available, hold.applied, hold.granted_s, target_s)
        return _step(hold, available / len(self._holds), paid_s)

    def objection(self, hold: AccountHold, target_s: int) -> str:
        """Say why a hold is not extended to ``target_s``, in the words of a refused call; empty = it would be."""
        if self.reach(hold, target_s) >= target_s:
            return ""
        applied, more_s = hold.applied, target_s - hold.granted_s
        more = EXACT.subtract(total_at(applied, target_s), hold.amount)
        if self.is_frozen:
            return f"account {self.account} {FROZEN}"
        if self.spending is not None and (limit := self.spending.ending(more, self._reserved)) is not None:
            return self._over_limit(limit, applied, more_s, more)
        available = ZERO if self.available is None else self.available
        detail = (
            f"account {self.account} has {format_amount(available)} {applied.paid_in or applied.currency} available, "
            f"{more_s} s to prefix {applied.rate.prefix} hold {format_amount(more)}"
        )
        return f"{detail}{_CAPPED}" if self._bound is not None and self.limit == self._bound else detail

    def grant(self, hold: AccountHold, until_s: int, over_s: int) -> None:
        """Set aside the price up to ``until_s``, which ``reach`` has allowed; a hold is never made shorter.

        The first ``over_s`` seconds are over: mostly all that it had.
        """
        if until_s <= hold.granted_s:
            return
        amount = total_at(hold.applied, until_s)
        self._reserved += amount - hold.amount
        if hold.use is not None:
            hold.use.held += amount - hold.amount
        if self.spending is not None:
            self.spending.granting(hold)
        over = hold.amount if over_s == hold.granted_s else total_at(hold.applied, over_s)
        hold.amount, hold.granted_s, hold.over_s = amount, until_s, over_s
        self._over += over - hold.over
        hold.over = over
        if self.low_below is not None:
            self._check_low()

    def release(self, hold: AccountHold) -> None:
        """End a hold with its call: all of it is free at once; what the call cost is posted apart from it."""
        if not hold.is_open:
            raise HoldEnded(_ENDED)
        hold.is_open = False
        self._holds.discard(hold)
        self._reserved -= hold.amount
        self._over -= hold.over
        if hold.use is not None:
            hold.use.held -= hold.amount
        if self.spending is not None:
            self.spending.closing(hold)

    def post(self, amount: Decimal, ended_at: int | None = None) -> None:
        """Add a signed amount that a call will book: a charge or a vendor's cost, both negative.

        What a partner has earned is above zero and not counted before the committed balance has it (ADR 65).
        ``ended_at`` is when the call has ended, UTC milliseconds; None = just now.
        """
        if amount > 0:
            return
        self._unbooked += amount
        if self._low_at is not None:
            self._low_at += amount
        if self.spending is not None:
            self.spending.ended(-amount, ended_at)

    def committed(self, balance: Decimal, seq: int) -> None:
        """Set a committed balance; one that is not newer than the present changes nothing."""
        if seq > self._seq:
            self._balance, self._seq = balance, seq
            if not self._unbooked:  # else a part of that may count twice until ``booked``
                self._check_owned()

    def forget(self) -> None:
        """Take the next committed balance whatever its number; until then the present one holds."""
        self._seq = _UNREAD

    def restore(self, balance: Decimal, seq: int) -> None:
        """Set a balance whatever its number: the database has lost commits and counts from an older state (ADR 22)."""
        self._balance, self._seq = balance, seq
        self._check_owned()

    def booked(self, amount: Decimal) -> None:
        """Remove the sum of posted amounts that the balance now contains; call ``committed`` with that balance first.

        In this order the amount counts twice for a moment, never not at all.
        """
        self._unbooked -= amount
        self._check_owned()

    def covers(self, more: Decimal) -> bool:
        """Return whether that much is left, or no limit is."""
        available = self.available
        return available is None or more <= available

    def withhold(self, amount: Decimal) -> bool:
        """Keep an amount from calls until ``put_back``; return False where there is less, and nothing is changed."""
        if not self.covers(amount):
            return False
        self.withheld += amount
        return True

    def put_back(self, amount: Decimal) -> None:
        """Release an amount that was withheld; call ``committed`` first with a balance that lacks what was booked."""
        self.withheld -= amount

    def set_terms(self, limit: Decimal | None, low_below: Decimal | None, low_hours: int | None = None) -> None:
        """Set what a reload changed; a lower limit cuts no hold, it only refuses further ones.

        Where ``low_hours`` of average use cost more than ``low_below``, less than that is low.
        """
        before = self.own_limit, self._low_terms
        self.own_limit, self._low_terms = limit, (low_below, low_hours)
        self._settle_limit()
        self.low_below = self._lowest_enough()
        self.awaits_use = self._use is None and low_hours is not None
        is_enough = self.low_below is None or self._owned - self._reserved >= self.low_below
        if is_enough and (limit, self._low_terms) != before:
            self._low_at = None  # by the new terms it is not low, although nothing was paid
        self._check_low()

    def set_use(self, per_hour: Decimal) -> None:
        """Set what its calls cost in an hour on average.

        An account that is low by it stays so until money is added, or its use is so much less that twice the amount is
        left which would be low: else it was reported again and again as its use changes. Without use it is not low.
        """
        self._use, self.awaits_use = per_hour, False
        self.low_below = self._lowest_enough()
        if self.low_below is None or self._owned - self._reserved >= 2 * self.low_below:
            self._low_at = None
        self._check_low()

    def _lowest_enough(self) -> Decimal | None:
        amount, hours = self._low_terms
        if not hours or not self._use:
            return amount
        return max(amount or ZERO, round_to_unit(EXACT.multiply(self._use, Decimal(hours)), _CENT, Rounding.HALF_UP))

    def bound(self, cap: Decimal | None) -> None:
        """Let calls cost at most ``cap`` more from now on, and no more than the limit allows; None = that alone."""
        self._bound = None if cap is None else cap - self._balance - self._unbooked + self._reserved
        self.is_capped = False
        self._settle_limit()

    def _settle_limit(self) -> None:
        if self._bound is None or self.own_limit is None:
            self.limit = self.own_limit if self._bound is None else self._bound
        else:
            self.limit = min(self.own_limit, self._bound)

    def _over_limit(self, limit: SpendLimit, applied: AppliedRate, more_s: int, more: Decimal) -> str:
        """Say by which spend limit ``more`` is not granted, and what counts in it already."""
        spent, running = (ZERO, ZERO) if self.spending is None else self.spending.parts(limit.per, self._reserved)
        return (
            f"account {self.account} may spend {format_amount(limit.amount)} {applied.paid_in or applied.currency} per "
            f"{limit.per.value}: {format_amount(spent)} is spent, {format_amount(running)} is held by running calls, "
            f"{more_s} s to prefix {applied.rate.prefix} hold {format_amount(more)}"
        )

    def _check_owned(self) -> None:
        """Check what is left after the balance has changed, and nothing of what is unbooked counts twice."""
        if self._low_at is not None:
            self._low_at = min(self._low_at, self._owned)
        self._check_low()

    @property
    def _owned(self) -> Decimal:
        """Amount that is left by its own limit if running calls cost nothing."""
        return self._balance + (self.own_limit or ZERO) + self._unbooked

    def _check_low(self) -> None:
        """Add the account to ``lows`` when less than ``low_below`` is left: once, until a payment brings enough again.

        Holds come and go with every call, so money that a hold releases does not count as a payment.
        """
        if self.low_below is None or self.lows is None:
            return
        owned = self._owned
        is_low = owned - self._reserved < self.low_below
        if self._low_at is None and is_low:
            self._low_at = owned
            self.lows.append(self)
        elif self._low_at is not None and not is_low and owned > self._low_at:
            self._low_at = None


def affords(credit: AccountCredit, applied: AppliedRate | None, advance_s: int) -> bool:
    """Return whether an account has enough left for ``advance_s`` seconds, or, without a rate, anything.

    Spend limits are judged by ``hold`` alone, which notes that they have refused a call.
    """
    available = credit.available
    if available is None:
        return True
    return available > 0 and (applied is None or _first_total(applied, advance_s) <= available)


def _step(hold: AccountHold, share: Decimal, paid_s: int) -> int:
    """Return up to when a call is granted of its share; ``paid_s`` is all that can be paid."""
    applied = hold.applied
    shared_s = longest_within(hold.amount + share, applied, hold.granted_s, paid_s)
    least_s = max(shared_s, min(hold.granted_s + SHORTEST_STEP_S, paid_s))
    return longest_within(total_at(applied, least_s), applied, least_s, paid_s)
