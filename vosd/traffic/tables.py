"""A report as a table: sums of spans to rows of figures, sorted, with totals."""

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from vosd.base.money import ZERO
from vosd.traffic.counted import TrafficKind
from vosd.traffic.reports import FIGURES, FigureKind, Report, Sums, median_and_95
from vosd.traffic.spans import ReportSpan

CURRENCIES: Final = ("currency", "vendor_currency", "income_currency")
_INCOME: Final = "income_currency"
_PAID_IN: Final = {
    "fee": "currency", "tax": "currency", "minimum": "currency", "corrections": "currency",
    "cost": "vendor_currency", "cost_tax": "vendor_currency",
    "income": "income_currency", "loss": "income_currency",
}  # fmt: skip
_WAITED: Final = frozenset({"pdd_median", "pdd_95"})
PEAKS: Final = frozenset({"peak_concurrent", "peak_cps"})
"""Figures that are most calls, by quarters of an hour."""
_SEARCHED: Final = ("currency", "vendor_currency")
"""Currencies that records of calls have; that of the income is of a charge."""
_NO_PEAK: Final = (None, None)
Peak = tuple[int | None, int | None]
"""Most calls at a time, and within a second; None = not known."""
_MAYBE_OF_TWO: Final = {"profit": "vendor_currency", "margin": "vendor_currency", "agent_profit": "currency"}
"""Figures that are made of two amounts, by the currency of the one that is taken away."""


class Line(NamedTuple):
    """Sums of the calls of a span that have something in common."""

    span: int
    by: tuple[str | int, ...]
    currencies: tuple[str, ...]
    """As ``ReportLayout.currencies`` names them; empty = the calls have none."""
    sums: Mapping[str, Any]
    merged: frozenset[tuple[str, ...]] = frozenset()
    """Currencies of its calls with a CDR, of which some may have none, as ``ReportLayout.searched`` names them."""


class ReportSource(NamedTuple):
    """Sums that a report reads: of one kind, by what calls have in common."""

    kind: TrafficKind
    by: tuple[str, ...]
    has_currencies: bool
    measures: Mapping[str, str]
    """Names of measures by the names that the report gives them."""


class ReportLayout(NamedTuple):
    """The columns of a report for one reader."""

    by: tuple[str, ...]
    currencies: tuple[str, ...]
    figures: tuple[str, ...]

    @property
    def searched(self) -> tuple[str, ...]:
        """The currencies, and that of the customer behind them: it is searched, that of the income is not."""
        is_hidden = bool(self.currencies) and "currency" not in self.currencies
        return (*self.currencies, "currency") if is_hidden else self.currencies

    @property
    def needs(self) -> tuple[str, ...]:
        """The sums that its figures are made of."""
        return tuple(dict.fromkeys(name for figure in self.figures for name in FIGURES[figure].needs))

    def line(self, source: ReportSource, span: int, values: Sequence[str | int], sums: Sequence[Any]) -> Line:
        """Return the line of a row that was read from a source, by its values and its sums."""
        width = len(self.by)
        paid_in = tuple(map(str, values[width:])) if source.has_currencies else ("",) * len(self.searched)
        # most sums of most rows are zero: without these, a report of 30,000 rows takes 50 MB less
        measured = {name: value for name, value in zip(source.measures, sums, strict=True) if value}
        return Line(span, tuple(values[:width]), paid_in[: len(self.currencies)], measured, frozenset({paid_in}))

    def sources(self, report: Report) -> list[ReportSource]:
        """Return what is read; the first is of the calls themselves, which always count the answered ones, too."""
        elsewhere = {name for part in report.parts for name in part.names} | {*report.beside}
        own = {name: name for name in ("calls", "answered", *self.needs) if name not in elsewhere}
        sources = []
        for part in report.parts:
            if not part.names:
                by = (*self.by, *self.searched)
                sources.append(ReportSource(part.kind, by, has_currencies=True, measures=own))
            elif not part.names.keys().isdisjoint(self.needs):
                sources.append(ReportSource(part.kind, self.by, has_currencies=False, measures=part.names))
        return sources

    @property
    def has_peaks(self) -> bool:
        """Whether it shows peaks."""
        return not PEAKS.isdisjoint(self.figures)

    @property
    def has_waits(self) -> bool:
        """Whether it shows how waits are distributed."""
        return not _WAITED.isdisjoint(self.figures)


