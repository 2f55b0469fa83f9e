"""Mapping gateways and phones: from keys to the definitions of the catalogue."""

from collections.abc import Mapping
from typing import Final

from vosd.base.number import for_matching
from vosd.catalogue.parameters import CallParameters
from vosd.catalogue.problems import ProblemList
from vosd.config.assembly.conversion import Conversion, by_name, full_conversion, require_all_used
from vosd.config.assembly.credentials import read_credentials
from vosd.config.assembly.inventory import Written
from vosd.config.assembly.media import MEDIA, trunk_media
from vosd.config.assembly.session_timers import session_timer_settings
from vosd.config.assembly.sounds import check_announcements
from vosd.config.assembly.stir import caller_signatures
from vosd.config.assembly.trunk_headers import caller_format, trunk_causes, trunk_headers
from vosd.config.keys.dynamic_blacklist import DynamicBlacklistKeys
from vosd.config.keys.parameters import ParameterKeys
from vosd.config.keys.stir import StirKeys
from vosd.config.keys.transfers import TransferKeyKeys
from vosd.config.keys.trunks import MappingGatewayKeys, PhoneKeys
from vosd.trunks.dialect import CallerDialect, CallerSource, TransferKeys
from vosd.trunks.gateways import CallerLimits, CallerNumbers, HostName, HostPattern, MappingGateway
from vosd.trunks.number_rules import IncomingNumbers
from vosd.trunks.phone import Phone

_TRANSFER_NAMES: Final = {"transfer": "transfers"}
_BY_HAND: Final = {
    "announcements": "announcements",
    "transfer_display": "transfer_display",
    "transfer_keys": "transfer_keys",
    "session_timer": "session_timer",
}
_TRANSFER_KEYS: Final = full_conversion(TransferKeyKeys, TransferKeys)

_DIALECT: Final = Conversion(
    MappingGatewayKeys,
    CallerDialect,
    renamed={**_TRANSFER_NAMES, "reliable_provisionals": "reliability", "reason": "reasons"},
    by_hand={**_BY_HAND, "reject_codes": "reject_codes", "headers": "headers", "bodies": "bodies", "causes": "causes"},
    is_shared=True,
)
_GATEWAY: Final = Conversion(
    MappingGatewayKeys,
    MappingGateway,
    by_hand={**by_name("dynamic_blacklist groups hosts media stir"), "auth": "credentials"},
)
_NUMBERS: Final = Conversion(
    MappingGatewayKeys, IncomingNumbers, by_hand={"caller_format": "caller_format"}, is_shared=True
)
require_all_used(
    MappingGatewayKeys,
    _DIALECT,
    _GATEWAY,
    _NUMBERS,
    MEDIA,
    elsewhere={"preset": "other defaults, before the keys are read"},
)

_PHONE_DIALECT: Final = Conversion(PhoneKeys, CallerDialect, renamed=_TRANSFER_NAMES, by_hand=_BY_HAND, is_shared=True)
_PHONE_GATEWAY: Final = Conversion(
    PhoneKeys,
    MappingGateway,
    renamed={"number": "name"},
    by_hand={
        **by_name("caller_numbers dynamic_blacklist media"),
        "username": "credentials",
        "password": "credentials",
        "password_file": "credentials",
        "ha1_md5": "credentials",
        "ha1_sha256": "credentials",
        "domain": "credentials",
    },
)
_PHONE: Final = Conversion(PhoneKeys, Phone)
_PHONE_NUMBERS: Final = Conversion(PhoneKeys, IncomingNumbers)
require_all_used(PhoneKeys, _PHONE_DIALECT, _PHONE_GATEWAY, _PHONE, _PHONE_NUMBERS, MEDIA)
_OWN_KEYS: Final = (_GATEWAY.used | {"preset"}) - (
    _DIALECT.used | _NUMBERS.used | MEDIA.used | {"auth", "dynamic_blacklist", "stir"}
)
"""Keys that decide no part of a mapping gateway, only values of its own."""
_NO_RULES: Final = IncomingNumbers()
_NONE: Final[frozenset[str]] = frozenset()
"""One for all trunks: an empty set takes 216 bytes."""
_NO_CODES: Final[Mapping[str, int]] = {}
_NO_SOUNDS: Final[Mapping[str, str]] = {}

_SHOWN_BY_PHONES: Final = (CallerSource.PREFERRED, CallerSource.FROM)
"""A telephone may prefer a number, never assert one (RFC 3325 section 9.1)."""


