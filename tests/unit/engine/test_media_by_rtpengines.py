"""Media of calls on virtual time by rtpengines: descriptions wait for ports, and calls survive the loss of one."""

import json
from collections import Counter
from itertools import cycle

import pytest
from doubles.announcing import sound
from doubles.data.builders import catalogue, mapping_gateway, phone
from doubles.data.odd_sessions import ODD, written
from doubles.data.sessions import follows, revised, with_ice
from doubles.keypad_scene import TARGET, keypad_scene, press, talking
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import ANSWER, OFFER
from doubles.virtual.customer import SUPPORTS_100REL, Intent
from doubles.virtual.pooled_rtpengines import PooledRtpEngines
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.rtpengines import HOSTS, HOSTS_6, VirtualRtpEngines
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, vendor_gateway
from doubles.virtual.side import Reply
from doubles.virtual.vendor import RINGS, Line, Script, answers, refuses
from structlog.testing import capture_logs

from vosd.base.nat import Nat
from vosd.engine.calls.established import Established
from vosd.engine.media.moves import MOVES_AT_ONCE
from vosd.media.figures import PortFigures
from vosd.media.opinion import mean_opinion
from vosd.media.rtpengine_orders import (
    RtpAnswer,
    RtpBlock,
    RtpOffer,
    RtpPeerFigures,
    RtpPeerReports,
    RtpReply,
    RtpUnblock,
)
from vosd.media.sounds import Sound
from vosd.sdp.media import SessionFault, media_of
from vosd.sdp.security import Protection, protection_of
from vosd.trunks.dialect import CalleeDialect
from vosd.trunks.dids import Did
from vosd.trunks.media import (
    Encryption,
    IceMode,
    MediaEngine,
    MediaFallback,
    MediaMode,
    MediaParameters,
    MediaSettings,
    MediaTrust,
)
from vosd.trunks.ringing import RingOrder

OTHER_ANSWER = ANSWER.replace("192.0.2.20", "192.0.2.30")


def scene_with(engines=None, *, vendors=1, relay=None, fallback=MediaFallback.REFUSE, **settings):
    engines = engines or VirtualRtpEngines()
    media = MediaSettings(**settings)
    trunks = [
        mapping_gateway("acme", f"{CUSTOMER.host}/32", media=media),
        *(vendor_gateway(index, media=media) for index in range(vendors)),
    ]
    parameters = MediaParameters(engine=MediaEngine.RTPENGINE, mode=MediaMode.ON, fallback=fallback)
    return Scene(catalogue(trunks, media=parameters), rtpengines=engines, relay=relay), engines


def place(session):
    medium = media_of(session.encode())[0]
    return medium.host, medium.port


def kinds(engines):
    """Return the descriptions that an rtpengine was asked about: offers or answers, by whose numbers in which order."""
    numbers = {}
    for each in engines.sessions:
        for tag in (each.author, each.reader):
            numbers.setdefault(tag, len(numbers))
    return [(type(each), numbers[each.author], numbers[each.reader]) for each in engines.sessions]


def hear(scene, engines, *sessions):
    """Let a packet come to the ports that were told in these descriptions."""
    for session in sessions:
        port = place(session)[1]
        engines.packets[port] = engines.packets.get(port, 0) + 1
        engines.last_packet_s[port] = scene.exchange.clock.now().wall // 1_000


def test_both_sides_are_told_ports_of_one_rtpengine():
    scene, engines = scene_with()
    call, there = scene.talk()
    assert place(there.theirs)[0] == place(call.theirs)[0] == HOSTS["one"]
    assert kinds(engines) == [(RtpOffer, 0, 1), (RtpAnswer, 0, 1)]
    record = scene.finish(call)
    assert engines.calls == {}
    assert len(engines.forgotten) == 1
    media = json.loads(record.media)
    assert (media["engine"], media["legs"]["caller"]["address"]) == ("rtpengine", "192.0.2.10:20000")
    assert media["legs"]["caller"]["lost_percent"] is None


def test_the_record_has_the_codec_and_the_figures_that_an_rtpengine_was_asked_for():
    scene, engines = scene_with()
    call, there = scene.talk()
    caller_port, callee_port = place(there.theirs)[1], place(call.theirs)[1]
    ports = sorted(next(iter(engines.calls.values())).items())
    engines.packets = {port: 500 for _, each in ports for port in each}
    seen_at = scene.exchange.clock.now().wall // 1_000
    engines.last_packet_s = dict.fromkeys(engines.packets, seen_at)
    engines.reports = {callee_port: RtpPeerReports(5, RtpPeerFigures(40_000, 10, 11, samples=3))}
    for _ in range(60):
        scene.wire.run_for(100)
        scene.exchange.poll_rtpengines()
    scene.wire.run_for(1_000)
    legs = json.loads(scene.finish(call).media)["legs"]
    caller, callee = legs["caller"], legs["callee"]
    heard, silent = (caller, callee) if caller["peer"] else (callee, caller)
    assert caller_port != callee_port
    assert heard["peer"] == {"lost_percent": 11.0, "jitter_ms": 10.0}
    assert (heard["round_trip_ms"], silent["round_trip_ms"], silent["peer"]) == (40.0, None, None)
    assert (heard["mos"], silent["mos"]) == (None, mean_opinion("PCMU", 500, 11, 10, 40))
    for each in (caller, callee):
        assert (each["codec"], each["packets_in"]) == ("PCMU", 500)
        assert each["first_at"] == each["last_at"] is not None
        assert each["lost_percent"] is each["jitter_ms"] is each["packets_out"] is None


def test_an_answer_that_waited_is_journalled_in_the_short_form_with_the_ports_that_came():
    scene, _ = scene_with()
    call, there = scene.talk()
    (kept,) = scene.exchange.sink.open.values()
    written = Established.read(kept.established)
    assert kept.saved == b""
    for media, told in ((written.caller_media, call.theirs), (written.callee_media, there.theirs)):
        assert (media.ports[0].host, media.ports[0].rtp) == place(told)
    assert written.callee_media.sources[0].rtp == place(ANSWER)[1]
    scene.finish(call)


def blocked(engines) -> list[int]:
    """Return which legs are blocked, in the order in which an rtpengine was told of them."""
    numbers = {}
    for each in engines.sessions:
        for tag in (each.author, each.reader):
            numbers.setdefault(tag, len(numbers))
    return sorted(numbers[tag] for *_, tag in engines.blocked)


@pytest.mark.parametrize("names_late", [False, True])
def test_nothing_is_forwarded_from_the_port_of_a_side_that_has_not_described_its_media(names_late):
    """An rtpengine would take any source there."""
    scene, engines = scene_with(vendors=2)
    engines.names_late = names_late
    scene.vendor.script = Script((Line(0, 180), Line(500, 183, ANSWER), Line(1_000, 503)))
    scene.vendors[1].script = Script((Line(0, 180), Line(500, 200, OTHER_ANSWER)))
    call = scene.begun_call(after_ms=300)
    assert blocked(engines) == [1]
    scene.wire.run_for(400)
    assert blocked(engines) == []
    scene.wire.run_for(500)
    assert blocked(engines) == [1, 2]
    scene.await_answer(call, talk_ms=1_000)
    assert blocked(engines) == [1], "the vendor that has refused is not heard in the call"
    scene.finish(call)


def blocks(engines):
    """Return how often rtpengines were told to block each leg."""
    return Counter(each.leg for each in engines.orders if isinstance(each, RtpBlock))


def test_a_vendor_that_has_refused_is_blocked_before_the_next_one_may_talk_and_again_where_that_failed():
    scene, engines = scene_with(vendors=2)
    reply, refused = engines._reply, []

    def refuse_later(engine, order):
        if isinstance(order, RtpBlock) and blocks(engines)[order.leg] and not refused:
            refused.append(order)
            return RtpReply("error")
        return reply(engine, order)

    engines._reply = refuse_later
    scene.vendor.script = Script((Line(0, 183, ANSWER), Line(500, 503)))
    scene.vendors[1].script = Script((Line(0, 200, OTHER_ANSWER),))
    call = scene.answered_call(talk_ms=1_000)
    for _ in range(10):
        scene.poll_rtpengines(wait_ms=1_000)
    assert len(refused) == 1
    assert blocked(engines) == [1]
    scene.finish(call)


def test_a_call_of_two_sides_that_ends_blocks_neither():
    scene, engines = scene_with()
    call, _ = scene.talk()
    before = blocks(engines)
    scene.finish(call)
    assert blocks(engines) == before


def test_a_leg_that_the_process_before_has_left_at_an_rtpengine_is_blocked():
    scene, engines = scene_with()
    call, _ = scene.talk()
    (legs,) = engines.calls.values()
    legs["999"] = [50_000]
    for _ in range(10):
        scene.poll_rtpengines(wait_ms=1_000)
    assert [tag for *_, tag in engines.blocked] == ["999"]
    assert blocks(engines)["999"] == 1
    scene.finish(call)


