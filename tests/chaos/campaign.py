"""Kill and stop the switch and its database at random moments while calls run, then compare everything.

``make chaos`` runs many rounds of it, a test a few. The seed decides what is done and after which pause; what is hit by
it depends on the machine.
"""

import argparse
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import pymysql
from doubles.daemon import Daemon
from e2e.addresses import NETWORK
from e2e.conditions import eventually

from vosd.testing.process.mariadb import MariaDb
from vosd.testing.sockets.loopback import Endpoint

from .telephones import Call, Telephones

SWITCH, CUSTOMER, VENDOR = (Endpoint(f"{NETWORK}.{host}", 15_110) for host in (1, 11, 21))
CALLS_PER_S: Final = 12
_PAUSES_S: Final = (0.0, 0.5)
"""Between two blows."""
_ABSENCES_S: Final = (0.0, 0.5)
_TOLERANCE_S: Final = 1.0
_KILLS_A_ROUND: Final = 10
_PATIENCE_S: Final = 90.0
_OPTIONS: Final = ("--innodb-flush-log-at-trx-commit=2", "--innodb-flush-method=nosync")
"""A page that was half written at the kill comes back from the doublewrite buffer."""
_CONFIGURATION: Final = f"""
node: chaos
sip:
  listen: ["udp:{SWITCH}"]
  timers: {{t1: 0.2, t2: 1, t4: 1}}
  overload: {{max_lag: 0}}
database: {{url: "$database", start_without: 1}}
state_dir: $directory/var
control_socket: $directory/vosd.sock
rate_groups:
  - name: sell
    rates: [{{prefix: "44", billing_rate: "0.60", billing_cycle: 1}}]
  - name: buy
    rates: [{{prefix: "44", billing_rate: "0.30", billing_cycle: 1}}]
accounts:
  - {{id: acme, type: direct, rate_group: sell, overdraft_limit: "100000"}}
  - {{id: carrier, type: clearing, rate_group: buy, overdraft_limit: "unlimited"}}
mapping_gateways:
  - {{name: acme-pbx, account: acme, hosts: ["{CUSTOMER.host}"]}}
routing_gateways:
  - {{name: carrier, account: carrier, address: "{VENDOR}", prefixes: ["44"]}}
"""


class Blow(NamedTuple):
    """One thing that is done to a process."""

    after_s: float
    kind: str
    absence_s: float


def plan(seed: str, kinds: dict[str, int], kills: int) -> list[Blow]:
    """Draw blows until ``kills`` of them are kills; ``kinds`` has the weights."""
    draw = random.Random(seed)
    blows: list[Blow] = []
    while sum(blow.kind == "kill" for blow in blows) < kills:
        [kind] = draw.choices([*kinds], [*kinds.values()])
        blows.append(Blow(draw.uniform(*_PAUSES_S), kind, draw.uniform(*_ABSENCES_S)))
    return blows


