"""systemd's end of the notify socket, for tests on machines where systemd is not process 1."""

import asyncio
import socket
import time
from typing import Final

from doubles.sockets.waiting import readable

_PATIENCE_S: Final = 60.0
_MESSAGE_MAX: Final = 4096


class ServiceManager:
    """Receives a daemon's notifications; ``address`` is a path, or ``@name`` for an abstract socket."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.setblocking(False)

    def heard(self) -> list[str]:
        """Return every message that has come by now."""
        messages = []
        while True:
            try:
                messages.append(self._socket.recv(_MESSAGE_MAX).decode())
            except BlockingIOError:
                return messages

    async def next_message(self) -> str:
        """Return the next message, without holding up the event loop."""
        return (await asyncio.get_running_loop().sock_recv(self._socket, _MESSAGE_MAX)).decode()

    def wait_for(self, assignment: str) -> list[str]:
        """Return the messages up to the first that contains ``assignment``.

        Raises:
            TimeoutError: it did not come.
        """
        messages: list[str] = []
        until = time.monotonic() + _PATIENCE_S
        while not messages or assignment not in messages[-1]:
            left = until - time.monotonic()
            if left < 0 or not readable([self._socket], left):
                message = f"{assignment!r} did not come; heard {messages}"
                raise TimeoutError(message)
            messages.append(self._socket.recv(_MESSAGE_MAX).decode())
        return messages

    def close(self) -> None:
        """Let go of the address."""
        self._socket.close()
