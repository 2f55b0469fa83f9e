"""The trace: what is kept of a call and for how long, whatever comes."""

from collections.abc import Iterable

import pytest
from doubles.traced_calls import (
    BUSY,
    CALLER,
    MIB,
    NOW,
    RINGING,
    UNKNOWN_SOURCE,
    VENDOR,
    a_call,
    end,
    message,
    ring,
    said,
    the_call,
    turn,
)  # fmt: skip

from vosd.engine.trace.call_messages import LEGS_MAX, MESSAGES_MAX, CallOutcome
from vosd.engine.trace.messages import SET_UP_WITHIN_MS, UNKNOWN_BYTES, CallTraces
from vosd.obs.traced import Direction


def kept(trace: CallTraces, names: Iterable[str]) -> set[str]:
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


def test_unknown_sources_take_little_memory_and_are_not_shown():
    """Nor do our answers to them: a scanner cannot push the calls out."""
    trace = ring()
    a_call(trace, "call", None)
    for index in range(1_000):
        trace.message(NOW, Direction.IN, UNKNOWN_SOURCE, message(f"scan-{index}", size=1_000))
        trace.message(NOW, Direction.OUT, UNKNOWN_SOURCE, message(f"scan-{index}", "SIP/2.0 403 Forbidden"))
        assert trace.held_bytes < UNKNOWN_BYTES + 20_000
    assert said(trace, "scan-999") == []
    assert kept(trace, ["call"]) == {"call"}


def test_a_challenge_belongs_to_the_call_that_follows_it():
    """A phone that is not registered is unknown until it has proven who it is."""
    trace = ring()
    first, challenge = message("call-in"), message("call-in", "SIP/2.0 401 Unauthorized")
    trace.message(NOW, Direction.IN, UNKNOWN_SOURCE, first)
    trace.message(NOW, Direction.OUT, UNKNOWN_SOURCE, challenge)
    again = message("call-in", "INVITE again")
    turn(trace, the_call("call"), again, peer=UNKNOWN_SOURCE)
    assert said(trace, "call-in") == [first, challenge, again]


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
    call = the_call("x", ("first", "second"))
    turn(trace, call, message("x-in"), message("x-first"), message("x-second"))
    end(trace, call, CallOutcome.FAILED)
    for asked in ("x-in", "x-first", "x-second"):
        assert [traced.leg for traced in trace.call_of((asked,))] == [0, 1, 2]
    assert trace.call_of(("another",)) == []


def test_a_leg_that_two_calls_have_had_is_found_though_one_of_them_has_had_many_more():
    trace = ring()
    first, second = the_call("first", ("shared",)), the_call("second", ("own",))
    turn(trace, first, message("first-in"), message("first-shared"))
    turn(trace, second, message("second-in"), message("second-own"))
    second.journey.sip_call_ids_out = ("first-shared",)
    end(trace, second, CallOutcome.FAILED)
    first.journey.sip_call_ids_out = tuple(f"first-{index}" for index in range(LEGS_MAX + 1))
    end(trace, first, CallOutcome.FAILED)
    assert [traced.entry for traced in trace.call_of(("first-shared",))] == [
        traced.entry for traced in trace.call_of(("second-in",))
    ]


def test_a_caller_may_use_a_call_id_again():
    """After a challenge or a refusal the next INVITE has the same one (RFC 3261 section 22.2): it is one story."""
    trace = ring()
    for index in range(LEGS_MAX + 5):
        call = the_call(f"{index}", (f"out-{index}",))
        call.arrival.sip_call_id_in = "in"
        turn(trace, call, message("in"), message(f"{index}-out-{index}"))
        end(trace, call, CallOutcome.FAILED)
    legs = [traced.leg for traced in trace.call_of(("in",))]
    assert legs.count(0) == LEGS_MAX + 5
    assert set(legs) == set(range(LEGS_MAX + 1))
    assert trace.call_of(("0-out-0",)) == []


def test_a_call_that_ends_well_is_dropped_at_once_and_all_of_it():
    trace = ring()
    a_call(trace, "call", CallOutcome.WELL)
    assert (trace.held_bytes, trace._by_call_id, trace.of_calls) == (0, {}, {})
    trace.message(NOW, Direction.IN, VENDOR, message("call-out", "SIP/2.0 200 OK"))
    assert trace.held_bytes == 0


def test_a_call_that_ends_well_is_kept_while_calls_are_followed():
    trace = ring()
    trace.is_followed = True
    a_call(trace, "call", CallOutcome.WELL)
    trace.message(NOW, Direction.IN, VENDOR, message("call-out", "SIP/2.0 200 OK"))
    assert [traced.leg for traced in trace.call_of(("call-in",))] == [0, 1, 1, 0, 1]


