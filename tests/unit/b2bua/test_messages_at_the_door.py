"""Messages of a leg that are changed on their way out, or wait there for an answer from outside (ADR 117)."""

import pytest
from doubles.data.builders import account, catalogue, mapping_gateway
from doubles.doorkeeper import ScriptedDoorkeeper, Treatment, title_of
from doubles.sockets.peer import ANSWER, OFFER
from doubles.virtual.customer import SUPPORTS_100REL, Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, usual_catalogue, vendor_gateway
from doubles.virtual.vendor import RINGS, Line, Script, answers, answers_reliably, refuses
from structlog.testing import capture_logs

from vosd.b2bua.call import Call
from vosd.base.cause import EndReason
from vosd.billing.destinations import DestinationClass, DestinationLimit
from vosd.sip.door.door import WAIT_MAX_MS, MessageChange, MessageWait
from vosd.trunks.dialect import CallerDialect, Transfers

REWRITTEN = b"v=0\r\no=- 1 1 IN IP4 192.0.2.99\r\ns=-\r\nc=IN IP4 192.0.2.99\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
STARTED = 1_000_000
"""Virtual time at which a scene begins."""
LATE = Treatment(after_ms=300)
NEVER = Treatment()
NEVER_AND_NEEDED = Treatment(may_leave=False)


def scene_with(treatments, *content):
    """Return a scene whose doorkeeper treats messages by their titles."""
    keeper = ScriptedDoorkeeper(treatments)
    scene = Scene(*content, doorkeeper=keeper)
    keeper.exchange = scene.exchange
    return scene, keeper


def mistaken(*_arguments, **_more):
    raise ValueError("a mistake")


def titles(scene, target):
    """Return when and what the switch has sent there: method or status of each packet."""
    return [(packet.sent_at - STARTED, packet.data.split(b" ", 2)[1 if packet.data[:4] == b"SIP/" else 0].decode())
            for packet in scene.wire.packets if packet.target == target]  # fmt: skip


def names(scene, target):
    return [name for _, name in titles(scene, target)]


# -- changed ------------------------------------------------------------------------------------------------------


def test_a_doorkeeper_changes_headers_and_body_of_a_message_that_leaves_at_once():
    scene, keeper = scene_with({"INVITE": Treatment(0, MessageChange(body=REWRITTEN))})
    keeper.treatments = {**keeper.treatments, "BYE": Treatment(0, MessageChange(headers="X-Charge: none\r\n"))}
    call, there = scene.talk()
    assert there.theirs.encode() == REWRITTEN
    scene.finish(call)
    assert b"X-Charge: none\r\n" in scene.bytes_to(VENDORS[0])


def test_a_session_description_is_changed_in_every_message_that_carries_one():
    change = Treatment(100, MessageChange(body=REWRITTEN))
    scene, keeper = scene_with({"INVITE": change, "183 INVITE": change, "200 INVITE": change, "re-INVITE": change})
    call, there = scene.talk(script=Script((Line(0, 183, ANSWER), Line(1_000, 200, ANSWER))))
    assert [response.body.encode() for response in call.responses if response.body] == [REWRITTEN, REWRITTEN]
    assert there.theirs.encode() == REWRITTEN
    scene.propose(call, "a=sendonly")
    assert there.theirs.encode() == REWRITTEN
    assert all(keeper.taken)
    scene.finish(call)


# -- late ---------------------------------------------------------------------------------------------------------


def test_an_invite_that_waits_is_sent_when_the_answer_comes_and_its_timers_begin_then():
    scene, _ = scene_with({"INVITE": LATE})
    scene.vendor.script = Script(())
    scene.caller.call(CALLEE, Intent(cancel_after_ms=2_000))
    scene.wire.run_for(2_500)
    assert [at for at, name in titles(scene, VENDORS[0]) if name == "INVITE"] == [301, 810, 1_810]


def test_what_follows_waits_behind_a_message_in_order():
    scene, _ = scene_with({"183 INVITE": Treatment(1_500, longest_ms=2_000)})
    call, _ = scene.talk(script=Script((Line(0, 183, ANSWER), Line(1_000, 200, ANSWER))))
    first, second = [at for at, name in titles(scene, CUSTOMER) if name in {"183", "200"}]
    assert first == second > 1_500
    assert call.statuses == [183, 200]
    scene.finish(call)


