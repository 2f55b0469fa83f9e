"""A switch under an even load for an hour: what grows? ``python -m bench.soak [--minutes 60] [--rate 20] [--relayed]``.

SIPp calls through the daemon on MariaDB, with metrics that are read with each sample. Each minute, or more often, a
sample is taken of the memory and descriptors of the switch and of its other processes, and of the figures of
``vosd status``. At the end each must be flat, every call must have succeeded, and the money of all calls must be
booked. Relayed calls have a second of sound in both directions, and must leave no port and no descriptor behind. The
exit code says whether all is well.
"""

import argparse
import csv
import json
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations
from pathlib import Path
from typing import Final
from urllib.request import urlopen

from doubles.process.daemon import Daemon
from doubles.process.mariadb import FAST, MariaDb
from doubles.sockets.captures import SentPacket, write_capture
from doubles.sockets.loopback import Endpoint
from doubles.sockets.sipp import Sipp

from .process import family_cpu_of, resident_bytes
from .targets import CONFIGURATION

SCENARIOS = Path(__file__).with_name("scenarios")
SWITCH, METRICS = Endpoint("127.0.77.1", 15_400), Endpoint("127.0.77.1", 15_401)
CALLER, VENDOR = Endpoint("127.0.77.11", 15_402), Endpoint("127.0.77.21", 15_403)
PAID = Decimal(1_000_000)
TALK_S = 20
SOUND = tuple(SentPacket(number, 160 * number, 20_000 * number) for number in range(50))
"""A second of G.711."""
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

BOUNDS_OF_RELAYED: Mapping[str, Bound] = {
    **BOUNDS,
    "memory of the relay": Bound(1 * MIB),
    "descriptors": Bound(40, relative=0.1),
    "media_ports": Bound(20, relative=0.1),
    "media_legs": Bound(10, relative=0.1),
}
"""Each port has sockets in two processes."""
AT_REST: Final = ("media_ports", "media_legs", "sockets of UDP")
"""Figures that are as before when the last relayed call is over."""


@dataclass(frozen=True)
class Order:
    """The load, and how often it is looked at."""

    minutes: int
    rate: int
    talk_s: int
    every_s: int
    is_relayed: bool

    @property
    def calls(self) -> int:
        """All calls."""
        return self.rate * self.minutes * 60


def sample(daemon: Daemon) -> dict[str, float]:
    """Return all figures as they are now."""
    pid = daemon.pid
    others = [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]
    relays = [each for each in others if b"vosd.relay" in Path(f"/proc/{each}/cmdline").read_bytes()]
    status = daemon.ask("status")
    with urlopen(f"http://{METRICS}/metrics", timeout=30) as answer:
        answer.read()
    return {
        "memory of the switch": resident_bytes(pid),
        "memory of its other processes": sum(map(resident_bytes, others)),
        "memory of the relay": sum(map(resident_bytes, relays)),
        "descriptors": sum(len(list(Path(f"/proc/{each}/fd").iterdir())) for each in (pid, *others)),
        "sockets of UDP": sum(map(_sockets_of, (pid, *relays))),
        "processor seconds": family_cpu_of(pid).total,
        **{name: status[name] for name in BOUNDS_OF_RELAYED if name in status},
    }


def _sockets_of(pid: int) -> int:
    """Count the sockets for UDP of a process that goes on meanwhile."""
    udp = {f"socket:[{line.split()[9]}]" for line in Path("/proc/net/udp").read_text().splitlines()[1:]}
    found = 0
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found += each.readlink().name in udp
    return found


def growth(times: Sequence[float], values: Sequence[float]) -> float:
    """Return by how much a figure has grown: the median of the slopes of all pairs of samples, over the whole time.

    A few outliers do not change it (Theil and Sen).
    """
    slopes = [
        (values[later] - values[earlier]) / (times[later] - times[earlier])
        for earlier, later in combinations(range(len(times)), 2)
    ]
    return statistics.median(slopes) * (times[-1] - times[0]) if slopes else 0.0


def judge(samples: Sequence[Mapping[str, float]], rate: int, bounds: Mapping[str, Bound]) -> list[str]:
    """Print each figure with its growth; return those that are not flat."""
    began = samples[-1]["at"] * EVENING_OUT
    judged = [each for each in samples if each["at"] >= began]
    times = [each["at"] for each in judged]
    calls = round(rate * (times[-1] - times[0]))
    grown = []
    print(f"judged: {len(judged)} samples in {times[-1] - times[0]:.0f} s, {calls} calls")
    for name, bound in bounds.items():
        values = [each[name] for each in judged]
        by, median = growth(times, values), statistics.median(values)
        is_flat = bound.allows(by, calls, median)
        print(f"  {name}: {min(values):.0f} to {max(values):.0f}, grown by {by:+.1f}{'' if is_flat else '  NOT FLAT'}")
        if not is_flat:
            grown.append(name)
    return grown


def load(order: Order, scratch: Path) -> tuple[Sipp, Sipp]:
    """Return the caller and the called side."""
    longest_s = order.calls // order.rate + order.talk_s + 120
    buffers = ("-buff_size", "2097152")
    names = ("caller.xml", "vendor.xml")
    called, calling = (SCENARIOS / name for name in reversed(names))
    if order.is_relayed:
        write_capture(scratch / "sound.pcap", SOUND)
        calling, called = (_with_sound(name, scratch) for name in names)
    vendor = Sipp(
        called, VENDOR, scratch=scratch, calls=None, trace=False, timeout_s=longest_s + 60, options=buffers
    )  # fmt: skip
    caller = Sipp(
        calling, CALLER, SWITCH, scratch=scratch, calls=order.calls, trace=False, timeout_s=longest_s,
        options=("-r", str(order.rate), "-l", str(order.calls), "-d", str(1_000 * order.talk_s), *buffers),
    )  # fmt: skip
    return caller, vendor


