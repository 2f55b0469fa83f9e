"""INVITEs of callers that come again after a restart: their 2xx may be lost (RFC 3261 13.3.1.4, RFC 6026)."""

import pytest
from doubles.data.builders import catalogue, mapping_gateway
from doubles.killed import MARK_MS, KilledScene
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CUSTOMER, vendor_gateway
from doubles.virtual.vendor import RINGS, answers, refuses

from vosd.base.nat import Nat
from vosd.engine.journal.released import LATE_MS
from vosd.trunks.dialect import CallerDialect

SEEN, AFTER = CUSTOMER._replace(port=40_000), CUSTOMER._replace(port=41_000)
OF_A_HOST = mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=CallerDialect(nat=Nat.YES))


@pytest.fixture
def scene(tmp_path):
    return KilledScene(tmp_path, catalogue([OF_A_HOST, vendor_gateway(0)]))


def restart(scene, how):
    if how == "stop":
        scene.stop_and_keep()
    else:
        scene.kill()


@pytest.mark.parametrize("how", ["stop", "kill", "kill of a call that was written as a whole"])
def test_a_2xx_without_ack_goes_to_where_its_invite_comes_from_after_a_restart(scene, how):
    """It went to the port from before for the rest of 32 seconds, and the call was charged and ended as No ACK."""
    scene.wire.hide(CUSTOMER, SEEN)
    call = scene.answered_call(Intent(acknowledges=False), script=answers(100))
    if how.endswith("whole"):
        next(iter(scene.exchange.node.switch.calls())).moved(at_once=True)
        scene.exchange.flush()
        scene.wire.run_for(10)
    scene.wire.hide(CUSTOMER, AFTER)
    restart(scene, how)
    scene.wire.run_for(3_000)
    call.intent = call.intent._replace(acknowledges=True)
    there = len(scene.wire.packets)
    call.invite_again()
    scene.wire.run_for(100)
    answers_now = [each.target for each in scene.wire.packets[there:] if each.data.startswith(b"SIP/2.0 200 ")]
    assert answers_now[:1] == [AFTER]
    assert len(scene.vendor.calls) == 1, "it is no other call"
    scene.wire.run_for(60_000)
    assert not call.is_over
    scene.hang_up(call)
    assert scene.record.end_reason == "Normal"


def test_a_refused_invite_that_comes_again_behind_a_kill_gets_its_refusal_again(scene):
    """It was another call, whose vendor was paid for a caller that had given up."""
    call = scene.begun_call(script=refuses(486))
    scene.wire.run_for(1_000)
    assert call.final == 486
    scene.kill()
    scene.wire.run_for(100)
    call.invite_again()
    scene.wire.run_for(1_000)
    assert len(scene.vendor.calls) == 1
    assert [response.status for response in call.responses if response.status != 100] == [486, 486]
    assert {response["To"] for response in call.responses if response.status == 486} == {call.refusal["To"]}


def test_a_refusal_is_known_no_longer_than_its_invite_may_come_again(scene):
    call = scene.begun_call(script=refuses(486))
    scene.wire.run_for(1_000)
    scene.kill(away_ms=LATE_MS)
    scene.wire.run_for(LATE_MS + 100)
    call.invite_again()
    scene.wire.run_for(1_000)
    assert len(scene.vendor.calls) == 2


def test_an_invite_that_a_start_has_refused_is_known_to_the_next(scene):
    call = scene.begun_call(script=RINGS, after_ms=100)
    scene.kill()
    scene.wire.run_for(MARK_MS)
    assert call.final == 503
    scene.kill()
    scene.wire.run_for(100)
    call.invite_again()
    scene.wire.run_for(1_000)
    assert len(scene.vendor.calls) == 1
    assert call.statuses == [180, 503]
