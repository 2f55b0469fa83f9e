"""A session that changes while the parties talk: re-INVITE and UPDATE go through, offer and answer stay straight.

RFC 3261 section 14, RFC 3264 section 8, RFC 3311, RFC 6337 tables 1 to 3.
"""

from decimal import Decimal

import pytest
from doubles.data.sessions import answering, revised
from doubles.sockets.peer import ANSWER, OFFER
from doubles.successor import replace_node
from doubles.virtual.customer import KNOWS_UPDATE, SUPPORTS_100REL, Intent
from doubles.virtual.scene import sides
from doubles.virtual.side import SILENCE, Reply
from doubles.virtual.vendor import Line, Script, answers

FAX = OFFER.replace("m=audio 20000 RTP/AVP 0 101", "m=image 20002 udptl t38").partition("a=rtpmap")[0]
G729 = OFFER.replace("RTP/AVP 0 101", "RTP/AVP 18 101").replace("a=rtpmap:0 PCMU", "a=rtpmap:18 G729")


both_sides = pytest.mark.parametrize("side", ["caller", "callee"])
both_methods = pytest.mark.parametrize("method", ["INVITE", "UPDATE"])


def held_behind_an_offer(scene, asking, asked, method):
    """Have one side hold, and answer an offer of the other one; return what it has said, which goes on holding."""
    asking.propose("a=sendonly", method=method)
    scene.wire.run_for(1_000)
    held = revised(asking.mine, "a=sendonly")
    asking.will(method, Reply(200, held))
    asked.propose(method=method)
    scene.wire.run_for(1_000)
    return held


# -- agreed upon --------------------------------------------------------------------------------------------------


@both_sides
@both_methods
def test_hold_and_resume_go_through_byte_for_byte(scene, ends_that_update, side, method):
    """RFC 3264 section 8.4: sendonly is met with recvonly, inactive with inactive; without either media flows again."""
    asking, asked = sides(side, *ends_that_update)
    for attributes in (("a=sendonly",), (), ("a=inactive",)):
        before = asked.mine
        offer = asking.propose(*attributes, method=method)
        scene.wire.run_for(1_000)
        assert asked.asked[method][-1].body == asked.theirs == offer
        assert asking.theirs == answering(offer, before)
        assert ends_that_update[0].agrees_with(ends_that_update[1])
    assert asking.got == {method: [200] * 3}
    assert len(asked.acks) == (3 if method == "INVITE" else 0) + (asked is ends_that_update[1])
    record = scene.finish(ends_that_update[0])
    assert (record.end_reason, record.hangup_source, record.codec, len(record.attempts)) == (
        "Normal", "caller", "PCMU", 1,
    )  # fmt: skip
    assert record.hold_time_ms == 4_002
    assert record.fee == Decimal("0.04")


@both_sides
@both_methods
def test_a_refresh_of_a_hold_is_forwarded_where_the_other_side_has_offered_last(scene, ends_that_update, side, method):
    """The last offer of that side would be no answer to ``sendonly`` (RFC 3264 section 6.1)."""
    asking, asked = sides(side, *ends_that_update)
    held = held_behind_an_offer(scene, asking, asked, method)
    assert (asking.mine, asked.theirs) == (held, held)
    asking.ask(method, body=held)
    scene.wire.run_for(1_000)
    assert "a=recvonly" in asking.theirs
    assert ends_that_update[0].agrees_with(ends_that_update[1])
    scene.finish(ends_that_update[0])


@both_methods
@pytest.mark.parametrize(("status", "times"), [(488, 1), (491, 5), (500, 1), (503, 1)])
def test_a_refresh_that_the_other_side_refuses_is_answered_with_what_holds(
    scene, ends_that_update, status, times, method
):
    """Else the call ends with the interval of a session that neither side changes."""
    asking, asked = ends_that_update
    held = held_behind_an_offer(scene, asking, asked, method)
    before = asking.theirs
    asked.will(method, *[Reply(status)] * times)
    asking.ask(method, body=held)
    scene.wire.run_for(30_000)
    assert len(asked.asked[method]) == 1 + times
    assert (asking.got[method][-1], asking.theirs, asked.theirs) == (200, before, held)
    asking.ask(method, body=held)
    scene.wire.run_for(1_000)
    assert (asking.got[method][-1], "a=recvonly" in asking.theirs) == (200, True)
    assert ends_that_update[0].agrees_with(ends_that_update[1])
    scene.finish(ends_that_update[0])


