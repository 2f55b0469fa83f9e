"""Corrections of charges, over SQLite and MariaDB: new entries for the difference, and the history of what was."""

from decimal import Decimal

import msgspec
import pytest
from doubles.collisions import colliding
from doubles.data.records import answered_call, call_id, charge_row, refused_call
from sqlalchemy import delete, event, select, update

from vosd.billing.free_numbers import FREE_NUMBER
from vosd.cdr.corrections import Amounts, ChargeChange, Correction, NoSuchCharge
from vosd.cdr.ports import Collided
from vosd.cdr.record import AGENT, CUSTOMER, VENDOR, Posting
from vosd.storage import schema
from vosd.storage.books import SqlBooks
from vosd.storage.corrections import NoSuchCall, SqlCorrections
from vosd.storage.driver_errors import BalanceTooLarge, ContentRefused
from vosd.storage.faults import BookDifference, BookFault
from vosd.storage.payments import SqlPayments
from vosd.storage.ports import EntryKind, OtherCurrency, Payment, ReferenceTaken
from vosd.storage.queries import SqlQueries
from vosd.storage.verify import verify_ledger

FEE, COST, SHARE = Decimal("0.51"), Decimal("0.30"), Decimal("0.40")
MADE = 1_790_000_500_000


def correction(index: int, *changes: ChargeChange, reference: str = "ticket 7", memo: str = "wrong rate") -> Correction:
    return Correction(call_id(index), changes, reference, "ann", memo, MADE)


def customer(fee: str, tax: str = "0.00", seconds: int = 60) -> ChargeChange:
    return ChargeChange(CUSTOMER, 0, Amounts(Decimal(fee), Decimal(tax), seconds))


def vendor(cost: str) -> ChargeChange:
    return ChargeChange(VENDOR, 0, Amounts(Decimal(cost), Decimal(0), 60))


@pytest.fixture
async def booked(database):
    """A call of an agent's customer, a plain one, a refused one, and one without CDR."""
    plain = answered_call(1, customer_account="acme", vendor_account="carrier", fee=FEE, cost=COST)
    charges = (plain.charges[0], charge_row("reseller", AGENT, 1, SHARE), plain.charges[1])
    postings = (*plain.postings, Posting("reseller", -SHARE, f"{call_id(1)}/agent-1", "USD"))
    terms = {"customer_account": "acme", "vendor_account": "carrier", "fee": FEE, "cost": COST}
    await SqlBooks(database).book(
        [
            answered_call(1, charges=charges, postings=postings, **terms),
            answered_call(2, **terms),
            refused_call(3),
            answered_call(4, recorded=False, **terms),
        ]
    )
    return database


async def record_of(database, index: int):
    stored = await SqlQueries(database).call(call_id(index))
    assert stored is not None
    return stored.record


async def balance(database, account: str) -> Decimal:
    standing = await SqlQueries(database).standing(account)
    assert standing is not None
    return standing.balance


async def entries(database, kind: str = "correction"):
    table = schema.ledger_entry
    async with database.reading() as connection:
        return (await connection.execute(select(table).where(table.c.kind == kind).order_by(table.c.id))).all()


async def test_a_lower_fee_gives_the_difference_back_in_an_entry_of_its_own(booked):
    before = await balance(booked, "acme")
    originals = await entries(booked, "call")
    (change,) = await SqlCorrections(booked).book([correction(1, customer("0.36"))])
    assert (change.amount, change.before.fee, change.after.fee) == (Decimal("0.15"), FEE, Decimal("0.36"))
    assert await balance(booked, "acme") == before + Decimal("0.15")
    (entry,) = await entries(booked)
    assert (entry.account, entry.amount, entry.operator, entry.memo) == ("acme", Decimal("0.15"), "ann", "wrong rate")
    assert (entry.call_id, entry.reference, entry.created_at) == (call_id(1), f"ticket 7/{call_id(1)}/customer", MADE)
    assert await entries(booked, "call") == originals, "nothing in the ledger is changed"
    assert (await verify_ledger(booked)).differences == ()


