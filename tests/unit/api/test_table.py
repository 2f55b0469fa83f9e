"""The table of operations: every route has a verdict for each caller, and the document says the same."""

import asyncio
import json
import re
from http import HTTPStatus
from pathlib import Path
from typing import Any, get_origin

import msgspec
import pytest
from doubles.documented import check_documented

from vosd.admin.office.jobs import RESULT_NEEDS
from vosd.admin.office.mailed_invoices import MOST_BYTES_OF_CALLS
from vosd.admin.office.office import BY_ACCOUNT, INSTEAD, NEEDED, Office
from vosd.admin.office.principal import ALL, Means, Permission, Principal, Role
from vosd.admin.office.tokens import UnauthorizedError
from vosd.api.application import Application
from vosd.api.openapi import document
from vosd.api.operation import Operation
from vosd.api.problems import status_of_code
from vosd.api.routes import Routes
from vosd.api.table import OPERATIONS
from vosd.cdr.ports import StoreUnavailable
from vosd.engine.alarms.mail import MAIL_S, SLOWEST_BYTES_A_SECOND, TAKEN_S

OPEN = {"/docs", "/health", "/openapi.json", "/ready"}
"""Paths that need no token."""
FREE = {
    "POST /configuration/check",
    "POST /backups/{name}/verify",
    "POST /routes/explain",
    "POST /calendar-days",
    "POST /routes/simulate",
    "POST /rates/explain",
    "POST /payment-files",
}
BUT = "all but "
"""Beginning of a token with every permission but the one that follows."""
NAMED = [each.route for each in OPERATIONS]

NAMED_PATHS = {each.path: each for each in OPERATIONS if each.method == "GET"}

ROUTES = Routes(OPERATIONS)


class ClosedOffice:
    """An office that has nothing: a request that asks it was let in."""

    def __getattr__(self, name: str) -> object:
        raise StoreUnavailable(f"the database is away: {name}")


class ClosedOffices:
    """Opens one that is closed."""

    async def open(self, *_: object, **__: object) -> ClosedOffice:
        return ClosedOffice()


async def identify(_office: Office, token: str, _source: str) -> Principal:
    if token == "unknown":
        raise UnauthorizedError("the token is unknown")
    permissions = frozenset({Permission(token)} if token in {*Permission} else ())
    if token.startswith(BUT):
        permissions = ALL - {Permission(token.removeprefix(BUT))}
    return Principal(role=Role.OPERATOR, name=token, login=token, means=Means.TOKEN, permissions=permissions)


def asked(
    operation: Operation, token: str | None, application: Application | None = None, **more: bytes
) -> tuple[int, dict[str, Any]]:
    """Send a request that has a body of the right form, and return status and problem."""
    path = re.sub(r"{\w+}", "1", f"/api/v1{operation.path}")
    headers = [(b"content-type", b"application/json"), *((name.encode(), value) for name, value in more.items())]
    if token is not None:
        headers.append((b"authorization", f"Bearer {token}".encode()))
    scope = {
        "type": "http", "method": operation.method, "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": headers, "client": ("192.0.2.1", 5000),
    }  # fmt: skip
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"[]", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    application = application or Application(ClosedOffices(), identify, ROUTES, None)  # type: ignore[arg-type]
    asyncio.run(application(scope, receive, send))
    content = sent[1]["body"]
    return sent[0]["status"], json.loads(content) if content.startswith(b"{") else {}


@pytest.mark.parametrize("operation", OPERATIONS, ids=NAMED)
def test_every_operation_asks_for_its_permission_before_it_reads_anything_else(operation: Operation) -> None:
    if operation.session is not None:
        assert operation.permission is None
        assert asked(operation, None)[0] in ({503} if operation.path == "/session/oidc" else {401, 422, 503})
        return
    if operation.path in OPEN:
        assert operation.permission is None
        assert asked(operation, None)[0] in {200, 503}
        return
    if operation.is_for_everyone:
        assert [asked(operation, each)[0] for each in (None, "unknown", "none")] == [401, 401, 200]
        return
    assert operation.permission is not None, "say which permission it needs"
    assert asked(operation, None)[0] == 401
    assert asked(operation, "unknown")[0] == 401
    assert asked(operation, "none")[0] == 403
    instead = getattr(operation.use_case, INSTEAD, ())
    assert (asked(operation, BUT + operation.permission)[0] == 403) is not bool(instead)
    assert all(asked(operation, each)[0] != 403 for each in instead)
    assert asked(operation, operation.permission)[0] != 403


def test_an_operation_is_for_those_whose_orders_its_use_case_takes() -> None:
    """Else operations that refuse every agent stand in the list of what its token or session may do."""
    needing = [each for each in OPERATIONS if each.permission is not None]
    assert [each.route for each in needing if each.permission is not getattr(each.use_case, NEEDED)] == []
    assert [each.route for each in needing if each.is_for_accounts is not getattr(each.use_case, BY_ACCOUNT)] == []


