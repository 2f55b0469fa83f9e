"""Warnings of rates that rounding would affect.

vosd keeps rates as entered and rounds charges only. The report names each rate that VOS3000 would have stored as
another price, and each that charges nothing for a whole cycle.
"""

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Final, NamedTuple

from vosd.base.money import EXACT, ZERO, Rounding, format_amount, round_to_unit
from vosd.billing.currencies import BOOKED_AT_MOST
from vosd.billing.rater import round_fee, total_at
from vosd.billing.rates import AppliedRate, Rate, RatingPolicy
from vosd.catalogue.problems import DefinitionProblem, ProblemList, Severity, SourceLine
from vosd.config.assembly.rate_groups import ReadGroup

RateReport = Callable[[], Iterator[DefinitionProblem]]
"""Yields warnings about single rates, as many as there are rates at most."""


class StoredRate(NamedTuple):
    """A rate as VOS3000 would have stored it."""

    rate: Decimal
    is_lossless: bool


def stored_by_vos3000(rate: Decimal, fee_precision: int) -> StoredRate:
    """Round a rate as VOS3000 does when it is entered: half up to the fee precision."""
    stored = round_to_unit(rate, Decimal(1).scaleb(-fee_precision), Rounding.HALF_UP)
    return StoredRate(stored, is_lossless=stored == rate)


def is_free_cycle(rate: Rate, policy: RatingPolicy) -> bool:
    """Return whether one cycle of a positive rate is charged nothing after rounding."""
    if not rate.billing_rate:
        return False
    per_cycle = rate.billing_rate
    if not rate.per_cycle:
        per_cycle = EXACT.divide(EXACT.multiply(per_cycle, Decimal(rate.billing_cycle)), Decimal(60))
    if rate.connection_fee or rate.minimum_charge:
        per_cycle = max(EXACT.add(per_cycle, rate.connection_fee), rate.minimum_charge)
    return not round_fee(per_cycle, policy)


class RoundingProblem(NamedTuple):
    """A price that rounding would affect."""

    column: str
    written: str
    expected: str


def problems_of_rounding(rate: Rate, policy: RatingPolicy) -> list[RoundingProblem]:
    """Return the prices that VOS3000 would have changed, and the one whose cycle is charged nothing.

    A price is that of time: of a minute or cycle, of the first period, of sections. A locked rate charges nothing.
    """
    if rate.locked:
        return []
    found = []
    if is_free_cycle(rate, policy):
        unit = format_amount(policy.fee_unit)
        expected = f"a fee precision at which one cycle of {rate.billing_cycle} s costs at least {unit}, or it is free"
        found.append(RoundingProblem("billing_rate", f"{rate.billing_rate:f}", expected))
    prices = [("billing_rate", rate.billing_rate)]
    if rate.first_rate is not None:
        prices.append(("first_rate", rate.first_rate))
    prices += [("sections", section.amount) for section in rate.sections]
    for column, price in prices:
        stored = stored_by_vos3000(price, policy.fee_precision)
        if not stored.is_lossless:
            kept = format_amount(stored.rate) + ("" if stored.rate else ", a free rate")
            expected = f"at most {policy.fee_precision} decimals; VOS3000 would have stored {kept}"
            found.append(RoundingProblem(column, f"{price:f}", expected))
    return found


def report_rates(read: ReadGroup) -> Iterator[DefinitionProblem]:
    """Yield a warning for each rate of a group that VOS3000 would have changed, or whose cycle is charged nothing.

    There may be a million of them, so they are made one by one.
    """
    return (
        _warning(read, rate, place, problem)
        for rate, place in read.rates.to_report()
        for problem in problems_of_rounding(rate, read.group.policy)
    )


def summarise(reported: int, read: ReadGroup, place: SourceLine, problems: ProblemList) -> None:
    """Warn in one line of the number of problems that the report of a group has."""
    if reported:
        expected = f"rates that suit its fee precision {read.group.policy.fee_precision}"
        words = f"{expected}; {reported} do not: `vosd check --report FILE` names each"
        problems.warning(place, f"rate_groups[{read.group.name}]", words)


def _warning(read: ReadGroup, rate: Rate, place: SourceLine, problem: RoundingProblem) -> DefinitionProblem:
    key = f"rate_groups[{read.group.name}].rates[{rate.prefix}].{problem.column}"
    return DefinitionProblem(place.file, place.line, key, problem.written, problem.expected, Severity.WARNING)


LARGE: Final = Decimal(1_000)
"""Price of a minute or a cycle up to which a call of a week, the highest ``limits.max_call_seconds``, costs far
less."""


def check_rates(groups: Iterable[ReadGroup], longest_s: int, problems: ProblemList) -> None:
    """Report each rate at which the longest call would cost more than can be booked, and be carried for nothing."""
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
