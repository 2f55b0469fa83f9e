"""Rate a call: duration and rate in, charge with its steps out. The order of rating stands in ``docs/rating.md``.

A longer call never costs less, since rates are not negative; ``holds`` relies on that when it reserves ahead.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, NamedTuple

import msgspec

from vosd.base.money import EXACT, ROUNDING_MODE, ZERO, Rounding, format_amount, round_to_unit
from vosd.billing.increments import cycles, hold_seconds
from vosd.billing.rates import AppliedRate, Rate, RatingPolicy

Step = dict[str, str | int | bool | None]
"""One line of a breakdown, fit for JSON: money in plain decimal strings, ``step`` names the line."""

_MINUTE: Final = Decimal(60)
_PERCENT: Final = Decimal(100)
_UNIT_OF_PRECISION: Final = tuple(Decimal(1).scaleb(-places) for places in range(9))
_SHOWN_PLACES: Final = Decimal(1).scaleb(-12)
_SHORT: Final = 13
"""Characters of an amount that cannot have more than twelve places, nor be worth rounding to them."""

_ROWS_MAX: Final = 4_096
_ROWS: Final[dict[tuple[str, str, str, str], tuple[Rate, Step]]] = {}
"""Lines of rates that were in use: writing the amounts out costs more than finding the line again.

