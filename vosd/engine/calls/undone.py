"""The way back of a restoration: a call that was restored occupies nothing, and is not in the list of calls."""

from vosd.engine.calls.live_call import LiveCall
from vosd.engine.calls.services import CallServices


def undo(live_call: LiveCall, services: CallServices) -> None:
    """Take a restored call out, without a record: it does not go on, or is restored once more.

    What the endpoint has of it stays.
    """
    services.running.remove(live_call.call_id)
    live_call.is_over = True
    timer, callee = live_call.timer, live_call.call.callee
    if timer is not None:
        services.deadlines.cancel(timer)
    if callee is not None:
        live_call.vacate(callee.choice)
    live_call.call_request.give_back()
