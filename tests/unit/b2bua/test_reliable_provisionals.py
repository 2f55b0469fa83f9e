"""Provisional responses that must arrive (RFC 3262): each leg for itself, and what is agreed upon before the answer."""

from decimal import Decimal

import pytest
from doubles.data.builders import catalogue, mapping_gateway
from doubles.data.sessions import revised
from doubles.sockets.peer import ANSWER, OFFER
from doubles.successor import replace_node
from doubles.virtual.customer import INSISTS_ON_RELIABLE, KNOWS_UPDATE, SUPPORTS_100REL, Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from doubles.virtual.vendor import Line, Script, answers, answers_reliably
from structlog.testing import capture_logs

from vosd.base.cause import EndReason
from vosd.trunks.dialect import CalleeDialect, CallerDialect, Reliability

RINGS_RELIABLY = Script((Line(0, 100), Line(0, 180, "", (), True), Line(1_000, 200, ANSWER)))
EARLY_OFFER = Script((Line(0, 100), Line(0, 183, OFFER, KNOWS_UPDATE, True), Line(1_000, 200)))


def scene_of(customer=Reliability.SUPPORTED, vendor=Reliability.SUPPORTED):
    customers = mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=CallerDialect(reliability=customer))
    vendors = [vendor_gateway(index, dialect=CalleeDialect(reliability=vendor)) for index in range(2)]
    return Scene(catalogue([customers, *vendors]))


def carried(scene, intent, script):
    """Carry one call to its end; return both its ends and its record."""
    call, there = scene.talk(intent, script)
    return call, there, scene.finish(call)


def pracks(side):
    return [prack["RAck"] for prack in side.asked["PRACK"]]


# -- from the vendor ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [(), SUPPORTS_100REL], ids=["caller knows not", "caller supports"])
@pytest.mark.parametrize("script", [RINGS_RELIABLY, answers_reliably()], ids=["180", "183 with media"])
def test_a_vendors_reliable_response_is_acknowledged_once(scene, headers, script):
    """RFC 3262 section 4, example of section 6: RAck repeats RSeq and the CSeq of the INVITE."""
    call, there, _ = carried(scene, Intent(headers=headers), script)
    assert "100rel" in there.invite["Supported"]
    (rack,) = pracks(there)
    assert rack.endswith(" 1 INVITE")
    assert there.asked["PRACK"][0].body == ""
    assert (call.mine, call.theirs) == (there.theirs, there.mine) == (OFFER, ANSWER)


def test_several_reliable_responses_are_acknowledged_in_their_order(scene):
    lines = [Line(0, 100), *[Line(10 * number, 183, "", (), True) for number in range(5)], Line(1_000, 200, ANSWER)]
    _, there, _ = carried(scene, None, Script(tuple(lines)))
    numbers = [int(rack.split()[0]) for rack in pracks(there)]
    assert numbers == list(range(numbers[0], numbers[0] + 5))


def test_a_repeated_reliable_response_is_not_acknowledged_twice(scene):
    """RFC 3262 section 4: a response that was heard before is discarded; its PRACK is repeated by its transaction."""
    scene.vendor.script = Script((Line(0, 180, "", (), True), Line(5_000, 200, ANSWER)))
    lost = []

    def lose_the_first_pracks(packet):
        if packet.data.startswith(b"PRACK") and len(lost) < 2:
            lost.append(packet)
            return ()
        return (1,)

    scene.wire.delays = lose_the_first_pracks
    call = scene.answered_call()
    there = scene.vendor.only_call
    assert len({packet.data for packet in scene.wire.packets if packet.data.startswith(b"PRACK")}) == 1
    assert len(pracks(there)) == 1
    scene.finish(call)


def test_a_reliable_response_that_comes_too_early_waits_for_the_one_before(scene):
    """RFC 3262 section 4: a gap in RSeq means that one is still on its way."""
    call = scene.begun_call(script=Script((Line(0, 100),)))
    scene.wire.run_until(lambda: scene.vendor.calls)
    there = scene.vendor.only_call
    for number in (7, 9, 8):
        there.agent.reply(there.invite, 180, tag=there.tag, headers=("Require: 100rel", f"RSeq: {number}"), body="")
    scene.wire.run_for(10)
    assert [prack["RAck"] for prack in scene.vendor.received("PRACK")] == ["7 1 INVITE", "8 1 INVITE"]
    call.cancel()
    scene.wire.run_until(lambda: call.is_over)
    scene.expect_nothing_left(within_ms=100)


