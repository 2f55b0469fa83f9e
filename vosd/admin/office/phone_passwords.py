"""Use case of a phone's password, which its owner may change, too, and nothing else of the phone."""

import json
from typing import Final

from vosd.admin.office.agent_objects import AgentObjects
from vosd.admin.office.definitions import ChangeSheet, check_and_add
from vosd.admin.office.office import Office, needs
from vosd.admin.office.planned_change import ObjectOrder, WantedObject, planned
from vosd.admin.office.principal import OrderError, Permission, Principal
from vosd.admin.office.shown_objects import ShowObject, object_in_force
from vosd.base.errors import VosError
from vosd.billing.rights import Right

CHANGES_MAX: Final = 10
"""Versions of a phone in an hour after which agents and customers change its password no more: each is kept."""
_HOUR_MS: Final = 3_600_000
_REPLACED: Final = ("password_file", "ha1_md5", "ha1_sha256")


class TooManyPasswordsError(VosError):
    """The phone was changed too often of late; nothing was changed."""

    def __init__(self, number: str, retry_after_s: int) -> None:
        """``retry_after_s``: seconds after which its password may be changed again."""
        super().__init__(f"phone {number} was changed {CHANGES_MAX} times within an hour: try again later")
        self.retry_after_s = retry_after_s


class SetPhonePassword(ObjectOrder, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A phone's new password; the phone registers with it from then on."""

    number: str
    """Number of the phone."""
    password: str
    if_version: int | None = None
    """Only where this version is in force; None = whichever is."""

    def __post_init__(self) -> None:
        if "${" in self.password:
            raise OrderError("password", "has ${, which begins a variable", "choose another one")


@needs(Permission.PHONES_PASSWORD, by_account=True)
async def set_phone_password(office: Office, who: Principal, order: SetPhonePassword) -> ChangeSheet:
    """Change the password of a phone of the database; a running switch knows it when this returns.

    A customer changes those of its own phones; an agent also those of accounts below it, by its right to phones.

    Raises:
        NoSuchObjectError: the database defines no such phone, or none that the principal sees.
        RightLackingError: the agent may not change phones below it.
        TooManyPasswordsError, TooManyChangesError: nothing was changed; try again later.
        OrderError, ConfigError: the password cannot be one, or an agent or a customer plans it; nothing was changed.
        ObjectsMoved: another change was made meanwhile; nothing was changed.
        NotTakenError: the running switch does not take the change, as ``taken`` has it.
    """
    scope = office.scope_of(who)
    if scope.agent is not None and order.at is not None:
        # A version has all keys of the phone: it would undo what operators change, or end, until it begins.
        raise OrderError("at", "is not for agents and customers", "their changes hold at once")
    owned = None if scope.agent is None else AgentObjects(office.definitions, scope)
    found = await object_in_force(office, ShowObject(kind="phones", name=order.number), owned)
    keys = json.loads(found.body or "{}")
    patch = {"password": order.password, **{key: None for key in _REPLACED if key in keys}}
    wanted = WantedObject("phones", order.number, patch, is_merged=True, if_version=order.if_version)
    plan = await planned(office, who, order, [wanted], None)
    if owned is not None:
        for each in (found, *plan.versions):  # it may have moved to another account in between
            if (account := owned.account_of(each)) == scope.agent:
                owned.reach.note(account)
            else:
                scope.require_below(account, Right.PHONES)
                owned.reach.note(account, [Right.PHONES])
        await _check_seldom(office, order.number)
    return await check_and_add(office, who, order, plan, owned)


async def _check_seldom(office: Office, number: str) -> None:
    """Raise TooManyPasswordsError where a phone has too many versions of the last hour."""
    made = sorted((each.made_at for each in await office.stores.objects.history("phones", number)), reverse=True)
    if len(made) >= CHANGES_MAX and (left_ms := made[CHANGES_MAX - 1] + _HOUR_MS - office.now()) > 0:
        raise TooManyPasswordsError(number, -(-left_ms // 1_000))
