"""Agents over HTTP, on a real configuration: their tree, their rights, and nothing of what lies outside."""

from typing import Any

import pytest
from doubles.api import AGENT, Api, Reply

RESELLER = f"{AGENT}reseller"


def ask(api: Api, method: str, path: str, body: Any = None) -> Reply:
    return api.ask(method, path, body, token=RESELLER)


@pytest.fixture(scope="module")
def tree(api: Api) -> Api:
    made = ask(api, "POST", "/accounts", {"name": "branch", "keys": {"rights": ["accounts"], "currency": "USD"}})
    assert made.status == 201, made.content
    below = ask(api, "POST", "/accounts", {"name": "leaf", "keys": {"agent": "branch", "currency": "USD"}})
    assert below.status == 201, below.content
    foreign = api.ask("POST", "/accounts", {"name": "foreign", "keys": {"currency": "USD"}})
    assert foreign.status == 201, foreign.content
    keys = {"account": "foreign", "hosts": ["192.0.2.0/30", "54.172.60.0/24"]}
    trunk = api.ask("POST", "/mapping-gateways", {"name": "foreign-pbx", "keys": keys})
    assert trunk.status == 201, trunk.content
    return api


def test_an_agent_makes_changes_and_ends_accounts_below_it(tree: Api) -> None:
    assert ask(tree, "GET", "/accounts/branch").json["keys"] == {
        "rights": ["accounts"], "currency": "USD", "agent": "reseller",
    }  # fmt: skip
    listed = {each["name"] for each in ask(tree, "GET", "/accounts").json["items"]}
    assert {"branch", "leaf"} <= listed
    assert "foreign" not in listed
    changed = ask(tree, "PATCH", "/accounts/leaf", {"keys": {"max_cps": 3, "overdraft_limit": "5"}})
    assert changed.status == 200, changed.content
    kept = ask(tree, "DELETE", "/accounts/branch")
    assert (kept.status, kept.json["code"]) == (409, "accounts_below")
    direct = {each["id"] for each in ask(tree, "GET", "/balances?agent=reseller").json["items"]}
    everything = {each["id"] for each in ask(tree, "GET", "/balances?agent=reseller&all=true").json["items"]}
    assert everything - direct == {"leaf"}


def test_errors_of_an_agents_program_name_no_command_of_the_switch(tree: Api) -> None:
    file = {"content": "account,amount,reference\nbranch,-1,h-1\n"}
    said = tree.ask("POST", "/payment-files", file)
    assert "vosd payment add --type" in said.json["detail"]
    shown = ask(tree, "POST", "/payment-files", file)
    assert (shown.status, shown.json["code"]) == (said.status, said.json["code"])
    assert "book a refund or an adjustment" in shown.json["errors"][0]["detail"]
    assert b"vosd payment" not in shown.content


def test_the_name_of_a_foreign_account_that_has_ended_and_no_end_reason_are_refused_as_documented(tree: Api) -> None:
    assert tree.ask("POST", "/accounts", {"name": "ended", "keys": {"currency": "USD"}}).status == 201
    assert tree.ask("DELETE", "/accounts/ended").status == 200
    taken = ask(tree, "PUT", "/accounts/ended", {"keys": {}})
    assert (taken.status, taken.json["code"]) == (409, "already_defined")
    asked = ask(tree, "GET", "/reports/revenue?reason=zz")
    assert (asked.status, asked.json["code"]) == (404, "unknown_name")


@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
def test_a_foreign_account_is_answered_as_an_absent_one(tree: Api, method: str) -> None:
    body = None if method in {"GET", "DELETE"} else {"keys": {"max_cps": 1}}
    found = ask(tree, method, "/accounts/foreign", body)
    assert found.status == 404, found.content
    if method != "PUT":
        absent = ask(tree, method, "/accounts/absent", body)
        assert absent.content.replace(b"absent", b"foreign") == found.content
    for path in ("/accounts/foreign/balance", "/accounts/foreign/ledger", "/accounts/foreign/versions"):
        assert ask(tree, "GET", path).status == 404


