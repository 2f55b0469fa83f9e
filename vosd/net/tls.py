"""TLS contexts from the settings: our certificate, trusted authorities, versions.

A vendor is verified as in RFC 5922 section 7, with two differences of the standard library: names are taken from DNS
and IP entries only, not from ``sip:`` URIs, and a wildcard stands for one label. Of a caller the names are returned.
"""

import ssl
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from vosd.base.errors import VosError
from vosd.base.file_modes import may_wait
from vosd.base.host import plain_host
from vosd.net.settings import TlsIdentity, TlsSettings, TlsVersion, VerifyClient
from vosd.obs.events import log as _log
from vosd.processes.handshake_limits import limit_handshakes
from vosd.processes.key_exchange import leave_out_slow_ones

EPHEMERAL_SUITES: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Suites of TLS 1.2 (RFC 9325 section 4.2); those of TLS 1.3 are all like them."""
_ANY: Final = "DEFAULT"
"""All that OpenSSL speaks by default, with TLS_RSA_WITH_AES_128_CBC_SHA, which RFC 3261 section 26.2.1 demands.

Some builds of Python leave it out. Others take the list from OpenSSL, where the machine's ``openssl.cnf`` may have a
shorter one, which is left as it is.
"""
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


class TlsClient(NamedTuple):
    """Context for connections to vendors, and the name that their certificate must bear."""

    context: ssl.SSLContext
    server_name: str = ""
    """Empty = the name that led to the address."""


@dataclass(frozen=True, slots=True)
class TlsContexts:
    """Contexts for new connections, from the files as they were when loaded; open connections keep theirs."""

    server: ssl.SSLContext
    client: ssl.SSLContext
    browsers: ssl.SSLContext | None = None
    """For callers over WebSocket, who are asked for no certificate: browsers ask their users. None = ``server``."""
    identities: Mapping[str, TlsClient] = field(default_factory=dict)
    """By name, for vendors with another certificate of ours or another expectation."""

    @classmethod
    def load(cls, settings: TlsSettings) -> "TlsContexts":
        """Read the files; raises TlsFileError where one is missing, unreadable, or not what its key says."""
        client = cache(
            _client
        )  # many identities differ by the vendor's name alone, and trusted roots take long to load
        identities = {
            each.name: TlsClient(client(_as_identity(settings, each)), each.server_name) for each in settings.identities
        }
        browsers = _listening(replace(settings, verify_client=VerifyClient.NO))
        return cls(_listening(settings), client(replace(settings, identities=())), browsers, identities)

    def towards(self, identity: str) -> TlsClient | None:
        """Return what a vendor with that identity is connected with, empty = the common one; None if there is none."""
        return self.identities.get(identity) if identity else TlsClient(self.client)


def check_pair(certificate: Path, private_key: Path) -> None:
    """Raise TlsFileError unless a server can show a certificate with its key."""
    settings = TlsSettings(certificate, private_key)
    _require_pem(settings)
    _show_certificate(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), settings)


def _listening(settings: TlsSettings) -> ssl.SSLContext:
    """Return the context of a listener, which shows the certificate of the name that a caller asks for.

    Callers are verified by the roots of ``sip.tls`` alone: a vendor's own authority must not name our customers.
    """
    context = _server(settings)
    by_name = {
        name: _server(replace(_as_identity(settings, each), ca=settings.ca))
        for each in settings.identities
        for name in each.host_names
    }
    if by_name:
        context.sni_callback = partial(_choose, by_name)
    return context


def _server(settings: TlsSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = _DEMANDS[settings.verify_client]
    return _prepared(context, settings)


def _client(settings: TlsSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not settings.verify_server:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return _prepared(context, settings)


def _prepared(context: ssl.SSLContext, settings: TlsSettings) -> ssl.SSLContext:
    _require_pem(settings)
    context.minimum_version = _VERSIONS[settings.min_version]
    if settings.forward_secrecy:
        context.set_ciphers(EPHEMERAL_SUITES)
    elif not _has_suites_of_openssl():
        context.set_ciphers(_ANY)
    keep_handshakes_short(context)
    _show_certificate(context, settings)
    if settings.ca is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(settings.ca)
    return context


def keep_handshakes_short(context: ssl.SSLContext, *, until_end: bool = False) -> None:
    """Refuse in new connections what would have all calls wait for a handshake (ADR 259, ADR 260).

    ``until_end`` is that of ``limit_handshakes``.
    """
    leave_out_slow_ones(context)
    if not limit_handshakes(context, until_end=until_end):
        _warn_of_unlimited_handshakes()


@cache
def _warn_of_unlimited_handshakes() -> None:
    _log.warning(
        "handshakes_not_limited",
        why="OpenSSL is a part of this Python, or the system lets no memory be executed",
        means="one handshake may hold up all calls for seconds",
        do="run vosd by a Python that uses the OpenSSL of the system",
    )


@cache
def _has_suites_of_openssl() -> bool:
    """Return whether a new context has the suites of OpenSSL and its configuration, not a list of Python's own."""
    return "--with-ssl-default-suites=openssl" in str(sysconfig.get_config_var("CONFIG_ARGS"))


