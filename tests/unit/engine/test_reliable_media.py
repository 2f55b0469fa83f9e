"""Reliable responses and PRACKs whose session descriptions cannot be relayed (RFC 3262 section 5, RFC 6337)."""

import pytest
from doubles.data.builders import catalogue, mapping_gateway
from doubles.data.sessions import revised
from doubles.killed import KilledScene
from doubles.sockets.peer import ANSWER, OFFER
from doubles.virtual.customer import KNOWS_UPDATE, SUPPORTS_100REL, Intent
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.rtpengines import VirtualRtpEngines
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, sides, vendor_gateway
from doubles.virtual.side import Reply
from doubles.virtual.vendor import Line, Script

from vosd.media.rtpengine_orders import RtpAnswer, RtpOffer, RtpReply
from vosd.sdp.media import media_of
from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters, MediaSettings

BROKEN = ANSWER.replace("30000", "70000")
OTHER_ANSWER = ANSWER.replace("192.0.2.20", "192.0.2.30")
ANSWERS = Script((Line(0, 200, OTHER_ANSWER),))
SETTLES = Script((Line(0, 100), Line(0, 183, ANSWER, KNOWS_UPDATE, True), Line(3_000, 200)))


def relaying(relay=None, **caller):
    """Return a scene with two vendors whose switch relays; ``caller`` are keys of the caller's trunk about media."""
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32", media=MediaSettings(**caller))]
    trunks += [vendor_gateway(index) for index in range(2)]
    media = MediaParameters(engine=MediaEngine.RELAY, mode=MediaMode.ON)
    return Scene(catalogue(trunks, media=media), relay=relay or VirtualRelay())


class Failing(VirtualRtpEngines):
    """Rtpengines that refuse answers, or say nothing to them, while a test wants it."""

    fails = ""

    def ask(self, order, done, **more):
        self.is_silent = self.fails == "silent" and isinstance(order, RtpAnswer)
        return super().ask(order, done, **more)

    def _reply(self, engine, order):
        is_refused = self.fails == "refused" and isinstance(order, RtpAnswer)
        return RtpReply("error") if is_refused else super()._reply(engine, order)


def with_rtpengines():
    """Return the configuration of a switch with two vendors whose media rtpengines relay."""
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), *(vendor_gateway(index) for index in range(2))]
    return catalogue(trunks, media=MediaParameters(engine=MediaEngine.RTPENGINE, mode=MediaMode.ON))


def at_rtpengines():
    """Return a scene with two vendors whose media rtpengines relay, and these."""
    engines = Failing()
    return Scene(with_rtpengines(), rtpengines=engines), engines


def host(response):
    return media_of(response.body.encode())[0].host


@pytest.mark.parametrize("final", ["", ANSWER])
@pytest.mark.parametrize(
    "intent", [Intent(), Intent(headers=SUPPORTS_100REL), Intent(offer="", headers=SUPPORTS_100REL)]
)
@pytest.mark.parametrize(
    ("early", "more"), [(BROKEN, {}), (ANSWER.replace("RTP/AVP 0", "RTP/AVP 8"), {"codecs": ("PCMU",)})]
)
def test_an_attempt_ends_by_a_reliable_answer_that_the_caller_cannot_be_sent(intent, early, more, final):
    """It is the answer, whatever the 200 has: the vendor is cancelled, and charges nothing."""
    scene = relaying(**more)
    scene.vendor.script = Script((Line(0, 183, early, (), True), Line(5_000, 200, final)))
    scene.vendors[1].script = ANSWERS
    call = scene.answered_call(intent, talk_ms=1_000)
    left = scene.vendor.only_call
    assert (left.is_cancelled, left.final) == (True, 487)
    assert len(left.asked["PRACK"]) == bool(intent.offer)  # an offer would want an answer
    assert [response.status for response in call.responses] == [100, 200]
    assert host(call.response(200)) == "192.0.2.1"
    assert [(row.gateway, row.code, row.reason) for row in scene.finish(call).attempts] == [
        ("vendor-0", 0, "No Common Codec"),
        ("vendor-1", 200, "Answered"),
    ]


