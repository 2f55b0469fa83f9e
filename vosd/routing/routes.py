"""What the search for routes is asked, and what it answers: requests, routes, and the causes of what is left out."""

from decimal import Decimal
from enum import Enum
from typing import NamedTuple

import msgspec

from vosd.base.clock import Instant
from vosd.base.margin import LossGuard
from vosd.routing.ports import PriceOf, Terms, VendorTerms, price_alone
from vosd.trunks.gateways import RoutingGateway
from vosd.trunks.scope import Limit


class Destination(NamedTuple):
    """A gateway, and the number to call there."""

    gateway: RoutingGateway
    callee: str


class RouteRequest(msgspec.Struct, frozen=True):
    """A call that needs a route: its numbers, and the instant that counts for rate limits and prices."""

    callee: str
    caller: str
    at: Instant
    payer: str = ""
    """The account that pays for it."""
    mapping: str = ""
    """The mapping gateway or phone that it comes from."""
    sell_price: Decimal | None = None
    """What the payer is charged for a minute, without tax, as the guard compares it; None = unknown."""
    currency: str = ""
    """The currency of that price (ISO 4217)."""
    guard: LossGuard = LossGuard()
    """Which margin a gateway must leave."""
    partner: str | None = None
    """The company that it comes from."""
    allowed: frozenset[str] = frozenset()
    """The gateways that it may use; none = all."""
    denied: frozenset[str] = frozenset()
    """Gateways that it does not use."""
    is_selective: bool = False
    """Whether either is given."""
    routing_number: str = ""
    """The number by which a ported number is routed; empty = ``callee``."""
    callee_rated: str = ""
    """The number whose buy rates hold; empty = ``callee``."""
    sell: Terms | None = None
    """What the payer is charged by."""
    typical_s: int = 0
    """Length of the call that prices are compared of, seconds; 0 = the prices of the regular cycle are."""
    price_of: PriceOf = price_alone
    """Returns what vendors' terms come to, in ``currency`` where two currencies meet."""
    meets_currencies: bool = False
    """Whether ``price_of`` converts; else prices of another currency cannot be compared."""
    targets: tuple[Destination, ...] = ()
    """The gateways and numbers that a redirect server has named; none = the route table has the gateways."""


class RouteChoice(msgspec.Struct, frozen=True, gc=False):
    """A gateway that may be tried, the prefix by which it fits, the numbers as they go out to it, and its terms."""

    gateway: RoutingGateway
    prefix: str
    callee_out: str
    caller_out: str
    terms: VendorTerms | None = None
    """What the vendor charges, found once: the call is compared and booked by it. None = it has no buy rate."""
    is_last_resort: bool = False
    """It rests, and there is no other."""
    is_redirected: bool = False
    """``callee_out`` was named by a 3xx of the vendor, and ``terms`` are those of the number before."""
    priority: int = 1
    weight: int = 100
    limits: tuple[Limit, ...] = ()
    """What it occupies beside the gateway: limits that it shares with others."""
    protect_times: tuple[int, ...] = ()
    """When protected gateways join the search, in ms since the arrival of a call without any 18x; mostly none."""
    routing_number: str = ""
    """What goes out beside ``callee_out`` as its routing number (RFC 4694); empty = none."""


class Cause(Enum):
    """Why a gateway that the number fits is not tried."""

    DISABLED = "disabled"
    BLOCKED = "blocked"
    PLAN = "not for these calls"
    EXPIRED = "not valid now"
    CALENDAR = "not in its calendar"
    DENIED_PREFIX = "denied prefix"
    PARTNER = "same partner"
    LOSS = "loss"
    RESTING = "asked for a rest"
    UNREGISTERED = "not registered"
    DOWN = "down"
    NOT_LOCATED = "no address known"
    OFFLINE = "phone not registered"
    NO_BUY_RATE = "no buy rate"
    NO_FUNDS = "vendor without funds"
    CALLER = "calling number"
    FULL = "full"
    TOO_FAST = "rate limit"
    FAILING = "resting after failures"


class LeftOut(NamedTuple):
    """A gateway that the number fits and a check left out."""

    gateway: RoutingGateway
    cause: Cause
    detail: str = ""
    """What the cause alone does not say."""


class Routes(NamedTuple):
    """What may be tried, in order, and what was left out."""

    choices: tuple[RouteChoice, ...]
    left: tuple[LeftOut, ...]
