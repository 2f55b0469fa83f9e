"""INVITEs of callers that come again after a restart: their 2xx may be lost (RFC 3261 13.3.1.4, RFC 6026)."""

import pytest
from doubles.data.builders import catalogue, mapping_gateway
from doubles.killed import KilledScene
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CUSTOMER, vendor_gateway
from doubles.virtual.vendor import answers

from vosd.base.nat import Nat
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
        next(iter(scene.exchange.node.switch.calls())).call.moved(at_once=True)
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
