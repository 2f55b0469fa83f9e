"""Routing plans: which gateways the calls of a customer may use, in which order, at which margin (docs/routing.md).

A plan is what a customer buys: the same number may have other gateways, in another order, for each plan.
"""

from enum import Enum
from typing import Final

import msgspec

from vosd.base.calendar_use import CalendarUse
from vosd.base.margin import LossGuard
from vosd.routing.quality_order import Blend, QualityTerms


class Criterion(Enum):
    """A criterion by which gateways are compared; where they are equal the next one of the plan decides."""

    CALENDAR = "calendar"
    """The tier of the calendar that fits; gateways without a calendar come last."""
    PREFIX = "prefix"
    """The longer prefix first."""
    PRIORITY = "priority"
    """The smaller number first."""
    COST = "cost"
    """The lower cost of a call of typical length to this number at this moment first; one without buy rate last."""
    PRICE = "price"
    """The lower price of a minute alone first, whatever increments and first periods are."""
    QUALITY = "quality"
    """The better band of answer-seizure ratio and length of calls first."""
    BLEND = "blend"
    """The better score of answer-seizure ratio, length of calls, post-dial delay and buy rate first."""
    LOAD = "load"
    """The fewest running calls first, in proportion to the weight."""
    WEIGHT = "weight"
    """In turn, each as often as its weight says."""
    ROUND_ROBIN = "round_robin"
    """In turn, each equally often."""


STATIC: Final = frozenset({Criterion.PREFIX, Criterion.PRIORITY})
"""Criteria that depend on the configuration alone: gateways are sorted by them once."""
BY_RATES: Final = frozenset({Criterion.COST, Criterion.PRICE})
"""Criteria that depend on buy rates: what is of one vendor with the same rates is equal by them."""
BY_QUALITY: Final = frozenset({Criterion.QUALITY, Criterion.BLEND})
"""Criteria that depend on how the calls of the last hours went."""
IN_TURN: Final = frozenset({Criterion.WEIGHT, Criterion.ROUND_ROBIN})
"""Criteria that leave no gateways equal, so that none can follow them."""


class RouteRow(msgspec.Struct, frozen=True):
    """One line of a plan's own routes; what is None is that of the gateway."""

    prefix: str
    gateway: str
    priority: int | None = None
    weight: int | None = None
    percent: int | None = None
    """The gateway's share of the calls among those of equal prefix and priority."""
    max_calls: int | None = None
    """Calls at the same time by this line."""
    calendar: str | None = None
    """Name of the calendar that must fit, in place of that of the gateway."""
    calendar_use: CalendarUse | None = None
    """Part of the calendar in which it fits; None = while one of its entries decides, as for a gateway."""
    valid_from: int | None = None
    """UTC milliseconds; None = always."""
    valid_to: int | None = None
    """UTC milliseconds of the first instant at which it is over; None = never."""


class RoutingPlan(msgspec.Struct, frozen=True):
    """The choice of gateways for the calls of a customer."""

    name: str = ""
    """Empty for calls without a plan."""
    order: tuple[Criterion, ...] = (Criterion.CALENDAR, Criterion.PREFIX, Criterion.PRIORITY, Criterion.WEIGHT)
    """The first criterion decides, the next one only between gateways that are equal by it."""
    loss_guard: LossGuard = LossGuard()
    calendar_strict: bool = False
    """Whether gateways without a calendar are out, too, where the calendar of another one fits."""
    ignores_calendars: bool = False
    """Whether calendars are not compared: a less close one takes calls beside a closer one."""
    quality: QualityTerms = QualityTerms()
    blend: Blend = Blend()
    gateways: frozenset[str] | None = None
    """Names of the routing gateways; None = all."""
    routes: tuple[RouteRow, ...] | None = None
    """The plan's own routes, in place of the prefixes of the gateways; None = those prefixes."""
    max_attempts: int | None = None
    """Most gateways that are tried for one call; None = the switch's limit."""
    search_ms: int | None = None
    """No attempt begins later than this after the INVITE; None = the switch's limit."""

    @property
    def only_filters_calendars(self) -> bool:
        """Whether less close calendars are left out, and the order between the others does not depend on calendars."""
        return not self.ignores_calendars and Criterion.CALENDAR not in self.order

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """Criteria by which candidates are sorted; calendars come first where they only leave candidates out."""
        if self.ignores_calendars:
            return tuple(each for each in self.order if each is not Criterion.CALENDAR)
        return (Criterion.CALENDAR, *self.order) if self.only_filters_calendars else self.order

    @property
    def names(self) -> frozenset[str] | None:
        """The routing gateways that its calls may go to; None = all."""
        if self.routes is None:
            return self.gateways
        named = frozenset(row.gateway for row in self.routes)
        return named if self.gateways is None else named & self.gateways


NO_PLAN: Final = RoutingPlan()
"""The way of VOS3000, for calls without a plan."""
