"""kill -9 in the middle of two hundred calls that are not continued: every answered call is booked, once."""

import time
from collections import Counter
from collections.abc import Iterator
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from doubles.daemon import Daemon
from doubles.sockets.sipp import Sipp

from .addresses import DOOMED_SWITCH
from .conditions import eventually
from .stage import Caller, Stage, Vendor, configuration

pytestmark = pytest.mark.sipp

CALLS = 200
CYCLE_MS = 6_000
NOT_CONTINUED = "\nresume_within: 0\n"
"""The caller ends with the switch, so its calls would go on with one side."""
NEVER_RETRANSMIT = ("-nr", "-cid_str", "customer-%u-%p")


@pytest.fixture
def doomed(tmp_path: Path) -> Iterator[Stage]:
    """A switch that will be killed."""
    with Daemon(tmp_path, configuration("switch.yaml", DOOMED_SWITCH) + NOT_CONTINUED) as daemon:
        stage = Stage(daemon, DOOMED_SWITCH)
        stage.pay("acme", "1000")
        yield stage


def logged(caller: Sipp, word: str) -> set[str]:
    """Return the Call-IDs of which the caller logged ``word``."""
    lines = caller.logs.read_text().splitlines() if caller.logs.exists() else []
    pairs = (line.split(" ", 1) for line in lines if " " in line)
    return {call_id for said, call_id in pairs if said == word}


def booked(doomed: Stage, answered: set[str]) -> list[dict[str, Any]]:
    """Return all records once every answered call has one; a call that was being set up has one, too."""
    return eventually(
        lambda: (
            (found := doomed.records("--limit", "1000"))
            and answered <= {record["sip_call_id_in"] for record in found}
            and found
        ),
        "the records of the calls that were running",
    )


def test_every_answered_call_has_one_record_after_a_kill(doomed: Stage) -> None:
    callee = doomed.number("4410")
    source = doomed.endpoint_of("acme")
    caller = Caller("hangs_up", {"talk_ms": "900", "ring_ms": "50"})
    began = time.monotonic()
    with (
        doomed.vendor(Vendor("carrier-a", "answers"), callee, calls=None, options=("-nr",), trace=False),
        doomed.caller(
            caller,
            callee,
            source,
            calls=None,  # a busy machine may not answer one before it is given up: others follow
            options=("-r", str(CALLS), "-l", str(CALLS), *NEVER_RETRANSMIT),
            trace=False,
        ) as callers,
    ):
        eventually(lambda: len(logged(callers, "ended")) > CALLS // 8, "some calls ended")
        doomed.daemon.kill()
        lasted_ms = 1_000 * (time.monotonic() - began)
        answered, ended = logged(callers, "answered"), logged(callers, "ended")
    assert len(answered) > len(ended) > 0

    doomed.daemon.start()

    records = booked(doomed, answered)
    times_booked = Counter(record["sip_call_id_in"] for record in records)
    reasons = {record["sip_call_id_in"]: record["end_reason"] for record in records}
    assert set(times_booked.values()) == {1}
    assert {reasons[call_id] for call_id in ended} == {"Normal"}
    assert {reasons[call_id] for call_id in answered - ended} <= {"Lost", "Normal"}
    lost = [record for record in records if record["end_reason"] == "Lost"]
    assert {record["hangup_source"] for record in lost} == {"switch"}
    lost = [record for record in lost if record["answered_at"] or record["sip_call_id_in"] in answered]
    assert lost
    for record in lost:
        assert record["answered_at"] <= record["ended_at"]
        assert 0 <= record["hold_time_ms"] < lasted_ms
        cycles = max(1, ceil(record["hold_time_ms"] / CYCLE_MS))
        assert record["billed_seconds"] in {0, cycles * CYCLE_MS // 1_000}
    doomed.expect_nothing_left()
    doomed.daemon.succeed("ledger", "verify")


def test_a_second_kill_before_anything_happened_books_nothing_twice(doomed: Stage) -> None:
    callee = doomed.number("4410")
    source = doomed.endpoint_of("acme")
    with (
        doomed.vendor(Vendor("carrier-a", "answers"), callee, calls=None, options=("-nr",), trace=False),
        doomed.caller(
            Caller("hangs_up", {"talk_ms": "60000"}),
            callee,
            source,
            calls=None,
            options=("-r", "100", "-l", "20", *NEVER_RETRANSMIT),
            trace=False,
        ) as callers,
    ):
        eventually(lambda: len(logged(callers, "answered")) >= 10, "ten answered calls")
        doomed.daemon.kill()
        answered = logged(callers, "answered")
    doomed.daemon.start()
    doomed.daemon.kill()

    doomed.daemon.start()

    records = booked(doomed, answered)
    times_booked = Counter(record["sip_call_id_in"] for record in records)
    assert set(times_booked.values()) == {1}
    assert {record["end_reason"] for record in records if record["sip_call_id_in"] in answered} == {"Lost"}
    doomed.daemon.succeed("ledger", "verify")
