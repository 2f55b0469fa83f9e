"""Routing gateways of type announcement: their sound, the code after it, and what comes next."""

from decimal import Decimal

import pytest
from doubles.announcing import SOUNDS
from doubles.data.builders import account, applied_rate, catalogue, mapping_gateway, rate_group
from doubles.successor import replace_node
from doubles.virtual.customer import INSISTS_ON_RELIABLE, Intent
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from doubles.virtual.vendor import Line, Script, answers
from msgspec.structs import replace

from vosd.base.cause import EndReason
from vosd.billing.accounts import AccountType
from vosd.sdp.media import media_of
from vosd.trunks.announcements import GatewaySound
from vosd.trunks.media import MediaEngine, MediaParameters

CLOSED = GatewaySound("other", 3, 480)


def announcing(sound: GatewaySound = CLOSED, **named):
    """Return a gateway that has no peer."""
    named = {"name": "closed", "priority": 1, "allow_unrated": True, **named}
    return replace(vendor_gateway(0), addresses=(), sound=sound, **named)


def scene_with(*gateways, relay: VirtualRelay | None = None, announcements=None, **parameters) -> tuple:
    relay = relay or VirtualRelay()
    media = MediaParameters(engine=MediaEngine.RELAY, announcements=announcements or {})
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), *(gateways or (announcing(),))]
    return Scene(catalogue(trunks, media=media, sounds=SOUNDS, **parameters), relay=relay), relay


def until_final(scene: Scene, call) -> None:
    scene.wire.run_until(lambda: call.final is not None)


def test_its_sound_is_played_as_often_as_said_and_its_code_follows():
    scene, relay = scene_with()
    call = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: any(response.status == 183 for response in call.responses))
    (port,) = relay.open_ports.values()
    assert (port.playing[0], port.playing[2]) == (SOUNDS["other"].by_codec["pcmu"], 3)
    until_final(scene, call)
    assert call.final == 480
    assert relay.open_ports == {}
    scene.close()
    record = scene.record
    assert (record.routing_gateway, record.end_reason, record.answered_at, record.fee) == (
        "closed",
        "Unavailable",
        None,
        0,
    )
    assert [(each.gateway, each.code, each.reason) for each in record.attempts] == [("closed", 480, "Announcement")]
    assert '"sound":"other","codec":"PCMU","ms":1800' in record.media


def test_by_its_code_the_next_gateway_is_tried_in_another_early_dialog():
    scene, relay = scene_with(announcing(GatewaySound("other", 1, 503)), replace(vendor_gateway(1), priority=2))
    scene.vendors[1].script = answers()
    call = scene.caller.call(CALLEE, Intent(headers=INSISTS_ON_RELIABLE))
    until_final(scene, call)
    assert call.final == 200
    assert len({response["To"] for response in call.responses if response.status in {183, 200}}) == 2
    assert relay.open_ports == {}
    record = scene.finish(call)
    assert record.answered_at - record.started_at >= 900
    assert [each.reason for each in record.attempts] == ["Announcement", "Answered"]
    assert '"legs":{"caller":null,"callee":null}' in record.media
    assert '"sound":"other"' in record.media


def test_where_the_worker_cannot_have_its_sound_the_next_gateway_is_tried_at_once():
    scene, relay = scene_with(announcing(), replace(vendor_gateway(1), priority=2))
    scene.vendors[1].script = answers()
    call = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: any(response.status == 183 for response in call.responses))
    (port,) = relay.open_ports
    scene.exchange.switch.media_events.sound_failed(port, scene.wire.clock.now())
    scene.exchange.flush()
    until_final(scene, call)
    assert (call.final, relay.open_ports) == (200, {})
    record = scene.finish(call)
    assert [(each.gateway, each.code) for each in record.attempts] == [("closed", 0), ("vendor-1", 200)]
    assert record.media is None


def test_it_comes_behind_gateways_that_have_failed():
    """The sound of the gateway is the last word: no announcement by reason follows."""
    vendor = replace(vendor_gateway(1), priority=1)
    scene, relay = scene_with(announcing(priority=2), vendor, announcements={"Unavailable": "busy"})
    scene.vendors[1].script = Script((Line(100, 503),))
    call = scene.caller.call(CALLEE)
    until_final(scene, call)
    assert call.statuses == [183, 480]
    assert relay.opened == 1
    scene.close()
    assert scene.record.media.count('"sound"') == 1


def test_a_caller_that_gives_up_meanwhile_has_cancelled_its_call():
    scene, relay = scene_with()
    call = scene.caller.call(CALLEE, Intent(cancel_after_ms=700))
    until_final(scene, call)
    assert call.final == 487
    assert relay.open_ports == {}
    scene.close()
    record = scene.record
    assert (record.end_reason, record.hangup_source) == ("Cancelled", "caller")
    assert [(each.code, each.reason) for each in record.attempts] == [(0, "Announcement")]


