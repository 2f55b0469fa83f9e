"""The office for one request: definitions as they are now, one database for all requests."""

from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from vosd.admin.office.office import Office
from vosd.storage.database import Database
from vosd.storage.stores import SqlStores
from vosd.wiring.configured_switch import ConfiguredSwitch, Held
from vosd.wiring.office import definitions_of, now_ms

if TYPE_CHECKING:
    from types import TracebackType


class _ServedSwitch(ConfiguredSwitch):
    """The configuration for one request."""

    def __init__(self, config: Path, held: ExitStack) -> None:
        super().__init__(config)
        self._held = held

    def held(self, resource: AbstractContextManager[Held]) -> Held:
        return self._held.enter_context(resource)


class Offices:
    """Opens the office of one configuration for each request."""

    def __init__(self, config: Path) -> None:
        self._config = config
        self._known: tuple[int, int] | None = None
        self._switch = ConfiguredSwitch(config)
        self._url = ""
        self._database: Database | None = None
        self._is_checked = False

    async def __aenter__(self) -> "Offices":
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: "TracebackType | None"
    ) -> None:
        if self._database is not None:
            await self._database.close()

    async def open(self, held: ExitStack, *, needs_database: bool) -> Office:
        """Return the office; ``held`` is closed when the request is over.

        Raises:
            ConfigError: the configuration cannot be read, as far as the office needs it.
            StoreUnavailable: the database is needed, and away.
        """
        await self._follow_file()
        if needs_database and not self._is_checked:
            await self._stores().check_schema()
            self._is_checked = True
        return Office(
            definitions_of(_ServedSwitch(self._config, held)), self._stores, self._switch.running_switch, now_ms
        )

    async def _follow_file(self) -> None:
        """Read the places of database and control socket again where the file has changed."""
        found = self._config.stat()
        known = (found.st_mtime_ns, found.st_ino)
        if known == self._known:
            return
        switch = ConfiguredSwitch(self._config)
        url = switch.database_url
        if url != self._url and self._database is not None:
            await self._database.close()
            self._database, self._is_checked = None, False
        self._switch, self._url, self._known = switch, url, known

    def _stores(self) -> SqlStores:
        if self._database is None:
            self._database = Database(self._url)
        return SqlStores(self._database)
