"""Peers that insist on every word of the standards: nothing that the switch says in these flows gives them cause.

Each packet is read by ``scrutiny``, which knows what belongs into which message; the other tests of this folder do
the same by the way. Here is what those standards ask of a message beside what it is about.
"""

import re

import pytest
from doubles.conformance import faults_of
from doubles.data.builders import catalogue, mapping_gateway
from doubles.data.sessions import revised
from doubles.sockets.peer import ANSWER, OFFER
from doubles.successor import replace_node
from doubles.virtual.customer import INSISTS_ON_RELIABLE, KNOWS_UPDATE, SUPPORTS_100REL, Intent
from doubles.virtual.exchange import SWITCH
from doubles.virtual.probe import request
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, sides, vendor_gateway
from doubles.virtual.side import Reply
from doubles.virtual.vendor import RINGS, SILENT, Line, Script, answers, answers_reliably, refuses
from doubles.virtual.wire import DropEvery, Packet

from vosd.trunks.dialect import CalleeDialect, CallerDialect, Redirects, Transfers

BEHIND_PROXIES = ("Record-Route: <sip:p2.example;lr>, <sip:p1.example;lr>", "Timestamp: 54.2")
THROUGH_PROXIES = ("Record-Route: <sip:203.0.113.1:5060;lr>",)

FLOWS = {
    "plain": (Intent(), answers()),
    "through proxies": (Intent(headers=BEHIND_PROXIES), Script((Line(0, 180), Line(9, 200, ANSWER, THROUGH_PROXIES)))),
    "late offer": (Intent(offer=""), answers(body=OFFER)),
    "early media": (Intent(), Script((Line(0, 183, ANSWER), Line(1_000, 200, ANSWER)))),
    "reliable": (Intent(headers=INSISTS_ON_RELIABLE), answers_reliably()),
    "reliable late offer": (Intent(offer="", headers=SUPPORTS_100REL), answers_reliably(OFFER)),
    "forks": (Intent(), answers()._replace(forks=(answers(1_001),))),
    "refused": (Intent(), refuses(486)),
    "given up": (Intent(cancel_after_ms=500), RINGS),
    "silent": (Intent(), SILENT),
    "hung up by the callee": (Intent(), answers(hang_up_after_ms=500)),
}


@pytest.mark.parametrize("lost", [0, 4, 5], ids=["nothing lost", "every 4th lost", "every 5th lost"])
@pytest.mark.parametrize("flow", FLOWS)
def test_a_strict_peer_finds_no_fault(flow, lost):
    intent, script = FLOWS[flow]
    scene = Scene()
    if lost:
        scene.wire.delays = DropEvery(lost)
    call = scene.begun_call(intent, script=script, after_ms=40_000)
    if call.final == 200 and not call.is_over:
        scene.propose(call, "a=sendonly", wait_ms=20_000)
        scene.vendor.calls[0].ask("OPTIONS")
        scene.wire.run_for(20_000)
        call.hang_up()
    scene.end_of(call)
    assert faults_of(scene.wire.packets, SWITCH) == []


def test_the_conformance_check_finds_faults(scene):
    call, _ = scene.talk()
    said = [packet for packet in scene.wire.packets if packet.source == SWITCH]
    asked = [packet for packet in scene.wire.packets if packet.source != SWITCH]
    for before, after, complaint in [
        (b"CSeq: 1 INVITE", b"CSeq: 2 INVITE", "CSeq is not that of the request"),
        (b";tag=switch", b";gat=switch", "To needs a tag of ours"),
        (b"Max-Forwards: 69\r\n", b"", "max-forwards is missing"),
        (b"Contact:", b"X-Contact:", "contact is missing"),
        (b"Server:", b"X-Secret:", "x-secret has no business there"),
        (b"Content-Length: 1", b"Content-Length: ", "Content-Length is not that of the body"),
    ]:
        altered = [Packet(*packet[:3], packet.data.replace(before, after)) for packet in said]
        assert any(complaint in fault for fault in faults_of([*asked, *altered], SWITCH)), complaint
    scene.finish(call)


# -- what belongs to a message beside what it is about --------------------------------------------------------------


def test_the_timestamp_of_an_invite_is_in_its_100(scene):
    """RFC 3261 section 8.2.6.1; in no other response, and not where it is no time."""
    call, _ = scene.talk(Intent(headers=("Timestamp: 54.21",)))
    assert call.response(100)["Timestamp"] == "54.21"
    assert call.response(200).every("Timestamp") == []
    scene.finish(call)
    assert scene.bytes_to(VENDORS[0]).count(b"Timestamp") == 0


def test_a_timestamp_that_is_no_time_is_not_repeated(scene):
    call, _ = scene.talk(Intent(headers=("Timestamp: soon",)))
    assert call.response(100).every("Timestamp") == []
    scene.finish(call)


