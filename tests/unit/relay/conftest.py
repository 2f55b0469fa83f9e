"""A worker without a switch."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from vosd.relay import worker as module
from vosd.relay.worker import Worker


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Worker]:
    monkeypatch.setattr(module, "_take_real_time", lambda: False)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(str(tmp_path / "w"))
        yield Worker(listening)
