"""A 2xx of ours, repeated until its ACK comes (RFC 3261 section 13.3.1.4)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vosd.base.clock import Instant
from vosd.sip.events import AckMissing
from vosd.sip.headers.cseq import CSeq
from vosd.sip.owners import AcceptanceOwner
from vosd.sip.transaction.retry import Pace, Retry
from vosd.sip.transaction.store import TransactionStore
from vosd.sip.wire.compose import ResponseStem
from vosd.sip.wire.message import Request

if TYPE_CHECKING:
    from vosd.sip.dialog.dialog import Dialog


class Acceptance:
    """The wait for one ACK; ``owner`` None means that the call is over and a BYE follows the ACK."""

    __slots__ = ("_invite", "_retry", "_spare", "_store", "bye_headers", "dialog", "owner")

    def __init__(
        self,
        store: TransactionStore,
        dialog: "Dialog",
        stem: ResponseStem,
        data: bytes,
        owner: AcceptanceOwner,
        now: Instant,
    ) -> None:
        """``stem`` is that of the INVITE, ``data`` the 2xx, which is sent at once."""
        self._invite = stem.cseq
        self.dialog = dialog
        self.owner: AcceptanceOwner | None = owner
        self.bye_headers: str | None = None
        """Headers of the BYE that must wait for the ACK (section 15.1.1)."""
        self._store = store
        self._spare = stem.spare
        self._retry = Retry(store, self, stem.peer, data, Pace.SUCCESS, now)

    def is_met_by(self, ack: Request) -> bool:
        """Say whether an ACK is the one that is waited for; one of an earlier INVITE may come late (13.2.2.4)."""
        return ack.cseq.number == CSeq.parse(self._invite).number

    def acknowledged(self) -> None:
        """The ACK came."""
        self._retry.stop(self)

    def transport_failed(self, now: Instant) -> None:
        """The connection is gone: the 2xx goes to the port that the request's Via names, if it names another."""
        if self._spare is not None:
            spare, self._spare = self._spare, None
            self._retry.stop(self)
            self._retry = Retry(self._store, self, spare, self._retry.data, Pace.SUCCESS, now)

    def timer_due(self, now: Instant) -> AckMissing | None:
        """Send the 2xx again, or report that the ACK never came: at 64·T1, however late this runs."""
        if self._retry.due(self, now):
            return None
        return AckMissing(self.owner, self, now.plus(self._retry.ends_at - now.mono))


class PendingBye:
    """Keeps the dialog of a call that is over until our 200 is acknowledged and the BYE can go out."""

    __slots__ = ("acceptance",)

    def __init__(self, acceptance: Acceptance) -> None:
        self.acceptance = acceptance

    @property
    def dialog(self) -> "Dialog | None":
        """The dialog that is about to end."""
        return self.acceptance.dialog

    @property
    def forks(self) -> Mapping[str, "Dialog"]:
        """There are none."""
        return {}

    def moved(self) -> None:
        """Do nothing: the call is over."""
