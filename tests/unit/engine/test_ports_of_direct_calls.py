"""Calls whose sides talk directly, and have ports that were opened for the target of a transfer."""

import pytest
from doubles.data.builders import catalogue, mapping_gateway
from doubles.desk_scene import are_connected
from doubles.keypad_scene import KEYS, TARGET, press, talking
from doubles.killed import KilledScene
from doubles.sockets.peer import ANSWER, OFFER
from doubles.virtual.customer import Intent
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.rtpengines import HOSTS, VirtualRtpEngines
from doubles.virtual.scene import CUSTOMER, Scene, vendor_gateway
from doubles.virtual.vendor import Line, Script, answers
from msgspec.structs import replace
from structlog.testing import capture_logs

from vosd.b2bua.supervision import Supervision
from vosd.sdp.media import media_of
from vosd.trunks.dialect import CallerDialect
from vosd.trunks.media import Encryption, MediaEngine, MediaFallback, MediaMode, MediaParameters, MediaSettings

OF_TARGET = ANSWER.replace("192.0.2.20", "192.0.2.30")
BUSY, CONSULTED = "*1", "*2"


def content(engine, *, fallback=MediaFallback.REFUSE, **terms):
    """Make a customer with keys and these terms, a vendor that is not relayed, and one with targets that are."""
    trunks = [
        mapping_gateway(
            "acme",
            f"{CUSTOMER.host}/32",
            dialect=CallerDialect(transfer_keys=KEYS),
            media=replace(MediaSettings(), **terms),
        ),
        vendor_gateway(0, media=MediaSettings(mode=MediaMode.OFF)),
        vendor_gateway(1, prefixes=(TARGET[:6],), media=MediaSettings(mode=MediaMode.MUST_ON)),
    ]
    return catalogue(trunks, media=MediaParameters(engine=engine, mode=MediaMode.AUTO, fallback=fallback))


def after_a_target(scene, keys, call):
    """Return both sides of a call: a target was busy, or has hung up after it was consulted."""
    scene.vendors[1].script = Script((Line(1_000, 486),)) if keys == BUSY else answers(1_000, body=OF_TARGET)
    press(scene, call, f"{keys}{TARGET}#", 100)
    scene.wire.run_for(4_000)
    if keys == CONSULTED:
        scene.hang_up(scene.vendors[1].only_call, wait_ms=4_000)
    party = scene.vendors[0].only_call
    assert are_connected(call, party)
    return call, party


def offers(sides):
    return [len(each.asked["INVITE"]) for each in sides]


