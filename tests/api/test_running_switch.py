"""What a running switch does and knows, over HTTP, with its calls."""

import json
import os
import signal
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from decimal import Decimal

import pytest
from api.test_api_recipes import run_recipes
from api.watched import Watched, refused_call, something_of_everything, watched
from doubles.api import ADMINISTRATOR, AGENT, ONLY, VIEWER
from doubles.report_server import ReportServer
from doubles.sockets.login import Login
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import Peer
from doubles.telephone import Telephone
from e2e.addresses import API_SWITCH, NETWORK, PHONES, VENDORS
from e2e.conditions import eventually
from e2e.conversation import Conversation, conversing

from vosd.api.operations.traces import TRACES_MAX
from vosd.obs.events import Event


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


def test_a_running_call_is_shown_with_legs_timers_and_charges_so_far_and_then_by_its_record(site: Watched) -> None:
    with one_call(site) as talk:
        (listed,) = site.items("/calls")
        path = f"/calls/{listed['call_id'][:18]}"
        call = site.api.ask("GET", path).json
        printed = site.cli("call", "show", listed["call_id"])
        assert (call["running"], call["call"]["call_id"]) == (True, listed["call_id"])
        caller, callee = call["legs"]
        assert (caller["side"], caller["gateway"], caller["codec"]) == ("caller", "acme-pbx", "PCMU")
        assert (callee["side"], callee["gateway"], callee["address"]) == (
            "callee", "carrier-a", str(VENDORS["carrier-a"]),
        )  # fmt: skip
        assert call["granted_s"] >= 6
        record = call["record"]
        assert (record["routing_gateway"], record["end_reason"], record["ended_at"]) == ("carrier-a", None, None)
        assert [each["gateway"] for each in record["attempts"]] == ["carrier-a"]
        assert [each["role"] for each in record["charges"]] == ["customer", "agent", "vendor"]
        assert printed.keys() == call.keys()
        assert printed["legs"] == call["legs"]
        assert "carrier-a" in site.daemon.succeed("call", "show", listed["call_id"])
        seen = site.api.ask("GET", path, token=f"{AGENT}reseller").json
        assert "carrier" not in str(seen)
        assert site.api.ask("GET", path, token=f"{AGENT}rival").status == 404
        talk.hang_up()
    site.stage.expect_nothing_left()
    site.stage.record_of(talk.callee)
    over = site.api.ask("GET", path).json
    assert (over["running"], over["call"], over["legs"]) == (False, None, None)
    assert over["record"] == site.api.ask("GET", f"/cdrs/{listed['call_id']}").json
    assert over == site.cli("call", "show", listed["call_id"])
    assert site.api.ask("GET", "/calls/00000000-0000").json["code"] == "no_record"


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
        no_id = site.api.ask("DELETE", "/calls/zz")
        assert (no_id.status, no_id.json["field"]) == (422, "call_id")
        assert no_id.json["detail"] == site.api.ask("GET", "/cdrs/zz").json["detail"]
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


def test_a_ladder_is_read_while_the_call_runs_and_afterwards_and_the_audit_has_who_looked(site: Watched) -> None:
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
        ("DrawRunningCall", means) for means in ("terminal", "token")
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


def test_new_calls_are_followed_while_they_are_made(site: Watched) -> None:
    assert site.api.ask("GET", "/calls/trace?gateway=carier-a").json["code"] == "unknown_name"
    assert site.api.ask("GET", "/calls/trace?seconds=0").status == 422
    headers = {"Authorization": f"Bearer {ADMINISTRATOR}", "Accept-Encoding": "gzip"}
    with conversing(site.stage, "4410", "4410") as (other, wanted), closing(site.api.connection()) as connection:
        connection.request("GET", f"/api/v1/calls/trace?callee={wanted.callee}&seconds=600", headers=headers)
        followed = connection.getresponse()
        assert (followed.status, followed.headers["content-type"]) == (200, "application/x-ndjson")
        other.establish()
        wanted.establish()
        other.hang_up()
        wanted.hang_up()
        call = json.loads(followed.readline())
    assert (call["callee"], call["gateways"], call["outcome"]["end_reason"]) == (wanted.callee, ["carrier-a"], "Normal")
    (line,) = site.items("/audit?limit=1&action=FollowCalls")
    assert (line["subject"], line["means"]) == (wanted.callee, "token")
    site.stage.expect_nothing_left()


