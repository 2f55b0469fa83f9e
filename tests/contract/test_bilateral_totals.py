"""Totals that the switch of a partner is shown: of its account alone, by the end of the calls."""

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from doubles.data.builders import account, applied_rate
from doubles.data.records import STARTED, answered_call, refused_call
from doubles.ended_calls import ended_call
from doubles.migrated import migrated
from doubles.office import customer, office_on, operator
from doubles.statements import statements_of

from vosd.admin.bilateral_totals import BilateralTotals, book_of
from vosd.admin.office.bilateral import ShowTotals, show_totals
from vosd.admin.office.principal import OrderError
from vosd.base.ids import uuid7
from vosd.billing.authority import OutOfScopeError
from vosd.billing.parties import Party
from vosd.cdr.columns import iso_utc
from vosd.cdr.kinds import NAME_LENGTH
from vosd.cdr.record import CallRecord
from vosd.clearing.bilateral import PERIOD_MS, PartnerDirection, PartnerTotals, TotalsKey
from vosd.storage import bilateral, long_calls
from vosd.storage.bilateral import SqlEndedCalls, TooManyPartnerCallsError
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database
from vosd.storage.reconciliations import SqlReconciliations

BEGIN = STARTED - STARTED % PERIOD_MS
ORDER = ShowTotals(account="peer", since=BEGIN, until=BEGIN + PERIOD_MS)


async def test_the_calls_of_a_partner_are_added_up_by_gateway_and_prefix(database: Database, tmp_path: Path) -> None:
    ended = {"ended_at": BEGIN + 70_000}
    at_edge = {"ended_at": BEGIN + PERIOD_MS - 1}
    sent = {"vendor_account": "peer", "vendor_answered_at": STARTED, "cost": Decimal(2), "cost_tax": Decimal("0.2")}
    await SqlBooks(database).book(
        [
            answered_call(1, customer_account="peer", fee=Decimal(3), tax=Decimal("0.3"), **ended),
            answered_call(2, customer_account="peer", fee=Decimal(5), **at_edge),
            answered_call(3, callee_out="0044201", **sent, **ended),
            answered_call(4, customer_account="peer", ended_at=BEGIN + PERIOD_MS),
            answered_call(5, **ended),
            answered_call(7, customer_account="peer", ended_at=BEGIN - 1),
            refused_call(6, customer_account="peer", **ended),
        ]
    )
    office = office_on(database, account("peer"), account("other"), now=STARTED, socket=tmp_path / "s")
    found = await show_totals(office, customer("peer"), ORDER)
    assert (found.currency, {row.since for row in found.rows}) == ("USD", {iso_utc(BEGIN)})
    assert book_of(found, BEGIN) == {
        TotalsKey(BEGIN, PartnerDirection.RECEIVED, "peer-pbx", "4420"): PartnerTotals(
            2, 120, Decimal("8.3"), 60, Decimal(5)
        ),
        TotalsKey(BEGIN, PartnerDirection.SENT, "peer-trunk", "4420"): PartnerTotals(1, 60, Decimal("2.2")),
    }
    with pytest.raises(OutOfScopeError):
        await show_totals(office, customer("other"), ORDER)


async def test_a_call_that_the_partner_alone_has_answered_is_as_long_as_the_partner_has_it(database: Database) -> None:
    """The CDR has no hold time, that of the partner has one; in two currencies seconds are compared."""
    at = {"vendor_answered_at": BEGIN + 10_000, "ended_at": BEGIN + 40_100, "hold_time_s": 0}
    sent = answered_call(1, vendor_account="peer", answered_at=None, fee=Decimal(0), cost=Decimal(2), **at)
    late = answered_call(2, customer_account="peer", answered_at=None, fee=Decimal(1), **at)  # the ringing is charged
    await SqlBooks(database).book([sent, late])
    found = await SqlEndedCalls(database).of("peer", BEGIN, BEGIN + PERIOD_MS)
    assert {(each.direction, each.seconds) for each in found} == {
        (PartnerDirection.SENT, 31), (PartnerDirection.RECEIVED, 0),
    }  # fmt: skip


