"""Record, rows and tables name the same things in the same order, so that no value lands in a strange column."""

import msgspec
from doubles.data.records import answered_call

from vosd.cdr.kinds import ColumnKind
from vosd.cdr.ports import Standing
from vosd.cdr.record import CallRecord
from vosd.storage import schema
from vosd.storage.rows import Encoding, ledger_row, prepare

NOT_IN_THE_ROW = {"attempts", "charges", "postings", "recorded"}

as_it_is = Encoding(
    dict.fromkeys((ColumnKind.CALL_ID, ColumnKind.NUMBER, ColumnKind.AMOUNT, ColumnKind.TIME), lambda value: value),
    dict.fromkeys((ColumnKind.ACCOUNT, ColumnKind.WORD, ColumnKind.TEXT, ColumnKind.DOCUMENT), lambda value, _: value),
    reference=lambda value, _: value,
)


def test_every_column_of_cdr_is_a_field_of_the_record_and_the_other_way_round():
    columns = [column.name for column in schema.cdr.columns]
    fields = [name for name in CallRecord.__struct_fields__ if name not in NOT_IN_THE_ROW]
    assert columns == ["export_seq", *fields]


def test_a_cdr_row_has_each_field_in_its_columns_place():
    record = answered_call(1)
    row = prepare(record, as_it_is).cdr
    assert row is not None
    fields = msgspec.structs.asdict(record)
    columns = [column.name for column in schema.cdr.columns][1:]
    assert dict(zip(columns, row, strict=True)) == {name: fields[name] for name in columns}


def test_attempt_rows_have_their_columns_places():
    record = answered_call(1)
    row = prepare(record, as_it_is).attempts[0]
    named = dict(zip((column.name for column in schema.cdr_attempt.columns), row, strict=True))
    attempt = msgspec.structs.asdict(record.attempts[0])
    assert named == {"call_id": record.call_id, "position": 1, **attempt}


def test_charge_rows_have_their_columns_places():
    record = answered_call(1)
    row = prepare(record, as_it_is).charges[1]
    named = dict(zip((column.name for column in schema.cdr_charge.columns), row, strict=True))
    charge = msgspec.structs.asdict(record.charges[1])
    assert named == {"call_id": record.call_id, "position": 2, **charge}


def test_ledger_rows_have_their_columns_places():
    record = answered_call(1)
    posting = record.postings[0]
    row = ledger_row(prepare(record, as_it_is), posting, Standing(posting.amount, 7), as_it_is)
    columns = [column.name for column in schema.ledger_entry.columns][1:]
    assert dict(zip(columns, row, strict=True)) == {
        "account": posting.account,
        "seq": 7,
        "amount": posting.amount,
        "balance_after": posting.amount,
        "kind": "call",
        "reference": posting.reference,
        "call_id": record.call_id,
        "operator": None,
        "memo": None,
        "created_at": record.ended_at,
        "currency": posting.currency,
        "tax": -record.tax,
    }
