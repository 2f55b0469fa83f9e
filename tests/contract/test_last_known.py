"""The copy of balances and registrations for a start without the database."""

import sqlite3
from decimal import Decimal

import pytest
import structlog
from doubles.memory.registrations import MemoryRegistrations

from vosd.cdr.ports import LastStanding, StoreUnavailable
from vosd.sip.ports import BindingKey, StoredBinding
from vosd.storage.database import ContentRefused
from vosd.storage.last_known import LastKnown

ACME = LastStanding("acme", Decimal("-12.34567891"), 7, 1_790_000_000_000, "EUR")
CARRIER = LastStanding("carrier", Decimal(0), 0, None, None)


def binding(slot: int, contact: str = "sip:1001@192.0.2.1") -> StoredBinding:
    return StoredBinding(
        "1001", slot, contact, 1_000, "call-1", 5, 1_790_000_000_000, 1_790_000_360_000, 120, "udp:192.0.2.9:5060",
        "192.0.2.1", 5060, ("sip:edge",), "", 0, "phone",
    )  # fmt: skip


class Away(MemoryRegistrations):
    """A database that does not answer, unless it ``is_back``."""

    is_back = False

    async def load(self):
        if not self.is_back:
            raise StoreUnavailable("away")
        return await super().load()

    async def save(self, bindings, gone):
        if not self.is_back:
            raise StoreUnavailable("away")
        await super().save(bindings, gone)


class Refusing(MemoryRegistrations):
    """A database that takes no binding."""

    async def save(self, bindings, gone):
        raise ContentRefused("it does not fit")


def beside(copy, database, *, is_newest=True):
    return copy.beside(database, lambda: is_newest)


async def written(store, bindings, gone=()):
    """Write as the writer does: to the copy, then to the database."""
    await store.note(bindings, gone)
    await store.save(bindings, gone)


@pytest.fixture
async def copy(tmp_path):
    copy = LastKnown(tmp_path / "last-known.db", "sw1")
    await copy.open()
    yield copy
    await copy.close()


async def test_standings_are_read_as_they_were_noted_last(copy):
    assert list(await copy.standings()) == []
    await copy.note([ACME, CARRIER])
    paid = ACME._replace(balance=Decimal(5), seq=8)
    await copy.note([paid])
    assert sorted(await copy.standings()) == [paid, CARRIER]


async def test_the_time_is_the_one_that_was_noted_last(copy):
    assert await copy.known_at() is None
    for at in (1_790_000_000_000, 1_790_000_060_000):
        await copy.note_time(at)
    assert await copy.known_at() == 1_790_000_060_000


async def test_the_copy_outlives_the_process_and_is_made_anew_where_its_tables_are_others(tmp_path, copy):
    await copy.note([ACME])
    await copy.close()
    await copy.open()
    assert list(await copy.standings()) == [ACME]
    await copy.close()
    connection = sqlite3.connect(tmp_path / "last-known.db")
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    await copy.open()
    assert list(await copy.standings()) == []


async def test_a_file_that_is_no_database_is_replaced(tmp_path):
    (tmp_path / "last-known.db").write_bytes(b"damaged" * 1_000)
    copy = LastKnown(tmp_path / "last-known.db", "sw1")
    await copy.open()
    await copy.note([ACME])
    assert list(await copy.standings()) == [ACME]
    await copy.close()


async def test_a_copy_that_cannot_be_written_is_reported_once_and_keeps_nothing_from_the_database(tmp_path):
    copy = LastKnown(tmp_path / "missing" / "last-known.db", "sw1")
    store = MemoryRegistrations()
    with structlog.testing.capture_logs() as logged:
        await copy.open()
        for slot in range(3):
            await written(beside(copy, store), [binding(slot)])
            await copy.note([ACME])
    assert [line["event"] for line in logged] == ["last_known_unusable", "last_known_not_written"]
    assert len(await store.load()) == 3
    await copy.close()


async def test_registrations_are_read_from_the_copy_while_the_database_is_away(copy):
    store = beside(copy, MemoryRegistrations())
    await written(store, [binding(0), binding(1)])
    await written(store, [binding(1, "sip:1001@192.0.2.77")], [BindingKey("1001", 0)])
    late = beside(copy, Away())
    with pytest.raises(StoreUnavailable):
        await late.load()
    with copy.instead():
        assert list(await late.load()) == [binding(1, "sip:1001@192.0.2.77")]


async def test_a_start_with_the_database_corrects_the_copy(copy):
    database = MemoryRegistrations()
    await database.save([binding(0)], [])
    await copy.note_bindings([binding(0, "sip:old@192.0.2.5"), binding(5)], [], are_confirmed=True)
    assert list(await beside(copy, database).load()) == [binding(0)]
    assert list(await copy.registrations.load()) == [binding(0)]


@pytest.mark.parametrize("is_newest", [True, False])
async def test_the_next_start_writes_what_the_database_did_not_take(copy, is_newest):
    """A new binding, one that has moved, and one that was removed; not after another switch has had the database."""
    database = Away()
    database.is_back = True
    old = [binding(0), binding(1)]
    await written(beside(copy, database), old)
    database.is_back = False
    now = [binding(1, "sip:1001@192.0.2.77"), binding(2)]
    with pytest.raises(StoreUnavailable):
        await written(beside(copy, database), now, [BindingKey("1001", 0)])
    await copy.close()

    database.is_back = True
    store = beside(copy, database, is_newest=is_newest)
    assert list(await store.load()) == (now if is_newest else old)
    assert list(await database.load()) == list(await copy.registrations.load()) == (now if is_newest else old)
    assert list(await copy.unconfirmed()) == []


async def test_what_the_database_has_taken_is_not_written_again(copy):
    database = MemoryRegistrations()
    await written(beside(copy, database), [binding(0), binding(1)], [BindingKey("1001", 2)])
    await written(beside(copy, database), [binding(1)])
    await copy.close()
    await database.save([], [BindingKey("1001", 1)])
    assert list(await copy.unconfirmed()) == []
    assert list(await beside(copy, database).load()) == [binding(0)]


async def test_what_changes_again_is_marked_again(copy):
    store = beside(copy, MemoryRegistrations())
    await written(store, [binding(0)])
    await store.note([binding(0, "sip:1001@192.0.2.77")], [])
    assert list(await copy.unconfirmed()) == [BindingKey("1001", 0)]


async def test_a_binding_that_the_database_refuses_holds_up_no_start(copy):
    with pytest.raises(ContentRefused):
        await written(beside(copy, Refusing()), [binding(0)])
    await copy.note_bindings([binding(1)], [])
    with structlog.testing.capture_logs() as logged:
        assert list(await beside(copy, Refusing()).load()) == []
    assert [line["event"] for line in logged] == ["registration_not_written"]
    assert list(await copy.unconfirmed()) == []
