"""The real daemon in a directory of its own: start, verbs, signals, kill.

Owns the process and the paths of one scratch installation. Everything is asked through the command line, as
an operator would; not from inside a running event loop, for the verbs bring their own.
"""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, Self

import msgspec
from click.testing import CliRunner

from doubles.spare import SPARE
from vosd.base.errors import VosError
from vosd.cli.main import main
from vosd.config.control_socket import control_socket_of
from vosd.control.client import ANSWER_S
from vosd.control.installation import GetStatus, SwitchStatus
from vosd.control.wire import request_line

_START_SECONDS: Final = 180.0
_STOP_SECONDS: Final = 60.0
"""Time-outs for a process that hangs; one that fails ends by itself. A busy machine needs many seconds."""


class DaemonError(VosError):
    """The daemon or a verb failed; the message has its output."""


class Outcome(NamedTuple):
    """Exit code and output of a verb."""

    code: int
    stdout: str
    stderr: str


class Running(Protocol):
    """The part of ``subprocess.Popen`` that is used here."""

    @property
    def pid(self) -> int:
        """The process id."""

    def poll(self) -> int | None:
        """Return the exit code, None while the process runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end of the process and return its exit code."""

    def send_signal(self, number: int, /) -> None:
        """Send a signal."""

    def kill(self) -> None:
        """Send SIGKILL."""


class Daemon:
    """One installation in ``directory``; a context manager that never leaves the process running."""

    def __init__(
        self,
        directory: Path,
        configuration: str,
        launcher: Sequence[str] = (),
        *,
        start_seconds: float = _START_SECONDS,
    ) -> None:
        """Write the configuration; ``$directory`` in it stands for the directory's path.

        ``launcher`` is put before ``vosd run``: a profiler, for one. A start may take ``start_seconds``.
        """
        self.directory = directory
        self._start_seconds = start_seconds
        self._launcher = launcher
        self.configuration_file = directory / "vosd.yaml"
        self.log_file = directory / "vosd.log"
        self._process: Running | None = None
        self._control_socket: Path | None = None
        """Where the switch listens for commands, once the configuration was read for it."""
        self.configure(configuration)

    def __enter__(self) -> Self:
        self.migrate()
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """The process id, once started."""
        assert self._process is not None, "start() comes first"
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    def configure(self, configuration: str) -> None:
        """Replace the configuration file; a running daemon reads it at the next reload."""
        draft = self.configuration_file.with_suffix(".draft")  # the API reads the file every two seconds
        draft.write_text(configuration.replace("$directory", str(self.directory)))
        draft.replace(self.configuration_file)
        self._control_socket = None

    def migrate(self) -> None:
        """Migrate the scratch database to this version.

        Raises:
            DaemonError: it could not be done.
        """
        self.succeed("migrate")

    def start(self, *, wait: bool = True) -> None:
        """Start the daemon and wait until its control socket answers: all listeners are open then.

        Without ``wait`` it returns at once, for a start that takes long or fails.

        Raises:
            DaemonError: it runs already, and would go on with its ports when the second one is stopped; or it did
                not come up.
        """
        if self.running:
            raise DaemonError(f"vosd run has not ended, its process is {self.pid}")
        self._process = self._begin()
        deadline = time.monotonic() + self._start_seconds
        while wait and not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise DaemonError(f"vosd run did not come up:\n{self.log_file.read_text()}")
            time.sleep(0.02)

    def verb(self, *words: str) -> Outcome:
        """Run one verb of the command line in this process, which saves the start of an interpreter."""
        done = CliRunner().invoke(main, [*words, "--config", str(self.configuration_file)])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Outcome(done.exit_code, done.stdout, done.stderr)

    def succeed(self, *words: str) -> str:
        """Run a verb that has to succeed, and return what it printed.

        Raises:
            DaemonError: it did not.
        """
        outcome = self.verb(*words)
        if outcome.code != 0:
            raise DaemonError(f"vosd {' '.join(words)}: exit {outcome.code}\n{outcome.stdout}{outcome.stderr}")
        return outcome.stdout

    def ask(self, *words: str) -> Any:
        """Run a verb with ``--json`` and return its document.

        ``status`` is asked at the control socket as the verb does, without the command line around it: tests look at it
        hundreds of times, and a look costs a twentieth.

        Raises:
            DaemonError: it failed.
        """
        if words == ("status",):
            return self._status()
        return json.loads(self.succeed(*words, "--json"))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the daemon."""
        assert self._process is not None, "start() comes first"
        self._process.send_signal(number)

    def children(self, *, but: str = "nothing") -> list[int]:
        """Return the process ids of the daemon's children, without those that are spare or run the module ``but``."""
        tasks = list(Path(f"/proc/{self.pid}/task").iterdir())
        pids = [pid for task in tasks for pid in _read_of_process(task / "children").split()]
        running = [pid for pid in pids if _read_of_process(Path("/proc", pid, "comm")).rstrip() not in {"", SPARE, but}]
        return [int(pid) for pid in running if but not in _read_of_process(Path("/proc", pid, "cmdline"))]

    def interrupt(self) -> int:
        """Stop as Ctrl-C does, and return the exit code."""
        self.signal(signal.SIGINT)
        return self.wait()

    def wait(self) -> int:
        """Wait for the end of the daemon, and return its exit code."""
        assert self._process is not None, "start() comes first"
        return self._process.wait(_STOP_SECONDS)

    def kill(self) -> None:
        """Send SIGKILL; do nothing if the process has ended."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def log(self, after: int = 0) -> list[dict[str, Any]]:
        """Return the log so far without the first lines; one that is not JSON becomes ``{"unstructured": line}``."""
        return [_log_line(line) for line in self.log_file.read_text().splitlines()[after:]]

    def _answers(self) -> bool:
        try:
            self._status()
        except DaemonError:
            return False
        return True

    def _status(self) -> Any:
        place = self._control_socket = self._control_socket or control_socket_of(self.configuration_file)
        try:
            with socket.socket(socket.AF_UNIX) as asking:
                asking.settimeout(ANSWER_S)
                asking.connect(str(place))
                asking.sendall(request_line(GetStatus()))
                asking.shutdown(socket.SHUT_WR)
                with asking.makefile("rb") as answer:
                    document = json.loads(answer.read() or b"{}")
        except OSError as error:
            raise DaemonError(f"no switch answers at {place}: {error}") from error
        if "result" not in document or document.get("error") is not None:
            raise DaemonError(f"vosd status: {document}")
        return msgspec.convert(document["result"], SwitchStatus).document()

    def _begin(self) -> Running:
        """Execute ``vosd run`` with its log in the file."""
        with self.log_file.open("ab") as log:
            return subprocess.Popen(
                [*self._launcher, *self._command("run")],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                cwd=self.directory,
            )

    def _command(self, *words: str) -> list[str]:
        executable = Path(sys.executable).with_name("vosd")
        return [str(executable), *words, "--config", str(self.configuration_file)]


def _log_line(line: str) -> dict[str, Any]:
    try:
        document = json.loads(line)
    except json.JSONDecodeError:
        return {"unstructured": line}
    return document if isinstance(document, dict) else {"unstructured": line}


def _read_of_process(file: Path) -> str:
    try:
        return file.read_text()
    except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
        return ""
