"""Part of an attempt without answer that the record of its call charges, where vendors are paid from the INVITE."""

from typing import Any

import pytest

from vosd.b2bua.stamps import Journey
from vosd.base.clock import Instant
from vosd.callcontrol.bookkeeping import paid_in_vain_ms

INVITED = Instant(10_000, 1_790_000_000_000)
ENDED_MS = 17_000


@pytest.mark.parametrize(
    ("facts", "call_id", "paid_ms"),
    [
        ({}, "latest", 7_000),
        ({}, "first", None),
        ({"foremost_call_id": "first"}, "first", 7_000),
        ({"foremost_call_id": "first"}, "latest", None),
        ({"vendor_left_at": INVITED.plus(3_000)}, "latest", 3_000),
        ({"vendor_left_at": INVITED.plus(9_000)}, "latest", 7_000),
        ({"vendor_left_at": INVITED.plus(-1)}, "latest", 0),
        ({"vendor_answered_at": INVITED.plus(1)}, "latest", None),
        ({"vendor_invited_at": None}, "latest", None),
        ({"sip_call_ids_out": []}, "latest", None),
    ],
)
def test_the_attempt_that_the_record_names_is_paid_until_it_was_left(facts: dict[str, Any], call_id: str, paid_ms):
    journey = Journey(**{"vendor_invited_at": INVITED, "sip_call_ids_out": ["first", "latest"], **facts})
    assert paid_in_vain_ms(journey, ENDED_MS, call_id) == paid_ms