@pytest.mark.parametrize(
    ("token_rate", "address_rate", "answers"),
    [(1, 0, [403, 403, 429, 403]), (0, 1, [403, 403, 429, 429]), (0, 0, [403, 403, 403, 403])],
)
def test_a_token_and_an_address_have_so_many_requests_a_second(
    token_rate: int, address_rate: int, answers: list[int]
) -> None:
    limited = Application(
        ClosedOffices(),
        identify,
        ROUTES,
        None,
        token_rate=token_rate,
        address_rate=address_rate,  # type: ignore[arg-type]
    )
    status = next(each for each in OPERATIONS if each.path == "/status")
    assert [asked(status, token, limited)[0] for token in ("none", "none", "none", "other")] == answers


def test_every_request_of_a_page_that_may_change_something_needs_the_csrf_token() -> None:
    """Those that do not: to log in, to use a link, which has a secret of its own, and questions."""
    free = {each.route for each in OPERATIONS if each.method != "GET" and not each.is_write and each.session is None}
    assert free == FREE


def test_the_mail_of_an_invoice_is_waited_for_as_long_as_the_largest_may_take() -> None:
    (mailing,) = (each for each in OPERATIONS if each.path == "/invoices/{id}/mail")
    of_its_bytes_s = 1.4 * MOST_BYTES_OF_CALLS / SLOWEST_BYTES_A_SECOND  # base64 adds a third
    assert mailing.patience_s > MAIL_S + of_its_bytes_s + TAKEN_S


def test_every_list_has_items_and_a_limit() -> None:
    for operation in OPERATIONS:
        if operation.method == "GET":
            assert get_origin(operation.result) is not list, operation.path
        if operation.listing is not None and operation.listing.in_parts:
            assert {"limit", "after"} <= {*operation.takes.__struct_fields__}, operation.path


def test_a_path_of_what_is_not_built_yet_says_so() -> None:
    listed = NAMED_PATHS["/status"]
    for path in ("/packages", "/packages/gold", "/packages/gold/versions"):
        status, problem = asked(msgspec.structs.replace(listed, route=f"GET {path}"), "unknown")
        assert (status, problem["code"]) == (501, "not_built"), path


def test_routes_with_a_word_win_over_those_with_a_field_whatever_their_order() -> None:
    assert len({(each.method, each.path) for each in OPERATIONS}) == len(OPERATIONS)
    for operation in OPERATIONS:
        fields = re.findall(r"{(\w+)}", operation.path)
        assert {each.name for each in operation.fields() if each.place.value == "path"} == set(fields), operation.path


def test_every_operation_and_every_field_of_the_api_has_a_meaning() -> None:
    found = document()
    unsaid = [
        f"{name}.{field}"
        for name, schema in found["components"]["schemas"].items()
        for field, inner in schema.get("properties", {}).items()
        if not inner.get("description")
    ]
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"].endswith("."), (method, path)
            fields = {each["name"]: each for each in operation["parameters"]}
            for content in operation.get("requestBody", {}).get("content", {}).values():
                fields |= content["schema"].get("properties", {})
            unsaid += [f"{method} {path} {name}" for name, each in fields.items() if not each.get("description")]
    assert not unsaid, "write a docstring at the field, or what it means everywhere into api/words.py"
    assert not [text for text in _descriptions(found) if "None =" in text or "UTC milliseconds" in text]


def _descriptions(found: Any) -> list[str]:
    inner = found.values() if isinstance(found, dict) else found if isinstance(found, list) else ()
    said = [found["description"]] if isinstance(found, dict) and isinstance(found.get("description"), str) else []
    return said + [text for each in inner for text in _descriptions(each)]


def test_every_operation_documents_its_problems_by_their_statuses_and_codes() -> None:
    """That each answer is among them is looked at wherever tests send requests (``doubles.documented``)."""
    for each in OPERATIONS:
        unknown = {code for code in each.problems if status_of_code(code) is HTTPStatus.UNPROCESSABLE_ENTITY}
        known = {"bad_payment_file", "bad_period", "balance_too_large", "no_rate"}
        assert unknown <= known, (each.path, "these have no status in api/problems.py")
        found = document()["paths"][each.path][each.method.lower()]["responses"]
        assert "default" not in found
        wanted = {"400", "422", "429", "503"} | ({"401", "403"} if each.permission is not None else set())
        wanted |= {"413", "415"} if each.has_body else set()
        wanted |= {"409"} if each.is_write else set()
        assert wanted <= found.keys(), each.path


