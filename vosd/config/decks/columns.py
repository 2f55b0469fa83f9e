"""Match the columns of a sheet with ours: by the header, or by a map."""

from collections.abc import Container, Mapping, Sequence
from typing import Final, NamedTuple

from vosd.billing.deck_rows import PREFIX, PRICE
from vosd.catalogue.problems import ProblemList, SourceLine, suggestion
from vosd.config.decks.sheet_map import SheetMapKeys
from vosd.config.keys import names_of_vos3000
from vosd.config.keys.rates import RateKeys
from vosd.config.reader.renamed import hint, plain_name, renamed

INTERVAL: Final = "interval"
STATUS: Final = "status"
"""The column whose words a map explains; not one of a rate."""
MEMO: Final = "memo"
"""The comment of a rate, which a deck does not keep."""
CURRENCY: Final = "currency"
"""The column that is compared with the currency of the rate group; not one of a rate."""
_REQUIRED: Final = (PREFIX, PRICE)
_STATUS_WORDS: Final = frozenset(
    {
        "status", "action", "change", "changes", "changed", "changetype", "blocked", "deleted", "closed", "removed",
        "barred",
    }
)  # fmt: skip
"""Headers of columns that may say that a row is no rate as the others."""
_CURRENCY_WORDS: Final = frozenset({"currency", "currencycode", "ccy", "curr"})


class SheetColumns(NamedTuple):
    """Places of our columns in a sheet."""

    width: int
    """Cells of each line."""
    at: Mapping[str, int]
    """Position of each of our columns that the sheet has."""
    headers: Mapping[str, str]
    ahead: Sequence[int] = ()
    """Positions of the columns whose digits stand before the prefix."""
    following: int | None = None
    """Position of the second column of the interval, where it has two."""
    status: int | None = None
    currency: int | None = None
    unread: Mapping[int, str] = {}
    """Headers of the columns that mean nothing here, by position."""

    @property
    def unkept(self) -> Mapping[int, str]:
        """Headers of the columns of which nothing is kept, by position: those that mean nothing, and the comment."""
        memo = self.at.get(MEMO)
        return self.unread if memo is None else {**self.unread, memo: self.headers[MEMO]}

    def written(self, cells: Sequence[str]) -> dict[str, str]:
        """Return the cells of a line by our columns, ``STATUS`` and ``CURRENCY`` among them."""
        found = {name: cells[index].strip() for name, index in self.at.items()}
        for name, position in ((STATUS, self.status), (CURRENCY, self.currency)):
            if position is not None:
                found[name] = cells[position].strip()
        if self.following is not None:
            both = (found[INTERVAL], cells[self.following].strip())
            found[INTERVAL] = "/".join(both) if any(both) else ""
        return found

    def positions_without(self, names: Container[str]) -> Sequence[int]:
        """Return the positions of all that is read but some columns of ours."""
        ours = [index for name, index in self.at.items() if name not in names]
        return ours + [index for index in (self.following, self.status, self.currency) if index is not None]


def columns_of(
    header: Sequence[str], sheet_map: SheetMapKeys | None, place: SourceLine, problems: ProblemList
) -> SheetColumns:
    """Return the columns of a header; what is missing or unknown is reported."""
    found = _by_header(header, place, problems) if sheet_map is None else _by_map(header, sheet_map, place, problems)
    if not problems.has_errors:
        for name in _REQUIRED:
            if name not in found.at:
                problems.error(place, "", f"a header line with a column {name}, or a map that says which it is")
    return found


def our_names() -> Mapping[str, str]:
    """Return our columns by the names that a header may have without a map, without case, blanks and punctuation."""
    theirs = {name: ours for name, (ours, *_) in renamed(names_of_vos3000.RATE).items()}
    own = {**{name: name for name in RateKeys.by_key()}, **RateKeys.aliases}
    return {**theirs, **{plain_name(name): ours for name, ours in own.items()}}


def _by_header(header: Sequence[str], place: SourceLine, problems: ProblemList) -> SheetColumns:
    known = our_names()
    at: dict[str, int] = {}
    currency = None
    unread = {}
    for index, cell in enumerate(header):
        written = cell.strip()
        name = known.get(plain_name(written), "")
        if name and name in at:
            problems.error(place, "header", f"each column once; {header[at[name]].strip()!r} is the same", written)
        elif name:
            at[name] = index
        elif plain_name(written) in _CURRENCY_WORDS and currency is None:
            currency = index
        elif not written and index:
            unread[index] = ""
        else:
            near = hint(written, {*RateKeys.by_key(), *RateKeys.aliases}, RateKeys.names_elsewhere)
            problems.error(place, "header", f"a known column, or a map of the columns; {near}", written)
    headers = _headers(header, {**at, CURRENCY: currency})
    return SheetColumns(len(header), at, headers, currency=currency, unread=unread)


def _by_map(header: Sequence[str], sheet_map: SheetMapKeys, place: SourceLine, problems: ProblemList) -> SheetColumns:
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
    following = None
    for name, theirs in sheet_map.columns.items():
        found = [*map(position, theirs)]
        if name == INTERVAL:
            at[name], *others = found
            following = others[0] if others else None
        else:
            *others, at[name] = found
            ahead += others
    status = sheet_map.status.column
    status_at = None if status is None else position(status)
    ignored = {*map(position, sheet_map.ignored)}
    if MEMO in at and at[MEMO] in {status_at, *ignored}:
        del at[MEMO]
    known = {*at.values(), *ahead, following, status_at, *ignored}
    rest = {index: cell.strip() for index, cell in enumerate(header) if index not in known}
    currency = next((index for index, cell in rest.items() if plain_name(cell) in _CURRENCY_WORDS), None)
    unread = {index: cell for index, cell in rest.items() if index != currency}
    _refuse_statuses(unread, place, problems)
    headers = _headers(header, {**at, STATUS: status_at, CURRENCY: currency})
    return SheetColumns(len(header), at, headers, ahead, following, status_at, currency, unread)


def _headers(header: Sequence[str], at: Mapping[str, int | None]) -> dict[str, str]:
    return {name: header[index].strip() for name, index in at.items() if header and index is not None}


def _refuse_statuses(unread: Mapping[int, str], place: SourceLine, problems: ProblemList) -> None:
    """Report columns that no key of the map names, and that may say that a code is closed or taken out."""
    for header in unread.values():
        if any(word in _STATUS_WORDS for word in (plain_name(header), *header.lower().split())):
            expected = "a map that says what this column means: status, or ignored where it means nothing"
            problems.error(place, "header", expected, header)


def _plain(header: str) -> str:
    """Return a header without regard to case, and to how many blanks or line ends it has."""
    return " ".join(header.lower().split())
