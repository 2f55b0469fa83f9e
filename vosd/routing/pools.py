"""Pools of calling numbers: which of them a call shows (docs/routing.md).

The pool is configuration; whose turn it is, is live state, which outlives a reload.
"""

from collections.abc import Collection, Mapping
from enum import Enum
from typing import NamedTuple

import msgspec

from vosd.routing.rewrite import Draw


class PoolMode(Enum):
    """In which order the numbers of a pool are used."""

    POLL = "poll"
    """One after the other, then from the first again."""
    RANDOM = "random"


class EmptyPool(Enum):
    """The fate of a call where a pool has no number."""

    ORIGINAL = "original"
    """It keeps its own calling number."""
    REFUSE = "refuse"


class NumberPool(msgspec.Struct, frozen=True):
    """Calling numbers that calls may show instead of their own."""

    name: str
    numbers: tuple[str, ...]
    mode: PoolMode = PoolMode.POLL
    reuse: int = 1
    """Calls in a row that show the same number."""
    when_empty: EmptyPool = EmptyPool.ORIGINAL


class PoolTurn(NamedTuple):
    """The turn in one pool."""

    position: int
    used: int
    """Calls that have shown this number in a row."""


class PoolTurns:
    """The turns in all pools, by name."""

    def __init__(self) -> None:
        self.taken = 0
        """Number of numbers that were taken since the start."""
        self._turns: dict[str, PoolTurn] = {}

    def take(self, pool: NumberPool, draw: Draw) -> str | None:
        """Return the number of the next call; None = the pool has none.

        A pool that has changed goes on at the same position, or at its first number where it has become shorter.
        """
        size = len(pool.numbers)
        if not size:
            return None
        turn = self._turns.get(pool.name)
        if turn is not None and turn.used < pool.reuse and turn.position < size:
            turn = PoolTurn(turn.position, turn.used + 1)
        elif pool.mode is PoolMode.RANDOM:
            turn = PoolTurn(draw(size), 1)
        else:
            turn = PoolTurn(0 if turn is None or turn.position + 1 >= size else turn.position + 1, 1)
        self._turns[pool.name] = turn
        self.taken += 1
        return pool.numbers[turn.position]

    def keep(self, names: Collection[str]) -> None:
        """Forget the pools that are not among ``names``."""
        for name in self._turns.keys() - set(names):
            del self._turns[name]

    def all(self) -> dict[str, PoolTurn]:
        """Return the turns by name of the pool."""
        return dict(self._turns)

    def restore(self, turns: Mapping[str, PoolTurn]) -> None:
        """Go on with the turns of an earlier run."""
        self._turns.update(turns)

    def copied(self) -> "PoolTurns":
        """Return a copy, for a call that is not made."""
        copy = PoolTurns()
        copy.restore(self._turns)
        return copy
