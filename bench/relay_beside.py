"""``python -m bench.relay_beside``: what set-ups notice of relayed calls beside them, by turns with none.

800 calls talk through the relay of a running switch: G.711 both ways, 80,000 packets a second. A probe sets up one
relayed call after the other, and SIPp some more. If permitted, the run takes precedence over other processes.
"""

import argparse
import multiprocessing
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from doubles.process.daemon import Daemon
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import Message, OutgoingCall, Peer

from .beside import CONSOLE, Turns, run_verb, take_precedence
from .process import cpu_of
from .relay import HOST, PEERS, generate
from .targets import SWITCH, configuration

GOAL_MS = 5.0
CALLS_A_SECOND = 20
CALLER, CALLEE = Endpoint(PEERS, 15_210), Endpoint(PEERS, 15_211)
NUMBER = "45{:010}"
MEDIA = f"""media: {{engine: relay, mode: on, addresses: ["{HOST}"]}}
routing_gateways:
  - {{name: talkers, account: carrier, address: "{CALLEE}", prefixes: ["45"], max_concurrent: 100000, max_cps: 100000}}
"""
SESSION = (
    f"v=0\r\no=- 1 1 IN IP4 {PEERS}\r\ns=-\r\nc=IN IP4 {PEERS}\r\nt=0 0\r\n"
    "m=audio {} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
)
_AUDIO = re.compile(r"^m=audio (\d+) ", re.MULTILINE)


class Talkers:
    """Calls that are up, and the parties of all of them."""

    def __init__(self, caller: Peer, callee: Peer) -> None:
        self._caller, self._callee = caller, callee
        self._calls: list[OutgoingCall] = []

    def set_up(self, numbers: list[int]) -> list[int]:
        """Make a call for each two ports of parties; return the ports of the relay that these send to."""
        ports = []
        for index, (first, second) in enumerate(zip(numbers[::2], numbers[1::2], strict=True)):
            call = OutgoingCall(self._caller, SWITCH, NUMBER.format(index))
            call.send(call.request("INVITE", body=SESSION.format(first)))
            invite = self._callee.expect("INVITE")
            self._callee.reply(invite, 200, tag=f"talker-{index}", body=SESSION.format(second))
            ports += [_port_of(call.answered()), _port_of(invite)]
            self._callee.expect("ACK")
            self._calls.append(call)
        return ports

    def hang_up(self) -> None:
        """End all calls."""
        for call in self._calls:
            call.hang_up()
            self._callee.reply(self._callee.expect("BYE"), 200)
        self._calls.clear()


def _port_of(message: Message) -> int:
    found = _AUDIO.search(message.body)
    assert found is not None, message.body
    return int(found[1])


class Conversations:
    """So many talking calls, for a time."""

    def __init__(self, number: int, seconds: int, talkers: Talkers) -> None:
        self.sent = self.received = 0
        self._number, self._seconds, self._talkers = number, seconds, talkers

    @contextmanager
    def ready(self) -> Iterator[None]:
        """Set the calls up, and end them."""
        ours, theirs = multiprocessing.Pipe()
        self._pipe = ours
        parties = multiprocessing.Process(target=generate, args=(theirs, 2 * self._number, self._seconds))
        parties.start()
        ours.send(self._talkers.set_up(ours.recv()))
        ours.send(None)
        ours.recv()  # they talk
        yield
        parties.join()
        self._talkers.hang_up()

    def talk(self) -> None:
        """Let them talk."""
        sent, received, _ = self._pipe.recv()
        self.sent += sent
        self.received += received


def main() -> int:
    """Run all and print the results; return 1 if calls failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.relay_beside", description=__doc__)
    parser.add_argument("--talking", type=int, default=800, help="relayed calls beside the set-ups")
    parser.add_argument("--calls", type=int, default=CALLS_A_SECOND, help="calls a second of SIPp")
    parser.add_argument("--seconds", type=int, default=10, help="of each turn")
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    take_precedence()
    with tempfile.TemporaryDirectory(prefix="vosd-relay-") as name:
        text = configuration("sqlite+aiosqlite:///$directory/vosd.db").replace("routing_gateways:\n", MEDIA, 1)
        text = text.replace("hosts: [127.0.0.1/32]", f"hosts: [127.0.0.1/32, {PEERS}/32]")
        buys = '      - {prefix: "44", billing_rate: "0.006", billing_cycle: 1}\n'
        text = text.replace(buys, buys + buys.replace('"44"', '"45"'))
        daemon = Daemon(Path(name), text)
        daemon.migrate()
        daemon.start()
        try:
            turns = _measured(daemon, arguments)
        finally:
            daemon.kill()
    return 1 if turns.failed else 0


def _measured(daemon: Daemon, arguments: argparse.Namespace) -> Turns:
    turns = Turns(arguments.calls, GOAL_MS)
    used = []
    run_verb(daemon, "payment", "add", "--account", "acme", "--amount", "1000000", "--yes")
    with Peer(CALLER) as caller, Peer(CALLEE) as callee, turns.load():
        conversations = Conversations(arguments.talking, arguments.seconds, Talkers(caller, callee))
        for _ in range(arguments.turns):
            turns.quiet(arguments.seconds)
            with conversations.ready():
                before, began = cpu_of(daemon.pid).total, time.perf_counter()
                turns.beside(f"{arguments.talking} relayed calls", conversations.talk)
                used.append((cpu_of(daemon.pid).total - before) / (time.perf_counter() - began))
    turns.report()
    lost = conversations.sent - conversations.received
    a_second = conversations.sent / arguments.turns / arguments.seconds
    CONSOLE.print(
        f"{a_second:,.0f} packets a second, {lost} of {conversations.sent:,} lost; the process of the calls used "
        f"{sum(used) / len(used):.0%} of a core beside them"
    )
    return turns


if __name__ == "__main__":
    raise SystemExit(main())
