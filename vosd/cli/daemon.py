"""``vosd run``, ``check``, ``migrate``, ``reload`` and ``status``: operation of the daemon."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from io import TextIOWrapper
from itertools import chain, islice
from operator import itemgetter
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, NoReturn

import click

from vosd import __version__
from vosd.cli import output
from vosd.cli.command import BadConfigurationError, Invocation, OperationError, Verb, json_verb, pass_invocation
from vosd.cli.gateways import show_gateways
from vosd.cli.office import ordered, outcome_of
from vosd.control.client import DaemonRefusedError, RunningSwitch
from vosd.control.installation import GetConfiguration, ListOverrides, TryReload
from vosd.processes import loops
from vosd.processes.whole_file import open_growing
from vosd.wiring.configured_switch import ConfiguredSwitch

if TYPE_CHECKING:
    from vosd.admin.differences import Description, RunningDifference
    from vosd.catalogue.problems import ConfigError, DefinitionProblem
    from vosd.config.load import Loaded
    from vosd.config.stored import Stored, Wanted
    from vosd.control.installation import DatabaseReport, MachineUse, OverrideRow, ReloadOutcome, SwitchStatus

BAD_CONFIGURATION: Final = BadConfigurationError.exit_code
_NAMED_OF_GROUP: Final = 10
_FILE: Final = click.Path(path_type=Path, dir_okay=False)


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
    """Print where the switch listens and what to do next to a terminal that takes it: calls go on without it."""
    from vosd.processes.standard_streams import takes_output

    if takes_output() and sys.stdout.isatty():  # a service manager keeps it among the lines of JSON
        with suppress(OSError, ValueError):
            _print_greeting(config, loaded)


def _print_greeting(config: Path, loaded: "Loaded") -> None:
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
@json_verb
def check(invocation: Invocation, diff: bool, report: Path | None) -> None:
    """Validate the configuration and list every problem: exit code 0 or 3.

    Mistakes that the configuration will have at the first 20 moments at which planned versions begin are warnings.

    With --diff the running switch tries the file: exit code 3 with the reasons where a reload would be refused.

    Of warnings about single rates, which may be as many as there are rates, the first ten of each rate group are shown;
    --report and --json have all.
    """
    from vosd.catalogue.problems import ConfigError

    path = invocation.config_path()
    try:
        loaded = _checked(invocation, path)
        if not diff:  # else the switch says it
            loaded = _checked_beside_database(invocation, path, loaded)
    except ConfigError as error:
        _show_mistakes(path, error, report)
        sys.exit(BAD_CONFIGURATION)
    _warn_user(invocation, path, loaded)
    if diff:
        _compare(_switch_beside(invocation), path, loaded)
    else:
        _show_loaded(path, loaded, report)


def _warn_user(invocation: Invocation, path: Path, loaded: "Loaded") -> None:
    """Say where this user is not that of the switch: root may read more, and a start by another one fails."""
    from vosd.config.places import state_dir_found_from
    from vosd.daemon.claim import other_owner, user_name, why_closed

    directory = state_dir_found_from(path, loaded.settings.state_dir)
    if (owner := other_owner(directory)) is not None:
        belongs = f"{directory} belongs to the user {user_name(owner)}"
        invocation.remark(f"{belongs}: run this as that user, since root may read files that the switch may not")
    elif (why := why_closed(directory)) is not None:
        invocation.remark(why)


def _checked(invocation: Invocation, path: Path) -> "Loaded":
    """Return the configuration, with the definitions of its database; raises ConfigError."""
    from vosd.config.load import load

    loaded = load(path, tables=invocation.tables, definitions=partial(_definitions_beside, invocation))
    loaded.require_api()
    return loaded


def _checked_beside_database(invocation: Invocation, path: Path, loaded: "Loaded") -> "Loaded":
    """Return the configuration with warnings of planned moments; raises ConfigError for currencies of accounts."""
    from vosd.wiring.database import outdated_in

    url = _database_of(path, loaded)
    if url is None:
        return loaded
    if outdated := outdated_in(url):
        invocation.remark(f"a start would fail: {outdated}")
    _require_currencies(url, loaded)
    return _with_warnings_of_moments(invocation, url, loaded)


def _database_of(path: Path, loaded: "Loaded") -> str | None:
    """Return the URL of the database; None where its definitions cannot be read."""
    from vosd.config.places import OtherInstallationError, database_found_from, is_database_there

    try:
        url = database_found_from(path, loaded.settings.state_dir, loaded.settings.database_url.reveal())
    except OtherInstallationError as error:
        with closing(ConfiguredSwitch(Path(error.other.configuration))) as other:
            url = other.database_url
    is_read = loaded.stored.version is not None and loaded.stored.unread is None
    return url if is_read and is_database_there(url) else None


def _require_currencies(url: str, loaded: "Loaded") -> None:
    """Raise ConfigError where accounts have money in another currency."""
    from vosd.catalogue.held_currencies import held_currencies
    from vosd.catalogue.problems import ConfigError
    from vosd.wiring.database import held_in

    written = {name: each.currency for name, each in loaded.catalogue.accounts.items()}
    mistakes = held_currencies(held_in(url, written), written, loaded.account_places)
    if mistakes:
        raise ConfigError(mistakes)


def _with_warnings_of_moments(invocation: Invocation, url: str, loaded: "Loaded") -> "Loaded":
    """Return the configuration with warnings of planned moments at which it will not be valid."""
    from vosd.wiring.database import planned_in

    planned = () if loaded.stored.yields else planned_in(url)  # they are planned for the files of the installation
    if not planned:
        return loaded
    from vosd.wiring.change_check import Loads, warnings_of_moments

    return replace(loaded, problems=(*loaded.problems, *warnings_of_moments(Loads(invocation), planned)))


def _show_mistakes(path: Path, error: "ConfigError", report: Path | None) -> None:
    with _ReportFile(report) as file:
        _show_problems(file.noting(error.problems))
    if output.wants_json():
        output.remark(f"{path} is not valid: standard output lists its problems")


def _show_loaded(path: Path, loaded: "Loaded", report: Path | None) -> None:
    with _ReportFile(report) as file:
        if output.wants_json():
            _show_problems(file.noting(chain(loaded.problems, *loaded.reports_by_group())))
            return
        _print_warnings(loaded, file, report)
    output.line(f"{path} holds: {_summary(loaded)}")


def _print_warnings(loaded: "Loaded", file: "_ReportFile", report: Path | None) -> None:
    _show_problems(file.noting(loaded.problems))
    for found in map(file.noting, loaded.reports_by_group()):
        _show_problems(islice(found, _NAMED_OF_GROUP))
        if more := sum(1 for _ in found):
            where = report or "vosd check --report FILE"
            output.line(f"and {more} more such warnings as the last one: {where} has all")


class _ReportFile:
    """The file of --report: a line for each problem, written as it is found, for there may be a million."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def __enter__(self) -> "_ReportFile":
        """Begin the file, if there is one; raises OperationError where it cannot be written, here and later."""
        if self._path is not None:
            try:
                self._file = TextIOWrapper(open_growing(self._path), encoding="utf-8")
            except OSError as error:
                raise self._unwritten(error) from error
        return self

    def __exit__(self, *_: object) -> None:
        """Write what is left of the file."""
        if self._file is not None:
            try:
                self._file.close()
            except OSError as error:
                raise self._unwritten(error) from error

    def noting(self, problems: Iterable["DefinitionProblem"]) -> Iterator["DefinitionProblem"]:
        """Yield problems that are written by then."""
        for problem in problems:
            if self._file is not None:
                try:
                    self._file.write(f"{output.printable(str(problem))}\n")
                except OSError as error:
                    raise self._unwritten(error) from error
            yield problem

    def _unwritten(self, error: OSError) -> OperationError:
        return OperationError(f"{self._path} cannot be written: {(error.strerror or str(error)).lower()}")


