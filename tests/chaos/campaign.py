"""Kill and stop the switch and its database at random moments while calls run, then compare everything.

``make chaos`` runs many rounds of it, a test one. The seed decides what is done and after which pause; what is hit by
it depends on the machine.
"""

import argparse
import random
import shutil
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

from doubles.daemon import Daemon
from doubles.mysql import server_of_tests
from doubles.sockets.login import Login
from doubles.sockets.loopback import Endpoint
from e2e.addresses import NETWORK
from e2e.conditions import eventually

from .blows import OfServer, OfSwitch, kills_in, plan, shared
from .books import Books
from .calls import Call, Kind
from .disk import mounted
from .proxy import Proxy
from .telephones import Parties, Telephones

SWITCH = Endpoint(f"{NETWORK}.1", 15_110)
CUSTOMER, ON_TCP, VENDOR, PHONE = (Endpoint(f"{NETWORK}.{host}", 15_110) for host in (11, 12, 21, 51))
LOGIN: Final = Login("7001", "secret")
CALLS_PER_S: Final = 12
KILLS_A_ROUND: Final = 25
_PATIENCE_S: Final = 90.0
_OPTIONS: Final = ("--innodb-flush-log-at-trx-commit=2", "--innodb-flush-method=nosync")
"""A page that was half written at the kill comes back from the doublewrite buffer."""
_CONFIGURATION: Final = f"""
node: chaos
sip:
  listen: ["udp:{SWITCH}", "tcp:{SWITCH}"]
  timers: {{t1: 0.2, t2: 1, t4: 1}}
  overload: {{max_lag: 0}}
database: {{url: "$database", start_without: 1}}
state_dir: $disk/var
control_socket: $directory/vosd.sock
rate_groups:
  - name: sell
    rates:
      - {{prefix: "44", billing_rate: "0.60", billing_cycle: 1}}
      - {{prefix: "7", billing_rate: "0.06", billing_cycle: 1}}
  - name: buy
    rates: [{{prefix: "44", billing_rate: "0.30", billing_cycle: 1}}]
accounts:
  - {{id: acme, type: direct, rate_group: sell, overdraft_limit: "100000"}}
  - {{id: carrier, type: clearing, rate_group: buy, overdraft_limit: "unlimited"}}
mapping_gateways:
  - {{name: acme-pbx, account: acme, hosts: ["{CUSTOMER.host}", "{ON_TCP.host}"]}}
phones:
  - {{number: "{LOGIN.username}", account: acme, password: {LOGIN.password}}}
routing_gateways:
  - {{name: carrier, account: carrier, address: "{VENDOR}", prefixes: ["44"]}}
"""


