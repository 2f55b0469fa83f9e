"""TNAuthList (RFC 8226 section 9): the numbers that a certificate may sign calls of."""

from typing import Final

import msgspec

from vosd.stir.der import IA5, INTEGER, SEQUENCE, elements, only
from vosd.stir.errors import UnsupportedCredentialError

OID: Final = "1.3.6.1.5.5.7.1.26"
_SPC, _RANGE, _ONE = 0xA0, 0xA1, 0xA2
_ENTRIES_MAX: Final = 10_000


class NumberRange(msgspec.Struct, frozen=True):
    """Numbers from ``first`` on."""

    first: str
    count: int = 1

    def covers(self, number: str) -> bool:
        """Return whether a number in digits is one of the range."""
        if len(number) != len(self.first):
            return False
        return 0 <= int(number) - int(self.first) < self.count


class TnAuthority(msgspec.Struct, frozen=True):
    """The content of a TNAuthList."""

    providers: tuple[str, ...] = ()
    """Codes of service providers, which stand for all of their numbers."""
    ranges: tuple[NumberRange, ...] = ()

    def covers(self, number: str) -> bool:
        """Return whether it may sign for a number; which numbers a provider has is not known here."""
        return bool(self.providers) or any(each.covers(number) for each in self.ranges)


def authority_of(der: bytes) -> TnAuthority:
    """Return the content of the extension; raises UnsupportedCredentialError where it is malformed."""
    try:
        return _list(der)
    except (ValueError, IndexError):
        raise UnsupportedCredentialError("the TNAuthList of the certificate is malformed") from None


def _list(der: bytes) -> TnAuthority:
    providers: list[str] = []
    ranges: list[NumberRange] = []
    for tag, inner in elements(only(der, SEQUENCE)):
        if len(providers) + len(ranges) >= _ENTRIES_MAX:
            raise ValueError("too many entries")
        if tag == _SPC:
            providers.append(only(inner, IA5).decode("ascii"))
        elif tag == _ONE:
            ranges.append(NumberRange(_number(only(inner, IA5))))
        elif tag == _RANGE:
            (first_tag, first), (count_tag, count), *_ = elements(only(inner, SEQUENCE))
            if (first_tag, count_tag) != (IA5, INTEGER):
                raise ValueError("no range")
            ranges.append(NumberRange(_number(first), int.from_bytes(count, signed=True)))
        else:
            raise ValueError("an unknown kind of entry")
    if not (providers or ranges):
        raise ValueError("no entry")
    return TnAuthority(tuple(providers), tuple(ranges))


def _number(text: bytes) -> str:
    number = text.decode("ascii").removeprefix("+")
    if not number.isdigit() or len(number) > 15:  # ``*`` and ``#`` are in no number that is signed
        raise ValueError("no number")
    return number
