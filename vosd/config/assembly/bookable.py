"""Whether the amounts that calls may cost fit the columns of the database.

A call whose price fits no column would be carried and could never be booked.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from vosd.base.money import ZERO, format_amount
from vosd.billing.currencies import BOOKED_AT_MOST
from vosd.billing.rater import total_at
from vosd.billing.rates import AppliedRate, Rate
from vosd.catalogue.problems import ProblemList
from vosd.config.assembly.rate_groups import ReadGroup

LARGE: Final = Decimal(1_000)
"""Price of a minute or a cycle up to which a call of a week, the highest ``limits.max_call_seconds``, costs far
less."""


def check_rates(groups: Iterable[ReadGroup], longest_s: int, problems: ProblemList) -> None:
    """Report each rate at which the longest call would cost more than can be booked."""
    for read in groups:
        group = read.group
        is_large_unit = group.policy.fee_unit > LARGE
        for rate, place in read.rates.every() if is_large_unit else read.rates.large():
            if not is_large_unit and not is_large(rate):
                continue
            applied = AppliedRate(group.name, group.table.version, group.currency, rate, group.policy)
            cost = total_at(applied, longest_s)
            if cost > BOOKED_AT_MOST:
                expected = (
                    f"a price at which a call of limits.max_call_seconds ({longest_s} s) costs at most "
                    f"{format_amount(BOOKED_AT_MOST)} {group.currency} with tax, not {format_amount(cost)}: "
                    "more cannot be booked"
                )
                key = f"rate_groups[{group.name}].rates[{rate.prefix}].billing_rate"
                problems.error(place, key, expected, f"{rate.billing_rate:f}")


def is_large(rate: Rate) -> bool:
    """Return whether a call with a rate may cost more than can be booked; its prices alone decide."""
    dearest_section = rate.sections[-1].amount if rate.sections else ZERO
    prices = (rate.billing_rate, rate.first_rate or ZERO, rate.connection_fee, rate.minimum_charge, dearest_section)
    return max(prices) > LARGE
