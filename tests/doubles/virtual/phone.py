"""A telephone on the virtual wire: registers with a digest, calls, and takes calls by a script."""

from collections.abc import Iterable
from itertools import count
from typing import Final

from doubles.sockets.login import Login, answer_to
from doubles.sockets.loopback import Endpoint as Address
from doubles.sockets.peer import Message, compose
from doubles.virtual.customer import Intent, OutgoingCall
from doubles.virtual.ua import new_branch
from doubles.virtual.vendor import Script, Vendor
from doubles.virtual.wire import Wire

_numbers: Final = count(1)


class VirtualPhone(Vendor):
    """One device at one address; behind NAT its contact differs from the address that its packets come from."""

    def __init__(
        self,
        wire: Wire,
        address: Address,
        switch: Address,
        login: Login,
        *,
        script: Script | None = None,
        contact: str | None = None,
    ) -> None:
        super().__init__(wire, address, switch, script)
        self.login = login
        self.contact = f"sip:{login.username}@{address}" if contact is None else contact
        self.call_id = f"register-{next(_numbers)}@{address.host}"
        self.answers: list[Message] = []
        """Final responses to its REGISTERs, without challenges."""
        self.called: dict[str, OutgoingCall] = {}
        self._sequence = 0

    def register(
        self, *contacts: str, expires: int | None = 3_600, headers: Iterable[str] = (), to: str | None = None
    ) -> Message:
        """Register these contacts, else its own; answer a challenge, and return the final response."""
        before = len(self.answers)
        self._ask(
            contacts or (f"<{self.contact}>",), expires, tuple(headers), self.login.username if to is None else to, ()
        )
        self.wire.run_until(lambda: len(self.answers) > before)
        return self.answers[-1]

    def fetch(self) -> list[str]:
        """Send a REGISTER without contacts, and return the registered ones."""
        before = len(self.answers)
        self._ask((), None, (), self.login.username, ())
        self.wire.run_until(lambda: len(self.answers) > before)
        return self.answers[-1].every("Contact")

    def call(self, callee: str, intent: Intent | None = None) -> OutgoingCall:
        """Make a call; a challenge is answered."""
        intent = intent or Intent()
        made = OutgoingCall(self, callee, intent._replace(login=self.login, caller=self.login.username))
        self.called[made.call_id] = made
        made.invite()
        return made

    def take_request(self, request: Message) -> None:
        """Pass a request to its outgoing or incoming call."""
        made = self.called.get(request["Call-ID"])
        if made is not None:
            made.take(request)
        else:
            super().take_request(request)

    def _ask(
        self, contacts: Iterable[str], expires: int | None, headers: tuple[str, ...], user: str, proof: tuple[str, ...]
    ) -> None:
        self._sequence += 1
        branch = new_branch()
        text = compose(
            [
                f"REGISTER sip:{self.switch.host} SIP/2.0",
                f"Via: {self.via};branch={branch}",
                "Max-Forwards: 70",
                f"From: <sip:{self.login.username}@{self.switch.host}>;tag=register",
                f"To: <sip:{user}@{self.switch.host}>",
                f"Call-ID: {self.call_id}",
                f"CSeq: {self._sequence} REGISTER",
                *(f"Contact: {contact}" for contact in contacts),
                *([] if expires is None else [f"Expires: {expires}"]),
                *headers,
                *proof,
            ],
            "",
        )

        def heard(response: Message) -> None:
            uri = f"sip:{self.switch.host}"
            answer = None if proof else answer_to(response, self.login, "REGISTER", uri)
            if answer is None:
                self.answers.append(response)
            else:
                self._ask(contacts, expires, headers, user, (answer,))

        self.waiting[branch, "REGISTER"] = heard
        self.send(text)
