"""Reports over the ledger, compared with ones that are made plainly of its entries."""

import random
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from doubles.data.builders import account
from doubles.data.records import STARTED, answered_call, partner_call
from doubles.kept_rows import Rows, rows_of, write_rows
from doubles.ledger_entries import entries_of
from doubles.office import agent, customer, office_on, operator
from doubles.statements import statements_of

from vosd.admin.names import UnknownNameError
from vosd.admin.office import reports
from vosd.admin.office.ledger import ListEntries, list_entries, list_payments
from vosd.admin.office.office import Office
from vosd.admin.office.payments import MoveMoney, UndoPayment, move_money, undo_payment
from vosd.admin.office.principal import SHIPPED, OrderError
from vosd.admin.office.reports import ListReports, NoSuchReportError, ReportSheet, ShowReport, list_reports, show_report
from vosd.base.money import format_amount
from vosd.billing.accounts import AccountType
from vosd.billing.agents import RECORDED_AS
from vosd.billing.authority import OutOfScopeError, RightLackingError
from vosd.billing.rights import Right
from vosd.cdr.columns import iso_utc
from vosd.control.money import Commitments
from vosd.invoicing.settlement import undone_entry
from vosd.storage import ledger
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database
from vosd.storage.payments import SqlPayments
from vosd.storage.ports import EntryKind, Payment

DAY = 86_400_000
SINCE = STARTED // DAY * DAY
UNTIL = SINCE + 20 * DAY
ZONE = "Asia/Kathmandu"
ACCOUNTS = (
    account("peer", type=AccountType.PARTNER),
    account("acme"),
    account("reseller", rights=frozenset({Right.SUB_PAYMENTS})),
    account("shop", agent="reseller"),
)
KINDS = (EntryKind.PAYMENT, EntryKind.REFUND, EntryKind.ADJUSTMENT, EntryKind.MINIMUM)


_BOOKED: dict[bool, Rows] = {}
"""By whether it is SQLite."""


@pytest.fixture
async def office(database: Database) -> Office:
    if database.is_sqlite in _BOOKED:
        await write_rows(database, _BOOKED[database.is_sqlite])
    else:
        await book_some(database)
        _BOOKED[database.is_sqlite] = await rows_of(database)
    return office_on(database, *ACCOUNTS, now=UNTIL)


async def book_some(database: Database) -> None:
    """Book calls and payments of twenty days."""
    dice = random.Random(5)
    books, payments = SqlBooks(database), SqlPayments(database)
    calls = []
    for index in range(1, 40):
        ended = SINCE + dice.randrange(20 * DAY)
        if index % 3:
            calls.append(answered_call(index, customer_account=dice.choice(["acme", "shop"]), ended_at=ended))
        else:
            calls.append(partner_call(index, "acme", "peer", ended_at=ended))
    await books.book(calls)
    for index in range(30):
        await payments.add(
            Payment(
                account=dice.choice(["acme", "peer", "reseller", "shop"]), kind=dice.choice(KINDS),
                reference=f"r{index}",
                made_at=SINCE + dice.randrange(20 * DAY), amount=Decimal(dice.randrange(-500, 9_000)) / 100,
                currency="USD",
            )
        )  # fmt: skip


async def shown(office: Office, name: str, who: Any = None, **order: Any) -> ReportSheet:
    wanted = {"since": SINCE, "until": UNTIL, "zone": ZONE} | order
    return await show_report(office, who or operator(), ShowReport(name=name, **wanted))


def day_of(moment: int) -> str:
    local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=moment)).astimezone(ZoneInfo(ZONE))
    return f"{local:%Y-%m-%d}"


async def test_payments_are_added_up_by_account_kind_and_day(office: Office) -> None:
    entries = await entries_of(office.stores.database)
    for group in ("whole", "day"):
        sums: dict[Any, list[Any]] = defaultdict(lambda: [0, Decimal(0)])
        for each in entries:
            if each.kind != "call":
                of = sums[day_of(each.created_at) if group == "day" else None, each.account, each.kind]
                of[0], of[1] = of[0] + 1, of[1] + each.amount
        sheet = await shown(office, "payments", group=group)
        made = {
            (row.get("span"), row["account"], row["kind"]): [row["entries"], Decimal(str(row["amount"]))]
            for row in sheet.rows
        }
        assert made == dict(sums)
        (total,) = sheet.totals
        assert (total["currency"], Decimal(str(total["amount"]))) == (
            "USD",
            sum((of[1] for of in sums.values()), Decimal(0)),
        )
        assert {*sheet.rows[0]} == {column.name for column in sheet.columns}


