"""Extensions of signers' certificates: numbers that one may sign calls of, and claims that its tokens may have.

TNAuthList (RFC 8226 section 9) and the constraints of claims (RFC 8226 section 8, RFC 9118), in DER (X.690).
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from vosd.base.undecodable import UNDECODABLE
from vosd.stir.errors import InvalidIdentityError, UnsupportedCredentialError

AUTHORITY_OID: Final = "1.3.6.1.5.5.7.1.26"
_SPC, _RANGE, _ONE = 0xA0, 0xA1, 0xA2
_ENTRIES_MAX: Final = 10_000
SEQUENCE: Final = 0x30
IA5: Final = 0x16
UTF8: Final = 0x0C
INTEGER: Final = 0x02
CONSTRAINT_OIDS: Final = ("1.3.6.1.5.5.7.1.27", "1.3.6.1.5.5.7.1.33")
"""JWTClaimConstraints, and EnhancedJWTClaimConstraints, which has ``excluded``, too."""
_INCLUDED, _PERMITTED, _EXCLUDED = 0xA0, 0xA1, 0xA2
_ALWAYS: Final = frozenset({"iat", "orig", "dest"})
"""Claims of every token."""
_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


class ClaimConstraints(msgspec.Struct, frozen=True):
    """Claims that a certificate allows in the tokens of its signer."""

    included: tuple[str, ...] = ()
    """Claims that a token must have."""
    permitted: tuple[tuple[str, frozenset[str]], ...] = ()
    """Claims with their values, of which a token that has the claim must have one."""
    excluded: tuple[str, ...] = ()
    """Claims that a token must not have."""

    def check(self, claims: bytes) -> None:
        """Check the claims of a token, in JSON.

        Raises:
            InvalidIdentityError: the certificate does not allow them, or they cannot be read.
        """
        try:
            found = _decode(claims)
            texts = {name: _text(found[name]) for name, _ in self.permitted if name in found}
        except UNDECODABLE as error:
            raise InvalidIdentityError(f"the token is malformed: {str(error)[:100]}") from error
        for name in self.included:
            if name not in found:
                raise InvalidIdentityError(f"the certificate demands the claim {name[:30]}")
        for name in self.excluded:
            if name in found:
                raise InvalidIdentityError(f"the certificate forbids the claim {name[:30]}")
        for name, values in self.permitted:
            if name in texts and texts[name] not in values:
                raise InvalidIdentityError(f"the certificate does not permit this value of the claim {name[:30]}")


def constraints_of(der: bytes) -> ClaimConstraints:
    """Return the content of an extension; raises UnsupportedCredentialError where it is malformed."""
    try:
        return _constraints(der)
    except (ValueError, IndexError):
        raise UnsupportedCredentialError("the claim constraints of the certificate are malformed") from None


def _constraints(der: bytes) -> ClaimConstraints:
    parts = dict(elements(only(der, SEQUENCE)))
    if not parts or not parts.keys() <= {_INCLUDED, _PERMITTED, _EXCLUDED}:
        raise ValueError("no constraint, or one of an unknown kind")
    included, excluded = (_names(parts.get(each)) for each in (_INCLUDED, _EXCLUDED))
    if not _ALWAYS.isdisjoint(excluded):
        return ClaimConstraints()  # RFC 9118 section 3: as if there was no such extension
    permitted: list[tuple[str, frozenset[str]]] = []
    for pair in _listed(parts.get(_PERMITTED), SEQUENCE):
        (name_tag, name), (values_tag, values) = elements(pair)
        if (name_tag, values_tag) != (IA5, SEQUENCE):
            raise ValueError("no claim with its values")
        permitted.append((name.decode("ascii"), frozenset(each.decode() for each in _of(UTF8, values))))
    return ClaimConstraints(included, tuple(permitted), excluded)


def _names(part: bytes | None) -> tuple[str, ...]:
    return tuple(each.decode("ascii") for each in _listed(part, IA5))


def _listed(part: bytes | None, tag: int) -> list[bytes]:
    """Return the content of the elements of a list, which must have the tag; a part that is not there has none."""
    return [] if part is None else _of(tag, only(part, SEQUENCE))


def _of(tag: int, der: bytes) -> list[bytes]:
    found = list(elements(der))
    if any(each != tag for each, _ in found):
        raise ValueError("an element of another kind")
    return [content for _, content in found]


def _text(value: object) -> str:
    """Return the value of a claim as certificates name it: other values than texts in the form that is signed."""
    return value if isinstance(value, str) else msgspec.json.encode(value, order="sorted").decode()


def only(der: bytes, tag: int) -> bytes:
    """Return the content of the only element, which must have the tag; raises ValueError or IndexError."""
    (found, content), *others = elements(der)
    if found != tag or others:
        raise ValueError("another element is expected")
    return content


def elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and content of the elements that stand one behind the other; raises ValueError or IndexError."""
    at = 0
    while at < len(der):
        tag, length, at = der[at], der[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            if not 1 <= size <= 3:
                raise ValueError("no length of DER")
            length, at = int.from_bytes(der[at : at + size]), at + size
        if at + length > len(der):
            raise ValueError("an element is cut off")
        yield tag, der[at : at + length]
        at += length


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
