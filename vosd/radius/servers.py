"""Choice of the RADIUS server that is asked; one that does not answer is asked again later.

Pure: the time is an argument. Servers are asked in the order of the configuration. One that has left ``failures``
questions in a row without an answer is out of service for ``dead_ms``; then it is tried, and it is back in service
after ``successes`` answers in a row. So a server that answers now and then does not come and go with each packet.

A question that no server may ever answer says nothing by its silence, so the asker says which silence counts
(``failed``, else ``put_back``), and a server is tried with questions that another one has answered (``trials``). Only
where none answers are the questions themselves trials.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, NamedTuple

ALONE_MS: Final = 1_000
"""Rest of a server while no other is in service: nothing is gained by leaving it alone for longer."""


@dataclass(frozen=True, slots=True)
class DeathRules:
    """Rules that take a server out of service, and bring it back."""

    failures: int = 2
    dead_ms: int = 30_000
    successes: int = 2


class ChosenServer(NamedTuple):
    """A server to ask."""

    server: int
    """Place in the configuration, from 0."""
    is_trial: bool
    """Whether it is out of service: it is sent one packet, without repetition."""


class _Standing:
    __slots__ = ("failures", "is_asked", "is_dead", "rests_until", "successes")

    def __init__(self) -> None:
        self.is_dead = False
        self.failures = 0
        self.successes = 0
        self.rests_until = 0
        self.is_asked = False
        """Whether a trial is under way."""


class ServerChoice:
    """The standing of all servers for one purpose."""

    def __init__(self, count: int, rules: DeathRules) -> None:
        self._servers = [_Standing() for _ in range(count)]
        self._rules = rules

    @property
    def dead(self) -> list[int]:
        """The servers that are out of service."""
        return [index for index, each in enumerate(self._servers) if each.is_dead]

    def next(self, asked: Collection[int], mono_ms: int, *, is_doubtful: bool = False) -> ChosenServer | None:
        """Return the next server to ask, ``asked`` left out; None = none may be asked now. Say then how it answered.

        Those in service come first, then those that have rested. One question at a time tries such a server, until it
        answers; one that is doubtful, as its silence says nothing, keeps no other from trying it.
        """
        for index, each in enumerate(self._servers):
            if not each.is_dead and index not in asked:
                return ChosenServer(index, is_trial=False)
        for index, each in enumerate(self._servers):
            is_free = is_doubtful or each.successes or not each.is_asked
            if is_free and self._has_rested(each, mono_ms) and index not in asked:
                each.is_asked = each.is_asked or not is_doubtful
                return ChosenServer(index, is_trial=True)
        return None

    def trials(self, asked: Collection[int], mono_ms: int) -> list[ChosenServer]:
        """Return the servers to try with a question that was answered, ``asked`` left out. Say then how they answer."""
        chosen = []
        for index, each in enumerate(self._servers):
            if not each.is_asked and self._has_rested(each, mono_ms) and index not in asked:
                each.is_asked = True
                chosen.append(ChosenServer(index, is_trial=True))
        return chosen

    def answered(self, chosen: ChosenServer) -> bool:
        """Note an answer; return whether the server is back in service by it.

        The answer to a question from before its death ends its rest, but brings no server back, nor does it end the
        trial under way.
        """
        if chosen.is_trial:
            self._servers[chosen.server].is_asked = False
        return self.answered_late(chosen)

    def answered_late(self, chosen: ChosenServer) -> bool:
        """Note an answer to a question that was given up; return whether the server is back in service by it.

        It takes back the failures, and ends the rest of a server; only the answer to a trial counts for its return.
        """
        each = self._servers[chosen.server]
        if each.is_dead and chosen.is_trial:
            return self._has_proved(each)
        each.failures = 0
        each.rests_until = 0
        return False

    def failed(self, chosen: ChosenServer, mono_ms: int) -> bool:
        """Note a question without an answer; return whether the server is out of service from now on."""
        each = self._servers[chosen.server]
        if each.is_dead and not chosen.is_trial:
            return False  # a question from before its death: its rest is no longer for that
        if chosen.is_trial:
            each.is_asked = False
        each.failures += 1
        each.successes = 0
        each.rests_until = mono_ms + self._rules.dead_ms
        if each.is_dead or each.failures < self._rules.failures:
            return False
        each.is_dead = True
        return True

    def put_back(self, chosen: ChosenServer) -> None:
        """Note that a question was given up, or its silence says nothing of the server."""
        if chosen.is_trial:
            self._servers[chosen.server].is_asked = False

    def _has_proved(self, standing: _Standing) -> bool:
        """Note an answer to a trial; return whether the server is back in service by it."""
        standing.failures = 0
        standing.successes += 1
        standing.rests_until = 0
        standing.is_dead = standing.successes < self._rules.successes
        return not standing.is_dead

    def _has_rested(self, standing: _Standing, mono_ms: int) -> bool:
        """Return whether a server is out of service, and may be tried: sooner while no other is in service."""
        if not standing.is_dead:
            return False
        if any(not each.is_dead for each in self._servers) or self._rules.dead_ms <= ALONE_MS:
            return mono_ms >= standing.rests_until
        return mono_ms >= standing.rests_until - self._rules.dead_ms + ALONE_MS
