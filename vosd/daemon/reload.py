"""Load the configuration again while calls run: a valid one replaces the old one, an invalid one changes nothing.

Used by SIGHUP and ``vosd reload``. Owns the configuration in force and the result of the last reload; ``config.reload``
decides what may change while calls run.
"""

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from sys import getrefcount
from traceback import clear_frames
from typing import Any, Final, NamedTuple

from vosd.base.clock import Clock
from vosd.base.edited import Edited
from vosd.base.errors import VosError
from vosd.base.parts import free, give_way, giving_way, in_parts
from vosd.catalogue.losses import Busy, objections, settled
from vosd.catalogue.problems import ConfigError, DefinitionProblem
from vosd.cdr.ports import StoreUnavailable
from vosd.config.assembly.number_files import stop_reading
from vosd.config.assembly.rate_tables import StoredTables, sweep, tables_of_reload
from vosd.config.assembly.remembered import Remembered
from vosd.config.kept import KeptCatalogue
from vosd.config.load import CurrencyPlaces, Loaded
from vosd.config.places import Installation, installation_of
from vosd.config.reader.collector import without_collector
from vosd.config.reader.whole_files import ReaderEndedError, read_by_a_process, stop_reading as stop_reading_files
from vosd.config.reload import Reloaded, reload
from vosd.config.stored import Stored, Wanted
from vosd.daemon.definitions import report_unread
from vosd.daemon.pace import ThreadPace
from vosd.daemon.start import Started, report_api, report_warnings
from vosd.daemon.systemd import Notifier
from vosd.obs import log
from vosd.obs.events import Event, log as _log
from vosd.processes.memory import give_back

LOST_ADVICE: Final = (
    "the database has lost commits, and lacks what calls go by: put it back, or vosd restore FILE, or make the same"
    " definitions and import the same rates again. vosd reload --yes takes them out of force"
)
REFUSED: Final = "the configuration was not taken, the old one stays in force"


_TURN_S: Final = 0.0005
"""Longest time that a thread keeps the interpreter while the event loop waits for it, instead of Python's 5 ms."""
UNUSED_LOOK_S: Final = 1.0
UNUSED_LOOKS: Final = 300
"""Looks for calls that are still set up by a replaced catalogue."""
_OWN_REFERENCES: Final = 2
"""References to a catalogue, or to a part of one, by what it belongs to and by the function that counts them."""
READERS_MAX: Final = 3
"""Tries of a version whose reader of files is killed: for want of memory the next would be, too, beside calls."""


@contextmanager
def _beside_calls() -> Iterator[None]:
    """Let the event loop have the interpreter sooner: each packet of a call waits for it once or more.

    What was read is put out of the garbage collector's sight before that may look at millions of new objects at once;
    so is what was there before, so that it is not looked at when the database has been read (``definitions``). Young
    garbage is collected first, 50,000 objects at most: out of sight it would stay for good.
    """
    usual_s = sys.getswitchinterval()
    sys.setswitchinterval(_TURN_S)
    try:
        with without_collector(), giving_way(ThreadPace().rest):
            gc.collect(0)
            gc.freeze()
            yield
            gc.freeze()
    finally:
        sys.setswitchinterval(usual_s)


def _free(replaced: list[Loaded], *, is_whole: bool) -> None:
    """Free what is no longer in force, one large mapping after the other: calls wait for each, but not for all.

    ``is_whole``: nothing of it is used by what is in force, and the objects in these mappings are freed in steps.
    """
    parts: list[object] = []
    things: list[object] = []
    while replaced:
        loaded = replaced.pop()
        catalogue = loaded.catalogue
        parts += [loaded.account_places, *(getattr(catalogue, field.name) for field in fields(catalogue))]
        if is_whole:
            large: list[Mapping[Any, object]] = [part for part in parts if isinstance(part, (dict, Edited))]
            if isinstance(loaded.account_places, CurrencyPlaces):
                large.append(loaded.account_places.accounts)
            things += [each for part in large for some in in_parts(part.values()) for each in some]
            del large
        del loaded, catalogue
    _free_parts(parts)
    free(things)


