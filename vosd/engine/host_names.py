"""Addresses of the hosts of servers that are asked again and again: at most one look-up of each host is open.

A silent name server holds a thread for 20 seconds and longer, while a request is given up after five and repeated. So
those who ask for a host whose look-up is open join it, and the hosts of other servers keep their threads.
"""

import socket
from asyncio import shield, wrap_future
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, Final

from vosd.engine.daemon_threads import DaemonThreads


class HostNames:
    """Looks up hosts, each in one thread at most."""

    def __init__(self, most: int, name: str) -> None:
        """``most`` hosts are looked up at once; ``name`` is that of the threads."""
        self.threads: Final = DaemonThreads(most, name)
        self._open: dict[tuple[str, int], Future[Any]] = {}

    def is_open(self, host: str, port: int) -> bool:
        """Return whether a look-up of a host goes on, perhaps longer than those who began it have waited."""
        lookup = self._open.get((host, port))
        return lookup is not None and not lookup.done()

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses of a host, by the open look-up or by a new one; raises OSError and UnicodeError."""
        if not self.is_open(host, port):
            for done in [each for each, lookup in self._open.items() if lookup.done()]:
                del self._open[done]
            resolve = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
            self._open[host, port] = self.threads.submit(resolve)
        found = await shield(wrap_future(self._open[host, port]))  # others may wait for it, too
        return list(dict.fromkeys(str(each[4][0]) for each in found))