@pytest.mark.parametrize("names_late", [False, True])
def test_of_telephones_that_ring_together_the_one_is_heard_that_has_described_its_media_last(names_late):
    names, engines = ("7001", "7002"), VirtualRtpEngines()
    engines.names_late = names_late
    parameters = MediaParameters(engine=MediaEngine.RTPENGINE, mode=MediaMode.ON)
    did = Did(CALLEE, "acme", phones=names, ring=RingOrder.TOGETHER)
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32")]
    scene = Scene(
        catalogue(known, phones=[phone(name) for name in names], dids=[did], media=parameters), rtpengines=engines
    )
    scripts = (
        Script((Line(500, 183, ANSWER), Line(4_000, 200, ANSWER))),
        Script((Line(1_500, 183, OTHER_ANSWER), Line(9_000, 486))),
    )
    for index, (name, script) in enumerate(zip(names, scripts, strict=True)):
        scene.exchange.telephone(name, Endpoint("203.0.113.66", 40_000 + index), script=script).register()
    call = scene.begun_call(after_ms=1_000)
    assert blocked(engines) == [2]
    scene.wire.run_for(1_000)
    assert blocked(engines) == [1]
    scene.await_answer(call, talk_ms=2_000)
    assert blocked(engines) == [2]
    scene.finish(call)


@pytest.mark.parametrize("music", ["", "busy"])
@pytest.mark.parametrize("answers_with", [200, 486])
def test_a_side_that_transfers_is_heard_no_more_once_its_target_talks(answers_with, music):
    engines = VirtualRtpEngines()
    parameters = MediaParameters(engine=MediaEngine.RTPENGINE, mode=MediaMode.ON, music_on_hold=music)
    sounds = {"busy": Sound("busy", sound("busy").by_codec, "/srv/busy.wav")}
    scene = keypad_scene(parameters={"media": parameters, "sounds": sounds}, rtpengines=engines)
    lines = (Line(1_000, 183, OTHER_ANSWER), Line(3_000, answers_with, OTHER_ANSWER if answers_with == 200 else ""))
    scene.vendor.by_number = {TARGET: Script(lines)}
    call = talking(scene)
    (caller,) = {int(each.author) for each in engines.sessions}
    if music:
        scene.propose(call, "a=sendonly")
    call.ask("REFER", headers=[f"Refer-To: <sip:{TARGET}@192.0.2.1>"])

    def is_heard():
        return str(caller) not in {tag for *_, tag in engines.blocked}

    scene.wire.run_for(2_000)
    assert is_heard() is not bool(music), "its target is heard by the other side in place of music"
    scene.wire.run_for(4_000)
    assert is_heard() is (answers_with == 486 and not music)
    if answers_with == 486:
        scene.propose(call, "a=sendrecv")
        assert is_heard()
        call.hang_up()
    else:
        scene.vendor.calls[0].hang_up()
    scene.expect_nothing_left()
    assert engines.calls == {}


def test_a_side_whose_media_could_not_be_let_through_is_tried_again():
    scene, engines = scene_with()
    reply, refused = engines._reply, []

    def refuse_once(engine, order):
        if isinstance(order, RtpUnblock) and not refused:
            refused.append(order)
            return RtpReply("error")
        return reply(engine, order)

    engines._reply = refuse_once
    call, _ = scene.talk()
    assert blocked(engines) == [1]
    scene.poll_rtpengines()
    assert blocked(engines) == []
    scene.finish(call)


def test_a_side_that_describes_its_media_while_its_leg_is_named_is_heard():
    scene, engines = scene_with()
    engines.names_late = True
    scene.vendor.script = Script((Line(0, 200, ANSWER),))
    call = scene.answered_call(talk_ms=1_000)
    assert (blocked(engines), blocks(engines).total()) == ([], 2)
    scene.finish(call)


def test_a_leg_that_cannot_be_named_is_named_again_while_it_rings():
    scene, engines = scene_with()
    reply, lost = engines._reply, []

    def refuse_once(engine, order):
        if isinstance(order, RtpAnswer) and not lost:
            lost.append(order)
            return RtpReply("error")
        return reply(engine, order)

    engines._reply, engines.names_late = refuse_once, True
    scene.vendor.script = Script((Line(0, 180), Line(9_000, 486)))
    call = scene.begun_call(after_ms=500)
    assert (len(lost), blocked(engines)) == (1, [])
    for _ in range(6):
        scene.poll_rtpengines(wait_ms=1_000)
    assert blocked(engines) == [1]
    scene.wire.run_until(lambda: call.final == 486)
    scene.close()


@pytest.mark.parametrize("describes", [True, False])
def test_a_port_that_could_not_be_blocked_is_tried_again_unless_its_side_is_described(describes):
    scene, engines = scene_with()
    reply, refused = engines._reply, []

    def refuse_once(engine, order):
        if isinstance(order, RtpBlock) and not refused:
            refused.append(order)
            return RtpReply("error")
        return reply(engine, order)

    engines._reply = refuse_once
    scene.vendor.script = Script((Line(0, 180), *([Line(300, 183, ANSWER)] if describes else []), Line(9_000, 486)))
    call = scene.begun_call(after_ms=500)
    assert blocked(engines) == []
    for _ in range(6):
        scene.poll_rtpengines(wait_ms=1_000)
    assert blocked(engines) == ([] if describes else [1])
    scene.wire.run_until(lambda: call.final == 486)
    scene.close()


def test_a_side_is_heard_whose_port_is_blocked_late_because_the_order_was_lost_at_first():
    scene, engines = scene_with()
    ask, late = engines.ask, []

    def ask_late(order, done, **where):
        if isinstance(order, RtpBlock):
            late.append(lambda: ask(order, done, **where))
            return ""
        return ask(order, done, **where)

    engines.ask = ask_late
    call, _ = scene.talk()
    assert len(late) == 1
    late[0]()
    assert blocked(engines) == [1]
    scene.wire.run_for(100)
    assert blocked(engines) == []
    scene.finish(call)


def test_the_next_vendor_is_a_leg_of_the_same_call_and_the_caller_keeps_its_port():
    scene, engines = scene_with(vendors=2)
    scene.vendor.script = Script((Line(0, 183, ANSWER), Line(500, 503)))
    scene.vendors[1].script = Script((Line(0, 200, OTHER_ANSWER),))
    call = scene.answered_call(talk_ms=1_000)
    early, last = (place(response.body) for response in call.responses if response.body)
    assert early == last
    assert len(engines.calls) == 1
    assert kinds(engines) == [(RtpOffer, 0, 1), (RtpAnswer, 0, 1), (RtpOffer, 0, 2), (RtpAnswer, 0, 2)]
    scene.finish(call)
    assert engines.calls == {}


def test_a_hold_and_a_new_offer_of_the_other_side_are_offers_of_their_authors():
    scene, engines = scene_with()
    call, there = scene.talk()
    before = place(there.theirs), place(call.theirs)
    scene.propose(call, "a=sendonly")
    scene.propose(there)
    assert kinds(engines)[2:] == [(RtpOffer, 0, 1), (RtpAnswer, 0, 1), (RtpOffer, 1, 0), (RtpAnswer, 1, 0)]
    assert (place(there.theirs), place(call.theirs)) == before
    scene.finish(call)


def test_a_caller_leaves_its_rtpengine_when_a_vendor_answers_that_is_not_relayed():
    engines = VirtualRtpEngines()
    trunks = [
        mapping_gateway("acme", f"{CUSTOMER.host}/32"),
        vendor_gateway(0),
        vendor_gateway(1, media=MediaSettings(mode=MediaMode.OFF)),
    ]
    media = MediaParameters(engine=MediaEngine.RTPENGINE, mode=MediaMode.ON)
    scene = Scene(catalogue(trunks, media=media), rtpengines=engines)
    scene.vendor.script = Script((Line(0, 183, ANSWER), Line(500, 503)))
    scene.vendors[1].script = Script((Line(0, 200, OTHER_ANSWER),))
    call = scene.answered_call()
    assert place(call.response(183).body)[0] == HOSTS["one"]
    assert place(call.theirs) == place(OTHER_ANSWER)
    scene.wire.run_for(100)
    assert engines.calls == {}
    assert scene.finish(call).media is None


def in_version_6(session):
    return session.replace("c=IN IP4 192.0.2.", "c=IN IP6 2001:db8::")


def test_a_caller_gets_a_port_of_the_family_of_its_media_whatever_that_of_its_sip_is():
    scene, engines = scene_with()
    call, there = scene.talk(Intent(offer=in_version_6(OFFER)))
    assert (place(call.theirs)[0], place(there.theirs)[0]) == (HOSTS_6["one"], HOSTS["one"])
    assert engines.ignored == []
    scene.finish(call)


@pytest.mark.parametrize("host", ["fd00::10", "::"])
def test_a_family_in_which_a_caller_cannot_be_reached_leaves_that_of_its_sip(host):
    scene, engines = scene_with()
    call, _ = scene.talk(Intent(offer=OFFER.replace("IP4 192.0.2.10", f"IP6 {host}")))
    assert place(call.theirs)[0] == HOSTS["one"]
    assert len(engines.sessions) == 2
    scene.finish(call)


@pytest.mark.parametrize("status", [200, 488])
def test_a_side_that_comes_to_another_family_gets_a_port_of_it_at_an_rtpengine(status):
    """An rtpengine ignores the place of a party whose port is of another family, and both were silent to the end."""
    scene, engines = scene_with()
    call, there = scene.talk()
    before = call.theirs
    there.will("INVITE", Reply(status))
    call.ask("INVITE", body=revised(in_version_6(OFFER)))
    scene.wire.run_for(1_000)
    if status == 200:
        assert place(call.theirs)[0] == HOSTS_6["one"]
        assert follows(before, call.theirs), "the next version of the same origin"
        call.ask("INVITE", body=revised(revised(in_version_6(OFFER))))  # a refresh turns nothing
        scene.wire.run_for(1_000)
        assert len(engines.sessions) == 2 + 3 + 2
    else:
        assert call.theirs == before
    call.ask("INVITE", body=revised(revised(revised(OFFER))))
    scene.wire.run_for(1_000)
    assert place(call.theirs)[0] == HOSTS["one"]
    assert engines.ignored == []
    scene.finish(call)
    assert engines.calls == {}