async def test_days_of_a_report_are_of_the_zone_of_the_account_that_asks_and_of_operators_utc(
    database: Database,
) -> None:
    own = account("shop", timezone=ZONE)  # 5 hours and 45 minutes before UTC
    office = office_on(database, own, account("below", agent="shop"), account("acme"), now=SINCE + 20 * 3_600_000)
    for who, zone, since in (
        (customer("shop"), ZONE, SINCE + DAY - 20_700_000),
        (agent("shop"), ZONE, SINCE + DAY - 20_700_000),
        (customer("acme"), "UTC", SINCE),
        (operator(), "UTC", SINCE),
    ):
        for name in ("revenue", "payments"):
            if name == "payments" and who == agent("shop"):
                continue  # it has no right to see payments
            sheet = await show_report(office, who, ShowReport(name=name))
            assert (sheet.zone, sheet.since) == (zone, iso_utc(since))
        assert (await show_report(office, who, ShowReport(name="revenue", zone="Asia/Tokyo"))).zone == "Asia/Tokyo"


async def test_a_report_until_midnight_is_of_the_day_that_ends_then(office: Office) -> None:
    for name in ("revenue", "payments"):
        for until in (SINCE + 5 * DAY, SINCE + 5 * DAY - 1):
            sheet = await show_report(office, operator(), ShowReport(name=name, until=until))
            assert (sheet.since, sheet.until) == (iso_utc(SINCE + 4 * DAY), iso_utc(SINCE + 5 * DAY))


async def test_balances_are_those_of_the_entries_before(office: Office) -> None:
    moment = SINCE + 9 * DAY
    for name in ("acme", "peer", "reseller", "shop"):
        taken_back = Payment(
            account=name, kind=EntryKind.PAYMENT, reference="back", made_at=SINCE, amount=Decimal(-1), currency="USD"
        )
        await office.stores.payments.add(taken_back)
    balances: dict[str, Decimal] = defaultdict(Decimal)
    paid: dict[str, tuple[str, Decimal]] = {}
    for each in await entries_of(office.stores.database):
        if each.created_at < moment:
            balances[each.account] += each.amount
            if each.kind == "payment" and each.amount > 0:
                paid[each.account] = iso_utc(each.created_at), each.amount
    sheet = await shown(office, "balances", until=moment)
    found = {str(row["account"]): row for row in sheet.rows}
    assert {name: Decimal(str(row["balance"])) for name, row in found.items() if name in balances} == balances
    assert all(row["balance"] == "0.00" for name, row in found.items() if name not in balances)
    assert {
        name: (row["last_payment"], Decimal(str(row["last_amount"])))
        for name, row in found.items()
        if row["last_payment"]
    } == paid
    assert [total["balance"] for total in sheet.totals if total["currency"] == "USD"]


async def test_a_report_by_the_hour_reads_the_ledger_as_often_as_a_whole_one(
    office: Office, database: Database
) -> None:
    with statements_of(database, "FROM ledger_entry") as asked:
        for name in ("balances", "payments"):
            counts = []
            for group in ("whole", "hour"):
                asked.clear()
                sheet = await shown(office, name, group=group)
                counts.append(len(asked))
            assert len({row["span"] for row in sheet.rows}) > 10, name
            assert counts[0] == counts[1], name


