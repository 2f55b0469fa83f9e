"""Operations about access: people, tokens, roles, and what each of them may do here."""

from collections.abc import Collection, Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

import msgspec

from vosd.admin.office.agent_rights import list_agents
from vosd.admin.office.office import Office
from vosd.admin.office.people import (
    PersonLink,
    add_person,
    disable_person,
    enable_person,
    give_role,
    list_people,
    reset_person,
    show_person,
)
from vosd.admin.office.principal import ActsFor, Permission, Principal, RoleSheet
from vosd.admin.office.roles import ListRoles, drop_role, list_roles, role_named, set_role
from vosd.admin.office.tokens import (
    NewToken,
    PreviewToken,
    ShowToken,
    add_token,
    list_tokens,
    preview_token,
    revoke_token,
    show_token,
)
from vosd.api.operation import AskNothing, Listing, Operation


class RoleDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A role: permissions under a name."""

    name: str
    """Name of the role."""
    permissions: tuple[Permission, ...]
    acts_for: ActsFor
    """Accounts that it is about."""
    wants_totp: bool
    """Whether people of it log in with a second factor."""
    ships: bool
    """Whether it comes with the program; its permissions cannot be changed then."""


class AllowedOperation(msgspec.Struct, frozen=True):
    """An operation that permissions allow; which objects it shows and changes depends on the account, too."""

    method: str
    """Method of HTTP."""
    path: str
    """Path below /api/v1, with its fields in braces."""
    permission: Permission
    """Permission that it needs; of one's own jobs that of their order does, too."""
    meaning: str
    """Sentence that says what it does."""


class Myself(msgspec.Struct, frozen=True, kw_only=True):
    """Sender of the request."""

    name: str
    """Name of the person or token."""
    login: str
    """Name of the person, or ``token`` and the id."""
    acts_for: str
    """``operator`` and ``program``: the whole installation; ``agent`` and ``customer``: the account."""
    means: str
    """``token``, or ``page`` for a session."""
    account: str | None
    """Account of an agent or customer; null = the whole installation."""
    permissions: tuple[Permission, ...]
    operations: tuple[AllowedOperation, ...]
    """Operations that it may use."""


def _document(role: RoleSheet) -> RoleDocument:
    return RoleDocument(
        name=role.name,
        permissions=_in_order(role.permissions),
        acts_for=role.acts_for,
        wants_totp=role.wants_totp,
        ships=role.ships,
    )


def _in_order(permissions: Collection[Permission]) -> tuple[Permission, ...]:
    return tuple(each for each in Permission if each in permissions)


async def read_roles(office: Office, who: Principal, order: ListRoles) -> list[RoleDocument]:
    """Return all roles."""
    return [_document(each) for each in await list_roles(office, who, order)]


def _place_of_person(made: PersonLink) -> str:
    return f"/api/v1/people/{quote(made.name, safe='')}"


def _place_of_token(made: NewToken) -> str:
    return f"/api/v1/tokens/{made.id}"


