"""The rate of a charge, read from its steps: they say everything that the charge depends on."""

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from vosd.base.money import ZERO, Rounding
from vosd.billing.rater import Step
from vosd.billing.rates import AppliedRate, Rate, RatingPolicy
from vosd.billing.sections import read_sections


def rate_of_steps(steps: Sequence[Step]) -> AppliedRate:
    """Return the rate and the rounding of a charge by its steps alone, whatever the rates are by now.

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
        connection_fee=Decimal(str(row.get("connection_fee", ZERO))),
        minimum_charge=Decimal(str(row.get("minimum_charge", ZERO))),
        sections=read_sections(str(row["sections"])) if "sections" in row else (),
    )
    policy = RatingPolicy(
        hold_time_precision_ms=_whole(held["precision_ms"]),
        free_time_s=_whole(free["free_s"]),
        fee_precision=_whole(fee["precision"]),
        fee_unit=Decimal(str(fee["unit"])),
        rounding=Rounding(fee["rounding"]),
        nonzero_floor=bool(fee["nonzero_floor"]),
        section_cap=bool(row.get("section_cap", True)),
        tax_exempt=bool(row.get("tax_exempt", False)),
    )
    applied = AppliedRate(str(row["group"]), str(row["version"]), str(row["currency"]), rate, policy)
    exchange = by_name.get("exchange")
    if exchange is None:
        return applied
    return msgspec.structs.replace(applied, exchange_rate=Decimal(str(exchange["rate"])), paid_in=str(exchange["to"]))


def _whole(value: str | int | bool | None) -> int:
    return int(str(value))
