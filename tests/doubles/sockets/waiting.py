"""Waiting for packets, whatever the numbers of the sockets: ``select`` takes none above 1023."""

import select
import socket
from collections.abc import Iterable


def readable(sockets: Iterable[socket.socket], within_s: float) -> list[socket.socket]:
    """Return those sockets that can be read, once there is one; none after ``within_s`` seconds."""
    of_number = {each.fileno(): each for each in sockets}
    poll = select.poll()
    for number in of_number:
        poll.register(number, select.POLLIN)
    return [of_number[number] for number, _ in poll.poll(max(within_s, 0) * 1_000)]
