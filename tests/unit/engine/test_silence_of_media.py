"""Silence that ends no call: after a hold, and in media that an earlier process of the switch has heard."""

from decimal import Decimal

import msgspec
import pytest
from doubles.data.builders import account, catalogue, mapping_gateway, phone
from doubles.data.sessions import revised
from doubles.desk_scene import DESK, MATE, are_connected, attended, called, registered
from doubles.keypad_scene import KEYS, TARGET, press, talking
from doubles.killed import KilledScene
from doubles.sockets.peer import ANSWER, OFFER
from doubles.virtual.customer import Intent
from doubles.virtual.exchange import SWITCH
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.rtpengines import HOSTS, VirtualRtpEngines
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from doubles.virtual.side import Reply
from doubles.virtual.vendor import RINGS, Line, Script, answers

from vosd.b2bua.search import CalleeSearch
from vosd.base.clock import Instant
from vosd.sdp.media import media_of
from vosd.trunks.dialect import CallerDialect
from vosd.trunks.media import (
    Encryption,
    EncryptionKind,
    MediaEngine,
    MediaMode,
    MediaParameters,
    MediaSettings,
    MediaWatch,
    PortRange,
)

SETTINGS = MediaSettings(timeout_ms=10_000, hold_timeout_ms=600_000, watch=MediaWatch.ANY)
SILENT_MS = 60_000
NEXT = "443333333333"
ENGINES = (MediaEngine.RELAY, MediaEngine.RTPENGINE)


def content(engine=MediaEngine.RELAY):
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32", media=SETTINGS), vendor_gateway(0, media=SETTINGS)]
    return catalogue(trunks, media=MediaParameters(engine=engine, mode=MediaMode.ON))


def scene_by(engine, content):
    """Begin a scene whose media one engine relays."""
    if engine is MediaEngine.RELAY:
        return Scene(content, relay=VirtualRelay())
    return Scene(content, rtpengines=VirtualRtpEngines())


def port_of(session):
    return media_of(session.encode())[0].port


def speak(one, its_medium, other, their_medium):
    """Let a side offer another medium, and the other one answer with its own."""
    for side, medium in ((one, its_medium), (other, their_medium)):
        side.mine = side.mine.partition("m=")[0] + "m=" + medium
    one.propose()


def test_silence_counts_anew_when_a_hold_is_over():
    relay = VirtualRelay()
    scene = Scene(content(), relay=relay)
    call, _ = scene.talk()
    relay.hear(scene.exchange.clock.now())
    scene.propose(call, "a=sendonly", wait_ms=SILENT_MS)
    scene.propose(call, "a=sendrecv", wait_ms=5_000)
    assert not call.is_over
    relay.hear(scene.exchange.clock.now())
    scene.wire.run_for(9_000)
    assert not call.is_over
    assert scene.end_of(call).end_reason == "No Media"


@pytest.mark.parametrize("other", [SETTINGS, MediaSettings(watch=MediaWatch.OFF), MediaSettings()])
def test_ports_are_first_looked_at_when_silence_may_have_ended_a_call(monkeypatch, other):
    relay, asked = VirtualRelay(), []
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32", media=other), vendor_gateway(0, media=SETTINGS)]
    media = MediaParameters(engine=MediaEngine.RELAY, mode=MediaMode.MUST_ON)
    scene = Scene(catalogue(trunks, media=media), relay=relay)
    monkeypatch.setattr(relay, "last_packet", asked.append)
    call, _ = scene.talk()
    scene.wire.run_for(SETTINGS.timeout_ms - 1_100)
    assert asked == []
    scene.wire.run_for(200)
    assert asked
    assert call.is_over
    assert scene.close().end_reason == "No Media"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("lacking", ["200", "ACK"])
