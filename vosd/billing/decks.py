"""Decks of rates as lines of text: sorted by prefix and begin, compared, merged, looked up.

A deck is a header and one line for each rate, in the form of a rate file. The columns before ``COLUMNS_AHEAD`` ends
have no quotes, so a line is cut at their commas; the comma sorts before every digit, so lines in the order of text are
in the order of prefixes, and the rates of one prefix in the order in which they come into force. Times are ISO 8601 UTC
with milliseconds and ``Z``; empty = no limit. Knows nothing of files, databases and what the other columns mean.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from itertools import groupby
from typing import Final, NamedTuple

import msgspec

from vosd.base.prefixes import ANY

PREFIX: Final = "prefix"
BEGINS: Final = "effective_from"
ENDS: Final = "effective_to"
CLOSED: Final = "locked"
PRICE: Final = "billing_rate"
COLUMNS_AHEAD: Final = (PREFIX, BEGINS, ENDS, CLOSED, PRICE)
"""The first columns of each line."""
CLOSED_WORD: Final = "yes"
"""Marks a closed prefix: calls to it are refused, whatever a shorter prefix says."""
EXAMPLES_MAX: Final = 100
"""Prefixes of each kind of change that are named."""


class Mode(Enum):
    """What an import does with the prefixes that its file does not have; the value is stored."""

    FULL = "full"
    """They are taken out, closed ones too: the file is the whole deck. Their numbers have the rate of a shorter one."""
    DELTA = "delta"
    """They stay as they are."""


class Kind(Enum):
    """How an import changes a prefix: by the rate that holds last, before and after it."""

    NEW = "new"
    UP = "up"
    DOWN = "down"
    CHANGED = "changed"
    """The price is the same and another column is not."""
    UNCHANGED = "unchanged"
    CLOSED = "closed"
    """It has no rate any more, or is marked as closed."""
    OPENED = "opened"
    """It was marked as closed and is not any more: it has a rate, or its numbers have that of a shorter prefix."""


class DeckRow(NamedTuple):
    """One line, cut."""

    prefix: str
    begins: str
    ends: str
    closed: str
    price: str
    others: str
    """The other columns as one text."""

    @property
    def terms(self) -> tuple[str, str, str]:
        """What a call costs by it, apart from when it is in force."""
        return self.closed, self.price, self.others

    @property
    def line(self) -> str:
        """The line."""
        return ",".join(self)

    def holds_at(self, moment: str) -> bool:
        """Return whether it is in force at a time."""
        return self.begins <= moment and (not self.ends or moment < self.ends)


class Fallback(msgspec.Struct, frozen=True):
    """The shorter prefix whose rate the numbers of a prefix have that is taken out."""

    prefix: str
    price: str | None
    """None = it is closed."""


class Example(msgspec.Struct, frozen=True):
    """A prefix that an import changes, with its price before and after; None = none, or closed."""

    prefix: str
    before: str | None
    after: str | None
    taken_out: bool = False
    """Whether it is not in the deck any more."""
    fallback: Fallback | None = None
    """What its numbers have then, where it is taken out; None = no rate."""
    others: Mapping[str, tuple[str, str]] = {}
    """The other columns that change, each before and after; empty = the default."""
    begins: str | None = None
    """From when the change holds, ISO 8601 UTC; None = at once."""


@dataclass(slots=True)
class Changes:
    """What an import changes, counted by prefixes."""

    header: str = ""
    """Names of the columns; those behind ``COLUMNS_AHEAD`` are compared by them."""
    counts: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(Kind, 0))
    examples: dict[Kind, list[Example]] = field(
        default_factory=lambda: {kind: [] for kind in Kind if kind is not Kind.UNCHANGED}
    )
    rows: int = 0
    """Rates of the new deck."""
    prefixes_before: int = 0
    """Prefixes of the old deck."""
    lost: int = 0
    """Of these, how many had a price and are closed."""
    fallen: int = 0
    """Prefixes that are taken out and whose numbers have the rate of a shorter one then."""
    unrated: int = 0
    """Prefixes that are taken out and whose numbers have no rate then."""

    def note(self, prefix: str, before: DeckRow | None, after: DeckRow, begins: str | None) -> None:
        """Count a prefix of the new deck, by the last rates that it had and will have, the latter from ``begins``."""
        self._count(_kind(before, after), prefix, before, after, begins)

    def note_taken_out(self, prefix: str, before: DeckRow | None, shorter: DeckRow | None, begins: str | None) -> None:
        """Count a prefix that the new deck does not have from ``begins`` on; its numbers have the rate ``shorter``."""
        kind = _kind(before, None)
        if before is not None:
            if shorter is None:
                self.unrated += 1
            elif not shorter.closed:
                self.fallen += 1
        fallback = None if shorter is None else Fallback(shorter.prefix, _shown(shorter))
        self._count(kind, prefix, before, None, begins, fallback)

    def _count(
        self,
        kind: Kind,
        prefix: str,
        before: DeckRow | None,
        after: DeckRow | None,
        begins: str | None,
        fallback: Fallback | None = None,
    ) -> None:
        self.counts[kind] += 1
        if kind is Kind.CLOSED and before is not None:
            self.lost += 1
        named = self.examples.get(kind)
        if named is not None and len(named) < EXAMPLES_MAX:
            others = _others_that_differ(self.header, before, after)
            named.append(Example(prefix, _shown(before), _shown(after), after is None, fallback, others, begins))


class _Shorter:
    """Finds the rate of a shorter prefix while a deck is made in order: shorter prefixes come first."""

    def __init__(self) -> None:
        self._by_length: dict[int, Sequence[str]] = {}

    def note(self, prefix: str, lines: Sequence[str]) -> None:
        """Remember the lines of a prefix of the new deck."""
        self._by_length[0 if prefix == ANY else len(prefix)] = lines

    def of(self, prefix: str, moment: str) -> DeckRow | None:
        """Return the row that is in force at ``moment`` of the longest prefix shorter than this one that has one."""
        for length in range(len(prefix) - 1, -1, -1):
            lines = self._by_length.get(length, ())
            if lines and (not length or _prefix_of(lines[0]) == prefix[:length]):
                for line in reversed(lines):
                    row = cut(line)
                    if row.holds_at(moment):
                        return row
        return None


def cut(line: str) -> DeckRow:
    """Return the row of a line."""
    return DeckRow(*line.split(",", len(COLUMNS_AHEAD)))


def merged(
    old: Iterable[str], new: Iterable[str], mode: Mode, changes: Changes, *, now: str, effective: str = ""
) -> Iterator[str]:
    """Yield the lines of a deck after an import, and count in ``changes`` what it changes.

    Rates that end where another one begins keep their line in the deck until that moment, so that calls are rated by
    them until then. Rates of ``old`` that have ended by ``now`` are left out.

    Args:
        old: the lines of the present deck, sorted.
        new: those of the file, sorted; each pair of prefix and begin once.
        mode: what becomes of the prefixes that ``new`` does not have.
        changes: is filled while the lines are read.
        now: the moment of the import.
        effective: when prefixes end that are no longer there; empty = at once.
    """
    shorter, moment = _Shorter(), max(now, effective)
    for prefix, before, after in _by_prefix(old, new):
        if before:
            changes.prefixes_before += 1
        if before == after:
            changes.counts[Kind.UNCHANGED] += 1
            lines = after
        elif not before:
            last = cut(after[-1])
            changes.note(prefix, None, last, _later(last.begins, now))
            lines = after
        elif after:
            rows_before, rows_after = [*map(cut, before)], [*map(cut, after)]
            rows = _joined(_until(rows_before, rows_after[0].begins, now), rows_after)
            changes.note(prefix, _lasting(rows_before[-1], now), rows[-1], _later(rows_after[-1].begins, now))
            lines = [row.line for row in rows]
        elif mode is Mode.DELTA:
            changes.counts[Kind.UNCHANGED] += 1
            lines = before
        else:
            rows_before = [*map(cut, before)]
            rows = _until(rows_before, effective, now)
            if rows == rows_before:  # its rates end before the file begins
                changes.note(prefix, _lasting(rows_before[-1], now), rows[-1], None)
            else:
                fallback = shorter.of(prefix, moment)
                changes.note_taken_out(prefix, _lasting(rows_before[-1], now), fallback, _later(effective, now))
            lines = [row.line for row in rows]
        if lines:
            shorter.note(prefix, lines)
        changes.rows += len(lines)
        yield from lines


def find(lines: Iterable[str], number: str, moment: str) -> Sequence[DeckRow]:
    """Return the rows in force at ``moment`` of the prefixes that fit a number, the longest first.

    The first one is the rate of the number; of several of one prefix only the one that came into force last counts.
    """
    fitting = prefixes_of(number)
    best: dict[str, DeckRow] = {}
    for line in lines:
        if line.partition(",")[0] in fitting:
            row = cut(line)
            if row.holds_at(moment):
                best[row.prefix] = row
    return sorted(best.values(), key=lambda row: 0 if row.prefix == ANY else len(row.prefix), reverse=True)


def prefixes_of(number: str) -> frozenset[str]:
    """Return every prefix that fits a number."""
    return frozenset((ANY, *(number[:length] for length in range(1, len(number) + 1))))


def _by_prefix(old: Iterable[str], new: Iterable[str]) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield each prefix with its lines in both."""
    before, after = _grouped(old), _grouped(new)
    one, other = next(before, None), next(after, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one[0] < other[0]):
            assert one is not None
            yield *one, []
            one = next(before, None)
        elif one is None or other[0] < one[0]:
            yield other[0], [], other[1]
            other = next(after, None)
        else:
            yield *one, other[1]
            one, other = next(before, None), next(after, None)