# -- to the caller ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "script", "reliably"),
    [
        ((), answers_reliably(), False),
        (SUPPORTS_100REL, RINGS_RELIABLY, False),
        (SUPPORTS_100REL, answers_reliably(), True),
        (SUPPORTS_100REL, Script((Line(0, 183, ANSWER), Line(1_000, 200, ANSWER))), True),
        (INSISTS_ON_RELIABLE, answers(), True),
    ],
    ids=["knows not", "180 needs none", "media needs it", "whatever the vendor does", "insists"],
)
def test_reliable_responses_are_used_if_required_or_for_early_media(scene, headers, script, reliably):
    """RFC 3262 section 3: on each leg for itself; with ``Require`` every provisional response but 100."""
    call, _, _ = carried(scene, Intent(headers=headers), script)
    ringing = next(response for response in call.responses if 100 < response.status < 200)
    assert bool(ringing.every("RSeq")) == reliably
    assert ringing.every("Require") == (["100rel"] if reliably else [])
    assert call.got.get("PRACK", []) == ([200] if reliably else [])
    assert not call.responses[0].every("RSeq"), "100 is never reliable"


def test_the_first_number_is_drawn_and_the_next_follow_it(scene):
    """RFC 3262 section 3: RSeq begins anywhere and grows by one."""
    lines = [Line(0, 100), *[Line(10 * number, 180) for number in range(3)], Line(1_000, 200, ANSWER)]
    call, _, _ = carried(scene, Intent(headers=INSISTS_ON_RELIABLE), Script(tuple(lines)))
    other, _ = scene.talk(Intent(headers=INSISTS_ON_RELIABLE))
    numbers = [int(response["RSeq"]) for response in call.responses if response.every("RSeq")]
    assert numbers == [numbers[0], numbers[0] + 1, numbers[0] + 2]
    assert int(other.response(180)["RSeq"]) != numbers[0]


def test_an_early_session_is_not_repeated_in_the_200(scene):
    """RFC 3262 section 5: the answer went through reliably; the 200 brings none."""
    call, there, record = carried(scene, Intent(headers=SUPPORTS_100REL), answers_reliably())
    assert (call.response(183).body, call.response(200).body) == (ANSWER, "")
    assert call.agrees_with(there)
    assert record.codec == "PCMU"


@pytest.mark.parametrize(
    ("is_reliable", "final", "offered"),
    [
        (False, ANSWER.replace("30000", "40000"), 1),
        (False, ANSWER.replace("o=- 1 1 ", "o=- 1 2 "), 0),
        (False, "", 0),
        (True, ANSWER.replace("30000", "40000"), 1),
        (True, ANSWER, 0),
    ],
    ids=["other media", "another version", "no description", "after a reliable one", "that of the reliable one"],
)
def test_media_that_only_the_200_of_the_vendor_has_are_offered_to_a_caller_that_was_answered_before(
    scene, is_reliable, final, offered
):
    """RFC 3261 section 13.2.1: an answer in a response that is not reliable does not hold; ours to the caller was.

    Some vendors change a reliable one by their 200, too, though it says that this is to be ignored.
    """
    scene.vendor.script = Script((Line(0, 183, ANSWER, (), is_reliable), Line(500, 200, final)))
    call = scene.answered_call(Intent(headers=SUPPORTS_100REL), talk_ms=2_000)
    assert call.response(200).body == ""
    assert len(call.asked["INVITE"]) == offered
    media = {line for line in call.theirs.splitlines() if line[:2] in {"c=", "m="}}
    assert media == {line for line in (final if offered else ANSWER).splitlines() if line[:2] in {"c=", "m="}}
    assert len(scene.vendor.only_call.acks) == 1
    assert scene.vendor.only_call.asked["INVITE"] == []
    assert scene.finish(call).end_reason == "Normal"


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("between", [(), (Line(200, 183, revised(ANSWER).replace("30000", "40000")),)])
def test_a_caller_without_100rel_has_the_media_of_the_200_that_a_reliable_183_had_not(scene, between, is_restarted):
    """Such vendors answer by the description of an announcement; RFC 3261 section 13.2.1 has the second one ignored."""
    other = revised(ANSWER).replace("30000", "40000")
    scene.vendor.script = Script((Line(0, 183, ANSWER, (), True), *between, Line(1_000, 200, other)))
    call = scene.begun_call(after_ms=500)
    assert call.response(183).body == ANSWER
    assert [response.body for response in call.responses[2:]] == [other] * len(between)
    if is_restarted:
        replace_node(scene)
    scene.await_answer(call, talk_ms=2_000)
    assert call.response(200).body == other
    assert call.agrees_with(scene.vendor.only_call)
    assert call.asked["INVITE"] == []
    assert scene.finish(call).end_reason == "Normal"


