"""Proposals of both sides cross each other and all else, in every order of the packets.

RFC 3261 section 14, RFC 3311, RFC 5407 section 3.3: whatever the order, both ends agree in the end.
"""

from itertools import product

import pytest
from doubles.data.sessions import revised
from doubles.races import Race, agreed, in_every_order, in_talk
from doubles.virtual.scene import sides
from doubles.virtual.side import Reply


@pytest.mark.parametrize("methods", list(product(("INVITE", "UPDATE"), repeat=2)), ids=" and ".join)
def test_both_sides_propose_at_once(methods):
    """RFC 3261 section 14.2, RFC 3311 section 5.2, RFC 5407 sections 3.3.1, 3.3.2: 491, and in the end both agree."""

    def race():
        scene, call, there = in_talk()

        def start():
            call.propose("a=sendonly", method=methods[0])
            there.propose("a=inactive", method=methods[1])

        return Race(scene, start, lambda: agreed(scene, call, there))

    for invite, update in in_every_order(race):
        assert 200 in invite + update
        assert set(invite + update) <= {200, 491}


@pytest.mark.parametrize("side", ["caller", "callee"])
@pytest.mark.parametrize("late", [False, True], ids=["offer", "late offer"])
def test_cancel_of_a_proposal_against_its_200(side, late):
    """Whatever the other side has said holds on both: no side is left with half a change (RFC 6141)."""

    def race():
        scene, call, there = in_talk()
        asking, asked = sides(side, call, there)
        asked.will("INVITE", Reply(200, after_ms=10))
        request = asking.ask("INVITE", body="" if late else revised(asking.mine))
        scene.wire.run_until(lambda: asked.asked["INVITE"])
        scene.wire.run_for(8)

        def start():
            request.cancel()
            scene.wire.run_for(3)

        return Race(scene, start, lambda: agreed(scene, call, there))

    outcomes = in_every_order(race, depth=7)
    assert {invite for invite, _ in outcomes} == {(200,)}


def test_both_propose_again_after_their_491_and_in_the_end_both_have_their_way():
    """RFC 3261 section 14.1: the side that made the Call-ID waits longer, so that the conflict ends."""

    def race():
        scene, call, there = in_talk()
        offers = []

        def persist(side, wait_ms, attribute):
            request = side.ask("INVITE", body=revised(side.mine, attribute))

            def look():
                if request.final is not None and request.final.status == 491:
                    persist(side, wait_ms, attribute)
                else:
                    offers.append(attribute)

            scene.wire.after(wait_ms, look)

        def start():
            persist(call, 2_600, "a=x-caller")
            persist(there, 700, "a=x-callee")

        def judge():
            agreed(scene, call, there)
            return len(offers)

        return Race(scene, start, judge)

    assert set(in_every_order(race, depth=4)) == {2}


@pytest.mark.parametrize("side", ["caller", "callee"])
def test_cancel_of_a_proposal_against_its_refusal(side):
    def race():
        scene, call, there = in_talk()
        asking, asked = sides(side, call, there)
        asked.will("INVITE", Reply(100), Reply(488))
        request = asking.ask("INVITE", body=revised(asking.mine))
        scene.wire.run_for(10)

        def start():
            request.cancel()

        return Race(scene, start, lambda: agreed(scene, call, there))

    assert {invite for invite, _ in in_every_order(race)} == {(487,)}


@pytest.mark.parametrize("side", ["caller", "callee"])
def test_the_ack_of_one_proposal_crosses_the_next(side):
    """RFC 5407 section 3.1.5."""

    def race():
        scene, call, there = in_talk()
        asking, asked = sides(side, call, there)
        asking.acknowledges = False
        request = asking.ask("INVITE", body=revised(asking.mine))
        scene.wire.run_for(10)
        asking.acknowledges = True

        def start():
            request.acknowledge()
            asked.propose("a=sendonly")

        return Race(scene, start, lambda: agreed(scene, call, there))

    for invite, _ in in_every_order(race):
        assert sorted(invite) in ([200, 200], [200, 491])


@pytest.mark.parametrize("side", ["caller", "callee"])
def test_information_crosses_a_proposal(side):
    def race():
        scene, call, there = in_talk()
        asking, asked = sides(side, call, there)

        def start():
            asked.propose("a=sendonly")
            asking.ask("INFO", body="Signal=5\r\n", kind="application/dtmf-relay")

        def judge():
            agreed(scene, call, there)
            return asking.got["INFO"][0]

        return Race(scene, start, judge)

    assert set(in_every_order(race)) <= {200, 500}
