"""Reading the ledger: entries in the order of booking, and the sums of a time, over SQLite and MariaDB."""

from contextlib import aclosing
from datetime import UTC
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from doubles.data import builders
from doubles.data.records import STARTED, answered_call, call_id
from doubles.ledger_entries import entries_of
from doubles.office import office_on, operator
from sqlalchemy import event

from vosd.admin.ledger import Month
from vosd.admin.office.ledger import ListBalances, ShowStatements, list_balances, show_statements
from vosd.cdr.corrections import Amounts, ChargeChange, Correction
from vosd.cdr.record import CUSTOMER, VENDOR, Posting
from vosd.storage import ledger
from vosd.storage.books import SqlBooks
from vosd.storage.checkpoints import SqlCheckpoints
from vosd.storage.corrections import SqlCorrections
from vosd.storage.ledger import SqlLedger
from vosd.storage.ledger_values import Movement, Statement
from vosd.storage.payments import SqlPayments
from vosd.storage.ports import EntryKind, Payment

DAY_MS = 86_400_000
FEE, COST = Decimal("0.012345"), Decimal("0.009876")


async def pay(database, amount, reference, made_at, **changes):
    fields = {"account": "acme", "kind": EntryKind.PAYMENT, "operator": "ann"} | changes
    await SqlPayments(database).add(Payment(reference=reference, made_at=made_at, amount=Decimal(amount), **fields))


@pytest.fixture
async def booked(database):
    """A payment on the first day, three calls on the second, a payment and an adjustment on the third."""
    await pay(database, "10", "p1", STARTED)
    calls = [
        answered_call(index, customer_account="acme", vendor_account="carrier", ended_at=STARTED + DAY_MS + index)
        for index in range(3)
    ]
    await SqlBooks(database).book(calls)
    await pay(database, "5", "p2", STARTED + 2 * DAY_MS, memo="wire")
    await pay(database, "-1", "a1", STARTED + 2 * DAY_MS, kind=EntryKind.ADJUSTMENT, operator="bob")
    return database


async def listed(database, **criteria):
    return await entries_of(database, **criteria)


async def test_the_entries_of_an_account_are_listed_as_they_were_booked(booked):
    found = await listed(booked, account="acme")
    assert [each.seq for each in found] == [1, 2, 3, 4, 5, 6]
    assert [each.kind for each in found] == ["payment", "call", "call", "call", "payment", "adjustment"]
    assert [each.balance_after for each in found][-1] == 14 - 3 * FEE
    assert (found[1].amount, found[1].call_id, found[1].created_at) == (-FEE, call_id(0), STARTED + DAY_MS)
    assert (found[4].operator, found[4].memo, found[4].currency) == ("ann", "wire", None)


async def test_without_account_those_of_all_are_listed_in_the_order_of_booking(booked):
    found = await listed(booked)
    assert len(found) == 9
    assert [each.id for each in found] == sorted(each.id for each in found)
    assert {each.account for each in found} == {"acme", "carrier"}


async def test_pages_join_without_gap_and_repetition(booked, monkeypatch):
    whole = await listed(booked, account="acme"), await listed(booked)
    for size in (1, 2, 3):
        monkeypatch.setattr(ledger, "ENTRIES_AT_ONCE", size)
        assert (await listed(booked, account="acme"), await listed(booked)) == whole
        down = await listed(booked, account="acme", newest_first=True), await listed(booked, newest_first=True)
        assert tuple([*reversed(each)] for each in down) == whole


async def test_a_list_goes_on_behind_any_entry_in_both_directions(booked):
    every = [each.id for each in await listed(booked)]
    for account in (None, "acme"):
        own = [each.id for each in await listed(booked, account=account)]
        for after in every:
            up = await listed(booked, account=account, after=after, limit=2)
            assert [each.id for each in up] == [each for each in own if each > after][:2]
            down = await listed(booked, account=account, after=after, limit=2, newest_first=True)
            assert [each.id for each in down] == [each for each in reversed(own) if each < after][:2]
    assert [each.seq for each in await listed(booked, account="acme", newest=2, newest_first=True)] == [6, 5]


@pytest.mark.parametrize(
    ("criteria", "found"),
    [
        ({"since": STARTED + DAY_MS}, [2, 3, 4, 5, 6]),
        ({"until": STARTED + DAY_MS}, [1]),
        ({"since": STARTED + DAY_MS + 1, "until": STARTED + DAY_MS + 2}, [3]),
        ({"kinds": ("payment", "adjustment")}, [1, 5, 6]),
        ({"operator": "bob"}, [6]),
        ({"operator": "bob\udcff"}, []),
    ],
)
async def test_each_criterion_selects(booked, criteria, found):
    assert [each.seq for each in await listed(booked, account="acme", **criteria)] == found


