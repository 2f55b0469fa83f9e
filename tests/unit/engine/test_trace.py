"""The ring of messages: what is kept and for how long, whatever comes, and that its bound of memory holds."""

import sys
from collections.abc import Iterable
from random import Random

import pytest

from vosd.engine.settings import TraceSettings
from vosd.engine.trace.call_messages import LEGS_MAX, MESSAGES_MAX, CallOutcome, LegMessages, Room
from vosd.engine.trace.messages import SET_UP_WITHIN_MS, SMALL_BYTES, UNFILED_MAX, Trace
from vosd.obs.traced import Direction
from vosd.sip.wire.compose import Peer

CALLER = Peer(0, "198.51.100.10", 5060)
VENDOR = Peer(0, "203.0.113.1", 5060)
UNKNOWN_SOURCE = Peer(0, "192.0.2.66", 5060)
NOW = 1_790_000_000_000
MIB = 1024 * 1024


def ring(recent: int = MIB, failed: int = MIB) -> Trace:
    return Trace(TraceSettings(recent, failed), lambda host, _port: host in {CALLER.host, VENDOR.host})


def message(call_id: str, start: str = "INVITE sip:44@192.0.2.1 SIP/2.0", *, name: str = "Call-ID: ", size: int = 0):
    head = f"{start}\r\nVia: SIP/2.0/UDP 198.51.100.10\r\n{name}{call_id}\r\nCSeq: 1 INVITE\r\n\r\n".encode()
    return head + b"x" * size


RINGING = "SIP/2.0 180 Ringing"
BUSY = "SIP/2.0 486 Busy Here"


def said(trace: Trace, *call_ids: str) -> list[bytes]:
    return [traced.entry[4] for traced in trace.messages(call_ids)]


ENDS = (CallOutcome.WELL, CallOutcome.FAILED)


def a_call(trace: Trace, name: str, outcome: CallOutcome | None, *, size: int = 1_000, at: int = NOW) -> None:
    """Record four messages of two legs, and the end of the call."""
    for peer, leg in ((CALLER, "in"), (VENDOR, "out")):
        trace.message(at, Direction.IN, peer, message(f"{name}-{leg}", size=size))
        trace.message(at, Direction.OUT, peer, message(f"{name}-{leg}", BUSY if outcome else RINGING, size=size))
    if outcome is not None:
        trace.ended((f"{name}-in", f"{name}-out"), outcome)


def kept(trace: Trace, names: Iterable[str]) -> set[str]:
    return {name for name in names if len(trace.messages((f"{name}-in", f"{name}-out"))) == 4}


# -- what is kept -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Call-ID: ", "Call-ID:", "call-id:  ", "CALL-ID : ", "i: ", "I:"])
def test_a_message_is_found_by_its_call_id_however_the_header_is_written(name):
    trace = ring()
    first, second = message("abc@host", name=name), message("abc@host", RINGING)
    trace.message(NOW, Direction.IN, CALLER, first)
    trace.message(NOW, Direction.OUT, CALLER, second)
    assert said(trace, "abc@host") == [first, second]


def test_a_call_id_in_a_body_is_nobodys():
    trace = ring()
    data = b"INVITE sip:44@192.0.2.1 SIP/2.0\r\ni: abc\r\n\r\nCall-ID of the body\r\ni: def\r\n"
    trace.message(NOW, Direction.IN, CALLER, data)
    assert (said(trace, "abc"), said(trace, "def")) == ([data], [])


@pytest.mark.parametrize(
    "data", [b"", b"\r\n\r\n", b"OPTIONS sip:x SIP/2.0\r\n\r\n", b"\x16\x03\x01\x02", b"Call-ID: "]
)
def test_what_has_no_call_id_is_not_kept(data):
    trace = ring()
    trace.message(NOW, Direction.IN, CALLER, data)
    assert trace.held_bytes == 0


def test_unknown_sources_take_no_memory():
    """Nor do our answers to them: a scanner cannot push the calls out."""
    trace = ring()
    trace.message(NOW, Direction.IN, UNKNOWN_SOURCE, message("scan"))
    trace.message(NOW, Direction.OUT, UNKNOWN_SOURCE, message("scan", "SIP/2.0 403 Forbidden"))
    assert trace.held_bytes == 0


