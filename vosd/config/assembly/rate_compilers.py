"""The processes that compile rate files (``rate_compiler``), as many as there are tasks and leave for."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Final

import msgspec

from vosd.catalogue.problems import DefinitionProblem
from vosd.config.assembly import rate_compiler
from vosd.config.assembly.rate_compiler import CompilationReport, Task
from vosd.processes import entry
from vosd.processes.entry import search_path

Progress = Callable[[int, int, int], None]
"""Takes the files that are finished, the files in all, and the rows that were read."""

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(CompilationReport).decode


class CompilerProcesses:
    """Starts processes for some tasks, and ends them afterwards."""

    def __init__(self, niceness: int) -> None:
        self._niceness = niceness
        self._lock = Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._is_stopped = False

    def stop(self) -> None:
        """End the processes; tasks that are not finished fail. May be called from another thread."""
        with self._lock:
            self._is_stopped = True
            for process in self._running:
                process.kill()

    def reports(self, tasks: Sequence[Task], most: int, progress: Progress) -> Sequence[CompilationReport]:
        """Carry out tasks by up to ``most`` processes and return the report of each."""
        return _Round(self, tasks, progress).carry_out(min(most, len(tasks)))

    def start(self) -> "subprocess.Popen[bytes]":
        """Start a process; raises OSError where it cannot be started, or no process is wanted any more."""
        with self._lock:
            if self._is_stopped:
                raise OSError("the switch stops")
            process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-P", "-m", entry.__name__, rate_compiler.__name__, str(self._niceness)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": search_path()},
            )
            self._running.add(process)
            return process

    def end(self, process: "subprocess.Popen[bytes]") -> int:
        """Have a process end and return its exit code."""
        with self._lock:
            self._running.discard(process)
        process.kill()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.close()
        with suppress(OSError):  # what it did not read
            process.stdin.close()
        return process.wait()


class _Round:
    """Some tasks, and what is known of them."""

    def __init__(self, processes: CompilerProcesses, tasks: Sequence[Task], progress: Progress) -> None:
        self._processes = processes
        self._tasks = tasks
        self._progress = progress
        self._lock = Lock()
        by_size = sorted(range(len(tasks)), key=lambda index: _size(tasks[index].order.file))
        self._open = by_size
        """Tasks that no process has, the largest last."""
        self._reports: dict[int, CompilationReport] = {}
        self._rows = [0] * len(tasks)

    def carry_out(self, processes: int) -> Sequence[CompilationReport]:
        # A process is killed when the thread that started it ends, so each thread waits for its own.
        with ThreadPoolExecutor(processes, thread_name_prefix="rates") as threads:
            for done in [threads.submit(self._work) for _ in range(processes)]:
                done.result()
        return [self._reports[index] for index in range(len(self._tasks))]

    def _work(self) -> None:
        """Give tasks to one process after the other, until there are none."""
        process: subprocess.Popen[bytes] | None = None
        while (index := self._next()) is not None:
            task = self._tasks[index]
            try:
                process = process or self._processes.start()
                self._reports[index] = self._asked(process, index)
            except OSError as error:
                self._reports[index] = _failed(task, f"a process that compiles it; {error.strerror or error}")
            except (EOFError, msgspec.DecodeError):
                code = 0 if process is None else self._processes.end(process)
                process = None
                ended = f"was ended by signal {-code}" if code < 0 else f"ended with {code}"
                self._reports[index] = _failed(task, f"a process that finishes compiling it; it {ended}")
        if process is not None:
            self._processes.end(process)

    def _next(self) -> int | None:
        with self._lock:
            return self._open.pop() if self._open else None

    def _asked(self, process: "subprocess.Popen[bytes]", index: int) -> CompilationReport:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(_encode(self._tasks[index]) + b"\n")
            process.stdin.flush()
        except BrokenPipeError as error:
            raise EOFError from error
        while line := process.stdout.readline():
            report = _decode(line)
            self._rows[index] = report.rows
            if report.is_finished:
                return report
            self._progress(len(self._reports), len(self._tasks), sum(self._rows))
        raise EOFError


def _failed(task: Task, expected: str) -> CompilationReport:
    place = task.order.named_at
    return CompilationReport(
        0, problems=(DefinitionProblem(place.file, place.line, task.order.key, task.order.file, expected),)
    )


def _size(file: str) -> int:
    try:
        return Path(file).stat().st_size
    except OSError:
        return 0
