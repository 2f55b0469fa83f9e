"""The indexes and counters of routing against the plain definition of what they compute."""

from collections import defaultdict
from ipaddress import ip_address, ip_network

import msgspec
import pytest
from doubles.data.builders import mapping_gateway, routing_gateway
from hypothesis import given, strategies as st

from vosd.routing import identify
from vosd.routing.capacity import Occupancy
from vosd.routing.identify import SourceConflict, SourceIndex
from vosd.routing.ports import Full
from vosd.routing.route_table import RouteTable
from vosd.trunks.dialect import CalleeSource, CallerDialect
from vosd.trunks.gateways import HostPattern, MappingGateway
from vosd.trunks.scope import LimitScope

numbers = st.text("12", max_size=5)
prefixes = st.just("*") | st.text("12", min_size=1, max_size=4)

gateway_terms = st.lists(st.tuples(st.lists(prefixes, min_size=1, max_size=4), st.integers(1, 3)), max_size=6)


@given(gateway_terms, st.lists(st.tuples(st.sampled_from(["", "+"]), numbers), min_size=1, max_size=5))
def test_candidates_are_those_of_the_definition(terms, callees):
    gateways = [
        routing_gateway(str(place), *prefixes, priority=priority) for place, (prefixes, priority) in enumerate(terms)
    ]
    table = RouteTable(gateways)
    for plus, number in callees:
        longest = {}
        for place, gateway in enumerate(gateways):
            fitting = [prefix for prefix in gateway.prefixes if prefix == "*" or number.startswith(prefix)]
            if fitting:
                length, prefix = max((len(prefix.strip("*")), prefix) for prefix in fitting)
                longest[-length, gateway.priority, place] = (gateway.name, prefix)
        found = [(candidate.gateway.name, candidate.prefix) for candidate in table.candidates(plus + number)]
        assert found == [longest[key] for key in sorted(longest)]


dialled = st.text("12a", max_size=5)
wild_prefixes = prefixes | st.text("12?", min_size=1, max_size=4)
wild_terms = st.lists(st.tuples(st.lists(wild_prefixes, min_size=1, max_size=4), st.integers(1, 3)), max_size=6)


def fits(prefix, number):
    if len(prefix) > len(number):
        return False
    return all(
        wanted == given or (wanted == "?" and given.isdigit()) for wanted, given in zip(prefix, number, strict=False)
    )


@given(wild_terms, st.lists(dialled, min_size=1, max_size=5))
def test_a_question_mark_in_a_prefix_is_any_digit(terms, callees):
    gateways = [
        routing_gateway(str(place), *prefixes, priority=priority) for place, (prefixes, priority) in enumerate(terms)
    ]
    table = RouteTable(gateways)
    for number in callees * 2:  # the second time from what is remembered
        best = {}
        for place, gateway in enumerate(gateways):
            fitting = {prefix for prefix in gateway.prefixes if prefix == "*" or fits(prefix, number)}
            length = max((len(prefix.strip("*")) for prefix in fitting), default=None)
            if length is not None:
                longest = {prefix for prefix in fitting if len(prefix.strip("*")) == length}
                plain = {prefix for prefix in longest if "?" not in prefix}
                best[-length, gateway.priority, place] = (gateway.name, plain or longest)
        found = table.candidates(number)
        assert [each.gateway.name for each in found] == [best[key][0] for key in sorted(best)]
        assert all(each.prefix in best[key][1] for each, key in zip(found, sorted(best), strict=True))


hosts = st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.1.1", "10.9.9.9", "192.0.2.1", "2001:db8::1", "2001:db9::1"])
patterns = st.builds(
    lambda host, bits, port: HostPattern(
        ip_network(f"{host}/{bits if ':' not in host else bits * 4}", strict=False), port
    ),
    hosts,
    st.sampled_from([0, 8, 24, 32]),
    st.sampled_from([None, 5060, 5062]),
)
sources = st.lists(
    st.tuples(st.lists(patterns, min_size=1, max_size=3), st.sampled_from(["", "1", "12", "2"])), max_size=6
)