def _show_problems(problems: Iterable["DefinitionProblem"]) -> None:
    if output.wants_json():
        array = output.Documents()
        for problem in problems:
            array.add({**problem._asdict(), "severity": problem.severity.value})
        array.close()
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


def _definitions_beside(invocation: Invocation, wanted: "Wanted") -> "Stored":
    """Return the definitions of the database that a file may become the configuration of, as ``_switch_beside``."""
    from vosd.config.places import DATABASE_URL, OtherInstallationError

    try:
        stored = invocation.definitions(wanted)
    except OtherInstallationError as error:
        output.remark(f"checked with what the database of the switch {error.other} defines")
        other = invocation.held(closing(ConfiguredSwitch(Path(error.other.configuration))))
        if wanted.database_url == DATABASE_URL:  # the file, such as an export, says nothing about it
            wanted = wanted._replace(state_dir=other.excerpt.state_dir, database_url=other.excerpt.database_url)
        return other.definitions(wanted)._replace(yields=True)
    return stored._replace(yields=stored.has_objects and _is_export(invocation.config_path(), wanted.state_dir))


def _is_export(path: Path, state_dir: Path) -> bool:
    """Return whether a file has objects alone, as ``vosd definitions export`` writes it, and no switch ran on it."""
    from vosd.catalogue.stored_objects import BadObjectError
    from vosd.config.places import recorded_in, state_dir_found_from
    from vosd.config.stored_text import read_objects

    if recorded_in(state_dir_found_from(path, state_dir)) is not None:
        return False
    try:
        return bool(read_objects(path.read_text(encoding="utf-8"), str(path), os.environ))
    except (BadObjectError, OSError, UnicodeDecodeError):
        return False


