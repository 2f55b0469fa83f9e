"""Stateless refusals, kept for a few seconds so that a retransmission gets the same response (RFC 3261 8.2.7).

Without this, a request could be refused and its retransmission accepted: a call that its sender has given up. The
number of entries is limited; where there are too many, the oldest are dropped, and their retransmissions count as new.
"""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

from vosd.sip.wire.outgoing import Datagram

REFUSED_MAX: Final = 16_384
"""A flood of 4,000 a second for as long as each is kept."""
ANSWER_MAX: Final = 2_048
"""Longest response that is kept, in bytes: 32 MB for all of them. Common ones take a third of that."""
REFUSED_MS: Final = 4_000
"""Time that a refusal is kept: the first retransmissions arrive within it, and there are more only if it was lost."""


class RecentRefusals:
    """Responses to requests that have no transaction."""

    __slots__ = ("_most", "answers")

    def __init__(self, most: int = REFUSED_MAX) -> None:
        self.answers: OrderedDict[str, tuple[int, Datagram]] = OrderedDict()
        """End and response by key, the oldest first; some may be over."""
        self._most = most

    def __len__(self) -> int:
        return len(self.answers)

    def keep(self, key: str, answer: Datagram, now_ms: int) -> None:
        """Keep the response to the request whose transaction would have ``key``, unless that is too long."""
        if len(answer.data) > ANSWER_MAX:
            return
        answers = self.answers
        while answers and (len(answers) >= self._most or next(iter(answers.values()))[0] <= now_ms):
            answers.popitem(last=False)
        answers[key] = (now_ms + REFUSED_MS, answer)

    def keep_until(self, key: str, answer: Datagram, until_ms: int) -> None:
        """Keep what ``kept`` returned in another process."""
        self.answers[key] = (until_ms, answer)

    def kept(self) -> Iterator[tuple[str, int, Datagram]]:
        """Return key, end and response of everything that is kept, the oldest first."""
        for key, (until_ms, answer) in self.answers.items():
            yield key, until_ms, answer

    def get(self, key: str, now_ms: int) -> Datagram | None:
        """Return the response that was sent, or None."""
        kept = self.answers.get(key)
        return None if kept is None or kept[0] <= now_ms else kept[1]
