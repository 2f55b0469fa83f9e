"""Use cases of tokens, by which programs prove who they are; the secret of one is returned once and never kept.

A secret has 256 random bits, so a fast digest of it suffices: it cannot be guessed from that, and a slow one would cost
each request 50 ms.
"""

import hmac
import secrets
from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

import msgspec

from vosd.admin.office.new_names import check_new_name
from vosd.admin.office.office import Office, needs
from vosd.admin.office.principal import (
    ALL,
    ActsFor,
    Means,
    OrderError,
    Permission,
    Principal,
    Role,
    RoleSheet,
    TokenBounds,
    permissions_of,
)
from vosd.admin.office.roles import check_account, require_all, role_named, role_of
from vosd.base.errors import VosError
from vosd.cdr.columns import iso_utc
from vosd.cdr.shown import shown_as
from vosd.storage.access import (
    AT_TERMINAL,
    MAKERS_MAX,
    OF_TOKEN,
    USE_NOTED_MS,
    Maker,
    NoSuchRoleError,
    NoSuchTokenError,
    StoredRole,
    StoredToken,
    TokenLine,
)

_BEGINNING: Final = "vosd"
_ID_BYTES: Final = 6
_SECRET_BYTES: Final = 32
_NO_DIGEST: Final = "0" * 64
ROLE_OF: Final = {ActsFor.INSTALLATION: Role.PROGRAM, ActsFor.AGENT: Role.AGENT, ActsFor.CUSTOMER: Role.CUSTOMER}


class UnauthorizedError(VosError):
    """The request has no proof, or one that is unknown, has ended, or is not for its address."""


class AddToken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A token for a program."""

    name: str
    """The program, as records name it."""
    role: str
    scopes: tuple[str, ...] = ()
    """Permissions or subjects to which the role is narrowed; empty = it has all of the role."""
    account: str | None = None
    """Account for which it acts, where its role is one of agents or customers."""
    networks: tuple[str, ...] = ()
    """Networks from which it may be used; empty = from anywhere."""
    expires_at: int | None = None
    """End of its validity; None = none."""

    def __post_init__(self) -> None:
        check_new_name(self.name)
        if self.name.startswith(("agent ", "token ")):  # records name agents and tokens so
            raise OrderError("name", "may not begin with agent or token")
        permissions_of(self.scopes)
        for network in self.networks:
            try:
                ip_network(network)
            except ValueError as error:
                raise OrderError("network", f"{network!r} is none", "write 192.0.2.0/24, or an address") from error


class NewToken(msgspec.Struct, frozen=True):
    """A token that was made."""

    id: str
    """Id of the token, by which it is listed and revoked."""
    token: str
    """The secret, which is shown this once."""


@needs(Permission.PEOPLE_CHANGE)
async def add_token(office: Office, who: Principal, order: AddToken) -> NewToken:
    """Make a token; that of a token with networks or an end has these at most, and has them where none are named.

    Raises:
        OrderError: the account is missing or unknown, or the token would have ended or would allow nothing.
        OrderError: it would be used from elsewhere, or longer, than the token that makes it.
        NoSuchRoleError: there is no such role.
        TooPowerfulError: the role has permissions that the principal has not.
        StoreUnavailable: probably nothing was made.
    """
    role, now = await role_named(office, order.role), office.now()
    require_all(who, role)
    check_account(office, role, order.account)
    if order.expires_at is not None and order.expires_at <= now:
        raise OrderError("expires", "is in the past")
    if not _narrowed(role, order.scopes):
        raise OrderError("scope", f"leaves nothing of the role {role.name}", "vosd user roles shows its permissions")
    order = _within(order, who.bounds)
    maker = await _maker_of(office, who)
    token_id, secret = secrets.token_hex(_ID_BYTES), secrets.token_urlsafe(_SECRET_BYTES)
    stored = StoredToken(
        id=token_id,
        name=order.name,
        digest=_digest(secret),
        role=role.name,
        scopes=order.scopes,
        account=order.account,
        networks=order.networks,
        created_at=now,
        created_by=who.recorded,
        expires_at=order.expires_at,
        maker=maker,
    )
    line = office.audit_line(who, order, f"{OF_TOKEN}{token_id}")
    await office.stores.access.add_token(stored, line, own_role=role.own_name)
    return NewToken(token_id, f"{_BEGINNING}_{token_id}_{secret}")


async def _maker_of(office: Office, who: Principal) -> str:
    """Return the person or token whose permissions bound what it makes, or that it is the terminal, which has all.

    Raises:
        OrderError: too many tokens have made each other.
    """
    if who.means is Means.TOKEN:
        line = await office.stores.access.line_of(who.login.removeprefix(OF_TOKEN))
        if line is not None and len(line.tokens) >= MAKERS_MAX:
            said = f"would be of a token that {MAKERS_MAX - 1} others have made, one after the other"
            raise OrderError("token", said, "make it with one of those, or as a person")
    return AT_TERMINAL if who.means is Means.TERMINAL else who.login


def _within(order: AddToken, bounds: TokenBounds | None) -> AddToken:
    """Return the order with the bounds of the token that gives it, where it names none."""
    if bounds is None:
        return order
    networks, ends = order.networks or bounds.networks, order.expires_at
    if bounds.networks and not all(_is_part(each, bounds.networks) for each in networks):
        raise OrderError("networks", f"are more than {', '.join(bounds.networks)}, those of the token that makes it")
    if bounds.expires_at is not None:
        if ends is not None and ends > bounds.expires_at:
            raise OrderError("expires", f"is behind {iso_utc(bounds.expires_at)}, the end of the token that makes it")
        ends = bounds.expires_at if ends is None else ends
    return msgspec.structs.replace(order, networks=networks, expires_at=ends)


def _is_part(network: str, wider: Iterable[str]) -> bool:
    found = ip_network(network)
    for each in map(ip_network, wider):
        if isinstance(found, IPv4Network) and isinstance(each, IPv4Network) and found.subnet_of(each):
            return True
        if isinstance(found, IPv6Network) and isinstance(each, IPv6Network) and found.subnet_of(each):
            return True
    return False


class TokenSheet(msgspec.Struct, frozen=True, kw_only=True):
    """A token; times are RFC 3339."""

    id: str
    name: str
    """Name of the program."""
    role: str
    scopes: tuple[str, ...]
    """Permissions that it is narrowed to; empty = all of its role."""
    account: str | None
    """Account of an agent or customer; None = the whole installation."""
    networks: tuple[str, ...]
    """Networks that it is taken from; empty = any."""
    created: str
    created_by: str
    expires: str | None
    """End of its validity; None = none."""
    last_used: str | None
    """To the minute."""
    revoked: str | None
    """Time at which it was revoked; None = it holds."""
    maker: str | None
    """Person, or token and its id, that has made it and bounds what it may do, or ``terminal``; None = it is not known,
    and the token is refused."""
    permissions: tuple[Permission, ...] = ()
    """Permissions that its role, its scopes and its maker leave; only of one that is shown alone."""
    refused: str | None = None
    """Why it is refused now, such as for its maker, who was disabled; None = it is taken; only of one that is shown
    alone."""


class ListTokens(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All tokens, or also those that were revoked."""

    revoked: bool = False
    """Whether tokens that were revoked are wanted, too."""


