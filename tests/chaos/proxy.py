"""A proxy before MariaDB that cuts connections in the middle of a commit, delays commits, or forgets connections.

It reads as much of the protocol as it takes to see a COMMIT: COM_QUERY with that text, as PyMySQL and aiomysql send it.
"""

import select
import socket
import threading
import time
from enum import Enum, auto
from typing import Final, Self

_COMMIT: Final = b"\x03COMMIT"
_LOOK_S: Final = 0.05
_MOST: Final = 1 << 20


class OnCommit(Enum):
    """What happens to the next COMMITs."""

    PASS = auto()
    CUT_BEFORE = auto()
    """The next one is not passed on, and its connection is closed: the server rolls back."""
    CUT_AFTER = auto()
    """The next one is passed on, and the connection closed instead of the answer: the server has committed."""
    DELAY = auto()
    """Each is passed on ``DELAY_S`` later."""


DELAY_S: Final = 2.0


class Proxy:
    """Listens on a port of its own; a context manager."""

    def __init__(self, port: int) -> None:
        """``port`` is that of the server."""
        self.on_commit = OnCommit.PASS
        self.cut = 0
        """How many commits were cut."""
        self.server_port = port
        """New connections lead to it."""
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._other: dict[socket.socket, socket.socket] = {}
        self._clients: set[socket.socket] = set()
        self._ends_at_answer: set[socket.socket] = set()
        self._forgotten: frozenset[socket.socket] = frozenset()
        self._delayed: dict[socket.socket, tuple[float, bytes]] = {}
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._is_over.set()
        self._thread.join()
        self._listening.close()
        for each in self._other:
            each.close()

    def forget_connections(self) -> None:
        """Pass nothing more on over the connections there are, as a firewall that has forgotten idle ones."""
        self._forgotten = frozenset(self._other)

    def _run(self) -> None:
        while not self._is_over.is_set():
            waiting = [each for each in self._other if each not in self._delayed and each not in self._forgotten]
            for ready in select.select([self._listening, *waiting], [], [], _LOOK_S)[0]:
                if ready is self._listening:
                    self._accept()
                elif ready in self._other:  # else its other side has just been closed
                    self._pass_on(ready)
            for client, (at, data) in [*self._delayed.items()]:
                if time.monotonic() >= at:
                    del self._delayed[client]
                    self._send(client, data)

    def _accept(self) -> None:
        client, _ = self._listening.accept()
        try:
            server = socket.create_connection(("127.0.0.1", self.server_port), 5)
        except OSError:
            client.close()
            return
        for each in (client, server):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._other[client], self._other[server] = server, client
        self._clients.add(client)

    def _pass_on(self, ready: socket.socket) -> None:
        try:
            data = ready.recv(_MOST)
        except OSError:
            data = b""
        if not data or ready in self._ends_at_answer:
            self._close(ready)
        elif ready in self._clients and data.endswith(_COMMIT):
            self._commit(ready, data)
        else:
            self._send(ready, data)

    def _commit(self, client: socket.socket, data: bytes) -> None:
        match self.on_commit:
            case OnCommit.PASS:
                self._send(client, data)
            case OnCommit.DELAY:
                self._delayed[client] = (time.monotonic() + DELAY_S, data)
            case OnCommit.CUT_BEFORE:
                self._cut_once()
                self._close(client)
            case OnCommit.CUT_AFTER:
                self._cut_once()
                self._ends_at_answer.add(self._other[client])
                self._send(client, data)

    def _cut_once(self) -> None:
        self.on_commit = OnCommit.PASS
        self.cut += 1

    def _send(self, source: socket.socket, data: bytes) -> None:
        other = self._other.get(source)
        if other is None:
            return
        try:
            other.sendall(data)
        except OSError:
            self._close(source)

    def _close(self, one: socket.socket) -> None:
        for each in (one, self._other[one]):
            del self._other[each]
            self._clients.discard(each)
            self._ends_at_answer.discard(each)
            self._delayed.pop(each, None)
            each.close()
