"""Calling side of a call that the customer has left by a transfer (``CallerSide``)."""

from typing import TYPE_CHECKING

from vosd.b2bua.identity import PLAIN, CallerIdentity
from vosd.b2bua.invite_progress import InviteProgress
from vosd.base.clock import Instant
from vosd.sip.dialog.session_wish import NO_WISH
from vosd.trunks.dialect import CallerDialect, ReasonForm, Reliability

if TYPE_CHECKING:
    from vosd.b2bua.call_port import CallPort
    from vosd.media.leg_media import LegMedia


class Substitute:
    """Calling side without a leg: reports to the transfer of its call what would be sent to the caller."""

    __slots__ = (
        "call", "caller_identity", "dialect", "left_media", "named", "offer", "progress", "reasons", "takes_100rel",
    )  # fmt: skip

    inviter = leg = shown = None
    """The customer has left the call."""
    awaits_prack = False

    def __init__(
        self,
        call: "CallPort | None" = None,
        *,
        offer: bytes = b"",
        caller_identity: CallerIdentity = PLAIN,
        dialect: CallerDialect | None = None,
        named: str = "",
        left_media: "LegMedia | None" = None,
    ) -> None:
        """``call`` is set later where it is not known yet, but before anything happens."""
        if call is not None:
            self.call: CallPort = call
        self.offer = offer
        """The offer to the target: the session of the side that it will talk to."""
        self.caller_identity = caller_identity
        self.dialect = CallerDialect() if dialect is None else dialect
        self.named = named
        """The transferor: its address in the dialog."""
        self.left_media = left_media
        """The media of the leg that has left, for the record; None = this side never had a leg."""
        self.reasons = ReasonForm.NONE
        self.takes_100rel = False
        self.progress = InviteProgress(0, NO_WISH, Reliability.OFF, final=200)
        """The customer was answered before it left."""

    def begin(self, now: Instant) -> None:
        """Do nothing: there is no INVITE to answer with 100."""

    def begin_attempt(self, now: Instant) -> None:
        """Do nothing: there is no dialog."""

    def switch_fork(self, before: str, after: str, now: Instant, *, answers: bool) -> None:
        """Do nothing: there is no dialog."""

    def ring(self, status: int, session: bytes, now: Instant) -> None:
        """Report that the target rings."""
        if (transfer := self.call.conversation.transfer) is not None:
            transfer.progressed(status, now)
        self.call.board.media.target_rings(session, now)

    def answer(self, _session: bytes, now: Instant) -> None:
        """Report that the target has answered."""
        if (transfer := self.call.conversation.transfer) is not None:
            transfer.answered(now)

    def reject(self, status: int, _reason: str, now: Instant) -> None:
        """Report that the target was not reached."""
        if (transfer := self.call.conversation.transfer) is not None:
            transfer.failed(status, now)

    def hang_up(self, _reason: str, now: Instant) -> None:
        """Do nothing: the end of this call is that of the one that it is joined with, or of its transfer."""

    def close(self, now: Instant) -> None:
        """Do nothing: there is no dialog."""
