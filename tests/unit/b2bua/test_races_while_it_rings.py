"""Answers, media and the wish to give up cross while a call is set up, in every order of the packets.

RFC 3262, RFC 3261 sections 9.1 and 13.2.2.4: each answer is paid, ended if unwanted, and recorded.
"""

import pytest
from doubles.exploring import examples
from doubles.races import Race, agreed, ended, in_every_order
from doubles.sockets.peer import ANSWER
from doubles.virtual.customer import INSISTS_ON_RELIABLE, KNOWS_UPDATE, SUPPORTS_100REL, Intent
from doubles.virtual.scene import CALLEE, Scene
from doubles.virtual.vendor import Line, Script

DEPTH = examples(6, 7)
EARLY = Script((Line(0, 100), Line(0, 183, ANSWER, KNOWS_UPDATE, is_reliable=True)))


@pytest.mark.parametrize("headers", [SUPPORTS_100REL, INSISTS_ON_RELIABLE, ()], ids=["supports", "requires", "none"])
def test_prack_crosses_cancel(headers):
    """RFC 3262 section 3: the transaction it belongs to is being given up."""

    def race():
        scene = Scene()
        call = scene.begun_call(Intent(headers=headers), script=Script((Line(0, 100),)))
        scene.wire.run_until(lambda: scene.vendor.calls and call.responses)
        there = scene.vendor.only_call

        def start():
            there.respond(EARLY.lines[1])
            call.cancel()

        return Race(scene, start, lambda: ended(scene, call, there))

    assert set(in_every_order(race, depth=DEPTH)) == {("Cancelled", "caller")}


def test_prack_crosses_the_answer():
    """RFC 3262 section 3: a 200 does not overtake reliable media, neither from the vendor nor to the caller."""

    def race():
        scene = Scene()
        call = scene.begun_call(Intent(headers=SUPPORTS_100REL), script=Script((Line(0, 100),)))
        scene.wire.run_until(lambda: scene.vendor.calls and call.responses)
        there = scene.vendor.only_call

        def start():
            there.respond(EARLY.lines[1])
            there.respond(Line(0, 200))

        return Race(scene, start, lambda: agreed(scene, call, there))

    assert set(in_every_order(race, depth=DEPTH)) == {((), ())}


def test_cancel_crosses_an_answer_that_waits_for_a_prack():
    """The gateway has answered, the caller does not know it yet: both sides end, and the gateway's time is paid."""

    def race():
        scene = Scene()
        scene.vendor.script = Script((Line(0, 183, ANSWER), Line(10, 200, ANSWER)))
        call = scene.caller.call(CALLEE, Intent(headers=SUPPORTS_100REL, pracks=False))
        scene.wire.run_until(lambda: scene.vendor.calls and scene.vendor.only_call.acks)
        there = scene.vendor.only_call
        ringing = call.response(183)
        call.remote, call.target = ringing["To"], ringing.target

        def start():
            call.ask("PRACK", headers=(f"RAck: {ringing['RSeq']} 1 INVITE",))
            call.cancel()

        def judge():
            scene.wire.run_for(40_000)
            record = scene.close()
            assert call.is_over
            assert there.is_over
            assert (record.end_reason, record.hangup_source) == (
                "Normal" if call.final == 200 else "Cancelled",
                "caller",
            )
            assert (record.answered_at is not None) == (call.final == 200)
            assert record.sip_code == call.final
            assert record.vendor_answered_at is not None
            return call.final

        return Race(scene, start, judge)

    assert set(in_every_order(race)) == {200, 487}


