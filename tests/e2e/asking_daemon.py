"""A daemon whose calls ask where their number is: a step of the tests' own, with answers on the daemon's event loop.

The fifth digit of the number says what becomes of the question.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from doubles.asking_steps import Located, Unfit, WhereIs, looking_up, steps_with

from vosd.b2bua.ports import SetupAnswer
from vosd.callcontrol.admission import Admission
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.questions import Outcome, SetupQuestion, Ticket
from vosd.engine.service import SwitchService

DEADLINE_MS: Final = 600
SOON_S: Final = 0.2
TOLD: Final = Path("answer")
"""Once this file is in the daemon's directory, numbers that begin with ``WHEN_TOLD`` are answered."""
AT_ONCE, IN_TIME, NEVER, BLOCKED, TOO_LATE, UNFIT, FROM_ELSEWHERE, TWICE, WHEN_TOLD = (
    f"4410{digit}" for digit in range(9)
)

_look_up: Final = looking_up(deadline_ms=DEADLINE_MS)
_look_up_patiently: Final = looking_up(deadline_ms=60_000)


def _ask(admission: Admission, call: CallRequest) -> Outcome:
    is_patient = call.callee.startswith(WHEN_TOLD)
    return (_look_up_patiently if is_patient else _look_up)(admission, call)


class Lookups:
    """Answers after a while, as a program on another machine would."""

    tell: Callable[[Ticket, SetupAnswer], None]

    def ask(self, ticket: Ticket, question: SetupQuestion) -> SetupAnswer | None:
        """Begin to look a number up."""
        assert isinstance(question, WhereIs)
        found = Located(question.number)
        beginning = question.number[:5]
        if beginning == AT_ONCE:
            return found
        if beginning == WHEN_TOLD:
            self._when_told(ticket, found)
        for seconds, about, answer in {
            IN_TIME: [(SOON_S, ticket, found)],
            BLOCKED: [(SOON_S, ticket, Located(""))],
            TOO_LATE: [(DEADLINE_MS / 1_000 + SOON_S, ticket, found)],
            UNFIT: [(SOON_S, ticket, Unfit())],
            FROM_ELSEWHERE: [
                (SOON_S / 2, ticket._replace(number=7), Located("")),
                (SOON_S / 2, Ticket("no call", 1), Located("")),
                (SOON_S, ticket, found),
            ],
            TWICE: [(SOON_S, ticket, found), (SOON_S, ticket, Located(""))],
        }.get(beginning, []):
            self._later(seconds, about, answer)
        return None

    def cancel(self, _ticket: Ticket, *, is_overdue: bool = False) -> None:
        """Go on looking: what comes of it is late."""

    def _when_told(self, ticket: Ticket, answer: SetupAnswer) -> None:
        if TOLD.exists():
            self.tell(ticket, answer)
        else:
            asyncio.get_running_loop().call_later(0.05, self._when_told, ticket, answer)

    def _later(self, seconds: float, ticket: Ticket, answer: SetupAnswer) -> None:
        asyncio.get_running_loop().call_later(seconds, self.tell, ticket, answer)


class AskingService(SwitchService):
    """A whole switch with one step more."""

    def __init__(self, *surroundings: Any, **others: Any) -> None:
        lookups = Lookups()
        super().__init__(*surroundings, steps=steps_with(_ask), asker=lookups, **others)
        lookups.tell = self.loop.take_answer


def prepare() -> None:
    """Let ``vosd run`` of this process make that service."""
    from vosd.daemon import bootstrap

    bootstrap.SwitchService = AskingService  # type: ignore[misc]
