"""The file with the turns of number pools."""

import asyncio

from doubles.virtual.clock import ManualClock
from structlog.testing import capture_logs

from vosd.callcontrol.live_state import LiveState
from vosd.engine import state_files
from vosd.engine.state_files import StateFiles
from vosd.routing.pools import NumberPool

BERLIN = NumberPool("berlin", ("A", "B", "C"))
NAME = "number-pools.json"


def files(state_dir):
    live = LiveState()
    return StateFiles(state_dir, live, ManualClock()), live.pool_turns


def no_draw(_below):
    raise AssertionError


def test_a_restart_goes_on_from_the_file(tmp_path):
    file, turns = files(tmp_path)
    file.restore()
    file.write_last()
    assert not (tmp_path / NAME).exists(), "nothing was taken"
    turns.take(BERLIN, no_draw)
    file.write_last()
    file, again = files(tmp_path)
    file.restore()
    assert again.take(BERLIN, no_draw) == "B"
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600


async def test_changes_are_written_while_the_switch_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(state_files, "ROUND_S", 0.001)
    file, turns = files(tmp_path)
    path = tmp_path / NAME
    task = asyncio.create_task(file.run())
    turns.take(BERLIN, no_draw)
    async with asyncio.timeout(30):
        while not path.exists():  # noqa: ASYNC110 - the file is the event
            await asyncio.sleep(0)
    task.cancel()
    assert path.read_bytes() == b'{"berlin":[0,1]}'


async def test_the_file_gets_what_its_disk_had_no_room_for(tmp_path, monkeypatch):
    monkeypatch.setattr(state_files, "ROUND_S", 0.001)
    file, turns = files(tmp_path)
    (tmp_path / "number-pools.draft").mkdir()
    turns.take(BERLIN, no_draw)
    with capture_logs() as logged:
        task = asyncio.create_task(file.run())
        async with asyncio.timeout(30):
            while not logged:  # noqa: ASYNC110 - the line is the event
                await asyncio.sleep(0)
        (tmp_path / "number-pools.draft").rmdir()
        async with asyncio.timeout(30):
            while not (tmp_path / NAME).exists():  # noqa: ASYNC110 - the file is the event
                await asyncio.sleep(0)
    task.cancel()
    assert (tmp_path / NAME).read_bytes() == b'{"berlin":[0,1]}'


def test_a_file_that_cannot_be_read_or_written_is_logged(tmp_path):
    (tmp_path / NAME).write_text("{")
    file, turns = files(tmp_path)
    with capture_logs() as logged:
        file.restore()
        (tmp_path / "number-pools.draft").mkdir()
        for _ in range(2):
            turns.take(BERLIN, no_draw)
            file.write_last()
    assert [each["event"] for each in logged] == ["pool_turns_unreadable", "pool_turns_not_written"]
