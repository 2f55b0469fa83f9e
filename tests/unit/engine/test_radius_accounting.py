"""Accounting of calls at a strict RADIUS server, over restarts and kills of the switch."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from doubles.data.records import answered_call, call_id, refused_call
from doubles.radius_server import Packet, RadiusServer
from doubles.turns import until
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, Scene
from doubles.virtual.vendor import answers, refuses
from structlog.testing import capture_logs

from vosd.base.clock import Instant
from vosd.base.secret import Secret
from vosd.callcontrol.ports import CallReporter
from vosd.engine.clock import SystemClock
from vosd.engine.reports import accounting as module, reporter
from vosd.engine.reports.accounting import CallAccounting, TalkingCall
from vosd.engine.reports.accounting_record import of_ended_call
from vosd.engine.settings import AccountedCalls, AccountingSettings
from vosd.obs.figures import Figure
from vosd.radius import settings as radius
from vosd.radius.servers import DeathRules

PATIENCE_S = 30.0


def accounting(server: RadiusServer | None, timeout_ms: int = 20_000, **others: Any) -> AccountingSettings | None:
    """Return settings; a short ``timeout_ms`` is for servers that are silent and answer later, perhaps twice."""
    if server is None:
        return None
    servers = (radius.RadiusServer("127.0.0.1", Secret("between us"), server.port, server.port),)
    rules = DeathRules(failures=1, dead_ms=0, successes=1)
    asked = radius.RadiusSettings(servers, "sw1", timeout_ms=timeout_ms, tries=1, rules=rules)
    return AccountingSettings(asked, **{"retry_interval_ms": 20, "max_age_s": 604_800, **others})


class LaterClock(SystemClock):
    """The system's clock, moved by the test."""

    later_ms = 0

    def now(self) -> Instant:
        return super().now().plus(self.later_ms)