def move(scene, ms, step_ms=100):
    """Let time go by, in which calls get other ports."""
    for _ in range(ms // step_ms):
        if scene.exchange.rtp_calls is None:
            scene.exchange.media.moves.go_on(scene.exchange.clock.now())
            scene.exchange.flush()
        else:
            scene.exchange.poll_rtpengines()
        scene.wire.run_for(step_ms)


def refresh(scene, *sides):
    """Let sides offer again what they have offered, and require that they get what they have."""
    for side in sides:
        theirs = side.theirs
        side.ask("INVITE", body=side.mine)
        scene.wire.run_for(500)
        assert side.theirs == theirs


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("keys", [BUSY, CONSULTED])
def test_a_direct_call_is_offered_nothing_where_the_rtpengine_of_a_target_before_is_lost(keys, is_restarted):
    engines = VirtualRtpEngines()
    scene = Scene(content(MediaEngine.RTPENGINE), rtpengines=engines)
    sides = after_a_target(scene, keys, talking(scene))
    before = offers(sides)
    with capture_logs() as lines:
        if is_restarted:
            engines.calls.clear()
        else:
            engines.lose("one")
        move(scene, 30_000)
    assert offers(sides) == before
    assert not [line for line in lines if line["event"] == "media_moved"]
    refresh(scene, *sides)
    assert are_connected(*sides)
    scene.expect_nothing_left(sides[0])


@pytest.mark.parametrize("keys", [BUSY, CONSULTED])
def test_a_direct_call_is_offered_nothing_where_a_port_from_before_is_lost_over_a_restart(tmp_path, keys, monkeypatch):
    relay = VirtualRelay()
    scene = KilledScene(tmp_path, content(MediaEngine.RELAY), relay=relay)
    sides = after_a_target(scene, keys, talking(scene))
    monkeypatch.setattr(relay, "reopen", lambda _port, **_: False)
    scene.kill(1_000)
    relay.open_ports.clear()
    scene.wire.run_for(1_500)
    before = offers(sides)
    move(scene, 30_000)
    assert offers(sides) == before
    refresh(scene, *sides)
    assert are_connected(*sides)
    scene.hang_up(sides[0], wait_ms=5_000)
    assert relay.open_ports == {}


@pytest.mark.parametrize("keys", [BUSY, CONSULTED])
def test_a_side_is_relayed_to_its_next_target_after_the_rtpengine_of_the_one_before_was_lost(keys):
    """The version of each description follows that of the direct one."""
    engines = VirtualRtpEngines()
    scene = Scene(content(MediaEngine.RTPENGINE), rtpengines=engines)
    call, party = after_a_target(scene, keys, talking(scene))
    engines.lose("one")
    move(scene, 5_000)
    scene.vendors[1].script = answers(1_000, body=OF_TARGET)
    press(scene, call, f"*2{TARGET}#", 100)
    scene.wire.run_for(4_000)
    target = scene.vendors[1].calls[-1]
    assert [media_of(each.theirs.encode())[0].host for each in (call, target)] == [HOSTS["two"]] * 2
    scene.hang_up(target, wait_ms=4_000)
    assert are_connected(call, party)
    refresh(scene, call, party)
    scene.expect_nothing_left(call)


@pytest.mark.parametrize("falls_back", [False, True])
def test_a_direct_call_with_keys_goes_on_where_the_rtpengine_of_a_target_without_is_lost(falls_back):
    """The relay has no keys: a relayed call with some would end where it has to take over."""
    engines, relay = VirtualRtpEngines(), VirtualRelay()
    scene = Scene(
        content(MediaEngine.RTPENGINE, fallback=MediaFallback.RELAY, encryption=Encryption.OPTIONAL),
        rtpengines=engines,
        relay=relay,
    )
    call = scene.begun_call(Intent(sealed(OFFER, "A")), script=answers(0, body=sealed(ANSWER, "B")), after_ms=2_000)
    sides = after_a_target(scene, CONSULTED, call)
    before = offers(sides)
    engines.up["two"] = not falls_back
    engines.lose("one")
    move(scene, 30_000)
    assert offers(sides) == before
    assert not call.is_over
    refresh(scene, *sides)
    scene.expect_nothing_left(call)


def sealed(session, key):
    return session.replace("RTP/AVP", "RTP/SAVP") + f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key * 40}\r\n"


def test_a_call_that_gets_no_other_ports_asks_for_them_at_growing_intervals_until_it_does(monkeypatch):
    """The next rtpengine gives none for an hour; the watch of silence, which would end the call, is off."""
    engines = VirtualRtpEngines()
    media = MediaSettings(timeout_ms=0)
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32", media=media), vendor_gateway(0, media=media)]
    parameters = MediaParameters(engine=MediaEngine.RTPENGINE, mode=MediaMode.ON)
    scene = Scene(catalogue(trunks, media=parameters), rtpengines=engines)
    sides = scene.talk()
    engines.lose("one")
    engines.is_silent = True
    offer_again, rounds, minutes = Supervision.offer_again, [], []

    def counted(supervision, now):
        rounds.append(now.mono)
        offer_again(supervision, now)

    monkeypatch.setattr(Supervision, "offer_again", counted)
    for _ in range(60):
        before = len(rounds)
        move(scene, 60_000, 1_000)
        minutes.append(len(rounds) - before)
    assert 5 < minutes[0] < 10
    assert max(minutes[1:]) == 1
    assert sum(minutes[-10:]) in {9, 10}
    engines.is_silent = False
    move(scene, 80_000, 1_000)
    assert [media_of(each.theirs.encode())[0].host for each in sides] == [HOSTS["two"]] * 2
    assert not scene.exchange.media.moves.go_on(scene.exchange.clock.now())
    scene.finish(sides[0])
    assert engines.calls == {}
