"""Music that an rtpengine plays to a side that leaves its call, while the side that holds goes on with another one."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from doubles.announcing import SOUNDS
from doubles.conformance import faults_of
from doubles.data.builders import catalogue, mapping_gateway
from doubles.data.sessions import revised
from doubles.desk_scene import attended, blind
from doubles.killed import KilledScene
from doubles.sockets.peer import ANSWER, OFFER
from doubles.virtual.customer import Intent, OutgoingCall
from doubles.virtual.exchange import SWITCH
from doubles.virtual.rtpengines import VirtualRtpEngines
from doubles.virtual.scene import CALLEE, CUSTOMER, vendor_gateway
from doubles.virtual.side import Reply, Side
from doubles.virtual.vendor import Line, Script

from vosd.media.rtpengine_orders import RtpOffer
from vosd.media.sounds import Sound
from vosd.sdp.media import media_of
from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters

HELD, HOLDER, NEWCOMER, TARGET = 20_000, 30_000, 44_000, 46_000
"""Ports of the parties, by which they are known here."""
OF_TARGET = ANSWER.replace(str(HOLDER), str(TARGET))
at_each_restart = pytest.mark.parametrize("restart", ["", "stop", "kill"])


class HeldScene(KilledScene):
    """A caller and a party one of which holds the other: an rtpengine plays music in place of its media."""

    def __init__(self, directory: Path) -> None:
        self.rtpengines = VirtualRtpEngines()
        content = catalogue(
            [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)],
            media=MediaParameters(engine=MediaEngine.RTPENGINE, mode=MediaMode.ON, music_on_hold="busy"),
            sounds={"busy": Sound("busy", SOUNDS["busy"].by_codec, "/srv/busy.wav")},
        )
        super().__init__(directory, content, rtpengines=self.rtpengines)
        self.call, self.party = self.talk()

    def hold(self, holder: Side) -> None:
        """Let one side hold the other one."""
        holder.propose("a=sendonly")
        self.settle()

    def take_over(self, *attributes: str) -> OutgoingCall:
        """Let another telephone take the caller's part, by an INVITE with Replaces."""
        offer = revised(OFFER.replace(str(HELD), str(NEWCOMER)), *attributes)
        intent = Intent(headers=(f"Replaces: {self.call.replaces}",), offer=offer)
        return self.caller.call(CALLEE, intent)

    def settle(self, ms: int = 1_000) -> None:
        """Let some time pass, and lost orders be given again."""
        self.wire.run_for(ms)
        self.exchange.poll_rtpengines()
        self.wire.run_for(100)

    def restart(self, how: str) -> None:
        """Let another process go on."""
        if how == "kill":
            self.kill(20)
        elif how == "stop":
            self.stop_and_keep(100)

    def listeners(self) -> Sequence[int]:
        """Return the parties that are played music."""
        return sorted(self._parties[tag] for _, tag in self.rtpengines.playing)

    def unheard(self) -> Sequence[int]:
        """Return the parties whose media are not forwarded; the target is one that has described none yet."""
        return sorted(self._parties.get(tag, TARGET) for *_, tag in self.rtpengines.blocked)

    @property
    def _parties(self) -> dict[str, int]:
        sessions = self.rtpengines.sessions
        authors = {each.author if isinstance(each, RtpOffer) else each.reader: each.sdp for each in sessions}
        return {tag: media_of(session.encode())[0].port for tag, session in authors.items()}

    def ends_well(self) -> None:
        """Hang up, and require that nothing is left."""
        self.expect_nothing_left(self.party)
        assert faults_of(self.wire.packets, SWITCH) == []


@at_each_restart
@pytest.mark.parametrize("is_silent", [False, True])
def test_a_holder_is_heard_by_a_newcomer_that_takes_the_held_sides_part(
    tmp_path: Path, restart: str, is_silent: bool
) -> None:
    """The music was played to the end to the side that had left, and the holder blocked."""
    scene = HeldScene(tmp_path)
    scene.hold(scene.party)
    assert (scene.listeners(), scene.unheard()) == ([HELD], [HOLDER])
    if is_silent:
        scene.call.gone = 0
    pickup = scene.take_over()
    scene.settle(5_000)
    assert pickup.final == 200
    assert (scene.listeners(), scene.unheard()) == ([], [HELD])
    scene.restart(restart)
    scene.settle()
    assert (scene.listeners(), scene.unheard()) == ([], [HELD])
    scene.hold(scene.party)
    assert (scene.listeners(), scene.unheard()) == ([NEWCOMER], [HELD, HOLDER])
    scene.party.propose()
    scene.settle()
    assert (scene.listeners(), scene.unheard()) == ([], [HELD])
    scene.ends_well()


@pytest.mark.parametrize("status", [200, 488])
def test_the_held_side_has_music_until_the_holder_has_answered_for_a_newcomer(tmp_path: Path, status: int) -> None:
    scene = HeldScene(tmp_path)
    scene.hold(scene.party)
    scene.party.will("INVITE", Reply(status, after_ms=3_000))
    scene.take_over()
    scene.settle()
    scene.restart("stop")
    scene.settle()
    assert (scene.listeners(), scene.unheard()) == ([HELD], [HOLDER, NEWCOMER])
    scene.settle(6_000)
    expected = ([], [HELD]) if status == 200 else ([HELD], [HOLDER, NEWCOMER])
    assert (scene.listeners(), scene.unheard()) == expected
    scene.ends_well()


