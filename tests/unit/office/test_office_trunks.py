"""Trunks and phones in the office: operators see them and lift what the switch refuses, and the audit has it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from doubles.data import builders
from doubles.fake_switch import FakeSwitch
from doubles.migrated import migrated
from doubles.office import agent, office_on, operator

from vosd.admin.office.audit import ListAudit, list_audit
from vosd.admin.office.errors import OrderError
from vosd.admin.office.office import Office
from vosd.admin.office.principal import Principal
from vosd.admin.office.scope import OperatorsOnlyError
from vosd.admin.office.trunks import (
    AcceptCallers,
    ListAllRegistrations,
    ListRefusedCallers,
    ListRefusedSources,
    ListTrunks,
    NoSuchTrunkError,
    NotRefusedNowError,
    ShowTrunk,
    UnblockSource,
    accept_callers,
    list_all_registrations,
    list_refused_callers,
    list_refused_sources,
    list_trunks,
    show_trunk,
    unblock_source,
)
from vosd.control.client import NoDaemonError
from vosd.control.peers import (
    ClearBlacklist,
    ClearedCallers,
    GatewayRow,
    ListBlacklist,
    ListGateways,
    ListLockedOut,
    ListRegistrations,
    Unblock,
    UnblockOutcome,
)
from vosd.storage.database import Database

NOW = 1_790_000_000_000
ROW = GatewayRow("7001", "mapping", "up", None, None, None, 1, None, 2, 1, 50.0, 3.0, 100, None, None)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    database = Database(migrated(tmp_path / "vosd.db"))
    yield office_on(
        database,
        builders.account("south"),
        builders.account("shop", agent="south"),
        now=NOW,
        socket=tmp_path / "vosd.sock",
    )
    await database.close()


async def audited(office: Office) -> list[tuple[str, str]]:
    return [(line.action, line.subject) for line in await list_audit(office, operator(), ListAudit())][::-1]


@pytest.mark.parametrize(
    ("use_case", "order"),
    [
        (list_trunks, ListTrunks()),
        (show_trunk, ShowTrunk("7001")),
        (list_all_registrations, ListAllRegistrations()),
        (list_refused_sources, ListRefusedSources()),
        (unblock_source, UnblockSource("192.0.2.1")),
        (list_refused_callers, ListRefusedCallers()),
        (accept_callers, AcceptCallers()),
    ],
)
async def test_trunks_and_phones_are_for_operators(
    office: Office, use_case: Callable[[Office, Principal, msgspec.Struct], Awaitable[object]], order: msgspec.Struct
) -> None:
    assert msgspec.json.decode(msgspec.json.encode(order), type=type(order)) == order
    with pytest.raises(OperatorsOnlyError):
        await use_case(office, agent("south"), order)


async def test_a_phone_is_shown_as_written_and_as_it_runs(office: Office, tmp_path: Path) -> None:
    sheet = await show_trunk(office, operator(), ShowTrunk("7001"))
    assert ([each.list for each in sheet.defined], sheet.running) == (["phones"], None)
    with pytest.raises(NoSuchTrunkError, match="no gateway or phone 'other'"):
        await show_trunk(office, operator(), ShowTrunk("other"))
    async with FakeSwitch(tmp_path / "vosd.sock").answers(ListGateways, [ROW]):
        assert (await show_trunk(office, operator(), ShowTrunk("7001"))).running == [ROW]
        assert await list_trunks(office, operator(), ListTrunks()) == [ROW]


async def test_lists_are_those_of_the_running_switch(office: Office, tmp_path: Path) -> None:
    with pytest.raises(NoDaemonError):
        await list_all_registrations(office, operator(), ListAllRegistrations())
    switch = FakeSwitch(tmp_path / "vosd.sock").answers(ListRegistrations, []).answers(ListLockedOut, [])
    async with switch.answers(ListBlacklist, []):
        assert await list_all_registrations(office, operator(), ListAllRegistrations()) == []
        assert await list_refused_sources(office, operator(), ListRefusedSources()) == []
        assert await list_refused_callers(office, operator(), ListRefusedCallers()) == []


async def test_who_lifts_what_the_switch_refuses_stands_in_the_audit(office: Office, tmp_path: Path) -> None:
    switch = FakeSwitch(tmp_path / "vosd.sock")
    switch.answers(Unblock, lambda order: UnblockOutcome(order.address, unblocked=order.address == "2001:db8::"))
    switch.answers(ClearBlacklist, lambda order: ClearedCallers(order.number, int(order.number != "7")))
    async with switch:
        assert (await unblock_source(office, operator(), UnblockSource("2001:DB8::9/64"))).outcome.unblocked
        assert (await accept_callers(office, operator(), AcceptCallers("1001"))).unaudited == ""
        with pytest.raises(NotRefusedNowError):
            await unblock_source(office, operator(), UnblockSource("192.0.2.1"))
        with pytest.raises(NotRefusedNowError):
            await accept_callers(office, operator(), AcceptCallers("7"))
    assert await audited(office) == [("UnblockSource", "2001:db8::"), ("AcceptCallers", "1001")]


async def test_orders_that_name_no_address_or_number_are_refused_without_a_switch(office: Office) -> None:
    with pytest.raises(OrderError, match="expected an IP address"):
        await unblock_source(office, operator(), UnblockSource("10.0.0.0/8"))
    with pytest.raises(OrderError, match="expected a calling number"):
        AcceptCallers("+")
