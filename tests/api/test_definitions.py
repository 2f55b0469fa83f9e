"""Definitions over HTTP: what may be said, what comes back, and that nothing is changed where anything is wrong."""

import base64
import csv
import gzip
import io
import json
from typing import Any
from urllib.parse import urlencode

import pytest
from click.testing import CliRunner
from doubles.api import AGENT, VIEWER, Api

from vosd.cli.main import main

PACKED = {"Accept": "text/csv", "Accept-Encoding": "gzip"}


def defined(api: Api, name: str, **keys: Any) -> None:
    made = api.ask("POST", "/accounts", {"name": name, "keys": keys})
    assert made.status == 201, made.content


def printed_by_verb(api: Api, *words: str) -> Any:
    done = CliRunner().invoke(main, [*words, "--json", "--config", str(api.config)])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_an_object_is_made_read_changed_and_ended(api: Api) -> None:
    made = api.ask("POST", "/accounts", {"name": "shop", "keys": {"currency": "USD"}, "memo": "ticket 1"})
    assert (made.status, made.headers["location"], made.headers["etag"]) == (201, "/api/v1/accounts/shop", '"1"')
    assert made.json["changes"][0] | {"begins_at": ""} == {
        "kind": "accounts", "name": "shop", "action": "defined", "version": 1, "begins_at": "",
        "keys": {"currency": [None, "USD"]}, "planned": [], "calls": None, "users": [],
    }  # fmt: skip
    found = api.ask("GET", "/accounts/shop")
    assert (found.status, found.headers["etag"], found.json["keys"]) == (200, '"1"', {"currency": "USD"})
    assert api.ask("GET", "/accounts/shop", headers={"If-None-Match": '"1"'}).status == 304
    assert api.ask("POST", "/accounts", {"name": "shop", "keys": {}}).json["code"] == "already_defined"

    stale = {"If-Match": '"7"'}
    for method, body in (("PUT", {"keys": {}}), ("PATCH", {"keys": {}}), ("DELETE", None)):
        refused = api.ask(method, "/accounts/shop", body, headers=stale)
        assert (refused.status, refused.json["code"]) == (412, "stale_version")
    several = api.ask("PATCH", "/accounts/shop", {"keys": {}}, headers={"If-Match": '"1", "7"'})
    assert (several.status, several.json["detail"].endswith("name its ETag alone")) == (412, True)
    merged = api.ask("PATCH", "/accounts/shop", {"keys": {"overdraft_limit": 30}}, headers={"If-Match": '"1"'})
    assert (merged.status, merged.headers["etag"]) == (200, '"2"'), merged.content
    assert api.ask("GET", "/accounts/shop").json["keys"] == {"currency": "USD", "overdraft_limit": "30"}
    assert api.ask("PUT", "/accounts/shop", {"keys": {"currency": "USD"}}).headers["etag"] == '"3"'
    versions = api.ask("GET", "/accounts/shop/versions?sort=-version").json["items"]
    assert [each["version"] for each in versions] == [3, 2, 1]
    assert api.ask("GET", "/accounts/shop?version=2").json["keys"]["overdraft_limit"] == "30"
    assert api.ask("DELETE", "/accounts/shop").status == 200
    gone = api.ask("GET", "/accounts/shop")
    assert (gone.status, gone.json["code"]) == (404, "no_such_object")


def test_an_object_that_others_use_does_not_end_and_they_are_named(api: Api) -> None:
    for name in ("usable", "usable-2"):
        group = {"currency": "USD", "rates": [{"prefix": "44", "billing_rate": "1"}]}
        assert api.ask("PUT", f"/rate-groups/{name}", {"keys": group}).status == 200
    for name in ("using-1", "using-2"):
        assert api.ask("PUT", f"/accounts/{name}", {"keys": {"rate_group": "usable"}}).status == 200
    used = "expected that nothing uses it any more; it is used by 2 accounts (using-1, using-2)"
    for path in ("/rate-groups/usable", "/rate-groups/usable?dry_run=true"):
        refused = api.ask("DELETE", path).json
        said = f"rate_groups usable (version 2) in the database: {used}"
        assert refused["detail"].partition("\n")[0] == said
        assert [each["detail"] for each in refused["errors"]] == [said]
    ends = [{"kind": "rate_groups", "name": name, "action": "delete"} for name in ("usable-2", "usable")]
    (mistake,) = api.ask("POST", "/bulk", {"objects": ends}).json["errors"]
    assert (mistake["field"], mistake["detail"]) == ("objects[1]", said)


