"""Fixtures of the faults: a switch of the test's own, a customer and a vendor around it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from doubles.daemon import Daemon, Prepare
from doubles.mysql import mortal_server
from doubles.process.mariadb import MariaDb
from doubles.sockets.loopback import Endpoint
from e2e.addresses import NETWORK
from e2e.conditions import eventually

from vosd.engine.booking.database_watch import MEMO, Memo
from vosd.engine.kept_file import KeptFile

from .copies import Copies, MariaDbCopies, SqliteCopies
from .parties import Customer, Vendor

TIMERS = "{t1: 0.05, t2: 0.4, t4: 0.5}"
CONFIGURATION = """
node: faults
sip:
  listen: ["udp:$switch"]
  timers: $timers
  overload: {max_lag: 0}
database: {url: "sqlite+aiosqlite:///$directory/vosd.db"}
state_dir: $directory/var
control_socket: $directory/vosd.sock
shutdown_grace: 1
rate_groups:
  - name: sell
    rates: [{prefix: "44", billing_rate: "0.60"}]
  - name: buy
    rates: [{prefix: "44", billing_rate: "0.30"}]
accounts:
  - {id: acme, type: direct, rate_group: sell, overdraft_limit: "1000"}
  - {id: carrier, type: clearing, rate_group: buy, overdraft_limit: "unlimited"}
mapping_gateways:
  - {name: acme-pbx, account: acme, hosts: ["$customer"]}
routing_gateways:
  - {name: carrier, account: carrier, address: "$vendor", prefixes: ["44"]}
""".replace("$timers", TIMERS)

SQLITE_URL = "sqlite+aiosqlite:///$directory/vosd.db"
MARIADB = pytest.param("mariadb", marks=pytest.mark.mariadb)
_ports = count(17_000)


class Scene:
    """A switch, its customer and its vendor."""

    def __init__(self, daemon: Daemon, switch: Endpoint, customer: Customer, vendor: Vendor) -> None:
        self.daemon = daemon
        self.switch = switch
        self.customer = customer
        self.vendor = vendor

    def answered(self, calls: int, first: int = 0) -> None:
        """Make calls and wait until they are answered."""
        wanted = len(self.customer.answered) + calls
        for number in range(calls):
            self.customer.call(f"44{first + number:07d}")
        eventually(lambda: len(self.customer.answered) >= wanted, "every call answered")

    def compared(self) -> None:
        """Wait until the first run has compared the database with its journal: it leaves balances from then on."""
        memo = KeptFile(self.daemon.directory / "var" / MEMO, Memo, "database_memo")
        eventually(lambda: (known := memo.load()) and known.compare_from_s > 0, "the comparison")

    def records(self) -> list[dict[str, Any]]:
        """Return every CDR."""
        found: list[dict[str, Any]] = self.daemon.ask("cdr", "list", "--limit", "100000")
        return found

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the lines of the log with that name."""
        return [line for line in self.daemon.log() if line.get("event") == name]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Callable[..., Scene]]:
    """Return what starts a switch on a directory, ``tmp_path`` where none is given, with parties around it."""
    with ExitStack() as running:

        def begin(
            directory: Path = tmp_path,
            configuration: str = CONFIGURATION,
            prepare: Prepare | None = None,
            **changes: str,
        ) -> Scene:
            switch, customer, vendor = (Endpoint(f"{NETWORK}.{host}", next(_ports)) for host in (1, 11, 21))
            text = configuration
            for name, value in {"switch": switch, "customer": customer, "vendor": vendor, **changes}.items():
                text = text.replace(f"${name}", str(value))
            daemon = running.enter_context(Daemon(directory, text, prepare=prepare))
            return Scene(
                daemon, switch, running.enter_context(Customer(customer, switch)), running.enter_context(Vendor(vendor))
            )

        yield begin


@pytest.fixture
def database(request, tmp_path) -> Copies:
    """The database that the switches of a test share; the contract of the lease is tested on both kinds."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return SqliteCopies(tmp_path)
    return MariaDbCopies(request.getfixturevalue("mariadb_url"))


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDb]:
    """A server of the test's own, which it stops and starts."""
    yield from mortal_server(tmp_path_factory.mktemp("mariadb"))