def test_traces_at_once_are_bounded(site: Watched) -> None:
    path, headers = "/api/v1/calls/trace?seconds=600", {"Authorization": f"Bearer {ADMINISTRATOR}"}
    with ExitStack() as opened:

        def is_opened() -> bool:
            connection = opened.enter_context(closing(site.api.connection()))
            connection.request("GET", path, headers=headers)
            return opened.enter_context(connection.getresponse()).status == 200

        for _ in range(TRACES_MAX):
            eventually(is_opened, "there is a place: one of a test before may have been left just now")
        refused = site.api.ask("GET", "/calls/trace?seconds=600")
        assert (refused.status, refused.json["code"], refused.headers["retry-after"]) == (503, "too_many_streams", "5")
    eventually(lambda: site.api.ask("GET", "/calls/trace?seconds=1").status == 200, "there is a place again")
    site.stage.expect_nothing_left()


def test_every_recipe_of_a_running_switch_succeeds(site: Watched) -> None:
    ended = refused_call(site)["call_id"]
    with conversing(site.stage, "4410", "4410") as (first, second):
        first.establish()
        (call,) = site.items("/calls")
        second.establish()
        recipes = run_recipes(site.api, "Recipes of a running switch", CALL=call["call_id"], CDR=ended)
        assert recipes >= 34
        first.is_ended_by_the_switch()
        second.is_ended_by_the_switch()
    site.stage.expect_nothing_left()


SPAN_JSON = {"since": "2020-01-01T00:00:00Z", "until": "2120-01-01T00:00:00Z"}
CALL = {"gateway": "acme-pbx", "caller": "12025550100", "callee": "442012345"}


@pytest.fixture(scope="module")
def ended(site: Watched) -> str:
    """Have something of everything, and return the id of a call that two vendors refused."""
    return something_of_everything(site)


def test_a_caller_is_taken_off_the_blacklist_once(site: Watched, ended: str) -> None:
    (listed,) = site.api.ask("GET", "/blacklist?limit=1").json["items"]
    assert (listed["caller"], listed["cause"], listed["mapping_gateway"]) == ("12025550100", "no_answer", "poor-pbx")
    cleared = site.api.ask("DELETE", "/blacklist?number=%2B12025550100")
    assert cleared.json["outcome"] == {"number": "12025550100", "cleared": 1}
    assert site.api.ask("DELETE", "/blacklist?number=12025550100").json["code"] == "not_refused"
    assert site.items("/sources") == []
    assert site.api.ask("DELETE", "/sources?address=192.0.2.1").json["code"] == "not_refused"
    assert site.api.ask("DELETE", "/sources?address=x").json["field"] == "address"
    assert site.api.ask("GET", "/webhooks/dead-letters?receiver=crm").json["code"] == "no_such_receiver"
    replayed = site.api.ask("POST", "/webhooks/crm/replay", {})
    assert (replayed.status, replayed.json["code"]) == (404, "no_such_receiver")
    assert "webhooks has no receiver 'crm'" in replayed.json["detail"]


def test_a_registration_is_forgotten_until_the_phone_registers_again(site: Watched, ended: str) -> None:
    with Peer(Endpoint(PHONES["office"], 15_998)) as office:
        phone = Telephone(office, API_SWITCH, Login("7001", "a-long-secret-1"))
        for forget in (lambda: site.api.ask("DELETE", "/registrations/7001").json["outcome"],
                       lambda: site.cli("registrations", "--forget", "7001")):  # fmt: skip
            phone.register()
            assert {row["name"] for row in site.items("/registrations?direction=inbound")} == {"7001"}
            assert {row["name"] for row in site.items("/registrations?containing=SIP:7001")} == {"7001"}
            assert site.items("/registrations?containing=none") == []
            outcome = forget()
            assert (outcome["name"], outcome["bindings"] >= 1) == ("7001", True)
            assert site.items("/registrations") == []
    lines = site.items("/audit?limit=2&action=ForgetRegistration")
    assert [(each["subject"], each["means"]) for each in lines] == [("7001", "terminal"), ("7001", "token")]
    assert site.api.ask("DELETE", "/registrations/7001").json["code"] == "not_registered"
    assert site.daemon.verb("registrations", "--forget", "7001").code == 1


