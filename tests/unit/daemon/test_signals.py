"""Signals become calls: SIGHUP loads, SIGINT and SIGTERM end."""

import asyncio
import os
import signal
from itertools import count

import pytest
from doubles.turns import turns

from vosd.daemon.lifecycle import Reloads, note_reloads, signals_handled


@pytest.mark.parametrize(
    ("sent", "means"), [(signal.SIGHUP, "reload"), (signal.SIGINT, "stop SIGINT"), (signal.SIGTERM, "stop SIGTERM")]
)
async def test_each_signal_calls_its_function_and_is_let_go_afterwards(sent: signal.Signals, means: str) -> None:
    before = signal.getsignal(sent)
    heard: asyncio.Queue[str] = asyncio.Queue()
    with signals_handled(
        reload=lambda: heard.put_nowait("reload"), stop=lambda received: heard.put_nowait(f"stop {received.name}")
    ):
        os.kill(os.getpid(), sent)
        assert await asyncio.wait_for(heard.get(), 30) == means
    restored = signal.getsignal(sent)
    assert restored in (before, signal.SIG_DFL, signal.default_int_handler)


async def test_a_signal_to_load_again_that_comes_before_the_loop_runs_is_noted() -> None:
    before = signal.getsignal(signal.SIGHUP)
    try:
        has_come = note_reloads()
        assert not has_come()
        os.kill(os.getpid(), signal.SIGHUP)
        assert has_come()
    finally:
        signal.signal(signal.SIGHUP, before)


async def test_a_thousand_signals_while_the_files_are_loaded_mean_one_more_load() -> None:
    begun: asyncio.Queue[int] = asyncio.Queue()
    ends: asyncio.Queue[None] = asyncio.Queue()
    loads = count(1)

    async def load() -> None:
        begun.put_nowait(next(loads))
        await ends.get()

    reloads = Reloads(load)
    reloads.ask()
    for often in (1_000, 1, 0):  # the last load has begun behind the last signal: none follows
        await begun.get()
        for _ in range(often):
            reloads.ask()
        ends.put_nowait(None)
    await turns(5)
    assert next(loads) == 4
    reloads.ask()
    assert await begun.get() == 5
    ends.put_nowait(None)
    await turns(5)
