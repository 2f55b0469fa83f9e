"""The four state machines of RFC 3261 section 17 as tables, with the state Accepted of RFC 6026.

A row says which state follows an input; an input without a row is a bug and raises. Timers are inputs. The objects that
act on the transitions stand in the files beside this one; ``finished`` keeps what a finished transaction absorbs.
"""

from collections.abc import Mapping
from enum import IntEnum, auto
from typing import Final


class State(IntEnum):
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


Table = Mapping[State, Mapping[Input, State]]

INVITE_CLIENT: Final[Table] = {  # RFC 3261 figure 5, RFC 6026 figure 2
    State.CALLING: {
        Input.PROVISIONAL: State.PROCEEDING,
        Input.SUCCESS: State.ACCEPTED,
        Input.FAILURE: State.COMPLETED,
        Input.RETRANSMIT: State.CALLING,
        Input.GIVE_UP: State.TERMINATED,
    },
    State.PROCEEDING: {
        Input.PROVISIONAL: State.PROCEEDING,
        Input.SUCCESS: State.ACCEPTED,
        Input.FAILURE: State.COMPLETED,
        Input.GIVE_UP: State.TERMINATED,  # a cancelled INVITE without a final response (section 9.1)
    },
}

CLIENT: Final[Table] = {  # figure 6
    State.CALLING: {
        Input.PROVISIONAL: State.PROCEEDING,
        Input.SUCCESS: State.COMPLETED,
        Input.FAILURE: State.COMPLETED,
        Input.RETRANSMIT: State.CALLING,
        Input.GIVE_UP: State.TERMINATED,
    },
    State.PROCEEDING: {
        Input.PROVISIONAL: State.PROCEEDING,
        Input.SUCCESS: State.COMPLETED,
        Input.FAILURE: State.COMPLETED,
        Input.RETRANSMIT: State.PROCEEDING,
        Input.GIVE_UP: State.TERMINATED,
    },
}

INVITE_SERVER: Final[Table] = {  # figure 7, RFC 6026 figure 1
    State.PROCEEDING: {
        Input.PROVISIONAL: State.PROCEEDING,
        Input.SUCCESS: State.ACCEPTED,
        Input.FAILURE: State.COMPLETED,
    },
    State.COMPLETED: {
        Input.ACK: State.CONFIRMED,
        Input.RETRANSMIT: State.COMPLETED,
        Input.GIVE_UP: State.TERMINATED,
    },
}

SERVER: Final[Table] = {  # figure 8
    State.PROCEEDING: {
        Input.PROVISIONAL: State.PROCEEDING,
        Input.SUCCESS: State.COMPLETED,
        Input.FAILURE: State.COMPLETED,
    },
}


class IllegalMoveError(RuntimeError):
    """A transaction was used in a way that its state does not allow: a bug of its user."""


def step(table: Table, state: State, received: Input) -> State:
    """Return the next state; raises IllegalMoveError where the table has no row."""
    try:
        return table[state][received]
    except KeyError:
        message = f"{received.name} in state {state.name}"
        raise IllegalMoveError(message) from None


def input_of(status: int) -> Input:
    """Return the input that a response with this status is."""
    if status < 200:
        return Input.PROVISIONAL
    return Input.SUCCESS if status < 300 else Input.FAILURE
