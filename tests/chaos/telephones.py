"""A customer and the sides that it calls, with calls of known length; they repeat what is not answered.

All live in one thread, so that what one of them saw can be compared with what the other one said.
"""

import random
import select
import threading
import time
from itertools import count
from typing import Final, NamedTuple, Self

from doubles.sockets.login import Login
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import ANSWER, OFFER, Message, compose

from .callees import Callees, Telephone
from .calls import Call, Kind
from .lines import Line, TcpLine, UdpLine, respond
from .schedule import Schedule

_PATIENCE_S: Final = 8.0
"""After which a caller who got a provisional response and no final one gives up."""
_LONGEST_RING_S: Final = 0.2


class Parties(NamedTuple):
    """Where all sides are."""

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
        """How many callers have got no final response in time after the first provisional one."""
        self.longest_wait_s = 0.0
        """The longest time between these two."""
        self._switch = parties.switch
        self._customer, self._on_tcp = UdpLine(parties.customer), TcpLine(parties.customer_on_tcp)
        vendor, phone = UdpLine(parties.vendor), UdpLine(parties.phone)
        self._lines: tuple[Line, ...] = (self._customer, self._on_tcp, vendor, phone)
        self._schedule = Schedule()
        self._phone_number = parties.login.username
        self._by_caller: dict[str, Call] = {}
        self.callees = Callees(self._schedule, parties.switch, self._by_caller, self.wrong, self._confirmed)
        self.telephone = Telephone(self._schedule, phone, parties.switch, parties.login)
        self._called: Final = (vendor, phone)
        self._random = random.Random(seed)
        self._gap_s = 1 / calls_per_s
        self._numbers = count()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._schedule.after(0, self._call)
        self.telephone.keep_registered()
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
                # A request is not repeated while its response lies unread: a switch that was killed after it would
                # take the repetition for a new request.
                if not self._read(self._schedule.wait_s()):
                    self._schedule.run_first()
        except Exception as error:
            self.wrong.append(f"the telephones failed: {error!r}")
            raise

    def _read(self, wait_s: float) -> bool:
        """Wait for messages and take one of each socket; return whether there was any."""
        at = {each: line for line in self._lines for each in line.sockets()}
        ready = select.select([*at], [], [], wait_s)[0]
        for each in ready:
            for message in at[each].take(each):
                self._take(at[each], message)
        return bool(ready)

    def _take(self, line: Line, message: Message) -> None:
        if not message.headers:
            return
        if line in self._called:
            is_registration = message.method is None and "REGISTER" in message["CSeq"]
            if is_registration:
                self.telephone.take(message)
            else:
                self.callees.take(line, message)
        else:
            self._to_customer(message)

    # the customer

    def _call(self) -> None:
        self._schedule.after(self._gap_s, self._call)
        if not self.is_busy:
            return
        caller = f"1202{next(self._numbers):07d}"
        draw = self._random
        [kind] = draw.choices([*Kind], [3, 1, 1, 1, 1])
        call = Call(
            kind,
            self._on_tcp if kind is Kind.OVER_TCP else self._customer,
            caller,
            self._phone_number if kind is Kind.TO_PHONE else f"44{caller}",
            f"chaos-{caller}",
            draw.uniform(0.1, 3),
            draw.uniform(0, _LONGEST_RING_S),
            draw.random() < 0.5,
        )
        self.calls[call.call_id] = self._by_caller[caller] = call
        self._schedule.repeat(lambda: self._request(call, "INVITE", 1, OFFER), lambda: bool(call.statuses))

    def _give_up(self, call: Call) -> None:
        if not call.is_decided:
            self.given_up += 1
            self._schedule.repeat(lambda: self._request(call, "CANCEL", 1), lambda: call.is_decided)

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
        elif method == "REFER":
            call.is_referred = call.is_referred or message.status >= 200
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
                if call.is_ended_by_caller and call.bye_at is None and call.referred_at is None:
                    self.wrong.append(f"the caller is hung up on: {call}; {request['Reason']}")
                self._told(call)
                respond(call.line, request, 200)
            case "INVITE" | "UPDATE" if is_up:
                respond(call.line, request, 200, body=ANSWER)
            case _:
                respond(call.line, request, 200 if is_up else 481)

    def _invite_answered(self, call: Call, message: Message, status: int) -> None:
        if status >= 200:
            self._request(call, "ACK", 1, to=message["To"], of_failure=status > 299)
            if call.answer is not None and message["To"] != call.answer["To"]:
                self.wrong.append(f"a second final response, {message}: {call}")
        if call.trying_at is None:  # a CANCEL has to wait for a provisional response (RFC 3261, 9.1)
            call.trying_at = time.monotonic()
            self._schedule.after(_PATIENCE_S, lambda: self._give_up(call))
        is_first = not call.is_decided
        if is_first and status >= 200:
            self.longest_wait_s = max(self.longest_wait_s, time.monotonic() - call.trying_at)
        call.statuses.append(status)
        if status == 200 and call.answer is None:
            if not is_first:
                self.wrong.append(f"an answer after a refusal: {call}")
            call.answer = message
            call.answered_at = time.monotonic()
            self._request(call, "ACK", 1, to=message["To"])
            if call.kind is not Kind.TRANSFERRED:
                self._schedule.after(call.talk_s, lambda: self._hang_up(call))
            else:
                self._schedule.after(call.talk_s / 3, lambda: self._refer(call))
            if call.kind is Kind.HELD:
                self._schedule.after(call.talk_s / 3, lambda: self._hold(call, 2, f"{OFFER}a=sendonly\r\n"))
                self._schedule.after(2 * call.talk_s / 3, lambda: self._hold(call, 3, OFFER))

    def _refer(self, call: Call) -> None:
        """Transfer the callee; where that has not been done in time, hang up."""
        call.referred_at = time.monotonic()
        self._schedule.repeat(lambda: self._request(call, "REFER", 2), lambda: call.is_referred or call.is_ending)
        self._schedule.after(_PATIENCE_S, lambda: self._leave_transfer(call))

    def _leave_transfer(self, call: Call) -> None:
        """Hang up where the switch has not done so: the two callees may be connected all the same."""
        if not call.is_ending:
            self._hang_up(call)
            self._schedule.after(_PATIENCE_S, lambda: self._end_callees(call))

    def _end_callees(self, call: Call) -> None:
        """Let one of two callees who talk hang up; the switch has to hang up on the other one."""
        running = [leg for leg in (*call.legs, *call.targets) if not leg.is_over]
        if len(running) == 2:
            self._schedule.repeat(lambda: self.callees.hang_up(running[0]), lambda: running[0].is_over)

    def _told(self, call: Call) -> None:
        """Take a BYE; that of a transfer leaves two callees who talk, until one of them hangs up."""
        if call.referred_at is not None and not call.is_caller_told:
            call.is_transferred = call.bye_at is None
            if call.has_left_transfer:
                self._schedule.after(call.talk_s, lambda: self._end_callees(call))
            else:
                call.is_ended_by_caller = False
                self._schedule.after(call.talk_s, lambda: self._hang_up(call))
        call.is_caller_told = True

    def _hold(self, call: Call, cseq: int, offer: str) -> None:
        """Change the session by a re-INVITE, unless the one before has no final response yet (RFC 3261, 14.1)."""
        if cseq == 2 or cseq - 1 in call.holds:
            self._schedule.repeat(
                lambda: self._request(call, "INVITE", cseq, offer), lambda: cseq in call.holds or call.is_ending
            )

    def _hold_answered(self, call: Call, message: Message, status: int) -> None:
        cseq = int(message["CSeq"].split()[0])
        if status >= 200:
            self._request(call, "ACK", cseq, of_failure=status > 299)
            call.are_held += status < 300 and cseq not in call.holds
            call.holds.add(cseq)

    def _hang_up(self, call: Call) -> None:
        if call.bye_at is not None:
            return
        call.bye_at = time.monotonic()
        is_done = lambda: call.bye_confirmed_at is not None  # noqa: E731
        if call.is_ended_by_caller:
            self._schedule.repeat(lambda: self._request(call, "BYE", 9), is_done)
        else:
            leg = [leg for leg in call.legs if leg.answered_at is not None][-1]
            self._schedule.repeat(lambda: self.callees.hang_up(leg), is_done)

    def _confirmed(self, call: Call, status: int) -> None:
        if call.bye_confirmed_at is None and status >= 200:
            call.bye_confirmed_at = time.monotonic()
            call.bye_status = status
            if status not in {200, 481}:
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
            *([f"Refer-To: <sip:{call.target}@{self._switch}>"] if method == "REFER" else ()),
        ]
        line.send(compose(lines, body), self._switch)
