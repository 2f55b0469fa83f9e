"""Use cases of roles: list them, make own ones, demand a second factor of people who have one."""

from collections.abc import Sequence

import msgspec

from vosd.admin.office.new_names import check_new_name
from vosd.admin.office.office import Office, needs
from vosd.admin.office.principal import ALL, OPEN_TO, SHIPPED, ActsFor, OrderError, Permission, Principal, RoleSheet
from vosd.base.errors import VosError
from vosd.storage.access import NoSuchRoleError, StoredRole


class TooPowerfulError(VosError):
    """The role that the order gives or takes has permissions that the principal has not."""


class ListRoles(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All roles."""


@needs(Permission.PEOPLE_SEE)
async def list_roles(office: Office, who: Principal, _order: ListRoles) -> list[RoleSheet]:
    """Return the roles that ship, then the installation's own."""
    stored = {each.name: each for each in await office.stores.access.roles()}
    shipped = [_sheet(stored[name]) if name in stored else role for name, role in SHIPPED.items()]
    return [*shipped, *(_sheet(each) for name, each in stored.items() if name not in SHIPPED)]


class SetRole(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A role of the installation's own, new or changed; of a role that ships only ``wants_totp``."""

    name: str
    permissions: tuple[Permission, ...] | None = None
    """None = they stay. The console has no page for a right to change without the right to see beside it, as
    ``accounts.change`` without ``accounts.see``."""
    acts_for: ActsFor | None = None
    """None = it stays; of a new role the installation."""
    wants_totp: bool | None = None
    """Whether people of it log in with a second factor; None = it stays."""


@needs(Permission.PEOPLE_CHANGE)
async def set_role(office: Office, who: Principal, order: SetRole) -> RoleSheet:
    """Make or change a role; tokens have its permissions at once, and its people log in again.

    Raises:
        OrderError: the name is none, the role ships, or its kind may not have one of the permissions.
        TooPowerfulError: the role has permissions that the principal has not, before or after.
        LastAdministratorError: no person would have all permissions any more.
        RoleChangedError: another order was faster; nothing was changed.
    """
    before = await office.stores.access.role(order.name)
    known = _role_of(order.name, before)
    if known is not None and known.ships and (order.permissions is not None or order.acts_for is not None):
        raise OrderError("name", f"{order.name} is a role that ships", "make one of another name")
    if known is None:
        check_new_name(order.name)
        if not order.permissions:
            raise OrderError("permissions", f"of the new role {order.name} are missing", "say at least one")
        known = RoleSheet(name=order.name, permissions=frozenset())
    require_all(who, known)
    acts_for = known.acts_for if order.acts_for is None else order.acts_for
    permissions = known.permissions if order.permissions is None else frozenset(order.permissions)
    closed = sorted(permissions - OPEN_TO[acts_for])
    if closed:
        raise OrderError("permissions", f"such as {closed[0]} are not for a role of the kind {acts_for.value}")
    role = msgspec.structs.replace(
        known,
        permissions=permissions,
        acts_for=acts_for,
        wants_totp=known.wants_totp if order.wants_totp is None else order.wants_totp,
    )
    require_all(who, role)
    stored = StoredRole(
        name=role.name,
        acts_for=acts_for.value,
        permissions=None if role.ships else tuple(sorted(permissions)),
        wants_totp=role.wants_totp,
    )
    await office.stores.access.set_role(before, stored, administering, office.audit_line(who, order, role.name))
    await office.stores.people.end_sessions([role.name])
    return role


class DropRole(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The end of a role of the installation's own."""

    name: str


@needs(Permission.PEOPLE_CHANGE)
async def drop_role(office: Office, who: Principal, order: DropRole) -> RoleSheet:
    """Remove a role that neither people nor tokens have.

    Raises:
        OrderError: the role ships.
        TooPowerfulError: the role has permissions that the principal has not.
        LastAdministratorError: no person would have all permissions any more.
        NoSuchRoleError, RoleInUseError: nothing was changed.
    """
    role = await role_named(office, order.name)
    if role.ships:
        raise OrderError("name", f"{role.name} is a role that ships", "it stays")
    require_all(who, role)
    await office.stores.access.drop_role(role.name, administering, office.audit_line(who, order, role.name))
    return role


async def role_named(office: Office, name: str) -> RoleSheet:
    """Return a role; raises NoSuchRoleError where there is none."""
    return role_of(name, await office.stores.access.role(name))


def role_of(name: str, stored: StoredRole | None) -> RoleSheet:
    """Return the role of a name, of which the database has this; raises NoSuchRoleError where there is none."""
    found = _role_of(name, stored)
    if found is None:
        raise NoSuchRoleError(name)
    return found


def administering(stored: Sequence[StoredRole]) -> list[str]:
    """Return the names of the roles that have all permissions, the stored ones being these."""
    own = [role.name for role in map(_sheet, stored) if role.permissions == ALL]
    return [*(name for name, role in SHIPPED.items() if role.permissions == ALL), *own]


def _role_of(name: str, stored: StoredRole | None) -> RoleSheet | None:
    return SHIPPED.get(name) if stored is None else _sheet(stored)


def require_all(who: Principal, role: RoleSheet) -> None:
    """Check that a principal has all permissions of a role, which it gives or takes.

    Raises:
        TooPowerfulError: it has not.
    """
    lacking = sorted(role.permissions - who.permissions)
    if lacking:
        message = f"{who.name} may not give the role {role.name}, nor take it: it has the permission {lacking[0]}"
        raise TooPowerfulError(message)


def check_account(office: Office, role: RoleSheet, account: str | None) -> None:
    """Check that a person or token of a role has the account that it takes.

    Raises:
        OrderError: an account is missing, or not for the role, or not configured.
    """
    if role.acts_for is ActsFor.INSTALLATION:
        if account is not None:
            raise OrderError("account", f"is not for the role {role.name}, which is about the whole installation")
        return
    if account is None:
        raise OrderError("account", f"is missing: the role {role.name} acts for one")
    if account not in office.definitions.accounts():
        raise OrderError("account", f"{account} is not configured")
    if role.acts_for is ActsFor.AGENT and not office.definitions.hierarchy().is_agent(account):
        raise OrderError("account", f"{account} is no agent: no account names it as its agent")


def _sheet(stored: StoredRole) -> RoleSheet:
    shipped = SHIPPED.get(stored.name)
    if shipped is not None:
        return msgspec.structs.replace(shipped, wants_totp=stored.wants_totp)
    known = frozenset(each for each in Permission if each.value in (stored.permissions or ()))
    return RoleSheet(
        name=stored.name, permissions=known, acts_for=ActsFor(stored.acts_for), wants_totp=stored.wants_totp
    )
