"""Live events over HTTP, from the process of the API, of a switch that goes away and comes back."""

import asyncio
import http.client
import json
from contextlib import closing
from itertools import islice
from typing import Any

import msgspec
import pytest
from doubles.api import ADMINISTRATOR, HOST, VIEWER, Api
from doubles.fake_switch import FakeSwitch
from doubles.live_events import balance_low, call_ended, gateway_down

from vosd.api.streams import OF_ONE_MAX
from vosd.control.events import (
    DeadLetter,
    EventBatch,
    FollowEvents,
    ListDeadLetters,
    ReplayDeadLetters,
    ReplayedLetters,
)

AT = "2026-01-01T00:00:00.000Z"
CALL = call_ended(AT, ("acme",), ("trunk",), call_id="c1", customer_account="acme")
LOW, DOWN = balance_low("acme", AT), gateway_down("carrier", AT)


@pytest.fixture
async def switch(api: Api) -> Any:
    fake = FakeSwitch(api.config.parent / "vosd.sock")
    fake.reports(FollowEvents, EventBatch([], 0), EventBatch([CALL, LOW, DOWN], 0))
    async with fake:
        yield fake


def read(api: Api, count: int, path: str = "/events", token: str = ADMINISTRATOR, **headers: str) -> list[Any]:
    """Follow the events, and return the first ones."""
    port = int(api.url.split(":")[2].split("/")[0])
    with closing(http.client.HTTPConnection(HOST, port, timeout=60)) as connection:
        connection.request("GET", f"/api/v1{path}", headers={"Authorization": f"Bearer {token}", **headers})
        with connection.getresponse() as answer:
            assert (answer.status, answer.getheader("content-type")) == (200, "text/event-stream"), answer.read()
            lines = (line.removeprefix(b"data: ") for line in answer if line.startswith(b"data: "))
            return [json.loads(line) for line in islice(lines, count)]


def types(found: list[dict[str, Any]]) -> list[str]:
    return [each["type"] for each in found]


async def test_events_are_followed_over_a_switch_that_goes_away_and_by_the_id_of_the_last_one(api: Api, switch: Any):
    found = await asyncio.to_thread(read, api, 6)
    if types(found)[0] == "stream.switch_back":  # the API has followed another switch before
        del found[0]
    assert types(found)[:4] == ["call.ended", "balance.low", "gateway.down", "stream.switch_away"]
    assert types(found)[4] == "stream.switch_back"
    assert found[0] | {"id": ""} == {"id": "", "type": "call.ended", "at": AT, "data": msgspec.to_builtins(CALL.data)}
    again = await asyncio.to_thread(read, api, 2, **{"Last-Event-ID": found[1]["id"]})
    assert again == found[2:4]
    of_agent = await asyncio.to_thread(
        read, api, 2, "/events?types=call", "agent:reseller", **{"Last-Event-ID": found[0]["id"]}
    )
    assert set(types(of_agent)) <= {"call.ended", "stream.switch_away", "stream.switch_back"}
    gap = await asyncio.to_thread(read, api, 1, "/events?after=00000000-7", VIEWER)
    assert types(gap) == ["stream.gap"]
    assert switch.asked


async def test_head_is_answered_without_events_and_keeps_no_place(api: Api, switch: Any):
    for _ in range(OF_ONE_MAX + 1):
        head = await asyncio.to_thread(api.ask, "HEAD", "/events")
        assert (head.status, head.headers["content-type"], head.content) == (200, "text/event-stream", b"")
    assert len(await asyncio.to_thread(read, api, 1)) == 1


async def test_a_stream_of_a_foreign_account_and_a_type_that_is_none_are_refused(api: Api):
    refused = api.ask("GET", "/events?types=calls")
    assert (refused.status, refused.json["field"]) == (422, "types")
    assert "call.ended" in refused.json["remedy"]
    foreign = api.ask("GET", "/events?account=absent", token="agent:reseller")
    assert foreign.status == 404


async def test_dead_letters_of_receivers_are_listed_and_replayed(api: Api):
    letter = DeadLetter("crm", 7, AT, "status-410", "{}")
    switch = FakeSwitch(api.config.parent / "vosd.sock")
    switch.answers(ListDeadLetters, [letter]).answers(ReplayDeadLetters, ReplayedLetters(1))
    async with switch:
        listed = await asyncio.to_thread(api.ask, "GET", "/webhooks/dead-letters?receiver=crm")
        assert [each["why"] for each in listed.json["items"]] == ["status-410"]
        done = await asyncio.to_thread(api.ask, "POST", "/webhooks/crm/replay", {"number": 7})
        assert done.json == {"outcome": {"replayed": 1}, "unaudited": ""}
        assert (await asyncio.to_thread(api.ask, "POST", "/webhooks/crm/replay", {}, token=VIEWER)).status == 403
    assert switch.asked == [ListDeadLetters("crm"), ReplayDeadLetters("crm", 7)]
    audit = await asyncio.to_thread(api.ask, "GET", "/audit?limit=1")
    assert (audit.json[0] if isinstance(audit.json, list) else audit.json["items"][0])["action"] == "ReplayDeadLetters"
