"""Numbers that were given to customers (DIDs): which account has each, and what rings when it is called."""

from bisect import bisect_right
from collections.abc import Iterable

import msgspec

from vosd.trunks.ringing import RingOrder


class Did(msgspec.Struct, frozen=True):
    """A number, or a range of numbers, of the inventory."""

    number: str
    """As written: digits, or the first and the last one with a hyphen."""
    account: str | None = None
    """Id of the account that has it; None = it is free."""
    trunk: str | None = None
    """The routing gateway, or the mapping gateway that registers here, that its calls go to."""
    phones: tuple[str, ...] = ()
    """Numbers of the phones that ring."""
    ring: RingOrder = RingOrder.IN_TURN
    ring_timeout_ms: int = 20_000
    calendar: str | None = None
    """Name of the calendar at whose times trunk and phones are called; None = always."""
    otherwise: tuple[str, ...] = ()

    @property
    def first(self) -> str:
        """The first number."""
        return self.number.partition("-")[0]

    @property
    def last(self) -> str:
        """The last number."""
        return self.number.rpartition("-")[2]


class OverlapError(ValueError):
    """Two entries have a number in common; ``names`` are both."""

    def __init__(self, *names: str) -> None:
        super().__init__(f"{names[0]} and {names[1]} have numbers in common")
        self.names = names


class DidTable:
    """Finds the entry of a number; ranges are searched by halves."""

    def __init__(self, dids: Iterable[Did]) -> None:
        """Raise OverlapError where two entries have a number in common."""
        self._ranges = sorted(dids, key=lambda did: (len(did.first), did.first))
        self._first = [(len(did.first), did.first) for did in self._ranges]
        for before, after in zip(self._ranges, self._ranges[1:], strict=False):
            if len(before.last) == len(after.first) and after.first <= before.last:
                raise OverlapError(before.number, after.number)

    def entries(self) -> frozenset[str]:
        """Return the number or range of each entry."""
        return frozenset(did.number for did in self._ranges)

    def find(self, number: str) -> Did | None:
        """Return the entry of a number in digits, or None."""
        at = bisect_right(self._first, (len(number), number)) - 1
        if at < 0:
            return None
        found = self._ranges[at]
        return found if len(found.last) == len(number) and number <= found.last else None
