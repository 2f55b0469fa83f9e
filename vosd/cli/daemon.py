"""``vosd run``, ``check``, ``migrate``, ``reload`` and ``status``: operation of the daemon."""

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import click

from vosd import __version__
from vosd.cli import output
from vosd.cli.command import (
    BadConfigurationError,
    Invocation,
    OperationError,
    Verb,
    json_option,
    pass_invocation,
)
from vosd.cli.gateways import show_gateways
from vosd.control.client import DaemonRefusedError, RunningSwitch
from vosd.control.installation import GetConfiguration, GetStatus, ListOverrides, Reload

if TYPE_CHECKING:
    from vosd.admin.differences import Description, Difference
    from vosd.catalogue.problems import Problem
    from vosd.config.load import Loaded
    from vosd.control.installation import DatabaseReport, MachineUse, OverrideRow

BAD_CONFIGURATION: Final = BadConfigurationError.exit_code
RELOAD_S: Final = 600.0
_NAMED_OF_GROUP: Final = 10
_FILE: Final = click.Path(path_type=Path, dir_okay=False)
"""Longest time of a reload: millions of rates are read in minutes."""


@click.command(cls=Verb)
@pass_invocation
def run(invocation: Invocation) -> None:
    """Run the switch in the foreground; SIGHUP loads the configuration again, Ctrl-C stops it."""
    from vosd.config.reader.collector import without_collector

    with without_collector():  # modules are no garbage: to look through them takes a tenth of their import
        from vosd.daemon.bootstrap import run_switch

    config = invocation.config_path()
    run_switch(config, greet=lambda loaded: _greet(config, loaded))


def _greet(config: Path, loaded: "Loaded") -> None:
    """Print where the switch listens and what to do next."""
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
@click.option("--report", type=_FILE, metavar="FILE", help="Write every problem to this file, a line for each.")
@json_option
@pass_invocation
def check(invocation: Invocation, diff: bool, report: Path | None, as_json: bool) -> None:
    """Validate the configuration and list every problem: exit code 0 or 3.

    Of warnings about single rates, which may be as many as there are rates, the first ten of each rate group are shown;
    --report and --json have all.
    """
    from vosd.catalogue.problems import ConfigError
    from vosd.config.load import load

    path = invocation.config_path()
    try:
        loaded = load(path, tables=invocation.tables, definitions=invocation.definitions)
    except ConfigError as error:
        _write_report(report, error.problems)
        _show_problems(error.problems, as_json)
        sys.exit(BAD_CONFIGURATION)
    if diff:
        _show_differences(_differences(_switch_beside(invocation), loaded), as_json)
        return
    by_group = [*loaded.reports_by_group()]
    every = [*loaded.problems, *(problem for found in by_group for problem in found)]
    _write_report(report, every)
    _show_problems(every if as_json else loaded.problems, as_json)
    if not as_json:
        for found in by_group:
            _show_problems(found[:_NAMED_OF_GROUP], as_json)
            if len(found) > _NAMED_OF_GROUP:
                where = report or "vosd check --report FILE"
                output.line(f"and {len(found) - _NAMED_OF_GROUP} more such warnings as the last one: {where} has all")
        output.line(f"{path} holds: {_summary(loaded)}")


def _write_report(file: Path | None, problems: Sequence["Problem"]) -> None:
    if file is None:
        return
    try:
        with file.open("w", encoding="utf-8") as out:
            out.writelines(f"{output.printable(str(problem))}\n" for problem in problems)
    except OSError as error:
        message = f"{file} cannot be written: {(error.strerror or str(error)).lower()}"
        raise OperationError(message) from error


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
        "rate": sum(group.table.size for group in catalogue.rate_groups.values()),
    }
    return ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for name, count in counts.items())


def _switch_beside(invocation: Invocation) -> "RunningSwitch":
    """Return the running switch that a file may become the configuration of; one of another file is named."""
    from vosd.config.control_socket import control_socket_of
    from vosd.config.places import OtherInstallationError

    try:
        return invocation.running_switch()
    except OtherInstallationError as error:
        output.remark(f"compared with the switch {error.other}")
        return RunningSwitch(control_socket_of(Path(error.other.configuration)))


def _differences(switch: "RunningSwitch", loaded: "Loaded") -> "list[Difference]":
    from vosd.admin.differences import compare, describe
    from vosd.admin.overrides import differences_of

    running, overrides = asyncio.run(_running(switch))
    file = describe(loaded.settings, loaded.transports, loaded.catalogue)
    return [*compare(running, file), *differences_of(overrides, file)]


async def _running(switch: "RunningSwitch") -> "tuple[Description, list[OverrideRow]]":
    return await switch.ask(GetConfiguration()), await switch.ask(ListOverrides())


def _show_differences(differences: "list[Difference]", as_json: bool) -> None:
    if as_json:
        output.document(differences)
        return
    output.table(
        ("object", "key", "running", "file", "override"),
        [(each.object, each.key, each.running, each.file, each.override) for each in differences],
        empty="what runs is what the file says",
    )