def test_a_relayed_call_in_which_one_side_has_never_described_a_session_ends_by_silence(engine, lacking):
    """From such a side nothing can come, and nothing else ends the call before its longest time."""
    scene = scene_by(engine, content(engine))
    if lacking == "200":
        call = scene.answered_call(script=answers(body=""))
    else:
        call = scene.answered_call(Intent(offer="", acknowledges=False), script=answers(body=OFFER))
        call.acknowledge("")
    run_silent(scene, 30_000)
    assert call.is_over
    record = scene.close()
    assert record.end_reason == "No Media"
    assert 10_000 <= record.hold_time_ms <= 16_000


@pytest.mark.parametrize("engine", ENGINES)
def test_a_relayed_call_without_an_offer_in_which_no_side_describes_media_ends_by_silence(engine):
    scene = scene_by(engine, content(engine))
    call = scene.answered_call(Intent(offer="", acknowledges=False), script=answers(body=""))
    call.acknowledge("")
    run_silent(scene, 30_000)
    assert call.is_over
    record = scene.close()
    assert record.end_reason == "No Media"
    assert 10_000 <= record.hold_time_ms <= 16_000


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("is_late", [False, True])
def test_a_call_whose_media_no_relay_carries_may_be_silent(engine, is_late):
    scene = scene_by(engine, content(engine))
    chat = OFFER.partition("m=")[0] + "m=message 2855 TCP/MSRP *\r\na=path:msrp://192.0.2.1:2855/a;tcp\r\n"
    if is_late:
        call = scene.answered_call(Intent(offer="", acknowledges=False), script=answers(body=chat))
        call.acknowledge(chat)
    else:
        call = scene.answered_call(Intent(offer=chat), script=answers(body=chat))
    run_silent(scene, 30_000)
    assert not call.is_over
    assert scene.finish(call).end_reason == "Normal"


CHAT = "m=message 2855 TCP/MSRP *\r\na=path:msrp://192.0.2.1:2855/a;tcp\r\n"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_call_may_be_silent_where_all_that_was_agreed_on_passes_by_relays(engine):
    """A chat goes on without the sound that was offered with it."""
    scene = scene_by(engine, content(engine))
    answer = OFFER.replace("audio 20000", "audio 0") + CHAT
    call = scene.answered_call(Intent(offer=OFFER + CHAT), script=answers(body=answer))
    run_silent(scene, 30_000)
    assert not call.is_over
    assert scene.finish(call).end_reason == "Normal"


@pytest.mark.parametrize("mode", [MediaMode.OFF, MediaMode.AUTO])
def test_a_direct_call_in_which_no_side_describes_media_may_be_silent(mode):
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32", media=SETTINGS), vendor_gateway(0, media=SETTINGS)]
    media = MediaParameters(engine=MediaEngine.RELAY, mode=mode)
    scene = Scene(catalogue(trunks, media=media), relay=VirtualRelay())
    call = scene.answered_call(Intent(offer="", acknowledges=False), script=answers(body=""))
    call.acknowledge("")
    run_silent(scene, 30_000)
    assert not call.is_over
    assert scene.finish(call).end_reason == "Normal"


def test_silence_counts_anew_when_a_fax_is_over():
    relay = VirtualRelay()
    scene = Scene(content(), relay=relay)
    call, there = scene.talk()
    relay.hear(scene.exchange.clock.now())
    voices = [side.mine.partition("m=")[2] for side in (call, there)]
    speak(call, "image 20000 udptl t38\r\n", there, "image 30000 udptl t38\r\n")
    scene.wire.run_for(SILENT_MS)
    assert not call.is_over
    speak(call, voices[0], there, voices[1])
    scene.wire.run_for(9_000)
    assert not call.is_over
    record = scene.end_of(call)
    assert record.end_reason == "No Media"
    assert 71_000 <= record.hold_time_ms <= 72_000


