"""Operations about routes, rates and gateways."""

from typing import Final

from vosd.admin.office.rates import ExplainRate, explain_rate
from vosd.admin.office.routes import ExplainCall, ExplainedCall, explain_call
from vosd.admin.office.trunks import list_gateways, list_registrations
from vosd.admin.rating import RateExplanation
from vosd.api.operation import Listing, Operation, permission_of
from vosd.control.peers import GatewayRow, InboundRow, ListGateways, ListRegistrations, OutboundRow

OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/routes/explain",
        meaning="Outcome of an imaginary call: accepted or refused, which gateways are tried, why others are not.",
        permission=permission_of(explain_call),
        takes=ExplainCall,
        run=explain_call,
        result=ExplainedCall,
        is_question=True,
        needs_database=False,
    ),
    Operation(
        method="POST",
        path="/rates/explain",
        meaning="Cost of an imaginary call, and each step of its computation.",
        permission=permission_of(explain_rate),
        takes=ExplainRate,
        run=explain_rate,
        result=RateExplanation,
        is_question=True,
    ),
    Operation(
        method="GET",
        path="/gateways/quality",
        meaning="State, calls and figures of the last hour of every gateway.",
        permission=permission_of(list_gateways),
        takes=ListGateways,
        run=list_gateways,
        result=GatewayRow,
        needs_database=False,
        listing=Listing("gateway,kind", filters=("gateway", "kind", "state"), sorts=("gateway", "state")),
    ),
    Operation(
        method="GET",
        path="/registrations",
        meaning="Phones and gateways that are registered, and our own registrations with vendors.",
        permission=permission_of(list_registrations),
        takes=ListRegistrations,
        run=list_registrations,
        result=list[InboundRow | OutboundRow],
        needs_database=False,
    ),
)
