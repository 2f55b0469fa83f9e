"""Make the example installation, run it, and print where its console is."""

import asyncio
import os
import shutil
import signal
import sys
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Template
from typing import Final

from doubles.demo import Trunk
from doubles.process.daemon import Daemon
from doubles.showcase.callers import Callers
from doubles.showcase.past import DESTINATIONS, past_calls
from doubles.sockets.login import Login
from doubles.sockets.loopback import free_endpoint
from doubles.sockets.peer import Peer
from doubles.telephone import Telephone
from vosd.cdr.record import CallRecord
from vosd.config.load import load
from vosd.engine.clock import SystemClock
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database
from vosd.storage.traffic import SqlTraffic

DIRECTORY: Final = Path(__file__).parents[3] / "var/example"
CUSTOMERS: Final = ("hotels", "rail", "taxis", "clinic", "bakery", "garage")
VENDORS: Final = ("north", "east", "south")
PAYMENTS: Final = {
    "harbour-hotels": "400",
    "northern-rail": "650",
    "blue-taxis": "30",
    "city-clinic": "120",
    "reseller": "500",
    "reseller-bakery": "60",
    "reseller-garage": "40",
}
_MARK: Final = "# The example of `make run DEMO=1`."
PHONE: Final = Login("7001", "a-long-secret-of-7001")


def main() -> int:
    """Run the example until Ctrl-C; the arguments are the address of the console and a directory, which is emptied."""
    api = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:8080"
    directory = Path(sys.argv[2]).absolute() if len(sys.argv) > 2 else DIRECTORY
    if directory.exists() and any(directory.iterdir()) and not _is_example(directory):
        sys.exit(f"{directory} is not empty, and no example was made there: name another directory (EXAMPLE=...)")
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    with ExitStack() as stack:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        switch = free_endpoint()
        callers = [stack.enter_context(Peer(free_endpoint())) for _ in CUSTOMERS]
        vendors = [stack.enter_context(Trunk({})) for _ in VENDORS]
        silent, desk = free_endpoint(), stack.enter_context(Peer(free_endpoint()))
        values = {"sip": str(switch), "api": api, "silent": str(silent), "directory": str(directory)}
        values |= {name: str(peer.address) for name, peer in zip(CUSTOMERS, callers, strict=True)}
        values |= {name: str(trunk.peer.address) for name, trunk in zip(VENDORS, vendors, strict=True)}
        text = Template((Path(__file__).parent / "vosd.yaml").read_text()).substitute(values)
        daemon = Daemon(directory, text)
        _fill(daemon)
        daemon.start()
        stack.callback(daemon.interrupt)
        stack.enter_context(Callers(callers, switch, DESTINATIONS))
        Telephone(desk, switch, PHONE).register()
        sys.stdout.write(daemon.succeed("user", "first", "--wait"))
        sys.stdout.flush()
        signal.pause()
    return 0


def _is_example(directory: Path) -> bool:
    """Return whether a directory has an example of an earlier run, which may be emptied."""
    written = directory / "vosd.yaml"
    return written.is_file() and written.read_text().startswith(_MARK)


def _fill(daemon: Daemon) -> None:
    """Have payments, some days of calls, and the invoice of yesterday."""
    daemon.migrate()
    for account, amount in PAYMENTS.items():
        daemon.succeed("payment", "add", "--account", account, "--amount", amount, "--memo", "bank transfer")
    loaded = load(daemon.configuration_file, os.environ)
    now_ms = SystemClock().now().wall
    records = past_calls(loaded.catalogue, now_ms)
    asyncio.run(_book(loaded.settings.database_url.reveal(), records))
    yesterday = datetime.fromtimestamp(now_ms / 1_000, UTC) - timedelta(days=1)
    daemon.succeed("invoice", "run", "--period", f"{yesterday:%Y-%m-%d}", "--anew")


async def _book(url: str, records: list[CallRecord]) -> None:
    database = Database(url)
    await SqlBooks(database).book(records)
    traffic = SqlTraffic(database)
    while await traffic.advance():  # the switch would do it within minutes
        pass
    await database.close()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(0)
