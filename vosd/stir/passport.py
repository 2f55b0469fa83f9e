"""PASSporT (RFC 8225): a token about caller, called number and time, and the Identity header with it (RFC 8224).

Only what the token says is read here. Whether its signature is right, and whether it is about this call, is decided in
``verification``.
"""

import re
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

import msgspec

from vosd.base import base64url
from vosd.base.undecodable import UNDECODABLE
from vosd.stir.errors import InvalidIdentityError, UnsupportedCredentialError

ES256: Final = "ES256"
TYPE: Final = "passport"
SHAKEN: Final = "shaken"
DIV: Final = "div"
BASE: Final = ""
"""A token without an extension."""
KNOWN: Final = frozenset({BASE, SHAKEN, DIV})
"""Extensions that are understood; tokens with another one are left alone (RFC 8224 section 6.2)."""
VALUE_MAX: Final = 4_096
"""Longest Identity value that is read."""
SIGNATURE_BYTES: Final = 64
_ATTESTATIONS: Final = frozenset({"A", "B", "C"})
_PARAMETER: Final = re.compile(
    r"""\s*;\s*([\w.!%*+`'~-]+)(?:\s*=\s*(<[^<>]*>|"(?:[^"\\]|\\.)*"|[^;<>"\s]+))?""", re.ASCII
)
"""A name and perhaps a value; RFC 8224 section 4 allows any that RFC 3261 does."""
_WITH_VALUE: Final = frozenset({"info", "alg", "ppt"})
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+")


class SignedParty(msgspec.Struct, frozen=True, omit_defaults=True):
    """The caller, or the party that was called before a call was diverted: a number or a URI."""

    tn: str = ""
    uri: str = ""


class SignedCallee(msgspec.Struct, frozen=True, omit_defaults=True):
    """The called parties."""

    tn: tuple[str, ...] = ()
    uri: tuple[str, ...] = ()


class JoseHeader(msgspec.Struct, frozen=True, omit_defaults=True):
    """The header of a token; fields in the order in which they are signed (RFC 8225 section 9)."""

    alg: str
    ppt: str = ""
    typ: str = ""
    x5u: str = ""
    crit: tuple[str, ...] = ()


class Claims(msgspec.Struct, frozen=True, omit_defaults=True, rename={"attestation": "attest"}):
    """The claims of a token; fields in the order in which they are signed."""

    attestation: str = ""
    dest: SignedCallee = SignedCallee()
    div: SignedParty | None = None
    iat: int = 0
    """The moment of the signature, in seconds of UTC."""
    orig: SignedParty = SignedParty()
    origid: str = ""
    """Opaque identifier of where the call came from."""


class Passport(msgspec.Struct, frozen=True):
    """A token as it was received."""

    ppt: str
    x5u: str
    """Address of the certificate."""
    claims: Claims
    signed: bytes
    """Header and claims as they were signed."""
    signature: bytes

    @property
    def claims_json(self) -> bytes:
        """All claims as they were signed, also those that are not read here."""
        return base64url.decoded(self.signed.partition(b".")[2].decode())


class IdentityValue(NamedTuple):
    """The parts of an Identity header."""

    token: str
    info: str
    alg: str
    ppt: str


class SignedAbout(msgspec.Struct, frozen=True):
    """The parts of an INVITE that a compact token leaves out."""

    caller: str
    """Canonical number."""
    callee: str
    """Canonical number."""
    date: str
    """The value of Date."""


_encode: Final = msgspec.json.Encoder().encode
_header: Final = msgspec.json.Decoder(JoseHeader).decode
_claims: Final = msgspec.json.Decoder(Claims).decode


def split(value: str) -> IdentityValue:
    """Return the parts of the value of an Identity header; raises InvalidIdentityError."""
    if len(value) > VALUE_MAX:
        raise InvalidIdentityError(f"an Identity of more than {VALUE_MAX} characters")
    value = value.strip()
    token = _TOKEN.match(value)
    if token is None:
        raise InvalidIdentityError("Identity has no token of three parts")
    parameters: dict[str, str] = {}
    at = token.end()
    while at < len(value):
        found = _PARAMETER.match(value, at)
        name, text = ("", "") if found is None else (found[1].lower(), found[2] or "")
        if found is None or (name in _WITH_VALUE and not text):
            raise InvalidIdentityError("a parameter of Identity is malformed")
        if name in parameters:
            raise InvalidIdentityError(f"Identity has {name} twice")
        parameters[name] = text[1:-1] if text[:1] in {"<", '"'} else text
        at = found.end()
    info = parameters.get("info", "")
    if not info:
        raise InvalidIdentityError("Identity has no info")
    return IdentityValue(token[0], info, parameters.get("alg", ES256), parameters.get("ppt", ""))


