"""Writes beside older files of the journal which ended calls they have, while the database is away (ADR 76).

A file is due when calls of it still wait some seconds after the next one was begun: in normal operation it is out of
use by then. It is read in a thread, a small part at a time, so that running calls are not delayed.
"""

import asyncio
import os
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from typing import Final

from vosd.engine.journal.ends import EndsBeingRead, Unsealable, read_ends, write_ends
from vosd.engine.journal.files import ENDS, IN_USE, Files, cut_zeros
from vosd.engine.journal.released import LATE_MS
from vosd.engine.journal.unbooked import UnbookedCalls
from vosd.obs.events import log as _log
from vosd.processes.spare_descriptors import is_used_up

LATER_S: Final = LATE_MS / 1_000 + 1.0
"""Time after the beginning of a file at which the one before it is examined.

Ended calls whose legs the next start may have to release again, and the mark behind them, are still to be read whole.
"""
RECORDS_AT_ONCE: Final = 100
"""About a millisecond."""
PAUSE_S: Final = 0.005


class Sealing:
    """The files of one journal that have such a copy, and the one task that writes it."""

    def __init__(self, files: Files, waiting: UnbookedCalls, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._files = files
        self._waiting = waiting
        self._clock_s = clock_s
        self._whole: dict[int, float] = {}
        """Files that begin with all that older ones have of running calls, and when they were begun."""
        self._given_up: set[int] = set()
        self._has_begun = asyncio.Event()

    def begun(self, number: int) -> None:
        """Note that everything of older files but ended calls is in this one."""
        oldest = self._waiting.oldest_file or number
        self._whole = {each: at for each, at in self._whole.items() if each >= oldest}
        self._whole[number] = self._clock_s()
        self._has_begun.set()

    def due(self, later_s: float = 0.0) -> list[int]:
        """Return the files that are to be read, in this order: those that were replaced ``later_s`` ago, or earlier.

        None behind a file in use that cannot be sealed: a start reads everything behind that whole. A reserve that was
        written to after a failure is no beginning of anything: it has ends of calls of the file before it, and is read
        first, since its damage would leave these calls to what that file says of them.
        """
        until = self._clock_s() - later_s
        whole = list(self._whole)
        due: list[int] = []
        for behind, numbers in groupby(self._waiting.behind_the_oldest(), partial(bisect_right, whole)):
            if behind == len(whole):
                break
            together = list(numbers)
            if self._files.in_use(together[0]).suffix == IN_USE:
                if self._whole[whole[behind]] > until or not self._given_up.isdisjoint(together):
                    break
                together.reverse()
            due += (number for number in together if number not in self._given_up and not self._has_copy(number))
        return due

    def _has_copy(self, number: int) -> bool:
        return self._files.in_use(number).with_suffix(ENDS).exists()

    async def run(self) -> None:
        """Do the work whenever a file was begun; runs until cancelled."""
        while True:
            await self._has_begun.wait()
            self._has_begun.clear()
            await asyncio.sleep(LATER_S)
            await self.seal(LATER_S)

    async def seal(self, later_s: float = 0.0) -> None:
        """Write what is due now."""
        loop = asyncio.get_running_loop()
        while due := self.due(later_s):
            number = due[0]
            path, found = self._files.in_use(number), EndsBeingRead()
            newer = self._replaced_by(number) if path.suffix == IN_USE else []
            try:
                # A copy names the size of its file, which stays: what a reserve has not used would stay with it.
                await loop.run_in_executor(None, cut_zeros, path)
                with path.open("rb") as file:
                    steps, goes_on = read_ends(file, found), True
                    while goes_on:
                        goes_on = await loop.run_in_executor(None, _take_some, steps)
                        await asyncio.sleep(PAUSE_S)
                await loop.run_in_executor(None, _write, path, newer, found)
            except (Unsealable, OSError) as error:
                if isinstance(error, OSError) and is_used_up(error):
                    return  # until the next file is begun
                self._given_up.add(number)
                if not isinstance(error, FileNotFoundError):  # else its calls were booked meanwhile
                    _log.warning("journal_file_not_sealed", file=path.name, means="a start reads it", why=repr(error))
            self._files.forget_ends_of(path)

    def _replaced_by(self, number: int) -> list[Path]:
        """Return the files behind this one, up to the first that begins with the running calls.

        A reserve that was written to stands between: it has ends of calls that were answered before it.
        """
        last = min(each for each in self._whole if each > number)
        return [self._files.in_use(each) for each in range(number + 1, last + 1)]


def _take_some(steps: Iterator[None]) -> bool:
    """Read some records; return whether more may follow."""
    return sum(1 for _ in islice(steps, RECORDS_AT_ONCE)) == RECORDS_AT_ONCE


def _write(path: Path, newer: Iterable[Path], found: EndsBeingRead) -> None:
    """Sync the files that replace this one, then write the copy, which says so."""
    for each in newer:
        if each.exists():
            with each.open("rb") as file:
                os.fdatasync(file.fileno())
    write_ends(path, found.whole(path.stat().st_size))
