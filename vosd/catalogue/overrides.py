"""Operational overrides: what operators set at a running switch without editing the configuration (ADR 50).

An override belongs to an account or a gateway and wins over the configuration until it is cleared or expires. Blocks
are looked up in ``Blocks``, which live calls share; the other settings are laid over a catalogue by ``overlaid``.
It does not know who stores overrides and when they are read again.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import msgspec

from vosd.base.clock import KeptEnd, KeptTime
from vosd.billing.accounts import Account
from vosd.cdr.columns import iso_utc
from vosd.trunks.gateways import PrefixMode
from vosd.trunks.phone import called_half, called_trunk

if TYPE_CHECKING:
    from vosd.catalogue.catalogue import Catalogue

NO_LIMIT: Final = "none"
"""Value of a limit of calls that is lifted."""
UNLIMITED: Final = "unlimited"
"""Value of an overdraft limit that is lifted."""
INCOMING: Final = "incoming"
"""Value of a block of an account that refuses the calls to its phones and numbers, too."""

Thing = TypeVar("Thing", bound=msgspec.Struct)


class Target(Enum):
    """Kind of an overridden object; the value is stored. The same name may exist in each."""

    ACCOUNT = "account"
    MAPPING = "mapping"
    """A mapping gateway or a phone."""
    ROUTING = "routing"
    DESTINATION = "destination"
    """A class of destinations of an account (``destination_name``)."""


class Setting(Enum):
    """Setting that is overridden; the value is stored, and is the key of the configuration where there is one."""

    BLOCKED = "blocked"
    PRIORITY = "priority"
    WEIGHT = "weight"
    MAX_CONCURRENT = "max_concurrent"
    MAX_CPS = "max_cps"
    OVERDRAFT_LIMIT = "overdraft_limit"
    CLOSED = "closed"
    """An account that was closed: no calls until it is opened again by name."""
    EXPIRES_AT = "expires_at"
    """Kept with the account and not as an override: payments change it, and the record of changes has it."""


SETTINGS: Final[Mapping[Target, frozenset[Setting]]] = {
    Target.ACCOUNT: frozenset({Setting.BLOCKED, Setting.CLOSED, Setting.OVERDRAFT_LIMIT}),
    Target.MAPPING: frozenset({Setting.BLOCKED, Setting.MAX_CONCURRENT, Setting.MAX_CPS}),
    Target.ROUTING: frozenset(
        {Setting.BLOCKED, Setting.PRIORITY, Setting.WEIGHT, Setting.MAX_CONCURRENT, Setting.MAX_CPS}
    ),
    Target.DESTINATION: frozenset({Setting.BLOCKED}),
}
"""Settings that can be overridden, by kind of object."""


def destination_name(account: str, destination: str) -> str:
    """Return what overrides call a class of destinations of an account."""
    return f"{account}/{destination}"


class Key(NamedTuple):
    """Identifies an override: an object has at most one of each setting."""

    target: Target
    name: str
    setting: Setting

    def __str__(self) -> str:
        return f"{self.setting.value} of {self.target.value} {self.name}"


class Override(msgspec.Struct, frozen=True):
    """One setting of one object, as an operator wants it."""

    target: Target
    name: str
    setting: Setting
    value: str
    """As the operator wrote it; empty for a block, or ``INCOMING``."""
    operator: str
    """Name of the operator who set it."""
    since: KeptTime
    """When it was set, UTC milliseconds."""
    until: KeptEnd | None = None
    """When it expires, UTC milliseconds; None = when it is cleared."""
    memo: str | None = None

    @property
    def key(self) -> Key:
        """Object and setting that it overrides."""
        return Key(self.target, self.name, self.setting)

    def holds_at(self, wall_ms: int) -> bool:
        """Return whether it has not expired at a time."""
        return self.until is None or wall_ms < self.until

    def __str__(self) -> str:
        """Write who set it, until when, and the memo."""
        until = "" if self.until is None else f" until {iso_utc(self.until)}"
        return f"by {self.operator}{until}{f': {self.memo}' if self.memo else ''}"


class Overrides:
    """All overrides as they were read at one time."""

    def __init__(self, rows: Iterable[Override] = (), version: int = 0) -> None:
        self.version: Final = version
        """Changes whenever one is set, cleared or expires."""
        self.by_key: Final[Mapping[Key, Override]] = MappingProxyType({each.key: each for each in rows})

    def at(self, wall_ms: int) -> "Overrides":
        """Return those that hold at a time."""
        return Overrides((each for each in self.by_key.values() if each.holds_at(wall_ms)), self.version)

    @property
    def next_expiry(self) -> int | None:
        """When the first of them expires, UTC milliseconds; None = they stay until they are cleared."""
        return min((each.until for each in self.by_key.values() if each.until is not None), default=None)

    def named(self, target: Target, setting: Setting) -> dict[str, Override]:
        """Return the overrides of one setting, by the name of the object."""
        return {key.name: each for key, each in self.by_key.items() if key.target is target and key.setting is setting}

    def has(self, target: Target, name: str, setting: Setting) -> bool:
        """Return whether a setting of an object is overridden."""
        return Key(target, name, setting) in self.by_key

    def without_calls(self) -> dict[str, Override]:
        """Return why accounts have no calls, by account: they are closed, or blocked."""
        return self.named(Target.ACCOUNT, Setting.BLOCKED) | self.named(Target.ACCOUNT, Setting.CLOSED)

    def not_called(self) -> dict[str, Override]:
        """Return why no one calls accounts, by account: they are closed, or blocked with calls to them."""
        blocks = self.named(Target.ACCOUNT, Setting.BLOCKED)
        incoming = {name: each for name, each in blocks.items() if each.value == INCOMING}
        return incoming | self.named(Target.ACCOUNT, Setting.CLOSED)

    def accounts(self) -> frozenset[str]:
        """Return the accounts whose overdraft limit is overridden."""
        return frozenset(self.named(Target.ACCOUNT, Setting.OVERDRAFT_LIMIT))

    def closed(self) -> frozenset[str]:
        """Return the accounts that are closed."""
        return frozenset(self.named(Target.ACCOUNT, Setting.CLOSED))

    def low_terms(self, account: Account) -> tuple[Decimal | None, int | None]:
        """Return ``Account.low_terms``; a closed account was paid out, and has not little money left."""
        return (None, None) if self.has(Target.ACCOUNT, account.id, Setting.CLOSED) else account.low_terms

    def overdraft_limit(self, account: Account) -> Decimal | None:
        """Return how far below zero calls may take the balance of an account; None = unlimited."""
        found = self.by_key.get(Key(Target.ACCOUNT, account.id, Setting.OVERDRAFT_LIMIT))
        return account.overdraft_limit if found is None else _amount_of(found.value)

    def values(self, target: Target) -> dict[str, dict[str, Any]]:
        """Return the values that are overridden, except blocks and closed accounts: by object, then by field."""
        found: dict[str, dict[str, Any]] = {}
        for key, each in self.by_key.items():
            if key.target is target and key.setting in _VALUE_OF:
                found.setdefault(key.name, {})[key.setting.value] = _VALUE_OF[key.setting](each.value)
        return found


NO_OVERRIDES: Final = Overrides()


def _limit_of(value: str) -> int | None:
    return None if value == NO_LIMIT else int(value)


def _amount_of(value: str) -> Decimal | None:
    return None if value == UNLIMITED else Decimal(value)


_VALUE_OF: Final[Mapping[Setting, Callable[[str], int | Decimal | None]]] = {
    Setting.PRIORITY: int,
    Setting.WEIGHT: int,
    Setting.MAX_CONCURRENT: _limit_of,
    Setting.MAX_CPS: _limit_of,
    Setting.OVERDRAFT_LIMIT: _amount_of,
}


class Blocks:
    """Blocked objects, by name; set-ups in progress see a change as well, so the dictionaries are changed in place."""

    def __init__(self) -> None:
        self.accounts: dict[str, Override] = {}
        self.not_called: dict[str, Override] = {}
        """Accounts whose phones and numbers may not be called, also those below such an agent."""
        self.callers: dict[str, Override] = {}
        """Mapping gateways and phones that may not call."""
        self.called: dict[str, Override] = {}
        """Routing gateways, also those of a blocked account, phones and customers' trunks that may not be called."""
        self.destinations: dict[str, Override] = {}
        """Classes of destinations that an account may not call (``destination_name``)."""
        self.pending: dict[str, Override] = {}
        """Overrides that this switch has set and the database does not have yet."""

    def block(self, block: Override) -> None:
        """Block a class of destinations before the database has it."""
        self.destinations[block.name] = self.pending[block.name] = block

    def set(self, overrides: Overrides, catalogue: "Catalogue") -> None:
        """Block what the overrides say."""
        accounts, not_called = overrides.without_calls(), _not_called(overrides, catalogue)
        callers = overrides.named(Target.MAPPING, Setting.BLOCKED)
        called = {name: each for name, each in callers.items() if name in catalogue.phones}
        called = _of_accounts(not_called, catalogue) | called | _blocked_vendors(overrides, not_called, catalogue)
        destinations = self.pending | overrides.named(Target.DESTINATION, Setting.BLOCKED)
        for mine, wanted in (
            (self.accounts, accounts),
            (self.not_called, not_called),
            (self.callers, callers),
            (self.called, called),
            (self.destinations, destinations),
        ):
            mine.clear()
            mine.update(wanted)


