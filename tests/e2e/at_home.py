"""A household behind NAT and the switches of its carrier: one that keeps it reachable, and one that does not."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from string import Template
from typing import Any, Self

from doubles.daemon import Daemon
from doubles.home import CARRIER, PHONE, Home
from doubles.sockets.login import Login
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import OutgoingCall, Peer
from doubles.telephone import Telephone

from .conditions import eventually
from .stage import Stage

MAPPING_S = 12
"""How long the router remembers."""
PERIOD_S = 10
"""How often the switch sends: the shortest period there may be."""
SWITCH = Endpoint(CARRIER[0], 5060)
CONTROL = Endpoint(CARRIER[0], 5061)
LOGIN = Login("1001", "secret")
CONFIGURATION = Template((Path(__file__).parent / "behind_nat.yaml").read_text())


class Household:
    """A phone registered with each switch; it says nothing more by itself."""

    def __init__(self, directory: Path) -> None:
        self.home = Home(MAPPING_S)
        self.switch = SWITCH
        self.control_switch = CONTROL
        self._directory = directory
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            opening.enter_context(self.home)
            self._stage = Stage(opening.enter_context(self._daemon(SWITCH, "HELLO")), SWITCH)
            self._control = Stage(opening.enter_context(self._daemon(CONTROL, "")), CONTROL)
            self.phone = self._telephone(opening, 5060, SWITCH)
            self.control_phone = self._telephone(opening, 5061, CONTROL)
            self._open = opening.pop_all()
        self._silent_from = time.monotonic()
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()

    @contextmanager
    def outside(self, address: Endpoint) -> Iterator[Peer]:
        """Return a peer on the carrier's side."""
        with self.home.carrier.inside():
            peer = Peer(address)
        with peer:
            yield peer

    def control_is_silent_for(self) -> float:
        """Return for how many seconds nothing has gone through the mapping of the control's phone."""
        return time.monotonic() - self._silent_from

    def seen_at(self, number: str) -> str:
        """Return where a phone is registered from."""
        listed: list[dict[str, Any]] = self._stage.daemon.ask("registrations")
        (received,) = [each["received"] for each in listed if each["name"] == number]
        return str(received)

    def record_of(self, call: OutgoingCall) -> dict[str, Any]:
        """Return the record of a call that was made."""
        self._stage.expect_nothing_left()

        def records() -> list[dict[str, Any]]:
            return [each for each in self._stage.records() if each["sip_call_id_in"] == call.call_id]

        (record,) = eventually(records, f"a CDR of the call to {call.callee}")
        return record

    def expect_books_in_order(self) -> None:
        """Nothing is left of the calls, and nothing went wrong."""
        for stage in (self._stage, self._control):
            stage.expect_nothing_left()
            stage.expect_books_in_order()

    def _daemon(self, switch: Endpoint, message: str) -> Daemon:
        directory = self._directory / str(switch.port)
        directory.mkdir()
        text = CONFIGURATION.safe_substitute(switch=str(switch), message=message)
        return Daemon(directory, text, prepare=self.home.carrier.enter)

    def _telephone(self, opening: ExitStack, port: int, switch: Endpoint) -> Telephone:
        with self.home.home.inside():
            peer = opening.enter_context(Peer(Endpoint(PHONE, port)))
        telephone = Telephone(peer, switch, LOGIN)
        telephone.register(3_600)
        return telephone
