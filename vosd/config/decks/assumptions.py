"""Assumptions made while a sheet was read, each kind once with its first line, so that an operator can object."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple


class Assumption(NamedTuple):
    """One reading that the sheet does not spell out."""

    line: int
    """The first line that it was made for; 0 = the whole file."""
    column: str
    """As the sheet calls it; empty = the whole line."""
    value: str | None
    """The first text that was read so."""
    meaning: str

    def __str__(self) -> str:
        """Return the words for a terminal."""
        where = [f"line {self.line}"] if self.line else []
        cell = [f"{self.column} {self.value!r}".lstrip()] if self.value is not None else []
        return ", ".join(where + cell) + (": " if where or cell else "") + self.meaning


class Assumptions:
    """Collects assumptions of one sheet."""

    def __init__(self) -> None:
        self.line = 0
        """The line that is read now."""
        self.headers: Mapping[str, str] = {}
        """Names of our columns in the sheet."""
        self._found: dict[tuple[str, str], Assumption] = {}

    def note(self, kind: str, meaning: str, column: str = "", value: str | None = None) -> None:
        """Note an assumption about the present line; later ones of the same column and kind are the same."""
        if (column, kind) not in self._found:
            shown = self.headers.get(column, column)
            self._found[column, kind] = Assumption(self.line, shown, value, meaning)

    def add(self, others: Iterable[Assumption]) -> None:
        """Add assumptions about lines of their own."""
        for each in others:
            self._found.setdefault((each.column, each.meaning), each)

    def in_order(self) -> Sequence[Assumption]:
        """Return them by line."""
        return sorted(self._found.values(), key=lambda each: each.line)
