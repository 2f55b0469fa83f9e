"""Items of long lists by name, for commands about one of them."""

import threading
from collections import Counter
from pathlib import Path

import pytest

from vosd.admin.agents import groups_of_vendors
from vosd.catalogue.problems import ConfigError
from vosd.config import configured_accounts
from vosd.config.excerpt import Excerpt

TRUNKS = ("mapping_gateways", "phones")
HEAD = """
rate_groups:
  - {name: sell, currency: EUR, rates: [{prefix: "44", billing_rate: "0.60"}]}
templates:
  below: {agent: reseller}
"""

ODD = """accounts:
  - id: plain
    rate_group: sell
    overdraft_limit: "5"   # a comment
  - {id: flowing, rate_group: sell, agent: plain}
  - {id: "quoted", rate_group: 'sell', max_cps: 3}
  - rate_group: sell
    id: last-key
    agent: 'plain'
  -   id: deep
      group: a b
  - id: templated
    template: below
  # a comment between items
  - id: ${NAME}
  - id: several-lines
    group: "one
  - id: no-item"
  - id: listed
    rights: [accounts, phones]
    allowed_prefixes: ["44", "49"]
  - id: reseller
    spend_limits:
      - {per: hour, amount: "20", action: event}
  - id: plain
    overdraft_limit: "7"
mapping_gateways:
  - name: pbx
    account: plain
    hosts: [192.0.2.1]
  - {name: other, template: below, account: flowing}
"""


def read(path: Path):
    found = Excerpt(path, {"NAME": "from-outside"})
    accounts = found.accounts()
    return (
        {name: accounts[name] for name in accounts},
        accounts.agents(),
        found.accounts_of(*TRUNKS)(),
        found.gateways_by_list(),
    )


def test_items_of_every_form_are_found_by_name(tmp_path: Path) -> None:
    (tmp_path / "odd.yaml").write_text(ODD)
    path = tmp_path / "vosd.yaml"
    path.write_text(HEAD + "include: odd.yaml\naccounts: [{id: first}]\n")
    accounts, agents, payers, gateways = read(path)
    names = ["first", "plain", "flowing", "quoted", "last-key", "deep", "templated", "from-outside", "several-lines"]
    assert [*accounts][: len(names)] == names
    assert agents == {"flowing": "plain", "last-key": "plain", "templated": "reseller"}
    assert payers == {"pbx": "plain", "other": "flowing"}
    assert gateways["mapping_gateways"] == {"pbx", "other"}
    assert accounts["plain"].overdraft_limit == 5
    assert "no-item" not in accounts


def test_a_variable_that_is_not_set_matters_only_to_the_item_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "vosd.yaml"
    trunk = "  - {name: pbx, account: customer-1, hosts: 192.0.2.1, auth: {username: u, password: '${UNSET}'}}\n"
    path.write_text(f"{accounts_of(2)}  - id: bad\n    group: ${{UNSET}}\nmapping_gateways:\n{trunk}")
    found = Excerpt(path, {})
    assert found.accounts_of(*TRUNKS)() == {"pbx": "customer-1"}
    assert found.accounts()["customer-1"].max_cps == 2
    with pytest.raises(ConfigError, match="UNSET"):
        found.accounts()["bad"]


def accounts_of(count: int) -> str:
    items = (
        f"  - id: customer-{index}\n    rate_group: sell\n    max_cps: {index % 3 + 1}\n" for index in range(count)
    )
    return f"{HEAD}accounts:\n{''.join(items)}"


def test_accounts_that_differ_by_their_id_alone_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels: list[str] = []

    def read_section(model, section, label, *more):
        labels.append(label)
        return original(model, section, label, *more)

    original = configured_accounts.read_section
    path = tmp_path / "vosd.yaml"
    path.write_text(accounts_of(300))
    accounts = Excerpt(path, {}).accounts()
    monkeypatch.setattr(configured_accounts, "read_section", read_section)
    assert [accounts[name].max_cps for name in accounts] == [1, 2, 3] * 100
    assert accounts["customer-299"].id == "customer-299"
    assert labels == ["accounts[customer-0]", "rate_groups[sell]", "accounts[customer-1]", "accounts[customer-2]"]


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ("  - id: bad\n    group: 'not closed\n", "vosd.yaml:15: expected valid YAML"),
        ("  - id: bad\n    group: ${UNSET}\n", "vosd.yaml:14: group: value '${UNSET}'"),
        ("  - id: bad\n    max_cps: many\n", "accounts[bad].max_cps: value 'many'"),
        (f"  - id: {'x' * 65}\n", "a name of 1 to 64"),
    ],
)
def test_a_mistake_in_an_item_is_named_with_its_line(tmp_path: Path, item: str, said: str) -> None:
    path = tmp_path / "vosd.yaml"
    path.write_text(f"{accounts_of(2)}{item}")
    name = item.split()[2]
    with pytest.raises(ConfigError) as error:
        Excerpt(path, {}).accounts()[name]
    assert said in str(error.value)


