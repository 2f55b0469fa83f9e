"""Definitions in the database beside the configuration: read for each load, and again when they change (ADR 59)."""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Final, TypeVar

from vosd.base.errors import VosError
from vosd.catalogue.decks import DeckStore, DeckVersion
from vosd.catalogue.stored_objects import ObjectStore
from vosd.cdr.ports import StoreUnavailable
from vosd.config.kept import KeptCatalogue
from vosd.config.places import holder_of
from vosd.config.stored import LastChange, Stored, Unkept, Wanted
from vosd.config.stored_text import with_changes
from vosd.engine import background
from vosd.engine.booking.known_database import was_used
from vosd.engine.clock import SystemClock
from vosd.obs.events import Event, log as _log
from vosd.obs.outage import Outage
from vosd.processes import loops
from vosd.storage.database import COMMAND_PATIENCE_S, Database

POLL_S: Final = 0.5
"""Interval at which the version of the definitions is read: a changed one is loaded when it is seen twice."""
FIRST_ANSWER_S: Final = 3.0
"""Time that a start waits for a first answer where it has kept what it read before."""
ROWS_S: Final = 120.0
"""Time in which a command gets the objects of the database; the switch itself waits for as long as it takes.

A table that is altered or locked gives none."""
KEPT_WITHIN_S: Final = 1.0
"""Time in which a running switch has kept a change: a command or the API waits for that before it reads many objects.

Each change has such a moment, and what is read then costs a second or two of processor time, beside that change."""
KEPT_LOOK_S: Final = 0.02
KEPT_BYTES_MIN: Final = 1 << 20
"""Size of the file of kept objects from which on it is waited for: some thousands of them."""
RETRY_S: Final = 30.0
"""Interval at which definitions that could not be read are tried again, while their version stays the same."""

STEP_BACK_MS: Final = 1_000
"""A clock that was ahead by more may have begun planned versions: all is read anew once it is right.

A clock that is kept right goes back by milliseconds."""

Read = TypeVar("Read")


def report_unread(why: str | None, *, were_unread: bool = True) -> None:
    """Log that the definitions in the database could not be read; None = they were, unlike the time before.

    The first load of a process does not know of the time before, and has ``were_unread``.
    """
    if why is not None:
        _log.warning(Event.DEFINITIONS_OUTDATED.value, why=why, means="those that were read last hold")
    elif were_unread:
        _log.info(Event.DEFINITIONS_READ.value)


def _free_connection() -> None:
    """Free what a database was read with, which refers to itself: a reload puts all out of the collector's sight then.

    Not where very much was read: to look at that would hold up calls, and it is read as a whole seldom.
    """
    if gc.get_count()[0] <= gc.get_threshold()[0]:  # as many as are looked at while calls run
        gc.collect(0)


