"""Long work over HTTP: what becomes of a job, who sees it, and that it is done once whatever ends the process."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from click.testing import CliRunner
from doubles.api import ADMINISTRATOR, AGENT, CUSTOMER, ONLY, Api

from vosd.cli.main import main

ASYNC = {"Prefer": "respond-async"}


def verb(api: Api, *words: str) -> Any:
    done = CliRunner().invoke(main, [*words, "--json", "--config", str(api.config)])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def objects(*names: str, action: str = "create", **keys: Any) -> dict[str, Any]:
    return {"objects": [{"action": action, "kind": "accounts", "name": each, "keys": keys} for each in names]}


@pytest.fixture
def told(api: Api) -> Iterator[Iterator[Any]]:
    """Follow the events of jobs; the client is there before the test begins."""
    with closing(api.connection()) as connection:
        connection.request("GET", "/api/v1/events?types=job", headers={"Authorization": f"Bearer {ADMINISTRATOR}"})
        with connection.getresponse() as answer:
            assert answer.readline().startswith(b"retry:")
            documents = (json.loads(line.removeprefix(b"data: ")) for line in answer if line.startswith(b"data: "))
            yield (each for each in documents if each["type"].startswith("job."))


def test_many_objects_are_changed_in_one_request_or_none_of_them(api: Api) -> None:
    made = api.ask("POST", "/bulk", objects("b1", "b2", currency="EUR") | {"memo": "move"})
    assert made.status == 200, made.content
    assert [(each["name"], each["action"]) for each in made.json["changes"]] == [("b1", "defined"), ("b2", "defined")]
    mixed = {
        "objects": [
            {"action": "merge", "kind": "accounts", "name": "b1", "keys": {"overdraft_limit": "5"}, "if_version": 1},
            {"action": "delete", "kind": "accounts", "name": "b2"},
            {"action": "replace", "kind": "number_lists", "name": "bad", "keys": {"patterns": ["4477*"]}},
        ]
    }
    tried = api.ask("POST", "/bulk?dry_run=true", mixed)
    assert (tried.status, tried.json["dry_run"], len(tried.json["changes"])) == (200, True, 3)
    assert api.ask("GET", "/accounts/b2").status == 200
    assert api.ask("POST", "/bulk", mixed).status == 200
    assert api.ask("GET", "/accounts/b1").json["keys"] == {"currency": "EUR", "overdraft_limit": "5"}
    assert api.ask("GET", "/accounts/b2").status == 404
    line = api.ask("GET", "/audit?limit=1").json["items"][0]
    assert (line["action"], line["subject"]) == ("ChangeObjects", "3 objects")
    assert api.ask("GET", f"/audit?number={line['id']}").json["items"] == [line]


def test_each_mistake_of_many_objects_names_the_object_and_its_field(api: Api) -> None:
    wrong = objects("good", "c1", "c2", currency="EUR")
    wrong["objects"][1]["keys"] = {"currency": "EUROS"}
    wrong["objects"][2]["keys"] = {"colour": "red"}
    refused = api.ask("POST", "/bulk", wrong)
    assert (refused.status, refused.json["code"]) == (422, "bulk_refused")
    fields = [each["field"] for each in refused.json["errors"]]
    assert fields == ["objects[1].keys.currency", "objects[2].keys.colour"]
    assert api.ask("GET", "/accounts/good").status == 404
    for change, field in (
        ({"action": "create", "kind": "colours", "name": "x", "keys": {}}, "objects[0].kind"),
        ({"action": "delete", "kind": "accounts", "name": "x", "keys": {}}, "objects[0].keys"),
        ({"action": "delete", "kind": "accounts", "name": "absent"}, "objects[0]"),
        ({"action": "create", "kind": "accounts", "name": "x"}, "objects[0].keys"),
        ({"action": "create", "kind": "accounts", "name": "x", "keys": {"memo": 5}}, "objects[0].keys.memo"),
    ):
        refused = api.ask("POST", "/bulk", {"objects": [change]})
        assert (refused.status, refused.json["errors"][0]["field"]) == (422, field), refused.content
    twice = api.ask("POST", "/bulk", objects("d", "d"))
    assert (twice.status, twice.json["errors"][0]["field"]) == (422, "objects[1].name")
    assert api.ask("POST", "/bulk", {"objects": []}).json["field"] == "objects"


def test_mistakes_of_many_objects_are_errors_alone_and_those_of_other_objects_have_their_own_keys(api: Api) -> None:
    password = "zebra-onyx-quill-77"
    assert api.ask("POST", "/accounts", {"name": "norate", "keys": {"currency": "USD"}}).status == 201
    for number in ("8100", "8001"):
        phone = {"name": number, "keys": {"account": "norate", "password": password}}
        assert api.ask("POST", "/phones", phone).status == 201
    assert api.ask("POST", "/dids/import", {"text": "number,account,phones\n4930201,norate,8001\n"}).status == 200
    deleted = {"action": "delete", "kind": "phones", "name": "8001"}
    merged = {"action": "merge", "kind": "phones", "name": "8100", "keys": {"max_concurrent": "3"}}
    refused = api.ask("POST", "/bulk?confirm=true", {"objects": [merged, deleted]})
    assert (refused.status, refused.json["code"], refused.json["field"]) == (422, "bulk_refused", "objects[1]")
    assert [each["detail"].partition("; ")[2] for each in refused.json["errors"]] == ["it is used by DID 4930201"]
    group = {"currency": "USD", "rates": [{"prefix": "44", "billing_rate": "1"}]}
    assert api.ask("POST", "/rate-groups", {"name": "ours", "keys": group}).status == 201
    assert (
        api.ask("POST", "/accounts", {"name": "payer", "keys": {"currency": "USD", "rate_group": "ours"}}).status == 201
    )
    moved = {"action": "merge", "kind": "rate_groups", "name": "ours", "keys": {"currency": "EUR"}}
    refused = api.ask("POST", "/bulk?confirm=true", {"objects": [merged, moved]})
    assert (refused.status, refused.json["field"]) == (422, "accounts[payer].currency")
    assert [each["field"] for each in refused.json["errors"]] == ["accounts[payer].currency"]
    assert "phones[8100]" in {each["field"] for each in refused.json["warnings"]}
    wrong = {"action": "merge", "kind": "phones", "name": "8001", "keys": {"max_concurrent": "x"}}
    refused = api.ask("POST", "/bulk?confirm=true", {"objects": [merged, wrong]})
    assert (refused.json["code"], refused.json["field"]) == ("bulk_refused", "objects[1].keys.max_concurrent")
    assert [each["field"] for each in refused.json["errors"]] == ["objects[1].keys.max_concurrent"]
    assert "objects[0]" in {each["field"] for each in refused.json["warnings"]}


@pytest.mark.parametrize("headers", [{}, ASYNC], ids=["at once", "a job"])
def test_many_objects_have_no_new_password_that_is_easy_to_guess(api: Api, headers: dict[str, str]) -> None:
    def said(*passwords: str, **keys: str) -> dict[str, str]:
        """Send phones, of which the last one has more keys, and return the place and the sentence of each mistake."""
        wanted = [{"account": "reseller", "password": password} for password in passwords]
        wanted[-1] |= keys
        phone = {"action": "create", "kind": "phones"}
        made = [{**phone, "name": f"{number}", "keys": each} for number, each in enumerate(wanted, 9001)]
        refused = api.ask("POST", "/bulk", {"objects": made}, headers=headers)
        problem = api.wait_for(refused)["problem"] if headers else refused.json
        assert problem["code"] == "bulk_refused"
        return {each["field"]: each["detail"] for each in problem["errors"]}

    alone = said("9001", "zebra-onyx-quill-77", "9003")
    assert [*alone] == ["objects[0].keys.password", "objects[2].keys.password"]
    assert all("easy to guess" in each for each in alone.values())
    beside = said("9001", "9002", "zebra-onyx-quill-77", max_concurrent="x")
    assert [*beside] == ["objects[0].keys.password", "objects[1].keys.password", "objects[2].keys.max_concurrent"]
    assert "harder to guess" in beside["objects[1].keys.password"]


def test_a_long_change_is_one_job_with_the_same_result_and_audit_seen_by_its_owner_and_administrators(
    api: Api, told: Iterator[Any]
) -> None:
    keyed, body = {**ASYNC, "Idempotency-Key": "one job"}, objects("j1", "j2", currency="USD")
    wrong = {"objects": [{"action": "rename", "kind": "accounts", "name": "b"}]}
    refused = api.ask("POST", "/bulk", wrong, headers=ASYNC)
    assert (refused.status, refused.json["field"]) == (422, "objects[0].action"), "no job says it later"
    queued, again = (api.ask("POST", "/bulk", body, headers=keyed, token="administrator-2") for _ in range(2))
    assert (again.status, again.json["id"]) == (202, queued.json["id"]), "a repeat with the same key is the same job"
    assert again.headers["location"] == queued.headers["location"] == f"/api/v1/jobs/{queued.json['id']}"
    assert (queued.status, queued.json["kind"], queued.json["state"]) == (202, "bulk", "queued"), queued.content
    job = api.wait_for(queued)
    assert (job["state"], job["progress"], job["has_result"], job["beginnings"]) == ("done", 1, True, 1), job
    assert job["committed"] is not None
    result = api.ask("GET", f"/jobs/{job['id']}/result").json
    assert [each["name"] for each in result["changes"]] == ["j1", "j2"]
    line = api.ask("GET", "/audit?limit=1").json["items"][0]
    assert (line["action"], line["principal"], line["means"]) == ("ChangeObjects", "administrator-2", "token")

    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/result")):
        assert api.ask(method, f"/jobs/{job['id']}{path}", token="viewer").json["code"] == "no_such_job"
    assert api.ask("GET", "/jobs", token="viewer").json["items"] == []
    assert api.ask("GET", f"/jobs/{job['id']}").json["ordered_by"] == "administrator-2"
    assert (api.ask("GET", "/jobs/99999").status, api.ask("GET", "/jobs/x").status) == (404, 422)
    alone = [each["id"] for each in api.ask("GET", f"/jobs?id={job['id']}").json["items"]]
    assert alone == [job["id"]]

    failed = api.wait_for(api.ask("POST", "/bulk", objects("j1"), headers=ASYNC))
    assert (failed["state"], failed["problem"]["code"]) == ("failed", "bulk_refused")
    assert failed["problem"]["errors"][0]["field"] == "objects[0]"
    assert api.ask("GET", f"/jobs/{failed['id']}/result").json["code"] == "no_result"
    ended = api.ask("DELETE", f"/jobs/{failed['id']}")
    assert (ended.status, ended.json["code"]) == (409, "job_ended")

    assert verb(api, "jobs", "show", str(job["id"])) == job
    assert [each["id"] for each in verb(api, "jobs", "list")][:2] == [failed["id"], job["id"]]

    events = [next(told) for _ in range(4)]
    assert [(each["type"], each["data"]["id"]) for each in events] == [
        ("job.begun", job["id"]), ("job.done", job["id"]), ("job.begun", failed["id"]), ("job.failed", failed["id"]),
    ]  # fmt: skip
    assert (events[1]["data"], events[3]["data"]) == (job, failed)


def test_calls_are_exported_to_a_file_and_rated_again_as_jobs(api: Api) -> None:
    export = api.wait_for(api.ask("POST", "/cdrs/export", {}))
    found = api.ask("GET", f"/jobs/{export['id']}/result")
    assert (found.status, found.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    assert b"call_id" in found.content.splitlines()[0]
    backups = f"{ONLY}jobs,installation.run"
    assert api.ask("GET", f"/jobs/{export['id']}", token=backups).json["state"] == "done"
    lacking = api.ask("GET", f"/jobs/{export['id']}/result", token=backups)
    assert (lacking.status, lacking.json["code"]) == (403, "permission_lacking"), "it may not order the export"
    span = {"since": "2026-01-01T00:00:00Z", "until": "2026-02-01T00:00:00Z"}
    rated = api.wait_for(api.ask("POST", "/calls/rerate", span))
    assert rated["state"] == "done", rated
    assert api.ask("GET", f"/jobs/{rated['id']}/result").json["calls"] == 0


def test_the_permission_of_the_order_is_enough_for_state_and_result_of_a_job_of_ones_own(api: Api) -> None:
    exporter, other = f"{ONLY}calls.export", f"{ONLY}calls.export,installation.run"
    queued = api.ask("POST", "/cdrs/export", {}, token=exporter)
    number = api.wait_for(queued)["id"]
    assert api.ask("GET", f"/jobs/{number}", token=exporter).json["state"] == "done"
    assert api.ask("GET", f"/jobs/{number}/result", token=exporter).content.startswith(b"call_id")
    for path in (f"/jobs/{number}", f"/jobs/{number}/result"):
        assert api.ask("GET", path, token=other).json["code"] == "no_such_job", "jobs of others need jobs"
    for method, path in (("GET", "/jobs"), ("DELETE", f"/jobs/{number}")):
        lacking = api.ask(method, path, token=exporter)
        assert (lacking.status, lacking.json["code"]) == (403, "permission_lacking")


@pytest.mark.parametrize("body", [{"since": "2026-01-01T00:00:00Z"}, {"since": 1, "until": 2}, {"book": True}])
def test_an_order_that_makes_no_sense_is_refused_before_it_is_queued(api: Api, body: Any) -> None:
    assert api.ask("POST", "/calls/rerate", body).status == 422
    refused = api.ask("POST", "/bulk?dry_run=null", objects("d"), headers=ASYNC)
    assert (refused.status, refused.json["field"]) == (422, "dry_run")


@pytest.mark.parametrize(
    ("permissions", "change", "lacking"),
    [
        ("calls.see", {}, "routes.see"),
        (
            "calls.see,routes.see",
            {"objects": [{"action": "delete", "kind": "accounts", "name": "x"}]},
            "definitions.see",
        ),
    ],
)
def test_a_simulation_by_one_who_lacks_a_permission_is_refused_before_it_is_queued(
    api: Api, permissions: str, change: Any, lacking: str
) -> None:
    span = {"since": "2026-01-01T00:00:00Z", "until": "2026-02-01T00:00:00Z"}
    refused = api.ask("POST", "/routes/simulate", {**span, **change}, token=f"{ONLY}jobs,{permissions}", headers=ASYNC)
    assert (refused.status, refused.json["code"]) == (403, "permission_lacking")
    assert lacking in refused.json["detail"]


@pytest.mark.parametrize("token", [f"{AGENT}reseller", f"{CUSTOMER}acme"])
def test_what_is_for_operators_is_not_queued_for_others_nor_is_its_body_kept(api: Api, token: str) -> None:
    span = {"since": "2026-01-01T00:00:00Z", "until": "2026-02-01T00:00:00Z"}
    newest = api.ask("GET", "/jobs").json["items"]
    kept = sorted((api.config.parent / "var" / "jobs").glob("*"))
    for path, body in (("/routes/simulate", span), ("/bulk", objects(*(f"x{each}" for each in range(2_000))))):
        refused = api.ask("POST", path, body, token=token, headers=ASYNC)
        assert (refused.status, refused.json["code"]) in {(403, "operators_only"), (403, "permission_lacking")}
    assert api.ask("GET", "/jobs").json["items"] == newest
    assert sorted((api.config.parent / "var" / "jobs").glob("*")) == kept
