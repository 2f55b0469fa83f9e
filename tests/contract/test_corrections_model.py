"""Random corrections of a few calls against a plain model: what each costs, who has what, and what the ledger says."""

from decimal import Decimal
from random import Random

import pytest
from contract.conftest import seeded
from doubles.data.records import answered_call, call_id, charge_row

from vosd.cdr.corrections import Amounts, ChargeChange, Correction
from vosd.cdr.record import AGENT, CUSTOMER, VENDOR, Posting
from vosd.storage.books import SqlBooks
from vosd.storage.corrections import SqlCorrections
from vosd.storage.ports import CallFilter, ReferenceTaken
from vosd.storage.queries import SqlQueries
from vosd.storage.verify import verify_ledger

CALLS = range(4)
PARTIES = {(CUSTOMER, 0): "acme", (AGENT, 1): "reseller", (VENDOR, 0): "carrier"}
AT_FIRST = {
    (CUSTOMER, 0): Amounts(Decimal("0.51"), Decimal(0), 60),
    (AGENT, 1): Amounts(Decimal("0.40"), Decimal(0), 60),
    (VENDOR, 0): Amounts(Decimal("0.30"), Decimal(0), 60),
}
STEPS = 40


def booked_call(index: int):
    terms = {"customer_account": "acme", "vendor_account": "carrier", "fee": Decimal("0.51"), "cost": Decimal("0.30")}
    plain = answered_call(index, **terms)
    agent = charge_row("reseller", AGENT, 1, Decimal("0.40"))
    posting = Posting("reseller", Decimal("-0.40"), f"{call_id(index)}/agent-1", "USD")
    return answered_call(
        index, charges=(plain.charges[0], agent, plain.charges[1]), postings=(*plain.postings, posting), **terms
    )


def any_amounts(random: Random) -> Amounts:
    """Return amounts of few different values, so that some corrections change nothing."""
    fee, tax = (Decimal(random.randrange(4)).scaleb(-random.choice((0, 2, 8))) for _ in range(2))
    return Amounts(fee, tax, random.randrange(0, 120, 60))


@seeded(0, 1)
async def test_balances_cdrs_and_ledger_agree_with_the_model_after_each_step(database, seed):
    random, store = Random(seed), SqlCorrections(database)
    await SqlBooks(database).book([booked_call(index) for index in CALLS])
    costs = {(index, *party): AT_FIRST[party] for index in CALLS for party in PARTIES}
    booked: dict[tuple[int, str], dict[tuple[str, int], Amounts]] = {}
    """By call and reference, what was changed."""
    asked: dict[tuple[int, str], dict[tuple[str, int], Amounts]] = {}
    """The same, with what was as wanted then."""
    then: dict[tuple[int, str], dict[tuple[str, int], Amounts]] = {}
    """What all charges of the call were afterwards."""
    for _ in range(STEPS):
        index, reference = random.choice(CALLS), f"r{random.randrange(8)}"
        parties = random.sample(sorted(PARTIES), random.randint(1, 3))
        wanted = {party: any_amounts(random) for party in parties}
        earlier = booked.get((index, reference))
        if earlier is not None and random.random() < 0.6:
            more = wanted if random.random() < 0.5 else {}
            wanted = {**more, **random.choice((earlier, asked[index, reference]))}
        changes = tuple(ChargeChange(role, level, after) for (role, level), after in wanted.items())
        correction = Correction(call_id(index), changes, reference, "ann", "model", 1_790_000_500_000)
        if earlier is not None and (
            any(wanted.get(party) != after for party, after in earlier.items())
            or any(
                after not in {costs[index, *party], then[index, reference][party]}
                for party, after in wanted.items()
                if party not in earlier
            )
        ):
            with pytest.raises(ReferenceTaken):
                await store.book([correction])
        else:
            found = await store.book([correction])
            if earlier is None:
                new = {party: after for party, after in wanted.items() if costs[index, *party] != after}
                assert {(each.role, each.level): each.after for each in found} == new
                if new:
                    booked[index, reference] = new
                costs.update({(index, *party): after for party, after in new.items()})
                asked[index, reference] = wanted
                then[index, reference] = {party: costs[index, *party] for party in PARTIES}
            else:
                assert {(each.role, each.level): each.after for each in found} == earlier
                assert all(each.is_repeated for each in found)
        await agrees(database, costs)
    assert (await verify_ledger(database)).differences == ()


async def agrees(database, costs) -> None:
    queries = SqlQueries(database)
    for (role, level), account in PARTIES.items():
        owed = sum((costs[index, role, level].total for index in CALLS), Decimal(0))
        standing = await queries.standing(account)
        assert standing is not None
        assert standing.balance == -owed
    records = {each.record.call_id: each.record for each in await queries.calls(CallFilter())}
    for index in CALLS:
        record = records[call_id(index)]
        assert {
            (each.role, each.level): Amounts(each.fee, each.tax, each.billed_seconds) for each in record.charges
        } == {party: costs[index, *party] for party in PARTIES}
        assert Amounts(record.fee, record.tax, record.billed_seconds) == costs[index, CUSTOMER, 0]
        assert Amounts(record.cost, record.cost_tax, record.vendor_billed_seconds) == costs[index, VENDOR, 0]
