"""Rating stored calls again: nothing changes with unchanged rates, and exactly the difference with others."""

from decimal import Decimal

import msgspec
import pytest
from doubles.month_of_calls import CONFIGURATION, catalogue_of, month, past_of

from vosd.admin import price_differences
from vosd.admin.office.rerating import RerateReport
from vosd.admin.price_differences import OTHERS
from vosd.admin.rerate import Rerating
from vosd.base.money import ZERO
from vosd.callcontrol.rates_again import RatesAgain
from vosd.catalogue.catalogue import Catalogue
from vosd.cdr.past import PastCall


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    return catalogue_of(tmp_path_factory.mktemp("month"))


@pytest.fixture(scope="module")
def calls(catalogue: Catalogue) -> list[PastCall]:
    return [past_of(record) for record in month(catalogue, 1_200)]


def rerated(calls: list[PastCall], *arguments: Catalogue, **terms: object) -> Rerating:
    rerating = Rerating(*arguments, **terms)
    for each in calls:
        rerating.add(each)
    return rerating


def test_a_month_of_calls_has_every_kind_of_charge(calls: list[PastCall]) -> None:
    text = "".join(each.fee_breakdown for each in calls)
    for step in (
        "first_period",
        "sections",
        "section_cap",
        "connection_fee",
        "minimum_charge",
        "candidate",
        "dead_call",
    ):
        assert step in text
    assert {each.vendor_account for each in calls} == {"seconds", "minutes", "plain"}
    assert any(each.agents and each.agents[0].fee for each in calls)
    assert any(each.answered_at is None and each.cost for each in calls)
    assert any(each.answered_at is not None and not each.fee for each in calls)
    assert any(each.rate_group == "free number" and each.answered_at for each in calls)
    assert len({each.customer_account for each in calls}) == 5


def test_with_unchanged_rates_every_charge_and_every_step_is_as_it_was(tmp_path, calls: list[PastCall]) -> None:
    again = catalogue_of(tmp_path)  # of another process, as it were: nothing is shared with the one that rated
    rerating = rerated(calls, again, compares_steps=True)
    assert (rerating.calls, rerating.differences.differ, rerating.steps_differ) == (len(calls), 0, 0)
    charged = next(each for each in calls if each.fee)
    of_another_rate = charged._replace(fee_breakdown=charged.fee_breakdown.replace("0", "1"))  # as long as the own one
    assert rerated([of_another_rate], again, compares_steps=True).steps_differ == 1
    document = rerating.to_json(10)
    assert document["charges"] > 2_000
    for row in document["accounts"]:
        assert (row["before"], row["difference"]) == (row["after"], "0.00")
    booked = sum((each.cost + each.cost_tax for each in calls if each.vendor_account == "minutes"), ZERO)
    (vendor,) = [row for row in document["accounts"] if row["account"] == "minutes"]
    assert Decimal(vendor["before"]) == booked > 0


def test_a_changed_rate_shows_in_its_calls_and_in_no_others(tmp_path, calls: list[PastCall]) -> None:
    text = CONFIGURATION.replace(
        '{prefix: "447", area: "UK mobile", billing_rate: "0.19999999"', '{prefix: "447", billing_rate: "0.3"'
    )
    changed = catalogue_of(tmp_path, text)
    rerating = rerated(calls, changed, compares_steps=True)
    document = rerating.to_json(10)
    assert {row["account"] for row in document["accounts"] if row["differ"]} == {"plain", "cheapest"}
    (prefix,) = rerated(calls, changed, account="plain").to_json(10)["prefixes"]  # no other rates come in there
    assert prefix["prefix"] == "447"
    differences = sum(Decimal(row["difference"]) for row in document["accounts"])
    assert differences == sum(Decimal(row["difference"]) for row in document["prefixes"]) > 0
    greatest = [abs(Decimal(each["after"]) - Decimal(each["before"])) for each in document["greatest"]]
    assert greatest == sorted(greatest, reverse=True)
    assert len(greatest) == min(20, rerating.differences.differ) > 10
    assert rerating.steps_differ > 0  # the version of the group is another one, also where the charge is the same
    result = msgspec.convert(document, RerateReport)
    assert msgspec.json.encode(result.accounts) == msgspec.json.encode(document["accounts"])
    assert msgspec.json.encode(result.prefixes) == msgspec.json.encode(document["prefixes"])
    assert msgspec.json.encode(result.greatest) == msgspec.json.encode(document["greatest"])
    renamed = document | {"accounts": [{"customer": "plain"}]}
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(renamed, RerateReport)


