"""Output of results: one JSON document for programs, a table or a listing for people.

Cells may contain text from the network, so control characters are escaped.
"""

import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from io import TextIOWrapper
from textwrap import indent
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import click
import msgspec
from rich.cells import cell_len, set_cell_size

from vosd.base.text import REORDERING

if TYPE_CHECKING:
    from rich.table import Table

    from vosd.base.csv_text import TextOutput

Item = TypeVar("Item")

UNFOLDED: Final = 4_000
"""Width of a file or pipe: a line that is piped into grep stays one line."""
_HIGH: Final = rf"\x7f-\x9f{REORDERING}"
"""Control characters above U+001F, and those that change the order of a text."""
_CONTROL: Final = re.compile(rf"(?!\r?\n|\t)[\x00-\x1f{_HIGH}]")
_HIGH_CONTROL: Final = re.compile(f"[{_HIGH}]")
_NARROWEST: Final = 6
"""Width below which no cell is cut."""


def document(value: object) -> None:
    """Print one JSON document and nothing else."""
    click.echo(_as_json(value).encode())


def _as_json(value: object) -> str:
    """Return a value as indented JSON, with all control characters escaped: JSON needs it up to U+001F only."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    return _HIGH_CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class _Screen:
    """Standard output that is a terminal: no text from the network controls it."""

    def write(self, text: str, /) -> object:
        """Write text with its control characters escaped, but for line ends and tabs."""
        return sys.stdout.write(_CONTROL.sub(lambda found: printable(found[0]), text))


def output_of_files() -> "TextOutput":
    """Return standard output for what programs read, such as CSV: UTF-8 whatever the locale is, as in files."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    return _Screen() if sys.stdout.isatty() else sys.stdout


def wants_json() -> bool:
    """Return whether the verb was called with ``--json``."""
    ctx = click.get_current_context(silent=True)
    return ctx is not None and ctx.meta.get("as_json", False)


def printed_as_json(value: object) -> bool:
    """Print one JSON document where ``--json`` asks for it, and return whether it does."""
    if wants_json():
        document(value)
    return wants_json()


def outcome(value: object, said: str) -> None:
    """Print the outcome of a verb: a sentence, or the document."""
    if not printed_as_json(value):
        line(said)


class Documents:
    """One JSON array on standard output as ``document`` prints it, written item by item."""

    def __init__(self) -> None:
        self._is_empty = True

    def add(self, value: object) -> None:
        """Print the next item."""
        click.echo(f"{'[' if self._is_empty else ','}\n{indent(_as_json(value), '  ')}".encode(), nl=False)
        self._is_empty = False

    def close(self) -> None:
        """Print the end of the array."""
        click.echo("[]" if self._is_empty else "\n]")


class ScreenColumn(NamedTuple):
    """A column of a listing."""

    title: str
    rank: int = 0
    """0 is always shown; of the others the highest are left out first if there is no room."""
    is_figure: bool = False
    """Whether its cells are aligned to the right."""
    narrowest: int | None = None
    """Width to which its cells may be cut if there is no room; None = never."""


def columns_of_screen() -> int | None:
    """Return the width of the screen: ``$COLUMNS`` or the terminal's; None for a file or a pipe."""
    wanted = os.environ.get("COLUMNS", "")
    if wanted.isdecimal() and int(wanted):
        return int(wanted)
    return os.get_terminal_size(sys.stdout.fileno()).columns if sys.stdout.isatty() else None


def listing(
    columns: Sequence[ScreenColumn], rows: Iterable[Sequence[object]], width: int | None = None, *, empty: str
) -> None:
    """Print one line for each row, within ``width``: columns of high rank are left out, long cells are cut.

    Without ``width`` that of the screen; for a file or a pipe nothing is left out then.
    """
    width = width or columns_of_screen() or UNFOLDED
    cells = [[_text(cell) for cell in row] for row in rows]
    if not cells:
        line(empty)
        return
    widths = [max(_width(row[index]) for row in ([*map(_title, columns)], *cells)) for index in range(len(columns))]
    shown = _fitting(columns, widths, width)
    lines = (
        " ".join(_fitted(row[index], widths[index], to_the_right=columns[index].is_figure) for index in shown).rstrip()
        for row in ([*map(_title, columns)], *cells)
    )
    line("\n".join(lines))


def _title(column: ScreenColumn) -> str:
    return column.title