def test_a_side_that_comes_to_a_family_of_which_an_rtpengine_has_no_address_is_refused(monkeypatch):
    monkeypatch.setitem(HOSTS_6, "one", HOSTS["one"])
    scene, _ = scene_with()
    call, there = scene.talk()
    before = call.theirs
    answer = call.ask("INVITE", body=revised(in_version_6(OFFER)))
    scene.wire.run_for(2_000)
    assert (answer.final and answer.final.status, there.asked.get("INVITE"), call.theirs) == (488, None, before)
    assert not call.is_over
    scene.finish(call)


def test_a_caller_of_a_family_of_which_no_rtpengine_has_an_address_is_refused(monkeypatch):
    """It got an address of the other one, and its call was answered and charged without a sound."""
    for name in HOSTS:
        monkeypatch.setitem(HOSTS_6, name, HOSTS[name])
    scene, engines = scene_with(PooledRtpEngines())
    call = scene.caller.call(CALLEE, Intent(offer=in_version_6(OFFER)))
    scene.wire.run_until(lambda: call.final == 503)
    scene.wire.run_for(3_000)
    record = scene.close()
    assert (record.billed_seconds, record.vendor_billed_seconds) == (0, 0)
    assert engines.calls == {}


@pytest.mark.parametrize("media", [ANSWER, in_version_6(ANSWER)], ids=["both families", "one family"])
def test_a_vendor_may_take_media_of_the_other_family_than_its_sip_has(media, monkeypatch):
    """It gets ports of the other family where no rtpengine has its own one, and says by its answer whether it can."""
    for name in HOSTS:
        monkeypatch.setitem(HOSTS_6, name, HOSTS[name])
    monkeypatch.setattr("doubles.virtual.scene.VENDORS", (Endpoint("2001:db8:5::1", 5060), *VENDORS[1:]))
    scene, engines = scene_with(PooledRtpEngines())
    call = scene.settled_call(script=Script((Line(0, 200, media),)))
    scene.wire.run_for(3_000)
    if media == ANSWER:
        assert (call.final, place(call.theirs)[0]) == (200, HOSTS["two"])
        scene.finish(call)
    else:
        assert call.final == 503
        record = scene.close()
        assert (record.billed_seconds, record.vendor_billed_seconds) == (0, 0)
    assert engines.calls == {}


def test_the_next_vendor_gets_the_call_where_one_answers_with_a_family_that_no_rtpengine_has(monkeypatch):
    for name in HOSTS:
        monkeypatch.setitem(HOSTS_6, name, HOSTS[name])
    monkeypatch.setattr("doubles.virtual.scene.VENDORS", (Endpoint("2001:db8:5::1", 5060), *VENDORS[1:]))
    scene, engines = scene_with(PooledRtpEngines(), vendors=2)
    scene.vendors[0].script = Script((Line(0, 183, in_version_6(ANSWER)), Line(1_000, 200, in_version_6(ANSWER))))
    scene.vendors[1].script = Script((Line(0, 200, ANSWER),))
    call = scene.answered_call()
    assert place(call.theirs)[0] in HOSTS.values()
    record = scene.finish(call)
    assert [(row.gateway, row.code, row.reason) for row in record.attempts] == [
        ("vendor-0", 200, "No Media Port"),
        ("vendor-1", 200, "Answered"),
    ]
    assert engines.calls == {}


def test_a_vendor_gets_ports_of_the_other_family_where_the_next_rtpengine_is_full(monkeypatch):
    for name in HOSTS:
        monkeypatch.setitem(HOSTS_6, name, HOSTS[name])
    monkeypatch.setattr("doubles.virtual.scene.VENDORS", (Endpoint("2001:db8:5::1", 5060), *VENDORS[1:]))
    scene, engines = scene_with(PooledRtpEngines())
    engines.full.add("two")
    scene.vendor.script = Script((Line(0, 200, ANSWER),))
    call, _ = scene.talk()
    assert place(call.theirs)[0] == HOSTS["one"]
    scene.finish(call)
    assert engines.calls == {}


@pytest.mark.parametrize("zero", ["IP4 0.0.0.0", "IP6 ::"])
def test_a_caller_on_hold_from_the_start_has_no_family_that_an_rtpengine_can_lack(zero, monkeypatch):
    """Third party call control begins so (RFC 3725 flow I): its next offer says the family, here that of the ports."""
    for name in HOSTS:
        monkeypatch.setitem(HOSTS, name, HOSTS_6[name])
    scene, engines = scene_with(PooledRtpEngines())
    scene.vendor.script = Script((Line(0, 200, in_version_6(ANSWER)),))
    call, _ = scene.talk(Intent(offer=OFFER.replace("IP4 192.0.2.10", zero)))
    answer = call.ask("INVITE", body=revised(in_version_6(OFFER)))
    scene.wire.run_for(3_000)
    assert (answer.final and answer.final.status, place(call.theirs)[0]) == (200, HOSTS_6["one"])
    scene.finish(call)
    assert engines.calls == {}


@pytest.mark.parametrize("zero", ["IP4 0.0.0.0", "IP6 ::"])
@pytest.mark.parametrize("side", ["caller", "vendor"])
def test_a_side_on_hold_from_the_start_gets_a_port_of_the_family_that_it_describes_first(side, zero):
    scene, engines = scene_with(PooledRtpEngines())
    offer, answer = OFFER, ANSWER
    if side == "caller":
        offer = OFFER.replace("IP4 192.0.2.10", zero)
    else:
        answer = ANSWER.replace("IP4 192.0.2.20", zero)
    scene.vendor.script = Script((Line(0, 200, answer),))
    call, there = scene.talk(Intent(offer=offer))
    party, own = (call, OFFER) if side == "caller" else (there, ANSWER)
    assert place(party.theirs)[0] == HOSTS["one"]
    answer = party.ask("INVITE", body=revised(in_version_6(own)))
    scene.wire.run_for(3_000)
    assert (answer.final and answer.final.status, place(party.theirs)[0]) == (200, HOSTS_6["one"])
    assert engines.ignored == []
    scene.finish(call)


def test_a_side_on_hold_from_the_start_that_answers_with_the_other_family_than_its_port_has_ends_the_call():
    """An rtpengine ignores such an address: both would be silent, and the caller would pay."""
    scene, engines = scene_with(PooledRtpEngines())
    scene.vendor.script = Script((Line(0, 200, ANSWER.replace("IP4 192.0.2.20", "IP4 0.0.0.0")),))
    call, there = scene.talk()
    there.will("INVITE", Reply(200, revised(in_version_6(ANSWER))))
    scene.propose(call, wait_ms=3_000)
    assert call.is_over
    assert scene.close().end_reason == "No Media Port"
    assert engines.calls == {}


def nat_scene(source):
    """Return a scene with a vendor behind NAT whose media are believed from there, and which describes IPv6."""
    engines = PooledRtpEngines()
    trunks = [
        mapping_gateway("acme", f"{CUSTOMER.host}/32"),
        vendor_gateway(0, dialect=CalleeDialect(nat=Nat.YES), media=MediaSettings(source=source)),
    ]
    parameters = MediaParameters(engine=MediaEngine.RTPENGINE, mode=MediaMode.ON, fallback=MediaFallback.REFUSE)
    scene = Scene(catalogue(trunks, media=parameters), rtpengines=engines)
    scene.vendor.script = Script((Line(0, 200, in_version_6(ANSWER)),))
    return scene


@pytest.mark.parametrize("source", [MediaTrust.LEARN, MediaTrust.ANY])
def test_a_vendor_behind_nat_is_reached_at_the_address_of_its_sip_whatever_family_it_describes(source):
    scene = nat_scene(source)
    call, _ = scene.talk()
    assert place(call.theirs)[0] == HOSTS["one"]
    scene.finish(call)


def test_a_vendor_behind_nat_that_is_believed_by_its_description_alone_is_not_reached_at_that_of_its_sip():
    """A real rtpengine ignores an address of the other family: the call was answered and charged without a sound."""
    scene = nat_scene(MediaTrust.SDP)
    call = scene.settled_call()
    scene.wire.run_for(3_000)
    record = scene.close()
    assert (call.final, record.billed_seconds, record.vendor_billed_seconds) == (503, 0, 0)


def test_an_offer_that_comes_in_the_answer_is_the_vendors():
    scene, engines = scene_with()
    call, there = scene.talk(Intent(offer=""))
    assert kinds(engines) == [(RtpOffer, 0, 1), (RtpAnswer, 0, 1)]
    assert place(call.theirs)[0] == place(there.theirs)[0] == HOSTS["one"]
    scene.finish(call)


@pytest.mark.parametrize("script", [refuses(486), Script((Line(0, 180),))])
def test_a_call_that_is_not_answered_leaves_nothing(script):
    scene, engines = scene_with()
    call = scene.begun_call(Intent(cancel_after_ms=2_000), script=script)
    scene.wire.run_until(lambda: call.final in {486, 487})
    scene.close()
    assert engines.calls == {}


