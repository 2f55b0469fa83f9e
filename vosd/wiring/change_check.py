"""Checks of a change of objects: the configuration is loaded as it will be at each planned moment.

Each load takes from the one before what is the same (ADR 112), so a moment costs what its own difference costs.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from vosd.catalogue.agent_domains import check_domains_of_agent
from vosd.catalogue.agent_numbers import check_numbers_of_agent
from vosd.catalogue.agent_sources import check_sources
from vosd.catalogue.catalogue import Catalogue
from vosd.catalogue.held_currencies import planned_currencies
from vosd.catalogue.planned_objects import ChangeCheck, CheckedObjects, ObjectsThen, check_later, states_planned
from vosd.catalogue.problems import ConfigError, DefinitionProblem, ProblemList, Severity, SourceLine
from vosd.catalogue.rate_choices import CURRENCY_KEYS
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.config.assembly.rate_tables import TablesOnce
from vosd.config.assembly.remembered import Remembered
from vosd.config.load import Loaded, load
from vosd.config.reader.addresses import listener_in
from vosd.config.stored import Stored, Wanted
from vosd.config.stored_text import with_changes
from vosd.wiring.configured_switch import ConfiguredSwitch

MOMENTS_MAX: Final = 20
"""Most moments of one check: each costs a load, which takes what is the same from the one before."""
_Objects = Mapping[str, Mapping[str, ObjectVersion]]
_CURRENCY_FROM: Final[Mapping[str, Sequence[str]]] = {
    "accounts": ("currency", *CURRENCY_KEYS, "template"),
    "rate_groups": ("currency", "template"),
    "templates": ("currency", *CURRENCY_KEYS),
}
"""Kinds of objects that accounts have their currency from, and the keys by which they have it."""


class KeptCurrencies:
    """Moments one after the other, each checked with the currencies that accounts had until then.

    Each keeps its own, for it may have money by then; one that is gone meanwhile has the currency that it had before.
    """

    def __init__(
        self, load: Callable[[Sequence[ObjectVersion]], Loaded], moments: Iterable[Sequence[ObjectVersion]] = ()
    ) -> None:
        """``load`` loads a configuration file, and raises ConfigError; the first ``moments`` are not checked."""
        self._load = load
        self._had: dict[str, str] = {}
        for versions in moments:
            with suppress(ConfigError):
                self.note(load(versions).catalogue)

    def note(self, catalogue: Catalogue) -> None:
        """Note the accounts of the next moment without a check."""
        self._had |= _in(catalogue)

    def check(self, currencies: Mapping[str, str], places: Mapping[str, SourceLine]) -> None:
        """Raise ConfigError where accounts get another currency than they had until now; both are by account."""
        problems = planned_currencies(self._had, currencies, places)
        if problems:
            raise ConfigError(problems)

    def follow(self, versions: Sequence[ObjectVersion]) -> None:
        """Load the next moment, and check the currencies of its accounts.

        Raises:
            ConfigError: it is not valid, or accounts get another currency than they had until then.
        """
        loaded = self._load(versions)
        had, found = self._had, _in(loaded.catalogue)
        self._had = had | found
        problems = planned_currencies(had, found, loaded.account_places)
        if problems:
            raise ConfigError(problems)


def _in(catalogue: Catalogue) -> dict[str, str]:
    return {name: each.currency for name, each in catalogue.accounts.items()}


class LastLoad:
    """The configuration as it was loaded last, for later checks of the same file: each takes what is the same from it.

    One configuration is kept, however many checks there are.
    """

    def __init__(self) -> None:
        self.remembered = Remembered()
        self.stored: Stored | None = None
        """Definitions of the database as they were read last; None = all have to be read."""
        self.differing: set[tuple[str, str]] | None = set()
        """Objects, by kind and name, that may differ between ``stored`` and the last load; None = any may."""
        self._read_from: tuple[Path, str] | None = None
        """State directory and URL of the database."""

    @classmethod
    def of_start(cls, remembered: Remembered, wanted: Wanted) -> "LastLoad":
        """Return the load that a switch has started with, which has read the database.

        ``wanted`` is what it has asked for.
        """
        last = cls()
        last.remembered, last._read_from = remembered, (wanted.state_dir, wanted.database_url)
        assert remembered.stored is not None
        last.stored = remembered.stored._replace(unkept=None)
        return last

    def read(self, wanted: Wanted, definitions: Callable[[Wanted], Stored]) -> Stored:
        """Return the objects of the database, of which only those that have changed are read."""
        place = wanted.state_dir, wanted.database_url
        if place != self._read_from:
            self.stored, self._read_from = None, place
        found = definitions(wanted._replace(known=self.stored))
        if found.changes is None:
            self.differing = None
        elif self.differing is not None:
            self.differing |= {(each.kind, each.name) for each in found.changes}
        is_known = found.unread is None or self.stored is not None
        self.stored = found._replace(changes=None, unread=None, unkept=None) if is_known else None
        return found

    def changes_to(self, objects: _Objects, versions: Iterable[ObjectVersion]) -> Sequence[ObjectVersion] | None:
        """Return how objects differ from those of the last load; None = not known.

        ``versions`` are in them, in the place of those of the database.
        """
        known = self.remembered.stored
        if known is None or self.differing is None:
            return None
        return [*_changes(known.objects, objects, self.differing | {(each.kind, each.name) for each in versions})]

    def note_loaded(self, versions: Iterable[ObjectVersion]) -> None:
        """Note that the last load has the objects of ``stored``, with these versions in their place."""
        self.differing = {(each.kind, each.name) for each in versions}


def check_here(switch: ConfiguredSwitch, asked: ChangeCheck, last: LastLoad | None = None) -> CheckedObjects:
    """Load a configuration in each state of a change, and return the findings.

    ``last`` is that of the last check of the same file, and becomes that of the next one; None = there is none.

    Raises:
        ConfigError: it is not valid, or has sources, numbers or domains of an agent that it may not give.
    """
    loads = Loads(switch, asked.opened, last)
    first, *later = asked.states
    catalogue = loads.with_versions(first.versions).catalogue
    problems = ProblemList()
    if asked.sources is not None:
        check_sources(catalogue, asked.sources, problems)
    if asked.numbers is not None:
        check_numbers_of_agent(catalogue, asked.numbers, problems)
    if asked.domains is not None:
        check_domains_of_agent(catalogue, asked.domains, problems)
    if problems.has_errors:
        raise ConfigError(problems.in_order())
    accounts = {name: catalogue.accounts[name] for name in asked.accounts if name in catalogue.accounts}
    without = {(each.kind, each.name): each for each in first.without}
    setting = [each for each in _changed(first) if _may_set_currency(each, without, catalogue, loads)]
    currencies = _currencies(first, catalogue, loads, setting)
    if setting and (later or asked.is_planned):
        _check_kept(asked, catalogue, currencies, loads)
    else:
        check_later(later, loads.with_versions)
    return CheckedObjects(accounts, currencies, loads.definitions)


def _changed(state: ObjectsThen) -> list[ObjectVersion]:
    planned = {(each.kind, each.name, each.version) for each in state.without}
    return [each for each in state.versions if (each.kind, each.name, each.version) not in planned]


def _check_kept(asked: ChangeCheck, catalogue: Catalogue, currencies: Mapping[str, str], loads: "Loads") -> None:
    """Check the later states of a change, and that each account keeps its currency from one planned moment to the next.

    ``catalogue`` is that of the first state, ``currencies`` those of the accounts that the change makes or moves.

    Raises:
        ConfigError: a state is not valid, or an account gets another currency later than it has before.
    """
    first, *later = asked.states
    earlier = [(), *(each.versions for each in asked.earlier if any(map(_sets_currency, _begun(each))))]
    kept = KeptCurrencies(loads.with_versions, earlier if asked.is_planned else ())
    if asked.is_planned:
        changed = _changed(first)
        made = {each.name: each for each in changed if each.kind == "accounts"}
        kept.check(currencies, {name: made.get(name, changed[0]).source for name in currencies})
    kept.note(catalogue)

    def check_without(state: ObjectsThen) -> None:
        between = (each.without for each in asked.states if each.at < state.at)
        KeptCurrencies(loads.with_versions, [*earlier, *between]).follow(state.without)

    check_later(later, kept.follow, check_without)


def _begun(state: ObjectsThen) -> Iterator[ObjectVersion]:
    return (each for each in state.versions if each.begins_at == state.at)


def _sets_currency(version: ObjectVersion) -> bool:
    return version.kind in _CURRENCY_FROM


def _currencies(
    state: ObjectsThen, catalogue: Catalogue, loads: "Loads", setting: Sequence[ObjectVersion]
) -> dict[str, str]:
    """Return the currencies of accounts that a change defines, and of those that get another one by it.

    An account that the database does not define any more may be one of the files from then on. ``setting`` are the
    changed objects by which accounts may get another currency: others than accounts cost a load without them.
    """
    named = {each.name for each in _changed(state) if each.kind == "accounts"}
    found = {name: catalogue.accounts[name].currency for name in sorted(named & catalogue.accounts.keys())}
    if any(each.kind != "accounts" for each in setting):
        try:
            before = loads.with_versions(state.without).catalogue.accounts
        except ConfigError:  # the change mends it
            before = {}
        for name, account in catalogue.accounts.items():
            if name not in before or before[name].currency != account.currency:
                found[name] = account.currency
    return found


def _may_set_currency(
    version: ObjectVersion, without: Mapping[tuple[str, str], ObjectVersion], catalogue: Catalogue, loads: "Loads"
) -> bool:
    """Return whether accounts may get another currency by a changed object.

    ``without`` are the objects that differ from those in force without the change, by kind and name.
    """
    keys = _CURRENCY_FROM.get(version.kind)
    if keys is None:
        return False
    if version.body is None:  # the files may define it from then on, with other keys
        there = {"accounts": catalogue.accounts, "rate_groups": catalogue.rate_groups}.get(version.kind)
        return there is None or version.name in there
    replaced = without.get((version.kind, version.name)) or loads.in_force(version.kind, version.name)
    if replaced is None or replaced.body is None:
        return True
    before, after = json.loads(replaced.body), json.loads(version.body)
    return any(before.get(key) != after.get(key) for key in keys)


class Loads:
    """Loads of a configuration with further versions of objects, in the place of those that the database has."""

    def __init__(
        self, switch: ConfiguredSwitch, opened: Sequence[str] | None = None, last: LastLoad | None = None
    ) -> None:
        """``opened`` is as in ``ChangeCheck``, ``last`` as in ``check_here``.

        The database is read once, by the first load.
        """
        self._switch = switch
        self._opened = None if opened is None else [*map(listener_in, opened)]
        self._tables = TablesOnce(switch.tables)
        self._last = LastLoad() if last is None else last
        self._stored: Stored | None = None
        """Definitions of the database, as the first load has read them."""

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self._switch.config_path()

    @property
    def definitions(self) -> int:
        """Version of all definitions of the database that the loads have; 0 = they could not be read."""
        return (None if self._stored is None else self._stored.version) or 0

    def in_force(self, kind: str, name: str) -> ObjectVersion | None:
        """Return an object that the database defines, known after the first load; None = it defines none."""
        return None if self._stored is None else self._stored.objects.get(kind, {}).get(name)

    def with_versions(self, versions: Sequence[ObjectVersion]) -> Loaded:
        """Load the configuration with further versions; raises ConfigError."""
        last = self._last

        def definitions(wanted: Wanted) -> Stored:
            if wanted.decks:  # what is known are the objects, and their rows are asked for
                return self._switch.definitions(wanted)
            if self._stored is None:
                self._stored = last.read(wanted, self._switch.definitions)
            objects = with_changes(self._stored.objects, versions)
            return self._stored._replace(objects=objects, changes=last.changes_to(objects, versions))

        loaded = load(
            self.config,
            tables=self._tables.of,
            definitions=definitions,
            remembered=last.remembered,
            opened=self._opened,
        )
        last.note_loaded(versions)
        return loaded


def _changes(known: _Objects, objects: _Objects, names: Iterable[tuple[str, str]]) -> Iterator[ObjectVersion]:
    """Yield the objects of some kinds and names that differ; one that is gone without its keys."""
    for kind, name in names:
        before, after = known.get(kind, {}).get(name), objects.get(kind, {}).get(name)
        if after is None and before is not None:
            yield msgspec.structs.replace(before, body=None)
        elif after is not None and after != before:
            yield after


def warnings_of_moments(loads: Loads, planned: Sequence[ObjectVersion]) -> Iterator[DefinitionProblem]:
    """Yield the mistakes of the configuration at the first planned moments, as warnings: none of them is in force.

    A mistake is named with the first moment that has it; a moment that has no other one is left out. ``loads`` may have
    loaded what is in force, which saves the whole load at the first moment.
    """
    named = set[DefinitionProblem]()
    for state in [*states_planned(planned)][:MOMENTS_MAX]:
        try:
            loads.with_versions(state.versions)
        except ConfigError as error:
            mistakes = [each for each in error.problems if each.severity is Severity.ERROR and each not in named]
            if mistakes:
                named.update(mistakes)
                found = state.error(ConfigError(mistakes)).problems
                yield from (each._replace(severity=Severity.WARNING) for each in found)
