"""One request of a user agent within a dialog: repeated until it is answered; its answer updates the session."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from doubles.data.sessions import answering, follows
from doubles.sockets.peer import Message, UnexpectedError
from doubles.virtual.ua import Repeat, new_branch

if TYPE_CHECKING:
    from doubles.virtual.side import Side


class Asking:
    """A request, the responses to it, and for an INVITE its ACK.

    The session of the dialog changes when a 2xx says so, and not before (RFC 6141).
    """

    def __init__(
        self,
        side: "Side",
        method: str,
        *,
        body: str = "",
        kind: str = "application/sdp",
        headers: Iterable[str] = (),
        answers: Callable[[str], str] | None = None,
    ) -> None:
        """``answers`` makes the answer to an offer that comes in the 2xx."""
        side.sequence += 1
        self.method = method
        self.responses: list[Message] = []
        self._side = side
        self._body = body
        self._answers = answers or (lambda offer: answering(offer, side.mine))
        self._sequence = side.sequence
        self._branch = new_branch()
        self._ack: str | None = None
        self._is_acknowledged = False
        self._text = side.request(method, self._sequence, self._branch, body=body, kind=kind, headers=headers)
        self._cancel: Repeat | None = None
        side.agent.waiting[self._branch, method] = self._response_came
        side.agent.send(self._text)
        self._repeat = Repeat(side.wire, lambda: side.agent.send(self._text), lambda: self._over(0))
        side.asking.append(self)

    @property
    def final(self) -> Message | None:
        """The final response; None while there is none."""
        return next((response for response in self.responses if (response.status or 0) >= 200), None)

    @property
    def offers(self) -> bool:
        """Whether it waits for the answer to an offer of ours."""
        return bool(self._body) and self.method in {"INVITE", "UPDATE"}

    def cancel(self) -> None:
        """Send CANCEL for an INVITE."""
        side = self._side
        text = side.request("CANCEL", self._sequence, self._branch)
        side.agent.send(text)
        self._cancel = cancel = Repeat(side.wire, lambda: side.agent.send(text), lambda: None)
        side.agent.waiting[self._branch, "CANCEL"] = lambda _response: cancel.stop()

    def acknowledge(self) -> None:
        """Send the ACK of a 2xx, and repeat it for each retransmission of that."""
        if self._ack is not None:
            self._is_acknowledged = True
            self._side.agent.send(self._ack)

    def stop(self) -> None:
        """Stop the retransmissions."""
        self._repeat.stop()
        if self._cancel is not None:
            self._cancel.stop()

    def _response_came(self, response: Message) -> None:
        is_first = self.final is None
        self.responses.append(response)
        status = response.status or 0
        if status < 200:
            if self.method == "INVITE":
                self._repeat.stop()
            return
        self.stop()
        side = self._side
        if self.method == "INVITE" and status >= 300:
            side.agent.send(self._text_of_ack_of_failure(response))
        if not is_first:
            if self._is_acknowledged:
                self.acknowledge()
            return
        if status < 300:
            self._agreed(response)
        self._over(status)

    def _agreed(self, response: Message) -> None:
        side, answer = self._side, ""
        if self.method == "UPDATE":
            assert self._body or not response.body, "a 2xx has the answer to an offer in the UPDATE alone"
        if response.body and self.method in {"INVITE", "UPDATE"}:
            if side.minds_origins and not follows(side.theirs, response.body):
                raise UnexpectedError(f"a session description that cannot follow:\n{side.theirs}\n{response.body}")
            side.theirs = response.body
            answer = "" if self._body else self._answers(response.body)
            side.mine = self._body or answer
        if self.method == "INVITE":
            self._ack = side.request("ACK", self._sequence, new_branch(), body=answer)
            if side.acknowledges:
                self.acknowledge()

    def _text_of_ack_of_failure(self, response: Message) -> str:
        ack = self._side.request("ACK", self._sequence, self._branch)
        return ack.replace(f"To: {self._side.remote}", f"To: {response['To']}")

    def _over(self, status: int) -> None:
        if self in self._side.asking:
            self._side.asking.remove(self)
        self._side.answered(self.method, status)
