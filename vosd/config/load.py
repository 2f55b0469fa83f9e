"""The configuration from files to settings and catalogue: every step, in order, and all mistakes at once."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from vosd.base.parts import free, take_apart
from vosd.billing.accounts import Account
from vosd.billing.currencies import FeeDecimals
from vosd.billing.rate_file import Gone
from vosd.catalogue.assemble import assemble
from vosd.catalogue.catalogue import Catalogue
from vosd.catalogue.decks import place_of_deck
from vosd.catalogue.doubtful_calendars import warn_of_calendars
from vosd.catalogue.doubtful_rates import has_rate_types, warn_of_rates
from vosd.catalogue.problems import ConfigError, DefinitionProblem, ProblemList, SocketNotOpenError, SourceLine
from vosd.catalogue.source import CatalogueSource, Definition
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.config.assembly.calendars import read_calendars
from vosd.config.assembly.compiled_groups import CompiledGroups
from vosd.config.assembly.credentials import with_secrets
from vosd.config.assembly.currencies import read_currencies
from vosd.config.assembly.decks import deck_names, has_own_rates, names_of_decks, naming_decks, with_decks
from vosd.config.assembly.derived_groups import derive_groups
from vosd.config.assembly.destinations import read_destination_classes
from vosd.config.assembly.inventory import Inventory, Items, label_of, read_inventory, read_list
from vosd.config.assembly.named_groups import name_groups
from vosd.config.assembly.parameters import defaults_of, over_defaults, take_parameters, trunk_defaults_of
from vosd.config.assembly.period_rates import read_period_rates, report_coverage
from vosd.config.assembly.radius import sound_keys
from vosd.config.assembly.rate_groups import ReadGroup, read_rate_group
from vosd.config.assembly.rate_report import RateReport, check_rates, report_rates, summarise
from vosd.config.assembly.rate_tables import Compiled, RateTables, TablesInMemory, TablesOnce
from vosd.config.assembly.remembered import ReadItems, Remembered
from vosd.config.assembly.scheduled_reports import (
    check_mail_server,
    read_scheduled_reports,
    scheduled_reports,
    warn_of_names,
)
from vosd.config.assembly.setting_checks import check_settings
from vosd.config.assembly.settings import settings_of
from vosd.config.assembly.shown_files import with_shown_files
from vosd.config.assembly.sockets import Reach, check_open_sockets, check_sockets
from vosd.config.assembly.source import ReadObjects, source_of
from vosd.config.assembly.special_numbers import check_special_numbers, special_numbers
from vosd.config.assembly.stir import read_stir
from vosd.config.assembly.transports import read_transports
from vosd.config.keys.accounts import AccountKeys
from vosd.config.keys.dids import DidKeys
from vosd.config.keys.groups import AddressGroupKeys, GatewayGroupKeys
from vosd.config.keys.installation import InstallationKeys
from vosd.config.keys.number_lists import NumberListKeys, NumberPoolKeys
from vosd.config.keys.parameters import ParameterKeys
from vosd.config.keys.presets import Defaults
from vosd.config.keys.rate_groups import RateGroupKeys
from vosd.config.keys.routing_plans import RoutingPlanKeys
from vosd.config.keys.scheduled_reports import ScheduledReportKeys
from vosd.config.keys.trunks import MappingGatewayKeys, PhoneKeys, RoutingGatewayKeys
from vosd.config.reader.collector import without_collector
from vosd.config.reader.document import Section, YamlList
from vosd.config.reader.fields import Keys
from vosd.config.reader.includes import merge
from vosd.config.reader.items import LONG_LISTS, DoubtfulError
from vosd.config.reader.reading import items_of, read_section
from vosd.config.reader.renamed import merged
from vosd.config.reader.templates import check_template_keys, fill_from_template, take_templates
from vosd.config.reader.texts import DiskTexts, Texts
from vosd.config.reader.whole_files import with_items
from vosd.config.stored import Stored, Wanted, nothing_stored
from vosd.config.stored_text import document_of, empty_lists, every_object, named_one_by_one, named_place, sections_of
from vosd.config.wanted import Asked, wanted_of
from vosd.engine.settings import Settings, SipListener
from vosd.net.settings import TransportSettings
from vosd.net.tls import TlsContexts

Model = TypeVar("Model", bound=Keys)
_TEMPLATED: Final[tuple[type[Keys], ...]] = (
    AccountKeys, MappingGatewayKeys, RoutingGatewayKeys, PhoneKeys, RateGroupKeys,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration without errors."""

    settings: Settings
    catalogue: Catalogue
    problems: tuple[DefinitionProblem, ...]
    """Warnings."""
    rate_reports: tuple[RateReport, ...]
    """Yield the warnings of ``reports_by_group``, which may be as many as there are rates."""
    transports: TransportSettings
    tls: TlsContexts | None
    """The contents of the files of ``sip.tls``, so that the files that were checked are the ones in use."""
    certificate_ends: Mapping[str, int]
    """End of the first certificate in each file that peers and clients of the API are shown, UTC milliseconds."""
    places: Mapping[str, SourceLine]
    """Place of each setting of the installation, by dotted key; those left out are missing."""
    account_places: Mapping[str, SourceLine]
    """Place of each account's currency, or of the account itself."""
    rate_files: Mapping[str, Compiled]
    """Tables of compiled files, by name of their rate group."""
    stored: Stored
    """Definitions in the database."""
    texts: Mapping[str, bytes] = field(repr=False)
    """The files of YAML that were read, by absolute path; they may have passwords."""
    api_problems: tuple[DefinitionProblem, ...]
    """Mistakes in the files of ``api.tls``, with which the API cannot run: calls are processed all the same."""

    def require_api(self) -> None:
        """Raise ConfigError where the API cannot run."""
        if self.api_problems:
            raise ConfigError((*self.problems, *self.api_problems))

    def reports_by_group(self) -> Iterator[Iterator[DefinitionProblem]]:
        """Yield, for each rate group and period rates, the rates that rounding would affect, one by one.

        ``problems`` has only their number.
        """
        names = names_of_decks(self.stored.decks, self.stored.files)
        return (naming_decks(report(), names) for report in self.rate_reports)

    @property
    def gone_rates(self) -> Mapping[str, Gone]:
        """Rates that rate groups lose of the tables in use, by name, where another process has counted them."""
        return {name: each.gone for name, each in self.rate_files.items() if each.gone is not None}