@pytest.mark.parametrize(
    ("method", "reply", "got"),
    [
        ("INVITE", SILENCE, [200]),
        ("INVITE", Reply(408), [200]),
        ("UPDATE", SILENCE, [0, 200]),
        ("UPDATE", Reply(408), [200]),
    ],
)
def test_a_call_goes_on_where_a_refresh_is_forwarded_and_not_answered(scene, ends_that_update, method, reply, got):
    """The other side is not told of a refresh that is answered here, nor does its silence end the call then.

    The transaction of an UPDATE is over by then (RFC 3261 section 17.1.2.2): its sender decides what follows.
    """
    asking, asked = ends_that_update
    held = held_behind_an_offer(scene, asking, asked, method)
    before = asking.theirs
    asked.will(method, reply)
    asking.ask(method, body=held)
    scene.wire.run_for(40_000)
    assert (asking.got[method][1:], asking.theirs, asked.theirs) == (got, before, held)
    assert scene.finish(ends_that_update[0]).end_reason == "Normal"


@both_methods
def test_a_refresh_of_the_callee_is_forwarded_where_the_caller_has_offered_two_keys(scene, method):
    """An answer has one key (RFC 4568 section 5.1.2): Microsoft Teams hangs up on two, and PJSIP is silent."""
    call, there = scene.talk(
        Intent(keyed(OFFER, "one", "two"), headers=KNOWS_UPDATE), answers(body=keyed(ANSWER, "key"))
    )
    call.will(method, Reply(200, revised(keyed(OFFER, "one"))))
    there.ask(method, body=there.mine)
    scene.wire.run_for(1_000)
    assert there.theirs.count("a=crypto:") == 1
    there.ask(method, body=there.mine)
    scene.wire.run_for(1_000)
    assert (len(call.asked[method]), there.got[method]) == (1, [200, 200]), "what it has answered fits the next one"
    scene.finish(call)


def keyed(session: str, *keys: str) -> str:
    lines = (f"a=crypto:{at} AES_CM_128_HMAC_SHA1_80 inline:{key:A<40}\r\n" for at, key in enumerate(keys, 1))
    return session.replace("RTP/AVP", "RTP/SAVP") + "".join(lines)


@both_sides
@pytest.mark.parametrize("offer", [FAX, G729], ids=["T.38", "another codec"])
def test_fax_and_codec_changes_go_through(scene, side, offer):
    call, there = scene.talk()
    asking, asked = sides(side, call, there)
    offer = offer.replace("o=- 1 1", "o=- 7 1")
    answer = offer.replace("192.0.2.10", "192.0.2.77")
    asked.will("INVITE", Reply(200, answer))
    asking.ask("INVITE", body=offer)
    scene.wire.run_for(1_000)
    (proposal,) = asked.asked["INVITE"]
    assert proposal.body.partition("s=-")[2] == offer.partition("s=-")[2]
    assert (asking.theirs.partition("s=-")[2], asking.got) == (answer.partition("s=-")[2], {"INVITE": [200]})
    assert scene.finish(call).codec == "PCMU"  # the record keeps what the call was answered with


@both_sides
def test_a_late_offer_is_answered_in_the_ack(scene, side):
    """RFC 3261 section 14.1: the other side makes the offer, and the answer goes into its ACK."""
    call, there = scene.talk()
    asking, asked = sides(side, call, there)
    asking.acknowledges = False
    request = asking.ask("INVITE")
    scene.wire.run_for(2_600)
    assert [each.body for each in asked.asked["INVITE"]] == [""]
    acks = len(asked.acks)
    assert (asked.theirs, asking.theirs) == (
        (OFFER, revised(ANSWER)) if side == "caller" else (ANSWER, revised(OFFER))
    ), "told, but not agreed upon on that side yet"
    request.acknowledge()
    scene.wire.run_for(10)
    assert len(asked.acks) == acks + 1
    assert call.agrees_with(there)
    assert scene.finish(call).end_reason == "Normal"