async def test_cdr_and_charge_show_what_it_costs_now_and_the_steps_what_was_rated(booked):
    as_rated = await record_of(booked, 1)
    await SqlCorrections(booked).book([correction(1, customer("0.36", "0.03", 54))])
    record = await record_of(booked, 1)
    assert (record.fee, record.tax, record.billed_seconds) == (Decimal("0.36"), Decimal("0.03"), 54)
    charge = record.charges[0]
    assert (charge.fee, charge.tax, charge.billed_seconds, charge.corrected) == (
        *(Decimal("0.36"), Decimal("0.03"), 54),
        1,
    )
    assert [each.corrected for each in record.charges[1:]] == [0, 0]
    assert record.fee_breakdown == as_rated.fee_breakdown
    assert (record.hold_time_ms, record.started_at, record.callee_in) == (
        *(as_rated.hold_time_ms, as_rated.started_at),
        as_rated.callee_in,
    )


async def test_agents_and_vendors_are_corrected_likewise(booked):
    changes = (
        ChargeChange(AGENT, 1, Amounts(Decimal("0.50"), Decimal(0), 60)),
        ChargeChange(VENDOR, 0, Amounts(Decimal("0.20"), Decimal("0.02"), 60)),
    )
    await SqlCorrections(booked).book([correction(1, *changes)])
    assert await balance(booked, "reseller") == Decimal("-0.50")
    record = await record_of(booked, 1)
    assert (record.fee, record.cost, record.cost_tax) == (FEE, Decimal("0.20"), Decimal("0.02"))
    assert [(each.account, each.amount) for each in await entries(booked)] == [
        ("reseller", Decimal("-0.10")),
        ("carrier", Decimal("0.08")),
    ]
    assert (await verify_ledger(booked)).differences == ()


async def test_the_same_reference_corrects_once(booked):
    store = SqlCorrections(booked)
    first = await store.book([correction(1, customer("0.36"))])
    again = await store.book([correction(1, customer("0.36"))])
    assert [(each.is_repeated, each.is_outdated) for each in (*first, *again)] == [(False, False), (True, False)]
    assert again[0].before.fee == FEE
    assert len(await entries(booked)) == 1
    with pytest.raises(ReferenceTaken, match="ticket 7 has corrected call"):
        await store.book([correction(1, customer("0.35"))])
    assert len(await store.book([correction(2, customer("0.36"))])) == 1, "it is another call"


@pytest.mark.parametrize("books", [True, False])
async def test_a_reference_takes_no_further_charges_of_its_call(booked, books):
    store = SqlCorrections(booked)
    await store.book([correction(1, customer("0.36"))])
    correct = store.book if books else store.preview
    with pytest.raises(ReferenceTaken, match="ticket 7 has corrected call"):
        await correct([correction(1, customer("0.36"), vendor("0.20"))])
    with pytest.raises(NoSuchCharge):
        await correct([correction(1, customer("0.36"), ChargeChange(AGENT, 7, vendor("0.20").after))])
    assert len(await entries(booked)) == 1
    assert (await record_of(booked, 1)).cost == COST


async def test_a_repeat_is_the_same_where_a_charge_was_as_wanted_or_was_corrected_since(booked):
    store = SqlCorrections(booked)
    both = correction(1, customer("0.36"), vendor(str(COST)))
    assert [each.role for each in await store.book([both])] == [CUSTOMER], "the cost is as wanted"
    assert [each.is_repeated for each in await store.book([both])] == [True]
    for cost, reference in (("0.20", "ticket 8"), ("0.25", "ticket 9")):
        await store.book([correction(1, vendor(cost), reference=reference)])
        assert [each.is_repeated for each in await store.book([both])] == [True]
    assert [each.is_repeated for each in await store.book([correction(1, customer("0.36"), vendor("0.25"))])] == [True]
    with pytest.raises(ReferenceTaken):
        await store.book([correction(1, customer("0.36"), vendor("0.20"))])
    assert (await record_of(booked, 1)).cost == Decimal("0.25")
    assert len(await entries(booked)) == 3


async def test_a_repeat_says_which_charges_were_corrected_otherwise_since(booked):
    store = SqlCorrections(booked)
    both = correction(1, customer("0.36"), vendor("0.20"))
    await store.book([both])
    await store.book([correction(1, vendor("0.25"), reference="ticket 8")])
    again = await store.book([both])
    assert [(each.role, each.is_repeated, each.is_outdated) for each in again] == [
        (CUSTOMER, True, False), (VENDOR, True, True),
    ]  # fmt: skip
    assert (await record_of(booked, 1)).cost == Decimal("0.25")


