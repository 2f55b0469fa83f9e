"""Where calls are written down, as the switch sees it: the journal and the recorder behind one door."""

from typing import Protocol

from vosd.callcontrol.bookkeeping import OpenCall
from vosd.cdr.record import CallRecord


class CallSink(Protocol):
    """Where ended calls go; the recorder and the journal behind one door."""

    @property
    def refuses_calls(self) -> bool:
        """Whether so much waits to be written that no new call may be taken."""
        ...

    def answered(self, call: OpenCall) -> bool:
        """Keep an answered call; False where it cannot be written down, then it must not be answered."""
        ...

    def moved(self, call: OpenCall) -> None:
        """Keep an answered call as it is now: its sides are elsewhere."""
        ...

    def ended(self, record: CallRecord) -> None:
        """Keep an ended call and book it."""
        ...
