"""Media of two sides that a transfer connects, of which one was relayed and the other was not."""

from itertools import pairwise

import msgspec
import pytest
from doubles.announcing import SOUNDS
from doubles.data.builders import account, catalogue, mapping_gateway, phone
from doubles.data.sessions import revised
from doubles.desk_scene import (
    DESK,
    MATE,
    TARGET,
    are_connected,
    assert_no_faults,
    attended,
    blind,
    called,
    dialled,
    notified,
    registered,
    transferring,
)
from doubles.keypad_scene import KEYS, press
from doubles.sockets.peer import ANSWER, OFFER
from doubles.virtual.customer import Intent, OutgoingCall
from doubles.virtual.exchange import SWITCH
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.rtpengines import VirtualRtpEngines
from doubles.virtual.scene import CUSTOMER, Scene, vendor_gateway
from doubles.virtual.side import Reply
from doubles.virtual.vendor import RINGS, Line, Script, answers, answers_timed, refuses

from vosd.sdp.media import Medium, media_of
from vosd.sdp.origin import address_of_origin
from vosd.sip.flows import Listener
from vosd.trunks.dialect import CallerDialect
from vosd.trunks.media import Encryption, KeyWay, MediaEngine, MediaMode, MediaParameters, MediaSettings, MediaWatch

AUTO, ON, OFF, MUST_ON = MediaMode.AUTO, MediaMode.ON, MediaMode.OFF, MediaMode.MUST_ON
NUMBERS = ("441111111111", "442222222222")
BUSY = msgspec.structs.replace(SOUNDS["busy"], file="/srv/busy.wav")
OF_IPV6 = OFFER.replace("IN IP4 192.0.2.10", "IN IP6 2001:db8::10")
ENGINES = {"relay": MediaEngine.RELAY, "rtpengine": MediaEngine.RTPENGINE}


def stage(modes, engine="relay", relay=None, mode=AUTO, terms=None, engines=None, **media) -> Scene:
    """Make a customer and a vendor for each number, with these modes; ``terms`` are others of all media."""
    terms = terms or {}
    customer, *vendors = modes
    trunks = [
        mapping_gateway(
            "acme",
            f"{CUSTOMER.host}/32",
            media=MediaSettings(mode=customer, **terms),
            dialect=CallerDialect(transfer_keys=KEYS),
        ),
        *(
            vendor_gateway(index, prefixes=(number[:3],), media=MediaSettings(mode=each, **terms))
            for index, (number, each) in enumerate(zip(NUMBERS, vendors, strict=True))
        ),
    ]
    parameters = MediaParameters(engine=ENGINES[engine], mode=mode, **media)
    content = catalogue(trunks, media=parameters, sounds={"busy": BUSY} if media else {})
    if engine == "rtpengine":
        engines = engines or VirtualRtpEngines()
    scene = Scene(content, relay=None if engines else relay or VirtualRelay(), rtpengines=engines)
    scene.vendors[1].script = answers(1_000, body=ANSWER.replace("192.0.2.20", "192.0.2.30"))
    return scene


def talking(scene: Scene, number: str) -> OutgoingCall:
    return scene.answered_call(Intent(), callee=number, talk_ms=1_000)


def is_direct(side) -> bool:
    """Return whether a side was sent the place of another party, not of the switch."""
    return host_of(side) in {"192.0.2.10", "192.0.2.20", "192.0.2.30"}


def audio_of(session: str) -> Medium:
    return next(each for each in media_of(session.encode()) if each.kind == "audio")


def host_of(side) -> str:
    return host_in(side.theirs)


def host_in(session: str) -> str:
    return media_of(session.encode())[0].host


def settle(scene: Scene) -> None:
    scene.expect_nothing_left()
    assert_no_faults(scene)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["relayed first", "direct first"])
