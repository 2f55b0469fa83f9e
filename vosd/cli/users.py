"""``vosd user``: people of the management API, and the roles of people and programs."""

from typing import TYPE_CHECKING

import click

from vosd.cli import output
from vosd.cli.arguments import operator_option
from vosd.cli.command import Family, Invocation, json_option, pass_invocation
from vosd.cli.office import in_office, principal

if TYPE_CHECKING:
    from vosd.admin.office.permissions import RoleSheet


@click.group(cls=Family)
def user() -> None:
    """People of the management API, and roles."""


@user.command("roles")
@json_option
@pass_invocation
def roles(invocation: Invocation, as_json: bool) -> None:
    """List the roles with their permissions: those that ship, then the installation's own."""
    from vosd.admin.office.roles import ListRoles, list_roles

    who = principal()
    found = in_office(invocation, lambda office: list_roles(office, who, ListRoles()))
    if as_json:
        output.document([_shown(each) for each in found])
        return
    rows = [
        (each.name, each.acts_for.value, "yes" if each.wants_totp else "no", " ".join(sorted(each.permissions)))
        for each in found
    ]
    output.table(("role", "acts_for", "totp", "permissions"), rows, empty="")


@user.command("role-set")
@click.argument("name")
@click.option("--permission", "permissions", multiple=True, metavar="P", help="All of them anew: money.see ...")
@click.option(
    "--acts-for", type=click.Choice(["installation", "agent", "customer"]), help="The accounts that it is about."
)
@click.option("--totp/--no-totp", default=None, help="Whether its people log in with a second factor.")
@operator_option
@json_option
@pass_invocation
def role_set(
    invocation: Invocation,
    name: str,
    permissions: tuple[str, ...],
    acts_for: str | None,
    totp: bool | None,
    operator: str,
    as_json: bool,
) -> None:
    """Make or change the role NAME; of a role that ships only --totp can be changed."""
    from vosd.admin.office.permissions import ActsFor, Permission
    from vosd.admin.office.roles import SetRole, set_role

    unknown = [each for each in permissions if each not in set(Permission)]
    if unknown:
        expected = ", ".join(Permission)
        raise click.BadParameter(f"{unknown[0]!r} is none: expected one of {expected}", param_hint="--permission")
    order = SetRole(
        name=name,
        permissions=tuple(map(Permission, permissions)) or None,
        acts_for=None if acts_for is None else ActsFor(acts_for),
        wants_totp=totp,
    )
    who = principal(operator)
    role = in_office(invocation, lambda office: set_role(office, who, order))
    if as_json:
        output.document(_shown(role))
    else:
        output.line(f"role {role.name}: {' '.join(sorted(role.permissions))}")


@user.command("role-drop")
@click.argument("name")
@operator_option
@json_option
@pass_invocation
def role_drop(invocation: Invocation, name: str, operator: str, as_json: bool) -> None:
    """Remove the role NAME, which neither people nor tokens have."""
    from vosd.admin.office.roles import DropRole, drop_role

    who = principal(operator)
    role = in_office(invocation, lambda office: drop_role(office, who, DropRole(name)))
    if as_json:
        output.document(_shown(role))
    else:
        output.line(f"role {role.name} is removed")


def _shown(role: "RoleSheet") -> dict[str, object]:
    from msgspec import to_builtins

    shown: dict[str, object] = to_builtins(role)
    return shown | {"permissions": sorted(role.permissions)}
