"""Calendars that mean another time than their name may say: a warning with the coming week, for ``vosd check``."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from vosd.billing.period_rates import When
from vosd.catalogue.catalogue import Catalogue
from vosd.catalogue.problems import ProblemList
from vosd.catalogue.source import CatalogueSource
from vosd.routing.calendar import Calendar

_MINUTE_MS: Final = 60_000
_WEEK: Final = 7 * 24 * 60
"""Minutes."""
_SPANS_SHOWN: Final = 8
_WARNED_MAX: Final = 20
"""Bindings of a kind that are warned of: each takes some 50 ms."""


def warn_of_calendars(catalogue: Catalogue, source: CatalogueSource, now_ms: int, problems: ProblemList) -> None:
    """Warn of gateways and period rates whose binding does not say which part of a calendar it means, and might."""
    if problems.has_errors:
        return
    warned = 0
    for gateway in catalogue.routing_gateways.values():
        calendar = catalogue.calendars.get(gateway.calendar or "")
        definition = source.routing_gateways.sound.get(gateway.name)
        if calendar is None or definition is None or gateway.calendar_use is not None or not calendar.lists_both:
            continue
        warned += 1
        if warned > _WARNED_MAX:
            break
        week = coming_week(calendar, now_ms, calendar.fits)
        expected = (
            f"while: listed, working or not_working, for calendar {calendar.name} has entries of both kinds; without "
            f"it the gateway is used while a working one decides: {week}"
        )
        problems.warning(definition.origin.place, f"{definition.label}.calendar", expected)
    for rates in catalogue.period_rates.values():
        definition_of_rates = source.period_rates.sound.get(rates.name)
        for period in rates.periods:
            calendar = catalogue.calendars.get(period.calendar or "")
            is_explicit = period.calendar_use is not None or period.when is not When.WORKING
            if calendar is None or definition_of_rates is None or is_explicit or not calendar.is_never_opened:
                continue
            week = coming_week(calendar, now_ms, calendar.is_working)
            expected = (
                f"while: listed, working or not_working, for no entry of calendar {calendar.name} is working; without "
                f"it period {period.name} is in force while none of them fits: {week}"
            )
            label = f"{definition_of_rates.label}.periods"
            problems.warning(definition_of_rates.origin.place, label, expected)


def coming_week(calendar: Calendar, now_ms: int, holds: Callable[[int], bool]) -> str:
    """Return when something holds in the seven days from a moment (UTC milliseconds), by the clock of a calendar."""
    first = now_ms // _MINUTE_MS
    spans: list[str] = []
    began: int | None = None
    for minute in range(first, first + _WEEK + 1):
        is_on = minute < first + _WEEK and holds(minute * _MINUTE_MS)
        if is_on and began is None:
            began = minute
        elif not is_on and began is not None:
            spans.append(f"{_shown(calendar, began)} to {_shown(calendar, minute)}")
            if began == first and minute == first + _WEEK:
                return "all of the coming week"
            began = None
    if not spans:
        return "never in the coming week"
    more = "" if len(spans) <= _SPANS_SHOWN else f" and {len(spans) - _SPANS_SHOWN} more times"
    return f"in the coming week {', '.join(spans[:_SPANS_SHOWN])}{more} ({calendar.zone})"


def _shown(calendar: Calendar, minute: int) -> str:
    return f"{datetime.fromtimestamp(minute * 60, calendar.zone):%a %H:%M}"
