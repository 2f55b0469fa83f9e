"""Mistakes of accounts whose money is in another currency than their definitions say."""

from collections.abc import Mapping

from vosd.catalogue.problems import DefinitionProblem, ProblemList, SourceLine


def held_currencies(
    held: Mapping[str, str], written: Mapping[str, str], places: Mapping[str, SourceLine]
) -> tuple[DefinitionProblem, ...]:
    """Return the mistakes of accounts that have money in the currencies ``held``; all three are by account."""
    problems = ProblemList()
    for name, currency in held.items():
        expected = (
            f"{currency}, the currency of the money that this account has in the ledger and in running calls; for "
            "another currency add an account with another id"
        )
        problems.error(places[name], f"accounts[{name}].currency", expected, written[name])
    return problems.in_order()
