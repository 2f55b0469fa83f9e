"""Alarms about what a reload removes: none stays, and none is raised (ADR 70). Through the log, as in the switch."""

import io
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from doubles.data.builders import account, applied_rate, catalogue, credentials, mapping_gateway, override, phone
from doubles.kept_log import log_as_it_was
from doubles.memory.store import MemoryStore
from doubles.sockets.login import Login
from doubles.sockets.loopback import Endpoint
from doubles.vendor_accounts import REGISTRATION, Stage, other
from doubles.virtual.clock import ManualClock
from doubles.virtual.customer import Intent
from doubles.virtual.exchange import SWITCH
from doubles.virtual.phone import VirtualPhone
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, vendor_gateway
from doubles.virtual.vendor import SILENT, answers, refuses
from doubles.watched_database import ONE, OTHER, Installation, Server

from vosd.base.secret import Secret
from vosd.billing.holds import AccountCredit
from vosd.catalogue.overrides import Setting, Target
from vosd.cdr.lease import LeaseHeld
from vosd.cdr.retention import Age
from vosd.daemon.retention import RetentionPart
from vosd.engine.alarms.watch import Unbooked, Watch
from vosd.engine.booking.balances import Balances
from vosd.engine.clock import SystemClock
from vosd.engine.lookups.asker import Lookups
from vosd.engine.lookups.availability import FAILURES
from vosd.engine.settings import AlarmSettings, LookupSettings, PortabilitySettings, RetentionSettings
from vosd.obs import log
from vosd.obs.alarms import Alarms
from vosd.obs.events import Event
from vosd.routing import breaker
from vosd.routing.breaker import REFUSALS, SILENCES, BreakerPlace
from vosd.storage.ports import EntryKind, Payment
from vosd.trunks.gateways import Address, Ping

PING = Ping(interval_ms=30_000, timeout_ms=4_000, down_after=3, up_after=2)
ELSEWHERE = (Address("203.0.113.99", 5060),)
ACME = mapping_gateway("acme", f"{CUSTOMER.host}/32")


class Desk:
    """What ``vosd alarms`` would list."""

    def __init__(self) -> None:
        self._alarms = Alarms()
        self._alarms.set_levels({})
        self.raised: list[str] = []

    def held(self) -> list[tuple[str, str]]:
        for name, facts, at in log.events.taken():
            self.raised += [each.alarm.event.value for each in self._alarms.note(name, facts, at) if each.is_raised]
        return sorted((each.event.value, each.subject) for each in self._alarms.active())


@pytest.fixture
def desk() -> Iterator[Desk]:
    with log_as_it_was():
        log.configure("error", io.StringIO())
        log.events.taken()
        yield Desk()


def vendors(*changed):
    return catalogue([ACME, *changed, vendor_gateway(2)])


@pytest.mark.parametrize(
    "after", [(), (None,), (other(user="bob"),)], ids=["removed", "registered no more", "other user"]
)
def test_a_registration_that_is_not_wanted_any_more_is_no_alarm(desk, after):
    stage = Stage(REGISTRATION)
    stage.registrar.is_silent = True
    stage.run(60_000)
    assert [event for event, _ in desk.held()] == ["registration_lost"]
    stage.reload(*after)
    assert desk.held() == []


GONE = {
    "removed": vendors(),
    "renamed": vendors(msgspec.structs.replace(vendor_gateway(0, ping=PING), name="carrier")),
    "disabled": vendors(vendor_gateway(0, ping=PING, enabled=False)),
}


@pytest.mark.parametrize(
    "after",
    [*GONE.values(), vendors(vendor_gateway(0)), vendors(vendor_gateway(0, ping=PING, addresses=ELSEWHERE))],
    ids=[*GONE, "pinged no more", "at another address"],
)
def test_a_gateway_that_is_down_and_gone(desk, after):
    exchange = Scene(vendors(vendor_gateway(0, ping=PING))).exchange
    for _ in range(PING.down_after):
        exchange.switch.live.health.failed("vendor-0", exchange.clock.now().mono)
    assert desk.held() == [("gateway_down", "vendor-0")]
    exchange.swap_catalogue(vendors(vendor_gateway(0, ping=PING, priority=7)))
    assert desk.held() == [("gateway_down", "vendor-0")]
    exchange.swap_catalogue(after)
    assert desk.held() == []


def rest(exchange, port=VENDORS[0].port, payer=""):
    place = BreakerPlace("vendor-0", VENDORS[0].host, port, payer)
    for _ in range(REFUSALS):
        exchange.switch.live.breakers.failed(place, is_silent=False, began_ms=0, mono_ms=exchange.clock.now().mono)


