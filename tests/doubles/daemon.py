"""The daemon as a process forked from one that has imported vosd already: the imports take most of a start.

``vosd run`` runs in a process of its own with its own signals, files and environment, as it does when it is executed.
Only the imports are shared. ``tests/integration`` executes the installed program, too.
"""

import os
import re
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from doubles.forked import forked
from doubles.forked_switch import run_switch
from doubles.migrated import content, is_empty, migrate_on_server
from doubles.process import daemon
from doubles.process.daemon import Running

_ON_SERVER: Final = re.compile(r"mysql\+aiomysql://[^\s\"}]+")

Prepare = Callable[[], None]


class Daemon(daemon.Daemon):
    """One installation in a directory; forked unless a launcher has to execute it."""

    def __init__(
        self, directory: Path, configuration: str, launcher: Sequence[str] = (), prepare: Prepare | None = None
    ) -> None:
        """``prepare``, a function of a module, is called in the forked process before ``vosd run``."""
        super().__init__(directory, configuration, launcher)
        self._prepare = prepare

    def migrate(self) -> None:
        """Migrate the scratch database; a new one is a copy, with an identity of its own."""
        on_server = _ON_SERVER.search(self.configuration_file.read_text())
        if on_server is not None and is_empty(on_server[0]):
            migrate_on_server(on_server[0])
            return
        database = self.directory / "vosd.db"
        if f"sqlite+aiosqlite:///{database}" not in self.configuration_file.read_text() or database.exists():
            super().migrate()
            return
        database.touch(mode=0o600)
        database.write_bytes(content())
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("UPDATE identity SET id = ?", (str(uuid4()),))

    def _begin(self) -> Running:
        if self._launcher:
            return super()._begin()
        command = self._command("run")
        return Forked(run_switch, command, self.directory, self.log_file, dict(os.environ), self._prepare)


class Forked:
    """A forked process with the methods of ``subprocess.Popen`` that ``Daemon`` uses."""

    def __init__(self, run: Callable[..., None], *arguments: Any) -> None:
        self._name = run.__name__
        self._process = forked(run, *arguments)

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """Return the exit code, None while the process runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end of the process and return its exit code.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired(self._name, timeout)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)
