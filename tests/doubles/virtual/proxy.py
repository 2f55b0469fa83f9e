"""A stateless proxy on the virtual wire (RFC 3261 section 16.11): sends the calls of a switch back to it."""

from collections.abc import Mapping
from zlib import crc32

from doubles.sockets.loopback import Endpoint as Address
from doubles.virtual.wire import Packet, Wire


class Proxy:
    """Changes the called number of what the switch sends it, and stays in the way of the calls (Record-Route)."""

    def __init__(
        self,
        wire: Wire,
        address: Address,
        switch: Address,
        numbers: Mapping[str, tuple[str, ...]],
        *,
        stays: bool = True,
    ) -> None:
        """``numbers`` has for each called number those that it goes on to, all at once; the others stay as they are.

        Without ``stays`` it adds no Record-Route, and later requests pass it only where they are sent to it.
        """
        self.wire, self.address, self.switch, self.numbers, self.stays = wire, address, switch, numbers, stays
        self.requests: list[str] = []
        """Request lines that it has sent on."""
        wire.attach(address, self._receive)

    def _receive(self, packet: Packet) -> None:
        head, _, body = packet.data.decode(errors="surrogateescape").partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        if first.startswith("SIP/2.0 "):
            del lines[next(at for at, line in enumerate(lines) if line.startswith("Via: "))]
            self._send(first, lines, body)
            return
        method, uri, version = first.split(" ")
        via = next(line for line in lines if line.startswith("Via: "))
        number, _, host = uri.removeprefix("sip:").partition("@")
        is_routed = any(line.startswith(f"Route: <sip:{self.address};lr>") for line in lines)
        lines = [
            f"Max-Forwards: {int(line.partition(' ')[2]) - 1}" if line.startswith("Max-Forwards: ") else line
            for line in lines
            if not line.startswith("Route: ")
        ]
        for other in (number,) if is_routed else self.numbers.get(number, (number,)):
            branch = f"z9hG4bK-proxy-{crc32(f'{via}{other}'.encode()):08x}"
            own = [f"Via: SIP/2.0/UDP {self.address};branch={branch}"]
            if method == "INVITE" and self.stays and not is_routed:
                own.append(f"Record-Route: <sip:{self.address};lr>")
            line = f"{method} {uri if is_routed else f'sip:{other}@{host}'} {version}"
            self.requests.append(line)
            self._send(line, [*own, *lines], body)

    def _send(self, first: str, lines: list[str], body: str) -> None:
        data = "\r\n".join([first, *lines, "", body])
        self.wire.send(self.address, self.switch, data.encode(errors="surrogateescape"))
