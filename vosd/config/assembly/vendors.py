"""Routing gateways: from keys to the definitions of the catalogue."""

from typing import Final

from msgspec.structs import replace

from vosd.base.credentials import Login
from vosd.base.nat import Nat
from vosd.catalogue.parameters import CallParameters
from vosd.catalogue.problems import ProblemList
from vosd.catalogue.source import PREFIXES_FROM_RATES
from vosd.config.assembly.conversion import Conversion, by_name, full_conversion, require_all_used
from vosd.config.assembly.credentials import read_credentials, read_login
from vosd.config.assembly.inventory import Written
from vosd.config.assembly.media import MEDIA, trunk_media
from vosd.config.assembly.session_timers import session_timer_settings
from vosd.config.assembly.sounds import check_sound, missing_player
from vosd.config.assembly.stir import vendor_signatures
from vosd.config.assembly.trunk_headers import caller_format, number_format, trunk_causes, trunk_headers
from vosd.config.assembly.trunk_tls import identity_name
from vosd.config.keys.parameters import ParameterKeys
from vosd.config.keys.routing import RoutingKeys
from vosd.config.keys.stir import StirKeys
from vosd.config.keys.trunks import RoutingGatewayKeys
from vosd.config.keys.vendors import PingKeys, RegisterKeys
from vosd.config.reader.numbers import FROM_RATES
from vosd.routing.failover import BUSY_CODES, EVERY_CODE, FAILOVER_CODES, LOOP_CODES
from vosd.trunks.announcements import GatewayKind, GatewaySound
from vosd.trunks.dialect import CalleeDialect, IdentityHeader
from vosd.trunks.gateways import Address, Ping, Registration, RoutingGateway
from vosd.trunks.number_rules import OutgoingNumbers
from vosd.trunks.stir import VendorSignatures

_DIALECT: Final = Conversion(
    RoutingGatewayKeys,
    CalleeDialect,
    renamed={"reliable_provisionals": "reliability", "reason": "reasons"},
    by_hand={
        **by_name(
            "identity interface nat reject_codes session_timer request_host route headers bodies causes "
            "number_format stir"
        ),
        "strict_proxy": "is_strict",
    },
)
_GATEWAY: Final = Conversion(
    RoutingGatewayKeys,
    RoutingGateway,
    by_hand={
        **by_name(
            "groups prefixes failover_codes failover_causes stop_causes failover_after_ringing "
            "stop_after_early_media registration media sound tls"
        ),
        "address": "addresses",
        "outbound_proxy": "addresses",
        "auth": "login",
        "dynamic": "credentials",
        "options_ping": "ping",
        "kind": "sound",
        "repeat": "sound",
        "end_code": "sound",
    },
)
_NUMBERS: Final = Conversion(RoutingGatewayKeys, OutgoingNumbers, by_hand={"caller_format": "caller_format"})
require_all_used(
    RoutingGatewayKeys,
    _DIALECT,
    _GATEWAY,
    _NUMBERS,
    MEDIA,
    elsewhere={"preset": "other defaults, before the keys are read"},
)
_NO_RULES: Final = OutgoingNumbers()

_REGISTRATION: Final = full_conversion(
    RegisterKeys,
    Registration,
    by_hand={
        **by_name("server domain contact_user"),
        "username": "user",
        "password": "login",
        "password_file": "login",
    },
)

_PING: Final = full_conversion(PingKeys, Ping, by_hand={"interval": "interval_ms"})


def routing_gateway(
    written: Written[RoutingGatewayKeys],
    parameters: ParameterKeys,
    routing: RoutingKeys,
    installation: CallParameters,
    stir: StirKeys,
    problems: ProblemList,
) -> RoutingGateway:
    """Return a vendor's trunk, its passwords read; ``routing``, ``installation`` and ``stir`` hold for all gateways."""
    keys = written.thing
    login, registered = _logins(written, problems)
    credentials = None
    if keys.dynamic.is_given:
        section, label = written.inner("dynamic")
        credentials = read_credentials(
            keys.dynamic, keys.dynamic.username, section, label, installation.digest, problems
        )
    numbers = _NUMBERS(keys, caller_format=caller_format(keys.caller_format))
    gateway = _GATEWAY(
        keys,
        numbers=None if numbers == _NO_RULES else numbers,
        groups=frozenset(keys.groups),
        addresses=_addresses(keys),
        prefixes=_prefixes(keys),
        failover_codes=_failover_codes(keys, parameters, routing),
        failover_causes=frozenset(routing.failover_causes if keys.failover_causes is None else keys.failover_causes),
        stop_causes=frozenset(routing.stop_causes if keys.stop_causes is None else keys.stop_causes),
        failover_after_ringing=_or_else(keys.failover_after_ringing, parameters.switch_until_connect),
        stop_after_early_media=_or_else(keys.stop_after_early_media, parameters.stop_after_rtp_start),
        dialect=_dialect(keys, parameters, installation, vendor_signatures(written, stir, problems)),
        login=login,
        registration=None if registered is None else _registration(keys.registration, registered),
        credentials=credentials,
        ping=_ping(keys.options_ping),
        media=trunk_media(written, installation, problems),
        sound=_sound(written, installation, problems),
        tls=identity_name(written),
    )
    if gateway.sound is not None:
        return replace(gateway, allow_unrated=True)  # nothing is bought of it
    if gateway.allow_unrated and "prefixes" not in keys.model_fields_set:
        expected = 'prefixes, which may be "*": with allow_unrated it takes every number, at any cost'
        problems.warning(written.section.place, written.label, expected)
    return gateway


