"""Settings of sockets, with the files of TLS read: a bad file is a mistake of the line that names it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from vosd.catalogue.problems import ProblemList, SourceLine
from vosd.config.assembly.conversion import full_conversion
from vosd.config.assembly.sockets import Reach
from vosd.config.keys.protection import ConnectionKeys, ShieldKeys
from vosd.config.keys.sip import SipKeys
from vosd.config.keys.tls import TlsIdentityKeys, TlsKeys
from vosd.net.marking import TrafficClass
from vosd.net.settings import ConnectionLimits, TlsIdentity, TlsSettings, TransportSettings
from vosd.net.shield import ShieldSettings
from vosd.net.tls import TlsContexts, TlsFileError

_CONNECTIONS: Final = full_conversion(
    ConnectionKeys,
    ConnectionLimits,
    renamed={
        "max": "most",
        "max_per_source": "most_per_source",
        "max_unknown": "most_unknown",
        "max_unknown_per_source": "most_unknown_per_source",
        "idle_timeout": "idle_ms",
        "keepalive": "ping_ms",
        "keepalive_timeout": "pong_ms",
    },
)
_SHIELD: Final = full_conversion(
    ShieldKeys, ShieldSettings, renamed={"stranger_rate": "unknown_rate", "stranger_burst": "unknown_burst"}
)
_FILES: Final = {"certificate": "certificate", "private_key": "private_key", "ca": "ca"}
_TLS: Final = full_conversion(TlsKeys, TlsSettings, by_hand={**_FILES, "identities": "identities"})
_IDENTITY: Final = full_conversion(TlsIdentityKeys, TlsIdentity, by_hand=_FILES)


def read_transports(
    keys: SipKeys,
    marking: TrafficClass,
    places: Mapping[str, SourceLine],
    trunks: Iterable[Reach],
    problems: ProblemList,
) -> tuple[TransportSettings, TlsContexts | None]:
    """Return the settings, and the contexts of new TLS connections; None where TLS is not used.

    ``trunks`` are the gateways that have their own certificate in ``tls``, and others.
    """
    own = {each.tls: each for each in trunks if each.own_tls is not None}
    tls = _tls(keys.tls, places, own.values())
    settings = TransportSettings(
        marking, _CONNECTIONS(keys.connections), tls, _SHIELD(keys.shield), keys.websocket.origins
    )
    if tls is None:
        for each in own.values():
            expected = "sip.tls with certificate and private_key, which are shown to everyone else"
            problems.error(*each.at("tls"), expected)
        return settings, None
    try:
        return settings, TlsContexts.load(tls)
    except TlsFileError as error:
        place, key = _named_at(error, tls, places, own.values())
        problems.error(place, key, error.expected, str(error.path))
        return settings, None


def _named_at(
    error: TlsFileError, tls: TlsSettings, places: Mapping[str, SourceLine], own: Iterable[Reach]
) -> tuple[SourceLine, str]:
    """Return where a wrong file is named, and by which key."""
    for trunk in own:
        if trunk.own_tls is not None and error.path in {trunk.own_tls.certificate, trunk.own_tls.private_key}:
            return trunk.at("tls")
    is_common = error.path in {tls.certificate, tls.private_key, tls.ca}
    key = f"sip.tls.{error.key}" if is_common else "sip.tls.identities"
    return places[key], key


def _tls(keys: TlsKeys, places: Mapping[str, SourceLine], own: Iterable[Reach]) -> TlsSettings | None:
    if keys.certificate is None or keys.private_key is None:
        return None
    return _TLS(
        keys,
        certificate=_beside(places["sip.tls.certificate"], keys.certificate),
        private_key=_beside(places["sip.tls.private_key"], keys.private_key),
        ca=None if keys.ca is None else _beside(places["sip.tls.ca"], keys.ca),
        identities=(
            *(_identity(each, places["sip.tls.identities"]) for each in keys.identities),
            *(each.own_tls for each in own),
        ),
    )


def _identity(keys: TlsIdentityKeys, named_at: SourceLine) -> TlsIdentity:
    files = {
        key: None if path is None else _beside(named_at, path)
        for key, path in (("certificate", keys.certificate), ("private_key", keys.private_key), ("ca", keys.ca))
    }
    return _IDENTITY(keys, **files)


def _beside(named_at: SourceLine, path: Path) -> Path:
    """Return the path of a file, which is relative to the file that names it."""
    return Path(named_at.file).parent / path