async def test_a_call_of_which_one_charge_was_corrected_since_stays_as_a_whole(booked):
    store = SqlCorrections(booked)
    wanted = [each._replace(follows="") for each in (customer("0.40"), vendor("0.20"))]
    await store.book([correction(1, customer("0.36"))])
    left = await store.book([correction(1, *wanted, reference="rerate-1")])
    assert [each.is_overtaken for each in left] == [True, True]
    record = await record_of(booked, 1)
    assert (record.fee, record.cost) == (Decimal("0.36"), COST)
    assert len(await entries(booked)) == 1


async def test_amounts_that_are_as_wanted_already_change_nothing(booked):
    store = SqlCorrections(booked)
    await store.book([correction(1, customer("0.36"))])
    assert await store.book([correction(1, customer("0.36"), reference="another")]) == []
    assert len(await entries(booked)) == 1


async def test_corrections_of_corrections_are_kept_one_after_the_other(booked):
    store = SqlCorrections(booked)
    await store.book([correction(1, customer("0.36"))])
    await store.book([correction(1, customer("0.40"), reference="ticket 8", memo="of another month")])
    history = await store.history(call_id(1))
    assert [(each.before.fee, each.after.fee, each.memo, each.operator) for each in history] == [
        (FEE, Decimal("0.36"), "wrong rate", "ann"),
        (Decimal("0.36"), Decimal("0.40"), "of another month", "ann"),
    ]
    assert await store.history(call_id(2)) == []
    assert (await record_of(booked, 1)).charges[0].corrected == 2
    assert (await verify_ledger(booked)).differences == ()


async def test_only_the_seconds_can_change_without_an_entry(booked):
    await SqlCorrections(booked).book([correction(1, customer(str(FEE), seconds=30))])
    assert (await record_of(booked, 1)).billed_seconds == 30
    assert await entries(booked) == []
    assert (await verify_ledger(booked)).differences == ()


async def test_a_preview_says_the_same_and_books_nothing(booked):
    store, wanted = SqlCorrections(booked), [correction(1, customer("0.36"))]
    assert await store.preview(wanted) == await store.book(wanted)
    assert (await record_of(booked, 2)).charges[0].corrected == 0
    await store.preview([correction(2, customer("0.01"))])
    assert (await record_of(booked, 2)).fee == FEE


async def test_a_batch_is_corrected_whole_or_not_at_all(booked):
    store = SqlCorrections(booked)
    before = await balance(booked, "acme")
    with pytest.raises(NoSuchCharge, match="has no charge for the customer"):
        await store.book([correction(1, customer("0.36")), correction(3, customer("0.36"))])
    assert await balance(booked, "acme") == before
    changes = await store.book([correction(1, customer("0.36")), correction(2, customer("0.41"))])
    assert len(changes) == 2
    assert await balance(booked, "acme") == before + Decimal("0.25")
    assert (await verify_ledger(booked)).differences == ()


async def test_a_batch_changes_its_calls_by_few_statements(database):
    """Rating again books a hundred calls at once; each of them was six trips to the database."""
    calls, terms = range(1, 41), {"customer_account": "acme", "vendor_account": "carrier", "fee": FEE, "cost": COST}
    await SqlBooks(database).book([answered_call(index, **terms) for index in calls])
    trips: list[str] = []

    def note(_connection: object, _cursor: object, text: str, parameters: list[object], _c: object, many: bool) -> None:
        trips.extend([text] * (len(parameters) if many else 1) if text.startswith("UPDATE") else ())

    listen = (database.engine.sync_engine, "before_cursor_execute", note)
    event.listen(*listen)
    wanted = {}
    for index in calls:  # of each call the customer, the vendor, or both, with amounts of its own
        of_customer, of_vendor = customer(f"0.6{index:02}", seconds=index), vendor(f"0.6{index:02}")
        wanted[index] = ((of_customer, of_vendor), (of_customer,), (of_vendor,))[index % 3]
    await SqlCorrections(database).book([correction(index, *own) for index, own in wanted.items()])
    event.remove(*listen)
    assert len(trips) < 10
    for index, own in wanted.items():
        record, fee = await record_of(database, index), Decimal(f"0.6{index:02}")
        is_of = {each.role for each in own}
        assert record.fee == (fee if CUSTOMER in is_of else FEE)
        assert record.billed_seconds == (index if CUSTOMER in is_of else 60)
        assert record.cost == (fee if VENDOR in is_of else COST)
        assert [each.corrected for each in record.charges] == [int(each.role in is_of) for each in record.charges]
    async with database.reading() as connection:
        numbers = {*(await connection.execute(select(schema.cdr.c.export_seq))).scalars()}
    assert len(numbers) == len(calls)
    assert (await verify_ledger(database)).differences == ()


