"""The past of accounts and destinations, as it is read from stored calls; ``storage`` implements it.

``Learned`` is what the sums of one account say of each class.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from vosd.billing.destinations import DAY_MS, HOUR_MS, NOTHING, Destinations, Past, Usage


class Span(NamedTuple):
    """A time: from ``begin`` to before ``end``, UTC milliseconds."""

    begin: int
    end: int


class PastUsage(NamedTuple):
    """Use of one account's calls in a span to numbers with the same first digits."""

    place: int
    """Number of the span among those that were asked for, from 0 on."""
    digits: str
    """As many as were asked for; fewer where a number is shorter."""
    usage: Usage


class DestinationPast(Protocol):
    """Sums of stored calls. Each method is one bounded query, and raises ``StoreUnavailable``: try again."""

    async def first_call(self, account: str) -> int | None:
        """Return when the first stored call of an account arrived, UTC milliseconds; None = it has none."""

    async def begun_in(self, account: str, spans: Sequence[Span], digits: int) -> Sequence[PastUsage]:
        """Return what the answered calls of an account used that began in each of the spans."""

    async def ended_in(self, account: str, span: Span, digits: int, longest_ms: int) -> Sequence[PastUsage]:
        """Return what the answered calls of an account used that ended in a span, none longer than ``longest_ms``."""


def same_hours(hour: int, days: int) -> list[Span]:
    """Return the same hour of each of the past days, the latest first; ``hour`` is when the present one began."""
    return [Span(hour - day * DAY_MS, hour - day * DAY_MS + HOUR_MS) for day in range(1, days + 1)]


def by_class(found: Iterable[PastUsage], destinations: Destinations) -> dict[tuple[int, str], Usage]:
    """Return sums by span and class."""
    sums: dict[tuple[int, str], Usage] = {}
    for each in found:
        destination = destinations.of(each.digits)
        if destination is not None:
            key = each.place, destination
            sums[key] = sums.get(key, NOTHING).plus(each.usage)
    return sums


def highest(sums: Mapping[tuple[int, str], Usage]) -> dict[str, Usage]:
    """Return the highest of each figure over all spans, by class."""
    found: dict[str, Usage] = {}
    for (_, destination), each in sums.items():
        found[destination] = found.get(destination, NOTHING).highest(each)
    return found


def past_of(first_call: int | None, hour: int, usage: Usage) -> Past:
    """Return the past of a class; an account is new until its first call is a day old."""
    return Past(first_call is None or first_call > hour - DAY_MS, usage)