class CurrencyPlaces(Mapping[str, SourceLine]):
    """The places of accounts' currencies, each found when it is asked for."""

    def __init__(self, accounts: Mapping[str, Definition[Account]], config: Path) -> None:
        """``config`` is the main file."""
        self.accounts = accounts
        self._config = config

    def __getitem__(self, name: str) -> SourceLine:
        """Return the place of an account's currency, or of the account itself, as operators know it."""
        return named_place(self.accounts[name].origin.place_of("currency"), self._config)

    def __iter__(self) -> Iterator[str]:
        return iter(self.accounts)

    def __len__(self) -> int:
        return len(self.accounts)


class _WrittenSettings(NamedTuple):
    """Places of the keys of the installation."""

    place: SourceLine
    places: Mapping[str, SourceLine]

    def place_of(self, key: str) -> SourceLine:
        """Return the place of a key or of an item of its list, or the whole file where it is left out."""
        return self.places.get(key) or self.places.get(key.partition("[")[0], self.place)


def load(
    path: Path,
    environ: Mapping[str, str] = os.environ,
    tables: Callable[[Path], RateTables] = lambda _state_dir: TablesInMemory(),
    definitions: Callable[[Wanted], Stored] = nothing_stored,
    texts: Texts | None = None,
    remembered: Remembered | None = None,
    now_ms: int | None = None,
    opened: Sequence[SipListener] | None = None,
    *,
    written_rates_win: bool = False,
) -> Loaded:
    """Read and validate the configuration at ``path``.

    ``tables`` takes the configured ``state_dir`` and returns where the tables of rate files come from. ``definitions``
    returns what the database defines. ``texts`` is where the files of YAML are; None = on the disk. ``remembered``
    has what an earlier load made of items that are as they were, and is renewed. ``now_ms`` is the present, UTC, at
    which exchange rates must be in force; None = that of the machine's clock. ``opened`` are the sockets of the running
    switch, which have to do; None = those of ``sip.listen`` will be opened. ``written_rates_win``: a deck of a rate
    group whose rates are in the files is left out, for a question to a copy of the configuration.

    Raises:
        ConfigError: with every mistake that was found.
        SocketNotOpenError: there is none, but ``opened`` does not do.
    """
    used, once = remembered or Remembered(), TablesOnce(tables).of
    if now_ms is None:
        now_ms = time.time_ns() // 1_000_000
    with without_collector():
        used_texts = texts or DiskTexts()
        read = partial(_load, path, environ, once, definitions, used_texts, used, now_ms, opened, written_rates_win)
        if used.stored is not None:
            with suppress(DoubtfulError):
                return read(uses_known=True)
        return read(uses_known=False)


