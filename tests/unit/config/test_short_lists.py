"""Lists of accounts whose every item costs each call time: they are short, whoever writes them, also an agent."""

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
