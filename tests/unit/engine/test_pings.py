"""Trunks that are asked whether they are there, and what routing makes of it."""

import msgspec
import pytest
from doubles.conformance import faults_of
from doubles.data.builders import catalogue, mapping_gateway
from doubles.sockets.peer import Message
from doubles.virtual.customer import Intent
from doubles.virtual.exchange import SWITCH, Exchange
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, vendor_gateway
from doubles.virtual.vendor import SILENT, Vendor, refuses
from structlog.testing import capture_logs

from vosd.obs.events import Event
from vosd.sip.wire.outgoing import Peer
from vosd.trunks.gateways import Address, Ping

PING = Ping(interval_ms=30_000, timeout_ms=4_000, down_after=3, up_after=2)


class PingedVendor(Vendor):
    """Answers OPTIONS as scripted."""

    status = 200

    def take_request(self, request: Message) -> None:
        if request.method != "OPTIONS":
            super().take_request(request)
        elif self.status:
            self.reply(request, self.status, tag="options", contact=False)


def content(ping: Ping | None = PING):
    gateways = [vendor_gateway(0, ping=ping), vendor_gateway(1)]
    return catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), *gateways])


class Stage(Scene):
    """Two vendors, the first of which is asked."""

    def __init__(self, gateways=None) -> None:
        super().__init__(gateways or content())
        self.vendors[0] = self.vendor = self.pinged = PingedVendor(self.wire, VENDORS[0], SWITCH)

    @property
    def is_down(self) -> bool:
        return self.exchange.switch.live.health.down_ms("vendor-0", self.exchange.clock.now().mono) is not None

    def rounds(self, count: int) -> None:
        self.wire.run_for(count * PING.interval_ms)

    def call_reaches(self) -> str | None:
        call = self.caller.call(CALLEE, Intent(hang_up_after_ms=10))
        self.wire.run_until(lambda: call.is_over)
        self.wire.run_for(1_000)
        return self.exchange.sink.records[-1].routing_gateway


@pytest.fixture
def stage():
    made = Stage()
    yield made
    assert faults_of(made.wire.packets, SWITCH) == []
    made.exchange.end_vendor_registrations()
    assert made.exchange.residue() == {}


@pytest.fixture
def log():
    with capture_logs() as entries:
        yield entries


def events(log) -> list[str]:
    return [entry["event"] for entry in log if entry["event"] in set(Event)]


def test_it_is_asked_once_an_interval(stage):
    stage.rounds(10)
    asked = stage.pinged.received("OPTIONS")
    assert 10 <= len(asked) <= 11
    assert asked[0].start_line == f"OPTIONS sip:{VENDORS[0]} SIP/2.0"
    assert len({each["Call-ID"] for each in asked}) == len(asked)
    assert not stage.is_down


def test_a_vendor_whose_port_is_closed_has_failed_as_soon_as_the_icmp_error_comes():
    """RFC 3261 section 18.4."""
    stage = Stage(content(PING._replace(timeout_ms=20_000, down_after=1)))
    stage.pinged.status = 0
    stage.wire.run_until(lambda: bool(stage.wire.packets))
    exchange, asked = stage.exchange, stage.wire.packets[0]
    assert asked.data.startswith(b"OPTIONS ")
    assert not stage.is_down
    event = exchange.endpoint.undelivered(asked.data, Peer(0, *VENDORS[0]), exchange.clock.now())
    exchange.switch.handle(event)
    assert stage.is_down
    assert exchange.endpoint.undelivered(asked.data, Peer(0, *VENDORS[0]), exchange.clock.now()) is None


def test_a_vendor_given_by_name_is_asked_by_its_name():
    """RFC 3263 section 4: what is found in DNS is where the packet goes."""
    found = Address(*VENDORS[0], name="sip.carrier.example", written="sip.carrier.example")
    gateway = vendor_gateway(0, ping=PING, addresses=(found,))
    stage = Stage(catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), gateway]))
    stage.rounds(1)
    asked = stage.pinged.received("OPTIONS")[0]
    assert asked.start_line == "OPTIONS sip:sip.carrier.example SIP/2.0"
    assert asked["To"] == "<sip:sip.carrier.example>"
    stage.pinged.status = 0
    stage.wire.run_until(lambda: bool(stage.wire.packets) and bool(stage.exchange.endpoint.store.clients))
    [question] = stage.exchange.endpoint.store.clients.values()
    assert stage.exchange.endpoint.server_name_of(question.sent.data) == "sip.carrier.example"


def test_who_is_not_to_be_asked_is_not_asked():
    scene = Scene(content(None))
    scene.wire.run_for(100_000)
    assert scene.wire.packets == []


def test_a_gateway_that_dies_goes_down_after_three_failures_and_comes_back_after_two_answers(stage, log):
    stage.wire.run_for(1_000)
    stage.pinged.status = 0
    stage.rounds(2)
    assert not stage.is_down
    assert stage.call_reaches() == "vendor-0", "and the call is a sign of life"
    stage.rounds(4)
    assert stage.is_down
    assert stage.call_reaches() == "vendor-1"
    stage.pinged.status = 200
    stage.rounds(1)
    assert stage.is_down
    stage.rounds(1)
    assert not stage.is_down
    assert stage.call_reaches() == "vendor-0"
    assert events(log) == [Event.GATEWAY_DOWN, Event.GATEWAY_UP]


