"""Each answer of the API has a line in the log; answers that are alike share one a minute."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
import structlog.testing
from doubles.fake_switch import FakeSwitch

from vosd.api import access_log
from vosd.api.access_log import AccessLog
from vosd.api.address_gate import Served
from vosd.api.http import HttpRequest
from vosd.control.client import RunningSwitch
from vosd.control.installation import CountApiAnswers
from vosd.control.order import OrderDone
from vosd.control.server import CommandError
from vosd.engine.settings import AccessLogLines

SECRET: Final = "vosd_0123_secret"


class Minutes:
    """Timer whose time the test moves."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def later(self, delay: float, callback: Callable[[], None], /) -> None:
        """Keep a function for the end of the minute."""
        assert delay == access_log.PERIOD_S
        self.waiting.append(callback)

    def end_one(self) -> None:
        """Let a minute pass."""
        due, self.waiting = self.waiting, []
        for callback in due:
            callback()


class Site:
    """An application that answers with the status that the last part of the path says, and its log."""

    def __init__(self, lines: AccessLogLines = AccessLogLines.ALL) -> None:
        self.minutes = Minutes()
        self.log = AccessLog(lines, self.minutes.later)
        self._served: Served = self.log.around(self._answer)

    def ask(self, target: str, *, method: str = "GET", login: str | None = "token 01", address: str = "192.0.2.7"):
        """Send a request; its lines are in the log."""
        path, _, query = target.partition("?")
        scope = {
            "type": "http", "method": method, "path": path, "raw_path": path.encode(), "client": (address, 5000),
            "query_string": query.encode(), "headers": [(b"authorization", f"Bearer {SECRET}".encode())],
            "login": login,
        }  # fmt: skip

        async def receive() -> Any:
            return {"type": "http.disconnect"}

        async def send(_message: Any) -> None:
            return

        asyncio.run(self._served(scope, receive, send))

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        request = HttpRequest(scope, receive)
        if scope["login"] is not None:
            request.name_sender(principal="crm", login=scope["login"], account=None)
        status = request.path[-1]
        if status == "gone":
            return
        await send({"type": "http.response.start", "status": int(status) if status.isdigit() else 200, "headers": []})
        await send({"type": "http.response.body", "body": b"12345", "more_body": True})
        await send({"type": "http.response.body", "body": b"67890"})


def of_lines(lines: list[Any], *names: str) -> list[tuple[Any, ...]]:
    assert {each["event"] for each in lines} <= {"api_request"}
    return [tuple(each.get(name) for name in names) for each in lines]


def test_a_line_says_who_from_where_what_and_how_much_and_has_neither_query_nor_secret() -> None:
    site = Site()
    with structlog.testing.capture_logs() as lines:
        site.ask(f"/api/v1/cdrs?caller=4930123&code={SECRET}")
    (line,) = lines
    assert isinstance(line.pop("ms"), int)
    assert line == {
        "event": "api_request", "log_level": "info", "principal": "crm", "login": "token 01", "address": "192.0.2.7",
        "method": "GET", "path": "/api/v1/cdrs", "status": 200, "bytes": 10,
    }  # fmt: skip


def test_the_pages_of_a_list_share_a_line_a_minute_that_has_their_number_and_bytes() -> None:
    site = Site()
    with structlog.testing.capture_logs() as lines:
        for _ in range(4):
            site.ask("/api/v1/cdrs")
        site.ask("/api/v1/cdrs", login="token 02")
        site.ask("/api/v1/ledger")
        assert of_lines(lines, "login", "path", "count") == [
            ("token 01", "/api/v1/cdrs", None),
            ("token 02", "/api/v1/cdrs", None),
            ("token 01", "/api/v1/ledger", None),
        ]
        site.minutes.end_one()
        site.ask("/api/v1/cdrs")  # polling goes on
        site.minutes.end_one()
        site.minutes.end_one()
        assert of_lines(lines[3:], "login", "path", "count", "bytes") == [
            ("token 01", "/api/v1/cdrs", 3, 30),
            ("token 01", "/api/v1/cdrs", 1, 10),
        ]
        assert not site.minutes.waiting
        site.ask("/api/v1/cdrs")
        assert len(lines) == 6


def test_each_change_has_its_line() -> None:
    site = Site()
    with structlog.testing.capture_logs() as lines:
        for _ in range(3):
            site.ask("/api/v1/accounts/acme/payments", method="POST")
    assert of_lines(lines, "method", "status", "count") == 3 * [("POST", 200, None)]


def test_changes_whose_outcome_is_not_known_have_a_line_each_and_those_of_unknown_senders_share_one() -> None:
    site = Site()
    with structlog.testing.capture_logs() as lines:
        for login in ("token 01", None):
            for number in range(3):
                site.ask(f"/api/v1/accounts/a{number}/payments/500", method="POST", login=login)
                site.ask(f"/api/v1/accounts/a{number}/payments/gone", method="POST", login=login)
        site.minutes.end_one()
    known, others = lines[:6], lines[6:]
    assert of_lines(known, "path", "status") == [
        (f"/api/v1/accounts/a{number}/payments/{last}", status)
        for number in range(3)
        for last, status in (("500", 500), ("gone", None))
    ]
    assert of_lines(others, "login", "status", "count") == [
        (None, 500, None), (None, None, None), (None, 500, 2), (None, None, 2),
    ]  # fmt: skip


