"""Differences between the configuration in force and another one, by object and key.

The running switch describes its configuration in the same form (control verb ``configuration``). Rates are compared by
the version of their group, because a group may have a hundred thousand rows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import msgspec

from vosd.admin.ledger import shown_limit
from vosd.catalogue.catalogue import Catalogue
from vosd.catalogue.overrides import Setting, Target
from vosd.catalogue.versions import version_of
from vosd.control.installation import OverrideRow
from vosd.engine.settings import Settings
from vosd.net.settings import TransportSettings
from vosd.trunks.gateways import MappingGateway, RoutingGateway

Description = dict[str, dict[str, Any]]
"""Object, such as ``account acme``, to its keys and JSON values."""

_SECRET: Final = frozenset({"database_url"})
_PHONE_ITSELF: Final = frozenset({"number", "gateway"})
"""Fields of a phone that are described by its name and by its calling half."""


class RunningDifference(msgspec.Struct, frozen=True, omit_defaults=True):
    """One key with different values; for an object on one side only the key is ``""``."""

    object: str
    key: str
    running: Any
    file: Any
    override: str = ""
    """Override of a value by an operator: who, until when, and why."""


def describe(settings: Settings, transports: TransportSettings, catalogue: Catalogue) -> Description:
    """Return everything that an operator can change, except secrets."""
    plain = {key: value for key, value in asdict(settings).items() if key not in _SECRET}
    described: Description = {
        "settings": _builtins(plain),
        "transports": _builtins(asdict(transports)),
        "parameters": _builtins(catalogue.parameters),
    }
    for name, account in catalogue.accounts.items():
        described[f"account {name}"] = {**_builtins(account), "overdraft_limit": shown_limit(account.overdraft_limit)}
    for name, vendor in catalogue.routing_gateways.items():
        described[f"routing gateway {name}"] = _without_hashes(vendor)
    for name, gateway in catalogue.mapping_gateways.items():
        phone = catalogue.phones.get(name)
        if phone is None:
            described[f"mapping gateway {name}"] = _without_hashes(gateway)
        else:
            own = {field: value for field, value in _builtins(phone).items() if field not in _PHONE_ITSELF}
            described[f"phone {name}"] = {**own, **_without_hashes(gateway)}
    for name, group in catalogue.rate_groups.items():
        described[f"rate group {name}"] = {
            "currency": group.currency,
            "rates": group.table.size,
            "version": group.version,
        }
    for name, calendar in catalogue.calendars.items():
        described[f"calendar {name}"] = {
            "timezone": str(calendar.zone),
            "entries": _builtins(calendar)["entries"],
            "holidays": len(calendar.holidays),
            "version": version_of(calendar),
        }
    for name, numbers in catalogue.number_lists.items():
        described[f"number list {name}"] = {"patterns": len(numbers), "version": numbers.version}
    for name, pool in catalogue.number_pools.items():
        described[f"number pool {name}"] = _builtins(pool)
    return described


def _without_hashes(gateway: MappingGateway | RoutingGateway) -> dict[str, Any]:
    """Return a trunk or phone without its credentials, except the user name; its rules for numbers one by one."""
    proven = gateway.credentials
    described = _builtins(msgspec.structs.replace(gateway, credentials=None))
    numbers = described.pop("numbers") or {}
    return {**described, **numbers, "credentials": None if proven is None else proven.username}


def compare(running: Description, file: Description) -> list[RunningDifference]:
    """Return the differences: objects in the order of ``file``, then those that only run."""
    found: list[RunningDifference] = []
    for name in [*file, *(name for name in running if name not in file)]:
        if name not in running or name not in file:
            found.append(RunningDifference(name, "", _presence(name, running), _presence(name, file)))
            continue
        found += [
            RunningDifference(name, key, running[name].get(key), file[name].get(key))
            for key in {**file[name], **running[name]}
            if running[name].get(key) != file[name].get(key)
        ]
    return found


def _presence(name: str, description: Mapping[str, object]) -> str:
    return "present" if name in description else "absent"


def _builtins(thing: object) -> dict[str, Any]:
    # Converted to JSON, so that local values compare equal to those from the control socket.
    described: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(thing, enc_hook=_text, order="sorted"))
    return described


def _text(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else str(value)


def differences_of(in_force: Iterable[OverrideRow], file: Mapping[str, Mapping[str, Any]]) -> list[RunningDifference]:
    """Return how the overrides of a running switch differ from a described configuration, for ``check --diff``.

    An override of what the configuration does not have is left out, and one
    that equals it.
    """
    found = []
    for each in in_force:
        name, key = each.name, each.setting
        for described in (f"{kind} {name}" for kind in _KINDS[Target(each.target)]):
            if described not in file:
                continue
            value = True if key in _FLAGS else each.value
            configured = False if key in _FLAGS else file[described].get(key)
            until = "" if each.until is None else f" until {each.until}"
            by = f"by {each.operator}{until}{': ' + each.memo if each.memo else ''}"
            if str(value) != str(configured):
                found.append(RunningDifference(described, key, value, configured, by))
    return found


_FLAGS: Final = frozenset({Setting.BLOCKED.value, Setting.CLOSED.value})
"""Settings without value."""
_KINDS: Final[Mapping[Target, Sequence[str]]] = {
    Target.ACCOUNT: ("account",),
    Target.MAPPING: ("mapping gateway", "phone"),
    Target.ROUTING: ("routing gateway",),
    Target.DESTINATION: (),
}
"""Names of the objects in ``differences.describe``."""
