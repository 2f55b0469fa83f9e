"""Closed periods: what a close notes, what is booked after it, and from where an audit starts."""

import random
from contextlib import suppress
from decimal import Decimal
from itertools import pairwise

import pytest
from doubles.data.records import STARTED, answered_call
from doubles.exploring import examples
from doubles.kept_rows import Rows, damage, rows_of, write_rows
from doubles.ledger_entries import closed_of
from doubles.office import office_on, operator
from sqlalchemy import delete, func, select, update

from vosd.admin.ledger import ClosingSheet
from vosd.admin.office.ledger import BooksUnsoundError, ClosePeriod, close_period
from vosd.storage import checkpoints, ledger as ledger_module, schema, verify_accounts
from vosd.storage.audit import SqlAudit
from vosd.storage.books import SqlBooks
from vosd.storage.checkpoints import BadClosingDate, Checkpoint, SqlCheckpoints
from vosd.storage.faults import BookFault
from vosd.storage.ledger import SqlLedger
from vosd.storage.ledger_values import Movement, Statement
from vosd.storage.payments import SqlPayments
from vosd.storage.ports import EntryKind, Payment
from vosd.storage.queries import SqlQueries
from vosd.storage.verify import verify_ledger

DAY_MS = 86_400_000
FEE, COST = Decimal("0.25"), Decimal("0.10")
NOW = STARTED + 100 * DAY_MS
FAR = 20_000
"""A day to which only a wrong clock comes."""
entry, account = schema.ledger_entry, schema.account


async def pay(database, amount, day, **changes):
    made_at = STARTED + day * DAY_MS
    fields = {"account": "acme", "kind": EntryKind.PAYMENT, "reference": f"{day}"} | changes
    await SqlPayments(database).add(Payment(made_at=made_at, amount=Decimal(amount), **fields))


def call(index, day, **changes):
    ended_at = STARTED + day * DAY_MS
    parties = {"customer_account": "acme", "vendor_account": "carrier", "fee": FEE, "cost": COST}
    return answered_call(index, **(parties | changes), started_at=ended_at - 60_000, ended_at=ended_at)


async def close(database, day):
    return await SqlCheckpoints(database).close(STARTED + day * DAY_MS, "ann", None, NOW)


_TEN_DAYS: dict[bool, Rows] = {}
"""By whether it is SQLite."""


@pytest.fixture
async def booked(database):
    """Ten days, with a payment of 1 and a call on each."""
    if database.is_sqlite in _TEN_DAYS:
        await write_rows(database, _TEN_DAYS[database.is_sqlite])
        return database
    await SqlBooks(database).open_accounts(["idle"])
    for day in range(10):
        await pay(database, "1", day)
        await SqlBooks(database).book([call(day, day)])
    _TEN_DAYS[database.is_sqlite] = await rows_of(database)
    return database


async def test_a_close_notes_the_balance_of_each_account_at_the_date(booked):
    assert await close(booked, 4) == checkpoints.Closing(STARTED + 4 * DAY_MS, 3, 12)
    found = [*await closed_of(booked, "acme"), *await closed_of(booked, "carrier")]
    assert found == [
        Checkpoint("acme", STARTED + 4 * DAY_MS, 8, 4 * (1 - FEE)),
        Checkpoint("carrier", STARTED + 4 * DAY_MS, 4, -4 * COST),
    ]
    assert await SqlCheckpoints(booked).closed_until() == STARTED + 4 * DAY_MS
    assert await close(booked, 9) == checkpoints.Closing(STARTED + 9 * DAY_MS, 3, 15)


async def test_an_audit_starts_behind_the_close_and_still_sees_all_of_what_follows(booked):
    await close(booked, 4)
    result = await verify_ledger(booked)
    assert (result.accounts, result.entries, result.differences) == (3, 18, ())
    assert (await verify_ledger(booked, whole=True)).entries == 30
    await damage(
        booked, update(entry).where(entry.c.account == "carrier", entry.c.seq == 5).values(balance_after=Decimal(7))
    )
    found = (await verify_ledger(booked)).differences
    assert [(each.fault, each.seq) for each in found] == [(BookFault.CHAIN, 5), (BookFault.CHAIN, 6)]


