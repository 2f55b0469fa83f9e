"""The process that checks changes: a check whose request was given up goes on, and the next one gets its own answer."""

import asyncio
import json
import pickle
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import pytest
from doubles import forked_child
from doubles.migrated import migrated
from doubles.turns import turns

from vosd.catalogue.asked_changes import NOT_UNDERSTOOD, answer_of, asked_in, found_in, question_of
from vosd.catalogue.planned_objects import ChangeCheck, CheckedObjects, ObjectsThen
from vosd.catalogue.problems import ConfigError
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.control.changes import CheckChange
from vosd.daemon import checks as checking
from vosd.daemon.checks import (
    READY_FROM,
    CheckEndedError,
    Checks,
    ChecksForFronts,
    ManyChecksError,
    OtherConfigurationError,
    forked_from,
)
from vosd.daemon.definitions import StoredDefinitions
from vosd.daemon.start import Started, load_at_start
from vosd.processes.channel import LENGTH_BYTES, message
from vosd.processes.child import Child
from vosd.processes.entry import search_path
from vosd.storage.database import Database
from vosd.storage.decks import SqlDecks
from vosd.storage.stored_objects import SqlObjects

CONFIG = Path("vosd.yaml")


class Process:
    """A process beside the API that answers when the test says it; it is its own end of the channel."""

    def __init__(self) -> None:
        self.returncode: int | None = None
        self.has_ended = asyncio.Event()
        self.questions = asyncio.Queue[Any]()
        """Accounts of each question; the whole of one that is bytes."""
        self._answers = asyncio.StreamReader()

    @property
    def child(self) -> Child:
        return Child(self, self._answers, self)  # type: ignore[arg-type]

    def answer(self, answer: object) -> None:
        self.answer_with(pickle.dumps(answer))

    def answer_with(self, answer: bytes) -> None:
        self._answers.feed_data(message(answer))

    def writelines(self, messages: Iterable[bytes]) -> None:
        for each in messages:
            config, asked = pickle.loads(each[LENGTH_BYTES:])
            self.questions.put_nowait((config, asked) if isinstance(asked, bytes) else asked.accounts)

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
    with pytest.raises(CheckEndedError, match=r"took over 0 s, and nothing was changed: try again"):
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


async def test_the_process_of_a_large_configuration_is_ready_before_the_first_check_and_stays(
    processes: Processes,
) -> None:
    small, large = Checks(idle_s=0.0), Checks(idle_s=0.0)
    await small.keep_ready(CONFIG, READY_FROM - 1)
    await large.keep_ready(CONFIG, READY_FROM)
    process = await processes.newest.get()
    config, question = await process.questions.get()
    assert (config, asked_in(question)) == (CONFIG, ChangeCheck([ObjectsThen(0, [], [])], [], earlier=[]))
    first = check(large, "first")
    process.answer_with(answer_of(CheckedObjects({}, {})))
    assert await process.questions.get() == ["first"]
    process.answer(CheckedObjects({}, {}))
    await first
    await turns(10)  # turns in which it would end
    assert (len(processes), process.returncode) == (1, None)
    await small.close()
    await large.close()
    assert process.returncode is not None


