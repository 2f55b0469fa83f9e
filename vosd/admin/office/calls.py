"""Use cases of running calls: list, draw, follow, hang up; and of test calls."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Annotated, Final

import msgspec
from msgspec.structs import asdict, replace

from vosd.admin.names import check_names
from vosd.admin.office.below_agents import accounts_below, require_agent
from vosd.admin.office.criteria import call_id_of, refuse_empty
from vosd.admin.office.office import Done, Office, needs
from vosd.admin.office.principal import OrderError, Permission, Principal
from vosd.admin.tracing import running_call
from vosd.base.errors import VosError
from vosd.catalogue.problems import ConfigError
from vosd.cdr.ports import StoreUnavailable
from vosd.control.calls import (
    CallSelection,
    CallSnapshot,
    Hangup,
    HangupOutcome,
    ListCalls,
    MakeTestCall,
    TrialReport,
    TrialStep,
    TrialUpdate,
)
from vosd.control.client import AnswerLostError, DaemonUnreachableError
from vosd.control.installation import GetStatus
from vosd.control.order import fitting_names
from vosd.control.traces import CallSought, FollowCalls, TraceUpdate
from vosd.obs.traced import TracedCall
from vosd.storage.ports import CallFilter

_DATABASE_S: Final = 2.0
"""Longest wait of a list of running calls for the database, which it needs for unknown names alone."""


class NotRunningError(VosError):
    """No running call has that id."""


class TooManyCallsError(VosError):
    """More calls match than were to be ended; none was."""


class ListRunningCalls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The running calls; all given criteria must hold."""

    account: str | None = None
    """The customer's or the vendor's."""
    gateway: str | None = None
    """The mapping or the routing one; not for agents."""
    longer_ms: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """Calls that began longer ago."""
    agent: str | None = None
    """Agent: calls that accounts directly below it pay for."""
    all: bool = False
    """With an agent: those of accounts below its sub-agents, too."""

    def __post_init__(self) -> None:
        require_agent(self.agent, is_whole=self.all)


@needs(Permission.CALLS_SEE, by_account=True, without_database=True)
async def list_running_calls(office: Office, who: Principal, order: ListRunningCalls) -> list[CallSnapshot]:
    """Return them, the oldest first; an agent sees those that it or an account below it pays for, without the vendor.

    Raises:
        OrderError: an agent names a gateway.
        UnknownNameError: none fits, and the account or the gateway is unknown; planned ones are known.
    """
    scope = office.scope_of(who)
    if scope.agent is not None and order.gateway is not None:
        raise OrderError("gateway", "is not for agents and customers")
    if order.account is not None:
        scope.require_visible(order.account)
    below = None if order.agent is None else accounts_below(office, scope, order.agent, is_whole=order.all)
    customers = visible = scope.visible
    if customers is not None:
        customers = customers if below is None else customers & below
        customers = customers if order.account is None else customers & {order.account}
    running = await office.switch.ask(ListCalls(fitting_names(customers)))
    if visible is not None:
        of_agent = [call for call in running if call.customer_account in visible]
        running = [replace(call, routing_gateway=None, vendor_account=None, rings_beside=[]) for call in of_agent]
    found = [
        call
        for call in running
        if order.account in {None, call.customer_account, call.vendor_account}
        and (below is None or call.customer_account in below)
        and order.gateway in {None, *call.gateways}
        and (order.longer_ms is None or 1_000 * call.age_s > order.longer_ms)
    ]
    if not found and scope.agent is None and {order.account, order.gateway} != {None}:
        with suppress(ConfigError, StoreUnavailable, TimeoutError):
            await _check_named(office, order)
    return found


async def _check_named(office: Office, order: ListRunningCalls) -> None:
    """Refuse a name that never was there; without files or database it looks like a removed one, which is known."""
    if (await office.switch.ask(GetStatus())).database.state == "away":
        return  # the definitions are read from the database, too, and wait long for one that hangs
    stores = office.stores  # before the time is counted: to load the libraries of a database takes seconds, too
    async with asyncio.timeout(_DATABASE_S):
        await stores.decks.version()
    named = CallFilter(account=order.account, gateway=order.gateway)
    await check_names(named, office.definitions, stores, office.now())


class DrawRunningCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Draw the messages of a running call so far; the beginning of its id is enough."""

    call_id: str


@needs(Permission.CALLS_TRACE, without_database=True)
async def draw_running_call(office: Office, who: Principal, order: DrawRunningCall) -> Done[TracedCall]:
    """Return the call with its messages; digest credentials and media keys are blanked.

    The audit has one line for each person or token and call: a page that follows a call reads them each second.

    Raises:
        NotRunningError, AmbiguousCallError: none has that id, or several have.
    """
    found = await running_call(office.switch, order.call_id)
    if found is None:
        message = f"call {order.call_id} does not run; vosd cdr show CALL_ID --ladder draws one that is over"
        raise NotRunningError(message)
    if office.drawn.has(who, found.call_id):
        return Done(found)
    done = await office.noted(found, who, order, found.call_id)
    if not done.unaudited:
        office.drawn.add(who, found.call_id)
    return done


@needs(Permission.CALLS_TRACE, without_database=True)
async def follow_new_calls(office: Office, who: Principal, order: FollowCalls) -> AsyncGenerator[TraceUpdate, None]:
    """Yield the messages of new calls until the time is up; digest credentials and media keys are blanked.

    The audit gets its line with the first update, which says why it has none.

    Raises:
        OrderError: a criterion is empty.
        DaemonUnreachableError, DaemonRefusedError: the switch does not answer, or went away meanwhile.
    """
    refuse_empty(order.sought)
    is_noted = False
    async with aclosing(office.switch.follow(order)) as updates:
        async for update in updates:
            if is_noted:
                yield update
            else:
                is_noted = True
                done = await office.noted(update, who, order, _subject_of(order.sought))
                yield replace(update, unaudited=done.unaudited)
            if update.is_over:
                return
    raise DaemonUnreachableError("the switch went away while calls were followed")


def _subject_of(sought: CallSought) -> str:
    """Return the first criterion of a trace, for the audit."""
    return next((value for value in asdict(sought).values() if value is not None), "all calls")


class HangUp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Order to end running calls."""

    selection: CallSelection
    ends_many: bool = False
    """Also where several match; the beginning of an id always means one call."""


@needs(Permission.CALLS_HANG_UP, without_database=True)
async def hang_up(office: Office, who: Principal, order: HangUp) -> Done[HangupOutcome]:
    """End the calls. The line of the audit is written afterwards: a database that is away keeps no call alive.

    Raises:
        OrderError: no calls are selected.
        NotRunningError, TooManyCallsError: none was ended.
        AnswerLostError: it is not known whether they were ended; the audit has the line.
        DaemonUnreachableError, DaemonRefusedError: the switch does not answer, or knows no such name.
    """
    selection = order.selection
    given = {name: value for name, value in asdict(selection).items() if value is not None and value != 0}
    if not given:  # an age of 0 is that of every call
        raise OrderError("account", "or `gateway`, `prefix`, `older_than` or the id of a call is needed")
    refuse_empty(selection)
    names_one = selection.call_id is not None
    if selection.call_id is not None:
        selection = replace(selection, call_id=call_id_of(selection.call_id))
    subject = next(str(value) for value in given.values())
    ending = office.switch.ask(Hangup(selection, None if order.ends_many and not names_one else 1))
    outcome = await office.carried_out(ending, who, order, subject)
    if outcome.fitting > outcome.ended:
        raise TooManyCallsError(
            f"{outcome.fitting} calls begin with {selection.call_id} and none was ended; say more of the id"
            if names_one
            else f"{outcome.fitting} calls fit and none was ended; say `confirm` to end them all"
        )
    if not outcome.ended:
        if names_one:
            raise NotRunningError(f"call {selection.call_id} is not running; vosd calls lists those that are")
        return Done(outcome)
    return await office.noted(outcome, who, order, subject)


@needs(Permission.CALLS_TEST, without_database=True)
async def make_test_call(office: Office, who: Principal, order: MakeTestCall) -> AsyncGenerator[TrialUpdate, None]:
    """Yield the steps of a test call, and its outcome; an answered one costs money, so the audit has a line of it.

    Raises:
        AnswerLostError: the outcome of the call is not known; the audit has the line, with the gateway, as where the
            generator is closed or cancelled during the call.
    """
    report: TrialReport | None = None
    try:
        async with aclosing(office.switch.follow(order)) as updates:
            async for update in updates:
                report = update.report or report
                yield update
        if report is None:
            raise AnswerLostError("the switch has stopped during the call; an answered one is booked by its next start")
    except (AnswerLostError, asyncio.CancelledError, GeneratorExit):  # also where the client has gone during the call
        subject = order.via if report is None else report.call_id
        if subject is not None:  # noted as by ``Office.carried_out``
            await office.noted(None, replace(who, request=None), order, subject)
        raise
    if report.call_id is None:
        return
    done = await office.noted(report, who, order, report.call_id)
    if done.unaudited:
        last = report.steps[-1].ms if report.steps else 0
        yield TrialUpdate([TrialStep(last, f"the audit has no line of it: {done.unaudited}")])
