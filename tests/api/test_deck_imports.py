"""Decks over HTTP: sheets are imported as jobs, tried, read, looked up and rolled back."""

import fcntl
import json
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from api.conftest import installed
from api.test_api_money import mute_switch, next_order
from doubles.api import JOB_S, Api, Reply
from doubles.full_disk import fill, mounted
from doubles.migrated import migrate_on_server, migrated
from doubles.workbook import xlsx

CSV = {"Content-Type": "text/csv"}
SHEET = b"prefix,area,billing_rate,interval\n44,United Kingdom,0.012,30/6\n49,Germany,0.005,1/1\n"
DEARER = SHEET.replace(b"0.012", b"0.015") + b"33,France,0.02,1/1\n"


def upload(api: Api, content: bytes, query: str = "", **headers: str) -> Reply:
    sent = {**CSV, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return api.ask("POST", f"/decks/buy/imports?file=acme.csv{query}", content, headers=sent)


def imported(api: Api, content: bytes, query: str = "") -> Any:
    job = api.wait_for(upload(api, content, query))
    assert job["state"] == "done", job
    return api.ask("GET", f"/jobs/{job['id']}/result").json


def uploads(api: Api) -> list[str]:
    return [each.name for each in (api.config.parent / "var" / "jobs").iterdir() if each.name.startswith("upload")]


def left_files(api: Api, *expected: str) -> list[str]:
    """Return the sheets that stay: one goes after the end of its job can be read."""
    until = time.monotonic() + JOB_S
    while True:
        left = [each for each in uploads(api) if each not in expected]
        if not left or time.monotonic() > until:
            return left
        select.select([], [], [], 0.01)


@pytest.fixture(scope="module")
def decks(api: Api) -> Api:
    assert api.ask("POST", "/rate-groups", {"name": "buy", "keys": {"deck": True}}).status == 201
    return api


def test_a_mistake_in_a_map_names_the_parameter_and_no_file_of_the_server(decks: Api) -> None:
    job = decks.wait_for(upload(decks, SHEET, "&map=" + quote('{"colour": "red"}')))
    assert job["state"] == "failed"
    assert job["problem"]["detail"].startswith("map:1: ")
    assert "/" not in job["problem"]["detail"].partition(" expected ")[0]


def test_the_lines_of_a_comparison_have_areas_as_they_are_and_its_table_for_a_spreadsheet(decks: Api) -> None:
    job = decks.wait_for(upload(decks, b"prefix,area,billing_rate\n44,=cmd,0.01\n", "&dry_run=true"))
    path = f"/jobs/{job['id']}/result"
    lines = decks.ask("GET", path, headers={"Accept": "application/x-ndjson"})
    assert json.loads(lines.content)["area_after"] == "=cmd"
    assert b",'=cmd," in decks.ask("GET", path, headers={"Accept": "text/csv"}).content


def test_a_sheet_is_tried_imported_read_looked_up_and_rolled_back(decks: Api) -> None:
    tried = upload(decks, SHEET, "&dry_run=true")
    job = decks.wait_for(tried)
    assert (job["kind"], job["subject"], job["state"], job["committed"]) == ("deck_import", "buy", "done", None), job
    report = decks.ask("GET", f"/jobs/{job['id']}/result").json
    assert (report["file"], report["dry_run"], report["version"], report["changes"]["new"]) == (
        "acme.csv",
        True,
        None,
        2,
    )
    lines = decks.ask("GET", f"/jobs/{job['id']}/result", headers={"Accept": "application/x-ndjson"})
    assert [json.loads(each)["prefix"] for each in lines.content.splitlines()] == ["44", "49"]
    table = decks.ask("GET", f"/jobs/{job['id']}/result", headers={"Accept": "text/csv"})
    assert table.content.splitlines()[0].startswith(b"change,prefix,price_before,price_after")
    assert decks.ask("GET", "/decks/buy/versions").json["items"] == []

    assert imported(decks, SHEET, "&memo=first")["version"] == 1
    assert imported(decks, DEARER)["changes"] | {"changed": 0} == {
        "new": 1, "up": 1, "down": 0, "changed": 0, "unchanged": 1, "closed": 0, "opened": 0,
    }  # fmt: skip
    late = decks.wait_for(upload(decks, SHEET, If_Match='"1"'))  # compared before another sheet came
    assert (late["state"], late["problem"]["status"], late["problem"]["code"]) == ("failed", 412, "stale_version")
    versions = decks.ask("GET", "/decks/buy/versions?sort=-version").json["items"]
    assert [(each["version"], each["memo"], each["rates"]) for each in versions] == [(2, None, 3), (1, "first", 2)]
    assert decks.ask("GET", "/decks/buy/lookup?number=4420").json["rate"]["billing_rate"] == "0.015"
    rates = decks.ask("GET", "/decks/buy/rates?version=1")
    assert rates.headers["content-type"] == "text/csv; charset=utf-8"
    assert [each.split(b",")[0] for each in rates.content.splitlines()[1:]] == [b"44", b"49"]
    again = decks.ask("POST", "/decks/buy/rollback", {"to": 1, "memo": "mistake"}).json
    assert (again["version"], again["content"], again["mode"]) == (3, 1, "rollback")
    unset = decks.ask("POST", "/decks/buy/rollback", {"to": 0})  # as a client sends a number that was never set
    assert (unset.status, unset.json["code"]) == (409, "many_closed")
    actions = [each["action"] for each in decks.ask("GET", "/audit?subject=buy&limit=3").json["items"]]
    assert actions == ["RollBackDeck", "ImportDeck", "ImportDeck"]
    assert [each["name"] for each in decks.ask("GET", "/rates/groups").json["items"]] == ["buy"]
    assert not left_files(decks)


def test_a_number_has_the_areas_of_its_calls_in_every_rate_group(decks: Api) -> None:
    rates = [{"prefix": "447", "billing_rate": "0", "area": "UK mobile"}]
    groups: dict[str, Any] = {
        "price-list": {"rates": rates},
        "unnamed": {"deck": True, "area_names": "price-list"},
        "resold": {"derive": {"from": "unnamed", "factor": "2"}},
    }
    for name, keys in groups.items():
        assert decks.ask("PUT", f"/rate-groups/{name}", {"keys": keys}).status in {200, 201}
    sheet = b"prefix,billing_rate\n44,0.012\n"
    job = decks.wait_for(decks.ask("POST", "/decks/unnamed/imports?file=acme.csv", sheet, headers=CSV))
    assert job["state"] == "done", job
    found = {each["rate_group"]: each for each in decks.ask("GET", "/rates/lookup?number=447700").json["items"]}
    assert [found[name]["area"] for name in groups] == ["UK mobile"] * 3
    assert decks.ask("GET", "/decks/unnamed/lookup?number=447700").json["rate"]["area"] == "UK mobile"
    for name in reversed(groups):
        assert decks.ask("DELETE", f"/rate-groups/{name}").status == 200


@pytest.mark.parametrize(
    ("columns", "interval"),
    [
        ({}, "6/6"),
        ({"billing_cycle": "60"}, "60/60"),
        ({"first_rate": "0.20", "first_duration": "30"}, "30/6"),
        ({"first_rate": "0.20", "first_duration": "30", "billing_cycle": "60"}, "30/60"),
        ({"interval": "30/1"}, "30/1"),
    ],
)
@pytest.mark.parametrize("is_closed", [False, True])
def test_a_number_has_the_interval_of_its_calls_in_a_deck_and_in_written_rates(
    decks: Api, columns: dict[str, str], interval: str, is_closed: bool
) -> None:
    rate = {"prefix": "44", "billing_rate": "0.012", **columns}
    row = rate | {"billing_rate": ""} if is_closed else rate
    other = rate | {"prefix": "1"}  # a sheet that closes everything is refused
    sheet = "\n".join(map(",".join, (row, row.values(), other.values()))).encode()
    rate |= {"locked": "yes"} if is_closed else {}
    groups: dict[str, Any] = {"by-sheet": {"deck": True}, "by-hand": {"rates": [rate]}}
    for name, keys in groups.items():
        assert decks.ask("PUT", f"/rate-groups/{name}", {"keys": {**keys, "billing_unit": "6"}}).status in {200, 201}
    job = decks.wait_for(decks.ask("POST", "/decks/by-sheet/imports?file=acme.csv&force=true", sheet, headers=CSV))
    assert job["state"] == "done", job
    found = {each["rate_group"]: each for each in decks.ask("GET", "/rates/lookup?number=447700").json["items"]}
    for name in groups:
        assert (found[name]["interval"], found[name]["closed"]) == (interval, is_closed)
        assert found[name]["billing_rate"] == (None if is_closed else "0.012")
        assert decks.ask("DELETE", f"/rate-groups/{name}").status == 200


def test_a_number_is_looked_up_in_every_rate_group(decks: Api) -> None:
    def prices(query: str) -> dict[str, Any]:
        found = decks.ask("GET", f"/rates/lookup?number={query}")
        assert found.status == 200, found.content
        return {each["rate_group"]: each for each in found.json["items"]}

    assert decks.ask("POST", "/rate-groups", {"name": "looked-up", "keys": {"deck": True}}).status == 201
    job = decks.wait_for(decks.ask("POST", "/decks/looked-up/imports?file=acme.csv", SHEET, headers=CSV))
    assert job["state"] == "done", job
    assert prices("4420")["looked-up"] == {
        "rate_group": "looked-up", "rates_from": "deck", "currency": "USD", "prefix": "44", "area": "United Kingdom",
        "billing_rate": "0.012", "price_per": "minute", "interval": "30/6", "closed": False, "version": 1,
    }  # fmt: skip
    assert prices("4420&at=2020-01-01T00:00:00Z")["looked-up"]["prefix"] is None
    keys = {"rates": [{"prefix": "4420", "billing_rate": "0.60", "billing_cycle": "6"}]}
    assert decks.ask("PUT", "/rate-groups/written", {"keys": keys}).status in {200, 201}
    written = prices("%2B4420")["written"]
    assert (written["prefix"], written["billing_rate"], written["interval"]) == ("4420", "0.60", "6/6")
    assert (prices("4930")["written"]["prefix"], prices("4930")["looked-up"]["prefix"]) == (None, "49")
    for group in ("written", "looked-up"):
        assert decks.ask("DELETE", f"/rate-groups/{group}").status == 200


def test_a_workbook_with_macros_is_taken_by_its_type(decks: Api, tmp_path: Path) -> None:
    book = xlsx(tmp_path / "rates.xlsm", [["prefix", "billing_rate"], ["44", Decimal("0.012")]]).read_bytes()
    sent = {"Content_Type": "application/vnd.ms-excel.sheet.macroEnabled.12"}
    job = decks.wait_for(upload(decks, book, "&dry_run=true", **sent))
    assert job["state"] == "done", job
    assert decks.ask("GET", f"/jobs/{job['id']}/result").json["invalid_rows"] == 0


def test_a_sheet_that_cannot_be_used_changes_nothing_and_leaves_no_file(decks: Api) -> None:
    before = decks.ask("GET", "/decks/buy/versions").content
    for query, headers, status, code in (
        ("", {"Content_Type": "application/json"}, 415, "content_type"),
        ("&colour=red", {}, 422, "unknown_field"),
        ("&mode=most", {}, 422, "bad_field"),
        ("&traffic=3", {}, 422, "order"),
        ("", {"Content_Length": str(201 << 20)}, 413, "body_too_large"),
    ):
        refused = upload(decks, SHEET, query, **headers)
        assert (refused.status, refused.json["code"]) == (status, code), refused.content
    job = decks.wait_for(upload(decks, b"price,colour\n1,2\n"))
    assert job["state"] == "failed", job
    assert "acme.csv" in job["problem"]["detail"], job["problem"]
    assert "upload-" not in job["problem"]["detail"]
    wrong = imported(decks, SHEET.replace(b"0.012", b"dear"))
    assert (wrong["version"], wrong["invalid_rows"], wrong["invalid"][0]["line"]) == (None, 1, 2)
    assert decks.ask("POST", "/decks/none/imports", SHEET, headers=CSV).status == 404
    assert decks.ask("GET", "/decks/buy/versions").content == before
    assert not left_files(decks)


def test_a_disk_that_is_full_refuses_a_sheet_and_keeps_nothing_of_it(tmp_path: Path) -> None:
    with mounted(tmp_path / "var", "4m") as disk, Api(installed(tmp_path)) as api:
        assert api.ask("POST", "/rate-groups", {"name": "buy", "keys": {"deck": True}}).status == 201
        fill(disk)
        refused = upload(api, SHEET * 50_000)
        assert (refused.status, refused.json["code"]) == (507, "disk_full")
        assert not left_files(api)
        assert api.ask("GET", "/jobs").json["items"] == []


def test_a_sheet_leaves_the_journal_its_part_of_the_disk(tmp_path: Path) -> None:
    with mounted(tmp_path / "var", "200m"), Api(installed(tmp_path)) as api:
        assert api.ask("POST", "/rate-groups", {"name": "buy", "keys": {"deck": True}}).status == 201
        refused = upload(api, SHEET)
        assert (refused.status, refused.json["code"], refused.json["remedy"]) == (507, "disk_full", "free some of it")
        assert "has less than 256 MiB free" in refused.json["detail"]
        assert not left_files(api)


MARIADB = pytest.param("mariadb", marks=pytest.mark.mariadb)


@contextmanager
def with_deck(request: pytest.FixtureRequest, directory: Path, *, forks_jobs: bool) -> Iterator[Api]:
    url = migrated(directory / "vosd.db")
    if request.param == "mariadb":
        url = request.getfixturevalue("mariadb_server").create_database(f"vosd_{directory.name}")
        migrate_on_server(url)
    with Api(installed(directory, url), forks_jobs=forks_jobs) as process:
        assert process.ask("POST", "/rate-groups", {"name": "buy", "keys": {"deck": True}}).status == 201
        yield process


@pytest.fixture(params=["sqlite", MARIADB])
def executed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Jobs that are executed import for half a second, in which they are killed: a forked one might have ended."""
    with with_deck(request, tmp_path_factory.mktemp("executed"), forks_jobs=False) as process:
        yield process


@pytest.fixture(scope="module", params=["sqlite"])
def killed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with with_deck(request, tmp_path_factory.mktemp("killed"), forks_jobs=True) as process:
        yield process


def test_an_import_whose_process_is_killed_while_it_runs_is_made_once(executed: Api) -> None:
    queued = upload(executed, SHEET)
    place = queued.headers["location"].removeprefix("/api/v1")
    while executed.ask("GET", place).json["state"] == "queued":
        select.select([], [], [], 0.01)
    executed.kill()
    executed.forks_jobs = True
    executed.start()
    job = executed.wait_for(queued)
    assert (job["state"], job["problem"]) == ("done", None), job
    assert job["committed"] is not None
    (version,) = executed.ask("GET", "/decks/buy/versions").json["items"]
    assert (version["version"], version["rates"]) == (1, 2)
    assert [each["action"] for each in executed.ask("GET", "/audit?subject=buy").json["items"]] == ["ImportDeck"]
    assert not left_files(executed)


def test_a_sheet_that_a_killed_process_was_receiving_is_removed_and_that_of_another_process_stays(killed: Api) -> None:
    head = killed.request("POST", "/decks/buy/imports?file=a.csv", None, headers={}).partition(b"Content-Type")[0]
    other = killed.config.parent / "var" / "jobs" / "upload-other.csv"
    with killed.connect() as half, other.open("xb") as locked:
        fcntl.flock(locked, fcntl.LOCK_EX)
        half.sendall(head + b"Content-Type: text/csv\r\nContent-Length: 9999\r\n\r\nprefix")
        while len(uploads(killed)) < 2:
            assert not select.select([half], [], [], 0.01)[0], half.recv(1_000)
        killed.kill()
        killed.start()
        # A job is begun after files were removed.
        assert killed.wait_for(upload(killed, SHEET))["state"] == "done"
        assert not left_files(killed, other.name)
        assert uploads(killed) == [other.name]
    killed.kill()
    killed.start()
    assert not left_files(killed)


def test_a_change_whose_process_is_killed_after_it_is_made_is_known_to_be_made(killed: Api) -> None:
    body = {"objects": [{"action": "create", "kind": "accounts", "name": "late", "keys": {"currency": "EUR"}}]}
    with mute_switch(killed.config.parent / "vosd.sock") as switch:
        queued = killed.ask("POST", "/bulk", body, headers={"Prefer": "respond-async"})
        next_order(switch).close()  # it shall say its sockets
        with next_order(switch):  # the change is made: the switch is to take it
            killed.kill()
    killed.start()
    job = killed.wait_for(queued)
    assert (job["state"], job["beginnings"], job["has_result"]) == ("done", 1, False), job
    assert job["committed"] is not None
    lost = killed.ask("GET", f"/jobs/{job['id']}/result")
    assert (lost.status, "its result was lost" in lost.json["detail"]) == (404, True)
    assert len(killed.ask("GET", "/accounts/late/versions").json["items"]) == 1
    cancelled = killed.ask("DELETE", f"/jobs/{job['id']}")
    assert (cancelled.status, cancelled.json["code"]) == (409, "job_ended")
