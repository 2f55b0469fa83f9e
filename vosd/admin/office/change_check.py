"""The check of a planned change against all definitions, in turn with other changes."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from vosd.admin.office.agent_objects import AgentObjects
from vosd.admin.office.objects_in_use import STATUS_S, currencies_of_calls
from vosd.admin.office.office import Office
from vosd.admin.office.planned_change import Action, DifferenceSheet, Plan
from vosd.admin.office.principal import Principal
from vosd.admin.office.refused_change import in_brief
from vosd.base.errors import VosError
from vosd.billing.accounts import Account
from vosd.catalogue.held_currencies import held_currencies
from vosd.catalogue.planned_objects import ChangeCheck, states_before, states_of
from vosd.catalogue.problems import ConfigError
from vosd.catalogue.stored_objects import DefinitionsMoved, ObjectVersion
from vosd.control.client import DaemonRefusedError, DaemonUnreachableError
from vosd.control.installation import GetStatus
from vosd.control.peers import ListGateways

if TYPE_CHECKING:
    from vosd.catalogue.agent_domains import AgentDomains
    from vosd.catalogue.agent_numbers import AgentNumbers
    from vosd.catalogue.agent_sources import AgentSources

_Added = TypeVar("_Added")
_Step = TypeVar("_Step")
_TRIES: Final = 3
"""Checks of a change, where others are made meanwhile."""


class AccountsBelowError(VosError):
    """The account is the agent of others, so it cannot end."""


class CheckTooSlowError(VosError):
    """A change has waited for others, or was checked, for too long; nothing was changed."""


class Checked(NamedTuple):
    """A change that was checked."""

    accounts: Mapping[str, Account]
    """Accounts that were asked for, as they are then."""
    definitions: int | None
    """Version of all definitions that it was checked with; None = it changes no object."""


async def when_checked(
    office: Office,
    who: Principal | None,
    plan: Plan,
    owned: AgentObjects | None,
    add: Callable[[Checked], Awaitable[_Added]],
    wanted: Collection[str] = (),
) -> _Added:
    """Check a change, then add it; both once more where a deck or another process was faster.

    Changes of one process wait for each other: the check of each knows those before it. None waits for the running
    switch, which is asked before.
    ``who`` gives the order; the turns of agents and customers come after those of operators. None = the switch itself.
    ``owned`` are the objects that an agent sees, ``wanted`` the accounts that ``add`` needs.

    Raises:
        OutOfScopeError, RightLackingError: while the change of an agent waited, it lost an account or a right.
        AccountsBelowError, ConfigError: the change is refused by its check.
        SocketNotOpenError: so it is, for it needs a socket that the running switch has not opened.
        CheckTooSlowError: there is no time left to wait for others, or for the check; nothing was changed.
        DaemonUnreachableError: a switch that shall say which addresses others have does not answer.
        DefinitionsMoved: others were faster three times; nothing was changed.
    """
    sources = await _agent_sources(office, plan, owned)
    is_planned = bool(plan.versions) and plan.versions[0].begins_at > plan.versions[0].made_at
    opened, numbers = await _opened_sockets(office), _agent_numbers(plan, owned)
    domains = await _in_time(office, _agent_domains(office, plan, owned))
    if owned is not None and who is not None and who.account is not None:
        wanted = {*wanted, *owned.reach.accounts_to_read(office.definitions, who.account)}
    asked = ChangeCheck((), [*wanted], sources, opened, numbers, domains, is_planned)
    of_calls = {} if asked.opened is None else await currencies_of_calls(office, plan)
    await _in_time(office, office.changing.take(None if who is None else who.account))
    try:
        for _ in range(_TRIES - 1):
            found = await _in_time(office, _checked(office, who, plan, owned, asked, of_calls))
            with suppress(DefinitionsMoved):
                return await add(found)
        return await add(await _in_time(office, _checked(office, who, plan, owned, asked, of_calls)))
    finally:
        office.changing.leave()


async def _in_time(office: Office, step: Awaitable[_Step]) -> _Step:
    """Return the result of a step that changes nothing yet, unless there is no time left for the next ones."""
    try:
        async with asyncio.timeout_at(office.until):
            return await step
    except TimeoutError as error:
        raise CheckTooSlowError(
            "the change has waited for others, or was checked, for too long, and nothing was changed: send it again,"
            " or make many changes by one order"
        ) from error


async def _checked(
    office: Office,
    who: Principal | None,
    plan: Plan,
    owned: AgentObjects | None,
    asked: ChangeCheck,
    of_calls: Mapping[str, str],
) -> Checked:
    """Check the configuration as it is after a change: when the change begins, and when each planned version does.

    ``owned`` are the objects that an agent sees; ``asked`` has no states yet; ``of_calls`` are currencies of calls.

    Raises:
        AccountsBelowError: an agent would end that has accounts below it.
        ConfigError: the configuration would not be valid.
        OrderError: nothing is wrong but that a new password is easy to guess.
    """
    definitions = await office.stores.decks.version()  # first: what changes during the check is not checked
    planned = await office.stores.objects.planned(office.now())
    states, earlier = [*states_of(plan.versions, planned)], [*states_before(plan.versions, planned)]
    _check_below(office, states[0].versions)
    try:
        found = await office.definitions.check_objects(asked._replace(states=states, earlier=earlier))
        await _check_currencies(office, plan.versions, found.currencies, of_calls)
    except ConfigError as error:
        seen = error if owned is None else owned.cleaned(error, plan.versions)
        brief = in_brief(seen, plan.versions, office.definitions.key_sheets)
        sources = {(each.kind, each.name): each.source for each in plan.versions}
        weak = [each.problem(sources[each.kind, each.name]) for each in plan.weak]
        raise (ConfigError((*weak, *brief.problems)) if weak else brief) from error
    if plan.weak:
        raise plan.weak[0].error()
    if owned is not None and who is not None:
        ended = {each.name for each in plan.versions if each.kind == "accounts" and each.body is None}
        owned.reach.require(who, found.accounts, ended)
    if found.definitions is not None:  # of an earlier state where the database could not be read just then
        definitions = min(definitions, found.definitions)
    return Checked(found.accounts, definitions)


async def _check_currencies(
    office: Office, versions: Sequence[ObjectVersion], wanted: Mapping[str, str], of_calls: Mapping[str, str]
) -> None:
    """Raise ConfigError where accounts with money get another currency than it has: no switch would take that."""
    if not wanted:
        return
    held = dict(await office.stores.books.other_currencies(wanted))
    held |= {name: each for name, each in of_calls.items() if wanted.get(name, each) != each}
    if not held:
        return
    made = {each.name: each for each in versions if each.kind == "accounts"}
    places = {name: made.get(name, versions[0]).source for name in held}
    raise ConfigError(held_currencies(held, wanted, places))


async def _opened_sockets(office: Office) -> Sequence[str] | None:
    """Return the sockets for SIP of the running switch; None where none runs, or one that does not say it.

    A change is not refused because the switch does not answer: it takes the change, or refuses it, when it does again.
    """
    try:
        status = await office.switch.patient(STATUS_S).ask_if_running(GetStatus())
    except (DaemonRefusedError, DaemonUnreachableError):
        return None
    return None if status is None else status.listen


def _check_below(office: Office, versions: Sequence[ObjectVersion]) -> None:
    """Raise AccountsBelowError where an agent ends and accounts below it do not."""
    accounts = [each for each in versions if each.kind == "accounts"]
    ended = {each.name for each in accounts if each.body is None}
    if ended:
        changed = {each.name: json.loads(each.body).get("agent") for each in accounts if each.body is not None}
        hierarchy = office.definitions.hierarchy()
        below = {name: agent for agent in sorted(ended) for name in hierarchy.directly_below(agent)}
        for name, agent in (below | changed).items():
            if agent in ended and name not in ended:
                raise AccountsBelowError(
                    f"account {agent} has accounts below it, such as {name}: end them or move them to another agent"
                )


async def _agent_sources(office: Office, plan: Plan, owned: AgentObjects | None) -> "AgentSources | None":
    if owned is None:
        return None
    sources = owned.sources((each.kind, each.name, each.keys) for each in _lasting(plan))
    if sources.gateways:
        rows = await office.switch.ask_if_running(ListGateways())
        addresses = None if rows is None else {each.gateway: each.addresses for each in rows if each.addresses}
        sources = sources._replace(addresses=addresses)
    return sources


def _agent_numbers(plan: Plan, owned: AgentObjects | None) -> "AgentNumbers | None":
    if owned is None:
        return None
    return owned.numbers((each.kind, each.name, each.action is Action.DEFINED, each.keys) for each in _lasting(plan))


async def _agent_domains(office: Office, plan: Plan, owned: AgentObjects | None) -> "AgentDomains | None":
    if owned is None:
        return None
    asked = owned.domains((each.kind, each.name, each.keys) for each in _lasting(plan))
    phones, gateways = {*asked.phones}, {*asked.gateways}
    for made in plan.versions:
        names = {"phones": phones, "mapping_gateways": gateways}.get(made.kind, set())
        if made.version > 1 and made.name in names:
            history = await office.stores.objects.history(made.kind, made.name)
            if owned.had_domain(made, history):
                names.remove(made.name)
    return asked._replace(phones=phones, gateways=gateways)


def _lasting(plan: Plan) -> Sequence[DifferenceSheet]:
    return [each for each in plan.differences if each.action is not Action.ENDED]
