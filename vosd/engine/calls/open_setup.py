"""The set-up of a live call that waits for answers: its questions, and what the answers decide (ADR 35)."""

from collections import Counter
from collections.abc import Callable
from enum import Enum

from vosd.b2bua.ports import Decision, SetupAnswer
from vosd.base.clock import Instant
from vosd.callcontrol.questions import Ask, Asker, Outcome, Ticket, Unanswered
from vosd.callcontrol.setup import Setup
from vosd.obs.events import log as _log


class UnusedAnswer(Enum):
    """Why an answer to a question of a set-up was not used."""

    LATE = "late"
    """The question was answered before, its deadline has passed, the call is over, or it never asked it."""
    UNFIT = "unfit"
    """It is of another type than the question requires."""


class OpenSetup:
    """A set-up from its first question until it is decided; it refers to its call by ``set_deadline`` alone."""

    __slots__ = ("_asker", "_call_id", "_set_deadline", "_unused_answers", "setup")

    def __init__(
        self,
        setup: Setup,
        call_id: str,
        asker: Asker,
        unused_answers: Counter[UnusedAnswer],
        set_deadline: Callable[[int], None],
    ) -> None:
        self._call_id = call_id
        self._asker = asker
        self._unused_answers = unused_answers
        self._set_deadline = set_deadline
        self.setup = setup

    @property
    def ticket(self) -> Ticket:
        """The ticket of the latest question."""
        return Ticket(self._call_id, self.setup.number)

    def awaits(self, ticket: Ticket) -> bool:
        """Return whether the question of that ticket is open."""
        return self.setup.asked is not None and self.setup.number == ticket.number

    def ask(self, now: Instant) -> Decision:
        """Ask the open question; return the decision if the answer is known at once."""
        return self._go_on(self.setup.asked, now)

    def settle(self, answer: SetupAnswer | None, now: Instant) -> Decision:
        """Go on by the answer to the open question; None = the deadline has passed."""
        if answer is None:
            self._asker.cancel(self.ticket, is_overdue=True)
            answer = Unanswered("deadline")
        return self._go_on(self._take(answer, now), now)

    def abandon(self) -> None:
        """Want no answer any more: the call is over."""
        if self.setup.asked is not None:
            self._asker.cancel(self.ticket)
            self.setup.asked = None

    def ask_again(self) -> SetupAnswer | None:
        """Ask the open question for an earlier process, within its deadline; return the answer if it is known."""
        asked = self.setup.asked
        return None if asked is None else self._asker.ask(self.ticket, asked.question)

    def _go_on(self, outcome: Outcome, now: Instant) -> Decision:
        """Ask questions until an answer takes time, or the set-up is decided."""
        while isinstance(outcome, Ask):
            ticket = self.ticket
            self._set_deadline(now.mono + outcome.deadline_ms)  # before ``ask``, which may set another deadline
            answer = self._asker.ask(ticket, outcome.question)
            if answer is None:
                return None
            if not self.awaits(ticket):
                self._unused_answers[UnusedAnswer.LATE] += 1
                return None
            outcome = self._take(answer, now)
        if outcome is not None:
            _log.debug("call_refused", call_id=self._call_id, reason=outcome.reason.text, detail=outcome.detail)
            return outcome
        return self.setup.call_request.choices

    def _take(self, answer: SetupAnswer, now: Instant) -> Outcome:
        """Go on with an answer; one of the wrong type is counted, and treated as none."""
        asked = self.setup.asked
        if asked is not None and not isinstance(answer, (asked.question.answered_by, Unanswered)):
            self._unused_answers[UnusedAnswer.UNFIT] += 1
        return self.setup.settle(answer, now)
