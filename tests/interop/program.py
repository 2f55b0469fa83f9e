"""A program of other people as a process: started with its output in a file, seen to be up, ended for certain."""

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self

_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 5.0
_OUTPUT_BYTES_MAX: Final = 8_000


class PeerError(AssertionError):
    """A peer did something else than was expected, or nothing; the message says what it was and what it wrote."""


class Program:
    """One process and the processes that it starts itself; a context manager that leaves none of them running."""

    def __init__(
        self, command: Sequence[str], directory: Path, environment: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Prepare a program that runs in ``directory`` and leaves its output there."""
        self._command = command
        self._environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin", **environment}
        self._process: subprocess.Popen[bytes] | None = None
        self._output = directory / f"{Path(command[0]).name}.log"

    def __enter__(self) -> Self:
        with self._output.open("wb") as file:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd=self._output.parent,
                env=self._environment,
                process_group=0,  # no session of its own: there it may wait for seconds until it runs
            )
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._process is None or self._process.stdin is None:
            return
        self._process.stdin.close()
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()

    def _wait_until(self, is_up: Callable[[], bool]) -> None:
        """Wait until the program is up.

        Raises:
            PeerError: it has ended, or is not up in time.
        """
        assert self._process is not None, "a program is entered before it is waited for"
        deadline = time.monotonic() + _START_SECONDS
        while not is_up():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise self._unexpected("itself to come up")
            select.select([], [], [], 0.01)

    def expect_running(self) -> None:
        """Check that the program has not ended: what it does not answer then says nothing about the switch.

        Raises:
            PeerError: it has ended.
        """
        assert self._process is not None, "a program is entered before it is looked at"
        if self._process.poll() is not None:
            raise self._unexpected("nothing, it has ended", [f"its status is {self._process.returncode}"])

    def _type(self, line: str) -> None:
        """Type a line at the program's prompt."""
        assert self._process is not None, "a program is entered before it is told anything"
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()

    def _written(self) -> bytes:
        """Return what it wrote so far."""
        return self._output.read_bytes()

    def _unexpected(self, wanted: str, past: Iterable[str] = ()) -> PeerError:
        """Make the error that says what was waited for, what happened instead, and what the program wrote."""
        tail = self._written()[-_OUTPUT_BYTES_MAX:].decode(errors="replace")
        return PeerError("\n".join([f"{self._command[0]} waited for {wanted}:", *past, tail]))
