"""Our registrations as the catalogue wants them, and what routing and people see of them."""

from itertools import pairwise

import msgspec
import pytest
from doubles.conformance import faults_of
from doubles.data.builders import catalogue, mapping_gateway
from doubles.guard import Guard
from doubles.vendor_accounts import REGISTRAR, REGISTRATION, Stage, other
from doubles.vendor_registrar import Told, VendorRegistrar
from doubles.virtual.exchange import SWITCH, Exchange
from doubles.virtual.scene import CUSTOMER, vendor_gateway
from structlog.testing import capture_logs

from vosd.base.credentials import Login
from vosd.base.secret import Secret
from vosd.control.order import tag_of
from vosd.engine.registration.outbound import PACE_MS, RETRY_APART_MS
from vosd.obs.events import Event
from vosd.trunks.dialect import CalleeDialect
from vosd.trunks.gateways import Address


@pytest.fixture
def log():
    with capture_logs() as entries:
        yield entries


def events(log) -> list[str]:
    return [entry["event"] for entry in log if entry["event"] in set(Event)]


def test_a_gateway_takes_calls_only_while_it_is_registered(log):
    stage = Stage(REGISTRATION, None)
    stage.run()
    assert stage.calls_reach() == "vendor-0"
    stage = Stage(REGISTRATION, None)
    stage.registrar.always = Told(403)
    assert stage.calls_reach() == "vendor-1"
    assert events(log) == [Event.REGISTRATION_GAINED, Event.REGISTRATION_REFUSED]


def test_a_registration_goes_to_no_address_that_the_interface_of_its_gateway_cannot_reach(monkeypatch):
    both = Address("2001:db8::9", 5060), Address(*REGISTRAR)
    monkeypatch.setattr("doubles.virtual.exchange._FixedNames.resolved", lambda _names, _configured: both)
    stage = Stage()
    dialect = CalleeDialect(interface=f"udp:{SWITCH}")
    gateway = vendor_gateway(0, registration=REGISTRATION, dialect=dialect)
    stage.exchange.swap_catalogue(catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), gateway]))
    stage.run()
    assert stage.states == [("vendor-0", "registered")]


def test_a_gateway_waits_for_its_first_registration():
    stage = Stage(REGISTRATION)
    stage.registrar.is_silent = True
    assert stage.exchange.switch.live.unregistered == {"vendor-0"}
    assert stage.calls_reach() is None
    assert stage.exchange.record.sip_code == 503
    stage.registrar.is_silent = False
    stage.run(60_000)
    assert stage.calls_reach() == "vendor-0"


def test_a_registration_that_runs_out_takes_its_gateway_out_and_back(log):
    stage = Stage(REGISTRATION, None)
    stage.registrar.grants_s = 100
    stage.run()
    stage.registrar.is_silent = True
    stage.run(101_000)
    assert stage.calls_reach() == "vendor-1"
    stage.registrar.is_silent = False
    stage.run(70_000)
    assert stage.calls_reach() == "vendor-0"
    assert events(log) == [Event.REGISTRATION_GAINED, Event.REGISTRATION_LOST, Event.REGISTRATION_GAINED]
    assert faults_of(stage.wire.packets, SWITCH) == []


def test_several_accounts_of_one_server_are_registrations_of_their_own():
    stage = Stage(REGISTRATION, other(user="bob", contact_user="bob"))
    stage.run()
    assert stage.states == [("vendor-0", "registered"), ("vendor-1", "registered")]
    assert [each["To"] for each in stage.registrar.registered] == ["<sip:alice@example.net>", "<sip:bob@example.net>"]
    assert len({each["Call-ID"] for each in stage.registrar.registered}) == 2


def many(and_also=(), **terms):
    """Make a catalogue of 300 gateways and others, each of the 300 with an account of its own at one registrar."""
    content = [other(user=f"user{number}", contact_user=f"user{number}", **terms) for number in range(300)]
    gateways = [vendor_gateway(0, registration=each) for each in content]
    named = [msgspec.structs.replace(each, name=f"v{number}") for number, each in enumerate(gateways)]
    return catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), *named, *and_also])


def busiest_second(times):
    return max(sum(start <= at < start + 1_000 for at in times) for start in times)


