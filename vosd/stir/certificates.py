"""Certificates of signers (RFC 8226): which are trusted, for how long, and for which numbers.

A chain is verified once, when it was fetched. What may change afterwards is checked by each call: its time.
"""

from collections.abc import Iterable, Sequence, Sized
from datetime import UTC, datetime
from typing import Final

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.x509.oid import PublicKeyAlgorithmOID
from cryptography.x509.verification import (
    ClientVerifier,
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from vosd.base.errors import VosError
from vosd.stir.errors import BadIdentityInfoError, InvalidIdentityError, UnsupportedCredentialError
from vosd.stir.extensions import (
    AUTHORITY_OID,
    CONSTRAINT_OIDS,
    ClaimConstraints,
    TnAuthority,
    authority_of,
    constraints_of,
)
from vosd.stir.passport import Passport
from vosd.stir.terms import Numbering

CHAIN_MAX: Final = 6
"""Certificates of one chain, without the root."""
EXPONENT_BITS_MAX: Final = 32
"""Longest public exponent of RSA: 65537 has 17."""
NAMES_MAX: Final = 20
"""Names of a certificate, and names that one of an authority permits or excludes: each is compared with each."""
_ECDSA: Final = ec.ECDSA(hashes.SHA256())
_HALF: Final = 32
_TN_AUTH_LIST: Final = x509.ObjectIdentifier(AUTHORITY_OID)
_CONSTRAINTS: Final = tuple(x509.ObjectIdentifier(each) for each in CONSTRAINT_OIDS)
_UNREADABLE: Final = (ValueError, UnsupportedAlgorithm, x509.InvalidVersion)
_PEM: Final = b"-----BEGIN"
"""Text may stand before it (RFC 7468 section 2)."""
_LEAF: Final = (
    ExtensionPolicy.permit_all()
    .may_be_present(
        x509.SubjectAlternativeName, Criticality.AGNOSTIC, lambda _policy, _leaf, names: _require_few(names)
    )
    .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, lambda _policy, _leaf, usage: _require_signing(usage))
    .may_be_present(x509.BasicConstraints, Criticality.AGNOSTIC, lambda _policy, _leaf, found: _require_signer(found))
)
_AUTHORITY: Final = (
    ExtensionPolicy.webpki_defaults_ca()
    .may_be_present(x509.SubjectAlternativeName, Criticality.AGNOSTIC, lambda _policy, _its, names: _require_few(names))
    .may_be_present(
        x509.NameConstraints, Criticality.AGNOSTIC, lambda _policy, _its, found: _require_few_subtrees(found)
    )
)


class TrustError(VosError):
    """A file with roots or revoked certificates cannot be used."""


class SigningCertificate(msgspec.Struct, frozen=True):
    """A certificate of a signer whose chain is trusted."""

    key: ec.EllipticCurvePublicKey
    valid_from_ms: int
    """UTC; of the whole chain."""
    valid_to_ms: int
    authorities: tuple[TnAuthority, ...]
    """The TNAuthLists of the certificate and of those above it; a number has to be in all of them."""
    constraints: tuple[ClaimConstraints, ...] = ()

    def check(self, passport: Passport, at_ms: int) -> None:
        """Check a token's signature, and that its signer may sign for its number at this time.

        Raises:
            UnsupportedCredentialError: the certificate is out of its time, or does not cover the number.
            InvalidIdentityError: the signature is wrong, or the certificate does not allow a claim.
        """
        if not self.valid_from_ms <= at_ms <= self.valid_to_ms:
            raise UnsupportedCredentialError("the certificate has expired, or is not valid yet")
        r, s = int.from_bytes(passport.signature[:_HALF]), int.from_bytes(passport.signature[_HALF:])
        try:
            self.key.verify(encode_dss_signature(r, s), passport.signed, _ECDSA)
        except InvalidSignature:
            raise InvalidIdentityError("the signature is wrong") from None
        div = passport.claims.div
        number = passport.claims.orig.tn if div is None else div.tn  # a diverting party signs for its own number
        digits = Numbering().canonical(number)
        if number and not (digits and all(each.covers(digits) for each in self.authorities)):
            raise UnsupportedCredentialError(f"the certificate does not cover {number}")
        for constraint in self.constraints:
            constraint.check(passport.claims_json)


