"""A doorkeeper that a test tells what to do with each message of a leg (ADR 117)."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from vosd.base.clock import Instant
from vosd.sip.door.door import DoorOwner, MessageChange, MessageWait, WaitingMessage
from vosd.sip.door.messages import (
    Outgoing,
    OutgoingAck,
    OutgoingBye,
    OutgoingCancel,
    OutgoingInvite,
    OutgoingReinvite,
    OutgoingReliable,
    OutgoingRequest,
    OutgoingResponse,
    OutgoingSuccess,
)

if TYPE_CHECKING:
    from doubles.virtual.exchange import Exchange


def title_of(message: Outgoing) -> str:
    """Return what a test calls a message: its method, or its status with the method of the request."""
    match message:
        case OutgoingResponse() | OutgoingReliable():
            return f"{message.status} {message.transaction.stem.cseq.split()[1]}"
        case OutgoingSuccess():
            return "200 INVITE"
        case OutgoingInvite():
            return "INVITE"
        case OutgoingReinvite():
            return "re-INVITE"
        case OutgoingRequest():
            return message.method
        case OutgoingAck():
            return "ACK"
        case OutgoingCancel():
            return "CANCEL"
        case OutgoingBye():
            return "BYE"
    raise TypeError(message)


class Treatment(NamedTuple):
    """What becomes of a message."""

    after_ms: int | None = None
    """When its answer comes; 0 = at once, None = never."""
    change: MessageChange = MessageChange()
    longest_ms: int = 1_000
    may_leave: bool = True


class ScriptedDoorkeeper:
    """Treats each message by its title; those without a treatment leave at once."""

    def __init__(self, treatments: Mapping[str, Treatment]) -> None:
        self.treatments = treatments
        self.exchange: Exchange
        """Set before the first message."""
        self.seen: list[str] = []
        self.forgotten: list[str] = []
        self.waiting: list[WaitingMessage] = []
        """Messages that wait for an answer, or did."""
        self.taken: list[bool] = []
        """Whether each answer was taken."""
        self.then: Callable[[WaitingMessage], None] = lambda _waiting: None
        """Called for each message that is to wait."""
        self.examined: Callable[[WaitingMessage], None] = lambda _waiting: None
        """Called for each message; may raise."""
        self.is_forgotten: Callable[[WaitingMessage], None] = lambda _waiting: None
        """Called for each message whose answer is not needed any more; may raise."""

    def passes(self, message: Outgoing, owner: DoorOwner) -> bool:
        """Examine every message (``Doorkeeper``)."""
        return False

    def examine(self, waiting: WaitingMessage, now: Instant) -> MessageChange | MessageWait | None:
        """Do with a message what the test wants (``Doorkeeper``)."""
        title = title_of(waiting.message)
        self.seen.append(title)
        self.examined(waiting)
        treatment = self.treatments.get(title)
        if treatment is None:
            return None
        if treatment.after_ms == 0:
            return treatment.change
        self.waiting.append(waiting)
        if treatment.after_ms is not None:
            self.exchange.wire.after(treatment.after_ms, lambda: self.answer(waiting, treatment.change))
        self.then(waiting)
        return MessageWait(treatment.longest_ms, treatment.may_leave)

    def forget(self, waiting: WaitingMessage) -> None:
        """Note that an answer is not needed any more (``Doorkeeper``)."""
        self.forgotten.append(title_of(waiting.message))
        self.is_forgotten(waiting)

    def number_of_leg(self) -> int:
        """Have no descriptions marked (``Doorkeeper``)."""
        return 0

    def leg_over(self, owner: DoorOwner, now: Instant) -> None:
        """Keep nothing of legs (``Doorkeeper``)."""

    def refuses(
        self, session: bytes, author: DoorOwner, reader: DoorOwner, now: Instant, *, is_final: bool = False
    ) -> bool:
        """Refuse no description (``Doorkeeper``)."""
        return False

    def answer_kept(self, author: DoorOwner, reader: DoorOwner, now: Instant) -> None:
        """Nothing is given an answer that its reader is not sent."""

    def session_returned(self, author: DoorOwner, reader: DoorOwner, now: Instant) -> None:
        """Keep nothing of descriptions (``Doorkeeper``)."""

    def offer_forgotten(self, owner: DoorOwner, now: Instant) -> None:
        """Keep nothing of offers (``Doorkeeper``)."""

    def answer(self, waiting: WaitingMessage, change: MessageChange | None) -> None:
        """Answer for a message."""
        self.taken.append(waiting.answer(change, self.exchange.clock.now()))
        self.exchange.flush()
