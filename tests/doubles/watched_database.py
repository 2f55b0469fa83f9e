"""A database that can be away and be replaced, and the books of a switch that watches it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from doubles.data.builders import account
from doubles.memory import MemoryLease, MemoryStore
from doubles.virtual.clock import ManualClock
from vosd.cdr.lease import Claimant
from vosd.cdr.ports import BookedBatch, LastStanding, StoreUnavailable
from vosd.cdr.record import CallRecord
from vosd.engine.booking.balances import Balances
from vosd.engine.booking.comparison import JournalComparison
from vosd.engine.booking.database_watch import DatabaseWatch, MemoFile
from vosd.engine.booking.last_standings import LastStandings, StandingsCopier
from vosd.engine.booking.recorder import Recorder
from vosd.engine.clock import machine_ms
from vosd.engine.journal import Journal
from vosd.engine.settings import CdrSettings

ONE = Claimant("sw1", "holder-1", "host-a", 100, "")
OTHER = Claimant("sw1", "holder-2", "host-b", 200, "")


class Server:
    """A database that can be away, and be replaced by another one."""

    def __init__(self) -> None:
        self.replace_by(MemoryStore())
        self.is_away = False

    def replace_by(self, store: MemoryStore) -> None:
        self.store = store
        self.lease = MemoryLease(store, now_ms=lambda: self.now_ms)

    now_ms = 0
    newest = 0

    async def book(self, records: Sequence[CallRecord]) -> BookedBatch:
        done: BookedBatch = await self.__getattr__("book")(records)
        self.newest = self.store.commits
        return done

    def newest_commit(self) -> int:
        newest, self.newest = self.newest, 0
        return newest

    def __getattr__(self, name: str) -> Any:
        if self.is_away:
            raise StoreUnavailable("away")
        return getattr(self.lease if name in {"hold", "release"} else self.store, name)


class MemoryStandings:
    """A copy of the balances that outlives an ``Installation``, as the file of a switch does."""

    def __init__(self) -> None:
        self.by_account: dict[str, LastStanding] = {}
        self.at: int | None = None
        self.is_full = False
        """Whether its disk has no room."""

    async def standings(self) -> Sequence[LastStanding]:
        return [*self.by_account.values()]

    async def known_at(self) -> int | None:
        return self.at

    async def note_time(self, at: int) -> None:
        self.at = at

    async def note(self, standings: Sequence[LastStanding]) -> bool:
        if not self.is_full:
            self.by_account |= {each.account: each for each in standings}
        return not self.is_full


class Installation:
    """A switch's books, without its calls."""

    def __init__(
        self,
        directory: Path,
        server: Server,
        elapsed_ms: Callable[[], int] = machine_ms,
        copy: LastStandings | None = None,
    ) -> None:
        copy = copy or MemoryStandings()
        self.server = server
        self.journal = Journal(directory / "journal")
        self.journal.open()
        self.journal.settle()
        self.balances = Balances(server)
        self.recorder = Recorder(server, self.journal, self.balances.credits, CdrSettings(batch_ms=1))
        self.memo = MemoFile(directory / "database.json")
        self.recorder.booked_on = self.balances.note_changed
        compared = JournalComparison(server, self.balances, self.recorder, self.journal, copy)
        self.watch = DatabaseWatch(
            server, server, self.balances, compared, self.memo, ManualClock(), self.mended, elapsed_ms
        )
        self.copier = StandingsCopier(self.balances, copy, lambda: self.watch.is_compared)

    times_mended = 0

    async def mended(self) -> None:
        self.times_mended += 1

    async def end_calls(self, *records: CallRecord) -> None:
        """Write calls down as the switch does, and wait until they are booked."""
        for record in records:
            self.journal.ended(record)
            self.balances.add_owed(record.postings)
            self.recorder.add(record)
        self.journal.flush()
        task = asyncio.create_task(self.recorder.run())
        await asyncio.wait_for(self.recorder.drained(), 30)
        task.cancel()

    async def compared(self) -> None:
        """Let the comparison run until nothing is left to compare."""
        while self.watch._comparison_wanted.is_set():
            self.watch._comparison_wanted.clear()
            await self.watch._compare_once()


@asynccontextmanager
async def booking_installation(directory: Path, server: Server) -> AsyncIterator[Installation]:
    """Yield the books of a switch that has begun, with two accounts."""
    switch = Installation(directory, server)
    await switch.watch.begin(ONE)
    await switch.balances.adopt({name: account(name) for name in ("acme", "carrier")})
    await switch.compared()
    yield switch
    switch.journal.close()
