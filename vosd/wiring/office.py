"""The office of a configured switch: where a front meets database, configuration and running switch."""

import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from vosd.wiring.configured_switch import ConfiguredSwitch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
    from decimal import Decimal
    from pathlib import Path
    from typing import Any

    from vosd.admin.agents import NamedGroups
    from vosd.admin.export_profile import ExportProfile
    from vosd.admin.office.office import Office
    from vosd.admin.office.ports import (
        CheckedDefinitions,
        ConfiguredDeck,
        ConfiguredObjects,
        ObjectKindSheet,
        ParameterSheet,
        WrittenGateway,
        WrittenObject,
    )
    from vosd.admin.rate_areas import RateGroupSheet
    from vosd.admin.shadow_rating import CdrMap
    from vosd.base.search_text import SearchText
    from vosd.billing.accounts import Account
    from vosd.billing.agents import Hierarchy
    from vosd.billing.ports import Rates
    from vosd.billing.rate_group import RateGroup
    from vosd.billing.rates import RatingPolicy
    from vosd.catalogue.catalogue import Catalogue
    from vosd.catalogue.planned_objects import ChangeCheck, CheckedObjects
    from vosd.catalogue.stored_objects import ObjectVersion
    from vosd.control.client import RunningSwitch
    from vosd.engine.settings import Settings
    from vosd.routing.calendar import Calendar
    from vosd.routing.special_numbers import SpecialNumbers
    from vosd.storage.stores import SqlStores

    Check = Callable[[Path, ChangeCheck], Awaitable[CheckedObjects]]


class _Configured:
    """Definitions of the configuration file, read as far as they are asked for."""

    def __init__(self, switch: ConfiguredSwitch, running: "Callable[[], RunningSwitch]", check: "Check | None") -> None:
        self._switch = switch
        self._running = running
        self._check = check

    def accounts(self, ended: "Sequence[ObjectVersion]" = ()) -> "Mapping[str, Account]":
        excerpt = self._switch.excerpt
        return {each.name: excerpt.account_of(each) for each in ended} if ended else excerpt.accounts()

    def hierarchy(self) -> "Hierarchy":
        return self._switch.excerpt.hierarchy()

    def written_gateways(self, name: str) -> "Sequence[WrittenGateway]":
        from vosd.config.written_objects import written_gateways

        return written_gateways(self._switch.config_path(), name, texts=self._switch.texts)

    def written_names(self, kind: str, template: str | None = None) -> "Collection[str]":
        written = self._switch.excerpt.written(kind)
        if template is None:
            return written.keys()
        return [name for name, each in written.items() if each.text_of("template") == template]

    async def search_text(self, kind: str) -> "SearchText":
        return await self._switch.excerpt.search_text(kind)

    def written_object(self, kind: str, name: str) -> "WrittenObject | None":
        from vosd.config.written_objects import written_object

        section = self._switch.excerpt.written(kind).get(name)
        return None if section is None else written_object(kind, section)

    def gateways_by_list(self) -> "Mapping[str, frozenset[str]]":
        return self._switch.excerpt.gateways_by_list()

    def named_groups(self) -> "NamedGroups":
        return self._switch.excerpt

    def accounts_of(self, *kinds: str) -> "Callable[[], Mapping[str, str]]":
        return self._switch.excerpt.accounts_of(*kinds)

    def calendars(self) -> "Mapping[str, Calendar]":
        return self._switch.excerpt.calendars()

    def calendar(self, name: str, keys: "Mapping[str, Any]") -> "Calendar":
        from vosd.config.drawn_calendar import drawn_calendar

        return drawn_calendar(name, keys, self._switch.config_path(), os.environ.get("TZ", ""))

    def destination_classes(self) -> "Collection[str]":
        return self._switch.excerpt.destination_classes()

    async def rate_groups(self) -> "Sequence[RateGroupSheet]":
        return await self._switch.excerpt.rate_group_sheets()

    def rate_group(self, name: str) -> "RateGroup | None":
        return self._switch.excerpt.rate_group(name)

    def rates_of(self, account: "Account", *, is_vendor: bool) -> "Rates | None":
        return self._switch.excerpt.rates_of(account, is_vendor=is_vendor)

    def decimals_of(self, account: "Account") -> int:
        return self._switch.excerpt.decimals_of(account)

    def free_numbers(self) -> "tuple[SpecialNumbers, RatingPolicy]":
        return self._switch.excerpt.free_numbers()

    def parameters(self) -> "Sequence[ParameterSheet]":
        return self._switch.excerpt.parameter_sheets()

    def key_sheets(self, kind: str) -> "ObjectKindSheet":
        from vosd.config.key_sheets import key_sheets

        return key_sheets(kind)

    def checked(self, planned: "Sequence[ObjectVersion]" = ()) -> "CheckedDefinitions":
        from vosd.admin.office.ports import CheckedDefinitions
        from vosd.catalogue.problems import ConfigError
        from vosd.wiring.change_check import Loads, warnings_of_moments

        loads = Loads(self._switch)
        try:
            loaded = loads.with_versions(())
        except ConfigError as error:
            return CheckedDefinitions(sorted(error.problems, key=lambda each: each.severity.value))
        later = warnings_of_moments(loads, planned)
        problems = chain(loaded.api_problems, later, loaded.problems, *loaded.reports_by_group())
        currencies = {name: each.currency for name, each in loaded.catalogue.accounts.items()}
        return CheckedDefinitions(problems, currencies, loaded.account_places)

    def number_for_text(self, kind: str, keys: "Any") -> "tuple[str, Any] | None":
        from vosd.config.text_values import number_for_text

        return number_for_text(kind, keys)

    async def check_objects(self, asked: "ChangeCheck") -> "CheckedObjects":
        from vosd.wiring.asked_check import checked_by_switch

        found = await checked_by_switch(self._running(), self._switch.config_path(), asked)
        if found is not None:
            return found
        if self._check is not None:
            return await self._check(self._switch.config_path(), asked)
        from vosd.wiring.change_check import check_here

        return check_here(self._switch, asked)

    def catalogue(
        self, file: "Path | None" = None, versions: "Sequence[ObjectVersion]" = (), *, written_rates_win: bool = False
    ) -> "Catalogue":
        asked = self._switch if file is None else self._switch.with_file(file)
        if not versions:
            is_named = (
                asked.config is not None
            )  # with ``-c``: a copy may be; what is found without it is the switch's own
            return asked.load(written_rates_win=written_rates_win and is_named).catalogue
        from vosd.wiring.change_check import Loads

        return Loads(asked).with_versions(versions).catalogue

    @property
    def settings(self) -> "Settings":
        return self._switch.settings

    def export_profile(self, file: "Path") -> "ExportProfile":
        from vosd.config.export_profile import read_export_profile

        return read_export_profile(file, os.environ)

    def cdr_map(self, file: "Path", price: str | None = None, vendor: str | None = None) -> "CdrMap":
        from vosd.config.cdr_map import read_cdr_map

        return read_cdr_map(file, price, vendor)

    def deck(self, rate_group: str) -> "ConfiguredDeck":
        from vosd.admin.office.ports import ConfiguredDeck

        excerpt = self._switch.excerpt
        group = excerpt.deck_group(rate_group)
        names = partial(excerpt.area_names_of_deck, rate_group)
        return ConfiguredDeck(group.notice_days or 0, names, partial(excerpt.billing_unit, group))

    def files(self) -> "Sequence[Path]":
        from vosd.config.named_files import files_of

        return files_of(self._switch.config_path())

    @contextmanager
    def claimed(self) -> "Iterator[None]":
        from vosd.daemon.claim import StateDirectory

        state_directory = StateDirectory(self.settings.state_dir)
        state_directory.claim()
        try:
            yield
        finally:
            state_directory.release()

    def confirm_above(self, login: str) -> "Decimal | None":
        return self._switch.excerpt.confirm_above(login)


