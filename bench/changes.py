"""Changes of definitions among 100,000 accounts and as many trunks of the database, in a running switch.

``python -m bench.changes [--database mariadb] [--objects 100000] [--turns 2] [--seconds 8] [--calls 100] [--heavy]``:
a start, the first change directly after it, changes through the management API beside calls by turns with calls alone,
and two verbs about one account. ``--heavy``: changes of what all accounts depend on instead. A change has taken as long
as its request, whose answer says that it is in force. If permitted, the run takes precedence over other processes.

``python -m bench.changes alone [NUMBER]``: the checks alone, as the process beside the switch makes them, without one.
"""

import argparse
import http.client
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from doubles.process.daemon import Daemon
from doubles.sockets.loopback import Endpoint

from vosd.catalogue.planned_objects import ChangeCheck, states_of
from vosd.catalogue.problems import ConfigError
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.storage.migrate import migrate
from vosd.wiring.change_check import LastLoad, check_here
from vosd.wiring.configured_switch import ConfiguredSwitch

from .beside import CONSOLE, Loads, Turns, run_verb, take_precedence
from .process import cpu_of, proportional_bytes, resident_bytes
from .stored import account, add, gone, trunk
from .targets import START_SECONDS, configuration, mariadb

NUMBER = 100_000
ALONE = 50_000
ROUNDS = 3
DELETED = 10
SPARE = 5_000
"""Accounts that are there to be deleted."""
GOAL_MS = 10.0
"""The p99 of set-ups may move by so much beside changes of single objects."""
PAUSE_S = 0.1
"""Between two changes."""
LISTENER = Endpoint("127.0.0.9", 15_098)
KEYS = {"type": "direct", "template": "common"}
Request = tuple[str, str, Any]


def request_of(what: str, number: int) -> Request:
    """Return the request of a change by its name; ``number`` differs each time."""
    first = number * DELETED
    ended = [{"action": "delete", "kind": "accounts", "name": f"x{first + each}"} for each in range(DELETED)]
    changes: dict[str, Request] = {
        "an account changed": ("PUT", "/accounts/s7", {"keys": {**KEYS, "max_cps": str(number + 1)}}),
        "a trunk changed": (
            "PUT",
            "/mapping-gateways/u9",
            {"keys": {"account": "s9", "hosts": ["12.0.0.9/32"], "max_cps": str(number + 2)}},
        ),
        "an account added": ("POST", "/accounts", {"name": f"n{number}", "keys": KEYS}),
        "ten accounts deleted": ("POST", "/bulk?confirm=true", {"objects": ended}),
        "a template of all accounts": (
            "PUT",
            "/templates/common?confirm=true",
            {"keys": {"rate_group": "sell", "max_concurrent": str(number + 3)}},
        ),
        "a parameter": ("PUT", "/parameters/SS_SIP_SESSION_TTL?confirm=true", {"value": str(number + 1_000)}),
    }
    return changes[what]


LIGHT = ("an account changed", "a trunk changed", "an account added", "ten accounts deleted")
HEAVY = ("a template of all accounts", "a parameter")


def client(token: str, what: str, seconds: float, first: int) -> None:
    """Make changes for so long, at least one; print how long each took."""
    until = time.monotonic() + seconds
    took: list[float] = []
    while not took or time.monotonic() < until:
        method, path, body = request_of(what, first + len(took))
        began = time.monotonic()
        connection = http.client.HTTPConnection(LISTENER.host, LISTENER.port, timeout=300)
        with closing(connection):
            head = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            connection.request(method, f"/api/v1{path}", json.dumps(body), head)
            answer = connection.getresponse()
            said = answer.read()
        took.append(time.monotonic() - began)
        if answer.status >= 300:
            raise SystemExit(f"{what}: {answer.status} after {took[-1]:.2f} s: {said[:500]!r}")
        if json.loads(said)["in_force"] is not True:
            print(f"{what}: answered after {took[-1]:.2f} s, before it is in force", file=sys.stderr)
        time.sleep(PAUSE_S)
    print(json.dumps(took))


