"""The API of the last release: its clients are understood, and understand."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from released.api import RELEASED, breaking_changes, shape

from vosd.api.openapi import document

Change = Callable[[dict[str, Any]], object]


def test_clients_of_the_last_release_are_understood() -> None:
    """A change that has to break them is named in CHANGELOG.md, and ``make api-released`` writes the file."""
    assert breaking_changes(json.loads(RELEASED.read_text()), shape(document())) == []


API: dict[str, Any] = {
    "paths": {
        "/things/{id}": {
            "get": {
                "x-permission": "things.see",
                "parameters": [
                    {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}},
                    {"name": "sort", "in": "query", "schema": {"type": "string", "enum": ["a", "b"]}},
                    {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 9}},
                ],
                "responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/c/schemas/Thing"}}}}},
            },
            "post": {
                "parameters": [],
                "requestBody": {
                    "content": {
                        "application/json": {
                            "schema": {
                                "type": "object",
                                "properties": {
                                    "name": {"type": "string", "maxLength": 9},
                                    "size": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
                                },
                                "required": ["name"],
                                "additionalProperties": False,
                            }
                        }
                    }
                },
                "responses": {"201": {"content": {"application/json": {"schema": {"type": "object"}}}}},
            },
        }
    },
    "components": {
        "schemas": {
            "Thing": {
                "type": "object",
                "properties": {
                    "id": {"type": "string"},
                    "memo": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                    "parts": {"type": "array", "items": {"$ref": "#/c/schemas/Thing"}},
                },
                "required": ["id", "memo"],
            }
        }
    },
}


def get(api: dict[str, Any]) -> Any:
    return api["paths"]["/things/{id}"]["get"]


def body(api: dict[str, Any]) -> Any:
    return api["paths"]["/things/{id}"]["post"]["requestBody"]["content"]["application/json"]["schema"]


def thing(api: dict[str, Any]) -> Any:
    return api["components"]["schemas"]["Thing"]


def changed(change: Change) -> list[str]:
    after = copy.deepcopy(API)
    change(after)
    return breaking_changes(API, after)


BREAKING: dict[str, Change] = {
    "GET /things/{id}: the operation is gone": lambda api: api["paths"]["/things/{id}"].pop("get"),
    "GET /things/{id}: needs things.change and not things.see": lambda api: get(api).update(
        {"x-permission": "things.change"}
    ),
    "GET /things/{id}: query `limit` is gone": lambda api: get(api)["parameters"].pop(),
    "GET /things/{id}: query `kind` is required": lambda api: get(api)["parameters"].append(
        {"name": "kind", "in": "query", "required": True, "schema": {"type": "string"}}
    ),
    "GET /things/{id}: query `sort` does not take b": lambda api: get(api)["parameters"][1]["schema"]["enum"].pop(),
    "GET /things/{id}: query `limit` has another maximum: 9 and then 5": lambda api: get(api)["parameters"][2][
        "schema"
    ].update(maximum=5),
    "GET /things/{id}: query `limit` takes no integer": lambda api: get(api)["parameters"][2].update(
        schema={"type": "boolean"}
    ),
    "GET /things/{id}: does not answer 200": lambda api: get(api).update(responses={"204": {}}),
    "GET /things/{id}: the answer 200 has no field `memo`": lambda api: thing(api)["properties"].pop("memo"),
    "GET /things/{id}: the answer 200, `id` may be null": lambda api: thing(api)["properties"]["id"].update(
        type=["string", "null"]
    ),
    "GET /things/{id}: the answer 200 may lack the field `memo`": lambda api: thing(api)["required"].remove("memo"),
    "POST /things/{id}: the body requires `size`": lambda api: body(api)["required"].append("size"),
    "POST /things/{id}: the body has no field `size`": lambda api: body(api)["properties"].pop("size"),
    "POST /things/{id}: the body, `size` takes no null": lambda api: body(api)["properties"].update(
        size={"type": "integer"}
    ),
    "POST /things/{id}: the body, `name` has another maxLength: 9 and then 5": lambda api: body(api)["properties"][
        "name"
    ].update(maxLength=5),
    "POST /things/{id}: a body of application/json is not taken": lambda api: api["paths"]["/things/{id}"]["post"].pop(
        "requestBody"
    ),
}
ADDITIONS: list[Change] = [
    lambda api: api["paths"].update({"/others": api["paths"]["/things/{id}"]}),
    lambda api: get(api)["parameters"].append({"name": "kind", "in": "query", "schema": {"type": "string"}}),
    lambda api: get(api)["parameters"][1]["schema"]["enum"].append("c"),
    lambda api: get(api)["parameters"][2]["schema"].update(minimum=0, maximum=99),
    lambda api: get(api)["responses"].update({"304": {}}),
    lambda api: thing(api)["properties"].update(more={"type": "integer"}),
    lambda api: thing(api)["properties"].update(memo={"type": "string"}),
    lambda api: thing(api)["required"].append("parts"),
    lambda api: body(api)["properties"].update(size={"anyOf": [{"type": "number"}, {"type": "null"}]}),
    lambda api: body(api)["properties"].update(more={"type": "integer"}),
]


@pytest.mark.parametrize(("said", "change"), BREAKING.items(), ids=list(BREAKING))
def test_a_change_that_breaks_clients_is_listed(said: str, change: Change) -> None:
    assert said in changed(change)


@pytest.mark.parametrize("change", ADDITIONS)
def test_an_addition_breaks_no_client(change: Change) -> None:
    assert changed(change) == []


def test_words_and_problems_are_no_part_of_a_release() -> None:
    whole = {"paths": {"/x": {"get": {"summary": "s", "responses": {"200": {"description": "d"}, "404": {}}}}}}
    named = {"Thing": {"description": "d", "properties": {"description": {"type": "string", "description": "d"}}}}
    assert shape(whole | {"components": {"schemas": named}}) == {
        "paths": {"/x": {"get": {"responses": {"200": {}}}}},
        "components": {"schemas": {"Thing": {"properties": {"description": {"type": "string"}}}}},
    }