async def test_the_first_entry_behind_a_close_must_go_on_from_it(booked):
    await close(booked, 4)
    await damage(booked, delete(entry).where(entry.c.account == "carrier", entry.c.seq == 5))
    faults = {each.fault for each in (await verify_ledger(booked)).differences}
    assert faults == {BookFault.CHAIN, BookFault.BALANCE, BookFault.COUNT, BookFault.CALL}


async def test_what_was_closed_is_compared_again_only_where_that_is_asked_for(booked):
    await close(booked, 4)
    await damage(
        booked, update(entry).where(entry.c.account == "acme", entry.c.seq == 8).values(balance_after=Decimal(7))
    )
    assert (await verify_ledger(booked)).differences == ()
    faults = {each.fault for each in (await verify_ledger(booked, whole=True)).differences}
    assert faults == {BookFault.CHAIN, BookFault.CHECKPOINT}


async def test_small_ranges_behind_a_close_find_the_same(booked, monkeypatch):
    await close(booked, 4)
    await damage(
        booked,
        update(entry).where(entry.c.account == "carrier", entry.c.seq == 7).values(balance_after=Decimal(7)),
        update(account).where(account.c.id == "idle").values(balance=Decimal(1)),
    )
    found = sorted(map(str, (await verify_ledger(booked)).differences))
    assert len(found) == 3
    for accounts, entries, alone in ((1, 50_000, 5_000), (500, 1, 5_000), (2, 3, 5_000), (500, 50_000, 5), (500, 3, 0)):
        monkeypatch.setattr(verify_accounts, "_CLOSED_TOGETHER", alone)
        monkeypatch.setattr(verify_accounts, "_ACCOUNTS_AT_ONCE", accounts)
        monkeypatch.setattr(verify_accounts, "_ENTRIES_AT_ONCE", entries)
        assert sorted(map(str, (await verify_ledger(booked)).differences)) == found


async def test_a_call_that_is_booked_late_counts_for_the_open_period(booked):
    ledger = SqlLedger(booked)
    await close(booked, 4)
    first = await ledger.statement("carrier", STARTED, STARTED + 4 * DAY_MS)
    assert first == Statement(Decimal(0), (Movement("call", 4, -4 * COST),), -4 * COST, is_closed=True)
    await SqlBooks(booked).book([call(50, 2)])
    assert await ledger.statement("carrier", STARTED, STARTED + 4 * DAY_MS) == first
    second = await ledger.statement("carrier", STARTED + 4 * DAY_MS, STARTED + 20 * DAY_MS)
    assert second == Statement(-4 * COST, (Movement("call", 7, -7 * COST),), -11 * COST)
    assert (await verify_ledger(booked)).differences == ()


async def test_the_first_entry_of_an_account_that_is_booked_late_counts_for_the_open_period(booked):
    ledger = SqlLedger(booked)
    await close(booked, 2)
    await close(booked, 4)
    closed = [each async for each in ledger.balances(STARTED + 4 * DAY_MS)]

    await SqlBooks(booked).book([call(50, 1, customer_account="fresh"), call(51, 3, customer_account="fresh")])
    await SqlBooks(booked).open_accounts(["later"])
    await pay(booked, "1", 3, account="later")

    balances = {each.account: each.balance async for each in ledger.balances(STARTED + 4 * DAY_MS)}
    assert balances == {each.account: each.balance for each in closed} | {"fresh": 0, "later": 0}
    months = [(STARTED, STARTED + 4 * DAY_MS), (STARTED + 4 * DAY_MS, STARTED + 20 * DAY_MS)]
    found = [await ledger.statement("fresh", *month) for month in months]
    assert found == [
        Statement(Decimal(0), (), Decimal(0), is_closed=True),
        Statement(Decimal(0), (Movement("call", 2, -2 * FEE),), -2 * FEE),
    ]
    counted = [[each.account async for page in ledger.counted(*month) for each in page] for month in months]
    assert [[name for name in names if name in {"fresh", "later"}] for names in counted] == [
        [], ["fresh", "fresh", "later"],
    ]  # fmt: skip
    assert (await close(booked, 9)).entries == 15 + 3
    assert (await verify_ledger(booked, whole=True)).differences == ()


