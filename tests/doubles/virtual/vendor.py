"""A vendor's trunk on the virtual wire: answers, refuses, rings or does not respond, by a script."""

from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from typing import Final, NamedTuple

from doubles.sockets.loopback import Endpoint as Address
from doubles.sockets.peer import ANSWER, Message
from doubles.virtual.side import Side
from doubles.virtual.ua import Repeat, UserAgent, acknowledges, transaction_of
from doubles.virtual.wire import Wire

_numbers: Final = count(1)


class Line(NamedTuple):
    """One response of a script."""

    after_ms: int
    """Time from the INVITE."""
    status: int
    body: str = ""
    headers: tuple[str, ...] = ()
    is_reliable: bool = False
    """Repeat it until its PRACK (RFC 3262), for which later ones wait. Ignored if the INVITE does not offer 100rel."""
    kind: str = "application/sdp"
    """Type of the body; one of another type changes no session."""


class Script(NamedTuple):
    """Responses to an INVITE, and behaviour in its call."""

    lines: tuple[Line, ...]
    hang_up_after_ms: int | None = None
    """Time from the answer."""
    accepts_cancel: bool = True
    """False: the CANCEL is answered, and the script goes on."""
    is_patient: bool = False
    """True: without an ACK the vendor does nothing, instead of sending BYE after 64·T1."""
    forks: tuple["Script", ...] = ()
    """Scripts of further forks of the same INVITE, each with a To tag of its own."""
    then: Callable[["IncomingCall"], None] | None = None
    """Called on the ACK of the answer; no request may be sent before (RFC 3261 sections 14.1 and 15)."""
    awaits_pracks: bool = True
    """False: it answers before the PRACK of its description (against RFC 3262 section 3)."""


def answers(after_ms: int = 1_000, *, body: str = ANSWER, hang_up_after_ms: int | None = None) -> Script:
    """Return a script that rings at once and answers later."""
    return Script((Line(0, 100), Line(0, 180), Line(after_ms, 200, body)), hang_up_after_ms)


def answers_reliably(body: str = ANSWER, after_ms: int = 1_000) -> Script:
    """Return a script with SDP in a reliable 183, and a later 200 without SDP."""
    return Script((Line(0, 100), Line(0, 183, body, (), True), Line(after_ms, 200)))


def answers_timed(expires: str = "", *, knows_update: bool = True) -> Script:
    """Return a script that answers with a Session-Expires, by default the one of the INVITE."""
    methods = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO" + (", UPDATE" if knows_update else "")
    headers = (f"Allow: {methods}", "Supported: timer", *((f"Session-Expires: {expires}",) if expires else ()))
    return Script((Line(0, 100), Line(0, 180), Line(1_000, 200, ANSWER, headers)))


def refuses(status: int, after_ms: int = 0, *, headers: tuple[str, ...] = ()) -> Script:
    """Return a script that refuses with a final code."""
    return Script((Line(0, 100), Line(after_ms, status, "", headers)))


SILENT: Final = Script(())
RINGS: Final = Script((Line(0, 100), Line(0, 180)))
"""Rings without an answer."""
TRIES: Final = Script((Line(0, 100),))
"""Sends 100 and nothing more."""


class Vendor(UserAgent):
    """Handles calls by one script, or by a script for each called number."""

    def __init__(self, wire: Wire, address: Address, switch: Address, script: Script | None = None) -> None:
        super().__init__(wire, address, switch)
        self.script = script or answers()
        self.by_number: Mapping[str, Script] = {}
        self.calls: list[IncomingCall] = []
        self._by_call_id: dict[str, list[IncomingCall]] = {}

    @property
    def only_call(self) -> "IncomingCall":
        """The call; there must be exactly one."""
        (call,) = self.calls
        return call

    def take_request(self, request: Message) -> None:
        """Pass a request to its call, or start a new one; without a To tag it is for the first fork.

        An INVITE that was refused may be said again in another way: with the same Call-ID and a new number.
        """
        call_id = request["Call-ID"]
        known = self._by_call_id.get(call_id, [])
        number = request["CSeq"].partition(" ")[0]
        call = next((each for each in known if each.tag == request.to_tag), None)
        if call is None and not request.to_tag:
            call = next((each for each in known if each.invite["CSeq"].partition(" ")[0] == number), None)
        if call is None and known and not request.to_tag and request.method != "INVITE":
            call = known[0]
        if call is not None:
            call.take(request)
        elif request.method == "INVITE" and not request.to_tag:
            called = request.start_line.partition(":")[2].partition("@")[0]
            script = self.by_number.get(called, self.script)
            for each in (script, *script.forks):
                taken = IncomingCall(self, request, each)
                self.calls.append(taken)
                self._by_call_id.setdefault(taken.call_id, []).append(taken)
        elif request.method != "ACK":
            self.reply(request, 481)


