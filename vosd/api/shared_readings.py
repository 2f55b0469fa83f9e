"""One reading for all requests that wait for the same."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Read = TypeVar("Read")


class SharedReadings(Generic[Read]):
    """Reads once for all who ask for the same while it is read: what each gets was read after it asked."""

    def __init__(self, apart_s: float = 0.0) -> None:
        """``apart_s``: time from the begin of a reading to that of the next one of the same; who asks waits for it."""
        self._apart_s = apart_s
        self._resting: dict[Hashable, asyncio.Event] = {}
        """By what was read a moment ago; each is set when that may be read again."""
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
        if what in self._resting:
            await self._resting[what].wait()
        if self._apart_s:
            self._rest(what)
        own = self._under_way[what] = self._next.pop(what)
        try:
            return await read()
        finally:
            if self._under_way[what] is own:
                del self._under_way[what]

    def _rest(self, what: Hashable) -> None:
        self._resting[what] = asyncio.Event()
        asyncio.get_running_loop().call_later(self._apart_s, lambda: self._resting.pop(what).set())
