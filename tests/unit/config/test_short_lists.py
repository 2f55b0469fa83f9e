"""Lists of accounts and trunks whose every item costs each call time: they are short, also where agents write them."""

import pytest

LIMIT = "{per: hour, amount: '9'}"


def file_with(key: str, items: list[str]) -> str:
    return f"accounts:\n  - {{id: acme, {key}: [{', '.join(items)}]}}\n"


@pytest.mark.parametrize(
    ("key", "items", "most"),
    [("spend_limits", [LIMIT] * 21, 20), ("user_agents", [f"agent{at}" for at in range(501)], 500)],
)
def test_more_items_than_a_call_can_be_compared_with_are_a_mistake(site, key, items, most):
    (error,) = site.errors(file_with(key, items))
    assert f"accounts[acme].{key}" in error
    assert f"at most {most}: each call is compared with all of them" in error
    account = site.load(file_with(key, items[:most])).catalogue.accounts["acme"]
    assert len(getattr(account, key)) == most


def test_a_trunk_has_fifty_codecs_at_most(site):
    def text(count: int) -> str:
        codecs = ", ".join(f"x{at}" for at in range(count))
        trunk = f"{{name: pbx, account: acme, hosts: [192.0.2.1], codecs: [{codecs}]}}"
        return f"accounts: [{{id: acme}}]\nmapping_gateways:\n  - {trunk}\n"

    found = [each for each in site.errors(text(51)) if "codecs" in each]
    assert len(found) == 1
    assert "mapping_gateways[pbx].codecs" in found[0]
    assert "at most 50: each call is compared with all of them" in found[0]
    assert len(site.load(text(50)).catalogue.mapping_gateways["pbx"].media.codecs) == 50
