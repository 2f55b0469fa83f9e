"""Use cases of live events: which of them a principal sees, and in which form."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Annotated, Any, Final, NamedTuple

import msgspec

from vosd.admin.office.jobs import orderer_of, sees_all_jobs
from vosd.admin.office.office import Office, needs
from vosd.admin.office.principal import OrderError, Permission, Principal, Scope
from vosd.cdr.columns import KEYS_FOR_AGENTS
from vosd.control.events import OF_THE_STREAM, TYPES_BY_NAME, EventType, FollowEvents, LiveEvent

_SUBJECTS: Final = {
    "call": Permission.CALLS_SEE,
    "gateway": Permission.ROUTES_SEE,
    "alarm": Permission.STATE_SEE,
    "balance": Permission.ACCOUNTS_SEE,
    "override": Permission.ROUTES_SEE,
    "definitions": Permission.DEFINITIONS_SEE,
    "job": Permission.JOBS,
}
"""The permission that each subject of events needs beside that of the stream."""
_OF_ACCOUNTS: Final = frozenset({"call", "balance"})
"""Subjects that agents and customers see, of their accounts."""
_FOR_AGENTS: Final = frozenset({*KEYS_FOR_AGENTS, "id", "seq", "state", "at", "price_per_minute"})
"""Facts of calls that agents and customers see; the price is that of the customer of the call, as in ``GET /calls``."""


class WatchEvents(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The live events that match every criterion given."""

    types: str | None = None
    """Types (``call.ended``) and subjects (``call``: all types of it), with commas."""
    account: str | None = None
    """Events about this account: as the customer or the vendor of a call, or with a balance or an override."""
    gateway: str | None = None
    """Events about this gateway or phone; not for agents."""
    after: str | None = None
    """Id of the last event that the client has; the same as the header Last-Event-ID, which wins."""
    seconds: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Time after which the stream ends; None = never."""


class EventView(msgspec.Struct, frozen=True):
    """The events that one principal sees of those that match its order."""

    types: frozenset[EventType]
    visible: frozenset[str] | None
    """The accounts that an agent or a customer sees; None = all."""
    account: str | None
    gateway: str | None
    orderer: str | None = None
    """The one whose jobs are shown; None = the jobs of all."""

    @property
    def is_whole(self) -> bool:
        """Whether events are shown with all their facts."""
        return self.visible is None

    def shows(self, event: LiveEvent[msgspec.Struct]) -> bool:
        """Return whether the principal sees an event; those about the stream itself are for all."""
        if event.type in OF_THE_STREAM:
            return True
        if event.type not in self.types or (event.ordered_by and self.orderer not in {None, event.ordered_by}):
            return False
        if self.visible is not None:
            return event.owner in self.visible and self.account in {None, event.owner}
        return self.account in {None, *event.accounts} and self.gateway in {None, *event.gateways}


class SeenEvent(NamedTuple):
    """An event as one principal sees it."""

    event: LiveEvent[msgspec.Struct]
    facts: Mapping[str, Any] | None
    """The facts that it sees; None = all."""


def for_agents(event: LiveEvent[msgspec.Struct]) -> Mapping[str, object] | None:
    """Return the facts that agents and customers see: not the vendor, its price, its gateway. None = all of them."""
    if not event.type.startswith("call."):
        return None
    facts: Mapping[str, object] = msgspec.to_builtins(event.data)
    return {key: value for key, value in facts.items() if key in _FOR_AGENTS}


@needs(Permission.EVENTS_SEE, by_account=True)
async def view_events(office: Office, who: Principal, order: WatchEvents) -> EventView:
    """Return which events the principal sees: of subjects that it may read, of accounts in its scope.

    Raises:
        OrderError: a type is unknown, or none of those named is for the principal; an agent names a gateway.
    """
    return _view(office.scope_of(who), who, order)


def _view(scope: Scope, who: Principal, order: WatchEvents) -> EventView:
    if scope.agent is not None and order.gateway is not None:
        raise OrderError("gateway", "is not for agents and customers")
    if order.account is not None:
        scope.require_visible(order.account)
    subjects = {name for name, permission in _SUBJECTS.items() if permission in who.permissions}
    if scope.agent is not None:
        subjects &= _OF_ACCOUNTS
    readable = {each for each in EventType if each.partition(".")[0] in subjects}
    types = readable & _named(order.types) if order.types is not None else readable
    if not types:
        subject = ", ".join(sorted(subjects)) or "none"
        raise OrderError("types", f"names nothing that {who.name} may see", f"you see {subject}")
    orderer = None if sees_all_jobs(who) else orderer_of(who.means.value, who.login)
    return EventView(frozenset(types), scope.visible, order.account, order.gateway, orderer)


def _named(text: str) -> set[EventType]:
    found: set[EventType] = set()
    for name in filter(None, (part.strip() for part in text.split(","))):
        if name not in TYPES_BY_NAME:
            raise OrderError(
                "types", f"has {name!r}, which is no type of event", f"there are {', '.join(TYPES_BY_NAME)}"
            )
        found |= TYPES_BY_NAME[name]
    return found


@needs(Permission.EVENTS_SEE, by_account=True)
async def follow_events(office: Office, who: Principal, order: WatchEvents) -> AsyncGenerator[SeenEvent, None]:
    """Yield the events that the principal sees, until the caller ends it.

    Raises:
        OrderError, OutOfScopeError: as ``view_events``.
        DaemonUnreachableError, DaemonRefusedError: the switch does not answer, or went away meanwhile.
    """
    view = _view(office.scope_of(who), who, order)
    async with aclosing(office.switch.follow(FollowEvents())) as batches:
        async for batch in batches:
            for event in batch.events:
                if view.shows(event):
                    yield SeenEvent(event, None if view.is_whole else for_agents(event))
