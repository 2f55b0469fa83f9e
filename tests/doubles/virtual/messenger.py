"""Parties on the virtual wire that send and take requests outside of dialogs: MESSAGE, SUBSCRIBE and NOTIFY."""

from collections.abc import Iterable
from itertools import count
from typing import Final

from doubles.sockets.login import Login, answer_to
from doubles.sockets.loopback import Endpoint as Address
from doubles.sockets.peer import Message, compose
from doubles.virtual.phone import VirtualPhone
from doubles.virtual.ua import Repeat, UserAgent, new_branch
from doubles.virtual.wire import Wire

_numbers: Final = count(1)


class Question:
    """A request, repeated until its final response; a challenge is answered once."""

    def __init__(
        self, agent: UserAgent, method: str, uri: str, headers: Iterable[str], body: str, kind: str, login: Login | None
    ) -> None:
        self.agent, self.method, self.uri, self.login = agent, method, uri, login
        self.responses: list[Message] = []
        """All responses, without those that were challenges."""
        self._headers, self._body, self._kind = tuple(headers), body, kind
        self._sequence = next(_numbers)
        self._ask(())

    @property
    def answer(self) -> Message:
        """The final response; it is waited for."""
        self.agent.wire.run_until(lambda: any((each.status or 0) >= 200 for each in self.responses))
        return next(each for each in self.responses if (each.status or 0) >= 200)

    def _ask(self, proof: Iterable[str]) -> None:
        branch = new_branch()
        head = [
            f"{self.method} {self.uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.agent.address};rport;branch={branch}",
            "Max-Forwards: 70",
            f"CSeq: {self._sequence} {self.method}",
        ]
        text = compose([*head, *self._headers, *proof], self._body, self._kind)
        repeat = Repeat(self.agent.wire, lambda: self.agent.send(text), lambda: None)

        def heard(response: Message) -> None:
            if (response.status or 0) >= 200:
                repeat.stop()
            again = None if proof or self.login is None else answer_to(response, self.login, self.method, self.uri)
            if again is None:
                self.responses.append(response)
            else:
                self._sequence = next(_numbers)
                self._ask((again,))

        self.agent.waiting[branch, self.method] = heard
        self.agent.send(text)


def ask(
    agent: UserAgent,
    method: str,
    user: str,
    *headers: str,
    caller: str = "12025550100",
    body: str = "",
    kind: str = "text/plain",
    login: Login | None = None,
    to_tag: str = "",
    call_id: str = "",
) -> Question:
    """Send the switch a request for a user."""
    number = next(_numbers)
    tail = f";tag={to_tag}" if to_tag else ""
    lines = (
        f"From: <sip:{caller}@{agent.switch.host}>;tag=messenger-{agent.address.port}",
        f"To: <sip:{user}@{agent.switch.host}>{tail}",
        f"Call-ID: {call_id or f'messenger-{number}@{agent.address.host}'}",
        *headers,
    )
    return Question(agent, method, f"sip:{user}@{agent.switch}", lines, body, kind, login)


class MessagingPhone(VirtualPhone):
    """A telephone that sends messages, takes those for it, and has a mailbox."""

    def __init__(self, wire: Wire, address: Address, switch: Address, number: str) -> None:
        super().__init__(wire, address, switch, Login(number, "secret"))
        self.status = 200
        """The status of its answer to a MESSAGE or NOTIFY; 0 = it answers nothing."""
        self.taken: list[Message] = []

    def take_request(self, request: Message) -> None:
        """Answer a MESSAGE or NOTIFY."""
        if request.method in {"MESSAGE", "NOTIFY"}:
            self.taken.append(request)
            if self.status:
                self.reply(request, self.status, tag="device", contact=False)
        else:
            super().take_request(request)

    def write(self, user: str, text: str, *headers: str) -> Question:
        """Send a MESSAGE."""
        return ask(self, "MESSAGE", user, *headers, caller=self.login.username, body=text, login=self.login)


class MessagingTrunk(UserAgent):
    """A trunk that sends messages, and answers each request with a status and headers."""

    def __init__(self, wire: Wire, address: Address, switch: Address, status: int = 200) -> None:
        super().__init__(wire, address, switch)
        self.status = status
        """0 = no answer."""
        self.headers: tuple[str, ...] = ()
        self.taken: list[Message] = []

    def take_request(self, request: Message) -> None:
        """Answer a request."""
        self.taken.append(request)
        if self.status:
            self.reply(request, self.status, tag="trunk", headers=self.headers)
