"""Targets of blind transfers that lack the one codec of the party's answer, which has others (RFC 3264 section 6.1)."""

import pytest
from doubles.data.builders import catalogue, mapping_gateway
from doubles.data.sessions import revised
from doubles.keypad_scene import keypad_scene, press
from doubles.killed import KilledScene
from doubles.sockets.peer import ANSWER, OFFER
from doubles.successor import replace_node
from doubles.virtual.customer import Intent, OutgoingCall
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.rtpengines import VirtualRtpEngines, key_in
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from doubles.virtual.side import SILENCE, Reply
from doubles.virtual.vendor import IncomingCall, answers, refuses
from msgspec.structs import replace

from vosd.media.rtpengine_orders import RtpAnswer, RtpOffer
from vosd.trunks.dialect import CallerDialect
from vosd.trunks.media import Encryption, MediaEngine, MediaMode, MediaParameters, MediaSettings

TARGET = "442071111111"
PCMA = ANSWER.replace("AVP 0 101", "AVP 8").replace(
    "a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event", "a=rtpmap:8 PCMA"
)
BOTH = revised(PCMA).replace("AVP 8", "AVP 8 0").replace("PCMA/8000\r\n", "PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n")
OFFERED = OFFER.replace("AVP 0 101", "AVP 0 8 101")
AGREES = answers(500, body=ANSWER)


@pytest.fixture
def scene():
    """A switch with a single gateway: no other one could take the call to the target."""
    return Scene(catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]))


def talking(scene: Scene) -> tuple[OutgoingCall, IncomingCall]:
    """Return a call whose party has answered by PCMA alone."""
    scene.vendor.script = answers(500, body=PCMA)
    call = scene.caller.call(CALLEE, Intent(offer=OFFERED))
    scene.wire.run_for(2_000)
    return call, scene.vendor.only_call


def transferred(scene: Scene, call: OutgoingCall, *, status: int = 488, refuses_after_ms: int = 100) -> None:
    """Transfer a call to a target that refuses the offer."""
    scene.vendor.by_number = {TARGET: refuses(status, refuses_after_ms)}
    call.ask("REFER", headers=[f"Refer-To: <sip:{TARGET}@192.0.2.1>"])
    scene.wire.run_until(lambda: len(scene.vendor.calls) == 2)
    scene.vendor.by_number = {TARGET: AGREES}


def told(call: OutgoingCall) -> list[str]:
    return [notify.body.removeprefix("SIP/2.0 ").strip() for notify in call.asked["NOTIFY"]]


def media_of(session: str) -> str:
    return session.partition("\r\nt=")[2]


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_party_that_refreshes_before_it_has_made_the_offer_is_to_do_so_later(scene, method):
    """RFC 3261 section 14.2, RFC 3311 section 5.2: our INVITE is in progress."""
    call, party = talking(scene)
    party.will("INVITE", Reply(200, BOTH, after_ms=1_000))
    transferred(scene, call)
    scene.wire.run_until(lambda: party.asked["INVITE"] != [])
    asking = party.ask(method, body=party.mine)
    scene.wire.run_for(100)
    assert asking.final.status == 491
    scene.wire.run_for(10_000)
    assert told(call)[-1] == "200 OK"
    scene.expect_nothing_left(party)


def expect_connected(scene: Scene, call: OutgoingCall, there: IncomingCall, *, asked: int = 2) -> None:
    """Check that the party was asked for an offer, which the target has got, and that both talk."""
    _, refused, target = scene.vendor.calls
    assert [bool(each.body) for each in there.asked["INVITE"]] == [False] * (asked - 1) + [True]
    assert "AVP 8\r\n" in refused.invite.body
    assert "AVP 8 0\r\n" in target.invite.body
    assert "AVP 0 101\r\n" in there.asked["INVITE"][-1].body
    assert not there.is_over
    assert not target.is_over
    there.hang_up()
    scene.wire.run_until(lambda: target.is_over)
    scene.expect_nothing_left()
    to_target, to_party = sorted(scene.exchange.sink.records, key=lambda record: record.callee_in)
    assert [attempt.code for attempt in to_target.attempts] == [refused.final, 200]
    assert {record.end_reason for record in (to_target, to_party)} == {"Normal"}
    assert to_target.ended_at == to_party.ended_at


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("status", [488, 606])
def test_a_target_that_lacks_the_codec_of_the_party_is_offered_all_that_this_has(scene, status, is_restarted):
    call, there = talking(scene)
    there.will("INVITE", Reply(body=BOTH, after_ms=300))
    transferred(scene, call, status=status)
    said = there.theirs
    scene.wire.run_until(lambda: bool(there.asked["INVITE"]))
    if is_restarted:
        replace_node(scene)
    scene.wire.run_until(lambda: bool(there.acks[1:]))
    assert there.acks[-1].body == said  # the session with the transferor goes on
    scene.wire.run_for(5_000)
    assert told(call) == ["100 Trying", "180 Ringing", "200 OK"]
    assert call.is_over
    assert not call.asked["INVITE"]
    expect_connected(scene, call, there)


