"""The worked examples of tests/vectors/routing.json, each through the functions that route real calls."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from vosd.base.cause import EndReason
from vosd.base.errors import Refusal
from vosd.billing.holds import Purse
from vosd.routing.capacity import Full, Occupancy, Scope
from vosd.routing.failover import AttemptOutcome, tries_next, verdict
from vosd.routing.match import RouteTable
from vosd.routing.pipeline import RouteRequest, Routes, find_routes
from vosd.testing.builders import routing_gateway

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
    routes = find_routes(request, table, occupancy, VendorsWithPurses(given["gateways"]))
    if expect["order"]:
        assert isinstance(routes, Routes)
        assert [choice.gateway.name for choice in routes.choices] == expect["order"]
    else:
        assert isinstance(routes, Refusal)
        assert (routes.reason, routes.status) == (EndReason.NO_AVAILABLE_ROUTE, 404)


@of("failover_step")
def test_failed_attempts_lead_to_the_next_gateway(given, expect):
    tried, outcomes, final = [], [], None
    for name, reply in zip(given["gateways"], given["replies"], strict=False):
        tried.append(name)
        if reply == 200:
            final = reply
            break
        outcomes.append(AttemptOutcome.silent() if reply == "timeout" else AttemptOutcome.final(reply))
        if not tries_next(routing_gateway(name), outcomes[-1]):
            break
    assert tried == expect["tried"]
    assert (final or verdict(outcomes).status) == expect["final"]


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
