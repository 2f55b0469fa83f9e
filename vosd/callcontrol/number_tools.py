"""Steps of the set-up that look at the numbers of a call: the dynamic blacklist.

The order of all steps is ``setup.STEPS``; the rules are in ``routing.dynamic_lists``.
"""

from typing import Final

from vosd.base.cause import EndReason
from vosd.base.errors import Refusal
from vosd.base.number import for_matching
from vosd.callcontrol.admission import Admission, CallRequest, StepOutOfOrderError
from vosd.routing.dynamic_lists import Listing

NO_CALLER: Final = frozenset({"", "anonymous"})
"""Calling numbers that do not say who calls: such calls are not counted together."""


def check_dynamic_blacklist(admission: Admission, call: CallRequest) -> Refusal | None:
    """Refuse a caller that is on the dynamic blacklist, or count its call, which may put it there."""
    gateway = call.mapping
    if gateway is None:
        raise StepOutOfOrderError("the call is not identified yet")
    limits = gateway.dynamic_blacklist or admission.catalogue.parameters.dynamic_blacklist
    if limits is None or not limits.enabled:
        return None
    caller = for_matching(call.caller)
    if caller.lower() in NO_CALLER:
        return None
    counted = admission.live.dynamic_lists.take(gateway.name, caller, for_matching(call.callee), limits, call.at)
    if isinstance(counted, Listing):
        return Refusal(EndReason.NUMBER_NOT_ALLOWED, 403, str(counted))
    call.counted = counted
    call.taken.append(counted)
    return None
