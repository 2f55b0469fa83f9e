"""Calls as the journal describes them: exactly at a stop, with every request in progress, else for a crash (ADR 67)."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import replace

from vosd.b2bua.call import Call
from vosd.b2bua.snapshot.references import NoSnapshotError
from vosd.callcontrol.open_call import Description
from vosd.engine.calls.established import Established, legs_of
from vosd.engine.calls.live_call import LiveCall
from vosd.engine.calls.saved import SavedCall, SavedSwitch
from vosd.engine.calls.services import CallServices
from vosd.engine.journal import Remains
from vosd.obs.events import log as _log
from vosd.sip.dialog.snapshot import CallerSnapshot
from vosd.sip.endpoint import Endpoint

_encode: Final = msgspec.msgpack.Encoder().encode


_read_switch: Final = msgspec.msgpack.Decoder(SavedSwitch).decode


class KeptSwitch(NamedTuple):
    """A switch as it is written at a stop."""

    answered: Mapping[str, Description]
    others: Mapping[str, bytes]
    """Calls that no gateway has answered."""
    endpoint: bytes
    left: Sequence[Call]
    """Calls that cannot be described."""


def kept_switch(endpoint: Endpoint, services: CallServices) -> KeptSwitch:
    """Describe all live calls, and what the endpoint has beside them."""
    saved, left = SavedSwitch.of(endpoint, services)
    answered: dict[str, Description] = {}
    others: dict[str, bytes] = {}
    for each in saved.calls:
        call_id = each.parts.arrival.call_id
        live_call = services.running.get(call_id)
        if live_call is None or each.kept is None:
            others[call_id] = _encode(each)
        else:
            legs = legs_of(live_call.call, live_call.call.caller.inviter)
            answered[call_id] = Description(legs, saved=encoded(each))
    return KeptSwitch(answered, others, _encode(replace(saved, calls=())), left)


def encoded(saved: SavedCall) -> bytes:
    """Return an answered call as a stop writes it, beside its record."""
    return _encode(replace(saved, kept=None))


def described(live_call: LiveCall, services: CallServices) -> Description:
    """Describe a call as it is now: the short way as long as it is as it was answered."""
    call, caller = live_call.call, live_call.call.caller.inviter
    legs = legs_of(call, caller)
    if call.journey.answered_at is None:
        return Description(legs)
    try:
        if caller is not None and not live_call.has_moved:
            if live_call.established is not None:
                return Description(legs, live_call.established.written())
            if caller.leg.acceptance is None:
                return Description(legs, Established.of(call, caller, live_call.call_request)[1])
        saved = SavedCall.of(live_call, services, ())
    except NoSnapshotError as error:
        _log.warning("call_not_described", call_id=live_call.call_id, means="a crash ends it", why=str(error))
        return Description(legs)
    except Exception:  # noqa: BLE001  the boundary: this runs between the packets of all calls, and must not stop them
        _log.exception("call_not_described", call_id=live_call.call_id, means="a crash ends it")
        return Description(legs)
    return Description(legs, saved=_encode(replace(saved, kept=None, deadline=None)))


def as_it_was(remains: Remains) -> SavedSwitch | None:
    """Return the switch that an earlier process has kept; None where it did not, or has not written all of it.

    Raises:
        msgspec.DecodeError: it was written by another version, and is not readable.
    """
    kept = remains.kept
    if kept is None:
        return None
    calls = []
    for call_id in kept.calls:
        call = remains.open_calls.get(call_id)
        if call is not None and call.saved:
            calls.append(replace(SavedCall.read(call.saved), kept=call.alone))
        elif call_id in remains.kept_calls:
            calls.append(SavedCall.read(remains.kept_calls[call_id]))
        else:
            return None
    return replace(_read_switch(kept.endpoint), calls=tuple(calls))


def waiting_caller(saved: SavedCall) -> CallerSnapshot | None:
    """Return the INVITE of a call whose caller waits for a final response, as far as a response repeats it."""
    caller = saved.parts.caller
    if caller is None or caller.invite is None or caller.leg.dialog is None:
        return None
    stem, tag, name = caller.invite.stem, caller.leg.dialog.local_tag, caller.leg.dialog.server_name
    key, cseq = caller.invite.key, stem.cseq
    return CallerSnapshot(key, stem.up_to_tag, stem.after_tag, stem.tagged, cseq, tag, stem.peer, stem.spare, name)
