"""A machine that boots with a clock that is hours behind the records of its own switch."""

import shutil

import pytest
from doubles.moved_clock import MovedClock, follow
from e2e.conditions import eventually

BEGIN_MS = 1_790_000_000_000
HOUR_MS = 3_600_000


@pytest.mark.parametrize("keeps_journal", [True, False])
def test_a_start_with_a_clock_behind_its_records_is_an_alarm(stage, tmp_path, keeps_journal):
    clock = MovedClock(tmp_path, BEGIN_MS)
    scene = stage(prepare=follow)
    scene.answered(1)
    clock.stand_at(10_000)
    scene.customer.hang_up(scene.customer.answered[0])
    eventually(lambda: len(scene.records()) == 1, "the call booked")
    assert scene.events("clock_jumped") == []
    scene.daemon.kill()
    if not keeps_journal:
        shutil.rmtree(tmp_path / "var")

    clock.set_back(HOUR_MS)
    clock.stand_at(20_000)
    scene.daemon.start()

    (jumped,) = eventually(lambda: scene.events("clock_jumped"), "the clock compared")
    assert -HOUR_MS / 1_000 <= jumped["seconds"] <= -HOUR_MS / 1_000 + 20
    alarms = eventually(lambda: scene.daemon.ask("alarms"), "the alarm")
    assert "clock_jumped" in [each["alarm"] for each in alarms]