def test_the_other_leg_does_not_wait():
    scene, _ = scene_with({"200 INVITE": Treatment(900)})
    call = scene.begun_call(script=answers(500), after_ms=800)
    assert "ACK" in names(scene, VENDORS[0])
    assert call.final is None
    scene.wire.run_for(1_000)
    assert call.final == 200
    scene.finish(call)


def test_a_200_that_waits_is_repeated_from_when_it_was_sent():
    scene, _ = scene_with({"200 INVITE": LATE})
    call = scene.begun_call(Intent(acknowledges=False), script=answers(500), after_ms=2_500)
    (first, *others) = [at for at, name in titles(scene, CUSTOMER) if name == "200"]
    assert [at - first for at in others] == [507, 1_507]  # the wheel has ticks of 10 ms
    call.acknowledge()
    scene.wire.run_for(100)
    scene.finish(call)


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_an_offer_of_a_side_waits_while_the_call_goes_on(method):
    late = Treatment(500)
    scene, _ = scene_with({"re-INVITE": late, "UPDATE": late, "200 INVITE": late})
    call, there = scene.talk()
    offer = call.propose("a=sendonly", method=method)
    scene.wire.run_for(3_000)
    assert there.theirs == offer or method == "UPDATE"
    assert call.agrees_with(there)
    scene.finish(call)


def test_a_reliable_response_waits_and_is_acknowledged_after_it_was_sent():
    scene, _ = scene_with({"183 INVITE": LATE, "PRACK": LATE})
    call = scene.answered_call(Intent(headers=SUPPORTS_100REL), script=answers_reliably(), talk_ms=1_000)
    assert call.statuses == [183, 200]
    assert names(scene, VENDORS[0]).count("PRACK") == 1
    scene.finish(call)


def test_a_bye_that_waits_ends_the_call_at_once_and_leaves_later():
    scene, _ = scene_with({"BYE": LATE})
    call, there = scene.talk()
    scene.hang_up(call, wait_ms=100)
    assert scene.record.end_reason == "Normal"
    assert not there.is_over
    scene.wire.run_for(1_000)
    assert there.is_over
    scene.close()


# -- no answer ----------------------------------------------------------------------------------------------------


def test_without_an_answer_a_message_leaves_as_it_is_when_its_time_is_over():
    scene, keeper = scene_with({"INVITE": NEVER})
    call, there = scene.talk()
    assert there.theirs == OFFER
    assert keeper.forgotten == ["INVITE"]
    assert titles(scene, VENDORS[0])[0] == (1_010, "INVITE")
    scene.finish(call)


def test_no_message_waits_longer_than_the_switch_allows():
    scene, _ = scene_with({"INVITE": Treatment(longest_ms=60_000)})
    call, _ = scene.talk()
    assert titles(scene, VENDORS[0])[0] == (WAIT_MAX_MS + 10, "INVITE")
    scene.finish(call)


def test_an_invite_that_may_not_leave_without_an_answer_ends_the_attempt_and_says_nothing_of_the_vendor():
    scene, keeper = scene_with({"INVITE": NEVER_AND_NEEDED})
    call = scene.begun_call(after_ms=1_500)
    keeper.treatments = {}
    scene.wire.run_until(lambda: call.final is not None)
    assert call.final != 200 or scene.vendors[1].calls
    assert names(scene, VENDORS[0]) == []
    scene.expect_nothing_left(call)
    assert [each.code for each in scene.record.attempts][:1] == [0]


def test_an_offer_that_may_not_leave_is_refused_and_the_call_goes_on():
    scene, _ = scene_with({"re-INVITE": NEVER_AND_NEEDED})
    call, there = scene.talk()
    scene.propose(call, "a=sendonly", wait_ms=2_000)
    assert call.got["INVITE"] == [503]
    assert "INVITE" not in there.asked
    scene.finish(call)


def test_a_call_whose_200_may_not_leave_is_refused_and_costs_the_customer_nothing():
    scene, _ = scene_with({"200 INVITE": NEVER_AND_NEEDED})
    call = scene.begun_call(after_ms=5_000)
    assert call.final == 503
    assert [there.is_over for there in scene.vendor.calls] == [True]
    record = scene.close()
    assert (record.end_reason, record.sip_code, record.answered_at) == ("Unavailable", 503, None)
    assert scene.exchange.statement("acme") == 0
    assert scene.exchange.statement("carriers") != 0


