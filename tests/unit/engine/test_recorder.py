"""The recorder: batches, an unreachable database, and the updates of the credits."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from decimal import Decimal
from pathlib import Path

import pytest
import structlog
from doubles.data.records import answered_call, call_id, rejected
from doubles.memory.store import MemoryStore
from doubles.recording import Database, call, end
from doubles.sockets.relay import until
from doubles.turns import turns

from vosd.billing.holds import AccountCredit
from vosd.cdr.ports import BookedBatch, RejectedRecords, RowsLocked, StoreDamaged, StoreUnavailable
from vosd.cdr.record import CallRecord, Posting
from vosd.engine.booking import recorder as recorder_module
from vosd.engine.booking.recorder import Recorder
from vosd.engine.journal import Journal
from vosd.engine.settings import CdrSettings
from vosd.obs.alarms import Alarms
from vosd.storage.ports import EntryKind, Payment

BATCH = CdrSettings(batch_rows=3, batch_ms=1)


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def credits() -> dict[str, AccountCredit]:
    return {name: AccountCredit(name, Decimal(10)) for name in ("acme", "carrier")}


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    journal = Journal(tmp_path / "journal")
    journal.open()
    journal.settle()
    return journal


@pytest.fixture
def recorder(database, journal, credits, monkeypatch) -> Recorder:
    monkeypatch.setattr(recorder_module, "_RETRY_FIRST_S", 0.001)
    monkeypatch.setattr(recorder_module, "_RETRY_MOST_S", 0.004)
    return Recorder(database, journal, credits, BATCH)


@pytest.fixture
async def booking(recorder) -> AsyncIterator[Callable[[], asyncio.Future[None]]]:
    """Start the recorder's task; the returned function waits until everything is booked."""
    task = asyncio.create_task(recorder.run())
    yield lambda: asyncio.wait_for(recorder.drained(), 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def rejected_call(index: int) -> CallRecord:
    """A call that no database can take: an account whose name ends in a space."""
    return call(index, postings=(Posting("acme", Decimal(-1), "x "),))


async def test_calls_are_booked_in_batches_in_the_order_they_ended(recorder, journal, credits, database, booking):
    for index in range(7):
        end(recorder, journal, credits, call(index))
    assert len(recorder) == 7
    await booking()
    assert database.offered == [[call_id(index) for index in batch] for batch in (range(3), range(3, 6), range(6, 7))]
    assert (len(recorder), journal.unbooked) == (0, 0)


async def test_a_payment_of_another_process_is_told_though_calls_of_its_account_are_booked_all_the_time(
    recorder, journal, credits, booking, monkeypatch
):
    store, told = MemoryStore(), []
    monkeypatch.setattr(recorder, "_books", store)
    recorder.booked_elsewhere = lambda account, standing: told.append((account, standing.balance))
    for name, credit in credits.items():
        await store.open_accounts([name])
        credit.committed((await store.standings()).standings[name].balance, 0)
    for index in range(7):
        end(recorder, journal, credits, call(index))
    await booking()
    assert told == []
    await store.add(Payment(account="acme", kind=EntryKind.PAYMENT, reference="1", made_at=0, amount=Decimal(5)))
    for index in range(7, 14):
        end(recorder, journal, credits, call(index))
    await booking()
    assert [account for account, _ in told] == ["acme"]


async def test_a_batch_that_does_not_fill_is_booked_after_its_time(recorder, journal, credits, database, booking):
    end(recorder, journal, credits, call(0))
    await booking()
    assert database.offered == [[call_id(0)]]
    end(recorder, journal, credits, call(1))
    await booking()
    assert database.offered[1:] == [[call_id(1)]]


async def test_a_full_batch_does_not_wait(database, journal, credits):
    recorder = Recorder(database, journal, credits, CdrSettings(batch_rows=3, batch_ms=3_600_000))
    task = asyncio.create_task(recorder.run())
    for index in range(2):
        end(recorder, journal, credits, call(index))
    await turns(10)
    assert database.offered == []
    end(recorder, journal, credits, call(2))
    await asyncio.wait_for(recorder.drained(), 30)
    assert len(database.offered) == 1
    task.cancel()


async def test_who_waits_for_a_booking_is_told_at_once_when_it_is_done(database, journal, credits):
    """Without a full batch, and not before the calls that ended earlier are booked, too."""
    recorder = Recorder(database, journal, credits, CdrSettings(batch_rows=2, batch_ms=3_600_000))
    task = asyncio.create_task(recorder.run())
    told = asyncio.Event()
    for index in range(3):
        end(recorder, journal, credits, call(index))
    recorder.when_booked(lambda: (told.set(), database.offered.append(["told"])))
    await asyncio.wait_for(told.wait(), 30)
    assert database.offered == [[call_id(0), call_id(1)], [call_id(2)], ["told"]]
    recorder.when_booked(lambda: database.offered.append(["nothing waits"]))
    assert database.offered[-1] == ["nothing waits"]
    task.cancel()


async def test_no_one_waits_for_a_database_that_is_away(recorder, journal, credits, database, booking):
    database.away = 1_000_000
    end(recorder, journal, credits, call(0))
    told = asyncio.Event()
    recorder.when_booked(told.set)
    await asyncio.wait_for(told.wait(), 30)
    assert len(recorder) == 1
    recorder.when_booked(told.clear)
    assert not told.is_set(), "that is known now"
    database.away = 0
    await booking()


async def test_the_credit_takes_the_balance_and_forgets_what_it_contains(recorder, journal, credits, database, booking):
    """Balance, unbooked and available agree before and after."""
    for index in range(4):
        end(recorder, journal, credits, call(index))
    acme, carrier = credits["acme"], credits["carrier"]
    assert (acme.balance, acme.unbooked, acme.available) == (0, Decimal("-0.40"), Decimal("9.60"))
    await booking()
    assert (acme.balance, acme.unbooked, acme.available) == (Decimal("-0.40"), 0, Decimal("9.60"))
    assert (carrier.balance, carrier.unbooked) == (Decimal("-0.16"), 0)
    assert acme.seq == 4
    assert acme.balance == sum(entry.amount for entry in database.store.entries if entry.account == "acme")


async def test_calls_of_one_batch_are_not_counted_twice_for_the_report_of_a_low_balance(
    recorder, journal, credits, database, booking
):
    """Both batches leave 5.70 of 10.00: less than 5.50 only where a batch counts twice."""
    acme, reported = credits["acme"], []
    acme.lows = reported
    acme.set_terms(Decimal(10), Decimal("5.50"))
    for index in range(43):
        end(recorder, journal, credits, call(index))
    await booking()
    assert (acme.available, acme.is_low, reported) == (Decimal("5.70"), False, [])


async def test_money_is_never_available_that_is_not_there(journal, database):
    """``committed`` comes before ``booked``: in between an amount counts twice, never not at all."""
    seen: list[Decimal] = []

    class Watched(AccountCredit):
        def committed(self, balance: Decimal, seq: int) -> None:
            super().committed(balance, seq)
            seen.append(self.available)

        def booked(self, amount: Decimal) -> None:
            super().booked(amount)
            seen.append(self.available)

    credits = {"acme": Watched("acme", Decimal(10))}
    recorder = Recorder(database, journal, credits, BATCH)
    task = asyncio.create_task(recorder.run())
    end(recorder, journal, credits, call(0, fee="1.00"))
    await asyncio.wait_for(recorder.drained(), 30)
    task.cancel()
    assert seen == [Decimal(8), Decimal(9)]


async def test_accounts_without_credit_are_booked_as_well(recorder, journal, credits, database, booking):
    end(recorder, journal, credits, answered_call(0, customer_account="gone", vendor_account="carrier"))
    await booking()
    assert {entry.account for entry in database.store.entries} == {"gone", "carrier"}


async def test_a_database_that_is_away_is_offered_smaller_batches_until_it_answers(
    recorder, journal, credits, database, booking
):
    database.away = 4
    with structlog.testing.capture_logs() as logged:
        for index in range(2):
            end(recorder, journal, credits, call(index))
        assert journal.unbooked == 2
        await booking()
    first, second = call_id(0), call_id(1)
    assert database.offered == [[first, second], [first], [first], [first], [first], [second]]
    assert [(line["event"], line["part"]) for line in logged] == [
        ("database_away", "booking"),
        ("database_back", "booking"),
    ]
    assert journal.unbooked == 0
    assert credits["acme"].balance == Decimal("-0.20")


class OneCallBreaksIt(Database):
    """Fails over one call: the server closes the connection over its size, or finds its tables damaged."""

    def __init__(self, fault: StoreUnavailable) -> None:
        super().__init__()
        self.fault = fault
        self.broken_by = call_id(0)
        self.booked = 0
        self.others_booked = asyncio.Event()

    async def book(self, records: Sequence[CallRecord]) -> BookedBatch:
        self.offered.append([record.call_id for record in records])
        if self.broken_by in self.offered[-1]:
            raise self.fault
        done = await self.store.book(records)
        self.booked += len(records)
        if self.booked == 9:
            self.others_booked.set()
        return done


@pytest.mark.parametrize("fault", [StoreUnavailable("gone away"), StoreDamaged("mend it")])
async def test_a_call_that_breaks_its_batch_keeps_no_other_call_waiting(journal, credits, monkeypatch, fault):
    monkeypatch.setattr(recorder_module, "_RETRY_FIRST_S", 0.001)
    monkeypatch.setattr(recorder_module, "_RETRY_MOST_S", 0.004)
    database = OneCallBreaksIt(fault)
    recorder = Recorder(database, journal, credits, BATCH)
    task = asyncio.create_task(recorder.run())
    with structlog.testing.capture_logs() as logged:
        for index in range(10):
            end(recorder, journal, credits, call(index))
        await asyncio.wait_for(database.others_booked.wait(), 30)
        await asyncio.sleep(0)  # the recorder takes the answer in
        waiting = recorder.waiting()
        assert [index for index in range(10) if call_id(index) in waiting] == [0]
        assert len(journal.quarantine) == 0

        database.broken_by = ""
        await asyncio.wait_for(recorder.drained(), 30)
    task.cancel()
    assert journal.unbooked == 0
    about = [line for line in logged if line["event"] == "database_damaged"]
    assert [line["error"] for line in about[:1]] == (["mend it"] if isinstance(fault, StoreDamaged) else [])


class LocksAnAccount(Database):
    """Another program holds the row of an account, and the tables may be damaged as well."""

    def __init__(self) -> None:
        super().__init__()
        self.locked = {"acme"}
        self.is_damaged = False

    async def book(self, records: Sequence[CallRecord]) -> BookedBatch:
        if any(posting.account in self.locked for record in records for posting in record.postings):
            raise RowsLocked
        if self.is_damaged:
            raise StoreDamaged
        return await super().book(records)

    async def locked_accounts(self, accounts: Collection[str]) -> frozenset[str]:
        return frozenset(self.locked.intersection(accounts))


async def test_a_database_that_was_repaired_is_not_back_while_rows_of_an_account_are_locked(
    journal, credits, monkeypatch
):
    for wait in ("_RETRY_FIRST_S", "_RETRY_MOST_S", "_LOCKED_AGAIN_S"):
        monkeypatch.setattr(recorder_module, wait, 0.001)
    database, alarms = LocksAnAccount(), Alarms()
    recorder = Recorder(database, journal, credits, BATCH)
    task = asyncio.create_task(recorder.run())
    with structlog.testing.capture_logs() as logged:

        def events() -> list[str]:
            return [line["event"] for line in logged]

        end(recorder, journal, credits, call(0))
        await until(lambda: events() == ["database_away"])
        database.is_damaged = True
        end(recorder, journal, credits, answered_call(1, customer_account="beta", vendor_account="gamma"))
        await until(lambda: events() == ["database_away", "database_damaged"])
        database.is_damaged = False
        await until(lambda: journal.unbooked == 1)
        assert database.offered == [[call_id(1)]]
        assert events() == ["database_away", "database_damaged"], "its end would be that of the lock's alarm, too"
        database.locked.clear()
        await asyncio.wait_for(recorder.drained(), 30)
    task.cancel()
    assert journal.unbooked == 0
    for line in logged:
        alarms.note(line["event"], line, 0)
    assert alarms.active() == []


async def test_the_waits_for_a_database_grow_up_to_a_limit(database, journal, credits, monkeypatch):
    waits: list[float] = []
    monkeypatch.setattr(recorder_module, "_RETRY_FIRST_S", 0.2)
    monkeypatch.setattr(recorder_module, "_RETRY_MOST_S", 5.0)
    real_sleep = asyncio.sleep

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await real_sleep(0)

    monkeypatch.setattr(recorder_module.asyncio, "sleep", sleep)
    recorder = Recorder(database, journal, credits, BATCH)
    database.away = 8
    task = asyncio.create_task(recorder.run())
    end(recorder, journal, credits, call(0))
    await asyncio.wait_for(recorder.drained(), 30)
    task.cancel()
    assert waits == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0])


