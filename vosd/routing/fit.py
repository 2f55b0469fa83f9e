"""The gateways that a number fits, sorted by what the configuration says of them (docs/routing.md).

Which number fits what is known to ``route_table``. Whether a gateway can take a call at this moment is decided in
``pipeline``, and what order depends on the moment in ``order``.
"""

from collections.abc import Sequence
from itertools import groupby, takewhile
from typing import Final, NamedTuple

from vosd.base.prefixes import ANY
from vosd.routing.calendar import GatewayCalendar, Tier
from vosd.routing.plan import BY_RATES, STATIC, Criterion
from vosd.trunks.gateways import PrefixMode, RoutingGateway
from vosd.trunks.scope import SharedLimit


class Candidate(NamedTuple):
    """A gateway that the number fits, with its longest fitting prefix (``*`` = any number)."""

    gateway: RoutingGateway
    prefix: str
    priority: int
    weight: int
    percent: int | None = None
    calendar: GatewayCalendar | None = None
    valid_from: int | None = None
    valid_to: int | None = None
    limits: tuple[SharedLimit, ...] = ()
    """Limits that it shares with other gateways, or that its line of the plan's routes has."""
    is_conditional: bool = False
    """Whether it makes conditions of ``pipeline`` beyond the state of the gateway."""
    protect_times: tuple[int, ...] = ()
    """When protected gateways of this number join, in ms since the arrival of a call without any 18x; mostly none."""
    replaced_percent: int | None = None
    """The percentage whose place an overridden weight has taken."""
    is_of_phone: bool = False
    """Whether a phone names it, as its redirect server or its offline gateway: no ``allowed`` narrows that."""

    @property
    def length(self) -> int:
        """The digits of the prefix."""
        return 0 if self.prefix == ANY else len(self.prefix)

    def tier(self, wall_ms: int) -> int:
        """Return how closely its calendar fits a moment (UTC milliseconds): the smaller number comes first."""
        if self.calendar is None:
            return NO_TIER
        tier = self.calendar.tier(wall_ms)
        return NOT_IN_FORCE if tier is None else tier


NO_TIER: Final = Tier.DEFAULT + 1
"""Rank of a gateway without a calendar: behind one whose calendar fits at times that no entry of it names."""
NOT_IN_FORCE: Final = NO_TIER + 1
"""Rank of a gateway whose calendar does not fit: the search leaves it out."""
_STATES_MAX: Final = 100
"""Choices among the lines of gateways that are kept for the lines of a number."""
_NO_TIERS: Final[dict[tuple[int | None, ...], "Fit"]] = {}


Places = tuple[int, ...]
"""Positions of candidates in their group."""


class Fit(NamedTuple):
    """The candidates for all numbers that the same longest prefixes fit."""

    ranked: tuple[Candidate, ...]
    """In the order in which they are tried, as far as the configuration decides it."""
    groups: tuple[tuple[Candidate, ...], ...] = ()
    """Candidates of equal rank together."""
    criteria: tuple[Criterion, ...] = ()
    """The criteria that decide within a group; none = ``ranked`` is the order."""
    stopped: tuple[Candidate, ...] = ()
    """Candidates that are out because one with a longer prefix ends the search."""
    calendars: tuple[GatewayCalendar, ...] = ()
    """Calendars of the candidates, where the first of ``criteria`` is the calendar."""
    by_tiers: dict[tuple[int | None, ...], "Fit"] = _NO_TIERS
    """Orders that ``calendar_order`` has found, by the tiers of the calendars."""
    outranked: tuple[Candidate, ...] = ()
    """Candidates that are out because another one's calendar fits more closely."""
    closest: tuple[tuple[Candidate, ...], ...] = ()
    """Candidates with the calendar that leaves them out, for each group that has such."""
    stoppers: tuple[Candidate, ...] = ()
    """Candidates that stop others (``stopped``): they end the search for numbers, and at times, that they accept."""
    otherwise: "Fit | None" = None
    """The candidates of a call that none of ``stoppers`` accepts."""
    alike: tuple[tuple[Places, ...], ...] = ()
    """For each group what ``rated_alike`` returns; none = the first of ``criteria`` is neither cost nor price."""


