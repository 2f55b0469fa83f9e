"""How two calls end that a transfer has joined: both, once each, at the right instant, however one ends."""

import pytest
from doubles.data.builders import catalogue, mapping_gateway
from doubles.data.sessions import revised
from doubles.successor import replace_node
from doubles.virtual.customer import Intent, OutgoingCall
from doubles.virtual.exchange import SWITCH
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, usual_catalogue, vendor_gateway
from doubles.virtual.side import SILENCE, Reply
from doubles.virtual.vendor import RINGS

from vosd.base.cause import EndReason
from vosd.cdr.record import CallRecord
from vosd.sip.flows import Listener
from vosd.sip.wire.outgoing import Peer

TARGET = "442071111111"


def two_calls(scene: Scene, apart_ms: int) -> tuple[OutgoingCall, OutgoingCall]:
    first = scene.begun_call(after_ms=apart_ms)
    second = scene.answered_call(callee=TARGET, talk_ms=500)
    return first, second


def join(scene: Scene, apart_ms: int = 400) -> None:
    """Make two calls of the customer, and let it connect their other sides."""
    first, second = two_calls(scene, apart_ms)
    refer(first, second)
    scene.wire.run_for(3_000)
    assert first.is_over
    assert second.is_over


def refer(first: OutgoingCall, second: OutgoingCall) -> None:
    """Ask for the other sides of two calls to be connected."""
    first.ask("REFER", headers=[f"Refer-To: <sip:{TARGET}@192.0.2.1?Replaces={second.replaces_in_uri}>"])


def records(scene: Scene) -> list[CallRecord]:
    """Require that nothing is left, and return both records in the order of their calls."""
    scene.expect_nothing_left(within_ms=0)
    found = sorted(scene.exchange.sink.records, key=lambda record: (record.started_at, record.call_id))
    assert [record.callee_in for record in found] == [CALLEE, TARGET]
    assert scene.exchange.statement("acme") == -sum(record.fee + record.tax for record in found)
    return found


@pytest.mark.parametrize("lateness_ms", [0, 7, 1_500, 40_000])
def test_two_calls_whose_time_is_over_at_once_end_once_each(lateness_ms):
    """One of them ends the other, which may have run out too when that is found, and would end the first in turn."""
    scene = Scene(usual_catalogue(max_call_seconds=30), lateness_ms=lateness_ms)
    join(scene)
    scene.wire.run_for(80_000)
    earlier, later = records(scene)
    assert (earlier.end_reason, earlier.hold_time_ms) == ("Maximum Duration", 30_000)
    assert (later.end_reason, later.ended_at) == ("Normal", earlier.ended_at)


@pytest.mark.parametrize("lateness_ms", [7, 1_500])
def test_a_party_that_hangs_up_after_both_have_run_out_is_billed_to_the_second(lateness_ms):
    scene = Scene(usual_catalogue(max_call_seconds=30), lateness_ms=lateness_ms)
    join(scene, apart_ms=0)
    answered_at = max(record.record.answered_at or 0 for record in scene.exchange.sink.open.values())
    scene.wire.run_for(answered_at + 30_000 - scene.exchange.clock.now().wall + 5)
    scene.hang_up(scene.vendor.calls[1], wait_ms=5_000)
    assert [record.hold_time_ms for record in records(scene)] == [30_000, 30_000]
    assert {record.end_reason for record in scene.exchange.sink.records} == {"Maximum Duration"}


def test_two_sides_that_cannot_be_introduced_for_want_of_a_connection_are_released():
    """They share no session yet that could stay as it was."""
    scene = Scene(listeners=(Listener(*SWITCH, "tcp"),))
    first, second = two_calls(scene, 400)
    for there in scene.vendor.calls:
        there.will("INVITE", SILENCE)
    refer(first, second)
    scene.wire.run_for(3_000)
    for _ in range(2):
        for event in scene.exchange.endpoint.transport_failed(Peer(0, *VENDORS[0]), scene.exchange.clock.now()):
            scene.exchange.switch.handle(event)
        scene.exchange.flush()
    scene.wire.run_for(3_000)
    assert [there.is_over for there in scene.vendor.calls] == [True, True]
    assert {record.end_reason for record in records(scene)} == {"Session Timeout"}


