"""Log-in of people by an identity provider, whatever the provider or others send; against a provider on loopback."""

import asyncio
import base64
import hmac
import json
import threading
from collections.abc import AsyncIterator, Iterator
from copy import copy
from http.cookies import SimpleCookie
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from doubles.asgi import Answered, answered
from doubles.identity_provider import BACK, CLIENT, SECRET, IdentityProvider, key_named
from doubles.migrated import migrated
from doubles.office import operator
from doubles.quick_hashes import QUICK
from joserfc import jwk, jwt
from joserfc.jwk import Key

from vosd.admin.office import passwords
from vosd.admin.office.audit import ListAudit, list_audit
from vosd.admin.office.people import AddPerson, DisablePerson, ShowPerson, add_person, disable_person, show_person
from vosd.admin.office.roles import SetRole, set_role
from vosd.admin.office.tokens import principal_of
from vosd.api.application import Application
from vosd.api.jobs import Jobs
from vosd.api.offices import Offices
from vosd.api.operations import session
from vosd.api.provider import Provider
from vosd.api.routes import Routes
from vosd.api.table import OPERATIONS
from vosd.wiring.office import now_ms

CONFIGURATION = """\
database: {url: '$url'}
state_dir: $directory
control_socket: $directory/vosd.sock
api:
  listen: '127.0.0.1:1'
  oidc:
    issuer: '$issuer'
    client_id: $client
    client_secret: '$secret'
    redirect_uri: '$back'
    page: /console
    roles: [{value: chiefs, role: administrator}, {value: night-shift, role: night}, {value: shops, role: customer}]
    makes_people: $makes
    links_people: $links
"""
COOKIE, BEGUN = session.COOKIE, session.PROVIDER_COOKIE
GOOD = "correct horse battery"


