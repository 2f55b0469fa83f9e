"""``vosd user``: people of the management API, and the roles of people and programs."""

import sys
from typing import TYPE_CHECKING

import click

from vosd.cli import output
from vosd.cli.arguments import operator_verb
from vosd.cli.command import Family, Invocation, OperationError, json_verb
from vosd.cli.console_start import answers_soon, is_journal
from vosd.cli.office import ordered

if TYPE_CHECKING:
    from vosd.admin.office.people import PersonLink, PersonSheet
    from vosd.admin.office.principal import Permission, RoleSheet
    from vosd.engine.settings import ApiSettings


@click.group(cls=Family)
def user() -> None:
    """People of the management API, and roles."""


@user.command("add")
@click.argument("name")
@click.option("--role", required=True, metavar="ROLE", help="One of those that vosd user roles lists.")
@click.option("--account", metavar="ID", help="For the roles agent and customer: the account for which it acts.")
@operator_verb
def add(invocation: Invocation, name: str, role: str, account: str | None) -> None:
    """Add the person NAME, and print a link for its first password; the link ends after use, or after 24 hours."""
    from vosd.admin.office.people import AddPerson, add_person

    order = AddPerson(name=name, role=role, account=account)
    _print_link(invocation, ordered(invocation, add_person, order))


@user.command("reset")
@click.argument("name")
@operator_verb
def reset(invocation: Invocation, name: str) -> None:
    """Forget password, second factor and sessions of NAME, and print a link for a new password."""
    from vosd.admin.office.people import ResetPerson, reset_person

    link = ordered(invocation, reset_person, ResetPerson(name))
    _print_link(invocation, link)


@user.command("first")
@click.option("--wait", is_flag=True, help="Wait until the console answers, or the program that began this one ends.")
@operator_verb
def first(invocation: Invocation, wait: bool) -> None:
    """Print the address of the console, with a one-time link while no administrator can log in.

    The link makes the person admin with the role administrator; it ends after use, or after 24 hours. It is not printed
    into the journal of systemd.
    """
    from vosd.admin.office.people import InviteFirst, invite_first

    api = invocation.settings.api
    if api is None or not api.console:
        raise OperationError("there is no console: say api.listen, such as 127.0.0.1:8080")
    if wait and not answers_soon(api.listen, has_tls=api.certificate is not None):
        return
    link = None if is_journal() else ordered(invocation, invite_first, InviteFirst())
    address = f"{_address(api)}{'/' if link is None else link.link}"
    output.outcome({"console": address}, f"console: {address}")


def _address(api: "ApiSettings") -> str:
    host = f"[{api.listen.host}]" if ":" in api.listen.host else api.listen.host
    return f"{'http' if api.certificate is None else 'https'}://{host}:{api.listen.port}"


def _print_link(invocation: Invocation, made: "PersonLink") -> None:
    """Print a link as an address of the API, or its path where none is configured."""
    api = invocation.settings.api
    shown = {"name": made.name, "link": ("" if api is None else _address(api)) + made.link, "until": made.until}
    if not output.printed_as_json(shown):
        output.sheet(shown)


@user.command("list")
@json_verb
def list_all(invocation: Invocation) -> None:
    """List the people by name."""
    from vosd.admin.office.people import ListPeople, list_people

    found = ordered(invocation, list_people, ListPeople())
    output.records(("name", "role", "account", "state", "totp", "last_login"), found, empty="there are no people")


@user.command("disable")
@click.argument("name")
@operator_verb
def disable(invocation: Invocation, name: str) -> None:
    """Have NAME log in no more, and end its sessions."""
    from vosd.admin.office.people import DisablePerson, disable_person

    sheet = ordered(invocation, disable_person, DisablePerson(name))
    _print_changed(sheet)


@user.command("enable")
@click.argument("name")
@operator_verb
def enable(invocation: Invocation, name: str) -> None:
    """Let NAME log in again, with the password that it had."""
    from vosd.admin.office.people import EnablePerson, enable_person

    _print_changed(ordered(invocation, enable_person, EnablePerson(name)))


@user.command("role")
@click.argument("name")
@click.argument("role")
@click.option("--account", metavar="ID", help="For the roles agent and customer: the account for which it acts.")
@operator_verb
def give(invocation: Invocation, name: str, role: str, account: str | None) -> None:
    """Give NAME another ROLE; its sessions end."""
    from vosd.admin.office.people import GiveRole, give_role

    order = GiveRole(name=name, role=role, account=account)
    _print_changed(ordered(invocation, give_role, order))


@user.command("passwd")
@click.argument("name")
@operator_verb
def passwd(invocation: Invocation, name: str) -> None:
    """Set the password of NAME, which is read from the terminal or as a line of standard input."""
    from vosd.admin.office.people import SetPassword, set_password

    try:
        if sys.stdin.isatty():
            password = click.prompt("New password", hide_input=True, confirmation_prompt=True)
        else:
            password = sys.stdin.readline().rstrip("\n")
        password.encode()  # the locale C reads any bytes, as letters that no browser sends
    except UnicodeError as error:
        raise click.UsageError("the password is no text in the encoding of this terminal or locale") from error
    order = SetPassword(name=name, password=password)
    _print_changed(ordered(invocation, set_password, order))


def _print_changed(person: "PersonSheet") -> None:
    output.outcome(person, f"{person.name}: {person.role}, {person.state}; its sessions have ended")


@user.command("roles")
@json_verb
def roles(invocation: Invocation) -> None:
    """List the roles with their permissions: those that ship, then the installation's own."""
    from vosd.admin.office.roles import ListRoles, list_roles

    found = ordered(invocation, list_roles, ListRoles())
    if output.printed_as_json([_shown(each) for each in found]):
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
@operator_verb
def role_set(
    invocation: Invocation, name: str, permissions: tuple[str, ...], acts_for: str | None, totp: bool | None
) -> None:
    """Make or change the role NAME; of a role that ships only --totp can be changed."""
    from vosd.admin.office.principal import ActsFor
    from vosd.admin.office.roles import SetRole, set_role

    whose = None if acts_for is None else ActsFor(acts_for)
    order = SetRole(name=name, permissions=_permissions(permissions), acts_for=whose, wants_totp=totp)
    role = ordered(invocation, set_role, order)
    output.outcome(_shown(role), f"role {role.name}: {' '.join(sorted(role.permissions))}")


def _permissions(names: tuple[str, ...]) -> "tuple[Permission, ...] | None":
    from vosd.admin.office.principal import Permission

    unknown = [each for each in names if each not in set(Permission)]
    if unknown:
        expected = ", ".join(Permission)
        raise click.BadParameter(f"{unknown[0]!r} is none: expected one of {expected}", param_hint="--permission")
    return tuple(map(Permission, names)) or None


@user.command("role-drop")
@click.argument("name")
@operator_verb
def role_drop(invocation: Invocation, name: str) -> None:
    """Remove the role NAME, which neither people nor tokens have."""
    from vosd.admin.office.roles import DropRole, drop_role

    role = ordered(invocation, drop_role, DropRole(name))
    output.outcome(_shown(role), f"role {role.name} is removed")


def _shown(role: "RoleSheet") -> dict[str, object]:
    from msgspec import to_builtins

    shown: dict[str, object] = to_builtins(role)
    return shown | {"permissions": sorted(role.permissions)}