@asynccontextmanager
async def office_of(
    switch: ConfiguredSwitch,
    *,
    with_database: bool = True,
    replica: str | None = None,
    statement_s: float | None = None,
    remark: "Callable[[str], object] | None" = None,
) -> "AsyncIterator[Office]":
    """Yield the office of the configured installation.

    ``with_database`` of False: it is opened where a use case asks for it, and may be away. ``replica`` is the URL of a
    copy of it for heavy reads, and ``statement_s`` the longest time of one statement; None = there is none. ``remark``
    receives a sentence where the copy is away, or a run waits for rows; None = the log has it.

    Raises:
        StoreUnavailable: the database cannot be reached, or has not this version's schema.
    """
    from vosd.admin.office.office import Office

    async with AsyncExitStack() as opened:
        stores: list[SqlStores] = []

        def open_stores() -> "SqlStores":
            if not stores:
                from vosd.storage.database import Database
                from vosd.storage.stores import SqlStores

                database = Database(
                    switch.database_url,
                    replica=replica,
                    statement_s=statement_s,
                    remark=remark,
                    was_used=switch.was_used,
                )
                opened.push_async_callback(database.close)
                stores.append(SqlStores(database))
            return stores[0]

        if with_database:
            await open_stores().check_schema()
        yield Office(definitions_of(switch), open_stores, switch.running_switch, now_ms)


def definitions_of(
    switch: ConfiguredSwitch, running: "Callable[[], RunningSwitch] | None" = None, check: "Check | None" = None
) -> "ConfiguredObjects":
    """Return the definitions of a configuration, read as far as they are asked for.

    ``running`` returns the running switch, which ``check_objects`` asks first; None = that of the configuration does.
    ``check`` is what it asks then in another process; None = it loads the configuration here.
    """
    return _Configured(switch, running or switch.running_switch, check)


def now_ms() -> int:
    """Return the time, UTC milliseconds."""
    return time.time_ns() // 1_000_000
