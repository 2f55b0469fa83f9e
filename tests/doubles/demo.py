"""``make demo``: four calls for newcomers, with the cost and the routing decision of each.

It runs the daemon in a scratch directory, and a customer and two vendors on plain sockets. Everything that it shows is
output of the command line.
"""

import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from string import Template
from typing import Any, Final, Self

from rich.console import Console
from rich.table import Table

from doubles.process.daemon import Daemon, DaemonError
from doubles.sockets.loopback import Endpoint, free_endpoint
from doubles.sockets.peer import ANSWER, Message, OutgoingCall, Peer

ANSWERED: Final = "442079460001"
BUSY: Final = "442079460002"
FAILS_AT_THE_CHEAPER: Final = "442079460003"
TALK_SECONDS: Final = 1.2
COLUMNS: Final = 110
BOOKED_WITHIN_SECONDS: Final = 60.0

CONFIGURATION: Final = Template("""\
node: demo
sip: {listen: ["udp:127.0.0.1:$switch"]}
database: {url: "sqlite+aiosqlite:///$directory/vosd.db"}
state_dir: $directory/var
control_socket: $directory/vosd.sock
rate_groups:
  - name: retail
    rates:
      - {prefix: "44", area: "United Kingdom", billing_rate: "0.12", billing_cycle: 6}
  - name: wholesale
    rates:
      - {prefix: "44", area: "United Kingdom", billing_rate: "0.03", billing_cycle: 1}
accounts:
  - {id: acme, type: direct, rate_group: retail}
  - {id: newcomer, type: direct, rate_group: retail}
  - {id: carriers, type: clearing, rate_group: wholesale, overdraft_limit: "unlimited"}
mapping_gateways:
  - {name: acme-pbx, account: acme, hosts: ["127.0.0.1:$acme"]}
  - {name: newcomer-pbx, account: newcomer, hosts: ["127.0.0.1:$newcomer"]}
routing_gateways:
  - {name: cheap-carrier, account: carriers, address: "127.0.0.1:$cheap", prefixes: ["44"], priority: 1}
  - {name: good-carrier, account: carriers, address: "127.0.0.1:$good", prefixes: ["44"], priority: 2}
""")


class Trunk:
    """A vendor that answers calls in a thread of its own, each as ``behaviour`` says for the number."""

    def __init__(self, behaviour: Mapping[str, int]) -> None:
        """``behaviour`` gives the final status by called number; numbers that it leaves out are answered."""
        self.peer = Peer(free_endpoint())
        self._behaviour = behaviour
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._serve, name=f"trunk {self.peer.address}")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._closing.set()
        self._thread.join()
        self.peer.__exit__()

    def _serve(self) -> None:
        while not self._closing.is_set():
            message = self.peer.receive(0.1)
            if message is not None and (react := _REACTIONS.get(message.method or "")):
                react(self, message)

    def _invited(self, request: Message) -> None:
        number = request.start_line.split(":", 1)[1].partition("@")[0]
        tag = f"trunk-{request['Call-ID'][:8]}"
        status = self._behaviour.get(number, 200)
        if status == 200:
            self.peer.reply(request, 180, tag=tag)
        self.peer.reply(request, status, tag=tag, body=ANSWER if status == 200 else "")

    def _hung_up(self, request: Message) -> None:
        self.peer.reply(request, 200)


_REACTIONS: Final[Mapping[str, Callable[[Trunk, Message], None]]] = {"INVITE": Trunk._invited, "BYE": Trunk._hung_up}


