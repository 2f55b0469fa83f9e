"""Agents of accounts in the configuration: what they must be, and what follows for the accounts below them."""

import pytest

ACCOUNTS = """
accounts:
  - {id: top, rate_group: sell, denied_prefixes: "4470"}
  - {id: mid, rate_group: sell, agent: top}
  - {id: acme, rate_group: sell, agent: mid, allowed_prefixes: "44, 49"}
  - {id: carrier, type: clearing, rate_group: buy, overdraft_limit: unlimited}
"""


def text_of(site, accounts=ACCOUNTS):
    before, _, rest = site.minimal.partition("accounts:\n")
    return before + accounts.strip("\n") + "\nmapping_gateways:" + rest.partition("mapping_gateways:")[2]


def test_the_agents_above_each_account_are_known_from_the_nearest_up(site):
    agents = site.load(text_of(site)).catalogue.agents
    assert {name: [agent.id for agent in above] for name, above in agents.items()} == {
        "mid": ["top"],
        "acme": ["mid", "top"],
    }


def test_number_sections_are_inherited_and_can_only_be_narrowed(site):
    sections = site.load(text_of(site)).catalogue.sections
    assert {name: [each.owner for each in chain] for name, chain in sections.items()} == {
        "top": ["top"],
        "mid": ["top"],
        "acme": ["acme", "top"],
    }


@pytest.mark.parametrize(
    ("old", "new", "account", "expected"),
    [
        ("agent: mid", "agent: unknown", "acme", "the name of an account; one of acme,"),
        ("agent: mid", "agent: carrier", "acme", "an account of type direct, which 'carrier' is not"),
        ("{id: top,", "{id: top, agent: acme,", "top", "an account that is not below this one: top is below acme is"),
        ("{id: top,", "{id: top, agent: top,", "top", "an account that is not below this one: top is below top"),
        ("{id: carrier,", "{id: carrier, agent: top,", "carrier", "no agent: only customers have one"),
    ],
)  # fmt: skip
def test_an_agent_that_cannot_be_one_is_an_error_with_its_place(site, old, new, account, expected):
    text = text_of(site, ACCOUNTS.replace(old, new))
    line = next(number for number, each in enumerate(text.splitlines(), start=1) if new in each)
    errors = site.errors(text)
    assert [f": expected {expected}" in error for error in errors if f"accounts[{account}].agent: " in error] == [True]
    assert any(error.startswith(f"vosd.yaml:{line}: accounts[{account}]") for error in errors)


def chain(length):
    rows = [f"  - {{id: a{number}, rate_group: sell, agent: a{number + 1}}}" for number in range(length)]
    return "\n".join(["accounts:", "  - {id: acme, rate_group: sell, agent: a0}", *rows,
                      f"  - {{id: a{length}, rate_group: sell}}",
                      "  - {id: carrier, type: clearing, rate_group: buy, overdraft_limit: unlimited}"])  # fmt: skip


def test_ten_agents_may_stand_above_an_account_and_no_more(site):
    assert len(site.load(text_of(site, chain(9))).catalogue.agents["acme"]) == 10
    (error,) = site.errors(text_of(site, chain(10)))
    assert "accounts[acme].agent: " in error
    assert error.endswith("expected an account with at most 9 agents above it; 'a0' has 10")


def test_an_agent_without_rates_gets_a_warning_because_every_call_below_it_is_refused(site):
    (warning,) = site.warnings(text_of(site, ACCOUNTS.replace("{id: top, rate_group: sell,", "{id: top,")))
    assert "a rate_group on account 'top': without one every call of the accounts below it is refused" in warning


def test_rights_of_an_agent_are_read_as_one_or_a_list(site):
    text = text_of(site, ACCOUNTS.replace("{id: top,", "{id: top, rights: [accounts, SUB_PAYMENTS],"))
    text = text.replace("{id: mid,", "{id: mid, rights: accounts,")
    accounts = site.load(text).catalogue.accounts
    assert {name: sorted(accounts[name].rights) for name in ("top", "mid", "acme")} == {
        "top": ["accounts", "sub_payments"],
        "mid": ["accounts"],
        "acme": [],
    }


def test_a_right_that_its_agent_lacks_is_an_error_with_both_places(site):
    text = text_of(site, ACCOUNTS.replace("{id: top,", "{id: top, rights: [accounts, sub_payments],"))
    text = text.replace("{id: mid,", "{id: mid, rights: [gateways, accounts],")
    (error,) = site.errors(text)
    mid, top = (
        next(n for n, line in enumerate(text.splitlines(), 1) if f"id: {name}," in line) for name in ("mid", "top")
    )
    assert error == (
        f"vosd.yaml:{mid}: accounts[mid].rights: value 'gateways': "
        f"expected only rights that its agent 'top' has at vosd.yaml:{top}"
    )


def test_a_right_that_does_not_exist_is_named_with_those_that_do(site):
    (error,) = site.errors(text_of(site, ACCOUNTS.replace("{id: top,", "{id: top, rights: payments,")))
    assert "accounts[top].rights: value 'payments': expected one of accounts, phones, phone_cards" in error
    assert error.endswith("did you mean 'sub_payments'?")


def test_accounts_below_an_agent_have_only_rate_groups_that_it_may_give(site):
    """Those of all agents above count, for accounts, their gateways, and what a sub-agent may give on."""
    limited = ACCOUNTS.replace("{id: top,", "{id: top, sub_rate_groups: [sell],")
    assert site.load(text_of(site, limited)).catalogue.accounts["top"].sub_rate_groups == ("sell",)
    (error,) = site.errors(text_of(site, limited.replace("{id: acme, rate_group: sell", "{id: acme, rate_group: buy")))
    assert "accounts[acme].rate_group: value 'buy': expected a rate group that agent 'top' may give: sell" in error
    given_on = limited.replace("{id: mid,", "{id: mid, sub_rate_groups: [sell, buy],")
    (error,) = site.errors(text_of(site, given_on))
    assert "accounts[mid].sub_rate_groups: value 'buy': expected a rate group that agent 'top' may give: sell" in error
    gateway = text_of(site, limited).replace("account: acme, hosts", "account: acme, rate_group: buy, hosts")
    (error,) = site.errors(gateway)
    assert "mapping_gateways[acme-pbx].rate_group: value 'buy': expected a rate group that agent 'top'" in error
    any_of_these = limited.replace("{id: mid,", "{id: mid, sub_rate_groups: any,")
    assert site.load(text_of(site, any_of_these)).catalogue.accounts["mid"].sub_rate_groups == ("any",)
    (error,) = site.errors(
        text_of(site, any_of_these.replace("{id: acme, rate_group: sell", "{id: acme, rate_group: buy"))
    )
    assert "expected a rate group that agent 'top' may give: sell" in error
    either = ACCOUNTS.replace("{id: top,", "{id: top, sub_rate_groups: any,")
    assert site.load(text_of(site, either.replace("{id: acme, rate_group: sell", "{id: acme, rate_group: buy")))
    named_any = text_of(site, either).replace("rate_groups:\n", "rate_groups:\n  - {name: any, rates: []}\n")
    (error,) = site.errors(named_any)
    assert "accounts[top].sub_rate_groups: value 'any': expected another name for the rate group 'any'" in error
    unknown = site.errors(text_of(site, ACCOUNTS.replace("{id: top,", "{id: top, sub_rate_groups: none-such,")))
    assert any("accounts[top].sub_rate_groups" in error for error in unknown)
