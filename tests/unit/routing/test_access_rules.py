"""Rules about the origin of calls: longest networks, rules in order, countries, agents."""

from ipaddress import ip_network

import pytest

from vosd.base.networks import NetworkTable
from vosd.routing.access import (
    AccessAction,
    AccessRule,
    AccessRules,
    AccessScope,
    agent_objection,
    country_objection,
    nowhere,
)

COUNTRIES = {"5.9.0.1": "DE", "8.8.8.8": "US", "175.45.176.1": "KP", "10.9.9.9": "DE"}


def country_of(host: str) -> str:
    return COUNTRIES.get(host, "")


def networks(*texts):
    return tuple(map(ip_network, texts))


def action(rules, host):
    return rules.signalling(host, country_of).action


def test_without_rules_every_source_may_call():
    rules = AccessRules()
    assert not rules.judges_signalling
    assert action(rules, "203.0.113.7") is AccessAction.ALLOW


def test_the_longest_network_of_both_lists_decides():
    rules = AccessRules(
        allow=networks("0.0.0.0/0", "203.0.113.64/26", "2001:db8::1/128"),
        deny=networks("203.0.113.0/24", "203.0.113.65/32", "2001:db8::/32"),
    )
    outcomes = {
        host: action(rules, host).value
        for host in (
            "192.0.2.1", "203.0.113.7", "203.0.113.66", "203.0.113.65", "2001:db8::1", "2001:db8::2",
            "::ffff:203.0.113.7", "::ffff:203.0.113.66", "fe80::1%eth0",
        )
    }  # fmt: skip
    assert outcomes == {
        "192.0.2.1": "allow",
        "203.0.113.7": "ignore",
        "203.0.113.66": "allow",
        "203.0.113.65": "ignore",
        "2001:db8::1": "allow",
        "2001:db8::2": "ignore",
        "::ffff:203.0.113.7": "ignore",
        "::ffff:203.0.113.66": "allow",
        "fe80::1%eth0": "ignore",  # ``allow`` has networks, and none with it
    }


def test_the_same_network_in_both_lists_is_denied():
    rules = AccessRules(allow=networks("203.0.113.0/24"), deny=networks("203.0.113.0/24"))
    assert rules.signalling("203.0.113.7", nowhere) == (AccessAction.IGNORE, "access.deny has 203.0.113.0/24")


def test_countries_hold_where_no_network_decides():
    rules = AccessRules(allow=networks("8.8.8.0/24"), deny=networks("5.9.0.0/24"), countries=frozenset({"DE"}))
    assert action(rules, "8.8.8.8") is AccessAction.ALLOW  # an exception
    assert action(rules, "5.9.0.1") is AccessAction.IGNORE
    assert action(rules, "175.45.176.1") is AccessAction.IGNORE
    assert action(rules, "10.9.9.9") is AccessAction.ALLOW
    assert action(rules, "192.168.0.1") is AccessAction.ALLOW  # of no country, as private addresses are
    assert rules.signalling("9.9.9.9", country_of).why == "9.9.9.9 is of no country that is known"


def test_rules_come_before_countries_and_behind_the_lists():
    block = AccessRule(AccessAction.BLOCK, countries=frozenset({"KP", "US"}))
    rules = AccessRules(allow=networks("8.8.8.0/24"), countries=frozenset({"KP"}), rules=(block,))
    assert action(rules, "8.8.8.8") is AccessAction.ALLOW
    assert rules.signalling("175.45.176.1", country_of) == (AccessAction.BLOCK, "access.rules[0] has KP")
    assert rules.may_block


def test_rules_of_one_scope_do_not_judge_another():
    rules = AccessRules(rules=(AccessRule(AccessAction.IGNORE, AccessScope.SDP, networks("10.0.0.0/8")),))
    assert not rules.judges_signalling
    assert rules.judges_sdp
    assert action(rules, "10.0.0.1") is AccessAction.ALLOW
    found = rules.by_rules(AccessScope.SDP, "10.0.0.1", nowhere)
    assert found is not None
    assert (found.action, found.why) == (AccessAction.IGNORE, "access.rules[0] has 10.0.0.0/8")


@pytest.mark.parametrize(
    ("host", "allowed"),
    [("5.9.0.1", True), ("8.8.8.8", False), ("9.9.9.9", False), ("192.168.0.1", True), ("10.9.9.9", True)],
)
def test_a_user_may_come_from_its_countries(host, allowed):
    assert (country_objection(host, {"DE"}, country_of) == "") is allowed


def test_an_agent_must_contain_one_of_the_parts():
    assert agent_objection("Yealink SIP-T46U 108.86", ("yealink", "snom")) == ""
    assert agent_objection("friendly-scanner", ("yealink",)) == (
        "User-Agent 'friendly-scanner' contains none of yealink"
    )
    assert agent_objection("", ("yealink",)) != ""


def test_a_table_of_networks_finds_no_network_of_the_other_family():
    table = NetworkTable([(ip_network("::/0"), 6)])
    assert table.longest("192.0.2.1") is None
    assert table.longest("2001:db8::1") == (ip_network("::/0"), 6)
    assert len(table) == 1
    with pytest.raises(ValueError, match="does not appear"):
        table.longest("example.net")