def test_a_gateway_has_its_traffic_of_now_and_its_effectiveness(site: Watched) -> None:
    refused_call(site)
    with one_call(site) as talk:
        (row,) = site.items("/gateways/quality?gateway=carrier-a&kind=routing")
        assert (row["calls"], row["cps"] in {0, 1}, row["ner"]) == (1, True, 100.0)
        talk.hang_up()
    (busy,) = site.items("/gateways/quality?gateway=carrier-c")
    assert (busy["asr"], busy["ner"]) == (0.0, 100.0), "a busy phone was reached"
    site.stage.expect_nothing_left()


def test_a_test_call_tells_each_step_and_is_booked(site: Watched) -> None:
    with Peer(VENDORS["carrier-b"]) as vendor:
        with ThreadPoolExecutor(1) as beside:
            body = {"via": "carrier-b", "callee": "442012345", "is_ring_only": True}
            asked = beside.submit(site.api.ask, "POST", "/calls/test", body)
            invite = vendor.expect("INVITE")
            vendor.reply(invite, 180, tag="test")
            vendor.reply(vendor.expect("CANCEL"), 200, tag="test")
            vendor.reply(invite, 487, tag="test")
            vendor.expect("ACK")
        report = asked.result().json
    assert (report["result"], report["routing_gateway"], report["call_id"]) == ("rang", "carrier-b", None)
    assert len(report["steps"]) >= 3
    assert site.api.ask("POST", "/calls/test", {"via": "nowhere", "callee": "44"}).json["code"] == "unknown_name"
    assert site.api.ask("POST", "/calls/test", {"via": "carrier-b"}).json["field"] == "callee"


def test_too_many_calls_are_not_simulated_in_one_request(site: Watched, ended: str) -> None:
    for limit in (0, 2_001):
        refused = site.api.ask("POST", "/routes/simulate", {**SPAN_JSON, "limit": limit})
        assert (refused.status, refused.json["field"]) == (422, "limit")
    assert site.api.ask("POST", "/routes/simulate", {**SPAN_JSON, "limit": 1}).json["calls"] == 1


def test_monitors_ask_without_a_token_and_learn_nothing_else(site: Watched) -> None:
    assert site.api.ask("GET", "/ready", token=None).json == {"ready": True, "earlier_configuration": False}
    assert site.api.ask("GET", "/health", token=None).json == {"healthy": True}


def test_the_audit_is_read_page_by_page_and_by_what_it_is_about(site: Watched, ended: str) -> None:
    assert site.api.ask("POST", "/gateways/carrier-c/block", {"memo": "ill"}).status == 200
    assert site.api.ask("DELETE", "/gateways/carrier-c/block").status == 200
    first = site.api.ask("GET", "/audit?limit=2").json
    second = site.api.ask("GET", f"/audit?limit=2&cursor={first['next']}").json
    assert [each["id"] for each in (*first["items"], *second["items"])] == [
        each["id"] for each in site.items("/audit?limit=4")
    ]
    lines = site.api.ask("GET", "/audit?login=administrator&action=SetObjects", headers={"Accept": "text/csv"})
    changes = site.items("/audit?login=administrator&action=SetObjects")
    assert lines.content.count(b",SetObjects,") == len(changes) >= 2
    assert site.items("/audit?since=2120-01-01T00:00:00Z") == []


def test_versions_are_compared(site: Watched, ended: str) -> None:
    path = "/accounts/shop/diff?first=1&last=2"
    assert site.api.ask("GET", path).json["keys"] == {"overdraft_limit": ["10", "20"]}
    assert site.api.ask("GET", "/accounts/shop/diff?first=9").json["code"] == "no_such_object"


