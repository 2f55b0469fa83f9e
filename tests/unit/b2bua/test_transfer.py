"""REFER: the customer leaves, those it talked to go on, and every leg is paid (RFC 3515, RFC 5589)."""

import re
from decimal import Decimal

import pytest
from doubles.data.builders import catalogue, mapping_gateway
from doubles.data.sessions import revised
from doubles.sockets.peer import ANSWER, OFFER, Message
from doubles.successor import replace_node
from doubles.virtual.customer import Intent, OutgoingCall
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from doubles.virtual.side import Reply
from doubles.virtual.vendor import RINGS, IncomingCall, answers, refuses

from vosd.base.cause import EndReason
from vosd.trunks.dialect import CallerDialect, TransferDisplay, Transfers
from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters

TARGET = "442071111111"
ANYWHERE = "192.0.2.1"


def talking(scene: Scene, callee: str = CALLEE) -> OutgoingCall:
    return scene.answered_call(callee=callee, talk_ms=1_000)


def refer(call: OutgoingCall, to: str, *headers: str) -> None:
    call.ask("REFER", headers=[f"Refer-To: {to}", *headers])


def blind(call: OutgoingCall, *headers: str) -> None:
    refer(call, f"<sip:{TARGET}@{ANYWHERE}>", *headers)


def attended(call: OutgoingCall, other: OutgoingCall, target: str = f"{TARGET}@{ANYWHERE}") -> None:
    refer(call, f'"Them" <sip:{target}?Replaces={other.replaces_in_uri}>')


def told(call: OutgoingCall) -> list[str]:
    """What the NOTIFYs of a transfer said."""
    return [notify.body.removeprefix("SIP/2.0 ").strip() for notify in call.asked["NOTIFY"]]


def media_of(message: Message) -> str:
    return message.body.partition("\r\nt=")[2]


def both(scene: Scene) -> tuple[IncomingCall, IncomingCall]:
    first, second = scene.vendor.calls
    return first, second


def test_blind_transfer_connects_the_other_side_with_the_target(scene):
    call = talking(scene)
    blind(call)
    scene.wire.run_for(5_000)
    party, target = both(scene)
    assert call.got["REFER"] == [202]
    assert told(call) == ["100 Trying", "180 Ringing", "200 OK"]
    notified = call.asked["NOTIFY"]
    assert [message["Event"] for message in notified] == ["refer"] * 3
    assert [message["Subscription-State"].partition(";")[0] for message in notified] == [
        "active", "active", "terminated",
    ]  # fmt: skip
    assert call.is_over  # the switch hangs the transferor up
    assert target.invite.start_line.startswith(f"INVITE sip:{TARGET}@")
    (moved,) = party.asked["INVITE"]
    assert media_of(moved) == target.mine.partition("\r\nt=")[2]
    assert media_of(target.invite) == party.mine.partition("\r\nt=")[2]
    party.hang_up()
    scene.wire.run_until(lambda: target.is_over)
    scene.expect_nothing_left()


def test_the_leg_of_a_transferor_that_has_left_is_not_counted(scene):
    blind(talking(scene))
    scene.wire.run_for(5_000)
    census = scene.exchange.switch.census()
    assert (census["calls"], census["legs"]) == (2, 2)


def test_a_side_that_accepts_an_offer_of_the_transferor_as_it_leaves_is_connected_with_the_target(scene):
    """The 200 crosses our CANCEL; the session of the target had the version of that offer, and was refused."""
    call = talking(scene)
    (party,) = scene.vendor.calls
    party.will("INVITE", Reply(100))
    scene.propose(call, "a=sendonly")
    invite = party.forget_request()
    blind(call)
    scene.wire.run_until(lambda: bool(party.asked["CANCEL"]))
    party.answer_forgotten(invite, Reply(200))
    scene.wire.run_for(5_000)
    party, target = both(scene)
    assert len(party.asked["INVITE"]) == 2
    assert media_of(party.asked["INVITE"][-1]) == target.mine.partition("\r\nt=")[2]
    target.hang_up()
    scene.wire.run_until(lambda: party.is_over)
    scene.expect_nothing_left()
    assert {record.end_reason for record in scene.exchange.sink.records} == {"Normal"}


