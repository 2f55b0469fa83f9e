"""Versions that begin later: what each will change, in which order, and what calls one off."""

from pathlib import Path
from typing import Any, Final

import pytest
from doubles.data import builders
from doubles.office import agent, office_on, operator

from vosd.admin.names import UnknownNameError
from vosd.admin.office.definitions import EndObject, RevertObject, SetObjects, end_object, revert_object, set_objects
from vosd.admin.office.office import Office
from vosd.admin.office.planned_change import WantedObject
from vosd.admin.office.planned_versions import ListPlanned, list_planned
from vosd.admin.office.principal import OperatorsOnlyError
from vosd.admin.office.reconciliations import ListReconciliations, list_reconciliations
from vosd.admin.office.records import ListRecords, list_records
from vosd.admin.office.reports import ShowReport, show_report
from vosd.admin.office.why import ExplainCalls, explain_calls
from vosd.catalogue.stored_objects import BadObjectError
from vosd.storage.database import Database

NOW: Final = 1_790_000_000_000
SOON, LATER = NOW + 60_000, NOW + 120_000


@pytest.fixture
def office(database: Database, tmp_path: Path) -> Any:
    return office_on(
        database,
        builders.account("south"),
        builders.account("below", agent="south"),
        now=NOW,
        socket=tmp_path / "vosd.sock",
    )


async def set_object(office: Office, kind: str, name: str, keys: Any, at: int | None = None) -> None:
    order = SetObjects(objects=(WantedObject(kind, name, keys),), at=at, memo="ticket 4711")
    await set_objects(office, operator("ann"), order)


async def listed(office: Office, kind: str | None = None) -> list[tuple[Any, ...]]:
    found = await list_planned(office, operator(), ListPlanned(kind))
    return [(each.name, each.version, each.replaces, each.defined, each.keys) for each in found]


async def test_planned_versions_are_listed_by_their_moment_with_what_each_will_change(office: Office) -> None:
    assert await listed(office) == []
    await set_object(office, "accounts", "shop", {"currency": "USD"})
    await set_object(office, "accounts", "shop", {"currency": "USD", "overdraft_limit": "5"}, LATER)
    await set_object(office, "accounts", "shop", {"currency": "USD", "overdraft_limit": "3"}, SOON)
    await set_object(office, "phones", "7001", {"account": "south", "password": "very-Secret-word"}, SOON)
    found = await list_planned(office, operator(), ListPlanned())
    assert [(each.begins_at, each.kind, each.name) for each in found] == [
        ("2026-09-21T14:14:20.000Z", "accounts", "shop"),
        ("2026-09-21T14:14:20.000Z", "phones", "7001"),
        ("2026-09-21T14:15:20.000Z", "accounts", "shop"),
    ]
    assert {(each.operator, each.memo) for each in found} == {("ann", "ticket 4711")}
    assert await listed(office) == [
        ("shop", 3, 1, True, {"overdraft_limit": (None, "3")}),
        ("7001", 1, None, True, {"account": (None, "south"), "password": (None, "(hidden)")}),
        ("shop", 2, 3, True, {"overdraft_limit": ("3", "5")}),
    ]
    assert [name for name, *_ in await listed(office, "phones")] == ["7001"]


async def found(office: Office, account: str | None, gateway: str | None = None) -> list[object]:
    """Return what is found by the name of an account or a gateway, in each list that has calls."""
    who = operator()
    report = await show_report(office, who, ShowReport(name="revenue", account=account, gateway=gateway))
    why = await explain_calls(office, who, ExplainCalls(account=account, gateway=gateway))
    records = list_records(office, who, ListRecords(account=account, gateway=gateway))
    return [*report.rows, *why.running, *why.ended, *[each async for each in records]]


async def test_lists_of_calls_know_names_that_begin_later(office: Office) -> None:
    """They are empty, as those of a new account; a mistyped name is refused."""
    await set_object(office, "accounts", "shop", {"currency": "USD"}, LATER)
    phone = {"account": "south", "password": "very-Secret-word"}
    await set_object(office, "phones", "7001", phone, LATER)
    assert await found(office, "shop") == await found(office, None, "7001") == []
    assert await list_reconciliations(office, operator(), ListReconciliations(account="shop")) == []
    with pytest.raises(UnknownNameError, match="no account 'shap'"):
        await found(office, "shap")
    with pytest.raises(UnknownNameError, match="no gateway '7002'"):
        await found(office, None, "7002")


async def test_a_planned_version_is_called_off_by_the_one_that_it_replaces_for_the_same_moment(office: Office) -> None:
    await set_object(office, "accounts", "shop", {"currency": "USD"})
    await end_object(office, operator(), EndObject(kind="accounts", name="shop", at=SOON))
    await set_object(office, "accounts", "new", {"currency": "EUR"}, SOON)
    assert await listed(office) == [
        ("new", 1, None, True, {"currency": (None, "EUR")}),
        ("shop", 2, 1, False, {"currency": ("USD", None)}),
    ]
    await revert_object(office, operator(), RevertObject(kind="accounts", name="shop", version=1, at=SOON))
    await end_object(office, operator(), EndObject(kind="accounts", name="new", at=SOON))
    assert await listed(office) == [("new", 2, None, False, {}), ("shop", 3, 1, True, {})]


async def test_the_list_is_for_operators_and_for_kinds_that_there_are(office: Office) -> None:
    with pytest.raises(OperatorsOnlyError):
        await list_planned(office, agent("south"), ListPlanned())
    with pytest.raises(BadObjectError, match="'account' is no kind of object"):
        await list_planned(office, operator(), ListPlanned("account"))
