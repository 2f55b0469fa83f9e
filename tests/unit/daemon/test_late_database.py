"""A database that comes up after the switch is waited for; what waiting does not mend is not."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from doubles.service_manager import ServiceManager
from doubles.turns import turns
from structlog.testing import capture_logs

from vosd.cdr.ports import StoreUnavailable
from vosd.daemon import waiting
from vosd.daemon.systemd import Notifier
from vosd.daemon.waiting import StillAway, until_database_answers
from vosd.storage.database import Database
from vosd.storage.driver_errors import DatabaseRefusesUs, SchemaOutdated


class LateDatabase:
    """Answers after so many attempts, or fails for another reason then."""

    def __init__(self, attempts: int, then: Callable[[], None] = lambda: None) -> None:
        self.attempts = attempts
        self._then = then

    async def check(self) -> None:
        if self.attempts:
            self.attempts -= 1
            raise StoreUnavailable("cannot reach it")
        self._then()


async def test_an_unreachable_database_is_tried_until_it_answers_and_logged_once() -> None:
    database = LateDatabase(50)
    with capture_logs() as log:
        await until_database_answers(database.check, Notifier(None), retry_s=0)
    assert database.attempts == 0
    assert [(line["event"], line["part"], line.get("error")) for line in log] == [
        ("database_away", "start", "cannot reach it"),
        ("database_back", "start", None),
    ]


async def test_a_database_that_answers_at_once_is_worth_no_line() -> None:
    with capture_logs() as log:
        await until_database_answers(LateDatabase(0).check, Notifier(None))
    assert log == []


async def test_each_attempt_asks_the_service_manager_for_more_time(tmp_path: Path) -> None:
    manager = ServiceManager(str(tmp_path / "notify"))
    notifier = Notifier(manager.address)
    await until_database_answers(LateDatabase(2).check, notifier, retry_s=0)
    assert manager.heard() == ["EXTEND_TIMEOUT_USEC=60000000\nSTATUS=waiting for the database: cannot reach it"] * 2
    notifier.close()
    manager.close()


async def test_after_its_deadline_a_start_goes_on_without_it() -> None:
    database = LateDatabase(50)
    with pytest.raises(StillAway, match="cannot reach it"):
        await until_database_answers(database.check, Notifier(None), deadline=asyncio.get_running_loop().time())
    assert database.attempts == 49, "one attempt, and no pause"


async def test_an_attempt_that_gets_no_answer_ends_with_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "LEAST_ATTEMPT_S", 0)

    async def check() -> None:
        await asyncio.Event().wait()

    with pytest.raises(StillAway, match="did not answer"):
        await until_database_answers(check, Notifier(None), deadline=asyncio.get_running_loop().time())


async def test_an_attempt_that_reads_much_is_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "LEAST_ATTEMPT_S", 0)
    deadline = asyncio.get_running_loop().time()
    has_read: list[bool] = []

    async def check() -> None:
        await turns(10)  # turns of the event loop, the deadline is over
        has_read.append(True)

    await until_database_answers(check, Notifier(None), deadline=deadline, reads_much=True)
    assert has_read


async def test_what_waiting_does_not_mend_ends_the_wait() -> None:
    def outdated() -> None:
        raise SchemaOutdated("run vosd migrate")

    with pytest.raises(SchemaOutdated, match="run vosd migrate"):
        await until_database_answers(LateDatabase(1, outdated).check, Notifier(None), retry_s=0)


async def test_a_file_in_a_directory_that_is_not_there_is_not_waited_for(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/nowhere/vosd.db")
    with pytest.raises(DatabaseRefusesUs, match="does the directory exist"):
        await database.check_schema()
    await database.close()
