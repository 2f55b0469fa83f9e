"""Profile a call: the load of ``python -m bench`` under a profiler, with the top functions printed.

With py-spy on the path the daemon is sampled from outside; without it cProfile runs inside, which makes every function
call slower: read shares, not times.
"""

import argparse
import pstats
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from .load import run
from .targets import on_mariadb, on_sqlite

TOP = 40
SAMPLES_A_SECOND = 500


def main() -> None:
    """Profile one load and print the result."""
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "mariadb"], default="sqlite")
    parser.add_argument("--rate", type=int, default=500, help="calls a second (default 500)")
    parser.add_argument("--seconds", type=int, default=10)
    arguments = parser.parse_args()
    profile = _sampled if shutil.which("py-spy") else _traced
    with tempfile.TemporaryDirectory(prefix="vosd-profile-") as directory:
        profile(arguments, Path(directory))


def _sampled(arguments: argparse.Namespace, directory: Path) -> None:
    stacks = directory / "stacks"
    with _place(arguments)(directory) as target:
        assert target.pid is not None
        command = [
            "py-spy", "record", "--pid", str(target.pid), "--format", "raw", "--output", str(stacks),
            "--rate", str(SAMPLES_A_SECOND), "--duration", str(arguments.seconds + 3), "--function",
        ]  # fmt: skip
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as sampler:
            _announce(arguments, run(target, arguments.rate, arguments.seconds).cpu_ms)
            sampler.wait()
    own: Counter[str] = Counter()
    below: Counter[str] = Counter()
    for line in stacks.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        own[frames[-1]] += int(count)
        for frame in set(frames):
            below[frame] += int(count)
    _print_shares("package", _by_package(own), below)
    _print_shares("function", own, below)


def _by_package(own: Counter[str]) -> Counter[str]:
    """Sum functions by the folder of their file; ``name (vosd/sip/wire/parse.py)`` becomes ``vosd/sip``."""
    packages: Counter[str] = Counter()
    for frame, count in own.items():
        packages[frame.rpartition(" (")[2].rpartition("/")[0] or "built in"] += count
    return packages


def _print_shares(what: str, own: Counter[str], below: Counter[str]) -> None:
    whole = own.total()
    print(f"\n{'own':>6} {'below':>6}  {what}")
    for name, count in own.most_common(TOP):
        share = f"{below[name] / whole:6.1%}" if name in below else " " * 6
        print(f"{count / whole:6.1%} {share}  {name}")


def _traced(arguments: argparse.Namespace, directory: Path) -> None:
    statistics = directory / "statistics"
    launcher = [sys.executable, "-m", "cProfile", "-o", str(statistics)]
    with _place(arguments)(directory, launcher) as target:
        _announce(arguments, run(target, arguments.rate, arguments.seconds).cpu_ms)
        assert target.daemon is not None
        target.daemon.interrupt()
    pstats.Stats(str(statistics)).strip_dirs().sort_stats("tottime").print_stats(TOP)


def _place(arguments: argparse.Namespace) -> Any:
    return on_mariadb if arguments.database == "mariadb" else on_sqlite


def _announce(arguments: argparse.Namespace, cpu_ms: float) -> None:
    print(f"{arguments.rate} calls/s for {arguments.seconds} s: {cpu_ms:.3f} ms a call, profiler included")


if __name__ == "__main__":
    main()
