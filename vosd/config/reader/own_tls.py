"""TLS of one trunk as operators write it: the name of an identity, or keys such as ``{certificate: F, key: F}``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from vosd.config.reader.addresses import dns_name
from vosd.config.reader.fields import FromText, KeyProblemError, object_name
from vosd.config.reader.files import file_path

_READINGS: Final = {"certificate": file_path(), "key": file_path(), "name": dns_name()}


class OwnTls(NamedTuple):
    """Certificate of ours for one trunk, and the name that its own must bear."""

    certificate: Path | None = None
    """None = that of ``sip.tls``."""
    key: Path | None = None
    name: str = ""
    """Empty = the host name of the trunk, else its address."""


def identity_or_own_tls() -> FromText:
    """Read the name of an identity of ``sip.tls.identities``, or the certificate and name of one trunk alone."""
    identity = object_name()

    def read(written: str | Mapping[str, object]) -> object:
        if isinstance(written, str):
            return identity.read(written)
        found = OwnTls(**{key: _read(key, value) for key, value in written.items()})
        for key, other in (("certificate", "key"), ("key", "certificate")):
            if key in written and other not in written:
                raise KeyProblemError(other, f"the {other} beside the {key}, each in a PEM file")
        if not written:
            raise ValueError
        return found

    expected = "a name of sip.tls.identities, or keys such as {certificate: F, key: F, name: sip.example.net}"
    return FromText(expected, read, kind=(str, dict))


def _read(key: str, value: object) -> Any:
    reading = _READINGS.get(key)
    if reading is None:
        expected = f"one of {', '.join(_READINGS)}: sip.tls.identities has others, for a tls that names an identity"
        raise KeyProblemError(key, expected)
    try:
        return reading.read(str(value))
    except ValueError:
        raise KeyProblemError(key, reading.expected) from None