def test_a_call_whose_only_reliable_answer_cannot_be_relayed_ends_with_488():
    scene = relaying()
    for vendor in scene.vendors:
        vendor.script = Script((Line(0, 183, BROKEN, (), True), Line(5_000, 200)))
    call = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: call.final == 488)
    assert scene.close().end_reason == "No Common Codec"


def test_a_settled_gateway_goes_on_when_it_repeats_another_description_that_cannot_be_relayed():
    """A description after the answer counts for nothing (RFC 3261 section 13.2.1)."""
    scene = relaying()
    lines = Line(0, 183, ANSWER, (), True), Line(500, 183, BROKEN, (), True), Line(5_000, 200, ANSWER)
    call = scene.answered_call(Intent(headers=SUPPORTS_100REL), script=Script(lines))
    assert scene.vendor.only_call.final == 200
    scene.finish(call)


def test_the_200_has_the_description_that_a_reliable_183_left_without():
    """The caller takes the first description as the answer: a 183 that has none settles nothing."""
    scene = relaying()
    scene.vendor.script = Script((Line(0, 183, BROKEN), Line(1_000, 200, ANSWER)))
    call = scene.answered_call(Intent(headers=SUPPORTS_100REL))
    assert call.response(183).body == ""
    assert call.got["PRACK"] == [200]
    assert host(call.response(200)) == "192.0.2.1"
    scene.finish(call)


def test_a_vendor_that_answers_by_an_unusable_offer_is_hung_up_and_the_next_one_tried():
    """Whether such a call is relayed is not decided before its first description."""
    scene = relaying()
    scene.vendor.script, scene.vendors[1].script = Script((Line(0, 200, BROKEN),)), ANSWERS
    call = scene.answered_call(Intent(offer=""), talk_ms=1_000)
    assert scene.vendor.only_call.is_over
    assert host(call.response(200)) == "192.0.2.1"
    scene.finish(call)


# -- PRACKs -------------------------------------------------------------------------------------------------------


def pracked(scene, script, body, *, offer):
    """Let the caller's PRACK have a description."""
    call = scene.begun_call(Intent(offer, headers=SUPPORTS_100REL, pracks=False), script=script, after_ms=100)
    ringing = call.response(183)
    call.remote, call.target = ringing["To"], ringing.target
    call.ask("PRACK", headers=(f"RAck: {ringing['RSeq']} 1 INVITE",), body=body)
    return call


@pytest.mark.parametrize("fault", [("20000", "70000"), ("192.0.2.10", "pbx.example")])
def test_an_offer_in_a_prack_that_cannot_be_relayed_is_488_and_the_call_goes_on(fault):
    scene = relaying()
    call = pracked(scene, SETTLES, OFFER.replace("1 1", "1 2").replace(*fault), offer=OFFER)
    scene.wire.run_until(lambda: call.final == 200)
    there = scene.vendor.only_call
    assert call.got["PRACK"] == [488]
    assert there.asked["UPDATE"] == []
    assert there.theirs == there.invite.body
    assert scene.finish(call).end_reason == "Normal"


def test_a_call_ends_by_an_answer_in_a_prack_that_the_gateway_cannot_be_sent():
    """The PRACK is answered, else the response would be repeated; the gateway gets no PRACK without its answer."""
    scene = relaying()
    call = pracked(scene, SETTLES, BROKEN, offer="")
    scene.wire.run_until(lambda: call.final == 488)
    scene.wire.run_for(1_000)
    there = scene.vendor.only_call
    assert call.got["PRACK"] == [200]
    assert (there.is_cancelled, there.asked["PRACK"]) == (True, [])
    assert scene.close().end_reason == "No Common Codec"


