"""Routes in the office: imaginary calls, and other routes for stored ones."""

import threading
from pathlib import Path

import msgspec
import pytest
from doubles.data import builders
from doubles.data.records import answered_call
from doubles.fake_switch import FakeSwitch
from doubles.office import agent, office_on, operator

from vosd.admin.names import UnknownNameError
from vosd.admin.office.jobs import JobKind, NoResultError, ReadResult, queue_job, read_result
from vosd.admin.office.office import Office, PermissionLackingError
from vosd.admin.office.principal import SHIPPED, Means, OperatorsOnlyError, OrderError, Permission, Principal, Role
from vosd.admin.office.routes import ExplainCall, ExplainedCall, SimulateRoutes, explain_call, simulate_routes
from vosd.callcontrol.setup import STEPS
from vosd.catalogue.overrides import Override, Setting, Target
from vosd.control.routes import ExplainRoute, LeftOutSheet, LevelSheet, RouteSheet
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database

NOW = 1_790_000_000_000
CALL = ExplainCall(gateway="acme", caller="1202", callee="442079460000")
SPAN = SimulateRoutes(since=0, until=2 * NOW)


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


def program(*permissions: Permission) -> Principal:
    return Principal(role=Role.PROGRAM, name="probe", login="t", means=Means.TOKEN, permissions=frozenset(permissions))


SEES_ROUTES, SEES_RATES, SEES_BOOKS = Permission.ROUTES_SEE, Permission.RATES_SEE, Permission.BOOKS_SEE
SEES_ACCOUNTS, SEES_CALLS = Permission.ACCOUNTS_SEE, Permission.CALLS_SEE
TOO_DEAR = "loss: sold for 0.12 a minute and bought for 0.30: a margin of -0.18, at least 0 is wanted"
NOT_SHOWN = "loss: by its price, which you may not see"


@pytest.fixture
async def priced(office, tmp_path):
    """The office of a switch that explains a call with all that there may be of money."""
    sheet = (await explain_call(office, operator(), CALL)).sheet
    assert "available" in sheet.detail
    sheet = msgspec.structs.replace(
        sheet,
        left=[LeftOutSheet("dear", TOO_DEAR), LeftOutSheet("gone", "down: answers no OPTIONS for 5 s")],
        agents=[LevelSheet("south", 1, "gold", "44", "0.11")],
    )
    async with FakeSwitch(tmp_path / "vosd.sock").answers(ExplainRoute, sheet):
        yield office


def shown(found: ExplainedCall) -> dict[str, bool]:
    """Return which figures of an outcome are there."""
    sheet = msgspec.to_builtins(found.sheet)
    (level,) = sheet["agents"]
    candidates = [each.keys() for each in sheet["candidates"]]
    return {
        "sold": "rate" in sheet and {"rate_group", "rate_prefix", "price_per_minute"} <= level.keys(),
        "bought": all({"cost", "currency", "effective_cost"} <= each for each in candidates),
        "margin": all("margin" in each for each in candidates),
        "why": sheet["left"][0]["reason"] == TOO_DEAR,
        "balance": bool(sheet["detail"]),
    }


@pytest.mark.parametrize(
    ("permissions", "seen", "lacking"),
    [
        ((), set(), (SEES_RATES, SEES_BOOKS, SEES_ACCOUNTS)),
        ((SEES_ACCOUNTS,), set(), (SEES_RATES, SEES_BOOKS)),
        ((SEES_RATES,), {"sold", "bought"}, (SEES_BOOKS, SEES_ACCOUNTS)),
        ((SEES_BOOKS,), {"margin"}, (SEES_RATES, SEES_ACCOUNTS)),
        ((SEES_RATES, SEES_ACCOUNTS), {"sold", "bought", "balance"}, (SEES_BOOKS,)),
        ((SEES_RATES, SEES_BOOKS, SEES_ACCOUNTS), {"sold", "bought", "margin", "why", "balance"}, ()),
    ],
)
async def test_an_explanation_has_the_money_that_one_may_see(priced, permissions, seen, lacking):
    for order in (CALL, msgspec.structs.replace(CALL, live=True)):
        found = await explain_call(priced, program(SEES_ROUTES, *permissions), order)
        if order.live:
            assert {name for name, is_shown in shown(found).items() if is_shown} == seen
            assert [each.reason for each in found.sheet.left][1] == "down: answers no OPTIONS for 5 s"
            assert found.sheet.left[0].reason in {TOO_DEAR, NOT_SHOWN}
        assert found.lacking == lacking
        assert [each.routing_gateway for each in found.sheet.candidates] == ["vendor-0", "vendor-1"]
        assert found.sheet.result == "Insufficient Balance"
    text = msgspec.json.encode(found).decode()
    if not permissions:
        assert not any(said in text for said in ("0.12", "0.30", "-0.18", "available", "price_per_minute", "gold"))


