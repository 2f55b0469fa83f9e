"""Accounts that are blocked with calls to them: nothing goes out, and nothing comes in."""

import pytest
from doubles.data.builders import account, catalogue, credentials, mapping_gateway, override, phone, routing_gateway
from doubles.sockets.loopback import Endpoint
from doubles.virtual.scene import CUSTOMER, VENDORS, Scene, vendor_gateway

from vosd.catalogue.overrides import INCOMING, Blocks, Overrides, Setting, Target
from vosd.trunks.dialect import CalleeDialect, Redirects
from vosd.trunks.dids import Did
from vosd.trunks.gateways import Address
from vosd.trunks.ringing import RingOrder

DESK, NUMBER, OTHER, OF_TRUNK = "44201", "4420946000", "4420946001", "4420946002"
HOME, PBX = Endpoint("203.0.113.66", 41_234), Endpoint("203.0.113.88", 5_060)
LOCK = override(Target.ACCOUNT, "shop", value=INCOMING, memo="unpaid")
ELSEWHERE = routing_gateway("elsewhere", "9", addresses=(Address(*VENDORS[1]),), account="carriers", allow_unrated=True,
                            dialect=CalleeDialect(redirects=Redirects.FOLLOW))  # fmt: skip


def content(**terms):
    """A customer who calls, and a shop below an agent with a phone, a trunk, and numbers that ring them."""
    gateways = [
        mapping_gateway("acme", f"{CUSTOMER.host}/32"),
        mapping_gateway("pbx", account="shop", credentials=credentials("pbx", "secret")),
        vendor_gateway(0),
        ELSEWHERE,
    ]
    dids = [Did(NUMBER, "shop", phones=(DESK,)), Did(OTHER, "acme", phones=(DESK,)), Did(OF_TRUNK, "acme", trunk="pbx")]
    desk = phone(DESK, account="shop", **terms)
    return catalogue(
        gateways, phones=[desk], accounts=[account("shop", agent="reseller"), account("reseller")], dids=dids
    )


def stage(**terms) -> Scene:
    return Scene(content(**terms))


def called(scene: Scene, number: str):
    call = scene.caller.call(number)
    scene.wire.run_until(lambda: call.final is not None, within_ms=120_000)
    return call


@pytest.mark.parametrize(
    "lock",
    [LOCK, override(Target.ACCOUNT, "shop", Setting.CLOSED), override(Target.ACCOUNT, "reseller", value=INCOMING)],
    ids=["blocked", "closed", "below a blocked agent"],
)
@pytest.mark.parametrize("number", [DESK, NUMBER, OTHER, OF_TRUNK])
def test_nothing_of_a_locked_account_is_called_until_it_is_unlocked(number, lock):
    scene = stage()
    desk, pbx = scene.exchange.telephone(DESK, HOME), scene.exchange.telephone("pbx", PBX)
    desk.register()
    pbx.register()
    scene.exchange.override(lock)
    assert called(scene, number).final == 480
    assert scene.record.end_reason in {"Unavailable", "No Available Route"}
    assert desk.received("INVITE") == pbx.received("INVITE") == []
    assert scene.vendor.calls == []
    scene.exchange.override()
    assert called(scene, number).final == 200


def test_a_block_without_it_still_lets_the_phone_ring_and_refuses_its_calls():
    scene = stage()
    desk = scene.exchange.telephone(DESK, HOME)
    desk.register()
    scene.exchange.override(override(Target.ACCOUNT, "shop"))
    assert called(scene, DESK).final == 200
    call = desk.call("4420")
    scene.wire.run_until(lambda: call.final is not None)
    assert call.final == 403


def test_a_call_that_runs_goes_on():
    scene = stage()
    scene.exchange.telephone(DESK, HOME).register()
    call = called(scene, DESK)
    scene.exchange.override(LOCK)
    scene.wire.run_for(60_000)
    assert scene.finish(call).end_reason == "Normal"


@pytest.mark.parametrize("role", ["redirect_server", "offline_gateway"])
@pytest.mark.parametrize("number", [DESK, OTHER])
@pytest.mark.parametrize("block", [LOCK, override(Target.MAPPING, DESK)], ids=["account", "phone"])
def test_calls_of_a_blocked_phone_go_nowhere_else(role, number, block):
    scene = stage(**{role: "elsewhere"})
    scene.exchange.override(block)
    assert called(scene, number).final == 480
    assert scene.vendors[1].calls == []


@pytest.mark.parametrize(("others", "final"), [("shop", 480), ("acme", 200)])
@pytest.mark.parametrize("ring", RingOrder)
def test_the_offline_gateway_of_a_locked_phone_takes_calls_of_several_for_those_that_are_not_locked(
    ring, others, final
):
    last = "44202"
    phones = phone(DESK, account=others), phone(last, account="shop", offline_gateway="elsewhere")
    dids = [Did(NUMBER, "acme", phones=(DESK, last), ring=ring)]
    gateways = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), ELSEWHERE]
    scene = Scene(catalogue(gateways, phones=phones, accounts=[account("shop"), account("acme")], dids=dids))
    scene.exchange.telephone(last, HOME).register()
    scene.exchange.override(LOCK)
    assert called(scene, NUMBER).final == final
    assert len(scene.vendors[1].calls) == (final == 200)


def test_gateways_that_carry_calls_for_an_account_below_a_locked_agent_get_none():
    own = routing_gateway("own", "44", account="shop")
    below = catalogue([own], accounts=[account("shop", agent="reseller"), account("reseller")])
    blocks = Blocks()
    blocks.set(Overrides([override(Target.ACCOUNT, "reseller", value=INCOMING)]), below)
    assert list(blocks.called) == ["own"]
    blocks.set(Overrides([override(Target.ACCOUNT, "reseller")]), below)
    assert list(blocks.called) == []


def test_the_block_of_the_account_itself_is_named_before_that_of_its_agent():
    agent = override(Target.ACCOUNT, "reseller", value=INCOMING, memo="the agent")
    blocks = Blocks()
    blocks.set(Overrides([LOCK, agent]), content())
    assert {name: each.memo for name, each in blocks.not_called.items()} == {"shop": "unpaid", "reseller": "the agent"}
    assert {name: each.memo for name, each in blocks.called.items()} == {DESK: "unpaid", "pbx": "unpaid"}
