"""The columns of a CDR: their order, their notation in ``--json`` and CSV, and those that agents see.

Names, kinds and order follow from the fields of ``CallRecord``, ``Attempt`` and ``ChargeRow``; only ``export_seq``,
``attempts`` and ``charges`` are added here. It does not know where a record comes from and how a database spells its
values.
"""

from collections.abc import Callable, Container, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

import msgspec

from vosd.base.money import format_amount
from vosd.cdr.kinds import Column, ColumnKind, columns_of
from vosd.cdr.record import VENDOR, Attempt, CallRecord, ChargeRow

RECORD_COLUMNS: Final = columns_of(CallRecord)
"""The columns that a record itself fills, in the order of its fields."""
EXPORT_SEQ: Final = Column(
    "export_seq",
    ColumnKind.NUMBER,
    64,
    False,
    "order of commit, of the booking or of its latest correction, for exports that miss nothing",
)
"""The column that the database fills."""
ATTEMPTS: Final = Column("attempts", ColumnKind.ROWS, 0, False, "every gateway tried, in order")
ATTEMPT_COLUMNS: Final = columns_of(Attempt)
CHARGES: Final = Column("charges", ColumnKind.ROWS, 0, False, "what everyone pays or is paid for the call")
CHARGE_COLUMNS: Final = columns_of(ChargeRow)

COLUMNS: Final = (RECORD_COLUMNS[0], EXPORT_SEQ, *RECORD_COLUMNS[1:], ATTEMPTS, CHARGES)
"""Every column in the order in which people and programs read them."""
KEYS: Final = tuple(column.name for column in COLUMNS)
"""The keys of a ``--json`` object in order; also the header of the CSV form."""
ATTEMPT_KEYS: Final = tuple(column.name for column in ATTEMPT_COLUMNS)
CHARGE_KEYS: Final = tuple(column.name for column in CHARGE_COLUMNS)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


_MILLISECONDS: Final = tuple(f".{ms:03d}Z" for ms in range(1_000))


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()[:19]


def iso_utc(wall_ms: int) -> str:
    """Write a time as ISO 8601 UTC with milliseconds and ``Z``.

    Raises:
        OverflowError: for a time outside the years 1 to 9999.
    """
    seconds, ms = divmod(wall_ms, 1000)
    return _second(seconds) + _MILLISECONDS[ms]


def json_object(record: CallRecord, export_seq: int | None) -> dict[str, Any]:
    """Return the ``--json`` object of a call; ``export_seq`` is None while it is not booked.

    Times are ISO 8601, money is text in plain notation; the fee breakdown, attempts and charges are nested objects.
    """
    values = {
        column.name: _in_json(column, value) for column, value in zip(RECORD_COLUMNS, _values(record), strict=True)
    }
    values[EXPORT_SEQ.name] = export_seq
    values[ATTEMPTS.name] = [_object(ATTEMPT_COLUMNS, attempt) for attempt in record.attempts]
    values[CHARGES.name] = [_object(CHARGE_COLUMNS, charge) for charge in record.charges]
    return {key: values[key] for key in KEYS}


def charge_object(charge: ChargeRow) -> dict[str, Any]:
    """Return the ``--json`` object of a charge, as in ``charges`` of its call."""
    return _object(CHARGE_COLUMNS, charge)


def attempt_object(attempt: Attempt) -> dict[str, Any]:
    """Return the ``--json`` object of an attempt, as in ``attempts`` of its call."""
    return _object(ATTEMPT_COLUMNS, attempt)


def csv_row(record: CallRecord, export_seq: int | None) -> list[str]:
    """Return the cells of a call under the header ``KEYS``; what did not happen is an empty cell.

    A document is the JSON text as stored; attempts and charges are one JSON array each.
    """
    values = json_object(record, export_seq)
    for column in _DOCUMENTS:
        values[column.name] = getattr(record, column.name)
    for rows in (ATTEMPTS, CHARGES):
        values[rows.name] = msgspec.json.encode(values[rows.name]).decode()
    return ["" if value is None else str(value) for value in values.values()]


_values: Final = attrgetter(*(column.name for column in RECORD_COLUMNS))
_DOCUMENTS: Final = tuple(column for column in RECORD_COLUMNS if column.kind is ColumnKind.DOCUMENT)


def _object(columns: Sequence[Column], row: Attempt | ChargeRow) -> dict[str, Any]:
    return {column.name: _in_json(column, getattr(row, column.name)) for column in columns}


def _in_json(column: Column, value: Any) -> Any:
    notation = _NOTATIONS.get(column.kind)
    return value if notation is None or value is None else notation(value)


def nested(document: str) -> Any:
    """Return the content of a document; its text where it is damaged."""
    try:
        return msgspec.json.decode(document)
    except msgspec.DecodeError:
        return document  # a damaged breakdown must not hide the call: its text is shown as it is


_NOTATIONS: Final[Mapping[ColumnKind, Callable[[Any], Any]]] = {
    ColumnKind.TIME: iso_utc,
    ColumnKind.AMOUNT: format_amount,
    ColumnKind.DOCUMENT: nested,
}
"""The columns that are written otherwise than they are kept."""


OF_VENDOR: Final = frozenset(
    {
        "routing_gateway", "vendor_account", "vendor_currency", "caller_out", "callee_out", "sip_call_id_out",
        "destination_address", "vendor_answered_at", "vendor_billed_seconds", "cost", "cost_tax", "loss", "cost_rate",
        "loss_currency",
        "vendor_codec", "vendor_rate_prefix", "callee_user_agent", "caller_hidden",
        "vendor_billing_base_ms", "vendor_paid_ms", "reason_text", "verdicts", "media", "attempts",
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
