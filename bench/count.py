"""``make bench-count``: processor instructions a call, counted by valgrind: the same on a busy machine.

The packets of calls on virtual time are recorded first; under valgrind they are only given to the switch, so that the
parties cost nothing. Counted are two runs of different length, and the difference is divided by the calls between.
"""

import argparse
import os
import pickle
import re
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Final

import structlog
from doubles.virtual.customer import Intent
from doubles.virtual.exchange import SWITCH
from doubles.virtual.scene import CALLEE, Scene
from doubles.virtual.wire import Packet

WARM_UP: Final = 20
COUNTED: Final = 40
AFTER_A_CALL_MS: Final = 70_000
"""Longer than twice 64·T1: the timers of each call have fired before the next one."""
_INSTRUCTIONS: Final = re.compile(r"I\s+refs:\s+([\d,]+)")


def main() -> int:
    """Count, or play the packets of a file to a switch."""
    parser = argparse.ArgumentParser(prog="python -m bench.count", description=__doc__)
    parser.add_argument("--play", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    if arguments.play:
        _play(pickle.loads(arguments.play.read_bytes()))
        return 0
    if shutil.which("valgrind") is None:
        print("valgrind is not installed: make bench-count installs it", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="vosd-count-") as directory:
        short, long = (_instructions(number, Path(directory)) for number in (WARM_UP, WARM_UP + COUNTED))
    print(f"{(long - short) / COUNTED:,.0f} instructions a call")
    return 0


def _instructions(calls: int, directory: Path) -> int:
    """Count the instructions of a process that starts, carries some calls and ends."""
    packets = directory / f"{calls}.packets"
    packets.write_bytes(pickle.dumps(_recorded(calls)))
    done = subprocess.run(
        ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null",
         sys.executable, "-m", "bench.count", "--play", str(packets)],
        capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": "0"},
    )  # fmt: skip
    found = _INSTRUCTIONS.search(done.stderr)
    if found is None:
        raise RuntimeError(f"valgrind counted nothing: {done.stderr[-500:]}")
    return int(found[1].replace(",", ""))


def _recorded(calls: int) -> list[Packet]:
    """Make calls one after the other; return what the parties sent to the switch."""
    scene = Scene()
    for _ in range(calls):
        call = scene.caller.call(CALLEE, Intent(hang_up_after_ms=10_000))
        scene.wire.run_until(partial(getattr, call, "is_over"))
        scene.wire.run_for(AFTER_A_CALL_MS)
    return [packet for packet in scene.wire.packets if packet.target == SWITCH]


def _play(packets: list[Packet]) -> None:
    """Give recorded packets to a switch at their times; its ids come in the same order, so they fit."""
    scene = Scene()
    for address in (scene.caller.address, *(vendor.address for vendor in scene.vendors)):
        scene.wire.attach(address, lambda _packet: None)
    start = scene.exchange.clock.now().mono
    for packet in packets:
        scene.wire.after(packet.sent_at - start, partial(scene.wire.send, packet.source, packet.target, packet.data))
    scene.wire.run_for(packets[-1].sent_at - start + AFTER_A_CALL_MS)
    answered = sum(record.answered_at is not None for record in scene.exchange.sink.records)
    if answered * len(_recorded(1)) != len(packets):
        raise RuntimeError(f"{answered} calls were answered; the packets are of another version")


if __name__ == "__main__":
    sys.exit(main())
