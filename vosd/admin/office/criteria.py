"""Checks of the criteria by which an order chooses calls."""

import msgspec
from msgspec.structs import asdict

from vosd.admin.office.errors import OrderError
from vosd.base.ids import beginning_of


def refuse_empty(criteria: msgspec.Struct) -> None:
    """Raise OrderError where a criterion is an empty text: it would fit every call, as if it were not given."""
    for name, value in asdict(criteria).items():
        if value == "":
            raise OrderError(name, "is empty and chooses no calls")


def call_id_of(text: str) -> str:
    """Return the beginning of a call id in canonical form; raises OrderError where it can be none."""
    beginning = beginning_of(text)
    if beginning is None:
        raise OrderError("call_id", f"{text!r} is not a call id or the first digits of one")
    return beginning