def test_a_side_that_is_relayed_from_now_on_keeps_the_origin_of_its_session(engine, order):
    """RFC 3264 section 8: both vendors refuse a description of another origin."""
    scene = stage((AUTO, ON, OFF), engine)
    calls = [talking(scene, NUMBERS[index]) for index in order]
    (relayed,), (direct,) = scene.vendors[0].calls, scene.vendors[1].calls
    assert (is_direct(relayed), is_direct(direct)) == (False, True)
    before = [address_of_origin(each.theirs.encode()) for each in (relayed, direct)]
    attended(*calls)
    scene.wire.run_for(3_000)
    assert (relayed.is_over, direct.is_over) == (False, False)
    assert (is_direct(relayed), is_direct(direct)) == (False, False)
    for one, other in ((relayed, direct), (direct, relayed)):
        scene.propose(one, "a=sendonly")
        assert one.got["INVITE"][-1] == 200
        assert "a=sendonly" in other.theirs
    assert [address_of_origin(each.theirs.encode()) for each in (relayed, direct)] == before
    relayed.hang_up()
    settle(scene)
    assert direct.is_over


@pytest.mark.parametrize("how", ["blind", "keys", "consultation"])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("modes", "is_relayed"),
    [((AUTO, OFF, MUST_ON), True), ((AUTO, AUTO, ON), True), ((AUTO, AUTO, AUTO), False), ((AUTO, OFF, ON), False)],
)
def test_the_call_of_a_target_is_relayed_as_the_two_that_will_talk_say(modes, is_relayed, engine, how):
    is_relayed = is_relayed or (how == "consultation" and ON in modes)  # who consults has no ``off``
    scene = stage(modes, engine)
    call = talking(scene, NUMBERS[0])
    (party,) = scene.vendors[0].calls
    assert is_direct(party)
    if how == "blind":
        blind(call, NUMBERS[1])
    else:
        press(scene, call, f"{'*1' if how == 'keys' else '*2'}{NUMBERS[1]}#")
    scene.wire.run_for(4_000)
    if how == "consultation":
        press(scene, call, "*9")
        scene.wire.run_for(3_000)
    (target,) = scene.vendors[1].calls
    assert (call.is_over, party.is_over, target.is_over) == (True, False, False)
    assert (is_direct(party), is_direct(target)) == (not is_relayed, not is_relayed)
    assert is_relayed or are_connected(party, target)
    scene.propose(target, "a=sendonly")
    assert "a=sendonly" in party.theirs
    target.hang_up()
    settle(scene)
    media = {record.callee_in: record.media for record in scene.exchange.sink.records}
    assert (media[NUMBERS[1]] is not None) == is_relayed


@pytest.mark.parametrize("leaves", [True, False])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_direct_call_stays_as_it_is_where_a_target_that_must_be_relayed_is_busy(engine, leaves):
    relay = VirtualRelay()
    scene = stage((AUTO, OFF, MUST_ON), engine, relay, music_on_hold="busy")
    scene.vendors[1].script = Script((Line(0, 180), Line(4_000, 486))) if leaves else refuses(486, after_ms=4_000)
    call = talking(scene, NUMBERS[0])
    (party,) = scene.vendors[0].calls
    before = party.theirs
    blind(call, NUMBERS[1])
    scene.wire.run_for(1_000)
    if leaves:
        scene.hang_up(call, wait_ms=1_000)
        party.propose()  # it may refresh its session alone, and is sent the one that it has
        party.ask("UPDATE")
        scene.wire.run_for(1_000)
        assert [port.playing for port in relay.open_ports.values()] == [None] * len(relay.open_ports)
        scene.wire.run_for(3_000)
        assert party.is_over
    else:
        scene.wire.run_for(5_000)
        assert notified(call)[-1][0] == "4"
        scene.propose(call, "a=sendonly")
        assert host_of(party) == "192.0.2.10"
        assert before.partition("\r\nc=")[0].rpartition(" ")[2] in party.theirs
        call.hang_up()
    settle(scene)
    assert relay.open_ports == {}
    assert [record.media for record in scene.exchange.sink.records if record.callee_in == NUMBERS[0]] == [None]


