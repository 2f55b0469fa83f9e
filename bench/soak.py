"""A switch under an even load for an hour: what grows? ``python -m bench.soak [--minutes 60] [--rate 20]``.

SIPp calls through the daemon on MariaDB, with metrics that are read each minute. Each minute a sample is taken of the
memory and descriptors of the switch and of its other processes, and of the figures of ``vosd status``. At the end each
must be flat, every call must have succeeded, and the money of all calls must be booked. The exit code says so.
"""

import argparse
import csv
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations
from pathlib import Path
from urllib.request import urlopen

from doubles.process.daemon import Daemon
from doubles.process.mariadb import FAST, MariaDb
from doubles.sockets.loopback import Endpoint
from doubles.sockets.sipp import Sipp

from .process import family_cpu_of, resident_bytes
from .targets import CONFIGURATION

SCENARIOS = Path(__file__).with_name("scenarios")
SWITCH, METRICS = Endpoint("127.0.77.1", 15_400), Endpoint("127.0.77.1", 15_401)
CALLER, VENDOR = Endpoint("127.0.77.11", 15_402), Endpoint("127.0.77.21", 15_403)
PAID = Decimal(1_000_000)
TALK_S = 20
EVENING_OUT = 1 / 6
"""Share of the run at its beginning that is not judged: caches fill, and so do the windows of the statistics."""
MIB = 1 << 20


@dataclass(frozen=True)
class Bound:
    """How much a figure may grow while it is judged."""

    absolute: float
    a_call: float = 0.0
    relative: float = 0.0
    """Of its median."""

    def allows(self, growth: float, calls: int, median: float) -> bool:
        """Return whether the figure counts as flat."""
        return growth <= self.absolute + self.a_call * calls + self.relative * abs(median)


BOUNDS: Mapping[str, Bound] = {
    "memory of the switch": Bound(2 * MIB, a_call=32),
    "memory of its other processes": Bound(2 * MIB, a_call=32),
    "descriptors": Bound(2),
    "calls": Bound(10, relative=0.1),
    "dialogs": Bound(20, relative=0.1),
    "transactions": Bound(50, relative=0.1),
    "timers": Bound(50, relative=0.1),
    "holds": Bound(10, relative=0.1),
    "spool_rows": Bound(20),
    "cdr_queue": Bound(20),
}
"""By figure; 32 bytes a call are 2 MB an hour at 20 calls/s, which is less than CPython's heap moves by itself."""


def sample(daemon: Daemon) -> dict[str, float]:
    """Return all figures as they are now."""
    pid = daemon.pid
    others = [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]
    status = daemon.ask("status")
    with urlopen(f"http://{METRICS}/metrics", timeout=30) as answer:
        answer.read()
    return {
        "memory of the switch": resident_bytes(pid),
        "memory of its other processes": sum(map(resident_bytes, others)),
        "descriptors": sum(len(list(Path(f"/proc/{each}/fd").iterdir())) for each in (pid, *others)),
        "processor seconds": family_cpu_of(pid).total,
        **{name: status[name] for name in BOUNDS if name in status},
    }


def growth(times: Sequence[float], values: Sequence[float]) -> float:
    """Return by how much a figure has grown: the median of the slopes of all pairs of samples, over the whole time.

    A few outliers do not change it (Theil and Sen).
    """
    slopes = [
        (values[later] - values[earlier]) / (times[later] - times[earlier])
        for earlier, later in combinations(range(len(times)), 2)
    ]
    return statistics.median(slopes) * (times[-1] - times[0]) if slopes else 0.0


def judge(samples: Sequence[Mapping[str, float]], rate: int) -> list[str]:
    """Print each figure with its growth; return those that are not flat."""
    began = samples[-1]["at"] * EVENING_OUT
    judged = [each for each in samples if each["at"] >= began]
    times = [each["at"] for each in judged]
    calls = round(rate * (times[-1] - times[0]))
    grown = []
    print(f"judged: {len(judged)} samples in {times[-1] - times[0]:.0f} s, {calls} calls")
    for name, bound in BOUNDS.items():
        values = [each[name] for each in judged]
        by, median = growth(times, values), statistics.median(values)
        is_flat = bound.allows(by, calls, median)
        print(f"  {name}: {min(values):.0f} to {max(values):.0f}, grown by {by:+.1f}{'' if is_flat else '  NOT FLAT'}")
        if not is_flat:
            grown.append(name)
    return grown


