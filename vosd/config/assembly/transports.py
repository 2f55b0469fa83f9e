"""Settings of sockets, with the files of TLS read: a bad file is a mistake of the line that names it."""

from collections.abc import Mapping
from pathlib import Path

from vosd.catalogue.problems import Place, ProblemList
from vosd.config.keys.protection import ConnectionKeys, ShieldKeys
from vosd.config.keys.sip import SipKeys
from vosd.config.keys.tls import TlsKeys
from vosd.net.marking import TrafficClass
from vosd.net.settings import ConnectionLimits, TlsSettings, TransportSettings
from vosd.net.shield import ShieldSettings
from vosd.net.tls import TlsContexts, TlsFileError


def read_transports(
    keys: SipKeys, marking: TrafficClass, places: Mapping[str, Place], problems: ProblemList
) -> tuple[TransportSettings, TlsContexts | None]:
    """Return the settings, and the contexts of new TLS connections; None where TLS is not used."""
    tls = _tls(keys.tls, places)
    settings = TransportSettings(marking, _limits(keys.connections), tls, _shield(keys.shield))
    if tls is None:
        return settings, None
    try:
        return settings, TlsContexts.load(tls)
    except TlsFileError as error:
        key = f"sip.tls.{error.key}"
        problems.error(places[key], key, error.expected, str(error.path))
        return settings, None


def _limits(keys: ConnectionKeys) -> ConnectionLimits:
    return ConnectionLimits(
        keys.max,
        keys.max_per_source,
        keys.max_unknown,
        keys.idle_timeout,
        keys.unknown_rate,
        keys.unknown_rate_per_source,
        keys.max_unknown_per_source,
    )


def _shield(keys: ShieldKeys) -> ShieldSettings:
    return ShieldSettings(keys.stranger_rate, keys.stranger_burst, keys.gateway_rate, keys.block, keys.scanners)


def _tls(keys: TlsKeys, places: Mapping[str, Place]) -> TlsSettings | None:
    if keys.certificate is None or keys.private_key is None:
        return None
    return TlsSettings(
        certificate=_beside(places["sip.tls.certificate"], keys.certificate),
        private_key=_beside(places["sip.tls.private_key"], keys.private_key),
        ca=None if keys.ca is None else _beside(places["sip.tls.ca"], keys.ca),
        verify_client=keys.verify_client,
        verify_server=keys.verify_server,
        min_version=keys.min_version,
    )


def _beside(named_at: Place, path: Path) -> Path:
    """Return the path of a file, which is relative to the file that names it."""
    return Path(named_at.file).parent / path
