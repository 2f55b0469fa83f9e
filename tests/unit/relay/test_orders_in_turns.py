"""Orders of the switch in the turns of a worker: they wake one that has none, and come before packets in others."""

import socket
from collections.abc import Iterator

import msgspec
import pytest

from vosd.media.record import ID, ORDERS_AT
from vosd.relay.protocol import MESSAGE_PARTS, OffloadStreams, WorkerOrder
from vosd.relay.worker import _TURN_S, ORDERS_S, Worker

ORDER = OffloadStreams(are_offloaded=False)


class Switch:
    """The other side of a worker, which notes what the worker does."""

    def __init__(self, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
        self._worker = worker
        self._orders = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._orders.connect(worker._listening.getsockname())
        self._media, self._peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.done: list[str] = []
        worker._add(self._media.fileno(), self._receive)
        monkeypatch.setattr(worker, "_carry_out", self._carried_out)

    def order(self, count: int = 1) -> None:
        orders: list[WorkerOrder] = [ORDER] * count
        self._orders.send(msgspec.msgpack.encode(orders))
        ID.pack_into(self._worker._record, ORDERS_AT, ID.unpack_from(self._worker._record, ORDERS_AT)[0] + 1)

    def send_packet(self) -> None:
        self._peer.send(b"packet")

    def close(self) -> None:
        for each in (self._orders, self._media, self._peer):
            each.close()

    def _receive(self) -> None:
        self.done.append(self._media.recv(10).decode())

    def _carried_out(self, _order: WorkerOrder, _descriptors: list[int]) -> None:
        self.done.append("order")


class Polls:
    """Note how long a worker would wait for events, without a wait; end it at its last turn."""

    def __init__(self, worker: Worker) -> None:
        self._worker, self._last, self._epoll = worker, 0, worker._poll
        self.timeouts_s: list[float] = []
        self.modify = self._epoll.modify
        self.register, self.unregister = self._epoll.register, self._epoll.unregister

    def run(self, turns: int) -> list[float]:
        """Have the worker run for so many turns; return how long it would have waited in each."""
        self.timeouts_s, self._last, self._worker._is_ending = [], turns, False
        self._worker.run()
        return self.timeouts_s

    def poll(self, timeout_s: float, most: int) -> list[tuple[int, int]]:
        self.timeouts_s.append(timeout_s)
        self._worker._is_ending = len(self.timeouts_s) == self._last
        return self._epoll.poll(0, most)


@pytest.fixture
def switch(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> Iterator[Switch]:
    switch = Switch(worker, monkeypatch)
    yield switch
    switch.close()
    worker._leave_switch()


@pytest.fixture
def polls(worker: Worker) -> Polls:
    worker._poll = polls = Polls(worker)
    return polls


def test_an_order_is_carried_out_before_a_packet_that_lies_beside_it(polls, switch):
    """A peer may send as soon as the switch has ordered to take its media."""
    switch.order()
    polls.run(3)
    switch.send_packet()  # the kernel names it first
    switch.order()
    polls.run(1)
    assert switch.done == ["order", "order", "packet"]


def test_packets_have_their_turn_among_many_orders(polls, switch):
    for _ in range(3):
        switch.order(MESSAGE_PARTS)
    polls.run(2)
    switch.send_packet()
    polls.run(2)
    assert switch.done == ["order"] * 2 * MESSAGE_PARTS + ["packet"] + ["order"] * MESSAGE_PARTS


def test_orders_wake_a_worker_that_has_nothing_to_do_and_no_other_one(polls, switch):
    switch.order()
    assert polls.run(5) == [_TURN_S, _TURN_S, 0, ORDERS_S, _TURN_S]
    switch.order()
    assert polls.run(2) == [_TURN_S, 0]
    switch.send_packet()
    assert polls.run(1) == [ORDERS_S]
    switch.order()
    assert polls.run(3) == [ORDERS_S, ORDERS_S, _TURN_S]
    assert switch.done == ["order", "order", "packet", "order"]


def test_the_end_of_the_switch_is_noticed_by_a_worker_that_orders_do_not_wake(worker, polls, switch):
    switch.order()
    polls.run(3)
    assert worker._read_ns
    switch.close()
    polls.run(1)
    assert worker._channel is None
