"""Everything about the calls to a number on one page: from the database, and from the switch where it runs.

The log is not read: it belongs to the system's journal. Each call names the span in which to look there.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from msgspec.structs import asdict

from vosd.admin.advice import Advice, advice
from vosd.admin.names import check_names
from vosd.admin.office.criteria import refuse_empty
from vosd.admin.office.office import Office, needs
from vosd.admin.office.principal import OrderError, Permission, Principal
from vosd.admin.tracing import NothingKeptError, messages_json, messages_of, running_call, traced_call
from vosd.admin.why import why
from vosd.base.ids import beginning_of
from vosd.base.number import for_matching
from vosd.cdr.columns import attempt_object, charge_object, iso_utc
from vosd.cdr.record import CallRecord
from vosd.control.calls import CallSnapshot, ListCalls
from vosd.control.client import DaemonUnreachableError, RunningSwitch
from vosd.obs.traced import TracedCall
from vosd.storage.ports import CallFilter

MORE_COUNTED: Final = 100
"""Calls beyond the limit that are counted."""
_DAY_MS: Final = 86_400_000
_CHARGE: Final = ("role", "account", "level", "rate_group", "rate_prefix", "billed_seconds", "fee", "tax", "currency")


class EndedCall(NamedTuple):
    """A call with a CDR."""

    record: CallRecord
    traced: TracedCall | None
    """None = its messages are not kept any more, or no switch runs."""


class GoingOn(NamedTuple):
    """A call without a CDR yet."""

    shown: CallSnapshot
    """As ``vosd calls`` lists it."""
    traced: TracedCall | None


class WhyPage(NamedTuple):
    """Calls that were found, the newest first."""

    is_live: bool
    """Whether the switch was asked."""
    running: Sequence[GoingOn]
    ended: Sequence[EndedCall]
    more: int
    """Calls that fit and are older; at most ``MORE_COUNTED`` are counted."""
    unaudited: str = ""
    """Why the audit has no line of the look at messages; empty if it has one, or if there were none."""


class ExplainCalls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The calls to explain; all given criteria must hold, and one of the first five must be given."""

    callee: str | None = None
    caller: str | None = None
    account: str | None = None
    gateway: str | None = None
    """Gateway or phone of either side."""
    call_id: str | None = None
    """The beginning of the id of one call alone, or a Call-ID of its messages."""
    since: int | None = None
    """Beginning of the span of the INVITEs; without it and without ``call_id`` the last 24 hours."""
    until: int | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 5
    """Most calls that are over."""

    def __post_init__(self) -> None:
        refuse_empty(self)
        if all(each is None for each in (self.callee, self.caller, self.account, self.gateway, self.call_id)):
            raise OrderError("callee", "or `caller`, `account`, `gateway` or `call_id` is needed: say which calls")


@needs(Permission.CALLS_EXPLAIN)
async def explain_calls(office: Office, who: Principal, order: ExplainCalls) -> WhyPage:
    """Return the calls that fit; running ones however long ago they began, by the number that is billed.

    Messages are shown to those alone who may trace calls, and the audit has a line of it then.

    Raises:
        UnknownNameError: no call fits, and the account or the gateway is unknown.
    """
    queries, switch, call_id = office.stores.queries, office.switch, order.call_id
    may_trace = Permission.CALLS_TRACE in who.permissions
    since = office.now() - _DAY_MS if order.since is None and call_id is None else order.since
    given = {name: value for name, value in asdict(order).items() if name != "call_id"}
    wanted = CallFilter(**given | {"since": since})
    beginning = "" if call_id is None else beginning_of(call_id)
    try:
        running = await _running(switch, wanted, beginning, may_trace=may_trace)
        is_live = True
    except DaemonUnreachableError:
        running, is_live = [], False
    counted = replace(wanted, limit=wanted.limit + MORE_COUNTED)
    found = await queries.calls_beginning(beginning, counted) if beginning else ()
    if not found:
        found = await queries.calls(replace(counted, sip_call_id=call_id))
    over = {call.record.call_id for call in found}
    ended = [
        EndedCall(call.record, await _messages(switch, call.record) if is_live and may_trace else None)
        for call in found[: wanted.limit]
    ]
    running = [each for each in running if each.shown.call_id not in over]
    if not found and not running:
        await check_names(wanted, office.definitions, office.stores, office.now())
    page = WhyPage(is_live, running, ended, max(0, len(found) - wanted.limit))
    shown = [call.traced for call in running if call.traced is not None]
    shown += [call.traced for call in ended if call.traced is not None]
    if not shown:
        return page
    done = await office.noted(page, who, order, shown[0].call_id)
    return page._replace(unaudited=done.unaudited)


