"""The copy of balances and registrations for a start without the database."""

import sqlite3
from decimal import Decimal

import pytest
import structlog
from doubles.memory.registrations import MemoryRegistrations

from vosd.cdr.ports import LastStanding, StoreUnavailable
from vosd.sip.ports import BindingKey, StoredBinding
from vosd.storage.last_known import LastKnown

ACME = LastStanding("acme", Decimal("-12.34567891"), 7, 1_790_000_000_000, "EUR")
CARRIER = LastStanding("carrier", Decimal(0), 0, None, None)


def binding(slot: int, contact: str = "sip:1001@192.0.2.1") -> StoredBinding:
    return StoredBinding(
        "1001", slot, contact, 1_000, "call-1", 5, 1_790_000_000_000, 1_790_000_360_000, 120, "udp:192.0.2.9:5060",
        "192.0.2.1", 5060, ("sip:edge",), "", 0, "phone",
    )  # fmt: skip


class Away(MemoryRegistrations):
    """A database that does not answer."""

    async def load(self):
        raise StoreUnavailable("away")

    async def save(self, bindings, gone):
        raise StoreUnavailable("away")


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
            await copy.beside(store).save([binding(slot)], [])
            await copy.note([ACME])
    assert [line["event"] for line in logged] == ["last_known_unusable", "last_known_not_written"]
    assert len(await store.load()) == 3
    await copy.close()


async def test_registrations_are_read_from_the_copy_while_the_database_is_away(copy):
    store = copy.beside(MemoryRegistrations())
    await store.save([binding(0), binding(1)], [])
    await store.save([binding(1, "sip:1001@192.0.2.77")], [BindingKey("1001", 0)])
    late = copy.beside(Away())
    with pytest.raises(StoreUnavailable):
        await late.load()
    with copy.instead():
        assert list(await late.load()) == [binding(1, "sip:1001@192.0.2.77")]


async def test_a_binding_is_in_the_copy_even_if_the_database_did_not_take_it(copy):
    with pytest.raises(StoreUnavailable):
        await copy.beside(Away()).save([binding(0)], [])
    assert list(await copy.registrations.load()) == [binding(0)]


async def test_a_start_with_the_database_corrects_the_copy(copy):
    database = MemoryRegistrations()
    await database.save([binding(0)], [])
    await copy.note_bindings([binding(0, "sip:old@192.0.2.5"), binding(5)], [])
    assert list(await copy.beside(database).load()) == [binding(0)]
    assert list(await copy.registrations.load()) == [binding(0)]
