"""People at the API: log-in, cookie, CSRF token, second factor and log-out, against the process."""

import asyncio
import base64
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest
from doubles.api import HOST, Api, Reply
from doubles.office import office_on, operator

from vosd.admin.office.people import AddPerson, DisablePerson, add_person, digest_of, disable_person
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
        reply = self.ask(method, path, body, **{"X-CSRF-Token": self.csrf})
        if "set-cookie" in reply.headers and reply.status == 200:
            self.cookie = SimpleCookie(reply.headers["set-cookie"])[COOKIE].value
        return reply

    def log_in(self, name: str, password: str = GOOD, **more: str) -> Reply:
        reply = self.ask("POST", "/session", {"name": name, "password": password} | more)
        if reply.status == 201:
            self.cookie = SimpleCookie(reply.headers["set-cookie"])[COOKIE].value
            self.csrf = reply.json["csrf"]
        return reply

    def in_office(self, act: Any) -> Any:
        async def within() -> Any:
            async with Database(f"sqlite+aiosqlite:///{self.directory / 'vosd.db'}") as database:
                return await act(office_on(database, now=time.time_ns() // 1_000_000))

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
    assert page.ask("GET", "/events?seconds=1").status == 401
    assert page.change("DELETE", "/session").status == 401, "a cookie is of no use after its log-out"


def test_who_has_proven_nothing_sends_no_long_body(page: Page) -> None:
    for path in ("/session", "/session/link"):
        refused = page.ask("POST", path, b'{"name":[' + b"[]," * 6_000 + b"[]]}")
        assert (refused.status, refused.json["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("client", ["unknown", "203.0.113.7, unknown", "a" * 20_000])
def test_a_client_whose_proxy_names_no_address_logs_in_from_the_address_of_the_proxy(page: Page, client: str) -> None:
    connection = HTTPConnection(HOST, page.api.port, timeout=60, source_address=("127.0.0.9", 0))
    order = json.dumps({"name": f"absent-{len(client)}", "password": GOOD})
    headers = {"Content-Type": "application/json", "X-Forwarded-For": client}
    with closing(connection):
        connection.request("POST", "/api/v1/session", order, headers)
        assert connection.getresponse().status == 401
    (refused,) = page.api.ask("GET", "/audit?action=RefuseLogIn&limit=1").json["items"]
    assert refused["source"] == "127.0.0.9"


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
    lacking = page.change("POST", "/accounts", {"name": "x"}).json
    assert lacking["code"] == "permission_lacking"
    assert lacking["detail"] == "this needs the permission definitions.change, which your role has not"
    page.in_office(lambda office: disable_person(office, operator(), DisablePerson("cid")))
    assert page.ask("GET", "/session").status == 401


def test_what_a_page_reads_by_itself_is_no_use_of_its_session(page: Page) -> None:
    page.add("una", "administrator")
    page.log_in("una")

    def used_for_ms(*, ago_ms: int, path: str, **headers: str) -> int | None:
        before, digest = time.time_ns() // 1_000_000 - ago_ms, digest_of(page.cookie)
        page.in_office(lambda office: office.stores.people.note_use(digest, before))
        assert page.ask("GET", path, **headers).status in {200, 401}
        found = page.in_office(lambda office: office.stores.people.session(digest))
        return None if found is None else found[0].used_at - before

    minutes = 60_000
    assert used_for_ms(ago_ms=20 * minutes, path="/me", **{"X-Unattended": "true"}) == 0
    assert used_for_ms(ago_ms=20 * minutes, path="/events?seconds=1") == 0
    assert used_for_ms(ago_ms=20 * minutes, path="/me") >= 20 * minutes
    assert used_for_ms(ago_ms=31 * minutes, path="/me", **{"X-Unattended": "true"}) is None, "it has ended"


def test_a_reading_that_can_wait_knows_its_session_for_a_moment_and_not_behind_its_end(page: Page) -> None:
    page.add("wim", "administrator")
    page.log_in("wim")
    patient = {"Prefer": "wait=1"}
    assert {page.ask("GET", "/gateways/quality", **patient).status for _ in range(2)} == {503}, "no switch runs here"
    page.change("DELETE", "/session")
    assert page.ask("GET", "/gateways/quality", **patient).status == 401


def test_a_second_factor_is_set_up_and_asked_for(page: Page) -> None:
    page.add("dan")
    page.log_in("dan")
    begun = page.change("POST", "/session/totp", {}).json
    secret = base64.b32decode(begun["secret"])
    code = code_at(secret, time.time_ns() // 30_000_000_000)
    assert page.ask("PUT", "/session/totp", {"code": code}).json["code"] == "csrf"
    before = page.cookie
    codes = page.change("PUT", "/session/totp", {"code": code}).json["codes"]
    assert page.ask("GET", "/me").status == 200
    assert page.ask("GET", "/me", Cookie=f"{COOKIE}={before}").status == 401, "its id changes when it may do more"
    assert page.log_in("dan").json["code"] == "code_missing"
    assert page.log_in("dan", code=codes[0]).status == 201
    (page.directory / "var" / "people.key").rename(page.directory / "people.key")  # as on another machine
    assert page.log_in("dan", code="123456").json["code"] == "sealed_elsewhere"
    assert page.log_in("dan", code=codes[1]).status == 201
    (page.directory / "people.key").replace(page.directory / "var" / "people.key")


def test_a_password_is_changed_by_the_old_one(page: Page) -> None:
    page.add("eve")
    page.log_in("eve")
    assert page.change("PUT", "/session/password", {"old": GOOD, "new": "short"}).status == 422
    before = page.cookie
    changed = page.change("PUT", "/session/password", {"old": GOOD, "new": "other horse battery"})
    assert changed.status == 204
    assert page.ask("GET", "/me").status == 401
    page.cookie = SimpleCookie(changed.headers["set-cookie"])[COOKIE].value
    assert page.cookie != before
    assert page.ask("GET", "/me").status == 200
    assert page.log_in("eve").json["code"] == "log_in_refused"
    assert page.log_in("eve", "other horse battery").status == 201
    assert page.change("DELETE", "/sessions").status == 204
    assert page.ask("GET", "/session").status == 401


def test_a_person_is_made_and_logs_in_over_the_api_alone(page: Page) -> None:
    made = page.api.ask("POST", "/people", {"name": "fay", "role": "night"})
    assert (made.status, made.headers["location"]) == (201, "/api/v1/people/fay")
    assert page.api.ask("GET", "/people/fay").json["state"] == "invited"
    assert page.ask("POST", "/session/link", {"link": made.json["link"], "password": GOOD}).status == 200
    assert page.log_in("fay").status == 201
    me = page.ask("GET", "/me").json
    assert (me["name"], me["means"], me["account"]) == ("fay", "page", None)
    assert ("GET", "/calls") in {(each["method"], each["path"]) for each in me["operations"]}
    assert "people.see" not in {each["permission"] for each in me["operations"]}
    assert page.ask("GET", "/people").status == 403
    assert page.api.ask("PUT", "/people/fay/role", {"role": "viewer"}).json["role"] == "viewer"
    assert page.ask("GET", "/me").status == 401, "its sessions have ended"
    assert page.api.ask("POST", "/people/fay/disable").json["state"] == "disabled"
    assert page.log_in("fay").json["code"] == "log_in_refused"
    assert page.api.ask("POST", "/people/fay/enable").json["state"] == "active"
    assert page.api.ask("POST", "/people/absent/enable").status == 404


def test_a_secret_is_shown_once_and_is_not_kept_for_repeats(page: Page, directory: Path) -> None:
    orders: list[tuple[str, Any]] = [
        ("/tokens", {"name": "crm", "role": "finance"}),
        ("/people", {"name": "gus", "role": "viewer"}),
        ("/people/gus/reset", None),
    ]
    for path, order in orders:
        key = {"Idempotency-Key": f"once {path}"}
        made = page.api.ask("POST", path, order, headers=key)
        assert made.status in {200, 201}, made.content
        secret = made.json.get("token", made.json.get("link")).rpartition("/")[2]
        again = page.api.ask("POST", path, order, headers=key)
        assert (again.status, again.json["code"]) == (409, "secret_not_kept")
        with closing(sqlite3.connect(directory / "vosd.db")) as database, database:
            assert secret not in "\n".join(database.iterdump())
    assert [each["name"] for each in page.api.ask("GET", "/tokens?name=crm").json["items"]] == ["crm"]


def test_a_token_is_made_previewed_and_revoked(page: Page) -> None:
    page.add("tom", "administrator")
    page.log_in("tom")
    wanted = {"name": "probe", "role": "finance", "scopes": ["money.see"], "expires_at": "2099-01-01T00:00:00Z"}
    preview = page.ask("GET", "/roles/finance/operations?scopes=money.see").json["items"]
    assert {each["permission"] for each in preview} == {"money.see", "jobs"}
    token = page.change("POST", "/tokens", wanted).json["id"]
    assert page.ask("GET", f"/tokens/{token}/operations").json["items"] == preview
    shown = page.ask("GET", f"/tokens/{token}").json
    assert (shown["expires"], shown["revoked"], shown["maker"]) == ("2099-01-01T00:00:00.000Z", None, "tom")
    assert [each["id"] for each in page.ask("GET", "/tokens?maker=tom").json["items"]] == [token]
    assert page.change("DELETE", f"/tokens/{token}").json["revoked"] is not None
    assert page.change("DELETE", f"/tokens/{token}").status == 404
    assert page.ask("GET", "/tokens/000000000000").status == 404


def test_a_program_gives_no_rights_that_it_lacks(page: Page) -> None:
    for method, path, order in (
        ("POST", "/people", {"name": "hal", "role": "administrator"}),
        ("POST", "/tokens", {"name": "hal", "role": "finance"}),
        ("PUT", "/roles/own", {"permissions": ["money.book"]}),
    ):
        refused = page.api.ask(method, path, order, token="only:people.change")
        assert (refused.status, refused.json["code"]) == (403, "too_powerful")
    made = page.api.ask("PUT", "/roles/own", {"permissions": ["money.see", "accounts.see"]})
    assert made.json["permissions"] == ["accounts.see", "money.see"]
    assert page.api.ask("GET", "/roles?name=own").json["items"] == [made.json]
    assert page.api.ask("DELETE", "/roles/own").status == 200


def test_guesses_are_answered_with_the_time_to_wait(install: Callable[[Path], Path], tmp_path: Path) -> None:
    """An API of its own: this machine's address is locked out for names that have no home here."""
    (tmp_path / "var").mkdir()
    with Api(install(tmp_path)) as process:
        page = Page(process, tmp_path)
        for _ in range(6):
            assert page.log_in("absent", GOOD).json["code"] in {"log_in_refused", "too_many_guesses"}
        refused = page.log_in("absent", GOOD)
    assert (refused.status, refused.json["code"]) == (429, "too_many_guesses")
    assert int(refused.headers["retry-after"]) > 0
    with closing(sqlite3.connect(tmp_path / "vosd.db")) as database, database:
        assert GOOD not in "".join(str(row) for row in database.execute("SELECT detail FROM audit"))
