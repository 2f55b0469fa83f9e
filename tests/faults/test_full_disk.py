"""The disk of the journal is full: no call is answered that is not written down, and none that ended is lost."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from doubles.full_disk import fill as fill_disk, mounted
from e2e.conditions import eventually

from .conftest import CONFIGURATION

DISK_BYTES = 24 * 1024 * 1024
"""The reserve of 16 MiB and some more."""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system that is soon full."""
    with mounted(tmp_path / "disk", str(DISK_BYTES)) as disk:
        yield disk


def fill(disk: Path) -> None:
    """Leave no free block."""
    fill_disk(disk)
    free = os.statvfs(disk)
    assert free.f_bavail == 0


def test_every_answered_call_has_its_record_after_a_full_disk_and_a_kill(stage, small_disk):
    scene = stage(configuration=CONFIGURATION.replace("state_dir: $directory/var", f"state_dir: {small_disk}/var"))
    scene.answered(60)
    fill(small_disk)
    for call in scene.customer.answered[:20]:
        scene.customer.hang_up(call)
    eventually(lambda: sum(call.bye_status == 200 for call in scene.customer.calls.values()) == 20, "20 calls ended")
    eventually(lambda: scene.events("journal_write_failed"), "the disk is found to be full")
    for number in range(300):
        scene.customer.call(f"4480{number:05d}")
    eventually(lambda: len(scene.customer.decided) == 360, "every call is decided", within_s=60)
    refused = [call for call in scene.customer.calls.values() if 503 in call.statuses]
    assert len(refused) == 300, "no new call is taken"
    assert len(scene.daemon.ask("calls")) == 40, "running calls go on"
    for call in scene.customer.answered[20:30]:
        scene.customer.hang_up(call)
    eventually(lambda: sum(call.bye_status == 200 for call in scene.customer.calls.values()) == 30, "10 more ended")
    assert len(scene.events("journal_write_failed")) == 1

    scene.daemon.kill()
    scene.daemon.start()  # on the disk that is full still: what the reserve has not used makes room for another
    for call in scene.customer.answered[30:35]:
        scene.customer.hang_up(call)
    eventually(lambda: sum(call.bye_status == 200 for call in scene.customer.calls.values()) == 35, "5 more ended")
    assert len(scene.daemon.ask("calls")) == 25

    scene.daemon.kill()
    (small_disk / "ballast").unlink()
    scene.daemon.start()
    assert len(scene.daemon.ask("calls")) == 25, "none that has ended goes on"

    for call in scene.customer.answered[35:]:
        scene.customer.hang_up(call)
    answered = {call.call_id for call in scene.customer.answered}
    records = eventually(
        lambda: len(found := scene.records()) >= len(answered) and found, "a record of every answered call"
    )
    reasons = {record["sip_call_id_in"]: record["end_reason"] for record in records if record["answered_at"]}
    assert reasons.keys() == answered
    assert set(reasons.values()) == {"Normal"}
    scene.daemon.succeed("ledger", "verify")


def test_calls_are_taken_again_once_there_is_room(stage, small_disk):
    scene = stage(configuration=CONFIGURATION.replace("state_dir: $directory/var", f"state_dir: {small_disk}/var"))
    scene.answered(2)
    fill(small_disk)
    scene.customer.hang_up(scene.customer.answered[0])
    eventually(lambda: scene.events("journal_write_failed"), "the disk is found to be full")
    (small_disk / "ballast").unlink()
    eventually(lambda: scene.events("journal_recovered"), "the disk is found to be well")
    scene.answered(1, first=100)
    scene.daemon.kill()
    scene.daemon.start()
    for call in scene.customer.answered[1:]:
        scene.customer.hang_up(call)
    assert eventually(lambda: len(scene.records()) == 3, "a record of every answered call")
