"""Client transactions (RFC 3261 section 17.1, RFC 6026), and the CANCEL of an INVITE (section 9.1)."""

from typing import Generic

import msgspec
from msgspec.structs import replace

from vosd.base.clock import Instant
from vosd.base.wheel import Timer
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.draft import InviteDraft, RequestDraft
from vosd.sip.events import NoResponse, ResponseArrived
from vosd.sip.forms import EMPTY, NOT_YET, DialogT, DraftT, PartsT, PeerT, RetryT, TextT, TimerT
from vosd.sip.owners import ClientOwner, Witness
from vosd.sip.transaction.entries import ABSORB, Unacknowledged
from vosd.sip.transaction.pace import OF_INVITE, OF_REQUEST
from vosd.sip.transaction.retry import Retry
from vosd.sip.transaction.states import (
    ACCEPTED,
    CALLING,
    CLIENT,
    INVITE_CLIENT,
    PROCEEDING,
    RESPONSE,
    IllegalMoveError,
    Input,
    TransactionState,
    step,
)
from vosd.sip.transaction.store import TimerOwner, TransactionStore
from vosd.sip.wire.compose import ack_of_failure, cancel
from vosd.sip.wire.message import Response
from vosd.sip.wire.outgoing import Datagram, InviteParts, Peer, ProvenAck


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
        draft: RequestDraft | None = None,
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


class InviteClientState(msgspec.Struct, Generic[TextT, PartsT, TimerT, RetryT, DialogT, DraftT], array_like=True):
    """One INVITE of ours; one that has its final response is kept where its 2xx has no ACK yet."""

    key: TextT = EMPTY
    state: TransactionState = CALLING
    is_live: bool = False
    """Whether it was sent, and has no final response."""
    parts: PartsT = NOT_YET
    cancel_headers: TextT | None = None
    """Headers of the CANCEL, once it is wanted."""
    last_wait: TimerT | None = None
    listens_until: int = 0
    """Until when a response is waited for after ``abandon``, if there was none, in monotonic milliseconds."""
    retry: RetryT | None = None
    spare: tuple[PartsT, bytes] | None = None
    """This INVITE for another transport."""
    dialog: DialogT | None = None
    """The dialog of a re-INVITE."""
    draft: DraftT | None = None
    """The draft of the INVITE, which is sent again with credentials if the peer challenges it."""
    refused_with: int = 0
    """Status of the final response, if it was a failure."""
    is_unknown: bool = False
    """Whether the peer has answered the CANCEL of a re-INVITE with 481: it has no such transaction."""