class Lines:
    """The lines of a plan's routes for a number, where some gateway has several: it stands in the order by one.

    That is the longest line in force; of several, the one whose calendar fits most closely, then the one with the
    lowest priority. A gateway without a line in force stands by its longest.
    """

    __slots__ = ("_fits", "_lines", "_order")

    def __init__(self, lines: Sequence[Candidate], order: Sequence[Criterion]) -> None:
        self._lines = lines
        self._order = order
        self._fits: dict[tuple[int, ...], Fit] = {}
        """By the places of the lines that stand."""

    def fit(self, wall_ms: int) -> Fit:
        """Return the lines that stand at a moment (UTC milliseconds), sorted as far as the configuration decides it."""
        best: dict[str, tuple[tuple[int, ...], int]] = {}
        for place, line in enumerate(self._lines):
            tier = line.tier(wall_ms)
            is_over = line.valid_to is not None and wall_ms >= line.valid_to
            is_in_force = not is_over and tier != NOT_IN_FORCE and wall_ms >= (line.valid_from or 0)
            ranked = (not is_in_force, -line.length, tier, line.priority), place
            name = line.gateway.name
            best[name] = min(best.get(name, ranked), ranked)
        places = tuple(sorted(place for _, place in best.values()))
        fit = self._fits.get(places)
        if fit is None:
            if len(self._fits) >= _STATES_MAX:
                self._fits.clear()
            fit = self._fits[places] = sorted_fit([self._lines[place] for place in places], self._order)
        return fit


def fitted(candidates: Sequence[Candidate], order: Sequence[Criterion]) -> Fit | Lines:
    """Sort candidates, or the lines that stand at the moment of a call where some gateway has several."""
    has_several = len({each.gateway.name for each in candidates}) < len(candidates)
    return Lines(candidates, order) if has_several else sorted_fit(candidates, order)


def sorted_fit(candidates: Sequence[Candidate], order: Sequence[Criterion], stop_below: int | None = None) -> Fit:
    """Sort candidates by the first criteria of an order, as far as these depend on the configuration alone.

    Protected gateways come after all others. Prefixes of ``stop_below`` digits or more do not end the search.
    """
    stoppers = [
        each for each in candidates if _ends_search(each.gateway) and (stop_below is None or each.length < stop_below)
    ]
    ends_at = max((each.length for each in stoppers), default=0)
    stopped = tuple(each for each in candidates if each.length < ends_at)
    fit = _in_order([each for each in candidates if each.length >= ends_at], order, stopped)
    if not stopped:
        return fit
    nearest = tuple(each for each in stoppers if each.length == ends_at)
    return fit._replace(stoppers=nearest, otherwise=sorted_fit(candidates, order, ends_at))


def _in_order(found: list[Candidate], order: Sequence[Criterion], stopped: tuple[Candidate, ...]) -> Fit:
    """Sort the candidates that are left when those with shorter prefixes are ``stopped``."""
    if not any(each.calendar for each in found):
        order = [criterion for criterion in order if criterion is not Criterion.CALENDAR]
    first = list(takewhile(STATIC.__contains__, order))
    times = tuple(sorted({each.gateway.protect_ms for each in found if each.gateway.protect_ms is not None}))
    if times:
        found = [each._replace(protect_times=times) for each in found]

    def rank(candidate: Candidate) -> tuple[int, ...]:
        return candidate.gateway.protect_ms is not None, *static_rank(candidate, first)

    ranked = tuple(sorted(found, key=rank))
    groups = tuple(tuple(equal) for _, equal in groupby(ranked, key=rank))
    if len(groups) == len(ranked):
        return Fit(ranked, stopped=stopped)
    criteria = tuple(order[len(first) :])
    fit = Fit(ranked, groups, criteria, stopped, alike=alike_in(groups, criteria))
    if fit.criteria[:1] != (Criterion.CALENDAR,):
        return fit
    calendars = {id(each.calendar): each.calendar for each in ranked if each.calendar is not None}
    return fit._replace(calendars=tuple(calendars.values()), by_tiers={})


def static_rank(candidate: Candidate, criteria: Sequence[Criterion]) -> tuple[int, ...]:
    """Return what a candidate is sorted by, by criteria that depend on the configuration alone."""
    return tuple(-candidate.length if each is Criterion.PREFIX else candidate.priority for each in criteria)


def alike_in(groups: Sequence[Sequence[Candidate]], criteria: Sequence[Criterion]) -> tuple[tuple[Places, ...], ...]:
    """Return ``Fit.alike``."""
    return tuple(map(rated_alike, groups)) if criteria and criteria[0] in BY_RATES else ()


def rated_alike(candidates: Sequence[Candidate]) -> tuple[Places, ...]:
    """Return which candidates have the same rates: a call costs the same through each of them.

    They are of one account, and sent the numbers of the same callers, by which rates may differ. An announcement has no
    rates.
    """
    found: dict[tuple[object, ...], list[int]] = {}
    for place, candidate in enumerate(candidates):
        gateway = candidate.gateway
        rates = gateway.account, gateway.rate_group, gateway.private_rate_group
        found.setdefault((*rates, gateway.dialect.shows_number, gateway.sound is None), []).append(place)
    return tuple(map(tuple, found.values()))


def _ends_search(gateway: RoutingGateway) -> bool:
    return gateway.prefix_mode is PrefixMode.STOP and gateway.enabled
