"""A process of this program beside the switch: its start with a channel, and its end.

What the two sides say to each other is not known here.
"""

import asyncio
import os
import socket
import sys
from typing import Final, NamedTuple

from vosd.processes import entry
from vosd.processes.forked import ForkedProcess
from vosd.processes.started_program import WatchedProcess, start_program

_END_S: Final = 5.0


class Child(NamedTuple):
    """The process, and the channel to it."""

    process: WatchedProcess
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


async def started(module: str, *descriptors: int) -> Child:
    """Start ``main`` of a module with the channel and other open descriptors as arguments.

    Raises:
        OSError: it cannot be started.
    """
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    inherited = (theirs.fileno(), *descriptors)
    try:
        process = start_program(
            (sys.executable, "-P", "-m", entry.__name__, module, *map(str, inherited)),
            inherited=inherited,
            environment={**os.environ, "PYTHONPATH": entry.search_path()},
        )
    except OSError as error:
        ours.close()
        raise OSError(error.errno, error.strerror, sys.executable) from error  # fork does not say which program
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    reader, writer = await asyncio.open_connection(sock=ours)
    return Child(process, reader, writer)


async def adopted(forked: ForkedProcess) -> Child:
    """Return a process that was forked before the event loop ran.

    Raises:
        OSError: it cannot be watched, and was ended.
    """
    try:
        process = WatchedProcess(forked)
    except OSError:
        forked.channel.close()
        raise
    reader, writer = await asyncio.open_connection(sock=forked.channel)
    return Child(process, reader, writer)


async def ended(child: Child, *, is_asked: bool = True) -> bool:
    """End the process: by closing the channel if ``is_asked``, else at once; return whether it had to be killed.

    A task that is cancelled meanwhile is so when the process has ended, however often it is cancelled: a process that
    is left behind would keep its port.
    """
    ending = asyncio.create_task(_ended(child, is_asked=is_asked))
    is_cancelled = False
    while not ending.done():
        try:
            await asyncio.wait({ending})
        except asyncio.CancelledError:
            is_cancelled = True
    if is_cancelled:
        raise asyncio.CancelledError
    return ending.result()


async def _ended(child: Child, *, is_asked: bool) -> bool:
    process, _, writer = child
    writer.close()
    if is_asked:
        try:
            async with asyncio.timeout(_END_S):
                await process.wait()
        except TimeoutError:
            pass
        else:
            return False
    if process.returncode is None:
        process.kill()
        await process.wait()
    return True