def test_a_known_call_is_kept_for_any_source_in_it():
    """A peer may answer from another address, and a request of ours may go to one that only a Contact names."""
    trace = ring()
    trace.message(NOW, Direction.IN, CALLER, message("call"))
    trace.message(NOW, Direction.IN, UNKNOWN_SOURCE, message("call", "BYE sip:44@192.0.2.1 SIP/2.0"))
    trace.message(NOW, Direction.OUT, UNKNOWN_SOURCE, message("ours"))
    assert (len(said(trace, "call")), len(said(trace, "ours"))) == (2, 1)


def test_messages_of_one_millisecond_come_in_their_order():
    trace = ring()
    for call_id, start in (("in", "INVITE"), ("out", "INVITE"), ("out", RINGING), ("in", RINGING)):
        trace.message(NOW, Direction.IN, CALLER, message(call_id, f"{start} x"))
    legs = [traced.leg for traced in trace.messages(("in", "out"))]
    assert legs == [0, 1, 1, 0]
    second = trace.messages(("in", "out"))[1].entry[0]
    assert [traced.leg for traced in trace.messages(("in", "out"), after=second)] == [1, 0]


def test_a_call_is_found_by_the_call_id_of_any_leg():
    trace = ring()
    legs = ("in", "first", "second")
    for leg in legs:
        trace.message(NOW, Direction.OUT, VENDOR, message(leg))
    trace.ended(legs, CallOutcome.FAILED)
    for asked in legs:
        assert [traced.leg for traced in trace.call_of((asked,))] == [0, 1, 2]
    assert trace.call_of(("another",)) == []


def test_a_caller_may_use_a_call_id_again():
    """After a challenge or a refusal the next INVITE has the same one (RFC 3261 section 22.2): it is one story."""
    trace = ring()
    for index in range(LEGS_MAX + 5):
        trace.message(NOW, Direction.IN, CALLER, message("in"))
        trace.message(NOW, Direction.OUT, VENDOR, message(f"out-{index}"))
        trace.ended(("in", f"out-{index}"), CallOutcome.WELL)
    legs = [traced.leg for traced in trace.call_of(("in",))]
    assert legs.count(0) == LEGS_MAX + 5
    assert set(legs) == set(range(LEGS_MAX + 1))


# -- how long -----------------------------------------------------------------------------------------------------


def test_the_oldest_calls_make_room_and_failed_ones_stay_longer():
    trace = ring(100_000, 100_000)
    names = [f"{index:03}" for index in range(60)]
    for name in names:
        a_call(trace, name, CallOutcome.FAILED if int(name) % 4 == 0 else CallOutcome.WELL)
    left = kept(trace, names)
    well = sorted(name for name in left if int(name) % 4)
    failed = sorted(name for name in left if int(name) % 4 == 0)
    assert failed == names[::4]
    assert well == [name for name in names if int(name) % 4][-len(well) :]
    assert len(well) in range(8, 15)


def test_of_failed_calls_the_oldest_make_room_too():
    trace = ring(50_000, 50_000)
    names = [f"{index:03}" for index in range(60)]
    for name in names:
        a_call(trace, name, CallOutcome.FAILED)
    left = sorted(kept(trace, names))
    assert left == names[-len(left) :]
    assert len(left) in range(12, 20)


def test_late_messages_of_a_failed_call_are_kept_with_it():
    trace = ring(50_000, 50_000)
    a_call(trace, "failed", CallOutcome.FAILED)
    for index in range(10):
        a_call(trace, f"{index:03}", CallOutcome.WELL)
    late = message("failed-out", "SIP/2.0 487 Request Terminated")
    trace.message(NOW + 500, Direction.IN, VENDOR, late)
    trace.message(NOW + 600, Direction.OUT, VENDOR, message("failed-out", "ACK sip:44@203.0.113.1 SIP/2.0"))
    found = trace.call_of(("failed-in",))
    assert [traced.leg for traced in found] == [0, 0, 1, 1, 1, 1]
    assert found[4].entry[4] == late
    assert len(trace.messages(("failed-in", "failed-out"), after=found[4].entry[0])) == 1


def test_a_call_that_is_being_set_up_outlives_those_that_ended_well():
    trace = ring(60_000, 60_000)
    a_call(trace, "rings", None)
    names = [f"{index:03}" for index in range(60)]
    for name in names:
        a_call(trace, name, CallOutcome.WELL)
    assert kept(trace, ["rings", names[0], names[-1]]) == {"rings", names[-1]}


def test_a_call_is_not_being_set_up_for_ever():
    trace = ring(60_000, 60_000)
    a_call(trace, "rings", None)
    names = [f"{index:03}" for index in range(60)]
    for name in names:
        a_call(trace, name, CallOutcome.WELL, at=NOW + SET_UP_WITHIN_MS + 1)
    assert kept(trace, ["rings"]) == set()