@pytest.mark.parametrize("who", ["caller", "telephone"])
@pytest.mark.parametrize("engine", ENGINES)
def test_two_that_a_transfer_connects_stay_direct_where_a_target_that_must_be_relayed_is_busy(engine, who):
    """RFC 3264 section 8: the answer to a refresh changes nothing under the version that it has."""
    terms = {"account": "office", "dialect": CallerDialect(transfer_keys=KEYS)}
    content = catalogue(
        [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0, media=MediaSettings(mode=MUST_ON))],
        phones=(phone(DESK, **terms), phone(MATE, **terms)),
        accounts=[account("office", overdraft_limit=None)],
        media=MediaParameters(engine=ENGINES[engine], mode=AUTO),
    )
    engines = VirtualRtpEngines() if engine == "rtpengine" else None
    scene = Scene(content, relay=None if engines else VirtualRelay(), rtpengines=engines)
    call, _, mate = transferring(scene)
    (at_mate,) = mate.calls
    assert are_connected(call, at_mate)
    scene.vendor.script = refuses(486)
    blind(at_mate, TARGET)
    scene.wire.run_for(5_000)
    assert notified(at_mate)[-1][0] == "4"
    one, other = (call, at_mate) if who == "caller" else (at_mate, call)
    before, told = one.theirs, len(other.asked["INVITE"])
    one.ask("INVITE", body=one.mine)
    scene.wire.run_for(1_000)
    assert one.got["INVITE"][-1] == 200
    assert one.theirs == before
    assert len(other.asked["INVITE"]) == told
    assert are_connected(call, at_mate)
    call.hang_up()
    settle(scene)


@pytest.mark.parametrize("is_transferred", [True, False])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("rings", "picks", "address", "is_relayed"),
    [
        (MUST_ON, MUST_ON, "192.0.2.60", True),
        (MUST_ON, AUTO, "192.0.2.60", False),
        (AUTO, MUST_ON, "192.0.2.60", True),
        (AUTO, AUTO, "10.0.0.60", True),
    ],
    ids=["both", "who rings", "who picks up", "NAT"],
)
def test_a_phone_that_picks_a_call_up_is_relayed_as_its_own_terms_say(
    rings, picks, address, is_relayed, engine, is_transferred
):
    phones = [
        phone(name, account="office", media=MediaSettings(mode=mode)) for name, mode in ((DESK, rings), (MATE, picks))
    ]
    content = catalogue(
        [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)],
        phones=tuple(phones),
        accounts=[account("office", overdraft_limit=None)],
        media=MediaParameters(engine=ENGINES[engine], mode=AUTO),
    )
    engines = VirtualRtpEngines() if engine == "rtpengine" else None
    scene = Scene(content, relay=None if engines else VirtualRelay(), rtpengines=engines)
    desk, mate = registered(scene)
    desk.script = RINGS
    if is_transferred:
        call = talking(scene, TARGET)
        blind(call, DESK)
    else:
        call = scene.caller.call(DESK, Intent())
    scene.wire.run_for(1_000)
    side = scene.vendor.only_call if is_transferred else call
    there = desk.only_call
    offer = OFFER.replace("192.0.2.10", address)
    pickup = mate.call(DESK, Intent(offer, headers=[f"Replaces: {there.replaces}"]))
    scene.wire.run_for(3_000)
    assert (pickup.final, pickup.is_over, side.is_over) == (200, False, False)
    own = media_of(side.mine.encode())[0].host
    assert (host_of(side) == address, host_of(pickup) == own) == (not is_relayed, not is_relayed)
    side.hang_up()
    settle(scene)


KEY = f"crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{'A' * 40}\r\n"


@pytest.mark.parametrize(
    "keys",
    ["", f"a={KEY}", f"a=tcap:1 RTP/SAVP\r\na=acap:1 {KEY}a=pcfg:1 t=1 a=1\r\n"],
    ids=["none", "beside plain media", "in place of plain media"],
)
def test_keys_pressed_in_a_call_that_was_picked_up_are_converted_whatever_encryption_both_have_offered(keys):
    """Each offer is the answer to the other one, and an answer without keys."""
    relayed = MediaSettings(mode=MUST_ON)
    phones = (
        phone(DESK, account="office", media=relayed),
        phone(MATE, account="office", media=msgspec.structs.replace(relayed, dtmf=KeyWay.INFO)),
    )
    content = catalogue(
        [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)],
        phones=phones,
        accounts=[account("office", overdraft_limit=None)],
        media=MediaParameters(engine=MediaEngine.RELAY),
    )
    relay = VirtualRelay()
    scene = Scene(content, relay=relay)
    desk, mate = registered(scene)
    desk.script = RINGS
    call = scene.caller.call(DESK, Intent(OFFER + keys))
    scene.wire.run_for(1_000)
    pickup = mate.call(DESK, Intent(OFFER + keys, headers=[f"Replaces: {desk.only_call.replaces}"]))
    scene.wire.run_for(1_000)
    assert (call.final, pickup.final) == (200, 200)
    assert not any(word in side.theirs for side in (call, pickup) for word in ("crypto", "cfg"))
    own, other = relay.open_ports.values()
    assert (own.keys, other.keys) == ((True, True), (False, False))
    call.hang_up()
    settle(scene)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("limited", ["who picks up", "caller"])