async def test_what_was_booked_though_the_answer_was_lost_is_not_booked_twice(
    recorder, journal, credits, database, booking
):
    database.away, database.loses_answer = 2, True
    end(recorder, journal, credits, call(0))
    await booking()
    assert len(database.offered) == 3
    assert sorted((entry.account, entry.amount) for entry in database.store.entries) == [
        ("acme", Decimal("-0.10")),
        ("carrier", Decimal("-0.04")),
    ]
    assert (credits["acme"].balance, credits["acme"].unbooked) == (Decimal("-0.10"), 0)


async def test_a_call_that_the_database_refuses_is_quarantined_and_still_owed(
    recorder, journal, credits, database, booking
):
    with structlog.testing.capture_logs() as logged:
        for record in (call(0), rejected_call(1), call(2)):
            end(recorder, journal, credits, record)
        await booking()
    assert len(database.offered) == 1, "it is not offered again in this life"
    assert [(line["event"], line["call_id"]) for line in logged] == [("record_quarantined", call_id(1))]
    assert "cannot name anything" in logged[0]["why"]
    assert [each.record for each in journal.quarantine.read().records] == [rejected_call(1)]
    assert await database.store.call(call_id(0)) is not None
    assert await database.store.call(call_id(2)) is not None
    assert journal.unbooked == 1
    assert (credits["acme"].balance, credits["acme"].unbooked) == (Decimal("-0.20"), Decimal(-1))


