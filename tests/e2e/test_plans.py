"""Routing plans and the loss guard, through the daemon: where calls go, and what their records say."""

from collections.abc import Iterator
from typing import Any

import pytest
from doubles.daemon import Daemon
from doubles.sockets.peer import Peer

from vosd.obs.events import Event

from .addresses import PLANNING_SWITCH, VENDORS
from .conversation import conversing
from .stage import Stage, configuration

ROUTES = "prefix,gateway,priority,weight,percent\n4430,carrier-b,1,,75\n4430,carrier-c,1,,25\n44,carrier-c,9,,\n"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    directory = tmp_path_factory.mktemp("planning")
    (directory / "routes.csv").write_text(ROUTES, encoding="utf-8")
    with Daemon(directory, configuration("plans.yaml", PLANNING_SWITCH)) as daemon:
        stage = Stage(daemon, PLANNING_SWITCH, Event.LOSS_CALLS)
        for account in ("acme", "narrow", "hasty", "poor", "prepaid"):
            stage.pay(account, "100")
        yield stage
        stage.expect_nothing_left()
        stage.expect_books_in_order()
        assert daemon.interrupt() == 0


def called(stage: Stage, prefix: str, gateway: str, customer: str = "acme") -> dict[str, Any]:
    """Make a call that a gateway answers, and return its record."""
    with conversing(stage, prefix, customer=customer, gateway=gateway) as (conversation,):
        conversation.establish()
        conversation.hang_up()
    return stage.record_of(conversation.callee)


def explained(stage: Stage, customer: str, callee: str) -> dict[str, Any]:
    found: dict[str, Any] = stage.daemon.ask(
        "route", "explain", "--gateway", f"{customer}-pbx", "--caller", "1", "--callee", callee
    )
    return found


def test_a_plan_by_cost_calls_the_cheapest_first_and_goes_on_by_price(stage: Stage) -> None:
    with conversing(stage, "4410", gateway="carrier-b") as (conversation,), Peer(VENDORS["carrier-c"]) as cheapest:
        conversation.call.invite()
        cheapest.reply(cheapest.expect("INVITE"), 503, tag="down")
        cheapest.expect("ACK")
        conversation.answer(conversation.vendor.expect("INVITE"))
        conversation.hang_up()
    record = stage.record_of(conversation.callee)
    assert [(each["gateway"], each["code"]) for each in record["attempts"]] == [("carrier-c", 503), ("carrier-b", 200)]


def too_dear_of(record: dict[str, Any]) -> list[str]:
    left = record["verdicts"]["left"]
    return [each["routing_gateway"] for each in left if each["reason"].startswith("loss: ")]


def test_a_gateway_that_would_lose_money_is_not_called(stage: Stage) -> None:
    """Without a plan the dearest has the first priority; its rate for 4420 alone is below what the customer pays."""
    record = called(stage, "4410", "carrier-c", customer="narrow")
    assert [(each["gateway"], each["code"], each["reason"]) for each in record["attempts"]] == [
        ("carrier-c", 200, "Answered")
    ]
    assert too_dear_of(record) == ["carrier-a"]
    assert called(stage, "4420", "carrier-a", customer="narrow")["routing_gateway"] == "carrier-a"


def test_a_customer_may_be_sold_to_below_cost(stage: Stage) -> None:
    assert [each["gateway"] for each in called(stage, "4410", "carrier-a", customer="poor")["attempts"]] == [
        "carrier-a"
    ]


def test_a_call_that_every_gateway_would_lose_money_on_is_refused(stage: Stage) -> None:
    with conversing(stage, "4499") as (conversation,):
        conversation.call.invite()
        assert conversation.call.refused().status == 503
    record = stage.record_of(conversation.callee)
    assert record["end_reason"] == "No Available Route"
    assert record["attempts"] == []
    assert sorted(too_dear_of(record)) == [f"carrier-{name}" for name in "abc"]


