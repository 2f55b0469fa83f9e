"""Verdicts on gateways in the record of a call, for ``vosd cdr show CALL_ID --why``.

The words by which programs tell reasons apart are those of ``vosd route explain``. Figures of the moment (calls of a
limit, seconds of a rest) are not in them: they would have to be collected for each call that is refused.
"""

from typing import Final

import msgspec

from vosd.base.money import format_amount
from vosd.base.text import escaped
from vosd.callcontrol.call_request import CallRequest
from vosd.routing.routes import LeftOut, RouteChoice

LEFT_MAX: Final = 40
"""Gateways that one record names, so that it fits its column."""
_DETAIL_MAX: Final = 120
_REFUSAL_MAX: Final = 1_000


class Chosen(msgspec.Struct, frozen=True, omit_defaults=True):
    """The gateway that was tried last, and by what it came to its place."""

    routing_gateway: str
    prefix: str
    priority: int
    weight: int
    cost: str | None = None
    """The buy rate of a minute."""


class Excluded(msgspec.Struct, frozen=True):
    """A gateway that was not tried."""

    routing_gateway: str
    reason: str


class Verdicts(msgspec.Struct, frozen=True, omit_defaults=True):
    """The JSON document of the column."""

    plan: str = ""
    refusal: str = ""
    signature: str = ""
    """Why the caller's signature was not verified, with the code of RFC 8224."""
    chosen: Chosen | None = None
    left: tuple[Excluded, ...] = ()
    more_left: int = 0
    """Number of gateways that are not named: the document is bounded."""


_EMPTY: Final = Verdicts()
_encode: Final = msgspec.json.Encoder().encode


def verdicts(call: CallRequest, choice: RouteChoice | None) -> str | None:
    """Return the document of a call with the gateway that it was offered last; None = there is nothing to say."""
    mapping, account = call.mapping, call.account
    plan = "" if mapping is None or account is None else mapping.routing_plan or account.routing_plan or ""
    left = tuple(Excluded(each.gateway.name, reason(each)) for each in call.left[:LEFT_MAX])
    more = max(0, len(call.left) - LEFT_MAX)
    signature = call.identity_fault[:_REFUSAL_MAX]
    found = Verdicts(plan, call.refusal[:_REFUSAL_MAX], signature, _chosen(choice), left, more)
    return None if found == _EMPTY else _encode(escaped(found)).decode()


def verdicts_in(document: str | None) -> Verdicts | None:
    """Return the verdicts of a record; None where it has none, or where they are damaged."""
    if document is None:
        return None
    try:
        return msgspec.json.decode(document, type=Verdicts)
    except msgspec.DecodeError:
        return None


def with_refusal(document: str, refusal: str) -> str:
    """Return the document of a record with why more was refused to its call; one that is damaged stays as it is."""
    found = verdicts_in(document)
    if found is None:
        return document
    refused = msgspec.structs.replace(found, refusal=refusal[:_REFUSAL_MAX])
    return _encode(escaped(refused)).decode()


def reason(left: LeftOut) -> str:
    """Return why a gateway was left out: the word of its cause, a colon, and what there is to say."""
    return left.cause.because(left.detail[:_DETAIL_MAX])


def _chosen(choice: RouteChoice | None) -> Chosen | None:
    if choice is None:
        return None
    cost = None if choice.terms is None else format_amount(choice.terms.price_per_minute)
    return Chosen(choice.gateway.name, choice.prefix, choice.priority, choice.weight, cost)