@needs(Permission.PEOPLE_SEE)
async def list_tokens(office: Office, who: Principal, order: ListTokens) -> list[TokenSheet]:
    """Return the tokens, the oldest first."""
    tokens = await office.stores.access.tokens()
    return [_sheet(each) for each in tokens if order.revoked or each.revoked_at is None]


class ShowToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One token."""

    id: str


@needs(Permission.PEOPLE_SEE)
async def show_token(office: Office, who: Principal, order: ShowToken) -> TokenSheet:
    """Return a token with the permissions that its role, its scopes and its maker leave.

    Raises:
        NoSuchTokenError: no token has the id.
    """
    await _known(office, order.id)
    line = await office.stores.access.line_of(order.id)
    assert line is not None, "tokens are never removed"
    sheet = _sheet(line.tokens[0][0])
    try:
        _, permissions = permissions_now(line, office.now())
    except UnauthorizedError as error:
        return msgspec.structs.replace(sheet, refused=str(error))
    return msgspec.structs.replace(sheet, permissions=tuple(each for each in Permission if each in permissions))


class PreviewToken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A token that might be made."""

    role: str
    scopes: tuple[str, ...] = ()
    """Permissions or subjects to which the role is narrowed; empty = it has all of the role."""


@needs(Permission.PEOPLE_SEE)
async def preview_token(office: Office, who: Principal, order: PreviewToken) -> frozenset[Permission]:
    """Return the permissions that a token of a role and scopes would have.

    Raises:
        OrderError: a scope is none.
        NoSuchRoleError: there is no such role.
    """
    return _narrowed(await role_named(office, order.role), order.scopes)


class RevokeToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The end of a token, at once."""

    id: str


@needs(Permission.PEOPLE_CHANGE)
async def revoke_token(office: Office, who: Principal, order: RevokeToken) -> TokenSheet:
    """End a token; the next request with it is refused. A token may always end itself.

    Raises:
        NoSuchTokenError: no token has the id, or it was revoked before.
        TooPowerfulError: its role has permissions that the principal has not.
    """
    token, now, subject = await _known(office, order.id), office.now(), f"{OF_TOKEN}{order.id}"
    if who.login != subject:
        with suppress(NoSuchRoleError):  # a role that is gone gives nothing
            require_all(who, await role_named(office, token.role))
    await office.stores.access.revoke(token.id, now, office.audit_line(who, order, subject))
    return _sheet(msgspec.structs.replace(token, revoked_at=now))


async def principal_of(office: Office, token: str, source: str) -> Principal:
    """Return the principal of a token that comes from an address.

    Raises:
        UnauthorizedError: it is unknown or has ended, or is not for the address.
        StoreUnavailable: it cannot be looked up.
    """
    beginning, _, rest = token.partition("_")
    token_id, _, secret = rest.partition("_")
    is_formed = beginning == _BEGINNING and token.isascii() and len(token_id) == 2 * _ID_BYTES
    access, now = office.stores.access, office.now()
    line = await access.line_of(token_id) if is_formed else None
    digest = _NO_DIGEST if line is None else line.tokens[0][0].digest
    if not hmac.compare_digest(_digest(secret), digest) or line is None:
        raise UnauthorizedError("the token is unknown: send one that vosd token add has printed")
    found, _ = line.tokens[0]
    role, permissions = permissions_now(line, now)
    if found.networks and not _is_in(source, found.networks):
        raise UnauthorizedError(f"token {found.id} may not be used from {source}")
    if found.used_at is None or now - found.used_at >= USE_NOTED_MS:
        await access.note_use(found.id, now)
    return Principal(
        role=ROLE_OF[role.acts_for],
        name=found.name,
        login=f"{OF_TOKEN}{found.id}",
        means=Means.TOKEN,
        permissions=permissions,
        source=source,
        account=found.account,
        bounds=TokenBounds(found.networks, found.expires_at) if found.networks or found.expires_at else None,
        makers=line.makers,
    )


def permissions_now(line: TokenLine, now: int) -> tuple[RoleSheet, frozenset[Permission]]:
    """Return the role of a token and its permissions: those that all who have made it have now, too.

    Raises:
        UnauthorizedError: it was revoked, has ended or has no role any more, or that is so of a token that has made
            it; or the person who has made it is disabled, or its maker is not known.
    """
    roles, permissions = [], ALL
    for token, stored_role in line.tokens:
        role = _role_that_holds(token, stored_role, now)
        roles.append(role)
        permissions &= _narrowed(role, token.scopes)
    last, first = line.tokens[-1][0], line.tokens[0][0]
    if last.maker is None:
        raise UnauthorizedError(f"the maker of token {last.id} is not known: make another token")
    if last.maker != AT_TERMINAL:
        permissions &= _permissions_of_person(first, line.person)
    return roles[0], permissions


def _role_that_holds(token: StoredToken, stored_role: StoredRole | None, now: int) -> RoleSheet:
    if token.revoked_at is not None:
        raise UnauthorizedError(f"token {token.id} was revoked")
    if token.expires_at is not None and token.expires_at <= now:
        raise UnauthorizedError(f"token {token.id} ended at {iso_utc(token.expires_at)}")
    try:
        return role_of(token.role, stored_role)
    except NoSuchRoleError as error:
        raise UnauthorizedError(f"token {token.id} has a role that is gone: {token.role}") from error


def _permissions_of_person(token: StoredToken, person: Maker | None) -> frozenset[Permission]:
    """Return what the person may do who has made a token, or the tokens before it; raises UnauthorizedError."""
    if person is None:
        raise UnauthorizedError(f"token {token.id} was made by a person or token that is not known any more")
    if person.disabled_at is not None:
        raise UnauthorizedError(f"token {token.id} was made by a person who is disabled now")
    try:
        role = role_of(person.role, person.stored_role)
    except NoSuchRoleError as error:
        raise UnauthorizedError(f"token {token.id} was made by a person whose role is gone") from error
    if role.acts_for is not ActsFor.INSTALLATION:  # no role of these makes tokens: it has another one since
        raise UnauthorizedError(f"token {token.id} was made by a person who acts for an account now")
    return role.permissions


async def _known(office: Office, token_id: str) -> StoredToken:
    token = await office.stores.access.token(token_id)
    if token is None:
        raise NoSuchTokenError(f"no token has the id {token_id!r}: vosd token list has them")
    return token


def _narrowed(role: RoleSheet, scopes: tuple[str, ...]) -> frozenset[Permission]:
    """Return the permissions of a token: who may order long work may see what becomes of it, whatever the scopes."""
    left = role.permissions & permissions_of(scopes) if scopes else role.permissions
    return left | (role.permissions & {Permission.JOBS}) if left else left


def _is_in(source: str, networks: tuple[str, ...]) -> bool:
    try:
        address: IPv4Address | IPv6Address = ip_address(source.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in ip_network(each) for each in networks)


def _digest(secret: str) -> str:
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _sheet(token: StoredToken) -> TokenSheet:
    def moment(at: int | None) -> str | None:
        return None if at is None else iso_utc(at)

    return shown_as(
        TokenSheet,
        token,
        created=iso_utc(token.created_at),
        expires=moment(token.expires_at),
        last_used=moment(token.used_at),
        revoked=moment(token.revoked_at),
        maker="terminal" if token.maker == AT_TERMINAL else token.maker,
    )
