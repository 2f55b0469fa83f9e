"""The skin: the only place where messages, timers and the pure core meet (DESIGN section 2).

One message or one wake-up at a time: it goes into the core, everything it causes is done, the journal is handed to
the operating system, and only then do the answers leave. Whether a message came as a datagram or on a connection
makes no difference here; only that a connection can fail, and is closed on a stranger.
"""

import asyncio
from collections.abc import Callable, Sequence
from random import randrange
from typing import Final

from vosd.b2bua.ports import Answer
from vosd.b2bua.reasons import reason_headers
from vosd.base.cause import EndReason
from vosd.base.clock import Clock, Instant
from vosd.base.wheel import TICK_MS
from vosd.callcontrol.setup import Ticket
from vosd.engine.calls.switch import Switch
from vosd.engine.journal import Journal
from vosd.engine.trace.messages import Keep
from vosd.obs.traced import Direction
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import UnknownSourceIgnored
from vosd.sip.wire.compose import Datagram, Peer
from vosd.trunks.dialect import ReasonForm

TICK_S: Final = TICK_MS / 1000
PEERS_MAX: Final = 4_096
"""Peers that are remembered: one object for each, which messages in the trace share."""
RETRY_AFTER_MAX_S: Final = 5
"""Who is refused for want of time comes again within so long, not all at once."""

_OVERLOAD: Final = reason_headers(ReasonForm.Q850, EndReason.OVERLOAD, EndReason.OVERLOAD.q850_cause)
"""The trunk is not known yet, so neither is what it wants to read."""

_IN, _OUT = Direction  # an enum looks its members up every time

Transmit = Callable[[bytes, tuple[str, int]], None]
HangUp = Callable[[int, str, int, str], None]
"""Closes the connection of a flow with a host and port, for a reason; does nothing where there is none."""


class Loop:
    """Drives one endpoint and one switch on an asyncio loop."""

    def __init__(self, clock: Clock, endpoint: Endpoint, switch: Switch, journal: Journal, keep: Keep) -> None:
        """``keep`` is told of every message that comes or leaves."""
        self._clock = clock
        self._endpoint = endpoint
        self._switch = switch
        self._journal = journal
        self._keep = keep
        self._peers: dict[tuple[int, str, int], Peer] = {}
        self._transmit: Sequence[Transmit] = ()
        self._hang_up: HangUp = _nothing_to_hang_up
        self._asyncio: asyncio.AbstractEventLoop | None = None
        self._wake: asyncio.TimerHandle | None = None
        self._wake_is_near = False

    def attach(self, transmit: Sequence[Transmit], hang_up: HangUp | None = None) -> None:
        """Begin: ``transmit`` holds one sender a listener, in the order of the endpoint's listeners."""
        self._transmit = transmit
        self._hang_up = hang_up or _nothing_to_hang_up
        self._asyncio = asyncio.get_running_loop()

    def detach(self) -> None:
        """Stop waking up."""
        if self._wake is not None:
            self._wake.cancel()

    def datagram_received(self, flow: int, data: bytes, host: str, port: int, came: float) -> None:
        """Take one message of one listener; before ``attach`` it is left to its sender to say it again.

        ``came`` is when it came, in seconds of the monotonic clock: that is what calls are billed by (DESIGN D2).
        """
        if self._asyncio is None:
            return
        now = self._when(came)
        source = self._peers.get((flow, host, port)) or self._meet(Peer(flow, host, port))
        self._keep(now.came.wall, _IN, source, data)
        event = self._endpoint.receive_datagram(data, source, now)
        if event is not None:
            self._switch.hear(event)
            if type(event) is UnknownSourceIgnored and event.status is None:
                self._hang_up(flow, host, port, event.why)
        self.flush(now)

    def turn_away(self, flow: int, data: bytes, host: str, port: int) -> None:
        """Refuse one request for want of time; it is not kept in the trace."""
        now = self._clock.now()
        source = self._peers.get((flow, host, port)) or self._meet(Peer(flow, host, port))
        headers = f"{_OVERLOAD}Retry-After: {1 + randrange(RETRY_AFTER_MAX_S)}\r\n"
        outcome = self._endpoint.turn_away(data, source, headers, now)
        if isinstance(outcome, Datagram):
            peer, refusal = outcome
            self._transmit[peer.flow](refusal, (peer.host, peer.port))
            return
        if outcome is not None:
            self._switch.hear(outcome)
        self.flush(now)

    def take_answer(self, ticket: Ticket, answer: Answer) -> None:
        """Take the answer to a question of a call's set-up; an ``Asker`` calls this when it has one."""
        now = self._clock.now()
        self._switch.take_answer(ticket, answer, now)
        self.flush(now)

    def transport_failed(self, flow: int, host: str, port: int) -> None:
        """Hear that what was sent last to a peer may not have arrived; never from inside a sender of ``transmit``."""
        now = self._clock.now()
        for event in self._endpoint.transport_failed(Peer(flow, host, port), now):
            self._switch.hear(event)
        self.flush(now)

    def unsent(self, data: bytes) -> None:
        """Hear that a datagram cannot be sent to its peer; never from inside a sender of ``transmit``."""
        now = self._clock.now()
        event = self._endpoint.unsent(data, now)
        if event is not None:
            self._switch.hear(event)
            self.flush(now)

    def flush(self, now: Instant) -> None:
        """Hand over what was decided: the journal first, then the messages; see to the next wake-up."""
        self._journal.flush()
        transmit, keep = self._transmit, self._keep
        for peer, data in self._endpoint.datagrams_to_send():
            keep(now.wall, _OUT, peer, data)
            transmit[peer.flow](data, (peer.host, peer.port))
        if not self._wake_is_near:
            self._wake_in(TICK_S)
            self._wake_is_near = True

    def _when(self, came: float) -> Instant:
        """Return the present instant, which knows when the message came that is served at it."""
        now = self._clock.now()
        return now._replace(waited_ms=max(0, now.mono - int(came * 1000)))

    def _meet(self, peer: Peer) -> Peer:
        if len(self._peers) >= PEERS_MAX:
            self._peers.clear()
        self._peers[peer] = peer
        return peer

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
            self.flush(now)
        finally:  # whatever went wrong with one timer, the others must still come
            times = [due for due in (self._endpoint.next_timer(), self._switch.next_deadline()) if due is not None]
            self._wake_is_near = False
            if times:
                self._wake_in(max(TICK_S, (min(times) - now.mono) / 1000))


def _nothing_to_hang_up(_flow: int, _host: str, _port: int, _why: str) -> None:
    """Stand in where no listener has connections."""
