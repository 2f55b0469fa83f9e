"""Accept connections over TLS, and bound how many of them have no handshake yet, and for how long.

The server of the event loop bounds neither: a connection reaches its protocol, which has limits, when the handshake has
ended, and a silent client never begins one.
"""

import asyncio
import errno
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Final

from vosd.base.host import owner_network_of

HANDSHAKE_S: Final = 10
"""Time for the handshake of a connection."""
HANDSHAKES_MAX: Final = 500
"""Handshakes under way. A further one ends the oldest of the network that has most."""
_ACCEPTED_AT_ONCE: Final = 64
"""Connections accepted in one turn of the event loop."""
_PAUSE_S: Final = 0.5
"""Pause of accepting when the process may open no more files."""
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class TlsAcceptor:
    """Accepts on one socket that listens; it has those methods of ``asyncio.Server`` by which uvicorn ends one."""

    def __init__(
        self, listener: socket.socket, context: ssl.SSLContext, make: Callable[[], asyncio.BaseProtocol], backlog: int
    ) -> None:
        """``make`` returns the protocol of a connection whose handshake has begun."""
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._context = context
        self._make = make
        self._under_way: dict[asyncio.Task[None], str] = {}
        """Networks of the handshakes under way, the oldest first."""
        listener.listen(backlog)
        listener.setblocking(False)
        self._resume()

    def close(self) -> None:
        """Accept nothing more, and end the handshakes that are under way."""
        if self._listener.fileno() >= 0:
            self._loop.remove_reader(self._listener)
        for task in self._under_way:
            task.cancel()

    async def wait_closed(self) -> None:
        """Wait until the handshakes have ended."""
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def _resume(self) -> None:
        if self._listener.fileno() >= 0:
            self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                accepted, address = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._loop.remove_reader(self._listener)
                    self._loop.call_later(_PAUSE_S, self._resume)
                    return
                continue  # the client of this one has gone
            accepted.setblocking(False)
            task = self._loop.create_task(self._secure(accepted))
            self._under_way[task] = owner_network_of(address[0])
            task.add_done_callback(partial(self._ended, accepted))
            if len(self._under_way) > HANDSHAKES_MAX:
                self._end_one()

    async def _secure(self, accepted: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(
                self._make, accepted, ssl=self._context, ssl_handshake_timeout=HANDSHAKE_S
            )
        except OSError:  # ssl.SSLError and time-outs are such
            accepted.close()

    def _ended(self, accepted: socket.socket, task: asyncio.Task[None]) -> None:
        self._under_way.pop(task, None)
        if task.cancelled():  # perhaps before it has begun, so it could not close the socket by itself
            accepted.close()

    def _end_one(self) -> None:
        """End the oldest handshake of the network that has most: one with many does not keep out one with few."""
        most, _ = Counter(self._under_way.values()).most_common(1)[0]
        oldest = next(task for task, network in self._under_way.items() if network == most)
        del self._under_way[oldest]
        oldest.cancel()
