"""Calls in the office: agents see those of their subtree, operators end and follow them, and the audit has it."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from doubles.data import builders
from doubles.data.records import answered_call, call_id, charge_row
from doubles.fake_switch import FakeSwitch
from doubles.office import agent, office_on, operator
from msgspec.structs import replace

from vosd.admin.names import UnknownAccountError, UnknownNameError
from vosd.admin.office.audit import ListAudit, list_audit
from vosd.admin.office.calls import (
    DrawRunningCall,
    HangUp,
    ListRunningCalls,
    NotRunningError,
    TooManyCallsError,
    draw_running_call,
    follow_new_calls,
    hang_up,
    list_running_calls,
    make_test_call,
)
from vosd.admin.office.drawn_calls import LOOKS_KEPT, DrawnCalls
from vosd.admin.office.export import ReadExport, WriteExport, read_export, write_export
from vosd.admin.office.foreign_calls import RateForeignCalls, rate_foreign_calls
from vosd.admin.office.office import Office
from vosd.admin.office.principal import OperatorsOnlyError, OrderError, Principal
from vosd.admin.office.records import (
    DrawRecord,
    ExplainRecord,
    ListRecords,
    NoRecordError,
    RecordSheet,
    ShowCall,
    ShowCharges,
    ShowRecord,
    draw_record,
    explain_record,
    list_records,
    show_call,
    show_charges,
    show_record,
)
from vosd.admin.office.why import ExplainCalls, explain_calls
from vosd.admin.tracing import AmbiguousCallError
from vosd.api.http import RequestError
from vosd.api.job import Work
from vosd.api.operations.jobs import ExportCalls, export
from vosd.billing.authority import OutOfScopeError
from vosd.cdr.record import CUSTOMER, VENDOR
from vosd.control.calls import (
    CallDescription,
    CallSelection,
    CallSnapshot,
    DescribeCall,
    FoundCall,
    Hangup,
    HangupOutcome,
    ListCalls,
    MakeTestCall,
    TrialReport,
    TrialResult,
    TrialStep,
    TrialUpdate,
)
from vosd.control.client import AnswerLostError, DaemonUnreachableError
from vosd.control.traces import (
    CallSought,
    CallUpdate,
    EndedCallMessages,
    FindMessages,
    FindRunningCall,
    FollowCalls,
    RunningCall,
    TraceUpdate,
)
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database

NOW = 1_790_000_000_000
ACCOUNTS = (builders.account("south"), builders.account("shop", agent="south"), builders.account("acme"))
CALL = CallSnapshot(
    call_id=call_id(1),
    state="talking",
    mapping_gateway="shop-pbx",
    routing_gateway="carrier-a",
    customer_account="shop",
    vendor_account="carrier",
    caller="4930",
    callee="4420",
    started_at="2026-03-01T12:00:00.000Z",
    answered_at=None,
    age_s=60,
    talk_s=None,
    rings_beside=["1002"],
)
OF_ACME = replace(CALL, call_id=call_id(2), mapping_gateway="acme-pbx", customer_account="acme")


@pytest.fixture
async def switch(tmp_path: Path) -> AsyncIterator[FakeSwitch]:
    switch = FakeSwitch(tmp_path / "vosd.sock").answers(ListCalls, [CALL, OF_ACME])
    switch.answers(FindRunningCall, RunningCall([], None)).answers(FindMessages, EndedCallMessages([], 0))
    async with switch.answers(Hangup, HangupOutcome(0, 0)).reports(FollowCalls).reports(MakeTestCall):
        yield switch


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = Database(url)
    of_shop = answered_call(1, customer_account="shop", vendor_account="carrier", routing_gateway="carrier-a")
    charges = (charge_row("shop", CUSTOMER, 0, Decimal("0.60")), charge_row("carrier", VENDOR, 0, Decimal("0.30")))
    of_shop = replace(of_shop, charges=charges, sip_call_id_out="out@vendor")
    await SqlBooks(database).book([of_shop, answered_call(2, customer_account="acme")])
    yield database
    await database.close()


@pytest.fixture
def office(tmp_path: Path, database: Database) -> Office:
    return office_on(database, *ACCOUNTS, now=NOW, socket=tmp_path / "vosd.sock")


async def listed(office: Office, who: Principal, **criteria: Any) -> list[str]:
    return [call.record.call_id async for call in list_records(office, who, ListRecords(**criteria))]


async def test_an_agent_sees_the_running_calls_of_its_subtree_without_the_vendor(
    office: Office, switch: FakeSwitch
) -> None:
    assert await list_running_calls(office, operator(), ListRunningCalls()) == [CALL, OF_ACME]
    assert switch.asked.pop() == ListCalls()
    of_agent = await list_running_calls(office, agent("south"), ListRunningCalls())
    assert switch.asked.pop() == ListCalls(frozenset({"south", "shop"})), "the switch makes no other rows"
    assert of_agent == [replace(CALL, routing_gateway=None, vendor_account=None, rings_beside=[])]
    assert await list_running_calls(office, agent("south"), ListRunningCalls(longer_ms=60_000)) == []
    with pytest.raises(OutOfScopeError):
        await list_running_calls(office, agent("south"), ListRunningCalls(account="acme"))
    with pytest.raises(OrderError, match="gateway"):
        await list_running_calls(office, agent("south"), ListRunningCalls(gateway="carrier-a"))


async def test_calls_of_the_accounts_below_an_agent_are_listed_directly_below_it_or_all(
    tmp_path: Path, database: Database, switch: FakeSwitch
) -> None:
    tree = (*ACCOUNTS, builders.account("corner", agent="shop"))
    office = office_on(database, *tree, now=NOW, socket=tmp_path / "vosd.sock")
    of_corner = replace(CALL, call_id=call_id(3), customer_account="corner")
    switch.answers(ListCalls, [CALL, OF_ACME, of_corner])
    await SqlBooks(database).book(
        [answered_call(3, customer_account="corner"), answered_call(4, customer_account="south")]
    )
    for who in (operator(), agent("south")):
        assert await listed(office, who, agent="south") == [call_id(1)]
        assert await listed(office, who, agent="south", all=True) == [call_id(3), call_id(1)]
        assert await listed(office, who, agent="south", all=True, customer="corner") == [call_id(3)]
        assert await listed(office, who, agent="corner") == []
        running = await list_running_calls(office, who, ListRunningCalls(agent="south"))
        assert [each.call_id for each in running] == [call_id(1)]
        narrowed = None if who == operator() else frozenset({"shop"})
        assert switch.asked.pop() == ListCalls(narrowed)
        await list_running_calls(office, who, ListRunningCalls(account="corner"))
        assert switch.asked.pop() == ListCalls(narrowed and frozenset({"corner"}))
        running = await list_running_calls(office, who, ListRunningCalls(agent="south", all=True))
        assert [each.call_id for each in running] == [call_id(1), call_id(3)]
    for refused in (ListRecords, ListRunningCalls):
        with pytest.raises(OrderError, match="all"):
            refused(all=True)
    for asked in (
        listed(office, agent("south"), agent="acme"),
        list_running_calls(office, agent("south"), ListRunningCalls(agent="acme")),
    ):
        with pytest.raises(OutOfScopeError):
            await asked
    for asked in (
        listed(office, operator(), agent="nil"),
        list_running_calls(office, operator(), ListRunningCalls(agent="nil")),
    ):
        with pytest.raises(UnknownAccountError):
            await asked


async def test_an_agent_lists_and_shows_the_records_of_its_subtree_without_the_vendor(office: Office) -> None:
    assert await listed(office, operator()) == [call_id(2), call_id(1)]
    assert await listed(office, agent("south")) == [call_id(1)]
    sheet = await show_record(office, agent("south"), ShowRecord(call_id=call_id(1)))
    text = msgspec.json.encode(sheet).decode()
    assert "shop" in text
    assert not any(said in text for said in ("carrier", "out@vendor")), "whatever a front makes of it"
    assert await listed(office, agent("south"), customer="shop", mapping_gateway="shop-pbx") == [call_id(1)]
    of_vendor = ("gateway", "routing_gateway", "vendor", "sip_call_id")
    for refused in (*({name: "carrier-a"} for name in of_vendor), {"loss": True}):
        with pytest.raises(OrderError, match="is not for agents and customers"):
            await listed(office, agent("south"), **refused)
    with pytest.raises(OutOfScopeError):
        await listed(office, agent("south"), account="acme")
    with pytest.raises(OutOfScopeError):
        await listed(office, agent("south"), customer="acme")
    with pytest.raises(NoRecordError, match="of account south in the database"):
        await show_record(office, agent("south"), ShowRecord(call_id=call_id(2)))
    with pytest.raises(NoRecordError):
        await listed(office, agent("south"), after=call_id(2))


@pytest.mark.parametrize("sent", ["xyz", "0199", "00000000-0000-7000-8000-00000000000g"])
async def test_text_that_is_no_call_id_is_named_as_it_was_sent(office: Office, sent: str) -> None:
    with pytest.raises(OrderError, match=f"'{sent}' is not a call id"):
        await show_record(office, operator(), ShowRecord(call_id=sent))


async def test_an_agent_finds_no_call_by_an_account_that_has_carried_it_as_a_vendor(
    office: Office, database: Database
) -> None:
    of_south = answered_call(3, customer_account="south", vendor_account="shop")
    await SqlBooks(database).book([of_south, answered_call(4, customer_account="acme", vendor_account="shop")])
    assert await listed(office, operator(), account="shop") == [call_id(4), call_id(3), call_id(1)]
    assert await listed(office, agent("south"), account="shop") == [call_id(1)]
    assert await listed(office, agent("south"), account="shop", customer="south") == []
    assert await listed(office, agent("south"), account="south") == [call_id(3)]


async def test_an_account_that_an_agent_does_not_see_is_to_it_one_that_there_is_not(office: Office) -> None:
    for criterion in ("account", "customer"):
        said = set()
        for name in ("acme", "nowhere"):
            with pytest.raises(OutOfScopeError) as refused:
                await listed(office, agent("south"), **{criterion: name})
            said.add(str(refused.value).replace(name, "NAME"))
        assert len(said) == 1


def description(call: CallSnapshot) -> CallDescription:
    record = answered_call(9, customer_account=call.customer_account, call_id=call.call_id)
    return CallDescription(call, [], record, None, None, None)


def describes(switch: FakeSwitch, *calls: CallSnapshot) -> None:
    """Let the switch have these calls."""

    def answer(order: DescribeCall) -> FoundCall:
        fitting = [each for each in calls if each.call_id.startswith(order.beginning)]
        return FoundCall([each.call_id for each in fitting], description(fitting[0]) if len(fitting) == 1 else None)

    switch.answers(ListCalls, list(calls)).answers(DescribeCall, answer)


async def test_a_call_that_an_agent_does_not_see_is_to_it_one_that_there_is_not(
    tmp_path: Path, office: Office, database: Database
) -> None:
    acme = replace(OF_ACME, call_id=call_id(5))
    twins = acme.call_id[:-1]
    beside = replace(OF_ACME, call_id=f"{twins}f")
    switch = FakeSwitch(tmp_path / "vosd.sock")
    describes(switch, CALL, acme, beside)
    booked, missing = call_id(2), call_id(7)
    async with switch:
        for show in (
            lambda beginning: show_call(office, agent("south"), ShowCall(call_id=beginning)),
            lambda beginning: show_record(office, agent("south"), ShowRecord(call_id=beginning)),
        ):
            said = {}
            for beginning in (booked, acme.call_id, twins, missing):
                with pytest.raises(NoRecordError) as refused:
                    await show(beginning)
                said[beginning] = str(refused.value).replace(beginning, "ID")
            assert len(set(said.values())) == 1, said


async def test_an_agent_finds_its_call_by_a_beginning_that_calls_of_others_have_too(
    tmp_path: Path, office: Office, database: Database
) -> None:
    of_others = [answered_call(number, customer_account="acme") for number in range(10, 20)]
    await SqlBooks(database).book([*of_others, answered_call(21, customer_account="shop")])
    minute = call_id(1)[:8]
    running = replace(CALL, call_id=call_id(30))
    switch = FakeSwitch(tmp_path / "vosd.sock")
    describes(switch, replace(OF_ACME, call_id=call_id(31)), running, replace(OF_ACME, call_id=call_id(32)))
    async with switch:
        found = await show_call(office, agent("south"), ShowCall(call_id=minute))
        assert (found.record.call_id, found.description is None) == (running.call_id, False)
        assert ListCalls(frozenset({"south", "shop"})) in switch.asked
        describes(switch, OF_ACME, replace(OF_ACME, call_id=call_id(31)))
        with pytest.raises(AmbiguousCallError) as several:
            await show_call(office, agent("south"), ShowCall(call_id=minute))
        assert [name for name in (call_id(number) for number in range(40)) if name in str(several.value)] == [
            call_id(1), call_id(21),
        ]  # fmt: skip
        describes(switch, CALL, replace(CALL, call_id=call_id(31)), OF_ACME)
        with pytest.raises(AmbiguousCallError) as several:
            await show_call(office, agent("south"), ShowCall(call_id=minute))
        assert (call_id(31) in str(several.value), OF_ACME.call_id in str(several.value)) == (True, False)


async def test_calls_of_a_type_of_rates_that_there_is_not_are_refused(office: Office) -> None:
    assert await listed(office, operator(), rate_type="none") == [call_id(2), call_id(1)]
    with pytest.raises(OrderError, match="no type of rates: none, net, local, domestic, international"):
        await listed(office, operator(), rate_type="mobile")


async def test_a_name_that_no_account_or_gateway_has_is_refused_on_each_side(office: Office) -> None:
    for side in ("account", "customer", "vendor", "gateway", "mapping_gateway", "routing_gateway"):
        with pytest.raises(UnknownNameError, match="'nowhere'"):
            await listed(office, operator(), **{side: "nowhere"})


@pytest.mark.parametrize(
    "order",
    [
        lambda office, who: hang_up(office, who, HangUp(CallSelection(account="shop"))),
        lambda office, who: draw_running_call(office, who, DrawRunningCall(call_id(1))),
        lambda office, who: anext(follow_new_calls(office, who, FollowCalls(CallSought(), 5))),
        lambda office, who: explain_calls(office, who, ExplainCalls(callee="44")),
        lambda office, who: anext(make_test_call(office, who, MakeTestCall("carrier-a", "4420"))),
        lambda office, who: anext(read_export(office, who, ReadExport())),
        lambda office, who: write_export(office, who, WriteExport(out="/")),
        lambda office, who: rate_foreign_calls(office, who, RateForeignCalls(file="x", map="y"), ignore),
        lambda office, who: show_charges(office, who, ShowCharges(call_id(1))),
        lambda office, who: explain_record(office, who, ExplainRecord(call_id=call_id(1))),
        lambda office, who: draw_record(office, who, DrawRecord(call_id=call_id(1))),
    ],
)
async def test_orders_for_operators_are_refused_to_agents(
    office: Office, order: Callable[[Office, Principal], Awaitable[object]]
) -> None:
    with pytest.raises(OperatorsOnlyError):
        await order(office, agent("south"))


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        ({"account": "acme"}, [8]),
        ({"account": "carrier"}, [8, 7]),
        ({"gateway": "shop-pbx"}, [7]),
        ({"gateway": "carrier-a"}, [8, 7]),
        ({"call_id": call_id(8)}, [8]),
        ({"call_id": "no-such@call"}, []),
    ],
)
async def test_of_the_running_calls_those_are_explained_that_were_asked_for(
    office: Office, switch: FakeSwitch, criteria: dict[str, Any], expected: list[int]
) -> None:
    switch.answers(ListCalls, [replace(CALL, call_id=call_id(7)), replace(OF_ACME, call_id=call_id(8))])
    page = await explain_calls(office, operator(), ExplainCalls(**criteria, since=NOW))
    assert [each.shown.call_id for each in page.running] == [call_id(number) for number in expected]


@pytest.mark.parametrize(
    ("criteria", "is_meant"),
    [
        ({}, True),
        ({"account": "shop", "gateway": "carrier-a"}, True),
        ({"account": "carrier"}, True),
        ({"account": "acme"}, False),
        ({"callee": "999"}, False),
        ({"caller": "999"}, False),
        ({"until": 1}, False),
        ({"since": NOW + 1_000_000_000_000}, False),
    ],
)
async def test_a_call_that_is_named_is_explained_where_it_fits_all_the_rest(
    office: Office, switch: FakeSwitch, criteria: dict[str, Any], is_meant: bool
) -> None:
    switch.answers(ListCalls, [])
    page = await explain_calls(office, operator(), ExplainCalls(call_id=call_id(1), **criteria))
    assert [each.record.call_id for each in page.ended] == ([call_id(1)] if is_meant else [])


async def test_the_beginning_of_many_ids_names_the_call_among_them_that_fits(
    office: Office, switch: FakeSwitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight digits are the calls of a minute, and the first of them alone were read."""
    monkeypatch.setattr("vosd.admin.office.why.MORE_COUNTED", 0)
    switch.answers(ListCalls, [])
    order = ExplainCalls(call_id=call_id(1)[:8], account="acme", limit=1)
    page = await explain_calls(office, operator(), order)
    assert [each.record.customer_account for each in page.ended] == ["acme"]


