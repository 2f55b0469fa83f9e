"""BYEs that a peer does not answer: it may believe that the call goes on, and bill it."""

from doubles.data.builders import catalogue, mapping_gateway, routing_gateway
from doubles.virtual.scene import CUSTOMER, VENDORS, Scene, vendor_gateway
from doubles.virtual.wire import delivered
from structlog.testing import capture_logs

from vosd.trunks.gateways import Address


def silence(scene):
    """Let nothing that the first vendor says arrive any more."""
    scene.wire.delays = lambda packet: () if packet.source == VENDORS[0] else delivered(packet)


def warnings_of(logs):
    return [line for line in logs if line["event"] == "bye_unanswered"]


def test_a_vendor_that_never_answers_our_bye_is_named_with_its_call_id():
    scene = Scene()
    call, there = scene.talk()
    silence(scene)
    with capture_logs() as logs:
        scene.hang_up(call, wait_ms=31_000)
        assert warnings_of(logs) == []
        scene.wire.run_for(5_000)
    (warning,) = warnings_of(logs)
    assert warning["gateways"] == ["vendor-0"]
    assert warning["peer"] == f"{VENDORS[0].host}:{VENDORS[0].port}"
    assert warning["sip_call_id"] == there.call_id == scene.record.sip_call_id_out
    assert warning["log_level"] == "warning"
    assert scene.exchange.residue() == {}


def test_of_vendors_that_share_a_host_the_one_at_the_silent_port_is_named():
    beside = routing_gateway("beside", "49", addresses=(Address(VENDORS[0].host, VENDORS[0].port + 1),))
    scene = Scene(catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), beside, vendor_gateway(0)]))
    call, _ = scene.talk()
    silence(scene)
    with capture_logs() as logs:
        call.hang_up()
        scene.wire.run_for(36_000)
    (warning,) = warnings_of(logs)
    assert warning["gateways"] == ["vendor-0"]


def test_a_vendor_that_answers_our_bye_is_not_mentioned():
    scene = Scene()
    call, _ = scene.talk()
    with capture_logs() as logs:
        scene.finish(call)
        scene.wire.run_for(60_000)
    assert warnings_of(logs) == []


def test_a_vendor_that_answers_no_bye_is_named_once_a_minute_with_how_many_there_were():
    scene = Scene()
    calls = [scene.talk()[0] for _ in range(3)]
    silence(scene)
    with capture_logs() as logs:
        for call in calls:
            call.hang_up()
        scene.wire.run_for(40_000)
        assert [line["unanswered"] for line in warnings_of(logs)] == [1]


def test_a_customer_that_never_answers_our_bye_is_no_vendor_without_a_name():
    scene = Scene()
    _, there = scene.talk()
    scene.wire.delays = lambda packet: () if packet.source == CUSTOMER else delivered(packet)
    with capture_logs() as logs:
        there.hang_up()
        scene.wire.run_for(36_000)
    (warning,) = warnings_of(logs)
    assert warning["peer"] == f"{CUSTOMER.host}:{CUSTOMER.port}"
    assert "gateways" not in warning
