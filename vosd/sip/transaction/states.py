"""The four state machines of RFC 3261 section 17 as tables, with the state Accepted of RFC 6026.

A row says which state follows an input; an input without a row is a bug and raises. Timers are inputs. The objects that
act on the transitions stand in the files beside this one; ``finished`` keeps what a finished transaction absorbs.

Every message takes a step, so responses look their row up themselves: ``TABLE[state].get(RESPONSE[status // 100])``.
"""

from collections.abc import Mapping
from enum import IntEnum, auto
from typing import Final


class TransactionState(IntEnum):
    """The state of a transaction; Trying and Calling differ only in their timers, and are one here."""

    CALLING = auto()
    PROCEEDING = auto()
    COMPLETED = auto()
    ACCEPTED = auto()
    CONFIRMED = auto()
    TERMINATED = auto()


class Input(IntEnum):
    """An input of a state machine."""

    PROVISIONAL = auto()
    SUCCESS = auto()
    FAILURE = auto()
    ACK = auto()
    RETRANSMIT = auto()
    GIVE_UP = auto()


CALLING: Final = TransactionState.CALLING
PROCEEDING: Final = TransactionState.PROCEEDING
COMPLETED: Final = TransactionState.COMPLETED
ACCEPTED: Final = TransactionState.ACCEPTED
"""The states that every call passes; a global is read in a tenth of the time of a member."""

RESPONSE: Final = (Input.FAILURE, Input.PROVISIONAL, Input.SUCCESS, *[Input.FAILURE] * 7)
"""The input that a response is, by the first digit of its status."""

Row = Mapping[Input, TransactionState]
Table = Mapping[TransactionState, Row]

_FINAL: Final[Row] = {}

INVITE_CLIENT: Final[Table] = {  # RFC 3261 figure 5, RFC 6026 figure 2
    TransactionState.CALLING: {
        Input.PROVISIONAL: TransactionState.PROCEEDING,
        Input.SUCCESS: TransactionState.ACCEPTED,
        Input.FAILURE: TransactionState.COMPLETED,
        Input.RETRANSMIT: TransactionState.CALLING,
        Input.GIVE_UP: TransactionState.TERMINATED,
    },
    TransactionState.PROCEEDING: {
        Input.PROVISIONAL: TransactionState.PROCEEDING,
        Input.SUCCESS: TransactionState.ACCEPTED,
        Input.FAILURE: TransactionState.COMPLETED,
        Input.GIVE_UP: TransactionState.TERMINATED,  # a cancelled INVITE without a final response (section 9.1)
    },
    TransactionState.COMPLETED: _FINAL,
    TransactionState.ACCEPTED: _FINAL,
    TransactionState.TERMINATED: _FINAL,
}

CLIENT: Final[Table] = {  # figure 6
    TransactionState.CALLING: {
        Input.PROVISIONAL: TransactionState.PROCEEDING,
        Input.SUCCESS: TransactionState.COMPLETED,
        Input.FAILURE: TransactionState.COMPLETED,
        Input.RETRANSMIT: TransactionState.CALLING,
        Input.GIVE_UP: TransactionState.TERMINATED,
    },
    TransactionState.PROCEEDING: {
        Input.PROVISIONAL: TransactionState.PROCEEDING,
        Input.SUCCESS: TransactionState.COMPLETED,
        Input.FAILURE: TransactionState.COMPLETED,
        Input.RETRANSMIT: TransactionState.PROCEEDING,
        Input.GIVE_UP: TransactionState.TERMINATED,
    },
    TransactionState.COMPLETED: _FINAL,
    TransactionState.TERMINATED: _FINAL,
}

INVITE_SERVER: Final[Table] = {  # figure 7, RFC 6026 figure 1
    TransactionState.PROCEEDING: {
        Input.PROVISIONAL: TransactionState.PROCEEDING,
        Input.SUCCESS: TransactionState.ACCEPTED,
        Input.FAILURE: TransactionState.COMPLETED,
    },
    TransactionState.COMPLETED: {
        Input.ACK: TransactionState.CONFIRMED,
        Input.RETRANSMIT: TransactionState.COMPLETED,
        Input.GIVE_UP: TransactionState.TERMINATED,
    },
    TransactionState.ACCEPTED: _FINAL,
    TransactionState.CONFIRMED: _FINAL,
    TransactionState.TERMINATED: _FINAL,
}

SERVER: Final[Table] = {  # figure 8
    TransactionState.PROCEEDING: {
        Input.PROVISIONAL: TransactionState.PROCEEDING,
        Input.SUCCESS: TransactionState.COMPLETED,
        Input.FAILURE: TransactionState.COMPLETED,
    },
    TransactionState.COMPLETED: _FINAL,
}


class IllegalMoveError(RuntimeError):
    """A transaction was used in a way that its state does not allow: a bug of its user."""

    @classmethod
    def of(cls, state: TransactionState, received: Input) -> "IllegalMoveError":
        """Return the error of an input for which the table of ``state`` has no row."""
        return cls(f"{received.name} in state {state.name}")


def step(table: Table, state: TransactionState, received: Input) -> TransactionState:
    """Return the next state; raises IllegalMoveError where the table has no row."""
    after = table[state].get(received)
    if after is None:
        raise IllegalMoveError.of(state, received)
    return after
