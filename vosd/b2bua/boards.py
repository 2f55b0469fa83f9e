"""Parts of the switchboard of a call: what it uses of the switch for attempts at gateways, media and money.

Attempts use them as well as the call, so nothing here knows the call.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from vosd.b2bua.call_port import AttemptBoard, TargetBoard
from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.routing.failover import AttemptOutcome
from vosd.routing.pipeline import RouteChoice
from vosd.sip.wire.message import Response
from vosd.trunks.announcements import GatewaySound
from vosd.trunks.gateways import Address, RoutingGateway

if TYPE_CHECKING:
    from vosd.b2bua.attempt import GatewayAttempt
    from vosd.b2bua.leg import Leg
    from vosd.b2bua.supervision import Limit

NextHop = tuple[RouteChoice, Address]
"""The route that is tried, and the address of its gateway."""


class SoundOffer(NamedTuple):
    """A sound for a caller whose call is not answered: it is played when the caller is sent the description."""

    session: bytes
    """Answer to the caller's offer."""
    lasts_ms: int


class GatewayBoard(AttemptBoard, Protocol):
    """The gateways that one call may be sent to: their places and addresses, and what is learnt of them."""

    def occupy(self, next_hop: NextHop, now: Instant, *, is_counted: bool = True) -> NextHop | None:
        """Reserve capacity of a gateway for one attempt; None if it has none left, which the call notes.

        A route that was found before its turn is returned with the calling number that a pool gives it now.
        ``is_counted``: no attempt in progress is at the same phone, whose places are one call of it.
        """

    @property
    def has_looped(self) -> bool:
        """Whether a gateway was left out because the call has come back from there, and none for want of room."""

    def would_occupy(self, next_hop: NextHop, now: Instant, leaving: RouteChoice) -> bool:
        """Return whether there is capacity for an attempt once the one in progress, ``leaving``, is over."""

    def examine_at(self, now: Instant, *, looks_ahead: bool) -> None:
        """Judge limits and rests of the gateways that remain by ``now``: time has passed since the first was found.

        ``looks_ahead``: their turn has not come, so those without room are found as well.
        """

    def is_paused(self, next_hop: NextHop, now: Instant) -> bool:
        """Return whether a gateway, or its address, has asked for a pause."""

    def search_over(self, remaining: Iterable[RouteChoice], now: Instant, *, is_late: bool) -> None:
        """Note the next gateways that are not tried because a limit of the search is reached: time, or attempts."""

    def attempt_rings(self, attempt: "GatewayAttempt") -> None:
        """Note that a gateway rings: it works."""

    def attempt_over(
        self, attempt: "GatewayAttempt", outcome: AttemptOutcome | None, now: Instant, *, frees_place: bool
    ) -> None:
        """Note the outcome of an unanswered attempt (None = nothing learnt of the vendor).

        ``frees_place``: its capacity is released, since no other attempt of the call is at the same phone.
        """

    def addresses_of(self, gateway: RoutingGateway, now: Instant) -> Sequence[Address]:
        """Return the addresses of a gateway in the order to try; empty if its name is not resolved."""

    def redirected_to(
        self, choice: RouteChoice, place: Address, callee: str, ported: str, now: Instant, *, only_known: bool
    ) -> NextHop | None:
        """Return the next hop for a place, and a number, that the 3xx of a gateway names; None = it is not followed.

        ``ported`` is the routing number that goes out beside it, empty = none. ``only_known``: the place is on this
        machine and is followed to a configured gateway, at its port, alone.
        """

    def refused(self, attempt: "GatewayAttempt", response: Response, now: Instant) -> None:
        """Note a refusal of a vendor, which may have a Retry-After."""


class MediaBoard(TargetBoard, Protocol):
    """The media of one call: sounds, keys, silence, and addresses that may have no media."""

    def announcement(self, reason: EndReason, now: Instant) -> SoundOffer | None:
        """Return what the caller is played before the call is refused for that reason; None = nothing."""

    def gateway_sound(self, sound: GatewaySound, now: Instant) -> SoundOffer | None:
        """Return how the caller is played the sound of a routing gateway; None = it cannot be."""

    def sound_over(self, now: Instant) -> None:
        """Play the caller nothing more."""

    def is_media_blocked(self, session: bytes, before: bytes, now: Instant) -> bool:
        """Return whether a description of the caller within its call has a new address that may have no media."""

    def is_key_repeated(self, leg: "Leg", key: str, duration_ms: int, now: Instant, *, by_info: bool) -> bool:
        """Return whether a key of a leg has just come by the other way, media or INFO; note it if not."""

    def is_key_taken(self, leg: "Leg", far: "Leg", key: str, duration_ms: int) -> bool:
        """Send a key of an INFO in the media of the other leg, if that is its way; return whether it did."""

    def warn(self) -> None:
        """Warn the caller by a tone that the call is about to end, where its media allow that."""

    def silence(self, answered_at: Instant) -> "Limit | None":
        """Return when silence of its media ends the call, if nothing more comes; None = it does not."""


class MoneyBoard(Protocol):
    """The money of one call while it lasts."""

    @property
    def vendor_s(self) -> int | None:
        """Number of seconds after its own 200 that the vendor is paid for; None = as many as the call takes."""

    def extend(self, ahead_ms: int) -> int | EndReason:
        """Reserve money for more seconds; return the new total of seconds, or why the call must end.

        ``ahead_ms``: so much of what was reserved before is not over yet.
        """

    def rings(self, now: Instant) -> bool:
        """Journal, before the INVITE of an attempt is sent, that the call is charged from now on; False if that fails.

        For calls that are charged before their answer, as the four that follow.
        """

    def vendor_left(self) -> None:
        """Journal that the vendor of the attempt before is charged no further: the next INVITE waits to be sent."""

    def announced(self) -> None:
        """Journal that a call which is charged before its answer is charged no further: its end is announced."""

    def unpaid(self, at: Instant) -> "Limit | None":
        """Hold more money for a call without answer; return its limit where there is none for ``at``."""

    def is_early(self, now: Instant) -> bool:
        """Return whether the deadline was that of the money alone; the call's own is set again."""
