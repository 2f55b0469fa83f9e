"""Booking refused records again, and those of a journal file that was set aside."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest
from doubles.data.records import answered_call, call_id, rejected
from doubles.journals import files_of, open_call, opened
from doubles.memory.store import MemoryStore

from vosd.billing.holds import AccountCredit
from vosd.cdr.ports import BookedBatch, RejectedRecords, Standing, StoreUnavailable
from vosd.cdr.record import CallRecord, Posting
from vosd.engine.booking import spool as spool_module
from vosd.engine.booking.spool import Spool
from vosd.engine.journal.quarantine import Quarantine
from vosd.engine.journal.salvage import examine


class Database:
    """A ``MemoryStore`` that refuses certain calls until that is mended."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.refuses: set[str] = set()
        self.is_away = False

    async def book(self, records: Sequence[CallRecord]) -> BookedBatch:
        if self.is_away:
            raise StoreUnavailable("away")
        refused = [record for record in records if record.call_id in self.refuses]
        done = await self.store.book([record for record in records if record.call_id not in self.refuses])
        if refused:
            raise RejectedRecords(rejected("unfit", *refused), done)
        return done


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def credits() -> dict[str, AccountCredit]:
    return {"acme": AccountCredit("acme", Decimal(10))}


@pytest.fixture
def quarantine(tmp_path: Path) -> Quarantine:
    return Quarantine(tmp_path / "quarantine")


@pytest.fixture
def spool(database, quarantine, credits) -> Spool:
    return Spool(database, quarantine, credits)


async def test_an_order_waits_only_so_long_for_other_bookings(database, quarantine, monkeypatch):
    """A switch that has started without its database holds all bookings until that answers."""
    monkeypatch.setattr(spool_module, "TURN_S", 0.01)
    turn = asyncio.Lock()
    spool = Spool(database, quarantine, {}, turn)
    quarantine.put(rejected("unfit", call(1)))
    async with turn:
        for order in (spool.retry(), spool.salvage(Path("unread"))):
            with pytest.raises(StoreUnavailable, match=r"nothing was booked: .* try again when vosd status"):
                await asyncio.wait_for(order, 30)
    assert (await spool.retry()).booked == [call_id(1)]
    assert not turn.locked()


def call(index: int) -> CallRecord:
    return answered_call(index, postings=(Posting("acme", Decimal(-1), f"{call_id(index)}/customer"),))


async def test_what_is_booked_leaves_the_quarantine_and_is_owed_no_more(spool, quarantine, credits, database):
    quarantine.put(rejected("unfit", call(1), call(2)))
    quarantine.owed.update((call_id(1), call_id(2)))
    credits["acme"].post(Decimal(-2))
    database.refuses = {call_id(2)}
    outcome = await spool.retry()
    assert (outcome.booked, outcome.refused) == ([call_id(1)], {call_id(2): "unfit"})
    assert (len(quarantine), quarantine.get(call_id(1))) == (1, None)
    assert (credits["acme"].balance, credits["acme"].unbooked) == (Decimal(-1), Decimal(-1))
    database.refuses = set()
    assert (await spool.retry([call_id(2)])).booked == [call_id(2)]
    assert (credits["acme"].balance, credits["acme"].unbooked, len(quarantine)) == (Decimal(-2), 0, 0)


async def test_only_the_named_are_tried(spool, quarantine):
    quarantine.put(rejected("unfit", call(1), call(2)))
    assert (await spool.retry([call_id(2)])).booked == [call_id(2)]
    assert quarantine.get(call_id(1)) is not None


async def test_while_the_database_is_away_everything_stays(spool, quarantine, database):
    quarantine.put(rejected("unfit", call(1)))
    database.is_away = True
    with pytest.raises(StoreUnavailable):
        await spool.retry()
    assert Quarantine(quarantine._directory).count() == 1


async def test_the_ended_calls_of_a_damaged_file_are_booked_and_refused_ones_kept(
    spool, quarantine, database, tmp_path
):
    journal = opened(tmp_path / "journal")
    journal.answered(open_call(100))
    for index in range(5):
        journal.ended(call(index))
    journal.flush()
    [name] = files_of(tmp_path / "journal")
    path = tmp_path / "journal" / name
    data = bytearray(path.read_bytes())
    data[data.index(call_id(2).encode())] ^= 1
    path.write_bytes(data)
    database.refuses = {call_id(4)}
    outcome = await spool.salvage(path)
    assert outcome.booked == [call_id(0), call_id(1), call_id(3)]
    assert [each.record.call_id for each in quarantine.read().records] == [call_id(4)]
    found = examine(path)
    assert {kind: count for kind, count in found.records.items() if count} == {"began": 1, "answered": 1, "ended": 4}
    assert [(part.fault, part.call_id) for part in found.damaged] == [("damaged", call_id(2))]


async def test_a_call_in_another_currency_stays_until_its_account_has_that_currency(spool, quarantine, database):
    in_euros = answered_call(1, postings=(Posting("acme", Decimal(-1), f"{call_id(1)}/customer", "EUR"),))
    quarantine.put(rejected("why", in_euros))
    await database.store.open_accounts(["acme"])
    await database.store.settle_currencies({"acme": "USD"})
    outcome = await spool.retry()
    reason = "account acme has its money in USD, this call's posting is in EUR"
    assert (outcome.booked, outcome.refused) == ([], {call_id(1): reason})
    assert len(quarantine) == 1
    await database.store.settle_currencies({"acme": "EUR"})
    assert (await spool.retry()).booked == [call_id(1)]
    assert (await spool.retry()).booked == []
    assert len(quarantine) == 0
    assert await database.store.standing("acme") == Standing(Decimal(-1), 1)


async def test_a_file_that_cannot_be_read_is_named_where_records_are_booked_again(spool, quarantine, tmp_path):
    quarantine.put(rejected("unfit", call(1), call(2), call(3)))
    for number in (2, 3):
        (tmp_path / "quarantine" / f"{call_id(number)}.json").write_text("{")
    named = await spool.retry([call_id(2)])
    assert (named.booked, [*named.refused]) == ([], [call_id(2)])
    assert named.refused[call_id(2)].startswith(f"{tmp_path}/quarantine/{call_id(2)}.json cannot be read: ")
    every = await spool.retry()
    assert (every.booked, [*every.refused]) == ([call_id(1)], [call_id(2), call_id(3)])
