"""Bad input for every operation: each answer is a problem that names the field, and the office is not asked."""

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import msgspec
import pytest
from doubles.asgi import answered
from doubles.unasked import unasked_application

from vosd.api.operation import TIMES, VERSION, Field, FieldPlace, Given, Operation
from vosd.api.table import OPERATIONS

HUGE = 10**18
VALUES = ([["x"]], {"x": [1]}, "x\u00e9", 7.5, HUGE, -5, True, None)
"""JSON of every kind; a field refuses those that its type does not have."""
GOOD = ("1", 1, [], {}, [{"role": "customer"}], "cdrs")
HEADERS = {"authorization": "Bearer x", "content-type": "application/json"}
MOMENT = "2026-03-01T00:00:00Z"


APPLICATION = unasked_application()


class Flaw(NamedTuple):
    """A request with one flaw."""

    path: str
    content: bytes | None = None
    field: str | None = None
    """Field that the answer names; None = any or none."""
    content_type: str = "application/json"


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: f"{each.method} {each.path}")
def test_bad_input_is_refused_with_the_field_and_asks_nothing(
    loop: asyncio.AbstractEventLoop, operation: Operation
) -> None:
    async def judge() -> list[str]:
        return [said for flaw in flaws(operation) if (said := await judged(operation, flaw)) is not None]

    assert loop.run_until_complete(judge()) == []


@pytest.mark.parametrize(
    ("amount", "expected"),
    [("1.123456789", "an amount of at most 12 digits, then at most 8 decimals"), (1.5, "an amount as text")],
)
def test_an_amount_that_cannot_be_is_refused_with_what_is_wrong(
    loop: asyncio.AbstractEventLoop, amount: object, expected: str
) -> None:
    asked = answered(APPLICATION, "POST", "/accounts/x/payments", {"amount": amount}, HEADERS)
    assert loop.run_until_complete(asked).json["detail"] == f"`amount` is {amount}: expected {expected}"


@pytest.mark.parametrize(
    "operation",
    [each for each in OPERATIONS if each.method != "GET" and "dry_run" not in {field.name for field in each.fields()}],
    ids=lambda each: f"{each.method} {each.path}",
)
def test_a_change_that_has_no_trial_refuses_one_and_changes_nothing(
    loop: asyncio.AbstractEventLoop, operation: Operation
) -> None:
    """One that left the parameter out would make the change."""
    flaw = Flaw(more(path_of(operation), dry_run="true"), content_of(operation), "dry_run")
    assert loop.run_until_complete(judged(operation, flaw)) is None


async def judged(operation: Operation, flaw: Flaw) -> str | None:
    """Send a request, and return what is wrong with the answer; that it is documented is looked at there."""
    headers = {"authorization": "Bearer x", "content-type": flaw.content_type}
    found = await answered(APPLICATION, operation.method, flaw.path, flaw.content, headers)
    if not 400 <= found.status < 500:
        return f"{flaw}: {found.status}"
    problem = found.json
    named = problem.get("field", "")
    is_named = re.split(r"[.\[]", named)[0] == flaw.field and f"`{named}`" in problem["detail"]
    is_whole = problem["code"] and problem["detail"] and (flaw.field is None or is_named)
    return None if is_whole else f"{flaw}: {problem}"


def flaws(operation: Operation) -> Iterator[Flaw]:
    fields = operation.fields()
    sent = path_of(operation)
    content = content_of(operation)
    if not operation.takes_any_query:
        yield Flaw(more(sent, nonsense="1"), content, "nonsense")
        yield Flaw(sent + ("&" if "?" in sent else "?") + "a=1&a=1", content, "a")
    for each in fields:
        if each.place is FieldPlace.QUERY:
            yield Flaw(more(path_of(operation, but=each.name), **{each.name: ""}), content, each.name)
            if each.is_required:
                yield Flaw(path_of(operation, but=each.name), content, each.name)
        if each.place is FieldPlace.QUERY and not takes_text(each, "x\u00e9"):
            texts = ("x\u00e9", "null") if takes_text(each, "-5") else ("x\u00e9", "null", "-5")
            for text in texts:
                yield Flaw(more(path_of(operation, but=each.name), **{each.name: text}), content, each.name)
        if each.place is FieldPlace.PATH and not takes_text(each, "x\u00e9"):
            yield Flaw(path_of(operation, **{each.name: "x\u00e9"}), content, each.name)
    if operation.listing is not None:
        for name, text in (("limit", "0"), ("limit", "x"), ("fields", "nonsense"), ("sort", "nonsense")):
            if name != "sort" or operation.listing.sorts:
                yield Flaw(more(sent, **{name: text}), content, name)
    if operation.has_body:
        yield from flaws_of_bodies(operation, sent)


