"""Questions to the search for routes, and its answers: requests, routes, and the causes of what is left out."""

from decimal import Decimal
from enum import Enum
from typing import NamedTuple

import msgspec

from vosd.base.clock import Instant
from vosd.base.margin import LossGuard
from vosd.routing.ports import ChargeTerms, PriceOf, VendorTerms, price_alone
from vosd.trunks.dialect import CallerPrivacy
from vosd.trunks.gateways import RoutingGateway
from vosd.trunks.scope import SharedLimit


class Destination(NamedTuple):
    """A gateway, and the number to call there."""

    gateway: RoutingGateway
    callee: str
    phone: str = ""
    """Number of the phone that this is, or whose redirect server or offline gateway it is; empty = none."""


class RouteRequest(msgspec.Struct):
    """A call that needs a route: its numbers, and the instant that counts for rate limits and prices."""

    callee: str
    caller: str
    at: Instant
    """The monotonic part, which limits and rests use, moves on while the search goes on (``examine_at``)."""
    payer: str = ""
    """The account that pays for it."""
    mapping: str = ""
    """The mapping gateway or phone that it comes from."""
    sell_price: Decimal | None = None
    """The payer's price of a minute, without tax, as the guard compares it; None = unknown."""
    currency: str = ""
    """The currency of that price (ISO 4217)."""
    guard: LossGuard = LossGuard()
    """The margin that a gateway must leave."""
    partner: str | None = None
    """The company that it comes from."""
    allowed: frozenset[str] = frozenset()
    """The gateways that it may use; none = all."""
    denied: frozenset[str] = frozenset()
    """Gateways that it does not use."""
    is_selective: bool = False
    """Whether either is given, or ``required_types``."""
    routing_number: str = ""
    """The number by which a ported number is routed; empty = ``callee``."""
    callee_rated: str = ""
    """The number whose buy rates hold; empty = ``callee``."""
    sell: ChargeTerms | None = None
    """The rate by which the payer is charged."""
    typical_s: int = 0
    """Length of the call that prices are compared of, seconds; 0 = the prices of the regular cycle are."""
    price_of: PriceOf = price_alone
    """Returns what vendors' terms come to, in ``currency`` where two currencies meet."""
    meets_currencies: bool = False
    """Whether ``price_of`` converts; else prices of another currency cannot be compared."""
    targets: tuple[Destination, ...] = ()
    """The gateways and numbers that a redirect server or the inventory names; none = the route table has them."""
    is_given: bool = False
    """Whether ``targets`` are what the number was given to: no plan and no ``allowed`` narrows them."""
    media_family: int = 0
    """Address family of the caller's media, 4 or 6; 0 = it need not be regarded."""
    required_types: frozenset[str] = frozenset()
    """Types of bodies that a gateway has to be sent beside the session description."""
    is_verified: bool = False
    """Whether the caller's signature was verified."""
    caller_privacy: CallerPrivacy = CallerPrivacy.SHOWN
    is_emergency: bool = False

    def caller_at(self, gateway: RoutingGateway) -> str:
        """Return the calling number by which a gateway bills: empty where it is not sent the number."""
        return self.caller if gateway.dialect.shows_number[self.caller_privacy] else ""

    looks_ahead: bool = False
    """Whether gateways are found before their turn, so that those without room or funds now are found as well."""
    is_over: bool = False
    """Whether the call is offered no gateway any more: those that remain are only named, and no turn is counted."""

    def examine_at(self, now: Instant, *, looks_ahead: bool) -> None:
        """Judge limits and rests of the gateways that remain by ``now``; prices and validity are those of before."""
        self.at = Instant(now.mono, self.at.wall)
        self.looks_ahead = looks_ahead


