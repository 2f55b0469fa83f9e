"""Maps that were used before, kept with the versions that they made and found again by the header of a sheet."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from vosd.config.decks.assumptions import Assumptions
from vosd.config.decks.sheet_map import SheetMapKeys, parse_map
from vosd.config.decks.sheets import lines_of

TEXT_MAX: Final = 60_000
"""Bytes of a layout that the database takes; a longer map is not kept."""
_NAMED: Final = 5


class Layout(msgspec.Struct, frozen=True):
    """The map of a sheet, with the header that it was used for."""

    header: Sequence[str]
    """Cells without regard to case and blanks."""
    name: str
    """Of the file with the map."""
    text: str
    """Its content."""


class FoundLayout(NamedTuple):
    """A layout that fits a sheet."""

    layout: Layout
    keys: SheetMapKeys


def stored_form(file: Path, map_file: Path, keys: SheetMapKeys) -> str | None:
    """Return the layout of a sheet and its map as text; None where it is too long.

    Raises:
        OSError: the map cannot be read.
        SheetError: the sheet cannot be read.
    """
    text = map_file.read_text(encoding="utf-8")
    return stored_again(Layout(_header(file, keys), map_file.name, text))


def stored_again(layout: Layout) -> str | None:
    """Return a layout as text; None where it is too long."""
    text = msgspec.json.encode(layout).decode()
    return text if len(text.encode()) <= TEXT_MAX else None


def layout_for(file: Path, stored: Iterable[str | None]) -> FoundLayout | None:
    """Return the first layout whose header a sheet has; ``stored`` are those of versions, the newest first.

    Raises:
        ConfigError: its map has mistakes, as a later version of this program sees it.
        SheetError: the sheet cannot be read.
    """
    for text in dict.fromkeys(filter(None, stored)):
        layout = msgspec.json.decode(text, type=Layout)
        keys = parse_map(layout.text, layout.name)
        if _header(file, keys) == layout.header:
            return FoundLayout(layout, keys)
    return None


def difference(file: Path, stored: Iterable[str | None]) -> str:
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
    return f"its header is not that of the layout that was saved from {layout.name} ({differs}): say --map"


def _header(file: Path, keys: SheetMapKeys) -> Sequence[str]:
    lines = lines_of(
        file, header_line=keys.header_line, sheet=keys.sheet, encoding=keys.encoding, assumed=Assumptions()
    )
    try:
        return [" ".join(cell.lower().split()) for cell in next(lines).cells]
    except StopIteration:
        return []
    finally:
        lines.close()