def test_each_leg_is_paid_from_its_answer_to_its_end(scene):
    """The transferor's account pays both calls; neither costs a second that was not talked."""
    call = talking(scene)
    blind(call)
    scene.wire.run_for(10_000)
    both(scene)[1].hang_up()
    scene.expect_nothing_left()
    to_target, to_party = sorted(scene.exchange.sink.records, key=lambda record: record.callee_in)
    assert (to_target.callee_in, to_party.callee_in) == (TARGET, CALLEE)
    assert {record.customer_account for record in (to_target, to_party)} == {"acme"}
    assert {record.end_reason for record in (to_target, to_party)} == {"Normal"}
    assert to_target.hangup_source == "callee"
    assert to_party.answered_at is not None
    assert to_target.answered_at is not None
    assert to_party.answered_at < to_target.answered_at
    assert to_party.ended_at == to_target.ended_at
    assert to_party.hold_time_ms == to_party.ended_at - to_party.answered_at
    assert to_target.hold_time_ms == to_target.ended_at - to_target.answered_at
    assert to_target.sip_call_id_in == to_party.sip_call_id_in
    fees = sum((record.fee + record.tax for record in scene.exchange.sink.records), Decimal(0))
    assert scene.exchange.statement("acme") == -fees
    assert scene.exchange.credits["acme"].reserved == 0


def test_a_transferor_need_not_wait_for_the_answer(scene):
    call = talking(scene)
    blind(call)
    scene.wire.run_for(100)
    scene.hang_up(call, wait_ms=5_000)
    party, target = both(scene)
    assert len(party.asked["INVITE"]) == 1
    assert not party.is_over
    target.hang_up()
    scene.wire.run_until(lambda: party.is_over)
    scene.expect_nothing_left()


def test_a_target_that_is_busy_leaves_the_call_as_it_was(scene):
    scene.vendor.by_number = {TARGET: refuses(486)}
    call = talking(scene)
    blind(call)
    scene.wire.run_for(1_000)
    assert told(call) == ["100 Trying", "486 Busy Here"]
    assert not call.is_over
    assert not scene.vendor.calls[0].is_over
    scene.expect_nothing_left(call)
    assert [record.end_reason for record in scene.exchange.sink.records] == ["Busy", "Normal"]


def test_a_party_without_counterpart_is_released(scene):
    scene.vendor.by_number = {TARGET: refuses(486, after_ms=2_000)}
    call = talking(scene)
    blind(call)
    scene.wire.run_for(100)
    scene.hang_up(call, wait_ms=3_000)
    assert scene.vendor.calls[0].is_over
    scene.expect_nothing_left()


def test_a_target_that_rings_too_long_is_given_up(scene):
    """30 s unless the trunk says otherwise."""
    scene.vendor.by_number = {TARGET: RINGS}
    call = talking(scene)
    blind(call)
    scene.wire.run_for(29_000)
    assert not scene.vendor.calls[1].is_cancelled
    scene.wire.run_for(2_000)
    assert scene.vendor.calls[1].is_cancelled
    assert told(call)[-1] == "487 Request Terminated"
    scene.expect_nothing_left(call)


def test_a_party_that_hangs_up_takes_the_ringing_target_with_it(scene):
    scene.vendor.by_number = {TARGET: RINGS}
    call = talking(scene)
    blind(call)
    scene.wire.run_for(1_000)
    scene.hang_up(scene.vendor.calls[0], wait_ms=1_000)
    assert scene.vendor.calls[1].is_cancelled
    assert call.is_over
    scene.expect_nothing_left()
    assert [record.end_reason for record in scene.exchange.sink.records] == ["Normal", "Cancelled"]