@pytest.mark.parametrize("engine", list(MediaEngine))
@pytest.mark.parametrize("statuses", [(488,), (491, 488)])
@pytest.mark.parametrize("offer", ["fax", "hold"])
def test_an_offer_that_is_refused_lets_no_call_be_silent(engine, statuses, offer):
    """Also one that was sent again after 491. The rtpengine gets what was agreed on once more."""
    relay, engines = VirtualRelay(), VirtualRtpEngines()
    scene = Scene(content(engine), **({"relay": relay} if engine is MediaEngine.RELAY else {"rtpengines": engines}))
    call, there = scene.talk()
    sources = {number: each.source for number, each in relay.open_ports.items()}
    agreed = [order.sdp for order in engines.sessions]
    there.will("INVITE", *map(Reply, statuses))
    if offer == "fax":
        call.mine = call.mine.partition("m=")[0] + "m=image 20002 udptl t38\r\n"
        call.propose()
    else:
        call.propose("a=sendonly")
    scene.wire.run_for(9_000)
    assert {number: each.source for number, each in relay.open_ports.items()} == sources
    for _ in range(12):
        if engine is MediaEngine.RTPENGINE:
            scene.exchange.poll_rtpengines()
        scene.wire.run_for(4_500)
    assert call.is_over
    assert scene.close().end_reason == "No Media"
    assert call.got["INVITE"][-1] == 488
    if engine is MediaEngine.RTPENGINE:
        assert [order.sdp for order in engines.sessions][2 + len(statuses) :] == agreed


def test_silence_counts_anew_when_a_transfer_has_joined_two_calls():
    relay = VirtualRelay()
    scene = Scene(content(), relay=relay)
    scene.vendor.script = Script((Line(0, 200, ANSWER),))
    first, second = scene.caller.call(CALLEE), scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: first.final == second.final == 200)
    relay.hear(scene.exchange.clock.now())
    scene.wire.run_for(8_000)
    party, target = scene.vendor.calls
    first.ask("REFER", headers=[f"Refer-To: <sip:1@192.0.2.1?Replaces={second.replaces_in_uri}>"])
    scene.wire.run_for(7_000)
    assert first.is_over
    assert not party.is_over
    assert not target.is_over
    scene.wire.run_until(lambda: party.is_over)
    assert {record.end_reason for record in scene.exchange.sink.records} == {"No Media"}
    assert {record.hold_time_ms // 1_000 for record in scene.exchange.sink.records} == {18}


def test_calls_go_on_over_a_kill_at_an_rtpengine_whose_figures_are_not_known_yet(tmp_path):
    engines = VirtualRtpEngines()
    scene = KilledScene(tmp_path, content(MediaEngine.RTPENGINE), rtpengines=engines)
    call, there = scene.talk()

    def talk(turns):
        for _ in range(turns):
            for port in (port_of(call.theirs), port_of(there.theirs)):
                engines.packets[port] = engines.packets.get(port, 0) + 1
                engines.last_packet_s[port] = scene.exchange.clock.now().wall // 1_000
            scene.poll_rtpengines(wait_ms=5_000)

    talk(6)
    scene.kill(1_000, then_ms=1_500)
    talk(6)
    assert not call.is_over
    scene.finish(call)


@pytest.mark.parametrize("is_heard", [True, False])
def test_calls_go_on_over_a_kill_of_the_switch_and_of_its_workers(tmp_path, is_heard):
    relay = VirtualRelay()
    scene = KilledScene(tmp_path, content(), relay=relay)
    call, _ = scene.talk()
    for _ in range(6):
        relay.hear(scene.exchange.clock.now())
        scene.wire.run_for(5_000)
    scene.kill(1_000)
    before = dict(relay.open_ports)
    relay.open_ports.clear()
    scene.wire.run_for(1_500)
    assert {each.port: (each.source, each.other) for each in relay.open_ports.values()} == {
        each.port: (each.source, each.other) for each in before.values()
    }
    for _ in range(6):
        if is_heard:
            relay.hear(scene.exchange.clock.now())
        scene.wire.run_for(5_000)
    assert call.is_over is not is_heard
    if is_heard:
        scene.finish(call)
        return
    record = scene.close()
    assert record.end_reason == "No Media"
    assert 40_000 <= record.hold_time_ms <= 45_000
    assert Decimal(record.fee) > 0


@pytest.mark.parametrize("watch", list(MediaWatch))
def test_a_side_that_waits_for_a_consultation_may_be_silent(watch):
    relay, settings = VirtualRelay(), msgspec.structs.replace(SETTINGS, watch=watch)
    trunk = mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=CallerDialect(transfer_keys=KEYS), media=settings)
    media = MediaParameters(engine=MediaEngine.RELAY, mode=MediaMode.ON)
    scene = Scene(catalogue([trunk, vendor_gateway(0, media=settings)], media=media), relay=relay)
    scene.vendor.by_number = {TARGET: answers(1_000, body=ANSWER.replace("192.0.2.20", "192.0.2.30"))}
    call = talking(scene)
    press(scene, call, f"*2{TARGET}#")
    scene.wire.run_for(2_500)
    party, target = scene.vendor.calls
    for _ in range(12):
        now = scene.exchange.clock.now()
        for port in relay.open_ports.values():
            if port.source.host != "192.0.2.20":
                port.figures = msgspec.structs.replace(port.figures, alive_at=now.wall, alive_mono=now.mono)
        scene.wire.run_for(5_000)
    assert not any(side.is_over for side in (call, party, target))
    scene.expect_nothing_left(call, party, target)


