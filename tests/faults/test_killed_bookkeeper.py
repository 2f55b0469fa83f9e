"""kill -9 of the process that books calls, and of the switch that started it."""

import os
import signal
from pathlib import Path

import pytest
from e2e.conditions import eventually

from .conftest import CONFIGURATION

SQLITE_URL = "sqlite+aiosqlite:///$directory/vosd.db"


@pytest.fixture(params=["sqlite", pytest.param("mariadb", marks=pytest.mark.mariadb)])
def configuration(request):
    """The configuration of the faults on each database."""
    if request.param == "sqlite":
        return CONFIGURATION
    return CONFIGURATION.replace(SQLITE_URL, request.getfixturevalue("mariadb_url"))


def bookkeepers(scene) -> list[int]:
    """Return the process ids of the switch's children but the one that adds calls up."""
    return scene.daemon.children(but="traffic_process")


def test_calls_are_booked_once_however_often_the_bookkeeper_is_killed(stage, configuration):
    scene = stage(configuration=configuration)
    scene.answered(30)
    killed = set()
    for number, call in enumerate(scene.customer.answered):
        scene.customer.hang_up(call)
        if number % 10 == 0:
            [pid] = eventually(lambda: set(bookkeepers(scene)) - killed, "a bookkeeper that was not killed")
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
            booked = number // 2
            eventually(lambda booked=booked: len(scene.records()) >= booked, "half of the calls booked")
    eventually(lambda: len(scene.records()) == 30, "every call booked")
    eventually(lambda: scene.daemon.ask("status")["spool_rows"] == 0, "nothing waits")
    assert len({record["call_id"] for record in scene.records()}) == 30
    assert scene.events("bookkeeper_ended")
    scene.daemon.succeed("ledger", "verify")


def test_the_bookkeeper_ends_with_a_switch_that_is_killed_and_with_one_that_stops(stage):
    scene = stage()
    for end in (scene.daemon.kill, scene.daemon.interrupt):
        if not scene.daemon.running:
            scene.daemon.start()
        [pid] = eventually(lambda: bookkeepers(scene), "a bookkeeper")
        end()
        assert eventually(lambda pid=pid: not Path(f"/proc/{pid}").exists(), "no bookkeeper")