def test_a_bye_an_ack_and_a_refusal_leave_always():
    scene, _ = scene_with({"ACK": NEVER_AND_NEEDED, "BYE": NEVER_AND_NEEDED})
    call, there = scene.talk()
    scene.wire.run_for(1_000)
    assert there.acks
    scene.hang_up(call, wait_ms=2_000)
    assert there.is_over
    scene.close()


# -- wrong answers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    ["no line", "Via: SIP/2.0/UDP 192.0.2.7\r\n", "X: 1\r\n\r\nv=0", "X: 1\r\nX-2 1\r\n", "l: 5\r\n", "X: 1\n"],
)
def test_an_answer_that_cannot_be_sent_counts_as_none(headers):
    scene, keeper = scene_with({"INVITE": Treatment(300, MessageChange(headers=headers, body=REWRITTEN))})
    call, there = scene.talk()
    assert keeper.taken == [False]
    assert there.theirs == OFFER
    assert titles(scene, VENDORS[0])[0] == (301, "INVITE")
    scene.finish(call)


def test_an_answer_that_comes_late_or_twice_changes_nothing():
    scene, keeper = scene_with({"INVITE": Treatment(1_500, MessageChange(body=REWRITTEN))})
    call, there = scene.talk()
    (waiting,) = keeper.waiting
    scene.wire.run_for(1_000)
    keeper.answer(waiting, MessageChange(body=REWRITTEN))
    assert keeper.taken == [False, False]
    assert there.theirs == OFFER
    assert names(scene, VENDORS[0]).count("INVITE") == 1
    scene.finish(call)


def test_the_answer_that_there_is_none_ends_the_waiting_at_once():
    scene, keeper = scene_with({"INVITE": NEVER})
    keeper.then = lambda waiting: scene.wire.after(200, lambda: keeper.answer(waiting, None))
    call, _ = scene.talk()
    assert titles(scene, VENDORS[0])[0] == (201, "INVITE")
    scene.finish(call)


# -- a doorkeeper that raises -------------------------------------------------------------------------------------


def doorkeeper_errors(lines):
    return [(line["message"], line["call_id"]) for line in lines if line["event"] == "doorkeeper_failed"]


def test_messages_leave_as_they_are_and_in_order_from_a_doorkeeper_that_raises():
    scene, keeper = scene_with({"INVITE": LATE})
    keeper.examined = mistaken
    with capture_logs() as lines:
        call, there = scene.talk()
        offer = call.propose("a=sendonly")
        scene.wire.run_for(1_000)
        assert there.theirs == offer
        scene.finish(call)
    assert names(scene, VENDORS[0]) == ["INVITE", "ACK", "INVITE", "ACK", "BYE"]
    assert scene.record.end_reason == "Normal"
    assert doorkeeper_errors(lines) == [("OutgoingResponse", scene.record.call_id)]  # once a minute


@pytest.mark.parametrize("title", ["INVITE", "183 INVITE", "200 INVITE", "ACK", "re-INVITE", "BYE"])
def test_a_doorkeeper_that_raises_for_one_message_keeps_none_behind_it(title):
    scene, keeper = scene_with({})
    keeper.examined = lambda waiting: mistaken() if title_of(waiting.message) == title else None
    with capture_logs() as lines:
        call, there = scene.talk(script=Script((Line(0, 183, ANSWER), Line(1_000, 200, ANSWER))))
        offer = call.propose("a=sendonly")
        scene.wire.run_for(1_000)
        assert there.theirs == offer
        scene.finish(call)
    assert len(doorkeeper_errors(lines)) == 1
    assert scene.record.end_reason == "Normal"


@pytest.mark.parametrize("verdict", [True, "INVITE", MessageWait("long"), MessageChange(headers=b"X-Charge: none\r\n")])
def test_a_verdict_of_a_wrong_type_lets_the_message_leave_as_it_is(verdict):
    scene, keeper = scene_with({})
    examine, keeper.examine = keeper.examine, lambda waiting, now: (examine(waiting, now), verdict)[1]
    call, there = scene.talk()
    assert there.theirs == OFFER
    scene.finish(call)
    assert scene.record.end_reason == "Normal"


def test_an_error_of_a_doorkeeper_that_is_to_forget_a_message_ends_no_call():
    scene, keeper = scene_with({"INVITE": NEVER, "200 INVITE": NEVER})
    keeper.is_forgotten = mistaken
    with capture_logs() as lines:
        call, there = scene.talk()
        scene.finish(call)
    assert there.theirs == OFFER
    assert scene.record.end_reason == "Normal"
    assert doorkeeper_errors(lines) == [("OutgoingInvite", scene.record.call_id)]