@pytest.mark.parametrize("leaves_after_ms", [50, 250])
def test_it_is_so_where_the_transferor_has_left(scene, leaves_after_ms):
    call, there = talking(scene)
    there.will("INVITE", Reply(body=BOTH, after_ms=300))
    transferred(scene, call)
    scene.wire.run_for(leaves_after_ms)
    call.hang_up()
    scene.wire.run_for(5_000)
    expect_connected(scene, call, there)


@pytest.mark.parametrize("held", ["a=sendonly", "a=inactive"])
def test_a_party_on_hold_stays_so_until_the_target_answers(scene, held):
    call, there = talking(scene)
    scene.propose(call, held)
    there.asked["INVITE"].clear()
    there.will("INVITE", Reply(body=revised(BOTH)))
    transferred(scene, call)
    scene.wire.run_until(lambda: len(scene.vendor.calls) == 3)
    assert held in there.theirs
    scene.wire.run_for(5_000)
    assert held not in there.theirs
    expect_connected(scene, call, there)


@pytest.mark.parametrize("engine", [MediaEngine.RELAY, MediaEngine.RTPENGINE])
@pytest.mark.parametrize("mode", [MediaMode.ON, MediaMode.OFF])
@pytest.mark.parametrize("succeeds", [True, False])
def test_relayed_media_go_on_meanwhile(engine, mode, succeeds):
    relay, engines = VirtualRelay(), VirtualRtpEngines()
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    held = {"relay": relay} if engine is MediaEngine.RELAY else {"rtpengines": engines}
    scene = Scene(catalogue(trunks, media=MediaParameters(engine=engine, mode=mode)), **held)
    call, there = talking(scene)
    there.will("INVITE", Reply(body=BOTH))
    transferred(scene, call)
    said = there.theirs
    scene.wire.run_until(lambda: bool(there.acks[1:]))
    assert there.acks[-1].body == said
    if succeeds:
        scene.wire.run_for(5_000)
        expect_connected(scene, call, there)
    else:
        scene.vendor.by_number = {TARGET: refuses(486)}
        scene.wire.run_for(5_000)
        scene.propose(call, "a=sendonly")
        assert "a=sendonly" in there.theirs
        scene.propose(there, "a=sendrecv")
        assert there.got["INVITE"] == call.got["INVITE"] == [200]
        scene.expect_nothing_left(call)
    assert relay.open_ports == engines.calls == {}


@pytest.mark.parametrize("engine", [MediaEngine.RELAY, MediaEngine.RTPENGINE])
def test_it_is_so_where_the_trunk_of_the_target_may_have_no_other_codec(engine):
    own = vendor_gateway(0, denied_prefixes=(TARGET,))
    only_pcmu = MediaSettings(codecs=("pcmu",))
    its = replace(vendor_gateway(0, prefixes=(TARGET,), media=only_pcmu), name="vendor-1")
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), own, its]
    held = {"relay": VirtualRelay()} if engine is MediaEngine.RELAY else {"rtpengines": VirtualRtpEngines()}
    scene = Scene(catalogue(trunks, media=MediaParameters(engine=engine, mode=MediaMode.ON)), **held)
    call, there = talking(scene)
    there.will("INVITE", Reply(body=BOTH))
    scene.vendor.by_number = {TARGET: AGREES}
    call.ask("REFER", headers=[f"Refer-To: <sip:{TARGET}@192.0.2.1>"])
    scene.wire.run_for(5_000)
    assert told(call) == ["100 Trying", "180 Ringing", "200 OK"]
    _, target = scene.vendor.calls
    assert "AVP 0\r\n" in target.invite.body
    there.hang_up()
    scene.wire.run_until(lambda: target.is_over)
    scene.expect_nothing_left()


