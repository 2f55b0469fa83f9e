"""A customer and those whom it calls, with calls of known length; they repeat what is not answered.

All live in one thread, so that what one of them saw can be compared with what the other one said.
"""

import heapq
import random
import select
import threading
import time
from collections.abc import Callable
from itertools import count
from typing import Final, NamedTuple, Self

from vosd.testing.sockets.login import Login, answer_to
from vosd.testing.sockets.loopback import Endpoint
from vosd.testing.sockets.peer import ANSWER, OFFER, Message, compose, response_lines

from .calls import Call, Kind, Leg
from .lines import Line, TcpLine, UdpLine

_FIRST_REPETITION_S: Final = 0.2
_LAST_REPETITION_S: Final = 1.0
_PATIENCE_S: Final = 8.0
"""After which a caller who heard no final response gives up."""
_LONGEST_RING_S: Final = 0.2
_REGISTERS_EVERY_S: Final = 2.0


class Parties(NamedTuple):
    """Where everybody is."""

    switch: Endpoint
    customer: Endpoint
    customer_on_tcp: Endpoint
    vendor: Endpoint
    phone: Endpoint
    login: Login
    """Of the telephone; its user name is its number."""


class Telephones:
    """Makes calls while ``is_busy``; a context manager."""

    def __init__(self, parties: Parties, seed: str, calls_per_s: float) -> None:
        self.is_busy = False
        self.calls: dict[str, Call] = {}
        self.wrong: list[str] = []
        """What no call should have seen."""
        self.given_up = 0
        """How many calls have got no final response in time."""
        self._switch = parties.switch
        self._customer, self._on_tcp = UdpLine(parties.customer), TcpLine(parties.customer_on_tcp)
        self._vendor, self._phone = UdpLine(parties.vendor), UdpLine(parties.phone)
        self._lines: tuple[Line, ...] = (self._customer, self._on_tcp, self._vendor, self._phone)
        self._login = parties.login
        self._registering = count(1)
        self.is_registered = False
        """Whether the telephone has got 200 to a REGISTER."""
        self._random = random.Random(seed)
        self._gap_s = 1 / calls_per_s
        self._numbers = count()
        self._by_caller: dict[str, Call] = {}
        self._legs: dict[str, Leg] = {}
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._after(0, self._call)
        self._after(0, self._keep_registered)
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._is_over.set()
        self._thread.join()
        for line in self._lines:
            line.close()

    @property
    def unfinished(self) -> list[Call]:
        return [call for call in self.calls.copy().values() if not call.is_finished]

    @property
    def answered(self) -> dict[str, Call]:
        return {call_id: call for call_id, call in self.calls.items() if call.answer is not None}

    def _run(self) -> None:
        try:
            while not self._is_over.is_set():
                wait = min(0.05, max(0.0, self._due[0][0] - time.monotonic()))
                at = {each: line for line in self._lines for each in line.sockets()}
                for ready in select.select([*at], [], [], wait)[0]:
                    for message in at[ready].take(ready):
                        self._take(at[ready], message)
                while self._due and self._due[0][0] <= time.monotonic():
                    heapq.heappop(self._due)[2]()
        except Exception as error:
            self.wrong.append(f"the telephones failed: {error!r}")
            raise

    def _take(self, line: Line, message: Message) -> None:
        if not message.headers:
            return
        if line in (self._vendor, self._phone):
            self._to_callee(line, message)
        else:
            self._to_customer(message)

    def _after(self, delay_s: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._due, (time.monotonic() + delay_s, next(self._order), act))

    def _repeat(
        self, say: Callable[[], None], is_done: Callable[[], bool], every_s: float = _FIRST_REPETITION_S
    ) -> None:
        if not is_done():
            say()
            self._after(every_s, lambda: self._repeat(say, is_done, min(2 * every_s, _LAST_REPETITION_S)))

    # the customer

    def _call(self) -> None:
        self._after(self._gap_s, self._call)
        if not self.is_busy:
            return
        caller = f"1202{next(self._numbers):07d}"
        draw = self._random
        [kind] = draw.choices([*Kind], [3, 1, 1, 1])
        call = Call(
            kind,
            self._on_tcp if kind is Kind.OVER_TCP else self._customer,
            caller,
            self._login.username if kind is Kind.TO_PHONE else f"44{caller}",
            f"chaos-{caller}",
            draw.uniform(0.1, 3),
            draw.uniform(0, _LONGEST_RING_S),
            draw.random() < 0.5,
        )
        self.calls[call.call_id] = self._by_caller[caller] = call
        self._repeat(lambda: self._request(call, "INVITE", 1, OFFER), lambda: bool(call.statuses))
        self._after(_PATIENCE_S, lambda: self._give_up(call))

    def _give_up(self, call: Call) -> None:
        if not call.statuses:  # a CANCEL has to wait for a provisional response (RFC 3261, 9.1)
            self._after(_PATIENCE_S, lambda: self._give_up(call))
        elif not call.is_decided:
            self.given_up += 1
            self._repeat(lambda: self._request(call, "CANCEL", 1), lambda: call.is_decided)

    def _to_customer(self, message: Message) -> None:
        call = self.calls[message["Call-ID"]]
        if message.method is not None:
            self._asked(call, message)
            return
        assert message.status is not None
        method = message["CSeq"].split()[1]
        if method == "INVITE" and not message["CSeq"].startswith("1 "):
            self._hold_answered(call, message, message.status)
        elif method == "INVITE":
            self._invite_answered(call, message, message.status)
        elif method == "CANCEL" and message.status == 481 and not call.is_decided:
            call.statuses.append(481)
        elif method == "BYE":
            self._confirmed(call, message.status)

    def _asked(self, call: Call, request: Message) -> None:
        is_up = call.answer is not None and call.bye_confirmed_at is None and not call.is_caller_told
        match request.method:
            case "ACK":
                return
            case "BYE":
                if call.is_ended_by_caller and call.bye_at is None:
                    self.wrong.append(f"the caller is hung up on: {call}; {request['Reason']}")
                call.is_caller_told = True
                self._respond(call.line, request, 200)
            case "INVITE" | "UPDATE" if is_up:
                self._respond(call.line, request, 200, body=ANSWER)
            case _:
                self._respond(call.line, request, 200 if is_up else 481)

    def _invite_answered(self, call: Call, message: Message, status: int) -> None:
        if status >= 200:
            self._request(call, "ACK", 1, to=message["To"], of_failure=status > 299)
            if call.answer is not None and message["To"] != call.answer["To"]:
                self.wrong.append(f"a second final response, {message}: {call}")
        is_first = not call.is_decided
        call.statuses.append(status)
        if status == 200 and call.answer is None:
            if not is_first:
                self.wrong.append(f"an answer after a refusal: {call}")
            call.answer = message
            call.answered_at = time.monotonic()
            self._request(call, "ACK", 1, to=message["To"])
            self._after(call.talk_s, lambda: self._hang_up(call))
            if call.kind is Kind.HELD:
                self._after(call.talk_s / 3, lambda: self._hold(call, 2, f"{OFFER}a=sendonly\r\n"))
                self._after(2 * call.talk_s / 3, lambda: self._hold(call, 3, OFFER))

    def _hold(self, call: Call, cseq: int, offer: str) -> None:
        """Change the session by a re-INVITE, unless the one before has no final response yet (RFC 3261, 14.1)."""
        if cseq == 2 or cseq - 1 in call.holds:
            self._repeat(
                lambda: self._request(call, "INVITE", cseq, offer), lambda: cseq in call.holds or call.is_ending
            )

    def _hold_answered(self, call: Call, message: Message, status: int) -> None:
        cseq = int(message["CSeq"].split()[0])
        if status >= 200:
            self._request(call, "ACK", cseq, of_failure=status > 299)
            call.are_held += status < 300 and cseq not in call.holds
            call.holds.add(cseq)

    def _hang_up(self, call: Call) -> None:
        call.bye_at = time.monotonic()
        is_done = lambda: call.bye_confirmed_at is not None  # noqa: E731
        if call.is_ended_by_caller:
            self._repeat(lambda: self._request(call, "BYE", 9), is_done)
        else:
            leg = [leg for leg in call.legs if leg.answered_at is not None][-1]
            self._repeat(lambda: self._vendor_bye(leg), is_done)

    def _confirmed(self, call: Call, status: int) -> None:
        if call.bye_confirmed_at is None and status >= 200:
            call.bye_confirmed_at = time.monotonic()
            if status != 200:
                self.wrong.append(f"{status} to the first BYE: {call}")

    def _request(
        self, call: Call, method: str, cseq: int, body: str = "", *, to: str = "", of_failure: bool = False
    ) -> None:
        uri = f"sip:{call.number}@{self._switch}"
        is_within = call.answer is not None and (method in {"ACK", "BYE"} or cseq > 1)
        target = call.answer.target if is_within and call.answer is not None else uri
        same_branch = of_failure or method == "CANCEL"
        branch = f"{call.call_id}-{'INVITE' if same_branch else method}-{cseq}"
        line = call.line
        lines = [
            f"{method} {target} SIP/2.0",
            f"Via: SIP/2.0/{line.transport} {line.address};branch=z9hG4bK{branch};rport",
            f"From: <sip:{call.caller}@{line.address}>;tag=customer",
            f"To: {to or (call.answer['To'] if is_within and call.answer is not None else f'<{uri}>')}",
            f"Call-ID: {call.call_id}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:{call.caller}@{line.contact}>",
            "Max-Forwards: 70",
        ]
        line.send(compose(lines, body), self._switch)

    # the called sides

    def _keep_registered(self) -> None:
        """Register again and again, as telephones do: a database that is put back may lack it."""
        self._register()
        self._after(_REGISTERS_EVERY_S, self._keep_registered)

    def _register(self, proof: tuple[str, ...] = ()) -> None:
        number, address = next(self._registering), self._phone.address
        user, domain = self._login.username, f"sip:{self._switch.host}"
        lines = [
            f"REGISTER {domain} SIP/2.0",
            f"Via: SIP/2.0/UDP {address};branch=z9hG4bKregister-{number};rport",
            f"From: <sip:{user}@{self._switch.host}>;tag=phone",
            f"To: <sip:{user}@{self._switch.host}>",
            "Call-ID: registration",
            f"CSeq: {number} REGISTER",
            f"Contact: <sip:{user}@{address}>;expires=3600",
            "Max-Forwards: 70",
            *proof,
        ]
        self._phone.send(compose(lines), self._switch)

    def _registered(self, message: Message) -> None:
        if message.status == 401:
            proof = answer_to(message, self._login, "REGISTER", f"sip:{self._switch.host}")
            if proof is not None:
                self._register((proof,))
        elif message.status == 200:
            self.is_registered = True

    def _to_callee(self, line: Line, message: Message) -> None:
        leg = self._legs.get(message["Call-ID"])
        if message.method is None and "REGISTER" in message["CSeq"]:
            self._registered(message)
        elif message.method is None:
            if leg is not None and "BYE" in message["CSeq"] and (message.status or 0) >= 200:
                leg.is_over = True
                self._confirmed(leg.call, message.status or 0)
        elif message.method == "INVITE" and not message.to_tag:
            self._invited(leg, message, line)
        elif leg is None:
            self._respond(line, message, 481)
        else:
            self._told(leg, message)

    def _invited(self, leg: Leg | None, invite: Message, line: Line) -> None:
        if leg is None:
            caller = invite["From"].partition("sip:")[2].partition("@")[0]
            leg = Leg(self._by_caller[caller], invite, line, last_status=180)
            leg.call.legs.append(leg)
            self._legs[invite["Call-ID"]] = leg
            self._after(leg.call.ring_s, lambda: self._answer(leg))
        self._say(leg)

    def _say(self, leg: Leg) -> None:
        self._respond(leg.line, leg.invite, leg.last_status, "vendor", ANSWER if leg.last_status == 200 else "")

    def _answer(self, leg: Leg) -> None:
        if not leg.is_over:
            leg.last_status, leg.answered_at = 200, time.monotonic()
            self._repeat(lambda: self._say(leg), lambda: leg.is_acknowledged or leg.is_over)

    def _told(self, leg: Leg, request: Message) -> None:
        match request.method:
            case "ACK":
                leg.is_acknowledged = True
            case "CANCEL":
                self._respond(leg.line, request, 200)
                if leg.answered_at is None and not leg.is_over:
                    leg.last_status, leg.is_over = 487, True
                    self._repeat(lambda: self._say(leg), lambda: leg.is_acknowledged)
            case "BYE":
                call = leg.call
                if not leg.is_over and leg is call.legs[-1] and call.answer is not None and call.bye_at is None:
                    self.wrong.append(f"the callee is hung up on: {call}; {request['Reason']}")
                leg.is_over = True
                self._respond(leg.line, request, 200)
            case "INVITE" | "UPDATE" if not leg.is_over:
                self._respond(leg.line, request, 200, body=ANSWER)
            case _:
                self._respond(leg.line, request, 481 if leg.is_over else 200)

    def _vendor_bye(self, leg: Leg) -> None:
        invite, address = leg.invite, leg.line.address
        lines = [
            f"BYE {invite.target} SIP/2.0",
            f"Via: SIP/2.0/UDP {address};branch=z9hG4bK{invite['Call-ID']}-BYE;rport",
            f"From: {invite['To']};tag=vendor",
            f"To: {invite['From']}",
            f"Call-ID: {invite['Call-ID']}",
            "CSeq: 1 BYE",
            "Max-Forwards: 70",
        ]
        leg.line.send(compose(lines), self._switch)

    def _respond(self, line: Line, request: Message, status: int, tag: str = "", body: str = "") -> None:
        line.send(compose(response_lines(request, status, tag, line.contact), body), request.source)
