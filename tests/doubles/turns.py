"""Turns of the event loop, for tests that wait for what has no event."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

PATIENCE_S: Final = 30


async def until(condition: Callable[[], object]) -> None:
    """Let the event loop run until a condition holds."""
    turn = partial(asyncio.sleep, 0)
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await turn()


async def turns(count: int) -> None:
    """Let the event loop run so many times."""
    for _ in range(count):
        await asyncio.sleep(0)
