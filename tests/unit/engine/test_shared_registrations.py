"""Routing gateways with one account of a vendor: what they share, and what a reload leaves of it."""

import msgspec
import pytest
from doubles.conformance import faults_of
from doubles.data.builders import catalogue, mapping_gateway
from doubles.guard import Guard
from doubles.sockets.loopback import Endpoint
from doubles.vendor_accounts import REGISTRAR, REGISTRATION, Stage, other
from doubles.vendor_registrar import Told, VendorRegistrar
from doubles.virtual.exchange import SWITCH
from doubles.virtual.scene import CUSTOMER, vendor_gateway
from structlog.testing import capture_logs

from vosd.base.credentials import Login
from vosd.base.secret import Secret
from vosd.obs.events import Event
from vosd.trunks.gateways import Address


@pytest.fixture
def log():
    with capture_logs() as entries:
        yield entries


def reported(log):
    return [(entry["event"], entry["gateway"]) for entry in log if entry["event"] in set(Event)]


def test_they_share_one_registration(log):
    stage = Stage(REGISTRATION, REGISTRATION)
    stage.registrar.grants_s = 100
    stage.run()
    assert stage.states == [("vendor-0", "registered"), ("vendor-1", "registered")]
    assert len(stage.registrar.registered) == 1
    stage.registrar.is_silent = True
    stage.run(101_000)
    assert stage.exchange.switch.live.unregistered == {"vendor-0", "vendor-1"}
    assert reported(log) == [
        (event, gateway)
        for event in (Event.REGISTRATION_GAINED, Event.REGISTRATION_LOST)
        for gateway in ("vendor-0", "vendor-1")
    ]


@pytest.mark.parametrize("stays", [0, 1])
def test_one_that_is_taken_out_leaves_the_other_registered(stays):
    stage = Stage(REGISTRATION, REGISTRATION)
    stage.run()
    stage.reload(*(REGISTRATION if index == stays else None for index in range(2)))
    for _ in range(200):
        stage.run(100_000)
        assert stage.registrar.holds == ["sip:alice@192.0.2.1:5060"]
    assert stage.states == [(f"vendor-{stays}", "registered")]
    assert stage.exchange.switch.live.unregistered == set()


def test_one_that_is_switched_off_leaves_the_other_registered():
    stage = Stage(REGISTRATION, REGISTRATION)
    stage.run()
    on, off = (vendor_gateway(index, registration=REGISTRATION) for index in range(2))
    off = msgspec.structs.replace(off, enabled=False)
    stage.exchange.swap_catalogue(catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), on, off]))
    stage.run()
    assert stage.registrar.holds == ["sip:alice@192.0.2.1:5060"]
    assert stage.states == [("vendor-0", "registered")]


def test_the_registration_ends_with_the_last_of_them():
    stage = Stage(REGISTRATION, REGISTRATION)
    stage.run()
    stage.reload(None, None)
    stage.run()
    assert stage.registrar.holds == []
    assert stage.exchange.node.vendors.registrations.have_ended
    before = len(stage.registrar.registered)
    stage.run(10 * 3_600_000)
    assert len(stage.registrar.registered) == before
    assert stage.exchange.residue() == {}


def test_one_that_joins_is_registered_at_once(log):
    stage = Stage(REGISTRATION, None)
    stage.run()
    log.clear()
    stage.reload(REGISTRATION, REGISTRATION)
    assert stage.states == [("vendor-0", "registered"), ("vendor-1", "registered")]
    assert stage.exchange.switch.live.unregistered == set()
    assert reported(log) == [(Event.REGISTRATION_GAINED, "vendor-1")]
    stage.run(10_000)
    assert len(stage.registrar.registered) == 1


def test_one_that_joins_a_refused_account_is_reported_too(log):
    stage = Stage(REGISTRATION, None)
    stage.registrar.always = Told(403)
    stage.run()
    stage.reload(REGISTRATION, REGISTRATION)
    stage.run(60_000)
    assert reported(log) == [
        (Event.REGISTRATION_REFUSED, "vendor-0"), (Event.REGISTRATION_REFUSED, "vendor-1"),
    ]  # fmt: skip


def test_a_new_password_of_all_is_tried_once():
    stage = Stage(REGISTRATION, REGISTRATION)
    stage.run()
    new = other(login=Login("alice", Secret("new")))
    stage.registrar.guards = (Guard(username="alice", password="new", methods=frozenset({"REGISTER"})),)
    stage.reload(new, new)
    stage.run()
    assert stage.states == [("vendor-0", "registered"), ("vendor-1", "registered")]
    assert (len(stage.registrar.registered), len(stage.registrar.asked_at)) == (2, 3), "one is challenged"
    assert len({each["Call-ID"] for each in stage.registrar.registered}) == 1


