"""Operations about running calls and call detail records."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec

from vosd.admin.office.calls import (
    DrawRunningCall,
    HangUp,
    draw_running_call,
    hang_up,
    list_running_calls,
    make_test_call,
)
from vosd.admin.office.corrections import correct_call, list_corrections
from vosd.admin.office.office import Done, Office
from vosd.admin.office.principal import Principal
from vosd.admin.office.records import (
    DrawRecord,
    ListRecords,
    ShowCall,
    ShowCharges,
    ShowRecord,
    are_more_records,
    draw_record,
    explain_record,
    list_records,
    show_call,
    show_charges,
    show_record,
)
from vosd.admin.office.why import explain_calls, page_json
from vosd.admin.tracing import call_json
from vosd.api.operation import Listing, Operation
from vosd.api.operations.traces import FORMS
from vosd.cdr.columns import CHARGE_COLUMNS, COLUMNS, KEYS, KEYS_FOR_AGENTS, OF_VENDOR, charge_object, json_object
from vosd.cdr.kinds import Column, ColumnKind
from vosd.cdr.record import CallRecord
from vosd.control.calls import TALK_S_MAX, CallSelection, HangupOutcome, MakeTestCall, TrialReport
from vosd.obs.traced import TracedCall

_OBJECT: Final = dict[str, Any]
_INDEXED: Final = (
    *("since", "ended_since", "account", "customer", "vendor", "gateway", "mapping_gateway", "routing_gateway"),
    *("caller", "callee", "reason", "sip_call_id"),
)

_READ_ALL: Final = (
    *("answered", "area", "currency", "hangup_source", "loss", "rate_type", "sip_code", "vendor_currency"),
)


def _amounts_among(columns: Sequence[Column]) -> dict[str, bool]:
    return {each.name: each.kind is ColumnKind.AMOUNT for each in columns}


class EndCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Order to end one running call; the beginning of its id is enough."""

    call_id: str


async def end_call(office: Office, who: Principal, order: EndCall) -> Done[HangupOutcome]:
    """End a call."""
    return await hang_up(office, who, HangUp(CallSelection(call_id=order.call_id)))


