"""Cost of asking an rtpengine for the figures of calls: processor time of the switch, and of the rtpengine.

``python -m bench.questions [--calls 1000] [--seconds 15]``: calls at a real rtpengine, whose figures are asked for as
the switch does it, each once in 5 seconds, or are not. No media are sent, and nothing else of the switch runs.
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path
from typing import Final

import uvloop
from doubles.sockets.loopback import Endpoint
from interop.rtpengine import Rtpengine

from vosd.engine.clock import SystemClock
from vosd.engine.media.rtpengine_calls import POLL_TICK_S, RtpEngineCalls
from vosd.media.leg_media import LegMedia, RtpCall
from vosd.media.rtpengine_orders import OK, EngineAnswer, RtpAnswer, RtpOffer, session_order
from vosd.media.source import RelayPort
from vosd.rtpengine.client import RtpEngines

from .process import cpu_of

HOST: Final = "127.78.0.5"
PREFIX: Final = "vosd-bench-"
PORTS: Final = (20_000, 59_999)
SESSION: Final = (
    f"v=0\r\no=- 1 1 IN IP4 {HOST}\r\ns=-\r\nc=IN IP4 {HOST}\r\nt=0 0\r\nm=audio 9000 RTP/AVP 8\r\n"
).encode()


def main() -> None:
    """Measure, and print what a question costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=15)
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as directory,
        Rtpengine(Path(directory), "one", Endpoint(HOST, 2_223), PORTS) as engine,
    ):
        uvloop.run(_measure(engine, arguments.calls, arguments.seconds))


async def _measure(engine: Rtpengine, number: int, seconds: float) -> None:
    pool = RtpEngines([engine.config], prefix=PREFIX)
    calls = RtpEngineCalls(pool, PREFIX, SystemClock())
    for index in range(number):
        await _make(pool, calls, index)
    idle, idle_there = await _spend(calls, engine, seconds, asks=False)
    asking, asking_there = await _spend(calls, engine, seconds, asks=True)
    pool.close()
    asked = number / 5 * seconds
    for name, before, after in (("switch", idle, asking), ("rtpengine", idle_there, asking_there)):
        used = after - before
        print(f"{name}: {1e6 * used / asked:.0f} µs a question, {100 * used / seconds:.2f} % of a core, {number} calls")


async def _make(pool: RtpEngines, calls: RtpEngineCalls, index: int) -> None:
    """Make a call of two legs."""
    name, one, other = f"{PREFIX}{index:x}", 2 * index + 1, 2 * index + 2
    for kind in (RtpOffer, RtpAnswer):
        done: asyncio.Future[EngineAnswer | None] = asyncio.get_running_loop().create_future()
        pool.ask(session_order(kind, name, SESSION, str(one), str(other)), done.set_result, engine="one")
        answer = await done
        assert answer is not None
        assert answer.reply.result == OK, answer.reply
    for leg in (one, other):
        port = RelayPort(-leg, HOST, 9_000, 9_001)
        calls.resume(LegMedia(leg, ports=(port,), sources=(None,), rtp_call=RtpCall("one", name)))


async def _spend(calls: RtpEngineCalls, engine: Rtpengine, seconds: float, *, asks: bool) -> tuple[float, float]:
    """Return the processor time of this process and of the rtpengine while figures are asked for, or are not."""
    begun, begun_there, until = time.process_time(), cpu_of(engine.pid).total, time.monotonic() + seconds
    while time.monotonic() < until:
        if asks:
            calls.poll()
        await asyncio.sleep(POLL_TICK_S)
    return time.process_time() - begun, cpu_of(engine.pid).total - begun_there


if __name__ == "__main__":
    main()
