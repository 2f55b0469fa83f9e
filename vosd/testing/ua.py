"""User agents on the virtual wire: what a customer's and a vendor's have in common.

They keep RFC 3261's promises by themselves: requests are repeated until they are answered, a 2xx until its ACK,
repeated requests get the same response again. They read and write SIP without ``vosd.sip``, on purpose: a fault
there must not hide behind the same fault in its tester.
"""

from collections.abc import Callable, Iterable
from itertools import count
from typing import Final

from vosd.testing.loopback import Endpoint as Address
from vosd.testing.peer import Message, compose, response_lines
from vosd.testing.wire import Appointment, Packet, Wire

T1_MS: Final = 500
T2_MS: Final = 4_000
GIVE_UP_MS: Final = 64 * T1_MS

_numbers: Final = count(1)


class Repeat:
    """Sends a message, that was sent once, again and again at doubling intervals, for 64·T1 or until stopped."""

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
        """Fall silent."""
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
    """One address on the wire: sorts what comes to its calls, and repeats its responses."""

    def __init__(self, wire: Wire, address: Address, switch: Address) -> None:
        self.wire = wire
        self.address = address
        self.switch = switch
        self.heard: list[Message] = []
        """Every message that arrived, in order."""
        self.waiting: dict[tuple[str, str], Callable[[Message], None]] = {}
        """Who hears the responses to a request, by its branch and method."""
        self._said: dict[tuple[str, str], bytes] = {}
        wire.attach(address, self._receive)

    def send(self, text: str) -> None:
        """Send to the switch."""
        self.wire.send(self.address, self.switch, text.encode(errors="surrogateescape"))

    def reply(
        self, request: Message, status: int, *, tag: str = "", headers: Iterable[str] = (), body: str = ""
    ) -> None:
        """Answer a request; whenever it is repeated, answer the same again."""
        lines = response_lines(request, status, tag, self.address)
        self._said[_transaction(request)] = compose([*lines, *headers], body).encode()
        self.repeat_reply(request)

    def repeat_reply(self, request: Message) -> None:
        """Send the last response to a request once more, if there is any."""
        data = self._said.get(_transaction(request))
        if data is not None:
            self.wire.send(self.address, request.source, data)

    def heard_of(self, what: str | int) -> list[Message]:
        """Return the requests of a method, or the responses of a status, that arrived."""
        return [message for message in self.heard if what in (message.method, message.status)]

    def take_request(self, request: Message) -> None:
        """Act on a request that was not heard before."""
        raise NotImplementedError

    def _receive(self, packet: Packet) -> None:
        message = Message(packet.data, packet.source)
        self.heard.append(message)
        if message.status is not None:
            waiting = self.waiting.get(_transaction(message))
            if waiting is not None:
                waiting(message)
        elif _transaction(message) in self._said and message.method != "ACK":
            self.repeat_reply(message)
        else:
            self.take_request(message)


class Side:
    """One call as one user agent sees it: its dialog, its requests, and whether it is over."""

    def __init__(self, agent: UserAgent, call_id: str) -> None:
        self.agent = agent
        self.wire = agent.wire
        self.call_id = call_id
        self.local = ""
        """From of our requests, with its tag."""
        self.remote = ""
        """To of our requests."""
        self.target = ""
        self.sequence = 0
        self.is_over = False
        self.got: dict[str, list[int]] = {}
        """Statuses heard to our own requests within the dialog, by method."""

    def request(
        self, method: str, sequence: int, branch: str, *, headers: Iterable[str] = (), body: str = "", hops: int = 70
    ) -> str:
        """Write a request of this call."""
        lines = [
            f"{method} {self.target} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.agent.address};rport;branch={branch}",
            f"From: {self.local}",
            f"To: {self.remote}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {sequence} {method}",
            f"Contact: <sip:{self.agent.address}>",
            f"Max-Forwards: {hops}",
            *headers,
        ]
        return compose(lines, body)

    def ask(self, method: str, *, body: str = "") -> None:
        """Send a request within the dialog and repeat it until a final response; a failure of INVITE is ACKed."""
        self.sequence += 1
        sequence, branch = self.sequence, new_branch()
        text = self.request(method, sequence, branch, body=body)
        self.agent.send(text)
        repeat = Repeat(self.wire, lambda: self.agent.send(text), lambda: self._answered(method, 0))

        def responded(response: Message) -> None:
            if (response.status or 0) >= 200:
                repeat.stop()
                if method == "INVITE":
                    self.agent.send(self.request("ACK", sequence, branch))
                self._answered(method, response.status or 0)

        self.agent.waiting[branch, method] = responded

    def hang_up(self) -> None:
        """Send BYE; the call is over when that is answered, or never will be."""
        if not self.is_over:
            self.ask("BYE")

    def hung_up(self, bye: Message) -> None:
        """Take the other side's BYE."""
        self.agent.reply(bye, 200)
        self.over()

    def over(self) -> None:
        """Note the end."""
        self.is_over = True

    def _answered(self, method: str, status: int) -> None:
        self.got.setdefault(method, []).append(status)
        if method == "BYE":
            self.over()


def new_branch() -> str:
    """Return a branch that no other request has."""
    return f"z9hG4bK-tested-{next(_numbers)}"


def _transaction(message: Message) -> tuple[str, str]:
    """Return what tells one transaction from another: the branch of the topmost Via, and the method."""
    branch = message["Via"].partition("branch=")[2].partition(";")[0].partition(",")[0]
    return branch, message["CSeq"].partition(" ")[2]
