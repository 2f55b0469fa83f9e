"""The record of one call, as the journal keeps it and the database stores it (INTERFACES section 5)."""

from decimal import Decimal

import msgspec

from vosd.base.money import ZERO


class Attempt(msgspec.Struct, frozen=True):
    """One gateway that was tried: final SIP code (0 = no response), milliseconds it took, and why it ended."""

    gateway: str
    code: int
    ms: int
    pdd_ms: int | None
    reason: str


class Posting(msgspec.Struct, frozen=True):
    """One ledger entry that the call books: ``amount`` is signed (a charge is negative).

    ``reference`` is unique per (account, kind), which is what makes a retry harmless (DESIGN D4).
    """

    account: str
    amount: Decimal
    reference: str
    currency: str | None = None
    """Of the amount, ISO 4217; None = written before postings had one."""


class CallRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a CDR holds; times are UTC milliseconds since the epoch, money is ``Decimal``."""

    call_id: str
    node: str
    mapping_gateway: str | None = None
    routing_gateway: str | None = None
    customer_account: str | None = None
    vendor_account: str | None = None
    currency: str | None = None
    caller_in: str = ""
    callee_in: str = ""
    caller_out: str | None = None
    callee_out: str | None = None
    callee_billing: str | None = None
    sip_call_id_in: str = ""
    sip_call_id_out: str | None = None
    source_address: str = ""
    destination_address: str | None = None
    codec: str | None = None
    started_at: int
    ringing_at: int | None = None
    answered_at: int | None = None
    ended_at: int
    pdd_ms: int | None = None
    hold_time_ms: int = 0
    hold_time_s: int = 0
    billed_seconds: int = 0
    vendor_billed_seconds: int = 0
    fee: Decimal = ZERO
    tax: Decimal = ZERO
    cost: Decimal = ZERO
    cost_tax: Decimal = ZERO
    rate_group: str | None = None
    rate_prefix: str | None = None
    rate_area: str | None = None
    vendor_rate_prefix: str | None = None
    fee_breakdown: str = "{}"
    hangup_source: str
    end_reason: str
    sip_code: int | None = None
    q850_cause: int | None = None
    vendor_answered_at: int | None = None
    """When the winning 200 was received; ``answered_at`` is when ours was sent to the caller."""
    vendor_currency: str | None = None
    """Of ``cost`` and ``cost_tax``, ISO 4217; ``currency`` is that of ``fee`` and ``tax``."""
    reason_text: str | None = None
    """Text of the Reason header with which a peer ended the call (RFC 3326)."""
    acknowledged_at: int | None = None
    """When the caller's ACK of our 200 came; None without one, or where the caller is a transferred party."""
    attempts: tuple[Attempt, ...] = ()
    postings: tuple[Posting, ...] = ()
    recorded: bool = True
    """False when the call books money but leaves no row (SERVER_BILLING_RECORD_SERVER_HANG_UP=0, DESIGN 7)."""
