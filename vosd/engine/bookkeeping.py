"""From a call to its record: what it will say, what it costs, what it books.

There is one calculator: a call that ends, a call that the crash of the switch cut off, and a call that was refused
all become a ``CallRecord`` here. Pure.
"""

from collections.abc import Sequence

import msgspec

from vosd.b2bua.stamps import Arrival, Ending, Journey
from vosd.base.cause import EndReason, HangupSource
from vosd.base.clock import Instant
from vosd.billing.entries import CallEntry, customer_posting, vendor_posting
from vosd.billing.rater import breakdown, rate_call
from vosd.billing.rates import AppliedRate
from vosd.cdr.columns import iso_utc
from vosd.cdr.record import Attempt, CallRecord, Posting
from vosd.engine.admission import Application


class OpenCall(msgspec.Struct, frozen=True, tag="answered"):
    """An answered call as the journal keeps it: the record it would leave if nothing more were heard of it."""

    record: CallRecord
    """Unpriced, ended as ``Lost`` at the instant of its answer."""
    customer_rate: AppliedRate | None
    vendor_rate: AppliedRate | None
    answered_mono: int


_encode_breakdown = msgspec.json.Encoder().encode


def draft(
    node: str, arrival: Arrival, application: Application, journey: Journey, ending: Ending, *, recorded: bool
) -> CallRecord:
    """Write down a call that was not answered, or one that was at the moment of its answer; neither costs anything."""
    at, choice, rate, account = arrival.at, journey.choice, application.rate, application.account
    answered, ringing, progress = journey.answered_at, journey.ringing_at, journey.progress_at
    return CallRecord(
        call_id=arrival.call_id,
        node=node,
        mapping_gateway=application.mapping.name if application.mapping else None,
        routing_gateway=choice.gateway.name if choice else None,
        customer_account=account.id if account else None,
        vendor_account=choice.gateway.account if choice else None,
        currency=rate.currency if rate else account.currency if account else None,
        caller_in=arrival.caller_in,
        callee_in=arrival.callee_in,
        caller_out=choice.caller_out if choice else None,
        callee_out=choice.callee_out if choice else None,
        callee_billing=application.callee_billing or None,
        sip_call_id_in=arrival.sip_call_id_in,
        sip_call_id_out=journey.sip_call_id_out,
        source_address=arrival.source_address,
        destination_address=journey.destination_address,
        codec=journey.codec,
        started_at=at.wall,
        ringing_at=ringing.wall if ringing else None,
        answered_at=answered.wall if answered else None,
        ended_at=ending.at.wall,
        pdd_ms=progress.mono - at.mono if progress else None,
        rate_group=rate.group if rate else None,
        rate_prefix=rate.rate.prefix if rate else None,
        rate_area=(rate.rate.area or None) if rate else None,
        hangup_source=ending.source.value,
        end_reason=ending.reason.value,
        sip_code=ending.sip_code,
        q850_cause=ending.q850_cause,
        attempts=tuple(journey.attempts),
        recorded=recorded,
    )


def conclude(
    call: OpenCall, ending: Ending, codec: str | None, *, recorded: bool, strays: Sequence[Attempt] = ()
) -> CallRecord:
    """End an answered call: how long it was, what both parties pay for it, which ledger entries that makes.

    ``strays`` are answers that came after the one which won (a forked INVITE, a gateway given up).
    The duration is that of the monotonic clock (REQ_BILLING DUR-26), never negative.
    """
    record, customer, vendor = call.record, call.customer_rate, call.vendor_rate
    hold_ms = max(0, ending.at.mono - call.answered_mono)
    changes: dict[str, object] = {
        "ended_at": (record.answered_at or record.started_at) + hold_ms,
        "hold_time_ms": hold_ms,
        "codec": codec,
        "hangup_source": ending.source.value,
        "end_reason": ending.reason.value,
        "sip_code": ending.sip_code,
        "q850_cause": ending.q850_cause,
        "recorded": recorded,
        "attempts": (*record.attempts, *strays),
    }
    steps: dict[str, object] = {}
    postings: list[Posting] = []
    if customer is not None and record.customer_account is not None:
        charge = rate_call(customer, hold_ms)
        changes["hold_time_s"] = charge.hold_time_s
        changes["billed_seconds"] = charge.billed_seconds
        changes["fee"], changes["tax"] = charge.fee, charge.tax
        steps["customer"] = breakdown(customer, charge)
        _append(postings, customer_posting(record.call_id, record.customer_account, charge))
    if vendor is not None and record.vendor_account is not None:
        charge = rate_call(vendor, hold_ms)
        changes["vendor_billed_seconds"] = charge.billed_seconds
        changes["cost"], changes["cost_tax"] = charge.fee, charge.tax
        changes["vendor_rate_prefix"] = vendor.rate.prefix
        steps["vendor"] = breakdown(vendor, charge)
        _append(postings, vendor_posting(record.call_id, record.vendor_account, charge))
    if ending.dead_call is not None:
        noticed_ms = max(0, ending.dead_call.noticed_at.mono - call.answered_mono)
        steps["dead_call_billing"] = ending.dead_call.billing.value
        steps["noticed_at"] = iso_utc((record.answered_at or record.started_at) + noticed_ms)
    changes["fee_breakdown"] = _encode_breakdown(steps).decode()
    changes["postings"] = tuple(postings)
    return msgspec.structs.replace(record, **changes)


def lost(call: OpenCall, last_mono: int) -> CallRecord:
    """Close a call that the switch did not live to see the end of, at the latest instant that is proven."""
    ending = unheard(Instant(last_mono, 0))
    return conclude(call, ending, call.record.codec, recorded=call.record.recorded)


def unheard(at: Instant) -> Ending:
    """Return the ending that an answered call has until a better one is known."""
    return Ending(EndReason.LOST, HangupSource.SWITCH, at, 200, EndReason.LOST.q850_cause)


def _append(postings: list[Posting], entry: CallEntry | None) -> None:
    if entry is not None:
        postings.append(Posting(entry.account, entry.amount, entry.reference))