def test_the_explanation_names_prices_priorities_and_why_the_others_are_left_out(stage: Stage) -> None:
    found = explained(stage, "narrow", "4420111")
    (first, second) = found["candidates"]
    assert {name: first[name] for name in ("routing_gateway", "prefix", "priority", "weight", "cost")} == {
        "routing_gateway": "carrier-a", "prefix": "4420", "priority": 1, "weight": 100, "cost": "0.40",
    }  # fmt: skip
    assert second["routing_gateway"] == "carrier-c"
    assert found["left"] == [{"routing_gateway": "carrier-b", "reason": "partner: the call comes from group"}]
    found = explained(stage, "narrow", "4499111")
    reasons = {each["routing_gateway"]: each["reason"] for each in found["left"]}
    assert reasons["carrier-a"].startswith("loss: sold for 0.05 a minute and bought for 0.70")
    assert found["result"] == "No Available Route"


def test_lines_of_a_plan_share_calls_by_percentage(stage: Stage) -> None:
    taken = [explained(stage, "hasty", "4430111")["candidates"][0]["routing_gateway"]]
    assert taken == ["carrier-b"]
    expected = ["carrier-b", "carrier-b", "carrier-c", "carrier-b"]
    assert [called(stage, "4430", gateway, customer="hasty")["routing_gateway"] for gateway in expected] == expected
    found = explained(stage, "hasty", "4410111")
    assert [(each["routing_gateway"], each["priority"]) for each in found["candidates"]] == [("carrier-c", 9)]
    reasons = {each["routing_gateway"]: each["reason"] for each in found["left"]}
    assert reasons == {"carrier-a": "plan: not among the gateways of plan lines"}
    assert found["unfit"] == 1


def test_a_reload_changes_the_plan_for_the_next_call(stage: Stage) -> None:
    text = configuration("plans.yaml", PLANNING_SWITCH)
    stage.daemon.configure(text.replace("order: [cost]", "gateways: carrier-b"))
    stage.daemon.succeed("reload")
    assert called(stage, "4410", "carrier-b")["routing_gateway"] == "carrier-b"
    stage.daemon.configure(text)
    stage.daemon.succeed("reload")


def test_the_cheapest_of_private_and_period_rates_prices_a_call(stage: Stage) -> None:
    gateway = explained(stage, "hasty", "4430111")["candidates"][0]["routing_gateway"]
    record = called(stage, "4430", gateway, customer="hasty")
    assert (record["rate_group"], record["rate_prefix"]) == ("own", "443")
    steps = record["fee_breakdown"]["customer"]
    assert [(each["source"], each["group"]) for each in steps if each["step"] == "candidate"] == [
        ("account", "own"),
        ("period any", "sell"),
    ]
    found = stage.daemon.ask("rate", "explain", "--account", "hasty", "--callee", "4430111", "--duration", "60")
    assert [(each["total"], bool(each["chosen"])) for each in found["candidates"]] == [("0.50", True), ("0.54", False)]
    assert (found["rate_group"], found["fee"]) == ("own", "0.50")


def test_derived_rates_rate_types_and_origins_price_and_refuse_calls(stage: Stage) -> None:
    record = called(stage, "4410", "carrier-b", customer="prepaid")
    row = next(each for each in record["fee_breakdown"]["customer"] if each["step"] == "rate")
    assert (record["rate_group"], row["billing_rate"]) == ("resale", "0.45")

    with conversing(stage, "4466", customer="prepaid") as (conversation,):
        conversation.call.invite()
        assert conversation.call.refused().status == 403
    assert stage.record_of(conversation.callee)["end_reason"] == "Rate Type Not Allowed"

    for caller, group in (("12015550123", "own"), ("4930123456", "resale"), ("anonymous", "own")):
        arguments = ("--gateway", "prepaid-pbx", "--caller", caller, "--callee", "4430111")
        assert stage.daemon.ask("route", "explain", *arguments)["rate"]["rate_group"] == group
    record = called(stage, "4430", "carrier-b", customer="prepaid")
    row = next(each for each in record["fee_breakdown"]["customer"] if each["step"] == "rate")
    assert (record["rate_group"], row.get("source")) == ("own", "origin far")
