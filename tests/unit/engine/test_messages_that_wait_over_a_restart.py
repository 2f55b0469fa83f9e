"""Messages that wait at the door of a leg while the process is killed, stopped or replaced (ADR 117)."""

import pytest
from doubles.data.builders import catalogue, mapping_gateway
from doubles.doorkeeper import ScriptedDoorkeeper, Treatment
from doubles.killed import KilledScene
from doubles.successor import replace_node
from doubles.virtual.rtpengines import VirtualRtpEngines
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, usual_catalogue, vendor_gateway
from doubles.virtual.vendor import answers, refuses

from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters

LATE = Treatment(2_000, longest_ms=3_000)
NEVER_AND_NEEDED = Treatment(longest_ms=3_000, may_leave=False)


@pytest.fixture
def keeper():
    return ScriptedDoorkeeper({})


@pytest.fixture
def scene(keeper, tmp_path):
    made = KilledScene(tmp_path, doorkeeper=keeper)
    keeper.exchange = made.exchange
    return made


def names(scene, target):
    """Return what the switch has sent there: method or status of each packet."""
    sent = [packet.data for packet in scene.wire.packets if packet.target == target]
    return [data.split(b" ", 2)[1 if data[:4] == b"SIP/" else 0].decode() for data in sent]


def killed(scene, keeper, after_ms):
    """Kill the switch in a while; the next one asks nothing."""
    scene.wire.run_for(after_ms)
    keeper.treatments = {}
    scene.kill(then_ms=50)


def is_empty(scene):
    scene.wire.run_for(70_000)
    return scene.exchange.leftovers() == {}


# -- killed -------------------------------------------------------------------------------------------------------


def test_an_invite_that_waited_at_a_kill_is_never_sent_and_its_caller_is_refused(scene, keeper):
    keeper.treatments = {"INVITE": LATE}
    call = scene.caller.call(CALLEE)
    killed(scene, keeper, 500)
    scene.wire.run_for(5_000)
    assert call.final == 503
    assert "INVITE" not in names(scene, VENDORS[0])
    assert is_empty(scene)


@pytest.mark.parametrize("is_described_again", [False, True])
def test_a_200_that_waited_at_a_kill_is_examined_and_sent_by_the_next_process(scene, keeper, is_described_again):
    keeper.treatments = {"200 INVITE": LATE}
    call = scene.begun_call(script=answers(300), after_ms=500)
    if is_described_again:
        scene.exchange.switch.calls()[0].moved(at_once=True)
        scene.exchange.flush()
    killed(scene, keeper, 300)
    scene.wire.run_for(1_000)
    assert call.final == 200
    assert keeper.seen.count("200 INVITE") == 2
    scene.hang_up(call, wait_ms=5_000)
    assert [there.is_over for there in scene.vendor.calls] == [True]
    assert [record.end_reason for record in scene.exchange.sink.records] == ["Normal"]
    assert is_empty(scene)


def test_the_ack_of_a_200_that_waits_at_the_next_process_again_is_taken(scene, keeper):
    """It was not waited for, and 32 s later the call was ended for want of it."""
    keeper.treatments = {"200 INVITE": LATE}
    call = scene.begun_call(script=answers(300), after_ms=500)
    scene.kill(then_ms=5_000)
    assert (call.final, keeper.seen.count("200 INVITE")) == (200, 2)
    scene.wire.run_for(70_000)
    (there,) = scene.vendor.calls
    assert (call.is_over, there.is_over) == (False, False)
    scene.hang_up(call, wait_ms=5_000)
    assert [record.end_reason for record in scene.exchange.sink.records] == ["Normal"]
    assert is_empty(scene)


@pytest.mark.parametrize("side", ["caller", "callee"])
def test_a_call_that_ends_while_its_200_waits_at_the_next_process_again_is_paid_for(tmp_path, side):
    """It was recorded as never answered, and cost nothing, though the caller had that 200 before the kill."""
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    media = MediaParameters(engine=MediaEngine.RTPENGINE, mode=MediaMode.ON)
    scene = KilledScene(tmp_path, catalogue(trunks, media=media), rtpengines=VirtualRtpEngines(60))
    call = scene.answered_call(script=answers(30), talk_ms=100)
    (there,) = scene.vendor.calls
    scene.kill(3_000, then_ms=3_020)
    (call if side == "caller" else there).hang_up()
    scene.wire.run_for(5_000)
    assert (call.is_over, there.is_over) == (True, True)
    (record,) = scene.exchange.sink.records
    assert (record.end_reason, record.billed_seconds) == ("Normal", 4)
    assert is_empty(scene)


def test_a_bye_that_waited_at_a_kill_is_sent_by_the_next_process(scene, keeper):
    keeper.treatments = {"BYE": LATE}
    call, there = scene.talk()
    call.hang_up()
    killed(scene, keeper, 500)
    scene.wire.run_for(5_000)
    assert there.is_over
    assert [record.end_reason for record in scene.exchange.sink.records] == ["Normal"]
    assert is_empty(scene)


