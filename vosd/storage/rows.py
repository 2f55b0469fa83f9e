"""A booked call as encoded rows of the tables ``cdr``, ``cdr_attempt`` and ``ledger_entry``.

The values of a row are in the order of the table's columns in ``schema``; those of a CDR follow from the columns that
its record declares. Each database encodes values its own way, given as an ``Encoding``. Refuses to know statements and
balances.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final, NamedTuple, TypeAlias

from vosd.cdr.columns import ATTEMPT_COLUMNS, RECORD_COLUMNS
from vosd.cdr.kinds import ACCOUNT_LENGTH, CURRENCY_LENGTH, NAME_LENGTH, Column, Kind
from vosd.cdr.ports import Standing
from vosd.cdr.record import CallRecord, Posting
from vosd.storage import schema
from vosd.storage.ports import EntryKind

Row: TypeAlias = tuple[Any, ...]

CALL_KIND: Final = EntryKind.CALL.value
"""The kind of the ledger entries that calls make."""


Encode: TypeAlias = Callable[[Any, int], Any]
"""Encode a value of a column of the given size; None stands for what did not happen."""


class Encoding:
    """How one database writes values: a function for each kind, and the rows made with them.

    ``ACCOUNT`` refuses text that ``WORD`` and ``TEXT`` cut (``types.identifying``, ``types.descriptive``). The
    functions for ``ACCOUNT`` and ``WORD`` may remember what they have encoded. ``reference`` is as strict as
    ``ACCOUNT`` and remembers nothing.
    """

    def __init__(self, kinds: Mapping[Kind, Encode], reference: Callable[[str, int], Any]) -> None:
        self.key = kinds[Kind.CALL_ID]
        self.account = kinds[Kind.ACCOUNT]
        self.word = kinds[Kind.WORD]
        self.text = kinds[Kind.TEXT]
        self.number = kinds[Kind.NUMBER]
        self.money = kinds[Kind.AMOUNT]
        self.moment = kinds[Kind.TIME]
        self.reference = reference
        self.call = _row_of(RECORD_COLUMNS, kinds)
        self.attempt = _row_of(ATTEMPT_COLUMNS, kinds)


def _row_of(columns: Sequence[Column], kinds: Mapping[Kind, Encode]) -> Callable[[Any], Row]:
    """Return the function that encodes the declared columns of a record."""
    values = attrgetter(*(column.name for column in columns))
    encoders = tuple(kinds[column.kind] for column in columns)
    sizes = tuple(column.size for column in columns)

    def encode(record: Any) -> Row:
        return tuple([to(value, size) for to, value, size in zip(encoders, values(record), sizes, strict=True)])

    return encode


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
    ended_at = encode.moment(record.ended_at, 0)
    if not record.recorded:
        return PreparedCall(record, None, (), encode.key(None, 0), ended_at)
    key = encode.key(record.call_id, 0)
    attempts = tuple(
        (key, encode.number(position, 16), *encode.attempt(attempt))
        for position, attempt in enumerate(record.attempts, start=1)
    )
    return PreparedCall(record, encode.call(record), attempts, key, ended_at)


def ledger_row(call: PreparedCall, posting: Posting, standing: Standing, encode: Encoding) -> Row:
    """Return the entry that brings the account to ``standing``; it is dated at the call's end.

    Raises:
        Unstorable: naming the value that no column can hold.
    """
    return (
        encode.account(posting.account, ACCOUNT_LENGTH),
        encode.number(standing.seq, 64),
        encode.money(posting.amount, 0),
        encode.money(standing.balance, 0),
        encode.word(CALL_KIND, schema.KIND_LENGTH),
        encode.reference(posting.reference, schema.REFERENCE_LENGTH),
        call.ledger_key,
        encode.word(None, NAME_LENGTH),
        encode.word(None, schema.MEMO_LENGTH),
        call.ended_at,
        encode.word(posting.currency, CURRENCY_LENGTH),
    )
