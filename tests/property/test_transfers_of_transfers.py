"""Telephones that call, transfer, hold and hang up at random, over restarts: nothing is left, and all is paid for."""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from doubles.announcing import SOUNDS
from doubles.desk_scene import DESK, MATE, TARGET, assert_no_faults, attended, blind, office, registered
from doubles.exploring import examples
from doubles.keypad_scene import press
from doubles.killed import KilledScene
from doubles.sockets.peer import ANSWER
from doubles.successor import replace_node
from doubles.virtual.customer import Intent, OutgoingCall
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.scene import Scene
from doubles.virtual.side import Side
from doubles.virtual.vendor import RINGS, Line, Script, answers, refuses
from hypothesis import given, settings, strategies as st

from vosd.base.cause import EndReason
from vosd.media.leg_media import LegMedia
from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters

NUMBERS = (DESK, MATE, TARGET, "442072222222")
SCRIPTS = (
    answers(500),
    Script((Line(0, 180), Line(1_500, 200, ANSWER))),
    Script((Line(0, 180), Line(2_000, 486))),
    RINGS,
    refuses(486, after_ms=1_000),
    refuses(488, after_ms=300),
    Script((Line(0, 183, ANSWER), Line(1_500, 200, ANSWER))),
    Script((Line(0, 180), Line(500, 183, ANSWER), Line(1_500, 486))),
)
DOINGS = ("is called", "calls", *["blind", "holds"] * 3, *["attended"] * 4, *["keys"] * 2, "ends keys", "hangs up", "-")


class Day:
    """One day of an office; the same seed makes the same one."""

    def __init__(self, scene: Scene, seed: int) -> None:
        self.scene, self.random = scene, Random(seed)
        self.phones = registered(scene)
        self.made: list[OutgoingCall] = []

    @property
    def sides(self) -> list[Side]:
        """The sides that last."""
        agents = (*self.phones, self.scene.vendor)
        known = [*self.made, *(side for agent in agents for side in agent.calls)]
        return [side for side in dict.fromkeys(known) if not side.is_over]

    def do(self) -> None:
        """Let one party do something, if it can."""
        draw, doing = self.random, self.random.choice(DOINGS)
        for agent in (*self.phones, self.scene.vendor):
            agent.script = draw.choice(SCRIPTS[:2] if draw.random() < 0.6 else SCRIPTS)
        ready = [side for side in self.sides if _has_dialog(side) and side.agent is not self.scene.vendor]
        if doing == "is called":
            self.made.append(self.scene.caller.call(draw.choice((DESK, MATE)), Intent()))
        elif doing == "calls":
            self.made.append(draw.choice(self.phones).call(draw.choice(NUMBERS)))
        elif ready:
            self._do_with(draw.choice(ready), doing)

    def check(self) -> None:
        """Require that each call has a side or searches one, and that joined ones name each other."""
        for call in (live_call.call for live_call in self.scene.exchange.switch.calls()):
            joined = call.conversation.joined
            assert call.conversation.parties or call.search is not None
            assert joined is None or joined.conversation.joined is call

    def check_media(self, relay: VirtualRelay) -> None:
        """Require that ports of two that talk are connected, and that one that is held, and no other, has music."""
        for one, other in self._talking():
            assert bool(one.origin and one.ports) == bool(other.origin and other.ports)
            if not one.origin:
                continue
            ports = [None if each.audio_port is None else relay.open_ports[each.audio_port.id] for each in (one, other)]
            for port, far, media, theirs in ((*ports, one, other), (*ports[::-1], other, one)):
                assert port is not None
                assert far is not None
                assert port.other == far.port
                assert (port.playing is not None) == (media.music is not None)
                assert (media.music is not None) == (theirs.is_held and not theirs.is_sender and not media.is_held)

    def _talking(self) -> Iterator[tuple[LegMedia, LegMedia]]:
        """Yield the media of each two legs that talk, while neither changes its session nor is transferred."""
        for call in (live_call.call for live_call in self.scene.exchange.switch.calls()):
            bridge = call.conversation.bridge
            if bridge is None or bridge.proposal is not None or call.conversation.running is not None:
                continue
            media = bridge.one.facts.media, bridge.other.facts.media
            if call.search is None and media[0] is not None and media[1] is not None:
                yield media[0], media[1]

    def _do_with(self, side: Side, doing: str) -> None:
        draw = self.random
        match doing:
            case "blind":
                blind(side, draw.choice(NUMBERS))
            case "attended":
                others = [each for each in self.sides if each is not side and each.agent is side.agent]
                named = [each for each in others if _has_dialog(each) or self._rings(each)]
                if named:
                    attended(side, draw.choice(named))
            case "keys":
                press(self.scene, side, f"{draw.choice(('*1', '*2'))}{draw.choice(NUMBERS)}#", 100)
            case "ends keys":
                press(self.scene, side, draw.choice(("*0", "*9")), 100)
            case "holds" if side.may_offer:
                side.propose(draw.choice(("a=sendonly", "a=sendrecv", "a=inactive")))
            case "hangs up":
                side.hang_up()

    def _rings(self, side: Side) -> bool:
        """Return whether a call that was made has an early dialog, which it takes."""
        if side not in self.made or not isinstance(side, OutgoingCall) or side.final is not None or not side.responses:
            return False
        side.remote = side.responses[-1]["To"]
        return "tag=" in side.remote

    def end(self) -> None:
        """Require that nothing is left, and that each account has paid what its records say."""
        exchange = self.scene.exchange
        for call in self.made:
            if not call.is_over and call.final is None:
                call.cancel()
        exchange.end_all(EndReason.ADMINISTRATIVE)
        self.scene.wire.run_for(60_000)
        assert exchange.leftovers() == {}
        assert exchange.residue() == {}
        postings = [each for record in exchange.sink.all_records for each in record.postings]
        for name, credit in exchange.credits.items():
            assert credit.reserved == 0
            assert exchange.statement(name) == sum(each.amount for each in postings if each.account == name)


