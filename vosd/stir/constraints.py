"""Claims that a certificate allows in the tokens of its signer (RFC 8226 section 8, RFC 9118)."""

from typing import Any, Final

import msgspec

from vosd.stir.der import IA5, SEQUENCE, UTF8, elements, only
from vosd.stir.errors import InvalidIdentityError, UnsupportedCredentialError

OIDS: Final = ("1.3.6.1.5.5.7.1.27", "1.3.6.1.5.5.7.1.33")
"""JWTClaimConstraints, and EnhancedJWTClaimConstraints, which has ``excluded``, too."""
_INCLUDED, _PERMITTED, _EXCLUDED = 0xA0, 0xA1, 0xA2
_ALWAYS: Final = frozenset({"iat", "orig", "dest"})
"""Claims of every token."""
_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


class ClaimConstraints(msgspec.Struct, frozen=True):
    """The content of one of these extensions."""

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
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
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
