"""Number portability in URIs: the parameters ``rn`` and ``npdi`` of a telephone number (RFC 4694)."""

import re
from collections.abc import Set
from typing import Final, NamedTuple

from vosd.base.number import SEPARATORS
from vosd.sip.wire.grammar import parameters
from vosd.sip.wire.uri import unescape

_NUMBER: Final = re.compile(r"\+?[0-9A-Fa-f*#]{1,32}\Z")
_NOTHING: Final[dict[str, str | None]] = {}


class Portability(NamedTuple):
    """Parameters of a URI about the portability of its number."""

    routing_number: str = ""
    """The number by which the call is routed; empty = none, or one that cannot be used."""
    is_looked_up: bool = False
    """Whether the number was looked up already (``npdi``)."""
    is_unusable: bool = False
    """Whether there is a routing number that cannot be used."""


def portability_of(uri: str) -> Portability:
    """Read a ``sip:``, ``sips:`` or ``tel:`` URI."""
    found = number_parameters(uri, {"rn", "npdi"})
    text = found.get("rn") or ""
    number = routing_number_in(text)
    return Portability(number, "npdi" in found, is_unusable=bool(text) and not number)


def number_parameters(uri: str, wanted: Set[str]) -> dict[str, str | None]:
    """Return the parameters of the number in a URI, by lower-case name.

    They belong to the user part. Peers that write the ``wanted`` ones behind the host are understood, too.
    """
    rest = uri.partition(":")[2].partition("?")[0]
    user, at, host = rest.rpartition("@")
    own = _parameters(user if at else rest)
    return own if own.keys() & wanted or not at else _parameters(host)


def routing_number_in(text: str) -> str:
    """Return a routing number without visual separators; empty where the text is none."""
    number = unescape(text).strip()
    if " " in number:
        return ""  # more than one number, or a sentence
    number = number.translate(SEPARATORS)
    return number if _NUMBER.match(number) else ""


def _parameters(text: str) -> dict[str, str | None]:
    _, semicolon, rest = text.partition(";")
    return parameters(f";{rest}") if semicolon else _NOTHING
