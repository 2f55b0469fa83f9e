"""Addresses of the hosts of servers that are asked by name: at most one look-up of each host is open.

A silent name server holds a thread for 20 seconds and longer, while a request is given up after five and repeated. So
those who ask for a host whose look-up is open join it, and no look-up waits for a thread: each has its own, or is
refused.
"""

import errno
import socket
from asyncio import CancelledError, shield, wrap_future
from collections.abc import Sequence
from concurrent.futures import Future

from vosd.engine.daemon_threads import DaemonThreads

_Found = Sequence[str] | OSError | UnicodeError


class _LookUp:
    """One look-up of a host."""

    __slots__ = ("found", "is_late")

    def __init__(self, found: Future[_Found]) -> None:
        self.found = found
        self.is_late = False
        """Whether one who waited for it has given up before its end."""


class HostNames:
    """Looks up hosts, each in a thread of its own."""

    def __init__(self, most: int, name: str) -> None:
        """``most`` hosts are looked up at once, and another one is refused; ``name`` is that of the threads."""
        self._most = most
        self._threads = DaemonThreads(most, name)
        self._open: dict[str, _LookUp] = {}

    def is_open(self, host: str) -> bool:
        """Return whether a look-up of a host goes on, perhaps longer than those who began it have waited."""
        lookup = self._open.get(host)
        return lookup is not None and not lookup.found.done()

    def is_late(self, host: str) -> bool:
        """Return whether a look-up of a host goes on that one has given up already: its name server is silent."""
        return self.is_open(host) and self._open[host].is_late

    async def addresses(self, host: str) -> Sequence[str]:
        """Return the addresses of a host, each once, by the open look-up or by a new one.

        Raises:
            OSError: the name leads nowhere, or too many others are being looked up.
            UnicodeError: it is no name.
        """
        lookup = self._open[host] if self.is_open(host) else self._begin(host)
        try:
            found = await shield(wrap_future(lookup.found))  # others may wait for it, too
        except CancelledError:
            lookup.is_late = True
            raise
        if isinstance(found, Exception):
            raise found
        return found

    def _begin(self, host: str) -> _LookUp:
        for done in [each for each, lookup in self._open.items() if lookup.found.done()]:
            del self._open[done]
        if len(self._open) >= self._most:
            raise OSError(errno.EAGAIN, f"{self._most} other names are being looked up")
        lookup = self._open[host] = _LookUp(self._threads.submit(_found, host))
        return lookup


def _found(host: str) -> _Found:
    """Return the addresses of a host, each once, or the error: no future warns that its error was not asked for."""
    try:
        return [*dict.fromkeys(str(each[4][0]) for each in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))]
    except (OSError, UnicodeError) as error:
        return error
