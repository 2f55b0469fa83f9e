"""Codes of a sheet: ``7000-7009;7011`` as single prefixes."""

import re
from typing import Final

from vosd.base.prefixes import ANY
from vosd.billing.rate_layout import DIGITS_MAX
from vosd.config.reader.fields import ExpectedError

RANGE_MAX: Final = 10_000
"""Most prefixes of one range."""
_SEPARATORS: Final = re.compile(r"(?<!\s)\s*[;,\n][;,\s]*")  # each run of blanks is looked at once
_BLANK_INSIDE: Final = re.compile(r"\d\s+\d")
_CODE: Final = re.compile(r"\d+\Z", re.ASCII)
_EXPECTED: Final = f"codes of up to {DIGITS_MAX} digits and ranges of them, such as 7000-7009;7011, or * for any number"


def prefixes_of(text: str, ahead: str = "") -> list[str]:
    """Return the prefixes of a cell, each with the digits of ``ahead`` before it; a leading plus is left out.

    Raises:
        ExpectedError: it is something else.
    """
    if not ahead and (text == ANY or (text.isdigit() and text.isascii() and len(text) <= DIGITS_MAX)):
        return [text]
    ahead = ahead.removeprefix("+")
    if ahead and not (ahead.isdigit() and ahead.isascii()):
        raise ExpectedError(_EXPECTED)
    found = []
    for part in _SEPARATORS.split(text.replace(" - ", "-").strip()) if text else [""]:
        for code in _codes(part if ahead else part.removeprefix("+")):
            if not 1 <= len(ahead + code) <= DIGITS_MAX:
                raise ExpectedError(_EXPECTED)
            found.append(ahead + code)
    return found


def _codes(part: str) -> list[str]:
    first, dash, last = part.partition("-")
    if not dash:
        if _BLANK_INSIDE.search(part):  # 1 264 may be 1264, or 1 and 264
            raise ExpectedError("codes without a blank inside, and ; between several, such as 7000-7009;7011")
        if part and not _CODE.match(part):
            raise ExpectedError(_EXPECTED)
        return [part]
    if not (_CODE.match(first) and _CODE.match(last)) or len(first) > DIGITS_MAX or len(last) > DIGITS_MAX:
        raise ExpectedError(_EXPECTED)
    if len(first) != len(last) or int(first) > int(last):
        raise ExpectedError("ranges whose ends have the same number of digits, the lower one first")
    if int(last) - int(first) >= RANGE_MAX:
        raise ExpectedError(f"ranges of at most {RANGE_MAX} codes")
    return [f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1)]