@pytest.mark.parametrize("index", [4, 99])
async def test_a_call_without_cdr_is_not_corrected(booked, index):
    with pytest.raises(NoSuchCall, match="book what is wrong as an adjustment"):
        await SqlCorrections(booked).book([correction(index, customer("0.36"))])


@pytest.mark.parametrize(("collisions", "entries_made"), [(2, 1), (3, 0)])
async def test_a_correction_that_collides_is_tried_thrice(booked, collisions, entries_made):
    """Run over months of calls, rating again would end at the first commit of another node in a cluster."""
    before, lower = await balance(booked, "acme"), correction(1, customer("0.36"))
    with colliding(booked, "INTO cdr_correction", lambda number: number < collisions):
        if collisions == 3:
            with pytest.raises(Collided, match="another transaction"):
                await SqlCorrections(booked).book([lower])
        else:
            (made,) = await SqlCorrections(booked).book([lower])
            assert made.is_new
    assert len(await entries(booked)) == entries_made
    assert await balance(booked, "acme") == before + entries_made * Decimal("0.15")


async def test_an_account_with_its_money_in_another_currency_is_refused(booked):
    async with booked.writing() as connection:
        await connection.execute(update(schema.account).where(schema.account.c.id == "acme").values(currency="EUR"))
    with pytest.raises(OtherCurrency, match="has its money in EUR, the charge is in USD"):
        await SqlCorrections(booked).book([correction(1, customer("0.36"))])


async def test_a_balance_that_no_column_holds_is_refused_by_its_account_and_books_nothing(booked):
    corrections, fee = SqlCorrections(booked), "92233720368"
    for number in range(10 if booked.engine.dialect.name == "mysql" else 0):
        debit = {"kind": EntryKind.ADJUSTMENT, "reference": f"b{number}", "made_at": MADE, "amount": -Decimal(fee)}
        await SqlPayments(booked).add(Payment(account="acme", **debit))
    before = await SqlQueries(booked).standing("acme")
    with pytest.raises(BalanceTooLarge, match=f"account acme would have -[0-9.]+ with the amount -{fee}.34: amounts"):
        await corrections.book([correction(1, customer(fee + ".85"))])
    assert await SqlQueries(booked).standing("acme") == before


async def test_a_reference_that_is_too_long_is_refused(booked):
    with pytest.raises(ContentRefused):
        await SqlCorrections(booked).book([correction(1, customer("0.36"), reference="x" * 65)])


async def test_a_correction_entry_that_the_table_does_not_know_is_found(booked):
    await SqlCorrections(booked).book([correction(1, customer("0.36"))])
    async with booked.writing() as connection:
        await connection.execute(delete(schema.cdr_correction))
    assert (await verify_ledger(booked)).differences == (
        BookDifference(BookFault.CORRECTION, "acme", Decimal(0), Decimal("0.15"), call_id=call_id(1)),
    )


async def in_two_currencies(database, index: int, cost_rate: str | None, loss: str | None) -> None:
    """Book a call that is sold for 0.51 USD and costs 0.30 EUR."""
    plain = answered_call(index, customer_account="acme", vendor_account="telco", fee=FEE, cost=COST)
    in_euros = msgspec.structs.replace(plain.charges[1], currency="EUR")
    postings = (plain.postings[0], msgspec.structs.replace(plain.postings[1], currency="EUR"))
    call = msgspec.structs.replace(
        plain, charges=(plain.charges[0], in_euros), postings=postings, vendor_currency="EUR", cost_rate=cost_rate,
        loss=None if loss is None else Decimal(loss),
    )  # fmt: skip
    await SqlBooks(database).book([call])


