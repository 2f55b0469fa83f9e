"""Many mutated messages in one go: ``cd tests && python -m fuzz.campaign 10000000``.

Prints what it has done every minute; ends with the message that broke something, and how to make it again.
"""

import sys
from time import monotonic
from typing import Final

from .mutation import Mutator
from .target import Target

REPORT_S: Final = 60


def run(messages: int, seed: int) -> int:
    """Feed that many messages; return how many of them could be read."""
    mutator, target = Mutator(seed), Target(seed)
    begun = reported = monotonic()
    for number in range(1, messages + 1):
        data = mutator.message()
        try:
            target.take(data)
        except BaseException:
            sys.stderr.write(f"message {number} of seed {seed}: {data!r}\n")
            raise
        if number % 1_000 == 0 and monotonic() - reported > REPORT_S:
            reported = monotonic()
            tell(f"{number} messages, {target.read} read, {reported - begun:.0f} s")
    target.close()
    tell(f"{messages} messages, {target.read} read, {monotonic() - begun:.0f} s: nothing but ParseError")
    return target.read


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    run(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
