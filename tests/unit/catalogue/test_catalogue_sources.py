"""A catalogue of two sources: references across them, and what both define."""

from collections.abc import Iterable, Mapping

import pytest
from doubles.data.builders import (
    account,
    applied_rate,
    credentials,
    mapping_gateway,
    phone,
    rate_group,
    routing_gateway,
)
from doubles.data.sources import Defined, Row, source
from hypothesis import given
from hypothesis import strategies as st

from vosd.billing.rate_group import RateGroup
from vosd.catalogue.assemble import assemble
from vosd.catalogue.catalogue import Catalogue
from vosd.catalogue.parameters import CallParameters
from vosd.catalogue.problems import ProblemList
from vosd.catalogue.source import (
    CURRENCY_OF_RATE_GROUP,
    PREFIXES_FROM_RATES,
    CatalogueSource,
    Definition,
    References,
)


def with_broken(name: str, accounts: Mapping[str, References]) -> CatalogueSource:
    """Make a source with accounts that have mistakes, and what each refers to."""
    made = source(name)
    for row, (broken, refers_to) in enumerate(accounts.items(), 1):
        made.accounts.broken[broken] = Definition(refers_to, f"accounts[{broken}]", Row(name, row))
    return made


def assembled(*sources: CatalogueSource) -> Catalogue:
    problems = ProblemList()
    catalogue = assemble(sources, problems)
    assert problems.in_order() == ()
    return catalogue


def problems_of(*sources: CatalogueSource) -> list[str]:
    problems = ProblemList()
    assemble(sources, problems)
    return [str(problem) for problem in problems.in_order()]


SELL, BUY = rate_group("sell", applied_rate("0.60")), rate_group("buy", applied_rate("0.30", prefix="49"))
ACME, CARRIER = account("acme"), account("carrier", rate_group="buy")
PBX, TRUNK = mapping_gateway("pbx", "192.0.2.1", account="acme"), routing_gateway("trunk", "44", account="carrier")
DESK = phone("7001", account="acme")


def test_objects_of_one_source_refer_to_those_of_another():
    catalogue = assembled(source("files", SELL, BUY, CARRIER, PBX), source("database", ACME, TRUNK, DESK))
    assert set(catalogue.accounts) == {"acme", "carrier"}
    assert catalogue.sources.knows("192.0.2.1", 5060)
    assert [each.gateway.name for each in catalogue.routes.candidates("4420")] == ["trunk"]
    assert catalogue.routes.candidates("7001")[0].gateway.is_phone
    assert catalogue.users["7001"].name == "7001"


THINGS = (SELL, BUY, ACME, CARRIER, PBX, TRUNK, DESK)


@given(st.lists(st.booleans(), min_size=len(THINGS), max_size=len(THINGS)))
def test_it_makes_no_difference_which_source_defines_an_object(first):
    parts = [[thing for thing, here in zip(THINGS, first, strict=True) if here is wanted] for wanted in (True, False)]
    split = assembled(*(source(name, *part) for name, part in zip(("files", "database"), parts, strict=True)))
    assert split.version == assembled(source("files", *THINGS)).version


@pytest.mark.parametrize(
    ("one", "kind", "key", "name"),
    [
        (ACME, "account", "id", "acme"),
        (SELL, "rate group", "name", "sell"),
        (PBX, "mapping gateway", "name", "pbx"),
        (TRUNK, "routing gateway", "name", "trunk"),
        (DESK, "phone", "number", "7001"),
    ],
)
def test_the_same_definition_in_two_sources_is_an_error_that_names_both_places(one, kind, key, name):
    rest = [each for each in THINGS if each is not one]
    assert problems_of(source("files", *rest, one), source("database", one)) == [
        (
            f"database:1: {kind} {name}.{key}: value '{name}': "
            f"expected each {kind} in one source only; files defines it too, at files:7"
        )
    ]


def test_a_definition_with_mistakes_counts_as_one_of_two():
    assert problems_of(with_broken("files", {"acme": References()}), source("database", SELL, ACME)) == [
        (
            "database:2: account acme.id: value 'acme': "
            "expected each account in one source only; files defines it too, at files:1"
        )
    ]
    assert problems_of(source("files", SELL, ACME), with_broken("database", {"acme": References()})) == [
        (
            "database:1: accounts[acme].id: value 'acme': "
            "expected each account in one source only; files defines it too, at files:2"
        )
    ]


