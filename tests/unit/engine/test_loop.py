"""The event loop adapter: the order in which it sends, and that its timers always fire again."""

import asyncio
from collections.abc import Callable, Collection
from time import monotonic
from types import SimpleNamespace

import pytest
from doubles.turns import turns, until
from structlog.testing import capture_logs

from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.engine import loop as engine_loop
from vosd.engine.clock import SystemClock
from vosd.engine.loop import ENDED_AT_ONCE, Loop
from vosd.obs.traced import Direction
from vosd.sip.drops import Drop
from vosd.sip.events import UnknownSourceIgnored
from vosd.sip.wire.outgoing import Datagram, Peer

PEER = Peer(1, "192.0.2.10", 5060)


class Core:
    """Endpoint, switch and journal in one: it says what it was asked, in order."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.peers: list[Peer] = []
        self.instants: list[Instant] = []
        self.out: list[Datagram] = []
        self.timers: list[int] = []
        self.on_timer: Callable[[], None] = lambda: None
        self.event: object = "event"
        self.store = self
        self.headers = ""
        self.is_kept = True
        self.booked: Callable[[], None] = lambda: None

    # the endpoint
    def receive_datagram(self, data: bytes, source: Peer, now: Instant) -> object:
        self.said.append(f"received {data.decode()} of {source}")
        self.instants.append(now)
        return self.event

    def refuse_overload(self, data: bytes, source: Peer, headers: str, now: Instant) -> object:
        self.said.append(f"turned away {data.decode()} of {source}")
        self.headers = headers
        return self.event

    def unsent(self, data: bytes, now: Instant) -> str:
        return "not sent"

    def undelivered(self, quoted: bytes, peer: Peer, now: Instant) -> str:
        return "not delivered"

    def transport_failed(self, peer: Peer, now: Instant, names: Collection[str] | None) -> list[str]:
        self.said.append(f"failed {peer}")
        return ["no response"]

    def handle_timers(self, now: Instant) -> list[str]:
        due = [at for at in self.timers if at <= now.mono]
        self.timers = [at for at in self.timers if at > now.mono]
        self.said += ["timer"] * len(due)
        if due:
            self.on_timer()
        return []

    def next_timer(self) -> int | None:
        return min(self.timers, default=None)

    # the switch
    def handle(self, event: str) -> None:
        self.said.append(f"heard {event}")
        self.out.append(Datagram(PEER, b"answer"))

    def take_answer(self, ticket: str, answer: str, now: Instant) -> None:
        self.said.append(f"took {answer}")

    @property
    def media_events(self) -> "Core":
        return self

    def end_calls(self, chosen: list[object], reason: EndReason, now: Instant) -> int:
        self.said.append(f"ended {len(chosen)} for {reason.value}")
        return 1

    def handle_deadlines(self, now: Instant) -> None:
        self.said.append("deadlines")

    def next_deadline(self) -> int | None:
        return None

    # the journal
    def flush(self) -> bool:
        self.said.append("journal")
        return self.is_kept

    # the recorder
    def when_booked(self, do: Callable[[], None]) -> None:
        self.booked = do

    # the trace
    def message(self, at: int, way: Direction, peer: Peer, data: bytes) -> None:
        self.peers.append(peer)
        self.said.append(f"kept {data.decode()} {way.value} {peer}")

    # the sockets
    def transmit(self, data: bytes, address: tuple[str, int]) -> None:
        self.said.append(f"sent {data.decode()} to {address}")


@pytest.fixture
def core() -> Core:
    return Core()


@pytest.fixture
async def loop(core):
    loop = Loop(SystemClock(), core, core, core, core, core.when_booked)
    loop.attach([core.transmit, core.transmit])
    yield loop
    loop.detach()


def in_ms(ms: int) -> int:
    return SystemClock().now().mono + ms


async def test_the_journal_is_written_before_any_datagram_leaves(core, loop):
    loop.datagram_received(1, b"INVITE", "192.0.2.10", 5060, monotonic())
    assert core.said == [
        "received INVITE of 192.0.2.10:5060",
        "heard event",
        "kept INVITE in 192.0.2.10:5060",
        "kept answer out 192.0.2.10:5060",
        "journal",
        "sent answer to ('192.0.2.10', 5060)",
    ]


async def test_the_relay_has_its_orders_before_any_datagram_leaves(core, loop):
    loop.give_orders = lambda: core.said.append("orders")
    loop.datagram_received(1, b"INVITE", "192.0.2.10", 5060, monotonic())
    assert core.said[-2:] == ["orders", "sent answer to ('192.0.2.10', 5060)"]


async def test_what_comes_before_the_switch_can_answer_is_left_to_be_repeated(core):
    """Listeners open one after the other: on a busy trunk packets arrive before the last one is open."""
    loop = Loop(SystemClock(), core, core, core, core, core.when_booked)
    loop.datagram_received(1, b"INVITE", "192.0.2.10", 5060, monotonic())
    assert core.said == []

    fired = asyncio.Event()
    core.on_timer = fired.set
    core.timers = [in_ms(15)]
    loop.attach([core.transmit, core.transmit])
    loop.datagram_received(1, b"INVITE again", "192.0.2.10", 5060, monotonic())
    async with asyncio.timeout(30):
        await fired.wait()
    loop.detach()
    assert core.said[0] == "received INVITE again of 192.0.2.10:5060"


async def test_a_message_that_had_to_wait_for_its_turn_is_dated_by_when_it_came(core, loop):
    """A BYE ends the call when it came, however long the line was."""
    before = SystemClock().now()
    came = monotonic() - 0.25
    after = SystemClock().now()
    loop.datagram_received(1, b"BYE", "192.0.2.10", 5060, came)
    now = core.instants[0]
    assert now.mono >= after.mono
    assert before.mono - 251 <= now.came.mono < after.mono - 240
    assert before.wall - 251 <= now.came.wall < after.wall - 240


async def test_what_we_do_about_it_goes_by_the_clock(core):
    kept: list[tuple[int, Direction]] = []
    core.message = lambda at, way, _peer, _data: kept.append((at, way))
    loop = Loop(SystemClock(), core, core, core, core, core.when_booked)
    loop.attach([core.transmit, core.transmit])
    received = monotonic() - 0.25
    before = SystemClock().now().wall
    loop.datagram_received(1, b"BYE", "192.0.2.10", 5060, received)
    loop.detach()
    (came, first), (left, second) = kept
    assert (first, second) == (Direction.IN, Direction.OUT)
    assert came < before <= left


async def test_a_timer_set_by_a_datagram_wakes_the_core_up(core, loop):
    fired = asyncio.Event()
    core.on_timer = fired.set
    core.timers = [in_ms(15)]
    loop.datagram_received(1, b"INVITE", "192.0.2.10", 5060, monotonic())
    async with asyncio.timeout(30):
        await fired.wait()
    assert core.said.count("timer") == 1


async def test_after_an_error_in_the_switch_in_a_timer_the_next_one_still_comes(core, loop):
    fired, complaints = asyncio.Event(), []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context["exception"]))

    def fail_once() -> None:
        core.on_timer = fired.set
        core.timers = [in_ms(25)]  # set here: two timers set before could be due at once on a busy machine
        raise KeyError("a mistake")

    core.on_timer = fail_once
    core.timers = [in_ms(0)]
    loop.flush(SystemClock().now())
    async with asyncio.timeout(30):
        await fired.wait()
    assert [type(complaint) for complaint in complaints] == [KeyError]


async def test_a_message_that_cannot_be_sent_costs_neither_the_next_one_nor_the_timer(core, loop):
    fired = asyncio.Event()
    core.on_timer = fired.set
    core.timers = [in_ms(15)]

    def transmit(data: bytes, address: tuple[str, int]) -> None:
        if data == b"to nowhere":
            raise UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates not allowed")
        core.transmit(data, address)

    loop.attach([transmit, transmit])
    for is_kept in (True, False):
        core.is_kept = is_kept
        core.said.clear()
        core.out += [Datagram(PEER, b"to nowhere"), Datagram(PEER, b"of another call")]
        with capture_logs() as lines:
            loop.flush(SystemClock().now())
            core.booked()
        assert core.said[-1] == "sent of another call to ('192.0.2.10', 5060)"
        assert [(line["event"], line["peer"]) for line in lines] == [("message_not_sent", str(PEER))]
    async with asyncio.timeout(30):
        await fired.wait()


async def test_a_detached_loop_wakes_up_no_more(core, loop):
    core.timers = [in_ms(0)]
    loop.flush(SystemClock().now())
    loop.detach()
    awake = asyncio.Event()
    asyncio.get_running_loop().call_later(0.03, awake.set)
    await awake.wait()
    assert "timer" not in core.said


async def test_many_calls_are_ended_in_turns_between_which_messages_are_processed(core, loop):
    calls = [object()] * (2 * ENDED_AT_ONCE + 1)
    asyncio.get_running_loop().call_soon(lambda: core.said.append("another turn"))
    assert loop.end_in_turns(calls, EndReason.ADMINISTRATIVE) == len(calls)
    await until(lambda: f"ended 1 for {EndReason.ADMINISTRATIVE.value}" in core.said)
    ended = f"ended {ENDED_AT_ONCE} for {EndReason.ADMINISTRATIVE.value}"
    said = [each for each in core.said if each.startswith(("ended", "another"))]
    assert said == [ended, "another turn", ended, f"ended 1 for {EndReason.ADMINISTRATIVE.value}"]


async def test_the_rest_of_many_calls_is_kept_with_the_loop_detached(core, loop):
    calls = [object()] * (ENDED_AT_ONCE + 1)
    loop.end_in_turns(calls, EndReason.ADMINISTRATIVE)
    loop.detach()
    core.said.clear()
    await turns(3)
    assert core.said == []
    assert loop.end_in_turns(calls, EndReason.ADMINISTRATIVE) == 0


async def test_nothing_happens_to_a_call_behind_a_detached_loop(core, loop):
    """The calls may have been written down for the next process: what is written behind them would void that."""
    assert loop.end_calls([], EndReason.ADMINISTRATIVE) == 1
    loop.detach()
    core.said.clear()
    loop.take_answer("ticket", "answer")
    loop.transport_failed(1, "192.0.2.10", 5060)
    loop.unsent(b"INVITE")
    loop.undelivered(b"INVITE", PEER)
    assert loop.end_calls([], EndReason.ADMINISTRATIVE) == 0
    loop.datagram_received(1, b"BYE", "192.0.2.10", 5060, monotonic())
    assert core.said == []


async def test_the_connection_of_an_unknown_source_is_closed(core):
    core.event = UnknownSourceIgnored(PEER, "INVITE sip:1@192.0.2.1", Instant(0, 0))
    loop = Loop(SystemClock(), core, core, core, core, core.when_booked)
    loop.attach([core.transmit, core.transmit], lambda *which: core.said.append(f"hung up {which}"))
    loop.datagram_received(1, b"INVITE", "192.0.2.10", 5060, monotonic())
    loop.detach()
    assert f"hung up {(1, '192.0.2.10', 5060, Drop.UNKNOWN_SOURCE)}" in core.said


async def test_the_effects_of_a_broken_connection_are_processed_and_sent(core, loop):
    loop.transport_failed(1, "192.0.2.10", 5060)
    assert core.said[:3] == ["failed 192.0.2.10:5060", "heard no response", "journal"]
    assert core.said[-1].startswith("sent answer")


async def test_the_effects_of_an_icmp_error_are_processed_and_sent_and_logged_once_a_minute(core, loop):
    with capture_logs() as lines:
        for _ in range(2):
            loop.undelivered(b"INVITE", PEER)
    assert core.said[:2] == ["heard not delivered", "journal"]
    assert [(line["event"], line["host"]) for line in lines] == [("datagram_not_delivered", PEER.host)]


async def test_the_messages_of_a_peer_share_one_object_and_the_cache_is_bounded(core, loop, monkeypatch):
    """What the trace keeps of a message should not have its address again; sources can be forged."""
    monkeypatch.setattr(engine_loop, "PEERS_MAX", 3)
    for port in (5060, 5060, 5061, 5062, 5063, 5064, 5060):
        loop.datagram_received(1, b"INVITE", "192.0.2.10", port, monotonic())
    received = core.peers[::2]
    assert received[0] is received[1]
    assert received[-1] == received[0]
    assert received[-1] is not received[0]
    assert len(loop._peers) <= 3


async def test_a_refusal_for_overload_is_sent_at_once_and_not_traced(core, loop):
    core.event = Datagram(PEER, b"503")
    loop.refuse_overload(1, b"INVITE", "192.0.2.10", 5060)
    assert core.said == ["turned away INVITE of 192.0.2.10:5060", "sent 503 to ('192.0.2.10', 5060)"]
    reason, retry, _ = core.headers.split("\r\n")
    assert reason == 'Reason: Q.850;cause=42;text="Overload"'
    assert retry in {f"Retry-After: {seconds}" for seconds in range(1, 6)}


async def test_what_is_no_new_request_after_all_goes_its_way(core, loop):
    loop.refuse_overload(1, b"INVITE", "192.0.2.10", 5060)
    assert core.said[1:] == [
        "heard event", "journal", "kept answer out 192.0.2.10:5060", "sent answer to ('192.0.2.10', 5060)",
    ]  # fmt: skip


async def test_what_ends_a_call_that_the_journal_has_not_taken_is_sent_when_it_is_booked(core, loop):
    core.is_kept = False
    loop.datagram_received(1, b"BYE", "192.0.2.10", 5060, monotonic())
    core.is_kept = True
    loop.datagram_received(1, b"INVITE", "192.0.2.10", 5060, monotonic())
    answer = "sent answer to ('192.0.2.10', 5060)"
    assert core.said.count(answer) == 1, "other messages do not wait for it"
    core.booked()
    assert core.said.count(answer) == 2
    core.booked()
    assert core.said.count(answer) == 2


async def test_it_waits_for_a_booking_no_longer_than_its_peer_does(core, monkeypatch):
    monkeypatch.setattr(engine_loop, "BOOKING_S", 0.0)
    loop = Loop(SystemClock(), core, core, core, core, core.when_booked)
    loop.attach([core.transmit, core.transmit])
    core.is_kept = False
    loop.datagram_received(1, b"BYE", "192.0.2.10", 5060, monotonic())
    assert "sent answer to ('192.0.2.10', 5060)" not in core.said
    sent = asyncio.Event()
    loop.attach([lambda *_datagram: sent.set()] * 2)
    assert await asyncio.wait_for(sent.wait(), 30)
    loop.detach()


async def test_what_waits_for_a_booking_is_sent_before_the_process_stops(core, loop):
    core.is_kept = False
    loop.datagram_received(1, b"BYE", "192.0.2.10", 5060, monotonic())
    loop.detach()
    assert core.said[-1] == "sent answer to ('192.0.2.10', 5060)"


async def test_a_key_in_media_waits_while_the_process_has_stood_still(core, loop):
    """A transfer by keys would hold money that another switch may have spent."""
    doubts, pressed = [True, True], asyncio.Event()
    loop.stands_still = lambda: bool(doubts) and doubts.pop()
    core.key_pressed = lambda *_: pressed.set()
    loop.key_pressed(7, "5", 100)
    assert not pressed.is_set()
    async with asyncio.timeout(30):
        await pressed.wait()
    assert doubts == []


class StoppedClock:
    """The timers of an event loop whose process may stand still."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.due: list[Callable[[], None]] = []

    def time(self) -> float:
        return self.now_s

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> SimpleNamespace:
        self.due.append(callback)
        return SimpleNamespace(cancel=self.due.clear)

    def go_on(self, behind_s: float) -> None:
        """Let so many seconds pass, and call what is due."""
        self.now_s += behind_s
        due, self.due = self.due, []
        for callback in due:
            callback()


