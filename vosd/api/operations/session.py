"""Operations of people: log in and out, first password, second factor; the session is a cookie."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec

from vosd.admin.office.identity_provider import begin, log_in_by_provider, provider_of, resume
from vosd.admin.office.office import Office
from vosd.admin.office.principal import Principal
from vosd.admin.office.sessions import (
    BeginTotp,
    BegunTotp,
    ChangePassword,
    ConfirmTotp,
    LogIn,
    LogInRefusedError,
    LogIns,
    RecoveryCodes,
    SessionSheet,
    UsedLink,
    UseLink,
    confirm_totp,
    log_out,
    log_out_everywhere,
    principal_of_session,
    show_session,
    use_link,
)
from vosd.admin.office.tokens import UnauthorizedError
from vosd.api.http import Answer, HttpRequest
from vosd.api.operation import AskNothing, Operation
from vosd.api.provider import Provider, ProviderUnavailableError, words_of

COOKIE: Final = "__Host-vosd"
"""Name of the cookie; its beginning has browsers refuse one that another host or path has set."""
CSRF_HEADER: Final = "x-csrf-token"
PROVIDER_COOKIE: Final = "__Host-vosd-oidc"
_PROVIDER_TERMS: Final = "Path=/; Secure; HttpOnly; SameSite=Lax"
"""The provider sends the browser back from another site, and ``Strict`` would keep the cookie away from that."""
_PROVIDER: Final = Provider()
_TERMS: Final = "Path=/; Secure; HttpOnly; SameSite=Strict"
_GONE: Final = (("Set-Cookie", f"{COOKIE}=; Max-Age=0; {_TERMS}"),)


def token_of(request: HttpRequest) -> str | None:
    """Return the token of a request; None = it names none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def proof_of(request: HttpRequest) -> bytes:
    """Return a digest of the token or the session of a request; raises UnauthorizedError where it has neither."""
    proof = token_of(request) or cookie_of(request)
    if proof is None:
        said = "the request has no token: send it as Authorization: Bearer TOKEN, or log in by POST /api/v1/session"
        raise UnauthorizedError(said)
    return hashlib.sha256(proof.encode()).digest()


def cookie_of(request: HttpRequest, wanted: str = COOKIE) -> str | None:
    """Return the id of the session that a request names, or another cookie; None = it names none."""
    for part in request.headers.get("cookie", "").replace(",", ";").split(";"):
        name, _, value = part.strip().partition("=")
        if name == wanted and value:
            return value
    return None


async def sender_of(
    office: Office, request: HttpRequest, *, changes: bool, enrols: bool = False, is_use: bool = True
) -> Principal:
    """Return the person whose session a request names; raises as ``principal_of_session``."""
    session, csrf = _session_of(request), request.headers.get(CSRF_HEADER)
    return await principal_of_session(
        office, session, request.source, csrf=csrf, changes=changes, enrols=enrols, is_use=is_use
    )


def _session_of(request: HttpRequest) -> str:
    session = cookie_of(request)
    if session is None:
        raise UnauthorizedError("the request has no session: log in by POST /api/v1/session")
    return session


async def _open(office: Office, log_ins: LogIns, request: HttpRequest, order: LogIn) -> Answer:
    before = cookie_of(request)
    opened = await log_ins.log_in(office, request.source, order)
    if before is not None:
        await log_out(office, before)
    content = msgspec.json.encode(opened.sheet)
    return Answer(status=HTTPStatus.CREATED, content=content, headers=(_cookie(opened.session),))


def _cookie(session: str) -> tuple[str, str]:
    return "Set-Cookie", f"{COOKIE}={session}; {_TERMS}"


async def _begin_at_provider(office: Office, _log_ins: LogIns, _request: HttpRequest, _order: AskNothing) -> Answer:
    provider = provider_of(office)
    begun = begin(office, provider, await _PROVIDER.metadata(provider))
    cookie = ("Set-Cookie", f"{PROVIDER_COOKIE}={begun.sealed}; Max-Age=600; {_PROVIDER_TERMS}")
    return Answer(status=HTTPStatus.SEE_OTHER, headers=(("Location", begun.url), cookie))


