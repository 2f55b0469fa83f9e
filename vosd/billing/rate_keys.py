"""Prefixes of rates as whole numbers that sort as the prefixes do: four bits for each digit.

The bits of a digit are its value and one, zero stands for "no digit". So a prefix sorts directly before the longer ones
that begin with it, and the number of equal leading bits tells how many digits two numbers share.
"""

from functools import lru_cache
from typing import Final

from vosd.base.prefixes import ANY

DIGITS: Final = 16
"""Digits of one key of 64 bits; a longer prefix has a second key for the digits behind these."""
DIGITS_MAX: Final = 2 * DIGITS
"""Digits of the longest prefix."""

_OTHER: Final = ord("f")
"""Stands for every character that is no digit, in a called number: no prefix of a rate has one."""
HEX_OF_CHARACTER: Final = bytes(
    ord("123456789a"[code - ord("0")]) if ord("0") <= code <= ord("9") else _OTHER for code in range(256)
)
"""For ``bytes.translate``."""
_DIGIT_OF_HEX: Final = str.maketrans("123456789a", "0123456789")


@lru_cache(maxsize=256)
def keys_of(number: str) -> tuple[int, int]:
    """Return the key of the first 16 digits of a number, and that of the 16 behind them.

    A call looks its number up in many tables, so the latest are remembered.
    """
    size = len(number)
    written = number.encode("ascii", "replace").translate(HEX_OF_CHARACTER)
    if size <= DIGITS:
        return (int(written, 16) << 4 * (DIGITS - size) if size else 0), 0
    return int(written[:DIGITS], 16), int(written[DIGITS:DIGITS_MAX].ljust(DIGITS, b"0"), 16)


def prefix_of(first: int, second: int, length: int) -> str:
    """Return the prefix of these keys; ``*`` where it has no digits."""
    written = f"{first:016x}" if length <= DIGITS else f"{first:016x}{second:016x}"
    return written[:length].translate(_DIGIT_OF_HEX) or ANY