def _as_identity(settings: TlsSettings, identity: TlsIdentity) -> TlsSettings:
    """Return the settings with what an identity has otherwise."""
    return replace(
        settings,
        certificate=identity.certificate or settings.certificate,
        private_key=identity.private_key or settings.private_key,
        ca=identity.ca or settings.ca,
        verify_server=identity.verify_server,
        identities=(),
    )


def _choose(
    by_name: Mapping[str, ssl.SSLContext], connection: ssl.SSLObject, wanted: str | None, _first: ssl.SSLContext
) -> None:
    """Show the certificate of the name that a caller asks for; without one, or for another, the common one."""
    context = by_name.get((wanted or "").lower())
    if context is not None:
        connection.context = context


def is_of(certificate: Mapping[str, Any] | None, wanted: str) -> bool:
    """Return whether a verified certificate bears a name, to the letter, or an address in any way to write it."""
    addresses = {
        plain_host(value) for kind, value in (certificate or {}).get("subjectAltName", ()) if kind == "IP Address"
    }
    return wanted.lower() in names_in(certificate) or plain_host(wanted) in addresses


def bears(certificate: Mapping[str, Any] | None, wanted: str) -> bool:
    """Return whether a vendor's verified certificate bears a name, by a wildcard for its first label, too."""
    return is_of(certificate, wanted) or f"*.{wanted.lower().partition('.')[2]}" in names_in(certificate)


def names_in(certificate: Mapping[str, Any] | None) -> frozenset[str]:
    """Return the names that a verified certificate bears (RFC 5922 section 7.1), in lower case; none = no certificate.

    They are its DNS names and SIP domains, else, where it has no alternative names at all, its common name.
    """
    if not certificate:
        return frozenset()
    entries = certificate.get("subjectAltName", ())
    found = {value.lower() for kind, value in entries if kind == "DNS"}
    found |= {value[4:].lower() for kind, value in entries if kind == "URI" and value[:4].lower() == "sip:"}
    if not entries:
        subject = [pair for part in certificate.get("subject", ()) for pair in part]
        found = {value.lower() for kind, value in subject if kind == "commonName"}
    return frozenset(found)


def has_expired(certificate: Mapping[str, Any] | None, now_s: float) -> bool:
    """Return whether a verified certificate is valid no more, at a time of the wall clock in seconds.

    OpenSSL looks at its dates in a full handshake only, not where a session is resumed.
    """
    return (
        certificate is not None
        and "notAfter" in certificate
        and (ssl.cert_time_to_seconds(certificate["notAfter"]) < now_s)
    )


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
            if may_wait(path.stat().st_mode):
                raise TlsFileError(key, path, "a file that can be read: no pipe, socket or device")
            path.read_bytes()
        except OSError as error:
            raise TlsFileError(key, path, f"a file that can be read: {error.strerror}") from error
        if key != "private_key":
            _require_certificates(key, path)


def _require_certificates(key: str, path: Path) -> None:
    context, why = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), None
    try:
        context.load_verify_locations(cafile=path)
    except ssl.SSLError as error:
        why = error
    if why is not None or not context.cert_store_stats()["x509"]:  # it may have a list of revoked ones alone
        raise TlsFileError(key, path, "certificates in PEM form") from why


def _show_certificate(context: ssl.SSLContext, settings: TlsSettings) -> None:
    try:
        # An encrypted key would otherwise be asked for on the terminal.
        context.load_cert_chain(settings.certificate, settings.private_key, password=lambda: b"")
    except ssl.SSLError as error:
        expected = "the key of the certificate, in PEM form, not encrypted"
        raise TlsFileError("private_key", settings.private_key, expected) from error
