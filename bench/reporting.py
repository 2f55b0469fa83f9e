"""Reports beside calls: ``python -m bench.reporting [CALLS] [TURNS] [SECONDS] [RATE] [DIRECTORY]``.

The sums of a month of ``bench.reports`` (CALLS of three days, 600,000) are in MariaDB. Set-ups of RATE calls a second
(100) are measured by turns of SECONDS (20) with nothing, with reports over the month one after the other by ``vosd
report``, and by the management API. What is made in DIRECTORY is used by the next run.
"""

import itertools
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from doubles.process.daemon import Daemon
from doubles.process.mariadb import MariaDb
from doubles.sockets.loopback import Endpoint

from .beside import CONSOLE, Turns, run_verb, take_precedence
from .reports import BEGIN, DAY_MS, MONTH, OPTIONS, fill
from .targets import configuration

CALLS_GOAL_MS: Final = 5.0
LISTENER: Final = Endpoint("127.0.0.9", 15_099)
_REPORTS: Final = ("daily", "profit", "revenue", "routing-gateways", "account-areas", "failures", "mapping-gateways")


def _moment(at: int) -> str:
    return datetime.fromtimestamp(at / 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_SINCE: Final = _moment(BEGIN)
_UNTIL: Final = _moment(BEGIN + MONTH * DAY_MS)


def _by_the_verb(daemon: Daemon, name: str) -> None:
    run_verb(daemon, "report", name, "--since", _SINCE, "--until", _UNTIL, "--csv")


def _over_http(token: str, name: str) -> None:
    path = f"http://{LISTENER}/api/v1/reports/{name}?since={_SINCE}&until={_UNTIL}"
    words = ["curl", "--silent", "--fail", "--output", "/dev/null", "--header", f"Authorization: Bearer {token}", path]
    subprocess.run(words, check=True)


def _again_and_again(act: Callable[[str], None], seconds: float, done: list[str]) -> None:
    deadline = time.monotonic() + seconds
    for name in itertools.cycle(_REPORTS):
        if time.monotonic() > deadline:
            return
        act(name)
        done.append(name)


def measure(directory: Path, calls: int, turns: int, seconds: float, rate: int) -> None:
    """Measure and print."""
    data = directory / "mariadb"
    is_new = not data.exists()
    data.mkdir(exist_ok=True)
    server = MariaDb(data, options=OPTIONS)
    server.start()
    try:
        url = fill(server, calls) if is_new else server.url("vosd")
        text = f"{configuration(url)}\napi: {{listen: '{LISTENER}', token_rate: 0, address_rate: 0}}\n"
        with tempfile.TemporaryDirectory(prefix="vosd-bench-") as scratch, Daemon(Path(scratch), text) as daemon:
            daemon.succeed("payment", "add", "--account", "acme", "--amount", "1000000", "--yes")
            name = f"reader-{time.time_ns()}"
            token = daemon.succeed("token", "add", name, "--role", "finance").split()[-1]
            for each in _REPORTS:
                _over_http(token, each)
            measured, verbs, requests = Turns(rate, CALLS_GOAL_MS), list[str](), list[str]()
            with measured.load():
                for _ in range(turns):
                    measured.quiet(seconds)
                    measured.beside(
                        "vosd report", lambda: _again_and_again(lambda name: _by_the_verb(daemon, name), seconds, verbs)
                    )
                    measured.quiet(seconds)
                    measured.beside(
                        "GET /reports",
                        lambda: _again_and_again(lambda name: _over_http(token, name), seconds, requests),
                    )
    finally:
        server.stop()
    measured.report()
    CONSOLE.print(f"{len(verbs)} reports by the verb, {len(requests)} by the API, over a month each")


def main(
    calls: int = 600_000, turns: int = 4, seconds: int = 20, rate: int = 100, directory: str | None = None
) -> None:
    """Measure in a directory that stays, or in one that does not."""
    take_precedence()
    if directory is not None:
        Path(directory).mkdir(parents=True, exist_ok=True)
        measure(Path(directory), calls, turns, seconds, rate)
        return
    with tempfile.TemporaryDirectory(prefix="vosd-bench-") as made:
        measure(Path(made), calls, turns, seconds, rate)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:5]), *sys.argv[5:6])  # type: ignore[arg-type]
