"""The OpenAPI document: made from the table of operations, with the meanings that the code has.

``python -m vosd.api.openapi > docs/openapi.json``
"""

import ast
import inspect
import re
import sys
import textwrap
from functools import cache
from typing import Any, Final

import msgspec

import vosd
from vosd.admin.office.jobs import JobSheet
from vosd.api.http import EVENT_STREAM
from vosd.api.listing import CSV, LIMIT, LIMIT_MAX, NDJSON
from vosd.api.operation import TIMES, VERSION, Field, Operation, Place
from vosd.api.problems import PROBLEM_JSON, Problem
from vosd.api.repeats import KEY_CHARACTERS_MAX
from vosd.api.table import BASE, OPERATIONS

_PROBLEM: Final = "#/components/schemas/Problem"
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


@cache
def document() -> dict[str, Any]:
    """Return the document."""
    _, components = _schemas()
    for struct in _structs():
        if struct.__name__ in components:
            _explain(components[struct.__name__], struct)
    paths: dict[str, dict[str, Any]] = {}
    for each in OPERATIONS:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each)
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
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


@cache
def _schemas() -> tuple[dict[Any, dict[str, Any]], dict[str, Any]]:
    """Return the schema of each type that the document names, and the components that they refer to."""
    types = [Problem, *(each.result for each in OPERATIONS)]
    types += [field.type for each in OPERATIONS for field in each.fields()]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    return dict(zip(types, schemas, strict=True)), components


def _structs() -> list[type[msgspec.Struct]]:
    """Return all structs that results have, in the order of their names."""
    found: dict[str, type[msgspec.Struct]] = {"Problem": Problem}
    waiting: list[Any] = [msgspec.inspect.type_info(each.result) for each in OPERATIONS]
    waiting.append(msgspec.inspect.type_info(Problem))
    while waiting:
        each = waiting.pop()
        if isinstance(each, msgspec.inspect.StructType):
            if found.get(each.cls.__name__) is each.cls and each.cls is not Problem:
                continue
            found[each.cls.__name__] = each.cls
            waiting += [field.type for field in each.fields]
        elif isinstance(each, msgspec.inspect.UnionType):
            waiting += each.types
        elif isinstance(each, msgspec.inspect.DictType):
            waiting.append(each.value_type)
        elif (inner := getattr(each, "item_type", None)) is not None:
            waiting.append(inner)
        elif isinstance(each, msgspec.inspect.TupleType):
            waiting += each.item_types
    return [found[name] for name in sorted(found)]