@at_each_restart
@pytest.mark.parametrize("held_before", [False, True])
def test_a_newcomer_has_music_where_the_other_side_accepts_it_on_hold(
    tmp_path: Path, restart: str, held_before: bool
) -> None:
    """The music ended with the side that had left, and the newcomer got the media of the holder."""
    scene = HeldScene(tmp_path)
    if held_before:
        scene.hold(scene.party)
    scene.party.will("INVITE", Reply(200, revised(scene.party.mine, "a=sendonly")))
    pickup = scene.take_over()
    scene.settle(5_000)
    scene.restart(restart)
    scene.settle()
    assert pickup.final == 200
    assert (scene.listeners(), scene.unheard()) == ([NEWCOMER], [HELD, HOLDER])
    scene.party.propose()
    scene.settle()
    assert (scene.listeners(), scene.unheard()) == ([], [HELD])
    scene.ends_well()


@pytest.mark.parametrize("status", [200, 488])
def test_the_far_side_has_music_until_it_has_answered_for_a_newcomer(tmp_path: Path, status: int) -> None:
    scene = HeldScene(tmp_path)
    scene.hold(scene.call)
    scene.party.will("INVITE", Reply(status, after_ms=3_000))
    scene.take_over()
    scene.settle()
    assert (scene.listeners(), scene.unheard()) == ([HOLDER], [HELD, NEWCOMER])
    scene.settle(6_000)
    assert (scene.listeners(), scene.unheard()) == (([], [HELD]) if status == 200 else ([HOLDER], [HELD, NEWCOMER]))
    scene.ends_well()


@at_each_restart
def test_a_newcomer_that_holds_in_place_of_the_holder_is_kept_back_as_well(tmp_path: Path, restart: str) -> None:
    """The music went on in place of the media of the side that had left, and those of the newcomer beside it."""
    scene = HeldScene(tmp_path)
    scene.hold(scene.call)
    assert (scene.listeners(), scene.unheard()) == ([HOLDER], [HELD])
    pickup = scene.take_over("a=sendonly")
    scene.settle(5_000)
    scene.restart(restart)
    scene.settle()
    assert (scene.listeners(), scene.unheard()) == ([HOLDER], [HELD, NEWCOMER])
    pickup.propose()
    scene.settle()
    assert (scene.listeners(), scene.unheard()) == ([], [HELD])
    scene.ends_well()


@pytest.mark.parametrize("restart", ["", "stop"])
@pytest.mark.parametrize("leaves", [False, True])
@pytest.mark.parametrize("holds_on", [False, True])
def test_a_holder_is_heard_by_the_target_to_which_the_held_side_has_transferred_it(
    tmp_path: Path, leaves: bool, restart: str, holds_on: bool
) -> None:
    """The holder stayed blocked to the end of the call, also after its own resume."""
    scene = HeldScene(tmp_path)
    scene.hold(scene.party)
    scene.vendor.script = Script((Line(0, 180), Line(3_000, 200, OF_TARGET)))
    blind(scene.call, "442079460001")
    scene.settle()
    if leaves:
        scene.call.hang_up()
        scene.settle()
    assert (HELD in scene.listeners(), HOLDER in scene.unheard()) == (not leaves, not leaves)
    scene.restart(restart)
    if holds_on:
        scene.party.will("INVITE", Reply(200, revised(scene.party.mine, "a=sendonly")))
    scene.settle(5_000)
    assert (scene.call.is_over, scene.party.is_over) == (True, False)
    expected = ([TARGET], [HELD, HOLDER]) if holds_on else ([], [HELD])
    assert (scene.listeners(), scene.unheard()) == expected
    scene.party.propose()
    scene.settle()
    assert (scene.listeners(), scene.unheard()) == ([], [HELD])
    scene.ends_well()


@pytest.mark.parametrize("restart", ["", "stop"])
@pytest.mark.parametrize("refers_first", [False, True])
def test_two_that_hold_the_side_that_connects_them_are_received_by_each_other(
    tmp_path: Path, refers_first: bool, restart: str
) -> None:
    scene = HeldScene(tmp_path)
    scene.vendor.script = Script((Line(0, 180), Line(1_000, 200, OF_TARGET)))
    offer = OFFER.replace(str(HELD), str(NEWCOMER))
    second = scene.caller.call("442079460001", Intent(offer=offer))
    scene.settle(3_000)
    scene.hold(scene.party)
    scene.hold(scene.vendor.calls[-1])
    assert (scene.listeners(), scene.unheard()) == ([HELD, NEWCOMER], [HOLDER, TARGET])
    attended(*((scene.call, second) if refers_first else (second, scene.call)))
    scene.restart(restart)
    scene.settle(5_000)
    assert (scene.call.is_over, second.is_over, scene.party.is_over) == (True, True, False)
    assert scene.listeners() == []
    assert set(scene.unheard()).isdisjoint({HOLDER, TARGET})
    scene.ends_well()