def test_a_bye_that_waited_for_its_turn_ends_no_call_before_its_answer(scene):
    """It came when the one call was there and the other was not yet."""
    join(scene, apart_ms=10_000)
    scene.exchange.waiting_ms = 6_000
    scene.hang_up(scene.vendor.calls[0], wait_ms=1_000)
    first, second = records(scene)
    assert first.ended_at < second.answered_at
    assert (second.hold_time_ms, second.ended_at) == (0, second.answered_at)


def test_an_ordered_end_ends_both(scene):
    join(scene)
    scene.exchange.end_all(EndReason.ADMINISTRATIVE)
    scene.wire.run_for(1_000)
    assert all(there.is_over for there in scene.vendor.calls)
    first, second = records(scene)
    assert (first.end_reason, first.hangup_source) == (EndReason.ADMINISTRATIVE.text, "switch")
    assert (second.end_reason, second.ended_at) == ("Normal", first.ended_at)


def test_a_call_that_an_error_in_the_switch_drops_takes_the_other_with_it(scene):
    join(scene)
    dropped, _ = (carried.call for carried in scene.exchange.switch.calls())
    dropped.drop(scene.exchange.clock.now())
    scene.exchange.flush()
    scene.wire.run_for(1_000)
    assert scene.vendor.calls[1].is_over
    assert [record.end_reason for record in records(scene)] == ["Lost", "Normal"]


def test_a_target_that_an_error_in_the_switch_drops_leaves_the_call_as_it_was(scene):
    scene.vendor.by_number = {TARGET: RINGS}
    call, party = scene.talk()
    call.ask("REFER", headers=[f"Refer-To: <sip:{TARGET}@192.0.2.1>"])
    scene.wire.run_for(1_000)
    _, target = (carried.call for carried in scene.exchange.switch.calls())
    target.drop(scene.exchange.clock.now())
    scene.wire.run_for(1_000)
    assert not party.is_over
    assert call.asked["NOTIFY"][-1].body.startswith("SIP/2.0 500 ")
    scene.hang_up(call, wait_ms=1_000)
    assert [record.end_reason for record in records(scene)] == ["Normal", "Lost"]


def test_a_target_called_after_the_time_was_over_ends_not_before_it_began():
    """Timers run late; the end of the first call is stamped with its deadline, the target was asked for after it."""
    scene = Scene(usual_catalogue(max_call_seconds=30), lateness_ms=1_500)
    scene.vendor.by_number = {TARGET: RINGS}
    call, _ = scene.talk()
    scene.wire.run_for(29_500)
    call.ask("REFER", headers=[f"Refer-To: <sip:{TARGET}@192.0.2.1>"])
    scene.wire.run_for(5_000)
    first, target = records(scene)
    assert (first.end_reason, target.end_reason) == ("Maximum Duration", "Cancelled")
    assert target.ended_at >= target.started_at > first.ended_at


def test_two_timers_that_are_due_at_once_leave_no_dialog_behind():
    """The far side is silent for as long as the caller owes its ACK: the first of both ends the call for good."""
    scene = Scene()
    call = scene.answered_call(Intent(acknowledges=False))
    scene.vendor.only_call.will("INVITE", SILENCE)
    replaced = f"Replaces: {call.replaces}"
    newcomer = scene.begun_call(Intent(headers=(replaced,)), after_ms=40_000)
    assert newcomer.final == 504
    assert call.asked["BYE"]
    assert scene.close().end_reason == "Session Timeout"


@pytest.mark.parametrize("status", [408, 481])
def test_a_side_that_denies_the_call_is_hung_up_all_the_same(scene, status):
    """RFC 3261 section 12.2.1.2: it may have meant the one request, and what is up is charged for."""
    call, there = scene.talk()
    there.will("INVITE", Reply(status))
    scene.propose(call, "a=sendonly", wait_ms=2_000)
    assert len(there.asked["BYE"]) == 1
    assert call.is_over
    assert scene.close().end_reason == ("Normal" if status == 481 else "Session Timeout")