def test_a_reference_to_a_definition_with_mistakes_in_another_source_is_no_further_mistake():
    assert problems_of(with_broken("files", {"acme": References()}), source("database", PBX)) == []


def test_definitions_with_mistakes_are_still_asked_for_what_they_refer_to():
    assert problems_of(with_broken("files", {"acme": References(rate_group="sel")}), source("database", SELL)) == [
        "files:1: accounts[acme].rate_group: value 'sel': expected the name of a rate group; did you mean 'sell'?"
    ]


def test_a_reference_that_no_source_defines_is_an_error_with_the_nearest_name_of_any_source():
    wrong = mapping_gateway("pbx", "192.0.2.1", account="acm")
    assert problems_of(source("files", wrong), source("database", SELL, ACME)) == [
        "files:1: mapping gateway pbx.account: value 'acm': expected the name of an account; did you mean 'acme'?"
    ]


def test_an_account_has_the_currency_of_its_rate_group_in_another_source():
    euros = RateGroup("sell", "EUR", SELL.policy, SELL.table, "1")
    silent = account("acme", currency=CURRENCY_OF_RATE_GROUP)
    assert assembled(source("files", euros), source("database", silent)).accounts["acme"].currency == "EUR"
    assert problems_of(source("files", euros), source("database", account("acme", currency="USD"))) == [
        (
            "database:1: account acme.currency: value 'USD': expected EUR, the currency of rate group 'sell', or "
            "exchange_rates with base: EUR and quote: USD"
        )
    ]


def test_a_gateway_takes_the_prefixes_of_the_rates_of_another_source():
    trunk = routing_gateway("trunk", *PREFIXES_FROM_RATES, account="carrier")
    catalogue = assembled(source("files", trunk), source("database", BUY, CARRIER))
    assert [each.prefix for each in catalogue.routes.candidates("4930")] == ["49"]
    assert catalogue.routes.candidates("4420") == ()


def test_gateways_of_two_sources_cannot_send_from_one_address():
    rival = mapping_gateway("rival", "192.0.2.1", account="acme")
    (problem,) = problems_of(source("files", SELL, ACME, PBX), source("database", rival))
    assert problem.startswith(
        "database:1: mapping gateway rival.hosts: expected hosts or a tech_prefix that differ from 'pbx' at files:3"
    )


def test_users_of_two_sources_cannot_share_a_user_name():
    rival = mapping_gateway("rival", account="acme", credentials=credentials("7001", "x"))
    (problem,) = problems_of(source("files", SELL, ACME, rival), source("database", DESK))
    assert problem.startswith("database:1: phone 7001.username: value '7001': expected another domain, or a username")
    assert problem.endswith("'rival' at files:3")


def test_the_parameters_and_the_offline_gateway_come_from_one_source():
    assert assembled(source("files")).parameters == CallParameters()
    longer = CallParameters(max_call_seconds=60)
    found = assembled(source("files", SELL, ACME, BUY, CARRIER, TRUNK), source("database", DESK, parameters=longer))
    assert found.parameters is longer
    settings = {"parameters": longer, "offline_gateway": "trunk"}
    assert problems_of(source("files", BUY, CARRIER, TRUNK, **settings), source("database", **settings)) == [
        "database: parameters: expected this key in one source only; files defines it too, at files",
        "database: offline_gateway: expected this key in one source only; files defines it too, at files",
    ]


def test_a_phone_has_the_offline_gateway_of_the_installation_whichever_source_defines_them():
    rest: Iterable[Defined] = (SELL, ACME, BUY, CARRIER)
    found = assembled(source("files", *rest, DESK), source("database", TRUNK, offline_gateway="trunk"))
    assert found.phones["7001"].offline_gateway == "trunk"
    assert problems_of(source("files", *rest, DESK), source("database", TRUNK, offline_gateway="trunc")) == [
        "database: offline_gateway: value 'trunc': expected the name of a routing gateway; did you mean 'trunk'?"
    ]


def test_three_sources_are_merged_in_order():
    catalogue = assembled(source("one", SELL), source("two", ACME), source("three", PBX))
    assert list(catalogue.mapping_gateways) == ["pbx"]
    found = problems_of(source("one", SELL), source("two", ACME), source("three", ACME))
    assert [problem.partition(";")[2] for problem in found] == [" two defines it too, at two:1"]