def flaws_of_bodies(operation: Operation, sent: str) -> Iterator[Flaw]:
    for content in (b"", b"{", b"[]", b'"text"', b"\xff", b"[" * 5_000):
        yield Flaw(sent, content)
    yield Flaw(sent, b'{"a": 1, "a": 1}', "a")
    yield Flaw(sent, content_of(operation, nonsense=1), "nonsense")
    yield Flaw(sent, content_of(operation), None, "text/plain")
    for each in operation.fields():
        if each.place is not FieldPlace.BODY:
            continue
        if each.is_required:
            yield Flaw(sent, content_of(operation, but=each.name), each.name)
        for value in VALUES:
            if (each.name in TIMES and value is not None) or not takes(each, value) or value == HUGE:
                yield Flaw(sent, content_of(operation, **{each.name: value}), each.name)


def path_of(operation: Operation, *, but: str = "", **fields: str) -> str:
    """Return a path that has all that a request must have, but one field."""
    named = {each.name: each for each in operation.fields()}
    path = re.sub(r"{(\w+)}", lambda found: quote(fields.get(found[1]) or good_text(named[found[1]])), operation.path)
    query = {
        each.name: good_text(each)
        for each in named.values()
        if each.place is FieldPlace.QUERY and each.is_required and each.name != but
    }
    return more(path, **query)


def more(path: str, **query: str) -> str:
    return f"{path}{'&' if '?' in path else '?'}{urlencode(query)}" if query else path


def good_text(field: Field) -> str:
    return MOMENT if field.name in TIMES else "1"


def content_of(operation: Operation, *, but: str = "", **fields: Any) -> bytes | None:
    """Return a body that has all that it must have, but one field."""
    if not operation.has_body:
        return None
    given = {
        each.name: MOMENT if each.name in TIMES else next(value for value in GOOD if takes(each, value))
        for each in operation.fields()
        if each.place is FieldPlace.BODY and each.is_required and each.name != but
    }
    return json.dumps(given | fields).encode()


def takes(field: Field, value: Any) -> bool:
    """Return whether the type of a field has a value."""
    return _fits(field, value, strict=True)


def takes_text(field: Field, text: str) -> bool:
    """Return whether the type of a field of a path or query has a text."""
    is_list = getattr(field.type, "__origin__", None) is tuple
    return field.name not in TIMES and _fits(field, [text] if is_list else text, strict=False)


def _fits(field: Field, value: Any, *, strict: bool) -> bool:
    try:
        msgspec.convert(value, field.type, strict=strict)
    except msgspec.ValidationError:
        return False
    return True


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: f"{each.method} {each.path}")
def test_no_whole_number_is_below_zero(operation: Operation) -> None:
    """A negative age selected every call. A moment may be, and objects and versions that do not exist are not found."""
    wanted = [each for each in operation.fields() if each.place is not FieldPlace.PATH and each.name not in TIMES]
    whole = [each for each in wanted if each.name != VERSION and takes(each, 5) and not takes(each, 7.5)]
    assert [each.name for each in whole if takes(each, -5)] == []


def test_a_version_or_a_key_that_is_none_is_refused(loop: asyncio.AbstractEventLoop) -> None:
    for operation in OPERATIONS:
        if any(each.name == VERSION for each in operation.fields()):
            given = {"authorization": "Bearer x", "if-match": "x"}
            asked = answered(APPLICATION, operation.method, path_of(operation), content_of(operation), given)
            found = loop.run_until_complete(asked)
            assert (found.status, found.json["code"]) == (412, "stale_version")


def test_null_in_a_query_is_text_and_not_all() -> None:
    (calls,) = (each for each in OPERATIONS if (each.method, each.path) == ("GET", "/calls"))
    assert calls.order(Given({}, {"account": "null"}, {}, None, {})).account == "null"


@pytest.mark.parametrize(
    ("values", "field"), [({"colour": "5"}, "values.colour"), ({"max_cps": 5}, "values"), ({"max_cps": "x"}, "max_cps")]
)
def test_a_setting_of_a_gateway_that_is_refused_is_named(
    loop: asyncio.AbstractEventLoop, values: dict[str, Any], field: str
) -> None:
    content = json.dumps({"values": values}).encode()
    asked = answered(APPLICATION, "POST", "/gateways/x/overrides", content, HEADERS)
    found = loop.run_until_complete(asked)
    assert (found.status, found.json["field"], f"`{field}`" in found.json["detail"]) == (422, field, True)
