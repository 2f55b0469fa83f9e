"""Answers that a test makes up in the API's place: one that the API would not give is an error of the test."""

import json
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import msgspec
from msgspec import UNSET
from playwright.sync_api import Request

from vosd.admin.office.jobs import JobSheet
from vosd.api.http import HttpRequest
from vosd.api.openapi import document
from vosd.api.operation import Operation
from vosd.api.problems import Problem, problem
from vosd.api.routes import Routes
from vosd.api.table import OPERATIONS

_ROUTES: Final = Routes(OPERATIONS)


def made_page(request: Request, rows: Iterable[Mapping[str, Any]], following: str | None = None) -> dict[str, Any]:
    """Return the answer to a request for a list: the rows have these values, and all others of the API's example.

    A row has no field that is ``UNSET``.
    """
    operation, fields = _asked(request.method, request.url)
    example = _example(operation)
    whole = [{name: value for name, value in (example["items"][0] | row).items() if value is not UNSET} for row in rows]
    cut = whole if fields is None else [{name: row[name] for name in fields if name in row} for row in whole]
    beside = {} if operation.listing is None or operation.listing.inside is None else {operation.listing.inside[1]: cut}
    return example | {"items": cut, "next": following} | beside


def made_answer(request: Request, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer to another request: it has these values, and all others of the API's example."""
    operation, _ = _asked(request.method, request.url)
    return _example(operation) | values


def made_problem(status: HTTPStatus, code: str, detail: str) -> dict[str, Any]:
    """Return the refusal of a request."""
    shown: dict[str, Any] = json.loads(problem(status, code, detail).content)
    return shown


def faults_of(method: str, url: str, status: int, shown: Any) -> list[str]:
    """Return why the API does not give this answer to this request."""
    operation, fields = _asked(method, url)
    shown = json.loads(json.dumps(shown))
    if status >= 400:
        found = _faults(shown, Problem)
    elif operation.listing is not None:
        found = _faults_of_page(operation, shown, fields)
    else:
        found = _faults(shown, JobSheet if status == 202 else operation.result)
    return [f"{method} {operation.path}, {status}: {each}" for each in found]


def _asked(method: str, url: str) -> tuple[Operation, list[str] | None]:
    """Return the operation of a request, and the fields of rows that it asks for; None = all."""
    parts = urlsplit(url)
    scope = {"method": method, "raw_path": parts.path.encode(), "headers": (), "query_string": parts.query.encode()}
    operation, _ = _ROUTES.find(HttpRequest(scope, _nothing))
    fields = parse_qs(parts.query).get("fields")
    return operation, None if fields is None else fields[0].split(",")


def _example(operation: Operation) -> dict[str, Any]:
    good = document()["paths"][operation.path][operation.method.lower()]["responses"][str(int(operation.status))]
    shown: dict[str, Any] = good["content"]["application/json"]["example"]
    return shown


def _faults_of_page(operation: Operation, page: dict[str, Any], fields: list[str] | None) -> Iterator[str]:
    if operation.listing is not None and operation.listing.inside is not None:
        yield from _faults({name: page[name] for name in page.keys() - {"items", "next"}}, operation.listing.inside[0])
    elif page.keys() != {"items", "next"}:
        yield f"a page has {sorted(page)}"
    for row in page["items"]:
        if fields is not None and not row.keys() <= {*fields}:
            yield f"a row has {sorted(row)}, of {fields}"
        yield from _faults(row if fields is None else _example(operation)["items"][0] | row, operation.result)


def _faults(shown: Any, kind: Any) -> Iterator[str]:
    """Compare an object with the same one as the API writes it, which has all fields of its type and no others."""
    try:
        written = json.loads(msgspec.json.encode(msgspec.convert(shown, kind)))
    except msgspec.ValidationError as error:
        yield str(error)
        return
    if written != shown:
        yield f"{shown} is written as {written}"


async def _nothing() -> dict[str, Any]:
    return {}