@pytest.mark.parametrize("content", [b"{}", b'{"code": "last_administrator"}'])
def test_an_answer_that_is_not_documented_fails_the_test_that_gets_it(content: bytes) -> None:
    check_documented("GET", "/api/v1/people/ann", 404, "application/problem+json", b'{"code": "no_such_person"}')
    check_documented("GET", "/api/v1/people/ann", 200, "application/json", content)
    with pytest.raises((AssertionError, KeyError)):
        check_documented("GET", "/api/v1/people/ann", 404, "application/problem+json", content)
    with pytest.raises(AssertionError):
        check_documented("GET", "/api/v1/people/ann", 500, "application/problem+json", b'{"code": "internal"}')


def test_the_result_of_a_job_needs_the_permission_of_its_order() -> None:
    kinds = {each.long.kind: each.permission for each in OPERATIONS if each.long is not None}
    assert kinds == RESULT_NEEDS


def test_a_number_of_items_is_at_least_one() -> None:
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            for each in operation["parameters"]:
                assert each["name"] != "limit" or each["schema"].get("minimum") == 1, (method, path)


def test_the_committed_document_is_that_of_the_code() -> None:
    committed = Path(__file__).parents[3] / "docs" / "openapi.json"
    assert json.loads(committed.read_text()) == json.loads(json.dumps(document())), (
        "python -m vosd.api.openapi > docs/openapi.json"
    )


def test_a_field_that_a_path_must_have_is_no_longer_text_elsewhere() -> None:
    body = document()["paths"]["/accounts"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["properties"]["memo"]["anyOf"] == [{"type": "string"}, {"type": "null"}]
    assert {"type": "null"} in body["properties"]["at"]["anyOf"]


OBJECTS = (
    "accounts", "mapping-gateways", "routing-gateways", "phones", "rate-groups", "routing-plans", "calendars",
    "number-lists", "number-pools", "templates", "dids",
)  # fmt: skip
PROMISED: dict[str, str] = {
    "/openapi.json": "GET",
    "/status": "GET",
    "/health": "GET",
    **{f"/{each}": "GET POST" for each in OBJECTS},
    **{f"/{each}/{{}}": "GET PUT PATCH DELETE" for each in OBJECTS},
    **{f"/{each}/{{}}/versions": "GET" for each in OBJECTS},
    "/customers": "POST",
    "/accounts/{}/balance": "GET",
    "/accounts/{}/payments": "GET POST",
    "/accounts/{}/ledger": "GET",
    "/accounts/{}/statements/{}": "GET",
    "/calls": "GET",
    "/calls/{}": "GET DELETE",
    "/calls/{}/ladder": "GET",
    "/cdrs": "GET",
    "/cdrs/{}": "GET",
    "/cdrs/{}/charges": "GET",
    "/cdrs/{}/corrections": "GET POST",
    "/routes/explain": "POST",
    "/rates/explain": "POST",
    "/routes/simulate": "POST",
    "/calls/test": "POST",
    "/decks/{}": "GET POST",
    "/decks/{}/versions": "GET",
    "/jobs": "GET",
    "/jobs/{}": "GET DELETE",
    "/alarms": "GET",
    "/alarms/{}/confirmation": "POST",
    "/overrides": "GET DELETE",
    "/gateways/{}/overrides": "POST",
    "/gateways/{}/block": "POST DELETE",
    "/accounts/{}/overrides": "POST",
    "/accounts/{}/block": "POST DELETE",
    "/registrations": "GET",
    "/registrations/{}": "DELETE",
    "/blacklist": "GET DELETE",
    "/gateways/quality": "GET",
    "/audit": "GET",
    "/parameters": "GET",
    "/parameters/{}": "PUT DELETE",
    "/reports/{}": "GET",
    "/invoices": "GET",
    "/reconciliations": "GET",
    "/events": "GET",
}
"""Paths that clients were promised, with their methods; ``/packages`` is not built yet."""


def test_every_promised_path_has_its_methods_and_no_others_in_the_committed_document() -> None:
    committed = json.loads((Path(__file__).parents[3] / "docs" / "openapi.json").read_text())
    found: dict[str, set[str]] = {}
    for path, methods in committed["paths"].items():
        found.setdefault(re.sub(r"{\w+}", "{}", path), set()).update(each.upper() for each in methods)
    assert {path: sorted(found.get(path, ())) for path in PROMISED} == {
        path: sorted(methods.split()) for path, methods in PROMISED.items()
    }


def test_a_documents_references_all_lead_somewhere() -> None:
    text = json.dumps(document())
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
    assert named <= document()["components"]["schemas"].keys()
    identifiers = [each["operationId"] for methods in document()["paths"].values() for each in methods.values()]
    assert len(identifiers) == len(set(identifiers)) == len(OPERATIONS)


def test_many_overrides_are_cleared_by_the_parameter_that_the_refusal_names() -> None:
    """ManyOverridesError says `confirm`."""
    (clear,) = (each for each in OPERATIONS if (each.method, each.path) == ("DELETE", "/overrides"))
    assert "confirm" in {each.name for each in clear.fields()}
