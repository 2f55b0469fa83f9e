"""Use cases of operational overrides: settings that win over the configuration until they are cleared or expire.

The names are those of the configuration; whether the running switch has the same is not checked.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Annotated, Final

import msgspec
from msgspec.structs import asdict

from vosd.admin.agents import recorded_as
from vosd.admin.ledger import shown_limit
from vosd.admin.names import unknown
from vosd.admin.office.office import Office, needs
from vosd.admin.office.principal import OrderError, Permission, Principal, Scope
from vosd.base.errors import VosError
from vosd.base.money import format_amount, parse_amount
from vosd.billing.accounts import NEVER
from vosd.billing.authority import OutOfScopeError
from vosd.billing.rights import Right
from vosd.catalogue.overrides import (
    INCOMING,
    NO_LIMIT,
    SETTINGS,
    UNLIMITED,
    Key,
    Override,
    Setting,
    Target,
    destination_name,
)  # fmt: skip
from vosd.catalogue.ports import NOT_KNOWN
from vosd.cdr.columns import iso_utc
from vosd.cdr.shown import shown_as
from vosd.control.client import REFRESH_S, DaemonRefusedError, DaemonUnreachableError, RunningSwitch
from vosd.control.installation import OverrideRow, RefreshOverrides

CHANGES_MAX: Final = 100
"""Most changes listed unless more are asked for."""
HIGHEST: Final = 1_000_000
"""Highest priority or limit, as in the configuration."""


class UnfitSettingError(VosError):
    """The object has no such setting, or its time is over already."""


class ManyOverridesError(VosError):
    """More overrides would be cleared than was confirmed."""


class NoSuchOverrideError(VosError):
    """No override that could be cleared is in force."""


class OverrideOutcome(msgspec.Struct, frozen=True):
    """The overrides that were set or cleared, and why a running switch does not know it yet, empty if it does."""

    overrides: list[OverrideRow]
    """Overrides that were set or cleared."""
    untold: str = ""


class BlockGateway(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """No new calls from and to a gateway or phone; running calls go on. Times are UTC milliseconds."""

    name: str
    """Name of the object; one of a mapping and a routing gateway means both."""
    until: int | None = None
    """When it expires; None = when it is cleared."""
    memo: str | None = None


class SetGateway(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Values of a gateway or phone, each an override of its own: priority, weight, limits of calls."""

    name: str
    values: Mapping[Setting, str]
    """Values by the names of the settings, as text."""
    until: int | None = None
    """End of the overrides; None = until they are cleared."""
    memo: str | None = None

    def __post_init__(self) -> None:
        if not self.values:
            raise OrderError("priority", "or another value is needed", "such as `max_concurrent` 20")
        for setting, value in self.values.items():
            if setting not in _WRITTEN:
                raise OrderError(setting.value, "is not set so")
            _WRITTEN[setting](setting, value)


@needs(Permission.BLOCK, by_account=True)
async def block_gateway(office: Office, who: Principal, order: BlockGateway) -> OverrideOutcome:
    """Block a gateway or phone.

    Raises:
        UnknownNameError: it is not configured; the message lists similar names.
        UnfitSettingError: ``until`` is in the past.
    """
    return await _set_gateway(office, who, order, {Setting.BLOCKED: ""})


@needs(Permission.ROUTES_CHANGE, by_account=True)
async def set_gateway(office: Office, who: Principal, order: SetGateway) -> OverrideOutcome:
    """Set values of a gateway or phone; raises as ``block_gateway`` does.

    Raises:
        OrderError: an agent sets a priority or a weight.
        UnfitSettingError: the gateway has no such setting.
    """
    values = {setting: _WRITTEN[setting](setting, value) for setting, value in order.values.items()}
    return await _set_gateway(office, who, order, values)


