"""The past of accounts and destinations, read from stored calls."""

from decimal import Decimal

from doubles.data.records import STARTED, answered_call

from vosd.billing.destination_past import Span
from vosd.billing.free_numbers import FREE_NUMBER
from vosd.storage.books import SqlBooks
from vosd.storage.destination_past import SqlDestinationPast

HOUR_MS = 3_600_000


async def test_answered_calls_are_added_up_by_span_and_first_digits(database):
    def call(index: int, started_at: int, number: str, **more):
        answered = {"started_at": started_at, "answered_at": started_at + 5, "ended_at": started_at + 60_005}
        charged = {"fee": Decimal("0.25"), "tax": Decimal("0.05"), "hold_time_ms": 60_000}
        parties = {"customer_account": "acme", "callee_billing": number}
        return answered_call(index, **{**answered, **charged, **parties, **more})

    await SqlBooks(database).book(
        [
            call(1, STARTED, "449012345"),
            call(2, STARTED + 1, "449099999"),
            call(3, STARTED + 2, "4420"),
            call(4, STARTED + HOUR_MS, "449012345"),
            call(5, STARTED + 3, "449012345", customer_account="other"),
            call(6, STARTED + 4, "449012345", answered_at=None, fee=Decimal(0), tax=Decimal(0)),
            call(7, STARTED - 1, "44"),
            call(8, STARTED + 5, "449012345", rate_group=FREE_NUMBER, fee=Decimal(0), tax=Decimal(0)),
            call(9, STARTED + 6, "4420", rate_group=None),
        ]
    )
    past = SqlDestinationPast(database)
    spans = [Span(STARTED + HOUR_MS, STARTED + 2 * HOUR_MS), Span(STARTED, STARTED + HOUR_MS)]
    found = {(each.place, each.digits): each.usage for each in await past.begun_in("acme", spans, 4)}
    assert found == {
        (0, "4490"): (1, 60_000, Decimal("0.30")),
        (1, "4490"): (2, 120_000, Decimal("0.60")),
        (1, "4420"): (2, 120_000, Decimal("0.60")),
    }
    assert await past.begun_in("acme", [], 4) == []
    assert await past.begun_in("idle", spans, 4) == []
    ended = await past.ended_in("acme", Span(STARTED + 60_006, STARTED + HOUR_MS), 2, 12 * HOUR_MS)
    assert [(each.digits, each.usage.calls) for each in ended] == [("44", 3)]
    assert await past.ended_in("acme", Span(STARTED + 60_006, STARTED + HOUR_MS), 2, 1_000) == []
    assert await past.first_call("acme") == STARTED - 1
    assert await past.first_call("idle") is None
