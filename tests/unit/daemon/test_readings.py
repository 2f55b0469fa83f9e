"""Readings of a switch: every declared metric is there, in short steps, and Prometheus can read it."""

import asyncio
import subprocess
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
from doubles.data.builders import catalogue, mapping_gateway, phone, routing_gateway, switch_settings
from doubles.data.records import answered_call
from doubles.filling_disk import small_disk
from doubles.journals import begun, write_ended
from doubles.memory.lease import MemoryLease
from doubles.memory.registrations import MemoryRegistrations
from doubles.memory.store import MemoryStore
from doubles.small_disk import PLENTY
from doubles.virtual.clock import ManualClock
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from vosd.base.cause import EndReason
from vosd.base.histogram import Histogram
from vosd.cdr.record import Attempt
from vosd.control.installation import CountApiAnswers, MachineUse
from vosd.daemon.commands import Commands
from vosd.daemon.lifecycle import DaemonState
from vosd.daemon.live_events import LiveEventPart
from vosd.daemon.metrics.readings import OTHERS, STEP_S, Readings, readiness
from vosd.daemon.silenced import Silenced
from vosd.daemon.status import Status
from vosd.engine.media.media_parts import MediaLosses
from vosd.engine.peers import gateways as gateways_shown
from vosd.engine.reports.accounting import CallAccounting
from vosd.engine.reports.queue import ReportOutcome
from vosd.engine.reports.reporter import CallReports
from vosd.engine.reports.reporters import CallReporters
from vosd.engine.service import SwitchService
from vosd.metrics.declared import METRICS, PROCESSES, MetricKind
from vosd.metrics.exposition import written
from vosd.net.resolve import NameServerResolver
from vosd.sip.drops import Drop
from vosd.sip.flows import Listener
from vosd.trunks.groups import GatewayGroup
from vosd.trunks.scope import LimitScope

CARRIER, CUSTOMER = {"gateway": "carrier-a", "kind": "routing"}, {"gateway": "acme-pbx", "kind": "mapping"}


def switch(tmp_path, clock, gateways, groups=(), phones=()):
    settings = switch_settings(tmp_path)
    store = MemoryStore()
    lease = MemoryLease(store, has_ended=lambda _: True)
    listeners = [Listener("127.0.0.1", 5060, "udp", "udp:127.0.0.1:5060")]
    content = catalogue(gateways, groups=groups, phones=phones)
    return SwitchService(
        settings, content, store, MemoryRegistrations(), lease, clock, listeners, NameServerResolver((), 1, 1)
    )


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def service(tmp_path, clock):
    gateways = [
        routing_gateway("carrier-a", max_concurrent=10),
        routing_gateway("carrier-b", enabled=False),
        mapping_gateway("acme-pbx", "192.0.2.1/32"),
    ]
    groups = [
        GatewayGroup("pair", frozenset({"carrier-a", "carrier-b"}), max_concurrent=12),
        GatewayGroup("slow", frozenset({"carrier-a"}), max_cps=3),
        GatewayGroup("plain", frozenset({"carrier-b"})),
    ]
    return switch(tmp_path, clock, gateways, groups)


def readings_of(service, clock, state=DaemonState.RUNNING, blocked=dict, **times):
    ends = {"/etc/vosd/switch.pem": 1_800_000_000_000}
    loaded = SimpleNamespace(
        settings=SimpleNamespace(node="sw1"), catalogue=service.switch.catalogue, certificate_ends=ends
    )
    configuration = SimpleNamespace(loaded=loaded, loaded_at=1_000, last_error=None)
    silenced = Silenced(service.node.authenticator, SimpleNamespace(blocked=blocked), clock)
    reports = CallReports("sw1", clock, None, Path("unused"), service.switch.report_calls)
    reports._queue.counted.update({ReportOutcome.DELIVERED: 9, ReportOutcome.FULL: 2})
    accounting = CallAccounting(clock, None, Path("unused"), service.switch.report_calls, tuple)
    settings = SimpleNamespace(node="sw1", state_dir=Path("unused"), webhooks=())
    events = LiveEventPart(settings, service, CallReporters(service.switch.report_calls), clock)
    status = Status(service, configuration, silenced, reports, accounting, events, clock, lambda: MACHINE)
    books = SimpleNamespace(pid=1, failures=2, times=Histogram((1, 2)))
    lease = SimpleNamespace(failures=1, times=Histogram((1, 2)))
    return Readings(status, lambda: state, books, lease, clock, lambda: {("gateway_down", "warning"): 2}, **times)


