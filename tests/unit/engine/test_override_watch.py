"""Overrides in the running switch: read when they change, ended at their time, whatever the database does."""

from copy import deepcopy
from pathlib import Path

import msgspec
import pytest
import structlog
from doubles.data.builders import override
from doubles.memory import MemoryOverrides
from doubles.virtual.clock import ManualClock

from vosd.base.clock import LAST_DATE_MS
from vosd.catalogue.overrides import Setting, Target
from vosd.catalogue.ports import OverrideAction
from vosd.cdr.columns import iso_utc
from vosd.cdr.ports import StoreUnavailable
from vosd.engine.booking import overrides as module
from vosd.engine.booking.overrides import OverrideWatch

BLOCK = override(Target.ROUTING, "a", memo="no audio")


class Stage:
    """A watch over a store that the test may take away."""

    def __init__(self) -> None:
        self.store, self.clock = MemoryOverrides(), ManualClock()
        self.loads = 0
        self.is_away = False
        self.seen: list[list[str]] = []
        self.watch = OverrideWatch(self, self.clock, self._changed)

    def _changed(self, overrides) -> None:
        self.seen.append([each.name for each in overrides.by_key.values()])

    async def version(self) -> int:
        if self.is_away:
            raise StoreUnavailable("away")
        return await self.store.version()

    async def load(self):
        self.loads += 1
        return await self.store.load()

    async def expire(self, now: int) -> None:
        if self.is_away:
            raise StoreUnavailable("away")
        await self.store.expire(now)

    async def put(self, *overrides) -> None:
        await self.store.put(overrides, self.clock.now().wall)

    def later(self, ms: int) -> None:
        self.clock.move_to(self.clock.now().mono + ms)
        self.watch.end_expired()

    def until(self, ms: int) -> int:
        return self.clock.now().wall + ms


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def poll(stage: Stage, monkeypatch: pytest.MonkeyPatch, times: int = 1) -> None:
    """Let the watch poll without waiting."""
    rounds = iter(range(times + 1))

    async def asleep(_seconds: float) -> None:
        if next(rounds) == times:
            raise StopAsyncIteration

    monkeypatch.setattr(module.asyncio, "sleep", asleep)
    with pytest.raises(StopAsyncIteration):
        await stage.watch.run()


async def test_overrides_are_read_again_only_when_they_have_changed(stage):
    await stage.put(BLOCK)
    await stage.watch.refresh()
    await stage.watch.refresh()
    assert (stage.loads, stage.seen) == (1, [["a"]])
    await stage.store.clear([BLOCK.key], "bob", 0)
    await stage.watch.refresh()
    assert (stage.loads, stage.seen) == (2, [["a"], []])


async def test_an_override_ends_at_its_millisecond_without_the_database(stage):
    await stage.put(override(Target.ROUTING, "a", until=stage.until(5_000)), override(Target.ROUTING, "b"))
    await stage.watch.refresh()
    stage.is_away = True
    stage.later(4_999)
    assert stage.seen == [["a", "b"]]
    stage.later(1)
    assert stage.seen == [["a", "b"], ["b"]]


async def test_a_clock_that_is_ahead_for_a_while_ends_no_override(stage, monkeypatch):
    await stage.put(override(Target.ROUTING, "a", until=stage.until(60_000)))
    await stage.watch.refresh()
    stage.clock.set_wall(365 * 86_400_000)
    stage.later(1_000)
    await poll(stage, monkeypatch, times=2)
    assert len(stage.watch.in_force.by_key) == len((await stage.store.load()).by_key) == 1
    stage.clock.set_wall(-365 * 86_400_000)
    stage.later(59_000)
    await poll(stage, monkeypatch, times=2)
    assert len(stage.watch.in_force.by_key) == len((await stage.store.load()).by_key) == 0


async def test_what_expired_while_no_switch_ran_is_not_put_in_force(stage, monkeypatch):
    await stage.put(override(Target.ROUTING, "a", until=stage.until(5_000)))
    stage.later(60_000)
    await stage.watch.refresh()
    assert stage.seen == []
    await poll(stage, monkeypatch)
    assert (await stage.store.load()).by_key == {}
    assert [each.action for each in await stage.store.changes(1)] == [OverrideAction.EXPIRED]


async def test_while_the_database_is_away_the_last_overrides_hold(stage, monkeypatch):
    await stage.put(BLOCK)
    await stage.watch.refresh()
    stage.is_away = True
    with structlog.testing.capture_logs() as lines:
        await poll(stage, monkeypatch, times=3)
    assert [line["event"] for line in lines] == ["database_away"]
    assert [each.name for each in stage.watch.in_force.by_key.values()] == ["a"]
    with pytest.raises(StoreUnavailable):
        await stage.watch.refresh()


