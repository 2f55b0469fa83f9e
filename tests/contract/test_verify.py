"""The audit finds every kind of damage and nothing where there is none (``vosd ledger verify``)."""

from decimal import Decimal

import pytest
from doubles.data.records import STARTED, answered_call, call_id, refused_call
from doubles.kept_rows import damage
from sqlalchemy import delete, insert, update

from vosd.storage import schema, verify as audit, verify_accounts, verify_lines
from vosd.storage.books import SqlBooks
from vosd.storage.faults import BookDifference, BookFault
from vosd.storage.payments import SqlPayments
from vosd.storage.ports import EntryKind, Payment
from vosd.storage.verify import verify_ledger

FEE, COST = Decimal("0.012345"), Decimal("0.009876")

account, entry, cdr, charge = schema.account, schema.ledger_entry, schema.cdr, schema.cdr_charge


@pytest.fixture
async def booked(database):
    """A database with a few calls, a payment, a refused call and a call without CDR."""
    books = SqlBooks(database)
    calls = [answered_call(index, customer_account="acme", vendor_account="carrier") for index in range(5)]
    same = answered_call(5, customer_account="acme", vendor_account="acme")
    free = answered_call(6, customer_account="acme", fee=Decimal(0), cost=Decimal(0))
    unrecorded = answered_call(7, customer_account="acme", vendor_account="carrier", recorded=False)
    await books.book([*calls, same, free, unrecorded, refused_call(8)])
    await books.open_accounts(["idle"])
    payment = Payment(account="acme", kind=EntryKind.PAYMENT, reference="p", made_at=STARTED, amount=Decimal(10))
    await SqlPayments(database).add(payment)
    return database


async def test_sound_books_show_no_difference_and_how_much_was_looked_at(booked):
    result = await verify_ledger(booked)
    assert result.differences == ()
    assert (result.accounts, result.entries, result.calls) == (4, 15, 8)
    assert result.calls_without_cdr == 1


async def test_an_audit_says_that_it_goes_on_before_it_counts_calls(booked, monkeypatch):
    monkeypatch.setattr(verify_accounts, "_ACCOUNTS_AT_ONCE", 2)
    monkeypatch.setattr(audit, "_CALLS_AT_ONCE", 5)
    seen = []
    await verify_ledger(booked, passed=lambda *each: seen.append(each))
    assert seen == [(0.0, 0), (0.0, 0), (5 / 8, 5), (1.0, 8)]


async def test_the_only_entry_of_an_account_goes_on_from_nothing(booked):
    payment = Payment(account="idle", kind=EntryKind.PAYMENT, reference="q", made_at=STARTED, amount=Decimal(3))
    await SqlPayments(booked).add(payment)
    await damage(booked, update(entry).where(entry.c.account == "idle").values(balance_after=Decimal(4)))
    found = (await verify_ledger(booked)).differences
    assert found == (BookDifference(BookFault.CHAIN, "idle", Decimal(3), Decimal(4), 1),)


async def test_an_entry_in_another_currency_than_its_account_is_found(booked):
    await damage(
        booked,
        update(account).where(account.c.id == "carrier").values(currency="EUR"),
        update(entry).where(entry.c.account == "carrier", entry.c.seq != 2).values(currency="EUR"),
    )
    (found, *of_calls) = (await verify_ledger(booked)).differences
    assert str(found) == "account carrier entry 2: the entry is in another currency than its account"
    assert {each.fault for each in of_calls} == {BookFault.CALL_CURRENCY}, "the CDRs of the others are in USD"


async def test_an_entry_of_an_unknown_kind_is_found(booked):
    await damage(booked, update(entry).where(entry.c.kind == "payment").values(kind="zzz"))
    (found,) = (await verify_ledger(booked)).differences
    assert (found.fault, found.account) == (BookFault.KIND, "acme")
    assert "kind that this version does not know" in str(found)


async def test_empty_books_show_no_difference(database):
    assert (await verify_ledger(database)).differences == ()


async def test_a_changed_balance_is_found(booked):
    await damage(booked, update(account).where(account.c.id == "carrier").values(balance=Decimal("1.5")))
    found = (await verify_ledger(booked)).differences
    assert found == (BookDifference(BookFault.BALANCE, "carrier", -6 * COST, Decimal("1.5")),)
    assert str(found[0]) == (
        "account carrier: the balance is not the sum of the entries: expected -0.059256, found 1.50"
    )


async def test_a_balance_without_any_entry_is_found(booked):
    await damage(booked, update(account).where(account.c.id == "idle").values(balance=Decimal(3)))
    assert (await verify_ledger(booked)).differences == (
        BookDifference(BookFault.BALANCE, "idle", Decimal(0), Decimal(3)),
    )


async def test_a_wrong_sequence_number_of_the_account_is_found(booked):
    await damage(booked, update(account).where(account.c.id == "carrier").values(seq=9))
    found = (await verify_ledger(booked)).differences
    assert found == (BookDifference(BookFault.COUNT, "carrier", Decimal(6), Decimal(9)),)
    assert str(found[0]).endswith("expected 6, found 9")