async def test_last_payments_before_many_moments_are_those_before_each_of_them(
    office: Office, database: Database
) -> None:
    dice = random.Random(7)
    for number in range(24):
        paid_in = Payment(
            account=dice.choice(["acme", "peer", "shop"]), kind=EntryKind.PAYMENT, reference=f"p{number}",
            made_at=SINCE + dice.randrange(20 * DAY), amount=Decimal(number + 1), currency="USD",
        )  # fmt: skip
        await office.stores.payments.add(paid_in)
    await move_money(
        office, agent("reseller"), MoveMoney(source="reseller", target="shop", amount=Decimal(3), reference="wire")
    )
    for each in await entries_of(office.stores.database):
        if each.kind == "payment" and each.amount > 0 and dice.random() < 0.5:
            undoing = office_on(database, *ACCOUNTS, now=SINCE + dice.randrange(25 * DAY))
            await undo_payment(undoing, operator(), UndoPayment(id=each.id))
    entries = await entries_of(office.stores.database)
    undone: dict[int | None, int] = {undone_entry(each.reference): each.created_at for each in entries}
    moments = [SINCE + hours * 3_600_000 for hours in range(0, 26 * 24, 7)]
    wanted: list[dict[str, tuple[int, Decimal]]] = []
    for moment in moments:
        paid: dict[str, tuple[int, Decimal]] = {}
        for each in entries:
            is_payment = each.kind == "payment" or (each.operator or "").startswith(RECORDED_AS)
            stands = undone.get(each.id, moment) >= moment and undone_entry(each.reference) is None
            if each.created_at < moment and is_payment and each.amount > 0 and stands:
                paid[each.account] = (each.created_at, each.amount)
        wanted.append(paid)
    for scope in (None, ["acme", "shop"]):
        seen = [{name: found for name, found in each.items() if scope is None or name in scope} for each in wanted]
        assert len({str(each) for each in seen}) > 8
        assert await office.stores.ledger.last_payments(moments, scope) == seen


async def test_balances_of_more_rows_than_a_report_has_are_refused_before_they_are_read(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "ROWS_MAX", 20 * len(ACCOUNTS))
    monkeypatch.setattr(reports, "ledger_rows", None)
    with pytest.raises(reports.TooManyRowsError, match="84 rows or more, and 80 are the most"):
        await shown(office, "balances", group="day")


