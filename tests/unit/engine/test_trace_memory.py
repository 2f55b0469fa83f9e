"""The memory of the trace: messages that wait are compressed, and its bound holds whatever comes."""

import sys
from random import Random

import pytest
from doubles.traced_calls import (
    BUSY,
    CALLER,
    NOW,
    RINGING,
    UNKNOWN_SOURCE,
    VENDOR,
    a_call,
    end,
    message,
    ring,
    the_call,
    turn,
)  # fmt: skip

from vosd.engine.trace.call_messages import CallMessages, CallOutcome, Room
from vosd.engine.trace.messages import PACK_EVERY_MS, PACKED_AFTER_MS, UNKNOWN_BYTES, CallTraces
from vosd.obs.traced import Direction

ENDS = (CallOutcome.WELL, CallOutcome.FAILED)

# -- compressed ---------------------------------------------------------------------------------------------------


def test_the_messages_of_a_call_that_lasts_are_compressed_and_read_like_others():
    trace = ring()
    call = the_call("long")
    turn(trace, call, message("long-in", size=2_000), message("long-out", size=2_000))
    before = trace.held_bytes
    a_call(trace, "other", CallOutcome.WELL, at=NOW + PACKED_AFTER_MS - 1)
    assert trace.held_bytes == before
    a_call(trace, "next", CallOutcome.WELL, at=NOW + PACKED_AFTER_MS + PACK_EVERY_MS)
    assert trace.held_bytes < before / 2
    late = message("long-out", "BYE x")
    turn(trace, call, late, at=NOW + 10_000, peer=VENDOR)
    found = trace.messages(("long-in", "long-out"))
    assert [(each.leg, *each.entry[1:4]) for each in found] == [
        (0, NOW, Direction.IN, CALLER),
        (1, NOW, Direction.OUT, VENDOR),
        (1, NOW + 10_000, Direction.IN, VENDOR),
    ]
    assert [each.entry[4] for each in found] == [
        message("long-in", size=2_000), message("long-out", size=2_000), late,
    ]  # fmt: skip
    assert [each.entry[4] for each in trace.messages(("long-in", "long-out"), after=found[1].entry[0])] == [late]
    end(trace, call, CallOutcome.FAILED)
    assert len(trace.call_of(("long-in",))) == 3


def test_a_compressed_call_that_rings_still_outlives_others():
    trace = ring(60_000, 60_000)
    a_call(trace, "rings", None)
    a_call(trace, "talks", None)
    turn(trace, the_call("talks"), message("talks-in", "SIP/2.0 200 OK"))
    names = [f"{index:03}" for index in range(60)]
    for name in names:
        a_call(trace, name, None, at=NOW + PACKED_AFTER_MS)
    turn(trace, the_call("rings"), message("rings-in", "PRACK x"))
    assert [len(trace.messages((f"{name}-in",))) for name in ("rings", "talks")] == [3, 0]


# -- the bound ----------------------------------------------------------------------------------------------------


def rooms_of(trace: CallTraces) -> tuple[Room, Room]:
    return trace._recent, trace._failed


def memory_of(record: CallMessages) -> int:
    """Count what the interpreter has for a record; peers are shared with the loop, ids with the call."""
    entries = record.entries
    objects = [record, entries, record.calls, record.call_ids, record.packed, *record.packed, *entries]
    objects += (part for entry in entries for part in (entry[0], entry[1], entry[4]))
    collector = 16 * (4 + len(entries))
    places = 120 * (2 + len(record.calls) + len(record.call_ids))  # in tables of the trace and of the room
    return sum(map(sys.getsizeof, objects)) + collector + places + sum(map(len, record.call_ids))


def test_the_bound_holds_after_every_message_whatever_comes():
    """Calls of every outcome, messages of 64 KiB, endless legs, junk, Call-IDs of 8 KiB."""
    random = Random(7)
    trace = ring(700_000, 400_000)
    limit = 1_100_000 + UNKNOWN_BYTES
    for step in range(6_000):
        name = f"{random.randrange(max(1, step // 8), step // 8 + 12)}" + "y" * (8_000 if step % 500 == 0 else 0)
        size = random.choice((0, 300, 700, 700, 700, 65_000 if step % 20 == 0 else 700))
        start = random.choice(("INVITE x", "INVITE x", RINGING, BUSY, "OPTIONS x"))
        peer = random.choice((CALLER, VENDOR, UNKNOWN_SOURCE))
        leg = random.choice(("in", "out"))
        data = message(f"{name}-{leg}", start, size=size) if random.random() < 0.95 else random.randbytes(200)
        if random.random() < 0.5:
            trace.message(NOW + 40 * step, random.choice((Direction.IN, Direction.OUT)), peer, data)
        else:
            turn(trace, the_call(name), data, data, at=NOW + 40 * step, peer=peer)
        if random.random() < 0.2:
            end(trace, the_call(f"{random.randrange(step // 8 + 12)}"), random.choice(ENDS))
        trace.is_followed = step % 1_000 > 900
        assert trace.held_bytes <= limit
    records = {id(record): record for record in trace._by_call_id.values()}.values()
    for room, bound in zip(rooms_of(trace), (700_000, 400_000), strict=True):
        inside = [record for record in records if record.room is room]
        assert 0.5 * bound < room.held_bytes <= bound
        assert room.held_bytes == sum(record.size_bytes for record in inside)
        assert len(room) == len(inside)
        assert sum(map(memory_of, inside)) <= room.held_bytes
    assert any(record.packed for record in records)
    assert {id(record) for record in trace._unpacked} <= {id(record) for record in records}
    assert set(trace.of_calls) == {call for record in records for call in record.calls}


def test_the_queue_of_the_uncompressed_holds_nothing_of_calls_that_have_ended():
    trace = ring()
    for index in range(100):
        a_call(trace, f"{index}", CallOutcome.WELL)
    assert not trace._unpacked


@pytest.mark.parametrize("start", ["INVITE x", "OPTIONS x"])
@pytest.mark.parametrize("limit", [0, 700_000])
def test_messages_of_unknown_sources_are_within_the_bound_although_no_call_begins(start, limit):
    trace = ring(limit, limit)
    for index in range(5_000):
        trace.message(NOW + index, Direction.IN, UNKNOWN_SOURCE, message(f"{index}{'y' * 6_000}", start))
    assert trace.held_bytes <= UNKNOWN_BYTES
    assert len(trace._unpacked) == len(trace._unknown)
    assert sum(memory_of(record) for record in trace._unpacked) <= trace.held_bytes


def test_a_compressed_record_that_takes_over_messages_is_compressed_again():
    trace = ring()
    call = the_call("long")
    turn(trace, call, message("long-in", size=2_000))
    a_call(trace, "next", CallOutcome.WELL, at=NOW + PACKED_AFTER_MS)
    record = trace.of_calls["long"]
    assert not record.entries
    trace.message(NOW + PACKED_AFTER_MS, Direction.OUT, VENDOR, message("second-attempt", size=2_000))
    trace._name(record, ("long-in", "second-attempt"))
    assert len(record.entries) == 2
    a_call(trace, "last", CallOutcome.WELL, at=NOW + 3 * PACKED_AFTER_MS)
    assert not record.entries
