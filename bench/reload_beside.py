"""``python -m bench.reload_beside``: reloads of a large configuration beside calls, by turns with calls alone.

100,000 accounts with a trunk each, and a table of a million rates. If permitted, the run takes precedence over other
processes.
"""

import argparse
import os
import signal
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from doubles.process.daemon import Daemon

from .beside import CONSOLE, Loads, Turns, run_verb, take_precedence
from .rates import START_SECONDS, write_deck
from .reload import ACCOUNT, NUMBER, TRUNK
from .targets import configuration

CALLS_A_SECOND = 100
PAUSE_S = 0.2
"""Between two reloads."""


def main() -> int:
    """Run all and print the results; return 1 if calls failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.reload_beside", description=__doc__)
    parser.add_argument("--accounts", type=int, default=NUMBER, help="accounts, and as many trunks")
    parser.add_argument("--rates", type=int, default=1_000_000, help="rates of the large table")
    parser.add_argument("--calls", type=int, default=CALLS_A_SECOND, help="calls a second")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each turn")
    parser.add_argument("--turns", type=int, default=2, help="how often each is measured")
    arguments = parser.parse_args()
    take_precedence()
    with tempfile.TemporaryDirectory(prefix="vosd-reload-") as name:
        directory = Path(name)
        text = configuration("sqlite+aiosqlite:///$directory/vosd.db", arguments.accounts)
        text = text.replace("rate_groups:\n", "rate_groups:\n  - {name: large, rates_file: large.csv}\n", 1)
        daemon = Daemon(directory, text, start_seconds=START_SECONDS)
        _write_editions(daemon.configuration_file)
        write_deck(directory / "large.csv", arguments.rates, seed=1)
        rates = (directory / "large.csv").read_text()
        for turn in range(arguments.turns):
            (directory / f"large.{turn}").write_text(rates.replace(",60\n", f",{30 + turn}\n"))
        del rates
        daemon.migrate()
        daemon.start()
        try:
            turns = _measured(daemon, arguments)
        finally:
            daemon.kill()
    return 1 if turns.failed else 0


def _write_editions(file: Path) -> None:
    """Write the configuration with each change beside it: the calls that are measured do not wait for this process."""
    text = file.read_text()
    account = text.replace("accounts:\n", f"accounts:\n{ACCOUNT.format('n1')}", 1)
    editions = {
        "account": account,
        "trunk": account.replace("_gateways:\n", f"_gateways:\n{TRUNK.format('n3', 3)}", 1),
        "price": text.replace('"0.012"', '"0.013"', 1),
        "base": text,
    }
    for name, edition in editions.items():
        file.with_name(name).write_text(edition)


def _measured(daemon: Daemon, arguments: argparse.Namespace) -> Turns:
    loads, turns = Loads(daemon), Turns(arguments.calls)
    file = daemon.configuration_file
    took: list[float] = []
    """Seconds of each load."""

    def load(edition: Path, into: Path) -> None:
        """Put an edition in the place of a file, and wait until the switch uses it."""
        beside = into.with_suffix(".next")
        os.link(edition, beside)
        beside.replace(into)
        began = time.monotonic()
        daemon.signal(signal.SIGHUP)
        loads.one_more()
        took.append(time.monotonic() - began)

    def again_and_again(*editions: str) -> Callable[[], None]:
        def act() -> None:
            until = time.monotonic() + arguments.seconds
            while time.monotonic() < until:
                for edition in editions:
                    load(file.with_name(edition), file)
                    time.sleep(PAUSE_S)

        return act

    run_verb(daemon, "payment", "add", "--account", "acme", "--amount", "1000000", "--yes")
    with turns.load():
        for turn in range(arguments.turns):
            turns.quiet(arguments.seconds)
            turns.beside("an account, a trunk, both gone", again_and_again("account", "trunk", "base"))
            turns.quiet(arguments.seconds)
            turns.beside("another price", again_and_again("price", "base"))
            turns.quiet(arguments.seconds)
            table = partial(load, file.with_name(f"large.{turn}"), file.with_name("large.csv"))
            turns.beside("a new large table", table)
    CONSOLE.print(f"{arguments.accounts:,} accounts and trunks, {arguments.rates:,} rates")
    turns.report()
    took.sort()
    CONSOLE.print(
        f"{len(took)} loads, in force after {took[len(took) // 2]:.2f} s (median), {took[-1]:.2f} s (longest)"
    )
    return turns


if __name__ == "__main__":
    raise SystemExit(main())
