"""The file of the dynamic blacklist: what it keeps over a restart, and files that cannot be read or written."""

import asyncio
import json
import stat

import pytest
from doubles.virtual.clock import ManualClock
from structlog.testing import capture_logs

from vosd.callcontrol.live_state import LiveState
from vosd.engine.state_files import StateFiles
from vosd.routing.dynamic_lists import DynamicLists
from vosd.trunks.gateways import CallerLimits
from vosd.wiring.kept_state import kept_blacklist

LIMITS = CallerLimits(frequency_limit=1, expire_s=60)


@pytest.fixture
def clock():
    return ManualClock()


def advance(clock, ms):
    clock.move_to(clock.now().mono + ms)


def list_caller(lists, clock, caller):
    for _ in range(2):
        lists.take("acme", caller, "4420", LIMITS, clock.now())


def files(state_dir, lists, clock):
    live = LiveState()
    live.dynamic_lists = lists
    return StateFiles(state_dir, live, clock)


def restored(state_dir, clock):
    lists = DynamicLists()
    files(state_dir, lists, clock).restore()
    return lists


def test_a_restart_keeps_callers_until_their_time_is_over(tmp_path, clock):
    path, lists = tmp_path / "blacklist.json", DynamicLists()
    file = files(tmp_path, lists, clock)
    list_caller(lists, clock, "1001")
    advance(clock, 30_000)
    list_caller(lists, clock, "1002")
    file.write_last()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    later = ManualClock(mono=5, wall=clock.now().wall + 29_999)  # another monotonic clock after a restart
    again = restored(tmp_path, later)
    assert [each.caller for each in again.listed(later.now().mono)] == ["1001", "1002"]
    assert again.find("acme", "1001", 5).until_mono == 6
    assert again.find("acme", "1001", 6) is None
    advance(later, 1)
    assert [each.caller for each in restored(tmp_path, later).listed(later.now().mono)] == ["1002"]


def test_a_clock_that_was_years_ahead_keeps_no_caller_for_years(tmp_path):
    ahead, lists = ManualClock(wall=2_000_000_000_000), DynamicLists()
    file = files(tmp_path, lists, ahead)
    list_caller(lists, ahead, "1001")
    file.write_last()
    right = ManualClock(mono=5, wall=1_800_000_000_000)
    assert restored(tmp_path, right).find("acme", "1001", 5).until_mono == 5 + 60_000
    (row,) = kept_blacklist(tmp_path, right.now().wall).value
    assert (row.remaining_s, row.until) == (60, "2027-01-15T08:01:00.000Z")


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'[{"gateway": "acme"}]', b"\xff", b'[{"x": ' + b"[" * 10_000])
def test_a_damaged_file_is_reported_and_begun_anew(tmp_path, clock, content):
    path = tmp_path / "blacklist.json"
    path.write_bytes(content)
    with capture_logs() as logs:
        assert restored(tmp_path, clock).size == 0
    is_list = content in {b"[1]", b'[{"gateway": "acme"}]'}
    assert [each["event"] for each in logs] == ["blacklisted_caller_unreadable" if is_list else "blacklist_unreadable"]


def test_a_time_that_is_no_date_costs_one_caller(tmp_path, clock):
    path, lists = tmp_path / "blacklist.json", DynamicLists()
    file = files(tmp_path, lists, clock)
    for caller in ("1001", "1002"):
        list_caller(lists, clock, caller)
    file.write_last()
    kept = json.loads(path.read_bytes())
    kept[0]["until"] = 400_000_000_000_000
    path.write_text(json.dumps(kept))
    with capture_logs() as logs:
        found = restored(tmp_path, clock)
    assert [each.caller for each in found.listed(clock.now().mono)] == ["1002"]
    assert [(each["event"], each["row"]) for each in logs] == [("blacklisted_caller_unreadable", 0)]


def test_without_a_file_the_list_is_empty(tmp_path, clock):
    with capture_logs() as logs:
        assert restored(tmp_path, clock).size == 0
    assert logs == []


def test_a_file_that_cannot_be_written_is_reported_once(tmp_path, clock):
    lists = DynamicLists()
    file = files(tmp_path / "missing", lists, clock)
    with capture_logs() as logs:
        for caller in ("1001", "1002"):
            list_caller(lists, clock, caller)
            file.write_last()
    assert [each["event"] for each in logs] == ["blacklist_not_written", "quality_not_written"]


async def test_the_file_follows_the_list(tmp_path, clock, monkeypatch):
    monkeypatch.setattr("vosd.engine.state_files.ROUND_S", 0)
    path, lists = tmp_path / "blacklist.json", DynamicLists()
    task = asyncio.create_task(files(tmp_path, lists, clock).run())

    async def until(condition):
        while not condition():  # noqa: ASYNC110  what is waited for is a file
            await asyncio.sleep(0)

    async with asyncio.timeout(60):
        list_caller(lists, clock, "1001")
        await until(lambda: path.exists() and b"1001" in path.read_bytes())
        advance(clock, 60_000)
        await until(lambda: path.read_bytes() == b"[]")
    assert lists.size == 0
    task.cancel()
