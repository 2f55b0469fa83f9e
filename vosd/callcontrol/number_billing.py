"""The step of the set-up that finds the billed number, and whether it is free, leaves no CDR, or was forwarded.

It stands between the rewriting of numbers and the account. Which numbers those are is in ``routing.special_numbers``.
"""

from vosd.base.errors import Refusal
from vosd.billing.free_numbers import free_rate
from vosd.callcontrol.admission import Admission, StepOutOfOrderError
from vosd.callcontrol.call_request import CallRequest


def bill_number(admission: Admission, call: CallRequest) -> Refusal | None:
    """Take the routing prefix off the number that is billed; give a free number its rate of zero.

    Routing never sees the shortened number. A free call needs no sell rate and no money. A forwarded call is sold by
    the number behind the forward prefix (ADR 79).
    """
    gateway, account, parameters = call.mapping, call.account, admission.catalogue.parameters
    if gateway is None or account is None:
        raise StepOutOfOrderError("the call is not identified yet")
    numbers, digits = parameters.special_numbers, gateway.billing_strip_digits
    if digits is None:
        digits = numbers.strip_digits
    if not digits and not numbers.has_rules:
        return None
    dialled = call.callee_billing
    if digits:
        billed = numbers.billed(dialled, digits)
        if billed != dialled:
            call.callee_billing = call.callee_rated = billed
    if numbers.leaves_no_cdr(call.callee_billing):
        call.leaves_no_cdr = True
        call.rate = free_rate("", account, parameters.free_policy)
        return None
    pattern = numbers.free_by(call.callee_billing, dialled)
    if pattern is not None:
        call.rate = free_rate(pattern, account, parameters.free_policy)
    elif numbers.forward_prefix and (call.is_forwarded if call.numbers is None else call.numbers.is_forwarded()):
        call.forward_prefix = "" if call.callee_billing in numbers.emergency else numbers.forward_prefix
    return None