def test_objects_are_found_by_their_captions_and_by_what_leads_calls_to_them_and_not_by_passwords(api: Api) -> None:
    keys = {"currency": "USD", "name": "Größe & Co", "contact": "ann@found.example", "memo": "pays late"}
    assert api.ask("POST", "/accounts", {"name": "finder", "keys": keys}).status == 201
    phone = {"account": "finder", "password": "zebra-onyx-quill-79", "caller_numbers": ["4930471"]}
    trunk = {"account": "finder", "hosts": ["192.0.2.147"]}
    for path, made in (
        ("/phones", {"name": "8472", "keys": phone, "memo": "for the porter"}),
        ("/mapping-gateways", {"name": "finder-in", "keys": trunk}),
    ):
        assert api.ask("POST", path, made).status == 201
    assert api.ask("POST", "/dids/import", {"text": "number\n49304710-49304719\n4930472\n"}).status == 200

    def found(path: str, part: str, name: str = "name") -> list[str]:
        return [each[name] for each in api.ask("GET", f"{path}?{urlencode({'containing': part})}").json["items"]]

    for part in ("GRÖßE", "größe & co", "ann@found", "Pays"):
        assert found("/accounts", part) == found("/balances", part, "id") == ["finder"], part
    assert found("/phones", "4930471") == found("/phones", "PORTER") == ["8472"]
    assert found("/phones", "zebra") == found("/phones", "onyx-quill") == []
    assert found("/mapping-gateways", "192.0.2.147") == found("/mapping-gateways", "FINDER") == ["finder-in"]
    assert found("/dids", "49304715") == ["49304710-49304719"]
    assert found("/dids", "493047") == ["49304710-49304719", "4930472"]
    assert api.ask("PATCH", "/accounts/finder", {"keys": {"memo": "pays at once"}}).status == 200
    assert found("/balances", "pays late", "id") == []
    assert found("/balances", "at once", "id") == ["finder"]


def test_conditions_of_a_change_are_obeyed_or_refused(api: Api) -> None:
    def code(method: str, path: str, body: Any = None, **headers: str) -> tuple[int, str]:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        reply = api.ask(method, path, body, headers=given)
        return reply.status, "" if reply.status < 400 else reply.json["code"]

    keys = {"account": "conditional", "password": "zebra-onyx-quill-77"}
    assert code("POST", "/accounts", {"name": "conditional", "keys": {"currency": "USD"}}) == (201, "")
    assert code("POST", "/phones", {"name": "8471", "keys": keys}) == (201, "")
    assert code("POST", "/dids/import", {"text": "number\n4930471\n"}) == (200, "")
    number = {"account": "conditional", "phones": ["8471"]}
    for method, path, body in (
        ("PUT", "/phones/8471/password", {"password": "other-onyx-quill-78"}),
        ("POST", "/dids/4930471/assign", number),
        ("POST", "/dids/4930471/free", {}),
    ):
        assert code(method, path, body, If_Match='"7"') == (412, "stale_version")
        assert code(method, path, body, If_None_Match="*") == (422, "unknown_field")
    assigned = api.ask("POST", "/dids/4930471/assign", number, headers={"If-Match": '"1"'})
    assert (assigned.status, assigned.headers["etag"]) == (200, '"2"')
    for path, body in (
        ("/number-lists/maybe", {"keys": {"patterns": ["4*"]}}),
        ("/parameters/SS_GATEWAY_SWITCH_LIMIT", {"value": "9"}),
    ):
        assert code("PUT", path, body, If_Match="*") == (412, "stale_version")
        assert code("PUT", path, body, If_None_Match="*") == (200, "")
        assert code("PUT", path, body, If_None_Match="*") == (412, "stale_version")
        assert code("PUT", path, body, If_None_Match='"1"') == (422, "unknown_field")
        assert code("PUT", path, body, If_Match="*") == (200, "")
        assert code("DELETE", path, If_Match="*") == (200, "")
    payment = {"amount": "1", "reference": "conditional"}
    assert code("POST", "/accounts/conditional/payments", payment, If_Match='"1"') == (422, "unknown_field")