async def test_accounts_from_balance_to_balance_with_more_rows_than_a_report_has_are_not_all_read(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_of: list[str] = []
    names, closed_before = {each.account for each in await entries_of(office.stores.database)}, ledger._closed_before

    async def closed(connection: Any, moment: int, some: Any) -> Any:
        read_of.extend(some)
        return await closed_before(connection, moment, some)

    monkeypatch.setattr(ledger, "ACCOUNTS_AT_ONCE", 1)
    monkeypatch.setattr(ledger, "_closed_before", closed)
    monkeypatch.setattr(reports, "ROWS_MAX", 2)
    with pytest.raises(reports.TooManyRowsError, match="rows or more, and 2 are the most"):
        await shown(office, "clearing", group="week")
    assert 0 < len(read_of) < len(names)


async def test_payments_of_more_rows_than_a_report_has_are_not_all_read(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    names, own = {each.account for each in await entries_of(office.stores.database)}, ledger.SqlLedger._accounts

    async def noted(self: ledger.SqlLedger, accounts: Any) -> AsyncGenerator[Any, None]:
        async for some in own(self, accounts):
            asked.extend(some)
            yield some

    monkeypatch.setattr(ledger, "ACCOUNTS_AT_ONCE", 1)
    monkeypatch.setattr(ledger.SqlLedger, "_accounts", noted)
    monkeypatch.setattr(reports, "ROWS_MAX", 2)
    with pytest.raises(reports.TooManyRowsError, match="rows or more, and 2 are the most"):
        await shown(office, "payments", group="day")
    assert 0 < len(asked) < len(names)


async def test_what_was_undone_is_no_last_payment_and_neither_is_its_undo(database: Database) -> None:
    office = office_on(database, *ACCOUNTS, now=SINCE + 3 * DAY)
    booked = (
        ("acme", "july", "30"), ("acme", "invoice/2026-000017 part", "500"), ("acme", "of another customer", "40"),
        ("acme", "a typo", "-7"), ("shop", "the only one", "9"), ("peer", "stays", "500"),
    )  # fmt: skip
    for day, (name, reference, amount) in enumerate(booked):
        payment = Payment(
            account=name, kind=EntryKind.PAYMENT, reference=reference, made_at=SINCE + day, amount=Decimal(amount),
            currency="USD",
        )  # fmt: skip
        await office.stores.payments.add(payment)
    for each in await entries_of(office.stores.database):
        if each.reference not in {"july", "stays"}:
            await undo_payment(office, operator(), UndoPayment(id=each.id))

    async def last(until: int) -> dict[Any, Any]:
        rows = (await shown(office, "balances", until=until)).rows
        return {row["account"]: (row["last_payment"], row["last_amount"]) for row in rows}

    none = (None, None)
    assert await last(SINCE + 4 * DAY) == {
        "acme": (iso_utc(SINCE), "30.00"), "peer": (iso_utc(SINCE + 5), "500.00"), "shop": none, "reseller": none,
    }  # fmt: skip
    before_the_undos = await last(SINCE + 2 * DAY)
    assert (before_the_undos["acme"], before_the_undos["shop"]) == (
        (iso_utc(SINCE + 2), "40.00"), (iso_utc(SINCE + 4), "9.00"),
    )  # fmt: skip


async def test_lists_say_by_which_entry_each_was_taken_back_whatever_they_leave_out(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "ENTRIES_AT_ONCE", 6)
    monkeypatch.setattr(ledger, "_RANGES_COUNTED", 5)
    office = office_on(database, *ACCOUNTS, now=SINCE)
    await SqlBooks(database).book([answered_call(1, customer_account="acme", ended_at=SINCE)])
    kinds = (("payment", "30"), ("adjustment", "-7"), ("refund", "-2"), ("zero", "0"), ("payment", "8"))
    for number, (kind, amount) in enumerate(kinds):
        reference = f"invoice/2026-000017 part {number}" if number == 0 else f"r{number}"
        made = Payment(
            account="acme", kind=EntryKind(kind), reference=reference, made_at=SINCE, amount=Decimal(amount),
            currency="USD",
        )  # fmt: skip
        await office.stores.payments.add(made)
    await move_money(office, operator(), MoveMoney(source="acme", target="shop", amount=Decimal(3), reference="wire"))
    by_hand = [each for each in await entries_of(office.stores.database) if each.kind != "call"]
    stays = by_hand[4]
    refers = Payment(
        account="acme", kind=EntryKind.PAYMENT, reference=f"undo {stays.id}", made_at=SINCE, amount=Decimal(5),
        currency="USD",
    )  # fmt: skip
    await office.stores.payments.add(refers)  # which an earlier version let people say
    later = office_on(database, *ACCOUNTS, now=SINCE + DAY)
    for each in by_hand[:-1]:  # of the transfer one half
        if each is not stays:
            await undo_payment(later, operator(), UndoPayment(id=each.id))
    undos = {each.reference.rpartition(" ")[2]: each.id for each in (await entries_of(office.stores.database))[-6:]}
    expected = {each.id: None if each is stays else undos[str(each.id)] for each in by_hand}
    assert len({*expected.values()}) == 7

    async def listed(use_case: Any, **order: Any) -> dict[int, int | None]:
        async with aclosing(use_case(office, operator(), ListEntries(**order))) as found:
            return {each.id: each.taken_back_by async for each in found}

    whole = await listed(list_entries)
    assert whole == dict.fromkeys(whole) | expected
    assert len(whole) == 16
    assert await listed(list_payments, until=SINCE + 1) == expected | {by_hand[-1].id + 1: None}
    assert await listed(list_payments, kinds=("zero",)) == {by_hand[3].id: expected[by_hand[3].id]}
    first = by_hand[0].id
    assert await listed(list_entries, account="acme", limit=1, after=first - 1) == {first: expected[first]}


async def test_the_account_of_a_partner_leads_from_balance_to_balance(office: Office) -> None:
    own = [
        each
        for each in await entries_of(office.stores.database)
        if each.account == "peer" and SINCE <= each.created_at < UNTIL
    ]
    for group in ("whole", "week"):
        sheet = await shown(office, "clearing", account="peer", group=group)
        balance = Decimal(0)
        for row in sheet.rows:
            assert Decimal(str(row["opening"])) == balance
            parts = ("charged", "earned", "corrections", "payments", "others")
            balance += sum((Decimal(str(row[name])) for name in parts), Decimal(0))
            assert Decimal(str(row["closing"])) == balance
        assert balance == sum((each.amount for each in own), Decimal(0))
        assert sum(int(row["carried"] or 0) for row in sheet.rows) == 13
        (total,) = sheet.totals
        assert (total["carried"], "opening" in total) == (13, False)
        earned = sum((each.amount for each in own if each.kind == "call"), Decimal(0))
        assert Decimal(str(total["earned"])) == earned


async def test_the_accounts_of_all_lead_from_balance_to_balance_in_one_report(office: Office) -> None:
    booked: dict[str, Decimal] = defaultdict(Decimal)
    for each in await entries_of(office.stores.database):
        booked[each.account] += each.amount
    sheet = await shown(office, "clearing", group="week")
    assert {*sheet.rows[0]} == {column.name for column in sheet.columns}
    of_each = [row for name in booked for row in (await shown(office, "clearing", account=name, group="week")).rows]
    assert sorted(sheet.rows, key=str) == sorted(of_each, key=str)
    assert {(row["account"], row["type"], row["agent"]) for row in sheet.rows} == {
        ("peer", "partner", ""), ("acme", "direct", ""), ("reseller", "direct", ""), ("shop", "direct", "reseller"),
        *((name, "", "") for name in booked.keys() - {each.id for each in ACCOUNTS}),
    }  # fmt: skip
    assert {row["account"]: Decimal(str(row["closing"])) for row in sheet.rows} == booked


async def test_an_account_without_balance_and_entries_has_no_row_of_the_time(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "ROWS_MAX", 4)
    office = office_on(database, *ACCOUNTS, now=SINCE + 5 * DAY)
    for day, amount in ((1, "5"), (2, "-5"), (4, "0.01")):
        payment = Payment(
            account="acme", kind=EntryKind.ADJUSTMENT, reference=f"r{day}", made_at=SINCE + day * DAY,
            amount=Decimal(amount), currency="USD",
        )  # fmt: skip
        await office.stores.payments.add(payment)
    sheet = await shown(office, "clearing", zone="UTC", group="day", until=SINCE + 6 * DAY)
    assert [(row["account"], row["opening"], row["others"], row["closing"]) for row in sheet.rows] == [
        ("acme", "0.00", "5.00", "5.00"), ("acme", "5.00", "-5.00", "0.00"),
        ("acme", "0.00", "0.01", "0.01"), ("acme", "0.01", "0.00", "0.01"),
    ]  # fmt: skip
    with pytest.raises(UnknownNameError):
        await shown(office, "clearing", account="unknown")
    assert (await shown(office, "clearing", account="peer")).rows == []


async def test_agents_and_customers_see_their_own(office: Office) -> None:
    of_agent = await shown(office, "payments", agent("reseller"))
    assert {row["account"] for row in of_agent.rows} == {"shop"}  # without the right to its own entries
    for who, above in ((operator(), "reseller"), (agent("reseller"), "reseller"), (customer("shop"), "")):
        rows = (await shown(office, "balances", who)).rows
        assert {row["agent"] for row in rows if row["account"] == "shop"} == {above}, who.name
    with pytest.raises(RightLackingError):
        await shown(office, "clearing", agent("reseller"), account="reseller")
    with pytest.raises(OutOfScopeError):
        await shown(office, "clearing", customer("acme"), account="peer")
    assert (await shown(office, "clearing", customer("acme"), account="acme")).rows
    names = {each.name for each in await list_reports(office, customer("acme"), ListReports())}
    assert {"balances", "payments", "clearing"} <= names


async def test_an_agent_that_may_read_no_entries_is_told_so_in_place_of_a_report_without_rows(
    database: Database,
) -> None:
    office = office_on(database, account("reseller"), account("shop", agent="reseller"), now=UNTIL)
    for name in ("balances", "payments", "clearing"):
        with pytest.raises(RightLackingError, match="lacks the right own_payments and sub_payments, or"):
            await shown(office, name, agent("reseller"))


async def test_what_makes_no_sense_is_refused(office: Office) -> None:
    with pytest.raises(OrderError, match="is no criterion of this report"):
        await shown(office, "payments", gateway="pbx")
    without = msgspec.structs.replace(operator(), permissions=SHIPPED["viewer"].permissions)
    with pytest.raises(NoSuchReportError, match="that you may see"):
        await shown(office, "balances", without)


async def test_a_configured_account_is_in_the_balances_before_a_switch_has_opened_it(office: Office) -> None:
    named = dict(office.definitions.accounts())
    named["aa-new"] = msgspec.structs.replace(named["shop"], id="aa-new", currency="EUR")
    office.definitions.accounts = lambda _ended=(): named  # type: ignore[method-assign]
    first, *rest = (await shown(office, "balances", until=None)).rows
    shows = ("account", "currency", "balance", "overdraft_limit", "available", "last_payment")
    assert {key: first[key] for key in shows} == {
        "account": "aa-new", "currency": "EUR", "balance": "0.00", "overdraft_limit": "0.00", "available": "0.00",
        "last_payment": None,
    }  # fmt: skip
    assert [row["account"] for row in rest] == sorted(str(row["account"]) for row in rest)
    assert "aa-new" not in {row["account"] for row in (await shown(office, "balances", customer("acme"))).rows}


async def test_balances_of_now_have_type_overdraft_and_what_calls_hold(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[frozenset[str] | None] = []

    async def held(_switch: object, accounts: frozenset[str] | None) -> dict[str, Commitments]:
        asked.append(accounts)
        return {"acme": Commitments(reserved="1.25", unbooked="-25.00")}

    monkeypatch.setattr(reports, "commitments", held)
    await shown(office, "balances", customer("shop"), until=None)
    found = {row["account"]: row for row in (await shown(office, "balances", until=None)).rows}
    assert {name: (row["type"], row["reserved"]) for name, row in found.items() if row["type"]} == {
        "peer": ("partner", "0.00"),
        "acme": ("direct", "1.25"),
        "reseller": ("direct", "0.00"),
        "shop": ("direct", "0.00"),
    }
    assert found["acme"]["overdraft_limit"] == format_amount(ACCOUNTS[1].overdraft_limit or Decimal(0))
    available = Decimal(str(found["acme"]["balance"])) + (ACCOUNTS[1].overdraft_limit or 0) - Decimal("26.25")
    assert found["acme"]["available"] == format_amount(available)
    assert (found["shop"]["agent"], found["shop"]["name"]) == (ACCOUNTS[3].agent, ACCOUNTS[3].name or "")
    sheet = await shown(office, "balances", until=SINCE + DAY)
    past = {row["account"]: row for row in sheet.rows}
    assert past["acme"]["reserved"] is None, "what calls held at a moment that has passed is not known"
    assert {row["reserved"] for row in sheet.totals} == {None}
    assert asked == [frozenset({"shop"}), None]


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
async def test_a_report_until_the_end_of_the_calendar_ends_within_it(office: Office, zone: str) -> None:
    """People write 9999-12-31 for ever."""
    november = 253_402_300_800_000 - 61 * DAY
    for name in ("revenue", "payments", "balances"):
        for group in ("whole", "day", "week", "month"):
            ends = {"until": november + 61 * DAY - 1, "since": november, "zone": zone, "group": group}
            sheet = await shown(office, name, **ends)
            assert sheet.until == "9999-11-29T00:00:00.000Z"


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
async def test_a_report_of_a_time_before_1970_is_one_of_no_calls(office: Office, zone: str) -> None:
    first = -62_135_596_800_000
    for name in ("revenue", "payments"):
        for group in ("whole", "day", "week", "month"):
            of_a_day = await shown(office, name, since=None, until=first, zone=zone, group=group)
            of_days = await shown(office, name, since=first, until=40 * DAY, zone=zone, group=group)
            assert (of_a_day.until, of_days.since) == ("1970-01-03T00:00:00.000Z", "1970-01-01T00:00:00.000Z")
            assert (of_a_day.rows, of_days.rows) == ([], [])
