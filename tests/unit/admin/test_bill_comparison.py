"""Prices of a vendor by other rates of the configuration; and calls that are sorted outside of memory."""

from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
from doubles.data.builders import applied_rate, rating_policy

from vosd.admin import sorted_calls
from vosd.admin.bill_comparison import other_rates, rate_of_breakdown, sent_call, unrecorded_call
from vosd.admin.foreign_calls import ForeignLayout
from vosd.admin.shadow_rating import CdrMap, RatedSide
from vosd.admin.sorted_calls import SortedCalls
from vosd.base.ids import uuid7
from vosd.billing.rater import itemise, rate_call
from vosd.catalogue.catalogue import Catalogue
from vosd.cdr.record import VENDOR
from vosd.clearing.calls import BillClass, BilledCall, SentCall
from vosd.clearing.explanations import Judge
from vosd.config.load import load
from vosd.storage.reconciliations import VendorCall
from vosd.storage.unrecorded_calls import UnrecordedCall

CONFIGURATION = """
rate_groups:
  - name: buy
    rates:
      - {prefix: "44", billing_rate: "0.0111", effective_to: "2026-10-01T00:00:00Z"}
      - {prefix: "44", billing_rate: "0.0123", effective_from: "2026-10-01T00:00:00Z"}
  - {name: gold, rates: [{prefix: "44", billing_rate: "0.0177"}]}
  - {name: silver, rates: [{prefix: "44", billing_rate: "0.0188"}]}
  - {name: euros, currency: EUR, rates: [{prefix: "44", billing_rate: "0.0199"}]}
accounts: [{id: carrier, type: clearing, rate_group: buy, overdraft_limit: unlimited, currency: USD}]
routing_gateways:
  - {name: trunk, account: carrier, address: 203.0.113.1}
  - {name: other, account: carrier, address: 203.0.113.2, rate_group: gold}
"""
OCTOBER_3 = 1_790_985_600_000
BOOKED = applied_rate("0.0123")


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    path: Path = tmp_path_factory.mktemp("rates") / "vosd.yaml"
    path.write_text(CONFIGURATION)
    return load(path, {}).catalogue


def verdict(catalogue: Catalogue, price: str, booked: str = "0.0123") -> tuple[BillClass, str]:
    """Judge a call of 300 s that the vendor bills by the price of a minute."""
    rate, theirs = applied_rate(booked), applied_rate(price)
    charge = rate_call(rate, 300_000)
    ours = SentCall(
        0, "4420", "c", "", 300_000, 303_000, 300, charge.fee, "44", "trunk", OCTOBER_3, "4420"
    )  # fmt: skip
    billed = BilledCall(0, "4420", 2, "", 300_000, None, rate_call(theirs, 300_000).fee)
    return Judge(2_000, others=tuple(other_rates(catalogue, "carrier"))).verdict(ours, billed, rate)[:2]


@pytest.mark.parametrize(
    ("price", "booked", "explanation"),
    [
        ("0.0111", "0.0123", "our rate of 7 days before"),
        ("0.0123", "0.0140", "our rate as it is configured now"),
        ("0.0177", "0.0123", "rate group gold"),
        ("0.0188", "0.0123", "price of 0.0188 a minute"),  # the price of another customer or vendor
        ("0.0199", "0.0123", "price of 0.0199 a minute"),
    ],
)
def test_another_rate_of_ours_is_named(catalogue: Catalogue, price: str, booked: str, explanation: str) -> None:
    assert verdict(catalogue, price, booked) == (BillClass.RATE_DIFFERS, explanation)


def test_the_rate_of_a_call_is_that_of_its_stored_steps() -> None:
    rate = applied_rate("0.0123", 6, first_duration=30, policy=rating_policy(fee_precision=4))
    dead_call = '"dead_call_billing":"proof","noticed_at":"2026-10-05T08:00:00.000Z"'
    for more in ("", f",{dead_call}"):
        stored = rate_of_breakdown(f'{{"customer":[],"vendor":{itemise(rate, 61_000)[1]}{more}}}')
        assert stored is not None
        assert [rate_call(stored, ms) for ms in (5_000, 61_000)] == [rate_call(rate, ms) for ms in (5_000, 61_000)]


@pytest.mark.parametrize("text", ["", "{}", '{"vendor":[]}', '{"vendor":[{"step":"rate"}]}', '{"vendor":7}'])
def test_a_call_without_steps_has_no_rate(text: str) -> None:
    assert rate_of_breakdown(text) is None


def test_calls_come_in_the_order_of_their_times_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorted_calls, "RUN", 100)
    monkeypatch.setattr(sorted_calls, "BLOCK", 30)
    calls = [BilledCall(at, f"44{at}", at, "", 1_000, None, Decimal("0.10")) for at in range(1_050)]
    shuffled = [*calls]
    Random(3).shuffle(shuffled)
    with SortedCalls(BilledCall) as kept:
        for each in shuffled:
            kept.add(each)
        assert kept.count == len(calls)
        assert list(kept) == calls
        assert list(kept) == calls, "it can be read again"


@pytest.mark.parametrize(("includes_tax", "cost"), [(False, "1.00"), (True, "1.19")])
@pytest.mark.parametrize(("starts_at_invite", "began"), [(False, 64_000), (True, 0)])
def test_our_calls_are_compared_with_or_without_tax_from_invite_or_answer(
    includes_tax: bool, cost: str, starts_at_invite: bool, began: int
) -> None:
    layout = ForeignLayout("", "", "")
    wanted = CdrMap(layout, RatedSide.BUY, includes_tax=includes_tax, starts_at_invite=starts_at_invite)
    fee, tax, at = Decimal(1), Decimal("0.19"), OCTOBER_3
    recorded = VendorCall(
        "c", at, at + 64_000, at + 124_000, "4930", "4420", "00884420", "trunk", None, 60, fee, tax, "44", None, 64_000
    )
    unrecorded = UnrecordedCall(uuid7(at, bytes(10)), at + 124_000, VENDOR, "44", 60, 60, fee, tax, "[]")
    for ours in (sent_call(recorded, wanted), unrecorded_call(unrecorded, wanted)):
        assert (ours.at - at, ours.duration_ms, ours.from_invite_ms) == (began, 60_000, 124_000)
        assert (ours.cost, ours.billed_seconds, ours.prefix) == (Decimal(cost), 60, "44")
    ours = sent_call(recorded, wanted)
    assert (ours.number, ours.rated_number, ours.gateway) == ("4420", "00884420", "trunk")
