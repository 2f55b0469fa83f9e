"""Requests within a call whose responses are lost around a kill: their peers repeat them to the next process."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from doubles.conformance import faults_of
from doubles.data.builders import catalogue, mapping_gateway
from doubles.data.sessions import revised
from doubles.killed import KilledScene
from doubles.timed_scene import KNOWS_TIMER_ONLY, TIMED_WITHOUT_UPDATE
from doubles.virtual.customer import Intent
from doubles.virtual.exchange import SWITCH
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.rtpengines import VirtualRtpEngines
from doubles.virtual.scene import CALLEE, CUSTOMER, vendor_gateway
from doubles.virtual.side import Reply, Side
from doubles.virtual.vendor import Script
from doubles.virtual.wire import Packet
from msgspec.structs import replace

from vosd.catalogue.catalogue import Catalogue
from vosd.media.rtpengine_orders import RtpOffer
from vosd.sdp.media import media_of
from vosd.sdp.origin import alike
from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters

ELSEWHERE = "41000"


class SceneOfKill(KilledScene):
    """An answered call; the responses to one method get lost until the kill."""

    def __init__(
        self,
        directory: Path,
        side: str,
        *content: Catalogue,
        relay: VirtualRelay | None = None,
        rtpengines: VirtualRtpEngines | None = None,
        script: Script | None = None,
    ) -> None:
        """``script``: the vendor answers by it, and has a session timer; None = neither."""
        super().__init__(directory, *content, relay=relay, rtpengines=rtpengines)
        if script is not None:
            self.vendor.script = script
        self.call = self.caller.call(CALLEE, Intent() if script is None else KNOWS_TIMER_ONLY)
        self.wire.run_until(lambda: self.call.final == 200)
        self.wire.run_for(5_000)
        (party,) = self.vendor.calls
        self.asking: Side = self.call if side == "caller" else party
        self.other: Side = party if side == "caller" else self.call

    def lose(self, method: str) -> None:
        """Lose the responses to a method of the side that asks."""
        delays = self.wire.delays

        def lossy(packet: Packet) -> Sequence[int]:
            is_lost = packet.source == SWITCH and packet.data.startswith(b"SIP/2.0 ")
            is_of_it = packet.target == self.asking.agent.address and f" {method}\r\n".encode() in packet.data
            return () if is_lost and is_of_it else delays(packet)

        self.wire.delays = lossy
        self._delays = delays

    def kill_and_heal(self) -> None:
        """Kill the switch, and lose nothing any more."""
        self.kill(20)
        self.wire.delays = self._delays

    def ends_well(self) -> None:
        """Hang up, and require that nothing is left and that no peer has found a fault.

        To an INVITE that comes again the next switch says 100, where the one before had answered it.
        """
        self.expect_nothing_left(self.call)
        assert [each for each in faults_of(self.wire.packets, SWITCH) if "100 Trying" not in each] == []
        (record,) = self.exchange.sink.records
        assert record.end_reason == "Normal"


@pytest.mark.parametrize("side", ["caller", "callee"])
@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_an_offer_whose_answer_was_lost_around_a_kill_is_answered_when_it_comes_again(
    tmp_path: Path, method: str, side: str
) -> None:
    """The journal has the session that was agreed, with the CSeq of the offer: the peer was left with the old one."""
    scene = SceneOfKill(tmp_path, side)
    scene.lose(method)
    scene.propose(scene.asking, "a=sendonly", method=method, wait_ms=1_500)
    assert (scene.asking.got.get(method), len(scene.other.asked["INVITE"])) == (None, 1)
    scene.kill_and_heal()
    scene.wire.run_for(10_000)
    assert scene.asking.got[method] == [200]
    assert len(scene.other.asked["INVITE"]) == 1, "nothing has changed for the other side since"
    scene.propose(scene.asking, "a=sendrecv", method=method, wait_ms=5_000)
    assert (scene.asking.got[method], len(scene.other.asked["INVITE"])) == ([200, 200], 2)
    scene.ends_well()


def test_only_the_latest_request_of_before_the_kill_may_come_again(tmp_path: Path) -> None:
    scene = SceneOfKill(tmp_path, "caller")
    scene.lose("UPDATE")
    scene.propose(scene.asking, "a=sendonly", method="UPDATE", wait_ms=1_500)
    (update, *_) = [each.data for each in scene.wire.packets if each.data.startswith(b"UPDATE ")]
    scene.kill_and_heal()
    scene.wire.run_for(10_000)
    scene.propose(scene.asking, "a=sendrecv", method="UPDATE", wait_ms=5_000)
    before = len(scene.wire.packets)
    scene.wire.send(scene.asking.agent.address, SWITCH, update.replace(b";branch=", b";branch=z9hG4bK-other-"))
    scene.wire.run_for(100)
    (refusal,) = [each.data[:11] for each in scene.wire.packets[before:] if each.source == SWITCH]
    assert refusal == b"SIP/2.0 500"


@pytest.mark.parametrize("side", ["caller", "callee"])
@pytest.mark.parametrize("after_ms", [50, 1_500])
def test_a_re_invite_that_has_a_100_is_refused_by_the_next_switch_and_accepted_when_it_is_made_again(
    tmp_path: Path, side: str, after_ms: int
) -> None:
    """The sender repeats such a re-INVITE no more (RFC 3261 section 17.1.1.2), and waited for its own time-out."""
    scene = SceneOfKill(tmp_path, side)
    scene.other.will("INVITE", Reply(100), Reply(200))
    asked = scene.asking.ask("INVITE", body=revised(scene.asking.mine, "a=sendonly"))
    scene.wire.run_for(after_ms)
    assert [each.status for each in asked.responses] == [100]
    scene.kill(20, then_ms=100)
    assert scene.asking.got["INVITE"] == [500]
    assert asked.final is not None
    assert 0 <= int(asked.final["Retry-After"]) <= 10
    scene.propose(scene.asking, "a=sendonly", wait_ms=40_000)
    assert scene.asking.got["INVITE"] == [500, 200]
    scene.ends_well()


@pytest.mark.parametrize("side", ["caller", "callee"])
def test_a_re_invite_whose_200_waits_for_an_rtpengine_at_the_kill_is_refused_by_the_next_switch(
    tmp_path: Path, side: str
) -> None:
    """It got no final response: its peer could offer nothing else until its own time-out."""
    media = MediaParameters(engine=MediaEngine.RTPENGINE, mode=MediaMode.ON)
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    scene = SceneOfKill(tmp_path, side, catalogue(trunks, media=media), rtpengines=VirtualRtpEngines(60))
    scene.propose(scene.asking, "a=sendonly", wait_ms=90)
    assert (len(scene.other.asked["INVITE"]), "INVITE" in scene.asking.got) == (1, False)
    scene.kill(20, then_ms=100)
    assert scene.asking.got["INVITE"] == [500]
    scene.propose(scene.asking, "a=sendonly", wait_ms=1_000)
    assert scene.asking.got["INVITE"] == [500, 200]
    assert "a=recvonly" in scene.asking.theirs
    scene.ends_well()


@pytest.mark.parametrize("status", [200, 488])
@pytest.mark.parametrize(("after_ms", "until_ms"), [(50, 100), (1_500, 4_000)])
def test_a_re_invite_that_had_its_response_before_the_kill_gets_nothing_more(
    tmp_path: Path, status: int, after_ms: int, until_ms: int
) -> None:
    scene = SceneOfKill(tmp_path, "caller")
    scene.other.will("INVITE", Reply(status, after_ms=after_ms))
    scene.propose(scene.asking, "a=sendonly", wait_ms=until_ms)
    assert scene.asking.got["INVITE"] == [status]
    scene.kill(20)
    before = len(scene.wire.packets)
    scene.wire.run_for(40_000)
    sent = [each.data for each in scene.wire.packets[before:] if each.source == SWITCH]
    assert not [each for each in sent if each.startswith(b"SIP/2.0 500")]
    scene.ends_well()


def offered_elsewhere(scene: SceneOfKill) -> str:
    """Return an offer of the side that asks to take its media at another port."""
    offer = revised(scene.asking.mine)
    for port in ("20000", "30000"):
        offer = offer.replace(port, ELSEWHERE)
    return offer


@pytest.mark.parametrize("side", ["caller", "callee"])
@pytest.mark.parametrize("how", ["none", "stop", "kill"])
def test_media_go_to_where_they_went_before_an_offer_that_is_refused_after_a_restart(
    tmp_path: Path, side: str, how: str
) -> None:
    """The relay sent them to the port that was refused, and the side that had asked heard nothing any more."""
    media = MediaParameters(engine=MediaEngine.RELAY, mode=MediaMode.ON)
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    relay = VirtualRelay()
    scene = SceneOfKill(tmp_path, side, catalogue(trunks, media=media), relay=relay)
    before = [each.source for each in relay.open_ports.values()]
    scene.other.will("INVITE", Reply(488, after_ms=3_000))
    scene.asking.ask("INVITE", body=offered_elsewhere(scene))
    scene.wire.run_for(1_500)
    assert [each.source for each in relay.open_ports.values()] != before
    if how == "stop":
        scene.stop_and_keep()
    elif how == "kill":
        scene.kill(20)
    scene.wire.run_for(3_000)
    assert scene.asking.got["INVITE"] == [500 if how == "kill" else 488]
    assert [each.source for each in relay.open_ports.values()] == before
    scene.ends_well()


@pytest.mark.parametrize("side", ["caller", "callee"])
@pytest.mark.parametrize("after_ms", [300, 1_500])
@pytest.mark.parametrize("comes_again", [False, True])
@pytest.mark.parametrize("engine", [MediaEngine.RELAY, MediaEngine.RTPENGINE])
def test_media_go_to_where_they_went_before_an_update_that_has_no_answer_at_a_kill(
    tmp_path: Path, side: str, after_ms: int, comes_again: bool, engine: MediaEngine
) -> None:
    """An UPDATE is repeated over UDP alone, and the relay sent media to a port that no 200 had agreed to."""
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    relay, rtpengines = VirtualRelay(), VirtualRtpEngines()
    content = catalogue(trunks, media=MediaParameters(engine=engine, mode=MediaMode.ON))
    in_use = rtpengines if engine is MediaEngine.RTPENGINE else None
    scene = SceneOfKill(tmp_path, side, content, relay=relay, rtpengines=in_use)
    before = [each.source for each in relay.open_ports.values()]
    scene.other.will("INVITE", Reply(488, after_ms=3_000), *[Reply(488)] * 3)
    scene.asking.ask("UPDATE", body=offered_elsewhere(scene))
    scene.wire.run_for(after_ms)
    delays = scene.wire.delays

    def silent(packet: Packet) -> Sequence[int]:
        is_update = packet.source == scene.asking.agent.address and packet.data.startswith(b"UPDATE ")
        return () if is_update and not comes_again else delays(packet)

    scene.wire.delays = silent
    scene.kill(20, then_ms=40_000)
    assert scene.asking.got["UPDATE"] == [488 if comes_again else 0]
    assert [each.source for each in relay.open_ports.values()] == before
    if engine is MediaEngine.RTPENGINE:
        offer, answer = rtpengines.sessions[-2:]
        assert isinstance(offer, RtpOffer)
        assert f" {ELSEWHERE} " not in offer.sdp + answer.sdp
    refresh = scene.other.ask("INVITE", body=scene.other.mine)
    scene.wire.run_for(1_000)
    assert refresh.final is not None
    assert refresh.final.status == 200
    assert [each.source for each in relay.open_ports.values()] == before
    scene.ends_well()


@pytest.mark.parametrize("side", ["caller", "callee"])
@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
@pytest.mark.parametrize("after_ms", [300, 1_500])
@pytest.mark.parametrize("engine", [MediaEngine.RELAY, MediaEngine.RTPENGINE])
def test_media_go_to_where_an_offer_has_them_that_was_accepted_before_a_kill(
    tmp_path: Path, side: str, method: str, after_ms: int, engine: MediaEngine
) -> None:
    """The journal had the call with the offer open: both sides agreed to it, and its media were taken as before it."""
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    relay, rtpengines = VirtualRelay(), VirtualRtpEngines()
    content = catalogue(trunks, media=MediaParameters(engine=engine, mode=MediaMode.ON))
    in_use = rtpengines if engine is MediaEngine.RTPENGINE else None
    scene = SceneOfKill(tmp_path, side, content, relay=relay, rtpengines=in_use)
    scene.asking.ask(method, body=offered_elsewhere(scene))
    scene.wire.run_for(after_ms)
    agreed = [each.source for each in relay.open_ports.values()], len(rtpengines.sessions)
    scene.kill(20, then_ms=20_000)
    assert scene.asking.got[method] == [200]
    assert ([each.source for each in relay.open_ports.values()], len(rtpengines.sessions)) == agreed
    refresh = scene.other.ask("INVITE", body=scene.other.mine)
    scene.wire.run_for(1_000)
    assert refresh.final is not None
    assert refresh.final.status == 200
    scene.ends_well()


@pytest.mark.parametrize("side", ["caller", "callee"])
def test_media_stay_after_a_kill_where_an_earlier_offer_was_refused(tmp_path: Path, side: str) -> None:
    """A refresh by the switch, with the description of that side, was taken for the offer that had been refused."""
    media = MediaParameters(engine=MediaEngine.RELAY, mode=MediaMode.ON)
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    relay = VirtualRelay()
    scene = SceneOfKill(tmp_path, side, catalogue(trunks, media=media), relay=relay, script=TIMED_WITHOUT_UPDATE)
    scene.other.will("INVITE", Reply(488))
    scene.asking.ask("INVITE", body=offered_elsewhere(scene))
    scene.wire.run_for(2_000)
    assert scene.asking.got["INVITE"] == [488]
    asked = len(scene.other.asked["INVITE"])
    for _ in range(20):
        scene.wire.run_for(20_000)
        for each in relay.open_ports.values():
            each.figures = replace(each.figures, alive_mono=scene.wire.clock.now().mono)
    assert len(scene.other.asked["INVITE"]) == asked + 1, "the switch has refreshed it"
    scene.asking.mine = offered_elsewhere(scene)
    scene.other.ask("INVITE", body=revised(scene.other.mine))
    scene.wire.run_for(5_000)
    agreed = [each.source for each in relay.open_ports.values()]
    assert int(ELSEWHERE) in [each.rtp for each in agreed if each is not None]
    scene.kill(20, then_ms=500)
    assert [each.source for each in relay.open_ports.values()] == agreed
    scene.ends_well()


@pytest.mark.parametrize("side", ["caller", "callee"])
@pytest.mark.parametrize("is_relayed", [False, True])
def test_the_other_side_is_answered_by_the_session_of_before_an_offer_that_is_refused_after_a_kill(
    tmp_path: Path, side: str, is_relayed: bool
) -> None:
    """The journal has the call with the offer that is refused then: its next refresh got that one as the answer."""
    media = MediaParameters(engine=MediaEngine.RELAY, mode=MediaMode.ON if is_relayed else MediaMode.OFF)
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    scene = SceneOfKill(tmp_path, side, catalogue(trunks, media=media), relay=VirtualRelay())
    said = scene.other.theirs
    scene.other.will("INVITE", Reply(488, after_ms=3_000))
    scene.asking.ask("INVITE", body=revised(offered_elsewhere(scene), "a=sendonly"))
    scene.wire.run_for(1_500)
    scene.kill(20, then_ms=4_000)
    refresh = scene.other.ask("INVITE", body=scene.other.mine)
    scene.wire.run_for(1_000)
    assert refresh.final is not None
    assert media_of(refresh.final.body.encode()) == media_of(said.encode())
    scene.ends_well()


@pytest.mark.parametrize("side", ["caller", "callee"])
@pytest.mark.parametrize("how", ["stop", "kill"])
@pytest.mark.parametrize("after_ms", [1_600, 3_000, 10_000])
@pytest.mark.parametrize("engine", [None, MediaEngine.RELAY, MediaEngine.RTPENGINE])
def test_both_sides_have_one_session_where_one_of_them_accepts_an_offer_after_a_restart(
    tmp_path: Path, side: str, how: str, after_ms: int, engine: MediaEngine | None
) -> None:
    """After a kill the side that had asked has a 500, and the other one went on as if it were put on hold."""
    mode = MediaMode.ON if engine else MediaMode.OFF
    media = MediaParameters(engine=engine or MediaEngine.RELAY, mode=mode)
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    relay, rtpengines = VirtualRelay(), VirtualRtpEngines()
    in_use = rtpengines if engine is MediaEngine.RTPENGINE else None
    scene = SceneOfKill(tmp_path, side, catalogue(trunks, media=media), relay=relay, rtpengines=in_use)
    before = [each.source for each in relay.open_ports.values()]
    scene.other.will("INVITE", Reply(200, after_ms=after_ms))
    scene.asking.ask("INVITE", body=revised(offered_elsewhere(scene), "a=sendonly"))
    scene.wire.run_for(1_500)
    if how == "stop":
        scene.stop_and_keep(20)
    else:
        scene.kill(20)
    scene.wire.run_for(12_000)
    assert scene.asking.got["INVITE"] == [500 if how == "kill" else 200]
    assert len(scene.other.asked["INVITE"]) == (2 if how == "kill" else 1)
    assert ("a=sendonly" in scene.other.theirs) is (how == "stop")
    if how == "kill":
        assert [each.source for each in relay.open_ports.values()] == before
    if engine is None:
        for mine, theirs in ((scene.asking.mine, scene.other.theirs), (scene.other.mine, scene.asking.theirs)):
            assert alike(mine.encode(), theirs.encode())
    elif engine is MediaEngine.RTPENGINE:
        latest = [each for each in rtpengines.sessions if isinstance(each, RtpOffer)][-1]
        assert (f" {ELSEWHERE} " in latest.sdp) is (how == "stop")
    scene.ends_well()


@pytest.mark.parametrize("is_relayed", [False, True])
def test_media_of_a_side_that_accepts_an_offer_after_a_kill_go_to_where_it_takes_them_then(
    tmp_path: Path, is_relayed: bool
) -> None:
    media = MediaParameters(engine=MediaEngine.RELAY, mode=MediaMode.ON if is_relayed else MediaMode.OFF)
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    relay = VirtualRelay()
    scene = SceneOfKill(tmp_path, "caller", catalogue(trunks, media=media), relay=relay)
    scene.other.will("INVITE", Reply(200, after_ms=3_000))
    scene.asking.ask("INVITE", body=revised(offered_elsewhere(scene)))
    scene.wire.run_for(1_500)
    scene.kill(20)
    scene.other.mine = revised(scene.other.mine).replace("30000", "42000")
    scene.wire.run_for(20_000)
    assert scene.asking.got["INVITE"] == [500]
    assert "m=audio 42000 " in scene.other.mine
    if is_relayed:
        assert 42_000 in [each.source.rtp for each in relay.open_ports.values() if each.source is not None]
    else:
        assert "m=audio 42000 " in scene.asking.theirs
    scene.ends_well()


def test_a_side_that_makes_an_offer_after_a_kill_because_it_was_asked_for_one_is_offered_the_session_in_force(
    tmp_path: Path,
) -> None:
    scene = SceneOfKill(tmp_path, "caller")
    scene.other.will("INVITE", Reply(200, after_ms=3_000))
    scene.asking.ask("INVITE", body="")
    scene.wire.run_for(1_500)
    scene.kill(20, then_ms=20_000)
    assert [bool(each.body) for each in scene.other.asked["INVITE"]] == [False, True]
    scene.ends_well()


def test_an_offer_that_is_accepted_after_a_kill_and_after_another_one_was_refused_is_replaced(tmp_path: Path) -> None:
    """The side that has a re-INVITE refuses the next one with 500 (RFC 3261 section 14.2)."""
    scene = SceneOfKill(tmp_path, "caller")
    scene.other.will("INVITE", Reply(200, after_ms=10_000))
    scene.asking.ask("INVITE", body=offered_elsewhere(scene))
    scene.wire.run_for(1_500)
    scene.kill(20, then_ms=2_000)
    scene.other.will("INVITE", Reply(500))
    scene.asking.ask("INVITE", body=offered_elsewhere(scene))
    scene.wire.run_for(20_000)
    assert scene.asking.got["INVITE"] == [500, 500]
    assert f"m=audio {ELSEWHERE} " not in scene.other.theirs
    scene.ends_well()


@pytest.mark.parametrize("side", ["caller", "callee"])
@pytest.mark.parametrize("is_relayed", [False, True])
def test_an_offer_of_the_last_second_before_a_kill_that_is_accepted_after_it_is_replaced(
    tmp_path: Path, side: str, is_relayed: bool
) -> None:
    """The journal does not have it; its CSeq says that the process before has sent it last."""
    media = MediaParameters(engine=MediaEngine.RELAY, mode=MediaMode.ON if is_relayed else MediaMode.OFF)
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    relay = VirtualRelay()
    scene = SceneOfKill(tmp_path, side, catalogue(trunks, media=media), relay=relay)
    before = [each.source for each in relay.open_ports.values()]
    scene.other.will("INVITE", Reply(200, after_ms=2_000))
    scene.asking.ask("INVITE", body=revised(offered_elsewhere(scene), "a=sendonly"))
    scene.wire.run_for(300)
    scene.kill(20, then_ms=20_000)
    assert len(scene.other.asked["INVITE"]) == 2
    assert [each.source for each in relay.open_ports.values()] == before
    assert "a=sendonly" not in scene.other.theirs
    if not is_relayed:
        for mine, theirs in ((scene.asking.mine, scene.other.theirs), (scene.other.mine, scene.asking.theirs)):
            assert alike(mine.encode(), theirs.encode())
    scene.ends_well()


def test_a_200_to_an_offer_of_before_a_kill_that_comes_again_is_followed_by_no_other_offer(tmp_path: Path) -> None:
    scene = SceneOfKill(tmp_path, "caller")
    scene.other.will("INVITE", Reply(200, after_ms=2_000))
    scene.asking.ask("INVITE", body=revised(offered_elsewhere(scene), "a=sendonly"))
    scene.wire.run_for(300)
    scene.kill(20, then_ms=2_500)
    (answer, *_) = [
        each.data
        for each in scene.wire.packets
        if each.source == scene.other.agent.address and b"CSeq: 2 INVITE" in each.data and b" 200 " in each.data[:12]
    ]
    for _ in range(3):
        scene.wire.send(scene.other.agent.address, SWITCH, answer)
        scene.wire.run_for(2_000)
    assert len(scene.other.asked["INVITE"]) == 2
    scene.ends_well()
