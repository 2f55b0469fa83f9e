"""A poster keeps its connection, and opens another one where that was lost meanwhile."""

import asyncio
import socket
import struct

import pytest

from vosd.engine.poster import Poster

RESET_AT_CLOSE = struct.pack("ii", 1, 0)


async def test_a_connection_that_was_reset_meanwhile_is_opened_again():
    writers = []

    async def answer(reader, writer):
        writers.append(writer)
        while True:
            try:
                await reader.readuntil(b"{}")
            except (asyncio.IncompleteReadError, ConnectionError):
                return
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        poster = Poster(f"http://127.0.0.1:{port}/calls")
        assert [await poster.post(b"{}", {}) for _ in range(2)] == [200, 200]
        assert len(writers) == 1
        writers[0].get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
        writers[0].transport.abort()
        with pytest.raises(ConnectionResetError):
            await poster._connection._reader.read()
        assert await poster.post(b"{}", {}) == 200
        assert len(writers) == 2
        poster.hang_up()
        writers[1].close()
        await writers[1].wait_closed()
