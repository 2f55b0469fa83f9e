"""Keep the process running that answers HTTP, and answer its questions about the switch (ADR 69)."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import msgspec

from vosd.daemon.kept_process import ProcessBySettings, keep_process
from vosd.daemon.lifecycle import DaemonState
from vosd.daemon.listening import listening
from vosd.daemon.metrics.readings import Readings, readiness
from vosd.daemon.status import Status
from vosd.engine.settings import HttpListener, MetricsSettings
from vosd.metrics.reading import ExporterAnswer, ExporterOpening, ExporterQuestion, QuestionTopic
from vosd.obs.events import Event, log as _log
from vosd.processes.channel import received, send
from vosd.processes.child import Child, started

EXPORTER: Final = "vosd.metrics.exporter"
"""Module of the exporter; the switch does not import what that one needs."""
RETRY_S: Final = 5.0
"""Pause before a busy port is tried again."""


class Exporter(ProcessBySettings[MetricsSettings]):
    """The process, while ``metrics.listen`` is set. Its failures are logged, and never concern a call."""

    def __init__(
        self, readings: Readings, status: Status, state: Callable[[], DaemonState], settings: MetricsSettings | None
    ) -> None:
        super().__init__("metrics", settings)
        self._readings = readings
        self._status = status
        self._state = state
        self._encode = msgspec.msgpack.Encoder().encode

    async def _keep(self, settings: MetricsSettings) -> None:
        opening = self._encode(ExporterOpening(tuple(map(str, settings.allow))))
        listener = await listening(settings.listen, RETRY_S, _note_busy)
        with listener:
            serve = partial(self._serve, settings=settings)
            await keep_process(lambda: started(EXPORTER, listener.fileno()), opening, _note_end, serve)

    async def _serve(self, child: Child, settings: MetricsSettings) -> None:
        """Answer questions until the process ends."""
        decode = msgspec.msgpack.Decoder(ExporterQuestion).decode
        reader, writer = child.reader, child.writer
        try:
            async with asyncio.TaskGroup() as readings:
                reading: asyncio.Task[None] | None = None
                while True:
                    question = decode(await received(reader))
                    if question.wanted is not QuestionTopic.READING:
                        send(writer, self._encode(self._answer(question)))
                        continue
                    # Other questions are answered beside it, for that of many gateways takes seconds.
                    # The next one comes when it is late.
                    if reading is not None:
                        reading.cancel()
                    reading = readings.create_task(self._read(question.number, writer, settings.max_gateways))
        except* (EOFError, OSError):
            pass

    def _answer(self, question: ExporterQuestion) -> ExporterAnswer:
        if question.wanted is QuestionTopic.HEALTH:
            return ExporterAnswer(question.number)
        found = readiness(self._status, self._state)
        return ExporterAnswer(question.number, is_well=found.is_ready, text=found.text)

    async def _read(self, number: int, writer: asyncio.StreamWriter, max_gateways: int) -> None:
        async for part in self._readings.parts(number, max_gateways):
            send(writer, self._encode(part))
            await writer.drain()


def _note_end(facts: Mapping[str, object]) -> None:
    _log.warning("metrics_process_ended", **facts)


def _note_busy(listen: HttpListener, why: str) -> None:
    _log.error(Event.METRICS_UNAVAILABLE.value, listen=str(listen), why=why, do="change metrics.listen")
