"""Kills under many calls: ``cd tests && python -m interop.kills [--calls 200] [--runs 3]``; part of ``make interop``.

Calls with sound both ways are up; then an rtpengine, the worker of the relay, or the switch is killed with SIGKILL and
started anew. It prints how long it takes until every party hears the other again. At the end all calls hang up, and
each must have its record. It fails where that takes longer than 10 s, or where a call is lost.
"""

import argparse
import os
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from doubles.daemon import Daemon
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import Peer
from e2e.addresses import NETWORK, VENDORS
from e2e.conditions import eventually
from e2e.stage import Stage, configuration
from e2e.test_media import worker_of

from .many_calls import ManyCalls
from .rtpengine import Rtpengine

SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_170)
CONTROLS: Final = (Endpoint(f"{NETWORK}.84", 2_223), Endpoint(f"{NETWORK}.85", 2_223))
PORTS: Final = (20_000, 22_999)
WITHIN_S: Final = 10.0
"""Longest time without sound."""
PATIENCE_S: Final = 60.0

Act = Callable[[], object]


def main() -> int:
    """Measure, print the medians, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    measured: dict[str, list[float]] = {}
    for _ in range(arguments.runs):
        for run in (relayed, by_rtpengines):
            for name, seconds in run(arguments.calls).items():
                measured.setdefault(name, []).append(seconds)
    for name, all_s in measured.items():
        figures = ", ".join(f"{each:.1f}" for each in all_s)
        print(f"{statistics.median(all_s):5.1f} s until all calls are heard again: {name} ({figures})")  # noqa: T201
    return int(any(each > WITHIN_S for all_s in measured.values() for each in all_s))


def relayed(count: int) -> Mapping[str, float]:
    """Return how long each kill is heard where the switch relays itself."""
    with carrying(count, "engine: relay") as (stage, calls):
        found = {"worker of the relay killed": silence_s(calls, lambda: os.kill(worker_of(stage), signal.SIGKILL))}
        worker = worker_of(stage)
        found["switch killed, media go on"] = silence_s(calls, stage.daemon.kill)
        found["switch started again"] = silence_s(calls, stage.daemon.start)
        found["switch and worker killed, started again"] = silence_s(calls, lambda: kill_both(stage, worker))
        return found


def kill_both(stage: Stage, worker: int) -> None:
    """Kill the worker and the switch, which starts no other worker in between, and start the switch."""
    os.kill(stage.daemon.pid, signal.SIGSTOP)
    os.kill(worker, signal.SIGKILL)
    stage.daemon.kill()
    stage.daemon.start()


def by_rtpengines(count: int) -> Mapping[str, float]:
    """Return how long each kill is heard with two rtpengines; the second one carries all calls when it is killed."""
    with ExitStack() as running, tempfile.TemporaryDirectory() as scratch:
        one, two = (
            running.enter_context(Rtpengine(Path(scratch), name, control, PORTS))
            for name, control in zip(("one", "two"), CONTROLS, strict=True)
        )
        pool = ", ".join(f"{{name: {each.config.name}, address: '{each.control}'}}" for each in (one, two))
        with carrying(count, f"engine: rtpengine, rtpengine: [{pool}]") as (stage, calls):
            found = {"first rtpengine killed": silence_s(calls, one.kill)}
            found["first rtpengine started again"] = silence_s(calls, one.start_anew)
            found["second rtpengine killed"] = silence_s(calls, two.kill)
            found["second rtpengine started again"] = silence_s(calls, two.start_anew)
            found["rtpengine killed and started at once"] = silence_s(calls, lambda: (one.kill(), one.start_anew()))
            found["switch killed and started, with rtpengines"] = silence_s(
                calls, lambda: (stage.daemon.kill(), stage.daemon.start())
            )
            return found


@contextmanager
def carrying(count: int, engine: str) -> Iterator[tuple[Stage, ManyCalls]]:
    """Set up many calls by a switch of its own; end them, and look at their records."""
    text = configuration("media.yaml", SWITCH).replace("PORTS_OF_THE_RELAY", f"{PORTS[0]},{PORTS[1]}")
    text = text.replace(', sounds: {gone: gone.wav}, announcements: {"Not Found": gone}, music_on_hold: gone', "")
    text = text.replace("engine: relay", engine)
    text = text.replace(", dtmf: info, local_ring: yes, record: 100", "")
    with tempfile.TemporaryDirectory() as scratch, Daemon(Path(scratch), text) as daemon:
        stage = Stage(daemon, SWITCH)
        with Peer(stage.endpoint_of("acme")) as customer, Peer(VENDORS["carrier-a"]) as vendor:
            calls = ManyCalls(stage, customer, vendor, count)
            silence_s(calls, lambda: None)
            yield stage, calls
            calls.hang_up()
            stage.expect_nothing_left(60)
            calls.close()
        limit = ("--limit", str(2 * count))
        eventually(lambda: len(stage.records(*limit)) >= count, "a record of each call", PATIENCE_S, looks=40)
        records = stage.records(*limit)
        reasons = Counter(record["end_reason"] for record in records)
        assert list(reasons) == ["Normal"], f"each call goes on until it hangs up: {reasons}"
        assert len(records) == count
        daemon.succeed("ledger", "verify")


def silence_s(calls: ManyCalls, act: Act) -> float:
    """Return the seconds from an act until every party hears the other."""
    calls.are_heard()
    begun = time.monotonic()
    act()
    done = time.monotonic()
    while not calls.are_heard():
        if time.monotonic() - done > PATIENCE_S:
            raise AssertionError(f"{calls.deaf} parties hear nothing")
    return round(time.monotonic() - begun, 2)


if __name__ == "__main__":
    sys.exit(main())
