"""Process that books calls for a switch: ``vosd.processes.entry vosd.storage.bookkeeper DESCRIPTOR`` (ADR 43).

It keeps nothing of its own. A batch that it did not confirm is given to its successor, and what was committed of it
changes nothing the second time (ADR 5).
"""

import asyncio
import gc
import socket
import sys

import msgspec
import uvloop

from vosd.cdr.ports import BookedBatch, RejectedRecords, RowsLocked, StoreDamaged, StoreUnavailable
from vosd.cdr.record import CallRecord
from vosd.obs import log
from vosd.processes.channel import received, send
from vosd.processes.life import live_as_long_as_the_switch
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database


class Reply(msgspec.Struct, frozen=True):
    """Result of a batch: what ``Books.book`` returns or raises."""

    booked: BookedBatch = BookedBatch({})
    newest_commit: int = 0
    rejected: tuple[tuple[str, str], ...] = ()
    """Call ids and reasons."""
    unavailable: str | None = None
    """Message of ``StoreUnavailable``; None = the batch is booked."""
    is_damaged: bool = False
    """Whether that was ``StoreDamaged``."""
    is_locked: bool = False
    """Whether that was ``RowsLocked``."""
    is_unread: bool = False
    """Whether a record was not read, because a value has another type than its column."""


async def serve(channel: socket.socket) -> None:
    """Book batches until the switch closes the channel.

    The first message is the database's URL. A batch is a row of messages with some records each, then one with none.
    """
    reader, writer = await asyncio.open_connection(sock=channel)
    decode = msgspec.msgpack.Decoder(list[CallRecord]).decode
    encode = msgspec.msgpack.Encoder().encode
    batch: list[CallRecord] = []
    database: Database | None = None
    try:
        database = Database((await received(reader)).decode(), was_used=lambda: True)
        books = SqlBooks(database)
        gc.freeze()
        is_unread = False
        while True:
            content = await received(reader)
            try:
                records = decode(content)
            except msgspec.ValidationError:
                is_unread = True
                continue
            batch += records
            if not records:
                reply = Reply(is_unread=True) if is_unread else await _booked(books, batch)
                send(writer, encode(reply))
                batch, is_unread = [], False
    except EOFError:
        return
    finally:
        writer.close()
        if database is not None:
            await database.close()


async def _booked(books: SqlBooks, batch: list[CallRecord]) -> Reply:
    try:
        return Reply(await books.book(batch), books.newest_commit())
    except RejectedRecords as error:
        rejected = tuple((record.call_id, reason) for record, reason in error.rejected)
        return Reply(error.booked, books.newest_commit(), rejected)
    except StoreUnavailable as error:
        return Reply(
            newest_commit=books.newest_commit(),
            unavailable=str(error),
            is_damaged=isinstance(error, StoreDamaged),
            is_locked=isinstance(error, RowsLocked),
        )


def main() -> None:
    """Serve the channel whose descriptor is the argument, until the switch closes it."""
    live_as_long_as_the_switch()  # its successor must find no one else at work on the batch
    log.configure("warning")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(socket.socket(fileno=int(sys.argv[1]))))
