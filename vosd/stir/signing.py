"""Sign calls: a key of ours, and the tokens that are made with it."""

from functools import lru_cache
from hashlib import sha256
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from vosd.base.errors import VosError
from vosd.stir.passport import (
    DIV,
    ES256,
    SHAKEN,
    TYPE,
    Claims,
    JoseHeader,
    SignedCallee,
    SignedParty,
    identity_value,
    written,
)
from vosd.stir.terms import Attestation

_ECDSA: Final = ec.ECDSA(hashes.SHA256())
_HALF: Final = 32


class SigningKeyError(VosError):
    """A file is no key for signing calls, or its certificate is another key's."""


class Signer:
    """A private key with the address of its certificate."""

    def __init__(self, key_pem: str, certificate_url: str, ends_ms: int | None = None) -> None:
        """``ends_ms`` is when the certificate ends, UTC; None = it is not known.

        Raises:
            SigningKeyError: the text is no key of the curve P-256.
        """
        self._pem = key_pem
        self.ends_ms = ends_ms
        self._key = loaded_key(key_pem)
        self.certificate_url = certificate_url
        self._shaken = JoseHeader(ES256, SHAKEN, TYPE, certificate_url)
        self._div = JoseHeader(ES256, DIV, TYPE, certificate_url)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Signer) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    def __repr__(self) -> str:
        """Return a text that differs for another key: the version of a catalogue is made of it."""
        public = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"Signer({self.certificate_url!r}, {self.ends_ms}, {sha256(public).hexdigest()})"

    @property
    def _identity(self) -> tuple[str, str, int | None]:
        return self._pem, self.certificate_url, self.ends_ms

    def shaken(self, caller: str, callee: str, attestation: Attestation, trunk: str, at_s: int) -> str:
        """Return the Identity value of a call between two canonical numbers that came from ``trunk`` (RFC 8588)."""
        return self._signed(
            self._shaken,
            Claims(
                attestation.value,
                SignedCallee((callee,)),
                iat=at_s,
                orig=SignedParty(caller),
                origid=origin_id(self.certificate_url, trunk),
            ),
        )

    def diverted(self, caller: str, before: str, callee: str, at_s: int) -> str:
        """Return the Identity value of a call that was meant for ``before`` and goes to ``callee`` (RFC 8946)."""
        return self._signed(
            self._div, Claims("", SignedCallee((callee,)), SignedParty(before), at_s, SignedParty(caller))
        )

    def _signed(self, header: JoseHeader, claims: Claims) -> str:
        signed = written(header, claims)
        return identity_value(signed, signature_of(self._key, signed), header)


def signature_of(key: ec.EllipticCurvePrivateKey, signed: bytes) -> bytes:
    """Return a signature in the form of JWS (RFC 7518 section 3.4)."""
    r, s = decode_dss_signature(key.sign(signed, _ECDSA))
    return r.to_bytes(_HALF) + s.to_bytes(_HALF)


def loaded_key(pem: str) -> ec.EllipticCurvePrivateKey:
    """Return the private key in a text; raises SigningKeyError."""
    try:
        key = load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise SigningKeyError("no private key in PEM without a password") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise SigningKeyError("the key is not of the curve P-256, which ES256 needs")
    return key


def check_certificate(key_pem: str, certificate_pem: str) -> int:
    """Return when a certificate ends, in milliseconds of UTC; raises SigningKeyError where it is not the key's."""
    try:
        certificate = x509.load_pem_x509_certificates(certificate_pem.encode())[0]
        public = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise SigningKeyError("no certificate in PEM") from None
    if public != loaded_key(key_pem).public_key():
        raise SigningKeyError("the certificate is of another key")
    return int(certificate.not_valid_after_utc.timestamp() * 1_000)


@lru_cache(maxsize=4_096)
def origin_id(certificate_url: str, trunk: str) -> str:
    """Return the identifier of a trunk that calls come from: always the same, and its name cannot be read from it."""
    return str(uuid5(uuid5(NAMESPACE_URL, certificate_url), trunk))
