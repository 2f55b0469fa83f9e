"""Telephone numbers and their prefixes as operators write them."""

import re
from typing import Final

from vosd.config.reader.fields import FromText, text_where

_DIGITS: Final = re.compile(r"\d{1,32}\Z", re.ASCII)
_WITH_WILDCARDS: Final = re.compile(r"(?=\?*\d)[\d?]{1,32}\Z", re.ASCII)
"""At least one digit: question marks alone would be a test of the length."""
_WILD_MEANT: Final = "digits without + or blanks (? for any digit), or * for any number"
_TECH_PREFIX: Final = re.compile(r"[0-9*#]{1,32}\Z")
_TELEPHONE: Final = re.compile(r"\+?[0-9*#]{1,32}\Z")

FROM_RATES: Final = "from_rates"
"""Written instead of prefixes: those of the buy rates."""


def rate_prefix() -> FromText:
    """Read the prefix of a rate."""
    return FromText("digits without + or blanks, or * for any number", _prefix)


def route_prefix() -> FromText:
    """Read a called prefix of a routing gateway, or the word that takes them from its buy rates."""

    def read(text: str) -> str:
        return text if text == FROM_RATES else _wild_prefix(text)

    return FromText(f"{_WILD_MEANT}, or {FROM_RATES}", read)


def wild_prefix() -> FromText:
    """Read a called prefix in which a digit may be left open."""
    return FromText(_WILD_MEANT, _wild_prefix)


def plain_prefix() -> FromText:
    """Read a called prefix."""
    return text_where(_DIGITS.match, "digits without + or blanks")


def dialled_prefix() -> FromText:
    """Read what a customer dials before the number to choose a gateway."""
    return text_where(_TECH_PREFIX.match, "1 to 32 characters of 0-9, * and #")


def telephone_number() -> FromText:
    """Read the number of a telephone."""
    return text_where(_TELEPHONE.match, "a number of 1 to 32 characters of 0-9, * and #, with a leading + or without")


def _prefix(text: str) -> str:
    if text != "*" and not _DIGITS.match(text):
        raise ValueError
    return text


def _wild_prefix(text: str) -> str:
    if text != "*" and not _WITH_WILDCARDS.match(text):
        raise ValueError
    return text