async def test_a_poll_finds_a_change_that_was_made_while_the_socket_was_away(stage, monkeypatch):
    await stage.watch.refresh()
    await stage.put(BLOCK)
    await poll(stage, monkeypatch)
    assert stage.seen == [["a"]]


async def test_the_log_has_every_override_that_is_set_and_ended(stage):
    limit = override(Target.ROUTING, "b", Setting.MAX_CPS, "3", until=stage.until(1_000))
    with structlog.testing.capture_logs() as lines:
        await stage.put(BLOCK, limit)
        await stage.watch.refresh()
        stage.later(1_000)
        await stage.store.clear([BLOCK.key], "bob", stage.until(0))
        await stage.watch.refresh()
    found = [(line["event"], line["name"], line["setting"], line.get("why")) for line in lines]
    assert found == [
        ("override_set", "a", "blocked", None),
        ("override_set", "b", "max_cps", None),
        ("override_ended", "b", "max_cps", "expired"),
        ("override_ended", "a", "blocked", "cleared"),
    ]
    assert (lines[0]["operator"], lines[0]["memo"]) == ("ann", "no audio")


async def test_a_changed_value_is_put_in_force_and_logged_as_set(stage):
    await stage.put(override(Target.ROUTING, "a", Setting.PRIORITY, "3"))
    await stage.watch.refresh()
    await stage.put(override(Target.ROUTING, "a", Setting.PRIORITY, "4"))
    with structlog.testing.capture_logs() as lines:
        await stage.watch.refresh()
    assert [(line["event"], line["value"]) for line in lines] == [("override_set", "4")]
    assert len(stage.seen) == 2


async def test_a_database_that_has_lost_commits_is_read_again_whatever_its_version(stage):
    await stage.put(BLOCK)
    await stage.watch.refresh()
    stage.store = MemoryOverrides()
    await stage.put(override(Target.ROUTING, "b"))
    await stage.watch.refresh()
    assert stage.seen == [["a"]]
    stage.watch.forget_version()
    await stage.watch.refresh()
    assert stage.seen == [["a"], ["b"]]


async def test_one_that_loses_commits_while_it_is_asked_is_read_again(stage, monkeypatch):
    await stage.put(BLOCK)
    await stage.watch.refresh()
    version = stage.version

    async def forget_then_tell():
        stage.watch.forget_version()
        return await version()

    monkeypatch.setattr(stage, "version", forget_then_tell)
    await stage.watch.refresh()
    await stage.watch.refresh()
    assert stage.loads == 2


async def test_the_file_gets_what_its_disk_had_no_room_for(tmp_path):
    stage = Stage()
    stage.watch = OverrideWatch(stage, stage.clock, stage._changed, tmp_path / "overrides.json")
    (tmp_path / "overrides.draft").mkdir()  # nothing can be written
    await stage.put(BLOCK)
    with structlog.testing.capture_logs() as logged:
        await stage.watch.refresh()
        await stage.watch.refresh()
    assert [each["event"] for each in logged if "written" in each["event"]] == ["overrides_not_written"]
    (tmp_path / "overrides.draft").rmdir()
    await stage.watch.refresh()
    after = Stage()
    after.watch = OverrideWatch(after, after.clock, after._changed, tmp_path / "overrides.json")
    after.watch.restore()
    assert after.seen == [["a"]]
    assert stage.loads == 1


def watch_of(stage: Stage, directory: Path) -> OverrideWatch:
    """Return the watch of a run whose ``state_dir`` is that directory."""
    stage.watch = OverrideWatch(stage, stage.clock, stage._changed, directory / "overrides.json")
    return stage.watch


def lost(logged) -> list[tuple[str | None, str | None]]:
    return [(each.get("lost"), each.get("returned")) for each in logged if each["event"] == "overrides_lost"]


@pytest.mark.parametrize("is_started_anew", [False, True])
async def test_what_the_database_has_lost_and_what_holds_again_is_named(stage, tmp_path, is_started_anew):
    await stage.put(BLOCK, override(Target.ACCOUNT, "kept"))
    before = deepcopy(stage.store)
    await stage.store.clear([BLOCK.key], "ann", stage.clock.now().wall)
    await stage.put(override(Target.ACCOUNT, "acme", memo="fraud", until=stage.until(90_000)))
    await stage.put(override(Target.ACCOUNT, "brief", until=stage.until(1_000)))
    await watch_of(stage, tmp_path).refresh()
    stage.later(2_000)

    stage.store = before
    if is_started_anew:
        watch_of(stage, tmp_path)
    with structlog.testing.capture_logs() as logged:
        await stage.watch.refresh()
        await stage.watch.refresh()

    ((gone, again),) = lost(logged)
    assert gone == f"blocked of account acme by ann until {iso_utc(stage.clock.now().wall + 88_000)}: fraud"
    assert again == "blocked of routing a by ann: no audio"
    assert set(stage.watch.in_force.by_key) == {BLOCK.key, override(Target.ACCOUNT, "kept").key}
    ended = [each["why"] for each in logged if each["event"] == "override_ended"]
    assert ended == ([] if is_started_anew else ["lost"])