class MappingGateways:
    """Makes the mapping gateways of one configuration; those with keys of their own alone have all parts in common."""

    def __init__(
        self, parameters: ParameterKeys, installation: CallParameters, stir: StirKeys, problems: ProblemList
    ) -> None:
        self._parameters = parameters
        self._installation = installation
        self._stir = stir
        self._problems = problems
        self._usual: MappingGateway | None = None
        """Gateway without any key."""

    def gateway(self, written: Written[MappingGatewayKeys]) -> MappingGateway:
        """Return a customer's trunk, its password read."""
        keys = written.thing
        own = _own_parts(keys)
        if not keys.__pydantic_fields_set__ <= _OWN_KEYS:
            return _GATEWAY(keys, **own, **self._parts(written))
        if self._usual is None:
            self._usual = _GATEWAY.usual(**own, **self._parts(written))
        return _GATEWAY.varied(self._usual, keys, **own)

    def _parts(self, written: Written[MappingGatewayKeys]) -> dict[str, object]:
        """Return the values of the fields that keys beside the own ones decide."""
        keys, credentials = written.thing, None
        if keys.auth.is_given:
            section, label = written.inner("auth")
            digest = self._installation.digest
            credentials = read_credentials(
                keys.auth,
                keys.auth.username,
                section,
                label,
                digest,
                self._problems,
                is_remote=digest.gateways_are_remote,
            )
        dialect = _DIALECT(
            keys,
            **_spoken(keys, self._parameters),
            reject_codes=keys.reject_codes or _NO_CODES,
            headers=trunk_headers(keys.headers),
            bodies=frozenset(keys.bodies.passes) or _NONE,
            causes=trunk_causes(keys.causes),
        )
        _check_announcements(written, self._installation, self._problems)
        return {
            "dialect": dialect,
            "credentials": credentials,
            "dynamic_blacklist": caller_limits(keys.dynamic_blacklist),
            "numbers": _numbers(_NUMBERS(keys, caller_format=caller_format(keys.caller_format))),
            "media": trunk_media(written, self._installation, self._problems),
            "stir": caller_signatures(written, self._stir, self._problems),
        }


def _own_parts(keys: MappingGatewayKeys) -> dict[str, object]:
    """Return the values of the fields that are not copied and that each gateway has of its own."""
    hosts = keys.hosts
    names = tuple(each for each in hosts if isinstance(each, HostName)) if HostName in map(type, hosts) else ()
    return {
        "groups": frozenset(keys.groups) if keys.groups else _NONE,
        "hosts": tuple(each for each in hosts if isinstance(each, HostPattern)) if names else hosts,
        "named_hosts": names,
    }


def phone(
    written: Written[PhoneKeys], parameters: ParameterKeys, installation: CallParameters, problems: ProblemList
) -> Phone:
    """Return a phone, its password read."""
    keys = written.thing
    username = keys.username or keys.number
    _check_announcements(written, installation, problems)
    media = trunk_media(written, installation, problems)
    digest = installation.digest
    gateway = _PHONE_GATEWAY(
        keys,
        caller_numbers=CallerNumbers(keys.number, frozenset(map(for_matching, keys.caller_numbers))),
        dialect=_PHONE_DIALECT(keys, **_spoken(keys, parameters), caller_from=_SHOWN_BY_PHONES),
        credentials=read_credentials(
            keys, username, written.section, written.label, digest, problems, is_remote=digest.phones_are_remote
        ),
        dynamic_blacklist=caller_limits(keys.dynamic_blacklist),
        numbers=_numbers(_PHONE_NUMBERS(keys)),
        media=media,
    )
    return _PHONE(keys, gateway=gateway)


def _check_announcements(
    written: Written[MappingGatewayKeys] | Written[PhoneKeys], installation: CallParameters, problems: ProblemList
) -> None:
    """Report announcements that name no sound, or one that is too long."""
    if wanted := written.thing.announcements:
        check_announcements(wanted, installation.sounds, written.section.place_of, f"{written.label}.", problems)


def _numbers(configured: IncomingNumbers) -> IncomingNumbers | None:
    return None if configured == _NO_RULES else configured


def _spoken(keys: MappingGatewayKeys | PhoneKeys, parameters: ParameterKeys) -> dict[str, object]:
    """Return what the dialects of trunks and phones have in common and is not copied."""
    shown = keys.transfer_display
    return {
        "transfer_display": shown.display,
        "transfer_number": shown.number,
        "announcements": keys.announcements or _NO_SOUNDS,
        "transfer_keys": _TRANSFER_KEYS(keys.transfer_keys) if keys.transfer_keys.is_given else None,
        "session_timer": session_timer_settings(keys.session_timer, parameters),
    }


_LIMITS: Final = full_conversion(DynamicBlacklistKeys, CallerLimits)


def caller_limits(keys: DynamicBlacklistKeys) -> CallerLimits | None:
    """Return the limits; None where the file has none."""
    return _LIMITS(keys) if keys.is_given else None
