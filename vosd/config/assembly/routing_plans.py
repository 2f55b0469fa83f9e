"""Routing plans: from keys to the definitions of the catalogue, with the routes of their CSV files."""

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import Final, NamedTuple

from vosd.catalogue.problems import ProblemList, SourceLine, suggestion
from vosd.catalogue.source import Definition, row_key
from vosd.config.assembly.conversion import by_name, full_conversion
from vosd.config.assembly.inventory import Written
from vosd.config.keys.routing import RoutingKeys
from vosd.config.keys.routing_plans import BlendKeys, Calendars, QualityKeys, RouteKeys, RoutingPlanKeys
from vosd.config.reader.document import Scalar, Section
from vosd.config.reader.includes import read_text
from vosd.config.reader.reading import Spot, Trail, validate
from vosd.routing.plan import RouteRow, RoutingPlan
from vosd.routing.quality_order import Blend, QualityTerms

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


_PLAN: Final = full_conversion(
    RoutingPlanKeys,
    RoutingPlan,
    by_hand={
        **by_name("loss_guard gateways quality blend calendar_strict"),
        "routes_file": "routes",
        "search_seconds": "search_ms",
        "calendars": "ignores_calendars",
    },
)
_QUALITY: Final = full_conversion(QualityKeys, QualityTerms)
_BLEND: Final = full_conversion(BlendKeys, Blend)
_ROW: Final = full_conversion(RouteKeys, RouteRow)


class _PlacesOfRows(NamedTuple):
    """Places of a plan and of the lines of its file."""

    section: Section
    rows: Mapping[str, SourceLine]

    @property
    def place(self) -> SourceLine:
        """The plan as a whole."""
        return self.section.place

    def place_of(self, key: str) -> SourceLine:
        """Return the place of a key, or of the line of the file that a key of a row is in."""
        row, _, _ = key.partition(".")
        return self.rows.get(row) or self.section.place_of(key)


def routing_plan(
    written: Written[RoutingPlanKeys], defaults: RoutingKeys, problems: ProblemList
) -> Definition[RoutingPlan]:
    """Return the definition of a plan; ``defaults`` hold where it says nothing."""
    keys, before = written.thing, len(problems)
    rows = _rows(written, problems)
    if keys.routes_file is not None and not rows and len(problems) == before:
        expected = "a file with at least one route: it has none, and every call with this plan is refused"
        problems.warning(written.section.place_of("routes_file"), f"{written.label}.routes_file", expected)
    plan = _PLAN(
        keys,
        loss_guard=keys.loss_guard or defaults.loss_guard,
        quality=_QUALITY(keys.quality),
        blend=_BLEND(keys.blend),
        calendar_strict=defaults.calendar_strict if keys.calendar_strict is None else keys.calendar_strict,
        ignores_calendars=keys.calendars is Calendars.IGNORE,
        gateways=frozenset(keys.gateways) if keys.gateways else None,
        routes=None if keys.routes_file is None else tuple(_ROW(row.keys) for row in rows),
        search_ms=keys.search_seconds,
    )
    origin = _PlacesOfRows(written.section, {row_key(index): row.place for index, row in enumerate(rows)})
    return Definition(plan, written.label, origin)


def _rows(written: Written[RoutingPlanKeys], problems: ProblemList) -> tuple[PlacedRow, ...]:
    entry = written.section.entries.get("routes_file")
    if entry is None or not isinstance(entry.node, Scalar):
        return ()
    path = Path(entry.node.place.file).parent / entry.node.text
    return tuple(read_route_file(path, entry.place, f"{written.label}.routes_file", problems))
