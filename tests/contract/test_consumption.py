"""What calls cost in a time, from the charges and, for older calls, from the CDRs."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

import msgspec
import pytest
from doubles.data.builders import account
from doubles.data.records import STARTED, answered_call, call_id, charge_row
from doubles.office import agent, office_on, operator
from sqlalchemy import delete, update

from vosd.admin.consumption import charged_today
from vosd.admin.ledger import Month
from vosd.admin.office.accounts import ListAccounts, list_accounts
from vosd.admin.office.minimum import BookMinimums, book_minimums
from vosd.base.ids import uuid7
from vosd.billing.accounts import AccountType
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.cdr.corrections import Amounts, ChargeChange, Correction
from vosd.cdr.record import AGENT, CUSTOMER, VENDOR, CallRecord, Posting
from vosd.cdr.retention import LONGEST_CALL_MS, DroppedPeriod, RecordKind
from vosd.storage import consumption, schema
from vosd.storage.books import SqlBooks
from vosd.storage.checkpoints import SqlCheckpoints
from vosd.storage.consumption import SqlConsumption
from vosd.storage.corrections import SqlCorrections
from vosd.storage.database_clock import time_of
from vosd.storage.dropped import note_dropped
from vosd.storage.payments import SqlPayments
from vosd.storage.ports import EntryKind, Payment
from vosd.storage.stored_objects import SqlObjects
from vosd.storage.stores import SqlStores
from vosd.storage.traffic import SqlTraffic
from vosd.storage.traffic_sums import Condition, SqlTrafficSums
from vosd.traffic.spans import ReportSpan

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
FEE, COST = Decimal("0.25"), Decimal("0.10")
BUYER = (CUSTOMER, AGENT)


@pytest.fixture
async def consumed(database):
    """Seven calls of a day, of which one left no CDR, and one of the next day."""
    parties = {"customer_account": "acme", "vendor_account": "carrier", "fee": FEE, "cost": COST, "tax": Decimal(1)}
    calls = [answered_call(index, **parties, ended_at=STARTED + index) for index in range(6)]
    unrecorded = answered_call(6, **parties, ended_at=STARTED + 6, recorded=False)
    await SqlBooks(database).book([*calls, unrecorded, answered_call(7, **parties, ended_at=STARTED + DAY_MS)])
    return database


async def test_fees_without_tax_of_the_calls_that_ended_in_the_time_are_added_up(consumed, monkeypatch):
    read = SqlConsumption(consumed)
    for size in (5_000, 2):
        monkeypatch.setattr(consumption, "_ENTRIES_AT_ONCE", size)
        assert await read.consumed("acme", BUYER, STARTED, STARTED + DAY_MS) == 7 * FEE
        assert await read.consumed("acme", BUYER, STARTED + 1, STARTED + 3) == 2 * FEE
        assert await read.consumed("carrier", (VENDOR,), STARTED, STARTED + 2 * DAY_MS) == 8 * COST
        assert await read.consumed("idle", BUYER, STARTED, STARTED + DAY_MS) == 0


async def test_a_role_that_the_account_does_not_have_counts_nothing(consumed):
    assert await SqlConsumption(consumed).consumed("carrier", BUYER, STARTED, STARTED + DAY_MS) == 0


async def test_a_call_of_an_account_that_is_its_own_vendor_counts_once_wherever_pages_end(database, monkeypatch):
    parties = {"customer_account": "acme", "vendor_account": "acme", "fee": FEE, "cost": COST}
    await SqlBooks(database).book([answered_call(index, **parties, ended_at=STARTED + index) for index in range(3)])
    monkeypatch.setattr(consumption, "_ENTRIES_AT_ONCE", 1)
    assert await SqlConsumption(database).consumed("acme", BUYER, STARTED, STARTED + DAY_MS) == 3 * FEE
    assert await SqlConsumption(database).consumed("acme", (VENDOR,), STARTED, STARTED + DAY_MS) == 3 * COST


async def test_calls_without_charges_count_by_their_cdr(consumed):
    async with consumed.writing() as connection:
        of_two = schema.cdr_charge.c.call_id.in_([call_id(1), call_id(2)])
        await connection.execute(delete(schema.cdr_charge).where(of_two))
    read = SqlConsumption(consumed)
    assert await read.consumed("acme", BUYER, STARTED, STARTED + DAY_MS) == 7 * FEE
    assert await read.consumed("carrier", (VENDOR,), STARTED, STARTED + DAY_MS) == 7 * COST


async def test_a_call_counts_as_it_was_corrected_also_where_it_had_been_free(database, monkeypatch):
    """A call without a charge has no entry of its own in the ledger."""
    parties = {"customer_account": "acme", "vendor_account": "carrier", "tax": Decimal(0)}
    fees = dict.fromkeys(range(4), FEE) | dict.fromkeys(range(4, 7), Decimal(0))
    await SqlBooks(database).book(
        [answered_call(index, **parties, fee=fee, ended_at=STARTED + index) for index, fee in fees.items()]
    )
    later = answered_call(7, **parties, fee=Decimal(0), ended_at=STARTED + DAY_MS)  # its INVITE came the day before
    own = answered_call(8, **parties | {"vendor_account": "acme"}, fee=Decimal(0), cost=COST, ended_at=STARTED)
    await SqlBooks(database).book([later, own])
    corrections = SqlCorrections(database)
    for index, reference, fee in (
        (0, "dearer", 1),
        (4, "first", 3),
        (4, "second", 5),
        (5, "free again", 5),
        (5, "free", 0),
        (7, "next day", 7),
        (8, "its own vendor has an entry", 2),
    ):
        change = ChargeChange(CUSTOMER, 0, Amounts(Decimal(fee), Decimal(0), 60))
        made = Correction(call_id(index), (change,), reference, "ann", "was free", STARTED + 2 * DAY_MS)
        await corrections.book([made])
    cost = ChargeChange(VENDOR, 0, Amounts(Decimal(9), Decimal(0), 60))
    await corrections.book([Correction(call_id(6), (cost,), "invoice", "ann", "invoice", STARTED + 2 * DAY_MS)])
    read = SqlConsumption(database)
    for size in (5_000, 1):
        monkeypatch.setattr(consumption, "_ENTRIES_AT_ONCE", size)
        assert await read.consumed("acme", BUYER, STARTED, STARTED + DAY_MS) == 3 * FEE + 1 + 5 + 2
        assert await read.consumed("acme", BUYER, STARTED + DAY_MS, STARTED + 2 * DAY_MS) == 7
        assert await read.consumed("acme", (VENDOR,), STARTED, STARTED + DAY_MS) == COST


@pytest.mark.parametrize("kind", [RecordKind.CALLS, RecordKind.LEDGER])
async def test_the_cost_of_a_time_is_not_known_where_calls_or_their_entries_were_dropped(consumed, kind):
    read, first = SqlConsumption(consumed), STARTED - LONGEST_CALL_MS
    for until in (first, first + 1):
        async with consumed.writing() as connection:
            await note_dropped(connection, kind, until)
        if until == first:
            assert await read.consumed("acme", BUYER, STARTED, STARTED + DAY_MS) == 7 * FEE
    with pytest.raises(DroppedPeriod):
        await read.consumed("acme", BUYER, STARTED, STARTED + DAY_MS)


async def test_an_account_whose_entries_were_dropped_has_begun_before_its_first_checkpoint(consumed):
    read, until = SqlConsumption(consumed), STARTED + 2 * DAY_MS
    await SqlCheckpoints(consumed).close(until, "ann", None, until)
    async with consumed.writing() as connection:
        await connection.execute(delete(schema.ledger_entry))
    assert not await read.has_begun("acme", until - 1)
    assert await read.has_begun("acme", until)


async def test_an_account_has_begun_with_its_first_entry(consumed):
    read = SqlConsumption(consumed)
    assert await read.has_begun("acme", STARTED + 1)
    assert not await read.has_begun("acme", STARTED)
    assert not await read.has_begun("idle", STARTED + DAY_MS)


async def test_an_account_has_called_where_a_call_ended_in_the_time(consumed):
    read = SqlConsumption(consumed)
    assert await read.has_called("acme", STARTED - DAY_MS, STARTED + 1)
    assert not await read.has_called("acme", STARTED - DAY_MS, STARTED)
    assert await read.has_called("acme", STARTED + DAY_MS, STARTED + DAY_MS + 1)
    assert not await read.has_called("acme", STARTED + DAY_MS + 1, STARTED + 2 * DAY_MS)


async def test_an_account_without_entries_has_begun_when_its_row_was_opened(database):
    read = SqlConsumption(database)
    await SqlBooks(database).open_accounts(["idle"])
    now = await time_of(database)
    assert await read.has_begun("idle", now + DAY_MS)
    assert not await read.has_begun("idle", now - DAY_MS)
    assert not await read.has_begun("other", now + DAY_MS)


def at(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1_000)


@pytest.fixture
async def owed(database, tmp_path):
    """Define accounts in versions, and return what each owes for August; it is 3 September.

    The minimum of now is 50 but for accounts of ``others``.
    """
    objects = SqlObjects(database)

    async def book(
        versions: Mapping[str, Sequence[tuple[str, str | None]]],
        templates: Mapping[str, Sequence[tuple[str, str | None]]] | None = None,
        others: Mapping[str, Decimal | None] | None = None,
    ) -> dict[str, tuple[str, str, str]]:
        await objects.add(
            [
                ObjectVersion(
                    kind=kind, name=name, version=number, body=body, begins_at=at(begins), made_at=0, operator="ann"
                )
                for kind, written in (("accounts", versions), ("templates", templates or {}))
                for name, each in written.items()
                for number, (begins, body) in enumerate(each, 1)
            ]
        )
        minimums = dict.fromkeys(versions, Decimal(50)) | (others or {})
        accounts = [account(name, minimum_consumption=minimum) for name, minimum in minimums.items()]
        office = office_on(database, *accounts, now=at("2026-09-03"), socket=tmp_path / "vosd.sock")
        booked = await book_minimums(office, operator(), BookMinimums(Month(2026, 8)))
        return {each.account: (each.minimum, each.charged, each.outcome) for each in booked}

    return book


async def test_an_account_of_the_database_owes_the_minimum_that_it_had_at_the_end_of_the_month(owed):
    """One that had not begun then, had ended or had no minimum owes none, however long it had been there before."""
    fifty, none = '{"minimum_consumption": "50"}', "{}"
    assert await owed(
        {
            "back": [("2026-01-10", fifty), ("2026-02-01", None), ("2026-09-02", fifty)],
            "ended": [("2026-01-10", fifty), ("2026-08-20", None), ("2026-09-02", fifty)],
            "planned": [("2026-08-01", fifty), ("2026-08-01", None), ("2026-09-02", fifty)],
            "new": [("2026-09-01", fifty)],
            "agreed": [("2026-01-10", none), ("2026-09-02", fifty)],
            "raised": [("2026-01-10", '{"minimum_consumption": "20"}'), ("2026-09-02", fifty)],
            "idle": [("2026-08-31", fifty)],
            "by variable": [("2026-01-10", '{"minimum_consumption": "${LEAST}"}')],
            "fixed": [("2026-01-10", '{"minimum_consumption": "${LEAST}"}'), ("2026-09-02", fifty)],
        }
    ) == {
        "back": ("50.00", "0.00", "not begun"),
        "ended": ("50.00", "0.00", "not begun"),
        "planned": ("50.00", "0.00", "not begun"),
        "new": ("50.00", "0.00", "not begun"),
        "agreed": ("0.00", "0.00", "reached"),
        "raised": ("20.00", "20.00", "booked"),
        "idle": ("50.00", "50.00", "booked"),
        "by variable": ("50.00", "50.00", "booked"),
        "fixed": ("50.00", "0.00", "not known"),
    }


async def test_a_minimum_that_is_removed_after_the_end_of_the_month_is_owed_for_it(owed):
    fifty, none = '{"minimum_consumption": "50"}', "{}"
    retail = '{"template": "retail"}'
    accounts = {
        "removed": [("2026-01-10", fifty), ("2026-09-02", none)],
        "zeroed": [("2026-01-10", fifty), ("2026-09-02", '{"minimum_consumption": "0"}')],
        "template removed": [("2026-01-10", retail), ("2026-09-02", none)],
        "template changed": [("2026-01-10", '{"template": "gold"}')],
        "moved": [("2026-01-10", fifty), ("2026-09-02", None)],
        "removed before": [("2026-01-10", fifty), ("2026-08-31", none)],
        "ended before": [("2026-01-10", fifty), ("2026-08-31", None)],
        "template of a file": [("2026-01-10", '{"template": "silver"}'), ("2026-09-02", none)],
    }
    templates = {"retail": [("2026-01-10", fifty)], "gold": [("2026-01-10", fifty), ("2026-09-02", none)]}
    others = dict.fromkeys(accounts) | {"zeroed": Decimal(0)}
    owing = ("removed", "zeroed", "template removed", "template changed", "moved")
    assert await owed(accounts, templates, others) == dict.fromkeys(owing, ("50.00", "50.00", "booked"))


async def test_an_account_with_a_template_owes_the_minimum_that_the_template_had_at_the_end_of_the_month(owed):
    """A template in a file is known as it is now, and counts only while the account has its minimum from there."""

    def agreed(template: str) -> list[tuple[str, str]]:
        own = f'{{"template": "{template}"}}'
        return [("2026-01-10", own), ("2026-09-02", f'{{"template": "{template}", "minimum_consumption": "50"}}')]

    accounts = {
        "none": agreed("basic"),
        "less": agreed("silver"),
        "own wins": [("2026-01-10", '{"template": "silver", "minimum_consumption": "30"}')],
        "other template": [("2026-01-10", '{"template": "silver"}'), ("2026-09-02", '{"template": "gold"}')],
        "raised template": [("2026-01-10", '{"template": "raised"}')],
        "file": [("2026-01-10", '{"template": "retail"}'), ("2026-09-02", '{"template": "retail", "enabled": "no"}')],
        "file, then own": agreed("retail"),
        "file, then other": [("2026-01-10", '{"template": "retail"}'), ("2026-09-02", '{"template": "gold"}')],
    }
    templates = {
        "basic": [("2026-01-10", "{}")],
        "silver": [("2026-01-10", '{"minimum_consumption": "20"}')],
        "gold": [("2026-01-10", '{"minimum_consumption": "50"}')],
        "raised": [("2026-01-10", '{"minimum_consumption": "20"}'), ("2026-09-02", '{"minimum_consumption": "50"}')],
    }
    twenty, nothing = ("20.00", "20.00", "booked"), ("0.00", "0.00", "reached")
    unknown = ("50.00", "0.00", "not known")
    assert await owed(accounts, templates) == {
        "none": nothing,
        "less": twenty,
        "own wins": ("30.00", "30.00", "booked"),
        "other template": twenty,
        "raised template": twenty,
        "file": ("50.00", "50.00", "booked"),
        "file, then own": unknown,
        "file, then other": unknown,
    }


async def test_a_minimum_that_a_variable_or_a_file_had_is_not_known_where_the_place_has_changed_since(owed):
    variable, fifty, none = '{"minimum_consumption": "${LEAST}"}', '{"minimum_consumption": "50"}', "{}"

    def of(template: str) -> list[tuple[str, str]]:
        return [("2026-01-10", f'{{"template": "{template}"}}')]

    accounts = {
        "removed": [("2026-01-10", variable), ("2026-09-02", none)],
        "zeroed": [("2026-01-10", variable), ("2026-09-02", '{"minimum_consumption": "0"}')],
        "moved": [("2026-01-10", variable), ("2026-09-02", None)],
        "variable of nothing": [("2026-01-10", variable)],
        "template fixed": of("fixed"),
        "template emptied": of("emptied"),
        "template of a file": of("defined"),
        "template as it was": of("variable"),
        "same variable": [*of("variable"), ("2026-09-02", variable)],
    }
    templates = {
        "fixed": [("2026-01-10", variable), ("2026-09-02", fifty)],
        "emptied": [("2026-01-10", variable), ("2026-09-02", none)],
        "defined": [("2026-09-02", fifty)],
        "variable": [("2026-01-10", variable), ("2026-09-02", '{"minimum_consumption": "${LEAST}", "enabled": "no"}')],
    }
    nothing = dict.fromkeys(("removed", "template emptied", "variable of nothing")) | {"zeroed": Decimal(0)}
    unknown, booked = ("50.00", "0.00", "not known"), ("50.00", "50.00", "booked")
    assert await owed(accounts, templates, nothing) == {
        "removed": ("0.00", "0.00", "not known"),
        "zeroed": ("0.00", "0.00", "not known"),
        "moved": unknown,
        "template fixed": unknown,
        "template emptied": ("0.00", "0.00", "not known"),
        "template of a file": unknown,
        "template as it was": booked,
        "same variable": booked,
    }


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ([("2026-01-10", '{"minimum_consumption": "50"}')], ("50.00", "50.00", "booked")),
        (
            [("2026-01-10", '{"minimum_consumption": "20"}'), ("2026-09-02", '{"minimum_consumption": "50"}')],
            ("50.00", "0.00", "not known"),
        ),
    ],
    ids=["as it was", "raised"],
)
async def test_a_template_that_a_variable_names_may_be_any_of_the_database(owed, template, expected):
    own = '{"template": "${KIND}"}'
    renamed = [("2026-01-10", own), ("2026-09-02", '{"template": "${OTHER}"}')]
    unknown = ("50.00", "0.00", "not known")
    assert await owed({"acme": [("2026-01-10", own)], "renamed": renamed}, {"gold": template}) == {
        "acme": expected,
        "renamed": unknown,
    }


@pytest.mark.parametrize(
    ("gold", "basic", "minimum", "expected"),
    [
        ("{}", None, None, ("0.00", "0.00", "not known")),
        ('{"minimum_consumption": "0"}', None, None, ("0.00", "0.00", "not known")),
        (None, None, None, ("0.00", "0.00", "not known")),
        ('{"minimum_consumption": "50.00", "enabled": "no"}', None, None, None),
        ('{"minimum_consumption": "50.00"}', "{}", Decimal(50), ("50.00", "50.00", "booked")),
    ],
    ids=["removed", "zero", "ended", "as it was", "another without a minimum"],
)
async def test_a_template_that_a_variable_names_has_lost_its_minimum_only_where_one_of_the_database_has(
    owed, gold, basic, minimum, expected
):
    accounts = {"acme": [("2026-01-10", '{"template": "${KIND}"}')], "direct": [("2026-01-10", '{"template": "gold"}')]}
    templates = {"gold": [("2026-01-10", '{"minimum_consumption": "50"}'), ("2026-09-02", gold)]}
    if basic:
        templates["basic"] = [("2026-09-02", basic)]
    booked = {"direct": ("50.00", "50.00", "booked")}
    named = {"acme": expected} if expected else {}
    assert await owed(accounts, templates, dict.fromkeys(accounts) | {"acme": minimum}) == booked | named


async def test_a_minimum_that_was_booked_before_it_was_not_known_any_more_is_shown_as_booked(owed, database):
    own = [("2026-01-10", '{"template": "retail"}'), ("2026-09-02", '{"minimum_consumption": "50"}')]
    booked = Payment(
        account="acme", kind=EntryKind.MINIMUM, amount=Decimal(-30), reference="minimum/2026-08", made_at=0,
        currency="USD",
    )  # fmt: skip
    await SqlPayments(database).add(booked)
    assert await owed({"acme": own}) == {"acme": ("50.00", "30.00", "booked before")}


async def test_a_minimum_that_late_calls_have_reached_since_is_shown_as_booked(database):
    kinds = {"acme": AccountType.DIRECT, "carrier": AccountType.CLEARING}
    accounts = [account(name, type=kind, minimum_consumption=Decimal(5)) for name, kind in kinds.items()]
    office = office_on(database, *accounts, now=STARTED + 60 * DAY_MS)
    parties = {"customer_account": "acme", "fee": Decimal(4), "vendor_account": "carrier", "cost": Decimal(3)}
    await SqlBooks(database).book([answered_call(1, **parties)])
    month = BookMinimums(Month(2026, 9))
    booked = await book_minimums(office, operator(), month)
    await SqlBooks(database).book([answered_call(2, **parties)])
    again = await book_minimums(office, operator(), month)
    assert [(each.consumed, each.charged, each.outcome) for each in (*booked, *again)] == [
        ("4.00", "1.00", "booked"), ("3.00", "2.00", "booked"),
        ("8.00", "1.00", "booked before"), ("6.00", "2.00", "booked before"),
    ]  # fmt: skip


async def test_an_account_that_was_in_a_file_between_two_times_in_the_database_owes_its_minimum(owed, database):
    """Calls that began behind its end say so, not those that went on over it."""

    def call(index: int, account: str, began: str, ended: str) -> CallRecord:
        identity = uuid7(at(began), index.to_bytes(10, "big"))
        posting = Posting(account, -FEE, f"{identity}/customer", "USD")
        parties = {"customer_account": account, "fee": FEE, "postings": (posting,)}
        return answered_call(index, call_id=identity, ended_at=at(ended), **parties)

    await SqlBooks(database).book(
        [
            call(0, "back", "2026-08-15", "2026-08-15T00:01"),
            call(1, "ended", "2026-08-10", "2026-08-10T00:01"),
            call(2, "over the end", "2026-08-19T23:59", "2026-08-20T00:01"),
            call(3, "earlier", "2026-07-31", "2026-07-31T00:01"),
        ]
    )
    fifty = '{"minimum_consumption": "50"}'
    ended = [("2026-01-10", fifty), ("2026-08-20", None), ("2026-09-02", fifty)]
    back = [("2026-01-10", fifty), ("2026-02-01", None), ("2026-09-02", fifty)]
    not_begun = ("50.00", "0.00", "not begun")
    assert await owed({"back": back, "ended": ended, "over the end": ended, "earlier": back}) == {
        "back": ("50.00", "49.75", "booked"),
        "ended": not_begun,
        "over the end": not_begun,
        "earlier": not_begun,
    }


async def test_a_row_that_is_opened_for_a_planned_account_does_not_begin_it(owed, database):
    await SqlBooks(database).open_accounts(["planned"])
    async with database.writing() as connection:
        await connection.execute(update(schema.account).values(opened_at=at("2026-08-20")))
    assert (await owed({"planned": [("2026-09-02", "{}")]}))["planned"][2] == "not begun"


async def test_an_account_that_moves_between_files_and_the_database_owes_its_minimum(owed, database):
    """Calls say that it was in a file before its first version; one that is in a file now has begun with its row."""
    calls = [
        answered_call(0, customer_account="moved", fee=FEE, ended_at=at("2026-08-31")),
        answered_call(1, customer_account="idle", fee=FEE, ended_at=at("2026-07-31")),
    ]
    await SqlBooks(database).book(calls)
    await SqlBooks(database).open_accounts(["file"])
    async with database.writing() as connection:
        await connection.execute(update(schema.account).values(opened_at=at("2026-07-20")))
    assert await owed(
        {
            "moved": [("2026-09-02", "{}")],
            "idle": [("2026-09-02", "{}")],
            "file": [("2026-01-10", "{}"), ("2026-02-01", None)],
        }
    ) == {
        "moved": ("50.00", "49.75", "booked"),
        "idle": ("50.00", "0.00", "not begun"),
        "file": ("50.00", "50.00", "booked"),
    }


async def test_what_accounts_were_charged_today_is_of_calls_as_corrected_and_not_of_minimums_and_payments(
    database, monkeypatch
):
    midnight = STARTED // DAY_MS * DAY_MS
    now, parties = midnight + 20 * HOUR_MS, {"customer_account": "acme", "vendor_account": "carrier", "cost": COST}
    plain = answered_call(1, **parties, fee=Decimal(1), tax=Decimal("0.2"), started_at=midnight)
    of_agent = (plain.charges[0], charge_row("reseller", AGENT, 1, Decimal("0.7"), Decimal("0.1")), plain.charges[1])
    before = answered_call(2, **parties, fee=Decimal(5), started_at=midnight - 2 * HOUR_MS)
    other = answered_call(3, **parties | {"customer_account": "peer"}, fee=Decimal(3), started_at=midnight)
    await SqlBooks(database).book([msgspec.structs.replace(plain, charges=of_agent), before, other])
    while await SqlTraffic(database).advance():
        pass
    for account_id, kind, amount in (
        ("acme", EntryKind.MINIMUM, "-2"), ("acme", EntryKind.PAYMENT, "100"), ("acme", EntryKind.ADJUSTMENT, "-9"),
    ):  # fmt: skip
        payment = Payment(
            account=account_id, kind=kind, amount=Decimal(amount), reference=kind.value, made_at=now, currency="USD"
        )
        await SqlPayments(database).add(payment)
    change = ChargeChange(CUSTOMER, 0, Amounts(Decimal("0.5"), Decimal("0.1"), 60))
    await SqlCorrections(database).book([Correction(call_id(1), (change,), "c1", "ann", "too much", now)])
    while await SqlTraffic(database).advance():
        pass
    accounts = [
        account("acme"), account("reseller"), account("idle"), account("carrier", type=AccountType.CLEARING),
        account("peer", currency="EUR"), account("east", timezone="Asia/Kathmandu"),
    ]  # fmt: skip
    found = await charged_today(SqlStores(database), accounts, now)
    assert found == {"acme": "0.60", "reseller": "0.80", "idle": "0.00", "peer": "0.00", "east": "0.00"}
    assert await charged_today(SqlStores(database), accounts[:1], midnight) == {"acme": "0.60"}, "it began just now"
    shop = [account("acme", timezone="Etc/GMT+3")]  # its day begins three hours later
    assert await charged_today(SqlStores(database), shop, midnight + 2 * HOUR_MS) == {"acme": "5.60"}

    office = office_on(database, *accounts, now=now)
    listed = await list_accounts(office, operator(), ListAccounts(consumption=True))
    assert {each.id: each.charged_today for each in listed} == found | {"carrier": msgspec.UNSET}
    plainly = await list_accounts(office, operator(), ListAccounts())
    assert all(each.charged_today is msgspec.UNSET for each in plainly)
    monkeypatch.setattr("vosd.admin.consumption._NAMED_AT_MOST", 0)
    assert await charged_today(SqlStores(database), accounts[:1], now) == {"acme": "0.60"}


@pytest.fixture
def asked(monkeypatch) -> list[tuple[Sequence[ReportSpan], list[Sequence[Condition]]]]:
    """Return the spans and the conditions of what is asked of the sums."""
    found: list[tuple[Sequence[ReportSpan], list[Sequence[Condition]]]] = []
    rows = SqlTrafficSums.rows

    async def noted(self, spans, queries):
        found.append((spans, [each.where for each in queries]))
        return await rows(self, spans, queries)

    monkeypatch.setattr(SqlTrafficSums, "rows", noted)
    return found


async def test_the_accounts_of_a_page_are_named_to_the_sums_of_what_they_were_charged_today_and_more_are_not(
    database, asked
):
    carrier = account("carrier", type=AccountType.CLEARING)
    office = office_on(database, account("acme"), account("peer"), carrier, account("other"), now=STARTED)
    page = await list_accounts(office, operator(), ListAccounts(consumption=True, limit=2))
    assert [(each.id, each.charged_today) for each in page] == [("acme", "0.00"), ("peer", "0.00")]
    ((_, both),) = asked
    assert [[(names, sorted(some)) for names, some in each] for each in both] == [
        [(("customer_account",), ["acme", "peer"])],
        [(("party",), ["acme", "peer"])],
    ]
    page_of_console = [account(f"a{number}") for number in range(1_000)]
    assert len(await charged_today(SqlStores(database), page_of_console, STARTED)) == 1_000
    assert all(len(some) == 1_000 for ((_, some),) in asked[1][1])
    await charged_today(SqlStores(database), [account(f"a{number}") for number in range(10_001)], STARTED)
    assert asked[2][1] == [(), ()]


async def test_what_accounts_of_several_zones_were_charged_today_is_added_up_once(database, asked):
    midnight = STARTED // DAY_MS * DAY_MS
    zones = {  # each with the hour at which its day began
        "utc": ("UTC", 0), "also utc": ("Africa/Abidjan", 0), "east": ("Asia/Kathmandu", -5.75),
        "far east": ("Pacific/Kiritimati", -14), "west": ("Etc/GMT+3", 3), "far west": ("Etc/GMT+12", -12),
        "late": ("Etc/GMT+7", -17),
    }  # fmt: skip
    hours = (-18, -17, -14.5, -13, -11, -5.5, -1, 0, 2.75, 3, 5.9)
    calls = [
        answered_call(
            index + 100 * number, customer_account=name, vendor_account="carrier", fee=Decimal(2**index),
            tax=Decimal(0), started_at=round(midnight + hour * HOUR_MS),
        )
        for number, name in enumerate(zones)
        for index, hour in enumerate(hours)
    ]  # fmt: skip
    await SqlBooks(database).book(calls)
    while await SqlTraffic(database).advance():
        pass
    accounts = [account(name, timezone=zone) for name, (zone, _) in zones.items()]
    found = await charged_today(SqlStores(database), accounts, midnight + 6 * HOUR_MS)
    assert {name: Decimal(amount) for name, amount in found.items()} == {
        name: sum(2**index for index, hour in enumerate(hours) if hour >= begun) for name, (_, begun) in zones.items()
    }
    ((spans, _),) = asked
    assert all(one.until == two.since for one, two in pairwise(spans))
    assert len(spans) == 6


async def test_accounts_that_are_named_are_listed_alone(database):
    await SqlPayments(database).add(
        Payment(account="gone", kind=EntryKind.PAYMENT, amount=FEE, reference="r", made_at=0, currency="USD")
    )
    accounts = [account(name, agent=above) for name, above in (("shop", "acme"), ("acme", ""), ("peer", ""))]
    office = office_on(database, *accounts, now=STARTED)

    async def listed(who=None, **order) -> list[str]:
        return [each.id for each in await list_accounts(office, who or operator(), ListAccounts(**order))]

    named = ("peer", "shop", "gone", "unknown", "shop")
    assert await listed(accounts=named) == ["peer", "shop", "gone"]
    assert await listed(accounts=named, after="") == ["gone", "peer", "shop"]
    assert await listed(accounts=named, after="gone", limit=1) == ["peer"]
    assert await listed(accounts=named, agent="acme") == ["shop"]
    assert await listed(agent("acme"), accounts=named) == ["shop"]
    assert await listed(accounts=("unknown",)) == []
