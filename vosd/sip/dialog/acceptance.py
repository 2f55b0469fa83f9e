"""Retransmission of our 2xx to an INVITE until its ACK arrives (RFC 3261 section 13.3.1.4)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Generic

import msgspec

from vosd.base.clock import Instant
from vosd.sip.events import AckMissing
from vosd.sip.forms import DialogT, PeerT, RetryT, TextT
from vosd.sip.headers.cseq import UNREAD
from vosd.sip.headers.rack import Rack
from vosd.sip.owners import AcceptanceOwner
from vosd.sip.transaction.pace import OF_SUCCESS
from vosd.sip.transaction.retry import Retry
from vosd.sip.transaction.server import InviteServer
from vosd.sip.transaction.store import TransactionStore
from vosd.sip.wire.message import Request
from vosd.sip.wire.outgoing import Datagram, MovedSender, Peer, over_connection

if TYPE_CHECKING:
    from vosd.sip.dialog.dialog import Dialog


class AcceptanceState(msgspec.Struct, Generic[TextT, DialogT, PeerT, RetryT], array_like=True):
    """The wait for the ACK of one 2xx."""

    dialog: DialogT
    invite: int
    """The CSeq number of the INVITE."""
    bye_headers: TextT | None = None
    """Headers of the BYE, which may not be sent before the ACK (RFC 3261 section 15.1.1)."""
    spare: PeerT | None = None
    """Another address of who gets the 2xx."""
    retry: RetryT | None = None
    """The 2xx; None = it has not been sent."""
    overtaken: Rack | None = None
    """A reliable response that the 2xx has overtaken, once the call is over: its PRACK may be on its way."""


class Acceptance(AcceptanceState[str, "Dialog", Peer, Retry], eq=False, kw_only=True):
    """The wait of this process; ``owner`` None means that the call is over and a BYE follows the ACK."""

    store: TransactionStore
    owner: AcceptanceOwner | None

    def begin(self, transaction: InviteServer, headers: str, body: bytes, now: Instant) -> None:
        """Answer the INVITE with 200, and retransmit it until its ACK."""
        data = transaction.respond(200, self.dialog.local_tag, headers, now, body)
        stem = transaction.stem
        self.spare = stem.spare
        self.retry = Retry(self.store, stem.peer, data)
        self.retry.begin(self, OF_SUCCESS, now)

    def is_acknowledged_by(self, ack: Request) -> bool:
        """Return whether an ACK is for this 2xx; the ACK of an earlier INVITE may arrive late (RFC 3261 13.2.2.4).

        One whose number cannot be read is taken for it: otherwise a call that its caller has confirmed would be ended.
        """
        return ack.sequence in (self.invite, UNREAD)

    def acknowledged(self) -> None:
        """Stop: the ACK has arrived, or is not waited for any more."""
        self.bye_headers = None
        if self.retry is not None:
            self.retry.stop(self)

    def go_on(self, now: Instant) -> None:
        """Send the 2xx of an earlier process again, and wait for its ACK."""
        if self.retry is not None:
            self._send_to(self.retry, self.retry.sent.peer, now)

    def reach_by(self, peer: Peer, now: Instant) -> None:
        """Send the 2xx to another address, where the caller has registered, and wait for the ACK as long as before."""
        before = self.retry
        if before is not None and before.sent.peer.flow == peer.flow and before.sent.peer != peer:
            self._send_instead(over_connection(before.sent, peer), before, now)

    def request_moved(self, moved: MovedSender, now: Instant) -> None:
        """Send the 2xx to where its INVITE came from again, and wait for the ACK as long as before."""
        if self.retry is not None:
            self._send_instead(moved.response(self.retry.sent), self.retry, now)

    def transport_failed(self, now: Instant) -> None:
        """Send the 2xx to the port in the request's Via, if that is another one: the connection is closed."""
        if self.spare is not None and self.retry is not None:
            spare, self.spare = self.spare, None
            self._send_to(self.retry, spare, now)

    def timer_due(self, now: Instant) -> AckMissing | None:
        """Retransmit the 2xx, or report a missing ACK, with the instant at which its 64·T1 were over."""
        if self.retry is None or self.retry.due(self, now):
            return None
        return AckMissing(self.owner, self, now.plus(self.retry.ends_at - now.mono))

    def _send_instead(self, success: Datagram, before: Retry, now: Instant) -> None:
        before.stop(self)
        self.retry = Retry(self.store, success.peer, success.data)
        self.retry.begin(self, OF_SUCCESS, now)
        self.retry.ends_at = before.ends_at

    def _send_to(self, before: Retry, peer: Peer, now: Instant) -> None:
        before.stop(self)
        self.retry = Retry(self.store, peer, before.sent.data)
        self.retry.begin(self, OF_SUCCESS, now)


class PendingBye:
    """The dialog of a call that is over, kept until our 2xx has its ACK and the BYE can be sent."""

    __slots__ = ("acceptance",)

    def __init__(self, acceptance: Acceptance) -> None:
        self.acceptance = acceptance

    @property
    def dialog(self) -> "Dialog | None":
        """The dialog that the BYE will end."""
        return self.acceptance.dialog

    @property
    def forks(self) -> Mapping[str, "Dialog"]:
        """Nothing: a confirmed dialog has no forks."""
        return {}

    def moved(self) -> None:
        """Do nothing: the call is over."""
