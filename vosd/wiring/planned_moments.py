"""Check of the moments at which planned versions of objects begin: files may have changed since these were planned."""

from collections.abc import Iterator, Sequence
from typing import Final

from vosd.catalogue.planned_objects import states_planned
from vosd.catalogue.problems import ConfigError, DefinitionProblem, Severity
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.wiring.change_check import Loads

MOMENTS_MAX: Final = 20
"""Most moments of one check: each costs a load, which takes what is the same from the one before."""


def warnings_of_moments(loads: Loads, planned: Sequence[ObjectVersion]) -> Iterator[DefinitionProblem]:
    """Yield the mistakes of the configuration at the first planned moments, as warnings: none of them is in force.

    A mistake is named with the first moment that has it; a moment that has no other one is left out. ``loads`` may have
    loaded what is in force, which saves the whole load at the first moment.
    """
    named = set[DefinitionProblem]()
    for state in [*states_planned(planned)][:MOMENTS_MAX]:
        try:
            loads.with_versions(state.versions)
        except ConfigError as error:
            mistakes = [each for each in error.problems if each.severity is Severity.ERROR and each not in named]
            if mistakes:
                named.update(mistakes)
                found = state.error(ConfigError(mistakes)).problems
                yield from (each._replace(severity=Severity.WARNING) for each in found)
