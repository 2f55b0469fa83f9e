"""Settings of sockets, with the files of TLS read: a bad file is a mistake of the line that names it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from vosd.catalogue.problems import DefinitionProblem, ProblemList, SourceLine
from vosd.config.assembly.certificate_ends import certificate_ends
from vosd.config.assembly.conversion import full_conversion
from vosd.config.assembly.sockets import Reach
from vosd.config.keys.api import ApiTlsKeys
from vosd.config.keys.installation import InstallationKeys
from vosd.config.keys.protection import ConnectionKeys, ShieldKeys
from vosd.config.keys.tls import TlsIdentityKeys, TlsKeys
from vosd.net.marking import TrafficClass
from vosd.net.settings import ConnectionLimits, TlsIdentity, TlsSettings, TransportSettings
from vosd.net.shield import ShieldSettings
from vosd.net.tls import TlsContexts, TlsFileError, check_pair

_CONNECTIONS: Final = full_conversion(
    ConnectionKeys,
    ConnectionLimits,
    renamed={
        "max": "most",
        "max_per_source": "most_per_source",
        "max_unknown": "most_unknown",
        "max_unknown_per_source": "most_unknown_per_source",
        "max_own_per_source": "most_own_per_source",
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


class ReadTransports(NamedTuple):
    """Sockets, and the content of the files of TLS."""

    settings: TransportSettings
    tls: TlsContexts | None
    """The contexts of new connections; None = TLS is not used."""
    certificate_ends: Mapping[str, int]
    """End of the first of our certificates in each file, those of the API included, UTC milliseconds."""
    api_problems: tuple[DefinitionProblem, ...]
    """Mistakes in the files of the API, which no call needs."""


def read_transports(
    installation: InstallationKeys,
    marking: TrafficClass,
    places: Mapping[str, SourceLine],
    trunks: Iterable[Reach],
    now_ms: int,
    problems: ProblemList,
) -> ReadTransports:
    """Return the settings with what the files of TLS contain; a file of SIP that is wrong is an error.

    ``trunks`` are the gateways that have their own certificate in ``tls``, and others.
    """
    keys, unfit = installation.sip, _unfit(installation.api.tls, places)
    api = ApiTlsKeys() if unfit else installation.api.tls
    own = {each.tls: each for each in trunks if each.own_tls is not None}
    tls = _tls(keys.tls, places, own.values())
    settings = TransportSettings(
        marking, _CONNECTIONS(keys.connections), tls, _SHIELD(keys.shield), keys.websocket.origins
    )
    if tls is None:
        for each in own.values():
            expected = "sip.tls with certificate and private_key, which are shown to everyone else"
            problems.error(*each.at("tls"), expected)
        return ReadTransports(settings, None, certificate_ends(_shown(None, api, places, ()), now_ms, problems), unfit)
    try:
        contexts = TlsContexts.load(tls)
    except TlsFileError as error:
        place, key = _named_at(error, tls, places, own.values())
        problems.error(place, key, error.expected, str(error.path))
        return ReadTransports(settings, None, {}, unfit)
    ends = certificate_ends(_shown(tls, api, places, own.values()), now_ms, problems)
    return ReadTransports(settings, contexts, ends, unfit)


def _unfit(api: ApiTlsKeys, places: Mapping[str, SourceLine]) -> tuple[DefinitionProblem, ...]:
    """Return the mistake in the files of the API, with which its process would be started again and end each time."""
    problems = ProblemList()
    if api.certificate is not None and api.key is not None:
        try:
            check_pair(api.certificate, api.key)
        except TlsFileError as error:
            key = "api.tls.key" if error.key == "private_key" else "api.tls.certificate"
            problems.error(places[key], key, error.expected, str(error.path))
    return problems.in_order()


def _shown(
    tls: TlsSettings | None, api: ApiTlsKeys, places: Mapping[str, SourceLine], trunks: Iterable[Reach]
) -> Mapping[Path, tuple[SourceLine, str]]:
    """Return the files of our certificates for SIP and for the API, with the place and the key that name them."""
    shown = {}
    if api.certificate is not None:
        shown[api.certificate] = (places["api.tls.certificate"], "api.tls.certificate")
    if tls is None:
        return shown
    shown[tls.certificate] = (places["sip.tls.certificate"], "sip.tls.certificate")
    for trunk in trunks:
        if trunk.own_tls is not None and trunk.own_tls.certificate is not None:
            shown.setdefault(trunk.own_tls.certificate, trunk.at("tls"))
    for each in tls.identities:
        if each.certificate is not None and each.certificate not in shown:
            shown[each.certificate] = (places["sip.tls.identities"], "sip.tls.identities")
    return shown


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
            *(_identity(each, places[f"sip.tls.identities[{at}]"]) for at, each in enumerate(keys.identities)),
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
