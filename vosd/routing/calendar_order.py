"""The order of the gateways that a number fits once their calendars are known, kept for each state of the calendars.

The tiers of calendars change a few times a day. So what ``order`` would sort for each call, by calendars and by the
configuration, is sorted once for each state of the calendars.
"""

from collections.abc import Sequence
from itertools import chain, groupby, takewhile
from typing import Final

from vosd.routing.fit import NO_TIER, NOT_IN_FORCE, Candidate, Fit, alike_in, static_rank
from vosd.routing.plan import STATIC, RoutingPlan

_STATES_MAX: Final = 100
"""States of the calendars that are kept for the candidates of a number."""


def in_tiers(fit: Fit, plan: RoutingPlan, wall_ms: int) -> Fit:
    """Return candidates in the order at ``wall_ms`` (UTC) as far as calendars and configuration decide it.

    Those are out that another one's calendar outranks. ``fit.criteria`` begins with the calendar.
    """
    tiers = tuple([calendar.tier(wall_ms) for calendar in fit.calendars])
    known = fit.by_tiers.get(tiers)
    if known is None:
        if len(fit.by_tiers) >= _STATES_MAX:
            fit.by_tiers.clear()
        known = fit.by_tiers[tiers] = _sorted(fit, plan, tiers)
    return known


def _rank(tier: int | None, candidate: Candidate) -> int:
    """Return the rank of a candidate whose calendar, if it has one, fits by that tier."""
    if candidate.calendar is None:
        return NO_TIER
    return NOT_IN_FORCE if tier is None else tier


def _sorted(fit: Fit, plan: RoutingPlan, tiers: Sequence[int | None]) -> Fit:
    by_calendar = dict(zip(map(id, fit.calendars), tiers, strict=True))
    first = tuple(takewhile(STATIC.__contains__, fit.criteria[1:]))
    stays = NOT_IN_FORCE if plan.calendar_strict else NO_TIER
    groups: list[tuple[Candidate, ...]] = []
    outranked: list[Candidate] = []
    closest: list[tuple[Candidate, ...]] = []

    only_filters = plan.only_filters_calendars

    def rank(ranked: tuple[int, Candidate]) -> tuple[int, ...]:
        tier, candidate = ranked
        return tier if not only_filters else tier == NOT_IN_FORCE, *static_rank(candidate, first)

    for group in fit.groups:
        ranked = [(_rank(by_calendar.get(id(each.calendar)), each), each) for each in group]
        # The call cannot use a disabled gateway, so its calendar takes the call from no other.
        best = min((tier for tier, each in ranked if each.gateway.enabled), default=NO_TIER)
        out = [each for tier, each in ranked if best < tier < stays]
        if out:
            outranked += out
            closest.append(tuple(each for tier, each in ranked if tier == best and each.gateway.enabled))
        kept = sorted((each for each in ranked if each[0] <= best or each[0] >= stays), key=rank)
        groups += [tuple(each for _, each in equal) for _, equal in groupby(kept, key=rank)]
    flat = tuple(chain.from_iterable(groups))
    criteria = fit.criteria[1 + len(first) :]
    if len(groups) == len(flat):
        groups, criteria = [], ()
    return fit._replace(
        ranked=flat,
        groups=tuple(groups),
        criteria=criteria,
        outranked=tuple(outranked),
        closest=tuple(closest),
        calendars=(),
        alike=alike_in(groups, criteria),
    )