def _fitting(columns: Sequence[ScreenColumn], widths: list[int], width: int) -> list[int]:
    """Return which columns are shown, and narrow ``widths`` until they fit."""
    shown = list(range(len(columns)))

    def excess() -> int:
        return sum(widths[index] for index in shown) + len(shown) - 1 - width

    for index in sorted(shown, key=lambda index: -columns[index].rank):
        if columns[index].rank and excess() > 0:
            shown.remove(index)
    shrinking = {index: narrowest for index in shown if (narrowest := columns[index].narrowest) is not None}
    for least in (shrinking, dict.fromkeys(shrinking, _NARROWEST)):  # at worst below ``narrowest``
        while excess() > 0 and least:
            widest = max(least, key=lambda index: widths[index] - least[index])
            if widths[widest] <= least[widest]:
                break
            widths[widest] -= 1
    return shown


def _fitted(cell: str, width: int, *, to_the_right: bool) -> str:
    if _width(cell) > width:
        return set_cell_size(cell, width - 1) + "…"
    return _padded(cell, width, to_the_right)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print rows under their columns, figures to the right, or the sentence ``empty`` if there are none."""
    cells = [[_text(cell) for cell in row] for row in rows]
    if not cells:
        line(empty)
        return
    are_figures = [all(_is_figure(row[index]) for row in cells) for index in range(len(columns))]
    if not sys.stdout.isatty():
        _print_unfolded([list(columns), *cells], are_figures)
        return
    from rich.table import Table

    shown = Table(box=None, header_style="bold", pad_edge=False)
    for column, is_figure in zip(columns, are_figures, strict=True):
        shown.add_column(column, justify="right" if is_figure else "left", overflow="fold")
    for row in cells:
        shown.add_row(*row)
    _print(shown)


def records(columns: Sequence[str], rows: Sequence[object], *, empty: str) -> None:
    """Print structs under the names of some of their fields; a field that a struct lacks is an empty cell.

    With ``--json`` they are printed whole, as one document.
    """
    if printed_as_json(rows):
        return
    table(columns, [[getattr(row, column, None) for column in columns] for row in rows], empty=empty)


def _print_unfolded(rows: Sequence[Sequence[str]], are_figures: Sequence[bool]) -> None:
    """Print rows for a file or a pipe: one line each, whatever its width."""
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    if rows:
        line("\n".join("  ".join(map(_padded, row, widths, are_figures)).rstrip() for row in rows))


def _padded(cell: str, width: int, to_the_right: bool) -> str:
    gap = " " * (width - _width(cell))
    return gap + cell if to_the_right else cell + gap


def sheet(values: Mapping[str, object]) -> None:
    """Print the properties of one object, one in each line."""
    if not sys.stdout.isatty():
        _print_unfolded([[name, _text(value)] for name, value in values.items()], [False, False])
        return
    from rich.table import Table

    shown = Table(box=None, show_header=False, pad_edge=False)
    shown.add_column(style="bold")
    shown.add_column(overflow="fold")
    for name, value in values.items():
        shown.add_row(name, _text(value))
    _print(shown)


def figures(steps: Iterable[Mapping[str, object]]) -> list[tuple[object, str]]:
    """Return the rows of a table of rating steps: the name of the step, and in one cell the figures that it has."""

    def cell(step: Mapping[str, object]) -> str:
        return ", ".join(f"{name} {value}" for name, value in step.items() if name != "step" and value is not None)

    return [(step["step"], cell(step)) for step in steps]


def line(text: str) -> None:
    """Print one sentence of the result."""
    click.echo(text)


def first(found: Sequence[Item], most: int | None, what: str) -> Sequence[Item]:
    """Return the first items of a list, and say where there are more; ``most`` None = all."""
    if most is None or len(found) <= most:
        return found
    remark(f"only the first {most:,} {what} are listed; --limit lists more")
    return found[:most]


def rows(count: int) -> str:
    """Return how many rows there are, in words."""
    return f"{count} row{'' if count == 1 else 's'}"


def remark(text: str) -> None:
    """Print a remark to standard error, apart from the result."""
    click.echo(text, err=True)


def _print(shown: "Table") -> None:
    from rich.console import Console

    console = Console(markup=False, highlight=False)
    with console.capture() as captured:
        console.print(shown)
    for row in captured.get().splitlines():
        line(row.rstrip())


def printable(text: str) -> str:
    """Escape text that contains control characters, so that it cannot control the terminal."""
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


def _width(cell: str) -> int:
    return len(cell) if cell.isascii() else cell_len(cell)


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return printable(", ".join(map(str, value)))
    said = value.value if isinstance(value, Enum) else value
    return "" if said is None or said is msgspec.UNSET else printable(str(said))


def _is_figure(cell: str) -> bool:
    return not cell or cell.lstrip("+-").replace(".", "", 1).isdigit()
