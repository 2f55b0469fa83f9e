"""Use cases that change objects of the database: each change is checked, stored, and taken by the running switch."""

import json
from collections.abc import Sequence
from typing import Annotated, ClassVar
from zoneinfo import ZoneInfo

import msgspec

from vosd.admin.ledger import Month
from vosd.admin.office.agent_objects import SETTABLE, AgentObjects
from vosd.admin.office.change_check import Checked, when_checked
from vosd.admin.office.minimum_then import MinimumsThen
from vosd.admin.office.object_versions import history_of, numbered, owned_by
from vosd.admin.office.objects_in_use import check_unused, with_calls
from vosd.admin.office.office import Office, needs
from vosd.admin.office.planned_change import (
    Action,
    DifferenceSheet,
    ObjectOrder,
    Plan,
    WantedObject,
    audit_line,
    planned,
)
from vosd.admin.office.principal import Permission, Principal
from vosd.admin.office.taken_change import NOT_ASKED, taken
from vosd.admin.office.template_users import users_of_template
from vosd.base.errors import VosError
from vosd.catalogue.overrides import Setting, Target
from vosd.catalogue.stored_objects import ObjectVersion


class AccountNotSettledError(VosError):
    """The account has money, owes some, or may lack some of its minimum consumption."""

    remedy = "end it behind its close (vosd account close), or confirm the order"


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
    office: Office, who: Principal, terms: ObjectOrder, plan: Plan, owned: AgentObjects | None
) -> ChangeSheet:
    """Make a planned change, unless it is a trial; raises as ``set_objects``."""
    with office.changing.under_way(who.account):
        return await _check_and_add(office, who, terms, plan, owned)


async def _check_and_add(
    office: Office, who: Principal, terms: ObjectOrder, plan: Plan, owned: AgentObjects | None
) -> ChangeSheet:
    if not terms.is_confirmed:
        await _check_settled(office, plan.versions, is_planned=terms.at is not None)
        if not terms.is_trial and terms.at is None:
            await check_unused(office, plan.versions)
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


async def _add_checked(
    office: Office, who: Principal, terms: ObjectOrder, plan: Plan, owned: AgentObjects | None
) -> None:
    line = audit_line(office, who, terms, plan.versions)

    async def add(found: Checked) -> None:
        if not terms.is_trial:
            await office.stores.objects.add(plan.versions, line, checked=found.definitions)

    await when_checked(office, who, plan, owned, add)


async def _with_objects(office: Office, each: DifferenceSheet, versions: Sequence[ObjectVersion]) -> DifferenceSheet:
    """Return the change of a template with the objects that take it."""
    if each.kind != "templates" or each.action is not Action.CHANGED:
        return each
    users = await users_of_template(office, each.name, each.keys.keys(), versions[0].begins_at, versions)
    return msgspec.structs.replace(each, users=users)
