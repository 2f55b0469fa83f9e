"""Amounts as vendors write them: with a currency, with the digits of a float, or a word in place of a price."""

import re
from decimal import Context, Decimal
from typing import Final

from vosd.base.iso4217 import CODES
from vosd.base.money import PLACES
from vosd.config.decks.assumptions import Assumptions
from vosd.config.reader.fields import ExpectedError

_CLOSED_WORDS: Final = frozenset(
    {"blocked", "closed", "barred", "suspended", "not available", "not offered", "na", "n/a", "n.a."}
)
"""Words in place of a price that say that calls are not taken. A dash is none: accounting formats write 0 so."""
_DOLLARS: Final = frozenset(
    {
        "USD", "AUD", "BBD", "BMD", "BND", "BSD", "BZD", "CAD", "FJD", "GYD", "HKD", "JMD", "KYD", "LRD", "NAD", "NZD",
        "SBD", "SGD", "TTD", "TWD", "XCD",
    }
)  # fmt: skip
_SYMBOLS: Final = {
    "€": frozenset({"EUR"}),
    "£": frozenset({"GBP", "EGP", "FKP", "GIP", "SHP"}),
    "US$": frozenset({"USD"}),
    "$": _DOLLARS,
    "¥": frozenset({"JPY", "CNY"}),
    "₹": frozenset({"INR"}),
    "₽": frozenset({"RUB"}),
    "₺": frozenset({"TRY"}),
    "₦": frozenset({"NGN"}),
}
_CURRENCY: Final = r"US\$|[€£$¥₹₽₺₦]|[A-Za-z]{3}"
_MARKED: Final = re.compile(rf"(?P<before>{_CURRENCY})?\s*(?P<amount>\+?[\d.,]+)\s*(?P<after>{_CURRENCY})?\Z", re.ASCII)
_MANY_DIGITS: Final = re.compile(rf"[+-]?\d{{1,12}}\.\d{{{PLACES + 1},}}\Z", re.ASCII)
_FLOAT_DIGITS: Final = 15
"""Significant digits that a spreadsheet shows; behind them are those of its binary fractions."""
_NAMED_CURRENCY: Final = re.compile(r"(?<![A-Za-z])([A-Z]{3})(?![A-Za-z])|(US\$|[€£$¥₹₽₺₦])")


def is_closed_word(text: str) -> bool:
    """Return whether a text in place of a price says that calls to the prefix are not taken."""
    return " ".join(text.lower().split()) in _CLOSED_WORDS


def shown_digits(amount: str, column: str, assumed: Assumptions) -> str:
    """Return the digits that a spreadsheet shows for a float: 0.0079 for 0.0079000000000000008."""
    if not _MANY_DIGITS.match(amount):
        return amount
    exact = Decimal(amount)
    shown = Context(prec=_FLOAT_DIGITS).plus(exact).normalize()
    exponent = shown.as_tuple().exponent
    if shown == exact or not isinstance(exponent, int) or exponent < -PLACES:
        return amount
    text = f"{shown:f}"
    assumed.note("float", f"{text}, the {_FLOAT_DIGITS} digits that a spreadsheet shows", column, amount)
    return text


class DeckAmounts:
    """Reads amounts of one sheet as digits with a point; values that could be another amount are refused."""

    def __init__(self, mark: str, currency: str | None, assumed: Assumptions) -> None:
        """``mark`` is the decimal mark, ``currency`` that of the rate group; None = a cell with one is refused."""
        self._mark = mark
        self._currency = currency
        self._assumed = assumed

    def read(self, text: str, column: str) -> str:
        """Return an amount with a point; a text that is none is returned as it is, for the message of its field.

        Raises:
            ExpectedError: it is of another currency.
            ValueError: it has a point where the decimal mark is the comma.
        """
        match = _MARKED.match(text)
        if match is None:
            return text
        amount = match["amount"]
        for written in filter(None, (match["before"], match["after"])):
            if not self.is_ours(written):
                if self._currency is None:
                    return text
                raise ExpectedError(f"an amount in {self._currency}, the currency of the rate group")
            self._assumed.note(written, f"an amount in {self._currency}", column, text)
        if self._mark != ".":
            if "." in amount:
                raise ValueError
            amount = amount.replace(self._mark, ".")
        return shown_digits(amount, column, self._assumed)

    def is_ours(self, written: str) -> bool:
        """Return whether a symbol or code may stand for the currency of the rate group."""
        return self._currency in _SYMBOLS.get(written, frozenset({written.upper()}))

    def check_header(self, header: str) -> None:
        """Compare the currency in the header of the prices, as in ``Rate (EUR)``, with that of the rate group.

        Raises:
            ExpectedError: it is another one.
        """
        if self._currency is None:
            return
        for code, symbol in _NAMED_CURRENCY.findall(header):
            if (symbol or code in CODES) and not self.is_ours(code or symbol):
                raise ExpectedError(f"prices in {self._currency}, the currency of the rate group")