By group, version, currency and prefix. A table may have several rates of one prefix, in force one after the other, so
each line stands with its rate.
"""


class Charge(msgspec.Struct, frozen=True):
    """What one party pays for one call."""

    hold_time_s: int
    """Answer to end in whole seconds, before free time is taken off."""
    billed_seconds: int
    """Seconds that the charge covers: the first period, whole once begun, and every begun cycle."""
    fee: Decimal
    tax: Decimal

    @property
    def total(self) -> Decimal:
        """Return what leaves the account: fee and tax."""
        return EXACT.add(self.fee, self.tax)


class _Usage(NamedTuple):
    """The billable seconds of a call, divided as its rate divides them."""

    first: int
    """Seconds of the first period, or 0 where the rate has none."""
    cycles: int
    """Cycles begun after the first period."""


def rate_call(applied: AppliedRate, duration_ms: int) -> Charge:
    """Charge a call that lasted ``duration_ms`` from answer to end."""
    return _charge(applied, hold_seconds(duration_ms, applied.policy.hold_time_precision_ms))


def total_at(applied: AppliedRate, seconds: int) -> Decimal:
    """Return fee and tax of a call that ends ``seconds`` after its answer; no shorter call costs more."""
    return _charge(applied, seconds).total


def _charge(applied: AppliedRate, hold_time_s: int) -> Charge:
    rate, policy = applied.rate, applied.policy
    billable = hold_time_s - policy.free_time_s
    if billable <= 0:
        return Charge(hold_time_s, 0, ZERO, ZERO)
    usage = _divide(rate, billable)
    fee = round_fee(_raw_fee(rate, usage), policy)
    tax = _round(_raw_tax(rate, fee), policy) if rate.tax_rate else ZERO
    return Charge(hold_time_s, usage.first + usage.cycles * rate.billing_cycle, fee, tax)


def _divide(rate: Rate, billable: int) -> _Usage:
    first = rate.first_duration
    return _Usage(first, cycles(max(billable - first, 0), rate.billing_cycle))


def _raw_fee(rate: Rate, usage: _Usage) -> Decimal:
    """Return the fee before rounding; all metered seconds are divided once, and last, so that no digit is lost."""
    metered_seconds = usage.cycles * rate.billing_cycle
    lump_sum = rate.first_rate if usage.first else None
    if lump_sum is None:
        return _metered(rate, usage.first + metered_seconds)
    return EXACT.add(lump_sum, _metered(rate, metered_seconds))


def _metered(rate: Rate, seconds: int) -> Decimal:
    per = Decimal(rate.billing_cycle) if rate.per_cycle else _MINUTE
    return EXACT.divide(EXACT.multiply(rate.billing_rate, Decimal(seconds)), per)


def _raw_tax(rate: Rate, fee: Decimal) -> Decimal:
    return EXACT.divide(EXACT.multiply(fee, rate.tax_rate), _PERCENT)


def round_fee(raw: Decimal, policy: RatingPolicy) -> Decimal:
    """Round a raw fee to its precision, then to its unit; the floor is for fees, not for tax."""
    fee = _round(raw, policy)
    if not fee and policy.nonzero_floor and raw > 0:
        return policy.fee_unit
    return fee


def _round(raw: Decimal, policy: RatingPolicy) -> Decimal:
    unit_of_precision = _UNIT_OF_PRECISION[policy.fee_precision]
    amount = raw.quantize(unit_of_precision, ROUNDING_MODE[policy.rounding], EXACT)
    if policy.fee_unit == unit_of_precision:
        return amount
    return round_to_unit(amount, policy.fee_unit, policy.rounding)


def breakdown(applied: AppliedRate, charge: Charge) -> list[Step]:
    """Return the steps of ``charge``, complete enough for ``recompute`` to find it again.

    Raw amounts are shown to twelve places: more than any difference that decides a rounding needs.
    """
    rate, policy = applied.rate, applied.policy
    steps: list[Step] = [
        _row(applied),
        {"step": "hold_time", "precision_ms": policy.hold_time_precision_ms, "seconds": charge.hold_time_s},
    ]
    billable = max(charge.hold_time_s - policy.free_time_s, 0)
    steps.append({"step": "free_time", "free_s": policy.free_time_s, "seconds": billable})
    usage = _divide(rate, billable) if billable else _Usage(0, 0)
    raw_fee = _raw_fee(rate, usage)
    raw_cycles = raw_fee
    if usage.first:
        raw_cycles = _metered(rate, usage.cycles * rate.billing_cycle)
        steps.append(
            {"step": "first_period", "seconds": usage.first, "raw": _shown(EXACT.subtract(raw_fee, raw_cycles))}
        )
    steps += [
        {"step": "cycles", "cycles": usage.cycles, "cycle": rate.billing_cycle, "raw": _shown(raw_cycles)},
        {
            "step": "fee",
            "raw": _shown(raw_fee),
            "precision": policy.fee_precision,
            "unit": _plain(policy.fee_unit),
            "rounding": policy.rounding.value,
            "nonzero_floor": policy.nonzero_floor,
            "amount": format_amount(charge.fee),
        },
        {"step": "tax", "raw": _shown(_raw_tax(rate, charge.fee)), "amount": format_amount(charge.tax)},
    ]
    return steps


def _row(applied: AppliedRate) -> Step:
    """Return the line of the rate itself, which is the same for every call that has it."""
    rate = applied.rate
    key = applied.group, applied.version, applied.currency, rate.prefix
    known = _ROWS.get(key)
    if known is not None and (known[0] is rate or known[0] == rate):
        return known[1]
    step: Step = {
        "step": "rate",
        "group": applied.group,
        "version": applied.version,
        "currency": applied.currency,
        "prefix": rate.prefix,
        "billing_rate": _plain(rate.billing_rate),
        "price_per": "cycle" if rate.per_cycle else "minute",
        "billing_cycle": rate.billing_cycle,
        "first_rate": None if rate.first_rate is None else _plain(rate.first_rate),
        "first_duration": rate.first_duration,
        "tax_rate": _plain(rate.tax_rate),
    }
    if len(_ROWS) >= _ROWS_MAX:
        _ROWS.clear()
    _ROWS[key] = (rate, step)
    return step


def recompute(steps: Sequence[Step]) -> Charge:
    """Rate a call again from its breakdown alone, whatever the rates are by then.

    Raises:
        KeyError: a step or a figure is missing, so this is not a breakdown.
    """
    by_name = {step["step"]: step for step in steps}
    row, held, free, fee = (by_name[name] for name in ("rate", "hold_time", "free_time", "fee"))
    rate = Rate(
        prefix=str(row["prefix"]),
        billing_rate=Decimal(str(row["billing_rate"])),
        billing_cycle=_whole(row["billing_cycle"]),
        per_cycle=row["price_per"] == "cycle",
        first_rate=None if row["first_rate"] is None else Decimal(str(row["first_rate"])),
        first_duration=_whole(row["first_duration"]),
        tax_rate=Decimal(str(row["tax_rate"])),
    )
    policy = RatingPolicy(
        hold_time_precision_ms=_whole(held["precision_ms"]),
        free_time_s=_whole(free["free_s"]),
        fee_precision=_whole(fee["precision"]),
        fee_unit=Decimal(str(fee["unit"])),
        rounding=Rounding(fee["rounding"]),
        nonzero_floor=bool(fee["nonzero_floor"]),
    )
    applied = AppliedRate(str(row["group"]), str(row["version"]), str(row["currency"]), rate, policy)
    return _charge(applied, _whole(held["seconds"]))


def _whole(value: str | int | bool | None) -> int:
    return int(str(value))


def _plain(amount: Decimal) -> str:
    return format(amount, "f")


def _shown(raw: Decimal) -> str:
    text = _plain(raw)
    if len(text) > _SHORT:
        text = _plain(raw.quantize(_SHOWN_PLACES, context=EXACT))
    return text.rstrip("0").rstrip(".") if "." in text else text