@given(sources, st.lists(st.tuples(hosts, st.sampled_from([5060, 5062, 9]), numbers), min_size=1, max_size=6))
def test_source_belongs_to_the_most_specific_claim(sources, packets):
    gateways = [
        MappingGateway(str(place), "acme", tuple(patterns), tech_prefix=tech_prefix)
        for place, (patterns, tech_prefix) in enumerate(sources)
    ]
    claims = [(pattern, gateway) for gateway in gateways for pattern in gateway.hosts]
    owners = defaultdict(set)
    for pattern, gateway in claims:
        owners[pattern, gateway.tech_prefix].add(gateway.name)
    if any(len(names) > 1 for names in owners.values()):
        with pytest.raises(SourceConflict) as conflict:
            SourceIndex(gateways)
        named = {conflict.value.first, conflict.value.second}
        assert any(named <= names for names in owners.values())
        return
    index = SourceIndex(gateways)
    for host, port, callee in packets:
        address = ip_address(host)
        from_here = [
            (pattern, gateway)
            for pattern, gateway in claims
            if address in pattern.network and pattern.port in (None, port)
        ]
        fitting = [claim for claim in from_here if callee.startswith(claim[1].tech_prefix)]
        identified = index.identify(host, port, lambda _, callee=callee: callee)
        assert index.knows(host, port) == bool(from_here)
        assert (identified is None) == (not fitting)
        assert identified is not None or not index.is_trusted(host, port)
        if identified is not None:
            _, gateway = max(
                fitting,
                key=lambda claim: (claim[0].port is not None, claim[0].network.prefixlen, len(claim[1].tech_prefix)),
            )
            assert identified.gateway == gateway
            assert gateway.tech_prefix + identified.callee == callee


claim_terms = st.lists(
    st.tuples(
        st.sampled_from(["10.0.0.0/8", "10.0.0.0/24", "10.0.0.1/32"]),
        st.sampled_from([None, 5060, 5062]),
        st.text("12+", max_size=3),
        st.sampled_from(CalleeSource),
    ),
    min_size=3,
    max_size=14,
    unique_by=lambda each: each[:3],
)
numbers_dialled = st.sampled_from(["urn:service:sos.fire", "1 2-1", "+1(2)2", "anne", ""]) | st.text("12+", max_size=6)


@given(
    claim_terms,
    st.lists(st.tuples(numbers_dialled, numbers_dialled, st.sampled_from([5060, 5061])), min_size=3, max_size=9),
)
def test_claims_are_found_in_tables_as_by_comparing_one_after_the_other(terms, packets):
    """So is what is read of a message: some of it may be malformed, which only matters where it is needed."""
    gateways = [
        msgspec.structs.replace(
            mapping_gateway(f"g{place}", tech_prefix=prefix, dialect=CallerDialect(callee_from=callee_from)),
            hosts=(HostPattern(ip_network(network), port),),
        )
        for place, (network, port, prefix, callee_from) in enumerate(terms)
    ]
    for uri, to, port in packets:
        found = []
        for few in (0, len(gateways)):
            index, read = SourceIndex(gateways), set()

            def called(part, read=read, uri=uri, to=to):
                read.add(part)
                return uri if part is CalleeSource.REQUEST_URI else to

            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(identify, "FEW", few)
                found.append((index.identify("10.0.0.1", port, called), read))
        assert found[0] == found[1]


@given(
    st.lists(st.tuples(st.sampled_from([0, 1, 250, 500, 999, 1_000]), st.booleans()), max_size=60),
    st.none() | st.integers(0, 5),
    st.none() | st.integers(0, 5),
)
def test_counters_agree_with_the_list_of_all_calls(arrivals, max_concurrent, max_cps):
    occupancy = Occupancy()
    now, active, accepted = 0, 0, []
    for pause, ends_one in arrivals:
        now += pause
        if ends_one and active:
            occupancy.release(LimitScope.ROUTING, "a")
            active -= 1
        recent = sum(now - taken < 1_000 for taken in accepted)
        answer = occupancy.take(LimitScope.ROUTING, "a", max_concurrent, max_cps, now)
        if max_concurrent is not None and active >= max_concurrent:
            assert answer is Full.CONCURRENCY
        elif max_cps is not None and recent >= max_cps:
            assert answer is Full.RATE
        else:
            assert answer is None
            active += 1
            accepted.append(now)
        assert occupancy.active(LimitScope.ROUTING, "a") == occupancy.total() == active