async def test_a_hang_up_leaves_a_line_in_the_audit_if_it_ended_a_call(office: Office, switch: FakeSwitch) -> None:
    switch.answers(Hangup, HangupOutcome(2, 2))
    order = msgspec.json.decode('{"selection": {"account": "shop", "prefix": "44"}, "ends_many": true}', type=HangUp)
    assert (await hang_up(office, operator("ann"), order)).outcome == HangupOutcome(2, 2)
    (line,) = await list_audit(office, operator(), ListAudit())
    assert (line.action, line.subject, line.principal) == ("HangUp", "shop", "ann")
    assert line.detail["selection"] == {"account": "shop", "prefix": "44"}
    switch.answers(Hangup, HangupOutcome(0, 0))
    assert (await hang_up(office, operator(), order)).outcome.ended == 0
    with pytest.raises(NotRunningError):
        await hang_up(office, operator(), HangUp(CallSelection(call_id=call_id(1))))
    switch.answers(Hangup, HangupOutcome(12, 0))
    with pytest.raises(TooManyCallsError, match="12 calls fit and none was ended"):
        await hang_up(office, operator(), HangUp(CallSelection(account="shop")))
    assert len(await list_audit(office, operator(), ListAudit())) == 1


async def test_a_hang_up_ends_calls_also_where_the_database_is_away(tmp_path: Path, switch: FakeSwitch) -> None:
    switch.answers(Hangup, HangupOutcome(1, 1))
    away = Database(f"sqlite+aiosqlite:///{tmp_path}/nowhere/vosd.db")
    office = office_on(away, now=NOW, socket=tmp_path / "vosd.sock")
    hung_up = await hang_up(office, operator(), HangUp(CallSelection(account="shop")))
    await away.close()
    assert hung_up.outcome == HangupOutcome(1, 1)
    assert "nowhere" in hung_up.unaudited


