"""Cases of one test that need no set-up are one item for a worker: an item takes longer than most cases.

A failure names its case, and the other cases are gone through all the same. Without workers each case is an item, so
that one of them can be chosen: ``pytest "tests/unit/x.py::test_y[case]"``.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from itertools import product
from typing import Any, Final

import pytest
from hypothesis import is_hypothesis_test

Case = dict[str, Any]

_MARKED_VALUE: Final = type(pytest.param())
_ENDS_THE_ITEM: Final = {"skip", "importorskip", "xfail"}


def joined(collector: pytest.Collector, name: str, test: object) -> pytest.Function | None:
    """Return one item for all cases of a function; None where it has no cases, or set-up for each of them."""
    if (
        not isinstance(collector, pytest.Module)
        or not inspect.isfunction(test)
        or not collector.istestfunction(test, name)
    ):
        return None
    marks: Sequence[pytest.Mark] = getattr(test, "pytestmark", ())
    sets = [_cases(mark) for mark in reversed(marks)]
    if not sets or not all(sets) or not _is_plain(test):
        return None
    cases = [{name: value for part in parts for name, value in part.items()} for parts in product(*sets)]
    if cases[0].keys() != inspect.signature(test).parameters.keys() or _is_set_up(collector):
        return None
    return pytest.Function.from_parent(collector, name=name, callobj=_all(test, cases))


def _is_plain(test: Callable[..., None]) -> bool:
    return (
        not inspect.iscoroutinefunction(test)
        and not is_hypothesis_test(test)
        and _ENDS_THE_ITEM.isdisjoint(test.__code__.co_names)
    )


def _is_set_up(module: pytest.Module) -> bool:
    """Say whether its folder or the module itself does something before or after each test."""
    fixtures = module.session._fixturemanager
    return set(fixtures._getautousenames(module)) != set(fixtures._getautousenames(module.session))


def _cases(mark: pytest.Mark) -> list[Case]:
    """Return what each value of a mark fills in; nothing if it is another mark, or its values are marked themselves."""
    if mark.name != "parametrize" or len(mark.args) != 2 or mark.kwargs.keys() - {"ids"}:
        return []
    names, values = mark.args
    if iter(values) is values:  # pytest has to be the one that goes through it
        return []
    if any(isinstance(value, _MARKED_VALUE) and value.marks for value in values):
        return []
    is_one = isinstance(names, str) and "," not in names
    split = [name.strip() for name in names.split(",")] if isinstance(names, str) else names
    rows = (value.values if isinstance(value, _MARKED_VALUE) else (value,) if is_one else value for value in values)
    return [dict(zip(split, row, strict=True)) for row in rows]


def _all(test: Callable[..., None], cases: Sequence[Case]) -> Callable[[], None]:
    """Return a test that goes through all cases."""

    @wraps(test)
    def every_case() -> None:
        failures = list(_failures(test, cases))
        if len(failures) == 1:
            raise failures[0]
        if failures:
            raise BaseExceptionGroup(f"{len(failures)} of {len(cases)} cases fail", failures)

    vars(every_case).update(pytestmark=[], __signature__=inspect.Signature())  # the cases are filled in
    return every_case


def _failures(test: Callable[..., None], cases: Sequence[Case]) -> Iterator[BaseException]:
    for case in cases:
        try:
            test(**case)
        except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - whatever it is, the others go on
            error.add_note(f"in the case {case!r}")
            yield error
