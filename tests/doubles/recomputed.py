"""Rate a call again from its breakdown alone, to check a charge: the steps say everything."""

from collections.abc import Sequence

from vosd.billing.rater import Charge, Step, rate_call
from vosd.billing.stored_rate import rate_of_steps


def recompute(steps: Sequence[Step]) -> Charge:
    """Rate a call again from its breakdown alone, whatever the rates are by then.

    Raises:
        KeyError: a step or a figure is missing, so this is not a breakdown.
    """
    rate = rate_of_steps(steps)
    (held,) = (step for step in steps if step["step"] == "hold_time")
    return rate_call(rate, 1000 * int(str(held["seconds"])))
