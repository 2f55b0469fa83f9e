"""The charges of a record with their steps, and those of a record that lists none."""

import json
from decimal import Decimal

import msgspec
import pytest
from doubles.data.records import answered_call, charge_row

from vosd.cdr.charges import charges_of, with_breakdowns
from vosd.cdr.record import AGENT, CUSTOMER, VENDOR

STEPS = {CUSTOMER: [{"step": "rate", "fee": "1"}], VENDOR: [{"step": "rate", "fee": "2"}]}
LISTS_NONE = {"charges": (), "billed_seconds": 0, "vendor_billed_seconds": 0}
NOTHING = {"fee": Decimal(0), "tax": Decimal(0), "cost": Decimal(0), "cost_tax": Decimal(0)}


def test_customer_and_vendor_have_the_steps_of_the_record_and_an_agent_its_own():
    agent = msgspec.structs.replace(charge_row("reseller", AGENT, 1, Decimal("1.50")), breakdown="[3]")
    pays, gets = answered_call(1).charges
    record = answered_call(1, charges=(pays, agent, gets), fee_breakdown=json.dumps(STEPS))
    assert [json.loads(each.breakdown) for each in with_breakdowns(record)] == [STEPS[CUSTOMER], [3], STEPS[VENDOR]]


@pytest.mark.parametrize("breakdown", ["", "no JSON", "[]", '{"agent": []}'])
def test_charges_are_shown_without_steps_where_the_record_has_none(breakdown):
    record = answered_call(1, fee_breakdown=breakdown)
    assert with_breakdowns(record) == record.charges


@pytest.mark.parametrize(
    ("column", "value", "role"),
    [
        ("fee", Decimal("0.01"), CUSTOMER),
        ("tax", Decimal("0.01"), CUSTOMER),
        ("billed_seconds", 1, CUSTOMER),
        ("cost", Decimal("0.01"), VENDOR),
        ("cost_tax", Decimal("0.01"), VENDOR),
        ("vendor_billed_seconds", 1, VENDOR),
    ],
)
def test_a_record_that_lists_no_charge_has_that_of_each_side_for_which_anything_was_charged(column, value, role):
    free = answered_call(1, **NOTHING, **LISTS_NONE)
    assert charges_of(free) == ()
    charged = msgspec.structs.replace(free, **{column: value})
    assert [(each.role, each.level) for each in charges_of(charged)] == [(role, 0)]


def test_each_charge_of_a_record_that_lists_none_has_what_its_side_pays():
    sold = {"rate_prefix": "4420", "billed_seconds": 60, "fee": Decimal("0.6"), "tax": Decimal("0.1")}
    bought = {
        "vendor_rate_prefix": "44",
        "vendor_billed_seconds": 57,
        "cost": Decimal("0.4"),
        "cost_tax": Decimal("0.2"),
    }
    parties = {"customer_account": "shop", "currency": "USD", "vendor_account": "carrier", "vendor_currency": "EUR"}
    record = answered_call(1, charges=(), **parties, **sold, **bought)
    found = [
        (each.role, each.account, each.rate_prefix, each.billed_seconds, each.fee, each.tax, each.currency)
        for each in charges_of(record)
    ]
    assert found == [
        (CUSTOMER, "shop", "4420", 60, Decimal("0.6"), Decimal("0.1"), "USD"),
        (VENDOR, "carrier", "44", 57, Decimal("0.4"), Decimal("0.2"), "EUR"),
    ]


def test_the_rate_of_a_charge_that_is_not_listed_is_read_from_the_breakdown():
    rate = {"step": "rate", "group": "gold", "version": "a1", "billing_rate": "0.6", "price_per": "minute"}
    other = {"step": "fee", "group": "no", "version": "no", "billing_rate": "9", "price_per": "no"}
    record = answered_call(1, charges=(), fee_breakdown=json.dumps({VENDOR: ["damaged", other, rate]}))
    pays, gets = charges_of(record)
    assert (pays.rate_version, pays.unit_price) == (None, None)
    assert (gets.rate_group, gets.rate_version, gets.unit_price, gets.price_per) == (
        "gold",
        "a1",
        Decimal("0.6"),
        "minute",
    )
    damaged = answered_call(1, charges=(), fee_breakdown=json.dumps({VENDOR: [rate | {"billing_rate": "?"}]}))
    assert charges_of(damaged)[1].unit_price is None
