"""A customer's trunk on the virtual wire: makes, cancels, acknowledges and ends calls."""

from collections.abc import Callable
from itertools import count
from typing import Final, NamedTuple

from doubles.sockets.login import Login, answer_to
from doubles.sockets.loopback import Endpoint as Address
from doubles.sockets.peer import ANSWER, OFFER, Message
from doubles.virtual.side import Side, tag_of
from doubles.virtual.ua import GIVE_UP_MS, Repeat, UserAgent, new_branch
from doubles.virtual.wire import Wire

_numbers: Final = count(1)


class Intent(NamedTuple):
    """Behaviour of a caller."""

    offer: str = OFFER
    """Empty = no offer: the answer is sent in the ACK, or in the PRACK of a reliable response."""
    kind: str = "application/sdp"
    """Type of the offer's body."""
    cancel_after_ms: int | None = None
    """Time from the INVITE."""
    cancel_headers: tuple[str, ...] = ()
    hang_up_after_ms: int | None = None
    """Time from the answer."""
    acknowledges: bool = True
    pracks: bool = True
    """False: reliable responses are never acknowledged."""
    headers: tuple[str, ...] = ()
    hops: int = 70
    caller: str = "12025550100"
    display: str = "Secret Name"
    then: Callable[["OutgoingCall"], None] | None = None
    """Called on the answer."""
    login: Login | None = None
    """Login for the answer to a challenge, once."""


SUPPORTS_100REL: Final = ("Supported: 100rel",)
INSISTS_ON_RELIABLE: Final = ("Require: 100rel",)
KNOWS_TIMER: Final = ("Supported: timer",)
KNOWS_UPDATE: Final = ("Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK",)


class Caller(UserAgent):
    """A customer's trunk: makes calls."""

    def __init__(self, wire: Wire, address: Address, switch: Address) -> None:
        super().__init__(wire, address, switch)
        self.calls: dict[str, OutgoingCall] = {}

    def call(self, callee: str, intent: Intent | None = None) -> "OutgoingCall":
        """Make a call."""
        made = OutgoingCall(self, callee, intent or Intent())
        self.calls[made.call_id] = made
        made.invite()
        return made

    def take_request(self, request: Message) -> None:
        """Pass a request to its call; answer 481 if there is none."""
        call = self.calls.get(request["Call-ID"])
        if call is not None:
            call.take(request)
        elif request.method != "ACK":
            self.reply(request, 481)


