"""Addresses of the hosts of servers that are asked by name: at most one look-up of each host is open.

A silent name server holds a thread for 20 seconds and longer, while a request is given up after five and repeated. So
those who ask for a host whose look-up is open join it, and no look-up waits for a thread: each has its own, or is
refused.
"""

import errno
import socket
from asyncio import get_running_loop, shield, wrap_future
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Final

from vosd.engine.daemon_threads import DaemonThreads

KEPT_MAX: Final = 1_000
"""Most hosts whose addresses are kept."""

_Found = Sequence[str] | OSError | UnicodeError


class HostNames:
    """Looks up hosts, each in a thread of its own."""

    def __init__(self, most: int, name: str, *, kept_s: float = 0.0) -> None:
        """``most`` hosts are looked up at once, and another one is refused; ``name`` is that of the threads.

        Addresses are given again for ``kept_s`` without a look-up.
        """
        self._most = most
        self._kept_s = kept_s
        self._threads = DaemonThreads(most, name)
        self._open: dict[str, Future[_Found]] = {}
        self._kept: OrderedDict[str, tuple[Sequence[str], float]] = OrderedDict()
        """By host, with the time of the loop until which they are given again; the latest last."""

    def is_open(self, host: str) -> bool:
        """Return whether a look-up of a host goes on, perhaps longer than those who began it have waited."""
        lookup = self._open.get(host)
        return lookup is not None and not lookup.done()

    def kept(self, host: str) -> Sequence[str]:
        """Return the addresses of a host that are given without a look-up; empty where there are none."""
        addresses, until = self._kept.get(host, ((), 0.0))
        return addresses if get_running_loop().time() < until else ()

    async def addresses(self, host: str) -> Sequence[str]:
        """Return the addresses of a host, each once: those that are kept, or by the open look-up or a new one.

        Raises:
            OSError: the name leads nowhere, or too many others are being looked up.
            UnicodeError: it is no name.
        """
        if kept := self.kept(host):
            return kept
        lookup = self._open[host] if self.is_open(host) else self._begin(host)
        found = await shield(wrap_future(lookup))  # others may wait for it, too
        if isinstance(found, Exception):
            raise found
        if self._kept_s:
            self._keep(host, found)
        return found

    def _keep(self, host: str, addresses: Sequence[str]) -> None:
        self._kept[host] = addresses, get_running_loop().time() + self._kept_s
        self._kept.move_to_end(host)
        if len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)

    def _begin(self, host: str) -> Future[_Found]:
        for done in [each for each, lookup in self._open.items() if lookup.done()]:
            del self._open[done]
        if len(self._open) >= self._most:
            raise OSError(errno.EAGAIN, f"{self._most} other names are being looked up")
        lookup = self._open[host] = self._threads.submit(_found, host)
        return lookup


def _found(host: str) -> _Found:
    """Return the addresses of a host, each once, or the error: no future warns that its error was not asked for."""
    try:
        return [*dict.fromkeys(str(each[4][0]) for each in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))]
    except (OSError, UnicodeError) as error:
        return error