def test_registrations_that_begin_together_are_paced():
    exchange = Exchange(many())
    registrar = VendorRegistrar(exchange.wire, REGISTRAR, SWITCH)
    exchange.wire.run_for(10_000)
    assert len(registrar.asked_at) == 300
    assert busiest_second(registrar.asked_at) <= 1_000 // PACE_MS + 1


@pytest.mark.parametrize("is_silent", [False, True])
def test_registrations_that_are_amended_together_are_paced(is_silent):
    exchange = Exchange(many())
    registrar = VendorRegistrar(exchange.wire, REGISTRAR, SWITCH)
    registrar.is_silent = is_silent
    exchange.wire.run_for(3_100)
    registrar.is_silent = False
    before = len(registrar.asked_at)
    exchange.swap_catalogue(many(expires_s=1_800))
    exchange.wire.run_for(3_100)
    assert len(registrar.asked_at[before:]) == 300
    assert busiest_second(registrar.asked_at[before:]) <= 1_000 // PACE_MS + 1
    assert {each["Expires"] for each in registrar.registered[-300:]} == {"1800"}


def test_registrations_that_back_off_ask_at_once_when_an_operator_reloads():
    stage = Stage(REGISTRATION, other(user="bob", contact_user="bob"))
    stage.registrar.always = Told(500)
    stage.run(600_000)
    asked = len(stage.registrar.asked_at)
    stage.registrar.always = None
    stage.exchange.node.vendors.registrations.retry(stage.exchange.clock.now())
    stage.run()
    assert stage.states == [("vendor-0", "registered"), ("vendor-1", "registered")]
    assert stage.exchange.switch.live.unregistered == set()
    assert len(stage.registrar.asked_at) == asked + 2
    assert faults_of(stage.wire.packets, SWITCH) == []


def test_a_registration_that_an_operator_has_retried_again_and_again_asks_each_five_seconds():
    stage = Stage(REGISTRATION)
    stage.registrar.always = Told(500)
    stage.run()
    for _ in range(200):
        stage.exchange.node.vendors.registrations.retry(stage.exchange.clock.now())
        stage.run(100)
    times = stage.registrar.asked_at
    assert (len(times), min(later - at for at, later in pairwise(times)) >= RETRY_APART_MS) == (5, True)


@pytest.mark.parametrize("told", [Told(403), Told(503, ("Retry-After: 600",)), None], ids=["403", "503", "open"])
def test_an_operators_reload_sends_nothing_to_a_vendor_that_refuses_asks_for_rest_or_has_not_answered(told):
    stage = Stage(REGISTRATION)
    stage.registrar.always = told
    stage.registrar.is_silent = told is None
    stage.run()
    asked = len(stage.registrar.asked_at)
    stage.exchange.node.vendors.registrations.retry(stage.exchange.clock.now())
    stage.run(20_000)
    assert len(stage.registrar.asked_at) == asked == 1


@pytest.mark.parametrize("told", [Told(403), Told(404), Told(503, ("Retry-After: 600",)), Told(500)])
def test_one_that_an_operator_names_asks_at_once_whatever_it_waits_for(told):
    stage = Stage(REGISTRATION)
    registrations = stage.exchange.node.vendors.registrations
    stage.registrar.always = told
    stage.run(20_000)
    stage.registrar.always, asked = None, len(stage.registrar.asked_at)
    row = registrations.retry_of("vendor-0", stage.exchange.clock.now())
    stage.run(100)
    assert (row is not None, len(stage.registrar.asked_at)) == (True, asked + 1)
    assert stage.states == [("vendor-0", "registered")]
    assert registrations.retry_of("vendor-9", stage.exchange.clock.now()) is None


def test_one_that_an_operator_names_again_and_again_asks_each_five_seconds_and_once_at_a_time():
    stage = Stage(REGISTRATION)
    stage.registrar.always = Told(403)
    stage.run()
    for _ in range(200):
        stage.exchange.node.vendors.registrations.retry_of("vendor-0", stage.exchange.clock.now())
        stage.run(100)
    times = stage.registrar.asked_at
    assert (len(times), min(later - at for at, later in pairwise(times)) >= RETRY_APART_MS) == (5, True)
    stage.registrar.is_silent = True
    stage.run(30_000)
    asked = stage.registrar.asked_at[:]
    stage.exchange.node.vendors.registrations.retry_of("vendor-0", stage.exchange.clock.now())
    stage.run(100)
    assert stage.registrar.asked_at == asked


