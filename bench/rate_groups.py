"""``python -m bench.rate_groups``: the starts of a switch with very many rates, 30 million in 300 files.

First nothing is compiled, then everything is, then one file has changed. Counted are seconds until the switch
answers, processor time, and memory of the switch with all processes that compile for it: what is resident, ten times a
second, where a page that several of them use, of a mapped file or of the program, counts once (``Pss``).
"""

import argparse
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from random import Random
from threading import Event, Thread

from doubles.process.daemon import Daemon

from .process import proportional_bytes, resident_bytes
from .rates import CONSOLE, START_SECONDS, _judge, _timed
from .targets import configuration

GOAL_START_S = 60.0
GOAL_MIB = 2_048.0
GROUPS = 300
RATES = 30_000_000
DIFFERENT = 10
"""Files whose prefixes and prices differ; the others differ from these by their cycles, so that each has to be read."""
AREAS = 500


def main() -> int:
    """Run all and print the results."""
    parser = argparse.ArgumentParser(prog="python -m bench.rate_groups", description=__doc__)
    parser.add_argument("--rates", type=int, default=RATES, help="rates of all groups together")
    parser.add_argument("--groups", type=int, default=GROUPS, help="rate groups, each with a file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vosd-groups-") as name:
        directory = Path(name)
        write_decks(directory, arguments.groups, arguments.rates // arguments.groups)
        groups = "".join(f"  - name: g{group}\n    rates_file: g{group}.csv\n" for group in range(arguments.groups))
        text = configuration("sqlite+aiosqlite:///$directory/vosd.db")
        daemon = Daemon(
            directory, text.replace("rate_groups:\n", f"rate_groups:\n{groups}", 1), start_seconds=START_SECONDS
        )
        daemon.migrate()
        try:
            for what in ("nothing is compiled", "all is compiled", "one file has changed"):
                if what == "one file has changed":
                    (directory / "g0.csv").write_text((directory / "g0.csv").read_text().replace(",6\n", ",7\n"))
                with Memory(daemon) as memory:
                    seconds = _timed(daemon.start)
                CONSOLE.print(f"start where {what}, {arguments.rates:,} rates in {arguments.groups} files:")
                _judge("  time", seconds, GOAL_START_S, "s")
                used = processor_seconds(daemon.pid)
                CONSOLE.print(
                    f"  processor time of all processes: {used:.1f} s, {1e6 * used / arguments.rates:.2f} µs a rate"
                )
                _judge("  memory of all processes at most", memory.most / 2**20, GOAL_MIB, "MiB")
                CONSOLE.print(f"  memory of the switch afterwards: {resident_bytes(daemon.pid) / 2**20:.0f} MiB")
                daemon.interrupt()
        finally:
            daemon.kill()
    return 0


def write_decks(directory: Path, groups: int, rates: int) -> None:
    """Write a file for each group."""
    first = [_deck(rates, seed) for seed in range(DIFFERENT)]
    for group in range(groups):
        text = first[group % DIFFERENT].replace(",60\n", f",{61 + group // DIFFERENT}\n")
        (directory / f"g{group}.csv").write_text(text)


def _deck(rates: int, seed: int) -> str:
    draw = Random(seed)
    prefixes: set[str] = set()
    while len(prefixes) < rates:
        prefixes.add(str(draw.randrange(1, 10 ** draw.choice((3, 4, 5, 6, 7, 8, 9)))))
    rows = ["prefix,area,rate_type,billing_rate,billing_cycle"]
    for prefix in sorted(prefixes):
        area = draw.randrange(AREAS)
        rows.append(
            f"{prefix},Area {area},international,0.{draw.randrange(1_000, 90_000):05},{draw.choice((1, 6, 60))}"
        )
    return "\n".join([*rows, ""])


def processor_seconds(pid: int) -> float:
    """Return the processor time of a process and of the children that it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


class Memory:
    """Watches the memory of a daemon and of the processes that it starts."""

    def __init__(self, daemon: Daemon) -> None:
        self.most = 0
        """Bytes of all together, mapped files included; what they share counts once."""
        self._daemon = daemon
        self._is_over = Event()
        self._thread = Thread(target=self._watch)

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._is_over.wait(0.1):
            if self._daemon.running:
                self.most = max(self.most, sum(map(_memory, _family(self._daemon.pid))))


def _family(pid: int) -> list[int]:
    """Return a process and its running children."""
    found = [pid]
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def _memory(pid: int) -> int:
    with suppress(OSError, StopIteration):  # it has ended
        return proportional_bytes(pid)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
