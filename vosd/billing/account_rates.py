"""Rates of a group as one account is charged by them: with its own rounding and billing unit, without tax or free time.

Only accounts that differ from their rate groups have such rates; they are made when the catalogue is built.
"""

from decimal import Decimal
from enum import Enum
from typing import Final

import msgspec

from vosd.base.money import Rounding, unit_of
from vosd.billing.ports import Rates, RateTable
from vosd.billing.rates import AppliedRate, RatingPolicy

_SHARED_MAX: Final = 1_024


class FreeTimeScope(Enum):
    """The charges that free time is taken off."""

    ALL = "all"
    CUSTOMER = "customer"
    """Not vendors': ``billing.free_time_scope``."""


class AccountRounding(msgspec.Struct, frozen=True):
    """Rounding of an account's charges; None = as its rate groups say."""

    hold_time_precision_ms: int | None = None
    fee_precision: int | None = None
    """It sets the unit, too, where ``fee_unit`` does not."""
    fee_unit: Decimal | None = None
    fee_rounding: Rounding | None = None
    billing_unit: int | None = None
    """Cycle of rates that have the unit of their group, unless they are priced by the cycle."""
    tax_exempt: bool = False
    without_free_time: bool = False

    def over(self, policy: RatingPolicy) -> RatingPolicy:
        """Return the policy of a rate group with what the account says otherwise."""
        fee_unit = policy.fee_unit if self.fee_precision is None else unit_of(self.fee_precision)
        precision = self.hold_time_precision_ms
        return msgspec.structs.replace(
            policy,
            hold_time_precision_ms=policy.hold_time_precision_ms if precision is None else precision,
            free_time_s=0 if self.without_free_time else policy.free_time_s,
            fee_precision=policy.fee_precision if self.fee_precision is None else self.fee_precision,
            fee_unit=fee_unit if self.fee_unit is None else self.fee_unit,
            rounding=self.fee_rounding or policy.rounding,
            tax_exempt=self.tax_exempt or policy.tax_exempt,
        )


class AccountRates:
    """The rates of a group for an account with terms of its own (implements ``Rates``)."""

    __slots__ = ("_applied", "_rates", "_rounding", "name")

    def __init__(self, rates: Rates, rounding: AccountRounding) -> None:
        self.name: Final = rates.name
        self._rates = rates
        self._rounding = rounding
        self._applied: dict[AppliedRate, AppliedRate] = {}
        """By the rate of the group: the calls that run at one rate share it."""

    @property
    def depends_on_caller(self) -> bool:
        """Return whether the rate of a number is another one for some callers."""
        return self._rates.depends_on_caller

    def tables_at(self, wall_ms: int) -> tuple[RateTable, ...]:
        """Return the tables in which numbers are looked up at ``wall_ms`` (UTC)."""
        return self._rates.tables_at(wall_ms)

    def find(self, number: str, wall_ms: int, caller: str = "", forward_prefix: str = "", /) -> AppliedRate | None:
        """Return the rate of a call from ``caller`` to ``number`` that arrives at ``wall_ms`` (UTC), or None."""
        found = self._rates.find(number, wall_ms, caller, forward_prefix)
        if found is None:
            return None
        return self._applied.get(found) or self._made(found)

    def _made(self, found: AppliedRate) -> AppliedRate:
        if len(self._applied) >= _SHARED_MAX:
            self._applied.clear()
        own = self._applied[found] = rounded_for(found, self._rounding)
        return own


def for_account(rates: Rates, policy: RatingPolicy, rounding: AccountRounding) -> Rates:
    """Return the rates of a group with this policy as an account is charged by them; the same if it says nothing."""
    is_alike = rounding.billing_unit is None and rounding.over(policy) == policy
    return rates if is_alike else AccountRates(rates, rounding)


def rounded_for(applied: AppliedRate, rounding: AccountRounding) -> AppliedRate:
    """Return a rate as an account is charged by it."""
    rate, unit = applied.rate, rounding.billing_unit
    if unit is not None and rate.has_cycle_of_group and not rate.per_cycle:
        rate = msgspec.structs.replace(rate, billing_cycle=unit)
    return msgspec.structs.replace(applied, rate=rate, policy=rounding.over(applied.policy))