def test_a_backup_is_made_listed_and_verified_and_has_a_name_and_no_path(site: Watched) -> None:
    made = site.api.ask("POST", "/backups")
    assert made.status == 201, made.content
    kept = site.items("/backups?sort=-written_at")[0]
    assert made.json["file"].endswith(f"/var/backups/{kept['name']}")
    assert kept["bytes"] == made.json["bytes"]
    verified = site.api.ask("POST", f"/backups/{kept['name']}/verify").json
    assert verified["manifest"] == made.json["manifest"]
    (line,) = site.items("/audit?limit=1")
    assert (line["action"], line["subject"]) == ("MakeBackup", kept["name"])
    (site.daemon.directory / "var/backups/damaged.zip").write_bytes(b"PK")
    (site.daemon.directory / "var/backups/linked.zip").symlink_to(made.json["file"])
    assert site.api.ask("POST", "/backups/damaged.zip/verify").json["code"] == "backup"
    for name in ("linked.zip", "missing.zip"):
        assert site.api.ask("POST", f"/backups/{name}/verify").json["code"] == "no_such_backup"
    for name in ("..%2Fvosd.db", "%2Fetc%2Fpasswd", ".zip", "..", "a%00.zip"):
        assert site.api.ask("POST", f"/backups/{name}/verify").status in {400, 422}
    names = {each["name"] for each in site.items("/backups")}
    assert ("damaged.zip" in names, kept["name"] in names, "linked.zip" in names) == (True, True, False)
    assert site.api.ask("POST", "/backups", token=VIEWER).status == 403


@contextmanager
def crm_told_of_calls(site: Watched) -> Iterator[ReportServer]:
    """Have a server that is told of the ends of calls, and again a tenth of a second after it has failed."""
    good = site.daemon.configuration_file.read_text()
    secret = "of-the-crm-and-of-no-other"
    with ReportServer(secret=secret.encode()) as crm:
        terms = f"types: [call.ended], secret: {secret}, allow_private: yes, retry_interval: 0.1"
        site.daemon.configure(f"{good}\nwebhooks: [{{name: crm, url: '{crm.url}', {terms}}}]\n")
        assert site.api.ask("POST", "/configuration/reload").status == 200
        yield crm
        site.daemon.configure(good)
        assert site.api.ask("POST", "/configuration/reload").status == 200
    assert crm.faults == []


def test_the_end_of_a_call_is_told_to_a_server_and_told_again_when_that_is_ordered(site: Watched) -> None:
    with crm_told_of_calls(site) as crm:
        crm.fails.append(400)
        with site.stage.expecting(Event.CALL_REPORTS_DROPPED), one_call(site) as talk:
            (call,) = site.items("/calls")
            talk.hang_up()
            letter = eventually(lambda: site.items("/webhooks/dead-letters"), "the server has refused the event")[0]
            eventually(lambda: "call_reports_dropped" in [line.get("event") for line in site.daemon.log()], "the alarm")
        assert (letter["receiver"], crm.taken(), crm.faults) == ("crm", [], [])
        assert site.api.ask("POST", "/webhooks/crm/replay", {}).json["outcome"] == {"replayed": 1}
        (event,) = crm.wait_for(1)
        assert (event["type"], event["data"]["call_id"]) == ("call.ended", call["call_id"])
        assert site.items("/webhooks/dead-letters") == []


def test_a_server_that_answers_503_twice_gets_the_event_a_third_time_with_its_id_and_growing_gaps(
    site: Watched,
) -> None:
    with crm_told_of_calls(site) as crm:
        crm.fails += [503, 503]
        with site.stage.expecting(Event.CALL_REPORTS_DOWN), one_call(site) as talk:
            talk.hang_up()
            (event,) = crm.wait_for(1)
        (first, second, third), bodies = zip(*crm.arrived, strict=True)
        assert (second - first >= 0.1, third - second >= 0.2) == (True, True)
        assert [json.loads(each) for each in bodies] == [event] * 3
        assert event["data"]["callee_in"] == talk.callee
        assert site.items("/webhooks/dead-letters") == []


def test_a_number_that_is_none_is_refused_alike_whether_the_switch_is_asked_or_not(site: Watched) -> None:
    for live in (False, True):
        refused = site.api.ask("POST", "/routes/explain", {**CALL, "callee": "1" * 200, "live": live})
        assert (refused.status, refused.json["code"]) == (422, "no_number")


