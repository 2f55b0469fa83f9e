"""State of a call for other programs: the JSON document of reports of calls, and the facts of events of calls."""

import msgspec


class CallStateReport(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """State of a call, as reports and live events have it; facts that are not known yet are null."""

    id: str
    """Different for each report, and the same when it is sent again."""
    seq: int
    """Grows from report to report of one call; some numbers are left out."""
    node: str
    call_id: str
    state: str
    at: str
    """Time at which the call came into this state."""
    mapping_gateway: str | None = None
    routing_gateway: str | None = None
    """The gateway that is tried, or was tried last."""
    customer_account: str | None = None
    vendor_account: str | None = None
    caller_in: str | None = None
    callee_in: str | None = None
    caller_out: str | None = None
    callee_out: str | None = None
    callee_billing: str | None = None
    sip_call_id_in: str | None = None
    source_address: str | None = None
    started_at: str | None = None
    ringing_at: str | None = None
    answered_at: str | None = None
    ended_at: str | None = None
    sip_code: int | None = None
    q850_cause: int | None = None
    hangup_source: str | None = None
    end_reason: str | None = None
    reason_text: str | None = None
    hold_time_ms: int | None = None
    hold_time_s: int | None = None
    billed_seconds: int | None = None
    vendor_billed_seconds: int | None = None
    fee: str | None = None
    tax: str | None = None
    currency: str | None = None
    cost: str | None = None
    cost_tax: str | None = None
    vendor_currency: str | None = None
    codec: str | None = None
    """First audio codec of the answer."""
    price_per_minute: str | None = None
    """Price of a minute for the customer, without tax, in the report of an answer; None = its calls are free."""
    rings_beside: list[str] | None = None
    """Phones that are called at the same time as that gateway, in the report that a call rings; None = none is."""