def test_a_call_that_is_cancelled_while_its_invite_waits_is_withdrawn():
    scene, engines = scene_with(VirtualRtpEngines(after_ms=500))
    call = scene.caller.call(CALLEE, Intent(cancel_after_ms=200))
    scene.wire.run_until(lambda: call.final == 487)
    scene.wire.run_for(3_000)
    assert (engines.withdrawn, len(engines.sessions), engines.calls) == (1, 1, {})
    assert scene.vendor.calls == []
    scene.close()


@pytest.mark.parametrize(("is_full", "cancel_after_ms"), [(False, 320), (True, 60)])
def test_a_call_that_is_cancelled_while_the_next_rtpengine_is_asked_leaves_nothing_there(is_full, cancel_after_ms):
    engines = PooledRtpEngines(after_ms=40)
    scene, _ = scene_with(engines)
    (engines.full if is_full else engines.silent).add("one")
    call = scene.caller.call(CALLEE, Intent(cancel_after_ms=cancel_after_ms))
    scene.wire.run_until(lambda: call.final == 487)
    scene.wire.run_for(3_000)
    assert scene.vendor.calls == []
    assert engines.withdrawn == 1
    assert len(engines.sessions) == 1
    assert (engines.calls, [name for name, _ in engines.forgotten]) == ({}, ["two"])
    scene.close()


@pytest.mark.parametrize("asks_for_an_offer", [False, True])
@pytest.mark.parametrize("side", ["caller", "callee"])
def test_a_call_whose_rtpengine_is_silent_between_an_offer_and_its_answer_ends_for_want_of_ports(
    side, asks_for_an_offer
):
    scene, engines = scene_with()
    call, there = scene.talk()
    party, other = (call, there) if side == "caller" else (there, call)
    other.will("INVITE", Reply(after_ms=300))
    answer = party.ask("INVITE", body="" if asks_for_an_offer else revised(party.mine))
    scene.wire.run_for(200)
    engines.is_silent = True
    scene.wire.run_for(3_000)
    assert answer.final.status >= 500
    assert call.is_over
    assert there.is_over
    record = scene.close()
    assert (record.end_reason, record.hangup_source) == ("No Media Port", "switch")


@pytest.mark.parametrize("end", ["target", "join"])
@pytest.mark.parametrize("is_lost", [True, False])
def test_sides_that_are_connected_while_their_rtpengine_is_silent_are_once_its_loss_is_noticed(is_lost, end):
    engines = VirtualRtpEngines()
    media = MediaParameters(engine=MediaEngine.RTPENGINE, mode=MediaMode.ON)
    scene = keypad_scene(parameters={"media": media}, rtpengines=engines)
    scene.vendor.by_number = {TARGET: answers(500, body=OTHER_ANSWER)}
    call = talking(scene)
    press(scene, call, f"*2{TARGET}#")
    scene.wire.run_for(2_000)
    party, target = scene.vendor.calls
    engines.is_silent = True
    leaving, other = (call, target) if end == "join" else (target, call)
    leaving.hang_up()
    scene.wire.run_for(4_500)
    assert not party.is_over
    assert not other.is_over
    if is_lost:
        engines.is_silent = False
        engines.lose("one")
    for _ in range(8):
        scene.poll_rtpengines(wait_ms=1_000)
    assert party.is_over == other.is_over == (not is_lost)
    if is_lost:
        assert {place(side.theirs)[0] for side in (party, other)} == {HOSTS["two"]}
        assert len(engines.heard()) == 2
        party.hang_up()
        scene.wire.run_for(1_000)
    ends = [record.end_reason for record in scene.exchange.sink.records]
    assert sorted(ends) == ["Normal" if is_lost else "No Media Port", "Normal"]


@pytest.mark.parametrize("is_there", [True, False])
def test_without_an_answer_a_call_is_refused(is_there):
    engines = VirtualRtpEngines()
    if is_there:
        engines.is_silent = True
    else:
        engines.up = dict.fromkeys(engines.up, False)
    scene, _ = scene_with(engines)
    call = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: call.final == 503)
    record = scene.close()
    assert record.end_reason == "No Media Port"


def test_without_an_rtpengine_the_relay_takes_over_where_that_is_wanted():
    engines, relay = VirtualRtpEngines(), VirtualRelay()
    engines.up = dict.fromkeys(engines.up, False)
    scene, _ = scene_with(engines, relay=relay, fallback=MediaFallback.RELAY)
    call, there = scene.talk()
    assert place(there.theirs)[0] == place(call.theirs)[0] == "192.0.2.1"
    engines.up["one"] = True
    scene.propose(call, "a=sendonly")
    assert engines.sessions == [], "a call stays where it is"
    record = scene.finish(call)
    assert json.loads(record.media)["engine"] == "relay"
    assert relay.open_ports == {}


def test_silence_ends_a_call_once_it_is_certain():
    scene, engines = scene_with(timeout_ms=10_000)
    call, there = scene.talk()
    for _ in range(3):
        hear(scene, engines, call.theirs, there.theirs)
        scene.poll_rtpengines(wait_ms=5_000)
    assert not call.is_over
    for _ in range(5):
        scene.poll_rtpengines(wait_ms=5_000)
    assert call.is_over
    record = scene.close()
    assert (record.end_reason, record.hangup_source) == ("No Media", "switch")
    assert json.loads(record.media)["legs"]["caller"]["packets_in"] == 3


def test_packets_that_came_since_the_figures_were_asked_for_keep_a_call():
    """They are 12 s old when the time is over: what came since then is not known."""
    scene, engines = scene_with(timeout_ms=10_000)
    call, there = scene.talk()
    hear(scene, engines, call.theirs, there.theirs)
    scene.poll_rtpengines(wait_ms=7_000)
    hear(scene, engines, call.theirs, there.theirs)
    scene.poll_rtpengines(wait_ms=8_000)
    assert not call.is_over
    scene.finish(call)


def test_calls_of_one_that_is_lost_are_moved_by_offers_to_both_sides():
    scene, engines = scene_with()
    call, there = scene.talk()
    engines.lose("one")
    for _ in range(8):
        scene.poll_rtpengines(wait_ms=500)
    assert place(there.theirs)[0] == place(call.theirs)[0] == HOSTS["two"]
    ((engine, _),) = engines.calls
    assert engine == "two"
    assert kinds(engines)[2:] == [(RtpOffer, 1, 0), (RtpOffer, 0, 1)]
    scene.wire.run_for(5_000)
    scene.finish(call)
    assert engines.calls == {}


def test_silence_is_counted_anew_at_the_next_one_and_packets_go_on():
    scene, engines = scene_with(timeout_ms=20_000)
    call, there = scene.talk()
    for _ in range(3):
        hear(scene, engines, call.theirs, there.theirs)
        scene.poll_rtpengines(wait_ms=5_000)
    engines.lose("one")
    for _ in range(12):
        scene.poll_rtpengines(wait_ms=1_000)
        hear(scene, engines, call.theirs, there.theirs)
    scene.wire.run_for(8_000)
    assert not call.is_over
    scene.poll_rtpengines()
    packets = json.loads(scene.finish(call).media)["legs"]["caller"]["packets_in"]
    assert 10 <= packets <= 15


def test_a_call_that_ends_while_it_is_moved_is_forgotten():
    scene, engines = scene_with()
    call, _ = scene.talk()
    engines.lose("one")
    scene.finish(call)
    for _ in range(3):
        scene.exchange.poll_rtpengines()
    assert engines.calls == {}


def test_a_call_that_loses_the_next_one_as_well_is_moved_again():
    scene, engines = scene_with()
    call, there = scene.talk()
    engines.lose("one")
    scene.poll_rtpengines(wait_ms=200)
    engines.lose("two")
    engines.up["one"] = True
    for _ in range(12):
        scene.poll_rtpengines(wait_ms=500)
    ((engine, _),) = engines.calls
    assert engine == "one"
    ports = engines.calls[engine, next(iter(engines.calls))[1]].values()
    assert {place(call.theirs)[1], place(there.theirs)[1]} == {port for each in ports for port in each}
    scene.finish(call)


@pytest.mark.parametrize("offers", ["call", "target"])
@pytest.mark.parametrize("times", [1, 2])
def test_a_side_that_waits_while_its_rtpengine_starts_anew_is_at_its_ports_when_the_consultation_ends(offers, times):
    """The two who consult are at that rtpengine again before the side that waits, which has no part of their call."""
    engines = VirtualRtpEngines()
    parameters = MediaParameters(engine=MediaEngine.RTPENGINE, mode=MediaMode.ON)
    scene = keypad_scene(parameters={"media": parameters}, rtpengines=engines)
    call = talking(scene)
    party = scene.vendor.only_call
    press(scene, call, f"*2{TARGET}#")
    scene.wire.run_for(1_000)
    target = scene.vendor.calls[-1]
    for _ in range(times):
        engines.lose("one")
        engines.up |= {"one": True, "two": False}
        for _ in range(10):
            scene.poll_rtpengines(wait_ms=500)
    side = {"call": call, "target": target}[offers]
    scene.propose(side, "a=sendonly")
    scene.propose(side)
    press(scene, call, "*0")
    for _ in range(10):
        scene.poll_rtpengines(wait_ms=500)
    assert target.is_over
    open_ports = {port for legs in engines.calls.values() for ports in legs.values() for port in ports}
    assert {place(each.theirs)[1] for each in (call, party)} <= open_ports
    scene.expect_nothing_left(call)


