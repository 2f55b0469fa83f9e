"""Operations about routes, rates and gateways."""

from typing import Any, Final

from msgspec.structs import asdict

from vosd.admin.office.jobs import JobKind
from vosd.admin.office.office import Office
from vosd.admin.office.principal import OrderError, Permission, Principal
from vosd.admin.office.rates import explain_rate, list_prices
from vosd.admin.office.routes import (
    ExplainCall,
    SimulateRoutes,
    SimulateSpan,
    explain_call,
    require_to_simulate,
    simulate_routes,
)
from vosd.admin.office.trunks import (
    forget_registration,
    list_gateways,
    list_registrations,
    retry_registration,
    show_trunk,
)
from vosd.api.job import Long, Work
from vosd.api.operation import Listing, Operation
from vosd.control.routes import RouteSheet

SIMULATED_MAX: Final = 2_000
"""Most calls that one request routes again: they take the time of all other requests."""


class ExplainedRoute(RouteSheet, frozen=True, kw_only=True):
    """Outcome of an imaginary call, with the keys that ``vosd route explain --json`` prints, and facts not known."""

    sheet: RouteSheet
    """Outcome once more, for clients that read it here."""
    is_past: bool = False
    """By the configuration of now, and by what is kept of the moment: overrides, calendars, validity, rates."""
    without_database: str = ""
    """Why balances and overrides were not considered; empty if they were."""
    lacking: tuple[Permission, ...]
    """Permissions for lack of which prices, margins or balances are left out of the outcome."""


async def explain(office: Office, who: Principal, order: ExplainCall) -> ExplainedRoute:
    """Return the outcome of an imaginary call."""
    found = await explain_call(office, who, order)
    return ExplainedRoute(**asdict(found.sheet), **asdict(found))


async def simulate(office: Office, who: Principal, order: SimulateSpan) -> dict[str, Any]:
    """Route the calls of a short span again.

    Raises:
        OrderError: there are more than a request may have, or less than one.
    """
    if order.limit is not None and not 1 <= order.limit <= SIMULATED_MAX:
        raise OrderError("limit", f"is {order.limit}: expected 1 to {SIMULATED_MAX}")
    limit = order.limit or SIMULATED_MAX + 1
    wanted = SimulateRoutes(**asdict(order) | {"limit": limit})
    seen = 0

    def note(calls: int, _at: int) -> None:
        nonlocal seen
        seen += calls
        if seen > SIMULATED_MAX:
            remedy = "say a shorter span or `limit`; `Prefer: respond-async` has no limit"
            raise OrderError("since", f"to `until` are more than {SIMULATED_MAX} calls", remedy)

    return await simulate_routes(office, who, wanted, note)


async def simulate_long(office: Office, who: Principal, order: SimulateSpan, work: Work) -> dict[str, Any]:
    """Route the calls of a span again, however many there are."""
    span = max(order.until - order.since, 1)
    return await simulate_routes(
        office, who, SimulateRoutes(**asdict(order)), lambda _calls, at: work.progress((order.until - at) / span)
    )


_TRIED: Final = ("already_defined", "defined_in_files", "no_such_object", "stale_version")
"""Problems of changes that are tried."""

OPERATIONS: Final = (
    Operation(
        "POST /routes/explain",
        "Outcome of an imaginary call: accepted or refused, which gateways are tried, why others are not; "
        "prices with `rates.see` alone, margins with `books.see`.",
        explain,
        use_case=explain_call,
        problems=(*_TRIED, "daemon_refused", "daemon_unreachable", "unknown_gateway", "unknown_name"),
        is_question=True,
    ),
    Operation(
        "POST /routes/simulate",
        "Route the calls of a span again: what would change by vendor, gateway and destination; needs "
        "`routes.see`, too, and has fees, costs, margins and losses with `books.see` alone (`lacking` says so).",
        simulate,
        use_case=simulate_routes,
        long=Long(
            JobKind.SIMULATE, simulate_long, check=lambda _office, who, order: require_to_simulate(who, order.objects)
        ),
        problems=(*_TRIED, "unknown_account", "unknown_name"),
        is_question=True,
    ),
    Operation(
        "POST /rates/explain",
        "Cost of an imaginary call, and each step of its computation.",
        explain_rate,
        needs_database=True,
        problems=("no_rate", "out_of_scope", "unknown_account"),
        is_question=True,
    ),
    Operation(
        "GET /accounts/{account}/rates",
        "What calls of an account cost now, by prefix.",
        list_prices,
        problems=("no_rate", "out_of_scope", "unknown_account"),
        listing=Listing("prefix", sorts=("prefix",), in_parts=True),
    ),
    Operation(
        "GET /gateways/quality",
        "State, calls and figures of the last hour of every gateway.",
        list_gateways,
        problems=("daemon_unreachable",),
        is_of_all=True,
        listing=Listing(
            "gateway,kind",
            filters=("gateway", "kind", "state", "account"),
            sorts=("gateway", "state", "calls", "cps", "attempts", "answered", "asr", "acd_s", "ner", "pdd_ms"),
        ),
    ),
    Operation(
        "GET /gateways/{name}",
        "A gateway or phone as the files define it, and as it runs.",
        show_trunk,
        problems=("daemon_unreachable", "no_such_trunk"),
    ),
    Operation(
        "GET /registrations",
        "Phones and gateways that are registered, and our own registrations with vendors.",
        list_registrations,
        problems=("daemon_unreachable",),
        listing=Listing(
            "direction,name,contact,received",
            filters=("direction", "name", "kind", "state"),
            sorts=("name", "expires_at"),
        ),
    ),
    Operation(
        "DELETE /registrations/{name}",
        "Remove what a phone or gateway has registered; it may register again at once.",
        forget_registration,
        problems=("daemon_refused", "daemon_unreachable", "not_registered"),
    ),
    Operation(
        "POST /registrations/{name}/retry",
        "Have our registration with a vendor asked for at once, whatever it waits for.",
        retry_registration,
        problems=("daemon_refused", "daemon_unreachable", "not_registered"),
    ),
)