def test_a_repeat_gets_the_place_and_the_version_of_the_object_too(api: Api) -> None:
    made = {"name": "placed", "keys": {"patterns": ["4*"]}}
    first, again = (api.ask("POST", "/number-lists", made, headers={"Idempotency-Key": "placed"}) for _ in range(2))
    assert (again.headers["idempotent-replayed"], again.content) == ("true", first.content)
    for reply in (first, again):
        assert (reply.headers["location"], reply.headers["etag"]) == ("/api/v1/number-lists/placed", '"1"')


def test_a_key_with_another_version_in_if_match_is_another_request(api: Api) -> None:
    path, change = "/accounts/versioned", {"keys": {"overdraft_limit": 30}}
    assert api.ask("POST", "/accounts", {"name": "versioned", "keys": {"currency": "USD"}}).status == 201

    def patch(**headers: str) -> tuple[int, str]:
        reply = api.ask("PATCH", path, change, headers={"Idempotency-Key": "raise-limit"} | headers)
        return reply.status, reply.json.get("code", "")

    try:
        assert patch(**{"If-Match": '"1"'}) == (200, "")
        assert patch(**{"If-Match": 'W/"1"'}) == (200, ""), "the same version, written in another way"
        assert patch(**{"If-Match": '"2"'}) == (409, "key_reused"), "that version was not changed by this order"
        assert patch() == (409, "key_reused")
        assert [each["version"] for each in api.ask("GET", f"{path}/versions").json["items"]] == [1, 2]
    finally:
        assert api.ask("DELETE", path).status == 200


def test_the_verb_and_the_api_show_the_same_and_leave_the_same_line_in_the_audit(api: Api) -> None:
    defined(api, "shown", currency="USD")
    assert api.ask("PATCH", "/accounts/shown", {"keys": {"overdraft_limit": 30}}).status == 200
    by_verb = printed_by_verb(api, "definitions", "revert", "accounts", "shown", "--to", "1")
    by_api = api.ask("PUT", "/accounts/shown", {"keys": {"currency": "USD", "overdraft_limit": 20}}).json
    assert by_api.keys() == by_verb.keys()
    assert by_api["changes"][0].keys() == by_verb["changes"][0].keys()
    assert printed_by_verb(api, "definitions", "show", "accounts", "shown") == api.ask("GET", "/accounts/shown").json
    lines = [line for line in printed_by_verb(api, "audit") if line["subject"] == "accounts shown"]
    assert {(line["action"], line["means"], line["login"]) for line in lines[:1]} == {
        ("SetObjects", "token", "administrator")
    }
    assert lines[0].keys() == lines[1].keys()


def test_a_number_of_a_definition_keeps_all_its_digits(api: Api) -> None:
    body = b'{"name": "rich", "keys": {"overdraft_limit": 123456789012.345678}}'
    assert api.ask("POST", "/accounts", body).status == 201
    assert api.ask("GET", "/accounts/rich").json["keys"]["overdraft_limit"] == "123456789012.345678"


def test_a_trial_changes_nothing(api: Api) -> None:
    tried = api.ask("POST", "/accounts?dry_run=true", {"name": "never", "keys": {}})
    assert (tried.status, tried.json["dry_run"], tried.json["changes"][0]["action"]) == (201, True, "defined")
    assert api.ask("GET", "/accounts/never").status == 404


def test_a_trial_names_no_version_which_a_change_of_another_person_would_have(api: Api) -> None:
    tried = api.ask("POST", "/accounts?dry_run=true", {"name": "untried", "keys": {}})
    assert not {"etag", "location"} & tried.headers.keys()
    assert api.ask("POST", "/accounts", {"name": "untried", "keys": {}}).headers["etag"] == '"1"'
    tried = api.ask("PATCH", "/accounts/untried?dry_run=true", {"keys": {"memo": "tried"}})
    assert (tried.status, "etag" in tried.headers) == (200, False)


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"{", 400, None),
        (b"\xff", 400, None),
        (b"[" * 200_000, 400, None),
        (b'{"name": "a", "keys": {"rates": %s}}' % (b"[" * 400 + b"]" * 400), 400, None),
        (b'{"name": "a", "keys": {"type": "direct", "type": "clearing"}}', 400, "type"),
        (b'{"name": "a", "keys": {"x": "\xff"}}', 400, None),
        ([], 422, None),
        ({"keys": {}}, 422, "name"),
        ({"name": 7, "keys": {}}, 422, "name"),
        ({"name": "a", "keys": "text"}, 422, "keys"),
        ({"name": "a", "keys": {}, "colour": "red"}, 422, "colour"),
        ({"name": "a", "keys": {}, "at": "yesterday"}, 422, "at"),
        ({"name": "a", "keys": {}, "at": "2026-03-01T12:00:00"}, 422, "at"),
        ({"name": "a", "keys": {"currency": "EUROS"}}, 422, "accounts[a].currency"),
        ({"name": "a", "keys": {"colour": "red"}}, 422, "accounts[a].colour"),
        ({"name": "a", "keys": {"agent": "missing"}}, 422, "accounts[a].agent"),
        ({"name": "a" * 300, "keys": {}}, 422, None),
    ],
    ids=str,
)
def test_a_body_with_a_mistake_is_refused_by_the_name_of_the_field(
    api: Api, body: Any, status: int, field: str | None
) -> None:
    refused = api.ask("POST", "/accounts", body)
    assert (refused.status, refused.headers["content-type"]) == (status, "application/problem+json"), refused.content
    if field is not None:
        assert refused.json["field"] == field, refused.content
    assert api.ask("GET", "/accounts/a").status == 404


