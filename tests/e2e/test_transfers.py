"""A customer's REFER: the two that stay talk to each other, and both calls are paid for (RFC 5589)."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from .expectations import SELL, answered, check, cycles_of
from .stage import Caller, Stage, Vendor

pytestmark = pytest.mark.sipp


def test_a_blind_transfer_leaves_two_calls_that_end_together(stage: Stage) -> None:
    number, target = stage.number("4410"), stage.number("4420")
    first, second = (
        Vendor("carrier-a", "is_transferred"),
        Vendor("carrier-b", "is_transferred_to", {"media": "192.0.2.30", "hops": "68"}),
    )
    source = stage.endpoint_of("acme")
    with (
        stage.vendor(first, number) as transferee,
        stage.vendor(second, target) as transferred_to,
        stage.caller(Caller("transfers", {"target": target}), number, source) as transferor,
    ):
        for party in (transferor, transferred_to, transferee):
            party.wait()
    stage.expect_nothing_left()

    one, other = stage.record_of(number), stage.record_of(target)
    check(one, answered("carrier-a", "caller"))
    assert (other["end_reason"], other["hangup_source"]) == ("Normal", "callee")
    assert (other["mapping_gateway"], other["customer_account"]) == ("acme-pbx", "acme")
    assert [(attempt["gateway"], attempt["code"]) for attempt in other["attempts"]] == [("carrier-b", 200)]
    ends = [datetime.fromisoformat(record["ended_at"]) for record in (one, other)]
    assert abs(ends[0] - ends[1]) <= timedelta(milliseconds=1)
    assert [Decimal(each["fee"]) for each in (one, other)] == [cycles_of(each) * SELL for each in (one, other)]
    stage.expect_clean_log()