def test_a_pickup_by_a_codec_that_a_trunk_may_not_use_is_refused_and_the_phone_rings_on(limited, engine):
    """All of them would be hung up for it, once the phone that rang has been cancelled."""
    alaw, both = MediaSettings(codecs=("PCMA",)), OFFER.replace("AVP 0 ", "AVP 0 8 ")
    own, callers = (alaw, MediaSettings()) if limited == "who picks up" else (MediaSettings(), alaw)
    content = catalogue(
        [mapping_gateway("acme", f"{CUSTOMER.host}/32", media=callers), vendor_gateway(0)],
        phones=(phone(DESK, account="office"), phone(MATE, account="office", media=own)),
        accounts=[account("office", overdraft_limit=None)],
        media=MediaParameters(engine=ENGINES[engine], mode=AUTO),
    )
    engines = VirtualRtpEngines() if engine == "rtpengine" else None
    scene = Scene(content, relay=None if engines else VirtualRelay(), rtpengines=engines)
    desk, mate = registered(scene)
    desk.script = answers(3_000, body=ANSWER.replace("AVP 0 ", "AVP 8 ") if limited == "caller" else ANSWER)
    call = scene.caller.call(DESK, Intent(both if limited == "caller" else OFFER))
    scene.wire.run_for(1_000)
    headers = [f"Replaces: {desk.only_call.replaces}"]
    pickup = mate.call(DESK, Intent(OFFER if limited == "caller" else both, headers=headers))
    scene.wire.run_for(1_000)
    assert (pickup.final, call.final, desk.only_call.is_over) == (488, None, False)
    scene.wire.run_for(2_000)
    assert (call.final, desk.only_call.is_over) == (200, False)
    call.hang_up()
    settle(scene)


def test_a_call_whose_caller_has_to_encrypt_is_not_picked_up_and_the_phone_rings_on():
    """The caller's offer is the answer to that of the phone, which has no keys: both would be hung up."""
    content = catalogue(
        [mapping_gateway("acme", f"{CUSTOMER.host}/32", media=MediaSettings(encryption=Encryption.REQUIRED))],
        phones=[phone(name, account="office") for name in (DESK, MATE)],
        accounts=[account("office", overdraft_limit=None)],
        media=MediaParameters(engine=MediaEngine.RTPENGINE, mode=AUTO),
    )
    scene = Scene(content, rtpengines=VirtualRtpEngines())
    desk, mate = registered(scene)
    desk.script = RINGS
    call = scene.caller.call(DESK, Intent(f"{OFFER}a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{40 * 'A'}\r\n"))
    scene.wire.run_for(1_000)
    pickup = mate.call(DESK, Intent(OFFER, headers=[f"Replaces: {desk.only_call.replaces}"]))
    scene.wire.run_for(1_000)
    assert (pickup.final, call.final, desk.only_call.is_over) == (488, None, False)
    call.cancel()
    settle(scene)


@pytest.mark.parametrize(
    ("picks", "offer", "final"),
    [(OFF, OFFER, 488), (MUST_ON, OFFER, 200), (OFF, OF_IPV6, 200)],
    ids=["not relayed", "relayed", "also at IPv6"],
)
def test_a_pickup_by_a_phone_that_media_of_the_caller_cannot_reach_is_refused_and_the_phone_rings_on(
    picks, offer, final
):
    """It would be answered, and billed, without sound. Its SIP comes by IPv4, wherever its media are."""
    modes = ((DESK, MUST_ON), (MATE, picks))
    content = catalogue(
        [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)],
        phones=[phone(name, account="office", media=MediaSettings(mode=mode)) for name, mode in modes],
        accounts=[account("office", overdraft_limit=None)],
        media=MediaParameters(engine=MediaEngine.RELAY, mode=AUTO),
    )
    listeners = (Listener(*SWITCH), Listener("2001:db8::1", 5060))
    scene = Scene(content, relay=VirtualRelay(), listeners=listeners)
    desk, mate = registered(scene)
    desk.script = RINGS
    call = scene.caller.call(DESK, Intent(OF_IPV6))
    scene.wire.run_for(1_000)
    pickup = mate.call(DESK, Intent(offer, headers=[f"Replaces: {desk.only_call.replaces}"]))
    scene.wire.run_for(1_000)
    assert (pickup.final, desk.only_call.is_over) == (final, final == 200)
    if final == 200:
        call.hang_up()
    else:
        call.cancel()
    settle(scene)


