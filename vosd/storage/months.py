"""Partitions by month: their names, their bounds, which are missing and which may be dropped (ADR 72).

A call lies in the month of its id, which is when its INVITE came, in UTC. Computes only; ``partitions`` asks the
database.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

KEPT: Final = "p_kept"
"""Partition of the ledger's entries that are not of calls; their references stay unique for ever."""
LATER: Final = "p_later"
"""Partition behind the last month: no row is refused because its month is missing."""
AHEAD: Final = 6
"""Months that are made in advance."""

_MONTHLY: Final = re.compile(r"p(\d{4})_(\d\d)\Z")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


class PartitionMonth(NamedTuple):
    """A calendar month in UTC."""

    year: int
    number: int
    """1 to 12."""

    @property
    def partition(self) -> str:
        """The name of its partition."""
        return f"p{self.year}_{self.number:02}"

    @property
    def until(self) -> int:
        """The beginning of the next month, UTC milliseconds."""
        following = self.after(1)
        return (datetime(following.year, following.number, 1, tzinfo=UTC) - _EPOCH) // _MILLISECOND

    @property
    def period_until(self) -> int:
        """The first value of ``ledger_entry.period`` behind this month; of December 2026 it is 2701."""
        following = self.after(1)
        return following.year % 100 * 100 + following.number

    @property
    def key_until(self) -> str:
        """The first digits, in hexadecimal, of the smallest call id behind this month."""
        return f"{self.until:012x}"

    def after(self, months: int) -> "PartitionMonth":
        """Return the month so many months later."""
        years, rest = divmod(self.number - 1 + months, 12)
        return PartitionMonth(self.year + years, rest + 1)


class Partition(NamedTuple):
    """A partition of a table."""

    name: str
    until: int | None
    """Time before which its calls began, UTC milliseconds; None = it is no month (``KEPT``, ``LATER``)."""


def month_of(moment: int) -> PartitionMonth:
    """Return the month of a time, UTC milliseconds."""
    then = _EPOCH + moment * _MILLISECOND
    return PartitionMonth(then.year, then.month)


def month_named(partition: str) -> PartitionMonth | None:
    """Return the month of a partition, None for one that is no month."""
    found = _MONTHLY.match(partition)
    return None if found is None else PartitionMonth(int(found[1]), int(found[2]))


def from_now(now: int, ahead: int = AHEAD) -> list[PartitionMonth]:
    """Return the month of a time, UTC milliseconds, and so many months after it."""
    return [month_of(now).after(months) for months in range(ahead + 1)]


def missing(names: Iterable[str], now: int, ahead: int = AHEAD) -> list[PartitionMonth]:
    """Return the months up to so many months ahead that are behind all those of a table.

    A month between or before others cannot be added: its rows are in the one after it.
    """
    last = max((month for month in map(month_named, names) if month is not None), default=None)
    return [month for month in from_now(now, ahead) if last is None or month > last]


def to_drop(partitions: Sequence[Partition], before: int) -> list[str]:
    """Return the names of the months that end at or before a time, UTC milliseconds, the earliest first."""
    return [each.name for each in partitions if each.until is not None and each.until <= before]