def _switch_beside(invocation: Invocation) -> "RunningSwitch":
    """Return the running switch that a file may become the configuration of; one of another file is named."""
    from vosd.config.control_socket import control_socket_of
    from vosd.config.places import OtherInstallationError

    try:
        return invocation.running_switch()
    except OtherInstallationError as error:
        output.remark(f"compared with the switch {error.other}")
        return RunningSwitch(control_socket_of(Path(error.other.configuration)))


def _differences(switch: "RunningSwitch", loaded: "Loaded") -> "list[RunningDifference]":
    from vosd.admin.differences import compare, describe, differences_of

    running, overrides = loops.run(_running(switch))
    file = describe(loaded.settings, loaded.transports, loaded.catalogue)
    return [*compare(running, file), *differences_of(overrides, file)]


def _compare(switch: "RunningSwitch", path: Path, loaded: "Loaded") -> None:
    _show_differences(_differences(switch, loaded))
    _try_reload(switch, path)


def _try_reload(switch: "RunningSwitch", path: Path) -> None:
    """Print on standard error what a reload of the file would say; exit with code 3 if it would be refused.

    Raises:
        OperationError: the switch cannot say it.
    """
    from vosd.admin.office.installation import RELOAD_S

    order = TryReload(str(path.absolute()))
    try:
        outcome = loops.run(switch.patient(RELOAD_S).ask(order))
    except DaemonRefusedError as refused:
        if not refused.problems and refused.code != "unconfirmed":
            raise
        for reason in refused.problems or [str(refused)]:
            output.remark(reason)
        output.remark("a reload would be refused: what runs stays in force")
        sys.exit(BAD_CONFIGURATION)
    for warning in outcome.problems:
        output.remark(warning)


async def _running(switch: "RunningSwitch") -> "tuple[Description, list[OverrideRow]]":
    return await switch.ask(GetConfiguration()), await switch.ask(ListOverrides())


