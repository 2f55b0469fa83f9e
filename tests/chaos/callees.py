"""The called sides: a vendor, and a registered telephone."""

import time
from collections.abc import Callable, Mapping
from itertools import count
from typing import Final

from doubles.sockets.login import Login, answer_to
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import ANSWER, Message, compose

from .calls import Call, Leg
from .lines import Line, respond
from .schedule import Schedule

_REGISTERS_EVERY_S: Final = 2.0


class Telephone:
    """What makes a called side known to the switch."""

    def __init__(self, schedule: Schedule, line: Line, switch: Endpoint, login: Login) -> None:
        self.is_registered = False
        """Whether it has got 200 to a REGISTER."""
        self._schedule, self._line, self._switch, self._login = schedule, line, switch, login
        self._numbers = count(1)

    def keep_registered(self) -> None:
        """Register again and again, as telephones do: a database that is put back may lack it."""
        self._register()
        self._schedule.after(_REGISTERS_EVERY_S, self.keep_registered)

    def _register(self, proof: tuple[str, ...] = ()) -> None:
        number, address = next(self._numbers), self._line.address
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
        self._line.send(compose(lines), self._switch)

    def take(self, message: Message) -> None:
        """Take a response to a REGISTER."""
        if message.status == 401:
            proof = answer_to(message, self._login, "REGISTER", f"sip:{self._switch.host}")
            if proof is not None:
                self._register((proof,))
        elif message.status == 200:
            self.is_registered = True


class Callees:
    """All legs at the called sides."""

    def __init__(
        self,
        schedule: Schedule,
        switch: Endpoint,
        by_caller: Mapping[str, Call],
        wrong: list[str],
        confirmed: Callable[[Call, int], None],
    ) -> None:
        """``confirmed`` is told of the final response to a BYE, ``wrong`` gets what no call should have seen."""
        self._schedule, self._switch, self._by_caller = schedule, switch, by_caller
        self._wrong, self._confirmed = wrong, confirmed
        self._legs: dict[str, Leg] = {}

    def take(self, line: Line, message: Message) -> None:
        """Act on a message of the switch."""
        leg = self._legs.get(message["Call-ID"])
        if message.method is None:
            if leg is not None and "BYE" in message["CSeq"] and (message.status or 0) >= 200:
                leg.is_over = True
                self._confirmed(leg.call, message.status or 0)
        elif message.method == "INVITE" and not message.to_tag:
            self._invited(leg, message, line)
        elif leg is None:
            respond(line, message, 481)
        else:
            self._told(leg, message)

    def _invited(self, leg: Leg | None, invite: Message, line: Line) -> None:
        if leg is None:
            caller = invite["From"].partition("sip:")[2].partition("@")[0]
            leg = Leg(self._by_caller[caller], invite, line, last_status=180)
            is_target = invite.start_line.partition("sip:")[2].partition("@")[0] == leg.call.target
            (leg.call.targets if is_target else leg.call.legs).append(leg)
            self._legs[invite["Call-ID"]] = leg
            self._schedule.after(leg.call.ring_s, lambda: self._answer(leg))
        self._say(leg)

    def _say(self, leg: Leg) -> None:
        respond(leg.line, leg.invite, leg.last_status, "vendor", ANSWER if leg.last_status == 200 else "")

    def _answer(self, leg: Leg) -> None:
        if not leg.is_over:
            leg.last_status, leg.answered_at = 200, time.monotonic()
            self._schedule.repeat(lambda: self._say(leg), lambda: leg.is_acknowledged or leg.is_over)

    def _told(self, leg: Leg, request: Message) -> None:
        match request.method:
            case "ACK":
                leg.is_acknowledged = True
            case "CANCEL":
                respond(leg.line, request, 200)
                if leg.answered_at is None and not leg.is_over:
                    leg.last_status, leg.is_over = 487, True
                    self._schedule.repeat(lambda: self._say(leg), lambda: leg.is_acknowledged)
            case "BYE":
                call = leg.call
                is_last = (leg is call.legs[-1] and call.answer is not None) or (
                    leg in call.targets and call.is_transferred
                )
                if is_last and not leg.is_over and call.bye_at is None:
                    self._wrong.append(f"the callee is hung up on: {call}; {request['Reason']}")
                leg.is_over = True
                respond(leg.line, request, 200)
            case "INVITE" | "UPDATE" if not leg.is_over:
                respond(leg.line, request, 200, body=ANSWER)
            case _:
                respond(leg.line, request, 481 if leg.is_over else 200)

    def hang_up(self, leg: Leg) -> None:
        """Send a BYE."""
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
