"""A booked call as rows: which value of the record stands in which column, and what is cut or refused.

The order of each function is the order of the columns in ``schema``. How a value is spelled is the database's
own affair and comes as an ``Encoding``. Refuses to know statements and balances.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, NamedTuple, TypeAlias

from vosd.cdr.ports import Standing
from vosd.cdr.record import CallRecord, Posting
from vosd.storage import schema
from vosd.storage.ports import EntryKind

Row: TypeAlias = tuple[Any, ...]

CALL_KIND: Final = EntryKind.CALL.value
"""The kind of the ledger entries that calls make."""


class Encoding(NamedTuple):
    """How one database wants its values; None stands for what did not happen.

    ``name`` and ``label`` take words of which there are few (accounts; gateways, reasons) and may remember
    them. ``name`` and ``reference`` refuse what ``label`` and ``text`` cut (``types.identifying``,
    ``types.descriptive``).
    """

    key: Callable[[str | None], Any]
    name: Callable[[str | None, int], Any]
    reference: Callable[[str, int], Any]
    label: Callable[[str | None, int], Any]
    text: Callable[[str | None, int], Any]
    number: Callable[[int | None], Any]
    money: Callable[[Decimal], Any]
    moment: Callable[[int | None], Any]


class PreparedCall(NamedTuple):
    """A record whose content is encoded, so that the transaction has only balances left to compute."""

    record: CallRecord
    cdr: Row | None
    """All columns but ``export_seq``; None for a call that leaves no row."""
    attempts: tuple[Row, ...]
    ledger_key: Any
    """What its ledger entries have for ``call_id``."""
    ended_at: Any


def prepare(record: CallRecord, encode: Encoding) -> PreparedCall:
    """Encode one record.

    Raises:
        Unstorable: naming the value that no column can hold.
    """
    ended_at = encode.moment(record.ended_at)
    if not record.recorded:
        return PreparedCall(record, None, (), encode.key(None), ended_at)
    key = encode.key(record.call_id)
    return PreparedCall(record, _cdr(record, key, encode), _attempts(record, key, encode), key, ended_at)


def ledger_row(call: PreparedCall, posting: Posting, standing: Standing, encode: Encoding) -> Row:
    """Return the entry that brings the account to ``standing``; it is dated at the call's end.

    Raises:
        Unstorable: naming the value that no column can hold.
    """
    return (
        encode.name(posting.account, schema.ACCOUNT_LENGTH),
        encode.number(standing.seq),
        encode.money(posting.amount),
        encode.money(standing.balance),
        encode.label(CALL_KIND, schema.KIND_LENGTH),
        encode.reference(posting.reference, schema.REFERENCE_LENGTH),
        call.ledger_key,
        encode.label(None, schema.NAME_LENGTH),
        encode.label(None, schema.MEMO_LENGTH),
        call.ended_at,
        encode.label(posting.currency, schema.CURRENCY_LENGTH),
    )


def _cdr(record: CallRecord, key: Any, encode: Encoding) -> Row:
    _, name, _, label, text, number, money, moment = encode
    return (
        key,
        label(record.node, schema.NAME_LENGTH),
        label(record.mapping_gateway, schema.NAME_LENGTH),
        label(record.routing_gateway, schema.NAME_LENGTH),
        name(record.customer_account, schema.ACCOUNT_LENGTH),
        name(record.vendor_account, schema.ACCOUNT_LENGTH),
        label(record.currency, schema.CURRENCY_LENGTH),
        text(record.caller_in, schema.NUMBER_LENGTH),
        text(record.callee_in, schema.NUMBER_LENGTH),
        text(record.caller_out, schema.NUMBER_LENGTH),
        text(record.callee_out, schema.NUMBER_LENGTH),
        text(record.callee_billing, schema.NUMBER_LENGTH),
        text(record.sip_call_id_in, schema.SIP_CALL_ID_LENGTH),
        text(record.sip_call_id_out, schema.SIP_CALL_ID_LENGTH),
        text(record.source_address, schema.ADDRESS_LENGTH),
        text(record.destination_address, schema.ADDRESS_LENGTH),
        label(record.codec, schema.CODEC_LENGTH),
        moment(record.started_at),
        moment(record.ringing_at),
        moment(record.answered_at),
        moment(record.ended_at),
        number(record.pdd_ms),
        number(record.hold_time_ms),
        number(record.hold_time_s),
        number(record.billed_seconds),
        number(record.vendor_billed_seconds),
        money(record.fee),
        money(record.tax),
        money(record.cost),
        money(record.cost_tax),
        label(record.rate_group, schema.NAME_LENGTH),
        label(record.rate_prefix, schema.PREFIX_LENGTH),
        label(record.rate_area, schema.AREA_LENGTH),
        label(record.vendor_rate_prefix, schema.PREFIX_LENGTH),
        text(record.fee_breakdown, schema.BREAKDOWN_LENGTH),
        label(record.hangup_source, schema.SOURCE_LENGTH),
        label(record.end_reason, schema.REASON_LENGTH),
        number(record.sip_code),
        number(record.q850_cause),
        moment(record.vendor_answered_at),
        label(record.vendor_currency, schema.CURRENCY_LENGTH),
        text(record.reason_text, schema.REASON_TEXT_LENGTH),
        moment(record.acknowledged_at),
    )


def _attempts(record: CallRecord, key: Any, encode: Encoding) -> tuple[Row, ...]:
    label, number = encode.label, encode.number
    return tuple(
        (
            key,
            number(position),
            label(attempt.gateway, schema.NAME_LENGTH),
            number(attempt.code),
            number(attempt.ms),
            number(attempt.pdd_ms),
            label(attempt.reason, schema.REASON_LENGTH),
        )
        for position, attempt in enumerate(record.attempts, start=1)
    )
