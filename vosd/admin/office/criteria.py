"""Checks of the criteria, and of the time zone, by which an order chooses calls or entries."""

from typing import Final
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import asdict

from vosd.admin.office.principal import OrderError
from vosd.base.ids import beginning_of

NO_CURRENCY: Final = "none"
"""Name of the calls that have no currency."""
_NUMBERS: Final = ("caller", "callee", "prefix")
"""Criteria that are beginnings of numbers."""


def zone_named(name: str) -> ZoneInfo:
    """Return a time zone by its name; raises OrderError: there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise OrderError("zone", f"{name!r} is no time zone", "such as Europe/Berlin") from None


def refuse_empty(criteria: msgspec.Struct) -> None:
    """Raise OrderError where a criterion fits everything, as if it were not given.

    Empty texts do, and so do beginnings of numbers without a digit: a plus sign is dropped before numbers are compared.
    """
    for name, value in asdict(criteria).items():
        if value == "":
            raise OrderError(name, "is empty and chooses nothing")
        if name in _NUMBERS:
            refuse_plus_alone(name, value)


def refuse_plus_alone(name: str, number: str | None) -> None:
    """Raise OrderError where the beginning of a number has no digit."""
    if number is not None and not number.strip("+"):
        raise OrderError(name, "is a plus sign alone and chooses nothing")


def call_id_of(text: str) -> str:
    """Return the beginning of a call id in canonical form; raises OrderError where it can be none."""
    beginning = beginning_of(text)
    if beginning is None:
        raise OrderError("call_id", f"{text!r} is not a call id or the first digits of one")
    return beginning