async def test_a_changed_amount_breaks_the_chain_the_balance_and_the_call(booked):
    third = (entry.c.account == "carrier") & (entry.c.seq == 3)
    await damage(booked, update(entry).where(third).values(amount=Decimal(-7)))
    found = (await verify_ledger(booked)).differences
    assert {each.fault for each in found} == {BookFault.BALANCE, BookFault.CHAIN, BookFault.CALL}
    chain = next(each for each in found if each.fault is BookFault.CHAIN)
    assert (chain.account, chain.seq, chain.found) == ("carrier", 3, -3 * COST)
    assert chain.expected == -2 * COST - 7


async def test_a_removed_entry_is_found_by_chain_balance_and_call(booked):
    await damage(booked, delete(entry).where(entry.c.account == "carrier", entry.c.seq == 2))
    faults = [each.fault for each in (await verify_ledger(booked)).differences]
    assert sorted(faults, key=str) == sorted(
        [BookFault.BALANCE, BookFault.COUNT, BookFault.CHAIN, BookFault.CALL], key=str
    )


async def test_a_gap_in_the_numbers_alone_is_found(booked):
    last = (entry.c.account == "carrier") & (entry.c.seq == 6)
    await damage(booked, update(entry).where(last).values(seq=7))
    found = (await verify_ledger(booked)).differences
    assert [(each.fault, each.seq) for each in found] == [(BookFault.CHAIN, 7)]


async def test_entries_of_an_account_without_row_are_found(booked):
    await damage(booked, delete(account).where(account.c.id == "carrier"))
    assert (await verify_ledger(booked)).differences == (
        BookDifference(BookFault.NO_ACCOUNT, "carrier", Decimal(0), -6 * COST),
    )


async def test_a_cdr_whose_fee_was_edited_is_found(booked):
    await damage(booked, update(cdr).where(cdr.c.call_id == call_id(2)).values(fee=Decimal(1)))
    assert (await verify_ledger(booked)).differences == (
        BookDifference(BookFault.CALL, "acme", Decimal(-1), -FEE, call_id=call_id(2)),
        BookDifference(BookFault.CHARGES, "acme", Decimal(-1), -FEE, call_id=call_id(2)),
    )


async def test_a_cdr_whose_account_was_edited_is_found_on_both_accounts(booked):
    await damage(booked, update(cdr).where(cdr.c.call_id == call_id(2)).values(customer_account="idle"))
    found = {(each.account, each.expected, each.found) for each in (await verify_ledger(booked)).differences}
    assert found == {("acme", Decimal(0), -FEE), ("idle", -FEE, Decimal(0))}


async def test_a_removed_cdr_is_found_on_both_sides(booked):
    await damage(booked, delete(cdr).where(cdr.c.call_id == call_id(4)))
    found = (await verify_ledger(booked)).differences
    assert {(each.fault, each.account, each.call_id) for each in found} == {
        (BookFault.CALL, "acme", call_id(4)),
        (BookFault.CALL, "carrier", call_id(4)),
    }


async def test_an_entry_that_no_cdr_explains_is_found_even_behind_the_last_call(booked):
    row = {
        "account": "carrier",
        "seq": 7,
        "amount": Decimal(-1),
        "balance_after": -6 * COST - 1,
        "kind": "call",
        "reference": "invented",
        "call_id": call_id(99),
        "created_at": STARTED,
    }
    await damage(
        booked,
        insert(entry).values(row),
        update(account).where(account.c.id == "carrier").values(seq=7, balance=-6 * COST - 1),
    )
    assert (await verify_ledger(booked)).differences == (
        BookDifference(BookFault.CALL, "carrier", Decimal(0), Decimal(-1), call_id=call_id(99)),
    )


async def test_an_audit_in_small_ranges_finds_the_same(booked, monkeypatch):
    await damage(
        booked,
        update(account).where(account.c.id == "idle").values(balance=Decimal(3)),
        update(cdr).where(cdr.c.call_id == call_id(6)).values(cost=Decimal(1)),
        update(cdr).where(cdr.c.call_id == call_id(0)).values(tax=Decimal(1)),
        update(entry).where(entry.c.account == "carrier", entry.c.seq == 4).values(currency="EUR"),
        update(account).where(account.c.id == "carrier").values(currency="USD"),
    )
    whole = (await verify_ledger(booked)).differences
    monkeypatch.setattr(audit, "_CALLS_AT_ONCE", 2)
    for accounts, entries in ((1, 50_000), (500, 1), (2, 3), (1, 2)):
        monkeypatch.setattr(verify_accounts, "_ACCOUNTS_AT_ONCE", accounts)
        monkeypatch.setattr(verify_accounts, "_ENTRIES_AT_ONCE", entries)
        assert sorted((await verify_ledger(booked)).differences, key=str) == sorted(whole, key=str)
    assert len(whole) == 7


async def test_the_statements_about_calls_are_made_once_for_all_ranges_and_audits(booked, monkeypatch):
    monkeypatch.setattr(audit, "_CALLS_AT_ONCE", 2)
    verify_lines._unlike.cache_clear()
    for _ in range(2):
        assert (await verify_ledger(booked)).differences == ()
    used = verify_lines._unlike.cache_info()
    assert (used.misses, used.hits) == (6, 24), "three comparisons of five ranges, the last of which has no end"


async def test_every_difference_is_reported_as_it_is_found(booked):
    await damage(booked, update(cdr).values(fee=Decimal(1)))
    reported = []
    result = await verify_ledger(booked, reported.append)
    assert result.differences == ()
    assert sorted(map(str, reported)) == sorted(map(str, (await verify_ledger(booked)).differences))
    assert len(reported) > 7