class ReportRow(NamedTuple):
    """A row of a report; None = the figure has no meaning."""

    span: str
    by: tuple[str | int, ...]
    currencies: tuple[str, ...]
    figures: tuple[Any, ...]
    apart: Mapping[str, frozenset[str]] | None = {}
    """Currencies of its calls by their names, empty text for none, where another row differs from it by them alone.

    None = they do not tell its calls from those of the other row.
    """


class ReportTable(NamedTuple):
    """A report with its totals, one for each currency."""

    rows: Sequence[ReportRow]
    totals: Sequence[ReportRow]


def layout_of(report: Report, *, is_inside: bool) -> ReportLayout:
    """Return the columns of a report; ``is_inside``: for operators, who see what vendors cost."""
    figures = tuple(name for name in report.figures if is_inside or not FIGURES[name].is_inside)
    paid_in = {_PAID_IN[name] for figure in figures for name in FIGURES[figure].needs if name in _PAID_IN}
    return ReportLayout(report.by, tuple(name for name in CURRENCIES if name in paid_in), figures)


def table_of(
    report: Report,
    layout: ReportLayout,
    spans: Sequence[ReportSpan],
    lines: Iterable[Line],
    waits: Mapping[tuple[int, str | int], Mapping[int, int]],
    peaks: Mapping[tuple[int, str | int], Peak] = {},
) -> ReportTable:
    """Make the table of a report.

    ``waits`` has how often each wait occurred, by span and first column, and ``peaks`` the peaks likewise.
    """
    settled = _settled(layout.currencies, _counted_lines(report, layout, lines))
    del lines
    of_span: dict[int, int] = defaultdict(int)
    for line in settled:
        of_span[line.span] += line.sums.get("calls", 0) + line.sums.get("without_cdr", 0)
    totals = _settled(layout.currencies, [line._replace(span=0, by=(), merged=frozenset()) for line in settled])
    rows, blank = [], dict.fromkeys(layout.needs, 0)
    alike = Counter((line.span, line.by) for line in settled)
    others: dict[tuple[int, tuple[str | int, ...]], list[Line]] = defaultdict(list)
    for line in settled:
        if alike[line.span, line.by] > 1:
            others[line.span, line.by].append(line)
    settled.reverse()
    while settled:  # each is released behind its row
        line = settled.pop()
        place = line.span, line.by[0] if line.by else ""
        waited, peak = waits.get(place, {}), peaks.get(place, _NO_PEAK)
        sums = {**blank, **line.sums, "of_span": of_span[line.span], "peak": peak}
        row = _row(layout, spans[line.span].label, line, waited, sums)
        rows.append((line.span, row._replace(apart=_apart(layout, line, others.get((line.span, line.by), [])))))
    column = layout.figures.index(report.order) if report.order in layout.figures else None
    rows.sort(key=lambda row: (row[0], *_order(row[1], column, is_rising=report.is_rising)))
    if report.most is not None:
        rows = _first(rows, report.most)
    every: dict[int, int] = defaultdict(int)
    for some in waits.values():
        for wait, count in some.items():
            every[wait] += count
    total = sum(of_span.values())
    highest = _highest(peaks.values()) if not layout.by else _NO_PEAK  # gateways have theirs at different times
    of_all = {"of_span": total, "peak": highest}
    return ReportTable(
        [row for _, row in rows], [_row(layout, "", line, every, {**blank, **line.sums, **of_all}) for line in totals]
    )


def _counted_lines(report: Report, layout: ReportLayout, lines: Iterable[Line]) -> Iterable[Line]:
    lines = (line for line in lines if any(line.sums.values()))
    lines = _unanswered(lines) if report.leaves_out_answered else lines
    return _named(lines, layout.by.index(report.settles)) if report.settles else lines