@pytest.mark.parametrize(
    "after", [*GONE.values(), vendors(vendor_gateway(0, addresses=ELSEWHERE))], ids=[*GONE, "at another address"]
)
def test_an_address_that_rests_and_is_gone(desk, after):
    exchange = Scene(vendors(vendor_gateway(0))).exchange
    rest(exchange)
    assert desk.held() == [("gateway_resting", "vendor-0 203.0.113.1:5060")]
    exchange.swap_catalogue(vendors(vendor_gateway(0, priority=7)))
    assert desk.held() == [("gateway_resting", "vendor-0 203.0.113.1:5060")]
    exchange.swap_catalogue(after)
    assert desk.held() == []
    assert exchange.switch.live.breakers.resting == {}


def test_an_address_whose_rest_is_forgotten_for_others(desk, monkeypatch):
    monkeypatch.setattr(breaker, "CIRCUITS_MAX", 1)
    exchange = Scene(vendors(vendor_gateway(0))).exchange
    rest(exchange)
    rest(exchange, 5070)
    assert desk.held() == [("gateway_resting", "vendor-0 203.0.113.1:5070")]


@pytest.mark.parametrize(
    "after", [*GONE.values(), vendors(vendor_gateway(0, addresses=ELSEWHERE))], ids=[*GONE, "at another address"]
)
def test_a_gateway_that_asked_for_a_pause_and_is_gone(desk, after):
    scene = Scene(vendors(vendor_gateway(0)))
    pause(scene)
    assert desk.held() == [("gateway_resting", "vendor-0 203.0.113.1:5060")]
    scene.exchange.swap_catalogue(vendors(vendor_gateway(0, priority=7)))
    assert desk.held() == [("gateway_resting", "vendor-0 203.0.113.1:5060")]
    scene.exchange.swap_catalogue(after)
    assert desk.held() == []


def test_a_pause_of_another_address_keeps_no_call_away():
    scene = Scene(vendors(vendor_gateway(0)))
    pause(scene)
    scene.vendors[1].script = answers(0)
    scene.exchange.swap_catalogue(vendors(vendor_gateway(0, addresses=(Address(*VENDORS[1]),))))
    call_through(scene)
    assert scene.exchange.sink.records[-1].routing_gateway == "vendor-0"


@pytest.mark.parametrize("says", [SILENT, refuses(503, 3_000, headers=("Retry-After: 30",))], ids=["silent", "503"])
@pytest.mark.parametrize(
    "after", [*GONE.values(), vendors(vendor_gateway(0, addresses=ELSEWHERE))], ids=[*GONE, "at another address"]
)
def test_calls_that_fail_behind_a_reload_raise_no_alarm_of_a_gateway_that_is_gone(desk, after, says):
    """A vendor is taken out because it fails: calls wait for it at that moment."""
    scene = Scene(vendors(vendor_gateway(0, response_timeout_ms=4_000)))
    scene.vendor.script = says
    calls = [scene.caller.call(CALLEE, Intent(hang_up_after_ms=10)) for _ in range(SILENCES)]
    scene.wire.run_for(1_000)
    scene.exchange.swap_catalogue(after)
    scene.wire.run_until(lambda: all(each.is_over for each in calls))
    assert desk.held() == []
    live, now = scene.exchange.switch.live, scene.exchange.clock.now().mono
    assert (live.rests.remaining_ms("vendor-0", now), live.breakers.resting) == (0, {})


def test_calls_that_fail_behind_a_reload_count_where_the_gateway_stays(desk):
    scene = Scene(vendors(vendor_gateway(0, response_timeout_ms=4_000)))
    scene.vendor.script = SILENT
    calls = [scene.caller.call(CALLEE, Intent(hang_up_after_ms=10)) for _ in range(SILENCES)]
    scene.wire.run_for(1_000)
    scene.exchange.swap_catalogue(vendors(vendor_gateway(0, priority=7)))
    scene.wire.run_until(lambda: all(each.is_over for each in calls))
    assert desk.held() == [("gateway_resting", "vendor-0 203.0.113.1:5060")]


def pause(scene):
    scene.vendor.script = refuses(503, headers=["Retry-After: 30"])
    call_through(scene)


def call_through(scene):
    scene.whole_call(Intent(hang_up_after_ms=10))


