"""What two calls cost that a transfer has joined: both to the deadline that ended the one, however late timers run."""

import json
from datetime import datetime
from decimal import Decimal

import pytest
from doubles.data.builders import applied_rate
from doubles.timed_scene import TIMED, TimedScene
from doubles.virtual.customer import OutgoingCall
from doubles.virtual.scene import CALLEE

from vosd.b2bua.settings import DeadCallBilling
from vosd.billing.rater import rate_call
from vosd.cdr.record import CallRecord

TARGET = "442071111111"
LATENESSES_MS = [0, 7, 3_000, 40_000]


class JoinedScene(TimedScene):
    """The stage, with two calls whose other sides are connected; the second is answered a second after the first."""

    def __init__(self, *, balance="100000", **terms):
        super().__init__(**terms)
        self.exchange.credits["acme"].committed(Decimal(balance), 2)
        self.vendor.script = TIMED
        first, second = self.call(CALLEE), self.call(TARGET)
        named = f"{second.call_id};to-tag={second.remote.rpartition('tag=')[2]};from-tag={second.tag}"
        named = named.replace("@", "%40").replace(";", "%3B").replace("=", "%3D")
        first.ask("REFER", headers=[f"Refer-To: <sip:{TARGET}@192.0.2.1?Replaces={named}>"])
        self.wire.run_for(500)
        assert first.is_over
        assert second.is_over

    def call(self, number: str) -> OutgoingCall:
        """Make a call that is answered a second later."""
        call = self.caller.call(number)
        self.wire.run_until(lambda: call.final == 200)
        return call

    def ends(self) -> list[CallRecord]:
        """Return both records, in the order of the calls, once both are over; each is billed to its length."""
        self.wire.run_until(lambda: len(self.exchange.sink.records) == 2, within_ms=10**9)
        self.wire.run_for(60_000)
        assert self.exchange.residue() == {}
        found = sorted(self.exchange.sink.records, key=lambda record: record.started_at)
        assert [record.callee_in for record in found] == [CALLEE, TARGET]
        for record in found:
            assert record.fee == rate_call(applied_rate(), record.hold_time_ms).total
            assert record.ended_at == record.answered_at + record.hold_time_ms
        assert found[1].answered_at - found[0].answered_at == 1_000
        assert self.exchange.statement("acme") == -sum(record.fee for record in found)
        for there in self.vendor.calls:
            assert there.gone == 0 or len(there.asked["BYE"]) == 1
        return found


def lengths(records):
    """Return how long both calls were, in seconds."""
    return [record.hold_time_ms / 1_000 for record in records]


@pytest.mark.parametrize("lateness_ms", LATENESSES_MS)
@pytest.mark.parametrize("billing", list(DeadCallBilling))
@pytest.mark.parametrize("which", [0, 1])
def test_a_side_that_vanishes_ends_the_other_call_when_that_is_noticed(which, billing, lateness_ms):
    scene = JoinedScene(parameters={"dead_call_billing": billing}, lateness_ms=lateness_ms)
    joined_at = scene.exchange.clock.now().wall
    scene.vendor.calls[which].gone = 0
    records = scene.ends()
    dead, other = records[which], records[1 - which]
    assert (dead.end_reason, other.end_reason) == ("Session Timeout", "Normal")
    noticed = datetime.fromisoformat(json.loads(dead.fee_breakdown)["noticed_at"])
    assert 599_000 <= 1_000 * noticed.timestamp() - joined_at <= 600_000
    assert other.ended_at == round(1_000 * noticed.timestamp())
    if billing is DeadCallBilling.DETECTION:
        assert dead.ended_at == other.ended_at
    else:
        assert dead.ended_at <= joined_at


@pytest.mark.parametrize("lateness_ms", LATENESSES_MS)
def test_the_longest_call_ends_both_at_its_end(lateness_ms):
    records = JoinedScene(parameters={"max_call_seconds": 400}, lateness_ms=lateness_ms).ends()
    assert lengths(records) == [400, 399]
    assert [record.end_reason for record in records] == ["Maximum Duration", "Normal"]


@pytest.mark.parametrize("lateness_ms", LATENESSES_MS)
def test_the_limit_of_peers_without_timer_ends_both_at_its_end(lateness_ms):
    records = JoinedScene(vendor={"enabled": False, "no_timer_limit_s": 300}, lateness_ms=lateness_ms).ends()
    assert lengths(records) == [300, 299]


@pytest.mark.parametrize("lateness_ms", LATENESSES_MS)
def test_money_that_runs_out_ends_both_with_it(lateness_ms):
    """A cent a second for each of two calls: they share what is left after a minute of both, to the last second.

    Where timers run later than a share lasts, the call that asks first is granted the next one as well.
    """
    records = JoinedScene(balance="2.00", lateness_ms=lateness_ms).ends()
    assert lengths(records) == ([81, 80] if lateness_ms == max(LATENESSES_MS) else [100, 99])
    assert sorted(record.end_reason for record in records) == ["Balance Exhausted", "Normal"]
    assert records[0].ended_at == records[1].ended_at
