"""Booking in a process of its own: the same results, and what happens when that process is killed."""

import asyncio
import errno
import os
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from decimal import Decimal

import pytest
import structlog
from doubles import forked_child
from doubles.data.records import answered_call, call_id
from doubles.turns import turns

from vosd.cdr.ports import RejectedRecords, Standing, StoreDamaged, StoreUnavailable
from vosd.processes.channel import message
from vosd.storage import separate_books
from vosd.storage.database import Database
from vosd.storage.queries import SqlQueries
from vosd.storage.separate_books import SeparateBooks

MARIADB_ALONE = pytest.mark.parametrize(
    "database_url", [pytest.param("mariadb", marks=pytest.mark.mariadb)], indirect=True
)
"""For what lies between the two processes: each start of one takes a second."""
FEE = Decimal("0.012345")
COST = Decimal("0.009876")


@pytest.fixture
async def books(database, monkeypatch) -> AsyncIterator[SeparateBooks]:
    """Books whose process is forked; what is shown of an executed one uses ``SeparateBooks`` itself."""
    monkeypatch.setattr(separate_books, "started", forked_child.started)
    books = SeparateBooks(database)
    await books.start()
    yield books
    await books.close()


def calls(*indices: int):
    return [answered_call(index, customer_account="acme", vendor_account="carrier-a") for index in indices]


@pytest.fixture
async def executed(database) -> AsyncIterator[SeparateBooks]:
    books = SeparateBooks(database)
    yield books
    await books.close()


async def test_a_batch_is_booked_by_another_process_with_every_column(executed, database):
    books = executed
    await books.start()
    batch = calls(*range(150))
    assert (await books.book(batch)).standings == {
        "acme": Standing(-150 * FEE, 150),
        "carrier-a": Standing(-150 * COST, 150),
    }
    assert books.newest_commit() >= 150
    assert books.newest_commit() == 0
    assert books.pid not in {None, os.getpid()}
    stored = await SqlQueries(database).call(call_id(149))
    assert stored is not None
    assert stored.record.attempts == batch[149].attempts
    assert stored.record.fee_breakdown == batch[149].fee_breakdown


@MARIADB_ALONE
async def test_records_that_can_never_be_booked_are_named_and_the_others_are_booked(books):
    strange = answered_call(3, fee=Decimal("0.123456789"), postings=())
    with pytest.raises(RejectedRecords) as error:
        await books.book([*calls(1, 2), strange])
    assert [record for record, _ in error.value.rejected] == [strange]
    assert "0.123456789" in error.value.rejected[0].reason
    assert error.value.booked.standings["acme"] == Standing(-2 * FEE, 2)


@MARIADB_ALONE
async def test_bytes_of_a_peer_that_are_no_text_are_stored_as_everywhere(books, database):
    batch = [*calls(1), answered_call(2, caller_in="\udcff1000")]
    assert (await books.book(batch)).standings["acme"].seq == 1
    stored = await SqlQueries(database).call(call_id(2))
    assert stored is not None
    assert stored.record.caller_in == "\\udcff1000"


@MARIADB_ALONE
async def test_a_record_that_cannot_be_sent_is_judged_by_the_database_as_everywhere(books):
    huge = answered_call(3, hold_time_ms=2**70, postings=())
    with pytest.raises(RejectedRecords) as error:
        await books.book([*calls(1, 2), huge])
    assert [record for record, _ in error.value.rejected] == [huge]
    assert error.value.booked.standings["acme"] == Standing(-2 * FEE, 2)
    untyped = answered_call(4, hold_time_ms="60000", customer_account="acme")
    assert (await books.book([*calls(5), untyped])).standings["acme"] == Standing(-4 * FEE, 4)


@MARIADB_ALONE
async def test_a_process_that_was_killed_is_started_again_and_nothing_is_booked_twice(books):
    await books.book(calls(1, 2))
    first = books._bookkeeper.process
    first.kill()
    await first.wait()
    with structlog.testing.capture_logs() as logged:
        again = await books.book(calls(2, 3))
    assert again.standings["acme"] == Standing(-3 * FEE, 3)
    assert again.repeated == {call_id(2)}
    assert [line["event"] for line in logged] == ["bookkeeper_ended"]
    assert books.pid not in {None, first.pid}


@MARIADB_ALONE
async def test_a_process_that_was_killed_before_it_read_its_channel_is_started_again(books):
    await books.book(calls(1))
    killed = books._bookkeeper
    os.kill(books.pid, signal.SIGSTOP)
    killed.writer.write(message(b"never read"))
    os.kill(books.pid, signal.SIGKILL)
    with pytest.raises(ConnectionResetError):
        await killed.reader.read()
    assert (await books.book(calls(2))).standings["acme"] == Standing(-2 * FEE, 2)
    assert books._bookkeeper is not killed


@MARIADB_ALONE
async def test_a_process_that_is_killed_within_a_batch_leaves_it_whole_or_not_at_all(books):
    expected = 0
    for count in (0, 3, 30, 300, 1_000):
        indices = range(expected, expected + 100)
        expected += 100
        booking = asyncio.ensure_future(books.book(calls(*indices)))
        await turns(count)
        if books.pid is not None and not booking.done():
            os.kill(books.pid, signal.SIGKILL)
        assert (await booking).standings["acme"] == Standing(-expected * FEE, expected)


@MARIADB_ALONE
async def test_a_batch_that_was_cancelled_does_not_reply_to_the_next_one(books):
    await books.book(calls(1))
    booking = asyncio.ensure_future(books.book(calls(2, 3)))
    await turns(10)
    booking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await booking
    other = answered_call(4, customer_account="beta", vendor_account="carrier-b")
    assert (await books.book([other])).standings == {"beta": Standing(-FEE, 1), "carrier-b": Standing(-COST, 1)}


async def test_errors_of_the_database_keep_their_meaning(tmp_path):
    with closing(sqlite3.connect(tmp_path / "empty.db")):
        pass
    damaged = Database(f"sqlite+aiosqlite:///{tmp_path}/empty.db")
    away = Database("mysql+aiomysql://vosd:secret@127.0.0.1:1/vosd")
    for database, meaning in ((damaged, StoreDamaged), (away, StoreUnavailable)):
        books = SeparateBooks(database)
        with pytest.raises(StoreUnavailable) as error:
            await books.book(calls(1))
        assert type(error.value) is meaning
        assert "secret" not in str(error.value)
        await books.close()
        await database.close()


@MARIADB_ALONE
async def test_the_process_ends_when_its_books_are_closed_and_ignores_signals_for_the_group(executed):
    books = executed
    await books.book(calls(1))
    process = books._bookkeeper.process
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(process.pid, number)
    assert (await books.book(calls(2))).standings["acme"].seq == 2
    assert books.pid == process.pid
    await books.close()
    assert (books.pid, process.returncode) == (None, 0)


async def test_a_process_that_cannot_be_started_is_a_database_that_is_away(database, monkeypatch):
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    books = SeparateBooks(database)
    with pytest.raises(StoreUnavailable, match="/nowhere/python"):
        await books.start()
    with pytest.raises(StoreUnavailable, match="/nowhere/python"):
        await books.book(calls(1))


async def test_a_process_for_which_no_file_may_be_opened_names_the_limit(database, monkeypatch):
    async def refuse(_name: str) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr("vosd.storage.separate_books.started", refuse)
    with pytest.raises(StoreUnavailable, match=r"Too many open files.*: raise LimitNOFILE"):
        await SeparateBooks(database).start()


def test_a_message_is_its_length_and_its_content():
    assert message(b"abc") == b"\0\0\0\3abc"