@pytest.mark.parametrize("after", [None, PortabilitySettings("http://192.0.2.2/")], ids=["none", "another"])
def test_a_lookup_service_that_is_down_and_asked_no_more(desk, after):
    clock = ManualClock()
    lookups = Lookups(clock, LookupSettings(PortabilitySettings("http://192.0.2.1/"), Address("192.0.2.1", 5060)))
    for _ in range(FAILURES):
        lookups.portability.availability.failed("mute", clock.now())
        lookups.redirects.availability.failed("mute", clock.now())
    assert desk.held() == [("lookup_service_down", "number_portability"), ("lookup_service_down", "redirect_server")]
    lookups.adjust(LookupSettings(after))
    assert desk.held() == []


def terms(low, **others):
    return account("acme", overdraft_limit=Decimal(0), balance_low=None if low is None else Decimal(low), **others)


class Books:
    """Balances, and the watch that clears their alarms."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.balances = Balances(self.store, ManualClock())
        self.desk: Desk | None = None
        measures = SimpleNamespace(unbooked=lambda: Unbooked(0, 0), journal_sync_s=lambda: 0.0, is_low=self._is_low)
        self._watch = Watch(measures, ManualClock(), AlarmSettings(), Path("/"), self._lows)

    def _is_low(self, name: str) -> bool:
        credit = self.balances.credits[name]
        return credit.is_low or credit.awaits_use

    def _lows(self) -> list[str]:
        return [subject for event, subject in self.desk.held() if event == "balance_low"]

    async def pay(self, amount: str, reference: str) -> None:
        payment = Payment(
            account="acme", kind=EntryKind.PAYMENT, reference=reference, made_at=0, amount=Decimal(amount)
        )
        await self.store.add(payment)
        await self.balances.refresh()

    async def reload(self, *accounts) -> None:
        await self.balances.adopt({each.id: each for each in accounts})
        for each in accounts:  # as the switch does with the accounts that have changed
            self.balances.credits[each.id].set_terms(each.overdraft_limit, *each.low_terms)

    def held(self) -> list[tuple[str, str]]:
        self.balances.report_lows()
        self._watch.check_books()
        return self.desk.held()


@pytest.fixture
async def books(desk) -> Books:
    books = Books()
    books.desk = desk
    await books.pay("40", "1")
    await books.reload(terms("50"))
    assert books.held() == [("balance_low", "acme")]
    return books


async def test_a_low_balance_of_an_account_that_is_gone_and_returns(books):
    await books.reload()
    assert books.held() == []
    await books.reload(terms("50"))
    assert books.held() == [("balance_low", "acme")]


async def test_a_low_balance_of_an_account_that_is_disabled(books):
    await books.reload(terms("50", enabled=False))
    assert books.held() == []
    await books.reload(terms("50"))
    assert books.held() == [("balance_low", "acme")]


def test_a_low_balance_of_an_account_that_is_closed_and_opened_again():
    """Closing it pays its money out, and no one is to pay for it."""
    content = catalogue([ACME, vendor_gateway(0)], accounts=[terms("50"), account("carriers")])
    exchange = Scene(content).exchange
    credit, closed = exchange.switch.live.credits["acme"], override(Target.ACCOUNT, "acme", Setting.CLOSED)
    credit.lows = []
    credit.committed(Decimal(40), credit.seq + 1)
    assert credit.is_low
    exchange.override(closed)
    credit.committed(Decimal(0), credit.seq + 1)
    assert not credit.is_low
    exchange.swap_catalogue(content)
    assert not credit.is_low
    exchange.override()
    assert credit.is_low


def test_accounts_that_were_closed_before_get_their_terms_again_with_the_same_overrides_alone(monkeypatch):
    """There may be very many of them, and no packet is read meanwhile."""
    names = ["acme", "beta", "carriers"]
    content = catalogue([ACME, vendor_gateway(0)], accounts=map(account, names))
    exchange, given, set_terms = Scene(content).exchange, [], AccountCredit.set_terms
    monkeypatch.setattr(
        AccountCredit, "set_terms", lambda credit, *terms: given.append(credit.account) or set_terms(credit, *terms)
    )

    def given_by(*closed):
        given.clear()
        exchange.override(*(override(Target.ACCOUNT, name, Setting.CLOSED) for name in closed))
        return sorted(given)

    assert given_by("acme", "beta") == ["acme", "beta"]
    assert given_by("acme", "beta", "carriers") == ["carriers"]
    assert given_by("acme", "carriers") == ["beta"]
    assert given_by("acme", "carriers") == ["acme", "carriers"], "they were read anew from the configuration"
    given.clear()
    exchange.node.swap_catalogue(content, exchange.clock.now(), [])
    assert given == []


async def test_a_low_balance_that_is_not_low_by_other_terms(books):
    await books.reload(terms("50"))
    assert books.held() == [("balance_low", "acme")]
    await books.reload(terms("10"))
    assert books.held() == []
    credit = books.balances.credits["acme"]
    credit.committed(Decimal(9), credit.seq + 1)
    assert books.held() == [("balance_low", "acme")]


async def test_a_low_balance_that_is_watched_no_more(books):
    await books.reload(terms(None))
    assert books.held() == []
    await books.pay("5000", "2")
    await books.reload(terms("50"))
    assert books.held() == []


async def test_a_low_balance_by_hours_of_use_is_no_news_before_that_is_read(books):
    credit = books.balances.credits["acme"]
    await books.reload(terms(None, balance_low_hours=10))
    assert books.held() == [("balance_low", "acme")]
    credit.set_use(Decimal(5))
    assert books.held() == [("balance_low", "acme")]
    credit.set_use(Decimal(2))
    assert books.held() == []


async def test_a_reload_with_the_same_terms_does_not_take_money_that_a_hold_has_released_for_a_payment(books):
    await books.reload(terms("39.50"))
    assert books.held() == []
    credit = books.balances.credits["acme"]
    credit.release(credit.hold(applied_rate(), 60, 60))
    assert books.held() == [("balance_low", "acme")]
    await books.reload(terms("39.50"))
    assert books.held() == [("balance_low", "acme")]


async def test_a_lease_that_is_taken_at_last_after_another_switch_had_it(desk, tmp_path):
    switch = Installation(tmp_path, Server())
    switch.watch.note_held(LeaseHeld("another switch", OTHER))
    assert desk.held() == [("lease_lost", "")]
    await switch.watch.begin(ONE)
    assert desk.held() == []
    switch.journal.close()


@pytest.mark.parametrize(
    ("after", "held"),
    [
        (RetentionSettings(at_s=0, ledger=Age(months=24)), ["ledger"]),
        (RetentionSettings(), []),
        (RetentionSettings(calls=Age(months=13), ledger=Age(months=24)), []),
        (RetentionSettings(at_s=3_600, calls=Age(months=13), ledger=Age(months=24)), ["calls", "ledger"]),
    ],
    ids=["one kind", "nothing is dropped", "by hand alone", "at another time"],
)
async def test_a_retention_that_is_blocked_and_switched_off(desk, tmp_path, after, held):
    settings = RetentionSettings(at_s=0, calls=Age(months=13), ledger=Age(months=24))
    url = Secret("nodatabase+nodriver://")
    part = RetentionPart(SimpleNamespace(database_url=url, state_dir=tmp_path, retention=settings), SystemClock())
    part._blocked("its process was killed")
    await part.begin()
    assert desk.held() == [("retention_blocked", "calls"), ("retention_blocked", "ledger")]
    await part.adjust(after)
    assert desk.held() == [("retention_blocked", each) for each in held]
    await part.end()


class Trunks:
    """A trunk that registers with us, and a phone."""

    def __init__(self) -> None:
        self.exchange = Scene(self.catalogue()).exchange
        self.trunk = VirtualPhone(self.exchange.wire, Endpoint("198.51.100.77", 5060), SWITCH, Login("pbx", "secret"))
        self.trunk.register()

    def catalogue(self, *, has_trunk: bool = True):
        trunk = mapping_gateway("pbx", account="acme", credentials=credentials("pbx", "secret"))
        return catalogue([ACME, vendor_gateway(0), *([trunk] if has_trunk else [])], phones=[phone("1001")])


def test_a_registered_trunk_that_is_removed_raises_no_alarm(desk):
    trunks = Trunks()
    trunks.exchange.swap_catalogue(trunks.catalogue(has_trunk=False))
    assert list(trunks.exchange.registrations.listed()) == []
    assert (desk.held(), desk.raised) == ([], [])


def test_a_trunk_that_had_ended_its_registration_and_is_removed(desk):
    trunks = Trunks()
    trunks.trunk.register("*", expires=0)
    assert desk.held() == [("gateway_unregistered", "pbx")]
    trunks.exchange.swap_catalogue(trunks.catalogue(has_trunk=False))
    assert desk.held() == []


def test_an_event_about_what_is_gone_raises_no_alarm_and_clears_one():
    alarms = Alarms()
    alarms.set_levels({})
    gone = {"name": "pbx", "reason": "no longer configured", "why": "gone"}
    assert alarms.note(Event.GATEWAY_UNREGISTERED, gone, 1) == []
    alarms.note(Event.GATEWAY_UNREGISTERED, {"name": "pbx", "reason": "expired"}, 2)
    (cleared,) = alarms.note(Event.GATEWAY_UNREGISTERED, gone, 3)
    assert (cleared.is_raised, cleared.alarm.subject, alarms.active()) == (False, "pbx", [])
