"""Calls as both sides see them."""

from dataclasses import dataclass, field
from enum import Enum, auto

from doubles.sockets.peer import Message

from .lines import Line


class Kind(Enum):
    """What distinguishes a call from a plain one."""

    PLAIN = auto()
    HELD = auto()
    """The caller holds it and resumes it."""
    OVER_TCP = auto()
    """The caller is on TCP."""
    TO_PHONE = auto()
    """The callee is a registered telephone."""
    TRANSFERRED = auto()
    """The caller connects the callee with another one."""


@dataclass(eq=False)
class Leg:
    """One call of the switch at a vendor, or at a telephone."""

    call: "Call"
    invite: Message
    line: Line
    answered_at: float | None = None
    is_acknowledged: bool = False
    is_over: bool = False
    last_status: int = 100


@dataclass(eq=False)
class Call:
    """One call of the customer, and what came of it at the other side; times in seconds of one clock."""

    kind: Kind
    line: Line
    caller: str
    number: str
    call_id: str
    talk_s: float
    ring_s: float
    is_ended_by_caller: bool
    statuses: list[int] = field(default_factory=list)
    trying_at: float | None = None
    """When the first response came."""
    answer: Message | None = None
    answered_at: float | None = None
    bye_at: float | None = None
    """When the side that hangs up said so first."""
    bye_confirmed_at: float | None = None
    bye_status: int | None = None
    """The final response to the BYE."""
    is_caller_told: bool = False
    """Whether the caller has got a BYE."""
    legs: list[Leg] = field(default_factory=list)
    holds: set[int] = field(default_factory=set)
    """CSeq of the re-INVITEs of the caller that have a final response."""
    are_held: int = 0
    """How many of them were 2xx."""
    targets: list[Leg] = field(default_factory=list)
    """Legs to the party with which the callee is to be connected."""
    referred_at: float | None = None
    is_referred: bool = False
    """Whether the REFER has a final response."""
    is_transferred: bool = False
    """Whether the caller has got the BYE of the transfer."""

    @property
    def has_left_transfer(self) -> bool:
        """Whether the caller has hung up before the transfer was done, or at the same time."""
        return self.referred_at is not None and not self.is_transferred

    @property
    def was_forgotten(self) -> bool:
        """Whether the switch did not know the call any more when its BYE came, or came again.

        A switch that is killed while it hangs up on a transferor goes on with the two others alone (ADR 67).
        """
        return self.bye_status == 481 and not self.has_left_transfer

    @property
    def target(self) -> str:
        """The number of that party."""
        return f"{self.number}9"

    @property
    def is_decided(self) -> bool:
        return any(status >= 200 for status in self.statuses)

    @property
    def is_ending(self) -> bool:
        return self.bye_at is not None or self.is_caller_told

    @property
    def is_finished(self) -> bool:
        """Whether neither side believes that anything of it goes on."""
        if not self.is_decided or not all(leg.is_over for leg in (*self.legs, *self.targets)):
            return False
        return self.answer is None or (
            self.bye_confirmed_at is not None and (self.is_ended_by_caller or self.is_caller_told)
        )

    def bounds_s(self) -> tuple[float, float]:
        """Return the shortest and the longest duration that a switch between the two sides may have seen."""
        assert self.answered_at is not None
        assert self.bye_at is not None
        assert self.bye_confirmed_at is not None
        vendor = min(leg.answered_at for leg in self.legs if leg.answered_at is not None)
        return self.bye_at - self.answered_at, self.bye_confirmed_at - vendor

    def __str__(self) -> str:
        legs = [(leg.last_status, leg.is_acknowledged, leg.is_over) for leg in (*self.legs, *self.targets)]
        side = "caller" if self.is_ended_by_caller else "callee"
        return (
            f"{self.call_id} ({self.kind.name}), to be ended by the {side}: {self.statuses}, "
            f"answered {self.answered_at}, BYE {self.bye_at} confirmed {self.bye_confirmed_at}, "
            f"told {self.is_caller_told}, at the vendor (status, acknowledged, over) {legs}"
        )
