"""Accounting at RADIUS servers on virtual time: outages of one and of all, records that are never answered, restarts.

The queue, its delivery and the client are those of the switch; only packets are not sent. All times are seconds.
"""

import asyncio
import random
import selectors
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from doubles.data.records import answered_call, call_id
from doubles.exploring import examples
from hypothesis import example, given, settings, strategies as st
from structlog.testing import capture_logs

from vosd.base.clock import Instant
from vosd.base.secret import Secret
from vosd.config.keys.radius import RadiusAccountingKeys
from vosd.engine.radius import client as module
from vosd.engine.radius.client import RadiusClient
from vosd.engine.reports import accounting
from vosd.engine.reports.accounting_record import of_ended_call
from vosd.engine.reports.delivery import Delivery
from vosd.engine.reports.queue import ReportQueue
from vosd.engine.reports.report import CallReport, encoded
from vosd.engine.reports.spool import ReportSpool
from vosd.engine.settings import AccountingSettings
from vosd.radius.settings import RadiusPurpose, RadiusServer, RadiusSettings

KEYS = RadiusAccountingKeys()
SILENCE_S = KEYS.timeout * KEYS.tries / 1_000
"""Time for which one server is waited for."""
DEAD_S = 30
BACK_S = 120
"""Time after which an outage of all servers is over in any case."""
END_S = 3_600
SILENCES = {1: 1, 2: 3}
"""Addresses of each server that a record waits for at most, by their number: the first one once more, then all."""
FIRST = 1_000
"""Index of the first record; those that an earlier run has left are before it."""


class Outage(NamedTuple):
    """Time in which a server answers nothing, or not at one of its addresses."""

    server: int
    begins: int
    ends: int
    address: int | None = None