_PEOPLE_AND_TOKENS: Final = (
    Operation(
        "GET /people",
        "People who log in, without secrets.",
        list_people,
        listing=Listing("name", filters=("role", "account", "state"), sorts=("name", "created", "last_login")),
    ),
    Operation(
        "POST /people",
        "Add a person; the answer has the one-time link for its first password, which is shown this once.",
        add_person,
        problems=("no_such_role", "person_exists", "too_powerful"),
        status=HTTPStatus.CREATED,
        location=_place_of_person,
        makes_secret=True,
    ),
    Operation("GET /people/{name}", "A person, without secrets.", show_person, problems=("no_such_person",)),
    Operation(
        "PUT /people/{name}/role",
        "Give a person another role; its sessions end.",
        give_role,
        problems=("changed_meanwhile", "last_administrator", "no_such_person", "no_such_role", "too_powerful"),
    ),
    Operation(
        "POST /people/{name}/disable",
        "Have a person log in no more, and end its sessions.",
        disable_person,
        problems=("changed_meanwhile", "last_administrator", "no_such_person", "too_powerful"),
    ),
    Operation(
        "POST /people/{name}/enable",
        "Let a person log in again, with the password that it had.",
        enable_person,
        problems=("changed_meanwhile", "no_such_person", "too_powerful"),
    ),
    Operation(
        "POST /people/{name}/reset",
        "Forget password, second factor and sessions of a person; the answer has a link for a new password.",
        reset_person,
        problems=("changed_meanwhile", "no_such_person", "too_powerful"),
        makes_secret=True,
    ),
    Operation(
        "GET /tokens",
        "Tokens of programs, without secrets.",
        list_tokens,
        listing=Listing("id", filters=("name", "role", "account", "maker"), sorts=("created", "name", "last_used")),
    ),
    Operation(
        "POST /tokens",
        "Make a token; the answer has its secret, which is shown this once.",
        add_token,
        problems=("no_such_role", "too_powerful"),
        status=HTTPStatus.CREATED,
        location=_place_of_token,
        makes_secret=True,
    ),
    Operation(
        "GET /tokens/{id}",
        "A token with the permissions that its role, its scopes and its maker leave.",
        show_token,
        problems=("no_such_token",),
    ),
    Operation(
        "DELETE /tokens/{id}",
        "Revoke a token: the next request with it is refused.",
        revoke_token,
        problems=("no_such_token", "too_powerful"),
    ),
    Operation(
        "GET /agents",
        "Agents with their rights, and the people and programs that act for each.",
        list_agents,
        listing=Listing("account", filters=("agent",), sorts=("account",)),
    ),
    Operation(
        "GET /roles",
        "Roles that ship, and the installation's own.",
        read_roles,
        use_case=list_roles,
        listing=Listing("name", filters=("name", "acts_for", "ships", "wants_totp"), sorts=("name",)),
    ),
    Operation(
        "PUT /roles/{name}",
        "Make or change a role of the installation's own; of one that ships, whether it wants a second factor.",
        set_role,
        result=RoleDocument,
        shown=_document,
        problems=("changed_meanwhile", "last_administrator", "too_powerful"),
    ),
    Operation(
        "DELETE /roles/{name}",
        "Remove a role of the installation's own that neither people nor tokens have.",
        drop_role,
        result=RoleDocument,
        shown=_document,
        problems=("last_administrator", "no_such_role", "role_in_use", "too_powerful"),
    ),
)


def operations_beside(others: Sequence[Operation]) -> tuple[Operation, ...]:
    """Return the operations about access; some of them list all operations, themselves and ``others``."""

    def allowed(permissions: Collection[Permission], *, of_account: bool) -> tuple[AllowedOperation, ...]:
        return tuple(
            AllowedOperation(each.method, each.path, each.permission, each.meaning)
            for each in (*others, *own)
            if each.permission is not None and each.is_open_to(permissions)
            if each.is_for_accounts or not of_account
        )

    async def of_token(office: Office, who: Principal, order: ShowToken) -> list[AllowedOperation]:
        token = await show_token(office, who, order)
        return list(allowed(token.permissions, of_account=token.account is not None))

    async def of_role(office: Office, who: Principal, order: PreviewToken) -> list[AllowedOperation]:
        permissions, role = await preview_token(office, who, order), await role_named(office, order.role)
        return list(allowed(permissions, of_account=role.acts_for is not ActsFor.INSTALLATION))

    async def who_am_i(_office: Office, who: Principal, _order: AskNothing) -> Myself:
        return Myself(
            name=who.name,
            login=who.login,
            acts_for=who.role.value,
            means=who.means.value,
            account=who.account,
            permissions=_in_order(who.permissions),
            operations=allowed(who.permissions, of_account=who.account is not None),
        )

    own = (
        *_PEOPLE_AND_TOKENS,
        Operation(
            "GET /tokens/{id}/operations",
            "Operations that a token allows.",
            of_token,
            use_case=show_token,
            problems=("no_such_token",),
            listing=Listing(),
        ),
        Operation(
            "GET /roles/{role}/operations",
            "Operations that a token of a role would allow, narrowed to scopes.",
            of_role,
            use_case=preview_token,
            problems=("no_such_role",),
            listing=Listing(),
        ),
        Operation(
            "GET /me",
            "Name, account, permissions and operations of the token or session that asks.",
            who_am_i,
            permission=None,
            is_for_everyone=True,
        ),
    )
    return own