class StoredDefinitions:
    """Reads the definitions for a load."""

    def __init__(
        self,
        decks: Callable[[Database], DeckStore],
        objects: Callable[[Database], ObjectStore],
        now: Callable[[], int] = lambda: SystemClock().now().wall,
        *,
        trusts_switch: bool = False,
    ) -> None:
        """Take what is read.

        Args:
            decks: opens the decks of a database.
            objects: opens its objects.
            now: returns the time of the machine, UTC milliseconds.
            trusts_switch: where the switch has read the same version, what it kept is taken, unless more is known. The
                switch itself reads all at its start: another database may have the same version.
        """
        self._trusts_switch = trusts_switch
        self._decks = decks
        self._objects = objects
        self._now = now
        self._compared: set[str] = set()
        """Digests of the decks whose rows on the disk this process has compared with them."""

    def read(self, wanted: Wanted) -> Stored:
        """Return the definitions; those that were read before, or of the last good catalogue, where that fails.

        To be called from a thread without an event loop: it has one of its own, so that calls do not wait for rows.

        Raises:
            MissingObjectsError: the database cannot be read, and its objects are not on the disk any more.
        """
        kept = KeptCatalogue(wanted.state_dir)
        found: list[Stored] = []

        async def fetch() -> None:
            found.append(await self._fetched(wanted, kept))

        try:
            # The task has no result: in the main thread ``run`` makes a text of that, with each object of the database,
            # where it restores the handler of SIGINT (``signal._int_to_enum``).
            loops.run(fetch())
            _free_connection()
            return found[0]
        except (VosError, OSError) as error:
            manifest, known = kept.manifest(), wanted.known
            if known is None or known.version is None:
                return kept.stored(manifest, wanted.decks, unread=str(error))
            if not wanted.decks:
                return known._replace(changes=(), unread=str(error))
            # The rows of a deck that has changed: its version is not in force, and has to be read again.
            decks = manifest.decks
            return known._replace(
                version=manifest.version, decks=decks, files=kept.files_of(decks, wanted.decks), unread=str(error)
            )

    async def _fetched(self, wanted: Wanted, kept: KeptCatalogue) -> Stored:
        """Read what is defined; write the rows of decks that are wanted and not there yet."""
        known = wanted.known
        if known is not None and wanted.decks:
            needed = {deck.digest for deck in known.decks if deck.group in wanted.decks}
            if not self._trusts_switch:
                kept.remove_damaged(needed - self._compared)
                self._compared |= needed
            missing = [deck for deck in known.decks if deck.group in wanted.decks and kept.path_of(deck.digest) is None]
            if missing:
                await self._with(wanted, lambda database: self._fetch(missing, self._decks(database), kept))
            return known._replace(files=kept.files_of(known.decks, wanted.decks))
        return await self._with(wanted, lambda database: self._defined(wanted, database, kept))

    async def _with(self, wanted: Wanted, read: Callable[[Database], Awaitable[Read]]) -> Read:
        url = wanted.database_url
        async with Database(url, was_used=partial(was_used, wanted.state_dir, url)) as database:
            return await read(database)

    async def _fetch(self, decks: Iterable[DeckVersion], store: DeckStore, kept: KeptCatalogue) -> None:
        for deck in decks:
            await kept.fetch(deck, store.rows(deck))

    async def _defined(self, wanted: Wanted, database: Database, kept: KeptCatalogue) -> Stored:
        # The version first: what changes meanwhile has a later one, and is read again.
        store = self._decks(database)
        patience_s: float | None = None
        if self._trusts_switch:
            patience_s = COMMAND_PATIENCE_S
        elif wanted.known is None and kept.manifest().version is not None:
            patience_s = FIRST_ANSWER_S
        try:
            async with asyncio.timeout(patience_s):
                version = await store.version()
        except TimeoutError as error:
            raise StoreUnavailable(f"the database did not answer within {patience_s:g} s") from error
        known, objects = wanted.known, self._objects(database)
        if self._trusts_switch and known is None:
            version = await self._version_kept(store, version, kept, wanted)
        last_change: LastChange | None = None
        if self._trusts_switch or known is None:  # a process that checks changes goes on with what a start has read
            last_change = LastChange(*(await objects.last_change(version) or ()))
        if self._trusts_switch and known is None and self._is_kept(kept, version, wanted):
            return kept.stored(kept.manifest(), wanted.decks)._replace(last_change=last_change)
        found = await store.all_current()
        await self._fetch([deck for deck in found if deck.group in wanted.decks], store, kept)
        stored = Stored(
            version, tuple(found), kept.files_of(found, wanted.decks), at=self._now(), last_change=last_change
        )
        since = None if known is None else await self._known_since(known, version, objects)
        if known is None or since is None:
            seen = await self._in_time(objects.current(stored.at))
            return stored._replace(
                objects=with_changes({}, seen.found), next_at=seen.next_at, unkept=Unkept(everything=True)
            )
        seen = await self._in_time(objects.current(stored.at, since))
        changes = [each for each in seen.found if known.objects.get(each.kind, {}).get(each.name) != each]
        return stored._replace(
            objects=with_changes(known.objects, changes),
            changes=changes,
            next_at=seen.next_at,
            unkept=(known.unkept or Unkept()).with_changes(changes),
        )

    async def _version_kept(self, store: DeckStore, version: int, kept: KeptCatalogue, wanted: Wanted) -> int:
        """Return the version of the database that a running switch has kept; the present one where it does not soon."""
        loop = asyncio.get_running_loop()
        until = loop.time() + KEPT_WITHIN_S
        while self._is_behind(kept, version, wanted) and loop.time() < until:
            await asyncio.sleep(KEPT_LOOK_S)
            version = await store.version()
        return version

    def _is_behind(self, kept: KeptCatalogue, version: int, wanted: Wanted) -> bool:
        """Return whether a switch runs that has kept many objects, of an earlier version."""
        if kept.objects.size < KEPT_BYTES_MIN or self._is_kept(kept, version, wanted):
            return False
        return (kept.manifest().version or version) < version and holder_of(wanted.state_dir) is not None

    async def _in_time(self, rows: Awaitable[Read]) -> Read:
        """Return rows of objects, for which a command does not wait for ever."""
        if not self._trusts_switch:
            return await rows
        try:
            async with asyncio.timeout(ROWS_S):
                return await rows
        except TimeoutError as error:
            raise StoreUnavailable(f"the database did not give its objects within {ROWS_S:g} s") from error

    async def _known_since(self, known: Stored, version: int, objects: ObjectStore) -> tuple[int, int] | None:
        """Return the version and the moment after which a database has to be read; None = it has to be read as a whole.

        One that went back has lost commits. Behind a step back of the clock, versions that were in force may not have
        begun yet. A database that was put back, and was changed since, may have the same version: a command sees it by
        the last change; the running switch notices it otherwise.
        """
        if known.version is None or version < known.version or _was_ahead(known.at, self._now()):
            return None
        if self._trusts_switch and known.last_change is not None:
            last_change = LastChange(*(await objects.last_change(known.version) or ()))
            if last_change != known.last_change:
                return None
        return known.version, known.at

    def _is_kept(self, kept: KeptCatalogue, version: int, wanted: Wanted) -> bool:
        """Return whether the switch has kept a version, with all that is wanted and still in force."""
        manifest = kept.manifest()
        if manifest.version != version:
            return False
        if manifest.has_objects:
            state = kept.objects.state()
            if (
                state is None
                or state.version != version
                or _was_ahead(state.at, self._now())
                or (state.next_at is not None and state.next_at <= self._now())
            ):
                return False
        return all(kept.path_of(deck.digest) is not None for deck in manifest.decks if deck.group in wanted.decks)


