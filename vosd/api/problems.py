"""Errors as problem+json (RFC 9457): the status by the code of the error, the text the same as the command line's."""

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

import msgspec

from vosd.admin.office.principal import Means, Principal
from vosd.api.http import Answer, RequestError
from vosd.base.errors import VosError
from vosd.catalogue.problems import ConfigError, Severity
from vosd.control.client import DaemonRefusedError

PROBLEM_JSON: Final = "application/problem+json"
RETRY_AFTER_S: Final = 5

_STATUS: Final = {
    HTTPStatus.UNAUTHORIZED: ("code_missing", "link_refused", "log_in_refused", "unauthorized"),
    HTTPStatus.FORBIDDEN: (
        "csrf", "may_not_act", "no_agent", "not_your_view", "operators_only", "own_payment", "permission_lacking",
        "right_lacking", "second_factor_missing", "too_powerful",
    ),
    HTTPStatus.NOT_FOUND: (
        "no_deck_group", "no_dispute", "no_provider", "no_record", "no_result", "no_such_alarm", "no_such_backup",
        "no_such_call", "no_such_charge", "no_such_deck", "no_such_group", "no_such_invoice", "no_such_job",
        "no_such_object", "no_such_override", "no_such_payment", "no_such_person", "no_such_receiver",
        "no_such_reconciliation", "no_such_report", "no_such_role", "no_such_token", "no_such_trunk", "no_such_view",
        "not_refused", "not_registered", "not_running", "not_waiting", "nothing_kept", "out_of_scope",
        "unknown_account", "unknown_gateway", "unknown_name",
    ),
    HTTPStatus.CONFLICT: (
        "accounts_below", "already_defined", "already_rolled_back", "already_there", "ambiguous_call", "asker_may_not",
        "balance_moved", "books_moved", "changed_meanwhile", "configuration_invalid", "daemon_refused",
        "defined_in_files", "dispute_moved", "draft_early", "gateway_busy", "invoice_altered", "invoice_moved",
        "invoice_not_sent", "job_ended", "job_not_running", "last_administrator", "many_closed", "many_overrides",
        "month_open", "not_a_draft", "not_issued", "not_taken", "objects_moved", "other_currency", "person_exists",
        "reference_taken", "role_in_use", "set_by_others", "socket_not_open", "too_little_left", "too_many_calls",
        "too_many_objects", "too_many_views", "trunk_under_test", "unconfirmed", "view_exists", "was_refused",
    ),
    HTTPStatus.PRECONDITION_FAILED: ("later_override", "stale_version"),
    HTTPStatus.UNPROCESSABLE_ENTITY: ("balance_too_large", "no_number", "not_understood"),
    HTTPStatus.TOO_MANY_REQUESTS: ("too_many_changes", "too_many_guesses", "too_many_jobs", "too_many_passwords"),
    HTTPStatus.INTERNAL_SERVER_ERROR: ("defect",),
    HTTPStatus.GATEWAY_TIMEOUT: ("outcome_unknown", "statement_too_long"),
    HTTPStatus.SERVICE_UNAVAILABLE: (
        "busy", "check_ended", "check_too_slow", "daemon_unreachable", "not_ready", "other_version",
        "provider_unavailable", "stopping", "store_unavailable", "unknown_order",
    ),
}  # fmt: skip
_TITLES: Final = {413: "Request Entity Too Large", 422: "Unprocessable Entity"}
"""Titles that Python 3.13 has in other words: clients and the document get these from each Python."""
COMMANDS: Final = (
    "account", "alarms", "api", "audit", "backup", "blacklist", "call", "calls", "cdr", "check", "definitions", "did",
    "events", "gateway", "hangup", "help", "invoice", "jobs", "ledger", "migrate", "month", "overrides", "parameters",
    "payment", "rate", "rates", "reconcile", "registrations", "reload", "report", "rerate", "restart", "restore",
    "retention", "route", "run", "spool", "status", "token", "trace", "trunk", "unblock", "user", "webhooks", "why",
)  # fmt: skip
"""Verbs of the command line."""
_PARTS: Final = re.compile(
    rf"(?<!\w)'[^']*'(?!\w)|[;:,()]|(?P<stop>\.(?=\s))|(?P<command>vosd (?:{'|'.join(COMMANDS)})\b)|\w+|[^\w;:,()'.]+|."
)
"""Parts of a sentence: a text in quotes, a separator of clauses, a command, a word, or what is between words.

An expression for whole clauses takes quadratic time for what senders of requests may have written into a sentence.
"""
_STATUS_OF: Final = {code: status for status, codes in _STATUS.items() for code in codes}


