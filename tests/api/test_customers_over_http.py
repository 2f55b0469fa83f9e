"""Customers over HTTP: their own account and no other, and nothing of their phones but the password."""

from typing import Any, Final

import pytest
from doubles.api import ADMINISTRATOR, CUSTOMER, Api, Reply

SHOP: Final = f"{CUSTOMER}shop"


@pytest.fixture(scope="module")
def shop(api: Api) -> Api:
    for account, phone in (("shop", "49301"), ("rival", "49302")):
        body = {
            "account": account,
            "keys": {"currency": "USD", "overdraft_limit": 5},
            "mapping_gateways": [{"name": f"{account}-in", "keys": {"hosts": [f"192.0.2.{phone[-1]}"]}}],
            "phones": [{"name": phone, "keys": {"username": phone, "password": "long-enough-1"}}],
            "payment": {"amount": "10"},
        }
        made = api.ask("POST", "/customers", body)
        assert made.status == 201, made.content
    return api


def ask(api: Api, method: str, path: str, body: Any = None, token: str = SHOP) -> Reply:
    return api.ask(method, path, body, token=token)


def test_a_customer_reads_its_balance_payments_ledger_and_statement(shop: Api) -> None:
    found = ask(shop, "GET", "/accounts/shop/balance").json
    assert (found["balance"], found["overdraft_limit"], found["reserved"], found["available"], found["currency"]) == (
        "10.00", "5.00", "0.00", "15.00", "USD",
    )  # fmt: skip
    assert found["balance_includes_reserved"] is False
    assert [each["id"] for each in ask(shop, "GET", "/balances").json["items"]] == ["shop"]
    for path in ("payments", "ledger"):
        (entry,) = ask(shop, "GET", f"/accounts/shop/{path}").json["items"]
        assert (entry["kind"], entry["amount"], entry["operator"]) == ("payment", "10.00", "operator")
    assert ask(shop, "GET", f"/accounts/shop/statements/{entry['created_at'][:7]}").json["closing"] == "10.00"
    assert {each["account"] for each in ask(shop, "GET", "/ledger").json["items"]} == {"shop"}
    probed = ask(shop, "GET", f"/ledger?operator={ADMINISTRATOR}")
    assert (probed.status, probed.json["field"]) == (422, "operator")
    assert ask(shop, "GET", "/cdrs").json["items"] == []
    assert ask(shop, "POST", "/rates/explain", {"account": "shop", "callee": "49", "duration_ms": 1}).status != 403


def test_a_customer_changes_the_password_of_its_own_phone_and_nothing_else(shop: Api) -> None:
    changed = ask(shop, "PUT", "/phones/49301/password", {"password": "another-long-one"})
    assert (changed.status, changed.json["changes"][0]["keys"]) == (200, {"password": ["(hidden)", "(changed)"]})
    assert b"another-long-one" not in ask(shop, "GET", "/phones/49301").content
    (line,) = shop.ask("GET", "/audit?principal=customer:shop").json["items"]
    assert (line["action"], line["subject"], "another" in str(line)) == ("SetPhonePassword", "phones 49301", False)
    assert ask(shop, "PUT", "/phones/49301/password", {"password": "${HOME}-is-mine"}).json["field"] == "password"
    for method, body in (("PATCH", {"keys": {"enabled": "no"}}), ("PUT", {"keys": {}}), ("DELETE", None)):
        assert ask(shop, method, "/phones/49301", body).status == 403
