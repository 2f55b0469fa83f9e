"""An authority for the certificates of signers (RFC 8226), and signatures as another network makes them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from doubles.virtual.clock import ManualClock
from vosd.b2bua.ports import SetupAnswer
from vosd.base import base64url
from vosd.callcontrol.questions import SetupQuestion, Ticket
from vosd.callcontrol.signatures import Certificates, WhichCertificates
from vosd.stir.certificates import SigningCertificate, TrustStore
from vosd.stir.errors import BadIdentityInfoError, IdentityError
from vosd.stir.extensions import AUTHORITY_OID
from vosd.stir.signing import Signer, loaded_key, signature_of

URL: Final = "https://certificates.example.com/shaken.pem"
RFC_8225: Final = (
    "eyJhbGciOiJFUzI1NiIsInR5cCI6InBhc3Nwb3J0IiwieDV1IjoiaHR0cHM6Ly9jZXJ0LmV4YW1wbGUub3JnL3Bhc3Nwb3J0LmNlciJ9"
    ".eyJkZXN0Ijp7InVyaSI6WyJzaXA6YWxpY2VAZXhhbXBsZS5jb20iXX0sImlhdCI6MTQ3MTM3NTQxOCwib3JpZyI6eyJ0biI6IjEyMTU1NTUxMjEyIn19"
    ".VLBCIVDCaeK6M4hLJb6SHQvacAQVvoiiEOWQ_iUkqk79UD81fHQ0E1b3_GluIkba7UWYRM47ZbNFdOJquE35cw"
)
"""The token of RFC 8225 appendix A."""
OF_RFC_8225: Final = "https://cert.example.org/passport.cer"
VIRTUAL_NOW_MS: Final = ManualClock().now().wall
UNREADABLE_CLAIMS: Final = (b'"x":1e999', b'"x":"\xff"')
"""Claims that Python cannot represent, in tokens whose other claims can be read."""
SPC: Final = bytes.fromhex("3008a006160431323334")
"""TNAuthList with the service provider 1234, as in RFC 8226 appendix A."""


def _element(tag: int, content: bytes) -> bytes:
    length = len(content)
    return bytes([tag]) + (bytes([length]) if length < 128 else b"\x82" + length.to_bytes(2)) + content


def numbers(*ranges: tuple[str, int]) -> bytes:
    """Return a TNAuthList with numbers, each with how many follow from it on."""
    entries = b""
    for first, count in ranges:
        number = _element(0x16, first.encode())
        if count == 1:
            entries += _element(0xA2, number)
        else:
            size = _element(0x02, count.to_bytes(count.bit_length() // 8 + 1))
            entries += _element(0xA1, _element(0x30, number + size))
    return _element(0x30, entries)


def constraints(
    included: Sequence[str] = (), permitted: Mapping[str, Sequence[str]] | None = None, excluded: Sequence[str] = ()
) -> bytes:
    """Return claim constraints; those of RFC 8226 have no excluded claims."""

    def listed(tag: int, entries: Iterable[bytes]) -> bytes:
        content = b"".join(entries)
        return _element(tag, _element(0x30, content)) if content else b""

    values = {
        name: b"".join(_element(0x0C, each.encode()) for each in allowed) for name, allowed in (permitted or {}).items()
    }
    pairs = (_element(0x30, _element(0x16, name.encode()) + _element(0x30, each)) for name, each in values.items())
    return _element(
        0x30,
        listed(0xA0, (_element(0x16, each.encode()) for each in included))
        + listed(0xA1, pairs)
        + listed(0xA2, (_element(0x16, each.encode()) for each in excluded)),
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def pem_of(key: ec.EllipticCurvePrivateKey) -> str:
    """Return a private key in PEM."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


