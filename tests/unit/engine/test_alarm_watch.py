"""Values against the limits of alarms, on virtual time: raised once, cleared at a better value, no flapping."""

import asyncio
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from doubles.data.builders import override
from doubles.virtual.clock import ManualClock
from structlog.testing import capture_logs

from vosd.base.clock import Instant
from vosd.catalogue.overrides import Override, Setting, Target
from vosd.engine.alarms import machine, margins, watch
from vosd.engine.alarms.machine import (
    MachineMeter,
    MinuteRate,
    disk_free_percent,
    has_address,
    memory_percent,
    network_bytes,
)
from vosd.engine.alarms.margins import Pair, PrefixMargins, PrefixPair, Takings
from vosd.engine.alarms.watch import LAG_TICKS, SUBJECTS_AT_ONCE, LongCall, PortsUsed, Threshold, Unbooked, Watch
from vosd.engine.settings import AlarmSettings
from vosd.obs.events import Event
from vosd.routing.calendar import Calendar
from vosd.routing.false_answers import WHOLE, AnswerFigures, ShortCalls
from vosd.routing.figures import LatestCalls
from vosd.routing.quality import QualityFigures
from vosd.stir.settings import TrustedFile


class Measured:
    """A switch whose values are set."""

    def __init__(self) -> None:
        self.figures: dict[str, QualityFigures] = {}
        self.books = Unbooked(0, 0)
        self.calls: list[LongCall] = []
        self.low: set[str] = set()
        self.rates: dict[str, int] = {}
        self.configured: set[str] = set()
        self.answered = (0, 0.0)
        self.losses: dict[str, float | None] = {}
        self.customer_losses: dict[str, float | None] = {}
        self.latest: dict[str, LatestCalls] = {}
        self.ports_used: list[PortsUsed] = []
        self.sync_s = 0.0
        self.taken: dict[Pair, Takings] = {}
        self.exchange_rates: dict[Pair, Decimal] = {}
        self.by_prefix: dict[PrefixPair, Takings] = {}
        self.used: dict[str, float | None] = {}
        self.kept_calendars: list[Calendar] = []
        self.ends: dict[str, int | None] = {}
        self.closes: list[tuple[str, Override]] = []
        self.certificate: tuple[str, int] | None = None
        self.tls: dict[str, int] = {}
        self.trusted: list[TrustedFile] = []
        self.short: list[ShortCalls] = []
        self.without_cdr = 0
        self.pids: dict[str, int] = {}
        self.gone: list[str] = []

    def processes(self) -> dict[str, int]:
        return self.pids

    def gateways(self) -> Iterator[str]:
        yield from self.figures

    def quality(self, gateway: str, slices: int) -> QualityFigures:
        assert slices == 2
        return self.figures[gateway]

    def unbooked(self) -> Unbooked:
        return self.books

    def addresses_gone(self) -> list[str]:
        return self.gone

    def journal_sync_s(self) -> float:
        return self.sync_s

    def long_calls(self, longer_than_s: int) -> Iterator[LongCall]:
        yield from (each for each in self.calls if each.seconds >= longer_than_s)

    def calls_a_second(self) -> list[tuple[str, int]]:
        return [*self.rates.items()]

    def callers(self) -> set[str]:
        return self.configured

    def is_low(self, account: str) -> bool:
        return account in self.low

    def setups(self) -> tuple[int, float]:
        return self.answered

    def media_losses(self) -> list[tuple[str, float | None]]:
        return [*self.losses.items()]

    def customers(self) -> Iterator[str]:
        yield from self.latest

    def latest_calls(self, customer: str, at_least: int) -> LatestCalls:
        assert at_least == AlarmSettings().min_calls
        return self.latest[customer]

    def customer_media_losses(self) -> list[tuple[str, float | None]]:
        return [*self.customer_losses.items()]

    def media_ports_used(self) -> list[PortsUsed]:
        return self.ports_used

    def short_calls(self) -> list[ShortCalls]:
        return self.short

    def calls_without_cdr(self) -> int:
        return self.without_cdr

    def takings(self) -> dict[Pair, Takings]:
        return dict(self.taken)

    def prefix_takings(self) -> dict[PrefixPair, Takings]:
        found, self.by_prefix = self.by_prefix, {}
        return found

    def overdrafts(self) -> list[tuple[str, float | None]]:
        return [*self.used.items()]

    def unfinished_closes(self) -> list[tuple[str, Override]]:
        return self.closes

    def exchange_rate(self, base: str, quote: str) -> Decimal | None:
        return Decimal(1) if base == quote else self.exchange_rates.get((base, quote))

    def calendars(self) -> list[Calendar]:
        return self.kept_calendars

    def signing_certificate(self) -> tuple[str, int] | None:
        return self.certificate

    def certificate_ends(self) -> dict[str, int]:
        return self.tls

    def trusted_files(self) -> list[TrustedFile]:
        return self.trusted

    def expiries(self) -> list[tuple[str, int | None]]:
        return [*self.ends.items()]


class Scene:
    def __init__(self, **limits: Any) -> None:
        self.measured = Measured()
        self.clock = ManualClock()
        self.lows: set[str] = set()
        settings = AlarmSettings(**limits)
        self.watch = Watch(self.measured, self.clock, settings, Path("/"), lambda: set(self.lows))


@pytest.fixture
def scene() -> Scene:
    return Scene()


def told(logs: Any) -> list[tuple[str, Any]]:
    return [(line["event"], line.get("gateway") or line.get("call_id") or line.get("account")) for line in logs]


def test_a_value_around_its_limit_does_not_flap():
    threshold = Threshold(Event.CPU_HIGH)
    with capture_logs() as logs:
        for value in (69.9, 70, 69, 71, 64, 70, 63.1, 70, 62.9, 69.9, 75):
            threshold.judge(value, 70, 10)
    assert [(line["event"], line["value"]) for line in logs] == [
        ("cpu_high", 70), ("cpu_recovered", 62.9), ("cpu_high", 75),
    ]  # fmt: skip