def test_the_relay_keeps_the_address_that_an_update_has_named_when_the_call_is_answered():
    """The 200 needs no description after a reliable answer, and the first one does not hold any more (RFC 3311)."""
    relay = VirtualRelay()
    scene = relaying(relay)
    scene.vendor.script = Script((Line(0, 100), Line(0, 183, ANSWER, KNOWS_UPDATE, True)))
    call = scene.begun_call(Intent(headers=(*SUPPORTS_100REL, *KNOWS_UPDATE)), after_ms=100)
    there = scene.vendor.only_call
    there.mine = ANSWER.replace("30000", "31000")
    scene.propose(there, "a=sendrecv", method="UPDATE", wait_ms=100)
    there.respond(Line(0, 200))
    scene.wire.run_for(100)
    sources = (each.source for each in relay.open_ports.values())
    assert sorted(source.rtp for source in sources if source is not None) == [20_000, 31_000]
    scene.finish(call)


def updated_at_the_answer(scene, side, body, answers, *attributes):
    """Let the vendor answer while an UPDATE of one side has no response, which is then the one that is given."""
    scene.vendor.script = Script((Line(0, 100), Line(0, 183, ANSWER, KNOWS_UPDATE, True)))
    call = scene.begun_call(Intent(headers=(*SUPPORTS_100REL, *KNOWS_UPDATE), acknowledges=False), after_ms=100)
    there = scene.vendor.only_call
    asking, asked = sides(side, call, there)
    asked.will("UPDATE", Reply(answers, revised(asked.mine).replace("0000 RTP", "1000 RTP"), after_ms=400))
    asking.ask("UPDATE", body=revised(asking.mine, *attributes).replace("0000 RTP", "1000 RTP"))
    scene.wire.run_for(100)
    there.respond(Line(0, 200, body))
    scene.wire.run_until(lambda: "UPDATE" in asking.got)
    assert (asking.got["UPDATE"], call.final) == ([answers], 200)
    call.acknowledge()
    scene.wire.run_for(1_000)
    return call


@pytest.mark.parametrize("body", ["", ANSWER, revised(ANSWER).replace("30000", "34000")])
@pytest.mark.parametrize("side", ["caller", "callee"])
@pytest.mark.parametrize("attribute", ["a=sendrecv", "a=sendonly"])
def test_the_relay_takes_media_from_the_places_of_an_update_that_is_answered_after_the_200(side, body, attribute):
    """The session of the reliable 183, and what a 200 says after it, do not hold any more."""
    relay = VirtualRelay()
    scene = relaying(relay)
    call = updated_at_the_answer(scene, side, body, 200, attribute)
    sources = (each.source for each in relay.open_ports.values())
    assert sorted(source.rtp for source in sources if source is not None) == [21_000, 31_000]
    assert call.asked["INVITE"] == []
    scene.finish(call)


@pytest.mark.parametrize(("body", "port"), [("", 30_000), (revised(ANSWER).replace("30000", "34000"), 34_000)])
@pytest.mark.parametrize("side", ["caller", "callee"])
def test_the_relay_takes_media_from_the_places_of_the_200_where_an_update_is_refused_after_it(side, body, port):
    relay = VirtualRelay()
    scene = relaying(relay)
    call = updated_at_the_answer(scene, side, body, 488)
    sources = (each.source for each in relay.open_ports.values())
    assert sorted(source.rtp for source in sources if source is not None) == [20_000, port]
    scene.finish(call)


@pytest.mark.parametrize("body", ["", ANSWER, revised(ANSWER).replace("30000", "34000")])
@pytest.mark.parametrize("side", ["caller", "callee"])
@pytest.mark.parametrize("attribute", ["a=sendrecv", "a=sendonly"])
def test_an_rtpengine_has_the_media_of_an_update_that_is_answered_after_the_200(side, body, attribute):
    scene, engines = at_rtpengines()
    call = updated_at_the_answer(scene, side, body, 200, attribute)
    latest = [media_of(order.sdp.encode())[0].port for order in engines.sessions][-2:]
    assert latest == ([21_000, 31_000] if side == "caller" else [31_000, 21_000])
    assert call.asked["INVITE"] == []
    scene.finish(call)


