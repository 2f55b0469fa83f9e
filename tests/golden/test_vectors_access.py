"""The worked examples of access by network in tests/vectors/routing.json."""

import json
from ipaddress import ip_network
from pathlib import Path

import pytest

from vosd.routing.access import ALLOWED, AccessAction, AccessRule, AccessRules, AccessScope, nowhere

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "routing.json").read_text())
CHOSEN = [vector for vector in VECTORS if vector["kind"] == "geofence"]


@pytest.mark.parametrize(
    ("given", "expect"), [pytest.param(each["given"], each["expect"], id=each["id"]) for each in CHOSEN]
)
def test_the_first_rule_that_fits_decides(given, expect):
    written = [
        AccessRule(AccessAction(each["action"].lower()), AccessScope(each["scope"]), (ip_network(each["cidr"]),))
        for each in given["rules"]
    ]
    rules, scope = AccessRules(rules=tuple(written)), AccessScope(given["scope"])
    decision = rules.by_rules(scope, given["ip"], nowhere) or ALLOWED
    assert decision.action is AccessAction(expect["action"].lower())
    if scope is AccessScope.SIGNALLING:
        assert rules.signalling(given["ip"], nowhere).action is decision.action


def test_every_vector_of_the_kind_is_run():
    assert len({vector["id"] for vector in CHOSEN}) == 6