class Campaign:
    """A switch on MariaDB between telephones; a context manager."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.seed = seed
        self._rounds = 0
        self._largest_memory = 0
        self._running = ExitStack()
        data = _made(directory / "mariadb" / "data")
        self._server = server_of_tests(data, _OPTIONS)
        self._server.start()
        self._running.callback(self._server.kill)
        url = self._server.create_database("vosd")
        proxy = self._running.enter_context(Proxy(self._server.port))
        self._disk = self._running.enter_context(mounted(directory / "disk"))
        text = _CONFIGURATION.replace("$database", url.replace(f":{self._server.port}/", f":{proxy.port}/"))
        self._daemon = Daemon(_made(directory / "switch"), text.replace("$disk", str(self._disk.place)))
        self.of_switch = OfSwitch(self._daemon, self._disk)
        self.of_server = OfServer(self._server, data, proxy, lambda: self.of_switch.filled_at)
        parties = Parties(SWITCH, CUSTOMER, ON_TCP, VENDOR, PHONE, LOGIN)
        self.telephones = Telephones(parties, f"calls {seed}", CALLS_PER_S)
        self.books = Books(self._daemon)

    def __enter__(self) -> Self:
        with ExitStack() as started:
            started.push(self._running)
            self._daemon.migrate()
            # A new server has pages that are in no log: killed now, it would not come up again.
            self._server.stop()
            self._server.start()
            started.enter_context(self._daemon)
            started.enter_context(self.telephones)
            eventually(lambda: self.telephones.telephone.is_registered, "the telephone is registered")
            self._running = started.pop_all()
        return self

    def __exit__(self, kind: object, *_exception: object) -> None:
        if kind is not None:
            self._disk.save_to(self._disk.place.with_name("disk-of-failure"))
        self._running.close()

    @property
    def kills(self) -> int:
        """How often a process was killed."""
        return kills_in(self.of_switch.done) + kills_in(self.of_server.done)

    def round(self, kills: int) -> None:
        """Kill that often while calls are made, let the calls end, and compare."""
        self._rounds += 1
        of_switch, of_server = shared(kills)
        switch = plan(f"switch {self.seed} {self._rounds}", of_switch)
        server = plan(f"server {self.seed} {self._rounds}", of_server, "copy")
        self.telephones.is_busy = True
        failed: list[BaseException] = []

        def strike_server() -> None:
            try:
                self.of_server.strike(server)
            except BaseException as error:  # noqa: BLE001 - told in the thread of the test
                failed.append(error)

        beside = threading.Thread(target=strike_server)
        beside.start()
        try:
            self.of_switch.strike(switch)
        finally:
            beside.join()
            self.telephones.is_busy = False
        assert not failed, failed
        self._check()

    def _check(self) -> None:
        phones = self.telephones
        eventually(lambda: not phones.unfinished, lambda: "\n".join(map(str, phones.unfinished)), _PATIENCE_S)
        assert not phones.wrong, "\n".join(phones.wrong)
        for call in self._forgotten:
            # Its end was written down, and the switch was killed before it sent the 200; the record is compared below.
            assert any(_is_between(call.bye_at, at, call.bye_confirmed_at) for at in self.of_switch.killed_at), (
                f"481 to the first BYE, and no kill meanwhile: {call}"
            )
        eventually(lambda: self.books.are_quiet, lambda: f"nothing is left: {self._daemon.ask('status')}", _PATIENCE_S)
        self._largest_memory = max(self._largest_memory, _resident_bytes(self._daemon.pid))
        self.books.compare(phones)

    @property
    def _forgotten(self) -> list[Call]:
        return [call for call in self.telephones.answered.values() if call.was_forgotten]

    def figures(self) -> str:
        """Return what was done and found."""
        phones, books, starts = self.telephones, self.books, self.of_switch.starts
        left = [each["legs"] for each in self._daemon.log() if each.get("event") == "earlier_legs_being_ended"]
        kinds = ", ".join(
            f"{sum(call.kind is kind for call in phones.answered.values())} {kind.name.lower()}" for kind in Kind
        )
        held = sum(call.are_held for call in phones.answered.values())
        lines = [f"seed {self.seed}, {self._rounds} rounds, {self.kills} kills: {self.of_switch}, {self.of_server}"]
        lines.append(f"{len(phones.calls)} calls, {phones.given_up} without a final response 8 s after the first one")
        lines.append(f"longest wait for a final response {phones.longest_wait_s:.1f} s")
        lines.append(f"{len(phones.answered)} answered ({kinds}), {books.records} CDRs, one each")
        lines.append(f"{len(self._forgotten)} BYEs answered with 481: a kill came behind the record of the end")
        lines.append(f"{held} changes of session, {books.transfers} completed transfers")
        lines.append(f"durations outside of what the sides saw by at most {1_000 * books.widest_s:.0f} ms")
        lines.append(f"{books.sharp} of them known to the second")
        lines.append(f"longest start {max(starts, default=0):.1f} s, mean {sum(starts) / max(len(starts), 1):.1f} s")
        lines.append(f"memory after a round at most {self._largest_memory / 1e6:.0f} MB")
        lines.append(
            f"legs to be ended by a start: at most {max(left, default=0)}, {left[-1] if left else 0} by the latest"
        )
        return "\n  ".join(lines)


def _is_between(first: float | None, at: float, last: float | None) -> bool:
    return first is not None and last is not None and first <= at <= last


def _resident_bytes(pid: int) -> int:
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")]
    return 1024 * int(line.split()[1])


def _made(directory: Path) -> Path:
    directory.mkdir(parents=True)
    return directory


def run() -> None:
    """Run rounds until so many kills are done; at the first difference say where, and end."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("kills", type=int)
    parser.add_argument("--seed", type=int, default=None)
    chosen = parser.parse_args()
    seed = random.SystemRandom().randrange(1_000_000) if chosen.seed is None else chosen.seed
    directory = Path(tempfile.mkdtemp(prefix="vosd-chaos-"))
    print(f"seed {seed}, files in {directory}", flush=True)  # noqa: T201
    began = time.monotonic()
    with Campaign(directory, seed) as campaign:
        while campaign.kills < chosen.kills:
            try:
                campaign.round(KILLS_A_ROUND)
            except BaseException:
                print(f"FAILED, {campaign.figures()}", flush=True)  # noqa: T201
                raise
            print(f"{time.monotonic() - began:.0f} s, {campaign.figures()}", flush=True)  # noqa: T201
    shutil.rmtree(directory)


if __name__ == "__main__":
    run()
