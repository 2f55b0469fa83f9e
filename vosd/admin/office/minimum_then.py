"""Minimum consumption that accounts of the database had at a moment, by the versions of accounts and templates."""

import json
from collections.abc import Mapping, Set
from decimal import Decimal
from typing import TYPE_CHECKING, Final, NamedTuple

from vosd.base.money import parse_amount

if TYPE_CHECKING:
    from vosd.storage.stored_objects import SqlObjects

_KEY: Final = "minimum_consumption"
_TEMPLATE: Final = "template"


class _Source(NamedTuple):
    """Place where the minimum of an account is written."""

    written: str
    """The amount or the variable in the database; empty = a template of a file has it."""
    template: str = ""
    """Name of the template of a file, or the variable that names the template."""

    def amount(self) -> Decimal | None:
        """Return the amount; None = not known, in a variable or in a file."""
        try:
            return parse_amount(self.written)
        except ValueError:
            return None

    @property
    def is_of_any(self) -> bool:
        """Whether a variable names the template, which may be any then."""
        return "${" in self.template


class MinimumsThen:
    """Minimums of the accounts that the database defined at a moment, and whether they are in the same place now."""

    def __init__(
        self, objects: "SqlObjects", at: int, now: int, then: Mapping[str, _Source], today: Mapping[str, _Source]
    ) -> None:
        """``then`` and ``today`` say where the templates in the database had their minimums, and have them now."""
        self._objects = objects
        self._at = at
        self._now = now
        self._then = then
        self._today = today

    @classmethod
    async def read(cls, objects: "SqlObjects", at: int, now: int) -> "MinimumsThen":
        """Read the templates that were in force at a moment and are now, UTC milliseconds."""
        then, today = [
            {each.name: _source(each.body or "{}", {}) for each in await objects.of_kind(moment, "templates")}
            for moment in (at, now)
        ]
        return cls(objects, at, now, then, today)

    async def names(self) -> Set[str]:
        """Return the accounts that are known to have had a minimum, or have no more a variable that had it."""
        texts = [f'"{_KEY}"']
        if _minimums(self._then):
            texts.append(f'"{_TEMPLATE}"')
        today = {each.name: each.body for each in await self._objects.of_kind(self._now, "accounts", texts)}
        return {
            each.name
            for each in await self._objects.of_kind(self._at, "accounts", texts)
            if each.body is not None
            and (
                self.of(each.body)
                or (self._is_variable(each.body) and not self.is_same(each.body, today.get(each.name)))
            )
        }

    def of(self, body: str) -> Decimal | None:
        """Return the minimum of an account by its keys; None = not known: a variable or a template of a file has it."""
        return _source(body, self._then).amount()

    def is_same(self, body: str, today: str | None) -> bool:
        """Return whether the minimum of an account has the same source by its keys of then and of today.

        An account that has no keys in the database today stands in a file, or has ended. A template that a variable
        names may be any template of the database, also one without a minimum.
        """
        if today is None:
            return False
        source = _source(body, self._then)
        if source.is_of_any and _minimums(self._then) != _minimums(self._today):
            return False
        return source == _source(today, self._today)

    def _is_variable(self, body: str) -> bool:
        """Return whether a variable had the minimum, or may have named a template of the database that had one."""
        source = _source(body, self._then)
        if source.is_of_any:
            return bool(_minimums(self._then))
        return source.amount() is None and not source.template


def _minimums(templates: Mapping[str, _Source]) -> Mapping[str, Decimal | _Source]:
    return {name: each.amount() or each for name, each in templates.items() if each.amount() != 0}


def _source(body: str, templates: Mapping[str, _Source]) -> _Source:
    keys = json.loads(body)
    if _KEY in keys:
        return _Source(str(keys[_KEY]))
    name = str(keys.get(_TEMPLATE, ""))
    return templates.get(name) or (_Source("", name) if name else _Source("0"))
