"""A sheet for people has the fields of what it shows, in the form that its types name."""

from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple

import msgspec
import pytest

from vosd.base.money import AmountText
from vosd.cdr.shown import shown_as


class Kind(Enum):
    """A word."""

    PAYMENT = "payment"


class Entry(NamedTuple):
    """A struct that is shown."""

    id: int = 7
    amount: Decimal = Decimal("1.5")
    made_at: int | None = 1_000
    kind: Kind = Kind.PAYMENT
    state: Kind = Kind.PAYMENT
    names: tuple[str, ...] = ("a",)


class EntrySheet(msgspec.Struct, frozen=True):
    """The struct for people that is made of it."""

    id: int
    amount: AmountText
    made_at: str | None
    kind: str
    state: Kind
    names: tuple[str, ...]
    own: bool = False


@pytest.mark.parametrize(("made_at", "shown"), [(1_000, "1970-01-01T00:00:01.000Z"), (None, None)])
def test_amounts_times_and_words_are_text_where_the_sheet_has_text(made_at: Any, shown: Any) -> None:
    expected = EntrySheet(7, "1.50", shown, "payment", Kind.PAYMENT, ("a",))
    assert shown_as(EntrySheet, Entry(made_at=made_at)) == expected


def test_what_is_given_wins_over_what_is_shown() -> None:
    found = shown_as(EntrySheet, Entry(), id=8, amount="unlimited", own=True)
    assert (found.id, found.amount, found.own) == (8, "unlimited", True)


def test_a_field_that_neither_has_is_an_error() -> None:
    with pytest.raises(TypeError, match="amount"):
        shown_as(EntrySheet, Kind.PAYMENT, id=1)
