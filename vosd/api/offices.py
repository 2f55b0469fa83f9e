"""The office for one request: definitions as they are now, read when they change; one database for all requests."""

import asyncio
import math
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final

from vosd.admin.office.change_turns import ChangeTurns
from vosd.admin.office.drawn_calls import DrawnCalls
from vosd.admin.office.office import Office
from vosd.api.brief_wait import BriefWait
from vosd.api.shared_readings import SharedReadings
from vosd.base.errors import VosError
from vosd.catalogue.problems import ConfigError
from vosd.cdr.ports import StoreUnavailable
from vosd.control.client import RunningSwitch
from vosd.daemon.checks import Checks
from vosd.obs.events import log as _log
from vosd.storage.database import Database
from vosd.storage.stores import SqlStores
from vosd.wiring.configured_switch import ConfiguredSwitch
from vosd.wiring.kept_configuration import KeptConfiguration
from vosd.wiring.office import definitions_of, now_ms

ORDERS_AT_ONCE: Final = 24
"""Most orders of all requests that the switch carries out at once: it takes 32, and a terminal needs some."""
SPARE_S: Final = 5.0
"""Rest of the time of a request in which nothing is waited for: a change is stored in it, and its answer is written."""


class Offices:
    """Opens the office of one configuration for each request."""

    def __init__(self, config: Path, statement_s: float | None = None, replica: str | None = None) -> None:
        """``statement_s`` is the longest time of one statement, in MySQL of a SELECT; None = any.

        ``replica`` is the URL of a copy of the database, for heavy reads; None = there is none.
        """
        self._replica = replica
        self._statement_s = statement_s
        self._configuration = KeptConfiguration(config)
        self._switch = ConfiguredSwitch(config)
        self._url = ""
        self._unreadable = ""
        """Mistakes of a configuration that cannot be read, as they were logged; empty = it can be."""
        self._database: Database | None = None
        self._is_checked = False
        self._checks = Checks()
        self._following = asyncio.Lock()
        """Held by the request that reads a configuration which has changed; others wait for it."""
        self._changing = ChangeTurns()
        self._drawn = DrawnCalls()
        self._versions = SharedReadings[int | None]()
        self._turns = asyncio.Semaphore(ORDERS_AT_ONCE)
        self._brief_wait = BriefWait()

    async def __aenter__(self) -> "Offices":
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._configuration.close()
        await self._checks.close()
        if self._database is not None:
            await self._database.close()

    async def open(self, *, needs_database: bool, patience_s: float = math.inf) -> Office:
        """Return the office, for a request that has so much time.

        Raises:
            ConfigError: the configuration could not be read yet, as far as the office needs it.
            StoreUnavailable: the database is needed, and away.
        """
        until = asyncio.get_running_loop().time() + patience_s - SPARE_S
        version = await (self._versions.of(None, self._version) if needs_database else self._version_if_answered())
        switch = self._configuration.current(version)
        if switch is not self._switch:
            async with self._following:
                switch = await self._followed(version)
        if needs_database and not self._is_checked:
            await self._stores().check_schema()
            self._is_checked = True
        definitions = definitions_of(switch, lambda: switch.running_switch(self._turns), self._checks.check)
        return Office(
            definitions,
            self._stores,
            lambda: switch.running_switch(self._turns, until),
            now_ms,
            self._changing,
            until,
            self._drawn,
            goes_by_earlier=bool(self._unreadable),
        )

    @property
    def running_switch(self) -> RunningSwitch:
        """The running switch, by the configuration of the latest request."""
        return self._switch.running_switch(self._turns)

    async def _version(self) -> int | None:
        """Return the version of the definitions of the database; None = it cannot be read.

        That may be a fault of its URL, which the files that are looked at next have mended.
        """
        if not self._url:
            return None
        try:
            return await self._stores().decks.version()
        except VosError:
            return None

    async def _version_if_answered(self) -> int | None:
        """Return the same; None also where the database hangs."""
        try:
            return await self._brief_wait.read(lambda: self._versions.of(None, self._version))
        except StoreUnavailable:
            return None

    async def _followed(self, version: int | None) -> ConfiguredSwitch:
        """Return the configuration as it is now; as it was, where its files cannot be read any more.

        Then the switch goes on with what it has, and so do requests: a bracket that is left open in an editor must not
        keep operators and customers away. One that was killed comes back by its last good configuration (ADR 181), and
        requests go by it too (ADR 202). Another request may have read it meanwhile.
        """
        switch = self._configuration.current(version)
        if switch is self._switch:
            return switch
        try:
            if version is not None:
                await asyncio.to_thread(_read_accounts, switch)
            await self._follow(switch)
        except ConfigError as error:
            before = self._configuration.refuse(switch)
            if before is None:
                raise
            if before is not self._switch:
                await self._follow(before)
            if str(error) != self._unreadable:
                _log.warning("configuration_unreadable", why=str(error), means="requests go by the one from before")
            self._unreadable = str(error)
        else:
            self._configuration.accept(switch)
            self._unreadable = ""
        return self._switch

    async def _follow(self, switch: ConfiguredSwitch) -> None:
        """Use the database of a configuration that has changed."""
        url = switch.database_url
        if url != self._url and self._database is not None:
            await self._database.close()
            self._database, self._is_checked = None, False
        self._switch, self._url = switch, url

    def _stores(self) -> SqlStores:
        if self._database is None:
            was_used = self._switch.was_used
            self._database = Database(
                self._url, statement_s=self._statement_s, replica=self._replica, was_used=was_used
            )
        return SqlStores(self._database)


def _read_accounts(switch: ConfiguredSwitch) -> None:
    """Read what most requests need of a configuration; its mistakes are those of the requests.

    Raises:
        ConfigError: as ``ConfiguredSwitch.database_url``.
    """
    _ = switch.database_url  # before anything is read of a database that is not the switch's
    with suppress(VosError):
        switch.excerpt.hierarchy()
