"""Process that compiles rate files: ``python -m vosd.processes.entry vosd.config.assembly.rate_compiler`` (ADR 49).

Each line of its standard input is a ``Task``, each line of its standard output a ``CompilationReport``. It ends when
its input does, and it is killed when the process that started it ends.
"""

import gc
import hashlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from vosd.billing.rate_file import Gone
from vosd.catalogue.problems import DefinitionProblem, ProblemList
from vosd.config.assembly.rate_compile import compile_rates
from vosd.config.assembly.rate_files import RATE_FILE_BYTES_MAX
from vosd.config.assembly.rate_orders import RateOrder
from vosd.config.assembly.rate_store import RateStore
from vosd.config.reader.collector import without_collector
from vosd.config.reader.includes import read_bytes
from vosd.processes.life import give_way, live_as_long_as_the_switch

GONE_NAMED: Final = 5
"""Prefixes without rate that a report names."""
_PROGRESS_S: Final = 1.0


class Task(msgspec.Struct, frozen=True):
    """One file to be compiled, or found compiled."""

    order: RateOrder
    directory: str
    compared_with: str | None = None
    """Name of the compiled file that is in use now: the report says which of its prefixes have no rate any more."""


class CompilationReport(msgspec.Struct, frozen=True):
    """Result of a task, or its progress."""

    rows: int
    """Rates that were read."""
    name: str | None = None
    """Name of the compiled file; None = not finished, or not compiled."""
    problems: tuple[DefinitionProblem, ...] = ()
    """Mistakes of the source, or why nothing could be written."""
    gone: Gone | None = None
    is_unwritten: bool = False
    """Whether the source has no mistake, but nothing could be written."""
    is_finished: bool = True


def carry_out(task: Task, progress: Callable[[int], None]) -> CompilationReport:
    """Compile a file, unless there is one already."""
    order, store, problems = task.order, RateStore(Path(task.directory)), ProblemList()
    content = read_bytes(Path(order.file), order.named_at, order.key, problems, RATE_FILE_BYTES_MAX)
    if content is None:
        return CompilationReport(0, problems=problems.in_order())
    name = order.name_for(hashlib.sha256(content).hexdigest())
    table = store.open(name)
    if table is None:
        rates = compile_rates(order, content, problems, progress)
        if rates is None:
            return CompilationReport(0, problems=problems.in_order())
        try:
            store.write(name, rates.encoded())
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            expected = f"room for the compiled rates in {task.directory}: {reason}"
            problems.error(order.named_at, order.key, expected, order.file)
            return CompilationReport(0, problems=problems.in_order(), is_unwritten=True)
        table = store.open(name, is_checked=True)
    before = None if task.compared_with is None else store.open(task.compared_with, is_checked=True)
    gone = None if before is None or table is None else before.gone_in(table, GONE_NAMED)
    return CompilationReport(0 if table is None else table.size, name, gone=gone)


def _serve() -> None:
    decode, encode = msgspec.json.Decoder(Task).decode, msgspec.json.Encoder().encode

    def say(report: CompilationReport) -> None:
        sys.stdout.buffer.write(encode(report) + b"\n")
        sys.stdout.buffer.flush()

    for line in sys.stdin.buffer:
        said_at = time.monotonic()

        def progress(rows: int) -> None:
            nonlocal said_at
            if time.monotonic() - said_at >= _PROGRESS_S:
                said_at = time.monotonic()
                say(CompilationReport(rows, is_finished=False))

        say(carry_out(decode(line), progress))
        gc.collect()  # what stays of a task: its objects refer to each other


def main() -> None:
    """Carry out tasks at the niceness that is the argument, until the input ends."""
    live_as_long_as_the_switch()
    give_way(int(sys.argv[1]))
    gc.freeze()  # modules are no garbage
    with without_collector():
        _serve()
