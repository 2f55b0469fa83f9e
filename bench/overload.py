"""``python -m bench.overload``: calls under overload, under junk, and while all phones register.

The switch has one core for itself, SIPp the others: it is single-threaded, and the load generator must not take its
time. Its highest rate is measured first, in the same run. If permitted, the run takes precedence over other processes.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import OutgoingCall, Peer, UnexpectedError
from doubles.sockets.sipp import Sipp
from rich.console import Console

from .latency import PROBE, Latency, measure, wait_of
from .load import CALLER, HELD_MS, SCENARIOS, caller, vendor
from .targets import Target, on_sqlite

RATES = (1_000, 1_250, 1_500, 1_750, 2_000, 2_250, 2_500, 3_000)
CLIMB_S = 5
FLOOD_TIMES = 3
GOAL_COMPLETED = 0.9
GOAL_RECOVERY_S = 5.0
GOAL_SETUP_MS = 100.0
HELD_CALLS = 300
HOLDER = Endpoint("127.0.0.1", 15_204)
BESIDE_JUNK = 200
"""Calls a second during the junk."""
JUNK_SOURCE = "127.0.0.66"
PHONE = """
phones:
  - {number: "1001", account: acme, password: secret}
"""
CONSOLE = Console(width=140, highlight=False)


@dataclass(frozen=True)
class Flood:
    """Result of calls at one rate."""

    offered: int
    """Calls a second."""
    completed: float
    """Calls a second that were answered, held and hung up."""
    refused: float
    """Calls a second that got 503."""
    lost: int
    """Calls that were answered and not completed."""
    failed: int
    """Calls that ended in any other way."""


def main() -> int:
    """Run all and print the results; return 0 if the goals are reached."""
    arguments = _arguments()
    with suppress(OSError):
        os.nice(-10)
        Path("/proc/self/autogroup").write_text("-10")
    with (
        tempfile.TemporaryDirectory(prefix="vosd-overload-") as directory,
        _apart() as launcher,
        on_sqlite(Path(directory), launcher) as target,
    ):
        goals = [] if arguments.only_junk else _overload(target, arguments.seconds)
        goals += [] if arguments.only_overload else _junk(target, arguments.junk, arguments.seconds)
        goals += [] if arguments.only_overload else [_outage(target, arguments.phones, arguments.seconds)]
        for line in target.daemon.log() if target.daemon else ():
            if line.get("event") not in {"call", "ready"}:
                CONSOLE.print(f"log: {line}", style="dim")
    return 0 if all(goals) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.overload", description=__doc__)
    parser.add_argument("--seconds", type=int, default=10, help="length of the flood and of the junk (default 10)")
    parser.add_argument("--junk", type=int, default=50_000, help="junk datagrams a second (default 50000)")
    parser.add_argument("--phones", type=int, default=10_000, help="phones that register at once (default 10000)")
    parser.add_argument("--only-overload", action="store_true", help="neither junk nor phones")
    parser.add_argument("--only-junk", action="store_true", help="only junk and phones")
    return parser.parse_args()


@contextmanager
def _apart() -> Iterator[Sequence[str]]:
    """Keep this process and its children off one core; yield the command that puts the switch on it."""
    cores = os.sched_getaffinity(0)
    if len(cores) < 2:
        yield ()
        return
    own = min(cores)
    os.sched_setaffinity(0, cores - {own})
    try:
        yield ("taskset", "--cpu-list", str(own))
    finally:
        os.sched_setaffinity(0, cores)


def flood(target: Target, rate: int, seconds: int) -> Flood:
    """Offer calls at an even rate."""
    with tempfile.TemporaryDirectory(prefix="vosd-flood-") as scratch, vendor(Path(scratch)):
        return _flood(target, rate, seconds, Path(scratch))


def _flood(target: Target, rate: int, seconds: int, scratch: Path) -> Flood:
    calls = rate * seconds
    with Sipp(
        SCENARIOS / "flood.xml", CALLER, target.address, scratch=scratch, calls=calls, trace=False,
        timeout_s=seconds + 40,
        options=("-r", str(rate), "-l", str(calls), "-d", str(HELD_MS), "-max_recv_loops", "5000",
                 "-buff_size", "4194304"),
    ) as calling:  # fmt: skip
        calling.join()
    counts = calling.counts()
    answered, refused, completed = (int(counts[f"GenericCounter{number}(C)"]) for number in (1, 2, 3))
    return Flood(
        offered=rate,
        completed=completed / seconds,
        refused=refused / seconds,
        lost=answered - completed,
        failed=calls - completed - refused,
    )


def _overload(target: Target, seconds: int) -> list[bool]:
    """Measure the highest rate, offer three times that, and measure the recovery."""
    most = 0.0
    for rate in RATES:
        outcome = flood(target, rate, CLIMB_S)
        most = max(most, outcome.completed)
        _print(outcome)
        if outcome.completed < rate * 0.9:
            break
    rate = round(FLOOD_TIMES * most)
    with tempfile.TemporaryDirectory(prefix="vosd-flood-") as scratch, vendor(Path(scratch)):
        with _held(target, Path(scratch), seconds + 6) as held:
            began = time.perf_counter()
            outcome = _flood(target, rate, seconds, Path(scratch))
            recovery_s = _recovery(target, began + seconds)
            held.join()
        kept = int(held.counts()["SuccessfulCall(C)"])
    _print(outcome)
    share = outcome.completed / most
    CONSOLE.print(f"{share:.0%} of its most, {most:.0f}/s, at {FLOOD_TIMES} times that")
    CONSOLE.print(f"calls dropped: {outcome.lost} of the flood, {HELD_CALLS - kept} of {HELD_CALLS} that talked before")
    CONSOLE.print(f"every call within {GOAL_SETUP_MS:.0f} ms again {recovery_s:.1f} s after the flood, or sooner")
    return [
        share >= GOAL_COMPLETED, outcome.lost == 0, kept == HELD_CALLS, recovery_s <= GOAL_RECOVERY_S
    ]  # fmt: skip


@contextmanager
def _held(target: Target, scratch: Path, seconds: int) -> Iterator[Sipp]:
    """Hold established calls during the block."""
    with Sipp(
        SCENARIOS / "caller.xml", HOLDER, target.address, scratch=scratch, calls=HELD_CALLS, trace=False,
        timeout_s=seconds + 60, options=("-r", "200", "-l", str(HELD_CALLS), "-d", str(seconds * 1000)),
    ) as holding:  # fmt: skip
        while target.held is not None and target.held() < HELD_CALLS:
            time.sleep(0.1)
        yield holding


def _recovery(target: Target, ended: float) -> float:
    """Return when the last call after a flood failed or was slow, in seconds after its end.

    If none did, it is the start of the measurement, after the last call of the flood.
    """
    last = time.perf_counter() - ended
    with Peer(PROBE) as peer:
        number = 0
        while (since := time.perf_counter() - ended) < GOAL_RECOVERY_S + 1:
            number += 1
            try:
                wait_ms = wait_of(OutgoingCall(peer, target.address, f"442079460{number:03}"))
            except UnexpectedError:
                wait_ms = float("inf")
            if wait_ms > GOAL_SETUP_MS:
                last = since
            peer.messages(0.02)
    return last


def _junk(target: Target, rate: int, seconds: int) -> list[bool]:
    """Run calls beside junk: blocked by the kernel, then by the switch, then BYEs with the customer's address."""
    quiet, _ = _beside(target, seconds)
    CONSOLE.print(f"set-up p50 / p99 at {BESIDE_JUNK} calls/s: {quiet.p50:.2f} / {quiet.p99:.2f} ms")
    goals = [_under_junk(target, rate, seconds, "kept out by the kernel")]
    assert target.daemon is not None, "it is ours"
    text = target.daemon.configuration_file.read_text()
    target.daemon.configure(text.replace("sip:\n", "sip:\n  shield: {block: 0}\n", 1))
    target.daemon.succeed("reload")
    goals.append(_under_junk(target, rate, seconds, "dropped by the switch"))
    return [*goals, _under_junk(target, rate, seconds, "in the customer's name", CALLER.host, "bye")]