def test_events_of_a_call_that_is_over_begin_no_record():
    trace = ring()
    call = the_call("call")
    turn(trace, call, message("call-in"))
    end(trace, call, CallOutcome.WELL)
    turn(trace, call, message("call-in", "SIP/2.0 487 Request Terminated"))
    assert trace.held_bytes == 0


def test_what_a_timer_sent_belongs_to_the_call_that_has_its_call_id():
    """The INVITE to the next gateway leaves when a deadline has passed, before any event of that leg."""
    trace = ring()
    call = the_call("call", ())
    turn(trace, call, message("call-in"))
    trace.message(NOW, Direction.OUT, VENDOR, message("call-next"))
    call.journey.sip_call_ids_out.append("call-next")
    turn(trace, call, message("call-next", RINGING), message("call-in", RINGING))
    trace.message(NOW, Direction.OUT, VENDOR, message("call-next", "CANCEL x"))
    end(trace, call, CallOutcome.FAILED)
    assert [traced.leg for traced in trace.call_of(("call-next",))] == [0, 1, 1, 0, 1]
    assert len(trace._failed) == 1
    assert len(trace._recent) == 0


def test_a_call_that_is_refused_at_once_is_kept_with_what_follows():
    trace = ring()
    trace.ended("call", ("in",), CallOutcome.FAILED, NOW)
    for direction, start in ((Direction.IN, "INVITE x"), (Direction.OUT, BUSY), (Direction.IN, "ACK x")):
        trace.message(NOW, direction, CALLER, message("in", start))
    assert len(trace.call_of(("in",))) == 3


def test_the_calls_of_a_transfer_share_their_record_until_both_have_ended():
    trace = ring()
    first, second = the_call("first"), the_call("second", ("target",))
    second.arrival.sip_call_id_in = first.arrival.sip_call_id_in
    turn(trace, first, message("first-in"), message("first-out"))
    turn(trace, first, message("first-in", "REFER x"), message("second-target"))
    turn(trace, second, message("second-target", RINGING))
    end(trace, first, CallOutcome.WELL)
    assert len(said(trace, "first-in", "first-out", "second-target")) == 5
    end(trace, second, CallOutcome.FAILED)
    assert [traced.leg for traced in trace.call_of(("second-target",))] == [0, 1, 0, 2, 2]


# -- how long -----------------------------------------------------------------------------------------------------


def test_of_failed_calls_the_oldest_make_room_too():
    trace = ring(50_000, 50_000)
    names = [f"{index:03}" for index in range(60)]
    for name in names:
        a_call(trace, name, CallOutcome.FAILED)
    left = sorted(kept(trace, names))
    assert left == names[-len(left) :]
    assert len(left) in range(6, 11)


def test_late_messages_of_a_failed_call_are_kept_with_it():
    trace = ring(50_000, 50_000)
    a_call(trace, "failed", CallOutcome.FAILED)
    for index in range(4):
        a_call(trace, f"{index:03}", CallOutcome.FAILED)
    late = message("failed-out", "SIP/2.0 487 Request Terminated")
    trace.message(NOW + 500, Direction.IN, VENDOR, late)
    trace.message(NOW + 600, Direction.OUT, VENDOR, message("failed-out", "ACK sip:44@203.0.113.1 SIP/2.0"))
    found = trace.call_of(("failed-in",))
    assert [traced.leg for traced in found] == [0, 1, 1, 0, 1, 1]
    assert found[4].entry[4] == late
    assert len(trace.messages(("failed-in", "failed-out"), after=found[4].entry[0])) == 1


def a_talk(trace: CallTraces, name: str, *, at: int = NOW) -> None:
    """Record a call that was answered and goes on."""
    a_call(trace, name, None, at=at)
    turn(trace, the_call(name), message(f"{name}-in", "SIP/2.0 200 OK"), at=at)


def test_a_call_that_is_being_set_up_outlives_those_that_talk():
    trace = ring(60_000, 60_000)
    a_call(trace, "rings", None)
    names = [f"{index:03}" for index in range(60)]
    for name in names:
        a_talk(trace, name)
    assert [len(trace.messages((f"{name}-in",))) for name in ("rings", names[0], names[-1])] == [2, 0, 3]


def test_a_call_is_not_being_set_up_for_ever():
    trace = ring(60_000, 60_000)
    a_call(trace, "rings", None)
    names = [f"{index:03}" for index in range(60)]
    for name in names:
        a_talk(trace, name, at=NOW + SET_UP_WITHIN_MS + 1)
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
        a_call(trace, f"{index:03}", None)
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