async def test_a_process_that_was_forked_at_the_start_reads_nothing_before_the_first_check(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    forked = Process()

    async def adopted(_forked: object) -> Child:
        return forked.child

    monkeypatch.setattr(checking, "adopted", adopted)
    checks = Checks(idle_s=0.0, forked=forked)  # type: ignore[arg-type]
    await checks.keep_ready(CONFIG, READY_FROM - 1)  # one object has gone since it was forked
    first = check(checks, "first")
    assert await forked.questions.get() == ["first"]
    forked.answer(CheckedObjects({}, {}))
    await first
    assert (len(processes), forked.returncode) == (0, None)
    forked.kill()
    second = check(checks, "second")
    (await processes.newest.get()).answer(CheckedObjects({}, {}))
    await second
    await checks.close()


async def test_a_copy_that_cannot_be_watched_is_replaced_by_the_first_check(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def adopted(_forked: object) -> Child:
        raise OSError("too many open files")

    monkeypatch.setattr(checking, "adopted", adopted)
    checks = Checks(forked=Process())  # type: ignore[arg-type]
    await checks.keep_ready(CONFIG, READY_FROM)
    first = check(checks, "first")
    (await processes.newest.get()).answer(CheckedObjects({}, {}))
    await first
    await checks.close()


@pytest.fixture
def started(tmp_path: Path) -> Started:
    """Return a start that has read one object of the database."""
    config = tmp_path / "vosd.yaml"
    config.write_text(f"database: {{url: '{migrated(tmp_path / 'vosd.db')}'}}\nstate_dir: {tmp_path}/state\n")
    shop = ObjectVersion(kind="accounts", name="shop", version=1, body="{}", begins_at=1, made_at=1, operator="ann")

    async def add() -> None:
        database = Database(f"sqlite+aiosqlite:///{tmp_path}/vosd.db")
        await SqlObjects(database).add([shop])
        await database.close()

    asyncio.run(add())
    return load_at_start(config, StoredDefinitions(SqlDecks, SqlObjects).read)


def test_a_copy_of_a_start_is_made_where_its_load_is_what_the_first_check_would_read(
    started: Started, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    monkeypatch.setattr(checking, "ForkedProcess", lambda name, _run: made.append(name) or "a copy")
    monkeypatch.setattr(checking, "can_fork", lambda: True)
    config, unread = tmp_path / "vosd.yaml", started.loaded.stored._replace(unread="away")
    assert forked_from(config, [started]) is None, "it is small"
    monkeypatch.setattr(checking, "READY_FROM", 1)
    others = [
        (Path("vosd.yaml"), started),
        (config, started._replace(wanted=None)),
        (config, started._replace(loaded=replace(started.loaded, stored=unread))),
    ]
    assert [forked_from(path, [each]) for path, each in others] == [None, None, None]
    assert (forked_from(config, [started]), made) == ("a copy", ["vosd.wiring.check_process"])
    monkeypatch.setattr(checking, "can_fork", lambda: False)
    assert forked_from(config, [started]) is None

    def full(*_: object) -> NoReturn:
        raise OSError("no room")

    monkeypatch.setattr(checking, "can_fork", lambda: True)
    monkeypatch.setattr(checking, "ForkedProcess", full)
    assert forked_from(config, [started]) is None


CHECK_OF_A_COPY = """
import asyncio, gc, logging, sys
from pathlib import Path
from vosd.catalogue.planned_objects import ChangeCheck, ObjectsThen
from vosd.config.load import Loaded
from vosd.daemon import checks
from vosd.daemon.definitions import StoredDefinitions
from vosd.daemon.start import load_at_start
from vosd.obs import log
from vosd.storage.decks import SqlDecks
from vosd.storage.stored_objects import SqlObjects

checks.READY_FROM = 1
log.configure("info")
config, current = Path(sys.argv[1]), SqlObjects.current

async def noisy(self, *asked):
    async with self._database.reading():
        logging.getLogger("library").error("a line")
        logging.getLogger("library").error(f"loads: {sum(isinstance(each, Loaded) for each in gc.get_objects())}")
    return await current(self, *asked)

start = [load_at_start(config, StoredDefinitions(SqlDecks, SqlObjects).read)]
SqlObjects.current = noisy
forked = checks.forked_from(config, start)

async def main():
    checking = checks.Checks(forked=forked)
    await checking.keep_ready(config, 1)
    found = await checking.check(config, ChangeCheck([ObjectsThen(0, [], [])]))
    print(found.definitions, checking._child.process.pid == forked.pid)
    await checking.close()

asyncio.run(main())
"""


def test_a_line_of_a_copy_is_on_standard_error_and_not_in_a_file_that_the_check_has_opened(
    started: Started, tmp_path: Path
) -> None:
    """Descriptors 3 to 5 are those that a service manager has kept: the log has the next one, as the check would."""
    inherits = 'exec "$@" 3</dev/null 4</dev/null 5</dev/null'
    command = (sys.executable, "-c", CHECK_OF_A_COPY, str(tmp_path / "vosd.yaml"))
    done = subprocess.run(
        ("sh", "-c", inherits, "sh", *command),
        env={"PYTHONPATH": search_path()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("1 True\n", 0), done.stderr
    logged = [json.loads(line)["event"] for line in done.stderr.splitlines()]
    assert logged.count("a line") == 1
    assert "loads: 0" in logged, "the start is not kept"
    assert (tmp_path / "vosd.db").read_bytes().startswith(b"SQLite format 3\0")


async def test_a_process_that_ends_before_the_first_check_is_started_by_it(
    checks: Checks, processes: Processes
) -> None:
    await checks.keep_ready(CONFIG, READY_FROM)
    (await processes.newest.get()).kill()
    first = check(checks, "first")
    (await processes.newest.get()).answer(CheckedObjects({}, {}))
    assert await first == CheckedObjects({}, {})


async def test_what_a_front_asks_and_the_process_answers_is_passed_on_as_it_is(
    checks: Checks, processes: Processes, tmp_path: Path
) -> None:
    config, other, link = (tmp_path / name for name in ("vosd.yaml", "other.yaml", "link.yaml"))
    for each in (config, other):
        each.write_text("")
    link.symlink_to(config)
    fronts = ChecksForFronts(config, checks)
    for path in (other, tmp_path / "none.yaml"):
        with pytest.raises(OtherConfigurationError, match="is not the configuration of this switch"):
            await fronts.check(CheckChange(str(path), msgspec.Raw(b"{}")))
    asking = asyncio.create_task(fronts.check(CheckChange(str(link), msgspec.Raw(b'{"what":1}'))))
    process = await processes.newest.get()
    assert await process.questions.get() == (config, b'{"what":1}')
    process.answer_with(b'{"found":2}')
    assert bytes(await asking) == b'{"found":2}'


async def test_few_checks_of_fronts_wait_and_the_others_are_refused_at_once(
    checks: Checks, processes: Processes, tmp_path: Path
) -> None:
    config = tmp_path / "vosd.yaml"
    config.write_text("")
    fronts = ChecksForFronts(config, checks)
    order = CheckChange(str(config), msgspec.Raw(b"{}"))
    asking = [asyncio.create_task(fronts.check(order)) for _ in range(1 + checking.WAITING_MAX)]
    process = await processes.newest.get()
    await process.questions.get()
    with pytest.raises(ManyChecksError) as refused:
        await fronts.check(order)
    assert refused.value.code == "busy"
    asking[1].cancel()
    await asyncio.wait({asking[1]})
    asking[1] = asyncio.create_task(fronts.check(order))
    for _ in asking:
        process.answer_with(b'{"found":2}')
    assert [bytes(each) for each in await asyncio.gather(*asking)] == [b'{"found":2}'] * len(asking)
    assert len(processes) == 1


async def test_a_process_answers_in_the_form_of_the_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "started", forked_child.started)
    config = tmp_path / "vosd.yaml"
    config.write_text(f"database: {{url: '{migrated(tmp_path / 'vosd.db')}'}}\nstate_dir: {tmp_path}/state\n")
    keys = '{"currency":"EUR"}'
    shop = ObjectVersion(kind="accounts", name="shop", version=1, body=keys, begins_at=1, made_at=1, operator="ann")
    asked = ChangeCheck([ObjectsThen(1, [shop], [])], ["shop"])
    bad = ChangeCheck([ObjectsThen(1, [msgspec.structs.replace(shop, body='{"currency":"x"}')], [])])
    checks = Checks()
    try:
        found = await checks.check(config, asked)
        assert found.accounts.keys() == {"shop"}
        assert found_in(await checks.answer(config, question_of(asked))) == found
        assert await checks.answer(config, b'{"program":"0.0.1","check":0}') == NOT_UNDERSTOOD
        with pytest.raises(ConfigError) as refused:
            await checks.check(config, bad)
        with pytest.raises(ConfigError) as refused_apart:
            found_in(await checks.answer(config, question_of(bad)))
        assert refused_apart.value.problems == refused.value.problems
    finally:
        await checks.close()
