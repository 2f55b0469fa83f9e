"""Use cases of call detail records: list, show, charges."""

import re
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from msgspec.structs import asdict

from vosd.admin.names import check_names, end_reason
from vosd.admin.office.below_agents import accounts_below, require_agent
from vosd.admin.office.criteria import NO_CURRENCY, call_id_of, refuse_empty
from vosd.admin.office.office import Done, Office, needs
from vosd.admin.office.principal import OrderError, Permission, Principal, Scope
from vosd.admin.tracing import AmbiguousCallError, messages_of, running_call, traced_call
from vosd.base.errors import VosError
from vosd.billing.rates import RateType
from vosd.cdr.charges import with_breakdowns
from vosd.cdr.columns import json_object, record_for_agent
from vosd.cdr.record import CallRecord, ChargeRow
from vosd.control.calls import CallDescription, DescribeCall, FoundCall, ListCalls
from vosd.control.client import NoDaemonError
from vosd.control.order import fitting_names
from vosd.obs.traced import TracedCall
from vosd.storage.ports import LISTED_AT_MOST, CallFilter, StoredCall

if TYPE_CHECKING:
    from vosd.storage.queries import SqlQueries

_CANDIDATES_SHOWN: Final = 5
NO_RATE_TYPE: Final = "none"
"""Name of the calls whose rate has no type."""
_CURRENCY: Final = re.compile("[A-Z]{3}")
_NOT_FOR_AGENTS: Final = ("vendor", "gateway", "routing_gateway", "vendor_currency", "sip_call_id", "loss")
"""Criteria about the vendor's side."""


_CODE_MAX: Final = 699
_READ_HERE: Final = frozenset({"agent", "all", "currency", "vendor_currency"})
"""Criteria that the filter of the database has under other names."""


class NoRecordError(VosError):
    """No call of the database has that id, or none that the principal sees."""


