"""Every worked example of tests/vectors is run by a test, or it is said here why it is not."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Final

from golden.worked import BILLING, ROUTING, named

HERE: Final = Path(__file__).parent
VECTORS: Final = {each["id"]: named(each) for each in (*BILLING, *ROUTING)}
EXCEPTIONS: Final = {
    "package_definition": "packages come with their own capability",
    "package_free_duration": "packages come with their own capability",
}
"""Rules or kinds, or single examples, that no test is for, and why."""


def modules() -> Iterator[ModuleType]:
    """Import every file whose tests may run examples."""
    for path in sorted(HERE.glob("test_vectors_*.py")):
        if path != Path(__file__):
            yield import_module(f"golden.{path.stem}")


def runs() -> Iterator[tuple[str, str]]:
    """Yield each example with a test that runs it: the names of a test's cases are those of its examples."""
    for module in modules():
        for name, test in vars(module).items():
            marks = getattr(test, "pytestmark", []) if name.startswith("test_") else []
            for mark in marks:
                cases = mark.args[1] if mark.name == "parametrize" else ()
                for case in cases:
                    identifier = getattr(case, "id", None)
                    if identifier in VECTORS:
                        yield identifier, f"{module.__name__}::{name}"


def test_every_example_is_run_or_an_exception() -> None:
    tests_of: dict[str, set[str]] = {}
    for identifier, test in runs():
        tests_of.setdefault(identifier, set()).add(test)
    missing = sorted(set(VECTORS) - set(tests_of))
    assert {each: VECTORS[each] for each in missing if not EXCEPTIONS.keys() & {each, VECTORS[each]}} == {}
    assert len(VECTORS) - len(missing) > len(missing), "the tests that run examples were not found"


def test_exceptions_are_of_the_file_and_run_by_no_test() -> None:
    run = {name for identifier, _ in runs() for name in (identifier, VECTORS[identifier])}
    assert EXCEPTIONS.keys() <= {*VECTORS, *VECTORS.values()}
    assert EXCEPTIONS.keys().isdisjoint(run)
