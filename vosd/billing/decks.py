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
from vosd.billing.deck_changes import DeckChangeKind, DeckChanges, kind_of
from vosd.billing.deck_moments import RateChanges
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
    shorter = _Shorter()
    filled = _Filled(changes.header, absent if mode is Mode.DELTA else ())
    for prefix, before, after in _by_prefix(old, new):
        if before:
            changes.prefixes_before += 1
        if before == after:
            changes.counts[DeckChangeKind.UNCHANGED] += 1
            lines = after
        elif not before and len(after) == 1 and (only := cut(after[0])).closed != REMOVED_WORD:
            only_to_come = None if only.ends and only.ends <= now else only
            changes.note(kind_of(None, only_to_come), prefix, None, only_to_come, _later(only.begins, now))
            lines = after
        elif after:
            rows_before, rows_after = [*map(cut, before)], [*map(cut, after)]
            rows_after = filled.rows(rows_after, rows_before)
            rows = _with(rows_before, rows_after, now)
            _note_changed(changes, shorter, rows_before, rows_after, rows, now=now)
            lines = [row.line for row in rows]
        elif mode is Mode.DELTA:
            changes.counts[DeckChangeKind.UNCHANGED] += 1
            lines = before
        else:
            rows_before = [*map(cut, before)]
            rows = _until(rows_before, effective, now)
            if rows == rows_before:  # its rates end before the file begins
                changes.counts[DeckChangeKind.UNCHANGED] += 1
            else:
                _note_taken_out(changes, shorter, prefix, RateChanges(rows_before, rows, now), max(now, effective))
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


def _note_changed(
    changes: DeckChanges,
    shorter: _Shorter,
    before: Sequence[DeckRow],
    file: Sequence[DeckRow],
    after: Sequence[DeckRow],
    *,
    now: str,
) -> None:
    """Count a prefix that the file has, by its rates before the import, in the file and after the import."""
    prefix, compared = file[0].prefix, RateChanges(before, after, now)
    if file[-1].closed == REMOVED_WORD or compared.is_out:
        if before:
            _note_taken_out(changes, shorter, prefix, compared, max(now, file[-1].begins))
        return
    _note_short(changes, compared)
    _note_early(changes, file, after, now)
    main = compared.main()
    if main is None:
        changes.counts[DeckChangeKind.UNCHANGED] += 1
    elif main.after is None:
        changes.note_taken_out(prefix, main.before, shorter.of(prefix, main.begins), _later(main.begins, compared.now))
    else:
        begins, planned = _later(main.begins, compared.now), compared.planned(main)
        changes.note(main.kind, prefix, main.before, main.after, begins, planned)


def _note_taken_out(changes: DeckChanges, shorter: _Shorter, prefix: str, compared: RateChanges, moment: str) -> None:
    """Count a prefix that an import takes out at a moment, by the rate that would have held then."""
    _note_short(changes, compared)
    before = compared.before_at(moment)
    begins = moment if before is None else max(moment, before.begins)
    changes.note_taken_out(prefix, before, shorter.of(prefix, begins), _later(begins, compared.now))


def _note_short(changes: DeckChanges, compared: RateChanges) -> None:
    rise = compared.first_rise(changes.notice_until) if changes.notice_until else None
    if rise is not None:
        assert rise.after is not None, "an increase has a price"
        changes.note_short(rise.after.prefix, rise.before, rise.after, _later(rise.begins, compared.now))


def _note_early(changes: DeckChanges, file: Sequence[DeckRow], rows: Sequence[DeckRow], now: str) -> None:
    """Count a prefix whose rate begins sooner than the file says: the deck has it from an earlier time to come."""
    begins = {row.begins for row in rows}
    for wanted in file:
        if wanted.begins not in begins:
            earlier = next((row for row in reversed(rows) if row.begins < wanted.begins), None)
            if earlier is not None and earlier.begins > now and earlier.terms == wanted.terms:
                changes.note_early(earlier)
                return


def _joined(kept: list[DeckRow], rows: list[DeckRow]) -> list[DeckRow]:
    """Return both, as one row where the first of ``rows`` only goes on with the terms of the last one before it."""
    if kept and kept[-1].ends == rows[0].begins and kept[-1].terms == rows[0].terms:
        kept[-1] = kept[-1]._replace(ends=rows[0].ends)
        rows = rows[1:]
    return kept + rows
