"""A poster keeps its connection, and opens another one where that was lost meanwhile."""

import asyncio
import socket
import struct

import pytest
from doubles.silent_names import SilentNames
from doubles.turns import until

from vosd.engine import poster as posters
from vosd.engine.alarms import webhook
from vosd.engine.host_names import HostNames
from vosd.engine.poster import Poster, UndeliveredError

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


@pytest.mark.parametrize("is_idle", [False, True])
async def test_a_response_without_a_question_answers_no_later_one(is_idle):
    bodies, returned = [], asyncio.Event()

    async def answer(reader, writer):
        bodies.append((await reader.readuntil(b"}"))[-3:])
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        if is_idle:
            await returned.wait()
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await reader.read()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        poster = Poster(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/calls")
        assert await poster.post(b"{1}", {}) == 200
        returned.set()
        if is_idle:
            await until(lambda: poster._connection._reader._buffer)
        second = await poster.post(b"{2}", {})
        poster.hang_up()
        assert (second, bodies) == (200, [b"{1}", b"{2}"])


@pytest.fixture
def names(monkeypatch):
    names = SilentNames(monkeypatch)
    yield names
    names.released.set()


@pytest.fixture
async def port():
    async def answer(reader, writer):
        await reader.readuntil(b"{}")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def given_up(poster, monkeypatch):
    """Post a report of which the name is not resolved in time."""
    monkeypatch.setattr(posters, "TIMEOUT_S", 0.05)
    with pytest.raises(UndeliveredError, match=r"^no answer within 0.05 s$"):
        await poster.post(b"{}", {})
    monkeypatch.setattr(posters, "TIMEOUT_S", 30.0)


async def test_names_that_are_not_resolved_hold_up_no_other_receiver(names, port, monkeypatch):
    names.dead = {f"dead{number}.example" for number in range(3)}
    dead = [Poster(f"http://{host}:{port}/") for host in sorted(names.dead)]
    for each in 4 * dead:
        await given_up(each, monkeypatch)
    assert await Poster(f"http://good.example:{port}/").post(b"{}", {}) == 200
    assert set(names.asked.values()) == {1}


async def test_posters_of_one_host_join_its_look_up_and_a_new_one_follows_it(names, port, monkeypatch):
    shared = HostNames(1, "names")
    one, other = (Poster(f"http://slow.example:{port}/{path}", names=shared) for path in "ab")
    names.dead = {"slow.example"}
    await given_up(one, monkeypatch)
    waiting = asyncio.create_task(other.post(b"{}", {}))
    await asyncio.sleep(0)
    names.released.set()
    with pytest.raises(UndeliveredError, match="no answer"):
        await waiting
    assert names.asked["slow.example"] == 1
    names.dead.clear()
    assert [await each.post(b"{}", {}) for each in (one, other)] == [200, 200]
    assert names.asked["slow.example"] == 3


async def test_the_latest_address_is_connected_to_while_a_look_up_goes_on(names, port, monkeypatch):
    poster = Poster(f"http://receiver.example:{port}/", names=HostNames(1, "names"))
    assert await poster.post(b"{}", {}) == 200
    names.dead = {"receiver.example"}
    await given_up(poster, monkeypatch)
    assert await poster.post(b"{}", {}) == 200
    assert names.asked["receiver.example"] <= 2


def test_alarms_have_threads_of_their_own():
    """An alarm may be about the receivers of reports."""
    assert webhook._NAMES is not posters._NAMES