async def test_a_correction_compares_two_currencies_by_the_exchange_rate_of_the_call(booked):
    await in_two_currencies(booked, 5, "2.5", "0.24")
    await in_two_currencies(booked, 6, "1.123456789012", None)
    corrections = SqlCorrections(booked)
    await corrections.book([correction(5, vendor("0.20")), correction(6, customer("0.10"))])
    assert (await record_of(booked, 5)).loss is None, "0.20 EUR are 0.50 USD"
    assert (await record_of(booked, 6)).loss == Decimal("0.23703704")
    await corrections.book([correction(5, customer("0.49"), reference="8")])
    assert (await record_of(booked, 5)).loss == Decimal("0.01")


async def test_without_that_exchange_rate_the_loss_is_known_until_an_amount_is_corrected(booked):
    """As in calls that earlier versions have booked."""
    await in_two_currencies(booked, 5, None, "0.24")
    corrections = SqlCorrections(booked)
    await corrections.book([correction(5, customer(str(FEE), tax="0.05"))])
    assert (await record_of(booked, 5)).loss == Decimal("0.24")
    await corrections.book([correction(5, vendor("0.20"), reference="8")])
    assert (await record_of(booked, 5)).loss is None


async def test_a_correction_says_anew_whether_a_call_was_sold_below_cost(booked):
    corrections = SqlCorrections(booked)
    await corrections.book([correction(1, customer("0.20")), correction(2, customer("0.20"))])
    assert (await record_of(booked, 2)).loss == Decimal("0.10"), "it costs 0.30"
    assert (await record_of(booked, 1)).loss is None, "its agent pays 0.40"
    agent = ChargeChange(AGENT, 1, Amounts(Decimal("0.25"), Decimal(0), 60))
    changes = [correction(1, customer("0.51"), agent, reference="8"), correction(2, vendor("0.20"), reference="8")]
    await corrections.book(changes)
    assert (await record_of(booked, 1)).loss == Decimal("0.05")
    assert (await record_of(booked, 2)).loss is None


async def bought_alone(database, index: int, loss: str | None, **terms) -> None:
    """Book a call that the vendor has answered for 0.30 EUR, and the caller has not."""
    cost = terms.pop("cost", COST)
    plain = answered_call(index, customer_account="acme", vendor_account="telco", fee=Decimal(0), cost=cost)
    in_euros = msgspec.structs.replace(plain.charges[-1], currency="EUR")
    posting = msgspec.structs.replace(plain.postings[-1], currency="EUR")
    call = msgspec.structs.replace(
        plain, answered_at=None, billed_seconds=0, charges=(in_euros,), postings=(posting,), vendor_currency="EUR",
        loss=None if loss is None else Decimal(loss), **terms,
    )  # fmt: skip
    await SqlBooks(database).book([call])


@pytest.mark.parametrize(
    ("loss", "terms", "after", "currency"),
    [
        ("0.30", {}, ("0.20", None, "0.40"), "EUR"),
        (None, {"currency": "EUR", "cost": Decimal(0)}, ("0.20", None, "0.40"), "EUR"),
        ("0.75", {"cost_rate": "2.5"}, ("0.50", None, "1.00"), "USD"),
        ("0.75", {"cost_rate": "2.5", "currency": "EUR"}, ("0.50", None, "1.00"), None),
        ("0.75", {"cost_rate": "2.5", "currency": "EUR", "loss_currency": "GBP"}, ("0.50", None, "1.00"), "GBP"),
        ("0.75", {}, (None, None, None), None),
        (None, {}, (None, None, None), None),
        (None, {"rate_group": None}, (None, None, None), None),
        (None, {"rate_group": FREE_NUMBER}, (None, None, None), None),
    ],
    ids=[
        "one currency", "one currency without a cost", "two", "two by an agent of earlier versions", "two by an agent",
        "two without a rate", "not comparable", "not sold", "free number",
    ],
)  # fmt: skip
async def test_a_correction_says_anew_what_a_call_that_the_vendor_alone_has_answered_loses(
    booked, loss, terms, after, currency
):
    one = {"currency": "EUR" if loss == "0.30" else "USD"}
    await bought_alone(booked, 5, loss, **{"rate_group": "sell"} | one | terms)
    corrections, found = SqlCorrections(booked), []
    for cost in ("0.20", "0", "0.40"):
        await corrections.book([correction(5, vendor(cost), reference=cost)])
        found.append((await record_of(booked, 5)).loss)
    assert found == [None if each is None else Decimal(each) for each in after]
    assert (await record_of(booked, 5)).loss_currency == currency
