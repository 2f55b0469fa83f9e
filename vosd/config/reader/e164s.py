"""Called numbers and digits as VOS3000's parameters have them: ``1800*,911,112``."""

import re
from collections.abc import Mapping
from typing import Final

from vosd.config.reader.fields import ExpectedError, FromText, KeyProblemError, text_where

_PATTERN: Final = re.compile(r"\d{1,32}\*?\Z", re.ASCII)
_WITH_MEMO: Final = re.compile(r"(\d{1,32}\*?)\s*(?:\(([^()]{0,200})\))?\s*(?:,\s*(?=\d)|\Z)", re.ASCII)
_SHORT: Final = re.compile(r"[0-9]{2,8}\Z")
_SERVICE: Final = re.compile(r"sos(?:\.[a-z0-9](?:[a-z0-9\-]*[a-z0-9])?)*\Z", re.ASCII)
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


def e164s_with_memos() -> FromText:
    """Read the same with a memo in brackets behind each: ``1800* (carrier tests), 911``; pairs of pattern and memo."""

    def read(text: str) -> tuple[tuple[str, str], ...]:
        found: dict[str, str] = {}
        rest = text.strip()
        while rest:
            part = _WITH_MEMO.match(rest)
            if part is None:
                raise ExpectedError(
                    f"{_FORM}; a memo may stand in brackets behind each; {rest.split(',')[0]!r} is none"
                )
            found[part[1]] = (part[2] or "").strip()
            rest = rest[part.end() :]
        return tuple(found.items())

    def write(value: tuple[tuple[str, str], ...]) -> str:
        return ", ".join(f"{pattern} ({memo})" if memo else pattern for pattern, memo in value)

    expected = f"{_FORM}; a memo may stand in brackets behind each"
    return FromText(expected, read, write)


def services_with_numbers() -> FromText:
    """Read the emergency services of RFC 5031 with the number of each."""

    def read(pairs: Mapping[str, object]) -> dict[str, str]:
        found = {}
        for written, number in pairs.items():
            service = written.lower().removeprefix("urn:service:")
            if not _SERVICE.match(service):
                raise KeyProblemError(written, "sos, or a kind of it such as sos.police")
            if not isinstance(number, str) or not _SHORT.match(number):
                raise KeyProblemError(written, "one of emergency_numbers")
            found[service] = number
        return found

    return FromText("services and the number of each, such as {sos: 112, sos.police: 110}", read, kind=dict)


def digits(most: int) -> FromText:
    """Read up to so many digits; an empty text is none."""
    return text_where(lambda text: re.fullmatch(rf"[0-9]{{0,{most}}}", text), f"up to {most} digits, or nothing")


def short_codes() -> FromText:
    """Read one number of a list of short numbers."""
    return text_where(_SHORT.match, "a number of 2 to 8 digits")