@both_sides
def test_a_late_offer_that_is_never_answered_is_acknowledged_at_the_end(scene, side):
    """Without an ACK of the one that wanted the offer the call ends; the 200 with it is not repeated for ever."""
    asking, asked = sides(side, *scene.talk())
    asking.acknowledges = False
    acks = len(asked.acks)
    asking.ask("INVITE")
    scene.wire.run_for(20_000)
    assert len(asked.acks) == acks
    scene.wire.run_until(lambda: scene.exchange.sink.records)
    scene.wire.run_for(10)
    assert [ack.body for ack in asked.acks[acks:]] == [""]
    scene.close()


@both_sides
def test_an_update_without_a_session_is_between_us_and_that_side(scene, ends_that_update, side):
    """RFC 3311 section 5.1: it says only where the peer is."""
    asking, asked = sides(side, *ends_that_update)
    asking.ask("UPDATE")
    scene.wire.run_for(100)
    assert asking.got == {"UPDATE": [200]}
    assert asked.asked == {}
    scene.finish(ends_that_update[0])


@both_sides
@both_methods
def test_a_proposal_that_brings_nothing_new_is_answered_at_once_with_what_holds(scene, ends_that_update, side, method):
    """A refresh: the other side is left in peace."""
    asking, asked = sides(side, *ends_that_update)
    before = asking.theirs
    for _ in range(2):
        asking.ask(method, body=asking.mine)
        scene.wire.run_for(100)
    assert asking.got == {method: [200, 200]}
    assert asked.asked == {}
    assert asking.theirs == before
    scene.finish(ends_that_update[0])


@both_sides
def test_an_update_goes_on_as_a_reinvite_to_a_side_that_does_not_know_it(scene, side):
    """What a side can is what its Allow says."""
    call, there = scene.talk()
    asking, asked = sides(side, call, there)
    offer = asking.propose("a=sendonly", method="UPDATE")
    scene.wire.run_for(100)
    assert (asked.asked["INVITE"][0].body, asked.asked["UPDATE"]) == (offer, [])
    assert asking.got == {"UPDATE": [200]}
    assert call.agrees_with(there)
    scene.finish(call)


@both_sides
def test_a_peer_that_moves_is_asked_at_its_new_address(scene, ends_that_update, side):
    """RFC 3261 section 12.2: the Contact of a re-INVITE, and that of its 200, are the target from then on."""
    call, there = ends_that_update
    mover, other = sides(side, call, there)
    moved = scene.exchange.caller(mover.agent.address._replace(port=5099))
    moved.calls[call.call_id] = moved.calls[there.call_id] = mover
    old, mover.agent = mover.agent, moved
    scene.propose(mover, "a=sendonly", wait_ms=100)
    assert mover.got == {"INVITE": [200]}
    scene.propose(other, wait_ms=100)
    assert len(moved.received("INVITE")) == 1
    assert old.received("INVITE")[1:] == []
    assert call.agrees_with(there)
    scene.finish(call)


# -- in its turn --------------------------------------------------------------------------------------------------


@both_sides
def test_a_second_proposal_of_one_side_has_to_wait(scene, ends_that_update, side):
    """RFC 3261 section 14.2, RFC 3311 section 5.2: 500 with Retry-After of up to ten seconds."""
    call, there = ends_that_update
    asking, asked = sides(side, call, there)
    asked.will("INVITE", Reply(200, after_ms=2_000))
    offer = asking.propose("a=sendonly")
    scene.wire.run_for(100)
    update = asking.ask("UPDATE", body=revised(asking.mine, "a=inactive"))
    scene.wire.run_for(3_000)
    assert asking.got == {"UPDATE": [500], "INVITE": [200]}
    assert 0 <= int(update.final["Retry-After"]) <= 10
    assert asking.mine == offer
    assert call.agrees_with(there)
    scene.finish(call)