async def test_calls_that_a_replica_lacks_are_in_the_totals(tmp_path: Path) -> None:
    database = Database(migrated(tmp_path / "vosd.db"), replica=migrated(tmp_path / "copy.db"))
    without_cdr = unrecorded(1, BEGIN, BEGIN + 70_000)
    name = str(without_cdr.customer_account)
    await SqlBooks(database).book([without_cdr, answered_call(2, customer_account=name, ended_at=BEGIN + 70_000)])
    assert len(await SqlEndedCalls(database).of(name, BEGIN, BEGIN + PERIOD_MS)) == 2
    await database.close()


@pytest.mark.parametrize(
    ("ended", "later_ms", "periods"),
    [
        (BEGIN + 70_000, 600, 1), (BEGIN - 500, 600, 1), (BEGIN + PERIOD_MS - 500, 600, 0),
        (BEGIN - 70_000, 130_000, 1), (BEGIN - 3 * PERIOD_MS, 4 * PERIOD_MS - 1, 1),
        (BEGIN + PERIOD_MS - 10_000, 110_000, 0),
    ],
)  # fmt: skip
async def test_an_answer_that_crossed_our_cancel_is_one_call_of_the_partner(
    database: Database, tmp_path: Path, ended: int, later_ms: int, periods: int
) -> None:
    """With SS_STARTBILLINGTIME 1 the CDR of the call has charged the ringing, and that of the late answer the rest.

    Behind a kill the answer may come minutes later.
    """
    sent = {
        "vendor_account": "peer", "sip_call_id_out": "out-1", "customer_account": None, "charges": (), "postings": (),
    }  # fmt: skip
    ringing = answered_call(
        1, answered_at=None, vendor_answered_at=None, cost=Decimal(2), cost_tax=Decimal("0.2"), hold_time_s=0,
        ended_at=ended, **sent,
    )  # fmt: skip
    late = answered_call(
        2, vendor_answered_at=STARTED, vendor_paid_ms=10_000, cost=Decimal("0.5"), cost_tax=Decimal("0.05"),
        hold_time_s=0, ended_at=ended + later_ms, **sent,
    )  # fmt: skip
    alone = answered_call(
        3, answered_at=None, vendor_answered_at=None, cost=Decimal(1), cost_tax=Decimal(0), hold_time_s=0,
        ended_at=BEGIN + 90_000, **sent | {"sip_call_id_out": "out-2"},
    )  # fmt: skip
    await SqlBooks(database).book([ringing, late, alone])
    office = office_on(database, account("peer"), now=STARTED, socket=tmp_path / "s")
    found = book_of(await show_totals(office, customer("peer"), ORDER), BEGIN)
    totals = {(key.direction, each.calls, each.amount) for key, each in found.items()}
    amount = Decimal("2.75") * periods + 1
    assert totals == {(PartnerDirection.SENT, periods + 1, amount)}


async def test_calls_without_cdr_count_as_the_ledger_has_them(database: Database, tmp_path: Path) -> None:
    """An agent above the customer is no partner of the call, and a call of many hours counts where it ends."""
    hour = 3_600_000
    calls = [
        unrecorded(1, BEGIN, BEGIN + 70_000),
        unrecorded(2, BEGIN - 30 * hour, BEGIN + 70_000),
        unrecorded(3, BEGIN, BEGIN + PERIOD_MS),
        unrecorded(4, BEGIN - 30 * hour, BEGIN - 1),
    ]
    books = SqlBooks(database)
    await books.book(calls)
    await books.book([*calls, unrecorded(5, BEGIN - 2 * hour, BEGIN + 70_000)])
    accounts = calls[0].customer_account, calls[0].vendor_account, "agent"
    office = office_on(database, *(account(each) for each in accounts), now=STARTED, socket=tmp_path / "s")

    async def seen_by(name: str) -> dict[TotalsKey, PartnerTotals]:
        return book_of(await show_totals(office, operator(), msgspec.structs.replace(ORDER, account=name)), BEGIN)

    received = TotalsKey(BEGIN, PartnerDirection.RECEIVED, "", "44")
    sent = TotalsKey(BEGIN, PartnerDirection.SENT, "", "44")
    assert await seen_by(accounts[0]) == {received: PartnerTotals(3, 186, Decimal("2.046"))}
    assert await seen_by(accounts[1]) == {sent: PartnerTotals(3, 186, Decimal("0.93"))}
    assert await seen_by("agent") == {}


