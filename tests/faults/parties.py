"""A customer and a vendor with many calls at once, each on a real socket with a thread that answers by itself.

They read and write SIP as text. They survive the switch: its process may be killed while calls run, and what comes
afterwards is noted like everything else.
"""

import threading
from collections import Counter
from collections.abc import Iterable
from itertools import count
from typing import Final, Self

from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import ANSWER, OFFER, Message, Peer, compose, response_lines

_LOOK_S: Final = 0.05
_numbers: Final = count(1)


class Party:
    """One socket, and what was said on it; a context manager."""

    def __init__(self, address: Endpoint) -> None:
        self.peer = Peer(address)
        self.heard: dict[str, list[Message]] = {}
        """Every message by Call-ID, repetitions included."""
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._is_over.set()
        self._thread.join()
        self.peer.__exit__()

    def counted(self, method: str) -> Counter[str]:
        """Return how many requests of a method came, repetitions left out, by Call-ID."""
        return Counter(
            call_id
            for call_id, messages in self.heard.copy().items()
            for _ in {message["CSeq"] for message in messages.copy() if message.method == method}
        )

    def take(self, message: Message) -> None:
        """Act on a message."""
        raise NotImplementedError

    def respond(
        self, request: Message, status: int, tag: str = "", body: str = "", headers: Iterable[str] = ()
    ) -> None:
        """Answer a request."""
        lines = [*response_lines(request, status, tag, str(self.peer.address)), *headers]
        self.peer.send(compose(lines, body), request.source)

    def _listen(self) -> None:
        while not self._is_over.is_set():
            message = self.peer.receive(_LOOK_S)
            if message is not None and message.headers:
                self.heard.setdefault(message["Call-ID"], []).append(message)
                self.take(message)


class Vendor(Party):
    """Takes calls: answers them, lets them ring, or says 100 and nothing more."""

    def __init__(self, address: Endpoint, behaviours: dict[str, str] | None = None) -> None:
        """``behaviours`` tells by called number what becomes of the call; ``answers`` where it does not say."""
        super().__init__(address)
        self.behaviours = behaviours or {}
        self.challenges = False
        """Whether a BYE without credentials gets 401."""
        self.cancels = True
        """Whether a call that rings is given up when it is cancelled."""
        self.answers_byes = True
        self.silent: set[str] = set()
        """Calls that are not given up when they are cancelled, by Call-ID."""
        self.invites: dict[str, Message] = {}

    def take(self, message: Message) -> None:
        """Act as the behaviour of the called number says."""
        match message.method:
            case "INVITE" if message["Call-ID"] not in self.invites:
                self.invites[message["Call-ID"]] = message
                self._begin(message)
            case "INVITE" if ";tag=" in message["To"]:
                self.respond(message, 200, body=ANSWER)
            case "BYE" if self.challenges and not message.every("Authorization"):
                challenge = 'WWW-Authenticate: Digest realm="vendor", nonce="n1", algorithm=MD5, qop="auth"'
                self.respond(message, 401, headers=(challenge,))
            case "BYE" if self.answers_byes:
                self.respond(message, 200)
            case "CANCEL":
                self.respond(message, 200)
                if self.cancels and message["Call-ID"] not in self.silent:
                    self.respond(self.invites[message["Call-ID"]], 487, tag="vendor")

    def answer(self, call_id: str) -> None:
        """Answer a call that rings."""
        self.respond(self.invites[call_id], 200, tag="vendor", body=ANSWER)

    def hang_up(self, number: str) -> None:
        """End the answered call to a number."""
        for invite in [*self.invites.values()]:
            if f"sip:{number}@" in invite.start_line:
                self.request(invite, "BYE")

    def request(self, invite: Message, method: str, cseq: int = 1, body: str = "") -> None:
        """Send a request within the dialog of a call."""
        lines = [
            f"{method} {invite.target} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.peer.address};branch=z9hG4bK{invite['Call-ID']}-{method}-{cseq};rport",
            f"From: {invite['To']};tag=vendor",
            f"To: {invite['From']}",
            f"Call-ID: {invite['Call-ID']}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:{self.peer.address}>",
            "Max-Forwards: 70",
        ]
        self.peer.send(compose(lines, body), invite.source)

    def _begin(self, invite: Message) -> None:
        number = invite.start_line.partition("sip:")[2].partition("@")[0]
        behaviour = self.behaviours.get(number, "answers")
        self.respond(invite, 100)
        if behaviour in {"rings", "answers"}:
            self.respond(invite, 180, tag="vendor")
        if behaviour == "speaks, then answers":
            self.respond(invite, 183, tag="vendor", body=ANSWER)
        if behaviour.endswith("answers"):
            self.respond(invite, 200, tag="vendor", body=ANSWER)


