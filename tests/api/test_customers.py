"""One request makes a customer whole, or nothing of it; repeated with its key it makes nothing more."""

from typing import Any

import pytest
from api.test_api_money import mute_switch, next_order
from doubles.api import ADMINISTRATOR, AGENT, VIEWER, Api


def customer(name: str, **more: Any) -> dict[str, Any]:
    return {
        "account": name,
        "keys": {"currency": "EUR", "overdraft_limit": 20},
        "mapping_gateways": [{"name": f"{name}-in", "keys": {"auth": {"username": name, "password": "very-Secret-1"}}}],
        "phones": [{"name": "49301234", "keys": {"username": f"{name}-phone", "password": "very-Secret-2"}}],
        "payment": {"amount": "100.00", "memo": "first"},
        **more,
    }


def names(api: Api, kind: str) -> set[str]:
    return {each["name"] for each in api.ask("GET", f"/{kind}").json["items"]}


def test_one_request_makes_account_rate_group_gateway_phone_and_payment_in_one_version(api: Api) -> None:
    group = {"name": "whole-rates", "keys": {"currency": "EUR", "rates": [{"prefix": "49", "billing_rate": "0.01"}]}}
    body = customer("whole", rate_group=group)
    body["phones"][0]["name"] = "49300001"
    tried = api.ask("POST", "/customers?dry_run=true", body)
    assert tried.status == 201, tried.content
    assert (tried.status, tried.json["dry_run"], tried.json["payment"]["outcome"]) == (201, True, "new")
    assert api.ask("GET", "/accounts/whole").status == 404
    made = api.ask("POST", "/customers", body)
    assert (made.status, made.headers["location"]) == (201, "/api/v1/accounts/whole"), made.content
    assert [(each["kind"], each["name"], each["action"]) for each in made.json["changes"]] == [
        ("rate_groups", "whole-rates", "defined"), ("accounts", "whole", "defined"),
        ("mapping_gateways", "whole-in", "defined"), ("phones", "49300001", "defined"),
    ]  # fmt: skip
    assert b"Secret" not in made.content
    payment = made.json["payment"]
    assert (payment["amount"], payment["currency"], payment["outcome"]) == ("100.00", "EUR", "booked")
    assert api.ask("GET", "/accounts/whole/balance").json["available"] == "120.00"
    assert api.ask("GET", "/phones/49300001").json["keys"]["account"] == "whole"
    (line,) = api.ask("GET", "/audit?subject=customer%20whole").json["items"]
    assert (line["action"], line["principal"]) == ("ProvisionCustomer", ADMINISTRATOR)
    assert line["detail"]["payment"]["reference"] == payment["reference"]
    assert "Secret" not in str(line)
    again = api.ask("POST", "/customers", body)
    assert (again.status, again.json["code"]) == (409, "already_defined")


@pytest.mark.parametrize(
    "wrong",
    [
        {"phones": [{"name": "49301234", "keys": {"unknown": "x"}}]},
        {"keys": {"currency": "EUR", "rate_group": "missing"}},
        {"payment": {"amount": "NaN"}},
        {"payment": {"amount": "0"}},
        {"payment": {"amount": 5}},
        {"mapping_gateways": [{"name": "x", "keys": {"account": "acme", "hosts": ["192.0.2.9"]}}]},
        {"rate_group": {"name": "a", "keys": {}}, "keys": {"rate_group": "b"}},
        {"payment": {"amount": "1"}, "at": "2090-01-01T00:00:00Z"},
        {"reference": ""},
        {"gateways": []},
    ],
)
def test_where_any_part_is_wrong_nothing_is_made(api: Api, wrong: dict[str, Any]) -> None:
    refused = api.ask("POST", "/customers", customer("wrong", **wrong))
    assert refused.status == 422, refused.content
    assert "wrong" not in names(api, "accounts")
    assert "wrong-in" not in names(api, "mapping-gateways")
    assert "wrong" not in {each["id"] for each in api.ask("GET", "/balances").json["items"]}


def test_who_may_not_change_definitions_or_book_makes_no_customer(api: Api) -> None:
    assert api.ask("POST", "/customers", customer("theirs"), token=VIEWER).status == 403
    lacking = api.ask("POST", "/customers", customer("theirs", payment=None), token=f"{AGENT}reseller")
    assert (lacking.status, lacking.json["code"]) == (403, "right_lacking")
    assert api.ask("POST", "/customers", customer("theirs"), token=f"{AGENT}reseller").json["field"] == "payment"


def test_a_customer_whose_process_is_killed_before_it_answers_is_made_once(killed: Api) -> None:
    key = {"Idempotency-Key": "contract-1"}
    with mute_switch(killed.config.parent / "vosd.sock") as switch:
        sent = killed.request("POST", "/customers", customer("shop"), headers=key)
        with killed.connect() as connection:
            connection.sendall(sent)
            next_order(switch).close()  # it shall say its sockets
            with next_order(switch):  # everything is in the database: the switch is to take it
                killed.kill()
    killed.start()
    repeated = killed.ask("POST", "/customers", customer("shop"), headers=key)
    assert (repeated.status, repeated.headers["idempotent-replayed"]) == (201, "true"), repeated.content
    assert (repeated.json["repeated"], repeated.json["payment"]["outcome"]) == (True, "booked")
    assert [each["version"] for each in repeated.json["changes"]] == [1, 1, 1]
    assert killed.ask("GET", "/accounts/shop/balance").json["balance"] == "100.00"
    assert len(killed.ask("GET", "/accounts/shop/versions").json["items"]) == 1
    assert killed.ask("POST", "/customers", customer("shop"), headers=key).content == repeated.content
    other = customer("shop", payment={"amount": "99"})
    assert killed.ask("POST", "/customers", other, headers=key).json["code"] == "key_reused"
