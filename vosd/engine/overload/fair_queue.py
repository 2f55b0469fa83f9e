"""Bounded queues that many sources share fairly: served in turn, and what is too much is that of the longest line.

Every operation is O(1), whatever the number of sources.
"""

from collections import OrderedDict, deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """One line a source, at most ``most`` items in all."""

    __slots__ = ("_by_length", "_lines", "_longest", "_most", "_size")

    def __init__(self, most: int) -> None:
        self._most = most
        self._lines: OrderedDict[str, deque[Item]] = OrderedDict()
        """The source whose turn it is stands in front."""
        self._by_length: dict[int, OrderedDict[str, None]] = {}
        """The sources with a line of each length."""
        self._longest = 0
        self._size = 0

    def __len__(self) -> int:
        """Return how many items wait."""
        return self._size

    def has(self, source: str) -> bool:
        """Say whether anything of a source waits."""
        return source in self._lines

    def put(self, source: str, item: Item) -> Item | None:
        """Add an item; return the one that had to go for it: the oldest of the longest line, which may be the same."""
        line = self._lines.get(source)
        if line is None:
            line = self._lines[source] = deque()
        line.append(item)
        self._size += 1
        self._moved(source, len(line) - 1, len(line))
        return self.drop() if self._size > self._most else None

    def take(self) -> Item | None:
        """Take the oldest item of the source whose turn it is, or None where nobody waits."""
        if not self._size:
            return None
        source = next(iter(self._lines))
        item = self._take_of(source)
        if source in self._lines:
            self._lines.move_to_end(source)
        return item

    def drop(self) -> Item:
        """Take the oldest item of the longest line."""
        return self._take_of(next(iter(self._by_length[self._longest])))

    def oldest(self) -> Item | None:
        """Return the oldest item of the longest line, or None where nobody waits."""
        if not self._size:
            return None
        return self._lines[next(iter(self._by_length[self._longest]))][0]

    def _take_of(self, source: str) -> Item:
        line = self._lines[source]
        item = line.popleft()
        self._size -= 1
        self._moved(source, len(line) + 1, len(line))
        if not line:
            del self._lines[source]
        return item

    def _moved(self, source: str, before: int, after: int) -> None:
        """Note that a line has grown or shrunk by one."""
        by_length = self._by_length
        if before:
            sources = by_length[before]
            del sources[source]
            if not sources:
                del by_length[before]
        if after:
            by_length.setdefault(after, OrderedDict())[source] = None
        if after > self._longest or (before == self._longest and before not in by_length):
            self._longest = after


class CalmQueue(FairQueue[Item]):
    """A fair queue that begins to be one when more than a few wait: until then they are served as they came.

    What one source puts in comes out in the order it went in.
    """

    __slots__ = ("_few", "_first")

    def __init__(self, most: int, few: int) -> None:
        """Hold at most ``most`` beside the ``few``."""
        super().__init__(most)
        self._first: deque[Item] = deque()
        """Served before the others."""
        self._few = few

    def __len__(self) -> int:
        """Return how many items wait."""
        return len(self._first) + self._size

    def put(self, source: str, item: Item) -> Item | None:
        """Add an item; return the one that had to go for it."""
        if self._size or len(self._first) >= self._few:
            return super().put(source, item)
        self._first.append(item)
        return None

    def take(self) -> Item | None:
        """Take the item whose turn it is, or None where nobody waits."""
        if self._first:
            return self._first.popleft()
        return super().take() if self._size else None