class CustomerCall:
    """One call of the customer."""

    def __init__(self, number: str) -> None:
        self.number = number
        self.call_id = f"faults-{next(_numbers)}-{number}"
        self.statuses: list[int] = []
        self.answer: Message | None = None
        self.is_acknowledged = True
        self.bye_status: int | None = None


class Customer(Party):
    """Makes calls, acknowledges what is answered, and ends what it is told to."""

    def __init__(self, address: Endpoint, switch: Endpoint) -> None:
        super().__init__(address)
        self._switch = switch
        self.calls: dict[str, CustomerCall] = {}

    def call(
        self, number: str, *, acknowledges: bool = True, offer: str = OFFER, headers: Iterable[str] = ()
    ) -> CustomerCall:
        """Begin a call."""
        call = CustomerCall(number)
        call.is_acknowledged = acknowledges
        self.calls[call.call_id] = call
        self.peer.send(self._request(call, "INVITE", 1, offer, headers=headers), self._switch)
        return call

    def call_again(self, call: CustomerCall) -> None:
        """Repeat the INVITE of a call."""
        self.peer.send(self._request(call, "INVITE", 1, OFFER), self._switch)

    def hang_up(self, call: CustomerCall) -> None:
        """End an answered call."""
        self.peer.send(self._request(call, "BYE", 2), self._switch)

    def refer(self, call: CustomerCall, number: str) -> None:
        """Transfer the other side of an answered call, and leave once that is accepted."""
        headers = (f"Refer-To: <sip:{number}@{self._switch}>",)
        self.peer.send(self._request(call, "REFER", 2, headers=headers), self._switch)

    @property
    def answered(self) -> list[CustomerCall]:
        """The calls that have got their 200, and have acknowledged it unless told not to."""
        return [call for call in self.calls.values() if call.answer is not None]

    @property
    def decided(self) -> list[CustomerCall]:
        """The calls that have got a final response."""
        return [call for call in self.calls.values() if any(status >= 200 for status in call.statuses)]

    def take(self, message: Message) -> None:
        """Note a response; answer a BYE."""
        if message.method in {"BYE", "NOTIFY"}:
            self.respond(message, 200)
        call = self.calls.get(message["Call-ID"])
        if message.status is None or call is None:
            return
        if "BYE" in message["CSeq"]:
            call.bye_status = message.status
        if "INVITE" not in message["CSeq"]:
            return
        is_failure = message.status > 299
        if is_failure or (message.status >= 200 and call.is_acknowledged):
            answer = None if is_failure else message
            ack = self._request(call, "ACK", 1, to=message["To"], of_failure=is_failure, answer=answer)
            self.peer.send(ack, self._switch)
        # This is the thread of the listener: who sees the answer, or its status, finds all before it done.
        if message.status == 200:
            call.answer = message
        call.statuses.append(message.status)

    def _request(
        self,
        call: CustomerCall,
        method: str,
        cseq: int,
        body: str = "",
        *,
        to: str = "",
        of_failure: bool = False,
        answer: Message | None = None,
        headers: Iterable[str] = (),
    ) -> str:
        uri = f"sip:{call.number}@{self._switch}"
        answer = answer or call.answer
        target = uri if answer is None else answer.target
        branch = f"{call.call_id}-{'INVITE' if of_failure else method}"
        to = to or (f"<{uri}>" if answer is None else answer["To"])
        lines = [
            f"{method} {target} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.peer.address};branch=z9hG4bK{branch};rport",
            f"From: <sip:12025550100@{self.peer.address}>;tag=customer",
            f"To: {to}",
            f"Call-ID: {call.call_id}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:12025550100@{self.peer.address}>",
            "Max-Forwards: 70",
            *headers,
        ]
        return compose(lines, body)
