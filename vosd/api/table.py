"""Every operation of the API, in the order of the document."""

from typing import Final

from vosd.api.operation import Operation
from vosd.api.operations import (
    calls,
    customers,
    decks,
    definitions,
    installation,
    jobs,
    money,
    routes,
    session,
    traces,
    watch,
)

BASE: Final = "/api/v1"
OPERATIONS: Final[tuple[Operation, ...]] = (
    *installation.OPERATIONS,
    *session.OPERATIONS,
    *definitions.OPERATIONS,
    *customers.OPERATIONS,
    *money.OPERATIONS,
    *calls.OPERATIONS,
    *traces.OPERATIONS,
    *routes.OPERATIONS,
    *jobs.OPERATIONS,
    *decks.OPERATIONS,
    *watch.OPERATIONS,
)
