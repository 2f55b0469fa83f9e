"""``routing_plans[]``, and the columns of a plan's ``routes_file``."""

from enum import Enum
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from vosd.base.calendar_use import CalendarUse
from vosd.base.margin import LossGuard
from vosd.config.keys import names_of_vos3000
from vosd.config.reader.fields import (
    ONE_OR_MANY,
    KeyProblemError,
    Keys,
    choice,
    end_after_begin,
    end_of_validity,
    first_instant,
    limit,
    milliseconds,
    object_name,
    switch,
    whole,
)
from vosd.config.reader.files import file_path
from vosd.config.reader.margins import wanted_margin
from vosd.config.reader.numbers import wild_prefix
from vosd.config.reader.renamed import Renamed, renamed
from vosd.routing.plan import IN_TURN, NO_PLAN, Criterion


class QualityKeys(Keys):
    """When the quality of two gateways differs; the figures are those of sliding windows."""

    asr_band: Annotated[int, whole(1, 100)] = 5
    """Percentage points of the answer-seizure ratio; a smaller difference does not count."""
    acd_band_s: Annotated[int, whole(1, 3_600)] = 30
    """Seconds of the average call duration; a smaller difference does not count."""
    min_attempts: Annotated[int, whole(1, 1_000_000)] = 20
    """A gateway with fewer attempts is neutral: it counts as good as the best."""


class BlendKeys(Keys):
    """Weight of each figure for the criterion ``blend``, relative to the others; 0 = not at all."""

    asr: Annotated[int, whole(0, 100)] = 0
    """Answer-seizure ratio."""
    acd: Annotated[int, whole(0, 100)] = 0
    """Average call duration."""
    pdd: Annotated[int, whole(0, 100)] = 0
    """Post-dial delay."""
    cost: Annotated[int, whole(0, 100)] = 0
    """Buy rate of the number."""
    band: Annotated[int, whole(1, 100)] = 5
    """Points of a hundred; a smaller difference does not count."""


class Calendars(Enum):
    """The gateways that take calls by their calendars."""

    CLOSEST = "closest"
    IGNORE = "ignore"


class RoutingPlanKeys(Keys):
    """Rules by which routing gateways are chosen for calls; mapping gateways, phones and accounts name a plan."""

    name: Annotated[str, object_name()]
    """Unique among the plans."""
    order: Annotated[tuple[Annotated[Criterion, choice(Criterion)], ...], ONE_OR_MANY] = NO_PLAN.order
    """Criteria by which gateways are compared; each decides only between those that are equal by the ones before it.
    ``prefix``: the longer first. ``priority``: the lower number first. ``cost``: the lower cost of a call of typical
    length first. ``price``: the lower buy rate of a minute first. ``load``: the fewest running calls in proportion to
    the weight first. ``weight``: in turn, as often as the weight says. ``round_robin``: in turn, equally often.
    ``calendar``: the closest entry first. ``quality``: the better band of answer-seizure ratio, then of call duration,
    first. ``blend``: the better score by the weights of ``blend`` first.
    """
    loss_guard: Annotated[LossGuard | None, wanted_margin()] = None
    """The margin that a gateway must leave: the sell price of a minute less its buy price, without tax, of a call of
    typical length; with ``by: price`` both of the regular cycle alone. ``max_price_per_second`` is the highest buy
    price of a second. Default: that of ``routing``."""
    quality: QualityKeys = QualityKeys()
    blend: BlendKeys = BlendKeys()
    calendar_strict: Annotated[bool | None, switch()] = None
    """``yes``: gateways without a calendar are left out while the calendar of another one fits. Default: that of
    ``routing``."""
    calendars: Annotated[Calendars, choice(Calendars)] = Calendars.CLOSEST
    """``closest``: gateways whose calendar fits less closely than that of another one are left out, also where the
    ``order`` has no ``calendar``. ``ignore``: all whose calendar fits may take calls, and none comes first for it."""
    gateways: Annotated[tuple[Annotated[str, object_name("routing_gateways")], ...], ONE_OR_MANY] = ()
    """The routing gateways, or groups of ``gateway_groups``, that its calls may use. Default: all."""
    routes_file: Annotated[Path | None, file_path()] = None
    """A CSV file with routes of its own, in place of the ``prefixes`` of the gateways; relative to the file that names
    it."""
    max_attempts: Annotated[int | None, whole(1, 50)] = None
    """Most gateways that are tried for one call. Default: 10."""
    search_seconds: Annotated[int | None, milliseconds(1_000, 180_000)] = None
    """No attempt begins later than this after the INVITE. Default: 30."""

    names_elsewhere: ClassVar[Renamed] = renamed(names_of_vos3000.ROUTING_PLAN)
    not_built: ClassVar[frozenset[str]] = frozenset({"template"})

    def _judge(self) -> None:
        if len(set(self.order)) < len(self.order) or not self.order:
            raise KeyProblemError("order", "at least one criterion, each once")
        if "gateways" in self.model_fields_set and not self.gateways:
            raise KeyProblemError("gateways", "at least one routing gateway; leave the key out to allow all of them")
        early = next((each for each in self.order[:-1] if each in IN_TURN), None)
        if early is not None:
            raise KeyProblemError("order", f"{early.value} as the last criterion: it leaves no gateways equal")
        blend = self.blend
        if Criterion.BLEND in self.order and not (blend.asr or blend.acd or blend.pdd or blend.cost):
            raise KeyProblemError("blend", "at least one of asr, acd, pdd and cost above 0, for blend in the order")


class RouteKeys(Keys):
    """One line of a ``routes_file``: a gateway for a prefix. Several lines may name the same gateway."""

    prefix: Annotated[str, wild_prefix()]
    """Called prefix, in which ``?`` is any digit, or ``*`` for any number."""
    gateway: Annotated[str, object_name("routing_gateways")]
    """Name of the routing gateway, or of a group of ``gateway_groups``: the line stands for each of its gateways."""
    priority: Annotated[int | None, whole(1, 1_000_000)] = None
    """Default: that of the gateway."""
    weight: Annotated[int | None, whole(0, 1_000_000)] = None
    """Default: that of the gateway."""
    percent: Annotated[int | None, whole(0, 100)] = None
    """Share of the calls among lines of the same prefix and priority; what is left of 100 is shared by those
    without ``percent``, by weight."""
    max_calls: Annotated[int | None, limit()] = None
    """Calls at the same time by this line."""
    calendar: Annotated[str | None, object_name("calendars")] = None
    """Calendar that must fit for it to be used. Default: that of the gateway, with its ``while``."""
    calendar_use: Annotated[CalendarUse | None, choice(CalendarUse)] = Field(default=None, alias="while")
    """When ``calendar`` of the line fits: ``listed``, ``working`` or ``not_working``, as for a gateway."""
    valid_from: Annotated[int | None, first_instant()] = None
    """Before it the line is not used."""
    valid_to: Annotated[int | None, end_of_validity()] = None
    """After it the line is not used; of a day, after its end."""

    def _judge(self) -> None:
        end_after_begin(self.valid_from, self.valid_to)
        if self.calendar_use is not None and self.calendar is None:
            raise KeyProblemError("while", "a calendar in the same line")
