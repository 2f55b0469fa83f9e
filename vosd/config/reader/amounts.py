"""Amounts of money as operators write them: prices, steps, overdrafts, tax rates, currencies."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from vosd.base.money import LIMIT, PLACES, parse_amount
from vosd.config.reader.fields import DECIMAL, FromText, ValueForm, ValueShape, plain, text_where

_CURRENCY: Final = re.compile(r"[A-Z]{3}\Z")
UNLIMITED: Final = "unlimited"
FACTOR_MAX: Final = 1_000
EXCHANGE_PLACES: Final = 12
"""Decimals of an exchange rate: a rial is 0.0000073 dinars."""
EXCHANGE_MAX: Final = 1_000_000_000
_AMOUNT: Final = ValueShape(ValueForm.AMOUNT, "0")


def price() -> FromText:
    """Read a price: not negative, kept exactly as entered."""

    def read(text: str) -> Decimal:
        amount = parse_amount(text)
        if amount < 0:
            raise ValueError
        return amount

    return FromText(f"an amount of 0 or more with at most {PLACES} decimals, such as 0.012", read, shape=_AMOUNT)


def factor_up_to(most: int = FACTOR_MAX) -> FromText:
    """Read what prices are multiplied by."""

    def read(text: str) -> Decimal:
        number = parse_amount(text)
        if not 0 <= number <= most:
            raise ValueError
        return number

    return FromText(f"a number from 0 to {most} with at most {PLACES} decimals, such as 0.5", read, shape=_up_to(most))


def exchange_rate() -> FromText:
    """Read what one unit of a currency is in another one."""

    def read(text: str) -> Decimal:
        match = DECIMAL.match(text)
        if not match or len(match[2] or "") > EXCHANGE_PLACES or not 0 < Decimal(text) <= EXCHANGE_MAX:
            raise ValueError
        return Decimal(text)

    return FromText(f"a number above 0 with at most {EXCHANGE_PLACES} decimals, such as 0.9215", read)


def step() -> FromText:
    """Read the smallest step of a fee."""

    def read(text: str) -> Decimal:
        amount = parse_amount(text)
        if amount <= 0:
            raise ValueError
        return amount

    return FromText(f"an amount above 0 with at most {PLACES} decimals, such as 0.01", read, plain, shape=_AMOUNT)


def overdraft() -> FromText:
    """Read how far calls may go below zero; None = unlimited."""
    return FromText(f"an amount from 0 to {LIMIT}, or {UNLIMITED}", _limit)


def _limit(text: str) -> Decimal | None:
    if text.lower() == UNLIMITED:
        return None
    amount = parse_amount(text)
    if amount < 0:
        raise ValueError
    return amount


def limit_of_each() -> FromText:
    """Read a highest amount for each of several names; None = unlimited."""

    def read(written: Mapping[str, object]) -> dict[str, Decimal | None]:
        if not all(isinstance(amount, str) for amount in written.values()):
            raise ValueError
        return {name: _limit(str(amount)) for name, amount in written.items()}

    return FromText(f"names with 0 to {LIMIT} each, or {UNLIMITED}, such as {{ann: 1000}}", read, kind=dict)


def percent() -> FromText:
    """Read a tax rate in percent."""

    def read(text: str) -> Decimal:
        match = DECIMAL.match(text)
        if not match or len(match[2] or "") > 4 or Decimal(text) > 100:
            raise ValueError
        return Decimal(text)

    return FromText("percent from 0 to 100, with at most 4 decimals", read, shape=_up_to(100, "%"))


def currency_code() -> FromText:
    """Read an ISO 4217 code."""
    return text_where(_CURRENCY.match, "an ISO 4217 code, such as USD")


def _up_to(most: int, unit: str = "") -> ValueShape:
    return ValueShape(ValueForm.AMOUNT, "0", str(most), unit)
