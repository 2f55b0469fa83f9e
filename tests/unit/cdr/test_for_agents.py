"""Records as agents see them."""

import json
from decimal import Decimal

import msgspec
from doubles.data.records import answered_call, charge_row

from vosd.cdr.columns import KEYS, KEYS_FOR_AGENTS, OF_VENDOR, RECORD_COLUMNS, record_for_agent
from vosd.cdr.record import AGENT

STEPS = '{"customer":[{"step":"fee"}],"vendor":[{"step":"secret"}],"noticed_at":"2026-01-01T00:00:00.000Z"}'


def record():
    plain = answered_call(1, customer_account="acme", vendor_account="carrier", fee_breakdown=STEPS)
    customer, vendor = plain.charges
    agents = (charge_row("mid", AGENT, 1, Decimal(2)), charge_row("top", AGENT, 2, Decimal(1)))
    return msgspec.structs.replace(plain, charges=(customer, *agents, vendor))


def test_charges_of_accounts_above_and_of_the_vendor_are_left_out():
    seen = record_for_agent(record(), {"mid", "acme"})
    assert [each.account for each in seen.charges] == ["acme", "mid"]


def test_the_steps_of_the_vendor_are_left_out():
    assert json.loads(record_for_agent(record(), {"acme"}).fee_breakdown) == {
        "customer": [{"step": "fee"}],
        "noticed_at": "2026-01-01T00:00:00.000Z",
    }


def test_steps_that_cannot_be_read_are_left_out():
    for damaged in ('{"vendor"', "[1]"):
        assert record_for_agent(answered_call(1, fee_breakdown=damaged), ()).fee_breakdown == "{}"


def test_no_column_that_agents_see_is_about_the_vendor():
    assert {*KEYS_FOR_AGENTS} | OF_VENDOR == {*KEYS}
    seen = [key for key in KEYS_FOR_AGENTS if key.startswith(("vendor", "cost", "routing_g")) or key.endswith("_out")]
    assert seen == []
    meant = {each.name for each in RECORD_COLUMNS if "vendor" in each.meaning or "routing gateway" in each.meaning}
    assert meant <= OF_VENDOR


def test_the_vendors_own_account_is_not_shown_as_its_charge_even_if_the_agent_sees_it():
    seen = record_for_agent(record(), {"acme", "carrier"})
    assert [each.account for each in seen.charges] == ["acme"]