@pytest.fixture(scope="module")
def shared() -> Iterator[IdentityProvider]:
    with IdentityProvider(lambda: now_ms() // 1_000) as provider:
        yield provider


@pytest.fixture
def provider(shared: IdentityProvider, monkeypatch: pytest.MonkeyPatch) -> IdentityProvider:
    for name, value in QUICK.items():
        monkeypatch.setattr(passwords, name, value)
    monkeypatch.setattr(session, "_PROVIDER", Provider())
    shared.changes, shared.sign, shared.published, shared.secret = {}, shared.signed, [shared.key], SECRET
    shared.info, shared.metadata = {}, {}
    return shared


class Browser:
    """A browser, the API, and the provider behind it."""

    def __init__(self, url: str, directory: Path, provider: IdentityProvider, *, makes: str, links: str) -> None:
        text = CONFIGURATION
        values = {
            "url": url, "directory": directory, "issuer": provider.issuer, "client": CLIENT,
            "secret": SECRET, "back": BACK, "makes": makes, "links": links,
        }  # fmt: skip
        for name, value in values.items():
            text = text.replace(f"${name}", str(value))
        config = directory / "vosd.yaml"
        config.write_text(text)
        self.provider, self.offices = provider, Offices(config)
        self.application = Application(self.offices, principal_of, Routes(OPERATIONS), Jobs(config, self.offices))
        self.cookies: dict[str, str] = {}
        self.source = "192.0.2.1"

    def beside(self, source: str) -> "Browser":
        """Return another browser that asks the same API."""
        other = copy(self)
        other.cookies, other.source = {}, source
        return other

    async def ask(self, method: str, path: str, body: Any = None) -> Answered:
        sent = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        found = await answered(self.application, method, path, body, {"cookie": sent}, self.source)
        for text in found.header("set-cookie"):
            for name, morsel in SimpleCookie(text).items():
                self.cookies.pop(name, None)
                if morsel["max-age"] != "0":
                    self.cookies[name] = morsel.value
        return found

    async def begin(self) -> dict[str, str]:
        """Go to the provider and log in there; return the parameters of the way back."""
        begun = await self.ask("GET", "/session/oidc")
        assert begun.status == 303, begun.content
        return self.provider.authorize(*begun.header("location"))

    async def come_back(self, back: dict[str, str]) -> Answered:
        return await self.ask("GET", f"/session/oidc/callback?{urlencode(back)}")

    async def log_in(self, **changes: Any) -> Answered:
        self.provider.changes = changes
        return await self.come_back(await self.begin())

    async def name(self) -> str:
        me = await self.ask("GET", "/me")
        return str(me.json["name"]) if me.status == 200 else ""

    async def office(self) -> Any:
        return await self.offices.open(needs_database=True)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return migrated(tmp_path / "vosd.db")


@pytest.fixture
async def browser(url: str, tmp_path: Path, provider: IdentityProvider) -> AsyncIterator[Browser]:
    made = Browser(url, tmp_path, provider, makes="yes", links="no")
    yield made
    await made.offices.__aexit__(None, None, None)


@pytest.fixture
async def closed(url: str, tmp_path: Path, provider: IdentityProvider) -> AsyncIterator[Browser]:
    """A browser where people are not made, but those who are known are taken for the same."""
    made = Browser(url, tmp_path, provider, makes="no", links="yes")
    yield made
    await made.offices.__aexit__(None, None, None)


async def test_a_person_is_made_at_its_first_log_in_and_has_the_role_of_its_claim_at_each(browser: Browser) -> None:
    found = await browser.log_in()
    assert (found.status, found.header("location")) == (303, ["/console"])
    (opened, gone) = found.header("set-cookie")
    assert {"Secure", "HttpOnly", "SameSite=Strict"} < {each.strip() for each in opened.split(";")}
    assert gone.startswith(f"{BEGUN}=;")
    assert await browser.name() == "ann"
    office = await browser.office()
    assert (await show_person(office, operator(), ShowPerson("ann"))).role == "night"
    first = browser.cookies[COOKIE]
    await browser.log_in(groups="chiefs", preferred_username="ann-marie")
    assert browser.cookies[COOKIE] != first
    assert (await show_person(office, operator(), ShowPerson("ann"))).role == "administrator", "by subject, not by name"
    lines = await list_audit(office, operator(), ListAudit())
    assert [each.action for each in lines] == ["LogIn", "GiveRole", "LogIn", "AddPerson"]


async def test_a_session_by_the_provider_takes_the_place_of_the_one_before(browser: Browser) -> None:
    await browser.log_in()
    before = dict(browser.cookies)
    await browser.log_in()
    browser.cookies = before
    assert await browser.name() == ""


WRONG: tuple[dict[str, Any], ...] = (
    {"nonce": "another"}, {"nonce": None}, {"aud": "another"}, {"aud": [CLIENT, "another"]}, {"aud": None},
    {"iss": "https://evil.example"}, {"iss": None}, {"azp": "another"}, {"exp": 1_000_000_000}, {"exp": None},
    {"exp": "soon"}, {"iat": 4_000_000_000}, {"iat": None}, {"sub": None}, {"sub": ""}, {"sub": 7}, {"sub": "x" * 300},
    {"preferred_username": None}, {"preferred_username": "token 7"}, {"preferred_username": "a\nb"},
    {"preferred_username": "\u202eann"}, {"groups": None}, {"groups": ["guests"]}, {"groups": {"chiefs": 1}},
    {"groups": ["shops"]},
)  # fmt: skip
"""Claims that tokens of this provider for this log-in do not have, or that give no role."""


async def test_a_token_that_is_not_about_this_log_in_opens_no_session(browser: Browser) -> None:
    for number, changes in enumerate(WRONG):
        browser.source = f"192.0.2.{number}"  # after six from one source the provider is not asked
        refused = await browser.log_in(**changes)
        assert (refused.status, refused.json["code"]) == (401, "log_in_refused"), (changes, refused.content)
        assert COOKIE not in browser.cookies, changes
    lines = await list_audit(await browser.office(), operator(), ListAudit())
    assert {each.action for each in lines} == {"RefuseLogIn"}
    assert (await browser.log_in()).status == 303


BARE: dict[str, Any] = {"preferred_username": None, "groups": None}
"""An ID token that proves who it is and no more: OpenID Connect Core section 5.4 has such claims in the UserInfo."""


async def test_name_and_groups_that_are_not_in_the_token_are_asked_for(browser: Browser) -> None:
    browser.provider.info = {"preferred_username": "ann", "groups": ["chiefs"]}
    assert (await browser.log_in(**BARE)).status == 303
    office = await browser.office()
    assert (await show_person(office, operator(), ShowPerson("ann"))).role == "administrator"
    browser.provider.info = {"preferred_username": "bob", "groups": ["chiefs"]}
    assert (await browser.log_in(groups="night-shift")).status == 303
    assert (await show_person(office, operator(), ShowPerson("ann"))).role == "night", "the token counts where it says"


async def test_what_is_told_about_another_person_or_says_no_name_opens_no_session(browser: Browser) -> None:
    for info in ({"sub": "another"}, {"sub": None}, {"preferred_username": ["ann"]}, {"groups": ["guests"]}):
        browser.provider.info = {"preferred_username": "ann", "groups": ["chiefs"]} | info
        refused = await browser.log_in(**BARE)
        assert (refused.status, refused.json["code"]) == (401, "log_in_refused"), info
        assert COOKIE not in browser.cookies, info


async def test_a_token_that_says_enough_asks_for_nothing_more(browser: Browser) -> None:
    before = browser.provider.asked.count("/me")
    assert (await browser.log_in()).status == 303
    assert browser.provider.asked.count("/me") == before


@pytest.mark.parametrize("nothing", [None, ""])
async def test_a_provider_that_names_no_place_for_claims_proves_people_by_its_token(
    browser: Browser, nothing: str | None
) -> None:
    browser.provider.metadata = {"userinfo_endpoint": nothing}
    assert (await browser.log_in()).status == 303
    assert (await browser.log_in(**BARE)).status == 401


OTHER = key_named("first")
"""A key of others, with the name of that of the provider."""


def _forged(header: dict[str, str], claims: dict[str, Any], secret: bytes) -> str:
    """Return a token whose shared secret is no secret; without one it is not signed."""
    parts = [base64.urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=") for each in (header, claims)]
    proof = hmac.digest(secret, b".".join(parts), "sha256") if secret else b""
    return b".".join([*parts, base64.urlsafe_b64encode(proof).rstrip(b"=")]).decode()


async def test_a_token_that_the_provider_has_not_signed_opens_no_session(browser: Browser) -> None:
    public: bytes = browser.provider.key.as_pem(private=False)
    forged = {
        "none": lambda claims: _forged({"alg": "none"}, claims, b""),
        "shared secret": lambda claims: _forged({"alg": "HS256", "kid": "first"}, claims, public),
        "other key": lambda claims: jwt.encode({"alg": "RS256", "kid": "first"}, claims, OTHER),
        "unknown key": lambda claims: jwt.encode({"alg": "RS256", "kid": "second"}, claims, OTHER),
        "garbage": lambda _claims: "a.b.c",
    }
    for name, sign in forged.items():
        browser.provider.sign = sign
        refused = await browser.log_in()
        assert (refused.status, refused.json["code"]) == (401, "log_in_refused"), (name, refused.content)
        assert COOKIE not in browser.cookies, name


@pytest.mark.parametrize(
    ("header", "renewed"),
    [
        ({"alg": "RS256", "kid": "renewed"}, key_named("renewed")),
        ({"alg": "RS256"}, key_named("renewed")),
        ({"alg": "ES256"}, jwk.ECKey.generate_key("P-256")),
    ],
)
async def test_new_keys_of_the_provider_are_read_when_a_token_is_signed_by_one(
    browser: Browser, provider: IdentityProvider, monkeypatch: pytest.MonkeyPatch, header: dict[str, str], renewed: Key
) -> None:
    assert (await browser.log_in()).status == 303
    monkeypatch.setattr("vosd.api.provider.RENEWED_S", 0.0)
    provider.published = [renewed]
    provider.sign = lambda claims: jwt.encode(header, claims, renewed)
    assert (await browser.log_in()).status == 303


async def test_keys_that_cannot_be_read_are_a_fault_of_the_provider(
    browser: Browser, provider: IdentityProvider
) -> None:
    provider.metadata = {"jwks_uri": f"{provider.issuer}/.well-known/openid-configuration"}
    refused = await browser.log_in()
    assert (refused.status, refused.json["code"]) == (503, "provider_unavailable")
    assert "keys" in refused.json["detail"]


async def test_keys_of_a_kind_that_cannot_be_read_are_left_out(browser: Browser, provider: IdentityProvider) -> None:
    odd = SimpleNamespace(as_dict=lambda **_: {"kty": ["RSA"], "kid": provider.key.kid})
    provider.published = [odd, provider.key]
    assert (await browser.log_in()).status == 303


async def test_the_way_back_is_for_the_browser_that_has_begun_and_once(browser: Browser) -> None:
    back = await browser.begin()
    begun = browser.cookies.pop(BEGUN)
    assert (await browser.come_back(back)).status == 401, "another browser"
    for wrong in (
        back | {"state": "x" * 43},
        back | {"iss": "https://evil.example"},
        back | {"error": "access_denied"},
    ):
        browser.cookies[BEGUN] = begun
        assert (await browser.come_back(wrong)).status == 401
    browser.cookies[BEGUN] = begun[:-4] + "AAAA"
    assert (await browser.come_back(back)).status == 401
    browser.cookies[BEGUN] = begun
    assert (await browser.come_back(back)).status == 303
    browser.cookies[BEGUN] = begun
    assert (await browser.come_back(back)).status == 401, "the provider gives one token for a code"


async def _refused_last(browser: Browser) -> Any:
    """Return the reason of the last line of the audit."""
    (line, *_) = await list_audit(await browser.office(), operator(), ListAudit())
    assert line.action == "RefuseLogIn"
    return line.detail["why"]


async def test_a_secret_that_has_expired_is_said_and_is_no_fault_of_the_person(browser: Browser) -> None:
    browser.provider.secret = "renewed"
    refused = await browser.log_in()
    assert (refused.status, refused.json["code"]) == (503, "provider_unavailable")
    assert "client_secret (invalid_client: The client secret keys are expired.)" in refused.json["detail"]
    assert await _refused_last(browser) == refused.json["detail"]


async def test_a_refusal_of_the_provider_is_said_in_its_words(browser: Browser) -> None:
    back = await browser.begin()
    del back["code"]
    back |= {"error": "access_denied", "error_description": "not assigned to this application.\r\nTrace: 7"}
    refused = await browser.come_back(back)
    assert (refused.status, refused.json["code"]) == (401, "log_in_refused")
    assert "(access_denied: not assigned to this application. Trace: 7): begin again" in refused.json["detail"]
    assert await _refused_last(browser) == refused.json["detail"]
    code = await browser.begin()
    code["code"] = "another"
    refused = await browser.come_back(code)
    assert (refused.status, "refuses the code (invalid_grant): begin again" in refused.json["detail"]) == (401, True)


async def test_a_log_in_leads_to_the_page_of_the_configuration_alone(browser: Browser) -> None:
    back = await browser.begin()
    found = await browser.come_back(back | {"redirect_uri": "https://evil.example", "page": "//evil.example"})
    assert found.header("location") == ["/console"]
    assert (await browser.ask("GET", "/session/oidc?page=//evil.example")).status == 422


async def test_a_name_that_is_taken_here_is_not_given_to_a_person_of_the_provider(browser: Browser) -> None:
    await add_person(await browser.office(), operator(), AddPerson(name="ann", role="administrator"))
    refused = await browser.log_in()
    assert (refused.status, COOKIE in browser.cookies) == (401, False)
    lines = await list_audit(await browser.office(), operator(), ListAudit())
    assert (lines[0].action, lines[0].detail) == ("RefuseLogIn", {"why": "another person has this name here"})


async def test_people_who_are_known_here_log_in_by_their_name_where_that_is_configured(closed: Browser) -> None:
    assert (await closed.log_in()).status == 401, "no person is made"
    await add_person(await closed.office(), operator(), AddPerson(name="ann", role="viewer"))
    assert (await closed.log_in()).status == 303
    assert (await closed.log_in(sub="another")).status == 401, "the name belongs to the first subject now"
    await disable_person(await closed.office(), operator(), DisablePerson("ann"))
    assert await closed.name() == ""
    assert (await closed.log_in()).status == 401


@pytest.mark.usefixtures("database")
async def test_a_name_with_a_space_at_its_end_is_no_name_that_is_known_here(
    database_url: str, tmp_path: Path, provider: IdentityProvider
) -> None:
    browser = Browser(database_url, tmp_path, provider, makes="no", links="yes")
    async with browser.offices:
        await add_person(await browser.office(), operator(), AddPerson(name="ann", role="viewer"))
        assert (await browser.log_in(preferred_username="ann ")).status == 401
        assert (await browser.log_in()).status == 303


async def test_a_role_that_demands_a_second_factor_takes_that_of_the_provider(browser: Browser) -> None:
    await set_role(await browser.office(), operator(), SetRole(name="night", wants_totp=True))
    refused = await browser.log_in(amr=["pwd"])
    assert (refused.status, "second factor" in refused.json["detail"]) == (401, True)
    assert (await browser.log_in(amr=["pwd", "mfa"])).status == 303
    assert await browser.name() == "ann"
    session = (await browser.ask("GET", "/session")).json
    assert [session[each] for each in ("wants_totp", "has_password", "has_totp")] == [False, False, False]


async def test_passwords_work_while_the_provider_is_away(url: str, tmp_path: Path, provider: IdentityProvider) -> None:
    gone = IdentityProvider(lambda: 0)
    gone._server.server_close()
    browser = Browser(url, tmp_path, gone, makes="yes", links="no")
    away = await browser.ask("GET", "/session/oidc")
    assert (away.status, away.json["code"], bool(away.header("retry-after"))) == (503, "provider_unavailable", True)
    made = await add_person(await browser.office(), operator(), AddPerson(name="bob", role="viewer"))
    assert (await browser.ask("POST", "/session/link", {"link": made.link, "password": GOOD})).status == 200
    assert (await browser.ask("POST", "/session", {"name": "bob", "password": GOOD})).status == 201
    assert await browser.name() == "bob"
    await browser.offices.__aexit__(None, None, None)


async def test_a_provider_that_names_another_issuer_is_not_used(
    browser: Browser, provider: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(IdentityProvider, "issuer", "https://evil.example")
    refused = await browser.ask("GET", "/session/oidc")
    assert (refused.status, refused.json["code"]) == (503, "provider_unavailable")


async def test_no_secret_of_the_log_in_is_kept_or_shown(browser: Browser, tmp_path: Path) -> None:
    begun = await browser.ask("GET", "/session/oidc")
    (url,) = begun.header("location")
    assert SECRET not in url
    assert urlsplit(url).netloc == urlsplit(browser.provider.issuer).netloc
    back = browser.provider.authorize(url)
    await browser.come_back(back)
    content = (tmp_path / "vosd.db").read_bytes()
    for each in (back["code"], back["state"], browser.cookies[COOKIE]):
        assert each.encode() not in content


async def test_an_attacker_takes_no_places_of_people_at_the_provider(
    browser: Browser, provider: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, goes_on = provider._token, threading.Event()

    def slow_for_invented(form: dict[str, str], authorization: str) -> tuple[int, Any]:
        if form["code"] == "invented":
            assert goes_on.wait(60)
        return token(form, authorization)

    monkeypatch.setattr(provider, "_token", slow_for_invented)
    attacker = browser.beside("192.0.2.66")
    invented = await attacker.begin() | {"code": "invented"}
    asking = [asyncio.create_task(attacker.come_back(invented)) for _ in range(8)]
    await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)  # those for which there is no place

    found = await browser.log_in()

    goes_on.set()
    assert (found.status, await browser.name()) == (303, "ann")
    assert sorted([(await each).status for each in asking]) == [401] * 4 + [429] * 4


async def test_the_provider_is_not_asked_about_ever_new_codes_of_an_attacker(
    browser: Browser, provider: IdentityProvider
) -> None:
    attacker = browser.beside("192.0.2.66")
    invented = await attacker.begin() | {"code": "invented"}
    assert [(await attacker.come_back(invented)).status for _ in range(6)] == [401] * 6
    asked = len(provider.asked)

    refused = await attacker.come_back(invented)

    assert (refused.status, refused.json["code"], refused.header("retry-after")) == (429, "too_many_guesses", ["180"])
    assert len(provider.asked) == asked
    assert (await browser.log_in()).status == 303


async def test_a_person_logs_in_where_a_neighbour_has_invented_codes(browser: Browser) -> None:
    assert (await browser.log_in()).status == 303
    neighbour = browser.beside(browser.source)
    invented = await neighbour.begin() | {"code": "invented"}
    assert [(await neighbour.come_back(invented)).status for _ in range(8)] == [401] * 8

    assert (await browser.log_in()).status == 303
