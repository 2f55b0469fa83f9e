"""Phones whose calls a redirect server may send elsewhere: it is asked first."""

import pytest
from doubles.data.builders import catalogue, mapping_gateway, phone, routing_gateway
from doubles.sockets.loopback import Endpoint
from doubles.successor import replace_node
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CUSTOMER, VENDORS, Scene, vendor_gateway
from doubles.virtual.vendor import SILENT, Line, Script, answers, refuses

from vosd.catalogue.catalogue import Catalogue
from vosd.routing.plan import RoutingPlan
from vosd.trunks.dialect import CalleeDialect, Redirects
from vosd.trunks.gateways import Address

NUMBER = "44201"
HOME = Endpoint("203.0.113.66", 41_234)
ELSEWHERE = f"Contact: <sip:{NUMBER}@{VENDORS[2]}>"


def stage(server=None, server_terms=None, *gateways, **terms) -> Scene:
    """A phone, a redirect server that plays ``server``, and the place that it may name."""
    host, port = VENDORS[1]
    asked = routing_gateway(
        "redirector",
        "00",
        addresses=(Address(host, port),),
        account="carriers",
        allow_unrated=True,
        response_timeout_ms=2_000,
        dialect=CalleeDialect(redirects=Redirects.FOLLOW, reject_codes={"404": 480}),
        **(server_terms or {}),
    )
    desk = phone(NUMBER, redirect_server="redirector", **terms)
    trunk = mapping_gateway("acme", f"{CUSTOMER.host}/32")
    scene = Scene(catalogue([trunk, asked, vendor_gateway(0), *gateways], phones=[desk]))
    scene.vendors[1].script = server or refuses(404)
    return scene


def called(scene: Scene):
    call = scene.caller.call(NUMBER)
    scene.wire.run_until(lambda: call.final is not None, within_ms=120_000)
    return call


def finish(scene: Scene, call) -> list[str]:
    """Let the caller hang up and return who was tried."""
    record = scene.finish(call)
    return [attempt.gateway for attempt in record.attempts]


def test_it_sends_the_calls_of_a_phone_elsewhere():
    scene = stage(refuses(302, headers=(ELSEWHERE,)))
    desk = scene.exchange.telephone(NUMBER, HOME)
    desk.register()
    call = called(scene)
    assert finish(scene, call) == ["redirector", "redirector"]
    assert len(scene.vendors[2].calls) == 1
    assert desk.calls == []


@pytest.mark.parametrize(
    ("terms", "tried", "is_replaced"),
    [
        ({}, ["redirector", "dear"], False),
        ({}, ["redirector", "dear"], True),
        ({"max_concurrent": 0}, ["redirector", NUMBER], False),
        ({"enabled": False}, ["redirector", NUMBER], False),
    ],
    ids=["open", "after a restart", "full", "disabled"],
)
@pytest.mark.parametrize("account", ["dear", "carriers"], ids=["another account", "the account of the server"])
def test_the_place_of_a_vendor_that_it_names_is_called_as_that_vendor(account, terms, tried, is_replaced):
    dear = routing_gateway("dear", "33", addresses=(Address(*VENDORS[2]),), account=account, **terms)
    scene = stage(Script((Line(500, 302, headers=(ELSEWHERE,)),)), None, dear)
    scene.exchange.telephone(NUMBER, HOME).register()
    call = scene.caller.call(NUMBER)
    if is_replaced:
        scene.wire.run_for(200)
        replace_node(scene)
    scene.wire.run_until(lambda: call.final is not None)
    assert finish(scene, call) == tried
    assert len(scene.vendors[2].calls) == (tried[-1] == "dear")
    assert scene.record.vendor_account == (account if tried[-1] == "dear" else None)


def test_the_vendor_that_it_names_is_called_though_a_reload_has_removed_the_plan_of_the_caller():
    def content(plan: str | None, *plans: RoutingPlan) -> Catalogue:
        trunk = mapping_gateway("acme", f"{CUSTOMER.host}/32", routing_plan=plan)
        places = {"addresses": (Address(*VENDORS[1]),), "dialect": CalleeDialect(redirects=Redirects.FOLLOW)}
        server = routing_gateway("redirector", "00", account="carriers", allow_unrated=True, **places)
        dear = routing_gateway("dear", "33", addresses=(Address(*VENDORS[2]),), account="dear")
        return catalogue([trunk, server, dear], phones=[phone(NUMBER, redirect_server="redirector")], plans=plans)

    scene = Scene(content("own", RoutingPlan("own")))
    scene.vendors[1].script = Script((Line(500, 302, headers=(ELSEWHERE,)),))
    call = scene.begun_call(callee=NUMBER, after_ms=200)
    scene.exchange.swap_catalogue(content(None))
    scene.wire.run_until(lambda: call.final is not None)
    assert finish(scene, call) == ["redirector", "dear"]