class Campaign:
    """A switch on MariaDB between two telephones; a context manager."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.seed = seed
        self.blows: Counter[str] = Counter()
        self.widest_s = 0.0
        """The largest difference between a CDR's duration and what both sides have seen."""
        self.sharp = 0
        """How many calls neither began nor ended while the switch was away: both sides agree on their duration."""
        self._rounds = 0
        self._running = ExitStack()
        self._server = MariaDb(_made(directory / "mariadb"), _OPTIONS)
        self._server.start()
        self._running.callback(self._server.kill)
        text = _CONFIGURATION.replace("$database", self._server.create_database("vosd"))
        self._daemon = Daemon(_made(directory / "switch"), text)
        self.telephones = Telephones(SWITCH, CUSTOMER, VENDOR, f"calls {seed}", CALLS_PER_S)

    def __enter__(self) -> Self:
        with ExitStack() as started:
            started.push(self._running)
            self._daemon.migrate()
            # A new server has pages that are in no log: killed now, it would not come up again.
            self._server.stop()
            self._server.start()
            started.enter_context(self._daemon)
            started.enter_context(self.telephones)
            self._running = started.pop_all()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._running.close()

    def round(self, kills: int = _KILLS_A_ROUND) -> None:
        """Kill that often while calls are made, let the calls end, and compare."""
        self._rounds += 1
        of_server = kills * 2 // 5
        server = plan(f"server {self.seed} {self._rounds}", {"kill": 2, "stop": 1, "cut": 1}, of_server)
        switch = plan(f"switch {self.seed} {self._rounds}", {"kill": 3, "stop": 1}, kills - of_server)
        self.telephones.is_busy = True
        failed: list[BaseException] = []
        beside = threading.Thread(target=self._strike_server, args=(server, failed))
        beside.start()
        try:
            self._strike(switch, {"kill": self._kill_switch, "stop": self._stop_switch}, "switch")
        finally:
            beside.join()
            self.telephones.is_busy = False
        assert not failed, failed
        self._check()

    def _strike_server(self, blows: list[Blow], failed: list[BaseException]) -> None:
        try:
            kinds = {"kill": self._kill_server, "stop": self._stop_server, "cut": self._cut_server}
            self._strike(blows, kinds, "database")
        except BaseException as error:  # noqa: BLE001 - told in the thread of the test
            failed.append(error)

    def _strike(self, blows: list[Blow], kinds: dict[str, Callable[[float], None]], name: str) -> None:
        for blow in blows:
            _pass(blow.after_s)
            kinds[blow.kind](blow.absence_s)
            self.blows[f"{name} {blow.kind}"] += 1

    def _kill_switch(self, absence_s: float) -> None:
        self._daemon.kill()
        _pass(absence_s)
        self._daemon.start()

    def _stop_switch(self, absence_s: float) -> None:
        self._daemon.signal(signal.SIGSTOP)
        _pass(absence_s)
        self._daemon.signal(signal.SIGCONT)

    def _kill_server(self, absence_s: float) -> None:
        self._server.kill()
        _pass(absence_s)
        self._server.start()

    def _stop_server(self, absence_s: float) -> None:
        self._server.hang()
        _pass(absence_s)
        self._server.go_on()

    def _cut_server(self, _absence_s: float) -> None:
        """Cut every connection of the switch, whatever the server is doing for it."""
        with pymysql.connect(host="127.0.0.1", port=self._server.port, user="vosd") as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT id FROM information_schema.processlist WHERE db = 'vosd'")
            for (number,) in cursor.fetchall():
                try:
                    cursor.execute(f"KILL CONNECTION {number}")
                except pymysql.err.OperationalError:
                    continue  # it has ended by itself

    def _check(self) -> None:
        phones = self.telephones
        eventually(lambda: not phones.unfinished, lambda: "\n".join(map(str, phones.unfinished)), _PATIENCE_S)
        assert not phones.wrong, "\n".join(phones.wrong)
        eventually(self._is_quiet, lambda: f"nothing is left: {self._daemon.ask('status')}", _PATIENCE_S)
        records = [record for record in self._records() if record["answered_at"] is not None]
        times = Counter(record["sip_call_id_in"] for record in records)
        answered = phones.answered
        assert {call_id: times[call_id] for call_id in times if times[call_id] != 1} == {}, "booked more than once"
        assert answered.keys() - times.keys() == set(), "answered calls without a CDR"
        assert times.keys() - answered.keys() == set(), "CDRs with an answer that the caller never got"
        self.sharp = 0
        for record in records:
            self._compare(record, answered[record["sip_call_id_in"]])
        self._daemon.succeed("ledger", "verify")
        paid = sum((Decimal(each["fee"]) + Decimal(each["tax"]) for each in self._records()), Decimal(0))
        cost = sum((Decimal(each["cost"]) for each in self._records()), Decimal(0))
        assert Decimal(self._daemon.ask("account", "show", "acme")["balance"]) == -paid
        assert Decimal(self._daemon.ask("account", "show", "carrier")["balance"]) == -cost

    def _compare(self, record: dict[str, Any], call: Call) -> None:
        source = "caller" if call.is_ended_by_caller else "callee"
        assert (record["end_reason"], record["hangup_source"]) == ("Normal", source), f"{call}\n{record}"
        shortest, longest = call.bounds_s()
        lasted = record["hold_time_ms"] / 1_000
        off = max(shortest - lasted, lasted - longest, 0.0)
        assert off <= _TOLERANCE_S, f"{lasted} s, seen {shortest} to {longest}: {call}\n{record}"
        self.widest_s = max(self.widest_s, off)
        self.sharp += longest - shortest < _TOLERANCE_S

    def _is_quiet(self) -> bool:
        status = self._daemon.ask("status")
        left = ("calls", "legs", "cdr_queue", "spool_rows")
        return status["database"]["state"] == "well" and not any(status[name] for name in left)

    def _records(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._daemon.ask("cdr", "list", "--limit", "1000000")
        return found

    def figures(self) -> str:
        """Return what was done and found, in one line."""
        done = ", ".join(f"{number} {kind}" for kind, number in sorted(self.blows.items()))
        phones = self.telephones
        return (
            f"seed {self.seed}: {done}; {len(phones.calls)} calls, {phones.given_up} without a final response, "
            f"{len(phones.answered)} answered and booked once; durations outside of what the sides saw by at most "
            f"{1_000 * self.widest_s:.0f} ms, {self.sharp} of them known to the second"
        )


def _pass(duration_s: float) -> None:
    until = time.monotonic() + duration_s
    eventually(lambda: time.monotonic() >= until, "the moment that was drawn")


def _made(directory: Path) -> Path:
    directory.mkdir(parents=True)
    return directory


def run() -> None:
    """Run rounds until so many kills are done."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("kills", type=int)
    parser.add_argument("--seed", type=int, default=None)
    chosen = parser.parse_args()
    seed = random.SystemRandom().randrange(1_000_000) if chosen.seed is None else chosen.seed
    directory = Path(tempfile.mkdtemp(prefix="vosd-chaos-"))
    print(f"seed {seed}, files in {directory}", flush=True)  # noqa: T201
    began = time.monotonic()
    with Campaign(directory, seed) as campaign:
        for first in range(0, chosen.kills, _KILLS_A_ROUND):
            campaign.round(min(_KILLS_A_ROUND, chosen.kills - first))
            print(f"{time.monotonic() - began:.0f} s, {campaign.figures()}", flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(run())