class Signatory:
    """A network with a key and a certificate of its own."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificates: Sequence[x509.Certificate], url: str) -> None:
        self.key = pem_of(key)
        self.certificate = certificates[0]
        self.chain = b"".join(each.public_bytes(Encoding.PEM) for each in certificates)
        self.signer = Signer(self.key, url)

    def with_claim(self, value: str, claim: bytes) -> str:
        """Return an Identity value with a claim more, in JSON, signed by this network."""
        head, claims, rest = value.split(".", 2)
        signed = f"{head}.{base64url.encoded(base64url.decoded(claims)[:-1] + b',' + claim + b'}')}"
        signature = signature_of(loaded_key(self.key), signed.encode())
        return f"{signed}.{base64url.encoded(signature)};{rest.partition(';')[2]}"


class Sti:
    """A root, an authority below it, and what it issues; times are relative to ``at_ms``."""

    def __init__(self, at_ms: int, delegated: bytes | None = None) -> None:
        """``delegated`` is the TNAuthList of the authority below the root; None = it has none."""
        self._at = datetime.fromtimestamp(at_ms // 1_000, UTC)
        self._root_key, self._key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        self.root = self._made("root", self._root_key, "root", self._root_key, is_authority=True)
        self._below = self._made("authority", self._key, "root", self._root_key, is_authority=True, authority=delegated)
        self.root_pem = self.root.public_bytes(Encoding.PEM).decode()

    def below(
        self, issuer: str, key: rsa.RSAPrivateKey | None = None, extensions: Mapping[str, bytes] | None = None
    ) -> bytes:
        """Return the authority below the root in PEM, as the root has certified it, another issuer or it itself."""
        own = {"root": self._root_key, "authority": self._key}
        issuer_key = own.get(issuer) or ec.generate_private_key(ec.SECP256R1())
        made = self._made("authority", key or self._key, issuer, issuer_key, is_authority=True, extensions=extensions)
        return made.public_bytes(Encoding.PEM)

    def trust(self, *revoked: x509.Certificate) -> TrustStore:
        """Return a store that trusts the root."""
        return TrustStore([self.root_pem], [self.revocations(*revoked)] if revoked else [])

    def issue(
        self, authority: bytes | None = SPC, *, url: str = URL, extensions: Mapping[str, bytes] | None = None
    ) -> Signatory:
        """Return a network with a certificate; ``authority`` is its TNAuthList."""
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = self._made("SHAKEN 1234", key, "authority", self._key, authority=authority, extensions=extensions)
        return Signatory(key, [leaf, self._below], url)

    def certificate_only(
        self,
        authority: bytes | None = SPC,
        *,
        begins_days: float = -1,
        signs: bool = True,
        has_chain: bool = True,
        is_authority: bool = False,
        extensions: Mapping[str, bytes] | None = None,
        curve: ec.EllipticCurve | None = None,
    ) -> bytes:
        """Return a chain that may be unfit for a signer."""
        key = ec.generate_private_key(curve or ec.SECP256R1())
        leaf = self._made(
            "SHAKEN 1234", key, "authority", self._key, authority=authority, begins=begins_days, signs=signs,
            is_authority=is_authority, extensions=extensions,
        )  # fmt: skip
        return b"".join(each.public_bytes(Encoding.PEM) for each in [leaf, *([self._below] if has_chain else [])])

    def revocations(self, *revoked: x509.Certificate) -> bytes:
        """Return a list of revoked certificates, of the root's but about those of the authority below it, too."""
        builder = x509.CertificateRevocationListBuilder().issuer_name(_name("root"))
        builder = builder.last_update(self._at).next_update(self._at + timedelta(days=1))
        for each in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(each.serial_number).revocation_date(self._at)
            issuer = x509.CertificateIssuer([x509.DirectoryName(each.issuer)])
            builder = builder.add_revoked_certificate(entry.add_extension(issuer, critical=True).build())
        return builder.sign(self._root_key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def _made(
        self,
        name: str,
        key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
        issuer: str,
        issuer_key: ec.EllipticCurvePrivateKey,
        *,
        is_authority: bool = False,
        authority: bytes | None = None,
        begins: float = -1,
        signs: bool = True,
        extensions: Mapping[str, bytes] | None = None,
    ) -> x509.Certificate:
        begin = self._at + timedelta(days=begins)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name(issuer))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + timedelta(days=30))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
            )
            .add_extension(
                x509.KeyUsage(
                    digital_signature=signs, content_commitment=not signs,
                    key_encipherment=False, data_encipherment=False, key_agreement=False,
                    key_cert_sign=is_authority, crl_sign=is_authority, encipher_only=False, decipher_only=False,
                ),
                critical=True,
            )
        )  # fmt: skip
        if is_authority:
            builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        held = ({} if authority is None else {AUTHORITY_OID: authority}) | dict(extensions or {})
        for oid, content in held.items():
            builder = builder.add_extension(
                x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), content), critical=False
            )
        return builder.sign(issuer_key, hashes.SHA256())


def with_exponent(exponent: int) -> rsa.RSAPrivateKey:
    """Return a key with another public exponent, a prime, than the library makes."""
    made = rsa.generate_private_key(65_537, 2_048).private_numbers()
    p, q = made.p, made.q
    d, public = pow(exponent, -1, (p - 1) * (q - 1)), rsa.RSAPublicNumbers(exponent, p * q)
    return rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), made.iqmp, public).private_key()


def compact(value: str) -> str:
    """Return the compact form of an Identity value (RFC 8224 section 4.1)."""
    return f"..{value.split('.', 2)[2]}"


@cache
def usual() -> tuple[Sti, Signatory]:
    """Return an authority at the time of virtual scenes, and a network that it has certified; no test changes them."""
    sti = Sti(VIRTUAL_NOW_MS)
    return sti, sti.issue()


class KnownCertificates:
    """Asker that knows certificates, at once or when it is told to answer."""

    def __init__(self, found: Mapping[str, SigningCertificate | IdentityError]) -> None:
        self.found = dict(found)
        self.answers_at_once = True
        self.asked: list[tuple[Ticket, WhichCertificates]] = []
        self.cancelled: list[Ticket] = []

    def ask(self, ticket: Ticket, question: SetupQuestion) -> SetupAnswer | None:
        """Return the certificates, those that are not known as ones that cannot be had."""
        assert isinstance(question, WhichCertificates)
        self.asked.append((ticket, question))
        return self.answer(question) if self.answers_at_once else None

    def answer(self, question: WhichCertificates) -> Certificates:
        """Return the answer to a question."""
        none = BadIdentityInfoError("not known here")
        return Certificates({each: self.found.get(each, none) for each in question.signature.addresses})

    def cancel(self, ticket: Ticket, *, is_overdue: bool = False) -> None:
        """Note that a call does not wait any more."""
        self.cancelled.append(ticket)
