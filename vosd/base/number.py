"""Telephone numbers as dialled, and in the form for comparison."""

import re
from typing import Final

SEPARATORS: Final = str.maketrans("", "", "-.()")
"""Removes the visual separators of telephone numbers (RFC 3966 section 5.1.1)."""
EMERGENCY_SERVICE: Final = "urn:service:sos"
"""Beginning of the URNs of emergency services (RFC 5031), which stand in place of numbers."""
NUMBER: Final = re.compile(r"[0-9*#+]+\Z")
"""Telephone number without visual separators; all other text is a name."""


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
