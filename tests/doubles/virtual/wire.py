"""A network on virtual time: packets may be delivered, lost, duplicated or reordered.

Owns the order of events. Nothing sleeps: time is moved to whatever happens next. Knows no SIP.
"""

from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Final, NamedTuple

from doubles.sockets.loopback import Endpoint as Address
from doubles.virtual.clock import ManualClock
from vosd.base.errors import VosError

TRANSIT_MS: Final = 1
"""Default delay of a packet."""
_TRANSCRIPT_PACKETS: Final = 60


class NeverHappenedError(VosError):
    """A condition did not hold within its time; the message lists the last packets."""


class Packet(NamedTuple):
    """One datagram as sent."""

    sent_at: int
    source: Address
    target: Address
    data: bytes

    def __str__(self) -> str:
        first = self.data.partition(b"\r\n")[0].decode(errors="replace")
        return f"{self.sent_at:>9} {self.source} > {self.target}  {first}"


DelayRule = Callable[[Packet], Sequence[int]]
"""Delay in milliseconds of each copy of a packet; none = the packet is lost."""


def delivered(_packet: Packet) -> Sequence[int]:
    """Deliver every packet once, in order."""
    return (TRANSIT_MS,)


class DropEvery:
    """Loses every n-th packet, the first of them after ``spared`` others."""

    def __init__(self, nth: int, spared: int = 0) -> None:
        self._nth = nth
        self._count = nth - 1 - spared

    def __call__(self, _packet: Packet) -> Sequence[int]:
        """Return the delays of one packet."""
        self._count += 1
        return () if self._count % self._nth == 0 else (TRANSIT_MS,)


class Directions:
    """One rule for packets towards an address, and one for all others."""

    def __init__(self, address: Address, towards: DelayRule, others: DelayRule) -> None:
        self._address = address
        self._towards = towards
        self._others = others

    def __call__(self, packet: Packet) -> Sequence[int]:
        """Return the delays of one packet."""
        return self._towards(packet) if packet.target == self._address else self._others(packet)


class Storm:
    """Loses, duplicates and delays packets at random, and so reorders them; the seed makes it reproducible."""

    def __init__(self, seed: int, *, loss: float = 0.0, doubling: float = 0.0, jitter_ms: int = 0) -> None:
        self._random = Random(seed)
        self._loss = loss
        self._doubling = doubling
        self._jitter_ms = jitter_ms

    def __call__(self, _packet: Packet) -> Sequence[int]:
        """Return the delays of one packet."""
        if self._random.random() < self._loss:
            return ()
        copies = 2 if self._random.random() < self._doubling else 1
        return [TRANSIT_MS + self._random.randint(0, self._jitter_ms) for _ in range(copies)]


class Appointment:
    """A scheduled action, until it has run or is cancelled."""

    def __init__(self, action: Callable[[], object]) -> None:
        self.action: Callable[[], object] | None = action

    def call_off(self) -> None:
        """Cancel the action."""
        self.action = None


class Clockwork(NamedTuple):
    """A party with timers of its own: the time of the next one, and the function to call."""

    next_due: Callable[[], int | None]
    fire: Callable[[], None]


class Wire:
    """Packets and timers of all parties in the order of time."""

    def __init__(self, clock: ManualClock, delays: DelayRule = delivered) -> None:
        self.clock = clock
        self.delays = delays
        self.packets: list[Packet] = []
        """Every packet that was sent, including lost ones."""
        self._receivers: dict[Address, Callable[[Packet], None]] = {}
        self._outside: dict[Address, Address] = {}
        self._agenda: list[tuple[int, int, Appointment]] = []
        self._order = count()
        self._clockworks: list[Clockwork] = []

    def attach(self, address: Address, receive: Callable[[Packet], None]) -> None:
        """Deliver packets for ``address`` to ``receive``; packets for unattached addresses are lost."""
        self._receivers[address] = receive

    def hide(self, inside: Address, outside: Address) -> None:
        """Put a party behind NAT: its packets leave from ``outside``, and only packets to that address reach it.

        Another mapping than before takes its place; what is sent to the old one is lost.
        """
        before = self._outside.get(inside, inside)
        self._outside[inside] = outside
        self._receivers[outside] = self._receivers.pop(before)

    def drive(self, clockwork: Clockwork) -> None:
        """Run the timers of a party that has its own timer wheel."""
        self._clockworks.append(clockwork)

    def send(self, source: Address, target: Address, data: bytes) -> None:
        """Send one packet, with the delays or the loss of its rule."""
        packet = Packet(self.clock.now().mono, self._outside.get(source, source), target, data)
        self.packets.append(packet)
        for delay_ms in self.delays(packet):
            self.after(delay_ms, lambda: self.deliver(packet))

    def deliver(self, packet: Packet) -> None:
        """Deliver a packet now."""
        receive = self._receivers.get(packet.target)
        if receive is not None:
            receive(packet)

    def after(self, delay_ms: int, action: Callable[[], object]) -> Appointment:
        """Schedule an action."""
        appointment = Appointment(action)
        heappush(self._agenda, (self.clock.now().mono + delay_ms, next(self._order), appointment))
        return appointment

    def run_for(self, duration_ms: int) -> None:
        """Let time pass."""
        until = self.clock.now().mono + duration_ms
        while self._step(until):
            pass
        self.clock.move_to(until)

    def run_until(self, condition: Callable[[], object], within_ms: int = 600_000) -> None:
        """Let time pass until ``condition`` holds.

        Raises:
            NeverHappenedError: it did not within ``within_ms``.
        """
        until = self.clock.now().mono + within_ms
        while not condition():
            if not self._step(until):
                raise NeverHappenedError("\n".join(["not in time:", *self.transcript()]))

    def transcript(self) -> list[str]:
        """Return the last packets, one a line."""
        return [str(packet) for packet in self.packets[-_TRANSCRIPT_PACKETS:]]

    def _step(self, until: int) -> bool:
        """Run the next delivery, timer or action that is due by ``until``; False if there is none."""
        first: tuple[int, Clockwork] | None = None
        for clockwork in self._clockworks:
            due = clockwork.next_due()
            if due is not None and (first is None or due < first[0]):
                first = (due, clockwork)
        agenda = self._agenda
        while agenda and agenda[0][2].action is None:
            heappop(agenda)
        if agenda and (first is None or agenda[0][0] <= first[0]):
            if agenda[0][0] > until:
                return False
            at, _, appointment = heappop(agenda)
            self.clock.move_to(at)
            assert appointment.action is not None
            appointment.action()
            return True
        if first is None or first[0] > until:
            return False
        self.clock.move_to(first[0])
        first[1].fire()
        return True
