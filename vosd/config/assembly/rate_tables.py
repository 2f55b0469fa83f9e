"""Tables of rate files for a load: found compiled, or compiled by processes of their own (ADR 49).

A load of the configuration in a running switch waits here without holding the interpreter, so calls go on.
"""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from vosd.billing.rate_file import Gone, RateFile
from vosd.catalogue.problems import DefinitionProblem, ProblemList, SourceLine
from vosd.config.assembly.rate_compile import compile_rates
from vosd.config.assembly.rate_compiler import CompilationReport, Task
from vosd.config.assembly.rate_compilers import CompilerProcesses, Progress
from vosd.config.assembly.rate_files import RATE_FILE_BYTES_MAX
from vosd.config.assembly.rate_orders import RateOrder
from vosd.config.assembly.rate_store import DIRECTORY, RateStore, is_own
from vosd.config.reader.includes import read_bytes
from vosd.config.reader.texts import require_regular
from vosd.processes.life import NICENESS

_COMPILERS_MAX: Final = 8
"""Processes that compile at a time: each takes 50 MiB and some 220 bytes for each rate of its file."""


def _silent(_finished: int, _files: int, _rows: int) -> None:
    """Report no progress."""


class Compiled(NamedTuple):
    """A table, and the name of its file; empty where it has none."""

    table: RateFile
    name: str
    gone: Gone | None = None
    """Prefixes of the table in use that this one does not have, where they were counted."""


class RateTables(Protocol):
    """Source of the tables of rate files for a load."""

    def compiled(self, orders: Sequence[RateOrder], problems: ProblemList) -> Sequence[Compiled | None]:
        """Return the table of each order; None means that ``problems`` has grown by at least one error."""


class TablesOnce:
    """Compiles for one load, which may go over the configuration twice: what has failed is not compiled again."""

    def __init__(self, tables: Callable[[Path], RateTables]) -> None:
        """``tables`` takes a ``state_dir``."""
        self._tables = tables
        self._state_dir = Path()
        self._orders: Sequence[RateOrder] = ()
        self._made: Sequence[Compiled | None] = ()
        self._found: tuple[DefinitionProblem, ...] = ()

    def of(self, state_dir: Path) -> RateTables:
        """Return where the tables come from with this ``state_dir``."""
        if state_dir != self._state_dir:
            self._state_dir, self._orders = state_dir, ()
        return self

    def compiled(self, orders: Sequence[RateOrder], problems: ProblemList) -> Sequence[Compiled | None]:
        """Return the table of each order; None means that ``problems`` has grown by at least one error."""
        if orders != self._orders:
            found = ProblemList()
            self._made = self._tables(self._state_dir).compiled(orders, found)
            self._orders, self._found = orders, found.in_order()
        problems.extend(self._found)
        return self._made


class TablesInMemory:
    """Compiles in this process and keeps nothing: for a configuration without a directory for compiled files."""

    def __init__(self, progress: Progress = _silent) -> None:
        self._progress = progress

    def compiled(self, orders: Sequence[RateOrder], problems: ProblemList) -> Sequence[Compiled | None]:
        """Return the table of each order; None means that ``problems`` has grown by at least one error."""
        made: list[Compiled | None] = []
        for order in orders:
            content = read_bytes(Path(order.file), order.named_at, order.key, problems, RATE_FILE_BYTES_MAX)
            progress = partial(self._progress, len(made), len(orders))
            rates = None if content is None else compile_rates(order, content, problems, progress)
            made.append(None if rates is None else Compiled(RateFile(memoryview(b"".join(rates.encoded()))), ""))
        return made


