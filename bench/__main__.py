"""``make bench``: the table of the cost of a call, and whether the goals are met.

``--compare`` measures Sippy's B2BUA in the same run, looks for the highest clean rate, measures the latency at half of
it, the switch with many accounts, and the overload. The exit code reports failed calls, not the speed of this machine.
"""

import argparse
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from .load import Outcome, bytes_per_held_call, highest_clean_rate, run
from .targets import Target, direct, on_mariadb, on_sqlite, sippy, sippy_executable

GOAL_CPU_MS = 0.5
GOAL_TIMES_CHEAPER = 6.5
MANY_ACCOUNTS = 100_000
CLIMB = (1_250, 1_500, 1_750, 2_000, 2_500, 3_000)
IDLE_RATE = 10
INSTALL_SIPPY = "Sippy is not installed: make bench-compare installs it"
CONSOLE = Console(width=180)


@dataclass(frozen=True)
class Row:
    """All measurements of one target."""

    name: str
    loaded: Outcome
    idle: Outcome
    highest: int | None
    half: Outcome | None
    """The load at half of the highest clean rate."""
    held_bytes: float | None


def main() -> int:
    """Run the chosen measurements and print the result."""
    arguments = _arguments()
    rows = []
    for place, rate, climbs in _contestants(arguments):
        with tempfile.TemporaryDirectory(prefix="vosd-bench-") as directory, place(Path(directory)) as target:
            CONSOLE.print(f"{target.name}: {rate} calls/s for {arguments.seconds} s …", style="dim")
            rows.append(_measure(target, rate, arguments, climbs))
    CONSOLE.print(_table(rows))
    CONSOLE.print(f"Interpreter: Python {platform.python_version()}, {Path(sys.executable).resolve()}", style="dim")
    CONSOLE.print(
        "CPU, user + system, database, SIPp: milliseconds of processor a call. p50/p99: milliseconds from INVITE to"
        " 180 at the caller, beyond what SIPp to SIPp takes.\nHeld: memory of a call in conversation. Clean: highest"
        " rate tried without a failed call or a repeated packet; half: latency at half of it. SIPp takes its share of"
        " the same cores.",
        style="dim",
    )
    subprocess.run([sys.executable, "-m", "bench.routing"], check=False)
    if arguments.compare:
        subprocess.run([sys.executable, "-m", "bench.overload"], check=False)
    return _verdict(rows)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rate", type=int, default=1_000, help="calls a second (default 1000)")
    parser.add_argument("--seconds", type=int, default=10, help="length of the load (default 10)")
    parser.add_argument("--held", type=int, default=2_000, help="calls held for the memory figure (default 2000)")
    parser.add_argument(
        "--compare", action="store_true", help="all comparisons, with Sippy's B2BUA where it is installed"
    )
    parser.add_argument("--compare-rate", type=int, default=100, help="calls a second for Sippy (default 100)")
    parser.add_argument("--climb", action="store_true", help="look for the highest clean rate")
    return parser.parse_args()


def _contestants(
    arguments: argparse.Namespace,
) -> list[tuple[Callable[[Path], AbstractContextManager[Target]], int, bool]]:
    contestants: list[tuple[Callable[[Path], AbstractContextManager[Target]], int, bool]] = [
        (lambda _directory: direct(), arguments.rate, False),
        (on_sqlite, arguments.rate, arguments.climb or arguments.compare),
        (on_mariadb, arguments.rate, arguments.climb or arguments.compare),
    ]
    if arguments.compare:
        contestants.append((partial(on_sqlite, accounts=MANY_ACCOUNTS), arguments.rate, False))
    if arguments.compare and sippy_executable():
        contestants.append((sippy, arguments.compare_rate, False))
    elif arguments.compare:
        CONSOLE.print(INSTALL_SIPPY, style="yellow")
    return contestants


def _measure(target: Target, rate: int, arguments: argparse.Namespace, climbs: bool) -> Row:
    held = bytes_per_held_call(target, arguments.held)
    idle = run(target, IDLE_RATE, 3)
    loaded = run(target, rate, arguments.seconds)
    highest = highest_clean_rate(target, CLIMB) if climbs else None
    half = run(target, highest // 2, arguments.seconds) if highest else None
    return Row(target.name, loaded, idle, highest, half, held)


def _table(rows: list[Row]) -> Table:
    table = Table(title="What a call costs", box=box.SIMPLE)
    for title in (
        "switch", "calls/s", "calls", "failed", "repeated", "CPU", "user + system", "database", "SIPp",
        "idle p50/p99", "loaded p50/p99", "held kB", "clean", "half p50/p99",
    ):  # fmt: skip
        table.add_column(title, justify="left" if title == "switch" else "right", no_wrap=True)
    base = rows[0]
    for row in rows:
        loaded = row.loaded
        table.add_row(
            row.name,
            str(loaded.rate),
            str(loaded.calls),
            str(loaded.failed),
            str(loaded.retransmissions),
            f"{loaded.cpu_ms:.3f}",
            f"{loaded.user_ms:.3f} + {loaded.system_ms:.3f}",
            "" if loaded.database_ms is None else f"{loaded.database_ms:.3f}",
            f"{loaded.sipp_ms:.3f}",
            _added(row.idle, base.idle if row is not base else None),
            _added(loaded, base.loaded if row is not base else None),
            "" if row.held_bytes is None else f"{row.held_bytes / 1024:.1f}",
            "" if row.highest is None else str(row.highest),
            "" if row.half is None else _added(row.half, base.loaded),
        )
    return table


def _added(outcome: Outcome, base: Outcome | None) -> str:
    p50 = outcome.latency.p50 - (base.latency.p50 if base else 0)
    p99 = outcome.latency.p99 - (base.latency.p99 if base else 0)
    return f"{'+' if base else ''}{p50:.2f} / {p99:.2f}"


def _verdict(rows: list[Row]) -> int:
    ours = [row for row in rows if row.name.startswith("vosd")]
    for row in ours:
        reached = "reached" if row.loaded.cpu_ms <= GOAL_CPU_MS else "MISSED"
        CONSOLE.print(f"{row.name}: at most {GOAL_CPU_MS} ms a call: {reached} ({row.loaded.cpu_ms:.3f})")
    for peer in rows[1 + len(ours) :]:
        times = peer.loaded.cpu_ms / max(row.loaded.cpu_ms for row in ours)
        reached = "reached" if times >= GOAL_TIMES_CHEAPER else "MISSED"
        CONSOLE.print(f"{GOAL_TIMES_CHEAPER} times cheaper than {peer.name}: {reached} ({times:.1f} times)")
    failed = sum(row.loaded.failed for row in ours)
    CONSOLE.print(f"calls failed: {failed or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
