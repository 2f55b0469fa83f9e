"""Questions that the set-up of a call waits for, and what a step is (ADR 35)."""

from collections.abc import Callable
from typing import ClassVar, NamedTuple, Protocol

import msgspec

from vosd.b2bua.ports import SetupAnswer
from vosd.base.errors import Refusal
from vosd.callcontrol.admission import Admission
from vosd.callcontrol.call_request import CallRequest


class Unanswered(SetupAnswer, frozen=True):
    """There will be no answer: ``Ask.otherwise`` applies."""

    why: str = ""


class SetupQuestion(msgspec.Struct, frozen=True):
    """A question that the set-up of a call waits for; it contains everything that the answer depends on."""

    answered_by: ClassVar[type[SetupAnswer]] = SetupAnswer
    """The type of the answer. Another type counts as no answer."""
    asked_of: ClassVar[str] = ""
    """The section of the configuration that names who is asked."""


class Ticket(NamedTuple):
    """Identifies one question of one call."""

    call_id: str
    number: int
    """Counts the questions of the call from 1."""


class Asker(Protocol):
    """Port to the services that answer questions; its methods do no I/O themselves."""

    def ask(self, ticket: Ticket, question: SetupQuestion) -> SetupAnswer | None:
        """Return the answer if it is known at once. None: it is passed to ``Switch.take_answer`` with the ticket."""

    def cancel(self, ticket: Ticket, *, is_overdue: bool = False) -> None:
        """Abandon the question: its deadline has passed (``is_overdue``), or the call is over."""


class CannotAsk:
    """Asker of a switch without services: every question is unanswered at once."""

    def ask(self, _ticket: Ticket, question: SetupQuestion) -> SetupAnswer | None:
        """Return that there is no answer."""
        return Unanswered(f"nothing answers {type(question).__name__} here")

    def cancel(self, _ticket: Ticket, *, is_overdue: bool = False) -> None:
        """Do nothing: no question of this asker stays open."""


class Ask(NamedTuple):
    """Outcome of a step that cannot decide before ``question`` is answered.

    The step itself must occupy nothing; ``then`` may. A call that is restored runs it again to get its question.
    """

    question: SetupQuestion
    deadline_ms: int
    """Longest wait for the answer."""
    otherwise: Refusal | None
    """Outcome without an answer in time: a refusal, or None = proceed."""
    then: Callable[[SetupAnswer], Refusal | None]
    """Decides by the answer, which is of the type ``answered_by``."""


Outcome = Refusal | Ask | None
"""Outcome of a step; None = proceed."""

Step = Callable[[Admission, CallRequest], Outcome]
