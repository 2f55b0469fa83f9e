"""The program ``vosd``: its list of verbs."""

from typing import Final

import click

from vosd import __version__
from vosd.cli.command import Directory

VERBS: Final = {
    "run": "vosd.cli.daemon:run",
    "check": "vosd.cli.daemon:check",
    "migrate": "vosd.cli.daemon:migrate",
    "reload": "vosd.cli.daemon:reload",
    "status": "vosd.cli.daemon:status",
    "calls": "vosd.cli.calls:calls",
    "hangup": "vosd.cli.calls:hangup",
    "cdr": "vosd.cli.cdr:cdr",
    "account": "vosd.cli.accounts:account",
    "payment": "vosd.cli.payments:payment",
    "ledger": "vosd.cli.ledger:ledger",
    "spool": "vosd.cli.spool:spool",
    "rate": "vosd.cli.rates:rate",
    "route": "vosd.cli.routes:route",
    "rates": "vosd.cli.decks:rates",
    "gateway": "vosd.cli.overrides:gateway",
    "overrides": "vosd.cli.overrides:overrides",
    "registrations": "vosd.cli.registrations:registrations",
    "trace": "vosd.cli.trace:trace",
    "alarms": "vosd.cli.alarms:alarms",
    "blacklist": "vosd.cli.blacklist:blacklist",
    "why": "vosd.cli.why_calls:why",
    "rerate": "vosd.cli.rerate:rerate",
    "reconcile": "vosd.cli.later:reconcile",
    "report": "vosd.cli.later:report",
    "call": "vosd.cli.trial:call",
    "unblock": "vosd.cli.sources:unblock",
    "retention": "vosd.cli.retention:retention",
    "backup": "vosd.cli.backup:backup",
    "restore": "vosd.cli.backup:restore",
}
"""Verb to its command, in the order in which ``vosd --help`` lists them."""


@click.group(cls=Directory, table=VERBS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="vosd")
def main() -> None:
    """Run and operate a SIP softswitch: calls, routes, rates, money."""