def test_a_charge_is_set_right_once_and_the_ledger_has_the_difference(site: Watched) -> None:
    with one_call(site) as talk:
        (call,) = site.items("/calls")
        talk.hang_up()
    site.stage.record_of(talk.callee)
    path, keyed = f"/cdrs/{call['call_id']}/corrections", {"Idempotency-Key": "complaint-7"}
    before = Decimal(site.api.ask("GET", "/accounts/acme/balance").json["balance"])
    body = {"charges": [{"role": "customer", "fee": "0.01", "tax": "0.00"}], "memo": "complaint 7"}
    tried = site.api.ask("POST", f"{path}?dry_run=true", body).json["changes"]
    assert site.items(path) == []
    first, again = (site.api.ask("POST", path, body, headers=keyed) for _ in range(2))
    assert (first.status, again.content) == (201, first.content)
    (change,) = first.json["changes"]
    assert [each["amount"] for each in tried] == [change["amount"]]
    assert (change["account"], change["fee_after"], change["tax_after"]) == ("acme", "0.01", "0.00")
    paid = Decimal(change["fee_before"]) + Decimal(change["tax_before"])
    after = Decimal(site.api.ask("GET", "/accounts/acme/balance").json["balance"])
    assert after - before == paid - Decimal("0.01") != 0
    assert site.api.ask("GET", f"/cdrs/{call['call_id']}").json["fee"] == "0.01"
    assert [each["fee_after"] for each in site.items(path)] == ["0.01"]
    (line,) = site.items("/audit?limit=1&action=CorrectCall")
    assert (line["subject"], line["means"]) == (call["call_id"], "token")
    site.stage.expect_books_in_order()


def test_a_span_is_routed_again_as_a_job_with_the_same_outcome(site: Watched, ended: str) -> None:
    eventually(lambda: site.api.ask("GET", "/status").json["spool_rows"] == 0, "no call of before is booked meanwhile")
    at_once = site.api.ask("POST", "/routes/simulate", SPAN_JSON)
    queued = site.api.ask("POST", "/routes/simulate", SPAN_JSON, headers={"Prefer": "respond-async"})
    assert (at_once.status, queued.status, queued.json["kind"]) == (200, 202, "simulate")
    done = site.api.wait_for(queued)
    assert done["state"] == "done", done
    result = site.api.ask("GET", f"/jobs/{done['id']}/result").json
    assert {
        name: (at_once.json.get(name), value) for name, value in result.items() if at_once.json.get(name) != value
    } == {}


def test_a_change_is_tried_on_the_calls_of_a_span_and_on_one_call_and_is_not_made(site: Watched, ended: str) -> None:
    keys = {"account": "vendors", "address": "192.0.2.9:5060", "prefixes": ["44", "44101", "44201"]}
    change = {"objects": [{"action": "create", "kind": "routing_gateways", "name": "newcomer", "keys": keys}]}
    for headers in ({}, {"Prefer": "respond-async"}):
        answer = site.api.ask("POST", "/routes/simulate", {**SPAN_JSON, **change}, headers=headers)
        found = answer.json
        if headers:
            found = site.api.ask("GET", f"/jobs/{site.api.wait_for(answer)['id']}/result").json
        assert "gateways" in found, found
        assert "newcomer" in {each["routing_gateway"] for each in found["gateways"]}
    call = {"gateway": "acme-pbx", "caller": "1202", "callee": "4499"}
    found = site.api.ask("POST", "/routes/explain", call).json
    assert found["sheet"]["candidates"] == []
    assert found["sheet"].items() <= found.items(), "the keys of the command line stand beside"
    (only,) = site.api.ask("POST", "/routes/explain", {**call, **change}).json["sheet"]["candidates"]
    assert only["routing_gateway"] == "newcomer"
    assert site.api.ask("POST", "/routes/explain", {**call, **change, "live": True}).json["field"] == "live"
    wrong = {"objects": [{**change["objects"][0], "keys": {**keys, "prioryti": 1}}]}
    refused = site.api.ask("POST", "/routes/simulate", {**SPAN_JSON, **wrong})
    assert refused.status in {409, 422}
    assert "prioryti" in refused.json["detail"]
    assert site.api.ask("GET", "/routing-gateways/newcomer").status == 404