async def test_an_entry_that_a_wrong_clock_has_dated_in_the_future_counts_for_the_period_that_is_closed(booked):
    ledger = SqlLedger(booked)
    await SqlBooks(booked).book([call(50, FAR)])
    await SqlBooks(booked).book([call(each, each) for each in range(10, 14)])
    before = await verify_ledger(booked)
    for days in ((0, 12), (12, 14)):
        since, until = (STARTED + day * DAY_MS for day in days)
        await close(booked, days[1])
        found = await ledger.statement("carrier", since, until)
        counted = [each async for page in ledger.counted(since, until) for each in page if each.account == "carrier"]
        assert sum(each.amount for each in counted) == found.closing - found.opening
        balances = {each.account: each.balance async for each in ledger.balances(until)}
        assert balances["carrier"] == found.closing
        assert found.movements == (Movement("call", {0: 13, 12: 2}[days[0]], found.closing - found.opening),)
    at_its_date = await ledger.statement("carrier", until, STARTED + (FAR + 1) * DAY_MS)
    assert at_its_date == Statement(-15 * COST, (), -15 * COST)
    assert (await verify_ledger(booked, whole=True)).differences == before.differences == ()


@pytest.mark.parametrize("seed", range(examples(3, 100)))
async def test_balances_at_many_moments_are_those_at_each_of_them(database, seed, monkeypatch):
    """Also of entries that are booked late, that a wrong clock has dated, and of minimums of months that are closed."""
    monkeypatch.setattr(ledger_module, "ACCOUNTS_AT_ONCE", 2)
    dice = random.Random(seed)
    ledger, names, closed = SqlLedger(database), ["acme", "beta", "carrier", "idle"], 0
    await SqlBooks(database).open_accounts(names)
    for number in range(60):
        if dice.random() < 0.1:
            closed = dice.randrange(closed, 40)
            with suppress(BadClosingDate):
                await close(database, closed)
        kind = dice.choice([EntryKind.PAYMENT, EntryKind.MINIMUM, EntryKind.REFUND])
        day = dice.choice([dice.randrange(40), closed, closed - 1, 120])
        amount = str(Decimal(dice.randrange(-500, 900)) / 100)
        await pay(database, amount, day, account=dice.choice(names[:3]), kind=kind, reference=f"r{number}")
    days = sorted(dice.sample(range(42), 12))
    moments = sorted({STARTED + day * DAY_MS + dice.choice([-1, 0, 0, 1]) for day in days} | {NOW + 90 * DAY_MS})
    wanted = [[each async for each in ledger.balances(moment)] for moment in moments]
    assert [[*each.values()] for each in await ledger.balances_at(moments, None)] == wanted
    assert [[*each.values()] for each in await ledger.balances_at(moments, ["beta", "idle", "unknown"])] == [
        [each for each in some if each.account in {"beta", "idle"}] for some in wanted
    ]
    since, *ends = moments
    of_times = await ledger.turnovers(since, ends, [*names, "unknown"], 1_000)
    for (begin, end), turnovers in zip(pairwise(moments), of_times, strict=True):
        statements = {name: await ledger.statement(name, begin, end) for name in names}
        assert {name: turnover[1:] for name, turnover in turnovers.items()} == {
            name: (each.opening, {some.kind: (some.entries, some.amount) for some in each.movements}, each.closing)
            for name, each in statements.items()
            if each.opening or each.movements
        }


@pytest.mark.parametrize("older_days", [3, 60])
async def test_a_late_call_with_a_wrong_entry_is_found_however_old_it_is(booked, older_days):
    late = call(50, 4 - older_days)
    await close(booked, 4)
    await SqlBooks(booked).book([late])
    assert (await verify_ledger(booked)).differences == ()
    await damage(booked, update(schema.cdr).where(schema.cdr.c.call_id == late.call_id).values(fee=Decimal(9)))
    assert BookFault.CALL in {each.fault for each in (await verify_ledger(booked)).differences}


