"""Copies of SIP messages for a capture server (HEP 3): which of them, and by which call they belong together.

Messages are only noted when they are received and sent. Their copies are made and sent soon after that, many of them
one after the other: no answer waits for a copy, and a copy takes less time where the processor has just made another.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final

import msgspec

from vosd.b2bua.call_port import CallPort
from vosd.base.clock import Instant
from vosd.base.host import is_address
from vosd.catalogue.catalogue import Catalogue
from vosd.cdr.record import CallRecord
from vosd.engine.settings import HepOnly, HepSettings
from vosd.engine.trace.messages import Traced
from vosd.obs.hep import LOG, PACKET_MAX, SIP, hep_middle, hep_packet, hep_route, hep_trailer
from vosd.obs.traced import Direction, blanked
from vosd.sip.flows import Listener
from vosd.sip.wire.outgoing import Datagram, Peer
from vosd.trunks.gateways import HepCopies, MappingGateway, RoutingGateway

_IN, _OUT = Direction  # access to enum members is slow
_CALL_ID: Final = b"\r\nCall-ID: "
_FAILED_MAX: Final = 64
_CORRELATION_MAX: Final = 256
"""Longest Call-ID that is a correlation; of a longer one this is the beginning."""
TOGETHER_MAX: Final = 128
"""Number of noted messages, each with those that were sent for it, at which copies are made."""
TOGETHER_S: Final = 0.05
"""Time after which copies are made, however few they are."""
AT_ONCE_MAX: Final = 64
"""Noted messages that are copied in one turn of the event loop, half a millisecond; of more than twice as many, half of
them are, so that a flood fills no memory."""


class HepMirror:
    """Copies messages, all at once or those of a failed call at its end; credentials in them are blanked."""

    def __init__(
        self,
        settings: HepSettings,
        listeners: Sequence[Listener],
        send: Callable[[bytes], None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """``send`` returns at once; it may drop what it is given."""
        self._is_for_all = settings.only is HepOnly.ALL
        key = "" if settings.key is None else settings.key.reveal()
        self._sip, self._log = (hep_trailer(kind, settings.capture_id, key) for kind in (SIP, LOG))
        self._listeners = tuple((each.transport, _numeric(each.host), each.port) for each in listeners)
        self._send = send
        self._loop = loop
        self._noted: deque[Callable[[], None]] = deque()
        """Copies to be made."""
        self._of_customers: Mapping[str, bool] = {}
        """By mapping gateway or phone, whether the messages of its calls are copied, where it says so."""
        self._of_vendors: Mapping[str, bool] = {}
        """Wishes for calls to routing gateways, which may have names of mapping gateways, and to phones."""
        self._has_wishes = False
        self._failed: deque[str] = deque(maxlen=_FAILED_MAX)
        """Calls that have failed: the messages of the turn in which they ended follow."""

    def adopt(self, catalogue: Catalogue) -> None:
        """Ask the gateways of another catalogue."""
        self._of_customers = customers = _wishes(catalogue.mapping_gateways.values())
        called = catalogue.phones, catalogue.called_trunks
        of_called = {name: wish for name, wish in customers.items() if any(name in each for each in called)}
        self._of_vendors = of_called | _wishes(catalogue.routing_gateways.values())
        self._has_wishes = bool(self._of_customers or self._of_vendors)

    # -- at once ------------------------------------------------------------------------------------------------

    def turn(self, call: CallPort, now: Instant, source: Peer, data: bytes, sent: Sequence[Datagram]) -> None:
        """Copy a message of a call, and those that were sent for it."""
        call_id = call.arrival.call_id
        if (self._is_wanted(call) if self._has_wishes else self._is_for_all) or call_id in self._failed:
            self._note(partial(self._copy_turn, call_id, now, source, data, sent))

    def message(self, at: int, direction: Direction, peer: Peer, data: bytes) -> None:
        """Copy a message that belongs to no event of a call; its Call-ID is what it belongs to."""
        if self._is_for_all:
            self._note(partial(self._copy_other, at, direction, peer, data))

    def _copy_turn(self, call_id: str, now: Instant, source: Peer, data: bytes, sent: Sequence[Datagram]) -> None:
        correlation = call_id.encode()
        middle = hep_middle(self._sip, now.wall - now.waited_ms, correlation)
        self._copy(middle, _IN, source, data)
        if now.waited_ms:
            middle = hep_middle(self._sip, now.wall, correlation)
        for datagram in sent:
            self._copy(middle, _OUT, datagram.peer, datagram.data)

    def _copy_other(self, at: int, direction: Direction, peer: Peer, data: bytes) -> None:
        found = data.find(_CALL_ID)
        start = found + len(_CALL_ID)
        line = b"" if found < 0 else data[start : start + _CORRELATION_MAX].partition(b"\r\n")[0]
        self._copy(hep_middle(self._sip, at, line.strip()), direction, peer, data)

    # -- at the end ---------------------------------------------------------------------------------------------

    def ended(self, record: CallRecord, messages: Iterable[Traced], *, has_failed: bool) -> None:
        """Copy the line of a call, and before it the messages of one that failed, unless they were copied at once."""
        said = self._of_customers.get(record.mapping_gateway or ""), self._of_vendors.get(record.routing_gateway or "")
        wishes = [each for each in said if each is not None]
        if False in wishes or not (self._is_for_all or has_failed or True in wishes):
            return
        is_late = not self._is_for_all and True not in wishes
        if is_late:
            self._failed.append(record.call_id)
        self._note(partial(self._copy_end, record, messages if is_late else ()))

    def _copy_end(self, record: CallRecord, messages: Iterable[Traced]) -> None:
        correlation = record.call_id.encode()
        for _, (_, at, direction, peer, data) in messages:
            self._copy(hep_middle(self._sip, at, correlation), direction, peer, data)
        said = {"event": "call", "call_id": record.call_id, "reason": record.end_reason, "code": record.sip_code,
                "mapping_gateway": record.mapping_gateway, "routing_gateway": record.routing_gateway,
                "customer": record.customer_account, "caller": record.caller_in, "callee": record.callee_in,
                "hold_time_ms": record.hold_time_ms, "sip_call_id_in": record.sip_call_id_in,
                "sip_call_id_out": record.sip_call_id_out}  # fmt: skip
        _, host, port = self._listeners[0]
        route = hep_route("udp", host, port, host, port)
        self._send(hep_packet(route, hep_middle(self._log, record.ended_at, correlation), msgspec.json.encode(said)))

    # -- together -----------------------------------------------------------------------------------------------

    def make_all(self) -> None:
        """Make all copies that were noted."""
        while self._noted:
            self._make_some()

    def _make_some(self) -> None:
        noted = self._noted
        try:
            for _ in range(min(len(noted), max(AT_ONCE_MAX, len(noted) // 2))):
                noted.popleft()()
        finally:
            if noted:  # also behind an error, which costs one copy
                self._loop.call_soon(self._make_some)

    def _note(self, copy: Callable[[], None]) -> None:
        noted = self._noted
        noted.append(copy)
        if len(noted) == 1:
            self._loop.call_later(TOGETHER_S, self._make_some)
        elif len(noted) == TOGETHER_MAX:
            self._loop.call_soon(self._make_some)

    # -- inside -------------------------------------------------------------------------------------------------

    def _is_wanted(self, call: CallPort) -> bool:
        """Return whether the trunks of a call, some of which say so, want it copied."""
        choice = call.journey.choice
        customer = call.board.customer
        said = [
            None if customer is None else self._of_customers.get(customer.name),
            None if choice is None else self._of_vendors.get(choice.gateway.name),
        ]
        return False not in said and (self._is_for_all or True in said)

    def _copy(self, middle: bytes, direction: Direction, peer: Peer, data: bytes) -> None:
        data = blanked(data) if len(data) <= PACKET_MAX else data
        if len(data) > PACKET_MAX:  # no packet holds it: also one that has grown by what stands for its credentials
            return
        transport, host, port = self._listeners[peer.flow]
        if direction is _IN:
            route = hep_route(transport, peer.host, peer.port, host, port)
        else:
            route = hep_route(transport, host, port, peer.host, peer.port)
        self._send(hep_packet(route, middle, data))


def _wishes(gateways: Iterable[MappingGateway] | Iterable[RoutingGateway]) -> dict[str, bool]:
    """Return whether messages are copied, by name, of the gateways that say so."""
    return {each.name: each.hep is HepCopies.YES for each in gateways if each.hep is not HepCopies.USUAL}


def _numeric(host: str) -> str:
    """Return the announced host of a socket, or all zeros for a name: packets have numbers only."""
    return host if is_address(host) else "0.0.0.0"