def test_a_transfer_to_nobodys_number_leaves_no_record_of_an_unknown_source():
    """With tech prefixes the number tells whose call it is."""
    trunk = mapping_gateway("acme", f"{CUSTOMER.host}/32", tech_prefix="77")
    scene = Scene(catalogue([trunk, vendor_gateway(0)]))
    call = scene.answered_call(callee=f"77{CALLEE}")
    call.ask("REFER", headers=[f"Refer-To: <sip:{TARGET}@192.0.2.1>"])
    scene.wire.run_for(1_000)
    assert call.got["REFER"] == [403]
    assert scene.finish(call).callee_billing == CALLEE


def test_a_transfer_is_refused_without_a_record_while_too_much_waits_to_be_written(scene):
    call, party = scene.talk()
    scene.exchange.sink.refuses_calls = True
    call.ask("REFER", headers=[f"Refer-To: <sip:{TARGET}@192.0.2.1>"])
    scene.wire.run_for(1_000)
    assert call.got["REFER"] == [503]
    assert not party.is_over
    assert scene.finish(call).end_reason == "Normal"


@pytest.mark.parametrize("busy", [0, 1], ids=["the party", "the target"])
def test_a_side_that_proposes_something_itself_while_it_is_introduced_goes_first(scene, busy):
    """It refuses ours with 491 (RFC 3261 section 14.1); what it offers lets both learn each other's media as well."""
    first, second = two_calls(scene, 10)
    scene.vendor.calls[busy].will("INVITE", Reply(491))
    first.ask("REFER", headers=[f"Refer-To: <sip:{TARGET}@192.0.2.1?Replaces={second.replaces_in_uri}>"])
    there, other = scene.vendor.calls[busy], scene.vendor.calls[1 - busy]
    scene.wire.run_until(lambda: there.asked["INVITE"])
    scene.wire.run_for(3)
    offer = there.propose("a=sendonly")
    scene.wire.run_for(8_000)
    assert there.got["INVITE"] == [200]
    assert media_of(other.theirs) == media_of(offer)
    assert media_of(there.theirs) == media_of(other.mine)
    assert not there.is_over
    scene.hang_up(there, wait_ms=1_000)
    assert {record.end_reason for record in records(scene)} == {"Normal"}


@pytest.mark.parametrize("refusals", [[488], [500], [491] * 5], ids=["488", "500", "491 five times"])
@pytest.mark.parametrize("busy", [0, 1], ids=["the party", "the target"])
def test_two_sides_are_introduced_after_all_where_what_one_proposes_meanwhile_is_refused(scene, busy, refusals):
    """Each sent its media to who had connected them, and the calls went on in silence."""
    first, second = two_calls(scene, 10)
    there, other = scene.vendor.calls[busy], scene.vendor.calls[1 - busy]
    there.will("INVITE", Reply(491))
    refer(first, second)
    scene.wire.run_until(lambda: there.asked["INVITE"])
    scene.wire.run_for(3)
    other.will("INVITE", *map(Reply, refusals))
    scene.propose(there, "a=sendonly", wait_ms=40_000)
    assert there.got["INVITE"] == refusals[-1:]
    assert media_of(there.theirs) == media_of(other.mine)
    assert media_of(other.theirs) == media_of(there.mine)
    scene.hang_up(there, wait_ms=1_000)
    assert {record.end_reason for record in records(scene)} == {"Normal"}


def test_two_sides_are_introduced_after_all_where_what_one_proposes_meanwhile_is_cancelled(scene):
    first, second = two_calls(scene, 10)
    there, other = scene.vendor.calls
    there.will("INVITE", Reply(491))
    refer(first, second)
    scene.wire.run_until(lambda: there.asked["INVITE"])
    scene.wire.run_for(3)
    other.will("INVITE", Reply(200, after_ms=9_000))
    asked = there.ask("INVITE", body=revised(there.mine, "a=sendonly"))
    scene.wire.run_for(500)
    asked.cancel()
    scene.wire.run_for(20_000)
    assert there.got["INVITE"] == [487]
    assert media_of(there.theirs) == media_of(other.mine)
    assert media_of(other.theirs) == media_of(there.mine)


