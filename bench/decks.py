"""``python -m bench.decks``: a large deck of rates tried, imported and rolled back beside calls, by turns.

If permitted, the run takes precedence over other processes.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from doubles.process.daemon import Daemon
from doubles.process.mariadb import MariaDb

from .beside import CONSOLE, Loads, Turns, run_verb, take_precedence
from .rates import _OWN_RATES, START_SECONDS, _judge, _timed, write_deck
from .targets import configuration

CALLS_A_SECOND = 100
GOAL_TRIAL_S = 30.0
GOAL_IMPORT_S = 60.0
GOAL_ROLLBACK_S = 5.0


def main() -> int:
    """Run all and print the results; return 1 if calls failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.decks", description=__doc__)
    parser.add_argument("--rates", type=int, default=500_000, help="rates of the deck")
    parser.add_argument("--calls", type=int, default=CALLS_A_SECOND, help="calls a second")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each turn without anything beside the calls")
    parser.add_argument("--turns", type=int, default=2, help="how often each is done beside calls")
    parser.add_argument("--database", choices=("sqlite", "mariadb"), default="sqlite")
    arguments = parser.parse_args()
    take_precedence()
    with tempfile.TemporaryDirectory(prefix="vosd-decks-") as name, _database(arguments.database, Path(name)) as url:
        directory = Path(name)
        deck = _OWN_RATES.sub(r"\1    deck: true\n", configuration(url))
        daemon = Daemon(directory, deck, start_seconds=START_SECONDS)
        daemon.migrate()
        write_deck(directory / "first.csv", arguments.rates, seed=1)
        next_text = (directory / "first.csv").read_text().replace(",60\n", ",30\n")
        (directory / "next.csv").write_text(next_text)
        daemon.start()
        try:
            turns = _measured(daemon, arguments)
        finally:
            daemon.kill()
    return 1 if turns.failed else 0


@contextmanager
def _database(name: str, directory: Path) -> Iterator[str]:
    """Yield the URL of an empty database."""
    if name == "sqlite":
        yield "sqlite+aiosqlite:///$directory/vosd.db"
        return
    data = directory / "mariadb"
    data.mkdir()
    server = MariaDb(data)
    server.start()
    try:
        yield server.create_database("vosd")
    finally:
        server.stop()


def _measured(daemon: Daemon, arguments: argparse.Namespace) -> Turns:
    loads, turns = Loads(daemon), Turns(arguments.calls)
    first, following = (str(daemon.directory / name) for name in ("first.csv", "next.csv"))

    def until_live(*words: str) -> float:
        """Carry out a verb until the switch uses its rates, and return how much of that is after the verb's end."""
        run_verb(daemon, "rates", *words)
        ended = time.perf_counter()
        loads.one_more()
        return time.perf_counter() - ended

    _judge("first import, as a whole", _timed(lambda: until_live("import", "sell", first)), GOAL_IMPORT_S, "s")
    trial = _timed(lambda: run_verb(daemon, "rates", "import", "sell", following, "--dry-run"))
    _judge("trial", trial, GOAL_TRIAL_S, "s")
    run_verb(daemon, "payment", "add", "--account", "acme", "--amount", "1000000", "--yes")
    with turns.load():
        for _ in range(arguments.turns):
            turns.quiet(arguments.seconds)
            turns.beside("a trial", lambda: run_verb(daemon, "rates", "import", "sell", following, "--dry-run"))
            turns.quiet(arguments.seconds)
            turns.beside("an import", lambda: until_live("import", "sell", following))
            turns.quiet(arguments.seconds)
            turns.beside("its rollback", lambda: until_live("rollback", "sell"))
    CONSOLE.print(f"{arguments.rates:,} rates, {arguments.database}")
    turns.report()
    _judge("rollback beside calls", max(turns.seconds["its rollback"]), GOAL_ROLLBACK_S, "s")
    return turns


if __name__ == "__main__":
    raise SystemExit(main())
