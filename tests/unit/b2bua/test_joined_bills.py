"""What two calls cost that a transfer has joined: both to the deadline that ended the one, however late timers run."""

import json
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import pytest
from doubles.data.builders import applied_rate
from doubles.timed_scene import TIMED, TimedScene
from doubles.virtual.customer import OutgoingCall
from doubles.virtual.scene import CALLEE
from doubles.virtual.side import Reply

from vosd.b2bua.settings import DeadCallBilling
from vosd.billing.rater import rate_call
from vosd.cdr.record import CallRecord

TARGET = "442071111111"
LATENESSES_MS = [0, 7, 3_000, 40_000]


class JoinedScene(TimedScene):
    """The stage, with two calls whose other sides are connected; the second is answered a second after the first."""

    def __init__(self, *, balance="100000", others: DeadCallBilling | None = None, **terms):
        """``others``: the second call begins after a reload with this setting."""
        super().__init__(**terms)
        self.exchange.credits["acme"].committed(Decimal(balance), 2)
        self.vendor.script = TIMED
        first = self.call(CALLEE)
        if others is not None:
            before = self.exchange.switch.catalogue
            now = replace(before.parameters, dead_call_billing=others)
            self.exchange.swap_catalogue(replace(before, parameters=now))
        second = self.call(TARGET)
        first.ask("REFER", headers=[f"Refer-To: <sip:{TARGET}@192.0.2.1?Replaces={second.replaces_in_uri}>"])
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


def noticed_at(record, billing):
    """Return when it was noticed that a peer had vanished, by the record of a call that has ended for that."""
    said = json.loads(record.fee_breakdown)
    assert (record.end_reason, record.hangup_source) == ("Session Timeout", "switch")
    assert said["dead_call_billing"] == billing.value
    return round(1_000 * datetime.fromisoformat(said["noticed_at"]).timestamp())


def lengths(records):
    """Return how long both calls were, in seconds."""
    return [record.hold_time_ms / 1_000 for record in records]


@pytest.mark.parametrize("lateness_ms", LATENESSES_MS)
@pytest.mark.parametrize("billing", list(DeadCallBilling))
@pytest.mark.parametrize("which", [0, 1])
def test_a_side_that_vanishes_ends_both_calls_at_one_moment(which, billing, lateness_ms):
    """One conversation has one end: by ``proof`` the call of the side that stays is not billed to the detection."""
    scene = JoinedScene(parameters={"dead_call_billing": billing}, lateness_ms=lateness_ms)
    joined_at = scene.exchange.clock.now().wall
    scene.vendor.calls[which].gone = 0
    records = scene.ends()
    (noticed_ms,) = {noticed_at(record, billing) for record in records}
    (ended_at,) = {record.ended_at for record in records}
    assert 599_000 <= noticed_ms - joined_at <= 600_000
    if billing is DeadCallBilling.DETECTION:
        assert ended_at == noticed_ms
    else:  # to the last refresh of the side that stays, as in a call of its own
        assert 299_000 <= ended_at - joined_at <= 300_000 + 2 * lateness_ms


@pytest.mark.parametrize("lateness_ms", LATENESSES_MS)
def test_what_both_sides_have_proven_is_billed_where_both_have_vanished(lateness_ms):
    scene = JoinedScene(parameters={"dead_call_billing": DeadCallBilling.PROOF}, lateness_ms=lateness_ms)
    joined_at = scene.exchange.clock.now().wall
    for there in scene.vendor.calls:
        there.gone = 0
    records = scene.ends()
    assert len({noticed_at(record, DeadCallBilling.PROOF) for record in records}) == 1
    assert records[0].ended_at == records[1].ended_at <= joined_at


@pytest.mark.parametrize("which", [0, 1])
def test_each_of_both_calls_is_billed_by_the_setting_of_its_beginning(which):
    scene = JoinedScene(parameters={"dead_call_billing": DeadCallBilling.PROOF}, others=DeadCallBilling.DETECTION)
    scene.vendor.calls[which].gone = 0
    records = scene.ends()
    noticed_ms = noticed_at(records[0], DeadCallBilling.PROOF)
    assert noticed_at(records[1], DeadCallBilling.DETECTION) == noticed_ms == records[1].ended_at
    assert records[0].ended_at < noticed_ms - 200_000


def test_a_limit_that_a_call_has_reached_before_the_other_is_found_dead_holds():
    scene = JoinedScene(parameters={"max_call_seconds": 301}, lateness_ms=max(LATENESSES_MS))
    party, target = scene.vendor.calls
    began_at = min(call.record.answered_at for call in scene.exchange.sink.open.values())
    scene.wire.run_for(began_at + 301_500 - scene.exchange.clock.now().wall)
    target.will("INVITE", Reply(408))
    party.propose("a=sendonly")
    first, second = scene.ends()
    assert (first.end_reason, first.hold_time_ms) == ("Maximum Duration", 301_000)
    assert (second.end_reason, second.hold_time_ms) == ("Session Timeout", 300_500)


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