@pytest.mark.parametrize(
    "server",
    [refuses(404), refuses(480), refuses(500), SILENT, refuses(302), refuses(302, headers=("Contact: <mailto:x@h>",))],
    ids=["404", "480", "500", "silence", "302 to nowhere", "302 to what is no place"],
)
def test_other_redirections_are_followed(server):
    scene = stage(server)
    desk = scene.exchange.telephone(NUMBER, HOME)
    desk.register()
    assert finish(scene, called(scene)) == ["redirector", NUMBER]
    assert len(desk.calls) == 1


OWN_CODES = {"failover_codes": frozenset({503}), "stop_causes": frozenset({1})}


@pytest.mark.parametrize("is_replaced", [False, True])
@pytest.mark.parametrize(
    "server",
    [Script((Line(500, 404, headers=("Reason: Q.850;cause=1",)),)), Script((Line(500, 302, headers=(ELSEWHERE,)),))],
    ids=["404", "302 to a place that refuses"],
)
def test_the_search_goes_on_whatever_failover_codes_the_server_has_as_a_gateway(server, is_replaced):
    scene = stage(server, OWN_CODES, offline_gateway="vendor-0")
    scene.vendors[2].script = refuses(404)
    call = scene.caller.call(NUMBER)
    if is_replaced:
        scene.wire.run_for(200)
        replace_node(scene)
    scene.wire.run_until(lambda: call.final is not None)
    assert finish(scene, call)[-1] == "vendor-0"


def test_the_places_that_it_has_named_are_all_tried_after_a_restart():
    further = Endpoint("203.0.113.9", 5060)
    headers = (f"Contact: <sip:{NUMBER}@{VENDORS[2]}>;q=1, <sip:{NUMBER}@{further}>;q=0.5",)
    scene = stage(refuses(302, headers=headers), OWN_CODES)
    scene.exchange.vendor(further)
    scene.vendors[2].script = Script((Line(500, 404),))
    call = scene.begun_call(callee=NUMBER, after_ms=200)
    replace_node(scene)
    scene.wire.run_until(lambda: call.final is not None)
    assert finish(scene, call) == ["redirector"] * 3


@pytest.mark.parametrize("status", [486, 600, 603])
def test_it_may_ask_for_no_calls(status):
    scene = stage(refuses(status))
    desk = scene.exchange.telephone(NUMBER, HOME)
    desk.register()
    assert called(scene).final == status
    assert desk.calls == []
    scene.close()


def test_a_phone_that_is_not_registered_either_gets_480():
    scene = stage()
    assert called(scene).final == 480
    assert scene.close().end_reason == "Unavailable"


def test_a_phone_that_is_not_registered_has_its_offline_gateway():
    scene = stage(offline_gateway="vendor-0")
    scene.vendor.script = answers()
    assert finish(scene, called(scene)) == ["redirector", "vendor-0"]


def test_it_is_not_asked_for_a_phone_that_is_switched_off():
    scene = stage(enabled=False)
    call = called(scene)
    assert call.final == 480
    assert scene.vendors[1].calls == []
    assert call.refusal["Reason"].startswith(f"Q.850;cause={scene.close().q850_cause};"), "as the record has it"


@pytest.mark.parametrize(("busy_ms", "final"), [(3_000, 200), (60_000, 480)])
def test_a_phone_that_is_busy_while_the_server_is_slow_is_called_if_it_is_free_when_its_turn_comes(busy_ms, final):
    """One that is busy still leaves nothing to its offline gateway."""
    slow = Script((Line(0, 100), Line(5_000, 404)))
    scene = stage(slow, {"progress_timeout_ms": 1_000}, max_concurrent=1, offline_gateway="vendor-0")
    desk = scene.exchange.telephone(NUMBER, HOME)
    desk.register()
    waiting = scene.begun_call(Intent(hang_up_after_ms=1_000), callee=NUMBER, after_ms=100)
    scene.vendors[1].script = refuses(404)
    scene.caller.call(NUMBER, Intent(hang_up_after_ms=busy_ms))
    scene.wire.run_until(lambda: waiting.final is not None)
    assert (waiting.final, scene.vendor.calls) == (final, [])


def test_it_is_not_asked_for_other_phones():
    scene = stage()
    content = scene.exchange.switch.catalogue
    trunks = [gateway for name, gateway in content.mapping_gateways.items() if name not in content.phones]
    scene.exchange.swap_catalogue(catalogue([*trunks, *content.routing_gateways.values()], phones=[phone(NUMBER)]))
    scene.exchange.telephone(NUMBER, HOME).register()
    assert finish(scene, called(scene)) == [NUMBER]