@pytest.mark.parametrize("named", [{"intent": Intent("")}, {"relay": VirtualRelay(0)}], ids=["no offer", "no port"])
def test_where_it_cannot_be_played_the_next_gateway_is_tried(named):
    intent = named.pop("intent", None)
    scene, _ = scene_with(announcing(), replace(vendor_gateway(1), priority=2), **named)
    scene.vendors[1].script = Script((Line(100, 404),))
    call = scene.caller.call(CALLEE, intent)
    until_final(scene, call)
    assert call.statuses == [404]
    scene.close()


def test_it_has_limits_as_others_have():
    scene, _ = scene_with(announcing(max_concurrent=1))
    first, second = scene.caller.call(CALLEE), scene.caller.call(CALLEE)
    until_final(scene, second)
    assert second.final == 503
    until_final(scene, first)
    assert first.final == 480
    assert scene.exchange.residue() == {}


def test_an_order_ends_it():
    scene, relay = scene_with()
    call = scene.begun_call(after_ms=300)
    scene.exchange.end_all(EndReason.SHUTDOWN)
    scene.wire.run_for(100)
    assert call.final == 503
    assert relay.open_ports == {}
    scene.close()


def test_the_next_switch_goes_on_with_it():
    scene, relay = scene_with(announcing(max_concurrent=1))
    call = scene.begun_call(after_ms=300)
    replace_node(scene)
    scene.wire.run_for(300)
    assert scene.exchange.switch.live.occupancy.total() > 0
    until_final(scene, call)
    assert call.final == 480
    assert relay.open_ports == {}
    scene.close()
    assert '"ms":1800' in scene.record.media


def test_ringing_that_is_charged_pays_for_no_sound():
    scene, _ = scene_with(charges_ringing=True)
    call = scene.caller.call(CALLEE)
    until_final(scene, call)
    scene.close()
    assert (scene.record.fee, scene.record.hold_time_ms) == (0, 0)


def test_a_call_that_is_charged_since_its_invite_to_a_vendor_hears_no_sound_at_its_cost():
    charged = []
    for sounds in ((), (announcing(priority=2),)):
        scene, relay = scene_with(replace(vendor_gateway(1), priority=1), *sounds, charges_ringing=True)
        scene.vendors[1].script = Script((Line(0, 180), Line(5_000, 503)))
        call = scene.caller.call(CALLEE)
        until_final(scene, call)
        assert relay.open_ports == {}
        scene.close()
        charged.append((scene.record.fee, scene.record.cost, scene.record.routing_gateway))
    assert [(each.gateway, each.code) for each in scene.record.attempts] == [("vendor-1", 503), ("closed", 480)]
    assert call.final == 480
    assert charged[0] == charged[1]
    assert charged[0][0] > 0
    assert charged[0][1] > 0


@pytest.mark.parametrize("limit", [0, 5], ids=["no money", "some money"])
@pytest.mark.parametrize("rates_of", [None, "dear", "locked"])
def test_it_is_played_whatever_money_and_rates_its_account_has(limit, rates_of):
    """Nothing is bought of it: its price is no loss, and no money of its account is held meanwhile."""
    barred = replace(applied_rate("0.30"), rate=replace(applied_rate("0.30").rate, locked=True))
    rates = [rate_group("dear", applied_rate("6.00")), rate_group("locked", barred)]
    own = account("own", type=AccountType.CLEARING, rate_group=rates_of, overdraft_limit=Decimal(limit))
    scene, _ = scene_with(announcing(account="own"), accounts=[own], rate_groups=rates)
    call = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: call.final is not None or 183 in call.statuses)
    assert scene.exchange.credits["own"].reserved == 0
    until_final(scene, call)
    assert call.final == 480
    scene.close()
    assert [each.reason for each in scene.record.attempts] == ["Announcement"]


def test_the_description_has_the_one_codec():
    scene, _ = scene_with()
    call = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: any(response.status == 183 for response in call.responses))
    (medium,) = media_of(call.response(183).body.encode())
    assert medium.codecs == ("PCMU",)
    until_final(scene, call)
    scene.close()


def test_it_counts_as_up_and_has_no_peer_for_a_test_call():
    scene, _ = scene_with()
    node = scene.exchange.node
    (gateway,) = scene.exchange.switch.catalogue.routing_gateways.values()
    assert node.is_located(gateway)
    assert node.addresses_of(gateway) == gateway.fixed_addresses
    assert gateway.places == ()
