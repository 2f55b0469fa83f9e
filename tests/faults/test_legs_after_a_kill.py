"""kill -9 with calls that are not continued: at the next start both sides of each are told that it is over."""

from collections.abc import Callable
from typing import Any

from e2e.conditions import eventually

from .conftest import CONFIGURATION

RINGING, TRYING, TARGET = "4490001", "4490002", "4490003"
ENDED = f"{CONFIGURATION}resume_within: 0\n"
PROVEN = ENDED.replace('prefixes: ["44"]}', 'prefixes: ["44"], auth: {username: vosd, password: secret}}')


def quiet(scene: Any) -> Callable[[], bool]:
    """Return what says whether no leg and no transaction is left."""
    return lambda: (
        not any(scene.daemon.ask("status")[name] for name in ("calls", "legs", "dialogs", "transactions", "timers"))
    )


def test_both_sides_of_every_call_are_told_that_it_is_over(stage):
    scene = stage(configuration=ENDED)
    customer, vendor = scene.customer, scene.vendor
    vendor.behaviours = {RINGING: "rings", TRYING: "tries"}
    scene.answered(20)
    unacknowledged = customer.call("4480000", acknowledges=False)
    half_made = [customer.call(RINGING), customer.call(TRYING)]
    eventually(lambda: unacknowledged.answer is not None, "a call that is not acknowledged")
    eventually(lambda: len(vendor.invites) == 23, "every call at the vendor")
    eventually(lambda: 180 in half_made[0].statuses and 100 in half_made[1].statuses, "two calls that are not answered")
    over = customer.answered[0]
    customer.hang_up(over)
    eventually(lambda: over.bye_status == 200, "a call that has ended")

    eventually(lambda: vendor.counted("BYE").total() == 1, "its BYE at the vendor")

    scene.daemon.kill()
    scene.daemon.start()

    running = {call.call_id for call in customer.answered} - {over.call_id}
    eventually(lambda: customer.counted("BYE").keys() == running, "a BYE to every caller")
    ringing = {call_id for call_id, invite in vendor.invites.items() if RINGING in invite.start_line}
    trying = {call_id for call_id, invite in vendor.invites.items() if TRYING in invite.start_line}
    ended = told_of(vendor, over.number)
    eventually(lambda: len(vendor.counted("BYE").keys() - ended) == 20, "a BYE for every answered call")
    eventually(lambda: vendor.counted("CANCEL").keys() == ringing | trying, "a CANCEL for those that were not")
    eventually(lambda: all(503 in call.statuses for call in half_made), "a 503 for who waits for an answer")
    eventually(quiet(scene), "nothing is left")
    byes = vendor.counted("BYE")
    assert {byes[call_id] for call_id in byes.keys() - ended} == {1}
    assert {byes[call_id] for call_id in ended} == {2}, "the BYE just before the kill may have been lost"
    reasons = [
        each["Reason"] for call_id in byes.keys() - ended for each in vendor.heard[call_id] if each.method == "BYE"
    ]
    assert all("Q.850" in reason for reason in reasons)
    records = eventually(lambda: len(found := scene.records()) == 23 and found, "every call is booked")
    assert sorted(record["end_reason"] for record in records if record["answered_at"]) == ["Lost"] * 20 + ["Normal"]
    assert [record["end_reason"] for record in records if not record["answered_at"]] == ["Lost"] * 2
    scene.daemon.succeed("ledger", "verify")


def told_of(vendor: Any, number: str) -> set[str]:
    """Return the Call-IDs of the vendor's legs to a number."""
    return {call_id for call_id, invite in vendor.invites.items() if number in invite.start_line}


def test_an_answer_that_comes_after_the_kill_is_acknowledged_and_hung_up(stage):
    scene = stage(configuration=ENDED)
    scene.vendor.behaviours = {RINGING: "rings"}
    scene.vendor.cancels = False
    call = scene.customer.call(RINGING)
    eventually(lambda: 180 in call.statuses, "a call that rings")
    scene.daemon.kill()
    scene.daemon.start()
    [call_id] = eventually(lambda: [*scene.vendor.counted("CANCEL")], "a CANCEL")
    scene.vendor.answer(call_id)
    eventually(lambda: scene.vendor.counted("BYE")[call_id] == 1, "a BYE")
    assert scene.vendor.counted("ACK")[call_id] == 1


def test_a_vendor_that_wants_proof_of_a_bye_gets_it(stage):
    scene = stage(configuration=PROVEN)
    scene.vendor.challenges = True
    scene.answered(1)
    scene.daemon.kill()
    scene.daemon.start()
    [call_id] = scene.vendor.invites
    proven = eventually(
        lambda: [each for each in scene.vendor.heard[call_id] if each.method == "BYE" and each.every("Authorization")],
        "a BYE with proof",
    )
    assert 'username="vosd"' in proven[0]["Authorization"]


def test_both_parties_of_a_transferred_call_are_told(stage):
    scene = stage(configuration=ENDED.replace('["$customer"]}', '["$customer"], transfer: accept}'))
    scene.answered(1)
    [call] = scene.customer.answered
    scene.customer.refer(call, TARGET)
    eventually(lambda: scene.customer.counted("BYE")[call.call_id] == 1, "the transferor is let go")
    first, second = scene.vendor.invites
    assert scene.daemon.ask("status")["calls"] == 2
    assert not scene.vendor.counted("BYE")

    scene.daemon.kill()
    scene.daemon.start()

    eventually(lambda: scene.vendor.counted("BYE") == {first: 1, second: 1}, "a BYE to both parties")
    eventually(lambda: [record["end_reason"] for record in scene.records()] == ["Lost"] * 2, "both calls are closed")


def test_a_second_kill_leaves_no_leg_unheard(stage):
    scene = stage(configuration=ENDED)
    scene.answered(60)
    scene.daemon.kill()
    scene.daemon.start()
    scene.daemon.kill()
    scene.daemon.start()
    eventually(lambda: len(scene.customer.counted("BYE")) == 60, "a BYE to every caller")
    eventually(lambda: len(scene.vendor.counted("BYE")) == 60, "a BYE for every call to the vendor")
    assert eventually(lambda: len(scene.records()) == 60, "a record of every call")


def test_legs_whose_peers_have_answered_are_not_ended_again_by_the_next_start(stage):
    scene = stage(configuration=ENDED.replace("t1: 0.05, t2: 0.4", "t1: 0.5, t2: 1"))
    numbers = [f"4490{number:03d}" for number in range(50)]
    scene.vendor.behaviours = dict.fromkeys(numbers, "rings")
    waiting = [scene.customer.call(number) for number in numbers]
    eventually(lambda: all(180 in call.statuses for call in waiting), "fifty calls that ring")
    for _ in range(2):
        scene.daemon.kill()
        scene.daemon.start()
        eventually(lambda: scene.events("earlier_legs_ended"), "all have answered, long before the 32 s of 64 T1", 15)
    assert all(call.statuses[-1] == 503 for call in waiting)
    assert len(scene.vendor.counted("CANCEL")) == 50
    assert [each["legs"] for each in scene.events("earlier_legs_being_ended")] == [100]
