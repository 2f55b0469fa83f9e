"""Parts of the caller's leg: what its INVITE says, and what it was sent. Its events are in ``caller_leg``."""

from typing import TYPE_CHECKING, Final, NamedTuple, Self

from vosd.b2bua.extensions import reliability_of
from vosd.b2bua.identity import CallerIdentity, caller_identity_of
from vosd.b2bua.leg import Leg
from vosd.base.wheel import Timer
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.dialog.prack import ReliableProvisional
from vosd.sip.dialog.session_wish import Wish
from vosd.sip.endpoint import Endpoint
from vosd.sip.transaction.invite_server import InviteServer
from vosd.sip.transaction.server import Server
from vosd.sip.transaction.store import TimerOwner
from vosd.sip.wire.message import Request
from vosd.sip.wire.outgoing import Peer
from vosd.trunks.dialect import CallerDialect, Reliability

if TYPE_CHECKING:
    from vosd.b2bua.call_port import PressedKeys


class ShownFork(NamedTuple):
    """An early dialog that the caller has with a fork of the callee, while another fork is current."""

    tag: str
    """Ours, by which the caller knows the fork."""
    remote_sequence: int
    said: bytes
    is_settled: bool


_OFF: Final = Reliability.OFF  # access to enum members is slow
VALID_MAX_S: Final = 1_800
"""An INVITE has its final response sooner: the last attempt begins within three minutes, and rings for ten at most."""


class CallerParts(Leg):
    """The parts of the leg of a customer."""

    __slots__ = (
        "_expiry", "_invite", "_is_answered", "_is_of_last_attempt", "_last_tag", "_overtaken", "_proposing",
        "_reliability", "_resumed_sequence", "_rseq", "_sent_early_media", "_shown", "_transaction",
        "_unacknowledged", "_valid_s", "_waiting_answer", "_waiting_rings", "_wish", "caller_identity", "dialect",
        "final", "has_referred", "invite_dialog", "is_settled", "keypad", "offer", "takes_100rel",
    )  # fmt: skip

    def __init__(
        self,
        endpoint: Endpoint,
        transaction: InviteServer,
        dialog: Dialog,
        dialect: CallerDialect,
        invite: int,
        wish: Wish,
        caller_identity: CallerIdentity,
        reliability: Reliability,
    ) -> None:
        """``invite`` is the CSeq number of the INVITE, ``wish`` what it says of session timers."""
        super().__init__(endpoint, dialect.reasons, dialect.session_timer)
        self._transaction = transaction
        self.dialog = self.invite_dialog = dialog
        """One object: ``dialog`` of any leg may be None, that of the INVITE of a caller never is."""
        self.dialect = dialect
        self._invite = invite
        self._wish = wish
        self.caller_identity = caller_identity
        self._reliability = reliability
        self.takes_100rel = reliability is not _OFF
        """Whether the caller supports reliable provisional responses, and its trunk allows them."""
        self.offer = b""
        self._sent_early_media = False
        self._is_answered = False
        self._rseq = 0
        self._overtaken = 0
        """RSeq of a reliable response that is no longer repeated; its PRACK may be on its way."""
        self._unacknowledged: ReliableProvisional | None = None
        self._is_of_last_attempt = False
        """Whether that one was sent for a gateway that was given up; it still needs its PRACK (RFC 3262 4)."""
        self._last_tag: str | None = None
        """Our tag of the previous attempt, as long as its PRACK may come."""
        self._resumed_sequence = invite
        """The CSeq number of the caller in the current dialog, once that PRACK has come."""
        self._shown: dict[str, ShownFork] | None = None
        """The forks of this attempt that the caller was shown, by their tags, but for the current one."""
        self._waiting_rings: list[tuple[int, bytes]] = []
        self._waiting_answer: bytes | None = None
        """What waits for a PRACK: later provisional responses, or the answer."""
        self._proposing: Server | None = None
        """The PRACK whose offer was forwarded to the callee."""
        self.final: int | None = None
        """Final status sent to the caller: not always 200 when the gateway has answered."""
        self.has_referred = False
        """Whether this side has sent a REFER before."""
        self.keypad: PressedKeys | None = None
        """The keys it has pressed, if its keys may transfer."""
        self.is_settled = False
        """Whether offer and answer were exchanged before the 200 (RFC 3262 section 5)."""
        self._valid_s: int | None = None
        """The Expires header of the INVITE, in seconds; None = it has none, or one that no call reaches."""
        self._expiry: Timer[TimerOwner] | None = None

    @classmethod
    def of_invite(
        cls,
        endpoint: Endpoint,
        transaction: InviteServer,
        request: Request,
        source: Peer,
        dialect: CallerDialect,
        wish: Wish,
        user: str = "",
    ) -> Self:
        """Make the leg of an INVITE; ``user`` has proven to be the caller. Nothing is sent before ``begin``.

        Raises:
            ParseError: the INVITE has no Contact to call back.
        """
        caller_identity, reliability = caller_identity_of(request), reliability_of(request, dialect)
        dialog = Dialog.of_caller(request, endpoint.token(), source, endpoint.flows.next_hop, dialect.nat, user)
        if dialog.is_behind_nat:
            transaction.answer_at(source)
        leg = cls(endpoint, transaction, dialog, dialect, request.sequence, wish, caller_identity, reliability)
        leg.offer = leg.take_session(request)
        leg._valid_s = None if request.header("expires") is None else _valid_s(request)
        transaction.owner = leg
        return leg

    def restore_invite(
        self,
        *,
        offer: bytes,
        final: int | None,
        is_answered: bool,
        is_settled: bool,
        has_referred: bool,
        keypad: "PressedKeys | None",
        rseq: int,
        overtaken: int,
        unacknowledged: ReliableProvisional | None,
        is_of_last_attempt: bool,
        last_tag: str | None,
        resumed_sequence: int | None,
        shown: dict[str, ShownFork] | None,
        sent_early_media: bool,
        waiting_rings: list[tuple[int, bytes]],
        waiting_answer: bytes | None,
        proposing: Server | None,
        valid_s: int | None,
        expiry: Timer[TimerOwner] | None,
    ) -> None:
        """Go on with the INVITE as an earlier process has left it; ``restore`` is for what all legs have."""
        self.offer = offer
        self.final = final
        self._is_answered = is_answered
        self.is_settled = is_settled
        self.has_referred = has_referred
        self.keypad = keypad
        self._rseq = rseq
        self._overtaken = overtaken
        self._unacknowledged = unacknowledged
        self._is_of_last_attempt = is_of_last_attempt
        self._last_tag = last_tag
        self._resumed_sequence = self._invite if resumed_sequence is None else resumed_sequence
        self._shown = shown
        self._sent_early_media = sent_early_media
        self._waiting_rings = waiting_rings
        self._waiting_answer = waiting_answer
        self._proposing = proposing
        self._valid_s = valid_s
        self._expiry = expiry


def _valid_s(request: Request) -> int | None:
    """Return the Expires header of an INVITE in seconds; None if it has none, or one that no call reaches."""
    value = request.header("expires") or ""
    if not (value.isascii() and value.isdigit() and len(value) <= 10):
        return None
    valid_s = int(value)
    return valid_s if valid_s <= VALID_MAX_S else None