@pytest.mark.parametrize("is_acknowledged_first", [False, True])
def test_the_caller_is_offered_the_answer_where_an_rtpengine_is_silent_about_an_update_in_flight(is_acknowledged_first):
    """The UPDATE has not left: it is refused by the switch, after the ACK of the answer or before it."""
    engines = VirtualRtpEngines()
    scene = Scene(with_rtpengines(), rtpengines=engines)
    scene.vendor.script = Script((Line(0, 100), Line(0, 183, ANSWER, KNOWS_UPDATE, True)))
    call = scene.begun_call(Intent(headers=(*SUPPORTS_100REL, *KNOWS_UPDATE), acknowledges=False), after_ms=100)
    there, engines.is_silent = scene.vendor.only_call, True
    scene.propose(call, "a=sendonly", method="UPDATE", wait_ms=100)
    there.respond(Line(0, 200, revised(ANSWER).replace("30000", "34000")))
    scene.wire.run_for(100)
    if is_acknowledged_first:
        call.acknowledge()
    engines.is_silent = False
    scene.wire.run_until(lambda: "UPDATE" in call.got)
    call.acknowledge()
    scene.wire.run_for(5_000)
    assert (call.got["UPDATE"], there.asked["UPDATE"], len(call.asked["INVITE"])) == ([503], [], 1)
    assert "m=audio 34000 " in [order.sdp for order in engines.sessions if isinstance(order, RtpOffer)][-1]
    scene.finish(call)


@pytest.mark.parametrize("headers", [(), SUPPORTS_100REL])
@pytest.mark.parametrize(("final", "port"), [(ANSWER.replace("30000", "31000"), 31_000), (BROKEN, 30_000)])
def test_the_relay_sends_to_the_media_of_the_200_after_a_reliable_183(headers, final, port):
    """It may be ignored (RFC 3261 section 13.2.1), and is where it cannot be relayed: the first answer holds."""
    relay = VirtualRelay()
    scene = relaying(relay)
    scene.vendor.script = Script((Line(0, 183, ANSWER, (), True), Line(1_000, 200, final)))
    call = scene.answered_call(Intent(headers=headers), talk_ms=1_000)
    sources = (each.source for each in relay.open_ports.values())
    assert sorted(source.rtp for source in sources if source is not None) == [20_000, port]
    assert [row.code for row in scene.finish(call).attempts] == [200]


@pytest.mark.parametrize("gap_ms", [0, 500])
def test_an_rtpengine_gets_the_media_of_a_second_183_that_the_200_has_too(gap_ms):
    scene, engines = at_rtpengines()
    other = revised(ANSWER).replace("30000", "31000")
    lines = Line(0, 183, ANSWER, (), True), Line(gap_ms, 183, other), Line(2 * gap_ms, 200, other)
    call = scene.answered_call(Intent(headers=SUPPORTS_100REL), script=Script(lines), talk_ms=1_000)
    assert len(call.asked["INVITE"]) == 1
    assert "m=audio 31000 " in [order.sdp for order in engines.sessions if isinstance(order, RtpOffer)][-1]
    scene.finish(call)


# -- answers to UPDATE --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["caller", "callee"])
def test_a_call_ends_by_an_answer_to_an_update_that_the_other_side_cannot_be_sent(side):
    """As by such an answer to a re-INVITE: the one has another session now, and the other none."""
    scene = relaying()
    call, there = scene.talk(Intent(headers=KNOWS_UPDATE), Script((Line(0, 200, ANSWER, KNOWS_UPDATE),)))
    asking, asked = (call, there) if side == "caller" else (there, call)
    asked.will("UPDATE", Reply(body=asked.mine.replace("1 1", "1 2").replace("0000 RTP", "00000 RTP")))
    asking.propose("a=sendonly", method="UPDATE")
    scene.wire.run_until(lambda: call.is_over and there.is_over)
    assert asking.got["UPDATE"] == [488]
    record = scene.close()
    assert (record.end_reason, record.hangup_source) == ("No Common Codec", "switch")