class TrustStore:
    """Roots that are trusted, and certificates that are revoked."""

    def __init__(self, roots: Iterable[str], revocations: Iterable[bytes] = ()) -> None:
        """``roots`` are texts in PEM, ``revocations`` lists of revoked certificates in PEM or DER.

        Raises:
            TrustError: one of them is neither.
        """
        certificates = [each for text in roots for each in read_roots(text)]
        self._store = Store(certificates)
        self._revoked = frozenset(each for content in revocations for each in read_revoked(content))

    def certified(self, content: bytes, at_ms: int) -> SigningCertificate:
        """Return the certificate at the beginning of a chain in PEM, or alone in DER, if it is trusted.

        Raises:
            UnsupportedCredentialError: it is not.
            BadIdentityInfoError: there is no certificate in it.
        """
        leaf, *others = _chain(content)
        at = datetime.fromtimestamp(at_ms / 1_000, UTC)
        builder = PolicyBuilder().store(self._store).time(at).max_chain_depth(CHAIN_MAX)
        builder = builder.extension_policies(ca_policy=_AUTHORITY, ee_policy=_LEAF)
        chain = _verified(builder.build_client_verifier(), leaf, others)
        for each in chain:
            if (each.issuer.public_bytes(), each.serial_number) in self._revoked:
                raise UnsupportedCredentialError("the certificate, or one above it, is revoked")
        key = leaf.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise UnsupportedCredentialError("the key of the certificate is not of the curve P-256")
        own, *above = (_unrecognized(each, _TN_AUTH_LIST) for each in chain)
        if own is None:
            raise UnsupportedCredentialError("the certificate has no TNAuthList")
        return SigningCertificate(
            key,
            max(_ms(each.not_valid_before_utc) for each in chain),
            min(_ms(each.not_valid_after_utc) for each in chain),
            tuple(authority_of(found) for found in (own, *above) if found is not None),
            tuple(constraints_of(found) for oid in _CONSTRAINTS if (found := _unrecognized(leaf, oid)) is not None),
        )


def read_roots(pem: str) -> list[x509.Certificate]:
    """Return the certificates of a text in PEM; raises TrustError."""
    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except _UNREADABLE:
        raise TrustError("no certificates in PEM") from None


def read_revoked(content: bytes) -> list[tuple[bytes, int]]:
    """Return issuer and serial number of each certificate of a list (RFC 5280 section 5); raises TrustError.

    A list may be about certificates of other issuers, as that of the policy administrator of SHAKEN is.
    """
    revoked = []
    try:
        listed = _list(content)
        issuer = listed.issuer.public_bytes()
        for each in listed:
            issuer = _issuer_in(each) or issuer
            revoked.append((issuer, each.serial_number))
    except _UNREADABLE:
        raise TrustError("no list of revoked certificates in PEM or DER") from None
    return revoked


def next_list(content: bytes) -> int | None:
    """Return when the next list is to come, in milliseconds of UTC; None = the list does not say. Raises TrustError."""
    try:
        at = _list(content).next_update_utc
    except _UNREADABLE:
        raise TrustError("no list of revoked certificates in PEM or DER") from None
    return None if at is None else _ms(at)


def first_end(pem: str) -> int:
    """Return when the first certificate of a text in PEM ends, in milliseconds of UTC; raises TrustError."""
    return min(_ms(each.not_valid_after_utc) for each in read_roots(pem))


def _list(content: bytes) -> x509.CertificateRevocationList:
    return (x509.load_pem_x509_crl if _PEM in content else x509.load_der_x509_crl)(content)


