"""systemd's store of file descriptors: keeps copies of a daemon's sockets, and hands them to the next process."""

import os
import select
import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from doubles.sockets.waiting import HasDescriptor, readable

_MESSAGE_MAX: Final = 4096
_MOST: Final = 16
_LOOK_S: Final = 0.05
_FIRST_FD: Final = 3
STORE: Final = "VOSD_TEST_STORE"
"""Environment variable with the address at which ``take_descriptors`` asks."""


class DescriptorStore:
    """A notify socket and what it was given to keep; a context manager."""

    def __init__(self, directory: Path) -> None:
        self.notify, self.store = directory / "notify", directory / "store"
        self.kept: dict[str, int] = {}
        """Descriptors by name."""
        self.said: list[str] = []
        """Every notification."""
        self._watched = select.epoll()
        """Descriptors that it closes at their first error, as systemd does unless ``FDPOLL=0`` is said."""
        self._notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notified.bind(str(self.notify))
        self._asked = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._asked.bind(str(self.store))
        self._asked.listen()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def environment(self) -> dict[str, str]:
        """Return the variables of a daemon that uses it."""
        return {"NOTIFY_SOCKET": str(self.notify), STORE: str(self.store)}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._is_over.set()
        self._thread.join()
        self._watched.close()
        for kept in (*self.kept.values(), self._notified.detach(), self._asked.detach()):
            os.close(kept)

    def _serve(self) -> None:
        waited: list[HasDescriptor] = [self._notified, self._asked, self._watched]
        while not self._is_over.is_set():
            for ready in readable(waited, _LOOK_S):
                if ready is self._notified:
                    self._note(*socket.recv_fds(self._notified, _MESSAGE_MAX, _MOST)[:2])
                elif ready is self._asked:
                    self._hand_over(self._asked.accept()[0])
                else:
                    self._drop_failed()

    def _note(self, message: bytes, descriptors: list[int]) -> None:
        self.said.append(message.decode())
        said = dict(line.split("=", 1) for line in message.decode().splitlines())
        if "FDSTORE" in said:
            before = self.kept.get(said["FDNAME"])
            if before is not None:
                self._close(before)
            (self.kept[said["FDNAME"]],) = descriptors
            if said.get("FDPOLL") != "0":
                self._watched.register(descriptors[0], 0)  # errors alone
        elif "FDSTOREREMOVE" in said and said["FDNAME"] in self.kept:
            self._close(self.kept[said["FDNAME"]])

    def _drop_failed(self) -> None:
        for failed, _events in self._watched.poll(0):
            self._close(failed)

    def _close(self, descriptor: int) -> None:
        self.kept = {name: kept for name, kept in self.kept.items() if kept != descriptor}
        with suppress(FileNotFoundError):  # it was not watched
            self._watched.unregister(descriptor)
        os.close(descriptor)

    def _hand_over(self, asking: socket.socket) -> None:
        with asking:
            socket.send_fds(asking, [":".join(self.kept).encode() or b":"], list(self.kept.values()))


def take_descriptors() -> None:
    """Have what the store keeps from descriptor 3 on, as a process that systemd starts."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asking:
        asking.connect(os.environ[STORE])
        names, descriptors, *_ = socket.recv_fds(asking, _MESSAGE_MAX, _MOST)
    high = [os.dup2(descriptor, 200 + number) for number, descriptor in enumerate(descriptors)]
    for number, descriptor in enumerate(high):
        os.dup2(descriptor, _FIRST_FD + number)
        os.close(descriptor)
    for descriptor in descriptors:
        if descriptor >= _FIRST_FD + len(high):
            os.close(descriptor)
    os.environ.update(LISTEN_FDS=str(len(high)), LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES=names.decode().strip(":"))
