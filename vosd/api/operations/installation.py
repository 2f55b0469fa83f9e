"""Operations about the API itself and the installation."""

from http import HTTPStatus
from typing import Any, Final

import msgspec

from vosd.admin.office.installation import ShowStatus, show_status
from vosd.admin.office.office import Office
from vosd.admin.office.permissions import Permission
from vosd.admin.office.principal import Principal
from vosd.api.operation import Operation
from vosd.control.installation import SwitchStatus


class AskNothing(msgspec.Struct, frozen=True):
    """An order without fields."""


class Health(msgspec.Struct, frozen=True):
    """The process answers; of the switch it says nothing."""

    healthy: bool


async def show_health(_office: Office, _who: Principal, _order: AskNothing) -> Health:
    """Return at once."""
    return Health(True)


async def show_document(_office: Office, _who: Principal, _order: AskNothing) -> Any:
    """Return the OpenAPI document; it is made when it is asked for first."""
    from vosd.api.openapi import document

    return document()


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/health",
        meaning="Whether the process of the API answers.",
        permission=None,
        takes=AskNothing,
        run=show_health,
        result=Health,
        needs_database=False,
    ),
    Operation(
        method="GET",
        path="/openapi.json",
        meaning="This document.",
        permission=None,
        takes=AskNothing,
        run=show_document,
        result=dict[str, Any],
        needs_database=False,
    ),
    Operation(
        method="GET",
        path="/status",
        meaning="State of the running switch.",
        permission=Permission.STATE_SEE,
        takes=ShowStatus,
        run=show_status,
        result=SwitchStatus,
        needs_database=False,
        status=HTTPStatus.OK,
    ),
)
