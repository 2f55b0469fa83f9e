"""Sockets of the processes that answer HTTP beside the switch: a busy port keeps no call from being taken."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from vosd.engine.settings import HttpListener

WAITING_MAX: Final = 64
"""Connections that the kernel keeps until the process accepts them."""


async def listening(
    listen: HttpListener, retry_s: float, note_busy: Callable[[HttpListener, str], None]
) -> socket.socket:
    """Return a socket that listens; while the port is busy, note it once, and try again."""
    is_noted = False
    while True:
        try:
            return _opened(listen)
        except OSError as error:
            if not is_noted:
                note_busy(listen, error.strerror or str(error))
            is_noted = True
        await asyncio.sleep(retry_s)


def _opened(listen: HttpListener) -> socket.socket:
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((listen.host, listen.port))
        listener.listen(WAITING_MAX)
    except BaseException:
        listener.close()
        raise
    return listener
