"""Ports that send by themselves: each is looked at when it has something to send, and not before."""

from dataclasses import dataclass, field
from typing import Any

from vosd.relay.worker import Worker

MS = 1_000_000


@dataclass(eq=False)
class Playing:
    """A port that sends every 20 ms until it has sent so many packets."""

    left: int = 1_000
    looks: list[int] = field(default_factory=list)
    due_ns: int = 0

    def send_due(self, now_ns: int) -> int | None:
        assert now_ns >= self.due_ns, "it is not looked at before"
        self.looks.append(now_ns)
        self.left -= 1
        self.due_ns += 20 * MS
        return self.due_ns if self.left else None


def run(worker: Worker, *ports: Any, turns: int, begin_ms: int = 0) -> None:
    """Let a turn of the worker end every millisecond."""
    for port in ports:
        port.due_ns = begin_ms * MS
        worker.sends_itself(port, port.due_ns)
    for turn in range(begin_ms, begin_ms + turns):
        worker._end_turn(turn * MS)


def test_each_port_is_looked_at_once_a_packet(worker):
    first, later = Playing(), Playing(left=3)
    run(worker, first, turns=7)
    run(worker, later, turns=993, begin_ms=7)
    assert len(first.looks) == 50
    assert max(look % (20 * MS) for look in first.looks) <= 5 * MS
    assert [look // MS for look in later.looks] == [10, 27, 47]
    assert later not in worker._sending


def test_a_port_is_looked_at_sooner_where_a_key_is_pressed_meanwhile(worker):
    port = Playing()
    run(worker, port, turns=8)
    port.due_ns = 10 * MS
    worker.sends_itself(port, 10 * MS)
    run(worker, turns=13, begin_ms=8)
    assert [look // MS for look in port.looks] == [5, 10]
    assert worker._sending == {port: 30 * MS}


def test_an_error_costs_one_port_what_it_plays(worker):
    class Broken(Playing):
        def send_due(self, now_ns: int) -> int | None:
            super().send_due(now_ns)
            raise ValueError(now_ns)

    broken, other = Broken(), Playing()
    run(worker, broken, other, turns=50)
    assert (len(broken.looks), len(other.looks)) == (1, 3)
