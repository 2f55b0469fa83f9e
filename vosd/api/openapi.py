"""The OpenAPI document: made from the table of operations, with the meanings that the code has.

``python -m vosd.api.openapi > docs/openapi.json``
"""

import ast
import sys
from functools import cache
from http import HTTPStatus
from types import NoneType
from typing import Any, Final, get_args

import msgspec

import vosd
from vosd.admin.office.jobs import JobSheet
from vosd.api.documented_problems import documented_problems, is_whole_list
from vosd.api.examples import ANSWERS, BODIES, example_of
from vosd.api.http import EVENT_STREAM
from vosd.api.links import Links, identifier
from vosd.api.listing import CSV, LIMIT, LIMIT_MAX, NDJSON, closed_cursor, identity, ways_to_sort
from vosd.api.operation import EXISTS, SWITCHES, TIMES, VERSION, Field, FieldPlace, Operation
from vosd.api.problems import PROBLEM_JSON, Problem, title_of
from vosd.api.repeats import KEY_CHARACTERS_MAX
from vosd.api.table import BASE, OPERATIONS
from vosd.api.words import word
from vosd.api.workbook import XLSX
from vosd.config.sources import statements_of, texts_below

_LINKS: Final = Links(OPERATIONS)
_PROBLEM: Final = "#/components/schemas/Problem"
_RESPONSE: Final = "#/components/responses/{name}"
_REF: Final = "#/components/schemas/{name}"
_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A repeat with the same key within 24 hours changes nothing, and gets the answer of the first.",
    "schema": {"type": "string", "minLength": 1, "maxLength": KEY_CHARACTERS_MAX, "pattern": "^[ -~]+$"},
}
_LAST_EVENT_ID: Final = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "description": "Id of the last event that the client has: the stream begins behind it.",
    "schema": {"type": "string"},
}
_PREFER: Final = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "description": "respond-async: carry it out as a job, and answer 202 with its place.",
    "schema": {"type": "string", "enum": ["respond-async"]},
}
_TIME: Final = {"type": "string", "format": "date-time"}
_FIELDS: Final = "Fields of the items, with commas; default: all. Others are left out, also required ones."
_SORT: Final = "Field to sort by, - before it: backwards. Items without a value of it are the last in either order."