def test_a_floor_is_cleared_above_its_limit_and_a_limit_of_0_or_no_value_is_never_bad():
    threshold = Threshold(Event.DISK_LOW, is_floor=True)
    with capture_logs() as logs:
        for value, limit in ((10, 10), (9.9, 10), (10.9, 10), (11, 10), (5, 10), (5, 0), (5, 10), (None, 10)):
            threshold.judge(value, limit, 10, directory="var")
    assert [line["event"] for line in logs] == ["disk_low", "disk_recovered"] * 3
    assert {line["directory"] for line in logs} == {"var"}


@pytest.mark.parametrize(("limit", "margin"), [(91, 10), (70, 50), (100, 0)])
def test_the_best_value_clears_a_floor_whatever_its_margin(limit, margin):
    threshold = Threshold(Event.ASR_LOW, 100, is_floor=True)
    with capture_logs() as logs:
        for value in (limit - 1, 99.9, 100):
            threshold.judge(value, limit, margin, gateway="a")
    assert [(line["event"], line["value"]) for line in logs] == [("asr_low", limit - 1), ("asr_recovered", 100)]


async def test_a_gateway_is_judged_by_enough_attempts(scene: Scene):
    figures = scene.measured.figures
    figures["a"] = QualityFigures(attempts=99, answered=0)
    figures["b"] = QualityFigures(attempts=100, answered=39, rang=100, pdd_ms=310_000)
    with capture_logs() as logs:
        await scene.watch.check_gateways()
        figures["a"] = QualityFigures(attempts=100, answered=0)
        figures["b"] = QualityFigures(attempts=100, answered=43, rang=100, pdd_ms=280_000)
        await scene.watch.check_gateways()
    assert told(logs) == [("asr_low", "b"), ("pdd_high", "b"), ("asr_low", "a")]
    with capture_logs() as logs:
        figures["b"] = QualityFigures(attempts=100, answered=44, rang=100, pdd_ms=269_000)
        del figures["a"]
        await scene.watch.check_gateways()
    assert told(logs) == [("asr_recovered", "a"), ("asr_recovered", "b"), ("pdd_recovered", "b")]


async def test_lost_packets_of_a_gateway_and_used_ports_are_reported(scene: Scene):
    measured = scene.measured
    with capture_logs() as logs:
        for percent, lost in ((None, None), (89, 2.9), (90, 3), (85, 2.8), (80, 2.6), (95, 5), (None, None)):
            measured.ports_used = [] if percent is None else [PortsUsed(percent, ports="10000,39999")]
            measured.losses = {} if lost is None else {"a": lost, "b": None}
            await scene.watch.check_media()
    names = [line["event"] for line in logs]
    assert names == ["rtp_ports_low", "media_loss_high", "rtp_ports_recovered", "media_loss_recovered"] * 2
    assert {line.get("gateway") for line in logs} == {None, "a"}


async def test_each_range_of_ports_and_each_rtpengine_is_reported_by_itself(scene: Scene):
    measured = scene.measured
    ours, vendors, engine = ("10000,39999", ""), ("12000,12999", ""), ("", "one")
    with capture_logs() as logs:
        for used in (
            {ours: 50, vendors: 90, engine: 89},
            {ours: 50, vendors: 95, engine: 91},
            {ours: 50, vendors: 10, engine: 91},
            {ours: 50},
        ):
            measured.ports_used = [PortsUsed(percent, *subject) for subject, percent in used.items()]
            await scene.watch.check_media()
    assert [(line["event"], line.get("ports"), line.get("rtpengine")) for line in logs] == [
        ("rtp_ports_low", "12000,12999", None),
        ("rtp_ports_low", None, "one"),
        ("rtp_ports_recovered", "12000,12999", None),
        ("rtp_ports_recovered", None, "one"),
    ]


async def test_lost_packets_of_a_customer_are_an_alarm_of_their_own(scene: Scene):
    measured = scene.measured
    with capture_logs() as logs:
        for lost in (4.9, 5, 4.6, 4.4, 30):
            measured.losses, measured.customer_losses = {"a": 1.0}, {"a": lost, "b": None}
            await scene.watch.check_media()
        measured.customer_losses = {}
        await scene.watch.check_media()
    raised, cleared = ("customer_media_loss_high", "a"), ("customer_media_loss_recovered", "a")
    assert told(logs) == [raised, cleared] * 2
    assert logs[-1]["why"] == "gone"


async def test_a_customer_nearly_all_of_whose_calls_fail_is_reported(scene: Scene):
    measured = scene.measured
    with capture_logs() as logs:
        for acme in ((99, 0), (100, 5), (100, 4), (1_000, 51), (1_000, 56), (1_000, 0), (99, 0)):
            measured.latest = {"acme": LatestCalls(*acme), "other": LatestCalls(1_000, 400), "idle": LatestCalls()}
            await scene.watch.check_customers()
    raised, cleared = ("customer_asr_low", "acme"), ("customer_asr_recovered", "acme")
    assert told(logs) == [raised, cleared] * 2
    assert [(line["calls"], line["value"]) for line in logs if line["event"] == raised[0]] == [(100, 4), (1_000, 0)]


async def test_a_limit_that_a_reload_takes_away_clears_its_alarm(scene: Scene):
    scene.measured.figures["a"] = QualityFigures(attempts=100)
    with capture_logs() as logs:
        await scene.watch.check_gateways()
        scene.watch.settings = AlarmSettings(asr=0)
        await scene.watch.check_gateways()
    assert told(logs) == [("asr_low", "a"), ("asr_recovered", "a")]


async def test_short_talks_through_a_gateway_are_reported_where_a_limit_is_set():
    scene = Scene(acd_s=60, asr=0, min_calls=10)
    found = []
    for talks, seconds in ((9, 5), (10, 59), (11, 65), (12, 66)):
        scene.measured.figures = {"a": QualityFigures(talks=talks, talk_ms=talks * seconds * 1_000)}
        with capture_logs() as logs:
            await scene.watch.check_gateways()
        found.append(told(logs))
    assert found == [[], [("acd_low", "a")], [], [("acd_recovered", "a")]]


