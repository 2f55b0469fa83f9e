"""Spans of a report in the viewer's zone, and from which sums each of them is made."""

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import count, pairwise
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from vosd.base.errors import VosError
from vosd.traffic.counted import FIVE_MS, SLOT_MS, SLOTS_OF_DAY

SPANS_MAX: Final = 1_500
"""Most spans of a report: five days by five minutes, two months by the hour, four years by the day."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class EmptySpan(VosError):  # noqa: N818 - says what is wrong with the span
    """A report ends before it begins."""


class TooManySpans(VosError):  # noqa: N818 - says what is wrong with the order
    """A report would have more spans than people read."""


class Grouping(StrEnum):
    """Spans into which a report is divided."""

    WHOLE = "whole"
    FIVE_MINUTES = "5min"
    """Spans of reports that have no money, waits or attempts at gateways."""
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    """From Monday."""
    MONTH = "month"


class ReportSpan(NamedTuple):
    """A part of a report's time."""

    since: int
    """UTC milliseconds."""
    until: int
    label: str
    """Begin in the viewer's zone, as text; empty for the whole."""


class Piece(NamedTuple):
    """Sums of some slots that count in a span, or in two."""

    first: int
    """First slot, quarters since 1970."""
    end: int
    signs: tuple[tuple[int, int], ...]
    """Numbers of the spans, each with 1 or -1: whether the sums are added or taken away."""


class Pieces(NamedTuple):
    """All pieces of the spans of a report."""

    days: Sequence[Piece]
    """Pieces of whole UTC days, which have sums of their own."""
    quarters: Sequence[Piece]
    zone_days: Sequence[Piece] = ()
    """Days of other zones that have sums of their own; each is kept at its first slot alone."""


def spans_of(since: int, until: int, grouping: Grouping, zone: ZoneInfo) -> list[ReportSpan]:
    """Divide a time, UTC milliseconds, into the five minutes, hours, days, weeks or months of a zone.

    The quarters of an hour in which it begins and ends are whole. The first and the last span are cut where they are.

    Raises:
        EmptySpan: it ends before it begins.
        TooManySpans: there are more than ``SPANS_MAX``.
    """
    since, until = since // SLOT_MS * SLOT_MS, -(-until // SLOT_MS) * SLOT_MS
    if since >= until:
        raise EmptySpan("the report ends before it begins")
    if grouping is Grouping.WHOLE:
        return [ReportSpan(since, until, "")]
    moments = [since]
    for moment in _beginnings(since, grouping, zone):
        if moment >= until:
            break
        if moment > since:
            moments.append(moment)
        if len(moments) > SPANS_MAX:
            raise TooManySpans(
                f"the report would have more than {SPANS_MAX} spans of {grouping.value}: ask for less, or longer ones"
            )
    has_times = grouping in {Grouping.FIVE_MINUTES, Grouping.HOUR}
    shown = "%Y-%m-%dT%H:%M%z" if has_times else "%Y-%m" if grouping is Grouping.MONTH else "%Y-%m-%d"
    return [ReportSpan(begin, end, _local(begin, zone).strftime(shown)) for begin, end in pairwise([*moments, until])]


def begin_of(grouping: Grouping, wall_ms: int, zone: ZoneInfo) -> int:
    """Return the beginning of the day, week or month of a zone in which a moment is; UTC milliseconds."""
    return next(_beginnings(wall_ms, grouping, zone))


def _local(wall_ms: int, zone: ZoneInfo) -> datetime:
    return (_EPOCH + timedelta(milliseconds=wall_ms)).astimezone(zone)


def _beginnings(since: int, grouping: Grouping, zone: ZoneInfo) -> Iterator[int]:
    """Yield the moments at which spans of a grouping begin, from one at or before ``since`` on."""
    if grouping is Grouping.FIVE_MINUTES:
        yield from count(since // FIVE_MS * FIVE_MS, FIVE_MS)
    if grouping is Grouping.HOUR:
        local = _local(since, zone)
        moment = since - local.minute * 60_000
        while True:
            yield moment
            moment += 3_600_000
            hour = moment - _local(moment, zone).minute * 60_000  # summer time of half an hour
            moment = moment if _local(hour, zone).minute else hour  # behind the change, not over it
    # Where the hour after midnight comes twice, the day begins with the first one (PEP 495).
    day = _local(since, zone).replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0, fold=0)
    if grouping is Grouping.WEEK:
        day -= timedelta(days=day.weekday())
    if grouping is Grouping.MONTH:
        day = day.replace(day=1)
    while True:
        yield (day.replace(tzinfo=zone) - _EPOCH) // timedelta(milliseconds=1)
        match grouping:
            case Grouping.DAY:
                day += timedelta(days=1)
            case Grouping.WEEK:
                day += timedelta(days=7)
            case _:
                day = (day + timedelta(days=31)).replace(day=1)


def days_of(zone: ZoneInfo, since: int, until: int) -> Iterator[int]:
    """Yield the first slots of the days of 24 hours of a zone that lie in a time, UTC milliseconds.

    Days of UTC are left out, and those on which summer time begins or ends.
    """
    for begin, end in pairwise(_beginnings(since, Grouping.DAY, zone)):
        if end > until:
            return
        first, behind = begin // SLOT_MS, end // SLOT_MS
        if begin >= since and behind - first == SLOTS_OF_DAY and first % SLOTS_OF_DAY:
            yield first


def pieces_of(spans: Sequence[ReportSpan], days_until: int, zone_days: Collection[int] = ()) -> Pieces:
    """Return from which sums the spans are made; days have their own up to the slot ``days_until``.

    ``zone_days`` has the first slots of the days of other zones that have sums of their own.

    A border of spans lies within a UTC day in most zones. The day is then counted as a whole in one of the two spans,
    and the quarters between the border and midnight are moved to the other one: a month by the day is made of its days
    and of a few hours of each, not of all quarters.
    """
    days: list[Piece] = []
    of_zones: list[Piece] = []
    moved: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for number, span in enumerate(spans):
        first, end = span.since // SLOT_MS, span.until // SLOT_MS
        if first in zone_days and end - first == SLOTS_OF_DAY:
            of_zones.append(Piece(first, first + 1, ((number, 1),)))
            continue
        begin, stop = _midnight(first), min(_midnight(end), days_until)
        if begin >= stop or abs(first - begin) + abs(end - stop) >= end - first:
            moved.setdefault((first, end), []).append((number, 1))
            continue
        days.append(Piece(begin, stop, ((number, 1),)))
        for one, other in ((first, begin), (stop, end)):
            if one != other:
                moved.setdefault((min(one, other), max(one, other)), []).append((number, 1 if one < other else -1))
    return Pieces(days, [Piece(*place, tuple(signs)) for place, signs in moved.items()], of_zones)


def _midnight(slot: int) -> int:
    return (slot + SLOTS_OF_DAY // 2) // SLOTS_OF_DAY * SLOTS_OF_DAY
