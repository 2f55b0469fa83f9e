"""Until when a continued call is billed whose peer has vanished, where ``dead_call_billing`` is ``proof``.

Refreshes are not written: that the call still went on is the proof that there was one.
"""

from functools import partial

import pytest
from doubles.data.builders import catalogue, mapping_gateway
from doubles.killed import KilledScene
from doubles.virtual import exchange
from doubles.virtual.clock import ManualClock
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CUSTOMER, vendor_gateway
from doubles.virtual.vendor import answers, answers_timed

from vosd.b2bua.settings import DeadCallBilling
from vosd.base.session_timer import Probe, SessionTimerSettings
from vosd.trunks.dialect import CalleeDialect, CallerDialect

TTL_S = 120
INTERVAL_MS = 1_000 * TTL_S
TALKED_MS = 1_001_000
UNTIMED = SessionTimerSettings(ttl_s=TTL_S, no_timer_limit_s=0)
PROBED = SessionTimerSettings(ttl_s=TTL_S, no_timer_limit_s=0, probe=Probe.OPTIONS)
WE_REFRESH = answers_timed(f"{TTL_S};refresher=uac")
CHANGES = pytest.mark.parametrize("changes", [False, True], ids=["as it was answered", "after a change"])


def content_of(timer):
    trunk = mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=CallerDialect(session_timer=UNTIMED))
    vendor = vendor_gateway(0, dialect=CalleeDialect(session_timer=timer))
    return catalogue([trunk, vendor], dead_call_billing=DeadCallBilling.PROOF)


def silenced(directory, *, changes, timer=UNTIMED, script=WE_REFRESH):
    """Return a switch with a call of TALKED_MS; its vendor answers no more, and its caller has no session timer."""
    scene = KilledScene(directory, content_of(timer))
    call, there = scene.talk(script=script)
    if changes:
        call.propose("a=sendonly")
    scene.wire.run_for(TALKED_MS - 1_000)
    there.gone = 0
    return scene


def held_ms(scene):
    """Return for how long the call is billed, once the switch has noticed that the vendor has vanished."""
    scene.wire.run_for(4 * INTERVAL_MS)
    assert scene.record.end_reason == "Session Timeout"
    return scene.record.hold_time_ms


@CHANGES
@pytest.mark.parametrize("terms", [{}, {"timer": PROBED, "script": answers()}], ids=["session timer", "OPTIONS"])
@pytest.mark.parametrize("is_kept_before", [False, True])
def test_a_kill_takes_less_than_one_interval_from_what_is_proven(tmp_path, changes, terms, is_kept_before):
    whole_ms = held_ms(silenced(tmp_path / "whole", changes=changes, **terms))
    assert whole_ms > TALKED_MS - INTERVAL_MS
    scene = silenced(tmp_path / "killed", changes=changes, **terms)
    if is_kept_before:
        scene.stop_and_keep(then_ms=1_000)
    scene.kill(1_000)
    assert whole_ms - INTERVAL_MS < held_ms(scene) <= whole_ms


@CHANGES
def test_starts_that_follow_each_other_prove_nothing_of_a_peer_that_is_gone(tmp_path, changes):
    """Each of them begins an interval anew, so that the call goes on although no refresh is answered."""
    whole_ms = held_ms(silenced(tmp_path / "whole", changes=changes))
    scene = silenced(tmp_path / "killed", changes=changes)
    for _ in range(8):
        scene.kill(1_000, then_ms=INTERVAL_MS // 2)
    assert whole_ms - INTERVAL_MS < held_ms(scene) <= whole_ms


@CHANGES
def test_what_is_proven_grows_with_the_refreshes_after_a_start(tmp_path, changes):
    scene = KilledScene(tmp_path, content_of(UNTIMED))
    call, there = scene.talk(script=WE_REFRESH)
    if changes:
        call.propose("a=sendonly")
    for _ in range(3):
        scene.wire.run_for(5 * INTERVAL_MS)
        scene.kill(1_000)
    there.gone = 0
    assert 14 * INTERVAL_MS < held_ms(scene) <= 15 * INTERVAL_MS + 5_000


@CHANGES
@pytest.mark.parametrize("boots", [1, 2])
@pytest.mark.parametrize("mono", [5_000, 5_000_000], ids=["less on the clock", "more on the clock"])
def test_what_is_proven_is_moved_to_the_clock_of_another_boot(tmp_path, monkeypatch, changes, boots, mono):
    """The proof may be older than the boot."""
    scene = silenced(tmp_path, changes=changes)
    for number in range(boots):
        scene.kill(10**9)
        now = scene.exchange.clock.now()
        monkeypatch.setattr(exchange, "ManualClock", partial(ManualClock, mono * (1 + number), now.wall + 60_000))
        scene = KilledScene(tmp_path, content_of(UNTIMED), boot=f"boot {number}")
        scene.wire.run_for(1_000)
    assert TALKED_MS - 2 * INTERVAL_MS < held_ms(scene) <= TALKED_MS


def test_the_ack_of_the_caller_is_a_proof(tmp_path):
    """It comes 3 s after the answer; the mark of each second has it."""
    scene = KilledScene(tmp_path, content_of(UNTIMED))
    call = scene.answered_call(Intent(acknowledges=False), script=WE_REFRESH, talk_ms=3_000)
    call.acknowledge()
    scene.wire.run_for(10_000)
    scene.vendor.calls[0].gone = 0
    scene.kill(1_000)
    assert 3_000 <= held_ms(scene) < 3_100
