"""Hundreds of calls of every kind through the daemon, which is killed, stopped and killed; then every CDR is compared.

``make restarts`` runs it with 500 calls, a test with few.
"""

import argparse
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any, Final, Self

from doubles.daemon import Daemon
from doubles.process.mariadb import FAST, MariaDb
from doubles.sockets.loopback import Endpoint
from e2e.addresses import NETWORK
from e2e.conditions import eventually

from .books import Books
from .calls import LASTS_S, ORDINARY, Call, Change, End, Kind, kinds
from .parties import BEHIND, Party, Telephone
from .ports import Bench
from .sides import Side

SWITCH: Final = Endpoint(f"{NETWORK}.1", 15_111)
_CALLS_PER_S: Final = 60
_PATIENCE_S: Final = 90.0
_IN_FLIGHT_S: Final = 0.5
"""How long a callee thinks about a change of session that a kill interrupts."""
_AWAY: Final = 8
"""One of so many ordinary calls is ended while the switch is away."""
_TRUNKS: Final = {
    "pbx": (11, "UDP", ""), "tcp-pbx": (12, "TCP", ""), "nat-pbx": (13, "UDP", f"{BEHIND}.9:5060"),
    "poor-pbx": (14, "UDP", ""), "short-pbx": (15, "UDP", ""),
    "carrier": (21, "UDP", ""), "tcp-carrier": (22, "TCP", ""),
}  # fmt: skip
"""The last number of each one's address, its transport, and where it believes to be."""
_PREFIXES: Final = {"carrier": "4410", "tcp-carrier": "4420"}
_SESSION: Final = ("Supported: timer", "Session-Expires: 1800;refresher=uac")
_PHONES: Final = {"phone": "UDP", "tcp-phone": "TCP"}
_A_MINUTE: Final = Decimal("0.66")
"""What it costs, with its tax."""
_CONFIGURATION: Final = f"""
node: restarts
on_sigterm: keep
sip:
  listen: ["udp:{SWITCH}", "tcp:{SWITCH}"]
  timers: {{t1: 0.2, t2: 1, t4: 1}}
  overload: {{max_lag: 0}}
  shield: {{gateway_rate: 100000, stranger_rate: 100000, stranger_burst: 100000}}
parameters: {{SS_SIP_NAT_KEEP_ALIVE_PERIOD: 10}}
database: {{url: "$database"}}
state_dir: $directory/var
control_socket: $directory/vosd.sock
rate_groups:
  - name: sell
    rates:
      - {{prefix: "44", billing_rate: "0.60", billing_cycle: 6, tax_rate: "10"}}
      - {{prefix: "7", billing_rate: "0.06", billing_cycle: 1}}
  - name: buy
    rates: [{{prefix: "44", billing_rate: "0.30", billing_cycle: 1}}]
accounts:
  - {{id: acme, type: direct, rate_group: sell, overdraft_limit: "100000"}}
  - {{id: short, type: direct, rate_group: sell, overdraft_limit: "100000"}}
  - {{id: poor, type: direct, rate_group: sell}}
  - {{id: carriers, type: clearing, rate_group: buy, overdraft_limit: "unlimited"}}
mapping_gateways:
  - {{name: pbx, account: acme, hosts: ["{NETWORK}.11"], max_concurrent: 100000}}
  - {{name: tcp-pbx, account: acme, hosts: ["{NETWORK}.12"]}}
  - {{name: nat-pbx, account: acme, hosts: ["{NETWORK}.13"]}}
  - {{name: poor-pbx, account: poor, hosts: ["{NETWORK}.14"]}}
  - {{name: short-pbx, account: short, hosts: ["{NETWORK}.15"], max_call_seconds: {LASTS_S[End.LONGEST]:.0f}}}
routing_gateways:
  - {{name: carrier, account: carriers, address: "{NETWORK}.21:5060", prefixes: ["4410"], max_concurrent: 100000}}
  - {{name: tcp-carrier, account: carriers, address: "{NETWORK}.22:5060;transport=tcp", prefixes: ["4420"]}}
phones:
"""