async def _running(
    switch: RunningSwitch, wanted: CallFilter, beginning: str | None, *, may_trace: bool
) -> list[GoingOn]:
    """Return the running calls that fit, the newest first; none by a Call-ID of messages (no ``beginning``)."""
    fitting = [
        row
        for row in await switch.ask(ListCalls())
        if beginning is not None
        and row.call_id.startswith(beginning)
        and _is_one(wanted.account, row.customer_account, row.vendor_account)
        and _is_one(wanted.gateway, row.mapping_gateway, row.routing_gateway)
        and _begins(row.callee, wanted.callee)
        and _begins(row.caller, wanted.caller)
        and (wanted.until is None or row.started_at < iso_utc(wanted.until))
    ]
    shown = fitting[: -wanted.limit - 1 : -1]
    return [GoingOn(row, await running_call(switch, row.call_id) if may_trace else None) for row in shown]


def _is_one(wanted: str | None, *names: str | None) -> bool:
    return wanted is None or wanted in names


def _begins(number: str | None, beginning: str | None) -> bool:
    return beginning is None or for_matching(number or "").startswith(for_matching(beginning))


async def _messages(switch: RunningSwitch, record: CallRecord) -> TracedCall | None:
    try:
        return traced_call(record, await messages_of(switch, record))
    except (NothingKeptError, DaemonUnreachableError):
        return None


def source_of(record: CallRecord) -> str:
    """Return where a call came from, for people."""
    if record.mapping_gateway is not None:
        return record.mapping_gateway
    return "a test call (vosd call test)" if record.is_test else "an unknown source"


def headline(record: CallRecord, found: Advice) -> str:
    """Return why a call ended, in one sentence."""
    said = found.said
    if record.answered_at is None:
        return f"{record.end_reason}, {record.sip_code or 'no code'}: {said}"
    seconds = record.hold_time_ms / 1_000
    return f"{record.end_reason}: {said} They talked for {seconds:.3f} s; ended by: {record.hangup_source}."


def call_json(call: EndedCall) -> dict[str, Any]:
    """Return the JSON object of a call that is over; its keys are stable."""
    record = call.record
    found = why(record)
    read_first = advice(record, found["refusal"])
    return {
        "call_id": record.call_id,
        "headline": headline(record, read_first),
        "todo": read_first.todo or None,
        "end_reason": record.end_reason,
        "sip_code": record.sip_code,
        "reason_text": record.reason_text,
        "hangup_source": record.hangup_source,
        "started_at": iso_utc(record.started_at),
        "answered_at": None if record.answered_at is None else iso_utc(record.answered_at),
        "ended_at": iso_utc(record.ended_at),
        "caller_in": record.caller_in,
        "callee_in": record.callee_in,
        "callee_out": record.callee_out,
        "mapping_gateway": record.mapping_gateway,
        "source_address": record.source_address,
        "customer_account": record.customer_account,
        "refusal": found["refusal"],
        "signature": found["signature"],
        "plan": found["plan"],
        "attempts": [attempt_object(each) for each in record.attempts],
        "left": found["left"],
        "more_left": found["more_left"],
        "is_kept": found["is_kept"],
        "charges": [{key: charge_object(each)[key] for key in _CHARGE} for each in record.charges],
        "messages": None if call.traced is None else messages_json(call.traced.messages),
        "log": log_command(record),
    }


def page_json(page: WhyPage) -> dict[str, Any]:
    """Return the JSON document of ``vosd why``."""
    return {
        "live": page.is_live,
        "running": [
            {**asdict(each.shown), "messages": None if each.traced is None else messages_json(each.traced.messages)}
            for each in page.running
        ],
        "calls": [call_json(each) for each in page.ended],
        "more": page.more,
    }


def log_command(record: CallRecord) -> str:
    """Return the command that shows what the log of a switch under systemd says of the time of a call."""
    since, until = record.started_at // 1_000, record.ended_at // 1_000 + 2
    return f'journalctl -u vosd --since @{since} --until @{until} -g \'{record.call_id}|"warning"|"error"\''
