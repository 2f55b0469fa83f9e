"""Income and cost of the calls of a time, over SQLite and MariaDB."""

from decimal import Decimal

import msgspec
import pytest
from doubles.data.records import STARTED, answered_call, charge_row

from vosd.cdr.record import AGENT, Posting
from vosd.cdr.retention import LONGEST_CALL_MS, DroppedPeriod, RecordKind
from vosd.storage.books import SqlBooks
from vosd.storage.dropped import note_dropped
from vosd.storage.profit import Profit, profit_of

ENDED = STARTED + 64_000


def sold_by_an_agent(index, fee, agents_fee, cost):
    """A call whose customer pays its agent, which pays us."""
    call = answered_call(index, customer_account="acme", vendor_account="carrier", fee=Decimal(fee), cost=Decimal(cost))
    charge = charge_row("reseller", AGENT, 1, Decimal(agents_fee), Decimal("0.05"))
    posting = Posting("reseller", -Decimal(agents_fee) - Decimal("0.05"), f"{call.call_id}/agent-1", "USD")
    return msgspec.structs.replace(call, charges=(*call.charges, charge), postings=(*call.postings, posting))


async def test_a_call_brings_what_the_highest_account_above_it_pays_without_tax(database):
    plain = answered_call(
        1,
        customer_account="acme",
        vendor_account="carrier",
        fee=Decimal("1.20"),
        tax=Decimal("0.24"),
        cost=Decimal("0.90"),
    )
    await SqlBooks(database).book([plain, sold_by_an_agent(2, "2", "1.50", "0.60")])
    assert await profit_of(database, STARTED, ENDED + 10) == [Profit("USD", 2, Decimal("2.70"), Decimal("1.50"))]
    [second] = await profit_of(database, ENDED + 2, ENDED + 10)
    assert second == Profit("USD", 1, Decimal("1.50"), Decimal("0.60"))
    assert second.margin_percent == "60.00"
    assert await profit_of(database, ENDED + 10, ENDED + 20) == []
    first = Profit("USD", 1, Decimal("1.20"), Decimal("0.90"))
    assert await profit_of(database, STARTED, ENDED + 2) == [first], "the second runs until then"


async def test_the_calls_of_a_time_are_there_where_none_was_dropped_that_may_have_ended_in_it(database):
    async with database.writing() as connection:
        await note_dropped(connection, RecordKind.CALLS, STARTED)
    assert await profit_of(database, STARTED + LONGEST_CALL_MS, STARTED + LONGEST_CALL_MS + 1) == []
    with pytest.raises(DroppedPeriod, match="calls from before"):
        await profit_of(database, STARTED + LONGEST_CALL_MS - 1, STARTED + LONGEST_CALL_MS)


async def test_currencies_are_not_added_up(database):
    call = answered_call(1, customer_account="acme", vendor_account="carrier", fee=Decimal(1), cost=Decimal("0.5"))
    ours, theirs = call.charges
    in_euros = msgspec.structs.replace(theirs, currency="EUR")
    first, second = call.postings
    postings = (first, msgspec.structs.replace(second, currency="EUR"))
    await SqlBooks(database).book(
        [msgspec.structs.replace(call, charges=(ours, in_euros), postings=postings, vendor_currency="EUR")]
    )
    plain = answered_call(2, customer_account="acme", vendor_account="carrier2", fee=Decimal(2), cost=Decimal("0.5"))
    await SqlBooks(database).book([plain])
    found = await profit_of(database, STARTED, ENDED + 10)
    assert found == [Profit("EUR", 0, Decimal(0), Decimal("0.5"), 1), Profit("USD", 2, Decimal(3), Decimal("0.5"), 1)]
    assert [each.margin_percent for each in found] == [None, None], "the cost of a part of the income is in euros"