@pytest.mark.parametrize("refer_to", [f"{TARGET}@{ANYWHERE}", ANYWHERE])
def test_attended_transfer_connects_two_calls_that_are_there(scene, refer_to):
    """RFC 5589 section 7.3: a Refer-To may be the Contact that the switch gave, which has no number."""
    call, other = talking(scene), talking(scene, TARGET)
    scene.vendor.calls[0].will("INVITE", Reply())
    call.propose("a=sendonly")  # who asks back puts the first on hold
    scene.wire.run_for(1_000)
    attended(call, other, refer_to)
    scene.wire.run_for(3_000)
    party, target = both(scene)
    assert call.got["REFER"] == [202]
    assert told(call) == ["200 OK"]
    assert call.is_over
    assert other.is_over
    hold, moved = party.asked["INVITE"]
    assert "a=sendonly" in hold.body
    assert "a=" not in media_of(moved).replace("a=rtpmap", "").replace("a=fmtp", "").replace("a=ptime", "")
    party.hang_up()
    scene.wire.run_until(lambda: target.is_over)
    scene.expect_nothing_left()
    assert len(scene.exchange.sink.records) == 2


def test_after_a_transfer_both_may_put_each_other_on_hold(scene):
    call = talking(scene)
    blind(call)
    scene.wire.run_for(5_000)
    party, target = both(scene)
    offer = target.propose("a=sendonly")
    scene.wire.run_for(1_000)
    assert target.got["INVITE"] == [200]
    assert media_of(party.asked["INVITE"][-1]) == offer.partition("\r\nt=")[2]
    scene.propose(party)
    assert party.got["INVITE"] == [200]
    scene.expect_nothing_left(target)


def test_two_that_have_no_codec_in_common_do_not_stay_up(scene):
    call = talking(scene)
    scene.vendor.calls[0].will("INVITE", Reply(488), Reply(488))
    blind(call)
    scene.wire.run_for(5_000)
    assert all(each.is_over for each in both(scene))
    scene.expect_nothing_left()
    assert {record.end_reason for record in scene.exchange.sink.records} == {"No Common Codec", "Normal"}


@pytest.mark.parametrize("status", [488, 606])
def test_two_that_have_chosen_other_codecs_before_agree_on_one_that_both_have(scene, status):
    """RFC 3264 section 6.1: an answer may have a single codec, though its author has others, which its offer has."""
    first, second = talking(scene), talking(scene, callee=TARGET)
    party, target = both(scene)
    party.will("INVITE", Reply(status))
    attended(first, second)
    scene.wire.run_for(5_000)
    assert [bool(each.body) for each in target.asked["INVITE"]] == [False]
    refused, taken = party.asked["INVITE"]
    assert refused.body
    assert media_of(taken) == target.mine.partition("\r\nt=")[2]
    assert media_of(target.acks[-1]) == party.mine.partition("\r\nt=")[2]
    scene.expect_nothing_left(party)


def test_a_side_that_makes_no_offer_is_not_asked_again(scene):
    first, second = talking(scene), talking(scene, callee=TARGET)
    party, target = both(scene)
    party.will("INVITE", Reply(488))
    target.will("INVITE", Reply(488))
    attended(first, second)
    scene.wire.run_for(5_000)
    assert (len(party.asked["INVITE"]), len(target.asked["INVITE"])) == (1, 1)
    assert party.is_over
    assert target.is_over
    scene.expect_nothing_left()


@pytest.mark.parametrize(
    ("refer_to", "status"),
    [
        ("", 400),
        ("<sip:441@h>, <sip:442@h>", 400),
        ("<mailto:a@b>", 416),
        ("<sip:441@h;method=BYE>", 400),
        ("<sip:192.0.2.1>", 400),
        ("<sip:192.0.2.1?Subject=x>", 400),
        ("<sip:33123@192.0.2.1>", 403),
        ("<sip:441@h?Replaces=unknown%3Bto-tag%3D1%3Bfrom-tag%3D2>", 603),
        ("<sip:441@h?Replaces=unknown@h%3Bto-tag%3D1%3Bfrom-tag%3D2>", 603),
    ],
    ids=[
        "none",
        "two",
        "scheme",
        "method",
        "no number",
        "no number but a header",
        "no rate",
        "foreign dialog",
        "at unescaped",
    ],
)
def test_what_cannot_be_transferred_to_is_refused_and_the_call_goes_on(scene, refer_to, status):
    call = talking(scene)
    refer(call, refer_to) if refer_to else call.ask("REFER")
    scene.wire.run_for(1_000)
    assert call.got["REFER"] == [status]
    assert not call.is_over
    scene.expect_nothing_left(call)


