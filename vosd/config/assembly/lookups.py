"""Servers that are asked about numbers: from keys to what calls and the engine need of them."""

from typing import Final

from vosd.config.assembly.conversion import Conversion, full_conversion, require_all_used
from vosd.config.keys.installation import InstallationKeys
from vosd.config.keys.number_portability import NumberPortabilityKeys
from vosd.config.keys.redirect_server import RedirectServerKeys
from vosd.engine.settings import CertificateSettings, LookupSettings, PortabilitySettings
from vosd.routing.lookups import PortabilityTerms, RedirectTerms

_SERVER: Final = Conversion(NumberPortabilityKeys, PortabilitySettings)
_TERMS: Final = Conversion(NumberPortabilityKeys, PortabilityTerms)
require_all_used(NumberPortabilityKeys, _SERVER, _TERMS)
_REDIRECT: Final = full_conversion(
    RedirectServerKeys, RedirectTerms, elsewhere={"address": "the engine, which asks there"}
)


def portability_terms(keys: NumberPortabilityKeys) -> PortabilityTerms | None:
    """Return what holds for calls; None where the file has no such section."""
    return _TERMS(keys, asks=bool(keys.url) or keys.server is not None) if keys.is_given else None


def redirect_terms(keys: RedirectServerKeys) -> RedirectTerms | None:
    """Return what holds for calls; None without such a server."""
    return None if keys.address is None else _REDIRECT(keys)


def lookup_settings(keys: InstallationKeys, certificates: CertificateSettings | None) -> LookupSettings:
    """Return where the servers are, and which certificates of callers are trusted."""
    portability = keys.number_portability
    is_asked = bool(portability.url) or portability.server is not None
    return LookupSettings(_SERVER(portability) if is_asked else None, keys.redirect_server.address, certificates)
