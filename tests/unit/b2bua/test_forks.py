"""One INVITE that rings several phones, and answers that arrive too late: each may cost money."""

from decimal import Decimal

import pytest
from doubles.data.builders import catalogue, mapping_gateway
from doubles.data.sessions import revised
from doubles.sockets.peer import ANSWER
from doubles.successor import replace_node
from doubles.virtual.customer import SUPPORTS_100REL, Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, usual_catalogue, vendor_gateway
from doubles.virtual.vendor import RINGS, SILENT, Line, Script, answers, refuses

from vosd.sip.settings import SipSettings, Timers
from vosd.trunks.dialect import CalleeDialect, Redirects

MEDIA = Line(0, 183, ANSWER, (), True)
OTHERS = ANSWER.replace("192.0.2.20", "192.0.2.21")


def rows(record):
    return [(row.gateway, row.code, row.reason) for row in record.attempts]


# -- several phones -----------------------------------------------------------------------------------------------


def test_the_first_phone_that_answers_wins_and_the_other_is_hung_up_and_written_down(scene):
    """RFC 3261 section 13.2.2.4: ACK and BYE for every other 2xx; a row for what it may cost."""
    slow = Script((Line(0, 180), Line(1_300, 200, OTHERS)))
    call, _ = scene.talk(None, Script((Line(0, 180), Line(1_000, 200, ANSWER)), forks=(slow,)))
    winner, loser = scene.vendor.calls
    assert (winner.is_over, loser.is_over, len(loser.acks)) == (False, True, 1)
    assert loser.asked["BYE"]
    assert call.theirs == winner.mine == ANSWER
    record = scene.finish(call)
    assert rows(record) == [("vendor-0", 200, "Answered"), ("vendor-0", 200, "Forked")]
    assert record.cost == record.fee / 2


def test_a_second_phone_that_answers_a_late_offer_is_hung_up_before_the_caller_has_answered(scene):
    """RFC 3261 section 13.2.2.4: the caller may take 64*T1 for its ACK, and the second phone would cost as long."""
    slow = Script((Line(0, 180), Line(600, 200, OTHERS)))
    scene.vendor.script = Script((Line(0, 180), Line(500, 200, ANSWER)), forks=(slow,))
    call = scene.begun_call(Intent(offer="", acknowledges=False), after_ms=1_000)
    winner, loser = scene.vendor.calls
    assert (len(winner.acks), len(loser.acks), loser.is_over) == (0, 1, True)
    call.acknowledge(ANSWER)
    scene.wire.run_for(1_000)
    assert {ack.body for ack in winner.acks} == {ANSWER}
    record = scene.finish(call)
    assert rows(record) == [("vendor-0", 200, "Answered"), ("vendor-0", 200, "Forked")]


def test_a_phone_that_answers_after_the_end_is_hung_up_all_the_same(scene):
    slow = Script((Line(0, 180), Line(9_000, 200, OTHERS)))
    scene.vendor.script = Script((Line(0, 180), Line(1_000, 200, ANSWER)), forks=(slow,))
    scene.whole_call(Intent(hang_up_after_ms=2_000))
    scene.wire.run_for(10_000)
    _, loser = scene.vendor.calls
    assert (loser.final, loser.is_over, len(loser.acks)) == (200, True, 1)
    assert rows(scene.close()) == [("vendor-0", 200, "Answered")], "the record was written when the call ended"


@pytest.mark.parametrize("headers", [(), SUPPORTS_100REL], ids=["as it comes", "reliably"])
def test_early_media_of_several_phones_reaches_the_caller(scene, headers):
    """Each 18x is passed on; the 200 says what holds."""
    other = Script((Line(200, 183, OTHERS, (), True),))
    scene.vendor.script = Script((Line(0, 183, ANSWER, (), True), Line(1_000, 200, ANSWER)), forks=(other,))
    call = scene.answered_call(Intent(headers=headers), talk_ms=1_000)
    winner, ringing = scene.vendor.calls
    assert [len(each.asked["PRACK"]) for each in (winner, ringing)] == [1, 1]
    bodies = [response.body for response in call.responses if response.status == 183]
    assert bodies[0] == ANSWER
    assert set(bodies) == {ANSWER, OTHERS}
    record = scene.finish(call)
    assert record.end_reason == "Normal"


