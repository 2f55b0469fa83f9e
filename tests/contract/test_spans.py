"""How tools read the calls of a span: page by page, newest first, with the columns that they ask for."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from doubles.data import builders
from doubles.data.records import STARTED, answered_call, call_id, refused_call
from doubles.month_of_calls import CONFIGURATION, catalogue_of, month, past_of
from doubles.office import office_on, operator

from vosd.admin.office.rerating import RerateCalls, RerateReport, Run, RunBookings, rerate_calls
from vosd.admin.rerate import Rerating, reference_of_run
from vosd.catalogue.catalogue import Catalogue
from vosd.cdr.corrections import Amounts, ChargeChange, Correction
from vosd.cdr.past import ALWAYS_READ, PastCorrection
from vosd.cdr.record import AGENT, CUSTOMER, VENDOR, Attempt, CallRecord
from vosd.storage import spans
from vosd.storage.books import SqlBooks
from vosd.storage.corrections import SqlCorrections
from vosd.storage.database import Database
from vosd.storage.ports import CallFilter, ReferenceTaken
from vosd.storage.queries import SqlQueries
from vosd.storage.spans import SqlSpans
from vosd.storage.verify import verify_ledger

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
    assert past._asdict() == {
        **expected,
        "tried": ("vendor-1-trunk",),
        "agents": (),
        "corrections": (),
        "vendor_rate_group": None,
        "refusal": "",
    }
    assert past.vendor_ms == record.ended_at - (record.vendor_answered_at or 0)


async def test_what_is_not_asked_for_is_not_read(filled: SqlSpans) -> None:
    async for page in filled.pages(CallFilter(account="vendor-1")):
        assert [(call.fee_breakdown, call.tried) for call in page] == [("", ())]


async def test_the_rate_group_of_the_vendor_is_that_of_its_charge(filled: SqlSpans, database: Database) -> None:
    record = answered_call(9, customer_account="b")
    customer, vendor = record.charges
    charges = (customer, msgspec.structs.replace(vendor, rate_group="buy"))
    await SqlBooks(database).book([msgspec.structs.replace(record, charges=charges)])
    found = {
        call.call_id: call.vendor_rate_group
        async for page in filled.pages(CallFilter(limit=100), with_vendor_group=True)
        for call in page
    }
    assert found == {call_id(index): "sell" for index in range(CALLS - 1)} | {
        call_id(CALLS - 1): None,
        call_id(9): "buy",
    }


async def test_a_call_that_had_no_gateway_has_the_reason_of_its_refusal(filled: SqlSpans, database: Database) -> None:
    verdicts = '{"refusal":"caller in dynamic blacklist: 1000 of acme, frequency above 3"}'
    refused = msgspec.structs.replace(refused_call(9, customer_account="b"), verdicts=verdicts)
    await SqlBooks(database).book([refused])
    found = [call.refusal async for page in filled.pages(CallFilter(limit=3), with_refusals=True) for call in page]
    assert found == ["caller in dynamic blacklist: 1000 of acme, frequency above 3", "", ""]


async def test_a_gateway_that_was_sent_nothing_was_not_tried(database: Database) -> None:
    attempts = (Attempt("other", 0, 0, None, "No Common Codec"), Attempt("first", 503, 5, None, "Unavailable"))
    record = msgspec.structs.replace(answered_call(1), attempts=(*attempts, Attempt("second", 200, 9, 5, "Normal")))
    await SqlBooks(database).book([record])
    async for page in SqlSpans(database).pages(CallFilter(), with_tried=True):
        assert page[0].tried == ("first", "second")


async def test_a_booked_month_is_rated_again_to_the_last_byte(database: Database, tmp_path: Path) -> None:
    catalogue = catalogue_of(tmp_path)
    records = month(catalogue, 300)
    await SqlBooks(database).book(records)
    rerating = Rerating(catalogue, compares_steps=True)
    wanted, read = CallFilter(limit=len(records)), {}
    async for page in SqlSpans(database).pages(wanted, with_breakdown=True):
        for call in page:
            rerating.add(call)
            read[call.call_id] = call.agents
    assert read == {str(record.call_id): past_of(record).agents for record in records}
    assert (rerating.calls, rerating.differences.differ, rerating.steps_differ) == (len(records), 0, 0)
    roles = {row["role"] for row in rerating.to_json(0)["accounts"]}
    assert roles == {"customer", "vendor", "agent"}


async def rerated(
    database: Database, catalogue: Catalogue, reference: str, **terms: Any
) -> tuple[Rerating, RunBookings]:
    """Rate all calls again and book the differences, as ``vosd rerate --book`` does."""
    rerating = Rerating(catalogue, corrects=True, **terms)
    bookings = RunBookings(SqlCorrections(database), Run(reference, "ann", "a wrong price", STARTED))
    async for page in SqlSpans(database).pages(CallFilter(limit=1_000)):
        for call in page:
            await bookings.add(call.call_id, rerating.add(call))
    await bookings.finish()
    return rerating, bookings


async def test_what_a_new_rating_differs_in_is_booked_once(database: Database, tmp_path: Path) -> None:
    records = month(catalogue_of(tmp_path), 200)
    await SqlBooks(database).book(records)
    dearer = catalogue_of(tmp_path, CONFIGURATION.replace('"0.0071"', '"0.0171"').replace("0.00987654", "0.01"))
    before = (await SqlBooks(database).standings()).standings
    first, booked = await rerated(database, dearer, "rerate-1")
    assert first.differences.differ == booked.charges + first.uncorrected > 10
    after = (await SqlBooks(database).standings()).standings
    moved = {row.account: Decimal(row.amount) for row in booked.sheet().accounts}
    assert moved == {name: after[name].balance - before[name].balance for name in moved}
    assert {"cycles", "agent", "seconds"} <= moved.keys()
    assert (await verify_ledger(database)).differences == ()
    again, repeated = await rerated(database, dearer, "rerate-1")
    assert (again.differences.differ, repeated.charges, repeated.repeated) == (first.uncorrected, 0, 0)
    # Another rating under the same name is refused, and books nothing.
    dearer = catalogue_of(tmp_path, CONFIGURATION.replace('"0.0071"', '"0.0271"'))
    with pytest.raises(ReferenceTaken):
        await rerated(database, dearer, "rerate-1")
    assert (await SqlBooks(database).standings()).standings == after


def account_of_an_agent(text: str, price: str) -> str:
    """Give the agent rates of its own, and a mapping gateway by which it calls itself."""
    group = f'  - {{name: of-agent, rates: [{{prefix: "*", billing_rate: "{price}"}}]}}\n'
    gateway = "  - {name: own, account: agent, hosts: 192.0.2.6}\n"
    return (
        text.replace("{id: agent, rate_group: by-cycle}", "{id: agent, rate_group: of-agent}")
        .replace("period_rates:\n", f"{group}period_rates:\n", 1)
        .replace("routing_gateways:\n", f"{gateway}routing_gateways:\n", 1)
    )


@pytest.mark.parametrize("is_agent", [True, False])
async def test_an_agent_is_rated_again_for_its_own_calls_and_for_those_below_it(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_agent: bool
) -> None:
    """Also one that is an agent no more: its charges are."""
    monkeypatch.setattr(spans, "CALLS_AT_ONCE", 40)
    text = CONFIGURATION.replace("hosts: 192.0.2.6", "hosts: 192.0.2.7")
    records = month(catalogue_of(tmp_path, account_of_an_agent(text, "0.5")), 200)
    await SqlBooks(database).book(records)
    charges = [row for record in records for row in record.charges if row.account == "agent"]
    roles = {row.role for row in charges}
    below = builders.account("cycles", agent="agent" if is_agent else None)
    office = office_on(database, builders.account("agent"), below, now=STARTED)
    cheaper = catalogue_of(tmp_path, account_of_an_agent(text, "0.4"))
    monkeypatch.setattr(office.definitions, "catalogue", lambda **_: cheaper)
    span = {"since": records[0].started_at, "until": records[-1].started_at + 1}

    async def rated(**more: Any) -> RerateReport:
        return await rerate_calls(office, operator(), RerateCalls(**span, **more), lambda *_: None)

    found = await rated(account="agent")
    assert roles == {CUSTOMER, AGENT}
    of_agent = [record for record in records if "agent" in past_of(record).accounts]
    assert (found.calls, found.charges) == (len(of_agent), len(charges))
    assert [(row.account, row.role) for row in found.accounts] == [("agent", AGENT), ("agent", CUSTOMER)]
    assert found.differ == sum(row.fee > 0 for row in charges) > len(charges) / 2
    assert (await rated(account="agent", limit=3)).calls == 3
    newest = of_agent[-1].callee_billing or ""
    earlier = next(number for record in of_agent if (number := record.callee_billing or "")[:4] != newest[:4])
    assert [(await rated(account=of, prefix=earlier[:4], limit=1)).calls for of in ("agent", None)] == [1, 1]
    with_deck = await rated(account="agent", deck="by-cycle")
    assert (with_deck.charges, with_deck.differ > 0) == (len(charges), True)
    booked = await rated(account="agent", book=True, memo="a wrong price")
    assert booked.booked is not msgspec.UNSET
    assert (booked.booked.charges, [each.account for each in booked.booked.accounts]) == (found.differ, ["agent"])
    assert (await rated()).differ == 0
    assert (await verify_ledger(database)).differences == ()
    of_vendor = await rated(account="minutes")
    assert of_vendor.calls == sum(record.vendor_account == "minutes" for record in records)


async def correct_by_hand(database: Database, record: CallRecord) -> int:
    """Add 0.15 to what each party of a call pays or is paid; return how many they are."""
    changes = tuple(
        ChargeChange(row.role, row.level, Amounts(row.fee + Decimal("0.15"), row.tax, row.billed_seconds))
        for row in record.charges
    )
    correction = Correction(record.call_id, changes, "ticket 7", "ann", "goodwill", STARTED)
    return len(await SqlCorrections(database).book([correction]))


async def test_what_was_corrected_by_hand_stays_unless_that_is_said(database: Database, tmp_path: Path) -> None:
    catalogue = catalogue_of(tmp_path)
    records = month(catalogue, 60)
    await SqlBooks(database).book(records)
    as_rated = (await SqlBooks(database).standings()).standings
    of_agents = [record for record in records if {AGENT, VENDOR} <= {row.role for row in record.charges}]
    by_hand = await correct_by_hand(database, of_agents[0])
    assert by_hand == 3
    goodwill = (await SqlBooks(database).standings()).standings

    left, nothing = await rerated(database, catalogue, "rerate-1")
    assert (left.differences.differ, left.corrected_by_hand, nothing.charges) == (0, by_hand, 0)
    assert left.to_json(5)["corrected_by_hand"] == by_hand
    assert (await SqlBooks(database).standings()).standings == goodwill

    taken, booked = await rerated(database, catalogue, "rerate-2", corrected_too=True)
    assert (taken.differences.differ, taken.corrected_by_hand, booked.charges) == (by_hand, 0, by_hand)
    back = (await SqlBooks(database).standings()).standings
    assert {name: each.balance for name, each in back.items()} == {
        name: each.balance for name, each in as_rated.items()
    }

    dearer = catalogue_of(tmp_path, CONFIGURATION.replace('"0.0071"', '"0.9"').replace('"0.00001"', '"0.9"'))
    now, _ = await rerated(database, dearer, "rerate-3")
    assert (now.corrected_by_hand, now.differences.differ > 0) == (0, True), "the last correction was of a run"


async def test_what_is_corrected_while_a_run_goes_on_stays_with_its_call_until_it_is_said_again(
    database: Database, tmp_path: Path
) -> None:
    records = month(catalogue_of(tmp_path), 60)
    await SqlBooks(database).book(records)
    text = CONFIGURATION.replace('"0.0071"', '"0.9"').replace('"0.00001"', '"0.9"').replace("0.00987654", "0.9")
    dearer = catalogue_of(tmp_path, text)
    rerating, run = Rerating(dearer, corrects=True), Run("rerate-1", "ann", "a wrong price", STARTED)
    (page,) = [page async for page in SqlSpans(database).pages(CallFilter(limit=1_000))]
    changed = [(call.call_id, changes) for call in page if (changes := rerating.add(call))]
    call_id = next(call_id for call_id, changes in changed if len(changes) > 1)
    record = next(each for each in records if each.call_id == call_id)
    goodwill = ChargeChange(CUSTOMER, 0, Amounts(Decimal("0.05"), Decimal(0), 1))
    corrections = SqlCorrections(database)
    bookings = RunBookings(corrections, run)
    for each in changed:
        await bookings.add(*each)
    await corrections.book([Correction(call_id, (goodwill,), "ticket 7", "ann", "goodwill", STARTED)])
    await bookings.finish()
    assert [each.reference for each in await corrections.history(call_id)] == ["ticket 7"]
    assert bookings.sheet().overtaken == 1
    assert bookings.charges == sum(len(changes) for _, changes in changed) - len(dict(changed)[call_id])

    again, rest = await rerated(database, dearer, "rerate-1")
    assert (again.corrected_by_hand, rest.charges) == (1, len(dict(changed)[call_id]) - 1)
    stored = await SqlQueries(database).call(call_id)
    assert stored is not None
    (customer,) = [each for each in stored.record.charges if each.role == CUSTOMER]
    assert (customer.fee, record.fee != customer.fee) == (Decimal("0.05"), True)
    assert (await verify_ledger(database)).differences == ()


async def test_what_was_booked_by_another_deck_stays_in_a_run_without_it(database: Database, tmp_path: Path) -> None:
    catalogue = catalogue_of(tmp_path)
    await SqlBooks(database).book(month(catalogue, 60))
    by = catalogue.rate_groups
    deck, other = ({"instead": by[name], "account": "seconds"} for name in ("by-cycle", "uncapped"))
    _, booked = await rerated(database, catalogue, reference_of_run("a", has_deck=True), **deck)
    assert booked.charges > 5
    plain, nothing = await rerated(database, catalogue, reference_of_run("b"))
    assert (plain.differences.differ, plain.corrected_by_hand, nothing.charges) == (0, booked.charges, 0)
    _, mended = await rerated(database, catalogue, reference_of_run("c", has_deck=True), **other)
    assert mended.charges > 5, "a run with a deck takes what another one has booked"


async def test_corrections_are_read_where_there_are_any(filled: SqlSpans, database: Database) -> None:
    corrections = SqlCorrections(database)
    for reference, fee in (("first", "1"), ("second", "2")):
        change = ChargeChange(VENDOR, 0, Amounts(Decimal(fee), Decimal(0), 60))
        await corrections.book([Correction(call_id(2), (change,), reference, "ann", "wrong", STARTED)])
    found = {call.call_id: call.corrections async for page in filled.pages(CallFilter(limit=100)) for call in page}
    assert found == {call_id(index): () for index in range(CALLS)} | {
        call_id(2): (PastCorrection(VENDOR, 0, "second"),)
    }
