"""Minimum consumption that accounts of the database had at a moment, by the versions of accounts and templates."""

import json
from collections.abc import Mapping, Set
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from vosd.base.money import ZERO, parse_amount

if TYPE_CHECKING:
    from vosd.storage.stored_objects import SqlObjects

_KEY: Final = "minimum_consumption"
_TEMPLATE: Final = "template"


class MinimumsThen:
    """Minimums of the accounts that the database defined at a moment."""

    def __init__(self, objects: "SqlObjects", at: int, templates: Mapping[str, Decimal | None]) -> None:
        """``templates`` are the minimums of the templates in the database then; None = it stands in a variable."""
        self._objects = objects
        self._at = at
        self._templates = templates

    @classmethod
    async def read(cls, objects: "SqlObjects", at: int) -> "MinimumsThen":
        """Read the templates that were in force at a moment, UTC milliseconds.

        Raises:
            StoreUnavailable: try again.
        """
        found = await objects.of_kind(at, "templates")
        return cls(objects, at, {each.name: _amount(json.loads(each.body or "{}").get(_KEY, "0")) for each in found})

    async def names(self) -> Set[str]:
        """Return the accounts that are known to have had a minimum.

        Raises:
            StoreUnavailable: try again.
        """
        texts = [f'"{_KEY}"']
        if any(self._templates.values()):
            texts.append(f'"{_TEMPLATE}"')
        found = await self._objects.of_kind(self._at, "accounts", texts)
        return {each.name for each in found if each.body is not None and self.of(each.body)}

    def of(self, body: str) -> Decimal | None:
        """Return the minimum of an account by its keys; None = not known: a variable or a template of a file has it."""
        key, written = _source(body)
        if key == _KEY:
            return _amount(written)
        return self._templates.get(written) if written else ZERO


def has_same_source(body: str, other: str) -> bool:
    """Return whether the keys of an account name the same amount or variable as others, or else the same template."""
    return _source(body) == _source(other)


def _source(body: str) -> tuple[str, str]:
    keys = json.loads(body)
    key = _KEY if _KEY in keys else _TEMPLATE
    return key, str(keys.get(key, ""))


def _amount(written: object) -> Decimal | None:
    try:
        return parse_amount(str(written))
    except ValueError:  # a variable
        return None
