"""Calendars that mean another time than their name may say: a warning with the coming week, for ``vosd check``."""

from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from typing import Final

from vosd.billing.period_rates import When
from vosd.catalogue.catalogue import Catalogue
from vosd.catalogue.problems import ProblemList, SourceLine
from vosd.catalogue.source import CatalogueSource, row_key
from vosd.routing.calendar import Calendar

_MINUTE_MS: Final = 60_000
_WEEK: Final = 7 * 24 * 60
"""Minutes."""
_SPANS_SHOWN: Final = 8
_WARNED_MAX: Final = 20
"""Bindings of a kind that are warned of: each takes some 50 ms."""

_Doubt = tuple[SourceLine, str, str]
"""Place, key, and what is expected of its ``while``."""


def warn_of_calendars(catalogue: Catalogue, source: CatalogueSource, now_ms: int, problems: ProblemList) -> None:
    """Warn of what is bound to a calendar without saying which part of it counts, where another one may be meant."""
    if problems.has_errors:
        return
    for found in (_of_gateways, _of_routes, _of_accounts):
        for place, key, expected in islice(found(catalogue, source, now_ms), _WARNED_MAX):
            problems.warning(place, key, f"while: listed, working or not_working, for {expected}")
    _warn_of_periods(catalogue, source, now_ms, problems)


def _of_gateways(catalogue: Catalogue, source: CatalogueSource, now_ms: int) -> Iterator[_Doubt]:
    for gateway in catalogue.routing_gateways.values():
        calendar = catalogue.calendars.get(gateway.calendar or "")
        definition = source.routing_gateways.sound.get(gateway.name)
        if calendar is None or definition is None or gateway.calendar_use is not None or not calendar.lists_both:
            continue
        yield definition.origin.place, f"{definition.label}.calendar", _either(calendar, "gateway", now_ms)


def _of_routes(catalogue: Catalogue, source: CatalogueSource, now_ms: int) -> Iterator[_Doubt]:
    """Yield for each plan the first line with a calendar that may be meant otherwise."""
    for definition in source.routing_plans.sound.values():
        known: set[str] = set()
        for index, row in enumerate(definition.value.routes or ()):
            calendar = catalogue.calendars.get(row.calendar or "")
            if calendar is None or row.calendar_use is not None or not calendar.lists_both or calendar.name in known:
                continue
            known.add(calendar.name)
            yield *definition.at(f"{row_key(index)}.calendar"), _either(calendar, "line", now_ms)


def _either(calendar: Calendar, used: str, now_ms: int) -> str:
    week = coming_week(calendar, now_ms, calendar.fits)
    return (
        f"calendar {calendar.name} has entries of both kinds; without it the {used} is used while a working one "
        f"decides: {week}"
    )


def _of_accounts(catalogue: Catalogue, source: CatalogueSource, now_ms: int) -> Iterator[_Doubt]:
    if not catalogue.calendars:
        return
    for account in catalogue.accounts.values():
        if account.calendar is None or account.calendar_use is not None:
            continue
        calendar, definition = catalogue.calendars.get(account.calendar), source.accounts.sound.get(account.id)
        if calendar is None or definition is None or not calendar.is_never_opened:
            continue
        week = coming_week(calendar, now_ms, calendar.is_working)
        expected = (
            f"no entry of calendar {calendar.name} is working; without it the account works while none of them fits: "
            f"{week}"
        )
        yield definition.origin.place, f"{definition.label}.calendar", expected


def _warn_of_periods(catalogue: Catalogue, source: CatalogueSource, now_ms: int, problems: ProblemList) -> None:
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
