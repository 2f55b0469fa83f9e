"""``vosd run``, ``check``, ``migrate``, ``reload`` and ``status``: the life of the daemon."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from vosd import __version__
from vosd.admin.control import DaemonRefusedError, RunningSwitch
from vosd.cli import output
from vosd.cli.command import BadConfigurationError, Invocation, Verb, json_option, pass_invocation

if TYPE_CHECKING:
    from vosd.admin.differences import Difference
    from vosd.config.load import Loaded
    from vosd.config.problems import Problem

BAD_CONFIGURATION: Final = BadConfigurationError.exit_code


@click.command(cls=Verb)
@pass_invocation
def run(invocation: Invocation) -> None:
    """Run the switch in the foreground; SIGHUP loads the configuration again, Ctrl-C stops it."""
    from vosd.daemon.bootstrap import run_switch

    config = invocation.config_path()
    run_switch(config, greet=lambda loaded: _greet(config, loaded))


def _greet(config: Path, loaded: "Loaded") -> None:
    """Tell whoever started the switch where it listens and what to do next."""
    settings, gateways = loaded.settings, loaded.catalogue.mapping_gateways.values()
    payer = next((gateway.account for gateway in gateways), "ID")
    vosd, option = sys.argv[0], f"-c {config}"
    output.line(f"vosd {__version__} ({settings.node}) takes calls at {', '.join(map(str, settings.listen))}. Next:")
    output.table(
        ("to", "say"),
        (
            ("give a customer money", f"{vosd} payment add --account {payer} --amount 10 {option}"),
            ("watch calls", f"{vosd} calls {option}"),
            ("look back at calls", f"{vosd} cdr list {option}"),
            ("take an edited file", f"{vosd} reload {option}"),
            ("stop", "Ctrl-C"),
        ),
        empty="",
    )


@click.command(cls=Verb)
@click.option("--diff", is_flag=True, help="Show what differs from the configuration that is running.")
@json_option
@pass_invocation
def check(invocation: Invocation, diff: bool, as_json: bool) -> None:
    """Validate the configuration and list every problem: exit code 0 or 3."""
    from vosd.config.load import load
    from vosd.config.problems import ConfigError

    path = invocation.config_path()
    try:
        loaded = load(path)
    except ConfigError as error:
        _show_problems(error.problems, as_json)
        sys.exit(BAD_CONFIGURATION)
    if diff:
        _show_differences(_differences(loaded), as_json)
        return
    _show_problems([*loaded.problems, *loaded.rate_report], as_json)
    if not as_json:
        output.line(f"{path} holds: {_summary(loaded)}")


def _show_problems(problems: Sequence["Problem"], as_json: bool) -> None:
    if as_json:
        output.document([{**problem._asdict(), "severity": problem.severity.value} for problem in problems])
        return
    for problem in problems:
        output.line(str(problem))


def _summary(loaded: "Loaded") -> str:
    catalogue = loaded.catalogue
    counts = {
        "account": len(catalogue.accounts),
        "mapping gateway": len(catalogue.mapping_gateways) - len(catalogue.phones),
        "routing gateway": len(catalogue.routing_gateways),
        **({"phone": len(catalogue.phones)} if catalogue.phones else {}),
        "rate": sum(len(group.rates) for group in catalogue.rate_groups.values()),
    }
    return ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for name, count in counts.items())


def _differences(loaded: "Loaded") -> "list[Difference]":
    from vosd.admin.differences import compare, describe

    switch = RunningSwitch(loaded.settings.control_socket)
    running = asyncio.run(switch.ask("configuration"))
    return compare(running, describe(loaded.settings, loaded.transports, loaded.catalogue))


def _show_differences(differences: "list[Difference]", as_json: bool) -> None:
    if as_json:
        output.document(differences)
        return
    output.table(
        ("object", "key", "running", "file"),
        [(each.object, each.key, each.running, each.file) for each in differences],
        empty="what runs is what the file says",
    )


@click.command(cls=Verb)
@pass_invocation
def migrate(invocation: Invocation) -> None:
    """Bring the database to this version; what is there stays."""
    from vosd.storage.migrate import migrate

    migrate(invocation.load().settings.database_url.reveal())
    output.line("the database is at this version")


@click.command(cls=Verb)
@json_option
@pass_invocation
def reload(invocation: Invocation, as_json: bool) -> None:
    """Have the running switch take the configuration as it stands now; a bad one changes nothing."""
    try:
        outcome = asyncio.run(invocation.running_switch().ask("reload"))
    except DaemonRefusedError as refused:
        if not refused.problems:
            raise
        raise BadConfigurationError("\n".join(refused.problems)) from refused
    if as_json:
        output.document(outcome)
        return
    for problem in outcome["problems"]:
        output.remark(problem)
    output.line(f"catalogue {outcome['version']} is in force")


@click.command(cls=Verb)
@json_option
@pass_invocation
def status(invocation: Invocation, as_json: bool) -> None:
    """Tell how the running switch does."""
    answer: dict[str, Any] = asyncio.run(invocation.running_switch().ask("status"))
    if as_json:
        output.document(answer)
        return
    catalogue = answer.pop("catalogue")
    reasons = (catalogue["error"] or "").splitlines()
    output.sheet(
        {
            **answer,
            "catalogue": f"{catalogue['version']}, loaded {catalogue['loaded_at']}",
            "last reload": "refused, because of" if reasons else "fine",
        }
    )
    for reason in reasons:
        output.line(reason)
