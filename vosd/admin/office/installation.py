"""Use cases of the installation: status, reload and restart of the running switch, and a backup."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from typing import Final

import msgspec

from vosd.admin.backup_file import BackupManifest
from vosd.admin.office.office import Done, Office, needs
from vosd.admin.office.principal import Permission, Principal
from vosd.base.errors import VosError
from vosd.catalogue.held_currencies import held_currencies
from vosd.catalogue.problems import Severity
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.cdr.ports import StoreUnavailable
from vosd.control.client import DaemonUnreachableError, OtherVersionError, RunningSwitch
from vosd.control.installation import GetStatus, Reload, ReloadOutcome, Restart, SwitchStatus

RELOAD_S: Final = 600.0
"""Longest time of a reload: millions of rates are read in minutes."""
PROBLEMS_MAX: Final = 1_000
"""Most problems of the configuration that are listed; every single rate may have one."""
_LOOK_S: Final = 0.1


class NoSuccessorError(VosError):
    """The process that was to take over has no status: it has ended, or its version cannot be understood."""


class ShowStatus(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """State of the running switch."""


@needs(Permission.STATE_SEE, without_database=True)
async def show_status(office: Office, who: Principal, _order: ShowStatus) -> SwitchStatus:
    """Return the state."""
    return await office.switch.ask(GetStatus())


class ReloadConfiguration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Have the running switch load the configuration again; ``is_confirmed``: also where much or used is removed."""

    is_confirmed: bool = False
    """Whether to load it also where much or used is removed."""


@needs(Permission.INSTALLATION_RUN, without_database=True)
async def reload_configuration(office: Office, who: Principal, order: ReloadConfiguration) -> Done[ReloadOutcome]:
    """Have it loaded; an invalid one changes nothing.

    Raises:
        DaemonRefusedError: the switch does not take it; ``problems`` says why.
    """
    loading = office.switch.patient(RELOAD_S).ask(Reload(order.is_confirmed, is_by_operator=True))
    outcome = await office.carried_out(loading, who, order, "configuration")
    return await office.noted(outcome, who, order, "configuration")


class RestartSwitch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Have the running switch hand its calls over to a new process of the installed version."""

    ends_calls: bool = False
    """Whether to restart also where that version cannot read running calls, which end then."""


@needs(Permission.INSTALLATION_RUN, without_database=True)
async def restart_switch(office: Office, who: Principal, order: RestartSwitch) -> Done[SwitchStatus]:
    """Have it restarted, and return the status of its successor once that takes calls.

    The audit has the line once the switch has begun it, whatever becomes of the successor. Where it cannot be written
    then, it is tried again once the successor answers, which may work on another database.

    Raises:
        DaemonRefusedError: it goes on as it was.
        NoSuccessorError: no successor answers.
    """
    switch = office.switch.patient(RELOAD_S)
    pid = (await office.carried_out(switch.ask(Restart(order.ends_calls)), who, order, "switch")).pid
    unaudited = (await office.noted(None, who, order, "switch")).unaudited
    found = await _status_of_successor(switch, pid)
    if unaudited:  # as by an order that moves the switch to another database
        unaudited = (await office.noted(None, who, order, "switch")).unaudited
    return Done(found, unaudited)


async def _status_of_successor(switch: RunningSwitch, pid: int) -> SwitchStatus:
    """Return the status of a process once it takes calls; it is ready for that already.

    Raises:
        NoSuccessorError: it has ended, is of a version that cannot be understood, or does not answer.
    """
    is_of_ours = _runs(pid)  # else it is in a container, whose processes have other numbers there
    with suppress(TimeoutError):
        async with asyncio.timeout(RELOAD_S):
            while True:
                try:
                    if (found := await switch.ask(GetStatus())).pid == pid:
                        return found
                except OtherVersionError as error:  # so may be the one that stops
                    if error.pid == pid:
                        raise NoSuccessorError(
                            f"process {pid} has taken over, and is of a version that this command does not understand:"
                            " vosd status of that version, and its log, say what became of the calls"
                        ) from error
                except DaemonUnreachableError:
                    pass
                if is_of_ours and not _runs(pid):
                    raise NoSuccessorError(
                        f"process {pid} was to take over and has ended: its log says why. The service manager starts"
                        " the switch again; calls are kept for resume_within"
                    )
                await asyncio.sleep(_LOOK_S)
    raise NoSuccessorError(f"process {pid} was to take over and does not answer: its log says why")


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # of another user
        pass
    return True


class MakeBackup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A backup on the machine of the switch: a directory, in which it is named after node and time, or a file."""

    place: str


