"""Cells of a workbook that show an error, have a formula that was never computed, or a format, and hidden rows.

The reader of workbooks returns empty cells for errors, and an empty price would close a prefix.
"""

import re
from collections.abc import Mapping, Sequence, Set
from typing import IO, Final, NamedTuple
from xml.etree import ElementTree
from zipfile import ZipFile

from vosd.base.unzippable import UNZIPPABLE
from vosd.config.decks.merged_cells import MERGED
from vosd.config.decks.number_formats import UNCLEAR, CellFormat, declared_format

MARK: Final = "#ERROR"
"""Stands for such a cell: no code, no price, no date, no word of ours."""
ERRORS: Final = frozenset({MARK, MERGED, UNCLEAR, "#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!"})
"""Texts of cells without a value of their own, also where a workbook was saved as CSV."""
_PART: Final = 1 << 20
_CELL_MAX: Final = 4 << 20
"""Bytes of a cell; spreadsheets have at most 32,767 characters in one."""
ROWS_MAX: Final = 1_048_576
"""Rows of a sheet, as spreadsheets have it; a file of 1 MB can have millions, which take minutes to read."""
_ROW: Final = re.compile(rb"<(?:\w+:)?row\b")
_FEW: Final = 16
"""Styles that are looked for by name: one behind the other, for each cell."""
# Tags are matched as a whole or not at all (``*+``), so that no text is looked at twice.
_CELL: Final = re.compile(rb"<(?:\w+:)?c\b([^<>]*+)(?<!/)>")
_BEGINNING: Final = re.compile(rb"<(?:\w+:)?(?:c|row)\b")
_EMPTY: Final = re.compile(rb"<[^<>]*+(?<=/)>")
_NEAR_END: Final = 1 << 16
_ERROR_TYPE: Final = re.compile(rb"\st=[\"']e[\"']")
_UNCOMPUTED: Final = re.compile(
    rb"<(?:\w+:)?c\b([^<>]*+)>\s*+<(?:\w+:)?f\b[^<>]*+>(?:(?<=/>)|[^<]*+</(?:\w+:)?f>)\s*+"
    rb"(<(?:\w+:)?v\s*+/>\s*+|<(?:\w+:)?v>\s*+</(?:\w+:)?v>\s*+)?</(?:\w+:)?c>"
)
_HIDDEN_ROW: Final = re.compile(rb"<(?:\w+:)?row\b(?=[^<>]*\shidden=[\"'](?:1|true)[\"'])[^<>]*\sr=[\"'](\d{1,7})[\"']")
_WITHOUT_ZEROS: Final = re.compile(rb"<(?:\w+:)?sheetView\b[^<>]*\sshowZeros=[\"'](?:0|false)[\"']")
_STYLE: Final = re.compile(rb"\ss=[\"'](\d{1,9})[\"']")
_REFERENCE: Final = re.compile(rb"\sr=[\"']([A-Z]{1,3})(\d{1,7})[\"']")


class UnusualWorkbookError(Exception):
    """A workbook is not laid out as others are, so its errors cannot be found, or has more rows than others may."""


class Unusual(NamedTuple):
    """Cells and rows of a sheet that its reader does not tell apart from others; all are counted from 1."""

    unusable: Set[tuple[int, int]]
    """Line and column of cells without a usable value."""
    hidden: Set[int]
    """Hidden rows."""
    formats: Mapping[int, Sequence[tuple[int, CellFormat]]]
    """Columns of each row whose cells have a format that shows more than digits."""
    hides_zeros: bool
    """The sheet shows cells of 0 as empty ones."""


def unusual_in(path: str, sheet: str) -> Unusual:
    """Look for unusable cells, hidden rows and formats of a sheet.

    Raises:
        UnusualWorkbookError: they cannot be found.
        OSError: the file cannot be read.
    """
    try:
        with ZipFile(path) as archive:
            member, styles = _parts_of(archive, sheet)
            formats = {} if styles is None else _formats_of(archive, styles)
            with archive.open(member) as part:
                return _found(part, formats)
    except (KeyError, ElementTree.ParseError, StopIteration, *UNZIPPABLE) as error:
        raise UnusualWorkbookError from error