@pytest.mark.parametrize("login", [None, "token 01"])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429])
def test_failures_of_one_sender_and_address_share_a_line_a_minute_whatever_is_asked(
    status: int, login: str | None
) -> None:
    site = Site()
    with structlog.testing.capture_logs() as lines:
        for number in range(50):
            site.ask(f"/api/v1/cdrs/{number}/{status}", login=login, method="POST" if number % 2 else "GET")
        site.ask(f"/api/v1/cdrs/{status}", login=login, address="192.0.2.8")
        site.ask(f"/api/v1/cdrs/{status}", login="token 02")
        site.minutes.end_one()
    assert of_lines(lines, "login", "address", "status", "count") == [
        (login, "192.0.2.7", status, None),
        (login, "192.0.2.8", status, None),
        ("token 02", "192.0.2.7", status, None),
        (login, "192.0.2.7", status, 49),
    ]


def test_reads_of_more_paths_than_are_counted_share_a_line_a_minute_for_each_login(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(access_log, "ALIKE_MAX", 2)
    site = Site()
    with structlog.testing.capture_logs() as lines:
        for number in range(50):
            site.ask(f"/api/v1/cdrs/{number}/200", address=f"192.0.2.{number}")
        site.ask("/api/v1/ledger", login="token 02")
        site.minutes.end_one()
    assert of_lines(lines, "login", "address", "path", "count", "bytes") == [
        ("token 01", "192.0.2.0", "/api/v1/cdrs/0/200", None, 10),
        ("token 01", "192.0.2.1", "/api/v1/cdrs/1/200", None, 10),
        ("token 01", None, None, None, 10),
        ("token 02", None, None, None, 10),
        ("token 01", None, None, 47, 470),
    ]


def test_refusals_of_unknown_senders_take_address_and_path_from_no_line_of_a_known_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(access_log, "ALIKE_MAX", 2)
    site = Site()
    with structlog.testing.capture_logs() as lines:
        for network in range(3):
            site.ask("/api/v1/cdrs/401", login=None, address=f"2001:db8:0:{network}::1")
        site.ask("/api/v1/cdrs", login="token crm")
    assert of_lines(lines, "login", "address", "path") == [
        (None, "2001:db8:0:0::1", "/api/v1/cdrs/401"),
        (None, "2001:db8:0:1::1", "/api/v1/cdrs/401"),
        (None, None, None),
        ("token crm", "192.0.2.7", "/api/v1/cdrs"),
    ]


def test_what_is_counted_is_written_at_the_end_and_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_log, "ALIKE_MAX", 2)
    site = Site()
    with structlog.testing.capture_logs() as lines:
        for number in range(9):
            site.ask("/api/v1/401", login=None, address=f"192.0.2.{number}")
        site.log.close()
    assert of_lines(lines[:2], "address") == [("192.0.2.0",), ("192.0.2.1",)]
    shared = {"event": "api_request", "log_level": "info", "status": 401}  # accuses no address of what others did
    for line in lines[2:]:
        assert isinstance(line.pop("ms"), int)
    assert lines[2:] == [shared | {"bytes": 10}, shared | {"bytes": 60, "count": 6}]


def test_files_of_the_console_leave_no_line_and_those_that_are_missing_do() -> None:
    site = Site()
    with structlog.testing.capture_logs() as lines:
        site.ask("/assets/index.js", login=None)
        site.ask("/customers", login=None)
        assert not lines
        site.ask("/assets/404", login=None)
    assert of_lines(lines, "path", "status") == [("/assets/404", 404)]


@pytest.mark.parametrize(
    ("lines_of", "logged"),
    [
        (AccessLogLines.ALL, [("GET", 200), ("POST", 200), ("GET", 403)]),
        (AccessLogLines.CHANGES_AND_FAILURES, [("POST", 200), ("GET", 403)]),
        (AccessLogLines.NONE, []),
    ],
)
def test_the_configuration_says_which_answers_have_lines(lines_of: AccessLogLines, logged: list[Any]) -> None:
    site = Site(lines_of)
    with structlog.testing.capture_logs() as lines:
        site.ask("/api/v1/cdrs")
        site.ask("/api/v1/payments", method="POST")
        site.ask("/api/v1/cdrs/403")
    assert of_lines(lines, "method", "status") == logged


def test_answers_under_api_are_counted_by_status_until_the_switch_has_taken_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_log, "REPORT_S", 0)
    site, reports, is_taken = Site(AccessLogLines.NONE), list[dict[str, int]](), asyncio.Event()
    for path in ("/api/v1/cdrs", "/api/v1/cdrs", "/api/v1/304", "/api/v1/429", "/api/v1/503", "/api/v1/gone"):
        site.ask(path)
    site.ask("/assets/404")

    def take(order: CountApiAnswers) -> OrderDone:
        reports.append(order.answers)
        if len(reports) == 1:
            raise CommandError("of another version")
        is_taken.set()
        return OrderDone()

    async def report() -> None:
        async with FakeSwitch(tmp_path / "vosd.sock").answers(CountApiAnswers, take):
            switch = RunningSwitch(tmp_path / "vosd.sock")
            reporting = asyncio.create_task(site.log.report_answers(lambda: switch))
            await is_taken.wait()
            reporting.cancel()
            await asyncio.gather(reporting, return_exceptions=True)

    asyncio.run(report())
    assert reports == [{"2xx": 2, "3xx": 1, "4xx": 1, "5xx": 1, "none": 1}] * 2