@pytest.mark.parametrize(
    "selection",
    [
        CallSelection(),
        CallSelection(prefix=""),
        CallSelection(account=""),
        CallSelection(prefix="+"),
        CallSelection(account="shop", prefix="+"),
        CallSelection(older_than_s=0),
    ],
)
async def test_a_hang_up_that_selects_no_calls_is_no_order(
    office: Office, switch: FakeSwitch, selection: CallSelection
) -> None:
    with pytest.raises(OrderError):
        await hang_up(office, operator(), HangUp(selection))
    assert switch.asked == []


@pytest.mark.parametrize("sought", [CallSought(callee="+"), CallSought(caller=""), CallSought(gateway="")])
async def test_a_trace_by_an_empty_criterion_is_refused(office: Office, switch: FakeSwitch, sought: CallSought) -> None:
    with pytest.raises(OrderError, match="chooses nothing"):
        await anext(follow_new_calls(office, operator(), FollowCalls(sought, 5)))
    assert switch.asked == []


async def test_new_calls_are_followed_until_the_time_is_up(office: Office, switch: FakeSwitch) -> None:
    call = CallUpdate("a", "4930", "4420", "acme", (), [], None, is_last=False)
    updates = [TraceUpdate([call], 0, is_over=False), TraceUpdate([], 2, is_over=True)]
    order = FollowCalls(CallSought(callee="44"), 5)
    switch.reports(FollowCalls, *updates, TraceUpdate([], 9, is_over=False))
    assert [each async for each in follow_new_calls(office, operator(), order)] == updates
    assert switch.asked == [order]
    (line,) = await list_audit(office, operator(), ListAudit())
    assert (line.action, line.subject) == ("FollowCalls", "44")
    switch.reports(FollowCalls, updates[0])
    with pytest.raises(DaemonUnreachableError, match="went away"):
        _ = [each async for each in follow_new_calls(office, operator(), order)]


