"""A short wait for the database, for requests that have an answer without it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from vosd.cdr.ports import StoreUnavailable

Read = TypeVar("Read")

ANSWER_S: Final = 2.0
"""Longest wait for one reading: the database itself counts as away after many times as long."""
PAUSE_S: Final = 5.0
"""It is not asked again for so long after a wait in vain."""


class BriefWait:
    """Readings of all requests; while a database hangs, most of them do not wait at all."""

    def __init__(self) -> None:
        self._until = 0.0
        """The database counts as away until then, by the clock of the event loop."""

    async def read(self, reading: Callable[[], Awaitable[Read]]) -> Read:
        """Return what is read.

        Raises:
            StoreUnavailable: there was no answer in this time, or there was none a moment ago.
        """
        now = asyncio.get_running_loop().time
        if now() < self._until:
            raise StoreUnavailable("the database did not answer a moment ago")
        try:
            async with asyncio.timeout(ANSWER_S):
                return await reading()
        except TimeoutError as error:
            self._until = now() + PAUSE_S
            raise StoreUnavailable(f"the database did not answer within {ANSWER_S:g} s") from error