def read(value: str, about: SignedAbout) -> Passport | None:
    """Return the token in an Identity header, in full or in compact form; None = its extension is not understood.

    Raises:
        InvalidIdentityError: it is malformed.
        UnsupportedCredentialError: it is signed by another algorithm than ES256.
    """
    parts = split(value)
    if parts.ppt not in KNOWN:
        return None
    if parts.alg != ES256:
        raise UnsupportedCredentialError(f"algorithm {parts.alg[:20]} is not supported")
    head, body, tail = parts.token.split(".")
    if not head and not body:
        head, body = _left_out(parts, about)
    header, claims = _decoded(head, body)
    if header.alg != ES256:
        raise UnsupportedCredentialError(f"algorithm {header.alg[:20]} is not supported")
    if header.typ.lower() != TYPE or header.crit:
        raise InvalidIdentityError("the token is no PASSporT, or needs an extension of JWS")
    if header.ppt not in KNOWN:
        return None
    if header.x5u != parts.info or (parts.ppt and parts.ppt != header.ppt):
        raise InvalidIdentityError("the parameters of Identity and the token differ")
    _check(header.ppt, claims)
    signature = _bytes(tail)
    if len(signature) != SIGNATURE_BYTES:
        raise InvalidIdentityError("the signature has not the length of ES256")
    return Passport(header.ppt, header.x5u, claims, f"{head}.{body}".encode(), signature)


def written(header: JoseHeader, claims: Claims) -> bytes:
    """Return what is signed of a token."""
    return ".".join(map(base64url.encoded, (_encode(header), _encode(claims)))).encode()


def identity_value(signed: bytes, signature: bytes, header: JoseHeader) -> str:
    """Return the value of an Identity header in full form."""
    extension = f";ppt={header.ppt}" if header.ppt else ""
    return f"{signed.decode()}.{base64url.encoded(signature)};info=<{header.x5u}>;alg={header.alg}{extension}"


def _left_out(parts: IdentityValue, about: SignedAbout) -> tuple[str, str]:
    """Return header and claims of a compact token, which follow from the INVITE (RFC 8224 section 6.2.1)."""
    if parts.ppt:
        raise InvalidIdentityError(f"a token of type {parts.ppt} in compact form")
    try:
        iat = int(parsedate_to_datetime(about.date).timestamp())
    except (ValueError, OverflowError):
        raise InvalidIdentityError("a compact token beside no readable Date") from None
    claims = Claims(dest=SignedCallee(tn=(about.callee,)), iat=iat, orig=SignedParty(tn=about.caller))
    head, body = written(JoseHeader(ES256, typ=TYPE, x5u=parts.info), claims).decode().split(".")
    return head, body


def _decoded(head: str, body: str) -> tuple[JoseHeader, Claims]:
    try:
        return _header(_bytes(head)), _claims(_bytes(body))
    except UNDECODABLE as error:
        raise InvalidIdentityError(f"the token is malformed: {str(error)[:100]}") from error


def _check(ppt: str, claims: Claims) -> None:
    """Raise InvalidIdentityError where a claim is missing that the extension needs."""
    orig, dest = claims.orig, claims.dest
    if bool(orig.tn) == bool(orig.uri) or not (dest.tn or dest.uri) or claims.iat <= 0:
        raise InvalidIdentityError("the token lacks orig, dest or iat, or has two callers")
    if ppt == SHAKEN and (claims.attestation not in _ATTESTATIONS or not claims.origid or not orig.tn):
        raise InvalidIdentityError("the token lacks attest, origid, or the number of the caller")
    if ppt == DIV and (claims.div is None or bool(claims.div.tn) == bool(claims.div.uri)):
        raise InvalidIdentityError("the token does not say who was called before")


def _bytes(text: str) -> bytes:
    try:
        return base64url.decoded(text)
    except ValueError:
        raise InvalidIdentityError("a part of the token is no base64url") from None
