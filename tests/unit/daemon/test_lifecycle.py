"""Start in order, stop in reverse, one way out."""

import asyncio
import signal

import pytest
import structlog

from vosd.base.errors import VosError
from vosd.daemon.lifecycle import DaemonState, Lifecycle, StartStep
from vosd.daemon.systemd import Notifier, Watchdog


class Diary:
    """Notes what the steps did, and breaks or blocks where a test wants it."""

    def __init__(self, *, breaks: str = "", blocks: str = "") -> None:
        self.entries: list[str] = []
        self._breaks = breaks
        self._blocks = blocks
        self.blocked = asyncio.Event()

    async def note(self, entry: str) -> None:
        if entry == self._blocks:
            self.blocked.set()
            await asyncio.Event().wait()
        if entry == self._breaks:
            raise VosError(f"{entry} is broken")
        self.entries.append(entry)

    def step(self, name: str) -> StartStep:
        return StartStep(name, lambda: self.note(f"start {name}"), lambda: self.note(f"stop {name}"))


def life_of(diary: Diary) -> Lifecycle:
    notifier = Notifier(None)
    steps = [diary.step(name) for name in ("database", "switch", "listener")]
    ends = (lambda _received: diary.note("drain"), lambda: diary.note("leave"))
    return Lifecycle(steps, *ends, notifier, Watchdog(notifier, None))


async def test_steps_start_in_order_and_stop_in_reverse_after_the_drain() -> None:
    diary = Diary()
    life = life_of(diary)

    def when_ready() -> None:
        assert life.state is DaemonState.RUNNING
        diary.entries.append("ready")
        life.ask_to_stop(signal.SIGINT)

    await life.run(when_ready)
    assert diary.entries == [
        "start database", "start switch", "start listener", "ready",
        "drain", "stop listener", "stop switch", "stop database",
    ]  # fmt: skip
    assert life.state is DaemonState.STOPPED
    assert life.lasted_ms.keys() == {"database", "switch", "listener"}


async def test_a_step_that_fails_to_start_stops_the_earlier_ones_and_is_logged() -> None:
    diary = Diary(breaks="start listener")
    with pytest.raises(VosError, match="start listener is broken"):
        await life_of(diary).run(pytest.fail)
    assert diary.entries == ["start database", "start switch", "leave", "stop switch", "stop database"]


async def test_a_stop_while_starting_ends_the_start() -> None:
    diary = Diary(blocks="start switch")
    life = life_of(diary)
    running = asyncio.ensure_future(life.run(pytest.fail))
    await asyncio.wait_for(diary.blocked.wait(), 30)
    life.ask_to_stop(signal.SIGTERM)
    await asyncio.wait_for(running, 30)
    assert diary.entries == ["start database", "leave", "stop database"]


async def test_a_stop_ends_a_start_that_swallows_the_first_cancellation() -> None:
    """The driver of MySQL does where its attempt to connect has just failed, and the start tries again for ever."""
    tried = asyncio.Event()

    async def connect() -> None:
        tried.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.Event().wait()

    async def nothing() -> None: ...

    notifier = Notifier(None)
    steps = [StartStep("database", connect, nothing)]
    life = Lifecycle(steps, lambda _received: nothing(), nothing, notifier, Watchdog(notifier, None))
    running = asyncio.ensure_future(life.run(pytest.fail))
    await asyncio.wait_for(tried.wait(), 30)
    life.ask_to_stop(signal.SIGTERM)
    await asyncio.wait_for(running, 30)
    assert life.state is DaemonState.STOPPED


async def test_a_step_that_fails_to_stop_does_not_keep_the_others_from_stopping() -> None:
    diary = Diary(breaks="stop listener")
    life = life_of(diary)
    with structlog.testing.capture_logs() as logs, pytest.raises(VosError, match="stop listener"):
        await life.run(lambda: life.ask_to_stop(signal.SIGINT))
    assert diary.entries[-3:] == ["drain", "stop switch", "stop database"]
    assert [line["part"] for line in logs if line["log_level"] == "error"] == ["listener"]


async def test_a_drain_that_fails_still_stops_every_step() -> None:
    diary = Diary(breaks="drain")
    life = life_of(diary)
    with pytest.raises(VosError, match="drain is broken"):
        await life.run(lambda: life.ask_to_stop(signal.SIGINT))
    assert diary.entries[-3:] == ["stop listener", "stop switch", "stop database"]


async def test_a_stop_is_taken_before_the_log_has_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    diary = Diary()
    life = life_of(diary)

    class FullDisk:
        def info(self, event: str, **_facts: object) -> None:
            raise OSError(28, "No space left on device", event)

    monkeypatch.setattr("vosd.daemon.lifecycle._log", FullDisk())

    def when_ready() -> None:
        with pytest.raises(OSError, match="stop_requested"):
            life.ask_to_stop(signal.SIGTERM)

    await life.run(when_ready)
    assert life.state is DaemonState.STOPPED