def test_an_invite_that_has_expired_is_487(scene):
    """RFC 3261 section 13.3.1: 487 once the seconds of its Expires are over without a final response."""
    call = scene.begun_call(Intent(headers=("Expires: 5",)), script=RINGS, after_ms=4_900)
    assert call.final is None
    scene.wire.run_for(200)
    assert call.final == 487
    scene.wire.run_for(1_000)
    assert scene.vendor.only_call.is_cancelled
    assert scene.close().end_reason == "Cancelled"


@pytest.mark.parametrize("seconds", [3_600, 9_999_999_999])
def test_an_invite_that_expires_later_than_any_call_rings_has_no_timer(scene, seconds):
    """Each one far away would be in a tick of its own, and the caller chooses which."""
    scene.vendor.script = RINGS
    before = scene.exchange.endpoint.census()["timers"]
    call = scene.begun_call(Intent(headers=(f"Expires: {seconds}",)), after_ms=1_000)
    assert call.final is None
    assert scene.exchange.endpoint.census()["timers"] == before
    call.cancel()
    scene.end_of(call)


def test_an_answered_call_keeps_no_timer_of_its_invite():
    def timers_of_call(*headers):
        scene = Scene()
        scene.talk(Intent(headers=headers))
        return scene.exchange.endpoint.census()["timers"]

    assert timers_of_call("Expires: 1800") == timers_of_call()


def test_an_answered_invite_expires_no_more(scene):
    call, _ = scene.talk(Intent(headers=("Expires: 5",)))
    scene.wire.run_for(10_000)
    assert not call.is_over
    assert scene.finish(call).end_reason == "Normal"


@pytest.mark.parametrize(("status", "told", "header"), [(405, 405, "Allow"), (415, 415, "Accept"), (406, 406, "Accept"),
                                                        (420, 503, ""), (421, 503, ""), (423, 503, "")])  # fmt: skip
def test_a_status_that_needs_an_explanation_has_one_or_does_not_pass(scene, status, told, header):
    """RFC 3261 sections 21.4.6 to 21.4.17: what a vendor wants of our own request says nothing to the caller."""
    call = scene.whole_call(script=refuses(status))
    assert call.final == told
    assert not header or call.refusal.every(header)
    scene.close()


# -- while something takes its time ---------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["caller", "callee"])
@pytest.mark.parametrize("method", ["UPDATE", "INFO"])
def test_a_request_whose_answer_takes_long_is_answered_100_meanwhile(scene, ends_that_update, side, method):
    """RFC 4320 section 4.1: not before timer E has come to T2, which is after 3.5 s, and then for sure."""
    call, _ = ends_that_update
    asking, asked = sides(side, *ends_that_update)
    asked.will(method, Reply(200, after_ms=8_000))
    if method == "UPDATE":
        request = asking.ask(method, body=revised(asking.mine, "a=sendonly"))
    else:
        request = asking.ask(method, body="Signal=1\r\n", kind="application/dtmf-relay")
    scene.wire.run_for(3_500)
    assert request.responses == []
    scene.wire.run_for(100)
    assert [response.status for response in request.responses] == [100]
    scene.wire.run_for(8_000)
    assert asking.got == {method: [200]}
    scene.finish(call)


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("status", [200, 486])
def test_a_prack_that_crosses_the_final_response_is_taken_and_no_other(scene, status, is_restarted):
    """RFC 3262 section 3: what the final response has overtaken is repeated no more, its PRACK has done no wrong."""
    scene.vendor.script = Script((Line(0, 100), Line(0, 180), Line(100, status, ANSWER if status == 200 else "")))
    call = scene.caller.call(CALLEE, Intent(headers=INSISTS_ON_RELIABLE, pracks=False))
    scene.wire.run_until(lambda: call.final == status)
    ringing = call.response(180)
    call.remote, call.target = ringing["To"], ringing.target
    if is_restarted:
        replace_node(scene)
    for rack in (f"{int(ringing['RSeq']) + 1} 1 INVITE", f"{ringing['RSeq']} 2 INVITE", f"{ringing['RSeq']} 1 INVITE"):
        call.ask("PRACK", headers=(f"RAck: {rack}",))
        scene.wire.run_for(100)
    assert call.got["PRACK"] == [481, 481, 200]
    if status == 200:
        scene.finish(call)
    else:
        scene.close()


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_prack_that_crosses_the_end_of_an_answered_call_is_taken_and_no_other(scene, is_restarted):
    """The gateway has answered and hung up; our BYE waits for the caller's ACK (RFC 3261 section 15.1.1)."""
    scene.vendor.script = Script((Line(0, 180), Line(100, 200, ANSWER)), hang_up_after_ms=100)
    call = scene.caller.call(CALLEE, Intent(headers=INSISTS_ON_RELIABLE, pracks=False, acknowledges=False))
    scene.wire.run_until(lambda: scene.vendor.calls and scene.vendor.only_call.is_over)
    if is_restarted:
        replace_node(scene)
    for number in (int(call.response(180)["RSeq"]) + 1, call.response(180)["RSeq"]):
        call.ask("PRACK", headers=(f"RAck: {number} 1 INVITE",))
        scene.wire.run_for(100)
    assert call.got == {"PRACK": [481, 200]}
    assert not call.is_over
    call.acknowledge()
    scene.end_of(call)