@pytest.mark.parametrize("replaces", ["caller", "callee"])
@pytest.mark.parametrize(
    ("mode", "offer", "final"),
    [(OFF, OF_IPV6, 488), (MUST_ON, OF_IPV6, 200), (OFF, OFFER, 200)],
    ids=["not relayed", "relayed", "of the same family"],
)
def test_a_phone_whose_media_cannot_reach_the_far_side_takes_no_running_call_over(replaces, mode, offer, final):
    """Both would be silent, and the side that was replaced would be gone. Its SIP comes by IPv4."""
    content = catalogue(
        [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)],
        phones=[phone(name, account="office") for name in (DESK, MATE)],
        accounts=[account("office", overdraft_limit=None)],
        media=MediaParameters(engine=MediaEngine.RELAY, mode=mode),
    )
    listeners = (Listener(*SWITCH), Listener("2001:db8::1", 5060))
    scene = Scene(content, relay=VirtualRelay(), listeners=listeners)
    desk, mate = registered(scene)
    if replaces == "caller":
        call = desk.call("442079460000", Intent(OFFER))
        scene.wire.run_for(2_000)
        gone, far = call, scene.vendor.only_call
    else:
        call = scene.caller.call(DESK, Intent(OFFER))
        scene.wire.run_for(2_000)
        gone, far = desk.only_call, call
    before = far.theirs
    pickup = mate.call(DESK, Intent(offer, headers=[f"Replaces: {gone.replaces}"]))
    scene.wire.run_for(2_000)
    assert (call.final, pickup.final, gone.is_over, far.is_over) == (200, final, final == 200, False)
    assert final == 200 or far.theirs == before
    far.hang_up()
    settle(scene)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("who", ["caller", "newcomer"])
@pytest.mark.parametrize("modes", [(MUST_ON, OFF), (OFF, MUST_ON)], ids=["relayed", "direct"])
def test_a_call_that_another_phone_has_taken_over_stays_relayed_or_direct_as_it_was(modes, who, engine):
    """The terms of that phone decided its next offer: with another origin, which both sides refuse."""
    rtpengines = VirtualRtpEngines() if engine == "rtpengine" else None
    content = catalogue(
        [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)],
        phones=[
            phone(name, account="office", media=MediaSettings(mode=mode))
            for name, mode in zip((DESK, MATE), modes, strict=True)
        ],
        accounts=[account("office", overdraft_limit=None)],
        media=MediaParameters(engine=ENGINES[engine], mode=AUTO),
    )
    scene = Scene(content, relay=None if rtpengines else VirtualRelay(), rtpengines=rtpengines)
    desk, mate = registered(scene)
    call, at_desk = called(scene, desk)
    newcomer = mate.call(DESK, Intent(headers=(f"Replaces: {at_desk.replaces}",)))
    scene.wire.run_for(1_000)
    hosts = host_of(call), host_of(newcomer)
    assert (newcomer.final, is_direct(call), is_direct(newcomer)) == (200, modes[0] is OFF, modes[0] is OFF)
    holder = call if who == "caller" else newcomer
    scene.propose(holder, "a=sendonly")
    assert (holder.got["INVITE"], host_of(call), host_of(newcomer)) == ([200], *hosts)
    scene.hang_up(call)
    settle(scene)