def _parts_of(archive: ZipFile, sheet: str) -> tuple[str, str | None]:
    """Return the members of the archive that have a sheet and the styles; StopIteration = there is no sheet."""
    book = next(name for name in archive.namelist() if name.lower().endswith("xl/workbook.xml"))
    folder, _, name = book.rpartition("/")
    sheets = (each for each in _elements(archive, book, "sheet") if each.get("name") == sheet)
    wanted = next(value for key, value in next(sheets).items() if key.endswith("}id"))
    relations = _elements(archive, f"{folder}/_rels/{name}.rels", "Relationship")
    targets = {each.get("Id", ""): each.get("Target", "") for each in relations}
    members = {key: each[1:] if each.startswith("/") else f"{folder}/{each}" for key, each in targets.items()}
    styles = [each.get("Id", "") for each in relations if each.get("Type", "").endswith("/styles")]
    return members[wanted], members[styles[0]] if styles else None


def _formats_of(archive: ZipFile, styles: str) -> dict[int, CellFormat]:
    """Return the formats that show more than digits, by the style of a cell."""
    cells = (each for every in _elements(archive, styles, "cellXfs") for each in every)
    declared = (each for every in _elements(archive, styles, "numFmts") for each in every)  # others are conditional
    codes = {int(each.get("numFmtId", "")): each.get("formatCode", "") for each in declared}
    formats = (declared_format(int(each.get("numFmtId", "0")), codes) for each in cells)
    return {style: found for style, found in enumerate(formats) if found is not None}


def _elements(archive: ZipFile, member: str, name: str) -> "list[ElementTree.Element]":
    root = ElementTree.fromstring(archive.read(member))  # noqa: S314 - in a process whose memory is bounded
    return [each for each in root.iter() if each.tag.rpartition("}")[2] == name]


def _found(part: IO[bytes], formats: Mapping[int, CellFormat]) -> Unusual:
    found: set[tuple[int, int]] = set()
    hidden: set[int] = set()
    formatted: dict[int, list[tuple[int, CellFormat]]] = {}
    hides_zeros = False
    styled = _cells_of({*formats})
    text, more, rows = b"", True, 0
    while more:
        new = part.read(_PART)
        more = bool(new)
        text += new
        cut = _whole_cells(text) if more else len(text)
        whole, text = text[:cut], text[cut:]
        rows += len(_ROW.findall(whole))
        if rows > ROWS_MAX:
            raise UnusualWorkbookError
        if b't="e"' in whole or b"t='e'" in whole:
            found.update(_position(match[1]) for match in _CELL.finditer(whole) if _ERROR_TYPE.search(match[1]))
        if b"<f" in whole or b":f" in whole:
            found.update(_position(match[1]) for match in _UNCOMPUTED.finditer(whole) if not _is_empty_text(match))
        if b" hidden=" in whole:
            hidden.update(int(match[1]) for match in _HIDDEN_ROW.finditer(whole))
        if b" showZeros=" in whole:
            hides_zeros = hides_zeros or _WITHOUT_ZEROS.search(whole) is not None
        for match in styled.finditer(whole) if formats else ():
            style = _STYLE.search(match[1])
            shown = formats.get(int(style[1]) if style else 0)
            if shown is not None:
                row, column = _position(match[1])
                formatted.setdefault(row, []).append((column, shown))
    return Unusual(found, hidden, formatted, hides_zeros)


def _whole_cells(text: bytes) -> int:
    """Return up to where a part of a sheet is looked at: no cell is cut in two, and no tag."""
    for first in (max(0, len(text) - _NEAR_END), 0):
        begins = [match.start() for match in _BEGINNING.finditer(text, first)]
        if begins and begins[-1]:
            return begins[-1]
    if len(text) <= _CELL_MAX:
        return 0
    if b"/c>" not in text and b":c>" not in text and _EMPTY.match(text) is None:
        raise UnusualWorkbookError
    return text.rfind(b"<")  # behind the last row, as in links


def _cells_of(styles: Set[int]) -> re.Pattern[bytes]:
    """Return what finds the cells of some styles, and others where these are many; one without has the first."""
    if len(styles) > _FEW:
        return _CELL
    names = b"|".join(b"%d" % style for style in sorted(styles))
    wanted = rb"[^<>]*\ss=[\"'](?:%s)[\"']" % names
    if 0 in styles:
        wanted += rb"|(?![^<>]*\ss=)"
    return re.compile(rb"<(?:\w+:)?c\b(?=%s)([^<>]*+)(?<!/)>" % wanted)


def _is_empty_text(match: re.Match[bytes]) -> bool:
    """Return whether a formula was computed, to a text of no characters."""
    return match[2] is not None and re.search(rb"\st=[\"']str[\"']", match[1]) is not None


def _position(attributes: bytes) -> tuple[int, int]:
    reference = _REFERENCE.search(b" " + attributes)
    if reference is None:
        raise UnusualWorkbookError
    column = 0
    for letter in reference[1]:
        column = 26 * column + letter - ord("A") + 1
    return int(reference[2]), column
