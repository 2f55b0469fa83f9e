"""Bounded queues with fairness between sources: served in turn; when full, the longest queue loses its oldest item.

Every operation is O(1), for any number of sources.
"""

from collections import OrderedDict, deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """One queue for each source, at most ``most`` items in all."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lines: OrderedDict[str, deque[Item]] = OrderedDict()
        """The source that is served next is first."""
        self._by_length: dict[int, OrderedDict[str, None]] = {}
        """Sources by the length of their queue."""
        self._longest = 0
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def has(self, source: str) -> bool:
        """Return whether an item of a source waits."""
        return source in self._lines

    def put(self, source: str, item: Item) -> Item | None:
        """Add an item; return the item dropped for it (the oldest of the longest queue), or None."""
        line = self._lines.get(source)
        if line is None:
            line = self._lines[source] = deque()
        line.append(item)
        self._size += 1
        self._moved(source, len(line) - 1, len(line))
        return self.drop() if self._size > self._most else None

    def take(self) -> Item | None:
        """Take the oldest item of the next source, or None if the queue is empty."""
        if not self._size:
            return None
        source = next(iter(self._lines))
        item = self._take_of(source)
        if source in self._lines:
            self._lines.move_to_end(source)
        return item

    def drop(self) -> Item:
        """Take the oldest item of the longest queue."""
        return self._take_of(next(iter(self._by_length[self._longest])))

    def oldest(self) -> Item | None:
        """Return the oldest item of the longest queue, or None if the queue is empty."""
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
        """Note that a source's queue has grown or shrunk by one."""
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


class LateFairQueue(FairQueue[Item]):
    """First in, first out up to ``fifo_max`` items; the items beyond are served fairly by source.

    The items of one source keep their order.
    """

    def __init__(self, most: int, fifo_max: int) -> None:
        """Hold at most ``most`` items in addition to the ``fifo_max``."""
        super().__init__(most)
        self._first: deque[Item] = deque()
        """Served before the others."""
        self._fifo_max = fifo_max

    def __len__(self) -> int:
        return len(self._first) + self._size

    def put(self, source: str, item: Item) -> Item | None:
        """Add an item; return the item dropped for it, or None."""
        if self._size or len(self._first) >= self._fifo_max:
            return super().put(source, item)
        self._first.append(item)
        return None

    def take(self) -> Item | None:
        """Take the next item, or None if the queue is empty."""
        if self._first:
            return self._first.popleft()
        return super().take() if self._size else None
