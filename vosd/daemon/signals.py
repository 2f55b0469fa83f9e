"""Signals of the daemon: SIGHUP loads the configuration, SIGINT and SIGTERM stop it."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def handled(*, reload: Callable[[], None], stop: Callable[[signal.Signals], None]) -> Iterator[None]:
    """Have the running loop call ``reload`` on SIGHUP and ``stop`` on SIGINT and SIGTERM."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, reload)
    for ending in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(ending, stop, ending)
    try:
        yield
    finally:
        for received in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(received)