@pytest.mark.parametrize("what", ["is cancelled", "has no ports", "is not for it", "far side hangs up"])
def test_a_call_is_paid_for_whatever_becomes_of_the_200_to_who_takes_its_calling_side_over(what):
    """It was recorded as never answered, and the customer did not pay for the minutes before."""
    rtpengines = VirtualRtpEngines(60)
    takes = MediaSettings(encryption=Encryption.REQUIRED) if what == "is not for it" else MediaSettings()
    content = catalogue(
        [vendor_gateway(0)],
        phones=[phone(DESK, account="office"), phone(MATE, account="office", media=takes)],
        accounts=[account("office", overdraft_limit=None)],
        media=MediaParameters(engine=MediaEngine.RTPENGINE, mode=OFF if what == "is not for it" else MUST_ON),
    )
    scene = Scene(content, rtpengines=rtpengines)
    desk, mate = registered(scene)
    replaced = dialled(scene, desk, TARGET)
    (other,) = scene.vendor.calls
    scene.wire.run_for(19_000)
    encrypted = f"{OFFER.replace('RTP/AVP', 'RTP/SAVP')}a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{40 * 'A'}\r\n"
    offer = encrypted if what == "is not for it" else OFFER
    newcomer = mate.call(DESK, Intent(offer=offer, headers=(f"Replaces: {replaced.replaces}",)))
    scene.wire.run_until(lambda: replaced.is_over)
    assert newcomer.final is None
    match what:
        case "is cancelled":
            newcomer.cancel()
        case "has no ports":
            for engine in tuple(rtpengines.up):
                rtpengines.lose(engine)
        case "far side hangs up":
            other.hang_up()
    scene.wire.run_for(5_000)
    assert (newcomer.final == 200) is (what == "is cancelled")
    if not other.is_over:
        other.hang_up()
    scene.expect_nothing_left()
    (record,) = scene.exchange.sink.records
    assert record.answered_at is not None
    assert record.billed_seconds >= 20
    assert record.fee > 0


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("holds", [(), ("inactive",), ("inactive", "sendrecv")])
def test_a_telephone_that_has_talked_to_a_relayed_target_talks_to_its_party_directly_again(holds, engine):
    """RFC 3264 section 8: it refuses a description that has the version of another one."""
    scene = stage((AUTO, OFF, MUST_ON), engine, music_on_hold="busy")
    call = talking(scene, NUMBERS[0])
    (party,) = scene.vendors[0].calls
    press(scene, call, f"*2{NUMBERS[1]}#")
    scene.wire.run_for(4_000)
    assert not is_direct(call)
    for hold in holds:
        scene.propose(call, f"a={hold}")
    press(scene, call, "*0")
    scene.wire.run_for(4_000)
    assert not call.is_over
    assert are_connected(call, party)
    assert (is_direct(call), is_direct(party)) == (True, True)
    call.hang_up()
    settle(scene)


def test_a_target_that_answers_with_a_hold_may_be_silent_as_long_as_any_on_hold():
    """It answers the offer that a transfer makes it, not one of the other side."""
    scene = stage((ON, ON, ON), terms={"watch": MediaWatch.ANY, "timeout_ms": 20_000, "hold_timeout_ms": 60_000})
    calls = [talking(scene, number) for number in NUMBERS]
    (party,), (target,) = scene.vendors[0].calls, scene.vendors[1].calls
    target.will("INVITE", Reply(200, revised(target.mine, "a=inactive")))
    attended(*calls)
    scene.wire.run_for(40_000)
    assert "a=inactive" in party.theirs
    assert (party.is_over, target.is_over) == (False, False)
    scene.wire.run_for(40_000)
    assert (party.is_over, target.is_over) == (True, True)
    settle(scene)


def stage_with_music(engine: str, **terms):
    """Return a scene with music on hold, and a function that says whether a side has it."""
    relay, engines = VirtualRelay(), VirtualRtpEngines() if engine == "rtpengine" else None
    scene = stage((ON, ON, ON), engine, relay, terms=terms, engines=engines, music_on_hold="busy")

    def has_music(side) -> bool:
        port = media_of(side.theirs.encode())[0].port
        if engines is None:
            return relay.at(port).playing is not None
        legs = {(call, leg): ports for (_, call), each in engines.calls.items() for leg, ports in each.items()}
        return any(port in legs[playing] for playing in engines.playing)

    return scene, has_music


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("who", ["target", "target, refused", "party", "party, blind"])
@pytest.mark.parametrize("hold", ["a=sendonly", "a=inactive"])
def test_a_side_that_is_offered_the_hold_by_which_the_other_one_answers_has_music(hold, who, engine):
    """The answer of the side that is offered the hold is sent on to no other, so the music begins with the offer."""
    scene, has_music = stage_with_music(engine)
    call = talking(scene, NUMBERS[0])
    (party,) = scene.vendors[0].calls
    if who == "party, blind":
        party.will("INVITE", Reply(200, revised(party.mine, hold)))
        blind(call, NUMBERS[1])
    else:
        other = talking(scene, NUMBERS[1])
        holder = party if who == "party" else scene.vendors[1].calls[0]
        holder.will("INVITE", Reply(200, revised(holder.mine, hold)))
        if who == "target, refused":
            party.will("INVITE", Reply(200, revised(party.mine)), Reply(488))
        attended(call, other)
    scene.wire.run_for(6_000)
    (target,) = scene.vendors[1].calls
    held, holder = (target, party) if who.startswith("party") else (party, target)
    assert "a=sendonly" in held.asked["INVITE"][-1].body
    assert (has_music(held), has_music(holder)) == (True, False)
    scene.propose(holder, "a=sendrecv")
    assert not has_music(held)
    party.hang_up()
    settle(scene)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("by", ["party", "switch"])
