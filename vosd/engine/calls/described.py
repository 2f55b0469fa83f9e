"""An answered call as the journal describes it later than at its answer."""

from typing import Final

import msgspec
import structlog

from vosd.b2bua.snapshot.references import NoSnapshotError
from vosd.callcontrol.open_call import Description
from vosd.engine.calls.established import Established, legs_of
from vosd.engine.calls.live_call import LiveCall
from vosd.engine.calls.saved import SavedCall
from vosd.engine.calls.services import CallServices

_encode: Final = msgspec.msgpack.Encoder().encode
_log = structlog.get_logger()


def described(live_call: LiveCall, services: CallServices) -> Description:
    """Describe a call as it is now: the short way as long as it is as it was answered."""
    call, caller = live_call.call, live_call.call.caller.leg
    legs = legs_of(call, caller)
    if call.journey.answered_at is None:
        return Description(legs)
    try:
        if caller is not None and not live_call.has_moved and not caller.awaits_ack:
            return Description(legs, Established.of(call, caller, live_call.call_request))
        saved = SavedCall.of(live_call, services, ())
    except NoSnapshotError as error:
        _log.warning("call_not_described", call_id=live_call.call_id, means="a crash ends it", why=str(error))
        return Description(legs)
    except Exception:  # noqa: BLE001  the boundary: this runs between the packets of all calls, and must not stop them
        _log.exception("call_not_described", call_id=live_call.call_id, means="a crash ends it")
        return Description(legs)
    return Description(legs, saved=_encode(msgspec.structs.replace(saved, kept=None, deadline=None)))
