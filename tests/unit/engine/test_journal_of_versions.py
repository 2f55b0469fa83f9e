"""The journal between versions: what an earlier one wrote is read here, what this one writes is read by an earlier one.

The earlier version is the one before calls had charges for everyone, and agents; bytes that it wrote are kept beside.
"""

import base64
import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from doubles.data.builders import applied_rate
from doubles.ended_calls import ended_call, open_call

from vosd.billing.parties import CallSide, Party
from vosd.callcontrol.bookkeeping import lost
from vosd.callcontrol.open_call import UNDESCRIBED, OpenCall
from vosd.cdr.record import AGENT, CUSTOMER, VENDOR, CallRecord, Posting
from vosd.engine.journal.entries import Ended, answered_frame, ended_frame, entries_in
from vosd.engine.journal.frames import Damage, Frame, frames_in

EARLIER = {
    name: base64.b64decode(text)
    for name, text in yaml.safe_load(Path(__file__).with_name("journal_without_charges.yaml").read_text()).items()
}
AGENTS = (
    Party("reseller", CallSide.AGENT, 1, applied_rate("0.50")),
    Party("wholesaler", CallSide.AGENT, 2, applied_rate("0.40", 60)),
)


def keys_of(frame: bytes, *path: str) -> set[str]:
    """Return the keys that an earlier version wrote into a struct of its entry."""
    (part,) = frames_in(io.BytesIO(frame))
    assert isinstance(part, Frame)
    value = msgspec.msgpack.decode(part.payload)
    for key in path:
        value = value[key]
    return set(value) - {"type"}


def as_earlier(struct: type[msgspec.Struct], keys: set[str], **types: Any) -> type[msgspec.Struct]:
    """Return the struct as the earlier version had it, from the keys that it wrote."""
    fields = [
        (field.name, types.get(field.name, field.type), *(() if field.required else (field.default,)))
        for field in msgspec.structs.fields(struct)
        if field.name in keys
    ]
    assert {name for name, *_ in fields} == keys, "a field was removed or renamed"
    return msgspec.defstruct(
        struct.__name__, fields, tag=struct.__struct_config__.tag, kw_only=struct is CallRecord, frozen=True
    )


EARLIER_RECORD = as_earlier(CallRecord, keys_of(EARLIER["ended"], "record"))


def payload_of(frame: bytes) -> bytes:
    (part,) = frames_in(io.BytesIO(frame))
    assert not isinstance(part, Damage)
    return part.payload


def test_a_call_that_an_earlier_version_answered_is_ended_with_its_charges():
    (call,) = entries_in(io.BytesIO(EARLIER["answered"]))
    assert isinstance(call, OpenCall)
    assert call.agents == ()
    record = lost(call, 65_500)
    assert [(each.role, each.account, each.fee, each.tax) for each in record.charges] == [
        (CUSTOMER, "acme", Decimal("0.0132"), Decimal("0.00132")),
        (VENDOR, "carrier-a", Decimal("0.0093"), Decimal(0)),
    ]
    assert (record.fee, record.tax, record.cost) == (Decimal("0.0132"), Decimal("0.00132"), Decimal("0.0093"))


def test_an_earlier_version_books_from_a_newer_record_what_it_would_have_written():
    record = ended_call(1, applied_rate("0.60", tax_rate="10"), applied_rate("0.30"), AGENTS)
    entry = as_earlier(Ended, {"record"}, record=EARLIER_RECORD)
    read: Any = msgspec.msgpack.decode(payload_of(ended_frame(record, 65_500)), type=entry)
    assert [each.reference.partition("/")[2] for each in read.record.postings] == [
        *("customer", "agent-1", "agent-2", "vendor")
    ]
    assert read.record.postings == record.postings
    assert (read.record.fee, read.record.cost) == (record.fee, record.cost)


def test_an_earlier_version_reads_a_newer_open_call_with_both_rates():
    call = open_call(1, applied_rate("0.60"), applied_rate("0.30"), AGENTS)
    entry = as_earlier(OpenCall, keys_of(EARLIER["answered"]), record=EARLIER_RECORD)
    read: Any = msgspec.msgpack.decode(payload_of(answered_frame(call, UNDESCRIBED)), type=entry)
    assert (read.customer_rate, read.vendor_rate) == (call.customer_rate, call.vendor_rate)
    assert not hasattr(read, "agents")


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
