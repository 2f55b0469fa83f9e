"""A database that goes away in the middle of a start is waited for, whichever step it was at."""

import asyncio
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pytest
from doubles.migrated import migrated
from doubles.steps import begin_nothing, up_to
from structlog.testing import capture_logs

from vosd.cdr.lease import Claimant, DatabaseState, LeaseHeld
from vosd.cdr.ports import StoreUnavailable
from vosd.config.assembly.remembered import Remembered
from vosd.config.load import load
from vosd.daemon import bootstrap
from vosd.daemon.bootstrap import Daemon
from vosd.daemon.start import Started
from vosd.daemon.systemd import Notifier
from vosd.daemon.waiting import until_database_answers
from vosd.engine.booking.database_watch import Condition
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database
from vosd.storage.lease import SqlLease
from vosd.storage.registrations import SqlRegistrations
from vosd.storage.separate_books import SeparateBooks


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Daemon:
    url = migrated(tmp_path / "vosd.db")
    file = tmp_path / "vosd.yaml"
    file.write_text(
        f"sip: {{listen: ['udp:127.0.0.1:14077']}}\ndatabase: {{url: '{url}'}}\nstate_dir: {tmp_path}/var\n"
        f"control_socket: {tmp_path}/vosd.sock\naccounts: [{{id: acme}}]\n"
    )
    monkeypatch.setattr(SeparateBooks, "start", begin_nothing)
    monkeypatch.setattr(bootstrap, "until_database_answers", partial(until_database_answers, retry_s=0))
    return Daemon(file, Started(load(file), Remembered()), Notifier(None))


async def start_to_the_switch(daemon: Daemon) -> list[Mapping[str, object]]:
    """Start all that comes before the listeners; return what the log said."""
    steps = up_to(daemon, "switch")
    assert steps[-1].name == "switch"
    with capture_logs() as log:
        for step in steps:
            await step.start()
        assert daemon.service.balances.credits["acme"].is_read
    return log


async def stop(daemon: Daemon) -> None:
    for step in reversed(up_to(daemon, "switch")):
        await step.stop()


@pytest.mark.parametrize(("part", "question"), [(SqlBooks, "open_accounts"), (SqlRegistrations, "load")])
async def test_an_outage_behind_the_lease_is_waited_for(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, part: type, question: str
) -> None:
    failures = iter([StoreUnavailable("cannot reach it")] * 3)
    asked = getattr(part, question)

    async def ask(*arguments: object) -> object:
        for failure in failures:
            raise failure
        return await asked(*arguments)

    monkeypatch.setattr(part, question, ask)
    log = await start_to_the_switch(daemon)
    await stop(daemon)
    told = [(line["event"], line["part"]) for line in log if line["event"].startswith("database_")]
    assert told == [("database_away", "start"), ("database_back", "start")]


async def test_a_start_that_may_goes_on_without_a_database_that_goes_away_behind_the_lease(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unanswered() -> None:
        raise StoreUnavailable("cannot reach it")

    monkeypatch.setattr(daemon.service, "learn", unanswered)
    monkeypatch.setattr(daemon, "_start_without_at", 0.0)
    steps = up_to(daemon, "late database")
    for step in steps:
        await step.start()
        if step.name == "switch":
            assert daemon.service.database.condition is Condition.AWAY
    (late,) = daemon._late._tasks._tasks
    await asyncio.wait_for(late, 30)
    assert daemon.service.database.condition is Condition.WELL
    for step in reversed(steps):
        await step.stop()
    database = Database(f"sqlite+aiosqlite:///{daemon._settings.state_dir.parent}/vosd.db")
    async with database.reading() as connection:
        assert (await connection.exec_driver_sql("SELECT epoch FROM lease")).scalar() == 1, "taken once"
    await database.close()


async def test_a_lease_whose_answer_was_lost_is_taken_once(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would look as if another switch had run meanwhile, whose registrations are newer."""
    failures, hold = iter([StoreUnavailable("the connection was lost")]), SqlLease.hold

    async def hold_unanswered(lease: SqlLease, claimant: Claimant) -> DatabaseState:
        state = await hold(lease, claimant)
        for failure in failures:
            raise failure
        assert state.epoch == 1
        return state

    monkeypatch.setattr(SqlLease, "hold", hold_unanswered)
    await start_to_the_switch(daemon)
    await stop(daemon)


async def test_a_switch_that_took_the_lease_meanwhile_keeps_this_one_from_taking_calls(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = iter([StoreUnavailable("cannot reach it")])
    open_accounts = SqlBooks.open_accounts

    async def ask(books: SqlBooks, *asked: object) -> None:
        for failure in failures:
            monkeypatch.setattr(SqlLease, "hold", taken_by_another)
            raise failure
        await open_accounts(books, *asked)

    async def taken_by_another(_lease: SqlLease, claimant: object) -> None:
        raise LeaseHeld("another switch has it", claimant)

    monkeypatch.setattr(SqlBooks, "open_accounts", ask)
    log = await start_to_the_switch(daemon)
    assert (daemon.service.database.condition, daemon.service.database.refuses_calls) == (Condition.LEASE_LOST, True)
    assert "lease_lost" in [line["event"] for line in log]
    await stop(daemon)
