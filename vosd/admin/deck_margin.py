"""Compare the margin on past calls under a new deck and the deck in force: both decks rate the same stored calls."""

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from vosd.base.money import EXACT, ZERO, format_amount
from vosd.billing.rate_group import RateGroup
from vosd.billing.rater import itemise_rest, rate_call
from vosd.billing.rates import as_answered
from vosd.cdr.past import PastCall


class MarginReport(msgspec.Struct, frozen=True):
    """Sums without tax, of the calls that are rated by a deck."""

    days: int
    calls: int
    refused: int
    """Calls that would be refused, or not be sent to the vendor, because they have no rate any more."""
    fee_before: str
    """Fees that customers, or the last agents above them, would have paid by the deck in force."""
    fee_after: str
    cost_before: str
    """Cost that vendors would have charged by it."""
    cost_after: str
    change: str
    """By how much fees less costs would change."""


class Margin:
    """Rates calls by two decks of one rate group, and by the groups derived from each, by the rounding of the group."""

    def __init__(
        self, before: Sequence[RateGroup], after: Sequence[RateGroup], *, now: int, then: int, days: int
    ) -> None:
        """Take the decks.

        Args:
            before: the group by the deck in force, and those that are derived from it.
            after: the same groups by the one that is to be imported.
            now: the moment whose rates of ``before`` count, UTC milliseconds.
            then: the moment whose rates of ``after`` count.
            days: how far back the calls go, for the report.
        """
        self._decks = {each.name: (each, other) for each, other in zip(before, after, strict=True)}
        self._now, self._then = now, then
        self._days = days
        self._calls = self._refused = 0
        self._fees = [ZERO, ZERO]
        self._costs = [ZERO, ZERO]

    def add(self, past: PastCall) -> None:
        """Rate a call, read with its charges and the rate group of its vendor, on each side rated by these groups.

        The carrier is paid by the last agent, else by the customer: what agents charge among themselves is theirs.
        """
        number = past.callee_billing
        if number is None:
            return
        sides: list[tuple[str, list[Decimal] | None, int, int | None, str]] = []
        customer_ms, vendor_ms = past.customer_ms, past.vendor_ms
        sellers = past.rate_group, *(each.rate_group for each in past.agents)
        for name in sorted(self._decks.keys() & {*sellers}):
            if customer_ms is not None:
                sums = self._fees if name == sellers[-1] else None
                sides.append((name, sums, customer_ms, past.answered_at, (past.forward_prefix or "") + number))
        if past.vendor_rate_group in self._decks and vendor_ms is not None:
            sides.append((past.vendor_rate_group, self._costs, vendor_ms, past.vendor_answered_at, number))
        if not sides:
            return
        self._calls += 1
        is_refused = False
        for name, sums, duration_ms, answered_at, rated in sides:
            in_force, coming = self._decks[name]
            before, after = in_force.find(rated, self._now), coming.find(rated, self._then)
            is_refused |= before is not None and after is None
            for index, rate in enumerate((before, after)):
                if rate is not None and sums is not None:
                    applied = as_answered(rate, answered_at)
                    if sums is self._costs and past.vendor_paid_ms is not None:  # the call has paid that part
                        charge, _ = itemise_rest(applied, duration_ms, past.vendor_paid_ms)
                    else:
                        charge = rate_call(applied, duration_ms)
                    sums[index] = EXACT.add(sums[index], charge.fee)
        self._refused += is_refused

    def report(self) -> MarginReport:
        """Return the sums."""
        (fee_before, fee_after), (cost_before, cost_after) = self._fees, self._costs
        before, after = EXACT.subtract(fee_before, cost_before), EXACT.subtract(fee_after, cost_after)
        return MarginReport(
            self._days,
            self._calls,
            self._refused,
            *map(format_amount, (fee_before, fee_after, cost_before, cost_after, EXACT.subtract(after, before))),
        )
