"""The set-up of a call: the steps that decide whether it is accepted, by which gateways and at what price (ADR 35).

A call and ``vosd route explain`` go through the same tuple of steps. A step lets the call proceed, refuses it, or asks
a question that may take time: an HTTP lookup, a redirect server, RADIUS, a media engine, limits that machines share.
While a question is open the call exists in ``CallState.SETUP`` and its one timer carries the question's deadline.

Pure: the question is asked through the ``Asker`` port, and the answer comes back as an event of the call.
"""

from collections.abc import Callable, Iterator
from typing import ClassVar, Final, NamedTuple, Protocol

import msgspec

from vosd.b2bua.ports import Answer
from vosd.base.clock import Instant
from vosd.base.errors import Refusal
from vosd.callcontrol.admission import Admission, CallRequest, StepOutOfOrderError


class Unanswered(Answer, frozen=True):
    """There is no answer and there will be none: ``Ask.otherwise`` holds."""

    why: str = ""


class Question(msgspec.Struct, frozen=True):
    """A question that has to be answered before a call is set up further; all that the answer depends on is in it."""

    answered_by: ClassVar[type[Answer]] = Answer
    """The kind of answer that fits. Another kind counts as no answer."""


class Ticket(NamedTuple):
    """Names one question of one call."""

    call_id: str
    number: int
    """Counts the questions of the call from 1."""


class Asker(Protocol):
    """Brings questions to those who can answer them; I/O happens behind it, never within a call of these methods."""

    def ask(self, ticket: Ticket, question: Question) -> Answer | None:
        """Return the answer where it is known at once. None: it is given to ``Switch.take_answer`` with the ticket."""
        ...

    def cancel(self, ticket: Ticket) -> None:
        """Stop looking for an answer: the deadline has passed, or the call is over."""
        ...


class CannotAsk:
    """The asker of a switch that has none: every question is unanswered at once."""

    def ask(self, _ticket: Ticket, question: Question) -> Answer | None:
        """Return that there is no answer."""
        return Unanswered(f"nothing answers {type(question).__name__} here")

    def cancel(self, _ticket: Ticket) -> None:
        """Do nothing: no question of this asker stays open."""


class Ask(NamedTuple):
    """A step cannot decide before ``question`` is answered."""

    question: Question
    deadline_ms: int
    """For how long the call waits for the answer."""
    otherwise: Refusal | None
    """What holds without an answer in time: a refusal, or None = proceed."""
    then: Callable[[Answer], Refusal | None]
    """Takes the answer, which is of the kind that the question wants, and decides."""


Outcome = Refusal | Ask | None
"""What a step says; None = proceed."""

Step = Callable[[Admission, CallRequest], Outcome]

STEPS: Final[tuple[Step, ...]] = (
    Admission.identify,
    Admission.check_enabled,
    Admission.check_open,
    Admission.check_loop,
    Admission.check_gateway,
    Admission.check_number,
    Admission.check_account,
    Admission.find_sell_rate,
    Admission.find_routes,
    Admission.take_hold,
)
"""The first refusal wins, so their order is that of the refusals. A step that asks stands behind ``identify``."""


class Setup:
    """One call on its way through the steps, by the catalogue that it began with whatever is reloaded meanwhile."""

    __slots__ = ("_admission", "_steps", "asked", "call_request", "number")

    def __init__(self, admission: Admission, call_request: CallRequest, steps: tuple[Step, ...]) -> None:
        self._admission = admission
        self._steps: Iterator[Step] = iter(steps)  # keeps the place while a question is open
        self.call_request = call_request
        self.asked: Ask | None = None
        """The question that is open, if there is one."""
        self.number = 0
        """Of the latest question."""

    def advance(self) -> Outcome:
        """Take steps until one refuses or asks; None = all are taken. A refused call gives back what it has taken."""
        admission, call_request = self._admission, self.call_request
        for step in self._steps:
            outcome = step(admission, call_request)
            if outcome is not None:
                return self._stop(outcome)
        return None

    def settle(self, answer: Answer, now: Instant) -> Outcome:
        """Go on with the answer to the open question.

        An answer of another kind than the question wants is no answer. Limits go by ``now`` from here on; rates and
        the account are those of the moment at which the INVITE came (ADR 36).
        """
        asked, self.asked = self.asked, None
        if asked is None:
            raise StepOutOfOrderError("no question is open")
        self.call_request.at = now._replace(wall=self.call_request.at.wall)
        outcome = asked.then(answer) if isinstance(answer, asked.question.answered_by) else asked.otherwise
        return self.advance() if outcome is None else self._stop(outcome)

    def _stop(self, outcome: Refusal | Ask) -> Refusal | Ask:
        if isinstance(outcome, Refusal):
            self.call_request.undo()
            return outcome
        if self.call_request.mapping is None:  # the caller's leg and its record need to know the trunk
            raise StepOutOfOrderError("a step asks before the call is identified")
        self.asked = outcome
        self.number += 1
        return outcome