@pytest.mark.parametrize(
    ("reply", "asked"),
    [(Reply(488), 1), (Reply(500), 1), (Reply(491), 5), (Reply(body=""), 1), (Reply(body=revised(PCMA)), 1)],
)
def test_a_transfer_fails_where_the_party_offers_no_other_codecs(scene, reply, asked):
    call, there = talking(scene)
    there.will("INVITE", *[reply] * 5)
    transferred(scene, call)
    scene.wire.run_for(25_000)
    assert told(call) == ["100 Trying", "488 Not Acceptable Here"]
    assert len(scene.vendor.calls) == 2
    assert len(there.asked["INVITE"]) == asked
    there._replies.clear()
    scene.propose(call, "a=sendonly")
    assert "a=sendonly" in there.theirs
    assert call.got["INVITE"][-1] == 200
    scene.expect_nothing_left(call)


def test_a_party_is_asked_once(scene):
    call, there = talking(scene)
    there.will("INVITE", Reply(body=BOTH))
    transferred(scene, call)
    scene.vendor.by_number = {TARGET: refuses(488)}
    scene.wire.run_for(5_000)
    assert told(call) == ["100 Trying", "488 Not Acceptable Here"]
    assert len(scene.vendor.calls) == 3
    assert len(there.asked["INVITE"]) == 1
    scene.expect_nothing_left(call)


@pytest.mark.parametrize("ends", ["party", "transferor and party", "time"])
def test_a_transfer_that_ends_while_the_party_is_asked_calls_no_target(scene, ends):
    call, there = talking(scene)
    there.will("INVITE", Reply(100) if ends == "time" else Reply(body=BOTH, after_ms=2_000))
    transferred(scene, call)
    scene.wire.run_until(lambda: bool(there.asked["INVITE"]))
    if ends == "transferor and party":
        call.hang_up()
        scene.wire.run_for(100)
    if ends == "time":
        scene.wire.run_for(31_000)
        assert told(call)[-1] == "487 Request Terminated"
        assert bool(there.asked["CANCEL"])
        scene.expect_nothing_left(call)
    else:
        there.hang_up()
        scene.wire.run_for(5_000)
        assert call.is_over
        scene.expect_nothing_left()
    assert len(scene.vendor.calls) == 2


def test_a_party_that_has_vanished_ends_the_call(scene):
    call, there = talking(scene)
    transferred(scene, call)
    there.gone = 481
    scene.wire.run_for(5_000)
    assert call.is_over
    assert len(scene.vendor.calls) == 2
    scene.expect_nothing_left()


@pytest.mark.parametrize("reply", [SILENCE, Reply(408)])
def test_a_party_that_ignores_a_request_without_description_talks_on(reply):
    trunk = mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=CallerDialect(transfer_timeout_ms=60_000))
    scene = Scene(catalogue([trunk, vendor_gateway(0)]))
    call, there = talking(scene)
    there.will("INVITE", reply)
    transferred(scene, call)
    scene.wire.run_for(40_000)
    assert told(call) == ["100 Trying", "488 Not Acceptable Here"]
    assert not there.is_over
    scene.expect_nothing_left(call)


def test_the_transferor_is_told_where_the_party_has_moved_its_media(scene):
    call, there = talking(scene)
    there.will("INVITE", Reply(body=BOTH.replace("30000", "30010")))
    transferred(scene, call)
    scene.vendor.by_number = {TARGET: refuses(486)}
    scene.wire.run_for(5_000)
    assert "m=audio 30010 " in call.theirs
    assert told(call) == ["100 Trying", "486 Busy Here"]
    scene.expect_nothing_left(call)