def test_the_answering_phone_is_not_the_one_with_early_media(scene):
    """RFC 3264 with forks: the caller must end up with the session of the phone that it talks to."""
    other = Script((Line(0, 183, OTHERS, (), True),))
    scene.vendor.script = Script((Line(50, 180), Line(1_000, 200, ANSWER)), forks=(other,))
    call = scene.answered_call(Intent(headers=SUPPORTS_100REL), talk_ms=1_000)
    winner = scene.vendor.calls[0]
    assert call.theirs == winner.mine == ANSWER
    assert scene.finish(call).end_reason == "Normal"


@pytest.mark.parametrize("headers", [(), SUPPORTS_100REL], ids=["as it comes", "reliably"])
@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("between_ms", [300, 2], ids=["at leisure", "before the PRACK of the first"])
def test_a_phone_whose_early_media_the_caller_has_answers_under_the_same_tag(scene, headers, between_ms, is_restarted):
    """RFC 3261 section 13.2.2.4: the caller matches the 200 with the early dialog that it has with that phone."""
    other = Script((Line(100 + between_ms, 183, OTHERS, (), True),))
    scene.vendor.script = Script((Line(100, 183, ANSWER, (), True), Line(1_500, 200, ANSWER)), forks=(other,))
    call = scene.begun_call(Intent(headers=headers), after_ms=1_000)
    if is_restarted:
        replace_node(scene)
    scene.await_answer(call, talk_ms=1_000)
    winner = scene.vendor.calls[0]
    tags = {response.body: response.to_tag for response in call.responses if response.status == 183}
    assert len(set(tags.values())) == 2
    assert call.response(200).to_tag == tags[ANSWER]
    assert call.theirs == winner.mine == ANSWER
    scene.propose(call, "a=sendonly")
    assert call.got["INVITE"] == [200]
    assert scene.finish(call).end_reason == "Normal"


def test_a_phone_answers_under_the_tag_of_its_latest_early_media(scene):
    """More early media of a phone that was left have a new tag each time, because of RSeq (RFC 3262 section 4)."""
    call = scene.begun_call(Intent(headers=SUPPORTS_100REL), script=RINGS, after_ms=100)
    invite = scene.vendor.only_call.invite
    for phone, session in (("phone-a", ANSWER), ("phone-b", OTHERS), ("phone-a", ANSWER)):
        scene.vendor.reply(invite, 183, tag=phone, body=session)
        scene.wire.run_for(500)
    tags = [response.to_tag for response in call.responses if response.status == 183 and response.body]
    assert len(set(tags)) == 3
    scene.vendor.reply(invite, 200, tag="phone-b", body=OTHERS)
    scene.wire.run_for(100)
    assert call.response(200).to_tag == tags[1]
    scene.hang_up(call)
    scene.wire.run_for(100)
    assert scene.record.end_reason == "Normal"


def test_a_prack_for_a_phone_that_was_left_is_taken_where_it_is_awaited_and_only_there(scene):
    """RFC 3262 section 3: 481 to a PRACK that matches no response of the early dialog that has no PRACK."""
    other = Script((Line(100, 183, OTHERS, (), True),))
    scene.vendor.script = Script((Line(0, 183, ANSWER, (), True), Line(1_000, 486)), forks=(other,))
    call = scene.begun_call(Intent(headers=SUPPORTS_100REL, pracks=False), after_ms=50)
    first = call.response(183)
    call.remote, call.target = first["To"], first.target
    acknowledge(call, first)
    scene.wire.run_for(200)
    second = call.responses[-1]
    assert second.to_tag != first.to_tag
    for number in (0, 1, 2):
        acknowledge(call, first, number)  # it has its PRACK, and the number after it is of the other early dialog
    scene.wire.run_until(lambda: call.final == 486)
    acknowledge(call, second, 1)
    call.remote = second["To"]
    call.sequence += 1
    acknowledge(call, second, 1)
    acknowledge(call, second)
    scene.wire.run_for(100)
    assert call.got["PRACK"] == [200, 481, 481, 481, 481, 481, 200]
    scene.close()


