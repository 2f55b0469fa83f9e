"""The gateways that a number fits, sorted by what the configuration says of them (docs/routing.md).

Which number fits what is known to ``route_table``. Whether a gateway can take a call at this moment is decided in
``pipeline``, and what order depends on the moment in ``order``.
"""

from collections.abc import Sequence
from itertools import groupby, takewhile
from typing import Final, NamedTuple

from vosd.base.prefixes import ANY
from vosd.routing.plan import BY_RATES, STATIC, Criterion
from vosd.routing.ports import GatewayCalendar
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

    @property
    def length(self) -> int:
        """The digits of the prefix."""
        return 0 if self.prefix == ANY else len(self.prefix)


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
    has_repeats: bool = False
    """Whether a gateway is among them by several lines of the plan's routes."""
    calendars: tuple[GatewayCalendar, ...] = ()
    """Calendars of the candidates, where the first of ``criteria`` is the calendar."""
    choosy: tuple[Candidate, ...] = ()
    """Candidates that take some calls and not others, apart from their calendars."""
    by_tiers: dict[tuple[int | None, ...], "Fit"] = _NO_TIERS
    """Orders that ``calendar_order`` has found, by the tiers of the calendars."""
    outranked: tuple[Candidate, ...] = ()
    """Candidates that are out because another one's calendar fits more closely."""
    stoppers: tuple[Candidate, ...] = ()
    """Candidates that stop others (``stopped``): they end the search for numbers, and at times, that they accept."""
    otherwise: "Fit | None" = None
    """The candidates of a call that none of ``stoppers`` accepts."""
    alike: tuple[tuple[Places, ...], ...] = ()
    """For each group what ``rated_alike`` returns; none = the first of ``criteria`` is neither cost nor price."""


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
    repeats = len({each.gateway.name for each in ranked}) < len(ranked)
    if len(groups) == len(ranked):
        return Fit(ranked, stopped=stopped, has_repeats=repeats)
    criteria = tuple(order[len(first) :])
    fit = Fit(ranked, groups, criteria, stopped, repeats, alike=alike_in(groups, criteria))
    if fit.criteria[:1] != (Criterion.CALENDAR,):
        return fit
    calendars = {id(each.calendar): each.calendar for each in ranked if each.calendar is not None}
    choosy = tuple(each for each in ranked if each.calendar is not None and _is_choosy(each))
    return fit._replace(calendars=tuple(calendars.values()), choosy=choosy, by_tiers={})


def _is_choosy(candidate: Candidate) -> bool:
    is_dated = candidate.valid_from is not None or candidate.valid_to is not None
    return is_dated or candidate.gateway.is_conditional


def static_rank(candidate: Candidate, criteria: Sequence[Criterion]) -> tuple[int, ...]:
    """Return what a candidate is sorted by, by criteria that depend on the configuration alone."""
    return tuple(-candidate.length if each is Criterion.PREFIX else candidate.priority for each in criteria)


def alike_in(groups: Sequence[Sequence[Candidate]], criteria: Sequence[Criterion]) -> tuple[tuple[Places, ...], ...]:
    """Return ``Fit.alike``."""
    return tuple(map(rated_alike, groups)) if criteria and criteria[0] in BY_RATES else ()


def rated_alike(candidates: Sequence[Candidate]) -> tuple[Places, ...]:
    """Return which candidates are of one account with the same rates: a call costs the same through each of them."""
    found: dict[tuple[str | None, ...], list[int]] = {}
    for place, candidate in enumerate(candidates):
        gateway = candidate.gateway
        found.setdefault((gateway.account, gateway.rate_group, gateway.private_rate_group), []).append(place)
    return tuple(map(tuple, found.values()))


def _ends_search(gateway: RoutingGateway) -> bool:
    return gateway.prefix_mode is PrefixMode.STOP and gateway.enabled