class OutgoingCall(Side):
    """The caller's side of one call."""

    def __init__(self, agent: UserAgent, callee: str, intent: Intent) -> None:
        number = next(_numbers)
        super().__init__(agent, f"customer-{number}@{agent.address.host}")
        self.intent = intent
        self.knows_timer = any("timer" in header for header in intent.headers)
        self.tag = f"customer-tag-{number}"
        self.local = f'"{intent.display}" <sip:{intent.caller}@{agent.address}>;tag={self.tag}'
        self.remote = f"<sip:{callee}@{agent.switch}>"
        self.target = f"sip:{callee}@{agent.switch}"
        self.sequence = 1
        self.mine = intent.offer
        self.statuses: list[int] = []
        """Statuses received to the INVITE, without 100 and retransmissions."""
        self.responses: list[Message] = []
        """All responses to the INVITE."""
        self.is_cancelled = False
        self._branch = new_branch()
        self._proof: tuple[str, ...] = ()
        """Header line with the answer to the challenge; empty before one."""
        self._cancel: Repeat | None = None
        self._cancel_wanted = False
        self._ack: str | None = None
        self._last_rseq: int | None = None
        """RSeq of the last reliable response in order, of any dialog: the numbers belong to the INVITE."""
        self._left: dict[str, tuple[int, str, str]] = {}
        """Earlier early dialogs: the CSeq of each, and its sessions."""

    @property
    def final(self) -> int | None:
        """The final status of the INVITE; None while there is none."""
        return next((status for status in self.statuses if status >= 200), None)

    @property
    def refusal(self) -> Message:
        """The response that refused the call."""
        return next(response for response in self.responses if (response.status or 0) >= 300)

    def response(self, status: int) -> Message:
        """Return the first response of that status to the INVITE."""
        return next(response for response in self.responses if response.status == status)

    def invite(self) -> None:
        """Send the INVITE until a response comes."""
        number, headers = self.sequence, (*self.intent.headers, *self._proof)
        self._invite_text = self.request(
            "INVITE",
            number,
            self._branch,
            headers=headers,
            body=self.intent.offer,
            kind=self.intent.kind,
            hops=self.intent.hops,
        )
        self._cancel_text = self.request("CANCEL", number, self._branch, headers=self.intent.cancel_headers)
        self._ack_of_failure = self.request("ACK", number, self._branch)
        self._called, self._invited = self.remote, number
        self.agent.waiting[self._branch, "INVITE"] = self._response_came
        self.invite_again()
        self._inviting = Repeat(self.wire, self.invite_again, self.over, ceiling_ms=GIVE_UP_MS)
        if self.intent.cancel_after_ms is not None:
            self.wire.after(self.intent.cancel_after_ms, self.cancel)

    def invite_again(self) -> None:
        """Send the very same INVITE once more."""
        self.agent.send(self._invite_text)

    def cancel(self) -> None:
        """Cancel the call: at once, or after the first provisional response (RFC 3261 section 9.1)."""
        if self.final is None and not self.responses:
            self._cancel_wanted = True
        elif self.final is None and not self.is_cancelled:
            self.is_cancelled = True
            self.agent.send(self._cancel_text)
            self._cancel = Repeat(self.wire, lambda: self.agent.send(self._cancel_text), self._cancel_unanswered)
            self.agent.waiting[self._branch, "CANCEL"] = self._cancel_answered

    def acknowledge(self, body: str | None = None) -> None:
        """Send the ACK of the 200, with the answer if the 200 was the offer; repeat it for repeated 200s."""
        if body is None:
            body = ANSWER if self.theirs and not self.mine else ""
        self.mine = body or self.mine
        self._ack = self._ack or self.request("ACK", self._invited, new_branch(), body=body)
        self.agent.send(self._ack)

    def take(self, request: Message) -> None:
        """Handle a request within the dialog; a refused call has no dialog."""
        if self.final is not None and self.final >= 300:
            if request.method != "ACK":
                self.agent.reply(request, 481)
        else:
            super().take(request)

    @property
    def _remote_tags(self) -> set[str]:
        """Tags of all dialogs, including early ones: a provisional response makes one (RFC 3261 section 12.1)."""
        return {tag_of(self.remote), *(response.to_tag for response in self.responses if response.status != 100)} - {""}

    def _response_came(self, response: Message) -> None:
        status = response.status or 0
        self._inviting.stop()
        self.responses.append(response)
        if self._cancel_wanted and status < 200:
            self.cancel()
        if status >= 300:
            self.agent.send(self._ack_of_failure.replace(f"To: {self._called}", f"To: {response['To']}"))
            if self._proves_itself(response):
                return
            self.over()
        elif status >= 200:
            self._established(response)
        elif response.every("RSeq") and self.final is None:
            self._reliable_came(response)
        elif response.body and self.intent.offer and self.final is None:
            self._switch_to(response)
            self.theirs = response.body
        if status > 100 and (not self.statuses or self.statuses[-1] != status):
            self.statuses.append(status)

    def _proves_itself(self, response: Message) -> bool:
        """Answer the first challenge with another INVITE, if there is a login."""
        login = self.intent.login
        proof = None if login is None or self._proof else answer_to(response, login, "INVITE", self.target)
        if proof is None:
            return False
        self._proof = (proof,)
        del self.agent.waiting[self._branch, "INVITE"]  # later responses to the first INVITE are ignored
        self.sequence += 1
        self._branch = new_branch()
        self.invite()
        return True

    def _reliable_came(self, response: Message) -> None:
        """Acknowledge a reliable response, once; the PRACK answers an offer in it (RFC 3262 section 5)."""
        number = int(response["RSeq"])
        if not self.intent.pracks or (self._last_rseq is not None and number != self._last_rseq + 1):
            return  # received before, or one before it is still missing (RFC 3262 section 4)
        self._last_rseq = number
        self._switch_to(response)
        body = ""
        if response.body:
            self.theirs = response.body
            if not self.mine:
                body = self.mine = ANSWER
        self.ask("PRACK", body=body, headers=(f"RAck: {response['RSeq']} {response['CSeq']}",))

    def _switch_to(self, response: Message) -> None:
        """Continue with the dialog of this response; sessions of other dialogs do not count there."""
        if response["To"] != self.remote:
            self._left[self.remote] = self.sequence, self.mine, self.theirs
            self.sequence, self.mine, self.theirs = self._left.get(
                response["To"], (self._invited, self.intent.offer, "")
            )
        self.remote, self.target = response["To"], response.target

    def _established(self, response: Message) -> None:
        is_first = self.final is None
        self._switch_to(response)
        if is_first and response.body:
            self.theirs = response.body
        if self.intent.acknowledges and not (self.is_over and self._ack is None):
            self.acknowledge()
        if not is_first:
            return
        if self.is_cancelled:
            self.hang_up()
            return
        if self.intent.hang_up_after_ms is not None:
            self.wire.after(self.intent.hang_up_after_ms, self.hang_up)
        if self.intent.then is not None:
            self.intent.then(self)

    def _cancel_answered(self, _response: Message) -> None:
        if self._cancel is not None:
            self._cancel.stop()

    def _cancel_unanswered(self) -> None:
        if self.final is None:
            self.over()