def test_other_content_and_too_much_of_it_are_refused(api: Api) -> None:
    plain = api.ask("POST", "/accounts", b"{}", headers={"Content-Type": "text/plain"})
    assert (plain.status, plain.json["code"]) == (415, "content_type")
    large = api.ask("POST", "/accounts", b'{"name": "' + 1_048_576 * b"a")
    assert (large.status, large.json["code"]) == (413, "body_too_large")


def test_passwords_never_come_back_and_stay_when_they_are_sent_as_shown(api: Api) -> None:
    defined(api, "owner")
    keys = {"account": "owner", "password": "very-Secret-word"}
    assert api.ask("POST", "/phones", {"name": "7001", "keys": keys}).status == 201
    one = api.ask("GET", "/phones/7001")
    everything = [one, api.ask("GET", "/phones"), api.ask("GET", "/phones/7001/versions")]
    assert not any(b"very-Secret-word" in each.content for each in everything)
    assert api.ask("PUT", "/phones/7001", {"keys": one.json["keys"]}).json["changes"][0]["action"] == "unchanged"


def in_pages(api: Api, path: str) -> list[str]:
    """Return the names of all items of a list, read page by page."""
    seen, cursor = [], ""
    while cursor is not None:
        page = api.ask("GET", path + (f"&cursor={cursor}" if cursor else "")).json
        seen += [each["name"] for each in page["items"]]
        cursor = page["next"]
    return seen


def test_a_list_is_read_in_pages_sorted_filtered_and_in_other_forms(api: Api) -> None:
    for number in range(5):
        keys, memo = {"numbers": [f"49{number}"]}, ("even", "odd")[number % 2]
        assert api.ask("POST", "/number-pools", {"name": f"list-{number}", "keys": keys, "memo": memo}).status == 201
    everything = [f"list-{number}" for number in range(5)]
    assert in_pages(api, "/number-pools?limit=2&sort=-name") == everything[::-1]
    assert in_pages(api, "/number-pools?limit=2") == everything
    assert in_pages(api, "/number-pools?limit=5") == everything
    of_another = api.ask("GET", "/number-pools?limit=2&sort=-name").json["next"]
    refused = api.ask("GET", f"/number-pools?limit=2&cursor={of_another}")
    assert (refused.status, refused.json["field"]) == (422, "cursor")
    odd = api.ask("GET", "/number-pools?memo=odd&fields=name,memo").json["items"]
    assert odd == [{"name": "list-1", "memo": "odd"}, {"name": "list-3", "memo": "odd"}]
    lines = api.ask("GET", "/number-pools", headers={"Accept": "application/x-ndjson"})
    assert [json.loads(line)["name"] for line in lines.content.splitlines()] == everything
    table = api.ask("GET", "/number-pools?fields=name,version", headers=PACKED)
    assert table.headers["content-encoding"] == "gzip"
    rows = [*csv.reader(io.StringIO(gzip.decompress(table.content).decode()))]
    assert rows[:2] == [["name", "version"], ["list-0", "1"]]


NESTED = base64.urlsafe_b64encode(b"[" * 5_000).decode()


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=1001", "limit=x", "sort=colour", "fields=colour", "colour=red"),
        *("cursor=xx", f"cursor={NESTED}"),
    ],
)
def test_a_list_refuses_what_it_does_not_offer(api: Api, query: str) -> None:
    refused = api.ask("GET", f"/accounts?{query}")
    assert (refused.status, refused.json["field"]) == (422, query.partition("=")[0])


