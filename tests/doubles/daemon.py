"""The daemon as a process forked from one that has imported vosd already: the imports take most of a start.

``vosd run`` runs in a process of its own with its own signals, files and environment, as it does when it is executed.
Only the imports are shared. ``tests/integration`` executes the installed program, too.
"""

import gc
import multiprocessing
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Final
from uuid import uuid4

from doubles import spare
from doubles.migrated import is_empty, migrate_on_server
from vosd.storage import bookkeeper, separate_books
from vosd.testing.process import daemon
from vosd.testing.process.daemon import Running

_ON_SERVER: Final = re.compile(r"mysql\+aiomysql://[^\s\"}]+")
_APPEND: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT
FORKED: Final = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(
    ["vosd.cli.daemon", "vosd.daemon.bootstrap", bookkeeper.__name__, "aiosqlite", "vosd.testing.process.daemon"]
)


Prepare = Callable[[], None]

_migrated: Final[list[bytes]] = []
"""The file of a new database, once there is one."""


class Daemon(daemon.Daemon):
    """One installation in a directory; forked unless a launcher has to execute it."""

    def __init__(
        self,
        directory: Path,
        configuration: str,
        launcher: Sequence[str] = (),
        prepare: Prepare | None = None,
    ) -> None:
        """``prepare``, a function of a module, is called in the forked process before ``vosd run``."""
        super().__init__(directory, configuration, launcher)
        self._prepare = prepare

    def migrate(self) -> None:
        """Migrate the scratch database; a new one is a copy of the first, with an identity of its own."""
        on_server = _ON_SERVER.search(self.configuration_file.read_text())
        if on_server is not None and is_empty(on_server[0]):
            migrate_on_server(on_server[0])
            return
        database = self.directory / "vosd.db"
        is_new = f"sqlite+aiosqlite:///{database}" in self.configuration_file.read_text() and not database.exists()
        if is_new and _migrated:
            database.write_bytes(_migrated[0])
            with closing(sqlite3.connect(database)) as connection, connection:
                connection.execute("UPDATE identity SET id = ?", (str(uuid4()),))
            return
        super().migrate()
        if is_new:
            _migrated.append(database.read_bytes())

    def _begin(self) -> Running:
        if self._launcher:
            return super()._begin()
        return Forked(self._command("run"), self.directory, self.log_file, dict(os.environ), self._prepare)


class Forked:
    """A forked process with the methods of ``subprocess.Popen`` that ``Daemon`` uses."""

    def __init__(
        self,
        command: Sequence[str],
        directory: Path,
        log: Path,
        environment: Mapping[str, str],
        prepare: Prepare | None = None,
    ) -> None:
        self._command = command
        self._process: ForkServerProcess = FORKED.Process(
            target=_run, args=(command, directory, log, environment, prepare), daemon=True
        )
        self._process.start()

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
            raise subprocess.TimeoutExpired(list(self._command), timeout)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


def _run(
    command: Sequence[str], directory: Path, log: Path, environment: Mapping[str, str], prepare: Prepare | None
) -> None:
    """Become ``vosd run``: what an executed program would find in its process, it finds here."""
    from vosd.cli.main import main

    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    for descriptor, place, how in ((0, os.devnull, os.O_RDONLY), (1, os.devnull, os.O_WRONLY), (2, str(log), _APPEND)):
        opened = os.open(place, how)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - the descriptors that were just put in place
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # What was imported is no garbage: to look through it, as the switch does once at its start, would copy it all.
    gc.freeze()
    spare.wait_for(bookkeeper.__name__, separate_books.__name__)
    if prepare is not None:
        prepare()
    sys.argv = list(command)
    main(list(command[1:]), prog_name=command[0])