@click.command(cls=Verb)
@click.option(
    "--partition", "divides", is_flag=True, help="Divide tables that hold calls by month; calls go on meanwhile."
)
@pass_invocation
def migrate(invocation: Invocation, divides: bool) -> None:
    """Upgrade the database to this version; existing data stays."""
    from vosd.storage.migrate import migrate

    url = invocation.excerpt.settings.database_url.reveal()
    migrate(url)
    output.line("the database is at this version")
    if divides:
        asyncio.run(_divide(url))
        output.line("the tables are partitioned by month; what they were stays in tables that end in _undivided")


async def _divide(url: str) -> None:
    """Divide the tables by month, with a meter.

    Raises:
        PartitionRefused: they are partitioned, or cannot be.
        StoreUnavailable: the same command goes on where it was.
    """
    from vosd.cli.progress import meter
    from vosd.storage.database import Database
    from vosd.storage.dividing import divide, rows_to_copy

    database = Database(url)
    try:
        total, done = max(await rows_to_copy(database), 1), 0
        with meter("rows") as shown:
            async for step in divide(database, time.time_ns() // 1_000_000):
                done += step.rows
                shown.show(done / total, done)
    finally:
        await database.close()


@click.command(cls=Verb)
@click.option("--yes", is_flag=True, help="Take it even where it removes gateways or accounts in use, or many.")
@json_option
@pass_invocation
def reload(invocation: Invocation, yes: bool, as_json: bool) -> None:
    """Have the running switch load the configuration again; an invalid one changes nothing.

    One that removes a gateway or account with running calls, or a fifth of the gateways, accounts or rates, is taken
    with --yes only.
    """
    from vosd.catalogue.problems import ConfigError

    try:
        outcome = asyncio.run(invocation.running_switch(RELOAD_S).ask(Reload(yes)))
    except ConfigError as error:
        _refused(str(error), list(map(str, error.problems)), as_json)
    except DaemonRefusedError as refused:
        _refused(str(refused), list(refused.problems), as_json)
    if as_json:
        output.document(outcome)
        return
    for problem in outcome.problems:
        output.remark(problem)
    output.line(f"catalogue {outcome.version} is in force")


def _refused(message: str, problems: list[str], as_json: bool) -> NoReturn:
    """End ``reload`` if nothing was changed: a list of problems means an invalid file."""
    if as_json:
        output.document({"error": message, "problems": problems})
        sys.exit(BAD_CONFIGURATION if problems else OperationError.exit_code)
    raise BadConfigurationError("\n".join(problems)) if problems else OperationError(message)


@click.command(cls=Verb)
@click.option("--gateways", is_flag=True, help="Every gateway instead: state, calls of limit, ASR, ACD, PDD.")
@click.option("--explain", is_flag=True, help="Say what each figure counts instead.")
@json_option
@pass_invocation
def status(invocation: Invocation, gateways: bool, explain: bool, as_json: bool) -> None:
    """Show the state of the running switch."""
    if explain:
        _explain_figures(as_json=as_json)
        return
    if gateways:
        show_gateways(invocation, as_json=as_json)
        return
    answer = asyncio.run(invocation.running_switch().ask(GetStatus()))
    document = answer.document()
    if as_json:
        output.document(document)
        return
    for name in ("catalogue", "session_refresh_failed", "database", "machine"):
        del document[name]
    refreshes, reasons = answer.session_refresh_failed, (answer.catalogue.error or "").splitlines()
    output.sheet(
        {
            **document,
            "session refreshes failed": ", ".join(f"{name} {times}" for name, times in refreshes.items()) or "none",
            "machine": _of_machine(answer.machine),
            "database": _of_database(answer.database),
            "catalogue": f"{answer.catalogue.version}, loaded {answer.catalogue.loaded_at}",
            "last reload": "refused, because of" if reasons else "fine",
        }
    )
    for reason in reasons:
        output.line(reason)


def _explain_figures(*, as_json: bool) -> None:
    """Print the meaning of each figure; no switch needs to run."""
    from vosd.obs.figures import Figure

    meanings = {figure.value: figure.meaning for figure in Figure}
    if as_json:
        output.document(meanings)
    else:
        output.sheet(meanings)


def _of_machine(found: "MachineUse") -> str:
    """Return a line on processor, memory and disk; ``?`` is what is not known yet."""
    shares = (found.cpu_percent, found.memory_percent, found.disk_free_percent)
    cpu, memory, disk = ("?" if share is None else f"{share:g}" for share in shares)
    return f"processor {cpu} % of a core, memory {memory} % in use, disk {disk} % free"


def _of_database(found: "DatabaseReport") -> str:
    """Return a line on the switch and its database."""
    match found.state:
        case "away":
            said = "away, calls wait in the journal"
        case "regressed":
            said = "has lost commits and is compared with the journal, new calls are refused"
        case "lease_lost":
            return f"in use by {found.lease}, new calls are refused"
        case _:
            said = "well"
    if found.regressed_at is None:
        return said
    return f"{said}; lost commits noticed {found.regressed_at}, {found.booked_again} calls booked again since"
