"""linphone's daemon as a telephone: typed commands in, call states out, no sound card needed.

Owns its configuration, its life and its account of what happened. Its prompt is that of ``linphone-daemon``, which
comes with the command line of linphone.
"""

import re
import select
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self

from doubles.sockets.loopback import Endpoint, udp_bound

from .program import Program

CONFIGURATION: Final = """\
[sip]
bind_address={address.host}
sip_port={address.port}
sip_tcp_port={address.port}
sip_tls_port=-1
contact=sip:{number}@{address.host}
auto_net_state_mon=0
use_ipv6=0
{more}

[rtp]
audio_rtp_port=20000-29999

[video]
enabled=0
automatically_initiate=0
automatically_accept=0
"""
"""It cannot see a network on the loopback interface, so it is told not to look for one."""
_EVENT: Final = re.compile(r"Event-type: (\S+)\s+(?:Event|Tone): (\S+)")
_ANSWER: Final = re.compile(r"Status: (\w+)(?:\s+Reason: ([^\n]+))?")
_STEP_SECONDS: Final = 0.01


class Linphone(Program):
    """One telephone; a context manager that never leaves the process running."""

    def __init__(
        self, directory: Path, number: str, address: Endpoint, settings: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Write the configuration of a telephone that answers to ``number`` at ``address``.

        ``settings`` are more of linphone's own, of its section ``sip``.
        """
        configuration = directory / "linphonerc"
        more = "\n".join(f"{name}={value}" for name, value in settings.items())
        configuration.write_text(CONFIGURATION.format(address=address, number=number, more=more))
        (directory / ".local" / "share" / "linphone").mkdir(parents=True)
        super().__init__(
            ["linphone-daemon", "--config", str(configuration), "--log", "sip.log", "--disable-stats-events"],
            directory,
            {"HOME": str(directory), "XDG_DATA_HOME": str(directory / ".local" / "share")},
        )
        self.address = address
        self._trace = directory / "sip.log"
        self._heard = 0
        self._answers = 0

    def __enter__(self) -> Self:
        super().__enter__()
        self._wait_until(lambda: udp_bound(self.address))
        return self

    def dial(self, number: str, switch: Endpoint) -> None:
        """Call a number through the switch."""
        self.command(f"call sip:{number}@{switch}")

    def accept(self) -> None:
        """Answer the call that rings."""
        self.command("answer 1")

    def hang_up(self) -> None:
        """End the call, refuse it or give it up, whichever it has come to."""
        self.command("terminate")

    def hold(self) -> None:
        """Put the other side on hold."""
        self.command("call-pause 1")

    def resume(self) -> None:
        """Take the other side back from hold."""
        self.command("call-resume 1")

    def press(self, key: str) -> None:
        """Press a key."""
        self.command(f"dtmf {key}")

    def transfer(self, call: int, other: int) -> None:
        """Connect the other sides of two calls with each other: REFER with Replaces."""
        self.command(f"call-transfer {call} {other}")

    def traced(self, method: str) -> int:
        """Return how many requests of one method it has sent and received."""
        return len(re.findall(rf"^{method} sip:", self._trace.read_text(errors="replace"), re.MULTILINE))

    def command(self, line: str) -> None:
        """Type a command.

        Raises:
            PeerError: it was refused, or not answered in time.
        """
        self._type(line)
        deadline = time.monotonic() + 60
        while len(answers := _ANSWER.findall(self._text())) == self._answers:
            if time.monotonic() > deadline:
                raise self._unexpected(f"an answer to {line}")
            select.select([], [], [], _STEP_SECONDS)
        self._answers += 1
        if answers[-1][0] != "Ok":
            raise self._unexpected(f"{line} to be done")

    def expect(self, kind: str, within_s: float = 60.0) -> None:
        """Wait for the next event of a kind: a state of the call without its ``LinphoneCall``, or a key.

        Raises:
            PeerError: none came in time.
        """
        deadline = time.monotonic() + within_s
        while True:
            events = [what.removeprefix("LinphoneCall") for _, what in _EVENT.findall(self._text())]
            if kind in events[self._heard :]:
                self._heard += events[self._heard :].index(kind) + 1
                return
            if time.monotonic() > deadline:
                raise self._unexpected(kind, events)
            select.select([], [], [], _STEP_SECONDS)

    def _text(self) -> str:
        return self._written().decode(errors="replace")
