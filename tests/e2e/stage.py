"""The stage of a scenario: one switch, callers and vendors around it, and what must hold after every call."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from pathlib import Path
from string import Template
from typing import Any
from xml.sax.saxutils import escape

from doubles.certificates import Authority
from doubles.daemon import Daemon
from doubles.sockets.loopback import Endpoint
from doubles.sockets.sipp import Sipp, write_scenario

from vosd.obs.alarms import KINDS, Level
from vosd.obs.events import Event

from .addresses import CUSTOMERS, NETWORK, VENDORS
from .conditions import eventually

HERE = Path(__file__).parent
OF_THE_MACHINE = frozenset(
    {
        Event.CPU_HIGH,
        Event.MEMORY_HIGH,
        Event.DISK_LOW,
        Event.LOOP_LATE,
        Event.CLOCK_JUMPED,
        Event.JOURNAL_SLOW,
        Event.NAT_SWEEP_OVERRUN,
    }
)
"""Alarms that a busy machine raises, whatever a test does."""
SCENARIOS = HERE / "scenarios"
CALLER = "12025550100"
SQLITE = "sqlite+aiosqlite:///$directory/vosd.db"

_ports = count(15_100)
_extensions = count(1_001)


@dataclass(frozen=True)
class Caller:
    """What the customer's side does: a scenario of ``scenarios/caller`` and its values."""

    scenario: str
    values: Mapping[str, str] = field(default_factory=dict)
    customer: str = "acme"


@dataclass(frozen=True)
class Vendor:
    """What one vendor does: a scenario of ``scenarios/vendor`` and its values."""

    gateway: str
    scenario: str
    values: Mapping[str, str] = field(default_factory=dict)