def _load(
    path: Path,
    environ: Mapping[str, str],
    tables: Callable[[Path], RateTables],
    definitions: Callable[[Wanted], Stored],
    texts: Texts,
    remembered: Remembered,
    now_ms: int,
    opened: Sequence[SipListener] | None,
    written_rates_win: bool,
    *,
    uses_known: bool,
) -> Loaded:
    problems = ProblemList()
    asked = Asked(definitions, path, remembered.stored)
    files = remembered.files(path, environ, texts, uses_known=uses_known)
    problems.extend(files.found)
    uses_known = uses_known and files.differences is not None
    document = with_items(files)
    stored = asked.objects(document)
    added = remembered.changed_objects(stored) if uses_known else every_object(stored)
    in_database = _with_objects(document, added, path, environ, problems)
    known = ReadItems(files, stored, remembered, uses_known=uses_known)
    written = _WrittenSettings(SourceLine(str(path), 0), _places(document))
    defaults = defaults_of(document)
    parameters = take_parameters(document, defaults, problems)
    templates = take_templates(document, problems)
    currencies = read_currencies(document, problems)
    classes = read_destination_classes(document, problems)
    groups = _groups(document, templates, defaults, asked, problems)
    state_dir, stored = wanted_of(document).state_dir, asked.stored
    objects, rate_files = _objects(
        document,
        groups,
        templates,
        parameters,
        currencies.decimals,
        defaults,
        lambda: tables(state_dir),
        in_database,
        problems,
    )
    _name_decks(objects, stored, problems, written_rates_win=written_rates_win)
    reports = read_scheduled_reports(document, problems)
    installation = read_section(InstallationKeys, document, "", problems, defaults.settings)
    keys = installation or sound_keys(document, defaults.settings)
    if uses_known and problems.has_errors:
        raise DoubtfulError
    stir = read_stir(keys.stir, written, now_ms, problems)
    source = source_of(
        objects,
        parameters,
        keys,
        currencies,
        written,
        problems,
        known,
        zone_variable=environ.get("TZ", ""),
        stir=stir.terms,
        destination_classes=classes,
    )
    try:
        catalogue = assemble(source, problems, remembered.reused, now_ms)
        check_rates(
            (each.thing for each in objects.rate_groups.written.values()), keys.limits.max_call_seconds, problems
        )
        warn_of_rates(catalogue, source, known.chosen("accounts", has_rate_types), now_ms, problems)
        warn_of_calendars(catalogue, source, now_ms, problems)
        rate_reports = _rate_reports(objects, path, problems)
        if installation is not None:
            reaches = known.note_reaches(_reaches(known.reaches_read, source))
            _check_installation(keys, parameters, reaches, reports, catalogue, written, problems)
        keys = with_shown_files(with_secrets(keys, written, problems), document, problems)
        check_settings(keys, parameters, classes, source, known, written, problems)
        transports, tls, ends, api_problems = read_transports(
            keys, parameters.qos_signal, written.places, known.reaches.values(), now_ms, problems
        )
        account_places = CurrencyPlaces(source.accounts.sound, path)
        _refuse_errors(problems, api_problems, asked)
        check_open_sockets(known.reaches.values(), keys, opened, written, problems)
        found = asked.naming(problems.in_order())
        if problems.has_errors:
            raise SocketNotOpenError(found)
        known.stored = stored
        remembered.renew(known)
        return Loaded(
            settings_of(keys, parameters, stir.certificates, ends, scheduled_reports(reports)),
            catalogue,
            found,
            rate_reports,
            transports,
            tls,
            ends,
            written.places,
            account_places,
            rate_files,
            stored,
            texts.contents,
            api_problems,
        )
    finally:
        _free(objects, document)