def test_calls_move_to_the_relay_where_no_other_works_and_that_is_wanted():
    relay = VirtualRelay()
    scene, engines = scene_with(relay=relay, fallback=MediaFallback.RELAY)
    call, there = scene.talk()
    engines.up["two"] = False
    engines.lose("one")
    for _ in range(8):
        scene.poll_rtpengines(wait_ms=500)
    assert place(there.theirs)[0] == place(call.theirs)[0] == "192.0.2.1"
    assert {each.source.rtp for each in relay.open_ports.values()} == {20_000, 30_000}
    scene.finish(call)
    assert relay.open_ports == {}


def test_the_record_of_a_call_that_has_moved_has_the_figures_of_both_engines():
    """The relay has measured the loss of its packets alone; silence counts from the move on."""
    relay = VirtualRelay()
    scene, engines = scene_with(relay=relay, fallback=MediaFallback.RELAY, timeout_ms=20_000)
    call, there = scene.talk()
    for _ in range(6):
        hear(scene, engines, call.theirs, there.theirs)
        scene.poll_rtpengines(wait_ms=5_000)
    engines.up["two"] = False
    engines.lose("one")
    for _ in range(24):
        scene.poll_rtpengines(wait_ms=500)
    assert not call.is_over
    port = relay.at(place(call.theirs)[1])
    port.figures = PortFigures(
        port.port.id, "192.0.2.10", 20_000, 0, 190, 50, expected=200, lost=10, jitter_ms=2.5, jitter_max_ms=4.0
    )
    media = json.loads(scene.finish(call).media)
    figures = media["legs"]["caller"]
    assert media["engine"] == "relay"
    assert (figures["packets_in"], figures["packets_out"], figures["lost_percent"]) == (196, 50, 5.0)
    assert (figures["jitter_ms"], figures["latched"]) == (2.5, "192.0.2.10:20000")


def test_a_call_that_does_not_go_on_after_all_leaves_no_figures():
    scene, _ = scene_with()
    scene.talk()
    (live,) = scene.exchange.switch.services.running.all()
    media = scene.exchange.new_media(scene.exchange.node.endpoint.flows.listeners)
    media.calls.resume(live.call, None)
    assert len(scene.exchange.rtp_calls._ports) == 2
    media.moves.add(live.call)
    media.calls.leave(live.call)
    scene.wire.run_for(20)
    assert len(scene.exchange.rtp_calls._ports) == 0
    assert media.counted() == (0, 0)
    assert not media.moves.go_on(scene.exchange.clock.now()), "it is offered no ports"


def test_an_error_with_one_call_keeps_no_other_from_its_new_ports(monkeypatch):
    scene, _ = scene_with()
    first, _ = scene.talk()
    second, _ = scene.talk()
    one, other = scene.exchange.switch.calls()
    moves = scene.exchange.media.moves
    go_on_with, moved = moves._go_on_with, []

    def failing(call, *words):
        if call is one.call:
            raise ValueError(call)
        moved.append(call)
        go_on_with(call, *words)

    monkeypatch.setattr(moves, "_go_on_with", failing)
    moves.add(one.call)
    moves.add(other.call)
    with capture_logs() as lines:
        scene.exchange.poll_rtpengines()
    assert moved == [other.call]
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["call_not_moved"]
    for call in (first, second):
        call.hang_up()
    scene.wire.run_for(1_000)


def test_a_call_goes_on_whose_rtpengine_was_started_anew_while_the_switch_was_away():
    """No ping tells of it: the switch has not known when it was started before."""
    scene, engines = scene_with()
    call, there = scene.talk()
    before = place(call.theirs), place(there.theirs)
    engines.calls.clear()
    for _ in range(10):
        scene.poll_rtpengines(wait_ms=1_000)
    after = place(call.theirs), place(there.theirs)
    assert not set(before) & set(after)
    assert len(engines.calls) == 1
    scene.finish(call)
    assert engines.calls == {}


def test_sides_without_ports_are_not_offered_any_again_and_again():
    """A call is to be moved, and by then its sides were replaced by others whose media are not relayed."""
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    scene = Scene(
        catalogue(trunks, media=MediaParameters(engine=MediaEngine.RTPENGINE)), rtpengines=VirtualRtpEngines()
    )
    call, _ = scene.talk()
    (live,) = scene.exchange.switch.calls()
    moves = scene.exchange.media.moves
    moves.add(live.call)
    for _ in range(10):
        scene.poll_rtpengines(wait_ms=1_000)
    assert not moves.go_on(scene.exchange.clock.now())
    assert scene.bytes_to(CUSTOMER).count(b"INVITE sip:") <= 1
    scene.finish(call)


def test_a_call_that_rings_while_one_is_lost_is_moved_when_it_is_answered():
    scene, engines = scene_with()
    call = scene.begun_call(script=Script((Line(0, 180), Line(5_000, 200, ANSWER))), after_ms=1_000)
    engines.lose("one")
    for _ in range(20):
        scene.poll_rtpengines(wait_ms=500)
    assert call.final == 200
    there = scene.vendor.only_call
    assert place(there.theirs)[0] == place(call.theirs)[0] == HOSTS["two"]
    scene.finish(call)


def test_sides_that_a_transfer_has_joined_are_moved_like_those_of_one_call():
    scene, engines = scene_with()
    scene.vendor.script = Script((Line(0, 200, ANSWER),))
    first, second = (scene.caller.call(CALLEE) for _ in range(2))
    scene.wire.run_until(lambda: first.final == second.final == 200)
    scene.wire.run_for(1_000)
    party, target = scene.vendor.calls
    first.ask("REFER", headers=[f"Refer-To: <sip:1@192.0.2.1?Replaces={second.replaces_in_uri}>"])
    scene.wire.run_for(5_000)
    assert first.is_over
    assert second.is_over
    engines.lose("one")
    for _ in range(20):
        scene.poll_rtpengines(wait_ms=500)
    assert [place(each.theirs)[0] for each in (party, target)] == [HOSTS["two"]] * 2
    assert len(engines.calls) == 1
    assert not scene.exchange.media.moves.go_on(scene.exchange.clock.now())
    scene.hang_up(party, wait_ms=5_000)
    assert engines.calls == {}


def test_a_transfer_from_the_relay_to_an_rtpengine_connects_both_at_the_relay():
    relay = VirtualRelay()
    engines = VirtualRtpEngines()
    media = MediaSettings()
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32", media=media), vendor_gateway(0, media=media)]
    parameters = MediaParameters(engine=MediaEngine.RTPENGINE, mode=MediaMode.ON, fallback=MediaFallback.RELAY)
    scene = Scene(catalogue(trunks, media=parameters), rtpengines=engines, relay=relay)
    scene.vendor.script = Script((Line(0, 200, ANSWER),))
    engines.up = dict.fromkeys(engines.up, False)
    first = scene.answered_call(talk_ms=1_000)
    engines.up["one"] = True
    second = scene.answered_call(talk_ms=1_000)
    party, target = scene.vendor.calls
    assert (place(party.theirs)[0], place(target.theirs)[0]) == ("192.0.2.1", HOSTS["one"])
    first.ask("REFER", headers=[f"Refer-To: <sip:1@192.0.2.1?Replaces={second.replaces_in_uri}>"])
    scene.wire.run_for(5_000)
    assert first.is_over
    assert second.is_over
    both = [relay.at(place(each.theirs)[1]) for each in (party, target)]
    assert place(target.theirs)[0] == place(party.theirs)[0] == "192.0.2.1"
    assert both[0].other == both[1].port
    assert engines.calls == {}
    scene.hang_up(party, wait_ms=3_000)
    assert relay.open_ports == {}


KEY = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:vendor+keyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n"
SEALED_ANSWER = ANSWER.replace("RTP/AVP", "RTP/SAVP") + KEY


def sealed_scene(encryption=Encryption.REQUIRED, *, relay=None, fallback=MediaFallback.REFUSE, **more):
    """A scene whose vendor is encrypted by the rtpengine, and whose customer is not."""
    engines = VirtualRtpEngines()
    sealed = MediaSettings(encryption=encryption, **more)
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0, media=sealed)]
    parameters = MediaParameters(engine=MediaEngine.RTPENGINE, fallback=fallback)
    scene = Scene(catalogue(trunks, media=parameters), rtpengines=engines, relay=relay)
    scene.vendor.script = Script((Line(0, 200, SEALED_ANSWER),))
    return scene, engines


def test_one_side_is_encrypted_by_the_rtpengine_and_the_record_says_which():
    scene, _ = sealed_scene()
    call, there = scene.talk()
    assert protection_of(there.theirs.encode()) is Protection.SDES
    assert protection_of(call.theirs.encode()) is Protection.NONE
    legs = json.loads(scene.finish(call).media)["legs"]
    assert [legs[each]["encryption"] for each in ("caller", "callee")] == [None, "sdes"]


def test_no_vendor_is_asked_for_a_caller_that_has_to_encrypt_and_does_not():
    scene, engines = scene_with(encryption=Encryption.REQUIRED)
    call = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: call.final == 488)
    assert scene.vendor.calls == []
    assert engines.sessions == []
    assert scene.close().end_reason == "No Common Codec"


def test_a_description_that_has_got_no_keys_is_not_sent_to_one_that_has_to_encrypt():
    scene, engines = sealed_scene()
    engines.gives_keys = False
    call = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: call.final == 488)
    assert scene.vendor.calls == []
    assert scene.close().end_reason == "No Common Codec"
    assert engines.calls == {}


