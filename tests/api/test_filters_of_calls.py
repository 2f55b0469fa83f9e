"""Filters and orders of the list of running calls, as a switch with two calls that differ in everything answers."""

import asyncio
from typing import Any

import msgspec
import pytest
from doubles.api import AGENT, Api
from doubles.fake_switch import FakeSwitch

from vosd.api.operation import FieldPlace
from vosd.api.table import OPERATIONS
from vosd.control.calls import CallSnapshot, ListCalls

FIRST = CallSnapshot(
    call_id="01a0c450-6c01-7000-8000-000000000001", state="ringing", mapping_gateway="acme-pbx",
    routing_gateway="carrier-a", customer_account="acme", vendor_account="vendor-a", caller="4930100", callee="442071",
    started_at="2026-03-01T12:00:00.000Z", answered_at=None, age_s=90, talk_s=None, rings_beside=["7001"],
)  # fmt: skip
SECOND = CallSnapshot(
    call_id="01a0c450-6c01-7000-8000-000000000002", state="talking", mapping_gateway="shop-pbx",
    routing_gateway="carrier-b", customer_account="reseller", vendor_account="vendor-b", caller="4930200",
    callee="331234", started_at="2026-03-01T12:01:00.000Z", answered_at="2026-03-01T12:01:05.000Z", age_s=30, talk_s=25,
)  # fmt: skip
CASES = [
    ("account=acme", "first"),
    ("account=vendor-b", "second"),
    ("gateway=acme-pbx", "first"),
    ("gateway=carrier-b", "second"),
    ("gateway=7001", "first"),
    ("longer_ms=60000", "first"),
    ("longer_ms=90000", ""),
    ("agent=reseller", "first"),
    ("all=true&agent=reseller", "first"),
    ("agent=reseller&state=talking", ""),
    ("state=ringing", "first"),
    ("state=talking", "second"),
    ("caller=4930100", "first"),
    ("caller=49301", ""),
    ("callee=331234", "second"),
    ("customer_account=acme", "first"),
    ("customer_account=vendor-a", ""),
    ("vendor_account=vendor-a", "first"),
    ("vendor_account=acme", ""),
    ("mapping_gateway=shop-pbx", "second"),
    ("mapping_gateway=carrier-a", ""),
    ("routing_gateway=carrier-a", "first"),
    ("routing_gateway=acme-pbx", ""),
    ("state=ringing&callee=331234", ""),
    ("state=ringing&callee=442071", "first"),
]
NAMES = {FIRST.call_id: "first", SECOND.call_id: "second"}


async def items(api: Api, query: str, token: str = "administrator") -> list[dict[str, Any]]:
    async with FakeSwitch(api.config.parent / "vosd.sock").answers(ListCalls, [FIRST, SECOND]):
        found = await asyncio.to_thread(api.ask, "GET", f"/calls?{query}", token=token)
    assert found.status == 200, found.content
    listed: list[dict[str, Any]] = found.json["items"]
    return listed


@pytest.mark.parametrize(("query", "expected"), CASES)
async def test_each_filter_lists_the_calls_that_have_its_value(api: Api, query: str, expected: str) -> None:
    assert " ".join(NAMES[each["call_id"]] for each in await items(api, query)) == expected


def test_every_filter_has_a_case() -> None:
    (calls,) = (each for each in OPERATIONS if (each.method, each.path) == ("GET", "/calls"))
    assert calls.listing is not None
    own = {each.name for each in calls.fields() if each.place is FieldPlace.QUERY}
    assert {query.partition("=")[0] for query, _ in CASES} == own | {*calls.listing.filters}


async def test_calls_are_sorted_by_each_field_that_is_offered(api: Api) -> None:
    (calls,) = (each for each in OPERATIONS if (each.method, each.path) == ("GET", "/calls"))
    assert calls.listing is not None
    for name in calls.listing.sorts:
        values = [each[name] for each in map(msgspec.to_builtins, (FIRST, SECOND))]
        is_first = (values[0] is None, values[0] or "") < (values[1] is None, values[1] or "")
        order = ["first", "second"] if is_first else ["second", "first"]
        backwards = order if None in values else order[::-1]
        assert [NAMES[each["call_id"]] for each in await items(api, f"sort={name}")] == order, name
        assert [NAMES[each["call_id"]] for each in await items(api, f"sort=-{name}")] == backwards, name


async def test_a_filter_tells_an_agent_nothing_of_the_vendor(api: Api) -> None:
    agent = f"{AGENT}reseller"
    assert len(await items(api, "", agent)) == 2
    for query in ("vendor_account=vendor-b", "routing_gateway=carrier-b"):
        assert await items(api, query, agent) == []
