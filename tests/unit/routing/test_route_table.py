"""The gateways whose prefix fits a number, in the order in which they are tried."""

from vosd.routing import route_table as match
from vosd.routing.route_table import RouteTable
from vosd.testing.data.builders import routing_gateway
from vosd.trunks.gateways import RoutingGateway


def order(table: RouteTable, callee: str) -> list[tuple[str, str]]:
    return [(candidate.gateway.name, candidate.prefix) for candidate in table.candidates(callee)]


def test_prefix_length_comes_before_priority_and_priority_before_definition():
    table = RouteTable(
        [
            routing_gateway("any", "*", priority=1),
            routing_gateway("late", "44", priority=2),
            routing_gateway("early", "44", priority=1),
            routing_gateway("exact", "4420", priority=9),
            routing_gateway("equal", "44", priority=1),
        ]
    )
    assert order(table, "442071") == [("exact", "4420"), ("early", "44"), ("equal", "44"), ("late", "44"), ("any", "*")]


def test_gateway_appears_once_with_its_longest_prefix():
    table = RouteTable([routing_gateway("a", "*", "44", "4420", priority=5), routing_gateway("b", "44", priority=1)])
    assert order(table, "4420") == [("a", "4420"), ("b", "44")]
    assert order(table, "4430") == [("b", "44"), ("a", "44")]
    assert order(table, "33") == [("a", "*")]


def test_leading_plus_of_the_number_is_dropped_once():
    table = RouteTable([routing_gateway("a", "44")])
    assert order(table, "+4420") == [("a", "44")]
    assert order(table, "++4420") == []


def test_number_shorter_than_the_prefix_does_not_fit():
    assert order(RouteTable([routing_gateway("a", "4420")]), "44") == []


def test_a_user_part_that_is_no_number_is_compared_as_text():
    table = RouteTable([routing_gateway("a", "sales"), routing_gateway("b")])
    assert order(table, "sales-uk") == [("a", "sales"), ("b", "*")]


def test_empty_number_fits_the_catch_all_only():
    assert order(RouteTable([routing_gateway("a", "4"), routing_gateway("b", "*")]), "") == [("b", "*")]


def test_gateway_without_prefixes_fits_nothing():
    assert order(RouteTable([RoutingGateway("a", "a", (), ())]), "44") == []


def test_disabled_gateway_stays_a_candidate_for_the_pipeline_to_explain():
    assert order(RouteTable([routing_gateway("a", "44", enabled=False)]), "44") == [("a", "44")]


def test_the_cache_of_lists_is_bounded(monkeypatch):
    monkeypatch.setattr(match, "_REMEMBERED_PREFIXES", 2)
    table = RouteTable([routing_gateway("a", *"12345"), routing_gateway("b")])
    for _ in range(2):
        for digit in "12345":
            assert order(table, digit) == [("a", digit), ("b", "*")]
    assert len(table._fits) <= 2