async def test_the_room_of_the_disk_of_the_journal_is_judged_before_and_behind_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene, room = Scene(disk_free=10), [9.0]

    async def free(directory: Path) -> float:
        assert directory == Path("/")
        return room[0]

    monkeypatch.setattr(watch, "disk_free_percent", free)
    with capture_logs() as logs:
        await scene.watch.check()
        room[0], scene.watch.serves_calls = 11.0, True
        await scene.watch.check()
    lines = [line for line in logs if line["event"].startswith("disk_")]
    assert [(line["event"], line["directory"], line["value"]) for line in lines] == [
        ("disk_low", "/", 9.0),
        ("disk_recovered", "/", 11.0),
    ]


def test_a_slow_set_up_is_judged_by_the_calls_of_the_last_minutes():
    scene = Scene(setup_ms=2_000, min_calls=10)
    with capture_logs() as logs:
        for answered in ((1_000, 100.0), (1_009, 90_100.0), (1_010, 90_200.0), (1_100, 99_200.0)):
            scene.measured.answered = answered
            scene.watch.check_setups()
    assert [line["event"] for line in logs] == ["setup_slow", "setup_recovered"]
    assert logs[0]["value"] == 9_010.0


def test_calls_of_an_hour_that_leave_no_cdr_are_counted():
    scene = Scene(without_cdr=30)
    scene.measured.without_cdr = 1_000  # before the watch began
    with capture_logs() as logs:
        for _ in range(70):
            scene.watch.check_without_cdr()
            scene.measured.without_cdr += 1
        assert [(line["event"], line["value"]) for line in logs] == [("without_cdr_high", 30)]
        for _ in range(40):
            scene.watch.check_without_cdr()
    assert [(line["event"], line["value"]) for line in logs[1:]] == [("without_cdr_recovered", 26)]
    scene.watch.settings = AlarmSettings()
    with capture_logs() as logs:
        scene.measured.without_cdr += 999
        scene.watch.check_without_cdr()
    assert logs == []


def takings(calls: int, income: str, cost: str) -> Takings:
    return Takings(calls, Decimal(income), Decimal(cost))


def test_a_low_margin_is_judged_by_the_calls_of_the_last_hour():
    scene, pair = Scene(margin=10, min_calls=5), ("EUR", "EUR")
    with capture_logs() as logs:
        for sums in ((10, "1", "99"), (14, "5", "103"), (15, "11", "108.01"), (19, "30", "124")):
            scene.measured.taken[pair] = takings(*sums)
            scene.watch.check_margins()
    # The first sums are of before; then 4 calls, 10 that cost 9.01, and 29 that cost 25.
    assert [(line["event"], line["currency"], line.get("value")) for line in logs] == [
        ("margin_low", "EUR", 9.9), ("margin_recovered", "EUR", 13.8),
    ]  # fmt: skip
    with capture_logs() as logs:
        for minute in range(61):
            scene.measured.taken[pair] = takings(19 + minute, "30", f"{124 + minute}")
            scene.watch.check_margins()
    assert [(line["event"], line["value"]) for line in logs] == [("margin_low", 6.9)]
    with capture_logs() as logs:
        for _ in range(60):
            scene.watch.check_margins()
    assert [line["event"] for line in logs] == ["margin_recovered"]  # an hour without calls


def test_a_low_margin_of_a_prefix_is_judged_by_its_calls_of_the_last_hour():
    scene = Scene(prefix_margin=1, min_calls=3)
    scene.measured.exchange_rates["USD", "EUR"] = Decimal("0.9")
    minutes: list[dict[PrefixPair, Takings]] = [
        {("4420", "EUR", "EUR"): takings(2, "2", "3"), ("49", "EUR", "EUR"): takings(9, "9", "1")},
        {("4420", "EUR", "USD"): takings(1, "1", "1"), ("33", "EUR", "GBP"): takings(9, "1", "9")},
        {("4420", "EUR", "EUR"): takings(4, "4", "0.2")},
        *({} for _ in range(58)),
        {("4420", "EUR", "EUR"): takings(1, "0", "9")},
    ]
    with capture_logs() as logs:
        for scene.measured.by_prefix in minutes:
            scene.watch.check_prefix_margins()
    # 3 calls bring 3 and cost 3.90; 7 bring 7 and cost 4.10; an hour later 5 bring 4 and cost 9.20.
    assert [(line["event"], line["prefix"], line["currency"], line["value"]) for line in logs] == [
        ("prefix_margin_low", "4420", "EUR", -30.0),
        ("prefix_margin_recovered", "4420", "EUR", 41.4),
        ("prefix_margin_low", "4420", "EUR", -130.0),
    ]
    with capture_logs() as logs:
        for _ in range(60):
            scene.watch.check_prefix_margins()
    assert [(line["event"], line["why"]) for line in logs] == [("prefix_margin_recovered", "gone")]


def test_no_more_prefixes_of_an_hour_are_counted_than_the_limit_and_those_that_have_gone_make_room(monkeypatch):
    monkeypatch.setattr(margins, "PREFIXES_MAX", 2)
    kept, same = PrefixMargins(), lambda *_: Decimal(1)

    def counted(*prefixes: str) -> list[str]:
        minute = {(each, "EUR", "EUR"): takings(1, "1", "0") for each in prefixes}
        return [prefix for prefix, _ in kept.note(minute, same)]

    assert counted("1", "2", "3") == ["1", "2"]
    assert counted("3", "2") == ["1", "2"]
    for _ in range(margins.MINUTES - 2):
        counted()
    assert counted("3", "4") == ["2", "3"]


