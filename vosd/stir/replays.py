"""Tokens that were used: none serves two calls."""

from collections import OrderedDict


class Replays:
    """Signatures of recent tokens with the call of each; the oldest are forgotten where there are too many."""

    __slots__ = ("_used",)

    def __init__(self) -> None:
        self._used: OrderedDict[bytes, tuple[str, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._used)

    def __contains__(self, fingerprint: bytes) -> bool:
        """Return whether a call has used a token."""
        return fingerprint in self._used

    def take(self, fingerprint: bytes, call_id: str, now_ms: int, until_ms: int, most: int) -> bool:
        """Note the token of a call; False = another call has used it.

        ``until_ms`` is when it is stale, so that it need not be remembered any longer.
        """
        while self._used:
            oldest = next(iter(self._used))
            if self._used[oldest][1] > now_ms and len(self._used) < most:
                break
            del self._used[oldest]
        used = self._used.get(fingerprint)
        if used is not None:
            return used[0] == call_id
        if most:
            self._used[fingerprint] = call_id, until_ms
        return True

    def forget(self, fingerprint: bytes) -> None:
        """Let a token be used again: its call was not answered, and the network before us may try another way."""
        self._used.pop(fingerprint, None)
