"""The installation in the office: status, reload, restart, backup, retention and refused records are for operators."""

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import msgspec
import pytest
from doubles.data import builders
from doubles.data.records import answered_call, call_id
from doubles.fake_switch import FakeSwitch
from doubles.office import agent, office_on, operator

from vosd.admin.office.audit import ListAudit, list_audit
from vosd.admin.office.installation import (
    MakeBackup,
    NoSuccessorError,
    ReloadConfiguration,
    RestartSwitch,
    ShowStatus,
    make_backup,
    reload_configuration,
    restart_switch,
    show_status,
)
from vosd.admin.office.office import Office
from vosd.admin.office.principal import OperatorsOnlyError, Principal
from vosd.admin.office.retention import (
    CheckArchive,
    ListDrops,
    RunRetention,
    ShowDroppedTotals,
    check_archive,
    list_drops,
    run_retention,
    show_dropped_totals,
)
from vosd.admin.office.spool import (
    BookJournalFile,
    BookRefused,
    ListRefused,
    NoRefusedRecordError,
    ShowRefused,
    book_journal_file,
    book_refused,
    list_refused,
    show_refused,
)
from vosd.admin.retention import RetentionError
from vosd.base.errors import VosError
from vosd.cdr.ports import RejectedRecord
from vosd.control.client import AnswerLostError, DaemonRefusedError
from vosd.control.installation import (
    CatalogueState,
    DatabaseReport,
    GetStatus,
    MachineUse,
    Reload,
    ReloadOutcome,
    Restart,
    Successor,
    SwitchStatus,
)
from vosd.control.money import BookingOutcome, RetryRefused, SalvageJournal
from vosd.control.server import CommandError
from vosd.engine.journal.quarantine import DIRECTORY, Quarantine
from vosd.storage.audit import SqlAudit
from vosd.storage.audit_line import AuditLine, RequestKey
from vosd.storage.database import Database

NOW: Final = 1_790_000_000_000
STATUS: Final = SwitchStatus(
    version="0.1.0",
    node="sw1",
    id="f00",
    configuration="/etc/vosd/vosd.yaml",
    pid=7,
    started_at="2026-03-01T12:00:00.000Z",
    figures={"calls": 2},
    session_refresh_failed={},
    machine=MachineUse(),
    database=DatabaseReport(state="well", lease="this", regressed_at=None, booked_again=0),
    catalogue=CatalogueState(version="abc", loaded_at="2026-03-01T12:00:00.000Z", error=None),
)


@pytest.fixture
def office(database: Database, tmp_path: Path) -> Office:
    accounts = builders.account("south"), builders.account("shop", agent="south")
    return office_on(database, *accounts, now=NOW, socket=tmp_path / "vosd.sock")


def ignore(*_: object) -> None:
    """Take no notice of how far a job is."""


async def audited(office: Office) -> list[tuple[str, str]]:
    return [(line.action, line.subject) for line in await list_audit(office, operator(), ListAudit())][::-1]


async def test_a_reload_and_a_restart_leave_a_line_in_the_audit_if_the_switch_did_it(
    office: Office, tmp_path: Path
) -> None:
    switch = FakeSwitch(tmp_path / "vosd.sock").answers(GetStatus, STATUS).answers(Restart, Successor(7))
    async with switch.answers(Reload, CommandError("the file is bad", ["vosd.yaml:3: sip"])):
        assert await show_status(office, operator(), ShowStatus()) == STATUS
        with pytest.raises(DaemonRefusedError, match="the file is bad"):
            await reload_configuration(office, operator(), ReloadConfiguration())
        assert await audited(office) == []
        switch.answers(Reload, ReloadOutcome("def", []))
        reloaded = await reload_configuration(office, operator(), ReloadConfiguration(is_confirmed=True))
        assert (reloaded.outcome.version, reloaded.unaudited) == ("def", "")
        assert Reload(is_confirmed=True, is_by_operator=True) in switch.asked
        assert (await restart_switch(office, operator(), RestartSwitch())).outcome == STATUS
    assert await audited(office) == [("ReloadConfiguration", "configuration"), ("RestartSwitch", "switch")]


async def test_a_reload_is_done_also_where_the_database_is_away(tmp_path: Path) -> None:
    away = Database(f"sqlite+aiosqlite:///{tmp_path}/nowhere/vosd.db")
    office = office_on(away, now=NOW, socket=tmp_path / "vosd.sock")
    async with FakeSwitch(tmp_path / "vosd.sock").answers(Reload, ReloadOutcome("def", [])):
        reloaded = await reload_configuration(office, operator(), ReloadConfiguration())
    await away.close()
    assert "nowhere" in reloaded.unaudited


