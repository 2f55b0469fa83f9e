"""The file with the turns of number pools."""

import asyncio

from structlog.testing import capture_logs

from vosd.engine.calls import pool_file
from vosd.engine.calls.pool_file import PoolFile
from vosd.routing.pools import NumberPool, PoolTurns

BERLIN = NumberPool("berlin", ("A", "B", "C"))


def no_draw(_below):
    raise AssertionError


def test_a_restart_goes_on_from_the_file(tmp_path):
    turns = PoolTurns()
    file = PoolFile(tmp_path / "pools.json", turns)
    file.restore()
    file.write_last()
    assert list(tmp_path.iterdir()) == [], "nothing was taken"
    turns.take(BERLIN, no_draw)
    file.write_last()
    again = PoolTurns()
    PoolFile(tmp_path / "pools.json", again).restore()
    assert again.take(BERLIN, no_draw) == "B"
    assert (tmp_path / "pools.json").stat().st_mode & 0o777 == 0o600


async def test_changes_are_written_while_the_switch_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(pool_file, "ROUND_S", 0.001)
    turns = PoolTurns()
    path = tmp_path / "pools.json"
    task = asyncio.create_task(PoolFile(path, turns).run())
    turns.take(BERLIN, no_draw)
    async with asyncio.timeout(30):
        while not path.exists():  # noqa: ASYNC110 - the file is the event
            await asyncio.sleep(0)
    task.cancel()
    assert path.read_bytes() == b'{"berlin":[0,1]}'


def test_a_file_that_cannot_be_read_or_written_is_logged(tmp_path):
    path = tmp_path / "pools.json"
    path.write_text("{")
    turns = PoolTurns()
    file = PoolFile(path, turns)
    with capture_logs() as logged:
        file.restore()
        (tmp_path / "pools.draft").mkdir()
        for _ in range(2):
            turns.take(BERLIN, no_draw)
            file.write_last()
    assert [each["event"] for each in logged] == ["pool_turns_unreadable", "pool_turns_not_written"]
