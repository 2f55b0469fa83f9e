"""Books ended calls: batches from the journal to the database, again until it works (DESIGN D4, D9).

The same path in normal running, while the database is away and after a crash. Tells the purses what was committed.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Final

import structlog

from vosd.billing.holds import Purse
from vosd.cdr.ports import Books, RejectedRecords, Standing, StoreUnavailable
from vosd.cdr.record import CallRecord
from vosd.engine.journal import Journal
from vosd.engine.settings import CdrSettings

PENDING_MAX: Final = 100_000
"""SERVER_MAX_CDR_PENDING_LIST_LENGTH: with so many calls unbooked no new call is taken (CDR-21)."""
_RETRY_FIRST_S: Final = 0.2
_RETRY_MOST_S: Final = 5.0

_log = structlog.get_logger()


class Recorder:
    """The queue of ended calls, and the one task that books it."""

    def __init__(self, books: Books, journal: Journal, purses: dict[str, Purse], settings: CdrSettings) -> None:
        self._books = books
        self._journal = journal
        self._purses = purses
        self._settings = settings
        self._queue: deque[CallRecord] = deque()
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._full_batch = asyncio.Event()

    def __len__(self) -> int:
        """Return how many calls wait in memory."""
        return len(self._queue)

    @property
    def is_overfull(self) -> bool:
        """Whether the database is so far behind that no new call may be taken."""
        return len(self._queue) >= PENDING_MAX

    def add(self, record: CallRecord) -> None:
        """Take a call that is in the journal already."""
        self._queue.append(record)
        self._idle.clear()
        self._arrived.set()
        if len(self._queue) >= self._settings.batch_rows:
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
        """Wait until nothing is left to book."""
        await self._idle.wait()

    async def _gather(self) -> None:
        """Wait for a full batch, at most ``batch_ms``."""
        self._full_batch.clear()
        if len(self._queue) >= self._settings.batch_rows:
            return
        try:
            async with asyncio.timeout(self._settings.batch_ms / 1000):
                await self._full_batch.wait()
        except TimeoutError:
            return

    async def _book_one_batch(self) -> None:
        batch = [self._queue[place] for place in range(min(len(self._queue), self._settings.batch_rows))]
        standings, refused = await self._book(batch)
        for _ in batch:
            self._queue.popleft()
        self._commit([record for record in batch if record.call_id not in refused], standings)

    async def _book(self, batch: list[CallRecord]) -> tuple[Mapping[str, Standing], set[str]]:
        """Book until the database has answered; return the standings and the calls that it will never take."""
        wait_s = _RETRY_FIRST_S
        while True:
            try:
                return await self._books.book(batch), set()
            except RejectedRecords as rejected:
                _log.error("the database refuses calls, they stay in the journal", why=rejected.why)
                self._journal.refused(rejected.records)
                return rejected.standings, {record.call_id for record in rejected.records}
            except StoreUnavailable as error:
                _log.warning("database away, calls wait in the journal", error=str(error), waiting=len(self._queue))
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, _RETRY_MOST_S)

    def _commit(self, batch: list[CallRecord], standings: Mapping[str, Standing]) -> None:
        """Take in what the database says, in one step with forgetting what it now contains (DESIGN D13)."""
        for account, standing in standings.items():
            if account in self._purses:
                self._purses[account].committed(standing.balance, standing.seq)
        for record in batch:
            for posting in record.postings:
                if posting.account in self._purses:
                    self._purses[posting.account].booked(posting.amount)
        self._journal.booked(record.call_id for record in batch)
