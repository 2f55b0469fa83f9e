"""End reasons with their codes, call ids that sort by time, instants."""

from uuid import UUID

import pytest

from vosd.base.cause import EndReason, q850_of_status
from vosd.base.clock import Instant
from vosd.base.ids import uuid7


@pytest.mark.parametrize("reason", EndReason)
def test_end_reason_is_found_again_by_its_text_in_a_cdr(reason):
    assert EndReason(reason.text) is reason
    assert 1 <= reason.q850_cause <= 127
    assert reason.sip_status is None or 400 <= reason.sip_status < 700


@pytest.mark.parametrize(
    ("status", "cause"),
    [(404, 1), (486, 17), (480, 18), (408, 102), (499, 127), (599, 41), (603, 21), (607, 21), (608, 21)],
)
def test_q850_cause_follows_the_status(status, cause):
    assert q850_of_status(status) == cause


def test_call_id_is_a_version_7_uuid_of_its_wall_time():
    made = UUID(uuid7(1_700_000_000_123, bytes(range(10))))
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert made.int >> 80 == 1_700_000_000_123


def test_call_ids_differ_by_entropy_and_sort_by_time():
    early, other = uuid7(1_000, bytes(10)), uuid7(1_000, b"\xff" * 10)
    assert early != other
    assert max(early, other) < uuid7(1_001, bytes(10))


def test_instant_moves_both_clocks():
    assert Instant(5, 1_000).plus(10) == Instant(15, 1_010)
    assert Instant(5, 1_000).plus(-5) == Instant(0, 995)
