"""Waiting for what must become true, never for time to pass."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def eventually(
    look: Callable[[], Found], wanted: str | Callable[[], str], within_s: float = 30.0, looks: int = 1
) -> Found:
    """Look until something true is found, and return it; fail with ``wanted`` when the time is over.

    Where that is short, it is not over before so many ``looks``, which take longer on a busy machine.
    """
    start = time.monotonic()
    deadline = start + within_s
    while True:
        began = time.monotonic()
        found = look()
        if found:
            return found
        looks -= 1
        if time.monotonic() > deadline and looks <= 0:
            said = wanted if isinstance(wanted, str) else wanted()
            message = f"within {within_s} s: {said}"
            raise AssertionError(message)
        now = time.monotonic()
        # At most an eighth of the time goes into looking: what is waited for needs the processor, too. Less in a long
        # wait, which need not end to the millisecond.
        time.sleep(max(0.02, min(1.0, 7 * (now - began)), min(0.1, (now - start) / 20)))


async def a_moment() -> None:
    """Let other processes run before the next look, where turns of the loop alone would keep a processor busy."""
    await asyncio.sleep(0.01)


def talk(seconds: float) -> None:
    """Let calls last so long: what is shorter may be free."""
    until = time.monotonic() + seconds
    eventually(lambda: time.monotonic() >= until, "the calls have lasted")
