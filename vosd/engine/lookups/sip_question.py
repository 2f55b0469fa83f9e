"""One INVITE to a redirect server: it is no leg of a call, has no session, and is given up after its time limit."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from vosd.b2bua.ports import SetupAnswer
from vosd.base.clock import Instant
from vosd.base.host import bracketed
from vosd.base.nat import Nat
from vosd.base.wheel import Timer
from vosd.callcontrol.questions import Ticket
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import AlarmFired, NoResponse, ResponseArrived
from vosd.sip.screening import ACCEPT, ALLOW
from vosd.sip.transaction.client import InviteClient
from vosd.sip.transaction.store import TimerOwner
from vosd.sip.wire.compose import escape_user
from vosd.sip.wire.message import Response
from vosd.sip.wire.outgoing import InviteParts, Peer
from vosd.sip.wire.uri import DEFAULT_PORTS
from vosd.trunks.gateways import Address, RoutingGateway

Done = Callable[[Response | None, Instant], None]
"""Called once with the final response, None = there is none."""


class Wiring(NamedTuple):
    """The parts of the running switch that lookups need; it is made after them."""

    endpoint: Endpoint
    answer_in_turn: Callable[[Ticket, SetupAnswer, Instant], None]
    """Gives an answer while a message or timer is processed (``Switch.take_answer``)."""
    answer: Callable[[Ticket, SetupAnswer], None]
    """Gives an answer at any other moment (``Loop.take_answer``)."""
    vendors_at: Callable[[str], Sequence[RoutingGateway]]
    """Returns the routing gateways that are configured at a host."""


class SipQuestion:
    """Asks one server where one number is."""

    __slots__ = ("_alarm", "_done", "_endpoint", "_fair_ms", "_transaction")

    def __init__(self, endpoint: Endpoint, done: Done) -> None:
        self._endpoint = endpoint
        self._done: Done | None = done
        self._alarm: Timer[TimerOwner] | None = None
        self._transaction: InviteClient | None = None
        self._fair_ms = 0
        """Instant from which silence is the fault of the server, in milliseconds of the monotonic clock."""

    def has_had_time(self, now: Instant) -> bool:
        """Return whether the server has had half of its time at least.

        One that was asked again after a restart, of a call whose time was nearly over, has not.
        """
        return now.mono >= self._fair_ms

    def begin(self, server: Address, callee: str, caller: str, hops: int, timeout_ms: int, now: Instant) -> None:
        """Send the INVITE."""
        endpoint = self._endpoint
        flow = endpoint.flows.towards(server.host, server.transport)
        ours = endpoint.flows.listeners[flow]
        transport = "" if ours.transport == "udp" else f";transport={ours.transport}"
        port, user, our_host = server.port or DEFAULT_PORTS[ours.transport], escape_user(callee), bracketed(ours.host)
        parts = InviteParts(
            uri=f"sip:{user}@{bracketed(server.host)}:{port}{transport}",
            via=endpoint.flows.new_via(flow),
            from_=f"<sip:{escape_user(caller) or 'anonymous'}@{our_host}>;tag={endpoint.token()}",
            to=f"<sip:{user}@{bracketed(server.host)}>",
            call_id=f"{endpoint.token()}@{our_host}",
            sequence=1,
            peer=Peer(flow, server.host, port),
            nat=Nat.NO,
        )
        headers = f"{endpoint.flows.contacts[flow]}{endpoint.agent_header}{ALLOW}{ACCEPT}"
        self._alarm = endpoint.set_alarm(self, now.plus(timeout_ms))
        self._fair_ms = now.mono + timeout_ms // 2
        self._transaction = endpoint.client.send_invite(parts, hops, headers, b"", self, now)

    def abandon(self, now: Instant) -> None:
        """Cancel the INVITE: its answer is not wanted any more."""
        self._done = None
        self._stop_waiting()
        if self._transaction is not None:
            self._transaction.abandon("", now)
            self._transaction = None

    def response_came(self, event: ResponseArrived) -> None:
        """Take the final response; a server that answers the call itself is sent BYE."""
        response, transaction = event.response, self._transaction
        if response.status < 200 or transaction is None:
            return
        if response.status < 300:
            dialog = Dialog.of_callee(transaction.parts, "", response, self._endpoint.flows.next_hop)
            self._endpoint.client.send_ack(transaction, dialog, "", b"")
            self._endpoint.client.send_bye(dialog, "", event.at)
        self._over(response, event.at)

    def no_response(self, event: NoResponse) -> None:
        """Report that the server cannot be reached."""
        self._over(None, event.at)

    def alarm_fired(self, event: AlarmFired) -> None:
        """Give up: the time is over."""
        self._alarm = None
        done = self._done
        self.abandon(event.at)
        if done is not None:
            done(None, event.at)

    def _over(self, response: Response | None, now: Instant) -> None:
        done, self._done, self._transaction = self._done, None, None
        self._stop_waiting()
        if done is not None:
            done(response, now)

    def _stop_waiting(self) -> None:
        if self._alarm is not None:
            self._endpoint.call_off(self._alarm)
            self._alarm = None
