"""Waiting for packets, whatever the numbers of the sockets: ``select`` takes none above 1023."""

import select
from collections.abc import Iterable
from typing import Protocol, TypeVar


class HasDescriptor(Protocol):
    """A socket, or another thing that can be waited for."""

    def fileno(self) -> int:
        """Return its file descriptor."""


_Source = TypeVar("_Source", bound=HasDescriptor)


def readable(sockets: Iterable[_Source], within_s: float) -> list[_Source]:
    """Return those sockets that can be read, once there is one; none after ``within_s`` seconds."""
    of_number = {each.fileno(): each for each in sockets}
    poll = select.poll()
    for number in of_number:
        poll.register(number, select.POLLIN)
    return [of_number[number] for number, _ in poll.poll(max(within_s, 0) * 1_000)]