def _has_dialog(side: Side) -> bool:
    return getattr(side, "final", 200) == 200 and "tag=" in (side.remote or "")


@settings(max_examples=examples(16, 500), deadline=None)
@given(seed=st.integers(0, 1_000_000), steps=st.integers(5, 30), is_replaced=st.booleans())
def test_an_office_transfers_what_it_likes(seed, steps, is_replaced):
    day = Day(scene := Scene(office()), seed)
    for _ in range(steps):
        day.do()
        scene.wire.run_for(day.random.choice((1, 50, 300, 1_000, 3_000)))
        day.check()
        if is_replaced and day.random.random() < 0.1:
            replace_node(scene)
    day.end()
    assert [side for side in day.sides if _has_dialog(side)] == []
    assert "Lost" not in {record.end_reason for record in scene.exchange.sink.records}
    assert_no_faults(scene)


@settings(max_examples=examples(16, 500), deadline=None)
@given(seed=st.integers(0, 1_000_000), steps=st.integers(5, 30), mode=st.sampled_from((MediaMode.ON, MediaMode.AUTO)))
def test_an_office_that_transfers_what_it_likes_has_its_media_at_the_relay(seed, steps, mode):
    relay = VirtualRelay()
    media = MediaParameters(engine=MediaEngine.RELAY, mode=mode, music_on_hold="busy")
    day = Day(scene := Scene(office(media=media, sounds=SOUNDS), relay=relay), seed)
    for _ in range(steps):
        day.do()
        scene.wire.run_for(day.random.choice((1, 50, 300, 1_000, 3_000)))
    scene.wire.run_for(45_000)
    day.check_media(relay)
    day.end()
    assert relay.open_ports == {}


@settings(max_examples=examples(15, 300), deadline=None)
@given(seed=st.integers(0, 1_000_000), steps=st.integers(5, 30))
def test_an_office_whose_switch_is_killed_or_stopped_pays_for_what_it_has_transferred(seed, steps):
    with TemporaryDirectory() as directory:
        day = Day(scene := KilledScene(Path(directory), office()), seed)
        for _ in range(steps):
            day.do()
            scene.wire.run_for(day.random.choice((1, 50, 300, 1_000, 3_000)))
            if not scene.is_down and day.random.random() < 0.1:
                day.random.choice((scene.kill, scene.stop_and_keep))()
        scene.wire.run_for(3_000)
        day.end()
        recorded = [record.call_id for record in scene.exchange.sink.all_records]
        assert len(recorded) == len(set(recorded)), "each call once"
        scene.exchange.sink.journal.close()
