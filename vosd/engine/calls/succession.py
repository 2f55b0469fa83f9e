"""The order in which a start goes on with the calls of an earlier process, and writes them to its own journal."""

from collections.abc import Collection
from typing import Final

import msgspec
from msgspec.structs import replace

from vosd.base.clock import Instant
from vosd.engine.calls.continuation import Continuation
from vosd.engine.calls.kept import as_it_was, waiting_caller
from vosd.engine.calls.saved import NotRestoredError, SavedSwitch
from vosd.engine.calls.stripped import named_calls
from vosd.engine.journal import Journal, Remains
from vosd.engine.journal.entries import Began
from vosd.obs.events import log as _log
from vosd.sip.flows import Flows

AS_AFTER_A_CRASH: Final = "what was answered goes on as after a crash, the rest ends"


def begin(remains: Remains, journal: Journal, flows: Flows, boot: str, now: Instant) -> None:
    """Use the branches and tags of the earlier run, and write down when and where this one began."""
    earlier = remains.began
    if earlier is not None:
        flows.go_on_as(earlier.mark, earlier.refusal_tag)
    began = Began(boot, now.mono, now.wall, flows.mark, flows.refusal_tag)
    remains.begin(began)
    journal.began(replace(began, proven=remains.last_mono or None))


def go_on(
    remains: Remains, journal: Journal, continuation: Continuation, within_s: int, began: Instant, now: Instant
) -> None:
    """Go on with the answered calls of the earlier run that can be continued; the others stay in ``remains``.

    A run that has stopped with ``keep`` may have had requests that no call waits for: they go on as well.
    None is continued where the earlier run ended more than ``within_s`` before this one ``began``.
    """
    has_calls = bool(remains.open_calls or remains.kept_calls)
    if not has_calls and remains.kept is None:
        return
    away_ms = began.mono - remains.last_mono
    if within_s == 0 or away_ms > 1_000 * within_s:
        if has_calls:
            _log.warning("calls_not_continued", calls=len(remains.open_calls), away_ms=away_ms, why="resume_within")
        return
    try:
        count = _take_up(remains, journal, continuation)
        if remains.open_calls:
            count += _resume(remains, journal, continuation, now)
        journal.flush()
    except Exception:
        continuation.forget_calls()  # the files of the earlier run still have all of them: nothing is to be kept beside
        raise
    continuation.begin_again(now)
    if has_calls:
        _log.info("calls_continued", calls=count, ended=len(remains.open_calls), away_ms=away_ms)


def _resume(remains: Remains, journal: Journal, continuation: Continuation, now: Instant) -> int:
    """Go on as after a crash with the answered calls that can be continued; return how many there are."""
    resumed = continuation.resume(remains, now)
    for call in resumed.calls:
        journal.resumed(call, has_changed=call.record.call_id in resumed.changed)
    for call_id, mono in remains.acknowledged.items():
        journal.acknowledged(call_id, mono)
    return len(resumed.calls)


def _take_up(remains: Remains, journal: Journal, continuation: Continuation) -> int:
    """Go on exactly as the earlier run has stopped, if it has kept its calls and all that they need is there.

    A call that cannot be restored for another reason is left out, and those that are joined to it. Return how many
    calls go on; what stays in ``remains`` goes on as after a crash, or ends.
    """
    try:
        saved = as_it_was(remains)
    except msgspec.DecodeError as error:
        _log.warning("kept_calls_changed", why=str(error), means="requests in progress are given up")
        return 0
    if saved is None:
        return 0
    missing = continuation.missing_for(saved)
    if missing is not None:
        _log.warning("kept_calls_changed", why=missing, means="requests in progress are given up")
    taken = _restored(saved, continuation) if missing is None else None
    if taken is None:
        taken = set()
    else:
        remains.endpoint_goes_on()
    for each in saved.calls:
        call_id, waiting = each.parts.arrival.call_id, waiting_caller(each)
        if call_id in taken:
            _journal_again(call_id, remains, journal)
        elif waiting is not None:  # no INVITE to a gateway was journalled with it where its set-up waits for an answer
            remains.callers.setdefault(call_id, waiting)
    return len(taken)


def _restored(saved: SavedSwitch, continuation: Continuation) -> set[str] | None:
    """Restore all calls but those for which it fails, and those that are joined to them; return their ids.

    None: nothing is restored, not even what the endpoint has beside the calls.
    """
    while True:
        try:
            continuation.restore(saved)
        except NotRestoredError as failed:
            for call_id, error in failed.errors.items():
                _log.error("kept_call_not_restored", call_id=call_id, means=AS_AFTER_A_CRASH, exc_info=error)
            saved = _without(failed.errors.keys(), saved)
        except Exception:  # noqa: BLE001  the boundary: what cannot be restored as it was stops no start
            _log.exception("kept_calls_not_restored", means=AS_AFTER_A_CRASH)
            return None
        else:
            return {each.parts.arrival.call_id for each in saved.calls}


def _without(odd: Collection[str], saved: SavedSwitch) -> SavedSwitch:
    """Leave calls out, and those that are joined to them."""
    left = {each.parts.arrival.call_id: each.parts for each in saved.calls}
    alone = [call_id for call_id in left if call_id in odd]
    while alone:
        for call_id in alone:
            del left[call_id]
        alone = [call_id for call_id, parts in left.items() if not named_calls(parts) <= left.keys()]
    return replace(saved, calls=tuple(each for each in saved.calls if each.parts.arrival.call_id in left))


def _journal_again(call_id: str, remains: Remains, journal: Journal) -> None:
    """Write a call that goes on exactly; nothing of it is left in ``remains``."""
    call = remains.open_calls.pop(call_id, None)
    if call is not None:
        journal.resumed(call)
    remains.callers.pop(call_id, None)
    for placed in remains.placed.pop(call_id, ()):
        journal.placed(placed)