def _with_objects(
    document: Section, added: Iterable[ObjectVersion], path: Path, environ: Mapping[str, str], problems: ProblemList
) -> Callable[[str], Iterable[Section]]:
    """Add objects of the database to the document of the files; return what yields the items of a long list there."""
    of_lists: dict[str, list[ObjectVersion]] = {name: [] for name in LONG_LISTS}
    others: list[ObjectVersion] = []
    for each in added:
        of_lists.get(each.kind, others).append(each)
    merge(document, document_of(others, path, environ, problems), problems)
    merge(document, empty_lists((kind for kind, items in of_lists.items() if items), path), problems)
    return lambda kind: sections_of(of_lists[kind], path, environ, problems)


def _free(objects: ReadObjects, document: Section) -> None:
    """Free in steps the parts that were read of objects."""
    take_apart(*(each.written for each in objects if isinstance(each, Inventory)))
    for name in LONG_LISTS:
        entry = document.entries.get(name)
        if entry is not None and isinstance(entry.node, YamlList):
            free(entry.node.items)


def _check_installation(
    keys: InstallationKeys,
    parameters: ParameterKeys,
    reaches: Iterable[Reach],
    reports: Inventory[ScheduledReportKeys],
    catalogue: Catalogue,
    written: _WrittenSettings,
    problems: ProblemList,
) -> None:
    """Check what depends on settings of the installation: sockets, special numbers, reports at fixed times."""
    check_sockets([*reaches], keys, written, problems)
    check_special_numbers(special_numbers(keys, parameters), written, problems)
    check_mail_server(reports, has_server=bool(keys.alarms.mail.server), problems=problems)
    warn_of_names(reports, catalogue, problems)


def _refuse_errors(problems: ProblemList, api_problems: Iterable[DefinitionProblem], asked: Asked) -> None:
    """Raise ConfigError where there are errors beside those of the API."""
    if problems.has_errors:
        problems.extend(api_problems)
        raise ConfigError(asked.naming(problems.in_order()))


def _groups(
    document: Section, templates: dict[str, Section], defaults: Defaults, asked: Asked, problems: ProblemList
) -> list[Section]:
    """Take the rate groups out of the document, with the files of those that have a deck."""
    groups = [
        over_defaults(
            fill_from_template(section, templates, label_of(section, "rate_groups", "name", index), problems), defaults
        )
        for index, section in enumerate(items_of(document, "rate_groups", problems))
    ]
    asked.rows(document, deck_names(groups))
    return with_decks(groups, asked.stored.files, problems)


