"""User agents on the virtual wire: a caller and what both sides of a call have in common.

They keep RFC 3261's promises by themselves: requests are repeated until they are answered, a 2xx until its ACK,
repeated requests get the same response again. They read and write SIP without ``vosd.sip``, on purpose: a fault
there must not hide behind the same fault in its tester.
"""

from collections.abc import Callable, Iterable
from itertools import count
from typing import Final, NamedTuple

from vosd.testing.peer import ANSWER, OFFER, Message, compose
from vosd.testing.sipp import Endpoint as Address
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
        to = request["To"] if ";tag=" in request["To"] or not tag else f"{request['To']};tag={tag}"
        lines = [
            f"SIP/2.0 {status} Tested",
            *(f"Via: {via}" for via in request.every("Via")),
            f"From: {request['From']}",
            f"To: {to}",
            f"Call-ID: {request['Call-ID']}",
            f"CSeq: {request['CSeq']}",
            f"Contact: <sip:{self.address}>",
            *headers,
        ]
        self._said[_transaction(request)] = compose(lines, body).encode()
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


class Intent(NamedTuple):
    """What a caller will do of its own accord."""

    offer: str = OFFER
    """Empty = a late offer: the answer goes into the ACK."""
    cancel_after_ms: int | None = None
    """From the INVITE."""
    hang_up_after_ms: int | None = None
    """From the answer."""
    acknowledges: bool = True
    headers: tuple[str, ...] = ()
    hops: int = 70
    caller: str = "12025550100"


class Caller(UserAgent):
    """A customer's trunk: makes calls."""

    def __init__(self, wire: Wire, address: Address, switch: Address) -> None:
        super().__init__(wire, address, switch)
        self.calls: dict[str, OutgoingCall] = {}

    def call(self, callee: str, intent: Intent | None = None) -> "OutgoingCall":
        """Call somebody."""
        made = OutgoingCall(self, callee, intent or Intent())
        self.calls[made.call_id] = made
        made.invite()
        return made

    def take_request(self, request: Message) -> None:
        """Hear a BYE; everything else gets 481."""
        call = self.calls.get(request["Call-ID"])
        if call is not None and request.method == "BYE":
            call.hung_up(request)
        elif request.method != "ACK":
            self.reply(request, 481)


class OutgoingCall(Side):
    """One call, as its caller sees it."""

    def __init__(self, agent: UserAgent, callee: str, intent: Intent) -> None:
        number = next(_numbers)
        super().__init__(agent, f"customer-{number}@{agent.address.host}")
        self.intent = intent
        self.local = f'"Secret Name" <sip:{intent.caller}@{agent.address}>;tag=customer-tag-{number}'
        self.remote = f"<sip:{callee}@{agent.switch}>"
        self.target = f"sip:{callee}@{agent.switch}"
        self.sequence = 1
        self.statuses: list[int] = []
        """Statuses heard to the INVITE, without 100 and repetitions of the same."""
        self.responses: list[Message] = []
        """All responses to the INVITE."""
        self.is_cancelled = False
        self._branch = new_branch()
        self._cancel: Repeat | None = None
        self._cancel_wanted = False
        self._ack: str | None = None

    @property
    def final(self) -> int | None:
        """The final status of the INVITE; None while there is none."""
        return next((status for status in self.statuses if status >= 200), None)

    @property
    def refusal(self) -> Message:
        """The response that refused the call."""
        return next(response for response in self.responses if (response.status or 0) >= 300)

    def invite(self) -> None:
        """Send the INVITE until a response comes."""
        self._invite_text = self.request(
            "INVITE", 1, self._branch, headers=self.intent.headers, body=self.intent.offer, hops=self.intent.hops
        )
        self.agent.waiting[self._branch, "INVITE"] = self._heard
        self.invite_again()
        self._inviting = Repeat(self.wire, self.invite_again, self.over, ceiling_ms=GIVE_UP_MS)
        if self.intent.cancel_after_ms is not None:
            self.wire.after(self.intent.cancel_after_ms, self.cancel)

    def invite_again(self) -> None:
        """Send the very same INVITE once more."""
        self.agent.send(self._invite_text)

    def cancel(self) -> None:
        """Give the call up: at once, or as soon as the switch has shown itself (RFC 3261 section 9.1)."""
        if self.final is None and not self.responses:
            self._cancel_wanted = True
        elif self.final is None and not self.is_cancelled:
            self.is_cancelled = True
            text = self.request("CANCEL", 1, self._branch)
            self.agent.send(text)
            self._cancel = Repeat(self.wire, lambda: self.agent.send(text), self._cancel_unheard)
            self.agent.waiting[self._branch, "CANCEL"] = self._cancel_heard

    def acknowledge(self, body: str | None = None) -> None:
        """Send the ACK of the 200, with the answer where the offer came late; repeated 200s get the same."""
        if body is None:
            body = "" if self.intent.offer else ANSWER
        self._ack = self._ack or self.request("ACK", 1, new_branch(), body=body)
        self.agent.send(self._ack)

    def _heard(self, response: Message) -> None:
        status = response.status or 0
        self._inviting.stop()
        self.responses.append(response)
        if self._cancel_wanted and status < 200:
            self.cancel()
        if status >= 300:
            self.agent.send(self.request("ACK", 1, self._branch).replace(self.remote, response["To"]))
            self.over()
        elif status >= 200:
            self._established(response)
        if status > 100 and (not self.statuses or self.statuses[-1] != status):
            self.statuses.append(status)

    def _established(self, response: Message) -> None:
        is_first = self.final is None
        self.remote, self.target = response["To"], response.target
        if self.intent.acknowledges and not (self.is_over and self._ack is None):
            self.acknowledge()
        if not is_first:
            return
        if self.is_cancelled:
            self.hang_up()
        elif self.intent.hang_up_after_ms is not None:
            self.wire.after(self.intent.hang_up_after_ms, self.hang_up)

    def _cancel_heard(self, _response: Message) -> None:
        if self._cancel is not None:
            self._cancel.stop()

    def _cancel_unheard(self) -> None:
        if self.final is None:
            self.over()


def new_branch() -> str:
    """Return a branch that no other request has."""
    return f"z9hG4bK-customer-{next(_numbers)}"


def _transaction(message: Message) -> tuple[str, str]:
    """Return what tells one transaction from another: the branch of the topmost Via, and the method."""
    branch = message["Via"].partition("branch=")[2].partition(";")[0].partition(",")[0]
    return branch, message["CSeq"].partition(" ")[2]
