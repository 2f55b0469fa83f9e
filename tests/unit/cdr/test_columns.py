"""A CDR as ``--json`` and CSV have it (INTERFACES sections 2 and 5)."""

import json
import re
from decimal import Decimal

import pytest

from vosd.cdr.columns import KEYS, csv_row, iso_utc, json_object
from vosd.testing.data.records import answered_call, call_id, refused_call


def test_the_keys_are_those_of_the_record_and_the_export_number():
    record = answered_call(1)
    assert set(KEYS) == ({*record.__struct_fields__} - {"postings", "recorded"}) | {"export_seq"}
    assert list(json_object(record, 7)) == list(KEYS)


def test_an_answered_call_reads_as_interfaces_says():
    record = answered_call(0, fee=Decimal("1.5"), tax=Decimal("0.15000000"), cost=Decimal(0))
    row = json_object(record, 7)
    assert json.loads(json.dumps(row)) == row
    assert row["call_id"] == call_id(0)
    assert row["export_seq"] == 7
    assert (row["fee"], row["tax"], row["cost"], row["cost_tax"]) == ("1.50", "0.15", "0.00", "0.00")
    assert row["started_at"] == "2026-09-21T14:13:20.000Z"
    assert row["answered_at"] == "2026-09-21T14:13:24.000Z"
    assert row["fee_breakdown"]["sell"]["prefix"] == "4420"
    assert row["attempts"] == [
        {"gateway": "vendor-0-trunk", "code": 200, "ms": 4_000, "pdd_ms": 880, "reason": "Normal"}
    ]


def test_what_did_not_happen_is_null_and_its_money_is_0_00():
    row = json_object(refused_call(1), None)
    for key in ("ringing_at", "answered_at", "pdd_ms", "routing_gateway", "codec", "export_seq"):
        assert row[key] is None
    assert [row[key] for key in ("fee", "tax", "cost", "cost_tax")] == ["0.00"] * 4
    assert row["attempts"] == []
    assert row["fee_breakdown"] == {}


def test_a_damaged_breakdown_does_not_hide_the_call():
    assert json_object(answered_call(1, fee_breakdown='{"sell"'), 1)["fee_breakdown"] == '{"sell"'


def test_csv_cells_stand_under_the_keys_with_nothing_for_null():
    cells = dict(zip(KEYS, csv_row(answered_call(1, ringing_at=None), 3), strict=True))
    assert cells["ringing_at"] == ""
    assert cells["export_seq"] == "3"
    assert cells["fee_breakdown"] == answered_call(1).fee_breakdown
    assert json.loads(cells["attempts"])[0]["gateway"] == "vendor-1-trunk"


@pytest.mark.parametrize(
    ("wall_ms", "text"),
    [(0, "1970-01-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"), (951_782_400_001, "2000-02-29T00:00:00.001Z")],
)
def test_times_are_iso_8601_in_utc_with_milliseconds(wall_ms, text):
    assert iso_utc(wall_ms) == text
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)


def test_a_time_outside_the_calendar_is_an_error():
    with pytest.raises(OverflowError):
        iso_utc(10**18)
