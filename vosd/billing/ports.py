"""Interfaces that billing needs of others: tables of rates, whatever they are kept in."""

from collections.abc import Iterator
from typing import Protocol

from vosd.billing.rates import AppliedRate, Rate


class RateTable(Protocol):
    """The rates of one group, found by number and moment (ADR 36).

    The rows may be objects in memory or records of a file that is mapped into memory. A ``Rate`` may be made by the
    look-up that returns it, so callers compare rates by value, keep what they need, and never ask for all of them.
    A table does not change; a reload makes another one.
    """

    @property
    def version(self) -> str:
        """Names the content: tables of equal version have equal rates."""

    @property
    def size(self) -> int:
        """The number of rates, those that are not yet or no longer in force included."""

    def find(self, number: str, wall_ms: int) -> Rate | None:
        """Return the rate in force at ``wall_ms`` (UTC) whose prefix is the longest that fits ``number``, or None.

        ``number`` has no leading plus sign. A longer prefix whose rates are not in force at that moment does not hide a
        shorter one whose rate is.
        """

    def has(self, prefix: str) -> bool:
        """Return whether a rate of exactly this prefix exists, in force or not; ``*`` fits every number."""

    def prefixes(self, first: str = "", /) -> Iterator[str]:
        """Yield every prefix that has a rate, each once and in order, from ``first`` on; ``*`` fits every number."""


class Rates(Protocol):
    """Prices of calls of an account or gateway: a rate group, or a choice between several."""

    @property
    def name(self) -> str:
        """Return what messages call it."""

    @property
    def depends_on_caller(self) -> bool:
        """Return whether the rate of a number is another one for some callers."""

    def tables_at(self, wall_ms: int) -> tuple[RateTable, ...]:
        """Return the tables in which numbers are looked up at ``wall_ms`` (UTC): no period that is not in force."""

    def find(self, number: str, wall_ms: int, caller: str = "", forward_prefix: str = "", /) -> AppliedRate | None:
        """Return the rate of a call from ``caller`` to ``number`` that arrives at ``wall_ms`` (UTC); None = none fits.

        Either number may have a leading plus sign. ``forward_prefix`` are the digits at the beginning of ``number``
        that are part of its price alone (ADR 79); empty = the call is not forwarded.
        """


class WorkTime(Protocol):
    """The judgement of a calendar about a moment."""

    @property
    def tier(self) -> int:
        """Return how closely the calendar fits: 1 = by a date, 2 = dates, 3 = week days, 4 = hours, 5 = by no entry."""

    @property
    def is_working(self) -> bool:
        """Return whether it is working time."""

    @property
    def is_listed(self) -> bool:
        """Return whether an entry decides, or a holiday."""


class WorkCalendar(Protocol):
    """A calendar of working time."""

    def standing(self, wall_ms: int) -> WorkTime:
        """Return what it says of a moment (UTC milliseconds)."""