async def test_a_simulation_needs_calls_and_routes_and_has_money_for_those_who_see_the_books(office, database):
    await SqlBooks(database).book([answered_call(1, customer_account="acme", vendor_account="carriers")])
    for permissions in ((SEES_ROUTES,), (SEES_CALLS,), (SEES_ROUTES, SEES_BOOKS, SEES_RATES)):
        with pytest.raises(PermissionLackingError):
            await simulate_routes(office, program(*permissions), SPAN, ignored)
    full = await simulate_routes(office, program(SEES_ROUTES, SEES_CALLS, SEES_BOOKS), SPAN, ignored)
    assert (full["calls"], full["lacking"], "cost" in full["gateways"][0]["before"]) == (1, [], True)
    counts = await simulate_routes(office, program(SEES_ROUTES, SEES_CALLS), SPAN, ignored)
    assert (counts["calls"], counts["lacking"]) == (1, [SEES_BOOKS])
    text = msgspec.json.encode(counts).decode()
    assert not any(f'"{name}"' in text for name in ("fee", "cost", "margin", "loss", "loss_calls", "unconverted"))
    assert counts["gateways"][0]["before"] == {
        name: figure for name, figure in full["gateways"][0]["before"].items() if name != "cost"
    }


async def test_who_ships_with_the_rates_simulates_routes(office, database):
    await SqlBooks(database).book([answered_call(1, customer_account="acme", vendor_account="carriers")])
    answer = await simulate_routes(office, program(*SHIPPED["rates"].permissions), SPAN, ignored)
    assert (answer["calls"], answer["lacking"]) == (1, [SEES_BOOKS])


async def test_the_result_of_a_simulation_with_money_is_for_those_who_see_the_books(office):
    for permissions in ((SEES_BOOKS,), ()):
        who = program(Permission.JOBS, SEES_CALLS, SEES_ROUTES, *permissions)
        job = await queue_job(office, who, JobKind.SIMULATE, "", "{}")
        reader = program(Permission.JOBS, SEES_CALLS, SEES_ROUTES)
        with pytest.raises(PermissionLackingError if permissions else NoResultError):
            await read_result(office, reader, ReadResult(job.id))
        with pytest.raises(NoResultError):
            await read_result(office, who, ReadResult(job.id))


async def test_stored_calls_are_routed_again_and_an_account_without_calls_has_to_exist(office, database):
    await SqlBooks(database).book([answered_call(1, customer_account="acme", vendor_account="carriers")])
    passed: list[int] = []
    answer = await simulate_routes(office, operator(), SPAN, lambda calls, _began: passed.append(calls))
    assert (answer["calls"], passed) == (1, [1])
    with pytest.raises(UnknownNameError, match="missing"):
        await simulate_routes(office, operator(), msgspec.structs.replace(SPAN, account="missing"), ignored)


@pytest.mark.parametrize(("use", "order", "more"), [(explain_call, CALL, ()), (simulate_routes, SPAN, (ignored,))])
async def test_routes_are_for_operators(office, use, order, more):
    with pytest.raises(OperatorsOnlyError):
        await use(office, agent("south"), order, *more)
