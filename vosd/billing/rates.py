"""A rate, the rounding of its group, what a call keeps of both, and seconds and billing cycles of a duration."""

from decimal import Decimal
from enum import Enum
from typing import Final, TypeVar

import msgspec

from vosd.base.money import EXACT, ZERO, Rounding
from vosd.billing.sections import RateSection

_MINUTE: Final = Decimal(60)


# Structs without garbage collection: none can be part of a cycle, and a large table has a million of them.


class RateType(Enum):
    """Kind of destination."""

    NET = "net"
    LOCAL = "local"
    DOMESTIC = "domestic"
    INTERNATIONAL = "international"


class RatingPolicy(msgspec.Struct, frozen=True, gc=False):
    """Rounding of seconds and amounts for one rate group: its own settings over the parameters."""

    hold_time_precision_ms: int
    """SERVER_BILLING_HOLD_TIME_PRECISION, 0-999 ms: a fraction of at least this much is one more second."""
    free_time_s: int
    """SERVER_BILLING_FREE_TIME, seconds taken off before rating."""
    fee_precision: int
    """SERVER_BILLING_FEE_PRECISTION, 0-8 decimals of fee and tax."""
    fee_unit: Decimal
    """SERVER_BILLING_FEE_UNIT, the smallest step of fee and tax."""
    rounding: Rounding = Rounding.HALF_UP
    nonzero_floor: bool = False
    """A positive fee that would round to zero becomes one unit."""
    section_cap: bool = True
    """A call that has not completed a section costs at most what that section does."""
    tax_exempt: bool = False
    """No tax is charged, whatever the rates say."""


class Rate(msgspec.Struct, frozen=True, gc=False):
    """One rate, exactly as entered or multiplied by that of a period: charges are rounded, rates never."""

    prefix: str
    billing_rate: Decimal
    """Price of a minute, or of one cycle where ``per_cycle``."""
    billing_cycle: int
    """Seconds of one increment, at least 1; every begun cycle is paid in full."""
    per_cycle: bool = False
    first_rate: Decimal | None = None
    """Price of the whole first period; None = the billing rate, pro rata of the minute."""
    first_duration: int = 0
    """Seconds of the first period; 0 = no first period."""
    tax_rate: Decimal = Decimal(0)
    """Percent on the rounded fee."""
    area: str = ""
    rate_type: str = ""
    """Kind of destination: net, local, domestic, international, or none."""
    connection_fee: Decimal = ZERO
    """Added once to the price of a call that has billable seconds."""
    minimum_charge: Decimal = ZERO
    """The least that a call with billable seconds costs before tax, connection fee included."""
    sections: tuple[RateSection, ...] = ()
    """Prices of whole calls by their length; with any, there is no first period."""
    locked: bool = False
    """The prefix is barred: its numbers have no rate, nor that of a shorter prefix."""
    has_cycle_of_group: bool = False
    """Whether the cycle is the billing unit of the group, which an account may replace by its own."""


class AppliedRate(msgspec.Struct, frozen=True, gc=False, cache_hash=True, omit_defaults=True):
    """Terms that a call copies at admission and keeps to its end: the rate, its group and version, the rounding."""

    group: str
    version: str
    currency: str
    """Currency of the prices of the rate (ISO 4217)."""
    rate: Rate
    policy: RatingPolicy
    source: str = ""
    """Origin of the rate, for a call that more than one rate group could price: a ``RateSource``, and the name
    of the period or of the caller's origin; empty = the call has one rate group."""
    candidates: "tuple[AppliedRate, ...]" = ()
    """Every rate that may price the call, in order of preference, this one included; empty = no other may.

    The price of any duration is the least that one of them gives (ADR 58). This one gives the least at admission.
    """
    exchange_rate: Decimal | None = None
    """Value of one unit of ``currency`` in that of the account; None = they are the same (ADR 64)."""
    paid_in: str = ""
    """The currency of the account, and of its charges, where it is another one; empty = ``currency``."""

    @property
    def price_per_minute(self) -> Decimal:
        """The price of a minute after the first period, without tax, in the account's currency."""
        if self.candidates:
            return min(each.price_per_minute for each in self.candidates)
        rate = self.rate
        price = rate.billing_rate
        if self.exchange_rate is not None:
            price = EXACT.multiply(price, self.exchange_rate)
        return _of_minute(price, rate.billing_cycle) if rate.per_cycle else price


def _of_minute(price: Decimal, cycle_s: int) -> Decimal:
    return EXACT.divide(EXACT.multiply(price, _MINUTE), Decimal(cycle_s))


Priced = TypeVar("Priced", AppliedRate, AppliedRate | None)


def for_unanswered(applied: Priced) -> Priced:
    """Return a rate as it prices a call without answer: no connection fee and no minimum charge; None stays None."""
    if applied is None:
        return applied
    rate, candidates = applied.rate, applied.candidates
    if not candidates and not rate.connection_fee and not rate.minimum_charge:
        return applied
    return msgspec.structs.replace(
        applied,
        rate=msgspec.structs.replace(rate, connection_fee=ZERO, minimum_charge=ZERO),
        candidates=tuple(map(for_unanswered, candidates)),
    )


def as_answered(applied: Priced, answered_at: int | None) -> Priced:
    """Return a rate as it prices a call that was answered at that moment; None = ``for_unanswered``."""
    return for_unanswered(applied) if answered_at is None else applied


PRECISION_MS: Final = 50
"""Default of ``SERVER_BILLING_HOLD_TIME_PRECISION``, by which calls without any rate are rounded."""


def hold_seconds(duration_ms: int, threshold_ms: int) -> int:
    """Return the whole seconds of a call: a fraction of at least ``threshold_ms`` is one more.

    An exact second stays as it is, even with a threshold of zero.
    """
    whole, fraction = divmod(duration_ms, 1000)
    return whole + 1 if fraction and fraction >= threshold_ms else whole
