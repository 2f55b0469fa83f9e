"""Definitions in the database beside the configuration: read for each load, and again when they change (ADR 59)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from vosd.base.errors import VosError
from vosd.catalogue.decks import DeckStore
from vosd.cdr.ports import StoreUnavailable
from vosd.config.kept import KeptCatalogue, Manifest, Stored, Wanted
from vosd.engine import background
from vosd.obs.events import Event
from vosd.obs.outage import Outage
from vosd.storage.database import Database

POLL_S: Final = 1.0
"""Interval at which the version of the definitions is read."""
RETRY_S: Final = 30.0
"""Interval at which definitions that could not be read are tried again, while their version stays the same."""

_log = structlog.get_logger()


def report_unread(why: str | None) -> None:
    """Log that the definitions in the database could not be read; None = they were."""
    if why is not None:
        _log.warning(Event.DEFINITIONS_OUTDATED.value, why=why, means="those that were read last hold")


class StoredDefinitions:
    """Reads the definitions for a load."""

    def __init__(self, decks: Callable[[Database], DeckStore]) -> None:
        self._decks = decks

    def read(self, wanted: Wanted) -> Stored:
        """Return the definitions; those of the last good catalogue where the database cannot be read.

        To be called from a thread without an event loop: it has one of its own, so that calls do not wait for rows.
        """
        kept = KeptCatalogue(wanted.state_dir)
        try:
            manifest = asyncio.run(self._fetched(wanted, kept))
        except (VosError, OSError) as error:
            return kept.stored(kept.manifest(), wanted.decks, unread=str(error))
        return kept.stored(manifest, wanted.decks)

    async def _fetched(self, wanted: Wanted, kept: KeptCatalogue) -> Manifest:
        """Read what is defined; write the rows of decks that are wanted and not there yet."""
        database = Database(wanted.database_url)
        try:
            # The version first: what changes meanwhile has a later one, and is read again.
            store = self._decks(database)
            version = await store.version()
            found = await store.all_current()
            for deck in found:
                if deck.group in wanted.decks:
                    await kept.fetch(deck, store.rows(deck))
        finally:
            await database.close()
        return Manifest(version, tuple(found))


class DefinitionWatch:
    """Has the configuration loaded again when definitions in the database have changed."""

    def __init__(self, store: DeckStore, in_force: Callable[[], Stored], reload: Callable[[], Awaitable[None]]) -> None:
        """Take what is watched.

        Args:
            store: has the version.
            in_force: returns the definitions in force.
            reload: loads everything again; it reports its failures itself.
        """
        self._store = store
        self._in_force = in_force
        self._reload = reload
        self._tried: int | None = None
        """The version that was tried last."""
        self._tried_at = 0.0
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Watch from now on; definitions that could not be read with the configuration are read first.

        What has changed since is read a second later, so that the calls of an earlier run do not wait for it.
        """
        if self._in_force().unread is not None:
            try:
                await self.look()
            except StoreUnavailable as error:
                report_unread(str(error))
        self._task = asyncio.create_task(self._run(), name="definitions")

    async def end(self) -> None:
        """Watch no longer."""
        if self._task is not None:
            await background.end([self._task])

    async def look(self) -> None:
        """Load everything again if the version in the database is not the one in force.

        A version that is refused is not tried again: only a change, or vosd reload, makes it right.

        Raises:
            StoreUnavailable: the version is not known; try again.
        """
        version, stored = await self._store.version(), self._in_force()
        if version == stored.version:
            return
        now = asyncio.get_running_loop().time()
        if version == self._tried and not (stored.unread and now - self._tried_at >= RETRY_S):
            return
        self._tried, self._tried_at = version, now
        await self._reload()

    async def _run(self) -> None:
        outage = Outage(Event.DATABASE_AWAY, part="definitions")
        while True:
            await asyncio.sleep(POLL_S)
            try:
                await self.look()
                outage.over()
            except StoreUnavailable as error:
                outage.found(error, means="the definitions in force hold")
