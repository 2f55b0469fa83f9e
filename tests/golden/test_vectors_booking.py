"""The worked examples of parameters, free time, payments, and which calls leave a record, through what does each.

From tests/vectors/billing.json, and those of ended calls in tests/vectors/routing.json. Two are overruled: an answered
call that the switch ended is billed whether it leaves a record or not, and credit is an overdraft limit, no payment.
"""

import json
from decimal import Decimal

import pytest
from doubles.data.builders import applied_rate, rates_in, rating_policy
from doubles.memory.store import MemoryStore
from doubles.virtual.scene import Scene, usual_catalogue

from golden.worked import BILLING, of
from vosd.base.cause import EndReason
from vosd.billing.holds import AccountCredit
from vosd.billing.rater import rate_call
from vosd.catalogue.problems import ConfigError
from vosd.config.assembly.rate_report import stored_by_vos3000
from vosd.config.load import load
from vosd.storage.ports import CallFilter, EntryKind, Payment


@of("param_range", BILLING)
def test_billing_parameters_have_their_ranges(given, expect, tmp_path):
    path = tmp_path / "vosd.yaml"
    path.write_text(json.dumps({"parameters": {given["parameter"]: given["value"]}}))
    if expect["accepted"]:
        load(path)
        return
    with pytest.raises(ConfigError, match=given["parameter"]):
        load(path)


@of("precision_unit")
def test_a_precision_is_a_smallest_unit_at_which_a_rate_of_as_many_decimals_is_kept(given, expect, tmp_path):
    path = tmp_path / "vosd.yaml"
    rate = {"prefix": "44", "billing_rate": given["rate"]}
    places = given["SERVER_BILLING_FEE_PRECISTION"]
    path.write_text(json.dumps({"rate_groups": [{"name": "g", "fee_precision": places, "rates": [rate]}]}))
    group = load(path).catalogue.rate_groups["g"]
    assert group.policy.fee_unit == Decimal(expect["smallest_unit"])
    (kept,) = rates_in(group)
    assert kept.billing_rate == Decimal(expect["stored_rate"])
    stored = stored_by_vos3000(Decimal(given["rate"]), places)
    assert (stored.rate, stored.is_lossless) == (Decimal(expect["stored_rate"]), expect["lossless"])


def charged(duration_s: int, free_time_s: int, unit_s: int, rate: str = "0.60"):
    applied = applied_rate(rate, unit_s, policy=rating_policy(free_time_s=free_time_s))
    return rate_call(applied, 1_000 * duration_s)


