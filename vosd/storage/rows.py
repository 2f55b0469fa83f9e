"""A booked call as encoded rows of the tables ``cdr``, ``cdr_attempt``, ``cdr_charge`` and ``ledger_entry``.

The values of a row are in the order of the table's columns in ``schema``; those of a CDR follow from the columns that
its record declares. Each database encodes values its own way, given as an ``Encoding``. It does not know statements and
balances.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Any, Final, NamedTuple, TypeAlias

from vosd.base.money import ZERO
from vosd.cdr.charges import with_breakdowns
from vosd.cdr.columns import ATTEMPT_COLUMNS, CHARGE_COLUMNS, RECORD_COLUMNS
from vosd.cdr.kinds import ACCOUNT_LENGTH, CURRENCY_LENGTH, Column, ColumnKind
from vosd.cdr.ports import Standing
from vosd.cdr.record import AGENT, CallRecord, Posting
from vosd.storage import schema
from vosd.storage.ports import EntryKind

Row: TypeAlias = tuple[Any, ...]

CALL_KIND: Final = EntryKind.CALL.value
"""The kind of the ledger entries that calls make."""

_REPEATED: Final = frozenset({ColumnKind.ACCOUNT, ColumnKind.WORD})
"""Kinds whose values are the same in many calls; how they were written is looked up."""
_LENGTHY: Final = frozenset({ColumnKind.TEXT, ColumnKind.DOCUMENT})
"""Kinds whose values differ from call to call, and whose columns have different sizes."""
_KNOWN_MAX: Final = 1_024
"""Most values of one column that are kept so."""

Encode: TypeAlias = Callable[[Any], Any]
"""Encode a value of a kind whose columns all have one size; never None."""
EncodeSized: TypeAlias = Callable[[Any, int], Any]
"""Encode text for a column of the given size; None stands for what did not happen."""


def as_it_is(value: Any) -> Any:
    """Return a value that a database takes unchanged; rows leave such columns alone."""
    return value


class Encoding:
    """Encoding of values for one database: a function for each kind, and the rows made with them.

    ``ACCOUNT`` refuses text that ``WORD`` and ``TEXT`` cut (``types.identifying``, ``types.descriptive``). The
    functions for ``ACCOUNT`` and ``WORD`` may remember what they have encoded, and rows do. ``reference`` is as strict
    as ``ACCOUNT`` and remembers nothing.
    """

    def __init__(
        self,
        kinds: Mapping[ColumnKind, Encode],
        texts: Mapping[ColumnKind, EncodeSized],
        reference: Callable[[str, int], Any],
        nothing: Any = None,
    ) -> None:
        """``nothing`` is written for None."""
        self.nothing = nothing
        self.key = kinds[ColumnKind.CALL_ID]
        self.number = kinds[ColumnKind.NUMBER]
        self.money = kinds[ColumnKind.AMOUNT]
        self.moment = kinds[ColumnKind.TIME]
        self.account = texts[ColumnKind.ACCOUNT]
        self.word = texts[ColumnKind.WORD]
        self.text = texts[ColumnKind.TEXT]
        self.reference = reference
        self.call_kind = self.word(CALL_KIND, schema.KIND_LENGTH)
        self.call = _row_of(RECORD_COLUMNS, kinds, texts, nothing)
        self.attempt = _row_of(ATTEMPT_COLUMNS, kinds, texts, nothing)
        self.charge = _row_of(CHARGE_COLUMNS, kinds, texts, nothing)


def _row_of(
    columns: Sequence[Column], kinds: Mapping[ColumnKind, Encode], texts: Mapping[ColumnKind, EncodeSized], nothing: Any
) -> Callable[[Any], Row]:
    """Return the function that encodes the declared columns of a record."""
    values_of = attrgetter(*(column.name for column in columns))
    placed = list(enumerate(columns))
    fixed = [
        (place, kinds[column.kind])
        for place, column in placed
        if column.kind in kinds and kinds[column.kind] is not as_it_is
    ]
    sized = [(place, texts[column.kind], column.size) for place, column in placed if column.kind in _LENGTHY]
    repeated: list[tuple[int, EncodeSized, int, dict[Any, Any]]] = [
        (place, texts[column.kind], column.size, {}) for place, column in placed if column.kind in _REPEATED
    ]

    def encode(record: Any) -> Row:
        values = list(values_of(record))
        for place, to in fixed:
            value = values[place]
            values[place] = nothing if value is None else to(value)
        for place, to_text, size in sized:
            value = values[place]
            values[place] = nothing if value is None else to_text(value, size)
        for place, to_text, size, known in repeated:
            value = values[place]
            if value is None:
                values[place] = nothing
                continue
            written = known.get(value)
            if written is None:
                if len(known) >= _KNOWN_MAX:
                    known.clear()
                written = known[value] = to_text(value, size)
            values[place] = written
        return tuple(values)

    return encode


class PreparedCall(NamedTuple):
    """A record whose content is encoded, so that the transaction has only balances left to compute."""

    record: CallRecord
    cdr: Row | None
    """All columns but ``export_seq``; None for a call that leaves no row."""
    attempts: tuple[Row, ...]
    charges: tuple[Row, ...]
    ledger_key: Any
    """Value of ``call_id`` in its ledger entries."""
    ended_at: Any
    taxes: Mapping[tuple[str, str], Decimal]
    """Tax in each posting, by account and reference, signed as the posting; those without are left out."""


def prepare(record: CallRecord, encode: Encoding) -> PreparedCall:
    """Encode one record.

    Raises:
        Unstorable: naming the value that no column can hold.
    """
    ended_at = encode.moment(record.ended_at)
    taxes = _taxes(record)
    if not record.recorded:
        return PreparedCall(record, None, (), _charges_without_cdr(record, encode), encode.nothing, ended_at, taxes)
    key, number = encode.key(record.call_id), encode.number
    attempts = tuple(
        (key, number(position), *encode.attempt(attempt)) for position, attempt in enumerate(record.attempts, start=1)
    )
    rows = tuple((key, number(position), *encode.charge(each)) for position, each in enumerate(record.charges, start=1))
    return PreparedCall(record, encode.call(record), attempts, rows, key, ended_at, taxes)


def _taxes(record: CallRecord) -> Mapping[tuple[str, str], Decimal]:
    return {
        (each.account, reference_of(record.call_id, each.role, each.level)): each.tax if each.earned else -each.tax
        for each in record.charges
        if each.tax
    }


def reference_of(call_id: str, role: str, level: int) -> str:
    """Return the reference of the ledger entry that a call makes for one who pays or is paid."""
    return f"{call_id}/{role}-{level}" if role == AGENT else f"{call_id}/{role}"


def _charges_without_cdr(record: CallRecord, encode: Encoding) -> tuple[Row, ...]:
    """Encode the charges of a call that leaves ledger entries and no CDR; each has its own breakdown (ADR 54)."""
    if not any(posting.amount for posting in record.postings):
        return ()
    key = encode.key(record.call_id)
    return tuple(
        (key, encode.number(position), *encode.charge(charge))
        for position, charge in enumerate(with_breakdowns(record), start=1)
    )


def ledger_row(call: PreparedCall, posting: Posting, standing: Standing, encode: Encoding) -> Row:
    """Return the entry that brings the account to ``standing``; it is dated at the call's end.

    Raises:
        Unstorable: naming the value that no column can hold.
    """
    return (
        encode.account(posting.account, ACCOUNT_LENGTH),
        encode.number(standing.seq),
        encode.money(posting.amount),
        encode.money(standing.balance),
        encode.call_kind,
        encode.reference(posting.reference, schema.REFERENCE_LENGTH),
        call.ledger_key,
        encode.nothing,
        encode.nothing,
        call.ended_at,
        encode.word(posting.currency, CURRENCY_LENGTH),
        encode.money(call.taxes.get((posting.account, posting.reference), ZERO)),
    )
