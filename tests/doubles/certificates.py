"""A certificate authority for an afternoon: it signs what tests and trials of TLS show each other."""

import ssl
import subprocess
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Final, NamedTuple

from vosd.base.errors import VosError

_CURVE: Final = "prime256v1"
_RSA: Final = ("-newkey", "rsa:2048")


def _elliptic(curve: str, encoding: str = "named_curve") -> Sequence[str]:
    return ("-newkey", "ec", "-pkeyopt", f"ec_paramgen_curve:{curve}", "-pkeyopt", f"ec_param_enc:{encoding}")


class CertificateError(VosError):
    """OpenSSL made no certificate; the message carries what it wrote."""


class Certificate(NamedTuple):
    """A certificate and its key, PEM files both."""

    file: Path
    key: Path


class Authority:
    """Keeps its root, and what it issues, in ``directory``."""

    def __init__(self, directory: Path, name: str = "authority") -> None:
        """Make the root.

        Raises:
            CertificateError: there is no OpenSSL, or it failed.
        """
        self._directory = directory
        self.root = self._make(name, "-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE")

    @classmethod
    def again(cls, directory: Path, name: str) -> "Authority":
        """Return an authority that was made in ``directory`` before."""
        authority = cls.__new__(cls)
        authority._directory, authority.root = (
            directory,
            Certificate(directory / f"{name}.pem", directory / f"{name}.key"),
        )
        return authority

    def issue(
        self,
        name: str,
        *bearers: str,
        days: int = 30,
        is_rsa: bool = False,
        curve: str = _CURVE,
        curve_encoding: str = "named_curve",
    ) -> Certificate:
        """Return a certificate that names ``bearers``: host names and IP addresses."""
        entries = ",".join(f"{'IP' if _is_address(each) else 'DNS'}:{each}" for each in bearers)
        return self._make(
            name, "-subj", f"/CN={name}", "-days", str(days),
            "-CA", str(self.root.file), "-CAkey", str(self.root.key),
            "-addext", f"subjectAltName={entries}", "-addext", "basicConstraints=CA:FALSE",
            key=_RSA if is_rsa else _elliptic(curve, curve_encoding),
        )  # fmt: skip

    def server_context(self, certificate: Certificate, *, asks: bool = False) -> ssl.SSLContext:
        """Return what a peer accepts connections with; one that ``asks`` wants a certificate of this authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        if asks:
            context.load_verify_locations(self.root.file)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client_context(self, certificate: Certificate | None = None) -> ssl.SSLContext:
        """Return what a peer connects with: it believes this authority alone."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.root.file)
        if certificate is not None:
            context.load_cert_chain(*certificate)
        return context

    def lock(self, certificate: Certificate, target: Path, password: str) -> None:
        """Write the key of a certificate encrypted."""
        _openssl("pkey", "-aes256", "-passout", f"pass:{password}", "-in", str(certificate.key), "-out", str(target))

    def _make(self, name: str, *options: str, key: Sequence[str] = _elliptic(_CURVE)) -> Certificate:
        made = Certificate(self._directory / f"{name}.pem", self._directory / f"{name}.key")
        _openssl("req", "-x509", *key, "-nodes", "-keyout", str(made.key), "-out", str(made.file), *options)
        return made


def agree(server: ssl.SSLContext, client: ssl.SSLContext) -> ssl.SSLObject:
    """Let two sides do a handshake and return the client's; raises SSLError."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    there = server.wrap_bio(to_server, to_client, server_side=True)
    here = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    for _ in range(4):
        for side in (here, there):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert there.version()
    return here


def _openssl(*words: str) -> None:
    try:
        outcome = subprocess.run(["openssl", *words], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise CertificateError("openssl is not installed: apt-get install openssl") from error
    if outcome.returncode != 0:
        raise CertificateError(f"openssl {' '.join(words)}:\n{outcome.stderr}")


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
