"""The facts about vendors that routing needs beyond their configuration; call control implements them."""

from collections.abc import Callable, Container, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from typing import Protocol

from vosd.base.clock import Instant
from vosd.routing.number_rules import SentNumbers
from vosd.routing.quality import QualityFigures
from vosd.routing.weights import Turns
from vosd.trunks.gateways import RoutingGateway
from vosd.trunks.scope import LimitScope


class Full(Enum):
    """Why an object takes no further call now."""

    CONCURRENCY = "concurrency"
    RATE = "rate"


class Capacity(Protocol):
    """Authority over the concurrent calls of objects, and over their calls of a second (ADR 118).

    It grants one call at a time, within the configured limits, which are arguments (None = no limit), and within its
    share of a limit that several switches have together.
    """

    def take(
        self, scope: LimitScope, name: str, max_concurrent: int | None, max_cps: int | None, mono_ms: int
    ) -> Full | None:
        """Count one more call, or return the limit that refuses it; a refused call counts nowhere."""

    def take_again(self, scope: LimitScope, name: str, max_concurrent: int | None) -> Full | None:
        """Take a place again for a call that had one and released it: its arrival is in the window already."""

    def would_refuse(
        self, scope: LimitScope, name: str, max_concurrent: int | None, max_cps: int | None, mono_ms: int
    ) -> Full | None:
        """Return the limit that would refuse one more call now; None = there is room."""

    def release(self, scope: LimitScope, name: str) -> None:
        """Release the place of a call that has ended; it stays in the window, because it did arrive."""

    def undo(self, scope: LimitScope, name: str, mono_ms: int) -> None:
        """Take back whole what was taken at ``mono_ms``, window included, because a later step refused the call."""

    def active(self, scope: LimitScope, name: str) -> int:
        """Return the running calls of one object."""

    def recent(self, scope: LimitScope, name: str, mono_ms: int) -> int:
        """Return how many calls one object took in the preceding 1000 ms."""


class ChargeTerms(Protocol):
    """The rate by which one side of a call is charged."""

    @property
    def price_per_minute(self) -> Decimal:
        """The price of a minute after the first period, without tax, in the currency of the account."""


class VendorTerms(ChargeTerms, Protocol):
    """The charge of a vendor for one call.

    Routing compares terms by their price and hands them on; it does not know what they are. Who gave them out books the
    call by them.
    """

    @property
    def currency(self) -> str:
        """The currency of the price (ISO 4217)."""


PriceOf = Callable[[VendorTerms, int], Decimal | None]
"""Returns the price of a minute by terms in the currency of the customer, without tax, for calls of so many seconds.

0 seconds: that after the first period, whatever the increments are. None = there is no exchange rate.
"""


CallerAt = Callable[[RoutingGateway], str]
"""Returns the calling number by which a gateway bills a call."""


def price_alone(terms: VendorTerms, _seconds: int) -> Decimal:
    """Return the price of a minute after the first period; it is a ``PriceOf`` where nothing else is known of terms."""
    return terms.price_per_minute


class BuyPrefix(Protocol):
    """A buy rate, as far as it decides which numbers a gateway takes."""

    @property
    def prefix(self) -> str:
        """Return the prefix of the rate; ``*`` fits every number."""


class BuyPrefixes(Protocol):
    """The buy rates of a gateway that takes its prefixes from them."""

    def find(self, number: str, wall_ms: int, caller: str) -> BuyPrefix | None:
        """Return the rate in force at ``wall_ms`` (UTC) with the longest prefix of ``number``, or None.

        Where rates depend on the caller, return the one that prices calls of ``caller``.
        """


class Vendors(Protocol):
    """The state of vendors at the moment of a call.

    ``blocked``, ``unregistered``, ``down`` and ``resting`` hold names of gateways, mostly none: a call looks its own up
    in each.
    """

    @property
    def blocked(self) -> Mapping[str, object]:
        """Gateways that an operator has blocked; the text of each value says who, until when and why."""

    @property
    def turns(self) -> Turns:
        """The turn among gateways that share calls by weight."""

    @property
    def unregistered(self) -> Container[str]:
        """Gateways that require a registration of ours and have none."""

    @property
    def down(self) -> Container[str]:
        """Gateways that do not answer OPTIONS."""

    @property
    def resting(self) -> Container[str]:
        """Gateways with an address that rests because calls to it failed in a row."""

    @property
    def doubted(self) -> Mapping[str, str]:
        """Gateways that are tried after all others whatever their addresses do, and why."""

    def terms(self, gateway: RoutingGateway, callee: str, wall_ms: int, caller: str) -> VendorTerms | None:
        """Return what a call of ``caller`` to ``callee`` at ``wall_ms`` (UTC) costs through the gateway.

        None = it has no buy rate for that.
        """

    def costs(
        self,
        gateways: Sequence[RoutingGateway],
        callee: str,
        wall_ms: int,
        caller_at: CallerAt,
        price_of: PriceOf,
        seconds: int,
    ) -> Sequence[Decimal | None]:
        """Return what ``price_of`` returns for the ``terms`` of each gateway; None also where there are no terms."""

    def is_barred(self, gateway: RoutingGateway, callee: str, wall_ms: int) -> bool:
        """Return whether the gateway has no buy rate for ``callee`` because the prefix is locked."""

    def quality(
        self, gateway: RoutingGateway, prefix: str, callee: str, caller: str, at: Instant, min_attempts: int
    ) -> QualityFigures:
        """Return how calls to the destination of a call of ``caller`` went through the gateway; it fits by ``prefix``.

        Where that had fewer than ``min_attempts``, return how all calls went through the gateway.
        """

    def located(self, gateway: RoutingGateway) -> bool:
        """Return whether an address of the gateway is known: a name may not resolve (RFC 3263)."""

    def out_of_reach(self, gateway: RoutingGateway, mapping: str, family: int) -> str | None:
        """Return why media of an address family, 4 or 6, cannot reach the gateway from ``mapping``; None = they can."""

    def down_ms(self, gateway: RoutingGateway, mono_ms: int) -> int | None:
        """Return for how long the gateway has been down; None = it is up."""

    def paused_ms(self, gateway: RoutingGateway, mono_ms: int) -> int:
        """Return for how much longer all addresses of the gateway have asked to be left alone; 0 = one has not."""

    def resting_ms(self, gateway: RoutingGateway, mono_ms: int, payer: str = "") -> int:
        """Return for how much longer the gateway rests because calls to it failed in a row; 0 = it does not.

        It may rest for the calls of ``payer`` alone.
        """

    def why_resting(self, gateway: RoutingGateway, mono_ms: int, payer: str = "") -> str:
        """Return why the gateway rests, for the calls of ``payer`` perhaps; empty = it does not."""

    def objection(self, gateway: RoutingGateway, caller: str, *, is_emergency: bool) -> str | None:
        """Return why a gateway that has rules for numbers takes no call of ``caller``; None = it does."""

    def numbers_out(
        self, gateway: RoutingGateway, callee: str, caller: str, *, is_emergency: bool, draws: bool = True
    ) -> SentNumbers:
        """Return the numbers that a gateway with rules for them is sent; a pool gives its next number if ``draws``.

        It gives none for an emergency call.
        """

    def funded(self, gateway: RoutingGateway, terms: VendorTerms | None) -> bool:
        """Return whether the gateway's account is post-paid or can pay for the first seconds of a call at ``terms``."""
