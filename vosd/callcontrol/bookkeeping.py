"""From a call to its record: columns, charges and ledger entries.

Every call becomes a ``CallRecord`` here, whether it ended, was refused, or was cut off by a crash of the switch.
"""

from collections.abc import Sequence
from decimal import Decimal
from hashlib import blake2b
from typing import Any, Final

import msgspec

from vosd.b2bua.stamps import Arrival, Ending, Journey
from vosd.base.cause import EndReason, HangupSource
from vosd.base.clock import Instant
from vosd.base.ids import uuid7
from vosd.base.money import in_places
from vosd.billing.currencies import Currencies
from vosd.billing.free_numbers import FREE_NUMBER
from vosd.billing.parties import Party
from vosd.billing.rater import Charge, charged_by, itemise, itemise_rest, rate_call, tax_percent
from vosd.billing.rates import PRECISION_MS, AppliedRate, for_unanswered, hold_seconds
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.open_call import OpenCall
from vosd.callcontrol.vendor_terms import buy_rate
from vosd.callcontrol.verdicts import verdicts
from vosd.cdr.charges import loss_of
from vosd.cdr.columns import iso_utc
from vosd.cdr.record import AGENT, CUSTOMER, VENDOR, Attempt, CallRecord, ChargeRow, Posting
from vosd.routing.pipeline import Cause, LeftOut, RouteChoice
from vosd.trunks.dialect import PRIVACY_WORDS

LOST_STATUS: Final = 503
"""Final code for a caller without an answer whose call a kill of the switch has cut off."""

LATE_ANSWER_MS: Final = 1_000
"""Length of a call that was released when its late answer came: its first second has begun."""

NO_CURRENCIES: Final = Currencies()


def draft(
    node: str,
    arrival: Arrival,
    call_request: CallRequest,
    journey: Journey,
    ending: Ending,
    *,
    recorded: bool = True,
    has_verdicts: bool = True,
) -> CallRecord:
    """Return the record of a call that was not answered, or that is being answered now; neither has charges.

    Its times are differences of the monotonic clock added to the wall clock at its INVITE, so that a step of the wall
    clock during the call does not change their order.
    """
    rate, account, mapping, at = call_request.rate, call_request.account, call_request.mapping, arrival.at
    choice, sip_call_ids = journey.choice, journey.sip_call_ids_out
    vendor_rate = buy_rate(choice)
    answered, ringing, progress = journey.answered_at, journey.ringing_at, journey.progress_at
    vendor_answered, epoch = journey.vendor_answered_at, at.wall - at.mono
    left = call_request.left
    return CallRecord(
        call_id=arrival.call_id,
        node=node,
        mapping_gateway=mapping.name if mapping else None,
        routing_gateway=choice.gateway.name if choice else None,
        customer_account=account.id if account else None,
        vendor_account=choice.gateway.account if choice else None,
        currency=(rate.paid_in or rate.currency) if rate else account.currency if account else None,
        vendor_currency=(vendor_rate.paid_in or vendor_rate.currency) if vendor_rate else None,
        billing_method=None if mapping is None or account is None else "phone" if mapping.is_phone else "gateway",
        caller_in=arrival.caller_in,
        callee_in=arrival.callee_in,
        caller_out=choice.caller_out if choice else None,
        callee_out=choice.callee_out if choice else None,
        callee_billing=call_request.callee_billing or None,
        caller_privacy=PRIVACY_WORDS[call_request.caller_privacy],
        caller_hidden=1 if choice and choice.hides_caller else None,
        forward_prefix=call_request.forward_prefix or None,
        routing_number=call_request.routing_number or None,
        did=call_request.did or None,
        attestation=journey.attestation or call_request.attestation or None,
        verstat=call_request.verstat or None,
        radius_class=_in_hex(call_request.radius_classes) if call_request.radius_classes else None,
        sip_call_id_in=arrival.sip_call_id_in,
        sip_call_id_out=journey.foremost_call_id or (sip_call_ids[-1] if choice and sip_call_ids else None),
        source_address=arrival.source_address,
        destination_address=journey.destination_address,
        codec=journey.codec,
        vendor_codec=journey.vendor_codec,
        caller_user_agent=arrival.caller_user_agent,
        callee_user_agent=journey.callee_user_agent,
        started_at=at.wall,
        ringing_at=epoch + ringing.mono if ringing else None,
        answered_at=epoch + answered.mono if answered else None,
        vendor_answered_at=epoch + vendor_answered.mono if vendor_answered else None,
        ended_at=epoch + ending.at.mono,
        pdd_ms=progress.mono - at.mono if progress else None,
        rate_group=rate.group if rate else None,
        rate_prefix=rate.rate.prefix if rate else None,
        rate_area=(rate.rate.area or None) if rate else None,
        rate_type=(rate.rate.rate_type or None) if rate else None,
        hangup_source=ending.source.text,
        end_reason=ending.reason.text,
        sip_code=ending.sip_code,
        q850_cause=ending.q850_cause,
        reason_text=ending.text,
        verdicts=verdicts(call_request, choice)
        if has_verdicts and (vendor_answered is None or call_request.is_sampled or (left and _any_too_dear(left)))
        else None,
        attempts=tuple(journey.attempts),
        recorded=recorded and not call_request.leaves_no_cdr,
    )


