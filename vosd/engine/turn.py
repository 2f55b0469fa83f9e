"""One message or wake-up: into the SIP core and to its call, and what is sent for it, kept in the trace.

Production and the virtual wire of the tests share it. Sends nothing: ``engine.loop`` does that, once the journal is
written.
"""

from typing import Final

from vosd.b2bua.attempt import GatewayAttempt
from vosd.b2bua.call_port import CallPort
from vosd.b2bua.caller import Caller
from vosd.b2bua.leg import Leg
from vosd.base.clock import Instant
from vosd.engine.calls.switch import Switch
from vosd.engine.trace.call_messages import CallMessages
from vosd.engine.trace.messages import CallTraces
from vosd.obs.traced import Direction
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import AckArrived, Event, InviteArrived, RequestArrived, ResponseArrived
from vosd.sip.wire.outgoing import Datagram, Peer

_PARTS: Final = (Leg, GatewayAttempt, Caller)
"""Owners of events that are parts of a call."""
_IN, _OUT = Direction  # access to enum members is slow


class Turn:
    """Processes messages and timers, and collects the datagrams to send."""

    def __init__(self, endpoint: Endpoint, switch: Switch, trace: CallTraces) -> None:
        self._endpoint = endpoint
        self._store = endpoint.store
        self._switch = switch
        self._trace = trace
        self._traced = 0
        """Number of datagrams to send that are in the trace."""

    def message(self, data: bytes, source: Peer, now: Instant) -> Event | None:
        """Process a received message completely; return its event."""
        trace, out = self._trace, self._store.out
        if len(out) > self._traced:
            self._keep_others(out, now)
        event = self._endpoint.receive_datagram(data, source, now)
        call: CallPort | None = None
        messages: CallMessages | None = None
        if event is not None:
            if (
                type(event) is ResponseArrived or type(event) is RequestArrived or type(event) is AckArrived
            ) and isinstance(event.owner, _PARTS):
                call = event.owner.call  # before the event, which may end the call
                messages = trace.of_calls.get(call.arrival.call_id) or trace.begin_call(call, now.wall)
            self._switch.handle(event)
            if type(event) is InviteArrived and isinstance(caller := event.transaction.owner, _PARTS):
                call = caller.call
                messages = trace.of_calls.get(call.arrival.call_id) or trace.begin_call(call, now.wall)
        if call is not None and messages is not None:
            trace.turn(call, messages, now, source, data, out[self._traced :])
            self._traced = len(out)
        else:
            trace.message(now.wall - now.waited_ms, _IN, source, data)
            if len(out) > self._traced:
                self._keep_others(out, now)
        return event

    def timers(self, now: Instant) -> None:
        """Fire every due timer and deadline."""
        handle = self._switch.handle
        for event in self._endpoint.handle_timers(now):
            handle(event)
        self._switch.handle_deadlines(now)

    def datagrams(self, now: Instant) -> list[Datagram]:
        """Return all datagrams to send, in order, and clear the list."""
        out = self._store.out
        if out:
            if len(out) > self._traced:
                self._keep_others(out, now)
            self._store.out = []
            self._traced = 0
        return out

    def _keep_others(self, out: list[Datagram], now: Instant) -> None:
        """Keep what was sent for no event of a call: by timers, deadlines, orders, and in answer to a repetition."""
        for datagram in out[self._traced :]:
            self._trace.message(now.wall, _OUT, datagram.peer, datagram.data)
        self._traced = len(out)
