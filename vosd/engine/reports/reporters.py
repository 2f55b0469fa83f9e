"""Several programs that want to know the states of calls, behind the one place that calls report to."""

from collections.abc import Callable

from vosd.b2bua.stamps import Arrival, Journey
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.ports import CallReporter
from vosd.cdr.record import CallRecord
from vosd.routing.pipeline import RouteChoice


class CallReporters:
    """Reporters that come and go; calls report to the only one directly, and to none while there is none."""

    def __init__(self, attach: Callable[[CallReporter | None], None]) -> None:
        self._attach = attach
        self._present: dict[int, CallReporter] = {}
        self._places = 0

    def place(self) -> Callable[[CallReporter | None], None]:
        """Return a function that has calls report to one reporter more, or (None) to it no more."""
        self._places += 1
        number = self._places

        def attach(reporter: CallReporter | None) -> None:
            if reporter is None:
                self._present.pop(number, None)
            else:
                self._present[number] = reporter
            present = tuple(self._present.values())
            self._attach(_All(present) if len(present) > 1 else present[0] if present else None)

        return attach


class _All:
    """Passes each report to several reporters."""

    def __init__(self, reporters: tuple[CallReporter, ...]) -> None:
        self._reporters = reporters

    def trying(
        self, arrival: Arrival, journey: Journey, request: CallRequest, choice: RouteChoice, mono_ms: int, /
    ) -> None:
        for each in self._reporters:
            each.trying(arrival, journey, request, choice, mono_ms)

    def ringing(self, arrival: Arrival, journey: Journey, request: CallRequest, /) -> None:
        for each in self._reporters:
            each.ringing(arrival, journey, request)

    def answered(self, arrival: Arrival, journey: Journey, request: CallRequest, /) -> None:
        for each in self._reporters:
            each.answered(arrival, journey, request)

    def ended(self, record: CallRecord, /) -> None:
        for each in self._reporters:
            each.ended(record)

    def lost(self, call_id: str, /) -> None:
        for each in self._reporters:
            each.lost(call_id)