@pytest.mark.parametrize(("prefix", "shown"), [("*", ""), ("+4420", "4420")])
async def test_a_call_without_cdr_has_what_the_prefix_of_its_rate_says_of_its_number(
    database: Database, prefix: str, shown: str
) -> None:
    record = ended_call(1, applied_rate("0.60", prefix=prefix), applied_rate("0.30"), recorded=False)
    await SqlBooks(database).book([record])
    (call,) = await SqlEndedCalls(database).of(record.customer_account, record.ended_at, record.ended_at + 1)
    assert (call.gateway, call.prefix) == ("", shown)


async def test_the_late_answer_of_a_call_is_found_by_its_call_id(database: Database) -> None:
    """Else each late answer would read all calls of the partner."""
    await SqlBooks(database).book([answered_call(index, vendor_account="peer") for index in range(40)])
    with statements_of(database, "vendor_paid_ms") as asked:
        await SqlEndedCalls(database).of("peer", STARTED, STARTED + PERIOD_MS)
        _ = [page async for page in SqlReconciliations(database).calls("peer", STARTED, STARTED + PERIOD_MS)]
    assert len(asked) >= 3
    if not database.is_sqlite:
        async with database.writing() as connection:
            await connection.exec_driver_sql("ANALYZE TABLE cdr, cdr_attempt, ledger_entry")
    for statement, parameters in asked:
        async with database.reading() as connection:
            explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN FORMAT=TRADITIONAL "
            plan = (await connection.exec_driver_sql(explain + statement, parameters)).mappings().all()
        if database.is_sqlite:
            found = [each["detail"] for each in plan if " other " in each["detail"]]
            assert {each.partition(" USING ")[2] for each in found} == {"INDEX cdr_sip_out (sip_call_id_out=?)"}
        else:
            assert {each["key"] for each in plan if each["table"] == "other"} == {"cdr_sip_out"}


async def test_the_entries_of_calls_without_cdr_are_found_by_the_time_of_their_calls(database: Database) -> None:
    """Entries of other times are not read: an account may have millions."""
    await SqlBooks(database).book([unrecorded(index, BEGIN - 86_400_000, BEGIN - 86_330_000) for index in range(40)])
    vendor = unrecorded(0, BEGIN, BEGIN).vendor_account
    with statements_of(database, "FROM ledger_entry") as asked:
        assert await SqlEndedCalls(database).of(vendor, BEGIN, BEGIN + PERIOD_MS) == []
    ((statement, parameters),) = asked
    if not database.is_sqlite:
        async with database.writing() as connection:
            await connection.exec_driver_sql("ANALYZE TABLE ledger_entry")
    async with database.reading() as connection:
        explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN FORMAT=TRADITIONAL "
        ((plan),) = (await connection.exec_driver_sql(explain + statement, parameters)).mappings()
    if database.is_sqlite:
        assert "(account=? AND kind=? AND reference>? AND reference<?)" in plan["detail"]
    else:
        assert (plan["key"], plan["type"]) == ("ledger_entry_once", "range")


