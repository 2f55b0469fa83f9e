"""The journal between versions: records of a call are read as they were written, by a later version as well."""

import io
from decimal import Decimal

import msgspec
import pytest
from doubles.data.builders import applied_rate
from doubles.ended_calls import ended_call, open_call

from vosd.billing.parties import CallSide, Party
from vosd.callcontrol.bookkeeping import lost
from vosd.callcontrol.open_call import UNDESCRIBED, OpenCall
from vosd.cdr.record import AGENT, CUSTOMER, VENDOR, CallRecord, Posting
from vosd.engine.journal.entries import Ended, answered_frame, ended_frame, entries_in
from vosd.engine.journal.frames import Frame, frames_in

AGENTS = (
    Party("reseller", CallSide.AGENT, 1, applied_rate("0.50")),
    Party("wholesaler", CallSide.AGENT, 2, applied_rate("0.40", 60)),
)


def keys_of(frame: bytes, *path: str) -> set[str]:
    """Return the keys of a struct in an entry as it is written."""
    (part,) = frames_in(io.BytesIO(frame))
    assert isinstance(part, Frame)
    value = msgspec.msgpack.decode(part.payload)
    for key in path:
        value = value[key]
    return set(value) - {"type"}


def test_agents_and_charges_come_back_from_the_journal():
    call = open_call(1, applied_rate("0.60"), applied_rate("0.30"), AGENTS)
    record = ended_call(1, applied_rate("0.60"), applied_rate("0.30"), AGENTS)
    entries = list(entries_in(io.BytesIO(answered_frame(call, UNDESCRIBED) + ended_frame(record, 65_500))))
    assert entries == [call, Ended(record)]


def test_what_a_call_leaves_at_its_default_is_not_written_and_read_back():
    call = open_call(1, applied_rate("0.60"), applied_rate("0.30"))
    written = keys_of(answered_frame(call, UNDESCRIBED), "record")
    assert written.isdisjoint({"postings", "charges", "recorded"})
    assert {"call_id", "started_at", "ended_at", "hangup_source", "end_reason"} < written
    assert list(entries_in(io.BytesIO(answered_frame(call, UNDESCRIBED)))) == [call]


def test_no_default_of_what_is_kept_has_changed():
    """What is left out is read as the default of the version that reads it; a new field may be added here."""
    texts = dict.fromkeys(("callee_in", "caller_in", "sip_call_id_in", "source_address"), "")
    numbers = dict.fromkeys(("billed_seconds", "hold_time_ms", "hold_time_s", "vendor_billed_seconds"), 0)
    amounts = dict.fromkeys(("cost", "cost_tax", "fee", "tax"), Decimal(0))
    rows: dict[str, object] = dict.fromkeys(("attempts", "charges", "postings"), ())
    of_a_call = {"agents": (), "legs": (), "established": b"", "saved": b"", "leaves_no_cdr": False}
    known: dict[type[msgspec.Struct], dict[str, object]] = {
        CallRecord: {**texts, **numbers, **amounts, **rows, "fee_breakdown": "{}", "recorded": True},
        OpenCall: {**of_a_call, "vendor_earns": False, "seen_mono": 0},
        Posting: {},
    }
    for kind, defaults in known.items():
        fields = msgspec.structs.fields(kind)
        found = {each.name: each.default for each in fields if not each.required and each.default is not None}
        assert found == defaults, kind


def test_what_a_partner_earns_is_still_earned_after_a_crash():
    call = msgspec.structs.replace(open_call(1, applied_rate("0.60"), applied_rate("0.30")), vendor_earns=True)
    (read,) = entries_in(io.BytesIO(answered_frame(call, UNDESCRIBED)))
    assert isinstance(read, OpenCall)
    record = lost(read, 65_500)
    assert [(each.role, each.earned) for each in record.charges] == [(CUSTOMER, None), (VENDOR, 1)]
    assert [each.amount > 0 for each in record.postings] == [False, True]
    (ended,) = entries_in(io.BytesIO(ended_frame(record, 65_500)))
    assert ended == Ended(record)


def test_a_charge_of_a_later_version_with_more_columns_is_read():
    record = ended_call(1, applied_rate("0.60"), None)
    (part,) = frames_in(io.BytesIO(ended_frame(record, 65_500)))
    assert isinstance(part, Frame)
    entry = msgspec.msgpack.decode(part.payload)
    entry["record"]["charges"][0].append("a column of a later version")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(entry), type=Ended).record.charges == record.charges


@pytest.mark.parametrize("role", CallSide)
def test_roles_are_named_alike_in_billing_and_in_the_record(role):
    assert role.value in {CUSTOMER, AGENT, VENDOR}