def _show_differences(differences: "list[RunningDifference]") -> None:
    if output.printed_as_json(differences):
        return
    output.table(
        ("object", "key", "running", "file", "override"),
        [(each.object, each.key, each.running, each.file, each.override) for each in differences],
        empty="what runs is what the file says",
    )


@click.command(cls=Verb)
@click.option("--anew", is_flag=True, help="Make an empty database in the place of one that is gone with its money.")
@pass_invocation
def migrate(invocation: Invocation, anew: bool) -> None:
    """Upgrade the database to this version; existing data stays.

    It is the database that all commands use: of the installation that is found from here, else a new one here. Where a
    switch has worked on one that is gone, only --anew makes an empty one.
    """
    from vosd.daemon.claim import warning_to_root
    from vosd.storage.migrate import migrate

    written, url = _database_to_migrate(invocation, is_new_wanted=anew)
    file = url.partition(":///")[2]  # of SQLite
    if file and (warning := warning_to_root(Path(file).parent)) is not None:
        invocation.remark(warning)
    migrate(url)
    where = "" if url == written else f" {file}"
    output.line(f"the database{where} is at this version")


def _database_to_migrate(invocation: Invocation, *, is_new_wanted: bool) -> tuple[str, str]:
    """Return the URL of the database as it is written, and as it is migrated: relative to the installation's directory.

    Raises:
        DatabaseMissedError: it is gone, or is none of the switch, which has worked on one with money, and no new one is
            wanted.
    """
    from vosd.config.places import OtherInstallationError
    from vosd.wiring.new_database import check_nothing_is_missed, database_beside

    state_dir: Path | None
    try:
        written, settings = invocation.excerpt.settings.database_url.reveal(), invocation.settings
        url, state_dir = settings.database_url.reveal(), settings.state_dir
    except OtherInstallationError as error:
        url, state_dir = database_beside(invocation.config_path(), error.other)
        written = url
    if state_dir is not None and not is_new_wanted:
        loops.run(check_nothing_is_missed(url, state_dir))
    return written, url


@click.command(cls=Verb)
@click.option("--yes", is_flag=True, help="Take it even where it removes gateways or accounts in use, or many.")
@json_verb
def reload(invocation: Invocation, yes: bool) -> None:
    """Have the running switch load the configuration again; an invalid one changes nothing.

    One that removes a gateway or account with running calls, or a fifth of the gateways, accounts or rates, is taken
    with --yes only.
    """
    from vosd.admin.office.installation import ReloadConfiguration, reload_configuration
    from vosd.catalogue.problems import ConfigError

    order = ReloadConfiguration(yes)
    try:
        done = ordered(invocation, reload_configuration, order)
    except ConfigError as error:
        _refused(str(error), list(map(str, error.problems)))
    except DaemonRefusedError as refused:
        _refused(str(refused), list(refused.problems))
    _show_reload(outcome_of(done))


def _show_reload(outcome: "ReloadOutcome") -> None:
    if output.printed_as_json(outcome):
        return
    for problem in outcome.problems:
        output.remark(problem)
    output.line(f"catalogue {outcome.version} is in force")


@click.command(cls=Verb)
@click.option("--end-calls", is_flag=True, help="Restart also where the installed version cannot read running calls.")
@json_verb
def restart(invocation: Invocation, end_calls: bool) -> None:
    """Have the running switch hand its calls over to a new process of the installed version.

    That process loads the program, reads the configuration and tries to read the calls before the running one stops.
    If it fails at that, nothing changes. Exit code 1 also says that calls have ended all the same.
    """
    from vosd.admin.office.installation import RestartSwitch, restart_switch

    order = RestartSwitch(end_calls)
    try:
        done = ordered(invocation, restart_switch, order)
    except DaemonRefusedError as refused:
        _refused(str(refused), list(refused.problems))
    _show_successor(outcome_of(done), ends_calls=end_calls)