def test_a_refresh_of_a_party_that_has_refused_the_hold_of_a_target_leaves_music_and_silence_as_on_hold(by, engine):
    """It repeats the description before, which says nothing new of the target: that one holds on."""
    terms = {"watch": MediaWatch.ANY, "timeout_ms": 20_000, "hold_timeout_ms": 600_000}
    scene, has_music = stage_with_music(engine, **terms)
    if by == "switch":
        scene.vendors[0].script = answers_timed("90;refresher=uac", knows_update=False)
    calls = [talking(scene, number) for number in NUMBERS]
    (party,), (target,) = scene.vendors[0].calls, scene.vendors[1].calls
    target.will("INVITE", Reply(200, revised(target.mine, "a=sendonly")))
    party.will("INVITE", Reply(200, revised(party.mine)), Reply(488))
    attended(*calls)
    scene.wire.run_for(5_000)
    asked = len(party.asked["INVITE"])
    if by == "party":
        party.ask("INVITE", body=party.mine)
        scene.wire.run_for(1_000)
        assert (party.got["INVITE"], len(target.asked["INVITE"])) == ([200], 1)
    else:
        scene.wire.run_for(45_000)
        assert len(party.asked["INVITE"]) == asked + 1
    assert has_music(party)
    scene.wire.run_for(60_000)
    assert (party.is_over, target.is_over) == (False, False)
    scene.propose(target, "a=sendrecv")
    assert not has_music(party)
    party.hang_up()
    settle(scene)


@pytest.mark.parametrize("limited", [0, 1], ids=["the first side", "the second side"])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_side_that_may_not_be_sent_the_codec_that_the_other_has_chosen_before_is_offered_all_of_that_one(
    engine, limited
):
    """One trunk takes PCMU alone, and the other party had chosen G722 of both."""
    scene = stage((ON, ON, ON), engine)
    content = scene.exchange.switch.catalogue
    vendor = content.routing_gateways[f"vendor-{limited}"]
    media = msgspec.structs.replace(vendor.media, codecs=("PCMU",))
    trunks = [*content.mapping_gateways.values(), *content.routing_gateways.values()]
    trunks[1 + limited] = msgspec.structs.replace(vendor, media=media)
    scene.exchange.swap_catalogue(catalogue(trunks, media=content.parameters.media))
    all_codecs = (("RTP/AVP 0", "RTP/AVP 9 0"), ("a=rtpmap:0", "a=rtpmap:9 G722/8000\r\na=rtpmap:0"))
    answer = ANSWER.replace("192.0.2.20", "192.0.2.30")
    chosen = answer.replace("RTP/AVP 0", "RTP/AVP 9").replace("0 PCMU", "9 G722")
    scene.vendors[1 - limited].script = answers(1_000, body=chosen)
    offer = OFFER
    for before, now in all_codecs:
        offer, answer = offer.replace(before, now), answer.replace(before, now)
    calls = [scene.answered_call(Intent(offer), callee=number, talk_ms=1_000) for number in NUMBERS]
    (one,), (other,) = (scene.vendors[index].calls for index in (limited, 1 - limited))
    assert "G722" in other.mine
    other.will("INVITE", Reply(200, revised(answer)))
    attended(*calls)
    scene.wire.run_for(3_000)
    assert (one.is_over, other.is_over) == (False, False)
    assert [each.codecs[0] for side in (one, other) for each in media_of(side.theirs.encode())] == ["PCMU", "PCMU"]
    one.hang_up()
    settle(scene)


