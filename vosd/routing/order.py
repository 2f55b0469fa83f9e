"""The order in which the gateways are tried that a number fits, by the criteria of a plan.

What depends on the configuration alone is sorted once, by ``RouteTable``. This module sorts for one call what depends
on its number, its moment or the state of the switch. Among gateways that share calls by weight the next one is chosen
only when it is asked for: by then it is known which of them had no room.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import chain, compress, groupby
from operator import itemgetter
from typing import Final

from vosd.base.money import EXACT
from vosd.routing.carriage import is_there_now, may_carry
from vosd.routing.fit import NO_TIER, NOT_IN_FORCE, Candidate, Places, rated_alike
from vosd.routing.plan import BY_QUALITY, BY_RATES, IN_TURN, Criterion, RoutingPlan
from vosd.routing.ports import Capacity, Vendors
from vosd.routing.quality_order import blend_ranks, quality_ranks
from vosd.routing.routes import RouteRequest
from vosd.routing.weights import Share, ShareKey
from vosd.trunks.gateways import RoutingGateway

_LAST: Final = Decimal("Infinity")

Rank = int | Decimal
_RANK_OF: Final[Callable[[tuple[Rank, Candidate]], Rank]] = itemgetter(0)
_COST_OF: Final[Callable[[tuple[Decimal, Places]], Decimal]] = itemgetter(0)


class Ordering:
    """Sorts candidates for one call, and counts whose turn it was."""

    __slots__ = (
        "_callee", "_key", "_occupancy", "_plan", "_request", "_shares", "_vendors", "outranked",
    )  # fmt: skip

    def __init__(
        self, plan: RoutingPlan, callee: str, request: RouteRequest, occupancy: Capacity, vendors: Vendors
    ) -> None:
        """``callee`` is the number by which the call is rated."""
        self._plan = plan
        self._callee = callee
        self._request = request
        self._occupancy = occupancy
        self._vendors = vendors
        self._key: ShareKey | None = None
        """The group that shares calls and that the candidate yielded last is one of."""
        self._shares: list[Share] = []
        """Members of the group that can still take the call, that candidate included."""
        self.outranked: list[Candidate] = []
        """Candidates that are out because another one has a calendar that fits by a more special entry."""

    def in_order(
        self,
        groups: Iterable[Sequence[Candidate]],
        criteria: Sequence[Criterion],
        alike: Iterable[Sequence[Places]] = (),
    ) -> Iterator[Candidate]:
        """Yield the candidates of several groups; the criteria decide within each.

        ``alike`` is what ``rated_alike`` returns for each group; none = the first of the criteria is not in
        ``BY_RATES``.
        """
        if alike:
            for group, places in zip(groups, alike, strict=True):
                yield from self._by_cost(group, places, criteria)
            return
        for group in groups:
            yield from self._sort(group, criteria)

    def offered(self, candidate: Candidate) -> None:
        """Note that the candidate yielded last is offered the call: if it shares calls, this was its turn."""
        if self._key is not None:
            self._vendors.turns.take(self._key, self._shares, candidate.gateway.name)

    def _sort(self, candidates: Sequence[Candidate], criteria: Sequence[Criterion]) -> Iterator[Candidate]:
        """Yield candidates in the order of the criteria; those that are equal by all of them stay as they are."""
        if len(candidates) < 2 or not criteria:
            yield from candidates
            return
        criterion, further = criteria[0], criteria[1:]
        if criterion in IN_TURN:
            yield from self._in_turn(candidates, is_weighted=criterion is Criterion.WEIGHT)
            return
        if criterion in BY_RATES:
            yield from self._by_cost(candidates, rated_alike(candidates), criteria)
            return
        ranked = sorted(self._ranked(candidates, criterion), key=_RANK_OF)
        if criterion is Criterion.CALENDAR:
            ranked = self._of_best_tier(ranked)
            if self._plan.only_filters_calendars:
                ranked = [(rank == NOT_IN_FORCE, each) for rank, each in ranked]
        for _, equal in groupby(ranked, key=_RANK_OF):
            yield from self._sort([candidate for _, candidate in equal], further)

    def _in_turn(self, candidates: Sequence[Candidate], *, is_weighted: bool) -> Iterator[Candidate]:
        remaining, first = list(candidates), candidates[0]
        self._key = key = ShareKey(self._plan.name, first.prefix, first.priority)
        weights = self._weights_of(remaining) if is_weighted else [1] * len(remaining)
        self._shares = shares = [
            Share(each.gateway.name, weight) for each, weight in zip(remaining, weights, strict=True)
        ]
        while len(remaining) > 1:
            place = self._vendors.turns.next_of(key, shares)
            yield remaining[place]
            del remaining[place], shares[place]
        self._key = None
        yield remaining[0]

    def _weights_of(self, candidates: Sequence[Candidate]) -> list[int]:
        """Return the weights by which candidates share calls.

        Those with a percentage get it of all calls; what is left of 100 is shared by the others, by their weights.
        Where there is one, lines that are not in force, and gateways that are disabled, blocked or not there for such
        calls, have no share. An overridden weight that has taken the place of a percentage is compared with the shares
        that the others keep.
        """
        shares = [each.weight if each.replaced_percent is not None else each.percent for each in candidates]
        if all(share is None for share in shares):
            return [each.weight for each in candidates]
        takes = [self._is_there(each) for each in candidates]
        taking = list(compress(candidates, takes))
        left = max(100 - sum(each.percent or each.replaced_percent or 0 for each in taking), 0)
        others = (each.weight for each, share in zip(taking, compress(shares, takes), strict=True) if share is None)
        of_others = sum(others) or 1
        weights = [
            left * each.weight if share is None else share * of_others
            for each, share in zip(candidates, shares, strict=True)
        ]
        return [weight if is_taking else 0 for weight, is_taking in zip(weights, takes, strict=True)]

    def _ranked(self, candidates: Sequence[Candidate], criterion: Criterion) -> Iterable[tuple[Rank, Candidate]]:
        """Return each candidate with its rank; by quality it depends on the others that are there for the call.

        An announcement has none, and is last.
        """
        if criterion not in BY_QUALITY:
            return ((self._rank(each, criterion), each) for each in candidates)
        there = [each.gateway.sound is None and self._is_there(each) for each in candidates]
        compared = list(compress(candidates, there))
        ranked = zip(self._quality_ranks(compared, criterion), compared, strict=True)
        return chain(ranked, ((_LAST, each) for each, is_there in zip(candidates, there, strict=True) if not is_there))

    def _quality_ranks(self, candidates: Sequence[Candidate], criterion: Criterion) -> Sequence[int]:
        vendors, callee, terms = self._vendors, self._callee, self._plan.quality
        caller_at, at, least = self._request.caller_at, self._request.at, terms.min_attempts
        found = [
            vendors.quality(each.gateway, each.prefix, callee, caller_at(each.gateway), at, least)
            for each in candidates
        ]
        if criterion is Criterion.QUALITY:
            return quality_ranks(found, terms)
        prices = self._prices([each.gateway for each in candidates], self._request.typical_s)
        return blend_ranks(found, prices, terms, self._plan.blend)

    def _by_cost(
        self, candidates: Sequence[Candidate], alike: Sequence[Places], criteria: Sequence[Criterion]
    ) -> Iterator[Candidate]:
        """Yield candidates, the cheapest first; a price is looked up once for those that are ``alike``.

        The first of ``criteria`` is the cost or the price, the others decide between what costs the same.
        """
        further = criteria[1:]
        if len(alike) == 1:
            yield from self._sort(candidates, further)
            return
        typical_s = 0 if criteria[0] is Criterion.PRICE else self._request.typical_s
        prices = self._prices([candidates[places[0]].gateway for places in alike], typical_s)
        ranked = [(_LAST if price is None else price, places) for price, places in zip(prices, alike, strict=True)]
        ranked.sort(key=_COST_OF)
        for _, equal in groupby(ranked, key=_COST_OF):
            several = [places for _, places in equal]
            places = several[0] if len(several) == 1 else sorted(chain.from_iterable(several))
            yield from self._sort([candidates[place] for place in places], further)

    def _prices(self, gateways: Sequence[RoutingGateway], typical_s: int) -> Sequence[Decimal | None]:
        """Return the prices by which gateways are compared; None = there is none, or no exchange rate."""
        request = self._request
        price_of, wall_ms = request.price_of, request.at.wall
        return self._vendors.costs(gateways, self._callee, wall_ms, request.caller_at, price_of, typical_s)

    def _rank(self, candidate: Candidate, criterion: Criterion) -> Rank:
        match criterion:
            case Criterion.PREFIX:
                return -candidate.length
            case Criterion.PRIORITY:
                return candidate.priority
            case Criterion.CALENDAR:
                return candidate.tier(self._request.at.wall)
            case Criterion.LOAD:
                gateway = candidate.gateway
                calls = self._occupancy.active(gateway.scope, gateway.name)
                return EXACT.divide(Decimal(calls), Decimal(candidate.weight)) if candidate.weight else _LAST
            case (
                Criterion.COST
                | Criterion.PRICE
                | Criterion.QUALITY
                | Criterion.BLEND
                | Criterion.WEIGHT
                | Criterion.ROUND_ROBIN
            ):
                raise ValueError(f"a gateway has no rank of its own by {criterion.value}")

    def _of_best_tier(self, ranked: list[tuple[Rank, Candidate]]) -> list[tuple[Rank, Candidate]]:
        """Return the candidates of the best tier, and those without a calendar or whose calendar does not fit.

        A gateway that the call cannot use takes it from no other by its calendar: one that is disabled or blocked, or
        that is not there for such calls.
        """
        best = next((tier for tier, each in ranked if self._is_usable(each)), NO_TIER)
        stays = NOT_IN_FORCE if self._plan.calendar_strict else NO_TIER
        self.outranked += [candidate for tier, candidate in ranked if best < tier < stays]
        return [each for each in ranked if each[0] <= best or each[0] >= stays]

    def _is_usable(self, candidate: Candidate) -> bool:
        return self._is_open(candidate) and may_carry(candidate, self._request, self._occupancy, self._vendors)

    def _is_there(self, candidate: Candidate) -> bool:
        return self._is_open(candidate) and is_there_now(candidate, self._request, self._occupancy, self._vendors)

    def _is_open(self, candidate: Candidate) -> bool:
        return candidate.gateway.enabled and candidate.gateway.name not in self._vendors.blocked
