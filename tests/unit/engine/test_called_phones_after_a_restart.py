"""Transfers by telephones that were called, over a stop and over a kill of the switch (ADR 180)."""

from pathlib import Path

import pytest
from doubles.desk_scene import (
    DESK,
    MATE,
    TARGET,
    are_connected,
    attended,
    blind,
    called,
    dialled,
    notified,
    office,
    registered,
    transferring,
)
from doubles.keypad_scene import press
from doubles.killed import KilledScene
from doubles.successor import replace_node
from doubles.virtual.scene import Scene
from doubles.virtual.vendor import RINGS, answers


@pytest.fixture
def scene(tmp_path: Path) -> KilledScene:
    return KilledScene(tmp_path, office())


def restart(scene: KilledScene, how: str) -> None:
    scene.kill() if how == "kill" else scene.stop_and_keep(100)
    scene.wire.run_for(2_000)


def occupied(scene: Scene) -> dict[str, int]:
    """Return how many calls the telephones have, as limits count them."""
    live = scene.exchange.switch.calls()
    return {
        name: sum(choice.gateway.name == name for each in live for choice in each.gateways.occupied)
        for name in (DESK, MATE)
    }


@pytest.mark.parametrize("how", ["kill", "stop"])
@pytest.mark.parametrize("kind", ["blind", "attended", "attended the other way", "by keys"])
def test_the_two_that_were_connected_go_on(scene, how, kind):
    desk, mate = registered(scene)
    call, at_desk = called(scene, desk)
    if kind == "blind":
        blind(at_desk, MATE)
    elif kind == "by keys":
        press(scene, at_desk, f"*1{MATE}#")
    else:
        own = dialled(scene, desk)
        attended(*((at_desk, own) if kind == "attended" else (own, at_desk)))
    scene.wire.run_for(3_000)
    (target,) = mate.calls
    for _ in range(2):
        restart(scene, how)
    assert scene.lost == []
    assert (call.is_over, target.is_over) == (False, False)
    assert occupied(scene) == {DESK: 0, MATE: 1}
    scene.propose(target, "a=sendonly", wait_ms=2_000)
    assert "a=sendonly" in call.theirs
    scene.propose(target, "a=sendrecv", wait_ms=2_000)
    assert are_connected(call, target)
    scene.hang_up(target, wait_ms=2_000)
    assert call.is_over
    scene.expect_nothing_left()
    assert [record.end_reason for record in scene.exchange.sink.records] == ["Normal", "Normal"]
    ended = {record.ended_at for record in scene.exchange.sink.records}
    assert len(ended) == 1
    assert {record.customer_account for record in scene.exchange.sink.records} == {"acme", "office"}


def test_a_transfer_goes_on_where_the_switch_was_stopped(scene):
    call, at_desk, mate = transferring(scene, answers(5_000), 1_000)
    restart(scene, "stop")
    scene.wire.run_for(6_000)
    assert notified(at_desk) == ["100 Trying", "180 Ringing", "200 OK"]
    assert are_connected(call, mate.calls[0])
    scene.expect_nothing_left(call)


def test_a_phone_is_notified_after_a_kill_that_its_transfer_has_failed_and_keeps_its_caller(scene):
    call, at_desk, mate = transferring(scene, RINGS, 1_000)
    for _ in range(2):
        restart(scene, "kill")
        assert notified(at_desk) == ["100 Trying", "180 Ringing", "503 Service Unavailable"]
    assert (call.is_over, at_desk.is_over, mate.calls[0].is_over) == (False, False, True)
    mate.script = answers()
    mate.register()  # this scene keeps no registrations
    blind(at_desk, MATE)
    scene.wire.run_for(3_000)
    assert notified(at_desk)[-1] == "200 OK"
    assert at_desk.asked["NOTIFY"][-1]["Event"].startswith("refer;id=")
    assert are_connected(call, mate.calls[-1])
    scene.expect_nothing_left(call)


def test_a_caller_whose_phone_had_left_is_released_after_a_kill(scene):
    call, at_desk, mate = transferring(scene, RINGS, 1_000)
    scene.hang_up(at_desk, wait_ms=1_000)
    restart(scene, "kill")
    assert (call.is_over, mate.calls[0].is_over) == (True, True)
    scene.expect_nothing_left()


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_phone_that_talks_to_the_target_goes_on_and_leaves_its_caller_to_it(scene, how):
    desk, mate = registered(scene)
    call, at_desk = called(scene, desk)
    press(scene, at_desk, f"*2{MATE}#")
    scene.wire.run_for(3_000)
    restart(scene, how)
    (target,) = mate.calls
    assert are_connected(at_desk, target)
    press(scene, at_desk, "*9")
    scene.wire.run_for(3_000)
    assert at_desk.is_over
    assert are_connected(call, target)
    scene.expect_nothing_left(call)


STEPS = {
    "dialling": (f"*1{TARGET}", None),
    "ringing": (f"*1{TARGET}#", RINGS),
    "consulting": (f"*2{TARGET}#", None),
    "connected": (f"*1{TARGET}#", None),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_snapshot_has_all_of_a_transfer(step):
    scene = Scene(office())
    desk, _ = registered(scene)
    keys, script = STEPS[step]
    scene.vendor.script = script or scene.vendor.script
    call, at_desk = called(scene, desk)
    press(scene, at_desk, keys)
    scene.wire.run_for(2_000)
    replace_node(scene)
    if step == "dialling":
        press(scene, at_desk, "#")
    elif step == "consulting":
        press(scene, at_desk, "*9")
    elif step == "ringing":
        press(scene, at_desk, "*9")
        replace_node(scene)
        assert at_desk.is_over
        assert not call.is_over
    scene.wire.run_for(3_000)
    assert at_desk.is_over
    if step != "ringing":
        assert are_connected(call, scene.vendor.calls[0])
    replace_node(scene)
    scene.expect_nothing_left(call)