@pytest.mark.parametrize("gap_ms", [0, 500])
@pytest.mark.parametrize("is_reliable", [False, True])
def test_a_caller_with_100rel_is_offered_the_media_of_a_second_18x_that_the_200_has_too(scene, gap_ms, is_reliable):
    """The second one waits for a PRACK and is dropped, or the caller ignores it (RFC 3261 section 13.2.1)."""
    other = revised(ANSWER).replace("30000", "40000")
    lines = Line(0, 183, ANSWER, (), True), Line(gap_ms, 183, other, (), is_reliable), Line(2 * gap_ms, 200, other)
    call = scene.answered_call(Intent(headers=SUPPORTS_100REL), script=Script(lines), talk_ms=1_000)
    assert call.response(200).body == ""
    (offer,) = call.asked["INVITE"]
    assert "m=audio 40000 " in offer.body
    assert scene.finish(call).end_reason == "Normal"


def test_the_record_has_the_codec_that_each_leg_was_answered_with(scene):
    """A vendor may say another codec in its 200 than in its early media, which the caller has acknowledged by then."""
    other = ANSWER.replace("RTP/AVP 0", "RTP/AVP 8").replace("a=rtpmap:0 PCMU/8000", "a=rtpmap:8 PCMA/8000")
    assert other != ANSWER
    script = Script((Line(0, 100), Line(0, 183, ANSWER), Line(1_000, 200, other)))
    _, _, record = carried(scene, Intent(headers=SUPPORTS_100REL), script)
    assert (record.codec, record.vendor_codec) == ("PCMU", "PCMA")


def test_the_answer_waits_for_the_prack_of_reliable_media(scene):
    """RFC 3262 section 3: no 2xx before the session in a provisional response is acknowledged."""
    scene.vendor.script = Script((Line(0, 183, ANSWER), Line(10, 200, ANSWER)))
    call = scene.begun_call(Intent(headers=SUPPORTS_100REL, pracks=False), after_ms=3_000)
    assert call.statuses == [183]
    assert len([response for response in call.responses if response.status == 183]) == 3, "at 0, 0.5 and 1.5 s"
    call.remote, call.target = call.response(183)["To"], call.response(183).target
    call.ask("PRACK", headers=(f"RAck: {call.response(183)['RSeq']} 1 INVITE",))
    scene.wire.run_for(10)
    assert call.statuses == [183, 200]
    record = scene.finish(call)
    assert record.pdd_ms == 2
    assert record.answered_at - record.vendor_answered_at in range(2_980, 3_010)
    assert record.hold_time_ms < 100, "the caller's clock runs from ours"
    assert (record.billed_seconds, record.vendor_billed_seconds) == (0, 3)


def test_a_caller_that_never_acknowledges_media_is_given_up(scene):
    """RFC 3262 section 3: after 64·T1 the INVITE is refused with a 5xx."""
    scene.vendor.script = Script((Line(0, 100), Line(0, 183, ANSWER)))
    call = scene.whole_call(Intent(headers=SUPPORTS_100REL, pracks=False))
    assert call.final == 504
    scene.wire.run_for(100)
    assert scene.vendor.only_call.is_cancelled
    record = scene.close()
    assert (record.end_reason, record.hangup_source, record.sip_code) == ("Unavailable", "caller", 504)


@pytest.fixture
def waiting(scene):
    """A call that the vendor has answered, while the caller acknowledges nothing."""
    scene.vendor.script = Script((Line(0, 183, ANSWER), Line(1_000, 200, ANSWER)))
    call = scene.caller.call(CALLEE, Intent(headers=SUPPORTS_100REL, pracks=False))
    scene.wire.run_until(lambda: scene.vendor.calls and scene.vendor.only_call.final == 200)
    scene.wire.run_for(2_000)
    return call


def cancelled(scene, call, _there):
    call.cancel()


def hung_up_early(_scene, call, _there):
    call.remote, call.target = call.response(183)["To"], call.response(183).target
    call.ask("BYE")


def left_alone(scene, call, _there):
    scene.wire.run_until(lambda: call.is_over)


def hung_up_by_vendor(_scene, _call, there):
    there.hang_up()


def ordered(scene, _call, _there):
    scene.exchange.end_all(EndReason.ADMINISTRATIVE)