def test_registrations_that_ask_at_once_are_paced_behind_those_that_begin():
    exchange = Exchange(many())
    registrar = VendorRegistrar(exchange.wire, REGISTRAR, SWITCH)
    registrar.always = Told(500)
    exchange.wire.run_for(500_000)
    before = len(registrar.asked_at)
    registrar.always = None
    new = vendor_gateway(0, registration=other(user="new", contact_user="new"))
    exchange.swap_catalogue(many(and_also=(new,)))
    exchange.node.vendors.registrations.retry(exchange.clock.now())
    exchange.wire.run_for(3_100)
    assert len(registrar.asked_at[before:]) == 301
    assert registrar.registered[before]["To"] == "<sip:new@example.net>"
    assert busiest_second(registrar.asked_at[before:]) <= 1_000 // PACE_MS + 1
    assert not exchange.switch.live.unregistered


class TestReload:
    """What a reload makes of registrations that run."""

    def test_an_unchanged_registration_is_not_touched(self):
        stage = Stage(REGISTRATION)
        stage.run()
        stage.reload(REGISTRATION, None)
        stage.run(10_000)
        assert len(stage.registrar.registered) == 1
        assert stage.states == [("vendor-0", "registered")]

    def test_what_is_new_is_begun_and_what_is_gone_is_taken_back(self):
        stage = Stage(REGISTRATION)
        stage.run()
        stage.reload(None, other(user="bob", contact_user="bob"))
        stage.run()
        assert stage.states == [("vendor-1", "registered")]
        assert stage.registrar.holds == ["sip:bob@192.0.2.1:5060"]
        assert stage.exchange.node.vendors.registrations.have_ended
        assert stage.calls_reach() == "vendor-0", "it wants no registration any more"

    def test_another_password_is_tried_at_once(self):
        stage = Stage(REGISTRATION, guards=(Guard(username="alice", password="new", methods=frozenset({"REGISTER"})),))
        stage.run()
        assert stage.states == [("vendor-0", "refused")]
        stage.reload(other(login=Login("alice", Secret("new"))))
        stage.run()
        assert stage.states == [("vendor-0", "registered")]
        assert stage.exchange.switch.live.unregistered == set()

    def test_another_account_replaces_the_first(self):
        stage = Stage(REGISTRATION)
        stage.run()
        stage.reload(other(user="bob", contact_user="bob"))
        assert stage.exchange.switch.live.unregistered == {"vendor-0"}
        stage.run()
        assert stage.states == [("vendor-0", "registered")]
        assert stage.registrar.holds == ["sip:bob@192.0.2.1:5060"]

    def test_a_late_answer_to_an_old_registration_does_not_change_the_new(self):
        stage = Stage(REGISTRATION)
        stage.registrar.grants_s = 60
        stage.run()
        stage.registrar.script.append(Told(0))
        stage.reload(other(user="bob", contact_user="bob"))
        stage.run(100_000)
        assert stage.exchange.switch.live.unregistered == set()

    def test_a_gateway_that_is_renamed_keeps_its_registration(self):
        stage = Stage(REGISTRATION, None)
        stage.run()
        stage.reload(None, REGISTRATION)
        assert stage.states == [("vendor-1", "registered")]
        assert stage.exchange.switch.live.unregistered == set()
        stage.run(10_000)
        assert len(stage.registrar.registered) == 1

    def test_a_gateway_that_takes_over_the_registration_of_one_that_is_gone_gets_its_calls(self, log):
        stage = Stage(
            other(user="bob", contact_user="bob", login=Login("bob", Secret("wrong"))), REGISTRATION,
            guards=(Guard(username="alice", password="secret", methods=frozenset({"REGISTER"})),),
        )  # fmt: skip
        stage.run()
        assert stage.states == [("vendor-0", "refused"), ("vendor-1", "registered")]
        assert stage.exchange.switch.live.unregistered == {"vendor-0"}
        log.clear()
        stage.reload(REGISTRATION)
        assert stage.states == [("vendor-0", "registered")]
        assert stage.exchange.switch.live.unregistered == set()
        stage.run(86_400_000)
        assert stage.exchange.switch.live.unregistered == set()
        assert [(line["event"], line["gateway"], line["username"], line.get("why")) for line in log] == [
            (Event.REGISTRATION_GAINED, "vendor-0", "alice", None),
            (Event.REGISTRATION_GAINED, "vendor-0", "bob", "gone"),
        ]  # fmt: skip
        assert stage.calls_reach() == "vendor-0"

    def test_two_gateways_that_swap_their_registrations_swap_their_states(self, log):
        bob = other(user="bob", contact_user="bob", login=Login("bob", Secret("wrong")))
        guard = Guard(username="alice", password="secret", methods=frozenset({"REGISTER"}))
        stage = Stage(bob, REGISTRATION, guards=(guard,))
        stage.run()
        log.clear()
        stage.reload(REGISTRATION, bob)
        assert stage.states == [("vendor-0", "registered"), ("vendor-1", "refused")]
        assert stage.exchange.switch.live.unregistered == {"vendor-1"}
        assert [(line["event"], line["gateway"], line["username"], line.get("why")) for line in log] == [
            (Event.REGISTRATION_GAINED, "vendor-0", "alice", None), (Event.REGISTRATION_LOST, "vendor-1", "bob", None),
            (Event.REGISTRATION_GAINED, "vendor-0", "bob", "gone"),
        ]  # fmt: skip

    def test_an_unchanged_state_is_not_reported(self, log):
        stage = Stage(REGISTRATION, None)
        stage.run()
        log.clear()
        stage.reload(other(expires_s=1_800), None)
        stage.run()
        assert (events(log), len(stage.registrar.registered)) == ([], 2)

    def test_a_changed_limit_of_challenges_sends_nothing(self):
        stage = Stage(REGISTRATION)
        stage.run()
        stage.exchange.swap_catalogue(stage.content(REGISTRATION, challenges_max=5))
        stage.run(10_000)
        assert len(stage.registrar.registered) == 1
        assert stage.states == [("vendor-0", "registered")]

    def test_a_gateway_that_is_switched_off_is_not_registered(self):
        stage = Stage(REGISTRATION)
        stage.run()
        off = msgspec.structs.replace(vendor_gateway(0, registration=REGISTRATION), enabled=False)
        stage.exchange.swap_catalogue(catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), off]))
        stage.run()
        assert stage.rows == []
        assert stage.registrar.holds == []


