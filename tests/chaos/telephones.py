"""A customer and a vendor with calls of known length, who repeat what is not answered, as SIP over UDP asks for.

Both live in one thread, so that what one of them saw can be compared with what the other one said.
"""

import heapq
import random
import select
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Final, Self

from vosd.testing.sockets.loopback import Endpoint
from vosd.testing.sockets.peer import ANSWER, OFFER, Message, compose, response_lines

_FIRST_REPETITION_S: Final = 0.2
_LAST_REPETITION_S: Final = 1.0
_PATIENCE_S: Final = 8.0
"""After which a caller who heard no final response gives up."""
_LONGEST_RING_S: Final = 0.2


@dataclass(eq=False)
class Leg:
    """One call of the switch at the vendor."""

    call: "Call"
    invite: Message
    answered_at: float | None = None
    is_acknowledged: bool = False
    is_over: bool = False
    last_status: int = 100


@dataclass(eq=False)
class Call:
    """One call of the customer, and what came of it at the vendor; times in seconds of one clock."""

    number: str
    call_id: str
    talk_s: float
    ring_s: float
    is_ended_by_caller: bool
    statuses: list[int] = field(default_factory=list)
    answer: Message | None = None
    answered_at: float | None = None
    bye_at: float | None = None
    """When the side that hangs up said so first."""
    bye_confirmed_at: float | None = None
    is_caller_told: bool = False
    """Whether the caller has got a BYE."""
    legs: list[Leg] = field(default_factory=list)

    @property
    def is_decided(self) -> bool:
        return any(status >= 200 for status in self.statuses)

    @property
    def is_finished(self) -> bool:
        """Whether neither side believes that anything of it goes on."""
        if not self.is_decided or not all(leg.is_over for leg in self.legs):
            return False
        return self.answer is None or (
            self.bye_confirmed_at is not None and (self.is_ended_by_caller or self.is_caller_told)
        )

    def bounds_s(self) -> tuple[float, float]:
        """Return the shortest and the longest duration that a switch between the two sides may have seen."""
        assert self.answered_at is not None
        assert self.bye_at is not None
        assert self.bye_confirmed_at is not None
        vendor = min(leg.answered_at for leg in self.legs if leg.answered_at is not None)
        return self.bye_at - self.answered_at, self.bye_confirmed_at - vendor

    def __str__(self) -> str:
        legs = [(leg.last_status, leg.is_acknowledged, leg.is_over) for leg in self.legs]
        return (
            f"{self.call_id} to be ended by the {'caller' if self.is_ended_by_caller else 'callee'}: {self.statuses}, "
            f"answered {self.answered_at}, BYE {self.bye_at} confirmed {self.bye_confirmed_at}, "
            f"told {self.is_caller_told}, at the vendor (status, acknowledged, over) {legs}"
        )


