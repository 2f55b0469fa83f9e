"""A call as a vendor bills it, and as this switch has sent it to the vendor."""

from collections.abc import Sequence
from decimal import Decimal
from enum import Enum
from typing import Final, NamedTuple

import msgspec

ANY_NUMBER: Final = "*"
"""Prefix of a rate that is for all numbers."""
_INTERNATIONAL: Final = "00"


class BillClass(Enum):
    """Outcome of the comparison of one call."""

    MATCHED = "matched"
    MISSING_HERE = "missing_here"
    """The vendor bills a call that this switch has not sent to it."""
    MISSING_THERE = "missing_there"
    """The vendor does not bill a call that this switch has booked a cost for."""
    DURATION_DIFFERS = "duration_differs"
    UNIT_DIFFERS = "unit_differs"
    RATE_DIFFERS = "rate_differs"
    ROUNDING_DIFFERS = "rounding_differs"


class BilledCall(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A row of a vendor's file; times are UTC milliseconds."""

    at: int
    """The moment by which calls are matched: the start that the file has."""
    number: str
    """Called number in the form that is compared."""
    line: int
    caller: str
    """Calling number in the form that is compared; empty = the file has none."""
    duration_ms: int
    billed_seconds: int | None
    """None = the file does not say it."""
    price: Decimal | None
    """None = the file does not say it."""
    again_ms: int = 0
    """Milliseconds after which the clocks of the file showed this start once more; 0 = they did not."""

    def moved(self) -> "BilledCall":
        """Return the row at the other of both times that its start may mean."""
        return msgspec.structs.replace(self, at=self.at + self.again_ms, again_ms=-self.again_ms)


class SentCall(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A call that this switch has sent to the vendor; times are UTC milliseconds."""

    at: int
    number: str
    call_id: str
    caller: str
    duration_ms: int
    """Milliseconds that the cost is for."""
    from_invite_ms: int
    """Milliseconds from the INVITE to the vendor until the end."""
    billed_seconds: int
    cost: Decimal
    """With tax where the prices of the vendor contain it."""
    prefix: str
    """Prefix of the rate; empty = the call had none."""
    gateway: str
    started_at: int
    rated_number: str
    hides_caller: bool = False
    """The vendor was not sent the calling number."""

    @property
    def rated_caller(self) -> str:
        """The calling number that the vendor's rate depends on."""
        return "" if self.hides_caller else self.caller


class CallPair(NamedTuple):
    """One call of both books, or of one of them."""

    ours: SentCall | None
    theirs: BilledCall | None
    is_repeated: bool = False
    """Whether the vendor bills the same call by another row, too."""


def comparable(number: str, strip: Sequence[str] = ()) -> str:
    """Return a number without separators in the form that is compared: no plus sign, no international prefix 00.

    Of ``strip`` the first beginning that fits is taken off before.
    """
    prefix = next((each for each in strip if each and number.startswith(each)), "")
    return number[len(prefix) :].removeprefix("+").removeprefix(_INTERNATIONAL)


def comparable_beginning(prefix: str, strip: Sequence[str] = ()) -> str:
    """Return the beginning of the compared form of every number to which the prefix of a rate applies.

    It is empty where the prefix says nothing of that form: the rate is for all numbers, or the digits may be taken off.
    """
    if prefix == ANY_NUMBER or (prefix and any(each.startswith(prefix) for each in (*strip, _INTERNATIONAL))):
        return ""
    beginning = comparable(prefix, strip)
    return "" if _INTERNATIONAL.startswith(beginning) else beginning
