"""SIPp as a caller or a vendor: one process and one scenario; every call must follow it.

Owns the writing of a scenario from its parts and the life of the process. It does not know any switch; what a
call must look like stands in the scenario, whose assertions SIPp checks itself.
"""

import csv
import os
import re
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, Self

from doubles.sockets.loopback import Endpoint, tcp_listening, udp_bound
from vosd.base.errors import VosError

_USE: Final = re.compile(r"<\?use ([a-z_0-9]+)((?: [a-z_]+=\S+)*)\?>")
_VALUE: Final = re.compile(r"\{([a-z_]+)\}")
_BIND_SECONDS: Final = 30.0
_TRACE_CHARACTERS_MAX: Final = 12_000


class SippError(VosError):
    """A call did not follow its scenario; the message has SIPp's errors and the packets."""


def write_scenario(source: Path, fragments: Path, values: Mapping[str, str], target: Path) -> Path:
    """Write ``source`` to ``target`` with its fragments and values in place, and return ``target``.

    ``<?use name?>`` stands for ``fragments/name.xml``, which may use others; ``{name}`` for a value. Values of
    one fragment alone are written behind its name, as in ``<?use name key=value?>``. SIPp itself knows none of it.

    Raises:
        KeyError: a scenario names a value that was not given.
    """
    text = source.read_text()
    while _USE.search(text):
        text = _USE.sub(lambda use: _fragment(fragments / f"{use[1]}.xml", use[2].split()), text)
    target.write_text(_VALUE.sub(lambda value: values[value[1]], text))
    return target


def _fragment(source: Path, values: Sequence[str]) -> str:
    text = source.read_text().strip("\n")
    for value in values:
        name, _, given = value.partition("=")
        text = text.replace(f"{{{name}}}", given)
    return text


class Sipp:
    """One SIPp process; a context manager that never leaves it running."""

    def __init__(
        self,
        scenario: Path,
        local: Endpoint,
        remote: Endpoint | None = None,
        *,
        scratch: Path,
        calls: int | None = 1,
        options: Sequence[str] = (),
        transport: str = "UDP",
        trace: bool = True,
        timeout_s: int = 30,
    ) -> None:
        """Prepare a caller (with ``remote``) or a vendor (without); ``calls`` end it, ``timeout_s`` fails it.

        Without a number of calls it goes on until ``stop()``.
        ``transport`` is UDP; any other is one TCP connection for all calls, as SIPp itself has no TLS.
        ``trace`` keeps every packet, for the message of ``SippError``: not for load.
        """
        name = f"{scenario.stem}-{local.port}"
        self.local = local
        self._errors = scratch / f"{name}.errors"
        self._messages = scratch / f"{name}.messages"
        self._screen = scratch / f"{name}.screen"
        self.logs = scratch / f"{name}.logs"
        """Output of ``<log>`` actions."""
        self.statistics = scratch / f"{name}.csv"
        self._is_bound = partial(udp_bound if transport == "UDP" else tcp_listening, local)
        self._timeout_s = timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._directory = scratch
        self._command = [
            sipp_executable(),
            *([str(remote)] if remote else []),
            "-sf", str(scenario),
            "-i", local.host, "-p", str(local.port), "-bind_local",
            *(["-m", str(calls)] if calls else []),
            "-t", "u1" if transport == "UDP" else "t1",
            "-nostdin", "-timer_resol", "1",
            "-timeout", str(timeout_s), "-timeout_error",
            "-trace_err", "-error_file", str(self._errors),
            "-trace_logs", "-log_file", str(self.logs),
            "-trace_stat", "-stf", str(self.statistics), "-fd", "1",
            *(["-trace_msg", "-message_file", str(self._messages)] if trace else []),
            *options,
        ]  # fmt: skip

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process id, once started."""
        assert self._process is not None, "start() comes first"
        return self._process.pid

    @property
    def is_over(self) -> bool:
        """Whether the process has ended."""
        return self._process is not None and self._process.poll() is not None

    def start(self) -> None:
        """Start the process and wait until its socket is bound, so that nothing sent to it is lost.

        Raises:
            SippError: the address is in use.
        """
        if self._is_bound():  # SIPp would share the port and receive only half of the packets
            message = f"{self.local} is taken by another process; end it (ss -lunp names it)"
            raise SippError(message)
        with self._screen.open("wb") as screen:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=screen,
                stderr=subprocess.STDOUT,
                cwd=self._directory,
                env={**os.environ, "TERM": "dumb"},
            )
        deadline = time.monotonic() + _BIND_SECONDS
        while not self._is_bound():
            if self._process.poll() is not None or time.monotonic() > deadline:
                break  # a caller may have made its calls already; wait() tells
            time.sleep(0.005)

    def wait(self) -> None:
        """Wait for the last call.

        Raises:
            SippError: a call failed, or the process took too long.
        """
        status = self.join()
        if status != 0:
            raise SippError(self.report(status))

    def join(self) -> int | None:
        """Wait for the end of the process and return its exit status, None if it had to be killed.

        For loads, whose failed calls are counted.
        """
        assert self._process is not None, "start() comes first"
        try:
            return self._process.wait(self._timeout_s + 5)
        except subprocess.TimeoutExpired:
            self.stop()
            return None

    def stop(self) -> None:
        """End the process if it still runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def report(self, status: int | None) -> str:
        """Return SIPp's errors, and the packets if they were traced."""
        parts = [f"{' '.join(self._command[:4])} at {self.local} ended with status {status}"]
        parts.extend(
            f"--- {path.name}\n{text[-_TRACE_CHARACTERS_MAX:]}"
            for path in (self._errors, self._messages, self._screen)
            if path.exists() and (text := path.read_text(errors="replace").strip())
        )
        return "\n".join(parts)

    def counts(self) -> dict[str, str]:
        """Return SIPp's cumulative statistics by column name, such as ``SuccessfulCall(C)``."""
        with self.statistics.open(newline="") as file:
            rows = list(csv.DictReader(file, delimiter=";"))
        return {name: value for name, value in rows[-1].items() if name} if rows else {}


def sipp_executable() -> str:
    """Return the path of SIPp.

    Raises:
        SippError: it is not installed.
    """
    found = shutil.which("sipp")
    if found is None:
        message = "sipp is not installed: apt-get install sip-tester"
        raise SippError(message)
    return found
