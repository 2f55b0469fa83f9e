"""Process that answers HTTP for a switch: ``vosd.processes.entry vosd.metrics.exporter CHANNEL LISTENER`` (ADR 69).

It keeps nothing of its own: the switch gathers a reading when a client asks, at most one a second; this process writes
it. A switch whose event loop does not answer is not healthy.
"""

import asyncio
import gc
import os
import socket
import sys
import time
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final, NamedTuple

import msgspec

from vosd.metrics.exposition import written
from vosd.metrics.reading import ExporterAnswer, ExporterOpening, ExporterQuestion, QuestionTopic
from vosd.metrics.server import MetricsPage, MetricsServer
from vosd.processes.channel import received, send
from vosd.processes.life import give_way, live_as_long_as_the_switch

ANSWER_S: Final = 2.0
"""A switch that has not answered by then is taken for one that hangs."""
READING_S: Final = 8.0
"""Time for a whole reading: less than the usual time limit of a scrape."""
KEPT_S: Final = 1.0
"""Time for which a reading serves other clients."""


class SilentError(Exception):
    """The switch has not answered in time, or not in whole; ``parts`` have come."""

    def __init__(self, parts: Sequence[ExporterAnswer] = ()) -> None:
        super().__init__()
        self.parts = parts


class _Asked(NamedTuple):
    """A question that waits for its answer, and the parts that have come."""

    whole: asyncio.Future[None]
    parts: list[ExporterAnswer]


class AskedSwitch:
    """The switch, as this process asks it; parts of a reading may come with other answers in between."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._number = 0
        self._waiting: dict[int, _Asked] = {}

    async def ask(self, wanted: QuestionTopic, seconds: float) -> Sequence[ExporterAnswer]:
        """Return the parts of the answer; raises SilentError where it has not answered within that time."""
        self._number += 1
        number = self._number
        asked = self._waiting[number] = _Asked(asyncio.get_running_loop().create_future(), [])
        try:
            send(self._writer, msgspec.msgpack.encode(ExporterQuestion(number, wanted)))
            async with asyncio.timeout(seconds):
                await asked.whole
                return asked.parts
        except (TimeoutError, EOFError):
            raise SilentError(asked.parts) from None
        finally:
            del self._waiting[number]

    async def listen(self) -> None:
        """Take answers until the switch closes the channel."""
        decode = msgspec.msgpack.Decoder(ExporterAnswer).decode
        try:
            while True:
                answer = decode(await received(self._reader))
                asked = self._waiting.get(answer.number)
                if asked is not None:
                    asked.parts.append(answer)
                    if answer.is_last and not asked.whole.done():
                        asked.whole.set_result(None)
        except EOFError:
            return


class Pages:
    """The pages of the server, by path."""

    def __init__(self, switch: AskedSwitch, switch_pid: int) -> None:
        self._switch = switch
        self._pid = switch_pid
        self._one_at_a_time = asyncio.Lock()
        self._reading: Sequence[ExporterAnswer] = ()
        self._read_at = -KEPT_S

    async def metrics(self, accept: str) -> MetricsPage:
        """All figures; those of the switch alone where the gateways of a busy one have not come in time."""
        async with self._one_at_a_time:
            if time.monotonic() - self._read_at >= KEPT_S:
                try:
                    self._reading = await self._switch.ask(QuestionTopic.READING, READING_S)
                except SilentError as error:
                    if not error.parts:
                        return self._silent(READING_S)
                    return _page([msgspec.structs.replace(each, gateways=[]) for each in error.parts], accept)
                self._read_at = time.monotonic()
        return _page(self._reading, accept)

    async def health(self, _accept: str) -> MetricsPage:
        """Whether the event loop of the switch turns."""
        try:
            await self._switch.ask(QuestionTopic.HEALTH, ANSWER_S)
        except SilentError:
            return self._silent(ANSWER_S)
        return MetricsPage(HTTPStatus.OK, b"healthy\n")

    async def readiness(self, _accept: str) -> MetricsPage:
        """Whether the switch takes new calls."""
        try:
            (answer,) = await self._switch.ask(QuestionTopic.READINESS, ANSWER_S)
        except SilentError:
            return self._silent(ANSWER_S)
        if answer.is_well:
            return MetricsPage(HTTPStatus.OK, f"ready\n{answer.text}".encode())
        return MetricsPage(HTTPStatus.SERVICE_UNAVAILABLE, f"not ready\n{answer.text}".encode())

    def _silent(self, seconds: float) -> MetricsPage:
        text = f"the switch (process {self._pid}) has not answered for {seconds:g} s: its event loop hangs\n"
        return MetricsPage(HTTPStatus.SERVICE_UNAVAILABLE, text.encode())


def _page(parts: Sequence[ExporterAnswer], accept: str) -> MetricsPage:
    content, content_type = written(parts, accept)
    return MetricsPage(HTTPStatus.OK, content, content_type)


async def serve(channel: socket.socket, listener: socket.socket) -> None:
    """Answer clients until the switch closes the channel."""
    reader, writer = await asyncio.open_connection(sock=channel)
    opening = msgspec.msgpack.decode(await received(reader), type=ExporterOpening)
    switch = AskedSwitch(reader, writer)
    pages = Pages(switch, os.getppid())
    server = MetricsServer(
        {"/metrics": pages.metrics, "/healthz": pages.health, "/readyz": pages.readiness}, opening.networks
    )
    gc.freeze()
    accepting = await asyncio.start_server(server.accept, sock=listener)
    await switch.listen()
    accepting.close()  # as a context, from Python 3.12 on, it waits for its clients
    writer.close()


def main() -> None:
    """Serve the switch and the clients on the two descriptors that are the arguments."""
    live_as_long_as_the_switch()
    give_way(5)
    channel, listener = (socket.socket(fileno=int(number)) for number in sys.argv[1:])
    with asyncio.Runner() as runner:
        runner.run(serve(channel, listener))
