"""A restore has the state directory from before its first step until it has ended in any way."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vosd.admin import restore
from vosd.admin.backup_file import BackupError, BackupManifest
from vosd.admin.restore import JournalChoice, RestoredState, put_back
from vosd.base.errors import VosError
from vosd.base.secret import Secret

MANIFEST = BackupManifest(
    version="1", schema="0001", node="sw1", made_at="2026-03-01T12:00:00Z", database="sqlite", commits=0, tables={},
    configuration="", missing=(),
)  # fmt: skip


class Backup:
    manifest = MANIFEST


class State:
    """Notes what is done with the directory, among the steps of the restore."""

    def __init__(self, steps: list[str], *, is_taken: bool = False) -> None:
        self._steps, self._is_taken = steps, is_taken

    def claim(self) -> None:
        if self._is_taken:
            raise VosError("another switch runs")
        self._steps.append("claim")

    def release(self) -> None:
        self._steps.append("release")


@pytest.fixture
def steps() -> list[str]:
    return []


def put(steps: list[str], monkeypatch: pytest.MonkeyPatch, fails: str = "", *, is_taken: bool = False) -> Any:
    """Put a backup back by steps that only note their names; ``fails`` is the one that raises an error."""

    def step(name: str, result: Any) -> Any:
        def act(*_: Any, **__: Any) -> Any:
            steps.append(name)
            if name == fails:
                raise BackupError(name)
            return result

        return act

    def later(name: str, result: Any) -> Any:
        act = step(name, result)

        async def act_later(*words: Any, **more: Any) -> Any:
            return act(*words, **more)

        return act_later

    monkeypatch.setattr(restore, "check_state", step("check", JournalChoice.KEEP))
    monkeypatch.setattr(restore, "restore_database", later("database", "moved"))
    monkeypatch.setattr(restore, "rows_now", later("rows", {"cdr": 3}))
    monkeypatch.setattr(restore, "restore_state", step("state", RestoredState("kept", None, ("a.json",))))
    settings: Any = SimpleNamespace(database_url=Secret("sqlite+aiosqlite:///x.db"), state_dir=Path("state"))
    backup: Any = Backup()
    state = State(steps, is_taken=is_taken)
    return asyncio.run(put_back(backup, settings, None, state, lambda *_: None, lambda: 0, may_replace=True))


def test_the_journal_is_judged_before_the_database_and_written_after_it(
    steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = put(steps, monkeypatch)
    assert steps == ["claim", "check", "database", "rows", "state", "release"]
    assert (found.node, found.made_at, found.tables, found.replaced) == ("sw1", MANIFEST.made_at, {"cdr": 3}, "moved")
    assert (found.state, found.left_out) == ("kept", ("a.json",))


@pytest.mark.parametrize("fails", ["check", "database", "rows", "state"])
def test_a_step_that_fails_is_the_last_and_gives_the_directory_back(
    steps: list[str], monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    with pytest.raises(BackupError, match=fails):
        put(steps, monkeypatch, fails)
    assert steps[-2:] == [fails, "release"]
    assert steps.count("release") == 1


def test_nothing_is_done_where_another_process_has_the_directory(
    steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(VosError, match="another switch runs"):
        put(steps, monkeypatch, is_taken=True)
    assert steps == []
