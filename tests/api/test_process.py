"""The process of the API: who may ask, what a request may be, what it costs while it rests."""

import gzip
import json
import os
import select
import signal
import socket
from collections.abc import Callable, Iterator
from http.client import HTTPResponse
from pathlib import Path

import pytest
from doubles.api import VIEWER, Api

MEMORY_MAX_MIB = 120


@pytest.fixture(scope="module")
def api(install: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with Api(install(tmp_path_factory.mktemp("api")), is_executed=True) as process:
        yield process


@pytest.fixture(scope="module", autouse=True)
def resting_mib(api: Api) -> float:
    """Memory of the process before it is asked anything but its health: the document of the API takes more once."""
    return api.resident_mib


def test_health_needs_no_token_and_the_rest_does(api: Api) -> None:
    assert api.ask("GET", "/health", token=None).json == {"healthy": True}
    refused = api.ask("GET", "/status", token=None)
    assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json["code"] == "unauthorized"
    assert api.ask("GET", "/status", token="unknown").json["code"] == "unauthorized"


def test_a_switch_that_does_not_run_is_a_503_that_says_when_to_ask_again(api: Api) -> None:
    away = api.ask("GET", "/status")
    assert (away.status, away.json["code"], away.headers["retry-after"]) == (503, "no_daemon", "5")


def test_an_unknown_path_and_an_unknown_method_are_told_apart(api: Api) -> None:
    assert api.ask("GET", "/nothing").json["code"] == "no_such_path"
    refused = api.ask("DELETE", "/status")
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")
    refused = api.ask("HEAD", "/calls/hangup")
    assert (refused.status, refused.headers["allow"], refused.content) == (405, "POST", b"")


@pytest.mark.parametrize(
    ("path", "accept"),
    [("/health", "*/*"), ("/docs", "*/*"), ("/cdrs", "application/json"), ("/cdrs", "text/csv"), ("/none", "*/*")],
)
def test_head_is_answered_as_get_without_the_content(api: Api, path: str, accept: str) -> None:
    found, head = (api.ask(method, path, headers={"Accept": accept}) for method in ("GET", "HEAD"))
    named = {"content-type", "content-length", "cache-control", "content-security-policy", "transfer-encoding"}
    assert found.content
    assert (head.status, head.content) == (found.status, b"")
    assert {*head.headers} & named == {*found.headers} & named
    assert all(head.headers[name] == found.headers[name] for name in {*head.headers} & named)


def test_parameters_that_no_operation_has_or_that_are_repeated_are_refused(api: Api) -> None:
    unknown = api.ask("GET", "/status?verbose=yes")
    assert (unknown.status, unknown.json["field"]) == (422, "verbose")
    assert api.ask("GET", "/status?a=1&a=2").json["code"] == "parameter_repeated"
    empty = api.ask("GET", "/overrides/changes?name=")
    assert (empty.status, empty.json["code"], empty.json["field"]) == (422, "bad_field", "name")
    too_few = api.ask("GET", "/overrides/changes?limit=-1")
    assert (too_few.status, too_few.json["code"], too_few.json["field"]) == (422, "bad_parameter", "limit")
    assert api.ask("GET", "/status?a=%ff").json["code"] == "bad_text"


def test_answers_say_that_they_are_not_kept_and_are_compressed_where_asked(api: Api) -> None:
    plain = api.ask("GET", "/openapi.json", token=VIEWER)
    assert (plain.headers["cache-control"], plain.headers["x-content-type-options"]) == ("no-store", "nosniff")
    packed = api.ask("GET", "/openapi.json", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.content) == plain.content


def test_what_is_no_http_is_answered_and_closed(api: Api) -> None:
    with api.connect() as connection:
        connection.sendall(b"OPTIONS sip:x SIP/2.0\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 400 ")
    with api.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + 100_000 * b"a")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(4096).startswith(b"HTTP/1.1 400 ")


def test_at_rest_the_process_is_small(resting_mib: float) -> None:
    assert resting_mib < MEMORY_MAX_MIB


def begun_change(api: Api, name: str) -> socket.socket:
    """Return the connection of a change that waits for its check: the processes of the API are stopped."""
    for each in children(api):
        os.kill(each, signal.SIGSTOP)
    connection = api.connect()
    connection.sendall(api.request("POST", "/accounts", {"name": name, "keys": {}}, headers={}))
    return connection


def children(api: Api) -> list[int]:
    tasks = Path(f"/proc/{api.pid}/task").glob("*/children")
    return [int(each) for task in tasks for each in task.read_text().split()]


def test_other_requests_are_answered_while_a_change_is_checked(api: Api) -> None:
    assert api.ask("POST", "/accounts", {"name": "before", "keys": {}}).status == 201
    with begun_change(api, "kiosk") as change:
        for _ in range(10):
            assert api.ask("GET", "/accounts/before").status == 200
        assert select.select([change], [], [], 0) == ([], [], [])
        assert api.ask("GET", "/accounts/kiosk").status == 404
        for each in children(api):
            os.kill(each, signal.SIGCONT)
        answer = HTTPResponse(change)
        answer.begin()
        assert answer.status == 201
    assert api.ask("GET", "/accounts/kiosk").status == 200


def test_a_change_whose_check_is_killed_is_a_503_and_changes_nothing(api: Api) -> None:
    assert api.ask("POST", "/accounts", {"name": "earlier", "keys": {}}).status == 201
    with begun_change(api, "stall") as change:
        assert api.ask("GET", "/accounts/earlier").status == 200
        while not select.select([change], [], [], 0.05)[0]:  # where the change comes late, another process begins
            for each in children(api):
                os.kill(each, signal.SIGKILL)
        answer = HTTPResponse(change)
        answer.begin()
        assert (answer.status, json.load(answer)["code"]) == (503, "check_ended")
    assert api.ask("GET", "/accounts/stall").status == 404


def test_it_ends_when_it_is_asked_to(api: Api) -> None:
    assert api.stop() in {0, -15}
