"""The progress of an import on standard error: a bar on a terminal, single lines elsewhere."""

from types import TracebackType
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class DeckProgress:
    """Shows the steps of an import one below the other."""

    def __init__(self) -> None:
        console: Final = Console(stderr=True, markup=False, highlight=False)
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            console=console, transient=not console.is_terminal, disable=not console.is_terminal,
        )  # fmt: skip
        self._task: TaskID | None = None

    def __enter__(self) -> "DeckProgress":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def begin(self, step: str, whole: int | None = None) -> None:
        """Begin a step; the one before is finished."""
        self._task = self._progress.add_task(step, total=whole)

    def at(self, done: int, whole: int | None = None) -> None:
        """Say how far the step is."""
        if self._task is not None:
            self._progress.update(self._task, completed=done, total=whole)