async def _free_unused(replaced: list[Loaded], *, is_whole: bool) -> None:
    """Free what is no longer in force by a thread, once no call is being set up by it: the last one would free it here.

    ``is_whole`` is as in ``_free``; what is replaced by difference is small.
    """
    for _ in range(UNUSED_LOOKS if is_whole else 0):
        if not _is_in_use(replaced[0]):
            break
        await asyncio.sleep(UNUSED_LOOK_S)
    with giving_way(ThreadPace().rest):
        await asyncio.to_thread(_free, replaced, is_whole=is_whole)
    if is_whole:
        await asyncio.to_thread(give_back)


def _is_in_use(replaced: Loaded) -> bool:
    """Return whether a call is being set up by a catalogue, or by one that was made of it with overrides."""
    catalogues, accounts = getrefcount(replaced.catalogue), getrefcount(replaced.catalogue.accounts)
    return max(catalogues, accounts) > _OWN_REFERENCES


def _free_parts(parts: list[object]) -> None:
    while parts:
        parts.pop()
        give_way()


def _clear_frames(error: BaseException | None) -> None:
    """Have an error and its causes keep no variables of the functions that have ended by it."""
    while error is not None:
        clear_frames(error.__traceback__)
        error = error.__cause__


class SoundFile(NamedTuple):
    """A file that a reload has taken, or would take."""

    version: str
    problems: tuple[DefinitionProblem, ...]
    """Warnings."""


class UnconfirmedError(VosError):
    """The file is valid, but removes so much that the operator has to confirm it; the message lists what."""

    def __init__(self, found: tuple[str, ...], *, has_lost_commits: bool = False) -> None:
        """``has_lost_commits``: the database has lost some, so that what goes may be what it lost."""
        advice = LOST_ADVICE if has_lost_commits else "if that is meant, say vosd reload --yes"
        super().__init__("\n".join((*found, advice)))


