"""Masking of the telephone numbers in the record of an old call (ADR 83): pure.

A number keeps the first digits, by which it was rated and routed, and loses at least the last four. What is masked
already stays as it is, so that a repeat changes nothing.
"""

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from vosd.cdr.kinds import Masking

MASK: Final = "x"
KEPT: Final = 4
"""Digits that are kept of a number of which no rate needs more: every country code has fewer."""
MASKED: Final = 4
"""Fewest digits that are masked, whatever a rate needs."""
_LONG: Final = 6
"""From so many digits on a number is masked wherever its last digits stand in a text, whatever is before them."""
_LAST: Final = 8
"""Number of last digits: another notation of the number, such as the national one, ends in them, too."""
_WITHHELD: Final = "anonymous"
"""In place of the number of a caller who withholds it."""
_PHONE: Final = re.compile(r"\+?[0-9*#]+\Z")
"""Name of a phone: its number, which need not be one that the call shows or was made to."""
_PHONE_OR_MASKED: Final = re.compile(rf"\+?[0-9*#]*{MASK}*\Z")
"""Name of a phone whose last digits, or all of them, may be masked."""
_NAMED_PHONE: Final = re.compile(r'"routing_gateway":"(\+?[0-9*#]+)"')
"""Phone in a JSON document, such as one that was left out."""


def phones_in(document: str) -> list[str]:
    """Return the phones that a JSON document names as gateways, as msgspec writes it."""
    return _NAMED_PHONE.findall(document)


def without_phone(name: str) -> str:
    """Return the name of a gateway, and the same for all phones, whether their numbers are masked or not."""
    return MASK if name and _PHONE_OR_MASKED.match(name) else name


def masked(number: str, prefixes: Iterable[str] = ()) -> str:
    """Return a number that keeps its first digits: of these prefixes the longest that it begins with, at least four."""
    plus = number.startswith("+")
    body = number[plus:]
    if not body.strip(MASK) or body.endswith(MASK * MASKED) or number == _WITHHELD:
        return number
    wanted = max((len(prefix) for prefix in prefixes if body.startswith(prefix)), default=0)
    kept = max(0, min(max(wanted, KEPT), len(body) - MASKED))
    return number[: plus + kept] + MASK * (len(body) - kept)


class Mask:
    """The mask for the texts of one call."""

    def __init__(
        self, numbers: Iterable[str | None], prefixes: Iterable[str | None], gateways: Iterable[str | None] = ()
    ) -> None:
        """Take the numbers of the call in all their forms, the prefixes of its rates, and the names of its gateways.

        Of ``gateways`` those of digits alone are phones; trunks that are named so are left out.
        """
        self._prefixes = tuple(filter(None, prefixes))
        phones = filter(_PHONE.match, filter(None, gateways))
        self._by_number = {each: self.number(each) for each in (*numbers, *phones) if each}
        searched = sorted(
            (each for each in self._by_number.items() if each[0] != each[1]), key=lambda each: -len(each[0])
        )
        patterns = [_pattern(number) for number, _ in searched]
        self._search = re.compile("|".join(filter(None, patterns))) if any(patterns) else None

    def column(self, how: Masking, value: str) -> str:
        """Return the value of a column that declares how it is masked."""
        match how:
            case Masking.NUMBER:
                return self.number(value)
            case Masking.NAME:
                return self.name(value)
            case Masking.TEXT:
                return self.text(value)
            case Masking.DOCUMENT:
                return self.document(value)
            case Masking.NONE:
                return value

    def number(self, number: str) -> str:
        """Return a number of the call, masked."""
        return masked(number, self._prefixes)

    def name(self, name: str) -> str:
        """Return the name of a gateway: a phone's is its number."""
        return self._by_number.get(name) or self.text(name)

    def text(self, text: str) -> str:
        """Return a text in which no number of the call is left."""
        return text if self._search is None else self._search.sub(_hidden, text)

    def document(self, document: str) -> str:
        """Return a JSON document in whose texts no number of the call is left; it is the same if there is none."""
        if self._search is None or self._search.search(document) is None:
            return document
        try:
            return msgspec.json.encode(self._in(msgspec.json.decode(document))).decode()
        except msgspec.DecodeError:
            return self.text(document)  # a damaged one must not keep a number

    def _in(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {name: self._in(each) for name, each in value.items()}
        return [self._in(each) for each in value] if isinstance(value, list) else value


def _pattern(number: str) -> str:
    """Return what finds a number in a text; empty for one of three characters, which would be found everywhere."""
    digits = number.lstrip("+")
    if digits.isdecimal() and len(digits) >= _LONG:
        return re.escape(digits[-_LAST:])
    return rf"(?<!\w){re.escape(number)}(?!\w)" if len(number) >= MASKED else ""


def _hidden(found: re.Match[str]) -> str:
    return MASK * len(found[0])
