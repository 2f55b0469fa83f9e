"""One reading for all requests that wait for the same."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Read = TypeVar("Read")


class SharedReadings(Generic[Read]):
    """Reads once for all who ask for the same while it is read: what each gets was read after it asked."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, asyncio.Task[Read]] = {}
        self._next: dict[Hashable, asyncio.Task[Read]] = {}

    async def of(self, what: Hashable, read: Callable[[], Awaitable[Read]]) -> Read:
        """Return what is read from now on; raises as the reading, for all who wait for it."""
        following = self._next.get(what)
        if following is None:
            following = self._next[what] = asyncio.create_task(self._read_after(what, read))
        return await asyncio.shield(following)

    async def _read_after(self, what: Hashable, read: Callable[[], Awaitable[Read]]) -> Read:
        under_way = self._under_way.get(what)
        if under_way is not None:
            await asyncio.wait([under_way])
        own = self._under_way[what] = self._next.pop(what)
        try:
            return await read()
        finally:
            if self._under_way[what] is own:
                del self._under_way[what]
