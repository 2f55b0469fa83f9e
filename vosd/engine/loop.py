"""Event loop adapter: feeds messages and timers to the pure core and sends what it returns.

Some messages go into the core; then the journal is handed to the operating system, and only then are the answers sent.
Datagrams and connections are treated alike, except that a connection can fail, and is closed for an unknown source.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from itertools import count
from random import randrange
from typing import Final

from vosd.b2bua.outgoing.reasons import reason_headers
from vosd.b2bua.ports import SetupAnswer
from vosd.base.cause import EndReason
from vosd.base.clock import Clock, Instant
from vosd.base.wheel import TICK_MS
from vosd.callcontrol.questions import Ticket
from vosd.engine.booking.standstill import never
from vosd.engine.calls.live_call import LiveCall
from vosd.engine.calls.switch import Switch
from vosd.engine.journal import Journal
from vosd.engine.senders import CloseConnection, Transmit
from vosd.engine.trace.messages import CallTraces
from vosd.engine.turn import Turn
from vosd.media.source import RelayPort
from vosd.obs.events import log as _log
from vosd.obs.log import LogLimiter, write_call_lines
from vosd.sip.door.door import WaitingMessage
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import UnknownSourceIgnored
from vosd.sip.wire.outgoing import Datagram, Peer
from vosd.trunks.dialect import ReasonForm

TICK_S: Final = TICK_MS / 1000
PEERS_MAX: Final = 4_096
"""Most peers of queued messages cached: messages in the trace share one object for each peer."""
RETRY_AFTER_MAX_S: Final = 5
"""Longest Retry-After of a refusal for overload; each gets a random one, so that retries are spread."""

STILL_S: Final = 1.0
"""A timer that fires so late has found that this process stood still: what waits in the sockets came before it."""

ENDED_AT_ONCE: Final = 50
"""Calls that an order ends before others get their turn: each takes some tenths of a millisecond."""

BOOKING_S: Final = 0.4
"""Longest wait of messages for the booking of the calls that they end: peers repeat theirs after T1, 0.5 s."""

_OVERLOAD: Final = reason_headers(ReasonForm.Q850, EndReason.OVERLOAD, EndReason.OVERLOAD.q850_cause)
"""The trunk is not identified yet, so its configured form of Reason is not known."""


class Loop:
    """Connects one endpoint and one switch to an asyncio loop."""

    def __init__(
        self,
        clock: Clock,
        endpoint: Endpoint,
        switch: Switch,
        journal: Journal,
        trace: CallTraces,
        when_booked: Callable[[Callable[[], None]], None],
    ) -> None:
        """``when_booked`` books what has ended, at once, and then does what it is given."""
        self._clock = clock
        self._endpoint = endpoint
        self._switch = switch
        self._journal = journal
        self._when_booked = when_booked
        self._unbooked: dict[int, Sequence[Datagram]] = {}
        """Messages that wait for a booking, by a number."""
        self._numbers = count()
        self._turn = Turn(endpoint, switch, trace)
        self._peers: dict[tuple[int, str, int], Peer] = {}
        self._transmit: Sequence[Transmit] = ()
        self._hang_up: CloseConnection = _nothing_to_hang_up
        self._asyncio: asyncio.AbstractEventLoop | None = None
        self._wake: asyncio.TimerHandle | None = None
        self._wake_is_near = False
        self._wake_at = 0.0
        """Time at which ``_wake`` is due, on the clock of the event loop."""
        self._has_waited = False
        """Whether it was put off until the sockets were read."""
        self._log_limiter = LogLimiter()
        self._is_over = False
        """Whether nothing happens to calls any more: they may be written down for the next process."""
        self.stands_still = never
        """Whether nothing may be processed now (``booking.standstill``)."""
        self.give_orders: Callable[[], None] = _nothing_to_order
        """Gives the relay of media its orders, which are to be there before the peer sends by our messages."""
        self.is_behind = never
        """Whether messages have waited in the sockets: no timer of a call may fire before they are served."""

    def attach(self, transmit: Sequence[Transmit], hang_up: CloseConnection | None = None) -> None:
        """Start; ``transmit`` holds one send function for each of the endpoint's listeners."""
        self._transmit = transmit
        self._hang_up = hang_up or _nothing_to_hang_up
        self._asyncio = asyncio.get_running_loop()

    def detach(self) -> None:
        """Stop the timer, and drop what is received or ordered from now on."""
        self._is_over = True
        for number in tuple(self._unbooked):
            self._booked(number)
        if self._wake is not None:
            self._wake.cancel()
        self._wake = self._asyncio = None
        write_call_lines()

    def process(self, data: bytes, source: Peer, now: Instant) -> bool:
        """Process one message; ``flush`` must follow. Return whether it was an event for a call or a registration.

        Before ``attach`` it is dropped, and the sender retransmits.
        """
        if self._asyncio is None:
            return False
        try:
            event = self._turn.message(data, source, now)
        except Exception:  # noqa: BLE001  the boundary: an error costs one message, not those that were read with it
            _log.exception("message_not_processed", source=str(source))
            return False
        if type(event) is UnknownSourceIgnored and event.status is None:
            self._hang_up(source.flow, source.host, source.port, event.why)
        return event is not None

    def datagram_received(self, flow: int, data: bytes, host: str, port: int, came: float) -> None:
        """Process one message that was queued, and send what follows.

        ``came`` is the time of reception in seconds of the monotonic clock, by which calls are billed.
        """
        now = self._clock.now()
        now = Instant(now.mono, now.wall, max(0, now.mono - int(came * 1000)))
        source = self._peers.get((flow, host, port)) or self._peer(Peer(flow, host, port))
        self.process(data, source, now)
        if self._asyncio is not None:
            self.flush(now)

    def refuse_overload(self, flow: int, data: bytes, host: str, port: int) -> None:
        """Refuse one request for overload; it is not traced."""
        now = self._clock.now()
        source = self._peers.get((flow, host, port)) or self._peer(Peer(flow, host, port))
        headers = f"{_OVERLOAD}Retry-After: {1 + randrange(RETRY_AFTER_MAX_S)}\r\n"
        outcome = self._endpoint.refuse_overload(data, source, headers, now)
        if isinstance(outcome, Datagram):
            peer, refusal = outcome.peer, outcome.data
            self._transmit[peer.flow](refusal, (peer.host, peer.port))
            return
        if outcome is not None:
            self._switch.handle(outcome)
        self.flush(now)

    def take_answer(self, ticket: Ticket, answer: SetupAnswer) -> None:
        """Process the answer to a question of a call's set-up; called by an ``Asker``."""
        if self._is_over:
            return
        if self._is_postponed(self.take_answer, ticket, answer):
            return
        now = self._clock.now()
        self._switch.take_answer(ticket, answer, now)
        self.flush(now)

    def take_again(self, data: bytes, source: Peer, came: Instant) -> None:
        """Process a message again that came at an earlier moment: the authentication gate has its verdict by now."""
        if self._is_over:
            return
        if self._is_postponed(self.take_again, data, source, came):
            return
        now = self._clock.now()
        now = Instant(now.mono, now.wall, max(0, now.mono - came.mono))
        self.process(data, source, now)
        self.flush(now)

    def key_pressed(self, port: int, key: str, duration_ms: int) -> None:
        """Process a key that came in the media at a port of the relay."""
        if self._is_over or self._is_postponed(self.key_pressed, port, key, duration_ms):
            return
        now = self._clock.now()
        self._switch.media_events.key_pressed(port, key, duration_ms, now)
        self.flush(now)

    def source_found(self, port: RelayPort, leg: int, host: str) -> None:
        """Judge an address that media of a leg come from."""
        if self._is_over or self._is_postponed(self.source_found, port, leg, host):
            return
        now = self._clock.now()
        self._switch.media_events.source_found(port, leg, host, now)
        self.flush(now)

    def sound_failed(self, port: int) -> None:
        """Process that the peer of a port of the relay is not played its sound after all."""
        if self._is_over or self._is_postponed(self.sound_failed, port):
            return
        now = self._clock.now()
        self._switch.media_events.sound_failed(port, now)
        self.flush(now)

    def in_turn(self, waiting: WaitingMessage, act: Callable[[Instant], None]) -> None:
        """Do something with a message that waits at its door, and send what follows; called by a media engine."""
        if self._is_over:
            return
        if self._is_postponed(self.in_turn, waiting, act):
            return
        now = self._clock.now()
        self._switch.answer_waiting(waiting, act, now)
        self.flush(now)

    def _is_postponed(self, act: Callable[..., None], *words: object) -> bool:
        """Do something later if the process stands still: another switch may have its calls (ADR 93)."""
        if self._asyncio is None or not self.stands_still():
            return False
        self._asyncio.call_later(TICK_S, act, *words)
        return True

    def transport_failed(self, flow: int, host: str, port: int, names: Collection[str] | None = None) -> None:
        """Report that the last message to a peer may not have arrived; never from within a function of ``transmit``.

        ``names`` are those that the connection was used for, if there is another one with that peer.
        """
        if self._is_over:
            return
        now = self._clock.now()
        for event in self._endpoint.transport_failed(Peer(flow, host, port), now, names):
            self._switch.handle(event)
        self.flush(now)

    def unsent(self, data: bytes) -> None:
        """Report that a datagram cannot be sent; never from within a function of ``transmit``."""
        if self._is_over:
            return
        now = self._clock.now()
        event = self._endpoint.unsent(data, now)
        if event is not None:
            self._switch.handle(event)
        self.flush(now)  # it may go to another address of its peer instead

    def undelivered(self, quoted: bytes, peer: Peer) -> None:
        """Report an ICMP error about a datagram; never from within a function of ``transmit``."""
        if self._is_over:
            return
        now = self._clock.now()
        event = self._endpoint.undelivered(quoted, peer, now)
        if event is not None:
            if self._log_limiter.admits(peer.host, now.mono):
                _log.warning("datagram_not_delivered", host=peer.host, port=peer.port, error="ICMP: unreachable")
            self._switch.handle(event)
            self.flush(now)

    def end_calls(self, chosen: Iterable[LiveCall], reason: EndReason) -> int:
        """End calls by order and tell their peers; return how many there were."""
        if self._is_over:
            return 0
        now = self._clock.now()
        ended = self._switch.end_calls(chosen, reason, now)
        self.flush(now)
        return ended

    def end_in_turns(self, chosen: Sequence[LiveCall], reason: EndReason) -> int:
        """End calls as ``end_calls`` does, some in each turn of the event loop; return how many there are."""
        if self._is_over:
            return 0
        if len(chosen) > ENDED_AT_ONCE:
            asyncio.get_running_loop().call_soon(self.end_in_turns, chosen[ENDED_AT_ONCE:], reason)
        self.end_calls(chosen[:ENDED_AT_ONCE], reason)
        return len(chosen)

    @property
    def is_attached(self) -> bool:
        """Whether messages are processed, and sent."""
        return self._asyncio is not None

    def flush(self, now: Instant) -> None:
        """Apply what was decided: write the journal, set the timer, and send the messages.

        Before ``attach`` messages stay queued until it has run; after ``detach`` none is sent.
        """
        is_kept = self._journal.flush()
        if self._asyncio is None:
            return
        if not self._wake_is_near:  # first: no error below may stop the timers of all calls
            self._wake_in(TICK_S)
            self._wake_is_near = True
        self.give_orders()
        if is_kept:
            transmit = self._transmit
            for datagram in self._turn.datagrams(now):
                peer, data = datagram.peer, datagram.data
                try:
                    transmit[peer.flow](data, (peer.host, peer.port))
                except Exception:  # noqa: BLE001  the boundary: an error costs one message, not those behind it
                    _log.exception("message_not_sent", peer=str(peer))
        else:
            self._send_when_booked(self._turn.datagrams(now), self._asyncio)

    def _send_when_booked(self, datagrams: Sequence[Datagram], loop: asyncio.AbstractEventLoop) -> None:
        """Send messages once the calls that they end are in the database, for the journal has not taken them."""
        number = next(self._numbers)
        self._unbooked[number] = datagrams
        loop.call_later(BOOKING_S, self._booked, number)
        self._when_booked(partial(self._booked, number))

    def _booked(self, number: int) -> None:
        for datagram in self._unbooked.pop(number, ()):
            peer = datagram.peer
            try:
                self._transmit[peer.flow](datagram.data, (peer.host, peer.port))
            except Exception:  # noqa: BLE001  the boundary, as in ``flush``
                _log.exception("message_not_sent", peer=str(peer))

    def _peer(self, peer: Peer) -> Peer:
        if len(self._peers) >= PEERS_MAX:
            self._peers.clear()
        self._peers[peer] = peer
        return peer

    def _wake_in(self, seconds: float) -> None:
        if self._wake is not None:
            self._wake.cancel()
        if self._asyncio is not None:
            self._wake_at = self._asyncio.time() + seconds
            self._wake = self._asyncio.call_later(seconds, self._fire)

    def _fire(self) -> None:
        """Fire all due timers, then set the timer for the next; once the sockets were read, where it is much too late.

        The event loop calls timers first when it goes on: a limit ended calls whose BYE had come before.
        """
        self._wake = None
        self._wake_is_near = True
        is_late = self._asyncio is not None and self._asyncio.time() - self._wake_at > STILL_S
        self._has_waited = is_late and not self._has_waited  # a busy loop may be as late each time
        if self._has_waited:
            self._wake_in(TICK_S)
            return
        now = self._clock.now()
        try:
            if not self.stands_still() and not self.is_behind():
                self._turn.timers(now)
            self.flush(now)
        finally:  # after an error in one timer, the others must still fire
            write_call_lines()
            times = [due for due in (self._endpoint.next_timer(), self._switch.next_deadline()) if due is not None]
            self._wake_is_near = False
            if times:
                self._wake_in(max(TICK_S, (min(times) - now.mono) / 1000))


def _nothing_to_order() -> None:
    """Do nothing: no media are relayed."""


def _nothing_to_hang_up(_flow: int, _host: str, _port: int, _why: str) -> None:
    """``CloseConnection`` without connections."""