def changing(scene):
    """Return a caller and a vendor that have agreed on a session while it rings, both of which know UPDATE."""
    scene.vendor.script = Script((Line(0, 100), Line(0, 183, ANSWER, KNOWS_UPDATE, True)))
    scene.vendors[1].script = ANSWERS
    call = scene.begun_call(Intent(headers=(*SUPPORTS_100REL, *KNOWS_UPDATE)), after_ms=100)
    return call, scene.vendor.only_call


def answered_elsewhere(scene, call):
    """Let the call be answered by the second vendor, and return it: the first one has left it before it charges."""
    there = scene.vendor.only_call
    assert (call.final, there.is_cancelled, there.final) == (None, True, 487)
    scene.wire.run_until(lambda: call.final == 200)
    assert host(call.response(200)) == "192.0.2.1"
    record = scene.finish(call)
    assert [(row.gateway, row.code, row.reason) for row in record.attempts] == [
        ("vendor-0", 0, "No Common Codec"),
        ("vendor-1", 200, "Answered"),
    ]
    assert record.end_reason == "Normal"


@pytest.mark.parametrize(
    ("more", "answer"),
    [
        ({}, BROKEN),
        (
            {"codecs": ("PCMU", "PCMA")},
            ANSWER.replace("RTP/AVP 0", "RTP/AVP 18").replace("a=rtpmap:0 PCMU/8000\r\n", ""),
        ),
    ],
)
def test_a_vendor_whose_answer_to_an_early_update_the_caller_cannot_be_sent_is_left_before_it_answers(more, answer):
    """It would be hung up after its 200, which it charges for: its session is the one of the UPDATE (RFC 3311)."""
    scene = relaying(**more)
    call, there = changing(scene)
    there.will("UPDATE", Reply(body=revised(answer)))
    call.propose("a=sendrecv", method="UPDATE")
    scene.wire.run_until(lambda: there.is_cancelled)
    assert call.got["UPDATE"] == [488]
    answered_elsewhere(scene, call)


def test_a_vendor_whose_answer_to_an_offer_in_a_prack_the_caller_cannot_be_sent_is_left_before_it_answers():
    scene = relaying()
    call = pracked(scene, SETTLES, OFFER.replace("1 1", "1 2").replace("20000", "20008"), offer=OFFER)
    scene.vendors[1].script = ANSWERS
    there = scene.vendor.only_call
    there.will("UPDATE", Reply(body=revised(BROKEN)))
    scene.wire.run_until(lambda: there.is_cancelled)
    assert call.got["PRACK"] == [488]
    assert len(there.asked["UPDATE"]) == 1
    answered_elsewhere(scene, call)


def test_a_call_ends_by_the_callers_answer_to_an_early_update_that_the_vendor_cannot_be_sent():
    scene = relaying()
    call, there = changing(scene)
    call.will("UPDATE", Reply(body=revised(call.mine.replace("20000", "70000"))))
    there.propose("a=sendonly", method="UPDATE")
    scene.wire.run_until(lambda: call.final == 488)
    scene.wire.run_for(100)
    assert (there.got["UPDATE"], there.is_cancelled, there.final) == ([488], True, 487)
    record = scene.close()
    assert (record.end_reason, record.hangup_source) == ("No Common Codec", "switch")


# -- answers for which an rtpengine has no ports ------------------------------------------------------------------


@pytest.mark.parametrize("fails", ["refused", "silent"])
@pytest.mark.parametrize("method", ["UPDATE", "PRACK"])
def test_a_ringing_vendor_is_left_whose_answer_an_rtpengine_has_no_ports_for(fails, method):
    """A 200 without the answer would leave the caller without a session (RFC 3261 section 13.2.1)."""
    scene, engines = at_rtpengines()
    if method == "UPDATE":
        call, there = changing(scene)
        call.propose("a=sendrecv", method="UPDATE")
    else:
        call = pracked(scene, SETTLES, OFFER.replace("1 1", "1 2").replace("20000", "20008"), offer=OFFER)
        scene.vendors[1].script, there = ANSWERS, scene.vendor.only_call
    engines.fails = fails
    scene.wire.run_until(lambda: there.is_cancelled)
    assert call.got[method] == [500]
    engines.fails = ""
    scene.wire.run_until(lambda: call.final == 200)
    assert [row.reason for row in scene.finish(call).attempts] == ["No Common Codec", "Answered"]


