"""Updates of calls combined to calls, and the remaining messages of an ended call."""

from typing import Any

import msgspec
import pytest
from doubles.data.records import answered_call

from vosd.admin.tracing import FollowedCalls, NothingKeptError, messages_of, traced_call
from vosd.cdr.record import Attempt
from vosd.control.order import Order
from vosd.control.traces import CallUpdate, EndedCallMessages, FindMessages, TraceUpdate
from vosd.obs.traced import Direction, TracedMessage

RECORD = answered_call(1)


def message(at: int) -> TracedMessage:
    return TracedMessage(at, Direction.IN, 0, "udp", "192.0.2.1", 5060, "198.51.100.10", 5060, b"INVITE")


def news(call_id: str, *at: int, gateways: tuple[str, ...] = (), is_last: bool = False) -> TraceUpdate:
    record = RECORD if is_last else None
    told = CallUpdate(call_id, "4930", "4420", "acme", gateways, [message(each) for each in at], record, is_last)
    return TraceUpdate([told], 0, is_over=False)


class Daemon:
    """What stands behind the control socket."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.asked: list[msgspec.Struct] = []

    async def ask(self, order: Order[Any]) -> Any:
        self.asked.append(order)
        return self.answers.pop(0)


def test_updates_are_combined_to_one_call():
    gathering = FollowedCalls()
    assert gathering.take(news("a", 1, 2)) == []
    assert gathering.take(news("b", 3)) == []
    assert gathering.take(news("a", 4, gateways=("carrier-a",))) == []
    (whole,) = gathering.take(news("a", 5, gateways=("carrier-a",), is_last=True))
    assert [each.at for each in whole.messages] == [1, 2, 4, 5]
    assert (whole.gateways, whole.outcome.end_reason) == (("carrier-a",), RECORD.end_reason)
    assert [call.call_id for call in gathering.going_on.values()] == ["b"]


async def test_a_call_is_asked_for_by_the_call_ids_of_its_record():
    daemon = Daemon(EndedCallMessages([message(1)], 2))
    found = await messages_of(daemon, RECORD)
    assert daemon.asked == [FindMessages((RECORD.sip_call_id_in, RECORD.sip_call_id_out))]
    call = traced_call(RECORD, found)
    assert (call.messages, found.left_out) == ([message(1)], 2)
    assert call.gateways == (RECORD.attempts[0].gateway,)
    assert call.outcome.attempts == RECORD.attempts


def test_legs_that_rang_together_have_their_gateways_whatever_order_they_ended_in():
    ends = [
        Attempt(name, code, 1, None, "") for name, code in (("first", 503), ("7003", 486), ("7001", 0), ("7002", 200))
    ]
    record = msgspec.structs.replace(RECORD, attempts=tuple(ends))
    found = EndedCallMessages([message(1)], 0, [(2, "7001"), (3, "7002"), (4, "7003")])
    assert traced_call(record, found).gateways == ("first", "7001", "7002", "7003")


async def test_a_call_that_no_gateway_was_tried_for_has_one_call_id():
    daemon = Daemon(EndedCallMessages([message(1)], 0))
    await messages_of(daemon, msgspec.structs.replace(RECORD, sip_call_id_out=None))
    assert daemon.asked == [FindMessages((RECORD.sip_call_id_in,))]


async def test_a_failed_call_without_kept_messages_is_an_error_with_a_remedy():
    failed = msgspec.structs.replace(RECORD, end_reason="NoRoute")
    with pytest.raises(NothingKeptError, match=r"trace\.recent_mb"):
        await messages_of(Daemon(EndedCallMessages([], 0)), failed)


async def test_the_messages_of_a_call_that_ended_normally_are_said_to_be_dropped_with_it():
    with pytest.raises(NothingKeptError, match=r"ended normally .* trace the next call") as refused:
        await messages_of(Daemon(EndedCallMessages([], 0)), RECORD)
    assert "recent_mb" not in str(refused.value)
