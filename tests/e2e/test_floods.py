"""More calls than can be served, and junk: established calls go on, and the others are refused at once.

What the machine can carry is not asked for here (``python -m bench.overload`` measures it): each of these holds
whether a call is refused or the machine is fast enough for all of them.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from doubles.daemon import Daemon

from vosd.obs.events import Event

from .addresses import FLOODED_SWITCH, UNKNOWN_SOURCE
from .conditions import eventually
from .stage import Caller, Stage, Vendor, configuration

pytestmark = pytest.mark.sipp

PROJECT = Path(__file__).parents[2]
HELD = 20
FLOOD_RATE = 5_000
FLOOD_CALLS = 5_000
LAST_BYE_S = 80.0
"""64·T1 are 32 s here: for so long a BYE may be repeated that got lost in the flood, with up to four between.

For as long a 200 waits for its ACK whose caller took the 503 of a repeated INVITE, and the vendor may answer it late.
"""
CALLS = 60
JUNK_RATE = 20_000


@pytest.fixture
def flooded(tmp_path: Path) -> Iterator[Stage]:
    """A switch with the timers of the world: repetitions are a part of any flood.

    A vendor may stand still between 100 and ringing for as long as the machine does not let it run.
    """
    text = configuration("switch.yaml", FLOODED_SWITCH)
    text = text.replace("name: carrier-a,", "name: carrier-a, response_timeout: 60, progress_timeout: 60,", 1)
    text = text.replace("  timers: {t1: 0.05, t2: 0.4, t4: 0.5}\n  overload: {max_lag: 0}\n", "", 1)
    with Daemon(tmp_path, text) as daemon:
        stage = Stage(daemon, FLOODED_SWITCH, Event.SOURCE_BLOCKED, Event.OVERLOAD_BEGINS)
        stage.pay("acme", "100000")
        yield stage
        assert daemon.interrupt() == 0


def test_a_flood_of_calls_is_served_or_refused_and_no_established_call_is_lost(flooded: Stage) -> None:
    callee = flooded.number("4410")
    flooding = flooded.caller(
        Caller("gives_way", {"talk_ms": "300"}), callee, flooded.endpoint_of("acme"), calls=FLOOD_CALLS, trace=False,
        timeout_s=60, options=("-r", str(FLOOD_RATE), "-l", str(FLOOD_CALLS), "-buff_size", "4194304",
                               "-cid_str", "flood-%u-%p"),
    )  # fmt: skip
    talking = flooded.caller(
        Caller("hangs_up", {"talk_ms": "6000"}), callee, flooded.endpoint_of("acme"), calls=HELD, trace=False,
        timeout_s=60, options=("-r", str(HELD), "-l", str(HELD), "-cid_str", "talk-%u-%p"),
    )  # fmt: skip
    vendor = flooded.vendor(Vendor("carrier-a", "answers_anyone", {"ring_ms": "20"}), callee, calls=None, trace=False,
                            timeout_s=100, options=("-buff_size", "4194304",))  # fmt: skip
    with (
        vendor
    ):  # also for the last call: a BYE that it did not read in the flood is repeated to the next one at its address
        with talking:
            eventually(lambda: flooded.status()["calls"] == HELD, "all calls established before the flood")
            with flooding:
                flooding.wait()
            talking.wait()
        counts = flooding.counts()
        answered, ended, refused = (int(counts[f"GenericCounter{number}(C)"]) for number in (1, 2, 3))
        assert answered == ended
        assert ended + refused == FLOOD_CALLS
        assert ended
        assert talking.counts()["SuccessfulCall(C)"] == str(HELD)
        flooded.expect_nothing_left(LAST_BYE_S)
        with flooded.caller(Caller("hangs_up"), callee, flooded.endpoint_of("acme")) as caller:
            caller.wait()
    flooded.expect_nothing_left(LAST_BYE_S)
    eventually(lambda: not flooded.status()["cdr_queue"] + flooded.status()["spool_rows"], "everything booked", 60.0)
    flooded.expect_books_in_order()
    if refused and flooded_events(flooded):  # in the first seconds calls are refused for their number alone
        eventually(lambda: flooded_events(flooded)[-1:] == ["overload_ends"], "the end of the overload in the log")
        assert flooded_events(flooded)[0] == "overload_begins"


def flooded_events(stage: Stage) -> list[str]:
    """Return what the log says of overloads, in order."""
    return [line["event"] for line in stage.daemon.log() if str(line.get("event")).startswith("overload_")]


@contextmanager
def junk(stage: Stage, seconds: int) -> Iterator[None]:
    """Have an unknown source send what is not SIP; begin when it is sent."""
    command = [sys.executable, "-m", "bench.junk", *map(str, (*stage.address, UNKNOWN_SOURCE.host, JUNK_RATE, seconds))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=PROJECT) as sender:
        try:
            assert sender.stdout is not None
            assert sender.stdout.readline().startswith(b"sends")
            yield
        finally:
            sender.kill()


@pytest.mark.parametrize("block", ["30", "0"], ids=["kept out by the kernel", "dropped by the switch"])
def test_calls_go_on_beside_a_flood_of_junk(flooded: Stage, block: str) -> None:
    text = flooded.daemon.configuration_file.read_text()
    # A machine with other work is late for reasons that are not the junk: no call is refused for that here.
    keys = f"  overload: {{max_lag: 0}}\n  shield: {{block: {block}}}\n"
    flooded.daemon.configure(text.replace("sip:\n", f"sip:\n{keys}", 1))
    flooded.daemon.succeed("reload")
    callee = flooded.number("4410")
    with (
        flooded.vendor(Vendor("carrier-a", "answers"), callee, calls=None, trace=False, timeout_s=100),
        junk(flooded, 30),
        flooded.caller(
            Caller("hangs_up", {"talk_ms": "300"}), callee, flooded.endpoint_of("acme"), calls=CALLS, trace=False,
            options=("-r", "30", "-cid_str", "customer-%u-%p"),
        ) as caller,
    ):  # fmt: skip
        caller.wait()
        if block != "0":
            eventually(lambda: sources_blocked(flooded), "the source is blocked")
        flooded.expect_nothing_left(LAST_BYE_S)  # a BYE or its 200 that got lost in the junk comes once more
    flooded.expect_books_in_order()
    assert sources_blocked(flooded) == ([UNKNOWN_SOURCE.host] if block != "0" else [])


def sources_blocked(stage: Stage) -> list[str]:
    return [line["source"] for line in stage.daemon.log() if line.get("event") == "source_blocked"]
