"""A call that a vendor sends back to us is not sent there again (ADR 211)."""

import pytest
from doubles.data.builders import catalogue, mapping_gateway
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import Message
from doubles.virtual.customer import Caller, Intent, OutgoingCall
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, vendor_gateway
from doubles.virtual.vendor import RINGS, TRIES, IncomingCall, Line, Vendor, answers, refuses

from vosd.routing.special_numbers import SpecialNumbers
from vosd.trunks.gateways import Address
from vosd.trunks.number_rules import OutgoingNumbers

CALLER = "12025550100"
SENDS_BACK = Endpoint("203.0.113.9", 5060)
PARTNER = Endpoint(VENDORS[0].host, 5090)
"""A vendor that is a customer, too, and calls from another port."""


def scene_of(*vendors: int, special_numbers: SpecialNumbers | None = None, **terms: object) -> Scene:
    gateways = [vendor_gateway(index, priority=at, **terms) for at, index in enumerate(vendors)]
    partner = mapping_gateway("partner", f"{PARTNER.host}/32", account="acme")
    numbers = {} if special_numbers is None else {"special_numbers": special_numbers}
    return Scene(catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), partner, *gateways], **numbers))


def called_back(scene: Scene, **intent: object):
    """Let a customer call, and the vendor that gets the call send it back; return both calls."""
    first = scene.begun_call(Intent(caller=CALLER), script=TRIES)
    scene.wire.run_until(lambda: len(scene.vendor.calls) == 1)
    back = scene.exchange.caller(PARTNER).call(CALLEE, Intent(**{"caller": CALLER, "hops": 68, **intent}))
    scene.wire.run_for(500)
    return first, back


def end(scene: Scene, *calls) -> list:
    for call in calls:
        if not call.is_over:
            call.cancel()
    scene.wire.run_until(lambda: all(each.is_over for each in calls))
    scene.expect_nothing_left(within_ms=0)
    return scene.exchange.sink.records


def test_a_call_that_comes_back_is_a_loop_where_no_other_gateway_is_left():
    scene = scene_of(0)
    first, back = called_back(scene)
    assert (back.final, len(scene.vendor.calls)) == (482, 1)
    assert "Reason: Q.850;cause=25" in scene.bytes_to(PARTNER).decode()
    records = end(scene, first, back)
    assert [each.end_reason for each in records] == ["Loop", "Cancelled"]
    assert "the call has come back from there" in str(records[0].verdicts)


def test_a_service_that_sends_calls_back_for_another_vendor_gets_them_through():
    scene = scene_of(0, 1)
    scene.vendors[1].script = answers()
    first, back = called_back(scene)
    scene.wire.run_until(lambda: back.final is not None)
    assert (back.final, len(scene.vendor.calls), len(scene.vendors[1].calls)) == (200, 1, 1)
    back.hang_up()
    end(scene, first, back)


@pytest.mark.parametrize("intent", [{"hops": 70}, {"hops": 69}, {"hops": 255}, {"caller": "12025550199"}])
def test_another_call_to_the_same_number_goes_there(intent):
    """Persons of a PBX show one number, and may call one number of that PBX at a time."""
    scene = scene_of(0)
    first, second = called_back(scene, **intent)
    assert (second.final, len(scene.vendor.calls)) == (None, 2)
    end(scene, first, second)


def test_a_call_of_a_pbx_that_is_called_by_the_same_number_itself_goes_there_at_each_of_its_addresses():
    places = tuple(Address(VENDORS[0].host, port) for port in (5070, VENDORS[0].port))
    scene = scene_of(0, addresses=places, response_timeout_ms=200)
    scene.vendor.script = TRIES
    call = scene.exchange.caller(PARTNER).call(CALLEE, Intent(caller=CALLER))
    scene.wire.run_for(500)
    assert (call.final, len(scene.vendor.calls)) == (None, 1)
    end(scene, call)


def test_two_calls_of_a_pbx_that_is_called_itself_go_there_whatever_their_hops_are():
    """One telephone of it may be behind more proxies than the other."""
    scene = scene_of(0)
    scene.vendor.script = TRIES
    pbx = scene.exchange.caller(PARTNER)
    calls = [pbx.call(CALLEE, Intent(caller=CALLER, hops=hops)) for hops in (70, 60)]
    scene.wire.run_for(500)
    assert ([each.final for each in calls], len(scene.vendor.calls)) == ([None, None], 2)
    end(scene, *calls)


def test_a_call_to_an_emergency_number_is_never_taken_for_one_that_comes_back():
    scene = scene_of(0, special_numbers=SpecialNumbers(emergency=frozenset({CALLEE})))
    first, second = called_back(scene)
    assert (second.final, len(scene.vendor.calls)) == (None, 2)
    end(scene, first, second)