async def test_a_loss_that_another_order_has_hidden_from_the_version_is_found_when_it_is_forgotten(stage):
    before = deepcopy(stage.store)
    await stage.put(BLOCK)
    await stage.watch.refresh()
    stage.store = before
    await stage.put(override(Target.ACCOUNT, "acme"))
    stage.watch.forget_version()
    with structlog.testing.capture_logs() as logged:
        await stage.watch.refresh()
    assert lost(logged) == [("blocked of routing a by ann: no audio", "blocked of account acme by ann")]


async def test_what_people_have_changed_while_the_switch_was_stopped_is_no_loss(stage, tmp_path):
    await stage.put(BLOCK)
    await watch_of(stage, tmp_path).refresh()
    await stage.store.clear([BLOCK.key], "ann", stage.clock.now().wall)
    watch_of(stage, tmp_path).restore()
    with structlog.testing.capture_logs() as logged:
        await stage.watch.refresh()
    assert not lost(logged)
    assert [each["why"] for each in logged if each["event"] == "override_ended"] == ["cleared"]


async def test_a_file_of_an_earlier_version_is_read(stage, tmp_path):
    (tmp_path / "overrides.json").write_bytes(msgspec.json.encode([BLOCK]))
    watch_of(stage, tmp_path).restore()
    assert stage.seen == [["a"]]


async def test_a_time_that_is_no_date_costs_no_other_override_and_no_block(stage, tmp_path):
    """A start without the database let all calls of blocked accounts pass for one bad time in the file."""
    limit = override(Target.ROUTING, "b", Setting.MAX_CPS, "5")
    kept = msgspec.to_builtins([BLOCK, override(Target.ACCOUNT, "acme"), limit, override(Target.ROUTING, "c"), limit])
    for number, bad in enumerate(({}, {"until": 400_000_000_000_000}, {"since": -1}, {"until": 1.5, "value": 7})):
        kept[number] |= bad
    (tmp_path / "overrides.json").write_bytes(msgspec.json.encode({"version": 1, "rows": [*kept, 7, {"name": "d"}]}))
    with structlog.testing.capture_logs() as logged:
        watch_of(stage, tmp_path).restore()
    assert {each.name for each in stage.watch.in_force.by_key.values()} == {"a", "acme", "b"}
    told = [(each["row"], each["means"]) for each in logged if each["event"] == "override_unreadable"]
    assert told[0] == (1, "blocked of account acme holds until the database is read, whatever its time")
    assert [row for row, means in told if means == "it is left out until the database is read"] == [2, 3, 5, 6]


async def test_overrides_of_a_file_that_is_not_whole_are_not_missed_in_the_database(stage, tmp_path):
    await stage.put(BLOCK)
    await watch_of(stage, tmp_path).refresh()
    path = tmp_path / "overrides.json"
    kept = msgspec.json.decode(path.read_bytes())
    kept["rows"][0]["until"] = -1
    path.write_bytes(msgspec.json.encode(kept))
    watch_of(stage, tmp_path).restore()
    assert stage.watch.in_force.by_key.keys() == {BLOCK.key}
    with structlog.testing.capture_logs() as logged:
        await stage.watch.refresh()
    assert not lost(logged)
    assert [*stage.watch.in_force.by_key.values()] == [BLOCK]


@pytest.mark.parametrize("content", [b"{", b"7", b'{"version": 1}'])
async def test_a_file_that_cannot_be_read_ends_no_start(stage, tmp_path, content):
    (tmp_path / "overrides.json").write_bytes(content)
    with structlog.testing.capture_logs() as logged:
        watch_of(stage, tmp_path).restore()
    assert stage.seen == []
    assert [each["event"] for each in logged] == ["overrides_unreadable"]


async def test_overrides_until_the_last_day_that_can_be_written_hold_at_a_start_without_database(stage, tmp_path):
    """People write 9999-12-31 for ever; one such end would lose all others, too."""
    await stage.put(BLOCK, override(Target.ACCOUNT, "acme", until=LAST_DATE_MS))
    await watch_of(stage, tmp_path).refresh()
    again = watch_of(stage, tmp_path)
    again.restore()
    assert sorted(each.name for each in again.in_force.by_key.values()) == ["a", "acme"]
