"""Operations about running calls and call detail records."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from http import HTTPStatus
from typing import Any, Final

import msgspec

from vosd.admin.office.calls import (
    DrawRunningCall,
    HangUp,
    ListRunningCalls,
    draw_running_call,
    hang_up,
    list_running_calls,
)
from vosd.admin.office.corrections import (
    CorrectCall,
    CorrectedCall,
    CorrectionSheet,
    ListCorrections,
    correct_call,
    list_corrections,
)
from vosd.admin.office.office import Done, Office
from vosd.admin.office.permissions import Permission
from vosd.admin.office.principal import Principal
from vosd.admin.office.records import (
    ListRecords,
    ShowCharges,
    ShowRecord,
    list_records,
    show_charges,
    show_record,
)
from vosd.admin.tracing import call_json
from vosd.api.operation import Listing, Operation, permission_of
from vosd.cdr.columns import KEYS, KEYS_FOR_AGENTS, charge_object, json_object
from vosd.cdr.record import CallRecord
from vosd.control.calls import CallSelection, CallSnapshot, HangupOutcome

_OBJECT: Final = dict[str, Any]


class EndCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Order to end one running call; the beginning of its id is enough."""

    call_id: str


async def end_call(office: Office, who: Principal, order: EndCall) -> Done[HangupOutcome]:
    """End a call."""
    return await hang_up(office, who, HangUp(CallSelection(call_id=order.call_id)))


async def draw_call(office: Office, who: Principal, order: DrawRunningCall) -> dict[str, Any]:
    """Return the messages of a running call."""
    return call_json(await draw_running_call(office, who, order))


async def list_cdrs(office: Office, who: Principal, order: ListRecords) -> AsyncIterator[dict[str, Any]]:
    """Yield the records as the principal sees them."""
    async with aclosing(list_records(office, who, order)) as calls:
        async for call in calls:
            yield _shown(who, call.record, call.export_seq)


async def show_cdr(office: Office, who: Principal, order: ShowRecord) -> dict[str, Any]:
    """Return one record, or why its call went where it did."""
    found = await show_record(office, who, order)
    if found.why is not None:
        return found.why
    assert found.record is not None
    return _shown(who, found.record, found.export_seq)


async def list_charges(office: Office, who: Principal, order: ShowCharges) -> list[dict[str, Any]]:
    """Return the charges of a call with their steps."""
    return [charge_object(each) for each in await show_charges(office, who, order)]


def _shown(who: Principal, record: CallRecord, export_seq: int | None) -> dict[str, Any]:
    shown = json_object(record, export_seq)
    return shown if who.account is None else {key: shown[key] for key in KEYS_FOR_AGENTS}


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/calls",
        meaning="The running calls.",
        permission=permission_of(list_running_calls),
        takes=ListRunningCalls,
        run=list_running_calls,
        result=CallSnapshot,
        needs_database=False,
        listing=Listing("call_id", filters=("state", "caller", "callee"), sorts=("call_id", "age_s", "talk_s")),
    ),
    Operation(
        method="DELETE",
        path="/calls/{call_id}",
        meaning="Hang up a running call.",
        permission=permission_of(hang_up),
        takes=EndCall,
        run=end_call,
        result=Done[HangupOutcome],
        needs_database=False,
    ),
    Operation(
        method="GET",
        path="/calls/{call_id}/ladder",
        meaning="Messages of a running call so far; digest credentials and media keys are blanked.",
        permission=permission_of(draw_running_call),
        takes=DrawRunningCall,
        run=draw_call,
        result=_OBJECT,
        needs_database=False,
    ),
    Operation(
        method="GET",
        path="/cdrs",
        meaning="Call detail records, the newest first.",
        permission=permission_of(list_records),
        takes=ListRecords,
        run=list_cdrs,
        result=_OBJECT,
        listing=Listing("call_id", cursor="before", limit="limit", columns=KEYS),
    ),
    Operation(
        method="GET",
        path="/cdrs/{call_id}",
        meaning="One call with attempts and breakdown; the beginning of its id is enough.",
        permission=permission_of(show_record),
        takes=ShowRecord,
        run=show_cdr,
        result=_OBJECT,
        fixed={"messages": False, "why": False},
    ),
    Operation(
        method="GET",
        path="/cdrs/{call_id}/why",
        meaning="Reasons why a call went where it did.",
        permission=Permission.CALLS_SEE,
        takes=ShowRecord,
        run=show_cdr,
        result=_OBJECT,
        fixed={"messages": False, "why": True},
    ),
    Operation(
        method="GET",
        path="/cdrs/{call_id}/charges",
        meaning="Charges of every party of a call, with their steps.",
        permission=permission_of(show_charges),
        takes=ShowCharges,
        run=list_charges,
        result=list[dict[str, Any]],
    ),
    Operation(
        method="GET",
        path="/cdrs/{call_id}/corrections",
        meaning="Corrections of the charges of a call, in the order in which they were made.",
        permission=permission_of(list_corrections),
        takes=ListCorrections,
        run=list_corrections,
        result=list[CorrectionSheet],
    ),
    Operation(
        method="POST",
        path="/cdrs/{call_id}/corrections",
        meaning="Set charges of a call right; the ledger gets entries of the difference.",
        permission=permission_of(correct_call),
        takes=CorrectCall,
        run=correct_call,
        result=CorrectedCall,
        status=HTTPStatus.CREATED,
        reference="reference",
    ),
)