@both_sides
def test_a_side_that_is_busy_with_a_proposal_of_its_own_is_asked_again(scene, side):
    """491 is no error; the side that made the Call-ID waits 2.1 to 4 s, the other up to 2 s (section 14.1)."""
    call, there = scene.talk()
    asking, asked = sides(side, call, there)
    asked.will("INVITE", Reply(491), Reply(491))
    offer = asking.propose("a=sendonly")
    scene.wire.run_for(10_000)
    assert [each.body for each in asked.asked["INVITE"]] == [offer] * 3
    assert asking.got == {"INVITE": [200]}
    assert call.agrees_with(there)
    scene.finish(call)


def test_a_side_that_is_always_busy_refuses_in_the_end(scene):
    call, there = scene.talk()
    there.will("INVITE", *[Reply(491)] * 20)
    scene.propose(call, "a=sendonly", wait_ms=30_000)
    assert len(there.asked["INVITE"]) == 5
    assert call.got == {"INVITE": [491]}
    assert call.agrees_with(there)
    assert scene.finish(call).end_reason == "Normal"


def test_nothing_of_a_reinvite_leaks_but_the_session(scene):
    call, there = scene.talk()
    call.ask("INVITE", body=revised(call.mine), headers=("X-Secret: 1", "User-Agent: Secret-PBX"))
    there.will("INVITE", Reply(488))
    scene.wire.run_for(100)
    told = b"".join(packet.data for packet in scene.wire.packets if packet.target == there.agent.address)
    assert b"secret" not in told.lower()
    assert b"198.51.100.10" not in told
    scene.finish(call)


def test_a_reinvite_before_its_own_ack_is_request_pending_for_the_caller(scene):
    """RFC 5407 section 3.1.4: the ACK of the answer is still on its way."""
    call = scene.answered_call(Intent(acknowledges=False))
    there = scene.vendor.only_call
    scene.propose(call, "a=sendonly", wait_ms=100)
    assert call.got == {"INVITE": [491]}
    call.acknowledge()
    scene.propose(call, "a=sendonly", wait_ms=100)
    assert call.got == {"INVITE": [491, 200]}
    assert call.agrees_with(there)
    scene.finish(call)


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize("status", [200, 488, 491])
def test_a_proposal_of_the_vendor_waits_for_the_ack_of_the_caller(scene, status, method, is_restarted):
    """Asterisk asks at once where it connects two calls, and does not repeat an UPDATE after a 491."""
    script = Script((Line(0, 200, ANSWER, KNOWS_UPDATE),))
    call = scene.answered_call(Intent(headers=KNOWS_UPDATE, acknowledges=False), script=script)
    there = scene.vendor.only_call
    call.will(method, Reply(status))
    scene.propose(there, "a=sendonly", method=method, wait_ms=300)
    if is_restarted:
        replace_node(scene)
    scene.wire.run_for(700)
    assert (there.got, call.asked[method]) == ({}, []), "an INVITE of the caller is in progress"
    call.acknowledge()
    scene.wire.run_for(5_000)
    assert there.got == {method: [200 if status == 491 else status]}
    assert len(call.asked[method]) == (2 if status == 491 else 1)
    assert call.agrees_with(there)
    scene.finish(call)


@pytest.mark.parametrize("end", ["hangs up", "asks again", "gives up", "lacks the ACK"])
def test_a_proposal_that_waits_for_the_ack_gets_its_response(scene, end):
    call = scene.answered_call(Intent(acknowledges=False))
    there = scene.vendor.only_call
    there.propose("a=sendonly")
    scene.wire.run_for(300)
    match end:
        case "hangs up":
            scene.finish(call)
            assert there.got["INVITE"] == [487]
            return
        case "asks again":
            there.ask("UPDATE", body=revised(there.mine))
            scene.wire.run_for(100)
            assert there.got == {"UPDATE": [500]}
            call.acknowledge()
        case "gives up":
            there.asking[0].cancel()
            scene.wire.run_for(100)
            assert (there.got["INVITE"], call.asked["INVITE"]) == ([487], [])
            call.acknowledge()
        case _:
            assert scene.end_of(call).end_reason == "No ACK"
            assert there.got["INVITE"] == [487]
            return
    scene.wire.run_for(1_000)
    scene.finish(call)


