"""State that a switch has left in its state directory, for commands while no switch runs.

Files that are listed are read as they are, and nothing is written beside them.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import msgspec

from vosd.base.number import for_matching, without_separators
from vosd.control.events import DeadLetter
from vosd.control.installation import AlarmList, ScheduledReportRow
from vosd.control.peers import BlacklistedCaller, ClearedCallers
from vosd.daemon.claim import StateDirectory
from vosd.daemon.scheduled_reports import DELIVERED, delivered_reports, next_period, scheduled_row
from vosd.engine.alarms.desk import AlarmFile, rows_of
from vosd.engine.reports.spool import spooled_in
from vosd.engine.reports.webhooks import DEAD, WEBHOOKS, dead_letter
from vosd.engine.settings import ScheduledReport
from vosd.engine.state_files import BLACKLIST, blacklist_file, blacklisted
from vosd.processes.whole_file import replace_file

Value = TypeVar("Value")


class LeftState(NamedTuple, Generic[Value]):
    """State of a switch that does not run."""

    value: Value
    at: int | None
    """Time at which it was written, UTC milliseconds; None = no switch has left any."""


def kept_alarms(state_dir: Path, *, history: bool) -> LeftState[AlarmList]:
    """Return the alarms that held when the switch stopped, or those that were cleared before.

    Raises:
        OSError, msgspec.DecodeError: the file cannot be read.
    """
    file = AlarmFile(state_dir / "alarms.json")
    found = rows_of(file.load().alarms, history=history)
    return LeftState(AlarmList(found, 0), _written(state_dir / "alarms.json"))


def kept_blacklist(state_dir: Path, now_ms: int) -> LeftState[list[BlacklistedCaller]]:
    """Return the callers that the next start will find on the list, if it is now.

    Raises:
        OSError, msgspec.DecodeError: the file cannot be read.
    """
    found = blacklist_file(state_dir).load() or []
    left = [(each, each.left_ms(now_ms)) for each in found]
    rows = [blacklisted(each, left_ms, now_ms + left_ms) for each, left_ms in left if left_ms > 0]
    return LeftState(rows, _written(state_dir / BLACKLIST))


def clear_kept_blacklist(state_dir: Path, caller: str | None, now_ms: int) -> ClearedCallers:
    """Take a calling number, or all, off the list that the next start finds; ``now_ms`` is UTC.

    The file stays that of its owner, who may be another user than the one of the command.

    Raises:
        StateDirectoryError: a switch has begun to run, or the directory cannot be used.
        OSError, msgspec.DecodeError: the file cannot be read or written.
    """
    file, number = state_dir / BLACKLIST, None if caller is None else for_matching(without_separators(caller))
    if not file.exists():
        return ClearedCallers(number, 0)
    directory = StateDirectory(state_dir)
    directory.claim()
    try:
        found = blacklist_file(state_dir).load() or []
        meant = [each for each in found if number is None or each.caller == number]
        if meant:
            owner = file.stat()
            replace_file(file, msgspec.json.encode([each for each in found if each not in meant]))
            if os.geteuid() != owner.st_uid:
                os.chown(file, owner.st_uid, owner.st_gid)
    finally:
        directory.release()
    return ClearedCallers(number, sum(each.until > now_ms for each in meant))


def kept_dead_letters(state_dir: Path, receivers: Sequence[str]) -> LeftState[list[DeadLetter]]:
    """Return the events that receivers did not get and will not get; raises OSError where a file cannot be read."""
    directories = {name: state_dir / WEBHOOKS / name / DEAD for name in receivers}
    letters = [dead_letter(name, each) for name, directory in directories.items() for each in spooled_in(directory)]
    written = [at for each in directories.values() if (at := _written(each)) is not None]
    return LeftState(letters, max(written, default=None))


def kept_schedule(
    state_dir: Path, wanted: Sequence[ScheduledReport], now_ms: int
) -> LeftState[list[ScheduledReportRow]]:
    """Return the reports at fixed times with what was delivered of each; why one has failed is not kept.

    Raises:
        OSError, msgspec.DecodeError: the file cannot be read.
    """
    done = delivered_reports(state_dir).load() or {}
    rows = []
    for each in wanted:
        last = done.get(each.name)
        coming = next_period(each, last, now_ms)
        rows.append(scheduled_row(each, coming, coming.since if last is None else last))
    return LeftState(rows, _written(state_dir / DELIVERED))


def _written(file: Path) -> int | None:
    try:
        return file.stat().st_mtime_ns // 1_000_000
    except FileNotFoundError:
        return None