def acknowledge(call, response, more=0):
    """Send the PRACK of a reliable response, or of the one that has ``more`` as its number."""
    call.ask("PRACK", headers=(f"RAck: {int(response['RSeq']) + more} 1 INVITE",))


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("winner", [0, 1])
@pytest.mark.parametrize("between_ms", [200, 2], ids=["at leisure", "before the PRACK of the first"])
def test_the_offer_of_each_phone_gets_its_own_answer(scene, winner, between_ms, is_restarted):
    """RFC 3262 section 5, RFC 3261 section 13.2.1: the INVITE has no offer, each early dialog has."""
    scene.vendor.script = Script(
        (Line(0, 183, ANSWER, (), True),), forks=(Script((Line(between_ms, 183, OTHERS, (), True),)),)
    )
    call = scene.begun_call(Intent(offer="", headers=SUPPORTS_100REL), after_ms=1_000)
    phones = scene.vendor.calls
    assert [[bool(prack.body) for prack in each.asked["PRACK"]] for each in phones] == [[True], [True]]
    if is_restarted:
        replace_node(scene)
    phones[winner].respond(Line(0, 200))
    scene.wire.run_for(100)
    assert [ack.body for ack in phones[winner].acks] == [""]
    scene.propose(call, "a=sendonly", wait_ms=100)
    assert call.agrees_with(phones[winner])
    scene.finish(call)


@pytest.mark.parametrize("reliably", [True, False])
def test_a_phone_that_offers_after_another_one_was_answered_gets_an_answer(scene, reliably):
    """The offer of a phone is in its 183 if that is reliable, else in its 200 (RFC 3261 section 13.2.1)."""
    other = Script((Line(200, 183, OTHERS, (), reliably), Line(1_000, 200, "" if reliably else OTHERS)))
    call, _ = scene.talk(
        Intent(offer="", headers=SUPPORTS_100REL), Script((Line(0, 183, ANSWER, (), True),), forks=(other,))
    )
    winner = scene.vendor.calls[1]
    answers_to = winner.asked["PRACK"] if reliably else winner.acks
    assert [bool(each.body) for each in answers_to] == [True]
    assert call.theirs == OTHERS
    scene.finish(call)


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_caller_is_offered_the_latest_media_of_a_fork_that_it_was_shown_before(scene, is_restarted):
    """It need not have taken them: they came in a response after the reliable answer."""
    media = revised(ANSWER).replace("30000", "40000")
    other = Script((Line(1_000, 183, OTHERS, (), True),))
    scene.vendor.script = Script((MEDIA, Line(500, 183, media), Line(6_000, 200)), forks=(other,))
    call = scene.begun_call(Intent(headers=SUPPORTS_100REL), after_ms=2_000)
    if is_restarted:
        replace_node(scene)
    scene.await_answer(call, talk_ms=2_000)
    assert ["m=audio 40000" in each.body for each in call.asked["INVITE"]] == [True]
    assert "m=audio 40000" in call.theirs
    scene.finish(call)


# -- gateways that were given up ----------------------------------------------------------------------------------


@pytest.mark.parametrize("resend_ms", [(), (1_000, 2_000)], ids=["response_timeout", "SS_SIP_RESEND_INTERVAL"])
def test_a_late_answer_of_a_silent_gateway_has_a_row_of_its_own(resend_ms):
    scene = Scene(sip=SipSettings(timers=Timers(resend_ms=resend_ms)))
    scene.whole_call(Intent(hang_up_after_ms=10_000), script=Script((Line(7_000, 200, ANSWER),)))
    late = scene.vendor.only_call
    assert (late.is_over, len(late.acks)) == (True, 1)
    record = scene.close()
    silence, answer, late_answer = rows(record)
    assert (silence, answer) == (("vendor-0", 0, "No Answer"), ("vendor-1", 200, "Answered"))
    assert late_answer == ("vendor-0", 200, "Late Answer")
    assert record.attempts[2].ms == pytest.approx(7_000, abs=10)
    assert record.routing_gateway == "vendor-1"


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_vendor_is_paid_for_each_phone_that_answers_in_vain(is_restarted):
    """It has sent a 200 for each, under one Call-ID: it bills each; the customer pays for the call that it has."""
    scene = Scene()
    forks = tuple(Script((Line(0, 180), Line(ms, 200, OTHERS))) for ms in (3_000, 4_000))
    scene.vendor.script = Script((Line(0, 180), Line(1_000, 200, ANSWER)), forks=forks)
    call = scene.begun_call(Intent(hang_up_after_ms=60_000), after_ms=2_000)
    if is_restarted:
        replace_node(scene)
    scene.wire.run_until(lambda: call.is_over)
    scene.wire.run_for(100)
    own = scene.close()
    late = scene.exchange.sink.late_answers
    assert [rows(each) for each in late] == [[("vendor-0", 200, "Forked")]] * 2
    assert {(each.customer_account, each.rate_type, each.fee, each.cost) for each in late} == {
        (None, None, 0, Decimal("0.005"))
    }
    assert {(each.sip_call_id_out, each.destination_address, each.vendor_account) for each in late} == {
        (own.sip_call_id_out, own.destination_address, own.vendor_account)
    }
    assert {each.reason_text for each in late} == {f"another phone answered first, in call {own.call_id}"}
    assert [posting.amount for each in late for posting in each.postings] == [Decimal("-0.005")] * 2
    assert len({posting.reference for each in late for posting in each.postings}) == 2
    assert own.cost == own.fee / 2