def _under_junk(target: Target, rate: int, seconds: int, how: str, source: str = JUNK_SOURCE, *what: str) -> bool:
    command = ["bench.junk", *map(str, (*target.address, source, rate, seconds + 4)), *what]
    loaded, failed, sent = _beside_program(target, seconds, command)
    CONSOLE.print(f"under {sent}, {how}: {loaded.p50:.2f} / {loaded.p99:.2f} ms, calls failed: {failed}")
    return loaded.p99 < GOAL_SETUP_MS and not failed


def _outage(target: Target, phones: int, seconds: int) -> bool:
    """Run calls while many phones register at the same moment; each is challenged first."""
    assert target.daemon is not None, "it is ours"
    text = target.daemon.configuration_file.read_text()
    target.daemon.configure(text + PHONE)
    target.daemon.succeed("reload")
    loaded, failed, summary = _beside_program(target, seconds, ["bench.outage", *map(str, (*target.address, phones))])
    CONSOLE.print(f"{summary}; calls beside: {loaded.p50:.2f} / {loaded.p99:.2f} ms, failed: {failed}")
    return loaded.p99 < GOAL_SETUP_MS and not failed and "all but 0 " in summary


def _beside_program(target: Target, seconds: int, command: Sequence[str]) -> tuple[Latency, int, str]:
    """Run calls beside a program; return the latency, the number of failures, and the last that the program says."""
    program = subprocess.Popen([sys.executable, "-m", *command], stdout=subprocess.PIPE, text=True)
    try:
        latency, failed = _beside(target, seconds)
    finally:
        summary = program.communicate()[0].strip().rpartition("\n")[2]
    return latency, failed, summary


def _beside(target: Target, seconds: int) -> tuple[Latency, int]:
    """Load the switch a little; return a probe's latency, and the number of failed calls."""
    calls = BESIDE_JUNK * seconds
    with tempfile.TemporaryDirectory(prefix="vosd-junk-") as scratch, vendor(Path(scratch)):
        with caller(Path(scratch), target.address, rate=BESIDE_JUNK, calls=calls, held_ms=HELD_MS) as calling:
            latency = measure(target.address, seconds)
            calling.join()
        failed = calls - int(calling.counts()["SuccessfulCall(C)"]) + latency.failed
    return latency, failed


def _print(outcome: Flood) -> None:
    CONSOLE.print(
        f"{outcome.offered:>6} calls/s offered: {outcome.completed:7.0f} completed, {outcome.refused:7.0f} refused,"
        f" {outcome.lost} lost, {outcome.failed} failed"
    )


if __name__ == "__main__":
    sys.exit(main())