def sealed(session: str, key: str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz") -> str:
    return f"{session.replace('RTP/AVP', 'RTP/SAVP')}a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}\r\n"


def test_a_party_whose_keys_pass_to_the_transferor_is_not_asked(scene):
    """Other keys of its would have to go to the transferor, too."""
    scene.vendor.script = answers(500, body=sealed(PCMA))
    call = scene.caller.call(CALLEE, Intent(offer=sealed(OFFERED)))
    scene.wire.run_for(2_000)
    transferred(scene, call)
    scene.wire.run_for(2_000)
    assert told(call) == ["100 Trying", "488 Not Acceptable Here"]
    assert not scene.vendor.calls[0].asked["INVITE"]
    scene.expect_nothing_left(call)


SEALED = MediaSettings(encryption=Encryption.REQUIRED)


def sealed_scene(
    offer: str = OFFERED, customer: MediaSettings | None = None
) -> tuple[Scene, OutgoingCall, IncomingCall, VirtualRtpEngines]:
    """Return a call whose party has answered by PCMA alone, and by a key for an rtpengine."""
    own = vendor_gateway(0, denied_prefixes=(TARGET,), media=SEALED)
    plain = replace(vendor_gateway(0, prefixes=(TARGET,)), name="vendor-1")
    media = customer or MediaSettings()
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32", media=media), own, plain]
    engines = VirtualRtpEngines()
    scene = Scene(catalogue(trunks, media=MediaParameters(engine=MediaEngine.RTPENGINE)), rtpengines=engines)
    scene.vendor.script = answers(500, body=sealed(PCMA))
    call = scene.caller.call(CALLEE, Intent(offer=offer))
    scene.wire.run_for(2_000)
    return scene, call, scene.vendor.only_call, engines


def test_an_encrypted_party_is_not_asked_while_the_transferor_is_encrypted_too():
    """It would have to be sent other keys: both would be silent, also where the transfer fails."""
    scene, call, there, engines = sealed_scene(sealed(OFFERED), SEALED)
    transferred(scene, call)
    scene.wire.run_for(2_000)
    assert told(call) == ["100 Trying", "488 Not Acceptable Here"]
    assert not there.asked["INVITE"]
    scene.expect_nothing_left(call)
    assert engines.calls == {}


def test_a_party_whose_encryption_ends_at_an_rtpengine_is_asked():
    """The rtpengine gets the offer, which the transferor is not sent: the answer has the keys for that one."""
    scene, call, there, engines = sealed_scene()
    offered = sealed(BOTH, "b" * 40)
    there.will("INVITE", Reply(body=offered))
    transferred(scene, call)
    given = len(engines.orders)
    scene.wire.run_until(lambda: bool(there.acks[1:]))
    offer, answer = (
        next(each for each in engines.orders[given:] if isinstance(each, kind)) for kind in (RtpOffer, RtpAnswer)
    )
    assert (offer.sdp, offer.author, offer.reader) == (offered, answer.author, answer.reader)
    assert key_in(there.acks[-1].body)
    assert not call.asked["INVITE"]
    scene.wire.run_for(5_000)
    expect_connected(scene, call, there, asked=len(there.asked["INVITE"]))
    assert engines.calls == {}


@pytest.mark.parametrize("leaves_after_ms", [50, 250])
def test_an_encrypted_party_gets_one_key_by_the_tag_of_its_offer_where_the_transferor_has_left(leaves_after_ms):
    """The switch has the keys that it has offered: the answer has one of them (RFC 4568 section 5.1.3)."""
    scene, call, there, engines = sealed_scene()
    ours = key_in(there.theirs)
    assert there.theirs.count("a=crypto:") > 1
    there.will("INVITE", Reply(body=sealed(BOTH, "b" * 40).replace("crypto:1", "crypto:7"), after_ms=300))
    transferred(scene, call)
    scene.wire.run_for(leaves_after_ms)
    call.hang_up()
    scene.wire.run_until(lambda: bool(there.acks[1:]))
    keys = [line for line in there.acks[-1].body.splitlines() if line.startswith("a=crypto:")]
    assert keys == [f"a=crypto:7 AES_CM_128_HMAC_SHA1_80 inline:{ours}"]
    scene.wire.run_for(5_000)
    expect_connected(scene, call, there)
    assert engines.calls == {}


def test_a_kill_while_the_party_is_asked_ends_the_transfer_alone(tmp_path):
    scene = KilledScene(tmp_path, catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]))
    call, there = talking(scene)
    there.will("INVITE", Reply(body=BOTH, after_ms=1_000))
    transferred(scene, call)
    scene.wire.run_until(lambda: bool(there.asked["INVITE"]))
    scene.kill(then_ms=5_000)
    assert told(call) == ["100 Trying", "503 Service Unavailable"]
    assert len(scene.vendor.calls) == 2
    assert not there.is_over
    scene.propose(call, "a=sendonly")
    assert "a=sendonly" in there.theirs
    scene.expect_nothing_left(call)


