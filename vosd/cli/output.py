"""How results look: one JSON document for programs, a table for people; both on standard output.

Cells may hold what strangers dialled, so nothing that steers a terminal gets through.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import click
import msgspec
from rich.console import Console
from rich.table import Table

_UNFOLDED: Final = 4_000
"""Columns of what is not a terminal: a line that is piped into grep should stay one line."""


def document(value: object) -> None:
    """Print one JSON document and nothing else."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print rows under their columns, figures to the right, or the sentence ``empty`` when there are none."""
    cells = [[_text(cell) for cell in row] for row in rows]
    if not cells:
        line(empty)
        return
    shown = Table(box=None, header_style="bold", pad_edge=False)
    for index, column in enumerate(columns):
        is_figure = all(_is_figure(row[index]) for row in cells)
        shown.add_column(column, justify="right" if is_figure else "left", overflow="fold")
    for row in cells:
        shown.add_row(*row)
    _print(shown)


def sheet(values: Mapping[str, object]) -> None:
    """Print one thing as its properties, one a line."""
    shown = Table(box=None, show_header=False, pad_edge=False)
    shown.add_column(style="bold")
    shown.add_column(overflow="fold")
    for name, value in values.items():
        shown.add_row(name, _text(value))
    _print(shown)


def figures(steps: Iterable[Mapping[str, object]]) -> list[tuple[object, str]]:
    """Return the rows of a table of rating steps: the step's name, and its figures in one cell."""
    return [
        (step["step"], ", ".join(f"{name} {value}" for name, value in step.items() if name != "step")) for step in steps
    ]


def line(text: str) -> None:
    """Print one sentence of the result."""
    click.echo(text)


def remark(text: str) -> None:
    """Say something beside the result: to standard error, where it disturbs no program."""
    click.echo(text, err=True)


def _print(shown: Table) -> None:
    is_read_by_people = sys.stdout.isatty()
    console = Console(markup=False, highlight=False, width=None if is_read_by_people else _UNFOLDED)
    with console.capture() as captured:
        console.print(shown)
    for row in captured.get().splitlines():
        line(row.rstrip())


def _text(value: object) -> str:
    text = "" if value is None else str(value)
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


def _is_figure(cell: str) -> bool:
    return not cell or cell.lstrip("+-").replace(".", "", 1).isdigit()
