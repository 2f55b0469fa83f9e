"""Maps that were used before, kept with the versions that they made and found again by the header of a sheet."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from vosd.config.decks.sheet_map import SheetMapKeys, parse_map
from vosd.config.decks.sheets import SheetFile

TEXT_MAX: Final = 60_000
"""Bytes of a layout that the database takes; a longer map is not kept."""
_NAMED: Final = 5


class Layout(msgspec.Struct, frozen=True):
    """The map of a sheet, with the header that it was used for."""

    header: Sequence[str]
    """Cells without regard to case and blanks."""
    name: str
    """Name of the file with the map."""
    text: str
    """Content of the file."""


class FoundLayout(NamedTuple):
    """A layout that fits a sheet."""

    layout: Layout
    keys: SheetMapKeys


def stored_form(header: Sequence[str], name: str, text: str) -> str | None:
    """Return the layout of a sheet with this header and a map as text; None where it is too long."""
    content = msgspec.json.encode(Layout(_plain(header), name, text))
    return content.decode() if len(content) <= TEXT_MAX else None


def layout_for(file: SheetFile, stored: Iterable[str | None]) -> FoundLayout | None:
    """Return the first layout whose header a sheet has; ``stored`` are those of versions, the newest first.

    Raises:
        ConfigError: its map has mistakes, as a later version of this program sees it.
        SheetError: the sheet cannot be read.
    """
    headers: dict[tuple[object, ...], Sequence[str]] = {}
    for text in dict.fromkeys(filter(None, stored)):
        layout = msgspec.json.decode(text, type=Layout)
        keys = parse_map(layout.text, layout.name)
        where = (keys.header_line, keys.sheet, keys.encoding)
        if where not in headers:
            headers[where] = _header(file, keys)
        if headers[where] == layout.header:
            return FoundLayout(layout, keys)
    return None


def difference(file: SheetFile, stored: Iterable[str | None]) -> str:
    """Say how the header of a sheet differs from that of the newest layout; empty where there is none."""
    newest = next(filter(None, stored), None)
    if newest is None:
        return ""
    layout = msgspec.json.decode(newest, type=Layout)
    header = _header(file, parse_map(layout.text, layout.name))
    words = [
        f"{what} {', '.join(map(repr, names[:_NAMED]))}"
        for what, names in (
            ("without", [name for name in layout.header if name not in header]),
            ("with", [name for name in header if name not in layout.header]),
        )
        if names
    ]
    differs = "; ".join(words) or "other columns in this order"
    return f"its header is not that of the layout that was saved from {layout.name} ({differs}): say `map`"


def _header(file: SheetFile, keys: SheetMapKeys) -> Sequence[str]:
    header = file.header(keys.header_line, keys.sheet, keys.encoding)
    return [] if header is None else _plain(header.cells)


def _plain(header: Sequence[str]) -> Sequence[str]:
    return [" ".join(cell.lower().split()) for cell in header]
