"""One side of a call at a user agent: dialog, requests, replies, session, and end."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final, NamedTuple

from doubles.data.sessions import answering, begun_anew, follows, rekeyed, reuses_version, revised
from doubles.sockets.peer import Message, compose
from doubles.virtual.asking import Asking
from doubles.virtual.ua import Repeat, UserAgent, acknowledges, transaction_of

TO_CHANGE_THE_SESSION: Final = frozenset({"INVITE", "UPDATE"})


class Reply(NamedTuple):
    """Answer to one request within a dialog."""

    status: int = 200
    """0 = no response; after a provisional one no other follows."""
    body: str | None = None
    """None = the answer to an offer, or an offer if the request had none."""
    after_ms: int = 0
    headers: tuple[str, ...] = ()
    kind: str = "application/sdp"
    """Type of the body."""


SILENCE: Final = Reply(0)


class Side:
    """One call of a user agent.

    It answers every request within the dialog as RFC 3261, 3264 and 3311 want it, until told otherwise.
    """

    def __init__(self, agent: UserAgent, call_id: str) -> None:
        self.agent = agent
        self.wire = agent.wire
        self.call_id = call_id
        self.tag = ""
        self.local = ""
        """From of our requests, with its tag."""
        self.remote = ""
        """To of our requests."""
        self.target = ""
        self.sequence = 0
        self.is_over = False
        self.acknowledges = True
        self.knows_timer = False
        """Whether its 2xx repeats the Session-Expires of a request (RFC 4028)."""
        self.minds_origins = agent.minds_origins
        self.gone: int | None = None
        """Status for every request from now on: 0 = no response, 481 = the dialog was lost."""
        self.mine = ""
        """Our session description in force."""
        self.theirs = ""
        """Session description of the other side in force."""
        self.refused = ""
        """The latest offer of the other side that was read and refused."""
        self.got: dict[str, list[int]] = {}
        """Final statuses of our own requests within the dialog, by method; 0 where none came."""
        self.asked: defaultdict[str, list[Message]] = defaultdict(list)
        """Requests of the other side within the dialog, by method, without retransmissions."""
        self.asking: list[Asking] = []
        """Requests of ours that have no final response yet."""
        self.acks: list[Message] = []
        self._replies: defaultdict[str, deque[Reply]] = defaultdict(deque)
        self._remote_sequence = -1
        self._unanswered: dict[tuple[str, str], Message] = {}
        """INVITEs of the other side without a final response of ours, by transaction."""
        self._invited_by: set[str] = set()
        """Branches of the other side's INVITEs within the dialog."""
        self._repeating: dict[str, Repeat] = {}
        """Our final responses to INVITEs that have no ACK yet, by the number of their CSeq."""
        self._finished: dict[str, tuple[Message, int]] = {}
        """INVITEs of the other side with our final status, by the number of their CSeq."""
        self._offered: str | None = None
        """Our offer in a 2xx, which the ACK has to answer."""
        self._offered_in = ""
        """The number of that INVITE's CSeq."""

    def agrees_with(self, other: "Side") -> bool:
        """Return whether each of two ends holds the session description that the other one has given."""
        return (self.mine, self.theirs) == (other.theirs, other.mine)

    @property
    def replaces(self) -> str:
        """Return the dialog as the Replaces header of another call names it (RFC 3891)."""
        return f"{self.call_id};to-tag={self.remote.rpartition('tag=')[2]};from-tag={self.tag}"

    @property
    def replaces_in_uri(self) -> str:
        """Return the dialog as a Refer-To names it, in the URI (RFC 3261 section 19.1.1)."""
        return self.replaces.replace("@", "%40").replace(";", "%3B").replace("=", "%3D")

    # -- requests of ours ---------------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        sequence: int,
        branch: str,
        *,
        headers: Iterable[str] = (),
        body: str = "",
        kind: str = "application/sdp",
        hops: int = 70,
    ) -> str:
        """Write a request of this call."""
        lines = [
            f"{method} {self.target} SIP/2.0",
            f"Via: {self.agent.via};branch={branch}",
            f"From: {self.local}",
            f"To: {self.remote}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {sequence} {method}",
            f"Contact: <sip:{self.agent.address}>",
            f"Max-Forwards: {hops}",
            *headers,
        ]
        return compose(lines, body, kind)

    def ask(self, method: str, *, body: str = "", kind: str = "application/sdp", headers: Iterable[str] = ()) -> Asking:
        """Send a request within the dialog and repeat it until a final response."""
        return Asking(self, method, body=body, kind=kind, headers=headers)

    def propose(self, *attributes: str, method: str = "INVITE") -> str:
        """Offer the next version of our session, with these attributes; return it."""
        offer = revised(self.mine, *attributes)
        self.ask(method, body=offer)
        return offer

    def hang_up(self, *headers: str) -> None:
        """Send BYE; the call is over when that is answered or has timed out."""
        if not self.is_over:
            self.ask("BYE", headers=headers)

    def answered(self, method: str, status: int) -> None:
        """Note the final status of a request of ours, 0 where there was none."""
        self.got.setdefault(method, []).append(status)
        if method == "BYE":
            self.over()

    @property
    def awaits_answer(self) -> bool:
        """Whether an offer of ours in a 2xx has no answer yet; no other may be made then (RFC 3261 section 14.1)."""
        return self._offered is not None

    @property
    def may_offer(self) -> bool:
        """Whether no offer and no INVITE of either side is in progress (RFC 3261 14.1, RFC 3311 5.1)."""
        if any(asking.offers or asking.method == "INVITE" for asking in self.asking) or self.awaits_answer:
            return False
        return not self._repeating and not any(method in TO_CHANGE_THE_SESSION for _, method in self._unanswered)

    # -- requests of the other side -----------------------------------------------------------------------------

    def will(self, method: str, *replies: Reply) -> None:
        """Set the replies to the next requests of a method."""
        self._replies[method].extend(replies)

    def forget_request(self) -> Message:
        """Know an unanswered request no more, so that the CANCEL of an INVITE gets 481; return it."""
        ((key, request),) = self._unanswered.items()
        del self._unanswered[key]
        self._invited_by.discard(key[0])
        return request

    def answer_forgotten(self, request: Message, reply: Reply) -> None:
        """Answer such a request after all."""
        self._unanswered[transaction_of(request)] = request
        self._give(reply, request)

    def take(self, request: Message) -> None:
        """Handle a request within the dialog that is no retransmission."""
        method = request.method or ""
        if self.gone is not None:
            self._take_no_more(request, method, self.gone)
        elif self._is_elsewhere(request):
            self._refuse(request, 481)
        elif method == "ACK":
            self._take_ack(request)
        elif method == "CANCEL":
            self._take_cancel(request)
        elif transaction_of(request) not in self._unanswered:
            number = int(request["CSeq"].partition(" ")[0])
            if number <= self._remote_sequence:
                self.agent.reply(request, 500)
                return
            self._remote_sequence = number
            self.asked[method].append(request)
            self._reply(request, method)

    def hung_up(self, bye: Message) -> None:
        """Handle a BYE of the other side."""
        self.agent.reply(bye, 200)
        self.over()

    def over(self) -> None:
        """End the call; only our BYE is still retransmitted."""
        self.is_over = True
        for repeat in self._repeating.values():
            repeat.stop()
        for asking in self.asking:
            if asking.method != "BYE":
                asking.stop()

    # -- inside -------------------------------------------------------------------------------------------------

    def _is_elsewhere(self, request: Message) -> bool:
        """Return whether the tags of a request are of no dialog of this call (RFC 3261 section 12.2.2)."""
        return request.to_tag != self.tag or tag_of(request["From"]) not in self._remote_tags

    @property
    def _remote_tags(self) -> set[str]:
        """The tags of the other ends of this call."""
        return {tag_of(self.remote)}

    def _refuse(self, request: Message, status: int) -> None:
        if request.method != "ACK":
            self.agent.reply(request, status)

    def _take_no_more(self, request: Message, method: str, status: int) -> None:
        if method != "ACK":
            self.asked[method].append(request)
            if status:
                self.agent.reply(request, status)

    def _reply(self, request: Message, method: str) -> None:
        waiting = self._replies[method]
        reply = waiting.popleft() if waiting else Reply(self._fitting(method))
        self._unanswered[transaction_of(request)] = request
        if method == "INVITE":
            self._invited_by.add(transaction_of(request)[0])
        if method == "BYE" and reply.status == 200:
            self.hung_up(request)
        elif reply.after_ms:
            if method == "INVITE":
                self.agent.reply(request, 100)
            self.wire.after(reply.after_ms, partial(self._give, reply, request))
        else:
            self._give(reply, request)

    def _fitting(self, method: str) -> int:
        """Return the status that RFC 3261 section 14.2 and RFC 3311 section 5.2 require for a request now."""
        if method not in TO_CHANGE_THE_SESSION:
            return 200
        if any(asking.offers or asking.method == "INVITE" for asking in self.asking) or self._offered is not None:
            return 491
        return 500 if any(pending == "INVITE" for _, pending in self._unanswered) else 200

    def _give(self, reply: Reply, request: Message) -> None:
        key = transaction_of(request)
        if key not in self._unanswered:
            return  # cancelled meanwhile
        method = request.method or ""
        if reply.status >= 200:
            del self._unanswered[key]
        is_offer = method in TO_CHANGE_THE_SESSION and bool(request.body)
        is_fit = follows(self.theirs, request.body) and not reuses_version(self.refused, request.body)
        if is_offer and self.minds_origins and not is_fit:
            reply = Reply(488, headers=('Warning: 399 tested "origin or version of another session"',))
        if is_offer and reply.status >= 300 and reply.status != 491:
            self.refused = request.body
        body = reply.body or ""
        if method in TO_CHANGE_THE_SESSION and 200 <= reply.status < 300:
            if reply.body is None and (request.body or method == "INVITE"):
                body = answering(request.body, self.mine)
                if self.agent.renews_keys:
                    body = rekeyed(body)
                if self.agent.begins_anew and not request.body:
                    body = begun_anew(body)
            self._agree(request, body)
        if reply.status:
            headers = (*reply.headers, *self._timer_agreed(request, reply.status))
            again = self.agent.reply(request, reply.status, headers=headers, body=body, kind=reply.kind)
            if method == "INVITE" and reply.status >= 200:
                self._await_ack(request, reply.status, again)

    def _timer_agreed(self, request: Message, status: int) -> tuple[str, ...]:
        expires = request.every("Session-Expires")
        if not (self.knows_timer and expires and 200 <= status < 300):
            return ()
        return f"Session-Expires: {expires[0]}", "Require: timer"

    def _agree(self, request: Message, body: str) -> None:
        if request.body:
            self.theirs = request.body
            self.mine = body or self.mine
        elif body:
            self._offered, self._offered_in = body, _number(request)

    def _await_ack(self, invite: Message, status: int, again: Callable[[], None]) -> None:
        """Repeat a final response until its ACK comes; a 2xx that is never acknowledged ends the call (13.3.1.4)."""

        def missing() -> None:
            del self._repeating[_number(invite)]
            if status < 300:
                self.hang_up()

        self._repeating[_number(invite)] = Repeat(self.wire, again, missing)
        self._finished[_number(invite)] = invite, status

    def _take_ack(self, ack: Message) -> None:
        finished = self._finished.get(_number(ack))
        if finished is None or not acknowledges(ack, *finished):
            return
        self.acks.append(ack)
        repeat = self._repeating.pop(_number(ack), None)
        if repeat is None:
            return
        repeat.stop()
        if self._offered is None or self._offered_in != _number(ack):
            assert not ack.body, "an ACK has the answer to an offer in the 2xx alone"
        else:
            if ack.body:
                self.mine, self.theirs = self._offered, ack.body
            self._offered = None

    def _take_cancel(self, cancel: Message) -> None:
        branch, _ = transaction_of(cancel)
        self.asked["CANCEL"].append(cancel)
        if branch not in self._invited_by:
            self.agent.reply(cancel, 481)
            return
        self.agent.reply(cancel, 200)
        invite = self._unanswered.pop((branch, "INVITE"), None)
        if invite is not None:
            self._await_ack(invite, 487, self.agent.reply(invite, 487))


def tag_of(name_addr: str) -> str:
    """Return the tag of a From or To, empty where there is none."""
    return name_addr.partition(";tag=")[2].partition(";")[0]


def _number(message: Message) -> str:
    return message["CSeq"].partition(" ")[0]
