"""Show the progress of a verb through the calls of a span: a bar on a terminal, now and then a line elsewhere.

All of it is on standard error, apart from the result. Calls are read newest first, so their times say how far it is.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from vosd.cli import output

LINE_S: Final = 10.0
"""Seconds between two lines where there is no terminal."""
_STEPS: Final = 1_000
_LEAST_S: Final = 0.001


class Meter:
    """Shows how far a verb is: a part of 1, and a count."""

    def __init__(self, noun: str, bar: Progress | None = None) -> None:
        self._noun, self._bar = noun, bar
        self._task: TaskID | None = None if bar is None else bar.add_task(noun, total=_STEPS, count="0")
        self._shown_at = self._begun_at = self._seen_at = time.monotonic()
        self._count = 0

    def show(self, part: float, count: int) -> None:
        """Show that ``count`` are done, which is ``part`` of all; outside 0 to 1 it counts as the nearer of them.

        0 = nothing is counted in this part.
        """
        part, now = min(max(part, 0.0), 1.0), time.monotonic()
        if not count:
            self._begun_at = now
        elif count < self._count:  # another part counts anew
            self._begun_at = self._seen_at
        self._count, self._seen_at = count, now
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=part * _STEPS)
            if count:
                self._bar.update(self._task, count=f"{count:,}")
        elif now - self._shown_at >= LINE_S:
            self._shown_at = now
            rate = count / max(now - self._begun_at, _LEAST_S)
            output.remark(f"{part:.0%}" + (f": {count:,} {self._noun}, {rate:,.0f} a second" if count else ""))


@contextmanager
def meter(noun: str) -> Iterator[Meter]:
    """Yield a meter; on a terminal its bar is removed at the end."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield Meter(noun)
        return
    columns = (TextColumn("{task.fields[count]} {task.description}"), BarColumn(), TimeRemainingColumn())
    console, is_seen = Console(stderr=True), sys.stdout.isatty()  # else results that go to a file would go to the bar
    with Progress(*columns, console=console, transient=True, redirect_stdout=is_seen) as bar:
        yield Meter(noun, bar)


class SpanMeter:
    """A meter of a span of times that is gone through backwards, in UTC milliseconds."""

    def __init__(self, shown: Meter, since: int, until: int) -> None:
        self._meter, self._since, self._until = shown, since, max(until, since + 1)
        self._count = 0

    def passed(self, calls: int, wall_ms: int) -> None:
        """Count more calls, the last of which began at ``wall_ms``."""
        self._count += calls
        self._meter.show((self._until - wall_ms) / (self._until - self._since), self._count)


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
