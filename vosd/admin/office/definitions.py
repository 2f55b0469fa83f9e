"""Use cases that change objects of the database: each change is checked, stored, and taken by the running switch."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from vosd.admin.ledger import Month
from vosd.admin.office.agent_objects import SETTABLE, AgentObjects, agent_of
from vosd.admin.office.minimum_then import MinimumsThen
from vosd.admin.office.new_names import check_no_dots
from vosd.admin.office.object_versions import NoSuchObjectError, differing, history_of, numbered, owned_by
from vosd.admin.office.objects_below import check_number
from vosd.admin.office.office import Office, needs, require
from vosd.admin.office.passwords import CHANGED, HIDDEN, WeakPassword, weak_password
from vosd.admin.office.principal import OrderError, Permission, Principal
from vosd.admin.office.refused_change import in_brief
from vosd.admin.office.shown_objects import as_version
from vosd.admin.office.template_users import TemplateUsers, users_of_template
from vosd.admin.office.withdrawn_changes import WithdrawChange, has_mistake, objects_at_fault, put_back
from vosd.base.errors import VosError
from vosd.billing.accounts import Account
from vosd.catalogue.held_currencies import held_currencies
from vosd.catalogue.overrides import Setting, Target
from vosd.catalogue.planned_objects import ChangeCheck, states_before, states_of
from vosd.catalogue.problems import ConfigError, is_secret
from vosd.catalogue.stored_objects import KINDS, DefinitionsMoved, ObjectVersion, check_kind, in_force_at
from vosd.cdr.columns import iso_utc
from vosd.control.calls import ListCalls
from vosd.control.client import DaemonRefusedError, DaemonUnreachableError, NoDaemonError, OtherVersionError
from vosd.control.installation import FindObjectsInUse, GetStatus, Reload, ReloadOutcome
from vosd.control.peers import ListGateways
from vosd.storage.audit_line import AuditLine

if TYPE_CHECKING:
    from vosd.catalogue.agent_domains import AgentDomains
    from vosd.catalogue.agent_numbers import AgentNumbers
    from vosd.catalogue.agent_sources import AgentSources
    from vosd.storage.stored_objects import SqlObjects

_Added = TypeVar("_Added")
_Step = TypeVar("_Step")

_RELOAD_S: Final = 600.0
"""Longest time until the switch has taken a change."""
_MENDED_S: Final = 5.0
"""Longest time until a change of others that the switch has refused is withdrawn."""
_WITHDRAWAL_S: Final = 120.0
"""Longest time until the withdrawal of a change is checked: most of the time of the request may have been needed."""
_LOOK_S: Final = 0.1
"""Interval at which the versions of others are read until then."""
_STATUS_S: Final = 5.0
"""Longest time until the switch has said which sockets it has opened."""
_WARNINGS_AT_MOST: Final = 100
"""Warnings of the switch that a result has: every object may have one."""
_NOTED_AT_MOST: Final = 100
"""Versions that a line of the audit names."""
_TRIES: Final = 3
"""Checks of a change, where others are made meanwhile."""
_ASKED_BYTES: Final = 32_768
"""Bytes of the names in one question to the switch, whose requests have at most 64 KiB."""
_NAMED_AT_MOST: Final = 5
"""Objects that a message names."""
_ASKED_ALONE: Final = 50
"""Objects whose versions are read one by one; for more all are read."""


_CALLS_NAMED: Final = 5
_NEEDED_BESIDE: Final[Mapping[str, Permission]] = {"reports": Permission.BOOKS_SEE}
"""Permission that a change of a kind needs, too: a report at a fixed time shows costs and profit to its recipients."""
_USED_AS: Final[Mapping[str, Sequence[str]]] = {
    "accounts": ("customer_account", "vendor_account"),
    "mapping_gateways": ("mapping_gateway",),
    "routing_gateways": ("routing_gateway",),
    "phones": ("mapping_gateway", "routing_gateway"),
}
"""Fields of a running call with names of objects of a kind. Of other kinds a call keeps what it began with."""


class StaleVersionError(VosError):
    """The object has another version than the order says."""


class AlreadyDefinedError(VosError):
    """The database defines the object already."""


class DefinedInFilesError(VosError):
    """The object stands in the configuration files, where alone it can be changed."""


class AccountsBelowError(VosError):
    """The account is the agent of others, so it cannot end."""


class CheckTooSlowError(VosError):
    """A change has waited for others, or was checked, for too long; nothing was changed."""


class AccountNotSettledError(VosError):
    """The account has money, owes some, or may lack some of its minimum consumption."""

    remedy = "end it behind its close (vosd account close), or confirm the order"


class UsedByCallsError(VosError):
    """A change removes objects that running calls use, and is not confirmed; nothing was changed."""

    code = "unconfirmed"
    remedy = "wait until they have ended, or confirm the order: running calls go on"


class NotTakenError(VosError):
    """The running switch does not take a change, which was withdrawn, or is in the database: the message says it."""


class WantedObject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One object as it shall be."""

    kind: str
    name: str
    keys: Any
    """Keys and values without the name; values are text, as in the files. None = the database shall not define it.

    ``(hidden)`` in place of a password leaves it as it is.
    """
    is_new: bool = False
    """Refused where the database defines it already."""
    is_merged: bool = False
    """Keys that are left out stay as they are; one of None is taken away (RFC 7396)."""
    if_version: int | None = None
    """Refused unless this version, which may have ended the object, is in force when the change begins."""
    if_exists: bool | None = None
    """Refused unless the database defines it already (true), or does not (false); None = either way."""


class ObjectOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Terms of a change; times are UTC milliseconds."""

    at: int | None = None
    """From when it holds; None = at once."""
    memo: str | None = None
    """Why; kept with the version."""
    is_trial: bool = False
    """Everything is validated, and nothing changed."""
    is_confirmed: bool = False
    """Also where it removes what running calls use, or ends an account that has a balance."""
    takes_weak_passwords: ClassVar[bool] = False
    """Whether passwords of phones and trunks that are easy to guess are taken: those of an import are what they are."""


class SetObjects(ObjectOrder, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Objects that have exactly these keys then, all of them or none; others stay as they are."""

    objects: tuple[WantedObject, ...]


class EndObject(ObjectOrder, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An object that the database shall define no longer; its versions stay."""

    kind: str
    name: str
    if_version: int | None = None
    """Only where this version is in force; None = whichever is."""


class RevertObject(ObjectOrder, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An object that gets the keys of an earlier version again, as a new version."""

    takes_weak_passwords: ClassVar[bool] = True

    kind: str
    name: str
    version: Annotated[int, msgspec.Meta(ge=1)]
    """Number of the version whose keys hold again."""
    if_version: int | None = None
    """Only where this version is in force; None = whichever is."""


class Action(Enum):
    """Kind of a change to one object."""

    DEFINED = "defined"
    CHANGED = "changed"
    ENDED = "ended"
    UNCHANGED = "unchanged"


class CallsUsing(msgspec.Struct, frozen=True):
    """Running calls that use an object; they go on, whatever becomes of it."""

    number: int
    """Number of calls."""
    first: Sequence[str]
    """Ids of the oldest of them."""


class DifferenceSheet(msgspec.Struct, frozen=True, kw_only=True):
    """Effect of a change on one object, its time as text."""

    kind: str
    name: str
    action: Action
    """Change of the object."""
    version: int | None
    """The version that it makes; None = it makes none."""
    begins_at: str
    """Time at which the change comes into force, RFC 3339."""
    keys: Mapping[str, tuple[Any, Any]]
    """Value before and after of each key that differs; None = it is left out.

    Secrets are ``(hidden)``; in the value after, those that differ are ``(changed)``.
    """
    planned: tuple[int, ...] = ()
    """Versions that begin later and replace this one then."""
    calls: CallsUsing | None = None
    """Running calls that use it, in a trial. None = not known, or running calls keep what they began with."""
    users: tuple[TemplateUsers, ...] = ()
    """Objects that take keys from it, in a trial: of a template alone."""


class ChangeSheet(msgspec.Struct, frozen=True, kw_only=True):
    """Effect of a change, as programs read it."""

    dry_run: bool
    """Whether nothing was changed: it was a trial."""
    in_force: bool | None
    """Whether a running switch has taken it; None = it was not asked to."""
    changes: list[DifferenceSheet]
    """Objects that were changed, or would be."""
    calls_unknown: str
    """Why a trial does not know which calls use the objects; empty = it does."""
    warnings: list[str] = []
    """Warnings of the running switch about its configuration, those about the changed objects first; 100 at most."""
    untold: str = ""


@needs(Permission.DEFINITIONS_CHANGE, by_account=True)
async def set_objects(office: Office, who: Principal, order: SetObjects) -> ChangeSheet:
    """Define or change objects; a running switch has taken the change when this returns.

    Raises:
        PermissionLackingError: a report at a fixed time is among them, and the principal may not see the books.
        BadObjectError, OrderError: the database cannot define such objects, or not by agents.
        AccountsBelowError: an agent would end that has accounts below it.
        AccountNotSettledError: an account would end with a balance, or unclosed with a minimum of now or of last month.
        TooManyChangesError: an agent or a customer has too many under way; nothing was changed.
        TooManyObjectsError: an agent would have too many objects below it; nothing was changed.
        UsedByCallsError: running calls use what would end, and that is not confirmed; nothing was changed.
        DaemonRefusedError: the switch is busy and does not say which calls it has; nothing was changed.
        AlreadyDefinedError, StaleVersionError, NoSuchObjectError: one is not as the order expects.
        ConfigError: the configuration would not be valid; nothing was changed.
        SocketNotOpenError: the running switch needs a restart first; nothing was changed.
        CheckTooSlowError: other changes, or its check, took too long; nothing was changed.
        ObjectsMoved: another change was made meanwhile; nothing was changed.
        ContentRefused: a name is too long; nothing was changed.
        NotTakenError: the running switch does not take the change, as ``taken`` has it.
    """
    return await _change(office, who, order, order.objects, owned_by(office, office.scope_of(who)))


@needs(Permission.DEFINITIONS_CHANGE, by_account=True)
async def end_object(office: Office, who: Principal, order: EndObject) -> ChangeSheet:
    """End an object; raises NoSuchObjectError where there is none, and what ``set_objects`` raises."""
    owned = owned_by(office, office.scope_of(who))
    wanted = WantedObject(order.kind, order.name, None, if_version=order.if_version)
    return await _change(office, who, order, [wanted], owned)


@needs(Permission.DEFINITIONS_CHANGE, by_account=True)
async def revert_object(office: Office, who: Principal, order: RevertObject) -> ChangeSheet:
    """Go back to a version; raises NoSuchObjectError where there is none, and what ``set_objects`` raises."""
    owned = owned_by(office, office.scope_of(who))
    versions = await history_of(office, order.kind, order.name, owned)
    body = numbered(versions, order.version).body
    keys = None if body is None else json.loads(body)
    if owned is not None and keys is not None:  # those that it does not see stay as they are now
        keys = {key: value for key, value in keys.items() if key in SETTABLE[order.kind]}
    wanted = WantedObject(order.kind, order.name, keys, if_version=order.if_version)
    return await _change(office, who, order, [wanted], owned)


async def _change(
    office: Office, who: Principal, order: ObjectOrder, objects: Sequence[WantedObject], owned: AgentObjects | None
) -> ChangeSheet:
    return await check_and_add(office, who, order, await planned(office, who, order, objects, owned), owned)


async def check_and_add(
    office: Office, who: Principal, terms: ObjectOrder, plan: "Plan", owned: AgentObjects | None
) -> ChangeSheet:
    """Make a planned change, unless it is a trial; raises as ``set_objects``."""
    with office.changing.under_way(who.account):
        return await _check_and_add(office, who, terms, plan, owned)


async def _check_and_add(
    office: Office, who: Principal, terms: ObjectOrder, plan: "Plan", owned: AgentObjects | None
) -> ChangeSheet:
    if not terms.is_confirmed:
        await _check_settled(office, plan.versions, is_planned=terms.at is not None)
        if not terms.is_trial and terms.at is None:
            await _check_unused(office, plan.versions)
    if plan.versions:
        await _add_checked(office, who, terms, plan, owned)
    reloaded = NOT_ASKED
    if plan.versions and not terms.is_trial and terms.at is None:
        reloaded = await taken(office, who, plan.versions, is_confirmed=terms.is_confirmed)
    changes, calls_unknown = await with_calls(office, terms, plan.differences)
    if terms.is_trial:
        changes = [await _with_objects(office, each, plan.versions) for each in changes]
    return ChangeSheet(dry_run=terms.is_trial, changes=changes, calls_unknown=calls_unknown, **reloaded._asdict())


async def _check_settled(office: Office, versions: Sequence[ObjectVersion], *, is_planned: bool) -> None:
    """Raise AccountNotSettledError where an account ends whose balance is not zero, or whose minimum may be missing.

    So it is where a payment waits for a second person: confirmed behind the end, it would be money of no account.

    An end that is planned is judged by what is so now.
    """
    names = [each.name for each in versions if each.kind == "accounts" and each.body is None]
    if not names:
        return
    accounts, zone = office.definitions.accounts(), ZoneInfo(office.definitions.settings.invoices.zone)
    now = office.now()
    _, until = Month.before(now, zone).bounds(zone)
    having_had_one = await (await MinimumsThen.read(office.stores.objects, until - 1, now)).names()
    for name in names:
        waits = await office.stores.waiting_payments.of_account(name)
        if waits is not None:
            message = f"payment {waits.id} of account {name} waits for a second person: confirm or refuse it first"
            raise AccountNotSettledError(message)
        standing = await office.stores.queries.standing(name)
        if standing is None:
            continue
        if standing.balance:
            raise AccountNotSettledError(f"the balance of account {name} is not zero")
        has_one = name in accounts and accounts[name].minimum_consumption
        if not has_one and name not in having_had_one:
            continue
        if not is_planned and standing.seq == 0 and await _has_begun_since(office, name, until):
            continue  # the month in which it ends has no minimum, also behind a close
        overrides = (await office.stores.overrides.load()).at(office.now())
        if not overrides.has(Target.ACCOUNT, name, Setting.CLOSED):
            raise AccountNotSettledError(
                f"account {name} has a minimum consumption, and is not closed"
                if has_one
                else f"account {name} had a minimum consumption at the end of the last month, and is not closed"
            )


async def _has_begun_since(office: Office, account: str, moment: int) -> bool:
    """Return whether all versions of an account in the database began at a moment or later."""
    versions = await office.stores.objects.history("accounts", account)
    return bool(versions) and all(each.begins_at >= moment for each in versions)


async def _check_unused(office: Office, versions: Sequence[ObjectVersion]) -> None:
    """Raise UsedByCallsError where running calls use what would end.

    What is stored and not taken would keep the changes of all others out of force until these calls have ended.
    """
    ended = [each for each in versions if each.body is None and each.kind in _USED_AS]
    if not ended:
        return
    accounts = [each.name for each in ended if each.kind == "accounts"]
    gateways = [each.name for each in ended if each.kind != "accounts"]
    used = await _in_use(office, accounts, gateways)
    named = [
        f"{each.kind} {each.name}"
        for each in ended
        if each.name in (used.accounts if each.kind == "accounts" else used.gateways)
    ]
    if named:
        more = f" and {len(named) - _NAMED_AT_MOST} more" if len(named) > _NAMED_AT_MOST else ""
        raise UsedByCallsError(f"running calls use what the change removes: {', '.join(named[:_NAMED_AT_MOST])}{more}")


class _InUse(NamedTuple):
    """Objects that running calls use, as in ``ObjectsInUse``."""

    accounts: set[str]
    gateways: set[str]
    currencies: dict[str, str]


async def _in_use(office: Office, accounts: Sequence[str], gateways: Sequence[str]) -> _InUse:
    """Return which of some objects running calls use; none where no switch answers, or one of another version.

    Raises:
        DaemonRefusedError: the switch does not say it now, as where it is busy.
    """
    found = _InUse(set(), set(), {})
    switch = office.switch.patient(_STATUS_S)
    questions = [
        *(FindObjectsInUse(part, []) for part in _askable(accounts)),
        *(FindObjectsInUse([], part) for part in _askable(gateways)),
    ]
    try:
        for question in questions:
            used = await switch.ask_if_running(question)
            if used is None:
                break
            found.accounts.update(used.accounts)
            found.gateways.update(used.gateways)
            found.currencies.update(used.currencies)
    except (OtherVersionError, DaemonUnreachableError):
        pass
    except DaemonRefusedError as refused:
        if refused.code != "unknown_order":  # an earlier version
            raise
    return found


def _askable(names: Sequence[str]) -> Iterator[list[str]]:
    """Yield the names in parts that fit into one question each."""
    part: list[str] = []
    size = 0
    for name in names:
        bytes_of_name = len(msgspec.json.encode(name)) + 1
        if part and size + bytes_of_name > _ASKED_BYTES:
            yield part
            part, size = [], 0
        part.append(name)
        size += bytes_of_name
    if part:
        yield part


async def _currencies_of_calls(office: Office, plan: "Plan") -> Mapping[str, str]:
    """Return the currencies of running and unbooked calls of the accounts that a change does not make.

    One that it ends may be in the files from then on.
    """
    accounts = [each for each in plan.differences if each.kind == "accounts"]
    known = [each.name for each in accounts if each.action in {Action.CHANGED, Action.ENDED}]
    return (await _in_use(office, known, ())).currencies


async def _add_checked(
    office: Office, who: Principal, terms: ObjectOrder, plan: "Plan", owned: AgentObjects | None
) -> None:
    line = audit_line(office, who, terms, plan.versions)

    async def add(found: Checked) -> None:
        if not terms.is_trial:
            await office.stores.objects.add(plan.versions, line, checked=found.definitions)

    await when_checked(office, who, plan, owned, add)


class Checked(NamedTuple):
    """A change that was checked."""

    accounts: Mapping[str, Account]
    """Accounts that were asked for, as they are then."""
    definitions: int | None
    """Version of all definitions that it was checked with; None = it changes no object."""


async def when_checked(
    office: Office,
    who: Principal | None,
    plan: "Plan",
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
    of_calls = {} if asked.opened is None else await _currencies_of_calls(office, plan)
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
    plan: "Plan",
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
        status = await office.switch.patient(_STATUS_S).ask_if_running(GetStatus())
    except (DaemonRefusedError, DaemonUnreachableError):
        return None
    return None if status is None else status.listen


def _check_below(office: Office, versions: Sequence[ObjectVersion]) -> None:
    """Raise AccountsBelowError where an agent ends and accounts below it do not."""
    accounts = [each for each in versions if each.kind == "accounts"]
    ended = {each.name for each in accounts if each.body is None}
    if ended:
        changed = {each.name: json.loads(each.body).get("agent") for each in accounts if each.body is not None}
        for name, agent in (dict(office.definitions.agents()) | changed).items():
            if agent in ended and name not in ended:
                raise AccountsBelowError(
                    f"account {agent} has accounts below it, such as {name}: end them or move them to another agent"
                )


async def _agent_sources(office: Office, plan: "Plan", owned: AgentObjects | None) -> "AgentSources | None":
    if owned is None:
        return None
    sources = owned.sources((each.kind, each.name, each.keys) for each in _lasting(plan))
    if sources.gateways:
        rows = await office.switch.ask_if_running(ListGateways())
        addresses = None if rows is None else {each.gateway: each.addresses for each in rows if each.addresses}
        sources = sources._replace(addresses=addresses)
    return sources


def _agent_numbers(plan: "Plan", owned: AgentObjects | None) -> "AgentNumbers | None":
    if owned is None:
        return None
    return owned.numbers((each.kind, each.name, each.action is Action.DEFINED, each.keys) for each in _lasting(plan))


async def _agent_domains(office: Office, plan: "Plan", owned: AgentObjects | None) -> "AgentDomains | None":
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


def _lasting(plan: "Plan") -> Sequence[DifferenceSheet]:
    return [each for each in plan.differences if each.action is not Action.ENDED]


async def with_calls(
    office: Office, order: ObjectOrder, differences: list[DifferenceSheet]
) -> tuple[list[DifferenceSheet], str]:
    """Return what a trial would change with the running calls that use it, and why these are not known."""
    concerned = {each.kind for each in differences if each.action is not Action.UNCHANGED} & _USED_AS.keys()
    if not order.is_trial or not concerned:
        return differences, ""
    try:
        running = await office.switch.ask(ListCalls())
    except NoDaemonError:
        return differences, "no switch runs"
    except (DaemonRefusedError, DaemonUnreachableError) as error:
        return differences, str(error)
    users: dict[tuple[str, str], list[str]] = {}
    for call in running:
        for kind, roles in _USED_AS.items():
            for name in {getattr(call, role) for role in roles}:
                users.setdefault((kind, name), []).append(call.call_id)
    return [_with_users(each, users) for each in differences], ""


def _with_users(each: DifferenceSheet, users: Mapping[tuple[str, str], list[str]]) -> DifferenceSheet:
    if each.kind not in _USED_AS or each.action is Action.UNCHANGED:
        return each
    found = users.get((each.kind, each.name), [])
    return msgspec.structs.replace(each, calls=CallsUsing(len(found), found[:_CALLS_NAMED]))


async def _with_objects(office: Office, each: DifferenceSheet, versions: Sequence[ObjectVersion]) -> DifferenceSheet:
    """Return the change of a template with the objects that take it."""
    if each.kind != "templates" or each.action is not Action.CHANGED:
        return each
    users = await users_of_template(office, each.name, each.keys.keys(), versions[0].begins_at, versions)
    return msgspec.structs.replace(each, users=users)


class Compared(NamedTuple):
    """An object as it is wanted, compared with what there is."""

    difference: DifferenceSheet
    versions: list[ObjectVersion]
    """Version to be added, where it needs one."""
    weak: WeakPassword | None
    """New password that is easy to guess: the object is refused, with its other mistakes."""


class Plan(NamedTuple):
    """A change that was compared with what there is, and not checked."""

    differences: list[DifferenceSheet]
    versions: list[ObjectVersion]
    """Versions to be added."""
    weak: list[WeakPassword]
    """New passwords for which its check refuses it."""

    def add(self, found: Compared) -> None:
        """Add the change of one more object."""
        self.differences.append(found.difference)
        self.versions.extend(found.versions)
        if found.weak is not None:
            self.weak.append(found.weak)


@needs(Permission.DEFINITIONS_CHANGE, by_account=True)
async def plan_of(office: Office, who: Principal, order: ObjectOrder, objects: Sequence[WantedObject]) -> Plan:
    """Compare wanted objects with those of the database.

    Raises:
        BadObjectError: the database cannot define such objects.
        NoSuchObjectError: one shall end and does not exist.
    """
    return await planned(office, who, order, objects, owned_by(office, office.scope_of(who)))


async def planned(
    office: Office, who: Principal, terms: ObjectOrder, objects: Sequence[WantedObject], owned: AgentObjects | None
) -> Plan:
    """Compare wanted objects with those of the database by the rules of an agent's objects; None = by no rules."""
    for kind in {each.kind for each in objects}:
        check_kind(kind)
    plan = Plan([], [], [])
    for found in await compared_each(office, who, terms, objects, owned):
        if isinstance(found, VosError):
            raise found
        plan.add(found)
    if owned is not None and who.account is not None:
        actions = Counter(each.action for each in plan.differences)
        made = actions[Action.DEFINED] - actions[Action.ENDED]
        if made > 0:
            await check_number(office.definitions, who.account, made)
    return plan


async def compared_each(
    office: Office, who: Principal, terms: ObjectOrder, objects: Sequence[WantedObject], owned: AgentObjects | None
) -> list[Compared | VosError]:
    """Compare wanted objects of known kinds with those of the database, each with the version that it needs.

    An error in the place of one says why it cannot be as it is wanted.
    """
    if owned is not None and terms.at is not None:
        raise OrderError("at", "is not for agents", "their changes hold at once")
    now = office.now()
    known = await _versions(office.stores.objects, objects)
    if terms.at is None:  # what a clock ahead has ordered to hold at once does, and this comes behind it
        at_once = (each for versions in known.values() for each in versions if each.begins_at <= each.made_at)
        now = max(now, *(each.begins_at for each in at_once), 0)
    begins_at = now if terms.at is None else terms.at
    outcome: list[Compared | VosError] = []
    for asked in objects:
        versions = known.get((asked.kind, asked.name), ())
        try:
            if owned is None and asked.kind in _NEEDED_BESIDE:  # agents learn that there are none
                require(who, _NEEDED_BESIDE[asked.kind])
            found = in_force_at(versions, now)
            if found is None or found.body is None:
                _check_name(asked)
                _check_not_written(office, asked, owned)
                if owned is not None:
                    await _check_free(office, asked, versions, owned)
            _check_texts(office, asked)
            wanted = asked if owned is None else _of_agent(asked, found, owned)
            if terms.at is not None and terms.at <= now:  # before versions are compared: another one may have held then
                raise OrderError("at", "is in the past", "leave it out, and the change holds at once")
            change, version = _compared(wanted, versions, begins_at, now)
            if owned is not None and version is not None:
                owned.check_change(asked.kind, asked.name, _parsed(found), _parsed(version))
        except VosError as error:
            outcome.append(error)
            continue
        added = []
        if version is not None:
            made = msgspec.structs.replace(version, made_at=now, operator=who.recorded, memo=terms.memo)
            added.append(made)
        before = None if found is None else found.body
        is_judged = version is not None and not terms.takes_weak_passwords
        weak = weak_password(asked.kind, asked.name, asked.keys, before) if is_judged else None
        outcome.append(Compared(change, added, weak))
    return outcome


def _check_name(wanted: WantedObject) -> None:
    """Raise OrderError for an empty name, one that no path has, and one with a variable, which a file would replace."""
    if not wanted.name:
        raise OrderError("name", "has no value")
    check_no_dots(wanted.name)
    if "${" in wanted.name:
        raise OrderError("name", "has ${, which begins a variable", "choose another one")


def _check_not_written(office: Office, wanted: WantedObject, owned: AgentObjects | None) -> None:
    """Raise DefinedInFilesError for an object of the files; a whole one is refused with the configuration."""
    if not (wanted.is_new or wanted.is_merged or wanted.keys is None):
        return
    written = office.definitions.written_object(wanted.kind, wanted.name)
    if written is None:
        return
    if owned is None:
        message = f"{wanted.kind} {wanted.name} is defined at {written.at}: change it there, then say vosd reload"
        raise DefinedInFilesError(message)
    if owned.sees(as_version(wanted.kind, wanted.name, written)):
        message = f"{wanted.kind} {wanted.name} is in the files of the switch: only its operators change it"
        raise DefinedInFilesError(message)


async def _check_free(
    office: Office, wanted: WantedObject, versions: Sequence[ObjectVersion], owned: AgentObjects
) -> None:
    """Raise AlreadyDefinedError for a new account whose name another one had: its money and its tokens stay."""
    if wanted.kind != "accounts" or wanted.keys is None or wanted.is_merged:
        return
    had = max((each for each in versions if each.body is not None), key=lambda each: each.place, default=None)
    if had is None:
        is_free = await office.stores.queries.standing(wanted.name) is None
    else:
        is_free = await _was_below(office, had, owned)
    if not is_free:
        raise _taken(wanted)


async def _was_below(office: Office, had: ObjectVersion, owned: AgentObjects) -> bool:
    """Return whether an agent had an account that has ended: below one that has ended, too, it was where that was."""
    passed = {had.name}
    while not owned.sees(had):
        above = agent_of(office.definitions, had)
        if above is None or above in passed or above in office.definitions.accounts():
            return False
        passed.add(above)
        versions = await office.stores.objects.history("accounts", above)
        last = in_force_at((each for each in versions if each.body is not None), office.now())
        if last is None:
            return False
        had = last
    return True


def _taken(wanted: WantedObject) -> AlreadyDefinedError:
    return AlreadyDefinedError(f"{wanted.kind} {wanted.name} is taken: choose another name")


def _parsed(version: ObjectVersion | None) -> dict[str, Any] | None:
    if version is None or version.body is None:
        return None
    keys: dict[str, Any] = json.loads(version.body)
    return keys


def _check_texts(office: Office, wanted: WantedObject) -> None:
    """Raise OrderError for a number or a boolean where text is meant: it would be kept as another text."""
    found = office.definitions.number_for_text(wanted.kind, wanted.keys) if _has_number(wanted.keys) else None
    if found is not None:
        key, value = found
        shown = "a boolean" if isinstance(value, bool) else "a number"  # it may be a password
        raise OrderError(f"keys.{key}", f"is {shown}, and text is expected", "write it in quotes")


def _has_number(value: Any) -> bool:
    if isinstance(value, dict | list):
        return any(map(_has_number, value.values() if isinstance(value, dict) else value))
    return isinstance(value, int | float)


def _of_agent(wanted: WantedObject, found: ObjectVersion | None, owned: AgentObjects) -> WantedObject:
    """Return a wanted object with the keys that an agent neither sees nor changes.

    Raises:
        NoSuchObjectError: there is none that the agent sees.
        AlreadyDefinedError: a new object has a name that is taken.
        OrderError: a key is not for agents.
    """
    before = _parsed(found)
    is_seen = before is not None and found is not None and owned.sees(found)
    if wanted.kind not in SETTABLE or (before is not None and not is_seen and not wanted.is_new):
        raise _not_defined(wanted.kind, wanted.name)
    if before is not None and not is_seen:
        raise _taken(wanted)
    if not isinstance(wanted.keys, dict):
        return wanted
    owned.check_seen(wanted.kind, wanted.keys)
    if wanted.is_merged:
        return wanted
    return msgspec.structs.replace(wanted, keys=owned.completed(wanted.kind, wanted.keys, before))


def _not_defined(kind: str, name: str) -> "NoSuchObjectError":
    return NoSuchObjectError(f"the database defines no {kind} {name}: see vosd definitions list {kind}")


def _compared(
    wanted: WantedObject, versions: Sequence[ObjectVersion], begins_at: int, now: int
) -> tuple[DifferenceSheet, ObjectVersion | None]:
    """Return what is changed of an object from a moment on, and the version to be added; None = nothing is changed.

    Raises:
        NoSuchObjectError: it shall end and does not exist.
        StaleVersionError, AlreadyDefinedError: it is not as the order expects.
        OrderError: the keys are none.
    """
    before = in_force_at(versions, begins_at)
    _check_expected(wanted, in_force_at(versions, now), before)
    body = _body(wanted, None if before is None else before.body)
    if body is None and (before is None or before.body is None):
        raise _not_defined(wanted.kind, wanted.name)
    action = _action(before, body)
    number = None if action is Action.UNCHANGED else max((each.version for each in versions), default=0) + 1
    change = DifferenceSheet(
        kind=wanted.kind,
        name=wanted.name,
        action=action,
        version=number,
        begins_at=iso_utc(begins_at),
        keys=differing(None if before is None else before.body, body),
        planned=tuple(each.version for each in versions if each.begins_at > begins_at),
    )
    if number is None:
        return change, None
    return change, ObjectVersion(
        kind=wanted.kind, name=wanted.name, version=number, body=body, begins_at=begins_at, made_at=0, operator=""
    )


def _check_expected(wanted: WantedObject, found: ObjectVersion | None, then: ObjectVersion | None) -> None:
    version = None if found is None or found.body is None else found.version
    if wanted.is_new and version is not None:
        raise AlreadyDefinedError(f"the database defines {wanted.kind} {wanted.name} already, by version {version}")
    is_other = wanted.if_version is not None and (then is None or then.version != wanted.if_version)
    if is_other or wanted.if_exists not in {None, version is not None}:
        # A version that is planned in between is what the change is made to: who names the one of now has not seen it.
        there = "does not exist" if version is None else f"has version {version} by now"
        if then is not None and then is not found:
            there += f", and version {then.version} when the change begins"
        raise StaleVersionError(f"{wanted.kind} {wanted.name} {there}: read it again, and change what you find")


def _body(wanted: WantedObject, before: str | None) -> str | None:
    """Return the keys as the database has them; ``before`` are those that the object has.

    Raises:
        NoSuchObjectError: keys are to be merged into an object that does not exist.
        OrderError: they are not the keys of an object.
    """
    if wanted.keys is None:
        return None
    if isinstance(wanted.keys, dict) == (wanted.kind == "parameters") or isinstance(wanted.keys, list):
        expected = "is no text" if wanted.kind == "parameters" else "is no object of keys and values"
        raise OrderError("keys", expected)
    name_key = KINDS[wanted.kind]
    if isinstance(wanted.keys, dict) and name_key is not None and wanted.keys.get(name_key, wanted.name) != wanted.name:
        said = f"has {name_key} {wanted.keys[name_key]!r}, and the object is {wanted.name}"
        raise OrderError("keys", said, "leave it out, for an object keeps its name")
    old = None if before is None else json.loads(before)
    keys = _as_written("", wanted.keys, old)
    if name_key is not None:
        keys.pop(name_key, None)
    if wanted.is_merged:
        if old is None:
            raise _not_defined(wanted.kind, wanted.name)
        keys = _merged(old, keys)
    elif isinstance(keys, dict):
        keys = {key: value for key, value in keys.items() if value is not None}
    return json.dumps(keys, ensure_ascii=False, separators=(",", ":"))


def _as_written(key: str, value: Any, old: Any) -> Any:
    """Return a value as a file would have it: text; a hidden password is the one that is there."""
    match value:
        case dict():
            keys = old if isinstance(old, dict) else {}
            return {name: _as_written(name, each, keys.get(name)) for name, each in value.items()}
        case list():
            items = old if isinstance(old, list) and len(old) == len(value) else [None] * len(value)
            return [_as_written(key, each, was) for each, was in zip(value, items, strict=True)]
        case bool():
            return "yes" if value else "no"
        case int() | float() | Decimal():
            return str(value)
        case str() if value == HIDDEN and is_secret(key):
            if isinstance(old, str):
                return old
            raise OrderError("keys", f"has {HIDDEN} as {key}, and there is none to be kept", "say it, or leave it out")
        case str() if value == CHANGED and is_secret(key):
            raise OrderError(
                "keys", f"has {CHANGED} as {key}, which is shown in place of a new one", f"say it, or {HIDDEN}"
            )
        case _:
            return value


def _merged(old: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    made = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            made.pop(key, None)
        else:
            made[key] = _merged(made.get(key), value)
    return made


def audit_line(
    office: Office, who: Principal, terms: ObjectOrder | WithdrawChange, versions: Sequence[ObjectVersion]
) -> AuditLine:
    """Return the line of a change: the versions that it makes, which have the keys; keys may be passwords."""
    named = [f"{each.kind} {each.name}" for each in versions]
    subject = named[0] if len(named) == 1 else f"{len(named)} objects"
    made = [f"{name} {each.version}" for name, each in zip(named, versions, strict=True)]
    detail = {"versions": made[:_NOTED_AT_MOST], "at": terms.at, "memo": terms.memo}
    if isinstance(terms, WithdrawChange):
        detail["why"] = [*terms.why]
        if terms.beside:
            detail["beside"] = [*terms.beside]
    return office.audit_line(who, terms, subject)._replace(detail=json.dumps(detail, ensure_ascii=False))


class TakenChange(NamedTuple):
    """Answer of the running switch to a change."""

    in_force: bool | None
    """False = none runs, or none answers; None = it was not asked."""
    warnings: list[str]
    """Warnings of the switch; an agent sees none, for they name objects of others."""
    untold: str = ""
    """Why a running switch has not taken it yet; empty if it has, or if none runs."""


NOT_ASKED: Final = TakenChange(None, [])


async def taken(
    office: Office, who: Principal, versions: Sequence[ObjectVersion], *, is_confirmed: bool, has_booked: bool = False
) -> TakenChange:
    """Have the running switch take a change that made versions of objects.

    One that it refuses for a mistake in its objects is withdrawn, unless money was booked with it: what stays would
    keep all others out of force.

    Raises:
        NotTakenError: the switch does not take it; the message says whether it was withdrawn.
    """
    untaken = office.changing.untaken
    with untaken.asked(() if has_booked else versions):
        try:
            outcome = await _reloaded_behind_others(office, versions, is_confirmed=is_confirmed)
        except DaemonRefusedError as refused:
            is_bad = refused.code == "configuration_invalid" and has_mistake(versions, refused.problems)
            if not is_bad:
                untaken.forget(_without_later(versions, refused))
            is_withdrawn = False
            if (is_bad and not has_booked) or any(map(untaken.is_withdrawn, versions)):
                is_withdrawn = await _withdraw(office, who, versions, refused.problems)
            raise _not_taken(who, (str(refused), *refused.problems), is_withdrawn=is_withdrawn) from refused
        except DaemonUnreachableError as error:
            untaken.forget(versions)
            return TakenChange(
                in_force=False,
                warnings=[],
                untold="it takes the change when it works again, or refuses it, as where it ends what running calls use"
                f" (then vosd reload --yes): {error}",
            )
        untaken.forget(versions)
        with_later = [f"{each.kind} {each.name}" for each in versions if untaken.is_withdrawn(each)]
        if with_later:
            why = (f"a later change of {', '.join(with_later)} was refused, and withdrawn with this one: do it again",)
            raise _not_taken(who, why, is_withdrawn=await _withdraw(office, who, versions, why))
    if outcome is None:
        return TakenChange(in_force=False, warnings=[])
    names = [text for each in versions for text in (f"{each.kind} {each.name} (", f"{each.kind}[{each.name}]")]
    found = sorted(outcome.problems, key=lambda said: not any(name in said for name in names))
    return TakenChange(in_force=True, warnings=found[:_WARNINGS_AT_MOST] if who.account is None else [])


def _without_later(versions: Sequence[ObjectVersion], refused: DaemonRefusedError) -> list[ObjectVersion]:
    """Return the versions on top of which no version was made that the switch has refused for a mistake in it.

    The mistake of the later one may be that of the one below it.
    """
    later = objects_at_fault(refused.problems) if refused.code == "configuration_invalid" else {}
    return [each for each in versions if later.get((each.kind, each.name), 0) <= each.version]


def _not_taken(who: Principal, why: Sequence[str], *, is_withdrawn: bool) -> NotTakenError:
    if who.account is not None:  # the reasons name objects of others, and files of the switch
        if is_withdrawn:
            message = "the running switch does not take the change, which was withdrawn: ask its operators"
        else:
            message = "the change is in the database, and the running switch does not take it: ask its operators"
        return NotTakenError(message)
    reasons = "\n".join(why)
    if is_withdrawn:
        message = f"the running switch does not take the change, which was withdrawn:\n{reasons}"
    else:
        message = f"the change is in the database, and the running switch does not take it:\n{reasons}"
    return NotTakenError(message)


async def _withdraw(office: Office, who: Principal, versions: Sequence[ObjectVersion], why: Sequence[str]) -> bool:
    """Withdraw a change, also where the request is given up; return whether all of it was withdrawn."""
    own_time = office.in_time(asyncio.get_running_loop().time() + _WITHDRAWAL_S)
    return await office.changing.carry_out(_withdrawn(own_time, who, versions, why))


async def _withdrawn(office: Office, who: Principal, versions: Sequence[ObjectVersion], why: Sequence[str]) -> bool:
    """Put back what was before a change; False where that cannot be, as where another change was made to it since."""
    untaken = office.changing.untaken
    who = msgspec.structs.replace(who, request=None, job=None)  # these are of the change
    left = [each for each in versions if not untaken.is_withdrawn(each)]  # by a later change of another principal
    if not left:
        return True
    with untaken.asked(left):
        try:
            objects = [WantedObject(each.kind, each.name, None) for each in left]
            found = put_back(left, await _versions(office.stores.objects, objects), untaken, who, office.now())
            if found is None or not found.made:
                return False
            beside = tuple(f"{each.kind} {each.name} {each.version}: {each.operator}" for each in found.beside)
            order = WithdrawChange(tuple(why[:_WARNINGS_AT_MOST]), beside)
            line = audit_line(office, who, order, found.made)

            async def add(checked: Checked) -> None:
                await office.stores.objects.add(found.made, line, checked=checked.definitions)
                untaken.note_withdrawn(found.beside)

            await when_checked(office, None, Plan([], [*found.made], []), None, add)  # before changes of other accounts
        except VosError:
            return False
    return True


async def _reloaded_behind_others(
    office: Office, versions: Sequence[ObjectVersion], *, is_confirmed: bool
) -> ReloadOutcome | None:
    """Have the running switch load what is stored, once more where a change of others that it refuses is withdrawn."""
    try:
        return await _reloaded(office, is_confirmed=is_confirmed)
    except DaemonRefusedError as refused:
        if refused.code != "configuration_invalid" or has_mistake(versions, refused.problems):
            raise
        office.changing.untaken.forget(_without_later(versions, refused))
        if not await _mended(office, objects_at_fault(refused.problems)):
            raise
    return await _reloaded(office, is_confirmed=is_confirmed)


async def _mended(office: Office, at_fault: Mapping[tuple[str, str], int]) -> bool:
    """Wait until objects that were changed a moment ago have another version; False = they have none."""
    if not 0 < len(at_fault) <= _NAMED_AT_MOST:
        return False
    try:
        async with asyncio.timeout(_MENDED_S):
            for (kind, name), version in at_fault.items():
                while (newest := next(iter(await office.stores.objects.history(kind, name)), None)) is not None:
                    if newest.version > version:
                        break
                    if newest.made_at < office.now() - _MENDED_S * 1_000:
                        return False
                    await asyncio.sleep(_LOOK_S)
    except (TimeoutError, VosError):
        return False
    return True


async def _reloaded(office: Office, *, is_confirmed: bool) -> ReloadOutcome | None:
    """Have the running switch load what is stored; None = none runs.

    An order is confirmed about its own objects. A file that lacks a part of others is no concern of it.
    """
    switch = office.switch.patient(_RELOAD_S)
    if not is_confirmed:
        try:
            return await switch.ask_if_running(Reload())
        except DaemonRefusedError as refused:
            if refused.code != "unconfirmed":
                raise
    # What an unconfirmed change ends was not in use a moment ago; what others have ended is not its concern.
    return await switch.ask_if_running(Reload(follows_order=True))


def _action(before: ObjectVersion | None, body: str | None) -> Action:
    if body is None:
        return Action.ENDED
    if before is None or before.body is None:
        return Action.DEFINED
    return Action.UNCHANGED if json.loads(before.body) == json.loads(body) else Action.CHANGED


async def _versions(
    store: "SqlObjects", objects: Sequence[WantedObject]
) -> Mapping[tuple[str, str], Sequence[ObjectVersion]]:
    if len(objects) <= _ASKED_ALONE:
        return {(each.kind, each.name): await store.history(each.kind, each.name) for each in objects}
    found: dict[tuple[str, str], list[ObjectVersion]] = {(each.kind, each.name): [] for each in objects}
    for version in await store.all_versions({each.kind for each in objects}):
        if (version.kind, version.name) in found:
            found[version.kind, version.name].append(version)
    return found
