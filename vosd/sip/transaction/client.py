"""The client transaction of every method but INVITE (RFC 3261 section 17.1.2)."""

from typing import TYPE_CHECKING, Generic

import msgspec

from vosd.base.clock import Instant
from vosd.sip.events import NoResponse, ResponseArrived
from vosd.sip.forms import EMPTY, NOT_YET, DraftT, PeerT, RetryT, TextT
from vosd.sip.owners import ClientOwner
from vosd.sip.transaction.entries import ABSORB
from vosd.sip.transaction.pace import OF_REQUEST
from vosd.sip.transaction.retry import Retry
from vosd.sip.transaction.states import (
    CALLING,
    CLIENT,
    PROCEEDING,
    RESPONSE,
    IllegalMoveError,
    Input,
    TransactionState,
    step,
)
from vosd.sip.transaction.store import TransactionStore
from vosd.sip.wire.message import Response
from vosd.sip.wire.outgoing import Datagram, Peer

if TYPE_CHECKING:
    from vosd.sip.draft import RequestDraft


class ClientState(msgspec.Struct, Generic[TextT, RetryT, PeerT, DraftT], array_like=True):
    """One request of ours without a final response."""

    key: TextT = EMPTY
    state: TransactionState = CALLING
    retry: RetryT = NOT_YET
    """The request as it was sent latest."""
    spare: PeerT | None = None
    """Another address of the same peer, used when the connection is closed before the response."""
    draft: DraftT | None = None
    """The draft of the request, which is sent again with credentials if the peer challenges it."""


class Client(ClientState[str, Retry, Peer, "RequestDraft"], eq=False, kw_only=True):
    """The transaction of one request in this process; nothing is sent before ``begin``.

    A missing response is reported to the owner, else to ``TransactionStore.unclaimed``.
    """

    store: TransactionStore
    owner: ClientOwner | None = None
    """None means that the response is not needed."""
    spare_data: bytes = b""
    """The request as it is sent to ``spare``, where that is by another transport; empty = as before."""
    server_name: str = ""
    """The name that the certificate of its connection must bear (``InviteParts``)."""
    last: Peer | None = None
    """Address that is used when there is no connection with ``spare`` either."""
    again_until: int = 0
    """While the peer takes no connection it is asked each T2, until then on the monotonic clock; 0 = not again."""

    def withdraw(self) -> None:
        """End a request that was never sent."""
        self.state = TransactionState.TERMINATED
        self.owner = None

    def begin(
        self,
        key: str,
        peer: Peer,
        data: bytes,
        now: Instant,
        spare: Peer | None = None,
        draft: "RequestDraft | None" = None,
        spare_data: bytes = b"",
        last: Peer | None = None,
    ) -> None:
        """Send the request. After a challenge it begins again as the same object, so that its owner need not know."""
        self.key = key
        self.state = CALLING
        self.spare = spare
        self.spare_data = spare_data
        self.last = last
        self.draft = draft
        self.store.clients[key] = self
        self.retry = Retry(self.store, peer, data)
        self.retry.begin(self, OF_REQUEST, now)

    @property
    def is_over(self) -> bool:
        """Whether it has its final response, or was given up."""
        return self.store.clients.get(self.key) is not self

    @property
    def is_unsent(self) -> bool:
        """Whether it waits to be sent."""
        return self.state is CALLING and self.is_over

    @property
    def peer(self) -> Peer:
        """Target to which the request was sent latest."""
        return self.retry.sent.peer

    @property
    def sent(self) -> Datagram:
        """The request as it was sent latest."""
        return self.retry.sent

    def response_came(self, response: Response, now: Instant) -> ResponseArrived | None:
        """Take a response; a final one ends the transaction, and its retransmissions are absorbed (timer K)."""
        previous, received = self.state, RESPONSE[response.status // 100]
        after = CLIENT[previous].get(received)
        if after is None:
            raise IllegalMoveError.of(previous, received)
        self.state = after
        if after is PROCEEDING:
            if previous is CALLING:
                self.retry.slow_retransmission(self, now)
        else:
            self.retry.stop(self)
            del self.store.clients[self.key]
            self.store.finished.keep(self.key, ABSORB, self.store.timers.t4_ms, now)
        owner = self.owner
        if (
            owner is None and response.status >= 400 and response.status != 481
        ):  # 481 is expected: the call is over there
            owner = self.store.unclaimed
        return ResponseArrived(owner, self, response, now) if owner is not None else None

    def forget(self) -> None:
        """End the transaction without a response; one that arrives later is dropped."""
        if self.store.clients.pop(self.key, None) is not None:
            self.retry.stop(self)
            self.owner = None

    def leave(self, now: Instant) -> None:
        """End the transaction, whose response is wanted no more; one that arrives for a while is absorbed."""
        self.forget()
        self.store.finished.keep(self.key, ABSORB, self.store.timers.t4_ms, now)

    def timer_due(self, now: Instant) -> NoResponse | None:
        """Timers E and F: retransmit, or report no response, with the instant at which the time was over."""
        if self.retry.due(self, now):
            return None
        if now.mono < self.again_until:
            self._send_by(self.retry.sent, now)
            return None
        return self._given_up(now.plus(self.retry.ends_at - now.mono))

    def transport_failed(self, now: Instant) -> NoResponse | None:
        """Send the request to the other address, or report that there was no response: the connection is closed."""
        self.retry.stop(self)
        if self.spare is not None:
            spare, self.spare, self.last = self.spare, self.last, None
            data, sent = b"" if self.store.reliable[spare.flow] else self.spare_data, self.retry.sent
            if data:  # it goes over UDP now, for the peer takes no connection
                self.store.takes_no_connection(sent.peer, now)
            self._send_by(Datagram(spare, data or sent.data), now)
            return None
        again_at = now.mono + self.store.timers.t2_ms
        if again_at < self.again_until:
            self.retry.wait_until(self, again_at, now)
            return None
        return self._given_up(now, is_unreachable=True)

    def not_delivered(self, now: Instant) -> NoResponse | None:
        """Report that the peer cannot be reached (RFC 3261 section 18.4), unless it has responded."""
        return self.transport_failed(now) if self.state is CALLING and self.owner is not None else None

    def _send_by(self, sent: Datagram, now: Instant) -> None:
        self.retry = Retry(self.store, sent.peer, sent.data)
        self.retry.begin(self, OF_REQUEST, now)

    def _given_up(self, now: Instant, *, is_unreachable: bool = False) -> NoResponse | None:
        self.state = step(CLIENT, self.state, Input.GIVE_UP)
        del self.store.clients[self.key]
        owner = self.store.unclaimed if self.owner is None else self.owner
        return NoResponse(owner, self, now, is_unreachable) if owner is not None else None
