"""The worked examples of tests/vectors/routing.json, each through the functions that route real calls."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from vosd.base.cause import EndReason
from vosd.base.errors import Refusal
from vosd.billing.holds import Purse
from vosd.config.parameters import ParameterKeys
from vosd.net.marking import TrafficClass
from vosd.routing.capacity import Full, Occupancy, Scope
from vosd.routing.failover import AttemptOutcome, tries_next, verdict
from vosd.routing.match import RouteTable
from vosd.routing.pipeline import RouteRequest, find_routes
from vosd.routing.rest import Rests
from vosd.sip.dialog.identity import Dialog
from vosd.sip.digest.settings import DigestSettings, LockOutSettings
from vosd.sip.events import NoResponse
from vosd.sip.settings import SipSettings, Timers
from vosd.testing.builders import account, catalogue, phone, routing_gateway
from vosd.testing.login import CHALLENGES, Login
from vosd.testing.loopback import Endpoint
from vosd.testing.probe import VENDOR, Keeper, Probe, reply, straight
from vosd.testing.scene import Scene, vendor_gateway
from vosd.testing.vendor import answers

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "routing.json").read_text())

NOT_BUILT_YET = {"RTE-V26": "protect routes (RTE-30)"}
"""Of the kinds below; the kind weight_share (RTE-04) waits for weights as a whole."""


def of(kind: str) -> pytest.MarkDecorator:
    """Run a test once for each vector of ``kind``; a kind without vectors is a mistake in the test."""
    chosen = [vector for vector in VECTORS if vector["kind"] == kind and vector["id"] not in NOT_BUILT_YET]
    assert chosen, f"no vector has the kind {kind}"
    cases = [pytest.param(vector["given"], vector["expect"], id=vector["id"]) for vector in chosen]
    return pytest.mark.parametrize(("given", "expect"), cases)


class VendorsWithPurses:
    """Vendors of a vector: all rated, funded while their purse has something left."""

    def __init__(self, gateways):
        self._purses = {
            each["name"]: Purse(
                each["name"], Decimal(0) if each["prepaid_vendor"] else None, Decimal(each["vendor_balance"])
            )
            for each in gateways
        }

    def registered(self, gateway):
        return True

    def down_ms(self, gateway, mono_ms):
        return None

    def located(self, gateway):
        return True

    def rated(self, gateway, callee):
        return True

    def funded(self, gateway):
        available = self._purses[gateway.account].available
        return available is None or available > 0


@of("prefix_match")
def test_longest_prefix_of_a_gateway_fits(given, expect):
    candidates = RouteTable([routing_gateway("carrier", *given["prefixes"])]).candidates(given["called"])
    assert [candidate.prefix for candidate in candidates] == ([expect["matched"]] if expect["matched"] else [])


@of("candidate_order")
def test_candidates_are_ordered_and_sifted(given, expect):
    occupancy = Occupancy()
    for each in given["gateways"]:
        for _ in range(each["calls"]):
            occupancy.take(Scope.ROUTING, each["name"], None, None, mono_ms=0)
    table = RouteTable(
        # A gateway that is known to be offline is one that is switched off; health checks come later.
        routing_gateway(
            each["name"],
            each["prefix"],
            priority=each["priority"],
            max_concurrent=each["max_calls"],
            enabled=each["online"],
        )
        for each in given["gateways"]
    )
    request = RouteRequest(callee=given["called"], caller="", mono_ms=60_000)
    routes = find_routes(request, table, occupancy, Rests(), VendorsWithPurses(given["gateways"]))
    if expect["order"]:
        assert not isinstance(routes, Refusal)
        assert [choice.gateway.name for choice in routes] == expect["order"]
    else:
        assert isinstance(routes, Refusal)
        assert (routes.reason, routes.status) == (EndReason.NO_AVAILABLE_ROUTE, 404)


@of("failover_step")
def test_failed_attempts_lead_to_the_next_gateway(given, expect):
    tried, outcomes, final = [], [], None
    for name, answer in zip(given["gateways"], given["replies"], strict=False):
        tried.append(name)
        if answer == 200:
            final = answer
            break
        outcomes.append(AttemptOutcome.silent() if answer == "timeout" else AttemptOutcome.final(answer))
        if not tries_next(routing_gateway(name), outcomes[-1]):
            break
    assert tried == expect["tried"]
    assert (final or verdict(outcomes).status) == expect["final"]


@of("resend_schedule")
@pytest.mark.parametrize("method", ["INVITE", "BYE"])
def test_a_request_is_repeated_at_the_times_of_the_list(method, given, expect):
    """Through an endpoint on virtual time, to a vendor that never says anything."""
    resend_ms = tuple(int(1_000 * Decimal(wait)) for wait in given["SS_SIP_RESEND_INTERVAL"].split(","))
    at_ms = [int(1_000 * at) for at in expect["retransmit_at_s"]]
    sum_ms = int(1_000 * expect["sum_s"])
    owner = Keeper()
    probe = Probe(SipSettings(timers=Timers(resend_ms=resend_ms)))
    transaction = probe.call_vendor(owner)
    if method == "BYE":
        event = probe.receive(reply(probe.log[0], 200), VENDOR)
        dialog = Dialog.of_callee(transaction.parts, "ours", event.response, straight)
        transaction = probe.endpoint.client.send_request(dialog, "BYE", "", b"", owner, probe.now)
    assert probe.advance(sum_ms - 1) == []
    assert probe.advance(1) == [NoResponse(owner, transaction, probe.now)]
    assert probe.times_of(method) == [0, *at_ms]
    assert len(at_ms) == expect["retransmissions"]
    probe.advance(Timers().transaction_ms)
    assert probe.times_of(method) == [0, *at_ms], "nothing comes after the sum"


@of("cps_limit")
def test_calls_above_the_rate_are_refused(given, expect):
    occupancy = Occupancy()
    arrivals = given["arrivals_in_one_second"]
    answers = [
        occupancy.take(Scope.MAPPING, "acme", None, given["max_cps"], mono_ms=1000 * each // arrivals)
        for each in range(arrivals)
    ]
    assert answers.count(None) == expect["accepted"]
    assert answers.count(Full.RATE) == expect["refused"]


@of("concurrency_limit")
def test_calls_above_the_concurrency_are_refused(given, expect):
    occupancy = Occupancy()
    for _ in range(given["active"]):
        assert occupancy.take(Scope.MAPPING, "acme", None, None, mono_ms=0) is None
    answer = occupancy.take(Scope.MAPPING, "acme", given["max_calls"], None, mono_ms=0)
    assert answer is (None if expect["accept"] else Full.CONCURRENCY)
    assert occupancy.active(Scope.MAPPING, "acme") == given["active"] + expect["accept"]


@of("qos_dscp")
def test_the_tos_byte_is_a_class_of_traffic(given, expect):
    traffic_class = TrafficClass(int(given["tos_byte"], 16))
    assert (traffic_class.dscp, traffic_class.name) == (expect["dscp"], expect["class"])


def switch_with_a_phone(**parameters):
    """Make a switch with the phone 1001 and a vendor that answers at once; return it, and a stranger's doorstep."""
    digest = parameters.pop("digest", DigestSettings())
    content = catalogue(
        [vendor_gateway(0)], phones=[phone("1001", digest=digest)], accounts=[account("acme")], digest=digest,
        **parameters,
    )  # fmt: skip
    scene = Scene(content)
    scene.vendor.script = answers(0)
    scene.wire.fate = lambda _packet: (0,)  # all of an exchange happens at the instant that the vector names
    return scene, scene.exchange.doorstep(Endpoint("203.0.113.66", 41_234), wait_ms=0)


@of("auth_lockout")
def test_a_source_that_guesses_too_often_is_not_heard(given, expect):
    lock_out = LockOutSettings(given["SS_AUTHENTICATION_MAX_RETRY"], 1_000 * given["SS_AUTHENTICATION_FAILED_SUSPEND"])
    scene, doorstep = switch_with_a_phone(lock_out=lock_out)
    began = scene.exchange.clock.now().mono
    logins = {"good": Login("1001", "secret"), "bad": Login("1001", "guess")}
    responses = []
    for what, at_s in given["events"]:
        scene.wire.run_for(began + 1_000 * at_s - scene.exchange.clock.now().mono)
        response = doorstep.ask() if what == "none" else doorstep.prove(logins[what])
        responses.append("drop" if response is None else response.status)
    assert responses == expect["responses"]


@of("challenge_code")
def test_strangers_are_challenged_with_the_code_of_the_parameter(given, expect):
    status = ParameterKeys.model_validate(given).challenge_code
    _, doorstep = switch_with_a_phone(digest=DigestSettings(status=status))
    response = doorstep.ask()
    assert response.status == expect["code"]
    assert [header for header in CHALLENGES if response.every(header)] == [expect["header"]]
    assert doorstep.prove(Login("1001", "secret")).status == 200