async def test_refused_records_are_booked_without_a_running_switch_and_by_one(office: Office, tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / DIRECTORY)
    quarantine.put([RejectedRecord(answered_call(each), "no room") for each in (1, 2)])
    found = await list_refused(office, operator(), ListRefused())
    assert [(each.record.call_id, each.why) for each in found.records] == [(call_id(n), "no room") for n in (1, 2)]
    assert msgspec.json.decode(msgspec.json.encode(found), type=type(found)) == found
    assert (await show_refused(office, operator(), ShowRefused(call_id(2)))).record == answered_call(2)
    with pytest.raises(NoRefusedRecordError):
        await book_refused(office, operator(), BookRefused((call_id(9),)))
    booked = await book_refused(office, operator(), BookRefused((call_id(1),)))
    assert (booked.outcome.booked, booked.unaudited, quarantine.ids()) == ([call_id(1)], "", {call_id(2)})
    switch = FakeSwitch(tmp_path / "vosd.sock").answers(RetryRefused, BookingOutcome([], {call_id(2): "no room"}))
    async with switch.answers(SalvageJournal, BookingOutcome(["a"])):
        assert (await book_refused(office, operator(), BookRefused())).outcome.refused == {call_id(2): "no room"}
        await book_journal_file(office, operator(), BookJournalFile("/old/journal"))
        assert switch.asked == [RetryRefused(), SalvageJournal("/old/journal")]
    assert await audited(office) == [("BookRefused", "spool"), ("BookJournalFile", "spool")]