class Mistake(msgspec.Struct, frozen=True):
    """One of several mistakes."""

    field: str
    """Field that is wrong; empty = none alone."""
    detail: str
    """Sentence for people."""


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An error."""

    type: str
    """``urn:vosd:problem:`` and the code."""
    title: str
    """Phrase of the status."""
    status: int
    """Status of the answer."""
    detail: str
    """Sentence for people; it says what to do."""
    code: str
    """Stable name of the error, for programs."""
    field: str | None = None
    """Field or parameter that is wrong."""
    remedy: str | None = None
    """Text that says what to send instead."""
    errors: tuple[Mistake, ...] = ()
    """Every mistake, where there are several."""
    warnings: tuple[Mistake, ...] = ()
    """Warnings beside the mistakes: they refuse nothing."""


def status_of_code(code: str) -> HTTPStatus:
    """Return the status of a code."""
    return _STATUS_OF.get(code, HTTPStatus.UNPROCESSABLE_ENTITY)


def status_of(error: VosError) -> HTTPStatus:
    """Return the status of an error: that of its code or of a class above; else 422."""
    for each in (error.code, *(parent.__dict__.get("code") for parent in type(error).__mro__)):
        if each in _STATUS_OF:
            return _STATUS_OF[each]
    return HTTPStatus.UNPROCESSABLE_ENTITY


def title_of(status: HTTPStatus) -> str:
    """Return the title of all problems with a status."""
    return _TITLES.get(status, status.phrase)


def problem(
    status: HTTPStatus,
    code: str,
    detail: str,
    *,
    field: str | None = None,
    remedy: str | None = None,
    errors: Sequence[Mistake] = (),
    warnings: Sequence[Mistake] = (),
    headers: tuple[tuple[str, str], ...] = (),
) -> Answer:
    """Return an error as an answer."""
    body = Problem(
        type=f"urn:vosd:problem:{code}",
        title=title_of(status),
        status=status,
        detail=detail,
        code=code,
        field=field,
        remedy=remedy or None,
        errors=tuple(errors),
        warnings=tuple(warnings),
    )
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers = (*headers, ("Retry-After", str(RETRY_AFTER_S)))
    if status is HTTPStatus.UNAUTHORIZED:
        headers = (*headers, ("WWW-Authenticate", "Bearer"))
    return Answer(status=status, content=msgspec.json.encode(body), content_type=PROBLEM_JSON, headers=headers)


def problem_of(error: VosError) -> Answer:
    """Return an error of the office as an answer."""
    detail = str(error)
    mistakes: list[Mistake] = []
    warnings: list[Mistake] = []
    if isinstance(error, ConfigError):
        for each in error.problems:
            (warnings if each.severity is Severity.WARNING else mistakes).append(Mistake(each.key, str(each)))
        detail = "\n".join(each.detail for each in mistakes) or detail  # a warning is no reason of the refusal
    elif isinstance(error, DaemonRefusedError):
        mistakes = [Mistake("", said) for said in error.problems]
    mistakes += [Mistake(each.field, each.said) for each in getattr(error, "mistakes", ())]
    warnings += [Mistake(each.field, each.said) for each in getattr(error, "warnings", ())]
    field = getattr(error, "field", None) or (mistakes[0].field if mistakes else None)
    remedy = getattr(error, "remedy", None)
    wait = getattr(error, "retry_after_s", None)
    headers = () if wait is None else (("Retry-After", str(wait)),)
    return problem(
        status_of(error),
        error.code,
        detail,
        field=field,
        remedy=remedy,
        errors=mistakes,
        warnings=warnings,
        headers=headers,
    )


def problem_for(who: Principal, answer: Answer) -> Answer:
    """Return an error as its sender gets it: a program of an agent or a customer gets none with commands.

    The console leaves them out itself, behind its translation.
    """
    return answer if who.account is None or who.means is Means.PAGE else without_commands(answer)


def without_commands(answer: Answer) -> Answer:
    """Return an error without the clauses of its sentences that have commands of the switch.

    Programs of agents and customers give them to people who have no terminal.
    """
    said = msgspec.json.decode(answer.content, type=Problem)
    remedy = None if said.remedy is None else _without_command(said.remedy)
    shown = msgspec.structs.replace(
        said,
        detail=_without_command(said.detail) or said.title,
        remedy=remedy or None,
        errors=tuple(msgspec.structs.replace(each, detail=_without_command(each.detail)) for each in said.errors),
        warnings=tuple(msgspec.structs.replace(each, detail=_without_command(each.detail)) for each in said.warnings),
    )
    return msgspec.structs.replace(answer, content=msgspec.json.encode(shown))


def _without_command(text: str) -> str:
    """Leave out clauses with a command, ``: see vosd definitions list accounts``; a text in quotes is none."""
    if "vosd " not in text:
        return text
    shown, kept_from = "", 0
    clause: int | None = 0  # its beginning; None = it has ended by a parenthesis
    is_left_out = False
    for part in _PARTS.finditer(text):
        if part["command"] and clause is not None and not is_left_out:
            shown += text[kept_from:clause].rstrip()
            is_left_out, kept_from = True, len(text)
        elif part[0] in {";", ","} or part["stop"] or (part[0] in {":", "("} and not is_left_out):
            if is_left_out:
                is_left_out, kept_from = False, part.start()
            clause = part.start()
        elif part[0] == ")":
            if is_left_out:
                is_left_out, kept_from = False, part.end()
            clause = None
    return (shown + text[kept_from:]).lstrip(" ;,:").removeprefix(". ")


def problem_of_request(error: RequestError) -> Answer:
    """Return a flaw of the request as an answer."""
    return problem(error.status, error.code, str(error), field=error.field, remedy=error.remedy, headers=error.headers)
