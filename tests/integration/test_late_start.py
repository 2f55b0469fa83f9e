"""A start that takes long: its database comes up later, or its files are read slowly."""

import fcntl
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from doubles.daemon import Daemon
from doubles.migrated import migrate_on_server
from doubles.mysql import server_of_tests
from doubles.process.mariadb import MariaDb
from doubles.service_manager import ServiceManager
from e2e.addresses import NETWORK

CONFIGURATION = """
sip: {listen: ["udp:$network.9:14063"]}
database: {url: "sqlite+aiosqlite:///$directory/vosd.db"}
state_dir: $directory/var
control_socket: $directory/vosd.sock
rate_groups:
  - name: buy
    rates: [{prefix: "44", billing_rate: "0.005"}]
""".replace("$network", NETWORK)
Background = Callable[[Daemon], None]


@pytest.fixture
def background() -> Iterator[Background]:
    """Give a way to start a daemon without waiting until it takes calls; killed afterwards."""
    started: list[Daemon] = []

    def start(daemon: Daemon) -> None:
        started.append(daemon)
        daemon.start(wait=False)

    yield start
    for daemon in started:
        daemon.kill()


@pytest.fixture
def late_mariadb(tmp_path: Path) -> Iterator[MariaDb]:
    """A MariaDB of the test's own, running; the test may stop and start it."""
    (tmp_path / "mariadb").mkdir()
    server = server_of_tests(tmp_path / "mariadb")
    server.start()
    yield server
    server.stop()


def test_a_start_waits_for_a_database_that_comes_up_later(
    manager: ServiceManager, tmp_path: Path, late_mariadb: MariaDb, background: Background
) -> None:
    url = late_mariadb.create_database("vosd")
    migrate_on_server(url)
    late_mariadb.stop()
    daemon = Daemon(tmp_path, CONFIGURATION.replace("sqlite+aiosqlite:///$directory/vosd.db", url))
    background(daemon)

    waiting = manager.wait_for("STATUS=waiting for the database")[-1]
    assert "is the server running" in waiting
    assert "EXTEND_TIMEOUT_USEC=" in waiting
    assert "secret" not in waiting + daemon.log_file.read_text()
    assert daemon.verb("status").code == 4

    late_mariadb.start()
    manager.wait_for("READY=1")
    assert daemon.ask("status")["calls"] == 0
    assert daemon.interrupt() == 0
    events = [line["event"] for line in daemon.log()]
    first = ["definitions_outdated", "database_away", "database_back", "configuration_loaded"]
    assert [each for each in events if each in first][:4] == first  # a busy machine has alarms of its own beside them
    assert "ready" in events


def test_a_start_that_waits_for_its_database_can_be_stopped(
    manager: ServiceManager, tmp_path: Path, background: Background
) -> None:
    away = "mysql+aiomysql://vosd:s3cret@127.0.0.1:14099/vosd"
    daemon = Daemon(tmp_path, CONFIGURATION.replace("sqlite+aiosqlite:///$directory/vosd.db", away))
    background(daemon)
    manager.wait_for("STATUS=waiting for the database")

    assert daemon.interrupt() == 0
    assert "Traceback" not in daemon.log_file.read_text()


def test_more_time_is_asked_for_while_rates_are_read(
    manager: ServiceManager, tmp_path: Path, migrated: Path, background: Background
) -> None:
    shutil.copy(migrated, tmp_path)
    slow = tmp_path / "rates.csv"
    slow.write_text("prefix,billing_rate\n44,0.005\n")
    inline = 'rates: [{prefix: "44", billing_rate: "0.005"}]'
    daemon = Daemon(tmp_path, CONFIGURATION.replace(inline, f"rates_file: {slow}"))
    signal.signal(signal.SIGIO, signal.SIG_IGN)  # sent to the holder of the lease
    with slow.open("r+") as leased:
        fcntl.fcntl(leased, fcntl.F_SETLEASE, fcntl.F_WRLCK)  # others wait to open it until this one is closed
        background(daemon)
        assert manager.wait_for("EXTEND_TIMEOUT_USEC=")[0].startswith("STATUS=reading the configuration\n")

    manager.wait_for("READY=1")
    assert daemon.interrupt() == 0
