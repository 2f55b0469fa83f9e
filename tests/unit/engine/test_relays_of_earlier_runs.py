"""Calls that keep their relay after a restart without ``media.engine``, and new legs, which get none."""

import pytest
from doubles.data.builders import catalogue, mapping_gateway
from doubles.data.sessions import revised
from doubles.desk_scene import blind
from doubles.killed import KilledScene
from doubles.sockets.peer import ANSWER
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.scene import CUSTOMER, sides, vendor_gateway
from doubles.virtual.vendor import Line, Script, answers

from vosd.sdp.media import media_of
from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters

NEXT = "443333333333"
OF_NEXT = ANSWER.replace("192.0.2.20", "192.0.2.30")
OF_SWITCH = "192.0.2.1"


def stage(tmp_path):
    """Make a switch whose calls are relayed, with two vendors; the second one alone has the next number."""
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), *(vendor_gateway(index) for index in range(2))]
    trunks.append(vendor_gateway(2, prefixes=(NEXT[:6],)))
    relay = VirtualRelay()
    content = catalogue(trunks, media=MediaParameters(engine=MediaEngine.RELAY, mode=MediaMode.ON))
    return KilledScene(tmp_path, content, relay=relay), relay


def restart_without_engine(scene):
    """Stop the switch, and start it as ``SwitchService`` does with a relay for earlier calls alone."""
    scene.stop_and_keep(100)
    scene.wire.run_until(lambda: not scene.is_down)
    scene.exchange.media.parts.takes_calls = False
    scene.wire.run_for(500)


def host(side):
    """Return the host that a side sends its media to."""
    return media_of(side.theirs.encode())[0].host


def connections(relay):
    """Return the hosts whose media are forwarded to each other."""
    found = set()
    for port in relay.open_ports.values():
        if port.other is not None and port.source is not None:
            found.add((port.source.host, relay.open_ports[port.other.id].source.host))
    return found


def finish(scene, relay, call):
    scene.hang_up(call, wait_ms=40_000)
    assert relay.open_ports == {}
    assert scene.exchange.leftovers() == {}


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize("who", ["caller", "callee"])
def test_a_refresh_leaves_both_sides_at_their_ports(who, method, tmp_path):
    scene, relay = stage(tmp_path)
    call, party = scene.talk()
    restart_without_engine(scene)
    before, connected = (call.theirs, party.theirs), connections(relay)
    one, _ = sides(who, call, party)
    one.ask(method, body=one.mine)
    scene.wire.run_for(1_000)
    assert one.got[method] == [200]
    assert (call.theirs, party.theirs) == before
    assert connections(relay) == connected != set()
    finish(scene, relay, call)


def place_in(session: str) -> tuple[str, int]:
    medium = media_of(session.encode())[0]
    return medium.host, medium.port


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize("who", ["caller", "callee"])
def test_a_hold_leaves_both_sides_at_their_ports(who, method, tmp_path):
    scene, relay = stage(tmp_path)
    call, party = scene.talk()
    restart_without_engine(scene)
    places, connected = [place_in(each.theirs) for each in (call, party)], connections(relay)
    one, other = sides(who, call, party)
    for direction in ("sendonly", "sendrecv"):
        scene.propose(one, f"a={direction}", method=method)
        assert media_of(other.theirs.encode())[0].direction == direction
        assert [place_in(each.theirs) for each in (call, party)] == places
        assert connections(relay) == connected != set()
    finish(scene, relay, call)


@pytest.mark.parametrize("has_early_media", [False, True])
def test_a_call_that_rang_over_the_restart_is_relayed_when_it_is_answered(has_early_media, tmp_path):
    scene, relay = stage(tmp_path)
    ringing = Line(0, 183, ANSWER) if has_early_media else Line(0, 180)
    call = scene.begun_call(script=Script((ringing, Line(6_000, 200, ANSWER))), after_ms=2_000)
    restart_without_engine(scene)
    scene.await_answer(call, talk_ms=1_000)
    party = scene.vendor.only_call
    assert [host(call), host(party)] == [OF_SWITCH] * 2
    assert len(connections(relay)) == 2
    party.ask("INVITE", body=revised(party.mine))
    scene.wire.run_for(1_000)
    assert [host(call), host(party)] == [OF_SWITCH] * 2
    finish(scene, relay, call)


def test_a_gateway_that_is_tried_next_is_not_relayed(tmp_path):
    scene, relay = stage(tmp_path)
    scene.vendors[0].script = Script((Line(0, 180), Line(6_000, 503)))
    scene.vendors[1].script = answers(1_000, body=OF_NEXT)
    call = scene.begun_call(after_ms=2_000)
    restart_without_engine(scene)
    scene.await_answer(call, talk_ms=1_000)
    party = scene.vendors[1].only_call
    assert OF_SWITCH not in {host(call), host(party)}
    assert relay.open_ports == {}
    finish(scene, relay, call)


def test_the_target_of_a_transfer_is_relayed_as_the_call_before(tmp_path):
    scene, relay = stage(tmp_path)
    scene.vendors[2].script = answers(1_000, body=OF_NEXT)
    call, party = scene.talk()
    restart_without_engine(scene)
    blind(call, NEXT)
    scene.wire.run_for(4_000)
    scene.hang_up(call, wait_ms=2_000)
    target = scene.vendors[2].only_call
    assert [host(target), host(party)] == [OF_SWITCH] * 2
    assert connections(relay) == {("192.0.2.20", "192.0.2.30"), ("192.0.2.30", "192.0.2.20")}
    finish(scene, relay, party)


def test_a_new_call_is_not_relayed(tmp_path):
    scene, relay = stage(tmp_path)
    before, _ = scene.talk()
    restart_without_engine(scene)
    call, party = scene.talk()
    assert OF_SWITCH not in {host(call), host(party)}
    assert len(relay.open_ports) == 2
    call.hang_up()
    finish(scene, relay, before)