@pytest.mark.parametrize("video", ["", "m=video 0 RTP/AVP 31\r\n"], ids=["audio alone", "video before the audio"])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_side_that_has_another_place_in_each_answer_is_sent_media_at_the_last_one(engine, video):
    """No other side is sent the third answer: it has the same port of the relay in any case.

    The other side may have rejected video before its audio, which the first one never had.
    """
    relay, engines = VirtualRelay(), VirtualRtpEngines() if engine == "rtpengine" else None
    scene = stage((ON, ON, ON), engine, relay=relay, engines=engines)
    calls = [talking(scene, NUMBERS[0])]
    scene.vendors[1].script = answers(
        body=ANSWER.replace("192.0.2.20", "192.0.2.30").replace("m=audio", f"{video}m=audio")
    )
    with_video = Intent(OFFER.replace("m=audio", f"{video.replace(' 0 ', ' 4002 ')}m=audio"))
    calls.append(scene.answered_call(with_video, callee=NUMBERS[1], talk_ms=1_000))
    (party,), (target,) = scene.vendors[0].calls, scene.vendors[1].calls
    for side in (party, target):
        ports = audio_of(side.mine).port, *(31_000 + 2 * number for number in range(3))
        answered = [side.mine]
        for before, now in pairwise(ports):
            answered.append(revised(answered[-1]).replace(f"m=audio {before} ", f"m=audio {now} "))
        side.will("INVITE", *(Reply(200, answer) for answer in answered[1:]))
    attended(*calls)
    scene.wire.run_for(3_000)
    assert [len(side.asked["INVITE"]) for side in (party, target)] == [2, 1]

    def expected(side):
        if engines is None:
            return relay.at(audio_of(side.theirs).port).source.rtp
        given = [audio_of(each.sdp) for each in engines.sessions]
        return next(each.port for each in reversed(given) if each.host == host_in(side.mine))

    assert [expected(party), expected(target)] == [31_002, 31_000]
    before = target.theirs
    target.ask("INVITE", body=target.mine)  # a refresh, which is answered by the description that it has
    scene.wire.run_for(1_000)
    assert (target.got["INVITE"], target.theirs) == ([200], before)
    assert [expected(party), expected(target)] == [31_002, 31_000]
    party.hang_up()
    settle(scene)


def test_an_offer_that_is_sent_again_has_the_place_that_it_names():
    engines = VirtualRtpEngines()
    scene = stage((ON, ON, ON), "rtpengine", engines=engines)
    call = talking(scene, NUMBERS[0])
    (party,) = scene.vendors[0].calls
    party.will("INVITE", Reply(491))
    port = media_of(call.mine.encode())[0].port
    call.ask("INVITE", body=revised(call.mine).replace(f"m=audio {port} ", "m=audio 31000 "))
    scene.wire.run_for(6_000)
    assert (len(party.asked["INVITE"]), call.got["INVITE"]) == (2, [200])
    given = [media_of(each.sdp.encode())[0] for each in engines.sessions]
    assert next(each.port for each in reversed(given) if each.host == host_in(call.mine)) == 31_000
    call.hang_up()
    settle(scene)


@pytest.mark.parametrize("when", ["as it moves", "before it moves"])
def test_a_party_that_moves_while_it_is_transferred_is_sent_media_at_its_new_place(when):
    """The gateways of the target are sent the session of before; where none answers, the two go on."""
    relay = VirtualRelay()
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), *(vendor_gateway(index) for index in range(2))]
    scene = Scene(catalogue(trunks, media=MediaParameters(engine=MediaEngine.RELAY, mode=ON)), relay=relay)
    call, party = scene.talk()
    moved = revised(party.mine).replace("m=audio 30000 ", "m=audio 31000 ")
    scene.vendor.script, scene.vendors[1].script = refuses(503, 3_000), refuses(503)
    if when == "as it moves":
        party.ask("INVITE", body=moved)
        scene.wire.run_for(1)
    blind(call, TARGET)
    scene.wire.run_for(1_000)
    if when == "before it moves":
        party.ask("INVITE", body=moved)
    scene.wire.run_for(5_000)
    assert (len(scene.vendor.calls), len(scene.vendors[1].calls)) == (2, 1)
    assert (party.mine, party.got, call.is_over, party.is_over) == (moved, {"INVITE": [200]}, False, False)
    assert relay.at(media_of(party.theirs.encode())[0].port).source.rtp == 31_000
    scene.expect_nothing_left(call)