async def test_an_account_that_has_used_most_of_its_overdraft_limit_is_reported():
    scene = Scene()
    with capture_logs() as logs:
        for used in (80.0, 85.0, 73.0, 72.0, None, 95.0, None):
            scene.measured.used = {"acme": used, "other": None}
            await scene.watch.check_overdrafts()
        scene.measured.used = {"acme": 95.0}
        await scene.watch.check_overdrafts()
        scene.watch.settings = AlarmSettings(overdraft_used=0)
        await scene.watch.check_overdrafts()
    assert told(logs) == [("overdraft_high", "acme"), ("overdraft_recovered", "acme")] * 3


def test_calls_that_only_cost_are_a_low_margin_and_no_limit_is_no_alarm():
    scene = Scene(margin=1, min_calls=1)
    with capture_logs() as logs:
        for sums in ((0, "0", "0"), (3, "0", "0.02")):
            scene.measured.taken["EUR", "EUR"] = takings(*sums)
            scene.watch.check_margins()
        scene.watch.settings = AlarmSettings(min_calls=1)
        scene.watch.check_margins()
    assert [(line["event"], line["value"]) for line in logs] == [("margin_low", -100.0), ("margin_recovered", -100.0)]


def test_cost_in_another_currency_is_converted_and_calls_without_exchange_rate_are_left_out():
    scene = Scene(margin=10, min_calls=2)
    measured = scene.measured
    measured.exchange_rates["USD", "EUR"] = Decimal("0.9")
    with capture_logs() as logs:
        for calls, income, cost in ((0, "0", "0"), (2, "10", "10")):
            for pair in (("EUR", "USD"), ("EUR", "GBP"), ("CHF", "USD")):
                measured.taken[pair] = takings(calls, income, cost)
            scene.watch.check_margins()
        measured.taken["EUR", "EUR"] = takings(2, "10", "10")
        scene.watch.check_margins()
        measured.exchange_rates.clear()
        del measured.taken["EUR", "EUR"]
        scene.watch.check_margins()
    assert [(line["event"], line.get("value"), line.get("why")) for line in logs] == [
        ("margin_low", 5.0, None), ("margin_recovered", None, "gone"),
    ]  # fmt: skip


def test_a_signing_certificate_that_ends_in_two_weeks_is_reported_until_there_is_another():
    scene = Scene()
    now, day_ms = scene.clock.now().wall, 86_400_000
    with capture_logs() as logs:
        for certificate in (None, ("https://a", now + 15 * day_ms), ("https://a", now + 13 * day_ms),
                            ("https://a", now - day_ms), ("https://a", now + 90 * day_ms),
                            ("https://a", now + day_ms), None):  # fmt: skip
            scene.measured.certificate = certificate
            scene.watch.check_signing_certificate(now)
    assert [(line["event"], line["certificate"]) for line in logs] == [
        ("signing_certificate_ends", "https://a"), ("signing_certificate_lasts", "https://a"),
        ("signing_certificate_ends", "https://a"), ("signing_certificate_lasts", "https://a"),
    ]  # fmt: skip


def test_a_certificate_for_tls_that_ends_in_two_weeks_is_reported_until_there_is_another():
    scene = Scene()
    now, day_ms = scene.clock.now().wall, 86_400_000
    with capture_logs() as logs:
        for days in (15, 13, -1, 90, 13):
            scene.measured.tls = {"switch.pem": now + days * day_ms, "vendor.pem": now + 90 * day_ms}
            scene.watch.check_certificates(now)
        scene.measured.tls = {}
        scene.watch.check_certificates(now)
    assert [(line["event"], line["file"], line.get("value")) for line in logs] == [
        ("certificate_ends", "switch.pem", 13.0), ("certificate_lasts", "switch.pem", 90.0),
        ("certificate_ends", "switch.pem", 13.0), ("certificate_lasts", "switch.pem", None),
    ]  # fmt: skip


def test_roots_that_end_and_a_list_that_is_out_of_date_are_reported_until_there_are_others():
    scene = Scene()
    now, day_ms = scene.clock.now().wall, 86_400_000
    with capture_logs() as logs:
        for root_days, list_days in ((15, 1), (13, 1), (-1, 0), (90, -1), (90, -2), (90, 7), (13, 7)):
            scene.measured.trusted = [
                TrustedFile("roots.pem", now + root_days * day_ms, is_list=False),
                TrustedFile("crl.pem", now + list_days * day_ms, is_list=True),
            ]
            scene.watch.check_trust(now)
        scene.measured.trusted = []
        scene.watch.check_trust(now)
    assert [(line["event"], line["file"]) for line in logs] == [
        ("trust_ends", "roots.pem"), ("trust_lasts", "roots.pem"), ("trust_ends", "crl.pem"),
        ("trust_lasts", "crl.pem"), ("trust_ends", "roots.pem"), ("trust_lasts", "roots.pem"),
    ]  # fmt: skip


async def test_the_next_certificate_for_signing_and_the_next_roots_end_their_alarms_within_a_minute():
    scene = Scene(memory=0, disk_free=0, cpu=0)
    scene.watch.serves_calls = True
    now, day_ms = scene.clock.now().wall, 86_400_000
    with capture_logs() as logs:
        for days in (3, 90):
            scene.measured.certificate = ("https://a", now + days * day_ms)
            scene.measured.trusted = [TrustedFile("roots.pem", now + days * day_ms, is_list=False)]
            for _ in range(watch.MARGIN_CHECKS):
                await scene.watch.check()
    assert [line["event"] for line in logs] == [
        "signing_certificate_ends", "trust_ends", "signing_certificate_lasts", "trust_lasts",
    ]  # fmt: skip


