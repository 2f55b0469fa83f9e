"""Operations about customers as a whole: account, gateways, phones and first payment in one request."""

from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from vosd.admin.office.customers import CustomerSheet, ProvisionCustomer, provision_customer
from vosd.admin.office.office import Office
from vosd.admin.office.principal import Principal
from vosd.api.operation import Operation, permission_of


async def provision(office: Office, who: Principal, order: ProvisionCustomer) -> CustomerSheet:
    """Make a customer."""
    return (await provision_customer(office, who, order)).sheet()


def _place_of(made: CustomerSheet) -> str:
    return f"/api/v1/accounts/{quote(made.account, safe='')}"


OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/customers",
        meaning="Make a customer: account, rate group, gateways, phones and first payment, all of it or nothing.",
        permission=permission_of(provision_customer),
        run=provision,
        problems=(
            "already_defined",
            "busy",
            "check_ended",
            "check_too_slow",
            "defined_in_files",
            "not_taken",
            "objects_moved",
            "out_of_scope",
            "balance_too_large",
            "reference_taken",
            "right_lacking",
            "socket_not_open",
            "too_many_changes",
        ),
        status=HTTPStatus.CREATED,
        location=_place_of,
        reference="reference",
    ),
)