def test_who_may_only_read_changes_nothing(api: Api) -> None:
    assert api.ask("GET", "/accounts", token=VIEWER).status == 200
    assert api.ask("POST", "/accounts", {"name": "x", "keys": {}}, token=VIEWER).status == 403


def test_objects_of_the_files_are_listed_with_their_place_and_not_changed(api: Api) -> None:
    found = {each["name"]: each for each in api.ask("GET", "/accounts?limit=1000").json["items"]}
    reseller = api.ask("GET", "/accounts/reseller")
    assert reseller.json == found["reseller"]
    assert "etag" not in reseller.headers
    place = f"{api.config}:{api.config.read_text().splitlines().index('accounts:') + 3}"
    assert (found["reseller"]["source"], found["reseller"]["version"]) == (place, None)
    begun = [each["name"] for each in api.ask("GET", "/accounts?beginning=res&limit=1000").json["items"]]
    assert begun == [name for name in found if name.startswith("res")]
    having = [each["name"] for each in api.ask("GET", "/accounts?containing=SELL&limit=1000").json["items"]]
    assert having == [name for name in found if "sell" in name]
    assert having
    assert api.ask("GET", "/accounts?containing=sell&beginning=x").json["items"] == []
    having = [each["id"] for each in api.ask("GET", "/balances?containing=SELL&limit=1000").json["items"]]
    assert having == [name for name in found if "sell" in name]
    assert found["reseller"]["keys"] == {"rights": ["accounts", "sub_payments", "gateways"]}
    assert {each["source"] for each in api.ask("GET", "/accounts?source=database").json["items"]} <= {"database"}
    for method, path, body in (
        ("POST", "/accounts", {"name": "acme", "keys": {}}),
        ("PATCH", "/accounts/acme", {"keys": {"max_cps": "1"}}),
        ("DELETE", "/accounts/acme", None),
    ):
        refused = api.ask(method, path, body)
        assert (refused.status, refused.json["code"]) == (409, "defined_in_files"), refused.content
        assert str(api.config) in refused.json["detail"]
    whole = api.ask("PUT", "/accounts/acme", {"keys": {}})
    assert whole.status == 422
    assert str(api.config) in whole.json["detail"]


def test_an_agent_sees_objects_of_the_files_in_its_tree_without_their_place(api: Api) -> None:
    listed = api.ask("GET", "/accounts", token=f"{AGENT}reseller").json["items"]
    found = {each["name"]: each["source"] for each in listed}
    assert (found["acme"], found["reseller"]) == ("files", "files")
    refused = api.ask("DELETE", "/accounts/acme", token=f"{AGENT}reseller")
    assert refused.json["code"] == "defined_in_files"
    assert str(api.config.parent) not in refused.json["detail"]


def test_the_keys_of_a_kind_are_shown_as_they_are_declared(api: Api) -> None:
    found = api.ask("GET", "/definitions/mapping_gateways").json
    by_name = {each["name"]: each for each in found["keys"]}
    assert found["named"]["name"] == "name"
    assert (by_name["max_concurrent"]["form"], by_name["account"]["names"]) == ("number", "accounts")
    assert by_name["auth"]["keys"][1] | {"meaning": ""} == {
        "name": "password", "meaning": "", "form": "secret", "many": False, "required": False, "default": [],
        "expected": "printable characters; best as ${NAME} of an environment variable", "lowest": "", "highest": "",
        "unit": "", "choices": [], "names": "", "keys": [],
    }  # fmt: skip
    assert api.ask("GET", "/definitions/gateways").json["code"] == "no_such_object"


def test_agents_see_the_keys_that_they_may_set(api: Api) -> None:
    agent = f"{AGENT}reseller"
    seen = {each["name"] for each in api.ask("GET", "/definitions/accounts", token=agent).json["keys"]}
    assert "overdraft_limit" in seen
    assert not seen & {"routing_plan", "template", "partner"}
    assert api.ask("GET", "/definitions/rate_groups", token=agent).status == 404