def test_a_timer_of_a_process_that_stood_still_fires_once_the_sockets_were_read(core, monkeypatch):
    """The event loop calls timers first when it goes on, and a BYE may have come before the limit of its call."""
    clock = StoppedClock()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: clock)
    loop = Loop(SystemClock(), core, core, core, core, core.when_booked)
    loop.attach([core.transmit, core.transmit])
    core.timers = [in_ms(0)]
    loop.flush(SystemClock().now())
    clock.go_on(behind_s=4.0)
    assert "timer" not in core.said
    clock.go_on(behind_s=4.0)  # a busy event loop may be as late each time
    assert core.said.count("timer") == 1
    core.timers = [in_ms(0)]
    loop.flush(SystemClock().now())
    clock.go_on(behind_s=0.5)
    assert core.said.count("timer") == 2
    loop.detach()


@pytest.mark.parametrize("reason", ["is_behind", "stands_still"])
async def test_no_timer_of_a_call_fires_before_all_that_has_waited_is_served(core, loop, reason):
    """A limit that has passed in the start, or while the process stood still, would end a call before its BYE."""
    asked = []

    def holds() -> bool:
        asked.append(True)
        return len(asked) < 5

    setattr(loop, reason, holds)
    fired = asyncio.Event()
    core.on_timer = lambda: (asked.append("timer"), fired.set())
    core.timers = [in_ms(5)]
    loop.datagram_received(1, b"200", "192.0.2.10", 5060, monotonic())
    async with asyncio.timeout(30):
        await fired.wait()
    assert asked == [True] * 5 + ["timer"]
