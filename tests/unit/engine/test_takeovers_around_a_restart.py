"""A switch that is killed, or stopped, while the far side has not answered for a newcomer (INVITE with Replaces)."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from doubles.conformance import faults_of
from doubles.data.builders import catalogue, mapping_gateway
from doubles.data.sessions import revised
from doubles.killed import KilledScene
from doubles.sockets.peer import OFFER
from doubles.virtual.customer import Intent
from doubles.virtual.exchange import SWITCH
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.rtpengines import VirtualRtpEngines
from doubles.virtual.scene import CALLEE, CUSTOMER, vendor_gateway
from doubles.virtual.side import Reply

from vosd.sdp.media import media_of
from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters

NEWCOMER = "44000"
before_a_mark = pytest.mark.parametrize("after_ms", [300, 1_500])
both_engines = pytest.mark.parametrize("engine", [MediaEngine.RELAY, MediaEngine.RTPENGINE])


class TakenOverScene(KilledScene):
    """A call that another phone of the caller takes over; the callee answers for that after three seconds."""

    def __init__(self, directory: Path, engine: MediaEngine | None, status: int) -> None:
        """``engine``: what relays the media; None = nothing does."""
        mode = MediaMode.ON if engine else MediaMode.OFF
        trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
        content = catalogue(trunks, media=MediaParameters(engine=engine or MediaEngine.RELAY, mode=mode))
        self.relay, self.rtpengines = VirtualRelay(), VirtualRtpEngines()
        in_use = self.rtpengines if engine is MediaEngine.RTPENGINE else None
        super().__init__(directory, content, relay=self.relay, rtpengines=in_use)
        self.call = self.caller.call(CALLEE)
        self.wire.run_until(lambda: self.call.final == 200)
        self.wire.run_for(5_000)
        (self.party,) = self.vendor.calls
        self.said = self.party.theirs
        self.talking = {tag for legs in self.rtpengines.calls.values() for tag in legs}
        """Legs of both sides at rtpengines."""
        self.connections = self.connected()
        self.party.will("INVITE", Reply(status, after_ms=3_000))
        offer = revised(OFFER.replace("20000", NEWCOMER), "a=sendonly")
        intent = Intent(headers=(f"Replaces: {self.call.replaces}",), offer=offer)
        self.pickup = self.caller.call(CALLEE, intent)

    def connected(self) -> Sequence[tuple[int, int | None]]:
        """Return the open ports of the relay, each with the one that it is connected with."""
        return [(each.port.id, each.other and each.other.id) for each in self.relay.open_ports.values()]

    def ends_well(self) -> None:
        """Hang up, and require that nothing is left and that no peer has found a fault."""
        self.expect_nothing_left(self.party)
        assert faults_of(self.wire.packets, SWITCH) == []
        (record,) = self.exchange.sink.records
        assert record.end_reason == "Normal"


@before_a_mark
@pytest.mark.parametrize("status", [200, 488])
@pytest.mark.parametrize("engine", [None, MediaEngine.RELAY, MediaEngine.RTPENGINE])
def test_after_a_kill_both_sides_of_the_call_talk_with_each_other(
    tmp_path: Path, engine: MediaEngine | None, status: int, after_ms: int
) -> None:
    """The far side stayed with the session of a newcomer that was gone; through a relay both sides were silent."""
    scene = TakenOverScene(tmp_path, engine, status)
    scene.wire.run_for(after_ms)
    scene.kill(20, then_ms=500)
    assert scene.connected() == scene.connections
    if engine is MediaEngine.RTPENGINE:
        assert [NEWCOMER in each.sdp for each in scene.rtpengines.sessions] == [
            False, False, True, False, False, False, False
        ]  # fmt: skip
    for _ in range(20):
        if engine is MediaEngine.RTPENGINE:
            scene.exchange.poll_rtpengines()
        scene.wire.run_for(1_000)
    assert scene.connected() == scene.connections
    assert {tag for *_, tag in scene.rtpengines.blocked}.isdisjoint(scene.talking)
    assert (scene.call.is_over, scene.party.is_over) == (False, False)
    assert len(scene.party.asked["INVITE"]) == (2 if status == 200 else 1)
    assert media_of(scene.party.theirs.encode()) == media_of(scene.said.encode())
    scene.ends_well()


@before_a_mark
@pytest.mark.parametrize("status", [200, 488])
@both_engines
def test_a_newcomer_waits_for_its_answer_over_a_stop_that_keeps_calls(
    tmp_path: Path, engine: MediaEngine, status: int, after_ms: int
) -> None:
    """The next process once closed its ports at the relay, and the answer for it ended the call."""
    scene = TakenOverScene(tmp_path, engine, status)
    scene.wire.run_for(after_ms)
    asked = scene.connected(), len(scene.rtpengines.sessions)
    scene.stop_and_keep(then_ms=500)
    assert (scene.connected(), len(scene.rtpengines.sessions)) == asked
    if engine is MediaEngine.RTPENGINE:
        scene.poll_rtpengines()
        assert {tag for *_, tag in scene.rtpengines.blocked} == {scene.rtpengines.sessions[2].author}
    scene.wire.run_for(20_000)
    assert (scene.pickup.final, scene.call.is_over, scene.pickup.is_over) == (status, status == 200, status != 200)
    if status != 200:
        assert scene.connected() == scene.connections
    scene.ends_well()


@pytest.mark.parametrize("status", [200, 488])
def test_both_sides_are_heard_at_an_rtpengine_until_the_far_side_has_answered_for_a_newcomer(
    tmp_path: Path, status: int
) -> None:
    """An rtpengine connects a leg with the one that has made the latest offer to it, and both sides were silent."""
    scene = TakenOverScene(tmp_path, MediaEngine.RTPENGINE, status)
    first = [each for each in scene.talking if each != scene.rtpengines.sessions[0].reader]
    scene.wire.run_for(1_000)
    sessions = scene.rtpengines.sessions
    newcomer = sessions[2].author
    assert [NEWCOMER in each.sdp for each in sessions] == [False, False, True, False, False]
    assert {tag for *_, tag in scene.rtpengines.blocked} == {newcomer}
    scene.wire.run_for(5_000)
    left = set(first) if status == 200 else {newcomer}
    assert {tag for *_, tag in scene.rtpengines.blocked} == left, "who has left is heard no more"
    scene.ends_well()
