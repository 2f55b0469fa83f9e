"""A SIP user agent that works packet by packet: a blocking UDP socket, and calls composed from text.

For what SIPp is clumsy at: crossing and repeated packets, counting what comes, not acknowledging, and a
customer and a vendor that need nothing installed. It reads and writes SIP by itself, on purpose: a fault of
``vosd.sip`` must not hide behind the same fault in its tester.
"""

import socket
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Final, Self

from doubles.sockets.loopback import Endpoint
from doubles.sockets.waiting import readable
from vosd.base.errors import VosError

OFFER: Final = (
    "v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n"
    "m=audio 20000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
)
ANSWER: Final = OFFER.replace("192.0.2.10", "192.0.2.20").replace("20000", "30000")

_TRANSCRIPT_LINES: Final = 40
T1_S: Final = 0.5
"""First interval after which a request is repeated (RFC 3261 section 17.1.2.2)."""
_numbers: Final = count(1)


class UnexpectedError(VosError):
    """An unexpected message or none arrived; the error lists the last packets."""


class Message:
    """A request or a response in one datagram."""

    def __init__(self, data: bytes, source: Endpoint) -> None:
        head, _, self.body = data.decode(errors="surrogateescape").partition("\r\n\r\n")
        self.data = data
        self.source = source
        self.start_line, *lines = head.split("\r\n")
        self.headers: list[tuple[str, str]] = []
        self._by_name: dict[str, list[str]] = {}
        for line in lines:
            field, _, value = line.partition(":")
            name, value = field.strip().lower(), value.strip()
            self.headers.append((name, value))
            self._by_name.setdefault(name, []).append(value)
        words = self.start_line.split(" ")
        self.status = int(words[1]) if words[0] == "SIP/2.0" else None
        """The code of a response; None for a request."""
        self.method = None if self.status else words[0]
        """The method of a request; None for a response."""

    def __str__(self) -> str:
        return self.start_line

    def __getitem__(self, name: str) -> str:
        """Return the first header of that name; KeyError where there is none."""
        return self._by_name[name.lower()][0]

    def every(self, name: str) -> list[str]:
        """Return every header of that name, in order."""
        return [*self._by_name.get(name.lower(), ())]

    def listed(self, name: str) -> list[str]:
        """Return every value of a header that is a list of words."""
        return [word.strip() for value in self.every(name) for word in value.split(",")]

    @property
    def to_tag(self) -> str:
        """The tag of To, or an empty text."""
        return self["To"].partition(";tag=")[2].partition(";")[0]

    @property
    def target(self) -> str:
        """The URI of Contact."""
        return self["Contact"].partition("<")[2].partition(">")[0]


