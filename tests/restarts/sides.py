"""One end of one call: its dialog, what it asks and answers, and when it was told that the call is over."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import count
from typing import TYPE_CHECKING, Final

from doubles.data.sessions import answering, revised
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import Message, compose, response_lines

if TYPE_CHECKING:
    from restarts.parties import Party

_FIRST_REPETITION_S: Final = 0.25
_LAST_REPETITION_S: Final = 1.0
_PATIENCE_S: Final = 30.0
_AGAIN_S: Final = 0.7
"""After which a change that could not be made is tried again."""
NOT_NOW: Final = frozenset({408, 491, 500, 503})
"""What a change of session may get because another one is in progress, or the switch was away."""

_numbers: Final = count(1)


class Ask:
    """A request of ours, repeated until it has a final response."""

    def __init__(self, side: "Side", method: str, sequence: int, text: bytes, done: Callable[[Message], None]) -> None:
        self.method = method
        self.cseq = f"{sequence} {method}"
        self.sequence = sequence
        self.status = 0
        """Of the final response; 408 where none came."""
        self.has_provisional = False
        self._side = side
        self._text = text
        self._done = done
        self._way = 0
        self._until = time.monotonic() + _PATIENCE_S
        self._repeat(_FIRST_REPETITION_S)

    def take(self, response: Message) -> None:
        """Take a response."""
        assert response.status is not None
        if response.status < 200:
            self.has_provisional = True
        elif not self.status:
            self.status = response.status
            self._done(response)

    def _repeat(self, every_s: float, *, is_first: bool = True) -> None:
        party = self._side.party
        if self.status:
            return
        if time.monotonic() > self._until:
            self.status = 408
            party.wrong.append(f"no response to {self.cseq} of {self._side}")
            return
        is_heard = party.port.is_kept(self._way) or (self.method == "INVITE" and self.has_provisional)
        if is_first or not is_heard:
            self._way = party.port.send(self._text, party.switch)
        party.bench.after(every_s, lambda: self._repeat(min(2 * every_s, _LAST_REPETITION_S), is_first=False))


class Side:
    """One end of a call."""

    def __init__(self, party: "Party", call_id: str, mine: str) -> None:
        self.party = party
        self.call_id = call_id
        self.mine = mine
        """Our session description."""
        self.tag = f"tag{next(_numbers)}"
        self.local = self.remote = self.target = ""
        self.sequence = 0
        self.answered_at: float | None = None
        """When the answer was sent, or received."""
        self.bye_at: float | None = None
        """When we have hung up."""
        self.bye_confirmed_at: float | None = None
        self.told_at: float | None = None
        """When we were told that the call is over."""
        self.asked: Counter[str] = Counter()
        """What the switch has asked within the dialog."""
        self.confirmed: Counter[str] = Counter()
        """Requests of ours that were accepted."""
        self.is_acknowledged = False
        self.withholds_ack = False
        self.answers_after_s = 0.0
        """How long a change of session of the other side waits for our answer."""
        self._asks: dict[str, Ask] = {}
        self._responses: dict[str, tuple[bytes, Endpoint]] = {}
        """Our final responses by branch."""
        self._unacknowledged: set[str] = set()
        """Numbers of INVITEs whose 2xx has no ACK."""
        self._acks: dict[str, bytes] = {}
        """Our ACKs by number, for 2xx that come again."""

    def __str__(self) -> str:
        return (
            f"{self.call_id} at {self.party.name}: answered {self.answered_at}, BYE {self.bye_at} "
            f"confirmed {self.bye_confirmed_at}, told {self.told_at}, asked {dict(self.asked)}"
        )

    @property
    def is_over(self) -> bool:
        return self.bye_confirmed_at is not None or self.told_at is not None

    @property
    def refreshes(self) -> int:
        """How often the switch has sent what refreshes a session."""
        return self.asked["UPDATE"] + self.asked["INVITE"]

    @property
    def is_busy(self) -> bool:
        """Whether a request of ours has no final response yet."""
        return any(not ask.status for ask in self._asks.values())

    @property
    def is_patient(self) -> bool:
        """Whether an INVITE of ours waits for its final response, and is not repeated any more."""
        return any(ask.has_provisional and not ask.status for ask in self._asks.values() if ask.method == "INVITE")

    # -- ours ---------------------------------------------------------------------------------------------------

    def ask(
        self, method: str, done: Callable[[Message], None], body: str = "", headers: Iterable[str] = (),
        kind: str = "application/sdp",
    ) -> Ask:  # fmt: skip
        """Send a request within the dialog, or the one that begins it."""
        self.sequence += 1
        text = self.request(method, self.sequence, body, headers, kind)
        ask = Ask(self, method, self.sequence, text, done)
        self._asks[ask.cseq] = ask
        return ask

    def request(
        self, method: str, sequence: int, body: str = "", headers: Iterable[str] = (), kind: str = "application/sdp"
    ) -> bytes:
        party = self.party
        branch = f"z9hG4bK{self.tag}-{sequence}-{method}"
        lines = [
            f"{method} {self.target} SIP/2.0",
            f"Via: SIP/2.0/{party.port.transport} {party.seen_as};rport;branch={branch}",
            f"From: {self.local}",
            f"To: {self.remote}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {sequence} {method}",
            f"Contact: <{party.contact}>",
            "Max-Forwards: 70",
            *headers,
        ]
        return compose(lines, body, kind).encode()

    def change(self, method: str, *attributes: str, is_new: bool = True, headers: Iterable[str] = ()) -> None:
        """Offer another session, or the same one as a refresh, again and again until it is accepted."""
        if self.is_over or self.bye_at is not None:
            return
        if self.is_busy or self._unacknowledged:
            self.party.bench.after(_AGAIN_S, lambda: self.change(method, *attributes, is_new=is_new, headers=headers))
            return
        if is_new:
            self.mine = revised(self.mine, *attributes)

        def done(response: Message) -> None:
            if method == "INVITE":
                self.acknowledge(response, "")
            if response.status == 200:
                self.confirmed[f"{method} {' '.join(attributes)}".strip()] += 1
            elif response.status in NOT_NOW:
                self.party.bench.after(
                    _AGAIN_S, lambda: self.change(method, *attributes, is_new=is_new, headers=headers)
                )
            else:
                self.party.wrong.append(f"{response} to {method} of {self}")

        self.ask(method, done, self.mine if is_new or method == "INVITE" else "", headers)

    def press(self) -> None:
        """Press a key."""
        self.simple("INFO", body="Signal=5\r\nDuration=160\r\n", kind="application/dtmf-relay")

    def simple(self, method: str, body: str = "", kind: str = "text/plain", headers: Iterable[str] = ()) -> None:
        """Ask something that is to be accepted."""

        def done(response: Message) -> None:
            if response.status is not None and response.status < 300:
                self.confirmed[method] += 1
            elif response.status in NOT_NOW:
                self.party.bench.after(_AGAIN_S, lambda: self.simple(method, body, kind, headers))
            else:
                self.party.wrong.append(f"{response} to {method} of {self}")

        if not self.is_over:
            self.ask(method, done, body, headers, kind)

    def hang_up(self) -> None:
        """Send BYE; the time of the first one counts."""
        if self.is_over or self.bye_at is not None:
            return
        self.bye_at = time.monotonic()

        def done(response: Message) -> None:
            self.bye_confirmed_at = time.monotonic()
            if response.status != 200 and self.told_at is None:
                self.party.wrong.append(f"{response} to BYE of {self}")

        self.ask("BYE", done)

    def acknowledge(self, response: Message, body: str) -> None:
        """Send the ACK of a final response to an INVITE, and again whenever that comes again."""
        assert response.status is not None
        number = response["CSeq"].split()[0]
        if response.status >= 300:
            self._refused(response, number)
            return
        self._acks[number] = self.request("ACK", int(number), body)
        if not self.withholds_ack:
            self.party.port.send(self._acks[number], self.party.switch)

    def _refused(self, response: Message, number: str) -> None:
        """ACK of a refusal: in the transaction of the INVITE (RFC 3261 section 17.1.1.3)."""
        text = self.request("ACK", int(number)).decode().replace(f"-{number}-ACK", f"-{number}-INVITE")
        text = text.replace(f"To: {self.remote}", f"To: {response['To']}")
        self.party.port.send(text.encode(), self.party.switch)

    # -- theirs -------------------------------------------------------------------------------------------------

    def take(self, message: Message) -> None:
        """Take a message of this call."""
        if message.status is not None:
            self._take_response(message)
        else:
            self._take_request(message)

    def _take_response(self, response: Message) -> None:
        assert response.status is not None
        cseq = response["CSeq"]
        number = cseq.split()[0]
        if cseq.endswith("INVITE") and 200 <= response.status < 300 and number in self._acks:
            if not self.withholds_ack:
                self.party.port.send(self._acks[number], self.party.switch)
            return
        ask = self._asks.get(cseq)
        if ask is not None:
            ask.take(response)

    def _take_request(self, request: Message) -> None:
        method, branch = request.method or "", request["Via"].partition("branch=")[2].partition(";")[0]
        if method == "ACK":
            self._unacknowledged.discard(request["CSeq"].split()[0])
            self.is_acknowledged = True
            return
        if branch in self._responses:
            self.party.port.send(*self._responses[branch])
            return
        self.asked[method] += 1
        if self.is_over and method != "BYE":
            self.respond(request, 481)
            return
        match method:
            case "BYE":
                self.told_at = self.told_at or time.monotonic()
                self.respond(request, 200)
            case "INVITE" | "UPDATE":
                self._take_offer(request, method)
            case "CANCEL":
                self.party.wrong.append(f"CANCEL of {self}")
                self.respond(request, 200)
            case _:
                self.respond(request, 200)

    def _take_offer(self, request: Message, method: str) -> None:
        pending = [ask for ask in self._asks.values() if ask.method in {"INVITE", "UPDATE"} and not ask.status]
        if (pending and (method == "INVITE" or request.body)) or self._unacknowledged:
            self.respond(request, 491)
        elif self.answers_after_s:
            delay_s, self.answers_after_s = self.answers_after_s, 0.0
            self.party.bench.after(delay_s, lambda: self._accept(request, method))
        else:
            self._accept(request, method)

    def _accept(self, request: Message, method: str) -> None:
        if request.body:
            self.mine = answering(request.body, self.mine)
        headers = [f"Session-Expires: {value}" for value in request.every("Session-Expires")]
        extra = ["Supported: timer", "Allow: INVITE, ACK, BYE, CANCEL, UPDATE, INFO, PRACK, REFER", *headers]
        body = self.mine if request.body or method == "INVITE" else ""
        self.respond(request, 200, body, extra if headers else extra[1:2])

    def respond(self, request: Message, status: int, body: str = "", headers: Iterable[str] = ()) -> None:
        """Answer a request; a 2xx to INVITE is repeated until its ACK comes."""
        lines = [*response_lines(request, status, self.tag, "contact"), *headers]
        text = compose(lines, body).replace("<sip:contact>", f"<{self.party.contact}>").encode()
        branch = request["Via"].partition("branch=")[2].partition(";")[0]
        if status >= 200:
            self._responses[branch] = text, request.source
        self.party.port.send(text, request.source)
        if request.method == "INVITE" and 200 <= status < 300:
            number = request["CSeq"].split()[0]
            self._unacknowledged.add(number)
            self._repeat_answer(number, text, request.source, _FIRST_REPETITION_S)

    def _repeat_answer(self, number: str, text: bytes, to: Endpoint, every_s: float) -> None:
        def again() -> None:
            if number in self._unacknowledged and not self.is_over:
                self.party.port.send(text, to)
                self._repeat_answer(number, text, to, min(2 * every_s, _LAST_REPETITION_S))

        self.party.bench.after(every_s, again)
