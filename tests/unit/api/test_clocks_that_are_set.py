"""Keys of requests and results of jobs outlive a wall clock that is wrong for a while: they are gone for good."""

from pathlib import Path
from typing import Any

from doubles.virtual.clock import ManualClock

from vosd.admin.office.jobs import KEPT_MS as JOB_KEPT_MS
from vosd.api.http import Answer
from vosd.api.jobs import Jobs
from vosd.api.repeats import FORGET_MS, KEPT_MS, Repeats
from vosd.engine.steady_clock import SETTLED_MS
from vosd.storage.audit_line import RequestKey

YEAR_MS = 365 * 86_400_000


class Kept:
    """Notes what is to be forgotten."""

    def __init__(self) -> None:
        self.forgotten: list[int] = []

    async def forget(self, before: int) -> None:
        self.forgotten.append(before)

    async def find(self, _key: RequestKey) -> None:
        return None

    async def answered(self, *_: object) -> None:
        pass

    async def files(self) -> set[str]:
        return set()


async def test_keys_are_forgotten_by_the_clock_that_goes_on_and_not_by_one_that_was_just_set():
    clock, kept, carried_out = ManualClock(), Kept(), []
    repeats = Repeats(clock)

    async def act(_key: RequestKey | None) -> Answer:
        carried_out.append(clock.now())
        return Answer(content=b"{}")

    async def ask() -> None:
        key = RequestKey("ann", str(len(carried_out)), "0")
        await repeats.once(key, kept, act, is_harmless=False)  # type: ignore[arg-type]

    def pass_ms(ms: int) -> None:
        clock.move_to(clock.now().mono + ms)

    await ask()
    right = clock.now().wall - KEPT_MS
    assert kept.forgotten == [right]
    pass_ms(FORGET_MS)
    clock.set_wall(YEAR_MS)
    await ask()
    clock.set_wall(-YEAR_MS)
    await ask()
    assert kept.forgotten == [right, right + FORGET_MS], "of now, and at once when the clock is right again"
    clock.set_wall(YEAR_MS)
    await ask()
    pass_ms(SETTLED_MS)
    await ask()
    assert kept.forgotten[2:] == [right + FORGET_MS + SETTLED_MS + YEAR_MS], "the clock was put right"
    clock.set_wall(-YEAR_MS)
    await ask()
    pass_ms(SETTLED_MS)
    await ask()
    assert kept.forgotten[3:] == [right + FORGET_MS + 2 * SETTLED_MS]
    assert len(carried_out) == 7


async def test_results_of_jobs_are_removed_by_the_clock_that_goes_on(tmp_path: Path, monkeypatch: Any):
    clock, kept = ManualClock(), Kept()
    result = tmp_path / "7-1.result"
    result.write_bytes(b"")
    jobs = Jobs(tmp_path, None, clock=clock)  # type: ignore[arg-type]

    async def directory(_jobs: Jobs) -> Path:
        return tmp_path

    monkeypatch.setattr(Jobs, "directory", directory)
    clock.set_wall(2 * YEAR_MS)
    await jobs._purge(kept)  # type: ignore[arg-type]
    assert kept.forgotten == []
    assert result.exists()
    clock.move_to(clock.now().mono + SETTLED_MS)
    await jobs._purge(kept)  # type: ignore[arg-type]
    assert kept.forgotten == [clock.now().wall - JOB_KEPT_MS]
    assert not result.exists()