def test_a_gateway_by_a_socket_that_only_a_restart_opens_is_refused_before_it_is_stored(site: Watched) -> None:
    """Stored, it kept every later change out of force."""
    good = site.daemon.configuration_file.read_text()
    listen = site.api.ask("GET", "/status").json["listen"]
    assert listen == [f"udp:{API_SWITCH}"]
    try:
        site.daemon.configure(good.replace(f'"{listen[0]}"', f'"{listen[0]}", "tcp:{API_SWITCH}"'))
        keys = {"account": "vendors", "address": "192.0.2.9:5060;transport=tcp", "prefixes": ["4430"]}
        for path in ("/routing-gateways/by-tcp?dry_run=true", "/routing-gateways/by-tcp"):
            refused = site.api.ask("PUT", path, {"keys": keys})
            assert (refused.status, refused.json["code"]) == (409, "socket_not_open")
            assert refused.json["field"] == "routing_gateways[by-tcp].address"
            assert "vosd restart opens one" in refused.json["detail"]
        assert site.api.ask("GET", "/routing-gateways/by-tcp/versions").status == 404
        changed = site.api.ask("PUT", "/routing-gateways/by-tcp", {"keys": keys | {"address": "192.0.2.9:5060"}})
        assert (changed.status, changed.json["in_force"]) == (200, True)
        assert any("sip.listen: expected a restart" in each for each in changed.json["warnings"])
        assert site.api.ask("DELETE", "/routing-gateways/by-tcp").json["in_force"] is True
    finally:
        site.daemon.configure(good)
        site.daemon.succeed("reload")


def test_an_object_of_a_running_call_is_removed_by_a_confirmed_order_and_else_changes_of_others_go_on(
    site: Watched,
) -> None:
    """Stored and not taken, the removal kept every later change out of force until the call had ended."""
    ask = site.api.ask
    keys = {"account": "acme", "hosts": [f"{NETWORK}.33/32"]}
    assert ask("POST", "/mapping-gateways", {"name": "used-pbx", "keys": keys}).json["in_force"] is True
    with Peer(VENDORS["carrier-a"]) as vendor, Peer(Endpoint(f"{NETWORK}.33", 15997)) as caller:
        talk = Conversation(site.stage, caller, vendor, "4410")
        talk.establish()
        refused = ask("DELETE", "/mapping-gateways/used-pbx")
        assert (refused.status, refused.json["code"]) == (409, "unconfirmed"), refused.content
        assert refused.json["detail"].endswith("what the change removes: mapping_gateways used-pbx")
        assert ask("GET", "/mapping-gateways/used-pbx").status == 200
        site.daemon.succeed("definitions", "delete", "mapping_gateways", "used-pbx", "--at", "2099-01-01T00:00:00Z")
        with closing(sqlite3.connect(site.daemon.directory / "vosd.db")) as database, database:
            # As where the switch did not answer, or the call began a moment later.
            database.execute("UPDATE definition SET begins_at = made_at WHERE name = 'used-pbx' AND body IS NULL")
            database.execute("UPDATE counter SET value = value + 1 WHERE name = 'catalogue'")
            database.execute(
                "UPDATE definition SET changed = (SELECT value FROM counter WHERE name = 'catalogue')"
                " WHERE name = 'used-pbx' AND body IS NULL"
            )
        with site.stage.expecting(Event.RELOAD_REFUSED):
            assert ask("POST", "/configuration/reload").json["code"] == "unconfirmed"
            made = ask("POST", "/templates", {"name": "beside", "keys": {"max_cps": "3"}})
            assert (made.status, made.json["in_force"]) == (201, True), made.content
        assert ask("GET", "/mapping-gateways/used-pbx").status == 404
        talk.hang_up()
    site.stage.expect_nothing_left()


def test_an_account_with_money_keeps_its_currency_and_changes_of_others_go_on(site: Watched) -> None:
    """Stored, another currency kept every later change out of force, and the switch from its next start."""
    ask = site.api.ask
    assert ask("POST", "/accounts", {"name": "saver", "keys": {"currency": "USD"}}).status == 201
    assert ask("POST", "/accounts/saver/payments", {"amount": "0.01"}).status == 201
    refused = ask("PATCH", "/accounts/saver", {"keys": {"currency": "EUR"}})
    assert (refused.status, refused.json["field"]) == (422, "accounts[saver].currency"), refused.content
    assert ask("GET", "/accounts/saver").json["version"] == 1
    assert ask("POST", "/accounts", {"name": "spender", "keys": {"currency": "USD"}}).json["in_force"] is True