@cache
def document() -> dict[str, Any]:
    """Return the document."""
    schemas, components = _schemas()
    for struct in _structs():
        _explain(components[schemas[struct]["$ref"].rpartition("/")[2]], getattr(struct, "__origin__", struct))
    paths: dict[str, dict[str, Any]] = {}
    for each in OPERATIONS:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each)
    left_out = _names_of_whole_lists()  # each page of such a list has what it has beside its items
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "vosd management API",
            "version": vosd.__version__,
            "description": "Money is text, times are RFC 3339, errors are problem+json (RFC 9457).",
        },
        "servers": [{"url": BASE}],
        "paths": paths,
        "components": {
            "schemas": {name: each for name, each in components.items() if name not in left_out},
            "responses": _problems(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


@cache
def _schemas() -> tuple[dict[Any, dict[str, Any]], dict[str, Any]]:
    """Return the schema of each type that the document names, and the components that they refer to."""
    types = [*_types(), *_structs()]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    return dict(zip(types, map(_plain, schemas), strict=True)), _plain(components)


def _plain(value: Any) -> Any:
    """Return a schema whose tuples of anything are arrays of a length; Schemathesis misreads ``prefixItems``."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if not isinstance(value, dict):
        return value
    found = {name: _plain(inner) for name, inner in value.items()}
    if not any(found.get("prefixItems", [True])):
        found["items"] = found.pop("prefixItems")[0]
    return found


def _types() -> list[Any]:
    fields = [field.type for each in OPERATIONS for field in each.fields()]
    whole = [each.listing.inside[0] for each in OPERATIONS if each.listing is not None and each.listing.inside]
    return [Problem, JobSheet, *whole, *(each.result for each in OPERATIONS), *fields]


def _names_of_whole_lists() -> set[str]:
    return {each.listing.inside[0].__name__ for each in OPERATIONS if each.listing is not None and each.listing.inside}


def _structs() -> list[Any]:
    """Return all structs that orders and results have."""
    found: list[Any] = []
    waiting: list[Any] = [msgspec.inspect.type_info(each) for each in _types()]
    while waiting:
        each = waiting.pop()
        if isinstance(each, msgspec.inspect.StructType):
            if each.cls in found:
                continue
            found.append(each.cls)
            waiting += [field.type for field in each.fields]
        elif isinstance(each, msgspec.inspect.UnionType):
            waiting += each.types
        elif isinstance(each, msgspec.inspect.DictType):
            waiting.append(each.value_type)
        elif (inner := getattr(each, "item_type", None)) is not None:
            waiting.append(inner)
        elif isinstance(each, msgspec.inspect.TupleType):
            waiting += each.item_types
    return found


def _operation(each: Operation) -> dict[str, Any]:
    fields = each.fields()
    made: dict[str, Any] = {
        "operationId": identifier(each),
        "summary": each.meaning,
        "parameters": [_parameter(field, each) for field in fields if field.place is not FieldPlace.BODY],
        "responses": _responses(each),
    }
    if each.is_for_everyone:
        made["security"] = [{"token": []}]
    elif each.permission is not None:
        made["security"] = [{"token": []}]
        made["x-permission"] = each.permission.value
    else:
        made["security"] = []
    if each.is_write:
        made["parameters"].append(dict(_KEY))
    if each.is_live:
        made["parameters"].append(dict(_LAST_EVENT_ID))
    if each.listing is not None:
        made["parameters"] += _list_parameters(each)
    if each.long is not None and not each.long.is_always:
        made["parameters"].append(dict(_PREFER))
    for parameter in made["parameters"]:
        parameter["example"] = _example_of_parameter(parameter, each)
    if each.long is not None and not each.has_body:
        file = {"schema": {"type": "string", "format": "binary"}}
        made["requestBody"] = {"required": True, "content": dict.fromkeys(each.long.uploads, file)}
    elif each.has_body:
        made["requestBody"] = {"required": True, "content": {"application/json": _body(each)}}
    return made


def _example_of_parameter(parameter: dict[str, Any], each: Operation) -> Any:
    name, listing = parameter["name"], each.listing
    if name == "fields":  # those that the schema of the answer requires
        kinds = get_args(each.result) or (each.result,)
        parts = [_schemas()[1][kind.__name__]["required"] for kind in kinds if issubclass(kind, msgspec.Struct)]
        return ",".join(dict.fromkeys([name for part in parts for name in part] or [*each.columns()][:2]))
    if listing is not None and name in {"cursor", *listing.filters}:
        item = ANSWERS.get(each.route) or _example("", _schemas()[0][each.result])
        if name == "cursor":
            keys = identity(listing, item) or [0]
            return closed_cursor(None, keys[0] if listing.in_parts else [False, "", *keys])
        return item[name] if isinstance(item[name], str) else msgspec.json.encode(item[name]).decode()
    known = name if listing is None else listing.other_names.get(name, name)
    return _example(known, parameter["schema"] | {"description": parameter["description"]})


def _example(name: str, schema: dict[str, Any]) -> Any:
    return example_of(name, schema, _schemas()[1])


def _parameter(field: Field, each: Operation) -> dict[str, Any]:
    if field.name == VERSION:
        return {
            "name": "If-Match",
            "in": "header",
            "description": "ETag of the object that was read; another one is refused with 412. `*` = any.",
            "schema": {"type": "string", "pattern": r'^(\*|(W/)?"?[0-9]{1,18}"?)$'},
        }
    if field.name == EXISTS:
        return {
            "name": "If-None-Match",
            "in": "header",
            "description": "Only `*`: an object that exists is refused with 412.",
            "schema": {"type": "string", "enum": ["*"]},
        }
    schema: dict[str, Any] = _schema(field)
    if field.place is FieldPlace.PATH and schema.get("type") == "string":
        schema["minLength"] = 1
    made: dict[str, Any] = {
        "name": field.name,
        "in": field.place.value,
        "required": field.is_required or field.place is FieldPlace.PATH,
        "schema": schema,
    }
    if schema.get("type") == "array":
        made |= {"style": "form", "explode": False}
    return made | _meaning(each, field)


def _schema(field: Field) -> dict[str, Any]:
    if field.name in TIMES:
        is_absent_as_null = field.place is FieldPlace.BODY and NoneType in get_args(field.type)
        return {"anyOf": [_TIME, {"type": "null"}]} if is_absent_as_null else dict(_TIME)
    schema = dict(_schemas()[0][field.type])
    if field.place is not FieldPlace.BODY:
        kinds = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
        schema = dict(kinds[0]) if len(kinds) == 1 else schema
    return schema


def _body(each: Operation) -> dict[str, Any]:
    properties = {
        field.name: _schema(field) | _meaning(each, field) for field in each.fields() if field.place is FieldPlace.BODY
    }
    required = [field.name for field in each.fields() if field.place is FieldPlace.BODY and field.is_required]
    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    example = BODIES.get(each.route)
    if example is None:
        example = {name: _example(name, properties[name]) for name in required}
    return {"schema": schema, "example": example}


def _list_parameters(each: Operation) -> list[dict[str, Any]]:
    listing = each.listing
    assert listing is not None
    made: list[dict[str, Any]] = [
        _query("limit", f"At most so many items; {LIMIT} where it is left out. CSV, NDJSON and spreadsheets have all.",
               {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX}),
        _query("fields", _FIELDS, {"type": "string"}),
    ]  # fmt: skip
    made.append(_query("cursor", "`next` of the page before.", {"type": "string"}))
    if listing.sorts:
        schema = {"type": "string", "enum": ways_to_sort(listing)}
        made.append(_query("sort", _SORT, schema))
    made += [_query(name, f"As `{field}`.", {"type": "string"}) for name, field in listing.other_names.items()]
    made += [_query(name, f"Items with this {name} alone.", {"type": "string"}) for name in listing.filters]
    return made


def _query(name: str, meaning: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": meaning, "schema": schema}


def _responses(each: Operation) -> dict[str, Any]:
    schema = _schemas()[0][each.result]
    content: dict[str, Any] = {}
    if each.is_live:
        content = {EVENT_STREAM: {"schema": schema}}
    elif each.result is not bytes:
        found = ANSWERS.get(each.route)
        example = _example("", schema) if found is None else found
        content = {"application/json": {"schema": schema, "example": example}}
    if each.listing is not None:
        page: dict[str, Any] = {
            "type": "object",
            "properties": {"items": {"type": "array", "items": schema}, "next": {"type": ["string", "null"]}},
            "required": ["items", "next"],
        }
        shown = {"items": [content["application/json"]["example"]], "next": None}
        if each.listing.inside is not None:
            whole = _schemas()[1][each.listing.inside[0].__name__]
            page["properties"] |= whole["properties"]
            page["required"] += whole["required"]
            shown |= _example("", {"$ref": _REF.format(name=each.listing.inside[0].__name__)})
        content = {"application/json": {"schema": page, "example": shown}, NDJSON: {}, CSV: {}, XLSX: {}}
    content |= {form: {} for form in each.forms}
    good: dict[str, Any] = {"description": each.status.phrase, "content": content}
    if each.etag is not None:
        good["headers"] = {"ETag": {"schema": {"type": "string"}}}
    made = {str(int(each.status)): good}
    if links := _LINKS.of(each, each.status):
        good["links"] = links
    if each.long is not None:
        place = {"Location": {"schema": {"type": "string"}, "description": "Path of the job."}}
        job = _schemas()[0][JobSheet]
        queued = {"application/json": {"schema": job, "example": _example("", job)}}
        links = _LINKS.of(each, HTTPStatus.ACCEPTED)
        made["202"] = {"description": "Accepted", "content": queued, "headers": place, "links": links}
    if each.etag is not None and each.method == "GET":
        made["304"] = {"description": "The object is as If-None-Match says."}
    for status, codes in documented_problems(each).items():
        made[str(int(status))] = {"$ref": _RESPONSE.format(name=_problem_name(status, codes))}
    return made


def _problem_name(status: HTTPStatus, codes: list[str]) -> str:
    return ".".join([str(int(status)), *codes])


def _problems() -> dict[str, Any]:
    """Return the responses with problems that operations refer to, by their names."""
    found = {}
    for each in OPERATIONS:
        for status, codes in documented_problems(each).items():
            listed = ", ".join(f"`{code}`" for code in codes) + ("" if is_whole_list(status, codes) else ", and others")
            found[_problem_name(status, codes)] = {
                "description": f"{title_of(status)}: {listed}.",
                "content": {PROBLEM_JSON: {"schema": {"$ref": _PROBLEM}}},
            }
    return dict(sorted(found.items()))


def _explain(component: dict[str, Any], struct: type[msgspec.Struct]) -> None:
    """Add the meanings of the fields, and remove names that are the schema's own."""
    component.pop("title", None)
    component |= _described(component.get("description"), "null =")
    for name, schema in component["properties"].items():
        schema.update(_described(_docstrings(struct).get(name) or word(name), "null ="))


def _meaning(each: Operation, field: Field) -> dict[str, str]:
    return _described(_docstrings(each.takes).get(field.name) or word(field.name), "default:")


def _described(meaning: str | None, none: str) -> dict[str, str]:
    """Return a meaning as JSON has it: there is no None."""
    if meaning is None:
        return {}
    return {"description": meaning.replace("None =", none).replace("``", "`")}


@cache
def _classes(module: str) -> dict[str, ast.ClassDef]:
    return {each.name: each for each in statements_of(sys.modules[module]) if isinstance(each, ast.ClassDef)}


@cache
def _docstrings(struct: type[msgspec.Struct]) -> dict[str, str]:
    """Return the docstrings of the fields of a struct by their names in JSON, those that it inherits included."""
    found: dict[str, str] = {}
    for each in reversed(struct.__mro__):
        if not issubclass(each, msgspec.Struct) or each is msgspec.Struct:
            continue
        found |= texts_below(_classes(each.__module__)[each.__name__])
    named = {each.name: SWITCHES.get(each.name, each.encode_name) for each in msgspec.structs.fields(struct)}
    return {named[name]: meaning for name, meaning in found.items() if name in named}


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(document()), indent=2) + b"\n")
