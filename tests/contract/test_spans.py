"""How tools read the calls of a span: page by page, newest first, with the columns that they ask for."""

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from doubles.month_of_calls import CONFIGURATION, catalogue_of, month

from vosd.admin.rerate import Rerating
from vosd.admin.rerate_booking import Bookings, Run
from vosd.cdr.past import ALWAYS_READ
from vosd.cdr.record import TOO_DEAR, Attempt
from vosd.storage import spans
from vosd.storage.books import SqlBooks
from vosd.storage.corrections import SqlCorrections
from vosd.storage.database import Database
from vosd.storage.ports import CallFilter, ReferenceTaken
from vosd.storage.spans import SqlSpans
from vosd.storage.verify import verify_ledger
from vosd.testing.data.records import STARTED, answered_call, call_id, refused_call

CALLS = 7


@pytest.fixture
async def filled(database: Database, monkeypatch: pytest.MonkeyPatch) -> SqlSpans:
    """Seven calls of two customers, and pages of three."""
    monkeypatch.setattr(spans, "CALLS_AT_ONCE", 3)
    calls = [answered_call(index, customer_account="ab"[index % 2]) for index in range(CALLS - 1)]
    await SqlBooks(database).book([*calls, refused_call(CALLS - 1, customer_account="a")])
    return SqlSpans(database)


async def numbers(reader: SqlSpans, **criteria: object) -> list[list[int]]:
    known = {call_id(index): index for index in range(CALLS)}
    wanted = CallFilter(**{"limit": 100, **criteria})
    return [[known[call.call_id] for call in page] async for page in reader.pages(wanted)]


async def test_all_calls_are_read_in_pages(filled: SqlSpans) -> None:
    assert await numbers(filled) == [[6, 5, 4], [3, 2, 1], [0]]
    assert await numbers(filled, limit=4) == [[6, 5, 4], [3]]
    assert await numbers(filled, since=STARTED + 2, until=STARTED + 4) == [[3, 2]]


async def test_the_calls_of_an_account_are_read_as_customer_and_as_vendor(filled: SqlSpans) -> None:
    assert await numbers(filled, account="a") == [[6, 4, 2], [0]]
    assert await numbers(filled, account="vendor-1") == [[1]]
    assert await numbers(filled, account="unknown") == []


async def test_a_call_has_the_values_of_its_record(filled: SqlSpans) -> None:
    record = answered_call(1, customer_account="b")
    async for page in filled.pages(CallFilter(account="vendor-1"), with_breakdown=True, with_tried=True):
        (past,) = page
    expected = {name: getattr(record, name) for name in (*ALWAYS_READ, "fee_breakdown")}
    assert past._asdict() == {**expected, "tried": ("vendor-1-trunk",), "agents": ()}
    assert past.vendor_ms == record.ended_at - (record.vendor_answered_at or 0)


async def test_what_is_not_asked_for_is_not_read(filled: SqlSpans) -> None:
    async for page in filled.pages(CallFilter(account="vendor-1")):
        assert [(call.fee_breakdown, call.tried) for call in page] == [("", ())]


async def test_a_gateway_that_was_too_dear_was_not_tried(database: Database) -> None:
    attempts = (Attempt("dear", 0, 0, None, TOO_DEAR), Attempt("first", 503, 5, None, "Unavailable"))
    record = msgspec.structs.replace(answered_call(1), attempts=(*attempts, Attempt("second", 200, 9, 5, "Normal")))
    await SqlBooks(database).book([record])
    async for page in SqlSpans(database).pages(CallFilter(), with_tried=True):
        assert page[0].tried == ("first", "second")


async def test_a_booked_month_is_rated_again_to_the_last_byte(database: Database, tmp_path: Path) -> None:
    catalogue = catalogue_of(tmp_path)
    records = month(catalogue, 300)
    await SqlBooks(database).book(records)
    rerating = Rerating(catalogue, compares_steps=True)
    wanted = CallFilter(limit=len(records))
    async for page in SqlSpans(database).pages(wanted, with_breakdown=True, with_agents=True):
        for call in page:
            rerating.add(call)
    assert (rerating.calls, rerating.differences.differ, rerating.steps_differ) == (len(records), 0, 0)
    roles = {row["role"] for row in rerating.to_json(0)["accounts"]}
    assert roles == {"customer", "vendor", "agent"}


async def test_what_a_new_rating_differs_in_is_booked_once(database: Database, tmp_path: Path) -> None:
    records = month(catalogue_of(tmp_path), 200)
    await SqlBooks(database).book(records)
    dearer = catalogue_of(tmp_path, CONFIGURATION.replace('"0.0071"', '"0.0171"').replace("0.00987654", "0.01"))

    async def rerate(reference: str) -> tuple[Rerating, Bookings]:
        rerating = Rerating(dearer, corrects=True)
        bookings = Bookings(SqlCorrections(database), Run(reference, "ann", "a wrong price", STARTED))
        async for page in SqlSpans(database).pages(CallFilter(limit=1_000), with_agents=True):
            for call in page:
                await bookings.add(call.call_id, rerating.add(call))
        await bookings.finish()
        return rerating, bookings

    before = (await SqlBooks(database).standings()).standings
    first, booked = await rerate("run-1")
    assert first.differences.differ == booked.charges + first.uncorrected > 10
    after = (await SqlBooks(database).standings()).standings
    moved = {row["account"]: Decimal(str(row["amount"])) for row in booked.to_json()["accounts"]}
    assert moved == {name: after[name].balance - before[name].balance for name in moved}
    assert {"cycles", "agent", "seconds"} <= moved.keys()
    assert (await verify_ledger(database)).differences == ()
    again, repeated = await rerate("run-1")
    assert (again.differences.differ, repeated.charges, repeated.repeated) == (first.uncorrected, 0, 0)
    # Another rating under the same name is refused, and books nothing.
    dearer = catalogue_of(tmp_path, CONFIGURATION.replace('"0.0071"', '"0.0271"'))
    with pytest.raises(ReferenceTaken):
        await rerate("run-1")
    assert (await SqlBooks(database).standings()).standings == after
