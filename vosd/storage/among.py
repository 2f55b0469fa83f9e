"""Condition that a column has one of very many values, such as the accounts below an agent.

A statement of SQLite takes 32,766 parameters, so there they are one: a list in JSON.
"""

import json
from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import ColumnElement, Integer, String, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

NAMED_APART: Final = 500
"""Most values that are parameters of their own: a listing of calls has a condition up to 32 times."""


class _Among(FunctionElement[int]):
    name = "among"
    type = Integer()
    """No boolean, which would be compared with 1, so that no index was used."""
    inherit_cache = False

    def __init__(self, of: ColumnElement[Any], values: Collection[str]) -> None:
        super().__init__(of)
        self.of, self.values = of, sorted(values)


def among(of: ColumnElement[Any], values: Collection[str]) -> ColumnElement[Any]:
    """Return the condition that a column has one of some values."""
    return _Among(of, values) if len(values) > NAMED_APART else of.in_(sorted(values))


def values_of(parameter: str) -> str:
    """Return the query of SQLite for the values of a list that is a parameter (``as_list``)."""
    return f"(SELECT value FROM json_each({parameter}))"  # noqa: S608 - ours


def as_list(values: Collection[str]) -> str:
    """Return values as one parameter of SQLite."""
    return json.dumps(sorted(values))


@compiles(_Among)
def _among(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.of.in_(element.values), **options)


@compiles(_Among, "sqlite")
def _among_in_sqlite(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    values = literal(as_list(element.values), String())
    return f"{compiler.process(element.of, **options)} IN {values_of(compiler.process(values, **options))}"
