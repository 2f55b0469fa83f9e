"""Parts of a leg: its dialog, its session descriptions, its session timer. Its events are in ``leg``."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from vosd.b2bua.refresh import Refresh
from vosd.b2bua.supervision import Supervision
from vosd.base.clock import Instant
from vosd.base.session_timer import SessionTimerSettings
from vosd.sip.dialog.acceptance import Acceptance
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.dialog.session_timer import SessionTimer
from vosd.sip.dialog.table import NO_FORKS
from vosd.sip.endpoint import Endpoint
from vosd.sip.transaction.invite_server import InviteServer
from vosd.sip.transaction.server import Server
from vosd.sip.wire.message import Request
from vosd.trunks.dialect import ReasonForm

if TYPE_CHECKING:
    from vosd.b2bua.call_port import CallPort


class Move(NamedTuple):
    """A target refresh request; its Contact holds once it is accepted (RFC 3261 section 12.2.2)."""

    transaction: Server | InviteServer
    dialog: Dialog
    request: Request


class LegParts:
    """The parts of one leg, and simple questions about them."""

    __slots__ = (
        "_acceptance",
        "_allows_update",
        "_endpoint",
        "_is_confirmed",
        "_moving",
        "_remote_session_before_hold",
        "call",
        "dialog",
        "informing",
        "last_seen_at",
        "reasons",
        "remote_session",
        "said",
        "supervision",
        "timer",
    )

    owns_call_id = False
    """Whether the Call-ID of this leg is ours."""
    may_transfer = False
    """Whether this side may transfer the other one."""
    call: "CallPort"
    dialog: Dialog | None

    def __init__(self, endpoint: Endpoint, reasons: ReasonForm, session_timer: SessionTimerSettings) -> None:
        self._endpoint = endpoint
        self._acceptance: Acceptance | None = None
        """Our 200 that waits for its ACK."""
        self._allows_update = False
        self._is_confirmed = False
        self._moving: Move | None = None
        self.reasons = reasons
        self.remote_session = self._remote_session_before_hold = b""
        """The latest session description received from this side; its setter is ``note_session``."""
        self.said = b""
        """The latest session description sent to it."""
        self.informing = 0
        """INFO requests of this side that the other one has not answered yet."""
        self.timer = SessionTimer(session_timer)
        self.supervision: Supervision | None = None
        """Session timer and limits, from the answer to the end."""
        self.last_seen_at: Instant | None = None
        """When a request, an ACK or a response of the peer within the dialog was last processed."""

    def restore(
        self,
        *,
        timer: SessionTimer,
        remote_session: bytes,
        remote_session_before_hold: bytes,
        said: bytes,
        allows_update: bool,
        is_confirmed: bool,
        last_seen_at: Instant | None,
        acceptance: Acceptance | None,
        moving: Move | None,
        supervision: Supervision | None,
    ) -> None:
        """Go on as an earlier process has left it."""
        self.timer = timer
        self.remote_session = remote_session
        self._remote_session_before_hold = remote_session_before_hold
        self.said = said
        self._allows_update = allows_update
        self._is_confirmed = is_confirmed
        self.last_seen_at = last_seen_at
        self._acceptance = acceptance
        self._moving = moving
        self.supervision = supervision

    @property
    def forks(self) -> Mapping[str, Dialog]:
        """Early dialogs by their remote tags."""
        return NO_FORKS

    @property
    def awaits_ack(self) -> bool:
        """Whether a 200 of ours has not been acknowledged yet."""
        return self._acceptance is not None

    @property
    def is_inviting(self) -> bool:
        """Whether a re-INVITE of ours has no final response: then none may be sent (RFC 3261 section 14.1)."""
        return self.dialog is not None and self.dialog.invites > 0

    @property
    def is_acknowledged(self) -> bool:
        """Whether the answer to our INVITE, if it was ours, has its ACK."""
        return True

    @property
    def takes_update(self) -> bool:
        """Whether this side allows UPDATE."""
        return self._allows_update

    def contact(self) -> str:
        """Return the Contact line that this side is sent."""
        return self._endpoint.contacts[self._established().peer.flow]

    @property
    def refresh(self) -> Refresh | None:
        """The refresh of ours that this side has not answered, if there is one."""
        return None if self.supervision is None else self.supervision.refresh

    @property
    def is_early(self) -> bool:
        """Whether the dialog is not confirmed yet: then only UPDATE changes the session."""
        return False

    def _established(self) -> Dialog:
        if self.dialog is None:
            raise RuntimeError(f"{self!r} has no dialog yet")
        return self.dialog
