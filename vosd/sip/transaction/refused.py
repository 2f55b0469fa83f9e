"""Refusals that leave no transaction, for a few seconds: whoever says the same again hears the same (section 8.2.7).

What was refused once and is then taken would be a call that its sender has given up. Bounded: where refusals are too
many the oldest go, and their repetitions are judged anew.
"""

from collections import OrderedDict
from typing import Final

from vosd.sip.wire.compose import Datagram

REFUSED_MAX: Final = 8_192
ANSWER_MAX: Final = 2_048
"""Bytes of an answer that is remembered: sixteen megabytes of all at the most. Honest ones are a third of that."""
REFUSED_MS: Final = 4_000
"""The first repetitions of a request come within it; they end with the refusal, but for one that was lost."""


class RecentRefusals:
    """What was answered to requests of which nothing else is left."""

    __slots__ = ("_answers", "_most")

    def __init__(self, most: int = REFUSED_MAX) -> None:
        self._answers: OrderedDict[str, tuple[int, Datagram]] = OrderedDict()
        self._most = most

    def __len__(self) -> int:
        """Return how many are remembered."""
        return len(self._answers)

    def keep(self, key: str, answer: Datagram, now_ms: int) -> None:
        """Remember the answer to the request whose transaction would have that key, unless it is very long."""
        if len(answer.data) > ANSWER_MAX:
            return
        answers = self._answers
        while answers and (len(answers) >= self._most or next(iter(answers.values()))[0] <= now_ms):
            answers.popitem(last=False)
        answers[key] = (now_ms + REFUSED_MS, answer)

    def get(self, key: str, now_ms: int) -> Datagram | None:
        """Return what was answered, or None."""
        kept = self._answers.get(key)
        return None if kept is None or kept[0] <= now_ms else kept[1]
