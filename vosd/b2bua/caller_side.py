"""The calling side of a call: a customer's leg, or the substitute for a leg that has left by a transfer."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from vosd.b2bua.identity import CallerIdentity
from vosd.b2bua.invite_progress import InviteProgress, ShownFork
from vosd.base.clock import Instant
from vosd.trunks.dialect import CallerDialect, ReasonForm

if TYPE_CHECKING:
    from vosd.b2bua.call_port import CallPort
    from vosd.b2bua.caller import Caller
    from vosd.b2bua.leg import Leg
    from vosd.media.leg_media import LegMedia


class CallerSide(Protocol):
    """Port of a call to its calling side."""

    call: "CallPort"
    offer: bytes
    """The session that is offered to the gateways; empty if the callee is to make the offer."""

    @property
    def inviter(self) -> "Caller | None":
        """The caller itself; None once the customer has left the call."""

    @property
    def leg(self) -> "Leg | None":
        """The leg that can be talked to; None once the customer has left the call."""

    @property
    def left_media(self) -> "LegMedia | None":
        """The media of its leg once the customer has left the call, for the record; None before, or if it had none."""

    @property
    def dialect(self) -> CallerDialect:
        """SIP settings of the customer's trunk."""

    @property
    def reasons(self) -> ReasonForm:
        """Form of the Reason lines that are sent to this side."""

    @property
    def caller_identity(self) -> CallerIdentity:
        """Identity of the caller in the INVITE."""

    @property
    def named(self) -> str:
        """Name of the caller in the From of the dialog; empty once the customer has left its own call."""

    @property
    def takes_100rel(self) -> bool:
        """Whether reliable provisional responses may be sent to this side (RFC 3262)."""

    @property
    def progress(self) -> InviteProgress:
        """Progress of its INVITE."""

    @property
    def shown(self) -> Mapping[str, ShownFork] | None:
        """The forks that this side was shown, but for the current one."""

    @property
    def awaits_prack(self) -> bool:
        """Whether the 200 has to wait for a PRACK."""

    def begin(self, now: Instant) -> None:
        """Send 100."""

    def begin_attempt(self, now: Instant) -> None:
        """Prepare for the responses of another gateway."""

    def switch_fork(self, before: str, after: str, now: Instant, *, answers: bool) -> None:
        """Prepare for the responses of another fork, by the tags of both; ``answers``: it has answered."""

    def ring(self, status: int, session: bytes, now: Instant) -> None:
        """Send a provisional response, with early media if there is any."""

    def answer(self, session: bytes, now: Instant) -> None:
        """Answer the call."""

    def reject(self, status: int, reason: str, now: Instant) -> None:
        """End an unanswered call with a failure; ``reason`` are whole Reason lines."""

    def hang_up(self, reason: str, now: Instant) -> None:
        """End an answered call; ``reason`` are whole Reason lines."""

    def close(self, now: Instant) -> None:
        """Drop the dialog of a call that this side has ended itself."""
