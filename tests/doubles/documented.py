"""Check of answers of the management API against the problems that its operations document."""

import json
from http import HTTPStatus

from vosd.api.documented_problems import documented_problems, is_whole_list
from vosd.api.examples import ANSWERS
from vosd.api.http import JSON, HttpRequest, RequestError
from vosd.api.operation import Operation
from vosd.api.problems import PROBLEM_JSON
from vosd.api.routes import Routes
from vosd.api.table import OPERATIONS

_ROUTES = Routes(OPERATIONS)
_OF_ANY_KIND = {"GET /jobs/{id}/result"}
_CODES = {(each.method, each.path): documented_problems(each) for each in OPERATIONS}


def operation_at(method: str, path: str) -> Operation | None:
    """Return the operation of a request; None = there is none."""
    scope = {"method": method, "raw_path": path.partition("?")[0].encode(), "query_string": b"", "headers": []}
    try:
        return _ROUTES.find(HttpRequest(scope, None))[0]  # type: ignore[arg-type]
    except RequestError:
        return None


def check_documented(method: str, path: str, status: int, content_type: str, content: bytes) -> None:
    """Fail where an operation does not document the status of an answer, or the code of its problem."""
    operation = operation_at(method, path)
    if operation is None:
        return
    if status < HTTPStatus.BAD_REQUEST:
        if status == operation.status:  # else it is a job
            _check_example(f"{method} {operation.path}", content_type, content)
        return
    codes = _CODES[operation.method, operation.path].get(HTTPStatus(status))
    said = f"{method} {operation.path} answers {status}: {content[:500]!r}"
    assert codes is not None, f"{said}; say so in its `problems`, or in api/documented_problems.py"
    assert content_type == PROBLEM_JSON, said
    if method == "HEAD":
        return
    assert json.loads(content)["code"] in codes or not is_whole_list(HTTPStatus(status), codes), said


def _check_example(name: str, content_type: str, content: bytes) -> None:
    """Fail where the example of an answer whose type declares no fields has one that the answer has not."""
    example = ANSWERS.get(name)
    if content_type != JSON or not content.startswith(b"{") or example is None or name in _OF_ANY_KIND:
        return
    found = json.loads(content)
    if "next" in found:
        found = next(iter(found["items"]), example)
    assert example.keys() <= found.keys(), f"{name} has no {example.keys() - found.keys()}: see api/examples.py"
