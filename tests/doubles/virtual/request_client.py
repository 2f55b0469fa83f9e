"""A client at an unknown address on the virtual wire: one request at a time, without retransmissions."""

from collections.abc import Iterable
from itertools import count
from typing import Final

from doubles.sockets.login import Login, Question, answer_to, questions
from doubles.sockets.loopback import Endpoint as Address
from doubles.sockets.peer import OFFER, Message, compose
from doubles.virtual.ua import new_branch
from doubles.virtual.wire import Packet, Wire

SOON_MS: Final = 100
"""Longer than the round trip to the switch."""
_numbers: Final = count(1)


class RequestClient:
    """One address; every request is one datagram, and its response is the last one within ``wait_ms``."""

    def __init__(
        self, wire: Wire, address: Address, switch: Address, number: str = "1001", *, wait_ms: int = SOON_MS
    ) -> None:
        self.wire = wire
        self.address = address
        self.switch = switch
        self.number = number
        self.wait_ms = wait_ms
        """How long a response may take."""
        self.domain = str(switch)
        """Host of the address of record."""
        self.heard: list[Message] = []
        wire.attach(address, self._receive)

    def uri(self, method: str, callee: str) -> str:
        """Return the Request-URI."""
        return f"sip:{self.switch}" if method == "REGISTER" else f"sip:{callee}@{self.switch}"

    def ask(
        self,
        method: str = "INVITE",
        headers: Iterable[str] = (),
        *,
        callee: str = "442079460000",
        branch: str = "",
        call_id: str = "",
        uri: str = "",
    ) -> Message | None:
        """Send a request once; return the last response within ``wait_ms``, None if there is none."""
        number = next(_numbers)
        uri = uri or self.uri(method, callee)
        address = f"<sip:{self.number}@{self.domain}>" if method == "REGISTER" else f"<{uri}>"
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.address};rport;branch={branch or new_branch()}",
            f"From: <sip:{self.number}@{self.domain}>;tag=client",
            f"To: {address}",
            f"Call-ID: {call_id or f'client-{number}'}",
            f"CSeq: {number} {method}",
            f"Contact: <sip:{self.number}@{self.address}>",
            "Max-Forwards: 70",
            *headers,
        ]
        before = len(self.heard)
        self.send(compose(lines, OFFER if method == "INVITE" else ""))
        self.wire.run_for(self.wait_ms)
        said = [message for message in self.heard[before:] if message.status is not None]
        return said[-1] if said else None

    def prove(self, login: Login, method: str = "INVITE", **request: str) -> Message | None:
        """Send a request, answer its challenge, and return the last response; None if there is none."""
        first = self.ask(method, **request)
        uri = request.get("uri") or self.uri(method, request.get("callee", "442079460000"))
        proof = None if first is None else answer_to(first, login, method, uri)
        return first if proof is None else self.ask(method, [proof], **request)

    def question(self, method: str = "INVITE") -> Question:
        """Return the first challenge to a request."""
        response = self.ask(method)
        assert response is not None, "no challenge"
        return questions(response)[0]

    def send(self, text: str) -> None:
        """Send one datagram."""
        self.wire.send(self.address, self.switch, text.encode(errors="surrogateescape"))

    def _receive(self, packet: Packet) -> None:
        self.heard.append(Message(packet.data, packet.source))