async def test_bookings_whose_answer_is_lost_leave_a_line_in_the_audit(office: Office, tmp_path: Path) -> None:
    async def go_away(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_unix_server(go_away, tmp_path / "vosd.sock"):
        with pytest.raises(AnswerLostError):
            await book_refused(office, operator(), BookRefused())
        with pytest.raises(AnswerLostError):
            await book_journal_file(office, operator(), BookJournalFile("/old/journal"))
    assert await audited(office) == [("BookRefused", "spool"), ("BookJournalFile", "spool")]


async def test_an_order_whose_giver_is_interrupted_before_the_answer_leaves_a_line_in_the_audit(
    office: Office, tmp_path: Path
) -> None:
    has_it, goes_on = asyncio.Event(), asyncio.Event()

    async def later(_order: Reload) -> ReloadOutcome:
        has_it.set()
        await goes_on.wait()
        return ReloadOutcome("def", [])

    async with FakeSwitch(tmp_path / "vosd.sock").answers(Reload, later):
        request = RequestKey("ann", "k1", "f1")
        keyed = msgspec.structs.replace(operator(), request=request)
        ordered = asyncio.create_task(reload_configuration(office, keyed, ReloadConfiguration()))
        await has_it.wait()
        ordered.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ordered
        goes_on.set()
    assert await audited(office) == [("ReloadConfiguration", "configuration")]
    assert await office.stores.requests.find(request) is None


async def test_an_interruption_waits_until_the_line_of_the_audit_is_written(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes, goes_on = asyncio.Event(), asyncio.Event()
    add = SqlAudit.add

    async def slow(audit: SqlAudit, line: AuditLine) -> None:
        writes.set()
        await goes_on.wait()
        await add(audit, line)

    monkeypatch.setattr(SqlAudit, "add", slow)
    async with FakeSwitch(tmp_path / "vosd.sock").answers(Reload, ReloadOutcome("def", [])):
        ordered = asyncio.create_task(reload_configuration(office, operator(), ReloadConfiguration()))
        await writes.wait()
        ordered.cancel()
        asyncio.get_running_loop().call_soon(goes_on.set)
        with pytest.raises(asyncio.CancelledError):
            await ordered
    assert await audited(office) == [("ReloadConfiguration", "configuration")]


async def test_a_restart_leaves_a_line_in_the_audit_whether_a_successor_answers_or_not(
    office: Office, tmp_path: Path
) -> None:
    switch = FakeSwitch(tmp_path / "vosd.sock").answers(Restart, Successor(8))
    async with switch.answers(GetStatus, CommandError("the successor has no status")):
        with pytest.raises(DaemonRefusedError, match="no status"):
            await restart_switch(office, operator(), RestartSwitch())
    assert await audited(office) == [("RestartSwitch", "switch")]


async def test_a_successor_that_cannot_be_understood_is_not_waited_for(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vosd.control.client.PROTOCOL", 0)
    switch = FakeSwitch(tmp_path / "vosd.sock").answers(GetStatus, STATUS)
    async with switch.answers(Restart, Successor(os.getpid())):
        with pytest.raises(NoSuccessorError, match="has taken over, and is of a version"):
            await restart_switch(office, operator(), RestartSwitch())


async def test_a_successor_that_has_ended_is_not_waited_for(office: Office, tmp_path: Path) -> None:
    successor = await asyncio.create_subprocess_exec("sleep", "60")

    async def killed(_order: GetStatus) -> SwitchStatus:
        if successor.returncode is None:
            successor.kill()
            await successor.wait()
        return STATUS

    switch = FakeSwitch(tmp_path / "vosd.sock").answers(Restart, Successor(successor.pid))
    async with switch.answers(GetStatus, killed):
        with pytest.raises(NoSuccessorError, match="has ended"):
            await restart_switch(office, operator(), RestartSwitch())


async def test_a_restart_into_another_database_leaves_a_line_in_the_audit_of_that_one(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, mistakes = SqlAudit.add, [VosError("database.url: expected the database on which the running switch works")]

    async def refused_first(audit: SqlAudit, line: AuditLine) -> None:
        if mistakes:
            raise mistakes.pop()
        await add(audit, line)

    monkeypatch.setattr(SqlAudit, "add", refused_first)
    async with FakeSwitch(tmp_path / "vosd.sock").answers(Restart, Successor(7)).answers(GetStatus, STATUS):
        assert (await restart_switch(office, operator(), RestartSwitch())).unaudited == ""
    assert await audited(office) == [("RestartSwitch", "switch")]


async def test_a_backup_whose_giver_is_interrupted_appears_and_leaves_a_line_in_the_audit(
    office: Office, tmp_path: Path
) -> None:
    (tmp_path / "vosd.yaml").write_text("node: sw1\n")
    loop, begun, goes_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def hold(_part: float, _count: int) -> None:
        loop.call_soon_threadsafe(begun.set)
        goes_on.wait()

    place = tmp_path / "kept.zip"
    ordered = asyncio.create_task(make_backup(office, operator(), MakeBackup(str(place)), hold))
    await begun.wait()
    ordered.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ordered
    lines = await audited(office)
    goes_on.set()
    await loop.shutdown_default_executor()
    assert lines == [("MakeBackup", "kept.zip")]
    assert place.exists()


async def test_a_backup_is_written_and_described(office: Office, tmp_path: Path) -> None:
    (tmp_path / "vosd.yaml").write_text("node: sw1\n")
    passed: list[int] = []
    made = await make_backup(office, operator(), MakeBackup(str(tmp_path)), lambda _, count: passed.append(count))
    assert (made.manifest.node, made.manifest.database, made.manifest.tables["cdr"], made.manifest.missing) == (
        "sw1",
        "sqlite",
        0,
        (),
    )
    assert made.bytes > 1_000
    assert passed
    assert msgspec.json.decode(msgspec.json.encode(made), type=type(made)) == made


async def test_retention_without_a_time_of_any_records_is_refused_and_says_what_was_dropped(office: Office) -> None:
    with pytest.raises(RetentionError, match="does not say how long records are kept"):
        await run_retention(office, operator(), RunRetention(is_trial=True), ignore)
    assert await list_drops(office, operator(), ListDrops()) == []
    assert await show_dropped_totals(office, operator(), ShowDroppedTotals(by_month=True)) == []


@pytest.mark.parametrize(
    "act",
    [
        lambda office, who: show_status(office, who, ShowStatus()),
        lambda office, who: reload_configuration(office, who, ReloadConfiguration()),
        lambda office, who: restart_switch(office, who, RestartSwitch()),
        lambda office, who: make_backup(office, who, MakeBackup("/"), ignore),
        lambda office, who: run_retention(office, who, RunRetention(), ignore),
        lambda office, who: list_drops(office, who, ListDrops()),
        lambda office, who: show_dropped_totals(office, who, ShowDroppedTotals()),
        lambda office, who: check_archive(office, who, CheckArchive("x")),
        lambda office, who: list_refused(office, who, ListRefused()),
        lambda office, who: show_refused(office, who, ShowRefused("x")),
        lambda office, who: book_refused(office, who, BookRefused()),
        lambda office, who: book_journal_file(office, who, BookJournalFile("/x")),
    ],
)
async def test_an_agent_has_no_business_with_the_installation(
    office: Office, act: Callable[[Office, Principal], Awaitable[object]]
) -> None:
    with pytest.raises(OperatorsOnlyError):
        await act(office, agent("south"))