def test_a_change_says_by_which_tax_rate_it_is_taxed(tmp_path, calls: list[PastCall]) -> None:
    london = 'area: "London", billing_rate: "0.017", interval: "30/6", tax_rate: '
    text = CONFIGURATION.replace(f'{london}"7.7"', f'{london}"9.25"')
    rerating = Rerating(catalogue_of(tmp_path, text), corrects=True)
    changed = [(each, call) for call in calls for each in rerating.add(call) if each.after.tax]
    assert len(changed) > 10
    for each, call in changed:
        assert each.tax_rate == Decimal("9.25"), call
        assert abs(each.after.tax - each.after.fee * Decimal("0.0925")) < Decimal("0.01")


def test_a_difference_is_of_the_prefix_that_prices_the_call_now(tmp_path, calls: list[PastCall]) -> None:
    cheaper_if_long = 'billing_rate: "0.001", first_rate: "0.03"'
    text = CONFIGURATION.replace('billing_rate: "0.01", first_rate: "0.2"', cheaper_if_long)
    document = rerated(calls, catalogue_of(tmp_path, text), account="cheapest").to_json(10)
    assert [row["prefix"] for row in document["prefixes"]] == ["442"]


def test_other_rates_of_one_account_concern_its_calls_alone(catalogue: Catalogue, calls: list[PastCall]) -> None:
    cheaper = catalogue.rate_groups["private"]
    document = rerated(calls, catalogue, account="seconds", instead=cheaper).to_json(10)
    (row,) = document["accounts"]
    assert (row["account"], row["role"]) == ("seconds", "vendor")
    assert row["without_rate"] > 0  # it rates 442 only
    assert row["calls"] == sum(each.vendor_account == "seconds" for each in calls)
    assert Decimal(row["before_without_rate"]) > 0
    rated = Decimal(row["before"]) - Decimal(row["before_without_rate"])
    assert Decimal(row["difference"]) == Decimal(row["after"]) - rated


def test_other_rates_of_an_account_have_their_own_origins_and_periods(tmp_path) -> None:
    """By the rate group that an account has, nothing differs."""
    group = "  - name: minutes\n"
    catalogue = catalogue_of(tmp_path, CONFIGURATION.replace(group, f"{group}    period_rates: tariff\n"))
    calls = [past_of(record) for record in month(catalogue, 300)]
    rated = [each for each in calls if each.vendor_account == "minutes"]
    document = rerated(rated, catalogue, account="minutes", instead=catalogue.rate_groups["minutes"]).to_json(10)
    assert (document["charges"], document["differ"]) == (len(rated), 0)
    dearer = rerated(rated, catalogue, account="minutes", instead=catalogue.rate_groups["retail"]).to_json(10)
    assert dearer["differ"] > 0


def test_an_agent_is_rated_by_its_own_rates(tmp_path, catalogue: Catalogue, calls: list[PastCall]) -> None:
    (row,) = rerated(calls, catalogue, account="agent").to_json(10)["accounts"]
    assert (row["role"], row["differ"], row["calls"]) == (
        "agent",
        0,
        sum(len(each.agents) for each in calls if each.answered_at),
    )
    dearer = catalogue_of(tmp_path, CONFIGURATION.replace('"0.0071"', '"0.0171"'))
    (row,) = rerated(calls, dearer, account="agent").to_json(10)["accounts"]
    assert row["differ"] > 0


def test_a_gateway_that_is_gone_is_rated_by_its_account(tmp_path, calls: list[PastCall]) -> None:
    line = "  - {name: other-group, account: plain, hosts: 192.0.2.2, rate_group: uncapped}\n"
    document = rerated(calls, catalogue_of(tmp_path, CONFIGURATION.replace(line, ""))).to_json(10)
    assert [row["account"] for row in document["accounts"] if row["differ"]] == ["plain"]


def test_a_vendor_that_is_gone_is_rated_by_its_account_and_without_that_not_at_all(
    tmp_path, calls: list[PastCall]
) -> None:
    gateway = "  - {name: minutes, account: minutes, address: 203.0.113.2}\n"
    account = "  - {id: minutes, type: clearing, rate_group: minutes, overdraft_limit: unlimited}\n"
    without = CONFIGURATION.replace(gateway, "")
    assert rerated(calls, catalogue_of(tmp_path, without)).differences.differ == 0
    document = rerated(calls, catalogue_of(tmp_path, without.replace(account, ""))).to_json(10)
    (row,) = [each for each in document["accounts"] if each["differ"]]
    assert (row["account"], row["without_rate"]) == ("minutes", row["calls"])