def test_a_stop_takes_everything_back():
    stage = Stage(REGISTRATION, other(user="bob", contact_user="bob"))
    stage.run()
    stage.exchange.end_vendor_registrations()
    assert not stage.exchange.node.vendors.registrations.have_ended
    stage.run()
    assert stage.exchange.node.vendors.registrations.have_ended
    assert stage.registrar.holds == []
    assert stage.exchange.residue() == {}


def test_calls_take_the_service_route_of_the_registrar_rfc_3608():
    stage = Stage(REGISTRATION)
    stage.registrar.script.append(Told(200, ("Service-Route: <sip:edge.example.net;lr>, <sip:core.example.net;lr>",)))
    stage.run()
    assert stage.calls_reach() == "vendor-0"
    (invite,) = stage.vendors[0].received("INVITE")
    assert invite["Route"] == "<sip:edge.example.net;lr>, <sip:core.example.net;lr>"
    assert faults_of(stage.wire.packets, SWITCH) == []


def test_rows_have_all_columns():
    stage = Stage(REGISTRATION)
    (row,) = stage.rows
    assert (tag_of(type(row)), row.name, row.kind, row.state) == (
        "outbound", "vendor-0", "routing_gateway", "unregistered",
    )  # fmt: skip
    assert (row.registered_at, row.expires_at, row.last_status, row.failures) == (None, None, None, 0)
    stage.run()
    (row,) = stage.rows
    assert (row.server, row.username, row.contact) == (
        "203.0.113.9:5060", "alice", "sip:alice@192.0.2.1:5060",
    )  # fmt: skip
    assert (row.state, row.last_status) == ("registered", 200)
    assert str(row.registered_at) < str(row.next_attempt_at) < str(row.expires_at)
    assert "secret" not in str(row)
