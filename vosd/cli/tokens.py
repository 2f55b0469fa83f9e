"""``vosd token``: what programs prove their name by to the management API."""

from typing import Final

import click

from vosd.cli import output
from vosd.cli.arguments import MOMENT, operator_verb
from vosd.cli.command import Family, Invocation, json_verb
from vosd.cli.office import ordered

_COLUMNS: Final = ("id", "name", "role", "account", "maker", "expires", "last_used")


@click.group(cls=Family)
def token() -> None:
    """Tokens of programs for the management API."""


@token.command("add")
@click.argument("name")
@click.option("--role", required=True, metavar="ROLE", help="What it may do: vosd user roles lists the roles.")
@click.option("--scope", "scopes", multiple=True, metavar="S", help="Only this of it: read, accounts, accounts.see ...")
@click.option("--account", metavar="ID", help="For the roles agent and customer: the account for which it acts.")
@click.option("--network", "networks", multiple=True, metavar="CIDR", help="It may come from here alone.")
@click.option("--expires", type=MOMENT, metavar="TIME", help="Its end.")
@operator_verb
def add(
    invocation: Invocation,
    name: str,
    role: str,
    scopes: tuple[str, ...],
    account: str | None,
    networks: tuple[str, ...],
    expires: int | None,
) -> None:
    """Make a token for the program NAME, and print it this once."""
    from vosd.admin.office.tokens import AddToken, add_token

    order = AddToken(name=name, role=role, scopes=scopes, account=account, networks=networks, expires_at=expires)
    made = ordered(invocation, add_token, order)
    if not output.printed_as_json(made):
        output.sheet({"id": made.id, "token": made.token})


@token.command("list")
@click.option("--revoked", is_flag=True, help="Also those that were revoked.")
@json_verb
def list_all(invocation: Invocation, revoked: bool) -> None:
    """List the tokens, the oldest first."""
    from vosd.admin.office.tokens import ListTokens, list_tokens

    found = ordered(invocation, list_tokens, ListTokens(revoked))
    output.records((*_COLUMNS, *(["revoked"] if revoked else [])), found, empty="there are no tokens")


@token.command("show")
@click.argument("token_id", metavar="ID")
@json_verb
def show(invocation: Invocation, token_id: str) -> None:
    """Show a token, and which permissions its role, its scopes and its maker leave."""
    from msgspec import to_builtins

    from vosd.admin.office.tokens import ShowToken, show_token

    found = ordered(invocation, show_token, ShowToken(token_id))
    if not output.printed_as_json(found):
        output.sheet(to_builtins(found))


@token.command("revoke")
@click.argument("token_id", metavar="ID")
@operator_verb
def revoke(invocation: Invocation, token_id: str) -> None:
    """End a token at once."""
    from vosd.admin.office.tokens import RevokeToken, revoke_token

    ended = ordered(invocation, revoke_token, RevokeToken(token_id))
    output.outcome(ended, f"token {ended.id} of {ended.name} is revoked")
