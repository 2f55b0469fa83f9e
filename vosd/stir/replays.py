"""Tokens that were used: none serves two calls.

A token does not cover Call-ID, From tag, CSeq or branch, so an equal one of them proves nothing: anyone who has seen
an INVITE can write them. Retransmissions and copies that come by another path do not get here: the transaction absorbs
the former, and the latter get 482 (RFC 3261 section 8.2.2.2).
"""

from collections import OrderedDict
from collections.abc import Sequence


class Replays:
    """Signatures of recent tokens; the oldest are forgotten where there are too many."""

    def __init__(self) -> None:
        self._used: OrderedDict[bytes, int] = OrderedDict()
        """Moment at which each is stale, in milliseconds of UTC."""

    def __len__(self) -> int:
        return len(self._used)

    def take(self, fingerprints: Sequence[bytes], now_ms: int, until_ms: int, most: int) -> bool:
        """Note the tokens of a call; False = a call has one of them already, and none is noted.

        ``until_ms`` is when they are stale, so that they need not be remembered any longer.
        """
        while self._used:
            oldest = next(iter(self._used))
            if self._used[oldest] > now_ms and len(self._used) < most:
                break
            del self._used[oldest]
        if any(each in self._used for each in fingerprints):
            return False
        if most:
            self._used.update(dict.fromkeys(fingerprints, until_ms))
        return True

    def forget(self, fingerprints: Sequence[bytes]) -> None:
        """Let tokens be used again: their call was not answered, and may come again, also by another way."""
        for each in fingerprints:
            self._used.pop(each, None)
