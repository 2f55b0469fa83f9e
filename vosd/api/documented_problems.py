"""Problems that an operation may answer with: they follow from its declaration."""

from collections.abc import Collection, Iterator
from http import HTTPStatus
from typing import Final

from vosd.admin.office.office import BY_ACCOUNT
from vosd.api.operation import VERSION, Operation
from vosd.api.problems import status_of_code

_Problems = Iterator[tuple[HTTPStatus, tuple[str, ...]]]
_OF_RULES: Final = frozenset({HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE})
"""Each rule of an order, and each part that may be away, has a code of its own."""


def documented_problems(operation: Operation) -> dict[HTTPStatus, list[str]]:
    """Return the codes of problems by their status; any operation may have an error of its own (500), too."""
    found: dict[HTTPStatus, set[str]] = {}
    for status, codes in (*_of_requests(operation), *_of_senders(operation), *_of_writes(operation)):
        found.setdefault(status, set()).update(codes)
    for code in operation.problems:
        found.setdefault(status_of_code(code), set()).add(code)
    return {status: sorted(found[status]) for status in sorted(found)}


def is_whole_list(status: HTTPStatus, codes: Collection[str]) -> bool:
    """Return whether a status has no further codes; the running switch refuses orders by any."""
    return status not in _OF_RULES and "daemon_refused" not in codes


def _of_requests(operation: Operation) -> _Problems:
    yield HTTPStatus.BAD_REQUEST, ("bad_text", "parameter_repeated")
    yield HTTPStatus.UNPROCESSABLE_ENTITY, ("bad_field", "unknown_field")
    yield HTTPStatus.TOO_MANY_REQUESTS, ("too_many_requests",)
    yield HTTPStatus.SERVICE_UNAVAILABLE, ("too_slow",)
    if operation.listing is not None:
        yield HTTPStatus.UNPROCESSABLE_ENTITY, ("bad_parameter", "too_many_rows")
        if operation.listing.unindexed:
            yield HTTPStatus.UNPROCESSABLE_ENTITY, ("no_index",)
    has_file = operation.long is not None and bool(operation.long.uploads)
    if operation.has_body or has_file:
        yield HTTPStatus.BAD_REQUEST, ("bad_json", "field_repeated")
        yield HTTPStatus.UNSUPPORTED_MEDIA_TYPE, ("content_type",)
    if operation.has_body or has_file or operation.refuses_body:
        yield HTTPStatus.REQUEST_TIMEOUT, ("too_slow",)
        yield HTTPStatus.REQUEST_ENTITY_TOO_LARGE, ("body_too_large",)
    if has_file:
        yield HTTPStatus.INSUFFICIENT_STORAGE, ("disk_full",)
    if operation.long is not None:
        yield HTTPStatus.TOO_MANY_REQUESTS, ("too_many_jobs",)
    if "daemon_unreachable" in operation.problems:
        yield HTTPStatus.SERVICE_UNAVAILABLE, ("busy", "other_version")
    if operation.is_live or operation.streams_max is not None:
        yield HTTPStatus.SERVICE_UNAVAILABLE, ("too_many_streams",)


def _of_senders(operation: Operation) -> _Problems:
    if operation.session is not None:
        yield HTTPStatus.SERVICE_UNAVAILABLE, ("store_unavailable",)
    if operation.permission is None and not operation.is_for_everyone:
        return
    yield HTTPStatus.UNAUTHORIZED, ("unauthorized",)
    yield HTTPStatus.FORBIDDEN, ("second_factor_missing",)
    yield HTTPStatus.SERVICE_UNAVAILABLE, ("store_unavailable",)
    if operation.permission is not None:
        yield HTTPStatus.FORBIDDEN, ("may_not_act", "no_agent", "permission_lacking")
        if not getattr(operation.use_case, BY_ACCOUNT, False):
            yield HTTPStatus.FORBIDDEN, ("operators_only",)
        if operation.needs_database:
            yield HTTPStatus.GATEWAY_TIMEOUT, ("statement_too_long",)


def _of_writes(operation: Operation) -> _Problems:
    if not operation.is_write:
        return
    yield HTTPStatus.FORBIDDEN, ("csrf",)
    yield HTTPStatus.CONFLICT, ("answer_lost", "key_reused", "key_unknown", "request_under_way")
    yield HTTPStatus.UNPROCESSABLE_ENTITY, ("bad_key",)
    yield HTTPStatus.GATEWAY_TIMEOUT, ("outcome_unknown",)
    if operation.makes_secret:
        yield HTTPStatus.CONFLICT, ("secret_not_kept",)
    if any(each.name == VERSION for each in operation.fields()):
        yield HTTPStatus.PRECONDITION_FAILED, ("stale_version",)
