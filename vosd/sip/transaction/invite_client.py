"""The client side of INVITE (RFC 3261 section 17.1.1, RFC 6026), and giving it up (section 9.1)."""

from typing import TYPE_CHECKING

from vosd.base.clock import Instant
from vosd.base.wheel import Timer
from vosd.sip.events import NoResponse, ResponseArrived
from vosd.sip.owners import ClientOwner, Witness
from vosd.sip.transaction.client import Client
from vosd.sip.transaction.finished import Unacknowledged
from vosd.sip.transaction.retry import Pace, Retry
from vosd.sip.transaction.states import INVITE_CLIENT, Input, State, input_of, step
from vosd.sip.transaction.store import TimerOwner, TransactionStore
from vosd.sip.wire.compose import Datagram, InviteParts, Peer, ProvenAck, ack_of_failure, cancel
from vosd.sip.wire.message import Response

if TYPE_CHECKING:
    from vosd.sip.dialog.dialog import Dialog
    from vosd.sip.draft import InviteDraft


class InviteClient:
    """One INVITE of ours.

    Given up (``abandon``) it has no owner any more, but lives until the peer's final response: it is repeated while
    the peer has said nothing, for the peer may ring and its 100 be lost; a CANCEL goes out with the first provisional
    response, and a 2xx that comes all the same is for the endpoint to end; whoever gave it up may leave a ``witness``
    that hears of it. So it is where nobody spoke within the operator's list.
    """

    __slots__ = (
        "_cancel_headers",
        "_key",
        "_last_wait",
        "_listens_until",
        "_retry",
        "_spare",
        "_store",
        "dialog",
        "draft",
        "owner",
        "parts",
        "state",
        "witness",
    )

    def __init__(
        self,
        store: TransactionStore,
        key: str,
        parts: InviteParts,
        data: bytes,
        owner: ClientOwner,
        now: Instant,
        *,
        spare: tuple[InviteParts, bytes] | None = None,
        dialog: "Dialog | None" = None,
        draft: "InviteDraft | None" = None,
    ) -> None:
        """``spare`` is the same INVITE by another transport; ``dialog`` the one that a re-INVITE is within.

        ``draft`` is what an INVITE to a peer that may challenge it is written from.
        """
        self._store = store
        self._cancel_headers: str | None = None
        self._last_wait: Timer[TimerOwner] | None = None
        self._listens_until = 0
        """Given up before any response: until when a late answer is waited for, in monotonic milliseconds."""
        self.dialog = dialog
        self.owner: ClientOwner | None = owner
        self.witness: Witness | None = None
        self.begin(key, parts, data, now, spare, draft)

    @classmethod
    def left_over(
        cls, store: TransactionStore, key: str, parts: InviteParts, headers: str, now: Instant
    ) -> "InviteClient":
        """Give up an INVITE that an earlier life of the switch has sent: CANCEL at once, and wait for what it brings.

        Whether the peer has said anything is not known; it has had the time (section 9.1).
        """
        transaction = cls.__new__(cls)
        transaction._store = store
        transaction._key = key
        transaction._cancel_headers = headers
        transaction._last_wait = transaction._retry = transaction._spare = None
        transaction._listens_until = 0
        transaction.dialog = transaction.draft = transaction.owner = transaction.witness = None
        transaction.parts = parts
        transaction.state = State.PROCEEDING
        store.clients[key] = transaction
        transaction._send_cancel(headers, now)
        return transaction

    @classmethod
    def acknowledged(cls, store: TransactionStore, call_id: str, sequence: int, peer: Peer) -> "InviteClient":
        """Return what is left of an INVITE whose 2xx has its ACK: what it was known by."""
        transaction = cls.__new__(cls)
        transaction._store = store
        transaction._key = ""
        transaction._last_wait = transaction._retry = transaction._spare = transaction._cancel_headers = None
        transaction._listens_until = 0
        transaction.dialog = transaction.draft = transaction.owner = transaction.witness = None
        transaction.parts = InviteParts("", "", "", "", call_id, sequence, peer)
        transaction.state = State.ACCEPTED
        return transaction

    @property
    def is_wanted(self) -> bool:
        """Whether somebody still waits for its answer."""
        return self.owner is not None and self._cancel_headers is None

    @property
    def is_at_first_try(self) -> bool:
        """Whether it was sent once and nothing came back yet."""
        return self._retry is not None and self._retry.is_first

    def begin(
        self,
        key: str,
        parts: InviteParts,
        data: bytes,
        now: Instant,
        spare: tuple[InviteParts, bytes] | None,
        draft: "InviteDraft | None",
    ) -> None:
        """Send the INVITE; one that was challenged begins anew, and stays the same to its owner."""
        self._key = key
        self._spare = spare
        self.state = State.CALLING
        self.parts = parts
        self.draft = draft
        self._store.clients[key] = self
        self._retry: Retry | None = Retry(self._store, self, parts.peer, data, Pace.INVITE, now)

    def response_came(self, response: Response, now: Instant) -> ResponseArrived | None:
        """Take a response; a failure is acknowledged here, a 2xx by the owner of the dialog."""
        owner = self.owner
        previous, self.state = self.state, step(INVITE_CLIENT, self.state, input_of(response.status))
        if self._retry is not None:
            self._retry.stop(self)
            self._retry = None
        if self.state is State.PROCEEDING:
            if self._cancel_headers is not None and previous is State.CALLING:
                self._send_cancel(self._cancel_headers, now)
            elif self.dialog is not None and previous is State.CALLING:
                self._wait_for_final(now)  # nobody rings within a dialog: who is there answers
        elif self.state is State.COMPLETED:
            ack = ack_of_failure(self.parts, response.header("to") or "")
            self._store.send(self.parts.peer, ack)
            self._finish(ProvenAck.of(self.parts.peer, ack, self.parts.answers), now)
        else:
            self._finish(Unacknowledged(self.parts, response.to_tag), now)
        return None if owner is None else ResponseArrived(owner, self, response, now)

    def acknowledge(self, ack: Datagram) -> None:
        """Send the ACK of a 2xx, and again whenever that 2xx is repeated."""
        self._store.out.append(ack)
        self._store.finished.replace(self._key, ack)

    def cancel(self, headers: str, now: Instant) -> None:
        """Ask the peer to give the INVITE up, as soon as it has shown itself (section 9.1).

        Its owner still hears the final response: a 200 may have been on its way already, and then it holds.
        """
        if self._cancel_headers is None:
            self._cancel_headers = headers
            if self.state is State.PROCEEDING:
                self._send_cancel(headers, now)

    def abandon(self, headers: str, now: Instant, witness: Witness | None = None) -> None:
        """Give the INVITE up: CANCEL now, or on the first provisional response (RFC 3261 section 9.1).

        Until then it is repeated as before (section 17.1.1.2): a CANCEL that arrives first would find nothing to end.
        """
        self.owner = None
        self.witness = witness
        self.cancel(headers, now)
        if self.state is State.CALLING:
            self._listens_until = now.mono + self._store.timers.transaction_ms
            if self._retry is None:  # its time is over already
                self._wait_for_final(now)

    def timer_due(self, now: Instant) -> NoResponse | None:
        """Timers A and B, or the end of the wait for the final response that a CANCEL or a dialog should bring."""
        if self._retry is not None:
            if self._retry.due(self, now):
                return None
            if self.dialog is not None:  # a call ends by it: at the end of that time, however late this runs
                now = now.plus(self._retry.ends_at - now.mono)
            self._retry = None
            timers = self._store.timers
            if self.owner is not None and timers.give_up_ms < timers.transaction_ms:
                # The operator's list is over before 64·T1: who answers until then must still be hung up.
                event = NoResponse(self.owner, self, now)
                self.owner = None
                self._cancel_headers = self._cancel_headers or ""
                self._wait_for_final(now, timers.transaction_ms - timers.give_up_ms)
                return event
            if self.owner is None and self._listens_until > now.mono:
                self._wait_for_final(now, self._listens_until - now.mono)
                return None
        elif self.dialog is not None and self._cancel_headers is None:
            self.cancel("", now)  # whoever is there but does not make up its mind has still to say something
            return None
        return self._given_up(now)

    def transport_failed(self, now: Instant) -> NoResponse | None:
        """The connection is gone, or was never made: say the same by the other transport, or give up."""
        if self._retry is not None:
            self._retry.stop(self)
            self._retry = None
        if self._spare is None or self.owner is None:  # a call that was given up is not begun anew
            return self._given_up(now)
        if self.dialog is None:
            self._store.takes_no_connection(self.parts.peer, now)
        (self.parts, data), self._spare = self._spare, None
        if self.dialog is not None:
            self.dialog.reach_by(self.parts.peer)
        self._retry = Retry(self._store, self, self.parts.peer, data, Pace.INVITE, now)
        return None

    def _given_up(self, now: Instant) -> NoResponse | None:
        self.state = step(INVITE_CLIENT, self.state, Input.GIVE_UP)
        if self._last_wait is not None:
            self._store.wheel.cancel(self._last_wait)
            self._last_wait = None
        del self._store.clients[self._key]
        return NoResponse(self.owner, self, now) if self.owner is not None else None

    def _send_cancel(self, headers: str, now: Instant) -> None:
        Client(self._store, f"{self._key[:-6]}CANCEL", self.parts.peer, cancel(self.parts, headers), None, now)
        self._wait_for_final(now)

    def _wait_for_final(self, now: Instant, longest_ms: int | None = None) -> None:
        if self._last_wait is not None:
            self._store.wheel.cancel(self._last_wait)
        if longest_ms is None:
            longest_ms = self._store.timers.transaction_ms
        self._last_wait = self._store.set_timer(now.mono + longest_ms, self)

    def _finish(self, what: Datagram | Unacknowledged, now: Instant) -> None:
        """Timers D and M: swallow or answer repetitions of the final response for 64·T1; nobody is told of those."""
        self.owner = None
        self.draft = None
        if self._last_wait is not None:
            self._store.wheel.cancel(self._last_wait)
            self._last_wait = None
        del self._store.clients[self._key]
        self._store.retire(self._key, what, self._store.timers.transaction_ms, now)