def _not_called(overrides: Overrides, catalogue: "Catalogue") -> dict[str, Override]:
    """Return why no one calls accounts: by themselves, or by an agent above them, the nearest one."""
    accounts = catalogue.accounts
    found = own = {name: each for name, each in overrides.not_called().items() if name in accounts}
    while found:  # level by level: a level of 100,000 accounts takes 5 ms
        found = {name: found[each.agent] for name, each in accounts.items() if each.agent in found and name not in own}
        own = own | found
    return own


def _of_accounts(accounts: Mapping[str, Override], catalogue: "Catalogue") -> dict[str, Override]:
    """Return the blocks of phones and of customers' trunks that numbers were given to, by name, of such accounts."""
    if not accounts:
        return {}
    calling = catalogue.mapping_gateways
    trunks = {name: accounts[owner] for name in catalogue.called_trunks if (owner := calling[name].account) in accounts}
    return trunks | {
        name: accounts[owner] for name, each in catalogue.phones.items() if (owner := each.gateway.account) in accounts
    }


def _blocked_vendors(
    overrides: Overrides, not_called: Mapping[str, Override], catalogue: "Catalogue"
) -> dict[str, Override]:
    """Return the blocks of routing gateways by name, also those of their accounts."""
    accounts = {**not_called, **overrides.without_calls()}
    vendors = catalogue.routing_gateways.values() if accounts else ()
    by_account = {each.name: accounts[each.account] for each in vendors if each.account in accounts}
    return by_account | overrides.named(Target.ROUTING, Setting.BLOCKED)


