"""Process that adds calls up for reports: ``vosd.processes.entry vosd.daemon.traffic_process CHANNEL`` (ADR 133).

Killed at any moment it has added each call once; its successor goes on with the next one.
"""

import asyncio
import socket
import sys
import time
from typing import Final

import structlog

from vosd.cdr.ports import StoreUnavailable
from vosd.obs import log
from vosd.processes.channel import received
from vosd.processes.life import give_way, live_as_long_as_the_switch
from vosd.storage.database import Database
from vosd.storage.traffic import AT_ONCE, SqlTraffic

PAUSE_S: Final = 5.0
"""Pause between looks for new calls."""
AWAY_S: Final = 30.0
"""Pause while the database is away, which the switch itself reports."""

_log = structlog.get_logger()


def main() -> None:
    """Add calls up until the switch closes the channel."""
    live_as_long_as_the_switch()
    give_way()
    log.configure("warning")
    asyncio.run(_serve(socket.socket(fileno=int(sys.argv[1]))))


async def _serve(channel: socket.socket) -> None:
    """The first message is the database's URL."""
    reader, writer = await asyncio.open_connection(sock=channel)
    database = Database((await received(reader)).decode())
    adding = asyncio.create_task(_add_up(SqlTraffic(database)))
    closed = asyncio.create_task(reader.read(1))  # the switch says no more: it closes the channel
    await asyncio.wait({adding, closed}, return_when=asyncio.FIRST_COMPLETED)
    for task in (adding, closed):
        task.cancel()
    failures = await asyncio.gather(adding, closed, return_exceptions=True)
    writer.close()
    await database.close()
    if isinstance(failures[0], Exception):
        raise failures[0]  # the switch starts another process


async def _add_up(traffic: SqlTraffic) -> None:
    while True:
        try:
            added = await traffic.advance()
            if added < AT_ONCE:
                while await traffic.close_day(time.time_ns() // 1_000_000):
                    pass
        except StoreUnavailable as error:
            _log.info("traffic_waits", why=str(error))
            await asyncio.sleep(AWAY_S)
            continue
        await asyncio.sleep(0 if added == AT_ONCE else PAUSE_S)