class Stage:
    """A running switch and the directory in which its scenarios leave their traces."""

    def __init__(self, daemon: Daemon, address: Endpoint, *alarms: Event) -> None:
        """``alarms`` may be raised at any time; each other one fails the test, unless it says ``expecting``."""
        self._alarms = OF_THE_MACHINE.union(alarms)
        self.daemon = daemon
        self.address = address
        self._read_lines = 0
        self._latest: Sequence[Sipp] = ()

    def call(self, caller: Caller, prefix: str, vendors: Sequence[Vendor] = ()) -> dict[str, Any]:
        """Play one call to a number that begins with ``prefix`` and return its CDR.

        Both sides' assertions hold, nothing of the call is left and the log is clean. The whole ledger is verified at
        the end of the stage, once for all of its calls.
        """
        callee = self.number(prefix)
        source = self.endpoint_of(caller.customer)
        with ExitStack() as on_stage:
            running = [on_stage.enter_context(self.vendor(vendor, callee)) for vendor in vendors]
            running.append(on_stage.enter_context(self.caller(caller, callee, source)))
            for party in reversed(running):
                party.wait()
        self._latest = running
        self.expect_nothing_left()
        record = self.record_of(callee)
        assert record["source_address"] == str(source)
        self.expect_clean_log()
        return record

    @contextmanager
    def expecting(self, *alarms: Event) -> Iterator[None]:
        """Let these alarms be raised."""
        before, self._alarms = self._alarms, self._alarms.union(alarms)
        try:
            yield
            self.expect_clean_log()
        finally:
            self._alarms = before

    @contextmanager
    def explaining(self, record: Mapping[str, Any]) -> Iterator[None]:
        """Tell what the latest call's CDR and packets were, if an assertion about them fails."""
        try:
            yield
        except AssertionError as error:
            error.add_note("\n".join((str(record), *(party.report(0) for party in self._latest))))
            raise

    def number(self, prefix: str) -> str:
        """Return a number that no other scenario dials."""
        return f"{prefix}{next(_extensions)}"

    def endpoint_of(self, customer: str) -> Endpoint:
        """Return an address of the customer that no other scenario uses."""
        return Endpoint(CUSTOMERS[customer], next(_ports))

    def caller(self, caller: Caller, callee: str, source: Endpoint, **options: Any) -> Sipp:
        """Prepare SIPp as the customer at ``source``."""
        scenario = self._scenario("caller", caller.scenario, callee, source, caller.values)
        given = {
            "remote": self.address,
            "transport": caller.values.get("transport", "UDP"),
            "options": ("-cid_str", "customer-%u-%p"),
            **options,
        }
        return Sipp(scenario, source, scratch=self.daemon.directory, **given)

    def vendor(self, vendor: Vendor, callee: str, **options: Any) -> Sipp:
        """Prepare SIPp as the vendor behind one gateway."""
        address = VENDORS[vendor.gateway]
        scenario = self._scenario("vendor", vendor.scenario, callee, address, vendor.values)
        given = {"local": address, "transport": vendor.values.get("transport", "UDP"), **options}
        return Sipp(scenario, scratch=self.daemon.directory, **given)

    def phone(
        self, scenario: str, number: str, at: Endpoint, values: Mapping[str, str], *, side: str = "phone"
    ) -> Sipp:
        """Prepare SIPp as a telephone at ``at``; with ``side`` vendor it waits to be called."""
        file = self._scenario(side, scenario, number, at, values)
        remote = None if side == "vendor" else self.address
        proves_for = f"{number}@{self.address}" if scenario == "calls" else str(self.address)
        options = ("-cid_str", "phone-%u-%p", "-auth_uri", proves_for)
        return Sipp(file, at, remote, scratch=self.daemon.directory, options=options)

    def status(self) -> dict[str, Any]:
        """Return ``vosd status``."""
        status: dict[str, Any] = self.daemon.ask("status")
        return status

    def records(self, *filters: str) -> list[dict[str, Any]]:
        """Return ``vosd cdr list``."""
        records: list[dict[str, Any]] = self.daemon.ask("cdr", "list", *filters)
        return records

    def record_of(self, callee: str) -> dict[str, Any]:
        """Wait until the call to ``callee`` is booked and return its one CDR.

        A vendor's answer after the end has a CDR of its own, which may be there by then.
        """

        def of_call() -> list[dict[str, Any]]:
            if self.daemon.running and self.status()["spool_rows"]:
                return []  # it is being booked: to look at the status costs a twentieth of the list
            records = self.records("--callee", callee)
            return [each for each in records if [row["reason"] for row in each["attempts"]] != ["Late Answer"]]

        records = eventually(of_call, f"a CDR of the call to {callee}")
        assert len(records) == 1, records
        return records[0]

    def balance_of(self, account: str) -> Decimal:
        """Return an account's committed balance."""
        return Decimal(self.daemon.ask("account", "show", account)["balance"])

    def pay(self, account: str, amount: str) -> None:
        """Book a payment; the switch knows of it when this returns."""
        self.daemon.ask("payment", "add", "--account", account, "--amount", amount, "--yes")

    def expect_nothing_left(self, within_s: float = 15.0) -> None:
        """No call, leg, dialog or hold survives its call; transactions do, for 64·T1."""
        eventually(
            lambda: self._is_zero("calls", "legs", "dialogs", "holds"),
            lambda: f"calls, legs, dialogs and holds at zero: {self.status()}",
            within_s=within_s,
            looks=40,
        )

    def expect_timers_run_out(self) -> None:
        """No transaction or timer survives 64·T1, which is 3.2 s here (RFC 3261 17)."""
        eventually(
            lambda: self._is_zero("transactions", "timers"),
            lambda: f"transactions and timers at zero: {self.status()}",
            within_s=30.0,
        )

    def expect_books_in_order(self) -> None:
        """Balances are the sums of their entries, entries agree with CDRs, nothing went wrong in the log."""
        self.daemon.succeed("ledger", "verify")
        self.expect_clean_log()

    def expect_clean_log(self) -> None:
        """No alarm that is not expected, nothing else as an error, and no traceback was logged since the last look."""
        fresh = self.daemon.log(after=self._read_lines)
        self._read_lines += len(fresh)
        wrong = [line for line in fresh if self._is_wrong(line) or "Traceback" in str(line) or "unstructured" in line]
        assert wrong == []

    def _is_wrong(self, line: Mapping[str, Any]) -> bool:
        kind = KINDS.get(line.get("event", ""))
        is_serious = line.get("level") in {"error", "critical"} or (kind is not None and kind.level is not Level.OFF)
        return is_serious and line.get("event") not in self._alarms

    def _is_zero(self, *names: str) -> bool:
        status = self.status()
        return not any(status[name] for name in names)

    def _scenario(self, side: str, name: str, callee: str, at: Endpoint, values: Mapping[str, str]) -> Path:
        given = {
            "switch": regular(str(self.address)),
            "gateway": regular(str(at)),
            "callee": callee,
            "callee_out": regular(callee),
            "caller": CALLER,
            "talk_ms": "200",
            "ring_ms": "50",
            "media": "192.0.2.20",
            "transport": "UDP",
            "hops": "69",
            "username": "1001",
            "password": "secret",
            "challenge": "401",
            "status": "200",
            "header": "X-Vendor: vendor-specific",
            "customer_header": "X-Customer: customer-specific",
            **values,
        }
        target = self.daemon.directory / f"{side}-{name}-{callee.lstrip('+')}-{at.port}.xml"
        return write_scenario(SCENARIOS / side / f"{name}.xml", SCENARIOS / "fragments", given, target)


def configuration(file: str | Path, switch: Endpoint, database: str = SQLITE) -> str:
    """Return a configuration of this folder for a switch at that address; the daemon fills in its directory."""
    values = {"network": NETWORK, "switch": str(switch), "database": database}
    return Template((HERE / file).read_text()).safe_substitute(values)


def regular(text: str) -> str:
    """Write ``text`` as a regular expression inside an XML attribute."""
    return escape(text.replace(".", r"\.").replace("+", r"\+"))


@contextmanager
def versatile_stage(
    directory: Path, authority: Authority, switch: Endpoint, secure: Endpoint, *alarms: Event
) -> Iterator[Stage]:
    """Give a stage whose switch speaks every transport; require at the end that nothing is left of its calls."""
    certificate = authority.issue("switch", secure.host)
    shutil.copy(certificate.file, directory / "switch.pem")
    shutil.copy(certificate.key, directory / "switch.key")
    shutil.copy(authority.root.file, directory / "authority.pem")
    private = Authority(directory, "private")
    ours = private.issue("ours", "customer-7.private.example")
    assert ours.file == directory / "ours.pem"
    files = "certificate: ours.pem, private_key: ours.key, ca: private.pem"
    identity = f"[{{name: private, {files}, server_name: sip.private.example}}]"
    text = configuration("transports.yaml", switch).replace("$secure", str(secure)).replace("$identities", identity)
    with Daemon(directory, text) as daemon:
        stage = Stage(daemon, switch, *alarms)
        yield stage
        stage.expect_timers_run_out()
        stage.expect_books_in_order()
        assert daemon.interrupt() == 0
        stage.expect_clean_log()