class Campaign:
    """A switch on MariaDB among its parties; a context manager."""

    def __init__(self, directory: Path, database: str, calls: int, *, is_long: bool = False) -> None:
        """``database`` is the URL of a new one; ``is_long`` adds calls that end after minutes."""
        self._database = database
        self._directory = directory
        self._running = ExitStack()
        self._bench = Bench()
        self._phones: list[Telephone] = []
        self._parties: dict[str, Party] = {}
        self._numbers = count(1)
        self._is_long = is_long
        self._pings: dict[Telephone, int] = {}
        """How many keep-alives phones had got then."""
        self._refreshed: dict[Side, int] = {}
        """How often the switch had refreshed sessions before it was last replaced."""
        self.calls: list[Call] = []
        for kind in kinds(calls, is_long=is_long):
            self._plan(kind)
        self.figures: dict[str, Any] = {"calls": calls}

    def __enter__(self) -> Self:
        with ExitStack() as started:
            phones = "".join(
                f'  - {{number: "{each.name}", account: acme, password: secret}}\n' for each in self._phones
            )
            text = (_CONFIGURATION + phones).replace("$database", self._database)
            self._daemon = started.enter_context(Daemon(self._directory, text))
            paid = _A_MINUTE * sum(call.kind.end is End.MONEY for call in self.calls)
            if paid:
                self._daemon.succeed("payment", "add", "--account", "poor", "--amount", str(paid))
            self.books = Books(self._daemon, {"poor": paid})
            started.enter_context(self._bench)
            self._running = started.pop_all()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._running.close()

    # -- plan ---------------------------------------------------------------------------------------------------

    def _plan(self, kind: Kind) -> Call:
        caller = self._party(kind.caller)
        callee = self._party(kind.callee)
        is_phone = isinstance(callee, Telephone)
        number = callee.name if is_phone else f"{_PREFIXES[kind.callee]}{next(self._numbers):06d}"
        end = kind.end or (End.CALLER if len(self.calls) % 2 else End.CALLEE)
        call = Call(kind, number, end, callee.name if is_phone else kind.callee, caller.name)
        callee.calls[number] = call
        self.calls.append(call)
        return call

    def _party(self, role: str) -> Party:
        if role in _PHONES:
            number, transport = len(self._phones), _PHONES[role]
            address = Endpoint(f"{NETWORK}.{100 + number % 100}", 5_060 + number // 100)
            phone = Telephone(self._bench, f"7{number:04d}", SWITCH, address, transport)
            self._phones.append(phone)
            return phone
        if role not in self._parties:
            host, transport, private = _TRUNKS[role]
            address = Endpoint(f"{NETWORK}.{host}", 5_060)
            self._parties[role] = Party(self._bench, role, SWITCH, address, transport, private)
        return self._parties[role]

    def _caller_of(self, call: Call) -> Party:
        phones = {phone.name: phone for phone in self._phones}
        return phones.get(call.mapping_gateway) or self._parties[call.mapping_gateway]

    # -- what happens -------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Make the calls, restart the switch three times with changes between, let the calls end, and compare."""
        began = time.monotonic()
        for phone in self._phones:
            self._bench.order(phone.register)
        self._until(lambda: all(phone.is_registered for phone in self._phones), "every phone registered")
        # what a second has brought may be missing after a kill
        self._until(lambda: self._daemon.ask("status")["registrations_unwritten"] == 0, "registrations in the database")
        self._begin(call for call in self.calls if not (call.kind.acknowledges_late or call.kind.begins_last))
        self._change(Change.HOLD, lambda side: side.change("INVITE", "a=sendonly"))
        self._change(Change.UPDATE, lambda side: side.change("UPDATE"))
        self._change(Change.KEYS, Side.press)
        self._transfer()
        self._settle()
        self._begin(call for call in self.calls if call.kind.acknowledges_late)
        self._change(Change.IN_FLIGHT, self._propose_in_flight)
        self._wait_for_flight()
        self._restart(is_killed=True)
        self._change(Change.HOLD, lambda side: side.change("INVITE"))
        self._change(Change.KEYS, Side.press)
        self._change(Change.REFRESH, lambda side: side.change("INVITE", is_new=False, headers=_SESSION))
        self._settle()
        self._restart(is_killed=False)
        self._change(Change.HOLD, lambda side: side.change("INVITE", "a=sendonly"))
        self._change(Change.UPDATE, lambda side: side.change("UPDATE"))
        self._change(Change.REFRESH, lambda side: side.change("UPDATE", is_new=False, headers=_SESSION))
        self._settle()
        self._restart(is_killed=True, meanwhile=self._hang_up_some)
        self._change(Change.UPDATE, lambda side: side.change("UPDATE"))
        self._change(Change.KEYS, Side.press)
        self._settle()
        self._begin(call for call in self.calls if call.kind.begins_last)
        self._await_refreshes()
        for call in self.calls:
            self._bench.order(lambda call=call: self._hang_up(call))  # type: ignore[misc]
        self._until(lambda: all(_is_over(call) for call in self.calls), self._unfinished)
        if self._is_long:
            self._until(
                lambda: all(phone.pings > pings for phone, pings in self._pings.items()), "keep-alives to phones"
            )
        self.figures["took_s"] = round(time.monotonic() - began, 1)
        assert not self._wrong, "\n".join(self._wrong)
        self.books.compare(self.calls, self.figures)

    def _begin(self, calls: Iterable[Call]) -> None:
        begun = list(calls)
        for number, call in enumerate(begun):
            delay_s = number / _CALLS_PER_S
            party = self._caller_of(call)
            self._bench.order(lambda c=call, p=party, s=delay_s: self._bench.after(s, lambda: p.call(c)))  # type: ignore[misc]
        self._until(lambda: all(call.is_up or _is_over(call) for call in begun), self._unfinished)

    def _change(self, change: Change, act: Callable[[Side], None]) -> None:
        """Let one side of each call of a kind do something: that which does not end it."""
        for call in self.calls:
            side = call.callee if call.end is End.CALLER and change in {Change.HOLD, Change.UPDATE} else call.caller
            if call.kind.change is change and side is not None and not call.is_transferred:
                self._bench.order(lambda side=side: act(side))  # type: ignore[misc]

    def _propose_in_flight(self, side: Side) -> None:
        call = next(each for each in self.calls if each.caller is side)
        assert call.callee is not None
        call.callee.answers_after_s = _IN_FLIGHT_S
        side.change("INVITE", "a=sendonly")

    def _wait_for_flight(self) -> None:
        """Wait until each offer is with the other side, and its sender repeats it no more."""
        flying = [call for call in self.calls if call.kind.change is Change.IN_FLIGHT]
        self._until(
            lambda: all(
                call.caller and call.caller.is_patient and call.callee and call.callee.asked["INVITE"]
                for call in flying
            ),
            "changes in flight",
        )

    def _transfer(self) -> None:
        """Have callers connect the other side with another number, and leave."""
        for call in [each for each in self.calls if each.kind.change is Change.TRANSFER and each.caller is not None]:
            other = self._plan(Kind("target of a transfer", caller=call.kind.caller))
            other.is_transferred, other.joined, call.joined = True, call, other
            header = f"Refer-To: <sip:{other.number}@{SWITCH}>"
            self._bench.order(lambda side=call.caller, header=header: side.simple("REFER", headers=[header]))  # type: ignore[misc]
        joined = [call for call in self.calls if call.is_transferred]
        self._until(
            lambda: all(
                each.is_up and each.joined and each.joined.caller and each.joined.caller.told_at for each in joined
            ),
            self._unfinished,
        )
        self.figures["joined"] = len(joined)

    def _restart(self, *, is_killed: bool, meanwhile: Callable[[], None] = lambda: None) -> None:
        lasting = [call for call in self.calls if call.is_up and not _is_over(call)]
        if is_killed:
            self._daemon.kill()
        else:
            self._daemon.signal(signal.SIGTERM)
            assert self._daemon.wait() == 0
        gone = time.monotonic()
        refreshed = [call.callee for call in lasting if call.kind.refreshed_s and call.callee is not None]
        self._refreshed = {side: side.refreshes for side in refreshed}
        self._pings = {phone: phone.pings for phone in self._phones if phone.port.transport == "UDP"}
        meanwhile()
        self._daemon.start()
        self.figures.setdefault("away_s", []).append(round(time.monotonic() - gone, 1))
        [continued] = [line for line in self._daemon.log() if line.get("event") == "calls_continued"][-1:]
        self.figures.setdefault("continued", []).append((len(lasting), continued["calls"]))
        assert continued["ended"] == 0, continued
        for call in self.calls:
            if call.caller is not None and call.caller.withholds_ack:
                self._bench.order(lambda side=call.caller: setattr(side, "withholds_ack", False))  # type: ignore[misc]
        self._until(lambda: all(phone.is_registered for phone in self._phones), "connections of phones")

    def _hang_up_some(self) -> None:
        """End calls while the switch is away; a phone that has to connect first would not be told."""
        for call in self.calls[::_AWAY]:
            has_way = "tcp-phone" not in {call.kind.caller, call.kind.callee}
            if has_way and call.kind.end is None and call.kind.change is Change.NONE:
                self._bench.order(lambda call=call: self._hang_up(call))  # type: ignore[misc]

    def _await_refreshes(self) -> None:
        """Wait until the switch has refreshed the sessions that it has to refresh, as it does soon after a kill."""
        self._until(
            lambda: all(side.is_over or side.refreshes > before for side, before in self._refreshed.items()),
            lambda: "\n".join(map(str, self._refreshed)),
        )
        self.figures["refreshes"] = sum(side.refreshes for side in self._refreshed)

    def _hang_up(self, call: Call) -> None:
        if call.joined is not None:
            first, second = call.ends
            (first if call.end is End.CALLEE else second).hang_up() if not call.is_transferred else None
        elif call.end is End.CALLER and call.caller is not None:
            call.caller.hang_up()
        elif call.end is End.CALLEE and call.callee is not None:
            call.callee.hang_up()

    # -- waiting ------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Wait until nothing that was asked is open."""
        orders = threading.Event()
        self._bench.order(orders.set)
        assert orders.wait(_PATIENCE_S)
        self._until(lambda: not any(side.is_busy and side.bye_at is None for side in self._sides), self._unfinished)

    @property
    def _sides(self) -> list[Side]:
        return [side for call in self.calls for side in (call.caller, call.callee) if side is not None]

    @property
    def _wrong(self) -> list[str]:
        parties = [*self._parties.values(), *self._phones]
        return [line for party in parties for line in party.wrong] + [repr(each) for each in self._bench.failed]

    def _until(self, look: Callable[[], bool], wanted: str | Callable[[], str]) -> None:
        def said() -> str:
            return "\n".join([wanted if isinstance(wanted, str) else wanted(), *self._wrong])

        eventually(lambda: bool(self._bench.failed) or look(), said, _PATIENCE_S)
        assert not self._bench.failed, self._bench.failed

    def _unfinished(self) -> str:
        left = [call for call in self.calls if not _is_over(call)]
        busy = [str(side) for side in self._sides if side.is_busy]
        return "\n".join([f"{len(left)} calls go on:", *map(str, left[:20]), "busy:", *busy[:20]])


def _is_over(call: Call) -> bool:
    return all(side.is_over for side in call.ends) if call.callee is not None else False


def run() -> None:
    """Run it with so many calls, and print what was found."""
    parser = argparse.ArgumentParser(prog="restarts", description=__doc__)
    parser.add_argument("calls", type=int)
    chosen = parser.parse_args()
    directories = [Path(tempfile.mkdtemp(prefix=f"vosd-restarts-{name}-")) for name in ("switch", "mariadb")]
    print("files in", *directories, flush=True)  # noqa: T201
    server = MariaDb(directories[1], FAST)
    server.start()
    try:
        with Campaign(directories[0], server.create_database("vosd"), chosen.calls, is_long=True) as campaign:
            try:
                campaign.run()
            finally:
                print(campaign.figures, flush=True)  # noqa: T201
    finally:
        server.kill()
    for directory in directories:
        shutil.rmtree(directory)


LEAST: Final = len(ORDINARY) + 2
"""Calls that there must be, so that all kinds are among them."""

if __name__ == "__main__":
    sys.exit(run())