async def test_the_audit_has_one_line_of_a_running_call_however_often_a_person_looks_at_it(
    office: Office, switch: FakeSwitch
) -> None:
    update = CallUpdate(call_id(7), "4930", "4420", "acme", (), [], None, is_last=False)
    switch.answers(FindRunningCall, RunningCall([call_id(7)], update))
    ann, bob = operator("ann"), operator("bob")
    for who in (ann, ann, bob, replace(ann, source="192.0.2.7"), ann):
        found = await draw_running_call(office.in_time(1.0), who, DrawRunningCall(call_id(7)[:18]))
        assert (found.outcome.call_id, found.unaudited) == (call_id(7), "")
    switch.answers(FindRunningCall, RunningCall([call_id(8)], replace(update, call_id=call_id(8))))
    await draw_running_call(office, ann, DrawRunningCall(call_id(8)))
    lines = await list_audit(office, operator(), ListAudit())
    assert [(line.login, line.source, line.subject) for line in reversed(lines)] == [
        ("ann", "", call_id(7)),
        ("bob", "", call_id(7)),
        ("ann", "192.0.2.7", call_id(7)),
        ("ann", "", call_id(8)),
    ]


async def test_a_look_that_the_audit_could_not_note_is_noted_by_the_next_one(
    tmp_path: Path, switch: FakeSwitch
) -> None:
    update = CallUpdate(call_id(7), "4930", "4420", "acme", (), [], None, is_last=False)
    switch.answers(FindRunningCall, RunningCall([call_id(7)], update))
    away = Database(f"sqlite+aiosqlite:///{tmp_path}/nowhere/vosd.db")
    office = office_on(away, now=NOW, socket=tmp_path / "vosd.sock")
    assert "nowhere" in (await draw_running_call(office, operator(), DrawRunningCall(call_id(7)))).unaudited
    await away.close()
    assert not office.drawn.has(operator(), call_id(7))


