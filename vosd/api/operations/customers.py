"""Operations about customers as a whole: account, gateways, phones and first payment in one request."""

from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from vosd.admin.office.customers import CustomerSheet, provision_customer
from vosd.api.operation import Operation


def _place_of(made: CustomerSheet) -> str:
    return f"/api/v1/accounts/{quote(made.account, safe='')}"


_PROBLEMS: Final = (
    "already_defined", "busy", "check_ended", "check_too_slow", "defined_in_files", "not_taken", "objects_moved",
    "operators_only", "out_of_scope", "balance_too_large", "reference_taken", "right_lacking", "socket_not_open",
    "too_many_changes",
    "too_many_objects",
)  # fmt: skip

OPERATIONS: Final = (
    Operation(
        "POST /customers",
        "Make a customer: account, rate group, gateways, phones and first payment, all of it or nothing.",
        provision_customer,
        problems=_PROBLEMS,
        status=HTTPStatus.CREATED,
        location=_place_of,
        reference="reference",
    ),
)
