"""What live calls need of the engine around them: where they are written down, and who watches them."""

from typing import Protocol

from vosd.b2bua.call import Call
from vosd.b2bua.stamps import Arrival, Journey
from vosd.callcontrol.admission import CallRequest
from vosd.callcontrol.bookkeeping import OpenCall
from vosd.cdr.record import CallRecord


class CallSink(Protocol):
    """Where calls are written down: the journal and the recorder behind one port."""

    @property
    def refuses_calls(self) -> bool:
        """Whether so much waits to be written that no new call may be taken."""
        ...

    def answered(self, call: OpenCall) -> bool:
        """Keep an answered call; False where it cannot be written down, then it must not be answered."""
        ...

    def moved(self, call: OpenCall) -> None:
        """Keep an answered call as it is now: a side has another address, or is another one."""
        ...

    def ended(self, record: CallRecord) -> None:
        """Keep an ended call and book it."""
        ...


class CallObserver(Protocol):
    """Is told of the calls that are set up and end, for people who follow them."""

    @property
    def are_present(self) -> bool:
        """Whether anyone follows calls: what is only for them need not be made otherwise."""
        ...

    def attempted(self, call: Call, call_request: CallRequest, gateway: str, /) -> None:
        """Note that a gateway is about to be tried for a call."""
        ...

    def ended(self, arrival: Arrival, journey: Journey, record: CallRecord, /) -> None:
        """Note how a call ended, or was refused."""
        ...