def test_looks_that_were_repeated_longest_ago_are_forgotten_first() -> None:
    drawn = DrawnCalls()
    drawn.add(operator(), "first")
    drawn.add(operator(), "second")
    assert drawn.has(operator(), "first")
    for number in range(LOOKS_KEPT - 1):
        drawn.add(operator(), str(number))
    assert (drawn.has(operator(), "first"), drawn.has(operator(), "second")) == (True, False)


async def test_an_answered_test_call_leaves_a_line_in_the_audit(office: Office, switch: FakeSwitch) -> None:
    order = MakeTestCall("carrier-a", "4420")
    switch.reports(MakeTestCall, TrialUpdate([TrialStep(1, "rang")]), TrialUpdate([], report(None)))
    assert len([each async for each in make_test_call(office, operator(), order)]) == 2
    switch.reports(MakeTestCall, TrialUpdate([], report("t1")))
    assert [each async for each in make_test_call(office, operator(), order)] == [TrialUpdate([], report("t1"))]
    switch.reports(MakeTestCall, TrialUpdate([TrialStep(1, "rang")]))
    with pytest.raises(AnswerLostError, match="has stopped during the call"):
        _ = [each async for each in make_test_call(office, operator(), order)]
    lines = await list_audit(office, operator(), ListAudit())
    assert [(line.action, line.subject) for line in lines] == [("MakeTestCall", "carrier-a"), ("MakeTestCall", "t1")]


