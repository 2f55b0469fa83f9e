"""Mistakes of accounts whose money is, or may come to be, in another currency than their definitions say."""

from collections.abc import Mapping

from vosd.catalogue.problems import DefinitionProblem, ProblemList, SourceLine


def held_currencies(
    held: Mapping[str, str], written: Mapping[str, str], places: Mapping[str, SourceLine]
) -> tuple[DefinitionProblem, ...]:
    """Return the mistakes of accounts that have money in the currencies ``held``; all three are by account."""
    problems = ProblemList()
    for name, currency in held.items():
        expected = (
            f"{currency}, the currency of the money that this account has in the ledger and in running calls, or that "
            "waits for a second person: set it back; for another currency add an account with another id"
        )
        problems.error(places[name], f"accounts[{name}].currency", expected, written[name])
    return problems.in_order()


def planned_currencies(
    before: Mapping[str, str], planned: Mapping[str, str], places: Mapping[str, SourceLine]
) -> tuple[DefinitionProblem, ...]:
    """Return the mistakes of accounts that get another currency later than they have before; all are by account."""
    problems = ProblemList()
    for name, currency in planned.items():
        if before.get(name, currency) != currency:
            expected = (
                f"{before[name]}, the currency that this account has until then: another one is not planned, for the "
                "account may have money by then"
            )
            problems.error(places[name], f"accounts[{name}].currency", expected, currency)
    return problems.in_order()
