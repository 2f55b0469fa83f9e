"""Telephone numbers as dialled, and in the form for comparison."""

import re
from typing import Final

SEPARATORS: Final = str.maketrans("", "", "-.() ")
"""Removes the visual separators of telephone numbers (RFC 3966 section 5.1.1), and the blanks of E.123."""
EMERGENCY_SERVICE: Final = "urn:service:sos"
"""Beginning of the URNs of emergency services (RFC 5031), which stand in place of numbers."""
NUMBER: Final = re.compile(r"[0-9*#+]+\Z")
"""Telephone number without visual separators; all other text is a name."""
_SIGNS: Final = re.compile(r"[^0-9*#]")
_DIALLED: Final = re.compile(r"(?:[0-9]+[*#]*|[*#][0-9*#]*)\Z")
"""Digits, perhaps with ``*`` and ``#`` at their end; or a code that begins with one of these."""


def for_matching(number: str) -> str:
    """Return the number for prefix matching: one leading ``+`` removed, nothing else changed."""
    return number.removeprefix("+")


def without_separators(text: str) -> str:
    """Return a telephone number without visual separators, which mean nothing.

    Text with anything but digits, ``*``, ``#`` and ``+`` beside them is a name and is returned as it is. A plus sign
    may stand anywhere, since there may be one behind a tech prefix.
    """
    number = text.translate(SEPARATORS)
    return number if number != text and NUMBER.match(number) else text


def without_end_signs(number: str) -> str:
    """Return a number in digits without ``*`` and ``#`` behind it: peers call one number with them and without.

    A code that begins with one of these, and a name, are returned as they are.
    """
    digits = number.rstrip("*#")
    return digits if digits.isdecimal() else number


def is_name(text: str) -> bool:
    """Return whether the first letter or digit of a text is a letter: no prefix of digits fits it."""
    return next(filter(str.isalnum, text), "0").isalpha()


def read_by_peers(text: str) -> str:
    """Return the number that a peer may read in text without plus sign; text that is no name has no other signs then.

    ``1,900`` is 1900, and ``44207F`` is 44207.
    """
    return text if is_name(text) else _SIGNS.sub("", text)


def is_unambiguous(number: str) -> bool:
    """Return whether text without leading ``+`` is a name, or a number that every switch reads alike.

    A peer may remove all other signs: to it ``1,900``, ``1*900`` and ``1+900`` are 1900, of which prefixes see a 1.
    """
    return bool(_DIALLED.match(number)) or is_name(number)
