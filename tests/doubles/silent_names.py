"""A resolver that has no answer for some hosts, as where their name server is silent."""

import socket
from collections import Counter
from threading import Event
from typing import Any

import pytest


class SilentNames:
    """Hosts are at 127.0.0.1: ``slow`` ones have that answer when ``released`` is set, ``dead`` ones an error then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.released = Event()
        self.dead: set[str] = set()
        self.slow: set[str] = set()
        self.releasing = ""
        """Host whose look-up releases the others."""
        self.asked: Counter[str] = Counter()
        self._real = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self._look_up)

    def _look_up(self, host: str, *terms: Any, **named: Any) -> list[Any]:
        self.asked[host] += 1
        if host == self.releasing:
            self.released.set()
        if host in self.dead | self.slow:
            self.released.wait(60)
        if host in self.dead:
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return self._real("127.0.0.1", *terms, **named)