@pytest.mark.parametrize("fails", ["refused", "silent"])
@pytest.mark.parametrize("side", ["caller", "callee"])
def test_a_call_ends_by_an_answer_to_an_update_that_an_rtpengine_has_no_ports_for(fails, side):
    scene, engines = at_rtpengines()
    call, there = scene.talk(Intent(headers=KNOWS_UPDATE), Script((Line(0, 200, ANSWER, KNOWS_UPDATE),)))
    asking = call if side == "caller" else there
    engines.fails = fails
    asking.propose("a=sendonly", method="UPDATE")
    scene.wire.run_until(lambda: call.is_over and there.is_over)
    assert asking.got["UPDATE"] == [500]
    assert scene.close().end_reason == "No Media Port"


@pytest.mark.parametrize("another", ["fork", "gateway"])
def test_a_call_that_has_gone_on_with_another_one_outlives_a_late_failure_of_an_answer(another):
    """The answer to the UPDATE was agreed with the one that was left, and fails when its time is over."""
    scene, engines = at_rtpengines()
    settles, rings = Line(0, 183, ANSWER, KNOWS_UPDATE, True), Line(0, 180)
    if another == "fork":
        other = Script((rings, Line(1_000, 200, OTHER_ANSWER, KNOWS_UPDATE)))
        scene.vendor.script = Script((settles,), forks=(other,))
    else:
        scene.vendor.script = Script((settles, Line(1_000, 503)))
        scene.vendors[1].script = Script((rings, Line(3_000, 200, OTHER_ANSWER, KNOWS_UPDATE)))
    call = scene.begun_call(Intent(headers=(*SUPPORTS_100REL, *KNOWS_UPDATE)), after_ms=700)
    engines.fails = "silent"
    scene.propose(call, "a=sendrecv", method="UPDATE", wait_ms=100)
    assert "UPDATE" not in call.got
    engines.fails = ""
    engines.is_silent = False
    scene.wire.run_for(8_000)
    assert (call.got["UPDATE"], call.final, call.is_over) == ([500], 200, False)
    record = scene.finish(call)
    assert (record.end_reason, record.attempts[-1].reason) == ("Normal", "Answered")


def test_a_call_goes_on_after_a_stop_while_the_answer_to_an_update_waits_for_an_rtpengine(tmp_path):
    engines = Failing()
    scene = KilledScene(tmp_path, with_rtpengines(), rtpengines=engines)
    call, there = scene.talk(Intent(headers=KNOWS_UPDATE), Script((Line(0, 200, ANSWER, KNOWS_UPDATE),)))
    engines.fails = "silent"
    scene.propose(call, "a=sendonly", method="UPDATE", wait_ms=200)
    assert (len(there.asked["UPDATE"]), call.got) == (1, {})
    scene.stop_and_keep()
    engines.fails = ""
    scene.wire.run_for(5_000)
    assert (call.got["UPDATE"], call.is_over, there.is_over) == ([200], False, False)
    scene.finish(call)


@pytest.mark.parametrize("fails", ["refused", "silent"])
@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_a_refresh_that_an_rtpengine_has_no_ports_for_is_refused_and_the_call_goes_on(fails, method):
    """The session of the two sides stays as it was."""
    scene, engines = at_rtpengines()
    call, there = scene.talk(Intent(headers=KNOWS_UPDATE), Script((Line(0, 200, ANSWER, KNOWS_UPDATE),)))
    engines.fails = fails
    refresh = call.ask(method, body=call.mine)
    scene.wire.run_for(2_500)
    assert (refresh.final.status, call.is_over) == (500, False)
    engines.fails = ""
    refresh = call.ask(method, body=call.mine)
    scene.wire.run_for(2_500)
    assert (refresh.final.status, refresh.final.body) == (200, call.theirs)
    assert there.asked[method] == []
    scene.finish(call)