@pytest.mark.parametrize(
    ("name", "keys", "status"),
    [
        ("acme2", {"agent": "foreign"}, 404),
        ("acme2", {"agent": "missing"}, 404),
        ("acme2", {"agent": ["branch"]}, 422),
        ("acme2", {"agent": {"branch": "leaf"}}, 422),
        ("acme2", {"rights": ["phones"]}, 422),
        ("acme2", {"agent": "branch", "rights": ["sub_payments"]}, 422),
        ("acme2", {"rate_group": "missing"}, 422),
        ("acme2", {"memo": "x"}, 422),
        ("foreign", {}, 409),
        ("vosd", {"name": "${PATH}"}, 422),
    ],
)
def test_what_would_leave_the_tree_or_exceed_the_agent_is_refused(
    tree: Api, name: str, keys: dict[str, Any], status: int
) -> None:
    refused = ask(tree, "POST", "/accounts", {"name": name, "keys": {"currency": "USD", **keys}})
    assert refused.status == status, refused.content
    assert str(tree.config.parent).encode() not in refused.content
    if name != "foreign" and "agent" not in keys:
        assert b"foreign" not in refused.content


def test_a_loop_of_agents_is_refused_and_a_right_that_is_lacking_too(tree: Api) -> None:
    loop = ask(tree, "PATCH", "/accounts/branch", {"keys": {"agent": "leaf"}})
    assert (loop.status, loop.json["errors"][0]["field"]) == (422, "accounts[branch].agent"), loop.content
    phone = ask(tree, "POST", "/phones", {"name": "7001", "keys": {"account": "leaf", "username": "u"}})
    assert (phone.status, phone.json["code"]) == (403, "right_lacking")
    assert ask(tree, "PATCH", "/accounts/leaf", {"keys": {"agent": None}}).status == 422
    assert ask(tree, "GET", "/accounts/leaf/statements/2026-03?zone=Nowhere").json["field"] == "zone"
    own = ask(tree, "PATCH", "/accounts/reseller", {"keys": {"overdraft_limit": "1000"}})
    assert (own.status, own.json["code"]) == (409, "defined_in_files")
    assert ask(tree, "POST", "/routing-gateways", {"name": "x", "keys": {}}).status == 404
    assert ask(tree, "GET", "/routing-gateways").json["items"] == []


@pytest.mark.parametrize(
    ("keys", "status"),
    [
        ({"hosts": ["192.0.2.2"]}, 422),
        ({"hosts": ["192.0.2.2:5061"]}, 422),
        ({"hosts": ["192.0.0.0/16"]}, 422),
        ({"hosts": ["198.51.0.0/16"]}, 422),
        ({"hosts": ["192.0.2.2"], "tech_prefix": "44"}, 422),
        ({"hosts": ["pbx.example"]}, 422),
        ({"preset": "twilio"}, 422),
        ({"preset": "twilio", "hosts": ["192.0.2.4"]}, 201),
        ({"hosts": ["192.0.2.4", "198.51.100.0/24"]}, 201),
        ({"auth": {"username": "new", "password": "long-enough-1"}}, 201),
    ],
)
def test_an_agent_gives_its_gateways_no_source_of_another_customer(
    tree: Api, keys: dict[str, Any], status: int
) -> None:
    found = ask(tree, "POST", "/mapping-gateways?dry_run=true", {"name": "new", "keys": {"account": "leaf", **keys}})
    assert found.status == status, found.content
    if status == 422:
        assert found.json["field"] == "mapping_gateways[new].hosts", found.content
        assert b"foreign" not in found.content