def test_a_parameter_is_set_taken_back_and_has_versions(api: Api) -> None:
    name = "SS_BILLINGUNIT"

    def shown() -> dict[str, Any]:
        return next(each for each in api.ask("GET", "/parameters?limit=1000").json["items"] if each["name"] == name)

    assert shown()["source"] == "default"
    tried = api.ask("PUT", f"/parameters/{name}?dry_run=true", {"value": "6"})
    assert tried.json["changes"][0]["keys"] == {"value": [None, "6"]}
    refused = api.ask("PUT", f"/parameters/{name}", {"value": "0"})
    assert (refused.status, refused.json["field"]) == (422, f"parameters.{name}")
    made = api.ask("PUT", f"/parameters/{name}", {"value": "6", "memo": "as agreed"})
    assert (made.status, made.headers["etag"]) == (200, '"1"'), made.content
    assert (shown()["value"], shown()["source"]) == ("6", "database, version 1")
    assert api.ask("PUT", f"/parameters/{name}", {"value": "7"}, headers={"If-Match": '"3"'}).status == 412
    assert api.ask("PUT", f"/parameters/{name}", {"value": "30"}).status == 200
    versions = api.ask("GET", f"/parameters/{name}/versions?sort=-version").json["items"]
    assert [(each["version"], each["keys"]["value"]) for each in versions] == [(2, ["6", "30"]), (1, [None, "6"])]
    assert api.ask("POST", f"/parameters/{name}/revert", {"version": 1}).status == 200
    assert shown()["value"] == "6"
    assert api.ask("DELETE", f"/parameters/{name}").status == 200
    assert shown()["source"] == "default"


def test_a_body_where_none_is_taken_is_refused_and_nothing_is_done(api: Api) -> None:
    keys = {"account": "acme", "password": "long-enough-1"}
    assert api.ask("POST", "/phones", {"name": "7711", "keys": keys}).status == 201
    refused = api.ask("DELETE", "/phones/7711", {"at": "2126-01-01T00:00:00Z"})
    assert (refused.status, refused.json["code"]) == (422, "unknown_field")
    assert api.ask("GET", "/phones/7711").status == 200
    assert api.ask("DELETE", "/phones/7711", {}).status == 200


def test_gateways_and_phones_are_listed_by_account(api: Api) -> None:
    defined(api, "lister", agent="reseller")
    defined(api, "beside")
    for name, account in (("7701", "lister"), ("7702", "beside"), ("7703", "lister")):
        keys = {"account": account, "password": "long-enough-1"}
        assert api.ask("POST", "/phones", {"name": name, "keys": keys}).status == 201

    def names(query: str, token: str = "administrator") -> list[str]:
        return [each["name"] for each in api.ask("GET", f"/phones?{query}", token=token).json["items"]]

    assert names("account=lister") == ["7701", "7703"]
    assert names("account=lister&name=7702") == []
    assert names("account=lister&limit=1") == ["7701"]
    assert names("account=lister", f"{AGENT}reseller") == ["7701", "7703"]
    assert names("account=beside", f"{AGENT}reseller") == []
    assert api.ask("GET", "/mapping-gateways?account=lister").json["items"] == []
    assert api.ask("GET", "/rate-groups?account=lister").status == 422
    later = {"name": "later", "keys": {}, "at": "2126-01-01T00:00:00Z"}
    assert api.ask("POST", "/accounts", later).status == 201
    assert api.ask("GET", "/phones?account=later").json["items"] == []
    for path in ("phones", "dids"):
        said = api.ask("GET", f"/{path}?account=listre")
        assert (said.status, said.json["code"]) == (404, "unknown_name"), path


def test_gateways_of_vendors_and_dids_are_listed_by_account(api: Api) -> None:
    defined(api, "numbered", agent="reseller")
    defined(api, "carriers")
    phone = {"name": "7711", "keys": {"account": "numbered", "password": "long-enough-1"}}
    assert api.ask("POST", "/phones", phone).status == 201
    for name, host, account in (("first", 71, "carriers"), ("second", 72, "acme")):
        gateway = {"account": account, "address": f"192.0.2.{host}", "prefixes": ["4471"], "allow_unrated": True}
        assert api.ask("POST", "/routing-gateways", {"name": name, "keys": gateway}).status == 201
    for name, keys in (("4930771", {"account": "numbered", "phones": ["7711"]}), ("4930772", {})):
        assert api.ask("POST", "/dids", {"name": name, "keys": keys}).status == 201

    def names(query: str, token: str = "administrator") -> list[str]:
        return [each["name"] for each in api.ask("GET", f"/{query}", token=token).json["items"]]

    assert names("routing-gateways?account=carriers") == ["first"]
    assert names("routing-gateways?account=numbered") == names("dids?account=carriers") == []
    assert names("dids?account=numbered") == ["4930771"]
    assert names("routing-gateways?account=carriers", f"{AGENT}reseller") == []