def run_silent(scene, ms):
    """Let time go by, with the figures that an rtpengine is asked for."""
    for _ in range(ms // 4_000):
        if scene.exchange.rtp_calls is not None:
            scene.exchange.poll_rtpengines()
        scene.wire.run_for(4_000)


def transferring(engine, mode, *target):
    """Make a customer with keys, a vendor with this mode, and one that is relayed and answers a target's call so."""
    dialect, relay = CallerDialect(transfer_keys=KEYS), VirtualRelay()
    trunks = [
        mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=dialect, media=SETTINGS),
        vendor_gateway(0, media=msgspec.structs.replace(SETTINGS, mode=mode)),
        vendor_gateway(1, prefixes=(TARGET[:6],), media=msgspec.structs.replace(SETTINGS, mode=MediaMode.MUST_ON)),
    ]
    by_engine = {"relay": relay} if engine is MediaEngine.RELAY else {"rtpengines": VirtualRtpEngines()}
    scene = Scene(catalogue(trunks, media=MediaParameters(engine=engine, mode=MediaMode.AUTO)), **by_engine)
    scene.vendors[1].script = Script(target)
    return scene


@pytest.mark.parametrize("engine", ENGINES)
def test_a_call_without_the_relay_may_be_silent_after_two_targets_that_must_be_relayed_were_busy(engine):
    """Each side has a port that was opened for a target, and has sent no media there."""
    scene = transferring(engine, MediaMode.OFF, Line(1_000, 486))
    call = talking(scene)
    for key in ("*2", "*1"):
        press(scene, call, f"{key}{TARGET}#", 100)
        run_silent(scene, 8_000)
    assert len(scene.exchange.sink.records) == 2
    run_silent(scene, 80_000)
    assert not call.is_over
    scene.expect_nothing_left(call)


def after_a_consultation_of_each(engine, encryption=Encryption.OFF):
    """Return both sides of a direct call: each has consulted a relayed target, and kept its ports, and their origin.

    ``encryption`` is that of a second vendor, which is relayed, too.
    """
    dialect, relayed = CallerDialect(transfer_keys=KEYS), msgspec.structs.replace(SETTINGS, mode=MediaMode.MUST_ON)
    sealed = msgspec.structs.replace(relayed, encryption=encryption, encryption_by=EncryptionKind.SDES)
    content = catalogue(
        [
            mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=dialect, media=SETTINGS),
            vendor_gateway(0, media=relayed),
            vendor_gateway(1, prefixes=(NEXT[:6],), media=sealed),
        ],
        phones=[phone(each, account="office", dialect=dialect, media=SETTINGS) for each in (DESK, MATE)],
        accounts=[account("office", overdraft_limit=None)],
        media=MediaParameters(engine=engine, mode=MediaMode.AUTO),
    )
    scene = scene_by(engine, content)
    scene.vendor.script = answers(500, body=ANSWER.replace("192.0.2.20", "192.0.2.30"))
    call, at_desk = called(scene, *registered(scene)[:1])
    for side in (call, at_desk):
        press(scene, side, f"*2{TARGET}#", 100)
        run_silent(scene, 4_000)
        scene.vendor.calls[-1].hang_up()
        run_silent(scene, 4_000)
        assert are_connected(call, at_desk)
    return scene, call, at_desk


