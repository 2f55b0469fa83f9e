"""An office of the test's own: on a database, without a running switch, at a moment that the test says."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgspec

from doubles.data.builders import account, rating_policy
from doubles.virtual.scene import usual_catalogue
from vosd.admin.agents import NamedGroups
from vosd.admin.export_profile import ExportProfile
from vosd.admin.office.office import Office
from vosd.admin.office.ports import (
    CheckedDefinitions,
    ConfiguredDeck,
    ObjectKindSheet,
    ParameterSheet,
    WrittenGateway,
    WrittenObject,
)
from vosd.admin.office.principal import ALL, SHIPPED, Means, Principal, Role
from vosd.admin.rate_areas import RateGroupSheet
from vosd.admin.shadow_rating import CdrMap
from vosd.base.search_text import Searched, SearchText
from vosd.base.secret import Secret
from vosd.billing.accounts import Account
from vosd.billing.agents import Hierarchy
from vosd.billing.ports import Rates
from vosd.billing.rate_group import RateGroup
from vosd.billing.rates import RatingPolicy
from vosd.catalogue.catalogue import Catalogue
from vosd.catalogue.planned_objects import ChangeCheck, CheckedObjects, check_later
from vosd.catalogue.problems import ConfigError, ProblemList, SourceLine
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.config.cdr_map import read_cdr_map
from vosd.config.drawn_calendar import drawn_calendar
from vosd.config.key_sheets import key_sheets
from vosd.config.object_sheets import MODELS
from vosd.config.reader.reading import read_section
from vosd.config.stored_text import section_of
from vosd.config.text_values import number_for_text
from vosd.control.client import RunningSwitch
from vosd.engine.settings import Settings
from vosd.routing.calendar import Calendar
from vosd.routing.special_numbers import SpecialNumbers
from vosd.sip.settings import SipSettings
from vosd.storage.database import Database
from vosd.storage.stores import SqlStores

NO_GATEWAYS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {"mapping_gateways": frozenset(), "phones": frozenset(), "routing_gateways": frozenset()}
)
NO_PAYERS: Final[Mapping[str, str]] = MappingProxyType({})
NOTHING_WRITTEN: Final[Mapping[str, Mapping[str, WrittenObject]]] = MappingProxyType({})
NO_LIMITS: Final[Mapping[str, Decimal | None]] = MappingProxyType({})
NOWHERE = Path("/nonexistent/vosd.sock")


class Defined:
    """Accounts of the test, and what else it has."""

    def __init__(
        self,
        *accounts: Account,
        state_dir: Path,
        confirm_above: Decimal | None = None,
        confirm_above_by: Mapping[str, Decimal | None] = NO_LIMITS,
        lists: Mapping[str, frozenset[str]] = NO_GATEWAYS,
        payers: Mapping[str, str] = NO_PAYERS,
        classes: Collection[str] = (),
        calendars: Collection[Calendar] = (),
        written: Mapping[str, Mapping[str, WrittenObject]] = NOTHING_WRITTEN,
        rate_groups: Mapping[str, frozenset[str]] = NO_GATEWAYS,
    ) -> None:
        """``lists`` has the names of gateways and phones by their list, ``payers`` the accounts of some of them.

        ``rate_groups`` has the groups that they name, by their list.
        """
        self._confirm_above = confirm_above
        self._confirm_above_by = confirm_above_by
        self._lists = lists
        self._rate_groups = rate_groups
        self._payers = payers
        self._classes = classes
        self.templates: dict[str, dict[str, Any]] = {}
        """Keys of templates that ended accounts name."""
        self.asked: ChangeCheck | None = None
        """The last change that was to be checked."""
        self._written = written
        self._calendars = {each.name: each for each in calendars}
        sip = SipSettings()
        self.settings = Settings("sw1", (), (), sip, Secret(""), state_dir=state_dir, control_socket=NOWHERE)
        self._accounts = {account.id: account for account in accounts}

    def put(self, *accounts: Account) -> None:
        """Have other accounts in the place of those of the same names from now on."""
        self._accounts = self._accounts | {account.id: account for account in accounts}

    async def search_text(self, kind: str) -> SearchText:
        """Return the texts of the accounts, or the names of other objects."""
        if kind == "accounts":
            found = [Searched(each.id, each.name or "", each.memo or "") for each in self._accounts.values()]
        else:
            found = [
                Searched(name) for name in {*self._lists.get(kind, ()), *self._payers, *self._written.get(kind, {})}
            ]
        return SearchText(found)

    def confirm_above(self, login: str) -> Decimal | None:
        """Return the limit of a person, else of all."""
        return self._confirm_above_by.get(login, self._confirm_above)

    def accounts(self, ended: Sequence[ObjectVersion] = ()) -> Mapping[str, Account]:
        """Return the accounts, or those that ended: each version has one, as a whole with the keys of its template."""
        return {each.name: self._ended(each) for each in ended} if ended else self._accounts

    def _ended(self, version: ObjectVersion) -> Account:
        keys = msgspec.json.decode(version.body or "")
        template = keys.pop("template", None)
        if template is not None and template not in self.templates:
            raise ConfigError([])
        plain = msgspec.to_builtins(account(version.name))
        return msgspec.convert(plain | self.templates.get(template, {}) | keys, Account)

    def hierarchy(self) -> Hierarchy:
        """Return which accounts stand above which."""
        return Hierarchy.of(self._accounts)

    def export_profile(self, file: Path) -> ExportProfile:
        """Return a profile that is called as its file."""
        return ExportProfile(name=file.stem)

    def cdr_map(self, file: Path, price: str | None = None, vendor: str | None = None) -> CdrMap:
        """Return the map that a file says."""
        return read_cdr_map(file, price, vendor)

    def deck(self, _rate_group: str) -> ConfiguredDeck:
        """Return a week of notice and a unit of a second for every group, and nothing that names its areas."""
        return ConfiguredDeck(7, lambda _tables: None, lambda: 1)

    def files(self) -> Sequence[Path]:
        """Return the one file of the configuration."""
        return [self.settings.state_dir / "vosd.yaml"]

    def claimed(self) -> AbstractContextManager[None]:
        """Hold nothing: no switch starts in the test."""
        return nullcontext()

    async def rate_groups(self) -> Sequence[RateGroupSheet]:
        """Return two, without rates."""
        return [RateGroupSheet(name, "EUR", "minute", 0, "rates", None, 0, 0, None) for name in ("sell", "cheap")]

    def rate_group(self, name: str) -> RateGroup | None:
        """Return one of the usual catalogue."""
        return usual_catalogue().rate_groups.get(name)

    def rates_of(self, account: Account, *, is_vendor: bool) -> Rates | None:
        """Return those of the usual catalogue, for customers alone."""
        return None if is_vendor else usual_catalogue().rates_of(account)

    def decimals_of(self, account: Account) -> int:
        """Return those of the account, else eight."""
        return 8 if account.fee_precision is None else account.fee_precision

    def free_numbers(self) -> tuple[SpecialNumbers, RatingPolicy]:
        """Return none."""
        return SpecialNumbers(), rating_policy()

    def parameters(self) -> Sequence[ParameterSheet]:
        """Return one."""
        return [ParameterSheet("SS_BILLINGUNIT", "1", "default", "Increment.")]

    def key_sheets(self, kind: str) -> ObjectKindSheet:
        """Return the keys of a kind as they are declared."""
        return key_sheets(kind)

    def checked(self, planned: Sequence[ObjectVersion] = ()) -> CheckedDefinitions:
        """Return no problems, and the currencies of the accounts of the test."""
        places = dict.fromkeys(self._accounts, SourceLine(str(self.files()[0]), 1))
        return CheckedDefinitions((), {name: each.currency for name, each in self._accounts.items()}, places)

    def written_names(self, kind: str, template: str | None = None) -> Collection[str]:
        """Return the names of what the test has of a kind."""
        written = self._written.get(kind, {})
        return [name for name, each in written.items() if template is None or each.keys.get("template") == template]

    def written_object(self, kind: str, name: str) -> WrittenObject | None:
        """Return one object of the files."""
        return self._written.get(kind, {}).get(name)

    def number_for_text(self, kind: str, keys: Any) -> tuple[str, Any] | None:
        """Return what production does."""
        return number_for_text(kind, keys)

    async def check_objects(self, asked: ChangeCheck) -> CheckedObjects:
        """Refuse keys that the models of production refuse; what objects say of each other is not compared."""
        self.asked = asked
        self._check(asked.states[0].versions)
        check_later(asked.states[1:], self._check)
        currencies: dict[str, str] = {}
        for each in asked.states[0].versions:
            keys = {} if each.kind != "accounts" or each.body is None else msgspec.json.decode(each.body)
            if "currency" in keys:
                currencies[each.name] = keys["currency"]
        accounts = {name: self._accounts[name] for name in asked.accounts if name in self._accounts}
        return CheckedObjects(accounts, currencies)

    def _check(self, versions: Sequence[ObjectVersion]) -> None:
        problems = ProblemList()
        for each in versions:
            if each.body is not None and each.kind in MODELS:
                section = section_of(each, str(self.files()[0].parent), {}, problems)
                read_section(MODELS[each.kind], section, f"{each.kind}[{each.name}]", problems)
        if problems.has_errors:
            raise ConfigError(problems.in_order())

    def catalogue(
        self, _file: Path | None = None, _versions: Sequence[ObjectVersion] = (), *, written_rates_win: bool = False
    ) -> Catalogue:
        """Return the usual catalogue of scenes, whatever the accounts of the test."""
        return usual_catalogue()

    def gateways_by_list(self) -> Mapping[str, frozenset[str]]:
        """Return the names of gateways and phones by their list."""
        return self._lists

    def named_groups(self) -> NamedGroups:
        """Return itself."""
        return self

    def rate_groups_by_list(self) -> Mapping[str, frozenset[str]]:
        """Return the rate groups that gateways and phones name, by their list."""
        return self._rate_groups

    def groups_priced_by(self, groups: Iterable[str], period_rates: Iterable[str]) -> frozenset[str]:
        """Return the groups, and one of the name of each of the period rates."""
        return frozenset((*groups, *period_rates))

    def groups_of_trunks(self) -> Callable[[], Mapping[str, Collection[str]]]:
        """Return what finds the groups that those of the accounts of the test name which have gateways or phones."""
        sold = self._rate_groups.get("mapping_gateways", frozenset()) | self._rate_groups.get("phones", frozenset())
        return lambda: dict.fromkeys(self._payers.values(), sold)

    def accounts_of(self, *_kinds: str) -> Callable[[], Mapping[str, str]]:
        """Return what finds the accounts of mapping gateways and phones."""
        return lambda: self._payers

    def destination_classes(self) -> Collection[str]:
        """Return the names of the classes of destinations."""
        return self._classes

    def calendars(self) -> Mapping[str, Calendar]:
        """Return the calendars by name."""
        return self._calendars

    def calendar(self, name: str, keys: Mapping[str, Any]) -> Calendar:
        """Return what production does, in a machine whose clock is UTC."""
        return drawn_calendar(name, keys, self.files()[0], "UTC")

    def written_gateways(self, name: str) -> Sequence[WrittenGateway]:
        """Return one phone alone."""
        return [WrittenGateway("phones", "vosd.yaml:7", {"number": name})] if name == "7001" else []


def office_on(database: Database, *accounts: Account, now: int, socket: Path = NOWHERE, **more: Any) -> Office:
    """Return an office; ``now`` is UTC milliseconds, the state is beside ``socket``, ``more`` goes to ``Defined``."""
    stores, defined = SqlStores(database), Defined(*accounts, state_dir=socket.parent, **more)
    return Office(defined, lambda: stores, lambda: RunningSwitch(socket), lambda: now)


def operator(name: str = "ann") -> Principal:
    """Return an operator at the terminal."""
    return Principal(role=Role.OPERATOR, name=name, login=name, means=Means.TERMINAL, permissions=ALL)


def agent(account: str) -> Principal:
    """Return an agent at the terminal."""
    permissions = SHIPPED["agent"].permissions
    return Principal(
        role=Role.AGENT, name="root", login="root", means=Means.TERMINAL, permissions=permissions, account=account
    )


def customer(account: str) -> Principal:
    """Return a customer who has logged in to a page."""
    permissions = SHIPPED["customer"].permissions
    return Principal(
        role=Role.CUSTOMER, name="jane", login="jane", means=Means.PAGE, permissions=permissions, account=account
    )