@pytest.mark.parametrize("encryption", [Encryption.OFF, Encryption.OPTIONAL, Encryption.REQUIRED])
def test_a_vendor_can_choose_no_keys_of_a_caller_past_an_rtpengine(encryption):
    """The caller leaves the choice (RFC 5939), which an rtpengine does not know: it takes packets for plain ones."""
    choice = f"a=tcap:1 RTP/SAVP\r\na=acap:1 {KEY[2:]}a=pcfg:1 t=1 a=1\r\n"
    scene, _ = scene_with() if encryption is Encryption.OFF else sealed_scene(encryption)
    _, there = scene.talk(Intent(offer=OFFER + choice))
    assert not any(word in there.theirs for word in ("tcap", "acap", "pcfg"))


def test_no_rtpengine_is_given_a_key_that_ends_it():
    scene, engines = scene_with()
    long = KEY.replace("\r\n", "|1:256\r\n")
    call = scene.answered_call(Intent(offer=SEALED_ANSWER + long))
    assert [(KEY in each.sdp, long in each.sdp) for each in engines.sessions] == [(True, False), (False, False)]
    assert long in scene.vendor.only_call.theirs
    scene.finish(call)


def test_a_gateway_that_has_to_encrypt_gets_no_plain_call_where_none_is_relayed():
    scene, engines = sealed_scene(mode=MediaMode.OFF)
    call = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: call.final == 488)
    assert scene.vendor.calls == []
    assert engines.sessions == []
    assert scene.close().end_reason == "No Common Codec"


def test_an_encrypted_call_is_refused_without_an_rtpengine_and_not_relayed_by_the_switch():
    engines, relay = VirtualRtpEngines(), VirtualRelay()
    engines.up = dict.fromkeys(engines.up, False)
    scene, _ = scene_with(engines, relay=relay, fallback=MediaFallback.RELAY, encryption=Encryption.OPTIONAL)
    call = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: call.final == 503)
    assert relay.open_ports == {}
    assert scene.close().end_reason == "No Media Port"


def test_an_encrypted_call_ends_where_the_relay_would_take_over_without_its_keys():
    relay = VirtualRelay()
    scene, engines = sealed_scene(relay=relay, fallback=MediaFallback.RELAY)
    call, _ = scene.talk()
    engines.up["two"] = False
    engines.lose("one")
    for _ in range(4):
        scene.poll_rtpengines(wait_ms=500)
    assert call.is_over
    assert relay.open_ports == {}
    record = scene.close()
    assert (record.end_reason, record.hangup_source) == ("No Media", "switch")
    assert engines.calls == {}


@pytest.mark.parametrize("returns", [True, False])
def test_a_call_whose_rtpengine_is_lost_waits_for_one_until_its_media_are_silent_for_too_long(returns):
    scene, engines = sealed_scene(timeout_ms=30_000)
    call, there = scene.talk()
    engines.up["two"] = False
    engines.lose("one")
    for second in range(40):
        engines.up["one"] = returns and second > 20
        scene.poll_rtpengines(wait_ms=1_000)
        assert call.is_over is (not returns and second >= 30)
        if returns and second > 25:
            hear(scene, engines, call.theirs, there.theirs)
    if returns:
        assert protection_of(there.theirs.encode()) is Protection.SDES
        scene.finish(call)
    else:
        assert scene.close().end_reason == "No Media"
    assert engines.calls == {}


def test_an_answer_whose_offer_was_lost_with_its_rtpengine_ends_the_call():
    """The keys that the vendor has answered are those of an rtpengine that is gone."""
    scene, engines = sealed_scene()
    call = scene.begun_call(script=Script((Line(0, 180), Line(3_000, 200, SEALED_ANSWER))), after_ms=1_000)
    engines.lose("one")
    scene.wire.run_until(lambda: call.final is not None)
    assert call.final == 503
    scene.wire.run_for(2_000)
    assert scene.vendor.only_call.is_over
    scene.close()


def test_a_call_with_one_that_may_encrypt_and_does_not_moves_to_the_next_rtpengine_without_keys():
    scene, engines = sealed_scene(Encryption.OPTIONAL)
    scene.vendor.script = Script((Line(0, 200, ANSWER),))
    call, there = scene.talk()
    engines.lose("one")
    for _ in range(8):
        scene.poll_rtpengines(wait_ms=500)
    assert place(there.theirs)[0] == place(call.theirs)[0] == HOSTS["two"]
    assert not any(each.opportunistic for each in engines.sessions[2:] if isinstance(each.opportunistic, tuple))
    scene.finish(call)


def test_a_refresh_of_an_encrypted_side_repeats_its_description_and_its_keys():
    scene, engines = sealed_scene()
    call, there = scene.talk()
    before, asked = (there.theirs, call.theirs), len(engines.sessions)
    (live,) = scene.exchange.switch.services.running.all()
    for leg in live.call.conversation.parties:
        leg.supervision.offer_again(scene.exchange.clock.now())
        scene.wire.run_for(1_000)
    assert (there.theirs, call.theirs) == before
    assert len(engines.sessions) == asked
    scene.propose(call, "a=sendonly")
    assert len(engines.sessions) == asked + 2
    scene.finish(call)


def test_an_offer_of_another_family_is_refused_where_keys_are_made():
    scene, engines = sealed_scene()
    call, there = scene.talk()
    before, asked = call.theirs, len(engines.sessions)
    answer = call.ask("INVITE", body=revised(in_version_6(call.mine)))
    scene.wire.run_for(2_000)
    assert (answer.final and answer.final.status, there.asked.get("INVITE"), call.theirs) == (488, None, before)
    assert engines.ignored == []
    scene.propose(call)
    assert len(engines.sessions) > asked
    scene.finish(call)


@pytest.mark.parametrize("hosts", [("192.0.2.10", "2001:db8::10"), ("2001:db8::10",)])
def test_a_side_with_ice_may_write_the_family_of_the_chosen_pair_into_its_address(hosts):
    """RFC 8839 section 4.4.1.2.1: an updated offer has the selected pair in c=; the rtpengine goes by candidates."""
    engines = VirtualRtpEngines()
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32", media=MediaSettings(ice=IceMode.LITE)), vendor_gateway(0)]
    parameters = MediaParameters(engine=MediaEngine.RTPENGINE, mode=MediaMode.ON)
    scene = Scene(catalogue(trunks, media=parameters), rtpengines=engines)
    call, there = scene.talk(Intent(offer=with_ice(OFFER, "192.0.2.10", "2001:db8::10")))
    asked = len(engines.sessions)
    answer = call.ask("INVITE", body=revised(with_ice(in_version_6(OFFER), *hosts)))
    scene.wire.run_for(2_000)
    assert (answer.final and answer.final.status, len(there.asked["INVITE"])) == (200, 1)
    assert len(engines.sessions) == asked + 2
    scene.finish(call)


def ice_scene(monkeypatch, *, of_caller):
    """Return a scene with rtpengines of IPv4 alone, of which one takes part in the ICE of a side."""
    for name in HOSTS:
        monkeypatch.setitem(HOSTS_6, name, HOSTS[name])
    lite = MediaSettings(ice=IceMode.LITE)
    trunks = [
        mapping_gateway("acme", f"{CUSTOMER.host}/32", media=lite if of_caller else MediaSettings()),
        vendor_gateway(0, media=MediaSettings() if of_caller else lite),
        vendor_gateway(1),
    ]
    parameters = MediaParameters(engine=MediaEngine.RTPENGINE, mode=MediaMode.ON)
    engines = PooledRtpEngines()
    return Scene(catalogue(trunks, media=parameters), rtpengines=engines), engines


OF_VERSION_6 = ("2001:db8::10", "fd00::10")
OF_BOTH = [("2001:db8::10", "192.0.2.10"), ("2001:db8::10", "5b7f2c1e.local")]


@pytest.mark.parametrize("hosts", [OF_VERSION_6, *OF_BOTH], ids=["one family", "both", "a name"])
def test_a_caller_whose_candidates_are_all_of_a_family_that_no_rtpengine_has_is_refused(hosts, monkeypatch):
    """It was answered, and charged, without a packet."""
    scene, engines = ice_scene(monkeypatch, of_caller=True)
    call = scene.settled_call(Intent(offer=with_ice(in_version_6(OFFER), *hosts)))
    scene.wire.run_for(3_000)
    if hosts == OF_VERSION_6:
        assert call.final == 503
        record = scene.close()
        assert (record.billed_seconds, record.vendor_billed_seconds) == (0, 0)
    else:
        assert call.final == 200
        scene.finish(call)
    assert engines.calls == {}


@pytest.mark.parametrize("hosts", [OF_VERSION_6, *OF_BOTH], ids=["one family", "both", "a name"])
def test_a_vendor_that_answers_by_candidates_of_a_family_that_no_rtpengine_has_loses_the_call(hosts, monkeypatch):
    scene, engines = ice_scene(monkeypatch, of_caller=False)
    scene.vendor.script = Script((Line(0, 200, with_ice(in_version_6(ANSWER), *hosts)),))
    scene.vendors[1].script = Script((Line(0, 200, ANSWER),))
    call = scene.answered_call()
    record = scene.finish(call)
    lost = [("vendor-0", 200, "No Media Port")] if hosts == OF_VERSION_6 else []
    taken = "vendor-1" if lost else "vendor-0"
    attempts = [(row.gateway, row.code, row.reason) for row in record.attempts]
    assert attempts == [*lost, (taken, 200, "Answered")]
    assert engines.calls == {}


