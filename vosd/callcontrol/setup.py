"""The set-up of a call: the steps that decide whether it is accepted, by which gateways and at what price (ADR 35).

A call and ``vosd route explain`` go through the same tuple of steps. A step lets the call proceed, refuses it, or asks
a question that may take time: an HTTP lookup, a redirect server, RADIUS, a media engine, limits that machines share.
While a question is open the call exists in ``CallState.SETUP`` and its one timer carries the question's deadline.

Pure: the question is asked through the ``Asker`` port, and the answer comes back as an event of the call.
"""

from collections.abc import Iterator
from operator import length_hint
from typing import Final

import msgspec

from vosd.b2bua.ports import SetupAnswer
from vosd.base.clock import Instant
from vosd.base.errors import Refusal
from vosd.callcontrol.admission import Admission, StepOutOfOrderError
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.number_billing import bill_number
from vosd.callcontrol.number_tools import ask_redirect_server, check_caller, find_routing_number
from vosd.callcontrol.questions import Ask, Outcome, SetupQuestion, Step
from vosd.callcontrol.signatures import verify_caller

STEPS: Final[tuple[Step, ...]] = (
    Admission.identify, Admission.check_open, Admission.check_loop, Admission.check_gateway, verify_caller,
    Admission.check_number, bill_number, check_caller, Admission.check_account, find_routing_number,
    Admission.find_sell_rate, ask_redirect_server, Admission.find_routes, Admission.take_hold,
)  # fmt: skip
"""The steps in their order; the first refusal ends the set-up. A step that asks comes after ``identify``."""


class Setup(msgspec.Struct, eq=False):
    """The set-up of one call; it uses the catalogue that it began with, even after a reload."""

    admission: Admission
    call_request: CallRequest
    steps: Iterator[Step]
    """Steps that are left: the set-up goes on behind the step that has asked."""
    asked: Ask | None = None
    """The question that is open, if there is one."""
    number: int = 0
    """Number of the latest question."""
    step: str = ""
    """Name of the step that has asked it."""

    @classmethod
    def resumed(
        cls,
        admission: Admission,
        call_request: CallRequest,
        steps: tuple[Step, ...],
        steps_left: int,
        number: int,
        step: str,
    ) -> "Setup":
        """Return the set-up of a call that is restored: the ``step`` that has asked is run again, for its question.

        ``steps_left`` are those behind it, as the version had them that has asked; they find a step that has another
        name now. If the step asks no more, under another catalogue or version, its outcome applies when the deadline
        has passed.

        Raises:
            StepOutOfOrderError: there are fewer steps now, or the step occupies something before the answer.
        """
        names, asking = [each.__name__ for each in steps], len(steps) - steps_left - 1
        if step in names and (asking < 0 or names[asking] != step):  # this version has it at another place
            asking = names.index(step)
        if asking < 0:
            raise StepOutOfOrderError(f"{steps_left} steps are left of {len(steps)}")
        setup = cls(admission, call_request, iter(steps[asking + 1 :]))
        taken = len(call_request.taken)
        outcome = steps[asking](admission, call_request)
        if len(call_request.taken) != taken:
            raise StepOutOfOrderError("a step that asks occupies something before the answer")
        setup.asked = outcome if isinstance(outcome, Ask) else _decided(outcome)
        setup.number, setup.step = number, step
        return setup

    @property
    def steps_left(self) -> int:
        """Return the number of steps behind the one that has asked."""
        return length_hint(self.steps)

    def advance(self) -> Outcome:
        """Run the steps until one refuses or asks; None = all have passed.

        What was taken is released if one refuses, or raises an error.
        """
        admission, call_request = self.admission, self.call_request
        try:
            for step in self.steps:
                outcome = step(admission, call_request)
                if outcome is not None:
                    self.step = step.__name__
                    return self._stop(outcome)
        except Exception:
            call_request.give_back()
            raise
        return None

    def settle(self, answer: SetupAnswer, now: Instant) -> Outcome:
        """Go on with the answer to the open question.

        An answer of the wrong type counts as none. Limits use ``now`` from here on; rates and the account are those
        of the arrival of the INVITE (ADR 36).
        """
        asked, self.asked = self.asked, None
        if asked is None:
            raise StepOutOfOrderError("no question is open")
        self.call_request.at = Instant(now.mono, self.call_request.at.wall, now.waited_ms)
        outcome = asked.then(answer) if isinstance(answer, asked.question.answered_by) else asked.otherwise
        return self.advance() if outcome is None else self._stop(outcome)

    def _stop(self, outcome: Refusal | Ask) -> Refusal | Ask:
        if isinstance(outcome, Refusal):
            self.call_request.refusal = outcome.detail
            self.call_request.undo()
            return outcome
        if self.call_request.mapping is None:  # the caller's leg and its record need to know the trunk
            raise StepOutOfOrderError("a step asks before the call is identified")
        self.asked = outcome
        self.number += 1
        return outcome


def _decided(outcome: Refusal | None) -> Ask:
    """Return a question that has the same outcome whatever is answered."""
    return Ask(SetupQuestion(), 0, outcome, lambda _answer: outcome)
