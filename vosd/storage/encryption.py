"""TLS to the server of the database, as the ``ssl_`` parameters of its URL ask for it.

SQLAlchemy makes a table of file names of them, and aiomysql takes nothing but a context.
"""

import ssl
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from sqlalchemy.engine import URL

from vosd.base.errors import VosError
from vosd.processes.server_trust import trust_in_servers

_CA: Final = "ssl_ca"
_CERTIFICATE: Final = "ssl_cert"
_KEY: Final = "ssl_key"
_CHECK_HOST: Final = "ssl_check_hostname"
_FILES: Final = (_CA, _CERTIFICATE, _KEY)
_KNOWN: Final = (*_FILES, _CHECK_HOST)
_SWITCH: Final = {"true": True, "1": True, "false": False, "0": False}


class EncryptionUnusable(VosError):  # noqa: N818 - describes what the URL asks for
    """TLS cannot be used as the URL of the database asks for it."""


def context_of(parameters: Mapping[str, object]) -> ssl.SSLContext | None:
    """Return how connections to the server are encrypted; None = there is no ``ssl_`` parameter, and they are not.

    The certificate of the server is always verified: by the file ``ssl_ca``, else by the authorities of the machine.

    Raises:
        EncryptionUnusable: a parameter is not known, or a file cannot be read.
    """
    asked = {name: value for name, value in parameters.items() if name.startswith("ssl_")}
    if not asked:
        return None
    names = {name: value for name, value in asked.items() if name in _KNOWN and isinstance(value, str)}
    if len(names) < len(asked):
        strange = ", ".join(sorted(asked.keys() - names.keys()))
        raise EncryptionUnusable(f"database.url: {strange}: expected each of {', '.join(_KNOWN)} once at most")
    checks_host = _SWITCH.get(names.get(_CHECK_HOST, "true").lower())
    if checks_host is None:
        raise EncryptionUnusable(f"database.url: {_CHECK_HOST}: expected true or false")
    if _KEY in names and _CERTIFICATE not in names:
        raise EncryptionUnusable(f"database.url: {_KEY}: expected {_CERTIFICATE} as well")
    context = _verifying(names.get(_CA))
    context.check_hostname = checks_host
    if _CERTIFICATE in names:
        _identify(context, names[_CERTIFICATE], names.get(_KEY))
    return context


class ServerEncryption:
    """TLS of the connections to come, by the files as they are when each is made: their owner renews them in place."""

    def __init__(self, parameters: Mapping[str, object]) -> None:
        """Read the files; raises as ``context_of``."""
        self._parameters = parameters
        self._read = self._states()
        self._context = context_of(parameters)

    def context(self) -> ssl.SSLContext | None:
        """Return how a new connection is encrypted; None = it is not.

        While renewed files cannot be used, as between the renewal of a certificate and of its key, those from before
        hold, and the next connection tries again.
        """
        states = self._states()
        if states != self._read:
            with suppress(EncryptionUnusable):  # the server judges what holds on; `vosd check` names the file
                self._context = context_of(self._parameters)
                self._read = states
        return self._context

    def _states(self) -> list[tuple[int, int, int] | None]:
        """Return what tells each file from the one that was read; None = there is none."""
        return [_state(str(self._parameters[name])) for name in _FILES if name in self._parameters]


def _state(file: str) -> tuple[int, int, int] | None:
    try:
        found = Path(file).stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def without_encryption(url: URL) -> URL:
    """Return the URL without what ``context_of`` reads."""
    return url.difference_update_query([name for name in url.query if name.startswith("ssl_")])


def _verifying(authorities: str | None) -> ssl.SSLContext:
    try:
        return trust_in_servers(authorities)
    except OSError as error:
        message = f"database.url: {_CA}: {authorities} cannot be read ({error}): expected certificates in PEM"
        raise EncryptionUnusable(message) from error


def _identify(context: ssl.SSLContext, certificate: str, key: str | None) -> None:
    """Have the switch show a certificate of its own. A key that needs a password would be asked for at a terminal."""
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except OSError as error:
        raise EncryptionUnusable(
            f"database.url: {_CERTIFICATE}: {certificate} and its key {key or certificate} cannot be used ({error}):"
            " expected PEM, a key that fits and has no password"
        ) from error


def _no_password() -> str:
    return ""
