"""The part of a configuration that one command needs: the settings, single accounts, a rate group, names.

Reading a million rates takes many seconds, and a payment needs none of them. Parts that are not needed are neither read
nor judged, so a mistake elsewhere in the file does not keep an operator from looking at an account. Nor is what reads
them imported: each method imports its own, since importing all of it takes a third of a second of every command.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from vosd.base.errors import VosError
from vosd.base.money import PLACES
from vosd.catalogue.problems import ConfigError, ProblemList, Severity, SourceLine, suggestion
from vosd.config.places import CONTROL_SOCKET, REPORT_SECONDS, STATE_DIR
from vosd.config.reader.collector import without_collector
from vosd.config.reader.document import Entry, Node, Section, YamlList
from vosd.config.reader.includes import merge, read_files
from vosd.config.reader.items import LONG_LISTS
from vosd.config.reader.lists import ACCOUNTS, GATEWAYS, LISTS, RATE_GROUPS
from vosd.config.reader.long_lists import LongList
from vosd.config.reader.places_written import database_url_in, path_in
from vosd.config.reader.templates import TEMPLATE, fill_from_template, take_templates

if TYPE_CHECKING:
    from vosd.admin.office.ports import ParameterSheet
    from vosd.admin.rate_areas import RateGroupSheet
    from vosd.base.search_text import SearchText
    from vosd.billing.accounts import Account
    from vosd.billing.agents import Hierarchy
    from vosd.billing.currencies import Currencies
    from vosd.billing.period_rates import PeriodRates
    from vosd.billing.ports import Rates, RateTable
    from vosd.billing.rate_group import RateGroup
    from vosd.billing.rates import RatingPolicy
    from vosd.catalogue.problems import DefinitionProblem
    from vosd.catalogue.stored_objects import ObjectVersion
    from vosd.config.assembly.currencies import ReadCurrencies
    from vosd.config.assembly.rate_groups import ReadGroup
    from vosd.config.assembly.rate_tables import RateTables
    from vosd.config.configured_accounts import ConfiguredAccounts
    from vosd.config.keys.installation import InstallationKeys
    from vosd.config.keys.parameters import ParameterKeys
    from vosd.config.keys.rate_groups import RateGroupKeys
    from vosd.config.reader.fields import Keys
    from vosd.config.reader.texts import Texts
    from vosd.config.search_texts import SearchTexts
    from vosd.config.stored import Stored, Wanted
    from vosd.engine.settings import Settings
    from vosd.routing.calendar import Calendar
    from vosd.routing.special_numbers import SpecialNumbers

Model = TypeVar("Model", bound="Keys")
_NAME_KEYS: Final = {"dids": "number"}
"""Keys with the names of objects where they are not ``name``; long lists know theirs."""
_GROUP_KEYS: Final = ("rate_group", "private_rate_group")
_TRUNKS: Final = ("mapping_gateways", "phones")
"""Lists of what makes calls for an account."""
_EMPTY: Final = Entry(SourceLine("", 0), YamlList(SourceLine("", 0), []))


class NoDeckGroupError(VosError):
    """No rate group of that name takes its rates from a deck."""


class ListedGroup(NamedTuple):
    """A rate group with its rates."""

    keys: "RateGroupKeys"
    read: "ReadGroup"
    source: str
    """The key that says where its rates are: ``derive``, ``deck``, ``rates_file`` or ``rates``."""

    @property
    def base(self) -> str | None:
        """The rate group that it is derived from."""
        return self.keys.derive.base


class Excerpt:
    """A configuration that is read list by list, as far as it is needed.

    Every method raises ConfigError where what it needs does not hold.
    """

    def __init__(
        self,
        path: Path,
        environ: Mapping[str, str] = os.environ,
        tables: "Callable[[Path], RateTables] | None" = None,
        definitions: "Callable[[Wanted], Stored] | None" = None,
        has_objects: "Callable[[Section], bool] | None" = None,
    ) -> None:
        """``tables`` takes the configured ``state_dir`` and returns where rate files are compiled; None = in memory.

        ``definitions`` returns what the database defines; None = nothing. ``has_objects`` takes the document of the
        files and returns whether the database defines objects at all: most do not, and then nothing is imported.
        """
        self._definitions = definitions
        self._has_objects = has_objects
        self._path = path
        self._environ = environ
        self._tables = tables
        self._document: Section | None = None
        self._read_lists: frozenset[str] = frozenset()
        self._long_lists: dict[str, LongList] = {}
        self._stored: Mapping[str, Mapping[str, ObjectVersion]] | None = None
        self._hierarchy: Hierarchy | None = None
        self._search_texts: SearchTexts | None = None
        self._written_currencies: ReadCurrencies | None = None
        self.texts: Texts | None = None
        """Place of the files of YAML; None = the disk."""

    @property
    def settings(self) -> "Settings":
        """The settings of the installation."""
        from vosd.config.assembly.credentials import with_mail_password
        from vosd.config.assembly.scheduled_reports import read_scheduled_reports, scheduled_reports
        from vosd.config.assembly.settings import settings_of
        from vosd.config.assembly.shown_files import with_shown_files

        keys, parameters = self._installation()
        keys = with_mail_password(with_shown_files(keys, self._copy(), ProblemList()), self._copy())
        problems = ProblemList()
        reports = problems.checked(read_scheduled_reports(self._copy(), problems))
        return settings_of(keys, parameters, None, {}, scheduled_reports(reports))

    @property
    def database_url(self) -> str:
        """The URL of the database; of the other settings only the path of the state directory is read."""
        written = database_url_in(self._copy())
        return self.settings.database_url.reveal() if written is None else written

    @property
    def report_database(self) -> "tuple[str | None, int | None]":
        """The URL of the replica that reports are read from, and the longest time of a statement in seconds.

        None = there is none. Only this section is read, and its model is not imported where neither is written.
        """
        entry = self._copy().entries.get("database")
        written = entry.node.entries if entry is not None and isinstance(entry.node, Section) else {}
        if written.keys().isdisjoint({"replica", "report_seconds"}):
            return None, REPORT_SECONDS
        from vosd.config.keys.installation import DatabaseKeys

        keys = self._section(DatabaseKeys, "database")
        return None if keys.replica is None else keys.replica.reveal(), keys.report_seconds or None

    @property
    def state_dir(self) -> Path:
        """The state directory as written."""
        return path_in(self._copy(), "state_dir") or STATE_DIR

    @property
    def control_socket(self) -> Path:
        """The path of the control socket as written."""
        return path_in(self._copy(), "control_socket") or CONTROL_SOCKET

    @property
    def ask_above(self) -> Decimal | None:
        """Above which amount a booking by hand is asked about (``billing.ask_above``); None = none is."""
        from vosd.config.keys.billing import BillingKeys

        return self._section(BillingKeys, "billing").ask_above

    def confirm_above(self, login: str) -> Decimal | None:
        """Return the highest amount that a person books alone (``billing.confirm_above_by``); None = any."""
        from vosd.config.keys.billing import BillingKeys

        keys = self._section(BillingKeys, "billing")
        return (keys.confirm_above_by or {}).get(login, keys.confirm_above)

    def accounts(self) -> "ConfiguredAccounts":
        """Return the accounts; each is validated when it is looked up."""
        from vosd.config.configured_accounts import ConfiguredAccounts

        accounts, groups = self._lists(ACCOUNTS, RATE_GROUPS)
        assert isinstance(accounts, LongList), "accounts are a long list"
        parameters = self._parameters()
        templates = take_templates(self._copy(), ProblemList())
        return ConfiguredAccounts(accounts, groups, templates, parameters, self._exchange())

    def account_of(self, version: "ObjectVersion") -> "Account":
        """Return the account that a version in the database makes, though it may have ended, and its rate group too."""
        from vosd.config.stored_text import section_of

        problems = ProblemList()
        section = section_of(version, str(self._path.parent), self._environ, problems)
        return self.accounts().alone(problems.checked(section))

    def hierarchy(self) -> "Hierarchy":
        """Return which accounts stand above which, as written; found once, since every agent's order asks."""
        from vosd.billing.agents import Hierarchy

        found = self._hierarchy  # another thread may read a further list, which forgets it
        if found is None:
            accounts = self.accounts()
            agents = accounts.agents()  # not all accounts: each command that shows one would pay for a walk over them
            top = {agent: None for agent in agents.values() if agent not in agents and agent in accounts}
            found = self._hierarchy = Hierarchy({**agents, **top})
        return found

    def free_numbers(self) -> "tuple[SpecialNumbers, RatingPolicy]":
        """Return the numbers that are billed otherwise, and how the seconds of calls to free ones are rounded."""
        from vosd.config.assembly.special_numbers import free_policy, special_numbers

        keys, parameters = self._installation()
        return special_numbers(keys, parameters), free_policy(parameters)

    def decimals_of(self, account: "Account") -> int:
        """Return how many decimals the configuration gives the money of an account (docs/billing.md, "Currencies")."""
        if account.fee_precision is not None:
            return account.fee_precision
        of_currency = self._currencies().decimals.get(account.currency)
        return PLACES if of_currency is None else of_currency.precision

    def _currencies(self) -> "ReadCurrencies":
        """Return decimals and rates of exchange as written, without those that have mistakes; every payment asks."""
        from vosd.config.assembly.currencies import read_currencies

        found = self._written_currencies  # another thread may read a further list, which forgets them
        if found is None:
            found = self._written_currencies = read_currencies(self._copy(), ProblemList())
        return found

    def _exchange(self) -> "Currencies":
        """Return the currencies and rates of exchange, without those that have mistakes."""
        from vosd.billing.currencies import Currencies
        from vosd.config.assembly.currencies import default_decimals
        from vosd.config.keys.limits import LimitKeys

        decimals, rates = self._currencies()
        default = default_decimals(self._parameters())
        limits = self._section(LimitKeys, "limits")
        return Currencies(rates.values().values(), decimals, default, limits.max_call_seconds)

    def calendars(self) -> "dict[str, Calendar]":
        """Return the calendars by name, without those that have mistakes; none where they are switched off."""
        from vosd.config.assembly.calendars import calendar, read_calendars

        if not self._parameters().work_calendar:
            return {}
        written = read_calendars(self._copy(), ProblemList()).written
        zone_variable = self._environ.get("TZ", "")
        return {name: calendar(each, zone_variable, ProblemList()) for name, each in written.items()}

    def destination_classes(self) -> tuple[str, ...]:
        """Return the names of the classes of destinations, without those that have mistakes."""
        from vosd.config.assembly.destinations import read_destination_classes

        return tuple(each.name for each in read_destination_classes(self._copy(), ProblemList()))

    def rate_group(self, name: str) -> "RateGroup | None":
        """Return one rate group with its rates; None where there is none of that name."""
        read = self._rate_group(name)
        return None if read is None else self._whole_group(read)

    def rate_groups_of(self, name: str, deck: Path) -> "list[RateGroup]":
        """Return a rate group that takes its rates from a deck, as it would be with the rows in a file.

        Behind it are the groups that are derived from it.
        """
        from vosd.config.assembly.derived_groups import derived_group

        base = self._rate_group(name, {name: deck})
        if base is None:
            return []
        read = self._read_groups(self._derived_from(name))
        return [self._whole_group(base), *(derived_group(each.read, base, each.keys.derive).group for each in read)]

    def _whole_group(self, read: "ReadGroup") -> "RateGroup":
        """Return a rate group with the rates of the group that it is derived from, if it is."""
        from vosd.config.assembly.derived_groups import derived_group

        base = None if read.derive is None else self._rate_group(read.derive.base or "")
        return read.group if base is None or read.derive is None else derived_group(read, base, read.derive).group

    def _derived_from(self, base: str) -> list[str]:
        """Return the names of the rate groups that are derived from one."""
        (groups,) = self._lists(RATE_GROUPS)
        templates, found = take_templates(self._copy(), ProblemList()), []
        for name, section in groups.items():
            derive = fill_from_template(section, templates, name, ProblemList()).entries.get("derive")
            if derive is not None and isinstance(derive.node, Section) and derive.node.text_of("from") == base:
                found.append(name)
        return found

    async def rate_group_sheets(self) -> "list[RateGroupSheet]":
        """Return every rate group, in the order of the configuration, with the number of its rates and users.

        In a thread: with 100,000 accounts it takes a second. The lists are read before, as two readers would mix them.
        """
        from asyncio import to_thread

        self._lists(ACCOUNTS, RATE_GROUPS, *GATEWAYS)
        return await to_thread(self._rate_group_sheets)

    def _rate_group_sheets(self) -> "list[RateGroupSheet]":
        from vosd.admin.rate_areas import RateGroupSheet

        accounts, gateways = self._users_of_groups(ACCOUNTS), self._users_of_groups(*GATEWAYS)
        return [
            RateGroupSheet(
                name=each.keys.name,
                currency=each.keys.currency,
                price_per=each.keys.price_per.value,
                rates=each.read.group.table.size,
                rates_from=each.source,
                base=each.base,
                accounts=accounts[each.keys.name],
                gateways=gateways[each.keys.name],
                memo=each.keys.memo,
            )
            for each in self._rate_groups()
        ]

    def _rate_groups(self) -> list[ListedGroup]:
        from vosd.config.assembly.derived_groups import derived_group

        (groups,) = self._lists(RATE_GROUPS)
        listed = {each.keys.name: each for each in self._read_groups(groups)}
        return [
            each._replace(read=derived_group(each.read, listed[each.base].read, each.keys.derive))
            if each.base in listed
            else each
            for each in listed.values()
        ]

    def _users_of_groups(self, *lists: str) -> Counter[str]:
        """Return how many items of lists name each rate group, as theirs or as private one; none is validated."""
        templates = take_templates(self._copy(), ProblemList())
        self._lists(*lists)
        long_lists = [self._long_lists[kind] for kind in lists]
        return Counter(group for each in long_lists for _, group in each.written(_GROUP_KEYS, templates, TEMPLATE))

    def _rate_group(self, name: str, decks: Mapping[str, Path] | None = None) -> "ReadGroup | None":
        """Return one rate group with the rates of its own; ``decks``: files of decks in place of those in force."""
        return next((each.read for each in self._read_groups([name], decks)), None)

    def _read_groups(self, names: Iterable[str], decks: Mapping[str, Path] | None = None) -> list[ListedGroup]:
        """Return rate groups with the rates of their own, without those that are not configured."""
        from vosd.config.assembly.named_groups import named_group

        listed, versions = self._with_own_areas(names, decks)
        own = {each.keys.name: each for each in listed}
        elsewhere = {each.keys.area_names for each in listed if each.keys.area_names is not None} - own.keys()
        if elsewhere:
            own |= {each.keys.name: each for each in self._with_own_areas(elsewhere)[0]}
        named = [
            each._replace(read=named_group(each.read, own[each.keys.area_names].read.group.table))
            if each.keys.area_names in own
            else each
            for each in listed
        ]
        for each in named:
            if each.keys.name in versions:
                each.read.group.name_deck(versions[each.keys.name])
        return named

    def _with_own_areas(
        self, names: Iterable[str], decks: Mapping[str, Path] | None = None
    ) -> tuple[list[ListedGroup], Mapping[str, int]]:
        """Return rate groups without areas of other groups, and the versions of the decks of those that have one."""
        from vosd.config.assembly.compiled_groups import CompiledGroups
        from vosd.config.assembly.decks import deck_names, names_of_decks, naming_decks, source_of_rates, with_decks
        from vosd.config.assembly.inventory import label_of
        from vosd.config.assembly.parameters import defaults_of, over_defaults
        from vosd.config.assembly.rate_groups import read_group_keys, read_rate_group
        from vosd.config.assembly.rate_tables import TablesInMemory
        from vosd.config.stored import Wanted, nothing_stored

        (groups,) = self._lists(RATE_GROUPS)
        found = [groups[name] for name in names if name in groups]
        if not found:
            return [], {}
        keys, parameters = self._installation()
        problems = ProblemList()
        templates, defaults = take_templates(self._copy(), ProblemList()), defaults_of(self._copy())
        labels = [label_of(section, RATE_GROUPS, "name", 0) for section in found]
        sections = [
            over_defaults(fill_from_template(section, templates, label, problems), defaults)
            for section, label in zip(found, labels, strict=True)
        ]
        wanted = Wanted(keys.state_dir, keys.database.url.reveal(), deck_names(sections))
        has_decks = decks is None and bool(wanted.decks)
        stored = (self._definitions or nothing_stored)(wanted) if has_decks else nothing_stored(wanted)
        files = names_of_decks(stored.decks, stored.files)
        if decks is not None:
            files = {path: f"the new rates of deck {group}" for group, path in decks.items()}
        sections = with_decks(sections, stored.files if decks is None else decks, problems)
        decimals = self._currencies().decimals
        tables = self._tables
        compiled = CompiledGroups(
            sections,
            parameters,
            lambda: TablesInMemory() if tables is None else tables(keys.state_dir),
            problems,
            decimals,
        )
        listed: list[ListedGroup] = []
        for section, label in zip(sections, labels, strict=True):
            if compiled.has(section):
                read = compiled.read(section)
            else:
                read = read_rate_group(section, label, parameters, problems, decimals)
            own = read_group_keys(section, label, ProblemList())
            if read is not None and own is not None:
                listed.append(ListedGroup(own, read, source_of_rates(section)))
        if len(listed) < len(found) or problems.has_errors:
            raise ConfigError(tuple(naming_decks(problems.in_order(), files)))
        return listed, {deck.group: deck.number for deck in stored.decks if deck.group in stored.files}

    def rates_of(self, account: "Account", *, is_vendor: bool = False) -> "Rates | None":
        """Return the rates that price the calls of an account; None where its rate group is not configured."""
        from vosd.catalogue.rate_choices import RateChooser

        keys, parameters = self._installation()
        groups: dict[str, RateGroup] = {}
        self._add_groups(groups, account.rate_group, account.private_rate_group)
        main = groups.get(account.rate_group or "")
        if account.rate_group is not None and main is None:
            return None
        defined = self._period_rates()
        bound = defined.get(account.period_rates or (main and main.period_rates) or "")
        if bound is not None:
            self._add_groups(groups, *(period.rate_group for period in bound.periods))
        has_periods = parameters.period_rate and parameters.work_calendar
        calendars = self.calendars() if has_periods else None
        chooser = RateChooser(groups, defined, calendars, keys.billing.free_time_scope, self._exchange())
        return chooser.rates_of(account, is_vendor=is_vendor)

    def _add_groups(self, groups: "dict[str, RateGroup]", *names: str | None) -> None:
        """Add the rate groups with these names, as far as they exist."""
        for name in names:
            group = None if name is None or name in groups else self.rate_group(name)
            if group is not None:
                groups[group.name] = group
                self._add_groups(groups, *(origin.rate_group for origin in group.origins))

    def _period_rates(self) -> "dict[str, PeriodRates]":
        """Return the period rates by name, without those that have mistakes."""
        from vosd.config.assembly.period_rates import period_rates, read_period_rates

        written = read_period_rates(self._copy(), ProblemList()).written
        return {name: period_rates(each.thing) for name, each in written.items()}

    def deck_group(self, name: str) -> "RateGroupKeys":
        """Return the keys of a rate group that takes its rates from the deck of its name.

        Raises:
            NoDeckGroupError: there is none of that name, or its rates are in the configuration.
        """
        from vosd.config.assembly.decks import deck_names

        (groups,) = self._lists(RATE_GROUPS)
        section = groups.get(name)
        if section is None:
            near = suggestion(name, groups) if groups else "there is none"
            raise NoDeckGroupError(f"no rate group {name!r} is configured; {near}")
        if name not in deck_names([section]):
            from vosd.config.stored_text import named_place

            place = named_place(section.place, self._path)
            message = f"{place}: rate group {name} has its rates in the configuration: say deck: true instead"
            raise NoDeckGroupError(message)
        return self._group_keys(section)

    def area_names_of_deck(self, name: str, tables: "dict[str, RateTable]") -> "str | RateTable | None":
        """Return what names the areas of the deck of a rate group that have no name; None = nothing does.

        This is the name of another deck, or the rates of a group that has none: those of ``tables``, or else they are
        put there. Raises as ``deck_group``.
        """
        from vosd.config.assembly.decks import deck_names

        names = self.deck_group(name).area_names
        (groups,) = self._lists(RATE_GROUPS)
        if names is None or names not in groups:
            return None
        if names in deck_names([groups[names]]):
            return names
        if names not in tables:
            (named,), _ = self._with_own_areas([names])
            tables[names] = named.read.group.table
        return tables[names]

    def _group_keys(self, section: Section) -> "RateGroupKeys":
        from vosd.config.assembly.inventory import label_of
        from vosd.config.assembly.parameters import defaults_of, over_defaults
        from vosd.config.assembly.rate_groups import read_group_keys

        problems = ProblemList()
        label = label_of(section, RATE_GROUPS, "name", 0)
        filled = fill_from_template(section, take_templates(self._copy(), ProblemList()), label, problems)
        keys = read_group_keys(over_defaults(filled, defaults_of(self._copy())), label, problems)
        if keys is None:
            raise ConfigError(problems.in_order())
        return keys

    def billing_unit(self, group: "RateGroupKeys") -> int:
        """Return the seconds of one increment of rates of a group that have none of their own."""
        _, parameters = self._installation()
        return group.billing_unit or parameters.billing_unit

    def gateways_by_list(self) -> dict[str, frozenset[str]]:
        """Return the names of gateways and phones, by the list that they are in."""
        return {name: frozenset(items) for name, items in zip(GATEWAYS, self._lists(*GATEWAYS), strict=True)}

    def rate_groups_by_list(self) -> dict[str, frozenset[str]]:
        """Return the rate groups that gateways and phones name, as theirs or as private ones, by the list of these."""
        return {kind: frozenset(self._users_of_groups(kind)) for kind in GATEWAYS}

    def groups_of_trunks(self) -> Callable[[], dict[str, set[str]]]:
        """Return what finds, here or in a thread, the rate groups that mapping gateways and phones name, by account.

        They name them as theirs or as private ones.
        """
        self._lists(*_TRUNKS)
        templates = take_templates(self._copy(), ProblemList())
        return partial(_groups_in, [self._long_lists[name] for name in _TRUNKS], templates)

    def groups_priced_by(self, groups: Iterable[str], period_rates: Iterable[str]) -> frozenset[str]:
        """Return rate groups, those of their origins and periods, and those of ``period_rates``.

        Raises:
            ConfigError: a group has mistakes.
        """
        (written,) = self._lists(RATE_GROUPS)
        periods = {name: [each.rate_group for each in rates.periods] for name, rates in self._period_rates().items()}
        waiting: list[str | None] = [*groups, *(name for each in period_rates for name in periods.get(each, ()))]
        found: set[str] = set()
        while waiting:
            name = waiting.pop()
            if name is None or name in found:
                continue
            found.add(name)
            if name in written:
                keys = self._group_keys(written[name])
                waiting += [origin.rate_group for origin in keys.origins]
                waiting += periods.get(keys.period_rates or "", ())
        return frozenset(found)

    def accounts_of(self, *kinds: str) -> Callable[[], dict[str, str]]:
        """Return what finds the account of each object of some kinds that names one, here or in a thread.

        It is as written: none of them is validated. Of 100,000 objects it takes half a second.
        """
        lists = self._lists(*kinds)
        return partial(_accounts_in, lists, take_templates(self._copy(), ProblemList()))

    def written(self, kind: str) -> "Mapping[str, Section]":
        """Return the objects of a kind that the files have, by name, as they are written: none of them is validated."""
        from vosd.catalogue.stored_objects import KINDS
        from vosd.config.stored_text import version_at

        name_key = KINDS[kind]
        if name_key is None:
            node = self._copy().entries.get(kind, _EMPTY).node
            named = {name: each.node for name, each in node.entries.items()} if isinstance(node, Section) else {}
            sections: Mapping[str, Section] = {name: each for name, each in named.items() if isinstance(each, Section)}
        else:
            (sections,) = self._lists(kind)
        if isinstance(sections, LongList):
            return sections.of_files
        return {name: each for name, each in sections.items() if version_at(each.place) is None}

    async def search_text(self, kind: str) -> "SearchText":
        """Return the texts by which objects of a kind are found."""
        from vosd.config.search_texts import SearchTexts

        if self._search_texts is None:
            self._search_texts = SearchTexts()
        files = self.written(kind)
        return await self._search_texts.of(kind, files, (self._stored or {}).get(kind, {}))

    def _installation(self) -> "tuple[InstallationKeys, ParameterKeys]":
        from vosd.config.assembly.parameters import defaults_of, take_parameters
        from vosd.config.keys.installation import InstallationKeys
        from vosd.config.reader.reading import read_section

        problems = ProblemList()
        document = self._copy()
        defaults = defaults_of(document)
        parameters = take_parameters(document, defaults, problems)
        for name in InstallationKeys.apart:
            document.entries.pop(name, None)
        keys = read_section(InstallationKeys, document, "", problems, defaults.settings)
        return problems.checked(keys), parameters

    def _parameters(self) -> "ParameterKeys":
        """Return VOS3000's parameters; the other settings are not validated."""
        from vosd.config.assembly.parameters import defaults_of, take_parameters

        document, problems = self._copy(), ProblemList()
        return problems.checked(take_parameters(document, defaults_of(document), problems))

    def parameter_sheets(self) -> "list[ParameterSheet]":
        """Return all parameters of VOS3000, in the order of the reference, and those of the file without effect."""
        from vosd.config.parameter_sheets import parameter_sheets

        problems = ProblemList()
        found = parameter_sheets(self._copy(), problems)
        if problems.has_errors:
            raise ConfigError(self._naming(problems.in_order()))
        return found

    def _section(self, model: "type[Model]", key: str) -> "Model":
        """Return one section of the top level; the other settings are not validated."""
        from vosd.config.assembly.parameters import defaults_of
        from vosd.config.reader.reading import read_section

        document, problems = self._copy(), ProblemList()
        entry = document.entries.get(key)
        section = Section(document.place) if entry is None else entry.node
        if not isinstance(section, Section):  # nothing, or a mistake, which the message calls by its name
            found: Model = getattr(self._installation()[0], key)
            return found
        return problems.checked(read_section(model, section, key, problems, defaults_of(document).settings.get(key)))

    def _copy(self) -> Section:
        """Return the document, at least without the lists, for a caller that takes parts out of it."""
        document = self._document or self._read(frozenset())
        return Section(document.place, dict(document.entries))

    def _lists(self, *names: str) -> list[Mapping[str, Section]]:
        """Return the items of lists of the document, by name."""
        document = self._document
        if document is None or not self._read_lists.issuperset(names):
            document = self._read(self._read_lists.union(names))
        entries = document.entries
        return [
            self._long_lists[name]
            if name in self._long_lists
            else _by_name(entries.get(name, _EMPTY).node, _NAME_KEYS.get(name, "name"))
            for name in names
        ]

    def _read(self, lists: frozenset[str]) -> Section:
        problems = ProblemList()
        with without_collector():
            document = read_files(self._path, self._environ, problems, LISTS - lists, self.texts)
            stored = self._objects(document)
            long_lists = {}
            for name in lists & LONG_LISTS.keys():
                node = document.entries.pop(name, _EMPTY).node
                sections = node.items if isinstance(node, YamlList) else []
                long_lists[name] = LongList(LONG_LISTS[name], sections, stored.get(name, {}), self._section_of)
            others = [each for kind, found in stored.items() if kind not in LONG_LISTS for each in found.values()]
            if others:
                from vosd.config.stored_text import document_of

                merge(document, document_of(others, self._path, self._environ, problems), problems)
        found = problems.in_order()
        for each in long_lists.values():
            found = tuple(each.take_mistakes(found))
        if any(each.severity is Severity.ERROR for each in found):
            raise ConfigError(self._naming(found))
        self._document, self._read_lists, self._long_lists = document, lists, long_lists
        self._hierarchy = self._written_currencies = None
        return document

    def _section_of(self, each: "ObjectVersion") -> Section:
        from vosd.config.stored_text import section_of

        problems = ProblemList()
        section = section_of(each, str(self._path.parent), self._environ, problems)
        if problems.has_errors:
            raise ConfigError(self._naming(problems.in_order()))
        return section

    def _naming(self, found: "tuple[DefinitionProblem, ...]") -> "tuple[DefinitionProblem, ...]":
        """Return problems that name objects of the database."""
        if not self._stored:
            return found
        from vosd.config.stored_text import naming_objects

        return naming_objects(found, self._path)

    def _objects(self, files: Section) -> "Mapping[str, Mapping[str, ObjectVersion]]":
        """Return what the database defines; asked for once."""
        if self._stored is None:
            self._stored = {}
            if self._has_objects is not None and self._has_objects(files) and self._definitions is not None:
                from vosd.config.wanted import wanted_of

                self._stored = self._definitions(wanted_of(files)).objects
        return self._stored


def _by_name(node: Node, key: str) -> dict[str, Section]:
    """Return the items of a list by name; those without a name are left out."""
    named: dict[str, Section] = {}
    for section in node.items if isinstance(node, YamlList) else []:
        if isinstance(section, Section) and (name := section.text_of(key)):
            named.setdefault(name, section)
    return named


def _groups_in(trunks: Iterable[LongList], templates: Mapping[str, Section]) -> dict[str, set[str]]:
    """Return the rate groups that gateways or phones name, by their accounts."""
    found: dict[str, set[str]] = {}
    for each in trunks:
        payers = dict(each.written(["account"], templates, TEMPLATE))
        for name, group in each.written(_GROUP_KEYS, templates, TEMPLATE):
            found.setdefault(payers.get(name, ""), set()).add(group)
    return found


def _accounts_in(lists: Sequence[Mapping[str, Section]], templates: Mapping[str, Section]) -> dict[str, str]:
    found: dict[str, str] = {}
    for items in lists:
        if isinstance(items, LongList):
            found |= items.written(["account"], templates, TEMPLATE)
        else:
            found |= {name: account for name, each in items.items() if (account := each.text_of("account"))}
    return found
