"""The keys of ``vosd status``, and which of its figures return to zero."""

import asyncio
import json
from collections.abc import Iterator
from decimal import Decimal
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from doubles.data.builders import catalogue, switch_settings
from doubles.data.records import STARTED, answered_call, rejected
from doubles.live_events import balance_low
from doubles.memory.lease import MemoryLease
from doubles.memory.registrations import MemoryRegistrations
from doubles.memory.store import MemoryStore
from doubles.virtual.clock import ManualClock

from vosd.billing.holds import AccountCredit
from vosd.cli.main import main
from vosd.config.places import Installation
from vosd.control.events import EventType
from vosd.control.installation import GetStatus, MachineUse
from vosd.control.money import Commitments, CountRefused, CountUnbooked, ListCommitments, ListUnbooked
from vosd.daemon.commands import Commands, MoneyCommands
from vosd.daemon.live_events import LiveEventPart
from vosd.daemon.silenced import Silenced
from vosd.daemon.status import Status
from vosd.engine.counting import Counting, census_of, totals_of
from vosd.engine.journal.quarantine import DIRECTORY, Quarantine
from vosd.engine.reports.accounting import CallAccounting
from vosd.engine.reports.reporter import CallReports
from vosd.engine.reports.reporters import CallReporters
from vosd.engine.service import SwitchService
from vosd.engine.settings import CallReportSettings, ReceiverSettings, SipListener
from vosd.net.resolve import NameServerResolver
from vosd.obs.figures import Figure
from vosd.sip.drops import Drop
from vosd.sip.flows import Listener

CENSUS = [
    "calls",
    "legs",
    "dialogs",
    "transactions",
    "timers",
    "media_legs",
    "media_ports",
    "holds",
    "phones_online",
    "registrations",
    "registrations_unwritten",
    "relays",
    "cdr_queue",
    "spool_rows",
    "spool_mb",
    "spool_oldest_s",
    "quarantined",
    "journal_short",
    "journal_backlog",
    "locked_out",
    "blacklisted",
    "lookups",
    "overrides",
    "call_reports",
    "webhook_events",
    "radius_accounting",
    "radius_servers_down",
    "radius_passwords",
    "radius_auth_servers_down",
]
TOTALS = [
    "refused_for_overload",
    "hep_dropped",
    "log_lines_lost",
    "announcements",
    "announcements_missed",
    "messages_delivered",
    "messages_refused",
    "notifications",
    "calls_without_cdr",
    "blacklist_forgotten",
    "calls_lost",
    "lookups_failed",
    "call_reports_dropped",
    "radius_accounting_dropped",
    "radius_failed",
]
OTHERS = [
    "version",
    "node",
    "id",
    "configuration",
    "pid",
    "started_at",
    "session_refresh_failed",
    "machine",
    "database",
    "catalogue",
    "listen",
]
"""Users hold on to these names: none is renamed. New ones are added when a release has them."""


def figures(*, are_totals):
    """Return the figures that count since the start, or those that return to zero."""
    return [figure.value for figure in Figure if figure.is_total is are_totals]


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def service(tmp_path, clock):
    settings = switch_settings(tmp_path)
    store = MemoryStore()
    lease = MemoryLease(store, has_ended=lambda _: True)
    listeners = [Listener("127.0.0.1", 5060, "udp", "udp:127.0.0.1:5060")]
    resolver = NameServerResolver((), 1, 1)
    return SwitchService(settings, catalogue([]), store, MemoryRegistrations(), lease, clock, listeners, resolver)


@pytest.fixture
def silenced(service, clock):
    return Silenced(service.node.authenticator, SimpleNamespace(blocked=dict), clock)


@pytest.fixture
def call_reports(service, clock, tmp_path):
    return CallReports("sw1", clock, None, tmp_path, service.switch.report_calls)


@pytest.fixture
def accounting(service, clock, tmp_path):
    return CallAccounting(clock, None, tmp_path, service.switch.report_calls, tuple)


@pytest.fixture
def events(service, clock, tmp_path):
    settings = SimpleNamespace(node="sw1", state_dir=tmp_path, webhooks=())
    return LiveEventPart(settings, service, CallReporters(service.switch.report_calls), clock)


def test_the_status_has_the_keys_that_users_hold_on_to(service, silenced, call_reports, accounting, events, clock):
    listen = [SipListener("udp", "192.0.2.1", 5060), SipListener("tls", "2001:db8::1", 5061)]
    settings, version = SimpleNamespace(node="sw1", listen=listen), SimpleNamespace(version="a1")
    loaded = SimpleNamespace(settings=settings, catalogue=version)
    installation = Installation("sw1", "/etc/vosd/vosd.yaml", "/var/lib/vosd")
    configuration = SimpleNamespace(loaded=loaded, loaded_at=0, last_error=None, installation=installation)
    shown = Status(service, configuration, silenced, call_reports, accounting, events, clock, MachineUse)
    status = asyncio.run(Commands(shown, clock).status(GetStatus())).document()
    assert sorted(status) == sorted([*Figure, *OTHERS])
    assert status["listen"] == ["udp:192.0.2.1:5060", "tls:[2001:db8::1]:5061"]


