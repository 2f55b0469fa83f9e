"""Totals that the switch of a partner is shown: of its account alone, by the end of the calls."""

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from doubles.data.builders import account, applied_rate
from doubles.data.records import STARTED, answered_call, refused_call
from doubles.ended_calls import ended_call
from doubles.office import customer, office_on, operator

from vosd.admin.bilateral_totals import BilateralTotals, book_of
from vosd.admin.office.bilateral import ShowTotals, show_totals
from vosd.admin.office.errors import OrderError
from vosd.billing.authority import OutOfScopeError
from vosd.cdr.columns import iso_utc
from vosd.cdr.kinds import NAME_LENGTH
from vosd.clearing.bilateral import PERIOD_MS, PartnerDirection, PartnerTotals, TotalsKey
from vosd.storage import bilateral, long_calls
from vosd.storage.bilateral import TooManyPartnerCallsError
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database

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


async def test_calls_without_cdr_count_as_the_ledger_has_them(database: Database, tmp_path: Path) -> None:
    terms = {"recorded": False, "ended_at": BEGIN + 70_000}
    sell, buy = applied_rate("0.60", tax_rate="10"), applied_rate("0.30")
    sold, bought, later = (ended_call(index, sell, buy, recorded=False) for index in (1, 2, 3))
    sold = msgspec.structs.replace(sold, **terms)
    bought = msgspec.structs.replace(bought, **terms)
    later = msgspec.structs.replace(later, ended_at=BEGIN + PERIOD_MS)
    await SqlBooks(database).book([sold, bought, later])
    accounts = sold.customer_account, bought.vendor_account
    office = office_on(database, *(account(each) for each in accounts), now=STARTED, socket=tmp_path / "s")
    for each, direction, amount in (
        (accounts[0], PartnerDirection.RECEIVED, "0.682"), (accounts[1], PartnerDirection.SENT, "0.31"),
    ):  # fmt: skip
        found = await show_totals(office, operator(), msgspec.structs.replace(ORDER, account=each))
        key = TotalsKey(BEGIN, direction, "", "44")
        assert book_of(found, BEGIN) == {key: PartnerTotals(1, 62, Decimal(amount))}


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
