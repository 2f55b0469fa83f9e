"""Changes of nftables, which wait in the kernel for those of other programs.

A program that loads a long list of rules has all tables of a network to itself until it is done, for seconds or a
minute. A thread waits for it in place of the worker, whose packets go on.
"""

import errno
import os
from collections import deque
from collections.abc import Sequence
from queue import SimpleQueue
from threading import Event, Thread
from typing import Final

from vosd.relay.netlink import NETFILTER, Message, Netlink

PATIENCE_S: Final = 0.05
"""Longest time for which the worker waits for a change: alone it takes a millisecond at most."""


class TableChange:
    """One change, and what the kernel says of it."""

    __slots__ = ("error", "is_done", "keys", "may_be_gone", "messages", "said")

    def __init__(self, messages: Sequence[bytes], keys: Sequence[bytes], *, may_be_gone: bool) -> None:
        self.messages = messages
        self.keys = keys
        """Keys of the elements that it removes."""
        self.may_be_gone = may_be_gone
        """Whether what it is about may have ended by itself."""
        self.said: list[Message] = []
        self.error = 0
        """Number of the error by which the kernel refuses it; 0 = none.

        Kept as an exception it would refer to itself by its traceback: a worker collects no garbage.
        """
        self.is_done = Event()

    def make(self, connection: Netlink) -> None:
        """Make it, as soon as the kernel lets it."""
        try:
            self.said = connection.request(self.messages)
        except OSError as error:
            self.error = error.errno or errno.EIO
        self.is_done.set()

    def check(self) -> None:
        """Raise OSError if the kernel refuses it."""
        if self.error:
            raise OSError(self.error, os.strerror(self.error))


class TableChanges:
    """Changes in their order, made by one connection."""

    def __init__(self) -> None:
        """Raises OSError."""
        self.connection = Netlink(NETFILTER)
        self._closing = [self.connection]
        """Connections that are closed in the end."""
        self._queue: SimpleQueue[TableChange | None] = SimpleQueue()
        self._late: deque[TableChange] = deque()
        """Changes that were not made in time."""
        self._thread: Thread | None = None
        """None = none was needed, or the system has refused it: then the worker waits."""

    @property
    def is_waiting(self) -> bool:
        """Whether changes are not made yet, or were not taken from ``finished``."""
        return bool(self._late)

    def make(self, change: TableChange) -> list[Message] | None:
        """Make a change; return what the kernel says, None = it has to wait, and is made later.

        Raises:
            OSError: the kernel refuses it.
        """
        if self._thread is None and not self._is_begun():
            change.make(self.connection)
        else:
            self._queue.put(change)
            if self._late or not change.is_done.wait(PATIENCE_S):
                self._late.append(change)
                return None
        change.check()
        return change.said

    def finished(self) -> list[TableChange]:
        """Return changes that had to wait, and do no more."""
        found: list[TableChange] = []
        while self._late and self._late[0].is_done.is_set():
            found.append(self._late.popleft())
        return found

    def close(self, others: Sequence[Netlink]) -> None:
        """Close the connection behind the changes that wait, and others: any of netfilter waits for them, too."""
        self._closing += others
        if self._thread is None:
            self._close()
            return
        self._queue.put(None)
        self._thread.join(PATIENCE_S)

    def _is_begun(self) -> bool:
        """Start the thread; return whether the system permits it."""
        thread = Thread(target=self._run, name="tables", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return False
        self._thread = thread
        return True

    def _run(self) -> None:
        while (change := self._queue.get()) is not None:
            change.make(self.connection)
        self._close()

    def _close(self) -> None:
        for each in self._closing:
            each.close()