def _sound(
    written: Written[RoutingGatewayKeys], installation: CallParameters, problems: ProblemList
) -> GatewaySound | None:
    """Return the sound of an announcement; None for a trunk."""
    keys, place_of = written.thing, written.section.place_of
    if keys.kind is not GatewayKind.ANNOUNCEMENT or keys.sound is None:
        return None
    check_sound(keys.sound, installation.sounds, place_of("sound"), f"{written.label}.sound", problems)
    if (missing := missing_player(installation.media)) is not None:
        problems.warning(place_of("sound"), f"{written.label}.sound", missing, keys.sound)
    return GatewaySound(keys.sound, keys.repeat, keys.end_code)


def _or_else(own: bool | None, otherwise: bool) -> bool:
    return otherwise if own is None else own


def _failover_codes(keys: RoutingGatewayKeys, parameters: ParameterKeys, routing: RoutingKeys) -> frozenset[int] | None:
    """Return the codes of the gateway, else those of the installation, else what the parameters make of the default."""
    written = routing.failover_codes if keys.failover_codes is None else keys.failover_codes
    if written is not None:
        return frozenset(written)
    if parameters.switch_until_connect:
        codes = EVERY_CODE - LOOP_CODES
        return codes - BUSY_CODES if parameters.stop_after_user_busy else codes
    return None if parameters.stop_after_user_busy else FAILOVER_CODES | BUSY_CODES


def _dialect(
    keys: RoutingGatewayKeys,
    parameters: ParameterKeys,
    installation: CallParameters,
    signatures: VendorSignatures | None,
) -> CalleeDialect:
    proxy = keys.outbound_proxy
    return _DIALECT(
        keys,
        identity=tuple(header for header in dict.fromkeys(keys.identity) if header is not IdentityHeader.FROM),
        interface=None if keys.interface is None else str(keys.interface),
        nat=Nat.AUTO if keys.dynamic.is_given and "nat" not in keys.model_fields_set else keys.nat,
        reject_codes=keys.reject_codes or {},
        session_timer=session_timer_settings(keys.session_timer, parameters),
        request_host=keys.request_host or (_host_of(keys.address[0]) if proxy is not None else ""),
        route=keys.route if proxy is None else (_route_of(proxy, is_strict=keys.strict_proxy), *keys.route),
        is_strict=keys.strict_proxy,
        headers=trunk_headers(keys.headers),
        bodies=frozenset(keys.bodies.passes),
        causes=trunk_causes(keys.causes),
        number_format=number_format(keys.number_format, installation.special_numbers.emergency),
        stir=signatures,
    )


def _route_of(proxy: Address, *, is_strict: bool) -> str:
    return f"<sip:{proxy}{'' if is_strict else ';lr'}>"


def _host_of(address: Address) -> str:
    """Return an address as it stands in a Request-URI: a name without a port that was not written."""
    return str(address._replace(transport=None))


def _addresses(keys: RoutingGatewayKeys) -> tuple[Address, ...]:
    server = keys.registration.server
    if keys.outbound_proxy is not None:
        return (keys.outbound_proxy,)
    return keys.address or (() if server is None else (server,))


def _prefixes(keys: RoutingGatewayKeys) -> tuple[str, ...]:
    if FROM_RATES in keys.prefixes:
        return PREFIXES_FROM_RATES
    return tuple(dict.fromkeys(keys.prefixes)) or ("*",)


def _logins(written: Written[RoutingGatewayKeys], problems: ProblemList) -> tuple[Login | None, Login | None]:
    """Return the logins for calls and for the registration; where only one is given it serves both."""
    auth, register = written.thing.auth, written.thing.registration
    calls = registered = None
    if auth.is_given:
        calls = read_login(auth.username, auth, *written.inner("auth"), problems)
    if register.is_given and register.has_password:
        username = register.username or auth.username
        registered = read_login(username, register, *written.inner("register"), problems)
    return calls or registered, registered or calls


def _registration(keys: RegisterKeys, login: Login) -> Registration | None:
    if keys.server is None:
        return None
    user = keys.username or login.username
    return _REGISTRATION(
        keys,
        server=keys.server,
        domain=keys.domain or keys.server.host,
        user=user,
        contact_user=keys.contact_user or user,
        login=login,
    )


def _ping(keys: PingKeys) -> Ping | None:
    return None if keys.interval is None else _PING(keys, interval_ms=keys.interval)
