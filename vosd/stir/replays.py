"""Tokens that were used: none serves two calls.

A token does not cover Call-ID, From tag, CSeq or branch, so an equal one of them proves nothing: anyone who has seen
an INVITE can write them. Retransmissions and copies that come by another path do not get here: the transaction absorbs
the former, and the latter get 482 (RFC 3261 section 8.2.2.2).
"""

from collections import OrderedDict


class Replays:
    """Signatures of recent tokens; the oldest are forgotten where there are too many."""

    __slots__ = ("_used",)

    def __init__(self) -> None:
        self._used: OrderedDict[bytes, int] = OrderedDict()
        """Moment at which each is stale, in milliseconds of UTC."""

    def __len__(self) -> int:
        return len(self._used)

    def take(self, fingerprint: bytes, now_ms: int, until_ms: int, most: int) -> bool:
        """Note the token of a call; False = a call has it already.

        ``until_ms`` is when it is stale, so that it need not be remembered any longer.
        """
        while self._used:
            oldest = next(iter(self._used))
            if self._used[oldest] > now_ms and len(self._used) < most:
                break
            del self._used[oldest]
        if fingerprint in self._used:
            return False
        if most:
            self._used[fingerprint] = until_ms
        return True

    def forget(self, fingerprint: bytes) -> None:
        """Let a token be used again: its call was not answered, and may come again, also by another way."""
        self._used.pop(fingerprint, None)
