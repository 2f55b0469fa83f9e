"""Links of the OpenAPI document: from an answer that makes, changes or lists objects to the operations on them.

They follow from the paths: ``POST /people`` makes what ``/people/{name}`` and the paths below it are about.
"""

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from vosd.api.operation import VERSION, FieldPlace, Operation

_PARAMETER: Final = re.compile(r"{(\w+)}")
_JOBS: Final = "/jobs"


def identifier(each: Operation) -> str:
    """Return the ``operationId``."""
    words = re.findall(r"[a-z0-9]+", each.path.lower())
    return "_".join([each.method.lower(), *words])


class _Object(NamedTuple):
    place: str
    """Path above it."""
    expression: str
    """Expression of OpenAPI that yields its name."""
    is_whole: bool = True
    """Whether it is linked to what changes it, too; else to what reads it."""


class Links:
    """Links between operations."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._operations = operations
        shown = (re.fullmatch(r"(/[a-z-]+)/{(\w+)}", each.path) for each in operations if each.method == "GET")
        self._names = {match[1]: match[2] for match in shown if match is not None}
        """Parameters by which ``GET /objects/{parameter}`` shows one object, by the paths above."""

    def of(self, source: Operation, status: HTTPStatus) -> dict[str, Any]:
        """Return the links of an answer with that status, by the identifiers of their operations."""
        found = {}
        for target in self._operations:
            parameters = self._parameters(source, status, target)
            if parameters is not None and target is not source:
                found[identifier(target)] = {"operationId": identifier(target), "parameters": parameters}
        return found

    def _parameters(self, source: Operation, status: HTTPStatus, target: Operation) -> dict[str, str] | None:
        """Return the parameters of a request that follows; None = it does not follow."""
        names = _PARAMETER.findall(target.path)
        if target.method == "GET" and target.path == source.path and source.method == "POST":
            return {f"path.{name}": f"$request.path.{name}" for name in names}
        found = self._object_of(source, status)
        if found is None or len(names) != 1 or not (found.is_whole or target.method == "GET"):
            return None
        if not target.path.startswith(f"{found.place}/{{{names[0]}}}"):
            return None
        given = {f"path.{names[0]}": found.expression}
        if source.etag is not None and any(each.field == VERSION for each in target.fields()):
            given["header.If-Match"] = "$response.header.ETag"
        return given

    def _object_of(self, source: Operation, status: HTTPStatus) -> _Object | None:
        place, _, rest = source.path.partition("/{")
        name = self._names.get(place, "")
        if status is HTTPStatus.ACCEPTED:
            return _Object(_JOBS, f"$response.body#/{self._names[_JOBS]}")
        if rest:
            parameter = rest.partition("}")[0]
            is_replaced = source.method == "PUT" and rest == f"{parameter}}}"
            is_change = source.method not in {"GET", "DELETE"}
            return _Object(place, f"$request.path.{parameter}", is_replaced) if is_change else None
        if source.method == "GET" and source.listing is not None and source.listing.key == name:
            return _Object(place, f"$response.body#/items/0/{name}", is_whole=False)
        if status is not HTTPStatus.CREATED:
            return None
        sent = [each.name for each in source.fields() if each.place is FieldPlace.BODY and each.is_required]
        if name in sent:
            return _Object(place, f"$request.body#/{name}")
        if name in source.columns():
            return _Object(place, f"$response.body#/{name}")
        account = next(
            (each for each in sent if any(f"/{each}s/{{{each}}}/" in one.path for one in self._operations)), None
        )
        return None if account is None else _Object(f"/{account}s", f"$request.body#/{account}")
