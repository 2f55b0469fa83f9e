"""Operation by which the switch of a partner compares its calls with ours."""

from typing import Final

from vosd.admin.office.bilateral import show_totals
from vosd.api.operation import Operation

OPERATIONS: Final = (
    Operation(
        "GET /bilateral/{account}",
        "Totals of the calls of an account by five minutes, gateway and prefix, for the switch of a partner.",
        show_totals,
        problems=("out_of_scope", "unknown_account"),
    ),
)