@pytest.mark.parametrize("status", [200, 301, 400, 401, 403, 404, 405, 407, 480, 481, 486, 500, 501, 603])
def test_any_answer_is_a_sign_of_life(stage, status):
    stage.pinged.status = status
    stage.rounds(6)
    assert not stage.is_down


@pytest.mark.parametrize("status", [408, 502, 503, 504])
def test_some_answers_mean_that_the_gateway_is_down(stage, status):
    stage.pinged.status = status
    stage.rounds(4)
    assert stage.is_down


def test_a_challenge_is_life_and_costs_no_round(stage):
    stage.pinged.status = 401
    stage.rounds(3)
    assert 3 <= len(stage.pinged.received("OPTIONS")) <= 4


def test_a_question_is_dropped_after_its_time_and_not_repeated_for_half_a_minute(stage):
    stage.pinged.status = 0
    stage.wire.run_for(29_000)
    assert [packet.sent_at for packet in stage.wire.packets][-1] - stage.wire.packets[0].sent_at < PING.timeout_ms


def test_a_refusal_of_a_call_is_a_sign_of_life_too(stage):
    stage.wire.run_for(1_000)
    stage.pinged.status = 0
    stage.pinged.script = refuses(486)
    for _ in range(8):
        stage.rounds(1)
        stage.call_reaches()
    assert not stage.is_down


def test_a_call_without_answer_changes_no_state(stage):
    stage.pinged.script = SILENT
    stage.wire.run_for(1_000)
    for _ in range(5):
        stage.call_reaches()
    assert not stage.is_down


def test_one_address_that_answers_is_enough():
    stage = Stage()
    places = (Address("203.0.113.50", 5060), Address(*VENDORS[0]))
    both = msgspec.structs.replace(vendor_gateway(0, ping=PING), addresses=places)
    stage.exchange.swap_catalogue(catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), both]))
    stage.rounds(5)
    assert not stage.is_down
    stage.pinged.status = 503
    stage.rounds(5)
    assert stage.is_down


def test_answers_of_the_other_addresses_are_no_stray_messages():
    gateway = vendor_gateway(0, addresses=(Address(*VENDORS[0]), Address(*VENDORS[1])), ping=PING)
    stage = Stage(catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), gateway]))
    stage.vendors[1] = other = PingedVendor(stage.wire, VENDORS[1], SWITCH)
    stage.rounds(5)
    assert len(other.received("OPTIONS")) == len(stage.pinged.received("OPTIONS")) == 5
    assert stage.exchange.endpoint.dropped == {}


def test_a_reload_keeps_the_state_and_the_turn_of_who_stays(stage):
    stage.pinged.status = 0
    stage.rounds(4)
    stage.wire.run_for(5_000)
    assert stage.is_down
    heard = len(stage.pinged.received("OPTIONS"))
    stage.exchange.swap_catalogue(content())
    stage.wire.run_for(100)
    assert stage.is_down
    assert len(stage.pinged.received("OPTIONS")) == heard


def test_a_gateway_with_another_address_is_up_until_that_does_not_answer(stage):
    stage.pinged.status = 0
    stage.rounds(4)
    elsewhere = vendor_gateway(0, ping=PING, addresses=(Address("203.0.113.50", 5060),))
    stage.exchange.swap_catalogue(catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), elsewhere]))
    assert not stage.is_down
    stage.wire.run_for(100)  # for what is on its way
    heard = len(stage.pinged.received("OPTIONS"))
    stage.rounds(5)
    assert stage.is_down
    assert len(stage.pinged.received("OPTIONS")) == heard


def test_addresses_in_another_order_are_no_other_ones():
    both = Address("203.0.113.50", 5060), Address(*VENDORS[0])
    trunk = mapping_gateway("acme", f"{CUSTOMER.host}/32")
    stage = Stage(catalogue([trunk, vendor_gateway(0, ping=PING, addresses=both)]))
    stage.pinged.status = 0
    stage.rounds(4)
    stage.exchange.swap_catalogue(catalogue([trunk, vendor_gateway(0, ping=PING, addresses=both[::-1])]))
    assert stage.is_down


def test_a_reload_without_the_question_takes_it_for_up(stage):
    stage.pinged.status = 0
    stage.rounds(4)
    stage.exchange.swap_catalogue(content(None))
    assert not stage.is_down
    heard = len(stage.wire.packets)
    stage.rounds(4)
    assert len(stage.wire.packets) == heard


def test_another_interval_holds_at_once(stage):
    stage.wire.run_for(1_000)
    stage.exchange.swap_catalogue(content(PING._replace(interval_ms=5_000)))
    stage.wire.run_for(50_000)
    assert len(stage.pinged.received("OPTIONS")) >= 10


def test_many_are_asked_all_over_the_interval_and_none_is_left_out():
    drawn = iter(range(10_000_000))
    gateways = [msgspec.structs.replace(vendor_gateway(0, ping=PING), name=f"v{number}") for number in range(3_000)]
    exchange = Exchange(catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32")]))
    exchange.node.vendors.pings._draw = lambda most: next(drawn) * 7_919 % most
    PingedVendor(exchange.wire, VENDORS[0], SWITCH)
    exchange.swap_catalogue(catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), *gateways]))
    exchange.wire.run_for(PING.interval_ms)
    asked = [packet.sent_at for packet in exchange.wire.packets if packet.source == SWITCH]
    assert 3_000 <= len(asked) <= 3_005
    busiest = max(sum(start <= at < start + 1_000 for at in asked) for start in range(asked[0], asked[-1], 500))
    assert busiest <= 2 * 3_000 * 1_000 // PING.interval_ms