class ComeBack(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The answer of the provider, which the browser brings (OpenID Connect Core section 3.1.2.5)."""

    state: str = ""
    """Text that the switch gave the provider."""
    code: str = ""
    """Code that the provider gives; empty = it reports an error."""
    iss: str = ""
    """The provider, where it says so (RFC 9207)."""
    error: str = ""
    """Error of the provider; empty = none."""
    error_description: str = ""
    """Explanation of the error."""


async def _open_by_provider(office: Office, log_ins: LogIns, request: HttpRequest, order: ComeBack) -> Answer:
    provider = provider_of(office)
    begun = resume(office, cookie_of(request, PROVIDER_COOKIE), order.state)
    try:
        if order.error or not order.code or order.iss not in {"", provider.issuer}:
            words = words_of(order.error or "no code of this provider", order.error_description)
            raise LogInRefusedError(f"the identity provider has not logged the person in ({words}): begin again")
        with log_ins.asking_provider(request.source):
            proof = await _PROVIDER.proof(provider, order.code, begun, office.now())
    except (LogInRefusedError, ProviderUnavailableError) as error:
        await log_ins.refused.note(office, request.source, None, str(error))
        raise
    opened = await log_in_by_provider(office, log_ins, request.source, provider, proof)
    before = cookie_of(request)
    if before is not None:
        await log_out(office, before)
    gone = ("Set-Cookie", f"{PROVIDER_COOKIE}=; Max-Age=0; {_PROVIDER_TERMS}")
    headers = (("Location", provider.page), _cookie(opened.session), gone)
    return Answer(status=HTTPStatus.SEE_OTHER, headers=headers)


async def _show(office: Office, _log_ins: LogIns, request: HttpRequest, _order: AskNothing) -> Answer:
    return _content(await show_session(office, _session_of(request)))


async def _close(office: Office, _log_ins: LogIns, request: HttpRequest, _order: AskNothing) -> Answer:
    await sender_of(office, request, changes=True, enrols=True)
    await log_out(office, _session_of(request))
    return Answer(status=HTTPStatus.NO_CONTENT, headers=_GONE)


async def _close_all(office: Office, _log_ins: LogIns, request: HttpRequest, _order: AskNothing) -> Answer:
    await log_out_everywhere(office, await sender_of(office, request, changes=True, enrols=True))
    return Answer(status=HTTPStatus.NO_CONTENT, headers=_GONE)


async def _use_link(office: Office, _log_ins: LogIns, request: HttpRequest, order: UseLink) -> Answer:
    return _content(await use_link(office, request.source, order))


async def _change_password(office: Office, log_ins: LogIns, request: HttpRequest, order: ChangePassword) -> Answer:
    who = await sender_of(office, request, changes=True)
    session = await log_ins.change_password(office, who, order, _session_of(request))
    return Answer(status=HTTPStatus.NO_CONTENT, headers=(_cookie(session),))


async def _begin_totp(office: Office, log_ins: LogIns, request: HttpRequest, order: BeginTotp) -> Answer:
    who = await sender_of(office, request, changes=True, enrols=True)
    return _content(await log_ins.begin_totp(office, who, order))


async def _confirm_totp(office: Office, _log_ins: LogIns, request: HttpRequest, order: ConfirmTotp) -> Answer:
    who = await sender_of(office, request, changes=True, enrols=True)
    confirmed = await confirm_totp(office, who, order, _session_of(request))
    return Answer(content=msgspec.json.encode(confirmed.codes), headers=(_cookie(confirmed.session),))


def _content(result: msgspec.Struct) -> Answer:
    return Answer(content=msgspec.json.encode(result))


async def _is_answered_elsewhere(_office: Office, _who: Principal, _order: Any) -> Any:
    raise AssertionError("operations of sessions have no principal")


def _operation(
    route: str,
    meaning: str,
    takes: type[msgspec.Struct],
    result: Any,
    session: Callable[[Office, LogIns, HttpRequest, Any], Awaitable[Answer]],
    status: HTTPStatus = HTTPStatus.OK,
    problems: Sequence[str] = (),
) -> Operation:
    return Operation(
        route, meaning, _is_answered_elsewhere, permission=None, takes=takes, result=result, session=session,
        status=status, problems=problems, takes_any_query=takes is ComeBack
    )  # fmt: skip


_OF_SESSION: Final = ("csrf", "unauthorized")
_OF_PASSWORD: Final = (*_OF_SESSION, "changed_meanwhile", "code_missing", "log_in_refused", "too_many_guesses")

OPERATIONS: Final = (
    _operation(
        "POST /session",
        "Log in: the answer sets a cookie.",
        LogIn,
        SessionSheet,
        _open,
        HTTPStatus.CREATED,
        ("code_missing", "log_in_refused", "too_many_guesses"),
    ),
    _operation(
        "GET /session", "The session of the cookie.", AskNothing, SessionSheet, _show, problems=("unauthorized",)
    ),
    _operation("DELETE /session", "Log out.", AskNothing, None, _close, HTTPStatus.NO_CONTENT, _OF_SESSION),
    _operation(
        "DELETE /sessions", "Log out everywhere.", AskNothing, None, _close_all, HTTPStatus.NO_CONTENT, _OF_SESSION
    ),
    _operation(
        "POST /session/link",
        "Set the password by a one-time link.",
        UseLink,
        UsedLink,
        _use_link,
        problems=("changed_meanwhile", "link_refused", "too_many_guesses"),
    ),
    _operation(
        "PUT /session/password",
        "Change the password; the other sessions end.",
        ChangePassword,
        None,
        _change_password,
        HTTPStatus.NO_CONTENT,
        ("second_factor_missing", *_OF_PASSWORD),
    ),
    _operation(
        "POST /session/totp",
        "Begin to set up a second factor.",
        BeginTotp,
        BegunTotp,
        _begin_totp,
        problems=_OF_PASSWORD,
    ),
    _operation(
        "GET /session/oidc",
        "Begin to log in by the identity provider: redirects the browser to it.",
        AskNothing,
        None,
        _begin_at_provider,
        HTTPStatus.SEE_OTHER,
        ("no_provider", "provider_unavailable"),
    ),
    _operation(
        "GET /session/oidc/callback",
        "Log in by the answer of the identity provider: sets the cookie, and redirects the browser to the page.",
        ComeBack,
        None,
        _open_by_provider,
        HTTPStatus.SEE_OTHER,
        ("log_in_refused", "no_provider", "provider_unavailable", "too_many_guesses"),
    ),
    _operation(
        "PUT /session/totp",
        "Put it in force by a code of it.",
        ConfirmTotp,
        RecoveryCodes,
        _confirm_totp,
        problems=("changed_meanwhile", "log_in_refused", "too_many_guesses", *_OF_SESSION),
    ),
)
