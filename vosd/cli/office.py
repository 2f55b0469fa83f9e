"""The office for one verb: the one place where the command line meets database, configuration and running switch."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import click
from click.core import ParameterSource

from vosd.cli import output
from vosd.cli.arguments import operator as login
from vosd.cli.command import Invocation

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from decimal import Decimal
    from pathlib import Path

    from vosd.admin.export_profile import ExportProfile
    from vosd.admin.office.office import Done, Office
    from vosd.admin.office.ports import WrittenGateway
    from vosd.admin.office.principal import Principal
    from vosd.admin.shadow_rating import CdrMap
    from vosd.billing.accounts import Account
    from vosd.catalogue.catalogue import Catalogue
    from vosd.catalogue.stored_objects import ObjectVersion
    from vosd.engine.settings import Settings
    from vosd.routing.calendar import Calendar
    from vosd.storage.stores import SqlStores

Result = TypeVar("Result")


class _Configured:
    """Definitions of the configuration file, read as far as they are asked for."""

    def __init__(self, invocation: Invocation) -> None:
        self._invocation = invocation

    def accounts(self) -> "Mapping[str, Account]":
        return self._invocation.excerpt.accounts()

    def agents(self) -> "Mapping[str, str]":
        return self._invocation.excerpt.accounts().agents()

    def gateways(self) -> "Collection[str]":
        return self._invocation.excerpt.gateways()

    def written_gateways(self, name: str) -> "Sequence[WrittenGateway]":
        from vosd.config.written_gateways import written_gateways

        return written_gateways(self._invocation.config_path(), name)

    def gateways_by_list(self) -> "Mapping[str, frozenset[str]]":
        return self._invocation.excerpt.gateways_by_list()

    def payers(self) -> "Mapping[str, str]":
        return self._invocation.excerpt.payers()

    def calendars(self) -> "Mapping[str, Calendar]":
        return self._invocation.excerpt.calendars()

    def destination_classes(self) -> "Collection[str]":
        return self._invocation.excerpt.destination_classes()

    def check_kind(self, kind: str) -> None:
        from vosd.config.stored_text import check_kind

        check_kind(kind)

    def check_objects(self, versions: "Sequence[ObjectVersion]") -> None:
        from vosd.config.load import load
        from vosd.config.stored_text import overlaid

        load(
            self._invocation.config_path(),
            tables=self._invocation.tables,
            definitions=lambda wanted: overlaid(self._invocation.definitions(wanted), versions),
        )

    def catalogue(self, file: "Path | None" = None) -> "Catalogue":
        asked = self._invocation if file is None else replace(self._invocation, config=file, _excerpt=None)
        return asked.load().catalogue

    @property
    def settings(self) -> "Settings":
        return self._invocation.settings

    def export_profile(self, file: "Path") -> "ExportProfile":
        from vosd.config.export_profile import read_export_profile

        return read_export_profile(file, os.environ)

    def cdr_map(self, file: "Path", price: str | None = None) -> "CdrMap":
        from vosd.config.cdr_map import read_cdr_map

        return read_cdr_map(file, os.environ, price)

    def notice_days_of_deck(self, rate_group: str) -> int:
        return self._invocation.excerpt.deck_group(rate_group).notice_days or 0

    def files(self) -> "Sequence[Path]":
        from vosd.config.named_files import files_of

        return files_of(self._invocation.config_path())

    @contextmanager
    def claimed(self) -> "Iterator[None]":
        from vosd.daemon.claim import StateDirectory

        state_directory = StateDirectory(self.settings.state_dir)
        state_directory.claim()
        try:
            yield
        finally:
            state_directory.release()

    @property
    def confirm_above(self) -> "Decimal | None":
        return self._invocation.excerpt.confirm_above


@asynccontextmanager
async def office_of(invocation: Invocation, *, with_database: bool = True) -> "AsyncIterator[Office]":
    """Yield the office of the configured installation.

    ``with_database`` of False: it is opened where a use case asks for it, and may be away.

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

                database = Database(invocation.database_url)
                opened.push_async_callback(database.close)
                stores.append(SqlStores(database))
            return stores[0]

        if with_database:
            await open_stores().check_schema()
        yield Office(_Configured(invocation), open_stores, invocation.running_switch, now_ms)


def in_office(
    invocation: Invocation, act: "Callable[[Office], Awaitable[Result]]", *, with_database: bool = True
) -> Result:
    """Carry out an order, and return its result; ``with_database`` as ``office_of`` says."""

    async def within() -> Result:
        async with office_of(invocation, with_database=with_database) as office:
            return await act(office)

    return asyncio.run(within())


def principal(operator: str | None = None, acting: str | None = None) -> "Principal":
    """Return who gives the order: the person at the terminal, under the name of ``--operator``, or an agent.

    Raises:
        UsageError: ``--operator`` and ``--as`` name two.
    """
    from vosd.admin.office.principal import Means, Principal, Role

    proved = login()
    if acting is None:
        return Principal(role=Role.OPERATOR, name=operator or proved, login=proved, means=Means.TERMINAL)
    source = click.get_current_context().get_parameter_source("operator")
    if source not in {None, ParameterSource.DEFAULT}:
        raise click.UsageError("--as says who does it: leave out --operator")
    return Principal(role=Role.AGENT, name=proved, login=proved, means=Means.TERMINAL, account=acting)


def outcome_of(done: "Done[Result]") -> Result:
    """Return an outcome; print why the audit has no line of it, if it has none."""
    if done.unaudited:
        output.remark(f"done, but the audit has no line of it: {done.unaudited}")
    return done.outcome


def now_ms() -> int:
    """Return the time, UTC milliseconds."""
    return time.time_ns() // 1_000_000