def _show_successor(successor: "SwitchStatus", *, ends_calls: bool) -> None:
    """Print what has taken over; where calls have ended that the operator did not mean to end, exit code 1 says so."""
    from vosd.obs.figures import Figure

    if not output.printed_as_json(successor.document()):
        calls = successor.figures[Figure.CALLS]
        output.line(f"process {successor.pid} (vosd {successor.version}) has taken over {calls} calls")
    lost = successor.figures.get(Figure.CALLS_LOST, 0)
    if lost:
        output.remark(f"{lost} calls have ended: call_not_continued in the log says why of each")
        if not ends_calls:
            sys.exit(OperationError.exit_code)


def _refused(message: str, problems: list[str]) -> NoReturn:
    """End ``reload`` if nothing was changed: a list of problems means an invalid file."""
    if output.wants_json():
        output.document({"error": message, "problems": problems})
        output.remark(message)
        sys.exit(BAD_CONFIGURATION if problems else OperationError.exit_code)
    raise BadConfigurationError("\n".join(problems)) if problems else OperationError(message)


@click.command(cls=Verb)
@click.option("--gateways", is_flag=True, help="Every gateway instead: state, calls of limit, ASR, ACD, PDD.")
@click.option("--explain", is_flag=True, help="Say what each figure counts instead.")
@json_verb
def status(invocation: Invocation, gateways: bool, explain: bool) -> None:
    """Show the state of the running switch."""
    if explain:
        _explain_figures()
    elif gateways:
        show_gateways(invocation)
    else:
        _show_status(invocation)


def _show_status(invocation: Invocation) -> None:
    from vosd.admin.office.installation import ShowStatus, show_status

    answer = ordered(invocation, show_status, ShowStatus())
    document = answer.document()
    if output.printed_as_json(document):
        return
    for name in ("catalogue", "session_refresh_failed", "database", "machine", "listen"):
        del document[name]
    refreshes, reasons = answer.session_refresh_failed, (answer.catalogue.error or "").splitlines()
    output.sheet(
        {
            **document,
            "listens at": ", ".join(answer.listen or ()) or "?",
            "session refreshes failed": ", ".join(f"{name} {times}" for name, times in refreshes.items()) or "none",
            "machine": _of_machine(answer.machine),
            "database": _of_database(answer.database),
            "catalogue": f"{answer.catalogue.version}, loaded {answer.catalogue.loaded_at}",
            "last reload": "refused, because of" if reasons else "fine",
        }
    )
    for reason in reasons:
        output.line(reason)


def _explain_figures() -> None:
    """Print the meaning of each figure; no switch needs to run."""
    from vosd.obs.figures import Figure

    meanings = {figure.value: figure.meaning for figure in Figure}
    if not output.printed_as_json(meanings):
        output.sheet(meanings)


def _of_machine(found: "MachineUse") -> str:
    """Return a line on processor, memory and disk; ``?`` is what is not known yet."""
    shares = (found.cpu_percent, found.memory_percent, found.disk_free_percent)
    cpu, memory, disk = ("?" if share is None else f"{share:g}" for share in shares)
    busiest = max(found.processes.items(), key=itemgetter(1), default=None)
    shown = "" if busiest is None else f" ({busiest[0]} {busiest[1]:g} % of a core)"
    return f"processors {cpu} %{shown}, memory {memory} % in use, disk {disk} % free"


def _of_database(found: "DatabaseReport") -> str:
    """Return a line on the switch and its database."""
    match found.state:
        case "away":
            said = "away: calls wait in the journal"
        case "regressed":
            said = "regressed: it has lost commits and is compared with the journal, new calls are refused"
        case "lease_lost":
            return f"lease_lost: in use by {found.lease}, new calls are refused"
        case _:
            said = "well"
    if found.regressed_at is None:
        return said
    return f"{said}; lost commits noticed {found.regressed_at}, {found.booked_again} calls booked again since"
