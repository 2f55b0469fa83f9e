"""A process beside the switch that cannot be started."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from errno import EAGAIN
from typing import NoReturn

from vosd.daemon import kept_process


async def test_a_process_that_cannot_be_started_is_tried_again_with_growing_pauses(monkeypatch):
    monkeypatch.setattr(kept_process, "RETRY_S", 0.001)
    noted: list[tuple[object, object]] = []
    is_enough = asyncio.Event()

    async def start() -> NoReturn:
        raise OSError(EAGAIN, "Resource temporarily unavailable", "/usr/bin/python3")

    def note(facts: Mapping[str, object]) -> None:
        noted.append((facts["in_s"], facts["error"]))
        if len(noted) == 3:
            is_enough.set()

    keeping = asyncio.create_task(kept_process.keep_process(start, b"", note))
    await is_enough.wait()
    keeping.cancel()
    with suppress(asyncio.CancelledError):
        await keeping
    fault = "[Errno 11] Resource temporarily unavailable: '/usr/bin/python3'"
    assert noted == [(0.001, fault), (0.002, fault), (0.004, fault)]
