"""States of a call, and the events that it accepts in each.

An event that is not accepted is a race in the network (a late answer, a second BYE) and no error: the call ignores it,
and the leg has already sent the peer the response that SIP requires.
"""

from collections.abc import Mapping
from enum import IntEnum, auto
from typing import Final


class CallState(IntEnum):
    """State of a call."""

    SETUP = auto()
    """Admission and routing; a question may be open."""
    HUNTING = auto()
    """Gateways are tried; the caller was sent nothing but 100."""
    RINGING = auto()
    """A gateway rings, or sends early media."""
    ANSWERED = auto()
    """The gateway has answered and charges; the caller's 200 waits for the PRACK of an earlier response."""
    TALKING = auto()
    """The caller was sent its 200 and is charged."""
    OVER = auto()
    ANNOUNCING = auto()
    """The caller is played a sound; then its call is refused, or another gateway is tried."""


SETUP, HUNTING, RINGING, ANSWERED, TALKING, OVER, ANNOUNCING = CallState
"""The members as globals (``states.TALKING``), which are read in a tenth of the time of a member."""


class CallEvent(IntEnum):
    """Events of a call."""

    PROGRESS = auto()
    ANSWER = auto()
    ATTEMPT_FAILED = auto()
    CANCEL = auto()
    ACK = auto()
    ACK_MISSING = auto()
    CALLER_BYE = auto()
    CALLEE_BYE = auto()
    LEG_LOST = auto()
    PRACK_MISSING = auto()
    EARLY_ANSWER = auto()
    DEADLINE = auto()
    ORDERED_END = auto()
    QUESTION_ANSWERED = auto()


PROGRESS: Final = CallEvent.PROGRESS
ANSWER: Final = CallEvent.ANSWER
ACK: Final = CallEvent.ACK
"""Events of every call, as globals."""

_TRYING: Final = frozenset(
    {
        CallEvent.PROGRESS,
        CallEvent.ANSWER,
        CallEvent.ATTEMPT_FAILED,
        CallEvent.CANCEL,
        CallEvent.CALLER_BYE,  # a caller may send BYE in an early dialog (RFC 3261 section 15)
        CallEvent.PRACK_MISSING,
        CallEvent.EARLY_ANSWER,
        CallEvent.DEADLINE,
        CallEvent.ORDERED_END,
    }
)

ACCEPTED: Final[Mapping[CallState, frozenset[CallEvent]]] = {
    CallState.SETUP: frozenset(
        {CallEvent.QUESTION_ANSWERED, CallEvent.CANCEL, CallEvent.DEADLINE, CallEvent.ORDERED_END}
    ),
    CallState.HUNTING: _TRYING,
    CallState.RINGING: _TRYING,
    CallState.ANSWERED: frozenset(
        {
            CallEvent.CANCEL,
            CallEvent.CALLER_BYE,
            CallEvent.CALLEE_BYE,
            CallEvent.LEG_LOST,
            CallEvent.PRACK_MISSING,
            CallEvent.EARLY_ANSWER,
            CallEvent.DEADLINE,
            CallEvent.ORDERED_END,
        }
    ),
    CallState.TALKING: frozenset(
        {
            CallEvent.ACK,
            CallEvent.ACK_MISSING,
            CallEvent.CALLER_BYE,
            CallEvent.CALLEE_BYE,
            CallEvent.LEG_LOST,
            CallEvent.DEADLINE,
            CallEvent.ORDERED_END,
        }
    ),
    CallState.OVER: frozenset(),
    CallState.ANNOUNCING: frozenset(
        {CallEvent.CANCEL, CallEvent.CALLER_BYE, CallEvent.PRACK_MISSING, CallEvent.DEADLINE, CallEvent.ORDERED_END}
    ),
}
"""The events that a call acts upon in each state; it ignores all others."""