def unrecorded(index: int, began: int, ended: int) -> CallRecord:
    """Return a paid call without CDR, of a customer below an agent."""
    sell, buy = applied_rate("0.60", tax_rate="10"), applied_rate("0.30")
    record = ended_call(1, sell, buy, (Party("agent", "agent", 1, applied_rate("0.50")),), recorded=False)
    identity = uuid7(began, index.to_bytes(10))
    postings = (
        msgspec.structs.replace(each, reference=each.reference.replace(record.call_id, identity))
        for each in record.postings
    )
    return msgspec.structs.replace(record, call_id=identity, started_at=began, ended_at=ended, postings=tuple(postings))


async def test_spans_that_are_too_long_or_too_full_are_refused(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = office_on(database, account("peer"), now=STARTED, socket=tmp_path / "s")
    for changes in ({"since": BEGIN + 1}, {"until": BEGIN}, {"until": BEGIN + 25 * PERIOD_MS}):
        with pytest.raises(OrderError):
            await show_totals(office, operator(), msgspec.structs.replace(ORDER, **changes))
    monkeypatch.setattr(bilateral, "CALLS_MAX", 1)
    await SqlBooks(database).book([answered_call(1, customer_account="peer", ended_at=BEGIN + 70_000)])
    with pytest.raises(TooManyPartnerCallsError, match="more than 1 calls"):
        await show_totals(office, operator(), ORDER)


@pytest.mark.parametrize(
    "changes",
    [
        {"since": "soon"}, {"amount": "NaN"}, {"amount": "9E+9"}, {"amount": "-1"}, {"edge_amount": "much"},
        {"edge_amount": "1.1"}, {"edge_seconds": 2}, {"calls": -1}, {"seconds": 10**13},
    ],
    ids=str,
)  # fmt: skip
def test_times_and_amounts_of_others_that_are_none_are_refused(changes: dict[str, str]) -> None:
    row = {
        "since": iso_utc(BEGIN), "direction": "sent", "gateway": "g" * 999, "prefix": "4" * 999, "calls": 1,
        "seconds": 1, "amount": "1", "edge_seconds": 1, "edge_amount": "1",
    }  # fmt: skip
    found = {"account": "a", "currency": None, "rows": [row]}
    (key,) = book_of(msgspec.convert(found, BilateralTotals), BEGIN)
    assert (len(key.gateway), key.prefix) == (NAME_LENGTH, "4444")
    with pytest.raises(ValueError):
        book_of(msgspec.convert({**found, "rows": [row | changes]}, BilateralTotals), BEGIN)


async def test_calls_of_many_hours_count_where_they_end(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hour = 3_600_000
    ended = {"ended_at": BEGIN + 70_000, "customer_account": "peer"}
    calls = [
        answered_call(1, **ended, started_at=BEGIN - 30 * hour, answered_at=BEGIN - 30 * hour, fee=Decimal(90)),
        answered_call(2, **ended, started_at=BEGIN - hour, fee=Decimal(4)),
        answered_call(3, **ended, started_at=BEGIN - 2 * hour, fee=Decimal(20)),
        answered_call(4, customer_account="peer", started_at=BEGIN - 90 * hour, ended_at=BEGIN - 1, fee=Decimal(700)),
        answered_call(5, ended_at=BEGIN + 70_000, started_at=BEGIN - 30 * hour),
    ]
    books = SqlBooks(database)
    await books.book(calls)
    await books.book(calls)
    office = office_on(database, account("peer"), now=STARTED, socket=tmp_path / "s")
    found = book_of(await show_totals(office, customer("peer"), ORDER), BEGIN)
    (totals,) = [each for key, each in found.items() if key.direction is PartnerDirection.RECEIVED]
    assert (totals.calls, totals.amount) == (3, Decimal(114))
    monkeypatch.setattr(long_calls, "KEPT_MS", 40 * hour)
    later = {"started_at": BEGIN + 20 * hour, "ended_at": BEGIN + 60 * hour}
    await books.book([answered_call(6, **later, customer_account="peer")])
    found = book_of(await show_totals(office, customer("peer"), ORDER), BEGIN)
    assert sum(each.calls for each in found.values()) == 2, "the long one is forgotten"