def _issuer_in(revoked: x509.RevokedCertificate) -> bytes | None:
    """Return the issuer that an entry names; it holds for those behind it, too (RFC 5280 section 5.3.3)."""
    try:
        names = revoked.extensions.get_extension_for_class(x509.CertificateIssuer).value
    except x509.ExtensionNotFound:
        return None
    found = names.get_values_for_type(x509.DirectoryName)
    return found[0].public_bytes() if found else None


def _require_signer(constraints: x509.BasicConstraints | None) -> None:
    """Raise ValueError where a certificate is that of an authority, which signs certificates (RFC 5280 4.2.1.9)."""
    if constraints is not None and constraints.ca:
        raise ValueError("the certificate is that of an authority, not of a signer")


def _require_signing(usage: x509.KeyUsage | None) -> None:
    """Raise ValueError where a certificate may not be used for signatures."""
    if usage is not None and not usage.digital_signature:
        raise ValueError("the key is not for signatures")


def _require_few(names: Sized | None) -> None:
    """Raise ValueError where comparing names takes long: a million took 0.2 s, in which no call was processed."""
    if names is not None and len(names) > NAMES_MAX:
        raise ValueError(f"more than {NAMES_MAX} names")


def _require_few_subtrees(constraints: x509.NameConstraints | None) -> None:
    if constraints is not None:
        _require_few([*(constraints.permitted_subtrees or ()), *(constraints.excluded_subtrees or ())])


def _chain(content: bytes) -> Sequence[x509.Certificate]:
    try:
        if _PEM in content:
            found = x509.load_pem_x509_certificates(content)
        else:
            found = [x509.load_der_x509_certificate(content)]
    except _UNREADABLE:
        raise BadIdentityInfoError("there is no certificate at the address") from None
    if len(found) > CHAIN_MAX:
        raise UnsupportedCredentialError(f"a chain of more than {CHAIN_MAX} certificates")
    return found


def _verified(
    verifier: ClientVerifier, leaf: x509.Certificate, others: Sequence[x509.Certificate]
) -> Sequence[x509.Certificate]:
    """Return the path from a certificate to a root, through one certificate of each name: the first, else the last.

    The library tries all paths, up to 128 signatures. A caller chooses the certificates: several of one name, each
    signed by that name, had it check keys that he made slow for a second, while the calls of others waited.

    Raises:
        UnsupportedCredentialError: there is no such path.
    """
    try:
        for each in others:
            _require_quick(each)
        named = [(each.subject, each) for each in others]
    except _UNREADABLE as error:  # the library reads keys and names only when they are asked for
        raise UnsupportedCredentialError(f"the certificate is not trusted: {str(error)[:150]}") from error
    first, last = dict(reversed(named)), dict(named)
    for choice in (first, last) if first != last else (first,):
        try:
            return verifier.verify(leaf, [*choice.values()]).chain
        except VerificationError as error:
            fault = error
    raise UnsupportedCredentialError(f"the certificate is not trusted: {str(fault)[:150]}") from fault


def _require_quick(certificate: x509.Certificate) -> None:
    """Raise ValueError where what a key has signed is slow to check: one check took 8 ms, for which all calls waited.

    Keys of other algorithms are not read: the library refuses all but curves, and one of Diffie-Hellman may take long.
    """
    if certificate.public_key_algorithm_oid == PublicKeyAlgorithmOID.RSAES_PKCS1_v1_5:
        key = certificate.public_key()
        if isinstance(key, rsa.RSAPublicKey) and key.public_numbers().e.bit_length() > EXPONENT_BITS_MAX:
            raise ValueError(f"an RSA key with a public exponent of more than {EXPONENT_BITS_MAX} bits")


def _unrecognized(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> bytes | None:
    """Return an extension that the library does not read; None = the certificate has it not.

    Raises:
        UnsupportedCredentialError: the extensions are malformed.
    """
    try:
        found = certificate.extensions.get_extension_for_oid(oid).value
    except x509.ExtensionNotFound:
        return None
    except (x509.DuplicateExtension, ValueError):
        raise UnsupportedCredentialError("the extensions of the certificate are malformed") from None
    return found.value if isinstance(found, x509.UnrecognizedExtension) else None


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1_000)