class StoredTables:
    """Compiled files of a directory; missing ones are compiled by up to ``workers`` processes, at least one."""

    def __init__(
        self,
        store: RateStore,
        *,
        workers: int,
        niceness: int = 0,
        in_use: Mapping[str, Compiled] = MappingProxyType({}),
        does_without_disk: bool = False,
        progress: Progress = _silent,
    ) -> None:
        """Take where the files are.

        Args:
            store: the directory.
            workers: processes at a time; 0 = missing files are compiled in this process and not kept.
            niceness: added to theirs.
            in_use: tables of the running switch by name of their rate group; what they lose is counted.
            does_without_disk: a table that cannot be written is kept in memory, with a warning; else it is an error.
            progress: is called from several threads.
        """
        self._store = store
        self._workers = workers
        self._in_use = in_use
        self._does_without_disk = does_without_disk
        self._progress = progress
        self._processes = CompilerProcesses(niceness)

    def stop(self) -> None:
        """End the processes; a load that waits for them fails. May be called from another thread."""
        self._processes.stop()

    def compiled(self, orders: Sequence[RateOrder], problems: ProblemList) -> Sequence[Compiled | None]:
        """Return the table of each order; None means that ``problems`` has grown by at least one error."""
        with ThreadPoolExecutor(max(self._workers, 1), thread_name_prefix="rates") as threads:
            found = [*threads.map(self._ready, orders)]  # most of it is hashing, which runs beside other threads
        missing = [index for index, each in enumerate(found) if each is None]
        if missing:
            for index, table in zip(missing, self._made([orders[index] for index in missing], problems), strict=True):
                found[index] = table
        return found

    def _ready(self, order: RateOrder) -> Compiled | None:
        """Return the table of a file that is compiled already; None where a process is needed."""
        digest = _digest(Path(order.file))
        if digest is None:
            return None
        name, in_use = order.name_for(digest), self._in_use.get(order.group)
        if in_use is not None:
            return in_use._replace(gone=None) if in_use.name == name else None
        table = self._store.open(name)
        return None if table is None else Compiled(table, name)

    def _made(self, orders: Sequence[RateOrder], problems: ProblemList) -> Sequence[Compiled | None]:
        if not self._workers:
            return TablesInMemory(self._progress).compiled(orders, problems)
        with suppress(OSError):
            self._store.prepare()  # else the processes say why they cannot write
        tasks = [Task(order, str(self._store.directory), self._compared_with(order)) for order in orders]
        reports = self._processes.reports(tasks, self._workers, self._progress)
        return [self._taken(order, report, problems) for order, report in zip(orders, reports, strict=True)]

    def _compared_with(self, order: RateOrder) -> str | None:
        in_use = self._in_use.get(order.group)
        return None if in_use is None else in_use.name

    def _taken(self, order: RateOrder, report: CompilationReport, problems: ProblemList) -> Compiled | None:
        table = None if report.name is None else self._store.open(report.name, is_checked=True)
        if table is not None and report.name is not None:
            return Compiled(table, report.name, report.gone)
        if report.is_unwritten and self._does_without_disk:
            for each in report.problems:
                problems.warning(SourceLine(each.file, each.line), each.key, each.expected, each.value)
            (table_in_memory,) = TablesInMemory().compiled([order], problems)
            return table_in_memory
        for each in report.problems:
            problems.error(SourceLine(each.file, each.line), each.key, each.expected, each.value)
        if not report.problems:
            expected = f"compiled rates in {self._store.directory} that stay until they are used"
            problems.error(order.named_at, order.key, expected, order.file)
        return None


def _digest(path: Path) -> str | None:
    """Return the SHA-256 digest of a file; None where it cannot be read: its compiler reports that."""
    try:
        require_regular(path)
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return None


def _compilers() -> int:
    """Return how many processes compile at a time where all processors may be used."""
    return min(os.cpu_count() or 1, _COMPILERS_MAX)


def sweep(state_dir: Path, in_use: Mapping[str, Compiled]) -> None:
    """Remove compiled files of a switch that none of the tables in use needs."""
    RateStore(state_dir / DIRECTORY).sweep({each.name for each in in_use.values()})


def tables_of_switch(state_dir: Path) -> StoredTables:
    """Return the tables for the start of a switch: many processors compile, and it starts without room on the disk."""
    return StoredTables(RateStore(state_dir / DIRECTORY), workers=_compilers(), does_without_disk=True)


def tables_of_reload(state_dir: Path, in_use: Mapping[str, Compiled]) -> StoredTables:
    """Return the tables for a reload of a switch: one process compiles, and leaves the processor to the calls."""
    return StoredTables(RateStore(state_dir / DIRECTORY), workers=1, niceness=NICENESS, in_use=in_use)


def tables_for_reader(state_dir: Path, progress: Progress) -> StoredTables:
    """Return the tables for a command: it adds compiled files only to a directory of its own user."""
    workers = _compilers() if is_own(state_dir) else 0
    store = RateStore(state_dir / DIRECTORY)
    return StoredTables(store, workers=workers, does_without_disk=True, progress=progress)
