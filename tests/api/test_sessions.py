"""People at the API: log-in, cookie, CSRF token, second factor and log-out, against the process."""

import asyncio
import base64
import sqlite3
import time
from collections.abc import Callable, Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest
from doubles.api import Api, Reply
from doubles.office import office_on, operator

from vosd.admin.office.people import AddPerson, DisablePerson, add_person, disable_person
from vosd.admin.office.second_factor import code_at
from vosd.storage.database import Database

COOKIE = "__Host-vosd"
GOOD = "correct horse battery"


class Page:
    """A browser: it keeps the cookie and the CSRF token."""

    def __init__(self, api: Api, directory: Path) -> None:
        self.api, self.directory = api, directory
        self.cookie = self.csrf = ""

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        sent = {"Cookie": f"other=1; {COOKIE}={self.cookie}"} if self.cookie else {}
        return self.api.ask(method, path, body, token=None, headers=sent | headers)

    def change(self, method: str, path: str, body: Any = None) -> Reply:
        return self.ask(method, path, body, **{"X-CSRF-Token": self.csrf})

    def log_in(self, name: str, password: str = GOOD, **more: str) -> Reply:
        reply = self.ask("POST", "/session", {"name": name, "password": password} | more)
        if reply.status == 201:
            self.cookie = SimpleCookie(reply.headers["set-cookie"])[COOKIE].value
            self.csrf = reply.json["csrf"]
        return reply

    def in_office(self, act: Any) -> Any:
        async def within() -> Any:
            database = Database(f"sqlite+aiosqlite:///{self.directory / 'vosd.db'}")
            try:
                return await act(office_on(database, now=time.time_ns() // 1_000_000))
            finally:
                await database.close()

        return asyncio.run(within())

    def add(self, name: str, role: str = "viewer") -> None:
        link = self.in_office(lambda office: add_person(office, operator(), AddPerson(name=name, role=role))).link
        assert self.ask("POST", "/session/link", {"link": link, "password": GOOD}).json == {"name": name}
        assert self.ask("POST", "/session/link", {"link": link, "password": GOOD}).status == 401


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sessions")


@pytest.fixture(scope="module")
def served(install: Callable[[Path], Path], directory: Path) -> Iterator[Api]:
    (directory / "var").mkdir()
    with Api(install(directory)) as process:
        yield process


@pytest.fixture
def page(served: Api, directory: Path) -> Page:
    return Page(served, directory)


def test_a_person_logs_in_reads_and_logs_out(page: Page) -> None:
    page.add("ann")
    assert page.ask("GET", "/session").status == 401
    opened = page.log_in("ann")
    assert opened.status == 201
    words = {each.strip() for each in opened.headers["set-cookie"].split(";")}
    assert {"Path=/", "Secure", "HttpOnly", "SameSite=Strict"} < words
    assert page.cookie not in opened.content.decode()
    assert page.ask("GET", "/session").json == opened.json
    assert page.ask("GET", "/rate-groups").status != 401
    assert page.ask("DELETE", "/session").json["code"] == "csrf"
    closed = page.change("DELETE", "/session")
    assert closed.status == 204
    assert "Max-Age=0" in closed.headers["set-cookie"]
    assert page.ask("GET", "/session").status == 401


def test_a_log_in_takes_another_id_and_ends_the_session_before(page: Page) -> None:
    page.add("bob")
    page.log_in("bob")
    before = page.cookie
    page.log_in("bob")
    assert page.cookie != before
    page.cookie = before
    assert page.ask("GET", "/session").status == 401
    page.cookie = "of-my-own"
    page.log_in("bob")
    assert page.cookie != "of-my-own"


def test_a_session_may_do_what_its_role_allows_and_ends_when_its_person_is_disabled(page: Page) -> None:
    page.add("cid", "night")
    page.log_in("cid")
    assert page.ask("POST", "/accounts", {"name": "x"}).json["code"] == "csrf"
    assert page.change("POST", "/accounts", {"name": "x"}).json["code"] == "permission_lacking"
    page.in_office(lambda office: disable_person(office, operator(), DisablePerson("cid")))
    assert page.ask("GET", "/session").status == 401


def test_a_second_factor_is_set_up_and_asked_for(page: Page) -> None:
    page.add("dan")
    page.log_in("dan")
    begun = page.change("POST", "/session/totp", {}).json
    secret = base64.b32decode(begun["secret"])
    code = code_at(secret, time.time_ns() // 30_000_000_000)
    assert page.ask("PUT", "/session/totp", {"code": code}).json["code"] == "csrf"
    codes = page.change("PUT", "/session/totp", {"code": code}).json["codes"]
    assert page.log_in("dan").json["code"] == "code_missing"
    assert page.log_in("dan", code=codes[0]).status == 201


def test_a_password_is_changed_by_the_old_one(page: Page) -> None:
    page.add("eve")
    page.log_in("eve")
    assert page.change("PUT", "/session/password", {"old": GOOD, "new": "short"}).status == 422
    assert page.change("PUT", "/session/password", {"old": GOOD, "new": "other horse battery"}).status == 204
    assert page.log_in("eve").json["code"] == "log_in_refused"
    assert page.log_in("eve", "other horse battery").status == 201
    assert page.change("DELETE", "/sessions").status == 204
    assert page.ask("GET", "/session").status == 401


def test_guesses_are_answered_with_the_time_to_wait(page: Page, directory: Path) -> None:
    """The last of the file: this machine's address is locked out for names that have no home here."""
    for _ in range(6):
        assert page.log_in("absent", "guess").json["code"] in {"log_in_refused", "too_many_guesses"}
    refused = page.log_in("absent", "guess")
    assert (refused.status, refused.json["code"]) == (429, "too_many_guesses")
    assert int(refused.headers["retry-after"]) > 0
    with sqlite3.connect(directory / "vosd.db") as database:
        assert GOOD not in "".join(str(row) for row in database.execute("SELECT detail FROM audit"))