class Peer:
    """One UDP socket; a context manager that closes it."""

    transport = "UDP"
    """Transport in Via."""

    def __init__(self, address: Endpoint) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._bind()
        self._transcript: deque[str] = deque(maxlen=_TRANSCRIPT_LINES)
        self._received: Counter[tuple[bytes, Endpoint]] = Counter()
        self._answers: dict[tuple[bytes, Endpoint], str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._socket.close()

    @property
    def contact(self) -> str:
        """Host, port and parameters of the SIP URI of this peer."""
        return str(self.address) if self.transport == "UDP" else f"{self.address};transport={self.transport.lower()}"

    @property
    def sent_by(self) -> str:
        """Host and port in Via."""
        return str(self.address)

    def send(self, data: str | bytes, to: Endpoint) -> None:
        """Send one message."""
        raw = data if isinstance(data, bytes) else data.encode(errors="surrogateescape")
        self._transcript.append(f"-> {to}  {raw[:60]!r}")
        self._send(raw, to)

    def receive(self, within_s: float = 2.0) -> Message | None:
        """Return the next message, or None if none arrived in time."""
        message = self._receive(within_s)
        if message is not None:
            self._transcript.append(f"<- {message.source}  {message}")
            self._received[message.data, message.source] += 1
        return message

    def _bind(self) -> None:
        self._socket.bind(self.address)

    def _is_retransmission(self, message: Message) -> bool:
        """Return whether the same bytes came from the same source before: the timers of a busy switch run out."""
        return self._received[message.data, message.source] > 1

    def _send(self, raw: bytes, to: Endpoint) -> None:
        self._socket.sendto(raw, to)

    def _receive(self, within_s: float) -> Message | None:
        if not readable([self._socket], within_s):
            return None
        data, source = self._socket.recvfrom(65_535)
        return Message(data, Endpoint(*source))

    def expect(self, wanted: str | int, within_s: float = 40.0, passing: Iterable[str | int] = ()) -> Message:
        """Return the next message, which must have the wanted method or status.

        100, what stands in ``passing`` and retransmissions of what came earlier may come before it. An INVITE that was
        received before is never returned: the next call would be taken for it. For the same reason a request that has
        its answer gets it again (RFC 3261 17.2.2) and is not returned.

        Raises:
            UnexpectedError: another message came, or none in time.
        """
        tolerated = {100, *passing}
        for message in self._arriving(within_s):
            answer = self._answers.get((message.data, message.source))
            if answer is not None:
                self.send(answer, message.source)
                continue
            kind = message.status or message.method
            is_repeated = self._is_retransmission(message)
            if kind == wanted and not (is_repeated and kind == "INVITE"):
                return message
            if kind not in tolerated and not is_repeated:
                break
        raise self.unexpected(str(wanted))

    def final_response(self, cseq: str, call_id: str, within_s: float = 40.0) -> Message:
        """Return the final response to one request; other messages before it are ignored.

        Raises:
            UnexpectedError: none came in time.
        """
        for message in self._arriving(within_s):
            # A keep-alive may come first, and has no headers at all.
            ours = message.every("Call-ID") == [call_id] and message.every("CSeq") == [cseq]
            if ours and (message.status or 0) >= 200:
                return message
        raise self.unexpected(f"the answer to {cseq}")

    def ask(self, request: str, to: Endpoint, cseq: str, call_id: str, within_s: float = 40.0) -> Message:
        """Send a request and return its final response; repeat it over UDP, as a lost datagram wants (timers A and E).

        Raises:
            UnexpectedError: none came in time.
        """
        deadline, wait_s = time.monotonic() + within_s, T1_S if self.transport == "UDP" else within_s
        while True:
            self.send(request, to)
            left_s = deadline - time.monotonic()
            try:
                return self.final_response(cseq, call_id, min(wait_s, left_s))
            except UnexpectedError:
                if left_s <= wait_s:
                    raise
            wait_s *= 2

    def messages(self, during_s: float) -> list[Message]:
        """Return all messages that arrive during the given time."""
        return list(self._arriving(during_s))

    def _arriving(self, during_s: float) -> Iterator[Message]:
        deadline = time.monotonic() + during_s
        while (left := deadline - time.monotonic()) > 0:
            message = self.receive(left)
            if message is not None:
                yield message

    def reply(
        self,
        request: Message,
        status: int,
        *,
        tag: str = "",
        headers: Iterable[str] = (),
        body: str = "",
        kind: str = "application/sdp",
    ) -> str:
        """Answer ``request`` and return what was sent, so that it can be sent again."""
        text = compose([*response_lines(request, status, tag, self.contact), *headers], body, kind)
        self.send(text, request.source)
        if status >= 200 and request.method != "INVITE":
            self._answers[request.data, request.source] = text
        return text

    def unexpected(self, wanted: str) -> UnexpectedError:
        """Return the error that names the expected and the received message."""
        return UnexpectedError("\n".join([f"{self.address} waited for {wanted}:", *self._transcript]))

    def hang_up(self, invite: Message, tag: str, body: str = "", kind: str = "application/sdp") -> None:
        """Send BYE as the callee that answered ``invite`` with ``tag``."""
        lines = [
            f"BYE {invite.target} SIP/2.0",
            f"Via: SIP/2.0/{self.transport} {self.sent_by};rport;branch=z9hG4bK-{tag}-bye",
            f"From: {invite['To']};tag={tag}",
            f"To: {invite['From']}",
            f"Call-ID: {invite['Call-ID']}",
            "CSeq: 1 BYE",
            "Max-Forwards: 70",
        ]
        self.send(compose(lines, body, kind), invite.source)


@dataclass
class OutgoingCall:
    """The caller's side of one call: composes the packets and keeps the dialog."""

    peer: Peer
    switch: Endpoint
    callee: str
    caller: str = "12025550100"
    call_id: str = field(default_factory=lambda: f"customer-{next(_numbers)}-{time.monotonic_ns()}")
    remote_to: str = ""
    target: str = ""

    def __post_init__(self) -> None:
        self.remote_to = f"<sip:{self.callee}@{self.switch}>"
        self.target = f"sip:{self.callee}@{self.switch}"

    def request(
        self,
        method: str,
        cseq: int = 1,
        *,
        branch: str | None = None,
        headers: Iterable[str] = (),
        body: str = "",
        kind: str = "application/sdp",
        max_forwards: int = 70,
    ) -> str:
        """Compose a request of this call; its branch is the method's unless given."""
        via = f"SIP/2.0/{self.peer.transport} {self.peer.sent_by}"
        lines = [
            f"{method} {self.target} SIP/2.0",
            f"Via: {via};rport;branch=z9hG4bK{self.call_id}-{branch or method}",
            f"From: <sip:{self.caller}@{self.peer.address}>;tag=customer-{self.call_id}",
            f"To: {self.remote_to}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:{self.caller}@{self.peer.contact}>",
            f"Max-Forwards: {max_forwards}",
            *headers,
        ]
        return compose(lines, body, kind)

    def send(self, text: str) -> None:
        """Send a packet to the switch."""
        self.peer.send(text, self.switch)

    def invite(self, headers: Iterable[str] = (), cseq: int = 1) -> str:
        """Send the INVITE with an offer, and return it; a higher ``cseq`` is for one that was challenged."""
        branch = "INVITE" if cseq == 1 else f"INVITE-{cseq}"
        text = self.request("INVITE", cseq, branch=branch, body=OFFER, headers=headers)
        self.send(text)
        return text

    def answered(self, within_s: float = 40.0, cseq: int = 1) -> Message:
        """Wait for the answer, store the dialog, and send the ACK.

        Raises:
            UnexpectedError: the call was refused, or nothing came in time.
        """
        response = self.peer.final_response(f"{cseq} INVITE", self.call_id, within_s)
        if response.status != 200:
            raise self.peer.unexpected("200")
        self.adopt(response)
        self.send(self.request("ACK", cseq))
        return response

    def adopt(self, response: Message) -> None:
        """Set the remote tag and target of the dialog from a response."""
        self.remote_to = response["To"]
        self.target = response.target

    def refused(self, within_s: float = 40.0) -> Message:
        """Wait for a final refusal, and acknowledge it within the transaction.

        Raises:
            UnexpectedError: the call was answered, or nothing came in time.
        """
        response = self.peer.final_response("1 INVITE", self.call_id, within_s)
        if response.status == 200:
            raise self.peer.unexpected("a refusal")
        self.remote_to = response["To"]
        self.send(self.request("ACK", branch="INVITE"))
        return response

    def hang_up(self, cseq: int = 2) -> Message:
        """Send BYE and return its final response."""
        return self.peer.ask(self.request("BYE", cseq), self.switch, f"{cseq} BYE", self.call_id)


def compose(lines: Iterable[str], body: str = "", kind: str = "application/sdp") -> str:
    """Write a message of header lines and a body of that kind, which may be empty."""
    content = [f"Content-Type: {kind}"] if body else []
    return "\r\n".join([*lines, *content, f"Content-Length: {len(body)}", "", body])


def response_lines(request: Message, status: int, tag: str, contact: Endpoint | str) -> list[str]:
    """Return the lines of a response that are copied from the request; ``tag`` is added if To has none."""
    to = request["To"] if ";tag=" in request["To"] or not tag else f"{request['To']};tag={tag}"
    return [
        f"SIP/2.0 {status} Tested",
        *(f"Via: {via}" for via in request.every("Via")),
        f"From: {request['From']}",
        f"To: {to}",
        f"Call-ID: {request['Call-ID']}",
        f"CSeq: {request['CSeq']}",
        f"Contact: <sip:{contact}>",
    ]