def test_a_configuration_that_is_wrong_is_refused_with_every_mistake_and_the_old_one_stays(site: Watched) -> None:
    good = site.daemon.configuration_file.read_text()
    with site.stage.expecting(Event.RELOAD_REFUSED):
        site.daemon.configure(good.replace("concurrent_limit: 10", "concurent_limit: 10"))
        checked = site.api.ask("POST", "/configuration/check").json
        assert (checked["valid"], checked["problems"][0]["severity"]) == (False, "error")
        refused = site.api.ask("POST", "/configuration/reload")
        assert (refused.status, refused.json["code"]) == (409, "configuration_invalid")
        assert "concurrent_limit" in refused.json["errors"][0]["detail"]
        assert site.api.ask("GET", "/status").json["catalogue"]["error"]
        site.daemon.configure(good)
        site.daemon.succeed("reload")


@pytest.mark.parametrize("broken", ["accounts: [[[", ""], ids=["no YAML", "emptied"])
def test_requests_go_on_by_the_configuration_from_before_while_its_file_cannot_be_read(
    site: Watched, broken: str
) -> None:
    file = site.daemon.configuration_file
    whole = file.read_text()
    before = site.items("/accounts", f"{AGENT}reseller")
    try:
        with one_call(site) as talk:
            file.write_text(broken)
            assert site.items("/accounts", f"{AGENT}reseller") == before
            assert site.api.ask("GET", "/ready", token=None).json["earlier_configuration"] is True
            for path in ("/status", "/alarms", "/balances", "/routing-gateways/carrier-a", "/cdrs", "/me"):
                assert site.api.ask("GET", path).status == 200, path
            assert site.api.ask("POST", "/accounts/reseller/block", {"memo": "fraud"}).status == 200
            assert site.api.ask("DELETE", "/overrides?name=reseller").status == 200
            assert site.api.ask("GET", "/status", token="unknown").status == 401
            checked = site.api.ask("POST", "/configuration/check", {}).json
            assert (checked["valid"], str(file) in json.dumps(checked["problems"])) == (False, True)
            assert site.api.ask("POST", "/calls/hangup", {"account": "acme"}).status == 200
            talk.is_ended_by_the_switch()
        file.write_text(whole.replace("{id: acme,", "{id: acme2,", 1))
        assert '"acme2"' in json.dumps(site.items("/balances"))
    finally:
        file.write_text(whole)
    assert site.items("/accounts", f"{AGENT}reseller") == before
    site.stage.expect_nothing_left()


@pytest.mark.parametrize("broken", ["accounts: [[[", ""], ids=["no YAML", "emptied"])
def test_after_a_crash_requests_go_by_the_last_good_configuration_until_the_files_are_mended(
    site: Watched, broken: str
) -> None:
    file = site.daemon.configuration_file
    whole = file.read_text()
    before = site.items("/accounts", f"{AGENT}reseller")
    site.api.kill()
    file.write_text(broken)
    os.kill(site.daemon.pid, signal.SIGKILL)
    site.daemon.wait()
    # A start after a kill repeats the BYEs of the last calls, whose parties have gone here.
    with site.stage.expecting(Event.CATALOGUE_FALLBACK, Event.BYE_UNANSWERED):
        site.daemon.start()
        site.api.start()
        ready = site.api.ask("GET", "/ready", token=None).json
        assert ready == {"ready": True, "earlier_configuration": True}
        assert str(file) in site.api.ask("GET", "/status").json["catalogue"]["error"]
        assert site.items("/accounts", f"{AGENT}reseller") == before
        for path in ("/alarms", "/balances", "/routing-gateways/carrier-a", "/cdrs", "/me"):
            assert site.api.ask("GET", path).status == 200, path
        assert site.api.ask("POST", "/accounts/reseller/block", {"memo": "fraud"}).status == 200
        assert site.api.ask("DELETE", "/overrides?name=reseller").status == 200
        queued = site.api.ask("POST", "/routes/simulate", SPAN_JSON, headers={"Prefer": "respond-async"})
        assert site.api.wait_for(queued)["state"] == "done"
        refused = site.api.ask("POST", "/accounts", {"name": "kiosk", "keys": {}})
        assert (refused.status, refused.json["code"]) == (422, "config")
        assert site.api.ask("GET", "/status", token="unknown").status == 401
        file.write_text(whole)
        assert site.api.ask("POST", "/configuration/reload").status == 200
        site.stage.expect_timers_run_out()
    assert site.api.ask("GET", "/ready", token=None).json["earlier_configuration"] is False
    assert site.api.ask("GET", "/status").json["catalogue"]["error"] is None
