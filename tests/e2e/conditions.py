"""Waiting for what must become true, never for time to pass."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def eventually(look: Callable[[], Found], wanted: str | Callable[[], str], within_s: float = 30.0) -> Found:
    """Look until something true is found, and return it; fail with ``wanted`` when the time is over."""
    deadline = time.monotonic() + within_s
    while True:
        began = time.monotonic()
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            said = wanted if isinstance(wanted, str) else wanted()
            message = f"within {within_s} s: {said}"
            raise AssertionError(message)
        time.sleep(max(0.02, time.monotonic() - began))  # at most half of the time goes into looking
