"""The skin round the core: the order in which things leave it, and that its timers always come again."""

import asyncio
from collections.abc import Callable

import pytest

from vosd.base.clock import Instant
from vosd.engine.clock import SystemClock
from vosd.engine.loop import Loop
from vosd.sip.compose import Datagram, Peer

PEER = Peer(1, "192.0.2.10", 5060)


class Core:
    """Endpoint, switch and journal in one: it says what it was asked, in order."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.out: list[Datagram] = []
        self.timers: list[int] = []
        self.on_timer: Callable[[], None] = lambda: None

    # the endpoint
    def receive_datagram(self, data: bytes, source: Peer, now: Instant) -> str:
        self.said.append(f"received {data.decode()} of {source}")
        return "event"

    def handle_timers(self, now: Instant) -> list[str]:
        due = [at for at in self.timers if at <= now.mono]
        self.timers = [at for at in self.timers if at > now.mono]
        self.said += ["timer"] * len(due)
        if due:
            self.on_timer()
        return []

    def next_timer(self) -> int | None:
        return min(self.timers, default=None)

    def datagrams_to_send(self) -> list[Datagram]:
        out, self.out = self.out, []
        return out

    # the switch
    def hear(self, event: str) -> None:
        self.said.append(f"heard {event}")
        self.out.append(Datagram(PEER, b"answer"))

    def handle_deadlines(self, now: Instant) -> None:
        self.said.append("deadlines")

    def next_deadline(self) -> int | None:
        return None

    # the journal
    def flush(self) -> None:
        self.said.append("journal")

    # the sockets
    def transmit(self, data: bytes, address: tuple[str, int]) -> None:
        self.said.append(f"sent {data.decode()} to {address}")


@pytest.fixture
def core() -> Core:
    return Core()


@pytest.fixture
async def loop(core):
    loop = Loop(SystemClock(), core, core, core)
    loop.attach([core.transmit, core.transmit])
    yield loop
    loop.detach()


def in_ms(ms: int) -> int:
    return SystemClock().now().mono + ms


async def test_the_journal_is_written_before_any_datagram_leaves(core, loop):
    """DESIGN D9."""
    loop.datagram_received(1, b"INVITE", "192.0.2.10", 5060)
    assert core.said == [
        "received INVITE of 192.0.2.10:5060",
        "heard event",
        "journal",
        "sent answer to ('192.0.2.10', 5060)",
    ]


async def test_what_comes_before_the_switch_can_answer_is_left_to_be_repeated(core):
    """Listeners open one after the other: on a busy trunk packets come before the last one is there."""
    loop = Loop(SystemClock(), core, core, core)
    loop.datagram_received(1, b"INVITE", "192.0.2.10", 5060)
    assert core.said == []

    fired = asyncio.Event()
    core.on_timer = fired.set
    core.timers = [in_ms(15)]
    loop.attach([core.transmit, core.transmit])
    loop.datagram_received(1, b"INVITE again", "192.0.2.10", 5060)
    async with asyncio.timeout(5):
        await fired.wait()
    loop.detach()
    assert core.said[0] == "received INVITE again of 192.0.2.10:5060"


async def test_a_timer_set_by_a_datagram_wakes_the_core_up(core, loop):
    fired = asyncio.Event()
    core.on_timer = fired.set
    core.timers = [in_ms(15)]
    loop.datagram_received(1, b"INVITE", "192.0.2.10", 5060)
    async with asyncio.timeout(5):
        await fired.wait()
    assert core.said.count("timer") == 1


async def test_after_a_mistake_of_ours_in_a_timer_the_next_one_still_comes(core, loop):
    fired, complaints = asyncio.Event(), []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context["exception"]))

    def fail_once() -> None:
        core.on_timer = fired.set
        raise KeyError("a mistake")

    core.on_timer = fail_once
    core.timers = [in_ms(0), in_ms(25)]
    loop.flush()
    async with asyncio.timeout(5):
        await fired.wait()
    assert [type(complaint) for complaint in complaints] == [KeyError]


async def test_a_detached_loop_wakes_up_no_more(core, loop):
    core.timers = [in_ms(0)]
    loop.flush()
    loop.detach()
    awake = asyncio.Event()
    asyncio.get_running_loop().call_later(0.03, awake.set)
    await awake.wait()
    assert "timer" not in core.said