@pytest.mark.parametrize("hosts", [OF_VERSION_6, *OF_BOTH], ids=["one family", "both", "a name"])
def test_candidates_of_an_rtpengine_of_both_families_suit_each_side(hosts):
    engines = VirtualRtpEngines()
    lite = MediaSettings(ice=IceMode.LITE)
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32", media=lite), vendor_gateway(0, media=lite)]
    parameters = MediaParameters(engine=MediaEngine.RTPENGINE, mode=MediaMode.ON)
    scene = Scene(catalogue(trunks, media=parameters), rtpengines=engines)
    scene.vendor.script = Script((Line(0, 200, with_ice(in_version_6(ANSWER), *hosts)),))
    call, _ = scene.talk(Intent(offer=with_ice(in_version_6(OFFER), *hosts)))
    assert [each.gateway for each in scene.finish(call).attempts] == ["vendor-0"]


def test_an_offer_that_got_no_keys_is_not_taken_for_a_refresh_when_it_comes_again():
    scene, engines = sealed_scene()
    call, there = scene.talk()
    engines.is_silent = True
    scene.propose(call, "a=sendonly", wait_ms=3_000)
    engines.is_silent = False
    scene.propose(call, "a=sendonly")
    assert "a=sendonly" in there.theirs
    scene.finish(call)


class InTurn(VirtualRtpEngines):
    """Two rtpengines that get new calls in turn."""

    def __init__(self):
        super().__init__()
        self._turns = cycle(HOSTS)

    def ask(self, order, done, *, engine=None, **terms):
        return super().ask(order, done, engine=engine or next(self._turns), **terms)


@pytest.mark.parametrize("winner", [0, 1, 2])
@pytest.mark.parametrize("kind", [VirtualRtpEngines, InTurn])
def test_telephones_that_ring_together_are_legs_at_rtpengines_and_one_of_them_is_left(winner, kind):
    names, engines = ("7001", "7002", "7003"), kind()
    parameters = MediaParameters(engine=MediaEngine.RTPENGINE, mode=MediaMode.ON)
    did = Did(CALLEE, "acme", phones=names, ring=RingOrder.TOGETHER)
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32")]
    scene = Scene(
        catalogue(known, phones=[phone(name) for name in names], dids=[did], media=parameters), rtpengines=engines
    )
    answering = [answers(1_000) if index == winner else RINGS for index in range(3)]
    answering[winner - 1] = Script((Line(0, 180), Line(500, 183, OTHER_ANSWER)))
    desks = [
        scene.exchange.telephone(name, Endpoint("203.0.113.66", 40_000 + index), script=answering[index])
        for index, name in enumerate(names)
    ]
    for desk in desks:
        desk.register()
    call = scene.settled_call()
    scene.wire.run_for(1_000)
    assert call.final == 200
    offers = [each for each in engines.sessions if isinstance(each, RtpOffer)]
    answer = [each for each in engines.sessions if isinstance(each, RtpAnswer)][-1]
    assert (answer.author, answer.reader) == (offers[winner].author, offers[winner].reader)
    assert place(desks[winner].only_call.theirs)[0] == place(call.theirs)[0]
    assert len(engines.calls) == 1
    scene.finish(call)
    assert engines.calls == {}


@pytest.mark.parametrize("music", ["", "busy"])
def test_the_rtpengine_is_given_what_two_sides_agreed_on_again_when_one_offers_to_the_target_of_a_transfer(music):
    """It connects a leg with the one that got its latest offer, though that rings, or is busy in the end.

    Early media of the target are heard in place of music, and the music afterwards.
    """
    engines = VirtualRtpEngines()
    parameters = MediaParameters(engine=MediaEngine.RTPENGINE, mode=MediaMode.ON, music_on_hold=music)
    sounds = {"busy": Sound("busy", sound("busy").by_codec, "/srv/busy.wav")}
    scene = keypad_scene(parameters={"media": parameters, "sounds": sounds}, rtpengines=engines)
    scene.vendor.by_number = {TARGET: Script((Line(2_000, 183, OTHER_ANSWER), Line(5_000, 486)))}
    call = talking(scene)
    scene.propose(call, "a=sendonly")
    assert len(engines.playing) == len(music and [music])
    engines.sessions.clear()
    call.ask("REFER", headers=[f"Refer-To: <sip:{TARGET}@192.0.2.1>"])
    again = [(RtpOffer, 0, 2), (RtpAnswer, 0, 2)]
    scene.wire.run_for(1_000)
    assert kinds(engines) == [(RtpOffer, 0, 1), *again]
    scene.wire.run_for(2_000)
    assert kinds(engines)[3:] == ([(RtpAnswer, 0, 1)] if music else [])
    assert engines.playing == {}
    scene.wire.run_for(5_000)
    assert kinds(engines)[4:] == (again if music else [])
    assert len(engines.playing) == len(music and [music])
    assert [record.end_reason for record in scene.exchange.sink.records] == ["Busy"]
    scene.expect_nothing_left(call)
    assert engines.calls == {}


class LateEngines(VirtualRtpEngines):
    """Rtpengines whose reply to the offer of this number comes late: its datagram was lost, and the order repeated."""

    def __init__(self, late: int) -> None:
        super().__init__()
        self.late = late
        self.offers = 0

    def ask(self, order, done, **more):
        self.offers += isinstance(order, RtpOffer)
        usual_ms = self.after_ms
        if isinstance(order, RtpOffer) and self.offers == self.late:
            self.after_ms += 150
        try:
            return super().ask(order, done, **more)
        finally:
            self.after_ms = usual_ms


def test_what_two_sides_agreed_on_is_not_given_again_after_the_target_of_a_transfer_has_answered():
    engines = LateEngines(3)
    parameters = MediaParameters(engine=MediaEngine.RTPENGINE, mode=MediaMode.ON)
    scene = keypad_scene(parameters={"media": parameters}, rtpengines=engines)
    scene.vendor.by_number = {TARGET: Script((Line(20, 200, OTHER_ANSWER),))}
    call = talking(scene)
    engines.sessions.clear()
    call.ask("REFER", headers=[f"Refer-To: <sip:{TARGET}@192.0.2.1>"])
    scene.wire.run_for(3_000)
    assert kinds(engines)[:2] == [(RtpOffer, 0, 1), (RtpOffer, 0, 2)]
    assert not any(2 in legs for _, *legs in kinds(engines)[2:]), "it is parted from who transfers"
    scene.expect_nothing_left(scene.vendor.calls[0])
    assert engines.calls == {}


def test_sides_with_keys_agree_anew_after_the_target_of_a_transfer_was_busy():
    engines = VirtualRtpEngines()
    lines = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + "A" * 40 + "\r\n"
    sealed = ANSWER.replace("RTP/AVP", "RTP/SAVP") + lines
    trunks = [
        mapping_gateway("acme", f"{CUSTOMER.host}/32"),
        vendor_gateway(0, media=MediaSettings(encryption=Encryption.REQUIRED)),
    ]
    scene = Scene(catalogue(trunks, media=MediaParameters(engine=MediaEngine.RTPENGINE)), rtpengines=engines)
    scene.vendor.script = Script((Line(0, 200, sealed),))
    scene.vendor.by_number = {TARGET: Script((Line(500, 180), Line(2_000, 486)))}
    call = talking(scene)
    engines.sessions.clear()
    call.ask("REFER", headers=[f"Refer-To: <sip:{TARGET}@192.0.2.1>"])
    scene.wire.run_for(3_000)
    assert kinds(engines) == [(RtpOffer, 0, 1)]
    for _ in range(3):
        scene.poll_rtpengines(wait_ms=500)
    assert len(kinds(engines)) > 1
    assert all(1 not in legs for _, *legs in kinds(engines)[1:])
    assert call.asked["INVITE"]
    scene.expect_nothing_left(call)
    assert engines.calls == {}


@pytest.mark.parametrize("status", [488, 491, 500, 503])
@pytest.mark.parametrize("refusing", [0, 1])
def test_a_side_that_refuses_the_ports_of_the_next_one_is_offered_them_again(refusing, status):
    """It may be in the midst of something else; until it has accepted, it sends to those that are lost."""
    scene, engines = scene_with()
    sides = scene.talk()
    sides[refusing].will("INVITE", Reply(status), Reply(status))
    engines.lose("one")
    for _ in range(60):
        scene.poll_rtpengines(wait_ms=500)
    assert [place(side.theirs)[0] for side in sides] == [HOSTS["two"]] * 2
    assert len(sides[refusing].asked["INVITE"]) - len(sides[1 - refusing].asked["INVITE"]) == 2
    assert not scene.exchange.media.moves.go_on(scene.exchange.clock.now())
    scene.finish(sides[0])
    assert engines.calls == {}


def test_a_side_that_refuses_other_ports_each_time_is_offered_them_at_growing_intervals():
    scene, engines = scene_with(timeout_ms=0)
    call, there = scene.talk()
    there.will("INVITE", *[Reply(488)] * 200)
    engines.lose("one")
    offers = []
    for _ in range(10):
        before = len(there.asked["INVITE"])
        for _ in range(120):
            scene.poll_rtpengines(wait_ms=500)
        offers.append(len(there.asked["INVITE"]) - before)
    assert 5 < offers[0] < 10
    assert max(offers[2:]) == 1
    scene.finish(call)
    scene.exchange.poll_rtpengines()
    assert not scene.exchange.media.moves.go_on(scene.exchange.clock.now())


