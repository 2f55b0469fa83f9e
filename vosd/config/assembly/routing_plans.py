"""Routing plans: from keys to the definitions of the catalogue, their files of routes read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from vosd.catalogue.problems import ProblemList, SourceLine
from vosd.catalogue.source import Definition, row_key
from vosd.config.assembly.conversion import by_name, full_conversion
from vosd.config.assembly.inventory import Written
from vosd.config.assembly.route_files import PlacedRow, read_route_file
from vosd.config.keys.routing import RoutingKeys
from vosd.config.keys.routing_plans import BlendKeys, Calendars, QualityKeys, RouteKeys, RoutingPlanKeys
from vosd.config.reader.document import Scalar, Section
from vosd.routing.plan import RouteRow, RoutingPlan
from vosd.routing.quality_order import Blend, QualityTerms

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
