"""Process that drops old records for a switch: ``vosd.processes.entry vosd.daemon.retention_process CHANNEL`` (ADR 73).

It takes one order, returns what was done, and ends. It gives way to calls, and ends when the switch does.
"""

import asyncio
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from vosd.admin.retention import Retention, RetentionRun
from vosd.base.errors import VosError
from vosd.base.secret import Secret
from vosd.cdr.retention import Age
from vosd.engine.settings import RetentionSettings
from vosd.processes.channel import received, send
from vosd.processes.life import give_way, live_as_long_as_the_switch
from vosd.storage.database import Database

NICENESS: Final = 10
OPERATOR: Final = "the switch"
"""Stands in the history of what was dropped."""


class RetentionOrder(msgspec.Struct, frozen=True):
    """Terms of a run: ages of records to drop, and the database."""

    url: str
    state_dir: str
    minimum: Age | None
    calls: Age | None
    ledger: Age | None
    numbers: Age | None
    daily_totals: Age | None
    exports: tuple[str, ...]
    payments: Age | None
    payments_archive: str | None

    @staticmethod
    def of(url: Secret, state_dir: Path, settings: RetentionSettings) -> "RetentionOrder":
        """Return the order of these settings."""
        exports = tuple(map(str, settings.exports))
        ages = (settings.minimum, settings.calls, settings.ledger, settings.numbers, settings.daily_totals)
        archive = None if settings.payments_archive is None else str(settings.payments_archive)
        return RetentionOrder(url.reveal(), str(state_dir), *ages, exports, settings.payments, archive)


class Outcome(msgspec.Struct, frozen=True):
    """Result of a run; None with the reason where the run has failed."""

    run: RetentionRun | None
    error: str = ""


def main() -> None:
    """Do what the switch orders."""
    live_as_long_as_the_switch()
    give_way(NICENESS)
    asyncio.run(_serve(int(sys.argv[1])))


async def _serve(channel: int) -> None:
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=channel))
    order = msgspec.msgpack.decode(await received(reader), type=RetentionOrder)
    work = asyncio.create_task(_outcome(order))
    stopped = asyncio.create_task(reader.read(1))  # the switch says no more: it closes the channel
    await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if work.done():
        send(writer, msgspec.msgpack.encode(work.result()))
        await writer.drain()
    work.cancel()
    with suppress(asyncio.CancelledError):
        await work
    stopped.cancel()


async def _outcome(order: RetentionOrder) -> Outcome:
    settings = RetentionSettings(
        minimum=order.minimum,
        calls=order.calls,
        ledger=order.ledger,
        numbers=order.numbers,
        daily_totals=order.daily_totals,
        exports=tuple(map(Path, order.exports)),
        payments=order.payments,
        payments_archive=None if order.payments_archive is None else Path(order.payments_archive),
    )
    try:
        database = Database(order.url)
        try:
            await database.check_schema()
            retention = Retention(
                database, settings, Path(order.state_dir), OPERATOR, lambda: time.time_ns() // 1_000_000
            )
            return Outcome(await retention.run())
        finally:
            await database.close()
    except (VosError, OSError) as error:
        return Outcome(None, str(error))
    except Exception as error:  # noqa: BLE001  the boundary: the switch, which logs it, would see a dead process only
        return Outcome(None, repr(error))