async def test_a_test_call_whose_client_goes_leaves_a_line_in_the_audit(office: Office, switch: FakeSwitch) -> None:
    rang, refused, answered = TrialUpdate([TrialStep(1, "rang")]), report(None), report("t1")
    never: asyncio.Future[TrialUpdate] = asyncio.get_running_loop().create_future()
    for first in (rang, TrialUpdate([], refused), TrialUpdate([], answered)):
        for is_waited_for in (True, False):
            switch.reports(MakeTestCall, first, never)
            updates = make_test_call(office, operator(), MakeTestCall("carrier-a", "4420"))
            await anext(updates)
            if is_waited_for:
                waiting = asyncio.ensure_future(anext(updates))
                await asyncio.sleep(0)
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting
            await updates.aclose()
    lines = await list_audit(office, operator(), ListAudit())
    assert [line.subject for line in lines] == [*["t1"] * 2, *["carrier-a"] * 2]


def report(identity: str | None) -> TrialReport:
    """Return the outcome of a test call; one with an identity was answered."""
    outcome = TrialResult.REFUSED if identity is None else TrialResult.ANSWERED
    return TrialReport(
        outcome, "carrier-a", None, "", "4420", 200, None, None, None, None, identity, None, 0, "0", "0", None, []
    )


async def test_a_record_and_its_charges_are_found_by_the_beginning_of_the_id(office: Office) -> None:
    sheet = await show_record(office, operator(), ShowRecord(call_id=call_id(1)))
    assert sheet.record.routing_gateway == "carrier-a"
    assert (await explain_record(office, operator(), ExplainRecord(call_id=call_id(1))))["result"] == "ok"
    assert msgspec.json.decode(msgspec.json.encode(sheet), type=RecordSheet) == sheet
    charges = await show_charges(office, operator(), ShowCharges(call_id(1)))
    assert [each.account for each in charges] == ["shop", "carrier"]
    with pytest.raises(NoRecordError, match="none runs"):
        await show_record(office, operator(), ShowRecord(call_id=call_id(7)))


