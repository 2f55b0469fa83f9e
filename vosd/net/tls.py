"""TLS contexts from the settings: our certificate, trusted authorities, versions.

A vendor is verified as in RFC 5922 section 7, with two differences of the standard library: names are taken from DNS
and IP entries only, not from ``sip:`` URIs, and a wildcard stands for one label.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vosd.base.errors import VosError
from vosd.net.settings import TlsSettings, TlsVersion, VerifyClient

_VERSIONS: Final = {TlsVersion.TLS_1_2: ssl.TLSVersion.TLSv1_2, TlsVersion.TLS_1_3: ssl.TLSVersion.TLSv1_3}
_DEMANDS: Final = {
    VerifyClient.NO: ssl.CERT_NONE,
    VerifyClient.OPTIONAL: ssl.CERT_OPTIONAL,
    VerifyClient.REQUIRED: ssl.CERT_REQUIRED,
}


class TlsFileError(VosError):
    """A TLS file cannot be used; ``key`` is the setting that names it, ``expected`` what the file should hold."""

    def __init__(self, key: str, path: Path, expected: str) -> None:
        super().__init__(f"{key}: {path}: expected {expected}")
        self.key = key
        self.path = path
        self.expected = expected


@dataclass(frozen=True, slots=True)
class TlsContexts:
    """Contexts for new connections, from the files as they were when loaded; open connections keep theirs."""

    server: ssl.SSLContext
    client: ssl.SSLContext

    @classmethod
    def load(cls, settings: TlsSettings) -> "TlsContexts":
        """Read the files.

        Raises:
            TlsFileError: one is missing, unreadable, or not what its key says.
        """
        _require_pem(settings)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.verify_mode = _DEMANDS[settings.verify_client]
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if not settings.verify_server:
            client.check_hostname = False
            client.verify_mode = ssl.CERT_NONE
        for context in (server, client):
            context.minimum_version = _VERSIONS[settings.min_version]
            context.options |= ssl.OP_NO_RENEGOTIATION  # against peers that renegotiate to load the CPU
            _show_certificate(context, settings)
            if settings.ca is None:
                context.load_default_certs()
            else:
                context.load_verify_locations(settings.ca)
        return cls(server, client)


def _require_pem(settings: TlsSettings) -> None:
    """Find out which file is wrong: OpenSSL's error does not say."""
    for key, path in (
        ("certificate", settings.certificate),
        ("private_key", settings.private_key),
        ("ca", settings.ca),
    ):
        if path is None:
            continue
        try:
            content = path.read_bytes()
        except OSError as error:
            raise TlsFileError(key, path, f"a file that can be read: {error.strerror}") from error
        if key != "private_key":
            _require_certificates(key, path, content)


def _require_certificates(key: str, path: Path, content: bytes) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=content.decode("ascii", "replace"))
    except (ssl.SSLError, ValueError) as error:
        raise TlsFileError(key, path, "certificates in PEM form") from error


def _show_certificate(context: ssl.SSLContext, settings: TlsSettings) -> None:
    try:
        # An encrypted key would otherwise be asked for on the terminal.
        context.load_cert_chain(settings.certificate, settings.private_key, password=lambda: b"")
    except ssl.SSLError as error:
        expected = "the key of the certificate, in PEM form, not encrypted"
        raise TlsFileError("private_key", settings.private_key, expected) from error