def test_a_call_with_another_number_than_we_have_sent_there_is_another_one():
    """One number that we write in place of all proves nothing: we would send it again for any call."""
    scene = scene_of(0, numbers=OutgoingNumbers(caller_rewrite=(("1", "4930"),)))
    first, second = called_back(scene)
    assert (second.final, len(scene.vendor.calls)) == (None, 2)
    end(scene, first, second)


def test_a_call_is_none_that_comes_back_once_the_first_has_left_the_gateway():
    scene = scene_of(0, 1)
    scene.vendor.script, scene.vendors[1].script = refuses(503), RINGS
    first = scene.caller.call(CALLEE, Intent(caller=CALLER))
    scene.wire.run_until(lambda: len(scene.vendors[1].calls) == 1)
    scene.vendor.script = TRIES
    later = scene.exchange.caller(PARTNER).call(CALLEE, Intent(caller=CALLER, hops=68))
    scene.wire.run_for(500)
    assert (later.final, len(scene.vendor.calls), len(scene.vendors[1].calls)) == (None, 2, 1)
    end(scene, first, later)


def test_no_gateway_is_left_for_one_that_the_call_has_come_back_from():
    scene = scene_of(1, 0, progress_timeout_ms=1_000)
    scene.vendors[1].script = refuses(503)
    first = scene.begun_call(Intent(caller=CALLER), script=RINGS)
    scene.wire.run_until(lambda: len(scene.vendor.calls) == 1)
    scene.vendors[1].script = TRIES
    back = scene.exchange.caller(PARTNER).call(CALLEE, Intent(caller=CALLER, hops=68))
    scene.wire.run_for(3_000)
    assert (back.final, len(scene.vendors[1].calls), scene.vendors[1].calls[-1].is_cancelled) == (None, 2, False)
    end(scene, first, back)


class SendsBack(Vendor):
    """A switch that takes us for three of its vendors, and sends each call back to us."""

    partner: Caller

    def take_request(self, request: Message) -> None:
        """Try each gateway unless the one before says that the call goes in a circle."""
        super().take_request(request)
        if request.method == "INVITE":
            self._try(self.calls[-1], int(request["Max-Forwards"]) - 1, 3)

    def _try(self, call: IncomingCall, hops: int, left: int) -> None:
        out = self.partner.call(CALLEE, Intent(caller=CALLER, hops=hops))
        self.wire.after(50, lambda: self._look(call, out, hops, left))

    def _look(self, call: IncomingCall, out: OutgoingCall, hops: int, left: int) -> None:
        if out.final is None:
            self.wire.after(50, lambda: self._look(call, out, hops, left))
        elif out.final in {482, 483} or left == 1:
            call.respond(Line(0, out.final))
        else:
            self._try(call, hops, left - 1)


def test_two_switches_with_three_gateways_each_to_the_other_make_two_calls_of_one_invite():
    place = Address(SENDS_BACK.host, SENDS_BACK.port)
    gateways = [vendor_gateway(index, addresses=(place,)) for index in range(3)]
    partner = mapping_gateway("partner", f"{SENDS_BACK.host}/32", account="acme")
    scene = Scene(catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), partner, *gateways]))
    other = SendsBack(scene.wire, SENDS_BACK, scene.caller.switch, TRIES)
    other.partner = scene.exchange.caller(Endpoint(SENDS_BACK.host, 5090))
    call = scene.settled_call(Intent(caller=CALLER))
    assert (call.final, len(other.calls)) == (482, 1)
    scene.wire.run_for(64_000)
    assert [each.end_reason for each in scene.exchange.sink.records] == ["Loop", "Unavailable"]


def test_a_call_is_none_that_comes_back_once_the_first_is_over():
    scene = scene_of(0)
    first, back = called_back(scene)
    end(scene, first, back)
    later = scene.exchange.caller(Endpoint(PARTNER.host, 5091)).call(CALLEE, Intent(caller=CALLER, hops=68))
    scene.wire.run_for(500)
    assert (later.final, len(scene.vendor.calls)) == (None, 2)
    end(scene, later)


@pytest.mark.parametrize("script", [answers(0), RINGS])
def test_the_calls_that_are_not_answered_are_forgotten_at_the_answer_or_the_end(script):
    scene = scene_of(0)
    call = scene.begun_call(Intent(caller=CALLER), script=script, after_ms=500)
    running = scene.exchange.switch.services.running
    assert bool(running.sent) is (call.final is None)
    call.hang_up() if call.final == 200 else call.cancel()
    scene.wire.run_until(lambda: call.is_over)
    assert running.sent == {}
    scene.close()