class IncomingCall(Side):
    """The vendor's side of one call."""

    def __init__(self, agent: Vendor, invite: Message, script: Script) -> None:
        super().__init__(agent, invite["Call-ID"])
        self.invite = invite
        self.script = script
        self.tag = f"vendor-tag-{next(_numbers)}"
        self.local = f"{invite['To']};tag={self.tag}"
        self.remote = invite["From"]
        self.target = invite.target
        self.theirs = invite.body
        self.final: int | None = None
        self.is_cancelled = False
        self._remote_sequence = int(invite["CSeq"].partition(" ")[0])
        self._final_repeat: Repeat | None = None
        self._may_be_reliable = "100rel" in (*invite.listed("Supported"), *invite.listed("Require"))
        self._rseq = 100 * next(_numbers)
        self._unheard: Repeat | None = None
        self._is_overtaken = False
        """Whether the final response was sent before a PRACK, which may still come (RFC 3262 section 3)."""
        self._offers_early = self._offers_in_answer = False
        self._later: deque[Line] = deque()
        """Responses that wait for a PRACK."""
        for line in script.lines:
            self.wire.after(line.after_ms, partial(self.respond, line))

    def respond(self, line: Line) -> None:
        """Send a response to the INVITE, unless it has a final one; repeat a final one until its ACK."""
        if self.final is not None:
            return
        if self._unheard is not None and line.status < 300 and (self.script.awaits_pracks or line.status < 200):
            self._later.append(line)
        elif line.is_reliable and self._may_be_reliable:
            self._respond_reliably(line)
        elif line.status < 200:
            self._say(line)
        else:
            self._finish(line)

    def take(self, request: Message) -> None:
        """Handle a request of this call."""
        match request.method:
            case "INVITE" if request["CSeq"] == self.invite["CSeq"]:
                self.agent.repeat_reply(request)
            case "ACK" if request["CSeq"].partition(" ")[0] == self.invite["CSeq"].partition(" ")[0]:
                if acknowledges(request, self.invite, self.final):
                    self._acknowledged(request)
            case "CANCEL" if transaction_of(request)[0] == transaction_of(self.invite)[0]:
                self.is_cancelled = True
                self.agent.reply(request, 200, tag=self.tag)
                if self.script.accepts_cancel:
                    self.respond(Line(0, 487))
            case "PRACK":
                self._take_prack(request)
            case "BYE" if self.final != 200:
                self.agent.reply(request, 481)
            case _ if self.final is not None and self.final >= 300:
                self.agent.reply(request, 481)
            case _:
                super().take(request)

    def over(self) -> None:
        """End the call; nothing is retransmitted after a BYE of the other side."""
        super().over()
        if self._final_repeat is not None and self.final == 200:
            self._final_repeat.stop()

    def _say(self, line: Line, *headers: str) -> Callable[[], None]:
        """Send a response to the INVITE; return a function that repeats it."""
        if line.body and line.kind == "application/sdp":
            self.mine = line.body
        tag = self.tag if line.status > 100 else ""
        return self.agent.reply(
            self.invite, line.status, tag=tag, headers=(*line.headers, *headers), body=line.body, kind=line.kind
        )

    def _respond_reliably(self, line: Line) -> None:
        self._rseq += 1
        self._offers_early = bool(line.body) and not self.theirs
        again = self._say(line, "Require: 100rel", f"RSeq: {self._rseq}")
        self._unheard = Repeat(self.wire, again, self._prack_missing)

    def _take_prack(self, prack: Message) -> None:
        number, _, rest = prack["RAck"].partition(" ")
        is_awaited = self._unheard is not None or self._is_overtaken
        if not is_awaited or int(number) != self._rseq or rest != self.invite["CSeq"]:
            self.agent.reply(prack, 481)
            return
        if self._unheard is not None:
            self._unheard.stop()
        self._unheard, self._is_overtaken = None, False
        if self._offers_early and prack.body:
            self.theirs = prack.body
        super().take(prack)
        while self._later and self._unheard is None:
            self.respond(self._later.popleft())

    def _prack_missing(self) -> None:
        self._unheard = None
        self.respond(Line(0, 504))

    def _finish(self, line: Line) -> None:
        if self._unheard is not None:
            self._unheard.stop()
            self._unheard, self._is_overtaken = None, True
        self._later.clear()
        self.final = line.status
        self.knows_timer = any("timer" in header for header in line.headers)
        if line.status == 200 and not line.body and not self._may_be_reliable:
            line = line._replace(body=self.mine)  # an earlier response may have been lost
        self._final_repeat = Repeat(self.wire, self._say(line), self._ack_of_final_missing)
        if line.status >= 300:
            self.over()
            return
        if (line.body or self._offers_early) and not self.theirs:
            self._offers_in_answer, self._offered = True, line.body or self.mine
        if self.script.hang_up_after_ms is not None:
            self.wire.after(self.script.hang_up_after_ms, self.hang_up)

    def _acknowledged(self, ack: Message) -> None:
        assert not ack.body or self._offers_in_answer or self.acks, "an ACK has the answer to an offer in the 2xx alone"
        self.acks.append(ack)
        if self._final_repeat is not None:
            self._final_repeat.stop()
        if self._offers_in_answer:
            self.theirs, self._offered = ack.body or self.theirs, None
            self._offers_in_answer = False
        if self.script.then is not None and len(self.acks) == 1 and not self.is_over:
            self.script.then(self)

    def _ack_of_final_missing(self) -> None:
        if self.final == 200 and not self.script.is_patient:
            self.hang_up()
