"""The file with every change of an import, one line a prefix, for a spreadsheet."""

import csv
from contextlib import ExitStack
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType

from vosd.base.csv_text import CsvWriter
from vosd.billing.deck_changes import DeckChangeKind, Each, Example, end_of
from vosd.billing.deck_rows import COLUMNS_AHEAD, ENDS, DeckRow
from vosd.processes.whole_file import open_growing
from vosd.wiring.deck_errors import DeckFileError

_OWN = (
    "change", "prefix", "price_before", "price_after", "begins", "price_then", "prefix_then", "planned_price",
    "planned_begins",
)  # fmt: skip


class ChangesFile:
    """Writes changes to a file, if one is wanted."""

    def __init__(self, path: Path | None, header: str) -> None:
        """``header`` has the names of the columns of a deck."""
        self.each: Each | None = None if path is None else self._add
        self._path = path
        self._others = [ENDS, *header.split(",")[len(COLUMNS_AHEAD) :]]
        self._open = ExitStack()
        self._writer: CsvWriter | None = None

    def __enter__(self) -> "ChangesFile":
        if self._path is not None:
            try:
                opened = self._open.enter_context(open_growing(self._path))
            except OSError as error:
                message = f"{self._path} cannot be written: {(error.strerror or str(error)).lower()}"
                raise DeckFileError(message) from error
            file = self._open.enter_context(TextIOWrapper(opened, encoding="utf-8", newline=""))
            self._writer = CsvWriter(file, for_people=True)
            others = [f"{name}_{when}" for name in self._others for when in ("before", "after")]
            self._writer.row([*_OWN, *others])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def _add(self, kind: DeckChangeKind, example: Example, before: DeckRow | None, after: DeckRow | None) -> None:
        assert self._writer is not None
        fallback, planned = example.fallback, example.planned
        own = (
            kind.value, example.prefix, example.before, example.after, example.begins,
            None if fallback is None else fallback.price, None if fallback is None else fallback.prefix,
            None if planned is None else planned.price, None if planned is None else planned.begins,
        )  # fmt: skip
        others = zip(self._cells(before), self._cells(after), strict=True)
        self._writer.row([*own, *(cell for both in others for cell in both)])

    def _cells(self, row: DeckRow | None) -> list[str]:
        if row is None:
            return [""] * len(self._others)
        return [end_of(row), *next(csv.reader([row.others], strict=True))]
