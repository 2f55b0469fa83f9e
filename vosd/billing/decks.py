"""Decks of rates as lines of text: sorted by prefix and begin, compared, merged, looked up.

A deck is a header and one line for each rate (``deck_rows``). Knows nothing of files, databases and what the columns
behind the first ones mean.
"""

import csv
from collections.abc import Collection, Iterable, Iterator, Sequence
from enum import Enum
from io import StringIO
from itertools import groupby

from vosd.base.prefixes import ANY
from vosd.billing.deck_changes import DeckChangeKind, DeckChanges
from vosd.billing.deck_rows import COLUMNS_AHEAD, REMOVED_WORD, DeckRow, cut


class Mode(Enum):
    """Treatment of the prefixes by an import that its file does not have; the value is stored."""

    FULL = "full"
    """They are taken out, closed ones too: the file is the whole deck. Their numbers have the rate of a shorter one."""
    DELTA = "delta"
    """They stay as they are."""


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


class _Filled:
    """Rows of a partial file with the values that their prefix has in the columns that the file does not have."""

    def __init__(self, header: str, names: Collection[str]) -> None:
        self._names = names
        columns = header.split(",")[len(COLUMNS_AHEAD) :]
        self._absent = [name in names for name in columns]

    def rows(self, rows: list[DeckRow], before: Sequence[DeckRow]) -> list[DeckRow]:
        """Return rows of the file, each with the values of the one that it follows."""
        return [self._row(row, before) for row in rows] if self._names and before else rows

    def _row(self, row: DeckRow, before: Sequence[DeckRow]) -> DeckRow:
        earlier = next((each for each in reversed(before) if each.begins <= row.begins), before[0])
        if row.others == earlier.others:
            return row
        cells = zip(self._absent, *csv.reader([row.others, earlier.others], strict=True), strict=True)
        return row._replace(others=_joined_cells([theirs if absent else own for absent, own, theirs in cells]))


def _joined_cells(cells: Sequence[str]) -> str:
    text = StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue()


def merged(
    old: Iterable[str],
    new: Iterable[str],
    mode: Mode,
    changes: DeckChanges,
    *,
    now: str,
    effective: str = "",
    absent: Collection[str] = (),
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
        absent: columns behind ``COLUMNS_AHEAD`` that the file does not have: in a partial one they keep their values.
    """
    shorter, moment = _Shorter(), max(now, effective)
    filled = _Filled(changes.header, absent if mode is Mode.DELTA else ())
    for prefix, before, after in _by_prefix(old, new):
        if before:
            changes.prefixes_before += 1
        if before == after:
            changes.counts[DeckChangeKind.UNCHANGED] += 1
            lines = after
        elif not before and len(after) == 1 and (only := cut(after[0])).closed != REMOVED_WORD:
            changes.note(prefix, None, _last([only], now), _later(only.begins, now))
            lines = after
        elif after:
            rows_before, rows_after = [*map(cut, before)], [*map(cut, after)]
            begins, last_before = rows_after[-1].begins, _last(rows_before, now)
            rows_after = filled.rows(rows_after, rows_before)
            rows = _with(rows_before, rows_after, now)
            last = None if rows_after[-1].closed == REMOVED_WORD else _last(rows, now)
            if last is not None:
                changes.note(prefix, last_before, last, _later(begins, now))
            elif before:
                fallback = shorter.of(prefix, max(now, begins))
                changes.note_taken_out(prefix, last_before, fallback, _later(begins, now))
            lines = [row.line for row in rows]
        elif mode is Mode.DELTA:
            changes.counts[DeckChangeKind.UNCHANGED] += 1
            lines = before
        else:
            rows_before = [*map(cut, before)]
            rows = _until(rows_before, effective, now)
            if rows == rows_before:  # its rates end before the file begins
                changes.note(prefix, rows[-1], rows[-1], None)
            else:
                fallback = shorter.of(prefix, moment)
                changes.note_taken_out(prefix, _last(rows_before, now), fallback, _later(effective, now))
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


def _with(before: list[DeckRow], after: Sequence[DeckRow], now: str) -> list[DeckRow]:
    """Return the rows of a prefix after an import: those of the file, and before them what is left of the others."""
    kept = _until(before, after[0].begins, now)
    if REMOVED_WORD not in [row.closed for row in after]:
        return _joined(kept, [*after])
    for row in after:
        kept = _until(kept, row.begins, now) if row.closed == REMOVED_WORD else _joined(kept, [row])
    return kept


def _last(rows: Sequence[DeckRow], now: str) -> DeckRow | None:
    """Return the row that comes into force last of those that have not ended; None = all have."""
    return next((row for row in reversed(rows) if not row.ends or row.ends > now), None)


def _joined(kept: list[DeckRow], rows: list[DeckRow]) -> list[DeckRow]:
    """Return both, as one row where the first of ``rows`` only goes on with the terms of the last one before it."""
    if kept and kept[-1].ends == rows[0].begins and kept[-1].terms == rows[0].terms:
        kept[-1] = kept[-1]._replace(ends=rows[0].ends)
        rows = rows[1:]
    return kept + rows