def attempted(
    node: str,
    arrival: Arrival,
    call_request: CallRequest,
    journey: Journey,
    choice: RouteChoice,
    sip_call_id: str,
    address: str,
    at: Instant,
) -> CallRecord:
    """Return the record that a call would leave if a kill cut it off during the attempt that begins now."""
    ending = Ending(EndReason.LOST, HangupSource.SWITCH, at, LOST_STATUS, EndReason.LOST.q850_cause)
    record = draft(node, arrival, call_request, journey, ending, has_verdicts=False)
    vendor_rate = buy_rate(choice)
    return msgspec.structs.replace(
        record,
        routing_gateway=choice.gateway.name,
        vendor_account=choice.gateway.account,
        vendor_currency=(vendor_rate.paid_in or vendor_rate.currency) if vendor_rate else None,
        caller_out=choice.caller_out,
        callee_out=choice.callee_out,
        caller_hidden=1 if choice.hides_caller else None,
        sip_call_id_out=sip_call_id,
        destination_address=address,
    )


def answer_id(at_ms: int, call_id: str, sip_call_id: str, fork: str = "") -> str:
    """Return the id of the record of an answer in vain: the books take one that is repeated behind a kill once.

    ``fork`` is the tag of a phone that has answered beside the one that has the call.
    """
    names = " ".join(each for each in (call_id, sip_call_id, fork) if each)
    return uuid7(at_ms, blake2b(names.encode("utf-8", "surrogateescape")).digest())


def late_part(record: CallRecord, paid_ms: int | None) -> CallRecord:
    """Return the record that a late answer leaves beside that of its call, which a kill has cut off and which is paid.

    ``record`` is that of ``attempted``. The id follows from it, so that the answer leaves one record however often the
    next starts are killed. ``paid_ms`` is as in ``answered_late``.
    """
    end = EndReason.CANCELLED
    return msgspec.structs.replace(
        record,
        call_id=answer_id(record.ended_at, record.call_id, record.sip_call_id_out or ""),
        started_at=record.ended_at,  # the INVITE of the attempt
        ringing_at=None,
        pdd_ms=None,
        customer_account=None,
        currency=None,
        billing_method=None,
        rate_group=None,
        rate_prefix=None,
        rate_area=None,
        rate_type=None,
        end_reason=end.text,
        sip_code=None,
        q850_cause=end.q850_cause,
        reason_text=f"answered after it was given up, in call {record.call_id}",
        attempts=(),
        vendor_paid_ms=paid_ms,
        recorded=True,
    )