class InviteClient(
    InviteClientState[str, InviteParts, Timer[TimerOwner], Retry, Dialog, InviteDraft], eq=False, kw_only=True
):
    """The transaction of one INVITE in this process; nothing is sent before ``begin``.

    After ``abandon`` it has no owner, but lasts until the final response of the peer. It is retransmitted while there
    is no response, because the peer may ring and its 100 may be lost. A CANCEL is sent after the first provisional
    response. The endpoint acknowledges and hangs up a 2xx that arrives all the same, and reports it to ``witness``. The
    same holds when the operator's list of retransmissions ends without a response.
    """

    store: TransactionStore
    owner: ClientOwner | None = None
    witness: Witness | None = None
    is_withdrawn: bool = False

    @classmethod
    def left_over(cls, store: TransactionStore, key: str, parts: InviteParts) -> "InviteClient":
        """Return an INVITE that an earlier process has sent; it waits for its final response, and is to be cancelled.

        It is not known whether a provisional response arrived, which a CANCEL has to wait for (section 9.1); there was
        time enough for one.
        """
        transaction = store.clients[key] = cls(key, PROCEEDING, is_live=True, parts=parts, store=store)
        transaction.enter()
        return transaction

    @classmethod
    def acknowledged(cls, store: TransactionStore) -> "InviteClient":
        """Return a transaction that stands for all INVITEs whose 2xx has its ACK, and does nothing any more."""
        return cls("", ACCEPTED, parts=InviteParts("", "", "", "", "", 0, Peer(0, "", 0)), store=store)

    @property
    def peer(self) -> Peer:
        """Target to which the INVITE was sent latest."""
        return self.parts.peer

    @property
    def server_name(self) -> str:
        """The name that the certificate of its connection must bear (``InviteParts``)."""
        return self.parts.server_name

    @property
    def is_over(self) -> bool:
        """Whether it has its final response, or was given up."""
        return not self.is_live

    @property
    def is_unsent(self) -> bool:
        """Whether it was never sent: it waits, or was withdrawn before."""
        return self.is_withdrawn or (self.state is CALLING and not self.is_live)

    @property
    def is_wanted(self) -> bool:
        """Whether its response is still needed."""
        return self.owner is not None and self.cancel_headers is None

    @property
    def is_at_first_try(self) -> bool:
        """Whether it was sent once, and there is no response yet."""
        return self.retry is not None and self.retry.is_first

    def enter(self) -> None:
        """Let registrations of the called user find it."""
        if self.parts.user:
            if self.parts.device is None:
                device = self.store.device_at(self.parts.user, self.parts.peer)
                self.parts = replace(self.parts, device=device)
            self.store.invites_to_users.setdefault(self.parts.user, {})[self] = None

    def reach_by(self, peer: Peer, now: Instant) -> None:
        """Send what follows the INVITE to another address: the called user has registered there.

        A CANCEL that the earlier address has got is sent again, for the user may not have received it. So is an INVITE
        without response, which over a connection has no retransmissions: the user that has it takes it for one (RFC
        3261 section 17.2.3). A call that was given up is not begun anew.
        """
        self.parts = replace(self.parts, peer=peer)
        if self.retry is not None:
            sent = Datagram(peer, self.retry.sent.data)
            if not self.retry.is_reliable:
                self.retry.sent = sent
            elif self.is_wanted:
                self.retry.move(self, sent)
                self.retry.again()
        elif self.cancel_headers is not None and self.state is PROCEEDING:
            earlier = self.store.clients.get(self._key_of_cancel)
            if isinstance(earlier, Client):
                earlier.forget()
            self._send_cancel(self.cancel_headers, now)

    def prepare(self, parts: InviteParts) -> None:
        """Wait to be sent."""
        self.key, self.parts = f"{parts.via.rpartition('=')[2]} INVITE", parts

    def withdraw(self) -> None:
        """End an INVITE that was never sent."""
        self.state = TransactionState.TERMINATED
        self.is_withdrawn = True
        self.owner = None

    def begin(
        self,
        key: str,
        parts: InviteParts,
        data: bytes,
        now: Instant,
        spare: tuple[InviteParts, bytes] | None,
        draft: InviteDraft | None,
    ) -> None:
        """Send the INVITE. After a challenge it begins again as the same object, so that its owner need not know."""
        self.key = key
        self.spare = spare
        self.state = CALLING
        self.parts = parts
        self.draft = draft
        self.refused_with = 0
        self.is_unknown = False
        self.is_live = True
        self.store.clients[key] = self
        if parts.user:
            self.enter()
        if self.dialog is not None:
            self.dialog.invites += 1
        self.retry = Retry(self.store, parts.peer, data)
        self.retry.begin(self, OF_INVITE, now)

    def response_came(self, response: Response, now: Instant) -> ResponseArrived | None:
        """Take a response; a failure is acknowledged here, a 2xx by the owner of the dialog."""
        owner, store = self.owner, self.store
        previous, received = self.state, RESPONSE[response.status // 100]
        after = INVITE_CLIENT[previous].get(received)
        if after is None:
            raise IllegalMoveError.of(previous, received)
        self.state = after
        if self.retry is not None:
            self.retry.stop(self)
            self.retry = None
        if after is PROCEEDING:
            if self.cancel_headers is not None and previous is CALLING:
                self._send_cancel(self.cancel_headers, now)
                self._wait_for_final(now)
            elif self.dialog is not None and previous is CALLING:
                self._wait_for_final(now)  # a re-INVITE does not ring: a peer that responds at all can decide
        else:
            kept: Datagram | Unacknowledged
            if after is ACCEPTED:
                kept = Unacknowledged(self.parts, response.to_tag)
            else:
                self.refused_with = response.status
                ack = ack_of_failure(self.parts, response.header("to") or "")
                kept = ProvenAck.of(self.parts.peer, ack, self.parts.answers, self.parts.server_name)
                store.out.append(kept)
            # Timers D and M: absorb or acknowledge retransmissions of the final response for 64·T1.
            store.finished.keep(self.key, kept, store.timers.transaction_ms, now)
            del store.clients[self.key]
            self.is_live = False
            if self.parts.user:
                self._leave()
            if self.dialog is not None:
                self.dialog.invites -= 1
            self.owner = self.draft = None
            if self.last_wait is not None:
                store.wheel.cancel(self.last_wait)
                self.last_wait = None
        return None if owner is None else ResponseArrived(owner, self, response, now)

    def acknowledge(self, ack: Datagram) -> None:
        """Send the ACK of a 2xx, and keep it for retransmissions of the 2xx (RFC 3261 section 13.2.2.4)."""
        self.store.out.append(ack)
        kept = self.store.finished.entries
        if self.key in kept:  # else the 2xx was acknowledged after 64·T1, and a further one is not answered
            kept[self.key] = ack

    def cancel(self, headers: str, now: Instant) -> None:
        """Send a CANCEL, or do so after the first provisional response (RFC 3261 section 9.1).

        The owner still receives the final response: a 200 may have crossed the CANCEL, and then it holds.
        """
        if self.cancel_headers is None:
            self.cancel_headers = headers
            if self.state is PROCEEDING:
                self._send_cancel(headers, now)
                self._wait_for_final(now)

    def peer_knows_none(self, now: Instant) -> None:
        """Take a 481 to the CANCEL of a re-INVITE: wait only for a final response that may be under way.

        RFC 3261 section 9.2: the peer has lost the INVITE, or has sent its final response and has nothing to cancel.
        """
        if self.dialog is not None and self.state is PROCEEDING:
            self.is_unknown = True
            self._wait_for_final(now, self.store.timers.t4_ms)

    def abandon(self, headers: str, now: Instant, witness: Witness | None = None) -> None:
        """Drop the owner, and send a CANCEL now or after the first provisional response (RFC 3261 section 9.1).

        Until then the INVITE is retransmitted (section 17.1.1.2): a CANCEL that arrives before it matches nothing.
        """
        self.disown(witness)
        self.cancel(headers, now)
        if self.state is CALLING:
            self.listens_until = now.mono + self.store.timers.transaction_ms
            if self.retry is None:  # its time is over already
                self._wait_for_final(now)

    def disown(self, witness: Witness | None) -> None:
        """Drop the owner: from now on a 2xx is acknowledged and hung up, and reported to the witness."""
        self.owner = None
        self.witness = witness

    def timer_due(self, now: Instant) -> NoResponse | None:
        """Timers A and B, or the end of the wait for a final response after a CANCEL or within a dialog."""
        if self.retry is not None:
            if self.retry.due(self, now):
                return None
            if self.dialog is not None:  # a call ends by it: at the end of that time, however late this runs
                now = now.plus(self.retry.ends_at - now.mono)
            self.retry = None
            timers = self.store.timers
            if self.owner is not None and timers.give_up_ms < timers.transaction_ms:
                # The operator's list has ended before 64·T1. A 2xx until then must still be hung up.
                event = NoResponse(self.owner, self, now)
                self._outlive_owner(timers.transaction_ms - timers.give_up_ms, now)
                return event
            if self.owner is None and self.listens_until > now.mono:
                self._wait_for_final(now, self.listens_until - now.mono)
                return None
        elif self.dialog is not None and self.cancel_headers is None:
            self.cancel("", now)  # the peer sent a provisional response; its answer to the CANCEL decides
            return None
        return self._given_up(now)

    def transport_failed(self, now: Instant) -> NoResponse | None:
        """Send the INVITE over the other transport, or report that there was no response: there is no connection."""
        if self.retry is not None:
            self.retry.stop(self)
            self.retry = None
        if self.spare is None or self.owner is None:  # a call that was given up is not begun anew
            return self._given_up(now, is_unreachable=True)
        failed = self.parts.peer
        (self.parts, data), self.spare = self.spare, None
        if not self.store.reliable[self.parts.peer.flow]:  # it was too large for UDP, and the peer takes no connection
            self.store.takes_no_connection(failed, now)
        elif self.dialog is not None:
            self.dialog.reach_by(self.parts.peer)
        self.retry = Retry(self.store, self.parts.peer, data)
        self.retry.begin(self, OF_INVITE, now)
        return None

    def not_delivered(self, now: Instant) -> NoResponse | None:
        """Report that the peer cannot be reached (section 18.4), unless it has responded or is not waited for.

        An INVITE that was sent before may have arrived then: a 2xx to it must still be hung up.
        """
        if self.state is not CALLING or self.owner is None or self.retry is None:
            return None
        if self.retry.is_first:
            return self.transport_failed(now)
        self.retry.stop(self)
        self.retry = None
        event = NoResponse(self.owner, self, now, is_unreachable=True)
        self._outlive_owner(self.store.timers.transaction_ms, now)
        return event

    def _outlive_owner(self, longest_ms: int, now: Instant) -> None:
        """Go on without an owner: acknowledge a final response, and release a 2xx."""
        self.owner = None
        self.cancel_headers = self.cancel_headers or ""
        self._wait_for_final(now, longest_ms)

    def _given_up(self, now: Instant, *, is_unreachable: bool = False) -> NoResponse | None:
        self.state = step(INVITE_CLIENT, self.state, Input.GIVE_UP)
        if self.last_wait is not None:
            self.store.wheel.cancel(self.last_wait)
            self.last_wait = None
        del self.store.clients[self.key]
        self.is_live = False
        if self.parts.user:
            self._leave()
        if self.dialog is not None:
            self.dialog.invites -= 1
        return NoResponse(self.owner, self, now, is_unreachable) if self.owner is not None else None

    def _send_cancel(self, headers: str, now: Instant) -> None:
        request, peer = Client(store=self.store, server_name=self.parts.server_name), self.parts.peer
        spare = peer if self.store.reliable[peer.flow] else None  # another connection with the peer of the INVITE
        request.begin(self._key_of_cancel, peer, cancel(self.parts, headers), now, spare)

    @property
    def _key_of_cancel(self) -> str:
        return f"{self.key[:-6]}CANCEL"

    def _leave(self) -> None:
        of_user = self.store.invites_to_users.get(self.parts.user)
        if of_user is not None:
            of_user.pop(self, None)
            if not of_user:
                del self.store.invites_to_users[self.parts.user]

    def _wait_for_final(self, now: Instant, longest_ms: int | None = None) -> None:
        if self.last_wait is not None:
            self.store.wheel.cancel(self.last_wait)
        if longest_ms is None:
            longest_ms = self.store.timers.transaction_ms
        self.last_wait = self.store.set_timer(now.mono + longest_ms, self)
