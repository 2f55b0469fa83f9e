"""Routes in the office: imaginary calls, and other routes for stored ones."""

import threading
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from doubles.data import builders
from doubles.data.records import answered_call
from doubles.fake_switch import FakeSwitch
from doubles.migrated import migrated
from doubles.office import agent, office_on, operator

from vosd.admin.names import UnknownNameError
from vosd.admin.office.errors import OrderError
from vosd.admin.office.office import Office
from vosd.admin.office.routes import ExplainCall, SimulateRoutes, explain_call, simulate_routes
from vosd.admin.office.scope import OperatorsOnlyError
from vosd.callcontrol.setup import STEPS
from vosd.catalogue.overrides import Override, Setting, Target
from vosd.control.routes import ExplainRoute, RouteSheet
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database

NOW = 1_790_000_000_000
CALL = ExplainCall(gateway="acme", caller="1202", callee="442079460000")
SPAN = SimulateRoutes(since=0, until=2 * NOW)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return migrated(tmp_path / "vosd.db")


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = Database(url)
    yield database
    await database.close()


@pytest.fixture
def office(database: Database, tmp_path: Path) -> Office:
    accounts = builders.account("south"), builders.account("shop", agent="south")
    return office_on(database, *accounts, now=NOW, socket=tmp_path / "vosd.sock")


def ignored(_calls: int, _began: int) -> None:
    """Take no notice of progress."""


async def test_a_call_shows_how_far_it_has_come(office):
    poor = await explain_call(office, operator(), CALL)
    *before, last = poor.sheet.steps
    assert [each.step for each in (*before, last)] == [each.__name__ for each in STEPS]
    assert ({each.outcome for each in before}, last.outcome) == ({"passed"}, "refused"), "it has no money"
    refused = await explain_call(office, operator(), msgspec.structs.replace(CALL, callee="999999"))
    outcomes = {each.step: each.outcome for each in refused.sheet.steps}
    assert (outcomes["check_account"], outcomes["find_sell_rate"]) == ("passed", "refused")
    assert outcomes["take_hold"] == "not_reached"


async def test_a_call_is_tried_by_another_plan(office):
    with pytest.raises(OrderError, match="there is no such routing plan"):
        await explain_call(office, operator(), msgspec.structs.replace(CALL, plan="missing"))
    with pytest.raises(OrderError, match="by the plan of the gateway"):
        await explain_call(office, operator(), msgspec.structs.replace(CALL, plan="missing", live=True))


async def test_a_call_of_now_is_explained_with_the_overrides_of_now_and_one_of_the_past_with_those_of_then(office):
    found = await explain_call(office, operator(), CALL)
    assert [each.routing_gateway for each in found.sheet.candidates] == ["vendor-0", "vendor-1"]
    assert (found.is_past, found.without_database, found.sheet.not_known) == (False, "", msgspec.UNSET)
    block = Override(Target.ROUTING, "vendor-0", Setting.BLOCKED, "", "ann", NOW - 1_000)
    await office.stores.overrides.put([block], NOW - 1_000)
    blocked = await explain_call(office, operator(), CALL)
    assert [each.routing_gateway for each in blocked.sheet.candidates] == ["vendor-1"]
    before = await explain_call(office, operator(), msgspec.structs.replace(CALL, at=NOW - 2_000))
    assert [each.routing_gateway for each in before.sheet.candidates] == ["vendor-0", "vendor-1"]
    assert before.is_past
    assert "balances" in before.sheet.not_known


async def test_the_configuration_is_loaded_by_a_thread_so_that_the_loop_goes_on(office, monkeypatch):
    loaded, load = [], office.definitions.catalogue

    def noted(*asked):
        loaded.append(threading.current_thread())
        return load(*asked)

    monkeypatch.setattr(office.definitions, "catalogue", noted)
    await explain_call(office, operator(), CALL)
    assert threading.current_thread() not in loaded
    assert len(loaded) == 1


async def test_a_call_is_explained_without_money_while_the_database_is_away(tmp_path):
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/missing/vosd.db")
    found = await explain_call(office_on(database, now=NOW), operator(), CALL)
    assert found.sheet.result == "ok"
    assert "unable to open" in found.without_database
    await database.close()


async def test_the_running_switch_is_asked_about_calls_of_now_alone(office, tmp_path):
    live = msgspec.structs.replace(CALL, live=True)
    with pytest.raises(OrderError, match="calls of now"):
        await explain_call(office, operator(), msgspec.structs.replace(live, at=NOW - 1))
    sheet = (await explain_call(office, operator(), CALL)).sheet
    async with FakeSwitch(tmp_path / "vosd.sock").answers(ExplainRoute, sheet) as switch:
        assert (await explain_call(office, operator(), live)).sheet == sheet
    assert switch.asked == [ExplainRoute(gateway="acme", caller="1202", callee="442079460000")]
    assert isinstance(sheet, RouteSheet)


async def test_stored_calls_are_routed_again_and_an_account_without_calls_has_to_exist(office, database):
    await SqlBooks(database).book([answered_call(1, customer_account="acme", vendor_account="carriers")])
    passed: list[int] = []
    answer = await simulate_routes(office, operator(), SPAN, lambda calls, _began: passed.append(calls))
    assert (answer["calls"], passed) == (1, [1])
    with pytest.raises(UnknownNameError, match="missing"):
        await simulate_routes(office, operator(), msgspec.structs.replace(SPAN, account="missing"), ignored)


@pytest.mark.parametrize(
    ("use", "order", "more"),
    [
        (explain_call, CALL, ()),
        (simulate_routes, SPAN, (ignored,)),
    ],
)
async def test_routes_are_for_operators(office, use, order, more):
    with pytest.raises(OperatorsOnlyError):
        await use(office, agent("south"), order, *more)