def consulting(*replies: Reply) -> tuple[Scene, OutgoingCall, IncomingCall]:
    """Return a telephone that wants to talk to the target first, and was asked for its offer."""
    scene = keypad_scene()
    call = scene.answered_call(Intent(offer=OFFERED), talk_ms=1_000)
    call.will("INVITE", *replies)
    scene.vendor.by_number = {TARGET: refuses(488, 100)}
    press(scene, call, f"*2{TARGET}#", 50)
    scene.wire.run_until(lambda: len(scene.vendor.calls) == 2)
    scene.vendor.by_number = {TARGET: AGREES}
    scene.wire.run_until(lambda: bool(call.asked["INVITE"]))
    return scene, call, scene.vendor.calls[0]


def test_a_telephone_that_wants_to_talk_to_the_target_first_is_asked_for_its_offer():
    scene, call, there = consulting(Reply(body=revised(OFFERED).replace("AVP 0 8 101", "AVP 0 8 9 101")))
    scene.wire.run_for(3_000)
    assert [bool(each.body) for each in call.asked["INVITE"]] == [False, True]
    assert "AVP 0 8 9 101\r\n" in scene.vendor.calls[-1].invite.body
    assert media_of(call.theirs) == media_of(scene.vendor.calls[-1].mine)
    call.hang_up()
    scene.wire.run_for(3_000)
    assert media_of(there.theirs) == media_of(scene.vendor.calls[-1].mine)
    scene.expect_nothing_left(there)


@pytest.mark.parametrize("reply", [SILENCE, Reply(100), Reply(481, after_ms=2_000), Reply(491)])
@pytest.mark.parametrize("keys", ["", "*9"])
def test_it_is_asked_no_more_once_it_has_left(reply, keys):
    """The target is called at once for the side that stays."""
    scene, call, there = consulting(reply)
    if keys:
        press(scene, call, keys, 10)
    else:
        call.hang_up()
    scene.wire.run_for(3_000)
    target = scene.vendor.calls[-1]
    assert len(call.asked["INVITE"]) == 1
    assert media_of(target.invite.body) == media_of(there.mine)
    assert media_of(there.theirs) == media_of(target.mine)
    assert call.is_over
    scene.wire.run_for(40_000)
    assert not there.is_over
    assert not target.is_over
    scene.expect_nothing_left(there)


def test_the_vendor_of_a_target_is_not_paid_while_the_party_is_asked():
    content = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    scene = Scene(catalogue(content, charges_ringing=True))
    call, there = talking(scene)
    there.will("INVITE", Reply(body=revised(PCMA), after_ms=9_000))
    transferred(scene, call, refuses_after_ms=2_000)
    scene.wire.run_until(lambda: told(call)[-1:] == ["488 Not Acceptable Here"])
    record = scene.exchange.sink.records[-1]
    assert (record.callee_in, record.attempts[-1].ms // 1_000) == (TARGET, 2)
    assert record.vendor_billing_base_ms == record.attempts[-1].ms
    assert record.billing_base_ms // 1_000 == 11
    scene.expect_nothing_left(call)


def test_nor_is_it_where_the_switch_is_killed_meanwhile(tmp_path):
    content = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    scene = KilledScene(tmp_path, catalogue(content, charges_ringing=True))
    call, there = talking(scene)
    there.will("INVITE", Reply(body=revised(PCMA), after_ms=9_000))
    transferred(scene, call, refuses_after_ms=2_000)
    scene.wire.run_until(lambda: there.asked["INVITE"] != [])
    scene.wire.run_for(5_000)
    scene.kill()
    scene.wire.run_for(1_000)
    (record,) = (each for each in scene.sink.all_records if each.callee_in == TARGET)
    assert (record.end_reason, record.vendor_billing_base_ms // 1_000) == ("Lost", 2)
    assert record.billing_base_ms // 1_000 in {6, 7}
