"""Five thousand endpoints kept alive through the real socket: evenly, and beside calls that notice nothing."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from doubles.daemon import Daemon
from doubles.receiver import Received, Receiver
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import OutgoingCall, Peer

from vosd.engine.registration.keepalive import KeepAlives
from vosd.sip.ports import StoredBinding
from vosd.sip.registration.keepalive import SLICE_MS, KeepAlive
from vosd.storage.database import Database
from vosd.storage.registrations import SqlRegistrations

from .addresses import CUSTOMERS, KEEPING_SWITCH, NETWORK
from .conditions import eventually
from .stage import Stage, configuration

PHONES = 500
PLACES_OF_EACH = 10
PLACES = PHONES * PLACES_OF_EACH
PERIOD_S = 10
PACE = KeepAlive()
PAUSE_S = 0.002
STEP_MS = 40.0
"""Processor time of the event loop for one step of a sweep, of which each takes 1 ms and all together 85.

Not the time between a request and its response: a client that other processes keep off the processor would count
the steps of the sweep that are done meanwhile.
"""
_STEPS = "steps"


def measure() -> None:
    """Have the daemon write down the processor time of each step of its sweeps."""
    fire, steps = KeepAlives._fire, os.open(_STEPS, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def measured(keep_alives: KeepAlives) -> None:
        began = time.thread_time()
        fire(keep_alives)
        os.write(steps, f"{1_000 * (time.thread_time() - began)}\n".encode())

    KeepAlives._fire = measured


def place(number: int) -> str:
    return f"{NETWORK.removesuffix('.0')}.{1 + number // 250}.{1 + number % 250}"


def bindings(port: int) -> list[StoredBinding]:
    """Say that every phone is registered from ten places."""
    now = time.time_ns() // 1_000_000
    return [
        StoredBinding(
            name=f"8{number // PLACES_OF_EACH:05}",
            slot=number % PLACES_OF_EACH,
            contact=f"sip:phone@192.168.1.{1 + number % 250}:5060",
            q=1_000,
            call_id=f"register-{number}",
            cseq=1,
            registered_at=now,
            until=now + 3_600_000,
            lifetime_s=3_600,
            listener=f"udp:{KEEPING_SWITCH}",
            host=place(number),
            port=port,
            path=(),
            instance="",
            reg_id=0,
            user_agent="",
        )
        for number in range(PLACES)
    ]


async def write_down(database: str, port: int) -> None:
    books = Database(database)
    await SqlRegistrations(books, "e2e").save(bindings(port), [])
    await books.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """All the phones."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def stage(tmp_path: Path, receiver: Receiver) -> Iterator[Stage]:
    """A switch that takes over five thousand registrations of an earlier run."""
    phones = [f'  - {{number: "8{number:05}", account: family, password: secret}}\n' for number in range(PHONES)]
    parameters = f"parameters: {{SS_SIP_NAT_KEEP_ALIVE_PERIOD: {PERIOD_S}}}\n"
    (tmp_path / "many.yaml").write_text(f"{parameters}phones:\n{''.join(phones)}")
    daemon = Daemon(tmp_path, configuration("phones.yaml", KEEPING_SWITCH), prepare=measure)
    daemon.migrate()
    asyncio.run(write_down(f"sqlite+aiosqlite:///{tmp_path}/vosd.db", receiver.port))
    try:
        daemon.start()
        yield Stage(daemon, KEEPING_SWITCH)
        assert daemon.interrupt() == 0
    finally:
        daemon.kill()


def most_within(window_ms: float, sweep: list[Received]) -> int:
    """Return the most datagrams that came within any such time."""
    most, first = 0, 0
    for last, received in enumerate(sweep):
        while received.at_ms - sweep[first].at_ms >= window_ms:
            first += 1
        most = max(most, last - first + 1)
    return most


def test_five_thousand_places_are_kept_alive_without_a_burst_and_beside_calls(stage: Stage, receiver: Receiver) -> None:
    """The first sweep begins with the switch; during the second a customer asks things and is answered."""
    eventually(lambda: len(receiver.received) >= PLACES, "the first sweep")
    ask_until(lambda: len(receiver.received) >= 2 * PLACES)
    first, second = receiver.received[:PLACES], receiver.received[PLACES : 2 * PLACES]
    for sweep in (first, second):
        assert {received.data for received in sweep} == {b"HELLO"}
        assert sorted(received.address for received in sweep) == sorted(map(place, range(PLACES)))
        # A busy machine may hold the switch up between its clock and its sends; a burst would be a batch of 3,000.
        assert most_within(SLICE_MS, sweep) <= 4 * (PACE.slice_max + 1), "a slice, and late ones of a busy machine"
        assert most_within(100, sweep) <= 20 * (PACE.slice_max + 1), "ten slices, and late ones of a busy machine"
        in_first_batch = sum(received.at_ms - sweep[0].at_ms < PACE.send_interval_ms for received in sweep)
        assert in_first_batch <= PACE.send_one_time + 2 * PACE.slice_max
        # 0.8 s where nothing else runs; with ten processes for each processor every slice is late, and it takes five.
        assert sweep[-1].at_ms - sweep[0].at_ms < 1_000 * PERIOD_S, "it is over before the next"
    assert abs(second[0].at_ms - first[0].at_ms - 1_000 * PERIOD_S) < 500 * PERIOD_S, "half a period, on a busy machine"
    steps = [float(line) for line in (stage.daemon.directory / _STEPS).read_text().splitlines()]
    assert len(steps) > 2 * PLACES // (PACE.slice_max + 1)
    assert max(steps) < STEP_MS
    stage.expect_clean_log()


def ask_until(enough: Callable[[], bool]) -> None:
    """Ask the switch one thing after the other; each must be answered."""
    with Peer(Endpoint(CUSTOMERS["acme"], 15_099)) as peer:
        while not enough():
            asked = OutgoingCall(peer, KEEPING_SWITCH, "442079460000")
            asked.send(asked.request("OPTIONS"))
            assert peer.final_response("1 OPTIONS", asked.call_id).status == 200
            peer.messages(PAUSE_S)
