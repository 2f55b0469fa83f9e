"""The process that checks changes: a check whose request was given up goes on, and the next one gets its own answer."""

import asyncio
import pickle
from collections.abc import AsyncIterator, Collection, Iterable
from pathlib import Path

import pytest

from vosd.api import checks as checking
from vosd.api.checks import CheckEndedError, Checks
from vosd.catalogue.planned_objects import ChangeCheck, CheckedObjects
from vosd.catalogue.problems import ConfigError
from vosd.processes.channel import LENGTH_BYTES, message
from vosd.processes.child import Child

CONFIG = Path("vosd.yaml")


class Process:
    """A process beside the API that answers when the test says it; it is its own end of the channel."""

    def __init__(self) -> None:
        self.returncode: int | None = None
        self.has_ended = asyncio.Event()
        self.questions = asyncio.Queue[Collection[str]]()
        """Accounts of each question."""
        self._answers = asyncio.StreamReader()

    @property
    def child(self) -> Child:
        return Child(self, self._answers, self)  # type: ignore[arg-type]

    def answer(self, answer: object) -> None:
        self._answers.feed_data(message(pickle.dumps(answer)))

    def writelines(self, messages: Iterable[bytes]) -> None:
        for each in messages:
            self.questions.put_nowait(pickle.loads(each[LENGTH_BYTES:])[1].accounts)

    def is_closing(self) -> bool:
        return self.returncode is not None

    def close(self) -> None:
        """Do nothing: it is killed."""

    def kill(self) -> None:
        self.returncode = -9
        self.has_ended.set()
        self._answers.feed_eof()

    async def wait(self) -> int:
        assert self.returncode is not None
        return self.returncode


class Processes(list[Process]):
    """Those that were started."""

    def __init__(self) -> None:
        super().__init__()
        self.newest = asyncio.Queue[Process]()

    async def start(self, _module: str) -> Child:
        self.append(Process())
        self.newest.put_nowait(self[-1])
        return self[-1].child


@pytest.fixture
async def processes(monkeypatch: pytest.MonkeyPatch) -> Processes:
    processes = Processes()
    monkeypatch.setattr(checking, "started", processes.start)
    return processes


@pytest.fixture
async def checks() -> AsyncIterator[Checks]:
    checks = Checks()
    yield checks
    await checks.close()


def check(checks: Checks, name: str) -> asyncio.Task[CheckedObjects]:
    return asyncio.create_task(checks.check(CONFIG, ChangeCheck((), [name])))


async def give_up(check: asyncio.Task[CheckedObjects]) -> None:
    check.cancel()
    with pytest.raises(asyncio.CancelledError):
        await check


async def test_a_check_that_was_given_up_goes_on_and_the_next_one_gets_its_own_answer(
    checks: Checks, processes: Processes
) -> None:
    first = check(checks, "first")
    process = await processes.newest.get()
    assert await process.questions.get() == ["first"]
    await give_up(first)
    second = check(checks, "second")
    process.answer(CheckedObjects({}, {"first": "USD"}))
    assert await process.questions.get() == ["second"]
    process.answer(CheckedObjects({}, {"second": "EUR"}))
    assert (await second).currencies == {"second": "EUR"}
    assert (len(processes), process.returncode) == (1, None)


async def test_a_check_that_waits_for_one_that_was_given_up_can_be_given_up_too(
    checks: Checks, processes: Processes
) -> None:
    first = check(checks, "first")
    process = await processes.newest.get()
    await process.questions.get()
    await give_up(first)
    second = check(checks, "second")
    await asyncio.sleep(0)
    await give_up(second)
    third = check(checks, "third")
    process.answer(CheckedObjects({}, {}))
    assert await process.questions.get() == ["third"]
    process.answer(ConfigError([]))
    with pytest.raises(ConfigError):
        await third


async def test_a_process_that_ends_is_replaced_by_the_next_check(checks: Checks, processes: Processes) -> None:
    first = check(checks, "first")
    (await processes.newest.get()).kill()
    with pytest.raises(CheckEndedError, match="nothing was changed"):
        await first
    second = check(checks, "second")
    killed = await processes.newest.get()
    await give_up(second)
    killed.kill()
    third = check(checks, "third")
    (await processes.newest.get()).answer(CheckedObjects({}, {}))
    assert await third == CheckedObjects({}, {})


async def test_a_check_that_takes_too_long_ends_the_process(
    checks: Checks, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "CHECK_S", 0.0)
    with pytest.raises(CheckEndedError, match="nothing was changed"):
        await check(checks, "first")
    assert all(each.returncode is not None for each in processes)


async def test_the_process_ends_after_a_while_without_a_check(processes: Processes) -> None:
    checks = Checks(idle_s=0.0)
    first = check(checks, "first")
    process = await processes.newest.get()
    process.answer(CheckedObjects({}, {}))
    await first
    await process.has_ended.wait()
    await checks.close()
