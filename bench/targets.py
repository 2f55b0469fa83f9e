"""Targets of the measurements: SIPp alone, this switch on either database, Sippy's B2BUA.

Each is a context manager that yields where to call, whose processor time to read, and when it is idle.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from string import Template

from doubles.process.daemon import Daemon
from doubles.process.mariadb import MariaDb
from doubles.sockets.loopback import Endpoint, udp_bound

from .process import Cpu, cpu_of

VENDOR = Endpoint("127.0.0.1", 15_201)
SWITCH = Endpoint("127.0.0.1", 15_200)
CONFIGURATION = Path(__file__).with_name("vosd.yaml")
OTHERS_FROM = int(IPv4Address("10.0.0.0"))
START_SECONDS = 300.0
SIPPY_START_SECONDS = 10.0


@dataclass(frozen=True)
class Target:
    """A target that routes calls to ``VENDOR``."""

    name: str
    address: Endpoint
    pid: int | None
    """Process whose processor time and memory count; None for SIPp alone."""
    database_cpu: Callable[[], Cpu] | None = None
    held: Callable[[], int] | None = None
    """Return the number of calls that it holds now, if known."""
    settle: Callable[[], None] = lambda: None
    """Wait for the effects of ended calls (bookings)."""
    daemon: Daemon | None = None


@contextmanager
def direct() -> Iterator[Target]:
    """SIPp to SIPp: the cost and latency of the measurement itself."""
    yield Target("none (SIPp to SIPp)", VENDOR, None)


@contextmanager
def on_sqlite(directory: Path, launcher: Sequence[str] = (), accounts: int = 0) -> Iterator[Target]:
    """This switch with the embedded database, and that many more customers with a trunk each."""
    text = configuration("sqlite+aiosqlite:///$directory/vosd.db", accounts)
    with Daemon(directory, text, launcher, start_seconds=START_SECONDS) as daemon:
        yield _target(f"vosd, SQLite{f', {accounts:,} accounts' if accounts else ''}", daemon, None)


@contextmanager
def on_mariadb(directory: Path, launcher: Sequence[str] = ()) -> Iterator[Target]:
    """This switch with a MariaDB of its own, whose processor time is read separately."""
    with mariadb(directory) as (server, url), Daemon(directory, configuration(url), launcher) as daemon:
        yield _target("vosd, MariaDB", daemon, lambda: cpu_of(server.pid))


@contextmanager
def mariadb(directory: Path) -> Iterator[tuple[MariaDb, str]]:
    """Yield a MariaDB of its own, and the URL of an empty database."""
    data = directory / "mariadb"
    data.mkdir()
    server = MariaDb(data)
    server.start()
    try:
        yield server, server.create_database("vosd")
    finally:
        server.stop()


@contextmanager
def sippy(directory: Path) -> Iterator[Target]:
    """Sippy's B2BUA in its simplest form: no routing, no billing, no records, logging off."""
    executable = sippy_executable()
    assert executable is not None, "look for it first"
    with (directory / "sippy.log").open("wb") as log:
        process = subprocess.Popen(
            [executable, "-f", "-l", SWITCH.host, "-p", str(SWITCH.port), "-n", str(VENDOR)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=directory,
            env={**os.environ, "SIPLOG_BEND": "none"},
        )
    try:
        deadline = time.monotonic() + SIPPY_START_SECONDS
        while not udp_bound(SWITCH):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Sippy did not start:\n{(directory / 'sippy.log').read_text()}")
            time.sleep(0.05)
        yield Target("Sippy B2BUA, simple", SWITCH, process.pid)
    finally:
        process.kill()
        process.wait()


def sippy_executable() -> str | None:
    """Return the path of Sippy's script: $SIPPY_B2BUA, a venv in var/sippy, or from PATH."""
    named = os.environ.get("SIPPY_B2BUA")
    beside = Path("var/sippy/bin/b2bua_simple")
    if named:
        return named
    return str(beside.absolute()) if beside.exists() else shutil.which("b2bua_simple")


def configuration(database_url: str, accounts: int = 0) -> str:
    values = {"switch": str(SWITCH), "vendor": str(VENDOR), "database": database_url}
    text = Template(CONFIGURATION.read_text()).safe_substitute(values)
    payers = "".join(f"  - {{id: a{number}, type: direct, rate_group: sell}}\n" for number in range(accounts))
    trunks = "".join(
        f"  - {{name: t{number}, account: a{number}, hosts: [{IPv4Address(OTHERS_FROM + number)}/32]}}\n"
        for number in range(accounts)
    )
    return text.replace("accounts:\n", f"accounts:\n{payers}", 1).replace(
        "mapping_gateways:\n", f"mapping_gateways:\n{trunks}", 1
    )


def _target(name: str, daemon: Daemon, database_cpu: Callable[[], Cpu] | None) -> Target:
    daemon.succeed("payment", "add", "--account", "acme", "--amount", "1000000", "--yes")

    def settle() -> None:
        deadline = time.monotonic() + 30
        while (status := daemon.ask("status"))["calls"] or status["cdr_queue"] or status["spool_rows"]:
            if time.monotonic() > deadline:
                raise RuntimeError(f"calls are left or not booked: {status}")

    return Target(name, SWITCH, daemon.pid, database_cpu, lambda: daemon.ask("status")["calls"], settle, daemon)
