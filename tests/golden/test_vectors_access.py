"""The worked examples of access by network in tests/vectors/routing.json."""

from ipaddress import ip_network

from golden.worked import of
from vosd.routing.access import ALLOWED, AccessAction, AccessRule, AccessRules, AccessScope, nowhere


@of("geofence")
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
