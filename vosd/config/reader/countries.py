"""Countries, and the names of programs that telephones send."""

from typing import Annotated, Final

from pydantic import BeforeValidator

from vosd.base.iso3166 import CODES
from vosd.config.reader.fields import ExpectedError, FromText, one_or_many

_MEANT: Final = {"UK": "GB", "EL": "GR"}
"""Codes that people write for others."""
_AGENT_CHARACTERS: Final = range(2, 65)


def country() -> FromText:
    """Read the code of a country, in any case."""

    def read(text: str) -> str:
        code = text.upper()
        if code in _MEANT:
            raise ExpectedError(f"a country by ISO 3166: did you mean {_MEANT[code]}?")
        if code not in CODES:
            raise ValueError
        return code

    return FromText("a country by the two letters of ISO 3166, such as DE", read)


Countries = Annotated[frozenset[Annotated[str, country()]], BeforeValidator(one_or_many)]
"""Value of a key with countries, one or a list."""


def part_of_agent() -> FromText:
    """Read a part of a User-Agent, and return it in lower case."""

    def read(text: str) -> str:
        if len(text) not in _AGENT_CHARACTERS or not text.isprintable():
            raise ValueError
        return text.lower()

    return FromText("2 to 64 printable characters", read)
