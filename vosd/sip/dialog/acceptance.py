"""A 2xx of ours, repeated until its ACK comes (RFC 3261 section 13.3.1.4)."""

from typing import TYPE_CHECKING, Any

from vosd.base.clock import Instant
from vosd.sip.compose import Peer
from vosd.sip.events import AckMissing
from vosd.sip.transaction.retry import Retry
from vosd.sip.transaction.store import TransactionStore

if TYPE_CHECKING:
    from vosd.sip.dialog.identity import Dialog


class Acceptance:
    """The wait for one ACK; ``owner`` None means that the call is over and a BYE follows the ACK."""

    __slots__ = ("_retry", "dialog", "goodbye", "owner")

    def __init__(
        self, store: TransactionStore, dialog: "Dialog", peer: Peer, data: bytes, owner: Any, now: Instant
    ) -> None:
        self.dialog = dialog
        self.owner = owner
        self.goodbye: str | None = None
        """Headers of the BYE that must wait for the ACK (section 15.1.1)."""
        self._retry = Retry(store, self, peer, data, store.timers.t2_ms, now)

    def acknowledged(self) -> None:
        """The ACK came."""
        self._retry.stop()

    def timer_due(self, now: Instant) -> AckMissing | None:
        """Send the 2xx again, or report that the ACK never came: at 64·T1, however late this runs."""
        if self._retry.due(self, now):
            return None
        return AckMissing(self.owner, self, now.plus(self._retry.ends_at - now.mono))


class Farewell:
    """Keeps the dialog of a call that is over until our 200 is acknowledged and the BYE can go out."""

    __slots__ = ("acceptance",)

    def __init__(self, acceptance: Acceptance) -> None:
        self.acceptance = acceptance

    @property
    def dialog(self) -> "Dialog | None":
        """The dialog that is about to end."""
        return self.acceptance.dialog
