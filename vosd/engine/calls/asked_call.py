"""The set-up of a live call: its questions, and what their answers decide (ADR 35)."""

from abc import abstractmethod

import structlog

from vosd.b2bua.call import Call
from vosd.b2bua.ports import Answer, Decision
from vosd.base.clock import Instant
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.questions import Ask, Outcome, Question, Ticket, Unanswered
from vosd.callcontrol.setup import Setup
from vosd.engine.calls.services import CallServices, UnusedAnswer

_log = structlog.get_logger()


class AskedCall:
    """A live call as far as its set-up goes; ``LiveCall`` is all of it."""

    __slots__ = ("_services", "call", "call_id", "call_request", "setup")
    __deletable__ = ("call",)  # for a compiler (ADR 84)

    call: Call
    """Deleted at the end: the two refer to each other, and so are freed without a garbage collection."""
    call_id: str
    call_request: CallRequest
    setup: Setup | None
    """The set-up, while a question of it is open."""
    _services: CallServices

    @abstractmethod
    def set_deadline(self, at_ms: int) -> None:
        """Let ``call.deadline_due`` be called at ``at_ms``, in place of the deadline before."""

    def awaits(self, ticket: Ticket) -> bool:
        """Return whether the question of that ticket is open."""
        setup = self.setup
        return setup is not None and setup.asked is not None and setup.number == ticket.number

    @property
    def open_question(self) -> tuple[Ticket, Question] | None:
        """Return the question that is open, with its ticket."""
        setup = self.setup
        if setup is None or setup.asked is None:
            return None
        return Ticket(self.call_id, setup.number), setup.asked.question

    def ask(self, now: Instant) -> Decision:
        """Ask the open question; return the decision if the answer is known at once."""
        setup = self._open_setup()
        return self._go_on(setup, setup.asked, now)

    def settle(self, answer: Answer | None, now: Instant) -> Decision:
        """Go on with the set-up by the answer to its question; None = the deadline has passed."""
        setup = self._open_setup()
        if answer is None:
            self._services.asker.cancel(Ticket(self.call_id, setup.number))
            answer = Unanswered("deadline")
        return self._go_on(setup, self._take(setup, answer, now), now)

    def _go_on(self, setup: Setup, outcome: Outcome, now: Instant) -> Decision:
        """Ask questions until an answer takes time, or the set-up is decided."""
        services = self._services
        while isinstance(outcome, Ask):
            ticket = Ticket(self.call_id, setup.number)
            self.set_deadline(now.mono + outcome.deadline_ms)  # before ``ask``, which may set another deadline
            answer = services.asker.ask(ticket, outcome.question)
            if answer is None:
                return None
            if not self.awaits(ticket):
                services.unused_answers[UnusedAnswer.LATE] += 1
                return None
            outcome = self._take(setup, answer, now)
        self.setup = None
        if outcome is not None:
            _log.debug("call_refused", call_id=self.call_id, reason=outcome.reason.text, detail=outcome.detail)
            return outcome
        return self.call_request.choices

    def _take(self, setup: Setup, answer: Answer, now: Instant) -> Outcome:
        """Go on with an answer; one of the wrong type is counted, and treated as none."""
        if setup.asked is not None and not isinstance(answer, (setup.asked.question.answered_by, Unanswered)):
            self._services.unused_answers[UnusedAnswer.UNFIT] += 1
        return setup.settle(answer, now)

    def _open_setup(self) -> Setup:
        if self.setup is None:
            raise RuntimeError(f"{self.call!r} has no open question")
        return self.setup