async def test_calls_that_came_out_of_order_at_the_date_are_in_one_period_each(database):
    await SqlBooks(database).book([call(0, 1), call(1, 3), call(2, 2)])
    await close(database, 3)
    assert [each.seq for each in await closed_of(database, "acme")] == [1]
    before = await SqlLedger(database).statement("acme", STARTED, STARTED + 3 * DAY_MS)
    after = await SqlLedger(database).statement("acme", STARTED + 3 * DAY_MS, STARTED + 4 * DAY_MS)
    assert (before.closing, after.opening, after.closing) == (-FEE, -FEE, -3 * FEE)


async def test_the_same_close_again_makes_what_is_missing(booked):
    await close(booked, 4)
    await damage(booked, delete(schema.ledger_checkpoint).where(schema.ledger_checkpoint.c.account == "carrier"))
    assert (await verify_ledger(booked)).differences == ()
    assert (await close(booked, 4)).accounts == 1
    assert (await close(booked, 4)).accounts == 0
    async with booked.reading() as connection:
        assert await connection.scalar(select(func.count()).select_from(schema.ledger_checkpoint)) == 3


async def test_what_is_not_over_or_closed_already_is_not_closed(booked):
    with pytest.raises(BadClosingDate, match="future"):
        await close(booked, 101)
    for day in (2, 4):
        await close(booked, day)
    with pytest.raises(BadClosingDate, match="closed until 2026-09-25"):
        await close(booked, 3)


async def test_books_with_differences_are_not_closed_unless_forced(booked):
    office, until = office_on(booked, now=NOW), STARTED + 4 * DAY_MS
    await damage(booked, update(account).where(account.c.id == "carrier").values(balance=Decimal(7)))
    with pytest.raises(BooksUnsoundError, match="1 differences, the first is: account carrier"):
        await close_period(office, operator("ann"), ClosePeriod(until))
    assert await SqlCheckpoints(booked).closed_until() is None
    done = await close_period(office, operator("ann"), ClosePeriod(until, is_forced=True))
    assert done == ClosingSheet("2026-09-25T14:13:20.000Z", accounts=3, entries=12)
    (line,) = await SqlAudit(booked).newest(10)
    assert (line.principal, line.action, line.subject, line.at) == ("ann", "ClosePeriod", "ledger", NOW)


@pytest.mark.parametrize("seed", range(examples(2, 6)))
async def test_periods_join_and_closed_ones_never_change(database, seed):
    """Random bookings, dated around the close, in any order."""
    drawn = random.Random(seed)
    kept: dict[tuple[str, int], Statement] = {}
    closed = 0
    for step in range(32):
        day = FAR if drawn.random() < 0.1 else max(0, closed + drawn.randint(-3, 4))
        if drawn.random() < 0.5:
            await SqlBooks(database).book([call(step, day, customer_account=drawn.choice(["acme", "globex"]))])
        else:
            amount = str(drawn.randint(-500, 500) / Decimal(100) or 1)
            await pay(database, amount, day, account=drawn.choice(["acme", "globex"]), reference=f"r{step}")
        if step % 8 != 7:
            continue
        closed += drawn.randint(1, 3)
        await close(database, closed)
        assert (await verify_ledger(database)).differences == ()
        for name in ("acme", "globex", "carrier"):
            periods = [
                await SqlLedger(database).statement(name, STARTED + each * DAY_MS, STARTED + (each + 2) * DAY_MS)
                for each in range(0, closed + 8, 2)
            ]
            assert all(earlier.closing == later.opening for earlier, later in pairwise(periods))
            for each, period in enumerate(periods):
                if period.is_closed:
                    assert kept.setdefault((name, each), period) == period
            standing = await SqlQueries(database).standing(name)
            rest = STARTED + (closed + closed % 2 + 8) * DAY_MS, STARTED + (FAR + 1) * DAY_MS
            assert (await SqlLedger(database).statement(name, *rest)).closing == (standing.balance if standing else 0)
    assert (await verify_ledger(database, whole=True)).differences == ()
    assert kept
