"""Operations about the API itself and the installation."""

import asyncio
from functools import cache
from http import HTTPStatus
from typing import Any, Final

import msgspec

from vosd.admin.office.backups import KeepBackup, keep_backup, list_backups, verify_backup
from vosd.admin.office.installation import RELOAD_S, BackupSheet, check_configuration, reload_configuration, show_status
from vosd.admin.office.office import Office
from vosd.admin.office.principal import Principal
from vosd.api.http import Answer, HttpRequest
from vosd.api.operation import AskNothing, Listing, Operation
from vosd.base.errors import VosError
from vosd.control.client import DaemonRefusedError, DaemonUnreachableError
from vosd.control.installation import GetStatus, SwitchStatus

BACKUP_S: Final = 3_600.0
"""Longest time of a request that makes or verifies a backup; one that takes longer is completed all the same."""
HTML: Final = "text/html"
WELL: Final = "well"


class NotReadyError(VosError):
    """The switch, or its database, is away."""


class Health(msgspec.Struct, frozen=True):
    """The process answers; of the switch it says nothing."""

    healthy: bool
    """Always true."""


class StatusSheet(SwitchStatus, frozen=True, kw_only=True):
    """State of the switch. All figures are keys of it, too, as in ``vosd status --json``; these eight will stay."""

    calls: int
    """Calls that are set up, ringing or answered."""
    legs: int
    """Legs of these calls."""
    dialogs: int
    """SIP dialogs."""
    transactions: int
    """SIP transactions."""
    timers: int
    """Timers of transactions and calls."""
    holds: int
    """Calls for which money of an account is reserved."""
    cdr_queue: int
    """Calls that wait in memory for the database."""
    spool_rows: int
    """Calls in the journal and not yet in the database."""


def status_json(status: SwitchStatus) -> dict[str, Any]:
    """Return the object of the command line, with the figures together beside it."""
    return status.document() | {"figures": status.figures}


async def show_health(_office: Office, _who: Principal, _order: AskNothing) -> Health:
    """Return at once."""
    return Health(True)


class Readiness(msgspec.Struct, frozen=True):
    """The switch answers, and reaches its database; else the answer is 503 and says which of the two is away."""

    ready: bool
    """Always true: an answer that says no is a 503."""
    earlier_configuration: bool
    """Whether requests go by the configuration from before, because its files cannot be read: `vosd check` says why.
    Changes of objects are refused meanwhile."""


async def show_readiness(office: Office, _who: Principal, _order: AskNothing) -> Readiness:
    """Ask the switch.

    Raises:
        NotReadyError: something is away; it names no address and no file, because it asks for no token.
    """
    try:
        status = await office.switch.ask(GetStatus())
    except (DaemonUnreachableError, DaemonRefusedError) as error:
        raise NotReadyError("the switch does not answer") from error
    if status.database.state != WELL:
        raise NotReadyError(f"the switch runs; its database is {status.database.state}")
    return Readiness(True, office.goes_by_earlier)


async def keep(office: Office, who: Principal, order: KeepBackup) -> BackupSheet:
    """Make a backup."""
    return await keep_backup(office, who, order, lambda _part, _bytes: None)


async def show_document(_office: Office, _who: Principal, _order: AskNothing) -> Any:
    """Return the OpenAPI document; it is made when it is asked for first."""
    from vosd.api.openapi import document

    return await asyncio.to_thread(document)


async def show_page(_office: Office, _who: Principal, _order: AskNothing) -> bytes:
    """Return the page; it is made when it is asked for first."""
    return await asyncio.to_thread(_page)


@cache
def _page() -> bytes:
    from vosd.api.documentation_page import documentation_page
    from vosd.api.openapi import document

    return documentation_page(document())


async def page_answer(_office: Office, _request: HttpRequest, content: bytes) -> Answer:
    """Return the page with the policy that lets its style in."""
    from vosd.api.documentation_page import POLICY

    policy = (("Content-Security-Policy", POLICY),)
    return Answer(content=content, content_type=f"{HTML}; charset=utf-8", headers=policy)


OPERATIONS: Final = (
    Operation(
        "GET /health", "Whether the process of the API answers.", show_health, permission=None, needs_database=False
    ),
    Operation(
        "GET /ready",
        "Whether the switch answers and reaches its database: 503 where not.",
        show_readiness,
        permission=None,
        problems=("not_ready",),
        needs_database=False,
        asks_switch=True,
    ),
    Operation(
        "GET /openapi.json",
        "This document.",
        show_document,
        permission=None,
        result=dict[str, Any],
        needs_database=False,
    ),
    Operation(
        "GET /docs",
        "This document as a page for people, which needs no internet.",
        show_page,
        permission=None,
        answer=page_answer,
        forms={HTML: bytes},
        needs_database=False,
    ),
    Operation(
        "GET /status",
        "State of the running switch.",
        show_status,
        result=StatusSheet,
        shown=status_json,
        problems=("daemon_unreachable",),
        is_of_all=True,
    ),
    Operation(
        "POST /configuration/check",
        "Validate the configuration as files and database have it now; nothing is changed.",
        check_configuration,
        is_question=True,
        patience_s=RELOAD_S,
    ),
    Operation(
        "POST /configuration/reload",
        "Have the running switch load the configuration again; an invalid one changes nothing.",
        reload_configuration,
        problems=("configuration_invalid", "daemon_refused", "daemon_unreachable", "unconfirmed"),
        patience_s=RELOAD_S,
    ),
    Operation(
        "GET /backups",
        "Backups that are kept in `backups` of the state directory.",
        list_backups,
        listing=Listing("name", sorts=("name", "written_at", "bytes")),
    ),
    Operation(
        "POST /backups",
        "Make a backup, and keep it; the answer comes when it is complete.",
        keep,
        use_case=keep_backup,
        status=HTTPStatus.CREATED,
        patience_s=BACKUP_S,
    ),
    Operation(
        "POST /backups/{name}/verify",
        "Compare a backup with its checksums, and return its content.",
        verify_backup,
        problems=("no_such_backup",),
        is_question=True,
        patience_s=BACKUP_S,
    ),
)