def test_a_doorkeeper_withholds_a_message_by_a_wait_of_no_time():
    scene, _ = scene_with({"INVITE": Treatment(longest_ms=0, may_leave=False)})
    scene.settled_call()
    assert names(scene, VENDORS[0]) == []
    assert scene.record.attempts[0].code == 0
    scene.close()


# -- across other events ------------------------------------------------------------------------------------------


def test_a_cancelled_invite_that_waits_leaves_no_trace_on_the_wire():
    scene, keeper = scene_with({"INVITE": Treatment(2_000)})
    call = scene.begun_call(Intent(cancel_after_ms=500), after_ms=5_000)
    assert call.final == 487
    assert names(scene, VENDORS[0]) == []
    assert keeper.forgotten == ["INVITE"]
    assert keeper.taken == [False]
    assert scene.close().end_reason == "Cancelled"


def test_an_attempt_that_is_given_up_while_its_invite_waits_leaves_no_trace():
    gateways = usual_catalogue(terms={"response_timeout_ms": 500})
    scene, keeper = scene_with({"INVITE": Treatment(2_000)}, gateways)
    keeper.then = lambda _waiting: keeper.__setattr__("treatments", {})
    call = scene.settled_call()
    assert call.final == 200
    assert names(scene, VENDORS[0]) == []
    assert scene.vendors[1].calls
    scene.wire.run_for(1_000)
    scene.finish(call)


def test_a_cancel_that_comes_while_the_200_waits_is_honoured_and_costs_the_customer_nothing():
    scene, _ = scene_with({"200 INVITE": Treatment(900)})
    call = scene.begun_call(Intent(cancel_after_ms=1_000), script=answers(500), after_ms=5_000)
    assert call.final == 487
    assert [there.is_over for there in scene.vendor.calls] == [True]
    record = scene.close()
    assert (record.end_reason, record.answered_at) == ("Cancelled", None)
    assert scene.exchange.statement("acme") == 0
    assert scene.exchange.statement("carriers") != 0


def test_a_vendor_that_hangs_up_while_the_200_waits_ends_the_call_without_it():
    scene, _ = scene_with({"200 INVITE": Treatment(900)})
    call = scene.begun_call(script=answers(500, hang_up_after_ms=200), after_ms=5_000)
    assert call.final == 480
    assert scene.close().answered_at is None
    assert scene.exchange.statement("acme") == 0


def test_an_order_to_end_a_call_whose_200_waits_refuses_it():
    scene, _ = scene_with({"200 INVITE": Treatment(900)})
    call = scene.begun_call(script=answers(500), after_ms=700)
    scene.exchange.end_all(EndReason.ADMINISTRATIVE)
    scene.wire.run_for(1_000)
    assert call.final == 500
    assert [there.is_over for there in scene.vendor.calls] == [True]
    assert scene.close().answered_at is None
    assert scene.exchange.statement("acme") == 0


def test_a_reinvite_that_waits_is_withdrawn_when_its_origin_cancels_it():
    scene, _ = scene_with({"re-INVITE": Treatment(2_000)})
    call, there = scene.talk()
    scene.propose(call, "a=sendonly", wait_ms=300)
    call.asking[-1].cancel()
    scene.wire.run_for(4_000)
    assert call.got["INVITE"] == [487]
    assert "INVITE" not in there.asked
    scene.finish(call)


def test_a_call_that_ends_while_an_offer_waits_sends_the_bye_alone():
    scene, _ = scene_with({"re-INVITE": Treatment(2_000)})
    call, there = scene.talk()
    scene.propose(call, "a=sendonly", wait_ms=300)
    scene.hang_up(call, wait_ms=4_000)
    assert there.is_over
    assert "INVITE" not in there.asked
    scene.close()


def test_the_answer_waits_and_a_reinvite_of_the_vendor_waits_for_its_ack():
    scene, _ = scene_with({"200 INVITE": Treatment(900)})
    call = scene.begun_call(script=answers(500), after_ms=700)
    (there,) = scene.vendor.calls
    scene.propose(there, "a=sendonly", wait_ms=3_000)
    assert (call.final, there.got["INVITE"], len(call.asked["INVITE"])) == (200, [200], 1)
    assert call.agrees_with(there)
    scene.finish(call)


