"""Sums of amounts of any size.

MySQL adds decimals up. The ``sum()`` of SQLite ends at an int64, so amounts are added up in two parts there: the units
of 1e-8 beyond 2**32, and those below. A sum that fits in no int64 is text of both, such as ``21 4294967295`` (ADR 204).
"""

from decimal import Decimal
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from vosd.storage.types import SUM_BITS, MoneySum

_BELOW: Final = 2**SUM_BITS - 1


class SumParts(NamedTuple):
    """Expressions of SQLite for both parts of an amount, or of a sum of some."""

    high: str
    low: str

    @property
    def text(self) -> str:
        """Both as text, which ``Money`` decodes."""
        return f"{self.high} || ' ' || {self.low}"

    @property
    def fitting(self) -> str:
        """An int64, and text of both where it fits in none: what is too large is a float in SQLite."""
        whole = f"{self.high} * {2**SUM_BITS} + {self.low}"
        return f"CASE WHEN typeof({whole}) <> 'real' THEN {whole} ELSE {self.text} END"


class _Sum(FunctionElement[Decimal]):
    name = "money_sum"
    type = MoneySum()
    inherit_cache = True


class _FittingSum(_Sum):
    name = "fitting_money_sum"
    inherit_cache = True


def money_sum(amounts: ColumnElement[Any]) -> ColumnElement[Decimal]:
    """Return the sum of amounts, to be read: SQLite can neither calculate with it nor compare it."""
    return _Sum(amounts)


def fitting_sum(amounts: ColumnElement[Any]) -> ColumnElement[Decimal]:
    """Return the sum of amounts to be stored, or to be compared with zero.

    SQLite adds up each amount more often than for ``money_sum``.
    """
    return _FittingSum(amounts)


def parts_of(amount: str) -> SumParts:
    """Return the parts of an amount of SQLite, which is no sum."""
    return SumParts(f"({amount} >> {SUM_BITS})", f"({amount} & {_BELOW})")


def parts_of_sum(column: str) -> SumParts:
    """Return the parts of a stored sum of SQLite."""
    whole = parts_of(column)
    behind = f"CAST(substr({column}, instr({column}, ' ')) AS INTEGER)"
    return SumParts(
        f"CASE typeof({column}) WHEN 'text' THEN CAST({column} AS INTEGER) ELSE {whole.high} END",
        f"CASE typeof({column}) WHEN 'text' THEN {behind} ELSE {whole.low} END",
    )


def summed(parts: SumParts) -> SumParts:
    """Return the parts of a sum of SQLite by those of its amounts."""
    return SumParts(f"SUM({parts.high})", f"SUM({parts.low})")


def added(column: str, other: str) -> str:
    """Return the expression of SQLite for one stored sum more another; nearly all fit in an int64."""
    (high, low), (other_high, other_low) = parts_of_sum(column), parts_of_sum(other)
    plain = " AND ".join(f"typeof({each}) = 'integer'" for each in (column, other, f"{column} + {other}"))
    both = SumParts(f"({high} + {other_high})", f"({low} + {other_low})")
    return f"CASE WHEN {plain} THEN {column} + {other} ELSE {both.fitting} END"


@compiles(_Sum)
def _sum(element: _Sum, compiler: SQLCompiler, **options: Any) -> str:
    return f"sum({compiler.process(element.clauses, **options)})"


@compiles(_Sum, "sqlite")
def _sum_of_sqlite(element: _Sum, compiler: SQLCompiler, **options: Any) -> str:
    return _summed(element, compiler, options).text


@compiles(_FittingSum, "sqlite")
def _fitting_sum_of_sqlite(element: _FittingSum, compiler: SQLCompiler, **options: Any) -> str:
    return _summed(element, compiler, options).fitting


def _summed(element: _Sum, compiler: SQLCompiler, options: dict[str, Any]) -> SumParts:
    (amounts,) = element.clauses
    parts = parts_of_sum if isinstance(amounts.type, MoneySum) else parts_of
    return summed(parts(f"({compiler.process(amounts, **options)})"))
