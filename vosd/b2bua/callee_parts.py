"""Parts of a vendor's leg: the attempt at its gateway, and what it has sent. Its events are in ``callee_leg``."""

from typing import TYPE_CHECKING, NamedTuple

from vosd.b2bua.invitation import Invitation
from vosd.b2bua.leg import Leg
from vosd.base.clock import Instant
from vosd.routing.pipeline import RouteChoice
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.endpoint import Endpoint
from vosd.sip.transaction.invite_client import InviteClient
from vosd.sip.wire.message import Response
from vosd.sip.wire.outgoing import Peer
from vosd.trunks.gateways import Address

if TYPE_CHECKING:
    from vosd.b2bua.call_port import CallPort


class Pracking(NamedTuple):
    """An offer in a reliable response: its PRACK waits for the caller's answer."""

    dialog: Dialog
    rack: str


class CalleeParts(Leg):
    """The parts of the leg of a vendor."""

    __slots__ = (
        "_acknowledged", "_address", "_early", "_invitation", "_invite_sequence", "_pracking", "_received_rseq",
        "_sessions", "_speaker", "_tag", "_transaction", "_unread", "answer", "choice", "is_settled", "peer", "q850",
        "rang", "rang_at", "started_at", "tried_at",
    )  # fmt: skip

    def __init__(
        self, endpoint: Endpoint, call: "CallPort", choice: RouteChoice, address: Address, now: Instant
    ) -> None:
        """Nothing is sent before ``begin``, and it has neither tag nor address."""
        dialect = choice.gateway.dialect
        super().__init__(endpoint, dialect.reasons, dialect.session_timer)
        self.call = call
        self.choice = choice
        self.started_at = now
        self.rang = False
        self.rang_at: Instant | None = None
        self.tried_at: Instant | None = None
        """When the first provisional response came that was not a 18x."""
        self.answer = b""
        self.q850: int | None = None
        """The cause that the gateway gave for its refusal."""
        self.dialog: Dialog | None = None
        self.is_settled = False
        self._acknowledged = False
        self._invite_sequence = 0
        """The CSeq of the INVITE, once its 2xx has its ACK."""
        self._early: dict[str, Dialog] | None = None
        self._unread: dict[str, Response] | None = None
        """By tag, the first responses of forks whose early dialogs nothing has needed yet."""
        self._received_rseq: dict[str, int] | None = None
        self._pracking: Pracking | None = None
        self._speaker: str | None = None
        """Tag of the fork whose session the caller was sent."""
        self._sessions: dict[str, bytes] | None = None
        """Session description of each fork that has sent early media, by its tag."""
        self._address = address
        self._invitation: Invitation | None = None

    def restore_attempt(
        self,
        transaction: InviteClient,
        peer: Peer,
        tag: str,
        *,
        invite_sequence: int,
        dialog: Dialog | None,
        early: dict[str, Dialog] | None,
        invitation: Invitation | None,
        received_rseq: dict[str, int] | None,
        pracking: Pracking | None,
        speaker: str | None,
        sessions: dict[str, bytes] | None,
        rang: bool,
        rang_at: Instant | None,
        tried_at: Instant | None,
        answer: bytes,
        q850: int | None,
        is_settled: bool,
        acknowledged: bool,
    ) -> None:
        """Go on with the INVITE as an earlier process has left it; ``restore`` is for what all legs have."""
        self._transaction = transaction
        self.peer = peer
        self._tag = tag
        self._invite_sequence = invite_sequence
        self.dialog = dialog
        self._early = early
        self._invitation = invitation
        self._received_rseq = received_rseq
        self._pracking = pracking
        self._speaker = speaker
        self._sessions = sessions
        self.rang = rang
        self.rang_at = rang_at
        self.tried_at = tried_at
        self.answer = answer
        self.q850 = q850
        self.is_settled = is_settled
        self._acknowledged = acknowledged
