"""Packets that cross, in every order: a network that brings them one at a time, and a way through all its choices.

Two orders that differ only in which of two parties receives its packet first are equivalent; of such
orders one is gone through (sleep sets, after Godefroid).
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from doubles.sockets.loopback import Endpoint as Address
from doubles.virtual.wire import Packet, Wire


class Held(NamedTuple):
    """A packet that has not arrived yet."""

    number: int
    """Its place in the order of sending, which is the same for as long as the same has happened."""
    packet: Packet

    @property
    def target(self) -> Address:
        """Who will receive it."""
        return self.packet.target


class Turn:
    """One choice between packets: those that wait, those that need not be chosen here, and the one that was."""

    __slots__ = ("_spared", "_tried", "chosen", "waiting")

    def __init__(self, waiting: Sequence[Held], before: "Turn | None") -> None:
        self.waiting = tuple(waiting)
        self._spared = set() if before is None else before.still_spared()
        self._tried: set[int] = set()
        self.chosen: Held | None = None
        self.go_on()

    def go_on(self) -> bool:
        """Choose another packet; say whether there was one left."""
        if self.chosen is not None:
            self._tried.add(self.chosen.number)
        left = (held for held in self.waiting if held.number not in self._tried | self._spared)
        self.chosen = next(left, None)
        return self.chosen is not None

    def still_spared(self) -> set[int]:
        """Return what need not come next: the order in which it comes first is equivalent and was tried."""
        done = self._tried | self._spared
        return {
            held.number
            for held in self.waiting
            if self.chosen is not None and held.number in done and held.target != self.chosen.target
        }


class Order:
    """One order of arrival: the choices made so far, then those that come of themselves."""

    def __init__(self, turns: list[Turn], depth: int) -> None:
        self._turns = turns
        self._depth = depth
        self._turn = 0

    def choose(self, waiting: Sequence[Held]) -> Held | None:
        """Return the packet that arrives next; None if every way on has been gone through already."""
        number, self._turn = self._turn, self._turn + 1
        if number >= self._depth:
            return waiting[0]
        if number == len(self._turns):
            self._turns.append(Turn(waiting, self._turns[-1] if self._turns else None))
        chosen = self._turns[number].chosen
        return next((held for held in waiting if chosen is not None and held.number == chosen.number), None)


class Orders:
    """Every order in which packets can arrive, depth first; beyond ``depth`` choices it is that of sending."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._turns: list[Turn] = []

    def __iter__(self) -> Iterator[Order]:
        yield Order(self._turns, self._depth)
        while self._turns:
            if self._turns[-1].go_on():
                yield Order(self._turns, self._depth)
            else:
                self._turns.pop()


class Crossing:
    """Takes a wire over: what is sent waits until its turn has come."""

    def __init__(self, wire: Wire, order: Order) -> None:
        self._wire = wire
        self._order = order
        self._sent = 0
        self._waiting: list[Held] = []
        self._usual, wire.delays = wire.delays, self._hold

    def settle(self) -> bool:
        """Let everything arrive that waits, and what follows from it; False if this has been gone through already."""
        while self._waiting:
            held = self._order.choose(self._waiting)
            if held is None:
                return False
            self._waiting.remove(held)
            self._wire.deliver(held.packet)
            self._wire.run_for(1)
        self._wire.delays = self._usual
        return True

    def _hold(self, packet: Packet) -> Sequence[int]:
        self._waiting.append(Held(self._sent, packet))
        self._sent += 1
        return ()
