"""A record as an agent may see it: without the vendor's side, and without what accounts that it does not see pay."""

from collections.abc import Container
from typing import Final

import msgspec

from vosd.cdr.columns import KEYS
from vosd.cdr.record import VENDOR, CallRecord

OF_VENDOR: Final = frozenset(
    {
        "routing_gateway", "vendor_account", "vendor_currency", "caller_out", "callee_out", "sip_call_id_out",
        "destination_address", "vendor_answered_at", "vendor_billed_seconds", "cost", "cost_tax", "loss",
        "vendor_codec", "vendor_rate_prefix",
        "vendor_billing_base_ms", "reason_text", "verdicts", "attempts",
    }
)  # fmt: skip
"""Columns that say where a call went, and what that cost."""
_BLANK: Final = {field.name: field.default for field in msgspec.structs.fields(CallRecord) if field.name in OF_VENDOR}
KEYS_FOR_AGENTS: Final = tuple(key for key in KEYS if key not in OF_VENDOR)


def record_for_agent(record: CallRecord, visible: Container[str]) -> CallRecord:
    """Return a record with the charges of ``visible`` accounts alone, without the columns and steps of the vendor."""
    charges = tuple(each for each in record.charges if each.role != VENDOR and each.account in visible)
    own = {"charges": charges, "fee_breakdown": _without_vendor(record.fee_breakdown)}
    return msgspec.structs.replace(record, **_BLANK, **own)


def _without_vendor(breakdown: str) -> str:
    try:
        parts = msgspec.json.decode(breakdown)
    except msgspec.DecodeError:
        return "{}"
    if not isinstance(parts, dict):
        return "{}"
    parts.pop(VENDOR, None)
    return msgspec.json.encode(parts).decode()
