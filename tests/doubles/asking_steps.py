"""A step of set-up that asks a question, and an asker that a test answers for.

``WhereIs`` stands for what another server is asked; the switch's own questions are in ``callcontrol.number_tools``.
"""

from collections.abc import Callable
from typing import ClassVar, Final, NamedTuple

from vosd.b2bua.ports import SetupAnswer
from vosd.base.cause import EndReason
from vosd.base.errors import Refusal
from vosd.callcontrol.admission import Admission
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.questions import Ask, SetupQuestion, Step, Ticket
from vosd.callcontrol.setup import STEPS

DEADLINE_MS: Final = 2_000
TOO_LATE: Final = Refusal(EndReason.UNAVAILABLE, 480, "the lookup gave no answer")


class Located(SetupAnswer, frozen=True):
    """The number that is to be called instead; empty = the number is blocked."""

    number: str


class Unfit(SetupAnswer, frozen=True):
    """An answer to a question that was never asked."""


class WhereIs(SetupQuestion, frozen=True):
    """Which number is to be called for this one?"""

    answered_by: ClassVar[type[SetupAnswer]] = Located
    asked_of: ClassVar[str] = "directory"
    number: str


def looking_up(otherwise: Refusal | None = TOO_LATE, deadline_ms: int = DEADLINE_MS) -> Step:
    """Return a step that asks where the called number is."""

    def look_up(_admission: Admission, call: CallRequest) -> Ask:
        def take(answer: SetupAnswer) -> Refusal | None:
            assert isinstance(answer, Located), "only what fits the question may come here"
            if not answer.number:
                return Refusal(EndReason.NUMBER_NOT_ALLOWED, 403, "the number is blocked")
            call.callee = call.callee_billing = answer.number
            return None

        return Ask(WhereIs(call.callee), deadline_ms, otherwise, take)

    return look_up


def steps_with(*asking: Step, before: Step | None = Admission.find_sell_rate) -> tuple[Step, ...]:
    """Return the steps of a call, with others before one of them; None = after the last."""
    place = len(STEPS) if before is None else STEPS.index(before)
    return (*STEPS[:place], *asking, *STEPS[place:])


class Asked(NamedTuple):
    """A question as it was asked."""

    ticket: Ticket
    question: SetupQuestion


AtOnce = Callable[[Ticket, SetupQuestion], SetupAnswer | None]


def in_time(_ticket: Ticket, _question: SetupQuestion) -> SetupAnswer | None:
    """Answer no question at once."""
    return None


class ScriptedAsker:
    """Keeps the questions for the test to answer; ``at_once`` answers some of them on the spot."""

    def __init__(self, at_once: AtOnce = in_time) -> None:
        self.at_once = at_once
        self.asked: list[Asked] = []
        self.cancelled: list[Ticket] = []

    def ask(self, ticket: Ticket, question: SetupQuestion) -> SetupAnswer | None:
        """Keep a question."""
        assert ticket not in {each.ticket for each in self.asked}, "a ticket names one question"
        self.asked.append(Asked(ticket, question))
        return self.at_once(ticket, question)

    def cancel(self, ticket: Ticket, *, is_overdue: bool = False) -> None:
        """Note that an answer is no longer wanted."""
        assert ticket in {each.ticket for each in self.asked}, "cancelled before it was asked"
        assert ticket not in self.cancelled, "cancelled twice"
        self.cancelled.append(ticket)