async def test_calls_are_exported_in_the_order_of_their_booking_to_files_each_once(
    office: Office, tmp_path: Path
) -> None:
    lines = b"".join([part async for part in read_export(office, operator(), ReadExport(as_json=True))]).splitlines()
    assert [msgspec.json.decode(line)["call_id"] for line in lines] == [call_id(1), call_id(2)]
    order = WriteExport(out=str(tmp_path))
    first, again = [(await write_export(office, operator(), order)).outcome for _ in range(2)]
    assert ([each.rows for each in first.files], first.goes_on) == ([2], False)
    assert (again.files, again.goes_on) == ([], True)
    assert [(line.action, line.subject) for line in await office.stores.audit.newest(9)] == [("WriteExport", "cdr")]


async def test_an_export_leaves_the_journal_its_part_of_the_disk(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Work(cast(Any, None), None, tmp_path / "out.csv", lambda _part: None)
    await export(office, operator(), ExportCalls(), work)
    assert len(work.out.read_bytes().splitlines()) == 3
    least = (256 << 20) - 1
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=least))
    with pytest.raises(RequestError, match="has less than 256 MiB free") as refused:
        await export(office, operator(), ExportCalls(), work)
    assert (refused.value.status, refused.value.code) == (507, "disk_full")


async def test_the_calls_of_another_switch_are_rated_and_compared(office: Office, tmp_path: Path) -> None:
    file, columns = tmp_path / "calls.csv", tmp_path / "map.yaml"
    columns.write_text(
        "columns: {account: who, callee: number, start: at, duration: seconds, price: paid}\nstart: {format: unix}\n"
    )
    file.write_text("who,number,at,seconds,paid\nacme,442079460123,1790000000,60,9\nacme,44,soon,60,9\n")
    rows: list[str] = []
    order = RateForeignCalls(file=str(file), map=str(columns))
    found = await rate_foreign_calls(office, operator(), order, ignore, lambda row: rows.append(row.account))
    assert (found.rows, found.bad_rows, found.differ, found.compares, rows) == (2, 1, 1, True, ["acme"])


def ignore(_part: float, _count: int) -> None:
    """Take no notice of how far a job is."""
