"""Vendors for routing: terms, funds, and whether they can be reached now."""

from collections.abc import Container, Mapping, Sequence
from decimal import Decimal

import msgspec

from vosd.base.clock import Instant
from vosd.base.money import EXACT
from vosd.base.number import for_matching, is_unambiguous
from vosd.billing.currencies import Currencies
from vosd.billing.holds import affords
from vosd.billing.rate_choice import locked_prefix
from vosd.billing.rates import AppliedRate, Rate
from vosd.billing.typical import TypicalPrices
from vosd.callcontrol.live_state import LiveState
from vosd.callcontrol.media_outlook import out_of_reach
from vosd.catalogue.catalogue import Catalogue
from vosd.routing.breaker import place_of
from vosd.routing.number_rules import SentNumbers
from vosd.routing.pipeline import RouteChoice
from vosd.routing.pools import NumberPool
from vosd.routing.ports import CallerAt, PriceOf, VendorTerms
from vosd.routing.quality import QualityFigures
from vosd.trunks.gateways import RoutingGateway


class LiveVendors:
    """Implements ``routing.ports.Vendors`` over one catalogue and the live state."""

    def __init__(self, catalogue: Catalogue, live: LiveState) -> None:
        self._addresses_of = live.addresses_of
        self.located = live.is_located
        self._catalogue = catalogue
        self._choices = catalogue.vendor_rates
        self._prices = catalogue.typical_prices
        self._price_of = catalogue.typical_prices.price
        self.currencies = catalogue.currencies
        self._live = live
        self._credits = live.credits
        self._health = live.health
        self._breakers = live.breakers
        self.blocked: Mapping[str, object] = live.blocks.called
        self.unregistered: Container[str] = live.unregistered
        self.down: Container[str] = live.health.down
        self.resting: Container[str] = live.breakers.resting
        self.doubted: Mapping[str, str] = live.false_answers.resting
        self.turns = live.turns

    def out_of_reach(self, gateway: RoutingGateway, mapping: str, family: int) -> str | None:
        """Return why media of one address family cannot reach a gateway from a mapping gateway; None = they can."""
        caller = self._catalogue.mapping_gateways.get(mapping)
        if caller is None:
            return None
        hosts = (each.host for each in self._addresses_of(gateway))
        return out_of_reach(self._catalogue.parameters.media, caller, family, gateway, hosts)

    def is_barred(self, gateway: RoutingGateway, callee: str, wall_ms: int) -> bool:
        """Return whether rates of the gateway that are in force at ``wall_ms`` have the number's prefix locked."""
        if gateway.account is None or gateway.sound is not None:
            return False
        rates = self._choices.get(gateway.name) or self._catalogue.rates_of(self._catalogue.accounts[gateway.account])
        return rates is not None and locked_prefix(rates, callee, wall_ms) is not None

    def terms(self, gateway: RoutingGateway, callee: str, wall_ms: int, caller: str) -> AppliedRate | None:
        """Return the buy rate of a gateway for calls of ``caller`` to ``callee`` at ``wall_ms``.

        A phone and an announcement have none: nothing is bought of them, whatever rates their account has.
        """
        if gateway.account is None or gateway.sound is not None:
            return None
        if self._choices and (rates := self._choices.get(gateway.name)) is not None:
            return rates.find(callee, wall_ms, caller)
        group = self._catalogue.accounts[gateway.account].rate_group
        return self._catalogue.rate_groups[group].find(callee, wall_ms) if group is not None else None

    def costs(
        self,
        gateways: Sequence[RoutingGateway],
        callee: str,
        wall_ms: int,
        caller_at: CallerAt,
        price_of: PriceOf,
        seconds: int,
    ) -> Sequence[Decimal | None]:
        """Return the price by the ``terms`` of each gateway; None = there are none, or no exchange rate."""
        choices, accounts, groups = self._choices, self._catalogue.accounts, self._catalogue.rate_groups
        known = self._prices[seconds] if price_of == self._price_of else None
        found: list[Decimal | None] = []
        for gateway in gateways:
            # ``terms``, written out: a call by cost asks for a price in the table of each vendor.
            account = gateway.account
            if account is None or gateway.sound is not None or (choices and gateway.name in choices):
                terms = self.terms(gateway, callee, wall_ms, caller_at(gateway))
            else:
                group = accounts[account].rate_group
                terms = None if group is None else groups[group].find(callee, wall_ms)
            found.append(None if terms is None else price_of(terms, seconds) if known is None else known[terms])
        return found

    def charges_alike(self, redirected: RouteChoice, wall_ms: int, caller: str) -> bool:
        """Return whether a number that a vendor redirects to costs what the dialled one does.

        The choice carries the terms of the dialled number for calls of ``caller``, and the new number as
        ``callee_out``, or as the routing number where calls are rated by that. A price is that of no ambiguous number.
        """
        portability = self._catalogue.parameters.number_portability
        ported = redirected.routing_number if portability is not None and portability.rate_by_routing_number else ""
        callee, price = ported or redirected.callee_out, _price(buy_rate(redirected))
        if price is not None and not is_unambiguous(for_matching(callee)):
            return False
        return _price(self.terms(redirected.gateway, callee, wall_ms, caller)) == price

    def quality(
        self, gateway: RoutingGateway, prefix: str, callee: str, caller: str, at: Instant, min_attempts: int
    ) -> QualityFigures:
        """Return how calls to the destination of ``callee`` went, or all calls where those are too few.

        With rates by the caller's origin, a destination is the prefix in the deck that prices calls of ``caller``.
        """
        destination = destination_of(self.terms(gateway, callee, at.wall, caller), prefix)
        figures = self._live.quality.figures_of(gateway.name, destination, at.mono, min_attempts)
        doubts = self._live.false_answers
        if doubts.terms.order and (gateway.name, destination) in doubts.doubted:
            talked = figures.answered * (1 - doubts.figures(gateway.name, destination, at.mono).percent / 100)
            figures = figures._replace(answered=round(talked))
        return figures

    def down_ms(self, gateway: RoutingGateway, mono_ms: int) -> int | None:
        """Return for how long the gateway has been down; None = it is up."""
        return self._health.down_ms(gateway.name, mono_ms)

    def paused_ms(self, gateway: RoutingGateway, mono_ms: int) -> int:
        """Return the time until the first address of the gateway may be called again that has asked for a pause."""
        if gateway.name not in self.resting:
            return 0
        places = (place_of(gateway, each) for each in self._addresses_of(gateway))
        return min((self._breakers.paused_ms(each, mono_ms) for each in places), default=0)

    def resting_ms(self, gateway: RoutingGateway, mono_ms: int, payer: str = "") -> int:
        """Return the time until the first address of the gateway no longer rests for ``payer``; 0 = none to wait."""
        if gateway.name not in self.resting:
            return 0
        addresses = self._addresses_of(gateway)
        places = (place_of(gateway, each, payer) for each in addresses)
        return min((self._breakers.remaining_ms(each, mono_ms) for each in places), default=0)

    def why_resting(self, gateway: RoutingGateway, mono_ms: int, payer: str = "") -> str:
        """Return why the address of the gateway rests whose rest ends first; empty = one does not rest."""
        places = [place_of(gateway, each, payer) for each in self._addresses_of(gateway)]
        first = min(places, key=lambda each: self._breakers.remaining_ms(each, mono_ms), default=None)
        return "" if first is None else self._breakers.reason(first)

    def objection(self, gateway: RoutingGateway, caller: str, *, is_emergency: bool) -> str | None:
        """Return why a gateway that has rules for numbers takes no call of ``caller``; None = it does."""
        return self._catalogue.outgoing[gateway.name].objection(caller, is_emergency=is_emergency)

    def numbers_out(
        self, gateway: RoutingGateway, callee: str, caller: str, *, is_emergency: bool, draws: bool = True
    ) -> SentNumbers:
        """Return the numbers that a gateway with rules for them is sent; a pool gives its next number if ``draws``.

        It gives none for an emergency call, which keeps the number of the caller.
        """
        live = self._live
        take = live.take_number if draws and not is_emergency else _no_number
        rules = self._catalogue.outgoing[gateway.name]
        return rules.applied(callee, caller, live.draw, take, is_emergency=is_emergency)

    def with_number(self, choice: RouteChoice) -> RouteChoice:
        """Return a route that was found before its turn with the next number of its gateway's pool, if it has one."""
        rules = self._catalogue.outgoing.get(choice.gateway.name)
        number = None if rules is None or rules.pool is None else self._live.take_number(rules.pool)
        caller = choice.caller_out if number is None else number
        return msgspec.structs.replace(choice, caller_out=caller, awaits_number=False)

    def funded(self, gateway: RoutingGateway, terms: VendorTerms | None) -> bool:
        """Return whether the gateway's account is post-paid, or can pay for the first seconds of a call at ``terms``.

        The money is not held yet: it is when the gateway is tried. A partner earns, and needs none; so does an
        announcement, which costs nothing.
        """
        credit = None if gateway.account is None else self._credits.get(gateway.account)
        if credit is None or credit.limit is None or gateway.earns or gateway.sound is not None:
            return True
        return affords(credit, _booked(terms), self.first_period_s(gateway))

    def first_period_s(self, gateway: RoutingGateway) -> int:
        """Return the seconds held on a gateway's account when it is tried: its advance, or its longest call."""
        account = None if gateway.account is None else self._catalogue.accounts.get(gateway.account)
        most_s = gateway.max_call_seconds or self._catalogue.parameters.max_call_seconds
        return most_s if account is None else min(account.advance_s, most_s)


