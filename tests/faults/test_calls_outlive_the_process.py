"""kill -9 with calls in every state: the next start goes on with those that were answered."""

import time

from e2e.conditions import eventually

from .test_legs_after_a_kill import quiet


def test_calls_go_on_and_end_from_either_side_with_their_true_duration(stage):
    scene = stage()
    scene.answered(4)
    began = time.monotonic()
    eventually(lambda: time.monotonic() - began > 1.2, "calls that were marked as acknowledged")
    scene.daemon.kill()
    scene.daemon.start()
    assert scene.daemon.ask("status")["calls"] == 4
    first, second, third, fourth = scene.customer.answered
    for call in (first, second):
        scene.customer.hang_up(call)
    for call in (third, fourth):
        scene.vendor.hang_up(call.number)
    eventually(lambda: first.bye_status == second.bye_status == 200, "the callers' BYEs are answered")
    lasted = time.monotonic() - began
    eventually(quiet(scene), "nothing is left")
    records = eventually(lambda: len(found := scene.records()) == 4 and found, "the records")
    assert {record["end_reason"] for record in records} == {"Normal"}
    assert sorted(record["hangup_source"] for record in records) == ["callee"] * 2 + ["caller"] * 2
    assert all(abs(record["hold_time_ms"] - 1_000 * lasted) < 1_500 for record in records)
    scene.daemon.succeed("ledger", "verify")