@pytest.mark.parametrize("end", [503, 200])
def test_the_gateway_changes_while_its_reliable_media_is_unheard(end):
    """The next gateway's media has a To tag of its own, and waits until what the last one said was heard."""

    def race():
        scene = Scene()
        scene.vendor.script = Script((Line(0, 100),))
        second = [Line(0, 100), Line(0, 183, ANSWER, (), True), Line(0, end, "")]
        scene.vendors[1].script = Script(tuple(second))
        call = scene.caller.call(CALLEE, Intent(headers=SUPPORTS_100REL))
        scene.wire.run_until(lambda: scene.vendor.calls and call.responses)
        there = scene.vendor.only_call

        def start():
            there.respond(EARLY.lines[1])
            there.respond(Line(0, 503))

        def judge():
            scene.wire.run_for(1_000)
            assert call.final == end
            if end == 200:
                return agreed(scene, call, scene.vendors[1].only_call)
            return ended(scene, call, there, scene.vendors[1].only_call)

        return Race(scene, start, judge)

    expected = ((), ()) if end == 200 else ("Unavailable", "callee")
    assert set(in_every_order(race, depth=DEPTH)) == {expected}


# -- several who answer ----------------------------------------------------------------------------------------------


def test_a_late_200_of_a_gateway_given_up_races_the_next_ones():
    """It costs money: it is acknowledged, hung up, and stands in the record with a row of its own."""

    def race():
        scene = Scene()
        scene.vendor.script = Script((), accepts_cancel=False)
        scene.vendors[1].script = Script((Line(0, 100),))
        call = scene.caller.call(CALLEE)
        scene.wire.run_until(lambda: scene.vendors[1].calls)
        late, winner = scene.vendor.only_call, scene.vendors[1].only_call

        def start():
            late.respond(Line(0, 200, ANSWER))
            winner.respond(Line(0, 200, ANSWER))

        def judge():
            assert late.is_over
            assert len(late.acks) >= 1
            agreed(scene, call, winner)
            rows = [(row.gateway, row.code, row.reason) for row in scene.record.attempts]
            assert sorted(rows) == [
                ("vendor-0", 0, "No Answer"), ("vendor-0", 200, "Late Answer"), ("vendor-1", 200, "Answered"),
            ]  # fmt: skip
            return rows.index(("vendor-0", 200, "Late Answer"))

        return Race(scene, start, judge)

    assert set(in_every_order(race)) == {1, 2}


def test_the_caller_goes_while_the_second_gateway_answers():
    def race():
        scene = Scene()
        scene.vendor.script = Script((Line(0, 503),))
        scene.vendors[1].script = Script((Line(0, 180),))
        call = scene.caller.call(CALLEE)
        scene.wire.run_until(lambda: 180 in call.statuses)
        there = scene.vendors[1].only_call

        def start():
            there.respond(Line(0, 200, ANSWER))
            call.cancel()

        def judge():
            result = ended(scene, call, there)
            return *result, *[(row.gateway, row.code, row.reason) for row in scene.record.attempts]

        return Race(scene, start, judge)

    first = ("vendor-0", 503, "Unavailable")
    assert set(in_every_order(race)) == {
        ("Normal", "caller", first, ("vendor-1", 200, "Answered")),
        ("Cancelled", "caller", first, ("vendor-1", 0, "Cancelled")),
    }


def test_two_phones_answer_one_invite_at_once():
    """RFC 3261 section 13.2.2.4: the first wins, the other is acknowledged and hung up, and may cost money."""

    def race():
        scene = Scene()
        call = scene.begun_call(script=Script((Line(0, 180),), forks=(Script((Line(0, 180),)),)))
        scene.wire.run_until(lambda: 180 in call.statuses)
        one, other = scene.vendor.calls

        def start():
            one.respond(Line(0, 200, ANSWER))
            other.respond(Line(0, 200, ANSWER.replace("192.0.2.20", "192.0.2.21")))

        def judge():
            scene.wire.run_for(100)
            loser, winner = (one, other) if one.is_over else (other, one)
            assert loser.is_over
            assert len(loser.acks) >= 1
            agreed(scene, call, winner)
            assert [(row.code, row.reason) for row in scene.record.attempts] == [(200, "Answered"), (200, "Forked")]
            return winner is one

        return Race(scene, start, judge)

    assert set(in_every_order(race)) == {True, False}
