"""Called numbers and digits as VOS3000's parameters have them: ``1800*,911,112``."""

import re
from typing import Final

from vosd.config.reader.fields import ExpectedError, FromText

_PATTERN: Final = re.compile(r"\d{1,32}\*?\Z", re.ASCII)
_FORM: Final = "numbers with commas between, each of digits alone, or of digits and one * at its end"


def e164s() -> FromText:
    """Read a list of exact numbers and prefixes; blanks around commas are left out, an empty text is an empty list."""

    def read(text: str) -> tuple[str, ...]:
        patterns = tuple(part.strip() for part in text.split(","))
        if patterns == ("",):
            return ()
        wrong = next((each for each in patterns if not _PATTERN.match(each)), None)
        if wrong is not None:
            raise ExpectedError(f"{_FORM}; {wrong!r} is none")
        return tuple(dict.fromkeys(patterns))

    return FromText(_FORM, read, ",".join)


def digits(most: int) -> FromText:
    """Read up to so many digits; an empty text is none."""

    def read(text: str) -> str:
        if not re.fullmatch(rf"[0-9]{{0,{most}}}", text):
            raise ValueError
        return text

    return FromText(f"up to {most} digits, or nothing", read)


def short_codes() -> FromText:
    """Read one number of a list of short numbers."""

    def read(text: str) -> str:
        if not re.fullmatch(r"[0-9]{2,8}", text):
            raise ValueError
        return text

    return FromText("a number of 2 to 8 digits", read)
