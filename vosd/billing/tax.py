"""The tax on an amount that someone else has set, by the terms that a breakdown has kept."""

from collections.abc import Sequence
from decimal import Decimal

from vosd.base.money import EXACT, ZERO, Rounding
from vosd.billing.rater import Step, round_fee
from vosd.billing.rates import RatingPolicy


def tax_by(steps: Sequence[Step], fee: Decimal) -> Decimal:
    """Return the tax on ``fee`` by the rate and the rounding of a charge's steps.

    Raises:
        KeyError: a step or a figure is missing, so this is not a breakdown.
    """
    by_name = {step["step"]: step for step in steps}
    terms, row = by_name["fee"], by_name["rate"]
    if row.get("tax_exempt"):
        return ZERO
    policy = RatingPolicy(
        hold_time_precision_ms=0,
        free_time_s=0,
        fee_precision=int(str(terms["precision"])),
        fee_unit=Decimal(str(terms["unit"])),
        rounding=Rounding(terms["rounding"]),
    )
    rate = Decimal(str(row["tax_rate"]))
    return round_fee(EXACT.divide(EXACT.multiply(fee, rate), 100), policy)
