"""``python -m bench.numbers [COUNT]``: a list of so many numbers (10 million), and rewrite rules, without SIP."""

import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from vosd.catalogue.problems import ProblemList, SourceLine
from vosd.config.assembly.number_files import read_number_file
from vosd.routing.number_lists import NumberList
from vosd.routing.rewrite import RewriteRules, WrittenRule

BATCH = 100_000
LOOKUPS = 200_000
RULES = [WrittenRule(f"{prefix:04d}", "49") for prefix in range(1_000)]


def resident_mb() -> float:
    """Return the memory of this process."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * 4 / 1_024


def microseconds(call: Callable[[str], object], numbers: Sequence[str]) -> float:
    """Return what one call takes."""
    began = time.perf_counter()
    for number in numbers:
        call(number)
    return (time.perf_counter() - began) / len(numbers) * 1e6


def read(count: int) -> NumberList:
    """Write a file of random numbers and read it, and print what that takes."""
    drawn = random.Random(1)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "numbers.txt"
        with path.open("w") as file:
            for _ in range(0, count, BATCH):
                file.write("".join(f"49{drawn.randrange(10**11):011d}\n" for _ in range(min(BATCH, count))))
        before, began = resident_mb(), time.perf_counter()
        numbers = read_number_file(path, SourceLine("", 0), "file", ProblemList())
    if numbers is None:
        raise SystemExit("the file cannot be read")
    taken_mb = resident_mb() - before
    print(f"{len(numbers)} numbers read in {time.perf_counter() - began:.1f} s, {taken_mb:.1f} MB")
    return numbers


def main() -> None:
    """Print the figures."""
    numbers = read(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000)
    drawn = random.Random(2)
    wanted = [f"49{drawn.randrange(10**11):011d}" for _ in range(LOOKUPS)]
    print(f"look-up: {microseconds(numbers.__contains__, wanted):.2f} us")
    by_prefix = RewriteRules(RULES)
    by_expression = RewriteRules([WrittenRule("~^49([1-9].*)", "0\\1")])
    for name, rules in (("1,000 prefixes", by_prefix), ("a regular expression", by_expression)):
        taken_us = microseconds(partial(rules.rewritten, draw=lambda _below: 0), wanted)
        print(f"rewriting by {name}: {taken_us:.2f} us")


if __name__ == "__main__":
    main()