def test_a_switch_says_what_is_owed_of_a_time(service, clock):
    parties = {"customer_account": "acme", "vendor_account": "carrier", "fee": Decimal("0.10"), "cost": Decimal(0)}
    service.recorder.add(answered_call(1, **parties, ended_at=5))
    commands = MoneyCommands(service, clock)
    assert asyncio.run(commands.unbooked(ListUnbooked(0, 6))) == {"acme": "0.10"}
    assert asyncio.run(commands.unbooked(ListUnbooked(0, 5))) == {}
    assert asyncio.run(commands.count_unbooked(CountUnbooked(STARTED + 86_400_000))) == 1
    assert asyncio.run(commands.count_unbooked(CountUnbooked(STARTED))) == 0


async def test_calls_have_their_turn_while_what_many_accounts_hold_is_listed(service, clock, monkeypatch):
    credits = {name: AccountCredit(name, None) for name in ("idle", "acme", "carrier")}
    monkeypatch.setattr(service.switch.live, "credits", credits)
    monkeypatch.setattr("vosd.daemon.commands.ROWS_AT_ONCE", 2)
    credits["acme"].post(Decimal("-0.10"))
    asyncio.get_running_loop().call_soon(credits["carrier"].post, Decimal(-1))
    found = await MoneyCommands(service, clock).commitments(ListCommitments())
    assert found == {"acme": Commitments("0.00", "-0.10"), "carrier": Commitments("0.00", "-1.00")}


async def test_what_some_accounts_hold_is_told_without_a_look_at_the_others(service, clock, monkeypatch):
    class Credits(dict[str, AccountCredit]):
        def __iter__(self) -> Iterator[str]:
            raise AssertionError("all accounts are gone through")

    credits = Credits({name: AccountCredit(name, None) for name in ("idle", "acme", "carrier")})
    monkeypatch.setattr(service.switch.live, "credits", credits)
    for name in ("acme", "carrier"):
        credits[name].post(Decimal("-0.10"))
    found = await MoneyCommands(service, clock).commitments(ListCommitments(frozenset({"idle", "acme", "gone"})))
    assert found == {"acme": Commitments("0.00", "-0.10")}


def test_a_switch_counts_the_refused_records_of_a_vendor(service, clock, tmp_path):
    Quarantine(tmp_path / DIRECTORY).put(rejected("why", answered_call(1, vendor_account="carrier", started_at=5)))
    commands = MoneyCommands(service, clock)
    assert asyncio.run(commands.count_refused(CountRefused("carrier", 5, 6))) == 1
    assert asyncio.run(commands.count_refused(CountRefused("carrier", 6, 7))) == 0


def test_no_figure_is_renamed_or_counts_otherwise_than_before():
    assert set(CENSUS) <= set(figures(are_totals=False))
    assert set(TOTALS) <= set(figures(are_totals=True))


def test_every_figure_is_explained():
    told = CliRunner().invoke(main, ["status", "--explain", "--json"])
    assert json.loads(told.output) == {figure.value: figure.meaning for figure in Figure}
    assert min(len(figure.meaning.split()) for figure in Figure) > 2


class Refusing(Counting):
    """A part that refuses and holds calls as others do."""

    def census(self):
        return {Figure.CALLS: 1}

    def totals(self):
        return {Figure.REFUSED_FOR_OVERLOAD: 3}


def test_a_census_is_zero_at_rest_and_a_total_is_not_part_of_it(service, silenced, call_reports, accounting, events):
    assert census_of((*service.parts, silenced, call_reports, accounting, events)) == dict.fromkeys(
        figures(are_totals=False), 0
    )
    assert totals_of((*service.parts, call_reports, accounting)) == dict.fromkeys(figures(are_totals=True), 0)


async def test_events_that_wait_for_receivers_of_webhooks_are_counted(events):
    delivery = CallReportSettings("http://127.0.0.1:9/")
    await events.adjust([ReceiverSettings(name, frozenset({EventType.BALANCE_LOW}), delivery) for name in "ab"])
    events.events._put(balance_low("acme"))
    assert events.census() == {Figure.WEBHOOK_EVENTS: 2}
    await events.adjust(())
    assert events.census() == {Figure.WEBHOOK_EVENTS: 0}


def test_a_total_adds_up_what_several_parts_have_counted(service):
    service.dropped[Drop.REFUSED] += 2
    assert totals_of(service.parts)["refused_for_overload"] == 2
    assert totals_of((*service.parts, Refusing()))["refused_for_overload"] == 5


def test_what_the_path_of_a_call_counts_is_among_the_totals(service):
    service.switch.notices.counted[Figure.HOLDS] += 1
    assert totals_of(service.parts)["holds"] == 1


def test_two_parts_do_not_count_what_is_alive_under_one_name(service):
    with pytest.raises(ValueError, match="two parts of the switch count calls"):
        census_of((*service.parts, Refusing()))
