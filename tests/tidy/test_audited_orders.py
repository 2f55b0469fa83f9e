"""Each use case of the office that changes something writes a line of the audit, on some way through its functions."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

OFFICE: Final = Path(__file__).parents[2] / "vosd" / "admin" / "office"
PACKAGE: Final = "vosd.admin.office."
LINES: Final = {"audit_line", "noted"}
"""Methods of ``Office`` that make or write a line."""
LOOKS: Final = (
    "Check",
    "Compare",
    "Draw",
    "Explain",
    "Find",
    "List",
    "LookUp",
    "Preview",
    "Print",
    "Read",
    "Show",
    "Shorten",
    "Simulate",
    "Verify",
    "Watch",
)
"""Beginnings of the orders that change nothing."""
NO_CHANGE: Final = {
    "decks.prepare_import": "the first half of an import; the second one writes the line",
    "planned_change.plan_of": "the versions that an order would make",
    "foreign_calls.rate_foreign_calls": "a report about a file",
    "reconciliations.write_letter": "returns the text",
}


class OfficeFunction(NamedTuple):
    """A function or a class of a module of the office."""

    names: frozenset[tuple[str, str]]
    """Functions and classes of the office that it names."""
    has_line: bool
    order: str | None
    """Type of its order; None = it is no use case."""


def functions() -> dict[tuple[str, str], OfficeFunction]:
    found = {}
    for path in sorted(OFFICE.glob("*.py")):
        tree = ast.parse(path.read_text())
        places = {
            alias.asname or alias.name: (each.module.removeprefix(PACKAGE), alias.name)
            for each in ast.walk(tree)
            if isinstance(each, ast.ImportFrom) and (each.module or "").startswith(PACKAGE)
            for alias in each.names
        }
        own = [each for each in tree.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
        places |= {each.name: (path.stem, each.name) for each in own}
        for each in own:
            attributes = {node.attr for node in ast.walk(each) if isinstance(node, ast.Attribute)}
            names = {node.id for node in ast.walk(each) if isinstance(node, ast.Name)}
            found[path.stem, each.name] = OfficeFunction(
                frozenset(places[name] for name in names & places.keys()), bool(attributes & LINES), order_of(each)
            )
    # The office itself has the methods: a function that only names its type writes nothing.
    return {key: each for key, each in found.items() if key[0] not in {"office", "principal"}}


def order_of(function: ast.stmt) -> str | None:
    if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
        return None
    is_use_case = any(
        isinstance(each, ast.Call) and ast.unparse(each.func) == "needs" for each in function.decorator_list
    )
    taken = function.args.args[2].annotation if is_use_case and len(function.args.args) > 2 else None
    return None if taken is None else ast.unparse(taken)


def without_line() -> Iterator[str]:
    found = functions()
    audited = {key for key, each in found.items() if each.has_line}
    while more := {key for key, each in found.items() if each.names & audited} - audited:
        audited |= more
    for key, each in found.items():
        if each.order is not None and key not in audited and not each.order.startswith(LOOKS):
            yield ".".join(key)


def test_a_use_case_that_changes_something_writes_a_line_of_the_audit() -> None:
    assert sorted(without_line()) == sorted(NO_CHANGE)
