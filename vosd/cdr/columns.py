"""The columns of a CDR as people and programs read them: ``--json`` and CSV (INTERFACES section 5).

Owns the order and the names of the keys and the notation of times and money. Refuses to know where a record
comes from and how the database spells its columns.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

import msgspec

from vosd.base.money import format_amount
from vosd.cdr.record import Attempt, CallRecord

KEYS: Final = (
    "call_id", "export_seq", "node",
    "mapping_gateway", "routing_gateway",
    "customer_account", "vendor_account", "currency", "vendor_currency",
    "caller_in", "callee_in", "caller_out", "callee_out", "callee_billing",
    "sip_call_id_in", "sip_call_id_out", "source_address", "destination_address",
    "codec",
    "started_at", "ringing_at", "answered_at", "acknowledged_at", "vendor_answered_at", "ended_at",
    "pdd_ms",
    "hold_time_ms", "hold_time_s",
    "billed_seconds", "vendor_billed_seconds",
    "fee", "tax", "cost", "cost_tax",
    "rate_group", "rate_prefix", "rate_area", "vendor_rate_prefix",
    "fee_breakdown",
    "hangup_source",
    "end_reason", "sip_code", "q850_cause", "reason_text",
    "attempts",
)  # fmt: skip
"""The keys of a ``--json`` object in order; also the header of the CSV form."""

_TIMES: Final = frozenset(
    {"started_at", "ringing_at", "answered_at", "acknowledged_at", "vendor_answered_at", "ended_at"}
)
_AMOUNTS: Final = frozenset({"fee", "tax", "cost", "cost_tax"})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()[:19]


def iso_utc(wall_ms: int) -> str:
    """Write a time as ISO 8601 UTC with milliseconds and ``Z``.

    Raises:
        OverflowError: for a time outside the years 1 to 9999.
    """
    seconds, ms = divmod(wall_ms, 1000)
    return f"{_second(seconds)}.{ms:03d}Z"


def json_object(record: CallRecord, export_seq: int | None) -> dict[str, Any]:
    """Return the ``--json`` object of a call; ``export_seq`` is None while it is not booked.

    Money and times are strings as INTERFACES section 2 writes them; the fee breakdown and the attempts are
    nested, not text in text.
    """
    return {key: _json_value(record, export_seq, key) for key in KEYS}


def csv_row(record: CallRecord, export_seq: int | None) -> list[str]:
    """Return the cells of a call under the header ``KEYS``; what did not happen is an empty cell.

    The fee breakdown is the JSON text as stored, the attempts are one JSON array.
    """
    values = json_object(record, export_seq)
    values["fee_breakdown"] = record.fee_breakdown
    values["attempts"] = msgspec.json.encode(values["attempts"]).decode()
    return ["" if value is None else str(value) for value in values.values()]


def _json_value(record: CallRecord, export_seq: int | None, key: str) -> Any:
    if key == "export_seq":
        return export_seq
    if key == "attempts":
        return [_attempt_object(attempt) for attempt in record.attempts]
    value = getattr(record, key)
    if key == "fee_breakdown":
        return _nested(value)
    if value is None:
        return None
    if key in _TIMES:
        return iso_utc(value)
    return format_amount(value) if key in _AMOUNTS else value


def _attempt_object(attempt: Attempt) -> dict[str, Any]:
    return {
        "gateway": attempt.gateway,
        "code": attempt.code,
        "ms": attempt.ms,
        "pdd_ms": attempt.pdd_ms,
        "reason": attempt.reason,
    }


def _nested(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text  # a damaged breakdown must not hide the call; the reader sees the text itself