def _apart(layout: ReportLayout, line: Line, same: Sequence[Line]) -> Mapping[str, frozenset[str]] | None:
    """Return the currencies that tell the calls of a row from those of rows that have all else in common.

    ``same`` are the lines of all these rows; none = there is no other row.
    """
    if not same:
        return {}
    if not line.merged:
        return None  # none of its calls has a record
    places = {place: name for place, name in enumerate(layout.searched) if name in _SEARCHED}
    found = {place: frozenset(each[place] for each in line.merged) for place in places}
    there = {each for other in same for each in other.merged}
    fitting = {each for each in there if all(each[place] in wanted for place, wanted in found.items())}
    return {places[place]: wanted for place, wanted in found.items()} if fitting == line.merged else None


def _highest(peaks: Iterable[Peak]) -> Peak:
    concurrent, per_second = zip(_NO_PEAK, *peaks, strict=True)
    return (
        max((each for each in concurrent if each is not None), default=None),
        max((each for each in per_second if each is not None), default=None),
    )


def _row(layout: ReportLayout, label: str, line: Line, waits: Mapping[int, int], sums: dict[str, Any]) -> ReportRow:
    """Return a row; ``sums`` are those of the line, zero where it has none, and what the row shares with others."""
    if layout.has_waits:
        sums["waits"] = median_and_95(waits)
    paid_in = dict(zip(layout.currencies, line.currencies, strict=True))
    figures = []
    for name in layout.figures:
        other = paid_in.get(_MAYBE_OF_TWO.get(name, ""), "")
        is_of_two = bool(other) and other != paid_in["income_currency"]
        # refused calls keep the currency of the vendor that was tried last: nothing less nothing is known all the same
        is_known = not is_of_two or not any(sums[need] for need in FIGURES[name].needs)
        value = FIGURES[name].of(sums) if is_known else None
        figures.append(ZERO + value if value is not None and FIGURES[name].kind is FigureKind.MONEY else value)
    return ReportRow(label, line.by, tuple(paid_in.values()), tuple(figures))


def _order(row: ReportRow, place: int | None, *, is_rising: bool) -> tuple[Any, ...]:
    if place is None:
        return (row.by, row.currencies)
    value = row.figures[place]
    if value is None:
        return (1, 0, row.by, row.currencies)
    return (0, value if is_rising else -value, row.by, row.currencies)


def _first(rows: Iterable[tuple[int, ReportRow]], most: int) -> list[tuple[int, ReportRow]]:
    found: list[tuple[int, ReportRow]] = []
    counts: dict[int, int] = defaultdict(int)
    for span, row in rows:
        counts[span] += 1
        if counts[span] <= most:
            found.append((span, row))
    return found


def _unanswered(lines: Iterable[Line]) -> list[Line]:
    left = []
    for line in lines:
        sums = dict(line.sums)
        for calls, answered in (("calls", "answered"), ("without_cdr", "answered_without")):
            sums[calls] = sums.get(calls, 0) - sums.get(answered, 0)
            sums[answered] = 0
        if sums["calls"] or sums["without_cdr"]:
            left.append(line._replace(sums=sums))
    return left


def _named(lines: Iterable[Line], place: int) -> list[Line]:
    """Give lines without a value at a place of ``by`` that of the most calls with the same other values."""
    most: dict[tuple[Any, ...], tuple[int, str | int]] = {}
    lines = list(lines)
    for line in lines:
        if line.by[place]:
            others = (line.span, *line.by[:place], *line.by[place + 1 :])
            most[others] = max(most.get(others, (-1, "")), (_size(line.sums), line.by[place]))
    named = []
    for line in lines:
        _, value = most.get((line.span, *line.by[:place], *line.by[place + 1 :]), (0, ""))
        by = line.by if line.by[place] else (*line.by[:place], value, *line.by[place + 1 :])
        named.append(line._replace(by=by))
    return named


