"""The routes of a plan as CSV: UTF-8, a header with the names of the columns, one route a line."""

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import Final, NamedTuple

from vosd.catalogue.problems import ProblemList, SourceLine, suggestion
from vosd.config.keys.routing_plans import RouteKeys
from vosd.config.reader.includes import read_text
from vosd.config.reader.reading import Spot, Trail, validate

ROUTE_FILE_BYTES_MAX: Final = 64 * 1024 * 1024
_DELIMITERS: Final = ",;\t"
_REQUIRED: Final = ("prefix", "gateway")
_BAD_ROWS_SHOWN: Final = 100
"""Lines with mistakes that are named one by one; the rest is counted."""


class PlacedRow(NamedTuple):
    """A route, and where it is written."""

    keys: RouteKeys
    place: SourceLine


class _Line(NamedTuple):
    """One line of the file as read; empty cells count as left out."""

    place: SourceLine
    values: Mapping[str, str]
    key: str

    def spot(self, trail: Trail) -> Spot:
        """Return the cell at the end of a trail."""
        name = str(trail[0]) if trail else ""
        return Spot(self.place, f"{self.key}.{name}" if name else self.key, self.values.get(name))


def read_route_file(path: Path, named_at: SourceLine, key: str, problems: ProblemList) -> Iterator[PlacedRow]:
    """Yield the routes of a file; lines that are none are reported."""
    text = read_text(path, named_at, key, problems, ROUTE_FILE_BYTES_MAX)
    if text is None:
        return
    shares: defaultdict[tuple[str, int | None], list[RouteKeys]] = defaultdict(list)
    bad = 0
    for line in _lines(text, path, key, problems):
        found = problems if bad < _BAD_ROWS_SHOWN else ProblemList()
        row = validate(RouteKeys, line, found)
        if row is None:
            bad += 1
            continue
        if row.percent:
            group = shares[row.prefix, row.priority]
            group.append(row)
            if _most_percent(group) > 100:
                place, name, percent = line.spot(("percent",))
                problems.error(place, name, "at most 100 in all for one prefix and priority", percent)
                group.clear()
        yield PlacedRow(row, line.place)
    if bad > _BAD_ROWS_SHOWN:
        problems.error(named_at, key, f"routes without mistakes; {bad - _BAD_ROWS_SHOWN} more lines have some")


def _most_percent(rows: list[RouteKeys]) -> int:
    """Return the most that some lines have of a hundred together at any moment; the last line has just come."""
    latest = rows[-1]
    moments = {
        latest.valid_from or 0,
        *(each.valid_from or 0 for each in rows if _is_valid(latest, each.valid_from or 0)),
    }
    return max(sum(each.percent or 0 for each in rows if _is_valid(each, moment)) for moment in moments)


def _is_valid(row: RouteKeys, wall_ms: int) -> bool:
    return (row.valid_from or 0) <= wall_ms and (row.valid_to is None or wall_ms < row.valid_to)


def _lines(text: str, path: Path, key: str, problems: ProblemList) -> Iterator[_Line]:
    header_line = text.partition("\n")[0]
    reader = csv.reader(StringIO(text, newline=""), delimiter=max(_DELIMITERS, key=header_line.count), strict=True)
    try:
        header = [cell.strip().lower() for cell in next(reader, [])]
        if not _is_sound(header, SourceLine(str(path), 1), key, problems):
            return
        for cells in reader:
            place = SourceLine(str(path), reader.line_num)
            if not any(map(str.strip, cells)):
                continue
            if len(cells) != len(header):
                problems.error(place, key, f"{len(header)} columns as in the header, not {len(cells)}")
                continue
            values = {name: cell.strip() for name, cell in zip(header, cells, strict=True) if cell.strip()}
            yield _Line(place, values, key)
    except csv.Error as error:
        problems.error(SourceLine(str(path), reader.line_num), key, f"valid CSV: {error}")


def _is_sound(header: list[str], place: SourceLine, key: str, problems: ProblemList) -> bool:
    known = RouteKeys.by_key()
    before = len(problems)
    for name in header:
        if name in RouteKeys.not_built:
            problems.error(place, key, f"no column {name!r}: it is not built yet")
        elif name not in known:
            # A file without a single known column is no table of routes, but perhaps one with a password.
            shown = name if known.keys() & set(header) else None
            problems.error(place, key, f"a known column; {suggestion(name, known)}", shown)
        elif header.count(name) > 1:
            problems.error(place, key, "each column once", name)
    for name in _REQUIRED:
        if len(problems) == before and name not in header:
            problems.error(place, key, f"a header line with a column {name}")
    return len(problems) == before
