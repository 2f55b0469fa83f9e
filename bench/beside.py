"""What calls notice of something beside them: set-ups measured by turns, with it and without it.

All that is done beside the calls is done by other processes: in this one it would hold up the probe.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path

from doubles.process.daemon import Daemon, DaemonError
from doubles.sockets.peer import OutgoingCall, Peer, UnexpectedError
from rich.console import Console

from .latency import PAUSE_SECONDS, PROBE, wait_of
from .load import HELD_MS, caller, vendor
from .targets import SWITCH

GOAL_SETUP_MS = 20.0
LOAD_SECONDS_MAX = 540
"""The called side ends after 600 s."""
CONSOLE = Console(width=140, highlight=False)
_LOADED = b'"configuration_loaded"'
_LOOK_S = 0.02
_WAIT_S = 300.0
_QUIET = "nothing"


def take_precedence() -> None:
    """Have this run, and what it starts, go before other processes of the machine, if that is permitted."""
    with suppress(OSError):
        os.nice(-10)
        Path("/proc/self/autogroup").write_text("-10")


def run_verb(daemon: Daemon, *words: str) -> None:
    """Run a verb in a process of its own, as an operator does.

    Raises:
        DaemonError: it failed.
    """
    vosd = Path(sys.executable).with_name("vosd")
    done = subprocess.run(
        [vosd, *words, "--config", daemon.configuration_file], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise DaemonError(f"vosd {' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}")


class Loads:
    """Counts in the log how often the switch has taken another configuration; a verb would cost more to ask."""

    def __init__(self, daemon: Daemon) -> None:
        self._file = daemon.log_file.open("rb")
        self._rest = b""
        self._look()

    def _look(self) -> int:
        text = self._rest + self._file.read()
        whole, _, self._rest = text.rpartition(b"\n")
        return whole.count(_LOADED)

    def one_more(self) -> None:
        """Wait until one more was taken.

        Raises:
            DaemonError: none was for a long time.
        """
        deadline = time.monotonic() + _WAIT_S
        while not self._look():
            if time.monotonic() > deadline:
                raise DaemonError("the switch has not taken the configuration: see its log")
            time.sleep(_LOOK_S)


class Turns:
    """The waits of a probe, by what was done meanwhile."""

    def __init__(self, rate: int, goal_ms: float = GOAL_SETUP_MS) -> None:
        self._rate = rate
        self._goal_ms = goal_ms
        self._waits: dict[str, list[list[float]]] = {_QUIET: []}
        """Of each turn."""
        self.seconds: dict[str, list[float]] = {}
        """How long each thing took, every time."""
        self.failed = 0
        self._calls = "0"

    @contextmanager
    def load(self) -> Iterator[None]:
        """Have SIPp make calls meanwhile, and count those that fail."""
        rate = self._rate
        with tempfile.TemporaryDirectory(prefix="vosd-bench-") as scratch, vendor(Path(scratch)):
            with caller(Path(scratch), SWITCH, rate=rate, calls=rate * LOAD_SECONDS_MAX, held_ms=HELD_MS) as calling:
                yield
                os.kill(calling.pid, signal.SIGUSR1)  # no new calls
                calling.join()
            counts = calling.counts()
        self.failed += int(counts["FailedCall(C)"])
        self._calls = counts["TotalCallCreated"]

    def quiet(self, seconds: float) -> None:
        """Measure with nothing beside the calls."""
        began = time.perf_counter()
        self._probe(_QUIET, lambda: time.perf_counter() - began > seconds)

    def beside(self, what: str, act: Callable[[], object]) -> None:
        """Measure while something is done; it should start no work in this process."""
        began = time.perf_counter()
        with ThreadPoolExecutor(1) as background:
            acting = background.submit(act)
            self._probe(what, acting.done)
            acting.result()
        self.seconds.setdefault(what, []).append(time.perf_counter() - began)

    def _probe(self, what: str, is_over: Callable[[], bool]) -> None:
        """Make one call after the other."""
        waits: list[float] = []
        self._waits.setdefault(what, []).append(waits)
        with Peer(PROBE) as peer:
            while not is_over():
                try:
                    waits.append(wait_of(OutgoingCall(peer, SWITCH, f"442079460{len(waits) % 1000:03}")))
                except UnexpectedError:
                    self.failed += 1
                peer.messages(PAUSE_SECONDS)

    def report(self) -> None:
        """Print how long set-ups took, and whether they took longer beside something."""
        CONSOLE.print(
            f"INVITE to 180 of a probe beside {self._rate} calls/s, milliseconds; load {os.getloadavg()[0]:.1f}"
        )
        CONSOLE.print(
            f"{'beside them':36}{'took s':>14}{'calls':>8}{'p50':>8}{'p99':>8}{'worst':>8}{'p99 moves by':>14}"
        )
        quiet = _part(sorted(chain(*self._waits[_QUIET])), 0.99)
        for what, turns in self._waits.items():
            waits = sorted(chain(*turns))
            moved = _part(waits, 0.99) - quiet
            verdict = "reached" if moved <= self._goal_ms else "missed"
            took = ", ".join(f"{each:.1f}" for each in self.seconds.get(what, ()))
            CONSOLE.print(
                f"{what:36}{took:>14}{len(waits):8}{_part(waits, 0.5):8.1f}{_part(waits, 0.99):8.1f}{waits[-1]:8.1f}"
                + ("" if what == _QUIET else f"{moved:14.1f} (goal {self._goal_ms:g}: {verdict})")
            )
        for what, turns in self._waits.items():
            each = sorted(_part(sorted(waits), 0.99) for waits in turns)
            span = f"from {each[0]:.1f} to {each[-1]:.1f}"
            CONSOLE.print(f"p99 of each turn, {what}: median {_part(each, 0.5):.1f}, {span}")
        CONSOLE.print(f"calls failed: {self.failed} of {self._calls} and of the probe's")


def _part(waits: list[float], part: float) -> float:
    return waits[int(len(waits) * part)]
