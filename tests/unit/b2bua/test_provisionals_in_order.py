"""Provisional responses to the caller, one unheard at a time: what waits, in which order, and over a failover."""

import pytest
from doubles.sockets.peer import ANSWER, OFFER
from doubles.virtual.customer import INSISTS_ON_RELIABLE, KNOWS_UPDATE, SUPPORTS_100REL, Intent
from doubles.virtual.scene import CUSTOMER
from doubles.virtual.vendor import Line, Script

from vosd.b2bua.prack_queue import WAITING_MAX, PrackQueue

EARLY_OFFER = Script((Line(0, 100), Line(0, 183, OFFER, KNOWS_UPDATE, True), Line(1_000, 200)))


def carried(scene, intent, script):
    """Carry one call to its end; return both its ends and its record."""
    call, there = scene.talk(intent, script)
    return call, there, scene.finish(call)


def numbers_of(call):
    return [int(response["RSeq"]) for response in call.responses if response.every("RSeq")]


def test_responses_during_an_open_prack_are_sent_in_order(scene):
    """RFC 3262 section 3: one at a time; early media between two ringings is not lost."""
    lines = (Line(0, 100), Line(0, 180), Line(0, 183, ANSWER), Line(0, 180), Line(1_000, 200, ANSWER))
    call, there, _ = carried(scene, Intent(headers=INSISTS_ON_RELIABLE), Script(lines))
    assert call.statuses == [180, 183, 180, 200]
    assert call.response(183).body == ANSWER
    assert numbers_of(call) == list(range(numbers_of(call)[0], numbers_of(call)[0] + 3))
    assert call.agrees_with(there)


def test_what_needs_no_prack_goes_with_the_one_before_it(scene):
    lines = (Line(0, 183, ANSWER), Line(0, 180), Line(0, 181), Line(0, 183, ANSWER), Line(1_000, 200, ANSWER))
    call, _, _ = carried(scene, Intent(headers=SUPPORTS_100REL), Script(lines))
    assert call.statuses == [183, 180, 181, 183, 200]
    assert len(numbers_of(call)) == 2


def test_a_vendor_that_rings_without_end_keeps_nothing_waiting_without_end(scene):
    """The caller acknowledges nothing: of what waits, media stay and repetitions count once."""
    rings = [Line(number, 180 + number % 2, "") for number in range(1, 60)]
    scene.vendor.script = Script((Line(0, 180), Line(0, 183, ANSWER), *rings, Line(2_000, 486)))
    call = scene.begun_call(Intent(headers=INSISTS_ON_RELIABLE, pracks=False), after_ms=1_000)
    call.remote, call.target = call.response(180)["To"], call.response(180).target
    call.ask("PRACK", headers=(f"RAck: {call.response(180)['RSeq']} 1 INVITE",))
    scene.wire.run_until(lambda: call.is_over)
    assert call.statuses == [180, 183, 486]
    scene.close()


def test_where_too_many_wait_the_oldest_without_media_is_dropped():
    queue = PrackQueue()
    queue.add(180, b"", None)
    queue.add(183, b"media", None)
    for number in range(WAITING_MAX - 1):
        queue.add(180 + number % 2, b"", None)
    assert (len(queue.rings), queue.rings[0]) == (WAITING_MAX, (183, b"media", None))


@pytest.mark.parametrize("media", ["", ANSWER], ids=["ringing", "media"])
@pytest.mark.parametrize("lost", range(4))
def test_a_failover_leaves_no_hole_in_the_numbers(scene, media, lost):
    """RFC 3262 section 4: who missed one number discards all higher ones, so it is repeated until it is heard."""
    headers = INSISTS_ON_RELIABLE
    scene.vendor.script = Script((Line(0, 100), Line(0, 183, media), Line(1, 503)))
    scene.vendors[1].script = Script((Line(0, 100), Line(0, 183, ANSWER), Line(9_000, 200, ANSWER)))
    left = [lost]

    def lose_the_first(packet):
        if packet.target == CUSTOMER and b"RSeq" in packet.data and left[0]:
            left[0] -= 1
            return ()
        return (1,)

    scene.wire.delays = lose_the_first
    call = scene.answered_call(Intent(headers=headers))
    there = scene.vendors[1].only_call
    numbers = list(dict.fromkeys(numbers_of(call)))
    assert numbers == [numbers[0], numbers[0] + 1]
    tags = list(dict.fromkeys(response.to_tag for response in call.responses if response.every("RSeq")))
    assert len(tags) == (2 if media else 1)
    assert set(call.got["PRACK"]) == {200}
    assert call.agrees_with(there)
    assert scene.finish(call).end_reason == "Normal"


def test_an_unacknowledged_response_of_an_abandoned_gateway_ends_the_call(scene):
    scene.vendor.script = Script((Line(0, 100), Line(0, 183, ANSWER), Line(1, 503)))
    scene.vendors[1].script = Script((Line(0, 100), Line(0, 183, ANSWER)))
    call = scene.whole_call(Intent(headers=SUPPORTS_100REL, pracks=False))
    assert call.final == 504
    assert len(set(numbers_of(call))) == 1
    scene.close()


def test_the_answer_to_an_offer_of_a_gateway_given_up_is_not_given_to_the_next(scene):
    scene.vendor.script = EARLY_OFFER._replace(lines=(*EARLY_OFFER.lines[:2], Line(1, 503)))
    scene.vendors[1].script = EARLY_OFFER
    call = scene.begun_call(Intent(offer="", headers=SUPPORTS_100REL, pracks=False), after_ms=100)
    early = call.response(183)
    call.remote, call.target = early["To"], early.target
    call.ask("PRACK", body=ANSWER.replace("1 1", "7 7"), headers=(f"RAck: {early['RSeq']} 1 INVITE",))
    scene.wire.run_for(100)
    assert call.got["PRACK"] == [200]
    assert scene.vendors[1].only_call.asked["PRACK"] == []
    second = [response for response in call.responses if response.every("RSeq")][-1]
    assert (int(second["RSeq"]), second.to_tag != early.to_tag) == (int(early["RSeq"]) + 1, True)
    call.remote, call.target, call.sequence = second["To"], second.target, 1
    call.ask("PRACK", body=ANSWER, headers=(f"RAck: {second['RSeq']} 1 INVITE",))
    scene.wire.run_until(lambda: call.final == 200)
    assert [prack.body for prack in scene.vendors[1].only_call.asked["PRACK"]] == [ANSWER]
    call.remote = call.response(200)["To"]
    scene.finish(call)