@pytest.mark.parametrize(
    ("end", "status", "reason", "source"),
    [
        (cancelled, 487, "Cancelled", "caller"),
        (hung_up_early, 487, "Cancelled", "caller"),
        (left_alone, 504, "Unavailable", "caller"),
        (hung_up_by_vendor, 480, "Unavailable", "callee"),
        (ordered, 503, "Administrative", "switch"),
    ],
)
def test_a_caller_whose_200_never_left_pays_nothing_and_the_vendor_is_paid(scene, waiting, end, status, reason, source):
    there = scene.vendor.only_call
    with capture_logs() as lines:
        end(scene, waiting, there)
        scene.wire.run_until(lambda: waiting.final is not None and there.is_over)
    told = [(line["customer"], line["gateway"]) for line in lines if line["event"] == "answer_unheard"]
    assert told == ([] if source == "switch" else [("acme", "vendor-0")])
    assert waiting.final == status
    record = scene.close()
    assert (record.end_reason, record.hangup_source, record.sip_code) == (reason, source, status)
    assert record.answered_at is None
    assert (record.fee, record.billed_seconds, record.hold_time_ms) == (0, 0, 0)
    assert record.vendor_answered_at is not None
    talked_ms = record.ended_at - record.vendor_answered_at
    assert record.vendor_billed_seconds in range(talked_ms // 1_000, talked_ms // 1_000 + 2)
    assert record.cost == record.vendor_billed_seconds * Decimal("0.005")
    assert [(attempt.code, attempt.reason) for attempt in record.attempts] == [(200, "Answered")]
    assert scene.exchange.statement("acme") == 0
    assert scene.exchange.credits["acme"].available == 100


@pytest.mark.parametrize(("waits_ms", "told"), [(4_000, []), (31_000, [("acme", "vendor-0", "0.305000")])])
def test_a_caller_that_acknowledges_late_is_named_for_the_vendor_is_paid_from_its_answer(waits_ms, told):
    scene = Scene()
    scene.vendor.script = Script((Line(0, 183, ANSWER), Line(10, 200, ANSWER)))
    call = scene.begun_call(Intent(headers=SUPPORTS_100REL, pracks=False), after_ms=waits_ms)
    call.remote, call.target = call.response(183)["To"], call.response(183).target
    call.ask("PRACK", headers=(f"RAck: {call.response(183)['RSeq']} 1 INVITE",))
    scene.await_answer(call, talk_ms=30_000)
    with capture_logs() as lines:
        record = scene.finish(call)
    unheard = [each for each in lines if each["event"] == "answer_unheard"]
    assert [(each["customer"], each["gateway"], each["cost"]) for each in unheard] == told
    assert (record.end_reason, record.fee) == ("Normal", Decimal("0.30"))


def test_what_is_paid_for_runs_from_the_callers_200():
    """A minute is held at a time; the vendor's answer is three seconds old when the caller's goes out."""
    scene = Scene(balance="0.60")
    scene.vendor.script = Script((Line(0, 183, ANSWER), Line(10, 200, ANSWER)))
    call = scene.begun_call(Intent(headers=SUPPORTS_100REL, pracks=False), after_ms=3_000)
    call.remote, call.target = call.response(183)["To"], call.response(183).target
    call.ask("PRACK", headers=(f"RAck: {call.response(183)['RSeq']} 1 INVITE",))
    record = scene.end_of(call)
    assert (record.end_reason, record.hold_time_ms, record.fee) == ("Balance Exhausted", 60_000, Decimal("0.60"))
    assert record.vendor_billed_seconds == 63


def test_the_journal_has_a_call_answered_by_the_vendor_before_the_caller_gets_it(scene, waiting):
    (kept,) = scene.exchange.sink.open.values()
    assert (kept.record.answered_at, kept.record.sip_code) == (None, None)
    assert kept.record.vendor_answered_at is not None
    waiting.cancel()
    scene.end_of(waiting)


@pytest.mark.parametrize("status", [200, 481])
def test_a_prack_that_an_update_has_overtaken_is_taken_once(scene, status):
    scene.vendor.script = Script((Line(0, 183, ANSWER, KNOWS_UPDATE, True), Line(500, 200)))
    call = scene.begun_call(Intent(headers=SUPPORTS_100REL, pracks=False), after_ms=100)
    ringing = call.response(183)
    call.remote, call.target = ringing["To"], ringing.target
    call.sequence += 1
    call.ask("UPDATE")
    scene.wire.run_for(10)
    call.sequence -= 2
    number = int(ringing["RSeq"]) + (status != 200)
    call.ask("PRACK", headers=(f"RAck: {number} 1 INVITE",))
    scene.wire.run_for(10)
    assert (call.got["UPDATE"], call.got["PRACK"]) == ([200], [status])
    call.sequence += 1
    call.ask("PRACK", headers=(f"RAck: {ringing['RSeq']} 1 INVITE",))
    scene.wire.run_until(lambda: call.final == 200)
    assert call.got["PRACK"] == [status, 481 if status == 200 else 200]
    assert scene.finish(call).end_reason == "Normal"


@pytest.mark.parametrize(
    ("rack", "status"),
    [("7777777 1 INVITE", 481), ("{} 2 INVITE", 481), ("{} 1 UPDATE", 400), ("nonsense", 400), (None, 400)],
)
def test_a_prack_for_nothing_is_refused(scene, rack, status):
    scene.vendor.script = Script((Line(0, 183, ANSWER),))
    call = scene.begun_call(Intent(headers=SUPPORTS_100REL, pracks=False), after_ms=100)
    ringing = call.response(183)
    call.remote, call.target = ringing["To"], ringing.target
    call.ask("PRACK", headers=() if rack is None else (f"RAck: {rack.format(ringing['RSeq'])}",))
    scene.wire.run_for(10)
    assert call.got["PRACK"] == [status]
    call.cancel()
    scene.end_of(call)


# -- the offer is the vendor's ------------------------------------------------------------------------------------


def test_a_bodiless_invite_offers_100rel_only_where_the_caller_supports_it(scene):
    """A reliable offer would have to be answered in a PRACK that such a caller never sends."""
    call, there = scene.talk(Intent(offer=""), answers(body=OFFER))
    assert "100rel" not in there.invite.listed("Supported")
    assert call.agrees_with(there)
    scene.finish(call)


def test_an_early_offer_is_answered_in_the_prack(scene):
    """RFC 3262 section 5, RFC 6337 table 1 pattern 4: offer in a reliable 183, answer in the PRACK."""
    call, there, record = carried(scene, Intent(offer="", headers=SUPPORTS_100REL), EARLY_OFFER)
    (prack,) = there.asked["PRACK"]
    assert prack.body == ANSWER
    assert (call.response(183).body, call.response(200).body) == (OFFER, "")
    assert [ack.body for ack in there.acks] == [""]
    assert (call.mine, call.theirs) == (there.theirs, there.mine) == (ANSWER, OFFER)
    assert (record.end_reason, record.codec) == ("Normal", "PCMU")


def test_a_session_that_may_get_lost_is_no_offer_and_is_not_made_one(scene):
    """RFC 3261 section 13.2.1, RFC 6337 section 2.1: the caller would answer what the vendor will offer again."""
    script = Script((Line(0, 183, OFFER), Line(500, 200, OFFER)))
    call, there, _ = carried(scene, Intent(offer="", headers=SUPPORTS_100REL), script)
    assert (call.response(183).body, call.response(200).body) == ("", OFFER)
    assert [ack.body for ack in there.acks] == [ANSWER]
    assert call.agrees_with(there)


# -- by trunk -----------------------------------------------------------------------------------------------------


def test_a_caller_that_requires_what_its_trunk_may_not_is_refused():
    """420 with Unsupported."""
    scene = scene_of(customer=Reliability.OFF)
    call = scene.whole_call(Intent(headers=INSISTS_ON_RELIABLE))
    assert (call.final, call.refusal["Unsupported"]) == (420, "100rel")
    scene.expect_nothing_left(within_ms=0)


def test_a_caller_that_does_not_support_what_its_trunk_requires_is_refused():
    scene = scene_of(customer=Reliability.REQUIRED)
    call = scene.whole_call()
    assert (call.final, call.refusal["Require"]) == (421, "100rel")
    assert scene.exchange.residue() == {}


def test_reliable_responses_may_be_switched_off_for_a_trunk():
    scene = scene_of(customer=Reliability.OFF)
    call, _, _ = carried(scene, Intent(headers=SUPPORTS_100REL), answers_reliably())
    assert call.response(183).every("RSeq") == []


@pytest.mark.parametrize(
    ("reliability", "said"), [(Reliability.OFF, ("timer", "")), (Reliability.REQUIRED, ("timer", "100rel"))]
)
def test_a_vendors_trunk_may_be_offered_nothing_or_be_asked_to(reliability, said):
    scene = scene_of(vendor=reliability)
    _, there, _ = carried(scene, None, answers())
    assert (",".join(there.invite.every("Supported")), ",".join(there.invite.every("Require"))) == said
