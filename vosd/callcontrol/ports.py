"""Ports of live calls: the sink of their records, and those who follow calls, people and other programs."""

from typing import Protocol

from vosd.b2bua.call import Call
from vosd.b2bua.stamps import Arrival, Journey
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.open_call import Description, OpenCall
from vosd.cdr.record import CallRecord
from vosd.routing.pipeline import RouteChoice


class CallSink(Protocol):
    """Sink of answered and ended calls: the journal and the recorder behind one port."""

    @property
    def refuses_calls(self) -> bool:
        """Whether so many records wait to be written that new calls must be refused."""

    def answered(self, call: OpenCall, description: Description) -> bool:
        """Journal an answered call; False if it cannot be written: the call must not be answered then."""

    def acknowledged(self, call_id: str, mono: int) -> None:
        """Journal with the next mark of time when the caller acknowledged our 200: it is not sent again."""

    def moved(self, call_id: str, *, at_once: bool = False) -> None:
        """Journal an answered call again before anything more is sent: a leg or its session has changed.

        Unless ``at_once``, a call that changes more than once a second waits for the next mark of time.
        """

    def answered_in_vain(self, call_id: str, sip_call_id: str) -> None:
        """Journal that what the late answer to an INVITE costs is booked: it is not booked again behind a kill."""

    def has_ended(self, call_id: str) -> bool:
        """Return whether a record of this id waits for its booking, perhaps one of an earlier process."""

    def ended(self, record: CallRecord) -> None:
        """Journal an ended call, and book it."""


class CallObserver(Protocol):
    """Reports the set-up and the end of calls to people who follow them."""

    @property
    def are_present(self) -> bool:
        """Whether anyone follows calls; reports for them alone need not be made otherwise."""

    def attempted(self, call: Call, call_request: CallRequest, gateway: str, /) -> None:
        """Note that a gateway is about to be tried for a call."""

    def ended(self, arrival: Arrival, journey: Journey, record: CallRecord, /) -> None:
        """Note how a call ended, or was refused."""


class CallReporter(Protocol):
    """Reports each change of the state of a call to another program; it never raises, and returns at once."""

    def trying(
        self, arrival: Arrival, journey: Journey, request: CallRequest, choice: RouteChoice, mono_ms: int, /
    ) -> None:
        """Report that a gateway is about to be tried, at ``mono_ms`` of the monotonic clock."""

    def ringing(self, arrival: Arrival, journey: Journey, request: CallRequest, /) -> None:
        """Report that a gateway rings, once for each attempt."""

    def answered(self, arrival: Arrival, journey: Journey, request: CallRequest, /) -> None:
        """Report that the caller gets a 200."""

    def ended(self, record: CallRecord, /) -> None:
        """Report that a call has ended, or was refused."""

    def lost(self, call_id: str, /) -> None:
        """Report that a call without an answer has ended with the process that was killed before this one."""
