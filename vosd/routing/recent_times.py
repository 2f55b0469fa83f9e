"""The latest times at which something happened, for each of many keys, in bounded memory.

Answers one question: whether something has happened a number of times within a window that ends now. The key that was
silent longest is forgotten first where there are too many.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

TIMES_MAX: Final = 50_000
"""Most times that are remembered; half a kilobyte each where every key has one."""


class _Times:
    """When one caller made its latest calls, the oldest first, and until when the latest of them counts."""

    __slots__ = ("times", "until")

    def __init__(self) -> None:
        self.times: list[int] = []
        self.until = 0


class RecentTimes:
    """The latest times for each key, as far as they are needed to see whether a limit is exceeded."""

    __slots__ = ("_by_key", "_most", "forgotten", "size")

    def __init__(self, most: int = TIMES_MAX) -> None:
        self._by_key: OrderedDict[tuple[str, ...], _Times] = OrderedDict()
        self._most = most
        self.size = 0
        """Number of times that are remembered."""
        self.forgotten = 0
        """Number of keys that were removed before their time, since there were too many."""

    def __len__(self) -> int:
        return len(self._by_key)

    def is_full(self, key: tuple[str, ...], limit: int, window_ms: int, mono_ms: int) -> bool:
        """Return whether ``limit`` times of the key lie within the window that ends now."""
        found = self._by_key.get(key)
        return found is not None and len(found.times) >= limit and mono_ms - found.times[-limit] < window_ms

    def add(self, key: tuple[str, ...], limit: int, window_ms: int, mono_ms: int) -> None:
        """Remember one more time; only the last ``limit`` of a key are needed."""
        by_key = self._by_key
        found = by_key.get(key)
        if found is None:
            found = by_key[key] = _Times()
        else:
            by_key.move_to_end(key)
        found.times.append(mono_ms)
        found.until = mono_ms + window_ms
        self.size += 1
        if len(found.times) > 2 * limit:  # half of them at once, so that a call costs the same whatever the limit
            self.size -= len(found.times) - limit
            del found.times[:-limit]
        self._make_room(mono_ms)

    def undo(self, key: tuple[str, ...], mono_ms: int) -> None:
        """Remove a time again."""
        found = self._by_key.get(key)
        if found is None:
            return  # forgotten meanwhile
        if found.times[-1] == mono_ms:
            found.times.pop()
        elif mono_ms in found.times:  # other calls came while this one waited for an answer
            found.times.remove(mono_ms)
        else:
            return
        self.size -= 1
        if not found.times:
            del self._by_key[key]

    def forget(self, key: tuple[str, ...]) -> None:
        """Forget all times of a key."""
        found = self._by_key.pop(key, None)
        if found is not None:
            self.size -= len(found.times)

    def forget_where(self, is_meant: Callable[[tuple[str, ...]], bool]) -> None:
        """Forget all times of the keys that are meant; looks at every key."""
        for key in [key for key in self._by_key if is_meant(key)]:
            self.forget(key)

    def _make_room(self, mono_ms: int) -> None:
        """Remove at most two keys whose times count no more, and as many others as there are too many."""
        by_key = self._by_key
        for _ in range(2):
            oldest = next(iter(by_key))
            if by_key[oldest].until > mono_ms:
                break
            self.forget(oldest)
        while self.size > self._most:
            self.size -= len(by_key.popitem(last=False)[1].times)
            self.forgotten += 1
