"""The end of a call crosses something else, in every order of the packets (RFC 3261, RFC 5407)."""

import pytest
from doubles.data.sessions import revised
from doubles.races import Race, ended, in_every_order, in_talk, ringing
from doubles.sockets.peer import ANSWER
from doubles.virtual.customer import Intent
from doubles.virtual.scene import Scene, sides
from doubles.virtual.side import Reply
from doubles.virtual.vendor import TRIES, Line, Script


def test_cancel_against_200():
    """RFC 3261 section 9.1, RFC 5407 section 3.1.2: either the call never was, or it was answered and is hung up."""

    def race():
        scene, call, there = ringing()

        def start():
            call.cancel()
            there.respond(Line(0, 200, ANSWER))

        return Race(scene, start, lambda: ended(scene, call, there))

    outcomes = in_every_order(race)
    assert set(outcomes) == {("Cancelled", "caller"), ("Normal", "caller")}


def test_cancel_against_a_refusal_and_the_next_gateway():
    def race():
        scene, call, there = ringing()
        scene.vendors[1].script = Script((Line(0, 180), Line(0, 200, ANSWER)))

        def start():
            call.cancel()
            there.respond(Line(0, 503))

        def judge():
            result = ended(scene, call, there, *scene.vendors[1].calls)
            assert scene.record.answered_at is None or result == ("Normal", "caller")
            return result

        return Race(scene, start, judge)

    outcomes = in_every_order(race)
    assert ("Cancelled", "caller") in outcomes
    assert set(outcomes) <= {("Cancelled", "caller"), ("Normal", "caller")}


def test_bye_against_bye():
    """RFC 5407 section 3.2.1: both are answered 200, the record has one end."""

    def race():
        scene, call, there = in_talk()

        def start():
            call.hang_up()
            there.hang_up()

        def judge():
            result = ended(scene, call, there)
            assert (call.got["BYE"], there.got["BYE"]) == ([200], [200])
            return result

        return Race(scene, start, judge)

    assert set(in_every_order(race)) == {("Normal", "caller"), ("Normal", "callee")}


@pytest.mark.parametrize("proposer", ["caller", "callee"])
@pytest.mark.parametrize("leaver", ["caller", "callee"])
@pytest.mark.parametrize(
    ("method", "late"), [("INVITE", False), ("INVITE", True), ("UPDATE", False)], ids=["INVITE", "late offer", "UPDATE"]
)
def test_bye_against_a_proposal(proposer, leaver, method, late):
    """RFC 5407 sections 3.2.2 and 3.2.3: the BYE wins, the proposal gets a final response all the same."""

    def race():
        scene, call, there = in_talk()
        sides = {"caller": call, "callee": there}

        def start():
            asking = sides[proposer]
            asking.ask(method, body="" if late else revised(asking.mine))
            sides[leaver].hang_up()

        def judge():
            result = ended(scene, call, there)
            assert len(sides[proposer].got[method]) == 1
            assert sides[proposer].got[method][0] in {200, 481, 487, 500}
            return result

        return Race(scene, start, judge)

    assert set(in_every_order(race)) == {("Normal", leaver)}


def test_a_bye_that_overtakes_the_ack_of_the_answer():
    """RFC 5407 sections 3.1.6 and 3.2.4: the caller hangs up while its ACK is still on the way."""

    def race():
        scene = Scene()
        call = scene.answered_call(Intent(acknowledges=False))
        there = scene.vendor.only_call

        def start():
            call.acknowledge()
            call.hang_up()
            there.hang_up()

        return Race(scene, start, lambda: ended(scene, call, there))

    assert set(in_every_order(race)) == {("Normal", "caller"), ("Normal", "callee")}


@pytest.mark.parametrize("side", ["caller", "callee"])
def test_a_bye_that_gets_481_ends_the_call_all_the_same(side):
    """The other side has forgotten the call: that is no reason to keep it."""
    scene, call, there = in_talk()
    leaving, asked = sides(side, call, there)
    asked.will("BYE", Reply(481))
    scene.hang_up(leaving, wait_ms=100)
    asked.over()
    assert ended(scene, call, there) == ("Normal", side)
    assert leaving.got["BYE"] == [200]


@pytest.mark.parametrize("status", [100, 180, 183])
@pytest.mark.parametrize("final", [200, 486])
def test_a_provisional_response_after_a_final_one_is_ignored(status, final):
    """RFC 3261 section 17.1.1.2: it was overtaken."""

    def race():
        scene, call, there = ringing(script=TRIES)

        def start():
            there.respond(Line(0, status, ANSWER if status == 183 else ""))
            there.respond(Line(0, final, ANSWER if final == 200 else ""))

        def judge():
            if call.final == 200:
                call.hang_up()
            return call.final, *ended(scene, call, there)

        return Race(scene, start, judge)

    expected = (200, "Normal", "caller") if final == 200 else (486, "Busy", "callee")
    assert set(in_every_order(race)) == {expected}
