"""Structs for people and programs, made of those that they show."""

from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any, Final, TypeVar, get_args

import msgspec

from vosd.base.money import format_amount
from vosd.cdr.columns import iso_utc

Shown = TypeVar("Shown", bound=msgspec.Struct)

_ABSENT: Final = object()


def shown_as(kind: type[Shown], of: object, /, **given: object) -> Shown:
    """Return a struct whose fields are those of the same names of ``of``, but for those that are given.

    Where it has text, amounts are written as such, times in ISO 8601, and members of an enumeration by their value.
    """
    found = {name: getattr(of, name, _ABSENT) for name in kind.__struct_fields__ if name not in given}
    texts = _texts(kind)
    values = {name: _text(each) if name in texts else each for name, each in found.items() if each is not _ABSENT}
    return kind(**values, **given)


@cache
def _texts(kind: type[msgspec.Struct]) -> frozenset[str]:
    return frozenset(each.name for each in msgspec.structs.fields(kind) if _has_text(each.type))


def _has_text(kind: Any) -> bool:
    return kind is str or any(map(_has_text, get_args(kind)))


def _text(value: object) -> object:
    if isinstance(value, Decimal):
        return format_amount(value)
    if isinstance(value, Enum):
        return value.value
    return iso_utc(value) if isinstance(value, int) else value
