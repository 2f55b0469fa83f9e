"""Groups of addresses and of routing gateways: their keys, and that their members take the place of their names."""

import pytest

from vosd.config.assembly.remembered import Remembered
from vosd.config.load import load
from vosd.config.reload import reload
from vosd.trunks.gateways import HostName
from vosd.trunks.scope import LimitScope, SharedLimit

NAMES = ", ".join(f"pbx{number}.example.net" for number in range(17))
SITES = "address_groups: [{name: sites, hosts: [198.51.100.0/24, pbx.example.net]}]\n"
PAIR = "gateway_groups: [{name: pair, gateways: [carrier], max_concurrent: 3, max_cps: 2}]\n"


def with_sites(site, keys: str = "") -> str:
    return SITES + site.minimal.replace("hosts: 192.0.2.1}", f"hosts: 192.0.2.1, address_groups: sites{keys}}}")


def test_a_mapping_gateway_has_the_sources_of_its_address_groups(site):
    gateway = site.load(with_sites(site)).catalogue.mapping_gateways["acme-pbx"]
    assert [str(each.network) for each in gateway.hosts] == ["192.0.2.1/32", "198.51.100.0/24"]
    assert gateway.named_hosts == (HostName("pbx.example.net", None),)


def test_a_gateway_with_address_groups_alone_may_not_call_from_anywhere(site):
    text = SITES + site.minimal.replace("hosts: 192.0.2.1}", "address_groups: sites, auth: {username: a, password: b}}")
    catalogue = site.load(text).catalogue
    gateway = catalogue.mapping_gateways["acme-pbx"]
    may = [catalogue.sources.may_send(gateway, host, 5060) for host in ("198.51.100.7", "192.0.2.1")]
    assert may == [True, False]


def test_two_gateways_of_one_group_must_differ_as_with_addresses(site):
    text = with_sites(site).replace(
        "mapping_gateways:", "mapping_gateways:\n  - {name: other, account: acme, address_groups: sites}"
    )
    (problem,) = site.errors(text)
    assert "both claim 198.51.100.0/24" in problem
    assert site.load(text.replace("address_groups: sites}\n", "address_groups: sites, tech_prefix: '9'}\n", 1))


def test_a_change_of_a_group_changes_its_gateways(site):
    remembered = site.load(with_sites(site)).catalogue
    changed = site.load(with_sites(site).replace("198.51.100.0/24", "203.0.113.0/24")).catalogue
    assert remembered.version != changed.version
    assert changed.sources.knows_host("203.0.113.9")


def test_routing_gateways_have_the_limits_of_their_groups_behind_that_of_their_account(site):
    text = PAIR + site.minimal.replace("overdraft_limit: unlimited}", "overdraft_limit: unlimited, max_concurrent: 9}")
    vendor = site.load(text).catalogue.routing_gateways["carrier"]
    assert vendor.groups == {"pair"}
    assert vendor.shared_limits == (
        SharedLimit(LimitScope.VENDOR, "carrier", 9, None),
        SharedLimit(LimitScope.GROUP, "pair", 3, 2),
    )


def test_a_routing_gateway_may_name_its_groups_as_groups_name_their_gateways(site):
    group = "gateway_groups: [{name: pair, max_concurrent: 3}, {name: rest, gateways: carrier}]\n"
    plan = "routing_plans: [{name: by-group, gateways: pair}]\n"
    text = group + plan + site.minimal.replace("{name: carrier, ", "{name: carrier, groups: [pair, rest], ")
    catalogue = site.load(text).catalogue
    vendor = catalogue.routing_gateways["carrier"]
    assert (vendor.groups, catalogue.plans["by-group"].plan.names) == ({"pair", "rest"}, {"carrier"})
    assert vendor.shared_limits == (SharedLimit(LimitScope.GROUP, "pair", 3, None),)
    assert catalogue.gateway_groups["pair"].gateways == {"carrier"}
    (problem,) = site.errors(text.replace("groups: [pair, rest]", "groups: [pear, pair]"))
    assert "routing_gateways[carrier].groups: value 'pear': expected the name of a gateway group" in problem
    text = text.replace("groups: [pair, rest], ", "groups: pair, ").replace("gateways: carrier", "gateways: [carrier]")
    (problem,) = site.errors(text.replace("groups: pair, ", "groups: pair, max_concurrent: x, "))
    assert "routing_gateways[carrier].max_concurrent" in problem