MACHINE = MachineUse(75, 50, 40, {"switch": 20, "media worker 1": 90.5}, 1_000, 2_000)


def parts_of(readings, max_gateways=100):
    async def read():
        return [part async for part in readings.parts(7, max_gateways)]

    return asyncio.run(read())


def page_of(readings, max_gateways=100):
    return written(parts_of(readings, max_gateways))[0].decode()


def samples_of(page):
    families = text_string_to_metric_families(page)
    return {(each.name, *sorted(each.labels.items())): each.value for family in families for each in family.samples}


def value(samples, name, **labels):
    return samples.get((name, *sorted(labels.items())))


def have_traffic(service, clock):
    """Let there be something of every kind."""
    attempts = (Attempt("carrier-b", 503, 10, None, "Unavailable"), Attempt("carrier-a", 200, 4_000, 880, "Normal"))
    call = answered_call(1, mapping_gateway="acme-pbx", routing_gateway="carrier-a", attempts=attempts, pdd_ms=900)
    service.gateways.note(call)
    service.switch.notices.unrecorded[EndReason.OVERLOAD] += 3
    service.switch.notices.refreshes_failed.update({"acme-pbx": 2, "1001": 4, "1002": 1})
    service.switch.live.occupancy.take(LimitScope.GROUP, "pair", 12, None, clock.now().mono)
    service.switch.live.quality.answered("carrier-a", "44", 880, clock.now().mono)
    service.switch.live.quality.talked("carrier-a", "44", 60_000, clock.now().mono)
    service.dropped.update({Drop.SCANNER: 5, Drop.WRONG_CREDENTIALS: 6, Drop.KEEP_ALIVE: 7})
    service.node.endpoint.store.sent_again = 8
    return call


def relay_media(service, clock, packets, of_customers):
    """Let calls with so many packets of each gateway have ended, of which 100 were lost."""
    parts = SimpleNamespace(losses=MediaLosses(), customer_losses=MediaLosses())
    for losses, counted in ((parts.losses, packets), (parts.customer_losses, of_customers)):
        for gateway, expected in counted.items():
            losses.note(gateway, expected, 100, clock.now().mono)
    service.node.media = SimpleNamespace(parts=parts)


def test_the_machine_and_each_process_are_gauges(service, clock):
    samples = samples_of(page_of(readings_of(service, clock)))
    assert value(samples, "vosd_processor_use_ratio", process="machine") == 0.75
    assert value(samples, "vosd_processor_use_ratio", process="switch") == 0.2
    assert value(samples, "vosd_processor_use_ratio", process="media worker 1") == 0.905
    assert value(samples, "vosd_machine_network_bytes_per_second", direction="received") == 1_000
    assert value(samples, "vosd_machine_network_bytes_per_second", direction="sent") == 2_000


def test_every_declared_metric_has_a_value_once_there_was_traffic(service, clock):
    have_traffic(service, clock)
    relay_media(service, clock, {"carrier-a": 4_000}, {})
    samples = samples_of(page_of(readings_of(service, clock)))
    names = {sample[0] for sample in samples}
    for metric in METRICS:
        ends = {MetricKind.HISTOGRAM: ("_bucket", "_sum", "_count"), MetricKind.SUMMARY: ("_sum", "_count")}.get(
            metric.kind, ("",)
        )
        assert {f"{metric.name}{end}" for end in ends} <= names
    prefixes = {f"{prefix}_process" if prefix else "process" for prefix in PROCESSES}
    assert prefixes == {name.removesuffix("_open_fds") for name in names if name.endswith("_open_fds")}
    declared = {metric.name for metric in METRICS}
    assert all(name.startswith(tuple(declared)) or "process_" in name for name in names)


def test_a_full_disk_is_a_figure_and_the_reason_for_which_the_switch_is_not_ready(tmp_path, clock, monkeypatch):
    service = switch(tmp_path, clock, [])
    journal = service._journal
    begun(journal.open(), journal, clock.now())
    readings = readings_of(service, clock)

    def found():
        samples = samples_of(page_of(readings))
        ready = readiness(readings._status, lambda: DaemonState.RUNNING)
        return value(samples, "vosd_journal_short"), value(samples, "vosd_ready"), ready.lines

    assert found() == (0, 1, ())
    disk = small_disk(monkeypatch)(0)
    write_ended(journal, answered_call(1))
    line = "the disk of state_dir is full or fails: no new call is taken (vosd alarms)"
    assert found() == (1, 0, (line,)), "also where the reserve has taken all that waited"
    disk.room = PLENTY
    journal.tick(clock.now(), has_calls=False)
    assert found() == (0, 1, ())