def overlaid(catalogue: "Catalogue", overrides: Overrides) -> "Catalogue":
    """Return a catalogue with the overridden values of gateways; the work grows with what is overridden.

    An override of an object that the catalogue does not have changes nothing. ``catalogue`` is one without overrides.
    Mapping gateways and phones are in ``Catalogue.overridden`` only: there may be very many others. Overdraft limits of
    accounts are not in it, because calls look at the account's credit (``Overrides.overdraft_limit``).
    """
    callers = _replaced(catalogue.mapping_gateways, overrides.values(Target.MAPPING))
    values = _values_of_vendors(catalogue, overrides)
    vendors = _replaced(catalogue.routing_gateways, values)
    if not (callers or vendors):
        return catalogue
    phones = catalogue.phones
    called = [
        called_half(msgspec.structs.replace(phones[name], gateway=each))
        for name, each in callers.items()
        if name in phones
    ]
    trunks = {name: called_trunk(each) for name, each in callers.items() if name in catalogue.called_trunks}
    called_trunks = {**catalogue.called_trunks, **trunks}
    return replace(
        catalogue,
        routing_gateways={**catalogue.routing_gateways, **vendors},
        routes=catalogue.routes.overlaid(vendors, values, called),
        plans={name: table.overlaid(vendors, values, called) for name, table in catalogue.plans.items()},
        overridden=callers,
        called_trunks=called_trunks,
    )


def _values_of_vendors(catalogue: "Catalogue", overrides: Overrides) -> dict[str, dict[str, Any]]:
    """Return the overridden values of routing gateways; a blocked one does not keep calls from shorter prefixes."""
    values = overrides.values(Target.ROUTING)
    stopping = [name for name, each in catalogue.routing_gateways.items() if each.prefix_mode is PrefixMode.STOP]
    blocked = _blocked_vendors(overrides, _not_called(overrides, catalogue), catalogue) if stopping else ()
    for name in stopping:
        if name in blocked:
            values.setdefault(name, {})["prefix_mode"] = PrefixMode.CONTINUE
    return values


def _replaced(things: Mapping[str, Thing], values: Mapping[str, Mapping[str, Any]]) -> dict[str, Thing]:
    """Return the objects that have overridden values, with these."""
    return {name: msgspec.structs.replace(things[name], **fields) for name, fields in values.items() if name in things}
