"""The program ``vosd``: its list of verbs."""

from typing import Final

import click

from vosd import __version__
from vosd.cli.command import VerbDirectory
from vosd.cli.commit import commit

VERBS: Final = {
    "help": "vosd.cli.help:show_help",
    "run": "vosd.cli.daemon:run",
    "check": "vosd.cli.daemon:check",
    "migrate": "vosd.cli.daemon:migrate",
    "reload": "vosd.cli.daemon:reload",
    "restart": "vosd.cli.daemon:restart",
    "status": "vosd.cli.daemon:status",
    "calls": "vosd.cli.calls:calls",
    "hangup": "vosd.cli.calls:hangup",
    "cdr": "vosd.cli.cdr:cdr",
    "account": "vosd.cli.accounts:account",
    "payment": "vosd.cli.payments:payment",
    "ledger": "vosd.cli.ledger:ledger",
    "audit": "vosd.cli.audit:audit",
    "user": "vosd.cli.users:user",
    "token": "vosd.cli.tokens:token",
    "jobs": "vosd.cli.jobs:jobs",
    "spool": "vosd.cli.spool:spool",
    "rate": "vosd.cli.rates:rate",
    "route": "vosd.cli.routes:route",
    "rates": "vosd.cli.decks:rates",
    "definitions": "vosd.cli.definitions:definitions",
    "did": "vosd.cli.dids:did",
    "trunk": "vosd.cli.trunks:trunk",
    "parameters": "vosd.cli.parameters:parameters",
    "gateway": "vosd.cli.overrides:gateway",
    "overrides": "vosd.cli.overrides:overrides",
    "registrations": "vosd.cli.registrations:registrations",
    "trace": "vosd.cli.trace:trace",
    "alarms": "vosd.cli.alarms:alarms",
    "events": "vosd.cli.events:events",
    "webhooks": "vosd.cli.webhooks:webhooks",
    "blacklist": "vosd.cli.sources:blacklist",
    "why": "vosd.cli.why_calls:why",
    "rerate": "vosd.cli.rerate:rerate",
    "reconcile": "vosd.cli.reconcile:reconcile",
    "report": "vosd.cli.reports:report",
    "invoice": "vosd.cli.invoices:invoice",
    "month": "vosd.cli.months:month",
    "call": "vosd.cli.trial:call",
    "unblock": "vosd.cli.sources:unblock",
    "retention": "vosd.cli.retention:retention",
    "backup": "vosd.cli.backup:backup",
    "restore": "vosd.cli.backup:restore",
    "api": "vosd.cli.api:api",
}
"""Verb to its command, in the order in which ``vosd --help`` lists them."""
NOT_BUILT: Final = frozenset({"package", "cards"})
"""Verbs of capabilities that do not exist yet."""
SUMMARIES: Final = {
    "help": "Show the page of a verb, as --help does: vosd help, vosd help cdr list.",
    "run": "Run the switch in the foreground; SIGHUP loads the configuration again,...",
    "check": "Validate the configuration and list every problem: exit code 0 or 3.",
    "migrate": "Upgrade the database to this version; existing data stays.",
    "reload": "Have the running switch load the configuration again; an invalid one changes...",
    "restart": "Have the running switch hand its calls over to a new process of the installed...",
    "status": "Show the state of the running switch.",
    "calls": "List the running calls, oldest first; in ladders digest credentials and media...",
    "hangup": "End calls: the one whose id is or begins with CALL_ID, or all that match...",
    "cdr": "Call detail records.",
    "account": "Accounts and their balances.",
    "payment": "Money that does not come from calls.",
    "ledger": "The ledger.",
    "audit": "List who has booked, confirmed or closed what, by which login, the newest first.",
    "user": "People of the management API, and roles.",
    "token": "Tokens of programs for the management API.",
    "jobs": "Long work of the management API: list, show, cancel.",
    "spool": "Call records that the database refused, and the files of the journal.",
    "rate": "Prices.",
    "route": "Routes.",
    "rates": "Rate groups, and their decks in the database: import, versions, look-up, export.",
    "definitions": "Objects that the database defines: accounts, gateways, phones, rate groups ...",
    "did": "Numbers that were given to customers: import, list, assign, free.",
    "trunk": "Trunks: what one would be sent for a message, and by which rule.",
    "parameters": "List the parameters of VOS3000: value, source and meaning of each.",
    "gateway": "Gateways and phones, and overrides of them: at once, without editing files,...",
    "overrides": "Operational overrides of gateways, phones and accounts.",
    "registrations": "List phones and gateways that are registered with us, and our own...",
    "trace": "Follow new calls that match every option given, and draw each when it has...",
    "alarms": "List the alarms that hold, the most urgent first.",
    "events": "Print the live events of calls, gateways, alarms, balances, overrides and...",
    "webhooks": "Events that receivers of ``webhooks`` did not get.",
    "blacklist": "Callers that are refused because they exceeded a limit of ``dynamic_blacklist``.",
    "why": "Say why calls ended as they did: what to read first, then every detail,...",
    "rerate": "Rate the booked calls of a span again, and show by account, prefix and call...",
    "reconcile": "Vendors' bills: compare a vendor's file with our calls, show what differs,...",
    "report": "Reports over calls: revenue, gateways, destinations, quality, profit ...",
    "invoice": "Invoices: make those of a period, show what is paid, print them, take them back.",
    "month": "The end of a month.",
    "call": "One call, running or over; test calls.",
    "unblock": "Unblock ADDRESS, which was locked out or blocked for a flood; exit code 1 if...",
    "retention": "Records whose time is over.",
    "backup": "Write a backup to a file: database, journal, and configuration with the files...",
    "restore": "Put a backup into an empty database, and its journal into a state_dir that...",
    "api": "Answer the management API at ``api.listen`` in the foreground; the switch...",
}
"""Verb to the line that ``vosd --help`` has of it, so that no verb is loaded for that."""


def _show_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        built_from = commit()
        click.echo(f"vosd, version {__version__}{f', commit {built_from}' if built_from else ''}")
        ctx.exit()


@click.group(
    cls=VerbDirectory,
    table=VERBS,
    summaries=SUMMARIES,
    not_built=NOT_BUILT,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and the commit that it was built from.",
)
def main() -> None:
    """Run and operate a SIP softswitch: calls, routes, rates, money."""
