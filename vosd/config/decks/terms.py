"""Terms of a row apart from its code, price and area; a row of which one is not accepted is refused."""

import csv
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, tzinfo
from decimal import Decimal
from enum import Enum
from io import StringIO
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from vosd.billing.deck_rows import BEGINS, CLOSED_WORD, COLUMNS_AHEAD, ENDS, PREFIX, PRICE, REMOVED_WORD
from vosd.config.decks.amounts import DeckAmounts
from vosd.config.decks.assumptions import Assumptions
from vosd.config.decks.columns import CURRENCY, INTERVAL, MEMO, STATUS
from vosd.config.decks.instants import DateForms, instant_reader
from vosd.config.decks.sheet_map import SheetMapKeys, StatusMeaning
from vosd.config.keys.rates import PricePer, RateKeys
from vosd.config.reader.fields import ExpectedError

AREA: Final = "area"
OTHERS: Final = (AREA, *(name for name in RateKeys.by_key() if name not in {*COLUMNS_AHEAD, AREA, MEMO}))
"""The columns behind ``COLUMNS_AHEAD``; the comment is not kept."""
APART: Final = frozenset({PREFIX, PRICE, AREA, MEMO})
"""Columns that are not read here."""
AMOUNTS: Final = frozenset(name for name, each in RateKeys.model_fields.items() if "Decimal" in str(each.annotation))
ANY_PREFIX: Final = {PREFIX: "0", PRICE: "0"}
"""Stands for prefix and price where the other cells of a row are judged."""
_FIRST_RATE: Final = "first_rate"
_FIRST_DURATION: Final = "first_duration"
_TAX: Final = "tax_rate"
_MARKS: Final = {StatusMeaning.CLOSE: CLOSED_WORD, StatusMeaning.REMOVE: REMOVED_WORD, StatusMeaning.KEEP: ""}


class DeckTerms(NamedTuple):
    """Terms of a row apart from prefix, price and area."""

    begins: str
    """ISO 8601 UTC; empty = at once."""
    ends: str
    """Empty = never."""
    closed: str
    """``CLOSED_WORD``, ``REMOVED_WORD`` or nothing."""
    others: str


class TermsReader:
    """Reads the terms of the rows of one sheet."""

    def __init__(
        self,
        price_per: PricePer,
        sheet_map: SheetMapKeys | None,
        effective: str,
        zone: tzinfo | None,
        currency: str | None,
        assumed: Assumptions,
    ) -> None:
        """Take how the sheet is to be read, as ``SheetReader`` does."""
        self.mark = sheet_map.decimal if sheet_map else "."
        self.amounts = DeckAmounts(self.mark, currency, assumed)
        self.constants: Mapping[str, str] = sheet_map.constants if sheet_map else {}
        self.effective = effective
        self._price_per = price_per
        self._assumed = assumed
        self._currency = currency
        self._statuses = sheet_map.status.meanings if sheet_map else {}
        zone = (sheet_map and sheet_map.timezone) or zone or UTC
        date_format = sheet_map.date_format if sheet_map else None
        self.read_window: Mapping[str, Callable[[str], str]] = {
            BEGINS: instant_reader(date_format, zone),
            ENDS: instant_reader(date_format, zone, is_end=True),
        }
        self.date_forms: Mapping[str, DateForms] = {name: DateForms(date_format) for name in (BEGINS, ENDS)}

    def read(self, cells: Mapping[str, str]) -> DeckTerms:
        """Return the terms of a row by its cells.

        Raises:
            ValueError: something is not accepted.
        """
        closed = self.status(cells.get(STATUS, ""))
        self.check_currency(cells.get(CURRENCY, ""))
        values = self._values(cells)
        window = {name: self.read_window[name](values.pop(name)) if name in values else "" for name in (BEGINS, ENDS)}
        try:
            row = RateKeys.model_validate({**values, **ANY_PREFIX})
        except ValidationError as error:
            raise ValueError from error
        if row.interval is not None and self._price_per is PricePer.CYCLE:
            raise ValueError
        begins, ends = max(window[BEGINS], self.effective), window[ENDS]
        if ends and ends <= begins:
            raise ValueError
        for name, forms in self.date_forms.items():
            forms.check(cells.get(name, ""))
        others = joined(["", *(_text(name, values.get(name, ""), getattr(row, name)) for name in OTHERS[1:])])
        return DeckTerms(begins, ends, closed or (CLOSED_WORD if row.locked else ""), others)

    def status(self, text: str) -> str:
        """Return the mark of a row by its status; empty = it is a rate as any other.

        Raises:
            ExpectedError: the map does not say what the status means.
        """
        if not text:
            return ""
        meaning = self._statuses.get(text.lower())
        if meaning is None:
            raise ExpectedError(f"one of {', '.join(self._statuses)}, or a meaning of this word in status of the map")
        return _MARKS[meaning]

    def check_currency(self, text: str) -> None:
        """Compare the currency of a row with that of the rate group; raises ExpectedError where it is another one."""
        if text and self._currency is not None and not self.amounts.is_ours(text):
            raise ExpectedError(f"{self._currency}, the currency of the rate group")

    def without_unused(self, values: dict[str, str]) -> dict[str, str]:
        """Return values without intervals and first periods of no duration: both stand for nothing."""
        if values.get(INTERVAL, "").replace(" ", "") == "0/0":
            del values[INTERVAL]
        first_rate = values.get(_FIRST_RATE, "")
        if values.get(_FIRST_DURATION, "").strip("0") == "" and (_FIRST_DURATION in values or is_zero(first_rate)):
            if first_rate and not is_zero(first_rate):
                self._assumed.note("off", "no first period, for its duration is 0", _FIRST_RATE, first_rate)
            values.pop(_FIRST_RATE, None)
            values.pop(_FIRST_DURATION, None)
        return values

    def _values(self, cells: Mapping[str, str]) -> dict[str, str]:
        """Return the cells of a row that are not empty, and the constants in place of those that are."""
        known = {name: text for name, text in cells.items() if text and name not in {*APART, STATUS, CURRENCY}}
        values = {**{name: text for name, text in self.constants.items() if name not in APART}, **known}
        return self.without_unused(
            {name: self.amount(text, name) if name in AMOUNTS else text for name, text in values.items()}
        )

    def amount(self, text: str, name: str) -> str:
        """Return an amount as ``DeckAmounts.read`` does, a percentage without its sign."""
        return self.amounts.read(text.removesuffix("%").rstrip() if name == _TAX else text, name)


def is_zero(text: str) -> bool:
    """Return whether a text is an amount of nothing."""
    return bool(text) and not text.strip("0.,")


def joined(cells: Sequence[str]) -> str:
    """Return cells as they stand in a line."""
    text = StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return "" if cells == [""] else text.getvalue()


def _text(name: str, written: str, value: Any) -> str:
    """Return a value as it stands in a line: empty for the default, with the digits that were written."""
    if value == RateKeys.model_fields[name].default:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, int):
        return str(value)
    return written.removeprefix("+") if isinstance(value, Decimal) else written