class Configuration:
    """The configuration in force, and the only way to change it."""

    def __init__(
        self,
        path: Path,
        started: Started,
        put_in_force: Callable[[Loaded], Awaitable[None]],
        check: Callable[[Loaded], Awaitable[None]],
        notifier: Notifier,
        clock: Clock,
        busy: Callable[[], Busy],
        definitions: Callable[[Wanted], Stored],
    ) -> None:
        """Take what is in force.

        Args:
            path: the main file.
            started: what was read of it.
            put_in_force: has the switch use another configuration.
            check: raises the errors by which ``put_in_force`` refuses one.
            notifier: the service manager.
            clock: the time.
            busy: returns what running calls use.
            definitions: as in ``config.load``.
        """
        self.loaded = started.loaded
        self.loaded_at = clock.now().wall
        """Time of the last successful load, UTC milliseconds."""
        self.last_error = started.fault
        """Why the last reload changed nothing; None if it succeeded, or there was none."""
        self._is_fallback = started.fault is not None
        """Whether another catalogue than that of the files and the database is in force."""
        self._definitions = definitions
        self._remembered = started.remembered
        self._remembered.reads = read_by_a_process
        self._is_started = False
        """Whether calls are taken: before that the service manager gets no report of a reload."""
        self._path = path
        self._put_in_force = put_in_force
        self._check = check
        self._notifier = notifier
        self._clock = clock
        self._busy = busy
        self._one_at_a_time = asyncio.Lock()
        self._killed_readers = 0
        """Loads in a row that ended with the process that reads the files."""
        self._doubts = self._settled_doubts = 0
        """Times that a database has lost commits, and those after which all definitions were read again."""
        self._tables: StoredTables | None = None
        """Tables of the reload that goes on."""
        self._keeping: asyncio.Task[None] | None = None
        """Keeps what the start has loaded."""
        self._freeing: set[asyncio.Task[None]] = set()

    @property
    def stored(self) -> Stored:
        """The definitions of the database in force; without a version where they are in doubt."""
        stored = self.loaded.stored
        return stored if self._doubts == self._settled_doubts else stored._replace(version=None)

    def doubt_stored(self) -> None:
        """Have the next reload read all definitions of the database: it had lost commits, and changes tell nothing."""
        self._doubts += 1

    @property
    def installation(self) -> Installation:
        """The switch, as commands tell it from others."""
        return installation_of(self._path, self.loaded.settings.node)

    async def begin(self) -> None:
        """Remove compiled rates that are no longer used, and keep what was loaded as the last good catalogue.

        Calls do not wait for it: that takes a second for 100,000 accounts. A kill leaves the one of before. Nor does
        the start wait for a reload that goes on, which takes many seconds for a million rates.
        """
        self._is_started = True
        has_turn = not self._one_at_a_time.locked()
        if has_turn:
            await self._one_at_a_time.acquire()  # at once: a reload that comes later goes by what is kept
        self._keeping = asyncio.create_task(self._keep_start(has_turn))

    async def kept(self) -> None:
        """Wait until what the start has loaded is kept, or could not be; ``end`` raises what has failed.

        It ends a reload that the keeping waits for.
        """
        if self._keeping is not None and not self._keeping.done():
            self._stop_reload()
            await asyncio.wait({self._keeping})

    async def _keep_start(self, has_turn: bool) -> None:
        if not has_turn:
            await self._one_at_a_time.acquire()
        try:
            if self.loaded.texts:  # else a reload has kept its own already
                await self._keep()
        finally:
            self._one_at_a_time.release()

    async def _keep(self) -> None:
        """Tidy up after a load."""
        with giving_way(ThreadPace().rest):
            await asyncio.to_thread(self._tidy, self.loaded)
        self.loaded = replace(self.loaded, texts={})

    def _tidy(self, loaded: Loaded) -> None:
        if not self._is_fallback:
            try:
                KeptCatalogue(loaded.settings.state_dir).keep(loaded.stored, loaded.texts)
            except OSError as error:
                _log.warning("last_good_catalogue_not_kept", why=str(error), do="make room in state_dir")
        sweep(loaded.settings.state_dir, loaded.rate_files)

    async def end(self) -> None:
        """End the processes of a reload that goes on, which changes nothing then; keep what the start has loaded."""
        self._stop_reload()
        if self._keeping is not None:
            await self._keeping
            self._stop_reload()  # the next one may have begun behind it
        for freeing in self._freeing:
            freeing.cancel()

    def _stop_reload(self) -> None:
        if self._tables is not None:
            self._tables.stop()
        stop_reading()
        stop_reading_files()

    async def reload(
        self, *, is_confirmed: bool = False, follows_order: bool = False, by_signal: bool = False
    ) -> SoundFile:
        """Load the file; running calls keep what they copied at admission.

        The file is read in a thread, and rates are compiled by a process of their own, so that calls go on meanwhile.
        ``follows_order`` is that of ``control.installation.Reload``.

        Raises:
            ConfigError: the file is invalid; nothing was changed.
            UnconfirmedError: it removes what calls use, or a fifth of something; nothing was changed.
            StoreUnavailable: its new accounts could not be opened; nothing was changed.
        """
        async with self._one_at_a_time:
            if self._is_started:
                self._notifier.reloading(self._clock.now().mono * 1_000)
            try:
                return await self._take(is_confirmed, follows_order)
            except VosError as error:
                self.last_error = error.in_brief() if isinstance(error, ConfigError) else str(error)
                # A command gets the reasons as its answer; after a signal only the log has them.
                log = _log.error if by_signal else _log.warning
                log(Event.RELOAD_REFUSED.value, why=self.last_error)
                raise
            except Exception as error:
                self.last_error = f"a fault of the program: {error!r}"
                _log.exception(Event.RELOAD_REFUSED.value, why=self.last_error)
                raise
            finally:
                if self._is_started:
                    self._notifier.ready(self.summary())

    async def tried(self, path: Path) -> SoundFile:
        """Do what a reload of a file would do before it is put in force; nothing is changed.

        Raises:
            ConfigError, UnconfirmedError, StoreUnavailable: a reload would be refused for the same reason.
        """
        async with self._one_at_a_time:
            remembered = self._remembered_of(path)
            unused: list[object] = []
            try:
                with remembered.kept() as unused:
                    return await self._tried(path, remembered)
            except VosError as error:
                _clear_frames(error)  # they have the catalogue
                raise
            finally:
                with giving_way(ThreadPace().rest):
                    await asyncio.to_thread(_free_parts, unused)

    async def _tried(self, path: Path, remembered: Remembered) -> SoundFile:
        reloaded = await self._judged(path, remembered, is_confirmed=False)
        await self._check(reloaded.in_force)
        return SoundFile(reloaded.in_force.catalogue.version, reloaded.problems)

    async def reload_on_signal(self) -> bool:
        """Do the same as ``reload``, for a signal or a change in the database; the outcome is only logged.

        Return False where the database was away, the process that reads the files was killed, or running calls use what
        goes, so that the same may succeed later.
        """
        try:
            await self.reload(by_signal=True)
        except (StoreUnavailable, UnconfirmedError):
            return False
        except ReaderEndedError:
            self._killed_readers += 1
            if self._killed_readers < READERS_MAX:
                return False
        except Exception:  # noqa: BLE001  logged by reload, and the next signal has to find it at work
            return True
        self._killed_readers = 0
        return True

    def summary(self) -> str:
        """Return a line with the listeners and the catalogue."""
        listeners = ", ".join(map(str, self.loaded.settings.listen))
        return f"takes calls at {listeners}; catalogue {self.loaded.catalogue.version}"

    async def _take(self, is_confirmed: bool, follows_order: bool) -> SoundFile:
        doubts = self._doubts
        is_in_doubt = doubts != self._settled_doubts
        if is_in_doubt:
            self._remembered.stored = None
        reloaded = await self._judged(
            self._path, self._remembered, is_confirmed=is_confirmed, is_settled=follows_order and not is_in_doubt
        )
        await self._put_in_force(reloaded.in_force)
        report_api(reloaded.in_force, self.loaded)
        replaced, before, stored = [self.loaded], self.loaded.stored.version, reloaded.in_force.stored
        were_unread = self.loaded.stored.unread is not None
        self.loaded = reloaded.in_force
        changes = self.loaded.catalogue.changes
        is_whole = changes is None or changes.is_whole
        if stored.unread is None:
            self._settled_doubts = doubts
            if is_in_doubt or (before is not None and stored.version is not None and stored.version < before):
                _log.warning("definitions_read_anew", version=stored.version, before=before, means="commits were lost")
        self.loaded_at = self._clock.now().wall
        self.last_error = None
        self._is_fallback = False
        await self._keep()
        self._freeing.add(freeing := asyncio.create_task(_free_unused(replaced, is_whole=is_whole)))
        freeing.add_done_callback(self._freeing.discard)
        log.configure(self.loaded.settings.log_level.value)
        report_warnings(reloaded.problems)
        _log.info("configuration_loaded", catalogue=self.loaded.catalogue.version)
        report_unread(stored.unread, were_unread=were_unread)
        return SoundFile(self.loaded.catalogue.version, reloaded.problems)

    def _remembered_of(self, path: Path) -> Remembered:
        """Return what is remembered of a file: of another one than the switch's, nothing."""
        try:
            is_own = path.samefile(self._path)
        except FileNotFoundError:  # the switch's own was renamed; where ``path`` is not there, the load says so
            is_own = False
        if is_own:
            return self._remembered
        remembered = Remembered()
        remembered.reads = read_by_a_process
        return remembered

    async def _judged(
        self, path: Path, remembered: Remembered, *, is_confirmed: bool, is_settled: bool = False
    ) -> Reloaded:
        """Load a file beside the calls, and return it if a reload may take it.

        ``is_settled``: orders that have ended objects of the database were asked about the calls that use these.

        Raises:
            ConfigError: the file is invalid.
            UnconfirmedError: it removes what calls use, or a fifth of something, and that is not confirmed.
        """
        self._tables = tables = tables_of_reload(self.loaded.settings.state_dir, self.loaded.rate_files)
        read: list[Reloaded] = []

        def definitions(wanted: Wanted) -> Stored:
            # They look for the garbage of their connection where the collector counts few young objects. It counts what
            # was made less what was freed: few, too, where the files have given new phones in place of as many others.
            gc.freeze()
            return self._definitions(wanted)

        def read_file() -> None:
            # It is not returned: thread and future would keep it a moment longer than ``tried`` does, and free it as a
            # whole.
            read.append(
                reload(path, self.loaded, tables=lambda _: tables, definitions=definitions, remembered=remembered)
            )

        try:
            with self._notifier.extending("reading the configuration"), _beside_calls():
                await asyncio.to_thread(read_file)
        finally:
            self._tables = None
        reloaded = read.pop()
        if not reloaded.is_accepted:
            raise ConfigError(reloaded.problems)
        lost = settled(reloaded.lost) if is_settled else reloaded.lost
        found = () if is_confirmed or not lost else objections(lost, self._busy())
        if found:
            raise UnconfirmedError(found, has_lost_commits=self._doubts != self._settled_doubts)
        return reloaded
