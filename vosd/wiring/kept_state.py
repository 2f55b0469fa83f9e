"""State that a switch has left in its state directory, for commands that list it while no switch runs.

The files are read as they are, and nothing is written beside them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from vosd.control.events import DeadLetter
from vosd.control.installation import AlarmList, ScheduledReportRow
from vosd.control.peers import BlacklistedCaller
from vosd.daemon.scheduled_reports import DELIVERED, delivered_reports, next_period, scheduled_row
from vosd.engine.alarms.desk import AlarmFile, rows_of
from vosd.engine.reports.spool import spooled_in
from vosd.engine.reports.webhooks import DEAD, WEBHOOKS, dead_letter
from vosd.engine.settings import ScheduledReport
from vosd.engine.state_files import BLACKLIST, blacklist_file, blacklisted

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
    rows = [blacklisted(each, each.until - now_ms, each.until) for each in found if each.until > now_ms]
    return LeftState(rows, _written(state_dir / BLACKLIST))


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
