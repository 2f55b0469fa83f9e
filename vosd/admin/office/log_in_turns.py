"""Turns of log-ins whose passwords wait to be hashed: one at a time, and the sources take turns.

However many log-ins a source has waiting, another one waits for one hash of it. Sources that have failed lately have
places of their own and every second turn. It knows no names and no passwords.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from vosd.base.errors import VosError

PLACES: Final = 32
"""Log-ins that wait or are looked at, of sources that have not failed lately."""
PLACES_OF_SOURCE: Final = 12
"""Log-ins among them of one source, such as an office."""
SUSPECT_PLACES: Final = 16
"""Log-ins that wait or are looked at, of sources that have failed lately."""
PLACES_OF_SUSPECT: Final = 2
"""Log-ins among them of one source."""

_Turn = asyncio.Future[None]


class TooManyLogInsError(VosError):
    """Too many passwords wait to be looked at."""

    code = "too_many_guesses"
    retry_after_s = 1

    def __init__(self) -> None:
        """Say when to try again."""
        super().__init__("others log in at this moment: try again in 1 s")


class _Places:
    """Places that sources share: a source gets one that another has two more of than itself, where all are taken."""

    def __init__(self, most: int, most_of_source: int) -> None:
        self._most, self._most_of_source = most, most_of_source
        self._taken: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[_Turn]] = OrderedDict()
        """By source, in the order of their turns."""

    def take(self, source: str) -> _Turn:
        """Return the turn to wait for.

        Raises:
            TooManyLogInsError: there is no place.
        """
        if self._taken[source] >= self._most_of_source:
            raise TooManyLogInsError
        if self._taken.total() >= self._most:
            self._refuse_one_for(source)
        turn = asyncio.get_running_loop().create_future()
        self._taken[source] += 1
        self._waiting.setdefault(source, deque()).append(turn)
        return turn

    def give_back(self, source: str, turn: _Turn) -> None:
        """Let others have the place."""
        if _is_refused(turn):
            return  # another one has the place
        if turn in self._waiting.get(source, ()):
            self._waiting[source].remove(turn)
            self._forget_empty(source)
        self._taken[source] -= 1
        if not self._taken[source]:
            del self._taken[source]

    def next(self) -> _Turn | None:
        """Return the turn that has waited longest at the source whose turn it is; None = none waits."""
        while self._waiting:
            source, turns = next(iter(self._waiting.items()))
            turn = turns.popleft()
            self._waiting.move_to_end(source)
            self._forget_empty(source)
            if not turn.done():  # of a client that has gone
                return turn
        return None

    def _refuse_one_for(self, source: str) -> None:
        """Refuse the latest log-in of the source that has most places."""
        fullest = max(reversed(self._waiting), key=lambda each: self._taken[each], default=source)
        if self._taken[fullest] < self._taken[source] + 2:
            raise TooManyLogInsError
        turn = self._waiting[fullest].pop()
        self._forget_empty(fullest)
        if not turn.done():
            self._taken[fullest] -= 1
            turn.set_exception(TooManyLogInsError())

    def _forget_empty(self, source: str) -> None:
        if not self._waiting[source]:
            del self._waiting[source]


class LogInTurns:
    """Lets one log-in at a time look at its password."""

    def __init__(self) -> None:
        self._suspects = _Places(SUSPECT_PLACES, PLACES_OF_SUSPECT)
        self._others = _Places(PLACES, PLACES_OF_SOURCE)
        self._order = [self._others, self._suspects]
        """The one whose turn it is comes first."""
        self._is_given = False

    @asynccontextmanager
    async def turn(self, source: str, *, is_suspect: bool) -> AsyncIterator[None]:
        """Wait for a turn, and have it until the end of the block; ``is_suspect``: the source has failed lately.

        Raises:
            TooManyLogInsError: too many wait, by now or since others have come that had none waiting.
        """
        places = self._suspects if is_suspect else self._others
        turn = places.take(source)
        self._give()
        try:
            await turn
            yield
        finally:
            if turn.done() and not turn.cancelled() and not _is_refused(turn):
                self._is_given = False
            places.give_back(source, turn)
            self._give()

    def _give(self) -> None:
        if self._is_given:
            return
        for places in tuple(self._order):
            turn = places.next()
            if turn is not None:
                self._is_given = True
                turn.set_result(None)
                self._order.remove(places)
                self._order.append(places)
                return


def _is_refused(turn: _Turn) -> bool:
    return turn.done() and not turn.cancelled() and turn.exception() is not None