class BackupSheet(msgspec.Struct, frozen=True):
    """A backup that was written."""

    file: str
    """Path of the file on the machine of the switch."""
    bytes: int
    manifest: BackupManifest
    """Content of the backup."""
    unaudited: str = ""
    """Why the audit has no line of it."""


@needs(Permission.INSTALLATION_RUN)
async def make_backup(
    office: Office, who: Principal, order: MakeBackup, report: Callable[[float, int], None]
) -> BackupSheet:
    """Write database, journal and configuration to a file; the switch may run meanwhile.

    ``report`` receives a part of 1, and the rows, pages or bytes that are written.

    Raises:
        BackupError: there is too little room, or the file exists.
        OSError: a file cannot be read or written.
    """
    from vosd.admin import backup  # loads the journal of the switch, which the other orders need not

    definitions = office.definitions
    settings, files = definitions.settings, definitions.files()
    place = backup.target_in(Path(order.place), settings.node, office.now())
    configuration = backup.ConfigurationFiles(files[0], files)
    database = office.stores.database

    async def made() -> BackupManifest:
        apart = database.apart()  # connections belong to the loop that has opened them
        try:
            return await backup.make_backup(apart, settings, configuration, place, office.now, report)
        finally:
            await apart.close()

    # In a thread: to compress a database of gigabytes would keep a front from its other requests. An interruption does
    # not end the thread: the file appears.
    manifest = await office.carried_out(asyncio.to_thread(asyncio.run, made()), who, order, place.name)
    sheet = BackupSheet(str(place), place.stat().st_size, manifest)
    done = await office.noted(sheet, who, order, place.name)
    return msgspec.structs.replace(sheet, unaudited=done.unaudited)


class CheckConfiguration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The configuration as files and database have it now, which the running switch may not have loaded."""


class ProblemSheet(msgspec.Struct, frozen=True):
    """A mistake or a warning."""

    file: str
    """File of the configuration."""
    line: int
    """Line in the file."""
    key: str
    """Path of the key."""
    value: str | None
    """As it is written; null where there is none, or where it may be a secret."""
    expected: str
    """Text that says what is wrong and what was expected."""
    severity: str
    """``error`` or ``warning``."""


class CheckedConfiguration(msgspec.Struct, frozen=True):
    """Whether a configuration can be loaded, and what was noticed."""

    valid: bool
    """Whether it can be loaded."""
    problems: list[ProblemSheet]
    """Mistakes and warnings."""
    more: bool
    """Whether there are more problems; ``vosd check`` has all."""


@needs(Permission.STATE_SEE, without_database=True)
async def check_configuration(office: Office, who: Principal, _order: CheckConfiguration) -> CheckedConfiguration:
    """Validate the whole configuration, and the currencies of accounts by the ledger; nothing is changed.

    Mistakes that it will have at the first planned moments are warnings, as in ``vosd check``: none is in force.
    """
    planned: Sequence[ObjectVersion] = ()
    with suppress(StoreUnavailable):
        planned = await office.stores.objects.planned(office.now())
    checked = await asyncio.to_thread(office.definitions.checked, planned)
    held: Mapping[str, str] = {}
    with suppress(StoreUnavailable):  # then it is the check of the files and of what the switch has read last
        held = await office.stores.books.other_currencies(checked.currencies)
    mistakes = held_currencies(held, checked.currencies, checked.places)
    found = await asyncio.to_thread(lambda: [*islice(chain(mistakes, checked.problems), PROBLEMS_MAX + 1)])
    sheets = [ProblemSheet(*each[:-1], each.severity.value) for each in found[:PROBLEMS_MAX]]
    is_valid = all(each.severity is not Severity.ERROR for each in found)
    return CheckedConfiguration(is_valid, sheets, len(found) > PROBLEMS_MAX)