def test_the_caller_is_offered_the_media_of_the_answer_where_it_refuses_a_proposal_that_has_waited(scene):
    """They are elsewhere than the reliable 183 said, which the caller learns after its ACK."""
    other = revised(ANSWER).replace("30000", "34000")
    scene.vendor.script = Script((Line(0, 183, ANSWER, KNOWS_UPDATE, True), Line(500, 200, other)))
    call = scene.answered_call(Intent(headers=(*SUPPORTS_100REL, *KNOWS_UPDATE), acknowledges=False))
    there = scene.vendor.only_call
    call.will("INVITE", Reply(488), Reply())
    scene.propose(there, "a=sendonly", wait_ms=300)
    call.acknowledge()
    scene.wire.run_for(5_000)
    assert there.got == {"INVITE": [488]}
    assert "m=audio 34000 " in call.theirs
    scene.finish(call)


@pytest.mark.parametrize("status", [None, 491], ids=["before it was sent", "before it was sent again"])
def test_so_it_is_where_the_vendor_cancels_what_has_waited(scene, status):
    other = revised(ANSWER).replace("30000", "34000")
    scene.vendor.script = Script((Line(0, 183, ANSWER, KNOWS_UPDATE, True), Line(500, 200, other)))
    call = scene.answered_call(Intent(headers=(*SUPPORTS_100REL, *KNOWS_UPDATE), acknowledges=False))
    there = scene.vendor.only_call
    if status is not None:
        call.will("INVITE", Reply(status), Reply())
    there.propose("a=sendonly")
    scene.wire.run_for(100)
    call.acknowledge()
    scene.wire.run_for(10 if status is None else 205)
    assert len(call.asked["INVITE"]) == (0 if status is None else 1)
    there.asking[0].cancel()
    scene.wire.run_for(5_000)
    assert there.got == {"INVITE": [487]}
    assert "m=audio 34000 " in call.theirs
    scene.finish(call)


@pytest.mark.parametrize("proposes", ["the vendor", "no one"])
@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize("status", [200, 488])
def test_so_it_is_where_a_proposal_of_the_caller_goes_first_and_is_refused(scene, status, method, proposes):
    other = revised(ANSWER).replace("30000", "34000")
    scene.vendor.script = Script((Line(0, 183, ANSWER, KNOWS_UPDATE, True), Line(500, 200, other, KNOWS_UPDATE)))
    call = scene.answered_call(Intent(headers=(*SUPPORTS_100REL, *KNOWS_UPDATE), acknowledges=False))
    there = scene.vendor.only_call
    there.will(method, Reply(status))
    if proposes == "the vendor":
        there.propose("a=sendonly", method=method)
        scene.wire.run_for(50)
        call.acknowledge()
    else:
        call.will("INVITE", Reply(491))
        call.acknowledge()
        scene.wire.run_for(5)
        assert len(call.asked["INVITE"]) == 1
    scene.wire.run_for(5)
    call.propose("a=inactive", method=method)
    scene.wire.run_for(5_000)
    assert (call.got[method], there.got) == ([status], {method: [491]} if proposes == "the vendor" else {})
    assert "m=audio 34000 " in call.theirs
    scene.finish(call)


def test_so_it_is_for_the_vendor_while_the_200_of_the_caller_waits_for_a_prack(scene):
    scene.vendor.script = Script((Line(0, 183, ANSWER), Line(10, 200, ANSWER)))
    call = scene.begun_call(Intent(headers=SUPPORTS_100REL, pracks=False), after_ms=500)
    there = scene.vendor.only_call
    scene.propose(there, "a=sendonly", wait_ms=100)
    assert there.got == {"INVITE": [491]}
    call.cancel()
    scene.end_of(call)


@both_sides
def test_a_proposal_before_the_late_answer_has_arrived_is_put_off(scene, side):
    call = scene.answered_call(Intent(offer="", acknowledges=False), script=answers(body=OFFER))
    there = scene.vendor.only_call
    asking, _ = sides(side, call, there)
    asking.ask("INVITE", body=revised(OFFER))
    scene.wire.run_for(100)
    assert asking.got == {"INVITE": [491]}
    call.acknowledge()
    scene.wire.run_for(100)
    assert call.agrees_with(there)
    scene.finish(call)