def test_a_calendar_without_holidays_in_the_coming_year_is_reported_until_it_has_some():
    scene, zone = Scene(), ZoneInfo("Europe/Berlin")
    kept, none = Calendar("kept", zone, holidays=frozenset({date(2027, 1, 1)})), Calendar("none", zone)
    now = int(datetime(2026, 11, 22, tzinfo=zone).timestamp() * 1_000)
    with capture_logs() as logs:
        for holidays in ({date(2026, 10, 3)}, {date(2026, 10, 3)}, {date(2027, 10, 3)}):
            old = Calendar("old", zone, holidays=frozenset(holidays))
            scene.measured.kept_calendars = [kept, none, old]
            scene.watch.check_calendars(now)
    assert [(line["event"], line["calendar"]) for line in logs] == [
        ("holidays_missing", "old"), ("holidays_known", "old"),
    ]  # fmt: skip
    assert (logs[0]["value"], logs[0]["limit"], logs[0]["unit"]) == (0, 1, "holidays")


async def test_an_account_that_expires_soon_is_reported_until_it_is_extended_or_has_expired():
    scene, day = Scene(expiry_days=7), 86_400_000
    now = 1_790_000_000_000
    ends: dict[str, int | None] = {"never": None, "later": now + 8 * day, "soon": now + 7 * day, "over": now - day}
    with capture_logs() as logs:
        for extended in (0, 0, 30 * day):
            scene.measured.ends = ends | {"soon": now + 7 * day + extended}
            await scene.watch.check_expiries(now)
        scene.measured.ends = {"later": now + 8 * day}
        await scene.watch.check_expiries(now + 2 * day)
        await scene.watch.check_expiries(now + 9 * day)
    assert [(line["event"], line["account"]) for line in logs] == [
        ("account_expires", "soon"), ("account_expiry_over", "soon"),
        ("account_expires", "later"), ("account_expiry_over", "later"),
    ]  # fmt: skip
    assert logs[0]["expires_at"] == "2026-09-28T14:13:20.000Z"


def test_a_close_that_leaves_a_balance_is_reported_after_five_minutes_until_that_is_gone():
    scene, now = Scene(), 1_790_000_000_000
    killed = override(Target.ACCOUNT, "acme", Setting.CLOSED, since=now)
    with capture_logs() as logs:
        for passed_ms, closes in ((0, [("acme", killed)]), (299_999, [("acme", killed)]), (299_999, [])):
            scene.measured.closes = closes
            scene.watch.check_closes(now + passed_ms)
        assert logs == []
        for passed_ms in (300_000, 360_000, 420_000):
            scene.measured.closes = [("acme", killed)] if passed_ms < 420_000 else []
            scene.watch.check_closes(now + passed_ms)
    assert [(line["event"], line["account"]) for line in logs] == [
        ("account_close_unfinished", "acme"), ("account_close_finished", "acme"),
    ]  # fmt: skip
    assert (logs[0]["closed_at"], logs[0]["operator"]) == ("2026-09-21T14:13:20.000Z", killed.operator)