def test_a_wrong_password_of_one_leaves_the_other_registered(log):
    guard = Guard(username="alice", password="secret", methods=frozenset({"REGISTER"}))
    wrong = other(login=Login("alice", Secret("wrong")))
    stage = Stage(REGISTRATION, REGISTRATION, guards=(guard,))
    stage.run()
    stage.reload(wrong, REGISTRATION)
    stage.run()
    assert stage.states == [("vendor-0", "refused"), ("vendor-1", "registered")]
    assert stage.exchange.switch.live.unregistered == {"vendor-0"}
    stage.reload(REGISTRATION, REGISTRATION)
    assert stage.exchange.switch.live.unregistered == set()
    stage.run(10_000)
    assert stage.registrar.holds == ["sip:alice@192.0.2.1:5060"]
    log.clear()
    stage.run(86_400_000)
    assert (reported(log), len(stage.rows)) == ([], 2)


@pytest.mark.parametrize(
    "terms",
    [{"expires_s": 1_800}, {"login": Login("alice-2", Secret("secret"))}, {"server": Address(*REGISTRAR, "udp")}],
)
@pytest.mark.parametrize("is_refreshing", [False, True])
def test_one_that_differs_otherwise_leaves_the_binding_to_the_other(terms, is_refreshing):
    stage = Stage(REGISTRATION, other(**terms))
    stage.run()
    if is_refreshing:
        stage.registrar.is_silent = True
        stage.wire.run_until(lambda: ("vendor-0", "refreshing") in stage.states, 3_600_000)
        stage.reload(None, other(**terms))
        stage.registrar.is_silent = False
    else:
        stage.reload(None, other(**terms))
    for _ in range(100):
        stage.run(100_000)
        assert stage.registrar.holds == ["sip:alice@192.0.2.1:5060"]
    assert stage.exchange.node.vendors.registrations.have_ended
    assert faults_of(stage.wire.packets, SWITCH) == []
    stage.reload(None, None)
    stage.run()
    assert stage.registrar.holds == []


def test_one_whose_server_changes_leaves_the_binding_to_the_new_one():
    """A vendor has two servers and one table of bindings: a removal that is late would take the new binding, too."""
    second = Endpoint("203.0.113.10", 5060)
    stage = Stage(REGISTRATION)
    VendorRegistrar(stage.wire, second, SWITCH).bound = stage.registrar.bound
    stage.run()
    stage.reload(other(server=Address(*second)))
    stage.run()
    assert stage.states == [("vendor-0", "registered")]
    assert removals(stage, since=0) == []
    assert stage.exchange.node.vendors.registrations.have_ended
    stage.reload(other(server=Address(*second), contact_user="bob"))
    stage.run()
    assert len(removals(stage, since=0)) == 1, "another Contact is another binding"
    assert stage.registrar.holds == ["sip:bob@192.0.2.1:5060"]


def test_one_whose_other_is_refused_is_taken_back():
    guard = Guard(username="alice", password="secret", methods=frozenset({"REGISTER"}))
    wrong = other(login=Login("alice", Secret("wrong")))
    stage = Stage(wrong, REGISTRATION, guards=(guard,))
    stage.run()
    stage.reload(wrong, None)
    stage.run()
    assert stage.registrar.holds == []


def removals(stage, since):
    """Return the datagrams since an instant that ask for the end of a registration."""
    sent = [packet for packet in stage.wire.packets if packet.source == SWITCH and packet.sent_at > since]
    return [packet.data for packet in sent if b"Expires: 0\r\n" in packet.data]


def test_one_that_comes_back_before_its_removal_is_answered_goes_on_with_its_numbers(log):
    stage = Stage(REGISTRATION)
    stage.run()
    stage.registrar.is_silent = True
    stage.reload(None)
    stage.run()
    stage.registrar.is_silent = False
    back_at = stage.wire.clock.now().mono
    assert removals(stage, since=0)
    stage.reload(REGISTRATION)
    assert stage.states == [("vendor-0", "unregistered")]
    stage.run(60_000)
    assert stage.states == [("vendor-0", "registered")]
    assert stage.exchange.switch.live.unregistered == set()
    first, second = stage.registrar.registered
    assert first["Call-ID"] == second["Call-ID"]
    assert (first["CSeq"], second["CSeq"]) == ("1 REGISTER", "3 REGISTER"), "a late removal is out of order"
    assert removals(stage, since=back_at) == []
    assert reported(log) == [(Event.REGISTRATION_GAINED, "vendor-0")] * 2
    assert stage.exchange.node.vendors.registrations.have_ended
    assert faults_of(stage.wire.packets, SWITCH) == []


def test_one_that_comes_back_ends_the_removal_of_the_other():
    stage = Stage(REGISTRATION, other(expires_s=1_800))
    stage.run()
    stage.registrar.is_silent = True
    stage.reload(None, None)
    stage.run()
    stage.registrar.is_silent = False
    back_at = stage.wire.clock.now().mono
    stage.reload(REGISTRATION, None)
    stage.run(60_000)
    assert removals(stage, since=back_at) == []
    assert stage.registrar.holds == ["sip:alice@192.0.2.1:5060"]
    assert stage.exchange.node.vendors.registrations.have_ended
    stage.reload(None, None)
    stage.run()
    assert stage.registrar.holds == []
    assert stage.exchange.residue() == {}