@pytest.mark.parametrize(
    "rule",
    [
        'tech_prefix: "99"', 'callee_rewrite: [["44", "0044"]]', "caller_format: {shortest: 5}",
        'caller_rewrite: [["49", "0"]]',
    ],
)  # fmt: skip
def test_calls_by_a_vendor_with_rules_are_as_they_were(tmp_path, rule: str) -> None:
    """The rates of that vendor depend on the caller, whose number the trunk of the customer has rewritten."""
    gateway = "name: minutes, account: minutes, address: 203.0.113.2"
    catalogue = catalogue_of(tmp_path, CONFIGURATION.replace(gateway, f"{gateway}, {rule}"))
    assert catalogue.routing_gateways["minutes"].numbers is not None
    calls = [past_of(record) for record in month(catalogue, 300)]
    sent = [each for each in calls if each.vendor_account == "minutes" and each.mapping_gateway == "cycles"]
    assert any(each.caller_in.startswith("0") for each in sent)
    assert rerated(calls, catalogue).differences.differ == 0


def test_a_caller_is_the_one_that_the_trunk_has_made_unless_the_vendor_may_have_made_another(
    tmp_path, calls: list[PastCall]
) -> None:
    """There is no vendor on calls to phones, and the rules of one that is gone are not known."""
    text = CONFIGURATION
    for gateway, rule in (
        ("address: 203.0.113.2}", 'caller_rewrite: [["4", "5"]]'),
        ("hosts: 192.0.2.6}", 'callee_rewrite: [["4", "4"]]'),
        ("hosts: 192.0.2.5}", "caller_drop: yes"),
        ("hosts: 192.0.2.2, rate_group: uncapped}", 'caller_format: {shortest: 12, replacement: "4940123456"}'),
    ):
        text = text.replace(gateway, f"{gateway[:-1]}, {rule}}}")
    rates = RatesAgain(catalogue_of(tmp_path, text))
    received, sent, past = "0301234567", "493099", calls[0]._replace(caller_in="0301234567", caller_out="493099")
    for mapping, routing, caller in (
        ("cycles", "seconds", sent),
        ("cycles", "minutes", "49301234567"),
        ("cycles", "gone", sent),
        ("cycles", None, sent),
        ("cheapest", "minutes", ""),
        ("other-group", "minutes", "4940123456"),
        ("preferred", "minutes", received),
        ("preferred", "gone", received),
        ("plain", "gone", received),
        ("gone", "gone", received),
        (None, "seconds", sent),
    ):
        found = rates.caller_of(past._replace(mapping_gateway=mapping, routing_gateway=routing))
        assert found == caller, (mapping, routing)
    assert rates.caller_of(past._replace(mapping_gateway="cycles", caller_out=None)) == "49301234567"
    fitting = past._replace(mapping_gateway="other-group", routing_gateway="minutes", caller_in="493012345678")
    assert rates.caller_of(fitting) == fitting.caller_in


def test_a_number_that_was_free_with_its_routing_prefix_stays_free(tmp_path, calls: list[PastCall]) -> None:
    text = CONFIGURATION.replace('FREE_E164S: "4915999*"', 'FREE_E164S: "4915999*,9944"')
    charged = next(each for each in calls if each.customer_account == "plain" and each.answered_at and each.fee)
    free = charged._replace(callee_billing="44", rate_group="free number", rate_prefix="9944", fee=ZERO, tax=ZERO)
    catalogue = catalogue_of(tmp_path, text)
    assert rerated([free], catalogue, account="plain").differences.differ == 0
    assert rerated([free._replace(rate_group="retail")], catalogue, account="plain").differences.differ == 1


def test_a_rate_in_another_currency_is_no_price(catalogue: Catalogue, calls: list[PastCall]) -> None:
    elsewhere = [each._replace(vendor_currency="EUR") for each in calls if each.vendor_account == "minutes"]
    document = rerated(elsewhere, catalogue, account="minutes").to_json(10)
    (row,) = document["accounts"]
    assert (row["currency"], row["after"], row["without_rate"]) == ("EUR", "0.00", len(elsewhere))
    assert (row["before_without_rate"], row["difference"]) == (row["before"], "0.00")
    assert document["greatest"][0]["after"] is None


def test_prefixes_are_bounded(monkeypatch: pytest.MonkeyPatch, tmp_path, calls: list[PastCall]) -> None:
    monkeypatch.setattr(price_differences, "PREFIXES_MAX", 2)
    text = CONFIGURATION.replace("fee_precision: 4", "fee_precision: 1")
    document = rerated(calls, catalogue_of(tmp_path, text)).to_json(10)
    assert OTHERS in {row["prefix"] for row in document["prefixes"]}
    assert sum(row["differ"] for row in document["accounts"]) == sum(row["differ"] for row in document["prefixes"])
