"""Examples of the OpenAPI document: what they send is taken, and what they show is what the type has."""

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
import pytest
from doubles.asgi import Answered, answered
from doubles.unasked import unasked_application

from vosd.api.examples import ANSWERS, BODIES, FIELDS
from vosd.api.openapi import document
from vosd.api.operation import Operation
from vosd.api.table import OPERATIONS

APPLICATION = unasked_application()
NAMED = {each.route: each for each in OPERATIONS}
WRONG = {"bad_field", "unknown_field", "bad_parameter", "bad_key", "bad_json", "stale_version", "content_type"}


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def documented(operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = document()["paths"][operation.path][operation.method.lower()]
    return found


@pytest.mark.parametrize("operation", OPERATIONS, ids=list(NAMED))
def test_every_parameter_and_body_is_taken_as_its_example_has_it(
    loop: asyncio.AbstractEventLoop, operation: Operation
) -> None:
    for parameter in [None, *documented(operation)["parameters"]]:
        found = loop.run_until_complete(sent(operation, parameter))
        if found.status >= 400:
            assert found.json["code"] not in WRONG, (parameter, found.json)


async def sent(operation: Operation, wanted: dict[str, Any] | None) -> Answered:
    """Send the examples that a request must have, and one more."""
    said = documented(operation)
    given = [each for each in said["parameters"] if each.get("required") or each is wanted]
    named = {place: {each["name"]: text_of(each["example"]) for each in given if each["in"] == place}
             for place in ("path", "query", "header")}  # fmt: skip
    path = re.sub(r"{(\w+)}", lambda field: quote(named["path"][field[1]]), operation.path)
    query = f"?{urlencode(named['query'])}" if named["query"] else ""
    content = said.get("requestBody", {}).get("content", {})
    form = next(iter(content), "application/json")
    body = None if not content else json.dumps(content[form].get("example", "a sheet")).encode()
    headers = {"authorization": "Bearer x", "content-type": form} | {
        name.lower(): value for name, value in named["header"].items()
    }
    return await answered(APPLICATION, operation.method, path + query, body, headers)


def text_of(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(value)
    return value if isinstance(value, str) else json.dumps(value)


@pytest.mark.parametrize("operation", OPERATIONS, ids=list(NAMED))
def test_every_answer_of_json_has_an_example_of_its_type(operation: Operation) -> None:
    content = documented(operation)["responses"][str(int(operation.status))].get("content", {})
    if "application/json" not in content:
        assert operation.is_live or operation.result is bytes
        return
    example = content["application/json"]["example"]
    shown = example["items"][0] if operation.listing is not None else example
    assert json.loads(msgspec.json.encode(msgspec.convert(shown, operation.result))) == shown
    if f"{operation.method} {operation.path}" in ANSWERS and operation.listing is not None:
        assert shown.keys() <= {*operation.columns()}


def test_the_tables_of_examples_have_nothing_that_is_not_used() -> None:
    whole = json.dumps(document())
    fields = {each.rpartition(".")[2] for each in FIELDS}
    assert {*BODIES, *ANSWERS} <= NAMED.keys()
    assert [each for each in sorted(fields) if f'"{each}"' not in whole] == []
    types = {each.rpartition(".")[0] for each in FIELDS} - {""}
    assert types <= document()["components"]["schemas"].keys()


def percents(example: object) -> Iterator[tuple[str, object]]:
    match example:
        case dict():
            for name, each in example.items():
                if name.endswith("_percent"):
                    yield name, each
                yield from percents(each)
        case list():
            for each in example:
                yield from percents(each)


def test_examples_of_percents_are_numbers() -> None:
    found = [*percents(document())]
    numbers = [(name, each) for name, each in found if isinstance(each, str | int | float)]
    assert {name for name, _ in numbers} >= {"margin_percent"}
    assert [each for each in numbers if not re.fullmatch(r"-?\d+(\.\d+)?", str(each[1]))] == []


def test_every_component_is_used() -> None:
    whole = json.dumps(document())
    schemas = document()["components"]["schemas"]
    assert [name for name in schemas if f'"#/components/schemas/{name}"' not in whole] == []
