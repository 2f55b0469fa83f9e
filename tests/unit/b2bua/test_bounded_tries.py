"""How often, and after which waits, something is tried again: proposals that cross, and gateways for one call."""

import pytest
from doubles.data.builders import catalogue, mapping_gateway, routing_gateway
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, sides, vendor_gateway
from doubles.virtual.side import Reply
from doubles.virtual.vendor import SILENT, answers, refuses
from structlog.testing import capture_logs

from vosd.trunks.gateways import Address

ROUNDS = 40


@pytest.mark.parametrize(("asked_side", "shortest_ms", "longest_ms"), [("callee", 2_100, 4_000), ("caller", 0, 2_000)])
def test_a_proposal_that_crosses_is_asked_again_after_a_wait_drawn_for_the_owner_of_the_call_id(
    scene, asked_side, shortest_ms, longest_ms
):
    """RFC 3261 section 14.1: 2.1 to 4 s where the Call-ID is ours, up to 2 s where it is the peer's; 10 ms apart."""
    with capture_logs() as lines:
        call, there = scene.talk()
        asked, asking = sides(asked_side, call, there)
        waits = []
        for _ in range(ROUNDS):
            asked.will("INVITE", Reply(491))
            before = len(scene.wire.packets)
            scene.propose(asking, "a=sendonly", wait_ms=6_000)
            invites = [
                packet.sent_at
                for packet in scene.wire.packets[before:]
                if packet.data.startswith(b"INVITE") and packet.target == asked.agent.address
            ]
            assert len(invites) == 2
            waits.append(invites[1] - invites[0])
        assert asking.got == {"INVITE": [200] * ROUNDS}
        assert scene.finish(call).end_reason == "Normal"
    assert all(shortest_ms <= wait <= longest_ms + 20 for wait in waits), "and a millisecond each way"
    assert len(set(waits)) > ROUNDS // 2
    assert max(waits) - min(waits) > (longest_ms - shortest_ms) // 2
    assert [line for line in lines if line["log_level"] not in {"debug", "info"}] == []


def crowd(size: int) -> Scene:
    """A switch with many gateways, all of which are the first vendor."""
    address = (Address(*VENDORS[0]),)
    gateways = [
        routing_gateway(f"vendor-{number:02}", "44", addresses=address, priority=number, account="carriers")
        for number in range(size)
    ]
    return Scene(catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), *gateways]))


def test_at_most_ten_gateways_are_tried_for_one_call():
    scene = crowd(12)
    scene.whole_call(script=refuses(503))
    record = scene.close()
    assert [attempt.gateway for attempt in record.attempts] == [f"vendor-{number:02}" for number in range(10)]
    assert (record.end_reason, record.sip_code) == ("Unavailable", 503)


def test_no_gateway_is_tried_later_than_thirty_seconds_after_the_invite():
    scene = crowd(12)
    scene.whole_call(script=SILENT)
    scene.wire.run_for(40_000)
    began = scene.wire.packets[0].sent_at
    asked = {}
    for packet in scene.wire.packets:
        if packet.data.startswith(b"INVITE") and packet.target == VENDORS[0]:
            asked.setdefault(packet.data.partition(b"Call-ID: ")[2].partition(b"\r\n")[0], packet.sent_at - began)
    assert len(asked) in (6, 7)
    assert max(asked.values()) <= 30_010
    assert scene.close().sip_code == 408


def test_a_503_of_one_address_leads_to_no_other_gateway_that_the_failover_codes_do_not_allow():
    """Its own next address is asked whatever those say; where that has no room the search is over all the same."""
    addresses = tuple(Address(*VENDORS[index]) for index in (0, 1))
    terms = {"addresses": addresses, "account": "carriers", "failover_codes": frozenset({404})}
    for max_cps, tried in ((None, [("vendor-0", 503), ("vendor-0", 200)]), (1, [("vendor-0", 503)])):
        gateway = routing_gateway("vendor-0", "44", max_cps=max_cps, **terms)
        trunk = mapping_gateway("acme", f"{CUSTOMER.host}/32")
        scene = Scene(catalogue([trunk, gateway, vendor_gateway(2)]))
        scene.vendor.script = refuses(503)
        scene.vendors[1].script = scene.vendors[2].script = answers(0)
        call = scene.caller.call(CALLEE, Intent(hang_up_after_ms=10))
        scene.wire.run_until(lambda: call.is_over)  # noqa: B023
        assert [(attempt.gateway, attempt.code) for attempt in scene.close().attempts] == tried
