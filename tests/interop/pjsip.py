"""Telephones of PJSIP: orders to the program ``pjsip_phone``, and what it tells."""

import json
import sys
from pathlib import Path
from typing import Any, Final, Self

from doubles.sockets.loopback import Endpoint
from e2e.conditions import eventually

from .program import Program

RFC_2833: Final = 0
SIP_INFO: Final = 1
"""Ways of a key (``pjsua_dtmf_method``)."""
MANDATORY: Final = 2
"""Reliable provisional responses are required (``pjsua_100rel_use``)."""
_LOUD: Final = 10
"""Level of a tone that is heard, of 255."""


class Pjsip(Program):
    """One telephone; a context manager that never leaves the process running."""

    def __init__(self, directory: Path, number: str, address: Endpoint, sound: Path, **more: Any) -> None:
        """Prepare a telephone that answers to ``number`` at ``address`` and plays a file to those it talks to.

        ``more`` are further settings of the program: registrar, password, transport, prack.
        """
        settings = {"number": number, "host": address.host, "port": address.port, "sound": str(sound)}
        settings |= {"transport": "udp", "prack": 0, "rtp_port": 21_000, **more}
        script = Path(__file__).with_name("pjsip_phone.py")
        super().__init__([sys.executable, str(script), json.dumps(settings)], directory)
        self.address = address
        self._heard = 0

    def __enter__(self) -> Self:
        super().__enter__()
        self._wait_until(lambda: any(each["event"] == "up" for each in self.events()))
        self.expect("up")
        return self

    def order(self, what: str, **details: Any) -> None:
        """Give an order."""
        self._type(json.dumps({"do": what, **details}))

    def dial(self, number: str, switch: Endpoint, transport: str = "udp") -> int:
        """Call a number through the switch; return the number of the call."""
        self.order("call", uri=f"sip:{number}@{switch};transport={transport}")
        return self.call_in("CALLING")

    def call_in(self, state: str) -> int:
        """Wait until a call is in a state; return its number."""
        call: int = self.expect("state", state=state)["call"]
        return call

    def expect(self, event: str, **facts: Any) -> dict[str, Any]:
        """Wait for the next event of a kind with these facts; raises PeerError."""

        def found() -> dict[str, Any] | None:
            self.expect_running()
            for place, each in enumerate(self.events()[self._heard :], start=self._heard):
                if each["event"] == event and facts.items() <= each.items():
                    self._heard = place + 1
                    return each
            return None

        return eventually(found, lambda: str(self._unexpected(f"{event} {facts}"))) or {}

    def settle(self, call: int) -> None:
        """Wait until it has sent all that follows from what it received, such as the ACK of a 200."""
        self.order("heard", call=call)
        self.expect("level", call=call)

    def expect_sound(self, call: int) -> None:
        """Wait until it hears the other side's tone."""

        def is_heard() -> bool:
            self.order("heard", call=call)
            return bool(self.expect("level", call=call)["level"] > _LOUD)

        eventually(is_heard, f"a tone at {self.address}")

    def events(self) -> list[dict[str, Any]]:
        """Return what it has told so far."""
        lines = self._written().decode(errors="replace").split("\n")[:-1]  # the last one is not complete
        return [json.loads(line) for line in lines if line.startswith("{")]
