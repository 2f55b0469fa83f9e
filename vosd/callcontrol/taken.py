"""What a call occupies while it lasts, and how that is released."""

import msgspec

from vosd.billing.call_hold import CallHold
from vosd.callcontrol.destinations import WatchedCall
from vosd.routing.capacity import Occupancy
from vosd.routing.dynamic_lists import CountedCall
from vosd.trunks.scope import Scope


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


Taken = PlaceTaken | CallHold | CountedCall | WatchedCall
"""What a call occupies: ``give_back`` releases it at the end of the call, ``undo`` as if it had never been taken.

The kinds are listed, and not a protocol, so that a type check finds each place that has to know a new one: the snapshot
of a call has to say what becomes of it in another process (``engine.calls.request_snapshot``).
"""