class Telephones:
    """Makes calls while ``is_busy``; a context manager."""

    def __init__(self, switch: Endpoint, customer: Endpoint, vendor: Endpoint, seed: str, calls_per_s: float) -> None:
        self.is_busy = False
        self.calls: dict[str, Call] = {}
        self.wrong: list[str] = []
        """What no call should have seen."""
        self.given_up = 0
        """How many calls have got no final response in time."""
        self._switch = switch
        self._customer, self._vendor = _bound(customer), _bound(vendor)
        self._random = random.Random(seed)
        self._gap_s = 1 / calls_per_s
        self._numbers = count()
        self._by_number: dict[str, Call] = {}
        self._legs: dict[str, Leg] = {}
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._after(0, self._call)
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._is_over.set()
        self._thread.join()
        self._customer.close()
        self._vendor.close()

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
                for ready in select.select([self._customer, self._vendor], [], [], wait)[0]:
                    data, source = ready.recvfrom(65_535)
                    message = Message(data, Endpoint(*source))
                    if message.headers:
                        (self._to_customer if ready is self._customer else self._to_vendor)(message)
                while self._due and self._due[0][0] <= time.monotonic():
                    heapq.heappop(self._due)[2]()
        except Exception as error:
            self.wrong.append(f"the telephones failed: {error!r}")
            raise

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
        number = f"44{next(self._numbers):07d}"
        draw = self._random
        call = Call(
            number, f"chaos-{number}", draw.uniform(0.1, 3), draw.uniform(0, _LONGEST_RING_S), draw.random() < 0.5
        )
        self.calls[call.call_id] = self._by_number[number] = call
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
        if method == "INVITE":
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
                self._respond(self._customer, request, 200)
            case "INVITE" | "UPDATE" if is_up:
                self._respond(self._customer, request, 200, body=ANSWER)
            case _:
                self._respond(self._customer, request, 200 if is_up else 481)

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

    def _hang_up(self, call: Call) -> None:
        call.bye_at = time.monotonic()
        is_done = lambda: call.bye_confirmed_at is not None  # noqa: E731
        if call.is_ended_by_caller:
            self._repeat(lambda: self._request(call, "BYE", 2), is_done)
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
        is_within = call.answer is not None and method in {"ACK", "BYE"}
        target = call.answer.target if is_within and call.answer is not None else uri
        same_branch = of_failure or method == "CANCEL"
        address = Endpoint(*self._customer.getsockname())
        lines = [
            f"{method} {target} SIP/2.0",
            f"Via: SIP/2.0/UDP {address};branch=z9hG4bK{call.call_id}-{'INVITE' if same_branch else method};rport",
            f"From: <sip:12025550100@{address}>;tag=customer",
            f"To: {to or (call.answer['To'] if is_within and call.answer is not None else f'<{uri}>')}",
            f"Call-ID: {call.call_id}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:12025550100@{address}>",
            "Max-Forwards: 70",
        ]
        self._customer.sendto(compose(lines, body).encode(), self._switch)

    # the vendor

    def _to_vendor(self, message: Message) -> None:
        leg = self._legs.get(message["Call-ID"])
        if message.method is None:
            if leg is not None and "BYE" in message["CSeq"] and (message.status or 0) >= 200:
                leg.is_over = True
                self._confirmed(leg.call, message.status or 0)
        elif message.method == "INVITE" and not message.to_tag:
            self._invited(leg, message)
        elif leg is None:
            self._respond(self._vendor, message, 481)
        else:
            self._told(leg, message)

    def _invited(self, leg: Leg | None, invite: Message) -> None:
        if leg is None:
            number = invite.start_line.partition("sip:")[2].partition("@")[0]
            leg = Leg(self._by_number[number], invite, last_status=180)
            leg.call.legs.append(leg)
            self._legs[invite["Call-ID"]] = leg
            self._after(leg.call.ring_s, lambda: self._answer(leg))
        self._say(leg)

    def _say(self, leg: Leg) -> None:
        self._respond(self._vendor, leg.invite, leg.last_status, "vendor", ANSWER if leg.last_status == 200 else "")

    def _answer(self, leg: Leg) -> None:
        if not leg.is_over:
            leg.last_status, leg.answered_at = 200, time.monotonic()
            self._repeat(lambda: self._say(leg), lambda: leg.is_acknowledged or leg.is_over)

    def _told(self, leg: Leg, request: Message) -> None:
        match request.method:
            case "ACK":
                leg.is_acknowledged = True
            case "CANCEL":
                self._respond(self._vendor, request, 200)
                if leg.answered_at is None and not leg.is_over:
                    leg.last_status, leg.is_over = 487, True
                    self._repeat(lambda: self._say(leg), lambda: leg.is_acknowledged)
            case "BYE":
                call = leg.call
                if not leg.is_over and leg is call.legs[-1] and call.answer is not None and call.bye_at is None:
                    self.wrong.append(f"the callee is hung up on: {call}; {request['Reason']}")
                leg.is_over = True
                self._respond(self._vendor, request, 200)
            case "INVITE" | "UPDATE" if not leg.is_over:
                self._respond(self._vendor, request, 200, body=ANSWER)
            case _:
                self._respond(self._vendor, request, 481 if leg.is_over else 200)

    def _vendor_bye(self, leg: Leg) -> None:
        invite, address = leg.invite, Endpoint(*self._vendor.getsockname())
        lines = [
            f"BYE {invite.target} SIP/2.0",
            f"Via: SIP/2.0/UDP {address};branch=z9hG4bK{invite['Call-ID']}-BYE;rport",
            f"From: {invite['To']};tag=vendor",
            f"To: {invite['From']}",
            f"Call-ID: {invite['Call-ID']}",
            "CSeq: 1 BYE",
            "Max-Forwards: 70",
        ]
        self._vendor.sendto(compose(lines).encode(), self._switch)

    def _respond(self, own: socket.socket, request: Message, status: int, tag: str = "", body: str = "") -> None:
        lines = response_lines(request, status, tag, Endpoint(*own.getsockname()))
        own.sendto(compose(lines, body).encode(), request.source)


def _bound(address: Endpoint) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    bound.bind(address)
    return bound