async def test_an_account_that_expires_is_reported_again_three_days_and_one_day_before_and_when_the_moment_changes():
    day, end = 86_400_000, 1_790_000_000_000
    for expiry_days, said in ((7, [7, 3, 1]), (14, [14, 3, 1]), (2, [2, 1]), (1, [1]), (0, [])):
        scene = Scene(expiry_days=expiry_days)
        scene.measured.ends = {"acme": end}
        with capture_logs() as logs:
            for hours in range(24 * 20, 0, -1):
                await scene.watch.check_expiries(end - hours * day // 24)
        assert [line["days"] for line in logs] == said
    scene = Scene(expiry_days=7)
    with capture_logs() as logs:
        for later in (day, day, 2 * day, 6 * day):
            scene.measured.ends = {"acme": end + later}
            await scene.watch.check_expiries(end)
    assert [(line["event"], line["days"]) for line in logs] == [
        ("account_expires", 1), ("account_expires", 3), ("account_expires", 7),
    ]  # fmt: skip


async def test_of_many_calls_accounts_and_gateways_some_are_reported_in_a_turn():
    scene, many = Scene(expiry_days=7), 10 * SUBJECTS_AT_ONCE
    now = scene.clock.now().wall
    watch = scene.watch
    checks = watch.check_calls, watch.check_overdrafts, lambda: watch.check_expiries(now), watch.check_media
    with capture_logs() as logs:
        for are_there in (True, False):
            names = [f"a{number}" for number in range(many)] if are_there else []
            scene.measured.calls = [LongCall(name, 20_000, name, "4420", "carrier") for name in names]
            scene.measured.used = scene.measured.losses = dict.fromkeys(names, 99.0)
            scene.measured.ends = dict.fromkeys(names, now + 1)
            for check in checks:
                task, told_before, at_once = asyncio.create_task(check()), len(logs), []
                while not task.done():
                    before = len(logs)
                    await asyncio.sleep(0)
                    at_once.append(len(logs) - before)
                assert len(logs) - told_before == many
                assert max(at_once) <= SUBJECTS_AT_ONCE


async def test_long_calls_are_reported_once_and_when_they_have_ended(scene: Scene):
    call = LongCall("one", 14_400, "acme", "4420", "carrier")
    with capture_logs() as logs:
        for calls in ([], [call], [call._replace(seconds=14_405), call._replace(call_id="two")], []):
            scene.measured.calls = calls
            await scene.watch.check_calls()
    assert told(logs) == [
        ("call_too_long", "carrier"), ("call_too_long", "carrier"), ("long_call_ended", "carrier"),
        ("long_call_ended", "carrier"),
    ]  # fmt: skip
    assert [line["call_id"] for line in logs] == ["one", "two", "one", "two"]


def test_what_waits_for_the_database_is_reported(scene: Scene):
    with capture_logs() as logs:
        for books in (Unbooked(299, 0), Unbooked(300, 1), Unbooked(271, 3), Unbooked(2, 0)):
            scene.measured.books = books
            scene.watch.check_books()
    assert [line["event"] for line in logs] == [
        "booking_late", "quarantine_filled", "booking_in_time", "quarantine_emptied",
    ]  # fmt: skip


def test_a_low_balance_is_taken_back_when_money_was_added(scene: Scene):
    scene.lows = {"acme", "poor"}
    scene.measured.low = {"poor"}
    with capture_logs() as logs:
        scene.watch.check_books()
    assert told(logs) == [("balance_recovered", "acme")]


@pytest.mark.parametrize(("jump_ms", "seconds"), [(2_001, 2.001), (-3_600_000, -3_600.0)])
def test_a_clock_that_is_set_is_reported_and_a_slow_tick_is_not(scene: Scene, jump_ms: int, seconds: float):
    moments = [
        (0, 0),
        (1_000, 1_000),
        (5_000, 5_000),
        (6_000, 8_000),
        (7_000, 9_000 + jump_ms),
        (8_000, 10_000 + jump_ms),
    ]
    with capture_logs() as logs:
        for mono, wall in moments:
            scene.watch.tick(Instant(mono, wall))
    assert [(line["event"], line["seconds"]) for line in logs] == [("clock_jumped", seconds)]


@pytest.mark.parametrize(("behind_ms", "seconds"), [(3_600_000, [-3_600.0]), (2_000, []), (-3_600_000, [])])
def test_a_start_with_a_clock_behind_its_own_records_is_reported(behind_ms: int, seconds: list[float]):
    scene = Scene()
    with capture_logs() as logs:
        scene.watch.compare_clock(scene.clock.now().wall + behind_ms)
    assert [line["seconds"] for line in logs if line["event"] == "clock_jumped"] == seconds


def test_a_clock_is_not_compared_where_its_alarm_is_off():
    scene = Scene(clock_jump_ms=0)
    with capture_logs() as logs:
        scene.watch.compare_clock(scene.clock.now().wall + 3_600_000)
    assert logs == []


async def test_a_late_event_loop_is_reported_by_its_average(monkeypatch: pytest.MonkeyPatch):
    scene = Scene(memory=0, disk_free=0, cpu=0)
    now = 0
    with capture_logs() as logs:
        for lateness in (*[600] * LAG_TICKS, *[10] * LAG_TICKS):
            now += 1_000 + lateness
            scene.watch.tick(Instant(now, now))
            await scene.watch.check()
    assert [line["event"] for line in logs] == ["loop_late", "loop_in_time"]


def test_a_disk_that_is_slow_for_the_journal_is_reported():
    scene = Scene()
    with capture_logs() as logs:
        for seconds in (0.9, 1.5, 0.95, 0.2):
            scene.measured.sync_s = seconds
            scene.watch.check_books()
    assert [(line["event"], line["value"]) for line in logs] == [("journal_slow", 1_500), ("journal_in_time", 200)]


def test_an_address_that_the_machine_has_no_more_is_reported_until_it_is_back():
    scene = Scene()
    with capture_logs() as logs:
        for gone in (["192.0.2.1"], ["192.0.2.2", "192.0.2.1"], ["192.0.2.2"], []):
            scene.measured.gone = gone
            scene.watch.check_addresses()
    assert [(line["event"], line["address"]) for line in logs] == [
        ("address_gone", "192.0.2.1"),
        ("address_gone", "192.0.2.2"),
        ("address_back", "192.0.2.1"),
        ("address_back", "192.0.2.2"),
    ]


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("0.0.0.0", True), ("192.0.2.77", False), ("::", True), ("2001:db8::77", False)],
)
def test_a_machine_has_the_addresses_that_can_be_bound(host: str, expected: bool):
    assert has_address(host) is expected


def test_a_rate_is_averaged_over_a_minute():
    rate = MinuteRate()
    assert rate.note(0, 0) is None
    assert (rate.note(59, 59), rate.is_of_a_minute) == (1, False)
    assert (rate.note(60, 60), rate.is_of_a_minute) == (1, True)
    assert rate.note(90, 60) == pytest.approx(60 / 90)
    assert rate.note(150, 60) == 0
    assert rate.note(151, 0) == 0  # an interface is gone


