"""Trunks and phones in the office: operators see them, as written and as they run."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from doubles.data import builders
from doubles.fake_switch import FakeSwitch
from doubles.migrated import migrated
from doubles.office import agent, office_on, operator

from vosd.admin.office.office import Office
from vosd.admin.office.principal import Principal
from vosd.admin.office.scope import OperatorsOnlyError
from vosd.admin.office.trunks import NoSuchTrunkError, ShowTrunk, list_gateways, list_registrations, show_trunk
from vosd.control.client import NoDaemonError
from vosd.control.peers import GatewayRow, ListGateways, ListRegistrations
from vosd.storage.database import Database

NOW = 1_790_000_000_000
ROW = GatewayRow("7001", "mapping", "up", None, None, None, 1, None, 2, 1, 50.0, 3.0, 100, None, None)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return migrated(tmp_path / "vosd.db")


@pytest.fixture
async def office(url: str, tmp_path: Path) -> AsyncIterator[Office]:
    database = Database(url)
    yield office_on(
        database,
        builders.account("south"),
        builders.account("shop", agent="south"),
        now=NOW,
        socket=tmp_path / "vosd.sock",
    )
    await database.close()


@pytest.mark.parametrize(
    ("use_case", "order"),
    [
        (list_gateways, ListGateways()),
        (show_trunk, ShowTrunk("7001")),
        (list_registrations, ListRegistrations()),
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
        assert await list_gateways(office, operator(), ListGateways()) == [ROW]


async def test_registrations_are_those_of_the_running_switch(office: Office, tmp_path: Path) -> None:
    with pytest.raises(NoDaemonError):
        await list_registrations(office, operator(), ListRegistrations())
    async with FakeSwitch(tmp_path / "vosd.sock").answers(ListRegistrations, []):
        assert await list_registrations(office, operator(), ListRegistrations()) == []
