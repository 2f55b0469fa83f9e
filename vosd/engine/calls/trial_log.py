"""Terms of a test call, and its steps as an operator sees them."""

from typing import Final

import msgspec

from vosd.b2bua.stamps import Journey
from vosd.base.clock import Instant
from vosd.base.money import ZERO, format_amount
from vosd.cdr.record import CallRecord
from vosd.control.calls import TrialReport, TrialResult, TrialStep
from vosd.routing.pipeline import RouteChoice
from vosd.sip.headers.reason import q850_cause, reason_text
from vosd.sip.wire.message import Response

_CANCELLED: Final = 487


class TrialOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The call to make."""

    callee: str
    caller: str = ""
    is_ring_only: bool = False
    """Cancel it as soon as it rings."""
    talk_ms: int = 5_000
    """Hang up so long after the answer."""


class TrialLog:
    """The steps of a test call, and the figures of its outcome."""

    def __init__(self, order: TrialOrder, began: Instant) -> None:
        self._order, self._began = order, began
        self.steps: list[TrialStep] = []
        """Steps of the call so far."""
        self.pdd_ms: int | None = None
        self.code = 0
        """Code of the final response; 0 = there is none."""
        self.reason: str | None = None
        """Reason in the vendor's words when it refused or hung up."""
        self.has_responded = False

    def note(self, what: str, now: Instant) -> None:
        """Add a step."""
        self.steps.append(TrialStep(self._since_invite(now), what))

    def responded(self, response: Response, now: Instant) -> None:
        """Add a response of the vendor; the first that rings or answers ends the delay after dialling."""
        self.has_responded = True
        said = words_of(response)
        self.note(f"{response.status} {said}", now)
        if response.status >= 200:
            self.code = response.status
        if response.status >= 300:
            self.reason = said
        elif response.status >= 180 and self.pdd_ms is None:
            self.pdd_ms = self._since_invite(now)

    def result(self, record: CallRecord | None) -> TrialResult:
        """Return what has come of the call; ``record`` is that of an answered one."""
        if record is not None:
            return TrialResult.ANSWERED
        if self.code >= 300 and self.code != _CANCELLED:
            return TrialResult.REFUSED
        if self._order.is_ring_only and self.pdd_ms is not None:
            return TrialResult.RANG
        return TrialResult.NO_ANSWER if self.has_responded else TrialResult.NO_RESPONSE

    def report(self, choice: RouteChoice, journey: Journey, record: CallRecord | None) -> TrialReport:
        """Return the outcome."""
        return TrialReport(
            result=self.result(record),
            routing_gateway=choice.gateway.name,
            address=journey.destination_address,
            caller_out=choice.caller_out,
            callee_out=choice.callee_out,
            code=self.code or None,
            reason=self.reason,
            pdd_ms=self.pdd_ms,
            codec=journey.codec,
            talk_ms=None if record is None else record.ended_at - (record.vendor_answered_at or record.ended_at),
            call_id=None if record is None else record.call_id,
            vendor_account=choice.gateway.account,
            vendor_billed_seconds=0 if record is None else record.vendor_billed_seconds,
            cost=format_amount(ZERO if record is None else record.cost),
            cost_tax=format_amount(ZERO if record is None else record.cost_tax),
            vendor_currency=None if record is None else record.vendor_currency,
            steps=list(self.steps),
        )

    def _since_invite(self, now: Instant) -> int:
        return max(0, now.came.mono - self._began.mono)


def words_of(response: Response) -> str:
    """Return the reason phrase of a response, and the text and cause of its Reason header."""
    text, cause = reason_text(response), q850_cause(response)
    more = [f"Q.850 cause {cause}"] if cause is not None else []
    return ", ".join([response.reason, *([text] if text else []), *more])