class Proc:
    """Files of /proc, of a machine with two processors; a tick is 10 ms."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._directory = directory
        self._now_s = 0.0
        monkeypatch.setattr(machine, "PROC", directory)
        monkeypatch.setattr(machine, "SYS_NET", directory / "interfaces")
        monkeypatch.setattr(machine, "_TICKS_A_SECOND", 100)
        monkeypatch.setattr(machine.time, "monotonic", lambda: self._now_s)
        (directory / "net").mkdir()

    def at(self, now_s: float, busy_s: float, used_s: dict[int, float], received: int = 0, sent: int = 0) -> None:
        """Say how long processors were busy and each process has used one, and how many bytes have passed."""
        self._now_s = now_s
        busy, idle = round(100 * busy_s), round(100 * (2 * now_s - busy_s))
        line = f"{busy - 3} 1 1 {idle} 0 0 1 0 999 0"
        (self._directory / "stat").write_text(f"cpu  {line}\ncpu0 {line}\ncpu1 {line}\nintr 1 2\n")
        for pid, seconds in used_s.items():
            (self._directory / str(pid)).mkdir(exist_ok=True)
            text = f"{pid} (a (b) c) S {' '.join(['7'] * 10)} {round(100 * seconds) - 1} 1 50 50 20 0\n"
            (self._directory / str(pid) / "stat").write_text(text)
        counts = f"{received} 9 0 0 0 0 0 0 {sent} 9 0 0 0 0 0 0"
        (self._directory / "net" / "dev").write_text(
            f"Inter-|   Receive\n face |bytes\n    lo: 77 {'7 ' * 7} 77 {'7 ' * 7}\n  eth0: {counts}\n  eth1:{counts}\n"
        )


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Proc:
    return Proc(tmp_path, monkeypatch)


def test_processes_are_measured_by_one_core_and_the_machine_by_all(proc: Proc):
    meter, pids = MachineMeter(), {"switch": 7, "media worker 1": 8, "media worker 2": 9}
    proc.at(10, 5, {7: 1, 8: 2, 9: 3})
    meter.look(pids)
    assert meter.processors == {}
    proc.at(20, 20, {7: 1, 8: 12, 9: 8}, received=500, sent=1_000)
    meter.look(pids)
    assert {name: use.percent for name, use in meter.processors.items()} == {
        "machine": 75, "switch": 0, "media worker 1": 100, "media worker 2": 50,
    }  # fmt: skip
    assert meter.network == (100, 200)
    proc.at(25, 20, {8: 12, 10: 1})
    meter.look({"switch": 7, "media worker 1": 8, "media worker 2": 10, "ended": 11})
    assert {*meter.processors} == {"machine", "switch", "media worker 1"}  # a new worker begins anew


@pytest.mark.parametrize(
    ("devices", "expected"), [(("eth0", "eth1"), (1_000, 800)), ((), (3_000, 2_400))], ids=["a server", "a container"]
)
def test_a_packet_of_a_bond_and_its_vlan_is_counted_at_the_device_alone(
    devices: tuple[str, ...], expected: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(machine, "SYS_NET", tmp_path)
    counts = {"lo": (77, 77), "eth0": (600, 500), "eth1": (400, 300), "bond0": (1_000, 800), "bond0.100": (1_000, 800)}
    for name in counts:
        (tmp_path / name).mkdir()
    for name in devices:
        (tmp_path / name / "device").mkdir()
    lines = [f"{name}: {received} {'7 ' * 7}{sent} {'7 ' * 7}" for name, (received, sent) in counts.items()]
    assert network_bytes("\n".join(["Inter-|   Receive", " face |bytes", *lines])) == expected


def test_a_packet_that_a_virtual_function_carries_for_a_device_is_counted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """At Azure, and with net_failover, the device that has the address counts what its virtual function carries."""
    monkeypatch.setattr(machine, "SYS_NET", tmp_path)
    for name in ("eth0", "enP1s1", "eth1"):
        (tmp_path / name / "device").mkdir(parents=True)
    (tmp_path / "bond0").mkdir()
    (tmp_path / "enP1s1" / "master").symlink_to(tmp_path / "eth0")
    (tmp_path / "eth1" / "master").symlink_to(tmp_path / "bond0")
    counts = {"eth0": (1_000, 800), "enP1s1": (900, 700), "eth1": (40, 30), "bond0": (40, 30)}
    lines = [f"{name}: {received} {'7 ' * 7}{sent} {'7 ' * 7}" for name, (received, sent) in counts.items()]
    assert network_bytes("\n".join(["Inter-|   Receive", " face |bytes", *lines])) == (1_040, 830)


async def test_a_busy_media_worker_is_an_alarm_of_its_own(proc: Proc):
    scene = Scene(memory=0, disk_free=0, cpu=70)
    scene.measured.pids = {"switch": 7, "media worker 1": 8}
    with capture_logs() as logs:
        for now_s, used_s in ((0, 1), (30, 25), (60, 49), (90, 73), (120, 73)):
            proc.at(now_s, used_s, {7: 1, 8: used_s})
            await scene.watch.check()
    assert [(line["event"], line["process"], line["value"]) for line in logs] == [
        ("cpu_high", "media worker 1", 80), ("cpu_recovered", "media worker 1", 40),
    ]  # fmt: skip
    assert scene.watch.machine.processes == {"switch": 0, "media worker 1": 40}
    assert scene.watch.machine.cpu_percent == 20


async def test_memory_and_disk_are_read_from_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert memory_percent("MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable:    150 kB\n") == 85
    assert memory_percent("MemTotal:  1000 kB\n") is None
    free = await disk_free_percent(tmp_path)
    assert free is not None
    assert 0 < free <= 100
    assert await disk_free_percent(tmp_path / "missing") is None
    sizes = {"f_bavail": 90, "f_blocks": 100, "f_favail": 3, "f_files": 100}
    for changes, percent in (
        ({}, 3),
        ({"f_files": 0}, 90),
        ({"f_bavail": 1}, 1),
        ({"f_blocks": 0, "f_files": 0}, None),
    ):
        disk = SimpleNamespace(**{**sizes, **changes})
        monkeypatch.setattr(machine.os, "statvfs", lambda _directory, disk=disk: disk)
        assert await disk_free_percent(tmp_path) == percent
    monkeypatch.setattr(machine, "MEMINFO", tmp_path / "missing")
    monkeypatch.setattr(machine, "OWN_GROUP", tmp_path / "missing")
    assert machine.memory_in_use() is None


def test_memory_in_use_is_that_of_the_nearest_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A service of 2 GB on a machine of 64 GB is ended by the kernel while the machine has much left."""
    monkeypatch.setattr(machine, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(machine, "OWN_GROUP", tmp_path / "cgroup")
    monkeypatch.setattr(machine, "CGROUPS", tmp_path / "groups")
    (tmp_path / "meminfo").write_text("MemTotal: 100 kB\nMemAvailable: 90 kB\n")
    (tmp_path / "cgroup").write_text("4:memory:/elsewhere\n0::/voice.slice/vosd.service\n")
    assert machine.memory_in_use() == pytest.approx(10), "groups without the controller of memory have no limit"
    service = tmp_path / "groups" / "voice.slice" / "vosd.service"
    service.mkdir(parents=True)
    counts = "anon 1500\nfile 300\nkernel 50\nshmem 50\ninactive_file 150\nactive_file 100\nslab_reclaimable 50\n"
    for group, limit, current in ((service.parent, "max", 9_000), (service, "2000", 1_900)):
        (group / "memory.max").write_text(f"{limit}\n")
        (group / "memory.current").write_text(f"{current}\n")
        (group / "memory.stat").write_text(counts)
    assert machine.memory_in_use() == 80
    (service.parent / "memory.max").write_text("9000\n")
    assert machine.memory_in_use() == pytest.approx(100 * 8_700 / 9_000)
    (tmp_path / "meminfo").write_text("MemTotal: 100 kB\nMemAvailable: 1 kB\n")
    assert machine.memory_in_use() == pytest.approx(99)


async def test_values_of_the_switch_are_not_judged_before_its_start_is_over():
    scene = Scene(memory=1, disk_free=0)
    scene.lows, scene.measured.books = {"acme"}, Unbooked(400, 0)
    with capture_logs() as logs:
        await scene.watch.check()
        assert [line["event"] for line in logs] == ["memory_high"]
        scene.watch.serves_calls = True
        await scene.watch.check()
    assert [line["event"] for line in logs[1:]] == ["booking_late", "balance_recovered"]


async def test_memory_in_use_is_an_alarm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    scene = Scene(disk_free=0)
    file = tmp_path / "meminfo"
    monkeypatch.setattr(machine, "MEMINFO", file)
    monkeypatch.setattr(machine, "OWN_GROUP", tmp_path / "missing")
    with capture_logs() as logs:
        for available in (21, 19, 25, 29):
            file.write_text(f"MemTotal: 100 kB\nMemAvailable: {available} kB\n")
            await scene.watch.check()
    assert [line["event"] for line in logs] == ["memory_high", "memory_recovered"]


HOUR_MS = 3_600_000


async def tell_call_rate(scene: Scene, at_ms: int, **rates: int) -> None:
    """Let gateways have so many calls in a second, five times at an interval of five seconds."""
    scene.measured.rates = rates
    for sample in range(5):
        await scene.watch.check_call_rates(at_ms + 5_000 * sample)


async def test_far_more_calls_a_second_than_in_the_past_hours_are_an_alarm_and_the_floor_is_not():
    scene = Scene(cps_factor=3, cps_floor=10)
    with capture_logs() as logs:
        await tell_call_rate(scene, 0, quiet=1, busy=20)
        await tell_call_rate(scene, HOUR_MS, quiet=9, busy=50)
        assert logs == []
        await tell_call_rate(scene, HOUR_MS + 60_000, quiet=15, busy=90)
        await tell_call_rate(scene, HOUR_MS + 120_000, quiet=0, busy=20)
    found = [(line["event"], line["gateway"]) for line in logs]
    assert found[:2] == [("cps_high", "busy"), ("cps_high", "quiet")]
    assert sorted(found[2:]) == [("cps_recovered", "busy"), ("cps_recovered", "quiet")]


async def test_a_reload_that_takes_the_factor_away_ends_its_alarms_at_once_and_raises_none():
    scene = Scene(cps_factor=3, cps_floor=10)
    with capture_logs() as logs:
        await tell_call_rate(scene, 0, quiet=5, busy=50)
        await tell_call_rate(scene, HOUR_MS, quiet=40, busy=100)
        scene.watch.settings = AlarmSettings(cps_factor=0, cps_floor=10)
        await tell_call_rate(scene, HOUR_MS + 60_000, quiet=40, busy=100)
    assert [(line["event"], line["gateway"], line.get("why")) for line in logs] == [
        ("cps_high", "quiet", None),
        ("cps_recovered", "quiet", "gone"),
    ]


async def test_without_a_past_or_a_factor_no_rate_is_judged_and_one_burst_is_no_alarm():
    with capture_logs() as logs:
        started = Scene()
        await tell_call_rate(started, 0, first=5_000)
        await tell_call_rate(started, HOUR_MS, later=19, phone=1)
        scene = Scene(cps_factor=0)
        for hour in range(3):
            await tell_call_rate(scene, hour * HOUR_MS, off=10 ** (hour + 1))
        burst = Scene(cps_factor=2, cps_floor=10)
        await tell_call_rate(burst, 0, calm=5)
        burst.measured.rates = {"calm": 17}
        await burst.watch.check_call_rates(HOUR_MS)
    assert logs == []


async def test_calls_a_second_of_gateways_that_reloads_have_removed_are_forgotten_with_their_alarm():
    """A name that returns is another gateway, which has no past."""
    scene = Scene(cps_factor=3, cps_floor=10)
    await tell_call_rate(scene, 0, gone=20, stays=20)
    with capture_logs() as logs:
        await tell_call_rate(scene, HOUR_MS, gone=90, stays=90)
        scene.measured.configured = {"stays", "new"}
        scene.clock.move_to(HOUR_MS + 30_000)
        await scene.watch.check_switch()
        await tell_call_rate(scene, HOUR_MS + 60_000, gone=20, stays=90)
    assert [(line["event"], line["gateway"], line.get("why")) for line in logs] == [
        ("cps_high", "gone", None),
        ("cps_high", "stays", None),
        ("cps_recovered", "gone", "gone"),
        ("cps_high", "gone", None),
    ]


async def test_a_gateway_without_calls_in_the_past_hours_is_judged_by_the_floor():
    scene = Scene(cps_floor=20)
    await tell_call_rate(scene, 0, other=1)
    with capture_logs() as logs:
        await tell_call_rate(scene, HOUR_MS, night=40)
    assert [(line["event"], line["gateway"], line["limit"]) for line in logs] == [("cps_high", "night", 20)]


def test_short_calls_are_told_once_with_their_other_signs_and_when_they_are_over(scene):
    with capture_logs() as logs:
        scene.measured.short = [
            ShortCalls("a", WHOLE, AnswerFigures(40, 24, 20, 9, 4), 50),
            ShortCalls("a", "44", AnswerFigures(20, 18, 17, 9, 4), 50),
        ]
        for _ in range(2):
            scene.watch.check_short_calls()
        scene.measured.short.pop(0)
        scene.watch.check_short_calls()
    assert [(line["event"], line["destination"]) for line in logs] == [
        ("short_calls", "*"),
        ("short_calls", "44"),
        ("short_calls_over", "*"),
    ]
    assert (logs[1]["value"], logs[1]["limit"]) == (90.0, 50)
    assert (logs[1]["unrung"], logs[1]["same"], logs[1]["again"]) == (17, 9, 4)
    assert logs[2]["why"] == "fewer calls are short"
