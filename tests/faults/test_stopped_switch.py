"""A switch that stood still (SIGSTOP): on waking it asks for its lease before it admits or extends anything."""

import signal
import time
from decimal import Decimal
from pathlib import Path

import pytest
from doubles.daemon import Daemon
from doubles.moved_clock import MovedClock, follow
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import OutgoingCall
from doubles.stream_peer import StreamPeer
from e2e.addresses import NETWORK
from e2e.conditions import eventually

from vosd.engine.booking import standstill
from vosd.net.entrance import REPEATED_S

from .conftest import CONFIGURATION, MARIADB, SQLITE_URL
from .copies import Copies

BEGIN_MS = 1_790_000_000_000
STALE_MS = 2_500
"""Instead of 8 s: the test stops the switch for longer than that, in real time."""
CALLS = 3


def prepare() -> None:
    """Have the daemon follow the clock of the test, and take its lease for stale earlier."""
    follow()
    standstill.STALE_MS = STALE_MS


def stopped(scene, clock: MovedClock, database: Copies) -> int:
    """Answer calls, stop the switch for longer than its lease holds, and let a minute pass that is not paid for.

    Return how many lines the log had by then: a busy machine may have stopped the switch before.
    """
    scene.daemon.succeed("payment", "add", "--account", "acme", "--amount", "3")
    scene.answered(CALLS)
    lines = len(scene.daemon.log())
    eventually(lambda: is_stopped_outside_of_transactions(scene, database), "the switch is stopped")
    began = time.monotonic()
    clock.stand_at(61_000)
    eventually(lambda: time.monotonic() - began > STALE_MS / 1_000 + 1, "the switch is stopped for a while")
    return lines


def is_stopped_outside_of_transactions(scene, database: Copies) -> bool:
    """Stop the switch; let it go on where it has locked rows, as a renewal of the lease takes long beside others.

    No switch can take the database before these locks are released.
    """
    scene.daemon.signal(signal.SIGSTOP)
    if not database.is_locked():
        return True
    scene.daemon.signal(signal.SIGCONT)
    return False


@pytest.fixture
def clock(tmp_path) -> MovedClock:
    return MovedClock(tmp_path, BEGIN_MS)


@pytest.fixture
def scene(stage, clock, database):
    text = CONFIGURATION.replace(SQLITE_URL, database.url).replace('overdraft_limit: "1000"', 'overdraft_limit: "0"')
    return stage(configuration=text, prepare=prepare)


@pytest.mark.parametrize("database", ["sqlite", MARIADB], indirect=True)
def test_calls_of_a_stopped_switch_get_nothing_more_once_another_has_its_database(scene, clock, database, tmp_path):
    lines = stopped(scene, clock, database)
    database.ask("UPDATE lease SET holder = 'other', host = 'elsewhere', pid = 7, process = 'x', epoch = epoch + 1")
    spend_elsewhere(scene, tmp_path / "other", "3")
    late = scene.customer.call("449999999")  # waits in the socket until the switch wakes
    scene.daemon.signal(signal.SIGCONT)

    eventually(lambda: late.statuses[-1:] == [503], lambda: f"503 to the call that waited: {late.statuses}")
    eventually(lambda: scene.daemon.ask("status")["calls"] == 0, "no call is granted more")
    ended = eventually(lambda: len(found := answered(scene)) == CALLS and found, "the calls are booked")
    assert {(each["end_reason"], each["hold_time_ms"], each["fee"]) for each in ended} == {
        ("Balance Exhausted", 60_000, "0.60")
    }
    assert scene.daemon.ask("status")["database"]["state"] == "lease_lost"
    names = [line["event"] for line in scene.daemon.log(lines)]
    assert names.index("process_stood_still") < names.index("lease_lost") < names.index("processing_resumed")
    balance = Decimal(scene.daemon.ask("account", "show", "acme")["balance"])
    assert balance == -CALLS * Decimal("0.60"), "no more than was held when it stopped"


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_stopped_switch_that_none_has_replaced_goes_on_as_before(scene, clock, database):
    stopped(scene, clock, database)
    waited = scene.customer.call("449999999")
    scene.daemon.signal(signal.SIGCONT)

    eventually(lambda: waited in scene.customer.answered, "the call that waited is answered")
    assert scene.daemon.ask("status")["calls"] == CALLS + 1
    for call in scene.customer.answered:
        scene.customer.hang_up(call)
    ended = eventually(lambda: len(found := answered(scene)) == CALLS + 1 and found, "the calls are booked")
    assert sorted((each["end_reason"], each["hold_time_ms"]) for each in ended) == [
        ("Normal", 0), *[("Normal", 61_000)] * CALLS
    ]  # fmt: skip
    scene.daemon.succeed("ledger", "verify")


def answered(scene) -> list:
    return [each for each in scene.records() if each["answered_at"] is not None]


def spend_elsewhere(scene, directory: Path, amount: str) -> None:
    """Book what another switch has spent; the stopped one is not asked."""
    directory.mkdir()
    text = scene.daemon.configuration_file.read_text()
    text = text.replace(f"{scene.daemon.directory}/vosd.sock", f"{directory}/vosd.sock")
    other = Daemon(directory, text)
    other.configuration_file.write_text(text)
    other.succeed("payment", "add", "--account", "acme", "--type", "adjustment", f"--amount=-{amount}")


def test_what_comes_meanwhile_counts_as_of_when_it_came_and_no_caller_that_may_have_gone_is_called_for(stage):
    host = f"{NETWORK}.11"
    text = CONFIGURATION.replace('["udp:$switch"]', '["udp:$switch", "tcp:$switch"]').replace("$customer", host)
    scene = stage(configuration=text)
    dialled = time.monotonic()
    scene.answered(1)
    with StreamPeer(Endpoint(host, 17_999)) as connected:
        by_tcp = OutgoingCall(connected, scene.switch, "440000009")
        by_tcp.invite()
        by_tcp.answered()
        scene.daemon.signal(signal.SIGSTOP)
        began = time.monotonic()
        scene.customer.hang_up(next(iter(scene.customer.answered)))
        by_tcp.send(by_tcp.request("BYE", 2))
        hung_up = time.monotonic()
        given_up = scene.customer.call("449999999")
        eventually(lambda: time.monotonic() - began > REPEATED_S + 1, "the switch is stopped for a while")
        scene.daemon.signal(signal.SIGCONT)

        records = eventually(lambda: len(found := scene.records()) == 2 and found, "the calls are booked")
    for record in records:
        assert record["end_reason"] == "Normal"
        assert record["hold_time_ms"] < 1_000 * (hung_up - dialled + REPEATED_S), "less than the switch was stopped"
    later = scene.customer.call("449999998")
    eventually(lambda: later.statuses[-1:] == [200], "a new call is taken")
    assert given_up.statuses == []
    assert len(scene.vendor.invites) == 3