def answered_late(
    record: CallRecord,
    vendor_rate: AppliedRate,
    ending: Ending,
    *,
    invited_mono: int | None,
    earns: bool,
    paid_ms: int | None = None,
) -> CallRecord | None:
    """Return the record of an attempt that was answered after it was given up, with what its vendor charges for that.

    ``ending`` is when the answer came. The vendor is charged for ``LATE_ANSWER_MS`` from then on, or with
    ``invited_mono`` from its INVITE, less what the record of the call has charged for ``paid_ms`` of the same attempt;
    the customer for nothing. None = the attempt costs nothing; where all is charged before, the record has a cost of 0.
    """
    at = ending.at
    charged = None if invited_mono is None else (invited_mono, invited_mono)
    drafted = msgspec.structs.replace(record, answered_at=None, vendor_answered_at=at.wall, vendor_paid_ms=paid_ms)
    call = OpenCall(drafted, None, vendor_rate, at.mono, at.mono, vendor_earns=earns, charged_mono=charged)
    end = msgspec.structs.replace(ending, at=Instant(at.mono + LATE_ANSWER_MS, at.wall + LATE_ANSWER_MS))
    concluded = conclude(call, end, None, None, recorded=True)
    if concluded.postings:
        return concluded
    if paid_ms is None or not concluded.charges:
        return None
    # The vendor's bill has the answer, which the record of the call does not have: without amount it is kept, too.
    whole = rate_call(vendor_rate, concluded.vendor_billing_base_ms or 0)
    return concluded if whole.fee or whole.tax else None


def paid_in_vain_ms(journey: Journey, ended_mono: int, sip_call_id: str) -> int | None:
    """Return the milliseconds of an attempt that the record of its call charges without answer; None = it does not.

    With ``SS_STARTBILLINGTIME`` 1 that of a call that no vendor has answered pays the attempt that it names (ADR 66).
    """
    invited = journey.vendor_invited_at
    if invited is None or journey.vendor_answered_at is not None:
        return None
    if sip_call_id != (journey.foremost_call_id or next(reversed(journey.sip_call_ids_out), "")):
        return None
    left = journey.vendor_left_at
    return max(0, (ended_mono if left is None else min(left.mono, ended_mono)) - invited.mono)


def _any_too_dear(left: Sequence[LeftOut]) -> bool:
    """Return whether a gateway was left out for its price, which an answered call keeps in its verdicts, too."""
    return any(each.cause is Cause.LOSS for each in left)


def opened(
    node: str,
    arrival: Arrival,
    call_request: CallRequest,
    journey: Journey,
    *,
    recorded: bool,
    currencies: Currencies = NO_CURRENCIES,
) -> OpenCall | None:
    """Return what the journal keeps of a call that is charged; None if it is not.

    ``recorded``: an answered call leaves a CDR also when the switch ends it. ``currencies`` are those by which its
    gateways were compared.
    """
    vendor_answered_at, answered_at = journey.vendor_answered_at, journey.answered_at
    charged_mono = None
    if journey.invited_at is not None and journey.vendor_invited_at is not None and not call_request.leaves_no_cdr:
        charged_mono = journey.invited_at.mono, journey.vendor_invited_at.mono
    elif vendor_answered_at is None:
        return None
    at = answered_at or vendor_answered_at or arrival.at
    vendor_mono = None if vendor_answered_at is None else vendor_answered_at.mono
    code = 200 if answered_at else None
    ending = Ending(EndReason.LOST, HangupSource.SWITCH, at, code, EndReason.LOST.q850_cause)
    record = draft(node, arrival, call_request, journey, ending, recorded=recorded or not answered_at)
    if call_request.leaves_no_cdr:
        return OpenCall(record, None, None, at.mono, vendor_mono, leaves_no_cdr=True)
    rate, vendor_rate, cost_rate = call_request.rate, buy_rate(journey.choice), None
    sold_in = _sold_in(record, call_request.agents)
    if sold_in is not None and record.vendor_currency is not None and sold_in != record.vendor_currency:
        cost_rate = currencies.rate(record.vendor_currency, sold_in, record.started_at)
    earns = journey.choice is not None and journey.choice.gateway.earns
    left = journey.vendor_left_at if vendor_mono is None else None
    return OpenCall(
        record, rate, vendor_rate, at.mono, vendor_mono, (), call_request.agents, vendor_earns=earns,
        charged_mono=charged_mono, cost_rate=cost_rate, vendor_left_mono=None if left is None else left.mono,
    )  # fmt: skip


