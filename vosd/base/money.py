"""Amounts of money: ``Decimal`` with at most eight places, never float.

An amount is a plain ``Decimal``; this module parses, rounds and formats it.
"""

import re
from decimal import ROUND_DOWN, ROUND_HALF_UP, ROUND_UP, Context, Decimal
from enum import Enum
from typing import Annotated, Final

import msgspec

PLACES: Final = 8
ZERO: Final = Decimal(0)
QUANTUM: Final = Decimal("0.00000001")
_SHOWN: Final = Decimal("0.000001")
LIMIT: Final = Decimal(999999999999)  # DECIMAL(20,8) holds twelve digits before the point

EXACT: Final = Context(prec=60)
"""Enough precision that a rate divided by sixty and then rounded has the digits of the exact value."""

_AMOUNT: Final = re.compile(r"[+-]?\d{1,12}(\.\d{1,8})?\Z", re.ASCII)
_WITH_COMMA: Final = re.compile(r"[+-]?(\d+|[1-9]\d{0,2}(\.\d{3})+)(,\d+)?\Z", re.ASCII)


AmountText = Annotated[str, msgspec.Meta(extra={"is_amount": True})]
"""Type of fields with an amount, a price or a percentage as text; some have words such as ``unlimited`` instead."""


class Rounding(Enum):
    """A way to round a charge to its unit."""

    HALF_UP = "half_up"
    UP = "up"
    DOWN = "down"


ROUNDING_MODE: Final = {Rounding.HALF_UP: ROUND_HALF_UP, Rounding.UP: ROUND_UP, Rounding.DOWN: ROUND_DOWN}


def parse_amount(text: str) -> Decimal:
    """Parse an amount: digits, an optional sign and point, at most eight places.

    Raises:
        ValueError: for an exponent, a separator, more than eight places or more than twelve digits.
    """
    if not _AMOUNT.match(text):
        raise ValueError(f"{text!r} is not an amount: at most 12 digits, then at most 8 decimals, such as 10.50")
    return Decimal(text)


def comma_to_point(text: str) -> str:
    """Rewrite an amount with a decimal comma for ``parse_amount``: 1234.50 for 1.234,50.

    Raises:
        ValueError: a point does not separate thousands. Without the check 12.50 would be 1250.
    """
    if not _WITH_COMMA.match(text):
        raise ValueError(f"{text!r} is not an amount with a decimal comma, such as 1.234,50 or 1234,50")
    return text.replace(".", "").replace(",", ".")


def round_to_unit(amount: Decimal, unit: Decimal, rounding: Rounding) -> Decimal:
    """Round ``amount`` to a whole multiple of ``unit`` (any positive step, such as 0.01 or 0.05)."""
    steps = EXACT.divide(amount, unit).quantize(Decimal(1), rounding=ROUNDING_MODE[rounding], context=EXACT)
    return EXACT.multiply(steps, unit)


def in_places(amount: Decimal) -> Decimal:
    """Return an amount with at most the eight places of a column, half up where it has more."""
    rounded = amount.quantize(QUANTUM, ROUND_HALF_UP, EXACT)
    return amount if amount == rounded else rounded


def has_more_decimals(amount: Decimal, places: int) -> bool:
    """Return whether an amount is no whole number of the smallest steps of so many decimals."""
    return amount != amount.quantize(unit_of(places), context=EXACT)


def unit_of(places: int) -> Decimal:
    """Return the smallest step of an amount with so many decimals."""
    return Decimal(1).scaleb(-places)


def format_price(price: Decimal) -> str:
    """Format a price that was computed from a rounded charge: to six places, as its other digits say nothing."""
    return format_amount(price.quantize(_SHOWN, ROUND_HALF_UP, EXACT))


def format_price_in_full(price: Decimal) -> str:
    """Format a price as ``format_amount`` does, but with every digit beyond eight places that a multiplier gave it.

    A charge could not be computed again without them.
    """
    exact = in_places(price) == price
    return format_amount(price) if exact else format(price, "f").rstrip("0")


def format_amount(amount: Decimal) -> str:
    """Format an amount for JSON and CSV: two to eight places, zero as ``0.00``."""
    text = str(amount)
    if "E" in text:  # a small amount, or zero with many places
        text = format(amount, "f")
    whole, _, fraction = text.partition(".")
    if len(fraction) > PLACES:
        whole, _, fraction = format(amount.quantize(QUANTUM, context=EXACT), "f").partition(".")
    written = f"{whole}.{fraction.rstrip('0').ljust(2, '0')}"
    return "0.00" if written == "-0.00" else written