def test_a_side_that_hangs_up_while_what_it_proposes_waits_is_not_introduced(scene):
    first, second = two_calls(scene, 10)
    there, other = scene.vendor.calls
    there.will("INVITE", Reply(491))
    refer(first, second)
    scene.wire.run_until(lambda: there.asked["INVITE"])
    scene.wire.run_for(3)
    other.will("INVITE", Reply(491))
    scene.propose(there, "a=sendonly", wait_ms=50)
    scene.hang_up(other, wait_ms=40_000)
    assert len(there.asked["INVITE"]) == 1
    assert {record.end_reason for record in records(scene)} == {"Normal"}


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("party_busy", [0, 2])
@pytest.mark.parametrize("target_busy", [0, 2])
def test_two_sides_are_introduced_once_after_two_491_of_each(scene, party_busy, target_busy, is_restarted):
    """RFC 3261 section 14.1: we have made both Call-IDs, and wait from 2.1 to 4 seconds after each 491."""
    first, second = two_calls(scene, 10)
    party, target = scene.vendor.calls
    party.will("INVITE", *[Reply(491)] * party_busy, Reply(200, revised(party.mine).replace("30000", "33000")))
    target.will("INVITE", *[Reply(491)] * target_busy)
    refer(first, second)
    scene.wire.run_for(1_000)
    if is_restarted:
        replace_node(scene)
    scene.wire.run_for(4_000 * (party_busy + target_busy) + 1_000)
    assert len(party.asked["INVITE"]) == party_busy + 1
    assert len(target.asked["INVITE"]) == target_busy + 1
    assert media_of(party.theirs) == media_of(target.mine)
    assert media_of(target.theirs) == media_of(party.mine)
    scene.wire.run_for(30_000)
    assert (len(party.asked["INVITE"]), len(target.asked["INVITE"])) == (party_busy + 1, target_busy + 1)
    scene.hang_up(party, wait_ms=1_000)
    assert {record.end_reason for record in records(scene)} == {"Normal"}
    assert scene.exchange.leftovers() == {}


@pytest.mark.parametrize("gap_ms", [0, 1, 3, 500, 2_500])
@pytest.mark.parametrize("insists", [0, 1], ids=["the party first", "the target first"])
def test_two_sides_that_both_propose_while_they_are_introduced_agree_in_the_end(scene, gap_ms, insists):
    """Each refuses ours by 491 while its own has no answer, and proposes again after a 491 (RFC 3261 section 14.1)."""
    first, second = two_calls(scene, 10)
    for side in scene.vendor.calls:
        side.will("INVITE", Reply(491), Reply(491))
    refer(first, second)
    scene.wire.run_until(lambda: scene.vendor.calls[0].asked["INVITE"])
    scene.wire.run_for(3)
    one, other = scene.vendor.calls[insists], scene.vendor.calls[1 - insists]
    insist(scene, one, 400)
    scene.wire.run_for(gap_ms)
    insist(scene, other, 700)
    scene.wire.run_for(40_000)
    assert all(each.got["INVITE"][-1] == 200 for each in (one, other))
    assert all(len(each.asked["INVITE"]) <= 8 for each in (one, other))
    assert media_of(one.theirs) == media_of(other.mine)
    assert media_of(other.theirs) == media_of(one.mine)
    counted = [len(each.asked["INVITE"]) for each in (one, other)]
    scene.wire.run_for(30_000)
    assert counted == [len(each.asked["INVITE"]) for each in (one, other)]
    scene.hang_up(one, wait_ms=1_000)
    assert {record.end_reason for record in records(scene)} == {"Normal"}
    assert scene.exchange.leftovers() == {}


def insist(scene, side, wait_ms):
    """Propose a session again and again while it is refused by 491."""
    request = side.ask("INVITE", body=revised(side.mine, "a=x-mine"))

    def look():
        if request.final is not None and request.final.status == 491:
            insist(scene, side, wait_ms)
        elif request.final is None:
            scene.wire.after(wait_ms, look)

    scene.wire.after(wait_ms, look)


def media_of(session: str) -> str:
    return session.partition("\r\nt=")[2]