def test_calls_that_wait_for_their_next_move_hold_up_no_other():
    scene, _ = scene_with()
    sides = [scene.talk() for _ in range(MOVES_AT_ONCE + 1)]
    *waiting, latest = scene.exchange.switch.calls()
    for live in waiting:
        scene.exchange.media.moves.add(live.call)
    scene.poll_rtpengines(wait_ms=50)
    scene.exchange.media.moves.add(latest.call)
    scene.poll_rtpengines(wait_ms=50)
    assert [len(call.asked["INVITE"]) for call, _ in sides] == [1] * len(sides)
    for call, _ in sides:
        call.hang_up()
    scene.wire.run_for(1_000)


@pytest.mark.parametrize("name", ODD)
def test_a_form_that_an_rtpengine_does_not_read_is_put_in_order_for_it_alone(name):
    """A gateway that answered so got BYE, charged for it, and no other one was tried."""
    scene, engines = scene_with()
    odd = written(*ODD[name]).decode()
    call = scene.answered_call(Intent(odd), script=answers(body=odd.replace("192.0.2.10", "192.0.2.20")))
    assert [media_of(each.sdp.encode())[0].host for each in engines.sessions] == ["192.0.2.10", "192.0.2.20"]
    (there,) = scene.vendor.calls
    for body in (there.theirs, call.theirs):
        assert media_of(body.encode())[0].host == HOSTS["one"]
        assert ("x=1" in body) is (name == "an unknown line")
    record = scene.finish(call)
    assert record.end_reason == "Normal"


@pytest.mark.parametrize("error", ["Failed to parse SDP", "Incomplete SDP specification", "Error rewriting SDP"])
@pytest.mark.parametrize("kind", [RtpOffer, RtpAnswer])
def test_a_description_that_an_rtpengine_does_not_read_is_as_any_that_cannot_be_relayed(kind, error):
    """It has no lack of ports: a caller would be told to come again later, and the operator to look for ports."""
    scene, engines = scene_with()
    reply = engines._reply
    engines._reply = lambda engine, order: (
        RtpReply("error", error=error) if type(order) is kind else reply(engine, order)
    )
    scene.vendor.script = Script((Line(0, 200, ANSWER),))
    call = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: call.final == 488)
    record = scene.close()
    assert record.end_reason == "No Common Codec"
    assert [row.media_fault for row in record.attempts] == [SessionFault.UNREAD.value]


def test_an_answer_for_which_no_ports_come_in_time_has_no_fault_of_early_media_before():
    scene, engines = scene_with()
    early, reply = ANSWER.replace("30000", "30002"), engines._reply
    engines._reply = lambda engine, order: (
        RtpReply("error", error="Failed to parse SDP")
        if isinstance(order, RtpAnswer) and "m=audio 30002 " in order.sdp
        else reply(engine, order)
    )
    scene.vendor.script = Script((Line(0, 183, early), Line(5_000, 200, ANSWER)))
    call = scene.begun_call(after_ms=2_000)
    engines.after_ms = 100_000
    scene.wire.run_until(lambda: call.final == 503)
    record = scene.close()
    assert record.end_reason == "Unavailable"
    assert [(row.reason, row.media_fault) for row in record.attempts] == [("Not Sent", None)]


def refused_early_media(engines):
    """Return a description of early media that gets no ports, and has more media than the answer."""
    reply = engines._reply

    def refuse_early(engine, order):
        if isinstance(order, RtpAnswer) and "m=audio 30002 " in order.sdp:
            return RtpReply("error")
        return reply(engine, order)

    engines._reply = refuse_early
    return ANSWER.replace("30000", "30002") + "m=video 0 RTP/AVP 31\r\n" * 9


@pytest.mark.parametrize("headers", [(), SUPPORTS_100REL], ids=["plain", "reliable"])
def test_early_media_for_which_there_are_no_ports_do_not_shape_the_answer(headers):
    scene, engines = scene_with()
    early = refused_early_media(engines)
    scene.vendor.script = Script((Line(0, 183, early), Line(5_000, 200, ANSWER)))
    call = scene.begun_call(Intent(headers=headers), after_ms=2_000)
    assert [response.body for response in call.responses if response.status == 183] == [""]
    scene.wire.run_until(lambda: call.final == 200)
    assert len(media_of(call.theirs.encode())) == 1
    scene.finish(call)


@pytest.mark.parametrize("script", [(0, 300), (0, 900), (0, 0, 0), (0, 300, 2_000)], ids=str)
def test_early_media_that_still_wait_for_ports_do_not_shape_what_comes_after_them(script):
    scene, engines = scene_with()
    engines.after_ms, early = 1_000, refused_early_media(engines)
    *before, last = script
    call = scene.answered_call(script=Script((*(Line(ms, 183, early) for ms in before), Line(last, 200, ANSWER))))
    assert [response.body for response in call.responses if response.status == 183] == [""] * len(before)
    assert len(media_of(call.theirs.encode())) == 1
    scene.finish(call)


def test_an_answer_is_the_next_version_of_early_media_that_still_waited_for_ports():
    scene, engines = scene_with()
    engines.after_ms = 1_000
    call = scene.answered_call(script=Script((Line(0, 183, ANSWER), Line(300, 200, ANSWER.replace("30000", "30010")))))
    early, answer = (response.body.split("\r\n")[1] for response in call.responses if response.body)
    assert (early, answer) == ("o=- 1 1 IN IP4 198.51.100.1", "o=- 1 2 IN IP4 198.51.100.1")
    scene.finish(call)


G729 = ANSWER.replace("RTP/AVP 0", "RTP/AVP 18").replace("a=rtpmap:0 PCMU/8000", "a=rtpmap:18 G729/8000")
WITH_G729 = Intent(offer=OFFER.replace("AVP 0", "AVP 18 0").replace("a=", "a=rtpmap:18 G729/8000\r\na=", 1))


@pytest.mark.parametrize(("answer", "is_other"), [(G729, True), (ANSWER.replace("30000", "30010"), False)])
def test_an_answer_with_another_codec_than_early_media_comes_behind_the_offer_again(answer, is_other):
    """An rtpengine converts it into the codec of the first answer, unless it has the offer again before."""
    scene, engines = scene_with()
    call = scene.answered_call(WITH_G729, script=Script((Line(0, 183, ANSWER), Line(2_000, 200, answer))))
    again = [(RtpOffer, 0, 1)] if is_other else []
    assert kinds(engines) == [(RtpOffer, 0, 1), (RtpAnswer, 0, 1), *again, (RtpAnswer, 0, 1)]
    early, last = (response.body for response in call.responses if response.body)
    assert place(early) == place(last)
    assert ("RTP/AVP 18" in last) is is_other
    scene.propose(call)
    assert kinds(engines)[-2:] == [(RtpOffer, 0, 1), (RtpAnswer, 0, 1)]
    scene.finish(call)
    assert engines.calls == {}


def test_a_codec_of_a_second_answer_is_that_of_the_third_one_no_more():
    scene, engines = scene_with()
    lines = (Line(0, 183, ANSWER), Line(1_000, 183, G729), Line(2_000, 200, ANSWER))
    call = scene.answered_call(WITH_G729, script=Script(lines))
    assert [type(each) for each in engines.sessions] == [RtpOffer, RtpAnswer, RtpOffer, RtpAnswer, RtpOffer, RtpAnswer]
    scene.finish(call)


def test_an_answer_behind_that_of_another_telephone_comes_behind_the_offer_again():
    engines = VirtualRtpEngines()
    parameters = MediaParameters(engine=MediaEngine.RTPENGINE, mode=MediaMode.ON)
    did = Did(CALLEE, "acme", phones=("7001", "7002"), ring=RingOrder.TOGETHER)
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32")]
    phones = [phone(name) for name in did.phones]
    scene = Scene(catalogue(known, phones=phones, dids=[did], media=parameters), rtpengines=engines)
    scripts = Script((Line(500, 183, OTHER_ANSWER),)), Script((Line(1_000, 183, G729), Line(2_000, 200, G729)))
    for index, (name, script) in enumerate(zip(did.phones, scripts, strict=True)):
        scene.exchange.telephone(name, Endpoint("203.0.113.66", 40_000 + index), script=script).register()
    call = scene.settled_call(WITH_G729)
    assert kinds(engines)[:5] == [
        (RtpOffer, 0, 1),
        (RtpOffer, 0, 2),
        (RtpAnswer, 0, 1),
        (RtpOffer, 0, 2),
        (RtpAnswer, 0, 2),
    ]
    assert call.final == 200
    scene.finish(call)


def test_an_answer_with_another_codec_leaves_also_where_the_offer_cannot_be_given_again():
    scene, engines = scene_with()
    reply, offers = engines._reply, []

    def refuse_again(engine, order):
        if isinstance(order, RtpOffer):
            offers.append(order)
            if len(offers) == 2:
                return RtpReply("error")
        return reply(engine, order)

    engines._reply = refuse_again
    call = scene.answered_call(WITH_G729, script=Script((Line(0, 183, ANSWER), Line(2_000, 200, G729))))
    assert len(offers) == 2
    assert "RTP/AVP 18" in call.theirs
    scene.finish(call)


def test_a_side_that_is_asked_for_an_offer_makes_one_also_behind_an_answer():
    """The rtpengine was given its 200 as the answer to that: other codecs and fax were silent or converted."""
    scene, engines = scene_with()
    call, there = scene.talk()
    for asking, author in ((call, 1), (there, 0), (call, 1)):
        asking.ask("INVITE", body="")
        scene.wire.run_for(1_000)
        assert kinds(engines)[-2:] == [(RtpOffer, author, 1 - author), (RtpAnswer, author, 1 - author)]
    assert len(engines.sessions) == 8
    scene.finish(call)
