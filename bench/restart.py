"""``python -m bench.restart [CALLS] [BACKLOG]``: kill -9 with calls up, and how long until new ones are taken.

CALLS (5,000) are held by SIPp through the real switch on MariaDB, which is then killed and executed again. Printed is
the time from that to the first 200 of a new call, by the wall clock and by the processor, and what the log says of the
start. BACKLOG (0; 360,000 is an hour's outage at 100 a second) calls wait in the journal for their booking then: they
are written to it between the kill and the start, as an outage leaves them.
"""

import asyncio
import os
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import OutgoingCall, Peer, UnexpectedError

from vosd.engine.clock import SystemClock
from vosd.engine.journal.files import IN_USE, listed, numbered

from .backlog import write_backlog
from .load import caller, vendor
from .process import cpu_of, family_cpu_of
from .targets import SWITCH, Target, on_mariadb

RATE = 70
HELD_MS = 600_000
PROBE = Endpoint("127.0.0.1", 15_204)
PATIENCE_S = 0.2
SETTLED_S = 15
BEFORE = 1_000
"""The files of the switch get so much higher numbers, so that those of the backlog are older."""


def leave_backlog(directory: Path, calls: int) -> None:
    """Put files with ended calls before those of the switch, as it leaves them in an outage."""
    for path in reversed(listed(directory, IN_USE)):
        path.rename(path.with_name(f"journal-{numbered(path) + BEFORE:08d}{IN_USE}"))
    aside = directory.parent / "backlog"
    asyncio.run(write_backlog(aside, calls))
    for path in aside.glob("journal-*"):
        path.rename(directory / path.name)


def hold(target: Target, calls: int) -> int:
    """Wait until so many calls are up, or no more are added on a busy machine; return how many."""
    assert target.held is not None
    held, before, last_change = 0, -1, time.monotonic()
    while held < calls and time.monotonic() < last_change + SETTLED_S:
        time.sleep(0.5)
        before, held = held, target.held()
        if held != before:
            last_change = time.monotonic()
    return held


def first_call(peer: Peer) -> None:
    """Try calls until one is answered."""
    for number in range(10_000):
        call = OutgoingCall(peer, SWITCH, f"442079460{number:03}")
        call.invite()
        try:
            call.answered(PATIENCE_S)
        except UnexpectedError:
            continue
        call.hang_up()
        return


def main() -> None:
    """Measure, and print."""
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000
    backlog = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # the modules of an installed switch are compiled
    with tempfile.TemporaryDirectory(prefix="vosd-bench-") as scratch:
        place = Path(scratch)
        with on_mariadb(place) as target, vendor(place):
            daemon = target.daemon
            assert daemon is not None
            with caller(place, SWITCH, rate=RATE, calls=calls, held_ms=HELD_MS):
                held = hold(target, calls)
                time.sleep(2)
                daemon.kill()
                if backlog:
                    leave_backlog(place / "var" / "journal", backlog)
                began, wall = time.perf_counter(), SystemClock().now().wall / 1_000
                daemon.start(wait=False)
                with Peer(PROBE) as peer:
                    first_call(peer)
                took_s = time.perf_counter() - began
                cpu, family = cpu_of(daemon.pid), family_cpu_of(daemon.pid)
                time.sleep(1)
                status = daemon.ask("status")
                print(
                    f"{status['calls']} of {held} calls go on, {status['spool_rows']} wait for the database;"
                    f" a new call is answered {took_s:.2f} s after the start;"
                    f" processor {cpu.total:.2f} s, with its processes {family.total:.2f} s"
                )
                _print_steps(daemon.log(), wall)


def _print_steps(lines: list[dict[str, object]], since: float) -> None:
    for line in lines:
        at = line.get("timestamp")
        if isinstance(at, str) and (s := time_of(at) - since) > 0:
            print(f"  {s:6.2f} s {line.get('event')} {line.get('steps_ms', '')}")


def time_of(text: str) -> float:
    """Return the seconds since 1970 of a time of the log."""
    return datetime.fromisoformat(text).timestamp()


if __name__ == "__main__":
    main()