@pytest.mark.parametrize("given_up_by", ["the switch", "the caller"])
def test_a_vendor_is_paid_for_an_answer_that_comes_after_its_attempt_was_given_up(given_up_by):
    """It bills a call of its own, so that has a record; the customer's record and money stay as they are."""
    scene = Scene()
    scene.vendor.script = Script((Line(0, 180), Line(7_000, 200, ANSWER)), accepts_cancel=False)
    if given_up_by == "the switch":
        call = scene.begun_call(Intent(hang_up_after_ms=10_000), script=Script((Line(7_000, 200, ANSWER),)))
    else:
        call = scene.caller.call(CALLEE, Intent(cancel_after_ms=1_000))
    scene.wire.run_until(lambda: call.is_over)
    scene.wire.run_for(10_000)
    (late,), own = scene.exchange.sink.late_answers, scene.record
    assert (late.customer_account, late.currency, len(late.attempts)) == (None, None, 1)
    assert rows(late) == [("vendor-0", 200, "Late Answer")]
    assert (late.fee, late.cost, late.vendor_billed_seconds) == (0, Decimal("0.005"), 1)
    assert (late.vendor_account, late.routing_gateway, late.sip_call_id_in) == (
        "carriers",
        "vendor-0",
        own.sip_call_id_in,
    )
    assert own.call_id in (late.reason_text or "")
    assert late.ended_at - (late.vendor_answered_at or 0) == 1_000
    assert [(each.account, each.amount) for each in late.postings] == [("carriers", Decimal("-0.005"))]
    assert {each.amount < 0 for each in own.postings} == ({True} if given_up_by == "the switch" else set())


@pytest.mark.parametrize(
    ("answers_at_ms", "is_restarted"),
    [(400, False), (400, True), (9_000, False)],
    ids=["while the call lasts", "after a restart", "after its end"],
)
def test_a_vendor_that_has_refused_is_paid_for_a_phone_that_answers_while_the_call_lasts(answers_at_ms, is_restarted):
    """Another fork of the INVITE is connected, if only until our BYE."""
    scene = Scene()
    scene.vendor.script = Script((Line(50, 503),), forks=(Script((Line(answers_at_ms, 200, ANSWER),)),))
    scene.vendors[1].script = answers(0)
    call = scene.caller.call(CALLEE, Intent(hang_up_after_ms=5_000))
    if is_restarted:
        scene.wire.run_for(200)
        replace_node(scene)
    scene.wire.run_until(lambda: call.is_over)
    scene.wire.run_for(10_000)
    assert [bool(each.asked["BYE"]) for each in scene.vendor.calls] == [False, True]
    late, own = scene.exchange.sink.late_answers, scene.close()
    is_paid = answers_at_ms < 5_000
    assert [rows(each) for each in late] == [[("vendor-0", 200, "Late Answer")]] * is_paid
    assert [(each.cost, each.customer_account) for each in late] == [(Decimal("0.005"), None)] * is_paid
    assert {row for row in rows(own) if row[0] == "vendor-0"} == {
        ("vendor-0", 503, "Unavailable"),
        *[("vendor-0", 200, "Late Answer")] * is_paid,
    }
    assert own.routing_gateway == "vendor-1"
    assert scene.exchange.endpoint.dialogs.refused == {}


@pytest.mark.parametrize("rings", [(MEDIA,), tuple(Line(ms, 180, "", (), True) for ms in (0, 5, 10))])
def test_a_late_answer_after_reliable_ringing_is_hung_up_with_a_number_that_counts(rings):
    """RFC 3261 section 12.2.1.1: the PRACKs have counted too; a BYE with a number of theirs would be refused."""
    scene = Scene(usual_catalogue(terms={"ring_timeout_ms": 500, "failover_after_ringing": True}))
    scene.vendor.script = Script((*rings, Line(600, 200, ANSWER)), accepts_cancel=False)
    scene.whole_call(Intent(hang_up_after_ms=5_000))
    late = scene.vendor.only_call
    assert late.asked["BYE"]
    assert late.is_over
    assert ("vendor-0", 200, "Late Answer") in rows(scene.close())