def test_a_blind_transfer_goes_through_doors_that_keep_everything_a_while():
    everything = ["INVITE", "re-INVITE", "200 INVITE", "180 INVITE", "NOTIFY", "202 REFER", "BYE", "ACK"]
    scene, keeper = scene_with({}, usual_catalogue(customer={"dialect": CallerDialect(transfers=Transfers.ACCEPT)}))
    keeper.treatments = dict.fromkeys(everything, Treatment(40))
    call, party = scene.talk()
    call.ask("REFER", headers=["Refer-To: <sip:442071111111@192.0.2.1>"])
    scene.wire.run_for(6_000)
    assert call.is_over
    first, second = scene.vendor.calls
    assert first is party
    assert first.asked["INVITE"][0].body.partition("\r\nt=")[2] == second.mine.partition("\r\nt=")[2]
    scene.expect_nothing_left(first)


def test_a_takeover_goes_through_doors_that_keep_everything_a_while():
    scene, keeper = scene_with({})
    keeper.treatments = dict.fromkeys(["re-INVITE", "200 INVITE", "BYE", "ACK"], Treatment(200))
    call, party = scene.talk()
    scene.wire.run_for(1_000)
    pickup = scene.settled_call(Intent(headers=(f"Replaces: {call.replaces}",)))
    scene.wire.run_for(2_000)
    assert pickup.final == 200
    assert call.is_over
    assert len(party.asked["INVITE"]) == 1
    scene.hang_up(pickup, wait_ms=5_000)
    assert party.is_over
    scene.close()


def test_a_ringing_vendor_is_cancelled_in_order():
    scene, _ = scene_with({"CANCEL": LATE})
    call = scene.begun_call(Intent(cancel_after_ms=1_000), script=RINGS, after_ms=3_000)
    assert call.final == 487
    assert "CANCEL" in names(scene, VENDORS[0])
    scene.close()


def test_a_vendor_that_answers_while_the_cancel_waits_is_hung_up():
    scene, _ = scene_with({"CANCEL": LATE})
    call = scene.begun_call(Intent(cancel_after_ms=1_000), script=answers(1_200), after_ms=3_000)
    assert call.final == 487
    assert [there.is_over for there in scene.vendor.calls] == [True]
    assert "CANCEL" not in names(scene, VENDORS[0])
    assert scene.close().end_reason == "Cancelled"
    assert scene.exchange.statement("carriers") != 0


def test_an_info_that_may_not_leave_is_answered_with_504():
    scene, _ = scene_with({"INFO": NEVER_AND_NEEDED})
    call, there = scene.talk()
    call.ask("INFO", body="Signal=5\r\nDuration=160", kind="application/dtmf-relay")
    scene.wire.run_for(3_000)
    assert call.got["INFO"] == [504]
    assert "INFO" not in there.asked
    scene.finish(call)


def test_a_refusal_that_waits_is_not_disturbed_by_a_cancel():
    scene, _ = scene_with({"503 INVITE": Treatment(900)})
    for vendor in scene.vendors:
        vendor.script = refuses(503)
    call = scene.caller.call(CALLEE, Intent(cancel_after_ms=500))
    with capture_logs() as lines:
        scene.wire.run_for(3_000)
    assert call.final == 503
    assert [line for line in lines if line["event"] == "call_aborted"] == []
    scene.close()


def test_a_prack_leaves_always():
    scene, _ = scene_with({"PRACK": NEVER_AND_NEEDED})
    call = scene.settled_call(Intent(headers=SUPPORTS_100REL), script=answers_reliably())
    assert call.final == 200
    assert names(scene, VENDORS[0]).count("PRACK") == 1
    scene.finish(call)


def test_a_call_that_an_error_drops_while_its_200_waits_costs_the_customer_nothing(monkeypatch):
    scene, _ = scene_with({"200 INVITE": Treatment(900)})
    call = scene.begun_call(script=answers(500), after_ms=700)
    with monkeypatch.context() as patch:
        patch.setattr(Call, "_accepts", mistaken)
        scene.exchange.end_all(EndReason.ADMINISTRATIVE)
    scene.wire.run_for(1_000)
    assert call.final == 487
    assert scene.record.end_reason == "Lost"
    assert scene.record.answered_at is None
    assert scene.exchange.statement("acme") == 0