@of("free_time")
def test_free_time_is_taken_off_before_units_are_counted(given, expect):
    duration_s, free_s = given["duration_s"], given["SERVER_BILLING_FREE_TIME"]
    by_second = charged(duration_s, free_s, 1)
    by_minute = charged(duration_s, free_s, 60)
    assert by_second.billed_seconds == expect["after_free_time_s"]
    assert by_second.billed_seconds == expect.get("billed_seconds_unit1", by_second.billed_seconds)
    assert by_minute.billed_seconds == 60 * expect.get("billed_minutes_unit60", by_minute.billed_seconds // 60)
    assert bool(by_minute.fee) is expect.get("charged", True)
    assert by_second.hold_time_s == duration_s, "the record says how long it was"


@of("free_time_compare")
def test_free_time_can_save_a_unit(given, expect):
    duration_s, free_s, unit_s = given["duration_s"], given["SERVER_BILLING_FREE_TIME"], given["billing_unit_s"]
    with_free, without = charged(duration_s, free_s, unit_s), charged(duration_s, 0, unit_s)
    assert charged(duration_s, free_s, 1).billed_seconds == expect["after_free_time_s"]
    assert with_free.billed_seconds == unit_s * expect["billed_minutes_with_free_time"]
    assert without.billed_seconds == unit_s * expect["billed_minutes_without_free_time"]
    assert (with_free.fee == without.fee) is expect["same_charge"]


@of("free_time_fee")
def test_what_free_time_costs_the_operator(given, expect):
    terms = given["billing_unit_s"], given["rate_per_min"]
    without = charged(given["duration_s"], 0, *terms).fee
    with_free = charged(given["duration_s"], given["free_time_s"], *terms).fee
    assert (without, with_free) == (Decimal(expect["fee_free_time_0"]), Decimal(expect["fee_free_time_6"]))
    assert 100 * (without - with_free) / without == Decimal(expect["revenue_loss_percent"])


@of("billed_difference")
def test_units_that_differ_are_billed_differently(given, expect):
    vendor = charged(given["duration_s"], 0, given["vendor_unit_s"]).billed_seconds
    client = charged(given["duration_s"], 0, given["client_unit_s"]).billed_seconds
    assert (vendor, client) == (expect["vendor_billed_s"], expect["client_billed_s"])
    assert client - vendor == expect["difference_s"]


KINDS = {"Payment": EntryKind.PAYMENT, "Make Zero": EntryKind.ZERO}


@of("payment", but=frozenset({"PAY-CREDIT"}))
async def test_a_payment_moves_the_balance(given, expect):
    store = MemoryStore()
    await store.add(payment(EntryKind.ADJUSTMENT, given["balance"]))
    receipt = await store.add(payment(KINDS[given["type"]], given.get("amount", "0")))
    assert receipt.before == Decimal(expect["balance_before"])
    assert receipt.after == Decimal(expect["balance_after"])
    assert receipt.after - receipt.before == Decimal(expect.get("amount", given.get("amount")))


def payment(kind: EntryKind, amount: str) -> Payment:
    return Payment(account="acme", kind=kind, reference="1", made_at=0, amount=Decimal(amount))


@of("payment", but=frozenset({"PAY-ADD", "PAY-ZERO"}))
def test_credit_is_an_overdraft_limit_and_leaves_the_balance(given, expect):
    credit = AccountCredit("acme", Decimal(given["overdraft"]), Decimal(given["balance"]))
    credit.set_terms(Decimal(given["amount"]), None)
    assert credit.balance == Decimal(expect["balance_after"]) == Decimal(expect["balance_before"])
    assert credit.available - credit.balance == Decimal(expect["overdraft"])


async def ended_by(source: str, *, recorded: bool) -> tuple[bool, bool]:
    """Let a call of a minute end; say whether it left a record, and whether it was billed."""
    scene = Scene(usual_catalogue(record_server_hang_up=recorded))
    call, there = scene.talk()
    scene.wire.run_for(59_000)
    if source == "caller":
        call.hang_up()
    elif source == "callee":
        there.hang_up()
    else:
        scene.exchange.end_all(EndReason.ADMINISTRATIVE)
    scene.wire.run_until(lambda: call.is_over and there.is_over)
    record = scene.close()
    assert record.hangup_source == {"server": "switch"}.get(source, source)
    store = MemoryStore()
    await store.book([record])
    found = await store.calls(CallFilter())
    standing = await store.standing("acme")
    assert -standing.balance == record.fee
    return bool(found), record.fee > 0


@of("record_server_hang_up")
async def test_which_answered_calls_leave_a_record_and_all_are_billed(given, expect):
    recorded = bool(given["SERVER_BILLING_RECORD_SERVER_HANG_UP"])
    left, billed = await ended_by(given["hangup_source"], recorded=recorded)
    assert left is expect["cdr"]
    is_overruled = not expect["cdr"]  # an answered call is charged: the row alone is left out
    assert billed is (expect["billed"] or is_overruled)


@of("hangup_cdr")
async def test_who_ended_a_call_decides_whether_it_leaves_a_record(given, expect):
    recorded = bool(given["SERVER_BILLING_RECORD_SERVER_HANG_UP"])
    left, _ = await ended_by(given["hangup_source"], recorded=recorded)
    assert left is expect["cdr_written"]