def test_the_values_are_those_of_the_parts_of_the_switch(service, clock):
    call = have_traffic(service, clock)
    samples = samples_of(page_of(readings_of(service, clock)))
    assert value(samples, "vosd_calls_ended_total", reason=call.end_reason) == 1
    assert value(samples, "vosd_certificate_end_timestamp_seconds", file="/etc/vosd/switch.pem") == 1_800_000_000
    assert value(samples, "vosd_calls_ended_total", reason="Overload") == 3
    assert value(samples, "vosd_attempts_total", code="503") == value(samples, "vosd_attempts_total", code="200") == 1
    assert value(samples, "vosd_session_refresh_failures_total", gateway="acme-pbx") == 2
    assert value(samples, "vosd_session_refresh_failures_total", gateway=OTHERS) == 5
    assert value(samples, "vosd_messages_dropped_total", reason="scanner") == 5
    assert value(samples, "vosd_messages_dropped_total", reason="wrong credentials") is None
    assert value(samples, "vosd_authentication_failures_total") == 6
    assert value(samples, "vosd_call_reports_total", outcome="delivered") == 9
    assert value(samples, "vosd_call_reports_total", outcome="full") == 2
    assert value(samples, "vosd_call_reports_total", outcome="expired") == 0
    assert value(samples, "vosd_retransmissions_total", direction="sent") == 8
    assert value(samples, "vosd_database_failures_total", operation="booking") == 2
    assert value(samples, "vosd_call_post_dial_delay_seconds_sum") == 0.9
    assert value(samples, "vosd_call_post_dial_delay_seconds_bucket", le="0.5") == 0
    assert value(samples, "vosd_call_post_dial_delay_seconds_bucket", le="1.0") == 1
    assert value(samples, "vosd_gateway_attempts_total", outcome="answered", **CARRIER) == 1
    assert value(samples, "vosd_gateway_attempts_total", outcome="answered", **CUSTOMER) == 1
    other = {"gateway": "carrier-b", "kind": "routing"}
    assert value(samples, "vosd_gateway_attempts_total", outcome="ineffective", **other) == 1
    assert value(samples, "vosd_gateway_post_dial_delay_seconds_sum", **CARRIER) == 0.88
    assert value(samples, "vosd_gateway_calls_limit", **CARRIER) == 10
    assert value(samples, "vosd_gateway_calls_limit", **CUSTOMER) is None
    of_groups = {group: [value(samples, f"vosd_gateway_group_calls{end}", group=group) for end in ("", "_limit")]
                 for group in ("pair", "slow", "plain")}  # fmt: skip
    assert of_groups == {"pair": [1, 12], "slow": [0, None], "plain": [None, None]}
    assert value(samples, "vosd_gateway_up", **CARRIER) == value(samples, "vosd_gateway_up", **CUSTOMER) == 1
    assert value(samples, "vosd_gateway_up", **other) is None
    assert value(samples, "vosd_gateway_asr_ratio", **CARRIER) == 1
    assert value(samples, "vosd_gateway_acd_seconds", **CARRIER) == 60
    assert value(samples, "vosd_gateway_asr_ratio", **CUSTOMER) is None
    assert value(samples, "vosd_gateways", kind="routing", state="disabled") == 1
    assert value(samples, "vosd_alarms", alarm="gateway_down", level="warning") == 2
    assert value(samples, "vosd_database_state", state="well") == 1
    assert value(samples, "vosd_database_state", state="away") == 0
    assert value(samples, "vosd_reload_failed") == 0


def test_a_configuration_that_was_not_taken_is_a_figure_and_a_warning(service, clock):
    readings = readings_of(service, clock)
    readings._status.configuration.last_error = "unknown key"
    assert value(samples_of(page_of(readings)), "vosd_reload_failed") == 1
    assert "was not taken" in readiness(readings._status, lambda: DaemonState.RUNNING).text


def test_the_loss_of_packets_of_a_gateway_is_known_from_enough_of_them(service, clock):
    packets = {"carrier-a": 4_000, "carrier-b": 2_999, "gone": 4_000}
    relay_media(service, clock, packets, {"acme-pbx": 5_000, "gone": 5_000})
    samples = samples_of(page_of(readings_of(service, clock)))
    found = {sample for sample in samples.items() if sample[0][0] == "vosd_gateway_media_loss_ratio"}
    assert found == {
        (("vosd_gateway_media_loss_ratio", ("gateway", "carrier-a"), ("kind", "routing")), 0.025),
        (("vosd_gateway_media_loss_ratio", ("gateway", "acme-pbx"), ("kind", "mapping")), 0.02),
    }


