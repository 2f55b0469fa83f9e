"""Another fork of an INVITE that answers beside the one that has the call: its vendor may charge for both."""

import pytest
from doubles.killed import KilledScene
from doubles.sockets.peer import ANSWER
from doubles.virtual.vendor import Line, Script


def after_a_kill(scene, restart, *, after_ms):
    """End a call, one of whose forks answers 5 s after the other; the switch is restarted ``after_ms`` behind that."""
    later = Script((Line(0, 180), Line(6_000, 200, ANSWER)))
    scene.vendor.script = Script((Line(0, 180), Line(1_000, 200, ANSWER)), forks=(later,))
    call = scene.answered_call(talk_ms=5_000 + after_ms)
    if restart is not None:
        restart(scene, 1_000)
    scene.wire.run_for(10_000)
    scene.hang_up(call, wait_ms=60_000)
    assert [len(there.asked["BYE"]) > 0 for there in scene.vendor.calls] == [True, True]
    return scene.exchange.sink.all_records


@pytest.mark.parametrize("restart", [None, KilledScene.kill, KilledScene.stop_and_keep])
@pytest.mark.parametrize("after_ms", [-2_000, 1_500])
def test_a_fork_that_answers_around_a_restart_has_its_cost_and_its_row(tmp_path, restart, after_ms):
    fork, call = after_a_kill(KilledScene(tmp_path), restart, after_ms=after_ms)
    assert [(each.reason, each.code) for each in call.attempts] == [("Answered", 200), ("Forked", 200)]
    assert (call.end_reason, fork.end_reason, fork.hold_time_ms) == ("Normal", "Cancelled", 0)
    assert fork.cost > 0


def test_a_fork_that_repeats_its_answer_behind_a_kill_is_paid_once(tmp_path):
    """The fork has got neither ACK nor BYE before the kill."""
    scene = KilledScene(tmp_path)
    arrives, lost_until = scene.wire.delays, scene.exchange.clock.now().mono + 9_500

    def delays(packet):
        is_lost = packet.sent_at < lost_until and packet.data.startswith((b"ACK", b"BYE"))
        return () if is_lost else arrives(packet)

    scene.wire.delays = delays
    records = after_a_kill(scene, KilledScene.kill, after_ms=1_000)
    assert [record.end_reason for record in records].count("Cancelled") == 1


@pytest.mark.parametrize("is_database_away", [False, True])
@pytest.mark.parametrize("restarts", [("kill",), ("kill", "kill"), ("stop_and_keep", "kill")])
def test_a_fork_that_was_released_and_repeats_its_answer_behind_a_kill_has_one_record(
    tmp_path, restarts, is_database_away
):
    """The fork has got BYE and no ACK: the journal has nothing of it any more, and the books have its record."""
    scene = KilledScene(tmp_path)
    scene.is_database_away = is_database_away
    first, second = (Script((Line(0, 180), Line(after_ms, 200, ANSWER))) for after_ms in (6_000, 7_000))
    call = scene.begun_call(script=Script((Line(0, 180), Line(1_000, 200, ANSWER)), forks=(first, second)))
    scene.wire.run_until(lambda: len(scene.exchange.sink.late_answers) == 2)
    answers = [each for each in scene.wire.packets if each.source == scene.vendor.address]
    (sent,) = [each for each in answers if each.data.startswith(b"SIP/2.0 200") and b" INVITE" in each.data][-1:]
    scene.wire.run_for(3_000)
    for restart in restarts:
        getattr(scene, restart)(20)
        scene.wire.run_for(100)
        scene.wire.send(sent.source, sent.target, sent.data)
        scene.wire.run_for(3_000)
    scene.hang_up(call, wait_ms=60_000)
    late, (record,) = scene.exchange.sink.late_answers, scene.exchange.sink.records
    assert [row.reason for row in record.attempts] == ["Answered", "Forked", "Forked"]
    assert len({each.call_id for each in late}) == 2
    assert len(late) == 2 or not is_database_away, "the recorder takes a record of each id once"
    assert all(each.cost > 0 for each in late)