def test_where_all_calls_are_being_set_up_the_oldest_go():
    trace = ring(60_000, 60_000)
    names = [f"{index:03}" for index in range(60)]
    for name in names:
        a_call(trace, name, None)
    left = kept(trace, names)
    assert names[-1] in left
    assert len(left) < 20


def test_what_is_no_call_is_not_taken_for_one_that_is_being_set_up():
    """A gateway's OPTIONS come with a new Call-ID every few seconds and never end."""
    trace = ring(20_000, 20_000)
    trace.message(NOW, Direction.IN, CALLER, message("ping", "OPTIONS sip:192.0.2.1 SIP/2.0"))
    for index in range(10):
        a_call(trace, f"{index:03}", CallOutcome.WELL)
    assert said(trace, "ping") == []


def test_a_leg_that_does_not_end_leaves_room_for_others():
    trace = ring(MIB, MIB)
    for index in range(3 * MESSAGES_MAX):
        trace.message(NOW, Direction.IN, CALLER, message("talks", f"INFO {index}", size=1_000))
        if index % 10 == 0:
            a_call(trace, f"{index:03}", CallOutcome.FAILED)
    for index in range(100):
        trace.message(NOW, Direction.IN, CALLER, message("talks", f"INFO again-{index}", size=10_000))
    assert kept(trace, ["000"]) == {"000"}
    rest = said(trace, "talks")
    assert rest[-1].startswith(b"INFO again-99\r\n")
    assert len(rest) <= MESSAGES_MAX + 100


def test_a_ring_without_room_keeps_nothing():
    trace = ring(0, 0)
    a_call(trace, "call", CallOutcome.FAILED)
    assert (trace.held_bytes, trace.call_of(("call-in",))) == (0, [])


# -- the bound ----------------------------------------------------------------------------------------------------


def rooms_of(trace: Trace) -> tuple[Room, Room]:
    return trace._recent, trace._failed


def memory_of(leg_messages: LegMessages) -> int:
    """Count what the interpreter has for a leg; peers are shared with the loop, names of legs with legs."""
    entries = leg_messages.entries
    objects = [leg_messages, entries, *entries, *(part for entry in entries for part in (entry[0], entry[1], entry[4]))]
    collector = 16 * (2 + len(entries))
    places = 200  # in the dictionary and the queue of the room
    names = sys.getsizeof(leg_messages.call_ids) + 2 * sys.getsizeof(leg_messages.call_id)
    return sum(map(sys.getsizeof, objects)) + collector + places + names


def test_the_bound_holds_after_every_message_whatever_comes():
    """Calls of every outcome, messages of 64 KiB, endless legs, junk, Call-IDs of 8 KiB."""
    random = Random(7)
    trace = ring(700_000, 400_000)
    limit = 1_100_000
    for step in range(6_000):
        call = f"{random.randrange(max(1, step // 8), step // 8 + 12)}" + "y" * (8_000 if step % 500 == 0 else 0)
        size = random.choice((0, 300, 700, 700, 700, 65_000 if step % 20 == 0 else 700))
        start = random.choice(("INVITE x", "INVITE x", RINGING, BUSY, "OPTIONS x"))
        peer = random.choice((CALLER, VENDOR, UNKNOWN_SOURCE))
        data = message(call, start, size=size) if random.random() < 0.95 else random.randbytes(200)
        trace.message(NOW + step, random.choice((Direction.IN, Direction.OUT)), peer, data)
        if random.random() < 0.2:
            trace.ended((call, f"{random.randrange(step // 8 + 12)}"), random.choice(ENDS))
        assert trace.held_bytes <= limit
    for room, bound in zip(rooms_of(trace), (700_000, 400_000), strict=True):
        by_call_id = room.by_call_id.values()
        assert 0.6 * bound < room.held_bytes <= bound
        assert room.held_bytes == sum(leg_messages.size_bytes for leg_messages in by_call_id)
        assert set(room.by_age) == set(by_call_id)
        assert sum(map(memory_of, by_call_id)) <= room.held_bytes


def test_what_waits_to_be_filed_is_bounded_too():
    trace = ring()
    for step in range(3 * UNFILED_MAX):
        trace.message(NOW + step, Direction.IN, CALLER, message(f"call-{step}", size=700))
        assert len(trace._unfiled) < UNFILED_MAX
    trace.message(NOW, Direction.IN, CALLER, message("large", size=SMALL_BYTES))
    assert trace._unfiled == []