@pytest.mark.parametrize("engine", ENGINES)
def test_a_call_without_the_relay_may_be_silent_after_each_side_has_consulted_a_target_that_is_relayed(engine):
    scene, call, _ = after_a_consultation_of_each(engine)
    run_silent(scene, 80_000)
    assert not call.is_over
    scene.expect_nothing_left(call)


@pytest.mark.parametrize(
    ("engine", "encryption"),
    [(each, Encryption.OFF) for each in ENGINES] + [(MediaEngine.RTPENGINE, Encryption.REQUIRED)],
)
def test_a_call_that_is_relayed_after_it_was_direct_ends_by_silence(engine, encryption):
    """Also where the descriptions with ports have waited for keys of an rtpengine."""
    scene, call, at_desk = after_a_consultation_of_each(engine, encryption)
    answer = ANSWER.replace("192.0.2.20", "192.0.2.30")
    if encryption is Encryption.REQUIRED:
        key = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{'T' * 40}\r\n"
        answer = answer.replace("RTP/AVP", "RTP/SAVP") + key
    scene.vendors[1].script = answers(500, body=answer)
    press(scene, call, f"*1{NEXT}#", 100)
    scene.wire.run_for(4_000)
    target = scene.vendors[1].only_call
    assert (at_desk.is_over, target.is_over) == (False, False)
    run_silent(scene, 40_000)
    assert (at_desk.is_over, target.is_over) == (True, True)
    assert [record.end_reason for record in scene.exchange.sink.records[2:]] == ["No Media", "No Media"]
    scene.expect_nothing_left()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("how", ["*1", "*2"])
@pytest.mark.parametrize("holder", [0, 1])
def test_a_call_on_hold_may_be_silent_while_a_target_is_called_and_after_that_was_busy(holder, how, engine):
    scene = transferring(engine, MediaMode.MUST_ON, Line(0, 180), Line(40_000, 486))
    call = talking(scene)
    scene.propose((call, scene.vendors[0].only_call)[holder], "a=sendonly")
    press(scene, call, f"{how}{TARGET}#", 100)
    run_silent(scene, 100_000)
    assert len(scene.exchange.sink.records) == 1
    assert not call.is_over
    scene.expect_nothing_left(call)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("goes_on", ["a=sendrecv", "a=sendonly"])
def test_a_party_that_has_held_is_asked_by_a_transfer_whether_it_still_does(goes_on, engine):
    scene = transferring(engine, MediaMode.MUST_ON, Line(1_000, 200, ANSWER.replace("192.0.2.20", "192.0.2.30")))
    call = talking(scene)
    party = scene.vendors[0].only_call
    scene.propose(party, "a=sendonly")
    party.will("INVITE", Reply(200, revised(party.mine, goes_on)))
    press(scene, call, f"*1{TARGET}#", 100)
    run_silent(scene, 60_000)
    assert party.is_over == (goes_on == "a=sendrecv")
    scene.expect_nothing_left(party)


def sealed(session, key):
    """Return a description whose media are encrypted by the parties themselves."""
    line = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key * 40}\r\n"
    return session.replace("RTP/AVP", "RTP/SAVP") + line


