"""A vendor's trunk on the virtual wire: answers, refuses, rings or keeps silent by a script."""

from collections.abc import Mapping
from functools import partial
from itertools import count
from typing import Final, NamedTuple

from vosd.testing.loopback import Endpoint as Address
from vosd.testing.peer import ANSWER, Message
from vosd.testing.ua import Repeat, Side, UserAgent
from vosd.testing.wire import Wire

_numbers: Final = count(1)


class Line(NamedTuple):
    """One response of a script."""

    after_ms: int
    """From the INVITE."""
    status: int
    body: str = ""
    headers: tuple[str, ...] = ()


class Script(NamedTuple):
    """How an INVITE is treated."""

    lines: tuple[Line, ...]
    hang_up_after_ms: int | None = None
    """From the answer."""
    heeds_cancel: bool = True
    """False: the CANCEL is answered, and the script goes on."""
    is_patient: bool = False
    """True: without an ACK the vendor just waits, where others hang up after 64·T1."""


def answers(after_ms: int = 1_000, *, body: str = ANSWER, hang_up_after_ms: int | None = None) -> Script:
    """Ring at once, answer later."""
    return Script((Line(0, 100), Line(0, 180), Line(after_ms, 200, body)), hang_up_after_ms)


def refuses(status: int, after_ms: int = 0, *, headers: tuple[str, ...] = ()) -> Script:
    """Refuse with a final code."""
    return Script((Line(0, 100), Line(after_ms, status, "", headers)))


SILENT: Final = Script(())
RINGS: Final = Script((Line(0, 100), Line(0, 180)))
"""Rings for ever."""
TRIES: Final = Script((Line(0, 100),))
"""Shows itself and does nothing more."""


class Vendor(UserAgent):
    """Takes calls by a script for all, or by called number."""

    def __init__(self, wire: Wire, address: Address, switch: Address, script: Script | None = None) -> None:
        super().__init__(wire, address, switch)
        self.script = script or answers()
        self.by_number: Mapping[str, Script] = {}
        self.calls: list[IncomingCall] = []

    @property
    def only_call(self) -> "IncomingCall":
        """The one call that came."""
        (call,) = self.calls
        return call

    def take_request(self, request: Message) -> None:
        """Sort a request to its call, or take a new one."""
        call = next((each for each in self.calls if each.call_id == request["Call-ID"]), None)
        if call is not None:
            call.take(request)
        elif request.method == "INVITE":
            number = request.start_line.partition(":")[2].partition("@")[0]
            self.calls.append(IncomingCall(self, request, self.by_number.get(number, self.script)))
        elif request.method != "ACK":
            self.reply(request, 481)


class IncomingCall(Side):
    """One call, as the vendor sees it."""

    def __init__(self, agent: Vendor, invite: Message, script: Script) -> None:
        super().__init__(agent, invite["Call-ID"])
        self.invite = invite
        self.script = script
        self.tag = f"vendor-tag-{next(_numbers)}"
        self.local = f"{invite['To']};tag={self.tag}"
        self.remote = invite["From"]
        self.target = invite.target
        self.final: int | None = None
        self.acks: list[Message] = []
        self.is_cancelled = False
        self._repeating: Repeat | None = None
        for line in script.lines:
            self.wire.after(line.after_ms, partial(self.respond, line))

    def respond(self, line: Line) -> None:
        """Send a response to the INVITE, unless there was a final one; a final one until its ACK comes."""
        if self.final is not None:
            return
        tag = self.tag if line.status > 100 else ""
        if line.status < 200:
            self.agent.reply(self.invite, line.status, tag=tag, headers=line.headers, body=line.body)
            return
        self.final = line.status
        self.agent.reply(self.invite, line.status, tag=tag, headers=line.headers, body=line.body)
        self._repeating = Repeat(self.wire, lambda: self.agent.repeat_reply(self.invite), self._ack_missing)
        if line.status >= 300:
            self.over()
        elif self.script.hang_up_after_ms is not None:
            self.wire.after(self.script.hang_up_after_ms, self.hang_up)

    def take(self, request: Message) -> None:
        """Act on a request of this call."""
        match request.method:
            case "INVITE" if request["CSeq"] == self.invite["CSeq"]:
                self.agent.repeat_reply(request)
            case "ACK":
                self.acks.append(request)
                if self._repeating is not None:
                    self._repeating.stop()
            case "CANCEL":
                self.is_cancelled = True
                self.agent.reply(request, 200, tag=self.tag)
                if self.script.heeds_cancel:
                    self.respond(Line(0, 487))
            case "BYE" if self.final == 200:
                self.hung_up(request)
            case _:
                self.agent.reply(request, 481)

    def over(self) -> None:
        """Note the end; nothing is repeated for a call that the other side has ended."""
        super().over()
        if self._repeating is not None and self.final == 200:
            self._repeating.stop()

    def _ack_missing(self) -> None:
        if self.final == 200 and not self.script.is_patient:
            self.hang_up()
