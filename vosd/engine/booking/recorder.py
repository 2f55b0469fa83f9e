"""Booking of ended calls in batches, repeated until the database accepts them (ADR 4 and 5).

The path is the same in normal operation, while the database is away and after a crash. Reports committed balances to
the credits.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Final

from vosd.billing.holds import AccountCredit
from vosd.cdr.ports import Books, RejectedRecords, Standing, StoreDamaged, StoreUnavailable
from vosd.cdr.record import CallRecord
from vosd.engine.counting import Counting, Figure
from vosd.engine.journal import Journal
from vosd.engine.settings import CdrSettings
from vosd.obs.events import Event
from vosd.obs.outage import Outage

PENDING_MAX: Final = 100_000
"""SERVER_MAX_CDR_PENDING_LIST_LENGTH: with so many calls unbooked no new call is taken."""
_RETRY_FIRST_S: Final = 0.2
_RETRY_MOST_S: Final = 5.0


class Recorder(Counting):
    """The queue of ended calls, and the one task that books it."""

    def __init__(
        self, books: Books, journal: Journal, credits: dict[str, AccountCredit], settings: CdrSettings
    ) -> None:
        self._books = books
        self._journal = journal
        self._credits = credits
        self._settings = settings
        self._queue: deque[CallRecord] = deque()
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._full_batch = asyncio.Event()
        self._most = settings.batch_rows
        """Size of the next batch: smaller after a failure."""
        self._wait_s = _RETRY_FIRST_S
        self.behind: Final[set[str]] = set()
        """Accounts with fewer entries in the database than were committed; read by ``DatabaseWatch``."""
        self.turn: Final = asyncio.Lock()
        """Held while a batch is booked, so that only one task books."""
        self._outage = Outage(Event.DATABASE_AWAY, part="booking")
        self._damage = Outage(Event.DATABASE_DAMAGED, is_error=True, part="booking")

    def __len__(self) -> int:
        """Return how many calls wait in memory."""
        return len(self._queue)

    def census(self) -> Mapping[Figure, int]:
        """Count what waits, for ``vosd status``."""
        return {Figure.CDR_QUEUE: len(self._queue)}

    @property
    def is_overfull(self) -> bool:
        """Whether so many calls wait that no new call may be taken."""
        return len(self._queue) >= PENDING_MAX

    def waiting(self) -> set[str]:
        """Return the ids of the calls that wait."""
        return {record.call_id for record in self._queue}

    def add(self, record: CallRecord) -> None:
        """Queue a call that is in the journal already."""
        self._queue.append(record)
        self._idle.clear()
        self._arrived.set()
        if len(self._queue) >= self._most:
            self._full_batch.set()

    async def run(self) -> None:
        """Book batches until cancelled."""
        while True:
            await self._arrived.wait()
            await self._gather()
            await self._book_one_batch()
            if not self._queue:
                self._arrived.clear()
                self._idle.set()

    async def drained(self) -> None:
        """Wait until all calls are booked."""
        await self._idle.wait()

    async def _gather(self) -> None:
        """Wait for a full batch, at most ``batch_ms``."""
        self._full_batch.clear()
        if len(self._queue) >= self._most:
            return
        try:
            async with asyncio.timeout(self._settings.batch_ms / 1000):
                await self._full_batch.wait()
        except TimeoutError:
            return

    async def _book_one_batch(self) -> None:
        async with self.turn:
            batch = [self._queue[place] for place in range(min(len(self._queue), self._most))]
            try:
                standings, refused = await self._book(batch)
            except StoreUnavailable as error:
                failure = error
            else:
                for _ in batch:
                    self._queue.popleft()
                booked = [record for record in batch if record.call_id not in refused]
                self._commit(booked, standings)
                self._succeeded()
                await self._release_refused_before(booked)
                return
        await self._failed(failure, len(batch))

    async def _book(self, batch: list[CallRecord]) -> tuple[Mapping[str, Standing], set[str]]:
        """Return the standings and the ids of the calls that the database refuses."""
        try:
            return await self._books.book(batch), set()
        except RejectedRecords as rejected:
            await self._journal.refused(rejected.rejected)
            return rejected.standings, {record.call_id for record, _ in rejected.rejected}

    async def _release_refused_before(self, booked: list[CallRecord]) -> None:
        """Remove booked calls from quarantine: an earlier run put them there and was killed before it noted that."""
        quarantine = self._journal.quarantine
        if not len(quarantine):
            return
        both = [record.call_id for record in booked if record.call_id in quarantine]
        if both:
            quarantine.owed.difference_update(both)
            await asyncio.get_running_loop().run_in_executor(None, quarantine.remove, both)

    def _succeeded(self) -> None:
        self._most = min(2 * self._most, self._settings.batch_rows)
        self._wait_s = _RETRY_FIRST_S
        self._outage.over()
        self._damage.over()

    async def _failed(self, error: StoreUnavailable, tried: int) -> None:
        """Wait, and halve the next batch: its size, or one call of it, may be the cause.

        A single call that fails goes to the end of the queue, so that the others are booked.
        """
        self._log_failure(error)
        self._most = max(1, tried // 2)
        if tried == 1:
            self._queue.rotate(-1)
        elif isinstance(error, StoreDamaged):
            return
        await asyncio.sleep(self._wait_s)
        self._wait_s = min(2 * self._wait_s, _RETRY_MOST_S)

    def _log_failure(self, error: StoreUnavailable) -> None:
        """Log each cause once, until a batch is booked."""
        outage = self._damage if isinstance(error, StoreDamaged) else self._outage
        outage.found(error, waiting=len(self._queue), means="calls wait in the journal")

    def _commit(self, batch: list[CallRecord], standings: Mapping[str, Standing]) -> None:
        """Set the committed balances and subtract the booked postings from the unbooked ones, in one step (ADR 3)."""
        for account, standing in standings.items():
            if account in self._credits:
                credit = self._credits[account]
                if standing.seq < credit.seq:
                    self.behind.add(account)
                credit.committed(standing.balance, standing.seq)
        for record in batch:
            for posting in record.postings:
                if posting.account in self._credits:
                    self._credits[posting.account].booked(posting.amount)
        self._journal.booked(record.call_id for record in batch)
