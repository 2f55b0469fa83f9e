"""Free numbers and those without CDR: what does not fit together, or is probably not as intended."""

from typing import Final

from vosd.billing.rates import RatingPolicy
from vosd.catalogue.problems import ProblemList
from vosd.catalogue.source import Origin
from vosd.config.keys.installation import InstallationKeys
from vosd.config.keys.parameters import PARAMETERS, ParameterKeys
from vosd.routing.patterns import ANY_REST
from vosd.routing.special_numbers import SpecialNumbers, overlapping

_FREE: Final = f"{PARAMETERS}.SERVER_BILLING_FREE_E164S"
_NO_CDR: Final = f"{PARAMETERS}.SERVER_BILLING_NO_CDR_E164S"
_SHORTEST_PREFIX: Final = 2
"""Digits that a prefix has at least without a warning."""


def special_numbers(keys: InstallationKeys, parameters: ParameterKeys) -> SpecialNumbers:
    """Return what holds for the called numbers of all calls."""
    emergency = frozenset(keys.routing.emergency_numbers)
    return SpecialNumbers(
        parameters.route_prefix,
        parameters.free_e164s,
        tuple(pattern for pattern, _ in parameters.no_cdr_e164s),
        emergency,
        keys.routing.emergency_services or {},
        parameters.forward_prefix,
        {pattern: memo for pattern, memo in parameters.no_cdr_e164s if memo},
    )


def free_policy(parameters: ParameterKeys) -> RatingPolicy:
    """Return how the seconds of calls to free numbers are rounded."""
    return RatingPolicy(parameters.hold_time_precision, 0, parameters.fee_precision, parameters.fee_unit)


def check_special_numbers(numbers: SpecialNumbers, origin: Origin, problems: ProblemList) -> None:
    """Report emergency numbers without CDR, numbers in both lists, and prefixes that fit more than is likely meant."""
    for pattern in numbers.no_cdr:
        if pattern not in numbers.no_cdr_memos:
            expected = f"the reason in brackets, as in '{pattern} (test line)': nothing else says why there is no CDR"
            problems.warning(origin.place_of(_NO_CDR), _NO_CDR, expected, pattern)
        hidden = next((each for each in sorted(numbers.emergency) if overlapping(pattern, each)), None)
        if hidden is not None:
            expected = (
                f"no emergency number: calls to {hidden} must leave CDRs, and may stand in SERVER_BILLING_FREE_E164S"
                " (routing.emergency_numbers has all of them)"
            )
            problems.error(origin.place_of(_NO_CDR), _NO_CDR, expected, pattern)
        free = next((each for each in numbers.free if overlapping(pattern, each)), None)
        if free is not None:
            expected = f"no number of SERVER_BILLING_FREE_E164S: {free} is free, but what fits both leaves no CDR"
            problems.warning(origin.place_of(_NO_CDR), _NO_CDR, expected, pattern)
    for key, patterns in ((_FREE, numbers.free), (_NO_CDR, numbers.no_cdr)):
        for pattern in patterns:
            if pattern.endswith(ANY_REST) and len(pattern.removesuffix(ANY_REST)) < _SHORTEST_PREFIX:
                expected = "a prefix of two digits or more: this one fits the numbers of many countries"
                problems.warning(origin.place_of(key), key, expected, pattern)
