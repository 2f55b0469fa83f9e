"""Routing plans: the order in which gateways are tried, and at which margin (docs/routing.md).

A plan is what a customer buys: the same number may have other gateways, in another order, for each plan.
"""

from decimal import Decimal
from enum import Enum
from typing import Final

import msgspec

from vosd.base.money import ZERO
from vosd.routing.quality_order import Blend, QualityTerms


class Criterion(Enum):
    """What gateways are compared by; where they are equal the next criterion of the plan decides."""

    CALENDAR = "calendar"
    """The tier of the calendar that fits; gateways without a calendar come last."""
    PREFIX = "prefix"
    """The longer prefix first."""
    PRIORITY = "priority"
    """The smaller number first."""
    COST = "cost"
    """The lower buy rate of this number at this moment first; a gateway without buy rate last."""
    QUALITY = "quality"
    """The better band of answer-seizure ratio and length of calls first."""
    BLEND = "blend"
    """The better score of answer-seizure ratio, length of calls, post-dial delay and buy rate first."""
    WEIGHT = "weight"
    """In turn, each as often as its weight says."""


STATIC: Final = frozenset({Criterion.PREFIX, Criterion.PRIORITY})
"""Criteria that depend on the configuration alone: gateways are sorted by them once."""


class LossGuard(msgspec.Struct, frozen=True):
    """Which margin a gateway must leave, where the sell and the buy rate of a call are known in one currency."""

    min_margin: Decimal = ZERO
    """Least difference of the prices of a minute of the regular cycle, without tax."""


class RoutingPlan(msgspec.Struct, frozen=True):
    """How gateways are chosen for the calls of a customer."""

    name: str = ""
    """Empty for calls without a plan."""
    order: tuple[Criterion, ...] = (Criterion.CALENDAR, Criterion.PREFIX, Criterion.PRIORITY, Criterion.WEIGHT)
    """The first criterion decides, the next one only between gateways that are equal by it."""
    calendar_strict: bool = False
    """Whether gateways without a calendar are out, too, where the calendar of another one fits."""
    quality: QualityTerms = QualityTerms()
    blend: Blend = Blend()


NO_PLAN: Final = RoutingPlan()
"""The way of VOS3000, for calls without a plan."""