@pytest.mark.parametrize("engine", ENGINES)
def test_a_target_that_holds_may_be_silent_where_a_transfer_asks_it_for_an_offer_of_its_own(engine):
    """Each side has keys for its own offer: the other one answers it, which ends no hold."""
    answer = ANSWER.replace("192.0.2.20", "192.0.2.30")
    scene = transferring(engine, MediaMode.MUST_ON, Line(100, 200, sealed(answer, "C")))
    scene.vendors[0].script = answers(100, body=sealed(ANSWER, "B"))
    calls = []
    for number in (CALLEE, TARGET):
        calls.append(scene.caller.call(number, Intent(sealed(OFFER, "A"))))
        scene.wire.run_for(1_000)
    party, target = scene.vendors[0].only_call, scene.vendors[1].only_call
    target.will("INVITE", Reply(200, revised(target.mine, "a=sendonly")))
    attended(*calls)
    scene.wire.run_for(2_000)
    assert not target.asked["INVITE"][-1].body
    assert "a=sendonly" in party.theirs
    run_silent(scene, 100_000)
    assert not party.is_over
    scene.expect_nothing_left(target)


@pytest.mark.parametrize("lacks", ["source", "other"])
def test_ports_whose_last_orders_were_lost_with_the_switch_get_them_again(tmp_path, lacks):
    """Orders wait some milliseconds; the worker goes on without those that did not leave before the kill."""
    relay = VirtualRelay()
    scene = KilledScene(tmp_path, content(), relay=relay)
    call, _ = scene.talk()
    before = {number: (each.source, each.other) for number, each in relay.open_ports.items()}
    assert all(source is not None and other is not None for source, other in before.values())
    scene.kill(1_000)
    for each in relay.open_ports.values():
        setattr(each, lacks, None)
    scene.wire.run_for(1_500)
    assert {number: (each.source, each.other) for number, each in relay.open_ports.items()} == before
    scene.finish(call)


def test_a_call_that_cannot_begin_again_leaves_the_ports_of_the_others_as_they_are(tmp_path, monkeypatch):
    relay = VirtualRelay()
    scene = KilledScene(tmp_path, content(), relay=relay)
    call, _ = scene.talk()
    before = {number: (each.source, each.other) for number, each in relay.open_ports.items()}
    ringing = scene.begun_call(script=RINGS, after_ms=1_000)

    def fails(_search, _now):
        raise ValueError("it cannot begin")

    monkeypatch.setattr(CalleeSearch, "begin_again", fails)
    scene.stop_and_keep(500, then_ms=1_500)
    assert ringing.final == 503
    assert {number: (each.source, each.other) for number, each in relay.open_ports.items()} == before
    scene.hang_up(call, wait_ms=1_000)
    assert relay.open_ports == {}


@pytest.mark.parametrize("set_at", [3, 4, 5])
def test_a_clock_that_is_set_while_an_rtpengine_is_not_asked_ends_no_call(set_at):
    """The rtpengine's clock, of another machine, is not set: its last packet seems to be an hour old."""
    engines = VirtualRtpEngines()
    scene = Scene(content(MediaEngine.RTPENGINE), rtpengines=engines)
    call, there = scene.talk()
    offset_ms = 0
    for turn in range(8):
        if turn == set_at:
            now, offset_ms = scene.exchange.clock.now(), 3_600_000
            scene.exchange.clock._now = Instant(now.mono, now.wall + offset_ms)
        for port in (port_of(call.theirs), port_of(there.theirs)):
            engines.packets[port] = engines.packets.get(port, 0) + 1
            engines.last_packet_s[port] = (scene.exchange.clock.now().wall - offset_ms) // 1_000
        scene.poll_rtpengines(wait_ms=4_500)
    assert not call.is_over
    scene.finish(call)