def test_an_agent_makes_phones_of_the_numbers_of_its_tree_alone(tree: Api) -> None:
    """A call to the number of a phone goes there, whatever customer makes it, and one that shows it is attested."""
    keys = {"currency": "USD", "rights": ["accounts", "phones"]}
    assert tree.ask("POST", "/accounts", {"name": "chief", "keys": keys}).status == 201
    below = {"name": "lane", "keys": {"currency": "USD", "agent": "chief"}}
    assert tree.ask("POST", "/accounts", below).status == 201

    def order(method: str, path: str, body: Any = None) -> list[str]:
        """Return the fields at which an order of the agent is refused; empty = it is carried out."""
        reply = tree.ask(method, path, body, token=f"{AGENT}chief")
        assert reply.status in {200, 201, 204, 422}, reply.content
        return [each["field"] for each in reply.json["errors"]] if reply.status == 422 else []

    def made(number: str, **more: Any) -> list[str]:
        phone = {"account": "lane", "username": number, "password": "kx82-mmqpw-aa", **more}
        return order("POST", "/phones", {"name": number, "keys": phone})

    for number in ("442071234567", "112", "118", "+112"):
        assert made(number) == [f"phones[{number}].number"]
    assert made("7450", caller_numbers=["12024561111"]) == ["phones[7450].caller_numbers"]
    assert made("7450") == []
    for method in ("PATCH", "PUT"):
        wanted = {"account": "lane", "password": "(hidden)", "caller_numbers": ["+12024561111"]}
        assert order(method, "/phones/7450", {"keys": wanted}) == ["phones[7450].caller_numbers"]
    phones = [{"name": "442071234567", "keys": {"username": "u", "password": "kx82-mmqpw-aa"}}]
    customer = {"account": "fresh", "keys": {"currency": "USD"}, "phones": phones}
    assert order("POST", "/customers", customer) == ["phones[442071234567].number"]
    ranges = {"keys": {"phone_numbers": ["442071234500-442071234599"]}}
    assert tree.ask("PATCH", "/accounts/chief", ranges).status == 200
    assert (made("442071234567"), made("7451")) == ([], ["phones[7451].number"])
    assert order("PATCH", "/phones/7450", {"keys": {"caller_numbers": ["442071234567"], "max_concurrent": "2"}}) == []
    assert order("DELETE", "/phones/442071234567") == []
    assert tree.ask("PATCH", "/accounts/chief", {"keys": {"phone_numbers": []}}).status == 200
    undone = order("POST", "/phones/442071234567/revert", {"version": 1})
    assert undone == ["phones[442071234567].number"]
    assert order("PATCH", "/phones/7450", {"keys": {"max_concurrent": "3"}}) == []


def test_an_agent_makes_no_domain_of_a_name_by_which_others_call_the_switch(tree: Api) -> None:
    """A request that names a domain is of its users alone; phones without one name the switch as they please."""
    keys = {"currency": "USD", "rights": ["accounts", "phones", "gateways", "gateway_information"]}
    assert tree.ask("POST", "/accounts", {"name": "host", "keys": keys}).status == 201
    below = {"name": "guest", "keys": {"currency": "USD", "agent": "host"}}
    assert tree.ask("POST", "/accounts", below).status == 201
    password = "kx82-mmqpw-aa"

    def order(method: str, path: str, body: Any) -> list[str]:
        reply = tree.ask(method, path, body, token=f"{AGENT}host")
        assert reply.status in {200, 201, 422}, reply.content
        return [each["field"] for each in reply.json["errors"]] if reply.status == 422 else []

    phone = {"account": "guest", "username": "u", "password": password}
    trunk = {"account": "guest", "hosts": ["192.0.2.177"], "auth": {"username": "t", "password": password}}
    assert order("POST", "/phones", {"name": "7470", "keys": {**phone, "domain": "198.51.100.1"}}) == [
        "phones[7470].domain"
    ]
    assert order("POST", "/phones", {"name": "7470", "keys": phone}) == []
    assert order("PATCH", "/phones/7470", {"keys": {"domain": "sip.example"}}) == ["phones[7470].domain"]
    assert order("POST", "/mapping-gateways", {"name": "annex", "keys": trunk}) == []
    named = {"keys": {"auth": {"domain": "sip.example"}}}
    assert order("PATCH", "/mapping-gateways/annex", named) == ["mapping_gateways[annex].auth.domain"]
    assert tree.ask("PATCH", "/phones/7470", {"keys": {"domain": "guest.example"}}).status == 200
    assert order("PATCH", "/phones/7470", {"keys": {"max_concurrent": "2"}}) == []
    assert order("DELETE", "/phones/7470", None) == []
    assert order("POST", "/phones/7470/revert", {"version": 3}) == [], "the undo of its own mistake"
    assert (
        order("POST", "/phones", {"name": "7471", "keys": {**phone, "username": "v", "domain": "guest.example"}}) == []
    )
    named = {"keys": {"auth": {"domain": "guest.example"}}}
    assert order("PATCH", "/mapping-gateways/annex", named) == []