async def test_answers_of_the_management_api_are_those_that_it_has_reported(service, clock):
    readings = readings_of(service, clock)
    commands = Commands(readings._status, clock)
    for answers in ({"2xx": 7, "5xx": 1}, {"2xx": 3, "none": 2, "of a later version": 1}):
        await commands.count_api_answers(CountApiAnswers(answers))
    samples = samples_of(written([part async for part in readings.parts(7, 100)])[0].decode())
    found = {code: value(samples, "vosd_api_answers_total", code=code)
             for code in ("2xx", "3xx", "4xx", "5xx", "none", "of a later version")}  # fmt: skip
    assert found == {"2xx": 10, "3xx": 0, "4xx": 0, "5xx": 1, "none": 2, "of a later version": None}


def test_a_customer_is_down_while_its_address_is_blocked(service, clock):
    blocked = {"192.0.2.1": clock.now().mono / 1_000 + 60}
    samples = samples_of(page_of(readings_of(service, clock, blocked=lambda: blocked)))
    assert value(samples, "vosd_gateway_up", **CUSTOMER) == 0
    assert value(samples, "vosd_gateways", kind="mapping", state="blocked") == 1
    assert value(samples, "vosd_blocked_sources") == 1


def test_gateways_above_the_limit_are_counted_and_have_no_figures_of_their_own(service, clock):
    samples = samples_of(page_of(readings_of(service, clock), max_gateways=1))
    assert {dict(sample[1:])["gateway"] for sample in samples if sample[0] == "vosd_gateway_up"} == {"carrier-a"}
    assert value(samples, "vosd_gateways_left_out") == 2
    assert value(samples, "vosd_gateways", kind="mapping", state="up") == 1


def test_a_reading_of_many_gateways_comes_in_short_steps(tmp_path, clock):
    service = switch(tmp_path, clock, [routing_gateway(f"carrier-{number}", account="a") for number in range(200)])
    ticks = count()
    parts = parts_of(readings_of(service, clock, seconds=lambda: next(ticks) * STEP_S / 10), max_gateways=1_000)
    steps = [len(part.gateways) for part in parts if part.gateways]
    assert sum(steps) == 200
    assert max(steps) <= 11  # ten intervals of the clock
    assert [part.is_last for part in parts] == [False] * (len(parts) - 1) + [True]
    assert {part.number for part in parts} == {7}


@pytest.mark.parametrize("are_phones", [False, True])
def test_gateways_without_figures_of_their_own_are_counted_in_short_steps_too(tmp_path, clock, monkeypatch, are_phones):
    monkeypatch.setattr(gateways_shown, "PHONES_AT_ONCE", 1)
    phones = [phone(str(number)) for number in range(7_000, 7_200)] if are_phones else []
    customers = [] if are_phones else [mapping_gateway(f"customer-{number}", account="a") for number in range(200)]
    service = switch(tmp_path, clock, customers, phones=phones)
    ticks, most, looks = count(), 0, 0

    def seconds() -> float:
        nonlocal looks
        looks += 1
        return next(ticks) * STEP_S / 10

    async def read() -> None:
        nonlocal most, looks
        readings = readings_of(service, clock, seconds=seconds)

        async def beside() -> None:
            nonlocal most, looks
            while True:
                most, looks = max(most, looks), 0
                await asyncio.sleep(0)

        task = asyncio.ensure_future(beside())
        async for _ in readings.parts(7, 1):
            pass
        task.cancel()

    asyncio.run(read())
    assert 10 <= most <= 13, "ten intervals of the clock"


def test_the_newer_form_of_prometheus_is_written_for_those_that_ask_for_it(service, clock):
    have_traffic(service, clock)
    page, content_type = written(parts_of(readings_of(service, clock)), "application/openmetrics-text;version=1.0.0")
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert "vosd_calls_ended" in {family.name for family in openmetrics(page.decode())}


@pytest.mark.prometheus
def test_prometheus_itself_finds_nothing_to_complain_of(service, clock):
    have_traffic(service, clock)
    page = page_of(readings_of(service, clock))
    checked = subprocess.run(["promtool", "check", "metrics"], input=page, text=True, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
