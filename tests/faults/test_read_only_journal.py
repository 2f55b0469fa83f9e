"""The disk of the journal becomes read-only while the database is well: what ends is booked, and stays ended."""

import signal

import pytest
from doubles.read_only_disk import read_only_disk
from e2e.conditions import eventually

from .conftest import CONFIGURATION


@pytest.fixture
def disk(tmp_path):
    with read_only_disk(tmp_path) as disk:
        yield disk


def numbers(calls):
    return {call.number for call in calls}


def running(scene):
    return {call["callee"] for call in scene.daemon.ask("calls")}


@pytest.fixture
def scene(stage, disk):
    """A switch with six calls, of which three have ended since the disk takes nothing."""
    text = CONFIGURATION.replace("state_dir: $directory/var", f"state_dir: {disk.place}/var")
    scene = stage(configuration=f"{text}on_sigterm: keep\ncdr: {{batch_ms: 5000}}\n")
    scene.answered(6)
    scene.ended, scene.others = scene.customer.answered[:3], scene.customer.answered[3:]
    disk.make_read_only()
    for call in scene.ended:
        scene.customer.hang_up(call)
    eventually(lambda: all(call.bye_status == 200 for call in scene.ended), "the BYEs are answered")
    return scene


def test_a_call_is_booked_before_its_bye_is_answered_and_does_not_come_to_life(scene, disk):
    """The kill comes with the last 200, seconds before a batch would be due."""
    scene.daemon.kill()
    assert {record["end_reason"] for record in scene.records()} == {"Normal"}
    assert {record["callee_in"] for record in scene.records()} == numbers(scene.ended)
    disk.mend()
    scene.daemon.start()
    assert running(scene) == numbers(scene.others)
    assert scene.daemon.ask("status")["holds"] == 3, "nothing is reserved for what has ended"
    for call in scene.others:
        scene.customer.hang_up(call)
    records = eventually(lambda: len(found := scene.records()) == 6 and found, "every call once")
    assert {record["end_reason"] for record in records} == {"Normal"}
    scene.daemon.succeed("ledger", "verify")


def test_a_call_that_begins_is_refused_and_one_that_runs_goes_on(scene):
    new = scene.customer.call("4499")
    eventually(lambda: 503 in new.statuses, "it is refused")
    assert running(scene) == numbers(scene.others)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_the_process_stops_and_the_next_one_goes_on_with_what_ran(scene, disk, how):
    scene.daemon.signal(how)
    assert scene.daemon.wait() == 0
    disk.mend()
    scene.daemon.start()
    assert running(scene) == (numbers(scene.others) if how is signal.SIGTERM else set())
    assert len(scene.records()) == (3 if how is signal.SIGTERM else 6)
    scene.daemon.succeed("ledger", "verify")