class DefinitionWatch:
    """Has the configuration loaded again when definitions in the database have changed."""

    def __init__(
        self,
        store: DeckStore,
        in_force: Callable[[], Stored],
        reload: Callable[[], Awaitable[bool]],
        now: Callable[[], int] = lambda: SystemClock().now().wall,
    ) -> None:
        """Take what is watched.

        Args:
            store: has the version.
            in_force: returns the definitions in force; they have no version where they are in doubt.
            reload: loads everything again, and returns False where that fails for want of the database; it reports its
                failures itself.
            now: returns the time, UTC milliseconds.
        """
        self._now = now
        self._store = store
        self._in_force = in_force
        self._reload = reload
        self._tried: tuple[int, int | None, int | None] | None = None
        """The version that was tried last, the beginning of the next planned one and the moment ahead of the clock at
        which it was read, each where that was why."""
        self._tried_at = 0.0
        self._is_due = False
        """Whether the same is to be tried again after a while: it is not refused, but was not put in force."""
        self._task: asyncio.Task[None] | None = None

    async def begin(self, *, is_away: bool = False) -> None:
        """Watch from now on; definitions that could not be read with the configuration are read first.

        What has changed since is read a second later, so that the calls of an earlier run do not wait for it. So is
        everything where the start goes on without the database (``is_away``).
        """
        if self._in_force().unread is not None and not is_away:
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

        A version that is refused is not tried again: only a change, or vosd reload, makes it right. One for which the
        database was away is, and one that needs a confirmation: calls that use what it removes come to their end.

        Raises:
            StoreUnavailable: the version is not known; try again.
        """
        await self._take(await self._store.version())

    def forget_tries(self) -> None:
        """Have the next look try what is not in force, although it was tried before."""
        self._tried = None

    async def _take(self, version: int) -> None:
        stored = self._in_force()
        wall = self._now()
        begins = stored.next_at if stored.next_at is not None and stored.next_at <= wall else None
        ahead = stored.at if _was_ahead(stored.at, wall) else None
        if version == stored.version and begins is None and ahead is None and stored.unread is None:
            return
        wanted = version, begins, ahead
        now = asyncio.get_running_loop().time()
        is_due = self._is_due or stored.unread is not None
        if wanted == self._tried and not (is_due and now - self._tried_at >= RETRY_S):
            return
        self._tried, self._tried_at = wanted, now
        self._is_due = not await self._reload()

    async def _run(self) -> None:
        outage = Outage(Event.DATABASE_AWAY, part="definitions")
        seen: int | None = None
        while True:
            await asyncio.sleep(POLL_S)
            try:
                version = await self._store.version()
                # Who has made a change tells the switch, and that what it removes is confirmed: that comes first.
                if version in (seen, self._in_force().version):
                    await self._take(version)
                seen = version
                outage.over()
            except StoreUnavailable as error:
                outage.found(error, means="the definitions in force hold")


def _was_ahead(read_ms: int, now_ms: int) -> bool:
    """Return whether the clock was ahead when definitions were read, both in UTC milliseconds."""
    return read_ms - now_ms > STEP_BACK_MS