class Plan(NamedTuple):
    """A day of the switch."""

    servers: int
    outages: list[Outage]
    every: int
    """A call ends so often."""
    bad: frozenset[int]
    """Records, by their numbers, that no server ever answers."""
    left: int
    """Bad records that an earlier run has left."""
    restarts: list[int]
    addresses: int = 1
    """Addresses of each server; one that has several is a name."""

    def is_up(self, server: int, since: float, until: float) -> bool:
        """Whether a server answers all the time at one of its addresses."""
        return any(self.is_up_at(server, each, since, until) for each in range(self.addresses))

    def is_up_at(self, server: int, address: int, since: float, until: float) -> bool:
        """Whether a server answers all the time at an address."""
        of_it = [each for each in self.outages if each.server == server and each.address in {None, address}]
        return not any(each.begins < until and each.ends > since for each in of_it)

    def is_any_up(self, since: float, until: float) -> bool:
        """Whether there is a server that answers all the time."""
        return any(self.is_up(each, since, until) for each in range(self.servers))

    @property
    def patience_s(self) -> float:
        """Longest time to the delivery of a record while a server answers: it may be the last one.

        A record that has met a dead address of a name is among those that are never answered.
        """
        bad = self.left + len(self.bad)
        behind_s = self.wait_s(bad + KEYS.connections // 2 - 1) if self.addresses > 1 else 0
        return SILENCES[self.addresses] * self.servers * SILENCE_S + 30 + behind_s

    def wait_s(self, bad: int) -> float:
        """Time for which half of the connections are taken by records that are never answered."""
        return bad // (KEYS.connections // 2) * self.servers * self.addresses * SILENCE_S


class Leaps(selectors.DefaultSelector):
    """Waits for nothing: the time leaps to the next timer."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        """Let the time pass."""
        assert timeout is not None, "nothing would ever happen again"
        self.now += timeout
        return super().select(0)


class LeapingClock:
    """The clock of a loop."""

    def now(self) -> Instant:
        """Return the present instant."""
        at_ms = round(asyncio.get_running_loop().time() * 1_000)
        return Instant(at_ms, 1_790_000_000_000 + at_ms)


class PlannedSocket:
    """A socket to one address of a server, which answers by a plan."""

    plan: Plan
    unanswered: frozenset[bytes]
    """Ids of the records that are never answered."""
    has_room = True

    def __init__(self, address: tuple[str, int], replied: Callable[[], None], _rejected: Callable[[str], None]) -> None:
        self.address = address[0]
        self._server, self._place = divmod(int(self.address.rpartition(".")[2]), 10)
        self._replied = replied

    async def ask(self, make: Callable[[int], Any], timeout_s: float, tries: int, _late: object) -> object:
        """Answer in a moment or not at all."""
        now, data = asyncio.get_running_loop().time, make(0).data
        is_answered = data.partition(b"\x2c\x26")[2][:36] not in self.unanswered
        for _ in range(tries):
            if is_answered and self.plan.is_up_at(self._server, self._place, now(), now() + 0.01):
                await _leap(0.01)
                self._replied()
                return object()
            await _leap(timeout_s)
        raise module._NoAnswerError("no answer in time")

    def retire(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


@contextmanager
def no_packets(plan: Plan) -> Iterator[None]:
    """Have servers answer by the plan."""

    async def look_up(name: str) -> list[str]:
        return [f"192.0.2.{int(name[3]) * 10 + each}" for each in range(plan.addresses)]

    unanswered = frozenset(_name(number).encode() for number in {*range(-plan.left, 0), *plan.bad})
    planned = type("PlannedSocket", (PlannedSocket,), {"plan": plan, "unanswered": unanswered})
    with mock.patch.object(module, "_Socket", planned), mock.patch.object(module._NAMES, "addresses", look_up):
        yield


class Accounting:
    """The accounting of a switch that runs by a plan."""

    def __init__(self, plan: Plan, directory: Path) -> None:
        self.plan = plan
        self.directory = directory
        self.open: dict[str, float] = {}
        """Moments of good records that were not taken yet."""
        self._so_s: dict[str, int] = {}
        """Seconds in a row for which something was so."""
        self._couriers: list[asyncio.Task[None]] = []
        name = "aaa{}.example" if plan.addresses > 1 else "192.0.2.{}0"
        servers = [RadiusServer(name.format(number), Secret("x")) for number in range(plan.servers)]
        asked = RadiusSettings(tuple(servers), "sw1", timeout_ms=KEYS.timeout, tries=KEYS.tries)
        self._settings = AccountingSettings(
            asked, retry_interval_ms=KEYS.retry_interval, max_age_s=KEYS.max_age, connections=KEYS.connections
        )
        self.queue = ReportQueue(self._settings)

    async def run(self) -> None:
        """Play the plan, and require each second what must be true."""
        plan = self.plan
        self._start([_record(number, 0) for number in range(-plan.left, 0)])
        for second in range(END_S):
            if second % plan.every == 0:
                number = second // plan.every
                self.queue.put(_record(number, second))
                self.delivery.wake()
                if number not in plan.bad:
                    self.open[_name(number)] = second
            if second in plan.restarts:
                await self._stop()
                left = list(self.queue.waiting())
                # Those that are never answered are among them, and half of the connections are for all of these.
                self.open = dict.fromkeys(self.open, second + plan.wait_s(len(left)))
                self._start(left)
            await _leap(1)
            for each in [each for each in self.open if not self.queue.waits_of(each)]:
                del self.open[each]
            self._check(second)
        await self._stop()

    def _start(self, left: list[CallReport]) -> None:
        """Start a process with what the one before has left."""
        clock = LeapingClock()
        self.queue = ReportQueue(self._settings)
        for each in left:
            self.queue.put(each, is_left=True)
        self.client = RadiusClient(clock, RadiusPurpose.ACCOUNTING, self._settings.radius)
        spool = ReportSpool(self.directory)
        self.delivery = Delivery(self.queue, spool, clock, lambda: False, lambda *_: None)
        courier = accounting._Courier(self.client, _announce, self.queue.is_doubtful, self.delivery.answered_late)
        run = asyncio.get_running_loop().create_task
        self._couriers = [run(self.delivery.run(courier)) for _ in range(self._settings.couriers)]

    async def _stop(self) -> None:
        for each in self._couriers:
            each.cancel()
        await asyncio.gather(*self._couriers, return_exceptions=True)
        self.client.close()

    def _check(self, now: float) -> None:
        plan, patience_s = self.plan, self.plan.patience_s
        is_up = plan.is_any_up(now - BACK_S, now)
        self._check_soon_over("all are away", now, plan.patience_s, is_up and self.queue.is_away)
        back_s = DEAD_S + (1 + plan.addresses) * plan.every + plan.patience_s
        for server in range(plan.servers):
            is_dead = server in self.client._choice.dead
            self._check_soon_over(f"{server} is dead", now, back_s, is_dead and plan.is_up(server, now - back_s, now))
        for each, at in self.open.items():
            if plan.is_any_up(at - BACK_S, now):
                assert now - at <= patience_s, (now, each, "is late")

    def _check_soon_over(self, what: str, now: float, soon_s: float, is_so: bool) -> None:
        """Require that servers which answer are never taken as silent; names are until their address is left."""
        self._so_s[what] = self._so_s.get(what, 0) + 1 if is_so else 0
        assert self._so_s[what] <= (soon_s if self.plan.addresses > 1 else 0), (now, what)


def _name(number: int) -> str:
    return call_id(number + FIRST)


def _record(number: int, second: float) -> CallReport:
    return CallReport(
        number, _name(number), round(second * 1_000), encoded(of_ended_call(answered_call(number + FIRST)))
    )


async def _leap(seconds: float) -> None:
    """Let virtual time pass."""
    await asyncio.sleep(seconds)


async def _announce() -> None:
    """Nothing comes before the records."""


def play(plan: Plan) -> Accounting:
    """Let a switch account calls by a plan."""
    selector = Leaps()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as directory, no_packets(plan), capture_logs():
        made = Accounting(plan, Path(directory))
        try:
            loop.run_until_complete(made.run())
        finally:
            loop.close()
    return made


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Draw a plan, all of whose servers answer in the last twenty minutes."""
    count, every = draw(st.integers(1, 3)), draw(st.sampled_from([1, 7, 20, 150]))
    addresses = draw(st.integers(1, 2))
    outages = []
    for _ in range(draw(st.integers(0, 4))):
        begins, lasts = draw(st.integers(0, 1_500)), draw(st.sampled_from([3, 40, 200, 900]))
        which = draw(st.integers(-1, count - 1))  # -1 = all of them
        at = draw(st.sampled_from([None, *range(addresses)]))
        outages += [Outage(each, begins, begins + lasts, at) for each in range(count) if which in {-1, each}]
    chance = random.Random(draw(st.integers(0, 99)))
    share = draw(st.sampled_from([0, 0.05, 0.3]))
    bad = frozenset(each for each in range(0, END_S // every, 2) if chance.random() < share / max(1, 7 / every))
    return Plan(
        count,
        outages,
        every,
        bad,
        draw(st.sampled_from([0, 1, 2, 40])),
        draw(st.lists(st.integers(60, 2_400), max_size=2)),
        addresses,
    )


@settings(max_examples=examples(12, 400), deadline=None)
@given(plans())
@example(Plan(1, [Outage(0, 1_000, 3_600, 0)], 150, frozenset(), 0, [], 2))  # a quiet hour: no other record ends it
@example(Plan(2, [Outage(0, 1_000, 2_400, 1)], 150, frozenset({3}), 40, [], 2))
def test_records_are_delivered_and_servers_come_back(plan: Plan) -> None:
    assert not play(plan).open
