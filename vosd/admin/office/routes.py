"""Use cases of routes: explain the route of a call, and try other routes on the calls of a span."""

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from sys import maxsize
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from vosd.admin.names import check_names
from vosd.admin.office.bulk import BulkObject, plan_objects
from vosd.admin.office.office import Office, needs, require
from vosd.admin.office.planned_change import ObjectOrder
from vosd.admin.office.principal import OrderError, Permission, Principal
from vosd.admin.routing import explain_route as explained, idle_state
from vosd.admin.simulate import Simulation
from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.base.networks import address_of
from vosd.catalogue.overrides import NO_OVERRIDES, overlaid
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.cdr.ports import StoreUnavailable
from vosd.control.routes import ExplainRoute, LevelSheet, RouteSheet
from vosd.routing.routes import Cause
from vosd.storage.ports import CallFilter

if TYPE_CHECKING:
    from vosd.catalogue.catalogue import Catalogue  # it imports much

UNKNOWN_OF_THE_PAST: Final = ("balances", "calls", "gateways_down", "quality", "registrations")


class ExplainCall(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An imaginary call."""

    gateway: str
    """The mapping gateway that it comes from."""
    caller: str
    callee: str
    """As it is dialled; a context is written behind it: ``1234;phone-context=+49``."""
    at: int | None = None
    """Moment of the call; None = now."""
    forwarded: bool = False
    """Whether the INVITE has a Diversion header."""
    withheld: bool = False
    """Whether the caller withholds its number, by Privacy or Remote-Party-ID; From has it."""
    anonymous: bool = False
    """Whether From is anonymous, so that the number is in P-Asserted-Identity or another header."""
    source: str | None = None
    """Address that it comes from, without port; None = one that may call."""
    user_agent: str | None = None
    """User-Agent of the INVITE; None = one that is allowed."""
    plan: str | None = None
    """Routing plan by which it goes; None = that of its gateway or account."""
    live: bool = False
    """Ask the running switch, with the calls that it has now."""
    objects: tuple[BulkObject, ...] = ()
    """Changes of objects that are tried and not made; the running switch cannot be asked with them."""


class ExplainedCall(msgspec.Struct, frozen=True, kw_only=True):
    """Outcome of the call, and facts that were not known."""

    sheet: RouteSheet
    """Outcome of the call."""
    is_past: bool = False
    """By the configuration of now, and by what is kept of the moment: overrides, calendars, validity, rates."""
    without_database: str = ""
    """Why balances and overrides were not considered; empty if they were."""
    lacking: tuple[Permission, ...]
    """Permissions for lack of which prices, margins or balances are left out of the outcome."""


@needs(Permission.ROUTES_SEE, without_database=True)
async def explain_call(office: Office, who: Principal, order: ExplainCall) -> ExplainedCall:
    """Pass the call through the steps of a real one, and return the outcome; nothing is changed.

    Prices, margins and balances are left out where the principal may not see them elsewhere (ADR 192).

    Raises:
        OrderError: ``source`` is no address, or there is no such plan; the running switch is asked about a moment
            of the past, with changes or by another plan.
        UnknownGatewayError, NoNumberError: there is no such gateway, or no such number.
        ConfigError: the configuration is invalid.
    """
    now = office.now()
    at, source = now if order.at is None else order.at, _address(order.source)
    if order.live:
        if at < now:
            raise OrderError("live", "knows the calls of now", "leave it out for a moment of the past")
        if order.objects:
            raise OrderError("live", "knows its own configuration", "leave it out where changes are tried")
        if order.plan is not None:
            raise OrderError("live", "routes by the plan of the gateway", "leave it out where a plan is tried")
        asked = ExplainRoute(
            gateway=order.gateway,
            caller=order.caller,
            callee=order.callee,
            at_ms=order.at,
            is_forwarded=order.forwarded,
            is_withheld=order.withheld,
            is_anonymous=order.anonymous,
            source=source,
            agent=order.user_agent,
        )
        return _as_seen_by(who, ExplainedCall(sheet=await office.switch.ask(asked), lacking=()))
    catalogue = await _catalogue(office, who, order.objects)
    changes, overrides, why = None, NO_OVERRIDES, ""
    try:
        stores = office.stores
        await stores.check_schema()
        if at < now:
            overrides = await stores.overrides.at(at)
        else:
            changes = await stores.books.standings()
            overrides = (await stores.overrides.load()).at(at)
    except StoreUnavailable as error:
        why = str(error)
    catalogue = overlaid(catalogue, overrides)
    if order.plan is not None:
        catalogue = _by_plan(catalogue, order.gateway, order.plan)
    if changes is None:
        state = idle_state(catalogue, None, overrides)
    else:
        state = idle_state(catalogue, changes.standings, overrides, changes.expiries)
    file = office.definitions.settings.country_file if source else None
    if file is not None:
        from vosd.engine.peers.countries import read_countries  # others need no reader of such files

        state.country_of = await asyncio.to_thread(read_countries, file)
    sheet = explained(
        catalogue,
        state,
        gateway=order.gateway,
        caller=order.caller,
        callee=order.callee,
        at=Instant(0, at),
        is_live=False,
        is_forwarded=order.forwarded,
        is_withheld=order.withheld,
        is_anonymous=order.anonymous,
        source=source,
        agent=order.user_agent,
    )
    if at < now:
        sheet = replace(sheet, not_known=[*UNKNOWN_OF_THE_PAST])
    return _as_seen_by(who, ExplainedCall(sheet=sheet, is_past=at < now, without_database=why, lacking=()))


def _as_seen_by(who: Principal, found: ExplainedCall) -> ExplainedCall:
    """Return an outcome without the figures that a principal may not see."""
    sheet, may = found.sheet, who.permissions
    lacking: list[Permission] = []
    if Permission.RATES_SEE not in may and (sheet.rate or sheet.candidates or sheet.left):
        lacking.append(Permission.RATES_SEE)
        agents = UNSET if sheet.agents is UNSET else [LevelSheet(each.account, each.level) for each in sheet.agents]
        unpriced = [replace(each, cost=UNSET, currency=UNSET, effective_cost=UNSET) for each in sheet.candidates]
        sheet = replace(sheet, rate=UNSET, agents=agents, candidates=unpriced)
    if Permission.BOOKS_SEE not in may and (sheet.candidates or sheet.left):
        lacking.append(Permission.BOOKS_SEE)
        sheet = replace(sheet, candidates=[replace(each, margin=UNSET) for each in sheet.candidates])
    if lacking:
        word, instead = f"{Cause.LOSS.word}: ", Cause.LOSS.because("by its price, which you may not see")
        left = [replace(each, reason=instead) if each.reason.startswith(word) else each for each in sheet.left]
        sheet = replace(sheet, left=left)
    of_money = [each for each in (Permission.ACCOUNTS_SEE, Permission.RATES_SEE) if each not in may]
    if of_money and sheet.result == EndReason.INSUFFICIENT_BALANCE.text:
        lacking += [each for each in of_money if each not in lacking]
        sheet = replace(sheet, detail="")
    return replace(found, sheet=sheet, lacking=tuple(lacking))


def _by_plan(catalogue: "Catalogue", gateway: str, plan: str) -> "Catalogue":
    """Return the configuration with another routing plan at a mapping gateway."""
    if plan not in catalogue.plans:
        raise OrderError(
            "plan", f"is {plan!r}: there is no such routing plan", f"there are {', '.join(catalogue.plans)}"
        )
    planned = [
        {**gateways, gateway: replace(gateways[gateway], routing_plan=plan)} if gateway in gateways else gateways
        for gateways in (catalogue.mapping_gateways, catalogue.overridden)
    ]
    return dataclasses.replace(catalogue, mapping_gateways=planned[0], overridden=planned[1])


def _address(written: str | None) -> str:
    """Return an address as calls have it; empty for None."""
    if written is None:
        return ""
    try:
        return str(address_of(written))
    except ValueError:
        raise OrderError("source", "is an IP address without port") from None


class SimulateSpan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The calls of a span by the routes and rates of now; times are those of the INVITE."""

    since: int
    until: int
    account: str | None = None
    """The customer's or the vendor's."""
    limit: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """At most so many calls, the newest."""
    currency: str | None = None
    """Currency of fees, costs and margins; None = that of most customers."""
    top: Annotated[int, msgspec.Meta(ge=1)] = 20
    """Destinations that are listed."""
    objects: tuple[BulkObject, ...] = ()
    """Changes of objects that are tried and not made."""


class SimulateRoutes(SimulateSpan, frozen=True, kw_only=True):
    """The calls of a span by other routes."""

    other: str | None = None
    """File of another configuration whose routes and rates are tried; None = those of the installation."""


@needs(Permission.CALLS_SEE)
async def simulate_routes(
    office: Office, who: Principal, order: SimulateRoutes, report: Callable[[int, int], None]
) -> dict[str, Any]:
    """Route the calls again, and return what would change by vendor, gateway and destination; nothing is booked.

    Fees, costs and margins are left out where the principal does not see the books; ``lacking`` says so (ADR 192).

    ``report`` gets the number of further calls and when the last of them began, UTC milliseconds; newest first.

    Raises:
        PermissionLackingError: it may see calls, and no routes.
        UnknownNameError: no call fits, and the account is unknown.
        ConfigError: the configuration, or the other one, is invalid, or would be by the changes.
        BulkRefusedError: a change cannot be made.
        DroppedPeriod: calls of the span were dropped or masked.
    """
    require_to_simulate(who, order.objects)
    stores = office.stores
    other = None if order.other is None else Path(order.other)
    catalogue = await _catalogue(office, who, order.objects, other)
    simulation = Simulation(catalogue, order.currency)
    wanted = CallFilter(limit=order.limit or maxsize, since=order.since, until=order.until, account=order.account)
    async with aclosing(stores.spans.pages(wanted, with_tried=True, with_refusals=True)) as pages:
        async for calls in pages:
            for call in calls:
                simulation.add(call)
            report(len(calls), calls[-1].started_at)
    if not simulation.seen:
        await check_names(wanted, office.definitions, stores, office.now())
    sees_money = Permission.BOOKS_SEE in who.permissions
    lacking = [] if sees_money else [Permission.BOOKS_SEE]
    return {**simulation.to_json(order.top, with_money=sees_money), "lacking": lacking}


def require_to_simulate(who: Principal, objects: Sequence[BulkObject]) -> None:
    """Check the permissions that a simulation needs beside that which it declares.

    Raises:
        PermissionLackingError: it lacks one.
    """
    require(who, Permission.ROUTES_SEE)
    if objects:
        require(who, Permission.DEFINITIONS_SEE)


async def _catalogue(
    office: Office, who: Principal, objects: Sequence[BulkObject], other: Path | None = None
) -> "Catalogue":
    """Return the configuration with changes that are tried, which takes the permission to see definitions."""
    versions: Sequence[ObjectVersion] = ()
    if objects:
        require(who, Permission.DEFINITIONS_SEE)
        versions = (await plan_objects(office, who, ObjectOrder(is_trial=True), objects)).versions
    return await asyncio.to_thread(office.definitions.catalogue, other, versions)