@pytest.mark.parametrize("ends", ["deadline", "cancel", "withheld"])
def test_an_invite_that_was_never_sent_says_nothing_of_its_vendor(ends):
    treatment = NEVER_AND_NEEDED if ends == "withheld" else Treatment(2_000, longest_ms=3_000)
    scene, _ = scene_with({"INVITE": treatment}, usual_catalogue(vendors=1, terms={"response_timeout_ms": 1_500}))
    noted = []
    attempts = scene.exchange.switch.services.attempts
    attempts.over = lambda _leg, _payer, outcome, _now: noted.append(outcome)
    scene.settled_call(Intent(cancel_after_ms=1_000 if ends == "cancel" else None))
    assert names(scene, VENDORS[0]) == []
    assert noted == [None]


def test_the_time_of_a_vendor_to_respond_begins_when_its_invite_is_sent():
    scene, _ = scene_with({"INVITE": Treatment(900)}, usual_catalogue(vendors=1, terms={"response_timeout_ms": 1_000}))
    call = scene.settled_call(script=Script((Line(800, 180), Line(2_000, 200, ANSWER))))
    assert call.final == 200
    scene.wire.run_for(1_000)
    (attempt,) = scene.finish(call).attempts
    assert attempt.pdd_ms in range(800, 830)


# -- who is told of an answer --------------------------------------------------------------------------------------


class Reports:
    """Notes the states that calls report, and when."""

    def __init__(self, scene):
        self.made, self._scene = [], scene

    def answered(self, *_facts):
        self._note("answered")

    def ended(self, record):
        self._note("ended")

    def ringing(self, *_facts):
        pass

    trying = ringing

    def _note(self, state):
        self.made.append((state, self._scene.exchange.clock.now().mono - STARTED))


def watched_scene(treatments):
    """Return a scene with a watched customer, its reports, and the use of the watch."""
    content = catalogue(
        [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)],
        accounts=[account("acme", destination_limits=(DestinationLimit("uk"),))],
        destination_classes=(DestinationClass("uk", ("44",)),),
    )
    scene, keeper = scene_with(treatments, content)
    reports = Reports(scene)
    scene.exchange.switch.report_calls(reports)
    scene.vendor.script = answers(500)
    return scene, keeper, reports, scene.exchange.switch.live.destinations


@pytest.mark.parametrize("after_ms", [0, 900])
def test_an_answer_is_counted_and_reported_once_and_not_before_the_200_leaves(after_ms):
    scene, _, reports, destinations = watched_scene({"200 INVITE": Treatment(after_ms)})
    call = scene.begun_call(after_ms=450)
    assert (reports.made, destinations.active) == ([], {})
    scene.wire.run_until(lambda: call.final == 200)
    [use] = destinations.active.values()
    assert (use.running, use.first_number) == (1, CALLEE)
    held = sum(hold.amount for hold in scene.exchange.switch.calls()[0].call_request.hold.holds[:1])
    assert use.held == held > 0
    [(state, at)] = reports.made
    assert state == "answered"
    assert at in range(500 + after_ms, 520 + after_ms)
    scene.finish(call)
    assert [state for state, _ in reports.made] == ["answered", "ended"]
    assert (use.running, use.held) == (0, 0)


@pytest.mark.parametrize("ends", ["cancelled", "withheld", "hung up", "ordered"])
def test_an_answer_that_is_taken_back_is_neither_counted_nor_reported(ends):
    treatment = NEVER_AND_NEEDED if ends == "withheld" else Treatment(900)
    scene, _, reports, destinations = watched_scene({"200 INVITE": treatment})
    scene.vendor.script = answers(500, hang_up_after_ms=200 if ends == "hung up" else None)
    call = scene.begun_call(Intent(cancel_after_ms=1_000 if ends == "cancelled" else None), after_ms=700)
    if ends == "ordered":
        scene.exchange.end_all(EndReason.ADMINISTRATIVE)
    scene.wire.run_until(lambda: call.final is not None)
    assert call.final != 200
    assert [state for state, _ in reports.made] == ["ended"]
    assert destinations.active == {}
    assert not any(use.running or use.held or use.first_number for use in destinations.all.values())


def test_the_call_of_a_transfer_is_reported_as_answered_although_no_caller_gets_its_200():
    scene, _ = scene_with({}, usual_catalogue(customer={"dialect": CallerDialect(transfers=Transfers.ACCEPT)}))
    reports = Reports(scene)
    scene.exchange.switch.report_calls(reports)
    call, party = scene.talk()
    call.ask("REFER", headers=["Refer-To: <sip:442071111111@192.0.2.1>"])
    scene.wire.run_for(6_000)
    assert [state for state, _ in reports.made].count("answered") == 2
    scene.hang_up(party, wait_ms=5_000)