def test_a_plan_and_its_routes_name_the_gateways_of_a_group(site):
    site.write("routes.csv", "prefix,gateway,priority\n44,pair,7\n")
    plans = "routing_plans: [{name: by-group, gateways: pair}, {name: by-line, routes_file: routes.csv}]\n"
    plans_of = site.load(PAIR + plans + site.minimal).catalogue.plans
    assert plans_of["by-group"].plan.names == {"carrier"}
    (candidate,) = plans_of["by-line"].candidates("4420")
    assert (candidate.gateway.name, candidate.priority) == ("carrier", 7)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("44,pair,50,", "percent: value '50': expected a routing gateway beside percent: 'pair' is a group"),
        ("44,pair,,5", "max_calls: value '5': expected a routing gateway beside max_calls: 'pair' is a group"),
        ("44,pear,,", "gateway: value 'pear': expected the name of a routing gateway"),
    ],
)
def test_lines_that_a_group_cannot_have_are_named(site, line, expected):
    site.write("routes.csv", f"prefix,gateway,percent,max_calls\n{line}\n")
    (problem,) = site.errors(PAIR + "routing_plans: [{name: p, routes_file: routes.csv}]\n" + site.minimal)
    assert expected in problem


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"address_groups: [{{name: sites, hosts: [{NAMES}]}}]\n", "address_groups[sites].hosts: expected at most 16"),
        ("address_groups: [{name: sites}]\n", "address_groups[sites].hosts: expected at least one address"),
        ("gateway_groups: [{name: pair}]\n", "gateway_groups[pair].gateways: expected at least one gateway, which may"),
        (
            "gateway_groups: [{name: pair, gateways: carier}]\n",
            "value 'carier': expected the name of a routing gateway",
        ),
        ("gateway_groups: [{name: carrier, gateways: carrier}]\n", "expected another name than that of the routing"),
    ],
)
def test_mistakes_of_groups_are_named(site, text, expected):
    (problem,) = site.errors(text + site.minimal)
    assert expected in problem


def test_a_group_that_does_not_exist_is_named(site):
    text = site.minimal.replace("hosts: 192.0.2.1}", "hosts: 192.0.2.1, address_groups: sites}")
    (problem,) = site.errors(text)
    assert "address_groups: value 'sites': expected the name of an address group" in problem
    text = site.minimal.replace("hosts: 192.0.2.1}", "hosts: 192.0.2.1, gateways_allow: pair}")
    (problem,) = site.errors(text)
    assert "gateways_allow: value 'pair': expected the name of a routing gateway" in problem


def in_group(site, groups: str = "crowd") -> str:
    return site.minimal.replace("hosts: 192.0.2.1}", f"hosts: 192.0.2.1, groups: {groups}}}")


def test_a_mapping_gateway_has_the_limits_of_the_groups_that_it_names(site):
    groups = "gateway_groups: [{name: crowd, max_concurrent: 3}, {name: pair, gateways: carrier}]\n"
    catalogue = site.load(groups + in_group(site, "[crowd, pair]")).catalogue
    gateway = catalogue.mapping_gateways["acme-pbx"]
    assert (gateway.groups, gateway.shared_limits) == (
        {"crowd", "pair"},
        (SharedLimit(LimitScope.GROUP, "crowd", 3, None),),
    )
    assert catalogue.gateway_groups["crowd"].gateways == frozenset()
    (problem,) = site.errors(groups + in_group(site, "[crowd, pear]"))
    assert "mapping_gateways[acme-pbx].groups: value 'pear': expected the name of a gateway group" in problem


@pytest.mark.parametrize("key", ["gateways_allow", "gateways_deny"])
def test_a_group_of_customers_alone_stands_for_no_routing_gateway(site, key):
    group = "gateway_groups: [{name: crowd, max_concurrent: 3}]\n"
    (problem,) = site.errors(group + in_group(site, f"crowd, {key}: crowd"))
    assert f"{key}: value 'crowd': expected a gateway group with routing gateways" in problem
    (problem,) = site.errors(f"{group}routing_plans: [{{name: p, gateways: crowd}}]\n" + in_group(site))
    assert "routing_plans[p].gateways: value 'crowd': expected a gateway group with routing gateways" in problem


def test_a_change_by_difference_that_empties_a_group_is_a_mistake_as_in_a_whole_load(site):
    path, remembered = site.directory / "vosd.yaml", Remembered()
    text = "gateway_groups: [{name: crowd, max_concurrent: 3}]\n" + in_group(site)
    site.write("vosd.yaml", text)
    running = load(path, {}, remembered=remembered)
    site.write("vosd.yaml", text.replace(", groups: crowd", ""))
    refused = reload(path, running, {}, remembered=remembered)
    assert [each.key for each in refused.problems] == ["gateway_groups[crowd].gateways"]
    site.write("vosd.yaml", text.replace("max_concurrent: 3}", "max_concurrent: 4}"))
    taken = reload(path, running, {}, remembered=remembered)
    assert taken.in_force.catalogue.mapping_gateways["acme-pbx"].shared_limits[0].max_concurrent == 4