class ListRecords(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Calls, the newest first unless ``oldest_first``; all given criteria must hold, as ``CallFilter`` says."""

    limit: Annotated[int, msgspec.Meta(ge=1)] = LISTED_AT_MOST
    since: int | None = None
    until: int | None = None
    ended_since: int | None = None
    """Calls that have ended at this moment or later."""
    ended_until: int | None = None
    """Calls that have ended before this moment."""
    account: str | None = None
    """Account of the customer or of the vendor; of an agent that of the customer."""
    customer: str | None = None
    """Account of the customer."""
    agent: str | None = None
    """Agent: calls that accounts directly below it pay for."""
    all: bool = False
    """With an agent: those of accounts below its sub-agents, too."""
    vendor: str | None = None
    """Account of the vendor."""
    gateway: str | None = None
    """Gateway or phone of either side."""
    mapping_gateway: str | None = None
    """Gateway or phone of the caller."""
    routing_gateway: str | None = None
    """Gateway or phone that was called last."""
    area: str | None = None
    """Area of the customer's rate; where the rate has none, its prefix."""
    rate_type: str | None = None
    """Type of the customer's rate; ``none`` = it has none."""
    currency: str | None = None
    """Currency of the fee, or several with commas between; ``none`` = calls that have none."""
    vendor_currency: str | None = None
    """Currency of the cost, or several with commas between; ``none`` = calls that have none."""
    caller: str | None = None
    callee: str | None = None
    reason: str | None = None
    """End reason of the calls."""
    sip_code: Annotated[int, msgspec.Meta(ge=0, le=_CODE_MAX)] | None = None
    """Final code as the caller saw it; 0 = calls that have none."""
    hangup_source: Literal["caller", "callee", "switch"] | None = None
    """Side that ended the calls."""
    answered: bool | None = None
    """Answered calls alone, or unanswered ones; None = both."""
    sip_call_id: str | None = None
    """Call-ID header of either side."""
    loss: bool = False
    """Whether only calls that cost more than they brought are wanted."""
    after: str | None = None
    """Calls that are listed after the one whose id begins so."""
    oldest_first: bool = False
    """Whether the call that began first comes first."""

    def __post_init__(self) -> None:
        require_agent(self.agent, is_whole=self.all)
        refuse_empty(self)


@needs(Permission.CALLS_SEE, by_account=True)
async def list_records(office: Office, who: Principal, order: ListRecords) -> AsyncGenerator[StoredCall, None]:
    """Yield the calls as they are read; an agent sees those that it or an account below it pays for.

    Raises:
        OrderError: a criterion is not for agents, or there is no such type of rates, or it is no currency.
        NoRecordError, AmbiguousCallError: ``after`` names no call, or several.
        UnknownNameError: there is no such end reason; or nothing fits, and a name is unknown.
        StoreUnavailable: the calls yielded so far are correct.
    """
    scope, queries = office.scope_of(who), office.stores.queries
    wanted = await _filter_of(office, scope, order)
    is_empty = True
    async with aclosing(queries.stream(wanted)) as calls:
        async for call in calls:
            is_empty = False
            yield _seen(call, scope)
    if is_empty and scope.agent is None:
        await check_names(wanted, office.definitions, office.stores, office.now())


@needs(Permission.CALLS_SEE, by_account=True)
async def are_more_records(office: Office, who: Principal, order: ListRecords, count: int) -> bool:
    """Return whether a listing has more calls than so many, whatever its limit. Raises as ``list_records`` does."""
    return await office.stores.queries.are_more(await _filter_of(office, office.scope_of(who), order), count)


async def _filter_of(office: Office, scope: Scope, order: ListRecords) -> CallFilter:
    queries = office.stores.queries
    if scope.agent is not None:
        _refuse(**{name: getattr(order, name) for name in _NOT_FOR_AGENTS})
    customers, named = scope.visible, {name for name in (order.account, order.customer) if name is not None}
    for account in named:
        scope.require_visible(account)
    position = None
    if order.after is not None:
        position = (await booked_call(queries, order.after, scope)).position
    reason = None if order.reason is None else end_reason(order.reason)
    rate_type = None if order.rate_type is None else _rate_type(order.rate_type)
    criteria = {name: value for name, value in asdict(order).items() if name not in _READ_HERE}
    criteria |= {"reason": reason, "rate_type": rate_type, "after": position}
    criteria |= {
        "currencies": _currencies("currency", order.currency),
        "vendor_currencies": _currencies("vendor_currency", order.vendor_currency),
    }
    if customers is not None:
        # An account below an agent may have carried calls as a vendor, too: those would say where they went.
        customers = customers.intersection(*({name} for name in named))
        criteria |= {"account": None, "customer": None}
    if order.agent is not None:
        below = accounts_below(office, scope, order.agent, is_whole=order.all)
        customers = below if customers is None else customers & below
    return CallFilter(**criteria, customers=customers)


class ShortenIds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Calls whose ids are to be shortened for people."""

    call_ids: tuple[str, ...]


@needs(Permission.CALLS_SEE, by_account=True)
async def shorten_ids(office: Office, who: Principal, order: ShortenIds) -> Mapping[str, str]:
    """Return the shortest beginning of each id that no other call has."""
    office.scope_of(who)  # an agent or a customer that is disabled may not
    return await office.stores.queries.short_ids(order.call_ids)


class ShowRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One call; the beginning of its id is enough."""

    call_id: str


class RecordSheet(msgspec.Struct, frozen=True, kw_only=True):
    """A call that is over."""

    record: CallRecord
    export_seq: int | None = None


@needs(Permission.CALLS_SEE, by_account=True)
async def show_record(office: Office, who: Principal, order: ShowRecord) -> RecordSheet:
    """Return a call; an agent sees it without the vendor's side.

    Raises:
        NoRecordError, AmbiguousCallError: no call has that id, or several have.
    """
    scope = office.scope_of(who)
    call = await _the_one(office.stores.queries, order.call_id, scope)
    if call is not None:
        return RecordSheet(record=call.record, export_seq=call.export_seq)
    if scope.agent is not None:
        raise NoRecordError(
            f"no call {order.call_id} of account {scope.agent} in the database; a call is booked a moment after it ends"
        )
    running = await _still_running(office, order.call_id)
    hint = "`ladder` draws what was said so far, vosd calls lists it"
    raise NoRecordError(f"call {running.call_id} still runs and has no CDR yet: {hint}")


class ShowCall(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One call, running or over; the beginning of its id is enough."""

    call_id: str


class CallSheet(msgspec.Struct, frozen=True, kw_only=True):
    """A call, running or over."""

    record: CallRecord
    """The CDR; a running call has the one that it would leave if it ended now."""
    export_seq: int | None = None
    description: CallDescription | None = None
    """None = it is over."""

    def document(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return the call for programs, with these columns of its record."""
        running, columns = self.description, json_object(self.record, self.export_seq)
        shown = {} if running is None else msgspec.structs.asdict(running)
        blank = () if running is None else _OF_THE_END
        return {
            "running": running is not None,
            **{name: shown.get(name) for name in _WHILE_IT_RUNS},
            "record": {key: None if key in blank else columns[key] for key in keys},
        }


_WHILE_IT_RUNS: Final = tuple(name for name in CallDescription.__struct_fields__ if name != "record")
_OF_THE_END: Final = frozenset({"ended_at", "end_reason", "hangup_source", "sip_code", "q850_cause", "reason_text"})


@needs(Permission.CALLS_SEE, by_account=True, without_database=True)
async def show_call(office: Office, who: Principal, order: ShowCall) -> CallSheet:
    """Return a call as it runs, else as it is recorded; an agent sees it without the vendor's side.

    Raises:
        NoRecordError, AmbiguousCallError: no call has that id, or several have.
        StoreUnavailable: it does not run, and the database is away.
    """
    scope = office.scope_of(who)
    try:
        running = await _described(office, order.call_id, scope)
    except NoDaemonError:
        running = None
    if running is None:
        sheet = await show_record(office, who, ShowRecord(call_id=order.call_id))
        return CallSheet(record=sheet.record, export_seq=sheet.export_seq)
    if scope.visible is None:
        return CallSheet(record=running.record, description=running)
    record = record_for_agent(running.record, scope.visible)
    view = msgspec.structs.replace(running.call, routing_gateway=None, vendor_account=None, rings_beside=[])
    running = msgspec.structs.replace(running, call=view, legs=running.legs[:1], record=record)
    return CallSheet(record=record, description=running)


async def _described(office: Office, beginning: str, scope: Scope) -> CallDescription | None:
    """Return the running call whose id begins so, of those in ``scope``; None = there is none.

    Raises:
        AmbiguousCallError: several do.
        NoDaemonError, DaemonUnreachableError, DaemonRefusedError: the switch does not run, or does not answer.
    """
    found = await office.switch.ask(DescribeCall(beginning))
    fitting, visible = found.fitting, scope.visible
    if visible is not None and len(fitting) > 1:
        paid = await office.switch.ask(ListCalls(fitting_names(visible)))
        calls = [call for call in paid if call.customer_account in visible]
        fitting = [call.call_id for call in calls if call.call_id.startswith(beginning)][:_CANDIDATES_SHOWN]
        found = await office.switch.ask(DescribeCall(fitting[0])) if len(fitting) == 1 else FoundCall([], None)
    if len(fitting) > 1:
        raise _several(beginning, fitting)
    running = found.description
    return running if running is None or visible is None or running.call.customer_account in visible else None


class ExplainRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Reasons why one call went where it did; the beginning of its id is enough."""

    call_id: str


@needs(Permission.CALLS_EXPLAIN)
async def explain_record(office: Office, who: Principal, order: ExplainRecord) -> dict[str, Any]:
    """Return the reasons, as they were noted when the call was set up.

    Raises:
        NoRecordError, AmbiguousCallError: no call has that id, or several have.
    """
    from vosd.admin.why import why  # loads much of the switch, which listings need not

    return why((await booked_call(office.stores.queries, order.call_id)).record)


class DrawRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Messages of one call, over or running, if the switch still has them; the beginning of its id is enough."""

    call_id: str


class DrawnRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A call with its messages."""

    sheet: RecordSheet | None
    """None = it runs."""
    traced: TracedCall
    left_out: int = 0
    """Later messages for which an answer of the switch had no room."""


@needs(Permission.CALLS_TRACE)
async def draw_record(office: Office, who: Principal, order: DrawRecord) -> Done[DrawnRecord]:
    """Return the messages; digest credentials and media keys are blanked. The audit has a line of every look.

    Raises:
        NoRecordError, AmbiguousCallError: no call has that id, or several have.
        NothingKeptError: its messages are not kept any more.
        DaemonUnreachableError: no switch runs that could have its messages.
    """
    call = await _the_one(office.stores.queries, order.call_id)
    if call is None:
        drawn = DrawnRecord(sheet=None, traced=await _still_running(office, order.call_id))
    else:
        found = await messages_of(office.switch, call.record)
        sheet = RecordSheet(record=call.record, export_seq=call.export_seq)
        drawn = DrawnRecord(sheet=sheet, traced=traced_call(call.record, found), left_out=found.left_out)
    return await office.noted(drawn, who, order, drawn.traced.call_id)


async def _still_running(office: Office, beginning: str) -> TracedCall:
    """Return a running call; raises NoRecordError where there is none."""
    try:
        running = await running_call(office.switch, beginning)
    except NoDaemonError:
        running = None
    if running is None:
        message = f"no call {beginning} in the database, and none runs; a call is booked a moment after it ends"
        raise NoRecordError(message)
    return running


class ShowCharges(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Charges of one call; the beginning of its id is enough."""

    call_id: str


@needs(Permission.BOOKS_SEE)
async def show_charges(office: Office, who: Principal, order: ShowCharges) -> tuple[ChargeRow, ...]:
    """Return what everyone pays or is paid for a call, with the steps; also of a call that leaves no CDR.

    Raises:
        NoRecordError, AmbiguousCallError: no call has that id, or several have.
    """
    stores, beginning = office.stores, order.call_id
    call = await _the_one(stores.queries, beginning)
    if call is not None:
        return with_breakdowns(call.record)
    found = await stores.charges_beginning(beginning, limit=2)
    if not found:
        raise NoRecordError(f"no call {beginning} in the database has charges")
    if len(found) > 1:
        raise _several(beginning, found)
    return tuple(next(iter(found.values())))


async def booked_call(queries: "SqlQueries", beginning: str, scope: Scope | None = None) -> StoredCall:
    """Return the call whose id begins so, of those in ``scope`` and as it shows it.

    Raises:
        NoRecordError, AmbiguousCallError: there is none, or several are.
    """
    call = await _the_one(queries, beginning, scope)
    if call is None:
        raise NoRecordError(f"no call {beginning} in the database: say the id of a call that has a CDR")
    return call


async def _the_one(queries: "SqlQueries", beginning: str, scope: Scope | None = None) -> StoredCall | None:
    call_id_of(beginning)
    visible = None if scope is None else scope.visible
    found = await queries.calls_beginning(beginning, CallFilter(limit=_CANDIDATES_SHOWN + 1, customers=visible))
    if len(found) <= 1:
        return (found[0] if scope is None else _seen(found[0], scope)) if found else None
    listed = [
        f"{call.record.call_id}  {call.record.caller_in} -> {call.record.callee_in}"
        for call in found[:_CANDIDATES_SHOWN]
    ]
    raise _several(beginning, [*listed, "..."] if len(found) > _CANDIDATES_SHOWN else listed)


def _several(beginning: str, listed: Iterable[str]) -> AmbiguousCallError:
    return AmbiguousCallError("\n  ".join([f"several calls begin with {beginning}, say more of the id:", *listed]))


def _seen(call: StoredCall, scope: Scope) -> StoredCall:
    return call if scope.visible is None else call._replace(record=record_for_agent(call.record, scope.visible))


def _rate_type(text: str) -> str:
    """Return a type of rates as calls have it, empty for those without; raises OrderError."""
    if text == NO_RATE_TYPE:
        return ""
    types = [each.value for each in RateType]
    if text not in types:
        expected = f"is {text!r}, which is no type of rates: {NO_RATE_TYPE}, {', '.join(types)}"
        raise OrderError("rate_type", expected)
    return text


def _currencies(field: str, text: str | None) -> frozenset[str] | None:
    """Return currencies as calls have them, empty for those without; raises OrderError."""
    if text is None:
        return None
    names = [each.strip() for each in text.split(",")]
    for name in names:
        if name != NO_CURRENCY and _CURRENCY.fullmatch(name) is None:
            expected = f"has {name!r}, which is no currency: three capital letters such as EUR, or {NO_CURRENCY}"
            raise OrderError(field, expected)
    return frozenset("" if name == NO_CURRENCY else name for name in names)


def _refuse(**given: object) -> None:
    """Refuse criteria that agents and customers have not; raises OrderError."""
    for field, value in given.items():
        if value:
            raise OrderError(field, "is not for agents and customers")