class Changes:
    """Changes of a running switch by processes of their own, and the processor time of the switch meanwhile."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._token = daemon.succeed("token", "add", "changer", "--role", "administrator").split()[-1]
        self._number = 0
        self.took: dict[str, list[float]] = {}
        self._cpu: dict[str, float] = {}
        self._wall: dict[str, float] = {}

    def make(self, what: str, seconds: float) -> list[float]:
        """Make changes for so long, at least one; return how long each took."""
        words = [sys.executable, "-m", "bench.changes", "client", self._token, what, str(seconds), str(self._number)]
        loads, began = Loads(self._daemon), time.monotonic()
        with self.noted(what):
            done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
            took: list[float] = json.loads(done.stdout)
            if what in HEAVY:
                loads.one_more()
                took = [time.monotonic() - began]
        self._number += len(took)
        self.took.setdefault(what, []).extend(took)
        return took

    @contextmanager
    def noted(self, what: str) -> Iterator[None]:
        """Add up the processor time of the switch, without that of its event loop, which calls are made of."""
        began, wall = _beside_loop(self._daemon), time.monotonic()
        yield
        self._cpu[what] = self._cpu.get(what, 0.0) + _beside_loop(self._daemon) - began
        self._wall[what] = self._wall.get(what, 0.0) + time.monotonic() - wall

    def report(self) -> None:
        """Print how long changes took, and the processor time of the switch beyond that for calls."""
        calls = self._cpu["nothing"] / self._wall["nothing"]
        CONSOLE.print(f"processor time of the switch beside its event loop, for calls: {calls:.3f} s a second")
        CONSOLE.print(f"{'':36}{'changes':>8}{'median s':>10}{'longest s':>10}{'switch, ms each':>17}")
        for what, took in self.took.items():
            each_ms = (self._cpu[what] - calls * self._wall[what]) / len(took) * 1_000
            CONSOLE.print(f"{what:36}{len(took):8}{sorted(took)[len(took) // 2]:10.2f}{max(took):10.2f}{each_ms:17.0f}")


def _fill(url: str, number: int) -> None:
    body = json.dumps({"rate_group": "sell", "max_concurrent": "2"})
    add(
        url,
        [ObjectVersion(kind="templates", name="common", version=1, body=body, begins_at=1, made_at=1, operator="ann")],
    )
    keys = json.dumps(KEYS)
    names = (*(f"s{each}" for each in range(number)), *(f"x{each}" for each in range(SPARE)))
    add(url, [msgspec.structs.replace(account(name), body=keys) for name in names])
    add(url, [trunk(each) for each in range(number)])


def _processes(daemon: Daemon) -> dict[str, int]:
    """Return the ids of the switch and of the processes beside it, by name."""
    return {"switch": daemon.pid} | {_name(pid): pid for pid in daemon.children()}


def _name(pid: int) -> str:
    words = Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").split("\0")
    return next((each.rpartition(".")[2] for each in reversed(words) if each.startswith("vosd.")), "other")


def _processor_time(daemon: Daemon) -> dict[str, float]:
    return {name: cpu_of(pid).total for name, pid in _processes(daemon).items()}


def _beside_loop(daemon: Daemon) -> float:
    """Return the processor time of the switch without that of its first thread."""
    loop_ns = int(Path(f"/proc/{daemon.pid}/task/{daemon.pid}/schedstat").read_text().split()[0])
    return cpu_of(daemon.pid).total - loop_ns / 1e9


def _memory(daemon: Daemon) -> str:
    return ", ".join(
        f"{name} {resident_bytes(pid) >> 20} MiB (its part {proportional_bytes(pid) >> 20})"
        for name, pid in _processes(daemon).items()
    )


def _measured(daemon: Daemon, arguments: argparse.Namespace) -> Turns:
    daemon.start()  # it opens the accounts in the database
    daemon.interrupt()
    lines = len(daemon.log())
    began = time.monotonic()
    daemon.start()
    while not (found := [each for each in daemon.log(lines) if each["event"] == "ready"]):
        time.sleep(0.02)
    ready = found[0]
    CONSOLE.print(
        f"start: commands are taken after {time.monotonic() - began:.1f} s, calls after {ready['after_ms']} ms,"
        f" processor time {cpu_of(daemon.pid).total:.1f} s; steps {ready['steps_ms']}"
    )
    changes = Changes(daemon)
    for each in ("first", "second"):
        before = _processor_time(daemon)
        wait = time.monotonic() - began
        took = changes.make(LIGHT[0], 0.0)
        used = {name: f"{1_000 * (now - before.get(name, 0.0)):.0f}" for name, now in _processor_time(daemon).items()}
        CONSOLE.print(
            f"{each} change, {wait:.1f} s after the start began: {took[0]:.2f} s; ms of processor time: {used}"
        )
    changes.took.clear()
    CONSOLE.print(f"memory: {_memory(daemon)}")
    run_verb(daemon, "payment", "add", "--account", "acme", "--amount", "1000000", "--yes")
    turns = Turns(arguments.calls, GOAL_MS)
    with turns.load():
        for _ in range(arguments.turns):
            for what in HEAVY if arguments.heavy else LIGHT:
                with changes.noted("nothing"):
                    turns.quiet(arguments.seconds)
                turns.beside(what, partial(changes.make, what, 0.0 if what in HEAVY else arguments.seconds))
            _verbs(daemon, turns)
    turns.report()
    changes.report()
    CONSOLE.print(f"memory: {_memory(daemon)}")
    return turns


def _verbs(daemon: Daemon, turns: Turns) -> None:
    """Run two verbs about one account."""
    file = daemon.directory / "keys.yaml"
    file.write_text("type: direct\ntemplate: common\n")
    for _ in range(ROUNDS):
        turns.beside("account show s7", lambda: run_verb(daemon, "account", "show", "s7"))
        words = ("definitions", "set", "accounts", "s8", "--file", str(file), "--memo", str(time.monotonic_ns()))
        turns.beside("definitions set accounts s8", partial(run_verb, daemon, *words))


def _running(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.changes", description=__doc__)
    parser.add_argument("--database", choices=("sqlite", "mariadb"), default="sqlite")
    parser.add_argument("--objects", type=int, default=NUMBER, help="accounts, and as many trunks")
    parser.add_argument("--calls", type=int, default=100, help="calls a second")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each turn")
    parser.add_argument("--turns", type=int, default=2, help="how often each is measured")
    parser.add_argument("--heavy", action="store_true", help="changes of what all accounts depend on instead")
    arguments = parser.parse_args(words)
    take_precedence()
    with tempfile.TemporaryDirectory(prefix="vosd-changes-") as name, _database(Path(name), arguments) as url:
        text = f"{configuration(url, 10)}\napi: {{listen: '{LISTENER}', token_rate: 0, address_rate: 0}}\n"
        daemon = Daemon(Path(name), text, start_seconds=START_SECONDS)
        daemon.migrate()
        _fill(url.replace("$directory", name), arguments.objects)
        CONSOLE.print(f"{arguments.database}, {arguments.objects:,} accounts and trunks")
        try:
            turns = _measured(daemon, arguments)
        finally:
            daemon.kill()
    return 1 if turns.failed else 0


@contextmanager
def _database(directory: Path, arguments: argparse.Namespace) -> Iterator[str]:
    if arguments.database == "sqlite":
        yield "sqlite+aiosqlite:///$directory/vosd.db"
        return
    with mariadb(directory) as (_, url):
        yield url


def _alone(number: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path, url = Path(directory, "vosd.yaml"), f"sqlite+aiosqlite:///{directory}/vosd.db"
        path.write_text(configuration(url, 10).replace("$directory", directory))
        migrate(url)
        last = LastLoad()
        spare = [f"x{turn}-{each}" for turn in range(ROUNDS) for each in range(DELETED)]
        add(url, [*(account(f"s{each}") for each in range(number)), *map(account, spare)])
        add(url, [trunk(each) for each in range(number)])

        def timed(name: str, change: list[ObjectVersion]) -> None:
            began, wall = time.process_time(), time.monotonic()
            asked = ChangeCheck([*states_of(change, ())])
            with closing(ConfiguredSwitch(path)) as switch:
                try:
                    check_here(switch, asked, last)
                    result = "valid"
                except ConfigError as error:
                    result = f"refused: {str(error)[:60]}"
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
            print(
                f"{name:16} {time.monotonic() - wall:7.3f} s, {time.process_time() - began:7.3f} s of processor time,"
                f" {peak} MiB, {result}",
                flush=True,
            )
            if result == "valid":
                add(url, change)

        for turn in range(ROUNDS):
            changed = msgspec.structs.replace(account("s7", turn + 2), memo=str(turn))
            timed("account changed", [changed])
            timed("trunk changed", [trunk(number // 2, turn + 2)])
            timed("account added", [account(f"n{turn}")])
            timed("ten deleted", [gone(name) for name in spare[turn * DELETED : (turn + 1) * DELETED]])
            refused = msgspec.structs.replace(account(f"r{turn}"), body='{"type":"direct","rate_group":"none"}')
            timed("refused", [refused])


def main() -> int:
    """Measure and print; return 1 if calls failed."""
    match sys.argv[1:]:
        case ["alone", *number]:
            _alone(int(number[0]) if number else ALONE)
        case ["client", token, what, seconds, first]:
            client(token, what, float(seconds), int(first))
        case words:
            return _running(words)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
