"""Differences between the cost of calls and that by other rates: sums by account and prefix, the greatest differences.

Amounts of different currencies are never added up. Memory grows with accounts and prefixes, not with calls.
"""

import heapq
from collections.abc import Hashable
from decimal import Decimal
from typing import Final, NamedTuple, TypeVar

from vosd.base.money import EXACT, ZERO, format_amount
from vosd.billing.rater import Charge
from vosd.cdr.columns import iso_utc

PREFIXES_MAX: Final = 100_000
"""Prefixes that have sums of their own; the calls of all others are counted together."""
OTHERS: Final = "(others)"

_add: Final = EXACT.add
Key = TypeVar("Key", bound=Hashable)


class CallName(NamedTuple):
    """Facts by which people tell a call from others."""

    call: str | int
    """The id of the call, or the line of a file."""
    started_at: int
    """UTC milliseconds."""
    callee: str


class PriceSums:
    """Sums of some charges."""

    __slots__ = ("after", "before", "calls", "differ", "unrated", "unrated_before")

    def __init__(self) -> None:
        self.calls = self.differ = self.unrated = 0
        self.before = self.after = self.unrated_before = ZERO
        """``before`` is of all charges, ``unrated_before`` of those that have no rate."""

    @property
    def difference(self) -> Decimal:
        """By how much the charges differ that have a rate."""
        return EXACT.subtract(self.after, EXACT.subtract(self.before, self.unrated_before))

    def to_json(self) -> dict[str, object]:
        """Return the counts and amounts; its keys are stable."""
        return {
            "calls": self.calls,
            "differ": self.differ,
            "without_rate": self.unrated,
            "before": format_amount(self.before),
            "before_without_rate": format_amount(self.unrated_before),
            "after": format_amount(self.after),
            "difference": format_amount(self.difference),
        }


class PriceDifferences:
    """Collects charges before and after."""

    def __init__(self, most: int) -> None:
        """``most`` calls with the greatest differences are kept."""
        self._most = most
        self._accounts: dict[tuple[str, str, str], PriceSums] = {}
        """By account, role and currency."""
        self._prefixes: dict[tuple[str, str, str], PriceSums] = {}
        """By role, prefix and currency."""
        self._greatest: list[tuple[Decimal, int, dict[str, object]]] = []
        self.charges = self.differ = 0

    def same(self, account: str, role: str, currency: str, prefix: str, total: Decimal) -> None:
        """Add a charge that is the same before and after; ``total`` includes tax."""
        self.charges += 1
        for sums in self._sums(account, role, currency, prefix):
            sums.calls += 1
            sums.before = _add(sums.before, total)
            sums.after = _add(sums.after, total)

    def free(self, account: str, role: str, currency: str) -> None:
        """Add a call that costs nothing before and after, and that has no rate."""
        self.charges += 1
        for sums in self._sums(account, role, currency, ""):
            sums.calls += 1
            sums.unrated += 1

    def other(
        self,
        account: str,
        role: str,
        currency: str,
        prefix: str,
        before: Decimal,
        after: Decimal | None,
        name: CallName,
    ) -> None:
        """Add a charge that differs; ``after`` is None where there is no rate, or one in another currency."""
        self.charges += 1
        self.differ += 1
        for sums in self._sums(account, role, currency, prefix):
            sums.calls += 1
            sums.differ += 1
            sums.before = _add(sums.before, before)
            if after is None:
                sums.unrated += 1
                sums.unrated_before = _add(sums.unrated_before, before)
            else:
                sums.after = _add(sums.after, after)
        difference = abs(EXACT.subtract(after or ZERO, before))
        if self._most and (len(self._greatest) < self._most or difference > self._greatest[0][0]):
            shown: dict[str, object] = {
                "call": name.call if isinstance(name.call, str) else f"line {name.call}",
                "started_at": iso_utc(name.started_at),
                "callee": name.callee,
                "account": account,
                "role": role,
                "prefix": prefix or None,
                "currency": currency or None,
                "before": format_amount(before),
                "after": None if after is None else format_amount(after),
            }
            keep = heapq.heappush if len(self._greatest) < self._most else heapq.heapreplace
            keep(self._greatest, (difference, self.differ, shown))

    def to_json(self, most_prefixes: int) -> dict[str, object]:
        """Return the sums; its keys are stable. ``most_prefixes`` are listed, those that differ most first."""
        prefixes = [item for item in self._prefixes.items() if item[1].differ]
        prefixes.sort(key=lambda item: (-abs(item[1].difference) - abs(item[1].unrated_before), item[0]))
        return {
            "charges": self.charges,
            "differ": self.differ,
            "accounts": [
                {"account": account, "role": role, "currency": currency or None, **sums.to_json()}
                for (account, role, currency), sums in sorted(self._accounts.items())
            ],
            "prefixes": [
                {"role": role, "prefix": prefix or None, "currency": currency or None, **sums.to_json()}
                for (role, prefix, currency), sums in prefixes[:most_prefixes]
            ],
            "prefixes_differ": len(prefixes),
            "greatest": [shown for _, _, shown in sorted(self._greatest, key=lambda each: (-each[0], each[1]))],
        }

    def _sums(self, account: str, role: str, currency: str, prefix: str) -> tuple[PriceSums, PriceSums]:
        key = role, prefix, currency
        of_prefix = self._prefixes.get(key)
        if of_prefix is None:
            if len(self._prefixes) >= PREFIXES_MAX:
                key = role, OTHERS, currency
            of_prefix = self._prefixes.setdefault(key, PriceSums())
        of_account = self._accounts.get((account, role, currency))
        if of_account is None:
            of_account = self._accounts[account, role, currency] = PriceSums()
        return of_account, of_prefix


def total_of(charge: Charge) -> Decimal:
    """Return what a charge takes from its account."""
    return _add(charge.fee, charge.tax) if charge.tax else charge.fee
