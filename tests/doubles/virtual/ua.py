"""User agents on the virtual wire: an address that sorts what arrives, and repeats its responses.

They keep RFC 3261's promises by themselves: requests are repeated until they are answered, a 2xx until its ACK,
repeated requests get the same response again. They read and write SIP without ``vosd.sip``, on purpose: a fault
there must not hide behind the same fault in its tester. What goes on within a dialog stands in ``side``.
"""

from collections.abc import Callable, Iterable
from functools import partial
from itertools import count
from typing import Final

from doubles.sockets.loopback import Endpoint as Address
from doubles.sockets.peer import Message, compose, response_lines
from doubles.virtual.wire import Appointment, Packet, Wire

T1_MS: Final = 500
T2_MS: Final = 4_000
GIVE_UP_MS: Final = 64 * T1_MS

_numbers: Final = count(1)


class Repeat:
    """Retransmits a message at doubling intervals, for 64·T1 or until stopped."""

    def __init__(
        self, wire: Wire, send: Callable[[], None], given_up: Callable[[], None], *, ceiling_ms: int = T2_MS
    ) -> None:
        self._wire = wire
        self._send = send
        self._interval_ms = T1_MS
        self._ceiling_ms = ceiling_ms
        self._end = wire.after(GIVE_UP_MS, self._give_up(given_up))
        self._next: Appointment = wire.after(T1_MS, self._again)

    def stop(self) -> None:
        """Stop the retransmissions."""
        self._next.call_off()
        self._end.call_off()

    def _again(self) -> None:
        self._send()
        self._interval_ms = min(2 * self._interval_ms, self._ceiling_ms)
        self._next = self._wire.after(self._interval_ms, self._again)

    def _give_up(self, given_up: Callable[[], None]) -> Callable[[], None]:
        def end() -> None:
            self.stop()
            given_up()

        return end


class UserAgent:
    """One address on the wire: passes messages to its calls, and repeats its responses."""

    def __init__(self, wire: Wire, address: Address, switch: Address) -> None:
        self.wire = wire
        self.address = address
        self.switch = switch
        self.heard: list[Message] = []
        """Every message that arrived, in order."""
        self.waiting: dict[tuple[str, str], Callable[[Message], None]] = {}
        """What receives the responses to a request, by its branch and method."""
        self.minds_origins = True
        """Whether an offer is refused that may not follow the session description before it (RFC 3264 section 8)."""
        self.renews_keys = False
        """Whether each answer within a dialog has another key (RFC 4568 section 7.1.4)."""
        self.begins_anew = False
        """Whether an offer that it is asked for within a dialog has other media, as by PJSIP (``begun_anew``)."""
        self.via = f"SIP/2.0/UDP {address};rport"
        """Via of its requests, without the branch."""
        self._said: dict[tuple[str, str], Callable[[], None]] = {}
        wire.attach(address, self._receive)

    def send(self, text: str) -> None:
        """Send to the switch."""
        self.wire.send(self.address, self.switch, text.encode(errors="surrogateescape"))

    def reply(
        self,
        request: Message,
        status: int,
        *,
        tag: str = "",
        headers: Iterable[str] = (),
        body: str = "",
        kind: str = "application/sdp",
        contact: bool = True,
    ) -> Callable[[], None]:
        """Answer a request, and each retransmission of it; return a function that repeats the response."""
        lines = response_lines(request, status, tag, self.address)
        if 300 <= status < 400 or not contact:
            lines.pop()  # the contacts of a 3xx are other next hops
        data = compose([*lines, *headers], body, kind).encode(errors="surrogateescape")
        again = partial(self.wire.send, self.address, request.source, data)
        self._said[transaction_of(request)] = again
        again()
        return again

    def repeat_reply(self, request: Message) -> None:
        """Send the last response to a request once more, if there is any."""
        again = self._said.get(transaction_of(request))
        if again is not None:
            again()

    def received(self, what: str | int) -> list[Message]:
        """Return the requests of a method, or the responses of a status, that arrived."""
        return [message for message in self.heard if what in (message.method, message.status)]

    def take_request(self, request: Message) -> None:
        """Handle a request that is no retransmission."""
        raise NotImplementedError

    def _receive(self, packet: Packet) -> None:
        message = Message(packet.data, packet.source)
        self.heard.append(message)
        if message.method is not None and message.method != message["CSeq"].partition(" ")[2]:
            self.reply(message, 400)  # RFC 3261 section 8.1.1.5
            return
        if message.status is not None:
            waiting = self.waiting.get(transaction_of(message))
            if waiting is not None:
                waiting(message)
        elif transaction_of(message) in self._said and message.method != "ACK":
            self.repeat_reply(message)
        else:
            self.take_request(message)


def acknowledges(ack: Message, invite: Message, final: int | None) -> bool:
    """Return whether an ACK is the one that the final response to an INVITE waits for.

    That of a refusal has the branch of the INVITE (RFC 3261 section 17.1.1.3), that of a 2xx one of its own (13.2.2.4).
    """
    is_in_transaction = transaction_of(ack)[0] == transaction_of(invite)[0]
    return final is not None and is_in_transaction == (final >= 300)


def new_branch() -> str:
    """Return a branch that no other request has."""
    return f"z9hG4bK-tested-{next(_numbers)}"


def transaction_of(message: Message) -> tuple[str, str]:
    """Return the key of a transaction: the branch of the topmost Via, and the method."""
    branch = message["Via"].partition("branch=")[2].partition(";")[0].partition(",")[0]
    return branch, message["CSeq"].partition(" ")[2]
