"""One message or wake-up: into the SIP core and to its call, and what is sent for it, kept in the trace.

Production and the virtual wire of the tests share it. Sends nothing: ``engine.loop`` does that, once the journal is
written.
"""

from typing import Final

from vosd.b2bua.call import Call
from vosd.b2bua.leg import Leg
from vosd.base.clock import Instant
from vosd.engine.calls.switch import Switch
from vosd.engine.trace.call_messages import CallMessages
from vosd.engine.trace.messages import Trace
from vosd.obs.traced import Direction
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import AckArrived, Event, InviteArrived, RequestArrived, ResponseArrived
from vosd.sip.wire.compose import Datagram, Peer

_OF_LEGS: Final = (ResponseArrived, RequestArrived, AckArrived)
"""Frequent events, whose owner is nearly always a leg."""
_IN, _OUT = Direction  # access to enum members is slow


class Turn:
    """Processes messages and timers, and collects the datagrams to send."""

    __slots__ = ("_endpoint", "_out", "_switch", "_trace")

    def __init__(self, endpoint: Endpoint, switch: Switch, trace: Trace) -> None:
        self._endpoint = endpoint
        self._switch = switch
        self._trace = trace
        self._out: list[Datagram] = []

    def message(self, data: bytes, source: Peer, now: Instant) -> Event | None:
        """Process a received message completely; return its event."""
        endpoint, trace = self._endpoint, self._trace
        event = endpoint.receive_datagram(data, source, now)
        call: Call | None = None
        messages: CallMessages | None = None
        if event is not None:
            if isinstance(event, _OF_LEGS) and isinstance(event.owner, Leg):
                call = event.owner.call
                messages = trace.of_call(call, now.wall)  # before the event, which may end the call
            self._switch.handle(event)
            if type(event) is InviteArrived and isinstance(leg := event.transaction.owner, Leg):
                call = leg.call
                messages = trace.of_call(call, now.wall)
        out = endpoint.datagrams_to_send()
        if call is not None and messages is not None:
            trace.turn(call, messages, now, source, data, out)
        else:
            trace.message(now.wall - now.waited_ms, _IN, source, data)
            for peer, sent in out:
                trace.message(now.wall, _OUT, peer, sent)
        self._out += out
        return event

    def timers(self, now: Instant) -> None:
        """Fire every due timer and deadline."""
        handle = self._switch.handle
        for event in self._endpoint.handle_timers(now):
            handle(event)
        self._switch.handle_deadlines(now)

    def datagrams(self, now: Instant) -> list[Datagram]:
        """Return all datagrams to send, in order, and clear the list."""
        out = self._out
        if out:
            self._out = []
        more = self._endpoint.datagrams_to_send()
        if more:  # of timers, deadlines and orders: ``message`` has taken its own
            for peer, data in more:
                self._trace.message(now.wall, _OUT, peer, data)
            out = out + more
        return out