def test_a_vendor_may_not_spend_a_customers_money(scene):
    call = talking(scene)
    scene.vendor.only_call.ask("REFER", headers=[f"Refer-To: <sip:{TARGET}@{ANYWHERE}>"])
    scene.wire.run_for(1_000)
    assert scene.vendor.only_call.got["REFER"] == [403]
    scene.expect_nothing_left(call)
    assert len(scene.exchange.sink.records) == 1


def transferring(dialect: CallerDialect) -> Scene:
    trunk = mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=dialect)
    return Scene(catalogue([trunk, vendor_gateway(0)]))


def test_a_trunk_that_may_not_transfer_gets_403():
    scene = transferring(CallerDialect(transfers=Transfers.REFUSE))
    call = talking(scene)
    blind(call)
    scene.wire.run_for(500)
    assert call.got["REFER"] == [403]
    scene.expect_nothing_left(call)


def test_the_target_is_shown_what_the_trunk_says():
    scene = transferring(CallerDialect(transfer_display=TransferDisplay.NUMBER, transfer_number="12025550199"))
    call = talking(scene)
    blind(call)
    scene.wire.run_for(3_000)
    assert scene.vendor.calls[1].invite["From"].startswith("<sip:12025550199@")
    scene.expect_nothing_left(scene.vendor.calls[1])


@pytest.mark.parametrize("headers", [("Refer-Sub: false",), ("Refer-Sub: False;x=1", "Require: norefersub")])
def test_notifications_can_be_declined(scene, headers):
    """RFC 4488."""
    call = talking(scene)
    blind(call, *headers)
    scene.wire.run_for(3_000)
    assert call.asked["NOTIFY"] == []
    assert call.is_over
    both(scene)[0].hang_up()
    scene.expect_nothing_left()


def test_money_that_ends_one_of_the_two_calls_ends_both():
    """The balance pays the first call for 60 s and the second not at all, or ends them together."""
    scene = Scene(balance="1.2")
    call = talking(scene)
    blind(call)
    scene.wire.run_for(200_000)
    scene.expect_nothing_left()
    assert scene.exchange.credits["acme"].balance >= 0


def test_an_unanswered_transfer_after_the_answer_of_the_party_is_no_race(scene):
    """The target answers while the transferor's BYE is on its way."""
    scene.vendor.by_number = {TARGET: answers(1_000)}
    call = talking(scene)
    blind(call)
    scene.wire.run_for(1_001)
    scene.hang_up(call, wait_ms=2_000)
    party, target = both(scene)
    assert not party.is_over
    assert not target.is_over
    scene.expect_nothing_left(party)


@pytest.mark.parametrize("is_restarted", [False, True])
def test_the_first_party_is_offered_another_address_that_the_second_one_answers_with(scene, is_restarted):
    """RFC 3264 section 8.3.1: sound goes where each of the two says last; once, for they might go on for ever."""
    call = talking(scene)
    blind(call)
    scene.wire.run_until(lambda: len(scene.vendor.calls) == 2)
    party, target = both(scene)
    party.will("INVITE", Reply(200, revised(ANSWER.replace("30000", "30010")), after_ms=500))
    target.will("INVITE", Reply(200, revised(ANSWER.replace("30000", "30020"))))
    scene.wire.run_until(lambda: len(party.asked["INVITE"]) == 1)
    if is_restarted:
        replace_node(scene)
    scene.wire.run_for(5_000)
    assert (len(party.asked["INVITE"]), len(target.asked["INVITE"])) == (2, 1)
    assert media_of(party.asked["INVITE"][-1]) == target.mine.partition("\r\nt=")[2]
    assert party.theirs.count("m=audio 30020 ") == 1
    scene.expect_nothing_left(target)


HOLDS = {
    "a=sendonly": lambda session: revised(session, "a=sendonly"),
    "a=inactive": lambda session: revised(session, "a=inactive"),
    "zero address": lambda session: revised(session).replace("c=IN IP4 192.0.2.20", "c=IN IP4 0.0.0.0"),
}