async def test_entries_of_calls_that_a_partner_has_carried_can_be_listed(database):
    earned = Posting("partner", COST, f"{call_id(1)}/vendor", "USD")
    plain = answered_call(1, customer_account="acme", vendor_account="partner")
    await SqlBooks(database).book([msgspec.structs.replace(plain, postings=(*plain.postings[:1], earned))])
    assert [each.account for each in await listed(database, kinds=("earned",))] == ["partner"]
    assert [each.account for each in await listed(database, kinds=("payment", "earned"))] == ["partner"]


async def test_payments_of_all_accounts_are_listed_in_order_and_in_parts(booked, monkeypatch):
    await pay(booked, "7", "p3", STARTED + DAY_MS, account="carrier")
    await pay(booked, "8", "p4", STARTED + 2 * DAY_MS, account="beta", operator="bob")
    monkeypatch.setattr(ledger, "ACCOUNTS_AT_ONCE", 2)
    monkeypatch.setattr(ledger, "ENTRIES_AT_ONCE", 2)

    async def references(*kinds, **criteria):
        found = await listed(booked, kinds=kinds or ("payment", "adjustment"), **criteria)
        return [each.reference for each in found]

    assert await references() == ["p1", "p2", "a1", "p3", "p4"]
    assert await references(newest_first=True) == ["p4", "p3", "a1", "p2", "p1"]
    assert await references("payment") == ["p1", "p2", "p3", "p4"]
    assert await references(operator="bob") == ["a1", "p4"]
    assert await references(since=STARTED + DAY_MS, until=STARTED + 2 * DAY_MS) == ["p3"]
    assert await references(newest=2) == ["p3", "p4"]
    assert await references(newest=2, newest_first=True) == ["p4", "p3"]
    first = await listed(booked, kinds=("payment",), newest_first=True, limit=2)
    assert [each.reference for each in first] == ["p4", "p3"]
    assert await references("payment", newest_first=True, after=first[-1].id) == ["p2", "p1"]
    assert await references("payment", after=first[-1].id, limit=1) == ["p4"]
    assert (first[0].account, first[0].balance_after, first[0].operator) == ("beta", Decimal(8), "bob")
    assert await references(account="acme", newest_first=True) == ["a1", "p2", "p1"]
    assert await references(account="acme", newest_first=True, after=first[-1].id, limit=1) == ["a1"]
    assert await references(account="acme\udcff") == []


async def test_lists_of_all_accounts_ask_for_them_a_part_at_a_time_or_not_at_all(database, monkeypatch):
    """Those of a hundred thousand accounts would else be read, in thousands of statements, for a page of payments."""
    monkeypatch.setattr(ledger, "ACCOUNTS_AT_ONCE", 10)
    for number in range(30):
        await pay(database, "1", f"p{number}", STARTED, account=f"account-{number:02}")
    asked: list[tuple[str, Any]] = []
    listen = (database.engine.sync_engine, "before_cursor_execute")
    event.listen(*listen, lambda _c, _k, text, parameters, *_: asked.append((text, parameters)))
    newest = await listed(database, kinds=("payment", "refund"), newest_first=True, limit=3)
    assert [each.account for each in newest] == ["account-29", "account-28", "account-27"]
    if not database.is_sqlite:  # by the partition of what is not of calls
        assert [text for text, _ in asked if "FROM account" in text] == []
    asked.clear()
    async with aclosing(SqlLedger(database).balances(STARTED + 1)) as balances:
        assert [each.balance async for each in balances] == [Decimal(1)] * 30
    sums = [parameters for text, parameters in asked if "ledger_entry" in text]
    named = [[each for each in some if str(each).startswith("account-")] for some in sums]
    assert named == [[f"account-{number:02}" for number in range(part, part + 10)] for part in (0, 10, 20)]
    asked.clear()
    page = ListBalances(STARTED + 1, after="account-04", limit=4)
    found = await list_balances(office_on(database, now=STARTED), operator(), page)
    assert [each.account for each in found] == ["account-05", "account-06", "account-07", "account-08"]
    assert len([text for text, _ in asked if "ledger_entry" in text]) == 1


