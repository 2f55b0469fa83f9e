"""The charges of a record with their steps."""

import json
from decimal import Decimal

import msgspec
import pytest
from doubles.data.records import answered_call, charge_row

from vosd.cdr.charges import with_breakdowns
from vosd.cdr.record import AGENT, CUSTOMER, VENDOR

STEPS = {CUSTOMER: [{"step": "rate", "fee": "1"}], VENDOR: [{"step": "rate", "fee": "2"}]}


def test_customer_and_vendor_have_the_steps_of_the_record_and_an_agent_its_own():
    agent = msgspec.structs.replace(charge_row("reseller", AGENT, 1, Decimal("1.50")), breakdown="[3]")
    pays, gets = answered_call(1).charges
    record = answered_call(1, charges=(pays, agent, gets), fee_breakdown=json.dumps(STEPS))
    assert [json.loads(each.breakdown) for each in with_breakdowns(record)] == [STEPS[CUSTOMER], [3], STEPS[VENDOR]]


@pytest.mark.parametrize("breakdown", ["", "no JSON", "[]", '{"agent": []}'])
def test_charges_are_shown_without_steps_where_the_record_has_none(breakdown):
    record = answered_call(1, fee_breakdown=breakdown)
    assert with_breakdowns(record) == record.charges