def test_an_offer_that_waited_at_a_kill_is_given_up_and_the_call_goes_on(scene, keeper):
    keeper.treatments = {"re-INVITE": LATE}
    call, there = scene.talk()
    call.propose("a=sendonly")
    killed(scene, keeper, 500)
    scene.wire.run_for(5_000)
    assert "INVITE" not in names(scene, VENDORS[0])[1:]
    assert not there.is_over
    scene.hang_up(call, wait_ms=40_000)
    assert there.is_over
    assert is_empty(scene)


def test_an_ack_that_waited_at_a_kill_is_sent_when_the_vendor_repeats_its_200(scene, keeper):
    keeper.treatments = {"ACK": LATE}
    call = scene.begun_call(script=answers(300))
    killed(scene, keeper, 600)
    scene.wire.run_for(5_000)
    (there,) = scene.vendor.calls
    assert there.acks
    scene.hang_up(call, wait_ms=5_000)
    assert there.is_over
    assert is_empty(scene)


# -- stopped with its calls kept, or replaced ---------------------------------------------------------------------


def stopped(scene, keeper, after_ms):
    scene.wire.run_for(after_ms)
    keeper.treatments = {}
    scene.stop_and_keep(100, then_ms=200)


@pytest.mark.parametrize("treatment", [LATE, NEVER_AND_NEEDED])
def test_an_invite_that_waited_at_a_stop_is_examined_and_sent_by_the_next_process(scene, keeper, treatment):
    keeper.treatments = {"INVITE": treatment}
    call = scene.caller.call(CALLEE)
    stopped(scene, keeper, 500)
    scene.wire.run_until(lambda: call.final is not None)
    assert call.final == 200
    assert keeper.seen.count("INVITE") == 2
    assert names(scene, VENDORS[0]).count("INVITE") == 1
    scene.wire.run_for(1_000)
    scene.hang_up(call, wait_ms=5_000)
    assert is_empty(scene)


def test_an_invite_that_waits_is_withdrawn_by_the_process_that_goes_on_with_it(keeper):
    scene = Scene(doorkeeper=keeper)
    keeper.exchange = scene.exchange
    keeper.treatments = {"INVITE": LATE}
    call = scene.begun_call(after_ms=300)
    replace_node(scene)
    scene.wire.run_for(300)
    call.cancel()
    scene.wire.run_for(5_000)
    assert call.final == 487
    assert names(scene, VENDORS[0]) == []
    scene.close()


@pytest.mark.parametrize("is_restarted", [False, True])
def test_the_record_names_the_vendor_that_was_tried_where_the_next_one_was_never_sent_its_invite(keeper, is_restarted):
    scene = Scene(usual_catalogue(vendors=2), doorkeeper=keeper)
    keeper.exchange = scene.exchange
    call = scene.begun_call(script=refuses(503, 500), after_ms=100)
    keeper.treatments = {"INVITE": NEVER_AND_NEEDED}
    scene.wire.run_until(lambda: bool(keeper.waiting))
    if is_restarted:
        replace_node(scene)
    scene.wire.run_until(lambda: call.final is not None)
    assert names(scene, VENDORS[1]) == []
    [tried] = scene.vendor.calls
    record = scene.close()
    assert (record.routing_gateway, record.sip_call_id_out) == ("vendor-0", tried.call_id)
    assert record.destination_address == str(VENDORS[0])


@pytest.mark.parametrize("title", ["200 INVITE", "ACK", "180 INVITE"])
def test_what_else_waits_at_a_stop_leaves_before_it(scene, keeper, title):
    keeper.treatments = {title: LATE}
    call = scene.begun_call(script=answers(300))
    stopped(scene, keeper, 600)
    scene.wire.run_for(3_000)
    assert call.final == 200
    assert scene.vendor.calls[0].acks
    scene.hang_up(call, wait_ms=5_000)
    assert [there.is_over for there in scene.vendor.calls] == [True]
    assert is_empty(scene)


def test_a_bye_that_waits_at_a_stop_leaves_before_it(scene, keeper):
    keeper.treatments = {"BYE": LATE}
    call, there = scene.talk()
    call.hang_up()
    stopped(scene, keeper, 100)
    scene.wire.run_for(1_000)
    assert there.is_over
    assert is_empty(scene)


def test_an_offer_that_may_not_leave_is_refused_at_a_stop(scene, keeper):
    keeper.treatments = {"re-INVITE": NEVER_AND_NEEDED}
    call, there = scene.talk()
    call.propose("a=sendonly")
    stopped(scene, keeper, 100)
    scene.wire.run_for(1_000)
    assert call.got["INVITE"] == [503]
    assert not there.is_over
    scene.hang_up(call, wait_ms=5_000)
    assert is_empty(scene)
