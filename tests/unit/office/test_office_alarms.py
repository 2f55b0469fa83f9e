"""Alarms, the dynamic blacklist and sources that are locked out, in the office."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from doubles.data import builders
from doubles.fake_switch import FakeSwitch
from doubles.office import agent, office_on, operator

from vosd.admin.office.alarms import (
    CallerNotRefusedError,
    NoSuchAlarmError,
    NoteAlarm,
    clear_blacklist,
    confirm_alarm,
    list_alarms,
    list_blacklist,
    list_locked_out,
    unblock_source,
)
from vosd.admin.office.office import Office
from vosd.admin.office.principal import OperatorsOnlyError, OrderError
from vosd.admin.office.reports import list_scheduled_reports
from vosd.control.installation import (
    AlarmList,
    AlarmRow,
    ConfirmAlarm,
    ConfirmedAlarm,
    ListAlarms,
    ListScheduledReports,
)
from vosd.control.peers import ClearBlacklist, ClearedCallers, ListBlacklist, ListLockedOut, Unblock, UnblockOutcome
from vosd.storage.database import Database

NOW = 1_790_000_000_000
ACCOUNTS = (builders.account("south"), builders.account("shop", agent="south"))


ALARM = AlarmRow("gateway_down", "a", "warning", "2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z", 1, "", "call it", None)


@pytest.fixture
def office(database: Database, tmp_path: Path) -> Office:
    return office_on(database, *ACCOUNTS, now=NOW, socket=tmp_path / "vosd.sock")


@pytest.fixture
async def switch(tmp_path: Path) -> AsyncIterator[FakeSwitch]:
    switch = (
        FakeSwitch(tmp_path / "vosd.sock")
        .answers(ListAlarms, AlarmList([], 0))
        .answers(ListBlacklist, [])
        .answers(ConfirmAlarm, lambda order: ConfirmedAlarm(ALARM if order.subject == "a" else None))
        .answers(ListLockedOut, [])
        .answers(ListScheduledReports, [])
        .answers(ClearBlacklist, lambda order: ClearedCallers(order.number, 0 if order.number == "7" else 2))
        .answers(Unblock, lambda order: UnblockOutcome(order.address, order.address == "192.0.2.1"))
    )
    async with switch:
        yield switch


async def test_callers_and_sources_that_are_let_in_again_leave_a_line_in_the_audit(
    office: Office, switch: FakeSwitch
) -> None:
    assert (await clear_blacklist(office, operator(), ClearBlacklist("1001"))).outcome.cleared == 2
    await clear_blacklist(office, operator("bob"), ClearBlacklist())
    assert (await unblock_source(office, operator(), Unblock("192.0.2.1"))).unaudited == ""
    for act, order in ((clear_blacklist, ClearBlacklist("7")), (unblock_source, Unblock("192.0.2.9"))):
        with pytest.raises(CallerNotRefusedError, match="not"):
            await act(office, operator(), order)
    lines = reversed(await office.stores.audit.newest(9))
    assert [(line.principal, line.action, line.subject) for line in lines] == [
        ("ann", "ClearBlacklist", "1001"),
        ("bob", "ClearBlacklist", "blacklist"),
        ("ann", "Unblock", "192.0.2.1"),
    ]


@pytest.mark.parametrize(
    ("act", "order"),
    [
        (list_alarms, ListAlarms()),
        (list_blacklist, ListBlacklist()),
        (clear_blacklist, ClearBlacklist()),
        (list_locked_out, ListLockedOut()),
        (list_scheduled_reports, ListScheduledReports()),
        (unblock_source, Unblock("192.0.2.1")),
        (confirm_alarm, NoteAlarm(alarm="gateway_down", subject="a")),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
async def test_agents_are_not_asked_about_the_whole_switch(
    office: Office, switch: FakeSwitch, act: Any, order: Any
) -> None:
    with pytest.raises(OperatorsOnlyError, match="agent south"):
        await act(office, agent("south"), order)
    assert switch.asked == []
    await act(office, operator(), order)


async def test_an_alarm_is_confirmed_by_name_and_leaves_a_line_in_the_audit(office: Office, switch: FakeSwitch) -> None:
    order = NoteAlarm(alarm="gateway_down", subject="a", note="the vendor knows", until=NOW + 1)
    assert (await confirm_alarm(office, operator("bob"), order)).outcome == ALARM
    (asked,) = switch.asked
    assert (asked.by, asked.note, asked.silent_until_ms) == ("bob", "the vendor knows", NOW + 1)
    with pytest.raises(NoSuchAlarmError, match="no alarm gateway_down b holds"):
        await confirm_alarm(office, operator(), NoteAlarm(alarm="gateway_down", subject="b"))
    with pytest.raises(OrderError, match="has passed"):
        await confirm_alarm(office, operator(), NoteAlarm(alarm="gateway_down", until=NOW))
    (line,) = await office.stores.audit.newest(9)
    assert (line.principal, line.action, line.subject) == ("bob", "NoteAlarm", "gateway_down a")


async def test_an_alarm_that_does_not_hold_for_the_subject_is_refused_with_those_that_it_holds_for(
    office: Office, switch: FakeSwitch
) -> None:
    others = [msgspec.structs.replace(ALARM, subject=each) for each in ("a", "b")]
    switch.answers(ListAlarms, AlarmList([*others, msgspec.structs.replace(ALARM, alarm="asr_low", subject="x")], 0))
    for order in (NoteAlarm(alarm="gateway_down"), NoteAlarm(alarm="gateway_down", subject="c")):
        with pytest.raises(NoSuchAlarmError) as refused:
            await confirm_alarm(office, operator(), order)
        assert str(refused.value) == (
            f"no alarm gateway_down with the subject {order.subject!r} holds; give one of 'a', 'b'"
        )
    assert await office.stores.audit.newest(9) == []


async def test_orders_that_name_no_address_or_number_are_refused_without_a_switch(office: Office) -> None:
    with pytest.raises(OrderError, match="expected an IP address"):
        await unblock_source(office, operator(), Unblock("10.0.0.0/8"))
    for number in ("+", "+-", "(-)"):
        with pytest.raises(OrderError, match="expected a calling number"):
            await clear_blacklist(office, operator(), ClearBlacklist(number))