class Desk:
    """The accounting of a switch; ``attached`` is where calls report, ``running`` are the calls that go on."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.attached: CallReporter | None = None
        self.running: Sequence[TalkingCall] = ()
        self.made: CallAccounting | None = None

    async def begin(self, server: RadiusServer | None, clock: Any = None, **settings: Any) -> CallAccounting:
        wanted = accounting(server, **settings)
        made = CallAccounting(clock or SystemClock(), wanted, self.directory, self._attach, lambda: self.running)
        self.made = made
        await made.begin()
        return made

    async def serve(self, server: RadiusServer | None, **settings: Any) -> CallAccounting:
        made = await self.begin(server, **settings)
        made.serve()
        return made

    def _attach(self, to: CallReporter | None) -> None:
        self.attached = to

    async def kill(self) -> None:
        """End the tasks as a kill would, with nothing written."""
        assert self.made is not None
        await self.made._tasks.stop()
        self.made._client.close()
        self.made = None


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(tmp_path)
    yield made
    if made.made is not None:
        await made.made.end()


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporter, "LAST_REPORTS_S", 10.0)
    monkeypatch.setattr(reporter, "TICK_S", 0.01)
    monkeypatch.setattr(module, "LAST_RECORD_S", 5.0)


async def taken(server: RadiusServer, count: int) -> list[Packet]:
    return await asyncio.to_thread(server.wait_for, count)


def statuses(packets: Sequence[Packet]) -> list[str]:
    return [each.status for each in packets]


def stops(server: RadiusServer) -> list[str]:
    return [each.text(44) for each in server.packets if each.status == "Stop"]


async def played(scene: Scene, desk: Desk, server: RadiusServer, play: Callable[[], None], **settings: Any) -> None:
    """Play calls while they are accounted, to the end of the switch."""
    made = await desk.serve(server, **settings)
    await until(lambda: made._announcement is None)
    scene.exchange.switch.report_calls(desk.attached)
    play()
    await made.end()
    desk.made = None
    assert server.faults == []


async def test_a_call_has_a_start_and_a_stop_with_the_values_of_its_record(desk: Desk):
    scene = Scene()
    scene.vendor.script = answers(1_000)

    def play() -> None:
        scene.whole_call(Intent(hang_up_after_ms=5_000))

    with RadiusServer() as server:
        await played(scene, desk, server, play)
        assert statuses(server.packets) == ["Accounting-On", "Start", "Stop", "Accounting-Off"]
        _, start, stop, _ = server.packets
    record = scene.record
    for each in (start, stop):
        assert each.text(1) == record.mapping_gateway
        assert each.text(44) == record.call_id
        assert (each.text(31), each.text(30)) == (record.caller_in, record.callee_in)
        assert each.cisco[23] == f"h323-remote-address={record.source_address.partition(':')[0]}"
        assert each.cisco[26] == "h323-call-origin=answer"
        assert each.cisco[1] == f"call-id={record.sip_call_id_in}"
        assert each.cisco[25].startswith("h323-setup-time=")
    assert start.number(55) == record.answered_at // 1_000
    assert stop.number(55) == record.ended_at // 1_000
    assert stop.number(46) == record.hold_time_s
    assert stop.number(49) == 1
    assert stop.cisco[30] == f"h323-disconnect-cause={record.q850_cause:x}"


async def test_calls_without_an_answer_are_accounted_where_all_are(desk: Desk):
    scene = Scene()
    for vendor in scene.vendors:
        vendor.script = refuses(486)

    def play() -> None:
        scene.whole_call()

    with RadiusServer() as server:
        await played(scene, desk, server, play)
        assert statuses(server.packets) == ["Accounting-On", "Accounting-Off"]
    with RadiusServer() as server:
        await played(scene, desk, server, play, calls=AccountedCalls.ALL)
        assert statuses(server.packets) == ["Accounting-On", "Stop", "Accounting-Off"]
        stop = server.packets[1]
        assert (stop.number(46), stop.number(49), stop.cisco[30]) == (0, 15, "h323-disconnect-cause=11")
        assert 28 not in stop.cisco, "it was never connected"


async def test_times_have_the_form_of_ciscos_gateways(desk: Desk):
    record = answered_call(1, answered_at=1_795_555_505_007)
    values = dict(of_ended_call(record).attributes)
    assert values["h323-connect-time"] == "h323-connect-time=21:25:05.007 UTC Tue Nov 24 2026"
    assert values["h323-conf-id"] == "h323-conf-id=" + " ".join(
        record.call_id.replace("-", "").upper()[at : at + 8] for at in (0, 8, 16, 24)
    )


async def test_a_record_waits_for_the_server_also_over_a_kill(desk: Desk):
    with RadiusServer() as server:
        server.silent = True
        await desk.serve(server)
        assert desk.attached is not None
        desk.attached.ended(answered_call(1))
        await desk.kill()
        server.silent = False
        server.packets.clear()
        made = await desk.serve(server)
        assert statuses(await taken(server, 2)) == ["Accounting-On", "Stop"]
        await until(lambda: made.census()[Figure.RADIUS_ACCOUNTING] == 0)
        await made.end()
        desk.made = None
        assert stops(server) == [call_id(1)]


async def test_a_record_whose_answer_comes_too_late_is_sent_once(desk: Desk):
    with RadiusServer() as server:
        made = await desk.serve(server, timeout_ms=200, retry_interval_ms=600_000)
        await until(lambda: made._announcement is None)
        assert desk.attached is not None
        server.works = True
        desk.attached.ended(answered_call(1))
        await until(lambda: made.failures == 1)
        server.answer()
        await until(lambda: made.census()[Figure.RADIUS_ACCOUNTING] == 0)
        assert stops(server) == [call_id(1)]


async def test_a_record_that_is_never_answered_keeps_no_stop_of_the_switch_waiting(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(reporter, "LAST_REPORTS_S", 10 * PATIENCE_S)
    with RadiusServer() as server:
        server.unwritable = call_id(1)
        made = await desk.serve(server, timeout_ms=100)
        assert desk.attached is not None
        desk.attached.ended(answered_call(1))
        await until(lambda: made.failures >= 3)
        desk.attached.ended(answered_call(2))
        async with asyncio.timeout(PATIENCE_S):
            await made.end()
        desk.made = None
        assert set(stops(server)) == {call_id(1), call_id(2)}
        assert statuses(server.packets)[-1] == "Accounting-Off"


async def test_a_record_that_has_failed_once_is_no_reason_to_end_all_sessions(desk: Desk):
    with RadiusServer() as server:
        server.unwritable = call_id(1)
        made = await desk.serve(server, timeout_ms=100, retry_interval_ms=600_000)
        assert desk.attached is not None
        desk.attached.ended(answered_call(1))
        await until(lambda: made.failures == 1)
        await made.end()
        desk.made = None
        assert "Accounting-Off" not in statuses(server.packets)


async def test_the_delay_grows_while_a_record_waits(desk: Desk):
    clock = LaterClock()
    with RadiusServer() as server:
        server.silent = True
        made = await desk.begin(server, clock=clock, timeout_ms=200)
        made.serve()
        assert desk.attached is not None
        record = answered_call(1, ended_at=clock.now().wall)
        desk.attached.ended(record)
        await taken(server, 1)  # Accounting-On, before anything else
        clock.later_ms = 1_000_000
        server.silent = False
        await until(lambda: made.census()[Figure.RADIUS_ACCOUNTING] == 0)
        stop = next(each for each in server.packets if each.status == "Stop")
        assert stop.number(41) in range(1_000, 1_000 + round(PATIENCE_S))
        assert stop.number(55) == record.ended_at // 1_000
        delays = [each.number(41) for each in server.packets if each.status == "Accounting-On"]
        assert delays == sorted(delays)
        assert delays[0] < 1_000 <= delays[-1]
        assert len({each.authenticator for each in server.packets}) == len(server.packets)


def test_a_clock_that_is_set_back_makes_no_delay_below_zero():
    """An attribute below zero cannot be sent: the record would wait for ever."""
    record = of_ended_call(answered_call(1))
    delays = [dict(record.sent_at(record.at + passed))["Acct-Delay-Time"] for passed in (-3_600_000, 0, 1_999)]
    assert delays == [0, 0, 1]


async def test_a_stop_of_a_call_that_goes_on_is_withdrawn(desk: Desk):
    """The switch was killed after the record was written, before the journal had the end of the call."""
    scene = Scene()
    scene.vendor.script = answers(1_000)
    with RadiusServer() as server:
        server.silent = True
        await desk.serve(server)
        scene.exchange.switch.report_calls(desk.attached)
        scene.caller.call(CALLEE)
        scene.wire.run_for(3_000)
        (live,) = scene.exchange.switch.calls()
        going_on = TalkingCall(live.call.arrival, live.call.journey, live.call_request)
        assert desk.attached is not None
        desk.attached.ended(answered_call(1, call_id=going_on.arrival.call_id))
        desk.attached.ended(answered_call(2))
        await desk.kill()
        server.silent = False
        server.packets.clear()
        desk.running = (going_on,)
        made = await desk.serve(server)
        assert desk.attached is not None
        await until(lambda: made.census()[Figure.RADIUS_ACCOUNTING] == 0)
        assert sorted(statuses(server.packets)) == ["Start", "Stop"], "and no Accounting-On: a call goes on"
        assert stops(server) == [call_id(2)]
        desk.attached.ended(answered_call(1, call_id=going_on.arrival.call_id))
        await until(lambda: made.census()[Figure.RADIUS_ACCOUNTING] == 0)
        assert sorted(stops(server)) == sorted([call_id(2), going_on.arrival.call_id])
        await made.end()
        desk.made = None
        assert "Accounting-Off" not in statuses(server.packets)


async def test_a_call_that_a_start_closes_twice_has_one_stop(desk: Desk):
    """A start that is killed while it closes lost calls is followed by one that closes them again."""
    with RadiusServer() as server:
        for _ in range(2):
            await desk.begin(server)
            assert desk.attached is not None
            desk.attached.ended(answered_call(1))
            desk.attached.lost(call_id(2))
            await desk.kill()
        made = await desk.serve(server)
        await until(lambda: made.census()[Figure.RADIUS_ACCOUNTING] == 0)
        assert stops(server) == [call_id(1)]


async def test_interim_updates_come_until_the_stop_and_one_while_no_server_takes_them(desk: Desk):
    scene = Scene()
    scene.vendor.script = answers(1_000)
    with RadiusServer() as server:
        made = await desk.begin(server, clock=scene.exchange.clock, interim_s=60)
        made.serve()
        scene.exchange.switch.report_calls(desk.attached)
        scene.caller.call(CALLEE)
        scene.wire.run_for(3_000)
        await taken(server, 2)
        for count in (1, 2):
            scene.wire.run_for(60_000)
            made.tidy()
            packets = await taken(server, 2 + count)
            assert packets[-1].status == "Interim-Update"
            assert packets[-1].number(46) // 60 == count
            assert packets[-1].text(44) == packets[1].text(44)
        await until(lambda: made.census()[Figure.RADIUS_ACCOUNTING] == 0)
        made._queue._failed_in_row, made._queue._paused_until = 9, 1 << 62  # no server takes anything
        for _ in range(3):
            scene.wire.run_for(60_000)
            made.tidy()
            assert made.census()[Figure.RADIUS_ACCOUNTING] == 1, "one may tell that a server is well"
        made._queue._paused_until = 0
        made._delivery.wake()
        await taken(server, 5)
        await until(lambda: not made._queue.is_away)
        (live,) = scene.exchange.switch.calls()
        made.ended(answered_call(1, call_id=live.call_id))
        await taken(server, 6)
        scene.wire.run_for(60_000)
        made.tidy()
        await until(lambda: made.census()[Figure.RADIUS_ACCOUNTING] == 0)
        assert statuses(server.packets) == ["Accounting-On", "Start", *["Interim-Update"] * 3, "Stop"]


async def test_a_call_has_the_interval_that_its_server_asks_for(desk: Desk):
    scene = Scene()
    scene.vendor.script = answers(1_000)
    with RadiusServer() as server:
        made = await desk.begin(server, clock=scene.exchange.clock)
        made.serve()
        scene.caller.call(CALLEE)
        scene.wire.run_for(3_000)
        (live,) = scene.exchange.switch.calls()
        live.call_request.interim_s = 90
        made.answered(live.call.arrival, live.call.journey, live.call_request)
        await taken(server, 2)
        for seconds, count in ((80, 0), (20, 1)):
            scene.wire.run_for(1_000 * seconds)
            made.tidy()
            await until(lambda: made.census()[Figure.RADIUS_ACCOUNTING] == 0)
            assert statuses(server.packets).count("Interim-Update") == count


async def test_where_too_many_wait_the_oldest_are_dropped_with_an_alarm(desk: Desk):
    with RadiusServer() as server, capture_logs() as logs:
        server.silent = True
        made = await desk.serve(server, queue=100, timeout_ms=200)
        assert desk.attached is not None
        for number in range(103):
            desk.attached.ended(answered_call(number))
        await until(lambda: any(each["event"] == "radius_accounting_dropped" for each in logs))
        assert made.totals()[Figure.RADIUS_ACCOUNTING_DROPPED] == 3
        server.silent = False
        await until(lambda: made.census()[Figure.RADIUS_ACCOUNTING] == 0)
        assert set(stops(server)) == {call_id(number) for number in range(3, 103)}


async def test_a_flood_of_refused_calls_costs_no_answered_call_its_stop(desk: Desk):
    with RadiusServer() as server:
        server.silent = True
        await desk.serve(server, queue=100, calls=AccountedCalls.ALL)
        assert desk.attached is not None
        for number in range(90):
            desk.attached.ended(answered_call(number))
        for number in range(1_000, 1_300):
            desk.attached.ended(refused_call(number))
        await desk.kill()
        made = await desk.serve(server, queue=100, calls=AccountedCalls.ALL, timeout_ms=200)
        assert desk.attached is not None
        for number in range(90, 95):
            desk.attached.ended(answered_call(number))
        desk.attached.ended(refused_call(2_000))
        assert made.census()[Figure.RADIUS_ACCOUNTING] == 100
        server.silent = False
        await until(lambda: made.census()[Figure.RADIUS_ACCOUNTING] == 0)
        assert {call_id(number) for number in range(95)} < set(stops(server))


async def test_what_is_due_at_once_is_made_in_several_turns(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "INTERIMS_AT_ONCE", 2)
    scene = Scene()
    scene.vendor.script = answers(1_000)
    scene.caller.call(CALLEE)
    scene.wire.run_for(3_000)
    (live,) = scene.exchange.switch.calls()
    made = await desk.begin(None, clock=scene.exchange.clock)
    made._interim_ms = 60_000
    arrival = live.call.arrival
    for number in range(5):
        named = msgspec.structs.replace(arrival, call_id=call_id(number))
        made._begun(TalkingCall(named, live.call.journey, live.call_request))
    scene.wire.run_for(60_000)
    found = []
    monkeypatch.setattr(made, "_report", lambda call_id, _make, *, is_minor: found.append((call_id, is_minor)))
    for so_far in (2, 4, 5, 5):
        made.tidy()
        assert len(found) == so_far
    assert set(found) == {(call_id(number), True) for number in range(5)}


async def test_the_class_of_its_server_is_in_every_record_of_a_call(desk: Desk):
    scene = Scene()
    scene.vendor.script = answers(2_000)
    with RadiusServer() as server:
        made = await desk.begin(server, clock=scene.exchange.clock, interim_s=60)
        made.serve()
        call = scene.begun_call(after_ms=1_000)
        (live,) = scene.exchange.switch.calls()
        live.call_request.radius_classes = (b"\x00gold", b"0x41")
        scene.wire.run_for(2_000)
        made.answered(live.call.arrival, live.call.journey, live.call_request)
        scene.wire.run_for(60_000)
        made.tidy()
        scene.hang_up(call)
        made.ended(scene.record)
        packets = await taken(server, 4)
        assert scene.record.radius_class == "00676f6c64 30783431"
        assert statuses(packets) == ["Accounting-On", "Start", "Interim-Update", "Stop"]
        for each in packets[1:]:
            assert [value for number, value in each.attributes if number == 25] == [b"\x00gold", b"0x41"]


async def test_the_log_has_events_of_accounting_not_of_call_reports(desk: Desk):
    with RadiusServer() as server, capture_logs() as logs:
        server.silent = True
        made = await desk.serve(server, timeout_ms=20)
        made.ended(answered_call(1))
        made._report("x", lambda: b'{"of": "tomorrow"}')
        made._report("y", lambda: 1 // 0 and b"")
        await until(lambda: made._queue.is_away)
        await made.end()
        server.silent = False
        made = await desk.serve(server)
        await until(lambda: made.census()[Figure.RADIUS_ACCOUNTING] == 0)
    events = [each["event"] for each in logs]
    assert not [each for each in events if each.startswith("call_report")]
    assert {
        "radius_accounting_left",
        "radius_accounting_restored",
        "radius_record_refused",
        "radius_record_not_made",
    } <= set(events)


async def test_a_reload_sends_what_waits_to_another_server_or_drops_it(desk: Desk):
    with RadiusServer() as first, RadiusServer() as second:
        first.silent = True
        made = await desk.serve(first)
        assert desk.attached is not None
        desk.attached.ended(answered_call(1))
        await made.adjust(accounting(second))
        await until(lambda: made.census()[Figure.RADIUS_ACCOUNTING] == 0)
        assert stops(second) == [call_id(1)]
        second.silent = True
        desk.attached.ended(answered_call(2))
        await made.adjust(None)
        assert desk.attached is None
        assert made.census()[Figure.RADIUS_ACCOUNTING] == 0
        second.silent = False
        await made.adjust(accounting(second))
        assert desk.attached is not None
        desk.attached.ended(answered_call(3))
        await until(lambda: call_id(3) in stops(second))
        assert call_id(2) not in stops(first)


async def test_a_record_of_another_version_is_left_out(desk: Desk):
    with RadiusServer() as server:
        await desk.begin(server)
        assert desk.made is not None
        desk.made._report("x", lambda: b'{"of": "tomorrow"}')
        await desk.kill()
        made = await desk.serve(server)
        await until(lambda: made.census()[Figure.RADIUS_ACCOUNTING] == 0)
        assert made.totals()[Figure.RADIUS_ACCOUNTING_DROPPED] == 1


async def test_a_refused_call_is_no_answered_one(desk: Desk):
    with RadiusServer() as server:
        made = await desk.serve(server)
        assert desk.attached is not None
        desk.attached.ended(refused_call(1))
        assert made.census()[Figure.RADIUS_ACCOUNTING] == 0


async def test_a_call_whose_call_id_is_not_utf8_is_accounted(desk: Desk):
    with RadiusServer() as server:
        made = await desk.serve(server)
        made.ended(msgspec.structs.replace(answered_call(1), sip_call_id_in="a\udcffb"))
        await taken(server, 2)
        assert stops(server) == [call_id(1)]


async def test_an_accounting_on_that_was_not_sent_is_forgotten_with_the_servers(desk: Desk):
    with RadiusServer() as server:
        server.silent = True
        made = await desk.serve(server, timeout_ms=20)
        assert made._announcement is not None
        await made.adjust(None)
        scene = Scene()
        scene.vendor.script = answers(0)
        scene.caller.call(CALLEE)
        scene.wire.run_for(1_000)
        (live,) = scene.exchange.switch.calls()
        desk.running = (TalkingCall(live.call.arrival, live.call.journey, live.call_request),)
        await made.adjust(accounting(server))
        assert made._announcement is None, "a call goes on, of which a server may have a session"
        desk.running = ()