def _with_sound(name: str, scratch: Path) -> Path:
    """Write a scenario whose party sends a second of sound once the call is answered."""
    text = (SCENARIOS / name).read_text()
    play = f'<nop><action><exec play_pcap_audio="{scratch / "sound.pcap"}"/></action></nop>'
    text = re.sub(r"m=audio \d+ ", "m=audio [auto_media_port] ", text)
    for before in ("  <pause/>\n", '  <recv request="BYE"/>\n'):
        text = text.replace(before, f"  {play}\n{before}")
    scenario = scratch / name
    scenario.write_text(text)
    return scenario


def configuration(database_url: str, *, is_relayed: bool) -> str:
    """Return the configuration of the benchmarks at the addresses of this one, with metrics."""
    text = CONFIGURATION.read_text().replace("127.0.0.1/32", f"{CALLER.host}/32")
    for name, value in (("switch", SWITCH), ("vendor", VENDOR), ("database", database_url)):
        text = text.replace(f"${name}", str(value))
    media = "media: {engine: relay, mode: on}\n" if is_relayed else ""
    return f"{text}{media}metrics: {{listen: '{METRICS}'}}\n"


def until(at: float, is_over: Callable[[], bool]) -> None:
    """Wait until a moment, or until the load is over."""
    while time.monotonic() < at and not is_over():
        time.sleep(1)


def run(order: Order, directory: Path) -> list[str]:
    """Return what was wrong."""
    (directory / "mariadb").mkdir()
    server = MariaDb(directory / "mariadb", FAST)
    server.start()
    with ExitStack() as running:
        running.callback(server.kill)
        text = configuration(server.create_database("vosd"), is_relayed=order.is_relayed)
        daemon = running.enter_context(Daemon(directory, text))
        daemon.succeed("payment", "add", "--account", "acme", "--amount", str(PAID))
        caller, vendor = load(order, directory)
        at_rest = sample(daemon)
        running.enter_context(vendor)
        running.enter_context(caller)
        samples = _sampled(daemon, order, directory / "samples.csv", lambda: caller.is_over)
        caller.join()
        counted = caller.counts()
        bounds = BOUNDS_OF_RELAYED if order.is_relayed else BOUNDS
        wrong = [f"{name} grows" for name in judge(samples, order.rate, bounds)]
        succeeded, repeated = counted["SuccessfulCall(C)"], counted["Retransmissions(C)"]
        print(f"{succeeded} of {order.calls} calls succeeded, {repeated} retransmissions")
        if succeeded != str(order.calls):
            wrong.append(f"{counted['FailedCall(C)']} calls failed")
        wrong += books(daemon, order.calls)
        return wrong + left(at_rest, sample(daemon)) + unheard(daemon) if order.is_relayed else wrong


def _sampled(daemon: Daemon, order: Order, table: Path, is_over: Callable[[], bool]) -> list[dict[str, float]]:
    began = time.monotonic()
    last = began + 60 * order.minutes - order.talk_s  # the calls of the last seconds are fewer and fewer
    samples: list[dict[str, float]] = []
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        while (at := began + order.every_s * (len(samples) + 1)) <= last:
            until(at, is_over)
            if is_over():
                break
            samples.append({"at": time.monotonic() - began, **sample(daemon)})
            if len(samples) == 1:
                rows.writerow(samples[0])
            rows.writerow([round(value, 1) for value in samples[-1].values()])
            file.flush()
            print(json.dumps({name: round(value, 1) for name, value in samples[-1].items()}), flush=True)
    return samples


def left(before: Mapping[str, float], after: Mapping[str, float]) -> list[str]:
    """Print what is there when all relayed calls are over, and return what is more than before the first one."""
    for name in AT_REST:
        print(f"  {name} at rest: {before[name]:.0f} before the first call, {after[name]:.0f} after the last one")
    return [f"{name} are left" for name in AT_REST if after[name] > before[name]]


def unheard(daemon: Daemon) -> list[str]:
    """Return whether the last calls were not relayed the sound of both parties."""
    for record in daemon.ask("cdr", "list", "--limit", "20"):
        media = record["media"]
        legs = (json.loads(media) if isinstance(media, str) else media)["legs"].values()
        if any(min(leg["packets_in"], leg["packets_out"]) < len(SOUND) // 2 for leg in legs):
            return [f"a call without sound: {media}"]
    return []


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
    parser.add_argument("--talk", type=int, default=TALK_S, help="seconds of a call")
    parser.add_argument("--every", type=int, default=60, help="seconds between two samples")
    parser.add_argument("--relayed", action="store_true", help="calls have media, which the switch relays")
    chosen = parser.parse_args()
    order = Order(chosen.minutes, chosen.rate, chosen.talk, chosen.every, chosen.relayed)
    directory = Path(tempfile.mkdtemp(prefix="vosd-soak-"))
    kind = "relayed calls" if order.is_relayed else "calls"
    print(f"{order.minutes} minutes at {order.rate} {kind}/s of {order.talk_s} s; files in {directory}", flush=True)
    wrong = run(order, directory)
    print("\n".join(wrong) or "flat")
    if not wrong:
        shutil.rmtree(directory)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
