"""Set, list and clear operational overrides, and have the running switch read them before the command returns.

The names are those of the configuration file; whether the running switch has the same is not checked.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from msgspec.structs import asdict

from vosd.admin.differences import Difference
from vosd.admin.names import unknown
from vosd.base.errors import VosError
from vosd.catalogue.overrides import SETTINGS, Key, Override, Overrides, Setting, Target
from vosd.catalogue.ports import Change, OverrideStore
from vosd.cdr.columns import iso_utc
from vosd.control.client import DaemonRefusedError, DaemonUnreachableError, RunningSwitch
from vosd.control.installation import OverrideRow, RefreshOverrides

CHANGES_MAX: Final = 100
"""Most changes listed unless more are asked for."""


class UnfitSettingError(VosError):
    """The object has no such setting, or its time is over already."""


class ManyOverridesError(VosError):
    """More overrides would be cleared than the operator has confirmed."""


class Configured(NamedTuple):
    """The names of the configuration that overrides can have."""

    accounts: Collection[str]
    mapping: Collection[str]
    """Mapping gateways and phones."""
    routing: Collection[str]
    destinations: Collection[str] = ()
    """Classes of destinations; overrides name one with its account (``catalogue.overrides.destination_name``)."""

    def of(self, target: Target) -> Collection[str]:
        """Return the names of one kind, which is not that of destinations."""
        return {Target.ACCOUNT: self.accounts, Target.MAPPING: self.mapping, Target.ROUTING: self.routing}[target]

    def has(self, target: Target, name: str) -> bool:
        """Return whether there is such an object."""
        if target is not Target.DESTINATION:
            return name in self.of(target)
        account, _, destination = name.rpartition("/")
        return account in self.accounts and destination in self.destinations


class OverrideOrder(NamedTuple):
    """What an operator wants: values by setting, who, when (UTC milliseconds) and why."""

    values: Mapping[Setting, str]
    operator: str
    now: int
    until: int | None = None
    memo: str | None = None
    configured: Mapping[Setting, str] = {}
    """What the configuration says, as far as the record of changes is to have it as the value before."""


class Outcome(msgspec.Struct, frozen=True):
    """The overrides that were set or cleared, and why a running switch does not know it yet, empty if it does."""

    overrides: list[OverrideRow]
    untold: str = ""


def gateway_targets(name: str, configured: Configured) -> tuple[Target, ...]:
    """Return what a name means: a mapping gateway or phone, a routing gateway, or both.

    Raises:
        UnknownNameError: neither exists; the message lists similar names.
    """
    found = tuple(target for target in (Target.MAPPING, Target.ROUTING) if name in configured.of(target))
    if not found:
        names = {*configured.mapping, *configured.routing}
        raise unknown("gateway or phone", name, names, "vosd status --gateways names them")
    return found


def account_targets(name: str, accounts: Collection[str]) -> tuple[Target, ...]:
    """Return the account of a name; ``accounts`` are the configured ones.

    Raises:
        UnknownNameError: it does not exist; the message lists similar names.
    """
    if name not in accounts:
        raise unknown("account", name, accounts, "vosd account list names them")
    return (Target.ACCOUNT,)


def destination_targets(account: str, destination: str, configured: Configured) -> tuple[Target, ...]:
    """Return the class of destinations of an account.

    Raises:
        UnknownNameError: one of the two does not exist; the message lists similar names.
    """
    account_targets(account, configured.accounts)
    if destination not in configured.destinations:
        names = configured.destinations
        raise unknown("destination class", destination, names, "destination_classes of the configuration has them")
    return (Target.DESTINATION,)


async def set_overrides(
    name: str, targets: Sequence[Target], order: OverrideOrder, store: OverrideStore, switch: RunningSwitch
) -> Outcome:
    """Override settings of an object, of both where a name means two; a setting that only one has is set there.

    Raises:
        UnfitSettingError: no object of that name has the setting, or ``until`` is in the past.
        ContentRefused: a name is too long; nothing was changed.
        StoreUnavailable: probably nothing was changed.
    """
    if order.until is not None and order.until <= order.now:
        message = f"--until {iso_utc(order.until)} is in the past"
        raise UnfitSettingError(message)
    for setting in order.values:
        if not any(setting in SETTINGS[target] for target in targets):
            kinds = " and ".join(target.value for target in targets)
            message = f"{name} is a {kinds} gateway, which has no {setting.value}"
            raise UnfitSettingError(message)
    wanted = [
        Override(target, name, setting, value, order.operator, order.now, order.until, order.memo)
        for target in targets
        for setting, value in order.values.items()
        if setting in SETTINGS[target]
    ]
    before = {each.key: order.configured[each.setting] for each in wanted if each.setting in order.configured}
    await store.put(wanted, order.now, before)
    return Outcome([*map(shown, wanted)], await _inform(switch))


async def clear_overrides(
    fitting: "Selection",
    order: OverrideOrder,
    store: OverrideStore,
    switch: RunningSwitch,
    *,
    at_most: int | None = None,
) -> Outcome:
    """Clear the overrides that fit; what has expired counts as none.

    Raises:
        ManyOverridesError: more than ``at_most`` fit; nothing was cleared.
        StoreUnavailable: probably nothing was cleared.
    """
    found = [key for key in (await store.load()).at(order.now).by_key if fitting.has(key)]
    if at_most is not None and len(found) > at_most:
        message = f"{len(found)} overrides would be cleared and none was; say --yes to clear them all"
        raise ManyOverridesError(message)
    cleared = await store.clear(found, order.operator, order.now)
    return Outcome([*map(shown, cleared)], await _inform(switch))


class Selection(NamedTuple):
    """Overrides by their key; an empty field fits all, except that accounts are closed."""

    targets: Collection[Target] = ()
    name: str | None = None
    setting: Setting | None = None

    def has(self, key: Key) -> bool:
        """Return whether an override of this key fits."""
        fits_target = not self.targets or key.target in self.targets
        return fits_target and self.name in {None, key.name} and self._has_setting(key.setting)

    def _has_setting(self, setting: Setting) -> bool:
        """Return whether a setting fits; a closed account is opened only where that is said."""
        return self.setting in ({setting} if setting is Setting.CLOSED else {None, setting})


def listed(overrides: Overrides, configured: Configured, now: int) -> list[dict[str, object]]:
    """Return the overrides in force, each with whether there is such an object."""
    in_force = overrides.at(now).by_key.values()
    return [{**asdict(shown(each)), "applies": configured.has(each.target, each.name)} for each in in_force]


def history(changes: Iterable[Change]) -> list[dict[str, object]]:
    """Return changes as JSON objects."""
    return [
        {
            "at": iso_utc(each.at),
            "action": each.action.value,
            "by": each.operator,
            **asdict(shown(each.override)),
            "before": each.before or None,
        }
        for each in changes
    ]


def shown(override: Override) -> OverrideRow:
    """Return an override for people and programs."""
    return OverrideRow(
        target=override.target.value,
        name=override.name,
        setting=override.setting.value,
        value=override.value or None,
        operator=override.operator,
        since=iso_utc(override.since),
        until=None if override.until is None else iso_utc(override.until),
        memo=override.memo,
    )


def differences_of(in_force: Iterable[OverrideRow], file: Mapping[str, Mapping[str, Any]]) -> list[Difference]:
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
                found.append(Difference(described, key, value, configured, by))
    return found


_FLAGS: Final = frozenset({Setting.BLOCKED.value, Setting.CLOSED.value})
"""Settings without value."""
_KINDS: Final[Mapping[Target, Sequence[str]]] = {
    Target.ACCOUNT: ("account",),
    Target.MAPPING: ("mapping gateway", "phone"),
    Target.ROUTING: ("routing gateway",),
    Target.DESTINATION: (),
}
"""How ``differences.describe`` calls the objects."""


async def _inform(switch: RunningSwitch) -> str:
    """Have the switch read the overrides; where that fails they are stored, and the switch reads them anyway."""
    try:
        await switch.ask_if_running(RefreshOverrides())
    except (DaemonRefusedError, DaemonUnreachableError) as error:
        return str(error)
    return ""
