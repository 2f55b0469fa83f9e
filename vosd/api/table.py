"""Every operation of the API, in the order of the document."""

from typing import Final

from vosd.api.operation import Operation
from vosd.api.operations import (
    access,
    bilateral,
    calls,
    customers,
    decks,
    definitions,
    installation,
    invoices,
    jobs,
    money,
    months,
    reconciliations,
    reports,
    routes,
    session,
    traces,
    views,
    watch,
)

BASE: Final = "/api/v1"
_OTHERS: Final[tuple[Operation, ...]] = (
    *installation.OPERATIONS, *session.OPERATIONS, *views.OPERATIONS, *definitions.OPERATIONS, *customers.OPERATIONS,
    *money.OPERATIONS, *calls.OPERATIONS, *traces.OPERATIONS, *reports.OPERATIONS, *routes.OPERATIONS, *jobs.OPERATIONS,
    *decks.OPERATIONS, *reconciliations.OPERATIONS, *invoices.OPERATIONS, *months.OPERATIONS, *bilateral.OPERATIONS,
    *watch.OPERATIONS,
)  # fmt: skip
OPERATIONS: Final[tuple[Operation, ...]] = (*_OTHERS, *access.operations_beside(_OTHERS))
