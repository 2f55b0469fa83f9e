"""A relay with real workers."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

from vosd.base.clock import Instant
from vosd.engine.clock import SystemClock
from vosd.media.figures import PortFigures
from vosd.media.source import MediaSource, RelayPort
from vosd.relay.client import Relay
from vosd.trunks.media import MediaTrust, PortRange

PORTS = PortRange(30_500, 30_699)
PATIENCE_S = 60.0


def now() -> Instant:
    return SystemClock().now()


def source(
    host: str,
    rtp: int,
    *,
    rtcp: int | None = None,
    trust: MediaTrust = MediaTrust.LEARN,
    payloads: tuple[int, ...] = (0, 101),
    sip_host: str | None = None,
) -> MediaSource:
    """Return the description of a peer that sends G.711."""
    codecs = tuple("telephone-event" if payload == 101 else "PCMU" for payload in payloads)
    return MediaSource(host, rtp, host, rtcp, sip_host or host, trust, payloads, (8_000,) * len(payloads), codecs)


class RelayStage:
    """One relay in a directory."""

    def __init__(self, directory: Path, host: str, workers: int = 1, *, are_offloaded: bool = False) -> None:
        self.host = host
        self.relay = Relay(directory, workers, lambda: os.urandom(10), are_offloaded=are_offloaded)

    def open(self, ports: PortRange = PORTS, *, is_multiplexed: bool = False, tos: int = 0xA0) -> RelayPort:
        port = self.relay.open(self.host, ports, is_multiplexed=is_multiplexed, tos=tos, now=now())
        assert port is not None
        return port

    def close(self, port: RelayPort) -> PortFigures:
        return self.relay.close(port, now())

    async def kill_worker(self) -> None:
        """Kill the only worker; return when its successor is there."""
        (link,) = self.relay.links
        killed = link.pid
        os.kill(killed, signal.SIGKILL)
        await until(lambda: link.pid != killed)

    async def until(self, port: RelayPort, condition: Callable[[PortFigures], bool]) -> PortFigures:
        """Look at figures until they meet a condition."""
        await until(lambda: condition(self.relay.figures(port)))
        return self.relay.figures(port)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what another process does."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - no event of this process
            await asyncio.sleep(0.005)