async def test_a_refused_call_whose_quarantine_takes_no_file_waits_until_it_does(
    recorder, journal, credits, database, booking
):
    put, has_room, tried = journal.quarantine.put, [], []
    loop, again = asyncio.get_running_loop(), asyncio.Event()

    def put_where_room_is(refused):
        tried.append(refused)
        if len(tried) == 2:
            loop.call_soon_threadsafe(again.set)
        if not has_room:
            raise OSError(28, "No space left on device")
        put(refused)

    journal.quarantine.put = put_where_room_is
    end(recorder, journal, credits, rejected_call(1))
    with structlog.testing.capture_logs() as logged:
        async with asyncio.timeout(30):
            await again.wait()
    assert {line["event"] for line in logged} == {"quarantine_write_failed"}
    assert len(recorder) == 1
    end(recorder, journal, credits, call(0))
    told = asyncio.Event()
    recorder.when_booked(told.set)
    await asyncio.wait_for(told.wait(), 30)
    assert await recorder.owed_of(0, 2**50) == {"acme": Decimal(1)}
    view = recorder.waiting()
    assert call_id(1) in view, "a comparison does not take it for a call that is lost"
    view.close()
    has_room.append(True)
    await booking()
    assert [each.record for each in journal.quarantine.read().records] == [rejected_call(1)]
    assert (credits["acme"].balance, credits["acme"].unbooked) == (Decimal("-0.10"), Decimal(-1))
    assert journal.quarantine.owed == {call_id(1)}
    assert (len(recorder), journal.unbooked) == (0, 1)


async def test_a_batch_of_refused_calls_does_not_stop_the_next(recorder, journal, credits, database, booking):
    class Refusing(MemoryStore):
        async def book(self, records: Sequence[CallRecord]) -> BookedBatch:
            raise RejectedRecords(rejected("all of them", *records))

    good, database.store = database.store, Refusing()
    end(recorder, journal, credits, call(0))
    await booking()
    database.store = good
    end(recorder, journal, credits, call(1))
    await booking()
    assert await good.call(call_id(0)) is None
    assert await good.call(call_id(1)) is not None
    assert journal.unbooked == 1


async def test_nothing_to_book_is_drained_at_once(recorder):
    await asyncio.wait_for(recorder.drained(), 0.05)
