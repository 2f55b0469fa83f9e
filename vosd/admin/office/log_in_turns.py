"""Turns of log-ins whose passwords wait to be hashed: one at a time; networks take turns, and sources in each of them.

However many log-ins a source or a network has waiting, one of another network waits for one hash of it. Sources with a
success lately, and those that have failed, or are beside one that has, have places and turns of their own, so that none
of these keeps out another one. It knows no names and no passwords.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum
from typing import Final, NamedTuple, TypeVar

from vosd.base.errors import VosError

_Turn = asyncio.Future[None]
_Waiting = TypeVar("_Waiting")


class LogInStanding(Enum):
    """Result of the log-ins of a source until now."""

    PROVEN = "proven"
    """A person has logged in there lately."""
    NEW = "new"
    BESIDE_FAILED = "beside failed"
    """Another source of its network has failed lately: the owner of a network can use a new source for each log-in."""
    FAILED = "failed"
    """It has failed lately."""


class LogInSource(NamedTuple):
    """Source of a log-in."""

    address: str
    """An IPv4 address, or the /64 of an IPv6 one."""
    network: str
    """The network that it is in, which may have one owner."""


class _Room(NamedTuple):
    places: int
    """Log-ins that wait or are looked at."""
    of_source: int
    """Log-ins among them of one source."""


ROOM: Final = {
    LogInStanding.PROVEN: _Room(32, 12),
    LogInStanding.NEW: _Room(32, 12),  # 12 = an office
    LogInStanding.BESIDE_FAILED: _Room(32, 12),
    LogInStanding.FAILED: _Room(16, 2),
}


class TooManyLogInsError(VosError):
    """Too many passwords wait to be looked at."""

    code = "too_many_guesses"
    retry_after_s = 1

    def __init__(self) -> None:
        """Say when to try again."""
        super().__init__("others log in at this moment: try again in 1 s")


class _Places:
    """Places that networks share, and the sources of each.

    Where all are taken, the network, or the source of the same one, that has two more than another one gives one.
    """

    def __init__(self, room: _Room) -> None:
        self._room = room
        self._taken: Counter[str] = Counter()
        """By source."""
        self._taken_by_network: Counter[str] = Counter()
        self._waiting: OrderedDict[str, OrderedDict[str, deque[_Turn]]] = OrderedDict()
        """By network and source, both in the order of their turns."""

    def take(self, source: LogInSource) -> _Turn:
        """Return the turn to wait for; raises TooManyLogInsError where there is no place."""
        if self._taken[source.address] >= self._room.of_source:
            raise TooManyLogInsError
        if self._taken.total() >= self._room.places:
            self._refuse_one_for(source)
        turn = asyncio.get_running_loop().create_future()
        self._taken[source.address] += 1
        self._taken_by_network[source.network] += 1
        self._waiting.setdefault(source.network, OrderedDict()).setdefault(source.address, deque()).append(turn)
        return turn

    def give_back(self, source: LogInSource, turn: _Turn) -> None:
        """Let others have the place."""
        if _is_refused(turn):
            return  # another one has the place
        sources = self._waiting.get(source.network)
        if sources is not None and turn in sources.get(source.address, ()):
            sources[source.address].remove(turn)
            self._forget_empty(source)
        self._free(source)

    def next(self) -> _Turn | None:
        """Return the turn that has waited longest at the source whose turn it is; None = none waits."""
        while self._waiting:
            network, sources = next(iter(self._waiting.items()))
            address, turns = next(iter(sources.items()))
            turn = turns.popleft()
            self._waiting.move_to_end(network)
            sources.move_to_end(address)
            self._forget_empty(LogInSource(address, network))
            if not turn.done():  # of a client that has gone
                return turn
        return None

    def _refuse_one_for(self, source: LogInSource) -> None:
        """Refuse the latest log-in of the network that has most places, at its source that has most."""
        network = _fullest(self._waiting, self._taken_by_network, source.network)
        if self._taken_by_network[network] < self._taken_by_network[source.network] + 2:
            network = source.network
        sources = self._waiting.get(network, OrderedDict())
        address = _fullest(sources, self._taken, source.address)
        if network == source.network and self._taken[address] < self._taken[source.address] + 2:
            raise TooManyLogInsError
        fullest = LogInSource(address, network)
        turn = sources[address].pop()
        self._forget_empty(fullest)
        if not turn.done():
            self._free(fullest)
            turn.set_exception(TooManyLogInsError())

    def _free(self, source: LogInSource) -> None:
        for taken, key in ((self._taken, source.address), (self._taken_by_network, source.network)):
            taken[key] -= 1
            if not taken[key]:
                del taken[key]

    def _forget_empty(self, source: LogInSource) -> None:
        sources = self._waiting[source.network]
        if not sources[source.address]:
            del sources[source.address]
        if not sources:
            del self._waiting[source.network]


class LogInTurns:
    """Lets one log-in at a time look at its password."""

    def __init__(self) -> None:
        self._places = {standing: _Places(room) for standing, room in ROOM.items()}
        self._order = [*self._places.values()]
        """The places whose turn it is come first."""
        self._is_given = False

    @asynccontextmanager
    async def turn(self, source: LogInSource, standing: LogInStanding) -> AsyncIterator[None]:
        """Wait for a turn, and have it until the end of the block.

        Raises:
            TooManyLogInsError: too many wait, by now or since others have come that had none waiting.
        """
        places = self._places[standing]
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


def _fullest(waiting: OrderedDict[str, _Waiting], taken: Counter[str], default: str) -> str:
    """Return the key with the most places among those of which one waits; of several the one whose turn is last."""
    return max(reversed(waiting), key=lambda each: taken[each], default=default)


def _is_refused(turn: _Turn) -> bool:
    return turn.done() and not turn.cancelled() and turn.exception() is not None
