"""Check routing gateways by OPTIONS (RFC 3261 section 11).

Every address of a gateway is asked; one answer is enough. Owns the requests, which start at random times of the
interval, and the log events; ``routing.health`` interprets the results.
"""

from collections.abc import Callable, Iterable, Sequence
from random import randrange
from typing import Final

from vosd.base.clock import Instant
from vosd.base.host import bracketed
from vosd.base.wheel import Timer
from vosd.obs.events import GONE, Event, log as _log
from vosd.routing.health import NOT_THERE, GatewayHealth, Trunk
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import AlarmFired, NoResponse, ResponseArrived
from vosd.sip.registration.outbound import Draw
from vosd.sip.screening import ACCEPT
from vosd.sip.transaction.client import Client
from vosd.sip.transaction.store import TimerOwner
from vosd.sip.wire.outgoing import Peer
from vosd.sip.wire.uri import DEFAULT_PORTS
from vosd.trunks.gateways import Address, Ping, RoutingGateway

ADDRESSES_MAX: Final = 8
"""Most addresses of one gateway that are asked: a name may have dozens."""

AddressesOf = Callable[[RoutingGateway], Sequence[Address]]


class _Pinger:
    """Periodic check of one gateway."""

    __slots__ = ("_addresses_of", "_alarm", "_asked", "_began_at", "_endpoint", "_health", "gateway", "ping")

    def __init__(
        self, endpoint: Endpoint, gateway: RoutingGateway, ping: Ping, addresses_of: AddressesOf, health: GatewayHealth
    ) -> None:
        self._endpoint = endpoint
        self.gateway = gateway
        self._addresses_of = addresses_of
        self._health = health
        self._asked: set[Client] = set()
        """Open requests."""
        self._began_at: Instant | None = None
        """Start of the open round; None between two rounds."""
        self._alarm: Timer[TimerOwner] | None = None
        self.ping = ping

    def begin(self, at: Instant) -> None:
        """Start the first round at ``at``."""
        self._wait(at)

    def amend(self, gateway: RoutingGateway, ping: Ping) -> None:
        """Use other settings from the next round on."""
        self.gateway = gateway
        self.ping = ping

    def stop(self) -> None:
        """Stop the checks."""
        self._began_at = None
        for question in self._asked:
            question.forget()
        self._asked = set()
        self._call_off()

    def alarm_fired(self, event: AlarmFired) -> None:
        """Start a round, or end one without answer."""
        self._alarm = None
        if self._began_at is None:
            self._ask(event.at)
        else:
            self._round_over(event.at, is_there=False)

    def response_came(self, event: ResponseArrived) -> None:
        """Process an answer; the first one ends the round."""
        if event.response.status >= 200 and event.transaction in self._asked:
            self._responded(event, is_there=event.response.status not in NOT_THERE)

    def no_response(self, event: NoResponse) -> None:
        """Process the failure of one address."""
        if event.transaction in self._asked:
            self._responded(event, is_there=False)

    def _ask(self, now: Instant) -> None:
        self._began_at = now
        addresses = self._addresses_of(self.gateway)[:ADDRESSES_MAX]
        for address in addresses:
            self._asked.add(self._ask_at(address, now))
        if addresses:
            self._wait(now.plus(self.ping.timeout_ms))
        else:
            self._round_over(now, is_there=False)

    def _ask_at(self, address: Address, now: Instant) -> Client:
        endpoint = self._endpoint
        dialect = self.gateway.dialect
        flow = endpoint.flows.towards(address.host, address.transport, dialect.interface)
        ours = endpoint.flows.listeners[flow]
        port = address.port or DEFAULT_PORTS[ours.transport]
        transport = "" if ours.transport == "udp" else f";transport={ours.transport}"
        place = dialect.request_host or address.written or f"{bracketed(address.host)}:{port}{transport}"
        target = f"sip:{place}"
        question = Dialog.outside(
            call_id=endpoint.token(),
            local=f"<sip:{dialect.from_host or bracketed(ours.host)}>;tag={endpoint.token()}",
            remote=f"<{target}>",
            target=target,
            peer=Peer(flow, address.host, port),
            answers=None,
            server_name=address.name,
        )
        if dialect.route:
            question.request_uri, routes = dialect.routed(target)
            question.route = f"Route: {', '.join(routes)}\r\n" if routes else ""
        headers = f"{endpoint.flows.contacts[flow]}{ACCEPT}{endpoint.agent_header}"
        if dialect.sent_as is not None:
            headers = dialect.sent_as.named(headers)
        return endpoint.client.send_request(question, "OPTIONS", headers, b"", self, now)

    def _responded(self, event: ResponseArrived | NoResponse, *, is_there: bool) -> None:
        self._asked = {each for each in self._asked if each is not event.transaction}
        if is_there or not self._asked:
            self._round_over(event.at, is_there=is_there)

    def _round_over(self, now: Instant, *, is_there: bool) -> None:
        began_at, self._began_at = self._began_at or now, None
        for question in self._asked:  # other addresses answer as well, and those answers are absorbed
            question.leave(now)
        self._asked = set()
        (self._health.answered if is_there else self._health.failed)(self.gateway.name, now.mono)
        self._wait(max(began_at.plus(self.ping.interval_ms), now))

    def _wait(self, until: Instant) -> None:
        self._call_off()
        self._alarm = self._endpoint.set_alarm(self, until)

    def _call_off(self) -> None:
        if self._alarm is not None:
            self._endpoint.call_off(self._alarm)
            self._alarm = None