def price_in(
    prices: TypicalPrices, currencies: Currencies, currency: str, wall_ms: int, terms: VendorTerms, seconds: int
) -> Decimal | None:
    """Return the price of a minute by a vendor's terms in ``currency``, at the exchange rate of ``wall_ms`` (UTC).

    It is exact. None = no exchange rate is in force.
    """
    buys = _booked(terms)
    if buys is None:
        return None
    exchange_rate = currencies.rate(buys.paid_in or buys.currency, currency, wall_ms)
    return None if exchange_rate is None else EXACT.multiply(prices[seconds][buys], exchange_rate)


def destination_of(rate: AppliedRate | None, prefix: str) -> str:
    """Return where a call goes as far as quality is concerned: the prefix of the buy rate, else that of the route."""
    return prefix if rate is None else rate.rate.prefix


def _no_number(_pool: NumberPool) -> None:
    """Leave the pool as it is."""


def buy_rate(choice: RouteChoice | None) -> AppliedRate | None:
    """Return the buy rate that ``LiveVendors.terms`` found for a choice, by which the vendor's side is booked.

    Raises:
        TypeError: the terms are not from ``LiveVendors``.
    """
    terms = None if choice is None else choice.terms
    if terms is None or isinstance(terms, AppliedRate):
        return terms
    return _booked(terms)


def _booked(terms: VendorTerms | None) -> AppliedRate | None:
    """Return terms as the rate that they are; raises TypeError."""
    if terms is None or isinstance(terms, AppliedRate):
        return terms
    raise TypeError(f"terms of {type(terms).__name__} cannot be booked")


def _price(rate: AppliedRate | None) -> list[tuple[Rate, Decimal | None]] | None:
    """Return what may price a call, without destinations, for comparing what two cost."""
    if rate is None:
        return None
    several = rate.candidates or (rate,)
    return [
        (msgspec.structs.replace(each.rate, prefix="", area="", rate_type=""), each.exchange_rate) for each in several
    ]
