"""Books of a switch whose calls are booked in a process of its own, so that its event loop is not held (ADR 43)."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import msgspec

from vosd.base.histogram import Histogram
from vosd.cdr.ports import BookedBatch, RejectedRecord, RejectedRecords, RowsLocked, StoreDamaged, StoreUnavailable
from vosd.cdr.record import CallRecord
from vosd.obs.events import log as _log
from vosd.processes.channel import received, send
from vosd.processes.child import Child, ended, started
from vosd.processes.spare_descriptors import is_used_up
from vosd.storage import bookkeeper
from vosd.storage.bookkeeper import Reply
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database

_ENCODED_AT_ONCE: Final = 64
"""Records encoded before the event loop serves calls again."""
_REPLY_S: Final = 300.0
"""A process that has not replied by then is killed. A batch with records that are refused takes several transactions,
each of at most ``PATIENCE_S``: one that was killed for them would begin with all of them again.
"""
BATCHES_MS: Final = (5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000)


class SeparateBooks(SqlBooks):
    """``SqlBooks`` that leave ``book`` to the process of ``vosd.storage.bookkeeper``.

    The process is started again when it has ended. Everything else is asked of the database from here.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._database = database
        self._given_url = ""
        """URL that the bookkeeper has."""
        self._bookkeeper: Child | None = None
        self._turn = asyncio.Lock()
        self.times = Histogram(BATCHES_MS)
        """Durations of batches, those that failed included."""
        self.failures = 0
        """Batches that the database did not take, since the start."""
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(Reply).decode

    @property
    def pid(self) -> int | None:
        """Process id of the bookkeeper, None while there is none."""
        return None if self._bookkeeper is None else self._bookkeeper.process.pid

    async def start(self) -> None:
        """Start the process, so that the first batch need not wait for it.

        Raises:
            StoreUnavailable: it cannot be started.
        """
        async with self._turn:
            try:
                await self._present()
            except OSError as error:
                raise _gone(error) from error

    async def close(self) -> None:
        """End the process; a batch that it has is not finished."""
        async with self._turn:
            await self._end()

    async def book(self, records: Sequence[CallRecord]) -> BookedBatch:
        """Book whole calls in one transaction.

        Raises:
            StoreUnavailable: probably nothing of the batch was booked; try the same batch again.
            RejectedRecords: these records can never be booked; all others are committed.
        """
        began = time.monotonic()
        try:
            return await self._booked(records)
        except StoreUnavailable:
            self.failures += 1
            raise
        finally:
            self.times.add(1_000 * (time.monotonic() - began))

    async def _booked(self, records: Sequence[CallRecord]) -> BookedBatch:
        async with self._turn:
            try:
                reply = await self._asked(records)
            except (OSError, EOFError) as error:
                _log.warning("bookkeeper_ended", error=str(error), means="it is started again, the batch is repeated")
                reply = await self._asked_again(records)
            except (UnicodeEncodeError, OverflowError):  # undecodable bytes of a peer, a number beyond 64 bits
                reply = Reply(is_unread=True)
        if reply.is_unread:
            return await super().book(records)
        self._newest_commit = max(self._newest_commit, reply.newest_commit)
        if reply.unavailable is not None:
            kind = StoreDamaged if reply.is_damaged else RowsLocked if reply.is_locked else StoreUnavailable
            raise kind(reply.unavailable)
        if reply.rejected:
            by_id = {record.call_id: record for record in records}
            rejected = [RejectedRecord(by_id[call_id], reason) for call_id, reason in reply.rejected]
            raise RejectedRecords(rejected, reply.booked)
        return reply.booked

    async def _asked_again(self, records: Sequence[CallRecord]) -> Reply:
        try:
            return await self._asked(records)
        except (OSError, EOFError) as error:
            raise _gone(error) from error

    async def _asked(self, records: Sequence[CallRecord]) -> Reply:
        """Give a batch to the process and return its reply.

        Raises:
            OSError, EOFError: the process has ended, or was ended because it did not reply.
            UnicodeEncodeError, OverflowError: no message can hold a record.
        """
        contents = []
        for start in range(0, len(records), _ENCODED_AT_ONCE):
            contents.append(self._encode(records[start : start + _ENCODED_AT_ONCE]))
            await asyncio.sleep(0)  # a full batch at once would delay the packets of running calls
        contents.append(self._encode([]))
        has_replied = False
        try:
            async with asyncio.timeout(_REPLY_S):
                present = await self._present()
                send(present.writer, *contents)
                reply = self._decode(await received(present.reader))
            has_replied = True
        finally:
            if not has_replied:  # a late reply would be taken for that of the next batch
                await asyncio.shield(self._end(is_asked=False))
        return reply

    async def _present(self) -> Child:
        """Return the process; start it if there is none, or it has another user or password than the switch now.

        Raises:
            EOFError: it has ended.
            OSError: it cannot be started.
        """
        url = self._database.url
        if url != self._given_url:
            await self._end()
        if self._bookkeeper is None:
            self._bookkeeper, self._given_url = await started(bookkeeper.__name__), url
            send(self._bookkeeper.writer, url.encode())
        elif self._bookkeeper.reader.at_eof():
            raise EOFError("its channel is closed")
        return self._bookkeeper

    async def _end(self, *, is_asked: bool = True) -> None:
        """End the process: by closing the channel if ``is_asked``, else at once."""
        if self._bookkeeper is None:
            return
        gone, self._bookkeeper = self._bookkeeper, None
        if await ended(gone, is_asked=is_asked) and is_asked:
            _log.warning("bookkeeper_killed", why="it did not end")


def _gone(error: Exception) -> StoreUnavailable:
    do = ": raise LimitNOFILE" if isinstance(error, OSError) and is_used_up(error) else ""
    return StoreUnavailable(f"the process that books calls has ended or cannot be started ({error}){do}")