def _grouped(lines: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield each prefix with its lines."""
    for prefix, found in groupby(lines, _prefix_of):
        yield prefix, [*found]


def _prefix_of(line: str) -> str:
    return line[: line.index(",")]


def _until(rows: Sequence[DeckRow], end: str, now: str) -> list[DeckRow]:
    """Return what is left of rows that end at ``end``; nothing where that is empty, for then they are replaced."""
    kept = []
    for row in rows:
        if row.begins < end:
            ends = end if not row.ends or row.ends > end else row.ends
            if ends > now:
                kept.append(row._replace(ends=ends))
    return kept


def _later(moment: str, now: str) -> str | None:
    """Return a time to come; None for one that has passed."""
    return moment if moment > now else None


def _lasting(row: DeckRow, now: str) -> DeckRow | None:
    """Return a row unless it has ended."""
    return None if row.ends and row.ends <= now else row


def _joined(kept: list[DeckRow], rows: list[DeckRow]) -> list[DeckRow]:
    """Return both, as one row where the first of ``rows`` only goes on with the terms of the last one before it."""
    if kept and kept[-1].ends == rows[0].begins and kept[-1].terms == rows[0].terms:
        kept[-1] = kept[-1]._replace(ends=rows[0].ends)
        rows = rows[1:]
    return kept + rows


def _kind(before: DeckRow | None, after: DeckRow | None) -> Kind:
    price_before = None if before is None or before.closed else before.price
    price_after = None if after is None or after.closed else after.price
    if before is not None and before.closed:
        return Kind.UNCHANGED if after is not None and after.closed else Kind.OPENED
    if price_before is None and price_after is None:
        return Kind.UNCHANGED if after is None else Kind.CLOSED
    if price_before is None:
        return Kind.NEW
    if price_after is None:
        return Kind.CLOSED
    if price_before != price_after:
        amount_before, amount_after = Decimal(price_before), Decimal(price_after)
        if amount_before != amount_after:
            return Kind.UP if amount_before < amount_after else Kind.DOWN
    assert before is not None
    assert after is not None
    return Kind.UNCHANGED if before.others == after.others else Kind.CHANGED


def _shown(row: DeckRow | None) -> str | None:
    return None if row is None or row.closed else row.price


def _others_that_differ(header: str, before: DeckRow | None, after: DeckRow | None) -> dict[str, tuple[str, str]]:
    """Return the columns behind ``COLUMNS_AHEAD`` that are not the same, each with its text before and after."""
    if before is None or after is None or before.others == after.others or after.closed:
        return {}
    names = header.split(",")[len(COLUMNS_AHEAD) :]
    cells = zip(names, *csv.reader([before.others, after.others], strict=True), strict=False)
    return {name: (was, becomes) for name, was, becomes in cells if was != becomes}


def counts_by_name(changes: Changes) -> Mapping[str, int]:
    """Return the number of prefixes of each kind of change."""
    return {kind.value: count for kind, count in changes.counts.items()}
