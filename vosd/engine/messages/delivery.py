"""One request that is relayed: the places that it is sent to, their answers, and the one that its sender gets."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from vosd.base.clock import Instant
from vosd.base.wheel import Timer
from vosd.routing.failover import FLOW_FAILED
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import AlarmFired, NoResponse, ResponseArrived
from vosd.sip.transaction.client import Client
from vosd.sip.transaction.store import TimerOwner
from vosd.sip.wire.message import Response
from vosd.trunks.gateways import Address, RoutingGateway

ANSWER_MS: Final = 15_000
"""Longest wait: the sender gives up after 32 s, and a late answer would be lost (RFC 4320 section 4.2)."""
TOO_LARGE: Final = 513
_UNAVAILABLE: Final = 480
_NEXT: Final = frozenset({FLOW_FAILED, 500, 502, 503})
"""Refusals after which the next group is tried: the request was not taken."""
_LESS_TELLING: Final = frozenset({404, 408, FLOW_FAILED, 480, 481, 503})
"""Statuses that say that a party was not found rather than what it thinks of the request."""


class RelayPlace(NamedTuple):
    """One receiver of a request: a gateway or phone, its address, and the numbers as it is sent them."""

    gateway: RoutingGateway
    address: Address
    callee: str = ""
    caller: str = ""
    other_flows: tuple[Address, ...] = ()
    """Further flows to the device (RFC 5626), for one that has failed."""


class DeliveryOutcome(NamedTuple):
    """End of a relayed request: the status for its sender, the response that has it, and the last place."""

    status: int
    response: Response | None
    place: RelayPlace | None


SendTo = Callable[["RequestDelivery", RelayPlace, Instant], Client | None]
"""Sends the request to one place; None = it is too large for the transport there."""
Ended = Callable[["RequestDelivery", DeliveryOutcome, Instant], None]


class RequestDelivery:
    """Sends a request to groups of places, one group after the other, and to all places of a group at once.

    The first 2xx ends it. The next group is tried only where none of the one before took the request: after
    an answer that is missing it may have been delivered.
    """

    __slots__ = ("_alarm", "_ended", "_endpoint", "_groups", "_open", "_refusals", "_send", "is_over")

    def __init__(self, endpoint: Endpoint, groups: Sequence[Sequence[RelayPlace]], send: SendTo, ended: Ended) -> None:
        self._endpoint = endpoint
        self._groups = list(groups)
        self._send = send
        self._ended = ended
        self._open: dict[int, tuple[Client, RelayPlace]] = {}
        """Requests without a final response, by the identity of their transaction."""
        self._refusals: list[DeliveryOutcome] = []
        self._alarm: Timer[TimerOwner] | None = None
        self.is_over = False

    def begin(self, now: Instant) -> None:
        """Send to the first group."""
        self._alarm = self._endpoint.set_alarm(self, now.plus(ANSWER_MS))
        self._go_on(now)

    def response_came(self, event: ResponseArrived) -> None:
        """Take an answer."""
        response = event.response
        asked = self._open.pop(id(event.transaction), None) if response.status >= 200 else None
        if asked is None:
            return
        place = asked[1]
        if response.status == FLOW_FAILED:
            self._send_by_next_flow(place, event.at)
        if self.is_over:
            return
        outcome = DeliveryOutcome(response.status, response, place)
        if response.status < 300:
            self._end(outcome, event.at)
        else:
            self._refused(outcome, event.at)

    def no_response(self, event: NoResponse) -> None:
        """Take the failure of one place; a device whose connection has failed is sent it by its next one."""
        asked = self._open.pop(id(event.transaction), None)
        if asked is not None and event.is_unreachable:
            self._send_by_next_flow(asked[1], event.at)
        if asked is not None and not self.is_over:
            self._refused(DeliveryOutcome(503 if event.is_unreachable else _UNAVAILABLE, None, asked[1]), event.at)

    def alarm_fired(self, event: AlarmFired) -> None:
        """Answer the sender: the time is over."""
        self._alarm = None
        place = next((place for _, place in self._open.values()), None)
        self._refusals.append(DeliveryOutcome(_UNAVAILABLE, None, place))
        self._end(self._most_telling(), event.at)

    def _refused(self, outcome: DeliveryOutcome, now: Instant) -> None:
        self._refusals.append(outcome)
        if self._open or self.is_over:
            return
        if self._groups and all(each.status in _NEXT for each in self._refusals):
            self._go_on(now)
        else:
            self._end(self._most_telling(), now)

    def _go_on(self, now: Instant) -> None:
        """Send to the next group that has a place which takes the request."""
        while self._groups and not self._open and not self.is_over:
            for place in self._groups.pop(0):
                self._send_to(place, now)
        if not self._open and not self.is_over:
            self._end(self._most_telling(), now)

    def _send_by_next_flow(self, place: RelayPlace, now: Instant) -> None:
        """Send to the device of a place by its next flow, if it has one (RFC 5626 section 5.3)."""
        if place.other_flows:
            self._send_to(place._replace(address=place.other_flows[0], other_flows=place.other_flows[1:]), now)

    def _send_to(self, place: RelayPlace, now: Instant) -> None:
        client = self._send(self, place, now)
        if client is None:
            self._refusals.append(DeliveryOutcome(TOO_LARGE, None, place))
        else:
            self._open[id(client)] = (client, place)

    def _most_telling(self) -> DeliveryOutcome:
        return min(self._refusals, key=lambda each: (each.status in _LESS_TELLING, each.status))

    def _end(self, outcome: DeliveryOutcome, now: Instant) -> None:
        self.is_over = True
        if self._alarm is not None:
            self._endpoint.call_off(self._alarm)
            self._alarm = None
        # other devices get theirs all the same: no answer of them is needed but that another flow has to be tried
        self._open = {key: each for key, each in self._open.items() if each[1].other_flows}
        self._ended(self, outcome, now)