async def test_statements_of_all_accounts_have_those_of_the_ledger_alone_at_the_end_and_read_no_others_for_a_page(
    database,
):
    for name in ("gone", "a", "b", "older"):
        await pay(database, "1", name, STARTED, account=name)
    office = office_on(database, *map(builders.account, ("b", "a", "new")), now=STARTED)
    month = Month.before(STARTED, UTC)
    whole = show_statements(office, operator(), ShowStatements(month=month, of_all=True))
    names = [each.account async for each in whole]
    assert names == ["b", "a", "new", "gone", "older"]
    asked: list[str] = []
    event.listen(database.engine.sync_engine, "before_cursor_execute", lambda _c, _k, text, *_: asked.append(text))
    for limit in range(1, 6):
        for place, after in enumerate([None, *names]):
            asked.clear()
            order = ShowStatements(month=month, of_all=True, after=after, limit=limit)
            page = [each.account async for each in show_statements(office, operator(), order)]
            assert page == names[place : place + limit]
            of_all = [text for text in asked if "account.id > " in text]
            assert bool(of_all) is (place + limit > 3)


async def test_statements_of_many_accounts_are_those_of_each_and_take_few_questions(booked):
    """Each account took five statements of its own: two and a half minutes for 20,000 accounts."""
    names = ["acme", "carrier", *(f"a{number:03d}" for number in range(250))]
    await SqlBooks(booked).open_accounts(names[2:250])  # the last two have no row
    await pay(booked, "7", "late", STARTED + DAY_MS + 1, account="a007")
    await SqlCheckpoints(booked).close(STARTED + DAY_MS, "ann", None, STARTED + 9 * DAY_MS)
    await pay(booked, "3", "behind", STARTED + 1, account="a007")  # dated in a closed time
    entries = SqlLedger(booked)
    asked: list[str] = []
    event.listen(booked.engine.sync_engine, "before_cursor_execute", lambda _c, _k, text, *_: asked.append(text))
    for since, until in ((0, 1), (0, 2), (1, 2), (2, 3)):
        span = STARTED + since * DAY_MS, STARTED + until * DAY_MS
        asked.clear()
        found = await entries.statements(names, *span)
        assert len(asked) < 10
        assert [*found] == names
        assert all([found[name] == await entries.statement(name, *span) for name in names[:20]])
        assert {found[name] for name in names[20:]} <= {
            Statement(Decimal(0), (), Decimal(0), is_closed) for is_closed in (True, False)
        }
    office = office_on(booked, *map(builders.account, names), now=STARTED)
    asked.clear()
    month = show_statements(office, operator(), ShowStatements(month=Month.before(STARTED, UTC), of_all=True))
    assert [each.account async for each in month] == names
    assert len(asked) < 40


async def test_a_statement_of_an_old_month_adds_nothing_up_that_came_behind_a_later_close(booked):
    """The close behind which each entry came, and its tax, were looked up for all that was booked since."""
    await SqlCheckpoints(booked).close(STARTED + DAY_MS, "ann", None, STARTED + 9 * DAY_MS)
    await pay(booked, "3", "behind", STARTED + 1)  # dated in a closed time
    await SqlCheckpoints(booked).close(STARTED + 3 * DAY_MS, "ann", None, STARTED + 9 * DAY_MS)
    await pay(booked, "4", "behind the next", STARTED + 1)
    asked: list[tuple[str, Any]] = []
    event.listen(booked.engine.sync_engine, "before_cursor_execute", lambda _c, _k, *asking: asked.append(asking[:2]))
    found = await SqlLedger(booked).statement("acme", STARTED, STARTED + DAY_MS)
    assert found == Statement(Decimal(0), (Movement("payment", 1, Decimal(10), Decimal(0)),), Decimal(10), True)
    ((text, values),) = [each for each in asked if "GROUP BY" in each[0]]
    async with booked.engine.connect() as connection:
        assert len((await connection.exec_driver_sql(text, values)).all()) == len(found.movements)


async def test_a_statement_has_the_balance_before_the_sums_by_kind_and_the_balance_after(booked):
    entries = SqlLedger(booked)
    assert await entries.statement("acme", STARTED + DAY_MS, STARTED + 2 * DAY_MS) == Statement(
        Decimal(10), (Movement("call", 3, -3 * FEE),), 10 - 3 * FEE
    )
    assert await entries.statement("acme", STARTED + 2 * DAY_MS, STARTED + 3 * DAY_MS) == Statement(
        10 - 3 * FEE, (Movement("adjustment", 1, Decimal(-1)), Movement("payment", 1, Decimal(5))), 14 - 3 * FEE
    )
    assert await entries.statement("carrier", STARTED, STARTED + 9 * DAY_MS) == Statement(
        Decimal(0), (Movement("call", 3, -3 * COST),), -3 * COST
    )
    assert await entries.statement("idle", STARTED, STARTED + DAY_MS) == Statement(Decimal(0), (), Decimal(0))


