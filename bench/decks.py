"""``python -m bench.decks``: imports of a large deck of rates beside calls, and their rollback.

If permitted, the run takes precedence over other processes.
"""

import argparse
import os
import signal
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from vosd.testing.process.daemon import Daemon

from .load import HELD_MS, caller, vendor
from .rates import _OWN_RATES, CONSOLE, START_SECONDS, _judge, _part, _timed, _waits, write_deck
from .targets import SWITCH, configuration

CALLS_A_SECOND = 100
GOAL_TRIAL_S = 30.0
GOAL_IMPORT_S = 60.0
GOAL_ROLLBACK_S = 5.0
GOAL_SETUP_MS = 20.0


def main() -> int:
    """Run all and print the results; return 1 if calls failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.decks", description=__doc__)
    parser.add_argument("--rates", type=int, default=500_000, help="rates of the deck")
    parser.add_argument("--calls", type=int, default=CALLS_A_SECOND, help="calls a second beside the import")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long calls are measured before it")
    arguments = parser.parse_args()
    with suppress(OSError):  # other processes of the machine delay what is measured
        os.nice(-10)
        Path("/proc/self/autogroup").write_text("-10")
    with tempfile.TemporaryDirectory(prefix="vosd-decks-") as name:
        directory = Path(name)
        text = configuration("sqlite+aiosqlite:///$directory/vosd.db")
        daemon = Daemon(directory, _OWN_RATES.sub(r"\1    deck: true\n", text), start_seconds=START_SECONDS)
        daemon.migrate()
        write_deck(directory / "first.csv", arguments.rates, seed=1)
        next_text = (directory / "first.csv").read_text().replace(",60\n", ",30\n")
        (directory / "next.csv").write_text(next_text)
        daemon.start()
        try:
            seconds, _ = _until_live(daemon, "import", "sell", str(directory / "first.csv"))
            _judge("first import, as a whole", seconds, GOAL_IMPORT_S, "s")
            trial = _timed(lambda: daemon.succeed("rates", "import", "sell", str(directory / "next.csv"), "--dry-run"))
            _judge("trial", trial, GOAL_TRIAL_S, "s")
            daemon.succeed("payment", "add", "--account", "acme", "--amount", "1000000")
            failed = _beside_calls(daemon, str(directory / "next.csv"), arguments)
            seconds, behind = _until_live(daemon, "rollback", "sell")
            _judge("rollback", seconds, GOAL_ROLLBACK_S, "s")
            CONSOLE.print(f"in force {behind:.1f} s after the command ended")
        finally:
            daemon.kill()
    return 1 if failed else 0


def _until_live(daemon: Daemon, *words: str) -> tuple[float, float]:
    """Return how long a verb takes until the switch uses its rates, and how much of that is after its end."""
    before, began = _catalogue(daemon), time.perf_counter()
    daemon.succeed("rates", *words)
    ended = time.perf_counter()
    while _catalogue(daemon) == before:
        time.sleep(0.1)
    now = time.perf_counter()
    return now - began, now - ended


def _catalogue(daemon: Daemon) -> str:
    version: str = daemon.ask("status")["catalogue"]["version"]
    return version


def _beside_calls(daemon: Daemon, file: str, arguments: argparse.Namespace) -> int:
    """Import a deck beside calls, and return how many calls failed."""
    rate: int = arguments.calls
    with (
        tempfile.TemporaryDirectory(prefix="vosd-bench-") as scratch,
        vendor(Path(scratch)),
        ThreadPoolExecutor(1) as background,
    ):
        with caller(Path(scratch), SWITCH, rate=rate, calls=rate * 600, held_ms=HELD_MS) as calling:
            before, failed_before = _waits(_over(arguments.seconds))
            importing = background.submit(lambda: _until_live(daemon, "import", "sell", file))
            beside, failed_beside = _waits(importing.done)
            os.kill(calling.pid, signal.SIGUSR1)  # no new calls
            calling.join()
        counts = calling.counts()
    failed = int(counts["FailedCall(C)"]) + failed_before + failed_beside
    seconds, behind = importing.result()
    CONSOLE.print(
        f"import of {arguments.rates:,} rates beside {rate} calls/s: {seconds:.1f} s, "
        f"in force {behind:.1f} s after the command ended"
    )
    for what, waits in (("before", before), ("beside", beside)):
        p50, p99, worst = _part(waits, 0.5), _part(waits, 0.99), waits[-1]
        CONSOLE.print(f"INVITE to 180 {what} it: p50 {p50:.1f}, p99 {p99:.1f}, worst {worst:.1f} ms of {len(waits)}")
    _judge("p99 moves by", _part(beside, 0.99) - _part(before, 0.99), GOAL_SETUP_MS, "ms")
    CONSOLE.print(f"calls failed: {failed} of {counts['TotalCallCreated']}")
    return failed


def _over(seconds: float) -> Callable[[], bool]:
    began = time.perf_counter()
    return lambda: time.perf_counter() - began > seconds


if __name__ == "__main__":
    raise SystemExit(main())
