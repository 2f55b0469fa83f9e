"""A private MariaDB for tests and benchmarks: in a directory of its own, on a free loopback port.

Needs nothing but the server's binary (Debian: ``mariadb-server-core``): the server starts on an empty
directory without grant tables, so any user and password are let in. Refuses to touch any other server.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
import weakref
from pathlib import Path
from typing import Any, Final

import pymysql

FIRST_PORT: Final = 18_100
LAST_PORT: Final = 18_199
"""Below those that the kernel gives to clients: who connects to one of these while no server listens may be given
that same port, and is connected to itself.
"""
USER: Final = "vosd"
PASSWORD: Final = "secret"
_START_SECONDS: Final = 60.0
"""Time-out for a server that hangs; one that fails ends by itself. A busy machine needs many seconds."""

_SMALL: Final = ("--innodb-log-file-size=32M", "--innodb-buffer-pool-size=128M")

MORTAL: Final = ("--innodb-flush-log-at-trx-commit=2", "--innodb-flush-method=nosync")
"""For tests that kill the server: it loses no commit, only a power loss would. One that is killed before its first stop
may not start again, because the header of its files is not written yet."""
FAST: Final = (*MORTAL, "--skip-innodb-doublewrite")
"""For tests that never kill it: half a page that a killed server has written would stay so."""
_SCRIPTS: Final = ("mysql/mysql", "mariadb/mysql", "mariadb/mariadb")
"""Directories and first words of the files in which distributions have the statements that make the system tables."""
_SHARED: Final = Path("/usr/share")
DURABLE: Final = ("--innodb-flush-log-at-trx-commit=1",)
"""For benchmarks: every commit is on the disk when it is acknowledged, as in production."""


class MariaDbMissing(Exception):  # noqa: N818 - the installation lacks it, the test did not go wrong
    """The server binary is not installed."""


def claim_port() -> tuple[int, socket.socket]:
    """Return a port of our range that no other run has, and the UDP socket on it that keeps the others away.

    A probe alone is not enough: two runs that probe at the same time would find the same port.
    """
    for port in range(FIRST_PORT, LAST_PORT + 1):
        claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                claim.bind(("127.0.0.1", port))
                probe.bind(("127.0.0.1", port))
            except OSError:
                claim.close()
                continue
            return port, claim
    message = f"no free port between {FIRST_PORT} and {LAST_PORT}"
    raise RuntimeError(message)


def make_system_tables(directory: Path) -> None:
    """Make the tables of users and rights where a server will start, so that it can be told to obey them.

    ``FLUSH PRIVILEGES`` does that, on a server that was started; until then any user is let in.
    """
    named = [[_SHARED / f"{each}_system_tables{more}.sql" for more in ("", "_data")] for each in _SCRIPTS]
    scripts = next((each for each in named if each[0].is_file()), None)
    if scripts is None:
        message = f"none of {[str(each[0]) for each in named]} is there; on Debian: apt-get install mariadb-server-core"
        raise MariaDbMissing(message)
    texts = [script.read_text() for script in scripts]
    head = "CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;\n"
    user = ("--user=root",) if os.geteuid() == 0 else ()
    command = [_binary(), "--no-defaults", *user, f"--datadir={directory}", f"--tmpdir={directory}", "--bootstrap"]
    subprocess.run(
        [*command, "--skip-grant-tables", *_SMALL, *FAST],
        input="".join([head, *texts]),
        text=True,
        check=True,
        capture_output=True,
        timeout=_START_SECONDS,
    )


def _binary() -> str:
    binary = shutil.which("mariadbd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if binary is None:
        message = "mariadbd is not installed; on Debian: apt-get install mariadb-server-core"
        raise MariaDbMissing(message)
    return binary


class MariaDb:
    """One server process; ``start`` and ``stop`` may alternate, the data stays in ``directory``."""

    def __init__(self, directory: Path, options: tuple[str, ...] = FAST) -> None:
        prepared = self._prepared(directory, options)
        self.port, claim = claim_port()
        weakref.finalize(self, claim.close)
        self._log = directory / "error.log"
        self._command = [
            *prepared,
            f"--socket={directory / 'socket'}",
            f"--pid-file={directory / 'pid'}",
            f"--log-error={self._log}",
            "--bind-address=127.0.0.1",
            f"--port={self.port}",
            "--skip-name-resolve",
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def _prepared(self, directory: Path, options: tuple[str, ...]) -> list[str]:
        """Return the program with its data, and how it lets in ``USER``."""
        return [
            _binary(),
            "--no-defaults",
            *(("--user=root",) if os.geteuid() == 0 else ()),
            f"--datadir={directory}",
            # a server that starts deletes every "#sql" file of its tmpdir: in /tmp, those of all other servers
            f"--tmpdir={directory}",
            "--skip-grant-tables",
            *_SMALL,
            *options,
        ]

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        assert self._process is not None, "the server was not started"
        return self._process.pid

    def start(self, *more_options: str) -> None:
        """Start the server, with further options, and return when it answers."""
        # without this the server would notify the service manager of the test that it is ready
        environ = {name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"}
        self._process = subprocess.Popen(
            [*self._command, *more_options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environ,
        )
        give_up = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > give_up:
                self.kill()
                message = f"the database did not start:\n{self._log.read_text(errors='replace')[-2000:]}"
                raise RuntimeError(message)
            time.sleep(0.02)

    def stop(self) -> None:
        """Shut the server down and wait for its end."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=30)
            self._process = None

    def kill(self) -> None:
        """Kill the server, as in a crash."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=30)
            self._process = None

    def hang(self) -> None:
        """Suspend the server; return when all its threads are stopped."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitpid(self.pid, os.WUNTRACED)

    def go_on(self) -> None:
        """Resume a suspended server."""
        os.kill(self.pid, signal.SIGCONT)

    def create_database(self, name: str) -> str:
        """Make an empty database and return its URL."""
        with self.connection() as connection:
            connection.cursor().execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
        return self.url(name)

    def url(self, name: str) -> str:
        """Return the URL of a database for a configuration file."""
        return f"mysql+aiomysql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{name}"

    def connection(self, **options: Any) -> "pymysql.Connection[pymysql.cursors.Cursor]":
        """Connect to the server as the user of the tests; the options are those of the driver."""
        return pymysql.connect(
            host="127.0.0.1", port=self.port, user=USER, password=PASSWORD, connect_timeout=30, **options
        )

    def cpu_seconds(self) -> float:
        """Return the processor time that the server has used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _answers(self) -> bool:
        try:
            self.connection().close()
        except pymysql.err.OperationalError:
            return False
        return True
