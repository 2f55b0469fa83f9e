"""Notice of clients that have disconnected while their orders are carried out.

A client may close its sending side behind a request and wait for the answer, so the end of what it sends says nothing.
That both sides are closed is reported by the kernel (EPOLLHUP), for which event loops do not ask.
"""

import asyncio
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


class Hangups:
    """Watches connections, through an epoll descriptor of its own."""

    def __init__(self) -> None:
        self._poll: select.epoll | None = None
        self._acts: dict[int, Callable[[], object]] = {}
        """Actions at the end of a connection, by its descriptor."""

    def open(self) -> None:
        """Begin to watch."""
        self._poll = select.epoll()
        asyncio.get_running_loop().add_reader(self._poll.fileno(), self._notice)

    def close(self) -> None:
        """Watch no more."""
        poll, self._poll = self._poll, None
        if poll is not None:
            asyncio.get_running_loop().remove_reader(poll.fileno())
            poll.close()

    @contextmanager
    def watched(self, writer: asyncio.StreamWriter, act: Callable[[], object]) -> Iterator[None]:
        """Call ``act`` once if the client of a connection disconnects meanwhile."""
        number = writer.get_extra_info("socket").fileno()
        if self._poll is None or number < 0:
            yield
            return
        self._acts[number] = act
        self._poll.register(number, 0)
        try:
            yield
        finally:
            if self._acts.get(number) is act:
                self._forget(number)

    def _notice(self) -> None:
        if self._poll is None:
            return
        for number, _ in self._poll.poll(0):
            act = self._acts[number]
            self._forget(number)  # it would be reported again and again
            act()

    def _forget(self, number: int) -> None:
        del self._acts[number]
        if self._poll is not None:
            with suppress(OSError):  # closed, and thereby not watched any more
                self._poll.unregister(number)
