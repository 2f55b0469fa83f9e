"""A customer's trunk on the virtual wire: makes calls, gives them up, acknowledges them or does not, hangs up."""

from itertools import count
from typing import Final, NamedTuple

from vosd.testing.loopback import Endpoint as Address
from vosd.testing.peer import ANSWER, OFFER, Message
from vosd.testing.ua import GIVE_UP_MS, Repeat, Side, UserAgent, new_branch
from vosd.testing.wire import Wire

_numbers: Final = count(1)


class Intent(NamedTuple):
    """What a caller will do of its own accord."""

    offer: str = OFFER
    """Empty = a late offer: the answer goes into the ACK."""
    cancel_after_ms: int | None = None
    """From the INVITE."""
    hang_up_after_ms: int | None = None
    """From the answer."""
    acknowledges: bool = True
    headers: tuple[str, ...] = ()
    hops: int = 70
    caller: str = "12025550100"


class Caller(UserAgent):
    """A customer's trunk: makes calls."""

    def __init__(self, wire: Wire, address: Address, switch: Address) -> None:
        super().__init__(wire, address, switch)
        self.calls: dict[str, OutgoingCall] = {}

    def call(self, callee: str, intent: Intent | None = None) -> "OutgoingCall":
        """Call somebody."""
        made = OutgoingCall(self, callee, intent or Intent())
        self.calls[made.call_id] = made
        made.invite()
        return made

    def take_request(self, request: Message) -> None:
        """Hear a BYE; everything else gets 481."""
        call = self.calls.get(request["Call-ID"])
        if call is not None and request.method == "BYE":
            call.hung_up(request)
        elif request.method != "ACK":
            self.reply(request, 481)


class OutgoingCall(Side):
    """One call, as its caller sees it."""

    def __init__(self, agent: UserAgent, callee: str, intent: Intent) -> None:
        number = next(_numbers)
        super().__init__(agent, f"customer-{number}@{agent.address.host}")
        self.intent = intent
        self.local = f'"Secret Name" <sip:{intent.caller}@{agent.address}>;tag=customer-tag-{number}'
        self.remote = f"<sip:{callee}@{agent.switch}>"
        self.target = f"sip:{callee}@{agent.switch}"
        self.sequence = 1
        self.statuses: list[int] = []
        """Statuses heard to the INVITE, without 100 and repetitions of the same."""
        self.responses: list[Message] = []
        """All responses to the INVITE."""
        self.is_cancelled = False
        self._branch = new_branch()
        self._cancel: Repeat | None = None
        self._cancel_wanted = False
        self._ack: str | None = None

    @property
    def final(self) -> int | None:
        """The final status of the INVITE; None while there is none."""
        return next((status for status in self.statuses if status >= 200), None)

    @property
    def refusal(self) -> Message:
        """The response that refused the call."""
        return next(response for response in self.responses if (response.status or 0) >= 300)

    def invite(self) -> None:
        """Send the INVITE until a response comes."""
        self._invite_text = self.request(
            "INVITE", 1, self._branch, headers=self.intent.headers, body=self.intent.offer, hops=self.intent.hops
        )
        self.agent.waiting[self._branch, "INVITE"] = self._heard
        self.invite_again()
        self._inviting = Repeat(self.wire, self.invite_again, self.over, ceiling_ms=GIVE_UP_MS)
        if self.intent.cancel_after_ms is not None:
            self.wire.after(self.intent.cancel_after_ms, self.cancel)

    def invite_again(self) -> None:
        """Send the very same INVITE once more."""
        self.agent.send(self._invite_text)

    def cancel(self) -> None:
        """Give the call up: at once, or as soon as the switch has shown itself (RFC 3261 section 9.1)."""
        if self.final is None and not self.responses:
            self._cancel_wanted = True
        elif self.final is None and not self.is_cancelled:
            self.is_cancelled = True
            text = self.request("CANCEL", 1, self._branch)
            self.agent.send(text)
            self._cancel = Repeat(self.wire, lambda: self.agent.send(text), self._cancel_unheard)
            self.agent.waiting[self._branch, "CANCEL"] = self._cancel_heard

    def acknowledge(self, body: str | None = None) -> None:
        """Send the ACK of the 200, with the answer where the offer came late; repeated 200s get the same."""
        if body is None:
            body = "" if self.intent.offer else ANSWER
        self._ack = self._ack or self.request("ACK", 1, new_branch(), body=body)
        self.agent.send(self._ack)

    def _heard(self, response: Message) -> None:
        status = response.status or 0
        self._inviting.stop()
        self.responses.append(response)
        if self._cancel_wanted and status < 200:
            self.cancel()
        if status >= 300:
            self.agent.send(self.request("ACK", 1, self._branch).replace(self.remote, response["To"]))
            self.over()
        elif status >= 200:
            self._established(response)
        if status > 100 and (not self.statuses or self.statuses[-1] != status):
            self.statuses.append(status)

    def _established(self, response: Message) -> None:
        is_first = self.final is None
        self.remote, self.target = response["To"], response.target
        if self.intent.acknowledges and not (self.is_over and self._ack is None):
            self.acknowledge()
        if not is_first:
            return
        if self.is_cancelled:
            self.hang_up()
        elif self.intent.hang_up_after_ms is not None:
            self.wire.after(self.intent.hang_up_after_ms, self.hang_up)

    def _cancel_heard(self, _response: Message) -> None:
        if self._cancel is not None:
            self._cancel.stop()

    def _cancel_unheard(self) -> None:
        if self.final is None:
            self.over()