@pytest.mark.parametrize("lost", ["both", "callee"])
def test_sides_of_a_call_whose_ports_are_lost_are_offered_others(tmp_path, monkeypatch, lost):
    """The version of their descriptions grows, though nothing has changed for the other side (the double minds it)."""
    relay = VirtualRelay()
    scene = KilledScene(tmp_path, content(), relay=relay)
    call, there = scene.talk()
    before = [port_of(each.theirs) for each in (call, there)]
    is_lost = lost == "both"
    kept = {} if is_lost else {each.port.id: each for each in relay.open_ports.values() if each.port.rtp == before[0]}
    monkeypatch.setattr(relay, "reopen", lambda port, **_: port.id in kept)
    scene.kill(1_000)
    relay.open_ports.clear()
    relay.open_ports.update(kept)
    scene.wire.run_for(1_500)
    for _ in range(6):
        scene.exchange.media.moves.go_on(scene.exchange.clock.now())
        scene.exchange.flush()
        scene.wire.run_for(500)
    ports = [port_of(each.theirs) for each in (call, there)]
    assert [one == other for one, other in zip(ports, before, strict=True)] == [not is_lost, False]
    of_caller, of_callee = map(relay.at, ports)
    assert of_caller.other == of_callee.port
    assert (of_caller.source.rtp, of_callee.source.rtp) == (20_000, 30_000)
    assert not scene.exchange.media.moves.go_on(scene.exchange.clock.now()), "it is offered once"
    scene.propose(call, "a=sendonly")
    assert "a=sendonly" in there.theirs
    scene.finish(call)
    assert relay.open_ports == {}


def test_silence_is_no_proof_while_the_worker_of_the_relay_is_away():
    """It cannot be started for half a minute; from its next start on silence counts anew."""
    relay = VirtualRelay()
    scene = Scene(content(), relay=relay)
    call, _ = scene.talk()
    for _ in range(6):
        relay.receiving_since_ms = scene.exchange.clock.now().mono + 1_000
        scene.wire.run_for(5_000)
    assert not call.is_over
    relay.receiving_since_ms = scene.exchange.clock.now().mono
    record = scene.end_of(call)
    assert (record.end_reason, record.hold_time_ms) == ("No Media", 31_001 + 10_000)


def test_ports_of_ours_are_no_destination_also_those_of_calls_of_an_earlier_process(tmp_path):
    """The range of ports was changed between both processes."""
    relay = VirtualRelay()
    scene = KilledScene(tmp_path, content(), relay=relay)
    own = {(SWITCH.host, PortRange(SWITCH.port, SWITCH.port)), (SWITCH.host, PortRange(10_000, 39_999))}
    assert own <= relay.spared
    call, there = scene.talk()
    relay.spared.clear()
    media = MediaParameters(engine=MediaEngine.RELAY, mode=MediaMode.ON, ports=PortRange(20_000, 20_999))
    scene.content = catalogue(content().mapping_gateways.values(), media=media)
    scene.exchange._configured = scene.content
    scene.kill(1_000, then_ms=1_500)
    ports = sorted(port_of(each.theirs) for each in (call, there))
    spared = {each for host, each in relay.spared if host == SWITCH.host}
    assert spared >= {PortRange(SWITCH.port, SWITCH.port), PortRange(20_000, 20_999)}
    assert PortRange(ports[0], ports[-1] + 1) in spared, "one range, however many calls there are"
    scene.hang_up(call, wait_ms=1_000)


def test_a_call_of_another_engine_is_offered_ports_of_the_one_that_runs(tmp_path):
    engines = VirtualRtpEngines()
    scene = KilledScene(tmp_path, content(), relay=VirtualRelay())
    call, _ = scene.talk()
    scene.exchange._relay, scene.exchange._rtpengines = None, engines
    scene.kill(1_000, then_ms=1_500)
    before = len(scene.wire.packets)
    scene.propose(call, "a=sendonly")
    (offer,) = (packet.data for packet in scene.wire.packets[before:] if packet.data.startswith(b"INVITE sip:203."))
    assert media_of(offer.partition(b"\r\n\r\n")[2])[0].host == HOSTS["one"]
    assert f"IN IP4 {SWITCH.host}\r\ns=".encode() in offer, "the origin of a session stays (RFC 3264 section 8)"