def load(rate: int, calls: int, scratch: Path) -> tuple[Sipp, Sipp]:
    """Return the caller and the called side."""
    longest_s = calls // rate + TALK_S + 120
    buffers = ("-buff_size", "2097152")
    vendor = Sipp(
        SCENARIOS / "vendor.xml", VENDOR, scratch=scratch, calls=None, trace=False, timeout_s=longest_s + 60,
        options=buffers,
    )  # fmt: skip
    caller = Sipp(
        SCENARIOS / "caller.xml", CALLER, SWITCH, scratch=scratch, calls=calls, trace=False, timeout_s=longest_s,
        options=("-r", str(rate), "-l", str(calls), "-d", str(1_000 * TALK_S), *buffers),
    )  # fmt: skip
    return caller, vendor


def configuration(database_url: str) -> str:
    """Return the configuration of the benchmarks at the addresses of this one, with metrics."""
    text = CONFIGURATION.read_text().replace("127.0.0.1/32", f"{CALLER.host}/32")
    for name, value in (("switch", SWITCH), ("vendor", VENDOR), ("database", database_url)):
        text = text.replace(f"${name}", str(value))
    return f"{text}metrics: {{listen: '{METRICS}'}}\n"


def until_minute(began: float, minute: int, is_over: Callable[[], bool]) -> None:
    """Wait until so many minutes have passed, or the load is over."""
    while time.monotonic() < began + 60 * minute and not is_over():
        time.sleep(1)


def run(minutes: int, rate: int, directory: Path) -> list[str]:
    """Return what was wrong."""
    calls = rate * minutes * 60
    (directory / "mariadb").mkdir()
    server = MariaDb(directory / "mariadb", FAST)
    server.start()
    with ExitStack() as running:
        running.callback(server.kill)
        daemon = running.enter_context(Daemon(directory, configuration(server.create_database("vosd"))))
        daemon.succeed("payment", "add", "--account", "acme", "--amount", str(PAID))
        caller, vendor = load(rate, calls, directory)
        running.enter_context(vendor)
        running.enter_context(caller)
        began = time.monotonic()
        samples: list[dict[str, float]] = []
        table = running.enter_context((directory / "samples.csv").open("w", newline=""))
        rows = csv.writer(table)
        last = minutes - TALK_S / 60  # the calls of the last seconds are fewer and fewer
        for minute in range(1, minutes + 1):
            until_minute(began, minute, lambda: caller.is_over)
            if caller.is_over or (at := time.monotonic() - began) > 60 * last:
                break
            samples.append({"at": at, **sample(daemon)})
            if minute == 1:
                rows.writerow(samples[0])
            rows.writerow([round(value, 1) for value in samples[-1].values()])
            table.flush()
            print(json.dumps({name: round(value, 1) for name, value in samples[-1].items()}), flush=True)
        caller.join()
        counted = caller.counts()
        wrong = [f"{name} grows" for name in judge(samples, rate)]
        succeeded, repeated = counted["SuccessfulCall(C)"], counted["Retransmissions(C)"]
        print(f"{succeeded} of {calls} calls succeeded, {repeated} retransmissions")
        if succeeded != str(calls):
            wrong.append(f"{counted['FailedCall(C)']} calls failed")
        return wrong + books(daemon, calls)


def books(daemon: Daemon, calls: int) -> list[str]:
    """Compare the balance with the price of all calls; they last equally long, and so cost the same."""
    deadline = time.monotonic() + 120
    while (status := daemon.ask("status"))["calls"] or status["cdr_queue"] or status["spool_rows"]:
        if time.monotonic() > deadline:
            return [f"calls are left or not booked: {status}"]
        time.sleep(1)
    daemon.succeed("ledger", "verify")
    [record] = daemon.ask("cdr", "list", "--limit", "1")
    price = Decimal(record["fee"]) + Decimal(record["tax"])
    balance = Decimal(daemon.ask("account", "show", "acme")["balance"])
    print(f"balance {balance} after {calls} calls of {price}")
    return [] if balance == PAID - calls * price else [f"the balance should be {PAID - calls * price}"]


def main() -> int:
    """Run, and return 1 where something grows or fails."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--rate", type=int, default=20, help="calls a second")
    chosen = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="vosd-soak-"))
    print(f"{chosen.minutes} minutes at {chosen.rate} calls/s of {TALK_S} s; files in {directory}", flush=True)
    wrong = run(chosen.minutes, chosen.rate, directory)
    print("\n".join(wrong) or "flat")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
