"""Trunks and phones in the office: operators see them, as written and as they run."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from doubles.data import builders
from doubles.fake_switch import FakeSwitch
from doubles.office import agent, customer, office_on, operator

from vosd.admin.office.audit import ListAudit, list_audit
from vosd.admin.office.office import Office
from vosd.admin.office.principal import OperatorsOnlyError, Principal
from vosd.admin.office.trunks import (
    NoSuchTrunkError,
    NotRegisteredError,
    ShowTrunk,
    forget_registration,
    list_gateways,
    list_registrations,
    retry_registration,
    show_trunk,
)
from vosd.control.client import NoDaemonError
from vosd.control.peers import (
    ForgetRegistration,
    GatewayRow,
    InboundRow,
    ListGateways,
    ListRegistrations,
    ListRegistrationsOf,
    OutboundRow,
    RetryRegistration,
)
from vosd.storage.database import Database

NOW = 1_790_000_000_000
ROW = GatewayRow("7001", "mapping", "up", None, None, None, 1, None, 2, 1, 50.0, 3.0, 100, None, None)


@pytest.fixture
def office(database: Database, tmp_path: Path) -> Office:
    return office_on(
        database,
        builders.account("south"),
        builders.account("shop", agent="south"),
        now=NOW,
        socket=tmp_path / "vosd.sock",
    )


@pytest.mark.parametrize(
    ("use_case", "order"),
    [
        (list_gateways, ListGateways()),
        (show_trunk, ShowTrunk("7001")),
        (forget_registration, ForgetRegistration("7001")),
        (retry_registration, RetryRegistration("carrier")),
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
    with pytest.raises(NoSuchTrunkError, match=r"a gateway or phone 'other'.*vosd definitions list"):
        await show_trunk(office, operator(), ShowTrunk("other"))
    async with FakeSwitch(tmp_path / "vosd.sock").answers(ListGateways, [ROW]):
        assert (await show_trunk(office, operator(), ShowTrunk("7001"))).running == [ROW]
        assert await list_gateways(office, operator(), ListGateways()) == [ROW]


async def test_registrations_are_those_of_the_running_switch(office: Office, tmp_path: Path) -> None:
    with pytest.raises(NoDaemonError):
        await list_registrations(office, operator(), ListRegistrations())
    async with FakeSwitch(tmp_path / "vosd.sock").answers(ListRegistrations, []):
        assert await list_registrations(office, operator(), ListRegistrations()) == []


async def test_a_registration_with_a_vendor_is_asked_for_by_name_with_a_line_in_the_audit(
    office: Office, tmp_path: Path
) -> None:
    row = OutboundRow("carrier", "gateway", "refused", "sip:v", "u", None, None, None, "2026-11-30T09:00:05Z", 3, 404)
    async with FakeSwitch(tmp_path / "vosd.sock").answers(RetryRegistration, None):
        with pytest.raises(NotRegisteredError, match="does not register for other"):
            await retry_registration(office, operator(), RetryRegistration("other"))
    async with FakeSwitch(tmp_path / "vosd.sock").answers(RetryRegistration, row):
        assert (await retry_registration(office, operator(), RetryRegistration("carrier"))).outcome == row
    (line,) = await list_audit(office, operator(), ListAudit())
    assert (line.action, line.subject) == ("RetryRegistration", "carrier")


async def test_an_agent_and_a_customer_see_the_registrations_of_their_own_phones(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = [builders.account("south"), builders.account("shop", agent="south"), builders.account("other")]
    database, socket = Database(url), tmp_path / "vosd.sock"
    payers = {"7001": "shop", "7002": "other", "7003": "south"}
    office = office_on(database, *accounts, now=NOW, socket=socket, payers=payers)
    phones = [
        InboundRow(name, "phone", "registered", "sip:x", "192.0.2.1:5060", "udp", [], 1.0, None, "", "")
        for name in ("7001", "7002", "7003", "7004")
    ]
    vendor = OutboundRow("7001", "gateway", "registered", "sip:v", "u", None, None, None, None, 0, None)
    switch = FakeSwitch(socket).answers(ListRegistrations, [vendor, *phones[::-1]])
    async with switch.answers(ListRegistrationsOf, phones[::-1]):
        for who, seen in (
            (agent("south"), ["7001", "7003"]),
            (customer("shop"), ["7001"]),
            (customer("other"), ["7002"]),
        ):
            found = await list_registrations(office, who, ListRegistrations("sip"))
            assert [each.name for each in found] == seen, "also where the switch tells more"
            assert switch.asked.pop() == ListRegistrationsOf(frozenset(seen), "sip")
            with monkeypatch.context() as names_at_most:
                names_at_most.setattr("vosd.control.order.NAMES_MAX", 0)
                assert await list_registrations(office, who, ListRegistrations("sip")) == found
            assert switch.asked.pop() == ListRegistrations("sip")
        assert await list_registrations(office, operator(), ListRegistrations()) == [vendor, *phones[::-1]]
        assert switch.asked == [ListRegistrations()]
    await database.close()
