"""Process that adds calls up for reports: ``vosd.processes.entry vosd.daemon.traffic_process CHANNEL`` (ADR 133).

Killed at any moment it has added each call once; its successor goes on with the next one. It also writes what the
switch counts itself, each set of counts once (ADR 138).
"""

import asyncio
import socket
import sys
import time
from collections.abc import Sequence
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from vosd.cdr.ports import StoreUnavailable
from vosd.obs import log
from vosd.obs.events import log as _log
from vosd.processes.channel import first_message, received, send
from vosd.processes.life import give_way, live_as_long_as_the_switch
from vosd.storage.database import Database
from vosd.storage.driver_errors import ContentRefused
from vosd.storage.traffic import AT_ONCE, SqlTraffic
from vosd.traffic.counted import SLOT_MS
from vosd.traffic.live_counts import LiveCounts

PAUSE_S: Final = 5.0
"""Pause between looks for new calls."""
AWAY_S: Final = 30.0
"""Pause while the database is away, which the switch itself reports."""
REFUSED_S: Final = 600.0
"""Pause where a sum is too large for the database, however often it is tried."""
_WRITTEN: Final = b"written"


class TrafficOrder(msgspec.Struct, frozen=True):
    """Order for the process."""

    url: str
    """Database."""
    zones: tuple[str, ...]
    """Time zones whose days get sums of their own."""


def main() -> None:
    """Add calls up until the switch closes the channel."""
    live_as_long_as_the_switch()
    give_way()
    log.configure("warning")
    asyncio.run(_serve(socket.socket(fileno=int(sys.argv[1]))))


async def _serve(channel: socket.socket) -> None:
    """The first message is a ``TrafficOrder``, those behind it are counts of the switch; each is confirmed."""
    reader, writer = await asyncio.open_connection(sock=channel)
    content = await first_message(reader)
    if content is None:
        return
    terms = msgspec.msgpack.decode(content, type=TrafficOrder)
    database = Database(terms.url, was_used=lambda: True)
    traffic = SqlTraffic(database)
    adding = asyncio.create_task(_add_up(traffic, [ZoneInfo(name) for name in terms.zones]))
    writing = asyncio.create_task(_write_counts(traffic, reader, writer))
    await asyncio.wait({adding, writing}, return_when=asyncio.FIRST_COMPLETED)
    for task in (adding, writing):
        task.cancel()
    results = await asyncio.gather(adding, writing, return_exceptions=True)
    writer.close()
    await database.close()
    failure = next((each for each in results if isinstance(each, Exception)), None)
    if failure is not None:
        raise failure  # the switch starts another process


async def _write_counts(traffic: SqlTraffic, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Write counts until the switch closes the channel."""
    decode = msgspec.msgpack.Decoder(LiveCounts).decode
    while True:
        try:
            counts = decode(await received(reader))
        except (EOFError, OSError):
            return
        while True:
            try:
                await traffic.add_live(counts)
            except StoreUnavailable as error:
                _log.info("live_counts_wait", why=str(error))
                for _ in range(int(AWAY_S)):
                    await asyncio.sleep(1)
                    if reader.at_eof():
                        return
            except ContentRefused as error:  # given again, they would be refused again
                _log.warning("live_counts_lost", why=str(error))
                break
            else:
                break
        send(writer, _WRITTEN)


async def _add_up(traffic: SqlTraffic, zones: Sequence[ZoneInfo]) -> None:
    looked = closes_from = 0
    while True:
        is_behind = False
        try:
            added, now = await traffic.advance(), time.time_ns() // 1_000_000
            if added < AT_ONCE and now >= closes_from:
                try:
                    while await traffic.close_day(now):
                        pass
                    if now // SLOT_MS != looked:
                        # One at a time: calls are added in between.
                        is_behind = await traffic.close_zone_day(now, zones)
                        looked = looked if is_behind else now // SLOT_MS
                except ContentRefused as error:  # of one day: calls are added all the same
                    _log.warning("traffic_refused", why=str(error))
                    closes_from = now + round(1_000 * REFUSED_S)
        except ContentRefused as error:  # a sum fits in no column: a new process would be refused, too
            _log.warning("traffic_refused", why=str(error))
            await asyncio.sleep(REFUSED_S)
            continue
        except StoreUnavailable as error:
            _log.info("traffic_waits", why=str(error))
            await asyncio.sleep(AWAY_S)
            continue
        await asyncio.sleep(0 if added == AT_ONCE or is_behind else PAUSE_S)