def _in_hex(values: Sequence[bytes]) -> str:
    return " ".join(each.hex() for each in values)


def radius_classes_of(record: CallRecord) -> tuple[bytes, ...]:
    """Return the values of Class that the record of a call has."""
    return tuple(map(bytes.fromhex, (record.radius_class or "").split()))


def conclude(
    call: OpenCall,
    ending: Ending,
    codec: str | None,
    vendor_codec: str | None,
    *,
    recorded: bool,
    zero_too: bool = True,
    late_answers: Sequence[Attempt] = (),
    acknowledged: Instant | None = None,
) -> CallRecord:
    """End a call that is charged: durations, charges of everyone who pays or is paid, ledger entries.

    The customer pays from our 200, and nothing without one, and so do the agents above it; the vendor is paid from its
    own 200 (ADR 24). With ``charged_mono`` all of them pay from their INVITEs (ADR 66). ``recorded``: an answered call
    leaves a CDR; ``zero_too``: so does one without a second of talk that no one pays for.
    ``late_answers`` arrived after the one that won (a forked INVITE, a gateway given up), ``acknowledged`` is when the
    caller's ACK arrived. Durations are those of the monotonic clock, never negative.
    """
    record, customer, vendor, ended_mono = call.record, call.customer_rate, call.vendor_rate, ending.at.mono
    vendor_ended_mono = ended_mono if ending.vendor_mono is None else ending.vendor_mono
    since_answer_ms = since_vendor_ms = max(0, ended_mono - call.answered_mono)
    if call.vendor_answered_mono is not None:
        since_vendor_ms = max(0, vendor_ended_mono - call.vendor_answered_mono)
    is_answered = is_charged = record.answered_at is not None
    customer_ms, vendor_ms, agents = since_answer_ms, since_vendor_ms, call.agents
    if call.charged_mono is not None:
        is_charged = True
        # ``vendor_mono`` is here when the vendor hung up, before our 200: the customer pays for no more than that
        customer_ms = max(0, vendor_ended_mono - call.charged_mono[0])
        vendor_ms = call.vendor_ms(vendor_ended_mono)
        customer, agents, vendor = _by_answers(call, is_answered=is_answered)
    answered_at = record.answered_at or record.vendor_answered_at or record.started_at
    # Each side is rated only with a rate and an account: a phone costs nothing, and neither does an unrated vendor.
    bill, talked_s = _Bill(), None
    if is_charged and customer is not None and record.customer_account is not None:
        record, customer = _charge_customer(record, customer, customer_ms, bill)
        talked_s = record.hold_time_s if call.charged_mono is None else None
    income = record.fee
    if is_charged and agents:
        _charge_agents(record.call_id, agents, customer_ms, bill)
        income = bill.charges[-1].fee
    if vendor is not None and record.vendor_account is not None:
        record, vendor = _charge_vendor(record, vendor, vendor_ms, bill, earns=call.vendor_earns)
    if ending.dead_call is not None:
        noticed_at = answered_at + max(0, ending.dead_call.noticed_at.mono - call.answered_mono)
        bill.steps.append(
            f'"dead_call_billing":"{ending.dead_call.billing.value}","noticed_at":"{iso_utc(noticed_at)}"'
        )
    if talked_s is None:
        talked_s = _hold_time(customer or vendor, since_answer_ms, is_answered)
    loss = None if record.cost <= income and call.cost_rate is None else _loss(call, income, record.cost)
    return msgspec.structs.replace(
        record,
        codec=codec,
        vendor_codec=vendor_codec,
        acknowledged_at=None if acknowledged is None else answered_at + max(0, acknowledged.mono - call.answered_mono),
        ended_at=answered_at + since_answer_ms,
        hold_time_ms=since_answer_ms if is_answered else 0,
        hold_time_s=talked_s,
        billing_base_ms=None if call.charged_mono is None else customer_ms,
        vendor_billing_base_ms=None if call.charged_mono is None and ending.vendor_mono is None else vendor_ms,
        loss=loss,
        loss_currency=None if loss is None else _sold_in(call.record, call.agents),
        cost_rate=None if call.cost_rate is None else format(call.cost_rate, "f"),
        fee_breakdown=f"{{{','.join(bill.steps)}}}",
        hangup_source=ending.source.text,
        end_reason=ending.reason.text,
        sip_code=ending.sip_code,
        q850_cause=ending.q850_cause,
        reason_text=ending.text,
        attempts=(*record.attempts, *late_answers),
        postings=tuple(bill.postings),
        charges=tuple(bill.charges),
        recorded=(recorded or not is_answered)
        and not call.leaves_no_cdr
        and (zero_too or bool(bill.postings) or (is_answered and _has_talk(talked_s, customer, since_answer_ms))),
    )


