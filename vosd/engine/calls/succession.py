"""The order in which a start goes on with the calls of an earlier process, and writes them to its own journal."""

import msgspec
import structlog
from msgspec.structs import replace

from vosd.base.clock import Instant
from vosd.engine.calls.kept import as_it_was
from vosd.engine.calls.switch import Switch
from vosd.engine.journal import Journal, Remains
from vosd.engine.journal.entries import Began
from vosd.sip.flows import Flows

_log = structlog.get_logger()


def begin(remains: Remains, journal: Journal, flows: Flows, boot: str, now: Instant) -> None:
    """Use the branches and tags of the earlier run, and write down when and where this one began."""
    earlier = remains.began
    if earlier is not None:
        flows.go_on_as(earlier.mark, earlier.refusal_tag)
    began = Began(boot, now.mono, now.wall, flows.mark, flows.refusal_tag)
    remains.begin(began)
    journal.began(replace(began, proven=remains.last_mono or None))


def go_on(remains: Remains, journal: Journal, switch: Switch, within_s: int, began: Instant, now: Instant) -> None:
    """Go on with the answered calls of the earlier run that can be continued; the others stay in ``remains``.

    None is continued where the earlier run ended more than ``within_s`` before this one ``began``.
    """
    if not remains.open_calls and not remains.kept_calls:
        return
    away_ms = began.mono - remains.last_mono
    if within_s == 0 or away_ms > 1_000 * within_s:
        _log.warning("calls_not_continued", calls=len(remains.open_calls), away_ms=away_ms, why="resume_within")
        return
    if _take_up(remains, journal, switch, now):
        return
    resumed = switch.resume(remains, now)
    for call in resumed.calls:
        journal.resumed(call)
    for call_id in resumed.changed:
        journal.moved(call_id)
    for call_id, mono in remains.acknowledged.items():
        journal.acknowledged(call_id, mono)
    journal.flush()
    _log.info("calls_continued", calls=len(resumed.calls), ended=len(remains.open_calls), away_ms=away_ms)


def _take_up(remains: Remains, journal: Journal, switch: Switch, now: Instant) -> bool:
    """Go on exactly as the earlier run has stopped, if it has kept its calls and all of them can be continued."""
    try:
        saved = as_it_was(remains)
        missing = None if saved is None else switch.missing_for(saved)
    except msgspec.DecodeError as error:
        missing = str(error)
        saved = None
    if saved is None or missing is not None:
        if missing is not None:
            _log.warning("kept_calls_changed", why=missing, means="requests in progress are given up")
        return False
    switch.restore(saved, now)
    ids = [each.parts.arrival.call_id for each in saved.calls]
    for call_id in ids:
        call = remains.open_calls.pop(call_id, None)
        if call is not None:
            journal.resumed(call)
        caller = remains.callers.pop(call_id, None)
        for invite in remains.placed.pop(call_id, ()):
            journal.placed(call_id, invite, caller)
            caller = None
    journal.flush()
    _log.info("calls_continued", calls=len(ids), ended=len(remains.open_calls), away_ms=now.mono - remains.last_mono)
    return True
