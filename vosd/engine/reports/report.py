"""One report of the state of a call: what it says, and its number in the order of the call.

Pure. Every report has the same keys, with the names of the CDR's columns; what is not known yet is null.
"""

from collections import Counter
from typing import Final, NamedTuple

import msgspec

from vosd.b2bua.stamps import Arrival, Journey
from vosd.base.cause import EndReason, HangupSource
from vosd.base.money import format_amount
from vosd.base.text import escaped
from vosd.callcontrol.call_request import CallRequest
from vosd.cdr.columns import iso_utc
from vosd.cdr.record import CallRecord
from vosd.cdr.shown import shown_as
from vosd.control.call_states import CallStateReport
from vosd.engine.settings import CallReportState
from vosd.routing.pipeline import RouteChoice

TEXT_MAX: Final = 256
"""Longest text of a peer that a report has, in characters."""
_STEP: Final = 3
"""States that a call may report for each attempt."""
_LAST_SEQ: Final = 1_000_000
"""Sequence number of the end of a call whose attempts are not known: greater than all before."""
_encode: Final = msgspec.json.Encoder().encode


class CallReport(NamedTuple):
    """One report that waits to be delivered."""

    number: int
    """Number among all reports of the switch, in the order in which they were made; a restart goes on with it."""
    call_id: str
    made_at: int
    """UTC milliseconds."""
    body: bytes
    """JSON, without line breaks."""


def of_running_call(
    node: str,
    arrival: Arrival,
    journey: Journey,
    request: CallRequest,
    choice: RouteChoice | None,
    state: CallReportState,
    mono_ms: int,
) -> CallStateReport:
    """Return the report that a call has come into a state before its end, at ``mono_ms`` of the monotonic clock.

    ``choice`` is the route that is tried, or that has answered.
    """
    epoch = arrival.at.wall - arrival.at.mono
    ringing, answered, begun = journey.ringing_at, journey.answered_at, len(journey.sip_call_ids_out)
    seq, at = _STEP * begun + 1, iso_utc(epoch + mono_ms)
    ringing_at = iso_utc(epoch + ringing.mono) if ringing else None
    if state is CallReportState.RINGING:
        seq, ringing_at = _STEP * begun - 1, ringing_at or at
    rings_beside = _called_beside(journey) if state is CallReportState.RINGING and journey.rung_together else None
    rate = request.rate if state is CallReportState.ANSWERED else None
    return CallStateReport(
        id=f"{arrival.call_id}-{seq}",
        seq=seq,
        node=node,
        call_id=arrival.call_id,
        state=state.value,
        at=at,
        mapping_gateway=request.mapping.name if request.mapping else None,
        routing_gateway=choice.gateway.name if choice else None,
        customer_account=request.account.id if request.account else None,
        vendor_account=choice.gateway.account if choice else None,
        caller_in=arrival.caller_in[:TEXT_MAX],
        callee_in=arrival.callee_in[:TEXT_MAX],
        caller_out=choice.caller_out if choice else None,
        callee_out=choice.callee_out if choice else None,
        callee_billing=request.callee_billing or None,
        sip_call_id_in=arrival.sip_call_id_in[:TEXT_MAX],
        source_address=arrival.source_address,
        started_at=iso_utc(arrival.at.wall),
        ringing_at=ringing_at,
        answered_at=iso_utc(epoch + answered.mono) if answered else None,
        sip_code=200 if state is CallReportState.ANSWERED else None,
        codec=journey.codec if state is CallReportState.ANSWERED else None,
        price_per_minute=None if rate is None else format_amount(rate.price_per_minute),
        currency=None if rate is None else rate.paid_in or rate.currency,
        rings_beside=rings_beside,
    )


def _called_beside(journey: Journey) -> list[str]:
    """Return the phones that are called beside the foremost one; attempts that have ended have no Call-ID."""
    foremost = journey.foremost_call_id or journey.sip_call_ids_out[-1]
    called = Counter(gateway for sip_call_id, gateway in journey.rung_together if sip_call_id != foremost)
    called.subtract(each.gateway for each in journey.attempts)
    return [*called.elements()]


def of_ended_call(record: CallRecord) -> CallStateReport:
    """Return the report that a call has ended, by its record."""
    seq = _STEP * len(record.attempts) + _STEP
    return shown_as(
        CallStateReport,
        record,
        id=f"{record.call_id}-{seq}",
        seq=seq,
        state=CallReportState.ENDED.value,
        at=iso_utc(record.ended_at),
        caller_in=record.caller_in[:TEXT_MAX],
        callee_in=record.callee_in[:TEXT_MAX],
        sip_call_id_in=record.sip_call_id_in[:TEXT_MAX],
        reason_text=record.reason_text[:TEXT_MAX] if record.reason_text else None,
    )


def of_lost_call(node: str, call_id: str, wall_ms: int) -> CallStateReport:
    """Return the report that a call has ended with the process that set it up; nothing else is known of it."""
    reason = EndReason.LOST
    return CallStateReport(
        id=f"{call_id}-{_LAST_SEQ}",
        seq=_LAST_SEQ,
        node=node,
        call_id=call_id,
        state=CallReportState.ENDED.value,
        at=iso_utc(wall_ms),
        ended_at=iso_utc(wall_ms),
        q850_cause=reason.q850_cause,
        hangup_source=HangupSource.SWITCH.text,
        end_reason=reason.text,
    )


def encoded(report: msgspec.Struct) -> bytes:
    """Return a report or a record as JSON; text of peers may hold bytes that are not UTF-8, which are escaped."""
    try:
        return _encode(report)
    except UnicodeEncodeError:
        return _encode(escaped(report))