class _Bill(msgspec.Struct):
    """Charges of a call so far, with their steps and ledger entries."""

    charges: list[ChargeRow] = []
    postings: list[Posting] = []
    steps: list[str] = []
    """Members of the JSON object ``fee_breakdown``."""


def _charge_customer(
    record: CallRecord, customer: AppliedRate, duration_ms: int, bill: _Bill
) -> tuple[CallRecord, AppliedRate]:
    """Add what the customer pays; return the record with its columns, and the rate, which the length may choose."""
    account = record.customer_account
    assert account is not None, "else it is not charged"
    charge, text = itemise(customer, duration_ms)
    bill.steps.append(f'"customer":{text}')
    chosen: dict[str, Any] = {}
    if customer.candidates:
        customer = charged_by(customer, duration_ms)
        rate = customer.rate
        chosen = {
            "rate_group": customer.group,
            "rate_prefix": rate.prefix,
            "rate_area": rate.area or None,
            "rate_type": rate.rate_type or None,
        }
    bill.charges.append(_row(account, CUSTOMER, 0, customer, charge))
    if charge.fee or charge.tax:
        reference = f"{record.call_id}/customer"
        bill.postings.append(Posting(account, -charge.total, reference, customer.paid_in or customer.currency))
    sold = msgspec.structs.replace(
        record,
        hold_time_s=charge.hold_time_s,
        billed_seconds=charge.billed_seconds,
        fee=charge.fee,
        tax=charge.tax,
        **chosen,
    )
    return sold, customer


def _charge_vendor(
    record: CallRecord, vendor: AppliedRate, duration_ms: int, bill: _Bill, *, earns: bool
) -> tuple[CallRecord, AppliedRate]:
    """Add what the vendor is paid, or earns; return the record with its columns, and the rate as for the customer."""
    account = record.vendor_account
    assert account is not None, "else it is not charged"
    paid_ms = record.vendor_paid_ms
    charge, text = itemise(vendor, duration_ms) if paid_ms is None else itemise_rest(vendor, duration_ms, paid_ms)
    bill.steps.append(f'"vendor":{text}')
    if vendor.candidates:
        vendor = charged_by(vendor, duration_ms)
    bill.charges.append(_row(account, VENDOR, 0, vendor, charge, earned=earns))
    if charge.fee or charge.tax:
        reference = f"{record.call_id}/vendor"
        amount = charge.total if earns else -charge.total
        bill.postings.append(Posting(account, amount, reference, vendor.paid_in or vendor.currency))
    bought = msgspec.structs.replace(
        record,
        vendor_billed_seconds=charge.billed_seconds,
        cost=charge.fee,
        cost_tax=charge.tax,
        vendor_rate_prefix=vendor.rate.prefix,
    )
    return bought, vendor


def _sold_in(record: CallRecord, agents: Sequence[Party]) -> str | None:
    """Return the currency of the last agent, who pays the carrier, or of the customer where there is none."""
    if not agents:
        return record.currency
    rate = agents[-1].applied
    return rate.paid_in or rate.currency


