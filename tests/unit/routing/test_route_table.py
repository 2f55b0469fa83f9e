"""The gateways whose prefix fits a number, in the order in which they are tried."""

from doubles.data.builders import applied_rate, rate_group, routing_gateway

from vosd.billing.rate_choice import PricedPrefixes
from vosd.routing import route_table as match
from vosd.routing.route_table import RouteTable
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


def test_a_prefix_with_wildcards_is_as_long_as_it_is_written():
    table = RouteTable(
        [
            routing_gateway("mobile", "447?", priority=2),
            routing_gateway("london", "4420", "44??1", priority=2),
            routing_gateway("uk", "44", priority=1),
        ]
    )
    assert order(table, "44201") == [("london", "44??1"), ("uk", "44")]
    assert order(table, "44209") == [("london", "4420"), ("uk", "44")]
    assert order(table, "4479") == [("mobile", "447?"), ("uk", "44")]
    assert order(table, "447") == [("uk", "44")]
    assert order(table, "447x") == [("uk", "44")]


def test_wildcards_go_with_prefixes_of_buy_rates_and_with_plain_ones():
    rates = rate_group("buy", applied_rate(prefix="4479"))
    table = RouteTable(
        [routing_gateway("rated", "from_rates", priority=1), routing_gateway("wild", "4?79", priority=2)],
        rates={"rated": PricedPrefixes(rates)},
    )
    assert order(table, "447901") == [("rated", "4479"), ("wild", "4?79")]
    assert order(table, "437901") == [("wild", "4?79")]
    assert order(table, "4478") == []


def test_plain_prefixes_need_no_look_at_wildcards():
    plain, wild = RouteTable([routing_gateway("a", "44")]), RouteTable([routing_gateway("a", "44", "4?0")])
    assert (plain._has_more, wild._has_more) == (False, True)