# -- redirection --------------------------------------------------------------------------------------------------


def redirecting(*contacts, redirects=Redirects.FOLLOW, after_ms=0):
    first = vendor_gateway(0, dialect=CalleeDialect(redirects=redirects))
    scene = Scene(catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), first]))
    scene.vendor.script = refuses(302, after_ms, headers=tuple(f"Contact: {contact}" for contact in contacts))
    return scene


def at(index, number=CALLEE):
    return f"<sip:{number}@{VENDORS[index].host}:{VENDORS[index].port}>"


def test_a_redirection_is_followed_where_the_trunk_allows_it():
    """RFC 3261 section 8.1.3.4, on the vendor's account: it is the vendor that sends us there."""
    scene = redirecting(at(1, "442079460099"))
    call = scene.whole_call(Intent(hang_up_after_ms=1_000))
    assert call.statuses == [180, 200]
    assert scene.vendors[1].only_call.invite.start_line.startswith("INVITE sip:442079460099@")
    record = scene.close()
    assert rows(record) == [("vendor-0", 302, "Unavailable"), ("vendor-0", 200, "Answered")]
    assert (record.vendor_account, record.destination_address) == ("carriers", str(VENDORS[1]))
    assert b"203.0.113" not in b"".join(line for line in scene.bytes_to(CUSTOMER).split(b"\r\n") if b"Contact" in line)


def test_the_contact_that_is_wanted_most_is_tried_first_and_the_others_after_it():
    scene = redirecting(f"{at(1)};q=0.2", f"{at(2)};q=0.9")
    scene.vendors[2].script = SILENT
    scene.whole_call(Intent(hang_up_after_ms=1_000))
    record = scene.close()
    assert [row.code for row in record.attempts] == [302, 0, 200]
    assert record.destination_address == str(VENDORS[1])


def test_at_most_five_contacts_of_a_redirection_are_tried():
    scene = redirecting(*(f"{at(1, f'44207946000{number}')};q=0.{9 - number}" for number in range(7)))
    scene.vendors[1].script = refuses(503)
    scene.whole_call()
    assert [row.code for row in scene.close().attempts] == [302, *[503] * 5]
    called = [each.invite.start_line.split("@")[0] for each in scene.vendors[1].calls]
    assert called == [f"INVITE sip:44207946000{number}" for number in range(5)]


def test_a_redirection_in_a_circle_comes_to_an_end():
    scene = redirecting(at(0))
    call = scene.whole_call()
    assert call.final == 480
    assert len(scene.close().attempts) <= 10


@pytest.mark.parametrize(
    "scene",
    [redirecting(at(1), redirects=Redirects.REFUSE), redirecting("<mailto:x@h>"), redirecting("<sip:>"), redirecting()],
    ids=["not allowed", "elsewhere", "broken", "nowhere"],
)
def test_a_redirection_that_is_not_followed_is_480_to_the_caller(scene):
    call = scene.whole_call()
    assert call.final == 480
    assert call.refusal.every("Contact") in ([], [f"<sip:{scene.wire.packets[0].target}>"])
    assert scene.vendors[1].calls == []
    scene.close()


def test_the_caller_may_give_up_while_a_redirection_is_followed():
    scene = redirecting(at(1))
    scene.vendors[1].script = answers(20_000)
    scene.whole_call(Intent(cancel_after_ms=3_000))
    scene.wire.run_for(100)
    assert scene.vendors[1].only_call.is_cancelled
    assert scene.close().end_reason == "Cancelled"


# -- why ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["caller", "callee"])
def test_the_cause_of_a_hang_up_goes_through_without_its_words(scene, side):
    """RFC 3326, RFC 6432: Q.850 in, Q.850 out, and in the record."""
    call, there = scene.talk()
    leaving, left = (call, there) if side == "caller" else (there, call)
    leaving.hang_up('Reason: SIP;cause=200, Q.850;cause=31;text="secret"')
    scene.wire.run_until(lambda: left.is_over)
    assert left.asked["BYE"][0].every("Reason") == ['Q.850;cause=31;text="Normal"']
    scene.wire.run_for(10)
    record = scene.close()
    assert (record.end_reason, record.q850_cause) == ("Normal", 31)