class RouteChoice(msgspec.Struct, frozen=True, gc=False):
    """A gateway that may be tried, the prefix by which it fits, the numbers as they go out to it, and its terms."""

    gateway: RoutingGateway
    prefix: str
    callee_out: str
    caller_out: str
    terms: VendorTerms | None = None
    """The vendor's rate, found once: the call is compared and booked by it. None = it has no buy rate."""
    is_last_resort: bool = False
    """It rests, and there is no other, or it is in doubt and comes after all others."""
    is_redirected: bool = False
    """``callee_out`` was named by a 3xx of the vendor, and ``terms`` are those of the number before."""
    priority: int = 1
    weight: int = 100
    limits: tuple[SharedLimit, ...] = ()
    """The limits that it occupies beside the gateway's own, and shares with others."""
    protect_times: tuple[int, ...] = ()
    """When protected gateways join the search, in ms since the arrival of a call without any 18x; mostly none."""
    routing_number: str = ""
    """The routing number that goes out beside ``callee_out`` (RFC 4694); empty = none."""
    hides_caller: bool = False
    """The vendor is not sent the calling number, and ``terms`` are those for callers without one."""
    awaits_number: bool = False
    """It was found before its turn: a pool of its gateway gives ``caller_out`` when it is tried."""
    denies_prefix: bool = False
    """The gateway denies a prefix of the emergency number, and comes after all that deny none."""
    is_at_rest: bool = False
    """It rests, has asked for a pause or answers no OPTIONS; not only in doubt, as ``is_last_resort`` may be."""


class Cause(Enum):
    """Why a gateway that the number fits is not tried.

    The value is what the journal keeps of it and never changes.
    """

    word: str
    """The word with which the reason begins in explanations and records; programs tell reasons apart by it."""
    detail: str
    """Text behind the word where nothing more is known."""

    def __new__(cls, kept: str, word: str, detail: str) -> "Cause":
        """Make the member of a kept value."""
        member = object.__new__(cls)
        member._value_, member.word, member.detail = kept, word, detail
        return member

    DISABLED = "disabled", "disabled", "by the configuration"
    BLOCKED = "blocked", "blocked", "by an operator"
    PLAN = "not for these calls", "plan", "not for these calls"
    EXPIRED = "not valid now", "expired", "not valid now"
    CALENDAR = "not in its calendar", "calendar", "no entry fits"
    DENIED_PREFIX = "denied prefix", "denied prefix", "the number has one"
    PARTNER = "same partner", "partner", "the call came from it"
    LOSS = "loss", "loss", "it costs more than the margin allows"
    RESTING = "asked for a rest", "resting", "answered 503 and asked to be left alone"
    UNREGISTERED = "not registered", "unregistered", "a registration is missing"
    DOWN = "down", "down", "answers no OPTIONS"
    NOT_LOCATED = "no address known", "not located", "no address is known"
    OFFLINE = "phone not registered", "unregistered", "the phone is not registered"
    NO_BUY_RATE = "no buy rate", "no buy rate", "its account has none for the number"
    NO_FUNDS = "vendor without funds", "no funds", "its account cannot pay for the first seconds of a call"
    LOOP = "loop", "loop", "the call has come back from there"
    FAMILY = "address family", "address family", "the caller's media are of the other one"
    BODY = "required body", "body", "it is not sent a body that the caller requires"
    SIGNATURE = "signature not verified", "signature", "the caller's signature was not verified"
    CALLER = "calling number", "caller", "the calling number is not allowed"
    FULL = "full", "capacity", "it had as many calls as it may have"
    TOO_FAST = "rate limit", "rate limit", "it had as many calls a second as it may have"
    FAILING = "resting after failures", "resting", "calls to it failed in a row"
    SEARCH_OVER = "search over", "search over", "the call had made its attempts, or their time had passed"

    def because(self, detail: str) -> str:
        """Return the reason: the word, a colon, and the detail, or what is said where there is none."""
        return f"{self.word}: {detail or self.detail}"


class LeftOut(NamedTuple):
    """A gateway that the number fits and a check left out."""

    gateway: RoutingGateway
    cause: Cause
    detail: str = ""
    """Detail that the cause alone does not say."""


class FoundRoutes(NamedTuple):
    """The gateways that may be tried, in order, and those that were left out."""

    choices: tuple[RouteChoice, ...]
    left: tuple[LeftOut, ...]
