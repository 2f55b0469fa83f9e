"""Where a call stands, and which events it accepts there.

An event that is not accepted is a race of the network (a late answer, a second BYE) and no error: the call ignores it,
and the legs have already given the peer the answer that SIP wants.
"""

from collections.abc import Mapping
from enum import IntEnum, auto
from typing import Final


class CallState(IntEnum):
    """One call's life."""

    SETUP = auto()
    """It is decided whether the call is carried, and where to; a question of that may be open."""
    HUNTING = auto()
    """Gateways are tried; the caller has heard nothing but 100."""
    RINGING = auto()
    """A gateway rings, or sends early media."""
    ANSWERED = auto()
    """The winning gateway has answered and bills; the caller's 200 waits for the PRACK of a response before it."""
    TALKING = auto()
    """The caller has been sent his 200: his clock of money runs."""
    OVER = auto()


class CallEvent(IntEnum):
    """What a call can hear of."""

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


_TRYING: Final = frozenset(
    {
        CallEvent.PROGRESS,
        CallEvent.ANSWER,
        CallEvent.ATTEMPT_FAILED,
        CallEvent.CANCEL,
        CallEvent.CALLER_BYE,  # RFC 3261 section 15: a caller may end an early dialog so
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
}
"""What a call in each state acts upon; everything else passes by it."""
