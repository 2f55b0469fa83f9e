"""``python -m bench.rates``: what a large table of rates costs: start, memory, look-ups, a reload beside calls.

If permitted, the run takes precedence over other processes.
"""

import argparse
import os
import re
import signal
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random

from doubles.process.daemon import Daemon
from doubles.sockets.peer import OutgoingCall, Peer, UnexpectedError
from rich.console import Console

from vosd.billing.ports import RateTable
from vosd.billing.rate_rows import RateRows
from vosd.config.assembly.rate_store import DIRECTORY, RateStore

from .latency import PAUSE_SECONDS, PROBE, wait_of
from .load import HELD_MS, caller, vendor
from .process import resident_bytes
from .targets import SWITCH, configuration

CALLS_A_SECOND = 200
START_SECONDS = 600.0
LOOKUPS = 200_000
AREAS = 3_000
GOAL_FIRST_START_S = 15.0
GOAL_NEXT_START_S = 1.0
GOAL_BYTES_A_ROW = 40.0
GOAL_RELOAD_MS = 20.0
CONSOLE = Console(width=140, highlight=False)
_OWN_RATES = re.compile(r"(  - name: sell\n)    rates:\n(?:      - .*\n)+")


def main() -> int:
    """Run all and print the results; return 1 if calls failed."""
    arguments = _arguments()
    with suppress(OSError):  # other processes of the machine delay what is measured
        os.nice(-10)
        Path("/proc/self/autogroup").write_text("-10")
    with tempfile.TemporaryDirectory(prefix="vosd-rates-") as name:
        directory = Path(name)
        text = configuration("sqlite+aiosqlite:///$directory/vosd.db")
        small = _start(directory, text)
        large = _OWN_RATES.sub(r"\1    rates_file: sell.csv\n", text)
        write_deck(directory / "sell.csv", arguments.rates, seed=1)
        daemon = Daemon(directory, large, start_seconds=START_SECONDS)
        seconds = [_timed(daemon.start)]
        daemon.interrupt()
        seconds.append(_timed(daemon.start))
        try:
            files = [*(directory / "var" / DIRECTORY).iterdir()]
            held = resident_bytes(daemon.pid) - small[1]
            CONSOLE.print(f"start without rates {small[0]:.1f} s; the first start compiles {arguments.rates:,} rates")
            _judge("first start", seconds[0], GOAL_FIRST_START_S, "s")
            _judge("next start, beyond one without rates", seconds[1] - small[0], GOAL_NEXT_START_S, "s")
            _judge("memory of the daemon", held / arguments.rates, GOAL_BYTES_A_ROW, "bytes a row")
            CONSOLE.print(f"file: {files[0].stat().st_size / arguments.rates:.1f} bytes a row")
            _look_up(RateStore(files[0].parent).open(files[0].name))
            daemon.succeed("payment", "add", "--account", "acme", "--amount", "1000000", "--yes")
            failed = _reload(daemon, directory, arguments)
        finally:
            daemon.kill()
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.rates", description=__doc__)
    parser.add_argument("--rates", type=int, default=1_000_000, help="rows of the table (default 1000000)")
    parser.add_argument("--calls", type=int, default=CALLS_A_SECOND, help="calls a second beside the reload")
    parser.add_argument("--seconds", type=float, default=10, help="length of the load before the reload (default 10)")
    return parser.parse_args()


def write_deck(path: Path, rates: int, seed: int) -> None:
    """Write a table with prefixes of 1 to 9 digits, so that a number finds several."""
    draw = Random(seed)
    prefixes = {"44", "4420", "*"}
    while len(prefixes) < rates:
        prefixes.add(str(draw.randrange(1, 10 ** draw.choice((3, 4, 5, 6, 7, 8, 9)))))
    with path.open("w") as file:
        file.write("prefix,area,rate_type,billing_rate,billing_cycle\n")
        for prefix in sorted(prefixes):
            price = draw.randrange(1_000, 90_000)
            area = hash(prefix[:4]) % AREAS
            file.write(f"{prefix},Area {area},international,0.{price:05},{draw.choice((1, 6, 60))}\n")


