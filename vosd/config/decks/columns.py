"""Which column of a sheet is which of ours: by its header, or by a map."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from vosd.billing.decks import PREFIX, PRICE
from vosd.catalogue.problems import Place, ProblemList, suggestion
from vosd.config.decks.sheet_map import SheetMapKeys
from vosd.config.keys.rates import RateKeys
from vosd.config.reader.renamed import hint

_REQUIRED: Final = (PREFIX, PRICE)


class Columns(NamedTuple):
    """Where our columns are in a sheet."""

    width: int
    """Cells of each line."""
    at: Mapping[str, int]
    """Position of each of our columns that the sheet has."""
    headers: Mapping[str, str]
    """What the sheet calls them."""
    ahead: Sequence[int] = ()
    """Positions of the columns whose digits stand before the prefix."""


def columns_of(header: Sequence[str], sheet_map: SheetMapKeys | None, place: Place, problems: ProblemList) -> Columns:
    """Return the columns of a header; what is missing or unknown is reported."""
    found = _by_header(header, place, problems) if sheet_map is None else _by_map(header, sheet_map, place, problems)
    if not problems.has_errors:
        for name in _REQUIRED:
            if name not in found.at:
                problems.error(place, "", f"a header line with a column {name}, or a map that says which it is")
    return found


def _by_header(header: Sequence[str], place: Place, problems: ProblemList) -> Columns:
    names = tuple(RateKeys.by_key())
    known = {**dict(zip(names, names, strict=True)), **RateKeys.aliases}
    at: dict[str, int] = {}
    for index, cell in enumerate(header):
        written = cell.strip()
        name = known.get(written.lower(), "")
        if not name:
            near = hint(written, known, RateKeys.names_elsewhere)
            problems.error(place, "header", f"a known column, or a map of the columns; {near}", written)
        elif name in at:
            problems.error(place, "header", f"each column once; {header[at[name]].strip()!r} is the same", written)
        else:
            at[name] = index
    return Columns(len(header), at, {name: header[index].strip() for name, index in at.items()})


def _by_map(header: Sequence[str], sheet_map: SheetMapKeys, place: Place, problems: ProblemList) -> Columns:
    positions: dict[str, list[int]] = {}
    for index, cell in enumerate(header):
        positions.setdefault(_plain(cell), []).append(index)

    def position(theirs: str) -> int:
        found = positions.get(_plain(theirs), [])
        if len(found) == 1:
            return found[0]
        names = [cell.strip() for cell in header if cell.strip()]
        near = f"{len(found)} have this name" if found else suggestion(theirs, names) if names else "it is empty"
        problems.error(place, "header", f"one column {theirs!r}, as the map says; {near}")
        return 0

    at: dict[str, int] = {}
    ahead: list[int] = []
    for name, theirs in sheet_map.columns.items():
        *others, last = map(position, theirs)
        at[name] = last
        ahead += others
    return Columns(len(header), at, {name: header[index].strip() for name, index in at.items() if header}, ahead)


def _plain(header: str) -> str:
    """Return a header without regard to case, and to how many blanks or line ends it has."""
    return " ".join(header.lower().split())