def _operation(each: Operation) -> dict[str, Any]:
    fields = each.fields()
    made: dict[str, Any] = {
        "operationId": _identifier(each),
        "summary": each.meaning,
        "parameters": [_parameter(field, each) for field in fields if field.place is not Place.BODY],
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
    if each.long is not None and not each.has_body:
        file = {"schema": {"type": "string", "format": "binary"}}
        made["requestBody"] = {"required": True, "content": dict.fromkeys(each.long.uploads, file)}
    elif each.has_body:
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": _body(each)}}}
    return made


def _identifier(each: Operation) -> str:
    words = re.findall(r"[a-z0-9]+", each.path.lower())
    return "_".join([each.method.lower(), *words])


def _parameter(field: Field, each: Operation) -> dict[str, Any]:
    if field.name == VERSION:
        return {
            "name": "If-Match",
            "in": "header",
            "description": "ETag of the object that was read; another one is refused with 412.",
            "schema": {"type": "string", "pattern": r'^(\*|(W/)?"?[0-9]{1,18}"?)$'},
        }
    schema: dict[str, Any] = _schema(field)
    if field.place is Place.PATH and schema.get("type") == "string":
        schema["minLength"] = 1
    made: dict[str, Any] = {
        "name": field.name,
        "in": field.place.value,
        "required": field.is_required or field.place is Place.PATH,
        "schema": schema,
    }
    if schema.get("type") == "array":
        made |= {"style": "form", "explode": False}
    meaning = meanings(each.takes).get(field.field)
    return made if meaning is None else {**made, "description": meaning}


def _schema(field: Field) -> dict[str, Any]:
    if field.name in TIMES:
        return dict(_TIME)
    schema = dict(_schemas()[0][field.type])
    if field.place is not Place.BODY:
        kinds = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
        schema = kinds[0] if len(kinds) == 1 else schema
    return schema


def _body(each: Operation) -> dict[str, Any]:
    properties = {}
    explained = meanings(each.takes)
    for field in each.fields():
        if field.place is Place.BODY:
            meaning = explained.get(field.field)
            properties[field.name] = _schema(field) | ({} if meaning is None else {"description": meaning})
    required = [field.name for field in each.fields() if field.place is Place.BODY and field.is_required]
    return {
        "type": "object",
        "description": inspect.cleandoc(each.takes.__doc__ or ""),
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _list_parameters(each: Operation) -> list[dict[str, Any]]:
    listing = each.listing
    assert listing is not None
    made: list[dict[str, Any]] = [
        _query("limit", f"At most so many items; {LIMIT} where it is left out. CSV and NDJSON have all.",
               {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX}),
        _query("cursor", "`next` of the page before.", {"type": "string"}),
        _query("fields", "Fields of the items, with commas; default: all.", {"type": "string"}),
    ]  # fmt: skip
    if listing.sorts:
        ways = [f"{sign}{name}" for name in listing.sorts for sign in ("", "-")]
        made.append(_query("sort", "Field to sort by, - before it: backwards.", {"type": "string", "enum": ways}))
    made += [_query(name, f"Items with this {name} alone.", {"type": "string"}) for name in listing.filters]
    return made


def _query(name: str, meaning: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": meaning, "schema": schema}


def _responses(each: Operation) -> dict[str, Any]:
    schema = _schemas()[0][each.result]
    content: dict[str, Any] = {EVENT_STREAM if each.is_live else "application/json": {"schema": schema}}
    if each.listing is not None:
        page = {
            "type": "object",
            "properties": {"items": {"type": "array", "items": schema}, "next": {"type": ["string", "null"]}},
            "required": ["items", "next"],
        }
        content = {"application/json": {"schema": page}, NDJSON: {}, CSV: {}}
    content |= {form: {} for form in each.forms}
    good: dict[str, Any] = {"description": each.status.phrase, "content": content}
    if each.etag is not None:
        good["headers"] = {"ETag": {"schema": {"type": "string"}}}
    problem = {"description": "A problem.", "content": {PROBLEM_JSON: {"schema": {"$ref": _PROBLEM}}}}
    made = {str(int(each.status)): good, "default": problem}
    if each.long is not None:
        place = {"Location": {"schema": {"type": "string"}, "description": "Path of the job."}}
        queued = {"application/json": {"schema": _schemas()[0][JobSheet]}}
        made["202"] = {"description": "Accepted", "content": queued, "headers": place}
    if each.etag is not None and each.method == "GET":
        made["304"] = {"description": "The object is as If-None-Match says."}
    return made


def _explain(component: dict[str, Any], struct: type[msgspec.Struct]) -> None:
    """Add the meanings of the fields, and remove names that are the schema's own."""
    component.pop("title", None)
    for name, meaning in meanings(struct).items():
        if name in component.get("properties", {}):
            component["properties"][name]["description"] = meaning


@cache
def meanings(struct: type[msgspec.Struct]) -> dict[str, str]:
    """Return the docstrings of the fields of a struct, those of the structs that it extends included."""
    found: dict[str, str] = {}
    for each in reversed(struct.__mro__):
        if not issubclass(each, msgspec.Struct) or each is msgspec.Struct:
            continue
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(each))).body
        assert isinstance(definition, ast.ClassDef)
        for field, text in zip(definition.body, definition.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                match text:
                    case ast.Expr(ast.Constant(str(value))):
                        found[field.target.id] = inspect.cleandoc(value)
    return found


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(document()), indent=2) + b"\n")