async def taxed(database):
    """Book a call with tax and a payment; return what calls cost the customer without tax, and the tax."""
    fee, tax = Decimal("1.20"), Decimal("0.24")
    call = answered_call(7, customer_account="acme", vendor_account="carrier", fee=fee, tax=tax)
    await SqlBooks(database).book([call])
    await pay(database, "5", "p1", STARTED)
    return fee, tax


async def test_entries_and_statements_have_net_and_tax_apart(database):
    fee, tax = await taxed(database)
    of_call, payment = await listed(database, account="acme")
    assert (of_call.amount, of_call.tax) == (-fee - tax, -tax)
    assert (payment.amount, payment.tax) == (5, 0)
    statement = await SqlLedger(database).statement("acme", STARTED, STARTED + DAY_MS)
    assert statement.movements == (Movement("call", 1, -fee - tax, -tax), Movement("payment", 1, Decimal(5)))


async def test_the_tax_of_an_entry_of_an_earlier_version_is_that_of_its_charge_while_it_is_as_rated(database):
    fee, tax = await taxed(database)
    async with database.writing() as connection:
        await connection.exec_driver_sql("UPDATE ledger_entry SET tax = NULL")
    assert (await listed(database, account="acme"))[0].tax == -tax
    async with database.writing() as connection:
        await connection.exec_driver_sql("UPDATE cdr_charge SET corrected = 1")
    assert (await listed(database, account="acme"))[0].tax is None
    statement = await SqlLedger(database).statement("acme", STARTED, STARTED + DAY_MS)
    assert statement.movements[0] == Movement("call", 1, -fee - tax, None)
    later = answered_call(8, customer_account="acme", vendor_account="carrier", fee=fee, tax=tax)
    await SqlBooks(database).book([later])
    both = await SqlLedger(database).statement("acme", STARTED, STARTED + DAY_MS)
    assert both.movements[0] == Movement("call", 2, 2 * (-fee - tax), None), (
        "the tax of one of them is not that of both"
    )


async def test_the_balances_of_all_accounts_at_a_moment_are_those_with_which_their_statements_open(booked, monkeypatch):
    monkeypatch.setattr(ledger, "ACCOUNTS_AT_ONCE", 1)
    entries = SqlLedger(booked)
    await SqlCheckpoints(booked).close(STARTED + DAY_MS + 1, "ann", None, STARTED + 9 * DAY_MS)
    await pay(booked, "3", "late", STARTED)
    moments = (STARTED, STARTED + 1, STARTED + DAY_MS + 1, STARTED + DAY_MS + 2, STARTED + 9 * DAY_MS)
    for moment in moments:
        async with aclosing(entries.balances(moment)) as found:
            balances = {each.account: each.balance async for each in found}
        opening = {name: (await entries.statement(name, moment, moment)).opening for name in ("acme", "carrier")}
        assert balances == opening


async def test_charges_beside_calls_are_of_the_time_of_their_dates_and_none_is_what_a_vendor_gets(booked):
    end, kind = STARTED + DAY_MS, EntryKind.MINIMUM
    await pay(booked, "-3", "minimum/2026-09", STARTED, kind=kind)
    await pay(booked, "-4", "minimum/2026-10", end, kind=kind)
    await pay(booked, "5", "minimum/2026-10/vendor", STARTED, kind=kind, account="carrier")
    changes = [ChargeChange(role, 0, Amounts(Decimal("0.5"), Decimal("0.1"), 60)) for role in (CUSTOMER, VENDOR)]
    made = Correction(call_id(0), tuple(changes), "ticket", "ann", "wrong", end - 1)
    await SqlCorrections(booked).book([made])
    times = [(STARTED - DAY_MS, STARTED), (STARTED, end), (end, end + DAY_MS)]
    found = await SqlLedger(booked).charged_beside_calls(times, None)
    assert sorted((each.time, each.account, each.kind, each.amount) for each in found) == [
        (1, "acme", "correction", Decimal("0.6") - FEE), (1, "acme", "minimum", 3), (2, "acme", "minimum", 4),
    ]  # fmt: skip
    assert await SqlLedger(booked).charged_beside_calls(times, ["carrier"]) == []
