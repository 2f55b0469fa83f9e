"""What a call occupies while it lasts, and how that is released."""

from typing import Protocol

import msgspec

from vosd.routing.capacity import Occupancy
from vosd.trunks.scope import Scope


class Taken(Protocol):
    """Something that a call occupies."""

    def give_back(self) -> None:
        """Release it at the end of the call."""
        ...

    def undo(self) -> None:
        """Release it as if it had never been taken, because the call is refused."""
        ...


class PlaceTaken(msgspec.Struct, frozen=True, gc=False):
    """One of the concurrent calls of a gateway or account, and one of its calls of the last second."""

    occupancy: Occupancy
    scope: Scope
    name: str
    mono_ms: int
    """When it was taken."""

    def give_back(self) -> None:
        """Release the concurrent call; the calls of the last second still include it."""
        self.occupancy.release(self.scope, self.name)

    def undo(self) -> None:
        """Release both."""
        self.occupancy.undo(self.scope, self.name, self.mono_ms)
