"""Lists that earlier versions have taken, however long: else an upgrade takes all objects of the database out of force.

Agents give no such lists: ``tests/unit/office/test_agent_objects.py``.
"""

import pytest

from vosd.catalogue.catalogue import Catalogue


def account_with(key: str, items: list[str]) -> str:
    return f"accounts:\n  - {{id: acme, {key}: [{', '.join(items)}]}}\n"


@pytest.mark.parametrize(
    ("key", "items"),
    [("spend_limits", ["{per: hour, amount: '9'}"] * 21), ("user_agents", [f"agent{at}" for at in range(501)])],
)
def test_a_long_list_of_an_account_is_no_mistake(site, key, items):
    catalogue: Catalogue = site.load(account_with(key, items)).catalogue
    assert len(getattr(catalogue.accounts["acme"], key)) == len(items)


def test_a_long_list_of_codecs_is_no_mistake(site):
    codecs = ", ".join(f"x{at}" for at in range(51))
    trunk = f"{{name: pbx, account: acme, hosts: [192.0.2.1], codecs: [{codecs}]}}"
    catalogue = site.load(f"accounts: [{{id: acme}}]\nmapping_gateways:\n  - {trunk}\n").catalogue
    assert len(catalogue.mapping_gateways["pbx"].media.codecs) == 51