def _start(directory: Path, text: str) -> tuple[float, int]:
    """Return how long a start without a large table takes, and the memory of the switch."""
    daemon = Daemon(directory, text)
    daemon.migrate()
    try:
        seconds = _timed(daemon.start)
        memory = resident_bytes(daemon.pid)
        daemon.interrupt()
    finally:
        daemon.kill()
    return seconds, memory


def _timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def _judge(what: str, value: float, goal: float, unit: str) -> None:
    verdict = "reached" if value <= goal else "missed"
    CONSOLE.print(f"{what}: {value:.1f} {unit} (goal {goal:g}: {verdict})")


def _look_up(table: RateTable | None) -> None:
    """Compare a look-up in the file with one among objects."""
    assert table is not None
    draw = Random(2)
    prefixes = [prefix for prefix in table.prefixes() if prefix != "*"]
    rows = RateRows((rate for each in prefixes if (rate := table.find(each, 0)) is not None), "1")
    numbers = [f"{draw.choice(prefixes)}{draw.randrange(10**6)}" for _ in range(LOOKUPS)]
    for what, called in (("any number", numbers), ("300 numbers", numbers[:300] * (LOOKUPS // 300))):
        file_us, rows_us = (1e6 * _timed(partial(_find_all, each, called)) / len(called) for each in (table, rows))
        CONSOLE.print(f"look-up of {what}: {file_us:.2f} µs in the file, {rows_us:.2f} µs among objects in memory")


def _find_all(table: RateTable, numbers: list[str]) -> None:
    for number in numbers:
        table.find(number, 0)


def _reload(daemon: Daemon, directory: Path, arguments: argparse.Namespace) -> int:
    """Reload another table beside calls, and return how many calls failed."""
    write_deck(directory / "next.csv", arguments.rates, seed=1)
    text = (directory / "next.csv").read_text().replace(",60\n", ",30\n")
    (directory / "sell.csv").write_text(text)
    with (
        tempfile.TemporaryDirectory(prefix="vosd-bench-") as scratch,
        vendor(Path(scratch)),
        ThreadPoolExecutor(1) as background,
    ):
        rate = arguments.calls
        with caller(Path(scratch), SWITCH, rate=rate, calls=rate * 600, held_ms=HELD_MS) as calling:
            began = time.perf_counter()
            before, failed_before = _waits(lambda: time.perf_counter() - began > arguments.seconds)
            reload = background.submit(lambda: _timed(lambda: daemon.succeed("reload", "--yes")))
            beside, failed_beside = _waits(reload.done)
            CONSOLE.print(f"reload of {arguments.rates:,} rates beside {rate} calls/s: {reload.result():.1f} s")
            os.kill(calling.pid, signal.SIGUSR1)  # no new calls
            calling.join()
        counts = calling.counts()
    failed = int(counts["FailedCall(C)"]) + failed_before + failed_beside
    for what, waits in (("before", before), ("beside", beside)):
        p50, p99, worst = _part(waits, 0.5), _part(waits, 0.99), waits[-1]
        CONSOLE.print(f"INVITE to 180 {what} it: p50 {p50:.1f}, p99 {p99:.1f}, worst {worst:.1f} ms of {len(waits)}")
    _judge("p99 moves by", _part(beside, 0.99) - _part(before, 0.99), GOAL_RELOAD_MS, "ms")
    CONSOLE.print(f"calls failed: {failed} of {counts['TotalCallCreated']}")
    return failed


def _waits(is_over: Callable[[], bool]) -> tuple[list[float], int]:
    """Make one call after the other; return the times from INVITE to 180 in order, and how many calls failed."""
    waits: list[float] = []
    failed = 0
    with Peer(PROBE) as peer:
        while not is_over():
            try:
                waits.append(wait_of(OutgoingCall(peer, SWITCH, f"442079460{len(waits) % 1000:03}")))
            except UnexpectedError:
                failed += 1
            peer.messages(PAUSE_SECONDS)
    return sorted(waits), failed


def _part(waits: list[float], part: float) -> float:
    return waits[int(len(waits) * part)]


if __name__ == "__main__":
    raise SystemExit(main())
