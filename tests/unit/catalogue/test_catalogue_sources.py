"""References between the definitions of a catalogue, and what no two of them may have."""

from collections.abc import Mapping

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

from vosd.billing.rate_group import RateGroup
from vosd.catalogue.assemble import assemble
from vosd.catalogue.catalogue import Catalogue
from vosd.catalogue.parameters import CallParameters
from vosd.catalogue.problems import ProblemList
from vosd.catalogue.source import CURRENCY_OF_RATE_GROUP, PREFIXES_FROM_RATES, CatalogueSource, Definition, References


def with_broken(accounts: Mapping[str, References], *others: Defined) -> CatalogueSource:
    """Make a source with accounts that have mistakes, each with what it refers to, and with other objects."""
    made = source("files", *others)
    for row, (broken, refers_to) in enumerate(accounts.items(), 1):
        made.accounts.broken[broken] = Definition(refers_to, f"accounts[{broken}]", Row("broken", row))
    return made


def assembled(defined: CatalogueSource) -> Catalogue:
    problems = ProblemList()
    catalogue = assemble(defined, problems)
    assert problems.in_order() == ()
    return catalogue


def problems_of(defined: CatalogueSource) -> list[str]:
    problems = ProblemList()
    assemble(defined, problems)
    return [str(problem) for problem in problems.in_order()]


SELL, BUY = rate_group("sell", applied_rate("0.60")), rate_group("buy", applied_rate("0.30", prefix="49"))
ACME, CARRIER = account("acme"), account("carrier", rate_group="buy")
PBX, TRUNK = mapping_gateway("pbx", "192.0.2.1", account="acme"), routing_gateway("trunk", "44", account="carrier")
DESK = phone("7001", account="acme")


def test_objects_refer_to_each_other():
    catalogue = assembled(source("files", SELL, BUY, CARRIER, PBX, ACME, TRUNK, DESK))
    assert set(catalogue.accounts) == {"acme", "carrier"}
    assert catalogue.sources.knows("192.0.2.1", 5060)
    assert [each.gateway.name for each in catalogue.routes.candidates("4420")] == ["trunk"]
    assert catalogue.routes.candidates("7001")[0].gateway.is_phone
    assert catalogue.users["7001"].name == "7001"


def test_a_reference_to_a_definition_with_mistakes_is_no_further_mistake():
    assert problems_of(with_broken({"acme": References()}, PBX)) == []


def test_definitions_with_mistakes_are_still_asked_for_what_they_refer_to():
    assert problems_of(with_broken({"acme": References(rate_group="sel")}, SELL)) == [
        "broken:1: accounts[acme].rate_group: value 'sel': expected the name of a rate group; did you mean 'sell'?"
    ]


def test_a_reference_to_nothing_is_an_error_with_the_nearest_name():
    wrong = mapping_gateway("pbx", "192.0.2.1", account="acm")
    assert problems_of(source("files", SELL, ACME, wrong)) == [
        "files:3: mapping gateway pbx.account: value 'acm': expected the name of an account; did you mean 'acme'?"
    ]


def test_an_account_has_the_currency_of_its_rate_group():
    euros = RateGroup("sell", "EUR", SELL.policy, SELL.table, "1")
    silent = account("acme", currency=CURRENCY_OF_RATE_GROUP)
    assert assembled(source("files", euros, silent)).accounts["acme"].currency == "EUR"
    assert problems_of(source("files", euros, account("acme", currency="USD"))) == [
        (
            "files:2: account acme.currency: value 'USD': expected EUR, the currency of rate group 'sell', or "
            "exchange_rates with base: EUR and quote: USD"
        )
    ]


def test_a_gateway_takes_the_prefixes_of_its_buy_rates():
    trunk = routing_gateway("trunk", *PREFIXES_FROM_RATES, account="carrier")
    catalogue = assembled(source("files", trunk, BUY, CARRIER))
    assert [each.prefix for each in catalogue.routes.candidates("4930")] == ["49"]
    assert catalogue.routes.candidates("4420") == ()


def test_two_gateways_cannot_send_from_one_address():
    rival = mapping_gateway("rival", "192.0.2.1", account="acme")
    (problem,) = problems_of(source("files", SELL, ACME, PBX, rival))
    assert problem.startswith(
        "files:4: mapping gateway rival.hosts: expected hosts or a tech_prefix that differ from 'pbx' at files:3"
    )


def test_two_users_cannot_share_a_user_name():
    rival = mapping_gateway("rival", account="acme", credentials=credentials("7001", "x"))
    (problem,) = problems_of(source("files", SELL, ACME, rival, DESK))
    assert problem.startswith("files:4: phone 7001.username: value '7001': expected another domain, or a username")
    assert problem.endswith("'rival' at files:3")


def test_the_parameters_are_those_that_are_defined():
    assert assembled(source("files")).parameters == CallParameters()
    longer = CallParameters(max_call_seconds=60)
    assert assembled(source("files", parameters=longer)).parameters is longer


def test_a_phone_has_the_offline_gateway_of_the_installation():
    rest = (SELL, ACME, BUY, CARRIER, DESK, TRUNK)
    assert assembled(source("files", *rest, offline_gateway="trunk")).phones["7001"].offline_gateway == "trunk"
    assert problems_of(source("files", *rest, offline_gateway="trunc")) == [
        "files: offline_gateway: value 'trunc': expected the name of a routing gateway; did you mean 'trunk'?"
    ]
