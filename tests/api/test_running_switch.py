"""What a running switch does and knows, over HTTP, with its calls."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from api.test_api_recipes import run_recipes
from api.watched import Watched, watched
from doubles.api import AGENT, ONLY, VIEWER
from doubles.sockets.peer import OutgoingCall, Peer
from e2e.addresses import API_SWITCH, VENDORS
from e2e.conversation import Conversation, conversing


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with watched(tmp_path_factory.mktemp("watched")) as installation:
        yield installation


@contextmanager
def one_call(site: Watched, gateway: str = "carrier-a", prefix: str = "4410") -> Iterator[Conversation]:
    with conversing(site.stage, prefix, gateway=gateway) as (call,):
        call.establish()
        yield call


def test_running_calls_are_listed_by_account_gateway_and_age(site: Watched) -> None:
    with one_call(site) as talk:
        (call,) = site.items("/calls?account=acme")
        assert (call["callee"], call["state"], call["routing_gateway"]) == (talk.callee, "talking", "carrier-a")
        assert call == site.cli("calls", "--account", "acme")[0] | {"age_s": call["age_s"], "talk_s": call["talk_s"]}
        assert site.items("/calls?gateway=carrier-a&longer_ms=3600000") == []
        assert site.items("/calls?account=vendors&state=talking&fields=call_id") == [{"call_id": call["call_id"]}]
        (seen,) = site.items("/calls", token=f"{AGENT}reseller")
        assert (seen["routing_gateway"], seen["vendor_account"]) == (None, None)
        talk.hang_up()
    site.stage.expect_nothing_left()


def test_calls_are_hung_up_one_by_its_id_and_others_by_what_they_have_in_common(site: Watched) -> None:
    with conversing(site.stage, "4410", "4410", "4410") as (first, second, third):
        first.establish()
        (call,) = site.items("/calls")
        second.establish()
        third.establish()
        assert site.api.ask("DELETE", f"/calls/{call['call_id'][:18]}", token=VIEWER).status == 403
        ended = site.api.ask("DELETE", f"/calls/{call['call_id'][:18]}")
        assert (ended.status, ended.json) == (200, {"outcome": {"fitting": 1, "ended": 1}, "unaudited": ""})
        first.is_ended_by_the_switch()
        assert site.api.ask("POST", "/calls/hangup", {}).json["code"] == "order"
        assert site.api.ask("POST", "/calls/hangup", {"prefix": ""}).json["field"] == "prefix"
        many = site.api.ask("POST", "/calls/hangup", {"account": "acme"})
        assert (many.status, many.json["code"]) == (409, "too_many_calls")
        assert site.api.ask("POST", "/calls/hangup", {"gateway": "carier-a"}).json["code"] == "unknown_name"
        both = site.api.ask("POST", "/calls/hangup?confirm=true", {"account": "acme", "prefix": "4410"})
        assert both.json["outcome"] == {"fitting": 2, "ended": 2}
        for call_ended in (second, third):
            call_ended.is_ended_by_the_switch()
    site.stage.expect_nothing_left()
    assert site.api.ask("DELETE", f"/calls/{call['call_id']}").json["code"] == "not_running"
    lines = site.items("/audit?limit=2")
    assert [(each["action"], each["subject"]) for each in lines] == [
        ("HangUp", "acme"),
        ("HangUp", call["call_id"][:18]),
    ]


def test_a_ladder_is_read_while_the_call_runs_and_afterwards_and_every_look_is_audited(
    site: Watched,
) -> None:
    with one_call(site) as talk:
        (call,) = site.items("/calls")
        path = f"/calls/{call['call_id']}/ladder"
        document = site.api.ask("GET", path).json
        assert [each["message"].split(" ", 1)[0] for each in document["messages"][:1]] == ["INVITE"]
        assert document["outcome"] is None
        text = site.api.ask("GET", path, headers={"Accept": "text/plain"})
        assert text.headers["content-type"] == "text/plain; charset=utf-8"
        assert text.content.decode() == site.drawn("calls", "--ladder", call["call_id"])
        capture = site.api.ask("GET", path, headers={"Accept": "application/vnd.tcpdump.pcap"})
        assert capture.content[:4] == b"\xd4\xc3\xb2\xa1"
        assert capture.content.count(b"INVITE sip:") == 2
        assert site.api.ask("GET", path, token=VIEWER).status == 403
        talk.hang_up()
    site.stage.expect_nothing_left()
    lines = [each for each in site.items("/audit?limit=20") if each["subject"] == call["call_id"]]
    assert [(each["action"], each["means"]) for each in lines] == [
        ("DrawRunningCall", means) for means in ("token", "terminal", "token", "token")
    ]
    assert site.api.ask("GET", path).json["code"] == "not_running"
    record = refused_call(site)
    after = f"/cdrs/{record['call_id']}/ladder"
    drawn = site.api.ask("GET", after, headers={"Accept": "text/plain"}).content.decode()
    assert drawn == site.drawn("cdr", "show", record["call_id"], "--ladder")
    assert "Busy: 486 to the caller" in drawn
    page = site.api.ask("GET", f"/calls/why?callee={record['callee_in']}").json
    assert page["calls"][0]["messages"] == site.api.ask("GET", after).json["messages"]
    blind = site.api.ask("GET", f"/calls/why?callee={record['callee_in']}", token=f"{ONLY}calls.explain").json
    assert blind["calls"] == [page["calls"][0] | {"messages": None}]
    lines = [each["action"] for each in site.items("/audit?limit=20") if each["subject"] == record["call_id"]]
    assert lines == ["DrawRecord", "ExplainCalls", "DrawRecord", "DrawRecord"]
    assert site.api.ask("GET", after, token=f"{AGENT}reseller").status in {403, 404}


def refused_call(site: Watched) -> dict[str, Any]:
    """Make a call that two vendors refuse, and return its record."""
    with (
        Peer(VENDORS["carrier-b"]) as first,
        Peer(VENDORS["carrier-c"]) as second,
        Peer(site.stage.endpoint_of("acme")) as customer,
    ):
        call = OutgoingCall(customer, API_SWITCH, site.stage.number("4420"))
        call.invite()
        for vendor, status in ((first, 503), (second, 486)):
            vendor.reply(vendor.expect("INVITE"), status, tag="vendor")
            vendor.expect("ACK")
        assert call.refused().status == 486
    return site.stage.record_of(call.callee)


def test_every_recipe_of_a_running_switch_succeeds(site: Watched) -> None:
    ended = refused_call(site)["call_id"]
    with conversing(site.stage, "4410", "4410") as (first, second):
        first.establish()
        (call,) = site.items("/calls")
        second.establish()
        recipes = run_recipes(site.api, "Recipes of a running switch", CALL=call["call_id"], CDR=ended)
        assert recipes >= 14
        first.is_ended_by_the_switch()
        second.is_ended_by_the_switch()
    site.stage.expect_nothing_left()
