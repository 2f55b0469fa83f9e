"""Trial of the running calls by the process that is to take them over: whether its version reads them (ADR 215)."""

from collections.abc import Iterator, Mapping
from typing import BinaryIO

import msgspec

from vosd.b2bua.snapshot.references import NoSnapshotError
from vosd.callcontrol.open_call import Description, OpenCall
from vosd.engine.calls.established import legs_of
from vosd.engine.calls.kept import encoded
from vosd.engine.calls.saved import SavedCall
from vosd.engine.calls.services import CallServices
from vosd.engine.journal.entries import answered_frame, entries_in, id_text
from vosd.engine.journal.frames import Frame


def as_kept(services: CallServices) -> Iterator[bytes]:
    """Yield the answered calls one by one, each as a stop that keeps the calls would write it now.

    Calls without an answer are left out: to describe one asks for the gateways that it has not come to.
    """
    for live_call in tuple(services.running.all()):
        if live_call.kept is None or live_call.is_over or live_call.call.journey.answered_at is None:
            continue
        try:
            saved = encoded(SavedCall.of(live_call, services, ()))
        except NoSnapshotError:
            continue  # no version goes on with it
        legs = legs_of(live_call.call, live_call.call.caller.inviter)
        yield answered_frame(live_call.kept, Description(legs, saved=saved))


def unreadable(written: BinaryIO) -> Mapping[str, str]:
    """Return the calls of ``as_kept`` that this version cannot go on with, by their ids, each with the reason."""
    found = {}
    for part in entries_in(written):
        match part:
            case OpenCall():
                try:
                    SavedCall.read(part.saved)
                except msgspec.DecodeError as error:
                    found[part.record.call_id] = str(error)
            case Frame():
                found[id_text(part.call)] = "its record is of another version"
            case _:
                continue
    return found
