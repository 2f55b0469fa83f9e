"""Use cases of people who log in: add, list, disable, enable, reset, give a role, set a password."""

import secrets
from contextlib import suppress
from hashlib import sha256
from typing import Final

import msgspec

from vosd.admin.office.new_names import check_new_name
from vosd.admin.office.office import Office, needs
from vosd.admin.office.passwords import check_password, hashed
from vosd.admin.office.principal import ActsFor, OrderError, Permission, Principal, RoleSheet
from vosd.admin.office.roles import TooPowerfulError, administering, check_account, require_all, role_named
from vosd.base.errors import VosError
from vosd.cdr.columns import iso_utc
from vosd.storage.access import NoSuchRoleError
from vosd.storage.people import StoredPerson

LINK_MS: Final = 24 * 3_600_000
_SECRET_BYTES: Final = 32
HIDDEN: Final = "********"


class NoSuchPersonError(VosError):
    """No person has the name."""


class ChangedMeanwhileError(VosError):
    """Another order has changed the person at the same time."""


class AddPerson(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person who shall log in."""

    name: str
    """Name by which the person logs in."""
    role: str
    account: str | None = None
    """Account for which it acts, where its role is one of agents or customers."""

    def __post_init__(self) -> None:
        check_new_name(self.name)
        if self.name.startswith(("agent ", "token ")):  # records name agents and tokens so
            raise OrderError("name", "may not begin with agent or token")


class PersonLink(msgspec.Struct, frozen=True):
    """The secret of a one-time link, by which a person sets its password."""

    name: str
    link: str
    """The path and fragment of the page; what follows the last slash is the secret."""
    until: str
    """RFC 3339."""


@needs(Permission.PEOPLE_CHANGE)
async def add_person(office: Office, who: Principal, order: AddPerson) -> PersonLink:
    """Add a person, and return the link for its first log-in.

    Raises:
        OrderError: the account is missing or unknown.
        NoSuchRoleError, PersonExistsError, TooPowerfulError: nothing was changed.
    """
    role, now = await role_named(office, order.role), office.now()
    require_all(who, role)
    _require_unbound(who, role)
    check_account(office, role, order.account)
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    person = StoredPerson(
        name=order.name,
        role=role.name,
        account=order.account,
        link=digest_of(secret),
        link_until=now + LINK_MS,
        created_at=now,
        created_by=who.recorded,
    )
    await office.stores.people.add(person, office.audit_line(who, order, order.name), own_role=role.own_name)
    return _link(order.name, secret, now)


class InviteFirst(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first administrator of an installation, by this name."""

    name: str = "admin"


@needs(Permission.PEOPLE_CHANGE)
async def invite_first(office: Office, who: Principal, order: InviteFirst) -> PersonLink | None:
    """Return a link for the first administrator; None where a person with all permissions can log in already.

    A link that was made before and not used ends.

    Raises:
        OrderError: a person of the name can log in, with another role.
        ChangedMeanwhileError: nothing was changed.
    """
    all_powerful, people = {*administering(await office.stores.access.roles())}, await office.stores.people.all()
    able = {each.name: each.role for each in people if each.can_log_in or (each.identity and each.disabled_at is None)}
    if not all_powerful.isdisjoint(able.values()):
        return None
    if order.name in able:
        raise OrderError("name", f"a person of this name has the role {able[order.name]}: give it another role first")
    if all(each.name != order.name for each in people):
        return await add_person(office, who, AddPerson(name=order.name, role="administrator"))
    await give_role(office, who, GiveRole(name=order.name, role="administrator"))
    await enable_person(office, who, EnablePerson(order.name))
    return await reset_person(office, who, ResetPerson(order.name))


class PersonSheet(msgspec.Struct, frozen=True, kw_only=True):
    """A person, without secrets; times are RFC 3339."""

    name: str
    """Name by which it logs in."""
    role: str
    account: str | None
    """Account of an agent or customer; None = the whole installation."""
    state: str
    """``active``, ``invited`` (no password yet), or ``disabled``."""
    totp: bool
    """Whether it logs in with a second factor."""
    created: str
    created_by: str
    last_login: str | None


class ListPeople(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All people."""


@needs(Permission.PEOPLE_SEE)
async def list_people(office: Office, who: Principal, _order: ListPeople) -> list[PersonSheet]:
    """Return the people by name."""
    return [_sheet(each) for each in await office.stores.people.all()]


class ShowPerson(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One person."""

    name: str


@needs(Permission.PEOPLE_SEE)
async def show_person(office: Office, who: Principal, order: ShowPerson) -> PersonSheet:
    """Return a person; raises NoSuchPersonError and StoreUnavailable."""
    return _sheet(await _known(office, order.name))


class DisablePerson(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A person who may not log in any more; its sessions end."""

    name: str


@needs(Permission.PEOPLE_CHANGE)
async def disable_person(office: Office, who: Principal, order: DisablePerson) -> PersonSheet:
    """Disable a person and end its sessions at once; raises as ``reset_person``, and LastAdministratorError."""
    before = await _changeable(office, who, order.name)
    after = msgspec.structs.replace(before, disabled_at=before.disabled_at or office.now(), link=None, link_until=None)
    return await _change(office, who, order, before, after, keeps_administrators=True)


class EnablePerson(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A disabled person who may log in again."""

    name: str


@needs(Permission.PEOPLE_CHANGE)
async def enable_person(office: Office, who: Principal, order: EnablePerson) -> PersonSheet:
    """Enable a person, with the password that it had; raises as ``reset_person``."""
    before = await _changeable(office, who, order.name)
    return await _change(office, who, order, before, msgspec.structs.replace(before, disabled_at=None))


class ResetPerson(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A person who has lost its password or its second factor."""

    name: str


@needs(Permission.PEOPLE_CHANGE)
async def reset_person(office: Office, who: Principal, order: ResetPerson) -> PersonLink:
    """Forget password, second factor and sessions of a person, and return a link for a new password.

    Raises:
        NoSuchPersonError, TooPowerfulError, ChangedMeanwhileError: nothing was changed.
    """
    before, now = await _changeable(office, who, order.name, is_let_in=True), office.now()
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    after = msgspec.structs.replace(
        before,
        password=None,
        totp=None,
        totp_begun=None,
        totp_step=None,
        recovery=(),
        link=digest_of(secret),
        link_until=now + LINK_MS,
    )
    await _change(office, who, order, before, after)
    return _link(order.name, secret, now)


class GiveRole(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another role, or another account, of a person; its sessions end."""

    name: str
    role: str
    account: str | None = None
    """Account of an agent or customer; None = the whole installation."""


@needs(Permission.PEOPLE_CHANGE)
async def give_role(office: Office, who: Principal, order: GiveRole) -> PersonSheet:
    """Change the role; the person logs in again.

    Raises:
        OrderError: the account is missing or unknown.
        NoSuchRoleError: there is no such role.
        NoSuchPersonError, TooPowerfulError, ChangedMeanwhileError, LastAdministratorError: nothing was changed.
    """
    role = await role_named(office, order.role)
    require_all(who, role)
    _require_unbound(who, role)
    check_account(office, role, order.account)
    before = await _changeable(office, who, order.name)
    after = msgspec.structs.replace(before, role=role.name, account=order.account)
    return await _change(office, who, order, before, after, keeps_administrators=True, own_role=role.own_name)


class SetPassword(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new password of a person; its sessions end."""

    name: str
    password: str


@needs(Permission.PEOPLE_CHANGE)
async def set_password(office: Office, who: Principal, order: SetPassword) -> PersonSheet:
    """Set the password; raises as ``reset_person``, and OrderError where it is easy to guess."""
    check_password(order.password, order.name)
    before = await _changeable(office, who, order.name, is_let_in=True)
    after = msgspec.structs.replace(before, password=await hashed(order.password), link=None, link_until=None)
    return await _change(office, who, msgspec.structs.replace(order, password=HIDDEN), before, after)


def digest_of(secret: str) -> str:
    """Return the digest of a random secret, by which it is looked up."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


async def _changeable(office: Office, who: Principal, name: str, *, is_let_in: bool = False) -> StoredPerson:
    """Return a person that a principal may change: one without a permission that it lacks itself.

    ``is_let_in``: the person can log in by what the principal gets or says.
    """
    person = await _known(office, name)
    with suppress(NoSuchRoleError):  # a role that is gone gives nothing
        role = await role_named(office, person.role)
        require_all(who, role)
        if is_let_in:
            _require_unbound(who, role)
    return person


def _require_unbound(who: Principal, role: RoleSheet) -> None:
    """Raise TooPowerfulError where a token with networks or an end lets in a person who has neither."""
    if who.bounds is not None and role.acts_for is ActsFor.INSTALLATION:
        raise TooPowerfulError(
            f"{who.name} has networks or an end, and a person of the role {role.name} would have neither: use a token"
            " without them, or a person"
        )


async def _known(office: Office, name: str) -> StoredPerson:
    person = await office.stores.people.find(name)
    if person is None:
        raise NoSuchPersonError(f"there is no person {name!r}: vosd user list has all of them")
    return person


async def _change(
    office: Office,
    who: Principal,
    order: msgspec.Struct,
    before: StoredPerson,
    after: StoredPerson,
    *,
    keeps_administrators: bool = False,
    own_role: str | None = None,
) -> PersonSheet:
    line = office.audit_line(who, order, before.name)
    people = office.stores.people
    kept = administering if keeps_administrators else None
    if not await people.change(before, after, line, ends_sessions=True, administering=kept, own_role=own_role):
        raise ChangedMeanwhileError(f"person {before.name} was changed at the same time: do the same again")
    return _sheet(after)


def _link(name: str, secret: str, now: int) -> PersonLink:
    return PersonLink(name, f"/#/first-login/{secret}", iso_utc(now + LINK_MS))


def _sheet(person: StoredPerson) -> PersonSheet:
    state = "active" if person.password or person.identity else "invited"
    return PersonSheet(
        name=person.name,
        role=person.role,
        account=person.account,
        state=state if person.disabled_at is None else "disabled",
        totp=person.totp is not None,
        created=iso_utc(person.created_at),
        created_by=person.created_by,
        last_login=None if person.logged_in_at is None else iso_utc(person.logged_in_at),
    )