class EndCalls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Order to end the calls that match every field given; without ``confirm`` only where that is one."""

    account: str | None = None
    """Account of the customer or of the vendor."""
    gateway: str | None = None
    """Mapping or routing."""
    prefix: str | None = None
    """Beginning of the called number as it is rated."""
    older_than_s: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """Seconds since the INVITE arrived."""
    is_confirmed: bool = False
    """Also where several match."""


async def end_calls(office: Office, who: Principal, order: EndCalls) -> Done[HangupOutcome]:
    """End the calls of a selection."""
    selection = CallSelection(
        account=order.account, gateway=order.gateway, prefix=order.prefix, older_than_s=order.older_than_s
    )
    return await hang_up(office, who, HangUp(selection, ends_many=order.is_confirmed))


async def draw_call(office: Office, who: Principal, order: DrawRunningCall) -> TracedCall:
    """Return the messages of a running call."""
    return (await draw_running_call(office, who, order)).outcome


async def draw_cdr(office: Office, who: Principal, order: DrawRecord) -> TracedCall:
    """Return the messages of a call that is over, or runs."""
    return (await draw_record(office, who, order)).outcome.traced


async def make_call(office: Office, who: Principal, order: MakeTestCall) -> TrialReport:
    """Make a test call, and return its outcome with all steps."""
    report: TrialReport | None = None
    async with aclosing(make_test_call(office, who, order)) as updates:
        async for update in updates:
            report = update.report or report
    assert report is not None, "else it was an error"
    return report


async def list_cdrs(office: Office, who: Principal, order: ListRecords) -> AsyncIterator[dict[str, Any]]:
    """Yield the records as the principal sees them."""
    async with aclosing(list_records(office, who, order)) as calls:
        async for call in calls:
            yield _shown(who, call.record, call.export_seq)


async def show_cdr(office: Office, who: Principal, order: ShowRecord) -> dict[str, Any]:
    """Return one record."""
    found = await show_record(office, who, order)
    return _shown(who, found.record, found.export_seq)


async def show_one_call(office: Office, who: Principal, order: ShowCall) -> dict[str, Any]:
    """Return a call, running or over."""
    return (await show_call(office, who, order)).document(KEYS if who.account is None else KEYS_FOR_AGENTS)


async def list_charges(office: Office, who: Principal, order: ShowCharges) -> list[dict[str, Any]]:
    """Return the charges of a call with their steps."""
    return [charge_object(each) for each in await show_charges(office, who, order)]


def _shown(who: Principal, record: CallRecord, export_seq: int | None) -> dict[str, Any]:
    shown = json_object(record, export_seq)
    return shown if who.account is None else {key: shown[key] for key in KEYS_FOR_AGENTS}


_RINGING_S: Final = 180
"""Longest time of a test call until its answer, with all repetitions."""

_NAMED: Final = (
    "state", "caller", "callee", "customer_account", "vendor_account", "mapping_gateway", "routing_gateway",
)  # fmt: skip
_OF_TEST: Final = (
    "daemon_refused", "daemon_unreachable", "gateway_busy", "stopping", "trunk_under_test", "unknown_name",
)  # fmt: skip
_OF_CORRECTION: Final = (
    "ambiguous_call", "balance_too_large", "no_record", "no_such_call", "no_such_charge", "other_currency",
    "reference_taken",
)  # fmt: skip

OPERATIONS: Final = (
    Operation(
        "GET /calls",
        "The running calls.",
        list_running_calls,
        problems=("daemon_unreachable", "out_of_scope", "unknown_account", "unknown_name"),
        listing=Listing(
            "call_id",
            filters=_NAMED,
            sorts=(
                *("call_id", "started_at", "answered_at", "age_s", "talk_s", "state", "caller", "callee"),
                *("customer_account", "vendor_account", "mapping_gateway", "routing_gateway"),
            ),
            still={"age_s": "-started_at", "talk_s": "-answered_at"},
            for_operators=frozenset({"routing_gateway", "vendor_account", "rings_beside"}),
        ),
    ),
    Operation(
        "GET /calls/{call_id}",
        "One call: legs, timers, attempts and charges so far while it runs, else its record.",
        show_one_call,
        use_case=show_call,
        problems=("ambiguous_call", "daemon_unreachable", "no_record"),
    ),
    Operation(
        "DELETE /calls/{call_id}",
        "Hang up a running call.",
        end_call,
        use_case=hang_up,
        problems=("ambiguous_call", "daemon_refused", "daemon_unreachable", "not_running"),
    ),
    Operation(
        "POST /calls/hangup",
        "Hang up the running calls that match every field given.",
        end_calls,
        use_case=hang_up,
        problems=("daemon_refused", "daemon_unreachable", "too_many_calls", "unknown_name"),
    ),
    Operation(
        "POST /calls/test",
        "Call a number through one gateway, without a customer, and return the outcome; the vendor charges it.",
        make_call,
        use_case=make_test_call,
        problems=_OF_TEST,
        patience_s=_RINGING_S + TALK_S_MAX,
    ),
    Operation(
        "GET /calls/why",
        "The calls to a number, of an account or of a gateway: why they ended as they did, with every detail.",
        explain_calls,
        result=_OBJECT,
        shown=page_json,
        problems=("ambiguous_call", "no_record", "unknown_account", "unknown_name"),
    ),
    Operation(
        "GET /calls/{call_id}/ladder",
        "Messages of a running call so far; digest credentials and media keys are blanked.",
        draw_call,
        use_case=draw_running_call,
        result=_OBJECT,
        problems=("ambiguous_call", "daemon_refused", "daemon_unreachable", "not_running", "nothing_kept"),
        shown=call_json,
        forms=FORMS,
    ),
    Operation(
        "GET /cdrs",
        "Call detail records, the newest first, or the oldest first.",
        list_cdrs,
        use_case=list_records,
        problems=("ambiguous_call", "no_record", "out_of_scope", "unknown_account", "unknown_name"),
        fixed={"oldest_first": False},
        listing=Listing(
            "call_id",
            sorts=("started_at",),
            by="started_at",
            descends=True,
            in_parts=True,
            backwards="oldest_first",
            columns=_amounts_among(COLUMNS),
            for_operators=OF_VENDOR,
            other_names={"end_reason": "reason", "customer_account": "customer", "vendor_account": "vendor"},
            unindexed=dict.fromkeys(_READ_ALL, _INDEXED),
            are_more=are_more_records,
        ),
    ),
    Operation(
        "GET /cdrs/{call_id}",
        "One call with attempts and breakdown; the beginning of its id is enough.",
        show_cdr,
        use_case=show_record,
        problems=("ambiguous_call", "no_record"),
    ),
    Operation(
        "GET /cdrs/{call_id}/why",
        "Reasons why a call went where it did, as they were noted when it was set up.",
        explain_record,
        problems=("ambiguous_call", "no_record"),
    ),
    Operation(
        "GET /cdrs/{call_id}/ladder",
        "Messages of a call, while the switch has them; digest credentials and media keys are blanked.",
        draw_cdr,
        use_case=draw_record,
        result=_OBJECT,
        problems=("ambiguous_call", "daemon_refused", "daemon_unreachable", "no_record", "nothing_kept"),
        shown=call_json,
        forms=FORMS,
    ),
    Operation(
        "GET /cdrs/{call_id}/charges",
        "Charges of every party of a call, with their steps.",
        list_charges,
        use_case=show_charges,
        problems=("ambiguous_call", "no_record"),
        listing=Listing(columns=_amounts_among(CHARGE_COLUMNS)),
    ),
    Operation(
        "GET /cdrs/{call_id}/corrections",
        "Corrections of the charges of a call, in the order in which they were made.",
        list_corrections,
        problems=("ambiguous_call", "no_record"),
        listing=Listing(),
    ),
    Operation(
        "POST /cdrs/{call_id}/corrections",
        "Set charges of a call right; the ledger gets entries of the difference.",
        correct_call,
        problems=_OF_CORRECTION,
        status=HTTPStatus.CREATED,
        reference="reference",
    ),
)
