"""The skin: the only place where datagrams, timers and the pure core meet (DESIGN section 2).

One datagram or one wake-up at a time: it goes into the core, everything it causes is done, the journal is handed to
the operating system, and only then do the datagrams leave.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from vosd.base.clock import Clock
from vosd.base.wheel import TICK_MS
from vosd.engine.journal import Journal
from vosd.engine.switch import Switch
from vosd.sip.compose import Peer
from vosd.sip.endpoint import Endpoint

TICK_S: Final = TICK_MS / 1000

Transmit = Callable[[bytes, tuple[str, int]], None]


class Loop:
    """Drives one endpoint and one switch on an asyncio loop."""

    def __init__(self, clock: Clock, endpoint: Endpoint, switch: Switch, journal: Journal) -> None:
        self._clock = clock
        self._endpoint = endpoint
        self._switch = switch
        self._journal = journal
        self._transmit: Sequence[Transmit] = ()
        self._asyncio: asyncio.AbstractEventLoop | None = None
        self._wake: asyncio.TimerHandle | None = None
        self._wake_is_near = False

    def attach(self, transmit: Sequence[Transmit]) -> None:
        """Begin: ``transmit`` holds one sender a listener, in the order of the endpoint's listeners."""
        self._transmit = transmit
        self._asyncio = asyncio.get_running_loop()

    def detach(self) -> None:
        """Stop waking up."""
        if self._wake is not None:
            self._wake.cancel()

    def datagram_received(self, flow: int, data: bytes, host: str, port: int) -> None:
        """Take one datagram of one listener; before ``attach`` it is left to its sender to say it again."""
        if self._asyncio is None:
            return
        event = self._endpoint.receive_datagram(data, Peer(flow, host, port), self._clock.now())
        if event is not None:
            self._switch.hear(event)
        self.flush()

    def flush(self) -> None:
        """Hand over what was decided: the journal first, then the datagrams; see to the next wake-up."""
        self._journal.flush()
        transmit = self._transmit
        for (flow, host, port), data in self._endpoint.datagrams_to_send():
            transmit[flow](data, (host, port))
        if not self._wake_is_near:
            self._wake_in(TICK_S)
            self._wake_is_near = True

    def _wake_in(self, seconds: float) -> None:
        if self._wake is not None:
            self._wake.cancel()
        if self._asyncio is not None:
            self._wake = self._asyncio.call_later(seconds, self._fire)

    def _fire(self) -> None:
        """Fire all timers that are due, then sleep until the next."""
        self._wake = None
        self._wake_is_near = True
        now = self._clock.now()
        try:
            for event in self._endpoint.handle_timers(now):
                self._switch.hear(event)
            self._switch.handle_deadlines(now)
            self.flush()
        finally:  # whatever went wrong with one timer, the others must still come
            times = [due for due in (self._endpoint.next_timer(), self._switch.next_deadline()) if due is not None]
            self._wake_is_near = False
            if times:
                self._wake_in(max(TICK_S, (min(times) - now.mono) / 1000))