async def _set_gateway(
    office: Office, who: Principal, order: BlockGateway | SetGateway, values: Mapping[Setting, str]
) -> OverrideOutcome:
    scope = office.scope_of(who)
    if scope.agent is None:
        targets = _gateway_targets(office, order.name)
    else:
        for setting in values:
            if setting not in SETTINGS[Target.MAPPING]:
                raise OrderError(setting.value, "is not for agents")
        _require_trunk(office, scope, order.name, values)
        targets = (Target.MAPPING,)
    return await _set(office, who, scope, order, order.name, targets, values)


class UnblockGateway(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """End of the block of a gateway or phone."""

    name: str
    since: int | None = None
    """Begin of the block that was seen: one that began later stays; None = whatever block there is."""


@needs(Permission.BLOCK, by_account=True)
async def unblock_gateway(office: Office, who: Principal, order: UnblockGateway) -> OverrideOutcome:
    """End the block.

    Raises:
        NoSuchOverrideError: it is not blocked.
        LaterOverride: it was blocked again after ``since``.
    """
    scope = office.scope_of(who)
    targets: tuple[Target, ...] = (Target.MAPPING, Target.ROUTING)
    if scope.agent is not None:
        _require_trunk(office, scope, order.name, [Setting.BLOCKED])
        targets = (Target.MAPPING,)
    return await _unblock(office, who, scope, order, targets, order.name, f"gateway {order.name}")


class BlockAccount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """No new calls of an account, and none to its gateways; running calls go on. Times are UTC milliseconds."""

    account: str
    destination: str | None = None
    """Only its calls to this class of destinations."""
    incoming: bool = False
    """Also the calls and texts to its phones and numbers, and to those of all accounts below it."""
    until: int | None = None
    """End of the block; None = until it is taken back."""
    memo: str | None = None

    def __post_init__(self) -> None:
        """Raise OrderError where calls to it are to be blocked by their destination."""
        if self.incoming and self.destination is not None:
            raise OrderError("incoming", "is of the whole account", "leave out `destination`")


@needs(Permission.BLOCK, by_account=True)
async def block_account(office: Office, who: Principal, order: BlockAccount) -> OverrideOutcome:
    """Block an account, or its calls to a class of destinations.

    Raises:
        UnknownNameError: the account or the class is not configured; the message lists similar names.
        UnfitSettingError: ``until`` is in the past.
    """
    scope = office.scope_of(who)
    scope.require_below(order.account, Right.ACCOUNTS)
    _require_configured(office, order.account)
    name, target = order.account, Target.ACCOUNT
    if order.destination is not None:
        classes = office.definitions.destination_classes()
        if order.destination not in classes:
            where = "destination_classes of the configuration has them"
            raise unknown("destination class", order.destination, classes, where)
        name, target = destination_name(order.account, order.destination), Target.DESTINATION
    return await _set(office, who, scope, order, name, (target,), {Setting.BLOCKED: INCOMING if order.incoming else ""})


class UnblockAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """End of the block of an account, or of one of its classes of destinations."""

    account: str
    destination: str | None = None
    """Class of destinations whose block ends; None = the block of the account."""
    since: int | None = None
    """Begin of the block that was seen: one that began later stays; None = whatever block there is."""


@needs(Permission.BLOCK, by_account=True)
async def unblock_account(office: Office, who: Principal, order: UnblockAccount) -> OverrideOutcome:
    """End the block.

    Raises:
        NoSuchOverrideError: it is not blocked.
        LaterOverride: it was blocked again after ``since``.
    """
    scope = office.scope_of(who)
    scope.require_below(order.account, Right.ACCOUNTS)
    name, target = order.account, Target.ACCOUNT
    if order.destination is not None:
        name, target = destination_name(order.account, order.destination), Target.DESTINATION
    return await _unblock(office, who, scope, order, (target,), name, f"{target.value} {name}")


class SetOverdraftLimit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limit to which calls may take the balance of an account below zero. Times are UTC milliseconds."""

    account: str
    overdraft_limit: str
    """An amount, or ``unlimited``."""
    until: int | None = None
    """End of the override; None = until it is cleared."""
    memo: str | None = None

    def __post_init__(self) -> None:
        _overdraft(Setting.OVERDRAFT_LIMIT, self.overdraft_limit)


@needs(Permission.ACCOUNTS_CHANGE, by_account=True)
async def set_overdraft_limit(office: Office, who: Principal, order: SetOverdraftLimit) -> OverrideOutcome:
    """Set the limit; of an agent it takes the right to pay, for it is credit.

    Raises:
        UnknownNameError: the account is not configured; the message lists similar names.
        UnfitSettingError: ``until`` is in the past.
    """
    scope = office.scope_of(who)
    scope.require_below(order.account, Right.SUB_PAYMENTS)
    _require_configured(office, order.account)
    setting = Setting.OVERDRAFT_LIMIT
    limit = office.definitions.accounts()[order.account].overdraft_limit
    before = {Key(Target.ACCOUNT, order.account, setting): shown_limit(limit)}
    values = {setting: _overdraft(setting, order.overdraft_limit)}
    return await _set(office, who, scope, order, order.account, (Target.ACCOUNT,), values, before)


class ClearOverrides(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Overrides to be cleared: of everything of a name, of one setting, or all; the configuration holds again."""

    name: str | None = None
    setting: Setting | None = None
    """None = all but that accounts are closed, which are opened only where that is said."""
    clears_many: bool = False
    """Also where no name is given and there is more than one."""


@needs(Permission.ROUTES_CHANGE)
async def clear_overrides(office: Office, who: Principal, order: ClearOverrides) -> OverrideOutcome:
    """Clear the overrides that fit; those that have expired count as none.

    Raises:
        NoSuchOverrideError: none is in force.
        ManyOverridesError: more fit than was confirmed; nothing was cleared.
        StoreUnavailable: probably nothing was cleared.
    """
    setting = order.setting
    found = [
        key
        for key in await _in_force(office, order.name)
        if order.name in {None, key.name}
        and (setting is key.setting or (setting is None and key.setting is not Setting.CLOSED))
    ]
    if not found:
        raise NoSuchOverrideError("there is no such override; vosd overrides list shows all")
    if order.name is None and not order.clears_many and len(found) > 1:
        message = f"{len(found)} overrides would be cleared and none was; say `confirm` to clear them all"
        raise ManyOverridesError(message)
    return await _clear(office, who, order, found, order.name or "overrides")


class ShowOverrides(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The overrides in force, of everything of a name, or all."""

    name: str | None = None


class OverrideInForce(OverrideRow, frozen=True):
    """An override, and whether the configuration has the object."""

    applies: bool
    """Whether the configuration has the object."""


@needs(Permission.ROUTES_SEE)
async def show_overrides(office: Office, who: Principal, order: ShowOverrides) -> list[OverrideInForce]:
    """Return the overrides."""
    is_configured = _configured(office)
    return [
        OverrideInForce(**asdict(shown(each)), applies=is_configured(each.target, each.name))
        for each in (await _in_force(office, order.name)).values()
        if order.name in {None, each.name}
    ]


class ShowOverrideChanges(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The latest overrides that were set, cleared or have expired, or the first ones."""

    limit: Annotated[int, msgspec.Meta(ge=1)] = CHANGES_MAX
    """At most so many changes."""
    after: int | None = None
    """Changes that are listed after that with this number alone; None = from the beginning."""
    name: str | None = None
    """Name of the object; None = all."""
    oldest_first: bool = False
    """Whether the change that was made first comes first."""


class OverrideChange(msgspec.Struct, frozen=True):
    """A change of an override; times as text."""

    id: int
    """Number in the record of changes, which grows."""
    at: str
    """Time of the change, RFC 3339."""
    action: str
    """``set``, ``cleared`` or ``expired``."""
    by: str | None
    """None = it expired."""
    target: str
    """Kind of the object, as of an override."""
    name: str
    setting: str
    """Name of the setting, as of an override."""
    value: str | None
    """Value of the setting, as text; None = it has none."""
    operator: str
    since: str
    """Time at which the override was set, RFC 3339."""
    until: str | None
    """Time at which the override ends, RFC 3339; None = it is cleared by hand."""
    memo: str | None
    before: str | None
    """Value before; None = there was none."""


@needs(Permission.ROUTES_SEE)
async def show_override_changes(office: Office, who: Principal, order: ShowOverrideChanges) -> list[OverrideChange]:
    """Return the changes, the newest first unless ``oldest_first``."""
    return [
        OverrideChange(
            each.id,
            iso_utc(each.at),
            each.action.value,
            each.operator,
            **asdict(shown(each.override)),
            before=each.before or None,
        )
        for each in await office.stores.overrides.changes(
            order.limit, order.name, after=order.after, oldest_first=order.oldest_first
        )
    ]


def shown(override: Override) -> OverrideRow:
    """Return an override for people and programs."""
    return shown_as(OverrideRow, override, value=override.value or None)


async def tell_overrides(switch: RunningSwitch) -> str:
    """Have the switch read the overrides; return why it does not, empty if it does or if none runs.

    They are stored, and the switch reads them at its next poll.
    """
    try:
        await switch.patient(REFRESH_S).ask_if_running(RefreshOverrides())
    except (DaemonRefusedError, DaemonUnreachableError) as error:
        return str(error)
    return ""


def _overdraft(setting: Setting, text: str) -> str:
    if text == UNLIMITED:
        return text
    try:
        amount = parse_amount(text)
    except ValueError as error:
        raise OrderError(setting.value, str(error)) from error
    if amount < 0:
        raise OrderError(setting.value, f"is below zero: say how far calls may go below zero, or {UNLIMITED}")
    return format_amount(amount)


def _whole(setting: Setting, text: str) -> str:
    least = 0 if setting is Setting.WEIGHT else 1  # a gateway that shall take no calls is blocked
    if not (text.isascii() and text.isdigit() and len(text) < 9 and least <= int(text) <= HIGHEST):
        other = f", nor {NO_LIMIT}" if _WRITTEN[setting] is _limit else ""
        raise OrderError(setting.value, f"{text!r} is no whole number from {least} to {HIGHEST}{other}")
    return str(int(text))


def _limit(setting: Setting, text: str) -> str:
    return text if text == NO_LIMIT else _whole(setting, text)


_WRITTEN: Final[Mapping[Setting, Callable[[Setting, str], str]]] = {
    Setting.PRIORITY: _whole,
    Setting.WEIGHT: _whole,
    Setting.MAX_CONCURRENT: _limit,
    Setting.MAX_CPS: _limit,
}
"""Functions that return a value of a gateway as it is stored; they raise OrderError."""


def _gateway_targets(office: Office, name: str) -> tuple[Target, ...]:
    """Return the meaning of a name: a mapping gateway or phone, a routing gateway, or both."""
    names = office.definitions.gateways_by_list()
    mapping, routing = names["mapping_gateways"] | names["phones"], names["routing_gateways"]
    by_target = ((Target.MAPPING, mapping), (Target.ROUTING, routing))
    found = tuple(target for target, configured in by_target if name in configured)
    if not found:
        raise unknown("gateway or phone", name, mapping | routing, "vosd status --gateways names them")
    return found


def _require_configured(office: Office, account: str) -> None:
    accounts = office.definitions.accounts()
    if account not in accounts:
        raise unknown("account", account, accounts, "vosd account list names them")


def _require_trunk(office: Office, scope: Scope, name: str, settings: Collection[Setting]) -> None:
    """Check that an agent may set values of a mapping gateway or phone: it is of an account below the agent."""
    definitions = office.definitions
    is_phone = name in definitions.gateways_by_list()["phones"]
    account = definitions.accounts_of("mapping_gateways", "phones")().get(name)
    if account == scope.agent or not (account is not None and scope.sees(account)):
        raise OutOfScopeError(f"agent {scope.agent} has no gateway or phone {name} below it")
    for setting in settings:
        of_gateway = Right.GATEWAYS if setting is Setting.BLOCKED else Right.GATEWAY_CAPACITY
        scope.require_below(account, Right.PHONES if is_phone else of_gateway)


def _configured(office: Office) -> Callable[[Target, str], bool]:
    """Return a function that says whether the configuration has an object."""
    definitions = office.definitions
    names, accounts, classes = (
        definitions.gateways_by_list(),
        definitions.accounts(),
        definitions.destination_classes(),
    )
    by_target: Mapping[Target, Collection[str]] = {
        Target.ACCOUNT: accounts,
        Target.MAPPING: names["mapping_gateways"] | names["phones"],
        Target.ROUTING: names["routing_gateways"],
    }

    def is_configured(target: Target, name: str) -> bool:
        if target is not Target.DESTINATION:
            return name in by_target[target]
        account, _, destination = name.rpartition("/")
        return account in accounts and destination in classes

    return is_configured


async def _in_force(office: Office, name: str | None = None) -> Mapping[Key, Override]:
    """Return the overrides that have not expired; of a name alone where thousands of others need not be read."""
    return (await office.stores.overrides.load(name)).at(office.now()).by_key


def _replaceable(scope: Scope) -> Collection[str] | None:
    """Return the operators whose overrides a principal may replace and clear: an agent, and those below; None = all."""
    return None if scope.visible is None else frozenset(map(recorded_as, scope.visible))


async def _set(
    office: Office,
    who: Principal,
    scope: Scope,
    order: BlockGateway | SetGateway | BlockAccount | SetOverdraftLimit,
    name: str,
    targets: Sequence[Target],
    values: Mapping[Setting, str],
    configured: Mapping[Key, str] = NOT_KNOWN,
) -> OverrideOutcome:
    """Override settings of an object, of both where a name means two; a setting that only one has is set there."""
    now, until = office.now(), order.until
    if until is not None and until <= now:
        raise UnfitSettingError(f"`until` {iso_utc(until)} is in the past")
    if until is not None and until > NEVER:
        raise OrderError("until", "is after the year 9999")
    for setting in values:
        if not any(setting in SETTINGS[target] for target in targets):
            kinds = " and ".join(target.value for target in targets)
            raise UnfitSettingError(f"{name} is a {kinds} gateway, which has no {setting.value}")
    wanted = [
        Override(target, name, setting, value, who.recorded, now, until, order.memo)
        for target in targets
        for setting, value in values.items()
        if setting in SETTINGS[target]
    ]
    audit = office.audit_line(who, order, name)
    await office.stores.overrides.put(wanted, now, configured, audit, _replaceable(scope))
    return OverrideOutcome([*map(shown, wanted)], await tell_overrides(office.switch))


async def _unblock(
    office: Office,
    who: Principal,
    scope: Scope,
    order: UnblockGateway | UnblockAccount,
    targets: Sequence[Target],
    name: str,
    called: str,
) -> OverrideOutcome:
    in_force = await _in_force(office, name)
    keys = (Key(target, name, Setting.BLOCKED) for target in targets)
    found = [key for key in keys if key in in_force]
    outcome = await _clear(office, who, order, found, name, _replaceable(scope)) if found else None
    if outcome is None or not outcome.overrides:  # also where it has ended meanwhile
        raise NoSuchOverrideError(f"{called} is not blocked; vosd overrides list shows what is")
    return outcome


async def _clear(
    office: Office,
    who: Principal,
    order: UnblockGateway | UnblockAccount | ClearOverrides,
    found: Collection[Key],
    subject: str,
    set_by: Collection[str] | None = None,
) -> OverrideOutcome:
    audit = office.audit_line(who, order, subject)
    seen_at = None if isinstance(order, ClearOverrides) else order.since
    cleared = await office.stores.overrides.clear(found, who.recorded, office.now(), audit, seen_at, set_by)
    return OverrideOutcome([*map(shown, cleared)], await tell_overrides(office.switch))