def _objects(
    document: Section,
    groups: list[Section],
    templates: dict[str, Section],
    parameters: ParameterKeys,
    decimals: Mapping[str, FeeDecimals],
    defaults: Defaults,
    tables: Callable[[], RateTables],
    in_database: Callable[[str], Iterable[Section]],
    problems: ProblemList,
) -> tuple[ReadObjects, Mapping[str, Compiled]]:
    """Take the other lists of objects out of the document; ``in_database`` yields the items of long ones there."""
    keys = (key for model in _TEMPLATED for key in (*model.by_key(), *model.not_built))
    elsewhere = merged(model.names_elsewhere for model in _TEMPLATED)
    check_template_keys(templates, frozenset(keys), elsewhere, problems)

    def laid_under(section: Section, list_name: str) -> Mapping[str, Any]:
        own = trunk_defaults_of(section)
        if list_name == "routing_gateways":
            return {} if own is None else own.routing_gateway
        return defaults.mapping_gateways if own is None else own.mapping_gateway

    def fill(section: Section, label: str) -> Section:
        return fill_from_template(section, templates, label, problems)

    def long_list(list_name: str, model: type[Model]) -> Items[Model]:
        is_trunk = list_name in {"mapping_gateways", "routing_gateways"}

        def read(section: Section, label: str) -> Model | None:
            return read_section(model, section, label, problems, laid_under(section, list_name) if is_trunk else None)

        entry = document.entries.get(list_name)
        stored = in_database(list_name) if entry is not None and isinstance(entry.node, YamlList) else ()
        sections = chain(items_of(document, list_name, problems), stored)
        return Items(sections, list_name, LONG_LISTS[list_name], read, problems, fill)

    rates = CompiledGroups(groups, parameters, tables, problems, decimals)

    def read_group(section: Section, label: str) -> ReadGroup | None:
        if rates.has(section):
            return rates.read(section)
        return read_rate_group(section, label, parameters, problems, decimals)

    read_groups = read_inventory(groups, "rate_groups", "name", read_group, problems)
    name_groups(read_groups, problems)
    derive_groups(read_groups, problems)
    objects = ReadObjects(
        read_groups,
        long_list("accounts", AccountKeys),
        long_list("mapping_gateways", MappingGatewayKeys),
        long_list("routing_gateways", RoutingGatewayKeys),
        long_list("phones", PhoneKeys),
        read_list(document, "number_lists", NumberListKeys, problems),
        read_list(document, "number_pools", NumberPoolKeys, problems),
        read_list(document, "dids", DidKeys, problems, "number"),
        read_list(document, "address_groups", AddressGroupKeys, problems),
        read_list(document, "gateway_groups", GatewayGroupKeys, problems),
        read_calendars(document, problems),
        read_list(document, "routing_plans", RoutingPlanKeys, problems),
        read_period_rates(document, problems),
    )
    return objects, rates.tables


def _name_decks(objects: ReadObjects, stored: Stored, problems: ProblemList, *, written_rates_win: bool) -> None:
    """Note at each rate group with a deck which one it has; report decks of groups that have rates of their own."""
    for deck in stored.decks:
        group = objects.rate_groups.written.get(deck.group)
        if group is None:
            continue
        if deck.group in stored.files:
            group.thing.group.name_deck(deck.number)
        if has_own_rates(group.section) and not written_rates_win:
            place = group.section.place_of("rates")
            expected = f"each table of rates in one source only; the configuration files define it too, at {place}"
            problems.error(place_of_deck(deck), f"{group.label}.rates", expected, deck.group)


def _reaches(read: Mapping[str, Reach], source: CatalogueSource) -> dict[str, Reach]:
    """Return where the routing gateways are that were read, with their definitions in place of their sections."""
    sound = source.routing_gateways.sound
    return {name: each._replace(origin=sound[name].origin) for name, each in read.items() if name in sound}


def _rate_reports(objects: ReadObjects, config: Path, problems: ProblemList) -> tuple[RateReport, ...]:
    reports: list[RateReport] = []
    for written in objects.rate_groups.written.values():
        read = written.thing
        reported = read.rates.reported
        if reported is None:
            reported = sum(1 for _ in report_rates(read))
        if reported:
            reports.append(partial(report_rates, read))
        summarise(reported, read, written.section.place, problems)
    groups = {name: written.thing.group for name, written in objects.rate_groups.written.items()}
    found = (*reports, *report_coverage(objects.period_rates, groups))
    return tuple(partial(_named, each, config) for each in found)


def _named(report: RateReport, config: Path) -> Iterator[DefinitionProblem]:
    return named_one_by_one(report(), config)


def _places(section: Section, above: str = "") -> dict[str, SourceLine]:
    """Return the place of every key of the installation, nested ones dotted, and of each item of their lists."""
    places = {}
    for name, entry in section.entries.items():
        places[f"{above}{name}"] = entry.place
        if isinstance(entry.node, Section):
            places |= _places(entry.node, f"{above}{name}.")
        elif above and isinstance(entry.node, YamlList):  # its items may stand in several files
            places |= {f"{above}{name}[{number}]": item.place for number, item in enumerate(entry.node.items)}
    return places