def test_a_caller_may_say_where_it_is_before_anything_is_agreed_upon(scene):
    """RFC 3311 section 5.2: an UPDATE without an offer needs to wait for no answer."""
    call = scene.begun_call(Intent(headers=KNOWS_UPDATE), script=RINGS)
    scene.wire.run_until(lambda: 180 in call.statuses)
    call.remote, call.target = call.response(180)["To"], call.response(180).target
    call.ask("UPDATE")
    scene.wire.run_for(100)
    assert call.got == {"UPDATE": [200]}
    call.cancel()
    scene.end_of(call)


def test_responses_that_a_phone_may_give_while_it_rings_pass_on_and_no_others(scene):
    """RFC 3261 sections 8.1.3.2 and 13.3.1.1, RFC 6228: who has not asked for 199 is not told."""
    rings = (100, 180, 181, 150, 182, 199, 183, 180, 189, 190, 200)
    scene.vendor.script = Script(tuple(Line(number, status, ANSWER if status in (183, 200) else "")
                                       for number, status in enumerate(rings)))  # fmt: skip
    call, _ = scene.talk()
    assert call.statuses == [180, 181, 182, 183, 180, 189, 200]
    scene.finish(call)


# -- what is refused changes nothing --------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["caller", "callee"])
def test_a_refused_proposal_does_not_move_its_origin(scene, ends_that_update, side):
    """RFC 3261 section 12.2.2: a request is accepted with all that it changes, or refused with all of it."""
    call, _ = ends_that_update
    mover, other = sides(side, *ends_that_update)
    other.will("INVITE", Reply(488))
    old = mover.agent
    moved = mover.agent = scene.exchange.caller(old.address._replace(port=5099))
    moved.calls[mover.call_id] = mover
    scene.propose(mover, "a=sendonly", wait_ms=100)
    assert mover.got == {"INVITE": [488]}
    mover.agent = old
    scene.propose(other, "a=sendonly", wait_ms=100)
    assert other.got == {"INVITE": [200]}
    assert moved.received("INVITE") == []
    mover.agent = moved
    scene.propose(mover, "a=inactive", wait_ms=100)
    scene.propose(other, wait_ms=100)
    assert len(moved.received("INVITE")) == 1, "what is accepted holds"
    scene.finish(call)


# -- others' addresses ----------------------------------------------------------------------------------------------


def test_no_target_of_a_redirection_is_called_twice():
    """RFC 3261 section 8.1.3.4: two vendors that send us to each other, and one that names itself."""
    scene = _referring_scene()
    scene.vendor.script = refuses(302, headers=(f"Contact: <sip:{CALLEE}@{VENDORS[1]}>, <sip:{CALLEE}@{VENDORS[0]}>",))
    scene.vendors[1].script = refuses(302, headers=(f"Contact: <sip:{CALLEE}@{VENDORS[0]}>",))
    call = scene.whole_call()
    assert [len(vendor.calls) for vendor in scene.vendors] == [1, 1, 0]
    assert call.final == 480
    scene.close()


def test_notifications_identify_the_second_refer_of_a_dialog():
    """RFC 3515 section 2.4.6, and section 2.4.2 with its table: the 202 has a Contact."""
    scene = _referring_scene()
    call, _ = scene.talk()
    scene.vendor.by_number = {"442079460011": refuses(486)}
    for _ in range(2):
        call.ask("REFER", headers=("Refer-To: <sip:442079460011@h>",))
        scene.wire.run_for(3_000)
    assert call.got["REFER"] == [202, 202]
    events = [notify["Event"] for notify in call.asked["NOTIFY"]]
    assert events == ["refer"] * 2 + ["refer;id=3"] * 2
    assert faults_of(scene.wire.packets, SWITCH) == []
    scene.hang_up(call)


def _referring_scene():
    """Set a stage whose customer may transfer, and whose first vendor may redirect."""
    customer = mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=CallerDialect(transfers=Transfers.ACCEPT))
    vendor = vendor_gateway(0, dialect=CalleeDialect(redirects=Redirects.FOLLOW))
    return Scene(catalogue([customer, vendor]))


def test_allow_is_the_same_in_every_message(scene):
    """RFC 3261 section 20.5: an OPTIONS gets the same capabilities as the INVITE."""
    scene.wire.send(CUSTOMER, SWITCH, request("OPTIONS", uri="sip:192.0.2.1"))
    scene.wire.send(CUSTOMER, SWITCH, request("MESSAGE", uri="sip:192.0.2.1", branch="z9hG4bK-2", call_id="other"))
    call, there = scene.talk()
    call.ask("OPTIONS")
    scene.propose(there, "a=sendonly")
    scene.finish(call)
    said = [re.findall(rb"(?m)^Allow: (.*)\r", packet.data) for packet in scene.wire.packets if packet.source == SWITCH]
    allowed = [each for message in said for each in message]
    assert len(allowed) >= 6
    assert len(set(allowed)) == 1