class Demo:
    """The switch, its four parties, and the report on the console."""

    def __init__(self, daemon: Daemon, switch: Endpoint, console: Console) -> None:
        self._daemon = daemon
        self._switch = switch
        self._console = console

    def tell(self, acme: Peer, newcomer: Peer) -> None:
        """Make the four calls, then show records and balances."""
        self._say(f"A switch listens on {self._switch}, connected to two customers and two carriers.")
        self._daemon.succeed("payment", "add", "--account", "acme", "--amount", "5.00")
        self._say("acme paid 5.00; newcomer has paid nothing yet.\n")
        self._heading("Four calls")
        self._answered(acme, ANSWERED, "cheap-carrier answers")
        self._refused(acme, BUSY, "is busy")
        self._answered(acme, FAILS_AT_THE_CHEAPER, "cheap-carrier says 503, good-carrier answers")
        self._refused(newcomer, ANSWERED, "newcomer has no money")
        records = self._records(4)
        self._show_records(records)
        self._heading("Why each went where it did (vosd route explain)")
        for record in records:
            self._explain(record)
        self._show_money()

    def _answered(self, customer: Peer, number: str, what: str) -> None:
        call = OutgoingCall(customer, self._switch, number)
        call.invite()
        call.answered()
        self._say(f"  {number}  {what}; they talk for {TALK_SECONDS} s")
        customer.messages(TALK_SECONDS)
        call.hang_up()

    def _refused(self, customer: Peer, number: str, what: str) -> None:
        call = OutgoingCall(customer, self._switch, number)
        call.invite()
        self._say(f"  {number}  {what}: the caller gets {call.refused().status}")

    def _records(self, calls: int) -> list[dict[str, Any]]:
        """Return the CDRs, oldest first; they are committed in batches, a moment after the call."""
        deadline = time.monotonic() + BOOKED_WITHIN_SECONDS
        while time.monotonic() < deadline:
            records: list[dict[str, Any]] = self._daemon.ask("cdr", "list")
            if len(records) == calls:
                return records[::-1]
        raise DaemonError(f"{calls} calls were made and {len(records)} booked within {BOOKED_WITHIN_SECONDS} s")

    def _show_records(self, records: list[dict[str, Any]]) -> None:
        self._heading("What was booked (vosd cdr list)")
        table = Table(box=None)
        for title in ("called", "ended", "code", "gateways tried", "talked", "billed", "fee", "cost"):
            table.add_column(title, justify="right" if title in {"talked", "billed", "fee", "cost"} else "left")
        for record in records:
            table.add_row(
                record["callee_in"],
                record["end_reason"],
                str(record["sip_code"]),
                _tried(record) or "none",
                f"{record['hold_time_ms'] / 1000:.1f} s",
                f"{record['billed_seconds']} s",
                record["fee"],
                record["cost"],
            )
        self._console.print(table)

    def _explain(self, record: dict[str, Any]) -> None:
        """Show the attempts of a call, and the routing decision for it now."""
        gateway, caller, callee = record["mapping_gateway"], record["caller_in"], record["callee_in"]
        route = self._daemon.ask("route", "explain", "--gateway", gateway, "--caller", caller, "--callee", callee)
        ways = ", then ".join(f"{way['routing_gateway']} ({way['reason']})" for way in route["candidates"])
        self._say(f"  {callee} from {gateway}: {ways if route['result'] == 'ok' else route['result']}")
        if record["attempts"]:
            self._say(f"  {'':12} tried: {_tried(record)}")

    def _show_money(self) -> None:
        self._heading("Where the money is (vosd account show, vosd ledger verify)")
        for account in ("acme", "newcomer", "carriers"):
            shown = self._daemon.ask("account", "show", account)
            self._say(f"  {account}: {shown['balance']} {shown['currency']}")
        self._daemon.succeed("ledger", "verify")
        self._say("  every balance is the sum of its entries, every entry agrees with its CDR")
        self._say("\nNext: make run, and point a trunk at it (README).")

    def _heading(self, text: str) -> None:
        self._console.print(f"\n{text}", style="bold")

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)


def _tried(record: dict[str, Any]) -> str:
    return ", ".join(f"{attempt['gateway']} {attempt['code']}" for attempt in record["attempts"])


def main() -> int:
    """Run the demo in a temporary directory, and return the exit code."""
    with (
        tempfile.TemporaryDirectory(prefix="vosd-demo-") as directory,
        Trunk({BUSY: 486, FAILS_AT_THE_CHEAPER: 503}) as cheap,
        Trunk({}) as good,
        Peer(free_endpoint()) as acme,
        Peer(free_endpoint()) as newcomer,
    ):
        switch = free_endpoint()
        ports = {
            "switch": switch.port,
            "acme": acme.address.port,
            "newcomer": newcomer.address.port,
            "cheap": cheap.peer.address.port,
            "good": good.peer.address.port,
        }
        try:
            with Daemon(Path(directory), CONFIGURATION.safe_substitute(ports)) as daemon:
                Demo(daemon, switch, Console(width=COLUMNS)).tell(acme, newcomer)
                return daemon.interrupt()
        except DaemonError as error:
            raise SystemExit(f"the demo has failed: {error}") from error


if __name__ == "__main__":
    sys.exit(main())