def _loss(call: OpenCall, income: Decimal, cost: Decimal) -> Decimal | None:
    """Return by how much a cost is above what the call brings, in that currency; None = it is not, or not comparably.

    It brings what the last agent pays, or the customer where there is none, as ``cdr.charges`` counts it. A call to a
    free number is sold for nothing by intent, and a test call is not sold at all.
    """
    record = call.record
    if call.cost_rate is None and _sold_in(record, call.agents) != record.vendor_currency:
        return None
    is_sold = call.customer_rate is not None and call.customer_rate.group != FREE_NUMBER
    return loss_of(income, cost, call.cost_rate) if is_sold else None


def _has_talk(hold_time_s: int, customer: AppliedRate | None, held_ms: int) -> bool:
    """Return whether an answered call has a second of talk; where there is no rate, no rule rounds its milliseconds."""
    return hold_time_s > 0 or (customer is None and held_ms > 0)


def _by_answers(
    call: OpenCall, *, is_answered: bool
) -> tuple[AppliedRate | None, tuple[Party, ...], AppliedRate | None]:
    """Return the rates of customer, agents and vendor of a call that is charged from its INVITE, answered or not."""
    vendor = call.vendor_rate if call.vendor_answered_mono is not None else for_unanswered(call.vendor_rate)
    if is_answered:
        return call.customer_rate, call.agents, vendor
    return for_unanswered(call.customer_rate), tuple(map(_unanswered, call.agents)), vendor


def _hold_time(rate: AppliedRate | None, since_answer_ms: int, is_answered: bool) -> int:
    """Return the whole seconds of the conversation, where a customer's charge does not say them."""
    if not is_answered:
        return 0
    return hold_seconds(since_answer_ms, PRECISION_MS if rate is None else rate.policy.hold_time_precision_ms)


def _unanswered(party: Party) -> Party:
    """Return an agent with what it pays for a call that was not answered."""
    return msgspec.structs.replace(party, applied=for_unanswered(party.applied))


def _charge_agents(call_id: str, agents: Sequence[Party], duration_ms: int, bill: _Bill) -> None:
    """Add what the agents above the customer pay; their steps are kept with their charges (ADR 54)."""
    for party in agents:
        charge, text = itemise(party.applied, duration_ms)
        applied = charged_by(party.applied, duration_ms)
        bill.charges.append(_row(party.account, AGENT, party.level, applied, charge, text))
        if charge.fee or charge.tax:
            reference = f"{call_id}/agent-{party.level}"
            bill.postings.append(
                Posting(party.account, -charge.total, reference, party.applied.paid_in or party.applied.currency)
            )


def _row(
    account: str,
    role: str,
    level: int,
    applied: AppliedRate,
    charge: Charge,
    breakdown: str | None = None,
    *,
    earned: bool = False,
) -> ChargeRow:
    rate = applied.rate
    return ChargeRow(
        account,
        role,
        level,
        applied.group,
        applied.version,
        rate.prefix,
        in_places(rate.billing_rate) if applied.source else rate.billing_rate,  # a period may have multiplied it
        "cycle" if rate.per_cycle else "minute",
        charge.billed_seconds,
        charge.fee,
        charge.tax,
        applied.paid_in or applied.currency,
        0,
        breakdown,
        1 if earned else None,
        tax_percent(applied),
    )


def lost(call: OpenCall, last_mono: int) -> CallRecord:
    """End a call that a crash of the switch cut off, at the latest instant at which the switch is known to have run."""
    last, record = Instant(call.charged_until(last_mono), 0), call.record
    ending = Ending(EndReason.LOST, HangupSource.SWITCH, last, record.sip_code, EndReason.LOST.q850_cause)
    rings: tuple[Attempt, ...] = ()
    is_ringing = not call.is_answered and call.ended_mono is None and call.vendor_left_mono is None
    gateway = record.routing_gateway
    if is_ringing and gateway is not None and call.charged_mono is not None:
        rang_ms = max(0, last.mono - call.charged_mono[1])
        rings = (Attempt(gateway, 0, rang_ms, None, EndReason.LOST.text),)
    return conclude(call, ending, record.codec, record.vendor_codec, recorded=record.recorded, late_answers=rings)
