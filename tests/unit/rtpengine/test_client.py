"""The sockets of the pool."""

import asyncio
import errno
import socket

from vosd.rtpengine import client
from vosd.rtpengine.client import RtpEngines
from vosd.trunks.media import RtpEngine


async def test_an_rtpengine_that_no_socket_can_reach_keeps_no_other_one_from_its_pings(monkeypatch):
    # as where the machine was booted with ipv6.disable=1, or the switch may open no more files
    def opened(family: int, kind: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return socket.socket(family, kind)

    loop = asyncio.get_running_loop()
    faults: list[object] = []
    loop.set_exception_handler(lambda _loop, context: faults.append(context))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as engine, monkeypatch.context() as of:
        of.setattr(client, "socket", _Sockets(opened))
        engine.bind(("127.0.0.1", 0))
        engines = RtpEngines([RtpEngine("six", "::1", 2223), RtpEngine("four", *engine.getsockname())])
        try:
            engines.begin()
            for _ in range(2):  # the second one is its repetition
                async with asyncio.timeout(60):
                    await loop.sock_recv(engine, 65_535)
        finally:
            engines.close()
    assert not faults


class _Sockets:
    """The module of sockets with another way to open them."""

    def __init__(self, opened) -> None:
        self.socket = opened

    def __getattr__(self, name: str) -> object:
        return getattr(socket, name)