def _settled(names: Sequence[str], lines: Iterable[Line]) -> list[Line]:
    """Add lines of the same calls together: a call that failed early has no currency, and counts with the others.

    Else an account would have two rows, each with a part of its attempts.
    """
    found: dict[tuple[int, tuple[str | int, ...]], dict[tuple[str, ...], Sums]] = defaultdict(dict)
    merged: dict[tuple[int, tuple[str | int, ...], tuple[str, ...]], frozenset[tuple[str, ...]]] = {}
    vendor = names.index("vendor_currency") if "vendor_currency" in names else None

    def without_vendor(currencies: tuple[str, ...]) -> bool:
        return vendor is not None and not currencies[vendor]

    placed = []
    for line in _as_earned(names, lines):
        paid_in = _paid_in(line.sums)
        placed.append((_in_one(names, line, paid_in), line, paid_in))
    del lines
    placed.sort(key=lambda each: (not each[2], each[0].count(""), -_size(each[1].sums), each[0]))
    placed.reverse()
    while placed:  # each is released behind its turn: there may be 50,000
        currencies, line, paid_in = placed.pop()
        there = found[line.span, line.by]
        fitting = [known for known in there if known == currencies or _fits(names, currencies, paid_in, known)]
        if _size(line.sums) and without_vendor(line.currencies):
            # In one row with the other calls without vendor: else no search would find the calls of either row.
            at = line.span, line.by
            fitting.sort(key=lambda known: not any(map(without_vendor, merged.get((*at, known), ()))))
        place = fitting[0] if fitting else currencies
        if _size(line.sums):
            key, own = (line.span, line.by, place), line.merged or frozenset({line.currencies})
            merged[key] = merged[key] | own if key in merged else own
        there[place] = _added(there[place], line.sums) if place in there else line.sums
    return [
        Line(span, by, currencies, sums, merged.get((span, by, currencies), frozenset()))
        for (span, by), some in found.items()
        for currencies, sums in some.items()
    ]


def _added(sums: Sums, more: Sums) -> Sums:
    return {**sums, **{name: sums.get(name, 0) + value for name, value in more.items()}}


def _size(sums: Sums) -> int:
    return int(sums.get("calls", 0))


def _paid_in(sums: Sums) -> Sequence[str]:
    return [currency for amount, currency in _PAID_IN.items() if sums.get(amount)]


def _as_earned(names: Sequence[str], lines: Iterable[Line]) -> list[Line]:
    """Take the currency of their income off calls without money, where the others of their row bring none in it.

    It is that of the customer, for want of a charge. Calls that are charged bring what an agent above the customer
    pays, which may be in another currency.
    """
    lines = list(lines)
    if _INCOME not in names:
        return lines
    place = names.index(_INCOME)
    earned: dict[tuple[int, tuple[str | int, ...]], set[str]] = defaultdict(set)
    for line in lines:
        if line.sums.get("income"):
            earned[line.span, line.by].add(line.currencies[place])
    taken = []
    for line in lines:
        currencies, known = line.currencies, earned.get((line.span, line.by))
        is_kept = not known or currencies[place] in known or _paid_in(line.sums)
        without = (*currencies[:place], "", *currencies[place + 1 :])
        merged = line.merged or frozenset({currencies})
        taken.append(line if is_kept else line._replace(currencies=without, merged=merged))
    return taken


def _in_one(names: Sequence[str], line: Line, paid_in: Container[str]) -> tuple[str, ...]:
    """Return the currencies of a line; of income without cost, and cost without income, both sides have the same.

    Their profit is known. With calls whose cost is in another currency it would be lost, and so reports would differ
    by what the calls of their rows have in common.
    """
    if "" not in line.currencies:
        return line.currencies
    currencies = dict(zip(names, line.currencies, strict=True))
    cost_in, income_in = currencies.get("vendor_currency"), currencies.get(_INCOME)
    has_cost, has_income = "vendor_currency" in paid_in, _INCOME in paid_in
    if cost_in == "" and income_in and has_income and not has_cost:
        currencies["vendor_currency"] = income_in
    elif income_in == "" and cost_in and has_cost and not has_income:
        currencies[_INCOME] = cost_in
    return tuple(currencies.values())


def _fits(names: Sequence[str], currencies: tuple[str, ...], paid_in: Container[str], known: tuple[str, ...]) -> bool:
    """Return whether the currencies of a line are the known ones; one that is missing is, where there is no money."""
    for name, one, other in zip(names, currencies, known, strict=True):
        if one != other and (one or name in paid_in):
            return False
    return True
