"""Process that answers HTTP for a switch: ``vosd.processes.entry vosd.metrics.exporter CHANNEL LISTENER`` (ADR 69).

It keeps nothing of its own: the switch gathers a reading when a client asks, at most one a second; this process writes
it. A switch whose event loop does not answer is not healthy.
"""

import asyncio
import gc
import math
import os
import socket
import sys
import time
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

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


class AskedSwitch:
    """The switch, as this process asks it; the answers come in the order of the questions."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._number = 0
        self._parts: list[ExporterAnswer] = []
        self._waiting: dict[int, asyncio.Future[list[ExporterAnswer]]] = {}
        self._answered_at = -math.inf

    @property
    def silent_s(self) -> float:
        """The seconds since anything came from the switch."""
        return time.monotonic() - self._answered_at

    async def ask(self, wanted: QuestionTopic, seconds: float) -> Sequence[ExporterAnswer]:
        """Return the parts of the answer.

        Raises:
            SilentError: it has not answered within that time.
        """
        self._number += 1
        number = self._number
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            send(self._writer, msgspec.msgpack.encode(ExporterQuestion(number, wanted)))
            async with asyncio.timeout(seconds):
                parts: Sequence[ExporterAnswer] = await future
                return parts
        except (TimeoutError, EOFError):
            raise SilentError([each for each in self._parts if each.number == number]) from None
        finally:
            del self._waiting[number]

    async def listen(self) -> None:
        """Take answers until the switch closes the channel."""
        decode = msgspec.msgpack.Decoder(ExporterAnswer).decode
        try:
            while True:
                answer = decode(await received(self._reader))
                self._parts.append(answer)
                self._answered_at = time.monotonic()
                if answer.is_last:
                    future, parts, self._parts = self._waiting.get(answer.number), self._parts, []
                    if future is not None and not future.done():
                        future.set_result(parts)
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
            if self._switch.silent_s > ANSWER_S:  # else the answer waits behind a long reading
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
        if self._switch.silent_s <= seconds:
            text = f"the switch (process {self._pid}) is busy: a reading takes longer than {seconds:g} s\n"
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
    async with await asyncio.start_server(server.accept, sock=listener):
        await switch.listen()
    writer.close()


def main() -> None:
    """Serve the switch and the clients on the two descriptors that are the arguments."""
    live_as_long_as_the_switch()
    give_way(5)
    channel, listener = (socket.socket(fileno=int(number)) for number in sys.argv[1:])
    with asyncio.Runner() as runner:
        runner.run(serve(channel, listener))