@pytest.mark.parametrize("is_relayed", [False, True])
@pytest.mark.parametrize("hold", HOLDS)
def test_the_first_party_is_offered_a_hold_that_the_second_one_answers_with(hold, is_relayed):
    """The user of the second phone has pressed the key for it: what the first one says is received by no one."""
    media = MediaParameters(engine=MediaEngine.RELAY, mode=MediaMode.ON if is_relayed else MediaMode.OFF)
    trunk = mapping_gateway("acme", f"{CUSTOMER.host}/32")
    scene = Scene(catalogue([trunk, vendor_gateway(0)], media=media), relay=VirtualRelay())
    call = talking(scene)
    blind(call)
    scene.wire.run_until(lambda: len(scene.vendor.calls) == 2)
    party, target = both(scene)
    party.will("INVITE", Reply(200, revised(ANSWER.replace("30000", "30010"))))
    target.will("INVITE", Reply(200, HOLDS[hold](ANSWER)))
    scene.wire.run_for(5_000)
    assert (len(party.asked["INVITE"]), len(target.asked["INVITE"])) == (2, 1)
    assert ("c=IN IP4 0.0.0.0" if hold == "zero address" else hold) in party.theirs
    target.mine = target.mine.replace("0.0.0.0", "192.0.2.20")
    scene.propose(target)
    assert target.got["INVITE"] == [200]
    assert "a=sendonly" not in party.theirs
    assert "a=inactive" not in party.theirs
    assert "0.0.0.0" not in party.theirs
    scene.expect_nothing_left(target)


def test_the_first_party_is_offered_without_video_the_session_of_a_second_one_that_answers_without(scene):
    """Else its camera goes on, and sends to a side that takes none."""
    answer = ANSWER + VIDEO.replace("4002", "6002")
    call, party = scene.talk(Intent(offer=OFFER + VIDEO), answers(500, body=answer))
    blind(call)
    scene.wire.run_until(lambda: len(scene.vendor.calls) == 2)
    _, target = both(scene)
    party.will("INVITE", Reply(200, revised(answer.replace("30000", "30010"))))
    target.will("INVITE", Reply(200, revised(answer.replace("6002", "0"))))
    scene.wire.run_for(5_000)
    assert (len(party.asked["INVITE"]), len(target.asked["INVITE"])) == (2, 1)
    assert "m=video 0 " in party.theirs
    assert "m=audio 0 " not in party.theirs
    scene.expect_nothing_left(target)


def sealed(session: str, key: str) -> str:
    line = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key:A<40}\r\n"
    return session.replace("RTP/AVP", "RTP/SAVP") + line


@pytest.mark.parametrize(
    ("offer", "answer", "changed", "told"),
    [
        *(
            (OFFER, ANSWER, how(ANSWER), "c=IN IP4 0.0.0.0" if name == "zero address" else name)
            for name, how in HOLDS.items()
        ),
        (OFFER, ANSWER, revised(ANSWER.replace("30000", "30020")), "m=audio 30020 "),
        # who is sent a key decrypts by the one that it was sent last (RFC 4568)
        (sealed(OFFER, "caller"), sealed(ANSWER, "vendor"), revised(sealed(ANSWER, "another")), "inline:another"),
    ],
    ids=[*HOLDS, "another address", "another key"],
)
def test_the_side_that_was_refreshed_is_offered_what_the_other_one_answers_with(scene, offer, answer, changed, told):
    """The answer to our refresh was changed, goes to the other side, and its answer has changed, too."""
    intent = Intent(offer, headers=("Supported: timer", "Session-Expires: 90;refresher=uas"))
    call, there = scene.talk(intent, answers(500, body=answer))
    call.will("INVITE", Reply(200, revised(call.mine.replace("20000", "20010"))))
    there.will("INVITE", Reply(200, changed))
    scene.wire.run_for(60_000)
    assert (len(call.asked["INVITE"]), len(there.asked["INVITE"])) == (2, 1)
    assert (told in call.theirs, "m=audio 20010 " in there.theirs) == (True, True)
    scene.finish(call)


def test_a_side_that_holds_itself_is_not_offered_the_answer_to_that(scene):
    intent = Intent(headers=("Supported: timer", "Session-Expires: 90;refresher=uas"))
    call, there = scene.talk(intent, answers(500))
    call.will("INVITE", Reply(200, revised(OFFER, "a=inactive")))
    scene.wire.run_for(60_000)
    assert (len(call.asked["INVITE"]), len(there.asked["INVITE"])) == (1, 1)
    assert "a=inactive" in there.mine
    scene.finish(call)