def test_the_rate_groups_that_gateways_name_are_found_by_their_list(tmp_path: Path) -> None:
    path = tmp_path / "vosd.yaml"
    path.write_text(
        "templates: {bought: {rate_group: buy}}\n"
        "routing_gateways: [{name: one, template: bought}, {name: two, private_rate_group: dear}, {name: three}]\n"
        "mapping_gateways: [{name: pbx, rate_group: sell}]\n"
    )
    assert Excerpt(path).rate_groups_by_list() == {
        "mapping_gateways": {"sell"}, "routing_gateways": {"buy", "dear"}, "phones": frozenset(),
    }  # fmt: skip


_GROUPS = """
templates: {by_origin: {origins: [{name: eu, prefixes: ["49"], rate_group: origin-buy}]}}
rate_groups:
  - {name: retail, currency: USD, rates: [{prefix: "49", billing_rate: "0.05"}], period_rates: days}
  - {name: buy, currency: USD, rates: [{prefix: "49", billing_rate: "0.02"}], template: by_origin}
  - {name: origin-buy, currency: USD, rates: [{prefix: "49", billing_rate: "0.011"}]}
  - {name: night-buy, currency: USD, rates: [{prefix: "49", billing_rate: "0.013"}]}
  - {name: day-sell, currency: USD, rates: [{prefix: "49", billing_rate: "0.06"}]}
  - {name: own-buy, currency: USD, rates: [{prefix: "49", billing_rate: "0.012"}]}
period_rates:
  - {name: nights, periods: [{name: all, rate_group: night-buy}]}
  - {name: days, periods: [{name: all, rate_group: day-sell}]}
accounts:
  - {id: acme, rate_group: retail}
  - {id: peer, type: partner, rate_group: retail}
"""

_ALSO_SOLD = """
  - {id: carrier, type: clearing, rate_group: buy, period_rates: days, overdraft_limit: unlimited}
mapping_gateways: [{name: pbx, account: acme, hosts: [192.0.2.1], rate_group: origin-buy}]
"""


@pytest.mark.parametrize(
    ("more", "hidden"),
    [
        ("  - {id: carrier, type: clearing, rate_group: buy, overdraft_limit: unlimited}\n", {"buy", "origin-buy"}),
        ("  - {id: carrier, type: clearing, period_rates: nights, overdraft_limit: unlimited}\n", {"night-buy"}),
        ("routing_gateways: [{name: telco, account: peer, address: 192.0.2.9, rate_group: own-buy}]\n", {"own-buy"}),
        (_ALSO_SOLD, {"buy"}),
    ],
    ids=["by the caller's origin", "at times", "of a partner", "also sold"],
)
def test_groups_that_price_calls_of_vendors_alone_are_hidden_from_agents(
    tmp_path: Path, more: str, hidden: set[str]
) -> None:
    path = tmp_path / "vosd.yaml"
    path.write_text(f"{_GROUPS}{more}")
    excerpt = Excerpt(path, {})
    assert groups_of_vendors(excerpt.accounts(), excerpt) == hidden


async def test_rate_groups_are_put_together_in_a_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With 100,000 accounts it takes a second, in which the API would answer nothing else."""
    path, threads = tmp_path / "vosd.yaml", []
    path.write_text(
        HEAD + "accounts: [{id: a, rate_group: sell}, {id: b, private_rate_group: sell}]\n"
        "routing_gateways: [{name: one, rate_group: sell}]\n"
    )
    counted = Excerpt._users_of_groups

    def noted(excerpt: Excerpt, *lists: str) -> Counter[str]:
        threads.append(threading.current_thread())
        return counted(excerpt, *lists)

    monkeypatch.setattr(Excerpt, "_users_of_groups", noted)
    (found,) = await Excerpt(path).rate_group_sheets()
    assert (found.name, found.rates, found.accounts, found.gateways) == ("sell", 1, 2, 1)
    assert threads
    assert threading.main_thread() not in threads
