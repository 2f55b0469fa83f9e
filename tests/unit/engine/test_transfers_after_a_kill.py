"""Notifications of a transferor whose switch is killed while it calls the target (RFC 3515 section 2.4.4)."""

from functools import partial

import pytest
from doubles.keypad_scene import keypad_scene, press, talking
from doubles.killed import KilledScene
from doubles.virtual.customer import OutgoingCall
from doubles.virtual.rtpengines import VirtualRtpEngines
from doubles.virtual.vendor import RINGS, answers, refuses
from msgspec import UNSET

from vosd.media.rtpengine_orders import RtpDelete
from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters

TARGET = "442071111111"


@pytest.fixture
def scene(tmp_path):
    return KilledScene(tmp_path)


def transferring(scene: KilledScene, script, *headers: str) -> OutgoingCall:
    """Return a call whose other side is being transferred to a target that behaves so."""
    scene.vendor.by_number = {TARGET: script}
    call = scene.answered_call(talk_ms=1_000)
    call.ask("REFER", headers=[f"Refer-To: <sip:{TARGET}@192.0.2.1>", *headers])
    scene.wire.run_for(1_000)
    assert call.got["REFER"] == [202]
    return call


def notified(call: OutgoingCall) -> list[tuple[str, str]]:
    """Return what the NOTIFYs said, and the state of the subscription."""
    return [
        (notify.body.removeprefix("SIP/2.0 ").strip(), notify["Subscription-State"].partition(";")[0])
        for notify in call.asked["NOTIFY"]
    ]


RINGING = [("100 Trying", "active"), ("180 Ringing", "active")]


def test_a_transfer_to_a_target_that_rang_has_failed_and_the_call_goes_on(scene):
    call = transferring(scene, RINGS)
    for _ in range(2):
        scene.kill(then_ms=2_000)
        assert notified(call) == [*RINGING, ("503 Service Unavailable", "terminated")]
    party, target = scene.vendor.calls
    assert (target.is_over, party.is_over, call.is_over) == (True, False, False)
    scene.vendor.by_number = {TARGET: answers(500)}
    call.ask("REFER", headers=[f"Refer-To: <sip:{TARGET}@192.0.2.1>"])
    scene.wire.run_for(3_000)
    assert notified(call)[-1] == ("200 OK", "terminated")
    assert (call.is_over, party.is_over) == (True, False)
    scene.expect_nothing_left(party)
    assert sorted(record.end_reason for record in scene.exchange.sink.records) == ["Lost", "Normal", "Normal"]


def test_a_transfer_that_had_failed_is_not_notified_again(scene):
    call = transferring(scene, refuses(486))
    scene.kill(then_ms=2_000)
    assert notified(call) == [("100 Trying", "active"), ("486 Busy Here", "terminated")]
    scene.expect_nothing_left(call)


def test_a_transferor_that_wants_no_notifications_gets_none(scene):
    call = transferring(scene, RINGS, "Refer-Sub: false")
    scene.kill(then_ms=2_000)
    assert notified(call) == []
    assert (call.is_over, scene.vendor.calls[0].is_over) == (False, False)
    scene.expect_nothing_left(call)


def test_a_party_whose_transferor_had_left_is_released(scene):
    call = transferring(scene, RINGS)
    scene.hang_up(call, wait_ms=1_000)
    scene.kill(then_ms=2_000)
    assert notified(call) == RINGING
    assert [each.is_over for each in scene.vendor.calls] == [True, True]
    scene.expect_nothing_left()


def test_a_transfer_goes_on_where_the_switch_was_stopped(scene):
    call = transferring(scene, answers(3_000))
    scene.stop_and_keep(100, then_ms=5_000)
    assert notified(call) == [*RINGING, ("200 OK", "terminated")]
    assert [each.is_over for each in scene.vendor.calls] == [False, False]
    scene.expect_nothing_left(scene.vendor.calls[0])


def test_a_target_that_rang_is_not_left_at_an_rtpengine(tmp_path):
    """The next switch ended one leg of the two that it knew: an rtpengine kept the third one till its own time-out."""
    engines, media = VirtualRtpEngines(), MediaParameters(engine=MediaEngine.RTPENGINE, mode=MediaMode.ON)
    make = partial(KilledScene, tmp_path)
    scene = keypad_scene(parameters={"media": media}, rtpengines=engines, kind=make)
    call = talking(scene)
    scene.vendor.script = RINGS
    press(scene, call, f"*2{TARGET}#")
    scene.kill(then_ms=2_000)
    party, target = scene.vendor.calls
    assert (target.is_over, party.is_over, call.is_over) == (True, False, False)
    scene.expect_nothing_left(call)
    (end,) = (order for order in engines.orders if isinstance(order, RtpDelete))
    assert end.leg is UNSET
