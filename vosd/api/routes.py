"""From the path of a request to its operation."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from vosd.api.http import HttpRequest, RequestError
from vosd.api.operation import Operation

_BASE: Final = ["api", "v1"]
_LATER: Final = frozenset({"packages"})
"""Beginnings of paths that are not built yet."""


class Routes:
    """Operations by their paths; a path with words wins over one with a field in their place."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._by_length: dict[int, list[tuple[list[str], dict[str, Operation]]]] = {}
        for each in operations:
            parts = each.path.split("/")[1:]
            routes = self._by_length.setdefault(len(parts), [])
            for template, methods in routes:
                if template == parts:
                    methods[each.method] = each
                    break
            else:
                routes.append((parts, {each.method: each}))
        for routes in self._by_length.values():
            routes.sort(key=lambda route: [part.startswith("{") for part in route[0]])

    def find(self, request: HttpRequest) -> tuple[Operation, dict[str, str]]:
        """Return the operation, and the fields that its path has.

        Raises:
            RequestError: there is no such path, or it has no such method.
        """
        parts = request.path[len(_BASE) :] if request.path[: len(_BASE)] == _BASE else []
        for template, methods in self._by_length.get(len(parts), ()):
            fields: dict[str, str] = {}
            for wanted, given in zip(template, parts, strict=True):
                if wanted.startswith("{"):
                    fields[wanted[1:-1]] = given
                elif wanted != given:
                    break
            else:
                operation = methods.get(request.method)
                if operation is not None:
                    return operation, fields
                allowed = ", ".join(sorted({*methods, "HEAD"} if "GET" in methods else methods))
                raise RequestError(
                    HTTPStatus.METHOD_NOT_ALLOWED,
                    "method_not_allowed",
                    f"there are {allowed}",
                    headers=(("Allow", allowed),),
                )
        if parts and parts[0] in _LATER:
            raise RequestError(HTTPStatus.NOT_IMPLEMENTED, "not_built", f"/{parts[0]} is not built yet")
        raise RequestError(
            HTTPStatus.NOT_FOUND, "no_such_path", "there is no such path; GET /api/v1/openapi.json lists them"
        )
