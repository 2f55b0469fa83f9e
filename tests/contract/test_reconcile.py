"""The kept journal against the database: every loss shows, and a call on its way to the database is none."""

from decimal import Decimal

import pytest
from doubles.closed import closed
from doubles.data.records import answered_call, call_id, refused_call, rejected
from sqlalchemy import delete, update

from vosd.admin import reconcile as module
from vosd.admin.reconcile import JournalUnreadableError, reconcile
from vosd.engine.journal import Journal
from vosd.engine.journal.files import IN_USE, listed
from vosd.storage import schema
from vosd.storage.books import SqlBooks
from vosd.storage.faults import BookDifference, BookFault
from vosd.storage.reconcile import SqlBookedCalls
from vosd.storage.verify import verify_ledger

entry, cdr = schema.ledger_entry, schema.cdr
CALLS = [
    answered_call(1, customer_account="acme", vendor_account="carrier"),
    answered_call(2, customer_account="acme", vendor_account="carrier", recorded=False),
    answered_call(3, customer_account="acme", vendor_account="carrier", fee=Decimal(0), tax=Decimal(0)),
    refused_call(4),
]


class Switch:
    """A journal and the database that its calls are booked in."""

    def __init__(self, directory, database):
        self.database = database
        self.booked = SqlBookedCalls(database)
        self.directory = directory
        self.journal = Journal(directory / "journal")
        self.journal.open()
        self.journal.settle()

    def end(self, *records):
        for record in records:
            self.journal.ended(record)
        self.journal.flush()

    async def book(self, *records):
        await SqlBooks(self.database).book(records)
        self.journal.booked(record.call_id for record in records)

    async def differences(self):
        found = await reconcile(self.booked, self.directory)
        return found.differences

    async def damage(self, *statements):
        async with self.database.writing() as connection:
            for statement in statements:
                await connection.execute(statement)


@pytest.fixture
async def switch(tmp_path, database):
    """A switch whose calls have ended and are booked."""
    switch = Switch(tmp_path, database)
    switch.end(*CALLS)
    await switch.book(*CALLS)
    yield switch
    switch.journal.close()


async def test_what_is_booked_as_the_journal_says_is_no_difference(switch):
    assert await reconcile(switch.booked, switch.directory) == (4, 0, ())


async def test_a_call_on_its_way_to_the_database_is_no_difference(switch):
    switch.end(answered_call(5))
    assert await reconcile(switch.booked, switch.directory) == (5, 1, ())
    await SqlBooks(switch.database).book([answered_call(5)])
    assert await reconcile(switch.booked, switch.directory) == (5, 1, ())


async def test_a_call_that_is_booked_while_the_journal_is_read_is_no_difference(switch, monkeypatch):
    switch.end(answered_call(5))
    compare = switch.booked.compare

    async def booked_after_the_first_look(records):
        found = await compare(records)
        if found:
            await switch.book(answered_call(5))
        return found

    monkeypatch.setattr(switch.booked, "compare", booked_after_the_first_look)
    assert await switch.differences() == ()


async def test_a_booked_call_without_its_record_is_found(switch):
    await switch.damage(delete(cdr).where(cdr.c.call_id == call_id(1)))
    (found,) = await switch.differences()
    charge = sum(each.amount for each in CALLS[0].postings if each.account == "acme")
    assert found == BookDifference(BookFault.NO_CDR, "acme", charge, Decimal(0), call_id=call_id(1))
    assert str(found).startswith(f"account acme call {call_id(1)}: the journal has the call, the database has no CDR")


@pytest.mark.parametrize("number", [1, 2])
async def test_a_posting_that_is_missing_or_has_another_amount_is_found(switch, number):
    own, vendors = CALLS[number - 1].postings
    await switch.damage(
        delete(entry).where(entry.c.reference == own.reference),
        update(entry).where(entry.c.reference == vendors.reference).values(amount=Decimal(-7)),
    )
    assert set(await switch.differences()) == {
        BookDifference(BookFault.POSTING, "acme", own.amount, Decimal(0), call_id=call_id(number)),
        BookDifference(BookFault.POSTING, "carrier", vendors.amount, Decimal(-7), call_id=call_id(number)),
    }


async def test_a_call_in_quarantine_is_a_difference_until_it_is_booked(switch):
    refused = answered_call(5, customer_account="acme")
    switch.end(refused)
    await switch.journal.refused(rejected("no room", refused))
    (found,) = await switch.differences()
    assert (found.fault, found.account, found.call_id) == (BookFault.QUARANTINED, "acme", call_id(5))
    await SqlBooks(switch.database).book([refused])
    assert await switch.differences() == ()


async def test_a_damaged_record_of_a_call_that_has_no_cdr_is_found(switch):
    """Of a call that is booked all the same nothing is missing."""
    await switch.damage(delete(cdr).where(cdr.c.call_id == call_id(1)))
    (file,) = listed(switch.directory / "journal", IN_USE)
    data = bytearray(file.read_bytes())
    for number in (1, 3):
        data[data.index(call_id(number).encode()) + 40] ^= 1
    file.write_bytes(data)
    (found,) = await switch.differences()
    assert found == BookDifference(BookFault.UNREADABLE, "", Decimal(0), Decimal(0), call_id=call_id(1))
    assert str(found) == f"call {call_id(1)}: {BookFault.UNREADABLE.value}"


async def test_a_file_of_the_quarantine_that_cannot_be_read_is_a_difference_until_its_call_is_booked(switch):
    """Nothing else would say that a call is missing whose journal file is gone."""
    (switch.directory / "quarantine").mkdir()
    refused = answered_call(5, customer_account="acme")
    for name in (call_id(1), call_id(5), "note of an operator"):
        (switch.directory / "quarantine" / f"{name}.json").write_text("{")
    first, second = await switch.differences()
    fault = BookFault.QUARANTINE_UNREADABLE
    assert first == BookDifference(fault, "", Decimal(0), Decimal(0), call_id=call_id(5))
    assert (second.fault, second.call_id) == (fault, "note of an operator")
    await SqlBooks(switch.database).book([refused])
    assert await switch.differences() == (second,)


async def test_a_counter_behind_its_numbers_is_found(switch):
    await switch.damage(update(schema.counter).values(value=1))
    (found,) = (await verify_ledger(switch.database)).differences
    assert (found.fault, found.found) == (BookFault.COUNTER, Decimal(1))
    assert str(found) == f"the counter of commits is behind what was numbered by it: expected {found.expected}, found 1"


async def test_a_machine_without_a_journal_compares_nothing(database, tmp_path):
    assert await reconcile(SqlBookedCalls(database), tmp_path) is None


async def test_a_journal_in_a_closed_directory_is_not_passed_over(database, tmp_path):
    with closed(tmp_path), pytest.raises(JournalUnreadableError, match="run this as the user of the switch"):
        await reconcile(SqlBookedCalls(database), tmp_path)


async def test_a_journal_that_may_not_be_read_is_not_passed_over(database, tmp_path, monkeypatch):
    (tmp_path / "journal").mkdir()
    monkeypatch.setattr(module.os, "access", lambda *_: False)
    with pytest.raises(JournalUnreadableError, match="run this as the user of the switch"):
        await reconcile(SqlBookedCalls(database), tmp_path)
