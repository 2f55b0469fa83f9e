"""Steps 5 to 8 of the decision about media, walked by calls of registered phones: where they are seen decides."""

import json

import pytest
from doubles.data.builders import catalogue, phone
from doubles.sockets.loopback import Endpoint as Address
from doubles.sockets.peer import ANSWER, OFFER
from doubles.virtual.customer import Intent
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.scene import Scene, vendor_gateway
from doubles.virtual.vendor import answers
from msgspec.structs import replace

from vosd.trunks.media import Encryption, MediaEngine, MediaParameters, MediaSettings

AUTO = MediaParameters(engine=MediaEngine.RELAY)
NO_NETWORKS = replace(AUTO, between_networks=False)
SAME_NAT = replace(AUTO, same_nat=True)
NO_NAT = replace(NO_NETWORKS, behind_nat=False)
PUBLIC, OTHER_PUBLIC = Address("198.51.100.20", 5060), Address("198.51.100.30", 5060)
HOME, OTHER_HOME = Address("192.168.1.100", 5060), Address("192.168.1.101", 5060)
ONE_ROUTER, THE_SAME, ANOTHER = (
    Address("198.51.100.20", 40_000), Address("198.51.100.20", 41_000), Address("198.51.100.30", 40_000),
)  # fmt: skip


def outcome(parameters, caller, callee, encryption=Encryption.OFF, offer=""):
    """Let one phone call the other; return the step, and whether the parties were told ports of the relay.

    Each is an address, and the one that it is seen at. ``offer`` is the description of the caller; empty = usual.
    """
    media = MediaSettings(encryption=encryption)
    phones = [phone("7001", media=media), phone("442079460002")]
    relay = VirtualRelay()
    scene = Scene(catalogue([vendor_gateway(0)], phones=phones, media=parameters), relay=relay)
    made = []
    for number, (address, seen_at) in zip(("7001", "442079460002"), (caller, callee), strict=True):
        answer = ANSWER.replace("192.0.2.20", address.host)
        made.append(scene.exchange.telephone(number, address, script=answers(body=answer)))
        if seen_at != address:
            scene.wire.hide(address, seen_at)
        assert made[-1].register().status == 200
    call = made[0].call("442079460002", Intent(offer=offer or OFFER.replace("192.0.2.10", caller[0].host)))
    scene.wire.run_until(lambda: call.final == 200)
    (live,) = scene.exchange.switch.calls()
    step, told = live.call.callee.leg.facts.media.step, made[1].calls[-1].theirs
    is_relayed = bool(relay.open_ports)
    assert ("192.0.2.1" in told) is is_relayed
    scene.hang_up(call)
    document = scene.exchange.record.media
    assert (None if document is None else json.loads(document)["step"]) == (step if is_relayed else None)
    return step, is_relayed


@pytest.mark.parametrize(
    ("parameters", "caller", "callee", "step", "is_relayed"),
    [
        (AUTO, (HOME, ONE_ROUTER), (OTHER_PUBLIC, OTHER_PUBLIC), 6, True),
        (AUTO, (PUBLIC, PUBLIC), (OTHER_HOME, ANOTHER), 6, True),
        (NO_NETWORKS, (HOME, ONE_ROUTER), (OTHER_PUBLIC, OTHER_PUBLIC), 7, True),
        (AUTO, (HOME, ONE_ROUTER), (OTHER_HOME, ANOTHER), 7, True),
        (NO_NAT, (HOME, ONE_ROUTER), (OTHER_HOME, ANOTHER), 8, False),
        (SAME_NAT, (HOME, ONE_ROUTER), (OTHER_HOME, THE_SAME), 7, True),
        (AUTO, (HOME, ONE_ROUTER), (OTHER_HOME, THE_SAME), 8, False),
        (SAME_NAT, (ONE_ROUTER, ONE_ROUTER), (THE_SAME, THE_SAME), 7, True),
        (AUTO, (ONE_ROUTER, ONE_ROUTER), (THE_SAME, THE_SAME), 8, False),
        (NO_NETWORKS, (HOME, ONE_ROUTER), (THE_SAME, THE_SAME), 7, True),
        (SAME_NAT, (PUBLIC, PUBLIC), (OTHER_PUBLIC, OTHER_PUBLIC), 8, False),
        (AUTO, (PUBLIC, PUBLIC), (OTHER_PUBLIC, OTHER_PUBLIC), 8, False),
    ],
)
def test_where_the_phones_of_a_call_are_seen_decides(parameters, caller, callee, step, is_relayed):
    assert outcome(parameters, caller, callee) == (step, is_relayed)


def test_calls_of_a_registered_phone_that_encrypts_are_relayed():
    assert outcome(NO_NAT, (PUBLIC, PUBLIC), (OTHER_PUBLIC, OTHER_PUBLIC), Encryption.PASS) == (5, True)


IPV6 = OFFER.replace("IN IP4 192.0.2.10", "IN IP6 2001:db8::10")
BOTH = IPV6 + "a=candidate:1 1 UDP 2130706431 198.51.100.20 4000 typ host\r\n"


@pytest.mark.parametrize(
    ("parameters", "offer", "step", "is_relayed"),
    [(AUTO, IPV6, 6, True), (NO_NETWORKS, IPV6, 8, False), (AUTO, BOTH, 8, False)],
)
def test_media_of_another_family_than_the_sip_of_the_caller_are_relayed(parameters, offer, step, is_relayed):
    """A gateway that is called over IPv4 could not send to them; of both families it can choose."""
    assert outcome(parameters, (PUBLIC, PUBLIC), (OTHER_PUBLIC, OTHER_PUBLIC), offer=offer) == (step, is_relayed)
