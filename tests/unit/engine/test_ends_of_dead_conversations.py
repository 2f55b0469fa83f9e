"""Two calls that a transfer has joined are one conversation: where a peer vanishes, both end at one proven moment."""

import json
from datetime import datetime

import pytest
from doubles import killed
from doubles.data.builders import account, catalogue, mapping_gateway, phone
from doubles.desk_scene import DESK, MATE, TARGET, are_connected, attended, blind, called, dialled, registered
from doubles.killed import KilledScene
from doubles.sockets.peer import ANSWER
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.scene import CUSTOMER, vendor_gateway
from doubles.virtual.vendor import Line, Script

from vosd.b2bua.settings import DeadCallBilling
from vosd.base.session_timer import Probe, SessionTimerSettings
from vosd.trunks.dialect import CalleeDialect, CallerDialect
from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters, MediaSettings, MediaWatch

TIMER = SessionTimerSettings(ttl_s=1_800, no_timer_limit_s=0, probe=Probe.OPTIONS)
SILENCE = MediaSettings(timeout_ms=10_000, hold_timeout_ms=600_000, watch=MediaWatch.ANY)
BILLINGS = pytest.mark.parametrize("billing", list(DeadCallBilling))
STAYED, LEFT_FOR = range(2)
"""Places of both sides of a joined call: the one that stayed, and the target of the transfer."""
KILLED_AFTER_MS = pytest.mark.parametrize("killed_after_ms", [None, 0, 5_000])


@pytest.fixture(autouse=True)
def _in_one_file(monkeypatch):
    """A new file of the journal has the calls as they are then."""
    monkeypatch.setattr(killed, "SEGMENT_BYTES", 1 << 26)


def office(billing, media=None):
    """Make a customer, a vendor and an office with two telephones, all of them with session timers."""
    caller, callee = CallerDialect(session_timer=TIMER), CalleeDialect(session_timer=TIMER)
    terms = {} if media is None else {"media": media}
    trunks = [
        mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=caller, **terms),
        vendor_gateway(0, dialect=callee, **terms),
    ]
    phones = [phone(name, account="office", dialect=caller, **terms) for name in (DESK, MATE)]
    rich = account("office", overdraft_limit=None)
    parameters = {} if media is None else {"media": MediaParameters(engine=MediaEngine.RELAY, mode=MediaMode.ON)}
    return catalogue(trunks, phones=phones, accounts=[rich], dead_call_billing=billing, **parameters)


def joined(scene, transfer):
    """Return both sides that a transfer has connected: the one that stayed, and the target."""
    desk, mate = registered(scene)
    if transfer == "by the caller":
        leaves = dialled(scene, desk)
        stays = mate.calls[-1]
    else:
        stays, leaves = called(scene, desk)
    if transfer == "attended":
        attended(leaves, dialled(scene, desk, TARGET))
    else:
        blind(leaves, TARGET)
    scene.wire.run_for(2_000)
    assert are_connected(stays, scene.vendor.calls[-1])
    return stays, scene.vendor.calls[-1]


def ends(scene, billing, reason):
    """Return the records of both calls, once they are over: they say the same of their end, and when it was noticed."""
    scene.wire.run_until(lambda: len(scene.exchange.sink.all_records) == 2, within_ms=10**8)
    scene.expect_nothing_left()
    records = sorted(scene.exchange.sink.all_records, key=lambda record: record.started_at)
    said = [json.loads(record.fee_breakdown) for record in records]
    assert {(record.end_reason, record.hangup_source) for record in records} == {(reason, "switch")}
    assert {each["dead_call_billing"] for each in said} == {billing.value}
    (noticed_at,) = {each["noticed_at"] for each in said}
    return records, round(1_000 * datetime.fromisoformat(noticed_at).timestamp())


DETECTION, PROOF = DeadCallBilling.DETECTION, DeadCallBilling.PROOF


@pytest.mark.parametrize(
    ("transfer", "killed_after_ms", "vanished", "billing"),
    [  # each of one column meets each of another
        ("blind", None, STAYED, DETECTION),
        ("blind", 0, LEFT_FOR, PROOF),
        ("blind", 5_000, STAYED, PROOF),
        ("attended", None, LEFT_FOR, PROOF),
        ("attended", 0, STAYED, DETECTION),
        ("attended", 0, STAYED, PROOF),
        ("attended", 5_000, LEFT_FOR, DETECTION),
        ("by the caller", None, STAYED, PROOF),
        ("by the caller", 0, LEFT_FOR, DETECTION),
        ("by the caller", 5_000, LEFT_FOR, PROOF),
    ],
)
def test_both_calls_end_at_one_moment_when_a_peer_has_vanished(tmp_path, transfer, killed_after_ms, vanished, billing):
    scene = KilledScene(tmp_path, office(billing))
    sides = joined(scene, transfer)
    scene.wire.run_for(60_000)
    sides[vanished].gone = 0
    vanished_at = scene.exchange.clock.now().wall
    if killed_after_ms is not None:
        scene.wire.run_for(killed_after_ms)
        scene.kill(1_000)
    records, noticed_at = ends(scene, billing, "Session Timeout")
    (ended_at,) = {record.ended_at for record in records}
    if billing is DeadCallBilling.DETECTION:
        assert ended_at == noticed_at
    else:  # by the side that stays, which has answered half an interval after it was connected
        assert ended_at < vanished_at + TIMER.ttl_s * 1_000 // 2 + 10_000
        assert ended_at < noticed_at - TIMER.ttl_s * 1_000 // 3


@BILLINGS
@KILLED_AFTER_MS
def test_a_call_that_was_answered_behind_the_proof_costs_nothing(tmp_path, billing, killed_after_ms):
    """The customer vanishes while the target of its transfer rings, and its silence is noticed later."""
    relay = VirtualRelay()
    scene = KilledScene(tmp_path, office(billing, media=SILENCE), relay=relay)
    scene.vendor.script = Script((Line(0, 180), Line(8_000, 200, ANSWER)))
    desk, _ = registered(scene)
    call, at_desk = called(scene, desk)
    relay.hear(scene.exchange.clock.now())
    last_ms = scene.exchange.clock.now().wall
    blind(at_desk, TARGET)
    scene.wire.run_for(3_000)
    call.gone = 0
    scene.wire.run_until(lambda: scene.vendor.calls[0].final == 200)
    scene.wire.run_for(1_000)
    if killed_after_ms is not None:
        scene.wire.run_for(killed_after_ms)
        scene.kill(1_000)
    (first, second), noticed_at = ends(scene, billing, "No Media")
    if billing is DeadCallBilling.DETECTION:
        assert first.ended_at == second.ended_at == noticed_at
    else:
        assert last_ms <= first.ended_at < last_ms + 3_100
        assert (second.hold_time_ms, second.fee, second.cost) == (0, 0, 0)
