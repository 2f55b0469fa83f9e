"""The kinds of calls: between which parties, how they agree on a session, what they change, and how they end."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import cycle
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from .sides import Side


class Change(Enum):
    """What becomes of a call between two restarts."""

    NONE = "none"
    HOLD = "hold"
    """One side holds before the first restart, takes it back after it, and holds again."""
    UPDATE = "update"
    KEYS = "keys"
    REFRESH = "refresh"
    """The caller refreshes its session."""
    TRANSFER = "transfer"
    IN_FLIGHT = "in flight"
    """A change of session waits for the answer of the other side when the switch is killed."""


class End(Enum):
    """How a call ends."""

    CALLER = "caller"
    CALLEE = "callee"
    MONEY = "Balance Exhausted"
    LONGEST = "Maximum Duration"
    EXPIRY = "Session Timeout"


class Kind(NamedTuple):
    """A kind of call."""

    name: str
    caller: str = "pbx"
    callee: str = "carrier"
    offers_late: bool = False
    """The INVITE has no session description: the ACK has the answer."""
    is_reliable: bool = False
    """Its provisional responses are reliable (RFC 3262)."""
    session_s: int = 0
    """The caller asks for a session of this length, which it refreshes; 0 = it knows no session timers."""
    refreshed_s: int = 0
    """The callee has a session of this length, which the switch refreshes."""
    change: Change = Change.NONE
    acknowledges_late: bool = False
    """The caller's ACK comes after the first restart."""
    begins_last: bool = False
    """It begins after the last restart."""
    end: End | None = None
    """None = half of them by either side."""
    routing_gateway: str = ""
    """Where it is not the callee's name."""


ORDINARY: Final = (
    Kind("plain"),
    Kind("held by the caller", change=Change.HOLD),
    Kind("late offer", offers_late=True),
    Kind("late offer, held", offers_late=True, change=Change.HOLD),
    Kind("reliable", is_reliable=True),
    Kind("from TCP", caller="tcp-pbx"),
    Kind("from TCP, held", caller="tcp-pbx", change=Change.HOLD),
    Kind("to TCP", callee="tcp-carrier"),
    Kind("TCP on both sides, updated", caller="tcp-pbx", callee="tcp-carrier", change=Change.UPDATE),
    Kind("behind NAT", caller="nat-pbx"),
    Kind("behind NAT, held", caller="nat-pbx", change=Change.HOLD),
    Kind("from a phone", caller="phone"),
    Kind("from a phone, keys", caller="phone", change=Change.KEYS),
    Kind("to a phone", callee="phone"),
    Kind("to a phone, held", callee="phone", change=Change.HOLD),
    Kind("from a phone over TCP", caller="tcp-phone"),
    Kind("to a phone over TCP", callee="tcp-phone"),
    Kind("from phone to phone", caller="phone", callee="phone"),
    Kind("session refreshed by the caller", session_s=1_800, change=Change.REFRESH),
    Kind("session refreshed by the switch", refreshed_s=1_800),
    Kind("session refreshed on both sides", session_s=1_800, refreshed_s=1_800, change=Change.REFRESH),
    Kind("updated", change=Change.UPDATE),
    Kind("keys", change=Change.KEYS),
    Kind("transferred", change=Change.TRANSFER),
    Kind("in flight", change=Change.IN_FLIGHT),
    Kind("late offer, acknowledged late", offers_late=True, acknowledges_late=True),
    Kind("new, to a phone", callee="phone", begins_last=True),
    Kind("new, between phones over TCP", caller="tcp-phone", callee="tcp-phone", begins_last=True),
    Kind("new, over TCP", caller="tcp-pbx", callee="tcp-carrier", begins_last=True),
)
"""What is repeated until there are enough calls."""

LIMITED: Final = Kind("longest", caller="short-pbx", end=End.LONGEST)
LONG: Final = (Kind("money", caller="poor-pbx", end=End.MONEY), Kind("expiry", session_s=90, end=End.EXPIRY))
"""A minute of money, which is the least that is reserved at a time; and a session interval after the last restart."""
LASTS_S: Final = {End.LONGEST: 12.0, End.MONEY: 60.0}
"""How long calls are that a limit ends."""


@dataclass(eq=False)
class Call:
    """One call, and its two ends."""

    kind: Kind
    number: str
    end: End
    routing_gateway: str
    mapping_gateway: str
    caller: "Side | None" = None
    callee: "Side | None" = None
    is_transferred: bool = False
    """It is the one that a transfer has begun: its caller is the other side of ``joined``."""
    joined: "Call | None" = None

    def __str__(self) -> str:
        return f"{self.number} ({self.kind.name}, to be ended by {self.end.value}): {self.caller}; {self.callee}"

    @property
    def is_up(self) -> bool:
        """Whether both sides talk."""
        sides = [self.callee] if self.is_transferred else [self.caller, self.callee]
        return all(side is not None and side.answered_at is not None for side in sides)

    @property
    def ends(self) -> "list[Side]":
        """The sides that talk at last."""
        other = self.caller if self.joined is None else self.joined.callee
        return [side for side in (self.callee, other) if side is not None]


def kinds(number: int, *, is_long: bool) -> Iterator[Kind]:
    """Return the kinds of so many calls."""
    ending = [LIMITED, LIMITED, *(LONG * 3 if is_long else ())]
    yield from ending
    for _, kind in zip(range(number - len(ending)), cycle(ORDINARY), strict=False):
        yield kind