class Pings:
    """Checks of all gateways."""

    def __init__(
        self, endpoint: Endpoint, addresses_of: AddressesOf, health: GatewayHealth, draw: Draw = randrange
    ) -> None:
        self._endpoint = endpoint
        self._addresses_of = addresses_of
        self._health = health
        self._draw = draw
        self._pingers: dict[str, _Pinger] = {}
        health.on_change = _log_change

    def __len__(self) -> int:
        return len(self._pingers)

    def adopt(self, gateways: Iterable[RoutingGateway], now: Instant) -> None:
        """Check exactly these gateways, new ones from a random moment on; the others keep their schedule and state.

        One with other addresses is a new one: it counts as up until they do not answer.
        """
        wanted = {each.name: (each, each.ping) for each in gateways if each.ping is not None and each.enabled}
        for name in [name for name, each in self._pingers.items() if _asks_elsewhere(each, wanted.get(name))]:
            self._pingers.pop(name).stop()
            if name in self._health.down:
                _log.info(Event.GATEWAY_UP, gateway=name, why=GONE)
            self._health.forget(name)
        for name, (gateway, ping) in wanted.items():
            self._health.watch(name, ping)
            pinger = self._pingers.get(name)
            if pinger is None:
                pinger = _Pinger(self._endpoint, gateway, ping, self._addresses_of, self._health)
                self._pingers[name] = pinger
                pinger.begin(now.plus(self._draw(ping.interval_ms)))
            elif pinger.ping.interval_ms == ping.interval_ms:
                pinger.amend(gateway, ping)
            else:
                pinger.stop()
                pinger.amend(gateway, ping)
                pinger.begin(now.plus(self._draw(ping.interval_ms)))

    def stop(self) -> None:
        """Stop all checks: the switch stops."""
        for pinger in self._pingers.values():
            pinger.stop()


def _asks_elsewhere(pinger: _Pinger, wanted: tuple[RoutingGateway, Ping] | None) -> bool:
    """Return whether a gateway is not to be asked any more, or at other addresses than before."""
    return wanted is None or {*wanted[0].addresses} != {*pinger.gateway.addresses}


def _log_change(gateway: str, state: Trunk) -> None:
    if state is Trunk.UP:
        _log.info(Event.GATEWAY_UP, gateway=gateway)
    else:
        _log.warning(Event.GATEWAY_DOWN, gateway=gateway)
