"""Another phone has taken a side of a call over and has acknowledged our 200; the switch is killed much later."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from doubles.data.sessions import follows
from doubles.desk_scene import DESK, TARGET, called, dialled, office, registered
from doubles.killed import KilledScene
from doubles.virtual.customer import Intent, OutgoingCall
from doubles.virtual.exchange import SWITCH
from doubles.virtual.phone import VirtualPhone
from doubles.virtual.rtpengines import VirtualRtpEngines
from doubles.virtual.scene import Scene
from doubles.virtual.side import Side
from doubles.virtual.vendor import RINGS
from doubles.virtual.wire import Packet

from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters

AFTER_MS = pytest.mark.parametrize("after_ms", [2_000, 33_000, 900_000])


def takes_over(scene: Scene, side: Side, agent: VirtualPhone) -> OutgoingCall:
    """Let a phone take the part of a side over."""
    newcomer = agent.call(DESK, Intent(headers=(f"Replaces: {side.replaces}",)))
    scene.wire.run_until(lambda: newcomer.final is not None)
    scene.wire.run_for(1_000)
    assert newcomer.final == 200
    return newcomer


def expect_it_goes_on(scene: KilledScene, one: Side, other: Side, after_ms: int) -> None:
    scene.wire.run_for(after_ms)
    scene.kill(20, then_ms=40_000)
    assert (one.is_over, other.is_over) == (False, False)
    scene.hang_up(one, wait_ms=40_000)
    assert other.is_over
    assert {record.end_reason for record in scene.exchange.sink.records} == {"Normal"}


@AFTER_MS
def test_a_call_that_was_picked_up_while_it_rang_goes_on(tmp_path: Path, after_ms: int) -> None:
    scene = KilledScene(tmp_path, office())
    desk, mate = registered(scene)
    desk.script = RINGS
    call = scene.begun_call(callee=DESK, after_ms=1_500)
    newcomer = takes_over(scene, desk.calls[-1], mate)
    expect_it_goes_on(scene, call, newcomer, after_ms)


@AFTER_MS
def test_a_call_whose_called_side_was_taken_over_twice_goes_on(tmp_path: Path, after_ms: int) -> None:
    scene = KilledScene(tmp_path, office())
    desk, mate = registered(scene)
    call, at_desk = called(scene, desk)
    at_mate = takes_over(scene, at_desk, mate)
    newcomer = takes_over(scene, at_mate, desk)
    expect_it_goes_on(scene, call, newcomer, after_ms)


@AFTER_MS
def test_a_call_whose_calling_side_was_taken_over_goes_on(tmp_path: Path, after_ms: int) -> None:
    scene = KilledScene(tmp_path, office())
    desk, mate = registered(scene)
    call = dialled(scene, desk, TARGET)
    newcomer = takes_over(scene, call, mate)
    expect_it_goes_on(scene, scene.vendor.calls[0], newcomer, after_ms)


def test_an_ack_that_came_before_the_kill_is_not_waited_for_again(tmp_path: Path) -> None:
    """The newcomer may be out of reach for a while, and does not see our 200 again."""
    scene = KilledScene(tmp_path, office())
    desk, mate = registered(scene)
    call, at_desk = called(scene, desk)
    newcomer = takes_over(scene, at_desk, mate)
    scene.kill(20)
    scene.wire.delays = _without_acks(scene.wire.delays)
    scene.wire.run_for(40_000)
    assert (call.is_over, newcomer.is_over) == (False, False)


def _without_acks(delays: Callable[[Packet], Sequence[int]]) -> Callable[[Packet], Sequence[int]]:
    return lambda packet: () if packet.target == SWITCH and packet.data.startswith(b"ACK ") else delays(packet)


def test_a_newcomer_whose_ack_was_lost_in_the_kill_is_waited_for_no_longer_than_the_kill(tmp_path: Path) -> None:
    """The 200 is 64·T1 old at the start: no sign says that it had no ACK, and peers of such calls talk."""
    scene = KilledScene(tmp_path, office())
    desk, mate = registered(scene)
    call, at_desk = called(scene, desk)
    newcomer = mate.call(DESK, Intent(headers=(f"Replaces: {at_desk.replaces}",)))
    delays = scene.wire.delays
    scene.wire.delays = _without_acks(delays)
    scene.await_answer(newcomer, talk_ms=50)
    scene.kill(40_000)
    scene.wire.delays = delays
    scene.wire.run_for(80_000)
    assert (call.is_over, newcomer.is_over) == (False, False)


@pytest.mark.parametrize("after_ms", [0, 60, 2_000])
def test_a_newcomer_whose_200_had_waited_for_an_rtpengine_when_it_was_written_may_hang_up_and_be_hung_up(
    tmp_path: Path, after_ms: int
) -> None:
    """The next process does not have that 200, and waited for its ACK for ever: the BYE behind it was never sent."""
    media = MediaParameters(engine=MediaEngine.RTPENGINE, mode=MediaMode.ON)
    scene = KilledScene(tmp_path, office(media=media), rtpengines=VirtualRtpEngines())
    desk, mate = registered(scene)
    call, at_desk = called(scene, desk)
    newcomer = mate.call(DESK, Intent(headers=(f"Replaces: {at_desk.replaces}",)))
    scene.wire.run_until(lambda: newcomer.final == 200)
    scene.wire.run_for(after_ms)
    scene.kill(then_ms=40_000)
    newcomer.propose("a=sendonly")
    scene.wire.run_for(1_000)
    assert newcomer.got["INVITE"] == [200]
    scene.hang_up(call, wait_ms=2_000)
    assert newcomer.is_over
    scene.expect_nothing_left()


@pytest.mark.parametrize("side", ["called", "calling"])
def test_a_newcomer_is_sent_descriptions_of_the_same_origin_after_a_kill_behind_its_200(
    tmp_path: Path, side: str
) -> None:
    """Later ones were of the address of the other side, and strict phones refused them."""
    media = MediaParameters(engine=MediaEngine.RTPENGINE, mode=MediaMode.ON)
    scene = KilledScene(tmp_path, office(media=media), rtpengines=VirtualRtpEngines(20))
    desk, mate = registered(scene)
    if side == "called":
        other, replaced = called(scene, desk)
    else:
        replaced = dialled(scene, desk, TARGET)
        (other,) = scene.vendor.calls
    newcomer = mate.call(DESK, Intent(headers=(f"Replaces: {replaced.replaces}",)))
    scene.wire.run_until(lambda: newcomer.final == 200)
    scene.wire.run_for(10)
    before = newcomer.theirs
    scene.kill(20, then_ms=1_000)
    scene.propose(other, "a=sendonly")
    assert "a=sendonly" in newcomer.theirs
    assert follows(before, newcomer.theirs)
    scene.hang_up(other, wait_ms=2_000)
    scene.expect_nothing_left()