def test_two_calls_are_joined_where_a_phone_leaves_the_at_of_a_call_id_as_it_is(scene):
    call, other = talking(scene), talking(scene, TARGET)
    assert "%40" in other.replaces_in_uri
    refer(call, f"<sip:{TARGET}@{ANYWHERE}?Replaces={other.replaces_in_uri.replace('%40', '@')}>")
    scene.wire.run_for(3_000)
    assert (call.got["REFER"], told(call)) == ([202], ["200 OK"])
    party, target = both(scene)
    party.hang_up()
    scene.wire.run_until(lambda: target.is_over)
    scene.expect_nothing_left()


def test_a_party_is_asked_once_where_the_other_one_has_video_that_it_rejects(scene):
    video = "m=video 4002 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    call = talking(scene)
    scene.vendor.script = answers(500, body=ANSWER + video.replace("4002", "6002"))
    other = scene.begun_call(Intent(OFFER + video), after_ms=2_000)
    attended(call, other)
    scene.wire.run_for(5_000)
    party, target = both(scene)
    assert (len(party.asked["INVITE"]), len(target.asked["INVITE"])) == (1, 1)
    scene.expect_nothing_left(party)


@pytest.mark.parametrize("ends", ["party", "switch"])
def test_the_transferor_is_notified_of_the_end_before_its_call_ends(scene, ends):
    """RFC 3515 section 2.4.7: the party that was to be transferred leaves while the target rings."""
    call = talking(scene)
    scene.vendor.script = RINGS
    blind(call)
    scene.wire.run_for(1_000)
    party, target = both(scene)
    if ends == "party":
        party.hang_up()
    else:
        scene.exchange.end_all(EndReason.ADMINISTRATIVE)
    scene.wire.run_for(1_000)
    assert call.is_over
    assert target.is_cancelled
    assert told(call)[-1] == "487 Request Terminated"
    assert call.asked["NOTIFY"][-1]["Subscription-State"] == "terminated;reason=noresource"
    scene.expect_nothing_left()


def test_an_answered_call_is_not_joined_by_a_replaces_for_early_ones_alone(scene):
    """RFC 3891 section 3: ``early-only``."""
    call, other = talking(scene), talking(scene, TARGET)
    refer(call, f"<sip:{TARGET}@{ANYWHERE}?Replaces={other.replaces_in_uri}%3Bearly-only>")
    scene.wire.run_for(1_000)
    assert call.got["REFER"] == [603]
    assert (call.is_over, other.is_over) == (False, False)
    scene.expect_nothing_left(call, other)


VIDEO = "m=video 4002 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"


@pytest.mark.parametrize("engine", [None, MediaEngine.RELAY])
@pytest.mark.parametrize("has_video", ["first", "second"])
def test_a_party_keeps_the_number_of_its_media_when_it_is_connected_to_one_that_has_fewer(engine, has_video):
    """RFC 3264 section 8: a description never has fewer ``m=`` lines than the one before; a strict peer refuses it."""
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    if engine is None:
        scene = Scene(catalogue(trunks))
    else:
        scene = Scene(catalogue(trunks, media=MediaParameters(engine=engine, mode=MediaMode.ON)), relay=VirtualRelay())
    calls = []
    for order in ("first", "second"):
        more = VIDEO if order == has_video else ""
        scene.vendor.script = answers(500, body=ANSWER + more.replace("4002", "6002"))
        calls.append(scene.caller.call(CALLEE, Intent(offer=OFFER + more)))
        scene.wire.run_for(2_000)
    attended(*calls)
    scene.wire.run_for(3_000)
    first, second = both(scene)
    for party, order in ((first, "first"), (second, "second")):
        assert not party.is_over
        media = re.findall(r"m=(\w+) (\d+)", party.theirs)
        assert [(kind, port == "0") for kind, port in media][:1] == [("audio", False)]
        assert order != has_video or [(kind, port) for kind, port in media][1:] == [("video", "0")]
    second.propose("a=sendonly")
    first.propose("a=sendonly") if has_video == "second" else None
    scene.wire.run_for(6_000)
    assert second.got["INVITE"] == [200]
    scene.expect_nothing_left(second)
